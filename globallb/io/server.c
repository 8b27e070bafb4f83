/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/io/server.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypto/pki.h"
#include "globallb/io/server_priv.h"

#define SECOND_MS   1000
#define YEARS_10_MS (3650ll * 86400 * 1000)

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct fed_strings *a, const struct fed_strings *b)
{
    bool eq = a->n == b->n;
    for (size_t i = 0; eq && i < a->n; i++)
        eq = same(a->v[i], b->v[i]);
    return eq;
}

/* ---- snapshots ---- */

static void *derive(void *ud, const struct fed_snapshot *snap, const struct fed_snapshot *prev)
{
    struct glb_server *s = ud;
    struct glb_table *t = glb_table_new(&s->table, snap, prev);
    size_t failed = t->certs ? glb_certs_failed(t->certs) : 0;
    if (failed > s->certs_failed)
        fed_log_warn(GLB_LOG, "TLS secrets without a usable pair count=%zu", failed);
    s->certs_failed = failed;
    return t;
}

static void derive_free(void *ud, void *derived)
{
    (void)ud;
    glb_table_free(derived);
}

static struct fed_edge_conf edge_conf(struct glb_server *s, const struct glb_settings *set)
{
    return (struct fed_edge_conf){
        .component = GLB_LOG,
        .user_agent = "hansa-globallb",
        .loop = s->loop,
        .routing = &s->shared.routing,
        .targets = s->targets,
        .own_cluster = set->cluster,
        .state_dir = set->state,
        .kubeconfig = set->kubeconfig,
        .objects = set->objects,
        .probes = set->probes,
        .probe_interval_ms = (uint32_t)set->probe_interval_ms,
        .probe_timeout_ms = (uint32_t)set->probe_timeout_ms,
        .local_endpoints = true,
        .secrets = true,
        .derive = derive,
        .derive_free = derive_free,
        .ud = s,
    };
}

/* The table's settings live in the setup: a new setup is told even when nothing of it changed. */
static void set_table(struct glb_server *s)
{
    const struct glb_settings *set = &s->setup->set;
    s->table = (struct glb_table_conf){set->classes.v, set->classes.n, s->env};
}

static void start_edge(struct glb_server *s)
{
    const struct glb_settings *set = &s->setup->set;
    struct fed_edge_conf conf = edge_conf(s, set);
    s->edge = fed_edge_new(&conf);
}

/* ---- settings that change ---- */

static void swap_setup(struct glb_server *s, struct glb_setup *now)
{
    struct glb_setup *old = s->setup;
    const struct glb_settings *a = &old->set, *b = &now->set;
    struct fed_edge_conf edge_old = edge_conf(s, a), edge_now = edge_conf(s, b);
    bool engine = !fed_edge_same(&edge_old, &edge_now) || !same_list(&a->classes, &b->classes);
    if (memcmp(&old->limits, &now->limits, sizeof(now->limits)) != 0 || a->workers != b->workers ||
        !same(a->metrics, b->metrics) || !same(a->state, b->state) || !same_list(&a->listen, &b->listen) ||
        !same_list(&a->listen_tls, &b->listen_tls))
        fed_log_warn(GLB_LOG, "changed settings need a restart: limits, timeouts, listen, workers, state or metrics");
    if (engine)
        fed_edge_free(s->edge);
    s->setup = now;
    set_table(s);
    if (engine)
        start_edge(s);
    glb_setup_free(old);
    fed_log_set_level((enum fed_log_level)now->set.log_level);
    fed_log_info(GLB_LOG, "settings read again cluster=%s region=%s", now->set.cluster ? now->set.cluster : "",
                 now->set.region ? now->set.region : "");
}

static void reload(struct glb_server *s)
{
    struct fed_err err = {0};
    struct glb_setup *now = glb_setup_load(s->argc, s->argv, &err);
    if (!now) {
        s->reload_failures++;
        fed_log_error(GLB_LOG, "settings refused, the old ones stay error=\"%s\"", err.text);
        return;
    }
    swap_setup(s, now);
}

static struct fed_file_stamp stamp_settings(const struct glb_server *s)
{
    struct fed_file_stamp out;
    fed_settings_stamp(&glb_settings_table, &s->setup->res, s->setup->set.config_dir, NULL, 0, &out);
    return out;
}

static void on_second(struct fed_timer *t)
{
    struct glb_server *s = fed_container_of(t, struct glb_server, second);
    struct fed_file_stamp now = stamp_settings(s);
    if (memcmp(&now, &s->settings_seen, sizeof(now)) != 0) {
        s->settings_seen = now;
        reload(s);
    }
    fed_edge_poll(s->edge);
    fed_epochs_poll(s->shared.routing.epochs);
    fed_timer_start(s->env, &s->second, SECOND_MS, on_second);
}

static void on_hup(void *ud, int signo)
{
    struct glb_server *s = ud;
    (void)signo;
    reload(s);
    s->settings_seen = stamp_settings(s);
    fed_edge_poll(s->edge);
}

static void on_term(void *ud, int signo)
{
    struct glb_server *s = ud;
    fed_log_info(GLB_LOG, "stopping signal=%d", signo);
    fed_loop_stop(s->loop);
}

/* ---- workers ---- */

