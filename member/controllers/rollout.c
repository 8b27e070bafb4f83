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
    if (r->recreate || r->unavailable > r->replicas)
        r->unavailable = r->replicas;
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

static bool scale_in_proportion(struct mbr_rollout *r)
{
    int64_t total = old_spec(r) + (r->fresh ? r->fresh->spec : 0);
    size_t n_active = 0;
    struct mbr_rollout_set *only = NULL, *s;
    for (size_t i = 0; (s = active(r, i)); i++)
        if (s->spec > 0) {
            n_active++;
            only = s;
        }
    if (n_active == 0)
        only = r->fresh;
    if (n_active <= 1) {
        if (only)
            only->want = r->replicas;
        return only != NULL;
    }
    int64_t allowed = r->replicas > 0 ? r->replicas + r->surge : 0, delta = allowed - total, left = delta;
    for (size_t i = 0; (s = active(r, i)); i++) {
        int64_t part = s->spec * delta / total;
        s->want = s->spec + part;
        left -= part;
    }
    for (size_t i = 0; (s = active(r, i)) && left != 0; i++)
        if (s->spec > 0) { /* what rounding left goes to the newest */
            int64_t n = left < -s->want ? -s->want : left;
            s->want += n;
            left -= n;
        }
    return true;
}

bool mbr_rollout_plan(struct mbr_rollout *r)
{
    struct mbr_rollout_set *s;
    for (size_t i = 0; (s = active(r, i)); i++)
        s->want = s->spec;
    if ((r->scaling || r->paused) && scale_in_proportion(r))
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
