/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h: allocation that does not fail. A daemon out of memory cannot do better than abort; therefore every
 * input is bounded before it is copied. All results are released with free(). Any thread. */
#ifndef FED_BASE_MEM_H
#define FED_BASE_MEM_H

#include <stddef.h>

#include "base/str.h"

FED_MUST_USE void *fed_malloc(size_t n);
FED_MUST_USE void *fed_calloc(size_t count, size_t size); /* zeroed; overflow aborts */
FED_MUST_USE void *fed_realloc(void *p, size_t n);
FED_MUST_USE char *fed_strdup(const char *z);        /* z not NULL */
FED_MUST_USE char *fed_strdup_str(struct fed_str s); /* NUL-terminated copy */
FED_MUST_USE char *fed_asprintf(const char *fmt, ...) FED_PRINTF(1, 2);

/* Gives free memory inside the heap back to the system; takes milliseconds. After a burst, when it is quiet. */
void fed_mem_trim(void);

#define FED_NEW(type) ((type *)fed_calloc(1, sizeof(type)))

#endif
