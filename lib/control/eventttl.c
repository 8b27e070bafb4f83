/* SPDX-License-Identifier: Apache-2.0 */
#include "control/eventttl.h"

#include "base/mem.h"

static const struct fed_resource events = {"", "v1", "events", "Event", true};

struct fed_eventttl {
    struct fed_transport *t;
    uint64_t ttl_ms;
    struct fed_timer timer;
    struct fed_call *call;
};

static void start_page(struct fed_eventttl *e, struct fed_str cont);

static void again_due(struct fed_timer *timer)
{
    start_page(fed_container_of(timer, struct fed_eventttl, timer), (struct fed_str){0});
}

/* When it was last seen; an Event without any readable time is kept. */
static int64_t last_seen(const struct fed_json *event)
{
    const struct fed_str times[] = {
        fed_json_find_text(event, "lastTimestamp"),
        fed_json_find_text(fed_json_find(event, "series"), "lastObservedTime"),
        fed_json_find_text(event, "eventTime"),
        fed_json_find_text(fed_json_find(event, "metadata"), "creationTimestamp"),
    };
    int64_t latest = -1;
    for (size_t i = 0; i < FED_ARRAY_LEN(times); i++) {
        int64_t ms;
        if (times[i].n && fed_time_parse(times[i], &ms) == 0)
            latest = FED_MAX(latest, ms);
    }
    return latest;
}

static void judge(void *ud, struct fed_kobj *obj)
{
    struct fed_eventttl *e = ud;
    struct fed_arena a = {0};
    int64_t seen = last_seen(fed_kobj_parse(obj, &a));
    if (seen >= 0 && fed_wall_ms(e->t->env) - seen > (int64_t)e->ttl_ms)
        fed_client_delete(e->t, &events, obj->ns, obj->name, "Background", obj->uid, NULL, NULL);
    fed_arena_release(&a);
}

static void page_done(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct fed_eventttl *e = ud;
    struct fed_arena a = {0};
    struct fed_str cont = {0};
    uint64_t rev;
    e->call = NULL;
    if (code == 0)
        code = fed_list_read(&a, &events, res->body, judge, e, &rev, &cont, NULL);
    if (code == 0 && cont.n)
        start_page(e, cont);
    else
        fed_timer_start(e->t->env, &e->timer, FED_MAX(e->ttl_ms / 12, (uint64_t)1000), again_due);
    fed_arena_release(&a);
}

static void start_page(struct fed_eventttl *e, struct fed_str cont)
{
    struct fed_buf query = {0};
    fed_buf_addz(&query, "limit=500");
    fed_resource_query_add(&query, "continue", cont);
    e->call = fed_client_list(e->t, &events, FED_STR(""), fed_buf_z(&query), page_done, e);
    fed_buf_release(&query);
}

struct fed_eventttl *fed_eventttl_new(struct fed_transport *t, uint64_t ttl_ms)
{
    struct fed_eventttl *e = FED_NEW(struct fed_eventttl);
    e->t = t;
    e->ttl_ms = ttl_ms ? ttl_ms : 3600000;
    start_page(e, (struct fed_str){0});
    return e;
}

void fed_eventttl_free(struct fed_eventttl *e)
{
    if (!e)
        return;
    fed_timer_stop(e->t->env, &e->timer);
    fed_call_cancel(e->call);
    free(e);
}
