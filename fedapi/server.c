/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/server.h"

#include <stdlib.h>

#include "apiserver/apiserver.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/csr.h"
#include "control/satoken.h"
#include "fedapi/admission.h"
#include "fedapi/controllers/edge.h"
#include "fedapi/controllers/federation.h"
#include "fedapi/hub.h"
#include "fedapi/leader.h"
#include "fedapi/schema/schema.h"
#include "kube/guard.h"
#include "fedapi/vault.h"
#include "kube/pki_dir.h"
#include "kube/remote.h"
#include "net/httpd.h"
#include "store/etcd.h"

#define RENEW_EVERY_MS 43200000
#define CLOSE_GRACE_MS 500
#define RESIGN_MS      150 /* for the write that gives the lease up */
#define LEASE_NAME     "hansa-fedapi-controllers"
#define MAX_SANS       64

static const char *const static_namespaces[] = {"default", FAPI_SYSTEM_NS, "kube-system", "kube-public", NULL};

struct fapi_server {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fapi_conf conf;
    struct fed_arena arena; /* strings of the configuration */
    struct fed_addr addr;
    const char *public_url;
    struct fed_metrics *metrics;
    struct fed_pki_dir *pki;
    struct store *store;
    const char *store_path; /* NULL: not a file */
    const char *damage;     /* why the store could not be opened; it is served without, for a restore */
    struct fapi_vault *vault;
    struct fed_kinds *kinds;
    struct fed_access *access;
    struct fed_api *api;
    struct fed_tls *tls;
    struct fed_httpd *httpd;
    struct fed_transport *own_hub; /* the controllers' way to the hub, when nobody else can lead them */
    struct fapi_leader *leader;    /* or else who leads */
    struct fapi_hub *hub_controllers;
    struct fed_satoken *tokens;
    struct fed_csrctl *requests;
    struct fapi_federation *federation;
    struct fed_timer renew, stop;
    struct fed_task fall_back;
    int exit_status;
    bool stopping, etcd_up;
};

/* --- keys --- */

static int open_pki(struct fapi_server *s, struct fed_err *err)
{
    const char **names = FED_ARENA_ARRAY(&s->arena, const char *, MAX_SANS);
    const char **ips = FED_ARENA_ARRAY(&s->arena, const char *, MAX_SANS);
    size_t n_names = 0, n_ips = 0;
    struct fed_addr probe;
    char text[48];
    names[n_names++] = "localhost";
    names[n_names++] = "apiserver." FAPI_SYSTEM_NS ".svc";
    ips[n_ips++] = "127.0.0.1";
    fed_addr_format_ip(&s->addr, text);
    ips[n_ips++] = fed_arena_dupz(&s->arena, fed_str(text));
    for (size_t i = 0; i < s->conf.sans.n && n_names < MAX_SANS - 1 && n_ips < MAX_SANS - 1; i++) {
        if (fed_addr_parse(fed_str(s->conf.sans.v[i]), 0, &probe) == 0)
            ips[n_ips++] = s->conf.sans.v[i];
        else
            names[n_names++] = s->conf.sans.v[i];
    }
    struct fed_pki_dir_conf conf = {.dir = s->conf.dir,
                                    .name = s->conf.name,
                                    .ca_dir = s->conf.pki,
                                    .ips = ips,
                                    .names = names,
                                    .server_cn = "hansa-fedapi"};
    return fed_pki_dir_open(s->env, &conf, &s->pki, err);
}

static void renew(struct fed_timer *t)
{
    struct fapi_server *s = fed_container_of(t, struct fapi_server, renew);
    struct fed_err err = {0};
    bool changed = false;
    if (fed_pki_dir_renew(s->pki, &changed, &err) != 0)
        fed_log_error("fedapi", "certificates: %s", err.text);
    else if (changed && fed_tls_reload(s->tls, &err) != 0)
        fed_log_error("fedapi", "certificates: %s", err.text);
    if (changed && fed_pki_dir_write_kubeconfig(s->pki, s->public_url, &err) != 0)
        fed_log_error("fedapi", "kubeconfig: %s", err.text);
    fed_timer_start(s->env, &s->renew, RENEW_EVERY_MS, renew);
}

