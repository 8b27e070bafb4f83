/* SPDX-License-Identifier: Apache-2.0 */
/* fake_call.c: requests and watches of the fake API server. */
#include <inttypes.h>

#include "base/mem.h"
#include "codec/patch.h"
#include "http/url.h"
#include "kube/fake_priv.h"
#include "kube/names.h"
#include "kube/selector.h"
#include "kube/status.h"

struct fake_transport {
    struct fed_transport t; /* first */
    struct fed_fake *fake;
};
struct fake_call {
    struct fed_call base; /* first */
    struct fed_list link; /* of the fake's calls */
    struct fed_fake *fake;
    struct fed_task task;
    struct fed_timer timer;
    char *method, *path, *type, *body;
    size_t body_n;
    fed_call_cb cb;
    struct fed_watch_handlers h;
    void *ud;
    bool watch, open, dead;
    int end_code;           /* of a watch that is to end: 1 = no end yet */
    bool initial;           /* sendInitialEvents under way */
    size_t at;              /* next change to look at */
    struct fed_arena arena; /* of the parsed path */
    struct request *req;
};
struct request {             /* a parsed path */
    struct fed_str resource; /* "group/plural" */
    struct fed_str ns, name, sub;
    struct fed_str api_version, plural;
    struct fed_query query;
    struct fed_selector labels;
    struct fed_field_selector fields;
    struct fed_str kind; /* of the first object seen; lists only */
};

/* --- reading the request --- */

static int parse_request(struct fed_arena *a, const char *path, struct request *r)
{
    struct fed_str rest = fed_str(path), query = {0}, part, group = FED_STR(""), version;
    *r = (struct request){0};
    ptrdiff_t mark = fed_str_chr(rest, '?', 0);
    if (mark >= 0) {
        query = fed_str_from(rest, (size_t)mark + 1);
        rest = fed_str_head(rest, (size_t)mark);
    }
    rest = fed_str_from(rest, 1);
    if (!fed_str_cut(&rest, '/', &part))
        return FED_E_NOT_FOUND;
    if (fed_str_is(part, "apis") && !fed_str_cut(&rest, '/', &group))
        return FED_E_NOT_FOUND;
    if (!fed_str_cut(&rest, '/', &version) || !fed_str_cut(&rest, '/', &part))
        return FED_E_NOT_FOUND;
    if (fed_str_is(part, "namespaces") && rest.p && fed_str_chr(rest, '/', 0) >= 0) {
        struct fed_str after = rest, ns, next;
        fed_str_cut(&after, '/', &ns);
        next = after;
        struct fed_str word;
        fed_str_cut(&next, '/', &word);
        if (!fed_str_is(word, "finalize") && !fed_str_is(word, "status")) {
            r->ns = ns;
            part = word;
            rest = next;
        }
    }
    r->plural = part;
    r->resource = fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(group), FED_STR_ARG(part));
    r->api_version = group.n ? fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(group), FED_STR_ARG(version)) : version;
    if (rest.p && fed_str_cut(&rest, '/', &part) && fed_url_decode(a, part, false, &r->name) != 0)
        return FED_E_BAD_REQUEST;
    if (rest.p)
        r->sub = rest;
    int code = fed_query_parse(a, query, &r->query, NULL);
    if (code == 0)
        code = fed_selector_parse(a, fed_query_find(&r->query, "labelSelector"), &r->labels, NULL);
    if (code == 0)
        code = fed_field_selector_parse(a, fed_query_find(&r->query, "fieldSelector"), &r->fields, NULL);
    return code;
}

/* Field selectors: any path to a text. */
static bool fields_match(const struct request *r, const struct fed_kobj *o)
{
    struct fed_arena a = {0};
    bool ok = true;
    const struct fed_json *tree = r->fields.n ? fed_kobj_parse(o, &a) : NULL;
    for (size_t i = 0; i < r->fields.n && ok; i++) {
        const struct fed_json *v = tree;
        struct fed_str path = r->fields.reqs[i].path, piece;
        while (fed_str_cut(&path, '.', &piece))
            v = fed_json_find_str(v, piece);
        ok = fed_str_eq(fed_json_str(v), r->fields.reqs[i].value) != r->fields.reqs[i].not_equal;
    }
    fed_arena_release(&a);
    return ok;
}

static bool matches(const struct request *r, const struct fed_kobj *o)
{
    return o && (!r->ns.n || fed_str_eq(o->ns, r->ns)) && (!r->name.n || fed_str_eq(o->name, r->name)) &&
           fed_selector_matches(&r->labels, o->labels, o->n_labels) && fields_match(r, o);
}

