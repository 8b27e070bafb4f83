/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/rollout.h"

#include "control/revisions.h"

void mbr_rollout_limits(struct mbr_rollout *r, const struct fed_json *strategy)
{
    const struct fed_json *rolling = fed_json_find(strategy, "rollingUpdate");
    r->recreate = fed_str_is(fed_json_find_text(strategy, "type"), "Recreate");
    r->surge = fed_rollout_surge(strategy, r->replicas);
    r->unavailable = fed_int_or_percent(fed_json_find(rolling, "maxUnavailable"), 25, r->replicas, false);
    if (r->surge == 0 && r->unavailable == 0)
        r->unavailable = 1; /* both may round to 0; then nothing could ever move */
    r->unavailable = r->recreate ? 0 : FED_MIN(r->unavailable, r->replicas);
}

static int64_t old_spec(const struct mbr_rollout *r)
{
    int64_t n = 0;
    for (size_t i = 0; i < r->n_old; i++)
        n += r->old[i]->spec;
    return n;
}

static int64_t old_actual(const struct mbr_rollout *r)
{
    int64_t n = 0;
    for (size_t i = 0; i < r->n_old; i++)
        n += r->old[i]->actual;
    return n;
}

static bool old_stale(const struct mbr_rollout *r)
{
    for (size_t i = 0; i < r->n_old; i++)
        if (r->old[i]->stale)
            return true;
    return false;
}

int64_t mbr_rollout_first(const struct mbr_rollout *r)
{
    if (r->recreate)
        return r->replicas;
    int64_t room = r->replicas + r->surge - old_spec(r);
    return room < 0 ? 0 : FED_MIN(room, r->replicas);
}

static int64_t grow_fresh(const struct mbr_rollout *r)
{
    int64_t room = r->replicas + r->surge - old_spec(r) - r->fresh->spec;
    if (r->fresh->spec > r->replicas)
        return r->replicas;
    return room <= 0 ? r->fresh->spec : FED_MIN(r->fresh->spec + room, r->replicas);
}

/* Old pods that are not available cost nothing to take away: they go first. */
static int64_t drop_unhealthy(struct mbr_rollout *r, int64_t may)
{
    int64_t dropped = 0;
    for (size_t i = 0; i < r->n_old && dropped < may; i++) {
        struct mbr_rollout_set *s = r->old[i];
        int64_t sick = s->want - FED_MIN(s->available, s->want), n = FED_MIN(sick, may - dropped);
        s->want -= n;
        dropped += n;
    }
    return dropped;
}

static void shrink_old(struct mbr_rollout *r)
{
    int64_t pods = old_spec(r) + r->fresh->spec, least = r->replicas - r->unavailable;
    int64_t fresh_missing = r->fresh->spec - FED_MIN(r->fresh->available, r->fresh->spec);
    int64_t may = pods - least - fresh_missing;
    if (may <= 0)
        return;
    drop_unhealthy(r, may);
    int64_t available = r->fresh->available;
    for (size_t i = 0; i < r->n_old; i++)
        available += FED_MIN(r->old[i]->available, r->old[i]->want);
    for (size_t i = 0; i < r->n_old && available > least; i++) {
        struct mbr_rollout_set *s = r->old[i];
        int64_t n = FED_MIN(s->want, available - least);
        s->want -= n;
        available -= FED_MIN(n, FED_MIN(s->available, s->want + n));
    }
}

/* The sets that have pods, newest first: fresh, then old ones from the end. */
static struct mbr_rollout_set *active(const struct mbr_rollout *r, size_t i)
{
    if (r->fresh && i == 0)
        return r->fresh;
    size_t k = i - (r->fresh ? 1 : 0);
    return k < r->n_old ? r->old[r->n_old - 1 - k] : NULL;
}

