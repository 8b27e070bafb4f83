/* SPDX-License-Identifier: Apache-2.0 */
/* etcd_pb.h: the messages of etcd's v3 API that we use, written and read. Pure; slices are borrowed from the bytes. */
#ifndef STORE_ETCD_PB_H
#define STORE_ETCD_PB_H

#include "codec/pb.h"
#include "store/ops_copy.h"

struct etcd_header {
    uint64_t cluster, revision;
};
struct etcd_kv {
    struct fed_str key, value;
    uint64_t create_rev, mod_rev;
};

struct etcd_range {
    struct fed_str key, end; /* end empty: one key */
    uint64_t limit, revision;
    bool count_only;
};
void etcd_put_range(struct fed_buf *b, const struct etcd_range *r);
struct etcd_range_answer {
    struct etcd_header header;
    bool more;
    struct fed_pb_reader kvs; /* for etcd_next_kv */
};
bool etcd_read_range(struct fed_str m, struct etcd_range_answer *a); /* false: damaged */
bool etcd_next_kv(struct fed_pb_reader *r, struct etcd_kv *kv);

/* A transaction: compares, then puts and deletes. Keys get `prefix`. */
void etcd_put_txn(struct fed_buf *b, struct fed_str prefix, const struct store_ops_copy *ops);
/* key := value if its last change was at `expect` (0: absent, STORE_ANY: whatever); else reads it. */
void etcd_put_swap(struct fed_buf *b, struct fed_str key, struct fed_str value, uint64_t expect);
/* key := value, and `init` := `init_value` if it is absent, else init is read. */
void etcd_put_mark(struct fed_buf *b, struct fed_str key, struct fed_str value, struct fed_str init,
                   struct fed_str init_value);
struct etcd_txn_answer {
    struct etcd_header header;
    bool succeeded;
    bool wrote;        /* something changed */
    struct etcd_kv kv; /* of the last read in it; key empty: none */
};
bool etcd_read_txn(struct fed_str m, struct etcd_txn_answer *a);

void etcd_put_compact(struct fed_buf *b, uint64_t revision);

void etcd_put_watch(struct fed_buf *b, struct fed_str key, struct fed_str end, uint64_t start_revision, bool prev);
void etcd_put_progress(struct fed_buf *b);
struct etcd_watch_answer {
    struct etcd_header header;
    bool created, canceled, fragment;
    bool ours; /* of a watch, not an answer to a progress request */
    uint64_t compact_revision;
    struct fed_str reason;
    struct fed_pb_reader events;
    size_t n_events;
};
struct etcd_event {
    bool deleted;
    struct etcd_kv kv, prev; /* prev.key empty: none, or not asked for */
};
bool etcd_read_watch(struct fed_str m, struct etcd_watch_answer *a);
bool etcd_next_event(struct fed_pb_reader *r, struct etcd_event *e);

#endif
