/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"

#include "base/slab.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *checked(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *fed_malloc(size_t n)
{
    return checked(malloc(n ? n : 1)); /* malloc(0) may be NULL: not a failure here */
}

void *fed_calloc(size_t count, size_t size)
{
    return checked(count && size ? calloc(count, size) : calloc(1, 1));
}

void *fed_realloc(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1));
}

char *fed_strdup(const char *z)
{
    return fed_strdup_str(fed_str(z));
}

char *fed_strdup_str(struct fed_str s)
{
    FED_REQUIRE(s.n < SIZE_MAX);
    char *copy = fed_malloc(s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

char *fed_asprintf(const char *fmt, ...)
{
    char *out = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&out, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : out);
}

void fed_mem_trim(void)
{
    fed_slab_trim();
    malloc_trim(0);
}
