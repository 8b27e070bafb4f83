/* SPDX-License-Identifier: Apache-2.0 */
/* delay.h: how long a target's answers take, and so when silence of it is suspicious. Pure; times in microseconds.
 *
 * Model: smoothed mean and mean deviation of the time to the first byte (as TCP reckons its round trip, gains 1/8 and
 *        1/4). mean + 4 deviations is the estimate of a slow but ordinary answer; a second try is made after three times
 *        that, but not before `floor` nor after `ceiling`. Without any sample: the ceiling's half.
 */
#ifndef GLB_BALANCE_DELAY_H
#define GLB_BALANCE_DELAY_H

#include <stdint.h>

struct glb_delay { /* zero-initialised: no sample */
    uint32_t mean, dev;
    uint32_t samples; /* saturates */
};
void glb_delay_sample(struct glb_delay *d, uint64_t us);
/* Milliseconds after which a second try is due. */
uint32_t glb_delay_hedge_ms(const struct glb_delay *d, uint32_t floor_ms, uint32_t ceiling_ms);

#endif
