/* SPDX-License-Identifier: Apache-2.0 */
/* kind.c: the set of kinds: documents into struct fed_kind, lookup, discovery order. */
#include "kube/kind.h"

#include "base/mem.h"
#include "kube/names.h"
#include "kube/openapi_model.h"
#include "kube/rules.h"
#include "kube/schema_priv.h"

extern const char fed_core_bundle[];
extern const size_t fed_core_bundle_n;

struct fed_kinds {
    struct fed_arena arena;
    struct fed_map types;     /* name -> struct fed_shape */
    struct fed_map bodies;    /* "apiVersion kind" -> struct fed_schema of types that are no stored kind */
    struct fed_map resources; /* "group/version/plural" -> struct fed_kind_version; also with an empty version */
    struct fed_map by_kind;   /* "apiVersion kind" -> struct fed_kind_version */
    struct fed_kind **kinds;  /* discovery order */
    size_t n, cap;
    bool have_core_types;
};

struct fed_kind_own {
    struct fed_arena arena;
    unsigned refs;
};

struct fed_kinds *fed_kinds_new(void)
{
    return FED_NEW(struct fed_kinds);
}

const struct fed_kind *fed_kind_ref(const struct fed_kind *kind)
{
    if (kind && kind->own)
        kind->own->refs++;
    return kind;
}

void fed_kind_unref(const struct fed_kind *kind)
{
    struct fed_kind_own *own = kind ? kind->own : NULL;

    if (!own || --own->refs)
        return;
    fed_arena_release(&own->arena); /* the kind itself is in it */
    free(own);
}

void fed_kinds_free(struct fed_kinds *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++)
        fed_kind_unref(k->kinds[i]);
    fed_map_release(&k->types);
    fed_map_release(&k->bodies);
    fed_map_release(&k->resources);
    fed_map_release(&k->by_kind);
    free(k->kinds);
    fed_arena_release(&k->arena);
    free(k);
}

/* kubectl takes the first group that has a name: apps and networking.k8s.io come before extensions, core before all. */
int fed_kind_group_rank(struct fed_str group)
{
    static const char *const order[] = {"",
                                        "apps",
                                        "events.k8s.io",
                                        "authentication.k8s.io",
                                        "authorization.k8s.io",
                                        "autoscaling",
                                        "batch",
                                        "certificates.k8s.io",
                                        "networking.k8s.io",
                                        "policy",
                                        "rbac.authorization.k8s.io",
                                        "storage.k8s.io",
                                        "admissionregistration.k8s.io",
                                        "apiextensions.k8s.io",
                                        "scheduling.k8s.io",
                                        "coordination.k8s.io",
                                        "node.k8s.io",
                                        "discovery.k8s.io",
                                        "federation"};
    int n = (int)FED_ARRAY_LEN(order);

    for (int i = 0; i < n; i++)
        if (fed_str_is(group, order[i]))
            return i;
    return fed_str_is(group, "extensions") ? n + 1 : n;
}

static int kind_order(const struct fed_kind *a, const struct fed_kind *b)
{
    int ra = fed_kind_group_rank(a->group), rb = fed_kind_group_rank(b->group), c;

    if (ra != rb)
        return ra - rb;
    c = fed_str_cmp(a->group, b->group);
    return c ? c : fed_str_cmp(a->plural, b->plural);
}

/* Absent where it does not fit. */
static struct fed_str join(char *buf, size_t cap, const struct fed_str *parts, size_t n)
{
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (parts[i].n >= cap - used)
            return (struct fed_str){NULL, 0};
        if (parts[i].n)
            memcpy(buf + used, parts[i].p, parts[i].n);
        used += parts[i].n;
    }
    return fed_str_n(buf, used);
}

static struct fed_str resource_key(char *buf, size_t cap, struct fed_str group, struct fed_str version,
                                   struct fed_str plural)
{
    struct fed_str parts[] = {group, FED_STR("/"), version, FED_STR("/"), plural};

    return join(buf, cap, parts, FED_ARRAY_LEN(parts));
}

static struct fed_str kind_key(char *buf, size_t cap, struct fed_str api_version, struct fed_str kind)
{
    struct fed_str parts[] = {api_version, FED_STR(" "), kind};

    return join(buf, cap, parts, FED_ARRAY_LEN(parts));
}

/* --- reading a document --- */

struct reader {
    struct fed_kinds *set;
    struct fed_compiler c;
    struct fed_err *err;
};

