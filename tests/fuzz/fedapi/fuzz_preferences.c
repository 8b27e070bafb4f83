/* SPDX-License-Identifier: Apache-2.0 */
/* The annotation with a workload's preferences of clusters, which any user writes: refused with words, or read. */
#include <stdint.h>

#include "fedapi/controllers/planner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fapi_preferences p;
    struct fed_err err = {0};
    if (fapi_preferences_parse(&a, fed_str_n((const char *)data, size), &p, &err) == 0) {
        for (size_t i = 0; i < p.n; i++)
            FED_REQUIRE(p.items[i].weight >= 0 && p.items[i].min >= 0);
    } else {
        FED_REQUIRE(err.text[0]);
    }
    fed_arena_release(&a);
    return 0;
}
