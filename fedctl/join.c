/* SPDX-License-Identifier: Apache-2.0 */
/* join.c: `kubefed join`: gives the federation access to a cluster and registers it.
 *
 *   member: namespace, ServiceAccount, ClusterRole and Binding, a token that is seen to work
 *     -> federation: Secret with it, Cluster -> the control plane says Ready
 * A cluster without RBAC or tokens is reached with the credentials of its context instead.
 */
#include "base/mem.h"
#include "codec/yaml.h"
#include "fedctl/fedctl.h"
#include "kube/names.h"

#define TOKEN_SECONDS  (10LL * 365 * 24 * 3600)
#define LONG_ENOUGH_MS (300LL * 24 * 3600 * 1000) /* a token with less than that needs somebody to renew it */
#define TOKEN_WAIT_MS  10000

struct join_conf {
    struct fctl_common common;
    const char *cluster_context, *secret_name, *credentials, *region, *zone, *coordinates;
    struct fed_strings labels_flag;
    struct fed_json *labels;
    int output;
    /* the original's */
    const char *template, *generator, *sort_by;
    bool save_config, validate, no_headers, show_labels, show_all, allow_missing;
};
enum output { NO_OUTPUT, YAML_OUTPUT, JSON_OUTPUT, NAME_OUTPUT };

struct join {
    struct fctl *c;
    struct join_conf *conf;
    struct fed_kubeconfig *k;
    struct fctl_api *hub, *member;
    struct fctl_member m;
    struct fed_json *cluster; /* as registered already, or NULL */
    const char *token;
    struct fed_str token_error;
};

