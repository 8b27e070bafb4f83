/* SPDX-License-Identifier: Apache-2.0 */
/* rules_type.c: schemas as types of expressions. */
#include "kube/rules.h"

static bool flag(const struct fed_json *s, const char *name)
{
    return fed_json_bool(fed_json_find(s, name), false);
}

static int by_name(const void *a, const void *b)
{
    return fed_str_cmp(((const struct fed_cel_field *)a)->name, ((const struct fed_cel_field *)b)->name);
}

static struct fed_cel_type *make(struct fed_arena *a, enum fed_cel_kind kind)
{
    struct fed_cel_type *t = FED_ARENA_NEW(a, struct fed_cel_type);

    t->kind = kind;
    return t;
}

static bool is_child(const struct fed_json *s)
{
    return s && s->type == FED_JSON_OBJECT;
}

static const struct fed_cel_type *list_type(struct fed_arena *a, const struct fed_json *s)
{
    const struct fed_json *items = fed_json_find(s, "items"), *keys = fed_json_find(s, "x-kubernetes-list-map-keys");
    const struct fed_cel_type *elem = is_child(items) ? fed_rules_type(a, items, false) : NULL;
    struct fed_str kind = fed_json_find_text(s, "x-kubernetes-list-type");
    struct fed_cel_type *t;
    struct fed_str *names;

    if (!elem)
        return NULL;
    t = make(a, FED_CEL_LIST);
    t->elem = elem;
    if (fed_str_is(kind, "set"))
        t->list = FED_CEL_LIST_SET;
    if (!fed_str_is(kind, "map") || !keys)
        return t;
    t->list = FED_CEL_LIST_KEYED;
    t->list_keys = names = FED_ARENA_ARRAY(a, struct fed_str, keys->n);
    FED_JSON_EACH(k, keys)
        names[t->n_list_keys++] = fed_arena_dup(a, fed_json_str(k));
    return t;
}

static const struct fed_cel_type *map_type(struct fed_arena *a, const struct fed_json *values)
{
    const struct fed_cel_type *elem = fed_rules_type(a, values, false);
    struct fed_cel_type *t;

    if (!elem)
        return NULL;
    t = make(a, FED_CEL_MAP);
    t->elem = elem;
    t->key = fed_cel_plain(FED_CEL_STRING);
    return t;
}

static void add_field(struct fed_arena *a, struct fed_cel_field *fields, uint32_t *n, struct fed_str key,
                      const struct fed_cel_type *type)
{
    struct fed_str name;

    if (type && fed_cel_escape(a, key, &name))
        fields[(*n)++] = (struct fed_cel_field){name, fed_arena_dup(a, key), type};
}

/* Of metadata rules see what may never change. */
static const struct fed_cel_type *metadata_type(struct fed_arena *a)
{
    struct fed_cel_type *t = make(a, FED_CEL_OBJECT);
    struct fed_cel_field *fields = FED_ARENA_ARRAY(a, struct fed_cel_field, 2);

    add_field(a, fields, &t->n_fields, FED_STR("generateName"), fed_cel_plain(FED_CEL_STRING));
    add_field(a, fields, &t->n_fields, FED_STR("name"), fed_cel_plain(FED_CEL_STRING));
    t->fields = fields;
    return t;
}

static const struct fed_cel_type *object_type(struct fed_arena *a, const struct fed_json *s, bool root)
{
    const struct fed_json *props = fed_json_find(s, "properties");
    struct fed_cel_type *t = make(a, FED_CEL_OBJECT);
    struct fed_cel_field *fields = FED_ARENA_ARRAY(a, struct fed_cel_field, (props ? props->n : 0) + 3);

    FED_JSON_EACH(p, props) {
        if (root && (fed_str_is(p->key, "apiVersion") || fed_str_is(p->key, "kind") || fed_str_is(p->key, "metadata")))
            continue;
        add_field(a, fields, &t->n_fields, p->key, fed_rules_type(a, p, false));
    }
    if (root) {
        add_field(a, fields, &t->n_fields, FED_STR("apiVersion"), fed_cel_plain(FED_CEL_STRING));
        add_field(a, fields, &t->n_fields, FED_STR("kind"), fed_cel_plain(FED_CEL_STRING));
        add_field(a, fields, &t->n_fields, FED_STR("metadata"), metadata_type(a));
    }
    qsort(fields, t->n_fields, sizeof(*fields), by_name);
    t->fields = fields;
    return t;
}

static const struct fed_cel_type *string_type(struct fed_arena *a, const struct fed_json *s)
{
    struct fed_str format = fed_json_find_text(s, "format");
    struct fed_cel_type *t;

    if (fed_str_is(format, "byte"))
        return fed_cel_plain(FED_CEL_BYTES);
    if (fed_str_is(format, "duration"))
        return fed_cel_plain(FED_CEL_DURATION);
    if (fed_str_is(format, "date-time"))
        return fed_cel_plain(FED_CEL_TIMESTAMP);
    if (!fed_str_is(format, "date"))
        return fed_cel_plain(FED_CEL_STRING);
    t = make(a, FED_CEL_TIMESTAMP);
    t->date = true;
    return t;
}

const struct fed_cel_type *fed_rules_type(struct fed_arena *a, const struct fed_json *schema, bool root)
{
    struct fed_str type = fed_json_find_text(schema, "type");
    const struct fed_json *extra = fed_json_find(schema, "additionalProperties");

    if (!is_child(schema))
        return NULL;
    if (flag(schema, "x-kubernetes-int-or-string"))
        return fed_cel_plain(FED_CEL_DYN);
    if (fed_str_is(type, "array"))
        return list_type(a, schema);
    if (fed_str_is(type, "object") && is_child(extra))
        return map_type(a, extra);
    if (fed_str_is(type, "object"))
        return object_type(a, schema, root || flag(schema, "x-kubernetes-embedded-resource"));
    if (fed_str_is(type, "string"))
        return string_type(a, schema);
    if (fed_str_is(type, "boolean"))
        return fed_cel_plain(FED_CEL_BOOL);
    if (fed_str_is(type, "integer"))
        return fed_cel_plain(FED_CEL_INT);
    return fed_str_is(type, "number") ? fed_cel_plain(FED_CEL_DOUBLE) : NULL;
}
