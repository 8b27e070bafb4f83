/* SPDX-License-Identifier: Apache-2.0 */
/* DELETE of one object and of a collection: preconditions, finalizers, grace, propagation. */
#include "apiserver/admission.h"
#include "apiserver/custom_convert.h"
#include "apiserver/list_page.h"
#include "apiserver/registry.h"
#include "base/mem.h"
#include "kube/check.h"
#include "kube/crd.h"
#include "kube/gowords.h"

struct options {
    struct fed_str policy; /* p NULL: not said; Background, Foreground, Orphan */
    struct fed_str uid, rev;
    int64_t grace; /* -1: the kind's default */
};

static bool invalid_options(struct fed_api_reply *r, const char *field, enum fed_cause_type type, struct fed_str value,
                            const char *text)
{
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, type, fed_str(field), value, "%s", text);
    struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = FED_STR("DeleteOptions"), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, NULL);
    return false;
}

/* Each option of DeleteOptions is of its type. Answers: false. */
static bool options_typed(struct fed_api_reply *r, const struct fed_json *body)
{
    static const struct {
        const char *name, *go;
        enum fed_json_type type;
    } fields[] = {{"kind", "string", FED_JSON_STRING},
                  {"apiVersion", "string", FED_JSON_STRING},
                  {"propagationPolicy", "v1.DeletionPropagation", FED_JSON_STRING},
                  {"preconditions", "v1.Preconditions", FED_JSON_OBJECT},
                  {"gracePeriodSeconds", "int64", FED_JSON_NUMBER},
                  {"orphanDependents", "bool", FED_JSON_BOOL},
                  {"dryRun", "[]string", FED_JSON_ARRAY}};
    const char *what = body->type == FED_JSON_OBJECT ? NULL : "", *go = "v1.DeleteOptions";
    const struct fed_json *wrong = body;
    int64_t n;
    for (size_t i = 0; !what && i < FED_ARRAY_LEN(fields); i++) {
        const struct fed_json *f = fed_json_find(body, fields[i].name);
        if (f && f->type != FED_JSON_NULL &&
            (f->type != fields[i].type || (f->type == FED_JSON_NUMBER && !fed_json_is_int(f, &n)))) {
            wrong = f;
            what = fields[i].name;
            go = fields[i].go;
        }
    }
    if (what)
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: json: cannot unmarshal %s "
                     "into Go %s%s of type %s",
                     fed_go_word(wrong), *what ? "struct field DeleteOptions." : "value", what, go);
    return !what;
}

static bool read_body(struct fed_api_reply *r, struct options *o, bool *orphan_given, bool *orphan)
{
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    if (!r->q.body.n)
        return true;
    if (fed_api_body(r, &body, NULL, &err)) {
        fed_api_fail_err(r, &err);
        return false;
    }
    if (body->type == FED_JSON_NULL)
        return true;
    if (!options_typed(r, body))
        return false;
    o->policy = fed_json_find_text(body, "propagationPolicy");
    o->uid = fed_json_find_text(fed_json_find(body, "preconditions"), "uid");
    o->rev = fed_json_find_text(fed_json_find(body, "preconditions"), "resourceVersion");
    o->grace = fed_json_int(fed_json_find(body, "gracePeriodSeconds"), -1);
    struct fed_json *od = fed_json_find(body, "orphanDependents");
    *orphan_given = od && od->type == FED_JSON_BOOL;
    *orphan = fed_json_bool(od, false);
    struct fed_json *dry = fed_json_find(body, "dryRun");
    FED_JSON_EACH(d, dry) {
        if (!fed_str_is(d->s, "All"))
            return invalid_options(r, "dryRun", FED_CAUSE_NOT_SUPPORTED, fed_shown(&r->arena, dry),
                                   "supported values: \"All\"");
        r->q.dry_run = true;
    }
    return true;
}

