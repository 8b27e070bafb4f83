/* SPDX-License-Identifier: Apache-2.0 */
/* clusters.c: the set of joined clusters: Cluster objects and the Secrets with their credentials, both in the hub
 * (namespace federation-system), become members; a member's health and place become Cluster.status.
 *
 * A changed Secret reconnects its cluster at once, without a restart. Cluster objects carry a finalizer of ours so that
 * leaving is orderly: with the annotation federation.hansa.io/cleanup what we made there is deleted first.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/member_priv.h"
#include "fedapi/controllers/place.h"
#include "fedapi/controllers/replicator.h"

static const struct fed_resource clusters_resource = {"federation", "v1beta1", "clusters", "Cluster", false};
static const struct fed_resource secrets_resource = {"", "v1", "secrets", "Secret", true};

/* --- credentials --- */

/* Text of data[key] of a Secret, decoded; NULL when absent. */
static char *secret_text(struct fed_arena *a, const struct fed_json *secret, const char *key)
{
    struct fed_str raw = fed_json_find_text(fed_json_find(secret, "data"), key), text;
    if (!raw.p || fed_base64_decode(a, raw, &text) != 0)
        return NULL;
    return fed_strdup_str(text);
}

static int rest_from_secret(struct fed_arena *a, const struct fed_json *cluster, const struct fed_json *secret,
                            struct fed_rest_conf *rest, struct fed_err *err)
{
    char *kubeconfig = secret_text(a, secret, "kubeconfig");
    struct fed_json *addresses = fed_json_at(cluster, "spec", "serverAddressByClientCIDRs", NULL);
    struct fed_str server = fed_json_find_text(fed_json_item(addresses, 0), "serverAddress");
    int code = 0;
    if (kubeconfig) {
        struct fed_kubeconfig *k = NULL;
        code = fed_kubeconfig_parse(fed_str(kubeconfig), &k, err);
        if (!code)
            code = fed_kubeconfig_rest(k, NULL, rest, err);
        fed_kubeconfig_free(k);
    } else {
        rest->token = secret_text(a, secret, "token");
        rest->ca_pem = secret_text(a, secret, "ca.crt");
        rest->cert_pem = secret_text(a, secret, "tls.crt");
        rest->key_pem = secret_text(a, secret, "tls.key");
        if (!rest->token && !rest->cert_pem)
            code = fed_err_set(err, FED_E_INVALID, "the secret has neither token, tls.crt nor kubeconfig");
    }
    if (!code && server.n) {
        free(rest->server);
        rest->server = server.n > 8 && fed_str_starts(server, FED_STR("https://"))
                           ? fed_strdup_str(server)
                           : fed_asprintf("https://%.*s", FED_STR_ARG(server));
    }
    if (!code && !rest->server)
        code = fed_err_set(err, FED_E_INVALID, "spec.serverAddressByClientCIDRs is empty");
    free(kubeconfig);
    return code;
}

static void apply_credentials(struct fapi_clusters *c, struct fapi_member *m)
{
    struct fed_arena a = {0};
    struct fed_err err = {0};
    struct fed_rest_conf rest = {0};
    struct fed_kobj *object = fed_informer_find(c->objects, (struct fed_str){0}, fed_str(m->name));
    struct fed_json *cluster = object ? fed_kobj_parse(object, &a) : NULL;
    struct fed_str ref = fed_json_find_text(fed_json_at(cluster, "spec", "secretRef", NULL), "name");
    struct fed_kobj *secret = ref.n ? fed_informer_find(c->secrets, FED_STR(FAPI_SYSTEM_NS), ref) : NULL;
    char text[512];
    if (!object || !fed_informer_synced(c->secrets)) {
        fed_arena_release(&a);
        return;
    }
    if (!ref.n) {
        fapi_member_set_problem(m, "CredentialsMissing", "spec.secretRef is not set");
    } else if (!secret) {
        snprintf(text, sizeof(text), "secret \"%.*s\" does not exist in namespace " FAPI_SYSTEM_NS " of the federation",
                 FED_STR_ARG(ref));
        fapi_member_set_problem(m, "CredentialsMissing", text);
    } else if (rest_from_secret(&a, cluster, fed_kobj_parse(secret, &a), &rest, &err) != 0) {
        fapi_member_set_problem(m, "CredentialsUnusable", err.text);
    } else {
        fapi_member_set_rest(m, &rest);
    }
    fed_rest_conf_release(&rest);
    fed_arena_release(&a);
}