static bool in_resource(const struct request *r, struct fed_str key)
{
    return fed_str_starts(key, r->resource) && key.p[r->resource.n] == '|';
}

/* --- requests --- */

struct answer {
    struct fed_buf body;
    int code;
    struct fed_err err;
};

static void fail(struct answer *ans, int code, const struct request *r)
{
    struct fed_status_details d = {.name = r->name, .kind = r->plural};
    ans->code = code;
    fed_status_write(&ans->body, code, NULL, &d);
}

static void do_list(struct fed_fake *f, const struct request *r, struct answer *ans)
{
    uint64_t limit = 0, from = 0, n = 0, at = 0;
    if (fed_str_u64(fed_query_find(&r->query, "limit"), &limit) != 0)
        limit = 0;
    if (fed_str_u64(fed_query_find(&r->query, "continue"), &from) != 0)
        from = 0;
    fed_buf_addf(&ans->body, "{\"kind\":\"List\",\"apiVersion\":\"%.*s\",\"items\":[", FED_STR_ARG(r->api_version));
    uint64_t next = 0;
    FED_MAP_EACH(e, &f->objects) {
        at++;
        if (at <= from || !in_resource(r, e->key) || !matches(r, e->value))
            continue;
        if (limit && n == limit) {
            next = at - 1;
            break;
        }
        if (n++)
            fed_buf_addc(&ans->body, ',');
        fed_buf_add(&ans->body, ((struct fed_kobj *)e->value)->json);
    }
    fed_buf_addf(&ans->body, "],\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", f->rev);
    if (next)
        fed_buf_addf(&ans->body, ",\"continue\":\"%" PRIu64 "\"", next);
    fed_buf_addz(&ans->body, "}}");
}

