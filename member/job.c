/* SPDX-License-Identifier: Apache-2.0 */
#include "member/job.h"

#include <stdarg.h>

#include "base/log.h"
#include "base/mem.h"

enum { MESSAGE_MAX = 1024 }; /* as an Event takes it */

struct mbr_said {
    struct fed_recorder *recorder;
    struct fed_kobj *about; /* referenced */
    bool warning;
    struct fed_str reason, text;
    struct mbr_said *next;
};
struct mbr_write { /* in the job's arena */
    struct mbr_job *job;
    int fine; /* a code that counts as done: somebody else did it */
    void (*tell)(void *ud, const char *key, const struct fed_err *err);
    void *ud;
    struct mbr_said *first, **end;
    struct mbr_write *before;
};

struct mbr_job *mbr_job_new(struct mbr *m, struct fed_workqueue *queue, const char *key)
{
    struct mbr_job *j = FED_NEW(struct mbr_job);
    j->m = m;
    j->queue = queue;
    j->key = fed_strdup(key);
    j->holds = 1;
    fed_list_push_back(&m->jobs, &j->link);
    return j;
}

static void say(struct mbr_write *w, bool aloud)
{
    for (struct mbr_said *s = w->first; s; s = s->next) {
        if (aloud && s->warning)
            fed_event_warning(s->recorder, s->about, s->reason.p, "%.*s", FED_STR_ARG(s->text));
        else if (aloud)
            fed_event_normal(s->recorder, s->about, s->reason.p, "%.*s", FED_STR_ARG(s->text));
        fed_kobj_unref(s->about);
    }
    w->first = NULL;
}

static void job_free(struct mbr_job *j)
{
    fed_list_remove(&j->link);
    fed_task_cancel(&j->over);
    for (struct mbr_write *w = j->last; w; w = w->before)
        say(w, false);
    fed_arena_release(&j->arena);
    free(j->key);
    free(j);
}

static void over(struct fed_task *task)
{
    struct mbr_job *j = fed_container_of(task, struct mbr_job, over);
    fed_workqueue_done(j->queue, j->key, j->code);
    job_free(j);
}

/* The hub's task, which was posted before the answer came, posts itself once more before it hands out the news. */
static void over_soon(struct fed_task *task)
{
    fed_task_post(fed_container_of(task, struct mbr_job, over)->m->env, task, over);
}

void mbr_job_end(struct mbr_job *j, int code)
{
    if (code < 0)
        j->code = code;
    if (--j->holds)
        j->wrote = true;
    else if (j->wrote)
        fed_task_post(j->m->env, &j->over, over_soon);
    else
        over(&j->over);
}

void mbr_jobs_release(struct mbr *m)
{
    FED_LIST_EACH_SAFE(it, &m->jobs)
        job_free(fed_container_of(it, struct mbr_job, link));
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct mbr_write *w = ud;
    struct mbr_job *j = w->job;
    struct fed_err unknown = {0};
    (void)res;
    if (code < 0 && !err)
        fed_err_set(&unknown, code, "%s", fed_code_text(code));
    if (w->tell)
        w->tell(w->ud, j->key, code < 0 ? err ? err : &unknown : NULL);
    if (code < 0 && code != FED_E_CONFLICT)
        fed_log_debug("member", "%s: %s", j->key, err ? err->text : fed_code_text(code));
    say(w, code >= 0);
    mbr_job_end(j, code == w->fine ? 0 : code);
}

static struct mbr_write *write_new(struct mbr_job *j, int fine)
{
    struct mbr_write *w = FED_ARENA_NEW(&j->arena, struct mbr_write);
    *w = (struct mbr_write){.job = j, .fine = fine, .end = &w->first, .before = j->last};
    j->last = w;
    j->holds++;
    return w;
}

static void queue_event(struct mbr_job *j, struct fed_recorder *r, const struct fed_kobj *about, const char *reason,
                        bool warning, const char *fmt, va_list ap)
{
    char message[MESSAGE_MAX];
    vsnprintf(message, sizeof(message), fmt, ap);
    struct fed_str text = fed_arena_dup(&j->arena, fed_str(message));
    if (!j->last && warning)
        return fed_event_warning(r, about, reason, "%.*s", FED_STR_ARG(text));
    if (!j->last)
        return fed_event_normal(r, about, reason, "%.*s", FED_STR_ARG(text));
    struct mbr_said *s = FED_ARENA_NEW(&j->arena, struct mbr_said);
    *s = (struct mbr_said){.recorder = r,
                           .about = fed_kobj_ref((struct fed_kobj *)about),
                           .warning = warning,
                           .reason = fed_arena_dup(&j->arena, fed_str(reason)),
                           .text = text};
    *j->last->end = s;
    j->last->end = &s->next;
}