#define ROW(member) FCTL_ROW(join_conf, member)
static const struct fed_setting rows[] = {
    {.name = "cluster-context",
     .type = FED_SET_STR,
     .offset = ROW(cluster_context),
     .arg = "CONTEXT",
     .help = "Context of the cluster that joins (default: NAME)"},
    FCTL_HOST_ROW(join_conf),
    FCTL_FEDERATION_ROW(join_conf),
    FCTL_CONTEXT_ROW(join_conf),
    FCTL_NS_ROW(join_conf),
    FCTL_KUBECONFIG_ROW(join_conf),
    {.name = "credentials-kubeconfig",
     .type = FED_SET_STR,
     .offset = ROW(credentials),
     .arg = "FILE",
     .help = "Give the federation the credentials of this file's context, instead of an account of its own"},
    {.name = "secret-name",
     .type = FED_SET_STR,
     .offset = ROW(secret_name),
     .arg = "NAME",
     .help = "Name of the secret in the federation that has the credentials (default: NAME-credentials)"},
    {.name = "region",
     .type = FED_SET_STR,
     .offset = ROW(region),
     .arg = "REGION",
     .help = "Region of the cluster (default: as its nodes are labelled)"},
    {.name = "zone",
     .type = FED_SET_STR,
     .offset = ROW(zone),
     .arg = "ZONE",
     .help = "Zone of the cluster (default: as its nodes are labelled)"},
    {.name = "coordinates",
     .type = FED_SET_STR,
     .offset = ROW(coordinates),
     .arg = "LATITUDE,LONGITUDE",
     .help = "Where the cluster is, for the distance to clients"},
    {.name = "labels",
     .type = FED_SET_LIST,
     .offset = ROW(labels_flag),
     .arg = "KEY=VALUE,...",
     .help = "Labels of the cluster, for selectors"},
    {.name = "output",
     .letter = 'o',
     .type = FED_SET_CHOICE,
     .offset = ROW(output),
     .dflt = "none",
     .arg = "FORMAT",
     .choices = "none|yaml|json|name",
     .help = "Print the Cluster as it is registered; all else that is said goes to standard error"},
    {.name = "template", .type = FED_SET_STR, .offset = ROW(template), .hidden = true, .help = "Refused"},
    {.name = "generator", .type = FED_SET_STR, .offset = ROW(generator), .hidden = true, .help = "There is one"},
    {.name = "save-config", .type = FED_SET_BOOL, .offset = ROW(save_config), .hidden = true, .help = "Refused"},
    /* The API validates always; the others are about tables, and join prints none. */
    {.name = "validate", .type = FED_SET_BOOL, .offset = ROW(validate), .hidden = true, .help = "No effect"},
    {.name = "no-headers", .type = FED_SET_BOOL, .offset = ROW(no_headers), .hidden = true, .help = "No effect"},
    {.name = "show-labels", .type = FED_SET_BOOL, .offset = ROW(show_labels), .hidden = true, .help = "No effect"},
    {.name = "show-all", .type = FED_SET_BOOL, .offset = ROW(show_all), .hidden = true, .help = "No effect"},
    {.name = "sort-by", .type = FED_SET_STR, .offset = ROW(sort_by), .hidden = true, .help = "No effect"},
    {.name = "allow-missing-template-keys",
     .type = FED_SET_BOOL,
     .offset = ROW(allow_missing),
     .hidden = true,
     .help = "No effect"},
    FCTL_TIMEOUT_ROW(join_conf, "2m"),
    FCTL_DRY_RUN_ROW(join_conf),
};
static const struct fed_settings settings = {.program = "kubefed join",
                                             .summary = "Makes a cluster a member of a federation",
                                             .args = "NAME",
                                             .max_args = 16,
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check_originals(const struct join_conf *f, struct fed_err *err)
{
    if (f->generator && strcmp(f->generator, "cluster/v1beta1") != 0)
        return fed_err_set(err, FED_E_INVALID, "--generator: \"%s\" is unknown; there is only cluster/v1beta1",
                           f->generator);
    if (f->template || f->save_config)
        return fed_err_set(err, FED_E_INVALID,
                           "--%s is not supported. Leave it out, and use `kubectl %s` after the join",
                           f->template ? "template" : "save-config",
                           f->template ? "get cluster NAME -o go-template=..." : "apply set-last-applied");
    return 0;
}

static int check(struct fctl *c, void *conf, struct fed_err *err)
{
    struct join_conf *f = conf;
    const char *wrong = fed_name_check_1035(fed_str(f->common.name));
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "\"%s\" is no name for a cluster: %s", f->common.name, wrong);
    wrong = f->secret_name ? fed_name_check_subdomain(fed_str(f->secret_name)) : NULL;
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--secret-name: \"%s\": %s", f->secret_name, wrong);
    wrong = f->region ? fed_name_check_label(fed_str(f->region)) : NULL;
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--region: \"%s\": %s", f->region, wrong);
    wrong = f->zone ? fed_name_check_label(fed_str(f->zone)) : NULL;
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--zone: \"%s\": %s", f->zone, wrong);
    int code = f->coordinates ? fctl_check_coordinates(f->coordinates, err) : 0;
    if (!code)
        code = check_originals(f, err);
    return code ? code : fctl_parse_labels(&c->arena, "labels", &f->labels_flag, &f->labels, err);
}

/* --- looking --- */

/* The name is free, or this very cluster's. */
static int check_name(struct join *j, struct fed_err *err)
{
    int code = fctl_get(j->hub, &fctl_clusters, "", j->m.cluster, &j->cluster, err);
    if (code == FED_E_NOT_FOUND) {
        if (err)
            *err = (struct fed_err){0};
        return 0;
    }
    if (code)
        return code;
    struct fed_json *addresses = fed_json_at(j->cluster, "spec", "serverAddressByClientCIDRs", NULL);
    struct fed_str server = fed_json_find_text(fed_json_item(addresses, 0), "serverAddress");
    if (fed_json_at(j->cluster, "metadata", "deletionTimestamp", NULL))
        return fed_err_set(err, FED_E_CONFLICT,
                           "cluster \"%s\" is just leaving the federation; try again when it has left", j->m.cluster);
    struct fed_str uid = fed_obj_annotation(j->cluster, FCTL_ANN_UID);
    bool same = uid.n && j->m.uid && fed_str_is(uid, j->m.uid); /* it may have got another address */
    if (!same && !fed_str_is(server, j->m.server))
        return fed_err_set(
            err, FED_E_ALREADY_EXISTS,
            "the name \"%s\" is taken: the federation has a cluster of that name at %.*s, and context \"%s\" "
            "is %s. Join under another NAME, or unjoin that one first",
            j->m.cluster, FED_STR_ARG(server), j->member->name, j->m.server);
    return 0;
}

