/* SPDX-License-Identifier: Apache-2.0 */
/* apiserver.h: the resource engine that hansa-fedapi and hansa-member embed: registry and cache over a store, behind
 * authentication, authorization and the Kubernetes API.
 *
 * Model:      HTTP or local request -> authenticate -> authorize -> admission -> registry (decode, default, validate,
 *             hooks) -> store (compare-and-swap) -> cache -> encoded answer. Reads come from the cache. Kinds are data
 *             (kube/kind.h); what is not a stored kind is a virtual resource or a non-resource path.
 * Threads:    all on the env's thread (the state thread).
 */
#ifndef FED_APISERVER_APISERVER_H
#define FED_APISERVER_APISERVER_H

#include "base/metrics.h"
#include "kube/client.h"
#include "kube/kind.h"
#include "net/httpd.h"
#include "store/store.h"

struct fed_api;
struct fed_access_conf;

struct fed_extra { /* what an authenticator adds about the user */
    struct fed_str key;
    const struct fed_str *values;
    size_t n_values;
};
struct fed_identity { /* who asks */
    struct fed_str user, uid;
    const struct fed_str *groups; /* system:authenticated is added by the server */
    size_t n_groups;
    const struct fed_extra *extra;
    size_t n_extra;
};
struct fed_api_request { /* what virtual resources, authorizers and admission see */
    const char *verb;    /* get list watch create update patch delete deletecollection; or lower-case method */
    struct fed_str group, version, resource, subresource, ns, name; /* empty for non-resource paths */
    struct fed_str path;                                            /* decoded path */
    const struct fed_http_request *http;                            /* NULL for local calls */
    struct fed_str query, body, content_type;
    struct fed_identity who;
    struct fed_arena *arena;
    bool dry_run;
};
/* Answering a virtual resource: exactly one of these, now or later. */
struct fed_api_reply;
void fed_api_reply_json(struct fed_api_reply *r, int status, const struct fed_json *obj);
void fed_api_reply_text(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body);
void fed_api_reply_error(struct fed_api_reply *r, int code, const char *fmt, ...) FED_PRINTF(3, 4);
/* Streams (logs -f): write returns the backlog; `gone` is called if the client leaves first. */
void fed_api_reply_stream(struct fed_api_reply *r, int status, const char *content_type, void (*drained)(void *ud),
                          void (*gone)(void *ud), void *ud);
size_t fed_api_reply_write(struct fed_api_reply *r, struct fed_str bytes);
void fed_api_reply_end(struct fed_api_reply *r);
void fed_api_reply_abort(struct fed_api_reply *r); /* of a stream that cannot be completed: the client sees that */
/* For answers that come later: `gone` is called if the client leaves before; there is no reply any more then. */
void fed_api_reply_on_gone(struct fed_api_reply *r, void (*gone)(void *ud), void *ud);
/* The HTTP exchange behind the reply for upgrades (exec, port-forward); NULL for local calls. */
struct fed_http_exchange *fed_api_reply_exchange(struct fed_api_reply *r);
/* After fed_http_upgrade of that exchange: the answer was 101, and the reply ends here. */
void fed_api_reply_upgraded(struct fed_api_reply *r);

/* The request's body as a tree, in whichever form it was sent; it lives as long as the request. */
FED_MUST_USE int fed_api_request_body(struct fed_api_reply *r, struct fed_json **out, struct fed_err *err);

