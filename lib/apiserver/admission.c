/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the webhooks. */
#include "apiserver/admission.h"

#include "apiserver/audit.h"
#include "apiserver/authn.h"
#include "base/mem.h"
#include "codec/patch.h"

/* The compiled webhooks of one kind of configuration, as of one revision. Those who ask keep the list they began with. */
struct fed_hook_use {
    struct fed_list link; /* admission->lists: all that live */
    struct fed_hook_list list;
    uint64_t rev;
    size_t n_objects, users;
};
struct fed_admission_state {
    struct fed_kcache *kc[2]; /* validating, mutating; NULL: not served */
    struct fed_hook_use *use[2];
    struct fed_kcache *namespaces;
    struct fed_list lists;
    struct fed_metric_family *m_calls, *m_seconds, *m_rejected, *m_failed_open;
};
struct fed_hook_call { /* one question under way */
    struct fed_admission *ad;
    const struct fed_hook *hook;
    size_t shown; /* index of the resource */
    struct fed_json *obj;
    char uid[37];
    uint64_t start_ns;
    bool mutated; /* the object */
    int status;   /* validating: the refusal */
    struct fed_str text;
};
enum { SEEN = 1, AGAIN = 2 };

/* --- configurations --- */

static struct fed_kcache *served(struct fed_api *api, const char *group, const char *plural)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, fed_str(group), FED_STR("v1"), fed_str(plural));
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

static struct fed_admission_state *state_of(struct fed_api *api)
{
    static const double seconds[] = {0.005, 0.025, 0.1, 0.5, 1, 2.5, 10};
    struct fed_admission_state *s = api->admission;
    if (s)
        return s;
    s = api->admission = FED_NEW(struct fed_admission_state);
    fed_list_init(&s->lists);
    s->kc[0] = served(api, "admissionregistration.k8s.io", "validatingwebhookconfigurations");
    s->kc[1] = served(api, "admissionregistration.k8s.io", "mutatingwebhookconfigurations");
    s->namespaces = served(api, "", "namespaces");
    s->m_calls = fed_metrics_family(api->conf.metrics, FED_METRIC_COUNTER, "apiserver_admission_webhook_request_total",
                                    "Calls of admission webhooks by what they were answered.",
                                    "code,name,operation,rejected,type", NULL, 0);
    s->m_seconds = fed_metrics_family(
        api->conf.metrics, FED_METRIC_HISTOGRAM, "apiserver_admission_webhook_admission_duration_seconds",
        "Time that admission webhooks took.", "name,operation,rejected,type", seconds, FED_ARRAY_LEN(seconds));
    s->m_rejected =
        fed_metrics_family(api->conf.metrics, FED_METRIC_COUNTER, "apiserver_admission_webhook_rejection_count",
                           "Requests that webhooks, or the failure of their calls, refused.",
                           "error_type,name,operation,rejection_code,type", NULL, 0);
    s->m_failed_open =
        fed_metrics_family(api->conf.metrics, FED_METRIC_COUNTER, "apiserver_admission_webhook_fail_open_count",
                           "Calls that failed and were ignored by failurePolicy.", "name,type", NULL, 0);
    return s;
}

static void use_free(struct fed_hook_use *u)
{
    fed_list_remove(&u->link);
    fed_hook_list_release(&u->list);
    free(u);
}

struct compile {
    struct fed_hook_use *use;
    struct fed_arena scratch;
};

static bool compile_one(void *ud, struct fed_kobj *o)
{
    struct compile *c = ud;
    fed_hook_list_add(&c->use->list, fed_kobj_parse(o, &c->scratch));
    return true;
}

