/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/balance/delay.h"

#include "base/def.h"

#define MAX_US 60000000u

void glb_delay_sample(struct glb_delay *d, uint64_t us)
{
    uint32_t v = us > MAX_US ? MAX_US : (uint32_t)us;
    if (d->samples == 0) {
        d->mean = v;
        d->dev = v / 2;
    } else {
        uint32_t off = v > d->mean ? v - d->mean : d->mean - v;
        d->dev = (uint32_t)(((uint64_t)d->dev * 3 + off) / 4);
        d->mean = (uint32_t)(((uint64_t)d->mean * 7 + v) / 8);
    }
    if (d->samples < UINT32_MAX)
        d->samples++;
}

uint32_t glb_delay_hedge_ms(const struct glb_delay *d, uint32_t floor_ms, uint32_t ceiling_ms)
{
    if (d->samples == 0)
        return FED_MAX(floor_ms, ceiling_ms / 2);
    uint64_t ms = 3 * ((uint64_t)d->mean + 4 * (uint64_t)d->dev) / 1000;
    return ms < floor_ms ? floor_ms : ms > ceiling_ms ? ceiling_ms : (uint32_t)ms;
}
