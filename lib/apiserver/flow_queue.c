/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs when: at once while there is time, else by turns of the flows. */
#include "apiserver/flow_priv.h"
#include "base/mem.h"

#define BURST_NS    5000000  /* of unqueued work */
#define SLICE_NS    2000000u /* of queued work in one turn of the loop */
#define WAIT_MAX_NS 15000000000u
#define SWEEP_MS    1000u
#define QUEUE_BYTES (32u * 1024 * 1024)

static bool is_long(const struct fed_api_reply *r)
{
    static const char *const subs[] = {"exec", "attach", "portforward", "proxy", "log"};
    if (r->watch)
        return true;
    for (size_t i = 0; r->q.subresource.n && i < FED_ARRAY_LEN(subs); i++)
        if (fed_str_is(r->q.subresource, subs[i]))
            return true;
    return false;
}

static int class_of(const struct fed_api_reply *r)
{
    const char *v = r->q.verb;
    return strcmp(v, "get") == 0 || strcmp(v, "list") == 0 || strcmp(v, "head") == 0 ? FLOW_READS : FLOW_WRITES;
}

static void charge(struct fed_flows *fl, struct fed_flow *f, uint64_t begin)
{
    uint64_t cost = fed_mono_ns(fl->api->env) - begin;
    f->served_ns += f->system ? cost / 4 : cost; /* the system's own counts for less */
    fl->credit_ns -= (int64_t)cost;
}

static void run(struct fed_flows *fl, struct fed_flow *f, struct fed_api_reply *r, uint64_t now)
{
    if (!is_long(r)) {
        r->flow = f;
        fed_flow_take_seats(r, 1);
    }
    f->served_ns = FED_MAX(f->served_ns, fl->virtual_ns);
    f->busy++;
    fl->dispatch(r);
    f->busy--;
    charge(fl, f, now);
}

/* Of the flows whose first request may go, the one that was served least. */
static struct fed_flow *next_flow(struct fed_flows *fl)
{
    struct fed_flow *best = NULL;
    FED_LIST_EACH(it, &fl->waiting) {
        struct fed_flow *f = FED_LIST_ENTRY(it, struct fed_flow, link);
        const struct fed_api_reply *first = FED_LIST_ENTRY(f->queue.next, struct fed_api_reply, queue_link);
        if ((is_long(first) || fed_flow_seat_free(fl, f, first->flow_class)) &&
            (!best || f->served_ns < best->served_ns))
            best = f;
    }
    return best;
}

static void on_slice(struct fed_timer *t)
{
    struct fed_flows *fl = fed_container_of(t, struct fed_flows, slice);
    struct fed_flow *f;
    uint64_t begin = fed_mono_ns(fl->api->env), now = begin;
    while ((f = next_flow(fl)) && now - begin < SLICE_NS) {
        struct fed_api_reply *r = FED_LIST_ENTRY(f->queue.next, struct fed_api_reply, queue_link);
        fl->virtual_ns = FED_MAX(fl->virtual_ns, f->served_ns);
        fed_flow_unqueue(fl, f, r);
        run(fl, f, r, now);
        now = fed_mono_ns(fl->api->env);
    }
    if (f && !fed_timer_active(&fl->slice)) /* the loop reads what has come, then goes on */
        fed_timer_start(fl->api->env, &fl->slice, 0, on_slice);
}

static void refuse(struct fed_flows *fl, struct fed_api_reply *r, const char *why)
{
    struct fed_str labels[] = {fed_str(why)};
    struct fed_status_details d = {.retry_after_s = 1};
    fed_metric_add(fed_metric_get(fl->m_rejected, labels, 1), 1);
    fed_api_fail(r, FED_E_TOO_MANY, &d, "too many requests, please try again later");
}

