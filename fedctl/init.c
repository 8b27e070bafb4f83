/* SPDX-License-Identifier: Apache-2.0 */
/* init.c: `kubefed init`: the federation's control plane as workloads of the host cluster.
 *
 *   looks (nothing is written yet) -> namespace, keys, Service -> its address -> Deployment -> healthy
 *     -> context in the kubeconfig -> in the federation: the DNS servers and balancers of all clusters
 *
 * Again, what the flags do not say stays as it is deployed (keep.h).
 */
#include "base/mem.h"
#include "crypto/pki.h"
#include "fedctl/etcd.h"
#include "fedctl/fedctl.h"
#include "fedctl/keep.h"
#include "kube/names.h"
#include "net/addr.h"

#define HOUR_MS 3600000LL
#define YEAR_MS (365 * 24 * HOUR_MS)

struct init_conf {
    struct fctl_common common;
    const char *provider, *zone_flag, *provider_config, *image, *dns_image, *globallb_image, *service_type, *advertise;
    int pull_policy;
    int64_t port;
    struct fed_strings pull_secrets, api_overrides, controller_overrides, dns_overrides, globallb_overrides, selector;
    const char *etcd_image, *etcd_capacity, *etcd_class;
    struct fctl_etcd etcd;
    bool etcd_persistent, basic_auth, token_auth;
    /* of these flags, by check */
    struct fctl_plane plane;
    struct fed_strings plane_args, dns_args, globallb_args;
};

static const char *const pull_policies[] = {"IfNotPresent", "Always", "Never"};

struct init {
    struct fctl *c;
    struct init_conf *conf;
    struct fctl_plane *plane;
    struct fed_kubeconfig *k;
    struct fctl_api *host, *hub;
    struct fed_json *secret;               /* apiserver-credentials as it is, or NULL */
    struct fed_json *deployment, *service; /* as they are, or NULL */
    struct fed_rest_conf admin;
};

/* --- flags --- */

