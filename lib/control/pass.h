/* SPDX-License-Identifier: Apache-2.0 */
/* pass.h: passes of a controller: calls made about one key of its work queue, until the key is done.
 *
 * Model:      begin -> call, and call again from its answer -> end, which tells the queue. A pass that has to know more is
 *             the first member of the controller's own struct, which is freed with it.
 * Ownership:  the passes under way are the set's; release calls them off. Threads: the transport's env.
 */
#ifndef FED_CONTROL_PASS_H
#define FED_CONTROL_PASS_H

#include "base/list.h"
#include "kube/client.h"
#include "kube/workqueue.h"

struct fed_passes;
struct fed_pass {
    struct fed_list link;
    struct fed_passes *set;
    char *key;
    struct fed_call *call; /* under way; NULL: none */
};
struct fed_passes {
    struct fed_workqueue *queue;
    struct fed_list running;
    void (*release)(struct fed_pass *p); /* what the controller's struct holds beside; NULL: nothing */
};

void fed_passes_init(struct fed_passes *s, const struct fed_workqueue_conf *queue, void (*release)(struct fed_pass *p));
void fed_passes_release(struct fed_passes *s); /* the queue too */

void fed_pass_begin(struct fed_passes *s, struct fed_pass *p, const char *key);
struct fed_pass *fed_pass_new(struct fed_passes *s, const char *key); /* the same, of a pass that needs no more */
void fed_pass_end(struct fed_pass *p, int code);                      /* frees it */
void fed_pass_drop(struct fed_pass *p); /* the same without telling the queue, whose key p was begun with */

#endif
