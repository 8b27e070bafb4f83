/* SPDX-License-Identifier: Apache-2.0 */
/* definitions.c: what the replicator does otherwise with definitions of kinds that users define, and with their objects.
 *
 * A definition of the cluster's own is used as it is, if it fits. One of ours is made before its objects and goes after
 * them; where objects are left that are not ours, it stays and becomes the cluster's own.
 */
#include "base/mem.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/replicator_priv.h"

/* A definition that we did not make, and are not to take over: used as it is, when it serves the kind. */
void fapi_definition_use(struct fapi_replicator *r, const char *key, const struct fapi_kind *k, struct fed_kobj *hub,
                         const struct fed_kobj *there)
{
    struct fed_arena a = {0};
    struct fed_str version, why;
    enum fapi_served served =
        fapi_custom_serves(&a, fed_kobj_parse(hub, &a), fed_kobj_parse(there, &a), &version, &why);
    if (served == FAPI_SERVED_OTHER)
        fapi_replicator_conflict(r, key, k, hub, there);
    else
        fapi_replicator_set(r, key, served == FAPI_SERVED ? FAPI_SYNC_SYNCED : FAPI_SYNC_PENDING, NULL);
    fed_arena_release(&a);
}

/* --- going --- */

/* The kind of a copy of a definition, as its cluster serves it; text is in the arena. */
static struct fed_resource resource_of(struct fed_arena *a, const struct fed_kobj *definition)
{
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(definition, a), "spec");
    const struct fed_json *names = fed_json_find(spec, "names");
    struct fed_resource r = {.group = fed_arena_dupz(a, fed_json_find_text(spec, "group")),
                             .version = "",
                             .plural = fed_arena_dupz(a, fed_json_find_text(names, "plural")),
                             .kind = fed_arena_dupz(a, fed_json_find_text(names, "kind")),
                             .namespaced = !fed_str_is(fed_json_find_text(spec, "scope"), "Cluster")};
    FED_JSON_EACH(v, fed_json_find(spec, "versions"))
        if (!r.version[0] && fed_json_bool(fed_json_find(v, "served"), false))
            r.version = fed_arena_dupz(a, fed_json_find_text(v, "name"));
    return r;
}

struct census { /* of the objects of a kind in a cluster */
    struct fapi_replicator *r;
    const struct fed_resource *of;
    bool sweep;           /* nobody else deletes ours: the kind is not known any more */
    size_t ours, foreign; /* of a page */
};

static void count(void *ud, struct fed_kobj *o)
{
    struct census *c = ud;
    enum fapi_whose whose = fapi_whose(o, fed_str(c->r->member->fed->uid), (struct fed_str){0});
    bool ours = whose == FAPI_OURS || whose == FAPI_STALE;
    c->ours += ours;
    c->foreign += !ours;
    if (ours && c->sweep && !o->deleting) /* what stays is found by the next look */
        fed_client_delete(c->r->member->transport, c->of, o->ns, o->name, "Background", o->uid, NULL, NULL);
}

static int counted(struct fapi_job *job, int code, const struct fed_call_response *res, const struct fed_err *err);
static int counted_foreign(struct fapi_job *job, int code, const struct fed_call_response *res,
                           const struct fed_err *err);

static void start_page(struct fapi_replicator *r, struct fapi_job *job, const struct fed_resource *of, bool foreign,
                       struct fed_str cont)
{
    struct fed_buf query = {0};
    fed_resource_query_add(&query, "limit", FED_STR("500"));
    fed_resource_query_add(&query, "continue", cont);
    job->finish = foreign ? counted_foreign : counted;
    job->call =
        fed_client_list(r->member->transport, of, (struct fed_str){0}, fed_buf_z(&query), fapi_job_answered, job);
    fed_buf_release(&query);
}

/* All was counted: what is not ours keeps the definition. */
static void conclude(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k, struct fed_kobj *hub,
                     struct fed_kobj *have, bool foreign)
{
    if (!foreign) {
        fapi_replicator_delete(r, job, k, hub, have);
        return;
    }
    if (hub)
        fed_event_warning(r->member->fed->recorder, hub, "KeptInCluster",
                          "cluster %s has objects of this kind that the federation did not make: its definition "
                          "stays there",
                          r->member->name);
    fapi_replicator_unmark(r, job, k, have);
}

