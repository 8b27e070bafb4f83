/* SPDX-License-Identifier: Apache-2.0 */
/* The store's life: opened, ticking, closed. */
#include "store/etcd.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/loop.h"
#include "store/etcd_priv.h"

#define CLOSE_MS 3000u

static void tick(struct fed_timer *t)
{
    struct etcd *e = fed_container_of(t, struct etcd, tick);
    struct fed_err err = {0};
    uint64_t now = fed_mono_ms(e->env);
    fed_timer_start(e->env, t, ETCD_TICK_MS, tick);
    bool loading = e->phase == ETCD_MARK || e->phase == ETCD_PAGES || e->phase == ETCD_HISTORY;
    if (loading && now > e->load_since_ms + e->conf.load_timeout_ms) {
        int code = etcd_away(e, &err);
        etcd_load_fail(e, code, &err);
        return;
    }
    if (etcd_conn_tick(e, now))
        etcd_watch_probe(e);
    etcd_commit_tick(e, now);
    etcd_sync_tick(e, now);
    if (!e->closing && !e->failed)
        etcd_compact_tick(e, now);
}

/* --- what connection and watch tell --- */

static void on_up(struct etcd *e)
{
    etcd_load_go_on(e);
    e->check_back = e->phase == ETCD_LIVE; /* is it the etcd that we know, and no older? */
    etcd_pump_soon(e);
    etcd_sync_soon(e);
    etcd_nudge_later(e);
}

static void on_failed(struct etcd *e, const struct fed_err *err)
{
    etcd_commit_fail_all(e, FED_E_CLOSED, err);
    etcd_sync_fail_all(e, FED_E_CLOSED, err);
    if (e->phase != ETCD_LIVE && e->phase != ETCD_RELOAD && e->phase != ETCD_IDLE)
        etcd_load_fail(e, err->code, err);
    else if (e->base.handlers.on_failed)
        e->base.handlers.on_failed(e->base.handlers.ud, err);
}

/* --- the end --- */

static void etcd_free(struct etcd *e)
{
    fed_timer_stop(e->env, &e->tick);
    fed_timer_stop(e->env, &e->nudge);
    fed_timer_stop(e->env, &e->reconnect);
    fed_timer_stop(e->env, &e->close_timer);
    fed_task_cancel(&e->pump);
    fed_task_cancel(&e->sync_task);
    etcd_reload_release(e);
    etcd_index_release(e);
    fed_map_release(&e->keys);
    fed_buf_release(&e->page_key);
    fed_tls_unref(e->tls);
    for (size_t i = 0; i < e->n_endpoints; i++)
        free(e->endpoints[i].host);
    free(e->prefix);
    free(e->prefix_end);
    free(e->state_key);
    free(e->state_end);
    free(e->mark_key);
    free(e->format_key);
    free(e->compact_key);
    free(e);
}

static void close_step(struct fed_timer *t)
{
    struct etcd *e = fed_container_of(t, struct etcd, close_timer);
    struct fed_err err = {0};
    uint64_t now = fed_mono_ms(e->env);
    if (e->n_txns && e->up && e->phase == ETCD_LIVE && now < e->close_ms + CLOSE_MS) {
        fed_timer_start(e->env, t, 5, close_step);
        return;
    }
    e->closing = true;
    etcd_disconnect(e);
    int code = fed_err_set(&err, FED_E_CLOSED, "the store is closed");
    etcd_commit_fail_all(e, code, &err);
    etcd_sync_fail_all(e, code, &err);
    void (*closed)(void *) = e->closed;
    void *ud = e->closed_ud;
    etcd_free(e);
    if (closed)
        closed(ud);
}

static void etcd_close(struct store *s, void (*cb)(void *ud), void *ud)
{
    struct etcd *e = etcd_self(s);
    e->closed = cb;
    e->closed_ud = ud;
    e->close_ms = fed_mono_ms(e->env);
    fed_timer_start(e->env, &e->close_timer, 0, close_step);
}

static void etcd_backup(struct store *s FED_UNUSED, const char *path FED_UNUSED,
                        void (*cb)(void *ud, int code, const struct fed_err *err), void *ud)
{
    struct fed_err err = {0};
    int code = fed_err_set(&err, FED_E_UNSUPPORTED, "backup: the state is in etcd: use etcdctl snapshot save");
    cb(ud, code, &err);
}

