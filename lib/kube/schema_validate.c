/* SPDX-License-Identifier: Apache-2.0 */
/* schema_validate.c: an object against its schema: types, required members, value rules, lists without duplicates.
 *
 * Kinds of Kubernetes' own (their shapes have a model name) read as Go does: an absent number or boolean is zero, an
 * empty required string is missing. Custom kinds follow OpenAPI to the letter. */
#include <math.h>

#include "base/env.h"
#include "codec/base64.h"
#include "kube/format.h"
#include "kube/names.h"
#include "kube/quantity.h"
#include "kube/schema_priv.h"

/* About a second: RE2 in Kubernetes has no such bound, but nothing else is answered meanwhile. */
enum { MAX_PATTERN_STEPS = 200 * 1000 * 1000 };

struct check {
    const struct fed_schema *root;
    struct fed_causes *causes;
    struct fed_str *type_error;
    struct fed_str model; /* last named shape above the value, for Go's words on decoding errors */
};

static void check_value(struct check *c, const struct fed_schema *s, const struct fed_json *v);

static struct fed_str path_of(struct check *c, const struct fed_json *v, const char *member)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 4096);
    fed_json_path(v, &b);
    if (member) {
        if (b.n)
            fed_buf_addc(&b, '.');
        fed_buf_addz(&b, member);
    }
    out = fed_arena_dup(c->causes->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

/* The value as messages show it, cut to a sane length. */
static struct fed_str shown(struct check *c, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 1 << 22);
    fed_json_write(&b, v);
    out = fed_arena_dup(c->causes->arena, fed_str_head(fed_buf_str(&b), 1024));
    fed_buf_release(&b);
    return out;
}

static const char *json_type_name(const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_NULL:
        return "null";
    case FED_JSON_BOOL:
        return "bool";
    case FED_JSON_NUMBER:
        return "number";
    case FED_JSON_STRING:
        return "string";
    case FED_JSON_ARRAY:
        return "array";
    default:
        return "object";
    }
}

/* As OpenAPI calls the value's type, in quotes: what Kubernetes shows as the wrong value of custom kinds. */
static const char *openapi_type(const struct fed_json *v)
{
    if (v->type == FED_JSON_NUMBER)
        return fed_json_is_int(v, NULL) ? "\"integer\"" : "\"number\"";
    return v->type == FED_JSON_BOOL     ? "\"boolean\""
           : v->type == FED_JSON_NULL   ? "\"null\""
           : v->type == FED_JSON_STRING ? "\"string\""
           : v->type == FED_JSON_ARRAY  ? "\"array\""
                                        : "\"object\"";
}

static struct fed_str short_model(struct fed_str model)
{
    for (size_t i = model.n; i > 0; i--)
        if (model.p[i - 1] == '.')
            return fed_str_from(model, i);
    return model;
}

static struct fed_str go_type(struct check *c, const struct fed_schema *s)
{
    struct fed_arena *a = c->causes->arena;

    switch (s->shape->type) {
    case FED_SHAPE_INTEGER:
        return s->shape->format == FED_FORMAT_INT64 ? FED_STR("int64") : FED_STR("int32");
    case FED_SHAPE_NUMBER:
        return FED_STR("float64");
    case FED_SHAPE_BOOLEAN:
        return FED_STR("bool");
    case FED_SHAPE_STRING:
        return FED_STR("string");
    case FED_SHAPE_ARRAY: {
        struct fed_str item = s->shape->items ? go_type(c, s->shape->items) : FED_STR("interface {}");

        return fed_arena_printf(a, "[]%.*s", FED_STR_ARG(item));
    }
    case FED_SHAPE_OBJECT:
        if (s->shape->model.n) /* "core.v1.PodSpec" is v1.PodSpec to Go */
            return fed_str_from(s->shape->model, (size_t)fed_str_chr(s->shape->model, '.', 0) + 1);
        if (s->shape->additional)
            return fed_arena_printf(a, "map[string]%.*s", FED_STR_ARG(go_type(c, s->shape->additional)));
        return FED_STR("map[string]interface {}");
    default:
        return FED_STR("interface {}");
    }
}

/* "spec.template.spec.containers.ports": as Go's decoder names fields, by structs alone, without indices and keys of
 * maps. The schema of v. */
