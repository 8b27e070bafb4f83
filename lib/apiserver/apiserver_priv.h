/* SPDX-License-Identifier: Apache-2.0 */
/* apiserver_priv.h: what the files of the engine share: the server, one request under way, and how it is answered.
 *
 * Model:      struct fed_api_reply is one request from arrival to answer, over HTTP or from the local transport. It has
 *             its own arena and is recycled (request.c). serve.c takes it through authentication, authorization and
 *             dispatch; the verb's file answers it, at once or later.
 * Ownership:  a request belongs to the server until it is answered AND the HTTP exchange is closed (or the local
 *             caller was told). A client that leaves early only sets `gone`: the work in hand ends as it would have.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_PRIV_H
#define FED_APISERVER_PRIV_H

#include "apiserver/strict.h"
#include "apiserver/apiserver.h"
#include "apiserver/cache.h"
#include "apiserver/form.h"
#include "apiserver/history.h"
#include "base/process.h"
#include "http/url.h"
#include "kube/schema.h"
#include "kube/selector.h"

struct fed_hub;
struct fed_rbac;  /* rbac.h */
struct fed_audit; /* audit.h */
struct fed_oidc;  /* oidc.h */
struct fed_sa;    /* sa_token.h */
struct fed_audit_record;
struct fed_local_call;
struct fed_webhooks;
struct fed_admission_state;
struct fed_quota_state;
struct fed_encryption_state;
struct fed_flows;
struct fed_flow;
struct fed_write_op; /* registry.h */

struct fed_api_check {
    struct fed_list link;
    char *name;
    bool (*ok)(void *ud);
    void *ud;
};
struct fed_doc { /* a document made once: bytes and the ETag over them */
    struct fed_blob *blob;
    char etag[67];
};
struct fed_api {
    struct fed_api_conf conf;
    struct fed_flows *flows;                 /* flow.c */
    struct fed_encryption_state *encryption; /* encryption_server.c; NULL: values are plain */
    struct fed_quota_state *quota;           /* quota.c; NULL: the kind is not served */
    struct fed_admission_state *admission;   /* admission.c */
    struct fed_webhooks *webhooks;           /* webhook_call.c; NULL: none was called yet */
    struct fed_env *env;
    struct fed_cache cache;
    struct fed_history history; /* while the store is loaded */
    struct fed_hub *hub;
    struct fed_rbac *rbac;
    struct fed_sa *sa;
    uint64_t audit_ids[2];          /* a random start and a count */
    struct fed_list requests, idle; /* of struct fed_api_reply */
    size_t n_idle;
    struct fed_list checks;
    struct fed_list locals; /* transports */
    struct fed_list fences; /* fence_priv.h */
    struct fed_map guards;  /* quota_guard.c: namespace -> struct fed_guard */
    bool ready, stopped, failed;
    void (*on_ready)(void *ud, int code, const struct fed_err *err);
    void *on_ready_ud;
    size_t bootstrap_left;
    size_t bootstrap_at;  /* number of the next role or binding */
    bool bootstrap_roles; /* all of them were begun */
    struct fed_task bootstrap;
    struct fed_map customs; /* custom kinds: name of the definition -> custom.c's own */
    bool customs_loaded;
    struct fed_list conversions;     /* under way at webhooks (custom_convert.c) */
    struct fed_map docs;             /* discovery and OpenAPI, by name -> struct fed_doc */
    struct fed_arena forever;        /* configuration copies */
    struct fed_metrics *own_metrics; /* when none were given */
    struct fed_err load_err;
    struct fed_timer quiet; /* looks for the end of a burst of writes */
    uint64_t quiet_rev, trimmed_rev;
    struct fed_metric_family *m_requests, *m_terminations, *m_latency, *m_watchers, *m_inflight, *m_stored, *m_events,
        *m_deprecated;
    struct fed_metric *m_objects, *m_fenced;
    struct fed_process_metrics process;
    struct fed_api_series *series; /* api_metrics.c */
};

enum fed_route_kind { FED_ROUTE_OTHER, FED_ROUTE_RESOURCE };

