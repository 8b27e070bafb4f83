/* SPDX-License-Identifier: Apache-2.0 */
/* PATCH: the four kinds of patch on the current object in the request's version. */
#include "apiserver/registry.h"
#include "codec/patch.h"
#include "codec/yaml.h"
#include "kube/gowords.h"

bool fed_patch_type(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_str rest = r->q.content_type, type;
    (void)fed_str_cut(&rest, ';', &type);
    type = fed_str_trim(type);
    if (fed_str_is(type, "application/json-patch+json"))
        op->patch = FED_PATCH_JSON;
    else if (fed_str_is(type, "application/merge-patch+json"))
        op->patch = FED_PATCH_MERGE;
    else if (fed_str_is(type, "application/strategic-merge-patch+json"))
        op->patch = FED_PATCH_STRATEGIC;
    else if (fed_str_is(type, "application/apply-patch+yaml"))
        op->patch = FED_PATCH_APPLY;
    if (op->patch == FED_PATCH_NONE) {
        fed_api_fail(r, FED_E_UNSUPPORTED_MEDIA, NULL,
                     "the body of the request was in an unknown format - accepted media types include: "
                     "application/json-patch+json, application/merge-patch+json, %sapplication/apply-patch+yaml",
                     r->v->kind->custom ? "" : "application/strategic-merge-patch+json, ");
        return false;
    }
    struct fed_causes c = {.arena = &r->arena};
    bool apply = op->patch == FED_PATCH_APPLY;
    if (apply && !fed_query_find(&r->query, "fieldManager").n)
        fed_causes_add(&c, FED_CAUSE_REQUIRED, FED_STR("fieldManager"), (struct fed_str){NULL, 0},
                       "is required for apply patch");
    if (!apply && fed_query_find(&r->query, "force").p)
        fed_causes_add(&c, FED_CAUSE_FORBIDDEN, FED_STR("force"), (struct fed_str){NULL, 0},
                       "may not be specified for non-apply patch");
    if (c.n) {
        struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = FED_STR("PatchOptions"), .causes = &c};
        fed_api_fail(r, FED_E_INVALID, &d, NULL);
        return false;
    }
    return true;
}

static struct fed_json *conflict(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_status_details d = {.causes = &op->causes}; /* without the object's name, as in Kubernetes */
    fed_api_fail(r, FED_E_CONFLICT, &d, "%s", op->err.text);
    return NULL;
}

/* An error that is no Status of its own: 500 and no reason, as kube-apiserver lets it through. */
static void fail_plain(struct fed_api_reply *r, struct fed_str text)
{
    struct fed_buf b = {0};
    fed_buf_addz(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    fed_json_write_string(&b, text);
    fed_buf_addz(&b, ",\"code\":500}");
    fed_api_answer_text(r, 500, fed_buf_str(&b));
    fed_buf_release(&b);
}

static void fail_untyped(struct fed_api_reply *r, struct fed_str wrong, struct fed_str kind)
{
    fail_plain(r, fed_arena_printf(&r->arena,
                                   "failed to create typed patch object (%.*s/%.*s; %.*s/%.*s, Kind=%.*s): %.*s",
                                   FED_STR_ARG(r->q.ns), FED_STR_ARG(r->q.name), FED_STR_ARG(r->q.group),
                                   FED_STR_ARG(r->v->version), FED_STR_ARG(kind), FED_STR_ARG(wrong)));
}

/* Who names the object that he means does not mean a new one. */
static bool uid_is_absent(struct fed_write_op *op, const struct fed_json *applied)
{
    struct fed_str uid = op->old ? FED_STR("") : fed_json_find_text(fed_json_find(applied, "metadata"), "uid");
    if (!uid.n)
        return true;
    fed_err_set(&op->err, FED_E_CONFLICT,
                "uid mismatch: the provided object specified uid %.*s, and no existing object was found",
                FED_STR_ARG(uid));
    op->client_rev = true;
    fed_commit_fail(op, FED_E_CONFLICT);
    return false;
}

/* The names of what is applied must be there and be those of the path. */
static bool typed_alike(struct fed_write_op *op, struct fed_json *applied)
{
    struct fed_api_reply *r = op->r;
    struct fed_str api = fed_json_find_text(applied, "apiVersion"), kind = fed_json_find_text(applied, "kind");
    if (applied->type != FED_JSON_OBJECT) {
        fed_api_fail(
            r, FED_E_BAD_REQUEST, NULL,
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal %s into "
            "Go value of type map[string]interface {}",
            fed_go_word(applied));
        return false;
    }
    if (!fed_str_eq(api, r->v->api_version)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "Incorrect version specified in apply patch. Specified patch version: %.*s, expected: %.*s",
                     FED_STR_ARG(api), FED_STR_ARG(r->v->api_version));
        return false;
    }
    if (fed_kinds_by_kind(r->api->conf.kinds, api, kind))
        return fed_decode_type(op, applied);
    fail_untyped(r,
                 fed_arena_printf(&r->arena, "no corresponding type for %s%.*s, Kind=%.*s", r->q.group.n ? "" : "/",
                                  FED_STR_ARG(api), FED_STR_ARG(kind)),
                 kind);
    return false;
}