static const struct fed_schema *add_go_path(const struct fed_schema *root, const struct fed_json *v, struct fed_buf *b)
{
    const struct fed_schema *s;

    if (!v->parent)
        return root;
    s = add_go_path(root, v->parent, b);
    if (!s)
        return NULL;
    if (v->parent->type == FED_JSON_ARRAY)
        return s->shape->items;
    if (fed_shape_find(s->shape, v->key)) {
        if (b->n)
            fed_buf_addc(b, '.');
        fed_buf_add(b, v->key);
    }
    return fed_schema_property(s, v->key);
}

static struct fed_str go_path(struct check *c, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 4096);
    (void)add_go_path(c->root, v, &b);
    out = fed_arena_dup(c->causes->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void type_mismatch(struct check *c, const struct fed_schema *s, const struct fed_json *v, const char *want)
{
    struct fed_str go, path, model, number = {NULL, 0};

    if (!c->type_error || !c->model.n) {
        fed_causes_add(c->causes, FED_CAUSE_TYPE_INVALID, path_of(c, v, NULL), fed_str(openapi_type(v)),
                       "%.*s in body must be of type %s: %s", FED_STR_ARG(path_of(c, v, NULL)), want, openapi_type(v));
        return;
    }
    if (c->type_error->n)
        return;
    go = go_type(c, s);
    path = go_path(c, v);
    model = short_model(c->model);
    if (v->type == FED_JSON_NUMBER && fed_str_starts(go, FED_STR("int"))) /* of a number that does not fit */
        number = fed_str_head(v->s, 64);
    *c->type_error = fed_arena_printf(c->causes->arena,
                                      "json: cannot unmarshal %s%s%.*s into Go struct field %.*s.%.*s of type %.*s",
                                      json_type_name(v), number.n ? " " : "", FED_STR_ARG(number), FED_STR_ARG(model),
                                      FED_STR_ARG(path), FED_STR_ARG(go));
}

static void decode_error(struct check *c, const struct fed_json *v, const char *text)
{
    if (!c->type_error || !c->model.n)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v), "%s", text);
    else if (!c->type_error->n)
        *c->type_error = fed_arena_printf(c->causes->arena, "%s", text);
}

/* Where base64 text goes wrong: its first foreign byte, or its end. */
static size_t first_bad_byte(struct fed_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n", s.p[i]) || !s.p[i])
            return i;
    return s.n;
}

static void check_string_format(struct check *c, const struct fed_schema *s, const struct fed_json *v)
{
    int64_t n;
    struct fed_str bytes;

    if (s->shape->type == FED_SHAPE_INT_OR_STRING)
        return;
    if (!c->model.n && s->shape->format != FED_FORMAT_QUANTITY) {
        if (!fed_format_ok(s->shape->format_name, v->s))
            fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                           "%.*s in body must be of type %.*s: %.*s", FED_STR_ARG(path_of(c, v, NULL)),
                           FED_STR_ARG(s->shape->format_name), FED_STR_ARG(shown(c, v)));
        return;
    }
    switch (s->shape->format) {
    case FED_FORMAT_QUANTITY:
        if (fed_quantity_milli(v->s, &n))
            decode_error(c, v,
                         "quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
        break;
    case FED_FORMAT_TIME:
    case FED_FORMAT_MICRO_TIME:
        if (fed_time_parse(v->s, &n))
            decode_error(c, v,
                         fed_arena_printf(c->causes->arena,
                                          "parsing time \"%.*s\" as \"2006-01-02T15:04:05Z07:00\": cannot parse",
                                          FED_STR_ARG(fed_str_head(v->s, 64)))
                             .p);
        break;
    case FED_FORMAT_BYTE:
        if (fed_base64_decode(c->causes->arena, v->s, &bytes))
            decode_error(
                c, v,
                fed_arena_printf(c->causes->arena, "illegal base64 data at input byte %zu", first_bad_byte(v->s)).p);
        break;
    default:
        break;
    }
}

static bool format_number_ok(const struct fed_schema *s, const struct fed_json *v)
{
    int64_t n;

    if (!fed_json_is_int(v, &n))
        return false;
    return s->shape->format != FED_FORMAT_INT32 || (n >= INT32_MIN && n <= INT32_MAX);
}

