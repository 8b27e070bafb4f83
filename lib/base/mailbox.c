/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mailbox.h"

void fed_mailbox_init(struct fed_mailbox *box, size_t max, void (*notify)(void *ud), void *ud)
{
    *box = (struct fed_mailbox){.max = max, .notify = notify, .ud = ud};
    fed_list_init(&box->msgs);
    FED_REQUIRE(pthread_mutex_init(&box->lock, NULL) == 0);
}

void fed_mailbox_release(struct fed_mailbox *box)
{
    FED_REQUIRE(fed_list_empty(&box->msgs));
    pthread_mutex_destroy(&box->lock);
}

bool fed_mailbox_put(struct fed_mailbox *box, struct fed_list *node)
{
    pthread_mutex_lock(&box->lock);
    bool fits = !box->closed && box->n < box->max;
    if (fits) {
        fed_list_push_back(&box->msgs, node);
        /* Under the lock: once close() has returned, nobody notifies a receiver that may be gone. */
        if (box->n++ == 0 && box->notify)
            box->notify(box->ud);
    }
    pthread_mutex_unlock(&box->lock);
    return fits;
}

size_t fed_mailbox_take(struct fed_mailbox *box, struct fed_list *out)
{
    pthread_mutex_lock(&box->lock);
    size_t n = box->n;
    if (n) {
        struct fed_list *first = box->msgs.next, *last = box->msgs.prev;
        first->prev = out->prev;
        out->prev->next = first;
        last->next = out;
        out->prev = last;
        fed_list_init(&box->msgs);
        box->n = 0;
    }
    pthread_mutex_unlock(&box->lock);
    return n;
}

void fed_mailbox_close(struct fed_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    pthread_mutex_unlock(&box->lock);
}