/* The webhooks as they are now; NULL: there are none. */
static struct fed_hook_use *hooks_now(struct fed_api *api, bool mutating)
{
    struct fed_admission_state *s = state_of(api);
    struct fed_kcache *kc = s->kc[mutating];
    struct fed_hook_use *u = s->use[mutating];
    struct fed_str none = {NULL, 0};
    if (!kc || (!kc->n && !u))
        return NULL;
    if (u && u->rev == kc->last_rev && u->n_objects == kc->n)
        return u->list.n ? u : NULL;
    if (u && !u->users)
        use_free(u);
    struct compile c = {.use = FED_NEW(struct fed_hook_use)};
    fed_list_push_back(&s->lists, &c.use->link);
    c.use->rev = kc->last_rev;
    c.use->n_objects = kc->n;
    fed_tree_walk(kc->root, none, none, none, compile_one, &c);
    fed_arena_release(&c.scratch);
    s->use[mutating] = c.use;
    return c.use->list.n ? c.use : NULL;
}

bool fed_admission_asks(struct fed_api *api, bool mutating)
{
    return hooks_now(api, mutating) != NULL;
}

static void use_put(struct fed_api *api, struct fed_hook_use *u)
{
    if (--u->users == 0 && api->admission->use[0] != u && api->admission->use[1] != u)
        use_free(u);
}

void fed_admission_release(struct fed_api *api)
{
    struct fed_admission_state *s = api->admission;
    if (!s)
        return;
    FED_LIST_EACH_SAFE(it, &s->lists)
        use_free(FED_LIST_ENTRY(it, struct fed_hook_use, link));
    api->admission = NULL;
    free(s);
}

/* --- the question --- */

static bool is_namespaces(const struct fed_admission *ad)
{
    return ad->v && fed_str_is(ad->v->kind->plural, "namespaces") && !ad->v->kind->group.n;
}

static const struct fed_json *labels_of(const struct fed_json *obj)
{
    return fed_json_at(obj, "metadata", "labels", NULL);
}

static const struct fed_json *namespace_labels(struct fed_admission *ad)
{
    struct fed_admission_state *s = state_of(ad->r->api);
    if (is_namespaces(ad) && ad->obj)
        return labels_of(ad->obj);
    if (!ad->ns.n)
        return NULL;
    struct fed_kobj *o = s->namespaces ? fed_cache_find(s->namespaces, (struct fed_str){NULL, 0}, ad->ns) : NULL;
    return o ? labels_of(fed_kobj_parse(o, &ad->r->arena)) : NULL;
}

/* The resource asked for, then the other versions in which the same objects are served. */
static void find_resources(struct fed_admission *ad)
{
    struct fed_arena *a = &ad->r->arena;
    size_t n = 1 + (ad->v ? ad->v->kind->n_versions : 0);
    const struct fed_api_request *q = &ad->r->q;
    ad->resources = FED_ARENA_ARRAY(a, struct fed_hook_resource, n);
    ad->versions = FED_ARENA_ARRAY(a, const struct fed_kind_version *, n);
    ad->resources[0] = (struct fed_hook_resource){q->group, q->version, q->resource};
    ad->versions[0] = ad->v;
    ad->n_resources = 1;
    for (size_t i = 0; ad->v && i < ad->v->kind->n_versions; i++) {
        const struct fed_kind_version *v = &ad->v->kind->versions[i];
        if (v == ad->v || !v->served)
            continue;
        ad->resources[ad->n_resources] = (struct fed_hook_resource){v->group, v->version, v->kind->plural};
        ad->versions[ad->n_resources++] = v;
    }
}

static int match(struct fed_admission *ad, const struct fed_hook *h)
{
    struct fed_hook_question q = {.operation = ad->operation,
                                  .resources = ad->resources,
                                  .n_resources = ad->n_resources,
                                  .subresource = ad->r->q.subresource,
                                  .ns = ad->ns,
                                  .is_namespace = is_namespaces(ad),
                                  .ns_labels = ad->ns_labels,
                                  .labels = labels_of(ad->obj),
                                  .old_labels = labels_of(ad->old),
                                  .has_object = ad->obj != NULL,
                                  .has_old = ad->old != NULL};
    return fed_hook_match(h, &q);
}

static void split_version(struct fed_str api_version, struct fed_str *group, struct fed_str *version)
{
    ptrdiff_t slash = fed_str_chr(api_version, '/', 0);
    *group = slash < 0 ? (struct fed_str){NULL, 0} : fed_str_head(api_version, (size_t)slash);
    *version = slash < 0 ? api_version : fed_str_from(api_version, (size_t)slash + 1);
}