static int issue(void *ud, struct fed_str cn, struct fed_str org, struct fed_buf *kubeconfig, struct fed_err *err)
{
    struct fapi_server *s = ud;
    struct fed_buf cert, key;
    struct fed_rest_conf rest = {0};
    fed_buf_init(&cert, 64 * 1024);
    fed_buf_init(&key, 64 * 1024);
    int code = fed_pki_dir_issue(s->pki, cn, org, &cert, &key, err);
    if (!code) {
        rest.server = fed_strdup(s->public_url);
        rest.ca_pem = fed_strdup_str(fed_pki_dir_ca(s->pki));
        rest.cert_pem = fed_strdup_str(fed_buf_str(&cert));
        rest.key_pem = fed_strdup_str(fed_buf_str(&key));
        fed_kubeconfig_format(s->conf.name, &rest, kubeconfig);
    }
    fed_rest_conf_release(&rest);
    fed_buf_release(&cert);
    fed_buf_release(&key);
    return code;
}

/* --- store --- */

static void etcd_state(void *ud, bool up, const char *text)
{
    struct fapi_server *s = ud;
    s->etcd_up = up;
    if (up)
        fed_log_info("fedapi", "etcd: connected to %s", text);
    else
        fed_log_error("fedapi", "etcd is away: %s", text);
}

static bool etcd_check(void *ud)
{
    return ((struct fapi_server *)ud)->etcd_up;
}

static int open_etcd(struct fapi_server *s, const char *endpoints, struct fed_err *err)
{
    struct store_etcd_conf conf = {.endpoints = endpoints,
                                   .ca_file = s->conf.etcd_ca,
                                   .cert_file = s->conf.etcd_cert,
                                   .key_file = s->conf.etcd_key,
                                   .prefix = s->conf.etcd_prefix,
                                   .on_state = etcd_state,
                                   .ud = s};
    return store_etcd_open(s->loop, &conf, &s->store, err);
}

/* A damaged store is no reason to be unreachable: an operator restores a backup through us. */
static void serve_without(struct fapi_server *s, const char *why)
{
    s->damage = fed_arena_printf(&s->arena, "%s (kubefed restore FILE); until then nothing else is served", why).p;
    fed_log_error("fedapi", "%s", s->damage);
    s->store = store_mem_new(s->env, 0);
}

static int open_store(struct fapi_server *s, struct fed_err *err)
{
    struct fed_str kind = fed_str(s->conf.store);
    if (fed_str_is(kind, "mem")) {
        s->store = store_mem_new(s->env, 0);
        return 0;
    }
    if (fed_str_starts(kind, FED_STR("etcd:")))
        return open_etcd(s, s->conf.store + 5, err);
    if (!fed_str_is(kind, "sqlite") && !fed_str_starts(kind, FED_STR("sqlite:")))
        return fed_err_set(err, FED_E_INVALID, "--store: \"%s\" is none of sqlite[:PATH], etcd:URL,… and mem",
                           s->conf.store);
    struct fed_str path = kind.n > 7 ? fed_str_from(kind, 7) : (struct fed_str){0};
    s->store_path =
        path.n ? fed_arena_dupz(&s->arena, path) : fed_arena_printf(&s->arena, "%s/store.db", s->conf.dir).p;
    struct store_sqlite_conf conf = {.path = s->store_path, .check = s->conf.store_check};
    struct fed_err why = {0};
    int code = store_sqlite_open(s->env, &conf, &s->store, &why);
    if (code == FED_E_CORRUPT) {
        serve_without(s, why.text);
        return 0;
    }
    if (code && err)
        *err = why;
    return code;
}

static void start_again(void *ud)
{
    fapi_server_stop(ud, FAPI_START_AGAIN);
}

static void open_vault(struct fapi_server *s)
{
    struct fapi_vault_conf conf = {.env = s->env,
                                   .store = s->damage ? NULL : s->store,
                                   .path = s->store_path,
                                   .keys = s->conf.encryption,
                                   .restart = start_again,
                                   .ud = s};
    s->vault = fapi_vault_new(&conf);
}