/* True when the JSON type fits the schema. */
static bool check_type(struct check *c, const struct fed_schema *s, const struct fed_json *v)
{
    static const char *const names[] = {"any",     "object", "array",   "string",
                                        "integer", "number", "boolean", "integer or string"};
    bool ok = true;
    int64_t n;

    switch (s->shape->type) {
    case FED_SHAPE_ANY:
        break;
    case FED_SHAPE_OBJECT:
        ok = v->type == FED_JSON_OBJECT;
        break;
    case FED_SHAPE_ARRAY:
        ok = v->type == FED_JSON_ARRAY;
        break;
    case FED_SHAPE_STRING: /* a quantity may be written as a number */
        ok = v->type == FED_JSON_STRING || (v->type == FED_JSON_NUMBER && s->shape->format == FED_FORMAT_QUANTITY);
        break;
    case FED_SHAPE_INTEGER:
        /* Formats of numbers are hints in custom kinds. */
        ok = v->type == FED_JSON_NUMBER && (c->model.n ? format_number_ok(s, v) : fed_json_is_int(v, NULL));
        break;
    case FED_SHAPE_NUMBER:
        ok = v->type == FED_JSON_NUMBER;
        break;
    case FED_SHAPE_BOOLEAN:
        ok = v->type == FED_JSON_BOOL;
        break;
    case FED_SHAPE_INT_OR_STRING:
        ok = v->type == FED_JSON_STRING || fed_json_is_int(v, &n);
        if (ok && c->model.n && v->type == FED_JSON_NUMBER && (n < INT32_MIN || n > INT32_MAX))
            decode_error(c, v,
                         fed_arena_printf(c->causes->arena,
                                          "json: cannot unmarshal number %.*s into Go value of type int32",
                                          FED_STR_ARG(fed_str_head(v->s, 64)))
                             .p);
        break;
    }
    if (!ok && s->or_bool && v->type == FED_JSON_BOOL)
        return false;
    if (!ok && !(v->type == FED_JSON_NULL && (s->nullable || s->zero)))
        type_mismatch(c, s, v, names[s->shape->type]);
    return ok;
}

/* --- value rules --- */

static size_t utf8_length(struct fed_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void not_of_enum(struct check *c, const struct fed_rules *r, struct fed_str path, struct fed_str value)
{
    struct fed_buf b;

    if (r->wrong.n) {
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path, value, "%.*s", FED_STR_ARG(r->wrong));
        return;
    }
    fed_buf_init(&b, 4096);
    FED_JSON_EACH(it, r->enums) {
        if (b.n)
            fed_buf_addz(&b, ", ");
        fed_json_write(&b, it);
    }
    fed_causes_add(c->causes, FED_CAUSE_NOT_SUPPORTED, path, value, "supported values: %s", fed_buf_z(&b));
    fed_buf_release(&b);
}

static void check_enum(struct check *c, const struct fed_rules *r, const struct fed_json *v)
{
    FED_JSON_EACH(it, r->enums)
        if (fed_json_equal(it, v))
            return;
    not_of_enum(c, r, path_of(c, r->told_at_parent ? v->parent : v, NULL), shown(c, r->told_of_parent ? v->parent : v));
}

static void check_number(struct check *c, const struct fed_rules *r, const struct fed_json *v)
{
    double d = fed_json_double(v, 0);

    if (r->has_min && (d < r->min || (r->exclusive_min && d <= r->min)))
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body should be greater than %s%g", FED_STR_ARG(path_of(c, v, NULL)),
                       r->exclusive_min ? "" : "or equal to ", r->min);
    if (r->has_max && (d > r->max || (r->exclusive_max && d >= r->max)))
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body should be less than %s%g", FED_STR_ARG(path_of(c, v, NULL)),
                       r->exclusive_max ? "" : "or equal to ", r->max);
    if (r->multiple_of > 0 && fmod(d, r->multiple_of) != 0)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body should be a multiple of %g", FED_STR_ARG(path_of(c, v, NULL)), r->multiple_of);
}

static struct fed_str number_text(struct check *c, int64_t n)
{
    return fed_arena_printf(c->causes->arena, "%lld", (long long)n);
}

static void check_count(struct check *c, const struct fed_json *v, int64_t n, int64_t min, int64_t max,
                        const char *unit)
{
    struct fed_str path = path_of(c, v, NULL);

    if (n < min)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path, number_text(c, n),
                       "%.*s in body should have at least %lld %s", FED_STR_ARG(path), (long long)min, unit);
    if (max >= 0 && n > max)
        fed_causes_add(c->causes, FED_CAUSE_TOO_MANY, path, number_text(c, n), "must have at most %lld items",
                       (long long)max);
}

