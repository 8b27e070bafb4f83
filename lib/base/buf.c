/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void fed_buf_init(struct fed_buf *b, size_t max)
{
    *b = (struct fed_buf){.max = max};
}

void fed_buf_release(struct fed_buf *b)
{
    free(b->p);
    *b = (struct fed_buf){.max = b->max};
}

void fed_buf_reset(struct fed_buf *b)
{
    b->n = 0;
    b->failed = false;
}

/* One byte more than asked is kept, so that fed_buf_z has its place even at the maximum. */
static void grow(struct fed_buf *b, size_t need, size_t most)
{
    size_t cap = b->cap ? b->cap : 128;
    while (cap <= need)
        cap *= 2;
    if (cap > most)
        cap = most + 1;
    b->p = fed_realloc(b->p, cap);
    b->cap = cap;
}

char *fed_buf_reserve(struct fed_buf *b, size_t n)
{
    size_t max = b->max ? b->max : SIZE_MAX / 4;
    if (b->failed || n > max - b->n) {
        b->failed = true;
        return NULL;
    }
    if (b->n + n >= b->cap)
        grow(b, b->n + n, max);
    return b->p + b->n;
}

char *fed_buf_reserve_ahead(struct fed_buf *b, size_t n)
{
    FED_REQUIRE(n < SIZE_MAX / 4);
    if (b->n + n >= b->cap)
        grow(b, b->n + n, SIZE_MAX / 2);
    return b->p + b->n;
}

void fed_buf_commit_ahead(struct fed_buf *b, size_t n)
{
    b->n += n;
    if (b->max && b->n > b->max) {
        b->n = b->max;
        b->failed = true;
    }
}

void fed_buf_append(struct fed_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *room = fed_buf_reserve(b, n);
    if (!room)
        return;
    memcpy(room, p, n);
    b->n += n;
}

void fed_buf_add(struct fed_buf *b, struct fed_str s)
{
    fed_buf_append(b, s.p, s.n);
}

void fed_buf_addz(struct fed_buf *b, const char *z)
{
    fed_buf_append(b, z, strlen(z));
}

void fed_buf_addc(struct fed_buf *b, char c)
{
    char *room = fed_buf_reserve(b, 1);
    if (!room)
        return;
    *room = c;
    b->n++;
}

void fed_buf_addf(struct fed_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int want = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *room = want < 0 ? NULL : fed_buf_reserve(b, (size_t)want);
    if (room) {
        vsnprintf(room, (size_t)want + 1, fmt, again); /* reserve keeps a byte for the NUL */
        b->n += (size_t)want;
    }
    va_end(again);
}

void fed_buf_add_u64(struct fed_buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    fed_buf_append(b, digits + at, sizeof(digits) - at);
}

void fed_buf_consume(struct fed_buf *b, size_t n)
{
    if (n >= b->n) {
        b->n = 0;
        return;
    }
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

const char *fed_buf_z(struct fed_buf *b)
{
    if (b->failed || b->n == 0)
        return "";
    if (b->n >= b->cap)
        grow(b, b->n, SIZE_MAX / 2);
    b->p[b->n] = '\0';
    return b->p;
}
