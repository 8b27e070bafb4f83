/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/balance/p2c.h"

void glb_p2c_pair(uint32_t n, uint32_t random, uint32_t *a, uint32_t *b)
{
    *a = (uint32_t)(((uint64_t)(random & 0xffff) * n) >> 16);
    *b = *a;
    if (n < 2)
        return;
    *b = (uint32_t)(((uint64_t)(random >> 16) * (n - 1)) >> 16);
    if (*b >= *a)
        (*b)++;
}
