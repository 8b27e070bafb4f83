/* SPDX-License-Identifier: Apache-2.0 */
/* Create, update and patch: one attempt from the body and the current object to the object to commit. */
#include "apiserver/registry.h"
#include "apiserver/cert_requests.h"
#include "apiserver/custom.h"
#include "apiserver/custom_convert.h"
#include "kube/gowords.h"

static struct fed_json *body_of(struct fed_write_op *op)
{
    struct fed_json *obj = NULL;
    struct fed_err err = {0};
    if (fed_api_body(op->r, &obj, &op->found, &err)) {
        fed_api_fail_err(op->r, &err);
        return NULL;
    }
    return obj;
}

/* Name and namespace of the body against the path. Answers: false. */
static bool check_place(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    struct fed_json *meta = fed_obj_metadata(&r->arena, obj);
    struct fed_str name = fed_json_find_text(meta, "name"), ns = fed_json_find_text(meta, "namespace");
    if (meta->type != FED_JSON_OBJECT) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "metadata must be an object");
        return false;
    }
    if (r->q.name.n && !name.n) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "the name of the object (%.*s based on URL) was undeterminable: name must be provided",
                     FED_STR_ARG(r->q.name));
        return false;
    }
    if (r->q.name.n && name.n && !fed_str_eq(name, r->q.name)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "the name of the object (%.*s) does not match the name on the URL (%.*s)", FED_STR_ARG(name),
                     FED_STR_ARG(r->q.name));
        return false;
    }
    bool namespaced = r->v->kind->namespaced;
    if (namespaced ? ns.n && !fed_str_eq(ns, r->q.ns) : ns.n && !fed_str_is(ns, "default")) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "the namespace of the provided object does not match the namespace sent on the request");
        return false;
    }
    if (namespaced)
        fed_json_set(meta, "namespace", fed_json_new_str(&r->arena, r->q.ns));
    else
        fed_json_remove_key(meta, "namespace");
    return true;
}

/* Nodes are registered with their status in the same request; everything else starts without. */
static bool keeps_status(const struct fed_kind_version *v)
{
    const struct fed_kind *k = v->kind;
    return !v->has_status || (fed_str_is(k->plural, "nodes") && !k->group.n);
}

/* Who makes an object by another verb than create must be allowed to create it. Answers: false. */
static bool may_create(struct fed_api_reply *r)
{
    struct fed_api_request q = r->q;
    struct fed_buf reason = {0};
    if (strcmp(r->q.verb, "create") == 0)
        return true;
    q.verb = "create";
    bool ok = fed_api_decide(r->api, &q, &reason) == FED_AUTHZ_ALLOW;
    if (!ok)
        fed_api_forbid(r, &q, fed_buf_str(&reason));
    fed_buf_release(&reason);
    return ok;
}

/* From a complete object in the request's version to the commit of a new one. */
static void create_from(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    struct fed_str rev = fed_json_find_text(fed_json_find(obj, "metadata"), "resourceVersion");
    if (rev.n && !fed_str_is(rev, "0") && op->patch != FED_PATCH_APPLY) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "resourceVersion should not be set on objects to be created");
        return;
    }
    if (!may_create(r) || fed_custom_refuses_create(r))
        return;
    if (!keeps_status(r->v))
        fed_json_remove_key(obj, "status");
    if (!fed_decode_refine(op, obj))
        return;
    fed_meta_create(op, obj);
    r->q.name = fed_obj_name(obj);
    if (r->v->kind->namespaced && !fed_api_ns_open(r, r->q.ns))
        return;
    op->create = true;
    op->obj = obj;
    fed_commit_object(op);
}

static void attempt_create(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_json *obj = body_of(op);
    r->q.name = (struct fed_str){NULL, 0};
    if (!obj || !fed_decode_type(op, obj) || !check_place(op, obj))
        return;
    create_from(op, obj);
}

/* A status comes with metadata: for Kubernetes' own kinds annotations and finalizers, for example, are written along (its
 * Deployment controller notes the revision so); of custom kinds nothing is. Managers are the server's to tell, but for
 * those that an apply has computed. */
static void take_metadata(struct fed_write_op *op, struct fed_json *base, const struct fed_json *obj)
{
    static const char *const members[] = {"labels", "annotations", "finalizers", "ownerReferences"};
    const struct fed_kind *k = op->w.kind;
    struct fed_arena *a = op->w.arena;
    struct fed_json *meta = fed_obj_metadata(a, base);
    const struct fed_json *given = fed_json_find(obj, "metadata");
    const struct fed_json *managers = op->patch == FED_PATCH_APPLY ? fed_json_find(given, "managedFields") : NULL;
    if (managers)
        fed_json_set(meta, "managedFields", fed_json_copy(a, managers));
    else if (op->patch == FED_PATCH_APPLY)
        fed_json_remove_key(meta, "managedFields");
    if (k->custom || !fed_str_is(op->r->q.subresource, "status"))
        return;
    for (size_t i = 0; i < FED_ARRAY_LEN(members); i++) {
        const struct fed_json *m = fed_json_find(given, members[i]);
        if (fed_kind_status_keeps(k, members[i]))
            continue;
        if (m)
            fed_json_set(meta, members[i], fed_json_copy(a, m));
        else
            fed_json_remove_key(meta, members[i]);
    }
}

