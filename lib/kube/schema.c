/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c: looking into compiled schemas, and what is done to objects with them: defaults and pruning. */
#include "kube/schema.h"

#include "kube/schema_priv.h"

const struct fed_prop *fed_shape_find(const struct fed_shape *shape, struct fed_str name)
{
    size_t lo = 0, hi = shape->n_props;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = fed_str_cmp(shape->props[mid].name, name);

        if (c == 0)
            return &shape->props[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const struct fed_schema *fed_schema_property(const struct fed_schema *s, struct fed_str name)
{
    const struct fed_prop *p;

    if (!s)
        return NULL;
    p = fed_shape_find(s->shape, name);
    return p ? &p->schema : s->shape->additional;
}

const struct fed_schema *fed_schema_items(const struct fed_schema *s)
{
    return s ? s->shape->items : NULL;
}

struct fed_json *fed_path_find(const struct fed_json *obj, const char *path)
{
    struct fed_str rest = fed_str(path), name;
    const struct fed_json *v = obj;

    while (v && rest.p && fed_str_cut(&rest, '.', &name))
        v = fed_json_find_str(v, name);
    return (struct fed_json *)v;
}

/* --- defaults --- */

static bool prop_has_default(struct fed_prop *p)
{
    return p->schema.dflt || p->schema.dflt_from.n || fed_shape_has_defaults(p->schema.shape);
}

/* A shape that refers to itself answers "yes" while being computed: the walk then ends with the object's depth. */
bool fed_shape_has_defaults(struct fed_shape *shape)
{
    bool yes = false;

    if (shape->has_defaults == 3)
        return true;
    if (shape->has_defaults)
        return shape->has_defaults == 2;
    shape->has_defaults = 3;
    for (uint32_t i = 0; i < shape->n_props && !yes; i++)
        yes = prop_has_default(&shape->props[i]);
    if (!yes && shape->items)
        yes = shape->items->dflt || fed_shape_has_defaults(shape->items->shape);
    if (!yes && shape->additional)
        yes = shape->additional->dflt || fed_shape_has_defaults(shape->additional->shape);
    shape->has_defaults = yes ? 2 : 1;
    return yes;
}

/* cond: "type=A|B". The sibling must be one of the values. */
static bool condition_holds(const struct fed_json *obj, struct fed_str cond)
{
    struct fed_str key, alt;
    struct fed_str value;

    if (!fed_str_cut(&cond, '=', &key))
        return false;
    value = fed_json_str(fed_json_find_str(obj, key));
    while (cond.p && fed_str_cut(&cond, '|', &alt))
        if (fed_str_eq(alt, value))
            return true;
    return false;
}

static void add_default(struct fed_arena *a, const struct fed_prop *p, struct fed_json *obj,
                        const struct fed_json_index *ix)
{
    const struct fed_schema *s = &p->schema;
    const struct fed_json *from = s->dflt;
    struct fed_json *have = ix ? fed_json_index_find(ix, obj, p->name) : fed_json_find_str(obj, p->name);

    if (have && (have->type != FED_JSON_NULL || s->nullable))
        return;
    if (s->dflt_if.n && !condition_holds(obj, s->dflt_if))
        return;
    if (s->dflt_from.n)
        from = fed_json_find_str(obj, s->dflt_from);
    if (from && have) {
        fed_json_replace(have, fed_json_copy(a, from));
        have->key = p->name; /* the index still points there */
    } else if (from)
        fed_json_add(obj, p->name, fed_json_copy(a, from));
}

static void default_object(struct fed_arena *a, const struct fed_shape *shape, struct fed_json *obj)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, obj);
    for (uint32_t i = 0; i < shape->n_props; i++)
        if (shape->props[i].schema.dflt && !shape->props[i].schema.dflt_if.n)
            add_default(a, &shape->props[i], obj, &ix);
    fed_json_index_release(&ix);
    /* Conditional defaults look at siblings, which may themselves be defaulted: they come second. */
    for (uint32_t i = 0; shape->has_ifs && i < shape->n_props; i++)
        if (shape->props[i].schema.dflt_if.n || shape->props[i].schema.dflt_from.n)
            add_default(a, &shape->props[i], obj, NULL);
}

void fed_schema_default(struct fed_arena *a, const struct fed_schema *s, struct fed_json *obj)
{
    struct fed_shape *shape;

    if (!s || !obj || !fed_shape_has_defaults(s->shape))
        return;
    shape = s->shape;
    if (obj->type == FED_JSON_OBJECT) {
        default_object(a, shape, obj);
        FED_JSON_EACH(child, obj)
            fed_schema_default(a, fed_schema_property(s, child->key), child);
    } else if (obj->type == FED_JSON_ARRAY) {
        FED_JSON_EACH(child, obj)
            fed_schema_default(a, shape->items, child);
    }
}

/* --- pruning --- */

