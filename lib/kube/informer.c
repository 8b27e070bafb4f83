/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/informer.h"

#include <inttypes.h>

#include "base/map.h"
#include "base/mem.h"

enum { FIRST_DELAY_MS = 100, MAX_DELAY_MS = 2000, PAGE = 500, ASSUME_OPEN_MS = 6000, SHORT_WATCH_MS = 1000 };

enum state {
    IDLE,     /* not started */
    WAITING,  /* for the back-off */
    LISTING,  /* pages of a list */
    STARTING, /* a watch that first sends what is there */
    FOLLOWING /* a watch from last_rev */
};
struct group { /* the objects of one controller owner, or with one value of the indexed label */
    struct fed_list items;
};
struct item {
    struct fed_kobj *obj;
    uint64_t sweep;          /* the last full look that saw it */
    struct fed_list owned;   /* in the group of its controller owner */
    struct fed_list labeled; /* in the group of its label */
};
struct handler {
    struct fed_list link;
    struct fed_informer_handlers h;
    bool fresh; /* to be told of what is there already */
};
struct fed_informer {
    struct fed_informer_conf conf;
    struct fed_env *env;
    char *label_selector, *field_selector, *ns;
    struct fed_map items;  /* "ns/name" -> struct item */
    struct fed_map owners; /* uid -> struct group */
    struct fed_map labels; /* "ns/value" of index_label -> struct group */
    struct fed_list handlers;
    struct fed_buf key; /* scratch */
    enum state state;
    struct fed_call *call;
    struct fed_timer timer;
    struct fed_task welcome; /* tells late handlers */
    struct fed_list waiting; /* in its transport's list while WAITING */
    uint64_t last_rev, sweep, opened_ns, waits_since_ns;
    char *cont; /* of the next page */
    uint32_t delay_ms;
    bool synced, live, no_watch_list, must_list;
    int depth;  /* of callbacks under way */
    bool freed; /* by one of them */
};

static void run(struct fed_informer *inf);

/* --- telling --- */

static void destroy(struct fed_informer *inf);
static void hurry_others(struct fed_informer *inf);

static void leave(struct fed_informer *inf)
{
    if (--inf->depth == 0 && inf->freed)
        destroy(inf);
}

static void tell_changed(struct fed_informer *inf, struct fed_kobj *old, struct fed_kobj *now)
{
    FED_LIST_EACH_SAFE(l, &inf->handlers) {
        struct handler *h = fed_container_of(l, struct handler, link);
        if (!h->fresh && h->h.changed && !inf->freed)
            h->h.changed(h->h.ud, old, now);
    }
}

static void set_live(struct fed_informer *inf, bool live)
{
    if (inf->live == live)
        return;
    inf->live = live;
    FED_LIST_EACH_SAFE(l, &inf->handlers) {
        struct handler *h = fed_container_of(l, struct handler, link);
        if (!h->fresh && h->h.connected && !inf->freed)
            h->h.connected(h->h.ud, live);
    }
    if (live && !inf->freed)
        hurry_others(inf);
}

static void tell_synced(struct fed_informer *inf)
{
    FED_LIST_EACH_SAFE(l, &inf->handlers) {
        struct handler *h = fed_container_of(l, struct handler, link);
        if (!h->fresh && h->h.synced && !inf->freed)
            h->h.synced(h->h.ud);
    }
}

/* --- the copy --- */

static struct fed_str key_of(struct fed_informer *inf, struct fed_str ns, struct fed_str name)
{
    fed_buf_reset(&inf->key);
    fed_buf_add(&inf->key, ns);
    fed_buf_addc(&inf->key, '/');
    fed_buf_add(&inf->key, name);
    return fed_buf_str(&inf->key);
}

static void link_in(struct fed_map *index, struct fed_str key, struct fed_list *node)
{
    struct group *g = fed_map_find(index, key);
    if (!g) {
        g = FED_NEW(struct group);
        fed_list_init(&g->items);
        fed_map_set(index, key, g);
    }
    fed_list_push_back(&g->items, node);
}

static void unlink_from(struct fed_map *index, struct fed_str key, struct fed_list *node)
{
    struct group *g = fed_map_find(index, key);
    fed_list_remove(node);
    if (g && fed_list_empty(&g->items)) {
        fed_map_remove(index, key);
        free(g);
    }
}

