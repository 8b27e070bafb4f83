/* SPDX-License-Identifier: Apache-2.0 */
/* From what a client wrote to the storage version: known fields, defaults, types, conversion. */
#include "apiserver/custom_convert.h"
#include "apiserver/registry.h"
#include "kube/gowords.h"

static const char *options_kind(const struct fed_api_reply *r)
{
    return strcmp(r->q.verb, "create") == 0  ? "CreateOptions"
           : strcmp(r->q.verb, "patch") == 0 ? "PatchOptions"
                                             : "UpdateOptions";
}

bool fed_api_strictness(struct fed_api_reply *r, enum fed_strictness *out)
{
    struct fed_str v = fed_query_find(&r->query, "fieldValidation");
    if (!v.n || fed_str_is(v, "Warn"))
        *out = FED_STRICT_WARN;
    else if (fed_str_is(v, "Ignore"))
        *out = FED_STRICT_IGNORE;
    else if (fed_str_is(v, "Strict"))
        *out = FED_STRICT_STRICT;
    else {
        struct fed_causes c = {.arena = &r->arena};
        fed_causes_add(&c, FED_CAUSE_NOT_SUPPORTED, FED_STR("fieldValidation"),
                       fed_arena_printf(&r->arena, "\"%.*s\"", FED_STR_ARG(v)),
                       "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"");
        struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = fed_str(options_kind(r)), .causes = &c};
        fed_api_fail(r, FED_E_INVALID, &d, NULL);
        return false;
    }
    return true;
}

bool fed_decode_strictness(struct fed_write_op *op)
{
    return fed_api_strictness(op->r, &op->strict);
}

bool fed_decode_manager(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_str m = fed_query_find(&r->query, "fieldManager"), none = {NULL, 0};
    struct fed_causes c = {.arena = &r->arena};
    struct fed_buf shown = {0};
    size_t plain = 0;
    while (plain < m.n && (unsigned char)m.p[plain] >= ' ' && m.p[plain] != 0x7f)
        plain++;
    fed_json_write_string(&shown, fed_str_head(m, 128));
    if (m.n > 128)
        fed_causes_add(&c, FED_CAUSE_TOO_LONG, FED_STR("fieldManager"), none, "must have at most 128 bytes");
    if (plain < m.n)
        fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("fieldManager"), fed_buf_str(&shown),
                       "invalid character U+%04X (at position %zu)", (unsigned char)m.p[plain], plain);
    fed_buf_release(&shown);
    if (!c.n)
        return true;
    struct fed_status_details d = {.group = FED_STR("meta.k8s.io"), .kind = fed_str(options_kind(r)), .causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, NULL);
    return false;
}

/* What names the object must be of the right type before anything is looked up by it. */
static bool check_texts(struct fed_write_op *op, const struct fed_json *obj)
{
    static const char *const texts[] = {"kind", "apiVersion"};
    const struct fed_kind_version *v = op->r->v;
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        const struct fed_json *t = fed_json_find(obj, texts[i]);
        if (t && t->type != FED_JSON_STRING && t->type != FED_JSON_NULL) {
            fed_api_fail(op->r, FED_E_BAD_REQUEST, NULL,
                         "couldn't get version/kind; json parse error: json: cannot unmarshal %s into Go struct field "
                         ".%s of type string",
                         fed_go_word(t), texts[i]);
            return false;
        }
    }
    const struct fed_json *meta = fed_json_find(obj, "metadata");
    if (meta && meta->type != FED_JSON_OBJECT && meta->type != FED_JSON_NULL) {
        fed_refuse_mistyped(op, obj, v->kind->kind, v->version,
                            fed_arena_printf(&op->r->arena,
                                             "json: cannot unmarshal %s into Go struct field %.*s.metadata of type "
                                             "v1.ObjectMeta",
                                             fed_go_word(meta), FED_STR_ARG(v->kind->kind)));
        return false;
    }
    return true;
}

