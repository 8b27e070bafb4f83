/* SPDX-License-Identifier: Apache-2.0 */
/* fedctl.h: one run of the command `kubefed`: its verbs, what they share, and its calls to Kubernetes APIs.
 *
 * Model:      a verb is a row of a table: settings (flags, help and man page follow), `check` (pure: wrong use, exit 2)
 *             and `run` (exit 1 on failure). Everything goes through the Kubernetes API; calls are the client's, run one
 *             at a time on the loop until they are answered (fctl_call). `up` runs other verbs as an operator would.
 * Undo:       what a verb creates is noted; when it fails for a reason that repeating does not cure, it is deleted again.
 * Ownership:  all memory is the run's arena; APIs live until fctl_release.
 * Threads:    one.
 */
#ifndef FEDCTL_FEDCTL_H
#define FEDCTL_FEDCTL_H

#include <stdio.h>

#include "codec/settings.h"
#include "fedctl/plan.h"
#include "kube/client.h"
#include "kube/obj.h"
#include "net/loop.h"

#define FCTL_VERSION "0.1.0"

struct fctl_api;
struct fctl_made { /* something created by this run */
    struct fctl_made *before;
    struct fctl_api *api;
    const struct fed_resource *resource;
    const char *ns, *name;
};
struct fctl {
    struct fed_arena arena;
    struct fed_loop *loop;
    struct fed_env *env;
    FILE *out;
    const char *(*getenv)(const char *name);
    struct fctl_api *apis;
    struct fctl_made *made;
    bool dry_run; /* reads only; what would be written is told */
    bool quiet;   /* what is unchanged is not told */
    bool misused; /* set by run: what it was told makes no sense with what is there; exit 2 */
    /* fctl_main, for a verb that takes an operator's steps: `up` */
    int (*run)(struct fctl *c, int argc, char **argv);
};

/* --- verbs --- */
struct fctl_common {  /* first member of every verb's settings */
    const char *name; /* the positional argument, or NULL */
    const char *kubeconfig, *host_context, *system_ns, *federation_context;
    int64_t timeout;
    bool dry_run;
    /* of which flags were given */
    const struct fed_settings *settings;
    const bool *given;
};
/* The flag was given; otherwise its value is a default. */
bool fctl_said(const struct fctl_common *common, const char *flag);
struct fctl_verb {
    const char *name;
    const struct fed_settings *settings;
    size_t conf_size;
    const char *about, *examples;                                  /* paragraphs for --help and the man page */
    int (*check)(struct fctl *c, void *conf, struct fed_err *err); /* NULL: nothing to check */
    int (*run)(struct fctl *c, void *conf, struct fed_err *err);
    bool needs_name;
};
extern const struct fctl_verb fctl_verb_init, fctl_verb_join, fctl_verb_unjoin, fctl_verb_up, fctl_verb_down,
    fctl_verb_status, fctl_verb_backup, fctl_verb_restore, fctl_verb_version;
const struct fctl_verb *const *fctl_verbs(void); /* NULL-terminated */

#define FCTL_ROW(of, member) offsetof(struct of, member)
#define FCTL_KUBECONFIG_ROW(of)                                                                                        \
    {                                                                                                                  \
        .name = "kubeconfig", .type = FED_SET_STR, .offset = FCTL_ROW(of, common.kubeconfig), .arg = "FILE",           \
        .help = "Kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)"                                          \
    }
#define FCTL_HOST_ROW(of)                                                                                              \
    {                                                                                                                  \
        .name = "host-cluster-context", .type = FED_SET_STR, .offset = FCTL_ROW(of, common.host_context),              \
        .arg = "CONTEXT", .help = "Context of the cluster that hosts the federation's control plane"                   \
    }
#define FCTL_NS_ROW(of)                                                                                                \
    {                                                                                                                  \
        .name = "federation-system-namespace", .type = FED_SET_STR, .offset = FCTL_ROW(of, common.system_ns),          \
        .dflt = FCTL_SYSTEM_NS, .arg = "NAMESPACE", .help = "Namespace of the federation's own objects in a cluster"   \
    }
#define FCTL_FEDERATION_ROW(of)                                                                                        \
    {                                                                                                                  \
        .name = "federation-context", .type = FED_SET_STR, .offset = FCTL_ROW(of, common.federation_context),          \
        .arg = "CONTEXT",                                                                                              \
        .help = "Context of the federation (default: the current one if it is a federation's, else the only one of "   \
                "the host cluster)"                                                                                    \
    }
/* The original's name for the same. */
#define FCTL_CONTEXT_ROW(of)                                                                                           \
    {                                                                                                                  \
        .name = "context", .type = FED_SET_STR, .offset = FCTL_ROW(of, common.federation_context), .arg = "CONTEXT",   \
        .hidden = true, .help = "As --federation-context"                                                              \
    }
#define FCTL_TIMEOUT_ROW(of, text)                                                                                     \
    {                                                                                                                  \
        .name = "timeout", .type = FED_SET_DURATION, .offset = FCTL_ROW(of, common.timeout), .dflt = text,             \
        .arg = "TIME", .min = 1000, .max = 86400000, .help = "How long to wait for what must get ready"                \
    }
#define FCTL_DRY_RUN_ROW(of)                                                                                           \
    {                                                                                                                  \
        .name = "dry-run", .type = FED_SET_BOOL, .offset = FCTL_ROW(of, common.dry_run),                               \
        .help = "Say what would be done, and do nothing"                                                               \
    }

