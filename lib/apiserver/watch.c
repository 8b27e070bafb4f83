/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/watch.h"

#include "apiserver/custom_convert.h"
#include "base/mem.h"

#define BACKLOG_MAX (256u * 1024) /* bytes waiting at a client before it has to read on from the log */
#define BOOKMARK_MS 60000u
#define MAX_LINES   8

enum state { INITIAL, BEHIND, FOLLOWING };

struct fed_watcher {
    struct fed_list link; /* kc->watchers */
    struct fed_hub *hub;
    struct fed_kcache *kc;
    struct fed_watch_spec spec;
    struct fed_arena arena;
    const struct fed_sink_ops *ops;
    void *ud;
    enum state state;
    struct fed_node *root; /* INITIAL: the snapshot, and the last object sent of it */
    struct fed_kobj *last;
    uint64_t root_rev;
    uint64_t seq; /* next change to look at (INITIAL: after the snapshot; BEHIND) */
    size_t backlog;
    struct fed_metric *open, *events;
    bool gone, columns_sent, walked;
    bool initial_ready;            /* the snapshot's objects are converted */
    struct fed_conv_wait *convert; /* a webhook is at work for it: it waits */
    struct fed_task task;
    struct fed_timer timer;
};
struct fed_hub {
    struct fed_api *api;
    struct fed_task task;
    struct fed_timer bookmarks;
    uint64_t seq; /* next change to hand to the followers */
    size_t n;
    unsigned busy;
    bool sweep;
};

static const char *const type_name[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};

/* --- encodings of one change, shared by its watchers --- */

struct line {
    enum fed_event type;
    const struct fed_kobj *obj;
    struct fed_form form;
    struct fed_blob *blob;
};
struct lines {
    struct line items[MAX_LINES];
    size_t n;
    struct fed_kobj
        *left; /* the state before, stamped with the change's revision: for those whose selector it leaves */
};

static struct fed_blob *make_line(struct fed_hub *hub, enum fed_event type, struct fed_kobj *o,
                                  const struct fed_form *f, bool columns)
{
    struct fed_buf b = {0};
    fed_buf_addz(&b, "{\"type\":\"");
    fed_buf_addz(&b, type_name[type]);
    fed_buf_addz(&b, "\",\"object\":");
    fed_form_write(&b, o, f, fed_wall_ms(hub->api->env), columns);
    fed_buf_addz(&b, "}\n");
    return fed_blob_new_take(&b);
}

/* A reference of its own. */
static struct fed_blob *line_for(struct fed_watcher *w, enum fed_event type, struct fed_kobj *o, struct lines *l)
{
    if (w->spec.form.kind == FED_FORM_TABLE && !w->columns_sent) {
        w->columns_sent = true;
        return make_line(w->hub, type, o, &w->spec.form, true);
    }
    for (size_t i = 0; l && i < l->n; i++)
        if (l->items[i].type == type && l->items[i].obj == o && fed_form_equal(&l->items[i].form, &w->spec.form))
            return fed_blob_ref(l->items[i].blob);
    struct fed_blob *blob = make_line(w->hub, type, o, &w->spec.form, false);
    if (l && l->n < MAX_LINES)
        l->items[l->n++] = (struct line){type, o, w->spec.form, fed_blob_ref(blob)};
    return blob;
}

static void lines_release(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        fed_blob_unref(l->items[i].blob);
    fed_kobj_unref(l->left);
    *l = (struct lines){0};
}

/* --- one watcher --- */

static void free_watcher(struct fed_watcher *w)
{
    fed_list_remove(&w->link);
    fed_conv_cancel(w->convert);
    fed_task_cancel(&w->task);
    fed_timer_stop(w->hub->api->env, &w->timer);
    fed_tree_unref(w->root);
    fed_kobj_unref(w->last);
    fed_arena_release(&w->arena);
    fed_kind_unref(w->spec.form.v->kind);
    fed_kcache_unref(w->kc);
    w->hub->n--;
    fed_metric_add(w->open, -1);
    free(w);
}

/* The watcher is to be forgotten; while the hub walks its lists that waits. */
void fed_watch_gone(struct fed_watcher *w)
{
    w->gone = true;
    w->hub->sweep = true;
    if (!w->hub->busy)
        free_watcher(w);
}

static void sweep(struct fed_hub *hub)
{
    if (hub->busy || !hub->sweep)
        return;
    hub->sweep = false;
    FED_MAP_EACH(e, &hub->api->cache.kinds) {
        struct fed_kcache *kc = e->value;
        FED_LIST_EACH_SAFE(it, &kc->watchers) {
            struct fed_watcher *w = FED_LIST_ENTRY(it, struct fed_watcher, link);
            if (w->gone)
                free_watcher(w);
        }
    }
}