static struct fed_review_kind review_kind(const struct fed_admission *ad, size_t i)
{
    const struct fed_kind_version *v = ad->versions[i];
    const struct fed_hook_resource *of = &ad->resources[i];
    struct fed_review_kind k = {.resource = of->resource, .resource_group = of->group, .resource_version = of->version};
    if (v) {
        k.group = v->group;
        k.version = v->version;
        k.kind = v->kind->kind;
    } else {
        split_version(ad->api_version, &k.group, &k.version);
        k.kind = ad->kind;
    }
    return k;
}

/* A copy of `obj` in the version of resource i. */
static int show(struct fed_admission *ad, const struct fed_json *obj, size_t i, struct fed_json **out,
                struct fed_err *err)
{
    struct fed_arena *a = &ad->r->arena;
    *out = obj ? fed_json_copy(a, obj) : NULL;
    if (!obj || !ad->versions[i] || ad->versions[i] == fed_kind_storage(ad->v->kind))
        return 0;
    int rc = fed_kind_convert(a, *out, fed_kind_storage(ad->v->kind), ad->versions[i], err);
    if (rc == 0)
        fed_schema_zeros(a, ad->versions[i]->schema, *out);
    return rc;
}

static struct fed_str type_of(const struct fed_admission *ad)
{
    return ad->mutating ? FED_STR("admit") : FED_STR("validating");
}

/* error: Kubernetes' word for why a request was refused; NULL: it was not. */
static void count_call(struct fed_hook_call *c, int status, const char *error)
{
    struct fed_api *api = c->ad->r->api;
    struct fed_admission_state *s = state_of(api);
    char text[8];
    int n = snprintf(text, sizeof text, "%d", status);
    struct fed_str code = fed_str_n(text, (size_t)n), rejected = error ? FED_STR("true") : FED_STR("false");
    struct fed_str operation = fed_str(fed_admit_operation_name(c->ad->operation)), type = type_of(c->ad);
    struct fed_str labels[] = {code, c->hook->name, operation, rejected, type};
    fed_metric_add(fed_metric_get(s->m_calls, labels, 5), 1);
    if (c->start_ns)
        fed_metric_observe(fed_metric_get(s->m_seconds, labels + 1, 4),
                           (double)(fed_mono_ns(api->env) - c->start_ns) / 1e9);
    struct fed_str refusal[] = {fed_str(error ? error : ""), c->hook->name, operation, code, type};
    if (error)
        fed_metric_add(fed_metric_get(s->m_rejected, refusal, 5), 1);
}

/* --- the answers --- */

static void finish(struct fed_admission *ad, int status, struct fed_str text)
{
    if (ad->use)
        use_put(ad->r->api, ad->use);
    ad->use = NULL;
    ad->done(ad, status, text);
}

static struct fed_str keep_text(struct fed_admission *ad, struct fed_buf *b)
{
    struct fed_str s = fed_arena_dup(&ad->r->arena, fed_buf_str(b));
    fed_buf_release(b);
    return s;
}

static void refuse_internal(struct fed_hook_call *c, const char *text)
{
    struct fed_buf b = {0};
    fed_review_internal(&b, text);
    c->status = 500;
    c->text = keep_text(c->ad, &b);
}

static size_t place_of(const struct fed_hook_call *c)
{
    return (size_t)(c->hook - c->ad->use->list.hooks);
}

/* The call failed: by policy it is ignored or refuses the request. */
static void call_failed(struct fed_hook_call *c, const char *why)
{
    count_call(c, 500, c->hook->ignore ? NULL : "calling_webhook_error");
    if (c->hook->ignore) {
        struct fed_str labels[] = {c->hook->name, type_of(c->ad)};
        fed_metric_add(fed_metric_get(state_of(c->ad->r->api)->m_failed_open, labels, 2), 1);
        fed_admission_note_open(c->ad, c->hook, place_of(c));
        return;
    }
    refuse_internal(
        c,
        fed_arena_printf(&c->ad->r->arena, "failed calling webhook \"%.*s\": %s", FED_STR_ARG(c->hook->name), why).p);
}