static void store_failed(void *ud, const struct fed_err *err)
{
    struct fapi_server *s = ud;
    fed_log_error("fedapi", "the store failed: %s", err->text);
    fapi_server_stop(s, 1);
}

/* --- members --- */

static bool may_write(void *ud)
{
    return fapi_leader_may(((struct fapi_server *)ud)->leader);
}

static struct fed_transport *connect_member(void *ud, const char *cluster, const struct fed_rest_conf *rest,
                                            struct fed_err *err)
{
    struct fapi_server *s = ud;
    struct fed_transport *t = NULL;
    struct fed_remote_conf conf = {.name = cluster, .user_agent = "hansa-fedapi/0.1.0"};
    fed_rest_conf_copy(&conf.rest, rest);
    if (fed_remote_new(s->loop, &conf, &t, err) != 0)
        t = NULL;
    fed_rest_conf_release(&conf.rest);
    return t && s->leader ? fed_guard_new(t, may_write, s) : t;
}

/* --- up --- */

static int listen_now(struct fapi_server *s, struct fed_err *err)
{
    struct fed_tls_conf tls = {.server = true,
                               .cert_file = fed_pki_dir_server_cert_file(s->pki),
                               .key_file = fed_pki_dir_server_key_file(s->pki),
                               .ca_file = fed_pki_dir_ca_file(s->pki),
                               .peer = FED_TLS_PEER_OPTIONAL,
                               .alpn = "h2,http/1.1"};
    int code = fed_tls_new(s->env, &tls, &s->tls, err);
    struct fed_httpd_conf conf = fed_serving_conf(s->api, s->metrics, &s->conf.serving);
    conf.listen = (struct fed_listener_conf){.addr = s->addr, .tls = s->tls};
    if (!code)
        code = fed_httpd_open(s->loop, &conf, &s->httpd, err);
    if (code)
        return code;
    if (!s->conf.public_url) {
        char text[64];
        fed_addr_format(fed_httpd_addr(s->httpd), text);
        s->public_url = fed_arena_printf(&s->arena, "https://%s", text).p;
    }
    return fed_pki_dir_write_kubeconfig(s->pki, s->public_url, err);
}

static int make_token(void *ud, const struct fed_kobj *account, struct fed_str secret, struct fed_buf *token,
                      struct fed_err *err)
{
    return fed_api_legacy_token(ud, account->ns, account->name, account->uid, secret, token, err);
}

static int sign_request(void *ud, struct fed_str csr_pem, unsigned uses, int64_t seconds, struct fed_buf *cert_pem,
                        struct fed_err *err)
{
    struct fapi_server *s = ud;
    return fed_pki_dir_sign_request(s->pki, csr_pem, uses, seconds, cert_pem, err);
}

static void controllers_started(void *ud, struct fed_transport *hub)
{
    struct fapi_server *s = ud;
    struct fapi_issuer issuer = {.issue = issue, .server = s->public_url, .ud = s};
    s->hub_controllers = fapi_hub_start(hub, s->kinds);
    s->tokens = fed_satoken_new(&(struct fed_satoken_conf){
        .transport = hub, .ca_pem = fed_pki_dir_ca(s->pki), .make = make_token, .ud = s->api});
    s->requests = fed_csrctl_new(&(struct fed_csrctl_conf){.transport = hub, .sign = sign_request, .ud = s});
    struct fapi_federation_conf conf = {
        .env = s->env,
        .hub = hub,
        .kinds = s->kinds,
        .metrics = s->metrics,
        .connector = {.connect = connect_member, .ud = s},
        .timing = {(uint32_t)s->conf.monitor_period, (uint32_t)s->conf.monitor_timeout,
                   (uint32_t)s->conf.failure_grace},
        .name = s->conf.name,
        .zone_name = s->conf.zone,
        .issuer = &issuer,
    };
    s->federation = fapi_federation_new(&conf);
    fapi_federation_start(s->federation);
}

static void controllers_stopped(void *ud)
{
    struct fapi_server *s = ud;
    fapi_federation_free(s->federation);
    fed_satoken_free(s->tokens);
    fed_csrctl_free(s->requests);
    s->tokens = NULL;
    s->requests = NULL;
    fapi_hub_free(s->hub_controllers);
    s->federation = NULL;
    s->hub_controllers = NULL;
}

