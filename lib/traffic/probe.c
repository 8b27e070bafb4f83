/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c: asks and listens; what follows from it is decided in probe_rule.c. */
#include "traffic/probe.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "traffic/probe_rule.h"
#include "traffic/target_priv.h"

#define TICK_MS          25
#define STALL_MS         100 /* a tick later than this: our own thread stood still */
#define REFUSED_AGAIN_MS 50
#define MAX_PER_SECOND   8000
#define PASSIVE_ONLY_MS  5000 /* an unprobed target that workers found down is tried again after so long */

struct probed { /* one target */
    struct fed_target_entry *e;
    struct fed_prober *p;
    struct fed_list link;
    struct fed_list questions;
    struct fed_probe_seen seen;
    uint64_t next_ms;
    enum fed_health was; /* the word as we left it: differs when a worker set it */
};
struct question { /* one socket */
    struct fed_list link;
    struct probed *of;
    struct fed_poll *poll;
    int fd;
    uint64_t sent_ms;
    bool connecting;
    uint16_t id;
};
struct fed_prober {
    struct fed_prober_conf conf;
    struct fed_env *env;
    struct fed_list all;
    size_t n;
    uint16_t own;
    struct fed_timer tick;
    uint64_t last_tick_ms;
    struct fed_probe_place places[FED_MAX_CLUSTERS];
    bool suspects_self;
    uint16_t next_id;
    struct fed_prober_stats stats;
};

static void question_free(struct question *q)
{
    fed_list_remove(&q->link);
    if (q->poll)
        fed_poll_free(q->poll);
    if (q->fd >= 0)
        close(q->fd);
    free(q);
}

static void set_word(struct probed *t, enum fed_health now)
{
    struct fed_prober *p = t->p;
    enum fed_health was = fed_target_health(&t->e->t);
    atomic_store_explicit(&t->e->t.word, now, memory_order_relaxed);
    if (now == FED_HEALTH_UP)
        atomic_store_explicit(&t->e->t.passive_fails, 0, memory_order_relaxed);
    t->was = now;
    if (was != now && p->conf.changed)
        p->conf.changed(p->conf.ud, &t->e->t, was);
}

/* --- one question --- */

static void heard_from(struct question *q, bool refused)
{
    struct probed *t = q->of;
    struct fed_prober *p = t->p;
    uint64_t now = fed_mono_ms(p->env);
    uint16_t cluster = t->e->t.cluster;
    if (cluster < FED_MAX_CLUSTERS)
        p->places[cluster].heard_at = now;
    if (refused) {
        p->stats.refused++;
        fed_probe_refused(&t->seen, now);
        if (t->seen.refused_run < 2 && t->next_ms > now + REFUSED_AGAIN_MS)
            t->next_ms = now + REFUSED_AGAIN_MS;
    } else {
        p->stats.answered++;
        fed_probe_answered(&t->seen, now);
    }
    question_free(q);
}

static void failed(struct question *q, int err)
{
    /* Unreachable, timed out: as silent as no answer. A refusal comes from a living host. */
    if (err == ECONNREFUSED || err == ECONNRESET || err == EPIPE) {
        heard_from(q, true);
        return;
    }
    question_free(q);
}

