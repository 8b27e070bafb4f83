/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/custom_convert.h"

#include "apiserver/webhook_call.h"
#include "base/mem.h"

#define TIMEOUT_MS 30000u
#define BATCH      500u
#define BATCH_SIZE (1024u * 1024) /* bytes of objects in one review */

struct job {
    struct fed_list link; /* api->conversions */
    struct fed_api *api;
    const struct fed_kind *kind; /* reference */
    const struct fed_kind_version *to;
    struct fed_kobj **objs; /* references */
    size_t n, next, batch;  /* the batch under way begins at next */
    char uid[37];
    struct fed_list waits;
    struct fed_task task;
};
struct fed_conv_wait {
    struct fed_list link;
    fed_conv_done done;
    void *ud;
};

/* --- the review --- */

static void review_begin(struct fed_buf *b, const char *uid, struct fed_str desired)
{
    fed_buf_addf(
        b,
        "{\"kind\":\"ConversionReview\",\"apiVersion\":\"apiextensions.k8s.io/v1\",\"request\":{\"uid\":\"%s\","
        "\"desiredAPIVersion\":\"%.*s\",\"objects\":[",
        uid, FED_STR_ARG(desired));
}

static void send_review(struct fed_api *api, const struct fed_kind *kind, struct fed_str body, fed_webhook_done done,
                        void *ud)
{
    struct fed_arena a = {0};
    struct fed_webhook_target target = {0};
    /* A target that cannot be read was refused with the definition; if not, the call fails for want of an address. */
    int rc = fed_webhook_target_read(&a, fed_json_find(kind->conversion, "clientConfig"), &target, NULL);
    (void)rc;
    fed_webhook_post(api, &target, body, TIMEOUT_MS, done, ud);
    fed_arena_release(&a);
}

struct fed_json *fed_conv_review_read(struct fed_arena *a, struct fed_str body, const char *uid, size_t n,
                                      struct fed_err *err)
{
    static const struct fed_json_limits limits = {.max_bytes = 8u << 20, .max_nodes = 2000000};
    struct fed_json *review = NULL;
    if (fed_json_parse(a, body, &limits, &review, err))
        return NULL;
    const struct fed_json *response = fed_json_find(review, "response"), *result = fed_json_find(response, "result");
    struct fed_str got = fed_json_find_text(response, "uid");
    if (!fed_str_is(fed_json_find_text(review, "kind"), "ConversionReview") ||
        !fed_str_is(fed_json_find_text(review, "apiVersion"), "apiextensions.k8s.io/v1") || !response)
        fed_err_set(err, FED_E_INTERNAL, "invalid response: not a ConversionReview of apiextensions.k8s.io/v1");
    else if (!fed_str_is(got, uid))
        fed_err_set(err, FED_E_INTERNAL, "expected response.uid=\"%s\", got \"%.*s\"", uid, FED_STR_ARG(got));
    else if (!fed_str_is(fed_json_find_text(result, "status"), "Success"))
        fed_err_set(err, FED_E_INTERNAL, "%.*s", FED_STR_ARG(fed_json_find_text(result, "message")));
    else {
        struct fed_json *list = fed_json_find(response, "convertedObjects");
        if (list && list->type == FED_JSON_ARRAY && list->n == n)
            return list;
        fed_err_set(err, FED_E_INTERNAL, "webhook returned %u objects, expected %zu", list ? list->n : 0, n);
    }
    return NULL;
}

static int same_text(const struct fed_json *was, const struct fed_json *now, const char *member, struct fed_err *err)
{
    struct fed_str a = fed_json_find_text(was, member), b = fed_json_find_text(now, member);
    return fed_str_eq(a, b) ? 0
                            : fed_err_set(err, FED_E_INTERNAL, "invalid metadata: %s must not change: %.*s != %.*s",
                                          member, FED_STR_ARG(b), FED_STR_ARG(a));
}