static void start_controllers(struct fapi_server *s)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_identity who = {.user = FED_STR("system:federation-controllers"), .groups = &masters, .n_groups = 1};
    struct fapi_leader_conf conf = {.api = s->api,
                                    .who = who,
                                    .ns = FAPI_SYSTEM_NS,
                                    .name = LEASE_NAME,
                                    .lease_ms = (uint32_t)s->conf.leader_lease,
                                    .started = controllers_started,
                                    .stopped = controllers_stopped,
                                    .ud = s};
    if (s->store->ops->sync) { /* a store that others may write to */
        s->leader = fapi_leader_new(&conf);
        return;
    }
    s->own_hub = fed_api_local(s->api, &who);
    controllers_started(s, s->own_hub);
}

static int open_api(struct fapi_server *s, struct fed_err *err);

static void damaged_closed(void *ud)
{
    struct fapi_server *s = ud;
    struct fed_err err = {0};
    if (s->stopping)
        return;
    fapi_vault_free(s->vault);
    fed_kinds_free(s->kinds);
    fed_metrics_free(s->metrics);
    s->metrics = fed_metrics_new();
    serve_without(s, s->damage);
    open_vault(s);
    if (open_api(s, &err) != 0)
        fapi_server_stop(s, 1);
}

static void close_damaged(struct fed_task *task)
{
    struct fapi_server *s = fed_container_of(task, struct fapi_server, fall_back);
    struct store *store = s->store;
    fed_api_free(s->api);
    s->api = NULL;
    s->store = NULL;
    store->ops->close(store, damaged_closed, s);
}

static void loaded(void *ud, int code, const struct fed_err *load_err)
{
    struct fapi_server *s = ud;
    struct fed_err err = {0};
    /* The store's own words. An object that we cannot read (a key of encryption that is not there) is no damage. */
    if (code == FED_E_CORRUPT && s->store_path && !s->damage &&
        fed_str_starts(fed_str(load_err->text), FED_STR("load store "))) {
        s->damage = fed_arena_dupz(&s->arena, fed_str(load_err->text));
        fed_task_post(s->env, &s->fall_back, close_damaged);
        return;
    }
    if (code == 0)
        code = listen_now(s, &err);
    else
        err = *load_err;
    if (code) {
        fed_log_error("fedapi", "%s", err.text);
        fapi_server_stop(s, 1);
        return;
    }
    if (s->conf.controllers && !s->damage)
        start_controllers(s);
    fed_timer_start(s->env, &s->renew, RENEW_EVERY_MS, renew);
    fed_log_info("fedapi", "federation %s is served at %s", s->conf.name, s->public_url);
}

static void notice(void *ud FED_UNUSED, int code, const char *text)
{
    if (code)
        fed_log_error("fedapi", "%s", text);
    else
        fed_log_info("fedapi", "%s", text);
}

void fapi_server_reload(struct fapi_server *s)
{
    struct fed_err err = {0};
    if (s->api)
        fed_api_reload(s->api);
    fed_access_reload(s->access);
    if (s->tls && fed_tls_reload(s->tls, &err))
        fed_log_error("fedapi", "TLS: %s", err.text);
}