/* A certificate so that a handshake for an unknown name ends in a clear complaint of the client, not in a broken one. */
static int make_pair(struct glb_server *s, struct fed_tls_conf *pair, struct fed_err *err)
{
    const struct glb_settings *set = &s->setup->set;
    if (set->tls_cert) {
        pair->cert_file = set->tls_cert;
        pair->key_file = set->tls_key;
        return 0;
    }
    int64_t now = fed_wall_ms(s->env);
    int rc = fed_pki_new_key(&s->key, err);
    if (!rc)
        rc = fed_pki_new_ca(fed_buf_str(&s->key), FED_STR("hansa-globallb default certificate"), now - 86400000,
                            now + YEARS_10_MS, &s->cert, err);
    pair->cert_pem = fed_buf_str(&s->cert);
    pair->key_pem = fed_buf_str(&s->key);
    return rc;
}

static void say_addresses(const struct glb_server *s)
{
    char text[64];
    for (int tls = 0; tls < 2; tls++) {
        for (size_t i = 0; i < (tls ? s->setup->n_tls : s->setup->n_plain); i++) {
            fed_addr_format(glb_worker_addr(s->shared.workers[0], tls, i), text);
            fed_log_info(GLB_LOG, "serving address=%s tls=%d workers=%zu cluster=%s", text, tls, s->shared.n_workers,
                         s->setup->set.cluster ? s->setup->set.cluster : "");
        }
    }
}

static int start_workers(struct glb_server *s, struct fed_err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const struct glb_setup *u = s->setup;
    size_t n = u->set.workers ? (size_t)u->set.workers : cpus > 0 ? FED_MIN((size_t)cpus, (size_t)GLB_MAX_WORKERS) : 1;
    struct fed_addr plain[GLB_MAX_LISTEN], tls[GLB_MAX_LISTEN];
    struct glb_worker_conf conf = {.plain = plain, .tls = tls, .n_plain = u->n_plain, .n_tls = u->n_tls};
    memcpy(plain, u->plain, sizeof(plain));
    memcpy(tls, u->tls, sizeof(tls));
    int rc = make_pair(s, &conf.pair, err);
    for (size_t i = 0; !rc && i < n; i++) {
        conf.latency = glb_metrics_latency(s, i);
        rc = glb_worker_new(&s->shared, &conf, &s->shared.workers[i], err);
        s->shared.n_workers++;
        /* Port 0 becomes a port at the first; the others share it. */
        for (size_t k = 0; !rc && k < u->n_plain; k++)
            plain[k] = *glb_worker_addr(s->shared.workers[i], false, k);
        for (size_t k = 0; !rc && k < u->n_tls; k++)
            tls[k] = *glb_worker_addr(s->shared.workers[i], true, k);
    }
    if (rc)
        return rc;
    say_addresses(s);
    for (size_t i = 0; !rc && i < n; i++)
        rc = glb_worker_start(s->shared.workers[i], err);
    return rc;
}

static void set_source(struct glb_server *s)
{
    if (s->setup->n_plain == 0 || fed_addr_is_any(&s->setup->plain[0]))
        return; /* the kernel's choice is as good */
    s->shared.source = s->setup->plain[0];
    fed_addr_set_port(&s->shared.source, 0);
}

static void stop(struct glb_server *s)
{
    fed_timer_stop(s->env, &s->second);
    for (size_t i = 0; i < s->shared.n_workers; i++)
        glb_worker_stop(s->shared.workers[i]);
    for (size_t i = 0; i < s->shared.n_workers; i++)
        glb_worker_join(s->shared.workers[i]);
    for (size_t i = 0; i < s->shared.n_workers; i++)
        glb_worker_free(s->shared.workers[i]);
    s->shared.n_workers = 0;
    glb_metrics_close(s);
    fed_edge_free(s->edge);
    fed_routing_release(&s->shared.routing);
    fed_targets_free(s->targets);
    fed_loop_free(s->loop);
    fed_buf_release(&s->cert);
    fed_buf_release(&s->key);
    glb_setup_free(s->setup);
}

int glb_server_run(int argc, char **argv)
{
    int status = 0;
    struct fed_err err = {0};
    struct glb_setup *setup = glb_setup_start(argc, argv, &status);
    if (!setup)
        return status;
    struct glb_server *s = FED_NEW(struct glb_server);
    s->argc = argc;
    s->argv = argv;
    s->setup = setup;
    s->loop = fed_loop_new();
    s->env = fed_loop_env(s->loop);
    fed_log_set_level((enum fed_log_level)setup->set.log_level);
    s->shared.limits = setup->limits;
    set_source(s);
    fed_routing_init(&s->shared.routing, GLB_MAX_WORKERS);
    s->settings_seen = stamp_settings(s);
    glb_metrics_init(s);
    s->targets = fed_targets_new(); /* workers may hold on to targets: the table lives as long as they */
    set_table(s);
    start_edge(s);
    /* Who gets an answer may expect the rest to stand: signals and metrics come before the sockets. */
    fed_loop_on_signal(s->loop, SIGHUP, on_hup, s);
    fed_loop_on_signal(s->loop, SIGTERM, on_term, s);
    fed_loop_on_signal(s->loop, SIGINT, on_term, s);
    int rc = glb_metrics_open(s, &err);
    if (!rc)
        rc = start_workers(s, &err);
    if (rc) {
        fed_log_error(GLB_LOG, "not started error=\"%s\"", err.text);
    } else {
        fed_timer_start(s->env, &s->second, SECOND_MS, on_second);
        fed_loop_run(s->loop);
    }
    stop(s);
    free(s);
    return rc ? 1 : 0;
}