/* What the cluster is by itself, however it is reached. Not everybody may read it. */
static void identify(struct join *j)
{
    struct fed_json *ns = NULL;
    if (fctl_get(j->member, &fctl_namespaces, "", "kube-system", &ns, NULL) == 0)
        j->m.uid = fed_arena_dupz(&j->c->arena, fed_json_str(fed_json_at(ns, "metadata", "uid", NULL)));
}

/* Under two names its replicas would be counted twice. */
static int check_twice(struct join *j, struct fed_err *err)
{
    struct fed_json *list = NULL;
    int code = fctl_list(j->hub, &fctl_clusters, "", "", &list, err);
    FED_JSON_EACH(other, fed_json_find(list, "items")) {
        struct fed_json *addresses = fed_json_at(other, "spec", "serverAddressByClientCIDRs", NULL);
        struct fed_str server = fed_json_find_text(fed_json_item(addresses, 0), "serverAddress");
        struct fed_str uid = fed_obj_annotation(other, FCTL_ANN_UID), name = fed_obj_name(other);
        bool same = uid.n && j->m.uid ? fed_str_is(uid, j->m.uid) : fed_str_is(server, j->m.server);
        if (same && !fed_str_is(name, j->m.cluster))
            return fed_err_set(err, FED_E_ALREADY_EXISTS,
                               "the cluster of context \"%s\" is a member already, as \"%.*s\". To give it another "
                               "name, run `kubefed unjoin %.*s` first",
                               j->member->name, FED_STR_ARG(name), FED_STR_ARG(name));
    }
    return code;
}

/* It answers, and to us; and it is a cluster. */
static int check_member(struct join *j, struct fed_err *err)
{
    struct fed_json *any = NULL;
    int code = fctl_list(j->member, &fctl_namespaces, "", "limit=1", &any, err);
    if (!code && fctl_serves_federation(j->member, NULL) == 0)
        return fed_err_set(err, FED_E_INVALID,
                           "context \"%s\" is a federation's, not a cluster's; name the cluster's context with "
                           "--cluster-context",
                           j->member->name);
    if (!code)
        identify(j);
    return code;
}

static void choose_names(struct join *j)
{
    struct fed_arena *a = &j->c->arena;
    const char *host = j->conf->common.host_context ? j->conf->common.host_context : j->m.federation;
    struct fed_str account = fed_obj_annotation(j->cluster, FCTL_ANN_ACCOUNT);
    struct fed_str role = fed_obj_annotation(j->cluster, FCTL_ANN_ROLE);
    struct fed_str secret = fed_json_find_text(fed_json_at(j->cluster, "spec", "secretRef", NULL), "name");
    j->m.account = account.n ? fed_arena_dupz(a, account) : fctl_account_name(a, j->m.cluster, host);
    j->m.role = role.n ? fed_arena_dupz(a, role)
                       : fed_arena_printf(a, "federation-controller-manager:%s-%s", j->m.federation, j->m.account).p;
    if (j->conf->secret_name)
        j->m.secret = j->conf->secret_name;
    else
        j->m.secret = secret.n ? fed_arena_dupz(a, secret) : fed_arena_printf(a, "%s-credentials", j->m.cluster).p;
}

static int look(struct join *j, struct fed_err *err)
{
    struct join_conf *f = j->conf;
    const char *context = f->cluster_context ? f->cluster_context : f->common.name;
    int code = fctl_kubeconfig_load(j->c, &f->common, &j->k, err);
    if (!code)
        code = fctl_open_context(j->c, j->k, context, "the joining cluster", &j->member, err);
    if (!code)
        code = fctl_open_federation(j->c, j->k, &f->common, &j->hub, &j->m.federation, err);
    if (code)
        return code;
    j->m.cluster = f->common.name;
    j->m.ns = f->common.system_ns;
    j->m.server = j->member->rest.server;
    j->m.region = f->region;
    j->m.zone = f->zone;
    j->m.coordinates = f->coordinates;
    j->m.labels = f->labels;
    code = check_member(j, err);
    if (!code)
        code = check_name(j, err);
    if (!code)
        code = check_twice(j, err);
    if (!code)
        choose_names(j);
    return code;
}