struct fed_api_reply {
    struct fed_list link;
    struct fed_api *api;
    struct fed_arena arena;
    struct fed_api_request q;
    struct fed_http_exchange *x;                        /* NULL: local, or the client is gone */
    struct fed_local_call *call;                        /* local, until it was answered or canceled */
    bool closed_set, answered, gone, streaming, public; /* the last: its answer may be kept by caches */
    enum fed_route_kind route;
    bool watch, legacy_watch;
    struct fed_str rest; /* decoded path after the subresource: proxies, checks */
    struct fed_query query;
    struct fed_str accept, user_agent;
    struct fed_str body_kind;    /* of a virtual resource's body; empty: that of v */
    struct fed_json *body_typed; /* that body as it was read and held to its type; NULL: not yet */
    bool gzip, pretty, yaml;
    const struct fed_kind_version *v;
    struct fed_kcache *kc;
    const struct fed_kind *held; /* references of this request: the kind of v, and kc */
    struct fed_kcache *held_kc;
    struct fed_form form;
    struct fed_json *warnings; /* array of texts, NULL: none */
    uint64_t start_ns;
    struct fed_write_op *op;
    struct fed_fence *fence;                /* of the local transport; NULL: none */
    bool synced;                            /* the cache had all there was when the request came, or later (fresh.c) */
    void (*serve)(struct fed_api_reply *r); /* after that */
    bool (*before_refusal)(struct fed_api_reply *r, int code); /* NULL, or: true, it is tried again instead */
    /* fairness (flow.h): of the flow whose seats it has, or in whose queue it waits */
    struct fed_flow *flow, *queued_in;
    struct fed_list queue_link;
    uint32_t seats;
    uint8_t flow_class;
    struct fed_audit_record *audit; /* NULL: nothing is to be recorded */
    struct fed_str audit_id;        /* empty when there is no audit */
    void *authn;                    /* authentication that waits for keys (oidc.h) */
    /* streams of virtual resources */
    void (*stream_drained)(void *ud);
    void (*stream_gone)(void *ud);
    void *stream_ud;
    struct fed_watcher *watcher;
};

/* --- request.c --- */
struct fed_api_reply *fed_api_request_new(struct fed_api *api);
void fed_api_request_done(struct fed_api_reply *r);   /* answered, or nobody is left to answer */
void fed_api_request_let_go(struct fed_api_reply *r); /* its references of the kind */
/* The answer will come later: notice when the client leaves. */
void fed_api_request_defer(struct fed_api_reply *r);

/* --- warnings.c --- */
void fed_api_warn(struct fed_api_reply *r, const char *fmt, ...) FED_PRINTF(2, 3);
void fed_api_warn_kind(struct fed_api_reply *r); /* no more than what its kind's version says; a new attempt begins */
void fed_api_put_warnings(struct fed_api_reply *r); /* as headers of its answer */

/* --- identity.c --- */
bool fed_identity_in_group(const struct fed_identity *who, const char *group);
/* userInfo of reviews and audit events: {username, uid, groups, extra} */
struct fed_json *fed_identity_json(struct fed_arena *a, const struct fed_identity *who);

/* --- answer.c --- */
void fed_api_answer(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body);
void fed_api_answer_blob(struct fed_api_reply *r, int status, const char *content_type, struct fed_blob *blob);
/* JSON text in the syntax that was asked: as it is, indented, or YAML. */
void fed_api_no_cache(struct fed_api_reply *r); /* the header that keeps caches from keeping an answer */
void fed_api_answer_text(struct fed_api_reply *r, int status, struct fed_str json);
/* A tree in the request's version (dry run, virtual objects). */
void fed_api_answer_tree(struct fed_api_reply *r, int status, const struct fed_json *tree);
/* A Failure Status; message NULL: the standard words. details may be NULL. */
void fed_api_fail(struct fed_api_reply *r, int code, const struct fed_status_details *details, const char *fmt, ...)
    FED_PRINTF(4, 5);
