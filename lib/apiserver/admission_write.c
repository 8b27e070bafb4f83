/* SPDX-License-Identifier: Apache-2.0 */
/* Who goes through admission: writes of stored kinds, deletions, and virtual resources. */
#include "apiserver/admission.h"

struct waiting { /* a write that goes on after its webhooks */
    struct fed_admission ad;
    struct fed_write_op *op;
    int refused; /* by the program, of what webhooks made: FED_E_* with op->err */
    void (*go_on)(struct fed_write_op *op);
};

static struct fed_json *options_new(struct fed_api_reply *r, const char *kind)
{
    struct fed_arena *a = &r->arena;
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "kind", fed_json_new_strz(a, kind));
    fed_json_set(o, "apiVersion", fed_json_new_strz(a, "meta.k8s.io/v1"));
    if (r->q.dry_run)
        fed_json_push(fed_json_set(o, "dryRun", fed_json_array(a)), fed_json_new_strz(a, "All"));
    static const char *const texts[] = {"fieldManager", "fieldValidation"};
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        struct fed_str v = fed_query_find(&r->query, texts[i]);
        if (v.n)
            fed_json_set(o, texts[i], fed_json_new_str(a, v));
    }
    return o;
}

/* Of what is done: a patch is an update, or with server-side apply perhaps a creation. */
static struct fed_json *write_options(struct fed_write_op *op)
{
    return options_new(op->r, op->create ? "CreateOptions" : "UpdateOptions");
}

/* The Scale of an object in storage version. */
static struct fed_json *scale_of(struct fed_write_op *op, const struct fed_json *obj)
{
    struct fed_kobj *o = NULL;
    struct fed_json *scale = NULL;
    if (obj && fed_kobj_from_tree(obj, op->old ? op->old->rev : 0, &o, NULL) == 0)
        scale = fed_form_scale(&op->r->arena, o, op->w.kind);
    fed_kobj_unref(o);
    return scale;
}

static struct waiting *waiting_new(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op))
{
    struct fed_api_reply *r = op->r;
    struct waiting *w = FED_ARENA_NEW(&r->arena, struct waiting);
    bool is_namespace = fed_str_is(op->w.kind->plural, "namespaces") && !op->w.kind->group.n;
    w->op = op;
    w->go_on = go_on;
    w->ad = (struct fed_admission){.r = r,
                                   .operation = op->create ? FED_ADMIT_CREATE : FED_ADMIT_UPDATE,
                                   .v = r->v,
                                   .obj = op->obj,
                                   .old = op->old_tree,
                                   .ns = is_namespace ? r->q.name : r->q.ns,
                                   .name = r->q.name,
                                   .unnamed = op->create && op->generated,
                                   .ud = w};
    if (r->form.scale) {
        w->ad.v = NULL;
        w->ad.api_version = FED_STR("autoscaling/v1");
        w->ad.kind = FED_STR("Scale");
        w->ad.obj = scale_of(op, op->obj);
        w->ad.old = scale_of(op, op->old_tree);
    }
    return w;
}

/* Webhook configurations and namespaces' ends must always be possible, whatever webhooks say. */
static bool is_exempt(const struct fed_write_op *op)
{
    return fed_str_is(op->w.kind->group, "admissionregistration.k8s.io");
}

static void take_scale(struct waiting *w)
{
    int64_t n = 0;
    const struct fed_json *f = fed_json_at(w->ad.obj, "spec", "replicas", NULL);
    if (w->ad.changed && f && fed_json_is_int(f, &n) && n >= 0 && n <= INT32_MAX)
        fed_registry_put_replicas(w->op, w->op->obj, n);
}

static void mutated(struct fed_admission *ad, int status, struct fed_str text)
{
    struct waiting *w = ad->ud;
    if (status) {
        fed_commit_refuse_text(w->op, status, text);
        return;
    }
    if (w->refused) {
        fed_commit_refuse(w->op, w->refused);
        return;
    }
    if (w->op->r->form.scale)
        take_scale(w);
    else
        w->op->obj = ad->obj;
    w->go_on(w->op);
}