/* Of a verb that changes nothing: understood, so that scripts can say it to every verb. */
#define FCTL_HARMLESS_ROW(of)                                                                                          \
    {                                                                                                                  \
        .name = "dry-run", .type = FED_SET_BOOL, .offset = FCTL_ROW(of, common.dry_run), .hidden = true,               \
        .help = "Changes nothing anyway"                                                                               \
    }

void fctl_init(struct fctl *c, struct fed_loop *loop);
void fctl_release(struct fctl *c);
/* Runs "kubefed argv[1] ...": the exit status 0, 1 (failed) or 2 (wrong use); errors go to stderr. */
int fctl_main(struct fctl *c, int argc, char **argv);
void fctl_print_help(FILE *out);
void fctl_print_verb_help(const struct fctl_verb *v, FILE *out);
void fctl_print_man(FILE *out);                                       /* docs/man/kubefed.1 */
void fctl_say(struct fctl *c, const char *fmt, ...) FED_PRINTF(2, 3); /* one line */

/* --- APIs --- */
struct fctl_api {
    struct fctl *c;
    struct fctl_api *next;
    struct fed_transport *transport;
    struct fed_rest_conf rest;
    const char *name; /* the context */
    const char *what; /* "the host cluster", for errors */
};
/* Connects by these parts (copied); no byte is sent yet. */
FED_MUST_USE int fctl_api_open(struct fctl *c, const char *what, const char *name, const struct fed_rest_conf *rest,
                               struct fctl_api **out, struct fed_err *err);
/* One call, waited for. *out (may be NULL): the answer's JSON, NULL when it has none. */
FED_MUST_USE int fctl_call(struct fctl_api *api, const struct fed_call_request *req, struct fed_json **out,
                           struct fed_err *err);
/* The answer's bytes behind what *out has. */
FED_MUST_USE int fctl_call_bytes(struct fctl_api *api, const struct fed_call_request *req, struct fed_buf *out,
                                 struct fed_err *err);
FED_MUST_USE int fctl_get(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
                          struct fed_json **out, struct fed_err *err);
FED_MUST_USE int fctl_list(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *query,
                           struct fed_json **out, struct fed_err *err);
/* Text of the answer (/healthz, logs). */
FED_MUST_USE int fctl_get_text(struct fctl_api *api, const char *path, struct fed_str *out, struct fed_err *err);
FED_MUST_USE int fctl_post(struct fctl_api *api, const char *path, const struct fed_json *body, struct fed_json **out,
                           struct fed_err *err);
enum fctl_done { FCTL_UNCHANGED, FCTL_CREATED, FCTL_CHANGED };
/* Makes the object be there and cover `want`: created, patched or left; told in a line; noted for undo when created.
 * done may be NULL. A dry run only looks. */
FED_MUST_USE int fctl_ensure(struct fctl_api *api, const struct fed_resource *r, const struct fed_json *want,
                             enum fctl_done *done, struct fed_err *err);
FED_MUST_USE int fctl_patch(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
                            const struct fed_json *patch, struct fed_err *err);
/* Absent is success. */
FED_MUST_USE int fctl_delete(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
                             struct fed_err *err);
/* A namespace that is just being deleted (an unjoin, or an undo a moment ago) is waited for. *have: as it is then, NULL
 * when it is not there. A dry run does not wait. */
FED_MUST_USE int fctl_settle_namespace(struct fctl_api *api, const char *ns, int64_t timeout_ms, struct fed_json **have,
                                       struct fed_err *err);
/* Deletes what this verb made, newest first, back to `until` (a former c->made; NULL: all). */
void fctl_undo(struct fctl *c, struct fctl_made *until);

/* --- waiting --- */
/* 0: done; FED_E_BUSY: not yet, *why says what is awaited; else: will never be. */
typedef int (*fctl_condition)(void *ud, struct fed_err *why);
/* Asks until done; prints progress when that takes a while. FED_E_TIMEOUT with the last why. */
FED_MUST_USE int fctl_wait(struct fctl *c, const char *what, int64_t timeout_ms, fctl_condition condition, void *ud,
                           struct fed_err *err);
void fctl_sleep(struct fctl *c, uint64_t ms);

/* --- contexts --- */
FED_MUST_USE int fctl_kubeconfig_load(struct fctl *c, const struct fctl_common *common, struct fed_kubeconfig **out,
                                      struct fed_err *err);
/* An API by context (NULL: the current one). */
FED_MUST_USE int fctl_open_context(struct fctl *c, struct fed_kubeconfig *k, const char *context, const char *what,
                                   struct fctl_api **out, struct fed_err *err);
/* 0: the API serves the group `federation`; FED_E_NOT_FOUND: it does not. */
FED_MUST_USE int fctl_serves_federation(struct fctl_api *api, struct fed_err *err);
/* The federation as the flags say (see FCTL_FEDERATION_ROW). *name: what it is called. */
FED_MUST_USE int fctl_open_federation(struct fctl *c, struct fed_kubeconfig *k, const struct fctl_common *common,
                                      struct fctl_api **out, const char **name, struct fed_err *err);

extern const struct fed_resource fctl_namespaces, fctl_secrets, fctl_services, fctl_configmaps, fctl_accounts,
    fctl_nodes, fctl_pods, fctl_deployments, fctl_daemonsets, fctl_roles, fctl_bindings, fctl_clusters, fctl_slices;

#endif
