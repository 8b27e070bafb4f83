/* SPDX-License-Identifier: Apache-2.0 */
/* sim_random.h: the seeded chance that drives a simulation, apart from the entropy that the code under test draws, so
 * that a change in the code does not change the story of a seed more than it must. */
#ifndef TESTS_SUPPORT_SIM_RANDOM_H
#define TESTS_SUPPORT_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
    uint64_t state;
};

static inline uint64_t sim_random_next(struct sim_random *r) /* splitmix64 */
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}
/* Uniform enough in [0, n); 0 for n == 0. */
static inline uint32_t sim_random_below(struct sim_random *r, uint32_t n)
{
    return n ? (uint32_t)(sim_random_next(r) % n) : 0;
}
static inline bool sim_random_chance(struct sim_random *r, uint32_t permille)
{
    return sim_random_below(r, 1000) < permille;
}

#endif
