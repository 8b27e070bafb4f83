/* SPDX-License-Identifier: Apache-2.0 */
/* pods/binding and bindings: a scheduler, ours or another, gives a pod to a node. The pod is written with the revision that was looked at, so that of
 * two schedulers one is told that the pod has its node already; a change of something else in between is looked at anew. */
#include "base/mem.h"
#include "kube/check.h"
#include "member/virtuals.h"

enum { TRIES = 5 };

struct binding {
    struct mbr *m;
    struct fed_api_reply *reply;
    struct fed_arena arena;
    struct fed_str ns, pod;
    const struct fed_json *body;
    bool dry;
    int tries;
};

static void finish(struct binding *b)
{
    fed_arena_release(&b->arena);
    free(b);
}

static void answer_status(struct fed_api_reply *reply, int code, const char *message,
                          const struct fed_status_details *details)
{
    struct fed_buf text = {0};
    fed_status_write(&text, code, message, details);
    fed_api_reply_text(reply, fed_code_status(code), "application/json", fed_buf_str(&text));
    fed_buf_release(&text);
}

static void refuse(struct binding *b, const char *why)
{
    struct fed_status_details d = {.name = b->pod, .kind = FED_STR("pods/binding")};
    answer_status(b->reply, FED_E_CONFLICT,
                  fed_arena_printf(&b->arena, "Operation cannot be fulfilled on pods/binding \"%.*s\": %s",
                                   FED_STR_ARG(b->pod), why)
                      .p,
                  &d);
    finish(b);
}

static void attempt(struct binding *b);

static void written(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    static const char ok[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",\"code\":201}";
    struct binding *b = ud;
    (void)res;
    if (code == FED_E_CONFLICT && ++b->tries < TRIES) {
        attempt(b);
        return;
    }
    if (code < 0)
        fed_api_reply_error(b->reply, code, "%s", err && err->text[0] ? err->text : fed_code_text(code));
    else
        fed_api_reply_text(b->reply, 201, "application/json", FED_STR(ok));
    finish(b);
}

/* Why it may not be bound; NULL: it may. */
static const char *fault(struct binding *b, const struct fed_kobj *o, const struct fed_json *pod)
{
    struct fed_str has = fed_json_str(fed_json_at(pod, "spec", "nodeName", NULL)), uid = fed_obj_uid(b->body);
    struct fed_str rev = fed_json_str(fed_json_at(b->body, "metadata", "resourceVersion", NULL));
    const struct fed_json *gates = fed_json_at(pod, "spec", "schedulingGates", NULL);
    uint64_t n;
    if (uid.n && !fed_str_eq(uid, o->uid))
        return fed_arena_printf(&b->arena, "Precondition failed: UID in precondition: %.*s, UID in object meta: %.*s",
                                FED_STR_ARG(uid), FED_STR_ARG(o->uid))
            .p;
    if (rev.n && (fed_str_u64(rev, &n) || n != o->rev))
        return fed_arena_printf(
                   &b->arena,
                   "Precondition failed: ResourceVersion in precondition: %.*s, ResourceVersion in object meta: %llu",
                   FED_STR_ARG(rev), (unsigned long long)o->rev)
            .p;
    if (o->deleting)
        return fed_arena_printf(&b->arena, "pod %.*s is being deleted, cannot be assigned to a host",
                                FED_STR_ARG(b->pod))
            .p;
    if (has.n)
        return fed_arena_printf(&b->arena, "pod %.*s is already assigned to node \"%.*s\"", FED_STR_ARG(b->pod),
                                FED_STR_ARG(has))
            .p;
    if (gates && gates->n)
        return fed_arena_printf(&b->arena, "pod %.*s has non-empty .spec.schedulingGates", FED_STR_ARG(b->pod)).p;
    return NULL;
}

static void attempt(struct binding *b)
{
    struct fed_arena *a = &b->arena;
    const struct fed_kobj *o = fed_api_find(b->m->api, "", "pods", b->ns, b->pod);
    if (!o) {
        struct fed_status_details d = {.name = b->pod, .kind = FED_STR("pods")};
        answer_status(b->reply, FED_E_NOT_FOUND, NULL, &d);
        finish(b);
        return;
    }
    const char *why = fault(b, o, fed_kobj_parse(o, a));
    if (why) {
        refuse(b, why);
        return;
    }
    struct fed_json *patch = fed_json_object(a), *meta = fed_json_set(patch, "metadata", fed_json_object(a));
    struct fed_json *spec = fed_json_set(patch, "spec", fed_json_object(a));
    const struct fed_json *notes = fed_json_at(b->body, "metadata", "annotations", NULL);
    fed_json_set(meta, "resourceVersion", fed_json_new_strf(a, "%llu", (unsigned long long)o->rev));
    if (notes && notes->n)
        fed_json_set(meta, "annotations", fed_json_copy(a, notes));
    fed_json_set(spec, "nodeName", fed_json_copy(a, fed_json_at(b->body, "target", "name", NULL)));
    fed_client_patch(b->m->binder, mbr_resource(MBR_PODS), b->ns, b->pod, "", "merge", patch,
                     b->dry ? "dryRun=All" : "", written, b);
}

/* Answers: false. */
static bool target_ok(struct fed_api_reply *reply, struct fed_arena *a, const struct fed_json *body)
{
    static const char *const kinds[] = {"Node", "<empty>", NULL};
    const struct fed_json *target = fed_json_find(body, "target");
    struct fed_causes c = {.arena = a};
    fed_check_one_of(&c, fed_json_find_text(target, "kind"), kinds, "target.kind");
    fed_check_required(&c, fed_json_find_text(target, "name"), "target.name");
    if (!c.n)
        return true;
    struct fed_status_details d = {.name = fed_obj_name(body), .kind = FED_STR("Binding"), .causes = &c};
    answer_status(reply, FED_E_INVALID, NULL, &d);
    return false;
}

void mbr_serve_binding(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    if (fed_api_request_body(reply, &body, &err)) {
        fed_api_reply_error(reply, err.code, "%s", err.text);
        return;
    }
    struct fed_str name = fed_obj_name(body);
    if (req->name.n && !fed_str_eq(name, req->name)) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "name in URL does not match name in Binding object");
        return;
    }
    if (!target_ok(reply, req->arena, body))
        return;
    struct binding *b = FED_NEW(struct binding);
    b->m = ud;
    b->reply = reply;
    b->ns = fed_arena_dup(&b->arena, req->ns);
    b->pod = fed_arena_dup(&b->arena, req->name.n ? req->name : name);
    b->body = fed_json_copy(&b->arena, body);
    b->dry = req->dry_run;
    attempt(b);
}