/* --- the start --- */

static const struct store_ops etcd_ops = {
    .name = "etcd",
    .load = etcd_load,
    .commit = etcd_commit,
    .sync = etcd_sync,
    .compact = etcd_compact,
    .backup = etcd_backup,
    .close = etcd_close,
};

/* The first key after all that begin with z: its last byte (never 0xff here) one up. */
static char *end_of(const char *z)
{
    char *end = fed_strdup(z);
    end[strlen(end) - 1]++;
    return end;
}

static int check_prefix(const char *prefix, struct fed_err *err)
{
    size_t n = strlen(prefix);
    bool ok = n > 0 && n <= 128 && prefix[n - 1] == '/';
    for (size_t i = 0; i < n; i++)
        ok &= prefix[i] > ' ' && prefix[i] < 0x7f;
    return ok ? 0 : fed_err_set(err, FED_E_INVALID, "etcd prefix \"%s\": must be printable and end in /", prefix);
}

static void make_keys(struct etcd *e, const char *prefix)
{
    e->prefix = fed_strdup(prefix);
    e->prefix_end = end_of(prefix);
    e->state_key = fed_asprintf("%ss", prefix);
    e->state_end = end_of(e->state_key);
    e->mark_key = fed_asprintf("%si/mark", prefix);
    e->format_key = fed_asprintf("%si/format", prefix);
    e->compact_key = fed_asprintf("%si/compact", prefix);
}

static int make_tls(struct etcd *e, struct fed_err *err)
{
    bool need = false;
    for (size_t i = 0; i < e->n_endpoints; i++)
        need |= e->endpoints[i].tls;
    struct fed_tls_conf conf = {
        .cert_file = e->conf.cert_file, .key_file = e->conf.key_file, .ca_file = e->conf.ca_file, .alpn = "h2"};
    if (!need && (e->conf.cert_file || e->conf.ca_file))
        return fed_err_set(err, FED_E_INVALID, "etcd: certificates are given, but no endpoint is https://");
    return need ? fed_tls_new(e->env, &conf, &e->tls, err) : 0;
}

static void set_defaults(struct store_etcd_conf *c)
{
    c->keep_changes = c->keep_changes ? c->keep_changes : 100000;
    c->compact_every_ms = c->compact_every_ms ? c->compact_every_ms : 300000;
    c->queue_max = c->queue_max ? c->queue_max : 8192;
    c->request_timeout_ms = c->request_timeout_ms ? c->request_timeout_ms : 5000;
    c->silence_ms = c->silence_ms ? c->silence_ms : 3000;
    c->load_timeout_ms = c->load_timeout_ms ? c->load_timeout_ms : 60000;
}

int store_etcd_open(struct fed_loop *loop, const struct store_etcd_conf *conf, struct store **out, struct fed_err *err)
{
    const char *prefix = conf->prefix ? conf->prefix : "/hansa/";
    struct etcd *e = FED_NEW(struct etcd);
    struct fed_list *lists[] = {&e->requests, &e->blocked, &e->ready,      &e->sent,         &e->answered,
                                &e->refused,  &e->syncs,   &e->syncs_sent, &e->syncs_waiting};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        fed_list_init(lists[i]);
    e->base.ops = &etcd_ops;
    e->base.env = e->env = fed_loop_env(loop);
    e->loop = loop;
    e->on_up = on_up;
    e->on_cut = etcd_watch_close;
    e->on_failed = on_failed;
    e->on_overtaken = etcd_reload_start;
    e->conf = *conf;
    set_defaults(&e->conf);
    e->page_limit = 500;
    int code = check_prefix(prefix, err);
    if (!code)
        make_keys(e, prefix);
    if (!code)
        code = etcd_endpoints_parse(e, conf->endpoints, err);
    if (!code)
        code = make_tls(e, err);
    if (code) {
        etcd_free(e);
        return code;
    }
    /* Processes start at different ones, so that no endpoint has all of them. */
    e->endpoint = fed_random_below(e->env, e->n_endpoints);
    fed_timer_start(e->env, &e->tick, ETCD_TICK_MS, tick);
    *out = &e->base;
    return 0;
}
