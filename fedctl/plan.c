/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/plan.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "crypto/pki.h"
#include "kube/names.h"
#include "kube/obj.h"

#define YEAR_MS (365LL * 24 * 3600 * 1000)

extern const char fctl_manifests[];
extern const size_t fctl_manifests_n;

/* --- manifests --- */

static struct fed_str value_of(const struct fctl_var *vars, struct fed_str name)
{
    for (; vars && vars->name; vars++)
        if (fed_str_is(name, vars->name))
            return fed_str(vars->value ? vars->value : "");
    FED_REQUIRE(!"a manifest names a variable that is not given");
    return (struct fed_str){0};
}

static struct fed_str fill_text(struct fed_arena *a, struct fed_str s, const struct fctl_var *vars)
{
    struct fed_buf out = {0};
    ptrdiff_t at;
    while ((at = fed_str_find(s, FED_STR("${"), 0)) >= 0) {
        ptrdiff_t end = fed_str_chr(s, '}', (size_t)at);
        FED_REQUIRE(end > at);
        fed_buf_add(&out, fed_str_head(s, (size_t)at));
        fed_buf_add(&out, value_of(vars, fed_str_n(s.p + at + 2, (size_t)(end - at) - 2)));
        s = fed_str_from(s, (size_t)end + 1);
    }
    fed_buf_add(&out, s);
    s = fed_arena_dup(a, fed_buf_str(&out));
    fed_buf_release(&out);
    return s;
}

static void fill(struct fed_arena *a, struct fed_json *v, const struct fctl_var *vars)
{
    if (v->type == FED_JSON_STRING && fed_str_find(v->s, FED_STR("${"), 0) >= 0)
        v->s = fill_text(a, v->s, vars);
    FED_JSON_EACH(child, v)
        fill(a, child, vars);
}

struct fed_json *fctl_manifest(struct fed_arena *a, const char *kind, const char *name, const struct fctl_var *vars)
{
    struct fed_json *all = NULL;
    FED_REQUIRE(fed_json_parse(a, fed_str_n(fctl_manifests, fctl_manifests_n), NULL, &all, NULL) == 0);
    FED_JSON_EACH_SAFE(doc, all) {
        if (!fed_str_is(fed_json_find_text(doc, "kind"), kind) || !fed_str_is(fed_obj_name(doc), name))
            continue;
        fed_json_remove(doc);
        fill(a, doc, vars);
        return doc;
    }
    FED_REQUIRE(!"no such manifest");
    return NULL;
}

/* --- init --- */

static const struct fctl_var *plane_vars(struct fed_arena *a, const struct fctl_plane *p)
{
    struct fctl_var *v = FED_ARENA_ARRAY(a, struct fctl_var, 9);
    struct fed_str zone = fed_str_head(fed_str(p->zone), strlen(p->zone) - 1);
    size_t n = 0;
    v[n++] = (struct fctl_var){"federation", p->federation};
    v[n++] = (struct fctl_var){"zone", p->zone};
    v[n++] = (struct fctl_var){"namespace", p->ns};
    v[n++] = (struct fctl_var){"image", p->image};
    v[n++] = (struct fctl_var){"pullPolicy", p->pull_policy};
    v[n++] = (struct fctl_var){"serviceType", p->service_type};
    v[n++] = (struct fctl_var){"url", p->url};
    v[n++] = (struct fctl_var){"federations", fed_arena_printf(a, "%s=%.*s", p->federation, FED_STR_ARG(zone)).p};
    return v;
}

struct fed_json *fctl_plan_service(struct fed_arena *a, const struct fctl_plane *p)
{
    struct fed_json *service = fctl_manifest(a, "Service", "apiserver", plane_vars(a, p));
    if (p->node_port)
        fed_json_set(fed_json_item(fed_json_at(service, "spec", "ports", NULL), 0), "nodePort",
                     fed_json_new_int(a, p->node_port));
    return service;
}

void fctl_merge_args(struct fed_arena *a, struct fed_json *args, const struct fed_strings *more)
{
    for (size_t i = 0; more && i + 1 < more->n; i += 2) {
        struct fed_json *flag = args->first;
        while (flag && !fed_str_is(fed_json_str(flag), more->v[i]))
            flag = flag->next;
        if (flag && flag->next) {
            fed_json_replace(flag->next, fed_json_new_strz(a, more->v[i + 1]));
        } else {
            fed_json_push(args, fed_json_new_strz(a, more->v[i]));
            fed_json_push(args, fed_json_new_strz(a, more->v[i + 1]));
        }
    }
}