/* It stays what it is. */
static int check_type(const struct fed_admission *ad, const struct fed_json *obj, struct fed_str api_version,
                      struct fed_str kind, struct fed_err *err)
{
    struct fed_str k = fed_json_find_text(obj, "kind"), gv = fed_json_find_text(obj, "apiVersion");
    if (!k.n || !gv.n)
        return fed_err_set(err, FED_E_INVALID, "Object '%s' is missing in '%.*s'", k.n ? "apiVersion" : "Kind",
                           FED_STR_ARG(fed_str_head(fed_json_text(&ad->r->arena, obj), 120)));
    if (!fed_str_eq(k, kind) || !fed_str_eq(gv, api_version))
        return fed_err_set(err, FED_E_INVALID, "the patched object is a %.*s of %.*s, not a %.*s of %.*s",
                           FED_STR_ARG(k), FED_STR_ARG(gv), FED_STR_ARG(kind), FED_STR_ARG(api_version));
    return 0;
}

/* What a webhook may not change is put back; the rest is read as a body would be. */
static int take_back(struct fed_admission *ad, size_t i, struct fed_json *obj, struct fed_err *err)
{
    const struct fed_kind_version *v = ad->versions[i], *to = ad->v ? fed_kind_storage(ad->v->kind) : NULL;
    static const char *const fixed[] = {"name",
                                        "namespace",
                                        "uid",
                                        "resourceVersion",
                                        "creationTimestamp",
                                        "generation",
                                        "deletionTimestamp",
                                        "deletionGracePeriodSeconds"};
    struct fed_arena *a = &ad->r->arena;
    if (!obj || obj->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_INVALID, "the patched object is not an object");
    if (check_type(ad, obj, v ? v->api_version : ad->api_version, v ? v->kind->kind : ad->kind, err))
        return err->code;
    if (v) {
        struct fed_causes scratch = {.arena = a};
        struct fed_str mistyped = {NULL, 0};
        fed_kind_prune(v, obj, NULL, NULL);
        fed_schema_default(a, v->schema, obj);
        fed_schema_validate(v->schema, obj, &scratch, &mistyped);
        if (mistyped.n)
            return fed_err_set(err, FED_E_INVALID, "%.*s", FED_STR_ARG(mistyped));
        if (!v->kind->custom)
            fed_schema_quantities(a, v->schema, obj);
        if (v != to && fed_kind_convert(a, obj, v, to, err))
            return err->code;
        struct fed_json *meta = fed_obj_metadata(a, obj);
        const struct fed_json *was = fed_json_find(ad->obj, "metadata");
        for (size_t k = 0; k < FED_ARRAY_LEN(fixed); k++) {
            const struct fed_json *f = fed_json_find(was, fixed[k]);
            if (f)
                fed_json_set(meta, fixed[k], fed_json_copy(a, f));
            else
                fed_json_remove_key(meta, fixed[k]);
        }
    }
    ad->changed |= !fed_json_equal(ad->obj, obj);
    ad->obj = obj;
    return 0;
}

static void apply(struct fed_hook_call *c, const struct fed_json *patch)
{
    struct fed_admission *ad = c->ad;
    struct fed_err err = {0};
    if (!ad->obj || ad->operation == FED_ADMIT_CONNECT) {
        refuse_internal(c, fed_arena_printf(&ad->r->arena,
                                            "admission webhook \"%.*s\" attempted to modify the object, which is not "
                                            "supported for this operation",
                                            FED_STR_ARG(c->hook->name))
                               .p);
        return;
    }
    const struct fed_json *before = ad->obj;
    if (fed_json_patch(&ad->r->arena, &c->obj, patch, &err) || take_back(ad, c->shown, c->obj, &err)) {
        refuse_internal(c, err.text);
        return;
    }
    c->mutated = !fed_json_equal(before, ad->obj);
    fed_admission_note_patch(ad, c->hook, place_of(c), patch);
    if (!c->mutated)
        return;
    /* Whoever saw another object and cares is asked again. */
    size_t self = place_of(c);
    for (size_t i = 0; !ad->second && i < ad->use->list.n; i++)
        if (i != self && (ad->seen[i] & SEEN) && ad->use->list.hooks[i].again)
            ad->seen[i] |= AGAIN;
}

