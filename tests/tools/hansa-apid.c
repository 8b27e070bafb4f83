/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-apid: the resource engine alone, with all core kinds, for tests with real clients.
 *
 *   hansa-apid DIR [--store mem|sqlite|etcd:URL,…] [--etcd-tls CA,CERT,KEY] [--port N] [--plain] [--encryption-provider-config FILE]
 *            [--keep-changes N] [--max-requests-inflight N] [--max-mutating-requests-inflight N] [settings of access.h]
 *
 * Writes DIR/kubeconfig (client certificate of system:masters; context apid) and, once ready, DIR/ready with the
 * server's URL. Token "bob" is a user without rights. --plain: HTTP without TLS, tokens only ("admin", "bob").
 * --access-controllers: ClusterRoles are aggregated and tokens put into Secrets. */
#include <signal.h>

#include "apiserver/access.h"
#include "apiserver/apiserver.h"
#include "apiserver/serving.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/crd.h"
#include "control/aggregate.h"
#include "control/csr.h"
#include "control/satoken.h"
#include "kube/pki_dir.h"
#include "net/loop.h"
#include "store/etcd.h"

struct apid {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_arena arena;
    struct store *store;
    struct fed_kinds *kinds;
    struct fed_metrics *metrics;
    struct fed_pki_dir *pki;
    struct fed_tls *tls;
    struct fed_httpd *httpd;
    struct fed_api *api;
    struct fed_transport *self; /* its own controller: definitions of custom kinds */
    struct fed_crdctl *crdctl;
    struct fed_access *access;
    struct fed_transport *local;
    struct fed_aggregate *aggregate;
    struct fed_satoken *satoken;
    struct fed_csrctl *csrctl;
    const char *dir;
    bool ended;
    struct conf {
        const char *store, *etcd_tls;
        int64_t port, max_reads, max_writes, keep;
        bool plain, controllers;
        const char *encryption;
        struct fed_access_settings access;
        struct fed_serving_settings serving;
    } conf;
};

#define AT(f) offsetof(struct conf, f)
static const struct fed_setting rows[] = {
    {.name = "store",
     .type = FED_SET_STR,
     .offset = AT(store),
     .dflt = "mem",
     .arg = "mem|sqlite|etcd:URL,...",
     .help = "store"},
    {.name = "etcd-tls", .type = FED_SET_STR, .offset = AT(etcd_tls), .arg = "CA,CERT,KEY", .help = "of etcd"},
    {.name = "port", .type = FED_SET_INT, .offset = AT(port), .dflt = "0", .arg = "N", .help = "port", .max = 65535},
    {.name = "keep-changes",
     .type = FED_SET_INT,
     .offset = AT(keep),
     .arg = "N",
     .help = "changes that watches reach back"},
    {.name = "plain", .type = FED_SET_BOOL, .offset = AT(plain), .help = "HTTP without TLS"},
    {.name = "access-controllers", .type = FED_SET_BOOL, .offset = AT(controllers), .help = "fill roles and tokens"},
    {.name = "encryption-provider-config",
     .type = FED_SET_STR,
     .offset = AT(encryption),
     .arg = "FILE",
     .help = "keys"},
    {.name = "max-requests-inflight", .type = FED_SET_INT, .offset = AT(max_reads), .arg = "N", .help = "reads"},
    {.name = "max-mutating-requests-inflight",
     .type = FED_SET_INT,
     .offset = AT(max_writes),
     .arg = "N",
     .help = "writes"},
    FED_ACCESS_ROWS(AT(access)),
    FED_SERVING_ROWS(AT(serving)),
};
static const struct fed_settings settings = {.program = "hansa-apid",
                                             .summary = "the resource engine alone",
                                             .args = "DIR",
                                             .max_args = 1,
                                             .version = "0",
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

FED_NORETURN static void die(const char *what, const struct fed_err *err)
{
    fed_log_error("apid", "%s: %s", what, err->text);
    exit(1);
}

static int make_token(void *ud, const struct fed_kobj *account, struct fed_str secret, struct fed_buf *token,
                      struct fed_err *err)
{
    return fed_api_legacy_token(ud, account->ns, account->name, account->uid, secret, token, err);
}

static int sign_request(void *ud, struct fed_str csr_pem, unsigned uses, int64_t seconds, struct fed_buf *cert_pem,
                        struct fed_err *err)
{
    struct apid *a = ud;
    return fed_pki_dir_sign_request(a->pki, csr_pem, uses, seconds, cert_pem, err);
}

static void start_controllers(struct apid *a)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    const struct fed_identity who = {.user = FED_STR("system:apid"), .groups = &masters, .n_groups = 1};
    a->local = fed_api_local(a->api, &who);
    a->aggregate = fed_aggregate_new(a->local);
    a->satoken = fed_satoken_new(&(struct fed_satoken_conf){
        .transport = a->local, .ca_pem = fed_pki_dir_ca(a->pki), .make = make_token, .ud = a->api});
    a->csrctl = fed_csrctl_new(&(struct fed_csrctl_conf){.transport = a->local, .sign = sign_request, .ud = a});
}

