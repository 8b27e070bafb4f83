/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/planner.h"

#include <inttypes.h>

/* --- preferences --- */

void fapi_preferences_default(struct fed_arena *a, struct fapi_preferences *out)
{
    out->rebalance = false;
    out->n = 1;
    out->items = FED_ARENA_NEW(a, struct fapi_preference);
    out->items[0] = (struct fapi_preference){.cluster = FED_STR("*"), .max = -1, .weight = 1};
}

static const struct fed_json *find_any_case(const struct fed_json *obj, const char *key)
{
    const struct fed_json *exact = fed_json_find(obj, key), *found = exact;
    FED_JSON_EACH(m, obj) {
        if (!exact && fed_str_ieq(m->key, fed_str(key)))
            found = m;
    }
    return found;
}

/* A count; absent or null: dflt. */
static int read_count(const struct fed_json *obj, const char *key, int64_t dflt, int64_t *out, struct fed_err *err)
{
    const struct fed_json *v = find_any_case(obj, key);
    *out = dflt;
    if (!v || v->type == FED_JSON_NULL)
        return 0;
    if (!fed_json_is_int(v, out) || *out < 0 || *out > INT32_MAX)
        return fed_err_set(err, FED_E_INVALID, "%s: must be an integer from 0 to %d", key, INT32_MAX);
    return 0;
}

static int read_preference(struct fed_arena *a, const struct fed_json *e, struct fapi_preference *p,
                           struct fed_err *err)
{
    p->cluster = fed_arena_dup(a, e->key);
    if (e->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_INVALID, "must be an object");
    int code = read_count(e, "minReplicas", 0, &p->min, err);
    if (code == 0)
        code = read_count(e, "maxReplicas", -1, &p->max, err);
    if (code == 0)
        code = read_count(e, "weight", 0, &p->weight, err);
    if (code == 0 && p->max >= 0 && p->min > p->max)
        code = fed_err_set(err, FED_E_INVALID, "minReplicas is above maxReplicas");
    return code;
}

int fapi_preferences_parse(struct fed_arena *a, struct fed_str text, struct fapi_preferences *out, struct fed_err *err)
{
    struct fed_json *root;
    text = fed_str_trim(text);
    if (text.n == 0) {
        fapi_preferences_default(a, out);
        return 0;
    }
    *out = (struct fapi_preferences){0};
    struct fed_err why = {0};
    if (fed_json_parse(a, fed_arena_dup(a, text), NULL, &root, &why) != 0)
        return fed_err_set(err, FED_E_INVALID, "preferences: %s", why.text);
    const struct fed_json *clusters = find_any_case(root, "clusters");
    if (root->type != FED_JSON_OBJECT ||
        (clusters && clusters->type != FED_JSON_OBJECT && clusters->type != FED_JSON_NULL))
        return fed_err_set(err, FED_E_INVALID, "preferences: must be {\"rebalance\": …, \"clusters\": {…}}");
    out->rebalance = fed_json_bool(find_any_case(root, "rebalance"), false);
    if (!clusters || clusters->type == FED_JSON_NULL) {
        bool rebalance = out->rebalance;
        fapi_preferences_default(a, out);
        out->rebalance = rebalance;
        return 0;
    }
    out->items = FED_ARENA_ARRAY(a, struct fapi_preference, clusters->n + 1);
    FED_JSON_EACH(e, clusters) {
        int code = read_preference(a, e, &out->items[out->n++], err);
        if (code != 0)
            return fed_err_wrap(err, code, "preferences: clusters[%.*s]", FED_STR_ARG(e->key));
    }
    return 0;
}

static const struct fapi_preference *preference_of(const struct fapi_preferences *p, struct fed_str cluster)
{
    const struct fapi_preference *star = NULL;
    for (size_t i = 0; i < p->n; i++) {
        if (fed_str_eq(p->items[i].cluster, cluster))
            return &p->items[i];
        if (fed_str_is(p->items[i].cluster, "*"))
            star = &p->items[i];
    }
    return star;
}

/* --- the division --- */

struct seat { /* a cluster that takes part */
    const struct fapi_plan_cluster *cluster;
    const struct fapi_preference *pref;
    struct fapi_part *part;
    uint32_t hash;
    int64_t limit; /* the less of maximum and capacity; -1: none */
    int64_t most;  /* its maximum, or what it has when there is enough already; -1: none */
    int64_t planned;
    int64_t minimum, kept; /* for `why` */
    int64_t credit;        /* of kept replicas: not yet counted as a share */
    int64_t overflow;      /* what its share had beyond its capacity */
    bool full;
};

