/* SPDX-License-Identifier: Apache-2.0 */
/* crd_schema.c: whether the schema of a CustomResourceDefinition is structural, in the words of Kubernetes. */
#include "kube/crd.h"
#include "kube/format.h"
#include "kube/rules.h"
#include "kube/schema_priv.h"

enum level { ROOT, FIELD, ITEM };
enum { MAX_DEPTH = 60 };

struct walk {
    struct fed_causes *causes;
    struct fed_arena *a;
    void (*warn)(void *ud, const char *text);
    void *ud;
    int depth;
};

static const struct fed_str none = {NULL, 0};

static struct fed_str child(struct walk *w, struct fed_str path, const char *name)
{
    return fed_arena_printf(w->a, "%.*s.%s", FED_STR_ARG(path), name);
}

static struct fed_str keyed(struct walk *w, struct fed_str path, const char *name, struct fed_str key)
{
    return fed_arena_printf(w->a, "%.*s.%s[%.*s]", FED_STR_ARG(path), name, FED_STR_ARG(key));
}

static struct fed_str text_of(struct walk *w, const struct fed_json *v)
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

static void invalid(struct walk *w, struct fed_str path, const char *name, const struct fed_json *v, const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_INVALID, child(w, path, name), text_of(w, v), "%s", why);
}

static void required(struct walk *w, struct fed_str path, const char *name, const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_REQUIRED, child(w, path, name), none, "%s", why);
}

static void forbidden(struct walk *w, struct fed_str path, const char *name, const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_FORBIDDEN, child(w, path, name), none, "%s", why);
}

static bool flag(const struct fed_json *s, const char *name)
{
    return fed_json_bool(fed_json_find(s, name), false);
}

static bool type_is(const struct fed_json *s, const char *type)
{
    return fed_str_is(fed_json_find_text(s, "type"), type);
}

static bool is_scalar(const struct fed_json *s)
{
    return type_is(s, "string") || type_is(s, "integer") || type_is(s, "number") || type_is(s, "boolean") ||
           flag(s, "x-kubernetes-int-or-string");
}

/* --- what no schema may say --- */

