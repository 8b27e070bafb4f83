/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/balance/budget.h"

#include "base/def.h"

#define SECONDS 10
#define TOKEN   1000

void glb_budget_init(struct glb_budget *b, uint32_t percent, uint32_t per_second, uint64_t now_ms)
{
    *b = (struct glb_budget){
        .percent = percent,
        .per_second = per_second,
        .cap = (int64_t)per_second * TOKEN * SECONDS,
        .tokens = (int64_t)per_second * TOKEN * SECONDS,
        .at_ms = now_ms,
        .cap_at_ms = now_ms,
    };
}

void glb_budget_request(struct glb_budget *b)
{
    b->since++;
    b->tokens += (int64_t)b->percent * TOKEN / 100;
    if (b->tokens > b->cap) {
        /* What this stretch of traffic brings is always allowed to be saved. */
        int64_t earned = (int64_t)(b->since * b->percent) * TOKEN / 100 + (int64_t)b->per_second * TOKEN * SECONDS;
        if (earned > b->cap)
            b->cap = earned;
        b->tokens = FED_MIN(b->tokens, b->cap);
    }
}

bool glb_budget_take(struct glb_budget *b, uint64_t now_ms)
{
    b->tokens += (int64_t)((now_ms - b->at_ms) * b->per_second) * TOKEN / 1000;
    b->at_ms = now_ms;
    if (now_ms - b->cap_at_ms >= SECONDS * 1000) {
        b->cap = (int64_t)(b->since * b->percent) * TOKEN / 100 + (int64_t)b->per_second * TOKEN * SECONDS;
        b->since = 0;
        b->cap_at_ms = now_ms;
    }
    b->tokens = FED_MIN(b->tokens, b->cap);
    if (b->tokens < TOKEN)
        return false;
    b->tokens -= TOKEN;
    return true;
}