/* FNV-1 32 (multiply, then xor) of the cluster's name and the object's key: an order of its own for each object. */
static uint32_t order_hash(struct fed_str name, struct fed_str key)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.n; i++)
        h = h * 16777619u ^ (unsigned char)name.p[i];
    for (size_t i = 0; i < key.n; i++)
        h = h * 16777619u ^ (unsigned char)key.p[i];
    return h;
}

static int seat_cmp(const void *x, const void *y)
{
    const struct seat *a = x, *b = y;
    if (a->pref->weight != b->pref->weight)
        return a->pref->weight > b->pref->weight ? -1 : 1;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return fed_str_cmp(a->cluster->name, b->cluster->name);
}

static int64_t lesser_limit(int64_t a, int64_t b)
{
    return a < 0 ? b : b < 0 ? a : FED_MIN(a, b);
}

static int64_t give_minimums(struct seat *seats, size_t n, int64_t remaining)
{
    for (size_t i = 0; i < n; i++) {
        struct seat *s = &seats[i];
        int64_t min = FED_MIN(s->pref->min, remaining);
        if (s->limit >= 0)
            min = FED_MIN(min, s->limit);
        s->planned = s->minimum = min;
        remaining -= min;
    }
    return remaining;
}

/* rebalance: false: what runs stays where it may. */
static int64_t keep_running(struct seat *seats, size_t n, int64_t remaining)
{
    for (size_t i = 0; i < n; i++) {
        struct seat *s = &seats[i];
        int64_t target = s->limit >= 0 ? FED_MIN(s->cluster->current, s->limit) : s->cluster->current;
        int64_t extra = FED_MAX(0, FED_MIN(target - s->planned, remaining));
        s->planned += extra;
        s->credit = s->kept = extra;
        remaining -= extra;
    }
    return remaining;
}

/* rebalance: false, and more runs than is wanted, or just as much: the clusters shrink towards their shares, and none
 * grows. So a cluster that returns while others have made up for it gets back what it still has. */
static bool has_enough(struct seat *seats, size_t n, int64_t wanted)
{
    int64_t have = 0;
    for (size_t i = 0; i < n; i++) {
        struct seat *s = &seats[i];
        s->most = FED_MAX(s->cluster->current, s->pref->min);
        s->most = s->limit >= 0 ? FED_MIN(s->most, s->limit) : s->most;
        have += FED_MAX(s->most, 0);
    }
    bool enough = have >= wanted && wanted > 0;
    for (size_t i = 0; i < n; i++)
        seats[i].most = enough ? FED_MAX(seats[i].most, 0) : seats[i].pref->max;
    return enough;
}

/* One seat's share of `whole` in this round. Returns what it really took; *moved when anything was counted. */
static int64_t take_share(struct seat *s, int64_t whole, int64_t weights, int64_t remaining, bool *moved)
{
    int64_t start = s->planned;
    int64_t share = (int64_t)(((__int128)whole * s->pref->weight + weights - 1) / weights); /* fractions go up */
    share = FED_MIN(share, remaining);
    int64_t used = FED_MIN(share, s->credit);
    s->credit -= used;
    *moved = *moved || used > 0;
    int64_t total = start + share - used;
    if (s->most >= 0 && total > s->most) {
        total = FED_MAX(s->most, start);
        s->full = true;
    }
    if (s->cluster->capacity >= 0 && total > s->cluster->capacity) {
        s->overflow = total - FED_MAX(s->cluster->capacity, start);
        total = FED_MAX(s->cluster->capacity, start);
        s->full = true;
    }
    s->planned = total;
    *moved = *moved || total > start;
    return total - start;
}

static int64_t share_out(struct seat *seats, size_t n, int64_t remaining)
{
    bool moved = true;
    while (moved && remaining > 0) {
        int64_t weights = 0, whole = remaining;
        moved = false;
        for (size_t i = 0; i < n; i++)
            weights += seats[i].full ? 0 : seats[i].pref->weight;
        if (weights == 0)
            break;
        for (size_t i = 0; i < n; i++) {
            if (!seats[i].full)
                remaining -= take_share(&seats[i], whole, weights, remaining, &moved);
        }
    }
    return remaining;
}

