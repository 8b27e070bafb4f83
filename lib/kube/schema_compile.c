/* SPDX-License-Identifier: Apache-2.0 */
/* schema_compile.c: schema documents (OpenAPI v3 structural, with $type for named types) into shapes. */
#include <ctype.h>

#include "base/mem.h"
#include "kube/schema_priv.h"

enum { MAX_SCHEMA_DEPTH = 64 };

static int compile_shape(struct fed_compiler *c, const struct fed_json *doc, struct fed_shape *shape);

static struct fed_str text_of(struct fed_compiler *c, const struct fed_json *doc, const char *key)
{
    struct fed_str s = fed_json_find_text(doc, key);

    return s.n ? fed_arena_dup(c->arena, s) : (struct fed_str){NULL, 0};
}

static const struct {
    const char *name;
    enum fed_shape_format format;
} formats[] = {
    {"int32", FED_FORMAT_INT32},       {"int64", FED_FORMAT_INT64}, {"double", FED_FORMAT_DOUBLE},
    {"float", FED_FORMAT_DOUBLE},      {"byte", FED_FORMAT_BYTE},   {"date-time", FED_FORMAT_TIME},
    {"quantity", FED_FORMAT_QUANTITY}, {"ipv4", FED_FORMAT_IPV4},   {"ipv6", FED_FORMAT_IPV6},
    {"date", FED_FORMAT_DATE},
};

static enum fed_shape_format format_of(struct fed_str s)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(formats); i++)
        if (fed_str_is(s, formats[i].name))
            return formats[i].format;
    return s.n ? FED_FORMAT_OTHER : FED_FORMAT_NONE;
}

static int type_of(struct fed_compiler *c, const struct fed_json *doc, enum fed_shape_type *out)
{
    static const char *const names[] = {"", "object", "array", "string", "integer", "number", "boolean"};
    struct fed_str t = fed_json_find_text(doc, "type");

    *out = FED_SHAPE_ANY;
    if (!t.n) {
        if (fed_json_find(doc, "properties") || fed_json_find(doc, "additionalProperties"))
            *out = FED_SHAPE_OBJECT;
        return 0;
    }
    for (size_t i = 1; i < FED_ARRAY_LEN(names); i++) {
        if (fed_str_is(t, names[i])) {
            *out = (enum fed_shape_type)i;
            return 0;
        }
    }
    return fed_err_set(c->err, FED_E_INVALID, "type: unsupported schema type \"%.*s\"", FED_STR_ARG(t));
}

/* Our own documents must be right; a pattern of a custom kind that cannot be evaluated is only kept for OpenAPI (whoever
 * made the definition was warned, see crd_schema.c). */
static int compile_pattern(struct fed_compiler *c, struct fed_str pattern, struct fed_rules *r)
{
    struct fed_err why = {0};
    int rc = fed_regex_compile(c->arena, pattern, &r->regex, &why);

    if (rc && (c->core || rc != FED_E_UNSUPPORTED))
        return fed_err_set(c->err, FED_E_INVALID, "pattern: cannot be compiled: %.*s: %s",
                           FED_STR_ARG(fed_str_head(pattern, 100)), why.text);
    r->pattern = fed_arena_dup(c->arena, pattern);
    return 0;
}

static int compile_branches(struct fed_compiler *c, const struct fed_json *list, struct fed_schema ***out, size_t *n)
{
    *n = 0;
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return 0;
    *out = FED_ARENA_ARRAY(c->arena, struct fed_schema *, list->n);
    FED_JSON_EACH(it, list) {
        struct fed_schema *s = FED_ARENA_NEW(c->arena, struct fed_schema);
        int rc = fed_schema_compile(c, it, s);

        if (rc)
            return rc;
        (*out)[(*n)++] = s;
    }
    return 0;
}

