/* SPDX-License-Identifier: Apache-2.0 */
#include "http/gzip.h"

#include <zlib.h>

enum { GZIP_WINDOW = 15 + 16 /* with gzip's head and checksum */, STEP = 32 * 1024, MAX_AT_ONCE = 1 << 30 };

/* Room at the end of out: a step, or what its maximum leaves. */
static char *room(struct fed_buf *out, size_t *n)
{
    size_t left = (out->max ? out->max : SIZE_MAX / 4) - out->n;
    *n = left < STEP ? left : STEP;
    return *n ? fed_buf_reserve(out, *n) : NULL;
}

int fed_gzip_encode(struct fed_str in, int level, struct fed_buf *out)
{
    z_stream z = {.next_in = NULL};
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return FED_E_INTERNAL;
    int rc = Z_OK;
    while (rc != Z_STREAM_END) {
        if (z.avail_in == 0 && in.n) {
            size_t n = in.n < MAX_AT_ONCE ? in.n : MAX_AT_ONCE;
            z.next_in = (Bytef *)in.p;
            z.avail_in = (uInt)n;
            in = fed_str_from(in, n);
        }
        size_t n;
        char *p = room(out, &n);
        if (!p)
            break;
        z.next_out = (Bytef *)p;
        z.avail_out = (uInt)n;
        rc = deflate(&z, in.n ? Z_NO_FLUSH : Z_FINISH);
        fed_buf_commit(out, n - z.avail_out);
    }
    deflateEnd(&z);
    return rc == Z_STREAM_END ? 0 : FED_E_LIMIT;
}

static int code_of(int zrc)
{
    return zrc == Z_BUF_ERROR ? FED_E_END : zrc == Z_MEM_ERROR ? FED_E_INTERNAL : FED_E_SYNTAX;
}

int fed_gzip_decode(struct fed_str in, struct fed_buf *out)
{
    z_stream z = {.next_in = (Bytef *)in.p, .avail_in = (uInt)in.n};
    if (in.n > MAX_AT_ONCE)
        return FED_E_LIMIT;
    if (in.n == 0)
        return FED_E_END;
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK)
        return FED_E_INTERNAL;
    int rc = 0;
    for (;;) {
        char spare; /* a full buffer is no failure when the data ends with it */
        size_t n;
        char *p = room(out, &n);
        bool full = !p;
        z.next_out = (Bytef *)(full ? &spare : p);
        z.avail_out = full ? 1 : (uInt)n;
        int zrc = inflate(&z, Z_NO_FLUSH);
        if (full && z.avail_out == 0) {
            rc = FED_E_LIMIT;
            break;
        }
        if (!full)
            fed_buf_commit(out, n - z.avail_out);
        if (zrc == Z_STREAM_END) {
            if (z.avail_in == 0)
                break;
            zrc = inflateReset(&z);
        }
        if (zrc != Z_OK) {
            rc = code_of(zrc);
            break;
        }
    }
    inflateEnd(&z);
    return rc;
}