static bool read_options(struct fed_api_reply *r, struct options *o)
{
    *o = (struct options){.grace = -1};
    bool orphan_given = false, orphan = false;
    if (!read_body(r, o, &orphan_given, &orphan))
        return false;
    struct fed_str q = fed_query_find(&r->query, "propagationPolicy");
    if (q.p)
        o->policy = q;
    q = fed_query_find(&r->query, "gracePeriodSeconds");
    if (q.n && fed_str_i64(q, &o->grace)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "strconv.ParseInt: parsing \"%.*s\": invalid syntax", FED_STR_ARG(q));
        return false;
    }
    if (fed_query_find(&r->query, "orphanDependents").p) {
        orphan_given = true;
        orphan = fed_query_true(&r->query, "orphanDependents");
    }
    if (orphan_given && o->policy.p)
        return invalid_options(r, "propagationPolicy", FED_CAUSE_INVALID,
                               fed_arena_printf(&r->arena, "\"%.*s\"", FED_STR_ARG(o->policy)),
                               "orphanDependents and deletionPropagation cannot be both set");
    if (orphan_given)
        o->policy = orphan ? FED_STR("Orphan") : FED_STR("Background");
    if (o->policy.p && !fed_str_is(o->policy, "Background") && !fed_str_is(o->policy, "Foreground") &&
        !fed_str_is(o->policy, "Orphan"))
        return invalid_options(r, "propagationPolicy", FED_CAUSE_NOT_SUPPORTED,
                               fed_arena_printf(&r->arena, "\"%.*s\"", FED_STR_ARG(o->policy)),
                               "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"");
    return true;
}

struct deletion { /* the operation of one DELETE */
    struct fed_write_op op;
    struct options o;
    struct fed_str uid; /* of the object deleted, for the answer */
    uint64_t rev;       /* of the object as it was: the answer of a dry run shows that */
};

/* The words of Kubernetes' own check, which names the kind where others name the resource. */
static void refuse_precondition(struct deletion *d)
{
    struct fed_write_op *op = &d->op;
    struct fed_api_reply *r = op->r;
    struct fed_str kind = op->w.kind->kind, group = r->q.group;
    if (op->done) { /* one of a collection: what was listed is gone */
        op->client_rev = true;
        fed_commit_fail(op, FED_E_CONFLICT);
        return;
    }
    struct fed_status_details det = {.name = r->q.name, .group = group, .kind = kind};
    fed_commit_release(op);
    fed_api_fail(r, FED_E_CONFLICT, &det, "Operation cannot be fulfilled on %.*s%s%.*s \"%.*s\": %s", FED_STR_ARG(kind),
                 group.n ? "." : "", FED_STR_ARG(group), FED_STR_ARG(r->q.name), op->err.text);
}

static bool check_preconditions(struct deletion *d)
{
    struct fed_write_op *op = &d->op;
    uint64_t rev = 0;
    if (d->o.uid.n && !fed_str_eq(d->o.uid, op->old->uid)) {
        fed_err_set(&op->err, FED_E_CONFLICT,
                    "the UID in the precondition (%.*s) does not match the UID in record (%.*s). The object might have "
                    "been deleted and then recreated",
                    FED_STR_ARG(d->o.uid), FED_STR_ARG(op->old->uid));
    } else if (d->o.rev.n && (fed_str_u64(d->o.rev, &rev) || rev != op->old->rev)) {
        fed_err_set(
            &op->err, FED_E_CONFLICT,
            "the ResourceVersion in the precondition (%.*s) does not match the ResourceVersion in record (%llu). "
            "The object might have been modified",
            FED_STR_ARG(d->o.rev), (unsigned long long)op->old->rev);
    }
    if (!op->err.code)
        return true;
    refuse_precondition(d);
    return false;
}

static void set_finalizer(struct fed_arena *a, struct fed_json *obj, const char *name, bool present)
{
    struct fed_json *list = fed_json_at(obj, "metadata", "finalizers", NULL);
    if (present) {
        fed_obj_add_finalizer(a, obj, name);
        return;
    }
    FED_JSON_EACH_SAFE(f, list)
        if (fed_str_is(f->s, name))
            fed_json_remove(f);
    if (list && !list->n)
        fed_json_remove(list);
}