/* --- the account in the member --- */

/* A client of the member with nothing but the token. */
static int try_token(struct join *j, const char *token, struct fed_err *err)
{
    struct fctl_api *api = NULL;
    struct fed_json *any = NULL;
    struct fed_rest_conf rest = {.server = j->member->rest.server,
                                 .ca_pem = j->member->rest.ca_pem,
                                 .insecure = j->member->rest.insecure,
                                 .proxy_url = j->member->rest.proxy_url,
                                 .tls_server_name = j->member->rest.tls_server_name,
                                 .token = (char *)token};
    int code =
        fctl_api_open(j->c, "the joining cluster with the federation's token", j->member->name, &rest, &api, err);
    return code ? code : fctl_list(api, &fctl_namespaces, "", "limit=1", &any, err);
}

static int token_works(void *ud, struct fed_err *why)
{
    struct join *j = ud;
    int code = try_token(j, j->token, why);
    /* Rights and signing keys take a moment to be known everywhere in a cluster. */
    return code == FED_E_UNAUTHORIZED || code == FED_E_FORBIDDEN ? FED_E_BUSY : code;
}

/* *until_ms: when it ends. NULL: the cluster makes none. */
static const char *request_token(struct join *j, int64_t *until_ms)
{
    struct fed_arena *a = &j->c->arena;
    struct fed_json *req = fed_json_object(a), *answer = NULL, *spec = fed_json_object(a);
    const char *path = fed_arena_printf(a, "/api/v1/namespaces/%s/serviceaccounts/%s/token", j->m.ns, j->m.account).p;
    fed_json_set(req, "apiVersion", fed_json_new_strz(a, "authentication.k8s.io/v1"));
    fed_json_set(req, "kind", fed_json_new_strz(a, "TokenRequest"));
    fed_json_set(fed_json_set(req, "spec", spec), "expirationSeconds", fed_json_new_int(a, TOKEN_SECONDS));
    *until_ms = 0;
    if (fctl_post(j->member, path, req, &answer, NULL) != 0)
        return NULL;
    struct fed_json *status = fed_json_find(answer, "status");
    struct fed_str token = fed_json_find_text(status, "token");
    if (!token.n || fed_time_parse(fed_json_find_text(status, "expirationTimestamp"), until_ms) != 0)
        return NULL;
    return fed_arena_dupz(a, token);
}

static int secret_filled(void *ud, struct fed_err *why)
{
    struct join *j = ud;
    struct fed_json *secret = NULL;
    const char *name = fed_arena_printf(&j->c->arena, "%s-token", j->m.account).p;
    int code = fctl_get(j->member, &fctl_secrets, j->m.ns, name, &secret, why);
    if (code)
        return code;
    j->token = fctl_secret_text(&j->c->arena, secret, "token");
    return j->token ? 0 : fed_err_set(why, FED_E_BUSY, "the cluster has not filled in the token secret");
}

/* Takes the token that lives longest: one that outlives a year, else one without an end, else what there is. */
static void obtain_token(struct join *j)
{
    int64_t until = 0, now = fed_wall_ms(j->c->env);
    const char *requested = request_token(j, &until);
    struct fctl_made *before = j->c->made;
    j->token = requested;
    if (requested && until - now >= LONG_ENOUGH_MS)
        return;
    if (fctl_ensure(j->member, &fctl_secrets, fctl_plan_member(&j->c->arena, &j->m, "Secret", "${account}-token"), NULL,
                    NULL) == 0 &&
        fctl_wait(j->c, "a token of the joining cluster", TOKEN_WAIT_MS, secret_filled, j, NULL) == 0)
        return;
    fctl_undo(j->c, before);
    j->token = requested;
    if (requested) {
        char text[21];
        fed_time_format(until, text);
        fprintf(stderr, "kubefed join: warning: the cluster grants its token only until %s; join it again before\n",
                text);
    }
}