static int64_t queue_at(struct seat *s, int64_t most, int64_t remaining)
{
    int64_t wait = FED_MIN(most, remaining);
    if (s->pref->max >= 0)
        wait = FED_MIN(wait, FED_MAX(0, s->pref->max - s->planned - s->part->pending));
    s->part->pending += wait;
    return remaining - wait;
}

/* What fits nowhere waits where its share would have been, then wherever it is allowed; never more than was asked for.
 */
static int64_t queue_rest(struct seat *seats, size_t n, int64_t remaining)
{
    for (size_t i = 0; i < n && remaining > 0; i++)
        remaining = queue_at(&seats[i], seats[i].overflow, remaining);
    for (size_t i = 0; i < n && remaining > 0; i++) {
        if (seats[i].pref->weight > 0)
            remaining = queue_at(&seats[i], remaining, remaining);
    }
    return remaining;
}

static void explain(struct fed_arena *a, const struct seat *s, int64_t wanted)
{
    struct fed_buf b = {0};
    const char *star = fed_str_is(s->pref->cluster, "*") ? " (as \"*\")" : "";
    fed_buf_addf(&b, "%" PRId64 " of %" PRId64 ": weight %" PRId64 "%s", s->planned + s->part->pending, wanted,
                 s->pref->weight, star);
    if (s->minimum > 0)
        fed_buf_addf(&b, ", minimum %" PRId64, s->minimum);
    if (s->kept > 0)
        fed_buf_addf(&b, ", %" PRId64 " kept where they run", s->kept);
    if (s->cluster->current > s->planned + s->part->pending)
        fed_buf_addf(&b, ", of %" PRId64 " that it had", s->cluster->current);
    if (s->pref->max >= 0 && s->planned + s->part->pending >= s->pref->max)
        fed_buf_addf(&b, ", at its maximum %" PRId64, s->pref->max);
    else if (s->cluster->capacity >= 0 && s->planned >= s->cluster->capacity)
        fed_buf_addf(&b, ", at its capacity %" PRId64, s->cluster->capacity);
    if (s->part->pending > 0)
        fed_buf_addf(&b, ", %" PRId64 " wait for room", s->part->pending);
    s->part->why = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
}

void fapi_plan(struct fed_arena *a, struct fed_str key, int64_t replicas, const struct fapi_plan_cluster *clusters,
               size_t n, const struct fapi_preferences *prefs, struct fapi_plan *out)
{
    struct seat *seats = FED_ARENA_ARRAY(a, struct seat, n + 1);
    size_t n_seats = 0;
    replicas = FED_MIN(FED_MAX(replicas, 0), INT32_MAX);
    *out = (struct fapi_plan){.parts = FED_ARENA_ARRAY(a, struct fapi_part, n + 1), .n = n};
    for (size_t i = 0; i < n; i++) {
        const struct fapi_preference *p = preference_of(prefs, clusters[i].name);
        struct fapi_part *part = &out->parts[i];
        part->cluster = clusters[i].name;
        if (clusters[i].unusable) {
            part->why = fed_str(clusters[i].unusable);
        } else if (!p) {
            part->why = FED_STR("no preference names this cluster");
        } else {
            seats[n_seats++] = (struct seat){.cluster = &clusters[i],
                                             .pref = p,
                                             .part = part,
                                             .hash = order_hash(clusters[i].name, key),
                                             .limit = lesser_limit(p->max, clusters[i].capacity),
                                             .most = p->max};
        }
    }
    qsort(seats, n_seats, sizeof(*seats), seat_cmp);
    int64_t remaining = give_minimums(seats, n_seats, replicas);
    bool enough = !prefs->rebalance && has_enough(seats, n_seats, replicas);
    if (!prefs->rebalance && !enough)
        remaining = keep_running(seats, n_seats, remaining);
    remaining = share_out(seats, n_seats, remaining);
    if (enough) /* clusters without weight keep what no share took */
        remaining = keep_running(seats, n_seats, remaining);
    out->unplaced = queue_rest(seats, n_seats, remaining);
    for (size_t i = 0; i < n_seats; i++) {
        seats[i].part->replicas = seats[i].planned + seats[i].part->pending;
        explain(a, &seats[i], replicas);
    }
}
