/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h: memory for pieces of a few hundred bytes to a few kilobytes that live long, apart from what comes and goes.
 *
 * Model:      slabs of 64 KiB, each cut into as many equal places as fit; a size goes to the slab with most places that
 *             are large enough. On the heap, what a request needs for a moment lies between the objects that stay, and
 *             the holes that it leaves fit nothing later: a tenth of all memory.
 * Invariants: a piece wastes 1/128 of a slab at most on average, and no piece has a header. Empty slabs are used again for any
 *             size; fed_slab_trim gives their pages back.
 * Threads:    any.
 * Failure:    out of memory aborts, as in mem.h.
 */
#ifndef FED_BASE_SLAB_H
#define FED_BASE_SLAB_H

#include <stddef.h>

#include "base/def.h"

/* NULL: too large (above 8,000 bytes) or checked memory is wanted (AddressSanitizer); use the heap. Aligned to 16. */
FED_MUST_USE void *fed_slab_alloc(size_t n);
void fed_slab_free(void *p); /* of fed_slab_alloc only */
void fed_slab_trim(void);

#endif