#define ROW(member) FCTL_ROW(init_conf, member)
static const struct fed_setting rows[] = {
    FCTL_HOST_ROW(init_conf),
    FCTL_NS_ROW(init_conf),
    FCTL_KUBECONFIG_ROW(init_conf),
    {.name = "dns-zone-name",
     .type = FED_SET_STR,
     .offset = ROW(zone_flag),
     .arg = "ZONE",
     .help = "DNS zone that the federation answers for; required the first time"},
    {.name = "dns-provider",
     .type = FED_SET_STR,
     .offset = ROW(provider),
     .dflt = "hansa",
     .arg = "NAME",
     .help = "Who answers DNS: hansa, the DNS servers that run in every joined cluster"},
    {.name = "dns-provider-config",
     .type = FED_SET_STR,
     .offset = ROW(provider_config),
     .arg = "FILE",
     .hidden = true,
     .help = "Of the original's DNS providers; ours needs none"},
    {.name = "image",
     .type = FED_SET_STR,
     .offset = ROW(image),
     .dflt = "hansa/fedapi:v1",
     .arg = "IMAGE",
     .help = "Image of the control plane"},
    {.name = "dns-image",
     .type = FED_SET_STR,
     .offset = ROW(dns_image),
     .dflt = "hansa/dns:v1",
     .arg = "IMAGE",
     .help = "Image of the DNS server that runs in every cluster"},
    {.name = "globallb-image",
     .type = FED_SET_STR,
     .offset = ROW(globallb_image),
     .dflt = "hansa/globallb:v1",
     .arg = "IMAGE",
     .help = "Image of the balancer that runs in every cluster"},
    {.name = "image-pull-policy",
     .type = FED_SET_CHOICE,
     .offset = ROW(pull_policy),
     .dflt = "IfNotPresent",
     .arg = "POLICY",
     .choices = "IfNotPresent|Always|Never",
     .help = "Pull policy of these images"},
    {.name = "image-pull-secrets",
     .type = FED_SET_LIST,
     .offset = ROW(pull_secrets),
     .arg = "NAME,...",
     .help = "Secrets of the host cluster with which the control plane's image is pulled"},
    {.name = "api-server-service-type",
     .type = FED_SET_STR,
     .offset = ROW(service_type),
     .dflt = "LoadBalancer",
     .arg = "TYPE",
     .help = "How the federation's API is reached: LoadBalancer or NodePort"},
    {.name = "api-server-advertise-address",
     .type = FED_SET_STR,
     .offset = ROW(advertise),
     .arg = "IP",
     .help = "With NodePort: the address under which the nodes are reached (default: the first node's own)"},
    {.name = "api-server-port",
     .type = FED_SET_INT,
     .offset = ROW(port),
     .arg = "PORT",
     .min = 0,
     .max = 65535,
     .help = "With NodePort: the node port (default: one that is free)"},
    {.name = "apiserver-arg-overrides",
     .type = FED_SET_LIST,
     .offset = ROW(api_overrides),
     .arg = "--ARG=VALUE,...",
     .help =
         "Arguments of the control plane, over those that init gives and those of an earlier init; without a VALUE: "
         "no more"},
    {.name = "controllermanager-arg-overrides",
     .type = FED_SET_LIST,
     .offset = ROW(controller_overrides),
     .arg = "--ARG=VALUE,...",
     .help = "The same: API server and controllers are one process"},
    {.name = "dns-arg-overrides",
     .type = FED_SET_LIST,
     .offset = ROW(dns_overrides),
     .arg = "--ARG=VALUE,...",
     .help = "Arguments of the DNS servers"},
    {.name = "globallb-arg-overrides",
     .type = FED_SET_LIST,
     .offset = ROW(globallb_overrides),
     .arg = "--ARG=VALUE,...",
     .help = "Arguments of the balancers"},
    {.name = "node-selector",
     .type = FED_SET_LIST,
     .offset = ROW(selector),
     .arg = "KEY=VALUE,...",
     .help = "Node of the host cluster for the control plane, whose store is a file there (default: one that init "
             "chooses)"},
    {.name = "etcd-servers",
     .type = FED_SET_STR,
     .offset = ROW(etcd.servers),
     .arg = "URL,...",
     .help = "An etcd for the federation's objects, that several servers share (default: a file on the node of one "
             "server)"},
    {.name = "etcd-ca",
     .type = FED_SET_STR,
     .offset = ROW(etcd.ca),
     .arg = "FILE",
     .help = "Certificates that etcd's server certificate is verified with (default: the image's)"},
    {.name = "etcd-cert",
     .type = FED_SET_STR,
     .offset = ROW(etcd.cert),
     .arg = "FILE",
     .help = "Client certificate for etcd"},
    {.name = "etcd-key", .type = FED_SET_STR, .offset = ROW(etcd.key), .arg = "FILE", .help = "Its key"},
    {.name = "api-server-replicas",
     .type = FED_SET_INT,
     .offset = ROW(etcd.replicas),
     .arg = "N",
     .min = 0,
     .max = 16,
     .help = "With --etcd-servers: servers of the control plane (default 2)"},
    {.name = "etcd-image", .type = FED_SET_STR, .offset = ROW(etcd_image), .hidden = true, .help = "Refused"},
    {.name = "etcd-pv-capacity", .type = FED_SET_STR, .offset = ROW(etcd_capacity), .hidden = true, .help = "Refused"},
    {.name = "etcd-pv-storage-class",
     .type = FED_SET_STR,
     .offset = ROW(etcd_class),
     .hidden = true,
     .help = "Refused"},
    {.name = "etcd-persistent-storage",
     .type = FED_SET_BOOL,
     .offset = ROW(etcd_persistent),
     .dflt = "true",
     .hidden = true,
     .help = "Refused when false"},
    {.name = "apiserver-enable-basic-auth",
     .type = FED_SET_BOOL,
     .offset = ROW(basic_auth),
     .hidden = true,
     .help = "Refused"},
    {.name = "apiserver-enable-token-auth",
     .type = FED_SET_BOOL,
     .offset = ROW(token_auth),
     .hidden = true,
     .help = "Refused"},
    FCTL_TIMEOUT_ROW(init_conf, "5m"),
    FCTL_DRY_RUN_ROW(init_conf),
};

