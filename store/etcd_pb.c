/* SPDX-License-Identifier: Apache-2.0 */
/* Field numbers are those of etcd's rpc.proto and kv.proto (v3.4 and later). */
#include "store/etcd_pb.h"

enum { TARGET_CREATE = 1, TARGET_MOD = 2 };

static void put_uint(struct fed_buf *b, uint32_t field, uint64_t v)
{
    if (v)
        fed_pb_put_varint(b, field, v);
}

static void put_str(struct fed_buf *b, uint32_t field, struct fed_str s)
{
    if (s.n)
        fed_pb_put_bytes(b, field, s);
}

static bool read_header(struct fed_str m, struct etcd_header *h)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    fed_pb_reader_init(&r, m);
    while (fed_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == 0)
            h->cluster = f.value;
        else if (f.number == 3 && f.wire == 0)
            h->revision = f.value;
    }
    return !r.failed;
}

static bool read_kv(struct fed_str m, struct etcd_kv *kv)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    *kv = (struct etcd_kv){0};
    fed_pb_reader_init(&r, m);
    while (fed_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == 2)
            kv->key = f.data;
        else if (f.number == 2 && f.wire == 0)
            kv->create_rev = f.value;
        else if (f.number == 3 && f.wire == 0)
            kv->mod_rev = f.value;
        else if (f.number == 5 && f.wire == 2)
            kv->value = f.data;
    }
    return !r.failed && kv->key.n;
}

/* --- range --- */

void etcd_put_range(struct fed_buf *b, const struct etcd_range *r)
{
    put_str(b, 1, r->key);
    put_str(b, 2, r->end);
    put_uint(b, 3, r->limit);
    put_uint(b, 4, r->revision);
    put_uint(b, 9, r->count_only);
}

bool etcd_read_range(struct fed_str m, struct etcd_range_answer *a)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    *a = (struct etcd_range_answer){0};
    fed_pb_reader_init(&r, m);
    a->kvs = r;
    while (fed_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == 2 && !read_header(f.data, &a->header))
            return false;
        if (f.number == 3 && f.wire == 0)
            a->more = f.value != 0;
    }
    return !r.failed && a->header.revision;
}

bool etcd_next_kv(struct fed_pb_reader *r, struct etcd_kv *kv)
{
    struct fed_pb_field f;
    while (fed_pb_next(r, &f)) {
        if (f.number != 2 || f.wire != 2)
            continue;
        if (read_kv(f.data, kv))
            return true;
        r->failed = true;
    }
    return false;
}

/* --- transactions --- */

static void put_compare(struct fed_buf *b, struct fed_str prefix, struct fed_str key, uint64_t rev)
{
    size_t m = fed_pb_open(b, 1);
    fed_pb_put_varint(b, 2, TARGET_MOD); /* result 0: equal. An absent key has revision 0. */
    size_t k = fed_pb_open(b, 3);
    fed_buf_add(b, prefix);
    fed_buf_add(b, key);
    fed_pb_close(b, k);
    fed_pb_put_varint(b, 6, rev);
    fed_pb_close(b, m);
}

/* branch 2: on success, 3: on failure. */
static void put_write(struct fed_buf *b, uint32_t branch, struct fed_str prefix, struct fed_str key,
                      const struct fed_str *value)
{
    size_t op = fed_pb_open(b, branch), m = fed_pb_open(b, value ? 2 : 3), k = fed_pb_open(b, 1);
    fed_buf_add(b, prefix);
    fed_buf_add(b, key);
    fed_pb_close(b, k);
    if (value)
        put_str(b, 2, *value);
    fed_pb_close(b, m);
    fed_pb_close(b, op);
}

static void put_read(struct fed_buf *b, uint32_t branch, struct fed_str key)
{
    size_t op = fed_pb_open(b, branch), m = fed_pb_open(b, 1);
    fed_pb_put_bytes(b, 1, key);
    fed_pb_close(b, m);
    fed_pb_close(b, op);
}

void etcd_put_txn(struct fed_buf *b, struct fed_str prefix, const struct store_ops_copy *ops)
{
    for (size_t i = 0; i < ops->n; i++)
        if (ops->ops[i].expect != STORE_ANY)
            put_compare(b, prefix, ops->ops[i].key, ops->ops[i].expect);
    for (size_t i = 0; i < ops->n; i++) {
        struct fed_str value = fed_blob_str(ops->ops[i].value);
        if (!ops->ops[i].check)
            put_write(b, 2, prefix, ops->ops[i].key, ops->ops[i].value ? &value : NULL);
    }
}

void etcd_put_swap(struct fed_buf *b, struct fed_str key, struct fed_str value, uint64_t expect)
{
    if (expect != STORE_ANY)
        put_compare(b, (struct fed_str){0}, key, expect);
    put_write(b, 2, (struct fed_str){0}, key, &value);
    put_read(b, 3, key);
}