static bool is_core(const struct fed_kind *k, const char *plural)
{
    return !k->group.n && fed_str_is(k->plural, plural);
}

/* Seconds a deleted object may still live: pods that run somewhere, nobody else. */
static int64_t grace_of(struct deletion *d, const struct fed_json *obj)
{
    if (!is_core(d->op.w.kind, "pods"))
        return 0;
    struct fed_str phase = fed_json_find_text(fed_json_find(obj, "status"), "phase");
    const struct fed_json *spec = fed_json_find(obj, "spec");
    if (!fed_json_find_text(spec, "nodeName").n || fed_str_is(phase, "Succeeded") || fed_str_is(phase, "Failed"))
        return 0;
    int64_t grace =
        d->o.grace >= 0 ? d->o.grace : fed_json_int(fed_json_find(spec, "terminationGracePeriodSeconds"), 30);
    return grace < 0 ? 1 : grace; /* what a pod's spec says may be negative */
}

/* Jobs and replication controllers of old keep their pods when a client does not say what it wants. */
static void default_policy(struct deletion *d)
{
    const struct fed_kind *k = d->op.w.kind;
    bool job = fed_str_is(k->group, "batch") && fed_str_is(k->plural, "jobs");
    if (d->o.policy.n || d->op.old->n_finalizers || (!job && !is_core(k, "replicationcontrollers")))
        return;
    d->o.policy = FED_STR("Orphan");
    if (job)
        fed_api_warn(d->op.r, "child pods are preserved by default when jobs are deleted; set "
                              "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
                              "this warning");
}

/* True when the object has to wait (obj was changed to say so), false when it can go at once. */
static bool must_wait(struct deletion *d, struct fed_json *obj)
{
    struct fed_write_op *op = &d->op;
    struct fed_arena *a = op->w.arena;
    struct fed_json *meta = fed_obj_metadata(a, obj);
    if (d->o.policy.n && !op->old->deleting) {
        set_finalizer(a, obj, "orphan", fed_str_is(d->o.policy, "Orphan"));
        set_finalizer(a, obj, "foregroundDeletion", fed_str_is(d->o.policy, "Foreground"));
    }
    if (fed_crd_is(op->w.kind) && !op->old->deleting)
        fed_crd_begin_deletion(a, obj, fed_wall_ms(op->w.env));
    bool ns = is_core(op->w.kind, "namespaces");
    const struct fed_json *f = fed_json_find(meta, "finalizers");
    const struct fed_json *nf = ns ? fed_json_at(obj, "spec", "finalizers", NULL) : NULL;
    int64_t grace = grace_of(d, obj), before = fed_json_int(fed_json_find(meta, "deletionGracePeriodSeconds"), 0);
    bool finalizers = (f && f->n) || (nf && nf->n);
    if (op->old->deleting && grace > before)
        grace = before; /* may only become shorter */
    if (!finalizers && grace == 0)
        return false;
    if (op->old->deleting && grace == before)
        return true; /* nothing new */
    char text[21];
    fed_time_format(fed_wall_ms(op->w.env) + grace * 1000, text);
    fed_json_set(meta, "deletionTimestamp", fed_json_new_str(a, fed_arena_dup(a, fed_str(text))));
    bool plain = !ns && !fed_crd_is(op->w.kind); /* these two go in steps of their own */
    if (plain)
        fed_json_set(meta, "deletionGracePeriodSeconds", fed_json_new_int(a, grace));
    struct fed_json *gen = fed_json_find(meta, "generation");
    if (gen && plain && !op->old->deleting)
        fed_json_set(meta, "generation", fed_json_new_int(a, fed_json_int(gen, 0) + 1));
    if (ns)
        fed_json_set(fed_json_ensure_object(a, obj, "status"), "phase", fed_json_new_strz(a, "Terminating"));
    return true;
}

