/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/io/server.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns/io/server_priv.h"
#include "dns/zone/zone.h"

#define SECOND_MS 1000

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void *derive(void *ud, const struct fed_snapshot *snap, const struct fed_snapshot *prev)
{
    struct gdns_server *s = ud;
    struct gdns_hosts *before = prev && !s->hosts_stale ? prev->derived : NULL;
    s->hosts_stale = false;
    return gdns_hosts_new(&s->world->conf.zones, snap, before);
}

static void derive_free(void *ud, void *derived)
{
    (void)ud;
    gdns_hosts_unref(derived);
}

static struct fed_edge_conf edge_conf(struct gdns_server *s, const struct gdns_settings *set)
{
    return (struct fed_edge_conf){
        .component = GDNS_LOG,
        .user_agent = "hansa-dns",
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
        .derive = derive,
        .derive_free = derive_free,
        .ud = s,
    };
}

static void retire_world(void *w)
{
    gdns_world_free(w);
}

/* What both have in common is known to be valid; secrets and what needs a restart are carried over. */
static void swap_world(struct gdns_server *s, struct gdns_world *now)
{
    struct gdns_world *old = s->world;
    memcpy(now->conf.cookie_secret, old->conf.cookie_secret, sizeof(now->conf.cookie_secret));
    struct fed_edge_conf edge_old = edge_conf(s, &old->set), edge_now = edge_conf(s, &now->set);
    bool engine = !fed_edge_same(&edge_old, &edge_now);
    bool zones = memcmp(&now->conf.zones, &old->conf.zones, sizeof(now->conf.zones)) != 0;
    if (!same(now->set.state, old->set.state) || !same(now->set.metrics, old->set.metrics) ||
        now->set.workers != old->set.workers || now->n_listen != old->n_listen ||
        memcmp(now->listen, old->listen, sizeof(now->listen)) != 0)
        fed_log_warn(GDNS_LOG, "changed settings need a restart: listen, workers, state or metrics");
    if (engine)
        fed_edge_free(s->edge);
    s->world = now;
    atomic_store(&s->shared.world, now);
    fed_epochs_retire(s->shared.routing.epochs, old, retire_world);
    s->hosts_stale = zones;
    if (engine)
        s->edge = fed_edge_new(&edge_now);
    else if (zones)
        fed_edge_flush(s->edge);
    fed_log_set_level((enum fed_log_level)now->set.log_level);
    fed_log_info(GDNS_LOG, "settings read again zone=%s cluster=%s", now->set.zone,
                 now->set.cluster ? now->set.cluster : "");
}

static void reload(struct gdns_server *s)
{
    struct fed_err err = {0};
    struct gdns_world *now = gdns_world_load(s->argc, s->argv, &err);
    if (!now) {
        s->reload_failures++;
        fed_log_error(GDNS_LOG, "settings refused, the old ones stay error=\"%s\"", err.text);
        return;
    }
    swap_world(s, now);
}

static struct fed_file_stamp stamp_settings(const struct gdns_server *s)
{
    const struct gdns_settings *set = &s->world->set;
    const char *more[] = {set->geoip, set->networks_file};
    struct fed_file_stamp out;
    fed_settings_stamp(&gdns_settings_table, &s->world->res, set->config_dir, more, FED_ARRAY_LEN(more), &out);
    return out;
}

static void on_second(struct fed_timer *t)
{
    struct gdns_server *s = fed_container_of(t, struct gdns_server, second);
    struct fed_file_stamp now = stamp_settings(s);
    if (memcmp(&now, &s->settings_seen, sizeof(now)) != 0) {
        s->settings_seen = now;
        reload(s);
    }
    fed_edge_poll(s->edge);
    fed_timer_start(s->env, &s->second, SECOND_MS, on_second);
}

static void on_hup(void *ud, int signo)
{
    struct gdns_server *s = ud;
    (void)signo;
    reload(s);
    s->settings_seen = stamp_settings(s);
    fed_edge_poll(s->edge);
}

static void on_term(void *ud, int signo)
{
    struct gdns_server *s = ud;
    fed_log_info(GDNS_LOG, "stopping signal=%d", signo);
    fed_loop_stop(s->loop);
}

static int start_workers(struct gdns_server *s, struct fed_err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t n = s->world->set.workers ? (size_t)s->world->set.workers : cpus > 0 ? (size_t)cpus : 1;
    struct fed_addr listen[16];
    char text[64];
    memcpy(listen, s->world->listen, sizeof(listen));
    for (size_t i = 0; i < n && i < GDNS_MAX_WORKERS; i++) {
        int rc = gdns_worker_new(&s->shared, listen, s->world->n_listen, &s->workers[i], err);
        if (rc)
            return rc;
        s->n_workers++;
        /* Port 0 becomes a port at the first; the others share it. */
        for (size_t k = 0; k < s->world->n_listen; k++)
            fed_addr_set_port(&listen[k], gdns_worker_port(s->workers[i], k));
    }
    for (size_t k = 0; k < s->world->n_listen; k++) {
        fed_addr_format(&listen[k], text);
        fed_log_info(GDNS_LOG, "serving address=%s workers=%zu zone=%s", text, s->n_workers, s->world->set.zone);
    }
    for (size_t i = 0; i < s->n_workers; i++) {
        int rc = gdns_worker_start(s->workers[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

static void stop(struct gdns_server *s)
{
    fed_timer_stop(s->env, &s->second);
    for (size_t i = 0; i < s->n_workers; i++)
        gdns_worker_stop(s->workers[i]);
    for (size_t i = 0; i < s->n_workers; i++)
        gdns_worker_free(s->workers[i]);
    gdns_metrics_close(s);
    fed_edge_free(s->edge);
    fed_routing_release(&s->shared.routing);
    fed_targets_free(s->targets);
    fed_loop_free(s->loop);
    gdns_world_free(s->world);
}

int gdns_server_run(int argc, char **argv)
{
    int status = 0;
    struct fed_err err = {0};
    struct gdns_world *world = gdns_world_start(argc, argv, &status);
    if (!world)
        return status;
    struct gdns_server *s = FED_NEW(struct gdns_server);
    s->argc = argc;
    s->argv = argv;
    s->world = world;
    s->loop = fed_loop_new();
    s->env = fed_loop_env(s->loop);
    fed_log_set_level((enum fed_log_level)world->set.log_level);
    fed_random(s->env, world->conf.cookie_secret, sizeof(world->conf.cookie_secret));
    fed_routing_init(&s->shared.routing, GDNS_MAX_WORKERS * (GDNS_MAX_LISTEN + 1));
    atomic_store(&s->shared.world, world);
    s->settings_seen = stamp_settings(s);
    s->targets = fed_targets_new();
    struct fed_edge_conf conf = edge_conf(s, &world->set);
    s->edge = fed_edge_new(&conf);
    /* Who gets an answer may expect the rest to stand: signals and metrics come before the sockets. */
    fed_loop_on_signal(s->loop, SIGHUP, on_hup, s);
    fed_loop_on_signal(s->loop, SIGTERM, on_term, s);
    fed_loop_on_signal(s->loop, SIGINT, on_term, s);
    int rc = gdns_metrics_open(s, &err);
    if (!rc)
        rc = start_workers(s, &err);
    if (rc) {
        fed_log_error(GDNS_LOG, "not started error=\"%s\"", err.text);
    } else {
        fed_timer_start(s->env, &s->second, SECOND_MS, on_second);
        fed_loop_run(s->loop);
    }
    stop(s);
    free(s);
    return rc ? 1 : 0;
}