static void ready(void *ud, int code, const struct fed_err *err)
{
    struct apid *a = ud;
    if (code)
        die("start", err);
    char path[512], url[128], addr[64];
    fed_addr_format(fed_httpd_addr(a->httpd), addr);
    snprintf(url, sizeof url, "%s://%s", a->conf.plain ? "http" : "https", addr);
    struct fed_err e = {0};
    if (!a->conf.plain && fed_pki_dir_write_kubeconfig(a->pki, url, &e))
        die("kubeconfig", &e);
    snprintf(path, sizeof path, "%s/ready", a->dir);
    FILE *f = fopen(path, "w");
    if (f) {
        fprintf(f, "%s\n", url);
        fclose(f);
    }
    if (a->conf.controllers)
        start_controllers(a);
    fed_log_info("apid", "serving at %s", url);
    a->crdctl = fed_crdctl_new(&(struct fed_crdctl_conf){.transport = a->self, .kinds = a->kinds});
    fed_crdctl_start(a->crdctl);
}

static void store_closed(void *ud)
{
    struct apid *a = ud;
    a->store = NULL;
    fed_loop_stop(a->loop);
}

static void http_closed(void *ud)
{
    struct apid *a = ud;
    a->store->ops->close(a->store, store_closed, a);
}

static void on_signal(void *ud, int signo)
{
    struct apid *a = ud;
    (void)signo;
    if (a->ended)
        return;
    a->ended = true;
    fed_api_stop(a->api);
    fed_httpd_close(a->httpd, 200, http_closed, a);
}

static void open_etcd(struct apid *a)
{
    struct fed_err err = {0};
    struct fed_str ca = {0}, cert = {0}, key = {0}, rest = fed_str(a->conf.etcd_tls);
    struct store_etcd_conf conf = {.endpoints = a->conf.store + 5};
    if (rest.n && fed_str_cut(&rest, ',', &ca) && fed_str_cut(&rest, ',', &cert) && fed_str_cut(&rest, ',', &key)) {
        conf.ca_file = fed_arena_dupz(&a->arena, ca);
        conf.cert_file = fed_arena_dupz(&a->arena, cert);
        conf.key_file = fed_arena_dupz(&a->arena, key);
    }
    if (store_etcd_open(a->loop, &conf, &a->store, &err))
        die("store", &err);
}

static void open_store(struct apid *a)
{
    if (fed_str_starts(fed_str(a->conf.store), FED_STR("etcd:"))) {
        open_etcd(a);
        return;
    }
    if (strcmp(a->conf.store, "sqlite") != 0) {
        a->store = store_mem_new(a->env, 0);
        return;
    }
    struct fed_err err = {0};
    struct store_sqlite_conf conf = {.path =
                                         fed_arena_dupz(&a->arena, fed_arena_printf(&a->arena, "%s/store.db", a->dir))};
    if (store_sqlite_open(a->env, &conf, &a->store, &err))
        die("store", &err);
}

static void open_tls(struct apid *a)
{
    struct fed_err err = {0};
    static const char *const ips[] = {"127.0.0.1", NULL}, *const names[] = {"localhost", NULL};
    struct fed_pki_dir_conf conf = {
        .dir = a->dir, .name = "apid", .server_cn = "hansa-apid", .ips = ips, .names = names};
    if (fed_pki_dir_open(a->env, &conf, &a->pki, &err))
        die("keys", &err);
    struct fed_tls_conf tls = {.server = true,
                               .cert_file = fed_pki_dir_server_cert_file(a->pki),
                               .key_file = fed_pki_dir_server_key_file(a->pki),
                               .ca_file = fed_pki_dir_ca_file(a->pki),
                               .peer = FED_TLS_PEER_OPTIONAL,
                               .alpn = "h2,http/1.1"};
    if (fed_tls_new(a->env, &tls, &a->tls, &err))
        die("TLS", &err);
}

static void on_notice(void *ud, int code, const char *text)
{
    (void)ud;
    if (code)
        fed_log_error("apid", "%s", text);
    else
        fed_log_info("apid", "%s", text);
}