struct fed_json *fctl_plan_deployment(struct fed_arena *a, const struct fctl_plane *p)
{
    struct fed_json *deployment = fctl_manifest(a, "Deployment", "apiserver", plane_vars(a, p));
    struct fed_json *pod = fed_json_at(deployment, "spec", "template", "spec", NULL);
    struct fed_json *args = fed_json_find(fed_json_item(fed_json_find(pod, "containers"), 0), "args");
    for (size_t i = 0; i < p->sans.n; i++) {
        fed_json_push(args, fed_json_new_strz(a, "--san"));
        fed_json_push(args, fed_json_new_strz(a, p->sans.v[i]));
    }
    fctl_merge_args(a, args, &p->args);
    if (p->node_selector)
        fed_json_set(pod, "nodeSelector", fed_json_copy(a, p->node_selector));
    if (p->pull_secrets.n) {
        struct fed_json *list = fed_json_set(pod, "imagePullSecrets", fed_json_array(a));
        for (size_t i = 0; i < p->pull_secrets.n; i++)
            fed_json_set(fed_json_push(list, fed_json_object(a)), "name", fed_json_new_strz(a, p->pull_secrets.v[i]));
    }
    return deployment;
}

static void set_secret(struct fed_arena *a, struct fed_json *secret, const char *key, struct fed_str text)
{
    struct fed_buf coded = {0};
    fed_base64_encode(&coded, text);
    fed_json_set(fed_json_ensure_object(a, secret, "data"), key,
                 fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&coded))));
    fed_buf_release(&coded);
}

int fctl_plan_credentials(struct fed_arena *a, const struct fctl_plane *p, int64_t now_ms, struct fed_json **out,
                          struct fed_err *err)
{
    struct fed_buf ca_key = {0}, ca = {0}, sa_key = {0};
    int code = fed_pki_new_key(&ca_key, err);
    if (!code)
        code = fed_pki_new_ca(fed_buf_str(&ca_key), fed_str(p->federation), now_ms - 3600000, now_ms + 10 * YEAR_MS,
                              &ca, err);
    if (!code)
        code = fed_pki_new_key(&sa_key, err);
    if (!code) {
        *out = fctl_manifest(a, "Secret", FCTL_CREDENTIALS, plane_vars(a, p));
        set_secret(a, *out, "ca.crt", fed_buf_str(&ca));
        set_secret(a, *out, "ca.key", fed_buf_str(&ca_key));
        set_secret(a, *out, "sa.key", fed_buf_str(&sa_key));
    }
    fed_buf_release(&ca_key);
    fed_buf_release(&ca);
    fed_buf_release(&sa_key);
    return code;
}

static bool takes_pods(const struct fed_json *node)
{
    if (fed_json_bool(fed_json_at(node, "spec", "unschedulable", NULL), false))
        return false;
    FED_JSON_EACH(taint, fed_json_at(node, "spec", "taints", NULL))
        if (!fed_str_is(fed_json_find_text(taint, "effect"), "PreferNoSchedule"))
            return false;
    const struct fed_json *ready = fed_obj_condition(fed_json_find(node, "status"), "Ready");
    return fed_str_is(fed_json_find_text(ready, "status"), "True") && fed_obj_label(node, "kubernetes.io/hostname").n;
}

struct fed_json *fctl_choose_node(struct fed_arena *a, const struct fed_json *nodes, const struct fed_json *deployment)
{
    struct fed_json *list = fed_json_find(nodes, "items"), *selector = NULL;
    const struct fed_json *first = NULL;
    struct fed_json *have = fed_json_at(deployment, "spec", "template", "spec", "nodeSelector", NULL);
    if (have && have->n)
        return have;
    if (deployment || !list || list->n < 2)
        return NULL;
    FED_JSON_EACH(node, list)
        if (takes_pods(node) && (!first || fed_str_cmp(fed_obj_name(node), fed_obj_name(first)) < 0))
            first = node;
    if (first) {
        selector = fed_json_object(a);
        fed_json_set(selector, "kubernetes.io/hostname",
                     fed_json_new_str(a, fed_obj_label(first, "kubernetes.io/hostname")));
    }
    return selector;
}

/* --- where the API is reached --- */

static void add_address(struct fed_arena *a, struct fed_strings *list, struct fed_str address)
{
    for (size_t i = 0; i < list->n; i++)
        if (fed_str_is(address, list->v[i]))
            return;
    const char *z = fed_arena_dupz(a, address);
    const struct fed_strings one = {&z, 1};
    fctl_concat(a, list, &one);
}