/* Only the part that a subresource may write is taken from obj. */
static struct fed_json *keep_to_subresource(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    struct fed_arena *a = &r->arena;
    if (!r->q.subresource.n) {
        if (r->v->has_status) {
            const struct fed_json *status = fed_json_find(op->old_tree, "status");
            if (status)
                fed_json_set(obj, "status", fed_json_copy(a, status));
            else
                fed_json_remove_key(obj, "status");
        }
        return obj;
    }
    struct fed_json *base = fed_json_copy(a, op->old_tree);
    take_metadata(op, base, obj);
    if (fed_str_is(r->q.subresource, "finalize") || fed_str_is(r->q.subresource, "ephemeralcontainers")) {
        const char *key = fed_str_is(r->q.subresource, "finalize") ? "finalizers" : "ephemeralContainers";
        struct fed_json *list = fed_json_at(obj, "spec", key, NULL);
        struct fed_json *spec = fed_json_ensure_object(a, base, "spec");
        if (list) {
            fed_json_remove(list);
            fed_json_set(spec, key, list);
        } else {
            fed_json_remove_key(spec, key);
        }
        return base;
    }
    if (fed_str_is(r->q.subresource, "approval")) {
        fed_cert_request_approval(a, base, obj);
        return base;
    }
    struct fed_json *status = fed_json_find(obj, "status");
    if (status) {
        fed_json_remove(status);
        fed_json_set(base, "status", status);
    } else {
        fed_json_remove_key(base, "status");
    }
    return base;
}

/* From a complete object in the request's version to the commit of a change. */
static void update_from(struct fed_write_op *op, struct fed_json *obj)
{
    if (!fed_decode_refine(op, obj))
        return;
    int rc = fed_meta_update(op, obj);
    if (rc) {
        fed_commit_fail(op, rc);
        return;
    }
    op->obj = keep_to_subresource(op, obj);
    fed_commit_object(op);
}

static bool scale_type_ok(struct fed_write_op *op, const struct fed_json *scale)
{
    struct fed_str kind = fed_json_find_text(scale, "kind"), api = fed_json_find_text(scale, "apiVersion");
    const char *wrong = scale->type != FED_JSON_OBJECT                ? "it is not an object"
                        : kind.n && !fed_str_is(kind, "Scale")        ? "kind mismatch"
                        : api.n && !fed_str_is(api, "autoscaling/v1") ? "version mismatch"
                                                                      : NULL;
    if (wrong)
        fed_api_fail(op->r, FED_E_BAD_REQUEST, NULL, "%.*s in version \"%.*s\" cannot be handled as a Scale: %s",
                     FED_STR_ARG(kind.n ? kind : FED_STR("Scale")),
                     FED_STR_ARG(api.n ? api : FED_STR("autoscaling/v1")), wrong);
    return !wrong;
}

/* Its members and their types. Answers: false. */
static bool scale_fits(struct fed_write_op *op, struct fed_json *scale)
{
    struct fed_api_reply *r = op->r;
    const struct fed_str version = FED_STR("v1"), kind = FED_STR("Scale");
    const struct fed_schema *s = fed_kinds_body(r->api->conf.kinds, FED_STR("autoscaling/v1"), kind);
    struct fed_causes scratch = {.arena = &r->arena};
    struct fed_str mistyped = {NULL, 0};
    struct fed_json *whole = op->patch ? fed_json_copy(&r->arena, scale) : scale;
    fed_schema_prune(s, scale, fed_strict_unknown, &op->found);
    if (op->found.n && op->patch && op->strict == FED_STRICT_STRICT) {
        fed_patch_refused(
            op, whole,
            fed_arena_printf(&r->arena, "strict decoding error: %.*s", FED_STR_ARG(fed_strict_text(&op->found))));
        return false;
    }
    if (!fed_found_report(op, kind.p, version.p))
        return false;
    fed_schema_validate(s, scale, &scratch, &mistyped);
    if (mistyped.n)
        fed_refuse_mistyped(op, scale, kind, version, mistyped);
    return !mistyped.n;
}

