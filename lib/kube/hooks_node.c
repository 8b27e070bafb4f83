/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_node.c: Node, Lease and RuntimeClass. */
#include "kube/kind_rules.h"
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec_priv.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static void validate_node(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    (void)ud;
    fed_rules_node(fed_json_find(w->old, "spec"), fed_json_find(obj, "spec"), c);
    fed_rules_node_status(fed_json_find(obj, "status"), c);
}

static struct fed_str node_status(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *ready = fed_obj_condition(fed_json_find(obj, "status"), "Ready");
    struct fed_str s = fed_json_find_text(ready, "status");
    const char *word = fed_str_is(s, "True") ? "Ready" : ready ? "NotReady" : "Unknown";

    if (fed_json_bool(fed_json_at(obj, "spec", "unschedulable", NULL), false))
        return fed_arena_printf(a, "%s,SchedulingDisabled", word);
    return fed_str(word);
}

/* Roles are labels "node-role.kubernetes.io/ROLE" or kubernetes.io/role=ROLE. */
static struct fed_str node_roles(struct fed_arena *a, const struct fed_json *obj)
{
    struct fed_str prefix = FED_STR("node-role.kubernetes.io/"), out;
    struct fed_buf b;

    fed_buf_init(&b, 4096);
    FED_JSON_EACH(l, fed_json_at(obj, "metadata", "labels", NULL)) {
        struct fed_str role = {NULL, 0};

        if (fed_str_starts(l->key, prefix))
            role = fed_str_from(l->key, prefix.n);
        else if (fed_str_is(l->key, "kubernetes.io/role"))
            role = fed_json_str(l);
        if (!role.n)
            continue;
        if (b.n)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, role);
    }
    out = b.n ? fed_arena_dup(a, fed_buf_str(&b)) : FED_STR("<none>");
    fed_buf_release(&b);
    return out;
}

static struct fed_str node_address(const struct fed_json *obj, const char *type)
{
    FED_JSON_EACH(addr, fed_json_at(obj, "status", "addresses", NULL))
        if (fed_str_is(fed_json_find_text(addr, "type"), type))
            return fed_json_find_text(addr, "address");
    return (struct fed_str){NULL, 0};
}

static void node_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                       int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *info = fed_json_at(obj, "status", "nodeInfo", NULL);

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, node_status(a, obj));
    fed_cell_str(a, cells, node_roles(a, obj));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_str(a, cells, fed_json_find_text(info, "kubeletVersion"));
    fed_cell_or(a, cells, node_address(obj, "InternalIP"), "<none>");
    fed_cell_or(a, cells, node_address(obj, "ExternalIP"), "<none>");
    fed_cell_or(a, cells, fed_json_find_text(info, "osImage"), "<unknown>");
    fed_cell_or(a, cells, fed_json_find_text(info, "kernelVersion"), "<unknown>");
    fed_cell_or(a, cells, fed_json_find_text(info, "containerRuntimeVersion"), "<unknown>");
}

static void lease_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(fed_json_find(obj, "spec"), "holderIdentity"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

static void validate_lease(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *d = fed_json_at(obj, "spec", "leaseDurationSeconds", NULL);

    (void)ud;
    (void)w;
    if (d && fed_json_int(d, 1) <= 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.leaseDurationSeconds"), fed_shown(c->arena, d),
                       "must be greater than 0");
    fed_check_nonnegative(fed_json_find(obj, "spec"), "spec", "leaseTransitions", c);
}

/* One address of a list, and the list of one: who wrote either means both. */
void fed_kind_pair(struct fed_arena *a, struct fed_json *obj, const char *one, const char *list, const char *member)
{
    struct fed_json *all = fed_json_find(obj, list);
    struct fed_str text = fed_json_find_text(obj, one), first;

    if (text.n && (!all || !all->n)) {
        struct fed_json *item = fed_json_new_str(a, text);

        all = fed_json_set(obj, list, fed_json_array(a));
        if (member)
            fed_json_set(fed_json_push(all, fed_json_object(a)), member, item);
        else
            fed_json_push(all, item);
    } else if (!text.n && all && all->first) {
        first = member ? fed_json_find_text(all->first, member) : fed_json_str(all->first);
        if (first.n)
            fed_json_set(obj, one, fed_json_new_str(a, first));
    }
}

static int default_node(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    const struct fed_json *capacity = fed_json_find(status, "capacity");

    (void)ud;
    (void)err;
    if (spec)
        fed_kind_pair(w->arena, spec, "podCIDR", "podCIDRs", NULL);
    if (capacity && capacity->n && !fed_json_find(status, "allocatable"))
        fed_json_set(status, "allocatable", fed_json_copy(w->arena, capacity));
    return 0;
}

static void validate_runtime(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *nodes = fed_json_find(obj, "scheduling");
    struct fed_str handler = fed_json_find_text(obj, "handler");

    (void)ud;
    if (w->old) {
        fed_check_immutable(w->old, obj, "", "handler", c);
        return;
    }
    fed_check_name(c, handler, fed_name_check_label, fed_quoted(c->arena, handler), FED_STR("handler"));
    fed_check_labels(c, fed_json_find(nodes, "nodeSelector"), "scheduling.nodeSelector");
    fed_podspec_check_tolerations(fed_json_find(nodes, "tolerations"), "scheduling.tolerations", c);
}

static void runtime_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(obj, "handler"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_node[] = {
    {"node.k8s.io", "runtimeclasses", {.validate = validate_runtime, .cells = runtime_cells}},
    {"", "nodes", {.defaults = default_node, .validate = validate_node, .cells = node_cells}},
    {"coordination.k8s.io", "leases", {.validate = validate_lease, .cells = lease_cells}},
    {NULL, NULL, {0}}};
