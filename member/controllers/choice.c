/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/choice.h"

#include <stdlib.h>

#include "base/mem.h"
#include "kube/quantity.h"

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

struct fed_str mbr_label(const struct fed_kv *labels, size_t n, struct fed_str key)
{
    for (size_t i = 0; i < n; i++)
        if (fed_str_eq(labels[i].key, key))
            return labels[i].value;
    return (struct fed_str){0};
}

bool mbr_node_selected(const struct fed_json *sel, const struct fed_kv *labels, size_t n)
{
    FED_JSON_EACH(s, sel) {
        struct fed_str v = mbr_label(labels, n, s->key);
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

/* The first taint that keeps the pod away, or NULL. */
static const struct fed_json *keeps_away(const struct fed_json *tolerations, const struct fed_json *taints)
{
    FED_JSON_EACH(t, taints)
        if (!fed_str_is(fed_json_find_text(t, "effect"), "PreferNoSchedule") && !tolerates_one(tolerations, t))
            return t;
    return NULL;
}

bool mbr_tolerates(const struct fed_json *tolerations, const struct fed_json *taints)
{
    return !keeps_away(tolerations, taints);
}

static bool compares(struct fed_str v, const struct fed_json *values, bool greater)
{
    int64_t have, want;
    if (!v.p || fed_str_i64(v, &have) < 0 || fed_str_i64(fed_json_str(fed_json_item(values, 0)), &want) < 0)
        return false;
    return greater ? have > want : have < want;
}

static bool expression_holds(const struct fed_json *e, struct fed_str v)
{
    struct fed_str op = fed_json_find_text(e, "operator");
    const struct fed_json *values = fed_json_find(e, "values");
    bool in = false;
    FED_JSON_EACH(x, values)
        in = in || (v.p && fed_str_eq(v, fed_json_str(x)));
    if (fed_str_is(op, "In"))
        return in;
    if (fed_str_is(op, "NotIn"))
        return !in;
    if (fed_str_is(op, "Exists"))
        return v.p != NULL;
    if (fed_str_is(op, "Gt") || fed_str_is(op, "Lt"))
        return compares(v, values, fed_str_is(op, "Gt"));
    return fed_str_is(op, "DoesNotExist") && v.p == NULL;
}

/* A term that says nothing matches no node. */
static bool term_holds(const struct fed_json *t, const struct mbr_node_state *n)
{
    const struct fed_json *labels = fed_json_find(t, "matchExpressions"), *fields = fed_json_find(t, "matchFields");
    if ((!labels || !labels->n) && (!fields || !fields->n))
        return false;
    FED_JSON_EACH(e, labels)
        if (!expression_holds(e, mbr_label(n->labels, n->n_labels, fed_json_find_text(e, "key"))))
            return false;
    FED_JSON_EACH(e, fields)
        if (!expression_holds(e, fed_str_is(fed_json_find_text(e, "key"), "metadata.name") ? n->name
                                                                                           : (struct fed_str){0}))
            return false;
    return true;
}

bool mbr_node_affine(const struct fed_json *affinity, const struct mbr_node_state *n)
{
    const struct fed_json *terms = fed_json_at(
        affinity, "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", NULL);
    if (!terms)
        return true;
    FED_JSON_EACH(t, terms)
        if (term_holds(t, n))
            return true;
    return false;
}

/* --- what keeps a pod from a node --- */

void mbr_refuse(struct mbr_refusal *r, struct fed_str why, bool final)
{
    if (r->n < MBR_WHYS)
        r->why[r->n++] = why;
    r->final = r->final || final;
}

static bool port_taken(const struct mbr_node_state *n, const struct mbr_pod_need *need)
{
    for (size_t i = 0; i < need->n_host_ports; i++)
        for (size_t k = 0; k < n->n_host_ports; k++)
            if (need->host_ports[i] == n->host_ports[k])
                return true;
    return false;
}

static bool tolerates_cordon(const struct fed_json *tolerations)
{
    FED_JSON_EACH(t, tolerations) {
        struct fed_str key = fed_json_find_text(t, "key"), effect = fed_json_find_text(t, "effect");
        if ((!effect.n || fed_str_is(effect, "NoSchedule")) &&
            (key.n ? fed_str_is(key, "node.kubernetes.io/unschedulable")
                   : fed_str_is(fed_json_find_text(t, "operator"), "Exists")))
            return true;
    }
    return false;
}

static void judge_room(struct fed_arena *a, const struct mbr_node_state *n, const struct mbr_pod_need *need,
                       struct mbr_refusal *r)
{
    if (n->used_pods >= n->pods)
        mbr_refuse(r, FED_STR("Too many pods"), false);
    if (need->cpu_milli && n->used_cpu + need->cpu_milli > n->cpu_milli)
        mbr_refuse(r, FED_STR("Insufficient cpu"), need->cpu_milli > n->cpu_milli);
    if (need->memory && n->used_memory + need->memory > n->memory)
        mbr_refuse(r, FED_STR("Insufficient memory"), need->memory > n->memory);
    for (size_t i = 0; i < need->n_extras; i++) {
        struct fed_str text = fed_json_str(fed_json_find_str(n->allocatable, need->extras[i].name));
        int64_t all = 0;
        if (text.p && fed_quantity_units(text, &all) < 0)
            all = 0;
        if (need->extras[i].n && n->used_extras[i] + need->extras[i].n > all)
            mbr_refuse(r, fed_arena_printf(a, "Insufficient %.*s", FED_STR_ARG(need->extras[i].name)),
                       need->extras[i].n > all);
    }
}

/* A node that is not ready has a taint for that soon (nodelife.c), which a pod may tolerate. */
static bool said_by_taint(const struct fed_json *taints)
{
    FED_JSON_EACH(t, taints) {
        struct fed_str key = fed_json_find_text(t, "key");
        if (fed_str_is(key, "node.kubernetes.io/not-ready") || fed_str_is(key, "node.kubernetes.io/unreachable"))
            return true;
    }
    return false;
}

void mbr_node_judge(struct fed_arena *a, const struct mbr_node_state *n, const struct mbr_pod_need *need,
                    struct mbr_refusal *r)
{
    const struct fed_json *taint = keeps_away(need->tolerations, n->taints);
    *r = (struct mbr_refusal){0};
    if (n->cordoned && !tolerates_cordon(need->tolerations))
        mbr_refuse(r, FED_STR("node(s) were unschedulable"), true);
    else if (!n->ready && !said_by_taint(n->taints))
        mbr_refuse(r, FED_STR("node(s) were not ready"), true);
    else if (taint)
        mbr_refuse(r,
                   fed_arena_printf(a, "node(s) had untolerated taint {%.*s: %.*s}",
                                    FED_STR_ARG(fed_json_find_text(taint, "key")),
                                    FED_STR_ARG(fed_json_find_text(taint, "value"))),
                   true);
    else if (!mbr_node_selected(need->node_selector, n->labels, n->n_labels) || !mbr_node_affine(need->affinity, n))
        mbr_refuse(r, FED_STR("node(s) didn't match Pod's node affinity/selector"), true);
    else if (port_taken(n, need))
        mbr_refuse(r, FED_STR("node(s) didn't have free ports for the requested pod ports"), false);
    else
        judge_room(a, n, need, r);
}

struct reason {
    struct fed_str why;
    size_t n;
    char text[24]; /* the number: Kubernetes sorts by the whole text, number included */
};

static int by_text(const void *pa, const void *pb)
{
    const struct reason *a = pa, *b = pb;
    int c = strcmp(a->text, b->text);
    return c ? c : fed_str_cmp(a->why, b->why);
}

void mbr_explain(const struct mbr_refusal *refusals, size_t n, struct fed_buf *out)
{
    struct reason *list = fed_calloc(n * MBR_WHYS + 1, sizeof(*list));
    size_t kinds = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < refusals[i].n; w++) {
            size_t k = 0;
            while (k < kinds && !fed_str_eq(list[k].why, refusals[i].why[w]))
                k++;
            if (k == kinds)
                list[kinds++].why = refusals[i].why[w];
            list[k].n++;
        }
    for (size_t k = 0; k < kinds; k++)
        snprintf(list[k].text, sizeof(list[k].text), "%zu ", list[k].n);
    qsort(list, kinds, sizeof(*list), by_text);
    fed_buf_addf(out, "0/%zu nodes are available:", n);
    for (size_t k = 0; k < kinds; k++)
        fed_buf_addf(out, "%s %s%.*s", k ? "," : "", list[k].text, FED_STR_ARG(list[k].why));
    fed_buf_addc(out, '.');
    free(list);
}

/* --- which of those that could --- */

void mbr_score_add(int64_t *scores, const int64_t *values, size_t n, bool reversed, int64_t weight)
{
    int64_t most = 0, least = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        most = FED_MAX(most, values[i]);
        least = FED_MIN(least, values[i]);
    }
    for (size_t i = 0; i < n && (most > least || reversed); i++) {
        int64_t share = most > least ? (values[i] - least) * MBR_SCORE / (most - least) : 0;
        scores[i] += weight * (reversed ? MBR_SCORE - share : share);
    }
}