static void fail_no_object(struct fed_api_reply *r, const struct fed_json *body)
{
    struct fed_str head = fed_api_body_begins(&r->arena, r->q.body);
    fed_api_fail(
        r, FED_E_BAD_REQUEST, NULL,
        "the object provided is unrecognized (must be of type %.*s): couldn't get version/kind; json parse error: "
        "json: cannot unmarshal %s into Go value of type struct { APIVersion string "
        "\"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (%.*s)",
        FED_STR_ARG(r->v->kind->kind), body ? fed_go_word(body) : "null", FED_STR_ARG(head));
}

bool fed_decode_type(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind_version *v = r->v;
    if (!obj || obj->type != FED_JSON_OBJECT) {
        fail_no_object(r, obj);
        return false;
    }
    if (!check_texts(op, obj))
        return false;
    struct fed_str api = fed_json_find_text(obj, "apiVersion"), kind = fed_json_find_text(obj, "kind");
    if (kind.n && !fed_str_eq(kind, v->kind->kind)) {
        ptrdiff_t slash = fed_str_chr(api, '/', 0);
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%.*s in version \"%.*s\" cannot be handled as a %.*s: kind mismatch",
                     FED_STR_ARG(kind), FED_STR_ARG(fed_str_from(api, (size_t)(slash + 1))),
                     FED_STR_ARG(v->kind->kind));
        return false;
    }
    if (api.n && !fed_str_eq(api, v->api_version)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "the API version in the data (%.*s) does not match the expected API version (%.*s)",
                     FED_STR_ARG(api), FED_STR_ARG(v->api_version));
        return false;
    }
    fed_json_set(obj, "apiVersion", fed_json_new_str(&r->arena, v->api_version));
    fed_json_set(obj, "kind", fed_json_new_str(&r->arena, v->kind->kind));
    return true;
}

/* 422 for a patch that gives a field another type or makes one that is not there: `words` are those of the decoder. */
void fed_patch_refused(struct fed_write_op *op, const struct fed_json *obj, struct fed_str words)
{
    struct fed_api_reply *r = op->r;
    struct fed_causes c = {.arena = &r->arena};
    struct fed_buf text = {0}, value = {0};
    if (op->patch == FED_PATCH_STRATEGIC)
        fed_go_print(&text, op->patch_tree);
    else
        fed_json_write(&text, obj);
    fed_json_write_string(&value, fed_buf_str(&text));
    fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("patch"), fed_buf_str(&value), "%.*s", FED_STR_ARG(words));
    struct fed_status_details d = {.causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, " \"\" is invalid: patch: %.*s", FED_STR_ARG(c.items[0].message));
    fed_buf_release(&text);
    fed_buf_release(&value);
}

void fed_refuse_mistyped(struct fed_write_op *op, const struct fed_json *obj, struct fed_str kind,
                         struct fed_str version, struct fed_str words)
{
    struct fed_api_reply *r = op->r;
    if (op->patch == FED_PATCH_STRATEGIC)
        words = fed_go_converter_words(&r->arena, words);
    if (op->patch && op->patch != FED_PATCH_APPLY)
        fed_patch_refused(op, obj, words);
    else
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%.*s in version \"%.*s\" cannot be handled as a %.*s: %.*s",
                     FED_STR_ARG(kind), FED_STR_ARG(version), FED_STR_ARG(kind), FED_STR_ARG(words));
}

static void warn_of_found(struct fed_api_reply *r, struct fed_strict *found)
{
    FED_JSON_EACH(it, fed_strict_texts(found))
        fed_api_warn(r, "%.*s", FED_STR_ARG(it->s));
}

bool fed_found_tell(struct fed_api_reply *r, enum fed_strictness strict, struct fed_strict *found, const char *kind,
                    const char *version)
{
    if (!found->n || strict == FED_STRICT_IGNORE)
        return true;
    if (strict == FED_STRICT_WARN) {
        warn_of_found(r, found);
        return true;
    }
    fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                 "%s in version \"%s\" cannot be handled as a %s: strict decoding error: %.*s", kind, version, kind,
                 FED_STR_ARG(fed_strict_text(found)));
    return false;
}