static struct fed_json *apply(struct fed_write_op *op, struct fed_json *applied)
{
    struct fed_api_reply *r = op->r;
    if (!typed_alike(op, applied))
        return NULL;
    const struct fed_json *entries = fed_json_at(applied, "metadata", "managedFields", NULL);
    if (entries && entries->type != FED_JSON_NULL) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "metadata.managedFields must be nil");
        return NULL;
    }
    struct fed_json *live = op->old ? fed_registry_current(op) : NULL, *out = NULL;
    if (op->old && !live)
        return NULL;
    struct fed_str wrong = fed_ssa_check(&r->arena, r->v->schema, applied);
    if (wrong.n) {
        fail_untyped(r, wrong, r->v->kind->kind);
        return NULL;
    }
    if (!r->v->kind->custom) /* 0.5 is no other value than the 500m that another wrote */
        fed_schema_quantities(&r->arena, r->v->schema, applied);
    struct fed_ssa_write how = {.manager = op->manager,
                                .subresource = r->q.subresource,
                                .force = fed_query_true(&r->query, "force"),
                                .now_ms = fed_wall_ms(r->api->env)};
    int rc = fed_ssa_apply(&r->arena, r->v, live, applied, &how, &out, &op->causes, &op->err);
    if (rc == FED_E_CONFLICT)
        return conflict(op);
    if (rc) {
        fed_api_fail_err(r, &op->err);
        return NULL;
    }
    return uid_is_absent(op, out) && fed_found_report_applied(op) ? out : NULL;
}

/* Strategic merge patches are decoded without more words. */
static const char *decoding(const struct fed_write_op *op)
{
    return op->patch == FED_PATCH_STRATEGIC ? "" : "error decoding patch: ";
}

/* Operations are objects; what is wrong inside them is found when they are applied (422). */
static bool operations_ok(struct fed_write_op *op, const struct fed_json *patch)
{
    FED_JSON_EACH(it, patch) {
        if (it->type == FED_JSON_OBJECT || it->type == FED_JSON_NULL)
            continue;
        fed_api_fail(op->r, FED_E_BAD_REQUEST, NULL,
                     "json: cannot unmarshal %s into Go value of type jsonpatch.Operation", fed_go_word(it));
        return false;
    }
    return true;
}

/* A strategic merge patch is laid over an object whose type is given: what it says of that is not looked at, as in
 * Kubernetes (clients that patch a scale with the kind of its owner rely on it). */
static void keep_type(struct fed_write_op *op, struct fed_json *out)
{
    struct fed_api_reply *r = op->r;
    const struct fed_str keys[] = {FED_STR("kind"), FED_STR("apiVersion")};
    const struct fed_str right[] = {r->form.scale ? FED_STR("Scale") : r->v->kind->kind,
                                    r->form.scale ? FED_STR("autoscaling/v1") : r->v->api_version};
    for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++) {
        const struct fed_json *said = fed_json_find(out, keys[i].p);
        if (said && said->type == FED_JSON_STRING)
            fed_json_set(out, keys[i].p, fed_json_new_str(&r->arena, right[i]));
    }
}

