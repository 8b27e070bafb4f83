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

bool fed_decode_strictness(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_str v = fed_query_find(&r->query, "fieldValidation");
    if (!v.n || fed_str_is(v, "Warn"))
        op->strict = FED_STRICT_WARN;
    else if (fed_str_is(v, "Ignore"))
        op->strict = FED_STRICT_IGNORE;
    else if (fed_str_is(v, "Strict"))
        op->strict = FED_STRICT_STRICT;
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

bool fed_decode_manager(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_str m = fed_query_find(&r->query, "fieldManager"), none = {NULL, 0};
    struct fed_causes c = {.arena = &r->arena};
    struct fed_buf shown = {0};
    bool printable = true;
    for (size_t i = 0; i < m.n; i++)
        printable = printable && (unsigned char)m.p[i] >= ' ' && m.p[i] != 0x7f;
    fed_json_write_string(&shown, fed_str_head(m, 128));
    if (m.n > 128)
        fed_causes_add(&c, FED_CAUSE_TOO_LONG, FED_STR("fieldManager"), none, "must have at most 128 bytes");
    if (!printable)
        fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("fieldManager"), fed_buf_str(&shown),
                       "should only contain printable characters");
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
        fed_api_fail(
            op->r, FED_E_BAD_REQUEST, NULL,
            "%.*s in version \"%.*s\" cannot be handled as a %.*s: json: cannot unmarshal %s into Go struct field "
            "%.*s.metadata of type v1.ObjectMeta",
            FED_STR_ARG(v->kind->kind), FED_STR_ARG(v->version), FED_STR_ARG(v->kind->kind), fed_go_word(meta),
            FED_STR_ARG(v->kind->kind));
        return false;
    }
    return true;
}

bool fed_decode_type(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind_version *v = r->v;
    if (!obj || obj->type != FED_JSON_OBJECT) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "the request body is not an object");
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

struct unknowns {
    struct fed_arena *a;
    struct fed_json *list;
};

static void on_unknown(void *ud, const char *path)
{
    struct unknowns *u = ud;
    if (u->list->n < 100)
        fed_json_push(u->list, fed_json_new_strf(u->a, "unknown field \"%s\"", path));
}

/* What a patched object has too much is reported by name, not by place: there is no text that it came from. */
static void sort_texts(struct fed_json *list)
{
    for (struct fed_json *x = list->first; x; x = x->next)
        for (struct fed_json *y = x->next; y; y = y->next)
            if (fed_str_cmp(y->s, x->s) < 0) {
                struct fed_str s = x->s;
                x->s = y->s;
                y->s = s;
            }
}

/* False: refused because of what is unknown or written twice. */
static bool report(struct fed_write_op *op, struct fed_json *list)
{
    struct fed_api_reply *r = op->r;
    if (!list->n || op->strict == FED_STRICT_IGNORE)
        return true;
    if (op->strict == FED_STRICT_WARN) {
        FED_JSON_EACH(it, list)
            fed_api_warn(r, "%.*s", FED_STR_ARG(it->s));
        return true;
    }
    struct fed_buf b = {0};
    if (!op->patch || op->patch == FED_PATCH_APPLY)
        fed_buf_addf(&b, "%.*s in version \"%.*s\" cannot be handled as a %.*s: ", FED_STR_ARG(r->v->kind->kind),
                     FED_STR_ARG(r->v->version), FED_STR_ARG(r->v->kind->kind));
    fed_buf_addz(&b, "strict decoding error: ");
    FED_JSON_EACH(it, list) {
        if (it != list->first)
            fed_buf_addz(&b, ", ");
        fed_buf_add(&b, it->s);
    }
    fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%s", fed_buf_z(&b));
    fed_buf_release(&b);
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

/* 422 for a patch that gives a field another type: `words` are those of the decoder. */
static void patch_mistyped(struct fed_write_op *op, const struct fed_json *obj, struct fed_str words)
{
    struct fed_api_reply *r = op->r;
    struct fed_causes c = {.arena = &r->arena};
    struct fed_buf text = {0}, value = {0};
    if (op->patch == FED_PATCH_STRATEGIC) {
        fed_go_print(&text, op->patch_tree);
        words = fed_go_converter_words(&r->arena, words);
    } else {
        fed_json_write(&text, obj);
    }
    fed_json_write_string(&value, fed_buf_str(&text));
    fed_causes_add(&c, FED_CAUSE_INVALID, FED_STR("patch"), fed_buf_str(&value), "%.*s", FED_STR_ARG(words));
    struct fed_status_details d = {.causes = &c};
    fed_api_fail(r, FED_E_INVALID, &d, " \"\" is invalid: patch: %.*s", FED_STR_ARG(c.items[0].message));
    fed_buf_release(&text);
    fed_buf_release(&value);
}

bool fed_decode_refine(struct fed_write_op *op, struct fed_json *obj, struct fed_json *dups)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind_version *v = r->v, *to = fed_kind_storage(v->kind);
    struct unknowns u = {&r->arena, dups ? dups : fed_json_array(&r->arena)};
    size_t before = u.list->n;
    fed_schema_prune(v->schema, obj, on_unknown, &u);
    if (op->patch && before == 0)
        sort_texts(u.list);
    if (!report(op, u.list))
        return false;
    fed_schema_default(&r->arena, v->schema, obj);
    struct fed_causes scratch = {.arena = &r->arena};
    struct fed_str mistyped = {NULL, 0};
    fed_schema_validate(v->schema, obj, &scratch, &mistyped);
    if (mistyped.n && op->patch && op->patch != FED_PATCH_APPLY) {
        patch_mistyped(op, obj, mistyped);
        return false;
    }
    if (mistyped.n) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%.*s in version \"%.*s\" cannot be handled as a %.*s: %.*s",
                     FED_STR_ARG(v->kind->kind), FED_STR_ARG(v->version), FED_STR_ARG(v->kind->kind),
                     FED_STR_ARG(mistyped));
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