static struct fed_str dup_text(struct reader *r, const struct fed_json *doc, const char *key, const char *dflt)
{
    struct fed_str s = fed_json_find_text(doc, key);

    return fed_arena_dup(r->c.arena, s.n ? s : fed_str(dflt));
}

static size_t dup_list(struct reader *r, const struct fed_json *list, struct fed_str **out)
{
    size_t n = 0;

    *out = NULL;
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return 0;
    *out = FED_ARENA_ARRAY(r->c.arena, struct fed_str, list->n);
    FED_JSON_EACH(it, list)
        (*out)[n++] = fed_arena_dup(r->c.arena, fed_json_str(it));
    return n;
}

static int read_name_rule(struct reader *r, const struct fed_json *doc, struct fed_kind *kind)
{
    static const struct {
        const char *name;
        const char *(*check)(struct fed_str);
    } rules[] = {{"subdomain", fed_name_check_subdomain},
                 {"label", fed_name_check_label},
                 {"dns1035", fed_name_check_1035},
                 {"path", fed_name_check_path_segment}};
    struct fed_str s = fed_json_find_text(doc, "nameRule");

    for (size_t i = 0; i < FED_ARRAY_LEN(rules); i++) {
        if (fed_str_is(s, rules[i].name) || (!s.n && i == 0)) {
            kind->check_name = rules[i].check;
            return 0;
        }
    }
    return fed_err_set(r->err, FED_E_INVALID, "nameRule: unknown rule \"%.*s\"", FED_STR_ARG(s));
}

static int read_residence(struct reader *r, const struct fed_json *doc, struct fed_kind *kind)
{
    struct fed_str s = fed_json_find_text(doc, "residence");

    if (fed_str_is(s, "hub") || !s.n) /* custom kinds stay at the hub until they say otherwise */
        kind->residence = FED_RESIDE_HUB;
    else if (fed_str_is(s, "members"))
        kind->residence = FED_RESIDE_MEMBERS;
    else if (fed_str_is(s, "both"))
        kind->residence = FED_RESIDE_BOTH;
    else
        return fed_err_set(r->err, FED_E_INVALID, "residence: must be hub, members or both");
    return 0;
}

/* Subresources and selectable fields: of the version, else of the kind. */
static void read_serving(struct reader *r, const struct fed_json *kind, const struct fed_json *version,
                         struct fed_kind_version *v)
{
    const struct fed_json *own = fed_json_find(version, "subresources"), *fields;
    const struct fed_json *sub = own ? own : fed_json_find(kind, "subresources");
    const struct fed_json *status = fed_json_find(sub, "status"), *scale = fed_json_find(sub, "scale");

    fields = fed_json_find(version, "selectableFields");
    v->n_selectable = dup_list(r, fields ? fields : fed_json_find(kind, "selectableFields"), &v->selectable);
    v->has_status = status && (status->type == FED_JSON_OBJECT || fed_json_bool(status, false));
    if (!scale || scale->type != FED_JSON_OBJECT)
        return;
    v->has_scale = true;
    v->scale_spec_path = dup_text(r, scale, "specReplicasPath", ".spec.replicas");
    v->scale_status_path = dup_text(r, scale, "statusReplicasPath", ".status.replicas");
    v->scale_selector_path = dup_text(r, scale, "labelSelectorPath", "");
}

static void read_columns(struct reader *r, const struct fed_json *list, struct fed_kind_version *v)
{
    if (!list || list->type != FED_JSON_ARRAY)
        return;
    v->columns = FED_ARENA_ARRAY(r->c.arena, struct fed_column, list->n ? list->n : 1);
    FED_JSON_EACH(it, list) {
        struct fed_column *col = &v->columns[v->n_columns++];

        col->name = dup_text(r, it, "name", "");
        col->type = dup_text(r, it, "type", "string");
        col->format = dup_text(r, it, "format", "");
        col->description = dup_text(r, it, "description", "");
        col->json_path = dup_text(r, it, "jsonPath", "");
        col->priority = (int)fed_json_int(fed_json_find(it, "priority"), 0);
    }
}

static int read_version(struct reader *r, const struct fed_json *whole, const struct fed_json *doc,
                        struct fed_kind *kind, struct fed_kind_version *v)
{
    struct fed_str name = fed_json_find_text(doc, "name");
    ptrdiff_t slash = fed_str_chr(name, '/', 0);
    struct fed_schema *root;
    const struct fed_json *schema = fed_json_find(doc, "schema");
    int rc;