int fed_conv_take(struct fed_arena *a, const struct fed_kind_version *to, const struct fed_json *was,
                  struct fed_json *now, struct fed_err *err)
{
    static const char *const fixed[] = {"name", "namespace", "uid"}, *const open[] = {"labels", "annotations"};
    const struct fed_json *meta = fed_json_find(was, "metadata"), *came = fed_json_find(now, "metadata");
    if (now->type != FED_JSON_OBJECT || !fed_str_eq(fed_json_find_text(now, "apiVersion"), to->api_version))
        return fed_err_set(err, FED_E_INTERNAL, "returned object is not of the desired version %.*s",
                           FED_STR_ARG(to->api_version));
    if (!fed_str_eq(fed_json_find_text(now, "kind"), to->kind->kind))
        return fed_err_set(err, FED_E_INTERNAL, "returned object is not of kind %.*s", FED_STR_ARG(to->kind->kind));
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        if (same_text(meta, came, fixed[i], err))
            return FED_E_INTERNAL;
    struct fed_json *restored = meta ? fed_json_copy(a, meta) : fed_json_object(a);
    for (size_t i = 0; i < FED_ARRAY_LEN(open); i++) {
        const struct fed_json *v = fed_json_find(came, open[i]);
        if (v && v->type == FED_JSON_OBJECT)
            fed_json_set(restored, open[i], fed_json_copy(a, v));
        else
            fed_json_remove_key(restored, open[i]);
    }
    fed_json_set(now, "metadata", restored);
    fed_schema_prune(to->schema, now, NULL, NULL);
    return 0;
}

/* --- encodings of objects --- */

static void job_free(struct job *j)
{
    fed_list_remove(&j->link);
    fed_task_cancel(&j->task);
    FED_LIST_EACH_SAFE(l, &j->waits) {
        struct fed_conv_wait *w = FED_LIST_ENTRY(l, struct fed_conv_wait, link);
        fed_list_remove(&w->link);
        free(w);
    }
    for (size_t i = 0; i < j->n; i++)
        fed_kobj_unref(j->objs[i]);
    free(j->objs);
    fed_kind_unref(j->kind);
    free(j);
}

static void job_end(struct job *j, int code, const struct fed_err *err)
{
    struct fed_list waits;
    fed_list_init(&waits);
    while (!fed_list_empty(&j->waits)) {
        struct fed_list *first = j->waits.next;
        fed_list_remove(first);
        fed_list_push_back(&waits, first);
    }
    /* The encodings live with the objects, which those who wait hold as well. */
    job_free(j);
    while (!fed_list_empty(&waits)) {
        struct fed_conv_wait *w = FED_LIST_ENTRY(waits.next, struct fed_conv_wait, link), own = *w;
        fed_list_remove(&w->link);
        free(w);
        own.done(own.ud, code, err);
    }
}

static void job_fail(struct job *j, struct fed_kobj *o, const struct fed_err *why)
{
    struct fed_err err = {0};
    fed_err_set(&err, FED_E_INTERNAL, "conversion webhook for %.*s, Kind=%.*s failed: %s", FED_STR_ARG(o->api_version),
                FED_STR_ARG(o->kind), why->text);
    job_end(j, FED_E_INTERNAL, &err);
}

static void next_batch(struct job *j);

static void batch_done(void *ud, int code, struct fed_str body, const struct fed_err *why)
{
    struct job *j = ud;
    struct fed_arena a = {0};
    struct fed_err err = why ? *why : (struct fed_err){0};
    struct fed_json *list = code ? NULL : fed_conv_review_read(&a, body, j->uid, j->batch, &err);
    size_t i = j->next;
    FED_JSON_EACH_SAFE(it, list) {
        struct fed_kobj *o = j->objs[i];
        fed_json_remove(it);
        if (fed_conv_take(&a, j->to, fed_kobj_parse(o, &a), it, &err)) {
            list = NULL;
            break;
        }
        struct fed_buf b = {0};
        fed_json_write(&b, it);
        struct fed_blob *blob = fed_blob_new_take(&b);
        fed_form_put(o, j->to, blob);
        fed_blob_unref(blob);
        i++;
    }
    fed_arena_release(&a);
    if (!list) {
        job_fail(j, j->objs[FED_MIN(i, j->n - 1)], &err);
        return;
    }
    j->next += j->batch;
    next_batch(j);
}

