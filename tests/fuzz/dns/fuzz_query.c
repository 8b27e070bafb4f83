/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a query: never out of bounds, an answer within its limit, and one that repeats id and question. */
#include <stdint.h>

#include "base/mem.h"
#include "dns/answer/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gdns_conf conf;
    static struct fed_snapshot empty;
    struct fed_addr peer;
    if (!conf.zones.n) {
        FED_REQUIRE(gdns_zones_add(&conf.zones, FED_STR("example.com"), true, NULL) == 0);
        memcpy(conf.zones.federation, "fed", 4);
        conf.ttl = 10;
    }
    FED_REQUIRE(fed_addr_parse(FED_STR("192.0.2.7"), 53, &peer) == 0);
    for (int i = 0; i < 4; i++) {
        uint8_t *reply = fed_malloc(i & 1 ? 65535 : 512), *msg = fed_malloc(size + 1);
        if (size)
            memcpy(msg, data, size);
        struct gdns_request rq = {msg, size, &peer, i & 1, 1};
        struct gdns_outcome out;
        size_t n = gdns_answer(&conf, i & 2 ? &empty : NULL, NULL, &rq, reply, i & 1 ? 65535 : 512, &out);
        FED_REQUIRE(n == 0 || (n >= GDNS_HEADER && n <= (i & 1 ? 65535u : 512u)));
        FED_REQUIRE(n == 0 || (memcmp(reply, msg, 2) == 0 && (reply[2] & 0x80)));
        free(reply);
        free(msg);
    }
    return 0;
}
