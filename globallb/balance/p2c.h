/* SPDX-License-Identifier: Apache-2.0 */
/* p2c.h: which place inside a cluster: two at random, the one with fewer requests in flight (power of two choices). */
#ifndef GLB_BALANCE_P2C_H
#define GLB_BALANCE_P2C_H

#include <stddef.h>
#include <stdint.h>

/* Two different indexes below n (equal only when n is 1) from 32 random bits. n > 0. */
void glb_p2c_pair(uint32_t n, uint32_t random, uint32_t *a, uint32_t *b);
/* The less loaded of the two; equal: a. */
static inline uint32_t glb_p2c_better(uint32_t a, uint64_t load_a, uint32_t b, uint64_t load_b)
{
    return load_b < load_a ? b : a;
}

#endif
