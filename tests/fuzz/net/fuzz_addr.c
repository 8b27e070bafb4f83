/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and prefixes (what is read, is written and read as the same), and the key of a WebSocket handshake. */
#include <stdint.h>

#include "net/addr.h"
#include "net/ws_accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct fed_addr a, back;
    struct fed_prefix p;
    char shown[64], answer[29];
    if (fed_addr_parse(text, 80, &a) == 0) {
        fed_addr_format_ip(&a, shown);
        FED_REQUIRE(fed_addr_parse(fed_str(shown), 80, &back) == 0 && fed_addr_equal(&a, &back));
    }
    if (fed_addr_parse_hostport(text, &a) == 0) {
        fed_addr_format(&a, shown);
        FED_REQUIRE(fed_addr_parse_hostport(fed_str(shown), &back) == 0 && fed_addr_equal(&a, &back));
        fed_addr_unmap(&a);
    }
    if (fed_prefix_parse(text, &p) == 0)
        (void)fed_prefix_contains(&p, &a);
    if (fed_ws_accept(text, answer) == 0)
        FED_REQUIRE(strlen(answer) == 28);
    return 0;
}