static void answer_deleted(struct deletion *d)
{
    struct fed_api_reply *r = d->op.r;
    struct fed_status_details det = {.name = r->q.name, .group = r->q.group, .kind = r->q.resource, .uid = d->uid};
    struct fed_buf b = {0};
    fed_status_write_success(&b, &det);
    fed_api_answer_text(r, 200, fed_buf_str(&b));
    fed_buf_release(&b);
}

/* Typed clients expect the object that is gone as the answer for these, and a Status for all others. */
static bool tells_object(const struct fed_kind *k)
{
    static const char *const core[] = {"persistentvolumeclaims", "persistentvolumes", "pods",
                                       "podtemplates",           "resourcequotas",    "serviceaccounts"};
    for (size_t i = 0; i < FED_ARRAY_LEN(core); i++)
        if (is_core(k, core[i]))
            return true;
    return fed_str_is(k->group, "storage.k8s.io") && !fed_str_is(k->plural, "csistoragecapacities");
}

static bool answer_object(struct deletion *d, uint64_t rev)
{
    struct fed_kobj *o = NULL;
    if (!rev || !tells_object(d->op.w.kind) || fed_kobj_from_tree(d->op.obj, rev, &o, NULL))
        return false;
    fed_api_answer_object(d->op.r, 200, o);
    fed_kobj_unref(o);
    return true;
}

/* A deletion that leaves the key is mostly answered with Status Success, not with the object. */
static void deleted(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err)
{
    struct deletion *d = fed_container_of(op, struct deletion, op);
    op->done = NULL;
    if (code) {
        op->err = err ? *err : (struct fed_err){.code = code};
        if (code == FED_E_CONFLICT && !d->o.uid.n && !d->o.rev.n)
            op->err.text[0] = 0;
        fed_commit_fail(op, code);
        return;
    }
    if (!answer_object(d, rev ? rev : d->rev))
        answer_deleted(d);
}

static void admitted(struct fed_write_op *op)
{
    struct deletion *d = fed_container_of(op, struct deletion, op);
    struct fed_api_reply *r = op->r;
    struct fed_json *obj = fed_json_copy(&r->arena, op->old_tree);
    op->obj = obj;
    d->rev = op->old->rev;
    if (must_wait(d, obj)) {
        if (fed_meta_same(op->old_tree, obj)) {
            struct fed_kobj *o = fed_kobj_ref(op->old);
            fed_commit_release(op);
            if (op->done)
                op->done(op, 0, o->rev, NULL);
            else
                fed_api_answer_object(r, 200, o);
            fed_kobj_unref(o);
            return;
        }
        fed_commit_store(op, obj);
        return;
    }
    if (!op->done)
        op->done = deleted;
    fed_commit_store(op, NULL);
}

/* The options as webhooks are shown them. */
static struct fed_json *options_tree(const struct deletion *d)
{
    struct fed_arena *a = &d->op.r->arena;
    struct fed_json *o = fed_json_object(a);
    if (d->o.grace >= 0)
        fed_json_set(o, "gracePeriodSeconds", fed_json_new_int(a, d->o.grace));
    if (d->o.policy.n)
        fed_json_set(o, "propagationPolicy", fed_json_new_str(a, d->o.policy));
    return o;
}

static void attempt(struct fed_write_op *op)
{
    struct deletion *d = fed_container_of(op, struct deletion, op);
    struct fed_api_reply *r = op->r;
    op->old = fed_kobj_ref(fed_cache_find(r->kc, r->q.ns, r->q.name));
    if (!op->old) {
        if (op->done)
            fed_commit_fail(op, FED_E_NOT_FOUND);
        else
            fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
        return;
    }
    if (!check_preconditions(d))
        return;
    /* What goes at once need not be converted: it can be deleted while the webhook is away. */
    bool stays = op->old->n_finalizers || fed_str_is(d->o.policy, "Orphan") || fed_str_is(d->o.policy, "Foreground");
    if (stays && fed_conv_current(op)) {
        fed_commit_release(op);
        return;
    }
    default_policy(d);
    d->uid = fed_arena_dup(&r->arena, op->old->uid);
    op->old_tree = fed_registry_stored(op);
    fed_admission_delete(op, options_tree(d), admitted);
}

