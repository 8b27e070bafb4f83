/* SPDX-License-Identifier: Apache-2.0 */
/* builder_priv.h: the builder's parts: builder.c (watching, timers), state_file.c, publish.c (snapshots), resolve.c and
 * objects.c, each of which calls those after it. Threads: control thread. */
#ifndef FED_TRAFFIC_BUILDER_PRIV_H
#define FED_TRAFFIC_BUILDER_PRIV_H

#include "base/map.h"
#include "kube/informer.h"
#include "traffic/builder.h"
#include "traffic/parts.h"

#define FED_BUILDER_MAX_FILE (256u << 20)

enum fed_routing_kind { FED_RK_CLUSTER, FED_RK_IMPORT, FED_RK_SLICE, FED_RK_INGRESS, FED_RK_SECRET, FED_RK_COUNT };

struct fed_routing_object { /* one API object that we keep */
    enum fed_routing_kind kind;
    struct fed_kobj *kobj;
    void *part;       /* fed_*_part of its kind; NULL: says nothing */
    uint64_t session; /* of the watch that brought it; 0: the file or put */
};
struct fed_service_entry {
    struct fed_str ns, name;        /* owned by the key below */
    char *key;                      /* "ns/name" */
    struct fed_list slices;         /* fed_slice_part.link */
    struct fed_import_part *import; /* borrowed from its object, or NULL */
    struct fed_service_part *made;  /* or NULL */
    bool dirty, has_host;
    struct fed_list dirty_link;
};
struct fed_host;   /* resolve.c */
struct fed_saving; /* state_file.c */

struct fed_builder {
    struct fed_builder_conf conf;
    char *own_cluster, *state_file;
    struct fed_map objects;        /* "KIND ns/name" -> fed_routing_object */
    struct fed_map services;       /* "ns/name" -> fed_service_entry */
    struct fed_list dirty;         /* services to make anew */
    bool dirty_kind[FED_RK_COUNT]; /* clusters, ingresses, secrets; services when any was remade */
    bool complete;                 /* what we hold may be published */
    bool changed_since_save;
    struct fed_saving *saving; /* under way, or NULL */
    struct fed_snapshot *last;
    uint64_t gen;
    struct fed_timer flush_timer, save_timer, housekeeping;
    /* watching */
    struct fed_transport *transport;
    struct fed_informer *informers[FED_RK_COUNT];
    uint64_t session;
    bool synced, live;
    uint64_t lost_at_ms;  /* since when not connected */
    struct fed_map hosts; /* host name -> fed_host */
    struct fed_builder_stats stats;
};

/* objects.c */
extern const struct fed_resource fed_routing_resources[FED_RK_COUNT];
void fed_objects_put(struct fed_builder *b, struct fed_kobj *kobj, uint64_t session);
FED_MUST_USE int fed_objects_put_yaml(struct fed_builder *b, struct fed_str text, uint64_t session,
                                      struct fed_err *err);
void fed_objects_drop_others(struct fed_builder *b); /* than those of this session */
void fed_builder_mark(struct fed_builder *b); /* something is dirty: publish soon (flush_timer, whose cb is set) */
void fed_builder_publish(struct fed_builder *b);
void fed_builder_retire_last(struct fed_builder *b);
void fed_builder_services_of_host(struct fed_builder *b, struct fed_str host); /* marks them dirty */
void fed_service_entry_mark(struct fed_builder *b, struct fed_service_entry *e);
void fed_builder_saving_forget(struct fed_builder *b);

bool fed_builder_resolved(void *ud, struct fed_str host, const struct fed_addr **addrs, size_t *n);
void fed_builder_resolve_due(struct fed_builder *b);
void fed_builder_resolve_release(struct fed_builder *b);

#endif
