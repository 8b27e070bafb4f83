/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/due.h"

#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/spread.h"

#define COALESCE_MS 10 /* of changes that become one status */

static void add(struct fed_workqueue *queue, struct fed_str key)
{
    if (queue)
        fed_workqueue_add(queue, key);
}

/* --- deciding --- */

void fapi_due_decide(struct fapi_federation *f, struct fed_str key)
{
    add(f->due.decide, key);
}

static bool decide_one(void *ud, struct fed_kobj *o)
{
    struct fapi_kind *k = ud;
    struct fed_arena a = {0};
    if (fapi_kind_goes(k, o))
        add(k->fed->due.decide, fapi_key(&a, k, o->ns, o->name));
    fed_arena_release(&a);
    return true;
}

void fapi_due_decide_kind(struct fapi_kind *k)
{
    fed_informer_each(k->hub, (struct fed_str){0}, decide_one, k);
}

void fapi_due_decide_all(struct fapi_federation *f)
{
    FAPI_KIND_EACH(k, f)
        fapi_due_decide_kind(k);
}

void fapi_due_decide_of_copy(struct fapi_federation *f, struct fed_str key)
{
    struct fapi_kind *k;
    struct fed_str ns, name;
    char *z = fed_strdup_str(key);
    if (fapi_key_parse(f, z, &k, &ns, &name)) {
        struct fed_kobj *hub = fed_informer_find(k->hub, ns, name);
        struct fapi_assignment *as = fapi_assignment_find(f, z);
        const struct fapi_spread_rule *rule = fapi_spread_find(fapi_kind_name(k));
        /* A part that is through may take what no cluster could. */
        bool leaves = hub && (hub->deleting || k->withdrawn || fapi_kind_is_withdrawn(k, hub));
        if (leaves || (hub && (rule && rule->fixed && as && as->problem)))
            add(f->due.decide, key);
    }
    free(z);
}

bool fapi_due_is_decided(const struct fapi_federation *f)
{
    return fed_workqueue_depth(f->due.decide) == 0;
}

/* --- replicating --- */

void fapi_due_replicate(struct fapi_member *m, struct fed_str key)
{
    add(m->due, key);
}

void fapi_due_replicate_everywhere(struct fapi_federation *f, struct fed_str key)
{
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m));)
        fapi_due_replicate(m, key);
}

struct walk {
    struct fapi_member *m;
    struct fapi_kind *kind;
    uint64_t delay_ms;
};

static bool replicate_one(void *ud, struct fed_kobj *o)
{
    struct walk *w = ud;
    struct fed_arena a = {0};
    struct fed_str key = fapi_key(&a, w->kind, o->ns, o->name);
    if (w->delay_ms)
        fed_workqueue_add_after(w->m->due, key, w->delay_ms);
    else
        fed_workqueue_add(w->m->due, key);
    fed_arena_release(&a);
    return true;
}

void fapi_due_replicate_kind(struct fapi_member *m, struct fapi_kind *k, uint64_t delay_ms)
{
    struct walk w = {m, k, delay_ms};
    if (!m->due)
        return;
    fed_informer_each(k->hub, (struct fed_str){0}, replicate_one, &w);
    fapi_member_each(m, k, replicate_one, &w);
}

void fapi_due_replicate_all(struct fapi_member *m)
{
    if (!m->due)
        return;
    FED_MAP_EACH(e, &m->fed->assignments)
        fed_workqueue_add(m->due, e->key);
    FAPI_KIND_EACH(k, m->fed) {
        struct walk w = {.m = m, .kind = k};
        fapi_member_each(m, k, replicate_one, &w);
    }
}

void fapi_due_definition(const struct fapi_kind *k)
{
    struct fapi_federation *f = k->fed;
    struct fed_arena a = {0};
    if (!k->definition || !f->definitions)
        return;
    struct fed_str key = fapi_key(&a, f->definitions, (struct fed_str){0}, fed_str(k->definition));
    fapi_due_decide(f, key);
    fapi_due_replicate_everywhere(f, key);
    fed_arena_release(&a);
}

/* --- the rest --- */

void fapi_due_status(struct fapi_federation *f, struct fed_str key)
{
    if (f->due.status)
        fed_workqueue_add_after(f->due.status, key, COALESCE_MS);
}

void fapi_due_service(struct fapi_federation *f, struct fed_str ns, struct fed_str name)
{
    char *key = fed_asprintf("%.*s/%.*s", FED_STR_ARG(ns), FED_STR_ARG(name));
    add(f->due.services, fed_str(key));
    free(key);
}

static bool service_one(void *ud, struct fed_kobj *o)
{
    fapi_due_service(ud, o->ns, o->name);
    return true;
}

void fapi_due_services(struct fapi_federation *f)
{
    if (f->due.services)
        fed_informer_each(fapi_kind_find(f, "", "services")->hub, (struct fed_str){0}, service_one, f);
}

void fapi_due_edge(const struct fapi_member *m)
{
    add(m->fed->due.edges, fed_str(m->name));
}

void fapi_due_report(const struct fapi_member *m)
{
    add(m->fed->due.reports, fed_str(m->name));
}

void fapi_due_settle(struct fapi_member *m)
{
    fed_task_post(m->fed->env, &m->settle, m->settle.cb);
}