static int take_page(struct fapi_job *job, int code, const struct fed_call_response *res, bool foreign)
{
    struct fapi_replicator *r = job->ud;
    struct fapi_kind *k = NULL;
    struct fed_str ns, name, cont = {0};
    uint64_t rev;
    struct fed_kobj *hub = fapi_replicator_hub(r, job->key, &k), *have = NULL;
    struct fed_arena a = {0};
    if (fapi_key_parse(r->member->fed, job->key, &k, &ns, &name))
        have = fapi_member_find(r->member, k, ns, name);
    bool absent = code == FED_E_NOT_FOUND; /* not served: there is nothing */
    if (have && (code == 0 || absent)) {
        struct fed_resource of = resource_of(&a, have);
        struct census c = {.r = r, .of = &of, .sweep = !fapi_kinds_defined(r->member->fed, name)};
        code = absent ? 0 : fed_list_read(&a, &of, res->body, count, &c, &rev, &cont, NULL);
        foreign |= c.foreign > 0;
        if (code == 0 && c.sweep && c.ours) {
            code = FED_E_BUSY; /* looked at again after the back-off */
        } else if (code == 0) {
            if (cont.n && (c.sweep || !foreign))
                start_page(r, job, &of, foreign, cont);
            else
                conclude(r, job, k, hub, have, foreign);
            code = FAPI_JOB_GOES_ON;
        }
    }
    fed_arena_release(&a);
    if (code != FAPI_JOB_GOES_ON)
        fapi_due_settle(r->member);
    return code;
}

static int counted(struct fapi_job *job, int code, const struct fed_call_response *res,
                   const struct fed_err *err FED_UNUSED)
{
    return take_page(job, code, res, false);
}

static int counted_foreign(struct fapi_job *job, int code, const struct fed_call_response *res,
                           const struct fed_err *err FED_UNUSED)
{
    return take_page(job, code, res, true);
}

/* A definition takes all objects of its kind with it, also those that are not ours: they are counted first. */
void fapi_definition_delete(struct fapi_replicator *r, const char *key, struct fed_kobj *have)
{
    struct fed_arena a = {0};
    struct fed_resource of = resource_of(&a, have);
    fapi_replicator_pending(r, key);
    start_page(r, fapi_job_new(&r->jobs, r->queue, key, r), &of, false, (struct fed_str){0});
    fed_arena_release(&a);
}

/* A definition goes after what we made of its kind. */
bool fapi_definition_has_objects(const struct fapi_member *m, const struct fapi_kind *k, struct fed_str name)
{
    const struct fapi_kind *of = k == m->fed->definitions ? fapi_kinds_defined(m->fed, name) : NULL;
    return of && fapi_member_has_any(m, of);
}

/* --- being there --- */

/* Whether the cluster takes objects of a custom kind now. Its definition's watch brings the key back when that changes. */
bool fapi_definition_serves(struct fapi_replicator *r, const char *key, const struct fapi_kind *k)
{
    struct fapi_federation *f = r->member->fed;
    struct fed_arena a = {0};
    struct fed_err err = {.code = FED_E_INVALID};
    const char *why;
    enum fapi_served served = fapi_member_serves(r->member, k, &why);
    if (served == FAPI_SERVED)
        return true;
    struct fed_str definition = fapi_key(&a, f->definitions, (struct fed_str){0}, fed_str(k->definition));
    struct fapi_share *share = fapi_replicator_share(r, definition.p);
    if (served == FAPI_SERVED_NOT && share && !share->placed)
        why = "the definition of its kind is not placed there";
    snprintf(err.text, sizeof(err.text), "%s", why);
    if (why[0])
        fapi_replicator_failed(r, key, "KindNotServed", &err);
    else
        fapi_replicator_set(r, key, FAPI_SYNC_PENDING, NULL);
    fed_arena_release(&a);
    return false;
}
