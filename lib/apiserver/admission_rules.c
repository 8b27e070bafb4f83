/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in rules: limit ranges and priorities. (Quota: quota.h.) */
#include "apiserver/admission.h"
#include "kube/limits.h"

static const struct fed_str none = {NULL, 0};

static struct fed_kcache *served(struct fed_api *api, const char *group, const char *plural)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, fed_str(group), FED_STR("v1"), fed_str(plural));
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

static bool is_core(const struct fed_write_op *op, const char *plural)
{
    return !op->w.kind->group.n && fed_str_is(op->w.kind->plural, plural);
}

/* --- limit ranges --- */

struct ranges {
    struct fed_write_op *op;
    struct fed_json *wrong; /* NULL: fill in */
};

static bool each_range(void *ud, struct fed_kobj *o)
{
    struct ranges *k = ud;
    struct fed_arena *a = k->op->w.arena;
    const struct fed_json *range = fed_kobj_parse(o, a);
    if (!k->wrong)
        fed_limits_default(a, range, k->op->obj);
    else
        fed_limits_check(a, range, k->op->obj, is_core(k->op, "pods"), k->wrong);
    return true;
}

static void walk_ranges(struct fed_write_op *op, struct fed_json *wrong)
{
    struct fed_kcache *kc = served(op->r->api, "", "limitranges");
    struct ranges k = {op, wrong};
    if (kc && kc->n)
        fed_tree_walk(kc->root, op->r->q.ns, none, none, each_range, &k);
}

/* --- priorities --- */

struct pick {
    struct fed_kobj *best;
    int64_t value;
};

static bool each_class(void *ud, struct fed_kobj *o)
{
    struct pick *p = ud;
    struct fed_arena scratch = {0};
    const struct fed_json *c = fed_kobj_parse(o, &scratch);
    int64_t value = fed_json_int(fed_json_find(c, "value"), 0);
    if (fed_json_bool(fed_json_find(c, "globalDefault"), false) && (!p->best || value < p->value)) {
        p->best = o;
        p->value = value;
    }
    fed_arena_release(&scratch);
    return true;
}

/* The classes that every cluster has. */
static bool system_class(struct fed_str name, int64_t *value)
{
    *value = fed_str_is(name, "system-node-critical") ? 2000001000 : 2000000000;
    return fed_str_is(name, "system-node-critical") || fed_str_is(name, "system-cluster-critical");
}

static int resolve_priority(struct fed_write_op *op)
{
    struct fed_arena *a = op->w.arena;
    struct fed_json *spec = fed_json_find(op->obj, "spec");
    struct fed_kcache *kc = served(op->r->api, "scheduling.k8s.io", "priorityclasses");
    struct fed_str name = fed_json_find_text(spec, "priorityClassName"), preempt = FED_STR("PreemptLowerPriority");
    const struct fed_json *given = fed_json_find(spec, "priority");
    struct pick p = {0};
    if (!kc || !spec || spec->type != FED_JSON_OBJECT)
        return 0;
    struct fed_kobj *o = name.n ? fed_cache_find(kc, none, name) : NULL;
    if (!name.n) {
        fed_tree_walk(kc->root, none, none, none, each_class, &p);
        o = p.best;
        if (o)
            fed_json_set(spec, "priorityClassName", fed_json_new_str(a, fed_arena_dup(a, o->name)));
    } else if (!o && !system_class(name, &p.value)) {
        return fed_err_set(&op->err, FED_E_FORBIDDEN, "no PriorityClass with name %.*s was found", FED_STR_ARG(name));
    }
    if (o) {
        const struct fed_json *class = fed_kobj_parse(o, a);
        struct fed_str policy = fed_json_find_text(class, "preemptionPolicy");
        p.value = fed_json_int(fed_json_find(class, "value"), 0);
        if (policy.n)
            preempt = policy;
    }
    if (given && fed_json_int(given, p.value) != p.value)
        return fed_err_set(&op->err, FED_E_FORBIDDEN,
                           "the integer value of priority (%lld) must not be provided in pod spec; priority admission "
                           "controller computed %lld from the given PriorityClass name",
                           (long long)fed_json_int(given, 0), (long long)p.value);
    fed_json_set(spec, "priority", fed_json_new_int(a, p.value));
    if (!fed_json_find_text(spec, "preemptionPolicy").n)
        fed_json_set(spec, "preemptionPolicy", fed_json_new_str(a, preempt));
    return 0;
}

static int check_one_default(struct fed_write_op *op)
{
    struct pick p = {0};
    if (!fed_json_bool(fed_json_find(op->obj, "globalDefault"), false))
        return 0;
    fed_tree_walk(op->r->kc->root, none, none, none, each_class, &p);
    if (!p.best || fed_str_eq(p.best->name, op->r->q.name))
        return 0;
    return fed_err_set(&op->err, FED_E_FORBIDDEN,
                       "PriorityClass %.*s is already marked as default. Only one default can exist",
                       FED_STR_ARG(p.best->name));
}

/* --- the two places --- */

int fed_admission_defaults(struct fed_write_op *op)
{
    if (op->w.subresource.n || !op->create || !is_core(op, "pods"))
        return 0;
    walk_ranges(op, NULL);
    return resolve_priority(op);
}

int fed_admission_limits(struct fed_write_op *op)
{
    bool pods = op->create && is_core(op, "pods");
    if (op->w.subresource.n)
        return 0;
    if (fed_str_is(op->w.kind->kind, "PriorityClass") && fed_str_is(op->w.kind->group, "scheduling.k8s.io"))
        return check_one_default(op);
    if (!pods && !is_core(op, "persistentvolumeclaims"))
        return 0;
    struct fed_json *wrong = fed_json_array(op->w.arena);
    walk_ranges(op, wrong);
    if (!wrong->n)
        return 0;
    return fed_err_set(&op->err, FED_E_FORBIDDEN, "%.*s", FED_STR_ARG(fed_limits_join(op->w.arena, wrong)));
}