static void check_forbidden(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    static const char *const never[] = {
        "id", "$ref", "definitions", "dependencies", "patternProperties", "additionalItems"};
    const struct fed_json *extra = fed_json_find(s, "additionalProperties"), *f;

    for (size_t i = 0; i < FED_ARRAY_LEN(never); i++)
        if (fed_json_find(s, never[i]))
            forbidden(w, path, never[i], fed_arena_printf(w->a, "%s is not supported", never[i]).p);
    if (flag(s, "uniqueItems"))
        forbidden(w, path, "uniqueItems",
                  "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    if (extra && fed_json_find(s, "properties") && fed_json_find(s, "properties")->n)
        forbidden(w, path, "additionalProperties", "additionalProperties and properties are mutual exclusive");
    if (type_is(s, "null"))
        forbidden(w, path, "type", "type cannot be set to null, use nullable as an alternative");
    f = fed_json_find(s, "x-kubernetes-preserve-unknown-fields");
    if (f && !fed_json_bool(f, false))
        invalid(w, path, "x-kubernetes-preserve-unknown-fields", f, "must be true or undefined");
}

static void check_values(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    struct fed_str pattern = fed_json_find_text(s, "pattern");
    struct fed_err err = {0};
    struct fed_regex *re;
    int rc;

    if (!pattern.n)
        return;
    rc = fed_regex_compile(w->a, pattern, &re, &err);
    if (rc == FED_E_UNSUPPORTED && w->warn)
        w->warn(w->ud, fed_arena_printf(w->a, "%.*s.pattern: is not evaluated: %s", FED_STR_ARG(path), err.text).p);
    else if (rc && rc != FED_E_UNSUPPORTED)
        invalid(w, path, "pattern", fed_json_find(s, "pattern"),
                fed_arena_printf(w->a, "must be a valid regular expression, but isn't: %s", err.text).p);
}

/* --- lists and maps --- */

static bool in_required(const struct fed_json *s, struct fed_str name)
{
    FED_JSON_EACH(it, fed_json_find(s, "required"))
        if (fed_str_eq(fed_json_str(it), name))
            return true;
    return false;
}

static void check_map_keys(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *keys = fed_json_find(s, "x-kubernetes-list-map-keys"), *items = fed_json_find(s, "items");
    struct fed_str items_path = child(w, path, "items");

    if (!keys || !keys->n) {
        required(w, path, "x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map");
        return;
    }
    if (!type_is(items, "object")) {
        invalid(w, items_path, "type", fed_json_find(items, "type"),
                "must be object if parent array's x-kubernetes-list-type is map");
        return;
    }
    if (keys->n >= 32)
        fed_causes_add(w->causes, FED_CAUSE_TOO_LONG, child(w, path, "x-kubernetes-list-map-keys"), none,
                       "must have at most 31 items");
    FED_JSON_EACH(k, keys) {
        const struct fed_json *p = fed_json_find_str(fed_json_find(items, "properties"), fed_json_str(k));
        struct fed_str at = keyed(w, items_path, "properties", fed_json_str(k));

        for (const struct fed_json *o = keys->first; o != k; o = o->next)
            if (fed_json_equal(o, k))
                fed_causes_add(w->causes, FED_CAUSE_DUPLICATE, child(w, path, "x-kubernetes-list-map-keys"),
                               text_of(w, k), "%s", "");
        if (!p) {
            invalid(w, path, "x-kubernetes-list-map-keys", k, "entries must all be names of item properties");
            continue;
        }
        if (!is_scalar(p))
            invalid(w, at, "type", fed_json_find(p, "type"),
                    "must be a scalar type if parent array's x-kubernetes-list-type is map");
        if (!fed_json_find(p, "default") && !in_required(items, fed_json_str(k)))
            required(w, at, "default",
                     "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
                     "property");
    }
}

static void check_list_type(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *type = fed_json_find(s, "x-kubernetes-list-type"), *items = fed_json_find(s, "items");
    const struct fed_json *keys = fed_json_find(s, "x-kubernetes-list-map-keys");
    struct fed_str t = fed_json_str(type), items_path;
    bool nested_atomic;

    if (keys && keys->n && !fed_str_is(t, "map"))
        fed_causes_add(w->causes, type ? FED_CAUSE_INVALID : FED_CAUSE_REQUIRED,
                       child(w, path, "x-kubernetes-list-type"), text_of(w, type),
                       "must be map if x-kubernetes-list-map-keys is non-empty");
    if (!type)
        return;
    items_path = child(w, path, "items");
    if (!fed_str_is(t, "atomic") && !fed_str_is(t, "set") && !fed_str_is(t, "map")) {
        fed_causes_add(w->causes, FED_CAUSE_NOT_SUPPORTED, child(w, path, "x-kubernetes-list-type"), text_of(w, type),
                       "supported values: \"atomic\", \"set\", \"map\"");
        return;
    }
    if (!type_is(s, "array"))
        invalid(w, path, "type", fed_json_find(s, "type"), "must be array if x-kubernetes-list-type is specified");
    if (fed_str_is(t, "map"))
        check_map_keys(w, s, path);
    if (!fed_str_is(t, "set"))
        return;
    nested_atomic = type_is(items, "array")
                        ? !fed_json_find(items, "x-kubernetes-list-type") ||
                              fed_str_is(fed_json_find_text(items, "x-kubernetes-list-type"), "atomic")
                        : fed_str_is(fed_json_find_text(items, "x-kubernetes-map-type"), "atomic");
    if (flag(items, "nullable"))
        forbidden(w, items_path, "nullable", "cannot be nullable when x-kubernetes-list-type is set");
    if (type_is(items, "object") && !nested_atomic)
        invalid(w, items_path, "x-kubernetes-map-type", fed_json_find(items, "x-kubernetes-map-type"),
                "must be atomic as item of a list with x-kubernetes-list-type=set");
    if (type_is(items, "array") && !nested_atomic)
        invalid(w, items_path, "x-kubernetes-list-type", fed_json_find(items, "x-kubernetes-list-type"),
                "must be atomic as item of a list with x-kubernetes-list-type=set");
}

static void check_map_type(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *type = fed_json_find(s, "x-kubernetes-map-type");
    struct fed_str t = fed_json_str(type);

    if (!type)
        return;
    if (!fed_str_is(t, "atomic") && !fed_str_is(t, "granular"))
        fed_causes_add(w->causes, FED_CAUSE_NOT_SUPPORTED, child(w, path, "x-kubernetes-map-type"), text_of(w, type),
                       "supported values: \"atomic\", \"granular\"");
    if (!type_is(s, "object"))
        invalid(w, path, "type", fed_json_find(s, "type"), "must be object if x-kubernetes-map-type is specified");
}

/* --- value validation inside allOf, anyOf, oneOf, not --- */

/* What a branch may not say, since only the structure around it may. */
static void check_branch_words(struct walk *w, const struct fed_json *b, struct fed_str path, bool typed)
{
    static const struct {
        const char *name, *why;
    } words[] = {{"description", "must be empty to be structural"},
                 {"title", "must be empty to be structural"},
                 {"default", "must be undefined to be structural"},
                 {"nullable", "must be false to be structural"},
                 {"additionalProperties", "must be undefined to be structural"},
                 {"x-kubernetes-preserve-unknown-fields", "must be false to be structural"},
                 {"x-kubernetes-embedded-resource", "must be false to be structural"},
                 {"x-kubernetes-int-or-string", "must be false to be structural"},
                 {"x-kubernetes-list-map-keys", "must be empty to be structural"},
                 {"x-kubernetes-list-type", "must be undefined to be structural"},
                 {"x-kubernetes-map-type", "must be undefined to be structural"}};

    if (fed_json_find(b, "type") && !typed)
        forbidden(w, path, "type", "must be empty to be structural");
    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_json_find(b, words[i].name))
            forbidden(w, path, words[i].name, words[i].why);
}