/* {success: [put key, txn{compare init absent; success: put init; failure: read init}]} */
void etcd_put_mark(struct fed_buf *b, struct fed_str key, struct fed_str value, struct fed_str init,
                   struct fed_str init_value)
{
    put_write(b, 2, (struct fed_str){0}, key, &value);
    size_t op = fed_pb_open(b, 2), m = fed_pb_open(b, 4);
    etcd_put_swap(b, init, init_value, STORE_ABSENT);
    fed_pb_close(b, m);
    fed_pb_close(b, op);
}

static bool read_txn_part(struct fed_str m, struct etcd_txn_answer *a, unsigned depth);

/* ResponseOp: 1 range, 2 put, 3 delete, 4 txn. */
static bool read_op(struct fed_str m, struct etcd_txn_answer *a, unsigned depth)
{
    struct fed_pb_reader r, in;
    struct fed_pb_field f, g;
    fed_pb_reader_init(&r, m);
    while (fed_pb_next(&r, &f)) {
        if (f.wire != 2)
            continue;
        fed_pb_reader_init(&in, f.data);
        if (f.number == 1 && !etcd_next_kv(&in, &a->kv) && in.failed)
            return false;
        if (f.number == 2)
            a->wrote = true;
        while (f.number == 3 && fed_pb_next(&in, &g))
            a->wrote |= g.number == 2 && g.wire == 0 && g.value;
        if (f.number == 4 && (!depth || !read_txn_part(f.data, a, depth - 1)))
            return false;
    }
    return !r.failed;
}

static bool read_txn_part(struct fed_str m, struct etcd_txn_answer *a, unsigned depth)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    fed_pb_reader_init(&r, m);
    while (fed_pb_next(&r, &f)) {
        bool ok = true;
        if (f.number == 1 && f.wire == 2 && depth)
            ok = read_header(f.data, &a->header);
        else if (f.number == 2 && f.wire == 0 && depth)
            a->succeeded = f.value != 0;
        else if (f.number == 3 && f.wire == 2)
            ok = read_op(f.data, a, depth);
        if (!ok)
            return false;
    }
    return !r.failed;
}

bool etcd_read_txn(struct fed_str m, struct etcd_txn_answer *a)
{
    *a = (struct etcd_txn_answer){0};
    return read_txn_part(m, a, 1) && a->header.revision;
}

void etcd_put_compact(struct fed_buf *b, uint64_t revision)
{
    put_uint(b, 1, revision);
}

/* --- watch --- */

void etcd_put_watch(struct fed_buf *b, struct fed_str key, struct fed_str end, uint64_t start_revision, bool prev)
{
    size_t m = fed_pb_open(b, 1);
    fed_pb_put_bytes(b, 1, key);
    fed_pb_put_bytes(b, 2, end);
    put_uint(b, 3, start_revision);
    fed_pb_put_varint(b, 4, 1); /* progress_notify */
    put_uint(b, 6, prev);
    fed_pb_put_varint(b, 8, 1); /* fragment */
    fed_pb_close(b, m);
}

void etcd_put_progress(struct fed_buf *b)
{
    fed_pb_put_bytes(b, 3, (struct fed_str){"", 0});
}

bool etcd_read_watch(struct fed_str m, struct etcd_watch_answer *a)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    *a = (struct etcd_watch_answer){.ours = true};
    fed_pb_reader_init(&r, m);
    a->events = r;
    while (fed_pb_next(&r, &f)) {
        if (f.number == 1 && f.wire == 2 && !read_header(f.data, &a->header))
            return false;
        if (f.number == 2 && f.wire == 0)
            a->ours = (int64_t)f.value >= 0;
        else if (f.number == 3 && f.wire == 0)
            a->created = f.value != 0;
        else if (f.number == 4 && f.wire == 0)
            a->canceled = f.value != 0;
        else if (f.number == 5 && f.wire == 0)
            a->compact_revision = f.value;
        else if (f.number == 6 && f.wire == 2)
            a->reason = f.data;
        else if (f.number == 7 && f.wire == 0)
            a->fragment = f.value != 0;
        else if (f.number == 11 && f.wire == 2)
            a->n_events++;
    }
    return !r.failed;
}

bool etcd_next_event(struct fed_pb_reader *r, struct etcd_event *e)
{
    struct fed_pb_field f, g;
    while (fed_pb_next(r, &f)) {
        if (f.number != 11 || f.wire != 2)
            continue;
        struct fed_pb_reader in;
        *e = (struct etcd_event){0};
        fed_pb_reader_init(&in, f.data);
        while (fed_pb_next(&in, &g)) {
            if (g.number == 1 && g.wire == 0)
                e->deleted = g.value == 1;
            else if ((g.number == 2 && g.wire == 2 && !read_kv(g.data, &e->kv)) ||
                     (g.number == 3 && g.wire == 2 && !read_kv(g.data, &e->prev)))
                in.failed = true;
        }
        if (!in.failed && e->kv.key.n && e->kv.mod_rev)
            return true;
        r->failed = true;
    }
    return false;
}