static int compile_rules(struct fed_compiler *c, const struct fed_json *doc, struct fed_rules *r)
{
    const struct fed_json *min = fed_json_find(doc, "minimum"), *max = fed_json_find(doc, "maximum");
    const struct fed_json *enums = fed_json_find(doc, "enum"), *not_of = fed_json_find(doc, "not");
    struct fed_str pattern = fed_json_find_text(doc, "pattern");
    int rc;

    r->has_min = min != NULL;
    r->has_max = max != NULL;
    r->min = fed_json_double(min, 0);
    r->max = fed_json_double(max, 0);
    r->exclusive_min = fed_json_bool(fed_json_find(doc, "exclusiveMinimum"), false);
    r->exclusive_max = fed_json_bool(fed_json_find(doc, "exclusiveMaximum"), false);
    r->multiple_of = fed_json_double(fed_json_find(doc, "multipleOf"), 0);
    r->min_length = fed_json_int(fed_json_find(doc, "minLength"), 0);
    r->max_length = fed_json_int(fed_json_find(doc, "maxLength"), -1);
    r->min_items = fed_json_int(fed_json_find(doc, "minItems"), 0);
    r->max_items = fed_json_int(fed_json_find(doc, "maxItems"), -1);
    r->min_props = fed_json_int(fed_json_find(doc, "minProperties"), 0);
    r->max_props = fed_json_int(fed_json_find(doc, "maxProperties"), -1);
    r->unique_items = fed_json_bool(fed_json_find(doc, "uniqueItems"), false);
    if (enums && enums->type == FED_JSON_ARRAY)
        r->enums = fed_json_copy(c->arena, enums);
    if (c->core && fed_json_find(doc, "x-wrong"))
        r->wrong = fed_arena_dup(c->arena, fed_json_find_text(doc, "x-wrong"));
    if (c->core && fed_json_find(doc, "x-told")) {
        r->told_at_parent = true;
        r->told_of_parent = fed_str_is(fed_json_find_text(doc, "x-told"), "parent");
    }
    if (pattern.n && (rc = compile_pattern(c, pattern, r)))
        return rc;
    if ((rc = compile_branches(c, fed_json_find(doc, "allOf"), &r->all_of, &r->n_all_of)) ||
        (rc = compile_branches(c, fed_json_find(doc, "anyOf"), &r->any_of, &r->n_any_of)) ||
        (rc = compile_branches(c, fed_json_find(doc, "oneOf"), &r->one_of, &r->n_one_of)))
        return rc;
    if (not_of) {
        r->not_of = FED_ARENA_NEW(c->arena, struct fed_schema);
        return fed_schema_compile(c, not_of, r->not_of);
    }
    return 0;
}

static bool has_rules(const struct fed_json *doc)
{
    static const char *const keys[] = {
        "minimum", "maximum",       "multipleOf", "minLength",   "maxLength", "minItems", "maxItems", "minProperties",
        "enum",    "maxProperties", "pattern",    "uniqueItems", "allOf",     "anyOf",    "oneOf",    "not"};

    for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++)
        if (fed_json_find(doc, keys[i]))
            return true;
    return false;
}

static int cmp_props(const void *a, const void *b)
{
    return fed_str_cmp(((const struct fed_prop *)a)->name, ((const struct fed_prop *)b)->name);
}

static int compile_props(struct fed_compiler *c, const struct fed_json *doc, struct fed_shape *shape)
{
    const struct fed_json *props = fed_json_find(doc, "properties"), *required = fed_json_find(doc, "required");

    if (!props || props->type != FED_JSON_OBJECT)
        return 0;
    shape->props = FED_ARENA_ARRAY(c->arena, struct fed_prop, props->n);
    FED_JSON_EACH(it, props) {
        struct fed_prop *p = &shape->props[shape->n_props++];
        int rc;

        p->name = fed_arena_dup(c->arena, it->key);
        p->place = (uint16_t)shape->n_props;
        rc = fed_schema_compile(c, it, &p->schema);
        if (rc)
            return fed_err_wrap(c->err, rc, "%.*s", FED_STR_ARG(it->key));
        if (p->schema.dflt_if.n || p->schema.dflt_from.n)
            shape->has_ifs = true;
    }
    qsort(shape->props, shape->n_props, sizeof(*shape->props), cmp_props);
    FED_JSON_EACH(r, required) {
        struct fed_prop *p = (struct fed_prop *)fed_shape_find(shape, fed_json_str(r));

        if (p)
            p->schema.required = true;
    }
    return 0;
}

