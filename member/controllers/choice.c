/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/choice.h"

#include "base/mem.h"

static int order(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

int mbr_victim_cmp(const void *pa, const void *pb)
{
    const struct mbr_victim *a = pa, *b = pb;
    int c = order(a->assigned, b->assigned);
    c = c ? c : order(a->running, b->running);
    c = c ? c : order(a->ready, b->ready);
    c = c ? c : order(a->cost, b->cost);
    c = c ? c : order(b->siblings, a->siblings);
    c = c ? c : order(b->ready_ms, a->ready_ms);
    c = c ? c : order(b->restarts, a->restarts);
    return c ? c : order(b->created_ms, a->created_ms);
}

static struct fed_str label(const struct fed_kv *labels, size_t n, struct fed_str key)
{
    for (size_t i = 0; i < n; i++)
        if (fed_str_eq(labels[i].key, key))
            return labels[i].value;
    return (struct fed_str){0};
}

bool mbr_node_selected(const struct fed_json *sel, const struct fed_kv *labels, size_t n)
{
    FED_JSON_EACH(s, sel) {
        struct fed_str v = label(labels, n, s->key);
        if (!v.p || !fed_str_eq(v, fed_json_str(s)))
            return false;
    }
    return true;
}

static bool covers(const struct fed_json *toleration, const struct fed_json *taint)
{
    struct fed_str key = fed_json_find_text(toleration, "key"), effect = fed_json_find_text(toleration, "effect");
    bool exists = fed_str_is(fed_json_find_text(toleration, "operator"), "Exists");
    if (effect.n && !fed_str_eq(effect, fed_json_find_text(taint, "effect")))
        return false;
    if (key.n ? !fed_str_eq(key, fed_json_find_text(taint, "key")) : !exists)
        return false;
    return exists || fed_str_eq(fed_json_find_text(toleration, "value"), fed_json_find_text(taint, "value"));
}

static bool tolerates_one(const struct fed_json *tolerations, const struct fed_json *taint)
{
    FED_JSON_EACH(t, tolerations)
        if (covers(t, taint))
            return true;
    return false;
}

int64_t mbr_tolerated_for(const struct fed_json *tolerations, const struct fed_json *taints)
{
    int64_t least = -1;
    FED_JSON_EACH(taint, taints) {
        if (!fed_str_is(fed_json_find_text(taint, "effect"), "NoExecute"))
            continue;
        if (!tolerates_one(tolerations, taint))
            return 0;
        FED_JSON_EACH(t, tolerations) {
            int64_t s = fed_json_int(fed_json_find(t, "tolerationSeconds"), -1);
            if (covers(t, taint) && fed_json_find(t, "tolerationSeconds") && (least < 0 || s < least))
                least = FED_MAX(s, 0);
        }
    }
    return least;
}

bool mbr_tolerates(const struct fed_json *tolerations, const struct fed_json *taints)
{
    FED_JSON_EACH(t, taints) {
        if (!fed_str_is(fed_json_find_text(t, "effect"), "PreferNoSchedule") && !tolerates_one(tolerations, t))
            return false;
    }
    return true;
}

static bool expression_holds(const struct fed_json *e, const struct mbr_node_state *n)
{
    struct fed_str op = fed_json_find_text(e, "operator");
    struct fed_str v = label(n->labels, n->n_labels, fed_json_find_text(e, "key"));
    bool in = false;
    FED_JSON_EACH(x, fed_json_find(e, "values"))
        in = in || (v.p && fed_str_eq(v, fed_json_str(x)));
    if (fed_str_is(op, "In"))
        return in;
    if (fed_str_is(op, "NotIn"))
        return !in;
    if (fed_str_is(op, "Exists"))
        return v.p != NULL;
    return fed_str_is(op, "DoesNotExist") && v.p == NULL;
}

static bool affinity_holds(const struct fed_json *affinity, const struct mbr_node_state *n)
{
    const struct fed_json *terms = fed_json_at(
        affinity, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL);
    if (!terms)
        return true;
    FED_JSON_EACH(t, terms) {
        bool all = fed_json_find(t, "matchExpressions") != NULL;
        FED_JSON_EACH(e, fed_json_find(t, "matchExpressions"))
            all = all && expression_holds(e, n);
        if (all)
            return true;
    }
    return false;
}

const char *mbr_node_refuses(const struct mbr_node_state *n, const struct mbr_pod_need *need)
{
    if (n->cordoned)
        return "node(s) were unschedulable";
    if (!n->ready)
        return "node(s) were not ready";
    if (!mbr_node_selected(need->node_selector, n->labels, n->n_labels) || !affinity_holds(need->affinity, n))
        return "node(s) didn't match Pod's node affinity/selector";
    if (!mbr_tolerates(need->tolerations, n->taints))
        return "node(s) had untolerated taint(s)";
    for (size_t i = 0; i < need->n_host_ports; i++)
        for (size_t k = 0; k < n->n_host_ports; k++)
            if (need->host_ports[i] == n->host_ports[k])
                return "node(s) didn't have free ports for the requested pod ports";
    if (n->used_pods >= n->pods)
        return "Too many pods";
    if (need->cpu_milli && n->used_cpu + need->cpu_milli > n->cpu_milli)
        return "Insufficient cpu";
    if (need->memory && n->used_memory + need->memory > n->memory)
        return "Insufficient memory";
    return NULL;
}

static void explain(const char *const *reasons, size_t n, struct fed_buf *why)
{
    fed_buf_addf(why, "0/%zu nodes are available:", n);
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        bool told = false;
        for (size_t k = 0; k < n; k++) {
            same += reasons[k] == reasons[i];
            told = told || (k < i && reasons[k] == reasons[i]);
        }
        if (!told)
            fed_buf_addf(why, "%s %zu %s", i ? "," : "", same, reasons[i]);
    }
    fed_buf_addc(why, '.');
}

int mbr_node_choose(const struct mbr_node_state *nodes, size_t n, const struct mbr_pod_need *need, struct fed_buf *why)
{
    int best = -1;
    const char **reasons = fed_calloc(n + 1, sizeof(*reasons));
    for (size_t i = 0; i < n; i++) {
        reasons[i] = mbr_node_refuses(&nodes[i], need);
        if (!reasons[i] && (best < 0 || nodes[i].used_pods < nodes[best].used_pods))
            best = (int)i;
    }
    if (best < 0 && why)
        explain(reasons, n, why);
    free(reasons);
    return best;
}
