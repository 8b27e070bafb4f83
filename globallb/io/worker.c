/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/io/worker.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

#define SWEEP_MS 5000
#define DRAIN_MS 50

/* ---- accepting ---- */

static void on_accept(void *ud, struct fed_stream *s)
{
    glb_client_accept(ud, s, false);
}

static void on_accept_tls(void *ud, struct fed_stream *s)
{
    if (fed_str_is(fed_stream_alpn(s), "h2"))
        glb_h2_accept(ud, s);
    else
        glb_client_accept(ud, s, true);
}

/* The certificate is held until the next one is asked for: OpenSSL takes its own reference right after this call. */
static struct fed_tls *by_name(void *ud, const char *server_name)
{
    struct glb_worker *w = ud;
    fed_epoch_enter(w->reader);
    const struct fed_snapshot *s = fed_routing_current(&w->shared->routing);
    const struct glb_table *t = s ? s->derived : NULL;
    struct fed_tls *tls = t && t->certs ? glb_certs_find(t->certs, server_name) : NULL;
    if (tls && tls != w->sni_hold) {
        fed_tls_unref(w->sni_hold);
        w->sni_hold = fed_tls_ref(tls);
    }
    fed_epoch_leave(w->reader);
    return tls;
}

static int listen_on(struct glb_worker *w, const struct fed_addr *addrs, size_t n, struct fed_tls *tls,
                     struct fed_listener **out, struct fed_addr *bound, struct fed_err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct fed_listener_conf conf = {
            .addr = addrs[i],
            .reuseport = true,
            .backlog = 4096,
            .tls = tls,
            .accept = tls ? on_accept_tls : on_accept,
            .ud = w,
            .max_streams = w->shared->limits.max_clients,
        };
        int rc = fed_listener_open(w->loop, &conf, &out[i], err);
        if (rc)
            return rc;
        bound[i] = *fed_listener_addr(out[i]);
    }
    return 0;
}

static int make_tls(struct glb_worker *w, const struct fed_tls_conf *pair, struct fed_err *err)
{
    struct fed_tls_conf conf = *pair;
    conf.server = true;
    conf.alpn = "h2,http/1.1";
    conf.by_name = by_name;
    conf.ud = w;
    return fed_tls_new(w->env, &conf, &w->tls_conf, err);
}

/* ---- life ---- */

static void on_sweep(struct fed_timer *t)
{
    struct glb_worker *w = fed_container_of(t, struct glb_worker, sweep);
    glb_peers_sweep(w, fed_mono_ms(w->env), false);
    fed_timer_start(w->env, &w->sweep, SWEEP_MS, on_sweep);
}

static void on_drain(struct fed_timer *t)
{
    struct glb_worker *w = fed_container_of(t, struct glb_worker, drain);
    if (fed_list_empty(&w->clients) && fed_list_empty(&w->h2_clients)) {
        fed_loop_stop(w->loop);
        return;
    }
    glb_clients_drain(w, false);
    glb_h2_drain(w, false);
    fed_timer_start(w->env, &w->drain, DRAIN_MS, on_drain);
}

static void on_grace_over(struct fed_timer *t)
{
    struct glb_worker *w = fed_container_of(t, struct glb_worker, sweep);
    fed_loop_stop(w->loop);
}

static void on_wake(struct fed_wakeup *wake)
{
    struct glb_worker *w = fed_container_of(wake, struct glb_worker, wake);
    if (!atomic_load(&w->stopping) || w->draining)
        return;
    w->draining = true;
    for (size_t i = 0; i < w->n_plain; i++)
        fed_listener_close(w->plain[i]);
    for (size_t i = 0; i < w->n_tls; i++)
        fed_listener_close(w->tls[i]);
    w->n_plain = w->n_tls = 0;
    fed_timer_stop(w->env, &w->sweep);
    fed_timer_start(w->env, &w->sweep, w->shared->limits.grace_ms, on_grace_over);
    fed_timer_start(w->env, &w->drain, 0, on_drain);
}

int glb_worker_new(struct glb_shared *shared, const struct glb_worker_conf *conf, struct glb_worker **out,
                   struct fed_err *err)
{
    struct glb_worker *w = FED_NEW(struct glb_worker);
    *out = w;
    w->shared = shared;
    w->latency = conf->latency;
    w->upstream = &glb_upstream_handlers;
    w->loop = fed_loop_new();
    w->env = fed_loop_env(w->loop);
    w->count = FED_NEW(struct glb_counters);
    w->reader = fed_epochs_reader(shared->routing.epochs);
    fed_list_init(&w->clients);
    fed_list_init(&w->h2_clients);
    fed_random(w->env, &w->rng, sizeof(w->rng));
    w->rng |= 1;
    fed_buf_init(&w->out, 0);
    glb_budget_init(&w->budget, shared->limits.retry_percent, shared->limits.retry_per_second, fed_mono_ms(w->env));
    fed_wakeup_open(w->env, &w->wake, on_wake);
    int rc = listen_on(w, conf->plain, conf->n_plain, NULL, w->plain, w->plain_addr, err);
    if (!rc)
        w->n_plain = conf->n_plain;
    if (!rc && conf->n_tls)
        rc = make_tls(w, &conf->pair, err);
    if (!rc && conf->n_tls)
        rc = listen_on(w, conf->tls, conf->n_tls, w->tls_conf, w->tls, w->tls_addr, err);
    if (!rc)
        w->n_tls = conf->n_tls;
    return rc;
}

static void *run(void *ud)
{
    struct glb_worker *w = ud;
    fed_timer_start(w->env, &w->sweep, SWEEP_MS, on_sweep);
    fed_loop_run(w->loop);
    return NULL;
}

int glb_worker_start(struct glb_worker *w, struct fed_err *err)
{
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc)
        return fed_err_set(err, FED_E_INTERNAL, "thread: %s", strerror(rc));
    w->started = true;
    return 0;
}

void glb_worker_stop(struct glb_worker *w)
{
    atomic_store(&w->stopping, true);
    fed_wakeup_signal(&w->wake);
}

void glb_worker_join(struct glb_worker *w)
{
    if (w->started)
        pthread_join(w->thread, NULL);
    w->started = false;
}

void glb_worker_free(struct glb_worker *w)
{
    if (!w)
        return;
    w->draining = true;
    fed_timer_stop(w->env, &w->sweep);
    fed_timer_stop(w->env, &w->drain);
    glb_clients_drain(w, true);
    glb_h2_drain(w, true);
    glb_peers_sweep(w, 0, true);
    fed_wakeup_close(&w->wake);
    fed_loop_free(w->loop); /* streams have their last callbacks */
    w->loop = NULL;
    glb_peers_free(w);
    fed_tls_unref(w->sni_hold);
    fed_tls_unref(w->tls_conf);
    fed_buf_release(&w->out);
    free(w->spare_head);
    free(w->uses);
    for (size_t i = 0; i < FED_ARRAY_LEN(w->count->codes); i++)
        free(atomic_load(&w->count->codes[i]));
    free(w->count);
    free(w);
}

const struct fed_addr *glb_worker_addr(const struct glb_worker *w, bool tls, size_t i)
{
    return tls ? &w->tls_addr[i] : &w->plain_addr[i];
}