static void on_sweep(struct fed_timer *t)
{
    struct fed_flows *fl = fed_container_of(t, struct fed_flows, sweep);
    uint64_t now = fed_mono_ns(fl->api->env);
    FED_LIST_EACH_SAFE(it, &fl->waiting) {
        struct fed_flow *f = FED_LIST_ENTRY(it, struct fed_flow, link);
        f->busy++;
        while (f->n_queued) {
            struct fed_api_reply *r = FED_LIST_ENTRY(f->queue.next, struct fed_api_reply, queue_link);
            if (now - r->start_ns < WAIT_MAX_NS && !fl->api->stopped)
                break;
            fed_flow_unqueue(fl, f, r);
            refuse(fl, r, "time-out");
        }
        f->busy--;
    }
    if (fl->n_queued)
        fed_timer_start(fl->api->env, &fl->sweep, SWEEP_MS, on_sweep);
}

static void enqueue(struct fed_flows *fl, struct fed_flow *f, struct fed_api_reply *r)
{
    struct fed_env *env = fl->api->env;
    if (f->n_queued >= fl->queue_max || (f->n_queued && f->bytes + r->q.body.n > QUEUE_BYTES)) {
        refuse(fl, r, "queue-full");
        return;
    }
    fed_api_request_defer(r);
    if (!f->n_queued++) {
        fed_list_push_back(&fl->waiting, &f->link);
        f->served_ns = FED_MAX(f->served_ns, fl->virtual_ns);
    }
    fed_list_push_back(&f->queue, &r->queue_link);
    r->queued_in = f;
    f->bytes += r->q.body.n;
    fl->n_queued++;
    fed_metric_add(fl->m_queued, 1);
    if (!fed_timer_active(&fl->slice))
        fed_timer_start(env, &fl->slice, 0, on_slice);
    if (!fed_timer_active(&fl->sweep))
        fed_timer_start(env, &fl->sweep, SWEEP_MS, on_sweep);
}

static void earn(struct fed_flows *fl, uint64_t now)
{
    int64_t more = (int64_t)FED_MIN((now - fl->credit_at) / 2, (uint64_t)BURST_NS);
    fl->credit_at = now;
    fl->credit_ns = FED_MIN(FED_MAX(fl->credit_ns, -BURST_NS) + more, BURST_NS);
}

void fed_flow_enter(struct fed_api_reply *r)
{
    struct fed_flows *fl = r->api->flows;
    if (fed_identity_in_group(&r->q.who, "system:masters")) {
        fl->dispatch(r);
        return;
    }
    struct fed_flow *f = fed_flow_of(fl, &r->q.who);
    r->flow_class = (uint8_t)class_of(r);
    earn(fl, r->start_ns);
    if (!f->n_queued && fl->credit_ns > 0 && (is_long(r) || fed_flow_seat_free(fl, f, r->flow_class)))
        run(fl, f, r, r->start_ns);
    else
        enqueue(fl, f, r);
}

void fed_flows_start(struct fed_api *api, void (*dispatch)(struct fed_api_reply *r))
{
    struct fed_flows *fl = api->flows = FED_NEW(struct fed_flows);
    struct fed_metrics *m = api->conf.metrics;
    fl->api = api;
    fl->dispatch = dispatch;
    fl->limit[FLOW_READS] = api->conf.max_reads ? api->conf.max_reads : 400;
    fl->limit[FLOW_WRITES] = api->conf.max_writes ? api->conf.max_writes : 200;
    fl->queue_max = FED_MAX((fl->limit[FLOW_READS] + fl->limit[FLOW_WRITES]) / 2, 1);
    fl->credit_ns = BURST_NS;
    fl->slice.cb = on_slice;
    fed_list_init(&fl->waiting);
    fl->m_rejected = fed_metrics_family(m, FED_METRIC_COUNTER, "apiserver_flowcontrol_rejected_requests_total",
                                        "Requests answered 429, by reason (queue-full, time-out).", "reason", NULL, 0);
    fl->m_queued =
        fed_metrics_gauge(m, "apiserver_flowcontrol_current_inqueue_requests", "Requests that wait for their turn.");
}

void fed_flows_release(struct fed_api *api)
{
    struct fed_flows *fl = api->flows;
    if (!fl)
        return;
    fed_timer_stop(api->env, &fl->slice);
    fed_timer_stop(api->env, &fl->sweep);
    FED_MAP_EACH(e, &fl->map)
        free(e->value);
    fed_map_release(&fl->map);
    api->flows = NULL;
    free(fl);
}