static void check_branches(struct walk *w, const struct fed_json *structure, const struct fed_json *b,
                           struct fed_str path, struct fed_str structure_path);

/* One branch, along the structure that it speaks of: what it names must be described there. */
static void check_branch(struct walk *w, const struct fed_json *structure, const struct fed_json *b,
                         struct fed_str path, struct fed_str structure_path, bool typed)
{
    const struct fed_json *extra = fed_json_find(structure, "additionalProperties"), *items;

    if (++w->depth > MAX_DEPTH) {
        w->depth--;
        return;
    }
    check_branch_words(w, b, path, typed);
    check_forbidden(w, b, path);
    check_values(w, b, path);
    FED_JSON_EACH(p, fed_json_find(b, "properties")) {
        const struct fed_json *s = fed_json_find_str(fed_json_find(structure, "properties"), p->key);
        struct fed_str at = keyed(w, path, "properties", p->key);
        struct fed_str sat = keyed(w, structure_path, "properties", p->key);

        if (!s && extra && extra->type == FED_JSON_OBJECT)
            s = extra;
        if (!s && !flag(structure, "x-kubernetes-preserve-unknown-fields"))
            fed_causes_add(w->causes, FED_CAUSE_REQUIRED, sat, none, "because it is defined in %.*s", FED_STR_ARG(at));
        check_branch(w, s, p, at, sat, false);
    }
    items = fed_json_find(b, "items");
    if (items) {
        if (structure && !fed_json_find(structure, "items") && !flag(structure, "x-kubernetes-preserve-unknown-fields"))
            fed_causes_add(w->causes, FED_CAUSE_REQUIRED, child(w, structure_path, "items"), none,
                           "because it is defined in %.*s", FED_STR_ARG(child(w, path, "items")));
        check_branch(w, fed_json_find(structure, "items"), items, child(w, path, "items"),
                     child(w, structure_path, "items"), false);
    }
    check_branches(w, structure, b, path, structure_path);
    w->depth--;
}

static void check_branches(struct walk *w, const struct fed_json *structure, const struct fed_json *b,
                           struct fed_str path, struct fed_str structure_path)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};
    const struct fed_json *not_of = fed_json_find(b, "not");
    /* The two patterns that may name types: anyOf with integer and string where either is allowed. */
    bool typed = flag(structure, "x-kubernetes-int-or-string");

    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++) {
        uint32_t n = 0;

        FED_JSON_EACH(it, fed_json_find(b, lists[i]))
            check_branch(w, structure, it, fed_arena_printf(w->a, "%.*s.%s[%u]", FED_STR_ARG(path), lists[i], n++),
                         structure_path, typed && i < 2);
    }
    if (not_of)
        check_branch(w, structure, not_of, child(w, path, "not"), structure_path, false);
}

