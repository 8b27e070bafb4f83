/* SPDX-License-Identifier: Apache-2.0 */
/* client.h: talking to a Kubernetes API over a transport.
 *
 * Model:      a transport carries calls (one answer) and watches (a stream of objects). `remote` (kube/remote.h) is
 * HTTP by a kubeconfig context; `local` (lib/apiserver) calls the registry with an identity and hands over the cache's
 * own objects; `sim` (tests/sim) has latency and faults. Code above cannot tell them apart. Ownership:  a call or watch
 * is the transport's until its last callback (done / end), called exactly once and never before the starting function
 * returned, or until fed_call_cancel (then no callback comes any more), which may be called from any callback. A
 * transport is not freed from its own callbacks. Threads:    the env's thread.
 */
#ifndef FED_KUBE_CLIENT_H
#define FED_KUBE_CLIENT_H

#include "base/env.h"
#include "kube/obj.h"

struct fed_transport;
struct fed_call; /* a call or watch under way; transports embed it first */

struct fed_call_request {
    const char *method;          /* GET POST PUT PATCH DELETE */
    struct fed_str path;         /* "/api/v1/namespaces/default/pods?limit=500" */
    struct fed_str content_type; /* of the body; empty: application/json */
    struct fed_str accept;       /* empty: application/json */
    struct fed_str body;         /* copied */
    uint32_t timeout_ms;         /* 0: 30,000 */
};
struct fed_call_response {
    int http_status;     /* 0: none arrived */
    struct fed_str body; /* borrowed during the callback */
};
/* code 0 for 2xx; else the code of the Status (err->text its message) or of the transport's failure. */
typedef void (*fed_call_cb)(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err);

enum fed_event { FED_EVENT_ADDED, FED_EVENT_MODIFIED, FED_EVENT_DELETED, FED_EVENT_BOOKMARK };
struct fed_watch_handlers {
    void (*event)(void *ud, enum fed_event type, struct fed_kobj *obj); /* obj borrowed: ref to keep */
    /* Ended: code 0 in order (time-out of the server), FED_E_EXPIRED/GONE (410: list again), else the failure. */
    void (*end)(void *ud, int code, const struct fed_err *err);
    /* The server took the watch (its answer began). May be NULL; a transport that cannot tell does not call it. */
    void (*opened)(void *ud);
};

struct fed_transport_ops {
    struct fed_call *(*call)(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb, void *ud);
    struct fed_call *(*watch)(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                              void *ud); /* path carries watch=1 and all parameters */
    void (*cancel)(struct fed_call *call);
    void (*free)(struct fed_transport *t); /* cancels what runs */
};
struct fed_transport {
    const struct fed_transport_ops *ops;
    struct fed_env *env;
    bool watch_list;         /* sendInitialEvents is known to work: informers use one watch instead of list + watch */
    const char *name;        /* for logs: "europe-west1", "local" */
    struct fed_list waiting; /* the informers' own: those that wait to try again; zero at first */
};
struct fed_call { /* first member of a transport's own */
    struct fed_transport *transport;
};
static inline void fed_call_cancel(struct fed_call *c) /* NULL ok */
{
    if (c)
        c->transport->ops->cancel(c);
}
static inline void fed_transport_free(struct fed_transport *t)
{
    if (t)
        t->ops->free(t);
}

/* A resource as clients name it. Static storage in most callers. */
struct fed_resource {
    const char *group, *version, *plural, *kind; /* group "" = core */
    bool namespaced;
};
/* "/apis/apps/v1/namespaces/NS/deployments/NAME/SUB?QUERY"; empty ns = all namespaces or cluster scope; name, sub and
 * query may be empty. Segments are percent-encoded. */
struct fed_str fed_resource_path(struct fed_arena *a, const struct fed_resource *r, struct fed_str ns,
                                 struct fed_str name, const char *sub, const char *query);

/* Adds "name=value" to a query, percent-encoded, with '&' between; nothing when value is empty. */
void fed_resource_query_add(struct fed_buf *query, const char *name, struct fed_str value);

/* Conveniences: all start a call on the transport; bodies are JSON trees or bytes. cb may be NULL (fire and forget). */
struct fed_call *fed_client_get(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                struct fed_str name, fed_call_cb cb, void *ud);
/* The whole list, or a page of it with query "limit=…&continue=…" (NULL: none); ns empty: all. */
struct fed_call *fed_client_list(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                 const char *query, fed_call_cb cb, void *ud);
struct fed_call *fed_client_create(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                   const struct fed_json *obj, fed_call_cb cb, void *ud);
/* PUT of the whole object; sub "" or "status". Optimistic when metadata.resourceVersion is set. */
struct fed_call *fed_client_update(struct fed_transport *t, const struct fed_resource *r, const struct fed_json *obj,
                                   const char *sub, fed_call_cb cb, void *ud);
/* type: "merge", "json", "strategic", "apply" (apply: query needs fieldManager). */
struct fed_call *fed_client_patch(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                  struct fed_str name, const char *sub, const char *type, const struct fed_json *patch,
                                  const char *query, fed_call_cb cb, void *ud);
/* propagation: "Background", "Foreground", "Orphan" or NULL; uid: precondition or empty. */
struct fed_call *fed_client_delete(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                   struct fed_str name, const char *propagation, struct fed_str uid, fed_call_cb cb,
                                   void *ud);
/* "apps/v1", "v1" */
struct fed_str fed_resource_api_version(struct fed_arena *a, const struct fed_resource *r);
/* Cuts a list's body into objects without parsing them twice: item(ud, obj) gets each (borrowed; ref to keep), with
 * apiVersion and kind of the resource put in. *rev and *cont (in the arena; empty: last page) are of the list. */
FED_MUST_USE int fed_list_read(struct fed_arena *a, const struct fed_resource *r, struct fed_str body,
                               void (*item)(void *ud, struct fed_kobj *obj), void *ud, uint64_t *rev,
                               struct fed_str *cont, struct fed_err *err);

#endif