    if (!name.n || name.n > 200)
        return fed_err_set(r->err, FED_E_INVALID, "versions: name is required");
    v->kind = kind;
    v->group = slash >= 0 ? fed_arena_dup(r->c.arena, fed_str_head(name, (size_t)slash)) : kind->group;
    v->version = fed_arena_dup(r->c.arena, slash >= 0 ? fed_str_from(name, (size_t)slash + 1) : name);
    v->api_version = v->group.n
                         ? fed_arena_printf(r->c.arena, "%.*s/%.*s", FED_STR_ARG(v->group), FED_STR_ARG(v->version))
                         : v->version;
    v->served = fed_json_bool(fed_json_find(doc, "served"), true);
    v->warning = dup_text(r, doc, "deprecated", "");
    if (!schema)
        return fed_err_set(r->err, FED_E_INVALID, "versions: %.*s: schema is required", FED_STR_ARG(name));
    root = FED_ARENA_NEW(r->c.arena, struct fed_schema);
    rc = fed_schema_compile(&r->c, schema, root);
    if (!rc)
        rc = fed_schema_finish_root(&r->c, root);
    if (rc)
        return fed_err_wrap(r->err, rc, "%.*s", FED_STR_ARG(name));
    fed_shape_has_defaults(root->shape); /* computed now: later readers may be several threads */
    fed_shape_has_zeros(root->shape);
    v->schema = root;
    if (!r->c.core)
        v->rules = fed_rules_compile(r->c.arena, schema);
    read_columns(r, fed_json_find(doc, "columns"), v);
    read_serving(r, whole, doc, v);
    return 0;
}

/* The storage version goes first; the others keep their order. */
static int read_versions(struct reader *r, const struct fed_json *doc, struct fed_kind *kind)
{
    const struct fed_json *list = fed_json_find(doc, "versions");
    struct fed_str storage = fed_json_find_text(doc, "storageVersion");

    if (!list || list->type != FED_JSON_ARRAY || !list->n || list->n > 100)
        return fed_err_set(r->err, FED_E_INVALID, "versions: between 1 and 100 are required");
    kind->versions = FED_ARENA_ARRAY(r->c.arena, struct fed_kind_version, list->n);
    for (int pass = 0; pass < 2; pass++) {
        FED_JSON_EACH(it, list) {
            bool stored = storage.n ? fed_str_eq(fed_json_find_text(it, "name"), storage) : it == list->first;
            int rc;

            if (stored != (pass == 0))
                continue;
            rc = read_version(r, doc, it, kind, &kind->versions[kind->n_versions++]);
            if (rc)
                return rc;
        }
        if (pass == 0 && kind->n_versions != 1)
            return fed_err_set(r->err, FED_E_INVALID, "storageVersion: exactly one version must have this name");
    }
    /* Kinds of our own documents describe their columns once. */
    for (size_t i = 1; i < kind->n_versions; i++) {
        struct fed_kind_version *v = &kind->versions[i];

        if (!v->columns && v->schema->shape->model.n) {
            v->columns = kind->versions[0].columns;
            v->n_columns = kind->versions[0].n_columns;
        }
    }
    return 0;
}