bool fed_found_report(struct fed_write_op *op, const char *kind, const char *version)
{
    return fed_found_tell(op->r, op->strict, &op->found, kind, version);
}

bool fed_found_report_applied(struct fed_write_op *op)
{
    if (!op->found.n || op->strict == FED_STRICT_IGNORE)
        return true;
    if (op->strict == FED_STRICT_WARN) {
        warn_of_found(op->r, &op->found);
        op->found.n = 0;
        return true;
    }
    /* With the answer the request is over, and op with it. */
    fed_api_fail(op->r, FED_E_BAD_REQUEST, NULL, "error strict decoding YAML: error converting YAML to JSON: %.*s",
                 FED_STR_ARG(fed_strict_text(&op->found)));
    return false;
}

/* What the schema does not have goes. False: refused because of what is unknown or written twice. */
static bool prune(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    bool shown = op->patch && op->strict == FED_STRICT_STRICT && !r->form.scale;
    struct fed_json *whole = shown ? fed_json_copy(&r->arena, obj) : NULL;
    if (r->v->kind->custom)
        op->found.patch = true; /* they are pruned when they have been read, also where they were not patched */
    fed_kind_prune(r->v, obj, fed_strict_unknown, &op->found);
    if (r->v->kind->custom)
        fed_schema_drop_nulls(r->v->schema, obj);
    if (!op->found.n || !shown)
        return fed_found_report(op, fed_arena_dup(&r->arena, r->v->kind->kind).p,
                                fed_arena_dup(&r->arena, r->v->version).p);
    fed_patch_refused(
        op, whole,
        fed_arena_printf(&r->arena, "strict decoding error: %.*s", FED_STR_ARG(fed_strict_text(&op->found))));
    return false;
}

/* A custom kind is held to the schema of the request's version, which after the conversion nobody can. What the
 * request does not write (status or all else, commit.c) does not matter. */
static bool refused_version(struct fed_write_op *op, const struct fed_json *obj, const struct fed_causes *found)
{
    struct fed_api_reply *r = op->r;
    bool split = r->v->has_status, of_status = fed_str_is(r->q.subresource, "status");
    for (size_t i = 0; i < found->n; i++) {
        bool in_status = fed_str_is(found->items[i].field, "status") ||
                         fed_str_starts(found->items[i].field, FED_STR("status.")) ||
                         fed_str_starts(found->items[i].field, FED_STR("status["));
        if (!split || in_status == of_status)
            fed_causes_keep(&op->causes, &found->items[i]);
    }
    if (!op->causes.n)
        return false;
    r->q.name = r->q.name.n ? r->q.name : fed_obj_name(obj);
    fed_commit_release(op);
    fed_api_fail_causes(r, &op->causes);
    return true;
}

bool fed_decode_refine(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind_version *v = r->v, *to = fed_kind_storage(v->kind);
    if (!prune(op, obj))
        return false;
    fed_schema_default(&r->arena, v->schema, obj);
    struct fed_causes scratch = {.arena = &r->arena};
    struct fed_str mistyped = {NULL, 0};
    fed_schema_validate(v->schema, obj, &scratch, &mistyped);
    if (mistyped.n) {
        fed_refuse_mistyped(op, obj, v->kind->kind, v->version, mistyped);
        return false;
    }
    if (!v->kind->custom) /* their amounts are text */
        fed_schema_quantities(&r->arena, v->schema, obj);
    struct fed_err err = {0};
    if (v->kind->custom && v != to && refused_version(op, obj, &scratch))
        return false;
    int rc = v != to ? fed_conv_body(op, obj, v, to, &err) : 0;
    if (rc == FED_E_BUSY) /* the attempt comes again */
        return false;
    if (rc)
        fed_api_fail_err(r, &err);
    return rc == 0;
}
