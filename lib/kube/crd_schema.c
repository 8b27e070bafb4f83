/* SPDX-License-Identifier: Apache-2.0 */
/* crd_schema.c: the schema of a CustomResourceDefinition: its structure, its defaults, then each of its words, in the order in
 * which Kubernetes tells what is wrong. */
#include "kube/crd_priv.h"
#include "kube/format.h"
#include "kube/rules.h"
#include "kube/schema_priv.h"

static struct fed_str shown(struct fed_crd_walk *w, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 1 << 22);
    if (v)
        fed_json_write(&b, v);
    out = fed_arena_dup(w->a, fed_str_head(fed_buf_str(&b), 256));
    fed_buf_release(&b);
    return out;
}

static void not_supported(struct fed_crd_walk *w, struct fed_str path, const char *name, const struct fed_json *v,
                          const char *words)
{
    fed_causes_add(w->causes, FED_CAUSE_NOT_SUPPORTED, fed_crd_child(w, path, name), shown(w, v),
                   "supported values: %s", words);
}

/* --- defaults --- */

struct unknown {
    struct fed_crd_walk *w;
    struct fed_str path;
    const struct fed_json *dflt;
    bool told;
};

static void unknown_in_default(void *ud, const char *field, const struct fed_json *value)
{
    struct unknown *u = ud;

    (void)value;
    (void)field;
    if (!u->told)
        fed_causes_add(u->w->causes, FED_CAUSE_INVALID, u->path, shown(u->w, u->dflt), "must not have unknown fields");
    u->told = true;
}

/* The default must be what the schema allows. Compiled here alone, so that it does not matter where it stands. */
static void check_default(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *dflt = fed_json_find(s, "default");
    struct fed_map types = {0};
    struct fed_arena scratch = {0};
    struct fed_err err = {0};
    struct fed_compiler c = {.arena = &scratch, .types = &types, .err = &err};
    struct fed_schema *compiled = FED_ARENA_NEW(&scratch, struct fed_schema);
    struct fed_causes own = {.arena = w->a};
    struct unknown u = {w, fed_crd_child(w, path, "default"), dflt, false};
    struct fed_json *copy;

    if (fed_schema_compile(&c, s, compiled) == 0) {
        copy = fed_json_copy(&scratch, dflt);
        fed_schema_prune(compiled, copy, unknown_in_default, &u);
        fed_schema_default(&scratch, compiled, copy);
        fed_schema_validate(compiled, copy, &own, NULL);
        for (size_t i = 0; i < own.n; i++) {
            struct fed_str at = own.items[i].field;

            fed_causes_add(w->causes, own.items[i].type,
                           at.n && !fed_str_is(at, "<nil>")
                               ? fed_arena_printf(w->a, "%.*s.%.*s", FED_STR_ARG(u.path), FED_STR_ARG(at))
                               : u.path,
                           (struct fed_str){NULL, 0}, "%s", "");
            w->causes->items[w->causes->n - 1].message = fed_arena_dup(w->a, own.items[i].message);
        }
    }
    fed_map_release(&types);
    fed_arena_release(&scratch);
}

/* The default of a whole object must say what it is. */
static void check_whole(struct fed_crd_walk *w, const struct fed_json *dflt, struct fed_str path)
{
    static const char *const texts[] = {"apiVersion", "kind"};

    for (size_t i = 0; dflt->type == FED_JSON_OBJECT && i < FED_ARRAY_LEN(texts); i++)
        if (!fed_json_find_text(dflt, texts[i]).n)
            fed_crd_required(w, fed_crd_child(w, path, "default"), texts[i], "must not be empty");
}