static int open_api(struct fapi_server *s, struct fed_err *err)
{
    s->kinds = fed_kinds_new();
    int code = fed_kinds_add_core(s->kinds, fapi_core_kinds, err);
    if (!code)
        code = fapi_kinds_add(s->kinds, err);
    struct fed_access_settings access = s->conf.access;
    access.sa_own_key_file = fed_pki_dir_sa_key_file(s->pki);
    if (!code)
        code = fed_access_open(s->loop, s->metrics, &access, &s->access, err);
    if (code)
        return code;
    fed_access_on_notice(s->access, notice, s);
    struct fed_api_conf conf = {.env = s->env,
                                .loop = s->loop,
                                .store = s->store,
                                .kinds = s->kinds,
                                .metrics = s->metrics,
                                .server_name = "hansa-fedapi",
                                .git_version = "v1.29.0+hansa.0.1.0",
                                .static_namespaces = static_namespaces,
                                .virtuals = fapi_vault_virtuals(s->vault),
                                .n_virtuals = FAPI_VAULT_RESOURCES,
                                .suspended = s->damage,
                                .fronts_clusters = true,
                                .sa_key_pem = fed_pki_dir_sa_key(s->pki),
                                .sa_issuer = "kubernetes/serviceaccount",
                                .access = fed_access_conf(s->access),
                                .authorize = fapi_authorize,
                                .admit = fapi_admit,
                                .ud = s,
                                .failed = store_failed,
                                .encryption_config = s->conf.encryption,
                                .notice = notice,
                                .max_reads = (uint32_t)s->conf.max_reads,
                                .max_writes = (uint32_t)s->conf.max_writes,
                                /* members with the process runtime publish loopback addresses */
                                .allow_loopback_endpoints = fed_addr_is_loopback(&s->addr)};
    s->api = fed_api_new(&conf);
    if (s->store->ops->sync)
        fed_api_add_check(s->api, "etcd", etcd_check, s);
    fed_api_start(s->api, loaded, s);
    return 0;
}

static int parse_listen(struct fapi_server *s, struct fed_err *err)
{
    const char *pod_ip = getenv("POD_IP");
    if (!s->conf.listen)
        s->conf.listen = fed_arena_printf(&s->arena, "%s:8443", pod_ip && pod_ip[0] ? pod_ip : "127.0.0.1").p;
    if (fed_addr_parse_hostport(fed_str(s->conf.listen), &s->addr) != 0)
        return fed_err_set(err, FED_E_INVALID, "--listen: \"%s\" is not ADDR:PORT", s->conf.listen);
    s->public_url = s->conf.public_url;
    return 0;
}

int fapi_server_start(struct fed_loop *loop, const struct fapi_conf *conf, struct fapi_server **out,
                      struct fed_err *err)
{
    struct fapi_server *s = FED_NEW(struct fapi_server);
    s->loop = loop;
    s->env = fed_loop_env(loop);
    s->conf = *conf;
    *out = s;
    int code = parse_listen(s, err);
    if (!code)
        code = fed_file_mkdirs(conf->dir, 0700, err);
    if (!code)
        code = open_store(s, err);
    if (!code)
        code = open_pki(s, err);
    s->metrics = fed_metrics_new();
    if (!code) {
        open_vault(s);
        code = open_api(s, err);
    }
    return code;
}

/* --- down --- */

static void store_closed(void *ud)
{
    struct fapi_server *s = ud;
    s->store = NULL;
    fed_loop_stop(s->loop);
}

static void httpd_closed(void *ud)
{
    struct fapi_server *s = ud;
    s->httpd = NULL;
    fapi_leader_free(s->leader);
    controllers_stopped(s);
    fed_transport_free(s->own_hub);
    s->leader = NULL;
    s->own_hub = NULL;
    if (s->store)
        s->store->ops->close(s->store, store_closed, s);
    else
        fed_loop_stop(s->loop);
}

static void stop_serving(struct fed_timer *t)
{
    struct fapi_server *s = fed_container_of(t, struct fapi_server, stop);
    if (s->api)
        fed_api_stop(s->api);
    if (s->httpd)
        fed_httpd_close(s->httpd, CLOSE_GRACE_MS, httpd_closed, s);
    else
        httpd_closed(s);
}

void fapi_server_stop(struct fapi_server *s, int exit_status)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->exit_status = exit_status;
    fed_timer_stop(s->env, &s->renew);
    bool resigns = s->leader && fapi_leader_leads(s->leader);
    if (resigns)
        fapi_leader_resign(s->leader);
    fed_timer_start(s->env, &s->stop, resigns ? RESIGN_MS : 0, stop_serving);
}

int fapi_server_exit_status(const struct fapi_server *s)
{
    return s->exit_status;
}

void fapi_server_free(struct fapi_server *s)
{
    if (!s)
        return;
    fapi_vault_free(s->vault);
    fed_api_free(s->api);
    fed_access_free(s->access);
    fed_kinds_free(s->kinds);
    fed_tls_unref(s->tls);
    fed_pki_dir_free(s->pki);
    fed_metrics_free(s->metrics);
    fed_arena_release(&s->arena);
    free(s);
}