static void run_builtin(struct fed_admission *ad)
{
    struct waiting *w = ad->ud;
    struct fed_write_op *op = w->op;
    const struct fed_api_conf *conf = &op->r->api->conf;
    op->obj = ad->obj;
    if (conf->admit) /* a container that was added gets what the others have */
        w->refused = conf->admit(conf->ud, &op->r->q, op->w.kind, op->old_tree, op->obj, &op->err);
    if (!w->refused && fed_admission_defaults(op)) /* said when it mattered first; validation sees the rest */
        op->err = (struct fed_err){0};
}

void fed_admission_mutate_write(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op))
{
    if (!fed_admission_asks(op->r->api, true) || is_exempt(op)) {
        go_on(op);
        return;
    }
    struct waiting *w = waiting_new(op, go_on);
    w->ad.options = write_options(op);
    w->ad.done = mutated;
    w->ad.builtin = op->r->form.scale ? NULL : run_builtin;
    op->waited = true;
    fed_admission_mutate(&w->ad);
}

static void validated(struct fed_admission *ad, int status, struct fed_str text)
{
    struct waiting *w = ad->ud;
    if (status)
        fed_commit_refuse_text(w->op, status, text);
    else
        w->go_on(w->op);
}

void fed_admission_validate_write(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op))
{
    if (!fed_admission_asks(op->r->api, false) || is_exempt(op)) {
        go_on(op);
        return;
    }
    struct waiting *w = waiting_new(op, go_on);
    w->ad.options = write_options(op);
    w->ad.done = validated;
    op->waited = true;
    fed_admission_validate(&w->ad);
}

/* --- DELETE --- */

static void delete_mutated(struct fed_admission *ad, int status, struct fed_str text)
{
    if (status) {
        validated(ad, status, text);
        return;
    }
    ad->done = validated;
    fed_admission_validate(ad);
}

void fed_admission_delete(struct fed_write_op *op, const struct fed_json *options,
                          void (*go_on)(struct fed_write_op *op))
{
    struct fed_api *api = op->r->api;
    if ((!fed_admission_asks(api, true) && !fed_admission_asks(api, false)) || is_exempt(op)) {
        go_on(op);
        return;
    }
    struct waiting *w = waiting_new(op, go_on);
    w->ad.operation = FED_ADMIT_DELETE;
    w->ad.obj = NULL;
    struct fed_json *o = options_new(op->r, "DeleteOptions");
    FED_JSON_EACH_SAFE(m, options)
        fed_json_set_str(o, m->key, fed_json_copy(&op->r->arena, m));
    w->ad.options = o;
    w->ad.done = delete_mutated;
    fed_admission_mutate(&w->ad);
}

/* --- virtual resources --- */

struct visit {
    struct fed_admission ad;
    const struct fed_virtual *v;
};

static bool is_connect(struct fed_str sub)
{
    static const char *const subs[] = {"exec", "attach", "portforward", "proxy"};
    for (size_t i = 0; i < FED_ARRAY_LEN(subs); i++)
        if (fed_str_is(sub, subs[i]))
            return true;
    return false;
}

/* PodExecOptions and the like, from the query. */
static struct fed_json *connect_options(struct fed_api_reply *r)
{
    static const char *const flags[] = {"stdin", "stdout", "stderr", "tty"};
    struct fed_arena *a = &r->arena;
    struct fed_str sub = r->q.subresource, container = fed_query_find(&r->query, "container");
    struct fed_json *o = fed_json_object(a);
    const char *what = fed_str_is(sub, "exec")                 ? "PodExecOptions"
                       : fed_str_is(sub, "attach")             ? "PodAttachOptions"
                       : fed_str_is(sub, "portforward")        ? "PodPortForwardOptions"
                       : fed_str_is(r->q.resource, "nodes")    ? "NodeProxyOptions"
                       : fed_str_is(r->q.resource, "services") ? "ServiceProxyOptions"
                                                               : "PodProxyOptions";
    fed_json_set(o, "kind", fed_json_new_strz(a, what));
    fed_json_set(o, "apiVersion", fed_json_new_strz(a, "v1"));
    if (fed_str_is(sub, "proxy")) {
        fed_json_set(o, "path", fed_json_new_str(a, r->rest));
        return o;
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(flags); i++)
        if (fed_query_true(&r->query, flags[i]))
            fed_json_set(o, flags[i], fed_json_new_bool(a, true));
    if (container.n)
        fed_json_set(o, "container", fed_json_new_str(a, container));
    for (size_t i = 0; i < r->query.n; i++) {
        const struct fed_query_param *p = &r->query.params[i];
        int64_t port;
        if (fed_str_is(p->name, "command"))
            fed_json_push(fed_json_ensure_array(a, o, "command"), fed_json_new_str(a, p->value));
        else if (fed_str_is(p->name, "ports") && fed_str_i64(p->value, &port) == 0)
            fed_json_push(fed_json_ensure_array(a, o, "ports"), fed_json_new_int(a, port));
    }
    return o;
}