static void judge(struct fed_hook_call *c, int code, struct fed_str body, const struct fed_err *err)
{
    struct fed_admission *ad = c->ad;
    struct fed_arena *a = &ad->r->arena;
    struct fed_review_answer answer;
    struct fed_err why = {0};
    if (code) {
        call_failed(c, fed_arena_printf(a, "failed to call webhook: %s", err->text).p);
        return;
    }
    if (fed_review_read(a, fed_arena_dup(a, body), c->hook->review, fed_str(c->uid), ad->mutating, &answer, &why)) {
        call_failed(c, fed_arena_printf(a, "received invalid webhook response: %s", why.text).p);
        return;
    }
    FED_JSON_EACH(w, answer.warnings)
        if (w->type == FED_JSON_STRING)
            fed_api_warn(ad->r, "%.*s", FED_STR_ARG(w->s));
    FED_JSON_EACH(n, answer.annotations)
        if (n->type == FED_JSON_STRING)
            fed_audit_note(ad->r, fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(c->hook->name), FED_STR_ARG(n->key)),
                           n->s);
    if (!answer.allowed) {
        struct fed_buf b = {0};
        c->status = fed_review_denial(&b, c->hook->name, answer.status);
        count_call(c, c->status, "no_error");
        c->text = keep_text(ad, &b);
        return;
    }
    if (answer.patch)
        apply(c, answer.patch);
    count_call(c, c->status ? 0 : 200, c->status ? "apiserver_internal_error" : NULL);
}

/* --- asking --- */

/* All but the objects. */
static struct fed_review review_of(const struct fed_hook_call *c)
{
    struct fed_admission *ad = c->ad;
    const struct fed_api_request *q = &ad->r->q;
    return (struct fed_review){
        .api_version = c->hook->review,
        .uid = fed_str(c->uid),
        .as = review_kind(ad, c->shown),
        .requested = review_kind(ad, 0),
        .subresource = q->subresource,
        .name = ad->unnamed && ad->mutating ? (struct fed_str){NULL, 0} : ad->name,
        .ns = ad->ns,
        .user = q->who.user,
        .user_uid = q->who.uid,
        .groups = q->who.groups,
        .n_groups = q->who.n_groups,
        .extra = q->who.n_extra ? fed_json_find(fed_identity_json(&ad->r->arena, &q->who), "extra") : NULL,
        .operation = ad->operation,
        .options = ad->options,
        .dry_run = q->dry_run};
}

static int show_both(struct fed_hook_call *c, struct fed_json **old, struct fed_err *err)
{
    struct fed_admission *ad = c->ad;
    if (show(ad, ad->obj, c->shown, &c->obj, err) || show(ad, ad->old, c->shown, old, err))
        return fed_err_wrap(err, err->code, "converting the object");
    return 0;
}

/* Those who may still change a new object see what was sent; its identity comes after them. take_back() restores it. */
static void hide_identity(const struct fed_hook_call *c)
{
    static const char *const later[] = {"uid", "creationTimestamp", "generation"};
    const struct fed_admission *ad = c->ad;
    struct fed_json *meta = fed_json_find(c->obj, "metadata");
    if (!ad->mutating || ad->operation != FED_ADMIT_CREATE || !ad->v)
        return;
    for (size_t i = 0; i < FED_ARRAY_LEN(later); i++)
        fed_json_remove_key(meta, later[i]);
    if (ad->unnamed)
        fed_json_remove_key(meta, "name");
}

