/* SPDX-License-Identifier: Apache-2.0 */
/* Flows: who belongs to which, the seats that each has, what waits in its queue. */
#include "apiserver/flow_priv.h"
#include "base/mem.h"

#define KEEP_FLOWS   1024u
#define SMALL_ANSWER (64u * 1024)   /* an answer up to here leaves its seat at once, */
#define FREE_ANSWER  (1024u * 1024) /* and up to here takes no more than its request did */

/* --- who and what --- */

static bool is_system(const struct fed_identity *who)
{
    if (fed_str_starts(who->user, FED_STR("system:serviceaccount:")))
        return fed_str_starts(who->user, FED_STR("system:serviceaccount:kube-system:"));
    if (fed_str_starts(who->user, FED_STR("system:")))
        return !fed_str_is(who->user, "system:anonymous");
    for (size_t i = 0; i < who->n_groups; i++)
        if (fed_str_starts(who->groups[i], FED_STR("hansa:")))
            return true;
    return false;
}

static void drop_idle(struct fed_flows *fl)
{
    FED_MAP_EACH(e, &fl->map) {
        struct fed_flow *f = e->value;
        if (f->n_queued || f->seats[0] || f->seats[1] || f->busy)
            continue;
        fed_map_remove(&fl->map, e->key);
        free(f);
    }
}

struct fed_flow *fed_flow_of(struct fed_flows *fl, const struct fed_identity *who)
{
    char key[320];
    bool system = is_system(who);
    size_t n = FED_MIN(who->user.n, sizeof key - 1);
    key[0] = system ? 's' : 'w';
    if (n)
        memcpy(key + 1, who->user.p, n);
    struct fed_str name = fed_str_n(key, n + 1);
    struct fed_flow *f = fed_map_find(&fl->map, name);
    if (f)
        return f;
    if (fed_map_count(&fl->map) >= KEEP_FLOWS)
        drop_idle(fl);
    f = FED_NEW(struct fed_flow);
    fed_list_init(&f->queue);
    f->system = system;
    f->level = &fl->levels[system ? FLOW_SYSTEM : FLOW_WORKLOAD];
    fed_map_set(&fl->map, name, f);
    return f;
}

/* --- seats --- */

bool fed_flow_seat_free(const struct fed_flows *fl, const struct fed_flow *f, int class)
{
    const struct fed_flow_level *l = f->level;
    size_t limit = fl->limit[class];
    if (f->seats[class] == 0)
        return true;
    return l->used[class] < limit && f->seats[class] < FED_MAX(1, limit / (l->holders[class] + 1));
}

void fed_flow_take_seats(struct fed_api_reply *r, size_t n)
{
    struct fed_flow *f = r->flow;
    int class = r->flow_class;
    if (f->seats[class] == 0)
        f->level->holders[class]++;
    f->seats[class] += n;
    f->level->used[class] += n;
    r->seats += (uint32_t)n;
}

void fed_flow_leave(struct fed_api_reply *r)
{
    struct fed_flows *fl = r->api->flows;
    struct fed_flow *f = r->flow;
    int class = r->flow_class;
    r->flow = NULL;
    if (!fl || !r->seats)
        return;
    f->seats[class] -= r->seats;
    f->level->used[class] -= r->seats;
    if (f->seats[class] == 0)
        f->level->holders[class]--;
    r->seats = 0;
    if (fl->n_queued && !fed_timer_active(&fl->slice))
        fed_timer_start(fl->api->env, &fl->slice, 0, fl->slice.cb);
}

bool fed_flow_answer(struct fed_api_reply *r, size_t bytes)
{
    if (bytes <= SMALL_ANSWER || !r->seats || !r->x)
        return false;
    if (bytes > FREE_ANSWER)
        fed_flow_take_seats(r, bytes / FREE_ANSWER);
    return true; /* until it is sent */
}

void fed_flow_unqueue(struct fed_flows *fl, struct fed_flow *f, struct fed_api_reply *r)
{
    fed_list_remove(&r->queue_link);
    r->queued_in = NULL;
    f->n_queued--;
    fl->n_queued--;
    f->bytes -= r->q.body.n;
    fed_metric_add(fl->m_queued, -1);
    if (!f->n_queued)
        fed_list_remove(&f->link);
}

void fed_flow_forget(struct fed_api_reply *r)
{
    fed_flow_unqueue(r->api->flows, r->queued_in, r);
    r->answered = true; /* nobody is left to answer */
}