/* Larger ones first; of the same size the newer ones where pods are added, the older ones where they are taken. */
static bool goes_before(const struct mbr_rollout_set *a, const struct mbr_rollout_set *b, bool newer_first)
{
    if (a->spec != b->spec)
        return a->spec > b->spec;
    return newer_first ? a->created_ms > b->created_ms : a->created_ms < b->created_ms;
}

/* The largest set that is not noted yet. */
static struct mbr_rollout_set *next_largest(const struct mbr_rollout *r, bool newer_first)
{
    struct mbr_rollout_set *best = NULL, *s;
    for (size_t i = 0; (s = active(r, i)); i++)
        if (s->spec > 0 && !s->noted && (!best || goes_before(s, best, newer_first)))
            best = s;
    return best;
}

/* How much the set changes when all grow or shrink alike, rounded to the nearest. */
static int64_t fraction(const struct mbr_rollout *r, const struct mbr_rollout_set *s)
{
    int64_t of = s->most > 0 ? s->most : r->counted;
    if (r->replicas == 0)
        return -s->spec;
    return of > 0 ? (2 * s->spec * (r->replicas + r->surge) + of) / (2 * of) - s->spec : 0;
}

static void scale_in_proportion(struct mbr_rollout *r)
{
    int64_t allowed = r->replicas > 0 ? r->replicas + r->surge : 0;
    int64_t left = allowed - old_spec(r) - (r->fresh ? r->fresh->spec : 0);
    bool up = left > 0;
    struct mbr_rollout_set *first = next_largest(r, up), *s;
    while ((s = next_largest(r, up))) {
        int64_t n = left ? fraction(r, s) : 0;
        n = up ? FED_MIN(n, left) : FED_MAX(n, left);
        s->want = s->spec + n;
        s->noted = true;
        left -= n;
    }
    if (first) /* what rounding left */
        first->want = FED_MAX(first->want + left, 0);
}

static bool saturated(const struct mbr_rollout *r)
{
    return r->fresh && r->fresh->spec == r->replicas && r->fresh->available == r->replicas &&
           r->fresh->most == r->replicas + r->surge;
}

/* One set takes all of the change; several share it. False: there is none. */
static bool scale(struct mbr_rollout *r)
{
    size_t n_active = 0;
    struct mbr_rollout_set *only = NULL, *latest = active(r, 0), *s;
    for (size_t i = 0; (s = active(r, i)); i++)
        if (s->spec > 0) {
            n_active++;
            only = s;
        }
    if (n_active == 0)
        only = latest;
    if (n_active <= 1) {
        if (only) {
            only->want = r->replicas;
            only->noted = r->scaling;
        }
        return only != NULL;
    }
    if (saturated(r)) {
        for (size_t i = 0; i < r->n_old; i++)
            r->old[i]->want = 0;
    } else if (!r->recreate) {
        scale_in_proportion(r);
    }
    return !r->recreate;
}

static bool make_plan(struct mbr_rollout *r)
{
    struct mbr_rollout_set *s;
    for (size_t i = 0; (s = active(r, i)); i++) {
        s->want = s->spec;
        s->noted = false;
    }
    if ((r->scaling || r->paused) && scale(r))
        return false;
    if (r->paused)
        return false;
    if (r->recreate) {
        for (size_t i = 0; i < r->n_old; i++)
            r->old[i]->want = 0;
        bool gone = old_spec(r) == 0 && old_actual(r) == 0 && !old_stale(r);
        if (r->fresh && gone)
            r->fresh->want = r->replicas;
        return gone;
    }
    if (!r->fresh)
        return true;
    r->fresh->want = grow_fresh(r);
    if (r->fresh->want == r->fresh->spec)
        shrink_old(r);
    return true;
}

bool mbr_rollout_plan(struct mbr_rollout *r)
{
    bool may_make = make_plan(r);
    struct mbr_rollout_set *s;
    for (size_t i = 0; (s = active(r, i)); i++)
        s->noted = s->noted || s->want != s->spec;
    return may_make;
}