/* --- joining and leaving --- */

static void link_member(struct fapi_clusters *c, struct fapi_member *m)
{
    struct fapi_member **at = &c->first;
    while (*at && strcmp((*at)->name, m->name) < 0)
        at = &(*at)->next;
    m->next = *at;
    *at = m;
    fed_map_set(&c->members, fed_str(m->name), m);
}

static void unlink_member(struct fapi_clusters *c, struct fapi_member *m)
{
    struct fapi_member **at = &c->first;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    fed_map_remove(&c->members, fed_str(m->name));
}

static void leave(struct fapi_clusters *c, struct fed_str name)
{
    struct fapi_member *m = fed_map_find(&c->members, name);
    if (!m)
        return;
    unlink_member(c, m);
    fapi_assignments_leave(c->fed, m);
    fapi_due_services(c->fed);
    fapi_due_decide_all(c->fed);
    fapi_member_free(m);
}

static void finish_leaving(struct fapi_clusters *c, struct fapi_member *m, struct fed_kobj *object)
{
    bool cleanup = fed_str_is(fed_kobj_annotation(object, FAPI_ANN_CLEANUP), "true");
    struct fed_arena a = {0};
    bool first = !m->deleting;
    m->deleting = true;
    if (cleanup) {
        bool idle = fapi_replicator_idle(m->replicator), objects = fapi_place_has_objects(m);
        if (first || (idle && objects)) /* not each time: it would never be idle */
            fapi_due_replicate_all(m);
        if (first || !fapi_member_reachable(m) || !idle || objects) {
            fed_workqueue_add_after(c->reports, fed_str(m->name), 500);
            return;
        }
    }
    struct fed_json *patch = fed_kobj_patch_without_finalizer(&a, object, FAPI_FINALIZER);
    fed_client_patch(c->fed->hub, &clusters_resource, (struct fed_str){0}, object->name, "", "merge", patch, "", NULL,
                     NULL);
    fed_arena_release(&a);
}

static void cluster_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_clusters *c = ud;
    if (!now) {
        leave(c, old->name);
        return;
    }
    struct fapi_member *m = fed_map_find(&c->members, now->name);
    if (!m) {
        m = fapi_member_new(c->fed, now->name);
        link_member(c, m);
    }
    if (now->deleting && fed_kobj_has_finalizer(now, FAPI_FINALIZER)) {
        finish_leaving(c, m, now);
        return;
    }
    apply_credentials(c, m);
    if (!old || !fapi_place_same_labels(old, now) ||
        !fed_str_eq(fed_kobj_annotation(old, FAPI_CORDONED), fed_kobj_annotation(now, FAPI_CORDONED)))
        fapi_due_decide_all(c->fed);
    fapi_due_report(m);
}

static void secret_changed(void *ud, struct fed_kobj *old FED_UNUSED, struct fed_kobj *now FED_UNUSED)
{
    struct fapi_clusters *c = ud;
    if (fed_informer_synced(c->secrets))
        FED_MAP_EACH(e, &c->members)
            apply_credentials(c, e->value);
}

static void synced(void *ud)
{
    secret_changed(ud, NULL, NULL);
    struct fapi_clusters *c = ud;
    fapi_due_decide_all(c->fed);
}

/* --- status --- */

static int reported(struct fapi_job *job FED_UNUSED, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    return code == FED_E_NOT_FOUND ? 0 : code;
}

static bool was_ready(const struct fed_kobj *object, struct fed_arena *a)
{
    const struct fed_json *ready = fed_obj_condition(fed_json_find(fed_kobj_parse(object, a), "status"), "Ready");
    return fed_str_is(fed_json_find_text(ready, "status"), "True");
}

