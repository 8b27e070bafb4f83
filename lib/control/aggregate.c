/* SPDX-License-Identifier: Apache-2.0 */
#include "control/aggregate.h"

#include "base/mem.h"
#include "control/pass.h"
#include "kube/informer.h"
#include "kube/selector.h"

static const struct fed_resource clusterroles = {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole",
                                                 false};

struct fed_aggregate {
    struct fed_transport *transport;
    struct fed_informer *informer;
    struct fed_passes passes;
};

static void updated(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    fed_pass_end(ud, code == FED_E_NOT_FOUND ? 0 : code);
}

struct sum {
    struct fed_arena *a;
    struct fed_selector *selectors;
    size_t n_selectors;
    struct fed_str self;
    const struct fed_kobj **from;
    size_t n, cap;
};

static bool pick(void *ud, struct fed_kobj *o)
{
    struct sum *s = ud;
    bool yes = false;
    for (size_t i = 0; i < s->n_selectors && !yes; i++)
        yes = fed_selector_matches(&s->selectors[i], o->labels, o->n_labels);
    if (!yes || fed_str_eq(o->name, s->self))
        return true;
    FED_ARENA_ROOM(s->a, s->from, s->n, s->cap, 16);
    s->from[s->n++] = o;
    return true;
}

static int by_name(const void *x, const void *y)
{
    return fed_str_cmp((*(struct fed_kobj *const *)x)->name, (*(struct fed_kobj *const *)y)->name);
}

static void add_rules(struct fed_json *sum, struct fed_json *rules)
{
    FED_JSON_EACH_SAFE(r, rules) {
        bool has = false;
        FED_JSON_EACH(s, sum)
            has = has || fed_json_equal(s, r);
        if (has)
            continue;
        fed_json_remove(r);
        fed_json_push(sum, r);
    }
}

/* The rules that the role should have; NULL: it is not aggregated, or its rule is malformed. */
static struct fed_json *sum_of(struct fed_aggregate *c, struct fed_arena *a, const struct fed_kobj *role,
                               const struct fed_json *tree)
{
    const struct fed_json *list = fed_json_at(tree, "aggregationRule", "clusterRoleSelectors", NULL);
    if (!list || list->type != FED_JSON_ARRAY)
        return NULL;
    struct sum s = {.a = a, .self = role->name, .selectors = FED_ARENA_ARRAY(a, struct fed_selector, list->n + 1)};
    FED_JSON_EACH(sel, list)
        if (fed_selector_from_json(a, sel, &s.selectors[s.n_selectors++], NULL))
            return NULL;
    fed_informer_each(c->informer, FED_STR(""), pick, &s);
    if (s.n)
        qsort(s.from, s.n, sizeof(*s.from), by_name);
    struct fed_json *rules = fed_json_array(a);
    for (size_t i = 0; i < s.n; i++)
        add_rules(rules, fed_json_find(fed_kobj_parse(s.from[i], a), "rules"));
    return rules;
}

static void work(void *ud, const char *key)
{
    struct fed_aggregate *c = ud;
    struct fed_arena a = {0};
    struct fed_kobj *role = fed_informer_find(c->informer, FED_STR(""), fed_str(key));
    struct fed_json *tree = role && !role->deleting ? fed_kobj_parse(role, &a) : NULL;
    struct fed_json *rules = tree ? sum_of(c, &a, role, tree) : NULL;
    const struct fed_json *have = fed_json_find(tree, "rules");
    if (!rules || (have && have->n ? fed_json_equal(have, rules) : !rules->n)) {
        fed_arena_release(&a);
        fed_workqueue_done(c->passes.queue, key, 0);
        return;
    }
    fed_json_set(tree, "rules", rules);
    struct fed_pass *p = fed_pass_new(&c->passes, key);
    p->call = fed_client_update(c->transport, &clusterroles, tree, "", updated, p);
    fed_arena_release(&a);
}

static bool queue_sums(void *ud, struct fed_kobj *o)
{
    struct fed_aggregate *c = ud;
    struct fed_arena a = {0};
    if (fed_json_find(fed_kobj_parse(o, &a), "aggregationRule"))
        fed_workqueue_add(c->passes.queue, o->name);
    fed_arena_release(&a);
    return true;
}

/* Whatever changed may be selected by any: there are few that sum up. */
static void changed(void *ud, struct fed_kobj *old FED_UNUSED, struct fed_kobj *now FED_UNUSED)
{
    struct fed_aggregate *c = ud;
    if (fed_informer_synced(c->informer))
        fed_informer_each(c->informer, FED_STR(""), queue_sums, c);
}

static void synced(void *ud)
{
    changed(ud, NULL, NULL);
}

struct fed_aggregate *fed_aggregate_new(struct fed_transport *transport)
{
    struct fed_aggregate *c = FED_NEW(struct fed_aggregate);
    c->transport = transport;
    c->informer = fed_informer_new(&(struct fed_informer_conf){.transport = transport, .resource = &clusterroles});
    fed_passes_init(
        &c->passes,
        &(struct fed_workqueue_conf){.env = transport->env, .name = "clusterrole-aggregation", .work = work, .ud = c},
        NULL);
    fed_informer_add_handlers(c->informer,
                              &(struct fed_informer_handlers){.changed = changed, .synced = synced, .ud = c});
    fed_informer_start(c->informer);
    return c;
}

void fed_aggregate_free(struct fed_aggregate *c)
{
    if (!c)
        return;
    fed_passes_release(&c->passes);
    fed_informer_free(c->informer);
    free(c);
}