static void end_watcher(struct fed_watcher *w, int code, const char *text)
{
    if (w->gone)
        return;
    struct fed_err err = {0};
    if (code)
        fed_err_set(&err, code, "%s", text);
    w->gone = true;
    w->hub->sweep = true;
    w->ops->end(w->ud, code, code ? &err : NULL);
    if (!w->hub->busy)
        free_watcher(w);
}

static void emit(struct fed_watcher *w, enum fed_event type, struct fed_kobj *o, struct lines *l)
{
    fed_metric_add(w->events, 1);
    if (!w->ops->line) {
        w->ops->object(w->ud, type, o);
        return;
    }
    struct fed_blob *blob = line_for(w, type, o, l);
    w->backlog = w->ops->line(w->ud, blob);
    fed_blob_unref(blob);
}

/* An empty object of the form, with only its revision. */
static struct fed_str bookmark_json(struct fed_watcher *w, uint64_t rev, bool initial_end, struct fed_buf *b)
{
    const struct fed_form *f = &w->spec.form;
    char meta[160];
    int n = snprintf(meta, sizeof meta, "{\"resourceVersion\":\"%llu\",\"creationTimestamp\":null%s}",
                     (unsigned long long)rev,
                     initial_end ? ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}" : "");
    if (f->kind == FED_FORM_TABLE) {
        fed_form_table_begin(b, f, fed_str_n(meta, (size_t)n), !w->columns_sent);
        w->columns_sent = true;
        fed_buf_addz(b, "]}");
        return fed_buf_str(b);
    }
    bool partial = f->kind == FED_FORM_PARTIAL;
    fed_buf_addz(b, "{\"kind\":\"");
    fed_buf_add(b, partial ? FED_STR("PartialObjectMetadata") : w->kc->kind->kind);
    fed_buf_addz(b, "\",\"apiVersion\":\"");
    fed_buf_add(b, partial ? FED_STR("meta.k8s.io/") : f->v->api_version);
    if (partial)
        fed_buf_addz(b, f->meta_version);
    fed_buf_addz(b, "\",\"metadata\":");
    fed_buf_append(b, meta, (size_t)n);
    fed_buf_addc(b, '}');
    return fed_buf_str(b);
}

static void send_bookmark(struct fed_watcher *w, uint64_t rev, bool initial_end)
{
    struct fed_buf b = {0};
    if (!w->ops->line) {
        struct fed_kobj *o = NULL;
        if (fed_kobj_new_bookmark(bookmark_json(w, rev, initial_end, &b), &o, NULL) == 0) {
            o->rev = rev;
            w->ops->object(w->ud, FED_EVENT_BOOKMARK, o);
        }
        fed_kobj_unref(o);
        fed_buf_release(&b);
        return;
    }
    fed_buf_addz(&b, "{\"type\":\"BOOKMARK\",\"object\":");
    (void)bookmark_json(w, rev, initial_end, &b);
    fed_buf_addz(&b, "}\n");
    struct fed_blob *blob = fed_blob_new_take(&b);
    w->backlog = w->ops->line(w->ud, blob);
    fed_blob_unref(blob);
}

static bool match(struct fed_watcher *w, struct fed_kobj *o)
{
    if (!o)
        return false;
    struct fed_arena scratch = {0};
    bool yes = fed_filter_match(&w->spec.filter, o, &scratch);
    fed_arena_release(&scratch);
    return yes;
}

/* The state before, in the change's revision; with what a webhook made of it. */
static struct fed_kobj *make_left(struct fed_watcher *w, const struct fed_change *ch)
{
    struct fed_kobj *left = fed_cache_restamp(ch->old, ch->rev), *seen = NULL;
    const struct fed_kind_version *v = w->spec.form.v;
    struct fed_form whole = {.kind = FED_FORM_OBJECT, .v = v};
    if (fed_form_ready(left, &w->spec.form) ||
        fed_kobj_new_at(fed_form_bytes(ch->old, &whole, NULL), ch->rev, &seen, NULL))
        return left;
    struct fed_blob *blob = fed_blob_new(seen->json);
    fed_form_put(left, v, blob);
    fed_blob_unref(blob);
    fed_kobj_unref(seen);
    return left;
}

static bool selects(const struct fed_watcher *w)
{
    return w->spec.filter.labels.n || w->spec.filter.labels.nothing || w->spec.filter.fields.n;
}

