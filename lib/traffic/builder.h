/* SPDX-License-Identifier: Apache-2.0 */
/* builder.h: makes snapshots from the objects of docs/internals/traffic-objects.md, as informers bring them or a saved
 * file tells them.
 *
 * Model:      file (at start) -> objects -> parts (service, ingress, cluster) -> snapshot -> routing.current
 *                     informers (when connected) ^
 *             Each changed object marks its part; at most every 20 ms the marked parts are made anew and a snapshot of
 *             old and new parts is published; the one before is retired by epochs. 200 ms after a change the objects
 *             are saved. Host names of FQDN slices are resolved each 30 s (on the loop's work threads).
 * Invariants: nothing is published from informers before all of them have synced once (half a world is no world); what
 *             the file told is kept until then. A lost connection changes nothing but `control_stale`.
 * File:       one line "hansa-snapshot 1 LENGTH FNV64-HEX", then one object in JSON a line; mode 0600 (it may hold TLS
 *             keys); written by rename. An unreadable or damaged file is ignored and reported.
 * Threads:    control thread.
 */
#ifndef FED_TRAFFIC_BUILDER_H
#define FED_TRAFFIC_BUILDER_H

#include "kube/client.h"
#include "net/loop.h"
#include "traffic/snapshot.h"

struct fed_builder;
struct fed_builder_conf {
    struct fed_env *env;
    struct fed_loop *loop; /* for resolving host names; NULL: they are not resolved */
    struct fed_routing *routing;
    struct fed_targets *targets;
    const char *own_cluster; /* NULL: in none */
    const char *state_file;  /* NULL: not saved */
    bool local_endpoints;    /* keep scope local slices of our own cluster (balancers) */
    bool secrets;            /* watch TLS secrets of the ingresses (balancers) */
    /* Program's own tables for a new snapshot, made aside on the control thread (prev: the snapshot before, whose derived
     * it may share by counting), and their release after the last reader. NULL: none. */
    void *(*derive)(void *ud, const struct fed_snapshot *s, const struct fed_snapshot *prev);
    void (*derive_free)(void *ud, void *derived);
    void (*published)(void *ud, const struct fed_snapshot *s); /* may be NULL; on the control thread */
    void *ud;
};
struct fed_builder *fed_builder_new(const struct fed_builder_conf *conf);
void fed_builder_free(struct fed_builder *b); /* publishes NULL; retires the last snapshot */

/* Loads the saved file and publishes at once. FED_E_NOT_FOUND, FED_E_CORRUPT, FED_E_VERSION: nothing changed. */
FED_MUST_USE int fed_builder_restore(struct fed_builder *b, struct fed_err *err);
/* Begins to watch (or, with another transport than before, to watch there instead; the old one may be freed then).
 * NULL stops watching. The transport is borrowed. */
void fed_builder_watch(struct fed_builder *b, struct fed_transport *transport);
bool fed_builder_synced(const struct fed_builder *b);    /* informers have told everything once */
bool fed_builder_connected(const struct fed_builder *b); /* the watch is live now */

/* One object as an event would bring it (tests, --objects FILE): any kind but the known ones is ignored.
 * fed_builder_drop removes. fed_builder_flush publishes now what is marked. */
void fed_builder_put(struct fed_builder *b, struct fed_kobj *obj);
void fed_builder_drop(struct fed_builder *b, struct fed_str kind, struct fed_str ns, struct fed_str name);
void fed_builder_flush(struct fed_builder *b);
/* Puts every document of a YAML (or JSON) text. */
FED_MUST_USE int fed_builder_put_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err);
/* The same, and what the text does not name is dropped: the text is the whole world (a file given by the operator). */
FED_MUST_USE int fed_builder_replace_yaml(struct fed_builder *b, struct fed_str text, struct fed_err *err);
void fed_builder_save(struct fed_builder *b); /* now, if anything changed since the last save */

struct fed_builder_stats {
    uint64_t published, objects, changes, saves, save_failures, build_ns_last;
};
void fed_builder_stats(const struct fed_builder *b, struct fed_builder_stats *out);

#endif
