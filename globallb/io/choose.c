/* SPDX-License-Identifier: Apache-2.0 */
/* choose.c: from a request to the place of its next try, within one epoch; and the worker's memory of its targets. */
#include "base/mem.h"
#include "globallb/balance/p2c.h"
#include "globallb/balance/spill.h"
#include "globallb/io/worker_priv.h"

#define PEER_FORGET_MS 60000

/* ---- peers ---- */

static size_t slot_of(const struct glb_worker *w, const struct fed_target *t)
{
    size_t i = (size_t)(((uintptr_t)t >> 6) * 0x9e3779b97f4a7c15u >> 20) & (w->peers_size - 1);
    while (w->peers[i] && w->peers[i]->target != t)
        i = (i + 1) & (w->peers_size - 1);
    return i;
}

static void rehash(struct glb_worker *w, size_t size)
{
    struct glb_peer **old = w->peers;
    size_t n = w->peers_size;
    w->peers = fed_calloc(size, sizeof(struct glb_peer *));
    w->peers_size = size;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            w->peers[slot_of(w, old[i]->target)] = old[i];
    free(old);
}

struct glb_peer *glb_peer_get(struct glb_worker *w, struct fed_target *t)
{
    if ((w->n_peers + 1) * 2 > w->peers_size)
        rehash(w, w->peers_size ? w->peers_size * 2 : 64);
    size_t i = slot_of(w, t);
    if (w->peers[i])
        return w->peers[i];
    struct glb_peer *p = FED_NEW(struct glb_peer);
    p->target = t;
    fed_target_pin(t);
    fed_list_init(&p->idle);
    fed_list_init(&p->busy);
    w->peers[i] = p;
    w->n_peers++;
    return p;
}

static void sweep_idle(struct glb_worker *w, struct glb_peer *p, uint64_t now_ms, bool all)
{
    FED_LIST_EACH_SAFE(it, &p->idle) {
        struct glb_conn *c = FED_LIST_ENTRY(it, struct glb_conn, link);
        if (all || now_ms - c->idle_ms > w->shared->limits.upstream_idle_ms)
            glb_conn_drop(c);
    }
}

void glb_peers_sweep(struct glb_worker *w, uint64_t now_ms, bool all)
{
    size_t gone = 0;
    for (size_t i = 0; i < w->peers_size; i++) {
        struct glb_peer *p = w->peers[i];
        if (!p)
            continue;
        sweep_idle(w, p, now_ms, all);
        if (!fed_list_empty(&p->idle) || !fed_list_empty(&p->busy) || p->in_flight ||
            (!all && now_ms - p->used_ms < PEER_FORGET_MS))
            continue;
        fed_target_unpin(p->target);
        free(p);
        w->peers[i] = NULL;
        gone++;
    }
    w->n_peers -= gone;
    if (gone) /* the chains have holes now */
        rehash(w, w->peers_size);
}

void glb_peers_free(struct glb_worker *w)
{
    for (size_t i = 0; i < w->peers_size; i++) {
        if (!w->peers[i])
            continue;
        fed_target_unpin(w->peers[i]->target);
        free(w->peers[i]);
    }
    free(w->peers);
    w->peers = NULL;
    w->peers_size = w->n_peers = 0;
}

/* ---- choosing ---- */

struct view { /* the places of a backend as judged for this request */
    const struct glb_bound *b;
    uint8_t *uses; /* of all places, region after region */
    enum fed_use level;
    struct glb_side sides[GLB_SPILL_MAX];
    size_t first[GLB_SPILL_MAX]; /* of its places in uses */
    size_t n;
};

enum { USE_TRIED = 0x80 }; /* beside the verdict */

static unsigned times_tried(const struct glb_exchange *x, const struct fed_target *t)
{
    unsigned n = 0;
    for (unsigned i = 0; i < x->tries.n; i++)
        n += x->at[i].target == t;
    return n;
}

static bool tried(const struct glb_exchange *x, const struct fed_target *t)
{
    return times_tried(x, t) > 0;
}

static uint8_t *room_for_uses(struct glb_worker *w, const struct glb_bound *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n_regions; i++)
        n += b->regions[i].n_places;
    if (n > w->cap_uses) {
        w->cap_uses = n * 2;
        w->uses = fed_realloc(w->uses, w->cap_uses);
    }
    return w->uses;
}