static int compile_children(struct fed_compiler *c, const struct fed_json *doc, struct fed_shape *shape)
{
    const struct fed_json *items = fed_json_find(doc, "items"), *extra = fed_json_find(doc, "additionalProperties");
    int rc = compile_props(c, doc, shape);

    if (rc)
        return rc;
    if (items) {
        shape->items = FED_ARENA_NEW(c->arena, struct fed_schema);
        rc = fed_schema_compile(c, items, shape->items);
        if (rc)
            return fed_err_wrap(c->err, rc, "items");
    }
    if (extra && extra->type == FED_JSON_BOOL) {
        shape->preserve |= extra->boolean;
    } else if (extra) {
        shape->additional = FED_ARENA_NEW(c->arena, struct fed_schema);
        rc = fed_schema_compile(c, extra, shape->additional);
    }
    return rc;
}

/* Members that are required but not described here: branches of anyOf and so on only name them. */
static void compile_required(struct fed_compiler *c, const struct fed_json *doc, struct fed_shape *shape)
{
    const struct fed_json *required = fed_json_find(doc, "required");
    struct fed_rules *r = shape->rules;

    FED_JSON_EACH(it, required) {
        if (fed_shape_find(shape, fed_json_str(it)) || !fed_json_str(it).n)
            continue;
        if (!r) {
            r = shape->rules = FED_ARENA_NEW(c->arena, struct fed_rules);
            r->max_length = r->max_items = r->max_props = -1;
        }
        if (!r->required)
            r->required = FED_ARENA_ARRAY(c->arena, struct fed_str, required->n);
        r->required[r->n_required++] = fed_arena_dup(c->arena, fed_json_str(it));
    }
}

static int add_member(struct fed_compiler *c, struct fed_shape *shape, const char *name, struct fed_shape *type);

/* An embedded resource has what every object has. The type is absent only while a definition is being checked. */
static int add_embedded(struct fed_compiler *c, struct fed_shape *shape)
{
    struct fed_shape *text = fed_map_find(c->types, FED_STR(" string/"));
    struct fed_shape *meta = fed_map_find(c->types, FED_STR("meta.v1.ObjectMeta"));
    int rc;

    if (!text || !meta)
        return 0;
    if ((rc = add_member(c, shape, "apiVersion", text)) || (rc = add_member(c, shape, "kind", text)) ||
        (rc = add_member(c, shape, "metadata", meta)))
        return rc;
    ((struct fed_prop *)fed_shape_find(shape, FED_STR("apiVersion")))->schema.required = true;
    ((struct fed_prop *)fed_shape_find(shape, FED_STR("kind")))->schema.required = true;
    return 0;
}

static int compile_shape(struct fed_compiler *c, const struct fed_json *doc, struct fed_shape *shape)
{
    struct fed_str format = fed_json_find_text(doc, "format");
    int rc;

    if (!doc || doc->type != FED_JSON_OBJECT)
        return fed_err_set(c->err, FED_E_INVALID, "schema: must be an object");
    if ((rc = type_of(c, doc, &shape->type)))
        return rc;
    shape->format = format_of(format);
    shape->format_name = format.n ? fed_arena_dup(c->arena, format) : format;
    if (fed_json_bool(fed_json_find(doc, "x-micro"), false))
        shape->format = FED_FORMAT_MICRO_TIME;
    if (fed_json_bool(fed_json_find(doc, "x-kubernetes-int-or-string"), false) && shape->format != FED_FORMAT_QUANTITY)
        shape->type = FED_SHAPE_INT_OR_STRING;
    shape->preserve = fed_json_bool(fed_json_find(doc, "x-kubernetes-preserve-unknown-fields"), false) ||
                      shape->type == FED_SHAPE_ANY;
    shape->embedded = fed_json_bool(fed_json_find(doc, "x-kubernetes-embedded-resource"), false);
    shape->atomic = fed_str_is(fed_json_find_text(doc, "x-kubernetes-map-type"), "atomic");
    shape->pb_raw = fed_json_bool(fed_json_find(doc, "x-pb-raw"), false);
    shape->pb_wrap = fed_json_bool(fed_json_find(doc, "x-pb-wrap"), false);
    if ((rc = compile_children(c, doc, shape)))
        return rc;
    if (shape->embedded && !c->core && (rc = add_embedded(c, shape)))
        return rc;
    if (has_rules(doc)) {
        shape->rules = FED_ARENA_NEW(c->arena, struct fed_rules);
        rc = compile_rules(c, doc, shape->rules);
    }
    if (!rc && !c->core)
        compile_required(c, doc, shape);
    shape->compiled = true;
    return rc;
}