static void link_item(struct fed_informer *inf, struct item *it)
{
    const struct fed_owner *owner = fed_kobj_controller(it->obj);
    struct fed_str value = inf->conf.index_label ? fed_kobj_label(it->obj, inf->conf.index_label) : fed_str(NULL);
    if (owner)
        link_in(&inf->owners, owner->uid, &it->owned);
    if (value.p)
        link_in(&inf->labels, key_of(inf, it->obj->ns, value), &it->labeled);
}

static void unlink_item(struct fed_informer *inf, struct item *it)
{
    const struct fed_owner *owner = fed_kobj_controller(it->obj);
    struct fed_str value = inf->conf.index_label ? fed_kobj_label(it->obj, inf->conf.index_label) : fed_str(NULL);
    if (owner)
        unlink_from(&inf->owners, owner->uid, &it->owned);
    if (value.p)
        unlink_from(&inf->labels, key_of(inf, it->obj->ns, value), &it->labeled);
}

static void remove_item(struct fed_informer *inf, struct item *it)
{
    struct fed_kobj *old = it->obj;
    unlink_item(inf, it);
    fed_map_remove(&inf->items, key_of(inf, old->ns, old->name));
    free(it);
    tell_changed(inf, old, NULL);
    fed_kobj_unref(old);
}

/* One object as it is now. */
static void put_object(struct fed_informer *inf, struct fed_kobj *obj)
{
    struct item *it = fed_map_find(&inf->items, key_of(inf, obj->ns, obj->name));
    if (it && !fed_str_eq(it->obj->uid, obj->uid)) { /* deleted and made again while we did not look */
        remove_item(inf, it);
        it = NULL;
    }
    if (it && it->obj->rev == obj->rev && obj->rev) {
        it->sweep = inf->sweep;
        return;
    }
    struct fed_kobj *old = NULL;
    if (it) {
        unlink_item(inf, it);
        old = it->obj;
    } else {
        it = FED_NEW(struct item);
        fed_map_set(&inf->items, key_of(inf, obj->ns, obj->name), it);
    }
    it->obj = fed_kobj_ref(obj);
    it->sweep = inf->sweep;
    link_item(inf, it);
    tell_changed(inf, old, obj);
    fed_kobj_unref(old);
}

static void delete_object(struct fed_informer *inf, const struct fed_kobj *obj)
{
    struct item *it = fed_map_find(&inf->items, key_of(inf, obj->ns, obj->name));
    if (it && fed_str_eq(it->obj->uid, obj->uid))
        remove_item(inf, it);
}

/* A full look ended: what it did not see is gone. */
static void finish_sweep(struct fed_informer *inf)
{
    FED_MAP_EACH(e, &inf->items) {
        struct item *it = e->value;
        if (it->sweep != inf->sweep)
            remove_item(inf, it);
    }
    inf->must_list = false;
    set_live(inf, true);
    if (!inf->synced) {
        inf->synced = true;
        tell_synced(inf);
    }
}

/* --- the conversation --- */

static void retry_due(struct fed_timer *timer)
{
    struct fed_informer *inf = fed_container_of(timer, struct fed_informer, timer);
    inf->depth++;
    fed_list_remove(&inf->waiting);
    inf->state = IDLE;
    run(inf);
    leave(inf);
}

static void back_off(struct fed_informer *inf)
{
    if (inf->freed) /* by a handler that was told of the failure */
        return;
    struct fed_list *waiting = &inf->conf.transport->waiting;
    if (!fed_list_linked(waiting))
        fed_list_init(waiting);
    fed_list_push_back(waiting, &inf->waiting);
    inf->waits_since_ns = fed_mono_ns(inf->env);
    inf->state = WAITING;
    inf->delay_ms = inf->delay_ms ? FED_MIN(inf->delay_ms * 2, (uint32_t)MAX_DELAY_MS) : FIRST_DELAY_MS;
    fed_timer_start(inf->env, &inf->timer, inf->delay_ms * (500 + fed_random_below(inf->env, 1001)) / 1000, retry_due);
}

/* The server is back: the others that failed need not wait for the end of their own back-off, or what was deployed would
 * be seen seconds before its endpoints. A quarter of it they do wait: a server that takes each watch and drops it at once
 * gets no storm. */
