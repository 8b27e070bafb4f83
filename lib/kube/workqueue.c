/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/workqueue.h"

#include "base/map.h"
#include "base/mem.h"
#include "kube/workqueue_metrics.h"

struct item {
    struct fed_list ready;  /* in the queue's list while it waits for a turn */
    struct fed_timer after; /* asked for by fed_workqueue_add_after */
    struct fed_timer retry; /* back-off after a failure */
    struct fed_workqueue *queue;
    struct fed_workqueue_turn turn;
    char *key;
    uint32_t failures;
    bool running, again; /* again: added while running */
};
struct fed_workqueue {
    struct fed_workqueue_conf conf;
    struct fed_map items;
    struct fed_list ready;
    struct fed_task pump;
    size_t n_ready, n_running;
    struct fed_workqueue_metrics metrics;
};

static void pump(struct fed_task *task);

static void item_free(struct item *it)
{
    fed_timer_stop(it->queue->conf.env, &it->after);
    fed_timer_stop(it->queue->conf.env, &it->retry);
    fed_list_remove(&it->ready);
    fed_list_remove(&it->turn.link);
    free(it->key);
    free(it);
}

struct fed_workqueue *fed_workqueue_new(const struct fed_workqueue_conf *conf)
{
    struct fed_workqueue *q = FED_NEW(struct fed_workqueue);
    q->conf = *conf;
    if (!q->conf.concurrency)
        q->conf.concurrency = 8;
    if (!q->conf.base_ms)
        q->conf.base_ms = 5;
    if (!q->conf.max_ms)
        q->conf.max_ms = 30000;
    fed_list_init(&q->ready);
    fed_workqueue_metrics_init(&q->metrics, conf);
    return q;
}

void fed_workqueue_free(struct fed_workqueue *q)
{
    if (!q)
        return;
    fed_task_cancel(&q->pump);
    FED_MAP_EACH(e, &q->items)
        item_free(e->value);
    fed_map_release(&q->items);
    fed_workqueue_metrics_release(&q->metrics);
    free(q);
}

static struct item *item_get(struct fed_workqueue *q, struct fed_str key)
{
    struct item *it = fed_map_find(&q->items, key);
    if (it)
        return it;
    it = FED_NEW(struct item);
    it->queue = q;
    it->key = fed_strdup_str(key);
    fed_map_set(&q->items, key, it);
    return it;
}

/* An item with nothing before it is forgotten. */
static void item_settle(struct item *it)
{
    if (it->running || fed_list_linked(&it->ready) || fed_timer_active(&it->after) || fed_timer_active(&it->retry))
        return;
    fed_map_remove(&it->queue->items, fed_str(it->key));
    item_free(it);
}

static void push_ready(struct item *it)
{
    struct fed_workqueue *q = it->queue;
    fed_list_push_back(&q->ready, &it->ready);
    q->n_ready++;
    if (q->n_running < q->conf.concurrency)
        fed_task_post(q->conf.env, &q->pump, pump);
}

static void make_ready(struct item *it)
{
    struct fed_workqueue *q = it->queue;
    fed_timer_stop(q->conf.env, &it->retry);
    if (it->running ? it->again : fed_list_linked(&it->ready))
        return;
    fed_workqueue_metrics_added(&q->metrics, &it->turn);
    it->again = it->running;
    if (!it->running)
        push_ready(it);
}

static void pump(struct fed_task *task)
{
    struct fed_workqueue *q = fed_container_of(task, struct fed_workqueue, pump);
    /* At most those ready now: a key that adds itself at once must not keep the loop from other work. */
    for (size_t turns = q->n_ready; turns && q->n_ready && q->n_running < q->conf.concurrency; turns--) {
        struct item *it = fed_container_of(q->ready.next, struct item, ready);
        fed_list_remove(&it->ready);
        q->n_ready--;
        q->n_running++;
        it->running = true;
        fed_workqueue_metrics_begun(&q->metrics, &it->turn);
        q->conf.work(q->conf.ud, it->key); /* may end with fed_workqueue_done, which may free the item */
    }
    if (q->n_ready && q->n_running < q->conf.concurrency)
        fed_task_post(q->conf.env, &q->pump, pump);
}

void fed_workqueue_add(struct fed_workqueue *q, struct fed_str key)
{
    make_ready(item_get(q, key));
}

static void after_due(struct fed_timer *timer)
{
    make_ready(fed_container_of(timer, struct item, after));
}

static void retry_due(struct fed_timer *timer)
{
    make_ready(fed_container_of(timer, struct item, retry));
}

void fed_workqueue_add_after(struct fed_workqueue *q, struct fed_str key, uint64_t delay_ms)
{
    struct item *it = item_get(q, key);
    if (delay_ms == 0) {
        make_ready(it);
        return;
    }
    fed_workqueue_metrics_retried(&q->metrics);
    uint64_t at = fed_mono_ns(q->conf.env) + delay_ms * 1000000;
    if (fed_timer_active(&it->after) && it->after.node.key <= at)
        return;
    fed_timer_start(q->conf.env, &it->after, delay_ms, after_due);
}

static uint64_t back_off(struct fed_workqueue *q, uint32_t failures)
{
    uint64_t ms = q->conf.base_ms;
    for (uint32_t i = 1; i < failures && ms < q->conf.max_ms; i++)
        ms *= 2;
    ms = FED_MIN(ms, q->conf.max_ms);
    return ms * (800 + fed_random_below(q->conf.env, 401)) / 1000;
}

void fed_workqueue_done(struct fed_workqueue *q, const char *key, int code)
{
    struct item *it = fed_map_find(&q->items, fed_str(key));
    FED_REQUIRE(it && it->running);
    fed_workqueue_metrics_done(&q->metrics, &it->turn);
    it->running = false;
    q->n_running--;
    it->failures = code == 0 ? 0 : it->failures + 1;
    if (it->again) {
        it->again = false;
        push_ready(it);
    } else if (code != 0) {
        fed_workqueue_metrics_retried(&q->metrics);
        fed_timer_start(q->conf.env, &it->retry, back_off(q, it->failures), retry_due);
    }
    item_settle(it);
    if (q->n_ready && q->n_running < q->conf.concurrency)
        fed_task_post(q->conf.env, &q->pump, pump);
}

size_t fed_workqueue_depth(const struct fed_workqueue *q)
{
    return q->n_ready + q->n_running;
}

bool fed_workqueue_idle(const struct fed_workqueue *q)
{
    return fed_map_count(&q->items) == 0;
}
