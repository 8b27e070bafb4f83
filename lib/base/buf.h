/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h: a growing byte buffer with a maximum given at init.
 *
 * Invariants: n <= max; after a failed append `failed` stays set and later appends do nothing (sticky), so a
 *             writer may check once at its end. Zero-initialised = empty buffer with max SIZE_MAX/2.
 * Ownership:  owns p; fed_buf_release frees. fed_buf_take_blob moves the bytes out.
 */
#ifndef FED_BASE_BUF_H
#define FED_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

struct fed_buf {
    char *p;
    size_t n, cap, max; /* max 0 = no limit */
    bool failed;
};

void fed_buf_init(struct fed_buf *b, size_t max);
void fed_buf_release(struct fed_buf *b);
void fed_buf_reset(struct fed_buf *b); /* n = 0, failed = false; keeps memory */

static inline struct fed_str fed_buf_str(const struct fed_buf *b)
{
    return (struct fed_str){b->p, b->n};
}
/* 0 or FED_E_LIMIT when any append since reset exceeded max. */
static inline int fed_buf_status(const struct fed_buf *b)
{
    return b->failed ? FED_E_LIMIT : 0;
}

/* Room for n more bytes at p + n, or NULL (and failed). Then fed_buf_commit what was written. */
char *fed_buf_reserve(struct fed_buf *b, size_t n);
static inline void fed_buf_commit(struct fed_buf *b, size_t n)
{
    b->n += n;
}
/* For encoders that write ahead of what they know: room for n bytes at p + n even past max (never NULL while not
 * failed), then fed_buf_commit_ahead the bytes really written, which fails and cuts when they pass max. */
char *fed_buf_reserve_ahead(struct fed_buf *b, size_t n);
void fed_buf_commit_ahead(struct fed_buf *b, size_t n);
void fed_buf_append(struct fed_buf *b, const void *p, size_t n);
void fed_buf_add(struct fed_buf *b, struct fed_str s);
void fed_buf_addz(struct fed_buf *b, const char *z);
void fed_buf_addc(struct fed_buf *b, char c);
void fed_buf_addf(struct fed_buf *b, const char *fmt, ...) FED_PRINTF(2, 3);
void fed_buf_add_u64(struct fed_buf *b, uint64_t v); /* decimal */
void fed_buf_consume(struct fed_buf *b, size_t n);   /* drops the first n bytes */
/* NUL-terminates (not counted in n) and returns p; "" when empty or failed. */
const char *fed_buf_z(struct fed_buf *b);

#endif