static void on_hup(void *ud, int signo)
{
    struct apid *a = ud;
    (void)signo;
    struct fed_err err = {0};
    fed_api_reload(a->api);
    fed_access_reload(a->access);
    if (a->tls && fed_tls_reload(a->tls, &err))
        fed_log_error("apid", "TLS: %s", err.text);
}

static void open_api(struct apid *a)
{
    static const char *const namespaces[] = {"default", "kube-system", "kube-public", NULL};
    static const char tokens[] = "[{\"token\":\"admin\",\"user\":\"admin\",\"groups\":[\"system:masters\"]},"
                                 "{\"token\":\"bob\",\"user\":\"bob\"}]";
    struct fed_err err = {0};
    struct fed_json *list = NULL;
    a->kinds = fed_kinds_new();
    if (fed_kinds_add_core(a->kinds, NULL, &err))
        die("kinds", &err);
    if (fed_json_parse(&a->arena, FED_STR(tokens), NULL, &list, &err))
        die("tokens", &err);
    a->metrics = fed_metrics_new();
    struct fed_api_conf conf = {.env = a->env,
                                .loop = a->loop,
                                .store = a->store,
                                .kinds = a->kinds,
                                .metrics = a->metrics,
                                .server_name = "hansa-apid",
                                .git_version = "v1.29.0+hansa.0.1.0",
                                .static_namespaces = namespaces,
                                .sa_issuer = "kubernetes/serviceaccount",
                                .tokens = list,
                                .encryption_config = a->conf.encryption,
                                .notice = on_notice,
                                .keep_changes = (uint64_t)a->conf.keep,
                                .max_reads = (uint32_t)a->conf.max_reads,
                                .max_writes = (uint32_t)a->conf.max_writes,
                                .ud = a};
    if (a->pki)
        a->conf.access.sa_own_key_file = fed_pki_dir_sa_key_file(a->pki);
    if (fed_access_open(a->loop, a->metrics, &a->conf.access, &a->access, &err))
        die("access", &err);
    fed_access_on_notice(a->access, on_notice, a);
    conf.access = fed_access_conf(a->access);
    if (a->pki)
        conf.sa_key_pem = fed_pki_dir_sa_key(a->pki);
    static const struct fed_str masters = {"system:masters", sizeof "system:masters" - 1};
    a->api = fed_api_new(&conf);
    a->self = fed_api_local(a->api,
                            &(struct fed_identity){.user = FED_STR("system:apid"), .groups = &masters, .n_groups = 1});
    struct fed_httpd_conf http = fed_serving_conf(a->api, a->metrics, &a->conf.serving);
    http.listen.tls = a->tls;
    if (fed_addr_parse(FED_STR("127.0.0.1"), (uint16_t)a->conf.port, &http.listen.addr) ||
        fed_httpd_open(a->loop, &http, &a->httpd, &err))
        die("listen", &err);
}

int main(int argc, char **argv)
{
    struct apid a = {0};
    struct fed_settings_result res;
    int status = fed_settings_main(&settings, &(struct fed_settings_input){.argc = argc, .argv = argv}, &a.conf,
                                   sizeof a.conf, &a.arena, &res);
    if (status >= 0)
        return status;
    if (!res.args.n) {
        fprintf(stderr, "hansa-apid: DIR is needed\n");
        return 2;
    }
    a.dir = res.args.v[0];
    a.loop = fed_loop_new();
    a.env = fed_loop_env(a.loop);
    open_store(&a);
    if (!a.conf.plain)
        open_tls(&a);
    open_api(&a);
    fed_loop_on_signal(a.loop, SIGTERM, on_signal, &a);
    fed_loop_on_signal(a.loop, SIGINT, on_signal, &a);
    fed_loop_on_signal(a.loop, SIGHUP, on_hup, &a);
    fed_api_start(a.api, ready, &a);
    fed_loop_run(a.loop);
    fed_crdctl_free(a.crdctl);
    fed_transport_free(a.self);
    fed_aggregate_free(a.aggregate);
    fed_satoken_free(a.satoken);
    fed_csrctl_free(a.csrctl);
    fed_transport_free(a.local);
    fed_api_free(a.api);
    fed_access_free(a.access);
    fed_loop_free(a.loop);
    fed_tls_unref(a.tls);
    fed_pki_dir_free(a.pki);
    fed_kinds_free(a.kinds);
    fed_metrics_free(a.metrics);
    fed_arena_release(&a.arena);
    return 0;
}