/* The defaults of a structural schema. Not inside additionalProperties: there they belong to nobody. */
static void check_defaults(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *dflt = fed_json_find(s, "default");

    if (!s || s->type != FED_JSON_OBJECT || w->depth >= FED_CRD_MAX_DEPTH)
        return;
    w->depth++;
    if (dflt && dflt->type != FED_JSON_NULL) { /* null is none */
        if (w->depth == 1 || fed_crd_flag(s, "x-kubernetes-embedded-resource"))
            check_whole(w, dflt, path);
        check_default(w, s, path);
    }
    check_defaults(w, fed_json_find(s, "items"), fed_crd_child(w, path, "items"));
    FED_JSON_EACH(p, fed_json_find(s, "properties"))
        check_defaults(w, p, fed_crd_keyed(w, path, "properties", p->key));
    w->depth--;
}

/* --- words --- */

struct about {              /* where a schema stands */
    const char *no_default; /* why there may be no default; NULL: there may */
    bool in_meta;           /* inside apiVersion, kind or metadata */
    bool root;
};

static const char *const never[] = {"id",          "additionalItems", "patternProperties",
                                    "definitions", "dependencies",    "$ref"};

static void check_alone(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, const struct about *at)
{
    static const char *const types[] = {"array", "boolean", "integer", "number", "object", "string"};
    const struct fed_json *type = fed_json_find(s, "type"), *dflt = fed_json_find(s, "default");
    bool known = false;

    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++)
        known |= fed_crd_type_is(s, types[i]);
    if (fed_json_str(type).n && !known)
        not_supported(w, path, "type", type, "\"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"");
    if (dflt && dflt->type != FED_JSON_NULL && at->no_default)
        fed_crd_forbidden(w, path, "default", fed_arena_printf(w->a, "must not be set %s", at->no_default).p);
    for (size_t i = 0; i < FED_ARRAY_LEN(never); i++)
        if (fed_json_find(s, never[i]))
            fed_crd_forbidden(w, path, never[i], fed_arena_printf(w->a, "%s is not supported", never[i]).p);
    if (fed_crd_type_is(s, "null"))
        fed_crd_forbidden(w, path, "type", "type cannot be set to null, use nullable as an alternative");
    if (at->in_meta && fed_crd_flag(s, "x-kubernetes-embedded-resource"))
        fed_crd_forbidden(w, path, "x-kubernetes-embedded-resource", "must not be used inside of resource meta");
    if (fed_crd_flag(s, "uniqueItems"))
        fed_crd_forbidden(w, path, "uniqueItems",
                          "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
}

static void check_map_type(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *type = fed_json_find(s, "x-kubernetes-map-type");
    struct fed_str t = fed_json_str(type);

    if (!type)
        return;
    if (!fed_json_find_text(s, "type").n)
        fed_crd_required(w, path, "type", "must be object if x-kubernetes-map-type is specified");
    else if (!fed_crd_type_is(s, "object"))
        fed_crd_invalid(w, path, "type", fed_json_find(s, "type"),
                        "must be object if x-kubernetes-map-type is specified");
    if (!fed_str_is(t, "atomic") && !fed_str_is(t, "granular"))
        not_supported(w, path, "x-kubernetes-map-type", type, "\"atomic\", \"granular\"");
}

/* Items of a set are compared whole. */
static void check_set(struct fed_crd_walk *w, const struct fed_json *items, struct fed_str path)
{
    static const char *const keys[] = {"x-kubernetes-list-type", "x-kubernetes-map-type"};
    struct fed_str at = fed_crd_child(w, path, "items");
    const struct fed_json *list = fed_json_find(items, keys[0]), *map = fed_json_find(items, keys[1]);
    bool array = fed_crd_type_is(items, "array"), object = fed_crd_type_is(items, "object");

    if ((array && list && !fed_str_is(fed_json_str(list), "atomic")) ||
        (object && !fed_str_is(fed_json_str(map), "atomic")))
        fed_causes_add(w->causes, FED_CAUSE_INVALID, fed_crd_child(w, at, keys[object]),
                       list ? shown(w, list) : FED_STR("\"null\""), /* Kubernetes shows the list type in both cases */
                       "must be atomic as item of a list with x-kubernetes-list-type=set");
}

static bool in_required(const struct fed_json *s, struct fed_str name)
{
    FED_JSON_EACH(it, fed_json_find(s, "required"))
        if (fed_str_eq(fed_json_str(it), name))
            return true;
    return false;
}

static void check_keys(struct fed_crd_walk *w, const struct fed_json *keys, const struct fed_json *items,
                       struct fed_str path)
{
    FED_JSON_EACH(k, keys) {
        const struct fed_json *p = fed_json_find_str(fed_json_find(items, "properties"), fed_json_str(k));
        struct fed_str at = fed_crd_keyed(w, fed_crd_child(w, path, "items"), "properties", fed_json_str(k));
        bool again = false;

        if (!p)
            fed_crd_invalid(w, path, "x-kubernetes-list-map-keys", keys,
                            "entries must all be names of item properties");
        else if (fed_crd_type_is(p, "array") || fed_crd_type_is(p, "object"))
            fed_crd_invalid(w, at, "type", fed_json_find(items, "type"), /* of the items: so does Kubernetes */
                            "must be a scalar type if parent array's x-kubernetes-list-type is map");
        for (const struct fed_json *o = keys->first; o != k; o = o->next)
            again |= fed_json_equal(o, k);
        if (again)
            fed_crd_invalid(w, path, "x-kubernetes-list-map-keys", keys, "must not contain duplicate entries");
    }
}

static void check_list_map(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *keys = fed_json_find(s, "x-kubernetes-list-map-keys"), *items = fed_json_find(s, "items");

    if (!keys || !keys->n)
        fed_crd_required(w, path, "x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map");
    if (!items)
        fed_crd_required(w, path, "items", "must have a schema if x-kubernetes-list-type is map");
    else if (!fed_crd_type_is(items, "object"))
        fed_crd_invalid(w, fed_crd_child(w, path, "items"), "type", fed_json_find(items, "type"),
                        "must be object if parent array's x-kubernetes-list-type is map");
    else
        check_keys(w, keys, items, path);
}

/* Items of sets and maps, and the keys of maps, are always something. */
static void check_something(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *items = fed_json_find(s, "items");
    struct fed_str t = fed_json_find_text(s, "x-kubernetes-list-type"), at = fed_crd_child(w, path, "items");

    if (!items || (!fed_str_is(t, "set") && !fed_str_is(t, "map")))
        return;
    if (fed_crd_flag(items, "nullable"))
        fed_crd_forbidden(
            w, at, "nullable",
            fed_arena_printf(w->a, "cannot be nullable when x-kubernetes-list-type is %.*s", FED_STR_ARG(t)).p);
    if (fed_str_is(t, "map"))
        FED_JSON_EACH(k, fed_json_find(s, "x-kubernetes-list-map-keys")) {
            const struct fed_json *p = fed_json_find_str(fed_json_find(items, "properties"), fed_json_str(k));
            const struct fed_json *dflt = fed_json_find(p, "default");
            struct fed_str key = fed_crd_keyed(w, at, "properties", fed_json_str(k));

            if (p && (!dflt || dflt->type == FED_JSON_NULL) && !in_required(items, fed_json_str(k)))
                fed_crd_required(w, key, "default",
                                 "this property is in x-kubernetes-list-map-keys, so it must have a default or be a "
                                 "required property");
            if (fed_crd_flag(p, "nullable"))
                fed_crd_forbidden(w, key, "nullable",
                                  "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
        }
}

static void check_list_type(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *type = fed_json_find(s, "x-kubernetes-list-type"), *items = fed_json_find(s, "items");
    const struct fed_json *keys = fed_json_find(s, "x-kubernetes-list-map-keys");
    struct fed_str t = fed_json_str(type);

    if (type && !fed_json_find_text(s, "type").n)
        fed_crd_required(w, path, "type", "must be array if x-kubernetes-list-type is specified");
    else if (type && !fed_crd_type_is(s, "array"))
        fed_crd_invalid(w, path, "type", fed_json_find(s, "type"),
                        "must be array if x-kubernetes-list-type is specified");
    else if (fed_str_is(t, "set") && items)
        check_set(w, items, path);
    if (type && !fed_str_is(t, "atomic") && !fed_str_is(t, "set") && !fed_str_is(t, "map"))
        not_supported(w, path, "x-kubernetes-list-type", type, "\"atomic\", \"set\", \"map\"");
    if (keys && keys->n && !type)
        fed_crd_required(w, path, "x-kubernetes-list-type", "must be map if x-kubernetes-list-map-keys is non-empty");
    else if (keys && keys->n && !fed_str_is(t, "map"))
        fed_crd_invalid(w, path, "x-kubernetes-list-type", type,
                        "must be map if x-kubernetes-list-map-keys is non-empty");
    if (fed_str_is(t, "map"))
        check_list_map(w, s, path);
    check_something(w, s, path);
}

static void check_words(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, const struct about *at);

static void check_properties(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path,
                             const struct about *at)
{
    FED_JSON_EACH(p, fed_json_find(s, "properties")) {
        bool meta = fed_str_is(p->key, "metadata") || fed_str_is(p->key, "kind") || fed_str_is(p->key, "apiVersion");
        struct about sub = {.no_default = at->no_default, .in_meta = at->in_meta};

        if (meta && (at->root || fed_crd_flag(s, "x-kubernetes-embedded-resource")))
            sub.in_meta = true;
        if (meta && at->root)
            sub.no_default = fed_arena_printf(w->a, "in top-level %.*s", FED_STR_ARG(p->key)).p;
        check_words(w, p, fed_crd_keyed(w, path, "properties", p->key), &sub);
    }
}

static void check_inside(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, const struct about *at)
{
    static const char *const lists[] = {"allOf", "oneOf", "anyOf"};
    const struct fed_json *extra = fed_json_find(s, "additionalProperties"), *props = fed_json_find(s, "properties");
    struct about sub = {.no_default = at->no_default, .in_meta = at->in_meta}, more = sub;

    if (extra && props && props->n && !fed_json_bool(extra, false))
        fed_crd_forbidden(w, path, "additionalProperties", "additionalProperties and properties are mutual exclusive");
    if (at->in_meta)
        more.no_default = "inside additionalProperties applying to object metadata";
    check_words(w, extra, fed_crd_child(w, path, "additionalProperties"), &more);
    check_properties(w, s, path, at);
    check_words(w, fed_json_find(s, "not"), fed_crd_child(w, path, "not"), &sub);
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++) {
        uint32_t n = 0;

        FED_JSON_EACH(it, fed_json_find(s, lists[i]))
            check_words(w, it, fed_crd_item(w, path, lists[i], n++), &sub);
    }
    FED_JSON_EACH(d, fed_json_find(s, "definitions"))
        check_words(w, d, fed_crd_keyed(w, path, "definitions", d->key), &sub);
    check_words(w, fed_json_find(s, "items"), fed_crd_child(w, path, "items"), &sub);
}

static void check_words(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, const struct about *at)
{
    const struct fed_json *keep = fed_json_find(s, "x-kubernetes-preserve-unknown-fields");

    if (!s || s->type != FED_JSON_OBJECT || w->depth >= FED_CRD_MAX_DEPTH)
        return;
    w->depth++;
    check_alone(w, s, path, at);
    check_inside(w, s, path, at);
    if (keep && !fed_json_bool(keep, false))
        fed_crd_invalid(w, path, "x-kubernetes-preserve-unknown-fields", keep, "must be true or undefined");
    check_map_type(w, s, path);
    check_list_type(w, s, path);
    w->depth--;
}

/* --- the whole --- */

/* A schema that says one of these has no structure to look at. */
static bool has_never(const struct fed_json *s, int depth)
{
    static const char *const inside[] = {"items", "not", "additionalProperties"};
    static const char *const lists[] = {"properties", "allOf", "anyOf", "oneOf"};

    if (!s || s->type != FED_JSON_OBJECT || depth > FED_CRD_MAX_DEPTH)
        return false;
    for (size_t i = 0; i < FED_ARRAY_LEN(never); i++)
        if (fed_json_find(s, never[i]))
            return true;
    if (!fed_json_bool(fed_json_find(s, "x-kubernetes-preserve-unknown-fields"), true))
        return true;
    for (size_t i = 0; i < FED_ARRAY_LEN(inside); i++)
        if (has_never(fed_json_find(s, inside[i]), depth + 1))
            return true;
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(it, fed_json_find(s, lists[i]))
            if (has_never(it, depth + 1))
                return true;
    return false;
}

/* With a status of its own only some words may stand at the root: the rest would not hold for the status. */
static void check_root(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    static const char *const allowed[][2] = {{"description", "Description"},
                                             {"type", "Type"},
                                             {"format", "Format"},
                                             {"title", "Title"},
                                             {"maximum", "Maximum"},
                                             {"exclusiveMaximum", "ExclusiveMaximum"},
                                             {"minimum", "Minimum"},
                                             {"exclusiveMinimum", "ExclusiveMinimum"},
                                             {"maxLength", "MaxLength"},
                                             {"minLength", "MinLength"},
                                             {"pattern", "Pattern"},
                                             {"maxItems", "MaxItems"},
                                             {"minItems", "MinItems"},
                                             {"uniqueItems", "UniqueItems"},
                                             {"multipleOf", "MultipleOf"},
                                             {"required", "Required"},
                                             {"items", "Items"},
                                             {"properties", "Properties"},
                                             {"externalDocs", "ExternalDocs"},
                                             {"example", "Example"},
                                             {"x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"},
                                             {"x-kubernetes-validations", "XValidations"}};
    struct fed_str type = fed_json_find_text(s, "type");
    struct fed_buf list = {0};
    bool other = false;

    for (size_t i = 0; i < FED_ARRAY_LEN(allowed); i++)
        fed_buf_addf(&list, "%s%s", i ? " " : "", allowed[i][1]);
    FED_JSON_EACH(m, s) {
        bool fine = false;

        for (size_t i = 0; i < FED_ARRAY_LEN(allowed); i++)
            fine |= fed_str_is(m->key, allowed[i][0]);
        other |= !fine;
    }
    if (type.n && !fed_str_is(type, "object"))
        fed_crd_invalid(w, path, "type", fed_json_find(s, "type"),
                        "only \"object\" is allowed as the type at the root of the schema if the status subresource is "
                        "enabled");
    else if (other)
        fed_causes_add(w->causes, FED_CAUSE_INVALID, path, shown(w, s),
                       "only [%s] fields are allowed at the root of the schema if the status subresource is enabled",
                       fed_buf_z(&list));
    fed_buf_release(&list);
}

/* Last: whatever passed must compile. */
static void check_compiles(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    struct fed_map types = {0};
    struct fed_arena scratch = {0};
    struct fed_err err = {0};
    struct fed_compiler c = {.arena = &scratch, .types = &types, .err = &err};

    if (fed_schema_compile(&c, s, FED_ARENA_NEW(&scratch, struct fed_schema)))
        fed_causes_add(w->causes, FED_CAUSE_INVALID, path, (struct fed_str){NULL, 0}, "%s", err.text);
    fed_map_release(&types);
    fed_arena_release(&scratch);
}

void fed_crd_schema_check(const struct fed_json *schema, struct fed_str path, bool has_status,
                          struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud)
{
    struct fed_crd_walk w = {.causes = causes, .a = causes->arena, .warn = warn, .ud = ud};
    size_t before = causes->n;

    if (has_status)
        check_root(&w, schema, path);
    if (fed_crd_flag(schema, "nullable"))
        fed_crd_forbidden(&w, path, "nullable", "nullable cannot be true at the root");
    if (!has_never(schema, 0) && fed_crd_structural(&w, schema, path))
        check_defaults(&w, schema, path);
    check_words(&w, schema, path, &(struct about){.root = true});
    if (causes->n == before)
        check_compiles(&w, schema, path);
    if (causes->n == before)
        fed_rules_check_schema(schema, path, causes);
}
