/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/peers.h"

#include "base/map.h"
#include "base/mem.h"
#include "kube/selector.h"

#define REQUIRED  "requiredDuringSchedulingIgnoredDuringExecution"
#define PREFERRED "preferredDuringSchedulingIgnoredDuringExecution"
enum { MAX_TERMS = 64, WEIGHT = 2, SIBLING_SKEW = 3 };

bool mbr_speaks_of_pods(const struct fed_json *affinity)
{
    return fed_json_find(affinity, "podAffinity") || fed_json_find(affinity, "podAntiAffinity");
}

/* --- domains --- */

struct domains {
    int *of; /* of each node; -1: it has no such label */
    size_t n;
};

static struct domains domains_of(struct fed_arena *a, const struct mbr_peers *in, struct fed_str key)
{
    struct domains d = {.of = FED_ARENA_ARRAY(a, int, in->n_nodes + 1)};
    struct fed_map seen = {0};
    for (size_t i = 0; i < in->n_nodes; i++) {
        struct fed_str v = mbr_label(in->nodes[i].labels, in->nodes[i].n_labels, key);
        uintptr_t at = v.p ? (uintptr_t)fed_map_find(&seen, v) : 0;
        if (v.p && !at)
            fed_map_set(&seen, v, (void *)(at = ++d.n));
        d.of[i] = (int)at - 1;
    }
    fed_map_release(&seen);
    return d;
}

static int domain_of_peer(const struct mbr_peers *in, const struct domains *d, const struct mbr_peer *p)
{
    return p->gone || p->node >= in->n_nodes ? -1 : d->of[p->node];
}

/* --- terms --- */

struct who { /* a pod as others see it */
    struct fed_str ns;
    const struct fed_kv *labels;
    size_t n_labels;
};
struct term {
    const struct fed_json *json;
    struct fed_selector pods, spaces;
    struct who of; /* who has the term */
    struct fed_str key;
    int64_t weight;
};

static struct who self(const struct mbr_peers *in)
{
    return (struct who){in->ns, in->labels, in->n_labels};
}

static struct who other(const struct mbr_peer *p)
{
    return (struct who){p->ns, p->labels, p->n_labels};
}

/* Terms that cannot be read match nothing. */
static size_t read_terms(struct fed_arena *a, const struct fed_json *affinity, const char *kind, bool required,
                         struct who of, struct term *out)
{
    size_t n = 0;
    FED_JSON_EACH(t, fed_json_at(affinity, kind, required ? REQUIRED : PREFERRED, NULL)) {
        const struct fed_json *json = required ? t : fed_json_find(t, "podAffinityTerm");
        if (n == MAX_TERMS)
            break;
        struct term *x = &out[n++];
        *x = (struct term){.json = json,
                           .of = of,
                           .key = fed_json_find_text(json, "topologyKey"),
                           .weight = required ? 1 : fed_json_int(fed_json_find(t, "weight"), 0)};
        if (fed_selector_from_json(a, fed_json_find(json, "labelSelector"), &x->pods, NULL) < 0)
            x->pods.nothing = true;
        if (fed_selector_from_json(a, fed_json_find(json, "namespaceSelector"), &x->spaces, NULL) < 0)
            x->spaces.nothing = true;
    }
    return n;
}

static bool space_matches(const struct mbr_peers *in, const struct term *t, struct fed_str ns)
{
    const struct fed_json *names = fed_json_find(t->json, "namespaces");
    if ((!names || !names->n) && t->spaces.nothing)
        return fed_str_eq(ns, t->of.ns);
    FED_JSON_EACH(n, names)
        if (fed_str_eq(fed_json_str(n), ns))
            return true;
    if (t->spaces.nothing)
        return false;
    if (!t->spaces.n)
        return true;
    for (size_t i = 0; i < in->n_namespaces; i++)
        if (fed_str_eq(in->namespaces[i]->name, ns))
            return fed_selector_matches(&t->spaces, in->namespaces[i]->labels, in->namespaces[i]->n_labels);
    return false;
}