static int read_kind(struct reader *r, const struct fed_json *doc, struct fed_kind *kind)
{
    struct fed_arena *a = r->c.arena;
    int rc;

    kind->group = dup_text(r, doc, "group", "");
    kind->kind = dup_text(r, doc, "kind", "");
    kind->plural = dup_text(r, doc, "plural", "");
    if (!kind->kind.n || !kind->plural.n || kind->plural.n > 200 || kind->group.n > 253 || kind->kind.n > 200)
        return fed_err_set(r->err, FED_E_INVALID, "kind and plural are required");
    kind->singular = dup_text(r, doc, "singular", "");
    kind->list_kind = fed_json_find(doc, "listKind") ? dup_text(r, doc, "listKind", "")
                                                     : fed_arena_printf(a, "%.*sList", FED_STR_ARG(kind->kind));
    kind->n_short_names = dup_list(r, fed_json_find(doc, "shortNames"), &kind->short_names);
    kind->n_categories = dup_list(r, fed_json_find(doc, "categories"), &kind->categories);
    kind->n_status_keeps = dup_list(r, fed_json_at(doc, "subresources", "statusKeeps", NULL), &kind->status_keeps);
    kind->namespaced = fed_json_bool(fed_json_find(doc, "namespaced"), true);
    kind->has_generation = fed_json_bool(fed_json_find(doc, "generation"), false);
    kind->generation_notes = fed_str_is(fed_json_find_text(doc, "generationOf"), "annotations");
    kind->go_json = fed_json_bool(fed_json_find(doc, "goJSON"), false);
    kind->create_on_update = fed_json_bool(fed_json_find(doc, "createOnUpdate"), false);
    kind->needs_revision = fed_json_bool(fed_json_find(doc, "revisionOnUpdate"), false);
    kind->store_prefix =
        kind->group.n ? fed_arena_printf(a, "/registry/%.*s/%.*s/", FED_STR_ARG(kind->group), FED_STR_ARG(kind->plural))
                      : fed_arena_printf(a, "/registry/%.*s/", FED_STR_ARG(kind->plural));
    kind->defaults_id = fed_arena_alloc(a, FED_DEFAULTS_ID);
    *kind->defaults_id = 0;
    if ((rc = read_name_rule(r, doc, kind)) || (rc = read_residence(r, doc, kind)) ||
        (rc = read_versions(r, doc, kind)))
        return rc;
    kind->has_status = fed_kind_storage(kind)->has_status;
    kind->has_scale = fed_kind_storage(kind)->has_scale;
    return 0;
}

static int need_core_types(struct fed_kinds *k, struct fed_err *err);

/* --- the set --- */

static void unindex(struct fed_kinds *k, const struct fed_kind *old)
{
    FED_MAP_EACH(e, &k->resources)
        if (((struct fed_kind_version *)e->value)->kind == old)
            fed_map_remove(&k->resources, e->key);
    FED_MAP_EACH(e, &k->by_kind)
        if (((struct fed_kind_version *)e->value)->kind == old)
            fed_map_remove(&k->by_kind, e->key);
}

static void index_kind(struct fed_kinds *k, struct fed_kind *kind)
{
    char buf[1024];

    for (size_t i = 0; i < kind->n_versions; i++) {
        struct fed_kind_version *v = &kind->versions[i];
        struct fed_str any = resource_key(buf, sizeof(buf), v->group, FED_STR(""), kind->plural);

        if (!fed_map_has(&k->resources, any) && v->served)
            fed_map_set(&k->resources, any, v);
        fed_map_set(&k->resources, resource_key(buf, sizeof(buf), v->group, v->version, kind->plural), v);
        fed_map_set(&k->by_kind, kind_key(buf, sizeof(buf), v->api_version, kind->kind), v);
    }
}

bool fed_kinds_remove(struct fed_kinds *k, struct fed_str group, struct fed_str plural)
{
    for (size_t i = 0; i < k->n; i++) {
        if (!fed_str_eq(k->kinds[i]->group, group) || !fed_str_eq(k->kinds[i]->plural, plural))
            continue;
        struct fed_kind *old = k->kinds[i];

        unindex(k, old);
        memmove(&k->kinds[i], &k->kinds[i + 1], sizeof(*k->kinds) * (k->n - i - 1));
        k->n--;
        fed_kind_unref(old);
        return true;
    }
    return false;
}

static void insert_kind(struct fed_kinds *k, struct fed_kind *kind)
{
    size_t at;

    fed_kinds_remove(k, kind->group, kind->plural);
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 64;
        k->kinds = fed_realloc(k->kinds, sizeof(*k->kinds) * k->cap);
    }
    for (at = k->n; at > 0 && kind_order(kind, k->kinds[at - 1]) < 0; at--)
        k->kinds[at] = k->kinds[at - 1];
    k->kinds[at] = kind;
    k->n++;
    index_kind(k, kind);
}

static int add_types(struct reader *r, const struct fed_json *defs)
{
    char buf[512], av[256];

    FED_JSON_EACH(def, defs) {
        struct fed_shape *shape = fed_schema_type(&r->c, def->key);

        if (!shape)
            return fed_err_wrap(r->err, FED_E_INVALID, "types: %.*s", FED_STR_ARG(def->key));
        FED_JSON_EACH(gvk, shape->gvks) {
            struct fed_str group = fed_json_find_text(gvk, "group"), version = fed_json_find_text(gvk, "version");
            struct fed_schema *s = FED_ARENA_NEW(r->c.arena, struct fed_schema);

            s->shape = shape;
            snprintf(av, sizeof(av), "%.*s%s%.*s", FED_STR_ARG(group), group.n ? "/" : "", FED_STR_ARG(version));
            fed_map_set(&r->set->bodies, kind_key(buf, sizeof(buf), fed_str(av), fed_json_find_text(gvk, "kind")), s);
        }
    }
    return 0;
}

