/* SPDX-License-Identifier: Apache-2.0 */
/* list.h: an intrusive doubly linked list. A node is in at most one list; a node not in a list has next == NULL. */
#ifndef FED_BASE_LIST_H
#define FED_BASE_LIST_H

#include <stdbool.h>

#include "base/def.h"

struct fed_list {
    struct fed_list *prev, *next;
};

static inline void fed_list_init(struct fed_list *head)
{
    head->prev = head->next = head;
}
static inline bool fed_list_empty(const struct fed_list *head)
{
    return head->next == head;
}
static inline bool fed_list_linked(const struct fed_list *node)
{
    return node->next != NULL;
}
static inline void fed_list_insert_after(struct fed_list *pos, struct fed_list *node)
{
    node->prev = pos;
    node->next = pos->next;
    pos->next->prev = node;
    pos->next = node;
}
static inline void fed_list_push_back(struct fed_list *head, struct fed_list *node)
{
    fed_list_insert_after(head->prev, node);
}
static inline void fed_list_push_front(struct fed_list *head, struct fed_list *node)
{
    fed_list_insert_after(head, node);
}
static inline void fed_list_remove(struct fed_list *node) /* no-op for a node in no list */
{
    if (!node->next)
        return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}
#define FED_LIST_ENTRY(node, type, member) fed_container_of(node, type, member)
#define FED_LIST_EACH(it, head)            for (struct fed_list *it = (head)->next; it != (head); it = it->next)
/* `it` may be removed (or freed) in the body. */
#define FED_LIST_EACH_SAFE(it, head)                                                                                   \
    for (struct fed_list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)

#endif