static void node_addresses(struct fed_arena *a, const struct fed_json *nodes, const char *type, struct fed_strings *out)
{
    FED_JSON_EACH(node, fed_json_find(nodes, "items"))
        FED_JSON_EACH(address, fed_json_at(node, "status", "addresses", NULL))
            if (fed_str_is(fed_json_find_text(address, "type"), type))
                add_address(a, out, fed_json_find_text(address, "address"));
}

/* The port that really serves: an included cluster that may not bind one says which other it took. */
static int64_t balancer_port(struct fed_arena *a, const struct fed_json *service, int64_t port)
{
    struct fed_str text = fed_obj_annotation(service, "member.hansa.io/load-balancer-ports");
    struct fed_json *ports = NULL;
    if (!text.n || fed_json_parse(a, text, NULL, &ports, NULL) != 0)
        return port;
    return fed_json_int(fed_json_find_str(ports, fed_arena_printf(a, "%lld", (long long)port)), port);
}

int fctl_service_address(struct fed_arena *a, const struct fed_json *service, const struct fed_json *nodes,
                         const char *advertise, const char **url, struct fed_strings *sans, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(service, "spec"), *first = fed_json_item(fed_json_find(spec, "ports"), 0);
    bool node_port = fed_str_is(fed_json_find_text(spec, "type"), "NodePort");
    int64_t port = fed_json_int(fed_json_find(first, node_port ? "nodePort" : "port"), 0);
    *sans = (struct fed_strings){0};
    if (node_port) {
        if (advertise && advertise[0])
            add_address(a, sans, fed_str(advertise));
        node_addresses(a, nodes, "ExternalIP", sans);
        node_addresses(a, nodes, "InternalIP", sans);
    } else {
        FED_JSON_EACH(at, fed_json_at(service, "status", "loadBalancer", "ingress", NULL)) {
            struct fed_str ip = fed_json_find_text(at, "ip");
            add_address(a, sans, ip.n ? ip : fed_json_find_text(at, "hostname"));
        }
        port = balancer_port(a, service, port);
    }
    if (!sans->n || !sans->v[0][0] || !port)
        return fed_err_set(
            err, FED_E_BUSY, "service \"apiserver\" has no %s yet%s", node_port ? "node port" : "address",
            node_port ? "" : "; a cluster without load balancers needs --api-server-service-type=NodePort");
    bool six = strchr(sans->v[0], ':') != NULL;
    struct fed_str host = fed_arena_printf(a, six ? "[%s]" : "%s", sans->v[0]);
    *url = port == 443 ? fed_arena_printf(a, "https://%s", host.p).p
                       : fed_arena_printf(a, "https://%s:%lld", host.p, (long long)port).p;
    return 0;
}

struct fed_json *fctl_plan_edge(struct fed_arena *a, const char *program, const char *image, const char *pull_policy,
                                const struct fed_strings *args)
{
    const struct fctl_var vars[] = {
        {"dnsImage", image}, {"globallbImage", image}, {"pullPolicy", pull_policy}, {NULL, NULL}};
    struct fed_json *set = fctl_manifest(a, "DaemonSet", program, vars);
    struct fed_json *containers = fed_json_at(set, "spec", "template", "spec", "containers", NULL);
    fctl_merge_args(a, fed_json_find(fed_json_item(containers, 0), "args"), args);
    return set;
}

/* --- join --- */

const char *fctl_account_name(struct fed_arena *a, const char *cluster, const char *host)
{
    char *name = fed_arena_dupz(a, fed_arena_printf(a, "%s-%s", cluster, host));
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z')
            name[i] = (char)(c - 'A' + 'a');
        else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            name[i] = '-';
    }
    if (n > 63)
        name[n = 63] = '\0';
    while (n && name[n - 1] == '-')
        name[--n] = '\0';
    return name;
}

static const struct fctl_var *member_vars(struct fed_arena *a, const struct fctl_member *m)
{
    struct fctl_var *v = FED_ARENA_ARRAY(a, struct fctl_var, 8);
    size_t n = 0;
    v[n++] = (struct fctl_var){"cluster", m->cluster};
    v[n++] = (struct fctl_var){"federation", m->federation};
    v[n++] = (struct fctl_var){"namespace", m->ns};
    v[n++] = (struct fctl_var){"account", m->account};
    v[n++] = (struct fctl_var){"role", m->role};
    v[n++] = (struct fctl_var){"secret", m->secret};
    v[n++] = (struct fctl_var){"server", m->server};
    return v;
}

