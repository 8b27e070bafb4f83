/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/openapi_model.h"

enum { MAX_DEPTH = 64 };

static struct fed_str model_ref(struct fed_models *m, const struct fed_shape *shape);

/* "core.v1.PodSpec" -> "io.k8s.api.core.v1.PodSpec", with the packages of apimachinery where Kubernetes has them. */
static struct fed_str model_name(struct fed_arena *a, struct fed_str model)
{
    static const struct {
        const char *prefix, *package;
    } places[] = {{"meta.", "io.k8s.apimachinery.pkg.apis."},
                  {"resource.", "io.k8s.apimachinery.pkg.api."},
                  {"intstr.", "io.k8s.apimachinery.pkg.util."},
                  {"runtime.", "io.k8s.apimachinery.pkg."}};

    for (size_t i = 0; i < FED_ARRAY_LEN(places); i++)
        if (fed_str_starts(model, fed_str(places[i].prefix)))
            return fed_arena_printf(a, "%s%.*s", places[i].package, FED_STR_ARG(model));
    return fed_arena_printf(a, "io.k8s.api.%.*s", FED_STR_ARG(model));
}

/* "multicluster.x-k8s.io" -> "io.x-k8s.multicluster" */
static struct fed_str reversed(struct fed_arena *a, struct fed_str group)
{
    struct fed_buf b = {0};
    struct fed_str out;
    size_t end = group.n;

