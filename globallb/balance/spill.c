/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/balance/spill.h"

#include <string.h>

#include "base/def.h"

static uint32_t health_of(const struct glb_side *s)
{
    if (s->all == 0 || s->excluded)
        return 0;
    uint64_t h = (uint64_t)GLB_SPILL_FACTOR * s->healthy / s->all;
    return h > 100 ? 100 : (uint32_t)h;
}

/* Shares by weight, to the integer; the first with any weight takes what rounding left. */
static void share(const uint32_t *weight, uint64_t total, size_t n, uint32_t *load)
{
    uint32_t left = 100;
    for (size_t i = 0; i < n; i++) {
        uint64_t part = ((uint64_t)weight[i] * 200 + total) / (2 * total); /* rounded */
        load[i] = (uint32_t)FED_MIN(part, (uint64_t)left);
        left -= load[i];
    }
    for (size_t i = 0; left > 0 && i < n; i++) {
        if (weight[i] == 0)
            continue;
        load[i] += left;
        left = 0;
    }
}

void glb_spill_loads(const struct glb_side *sides, size_t n, struct glb_spill *out)
{
    uint32_t health[GLB_SPILL_MAX];
    uint64_t sum = 0;
    n = FED_MIN(n, (size_t)GLB_SPILL_MAX);
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        health[i] = health_of(&sides[i]);
        sum += health[i];
    }
    for (size_t i = 0; i < n; i++)
        out->panic[i] =
            sum == 0 || (sum < 100 && (uint64_t)sides[i].healthy * 100 < (uint64_t)sides[i].all * GLB_PANIC_BELOW);
    if (sum > 0) {
        share(health, FED_MIN(sum, (uint64_t)100), n, out->load);
        return;
    }
    /* Nothing is healthy: clusters that were not tried yet before those that were. */
    for (int excluded = 0; excluded < 2 && sum == 0; excluded++) {
        for (size_t i = 0; i < n; i++) {
            health[i] = sides[i].excluded == (excluded == 1) ? sides[i].all : 0;
            sum += health[i];
        }
    }
    if (sum > 0)
        share(health, sum, n, out->load);
}

static bool has_room(const struct glb_side *s)
{
    return s->limit <= 0 || s->in_flight < s->limit;
}

int glb_spill_choose(const struct glb_side *sides, size_t n, const struct glb_spill *spill, uint32_t dice)
{
    int chosen = -1, fullest_room = -1;
    uint32_t sum = 0;
    n = FED_MIN(n, (size_t)GLB_SPILL_MAX);
    for (size_t i = 0; i < n && chosen < 0; i++) {
        sum += spill->load[i];
        if (dice < sum)
            chosen = (int)i;
    }
    if (chosen < 0 || has_room(&sides[chosen]))
        return chosen;
    /* Saturated: the nearest with room, healthy ones only. */
    for (size_t i = 0; i < n; i++) {
        const struct glb_side *s = &sides[i];
        if (s->healthy == 0 || s->all == 0 || s->excluded)
            continue;
        if (has_room(s))
            return (int)i;
        if (fullest_room < 0 || s->in_flight * sides[fullest_room].limit < sides[fullest_room].in_flight * s->limit)
            fullest_room = (int)i;
    }
    return fullest_room >= 0 ? fullest_room : chosen;
}