/* Of one text only the first mistake is told. */
static bool check_length(struct check *c, const struct fed_rules *r, const struct fed_json *v)
{
    int64_t n = (int64_t)utf8_length(v->s);

    if (r->max_length >= 0 && n > r->max_length)
        fed_causes_add(c->causes, FED_CAUSE_TOO_LONG, path_of(c, v, NULL), (struct fed_str){NULL, 0},
                       "may not be longer than %lld", (long long)r->max_length);
    else if (n < r->min_length)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body should be at least %lld chars long", FED_STR_ARG(path_of(c, v, NULL)),
                       (long long)r->min_length);
    else
        return true;
    return false;
}

static void check_text(struct check *c, const struct fed_rules *r, const struct fed_json *v)
{
    uint64_t steps = 0;
    int found;

    if (!check_length(c, r, v))
        return;
    found = r->regex ? fed_regex_find(r->regex, v->s, 0, NULL, NULL, &steps, MAX_PATTERN_STEPS) : 1;
    if (found < 0)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body is too long to be matched with '%.*s'", FED_STR_ARG(path_of(c, v, NULL)),
                       FED_STR_ARG(r->pattern));
    else if (!found)
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, v, NULL), shown(c, v),
                       "%.*s in body should match '%.*s'", FED_STR_ARG(path_of(c, v, NULL)), FED_STR_ARG(r->pattern));
}

/* Branches of anyOf, oneOf, not: how many hold, and what is wrong with the one that fits best (best NULL: not asked). */
static size_t count_holding(struct check *c, struct fed_schema *const *list, size_t n, const struct fed_json *v,
                            struct fed_causes *best)
{
    size_t holding = 0;

    for (size_t i = 0; i < n; i++) {
        struct fed_causes mine = {.arena = c->causes->arena};
        struct check inner = {.causes = &mine};

        check_value(&inner, list[i], v);
        holding += mine.n == 0;
        if (best && mine.n && (!best->n || mine.n < best->n))
            *best = mine;
    }
    return holding;
}

/* Kubernetes has no place for these: "<nil>". */
static void combination(struct check *c, const struct fed_json *v, const char *what, const struct fed_causes *best)
{
    fed_causes_add(c->causes, FED_CAUSE_INVALID, FED_STR("<nil>"), FED_STR("\"\""), "\"%.*s\" %s",
                   FED_STR_ARG(path_of(c, v, NULL)), what);
    for (size_t i = 0; best && i < best->n; i++)
        fed_causes_keep(c->causes, &best->items[i]);
}

static void check_branches(struct check *c, const struct fed_rules *r, const struct fed_json *v)
{
    struct fed_causes any = {0}, one = {0};
    size_t before = c->causes->n, n, holding = 0;

    for (size_t i = 0; i < r->n_all_of; i++) {
        n = c->causes->n;
        check_value(c, r->all_of[i], v);
        holding += c->causes->n == n;
    }
    if (c->causes->n > before)
        combination(c, v,
                    holding ? "must validate all the schemas (allOf)"
                            : "must validate all the schemas (allOf). None validated",
                    NULL);
    if (r->n_any_of && !count_holding(c, r->any_of, r->n_any_of, v, &any))
        combination(c, v, "must validate at least one schema (anyOf)", &any);
    n = r->n_one_of ? count_holding(c, r->one_of, r->n_one_of, v, &one) : 1;
    if (n == 0)
        combination(c, v, "must validate one and only one schema (oneOf). Found none valid", &one);
    else if (n > 1)
        combination(c, v,
                    fed_arena_printf(c->causes->arena,
                                     "must validate one and only one schema (oneOf). Found %zu valid alternatives", n)
                        .p,
                    NULL);
    if (r->not_of && count_holding(c, &r->not_of, 1, v, NULL))
        combination(c, v, "must not validate the schema (not)", NULL);
}