static void next_batch(struct job *j)
{
    struct fed_buf b = {0};
    if (j->next >= j->n || fed_list_empty(&j->waits)) {
        job_end(j, 0, NULL);
        return;
    }
    fed_uuid(j->api->env, j->uid);
    review_begin(&b, j->uid, j->to->api_version);
    for (j->batch = 0; j->next + j->batch < j->n && j->batch < BATCH && (b.n < BATCH_SIZE || !j->batch); j->batch++) {
        if (j->batch)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, j->objs[j->next + j->batch]->json);
    }
    fed_buf_addz(&b, "]}}");
    send_review(j->api, j->kind, fed_buf_str(&b), batch_done, j);
    fed_buf_release(&b);
}

static void begin(struct fed_task *t)
{
    next_batch(fed_container_of(t, struct job, task));
}

/* Many watchers want one change: it is converted once. */
static struct job *find_job(struct fed_api *api, const struct fed_kind_version *to, const struct fed_kobj *o)
{
    FED_LIST_EACH(l, &api->conversions) {
        struct job *j = FED_LIST_ENTRY(l, struct job, link);
        if (j->n == 1 && j->to == to && j->objs[0] == o)
            return j;
    }
    return NULL;
}

static struct job *new_job(struct fed_api *api, const struct fed_kind_version *to, struct fed_kobj *const *objs,
                           size_t n)
{
    struct fed_form form = {.kind = FED_FORM_OBJECT, .v = to};
    struct job *j = FED_NEW(struct job);
    j->api = api;
    j->to = to;
    j->kind = fed_kind_ref(to->kind);
    j->objs = fed_calloc(n ? n : 1, sizeof(struct fed_kobj *));
    for (size_t i = 0; i < n; i++)
        if (!fed_form_ready(objs[i], &form))
            j->objs[j->n++] = fed_kobj_ref(objs[i]);
    fed_list_init(&j->waits);
    fed_list_push_back(&api->conversions, &j->link);
    fed_task_post(api->env, &j->task, begin);
    return j;
}

struct fed_conv_wait *fed_conv_objects(struct fed_api *api, const struct fed_kind_version *to,
                                       struct fed_kobj *const *objs, size_t n, fed_conv_done done, void *ud)
{
    struct job *j = n == 1 ? find_job(api, to, objs[0]) : NULL;
    struct fed_conv_wait *w = FED_NEW(struct fed_conv_wait);
    if (!j)
        j = new_job(api, to, objs, n);
    w->done = done;
    w->ud = ud;
    fed_list_push_back(&j->waits, &w->link);
    return w;
}

void fed_conv_cancel(struct fed_conv_wait *w)
{
    if (!w)
        return;
    fed_list_remove(&w->link);
    free(w);
}

void fed_conv_release(struct fed_api *api)
{
    while (!fed_list_empty(&api->conversions))
        job_free(FED_LIST_ENTRY(api->conversions.next, struct job, link));
}

/* --- writes --- */

static void restart(struct fed_write_op *op)
{
    fed_commit_release(op);
    fed_write_op_reset(op);
    op->again(op);
}

static void current_ready(void *ud, int code, const struct fed_err *err)
{
    struct fed_write_op *op = ud;
    fed_kobj_unref(op->converting);
    op->converting = NULL;
    if (!code) {
        restart(op);
    } else if (op->done) {
        op->err = *err;
        fed_commit_fail(op, code);
    } else {
        fed_api_fail_err(op->r, err);
    }
}