static bool wanted_region(const struct glb_exchange *x, const struct glb_region *r)
{
    return !x->hop_in || (r->own && !r->hop);
}

static void judge(struct glb_exchange *x, const struct fed_snapshot *s, struct view *v)
{
    size_t at = 0;
    v->uses = room_for_uses(x->w, v->b);
    v->level = FED_USE_NO;
    v->n = FED_MIN(v->b->n_regions, (size_t)GLB_SPILL_MAX);
    for (size_t i = 0; i < v->n; i++) {
        const struct glb_region *r = &v->b->regions[i];
        v->first[i] = at;
        for (size_t k = 0; k < r->n_places; k++, at++) {
            enum fed_use use = wanted_region(x, r) ? glb_place_use(s, &r->places[k]) : FED_USE_NEVER;
            v->uses[at] = (uint8_t)use;
            if (x->tries.n && tried(x, r->places[k].target))
                v->uses[at] |= USE_TRIED;
            else if (use < v->level)
                v->level = use;
        }
    }
}

static int64_t limit_of(const struct glb_limits *l, const struct glb_region *r)
{
    int64_t pods = r->own && !r->hop ? (int64_t)r->n_places : r->ready_pods;
    int64_t per_pod = l->max_in_flight_per_pod && pods > 0 ? (int64_t)l->max_in_flight_per_pod * pods : 0;
    if (l->max_in_flight && (!per_pod || l->max_in_flight < per_pod))
        return l->max_in_flight;
    return per_pod;
}

static int64_t cluster_in_flight(const struct glb_shared *sh, uint16_t slot)
{
    int64_t sum = 0;
    for (size_t i = 0; i < sh->n_workers; i++)
        sum +=
            atomic_load_explicit(&glb_worker_counters(sh->workers[i])->cluster_in_flight[slot], memory_order_relaxed);
    return sum;
}

static void weigh(struct glb_exchange *x, struct view *v, bool elsewhere)
{
    const struct glb_shared *sh = x->w->shared;
    bool limited = sh->limits.max_in_flight || sh->limits.max_in_flight_per_pod;
    for (size_t i = 0; i < v->n; i++) {
        const struct glb_region *r = &v->b->regions[i];
        struct glb_side *side = &v->sides[i];
        *side = (struct glb_side){0};
        for (size_t k = 0; k < r->n_places; k++) {
            uint8_t use = v->uses[v->first[i] + k];
            if ((use & ~USE_TRIED) == FED_USE_NEVER)
                continue;
            side->all++;
            side->healthy += use == v->level && v->level != FED_USE_NO;
        }
        for (unsigned k = 0; elsewhere && k < x->tries.n; k++)
            side->excluded |= x->at[k].slot == r->cluster->slot;
        if (limited) {
            side->limit = limit_of(&sh->limits, r);
            side->in_flight = side->limit ? cluster_in_flight(sh, r->cluster->slot) : 0;
        }
    }
}

/* The k-th place of a region that passes: fresh ones of the level; with `any` all that are not NEVER. */
static bool passes(const struct view *v, uint8_t use, bool any, bool fresh)
{
    if (fresh && (use & USE_TRIED))
        return false;
    enum fed_use u = use & ~USE_TRIED;
    return any ? u != FED_USE_NEVER : u == v->level;
}

static const struct glb_place *pick_place(struct glb_exchange *x, const struct view *v, size_t region, bool any,
                                          bool fresh)
{
    const struct glb_region *r = &v->b->regions[region];
    const uint8_t *uses = v->uses + v->first[region];
    uint32_t n = 0, a, b, k = 0;
    for (size_t i = 0; i < r->n_places; i++)
        n += passes(v, uses[i], any, fresh);
    if (n == 0)
        return NULL;
    glb_p2c_pair(n, glb_dice(x->w), &a, &b);
    const struct glb_place *pa = NULL, *pb = NULL;
    for (size_t i = 0; i < r->n_places; i++) {
        if (!passes(v, uses[i], any, fresh))
            continue;
        if (k == a)
            pa = &r->places[i];
        if (k == b)
            pb = &r->places[i];
        k++;
    }
    if (pa == pb)
        return pa;
    return glb_p2c_better(0, glb_peer_get(x->w, pa->target)->in_flight, 1, glb_peer_get(x->w, pb->target)->in_flight)
               ? pb
               : pa;
}

