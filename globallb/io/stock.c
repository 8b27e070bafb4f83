/* SPDX-License-Identifier: Apache-2.0 */
/* stock.c: what all parts of a worker use: parsers of heads to spare, and its counters. */
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

struct fed_h1_head *glb_take_head(struct glb_worker *w)
{
    struct fed_h1_head *h = w->spare_head ? w->spare_head : fed_malloc(sizeof(*h));
    w->spare_head = NULL;
    fed_h1_init(h);
    return h;
}

void glb_give_head(struct glb_worker *w, struct fed_h1_head *h)
{
    if (w->spare_head)
        free(h);
    else
        w->spare_head = h;
}

void glb_count_answer(struct glb_worker *w, uint16_t slot, int status)
{
    _Atomic(struct glb_codes *) *at = &w->count->codes[FED_MIN(slot, FED_MAX_CLUSTERS)];
    struct glb_codes *codes = atomic_load_explicit(at, memory_order_relaxed);
    if (status < 100 || status >= 100 + GLB_CODES)
        return;
    if (!codes) {
        codes = FED_NEW(struct glb_codes);
        atomic_store_explicit(at, codes, memory_order_release);
    }
    glb_bump(&codes->n[status - 100]);
}

struct glb_counters *glb_worker_counters(struct glb_worker *w)
{
    return w->count;
}