struct fed_json *fctl_plan_member(struct fed_arena *a, const struct fctl_member *m, const char *kind, const char *name)
{
    return fctl_manifest(a, kind, name, member_vars(a, m));
}

struct fed_json *fctl_plan_cluster(struct fed_arena *a, const struct fctl_member *m)
{
    struct fed_json *cluster = fctl_manifest(a, "Cluster", "${cluster}", member_vars(a, m));
    const struct fctl_var places[] = {{FCTL_ANN_COORDINATES, m->coordinates},
                                      {FCTL_ANN_REGION, m->region},
                                      {FCTL_ANN_ZONE, m->zone},
                                      {FCTL_ANN_UID, m->uid}};
    for (size_t i = 0; i < FED_ARRAY_LEN(places); i++)
        if (places[i].value && places[i].value[0])
            fed_obj_set_annotation(a, cluster, places[i].name, fed_str(places[i].value));
    if (m->labels)
        fed_json_set(fed_obj_metadata(a, cluster), "labels", fed_json_copy(a, m->labels));
    if (!m->role[0]) { /* reached with a user's own credentials: nothing of ours is there to be removed */
        fed_json_remove_key(fed_json_at(cluster, "metadata", "annotations", NULL), FCTL_ANN_ACCOUNT);
        fed_json_remove_key(fed_json_at(cluster, "metadata", "annotations", NULL), FCTL_ANN_ROLE);
    }
    return cluster;
}

struct fed_json *fctl_plan_cluster_secret(struct fed_arena *a, const struct fctl_member *m, const char *token,
                                          const struct fed_rest_conf *rest)
{
    struct fed_json *secret = fctl_manifest(a, "Secret", "${secret}", member_vars(a, m));
    struct fed_buf text = {0};
    if (m->uid)
        fed_obj_set_annotation(a, secret, FCTL_ANN_UID, fed_str(m->uid));
    if (m->role[0]) { /* what an interrupted unjoin has still to remove */
        fed_obj_set_annotation(a, secret, FCTL_ANN_ACCOUNT, fed_str(m->account));
        fed_obj_set_annotation(a, secret, FCTL_ANN_ROLE, fed_str(m->role));
    }
    if (token && rest->ca_pem) {
        set_secret(a, secret, "token", fed_str(token));
        set_secret(a, secret, "ca.crt", fed_str(rest->ca_pem));
        if (!rest->proxy_url && !rest->tls_server_name)
            return secret;
    }
    if (token) { /* another way there, or trusted by other means than a CA of its own: the kubeconfig form can say so */
        struct fed_rest_conf with = {.server = rest->server,
                                     .ca_pem = rest->ca_pem,
                                     .token = (char *)token,
                                     .insecure = rest->insecure,
                                     .tls_server_name = rest->tls_server_name,
                                     .proxy_url = rest->proxy_url};
        fed_kubeconfig_format(m->cluster, &with, &text);
    } else {
        fed_kubeconfig_format(m->cluster, rest, &text);
    }
    set_secret(a, secret, "kubeconfig", fed_buf_str(&text));
    fed_buf_release(&text);
    return secret;
}

/* --- comparing --- */

bool fctl_covers(const struct fed_json *have, const struct fed_json *want)
{
    if (want->type == FED_JSON_NULL)
        return !have || have->type == FED_JSON_NULL;
    if (!have) /* servers drop what is empty */
        return (want->type == FED_JSON_OBJECT || want->type == FED_JSON_ARRAY) && want->n == 0;
    if (want->type == FED_JSON_OBJECT && have->type == FED_JSON_OBJECT) {
        FED_JSON_EACH(m, want)
            if (!fctl_covers(fed_json_find_str(have, m->key), m))
                return false;
        return true;
    }
    if (want->type == FED_JSON_ARRAY && have->type == FED_JSON_ARRAY) {
        if (want->n != have->n)
            return false;
        const struct fed_json *h = have->first;
        for (const struct fed_json *w = want->first; w; w = w->next, h = h->next)
            if (!fctl_covers(h, w))
                return false;
        return true;
    }
    return fed_json_equal(have, want);
}

const char *fctl_secret_text(struct fed_arena *a, const struct fed_json *secret, const char *key)
{
    struct fed_str coded = fed_json_find_text(fed_json_find(secret, "data"), key), text;
    if (!coded.n || fed_base64_decode(a, coded, &text) != 0)
        return NULL;
    return fed_arena_dupz(a, text);
}
