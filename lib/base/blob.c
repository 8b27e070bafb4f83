/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blob.h"

#include <stdlib.h>

#include "base/mem.h"

static struct fed_blob *new_blob(size_t room)
{
    FED_REQUIRE(room < SIZE_MAX / 2);
    struct fed_blob *blob = fed_malloc(sizeof(*blob) + room);
    atomic_init(&blob->refs, 1);
    blob->n = room;
    blob->p = (char *)(blob + 1);
    blob->release = NULL;
    return blob;
}

struct fed_blob *fed_blob_new(struct fed_str bytes)
{
    struct fed_blob *blob = new_blob(bytes.n);
    if (bytes.n)
        memcpy(blob->p, bytes.p, bytes.n);
    return blob;
}

struct fed_blob *fed_blob_new_take(struct fed_buf *b)
{
    struct fed_blob *blob = new_blob(0);
    if (b->p && b->cap > b->n + b->n / 4 + 64)
        b->p = fed_realloc(b->p, b->n); /* a blob may live long: give the slack back */
    if (b->p)
        blob->p = b->p;
    blob->n = b->n;
    b->p = NULL;
    fed_buf_release(b);
    return blob;
}

struct fed_blob *fed_blob_new_room(size_t n, char **room)
{
    struct fed_blob *blob = new_blob(n);
    *room = blob->p;
    return blob;
}

void fed_blob_part(struct fed_blob *blob, char *p, size_t n, void (*release)(struct fed_blob *blob))
{
    atomic_init(&blob->refs, 1);
    blob->n = n;
    blob->p = p;
    blob->release = release;
}

struct fed_blob *fed_blob_ref(struct fed_blob *blob)
{
    if (blob)
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void fed_blob_unref(struct fed_blob *blob)
{
    if (!blob || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (blob->release) {
        blob->release(blob);
        return;
    }
    if (blob->p != (char *)(blob + 1))
        free(blob->p);
    free(blob);
}

struct fed_str fed_blob_str(const struct fed_blob *blob)
{
    return blob ? fed_str_n(blob->p, blob->n) : fed_str_n(NULL, 0);
}
