/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h: the state of the store in memory: for each kind an ordered map of objects, and the log of recent changes.
 *
 * Model:      one struct fed_kcache a kind: a hash index for single reads, and a B+ tree ordered by (namespace, name)
 *             whose nodes are reference counted and copied on write only while a snapshot shares them. A snapshot is a
 *             reference to a root: taking one is free, and it never changes. The log keeps the last `keep` changes with
 *             the object before and after; a root of an earlier revision is rebuilt by undoing changes, so no root
 *             has to be kept for each revision. Roots that a paged LIST handed out a token for are pinned (64).
 *             Custom kinds come, change and go while the server runs: values under keys of unknown kinds are kept as
 *             they are ("orphans") and become objects when their kind comes.
 * Invariants: every change with revision > floor is in the log, in revision order.
 * Ownership:  found objects are borrowed until the next change; ref to keep. A kcache counts references (the cache, log
 *             entries, pins, watchers, requests): that of a kind that went lives, empty, as long as one is held.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_CACHE_H
#define FED_APISERVER_CACHE_H

#include "base/list.h"
#include "kube/kind.h"
#include "store/store.h"

struct fed_node; /* of a tree; NULL is the empty tree */
struct fed_cache;
struct fed_encryption;

struct fed_kcache {
    struct fed_cache *cache;
    const struct fed_kind *kind; /* its own reference */
    unsigned refs;
    uint64_t since; /* custom kinds: their past begins here; earlier revisions are expired */
    struct fed_node *root;
    struct fed_kobj **slots; /* open addressing, linear probing */
    size_t n, cap;
    struct fed_kobj **gathered; /* while the store is loaded (cache_index.h) */
    size_t n_gathered, cap_gathered;
    uint64_t last_rev;        /* of the last change of this kind */
    struct fed_list watchers; /* watch.h */
};
struct fed_change {
    uint64_t rev;
    struct fed_kcache *kc;
    struct fed_kobj *old; /* before; NULL: created */
    struct fed_kobj *now; /* after; of a deletion: the last state, stamped with the deletion's revision */
    bool deleted;
};
#define FED_CACHE_PINS 64
struct fed_cache {
    struct fed_map kinds; /* store prefix -> struct fed_kcache */
    uint64_t rev;         /* of the state */
    bool live_done;       /* the live keys are loaded */
    uint64_t floor;
    struct fed_change *log; /* ring of `cap`, sequence numbers first_seq .. next_seq - 1 */
    size_t cap, keep;
    uint64_t first_seq, next_seq;
    struct {
        struct fed_kcache *kc;
        uint64_t rev;
        struct fed_node *root;
    } pins[FED_CACHE_PINS];
    size_t next_pin;
    uint64_t oldest_pin; /* no pin is older; they expire with the log */
    uint64_t seed;
    struct fed_map orphans; /* key -> struct fed_orphan: values of kinds that are not served (now) */
    struct fed_map stored;  /* custom kinds: key -> blob, where the object shows other than is stored */
    const struct fed_encryption *encryption; /* borrowed; NULL: values are plain */
    struct fed_map sealed;                   /* store key -> id of the key that its value is encrypted with */
    struct fed_map key_ids;                  /* the ids, each once */
};

void fed_cache_init(struct fed_cache *c, const struct fed_kinds *kinds, size_t keep, uint64_t seed);
void fed_cache_release(struct fed_cache *c);
struct fed_kcache *fed_cache_kind(const struct fed_cache *c, const struct fed_kind *kind); /* NULL: not served */
/* A live key at start. FED_E_CORRUPT names the key. */
FED_MUST_USE int fed_cache_load(struct fed_cache *c, const struct store_change *change, struct fed_err *err);
/* All live keys are loaded: from here on objects are found. fed_cache_loaded implies it. */
void fed_cache_live_done(struct fed_cache *c);
void fed_cache_loaded(struct fed_cache *c, uint64_t rev);
/* A committed change: state, then log. *logged is set when it concerned a kind that is served. */
FED_MUST_USE int fed_cache_apply(struct fed_cache *c, const struct store_change *change, bool *logged,
                                 struct fed_err *err);