/* --- structure --- */

static void check_type(struct walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    static const char *const missing[] = {"must not be empty at the root",
                                          "must not be empty for specified object fields",
                                          "must not be empty for specified array items"};
    static const char *const types[] = {"array", "boolean", "integer", "number", "object", "string"};
    const struct fed_json *type = fed_json_find(s, "type");
    bool embedded = flag(s, "x-kubernetes-embedded-resource"), known = false;
    bool either = flag(s, "x-kubernetes-int-or-string"), keep = flag(s, "x-kubernetes-preserve-unknown-fields");

    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++)
        known |= type_is(s, types[i]);
    if (fed_json_str(type).n && !known && !type_is(s, "null"))
        fed_causes_add(w->causes, FED_CAUSE_NOT_SUPPORTED, child(w, path, "type"), text_of(w, type),
                       "supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"");
    if (either && keep)
        invalid(w, path, "x-kubernetes-preserve-unknown-fields", fed_json_find(s, "x-kubernetes-int-or-string"),
                "must be false if x-kubernetes-int-or-string is true");
    if (either && embedded)
        invalid(w, path, "x-kubernetes-embedded-resource", fed_json_find(s, "x-kubernetes-int-or-string"),
                "must be false if x-kubernetes-int-or-string is true");
    if (embedded && !fed_json_str(type).n)
        required(w, path, "type", "must be object if x-kubernetes-embedded-resource is true");
    else if (embedded && !type_is(s, "object"))
        invalid(w, path, "type", type, "must be object if x-kubernetes-embedded-resource is true");
    else if (!fed_json_str(type).n && !either && !keep)
        required(w, path, "type", missing[level]);
    if (type_is(s, "array") && !fed_json_find(s, "items"))
        required(w, path, "items", "must be specified");
    if (level == ROOT && fed_json_str(type).n && !type_is(s, "object"))
        invalid(w, path, "type", type, "must be object at the root");
}

/* apiVersion, kind and metadata are there anyway: a schema may only narrow their names. */
static void check_implicit(struct walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    const struct fed_json *props = fed_json_find(s, "properties"), *meta = fed_json_find(props, "metadata");
    static const char *const texts[] = {"apiVersion", "kind"};
    bool embedded = flag(s, "x-kubernetes-embedded-resource");

    if (level != ROOT && !embedded)
        return;
    if (embedded && fed_json_find(s, "additionalProperties"))
        forbidden(w, path, "additionalProperties", "must not be used if x-kubernetes-embedded-resource is set");
    if (embedded && !flag(s, "x-kubernetes-preserve-unknown-fields") && (!props || !props->n))
        required(w, path, "properties",
                 "must not be empty if x-kubernetes-embedded-resource is true without "
                 "x-kubernetes-preserve-unknown-fields");
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        const struct fed_json *p = fed_json_find(props, texts[i]);

        if (p && !type_is(p, "string"))
            invalid(w, keyed(w, path, "properties", fed_str(texts[i])), "type", fed_json_find(p, "type"),
                    "must be string");
    }
    if (!meta)
        return;
    if (!type_is(meta, "object"))
        invalid(w, keyed(w, path, "properties", FED_STR("metadata")), "type", fed_json_find(meta, "type"),
                "must be object");
    FED_JSON_EACH(p, fed_json_find(meta, "properties"))
        if (!fed_str_is(p->key, "name") && !fed_str_is(p->key, "generateName")) {
            fed_causes_add(w->causes, FED_CAUSE_FORBIDDEN, keyed(w, path, "properties", FED_STR("metadata")), none,
                           "must not specify anything other than name and generateName, but metadata is implicitly "
                           "specified");
            break;
        }
}

/* --- defaults --- */

struct unknown {
    struct walk *w;
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
        fed_causes_add(u->w->causes, FED_CAUSE_INVALID, u->path, text_of(u->w, u->dflt),
                       "must not have unknown fields");
    u->told = true;
}