static void connected(struct question *q)
{
    static const char get_root[] = "GET / HTTP/1.1\r\nHost: probe.hansa.invalid\r\nUser-Agent: hansa-probe\r\n"
                                   "Connection: close\r\n\r\n";
    static const char get_health[] = "GET /hansa/healthz HTTP/1.1\r\nHost: probe.hansa.invalid\r\n"
                                     "User-Agent: hansa-probe\r\nConnection: close\r\n\r\n";
    int err = 0;
    socklen_t len = sizeof(err);
    q->connecting = false;
    if (getsockopt(q->fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
        failed(q, err ? err : EIO);
        return;
    }
    enum fed_probe_kind kind = q->of->e->t.kind;
    if (kind == FED_PROBE_TCP) {
        heard_from(q, false);
        return;
    }
    const char *text = kind == FED_PROBE_EDGE ? get_health : get_root;
    size_t n = kind == FED_PROBE_EDGE ? sizeof(get_health) - 1 : sizeof(get_root) - 1;
    if (send(q->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n) {
        failed(q, errno);
        return;
    }
    fed_poll_set(q->poll, FED_POLL_IN);
}

static void on_event(void *ud, int events)
{
    struct question *q = ud;
    (void)events;
    if (q->connecting) {
        connected(q);
        return;
    }
    char room[512];
    ssize_t n = recv(q->fd, room, sizeof(room), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        failed(q, errno);
        return;
    }
    bool dns = q->of->e->t.kind == FED_PROBE_DNS;
    if (dns && (n < 12 || (uint8_t)room[0] != q->id >> 8 || (uint8_t)room[1] != (q->id & 0xff)))
        return; /* not the answer to this question */
    /* An HTTP server that closes without a byte lives but does not serve. */
    heard_from(q, n == 0);
}

static int send_dns(struct question *q)
{
    /* ". NS IN": whoever serves no root answers REFUSED, which is an answer. */
    uint8_t msg[17] = {(uint8_t)(q->id >> 8), (uint8_t)q->id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};
    return send(q->fd, msg, sizeof(msg), MSG_NOSIGNAL) == (ssize_t)sizeof(msg) ? 0 : -1;
}

/* Reset instead of close: probes must not leave thousands of sockets in TIME_WAIT. */
static void no_linger(int fd)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void ask(struct probed *t, uint64_t now)
{
    struct fed_prober *p = t->p;
    const struct fed_target *target = &t->e->t;
    bool dns = target->kind == FED_PROBE_DNS;
    struct question *q = FED_NEW(struct question);
    q->of = t;
    q->sent_ms = now;
    q->id = ++p->next_id;
    fed_list_push_back(&t->questions, &q->link);
    p->stats.sent++;
    fed_probe_sent(&t->seen, now);
    q->fd = socket(target->addr.sa.sa_family, (dns ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (q->fd < 0) {
        question_free(q); /* our own want of descriptors looks like silence; witnesses will be silent too */
        return;
    }
    if (!dns)
        no_linger(q->fd);
    if (connect(q->fd, &target->addr.sa, fed_addr_len(&target->addr)) && errno != EINPROGRESS) {
        failed(q, errno);
        return;
    }
    q->connecting = !dns;
    if (dns && send_dns(q)) {
        failed(q, errno);
        return;
    }
    q->poll = fed_poll_new(p->conf.loop, q->fd, on_event, q);
    fed_poll_set(q->poll, dns ? FED_POLL_IN : FED_POLL_OUT);
}

/* --- the tick --- */

static void drop_old_questions(struct probed *t, uint64_t now)
{
    FED_LIST_EACH_SAFE(it, &t->questions) {
        struct question *q = FED_LIST_ENTRY(it, struct question, link);
        if (now - q->sent_ms < t->p->conf.timeout_ms)
            break; /* oldest first */
        t->p->stats.silent++;
        t->seen.answers_run = 0;
        question_free(q);
    }
}

static void judge(struct probed *t, uint64_t now)
{
    struct fed_prober *p = t->p;
    uint16_t cluster = t->e->t.cluster;
    switch (fed_probe_judge(&t->seen, t->was, now, p->conf.timeout_ms)) {
    case FED_PROBE_UP:
        set_word(t, FED_HEALTH_UP);
        break;
    case FED_PROBE_DOWN:
        set_word(t, FED_HEALTH_DOWN);
        break;
    case FED_PROBE_SILENT:
        if (cluster >= FED_MAX_CLUSTERS ||
            fed_probe_witness(p->places, fed_targets_slots(p->conf.targets), p->own, cluster, t->seen.silent_since)) {
            set_word(t, FED_HEALTH_DOWN);
        } else {
            p->stats.suspicions += !p->suspects_self;
            p->suspects_self = true;
        }
        break;
    case FED_PROBE_KEEP:
        break;
    }
}

/* What a worker reported since the last tick. */
static void notice_passive(struct probed *t, uint64_t now)
{
    if (t->was == FED_HEALTH_DOWN || fed_target_health(&t->e->t) != FED_HEALTH_DOWN)
        return;
    enum fed_health was = t->was;
    fed_probe_passive_down(&t->seen, now);
    t->was = FED_HEALTH_DOWN;
    t->next_ms = now;
    if (t->p->conf.changed)
        t->p->conf.changed(t->p->conf.ud, &t->e->t, was);
}

static void tick_target(struct probed *t, uint64_t now, uint32_t interval, uint64_t stalled)
{
    notice_passive(t, now);
    if (t->e->t.kind == FED_PROBE_NONE) {
        if (t->was == FED_HEALTH_DOWN && now >= t->seen.hold_until + PASSIVE_ONLY_MS) {
            atomic_store_explicit(&t->e->t.passive_fails, 0, memory_order_relaxed);
            set_word(t, FED_HEALTH_UNKNOWN);
        }
        return;
    }
    if (stalled) {
        fed_probe_forgive(&t->seen, stalled);
        FED_LIST_EACH(it, &t->questions)
            FED_LIST_ENTRY(it, struct question, link)->sent_ms += stalled;
    }
    drop_old_questions(t, now);
    if (now >= t->next_ms) {
        t->next_ms = FED_MAX(t->next_ms + interval, now + interval / 2);
        ask(t, now);
    }
    judge(t, now);
}

/* A cluster is lost when all its edge targets are down; it is up when any is up. */
static void judge_clusters(struct fed_prober *p)
{
    size_t n = fed_targets_slots(p->conf.targets);
    unsigned edges[FED_MAX_CLUSTERS] = {0}, down[FED_MAX_CLUSTERS] = {0}, up[FED_MAX_CLUSTERS] = {0};
    p->stats.targets = p->stats.targets_down = p->stats.clusters_down = 0;
    for (size_t i = 0; i < n; i++)
        p->places[i].up = false;
    FED_LIST_EACH(it, &p->all) {
        const struct probed *t = FED_LIST_ENTRY(it, struct probed, link);
        uint16_t c = t->e->t.cluster;
        p->stats.targets++;
        p->stats.targets_down += t->was == FED_HEALTH_DOWN;
        if (c >= n || t->e->t.kind == FED_PROBE_NONE)
            continue;
        p->places[c].up |= t->was == FED_HEALTH_UP;
        if (t->e->t.kind != FED_PROBE_EDGE && t->e->t.kind != FED_PROBE_DNS)
            continue;
        edges[c]++;
        down[c] += t->was == FED_HEALTH_DOWN;
        up[c] += t->was == FED_HEALTH_UP;
    }
    for (size_t i = 0; i < n; i++) {
        atomic_uint *word = fed_targets_cluster_word(p->conf.targets, (uint16_t)i);
        enum fed_health was = (enum fed_health)atomic_load(word), now = FED_HEALTH_UNKNOWN;
        if (edges[i] && down[i] == edges[i])
            now = FED_HEALTH_DOWN;
        else if (up[i])
            now = FED_HEALTH_UP;
        p->stats.clusters_down += now == FED_HEALTH_DOWN;
        if (was == now)
            continue;
        atomic_store(word, now);
        if (p->conf.cluster_changed)
            p->conf.cluster_changed(p->conf.ud, (uint16_t)i, was, now);
    }
}

static void on_tick(struct fed_timer *timer)
{
    struct fed_prober *p = fed_container_of(timer, struct fed_prober, tick);
    uint64_t now = fed_mono_ms(p->env), late = now - p->last_tick_ms;
    uint64_t stalled = p->last_tick_ms && late > TICK_MS + STALL_MS ? late - TICK_MS : 0;
    uint32_t fair = (uint32_t)(p->n * 1000 / MAX_PER_SECOND);
    p->last_tick_ms = now;
    p->suspects_self = false;
    FED_LIST_EACH_SAFE(it, &p->all)
        tick_target(FED_LIST_ENTRY(it, struct probed, link), now, FED_MAX(p->conf.interval_ms, fair), stalled);
    judge_clusters(p);
    fed_timer_start(p->env, &p->tick, TICK_MS, on_tick);
}

/* --- life --- */

static void on_added(void *ud, struct fed_target_entry *e)
{
    struct fed_prober *p = ud;
    struct probed *t = FED_NEW(struct probed);
    t->e = e;
    t->p = p;
    fed_list_init(&t->questions);
    /* Spread over the interval, so that a thousand targets are not asked in one burst. */
    t->next_ms = fed_mono_ms(p->env) + fed_random_below(p->env, FED_MIN(p->conf.interval_ms, (uint32_t)p->n + 1));
    fed_list_push_back(&p->all, &t->link);
    p->n++;
    e->probe = t;
}

static void on_removed(void *ud, struct fed_target_entry *e)
{
    struct fed_prober *p = ud;
    struct probed *t = e->probe;
    if (!t)
        return;
    FED_LIST_EACH_SAFE(it, &t->questions)
        question_free(FED_LIST_ENTRY(it, struct question, link));
    fed_list_remove(&t->link);
    p->n--;
    e->probe = NULL;
    free(t);
}

static void add_present(void *ud, struct fed_target *target)
{
    on_added(ud, fed_container_of(target, struct fed_target_entry, t));
}

struct fed_prober *fed_prober_new(const struct fed_prober_conf *conf)
{
    struct fed_prober *p = FED_NEW(struct fed_prober);
    p->conf = *conf;
    p->conf.interval_ms = conf->interval_ms ? conf->interval_ms : 250;
    p->conf.timeout_ms = conf->timeout_ms ? conf->timeout_ms : 400;
    p->env = fed_loop_env(conf->loop);
    p->own = conf->own_cluster && *conf->own_cluster ? fed_targets_slot(conf->targets, fed_str(conf->own_cluster))
                                                     : FED_NO_CLUSTER;
    fed_list_init(&p->all);
    conf->targets->added = on_added;
    conf->targets->removed = on_removed;
    conf->targets->ud = p;
    fed_targets_each(conf->targets, add_present, p);
    fed_timer_start(p->env, &p->tick, 0, on_tick);
    return p;
}

void fed_prober_free(struct fed_prober *p)
{
    if (!p)
        return;
    fed_timer_stop(p->env, &p->tick);
    p->conf.targets->added = p->conf.targets->removed = NULL;
    FED_LIST_EACH_SAFE(it, &p->all)
        on_removed(p, FED_LIST_ENTRY(it, struct probed, link)->e);
    free(p);
}

bool fed_prober_suspects_self(const struct fed_prober *p)
{
    return p->suspects_self;
}

void fed_prober_stats(const struct fed_prober *p, struct fed_prober_stats *out)
{
    *out = p->stats;
}