/* Labels named in matchLabelKeys are the same in both, those in mismatchLabelKeys are not. */
static bool keys_match(const struct fed_json *keys, bool same, struct who of, struct who pod)
{
    FED_JSON_EACH(k, keys) {
        struct fed_str mine = mbr_label(of.labels, of.n_labels, fed_json_str(k));
        struct fed_str theirs = mbr_label(pod.labels, pod.n_labels, fed_json_str(k));
        if (mine.p && (theirs.p && fed_str_eq(mine, theirs)) != same)
            return false;
    }
    return true;
}

static bool term_matches(const struct mbr_peers *in, const struct term *t, struct who pod)
{
    return space_matches(in, t, pod.ns) && fed_selector_matches(&t->pods, pod.labels, pod.n_labels) &&
           keys_match(fed_json_find(t->json, "matchLabelKeys"), true, t->of, pod) &&
           keys_match(fed_json_find(t->json, "mismatchLabelKeys"), false, t->of, pod);
}

/* --- what is required --- */

static void refuse_nodes(const struct mbr_peers *in, const struct domains *d, const int64_t *counts, bool wanted,
                         const char *why, struct mbr_refusal *r)
{
    for (size_t i = 0; i < in->n_nodes; i++) {
        bool has = d->of[i] >= 0 && counts[d->of[i]];
        if (!r[i].n && has != wanted)
            mbr_refuse(&r[i], fed_str(why), wanted);
    }
}

/* A pod counts when it matches every term. */
static bool matches_all(const struct mbr_peers *in, const struct term *terms, size_t n, struct who pod)
{
    for (size_t i = 0; i < n; i++)
        if (!term_matches(in, &terms[i], pod))
            return false;
    return true;
}

static void want_together(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *r)
{
    struct term *terms = FED_ARENA_ARRAY(a, struct term, MAX_TERMS);
    size_t n = read_terms(a, in->need->affinity, "podAffinity", true, self(in), terms);
    bool anybody = false, *counts = FED_ARENA_ARRAY(a, bool, in->n + 1);
    for (size_t p = 0; p < in->n && n; p++)
        anybody |= counts[p] = !in->list[p].gone && matches_all(in, terms, n, other(&in->list[p]));
    /* The first of its kind: any node whose place is known. */
    bool first = !anybody && matches_all(in, terms, n, self(in));
    for (size_t t = 0; t < n; t++) {
        struct domains d = domains_of(a, in, terms[t].key);
        int64_t *sums = FED_ARENA_ARRAY(a, int64_t, d.n + 1);
        for (size_t k = 0; k < d.n && first; k++)
            sums[k] = 1;
        for (size_t p = 0; p < in->n; p++) {
            int at = counts[p] ? domain_of_peer(in, &d, &in->list[p]) : -1;
            if (at >= 0)
                sums[at]++;
        }
        refuse_nodes(in, &d, sums, true, "node(s) didn't match pod affinity rules", r);
    }
}

static void want_apart(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *r)
{
    struct term *terms = FED_ARENA_ARRAY(a, struct term, MAX_TERMS);
    size_t n = read_terms(a, in->need->affinity, "podAntiAffinity", true, self(in), terms);
    for (size_t t = 0; t < n; t++) {
        struct domains d = domains_of(a, in, terms[t].key);
        int64_t *sums = FED_ARENA_ARRAY(a, int64_t, d.n + 1);
        for (size_t p = 0; p < in->n; p++) {
            int at = domain_of_peer(in, &d, &in->list[p]);
            if (at >= 0 && !sums[at])
                sums[at] = term_matches(in, &terms[t], other(&in->list[p]));
        }
        refuse_nodes(in, &d, sums, false, "node(s) didn't match pod anti-affinity rules", r);
    }
}

/* Those that are there keep their distance too. */
static void kept_away(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *r)
{
    struct term *terms = FED_ARENA_ARRAY(a, struct term, MAX_TERMS);
    for (size_t p = 0; p < in->n; p++) {
        const struct mbr_peer *peer = &in->list[p];
        if (!peer->affinity || peer->gone || peer->node >= in->n_nodes)
            continue;
        size_t n = read_terms(a, peer->affinity, "podAntiAffinity", true, other(peer), terms);
        for (size_t t = 0; t < n; t++) {
            struct fed_str there =
                mbr_label(in->nodes[peer->node].labels, in->nodes[peer->node].n_labels, terms[t].key);
            if (!there.p || !term_matches(in, &terms[t], self(in)))
                continue;
            for (size_t i = 0; i < in->n_nodes; i++) {
                struct fed_str here = mbr_label(in->nodes[i].labels, in->nodes[i].n_labels, terms[t].key);
                if (!r[i].n && here.p && fed_str_eq(here, there))
                    mbr_refuse(&r[i], FED_STR("node(s) didn't satisfy existing pods anti-affinity rules"), false);
            }
        }
    }
}

