/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/preempt.h"

#include <stdlib.h>

#include "base/mem.h"
#include "member/controllers/loads.h"

enum { MAX_NODES = 100 }; /* looked at: enough to choose well from */

struct seat { /* a pod that might be given up */
    size_t peer;
    const struct mbr_lesser *about;
    bool victim;
};
struct trial {
    struct mbr_preempt *p;
    struct fed_arena *a;
    size_t node;
    struct mbr_node_state state;
    struct seat *seats;
    size_t n;
};
struct cost {
    int64_t guarded, highest, sum, n, since;
};

static void move(struct trial *t, const struct seat *s, bool away)
{
    t->p->list[s->peer].gone = away;
    mbr_node_carry(t->a, &t->state, s->about->load, t->p->peers.need, away ? -1 : 1);
}

static bool fits(struct trial *t)
{
    struct mbr_refusal *r = FED_ARENA_ARRAY(t->a, struct mbr_refusal, t->p->peers.n_nodes);
    for (size_t i = 0; i < t->p->peers.n_nodes; i++)
        r[i].n = i != t->node; /* the others are not asked about */
    mbr_node_judge(t->a, &t->state, t->p->peers.need, &r[t->node]);
    if (!r[t->node].n)
        mbr_peers_judge(t->a, &t->p->peers, r);
    return !r[t->node].n;
}

static int dear_first(const void *pa, const void *pb)
{
    const struct mbr_lesser *a = ((const struct seat *)pa)->about, *b = ((const struct seat *)pb)->about;
    if (a->guarded != b->guarded)
        return a->guarded ? -1 : 1;
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    return a->since_ms < b->since_ms ? -1 : a->since_ms > b->since_ms;
}

static bool find_victims(struct trial *t)
{
    for (size_t i = 0; i < t->p->peers.n; i++)
        if (t->p->list[i].node == t->node && t->p->lessers[i].priority < t->p->priority)
            t->seats[t->n++] = (struct seat){.peer = i, .about = &t->p->lessers[i]};
    for (size_t i = 0; i < t->n; i++)
        move(t, &t->seats[i], true);
    bool helps = t->n && fits(t);
    qsort(t->seats, t->n, sizeof(*t->seats), dear_first);
    for (size_t i = 0; i < t->n && helps; i++) {
        move(t, &t->seats[i], false);
        t->seats[i].victim = !fits(t);
        if (t->seats[i].victim)
            move(t, &t->seats[i], true);
    }
    for (size_t i = 0; i < t->n; i++)
        t->p->list[t->seats[i].peer].gone = false;
    return helps;
}

static struct cost cost_of(const struct trial *t)
{
    struct cost c = {.highest = INT64_MIN};
    for (size_t i = 0; i < t->n; i++) {
        const struct mbr_lesser *l = t->seats[i].about;
        if (!t->seats[i].victim)
            continue;
        c.n++;
        c.guarded += l->guarded;
        c.sum += l->priority + INT32_MAX; /* so that more are never cheaper */
        if (l->priority > c.highest)
            c.since = l->since_ms;
        c.highest = FED_MAX(c.highest, l->priority);
    }
    return c;
}

static bool cheaper(const struct cost *a, const struct cost *b)
{
    if (a->guarded != b->guarded)
        return a->guarded < b->guarded;
    if (a->highest != b->highest)
        return a->highest < b->highest;
    if (a->sum != b->sum)
        return a->sum < b->sum;
    return a->n != b->n ? a->n < b->n : a->since > b->since;
}

void mbr_preempt_make(struct fed_arena *a, struct mbr_preempt *p)
{
    struct cost best = {0};
    size_t looked = 0;
    p->node = -1;
    p->n_victims = 0;
    p->victims = FED_ARENA_ARRAY(a, size_t, p->peers.n + 1);
    struct seat *seats = FED_ARENA_ARRAY(a, struct seat, p->peers.n + 1);
    for (size_t i = 0; i < p->peers.n_nodes && looked < MAX_NODES; i++) {
        if (!p->refusals[i].n || p->refusals[i].final)
            continue;
        struct trial t = {.p = p, .a = a, .node = i, .state = p->peers.nodes[i], .seats = seats};
        looked++;
        if (!find_victims(&t))
            continue;
        struct cost c = cost_of(&t);
        if (p->node >= 0 && !cheaper(&c, &best))
            continue;
        best = c;
        p->node = (int)i;
        p->n_victims = 0;
        for (size_t k = 0; k < t.n; k++)
            if (seats[k].victim)
                p->victims[p->n_victims++] = seats[k].peer;
    }
}

void mbr_preempt_explain(const struct mbr_refusal *refusals, size_t n, struct fed_buf *out)
{
    struct mbr_refusal *r = fed_calloc(n + 1, sizeof(*r));
    for (size_t i = 0; i < n; i++)
        mbr_refuse(&r[i],
                   refusals[i].final ? FED_STR("Preemption is not helpful for scheduling")
                                     : FED_STR("No preemption victims found for incoming pod"),
                   false);
    fed_buf_addz(out, " preemption: ");
    mbr_explain(r, n, out);
    free(r);
}
