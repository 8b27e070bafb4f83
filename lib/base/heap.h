/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h: an intrusive binary min-heap ordered by a 64-bit key (a deadline). Not thread-safe. */
#ifndef FED_BASE_HEAP_H
#define FED_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fed_heap_node {
    uint64_t key;
    uint64_t seq; /* equal keys leave in order of insertion */
    size_t place; /* 1-based; 0 = in no heap */
};
struct fed_heap { /* zero-initialised = empty */
    struct fed_heap_node **nodes;
    size_t n, cap;
    uint64_t seq;
};

void fed_heap_release(struct fed_heap *h);                                       /* does not touch the nodes */
void fed_heap_put(struct fed_heap *h, struct fed_heap_node *node, uint64_t key); /* moves a node already inside */
void fed_heap_remove(struct fed_heap *h, struct fed_heap_node *node);            /* no-op when in no heap */
struct fed_heap_node *fed_heap_top(const struct fed_heap *h);                    /* borrowed or NULL */

#endif
