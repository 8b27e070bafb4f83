/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/edge.h"

#include <stdlib.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/pki.h"
#include "fedapi/controllers/jobs.h"

#define LOOK_AGAIN_MS 3600000

static const struct fed_resource ns_resource = {"", "v1", "namespaces", "Namespace", false};
static const struct fed_resource config_resource = {"", "v1", "configmaps", "ConfigMap", true};
static const struct fed_resource secret_resource = {"", "v1", "secrets", "Secret", true};

enum step { STEP_NAMESPACE, STEP_CONFIG, STEP_SECRET, STEP_DONE };
static const struct {
    const struct fed_resource *resource;
    const char *ns, *name;
} steps[] = {
    {&ns_resource, "", FAPI_EDGE_NS},
    {&config_resource, FAPI_EDGE_NS, "edge"},
    {&secret_resource, FAPI_EDGE_NS, "edge-credentials"},
};

struct fapi_edge {
    struct fapi_federation *fed;
    struct fapi_issuer issuer;
    struct fed_workqueue *queue; /* cluster names */
    struct fapi_jobs jobs;
};
struct round { /* ud of a job: one pass over the steps for one cluster */
    struct fapi_edge *edge;
    enum step step;
};

static int step_answered(struct fapi_job *job, int code, const struct fed_call_response *res,
                         const struct fed_err *err);

static int end_round(struct fapi_job *job, int code)
{
    free(job->ud);
    job->ud = NULL;
    return code;
}

/* --- what should be there --- */

static struct fed_str annotation_or(const struct fed_kobj *o, const char *key, struct fed_str other)
{
    struct fed_str v = o ? fed_kobj_annotation(o, key) : other;
    return v.n ? v : other;
}

static struct fed_json *wanted_config(struct fed_arena *a, struct fapi_edge *e, const struct fapi_member *m)
{
    struct fed_kobj *cluster = fapi_clusters_object(e->fed->clusters, fed_str(m->name));
    struct fed_json *status = cluster ? fed_json_find(fed_kobj_parse(cluster, a), "status") : NULL;
    struct fed_str region = fed_json_find_text(status, "region");
    struct fed_str zone = fed_json_str(fed_json_item(fed_json_find(status, "zones"), 0));
    struct fed_json *data = fed_json_object(a);
    const struct {
        const char *key;
        struct fed_str value;
    } rows[] = {{"cluster", fed_str(m->name)},
                {"region", annotation_or(cluster, FAPI_ANN_REGION, region)},
                {"zone", annotation_or(cluster, FAPI_ANN_ZONE, zone)},
                {"coordinates", annotation_or(cluster, FAPI_ANN_COORDINATES, (struct fed_str){0})},
                {"federation", fed_str(e->fed->name)},
                {"zoneName", fed_str(e->fed->zone_name)},
                {"server", fed_str(e->issuer.server)}};
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        fed_json_set(data, rows[i].key, fed_json_new_str(a, rows[i].value.p ? rows[i].value : FED_STR("")));
    return data;
}

/* The kubeconfig in the Secret lives for another third of its life and points to the right place. */
static bool credential_is_good(struct fapi_edge *e, struct fed_arena *a, const struct fed_json *secret)
{
    struct fed_str raw = fed_json_find_text(fed_json_find(secret, "data"), "kubeconfig"), text;
    struct fed_kubeconfig *k = NULL;
    struct fed_rest_conf rest = {0};
    int64_t from, to, now = fed_wall_ms(e->fed->env);
    bool good = false;
    if (!raw.n || fed_base64_decode(a, raw, &text) != 0 || fed_kubeconfig_parse(text, &k, NULL) != 0)
        return false;
    if (fed_kubeconfig_rest(k, NULL, &rest, NULL) == 0 && rest.cert_pem &&
        fed_pki_validity(fed_str(rest.cert_pem), &from, &to, NULL) == 0)
        good = now < from + (to - from) / 3 * 2 && rest.server && strcmp(rest.server, e->issuer.server) == 0;
    fed_rest_conf_release(&rest);
    fed_kubeconfig_free(k);
    return good;
}

static struct fed_json *wanted_secret(struct fed_arena *a, struct fapi_edge *e, const struct fapi_member *m,
                                      struct fed_err *err)
{
    struct fed_buf text, coded;
    struct fed_json *data = NULL;
    fed_buf_init(&text, 64 * 1024);
    fed_buf_init(&coded, 128 * 1024);
    struct fed_str cn = fed_arena_printf(a, "hansa:edge:%s", m->name);
    if (e->issuer.issue(e->issuer.ud, cn, FED_STR("hansa:edge"), &text, err) == 0) {
        fed_base64_encode(&coded, fed_buf_str(&text));
        data = fed_json_object(a);
        fed_json_set(data, "kubeconfig", fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&coded))));
    }
    fed_buf_release(&text);
    fed_buf_release(&coded);
    return data;
}

/* --- one step --- */

static struct fapi_member *member_of(struct fapi_edge *e, const char *key)
{
    struct fapi_member *m = fapi_clusters_find(e->fed->clusters, fed_str(key));
    return m && m->transport && !m->deleting ? m : NULL;
}