static void hurry_others(struct fed_informer *inf)
{
    if (!fed_list_linked(&inf->conf.transport->waiting))
        return;
    uint64_t now = fed_mono_ns(inf->env);
    FED_LIST_EACH(l, &inf->conf.transport->waiting) {
        struct fed_informer *other = fed_container_of(l, struct fed_informer, waiting);
        uint64_t waited = (now - other->waits_since_ns) / 1000000,
                 least = FED_MAX(other->delay_ms / 4, FIRST_DELAY_MS / 2U);
        fed_timer_start(inf->env, &other->timer, waited < least ? least - waited : 0, retry_due);
    }
}

/* An API that is not there, or cannot be watched, holds nothing; what it held once stays until it says otherwise. */
static void is_absent(struct fed_informer *inf, int code)
{
    bool absent = code == FED_E_NOT_FOUND || code == FED_E_METHOD_NOT_ALLOWED;
    if (!inf->conf.optional || !absent || inf->synced)
        return;
    inf->synced = true;
    inf->must_list = true;
    tell_synced(inf);
}

static void failed(struct fed_informer *inf)
{
    set_live(inf, false);
    back_off(inf);
}

/* The path of the set of objects, with `extra` parameters. */
static struct fed_str path_of(struct fed_informer *inf, struct fed_arena *a, const char *extra, const char *cont)
{
    struct fed_buf q = {0};
    fed_buf_addz(&q, extra);
    fed_resource_query_add(&q, "labelSelector", fed_str(inf->label_selector));
    fed_resource_query_add(&q, "fieldSelector", fed_str(inf->field_selector));
    fed_resource_query_add(&q, "continue", fed_str(cont));
    struct fed_str path = fed_resource_path(a, inf->conf.resource, fed_str(inf->ns), FED_STR(""), "", fed_buf_z(&q));
    fed_buf_release(&q);
    return path;
}

static void list_item(void *ud, struct fed_kobj *obj)
{
    struct fed_informer *inf = ud;
    if (!inf->freed)
        put_object(inf, obj);
}

static void page_read(struct fed_informer *inf, struct fed_str body)
{
    struct fed_arena a = {0};
    struct fed_str cont;
    uint64_t rev;
    int code = fed_list_read(&a, inf->conf.resource, body, list_item, inf, &rev, &cont, NULL);
    free(inf->cont);
    inf->cont = code == 0 && cont.n ? fed_strdup_str(cont) : NULL;
    fed_arena_release(&a);
    if (inf->freed)
        return;
    if (code != 0 || (!inf->cont && rev == 0)) { /* a list of no revision cannot be watched from */
        failed(inf);
        return;
    }
    if (!inf->cont) {
        inf->last_rev = rev;
        inf->delay_ms = 0;
        finish_sweep(inf);
    }
    if (!inf->cont && !rev && !inf->freed) { /* a list without a revision to watch from: asked for again, not at once */
        back_off(inf);
        return;
    }
    inf->state = IDLE;
    run(inf);
}

static void page_done(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct fed_informer *inf = ud;
    inf->call = NULL;
    inf->depth++;
    if (code == 0) {
        page_read(inf, res->body);
    } else {
        /* A continue token that expired means the list starts again; so does any other failure. */
        free(inf->cont);
        inf->cont = NULL;
        is_absent(inf, code);
        if (!inf->freed)
            failed(inf);
    }
    leave(inf);
}

static void start_page(struct fed_informer *inf)
{
    struct fed_arena a = {0};
    char limit[32];
    if (!inf->cont)
        inf->sweep++;
    snprintf(limit, sizeof(limit), "limit=%d", PAGE);
    struct fed_call_request req = {.method = "GET", .path = path_of(inf, &a, limit, inf->cont)};
    inf->state = LISTING;
    inf->call = inf->conf.transport->ops->call(inf->conf.transport, &req, page_done, inf);
    fed_arena_release(&a);
}

static void seems_open(struct fed_timer *timer)
{
    struct fed_informer *inf = fed_container_of(timer, struct fed_informer, timer);
    inf->depth++;
    if (inf->state == FOLLOWING)
        set_live(inf, true);
    leave(inf);
}

static void watch_opened(void *ud)
{
    struct fed_informer *inf = ud;
    inf->depth++;
    if (inf->state == FOLLOWING)
        set_live(inf, true);
    leave(inf);
}

static void bookmark(struct fed_informer *inf, const struct fed_kobj *obj)
{
    if (obj->rev)
        inf->last_rev = obj->rev;
    if (inf->state != STARTING || !fed_str_is(fed_kobj_annotation(obj, "k8s.io/initial-events-end"), "true"))
        return;
    inf->state = FOLLOWING;
    finish_sweep(inf);
}