    for (size_t i = group.n; i-- > 0;) {
        if (group.p[i] != '.' && i != 0)
            continue;
        if (b.n)
            fed_buf_addc(&b, '.');
        fed_buf_add(&b, fed_str_n(group.p + (group.p[i] == '.' ? i + 1 : i), end - (group.p[i] == '.' ? i + 1 : i)));
        end = i;
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void put_text(struct fed_models *m, struct fed_json *o, const char *key, struct fed_str s)
{
    if (s.n)
        fed_json_set(o, key, fed_json_new_str(m->arena, s));
}

static void put_number(struct fed_models *m, struct fed_json *o, const char *key, double d)
{
    struct fed_str text = fed_arena_printf(m->arena, "%.15g", d);

    if (strtod(text.p, NULL) != d)
        text = fed_arena_printf(m->arena, "%.17g", d);
    fed_json_set(o, key, fed_json_new_number(m->arena, text));
}

static void put_count(struct fed_models *m, struct fed_json *o, const char *key, int64_t n, int64_t none)
{
    if (n != none)
        fed_json_set(o, key, fed_json_new_int(m->arena, n));
}

static void put_rules(struct fed_models *m, struct fed_json *o, const struct fed_rules *r)
{
    if (!r)
        return;
    if (r->has_min)
        put_number(m, o, "minimum", r->min);
    if (r->has_max)
        put_number(m, o, "maximum", r->max);
    put_count(m, o, "minLength", r->min_length, 0);
    put_count(m, o, "maxLength", r->max_length, -1);
    put_count(m, o, "minItems", r->min_items, 0);
    put_count(m, o, "maxItems", r->max_items, -1);
    put_text(m, o, "pattern", r->pattern);
    if (r->enums)
        fed_json_set(o, "enum", fed_json_copy(m->arena, r->enums));
    if (r->exclusive_min)
        fed_json_set(o, "exclusiveMinimum", fed_json_new_bool(m->arena, true));
    if (r->exclusive_max)
        fed_json_set(o, "exclusiveMaximum", fed_json_new_bool(m->arena, true));
    if (r->multiple_of > 0)
        put_number(m, o, "multipleOf", r->multiple_of);
    put_count(m, o, "minProperties", r->min_props, 0);
    put_count(m, o, "maxProperties", r->max_props, -1);
}

static const char *type_name(const struct fed_shape *s)
{
    static const char *const names[] = {"", "object", "array", "string", "integer", "number", "boolean", "string"};

    return names[s->type];
}

static struct fed_json *schema_of(struct fed_models *m, const struct fed_schema *s, int depth);

static void put_members(struct fed_models *m, struct fed_json *o, const struct fed_shape *shape, int depth)
{
    struct fed_json *props, *required = NULL;

    if (!shape->n_props)
        return;
    props = fed_json_object(m->arena);
    for (uint32_t i = 0; i < shape->n_props; i++) {
        const struct fed_prop *p = &shape->props[i];

        fed_json_set_str(props, p->name, schema_of(m, &p->schema, depth + 1));
        if (!p->schema.required)
            continue;
        if (!required)
            required = fed_json_ensure_array(m->arena, o, "required");
        fed_json_push(required, fed_json_new_str(m->arena, p->name));
    }
    fed_json_set(o, "properties", props);
}

/* A number or a text, of a custom kind: v2 has only the format to say so. */
static bool is_custom_either(const struct fed_shape *shape)
{
    return shape->type == FED_SHAPE_INT_OR_STRING && !shape->model.n && !shape->format_name.n;
}

static void put_either(struct fed_models *m, struct fed_json *o)
{
    fed_json_set(o, "x-kubernetes-int-or-string", fed_json_new_bool(m->arena, true));
}

static void put_branches(struct fed_models *m, struct fed_json *o, const char *key, struct fed_schema *const *branches,
                         size_t n, int depth)
{
    struct fed_json *list = n ? fed_json_set(o, key, fed_json_array(m->arena)) : NULL;

    m->branches++;
    for (size_t i = 0; i < n; i++)
        fed_json_push(list, schema_of(m, branches[i], depth + 1));
    m->branches--;
}

/* What a definition says with allOf, anyOf, oneOf, not; only v3 has words for it. */
static void put_logic(struct fed_models *m, struct fed_json *o, const struct fed_rules *r, int depth)
{
    struct fed_json *required;

    if (!m->v3 || !r)
        return;
    put_branches(m, o, "allOf", r->all_of, r->n_all_of, depth);
    put_branches(m, o, "anyOf", r->any_of, r->n_any_of, depth);
    put_branches(m, o, "oneOf", r->one_of, r->n_one_of, depth);
    m->branches++;
    if (r->not_of)
        fed_json_set(o, "not", schema_of(m, r->not_of, depth + 1));
    m->branches--;
    required = r->n_required ? fed_json_ensure_array(m->arena, o, "required") : NULL;
    for (size_t i = 0; i < r->n_required; i++)
        fed_json_push(required, fed_json_new_str(m->arena, r->required[i]));
}

/* Where anyOf says that it is a number or a text, the type would contradict it. */
static bool says_either(const struct fed_models *m, const struct fed_shape *shape)
{
    return m->v3 && is_custom_either(shape) && shape->rules && shape->rules->n_any_of;
}

static struct fed_json *shape_body(struct fed_models *m, const struct fed_shape *shape, int depth)
{
    struct fed_json *o = fed_json_object(m->arena);

    put_text(m, o, "description", shape->description);
    if (*type_name(shape) && !says_either(m, shape) && !(m->branches && (shape->n_props || shape->items)))
        fed_json_set(o, "type", fed_json_new_strz(m->arena, type_name(shape)));
    if (shape->format != FED_FORMAT_QUANTITY)
        put_text(m, o, "format", shape->format_name);
    if (shape->type == FED_SHAPE_INT_OR_STRING && !shape->format_name.n && !says_either(m, shape))
        put_text(m, o, "format", FED_STR("int-or-string"));
    put_rules(m, o, shape->rules);
    if (depth > MAX_DEPTH)
        return o;
    put_logic(m, o, shape->rules, depth);
    if (is_custom_either(shape))
        put_either(m, o);
    if (shape->embedded)
        fed_json_set(o, "x-kubernetes-embedded-resource", fed_json_new_bool(m->arena, true));
    if (shape->preserve && !m->branches && !shape->model.n &&
        (shape->type == FED_SHAPE_OBJECT || shape->type == FED_SHAPE_ANY)) {
        fed_json_set(o, "x-kubernetes-preserve-unknown-fields", fed_json_new_bool(m->arena, true));
        /* v2 knows no "these and others": kubectl would refuse the others. */
        if (!m->v3)
            return o;
    }
    put_members(m, o, shape, depth);
    if (shape->items)
        fed_json_set(o, "items", schema_of(m, shape->items, depth + 1));
    if (shape->additional)
        fed_json_set(o, "additionalProperties", schema_of(m, shape->additional, depth + 1));
    if (shape->preserve && !m->branches && shape->type == FED_SHAPE_OBJECT)
        fed_json_set(o, "x-kubernetes-preserve-unknown-fields", fed_json_new_bool(m->arena, true));
    if (shape->type == FED_SHAPE_ARRAY && !shape->items)
        fed_json_set(o, "items", fed_json_object(m->arena));
    return o;
}

/* What the place says, beside the shape or the reference. */
static void put_use(struct fed_models *m, struct fed_json *o, const struct fed_schema *s)
{
    put_text(m, o, "description", s->description);
    if (s->nullable && m->v3)
        fed_json_set(o, "nullable", fed_json_new_bool(m->arena, true));
    if (s->dflt && s->dflt != s->zero)
        fed_json_set(o, "default", fed_json_copy(m->arena, s->dflt));
    else if (s->zero && s->zero->type != FED_JSON_NULL && m->v3) /* as kube-apiserver does */
        fed_json_set(o, "default", fed_json_copy(m->arena, s->zero));
    if (s->list_type != FED_LIST_ATOMIC)
        put_text(m, o, "x-kubernetes-list-type", s->list_type == FED_LIST_MAP ? FED_STR("map") : FED_STR("set"));
    if (s->n_map_keys) {
        struct fed_json *keys = fed_json_array(m->arena);

        for (uint16_t i = 0; i < s->n_map_keys; i++)
            fed_json_push(keys, fed_json_new_str(m->arena, s->map_keys[i]));
        fed_json_set(o, "x-kubernetes-list-map-keys", keys);
    }
    if (s->atomic)
        put_text(m, o, "x-kubernetes-map-type", FED_STR("atomic"));
    if (s->patch_merge || s->patch_retain)
        put_text(m, o, "x-kubernetes-patch-strategy",
                 s->patch_merge && s->patch_retain ? FED_STR("merge,retainKeys")
                 : s->patch_merge                  ? FED_STR("merge")
                                                   : FED_STR("retainKeys"));
    put_text(m, o, "x-kubernetes-patch-merge-key", s->patch_key);
}

static struct fed_json *schema_of(struct fed_models *m, const struct fed_schema *s, int depth)
{
    struct fed_json *o;

    if (s->shape->model.n) {
        struct fed_json *ref = fed_json_object(m->arena), *all;

        fed_json_set(ref, "$ref", fed_json_new_str(m->arena, model_ref(m, s->shape)));
        o = fed_json_object(m->arena);
        put_use(m, o, s);
        if (!m->v3 || !o->n) {
            fed_json_set(o, "$ref", fed_json_copy(m->arena, ref->first));
            /* In v2 kubectl takes a description beside $ref and nothing else that it would miss. */
            return o;
        }
        all = fed_json_array(m->arena);
        fed_json_push(all, ref);
        fed_json_set(o, "allOf", all);
        return o;
    }
    o = shape_body(m, s->shape, depth);
    put_use(m, o, s);
    return o;
}

static void add_model(struct fed_models *m, const struct fed_shape *shape, struct fed_str name)
{
    struct fed_json *holder;

    if (fed_json_find_str(m->out, name))
        return;
    /* The name is taken before the body is made: a type may refer to itself. */
    holder = fed_json_object(m->arena);
    fed_json_set_str(m->out, name, holder);
    fed_json_replace(holder, shape_body(m, shape, 0));
}

static struct fed_str model_ref(struct fed_models *m, const struct fed_shape *shape)
{
    struct fed_str name = model_name(m->arena, shape->model);

    add_model(m, shape, name);
    return fed_arena_printf(m->arena, "%s%.*s", m->ref_prefix, FED_STR_ARG(name));
}

static struct fed_json *gvk_object(struct fed_arena *a, struct fed_str group, struct fed_str version,
                                   struct fed_str kind)
{
    struct fed_json *o = fed_json_object(a);

    fed_json_set(o, "group", fed_json_new_str(a, group));
    fed_json_set(o, "kind", fed_json_new_str(a, kind));
    fed_json_set(o, "version", fed_json_new_str(a, version));
    return o;
}

struct fed_str fed_models_add_version(struct fed_models *m, const struct fed_kind_version *v)
{
    const struct fed_shape *shape = v->schema->shape;
    struct fed_str name = shape->model.n
                              ? model_name(m->arena, shape->model)
                              : fed_arena_printf(m->arena, "%.*s.%.*s.%.*s", FED_STR_ARG(reversed(m->arena, v->group)),
                                                 FED_STR_ARG(v->version), FED_STR_ARG(v->kind->kind));
    struct fed_json *list = fed_json_array(m->arena), *model;

    add_model(m, shape, name);
    model = fed_json_find_str(m->out, name);
    if (!fed_json_find(model, "description"))
        put_text(m, model, "description", v->schema->description);
    fed_json_push(list, gvk_object(m->arena, v->group, v->version, v->kind->kind));
    fed_json_set(model, "x-kubernetes-group-version-kind", list);
    return name;
}

void fed_models_add_type(struct fed_models *m, const struct fed_shape *shape)
{
    struct fed_str name = model_name(m->arena, shape->model);

    add_model(m, shape, name);
    fed_json_set(fed_json_find_str(m->out, name), "x-kubernetes-group-version-kind",
                 fed_json_copy(m->arena, shape->gvks));
}

/* --- paths --- */

static void put_parameter(struct fed_arena *a, struct fed_json *list, const char *name, const char *in,
                          const char *type, bool v3)
{
    struct fed_json *p = fed_json_object(a);

    fed_json_set(p, "name", fed_json_new_strz(a, name));
    fed_json_set(p, "in", fed_json_new_strz(a, in));
    if (strcmp(in, "path") == 0)
        fed_json_set(p, "required", fed_json_new_bool(a, true));
    if (v3) {
        struct fed_json *schema = fed_json_object(a);

        fed_json_set(schema, "type", fed_json_new_strz(a, type));
        fed_json_set(p, "schema", schema);
    } else {
        fed_json_set(p, "type", fed_json_new_strz(a, type));
    }
    fed_json_push(list, p);
}

static void put_operation(struct fed_arena *a, struct fed_json *item, const struct fed_kind_version *v,
                          const char *method, const char *action, bool v3)
{
    struct fed_json *op = fed_json_object(a), *responses = fed_json_object(a), *ok = fed_json_object(a);
    struct fed_json *params;

    fed_json_set(op, "operationId",
                 fed_json_new_strf(a, "%s%.*s%.*s%.*s", action, FED_STR_ARG(v->group), FED_STR_ARG(v->version),
                                   FED_STR_ARG(v->kind->kind)));
    fed_json_set(ok, "description", fed_json_new_strz(a, "OK"));
    fed_json_set(responses, "200", ok);
    fed_json_set(op, "responses", responses);
    fed_json_set(op, "x-kubernetes-action", fed_json_new_strz(a, action));
    fed_json_set(op, "x-kubernetes-group-version-kind", gvk_object(a, v->group, v->version, v->kind->kind));
    if (strcmp(method, "get")) {
        params = fed_json_array(a);
        put_parameter(a, params, "dryRun", "query", "string", v3);
        put_parameter(a, params, "fieldManager", "query", "string", v3);
        put_parameter(a, params, "fieldValidation", "query", "string", v3);
        if (strcmp(method, "patch") == 0)
            put_parameter(a, params, "force", "query", "boolean", v3);
        fed_json_set(op, "parameters", params);
    }
    fed_json_set(item, method, op);
}

void fed_openapi_paths(struct fed_arena *a, const struct fed_kind_version *v, bool v3, struct fed_json *paths)
{
    const struct fed_kind *kind = v->kind;
    struct fed_json *list = fed_json_object(a), *one = fed_json_object(a), *params = fed_json_array(a);
    struct fed_str base = fed_arena_printf(
        a, "%s%.*s/%.*s/%s%.*s", v->group.n ? "/apis/" : "/api", FED_STR_ARG(v->group), FED_STR_ARG(v->version),
        kind->namespaced ? "namespaces/{namespace}/" : "", FED_STR_ARG(kind->plural));

    put_operation(a, list, v, "get", "list", v3);
    put_operation(a, list, v, "post", "post", v3);
    put_operation(a, one, v, "get", "get", v3);
    put_operation(a, one, v, "put", "put", v3);
    put_operation(a, one, v, "patch", "patch", v3);
    put_operation(a, one, v, "delete", "delete", v3);
    if (kind->namespaced) {
        put_parameter(a, params, "namespace", "path", "string", v3);
        fed_json_set(list, "parameters", fed_json_copy(a, params));
    }
    put_parameter(a, params, "name", "path", "string", v3);
    fed_json_set(one, "parameters", params);
    fed_json_set_str(paths, base, list);
    fed_json_set_str(paths, fed_arena_printf(a, "%.*s/{name}", FED_STR_ARG(base)), one);
}