static struct reader reader_make(struct fed_kinds *k, const struct fed_json *doc, struct fed_err *err)
{
    return (struct reader){
        .set = k,
        .err = err,
        .c = {.arena = &k->arena, .types = &k->types, .defs = fed_json_find(doc, "types"), .err = err, .core = true}};
}

int fed_kind_compile(struct fed_kinds *k, const struct fed_json *doc, struct fed_kind **out, struct fed_err *err)
{
    struct fed_kind_own *own;
    struct fed_kind *kind;
    struct reader r;
    const struct fed_json *conversion = fed_json_find(doc, "conversion");
    int rc = need_core_types(k, err);

    if (rc)
        return rc;
    own = FED_NEW(struct fed_kind_own);
    own->refs = 1;
    kind = FED_ARENA_NEW(&own->arena, struct fed_kind);
    kind->own = own;
    kind->custom = true;
    r = (struct reader){.set = k, .err = err, .c = {.arena = &own->arena, .types = &k->types, .err = err}};
    rc = read_kind(&r, doc, kind);
    if (rc) {
        fed_kind_unref(kind);
        return fed_err_wrap(err, rc, "%.*s", FED_STR_ARG(fed_json_find_text(doc, "plural")));
    }
    if (conversion)
        kind->conversion = fed_json_copy(&own->arena, conversion);
    *out = kind;
    return 0;
}

void fed_kinds_put(struct fed_kinds *k, struct fed_kind *kind)
{
    fed_kind_ref(kind);
    insert_kind(k, kind);
}

static int add_document(struct fed_kinds *k, const struct fed_json *doc, struct fed_err *err)
{
    struct reader r = reader_make(k, doc, err);
    struct fed_kind *kind;
    int rc = add_types(&r, r.c.defs);

    if (rc || !fed_json_find(doc, "kind"))
        return rc;
    kind = FED_ARENA_NEW(&k->arena, struct fed_kind);
    rc = read_kind(&r, doc, kind);
    if (rc)
        return fed_err_wrap(err, rc, "%.*s", FED_STR_ARG(fed_json_find_text(doc, "plural")));
    insert_kind(k, kind);
    return 0;
}

