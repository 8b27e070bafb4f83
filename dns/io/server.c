/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/io/server.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "dns/io/server_priv.h"

#define SECOND_MS 1000

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
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
    bool engine = !same(now->set.cluster, old->set.cluster);
    bool zones = memcmp(&now->conf.zones, &old->conf.zones, sizeof(now->conf.zones)) != 0;
    if (!same(now->set.state, old->set.state) || !same(now->set.metrics, old->set.metrics) ||
        now->set.workers != old->set.workers || now->n_listen != old->n_listen ||
        memcmp(now->listen, old->listen, sizeof(now->listen)) != 0)
        fed_log_warn(GDNS_LOG, "changed settings need a restart: listen, workers, state or metrics");
    if (engine)
        gdns_engine_stop(s);
    s->world = now;
    atomic_store(&s->shared.world, now);
    fed_epochs_retire(s->shared.routing.epochs, old, retire_world);
    s->hosts_stale = zones;
    if (engine)
        gdns_engine_start(s);
    else if (zones && atomic_load(&s->shared.routing.current))
        fed_builder_flush(s->builder);
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

/* The settings' sources together: any difference is a change (sums may wrap). A mounted ConfigMap swaps the link "..data". */
static struct gdns_stamp stamp_settings(const struct gdns_server *s)
{
    struct gdns_stamp sum = {0}, one;
    struct fed_arena a = {0};
    const char *dir = s->world->set.config_dir;
    const char *paths[40];
    size_t n = 0;
    paths[n++] = s->world->res.config_path;
    paths[n++] = s->world->set.geoip;
    paths[n++] = s->world->set.networks_file;
    for (size_t i = 0; dir && i < gdns_settings_table.n_rows && n < FED_ARRAY_LEN(paths); i++)
        if (gdns_settings_table.rows[i].dir_key)
            paths[n++] = fed_arena_printf(&a, "%s/%s", dir, gdns_settings_table.rows[i].dir_key).p;
    for (size_t i = 0; i < n; i++) {
        if (!paths[i] || !gdns_stamp_file(paths[i], &one))
            continue;
        sum.mtime_ns += one.mtime_ns * (i + 1);
        sum.size += one.size * (i + 1);
        sum.inode += one.inode * (i + 1);
    }
    fed_arena_release(&a);
    return sum;
}

static void on_second(struct fed_timer *t)
{
    struct gdns_server *s = fed_container_of(t, struct gdns_server, second);
    struct gdns_stamp now = stamp_settings(s);
    if (memcmp(&now, &s->settings_seen, sizeof(now)) != 0) {
        s->settings_seen = now;
        reload(s);
    }
    gdns_engine_objects(s);
    gdns_engine_connect(s);
    fed_timer_start(s->env, &s->second, SECOND_MS, on_second);
}

static void on_hup(void *ud, int signo)
{
    struct gdns_server *s = ud;
    (void)signo;
    reload(s);
    s->settings_seen = stamp_settings(s);
    gdns_engine_objects(s);
    gdns_engine_connect(s);
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
    if (s->builder)
        gdns_engine_stop(s);
    fed_routing_release(&s->shared.routing);
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
    gdns_engine_start(s);
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