static const struct fed_settings settings = {.program = "kubefed init",
                                             .summary = "Starts a federation's control plane in a host cluster",
                                             .args = "NAME",
                                             .max_args = 16,
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int refuse_originals(const struct init_conf *f, struct fed_err *err)
{
    const struct {
        const char *flag, *value, *instead;
    } texts[] = {
        {"etcd-image", f->etcd_image,
         "no etcd is run: the federation keeps its objects in its own store, or in an etcd that there is "
         "(--etcd-servers)"},
        {"etcd-pv-capacity", f->etcd_capacity, "the store is a folder of the host's node, as large as its disk"},
        {"etcd-pv-storage-class", f->etcd_class, "the store is a folder of the host's node"},
        {"dns-provider-config", f->provider_config, "the DNS provider \"hansa\" needs no configuration"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++)
        if (texts[i].value && texts[i].value[0])
            return fed_err_set(err, FED_E_INVALID, "--%s is not supported: %s. Leave the flag out", texts[i].flag,
                               texts[i].instead);
    if (!f->etcd_persistent)
        return fed_err_set(
            err, FED_E_INVALID,
            "--etcd-persistent-storage=false is not supported: the store is always kept. For a federation "
            "that forgets, use --apiserver-arg-overrides=--store=mem");
    if (f->basic_auth || f->token_auth)
        return fed_err_set(err, FED_E_INVALID,
                           "--apiserver-enable-%s-auth is not supported: the context that init writes has a client "
                           "certificate. Leave the flag out",
                           f->basic_auth ? "basic" : "token");
    return 0;
}

static int check_service(const struct init_conf *f, struct fed_err *err)
{
    struct fed_addr addr;
    bool node_port = strcmp(f->service_type, "NodePort") == 0;
    if (!node_port && strcmp(f->service_type, "LoadBalancer") != 0)
        return fed_err_set(err, FED_E_INVALID,
                           "invalid api-server-service-type: %s, should be either LoadBalancer or NodePort",
                           f->service_type);
    if (f->advertise && f->advertise[0] && fed_addr_parse(fed_str(f->advertise), 0, &addr) != 0)
        return fed_err_set(err, FED_E_INVALID, "invalid api-server-advertise-address: \"%s\" is no IP address",
                           f->advertise);
    return 0;
}

static int check_service_ways(const struct init_conf *f, const char *type, struct fed_err *err)
{
    bool node_port = strcmp(type, "NodePort") == 0;
    if (!node_port && ((f->advertise && f->advertise[0]) || f->port))
        return fed_err_set(err, FED_E_INVALID,
                           "--api-server-advertise-address and --api-server-port should be passed only with "
                           "--api-server-service-type=NodePort");
    return 0;
}

static int check(struct fctl *c, void *conf, struct fed_err *err)
{
    struct init_conf *f = conf;
    struct fed_arena *a = &c->arena;
    struct fctl_plane *p = &f->plane;
    struct fed_strings more;
    const char *wrong = fed_name_check_label(fed_str(f->common.name));
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "\"%s\" is no name for a federation: %s", f->common.name, wrong);
    *p = (struct fctl_plane){.federation = f->common.name,
                             .ns = f->common.system_ns,
                             .image = f->image,
                             .pull_policy = pull_policies[f->pull_policy],
                             .service_type = f->service_type,
                             .pull_secrets = f->pull_secrets,
                             .node_port = f->port};
    struct fctl_etcd etcd = f->etcd; /* what is wrong whatever is deployed */
    int code = fctl_check_provider(f->provider, err);
    if (!code)
        code = refuse_originals(f, err);
    if (!code && f->zone_flag)
        code = fctl_parse_zone(a, f->zone_flag, &p->zone, err);
    if (!code)
        code = check_service(f, err);
    if (!code && fctl_said(&f->common, "api-server-service-type"))
        code = check_service_ways(f, f->service_type, err);
    if (!code && fctl_etcd_used(&etcd))
        code = fctl_etcd_check(a, &etcd, err);
    if (!code)
        code = fctl_parse_overrides(a, "apiserver-arg-overrides", &f->api_overrides, &f->plane_args, err);
    if (!code)
        code = fctl_parse_overrides(a, "controllermanager-arg-overrides", &f->controller_overrides, &more, err);
    if (!code)
        code = fctl_parse_overrides(a, "dns-arg-overrides", &f->dns_overrides, &f->dns_args, err);
    if (!code)
        code = fctl_parse_overrides(a, "globallb-arg-overrides", &f->globallb_overrides, &f->globallb_args, err);
    if (!code)
        code = fctl_parse_labels(a, "node-selector", &f->selector, &p->node_selector, err);
    if (!code)
        fctl_concat(a, &f->plane_args, &more);
    return code;
}

/* --- looking --- */

/* A context of this name that is not this federation's is somebody's: refused while nothing is written yet. */
static int check_context(struct init *i, struct fed_err *err)
{
    struct fed_rest_conf rest = {0};
    const char *name = i->plane->federation;
    const char *ca = i->secret ? fctl_secret_text(&i->c->arena, i->secret, "ca.crt") : NULL;
    int code = fed_kubeconfig_rest(i->k, name, &rest, NULL);
    bool ours =
        code == 0 && ca && rest.ca_pem && fed_str_eq(fed_str_trim(fed_str(ca)), fed_str_trim(fed_str(rest.ca_pem)));
    fed_rest_conf_release(&rest);
    const char *sharer = code == FED_E_NOT_FOUND ? fed_kubeconfig_sharer(i->k, name) : NULL;
    if (sharer)
        return fed_err_set(err, FED_E_ALREADY_EXISTS,
                           "the kubeconfig has a cluster or user \"%s\" already, which its context \"%s\" uses. Choose "
                           "another NAME",
                           name, sharer);
    if (ours)
        return 0;
    if (code == FED_E_NOT_FOUND)
        return fed_kubeconfig_may_write(fed_kubeconfig_write_path(i->k, name), err);
    return fed_err_set(
        err, FED_E_ALREADY_EXISTS,
        "the kubeconfig has a context \"%s\" already, and it is not this federation's. Choose another NAME, "
        "or remove it with `kubectl config delete-context %s`",
        name, name);
}

static int look(struct init *i, struct fed_err *err)
{
    struct fed_json *ns = NULL;
    const struct fctl_plane *p = i->plane;
    int code = fctl_settle_namespace(i->host, p->ns, i->conf->common.timeout, &ns, err);
    if (code)
        return code;
    struct fed_str other = fed_obj_annotation(ns, FCTL_ANN_FEDERATION);
    if (other.n && !fed_str_is(other, p->federation)) {
        struct fed_json *deployment =
            NULL; /* a member of that federation has the namespace too, but no control plane */
        if (fctl_get(i->host, &fctl_deployments, p->ns, "apiserver", &deployment, NULL) == 0)
            return fed_err_set(
                err, FED_E_ALREADY_EXISTS,
                "namespace \"%s\" of context \"%s\" has the control plane of federation \"%.*s\". Choose "
                "another namespace with --federation-system-namespace",
                p->ns, i->host->name, FED_STR_ARG(other));
    }
    code = fctl_get(i->host, &fctl_secrets, p->ns, FCTL_CREDENTIALS, &i->secret, err);
    if (code && code != FED_E_NOT_FOUND)
        return code;
    code = check_context(i, err);
    if (!code && fctl_serves_federation(i->host, NULL) == 0)
        code = fed_err_set(err, FED_E_INVALID,
                           "context \"%s\" is a federation's, not a cluster's; name the host cluster's with "
                           "--host-cluster-context",
                           i->host->name);
    return code;
}

static int find(struct init *i, const struct fed_resource *r, const char *name, struct fed_json **out,
                struct fed_err *err)
{
    int code = fctl_get(i->host, r, i->plane->ns, name, out, err);
    return code == FED_E_NOT_FOUND ? 0 : code;
}

/* What the flags do not say is as deployed. Only with that their sense can be judged as a whole. */
static int keep(struct init *i, struct fed_err *err)
{
    struct init_conf *f = i->conf;
    struct fctl_plane *p = i->plane;
    struct fed_arena *a = &i->c->arena;
    struct fed_json *etcd = NULL;
    int code = find(i, &fctl_deployments, "apiserver", &i->deployment, err);
    if (!code)
        code = find(i, &fctl_services, "apiserver", &i->service, err);
    if (!code)
        code = find(i, &fctl_secrets, FCTL_ETCD_SECRET, &etcd, err);
    if (code)
        return code;
    if (i->service && !fctl_said(&f->common, "api-server-service-type"))
        p->service_type = fed_arena_dupz(a, fed_json_find_text(fed_json_find(i->service, "spec"), "type"));
    bool node_port = strcmp(p->service_type, "NodePort") == 0;
    struct fed_str address = fed_obj_annotation(i->service, FCTL_ANN_ADVERTISE);
    struct fed_str zone = fed_obj_annotation(i->deployment, FCTL_ANN_FEDERATIONS), name;
    code = check_service_ways(f, p->service_type, err);
    if (!f->advertise && node_port && address.n)
        f->advertise = fed_arena_dupz(a, address);
    fctl_etcd_keep(a, &f->etcd, i->deployment, etcd);
    if (!code)
        code = fctl_etcd_check(a, &f->etcd, err);
    if (!code && !p->zone && zone.n && fed_str_cut(&zone, '=', &name))
        code = fctl_parse_zone(a, fed_arena_dupz(a, zone), &p->zone, err);
    if (!code && !p->zone)
        code = fed_err_set(err, FED_E_INVALID,
                           "--dns-zone-name ZONE is required: the DNS zone that the federation "
                           "answers for");
    i->c->misused = code != 0;
    return code;
}

/* --- the host cluster --- */

static int ensure_keys(struct init *i, struct fed_err *err)
{
    if (!i->secret) {
        int code = fctl_plan_credentials(&i->c->arena, i->plane, fed_wall_ms(i->c->env), &i->secret, err);
        return code ? code : fctl_ensure(i->host, &fctl_secrets, i->secret, NULL, err);
    }
    if (fctl_secret_text(&i->c->arena, i->secret, "ca.crt") && fctl_secret_text(&i->c->arena, i->secret, "ca.key") &&
        fctl_secret_text(&i->c->arena, i->secret, "sa.key"))
        return 0;
    return fed_err_set(err, FED_E_INVALID,
                       "secret \"" FCTL_CREDENTIALS "\" in namespace \"%s\" of context \"%s\" lacks ca.crt, ca.key or "
                       "sa.key. Put them back, or delete the secret to have new keys made (clusters then join again)",
                       i->plane->ns, i->host->name);
}

static int find_address(struct init *i, struct fed_err *why)
{
    struct fed_json *service = NULL, *nodes = NULL;
    int code = fctl_get(i->host, &fctl_services, i->plane->ns, "apiserver", &service, why);
    if (!code && strcmp(i->plane->service_type, "NodePort") == 0)
        code = fctl_list(i->host, &fctl_nodes, "", "", &nodes, why);
    if (code)
        return code;
    return fctl_service_address(&i->c->arena, service, nodes, i->conf->advertise, &i->plane->url, &i->plane->sans, why);
}

static int address_known(void *ud, struct fed_err *why)
{
    return find_address(ud, why);
}

/* plan: a workload without overrides; have: as it is deployed, or NULL. */
static void keep_workload(struct init *i, struct fed_json *plan, const struct fed_json *have, const char *image_flag,
                          const struct fed_strings *said)
{
    struct fed_arena *a = &i->c->arena;
    struct fed_json *container = fctl_container(plan), *deployed = fctl_container(have);
    struct fed_strings overrides;
    if (deployed && !fctl_said(&i->conf->common, image_flag))
        fed_json_remove_key(container, "image");
    if (deployed && !fctl_said(&i->conf->common, "image-pull-policy"))
        fed_json_remove_key(container, "imagePullPolicy");
    fctl_fill(a, container, deployed);
    fctl_keep_overrides(a, have, plan, said, &overrides);
    fctl_put_overrides(a, plan, &overrides);
}

static int ensure_deployment(struct init *i, struct fed_err *err)
{
    struct fed_json *deployment = fctl_plan_deployment(&i->c->arena, i->plane);
    fctl_etcd_apply(&i->c->arena, &i->conf->etcd, deployment);
    keep_workload(i, deployment, i->deployment, "image", &i->conf->plane_args);
    return fctl_ensure(i->host, &fctl_deployments, deployment, NULL, err);
}

static int ensure_service(struct init *i, struct fed_err *err)
{
    struct fed_arena *a = &i->c->arena;
    const char *advertise = i->conf->advertise && i->conf->advertise[0] ? i->conf->advertise : NULL;
    struct fed_json *service = fctl_plan_service(a, i->plane);
    struct fed_json *port = fed_json_item(fed_json_at(service, "spec", "ports", NULL), 0);
    fctl_fill(a, port, fed_json_item(fed_json_at(i->service, "spec", "ports", NULL), 0));
    if (advertise)
        fed_obj_set_annotation(a, service, FCTL_ANN_ADVERTISE, fed_str(advertise));
    else if (fed_obj_annotation(i->service, FCTL_ANN_ADVERTISE).n)
        fed_json_set(fed_json_at(service, "metadata", "annotations", NULL), FCTL_ANN_ADVERTISE, fed_json_null(a));
    return fctl_ensure(i->host, &fctl_services, service, NULL, err);
}

/* What the servers need for etcd. */
static int ensure_etcd(struct init *i, struct fed_err *err)
{
    const struct fctl_var vars[] = {{"namespace", i->plane->ns}, {"federation", i->plane->federation}, {NULL, NULL}};
    struct fed_arena *a = &i->c->arena;
    if (!fctl_etcd_used(&i->conf->etcd) || !i->conf->etcd.files->n)
        return 0;
    struct fed_json *secret = fctl_manifest(a, "Secret", FCTL_ETCD_SECRET, vars);
    fed_json_set(secret, "data", i->conf->etcd.files);
    return fctl_ensure(i->host, &fctl_secrets, secret, NULL, err);
}

/* Why the pod does not run, if it says so. */
static void blame_pod(struct init *i, struct fed_err *why)
{
    struct fed_json *pods = NULL;
    if (fctl_list(i->host, &fctl_pods, i->plane->ns, "labelSelector=module%3Dfederation-apiserver", &pods, NULL) != 0)
        return;
    FED_JSON_EACH(pod, fed_json_find(pods, "items")) {
        struct fed_json *status = fed_json_item(fed_json_at(pod, "status", "containerStatuses", NULL), 0);
        struct fed_json *waiting = fed_json_at(status, "state", "waiting", NULL);
        struct fed_str reason = fed_json_find_text(waiting, "reason"), text = fed_json_find_text(waiting, "message");
        struct fed_str name = fed_obj_name(pod);
        if (reason.n)
            fed_err_set(why, FED_E_BUSY, "pod \"%.*s\": %.*s: %.*s; see `kubectl --context %s -n %s logs %.*s`",
                        FED_STR_ARG(name), FED_STR_ARG(reason), FED_STR_ARG(text), i->host->name, i->plane->ns,
                        FED_STR_ARG(name));
    }
}

static int rolled_out(struct init *i, struct fed_err *why)
{
    struct fed_json *d = NULL;
    int code = fctl_get(i->host, &fctl_deployments, i->plane->ns, "apiserver", &d, why);
    if (code)
        return code;
    const struct fed_json *status = fed_json_find(d, "status");
    if (fed_json_int(fed_json_find(status, "observedGeneration"), 0) >=
            fed_json_int(fed_json_at(d, "metadata", "generation", NULL), 0) &&
        fed_json_int(fed_json_find(status, "updatedReplicas"), 0) >= 1 &&
        fed_json_int(fed_json_find(status, "readyReplicas"), 0) >= 1)
        return 0;
    fed_err_set(why, FED_E_BUSY, "deployment \"apiserver\" has no ready pod yet");
    blame_pod(i, why);
    return FED_E_BUSY;
}

/* The admin's way in, with a certificate of the federation's CA. */
static int make_admin(struct init *i, struct fed_err *err)
{
    struct fed_arena *a = &i->c->arena;
    const struct fed_str masters = FED_STR("system:masters");
    int64_t now = fed_wall_ms(i->c->env);
    struct fed_cert_spec spec = {.cn = FED_STR("admin"),
                                 .orgs = &masters,
                                 .n_orgs = 1,
                                 .client = true,
                                 .not_before_ms = now - HOUR_MS,
                                 .not_after_ms = now + YEAR_MS};
    struct fed_str ca = fed_str(fctl_secret_text(a, i->secret, "ca.crt"));
    struct fed_str ca_key = fed_str(fctl_secret_text(a, i->secret, "ca.key"));
    struct fed_buf key = {0}, cert = {0};
    int code = fed_pki_new_key(&key, err);
    if (!code)
        code = fed_pki_sign(ca, ca_key, fed_buf_str(&key), &spec, &cert, err);
    if (!code) {
        i->admin = (struct fed_rest_conf){.server = fed_strdup(i->plane->url),
                                          .ca_pem = fed_strdup_str(ca),
                                          .cert_pem = fed_strdup(fed_buf_z(&cert)),
                                          .key_pem = fed_strdup(fed_buf_z(&key))};
        code = fctl_api_open(i->c, "the federation's API", i->plane->federation, &i->admin, &i->hub, err);
    }
    fed_buf_release(&key);
    fed_buf_release(&cert);
    return code;
}

static int healthy(void *ud, struct fed_err *why)
{
    struct init *i = ud;
    struct fed_str text;
    const char *url = i->plane->url;
    int code = find_address(i, why);
    if (!code && strcmp(url, i->plane->url) != 0) { /* e.g. the port could not be had and another one serves */
        code = ensure_deployment(i, why);
        if (!code) {
            fed_rest_conf_release(&i->admin);
            code = make_admin(i, why);
        }
    }
    if (!code)
        code = rolled_out(i, why);
    if (code)
        return code;
    code = fctl_get_text(i->hub, "/readyz", &text, why);
    return code ? FED_E_BUSY : 0;
}

static int choose_node(struct init *i, struct fed_err *err)
{
    struct fed_json *nodes = NULL, *deployment = i->deployment;
    struct fed_json *have = fed_json_at(deployment, "spec", "template", "spec", "nodeSelector", NULL);
    int code = fctl_etcd_check_store(&i->conf->etcd, deployment, err);
    if (i->plane->node_selector)
        fctl_replace_members(&i->c->arena, i->plane->node_selector, have);
    if (code || i->plane->node_selector || fctl_etcd_used(&i->conf->etcd))
        return code;
    code = fctl_list(i->host, &fctl_nodes, "", "", &nodes, err);
    if (code)
        return code;
    i->plane->node_selector = fctl_choose_node(&i->c->arena, nodes, deployment);
    struct fed_str node = fed_json_find_text(i->plane->node_selector, "kubernetes.io/hostname");
    if (node.n && !deployment)
        fctl_say(i->c, "The control plane's store is on node %.*s (choose with --node-selector)", FED_STR_ARG(node));
    return 0;
}

static int start_plane(struct init *i, struct fed_err *err)
{
    const struct fctl_var vars[] = {{"namespace", i->plane->ns}, {"federation", i->plane->federation}, {NULL, NULL}};
    struct fed_arena *a = &i->c->arena;
    int code = fctl_ensure(i->host, &fctl_namespaces, fctl_manifest(a, "Namespace", "${namespace}", vars), NULL, err);
    if (!code)
        code = ensure_keys(i, err);
    if (!code)
        code = ensure_etcd(i, err);
    if (!code)
        code = ensure_service(i, err);
    if (!code && i->c->dry_run) {
        if (find_address(i, NULL) != 0)
            i->plane->url = "https://ADDRESS-OF-SERVICE";
        return ensure_deployment(i, err);
    }
    if (!code)
        code = fctl_wait(i->c, "the address of the federation's API", i->conf->common.timeout, address_known, i, err);
    if (!code)
        code = ensure_deployment(i, err);
    if (!code)
        code = make_admin(i, err);
    if (!code)
        code = fctl_wait(i->c, "the federation's control plane", i->conf->common.timeout, healthy, i, err);
    return code;
}

/* --- the kubeconfig --- */

/* The context is there, points to the right place and has two thirds of its certificate's life before it. */
static bool context_is_good(struct init *i)
{
    struct fed_rest_conf rest = {0};
    int64_t from, to, now = fed_wall_ms(i->c->env);
    bool good = fed_kubeconfig_rest(i->k, i->plane->federation, &rest, NULL) == 0 && rest.cert_pem && rest.server &&
                strcmp(rest.server, i->plane->url) == 0 &&
                fed_pki_signed_by(fed_str(rest.cert_pem), fed_str(i->admin.ca_pem)) &&
                fed_pki_validity(fed_str(rest.cert_pem), &from, &to, NULL) == 0 && now < from + (to - from) / 3 * 2;
    fed_rest_conf_release(&rest);
    return good;
}

static int write_context(struct init *i, struct fed_err *err)
{
    struct fed_kubeconfig_entry entry = {.name = i->plane->federation, .rest = &i->admin};
    const char *path = fed_kubeconfig_write_path(i->k, entry.name);
    if (context_is_good(i))
        return 0;
    int code = fed_kubeconfig_write(path, &entry, 1, err);
    if (!code)
        fctl_say(i->c, "context \"%s\" written to %s", entry.name, path);
    return code;
}

/* --- in the federation --- */

static int keep_edge(struct init *i, struct fed_json *plan, const char *image_flag, const struct fed_strings *said,
                     struct fed_err *err)
{
    struct fed_json *have = NULL;
    const char *name = fed_arena_dupz(&i->c->arena, fed_obj_name(plan));
    int code = fctl_get(i->hub, &fctl_daemonsets, FCTL_EDGE_NS, name, &have, err);
    if (code && code != FED_E_NOT_FOUND)
        return code;
    keep_workload(i, plan, have, image_flag, said);
    return 0;
}

static int start_edge(struct init *i, struct fed_err *err)
{
    struct fed_arena *a = &i->c->arena;
    const struct init_conf *f = i->conf;
    const char *policy = i->plane->pull_policy;
    const struct fed_strings none = {0};
    const struct fctl_var vars[] = {{"federation", i->plane->federation}, {"zone", i->plane->zone}, {NULL, NULL}};
    const struct {
        const struct fed_resource *resource;
        struct fed_json *object;
        const char *image_flag;
        const struct fed_strings *said;
    } objects[] = {
        {&fctl_configmaps, fctl_manifest(a, "ConfigMap", "federation", vars), NULL, NULL},
        {&fctl_namespaces, fctl_manifest(a, "Namespace", FCTL_EDGE_NS, vars), NULL, NULL},
        {&fctl_services, fctl_manifest(a, "Service", "dns", vars), NULL, NULL},
        {&fctl_services, fctl_manifest(a, "Service", "globallb", vars), NULL, NULL},
        {&fctl_daemonsets, fctl_plan_edge(a, "dns", f->dns_image, policy, &none), "dns-image", &f->dns_args},
        {&fctl_daemonsets, fctl_plan_edge(a, "globallb", f->globallb_image, policy, &none), "globallb-image",
         &f->globallb_args},
    };
    for (size_t n = 0; n < FED_ARRAY_LEN(objects); n++) {
        int code =
            objects[n].image_flag ? keep_edge(i, objects[n].object, objects[n].image_flag, objects[n].said, err) : 0;
        if (!code)
            code = fctl_ensure(i->hub, objects[n].resource, objects[n].object, NULL, err);
        if (code)
            return code;
    }
    return 0;
}

/* The federation as the kubeconfig has it, for a dry run; false: it is not there, or does not answer. */
static bool open_hub(struct init *i)
{
    struct fctl_api *hub = NULL;
    if (!i->secret || fctl_open_context(i->c, i->k, i->plane->federation, "the federation's API", &hub, NULL) != 0 ||
        fctl_serves_federation(hub, NULL) != 0)
        return false;
    i->hub = hub;
    return true;
}

static int tell_dry_end(struct init *i, struct fed_err *err)
{
    int code = open_hub(i) ? start_edge(i, err) : 0;
    if (!code && !i->hub)
        fctl_say(i->c,
                 "then, in the federation: namespace " FCTL_EDGE_NS
                 " with daemonsets and services dns and globallb; context \"%s\" in %s (dry run)",
                 i->plane->federation, fed_kubeconfig_write_path(i->k, i->plane->federation));
    return code;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct init_conf *f = conf;
    struct init i = {.c = c, .conf = f, .plane = &f->plane};
    int code = fctl_kubeconfig_load(c, &f->common, &i.k, err);
    if (!code)
        code = fctl_open_context(c, i.k, f->common.host_context, "the host cluster", &i.host, err);
    if (!code)
        code = look(&i, err);
    if (!code)
        code = keep(&i, err);
    if (!code)
        code = choose_node(&i, err);
    if (!code)
        code = start_plane(&i, err);
    if (!code && !c->dry_run)
        code = write_context(&i, err);
    if (!code && !c->dry_run)
        code = start_edge(&i, err);
    if (!code && c->dry_run)
        code = tell_dry_end(&i, err);
    else if (!code)
        fctl_say(c, "Federation API server is running at: %s", i.plane->url);
    if (code == FED_E_TIMEOUT) { /* slow is not wrong: what there is may be looked at, or waited for */
        c->made = NULL;
        fctl_say(c, "What was made is left in place: the same command goes on from here.");
    }
    fed_rest_conf_release(&i.admin);
    fed_kubeconfig_free(i.k);
    return code;
}

const struct fctl_verb fctl_verb_init = {
    .name = "init",
    .settings = &settings,
    .conf_size = sizeof(struct init_conf),
    .about =
        "The control plane runs as a Deployment in a namespace of the host cluster, with its keys in a Secret there.\n"
        "A context NAME for the federation's API is added to the kubeconfig; the current context is left as it is.\n"
        "Run again, it goes on where it was: what a flag does not say stays as it is deployed, and what changes is "
        "told.",
    .examples =
        "  kubefed init fed --host-cluster-context=rivendell --dns-zone-name=example.com.\n"
        "  kubefed init fed --host-cluster-context=rivendell --dns-zone-name=example.com. \\\n"
        "      --api-server-service-type=NodePort --api-server-advertise-address=198.51.100.7\n"
        "  kubefed init fed --host-cluster-context=rivendell --dns-zone-name=example.com. --api-server-replicas=3 \\\n"
        "      --etcd-servers=https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379 \\\n"
        "      --etcd-ca=ca.crt --etcd-cert=client.crt --etcd-key=client.key\n"
        "  kubefed init fed --host-cluster-context=rivendell --image=registry.example.com/fedapi:v2 --dry-run",
    .check = check,
    .run = run,
    .needs_name = true};
