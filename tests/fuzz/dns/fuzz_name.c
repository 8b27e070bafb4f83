/* SPDX-License-Identifier: Apache-2.0 */
/* Names of zones and of queries as text: in wire form they fit, and find their zone. */
#include <stdint.h>

#include "dns/wire/query.h"
#include "dns/zone/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct gdns_name name;
    struct gdns_zones zones = {0};
    struct fed_err err = {0};
    bool is_name = gdns_name_parse(text, &name) == 0;
    if (is_name)
        for (unsigned i = 0; i < name.n; i++)
            FED_REQUIRE(gdns_label(&name, i).n <= 63);
    (void)!gdns_zones_add(&zones, text, true, &err);
    if (is_name)
        (void)gdns_zones_find(&zones, &name);
    return 0;
}