/* All that may be sent of the change is there in the watcher's version. */
static bool change_ready(const struct fed_watcher *w, const struct fed_change *ch)
{
    const struct fed_form *f = &w->spec.form;
    return !f->v->kind->conversion ||
           (fed_form_ready(ch->now, f) && (!ch->old || !selects(w) || fed_form_ready(ch->old, f)));
}

static void deliver(struct fed_watcher *w, const struct fed_change *ch, struct lines *l)
{
    if (w->spec.from_rev && ch->rev <= w->spec.rev)
        return;
    bool before = match(w, ch->old), after = !ch->deleted && match(w, ch->now);
    if (after) {
        emit(w, before ? FED_EVENT_MODIFIED : FED_EVENT_ADDED, ch->now, l);
    } else if (before && ch->deleted) {
        emit(w, FED_EVENT_DELETED, ch->now, l);
    } else if (before) {
        struct fed_kobj *left = l && l->left ? fed_kobj_ref(l->left) : make_left(w, ch);
        if (l && !l->left)
            l->left = fed_kobj_ref(left);
        emit(w, FED_EVENT_DELETED, left, l);
        fed_kobj_unref(left);
    }
}

static bool send_initial(void *ud, struct fed_kobj *o)
{
    struct fed_watcher *w = ud;
    if (w->backlog > BACKLOG_MAX)
        return false;
    fed_kobj_ref(o);
    fed_kobj_unref(w->last);
    w->last = o;
    if (match(w, o))
        emit(w, FED_EVENT_ADDED, o, NULL);
    return !w->gone;
}

static void pump_task(struct fed_task *t);

static void converted(void *ud, int code, const struct fed_err *err)
{
    struct fed_watcher *w = ud;
    w->convert = NULL;
    if (code)
        end_watcher(w, code, err->text);
    else
        fed_task_post(w->hub->api->env, &w->task, pump_task);
}

static void convert_change(struct fed_watcher *w, const struct fed_change *ch)
{
    struct fed_kobj *objs[2] = {ch->now, ch->old};
    w->convert = fed_conv_objects(w->hub->api, w->spec.form.v, objs, ch->old && selects(w) ? 2 : 1, converted, w);
}

struct unready {
    struct fed_watcher *w;
    struct fed_kobj **objs;
    size_t n, cap;
};

static bool collect_unready(void *ud, struct fed_kobj *o)
{
    struct unready *u = ud;
    if (fed_form_ready(o, &u->w->spec.form))
        return true;
    if (u->n == u->cap) {
        u->cap = u->cap ? u->cap * 2 : 64;
        u->objs = fed_realloc(u->objs, u->cap * sizeof(struct fed_kobj *));
    }
    u->objs[u->n++] = o;
    return true;
}

/* The whole snapshot at once, so that the webhook is asked in batches. True: it is at work. */
static bool convert_initial(struct fed_watcher *w)
{
    struct unready u = {.w = w};
    struct fed_str none = {NULL, 0};
    if (w->initial_ready || !w->spec.form.v->kind->conversion)
        return false;
    w->initial_ready = true;
    fed_tree_walk(w->root, w->spec.filter.ns, none, none, collect_unready, &u);
    if (u.n)
        w->convert = fed_conv_objects(w->hub->api, w->spec.form.v, u.objs, u.n, converted, w);
    free(u.objs);
    return w->convert != NULL;
}

static void pump_initial(struct fed_watcher *w)
{
    struct fed_str ns = {NULL, 0}, name = {NULL, 0};
    if (convert_initial(w))
        return;
    if (w->last) {
        ns = w->last->ns;
        name = w->last->name;
    }
    /* `last` moves during the walk: hold the one that the walk compares with. */
    struct fed_kobj *hold = fed_kobj_ref(w->last);
    fed_tree_walk(w->root, w->spec.filter.ns, ns, name, send_initial, w);
    fed_kobj_unref(hold);
    if (w->gone || w->backlog > BACKLOG_MAX)
        return;
    fed_tree_unref(w->root);
    fed_kobj_unref(w->last);
    w->root = NULL;
    w->last = NULL;
    w->state = BEHIND;
    if (w->spec.initial_bookmark)
        send_bookmark(w, w->root_rev, true);
}