/* A custom kind comes, whose definition is of revision `since`: orphans of its keys become its objects. FED_E_CORRUPT names
 * the key that is damaged (the kind is served without it). Borrowed. */
FED_MUST_USE int fed_cache_add_kind(struct fed_cache *c, const struct fed_kind *kind, uint64_t since,
                                    struct fed_kcache **out, struct fed_err *err);
/* Its definition changed: objects are shown by the new schema (defaults, unknown fields) without being written. */
void fed_cache_swap_kind(struct fed_kcache *kc, const struct fed_kind *kind);
/* It went: what objects are left become orphans again. Its watchers were ended before. */
void fed_cache_drop_kind(struct fed_cache *c, struct fed_kcache *kc);
struct fed_kcache *fed_kcache_ref(struct fed_kcache *kc); /* NULL ok */
void fed_kcache_unref(struct fed_kcache *kc);             /* NULL ok */

struct fed_kobj *fed_cache_find(const struct fed_kcache *kc, struct fed_str ns, struct fed_str name);
/* The sequence number of the first change after `rev`; FED_E_EXPIRED when the log does not reach back so far. */
FED_MUST_USE int fed_cache_seq_after(const struct fed_cache *c, uint64_t rev, uint64_t *seq);
const struct fed_change *fed_cache_change(const struct fed_cache *c, uint64_t seq); /* in the log */

/* Snapshots: a reference to release with fed_tree_unref. */
struct fed_node *fed_cache_snapshot(struct fed_kcache *kc);
FED_MUST_USE int fed_cache_snapshot_at(struct fed_kcache *kc, uint64_t rev, struct fed_node **root);
void fed_cache_pin(struct fed_kcache *kc, uint64_t rev, struct fed_node *root); /* takes its own reference */

struct fed_node *fed_tree_ref(struct fed_node *n);
void fed_tree_unref(struct fed_node *n);
size_t fed_tree_count(const struct fed_node *n);
/* Calls each(ud, obj) in order for keys > (after_ns, after_name) until it returns false; with ns not empty only for
 * that namespace. after_name.p == NULL: from the start. */
void fed_tree_walk(const struct fed_node *n, struct fed_str ns, struct fed_str after_ns, struct fed_str after_name,
                   bool (*each)(void *ud, struct fed_kobj *obj), void *ud);
/* Number of keys > (ns, name), within namespace `only` when not empty. */
size_t fed_tree_after(const struct fed_node *n, struct fed_str only, struct fed_str ns, struct fed_str name);

/* The key of an object in the store. */
void fed_cache_key(const struct fed_kind *kind, struct fed_str ns, struct fed_str name, struct fed_buf *out);
/* The stored value of a tree in storage version (resourceVersion is left out). */
void fed_cache_encode(const struct fed_kind *kind, const struct fed_json *obj, struct fed_buf *out);
/* The key id of the stored value: "-" for plain ones. */
struct fed_str fed_cache_key_id(const struct fed_cache *c, struct fed_str key);
/* The same object with another revision. */
struct fed_kobj *fed_cache_restamp(const struct fed_kobj *o, uint64_t rev);

/* For history.h. The kind of a key, NULL: not served; the rest is "ns/name" or "name". */
struct fed_kcache *fed_cache_of_key(const struct fed_cache *c, struct fed_str key, struct fed_str *ns,
                                    struct fed_str *name);
FED_MUST_USE int fed_cache_decode(const struct fed_kcache *kc, const struct store_change *ch, struct fed_kobj **out,
                                  struct fed_err *err);
void fed_cache_log_add(struct fed_cache *c, const struct fed_change *ch); /* takes its references */
void fed_cache_log_drop(struct fed_cache *c);                             /* the first one; the floor moves up */
void fed_cache_log_gap(struct fed_cache *c, uint64_t rev);                /* history up to rev is not known */

#endif
