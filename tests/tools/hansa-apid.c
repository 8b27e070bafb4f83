/* SPDX-License-Identifier: Apache-2.0 */
/* hansa-apid: the resource engine alone, with all core kinds, for tests with real clients.
 *
 *   hansa-apid DIR [--store mem|sqlite|etcd:URL,…] [--etcd-tls CA,CERT,KEY] [--port N] [--plain]
 *            [--encryption-provider-config FILE] [--max-requests-inflight N] [--max-mutating-requests-inflight N]
 *
 * Writes DIR/kubeconfig (client certificate of system:masters; context apid) and, once ready, DIR/ready with the
 * server's URL. Token "bob" is a user without rights. --plain: HTTP without TLS, tokens only ("admin", "bob"). */
#include <signal.h>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "base/mem.h"
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
    const char *dir;
    bool sqlite, plain, ended;
    const char *etcd;
    struct fed_str etcd_tls;
    uint16_t port;
    const char *encryption;
    uint64_t max_reads, max_writes;
};

FED_NORETURN static void die(const char *what, const struct fed_err *err)
{
    fed_log_error("apid", "%s: %s", what, err->text);
    exit(1);
}

static void ready(void *ud, int code, const struct fed_err *err)
{
    struct apid *a = ud;
    if (code)
        die("start", err);
    char path[512], url[128], addr[64];
    fed_addr_format(fed_httpd_addr(a->httpd), addr);
    snprintf(url, sizeof url, "%s://%s", a->plain ? "http" : "https", addr);
    struct fed_err e = {0};
    if (!a->plain && fed_pki_dir_write_kubeconfig(a->pki, url, &e))
        die("kubeconfig", &e);
    snprintf(path, sizeof path, "%s/ready", a->dir);
    FILE *f = fopen(path, "w");
    if (f) {
        fprintf(f, "%s\n", url);
        fclose(f);
    }
    fed_log_info("apid", "serving at %s", url);
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
    struct fed_str ca = {0}, cert = {0}, key = {0}, rest = a->etcd_tls;
    struct store_etcd_conf conf = {.endpoints = a->etcd};
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
    if (a->etcd) {
        open_etcd(a);
        return;
    }
    if (!a->sqlite) {
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
                               .ca_pem = fed_pki_dir_ca(a->pki),
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
    fed_api_reload(a->api);
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
                                .encryption_config = a->encryption,
                                .notice = on_notice,
                                .max_reads = (uint32_t)a->max_reads,
                                .max_writes = (uint32_t)a->max_writes,
                                .ud = a};
    if (a->pki)
        conf.sa_key_pem = fed_pki_dir_sa_key(a->pki);
    a->api = fed_api_new(&conf);
    struct fed_httpd_conf http = {
        .handle = fed_api_handle, .refusal = fed_api_refusal, .ud = a->api, .listen = {.tls = a->tls}};
    if (fed_addr_parse(FED_STR("127.0.0.1"), a->port, &http.listen.addr) ||
        fed_httpd_open(a->loop, &http, &a->httpd, &err))
        die("listen", &err);
}

static void read_flags(struct apid *a, int argc, char **argv)
{
    uint64_t n;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--plain") == 0)
            a->plain = true;
        else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc && strncmp(argv[i + 1], "etcd:", 5) == 0)
            a->etcd = argv[++i] + 5;
        else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc)
            a->sqlite = strcmp(argv[++i], "sqlite") == 0;
        else if (strcmp(argv[i], "--etcd-tls") == 0 && i + 1 < argc)
            a->etcd_tls = fed_str(argv[++i]);
        else if (strcmp(argv[i], "--port") == 0 && i + 1 < argc && fed_str_u64(fed_str(argv[i + 1]), &n) == 0 && ++i)
            a->port = (uint16_t)n;
        else if (strcmp(argv[i], "--encryption-provider-config") == 0 && i + 1 < argc)
            a->encryption = argv[++i];
        else if (strcmp(argv[i], "--max-requests-inflight") == 0 && i + 1 < argc &&
                 fed_str_u64(fed_str(argv[i + 1]), &a->max_reads) == 0)
            i++;
        else if (strcmp(argv[i], "--max-mutating-requests-inflight") == 0 && i + 1 < argc &&
                 fed_str_u64(fed_str(argv[i + 1]), &a->max_writes) == 0)
            i++;
        else {
            fprintf(stderr, "hansa-apid: unknown option %s\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct apid a = {0};
    if (argc < 2) {
        fprintf(
            stderr,
            "usage: hansa-apid DIR [--store mem|sqlite|etcd:URL,...] [--etcd-tls CA,CERT,KEY] [--port N] [--plain]\n");
        return 2;
    }
    a.dir = argv[1];
    read_flags(&a, argc, argv);
    a.loop = fed_loop_new();
    a.env = fed_loop_env(a.loop);
    open_store(&a);
    if (!a.plain)
        open_tls(&a);
    open_api(&a);
    fed_loop_on_signal(a.loop, SIGTERM, on_signal, &a);
    fed_loop_on_signal(a.loop, SIGINT, on_signal, &a);
    fed_loop_on_signal(a.loop, SIGHUP, on_hup, &a);
    fed_api_start(a.api, ready, &a);
    fed_loop_run(a.loop);
    fed_api_free(a.api);
    fed_loop_free(a.loop);
    fed_tls_unref(a.tls);
    fed_pki_dir_free(a.pki);
    fed_kinds_free(a.kinds);
    fed_metrics_free(a.metrics);
    fed_arena_release(&a.arena);
    return 0;
}