static int64_t preferred(const struct fed_json *affinity, const struct mbr_node_state *n)
{
    int64_t sum = 0;
    FED_JSON_EACH(p, fed_json_at(affinity, "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", NULL))
        if (term_holds(fed_json_find(p, "preference"), n))
            sum += fed_json_int(fed_json_find(p, "weight"), 0);
    return sum;
}

static int64_t better_avoided(const struct fed_json *tolerations, const struct fed_json *taints)
{
    int64_t sum = 0;
    FED_JSON_EACH(t, taints)
        sum += fed_str_is(fed_json_find_text(t, "effect"), "PreferNoSchedule") && !tolerates_one(tolerations, t);
    return sum;
}

static int64_t free_part(int64_t all, int64_t asked)
{
    return all > 0 && asked < all ? (int64_t)((__int128)(all - asked) * MBR_SCORE / all) : 0;
}

int mbr_node_best(struct fed_arena *a, const struct mbr_node_state *nodes, size_t n, const struct mbr_pod_need *need,
                  const struct mbr_refusal *refusals, const int64_t *scores)
{
    size_t *at = FED_ARENA_ARRAY(a, size_t, n + 1), m = 0;
    int64_t *sum = FED_ARENA_ARRAY(a, int64_t, n + 1), *wish = FED_ARENA_ARRAY(a, int64_t, n + 1),
            *bad = FED_ARENA_ARRAY(a, int64_t, n + 1);
    int best = -1;
    for (size_t i = 0; i < n; i++) {
        if (refusals[i].n)
            continue;
        at[m] = i;
        wish[m] = preferred(need->affinity, &nodes[i]);
        bad[m] = better_avoided(need->tolerations, nodes[i].taints);
        sum[m] = (free_part(nodes[i].cpu_milli, nodes[i].asked_cpu + need->asked_cpu) +
                  free_part(nodes[i].memory, nodes[i].asked_memory + need->asked_memory)) /
                 2;
        sum[m++] += scores ? scores[i] : 0;
    }
    mbr_score_add(sum, wish, m, false, 2);
    mbr_score_add(sum, bad, m, true, 3);
    for (size_t k = 0; k < m; k++)
        if (best < 0 || sum[k] > sum[best] ||
            (sum[k] == sum[best] && nodes[at[k]].used_pods < nodes[at[best]].used_pods))
            best = (int)k;
    return best < 0 ? -1 : (int)at[best];
}