/* The token that the federation has already, if it still works. */
static const char *token_in_use(struct join *j)
{
    struct fed_json *secret = NULL;
    if (!j->cluster || fctl_get(j->hub, &fctl_secrets, FCTL_SYSTEM_NS, j->m.secret, &secret, NULL) != 0)
        return NULL;
    const char *token = fctl_secret_text(&j->c->arena, secret, "token");
    return token && try_token(j, token, NULL) == 0 ? token : NULL;
}

static int ensure_account(struct join *j, struct fed_err *err)
{
    const struct {
        const struct fed_resource *resource;
        const char *kind, *name;
    } objects[] = {{&fctl_namespaces, "Namespace", "${namespace}"},
                   {&fctl_accounts, "ServiceAccount", "${account}"},
                   {&fctl_roles, "ClusterRole", "${role}"},
                   {&fctl_bindings, "ClusterRoleBinding", "${role}"}};
    for (size_t i = 0; i < FED_ARRAY_LEN(objects); i++) {
        struct fed_json *have = NULL;
        /* The namespace is shared (the host is often a member too): its annotations are left to who made it. */
        int code = i == 0 ? fctl_settle_namespace(j->member, j->m.ns, j->conf->common.timeout, &have, err) : 0;
        if (have)
            continue;
        if (!code)
            code = fctl_ensure(j->member, objects[i].resource,
                               fctl_plan_member(&j->c->arena, &j->m, objects[i].kind, objects[i].name), NULL, err);
        if (code)
            return code;
    }
    return 0;
}

/* j->token: NULL when the context's own credentials are to be given. */
static int give_access(struct join *j, struct fed_err *err)
{
    struct fed_call_request rbac = {.method = "GET", .path = FED_STR("/apis/rbac.authorization.k8s.io")};
    struct fctl_made *before = j->c->made;
    struct fed_err why = {0};
    int code = j->conf->credentials ? FED_E_NOT_FOUND : fctl_call(j->member, &rbac, NULL, err);
    if (code && code != FED_E_NOT_FOUND)
        return code;
    if (!code) {
        code = ensure_account(j, err);
        if (code)
            return code;
        j->token = token_in_use(j);
        if (!j->token && j->c->dry_run)
            j->token = "made-when-joining";
        if (j->token)
            return 0;
        obtain_token(j);
        if (j->token &&
            fctl_wait(j->c, "the federation's access to the cluster", TOKEN_WAIT_MS, token_works, j, &why) == 0)
            return 0;
        fprintf(stderr, "kubefed join: warning: %s\n",
                j->token ? why.text : "the cluster makes no token for the account");
        fctl_undo(j->c, before);
        j->token = NULL;
    }
    if (err)
        *err = (struct fed_err){0};
    j->m.account = j->m.role = "";
    fctl_say(j->c, "The federation gets the credentials of %s%s",
             j->conf->credentials ? j->conf->credentials : "context ", j->conf->credentials ? "" : j->member->name);
    return 0;
}

/* What the kubeconfig in the Secret is made of. */
static int credentials_to_give(struct join *j, struct fed_rest_conf *rest, struct fed_err *err)
{
    struct fed_kubeconfig *k = NULL;
    if (j->token || !j->conf->credentials) {
        fed_rest_conf_copy(rest, &j->member->rest);
        return 0;
    }
    int code = fed_kubeconfig_load(j->conf->credentials, NULL, NULL, &k, err);
    if (!code)
        code = fed_kubeconfig_rest(k, j->conf->cluster_context, rest, err);
    fed_kubeconfig_free(k);
    return code ? fed_err_wrap(err, code, "--credentials-kubeconfig") : 0;
}

/* --- in the federation --- */