static void pump(struct fed_watcher *w)
{
    struct fed_hub *hub = w->hub;
    struct fed_cache *c = &hub->api->cache;
    if (w->convert)
        return;
    hub->busy++;
    if (w->state == INITIAL)
        pump_initial(w);
    while (!w->gone && w->state == BEHIND && w->backlog <= BACKLOG_MAX && w->seq < hub->seq) {
        if (w->seq < c->first_seq) {
            end_watcher(w, FED_E_EXPIRED, "the watcher was too slow: its place in the log of changes is gone");
            break;
        }
        const struct fed_change *ch = fed_cache_change(c, w->seq);
        if (ch->kc == w->kc && !change_ready(w, ch)) {
            convert_change(w, ch);
            break;
        }
        w->seq++;
        if (ch->kc == w->kc)
            deliver(w, ch, NULL);
    }
    if (!w->gone && w->state == BEHIND && w->seq >= hub->seq && w->backlog <= BACKLOG_MAX)
        w->state = FOLLOWING;
    hub->busy--;
    sweep(hub);
}

static void pump_task(struct fed_task *t)
{
    pump(fed_container_of(t, struct fed_watcher, task));
}

void fed_watch_drained(struct fed_watcher *w)
{
    w->backlog = 0;
    if (!w->gone && w->state != FOLLOWING)
        fed_task_post(w->hub->api->env, &w->task, pump_task);
}

/* A bookmark promises that all up to its revision was sent: not while changes wait for the followers, or it for them. */
static void bookmark(struct fed_watcher *w)
{
    const struct fed_cache *c = &w->hub->api->cache;
    if (w->spec.bookmarks && w->state == FOLLOWING && w->backlog <= BACKLOG_MAX && w->hub->seq == c->next_seq)
        send_bookmark(w, c->rev, false);
}

static void timed_out(struct fed_timer *t)
{
    struct fed_watcher *w = fed_container_of(t, struct fed_watcher, timer);
    struct fed_hub *hub = w->hub;
    hub->busy++;
    bookmark(w);
    end_watcher(w, 0, "");
    hub->busy--;
    sweep(hub);
}

int fed_watch_start(struct fed_hub *hub, struct fed_kcache *kc, const struct fed_watch_spec *spec,
                    struct fed_arena *arena, const struct fed_sink_ops *ops, void *ud, struct fed_watcher **out,
                    struct fed_err *err)
{
    struct fed_cache *c = &hub->api->cache;
    uint64_t seq = hub->seq;
    if (spec->from_rev && (spec->rev < kc->since || fed_cache_seq_after(c, spec->rev, &seq)))
        return fed_err_set(err, FED_E_EXPIRED, "too old resource version: %llu (%llu)", (unsigned long long)spec->rev,
                           (unsigned long long)c->floor);
    if (spec->from_rev && spec->rev > c->rev) /* a backup was put in the store's place: waiting would miss changes */
        return fed_err_set(err, FED_E_EXPIRED, "resource version %llu is ahead of the store's (%llu): list again",
                           (unsigned long long)spec->rev, (unsigned long long)c->rev);
    struct fed_watcher *w = FED_NEW(struct fed_watcher);
    w->hub = hub;
    w->kc = fed_kcache_ref(kc);
    w->spec = *spec;
    (void)fed_kind_ref(spec->form.v->kind);
    w->arena = *arena;
    *arena = (struct fed_arena){0};
    w->ops = ops;
    w->ud = ud;
    w->state = BEHIND;
    w->seq = FED_MIN(seq, c->next_seq);
    if (spec->initial) {
        w->state = INITIAL;
        w->root = fed_cache_snapshot(kc);
        w->root_rev = c->rev;
        w->seq = c->next_seq;
    }
    fed_list_push_back(&kc->watchers, &w->link);
    hub->n++;
    fed_api_watch_metrics(hub->api, spec->form.v, spec->filter.ns.n > 0, &w->open, &w->events);
    fed_metric_add(w->open, 1);
    uint64_t ms = spec->timeout_ms;
    if (!ms) /* spread, so that not all clients come back at once */
        ms = 1800000 + fed_random_below(hub->api->env, 1800000);
    fed_timer_start(hub->api->env, &w->timer, ms, timed_out);
    fed_task_post(hub->api->env, &w->task, pump_task);
    *out = w;
    return 0;
}

/* --- the hub --- */

static void hand_out(struct fed_hub *hub, const struct fed_change *ch)
{
    struct lines lines = {0};
    bool last = hub->seq + 1 == hub->api->cache.next_seq; /* nothing follows that could share a record with it */
    FED_LIST_EACH(it, &ch->kc->watchers) {
        struct fed_watcher *w = FED_LIST_ENTRY(it, struct fed_watcher, link);
        /* seq > hub->seq: started in this turn from a snapshot that has the change already. */
        if (w->gone || w->state != FOLLOWING || w->seq > hub->seq)
            continue;
        if (w->backlog > BACKLOG_MAX) {
            w->state = BEHIND;
            w->seq = hub->seq;
            continue;
        }
        if (!change_ready(w, ch)) {
            w->state = BEHIND;
            w->seq = hub->seq;
            fed_task_post(hub->api->env, &w->task, pump_task);
            continue;
        }
        deliver(w, ch, &lines);
        if (last && !w->gone && w->ops->flush && w->backlog)
            w->backlog = w->ops->flush(w->ud);
    }
    lines_release(&lines);
}