/* The reader's "…: line 2, column 1: did not find …" in the words of Go's. */
static void fail_yaml(struct fed_write_op *op)
{
    const char *line = strstr(op->err.text, "line "), *what = op->err.text, *p = what, *paren = strrchr(what, '(');
    int n = paren ? (int)(paren - what) : (int)strlen(what);
    long number = line ? strtol(line + 5, NULL, 10) : 0;
    while ((p = strstr(p, ": ")) != NULL)
        what = p += 2;
    n -= (int)(what - op->err.text);
    while (n > 0 && what[n - 1] == ' ')
        n--;
    struct fed_str at = number > 1 ? fed_arena_printf(&op->r->arena, "line %ld: ", number) : FED_STR("");
    fed_api_fail(op->r, FED_E_BAD_REQUEST, NULL, "error decoding YAML: error converting YAML to JSON: yaml: %.*s%.*s",
                 FED_STR_ARG(at), n < 0 ? 0 : n, what);
}

struct fed_json *fed_patch_compute(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_json *patch = NULL, *out = NULL;
    int rc = fed_api_body(r, &patch, &op->found, &op->err);
    op->found.patch = true;
    if ((rc == FED_E_BAD_REQUEST || rc == FED_E_SYNTAX) && op->patch != FED_PATCH_APPLY) {
        struct fed_str words = fed_go_json_mistake(&r->arena, r->q.body);
        const char *what = op->err.text; /* without the words around it: which kind, which line */
        for (const char *p = what; (p = strstr(p, ": ")) != NULL;)
            what = p += 2;
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%s%s", decoding(op), words.n ? words.p : what);
        return NULL;
    }
    if ((rc == FED_E_BAD_REQUEST || rc == FED_E_SYNTAX) && fed_str_trim(r->q.body).n) {
        fail_yaml(op);
        return NULL;
    }
    if (rc && (op->patch != FED_PATCH_APPLY || fed_str_trim(r->q.body).n)) {
        fed_api_fail_err(r, &op->err);
        return NULL;
    }
    if (op->patch == FED_PATCH_APPLY) /* nothing at all is an object without a version */
        return apply(op, patch && patch->type != FED_JSON_NULL ? patch : fed_json_object(&r->arena));
    bool list = op->patch == FED_PATCH_JSON;
    if (patch->type == FED_JSON_NULL && op->patch == FED_PATCH_MERGE) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "Invalid JSON Patch");
        return NULL;
    }
    if (patch->type == FED_JSON_NULL) /* changes nothing */
        patch = list ? fed_json_array(&r->arena) : fed_json_object(&r->arena);
    if (patch->type != (list ? FED_JSON_ARRAY : FED_JSON_OBJECT)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%sjson: cannot unmarshal %s into Go value of type %s", decoding(op),
                     fed_go_word(patch), list ? "[]interface {}" : "map[string]interface {}");
        return NULL;
    }
    if (list && !operations_ok(op, patch))
        return NULL;
    op->patch_tree = patch;
    if (list)
        fed_strict_operations(&op->found, patch);
    struct fed_json *live = r->form.scale ? fed_form_scale(&r->arena, op->old, r->v->kind) : fed_registry_current(op);
    if (!live)
        return NULL;
    if (op->patch == FED_PATCH_JSON) {
        out = live;
        rc = fed_json_patch(&r->arena, &out, patch, &op->err);
    } else if (op->patch == FED_PATCH_STRATEGIC && !r->form.scale) {
        rc = fed_smp_apply(&r->arena, r->v->schema, live, patch, &out, &op->err);
    } else {
        out = fed_json_merge_patch(&r->arena, live, patch);
    }
    if (rc == FED_E_LIMIT && list && patch->n > FED_JSON_PATCH_MAX) {
        fed_api_fail(r, FED_E_LIMIT, NULL,
                     "Request entity too large: The allowed maximum operations in a JSON patch is %d, got %u",
                     FED_JSON_PATCH_MAX, patch->n);
        return NULL;
    }
    if (rc == FED_E_INVALID || (list && rc == FED_E_BAD_REQUEST)) {
        fed_api_fail(r, FED_E_INVALID, &(struct fed_status_details){0},
                     "the server rejected our request due to an error in our request");
        return NULL;
    }
    if (rc == FED_E_INTERNAL && op->patch == FED_PATCH_STRATEGIC) {
        fail_plain(r, fed_str(op->err.text));
        return NULL;
    }
    if (rc) {
        fed_api_fail_err(r, &op->err);
        return NULL;
    }
    if (!out || out->type != FED_JSON_OBJECT) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the patched document is not an object");
        return NULL;
    }
    if (op->patch == FED_PATCH_STRATEGIC)
        keep_type(op, out);
    if (!r->form.scale && !fed_decode_type(op, out))
        return NULL;
    return out;
}