void mbr_job_normal(struct mbr_job *j, struct fed_recorder *r, const struct fed_kobj *about, const char *reason,
                    const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    queue_event(j, r, about, reason, false, fmt, ap);
    va_end(ap);
}

void mbr_job_warning(struct mbr_job *j, struct fed_recorder *r, const struct fed_kobj *about, const char *reason,
                     const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    queue_event(j, r, about, reason, true, fmt, ap);
    va_end(ap);
}

void mbr_job_create(struct mbr_job *j, enum mbr_kind kind, struct fed_str ns, const struct fed_json *obj)
{
    mbr_job_create_told(j, kind, ns, obj, NULL, NULL);
}

void mbr_job_create_told(struct mbr_job *j, enum mbr_kind kind, struct fed_str ns, const struct fed_json *obj,
                         void (*tell)(void *ud, const char *key, const struct fed_err *err), void *ud)
{
    struct mbr_write *w = write_new(j, FED_E_ALREADY_EXISTS);
    w->tell = tell;
    w->ud = ud;
    fed_client_create(j->m->client, mbr_resource(kind), ns, obj, answered, w);
}

void mbr_job_update(struct mbr_job *j, enum mbr_kind kind, const struct fed_json *obj, const char *sub)
{
    fed_client_update(j->m->client, mbr_resource(kind), obj, sub, answered, write_new(j, 0));
}

void mbr_job_put(struct mbr_job *job, enum mbr_kind kind, struct fed_json *want, const char *const *keys)
{
    struct fed_arena *a = &job->arena;
    struct fed_str ns = fed_obj_ns(want);
    struct fed_kobj *have = mbr_find(job->m, kind, ns, fed_obj_name(want));
    if (!have) {
        mbr_job_create(job, kind, ns, want);
        return;
    }
    struct fed_json *tree = fed_kobj_parse(have, a);
    struct fed_json *labels = fed_json_at(tree, "metadata", "labels", NULL),
                    *mine = fed_json_at(want, "metadata", "labels", NULL);
    bool same = fed_json_equal(labels ? labels : fed_json_object(a), mine);
    for (size_t i = 0; keys[i]; i++) {
        const struct fed_json *x = fed_json_find(tree, keys[i]), *y = fed_json_find(want, keys[i]);
        same = same && ((!x || !x->n) ? (!y || !y->n) : (y && fed_json_equal(x, y)));
    }
    if (same)
        return;
    fed_json_set(fed_obj_metadata(a, tree), "labels", fed_json_copy(a, mine));
    FED_JSON_EACH(an, fed_json_at(want, "metadata", "annotations", NULL))
        fed_obj_set_annotation(a, tree, fed_arena_dup(a, an->key).p, fed_json_str(an));
    for (size_t i = 0; keys[i]; i++) {
        struct fed_json *v = fed_json_find(want, keys[i]);
        if (v)
            fed_json_set(tree, keys[i], fed_json_copy(a, v));
        else
            fed_json_remove_key(tree, keys[i]);
    }
    mbr_job_update(job, kind, tree, "");
}

void mbr_job_merge(struct mbr_job *j, enum mbr_kind kind, struct fed_str ns, struct fed_str name, const char *sub,
                   const struct fed_json *patch)
{
    mbr_job_merge_of(j, mbr_resource(kind), ns, name, sub, patch);
}

void mbr_job_merge_of(struct mbr_job *j, const struct fed_resource *r, struct fed_str ns, struct fed_str name,
                      const char *sub, const struct fed_json *patch)
{
    struct mbr_write *w = write_new(j, FED_E_NOT_FOUND);
    fed_client_patch(j->m->client, r, ns, name, sub, "merge", patch, "", answered, w);
}

void mbr_job_merge_status(struct mbr_job *j, enum mbr_kind kind, const struct fed_kobj *obj, struct fed_json *status)
{
    struct fed_json *patch = fed_json_object(&j->arena);
    fed_json_set(patch, "status", status);
    mbr_job_merge(j, kind, obj->ns, obj->name, "status", patch);
}

void mbr_job_update_status(struct mbr_job *j, enum mbr_kind kind, struct fed_json *tree, struct fed_json *status)
{
    const struct fed_json *old = fed_json_find(tree, "status");
    if (old ? fed_json_equal_filled(status, old) : !status->n)
        return;
    fed_json_set(tree, "status", status);
    mbr_job_update(j, kind, tree, "status");
}