/* --- spreading --- */

struct spread {
    struct domains d;
    int64_t *counts;   /* of each domain */
    bool *part;        /* nodes that count */
    int64_t n_domains; /* those with a node that counts */
    int64_t least;
    bool self; /* the pod is one of those it is spread with */
};

static bool of_kind(const struct fed_json *c, bool hard)
{
    return fed_str_is(fed_json_find_text(c, "whenUnsatisfiable"), "ScheduleAnyway") != hard;
}

/* Has the topology of every constraint of the kind, and the pod could be there. */
static bool takes_part(const struct mbr_peers *in, const struct fed_json *c, bool hard, const struct mbr_node_state *n)
{
    FED_JSON_EACH(x, in->constraints)
        if (of_kind(x, hard) && !mbr_label(n->labels, n->n_labels, fed_json_find_text(x, "topologyKey")).p)
            return false;
    if (!fed_str_is(fed_json_find_text(c, "nodeAffinityPolicy"), "Ignore") &&
        !(mbr_node_selected(in->need->node_selector, n->labels, n->n_labels) && mbr_node_affine(in->need->affinity, n)))
        return false;
    return !fed_str_is(fed_json_find_text(c, "nodeTaintsPolicy"), "Honor") ||
           mbr_tolerates(in->need->tolerations, n->taints);
}

static void count_spread(struct fed_arena *a, const struct mbr_peers *in, const struct fed_json *c, bool hard,
                         struct spread *s)
{
    struct term t = {.json = c, .of = self(in)};
    const struct fed_json *keys = fed_json_find(c, "matchLabelKeys");
    if (fed_selector_from_json(a, fed_json_find(c, "labelSelector"), &t.pods, NULL) < 0)
        t.pods.nothing = true;
    *s = (struct spread){.d = domains_of(a, in, fed_json_find_text(c, "topologyKey")), .least = INT64_MAX};
    s->counts = FED_ARENA_ARRAY(a, int64_t, s->d.n + 1);
    s->part = FED_ARENA_ARRAY(a, bool, in->n_nodes + 1);
    bool *counted = FED_ARENA_ARRAY(a, bool, s->d.n + 1);
    for (size_t i = 0; i < in->n_nodes; i++)
        s->part[i] = takes_part(in, c, hard, &in->nodes[i]);
    for (size_t p = 0; p < in->n; p++) {
        const struct mbr_peer *x = &in->list[p];
        int at = domain_of_peer(in, &s->d, x);
        if (at >= 0 && !x->deleting && s->part[x->node] && fed_str_eq(x->ns, in->ns) &&
            fed_selector_matches(&t.pods, x->labels, x->n_labels) && keys_match(keys, true, t.of, other(x)))
            s->counts[at]++;
    }
    for (size_t i = 0; i < in->n_nodes; i++) {
        if (!s->part[i] || s->d.of[i] < 0 || counted[s->d.of[i]])
            continue;
        counted[s->d.of[i]] = true;
        s->n_domains++;
        s->least = FED_MIN(s->least, s->counts[s->d.of[i]]);
    }
    if (!s->n_domains || s->n_domains < fed_json_int(fed_json_find(c, "minDomains"), 1))
        s->least = 0;
    s->self = fed_selector_matches(&t.pods, in->labels, in->n_labels);
}

static void spread_hard(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *r)
{
    FED_JSON_EACH(c, in->constraints) {
        struct spread s;
        if (!of_kind(c, true))
            continue;
        count_spread(a, in, c, true, &s);
        for (size_t i = 0; i < in->n_nodes; i++) {
            if (r[i].n)
                continue;
            if (s.d.of[i] < 0)
                mbr_refuse(&r[i],
                           FED_STR("node(s) didn't match pod topology spread constraints (missing required label)"),
                           true);
            else if (s.counts[s.d.of[i]] + s.self - s.least > fed_json_int(fed_json_find(c, "maxSkew"), 1))
                mbr_refuse(&r[i], FED_STR("node(s) didn't match pod topology spread constraints"), false);
        }
    }
}