static void ask(struct fed_hook_call *c, fed_webhook_done answered)
{
    struct fed_admission *ad = c->ad;
    struct fed_err err = {0};
    struct fed_json *old = NULL;
    struct fed_buf b = {0};
    c->start_ns = fed_mono_ns(ad->r->api->env);
    fed_uuid(ad->r->api->env, c->uid);
    if (!c->hook->broken)
        err.code = show_both(c, &old, &err);
    if (!err.code)
        hide_identity(c);
    struct fed_review review = review_of(c);
    review.object = c->obj;
    review.old = old;
    if (c->hook->broken || err.code) { /* answered by the failure policy, as if the call had failed */
        fed_api_request_defer(ad->r);
        fed_err_set(&err, FED_E_INVALID, "%s", c->hook->broken ? c->hook->broken : err.text);
        answered(c, err.code, (struct fed_str){NULL, 0}, &err);
        return;
    }
    fed_review_write(&b, &review);
    fed_api_request_defer(ad->r);
    fed_webhook_post(ad->r->api, &c->hook->target, fed_buf_str(&b), c->hook->timeout_ms, answered, c);
    fed_buf_release(&b);
}

/* False: refused, since the webhook cannot promise to leave no trace. */
static bool may_rehearse(struct fed_hook_call *c)
{
    struct fed_buf b = {0};
    if (!c->ad->r->q.dry_run || c->hook->dry_run_ok)
        return true;
    struct fed_str text = fed_arena_printf(&c->ad->r->arena, "admission webhook \"%.*s\" does not support dry run",
                                           FED_STR_ARG(c->hook->name));
    fed_status_write(&b, FED_E_BAD_REQUEST, text.p, NULL);
    c->status = 400;
    c->text = keep_text(c->ad, &b);
    return false;
}

/* AdmissionReview's request as conditions see it. */
static struct fed_json *request_of(struct fed_hook_call *c)
{
    struct fed_review review = review_of(c);
    struct fed_json *v = NULL;
    struct fed_buf b = {0};
    fed_review_write(&b, &review);
    if (fed_json_parse(&c->ad->r->arena, keep_text(c->ad, &b), NULL, &v, NULL))
        return NULL;
    return fed_json_find(v, "request");
}

/* Whether the webhook's conditions let it be asked; a refusal is put into the call. */
static bool is_meant(struct fed_hook_call *c)
{
    const struct fed_api_request *q = &c->ad->r->q;
    struct fed_json *old = NULL;
    struct fed_str why;
    struct fed_err err = {0};
    struct fed_buf b = {0};
    if (!c->hook->conditions.n || c->hook->broken || show_both(c, &old, &err))
        return true; /* what is wrong is said when it is asked */
    int rc = fed_match_conditions_hold(&c->hook->conditions, &c->ad->r->arena, c->obj, old, request_of(c), &why);
    if (rc >= 0 || c->hook->ignore)
        return rc > 0;
    struct fed_status_details d = {.name = c->ad->name, .group = q->group, .kind = q->resource};
    fed_status_write(&b, FED_E_FORBIDDEN,
                     fed_arena_printf(&c->ad->r->arena, "%.*s%s%.*s%s%.*s%s is forbidden: %.*s",
                                      FED_STR_ARG(q->resource), q->group.n ? "." : "", FED_STR_ARG(q->group),
                                      c->ad->name.n ? " \"" : "", FED_STR_ARG(c->ad->name), c->ad->name.n ? "\"" : "",
                                      FED_STR_ARG(why))
                         .p,
                     &d);
    c->status = 403;
    c->text = keep_text(c->ad, &b);
    return true;
}

static void mutate_next(struct fed_admission *ad);

static void mutated(void *ud, int code, struct fed_str body, const struct fed_err *err)
{
    struct fed_hook_call *c = ud;
    struct fed_admission *ad = c->ad;
    judge(c, code, body, err);
    fed_admission_note_mutation(ad, c->hook, place_of(c), c->mutated);
    if (c->status)
        finish(ad, c->status, c->text);
    else
        mutate_next(ad);
}

/* The first round is over: those who have to see the object again do. */
static bool second_round(struct fed_admission *ad)
{
    if (ad->second || !ad->changed)
        return false;
    const struct fed_json *before = ad->builtin ? fed_json_copy(&ad->r->arena, ad->obj) : NULL;
    if (ad->builtin)
        ad->builtin(ad);
    bool moved = before && !fed_json_equal(before, ad->obj), any = false;
    for (size_t i = 0; i < ad->use->list.n; i++) {
        if (moved && (ad->seen[i] & SEEN) && ad->use->list.hooks[i].again)
            ad->seen[i] |= AGAIN;
        any |= (ad->seen[i] & AGAIN) != 0;
    }
    ad->second = true;
    ad->next = 0;
    return any;
}

