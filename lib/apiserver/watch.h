/* SPDX-License-Identifier: Apache-2.0 */
/* watch.h: the hub: every change goes to each watcher whose filter it meets, encoded once for each form.
 *
 * Model:      a watcher is a cursor. First it walks a snapshot (initial events), then the change log, then it follows:
 *             the hub hands it each new change in a posted task, encoding a form once for all watchers of an event. A
 *             watcher whose client reads slowly (backlog above 256 KiB) stops being handed events and reads on from the
 *             log when it has drained; when the log no longer reaches back to it, it is cut off with 410.
 *
 *                 initial --snapshot done--> behind --caught up--> following
 *                                              ^------ backlog ------'
 *
 * Invariants: events of one watcher are in revision order, each change at most once; memory of a slow watcher is
 *             bounded by its backlog limit and the log, whatever it does.
 * Ownership:  a watcher belongs to the hub; its sink is told `end` once, unless it was canceled (fed_watch_gone).
 * Threads:    the state thread. Sinks may cancel watchers, and start calls, from within event().
 */
#ifndef FED_APISERVER_WATCH_H
#define FED_APISERVER_WATCH_H

#include "apiserver/apiserver_priv.h"
#include "kube/client.h"

struct fed_watcher;

struct fed_sink_ops {
    /* A line of the stream; returns the backlog. NULL: takes objects. */
    size_t (*line)(void *ud, struct fed_blob *line);
    size_t (*flush)(void *ud); /* NULL, or: sends the lines now; returns the backlog */
    void (*object)(void *ud, enum fed_event type, struct fed_kobj *o);
    /* The end: code 0 in order, FED_E_EXPIRED when cut off. */
    void (*end)(void *ud, int code, const struct fed_err *err);
};
struct fed_watch_filter {
    struct fed_str ns;
    struct fed_selector labels;
    struct fed_field_selector fields;
};
struct fed_watch_spec {
    struct fed_watch_filter filter; /* copied by the caller into `arena` */
    struct fed_form form;
    bool initial;          /* send the current state first */
    bool initial_bookmark; /* end it with a bookmark annotated k8s.io/initial-events-end */
    bool bookmarks;
    bool from_rev; /* instead of initial: changes after rev */
    uint64_t rev;
    uint64_t timeout_ms; /* 0: 30 to 60 minutes */
};

struct fed_hub *fed_hub_new(struct fed_api *api);
void fed_hub_free(struct fed_hub *hub);
/* Ends the watchers of a kind, in order, after the changes that are in the log: its definition changed or went. */
void fed_hub_end_kind(struct fed_hub *hub, struct fed_kcache *kc);
void fed_hub_wake(struct fed_hub *hub);   /* the log has grown */
void fed_hub_loaded(struct fed_hub *hub); /* what the log has now is the past: nobody is handed it */
void fed_hub_gap(struct fed_hub *hub);    /* cuts all watchers off: the log was dropped before they had read it */
void fed_hub_stop(struct fed_hub *hub);   /* ends all watchers */

/* Takes over *arena (the filter lives there). Never calls the sink before it returned. FED_E_EXPIRED. */
FED_MUST_USE int fed_watch_start(struct fed_hub *hub, struct fed_kcache *kc, const struct fed_watch_spec *spec,
                                 struct fed_arena *arena, const struct fed_sink_ops *ops, void *ud,
                                 struct fed_watcher **out, struct fed_err *err);
void fed_watch_gone(struct fed_watcher *w);    /* the client left: no callback follows */
void fed_watch_drained(struct fed_watcher *w); /* backlog is 0 again */

/* The line of an ERROR event. */
void fed_watch_put_error(struct fed_buf *out, const struct fed_err *err);
/* Reads the parameters of a watch request: filter, revision, bookmarks, time-out. Answers and returns false on error. */
bool fed_watch_params(struct fed_api_reply *r, struct fed_watch_spec *spec, struct fed_arena *arena);

/* Does the object meet the filter? `scratch` is for parsing when a field is not in the index. */
bool fed_filter_match(const struct fed_watch_filter *f, struct fed_kobj *o, struct fed_arena *scratch);
/* Selectors and namespace (or single name) of a list or watch into the arena. Answers 400 and returns false. */
bool fed_filter_read(struct fed_api_reply *r, struct fed_watch_filter *f, struct fed_arena *arena);

#endif
