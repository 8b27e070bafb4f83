/* SPDX-License-Identifier: Apache-2.0 */
/* informer.h: a local copy of a set of objects that follows a watch, and calls handlers for each change.
 *
 * Model:      start -> listing -> synced (following); on any failure it resumes from its last revision, on 410 it lists
 *             again and reports only real differences. After the first sync it never becomes unsynced: stale data is
 *             still data; fed_informer_connected tells whether it is live and since when it has heard nothing.
 *             Back-off 100 ms doubling to 2 s with jitter; when one informer of a transport is live again, those
 *             that wait on the same one try within a quarter of it: after an outage all see the same present.
 * Invariants: handlers see each object's history in order: added, modified…, deleted; never twice the same revision.
 * Ownership:  handlers borrow objects. fed_informer_find borrows until the next turn of the loop.
 * Threads:    the env's thread.
 */
#ifndef FED_KUBE_INFORMER_H
#define FED_KUBE_INFORMER_H

#include "kube/client.h"

struct fed_informer;
struct fed_informer_handlers {
    /* old NULL: added; now NULL: deleted. */
    void (*changed)(void *ud, struct fed_kobj *old, struct fed_kobj *now);
    void (*synced)(void *ud);               /* once, after the first complete list; may be NULL */
    void (*connected)(void *ud, bool live); /* may be NULL */
    void *ud;
};
struct fed_informer_conf {
    struct fed_transport *transport;             /* borrowed, outlives the informer */
    const struct fed_resource *resource;         /* static */
    const char *ns;                              /* NULL: all */
    const char *label_selector, *field_selector; /* copied, or NULL */
    bool
        optional; /* a server without this kind (404, 405) counts as one without objects; it is asked again now and then */
    const char *index_label; /* static: a label to find objects by (fed_informer_each_labeled), or NULL */
};
struct fed_informer *fed_informer_new(const struct fed_informer_conf *conf);
/* Any number of handler sets; one added later is told of all present objects (in a posted task). */
void fed_informer_add_handlers(struct fed_informer *inf, const struct fed_informer_handlers *h);
void fed_informer_start(struct fed_informer *inf);
void fed_informer_free(struct fed_informer *inf); /* no callback follows */
bool fed_informer_synced(const struct fed_informer *inf);
bool fed_informer_connected(const struct fed_informer *inf);
struct fed_kobj *fed_informer_find(const struct fed_informer *inf, struct fed_str ns, struct fed_str name);
size_t fed_informer_count(const struct fed_informer *inf);
/* Calls each(ud, obj) for all objects (of ns, when not empty) until it returns false. */
void fed_informer_each(const struct fed_informer *inf, struct fed_str ns, bool (*each)(void *ud, struct fed_kobj *obj),
                       void *ud);
/* Objects of ns whose index_label has this value. */
void fed_informer_each_labeled(const struct fed_informer *inf, struct fed_str ns, struct fed_str value,
                               bool (*each)(void *ud, struct fed_kobj *obj), void *ud);
/* Index by controller owner uid: dependents of one owner. */
void fed_informer_each_owned(const struct fed_informer *inf, struct fed_str owner_uid,
                             bool (*each)(void *ud, struct fed_kobj *obj), void *ud);

#endif
