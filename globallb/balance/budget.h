/* SPDX-License-Identifier: Apache-2.0 */
/* budget.h: how many extra tries may be made: a share of the requests and a few each second. Pure.
 *
 * Model: a bucket; each request puts a share in, each second a fixed number; an extra try takes one whole token out. It
 *        holds at most what ten seconds of the present traffic would bring, so that a quiet time does not pay for a storm.
 */
#ifndef GLB_BALANCE_BUDGET_H
#define GLB_BALANCE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct glb_budget { /* tokens in thousandths; zero-initialised is empty: init */
    uint32_t percent, per_second;
    int64_t tokens, cap;
    uint64_t at_ms; /* last refill */
    uint64_t since; /* requests since cap was reckoned */
    uint64_t cap_at_ms;
};
void glb_budget_init(struct glb_budget *b, uint32_t percent, uint32_t per_second, uint64_t now_ms);
void glb_budget_request(struct glb_budget *b);
bool glb_budget_take(struct glb_budget *b, uint64_t now_ms);

#endif