static int is_ready(void *ud, struct fed_err *why)
{
    struct join *j = ud;
    struct fed_json *cluster = NULL;
    int code = fctl_get(j->hub, &fctl_clusters, "", j->m.cluster, &cluster, why);
    if (code)
        return code;
    struct fed_json *status = fed_json_find(cluster, "status");
    struct fed_json *ready = fed_obj_condition(status, "Ready"), *offline = fed_obj_condition(status, "Offline");
    if (fed_str_is(fed_json_find_text(ready, "status"), "True"))
        return 0;
    struct fed_json *told = fed_str_is(fed_json_find_text(offline, "status"), "True") ? offline : ready;
    struct fed_str reason = fed_json_find_text(told, "reason"), text = fed_json_find_text(told, "message");
    return fed_err_set(why, FED_E_BUSY, "the control plane says: %.*s %.*s",
                       FED_STR_ARG(reason.n ? reason : FED_STR("nothing yet")), FED_STR_ARG(text));
}

static int register_cluster(struct join *j, struct fed_err *err)
{
    struct fed_rest_conf rest = {0};
    struct fed_arena *a = &j->c->arena;
    int code = credentials_to_give(j, &rest, err);
    if (!code)
        code = fctl_ensure(j->hub, &fctl_secrets, fctl_plan_cluster_secret(a, &j->m, j->token, &rest), NULL, err);
    if (!code)
        code = fctl_ensure(j->hub, &fctl_clusters, fctl_plan_cluster(a, &j->m), NULL, err);
    if (!code && !j->c->dry_run)
        code = fctl_wait(j->c, "the cluster to be ready", j->conf->common.timeout, is_ready, j, err);
    fed_rest_conf_release(&rest);
    return code;
}

/* In a dry run as it would be registered. */
static int print_cluster(struct join *j, FILE *out, struct fed_err *err)
{
    struct fed_json *cluster = NULL;
    struct fed_buf text = {0};
    int code = 0;
    if (j->c->dry_run)
        cluster = fctl_plan_cluster(&j->c->arena, &j->m);
    else
        code = fctl_get(j->hub, &fctl_clusters, "", j->m.cluster, &cluster, err);
    if (code)
        return code;
    fed_json_remove_key(fed_json_find(cluster, "metadata"), "managedFields"); /* as kubectl shows objects */
    if (j->conf->output == YAML_OUTPUT)
        fed_yaml_write(&text, cluster);
    else if (j->conf->output == JSON_OUTPUT)
        fed_json_write_indent(&text, cluster, 4);
    else
        fed_buf_addf(&text, "cluster.federation/%s", j->m.cluster);
    if (j->conf->output != YAML_OUTPUT)
        fed_buf_addc(&text, '\n');
    fwrite(fed_buf_z(&text), 1, text.n, out);
    fflush(out);
    fed_buf_release(&text);
    return 0;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct join j = {.c = c, .conf = conf};
    FILE *out = c->out;
    if (j.conf->output != NO_OUTPUT)
        c->out = stderr;
    int code = look(&j, err);
    if (!code)
        code = give_access(&j, err);
    if (!code)
        code = register_cluster(&j, err);
    if (!code)
        fctl_say(c, "cluster \"%s\" %s federation \"%s\"%s", j.m.cluster, j.cluster ? "is a member of" : "joined",
                 j.m.federation, c->dry_run ? " (dry run)" : "");
    if (!code && j.conf->output != NO_OUTPUT)
        code = print_cluster(&j, out, err);
    c->out = out;
    fed_kubeconfig_free(j.k);
    return code;
}

const struct fctl_verb fctl_verb_join = {
    .name = "join",
    .settings = &settings,
    .conf_size = sizeof(struct join_conf),
    .about = "The federation gets an account of its own in the cluster (a ServiceAccount with a ClusterRole), and its\n"
             "token in a Secret. If a step fails, what was made is removed again.",
    .examples = "  kubefed join gondor --host-cluster-context=rivendell\n"
                "  kubefed join gondor --cluster-context=gke_prod_gondor --federation-context=fed \\\n"
                "      --region=europe-west1 --zone=europe-west1-b --coordinates=50.45,3.82 --labels=tier=web",
    .check = check,
    .run = run,
    .needs_name = true};