void mbr_job_delete(struct mbr_job *j, enum mbr_kind kind, const struct fed_kobj *obj)
{
    struct mbr_write *w = write_new(j, FED_E_NOT_FOUND);
    fed_client_delete(j->m->client, mbr_resource(kind), obj->ns, obj->name, "Background", obj->uid, answered, w);
}

struct fed_json *mbr_disruption(struct fed_arena *a, const struct fed_kobj *pod, const char *reason,
                                const char *message, int64_t now_ms)
{
    struct fed_json *status = fed_json_object(a);
    const struct fed_json *have = fed_json_at(fed_kobj_parse(pod, a), "status", "conditions", NULL);
    if (have)
        fed_json_set(status, "conditions", fed_json_copy(a, have));
    return fed_obj_set_condition(a, status, "DisruptionTarget", "True", reason, fed_str(message), now_ms) ? status
                                                                                                          : NULL;
}

void mbr_job_disrupt(struct mbr_job *j, const struct fed_kobj *pod, const char *reason, const char *message)
{
    struct fed_json *status = mbr_disruption(&j->arena, pod, reason, message, fed_wall_ms(j->m->env));
    if (status)
        mbr_job_merge_status(j, MBR_PODS, pod, status);
}

void mbr_job_delete_now(struct mbr_job *j, enum mbr_kind kind, const struct fed_kobj *obj)
{
    struct fed_transport *t = j->m->client;
    struct fed_call_request req = {
        .method = "DELETE",
        .body = fed_arena_printf(&j->arena,
                                 "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
                                 "\"preconditions\":{\"uid\":\"%.*s\"}}",
                                 FED_STR_ARG(obj->uid)),
        .path = fed_resource_path(&j->arena, mbr_resource(kind), obj->ns, obj->name, "", "")};
    t->ops->call(t, &req, answered, write_new(j, FED_E_NOT_FOUND));
}

struct fed_json *mbr_status_copy(struct fed_arena *a, const struct fed_json *tree)
{
    const struct fed_json *status = fed_json_find(tree, "status");
    return status ? fed_json_copy(a, status) : fed_json_object(a);
}

void mbr_patch_count(struct fed_arena *a, struct fed_json *status, const char *key, int64_t v)
{
    fed_json_set(status, key, v ? fed_json_new_int(a, v) : fed_json_null(a));
}

bool mbr_patch_differs(const struct fed_json *now, const struct fed_json *status)
{
    FED_JSON_EACH(f, status) {
        const struct fed_json *have = fed_json_find_str(now, f->key);
        bool none =
            !have || have->type == FED_JSON_NULL || (have->type == FED_JSON_NUMBER && fed_json_int(have, 1) == 0);
        if (f->type == FED_JSON_NULL ? !none : !have || !fed_json_equal_filled(f, have))
            return true;
    }
    return false;
}

struct expectation {
    int creates, deletes;
    uint64_t until_ms;
};

void mbr_expect_add(struct mbr_expect *e, struct fed_env *env, struct fed_str key, int creates, int deletes)
{
    struct expectation *x = fed_map_find(&e->keys, key);
    if (!x)
        fed_map_set(&e->keys, key, x = FED_NEW(struct expectation));
    x->creates += creates;
    x->deletes += deletes;
    x->until_ms = fed_mono_ms(env) + 30000;
}

void mbr_expect_created(struct mbr_expect *e, struct fed_str key)
{
    struct expectation *x = fed_map_find(&e->keys, key);
    if (x && x->creates > 0)
        x->creates--;
}

void mbr_expect_deleted(struct mbr_expect *e, struct fed_str key)
{
    struct expectation *x = fed_map_find(&e->keys, key);
    if (x && x->deletes > 0)
        x->deletes--;
}

bool mbr_expect_met(struct mbr_expect *e, struct fed_env *env, struct fed_str key)
{
    struct expectation *x = fed_map_find(&e->keys, key);
    if (x && (x->creates || x->deletes) && fed_mono_ms(env) < x->until_ms)
        return false;
    mbr_expect_forget(e, key);
    return true;
}

void mbr_expect_forget(struct mbr_expect *e, struct fed_str key)
{
    free(fed_map_remove(&e->keys, key));
}

void mbr_expect_release(struct mbr_expect *e)
{
    FED_MAP_EACH(x, &e->keys)
        free(x->value);
    fed_map_release(&e->keys);
}