static void check_rules(struct check *c, const struct fed_schema *s, const struct fed_json *v, bool native)
{
    const struct fed_rules *r = s->shape->rules;

    /* Empty is none where Go has no pointer; as an item of a list it is a value. */
    if (r->enums && !(native && v->type == FED_JSON_STRING && !v->s.n && !s->pb_ptr && v->key.p))
        check_enum(c, r, v);
    if (v->type == FED_JSON_NUMBER)
        check_number(c, r, v);
    else if (v->type == FED_JSON_STRING)
        check_text(c, r, v);
    else if (v->type == FED_JSON_ARRAY)
        check_count(c, v, v->n, r->min_items, r->max_items, "items");
    else if (v->type == FED_JSON_OBJECT)
        check_count(c, v, v->n, r->min_props, r->max_props, "properties");
    for (size_t i = 0; v->type == FED_JSON_OBJECT && i < r->n_required; i++)
        if (!fed_json_find_str(v, r->required[i]))
            fed_causes_add(c->causes, FED_CAUSE_REQUIRED, path_of(c, v, r->required[i].p), (struct fed_str){NULL, 0},
                           "%s", "");
    check_branches(c, r, v);
}

/* --- lists --- */

static int cmp_texts(const void *a, const void *b)
{
    return fed_str_cmp(*(const struct fed_str *)a, *(const struct fed_str *)b);
}

/* The key values of a list-map item as Go shows a map, or the item itself of a set. */
static void item_key(const struct fed_schema *list, const struct fed_json *item, struct fed_buf *b)
{
    struct fed_str keys[32];

    fed_buf_reset(b);
    if (list->list_type == FED_LIST_SET) {
        fed_json_write(b, item);
        return;
    }
    memcpy(keys, list->map_keys, list->n_map_keys * sizeof(*keys));
    qsort(keys, list->n_map_keys, sizeof(*keys), cmp_texts);
    fed_buf_addz(b, "map[string]interface {}{");
    for (size_t i = 0; i < list->n_map_keys; i++) {
        const struct fed_json *v = fed_json_find_str(item, keys[i]);
        const struct fed_prop *p = fed_shape_find(list->shape->items->shape, keys[i]);

        if (!v && p)
            v = p->schema.dflt;
        if (i)
            fed_buf_addz(b, ", ");
        fed_json_write_string(b, keys[i]);
        fed_buf_addc(b, ':');
        if (v)
            fed_json_write(b, v);
        else
            fed_buf_addz(b, "interface {}(nil)");
    }
    fed_buf_addc(b, '}');
}

static void check_duplicates(struct check *c, const struct fed_schema *s, const struct fed_json *v)
{
    struct fed_map seen = {0};
    struct fed_buf b;

    /* Kubernetes' own kinds take duplicates of ports and environment variables; their hooks know which matter. */
    if (c->model.n || s->list_type == FED_LIST_ATOMIC || v->n < 2 || !s->shape->items)
        return;
    fed_buf_init(&b, 1 << 16);
    FED_JSON_EACH(item, v) {
        item_key(s, item, &b);
        if (b.failed)
            continue;
        if (fed_map_has(&seen, fed_buf_str(&b)))
            fed_causes_add(c->causes, FED_CAUSE_DUPLICATE, path_of(c, item, NULL),
                           fed_arena_dup(c->causes->arena, fed_str_head(fed_buf_str(&b), 256)), "%s", "");
        fed_map_set(&seen, fed_buf_str(&b), NULL);
    }
    fed_buf_release(&b);
    fed_map_release(&seen);
}

/* --- objects --- */

static bool missing(const struct check *c, const struct fed_prop *p, const struct fed_json *v)
{
    if (!c->model.n)
        return !v || (v->type == FED_JSON_NULL && !p->schema.nullable);
    if (p->schema.shape->type == FED_SHAPE_INTEGER && !p->schema.pb)
        return !v;
    return !v || v->type == FED_JSON_NULL ||
           (v->type == FED_JSON_STRING && !v->s.n && p->schema.shape->type == FED_SHAPE_STRING);
}

/* An object inside: it needs what every object needs, but no name. */
static void check_embedded(struct check *c, const struct fed_json *v)
{
    const struct fed_json *version = fed_json_find(v, "apiVersion"), *kind = fed_json_find(v, "kind");
    struct fed_arena *a = c->causes->arena;
    struct fed_str text = fed_json_str(version);
    ptrdiff_t slash = fed_str_chr(text, '/', 0);
    const char *why;

    if (version && (!text.n || (slash >= 0 && fed_str_chr(text, '/', (size_t)slash + 1) >= 0)))
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, version, NULL), shown(c, version), "%s",
                       text.n ? fed_arena_printf(a, "unexpected GroupVersion string: %.*s", FED_STR_ARG(text)).p
                              : "must not be empty");
    text = fed_json_str(kind);
    why = text.n ? fed_name_check_1035(fed_name_lower(a, text)) : NULL;
    if (kind && (!text.n || why))
        fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, kind, NULL), shown(c, kind), "%s%s",
                       why ? "may have mixed case, but should otherwise match: " : "", why ? why : "must not be empty");
    FED_JSON_EACH(l, fed_json_at(v, "metadata", "labels", NULL)) {
        if ((why = fed_name_check_qualified(l->key)))
            fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, l->parent, NULL),
                           fed_arena_printf(a, "\"%.*s\"", FED_STR_ARG(l->key)), "%s", why);
        if ((why = fed_name_check_label_value(fed_json_str(l))))
            fed_causes_add(c->causes, FED_CAUSE_INVALID, path_of(c, l->parent, NULL), shown(c, l), "%s", why);
    }
}

