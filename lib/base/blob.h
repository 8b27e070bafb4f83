/* SPDX-License-Identifier: Apache-2.0 */
/* blob.h: immutable bytes with an atomic reference count: encoded once, shared by every reader and writer.
 * Threads: any; bytes never change after creation. */
#ifndef FED_BASE_BLOB_H
#define FED_BASE_BLOB_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/str.h"

/* Its fields are blob.c's, but for a part of a larger object that shares its reference count: see fed_blob_part. */
struct fed_blob {
    atomic_uint refs;
    size_t n;
    char *p;
    void (*release)(struct fed_blob *blob); /* NULL: a blob of its own */
};

struct fed_blob *fed_blob_new(struct fed_str bytes);       /* copies; one reference, the caller's */
struct fed_blob *fed_blob_new_take(struct fed_buf *b);     /* takes the buffer's bytes; *b is left empty */
struct fed_blob *fed_blob_new_room(size_t n, char **room); /* n bytes to fill in before sharing */
/* A blob inside an object of the caller's: n bytes at p, one reference. When the last one goes, `release` is called. */
void fed_blob_part(struct fed_blob *blob, char *p, size_t n, void (*release)(struct fed_blob *blob));
struct fed_blob *fed_blob_ref(struct fed_blob *blob);     /* returns blob */
void fed_blob_unref(struct fed_blob *blob);               /* NULL ok */
struct fed_str fed_blob_str(const struct fed_blob *blob); /* borrowed while a reference is held; NULL: empty */

#endif