/* The default must be what the schema allows. Compiled here alone, so that it does not matter where it stands. */
static void check_default(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    const struct fed_json *dflt = fed_json_find(s, "default");
    struct fed_map types = {0};
    struct fed_arena scratch = {0};
    struct fed_err err = {0};
    struct fed_compiler c = {.arena = &scratch, .types = &types, .err = &err};
    struct fed_schema *compiled = FED_ARENA_NEW(&scratch, struct fed_schema);
    struct fed_causes own = {.arena = w->a};
    struct unknown u = {w, child(w, path, "default"), dflt, false};
    struct fed_json *copy;

    if (fed_schema_compile(&c, s, compiled) == 0) {
        copy = fed_json_copy(&scratch, dflt);
        fed_schema_prune(compiled, copy, unknown_in_default, &u);
        fed_schema_default(&scratch, compiled, copy);
        fed_schema_validate(compiled, copy, &own, NULL);
        for (size_t i = 0; i < own.n; i++) {
            struct fed_str at = own.items[i].field;

            fed_causes_add(w->causes, own.items[i].type,
                           at.n ? fed_arena_printf(w->a, "%.*s.%.*s", FED_STR_ARG(u.path), FED_STR_ARG(at)) : u.path,
                           none, "%s", "");
            w->causes->items[w->causes->n - 1].message = fed_arena_dup(w->a, own.items[i].message);
        }
    }
    fed_map_release(&types);
    fed_arena_release(&scratch);
}

/* --- the walk --- */

static void check_node(struct walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    const struct fed_json *extra = fed_json_find(s, "additionalProperties");

    if (!s || s->type != FED_JSON_OBJECT)
        return;
    if (++w->depth > MAX_DEPTH) {
        fed_causes_add(w->causes, FED_CAUSE_INVALID, path, none, "is nested too deeply");
        w->depth--;
        return;
    }
    check_forbidden(w, s, path);
    check_type(w, s, path, level);
    check_values(w, s, path);
    check_implicit(w, s, path, level);
    check_list_type(w, s, path);
    check_map_type(w, s, path);
    check_branches(w, s, s, path, path);
    if (level == ROOT && fed_json_find(s, "default") == NULL &&
        fed_json_at(s, "properties", "metadata", "default", NULL))
        forbidden(w, keyed(w, path, "properties", FED_STR("metadata")), "default",
                  "must not be set in top-level metadata");
    if (fed_json_find(s, "default") && fed_json_find(s, "default")->type != FED_JSON_NULL) /* null is none */
        check_default(w, s, path);
    FED_JSON_EACH(p, fed_json_find(s, "properties"))
        check_node(w, p, keyed(w, path, "properties", p->key), FIELD);
    check_node(w, fed_json_find(s, "items"), child(w, path, "items"), ITEM);
    if (extra && extra->type == FED_JSON_OBJECT)
        check_node(w, extra, child(w, path, "additionalProperties"), FIELD);
    w->depth--;
}

/* Last: whatever passed must compile. */
static void check_compiles(struct walk *w, const struct fed_json *s, struct fed_str path)
{
    struct fed_map types = {0};
    struct fed_arena scratch = {0};
    struct fed_err err = {0};
    struct fed_compiler c = {.arena = &scratch, .types = &types, .err = &err};

    if (fed_schema_compile(&c, s, FED_ARENA_NEW(&scratch, struct fed_schema)))
        fed_causes_add(w->causes, FED_CAUSE_INVALID, path, none, "%s", err.text);
    fed_map_release(&types);
    fed_arena_release(&scratch);
}

void fed_crd_schema_check(const struct fed_json *schema, struct fed_str path, struct fed_causes *causes,
                          void (*warn)(void *ud, const char *text), void *ud)
{
    struct walk w = {.causes = causes, .a = causes->arena, .warn = warn, .ud = ud};
    size_t before = causes->n;

    if (flag(schema, "nullable"))
        forbidden(&w, path, "nullable", "nullable cannot be true at the root");
    check_node(&w, schema, path, ROOT);
    if (causes->n == before)
        check_compiles(&w, schema, path);
    if (causes->n == before)
        fed_rules_check_schema(schema, path, causes);
}