/* The words of the document for a member that is missing; a number that is zero is. */
static bool told_missing(struct check *c, const struct fed_prop *p, const struct fed_json *obj,
                         const struct fed_json *v)
{
    static const enum fed_cause_type types[] = {FED_CAUSE_REQUIRED, FED_CAUSE_INVALID, FED_CAUSE_NOT_SUPPORTED,
                                                FED_CAUSE_NOT_FOUND};
    struct fed_str words = p->schema.missing;

    if (!words.n)
        return false;
    if (!missing(c, p, v) && !(v->type == FED_JSON_NUMBER && !p->schema.pb_ptr && fed_json_int(v, 1) == 0))
        return true;
    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++)
        if (fed_cause_begins(types[i], &words))
            fed_causes_add(c->causes, types[i], path_of(c, obj, p->name.p), (struct fed_str){NULL, 0}, "%.*s",
                           FED_STR_ARG(words));
    return true;
}

static void check_object(struct check *c, const struct fed_schema *s, const struct fed_json *v)
{
    const struct fed_shape *shape = s->shape;

    /* Owner references are checked with the metadata, in other words than "Required value". */
    bool elsewhere = fed_str_is(c->model, "meta.v1.OwnerReference");
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, v);
    for (uint32_t i = 0; i < shape->n_props; i++) {
        const struct fed_prop *p = &shape->props[i];

        if (c->model.n && told_missing(c, p, v, fed_json_index_find(&ix, v, p->name)))
            continue;
        if (!p->schema.required || p->schema.zero || elsewhere || !missing(c, p, fed_json_index_find(&ix, v, p->name)))
            continue;
        if (p->schema.shape->rules && p->schema.shape->rules->wrong.p)
            not_of_enum(c, p->schema.shape->rules, path_of(c, v, p->name.p), FED_STR("\"\""));
        else
            fed_causes_add(c->causes, FED_CAUSE_REQUIRED, path_of(c, v, p->name.p), (struct fed_str){NULL, 0}, "%s",
                           shape->embedded ? "must not be empty" : "");
    }
    fed_json_index_release(&ix);
    if (shape->embedded && !c->model.n)
        check_embedded(c, v);
    FED_JSON_EACH(child, v) {
        const struct fed_schema *cs = fed_schema_property(s, child->key);

        if (cs)
            check_value(c, cs, child);
    }
}

static void check_value(struct check *c, const struct fed_schema *s, const struct fed_json *v)
{
    const struct fed_shape *shape = s->shape;
    struct fed_str outer = c->model;
    bool native;

    if (!check_type(c, s, v))
        return;
    if (shape->model.n)
        c->model = shape->model;
    native = c->model.n != 0;
    if (shape->rules)
        check_rules(c, s, v, native);
    if (v->type == FED_JSON_STRING)
        check_string_format(c, s, v);
    if (v->type == FED_JSON_OBJECT) {
        check_object(c, s, v);
    } else if (v->type == FED_JSON_ARRAY && shape->items) {
        FED_JSON_EACH(item, v)
            check_value(c, shape->items, item);
        check_duplicates(c, s, v);
    }
    c->model = (struct fed_str){NULL, 0};
    if (shape->also)
        check_value(c, shape->also, v);
    c->model = outer;
}

void fed_schema_validate(const struct fed_schema *s, const struct fed_json *obj, struct fed_causes *causes,
                         struct fed_str *type_error)
{
    struct check c = {.root = s, .causes = causes, .type_error = type_error};

    if (type_error)
        *type_error = (struct fed_str){NULL, 0};
    if (s && obj)
        check_value(&c, s, obj);
}
