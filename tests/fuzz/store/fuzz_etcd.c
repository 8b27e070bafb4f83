/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of an etcd: damaged, or read to their end. */
#include <stdint.h>

#include "store/etcd_pb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct etcd_range_answer range;
    struct etcd_txn_answer txn;
    struct etcd_watch_answer watch;
    struct etcd_kv kv;
    struct etcd_event event;
    size_t n = 0;
    if (etcd_read_range(text, &range))
        while (etcd_next_kv(&range.kvs, &kv))
            FED_REQUIRE(n++ <= size && kv.key.n + kv.value.n <= size);
    if (etcd_read_txn(text, &txn))
        FED_REQUIRE(txn.kv.key.n <= size);
    n = 0;
    if (etcd_read_watch(text, &watch))
        while (etcd_next_event(&watch.events, &event))
            FED_REQUIRE(n++ <= size && event.kv.key.n + event.prev.key.n <= size);
    return 0;
}