struct fed_shape *fed_schema_type(struct fed_compiler *c, struct fed_str name)
{
    struct fed_shape *shape = fed_map_find(c->types, name);
    const struct fed_json *def, *gvks;

    if (shape)
        return shape;
    def = fed_json_find_str(c->defs, name);
    if (!def) {
        fed_err_set(c->err, FED_E_INVALID, "$type: unknown type \"%.*s\"", FED_STR_ARG(name));
        return NULL;
    }
    shape = FED_ARENA_NEW(c->arena, struct fed_shape);
    shape->model = fed_arena_dup(c->arena, name);
    fed_map_set(c->types, name, shape);
    if (compile_shape(c, def, shape)) {
        fed_map_remove(c->types, name);
        return NULL;
    }
    shape->description = text_of(c, def, "description");
    gvks = fed_json_find(def, "x-kubernetes-group-version-kind");
    if (gvks)
        shape->gvks = fed_json_copy(c->arena, gvks);
    return shape;
}

/* A plain scalar without rules has one shape for the whole set. */
static struct fed_shape *interned(struct fed_compiler *c, const struct fed_json *doc)
{
    struct fed_str type = fed_json_find_text(doc, "type"), format = fed_json_find_text(doc, "format");
    char key[64];
    struct fed_shape *shape;

    if (!(fed_str_is(type, "string") || fed_str_is(type, "integer") || fed_str_is(type, "boolean")) || format.n > 16 ||
        has_rules(doc) || fed_json_find(doc, "x-kubernetes-int-or-string") || fed_json_find(doc, "x-micro") ||
        fed_json_find(doc, "x-kubernetes-preserve-unknown-fields"))
        return NULL;
    snprintf(key, sizeof(key), " %.*s/%.*s", FED_STR_ARG(type), FED_STR_ARG(format));
    shape = fed_map_find(c->types, fed_str(key));
    if (!shape && c->core) {
        shape = FED_ARENA_NEW(c->arena, struct fed_shape);
        if (compile_shape(c, doc, shape))
            return NULL;
        fed_map_set(c->types, fed_str(key), shape);
    }
    return shape;
}

static void compile_pb(const struct fed_json *doc, struct fed_schema *out)
{
    const struct fed_json *pb = fed_json_find(doc, "x-pb");

    if (pb && pb->type == FED_JSON_ARRAY) {
        out->pb_outer = (uint16_t)fed_json_int(fed_json_item(pb, 0), 0);
        out->pb = (uint16_t)fed_json_int(fed_json_item(pb, 1), 0);
    } else {
        out->pb = (uint16_t)fed_json_int(pb, 0);
    }
}

static void compile_use(struct fed_compiler *c, const struct fed_json *doc, struct fed_schema *out)
{
    const struct fed_json *dflt = fed_json_find(doc, "default"), *keys;
    const struct fed_json *zero = c->core ? fed_json_find(doc, "x-zero") : NULL;
    struct fed_str list = fed_json_find_text(doc, "x-kubernetes-list-type");
    struct fed_str strategy = fed_json_find_text(doc, "x-kubernetes-patch-strategy");

    out->description = text_of(c, doc, "description");
    out->zero = zero ? fed_json_copy(c->arena, zero) : NULL;
    out->dflt = dflt ? fed_json_copy(c->arena, dflt) : zero && zero->type == FED_JSON_OBJECT ? out->zero : NULL;
    out->dflt_if = text_of(c, doc, "x-default-if");
    out->dflt_from = text_of(c, doc, "x-default-from");
    out->list_type = fed_str_is(list, "map") ? FED_LIST_MAP : fed_str_is(list, "set") ? FED_LIST_SET : FED_LIST_ATOMIC;
    out->patch_merge = fed_str_find(strategy, FED_STR("merge"), 0) >= 0;
    out->patch_retain = fed_str_find(strategy, FED_STR("retainKeys"), 0) >= 0;
    out->missing = c->core ? text_of(c, doc, "x-missing") : (struct fed_str){NULL, 0};
    out->patch_key = text_of(c, doc, "x-kubernetes-patch-merge-key");
    out->nullable = fed_json_bool(fed_json_find(doc, "nullable"), false);
    out->atomic = out->shape->atomic || fed_str_is(fed_json_find_text(doc, "x-kubernetes-map-type"), "atomic");
    out->or_bool = fed_json_bool(fed_json_find(doc, "x-or-bool"), false);
    out->pb_ptr = fed_json_bool(fed_json_find(doc, "x-pb-ptr"), false);
    compile_pb(doc, out);
    keys = fed_json_find(doc, "x-kubernetes-list-map-keys");
    if (keys && keys->n && keys->n < 32) {
        out->map_keys = FED_ARENA_ARRAY(c->arena, struct fed_str, keys->n);
        FED_JSON_EACH(k, keys)
            out->map_keys[out->n_map_keys++] = fed_arena_dup(c->arena, fed_json_str(k));
    }
}

