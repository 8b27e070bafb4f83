/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <stdlib.h>

#include "base/mem.h"

static bool before(const struct fed_heap_node *a, const struct fed_heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->seq < b->seq;
}

static void place(struct fed_heap *h, struct fed_heap_node *node, size_t at)
{
    h->nodes[at - 1] = node;
    node->place = at;
}

static void sift_up(struct fed_heap *h, struct fed_heap_node *node, size_t at)
{
    while (at > 1 && before(node, h->nodes[at / 2 - 1])) {
        place(h, h->nodes[at / 2 - 1], at);
        at /= 2;
    }
    place(h, node, at);
}

static void sift_down(struct fed_heap *h, struct fed_heap_node *node, size_t at)
{
    while (at * 2 <= h->n) {
        size_t child = at * 2;
        if (child < h->n && before(h->nodes[child], h->nodes[child - 1]))
            child++;
        if (!before(h->nodes[child - 1], node))
            break;
        place(h, h->nodes[child - 1], at);
        at = child;
    }
    place(h, node, at);
}

void fed_heap_release(struct fed_heap *h)
{
    free(h->nodes);
    *h = (struct fed_heap){0};
}

void fed_heap_remove(struct fed_heap *h, struct fed_heap_node *node)
{
    size_t at = node->place;
    node->place = 0;
    if (at == 0 || at > h->n) /* in no heap, or the heap was released under the node */
        return;
    struct fed_heap_node *last = h->nodes[--h->n];
    if (last == node)
        return;
    if (at > 1 && before(last, h->nodes[at / 2 - 1]))
        sift_up(h, last, at);
    else
        sift_down(h, last, at);
}

void fed_heap_put(struct fed_heap *h, struct fed_heap_node *node, uint64_t key)
{
    fed_heap_remove(h, node);
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 16;
        h->nodes = fed_realloc(h->nodes, h->cap * sizeof(struct fed_heap_node *));
    }
    node->key = key;
    node->seq = ++h->seq;
    sift_up(h, node, ++h->n);
}

struct fed_heap_node *fed_heap_top(const struct fed_heap *h)
{
    return h->n ? h->nodes[0] : NULL;
}
