/* SPDX-License-Identifier: Apache-2.0 */
/* unjoin.c: `kubefed unjoin`: the opposite of join, in the opposite order. What the federation put into the cluster
 * stays there (--keep) or is deleted by the control plane before the cluster is let go (--cleanup). The Secret goes last:
 * as long as it is there, a repeated unjoin knows what an interrupted one has left. */
#include "base/mem.h"
#include "fedctl/fedctl.h"

struct unjoin_conf {
    struct fctl_common common;
    const char *cluster_context;
    bool keep, cleanup;
};
struct unjoin {
    struct fctl *c;
    struct unjoin_conf *conf;
    struct fed_kubeconfig *k;
    struct fctl_api *hub, *member; /* member NULL: cannot be reached */
    bool own;                      /* member is spoken to as the federation's account there */
    const char *federation, *name, *secret_name, *account, *role;
    struct fed_json *cluster, *secret;
};

#define ROW(member) FCTL_ROW(unjoin_conf, member)
static const struct fed_setting rows[] = {
    {.name = "keep",
     .type = FED_SET_BOOL,
     .offset = ROW(keep),
     .help = "Leave in the cluster what the federation put there; this is what happens without a flag"},
    {.name = "cleanup",
     .type = FED_SET_BOOL,
     .offset = ROW(cleanup),
     .help = "Delete from the cluster what the federation put there; the cluster must be reachable"},
    {.name = "cluster-context",
     .type = FED_SET_STR,
     .offset = ROW(cluster_context),
     .arg = "CONTEXT",
     .help = "Context of the cluster that leaves (default: NAME)"},
    FCTL_HOST_ROW(unjoin_conf),
    FCTL_FEDERATION_ROW(unjoin_conf),
    FCTL_CONTEXT_ROW(unjoin_conf),
    FCTL_NS_ROW(unjoin_conf),
    FCTL_KUBECONFIG_ROW(unjoin_conf),
    FCTL_TIMEOUT_ROW(unjoin_conf, "2m"),
    FCTL_DRY_RUN_ROW(unjoin_conf),
};
static const struct fed_settings settings = {.program = "kubefed unjoin",
                                             .summary = "Takes a cluster out of a federation",
                                             .args = "NAME",
                                             .max_args = 16,
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check(struct fctl *c FED_UNUSED, void *conf, struct fed_err *err)
{
    struct unjoin_conf *f = conf;
    if (f->keep && f->cleanup)
        return fed_err_set(err, FED_E_INVALID, "--keep and --cleanup say opposite things; give one of them");
    return 0;
}

static void warn(const char *fmt, const char *a, const char *b)
{
    fputs("kubefed unjoin: warning: ", stderr);
    fprintf(stderr, "%s%s%s\n", fmt, a, b);
}

/* --- the cluster's own API --- */

/* By its context, else with the credentials that the federation has. */
static void open_member(struct unjoin *u)
{
    struct fed_rest_conf rest = {0};
    struct fed_arena *a = &u->c->arena;
    struct fed_json *any = NULL, *system = NULL;
    struct fed_str uid = fed_obj_annotation(u->cluster ? u->cluster : u->secret, FCTL_ANN_UID);
    const char *context = u->conf->cluster_context ? u->conf->cluster_context : u->name;
    struct fed_json *addresses = fed_json_at(u->cluster, "spec", "serverAddressByClientCIDRs", NULL);
    struct fed_str server = fed_json_find_text(fed_json_item(addresses, 0), "serverAddress");
    if (fctl_open_context(u->c, u->k, context, "the leaving cluster", &u->member, NULL) == 0) {
        int code = fctl_list(u->member, &fctl_namespaces, "", "limit=1", &any, NULL);
        bool other = !code && uid.n && fctl_get(u->member, &fctl_namespaces, "", "kube-system", &system, NULL) == 0 &&
                     !fed_str_eq(uid, fed_json_str(fed_json_at(system, "metadata", "uid", NULL)));
        if (other)
            warn("another cluster answers by the name; left alone: context ", context, "");
        else if (!code)
            return;
        u->member = NULL;
    }
    const char *token = fctl_secret_text(a, u->secret, "token"), *ca = fctl_secret_text(a, u->secret, "ca.crt");
    if (!token || !ca || !server.n)
        return;
    rest = (struct fed_rest_conf){.server = fed_arena_dupz(a, server), .token = (char *)token, .ca_pem = (char *)ca};
    if (fctl_api_open(u->c, "the leaving cluster", u->name, &rest, &u->member, NULL) == 0 &&
        fctl_list(u->member, &fctl_namespaces, "", "limit=1", &any, NULL) == 0) {
        u->own = true;
        return;
    }
    u->member = NULL;
}

static void remove_one(struct unjoin *u, struct fctl_api *api, const struct fed_resource *r, const char *ns,
                       const char *name)
{
    struct fed_err err = {0};
    struct fed_json *have = NULL;
    if (fctl_get(api, r, ns, name, &have, NULL) == FED_E_NOT_FOUND)
        return;
    if (!u->c->dry_run && fctl_delete(api, r, ns, name, &err) != 0)
        warn("not deleted: ", err.text, "");
    else
        fctl_say(u->c, "%s \"%s\" deleted%s (%s)", r->kind, name, u->c->dry_run ? " (dry run)" : "", api->name);
}

/* Namespaces that exist because of the federation: what `edge` says there, and what join made where no control plane
 * runs. */
static void remove_namespaces(struct unjoin *u)
{
    struct fed_json *edge = NULL, *ns = NULL, *plane = NULL;
    const char *system = u->conf->common.system_ns;
    if (fctl_get(u->member, &fctl_configmaps, FCTL_EDGE_NS, "edge", &edge, NULL) == 0 &&
        fed_str_is(fed_json_find_text(fed_json_find(edge, "data"), "federation"), u->federation))
        remove_one(u, u->member, &fctl_namespaces, "", FCTL_EDGE_NS);
    if (fctl_get(u->member, &fctl_namespaces, "", system, &ns, NULL) == 0 &&
        fed_str_is(fed_obj_annotation(ns, FCTL_ANN_FEDERATION), u->federation) &&
        fctl_get(u->member, &fctl_deployments, system, "apiserver", &plane, NULL) == FED_E_NOT_FOUND)
        remove_one(u, u->member, &fctl_namespaces, "", system);
}

/* With the account's own credentials: whichever goes first takes the right to delete the others, so these are hung on the
 * role, and the cluster's garbage collector takes them. */
static void remove_account_by_itself(struct unjoin *u)
{
    struct fed_arena *a = &u->c->arena;
    const char *ns = u->conf->common.system_ns, *token = fed_arena_printf(a, "%s-token", u->account).p;
    const struct {
        const struct fed_resource *resource;
        const char *ns, *name;
    } hung[] = {{&fctl_bindings, "", u->role}, {&fctl_secrets, ns, token}, {&fctl_accounts, ns, u->account}};
    struct fed_json *role = NULL, *patch = fed_json_object(a), *owner = fed_json_object(a);
    struct fed_err err = {0};
    if (u->c->dry_run || fctl_get(u->member, &fctl_roles, "", u->role, &role, &err) != 0) {
        remove_one(u, u->member, &fctl_roles, "", u->role);
        return;
    }
    fed_json_set(owner, "apiVersion", fed_json_new_strz(a, "rbac.authorization.k8s.io/v1"));
    fed_json_set(owner, "kind", fed_json_new_strz(a, "ClusterRole"));
    fed_json_set(owner, "name", fed_json_new_strz(a, u->role));
    fed_json_set(owner, "uid", fed_json_copy(a, fed_json_at(role, "metadata", "uid", NULL)));
    fed_json_push(fed_json_ensure_array(a, fed_obj_metadata(a, patch), "ownerReferences"), owner);
    for (size_t i = 0; i < FED_ARRAY_LEN(hung); i++) {
        int code = fctl_patch(u->member, hung[i].resource, hung[i].ns, hung[i].name, patch, &err);
        if (code && code != FED_E_NOT_FOUND)
            warn("not deleted: ", err.text, "");
        else if (!code)
            fctl_say(u->c, "%s \"%s\" goes with the role (%s)", hung[i].resource->kind, hung[i].name, u->member->name);
    }
    remove_one(u, u->member, &fctl_roles, "", u->role);
}

static void clean_member(struct unjoin *u)
{
    const char *ns = u->conf->common.system_ns;
    if (!u->account[0])
        return;
    if (!u->member) {
        warn("the cluster cannot be reached; when it is back, delete there the service account, cluster role and "
             "cluster "
             "role binding of ",
             u->account, "");
        return;
    }
    if (u->own) {
        remove_account_by_itself(u);
        return;
    }
    remove_one(u, u->member, &fctl_bindings, "", u->role);
    remove_one(u, u->member, &fctl_roles, "", u->role);
    remove_one(u, u->member, &fctl_secrets, ns, fed_arena_printf(&u->c->arena, "%s-token", u->account).p);
    remove_one(u, u->member, &fctl_accounts, ns, u->account);
}

/* --- the federation --- */

static int is_gone(void *ud, struct fed_err *why)
{
    struct unjoin *u = ud;
    struct fed_json *cluster = NULL;
    int code = fctl_get(u->hub, &fctl_clusters, "", u->name, &cluster, why);
    if (code == FED_E_NOT_FOUND)
        return 0;
    return code ? code
                : fed_err_set(why, FED_E_BUSY, "the control plane has not let it go%s",
                              u->conf->cleanup ? "; it deletes its objects there first" : "");
}

static int let_go(struct unjoin *u, struct fed_err *err)
{
    struct fed_arena *a = &u->c->arena;
    int code = 0;
    if (u->conf->cleanup) {
        struct fed_json *patch = fed_json_object(a);
        fed_obj_set_annotation(a, patch, FCTL_ANN_CLEANUP, FED_STR("true"));
        code = fctl_patch(u->hub, &fctl_clusters, "", u->name, patch, err);
    }
    if (!code)
        code = fctl_delete(u->hub, &fctl_clusters, "", u->name, err);
    if (!code)
        code = fctl_wait(u->c, "the federation to let the cluster go", u->conf->common.timeout, is_gone, u, err);
    return code;
}

/* The Secret that names the cluster, which an interrupted unjoin left. */
static bool find_leftover(struct unjoin *u)
{
    u->secret_name = fed_arena_printf(&u->c->arena, "%s-credentials", u->name).p;
    return fctl_get(u->hub, &fctl_secrets, FCTL_SYSTEM_NS, u->secret_name, &u->secret, NULL) == 0 &&
           fed_str_is(fed_obj_annotation(u->secret, FCTL_ANN_CLUSTER), u->name);
}

/* FED_E_NOT_FOUND with u->hub: there is nothing to do. u->cluster stays NULL when only leftovers are there. */
static int look(struct unjoin *u, struct fed_err *err)
{
    struct fed_arena *a = &u->c->arena;
    int code = fctl_kubeconfig_load(u->c, &u->conf->common, &u->k, err);
    if (!code)
        code = fctl_open_federation(u->c, u->k, &u->conf->common, &u->hub, &u->federation, err);
    if (!code)
        code = fctl_get(u->hub, &fctl_clusters, "", u->name, &u->cluster, err);
    if (code == FED_E_NOT_FOUND && u->hub && find_leftover(u)) {
        u->account = fed_arena_dupz(a, fed_obj_annotation(u->secret, FCTL_ANN_ACCOUNT));
        u->role = fed_arena_dupz(a, fed_obj_annotation(u->secret, FCTL_ANN_ROLE));
        return 0;
    }
    if (code)
        return code;
    u->secret_name = fed_arena_dupz(a, fed_json_find_text(fed_json_at(u->cluster, "spec", "secretRef", NULL), "name"));
    u->account = fed_arena_dupz(a, fed_obj_annotation(u->cluster, FCTL_ANN_ACCOUNT));
    u->role = fed_arena_dupz(a, fed_obj_annotation(u->cluster, FCTL_ANN_ROLE));
    if (!u->secret_name[0] || fctl_get(u->hub, &fctl_secrets, FCTL_SYSTEM_NS, u->secret_name, &u->secret, NULL) != 0)
        warn("the federation has no credentials of the cluster", "", "");
    return 0;
}

static int leave(struct unjoin *u, struct fed_err *err)
{
    int code = 0;
    open_member(u);
    if (u->conf->cleanup && !u->member)
        return fed_err_set(
            err, FED_E_UNREACHABLE,
            "cluster \"%s\" cannot be reached, so nothing can be deleted there. Try again when it can, or "
            "unjoin it without --cleanup",
            u->name);
    if (u->cluster && u->c->dry_run)
        fctl_say(u->c, "Cluster \"%s\" deleted (dry run) (%s)", u->name, u->hub->name);
    else if (u->cluster)
        code = let_go(u, err);
    if (code)
        return code;
    if (u->conf->cleanup && u->cluster && u->c->dry_run)
        fctl_say(u->c, "Objects that the federation put there deleted (dry run) (%s)", u->name);
    if (u->conf->cleanup)
        remove_namespaces(u);
    clean_member(u);
    if (u->secret_name[0])
        remove_one(u, u->hub, &fctl_secrets, FCTL_SYSTEM_NS, u->secret_name);
    fctl_say(u->c, "Successfully removed cluster \"%s\" from federation%s", u->name, u->c->dry_run ? " (dry run)" : "");
    return 0;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct unjoin u = {.c = c, .conf = conf};
    u.name = u.conf->common.name;
    int code = look(&u, err);
    if (code == FED_E_NOT_FOUND && u.hub) {
        warn("the federation has no cluster ", u.name, "");
        code = 0;
    } else if (!code) {
        code = leave(&u, err);
    }
    fed_kubeconfig_free(u.k);
    return code;
}

const struct fctl_verb fctl_verb_unjoin = {
    .name = "unjoin",
    .settings = &settings,
    .conf_size = sizeof(struct unjoin_conf),
    .about = "The federation's account in the cluster is removed. Workloads stay and run on unless --cleanup is given.",
    .examples = "  kubefed unjoin gondor --host-cluster-context=rivendell\n"
                "  kubefed unjoin gondor --federation-context=fed --cleanup",
    .check = check,
    .run = run,
    .needs_name = true};