/* Said as the cluster becomes Ready: traffic cannot be sent to the nearest cluster when it is nowhere. */
static void warn_of_unknown_place(struct fapi_clusters *c, struct fapi_member *m, struct fed_kobj *object,
                                  const struct fed_json *patch, struct fed_arena *a)
{
    bool placed = fed_json_at(patch, "status", "region", NULL) || fed_kobj_annotation(object, FAPI_ANN_COORDINATES).n;
    if (m->health == FAPI_READY && !placed && !was_ready(object, a))
        fed_event_warning(c->fed->recorder, object, "PlaceUnknown",
                          "neither region nor coordinates are known: this cluster is the last choice for every client; "
                          "label its nodes topology.kubernetes.io/region or annotate the Cluster");
}

/* A change of its health is an Event of the Cluster; what its status tells already, as after a restart, is no news. */
static void tell_health(struct fapi_clusters *c, struct fapi_member *m, struct fed_kobj *object, struct fed_arena *a)
{
    const struct fed_json *ready = fed_obj_condition(fed_json_find(fed_kobj_parse(object, a), "status"), "Ready");
    const char *text = m->message ? m->message : "";
    if (m->health == FAPI_UNKNOWN || !m->reason || fed_str_is(fed_json_find_text(ready, "reason"), m->reason))
        return;
    if (m->health == FAPI_READY)
        fed_event_normal(c->fed->recorder, object, m->reason, "%s", text);
    else
        fed_event_warning(c->fed->recorder, object, m->reason, "%s", text);
}

static void report_one(void *ud, const char *name)
{
    struct fapi_clusters *c = ud;
    struct fed_arena a = {0};
    struct fapi_member *m = fed_map_find(&c->members, fed_str(name));
    struct fed_kobj *object = fed_informer_find(c->objects, (struct fed_str){0}, fed_str(name));
    struct fed_json *patch = m && object ? fapi_place_status(&a, m, object) : NULL;
    if (m && m->deleting && object && object->deleting)
        finish_leaving(c, m, object);
    if (!patch) {
        fed_workqueue_done(c->reports, name, 0);
    } else {
        struct fapi_job *job = fapi_job_new(&c->jobs, c->reports, name, c);
        tell_health(c, m, object, &a);
        warn_of_unknown_place(c, m, object, patch, &a);
        job->finish = reported;
        job->call = fed_client_patch(c->fed->hub, &clusters_resource, (struct fed_str){0}, fed_str(name), "status",
                                     "merge", patch, "", fapi_job_answered, job);
    }
    fed_arena_release(&a);
}

/* --- the set --- */

struct fapi_clusters *fapi_clusters_new(struct fapi_federation *f)
{
    struct fapi_clusters *c = FED_NEW(struct fapi_clusters);
    struct fed_informer_conf objects = {.transport = f->hub, .resource = &clusters_resource};
    struct fed_informer_conf secrets = {.transport = f->hub, .resource = &secrets_resource, .ns = FAPI_SYSTEM_NS};
    struct fed_workqueue_conf queue = {
        .env = f->env, .name = "cluster-status", .metrics = f->metrics, .work = report_one, .ud = c};
    c->fed = f;
    fapi_jobs_init(&c->jobs);
    c->objects = fed_informer_new(&objects);
    c->secrets = fed_informer_new(&secrets);
    c->reports = f->due.reports = fed_workqueue_new(&queue);
    return c;
}

void fapi_clusters_start(struct fapi_clusters *c)
{
    struct fed_informer_handlers objects = {.changed = cluster_changed, .synced = synced, .ud = c};
    struct fed_informer_handlers secrets = {.changed = secret_changed, .synced = synced, .ud = c};
    fed_informer_add_handlers(c->objects, &objects);
    fed_informer_add_handlers(c->secrets, &secrets);
    fed_informer_start(c->secrets);
    fed_informer_start(c->objects);
}

void fapi_clusters_free(struct fapi_clusters *c)
{
    if (!c)
        return;
    fapi_jobs_cancel(&c->jobs);
    FED_MAP_EACH(e, &c->members)
        fapi_member_free(e->value);
    fed_map_release(&c->members);
    fed_informer_free(c->objects);
    fed_informer_free(c->secrets);
    c->fed->due.reports = NULL;
    fed_workqueue_free(c->reports);
    free(c);
}