static void serve(struct visit *t)
{
    struct fed_api_reply *r = t->ad.r;
    if (r->x && r->closed_set) { /* the handler watches the client itself */
        fed_http_on_closed(r->x, NULL, NULL);
        r->closed_set = false;
    }
    t->v->handle(t->v->ud, &r->q, r);
}

static void visit_validated(struct fed_admission *ad, int status, struct fed_str text)
{
    struct visit *t = ad->ud;
    if (status)
        fed_api_answer_text(ad->r, status, text);
    else
        serve(t);
}

static void visit_mutated(struct fed_admission *ad, int status, struct fed_str text)
{
    struct fed_api_reply *r = ad->r;
    if (status) {
        fed_api_answer_text(r, status, text);
        return;
    }
    if (ad->changed) {
        r->q.body = fed_json_text(&r->arena, ad->obj);
        r->q.content_type = FED_STR("application/json");
        r->body_typed = NULL; /* to be read again */
    }
    ad->done = visit_validated;
    fed_admission_validate(ad);
}

/* A body may leave out what it is. */
static void put_type(struct fed_api_reply *r, const struct fed_virtual *v, struct fed_json *body)
{
    struct fed_str group = fed_str(v->group), version = fed_str(v->version);
    fed_api_kind_home(fed_str(v->kind), &group, &version);
    if (!fed_json_find_text(body, "kind").n)
        fed_json_set(body, "kind", fed_json_new_strz(&r->arena, v->kind));
    if (!fed_json_find_text(body, "apiVersion").n)
        fed_json_set(
            body, "apiVersion",
            fed_json_new_strf(&r->arena, "%.*s%s%.*s", FED_STR_ARG(group), group.n ? "/" : "", FED_STR_ARG(version)));
}

void fed_admission_virtual(struct fed_api_reply *r, const struct fed_virtual *v)
{
    struct fed_api *api = r->api;
    const char *verb = r->q.verb;
    bool connect = is_connect(r->q.subresource), create = strcmp(verb, "create") == 0;
    struct fed_json *body = NULL;
    if ((!fed_admission_asks(api, true) && !fed_admission_asks(api, false)) || (!create && !connect) ||
        (!connect && fed_api_body(r, &body, NULL, NULL))) { /* a bad body is the handler's to refuse */
        v->handle(v->ud, &r->q, r);
        return;
    }
    struct visit *t = FED_ARENA_NEW(&r->arena, struct visit);
    t->v = v;
    t->ad = (struct fed_admission){.r = r,
                                   .operation = connect ? FED_ADMIT_CONNECT : FED_ADMIT_CREATE,
                                   .ns = r->q.ns,
                                   .name = r->q.name,
                                   .obj = connect ? connect_options(r) : body,
                                   .options = connect ? NULL : options_new(r, "CreateOptions"),
                                   .done = visit_mutated,
                                   .ud = t};
    if (!connect)
        put_type(r, v, body);
    t->ad.api_version = fed_json_find_text(t->ad.obj, "apiVersion");
    t->ad.kind = fed_json_find_text(t->ad.obj, "kind");
    fed_admission_mutate(&t->ad);
}
