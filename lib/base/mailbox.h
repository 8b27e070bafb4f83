/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.h: messages between threads: many senders, one receiver, bounded.
 *
 * Model:     senders put intrusive nodes; the receiver takes all of them in order. When the box goes from empty to
 *            not empty, `notify` is called (on the sender's thread; uv_async_send or an eventfd behind it).
 * Ownership: a node in the box belongs to the box, once taken to the receiver.
 */
#ifndef FED_BASE_MAILBOX_H
#define FED_BASE_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct fed_mailbox {
    pthread_mutex_t lock;
    struct fed_list msgs;
    size_t n, max;
    bool closed;
    void (*notify)(void *ud);
    void *ud;
};

void fed_mailbox_init(struct fed_mailbox *box, size_t max, void (*notify)(void *ud), void *ud);
void fed_mailbox_release(struct fed_mailbox *box); /* must be empty */
/* False when full or closed: the sender keeps the node and answers 429 or retries. */
FED_MUST_USE bool fed_mailbox_put(struct fed_mailbox *box, struct fed_list *node);
/* Moves all messages to *out (an initialised list head); returns how many. Any later call returns only newer ones. */
size_t fed_mailbox_take(struct fed_mailbox *box, struct fed_list *out);
void fed_mailbox_close(struct fed_mailbox *box);

#endif
