/* SPDX-License-Identifier: Apache-2.0 */
/* member_kinds.c: what one cluster has of each kind: an informer of the objects that bear our mark.
 *
 * A custom kind has one more, of the single definition of that name in the cluster, whoever made it. What that one serves
 * says whether, and in which version, the objects there are watched and written:
 *
 *   definition unseen ──> none, not Established ──> Established ──> objects listed and watched
 *                              ▲                        │ deleted, another version
 *                              └────────────────────────┘
 *
 * Of namespaces all are watched: the end of a shared one, which bears no mark, must be seen.
 *
 * So nothing asks again and again for a kind that is not there. Absence of a seen definition is absence of its objects.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member_priv.h"

enum { SCHEMA_SETTLES_MS = 5000 };

struct fed_informer *fapi_member_informer(struct fapi_member *m, const struct fed_informer_conf *conf,
                                          const struct fed_informer_handlers *h)
{
    struct fed_informer_conf c = *conf;
    c.transport = m->transport;
    struct fed_informer *inf = fed_informer_new(&c);
    fed_informer_add_handlers(inf, h);
    fed_informer_start(inf);
    return inf;
}

/* --- objects --- */

static void on_object(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_there *t = ud;
    struct fapi_federation *f = t->member->fed;
    const struct fed_kobj *o = now ? now : old;
    bool marked = fapi_is_marked(now), was = fapi_is_marked(old);
    if (!marked && !was && now) /* the cluster's own */
        return;
    struct fed_arena a = {0};
    struct fed_str key = fapi_key(&a, t->kind, o->ns, o->name);
    fapi_due_replicate(t->member, key);
    if (!marked && !was) { /* a shared one is gone: ours is due */
        fed_arena_release(&a);
        return;
    }
    fapi_due_decide_of_copy(f, key);
    fapi_due_status(f, key);
    if (fed_str_is(fapi_kind_name(t->kind), "Service"))
        fapi_due_service(f, o->ns, o->name);
    if (!marked && (t->kind->ending || t->member->deleting))
        fapi_due_definition(t->kind);
    fed_arena_release(&a);
}

static void wake(struct fapi_there *t)
{
    fapi_due_replicate_kind(t->member, t->kind, 0);
    fapi_due_decide_kind(t->kind);
    fapi_due_definition(t->kind);
}

static void on_synced(void *ud)
{
    struct fapi_there *t = ud;
    if (t->kind->custom) {
        wake(t);
        return;
    }
    fapi_due_replicate_all(t->member);
    fapi_due_decide_all(t->member->fed);
    fapi_due_settle(t->member);
}

static void watch_objects(struct fapi_there *t, bool optional)
{
    bool all = t->kind->spread == FAPI_SPREAD_NAMESPACE;
    struct fed_informer_conf conf = {
        .resource = &t->resource, .label_selector = all ? NULL : FAPI_MANAGED "=true", .optional = optional};
    struct fed_informer_handlers h = {.changed = on_object, .synced = on_synced, .ud = t};
    t->objects = fapi_member_informer(t->member, &conf, &h);
}

static void forget_objects(struct fapi_there *t)
{
    fed_informer_free(t->objects);
    t->objects = NULL;
    if (t->kind->custom) {
        free((char *)t->resource.version);
        t->resource.version = NULL;
    }
}

/* --- definitions --- */

static bool is_ours(const struct fapi_there *t, const struct fed_kobj *hub, const struct fed_kobj *there)
{
    enum fapi_whose whose = fapi_whose(there, fed_str(t->member->fed->uid), hub->uid);
    return whose == FAPI_OURS || whose == FAPI_STALE;
}

static void look_at_definition(struct fapi_there *t)
{
    struct fed_arena a = {0};
    struct fed_kobj *hub = fapi_kinds_definition(t->kind), *there;
    struct fed_str version = {0}, why = {0};
    if (!hub || !fed_informer_synced(t->definition))
        return;
    there = fed_informer_find(t->definition, (struct fed_str){0}, fed_str(t->kind->definition));
    enum fapi_served served =
        fapi_custom_serves(&a, fed_kobj_parse(hub, &a), there ? fed_kobj_parse(there, &a) : NULL, &version, &why);
    if (served == FAPI_SERVED_OTHER && is_ours(t, hub, there)) { /* what it lacks is on its way */
        served = FAPI_SERVED_NOT;
        why = (struct fed_str){0};
    }
    bool changed = served != t->served || !fed_str_eq(why, fed_str(t->why));
    t->served = served;
    free(t->why);
    t->why = why.n ? fed_strdup_str(why) : NULL;
    if (!fed_str_eq(version, fed_str(t->resource.version))) {
        changed = true;
        forget_objects(t);
        if (version.n) {
            t->resource.version = fed_strdup_str(version);
            watch_objects(t, false);
        }
    }
    if (changed)
        wake(t);
    fed_arena_release(&a);
}

static void on_definition(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_there *t = ud;
    look_at_definition(t);
    if (old && now && old->generation != now->generation) {
        /* What was written before may have lost fields that the schema did not have yet, without a word. And a server
         * may take a while to go by the new one. */
        fapi_due_replicate_kind(t->member, t->kind, 0);
        fapi_due_replicate_kind(t->member, t->kind, SCHEMA_SETTLES_MS);
    }
    if (!now)
        fapi_due_definition(t->kind);
}

static void definition_synced(void *ud)
{
    look_at_definition(ud);
}

static void watch_definition(struct fapi_there *t)
{
    struct fed_arena a = {0};
    struct fed_informer_conf conf = {.resource = &t->member->fed->definitions->resource,
                                     .field_selector = fed_arena_printf(&a, "metadata.name=%s", t->kind->definition).p,
                                     .optional = true};
    struct fed_informer_handlers h = {.changed = on_definition, .synced = definition_synced, .ud = t};
    t->definition = fapi_member_informer(t->member, &conf, &h);
    fed_arena_release(&a);
}

/* --- life --- */

void fapi_member_kind_start(struct fapi_member *m, struct fapi_kind *k)
{
    if (!m->nodes) /* not connected */
        return;
    if (k->index >= m->n_there) {
        size_t n = m->fed->cap_kinds;
        m->there = fed_realloc(m->there, n * sizeof(struct fapi_there *));
        memset(m->there + m->n_there, 0, (n - m->n_there) * sizeof(struct fapi_there *));
        m->n_there = n;
    }
    struct fapi_there *t = FED_NEW(struct fapi_there);
    t->member = m;
    t->kind = k;
    t->resource = k->resource;
    m->there[k->index] = t;
    if (k->custom) {
        t->resource.version = NULL;
        watch_definition(t);
    } else {
        watch_objects(t, true);
    }
}

void fapi_member_kind_stop(struct fapi_member *m, struct fapi_kind *k)
{
    struct fapi_there *t = fapi_member_there(m, k);
    if (!t)
        return;
    m->there[k->index] = NULL;
    forget_objects(t);
    fed_informer_free(t->definition);
    free(t->why);
    free(t);
}

void fapi_member_kind_look(struct fapi_member *m, struct fapi_kind *k)
{
    struct fapi_there *t = fapi_member_there(m, k);
    if (t && t->definition)
        look_at_definition(t);
}