static void watch_event(void *ud, enum fed_event type, struct fed_kobj *obj)
{
    struct fed_informer *inf = ud;
    if (inf->freed)
        return;
    inf->depth++;
    inf->delay_ms = 0;
    if (inf->state == FOLLOWING)
        set_live(inf, true);
    if (type == FED_EVENT_BOOKMARK) {
        bookmark(inf, obj);
    } else {
        /* While STARTING, a resume would miss what was not yet sent: last_rev moves with the closing bookmark. */
        if (inf->state == FOLLOWING && obj->rev)
            inf->last_rev = obj->rev;
        if (type == FED_EVENT_DELETED)
            delete_object(inf, obj);
        else
            put_object(inf, obj);
    }
    leave(inf);
}

static void watch_end(void *ud, int code, const struct fed_err *err FED_UNUSED)
{
    struct fed_informer *inf = ud;
    bool was_starting = inf->state == STARTING;
    inf->call = NULL;
    inf->depth++;
    fed_timer_stop(inf->env, &inf->timer);
    if (was_starting && (code == FED_E_INVALID || code == FED_E_BAD_REQUEST || code == FED_E_UNSUPPORTED))
        inf->no_watch_list = true; /* an older server: list, then watch */
    if (code == FED_E_EXPIRED || code == FED_E_GONE)
        inf->must_list = true;
    bool short_lived = fed_mono_ns(inf->env) - inf->opened_ns < (uint64_t)SHORT_WATCH_MS * 1000000;
    is_absent(inf, code);
    if (inf->freed) {
        /* a handler had enough */
    } else if (code != 0 && code != FED_E_EXPIRED && code != FED_E_GONE) {
        failed(inf);
    } else if (short_lived) { /* also a server that ends each watch at once: no storm */
        back_off(inf);
    } else {
        inf->state = IDLE;
        run(inf);
    }
    leave(inf);
}

static const struct fed_watch_handlers watch_handlers = {
    .event = watch_event, .end = watch_end, .opened = watch_opened};