struct prune {
    void (*unknown)(void *ud, const char *path, const struct fed_json *value);
    void *ud;
    bool omit; /* what Go does not write */
};

/* In Kubernetes' structures lists and maps without anything in them are not written, nor are values that are zero, but
 * where "not there" is another value (pointers). An empty list of owners resets them, so it stays until it has. */
static bool is_omitted(const struct fed_schema *s, const struct fed_json *v)
{
    int64_t n = 1;

    if (!s->pb) /* no structure of Kubernetes' own */
        return false;
    switch (v->type) {
    case FED_JSON_ARRAY:
        return !v->n && s->shape->type == FED_SHAPE_ARRAY && !fed_str_is(v->key, "managedFields");
    case FED_JSON_OBJECT:
        return !v->n && s->shape->type == FED_SHAPE_OBJECT && s->shape->additional && !s->shape->n_props;
    default:
        break;
    }
    if (s->pb_ptr || (s->zero && !s->dflt) || s->required)
        return false;
    switch (s->shape->type) {
    case FED_SHAPE_STRING:
        return v->type == FED_JSON_STRING && !v->s.n;
    case FED_SHAPE_BOOLEAN:
        return v->type == FED_JSON_BOOL && !v->boolean;
    case FED_SHAPE_INTEGER:
        return v->type == FED_JSON_NUMBER && fed_json_is_int(v, &n) && n == 0;
    default:
        return false;
    }
}

static void report_unknown(const struct prune *p, const struct fed_json *child)
{
    struct fed_buf path;

    if (!p->unknown)
        return;
    fed_buf_init(&path, 4096);
    fed_json_path(child, &path);
    p->unknown(p->ud, fed_buf_z(&path), child);
    fed_buf_release(&path);
}

static void prune_value(const struct prune *p, const struct fed_schema *s, struct fed_json *v);

/* Null as an item of a list, or as a value of a map, is the zero value there. */
static void fill_null(const struct fed_schema *s, struct fed_json *v)
{
    if (s->shape->type == FED_SHAPE_OBJECT && s->shape->model.n) {
        v->type = FED_JSON_OBJECT;
    } else if (s->shape->type == FED_SHAPE_STRING && s->shape->format == FED_FORMAT_NONE) {
        v->type = FED_JSON_STRING;
        v->s = FED_STR("");
    }
}

static void prune_object(const struct prune *p, const struct fed_schema *s, struct fed_json *v)
{
    const struct fed_shape *shape = s->shape;

    FED_JSON_EACH_SAFE(child, v) {
        const struct fed_schema *cs = fed_schema_property(s, child->key);

        if (!cs) {
            if (shape->preserve)
                continue;
            if (child->type != FED_JSON_NULL)
                report_unknown(p, child);
            fed_json_remove(child);
        } else if (child->type == FED_JSON_NULL && !cs->nullable && cs->shape->type != FED_SHAPE_ANY &&
                   cs != shape->additional) {
            fed_json_remove(child);
        } else {
            if (child->type == FED_JSON_NULL && p->omit && cs == shape->additional)
                fill_null(cs, child);
            prune_value(p, cs, child);
            if (p->omit && cs != shape->additional && is_omitted(cs, child))
                fed_json_remove(child);
        }
    }
}

static void prune_value(const struct prune *p, const struct fed_schema *s, struct fed_json *v)
{
    const struct fed_shape *shape = s->shape;

    if (v->type == FED_JSON_OBJECT && shape->type == FED_SHAPE_OBJECT) {
        if (shape->n_props || shape->additional || !shape->preserve)
            prune_object(p, s, v);
    } else if (v->type == FED_JSON_ARRAY && shape->items) {
        FED_JSON_EACH(child, v) {
            if (child->type == FED_JSON_NULL && p->omit)
                fill_null(shape->items, child);
            prune_value(p, shape->items, child);
        }
    }
}

void fed_schema_prune(const struct fed_schema *s, struct fed_json *obj,
                      void (*unknown)(void *ud, const char *path, const struct fed_json *value), void *ud)
{
    struct prune p = {unknown, ud, false};

    if (s && obj)
        prune_value(&p, s, obj);
}

void fed_kind_prune(const struct fed_kind_version *v, struct fed_json *obj,
                    void (*unknown)(void *ud, const char *path, const struct fed_json *value), void *ud)
{
    struct prune p = {unknown, ud, !v->kind->custom};

    if (obj)
        prune_value(&p, v->schema, obj);
}

void fed_schema_drop_nulls(const struct fed_schema *s, struct fed_json *obj)
{
    if (!s)
        return;
    FED_JSON_EACH_SAFE(child, obj) {
        const struct fed_schema *cs = child->key.p ? fed_schema_property(s, child->key) : s->shape->items;

        if (child->type == FED_JSON_NULL && child->key.p && cs && !cs->nullable)
            fed_json_remove(child);
        else
            fed_schema_drop_nulls(cs, child);
    }
}