int fed_schema_compile(struct fed_compiler *c, const struct fed_json *doc, struct fed_schema *out)
{
    struct fed_str type = fed_json_find_text(doc, "$type");
    int rc = 0;

    if (++c->depth > MAX_SCHEMA_DEPTH) {
        c->depth--;
        return fed_err_set(c->err, FED_E_INVALID, "schema: nested too deeply");
    }
    if (type.n) {
        out->shape = fed_schema_type(c, type);
        rc = out->shape ? 0 : FED_E_INVALID;
    } else if (!(out->shape = interned(c, doc))) {
        out->shape = FED_ARENA_NEW(c->arena, struct fed_shape);
        rc = compile_shape(c, doc, out->shape);
    }
    if (!rc)
        compile_use(c, doc, out);
    c->depth--;
    return rc;
}

/* The type, and what the definition says of its values. */
static struct fed_shape *narrowed(struct fed_compiler *c, const struct fed_shape *type, const struct fed_schema *by)
{
    struct fed_shape *shape = FED_ARENA_NEW(c->arena, struct fed_shape);
    struct fed_schema *also = FED_ARENA_NEW(c->arena, struct fed_schema);

    *also = *by;
    *shape = *type;
    shape->also = also;
    return shape;
}

static int add_member(struct fed_compiler *c, struct fed_shape *shape, const char *name, struct fed_shape *type)
{
    struct fed_prop *p = (struct fed_prop *)fed_shape_find(shape, fed_str(name)), *grown;

    if (!type)
        return FED_E_INVALID;
    if (!p) {
        grown = FED_ARENA_ARRAY(c->arena, struct fed_prop, shape->n_props + 1);
        if (shape->n_props)
            memcpy(grown, shape->props, sizeof(*grown) * shape->n_props);
        p = &grown[shape->n_props++];
        shape->props = grown;
        p->name = fed_str(name);
        p->schema.shape = type;
        p->schema.description = fed_str(strcmp(name, "kind") == 0       ? "Kind of this object."
                                        : strcmp(name, "metadata") == 0 ? "Name, namespace, labels, annotations and "
                                                                          "bookkeeping."
                                                                        : "Group and version of this object.");
        qsort(grown, shape->n_props, sizeof(*grown), cmp_props);
    } else if (c->core || p->schema.shape->type != type->type) {
        p->schema.shape = p->schema.shape->model.n ? p->schema.shape : type;
    } else if (type->model.n) {
        p->schema.shape = narrowed(c, type, &p->schema);
    }
    return 0;
}

int fed_schema_finish_root(struct fed_compiler *c, struct fed_schema *root)
{
    struct fed_shape *shape = root->shape, *text;
    int rc;

    if (shape->type == FED_SHAPE_ANY)
        shape->type = FED_SHAPE_OBJECT;
    if (shape->type != FED_SHAPE_OBJECT)
        return fed_err_set(c->err, FED_E_INVALID, "schema: the root must be an object");
    text = fed_map_find(c->types, FED_STR(" string/"));
    if ((rc = add_member(c, shape, "apiVersion", text)) || (rc = add_member(c, shape, "kind", text)) ||
        (rc = add_member(c, shape, "metadata", fed_schema_type(c, FED_STR("meta.v1.ObjectMeta")))))
        return rc;
    return 0;
}