/* The same with the details of the request's resource and name: `configmaps "a" …`. */
void fed_api_fail_object(struct fed_api_reply *r, int code, const char *fmt, ...) FED_PRINTF(3, 4);
void fed_api_fail_err(struct fed_api_reply *r, const struct fed_err *err);
void fed_api_fail_causes(struct fed_api_reply *r, const struct fed_causes *causes); /* 422 */
struct fed_str fed_api_qualified(struct fed_api_reply *r);                          /* "deployments.apps" */

/* --- answer_object.c --- */
/* One object in the form that was asked. */
void fed_api_answer_object(struct fed_api_reply *r, int status, struct fed_kobj *o);

/* --- fresh.c --- */
/* serve(r), once the cache has what was acknowledged before the request, if its resourceVersion asks for that. */
void fed_api_fresh(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r));
/* A kind that this process does not serve: another one may just have defined it. True: serve(r) looks for it again. */
bool fed_api_unknown_later(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r));
/* A write that the cache's state refuses is tried once more by serve(r), on a fresher one, before its refusal counts. */
void fed_api_fresh_before_refusal(struct fed_api_reply *r, void (*serve)(struct fed_api_reply *r));
void fed_api_on_progress(struct fed_api *api, uint64_t rev);

/* --- api_metrics.c --- */
void fed_api_metrics_make(struct fed_api *api);
void fed_api_count(struct fed_api_reply *r, int status);
void fed_api_count_termination(struct fed_api_reply *r, int status); /* in the server's own defense */
/* Those of a watch of a version: how many are open, and the events that they are sent. */
void fed_api_watch_metrics(struct fed_api *api, const struct fed_kind_version *v, bool in_ns, struct fed_metric **open,
                           struct fed_metric **events);
void fed_api_count_deprecated(struct fed_api_reply *r);
struct fed_str fed_api_removed_release(struct fed_str warning); /* "1.25", borrowed; empty: it says none */
void fed_api_metrics_scrape(struct fed_api *api);               /* sets what is only known when somebody asks */

/* --- serve.c --- */
/* Everything after the identity is known: routes, authorizes, answers. q.path, query, body and so on are set. */
void fed_api_dispatch(struct fed_api_reply *r);

/* --- path.c --- */
/* Fills q.group … q.name, route, watch. False: the path is not one of /api or /apis resources. */
void fed_api_route(struct fed_api_reply *r);
bool fed_query_true(const struct fed_query *q, const char *name); /* as Kubernetes reads booleans */

/* --- negotiate.c --- */
/* Sets form, yaml, pretty by Accept. FED_E_NOT_ACCEPTABLE. `watch`: streams only JSON. */
FED_MUST_USE int fed_api_negotiate(struct fed_api_reply *r);
bool fed_api_include_ok(const struct fed_api_reply *r); /* ?includeObject of a Table is one that there is */
/* True when Accept names `type` with parameters g, v, as (aggregated discovery). */
bool fed_accept_has(struct fed_str accept, const char *type, const char *g, const char *v, const char *as);
bool fed_accept_ok(struct fed_str accept, const char *type); /* by type alone or a wildcard */
/* The body as a tree by its Content-Type (JSON, YAML, protobuf). *found, if not NULL, begins anew with the
 * duplicates.
 * FED_E_BAD_REQUEST, FED_E_UNSUPPORTED_MEDIA, FED_E_TOO_LARGE. */
FED_MUST_USE int fed_api_body(struct fed_api_reply *r, struct fed_json **out, struct fed_strict *found,
                              struct fed_err *err);

/* How a body begins, as errors show it: as text when it looks like an object, else in hexadecimal. */
struct fed_str fed_api_body_begins(struct fed_arena *a, struct fed_str body);

/* --- authn.c, authz.c --- */
/* Identity from the exchange into q.who, then next(r); at once, or when keys have been fetched. Answers 401. */
void fed_api_authenticate(struct fed_api_reply *r, void (*next)(struct fed_api_reply *r));
bool fed_api_anonymous_allowed(const struct fed_api_reply *r); /* for its path */
/* Impersonate-* headers. False: answered with a refusal. */
bool fed_api_impersonate(struct fed_api_reply *r);
bool fed_api_authorized(struct fed_api *api, const struct fed_api_request *q);
/* The same with the reason appended (NULL: not wanted). */
enum fed_authz fed_api_decide(struct fed_api *api, const struct fed_api_request *q, struct fed_buf *reason);
/* 403 with the words for the question q: `pods "a" is forbidden: User "x" cannot …`; reason may be empty. */
void fed_api_forbid(struct fed_api_reply *r, const struct fed_api_request *q, struct fed_str reason);