static bool wanted(const struct fed_json *doc, const char *const *names)
{
    char name[512];

    if (!fed_json_find(doc, "kind"))
        return false;
    if (!names)
        return true;
    snprintf(name, sizeof(name), "%.*s/%.*s", FED_STR_ARG(fed_json_find_text(doc, "group")),
             FED_STR_ARG(fed_json_find_text(doc, "plural")));
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

enum which { CORE_TYPES, CORE_KINDS, ALL_DOCUMENTS };

static int add_array(struct fed_kinds *k, struct fed_str json, enum which which, const char *const *names,
                     struct fed_err *err)
{
    static const struct fed_json_limits limits = {.max_bytes = 16 << 20, .max_nodes = 1000000};
    struct fed_arena tmp = {0};
    struct fed_json *list = NULL;
    int rc = fed_json_parse(&tmp, json, &limits, &list, err);

    if (!rc && list->type != FED_JSON_ARRAY)
        rc = fed_err_set(err, FED_E_INVALID, "bundle: must be an array of documents");
    for (const struct fed_json *doc = rc ? NULL : list->first; doc && !rc; doc = doc->next) {
        if (which == ALL_DOCUMENTS || (which == CORE_TYPES && !fed_json_find(doc, "kind")) ||
            (which == CORE_KINDS && (wanted(doc, names) || (!k->have_core_types && !fed_json_find(doc, "kind")))))
            rc = add_document(k, doc, err);
    }
    fed_arena_release(&tmp);
    return rc;
}

static struct fed_str core_bundle(void)
{
    return fed_str_n(fed_core_bundle, fed_core_bundle_n);
}

static int need_core_types(struct fed_kinds *k, struct fed_err *err)
{
    int rc = k->have_core_types ? 0 : add_array(k, core_bundle(), CORE_TYPES, NULL, err);

    if (!rc)
        k->have_core_types = true;
    return rc;
}

int fed_kinds_add_bundle(struct fed_kinds *k, struct fed_str json, struct fed_err *err)
{
    int rc = need_core_types(k, err);

    return rc ? rc : add_array(k, json, ALL_DOCUMENTS, NULL, err);
}

int fed_kinds_add(struct fed_kinds *k, const struct fed_json *doc, struct fed_err *err)
{
    int rc = need_core_types(k, err);

    return rc ? rc : add_document(k, doc, err);
}

static struct fed_kind *kind_named(const struct fed_kinds *k, struct fed_str group, struct fed_str plural)
{
    for (size_t i = 0; i < k->n; i++)
        if (fed_str_eq(k->kinds[i]->group, group) && fed_str_eq(k->kinds[i]->plural, plural))
            return k->kinds[i];
    return NULL;
}

/* Once for each kind: a second call for more kinds must not run the first ones' hooks twice. */
static void install_core(struct fed_kinds *k, const struct fed_core_hooks *h)
{
    struct fed_kind *kind = kind_named(k, fed_str(h->group), fed_str(h->plural));

    if (kind && !kind->hooks.ud)
        fed_hooks_add(&k->arena, &kind->hooks, &h->hooks);
}

int fed_kinds_add_core(struct fed_kinds *k, const char *const *names, struct fed_err *err)
{
    int rc = add_array(k, core_bundle(), CORE_KINDS, names, err);

    if (rc)
        return rc;
    k->have_core_types = true;
    for (size_t i = 0; fed_core_hook_tables[i]; i++)
        for (const struct fed_core_hooks *h = fed_core_hook_tables[i]; h->plural; h++)
            install_core(k, h);
    return 0;
}

void fed_kinds_set_hooks(struct fed_kinds *k, const char *group, const char *plural, const struct fed_hooks *hooks)
{
    struct fed_kind *kind = kind_named(k, fed_str(group), fed_str(plural));

    if (kind)
        fed_hooks_add(&k->arena, &kind->hooks, hooks);
}

size_t fed_kinds_count(const struct fed_kinds *k)
{
    return k->n;
}

const struct fed_kind *fed_kinds_at(const struct fed_kinds *k, size_t i)
{
    return i < k->n ? k->kinds[i] : NULL;
}

const struct fed_kind_version *fed_kinds_by_resource(const struct fed_kinds *k, struct fed_str group,
                                                     struct fed_str version, struct fed_str plural)
{
    char buf[1024];
    struct fed_str key = resource_key(buf, sizeof(buf), group, version, plural);

    return key.p ? fed_map_find(&k->resources, key) : NULL;
}

const struct fed_kind_version *fed_kinds_by_kind(const struct fed_kinds *k, struct fed_str api_version,
                                                 struct fed_str kind)
{
    char buf[1024];
    struct fed_str key = kind_key(buf, sizeof(buf), api_version, kind);

    return key.p ? fed_map_find(&k->by_kind, key) : NULL;
}

struct fed_shape *fed_kinds_type(const struct fed_kinds *k, struct fed_str name)
{
    return fed_map_find(&k->types, name);
}

const struct fed_schema *fed_kinds_body(const struct fed_kinds *k, struct fed_str api_version, struct fed_str kind)
{
    const struct fed_kind_version *v = fed_kinds_by_kind(k, api_version, kind);
    char buf[1024];
    struct fed_str key;

    if (v)
        return v->schema;
    key = kind_key(buf, sizeof(buf), api_version, kind);
    return key.p ? fed_map_find(&k->bodies, key) : NULL;
}

void fed_kinds_each_gv(const struct fed_kinds *k, void (*cb)(void *ud, struct fed_str group, struct fed_str version),
                       void *ud)
{
    struct fed_map seen = {0};

    for (size_t i = 0; i < k->n; i++) {
        for (size_t n = 0; n < k->kinds[i]->n_versions; n++) {
            const struct fed_kind_version *v = &k->kinds[i]->versions[n];

            if (!v->served || fed_map_has(&seen, v->api_version))
                continue;
            fed_map_set(&seen, v->api_version, NULL);
            cb(ud, v->group, v->version);
        }
    }
    fed_map_release(&seen);
}

void fed_kinds_each_body(const struct fed_kinds *k, void (*cb)(void *ud, const struct fed_shape *shape), void *ud)
{
    FED_MAP_EACH(e, &k->bodies)
        cb(ud, ((const struct fed_schema *)e->value)->shape);
}