static void start_watch(struct fed_informer *inf, bool initial)
{
    struct fed_arena a = {0};
    char params[160];
    if (initial) {
        inf->sweep++;
        snprintf(params, sizeof(params),
                 "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    } else {
        snprintf(params, sizeof(params), "watch=1&allowWatchBookmarks=true&resourceVersion=%" PRIu64, inf->last_rev);
        if (!inf->live)
            fed_timer_start(inf->env, &inf->timer, ASSUME_OPEN_MS, seems_open);
    }
    inf->state = initial ? STARTING : FOLLOWING;
    inf->opened_ns = fed_mono_ns(inf->env);
    inf->call =
        inf->conf.transport->ops->watch(inf->conf.transport, path_of(inf, &a, params, NULL), &watch_handlers, inf);
    fed_arena_release(&a);
}

static void run(struct fed_informer *inf)
{
    if (inf->freed)
        return;
    if (inf->synced && !inf->must_list && !inf->cont && inf->last_rev)
        start_watch(inf, false);
    else if (inf->conf.transport->watch_list && !inf->no_watch_list && !inf->cont)
        start_watch(inf, true);
    else
        start_page(inf);
}

/* --- the public face --- */

struct fed_informer *fed_informer_new(const struct fed_informer_conf *conf)
{
    struct fed_informer *inf = FED_NEW(struct fed_informer);
    inf->conf = *conf;
    inf->env = conf->transport->env;
    inf->ns = conf->ns ? fed_strdup(conf->ns) : NULL;
    inf->label_selector = conf->label_selector ? fed_strdup(conf->label_selector) : NULL;
    inf->field_selector = conf->field_selector ? fed_strdup(conf->field_selector) : NULL;
    fed_list_init(&inf->handlers);
    return inf;
}

static void welcome(struct fed_task *task)
{
    struct fed_informer *inf = fed_container_of(task, struct fed_informer, welcome);
    inf->depth++;
    FED_LIST_EACH_SAFE(l, &inf->handlers) {
        struct handler *h = fed_container_of(l, struct handler, link);
        if (!h->fresh || inf->freed)
            continue;
        h->fresh = false;
        FED_MAP_EACH(e, &inf->items) {
            if (h->h.changed && !inf->freed)
                h->h.changed(h->h.ud, NULL, ((struct item *)e->value)->obj);
        }
        if (inf->live && h->h.connected && !inf->freed)
            h->h.connected(h->h.ud, true);
        if (inf->synced && h->h.synced && !inf->freed)
            h->h.synced(h->h.ud);
    }
    leave(inf);
}

void fed_informer_add_handlers(struct fed_informer *inf, const struct fed_informer_handlers *h)
{
    struct handler *n = FED_NEW(struct handler);
    n->h = *h;
    fed_list_push_back(&inf->handlers, &n->link);
    if (inf->synced || inf->live || fed_map_count(&inf->items)) {
        n->fresh = true;
        fed_task_post(inf->env, &inf->welcome, welcome);
    }
}

void fed_informer_start(struct fed_informer *inf)
{
    if (inf->state == IDLE && !inf->call)
        run(inf);
}

static void destroy(struct fed_informer *inf)
{
    FED_MAP_EACH(e, &inf->items) {
        struct item *it = e->value;
        fed_kobj_unref(it->obj);
        free(it);
    }
    fed_map_release(&inf->items);
    FED_MAP_EACH(e, &inf->owners)
        free(e->value);
    fed_map_release(&inf->owners);
    FED_MAP_EACH(e, &inf->labels)
        free(e->value);
    fed_map_release(&inf->labels);
    FED_LIST_EACH_SAFE(l, &inf->handlers)
        free(fed_container_of(l, struct handler, link));
    fed_buf_release(&inf->key);
    free(inf->cont);
    free(inf->ns);
    free(inf->label_selector);
    free(inf->field_selector);
    free(inf);
}

void fed_informer_free(struct fed_informer *inf)
{
    if (!inf || inf->freed)
        return;
    inf->freed = true;
    fed_call_cancel(inf->call);
    inf->call = NULL;
    fed_timer_stop(inf->env, &inf->timer);
    fed_list_remove(&inf->waiting);
    fed_task_cancel(&inf->welcome);
    if (inf->depth == 0)
        destroy(inf);
}

bool fed_informer_synced(const struct fed_informer *inf)
{
    return inf->synced;
}

bool fed_informer_connected(const struct fed_informer *inf)
{
    return inf->live;
}

static void *find_by(const struct fed_map *map, struct fed_str ns, struct fed_str name)
{
    char room[400];
    struct fed_buf b = {0};
    struct fed_str key = {room, ns.n + 1 + name.n};
    if (key.n <= sizeof(room)) {
        memcpy(room, ns.p ? ns.p : "", ns.n);
        room[ns.n] = '/';
        memcpy(room + ns.n + 1, name.p ? name.p : "", name.n);
    } else {
        fed_buf_add(&b, ns);
        fed_buf_addc(&b, '/');
        fed_buf_add(&b, name);
        key = fed_buf_str(&b);
    }
    void *found = fed_map_find(map, key);
    fed_buf_release(&b);
    return found;
}

struct fed_kobj *fed_informer_find(const struct fed_informer *inf, struct fed_str ns, struct fed_str name)
{
    const struct item *it = find_by(&inf->items, ns, name);
    return it ? it->obj : NULL;
}

size_t fed_informer_count(const struct fed_informer *inf)
{
    return fed_map_count(&inf->items);
}

void fed_informer_each(const struct fed_informer *inf, struct fed_str ns, bool (*each)(void *ud, struct fed_kobj *obj),
                       void *ud)
{
    FED_MAP_EACH(e, &inf->items) {
        struct item *it = e->value;
        if ((!ns.n || fed_str_eq(it->obj->ns, ns)) && !each(ud, it->obj))
            return;
    }
}

void fed_informer_each_labeled(const struct fed_informer *inf, struct fed_str ns, struct fed_str value,
                               bool (*each)(void *ud, struct fed_kobj *obj), void *ud)
{
    const struct group *g = find_by(&inf->labels, ns, value);
    if (!g)
        return;
    FED_LIST_EACH(l, &g->items) {
        if (!each(ud, fed_container_of(l, struct item, labeled)->obj))
            return;
    }
}

void fed_informer_each_owned(const struct fed_informer *inf, struct fed_str owner_uid,
                             bool (*each)(void *ud, struct fed_kobj *obj), void *ud)
{
    const struct group *o = fed_map_find(&inf->owners, owner_uid);
    if (!o)
        return;
    FED_LIST_EACH(l, &o->items) {
        if (!each(ud, fed_container_of(l, struct item, owned)->obj))
            return;
    }
}
