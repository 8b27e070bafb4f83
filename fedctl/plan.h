/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h: the objects that init and join write, and the meaning of flag texts. Pure: tables of cases test it.
 *
 * Model:      manifests/ holds each object as YAML with ${variables}; fctl_manifest takes one by kind and name and fills
 *             it in after parsing, so a value can never become structure. What depends on more than a text (arguments,
 *             selectors, data) is put in by the functions here.
 * Ownership:  everything in the arena given; texts of variables are borrowed and must live as long.
 * Failure:    FED_E_INVALID with words for the user. A manifest or variable that is not there is our own mistake: abort.
 */
#ifndef FEDCTL_PLAN_H
#define FEDCTL_PLAN_H

#include "codec/json.h"
#include "codec/settings.h"
#include "kube/kubeconfig.h"

#define FCTL_EDGE_NS         "federation-edge"
#define FCTL_SYSTEM_NS       "federation-system" /* in the federation; in clusters it is a flag */
#define FCTL_ANN_FEDERATION  "federation.alpha.kubernetes.io/federation-name"
#define FCTL_ANN_CLUSTER     "federation.alpha.kubernetes.io/cluster-name"
#define FCTL_ANN_FEDERATIONS "federations"
#define FCTL_ANN_ACCOUNT     "federation.kubernetes.io/servive-account-name" /* sic: the original's typing error */
#define FCTL_ANN_ROLE        "federation.kubernetes.io/cluster-role-name"
#define FCTL_ANN_COORDINATES "federation.hansa.io/coordinates"
#define FCTL_ANN_REGION      "federation.hansa.io/region"
#define FCTL_ANN_ZONE        "federation.hansa.io/zone"
#define FCTL_ANN_UID         "federation.hansa.io/cluster-uid" /* of its Namespace kube-system: the cluster itself */
#define FCTL_ANN_CORDONED    "federation.hansa.io/cordoned"
#define FCTL_ANN_CLEANUP     "federation.hansa.io/cleanup"
#define FCTL_CREDENTIALS     "apiserver-credentials"

struct fctl_var {
    const char *name, *value;
};
/* The manifest of this kind whose metadata.name is `name` in the file ("${account}"), filled in. vars end with {NULL}. */
struct fed_json *fctl_manifest(struct fed_arena *a, const char *kind, const char *name, const struct fctl_var *vars);

/* --- texts of flags --- */
/* NULL: ours. Else why not, and what to use instead. */
FED_MUST_USE int fctl_check_provider(const char *provider, struct fed_err *err);
/* "example.com" or "example.com." to "example.com." */
FED_MUST_USE int fctl_parse_zone(struct fed_arena *a, const char *text, const char **zone, struct fed_err *err);
/* "33.19,-80.01": latitude and longitude in degrees. */
FED_MUST_USE int fctl_check_coordinates(const char *text, struct fed_err *err);
/* "--name=value" pieces as the list splits them; a piece without "--" goes on with the value before it, so that values
 * may have commas. *out: "--name", "value", "--name", ... */
FED_MUST_USE int fctl_parse_overrides(struct fed_arena *a, const char *flag, const struct fed_strings *in,
                                      struct fed_strings *out, struct fed_err *err);
/* Appends more to list. */
void fctl_concat(struct fed_arena *a, struct fed_strings *list, const struct fed_strings *more);
/* "key=value" pieces of labels to an object; empty: NULL. */
FED_MUST_USE int fctl_parse_labels(struct fed_arena *a, const char *flag, const struct fed_strings *in,
                                   struct fed_json **out, struct fed_err *err);

struct fctl_place {                                          /* one cluster of `up` */
    const char *name, *region, *zone, *coordinates, *labels; /* all but name: NULL when not given */
};
/* name[=region/zone[@latitude,longitude]], as the list splits it at commas. */
FED_MUST_USE int fctl_parse_clusters(struct fed_arena *a, const struct fed_strings *in, struct fctl_place **out,
                                     size_t *n, struct fed_err *err);

/* --- init --- */
struct fctl_plane {
    const char *federation, *zone, *ns, *image, *pull_policy, *service_type;
    const char *url;         /* public URL; in a dry run a placeholder */
    struct fed_strings sans; /* addresses and names of the certificate */
    struct fed_strings args; /* overrides of its arguments: "--name", "value", ... */
    struct fed_strings pull_secrets;
    struct fed_json *node_selector; /* or NULL */
    int64_t node_port;              /* 0: any */
};
struct fed_json *fctl_plan_service(struct fed_arena *a, const struct fctl_plane *p);
struct fed_json *fctl_plan_deployment(struct fed_arena *a, const struct fctl_plane *p);
/* New keys: {ca.crt, ca.key, sa.key}. */
FED_MUST_USE int fctl_plan_credentials(struct fed_arena *a, const struct fctl_plane *p, int64_t now_ms,
                                       struct fed_json **out, struct fed_err *err);
/* The store is a file on one node, so the pod has to stay there: the selector that the Deployment has, else on a cluster
 * of several nodes the first one that takes pods. NULL: any node. deployment: as it is, or NULL. */
struct fed_json *fctl_choose_node(struct fed_arena *a, const struct fed_json *nodes, const struct fed_json *deployment);
/* Where the Service `apiserver` is reached: "https://ADDR[:PORT]" and all its addresses. nodes: the list of nodes, for
 * type NodePort; advertise: instead of a node's address. FED_E_BUSY: it has none yet. */
FED_MUST_USE int fctl_service_address(struct fed_arena *a, const struct fed_json *service, const struct fed_json *nodes,
                                      const char *advertise, const char **url, struct fed_strings *sans,
                                      struct fed_err *err);
/* program: "dns" or "globallb"; args as those of overrides. */
struct fed_json *fctl_plan_edge(struct fed_arena *a, const char *program, const char *image, const char *pull_policy,
                                const struct fed_strings *args);
/* "--a", "1" of `more` replace the same flag in args or come behind. */
void fctl_merge_args(struct fed_arena *a, struct fed_json *args, const struct fed_strings *more);

/* --- join --- */
struct fctl_member {
    const char *cluster, *federation, *ns; /* ns: in the member */
    const char *account, *role, *secret;
    const char *server;
    const char *uid; /* NULL: not known */
    const char *region, *zone, *coordinates;
    struct fed_json *labels;
};
/* "CLUSTER-HOST" as far as a ServiceAccount may be called so. */
const char *fctl_account_name(struct fed_arena *a, const char *cluster, const char *host);
struct fed_json *fctl_plan_cluster(struct fed_arena *a, const struct fctl_member *m);
struct fed_json *fctl_plan_member(struct fed_arena *a, const struct fctl_member *m, const char *kind,
                                  const char *name); /* a manifest of the member's side */
/* The Secret in the federation: token + ca.crt, else the whole of `rest` as a kubeconfig. */
struct fed_json *fctl_plan_cluster_secret(struct fed_arena *a, const struct fctl_member *m, const char *token,
                                          const struct fed_rest_conf *rest);

/* --- comparing --- */
/* True when every member of `want` is in `have` with that value; arrays have the same length, item by item; a null in
 * `want` is absent in `have`. What the server added does not count. */
bool fctl_covers(const struct fed_json *have, const struct fed_json *want);
/* secret.data[key], decoded, NUL-terminated; NULL when absent or not base64. */
const char *fctl_secret_text(struct fed_arena *a, const struct fed_json *secret, const char *key);

#endif
