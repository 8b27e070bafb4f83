/* SPDX-License-Identifier: Apache-2.0 */
#include "member/member.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "control/crd.h"
#include "control/aggregate.h"
#include "control/eventttl.h"
#include "control/gc.h"
#include "control/namespace.h"
#include "control/csr.h"
#include "control/resources.h"
#include "control/satoken.h"
#include "member/agent/pod.h"
#include "member/agent/usage.h"
#include "member/controllers/controllers.h"
#include "member/network/proxy.h"
#include "member/services.h"
#include "member/streams/streams.h"
#include "member/virtuals.h"

enum { API_PORT = 6443, RENEW_MS = 12 * 3600 * 1000 };

/* --- coming up --- */

static int lock_dir(struct mbr *m, struct fed_err *err)
{
    char real[PATH_MAX], path[PATH_MAX + 16], pid[32];
    if (fed_file_mkdirs(m->conf->dir, 0700, err) < 0)
        return FED_E_IO;
    if (!realpath(m->conf->dir, real))
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", m->conf->dir, strerror(errno));
    m->dir = fed_strdup(real);
    snprintf(path, sizeof(path), "%s/lock", real);
    m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (m->lock_fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return fed_err_set(err, FED_E_BUSY, "another hansa-member runs with --dir %s", real);
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(m->lock_fd, 0) < 0 || pwrite(m->lock_fd, pid, (size_t)n, 0) != n)
        return fed_err_set(err, FED_E_IO, "%s: %s", path, strerror(errno));
    return 0;
}

static char *own_folder(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = 0;
    return fed_strdup(path);
}

static int lease_range(struct mbr *m, struct fed_err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char folder[PATH_MAX];
    bool known = (state && *state) || (home && *home);
    if (state && *state)
        snprintf(folder, sizeof(folder), "%s", state);
    else if (known)
        snprintf(folder, sizeof(folder), "%s/.local/state", home);
    return mbr_range_lease(&m->range, m->dir, known ? folder : NULL, err);
}

static const char *const base_names[] = {
    "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
    NULL};

static int open_keys(struct mbr *m, struct fed_err *err)
{
    size_t n = 0;
    char first[16];
    mbr_ip_format(mbr_part_first(m->range.x, MBR_PART_SERVICES), first);
    m->sans[n++] = fed_strdup(m->range.api_ip);
    m->sans[n++] = fed_strdup("127.0.0.1");
    for (size_t i = 0; i < m->conf->sans.n && n + 1 < FED_ARRAY_LEN(m->sans); i++)
        m->sans[n++] = fed_strdup(m->conf->sans.v[i]);
    struct fed_pki_dir_conf conf = {.dir = m->dir,
                                    .name = m->conf->name,
                                    .server_cn = "hansa-member",
                                    .ips = (const char *const *)m->sans,
                                    .names = base_names};
    return fed_pki_dir_open(m->env, &conf, &m->pki, err);
}

static int listen_api(struct mbr *m, struct fed_err *err)
{
    char *server;
    int64_t asked = m->conf->port ? m->conf->port : m->range.api_port ? m->range.api_port : API_PORT;
    struct fed_httpd_conf conf = fed_serving_conf(m->api, m->metrics, &m->conf->serving);
    conf.listen.tls = m->tls;
    if (fed_addr_parse(fed_str(m->range.api_ip), (uint16_t)asked, &conf.listen.addr) < 0)
        return FED_E_INTERNAL;
    int rc = fed_httpd_open(m->loop, &conf, &m->httpd, err);
    if (rc < 0 && !m->conf->port && !m->range.api_port) { /* 6443 is somebody's on all addresses: any other, kept */
        fed_addr_set_port(&conf.listen.addr, 0);
        rc = fed_httpd_open(m->loop, &conf, &m->httpd, err);
    }
    if (rc < 0)
        return fed_err_wrap(err, rc, "API server");
    m->range.api_port = fed_addr_port(fed_httpd_addr(m->httpd));
    if ((rc = mbr_range_save(&m->range, m->dir, err)) < 0)
        return rc;
    server = fed_asprintf("https://%s:%u", m->range.api_ip, m->range.api_port);
    rc = fed_pki_dir_write_kubeconfig(m->pki, server, err);
    fed_log_info("member", "cluster %s is served at %s, kubeconfig %s/kubeconfig", m->conf->name, server, m->dir);
    free(server);
    return rc;
}

static void renew(struct fed_timer *t)
{
    struct mbr *m = fed_container_of(t, struct mbr, renew_timer);
    struct fed_err err = {0};
    bool changed = false;
    if (fed_pki_dir_renew(m->pki, &changed, &err) < 0)
        fed_log_error("member", "renewal of certificates: %s", err.text);
    if (changed) {
        char *server = fed_asprintf("https://%s:%u", m->range.api_ip, m->range.api_port);
        fed_log_info("member", "certificates were renewed");
        if (fed_tls_reload(m->tls, &err) < 0 || fed_pki_dir_write_kubeconfig(m->pki, server, &err) < 0)
            fed_log_error("member", "%s", err.text);
        free(server);
    }
    fed_timer_start(m->env, &m->renew_timer, RENEW_MS, renew);
}