void fed_api_not_allowed(struct fed_api_reply *r);    /* 405 */
void fed_api_not_found_path(struct fed_api_reply *r); /* 404 of what no path leads to */
void fed_api_not_found_group(
    struct fed_api_reply *r); /* 404 of a group that nobody serves: no Status, as in Kubernetes */
/* The protocol of a WebSocket that carries a token. */
#define FED_WS_BEARER "base64url.bearer.authorization.k8s.io."
/* path.c */
bool fed_api_is_head(const struct fed_api_reply *r);
bool fed_api_is_health(struct fed_str path);

/* --- verbs --- */
void fed_api_get(struct fed_api_reply *r);         /* list.c */
void fed_api_list(struct fed_api_reply *r);        /* list.c */
void fed_api_watch(struct fed_api_reply *r);       /* watch_http.c */
void fed_api_write(struct fed_api_reply *r);       /* registry.c: create, update, patch */
void fed_api_delete(struct fed_api_reply *r);      /* delete.c */
void fed_api_delete_many(struct fed_api_reply *r); /* delete.c */

/* --- documents --- */
void fed_api_discovery(struct fed_api_reply *r); /* discovery.c: /api, /apis and below; falls to 404 */
/* Is anything served in it? version empty: in any. */
bool fed_api_has_version(struct fed_api *api, struct fed_str group, struct fed_str version);
/* path.c: changes the group and version of a resource into those of its subresource's kind, where they differ. */
void fed_api_kind_home(struct fed_str kind, struct fed_str *group, struct fed_str *version);
void fed_api_other(struct fed_api_reply *r); /* paths.c: health, version, metrics, openapi, index */
void fed_api_docs_release(struct fed_api *api);
/* A document made once by make(api, ud, out). */
const struct fed_doc *fed_api_doc(struct fed_api *api, const char *name,
                                  void (*make)(struct fed_api *api, const char *name, struct fed_buf *out));
void fed_api_answer_doc(struct fed_api_reply *r, const struct fed_doc *doc, const char *content_type);

/* --- virtual.c: built-in virtual resources --- */
const struct fed_virtual *fed_api_virtual_find(struct fed_api *api, struct fed_str group, struct fed_str version,
                                               struct fed_str resource, struct fed_str sub);
void fed_api_virtual_each(struct fed_api *api, void (*each)(void *ud, const struct fed_virtual *v), void *ud);
const char *fed_api_virtual_short_name(const struct fed_virtual *v); /* NULL: none */
void fed_api_serve_virtual(struct fed_api_reply *r, const struct fed_virtual *v);
/* --- virtual_body.c: the body fits its type, and has nothing that the client wants refused. Answers: false. */
bool fed_api_virtual_body_ok(struct fed_api_reply *r, const struct fed_virtual *v);

/* --- local_call.c, local_watch.c, local.c --- */
void fed_api_local_answer(struct fed_local_call *call, int status, struct fed_str body);
void fed_api_local_collect(struct fed_local_call *call, struct fed_str bytes); /* a streamed answer */
void fed_api_local_watch(struct fed_api_reply *r);
void fed_api_locals_stop(struct fed_api *api);

/* --- namespace.c --- */
/* May something be created in q.ns? Answers and returns false when not. */
struct fed_kcache *fed_ns_cache(struct fed_api *api); /* NULL: there are none here */
bool fed_api_ns_open(struct fed_api_reply *r, struct fed_str ns);
bool fed_api_ns_is_open(struct fed_api *api, struct fed_str ns);     /* the same without an answer */
int fed_ns_prepare(const struct fed_write *w, struct fed_json *obj); /* of a namespace, before the kind's hooks */

/* --- bootstrap.c --- */
void fed_api_bootstrap(struct fed_api *api); /* static namespaces, roles, then ready */

#endif