struct fed_virtual {
    const char *group, *version; /* "", "v1" */
    const char *resource;        /* "pods/log", "bindings", "selfsubjectaccessreviews" */
    const char *kind;            /* in discovery; NULL: not shown there */
    bool namespaced;
    const char *verbs; /* "get,create" */
    void (*handle)(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
    void *ud;
};

enum fed_authz { FED_AUTHZ_ALLOW, FED_AUTHZ_NO_OPINION, FED_AUTHZ_DENY };
struct fed_api_conf {
    struct fed_env *env;
    struct fed_loop *loop;                /* for calls of webhooks; NULL: there are none, those wanted fail */
    struct store *store;                  /* borrowed; loaded by fed_api_start, which sets its handlers */
    struct fed_kinds *kinds;              /* borrowed */
    struct fed_metrics *metrics;          /* borrowed */
    const char *server_name;              /* "hansa-fedapi" */
    const char *git_version;              /* "v1.29.0+hansa.0.1.0" in /version */
    const char *const *static_namespaces; /* created at start if absent: {"default", NULL} */
    const struct fed_virtual *virtuals;   /* n_virtuals, static */
    size_t n_virtuals;
    struct fed_str sa_key_pem; /* signs and verifies service account tokens; empty: none */
    const char *sa_issuer;     /* "kubernetes/serviceaccount" */
    /* Static tokens: JSON array [{token, user, uid, groups}] or NULL. */
    const struct fed_json *tokens;
    const struct fed_access_conf *access; /* access.h: more keys, OIDC, audit; NULL: none */
    /* Built-in authorizer: group system:masters may do all; discovery, health and version for every authenticated
     * user; RBAC objects if the kinds hold them; then this callback (may be NULL). Default: deny. */
    enum fed_authz (*authorize)(void *ud, const struct fed_api_request *req);
    /* Admission after defaulting of creates and updates (obj in storage version); may change obj. NULL: none. */
    int (*admit)(void *ud, const struct fed_api_request *req, const struct fed_kind *kind, const struct fed_json *old,
                 struct fed_json *obj, struct fed_err *err);
    void *ud;
    /* An EncryptionConfiguration file for values in the store, read at start and again when it changed; NULL: none. */
    const char *encryption_config;
    /* Something the operator should know, said once: a configuration that was read again (code 0) or refused. */
    void (*notice)(void *ud, int code, const char *text);
    /* Requests of ordinary users under way at once, reading and writing; 0: 400 and 200 (flow.h). */
    uint32_t max_reads, max_writes;
    uint64_t keep_changes;         /* watch window; 0: 20,000 */
    bool allow_loopback_endpoints; /* members with the process runtime only */
    bool fronts_clusters;          /* pods, nodes, endpoints and volumes are in clusters behind it: empty lists here */
    /* Why nothing but the virtual resources is served (503 for the rest, not ready): the real store could not be opened.
     * NULL: all is. Text is copied. */
    const char *suspended;
    /* Called when the store failed for good. */
    void (*failed)(void *ud, const struct fed_err *err);
};
struct fed_api *fed_api_new(const struct fed_api_conf *conf);
/* Loads the store, makes the static namespaces, then ready(ud, code). Requests before that get 503. */
void fed_api_start(struct fed_api *api, void (*ready)(void *ud, int code, const struct fed_err *err), void *ud);
/* Reads its configuration files again (SIGHUP). */
void fed_api_reload(struct fed_api *api);
/* Ends watches, answers 503 from now on; the store is not closed. */
void fed_api_stop(struct fed_api *api);
void fed_api_free(struct fed_api *api);
/* The httpd handler; ud = struct fed_api *. */
void fed_api_handle(void *ud, struct fed_http_exchange *x);
/* fed_httpd_conf.refusal of an API server: what the HTTP server refuses by itself (413) is a Status as well. */
const char *fed_api_refusal(int http_status, struct fed_buf *body);
/* fed_httpd_conf.refused: counts them. ud = struct fed_api *. */
void fed_api_refused(void *ud, int http_status, struct fed_str method);
/* A transport into the registry with a fixed identity (copied). watch_list is true. Free with fed_transport_free. */
struct fed_transport *fed_api_local(struct fed_api *api, const struct fed_identity *who);
/* An object of a v1 kind as the last write left it (informers follow a moment later): borrowed until the call stack
 * unwinds, NULL when there is none. For the hooks of programs, on the state thread. */
const struct fed_kobj *fed_api_find(struct fed_api *api, const char *group, const char *plural, struct fed_str ns,
                                    struct fed_str name);
/* Extra named checks of /readyz and /healthz; not of /livez: a start anew would mend none of them. */
void fed_api_add_check(struct fed_api *api, const char *name, bool (*ok)(void *ud), void *ud);
/* A service account token as TokenRequest makes it (for agents that start pods). */
struct fed_sa_spec {
    struct fed_str ns, name, uid;    /* of the account */
    int64_t seconds;                 /* its life */
    const struct fed_str *audiences; /* none: those of this API */
    size_t n_audiences;
    struct fed_str bound_kind, bound_name, bound_uid; /* "Pod", "Secret", "Node"; empty: bound to the account alone */
};
FED_MUST_USE int fed_api_sa_token(struct fed_api *api, const struct fed_sa_spec *spec, struct fed_buf *token,
                                  struct fed_err *err);
/* The token of a Secret of type kubernetes.io/service-account-token: it has no expiry and lives as long as the Secret. */
FED_MUST_USE int fed_api_legacy_token(struct fed_api *api, struct fed_str ns, struct fed_str name, struct fed_str uid,
                                      struct fed_str secret, struct fed_buf *token, struct fed_err *err);

#endif
