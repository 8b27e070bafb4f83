/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/proxy/tries.h"

#include "base/def.h"

static int status_of(enum glb_loss why)
{
    switch (why) {
    case GLB_LOST_CONNECT_TIMEOUT:
        return 504;
    case GLB_LOST_UNPROCESSED:
        return 503;
    default:
        return 502;
    }
}

void glb_tries_init(struct glb_tries *m, const struct glb_tries_conf *conf, uint64_t now, bool idempotent)
{
    /* t[] is filled by begin: only what is counted in n is ever read. */
    m->conf = conf;
    m->began = now;
    m->idempotent = idempotent;
    m->replay = true;
    m->heard = false;
    m->n = m->live = 0;
    m->status = 503;
}

int glb_tries_begin(struct glb_tries *m, uint64_t now, uint32_t hedge_ms)
{
    FED_REQUIRE(m->n < GLB_MAX_TRIES);
    m->t[m->n] = (struct glb_try){.began = now, .hedge_ms = hedge_ms, .live = true};
    m->live++;
    return m->n++;
}

void glb_tries_wrote(struct glb_tries *m, int i)
{
    m->t[i].wrote = true;
}

void glb_tries_forget(struct glb_tries *m)
{
    m->replay = false;
}

void glb_tries_fed(struct glb_tries *m, uint64_t now)
{
    m->began = now;
    if (m->n > 0)
        m->t[m->n - 1].began = now;
}

void glb_tries_heard(struct glb_tries *m, int i)
{
    (void)i;
    m->heard = true;
}

static bool room_for_more(const struct glb_tries *m)
{
    return !m->heard && m->replay && m->n < m->conf->max_tries && m->n < GLB_MAX_TRIES;
}

bool glb_tries_may_again(const struct glb_tries *m, enum glb_loss why)
{
    bool nothing_done = why == GLB_LOST_CONNECT || why == GLB_LOST_CONNECT_TIMEOUT || why == GLB_LOST_UNPROCESSED;
    return room_for_more(m) && (nothing_done || m->idempotent);
}

static bool may_hedge(const struct glb_tries *m)
{
    return m->idempotent && m->n > 0 && room_for_more(m);
}

static struct glb_step wait_on(const struct glb_tries *m)
{
    struct glb_step step = {.what = GLB_WAIT, .wake_ms = m->began + m->conf->response_ms};
    if (m->heard)
        step.wake_ms = UINT64_MAX;
    else if (may_hedge(m))
        step.wake_ms = FED_MIN(step.wake_ms, m->t[m->n - 1].began + m->t[m->n - 1].hedge_ms);
    return step;
}

struct glb_step glb_tries_lost(struct glb_tries *m, int i, enum glb_loss why, uint64_t now)
{
    if (m->t[i].live) {
        m->t[i].live = false;
        m->live--;
    }
    m->status = status_of(why);
    if (m->heard)
        return wait_on(m);
    if (now >= m->began + m->conf->response_ms)
        return (struct glb_step){.what = GLB_GIVE_UP, .status = 504};
    if (m->live > 0) {
        /* Another one is under way: if that is silent too, its own delay will tell. */
        m->t[m->n - 1].hedge_ms =
            FED_MIN(m->t[m->n - 1].hedge_ms, (uint32_t)(now - m->t[m->n - 1].began) + m->conf->recheck_ms);
        return wait_on(m);
    }
    if (glb_tries_may_again(m, why))
        return (struct glb_step){.what = GLB_AGAIN};
    return (struct glb_step){.what = GLB_GIVE_UP, .status = m->status};
}

struct glb_step glb_tries_timer(struct glb_tries *m, uint64_t now)
{
    if (!m->heard && now >= m->began + m->conf->response_ms)
        return (struct glb_step){.what = GLB_GIVE_UP, .status = 504};
    if (may_hedge(m) && now >= m->t[m->n - 1].began + m->t[m->n - 1].hedge_ms)
        return (struct glb_step){.what = GLB_AGAIN, .hedge = true};
    return wait_on(m);
}

struct glb_step glb_tries_denied(struct glb_tries *m, uint64_t now)
{
    if (m->live == 0)
        return (struct glb_step){.what = GLB_GIVE_UP, .status = m->status};
    struct glb_try *last = &m->t[m->n - 1];
    last->hedge_ms = (uint32_t)(now - last->began) + m->conf->recheck_ms;
    return wait_on(m);
}

void glb_tries_suspect(struct glb_tries *m, int i, uint64_t now)
{
    /* Only the newest try's delay counts; an older silent one already has one beside it. */
    if (i == m->n - 1 && m->t[i].live)
        m->t[i].hedge_ms = FED_MIN(m->t[i].hedge_ms, (uint32_t)(now - m->t[i].began));
}