static const struct glb_place *pick(struct glb_exchange *x, struct view *v, bool elsewhere, int *region)
{
    struct glb_spill spill;
    weigh(x, v, elsewhere);
    glb_spill_loads(v->sides, v->n, &spill);
    *region = glb_spill_choose(v->sides, v->n, &spill, glb_dice(x->w) % 100);
    if (*region < 0)
        return NULL;
    bool any = spill.panic[*region] || v->sides[*region].healthy == 0;
    const struct glb_place *p = pick_place(x, v, (size_t)*region, any, true);
    for (size_t i = 0; !p && i < v->n; i++) { /* all of it was tried: any fresh place, nearest first */
        p = pick_place(x, v, i, v->level == FED_USE_NO, true);
        if (p)
            *region = (int)i;
    }
    return p;
}

/* Nothing fresh is left: what was tried least, then what is judged best, then what is nearest. So two places whose kept
 * connections were all cut, as by a scaling down, are both asked anew. */
static const struct glb_place *tried_least(const struct glb_exchange *x, const struct view *v, int *region)
{
    const struct glb_place *best = NULL;
    unsigned lowest = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct glb_region *r = &v->b->regions[i];
        for (size_t k = 0; k < r->n_places; k++) {
            unsigned use = v->uses[v->first[i] + k] & ~USE_TRIED;
            unsigned rank = times_tried(x, r->places[k].target) * 16 + use;
            if (use == FED_USE_NEVER || (best && rank >= lowest))
                continue;
            best = &r->places[k];
            lowest = rank;
            *region = (int)i;
        }
    }
    return best;
}

static enum glb_found choose(struct glb_exchange *x, const struct fed_snapshot *s, bool hedge, struct glb_choice *out)
{
    const struct glb_table *t = s->derived;
    struct view v;
    int region = -1;
    v.b = glb_table_find(t, glb_x_host(x), glb_x_path(x));
    if (!v.b)
        return GLB_NO_RULE;
    if (!v.b->known)
        return GLB_NO_SERVICE;
    judge(x, s, &v);
    if (hedge && v.level == FED_USE_NO)
        return GLB_NO_OTHER;
    /* The first retry may stay in the cluster, at another place; later ones and second tries go elsewhere. */
    bool elsewhere = hedge || x->tries.n > 1;
    const struct glb_place *p = pick(x, &v, elsewhere, &region);
    if (!p && hedge)
        return GLB_NO_OTHER;
    if (!p)
        p = tried_least(x, &v, &region);
    if (!p)
        return GLB_NO_PLACE;
    const struct glb_region *r = &v.b->regions[region];
    *out = (struct glb_choice){p->target, glb_peer_get(x->w, p->target), r->cluster->slot, r->own, r->hop};
    return GLB_FOUND;
}

enum glb_found glb_choose(struct glb_exchange *x, bool hedge, struct glb_choice *out)
{
    struct glb_worker *w = x->w;
    fed_epoch_enter(w->reader);
    const struct fed_snapshot *s = fed_routing_current(&w->shared->routing);
    enum glb_found found = s ? choose(x, s, hedge, out) : GLB_NO_SNAPSHOT;
    fed_epoch_leave(w->reader);
    return found;
}

bool glb_cluster_lost(struct glb_worker *w, uint16_t slot)
{
    fed_epoch_enter(w->reader);
    const struct fed_snapshot *s = fed_routing_current(&w->shared->routing);
    const struct fed_cluster *c = s ? fed_snapshot_slot(s, slot) : NULL;
    bool lost = c && c->health && atomic_load_explicit(c->health, memory_order_relaxed) == FED_HEALTH_DOWN;
    fed_epoch_leave(w->reader);
    return lost;
}

bool glb_from_balancer(struct glb_worker *w, const struct fed_addr *addr)
{
    fed_epoch_enter(w->reader);
    const struct fed_snapshot *s = fed_routing_current(&w->shared->routing);
    bool yes = s && glb_table_is_balancer(s->derived, addr);
    fed_epoch_leave(w->reader);
    return yes;
}