static void mutate_next(struct fed_admission *ad)
{
    struct fed_hook_list *l = &ad->use->list;
    struct fed_str none = {NULL, 0};
    do {
        while (ad->next < l->n) {
            size_t i = ad->next++;
            if (ad->second && !(ad->seen[i] & AGAIN))
                continue;
            int shown = match(ad, &l->hooks[i]);
            if (shown < 0)
                continue;
            struct fed_hook_call *c = FED_ARENA_NEW(&ad->r->arena, struct fed_hook_call);
            *c = (struct fed_hook_call){.ad = ad, .hook = &l->hooks[i], .shown = (size_t)shown};
            if (!is_meant(c))
                continue;
            if (c->status || !may_rehearse(c)) {
                fed_admission_note_mutation(ad, c->hook, i, false);
                finish(ad, c->status, c->text);
                return;
            }
            ad->seen[i] |= SEEN;
            ask(c, mutated);
            return;
        }
    } while (second_round(ad));
    finish(ad, 0, none);
}

static void validated(void *ud, int code, struct fed_str body, const struct fed_err *err)
{
    struct fed_hook_call *c = ud;
    struct fed_admission *ad = c->ad;
    judge(c, code, body, err);
    if (--ad->running)
        return;
    for (size_t i = 0; i < ad->next; i++)
        if (ad->calls[i].status) {
            finish(ad, ad->calls[i].status, ad->calls[i].text);
            return;
        }
    finish(ad, 0, (struct fed_str){NULL, 0});
}

static void validate_all(struct fed_admission *ad)
{
    struct fed_hook_list *l = &ad->use->list;
    ad->calls = FED_ARENA_ARRAY(&ad->r->arena, struct fed_hook_call, l->n);
    for (size_t i = 0; i < l->n; i++) {
        int shown = match(ad, &l->hooks[i]);
        struct fed_hook_call *c = &ad->calls[ad->next];
        if (shown < 0)
            continue;
        *c = (struct fed_hook_call){.ad = ad, .hook = &l->hooks[i], .shown = (size_t)shown};
        if (!is_meant(c))
            continue;
        ad->next++;
        if (c->status || !may_rehearse(c)) {
            finish(ad, c->status, c->text);
            return;
        }
    }
    if (!ad->next) {
        finish(ad, 0, (struct fed_str){NULL, 0});
        return;
    }
    /* One more holds the end back until all are asked. */
    ad->running = ad->next + 1;
    for (size_t i = 0; i < ad->next; i++)
        ask(&ad->calls[i], validated);
    if (--ad->running == 0) { /* all were answered at once (none could be asked) */
        ad->running = 1;
        size_t i = 0;
        while (i < ad->next && !ad->calls[i].status)
            i++;
        finish(ad, i < ad->next ? ad->calls[i].status : 0,
               i < ad->next ? ad->calls[i].text : (struct fed_str){NULL, 0});
    }
}

static bool begin(struct fed_admission *ad, bool mutating)
{
    struct fed_hook_use *u = hooks_now(ad->r->api, mutating);
    ad->mutating = mutating;
    ad->second = false;
    ad->next = ad->running = 0;
    ad->calls = NULL;
    if (!u || !ad->r->q.who.user.n) { /* the server's own writes are not asked about */
        finish(ad, 0, (struct fed_str){NULL, 0});
        return false;
    }
    ad->use = u;
    u->users++;
    ad->seen = fed_arena_zalloc(&ad->r->arena, u->list.n);
    if (!ad->resources)
        find_resources(ad);
    ad->ns_labels = namespace_labels(ad);
    return true;
}

void fed_admission_mutate(struct fed_admission *ad)
{
    if (begin(ad, true))
        mutate_next(ad);
}

void fed_admission_validate(struct fed_admission *ad)
{
    if (begin(ad, false))
        validate_all(ad);
}
