/* SPDX-License-Identifier: Apache-2.0 */
/* pods/eviction: a deletion that asks the pod's budget first. What the budget allows is taken off by a write with the
 * revision that was read, so that two evictions never spend the same; then the pod is deleted. */
#include "base/mem.h"
#include "kube/selector.h"
#include "member/controllers/budget.h"
#include "member/job.h"
#include "member/podinfo.h"
#include "member/virtuals.h"

enum { TRIES = 10, MANY = 2000 };

struct evict {
    struct mbr *m;
    struct fed_api_reply *reply;
    struct fed_arena arena;
    struct fed_str ns, pod, uid, budget;
    const struct fed_json *options; /* deleteOptions or NULL */
    bool ready, dry;
    int tries;
};

static void finish(struct evict *e)
{
    fed_arena_release(&e->arena);
    free(e);
}

static void fail(struct evict *e, int code, const char *text)
{
    fed_api_reply_error(e->reply, code, "%s", text);
    finish(e);
}

static void done(struct evict *e)
{
    static const char ok[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"code\":201}";
    fed_api_reply_text(e->reply, 201, "application/json", FED_STR(ok));
    finish(e);
}

static void deleted(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct evict *e = ud;
    (void)res;
    if (code < 0)
        return fail(e, code, err && err->text[0] ? err->text : fed_code_text(code));
    done(e);
}

static void delete_now(struct evict *e)
{
    struct fed_arena *a = &e->arena;
    struct fed_json *body = fed_json_object(a), *only = fed_json_object(a);
    const struct fed_json *grace = fed_json_find(e->options, "gracePeriodSeconds");
    struct fed_buf text = {0};
    fed_json_set(body, "apiVersion", fed_json_new_strz(a, "v1"));
    fed_json_set(body, "kind", fed_json_new_strz(a, "DeleteOptions"));
    fed_json_set(only, "uid", fed_json_new_str(a, e->uid));
    fed_json_set(body, "preconditions", only);
    if (grace)
        fed_json_set(body, "gracePeriodSeconds", fed_json_copy(a, grace));
    fed_json_write(&text, body);
    struct fed_call_request req = {.method = "DELETE",
                                   .path = fed_resource_path(a, mbr_resource(MBR_PODS), e->ns, e->pod, "", ""),
                                   .body = fed_buf_str(&text)};
    e->m->client->ops->call(e->m->client, &req, deleted, e);
    fed_buf_release(&text);
}

static void told(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct evict *e = ud;
    (void)res;
    if (code < 0 && code != FED_E_NOT_FOUND)
        return fail(e, code, err && err->text[0] ? err->text : fed_code_text(code));
    delete_now(e);
}

/* The pod says first why it goes, for those who decide by that what its end means (Jobs' pod failure policies). */
static void delete_pod(struct evict *e)
{
    struct fed_arena *a = &e->arena;
    struct fed_kobj *pod = mbr_find(e->m, MBR_PODS, e->ns, e->pod);
    struct fed_json *patch = fed_json_object(a);
    if (e->dry)
        return done(e);
    if (!pod || !fed_str_eq(pod->uid, e->uid) || pod->deleting)
        return delete_now(e);
    struct fed_json *status =
        mbr_disruption(a, pod, "EvictionByEvictionAPI", "Eviction API: evicting", fed_wall_ms(e->m->env));
    if (!status)
        return delete_now(e);
    fed_json_set(patch, "status", status);
    fed_json_set(fed_obj_metadata(a, patch), "uid", fed_json_new_str(a, e->uid));
    fed_client_patch(e->m->client, mbr_resource(MBR_PODS), e->ns, e->pod, "status", "merge", patch, "", told, e);
}

static void refuse(struct evict *e, const struct fed_json *budget, bool unsettled)
{
    struct fed_arena *a = &e->arena;
    struct fed_json *status = fed_json_object(a), *details = fed_json_object(a), *cause = fed_json_object(a);
    long long needs = fed_json_int(fed_json_at(budget, "status", "desiredHealthy", NULL), 0);
    long long has = fed_json_int(fed_json_at(budget, "status", "currentHealthy", NULL), 0);
    fed_json_set(cause, "reason", fed_json_new_strz(a, "DisruptionBudget"));
    fed_json_set(cause, "message",
                 unsettled
                     ? fed_json_new_strf(a, "The disruption budget %.*s is still being processed by the server.",
                                         FED_STR_ARG(e->budget))
                     : fed_json_new_strf(a, "The disruption budget %.*s needs %lld healthy pods and has %lld currently",
                                         FED_STR_ARG(e->budget), needs, has));
    fed_json_push(fed_json_ensure_array(a, details, "causes"), cause);
    if (unsettled)
        fed_json_set(details, "retryAfterSeconds", fed_json_new_int(a, 10));
    fed_json_set(status, "kind", fed_json_new_strz(a, "Status"));
    fed_json_set(status, "apiVersion", fed_json_new_strz(a, "v1"));
    fed_json_set(status, "metadata", fed_json_object(a));
    fed_json_set(status, "status", fed_json_new_strz(a, "Failure"));
    fed_json_set(status, "message",
                 fed_json_new_strz(a, "Cannot evict pod as it would violate the pod's disruption budget."));
    fed_json_set(status, "reason", fed_json_new_strz(a, "TooManyRequests"));
    fed_json_set(status, "details", details);
    fed_json_set(status, "code", fed_json_new_int(a, 429));
    fed_api_reply_json(e->reply, 429, status);
    finish(e);
}

static void ask_budget(struct evict *e);

static void spent(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct evict *e = ud;
    (void)res;
    if (code == FED_E_CONFLICT && ++e->tries < TRIES)
        return ask_budget(e);
    if (code < 0 && code != FED_E_NOT_FOUND)
        return fail(e, code == FED_E_CONFLICT ? FED_E_TOO_MANY : code,
                    err && err->text[0] ? err->text : fed_code_text(code));
    delete_pod(e);
}

static void spend(struct evict *e, struct fed_json *budget)
{
    struct fed_arena *a = &e->arena;
    struct fed_json *status = fed_json_ensure_object(a, budget, "status");
    struct fed_json *pods = fed_json_ensure_object(a, status, "disruptedPods");
    int64_t allowed = fed_json_int(fed_json_find(status, "disruptionsAllowed"), 0);
    char now[21];
    if (!pods || pods->n >= MANY)
        return fail(e, FED_E_FORBIDDEN,
                    "DisruptedPods map too big - too many evictions not confirmed by PDB controller");
    fed_time_format(fed_wall_ms(e->m->env), now);
    fed_json_set(status, "disruptionsAllowed", fed_json_new_int(a, allowed - 1));
    fed_json_set_str(pods, e->pod, fed_json_new_strf(a, "%s", now));
    if (e->dry)
        return done(e);
    fed_client_update(e->m->client, mbr_resource(MBR_BUDGETS), budget, "status", spent, e);
}

static void got_budget(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct evict *e = ud;
    struct fed_json *budget = NULL;
    if (code == FED_E_NOT_FOUND)
        return delete_pod(e);
    if (code < 0 || fed_json_parse(&e->arena, fed_arena_dup(&e->arena, res->body), NULL, &budget, NULL) < 0)
        return fail(e, code < 0 ? code : FED_E_INTERNAL, err && err->text[0] ? err->text : fed_code_text(code));
    enum mbr_eviction what = mbr_eviction_decide(budget, e->ready);
    if (what == MBR_EVICT)
        spend(e, budget);
    else if (what == MBR_EVICT_FREE)
        delete_pod(e);
    else
        refuse(e, budget, what == MBR_EVICT_UNSETTLED);
}

static void ask_budget(struct evict *e)
{
    fed_client_get(e->m->client, mbr_resource(MBR_BUDGETS), e->ns, e->budget, got_budget, e);
}

struct search {
    struct fed_arena *a;
    const struct fed_kobj *pod;
    struct fed_str found;
    int n;
};

static bool try_budget(void *ud, struct fed_kobj *budget)
{
    struct search *s = ud;
    struct fed_selector sel;
    if (fed_selector_from_json(s->a, fed_json_at(fed_kobj_parse(budget, s->a), "spec", "selector", NULL), &sel, NULL) ==
            0 &&
        fed_selector_matches(&sel, s->pod->labels, s->pod->n_labels)) {
        s->found = budget->name;
        s->n++;
    }
    return true;
}

void mbr_serve_eviction(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct mbr *m = ud;
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    struct fed_kobj *pod = mbr_find(m, MBR_PODS, req->ns, req->name);
    if (!pod)
        return fed_api_reply_error(reply, FED_E_NOT_FOUND, "pods \"%.*s\" not found", FED_STR_ARG(req->name));
    if (req->body.n && fed_api_request_body(reply, &body, &err))
        return fed_api_reply_error(reply, err.code, "%s", err.text);
    if (body && !fed_str_eq(fed_obj_name(body), req->name))
        return fed_api_reply_error(reply, FED_E_BAD_REQUEST, "name in URL does not match name in Eviction object");
    const struct fed_json *options = fed_json_find(body, "deleteOptions"), *dry = fed_json_find(options, "dryRun");
    struct fed_str uid = fed_json_str(fed_json_at(options, "preconditions", "uid", NULL));
    if (uid.n && !fed_str_eq(uid, pod->uid))
        return fed_api_reply_error(reply, FED_E_CONFLICT, "the pod is another one by now");
    const struct mbr_pod_info *p = mbr_pod_info_get(m, pod);
    struct search s = {.a = req->arena, .pod = pod};
    /* A pod that does not run, or goes already, is nobody's loss. */
    if (!p->ended && !p->deleting && !fed_str_is(p->phase, "Pending"))
        fed_informer_each(m->informers[MBR_BUDGETS], req->ns, try_budget, &s);
    if (s.n > 1)
        return fed_api_reply_error(
            reply, FED_E_INTERNAL,
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.");
    struct evict *e = FED_NEW(struct evict);
    e->m = m;
    e->reply = reply;
    e->ns = fed_arena_dup(&e->arena, req->ns);
    e->pod = fed_arena_dup(&e->arena, req->name);
    e->uid = fed_arena_dup(&e->arena, pod->uid);
    e->budget = fed_arena_dup(&e->arena, s.found);
    e->options = options ? fed_json_copy(&e->arena, options) : NULL;
    e->ready = p->ready;
    e->dry = req->dry_run || (dry && dry->n);
    if (s.n)
        ask_budget(e);
    else
        delete_pod(e);
}