static void give_up(struct mbr *m, const struct fed_err *err)
{
    fed_log_error("member", "%s", err && err->text[0] ? err->text : "failed");
    mbr_stop(m, 1);
}

static int make_token(void *ud, const struct fed_kobj *account, struct fed_str secret, struct fed_buf *token,
                      struct fed_err *err)
{
    struct mbr *m = ud;
    return fed_api_legacy_token(m->api, account->ns, account->name, account->uid, secret, token, err);
}

static int sign_request(void *ud, struct fed_str csr_pem, unsigned uses, int64_t seconds, struct fed_buf *cert_pem,
                        struct fed_err *err)
{
    struct mbr *m = ud;
    return fed_pki_dir_sign_request(m->pki, csr_pem, uses, seconds, cert_pem, err);
}

/* All informers have the store's state: the hooks' memory is complete, controllers may begin, clients may come. */
static void open_doors(struct mbr *m)
{
    struct fed_err err = {0};
    m->running = true;
    if (listen_api(m, &err) < 0)
        return give_up(m, &err);
    m->agents = mbr_agents_new(m);
    m->usage = mbr_usage_new(m);
    m->proxy = mbr_proxy_new(m);
    m->controllers = mbr_controllers_new(m);
    mbr_agents_start(m->agents);
    m->resources = fed_resources_of(m->kinds, &m->n_resources);
    m->gc = fed_gc_new(&(struct fed_gc_conf){
        .transport = m->client, .resources = m->resources, .n_resources = m->n_resources - 1}); /* not events */
    m->nsctl = fed_nsctl_new(
        &(struct fed_nsctl_conf){.transport = m->client, .resources = m->resources, .n_resources = m->n_resources});
    m->eventttl = fed_eventttl_new(m->client, 0);
    fed_gc_start(m->gc);
    fed_nsctl_start(m->nsctl);
    m->crdctl = fed_crdctl_new(
        &(struct fed_crdctl_conf){.transport = m->client, .kinds = m->kinds, .gc = m->gc, .namespaces = m->nsctl});
    fed_crdctl_start(m->crdctl);
    m->aggregate = fed_aggregate_new(m->client);
    m->satoken = fed_satoken_new(&(struct fed_satoken_conf){
        .transport = m->client, .ca_pem = fed_pki_dir_ca(m->pki), .make = make_token, .ud = m});
    m->csrctl = fed_csrctl_new(&(struct fed_csrctl_conf){.transport = m->client, .sign = sign_request, .ud = m});
    fed_timer_start(m->env, &m->renew_timer, RENEW_MS, renew);
}

static void synced(void *ud)
{
    struct mbr *m = ud;
    for (int k = 0; k < MBR_N_KINDS; k++)
        if (!fed_informer_synced(m->informers[k]))
            return;
    if (!m->running)
        open_doors(m);
}

static void api_ready(void *ud, int code, const struct fed_err *err)
{
    struct mbr *m = ud;
    if (code < 0)
        return give_up(m, err);
    for (int k = 0; k < MBR_N_KINDS; k++)
        m->informers[k] =
            fed_informer_new(&(struct fed_informer_conf){.transport = m->client,
                                                         .resource = mbr_resource((enum mbr_kind)k),
                                                         .ns = k == MBR_LEASES ? "kube-node-lease" : NULL,
                                                         .index_label = k == MBR_SLICES ? MBR_SERVICE_NAME : NULL});
    m->pods = mbr_pods_new(m);
    mbr_services_follow(m->services);
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_add_handlers(m->informers[k], &(struct fed_informer_handlers){.synced = synced, .ud = m});
    for (int k = 0; k < MBR_N_KINDS; k++)
        fed_informer_start(m->informers[k]);
}

static void store_failed(void *ud, const struct fed_err *err)
{
    give_up(ud, err);
}

static void notice(void *ud, int code, const char *text)
{
    (void)ud;
    if (code)
        fed_log_error("member", "%s", text);
    else
        fed_log_info("member", "%s", text);
}