static void set_replicas(struct fed_write_op *op, struct fed_json *scale)
{
    struct fed_api_reply *r = op->r;
    struct fed_arena *a = &r->arena;
    struct fed_str rev = fed_json_find_text(fed_json_find(scale, "metadata"), "resourceVersion");
    struct fed_str uid = fed_json_find_text(fed_json_find(scale, "metadata"), "uid");
    uint64_t n = 0;
    if (uid.n && !fed_str_eq(uid, op->old->uid)) {
        op->client_rev = true;
        fed_commit_fail(op, fed_meta_other_uid(op, uid));
        return;
    }
    if (rev.n && fed_str_u64(rev, &n) == 0 && n && n != op->old->rev) {
        op->client_rev = true;
        fed_commit_fail(op, FED_E_CONFLICT);
        return;
    }
    int64_t replicas = fed_json_int(fed_json_at(scale, "spec", "replicas", NULL), 0);
    if (replicas < 0 || replicas > INT32_MAX) {
        struct fed_causes c = {.arena = a};
        fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("spec.replicas"),
                       fed_arena_printf(a, "%lld", (long long)replicas), "must be greater than or equal to 0");
        struct fed_status_details d = {
            .name = r->q.name, .group = FED_STR("autoscaling"), .kind = FED_STR("Scale"), .causes = &c};
        fed_api_fail(r, FED_E_INVALID, &d, NULL);
        return;
    }
    op->obj = fed_json_copy(a, op->old_tree);
    fed_registry_put_replicas(op, op->obj, replicas);
    fed_commit_object(op);
}

static bool need_current(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    op->old = fed_kobj_ref(fed_cache_find(r->kc, r->q.ns, r->q.name));
    if (!op->old)
        return false;
    op->old_tree = fed_registry_stored(op);
    return true;
}

/* Kinds that an update makes where there is none, unless its author knew one. */
static bool makes_new(const struct fed_api_reply *r, const struct fed_json *obj)
{
    const struct fed_json *meta = fed_json_find(obj, "metadata");
    return r->v->kind->create_on_update && !r->q.subresource.n && !fed_json_find_text(meta, "resourceVersion").n &&
           !fed_json_find_text(meta, "uid").n;
}

/* Custom kinds and a few others may not be replaced blindly. Controllers of the process know what they do. Answers: false. */
static bool names_revision(struct fed_api_reply *r, const struct fed_json *obj)
{
    const struct fed_kind *k = r->v->kind;
    if (!r->x || !(k->custom || k->needs_revision) ||
        fed_json_find_text(fed_json_find(obj, "metadata"), "resourceVersion").n)
        return true;
    struct fed_causes c = {.arena = &r->arena};
    fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("metadata.resourceVersion"), FED_STR("0x0"),
                   "must be specified for an update");
    struct fed_status_details d = {.name = r->q.name, .group = r->q.group, .kind = r->q.resource, .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, NULL);
    return false;
}

/* An update that is meant for one object conflicts with there being none. Controllers of the process just see it gone. */
static void refuse_absent(struct fed_write_op *op, const struct fed_json *obj)
{
    struct fed_str uid = fed_json_find_text(fed_json_find(obj, "metadata"), "uid");
    if (uid.n && op->r->x)
        fed_commit_fail(op, fed_meta_other_uid(op, uid));
    else
        fed_api_fail_object(op->r, FED_E_NOT_FOUND, NULL);
}

static void attempt_update(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_json *obj = body_of(op);
    if (!obj)
        return;
    if (r->form.scale) {
        if (!scale_type_ok(op, obj) || !scale_fits(op, obj) || !check_place(op, obj))
            return;
        if (need_current(op))
            set_replicas(op, obj);
        else
            fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
        return;
    }
    if (!fed_decode_type(op, obj) || !check_place(op, obj))
        return;
    if (need_current(op)) {
        if (names_revision(r, obj))
            update_from(op, obj);
    } else if (makes_new(r, obj)) {
        create_from(op, obj);
    } else {
        refuse_absent(op, obj);
    }
}

static void attempt_patch(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    if (!need_current(op) && (op->patch != FED_PATCH_APPLY || r->q.subresource.n)) {
        fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
        return;
    }
    struct fed_json *obj = fed_patch_compute(op);
    if (!obj)
        return;
    if (r->form.scale && (!scale_type_ok(op, obj) || !scale_fits(op, obj) || !check_place(op, obj)))
        return;
    if (r->form.scale)
        set_replicas(op, obj);
    else if (!check_place(op, obj))
        return;
    else if (op->old)
        update_from(op, obj);
    else
        create_from(op, obj);
}

static void attempt(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    if (fed_conv_current(op))
        return;
    if (strcmp(r->q.verb, "create") == 0)
        attempt_create(op);
    else if (strcmp(r->q.verb, "update") == 0)
        attempt_update(op);
    else
        attempt_patch(op);
}

void fed_api_write(struct fed_api_reply *r)
{
    struct fed_write_op *op = fed_write_op_new(r, attempt);
    if (!fed_decode_strictness(op) || !fed_decode_manager(op))
        return;
    if (strcmp(r->q.verb, "patch") == 0 && !fed_patch_type(op))
        return;
    attempt(op);
}
