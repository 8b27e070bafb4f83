/* SPDX-License-Identifier: Apache-2.0 */
/* custom.h: what is decided about kinds that users define: whether their objects go to members, in which version a
 * cluster takes them, which number of them is divided.
 *
 * Model:      a CustomResourceDefinition of the hub bears the annotation federation.hansa.io/residence: `members` (its
 *             objects go to the clusters like those of every other kind, and the definition before them) or `hub` (both
 *             stay). Admission writes it down when a definition is created (admission.c), `members` unless the user says
 *             otherwise. One without it was stored before kinds of users were federated, and stays at the hub: an
 *             upgrade spreads nothing.
 *             A cluster may have a definition of its own under that name: what it serves is used as it is.
 * Invariants: the replicas of a custom kind are divided only where its scale subresource says which number that is and
 *             the object asks for it by the annotation federation.kubernetes.io/replica-preferences: the number of an
 *             operator's object is as often the size of one quorum as of a crowd.
 * Ownership:  results are in the arena or borrow the inputs. Threads: pure.
 */
#ifndef FAPI_CONTROLLERS_CUSTOM_H
#define FAPI_CONTROLLERS_CUSTOM_H

#include "kube/obj.h"
#include "kube/status.h"

#define FAPI_REPLICA_PREFERENCES "federation.kubernetes.io/replica-preferences"

struct fapi_custom { /* beside a custom kind's names; paths are ".spec.replicas", empty: no scale subresource */
    struct fed_str replicas, status_replicas;
};

/* Groups whose definitions never leave the hub; NULL: the group may go. */
const char *fapi_custom_group_stays(struct fed_str group);
/* The word of the annotation. */
bool fapi_custom_in_members(const struct fed_kobj *definition);
/* Whether the definition, or what members have of it, is our business in members; *why (static) when not. */
bool fapi_custom_goes(const struct fed_kobj *definition, const char **why);
/* What admission makes of the annotation: obj is changed. old: NULL on create. True: it is to bear the finalizer of what
 * members have. */
bool fapi_custom_admit(struct fed_arena *a, const struct fed_json *old, struct fed_json *obj);
/* What is wrong with it. */
void fapi_custom_validate(const struct fed_json *obj, struct fed_causes *causes);

enum fapi_served {
    FAPI_SERVED_UNKNOWN, /* the cluster has not been seen */
    FAPI_SERVED_NOT,     /* no definition, or not Established, or on its way out */
    FAPI_SERVED_OTHER,   /* a definition of that name which does not take our objects */
    FAPI_SERVED
};
/* What a cluster's definition does with objects of the hub's. there: NULL: it has none. *version: in which objects are
 * read there, and written when FAPI_SERVED; empty: not at all. *why: of OTHER. */
enum fapi_served fapi_custom_serves(struct fed_arena *a, const struct fed_json *hub, const struct fed_json *there,
                                    struct fed_str *version, struct fed_str *why);

/* The number at the scale path; -1: none. */
int64_t fapi_custom_number(const struct fapi_custom *c, const struct fed_json *tree);
void fapi_custom_apply(struct fed_arena *a, const struct fapi_custom *c, struct fed_json *copy, int64_t part);
/* A node at a path such as ".status.ready.replicas", or NULL. */
struct fed_json *fapi_custom_at(const struct fed_json *tree, struct fed_str path);
/* Sets it, where the objects on the way are there. */
void fapi_custom_set(struct fed_json *tree, struct fed_str path, struct fed_json *value);

#endif