static int look(struct fapi_job *job, struct fapi_member *m)
{
    struct round *r = job->ud;
    if (r->step == STEP_DONE)
        return end_round(job, 0);
    job->call = fed_client_get(m->transport, steps[r->step].resource, fed_str(steps[r->step].ns),
                               fed_str(steps[r->step].name), fapi_job_answered, job);
    return FAPI_JOB_GOES_ON;
}

/* data NULL: the object as it is will do (the namespace). */
static void write_step(struct fapi_job *job, struct fapi_member *m, struct fed_arena *a, bool exists,
                       struct fed_json *data)
{
    struct round *r = job->ud;
    struct fed_str ns = fed_str(steps[r->step].ns), name = fed_str(steps[r->step].name);
    const struct fed_resource *res = steps[r->step].resource;
    struct fed_json *o = exists ? fed_json_object(a) : fed_obj_new(a, res->version, res->kind, ns, name);
    if (data)
        fed_json_set(o, "data", data);
    if (exists)
        job->call = fed_client_patch(m->transport, res, ns, name, "", "merge", o, "", fapi_job_answered, job);
    else
        job->call = fed_client_create(m->transport, res, ns, o, fapi_job_answered, job);
}

/* Judges what GET said; starts the write if one is due. */
static int compare(struct fapi_job *job, struct fapi_member *m, struct fed_str body, bool exists)
{
    struct round *r = job->ud;
    struct fapi_edge *e = r->edge;
    struct fed_arena a = {0};
    struct fed_err err = {0};
    struct fed_json *have = NULL, *data = NULL;
    bool good = exists && r->step == STEP_NAMESPACE;
    if (exists && fed_json_parse(&a, body, NULL, &have, &err) != 0) {
        fed_arena_release(&a);
        return end_round(job, FED_E_SYNTAX);
    }
    if (r->step == STEP_CONFIG) {
        data = wanted_config(&a, e, m);
        good = exists && fed_json_equal(data, fed_json_find(have, "data"));
    } else if (r->step == STEP_SECRET) {
        good = exists && credential_is_good(e, &a, have);
        data = good ? NULL : wanted_secret(&a, e, m, &err);
        if (!good && !data) {
            fed_arena_release(&a);
            return end_round(job, err.code ? err.code : FED_E_INTERNAL);
        }
    }
    if (!good)
        write_step(job, m, &a, exists, data);
    fed_arena_release(&a);
    if (!good)
        return FAPI_JOB_GOES_ON;
    r->step++;
    return look(job, m);
}

static int written(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err FED_UNUSED)
{
    struct round *r = job->ud;
    struct fapi_member *m = member_of(r->edge, job->key);
    if (code && code != FED_E_ALREADY_EXISTS)
        return end_round(job, code);
    if (!m)
        return end_round(job, 0);
    r->step++;
    job->finish = step_answered;
    return look(job, m);
}

static int step_answered(struct fapi_job *job, int code, const struct fed_call_response *res,
                         const struct fed_err *err FED_UNUSED)
{
    struct round *r = job->ud;
    struct fapi_member *m = member_of(r->edge, job->key);
    if (!m)
        return end_round(job, 0);
    if (code && code != FED_E_NOT_FOUND)
        return end_round(job, code);
    enum step before = r->step;
    code = compare(job, m, res->body, code == 0);
    if (code == FAPI_JOB_GOES_ON && r->step == before)
        job->finish = written;
    return code;
}

static void reconcile(void *ud, const char *key)
{
    struct fapi_edge *e = ud;
    struct fapi_member *m = member_of(e, key);
    if (!m || m->health == FAPI_OFFLINE) {
        fed_workqueue_done(e->queue, key, 0); /* Ready brings it back */
        return;
    }
    struct round *r = FED_NEW(struct round);
    r->edge = e;
    struct fapi_job *job = fapi_job_new(&e->jobs, e->queue, key, r);
    job->finish = step_answered;
    (void)look(job, m);
    fed_workqueue_add_after(e->queue, fed_str(key), LOOK_AGAIN_MS);
}

struct fapi_edge *fapi_edge_new(struct fapi_federation *f, const struct fapi_issuer *issuer)
{
    struct fapi_edge *e = FED_NEW(struct fapi_edge);
    struct fed_workqueue_conf conf = {.env = f->env, .name = "edge", .metrics = f->metrics, .work = reconcile, .ud = e};
    e->fed = f;
    e->issuer = *issuer;
    e->queue = f->due.edges = fed_workqueue_new(&conf);
    fapi_jobs_init(&e->jobs);
    return e;
}

void fapi_edge_free(struct fapi_edge *e)
{
    if (!e)
        return;
    FED_LIST_EACH(node, &e->jobs.running)
        free(FED_LIST_ENTRY(node, struct fapi_job, link)->ud);
    fapi_jobs_cancel(&e->jobs);
    e->fed->due.edges = NULL;
    fed_workqueue_free(e->queue);
    free(e);
}