static void fan_out(struct fed_task *t)
{
    struct fed_hub *hub = fed_container_of(t, struct fed_hub, task);
    struct fed_cache *c = &hub->api->cache;
    /* More changes in one turn than the log holds would lose some silently: keep is far above what a turn commits. */
    FED_REQUIRE(hub->seq >= c->first_seq || hub->n == 0);
    hub->seq = FED_MAX(hub->seq, c->first_seq);
    hub->busy++;
    for (; hub->seq < c->next_seq; hub->seq++)
        hand_out(hub, fed_cache_change(c, hub->seq));
    hub->busy--;
    sweep(hub);
    fed_metric_set(hub->api->m_objects, (int64_t)c->rev);
}

/* Behind the answers to those who wrote, which were posted after it: a thousand watchers take a while. */
static void fan_out_soon(struct fed_task *t)
{
    struct fed_hub *hub = fed_container_of(t, struct fed_hub, task);
    fed_task_post(hub->api->env, t, fan_out);
}

void fed_hub_wake(struct fed_hub *hub)
{
    struct fed_cache *c = &hub->api->cache;
    /* In a burst larger than half the log, hand out at once rather than in the posted task. */
    if (c->next_seq - hub->seq >= c->keep / 2 && !hub->busy)
        fan_out(&hub->task);
    else if (!fed_list_linked(&hub->task.link)) /* one that is to come takes these along: it is not put off again */
        fed_task_post(hub->api->env, &hub->task, fan_out_soon);
}

void fed_hub_loaded(struct fed_hub *hub)
{
    hub->seq = hub->api->cache.next_seq;
}

static void each_watcher(struct fed_hub *hub, void (*fn)(struct fed_watcher *w))
{
    hub->busy++;
    FED_MAP_EACH(e, &hub->api->cache.kinds) {
        struct fed_kcache *kc = e->value;
        FED_LIST_EACH(it, &kc->watchers) {
            struct fed_watcher *w = FED_LIST_ENTRY(it, struct fed_watcher, link);
            if (!w->gone)
                fn(w);
        }
    }
    hub->busy--;
    sweep(hub);
}

static void bookmark_all(struct fed_timer *t)
{
    struct fed_hub *hub = fed_container_of(t, struct fed_hub, bookmarks);
    fed_timer_start(hub->api->env, t, BOOKMARK_MS, bookmark_all);
    each_watcher(hub, bookmark);
}

static void end_one(struct fed_watcher *w)
{
    end_watcher(w, 0, "");
}

struct fed_hub *fed_hub_new(struct fed_api *api)
{
    struct fed_hub *hub = FED_NEW(struct fed_hub);
    hub->api = api;
    hub->seq = 1;
    fed_timer_start(api->env, &hub->bookmarks, BOOKMARK_MS, bookmark_all);
    return hub;
}

void fed_hub_end_kind(struct fed_hub *hub, struct fed_kcache *kc)
{
    if (!hub->busy)
        fan_out(&hub->task);
    hub->busy++;
    FED_LIST_EACH(it, &kc->watchers) {
        struct fed_watcher *w = FED_LIST_ENTRY(it, struct fed_watcher, link);
        if (!w->gone)
            end_watcher(w, 0, "");
    }
    hub->busy--;
    sweep(hub);
}

static void cut_one(struct fed_watcher *w)
{
    end_watcher(w, FED_E_EXPIRED, "the history of changes was lost while the store was away");
}

void fed_hub_gap(struct fed_hub *hub)
{
    hub->seq = hub->api->cache.next_seq;
    each_watcher(hub, cut_one);
}

void fed_hub_stop(struct fed_hub *hub)
{
    each_watcher(hub, end_one);
}

void fed_hub_free(struct fed_hub *hub)
{
    if (!hub)
        return;
    fed_hub_stop(hub);
    fed_task_cancel(&hub->task);
    fed_timer_stop(hub->api->env, &hub->bookmarks);
    free(hub);
}

void fed_watch_put_error(struct fed_buf *out, const struct fed_err *err)
{
    fed_buf_addz(out, "{\"type\":\"ERROR\",\"object\":");
    fed_status_write(out, err->code, err->text, NULL);
    while (out->n && out->p[out->n - 1] == '\n')
        out->n--;
    fed_buf_addz(out, "}\n");
}