bool fed_conv_current(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind *k = op->w.kind;
    struct fed_form stored = {.kind = FED_FORM_OBJECT, .v = fed_kind_storage(k)};
    struct fed_form asked = {.kind = FED_FORM_OBJECT, .v = op->patch && !r->form.scale ? r->v : stored.v};
    struct fed_kobj *o = k->conversion && r->q.name.n ? fed_cache_find(r->kc, r->q.ns, r->q.name) : NULL;
    bool ready = !o || fed_form_ready(o, &stored);
    if (ready && (!o || fed_form_ready(o, &asked)))
        return false;
    op->converting = fed_kobj_ref(o);
    fed_api_request_defer(r);
    (void)fed_conv_objects(r->api, ready ? asked.v : stored.v, &o, 1, current_ready, op);
    return true;
}

/* Who wrote what and when changes from attempt to attempt, and no webhook has a say in it. */
static struct fed_str text_to_send(struct fed_arena *a, const struct fed_json *obj)
{
    struct fed_json *copy = fed_json_copy(a, obj);
    fed_json_remove_key(fed_json_find(copy, "metadata"), "managedFields");
    return fed_json_text(a, copy);
}

static void body_done(void *ud, int code, struct fed_str body, const struct fed_err *why)
{
    struct fed_write_op *op = ud;
    struct fed_arena a = {0};
    struct fed_err err = why ? *why : (struct fed_err){0}, full = {0};
    struct fed_json *list = code ? NULL : fed_conv_review_read(&a, body, op->conv_uid, 1, &err);
    if (list)
        op->conv_out = fed_json_text(&op->r->arena, list->first);
    fed_arena_release(&a);
    if (list) {
        restart(op);
        return;
    }
    fed_err_set(&full, FED_E_INTERNAL, "conversion webhook for %.*s, Kind=%.*s failed: %s",
                FED_STR_ARG(op->r->v->api_version), FED_STR_ARG(op->w.kind->kind), err.text);
    fed_commit_release(op);
    fed_api_fail_err(op->r, &full);
}

/* The result is at hand: obj becomes what came. */
static int take_result(struct fed_write_op *op, struct fed_json *obj, const struct fed_kind_version *to,
                       struct fed_err *err)
{
    struct fed_arena *a = &op->r->arena;
    struct fed_json *now = NULL;
    struct fed_err why = {0};
    if (fed_json_parse(a, op->conv_out, NULL, &now, &why) || fed_conv_take(a, to, obj, now, &why))
        return fed_err_set(err, FED_E_INTERNAL, "conversion webhook for %.*s, Kind=%.*s failed: %s",
                           FED_STR_ARG(op->r->v->api_version), FED_STR_ARG(op->w.kind->kind), why.text);
    while (obj->first)
        fed_json_remove(obj->first);
    FED_JSON_EACH_SAFE(m, now) {
        struct fed_str key = m->key;
        fed_json_remove(m);
        fed_json_set_str(obj, key, m);
    }
    return 0;
}

int fed_conv_body(struct fed_write_op *op, struct fed_json *obj, const struct fed_kind_version *from,
                  const struct fed_kind_version *to, struct fed_err *err)
{
    struct fed_api_reply *r = op->r;
    if (!op->w.kind->conversion) {
        int rc = fed_kind_convert(&r->arena, obj, from, to, err);
        if (rc == 0 && op->w.kind->custom)
            fed_schema_prune(to->schema, obj, NULL, NULL);
        return rc;
    }
    struct fed_str text = text_to_send(&r->arena, obj);
    if (op->conv_out.n && fed_str_eq(text, op->conv_in))
        return take_result(op, obj, to, err);
    struct fed_buf b = {0};
    fed_uuid(r->api->env, op->conv_uid);
    review_begin(&b, op->conv_uid, to->api_version);
    fed_buf_add(&b, text);
    fed_buf_addz(&b, "]}}");
    op->conv_in = text;
    op->conv_out = (struct fed_str){NULL, 0};
    fed_api_request_defer(r);
    send_review(r->api, op->w.kind, fed_buf_str(&b), body_done, op);
    fed_buf_release(&b);
    return FED_E_BUSY;
}