static int make_api(struct mbr *m, struct fed_err *err)
{
    static const char *const spaces[] = {"default", "kube-system", "kube-public", "kube-node-lease", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    const struct fed_identity self = {.user = FED_STR("system:hansa:member"), .groups = &masters, .n_groups = 1};
    m->kinds = fed_kinds_new();
    int rc = fed_kinds_add_core(m->kinds, NULL, err);
    struct fed_access_settings access = m->conf->access;
    access.sa_own_key_file = fed_pki_dir_sa_key_file(m->pki);
    if (rc == 0)
        rc = fed_access_open(m->loop, m->metrics, &access, &m->access, err);
    if (rc < 0)
        return rc;
    fed_access_on_notice(m->access, notice, m);
    m->services = mbr_services_new(m);
    mbr_virtuals_init(m);
    m->api = fed_api_new(&(struct fed_api_conf){
        .env = m->env,
        .loop = m->loop,
        .store = m->store,
        .kinds = m->kinds,
        .metrics = m->metrics,
        .server_name = "hansa-member",
        .git_version = "v1.29.0+hansa.0.1.0",
        .static_namespaces = spaces,
        .virtuals = m->virtuals,
        .n_virtuals = m->n_virtuals,
        .sa_key_pem = fed_pki_dir_sa_key(m->pki),
        .sa_issuer = "kubernetes/serviceaccount",
        .access = fed_access_conf(m->access),
        .admit = mbr_admit,
        .ud = m,
        .allow_loopback_endpoints = m->conf->runtime == MBR_RUNTIME_PROCESS || m->conf->runtime == MBR_RUNTIME_HOLLOW,
        .failed = store_failed,
        .encryption_config = m->conf->encryption,
        .notice = notice,
        .max_reads = (uint32_t)m->conf->max_reads,
        .max_writes = (uint32_t)m->conf->max_writes,
    });
    m->client = fed_api_local(m->api, &self);
    mbr_virtuals_hooks(m);
    return 0;
}

int mbr_start(struct mbr *m, const struct mbr_conf *conf, struct fed_loop *loop, struct fed_err *err)
{
    char path[PATH_MAX];
    m->conf = conf;
    m->loop = loop;
    m->env = fed_loop_env(loop);
    m->lock_fd = m->range.fd = -1;
    fed_list_init(&m->jobs);
    fed_list_init(&m->streams);
    m->bin_dir = own_folder();
    m->metrics = fed_metrics_new();
    int rc = lock_dir(m, err);
    if (rc == 0)
        rc = lease_range(m, err);
    if (rc == 0)
        rc = open_keys(m, err);
    if (rc < 0)
        return rc;
    snprintf(path, sizeof(path), "%s/store.db", m->dir);
    rc = store_sqlite_open(m->env, &(struct store_sqlite_conf){.path = path}, &m->store, err);
    if (rc == 0)
        rc = fed_tls_new(m->env,
                         &(struct fed_tls_conf){.server = true,
                                                .cert_file = fed_pki_dir_server_cert_file(m->pki),
                                                .key_file = fed_pki_dir_server_key_file(m->pki),
                                                .ca_file = fed_pki_dir_ca_file(m->pki),
                                                .peer = FED_TLS_PEER_OPTIONAL,
                                                .alpn = "h2,http/1.1"},
                         &m->tls, err);
    if (rc == 0)
        rc = make_api(m, err);
    if (rc == 0)
        fed_api_start(m->api, api_ready, m);
    return rc;
}

/* --- going down, in reverse --- */

static void store_closed(void *ud)
{
    struct mbr *m = ud;
    m->store = NULL;
    fed_loop_stop(m->loop);
}

static void httpd_closed(void *ud)
{
    struct mbr *m = ud;
    m->httpd = NULL;
    if (m->store)
        m->store->ops->close(m->store, store_closed, m);
    else
        fed_loop_stop(m->loop);
}

void mbr_stop(struct mbr *m, int exit_status)
{
    if (m->stopping)
        return;
    m->stopping = true;
    m->exit_status = exit_status;
    fed_timer_stop(m->env, &m->renew_timer);
    mbr_streams_stop(m);
    mbr_usage_free(m->usage);
    m->usage = NULL;
    mbr_agents_free(m->agents);
    mbr_proxy_free(m->proxy);
    mbr_controllers_free(m->controllers);
    fed_crdctl_free(m->crdctl); /* it tells the next two */
    if (m->gc)
        fed_gc_free(m->gc);
    if (m->nsctl)
        fed_nsctl_free(m->nsctl);
    fed_resources_free(m->resources, m->n_resources);
    fed_aggregate_free(m->aggregate);
    fed_satoken_free(m->satoken);
    fed_csrctl_free(m->csrctl);
    if (m->eventttl)
        fed_eventttl_free(m->eventttl);
    for (int k = 0; k < MBR_N_KINDS; k++)
        if (m->informers[k])
            fed_informer_free(m->informers[k]);
    fed_transport_free(m->client);
    fed_transport_free(m->binder);
    mbr_jobs_release(m);
    mbr_pods_free(m->pods);
    if (m->api)
        fed_api_stop(m->api);
    if (m->httpd)
        fed_httpd_close(m->httpd, 500, httpd_closed, m);
    else
        httpd_closed(m);
}

void mbr_release(struct mbr *m)
{
    fed_api_free(m->api);
    fed_access_free(m->access);
    mbr_services_free(m->services);
    if (m->kinds)
        fed_kinds_free(m->kinds);
    fed_tls_unref(m->tls);
    fed_pki_dir_free(m->pki);
    fed_metrics_free(m->metrics);
    mbr_range_release(&m->range);
    for (size_t i = 0; i < FED_ARRAY_LEN(m->sans); i++)
        free(m->sans[i]);
    if (m->lock_fd >= 0)
        close(m->lock_fd);
    free(m->dir);
    free(m->bin_dir);
}