static bool deletable(struct fed_api_reply *r)
{
    static const char *const kept[] = {"default", "kube-system", "kube-public"};
    if (!is_core(r->v->kind, "namespaces"))
        return true;
    for (size_t i = 0; i < FED_ARRAY_LEN(kept); i++)
        if (fed_str_is(r->q.name, kept[i])) {
            fed_api_fail_object(r, FED_E_FORBIDDEN, "namespaces \"%s\" is forbidden: this namespace may not be deleted",
                                kept[i]);
            return false;
        }
    return true;
}

static struct deletion *deletion_new(struct fed_api_reply *r, const struct options *o)
{
    struct deletion *d = FED_ARENA_NEW(&r->arena, struct deletion);
    d->op = *fed_write_op_new(r, attempt);
    r->op = &d->op;
    d->o = *o;
    return d;
}

void fed_api_delete(struct fed_api_reply *r)
{
    struct options o;
    if (!read_options(r, &o) || !deletable(r))
        return;
    attempt(&deletion_new(r, &o)->op);
}

/* --- collections: one deletion each, some at a time --- */

struct many {
    struct fed_api_reply *r;
    struct fed_list_page *page; /* what is deleted, and answered with */
    struct fed_kobj *const *objs;
    size_t n, next, running;
    struct options o;
    struct fed_err err; /* the first failure */
    bool going;
};
#define MANY_AT_ONCE 64

static void many_go(struct many *m);

static void one_done(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err)
{
    struct many *m = op->ud;
    (void)rev;
    if (code && code != FED_E_NOT_FOUND && !m->err.code)
        m->err = err && err->code ? *err : (struct fed_err){.code = code};
    op->r->answered = true;
    fed_api_request_done(op->r);
    m->running--;
    many_go(m);
}

static void start_one(struct many *m, struct fed_kobj *o)
{
    struct fed_api_reply *r = fed_api_request_new(m->r->api), *from = m->r;
    r->q = from->q;
    r->q.arena = &r->arena;
    r->q.name = fed_arena_dup(&r->arena, o->name);
    r->q.ns = fed_arena_dup(&r->arena, o->ns);
    r->v = from->v;
    r->kc = from->kc;
    r->fence = from->fence;
    struct options opt = m->o;
    opt.uid = fed_arena_dup(&r->arena, o->uid); /* only what was listed */
    struct deletion *d = deletion_new(r, &opt);
    d->op.done = one_done;
    d->op.ud = m;
    m->running++;
    attempt(&d->op);
}

static void many_go(struct many *m)
{
    if (m->going) /* a deletion that ended at once: the loop below goes on */
        return;
    m->going = true;
    while (m->running < MANY_AT_ONCE && m->next < m->n) {
        start_one(m, m->objs[m->next++]);
    }
    m->going = false;
    if (m->running || m->next < m->n)
        return;
    if (m->err.code) {
        fed_api_fail_err(m->r, &m->err);
        fed_list_page_free(m->page);
    } else {
        fed_list_page_answer(m->page); /* the objects as they were listed */
    }
    free(m);
}

static void many_ready(void *ud, struct fed_list_page *page)
{
    struct many *m = ud;
    if (!page) {
        free(m);
        return;
    }
    m->page = page;
    m->objs = fed_list_page_objects(page, &m->n);
    fed_api_request_defer(m->r);
    many_go(m);
}

void fed_api_delete_many(struct fed_api_reply *r)
{
    struct options o;
    if (is_core(r->v->kind, "namespaces")) {
        fed_api_fail(r, FED_E_METHOD_NOT_ALLOWED, NULL,
                     "the server does not allow this method on the requested resource");
        return;
    }
    if (!read_options(r, &o))
        return;
    struct many *m = FED_NEW(struct many);
    m->r = r;
    m->o = o;
    fed_list_page_collect(r, many_ready, m);
}