void mbr_peers_judge(struct fed_arena *a, const struct mbr_peers *in, struct mbr_refusal *refusals)
{
    spread_hard(a, in, refusals);
    want_together(a, in, refusals);
    want_apart(a, in, refusals);
    kept_away(a, in, refusals);
}

/* --- what is preferred --- */

static void wish(struct fed_arena *a, const struct mbr_peers *in, const struct term *t, struct who about,
                 const struct mbr_peer *only, int64_t sign, int64_t *values)
{
    struct domains d = domains_of(a, in, t->key);
    int64_t *sums = FED_ARENA_ARRAY(a, int64_t, d.n + 1);
    for (size_t p = 0; p < in->n; p++) {
        const struct mbr_peer *x = &in->list[p];
        int at = only && only != x ? -1 : domain_of_peer(in, &d, x);
        if (at >= 0 && term_matches(in, t, only ? about : other(x)))
            sums[at] += t->weight;
    }
    for (size_t i = 0; i < in->n_nodes; i++)
        values[i] += d.of[i] >= 0 ? sign * sums[d.of[i]] : 0;
}

static void score_terms(struct fed_arena *a, const struct mbr_peers *in, const struct fed_json *affinity,
                        const struct mbr_peer *of, int64_t *values)
{
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    struct term *terms = FED_ARENA_ARRAY(a, struct term, MAX_TERMS);
    struct who has = of ? other(of) : self(in);
    for (size_t k = 0; k < 2; k++) {
        size_t n = read_terms(a, affinity, kinds[k], false, has, terms);
        for (size_t t = 0; t < n; t++)
            wish(a, in, &terms[t], self(in), of, k ? -1 : 1, values);
    }
    /* Who must be near us would be pleased. */
    size_t n = of ? read_terms(a, affinity, "podAffinity", true, has, terms) : 0;
    for (size_t t = 0; t < n; t++)
        wish(a, in, &terms[t], self(in), of, 1, values);
}

/* A larger skew that is allowed makes the same difference weigh less. */
static void score_crowd(const struct mbr_peers *in, const int64_t *crowd, int64_t *scores)
{
    int64_t most = 0, least = INT64_MAX;
    for (size_t i = 0; i < in->n_nodes; i++) {
        most = FED_MAX(most, crowd[i]);
        least = FED_MIN(least, crowd[i]);
    }
    for (size_t i = 0; i < in->n_nodes && most > 0; i++)
        scores[i] += WEIGHT * MBR_SCORE * (most + least - crowd[i]) / most;
}

void mbr_peers_score(struct fed_arena *a, const struct mbr_peers *in, int64_t *scores)
{
    int64_t *near = FED_ARENA_ARRAY(a, int64_t, in->n_nodes + 1), *crowd = FED_ARENA_ARRAY(a, int64_t, in->n_nodes + 1);
    bool spread = false;
    score_terms(a, in, in->need->affinity, NULL, near);
    for (size_t p = 0; p < in->n; p++)
        if (in->list[p].affinity && !in->list[p].gone)
            score_terms(a, in, in->list[p].affinity, &in->list[p], near);
    mbr_score_add(scores, near, in->n_nodes, false, WEIGHT);
    FED_JSON_EACH(c, in->constraints) {
        struct spread s;
        if (!of_kind(c, false))
            continue;
        count_spread(a, in, c, false, &s);
        spread = true;
        int64_t worst = 0; /* where the topology is unknown */
        for (size_t k = 0; k < s.d.n; k++)
            worst = FED_MAX(worst, s.counts[k] + 1);
        for (size_t i = 0; i < in->n_nodes; i++)
            crowd[i] +=
                (s.d.of[i] >= 0 ? s.counts[s.d.of[i]] : worst) + fed_json_int(fed_json_find(c, "maxSkew"), 1) - 1;
    }
    for (size_t i = 0; i < in->n_nodes && in->siblings && !spread; i++)
        crowd[i] = in->siblings[i] + SIBLING_SKEW - 1;
    score_crowd(in, crowd, scores);
}