static void do_create(struct fed_fake *f, const struct request *r, struct fed_arena *a, struct fed_json *obj,
                      struct answer *ans)
{
    struct fed_json *meta = fed_obj_metadata(a, obj);
    char uid[37], now[21];
    struct request named = *r;
    if (!fed_obj_name(obj).n && fed_json_find_text(meta, "generateName").n)
        fed_json_set(meta, "name",
                     fed_json_new_str(a, fed_name_generate(f->env, a, fed_json_find_text(meta, "generateName"))));
    named.name = fed_obj_name(obj);
    if (r->ns.n)
        fed_json_set(meta, "namespace", fed_json_new_str(a, r->ns));
    if (!named.name.n) {
        fail(ans, FED_E_INVALID, &named);
        return;
    }
    if (fed_fake_lookup(f, r->resource, r->ns, named.name)) {
        fail(ans, FED_E_ALREADY_EXISTS, &named);
        return;
    }
    fed_uuid(f->env, uid);
    fed_time_format(fed_wall_ms(f->env), now);
    fed_json_set(meta, "uid", fed_json_new_str(a, fed_arena_dup(a, fed_str(uid))));
    fed_json_set(meta, "creationTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(now))));
    fed_json_set(meta, "generation", fed_json_new_int(a, 1));
    fed_fake_store(f, r->resource, obj);
    fed_buf_add(&ans->body, fed_fake_lookup(f, r->resource, fed_obj_ns(obj), named.name)->json);
}

static void keep_member(struct fed_arena *a, struct fed_json *obj, const struct fed_json *old, const char *key)
{
    const struct fed_json *v = fed_json_find(old, key);
    if (v)
        fed_json_set(obj, key, fed_json_copy(a, v));
    else
        fed_json_remove_key(obj, key);
}

static bool has_finalizers(const struct fed_json *obj)
{
    const struct fed_json *meta = fed_json_at(obj, "metadata", "finalizers", NULL);
    const struct fed_json *spec = fed_json_at(obj, "spec", "finalizers", NULL);
    return (meta && meta->n) || (spec && spec->n);
}

static void do_update(struct fed_fake *f, const struct request *r, struct fed_arena *a, struct fed_kobj *old,
                      struct fed_json *obj, struct answer *ans)
{
    struct fed_json *was = fed_kobj_parse(old, a), *meta = fed_obj_metadata(a, obj);
    static const char *const fixed[] = {"uid", "creationTimestamp", "deletionTimestamp", "generation"};
    struct fed_str rev = fed_json_find_text(meta, "resourceVersion"), uid = fed_json_find_text(meta, "uid");
    if ((rev.n && !fed_str_eq(rev, fed_json_find_text(fed_json_find(was, "metadata"), "resourceVersion"))) ||
        (uid.n && !fed_str_eq(uid, old->uid))) {
        fail(ans, FED_E_CONFLICT, r);
        return;
    }
    if (fed_str_is(r->sub, "status")) {
        struct fed_json *next = fed_kobj_parse(old, a);
        keep_member(a, next, obj, "status");
        keep_member(a, fed_obj_metadata(a, next), meta, "annotations");
        obj = next;
        meta = fed_obj_metadata(a, obj);
    } else if (r->sub.n == 0) {
        keep_member(a, obj, was, "status");
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        keep_member(a, meta, fed_json_find(was, "metadata"), fixed[i]);
    if (!fed_json_equal(fed_json_find(obj, "spec"), fed_json_find(was, "spec")))
        fed_json_set(meta, "generation", fed_json_new_int(a, old->generation + 1));
    keep_member(a, meta, fed_json_find(was, "metadata"), "resourceVersion");
    if (old->deleting && !has_finalizers(obj)) {
        fed_fake_erase(f, r->resource, old);
        fed_json_write(&ans->body, obj);
        return;
    }
    if (!fed_json_equal(obj, was))
        fed_fake_store(f, r->resource, obj);
    fed_buf_add(&ans->body, fed_fake_lookup(f, r->resource, fed_obj_ns(obj), fed_obj_name(obj))->json);
}

static void do_patch(struct fed_fake *f, const struct request *r, struct fed_arena *a, const struct fake_call *c,
                     struct fed_kobj *old, struct fed_json *patch, struct answer *ans)
{
    struct fed_json *doc = fed_kobj_parse(old, a);
    int code = 0;
    if (strstr(c->type, "json-patch"))
        code = fed_json_patch(a, &doc, patch, &ans->err);
    else if (strstr(c->type, "merge-patch"))
        doc = fed_json_merge_patch(a, doc, patch);
    else
        code = FED_E_UNSUPPORTED_MEDIA;
    if (code != 0)
        fail(ans, code, r);
    else
        do_update(f, r, a, old, doc, ans);
}

static void do_delete(struct fed_fake *f, const struct request *r, struct fed_arena *a, struct fed_kobj *old,
                      const struct fed_json *options, struct answer *ans)
{
    struct fed_str uid = fed_json_find_text(fed_json_find(options, "preconditions"), "uid");
    struct fed_str policy = fed_json_find_text(options, "propagationPolicy");
    struct fed_json *obj = fed_kobj_parse(old, a), *meta = fed_obj_metadata(a, obj);
    char now[21];
    if (uid.n && !fed_str_eq(uid, old->uid)) {
        fail(ans, FED_E_CONFLICT, r);
        return;
    }
    const char *add = fed_str_is(policy, "Foreground") ? "foregroundDeletion"
                      : fed_str_is(policy, "Orphan")   ? "orphan"
                                                       : NULL;
    if (add)
        fed_obj_add_finalizer(a, obj, add);
    if (!has_finalizers(obj)) {
        fed_fake_erase(f, r->resource, old);
        fed_status_write_success(&ans->body, NULL);
        return;
    }
    if (!old->deleting) {
        fed_time_format(fed_wall_ms(f->env), now);
        fed_json_set(meta, "deletionTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(now))));
        if (fed_str_is(r->resource, "/namespaces"))
            fed_json_set(fed_json_ensure_object(a, obj, "status"), "phase", fed_json_new_strz(a, "Terminating"));
    }
    fed_fake_store(f, r->resource, obj);
    fed_json_write(&ans->body, obj);
}

static void perform(struct fake_call *c, struct answer *ans)
{
    struct fed_fake *f = c->fake;
    struct fed_arena a = {0};
    struct request r;
    struct fed_json *body = NULL;
    int code = parse_request(&a, c->path, &r);
    if (code == 0 && c->body_n)
        code = fed_json_parse(&a, fed_str_n(c->body, c->body_n), NULL, &body, NULL);
    struct fed_kobj *old = code == 0 && r.name.n ? fed_fake_lookup(f, r.resource, r.ns, r.name) : NULL;
    if (code != 0)
        fail(ans, code, &r);
    else if (strcmp(c->method, "POST") == 0)
        do_create(f, &r, &a, body, ans);
    else if (!r.name.n)
        do_list(f, &r, ans);
    else if (!old)
        fail(ans, FED_E_NOT_FOUND, &r);
    else if (strcmp(c->method, "GET") == 0)
        fed_buf_add(&ans->body, old->json);
    else if (strcmp(c->method, "PUT") == 0)
        do_update(f, &r, &a, old, body, ans);
    else if (strcmp(c->method, "PATCH") == 0)
        do_patch(f, &r, &a, c, old, body, ans);
    else if (strcmp(c->method, "DELETE") == 0)
        do_delete(f, &r, &a, old, body, ans);
    else
        fail(ans, FED_E_METHOD_NOT_ALLOWED, &r);
    fed_arena_release(&a);
}

static void call_free(struct fake_call *c)
{
    fed_task_cancel(&c->task);
    fed_timer_stop(c->fake->env, &c->timer);
    fed_list_remove(&c->link);
    fed_arena_release(&c->arena);
    free(c->method);
    free(c->path);
    free(c->type);
    free(c->body);
    free(c);
}

static bool is_local_failure(int code)
{
    return code == FED_E_UNREACHABLE || code == FED_E_REFUSED || code == FED_E_TIMEOUT || code == FED_E_TLS ||
           code == FED_E_END || code == FED_E_RESOLVE;
}

static void answer_call(struct fake_call *c)
{
    struct answer ans = {.code = 0};
    int fault = fed_fake_fault(c->fake, c->method, fed_str(c->path));
    fed_buf_addf(&c->fake->log, "%s %s\n", c->method, c->path);
    c->fake->writes += strcmp(c->method, "GET") != 0;
    if (fault && is_local_failure(fault)) {
        ans.code = fault;
        fed_err_set(&ans.err, fault, "%s", fed_code_text(fault));
    } else if (fault) {
        ans.code = fault;
        fed_status_write(&ans.body, fault, NULL, NULL);
    } else {
        perform(c, &ans);
    }
    struct fed_call_response res = {is_local_failure(ans.code) ? 0 : fed_code_status(ans.code), fed_buf_str(&ans.body)};
    if (ans.code && res.http_status)
        ans.code = fed_status_read(res.http_status, res.body, &ans.err);
    if (c->cb && !c->dead)
        c->cb(c->ud, ans.code, &res, &ans.err);
    fed_buf_release(&ans.body);
    call_free(c);
}

/* --- watches --- */

static void send_bookmark(struct fake_call *c)
{
    struct fed_buf b = {0};
    struct fed_kobj *o;
    fed_buf_addf(&b,
                 "{\"metadata\":{\"resourceVersion\":\"%" PRIu64
                 "\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}",
                 c->fake->rev);
    FED_REQUIRE(fed_kobj_new_bookmark(fed_buf_str(&b), &o, NULL) == 0);
    c->h.event(c->ud, FED_EVENT_BOOKMARK, o);
    fed_kobj_unref(o);
    fed_buf_release(&b);
}

static void open_watch(struct fake_call *c)
{
    struct fed_fake *f = c->fake;
    uint64_t from = 0;
    int code = fed_fake_fault(f, "WATCH", fed_str(c->path));
    fed_buf_addf(&f->log, "WATCH %s\n", c->path);
    c->req = FED_ARENA_NEW(&c->arena, struct request);
    if (code == 0)
        code = parse_request(&c->arena, c->path, c->req);
    c->open = true;
    if (code == 0) {
        bool has_rev = fed_str_u64(fed_query_find(&c->req->query, "resourceVersion"), &from) == 0 && from;
        c->initial = fed_str_is(fed_query_find(&c->req->query, "sendInitialEvents"), "true");
        if (has_rev && !c->initial && from < f->compacted)
            code = FED_E_EXPIRED;
        if (c->h.opened && code == 0)
            c->h.opened(c->ud);
        c->at = 0;
        while (code == 0 && c->at < f->n_changes && f->changes[c->at].rev <= (has_rev && !c->initial ? from : f->rev))
            c->at++;
        if (code == 0 && (c->initial || !has_rev)) {
            FED_MAP_EACH(e, &f->objects) {
                if (!c->dead && in_resource(c->req, e->key) && matches(c->req, e->value))
                    c->h.event(c->ud, FED_EVENT_ADDED, e->value);
            }
            if (c->initial && !c->dead)
                send_bookmark(c);
        }
    }
    if (code != 0)
        c->end_code = code;
}

static void send_changes(struct fake_call *c)
{
    struct fed_fake *f = c->fake;
    while (c->at < f->n_changes && !c->dead) {
        const struct fake_change ch = f->changes[c->at++];
        if (!fed_str_eq(fed_str(ch.resource), c->req->resource))
            continue;
        bool was = ch.type != FED_EVENT_ADDED && matches(c->req, ch.old);
        bool is = ch.type != FED_EVENT_DELETED && matches(c->req, ch.obj);
        if (was || is)
            c->h.event(c->ud, !is ? FED_EVENT_DELETED : !was ? FED_EVENT_ADDED : FED_EVENT_MODIFIED, ch.obj);
    }
}

static void work(struct fake_call *c)
{
    if (c->dead) {
        call_free(c);
        return;
    }
    if (!c->watch) {
        answer_call(c);
        return;
    }
    if (!c->open)
        open_watch(c);
    if (c->end_code == 1)
        send_changes(c);
    if (c->dead) {
        call_free(c);
    } else if (c->end_code != 1) {
        struct fed_err err = {0};
        if (c->end_code)
            fed_err_set(&err, c->end_code, "%s", fed_code_text(c->end_code));
        c->h.end(c->ud, c->end_code, &err);
        call_free(c);
    }
}

static void task_due(struct fed_task *task)
{
    work(fed_container_of(task, struct fake_call, task));
}

static void timer_due(struct fed_timer *timer)
{
    work(fed_container_of(timer, struct fake_call, timer));
}

static void schedule(struct fake_call *c)
{
    if (c->fake->latency_ms && !c->dead) {
        if (!fed_timer_active(&c->timer))
            fed_timer_start(c->fake->env, &c->timer, c->fake->latency_ms, timer_due);
    } else {
        fed_task_post(c->fake->env, &c->task, task_due);
    }
}

static void wake_watches(struct fed_fake *f)
{
    FED_LIST_EACH(l, &f->calls) {
        struct fake_call *c = fed_container_of(l, struct fake_call, link);
        if (c->watch && c->open)
            schedule(c);
    }
}

static void flush_watches(struct fed_fake *f)
{
    FED_LIST_EACH(l, &f->calls) {
        struct fake_call *c = fed_container_of(l, struct fake_call, link);
        if (c->watch && c->open && c->end_code == 1)
            send_changes(c);
        c->at = 0;
    }
}

void fed_fake_compact(struct fed_fake *f)
{
    /* Watches hold a place in the list of changes: those under way are brought up to date first. */
    flush_watches(f);
    fed_fake_forget_changes(f);
    f->compacted = f->rev;
}

void fed_fake_drop_watches(struct fed_fake *f, int code)
{
    FED_LIST_EACH(l, &f->calls) {
        struct fake_call *c = fed_container_of(l, struct fake_call, link);
        if (c->watch) {
            c->end_code = code;
            schedule(c);
        }
    }
}

/* --- the transport --- */

static struct fake_call *new_call(struct fed_transport *t, struct fed_str method, struct fed_str path, void *ud)
{
    struct fake_call *c = FED_NEW(struct fake_call);
    c->base.transport = t;
    c->fake = fed_container_of(t, struct fake_transport, t)->fake;
    c->method = fed_strdup_str(method);
    c->path = fed_strdup_str(path);
    c->ud = ud;
    c->end_code = 1;
    fed_list_push_back(&c->fake->calls, &c->link);
    schedule(c);
    return c;
}

static struct fed_call *fake_call(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb, void *ud)
{
    struct fake_call *c = new_call(t, fed_str(req->method), req->path, ud);
    c->type = fed_strdup_str(req->content_type);
    c->body = fed_strdup_str(req->body);
    c->body_n = req->body.n;
    c->cb = cb;
    return &c->base;
}

static struct fed_call *fake_watch(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                                   void *ud)
{
    struct fake_call *c = new_call(t, FED_STR("GET"), path, ud);
    c->watch = true;
    c->h = *h;
    return &c->base;
}

static void fake_cancel(struct fed_call *call)
{
    struct fake_call *c = fed_container_of(call, struct fake_call, base);
    c->dead = true;
    fed_timer_stop(c->fake->env, &c->timer);
    schedule(c);
}

static void fake_free(struct fed_transport *t)
{
    struct fake_transport *ft = fed_container_of(t, struct fake_transport, t);
    FED_LIST_EACH_SAFE(l, &ft->fake->calls) {
        struct fake_call *c = fed_container_of(l, struct fake_call, link);
        if (c->base.transport == t)
            call_free(c);
    }
    free(ft);
}

static const struct fed_transport_ops fake_ops = {fake_call, fake_watch, fake_cancel, fake_free};

struct fed_transport *fed_fake_transport(struct fed_fake *f, bool watch_list)
{
    struct fake_transport *ft = FED_NEW(struct fake_transport);
    ft->fake = f;
    f->changed = wake_watches;
    ft->t = (struct fed_transport){.ops = &fake_ops, .env = f->env, .watch_list = watch_list, .name = "fake"};
    return &ft->t;
}
