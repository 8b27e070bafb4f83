/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_crd.c: CustomResourceDefinition: what the server fills in, and what makes a definition valid (its schemas:
 * crd_schema.c). Fields are named as Kubernetes names them: what all versions share is reported at the top of spec. */
#include "kube/crd.h"
#include "kube/names.h"
#include "kube/schema_priv.h"
#include "kube/selector.h"

static const struct fed_str none = {NULL, 0};

struct check {
    struct fed_causes *c;
    const struct fed_write *w;
    const struct fed_json *spec;
    bool shared_schema, shared_columns, shared_subs; /* the same in all versions */
};

static struct fed_str quoted(struct fed_causes *c, struct fed_str s)
{
    struct fed_buf b = {0};
    struct fed_str out;

    fed_json_write_string(&b, s);
    out = fed_arena_dup(c->arena, fed_str_head(fed_buf_str(&b), 256));
    fed_buf_release(&b);
    return out;
}

static void invalid(struct check *k, const char *field, struct fed_str value, const char *why)
{
    fed_causes_add(k->c, FED_CAUSE_INVALID, fed_str(field), quoted(k->c, value), "%s", why);
}

static void required(struct check *k, const char *field, const char *why)
{
    fed_causes_add(k->c, FED_CAUSE_REQUIRED, fed_str(field), none, "%s", why);
}

/* --- filled in --- */

static void put_absent(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str value)
{
    if (!fed_json_find_text(o, key).n)
        fed_json_set(o, key, fed_json_new_str(a, value));
}

static struct fed_str storage_version(const struct fed_json *spec)
{
    FED_JSON_EACH(v, fed_json_find(spec, "versions"))
        if (fed_json_bool(fed_json_find(v, "storage"), false))
            return fed_json_find_text(v, "name");
    return none;
}

static void note_stored(struct fed_arena *a, struct fed_json *status, struct fed_str version)
{
    struct fed_json *list = fed_json_ensure_array(a, status, "storedVersions");

    FED_JSON_EACH(it, list)
        if (fed_str_eq(fed_json_str(it), version))
            return;
    if (list && version.n)
        fed_json_push(list, fed_json_new_str(a, version));
}

static int default_crd(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    struct fed_json *spec = fed_json_find(obj, "spec"), *names = fed_json_find(spec, "names");
    struct fed_str kind = fed_json_find_text(names, "kind");

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec || spec->type != FED_JSON_OBJECT)
        return 0;
    if (names && names->type == FED_JSON_OBJECT && kind.n) {
        put_absent(a, names, "singular", fed_name_lower(a, kind));
        put_absent(a, names, "listKind", fed_arena_printf(a, "%.*sList", FED_STR_ARG(kind)));
    }
    if (!fed_json_find(spec, "conversion"))
        fed_json_set(fed_json_set(spec, "conversion", fed_json_object(a)), "strategy", fed_json_new_strz(a, "None"));
    return 0;
}

static int prepare_crd(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    struct fed_json *spec = fed_json_find(obj, "spec"), *status;

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec || spec->type != FED_JSON_OBJECT)
        return 0;
    status = fed_json_ensure_object(a, obj, "status");
    if (!status)
        return 0;
    if (!w->old)
        fed_json_set(status, "conditions", fed_json_array(a));
    note_stored(a, status, storage_version(spec));
    return 0;
}

/* --- names --- */

static void check_label(struct check *k, const char *field, struct fed_str s)
{
    const char *why = fed_name_check_1035(s);

    if (why)
        invalid(k, field, s, why);
}

static void check_names(struct check *k, const struct fed_json *names)
{
    static const char *const lists[] = {"shortNames", "categories"};
    struct fed_str kind = fed_json_find_text(names, "kind"), list_kind = fed_json_find_text(names, "listKind");
    const char *why;

    if (!fed_json_find_text(names, "plural").n)
        required(k, "spec.names.plural", "");
    if (!kind.n)
        required(k, "spec.names.kind", "");
    if (fed_json_find_text(names, "plural").n)
        check_label(k, "spec.names.plural", fed_json_find_text(names, "plural"));
    if (fed_json_find_text(names, "singular").n)
        check_label(k, "spec.names.singular", fed_json_find_text(names, "singular"));
    why = fed_name_check_1035(fed_name_lower(k->c->arena, kind));
    if (kind.n && why)
        invalid(k, "spec.names.kind", kind,
                fed_arena_printf(k->c->arena, "may have mixed case, but should otherwise match: %s", why).p);
    why = fed_name_check_1035(fed_name_lower(k->c->arena, list_kind));
    if (list_kind.n && why)
        invalid(k, "spec.names.listKind", list_kind,
                fed_arena_printf(k->c->arena, "may have mixed case, but should otherwise match: %s", why).p);
    if (kind.n && fed_str_eq(kind, list_kind))
        invalid(k, "spec.names.listKind", list_kind, "kind and listKind may not be the same");
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++) {
        uint32_t n = 0;

        FED_JSON_EACH(it, fed_json_find(names, lists[i]))
            check_label(k, fed_arena_printf(k->c->arena, "spec.names.%s[%u]", lists[i], n++).p, fed_json_str(it));
    }
}

static bool ends_with(struct fed_str s, const char *end)
{
    size_t n = strlen(end);

    return s.n >= n && fed_str_is(fed_str_from(s, s.n - n), end);
}

/* Groups of Kubernetes itself are for kinds that were reviewed there. */
static void check_approval(struct check *k, const struct fed_json *obj, struct fed_str group)
{
    static const char key[] = "api-approved.kubernetes.io";
    struct fed_str v = fed_obj_annotation(obj, key);

    if (!fed_str_is(group, "k8s.io") && !ends_with(group, ".k8s.io") && !fed_str_is(group, "kubernetes.io") &&
        !ends_with(group, ".kubernetes.io"))
        return;
    if (!v.n)
        fed_causes_add(k->c, FED_CAUSE_REQUIRED, FED_STR("metadata.annotations[api-approved.kubernetes.io]"), none,
                       "protected groups must have approval annotation \"%s\", see "
                       "https://github.com/kubernetes/enhancements/pull/1111",
                       key);
    else if (!fed_str_starts(v, FED_STR("https://")) && !fed_str_starts(v, FED_STR("unapproved")))
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("metadata.annotations[api-approved.kubernetes.io]"),
                       quoted(k->c, v),
                       "protected groups must have approval annotation \"%s\" with either a URL or a reason starting "
                       "with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
                       key);
}

static void check_identity(struct check *k, const struct fed_json *obj)
{
    struct fed_str group = fed_json_find_text(k->spec, "group"), scope = fed_json_find_text(k->spec, "scope");
    struct fed_str plural = fed_json_find_text(fed_json_find(k->spec, "names"), "plural"), name = fed_obj_name(obj);
    struct fed_str want = fed_arena_printf(k->c->arena, "%.*s.%.*s", FED_STR_ARG(plural), FED_STR_ARG(group));
    const char *why = group.n ? fed_name_check_subdomain(group) : NULL;

    if (!fed_str_eq(name, want))
        invalid(k, "metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
    if (why)
        invalid(k, "spec.group", group, why);
    else if (group.n && fed_str_chr(group, '.', 0) < 0)
        invalid(k, "spec.group", group, "should be a domain with at least one dot");
    if (scope.n && !fed_str_is(scope, "Namespaced") && !fed_str_is(scope, "Cluster"))
        fed_causes_add(k->c, FED_CAUSE_NOT_SUPPORTED, FED_STR("spec.scope"), quoted(k->c, scope),
                       "supported values: \"Cluster\", \"Namespaced\"");
    if (fed_json_bool(fed_json_find(k->spec, "preserveUnknownFields"), false))
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.preserveUnknownFields"), FED_STR("true"),
                       "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                       "spec.versions[*].schema instead");
    check_names(k, fed_json_find(k->spec, "names"));
    if (!k->w->old)
        check_approval(k, obj, group);
}

/* --- paths into objects --- */

/* ".spec.replicas": members only. */
static bool plain_path(struct fed_str p)
{
    struct fed_str name;

    if (p.n < 2 || p.p[0] != '.')
        return false;
    p = fed_str_from(p, 1);
    while (p.p && fed_str_cut(&p, '.', &name)) {
        if (!name.n)
            return false;
        for (size_t i = 0; i < name.n; i++)
            if (strchr("[]*(){}'\" ", name.p[i]))
                return false;
    }
    return true;
}

static bool under(struct fed_str p, const char *root)
{
    return fed_str_starts(p, fed_str(root)) && p.n > strlen(root) && p.p[strlen(root)] == '.';
}

static struct fed_str at(struct check *k, bool shared, uint32_t version, const char *rest)
{
    return shared ? fed_arena_printf(k->c->arena, "spec.%s", rest)
                  : fed_arena_printf(k->c->arena, "spec.versions[%u].%s", version, rest);
}

static void check_scale(struct check *k, const struct fed_json *scale, uint32_t version)
{
    static const struct {
        const char *name, *roots[2], *where;
    } paths[] = {{"specReplicasPath", {".spec", ".spec"}, "should be a json path under .spec"},
                 {"statusReplicasPath", {".status", ".status"}, "should be a json path under .status"},
                 {"labelSelectorPath", {".spec", ".status"}, "should be a json path under either .spec or .status"}};

    for (size_t i = 0; scale && i < FED_ARRAY_LEN(paths); i++) {
        struct fed_str p = fed_json_find_text(scale, paths[i].name);
        struct fed_str field =
            at(k, k->shared_subs, version, fed_arena_printf(k->c->arena, "subresources.scale.%s", paths[i].name).p);

        if (!p.n)
            continue; /* required ones: by the schema */
        if (p.p[0] != '.')
            invalid(k, field.p, p, "must be a simple json path starting with .");
        else if (!under(p, paths[i].roots[0]) && !under(p, paths[i].roots[1]))
            invalid(k, field.p, p, paths[i].where);
    }
}

static bool one_of(struct fed_str s, const char *const *list)
{
    for (; *list; list++)
        if (fed_str_is(s, *list))
            return true;
    return false;
}

static void check_columns(struct check *k, const struct fed_json *columns, uint32_t version)
{
    static const char *const types[] = {"integer", "number", "string", "boolean", "date", NULL};
    static const char *const formats[] = {"int32", "int64",     "float",    "double",   "byte", "date",
                                          "time",  "date-time", "datetime", "password", NULL};
    uint32_t i = 0;

    FED_JSON_EACH(col, columns) {
        struct fed_str type = fed_json_find_text(col, "type"), format = fed_json_find_text(col, "format");
        struct fed_str path = fed_json_find_text(col, "jsonPath");
        struct fed_str base =
            at(k, k->shared_columns, version, fed_arena_printf(k->c->arena, "additionalPrinterColumns[%u]", i++).p);

        if (type.n && !one_of(type, types))
            fed_causes_add(k->c, FED_CAUSE_INVALID, fed_arena_printf(k->c->arena, "%s.type", base.p),
                           quoted(k->c, type), "must be one of boolean,date,integer,number,string");
        if (format.n && !one_of(format, formats))
            fed_causes_add(k->c, FED_CAUSE_INVALID, fed_arena_printf(k->c->arena, "%s.format", base.p),
                           quoted(k->c, format),
                           "must be one of byte,date,date-time,datetime,double,float,int32,int64,password,time");
        if (path.n && (path.p[0] != '.' || path.n > 1024))
            fed_causes_add(k->c, FED_CAUSE_INVALID, fed_arena_printf(k->c->arena, "%s.jsonPath", base.p),
                           quoted(k->c, path), "must be a simple json path starting with .");
    }
}

static void check_selectable(struct check *k, const struct fed_json *version, uint32_t n)
{
    const struct fed_json *list = fed_json_find(version, "selectableFields");
    uint32_t i = 0;

    if (list && list->n > 8)
        fed_causes_add(k->c, FED_CAUSE_TOO_MANY, at(k, false, n, "selectableFields"),
                       fed_arena_printf(k->c->arena, "%u", list->n), "must have at most 8 items");
    FED_JSON_EACH(it, list) {
        struct fed_str path = fed_json_find_text(it, "jsonPath"), rest = path, name;
        struct fed_str field = at(k, false, n, fed_arena_printf(k->c->arena, "selectableFields[%u].jsonPath", i++).p);
        const struct fed_json *s = fed_json_at(version, "schema", "openAPIV3Schema", NULL);

        if (!plain_path(path) || under(path, ".metadata")) {
            invalid(k, field.p, path, "must be a simple json path to a field outside of metadata");
            continue;
        }
        rest = fed_str_from(rest, 1);
        while (s && rest.p && fed_str_cut(&rest, '.', &name))
            s = fed_json_find_str(fed_json_find(s, "properties"), name);
        if (!s)
            invalid(k, field.p, path, "is an invalid path: does not refer to a valid field");
        else if (!fed_str_is(fed_json_find_text(s, "type"), "string") &&
                 !fed_str_is(fed_json_find_text(s, "type"), "boolean") &&
                 !fed_str_is(fed_json_find_text(s, "type"), "integer"))
            invalid(k, field.p, path, "must point to a field of type string, boolean or integer");
        for (const struct fed_json *o = list->first; o != it; o = o->next)
            if (fed_str_eq(fed_json_find_text(o, "jsonPath"), path))
                fed_causes_add(k->c, FED_CAUSE_DUPLICATE, field, quoted(k->c, path), "%s", "");
    }
}

/* --- versions --- */

static bool same_in_all(const struct fed_json *versions, const char *member)
{
    const struct fed_json *first = versions ? fed_json_find(versions->first, member) : NULL;

    FED_JSON_EACH(v, versions) {
        const struct fed_json *m = fed_json_find(v, member);

        if ((m == NULL) != (first == NULL) || (m && !fed_json_equal(m, first)))
            return false;
    }
    return true;
}

static void check_version(struct check *k, const struct fed_json *v, uint32_t n)
{
    const struct fed_json *schema = fed_json_at(v, "schema", "openAPIV3Schema", NULL);
    bool first = n == 0; /* what all versions share is looked at once */

    if (fed_json_find_text(v, "name").n)
        check_label(k, at(k, false, n, "name").p, fed_json_find_text(v, "name"));
    if (fed_json_find_text(v, "deprecationWarning").n && !fed_json_bool(fed_json_find(v, "deprecated"), false))
        fed_causes_add(k->c, FED_CAUSE_INVALID, at(k, false, n, "deprecationWarning"),
                       quoted(k->c, fed_json_find_text(v, "deprecationWarning")),
                       "can only be set for deprecated versions");
    if (!schema)
        required(k, at(k, false, n, "schema.openAPIV3Schema").p, "schemas are required");
    else if (first || !k->shared_schema)
        fed_crd_schema_check(schema,
                             k->shared_schema ? FED_STR("spec.validation.openAPIV3Schema")
                                              : at(k, false, n, "schema.openAPIV3Schema"),
                             k->c, k->w->warn, k->w->warn_ud);
    if (first || !k->shared_columns)
        check_columns(k, fed_json_find(v, "additionalPrinterColumns"), n);
    if (first || !k->shared_subs)
        check_scale(k, fed_json_at(v, "subresources", "scale", NULL), n);
    check_selectable(k, v, n);
}

static void check_versions(struct check *k)
{
    const struct fed_json *list = fed_json_find(k->spec, "versions");
    uint32_t n = 0, stored = 0;

    k->shared_schema = same_in_all(list, "schema");
    k->shared_columns = same_in_all(list, "additionalPrinterColumns");
    k->shared_subs = same_in_all(list, "subresources");
    if (!list || !list->n || list->n > 100) {
        required(k, "spec.versions", "must have between 1 and 100 versions");
        return;
    }
    FED_JSON_EACH(v, list) {
        for (const struct fed_json *o = list->first; o != v; o = o->next)
            if (fed_str_eq(fed_json_find_text(o, "name"), fed_json_find_text(v, "name")))
                fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.versions"),
                               quoted(k->c, fed_json_find_text(v, "name")), "must contain unique version names");
        stored += fed_json_bool(fed_json_find(v, "storage"), false);
        check_version(k, v, n++);
    }
    if (stored != 1)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.versions"), fed_arena_printf(k->c->arena, "%u", stored),
                       "must have exactly one version marked as storage version");
}

/* --- conversion --- */

static void check_webhook(struct check *k, const struct fed_json *webhook)
{
    const struct fed_json *config = fed_json_find(webhook, "clientConfig");
    const struct fed_json *service = fed_json_find(config, "service");
    struct fed_str url = fed_json_find_text(config, "url");
    bool v1 = false;

    FED_JSON_EACH(it, fed_json_find(webhook, "conversionReviewVersions"))
        v1 |= fed_str_is(fed_json_str(it), "v1");
    if (!v1)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.conversion.conversionReviewVersions"), FED_STR("[]"),
                       "must include v1");
    if (!config)
        required(k, "spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
    else if ((url.n != 0) == (service != NULL))
        fed_causes_add(k->c, FED_CAUSE_REQUIRED, FED_STR("spec.conversion.webhookClientConfig"), none,
                       "exactly one of url or service is required");
    else if (url.n && !fed_str_starts(url, FED_STR("https://")))
        invalid(k, "spec.conversion.webhookClientConfig.url", url,
                "'https' is the only allowed URL scheme; desired format: https://host[/path]");
}

static void check_conversion(struct check *k)
{
    const struct fed_json *conv = fed_json_find(k->spec, "conversion"), *webhook = fed_json_find(conv, "webhook");
    struct fed_str strategy = fed_json_find_text(conv, "strategy");

    if (fed_str_is(strategy, "Webhook"))
        check_webhook(k, webhook);
    else if (!fed_str_is(strategy, "None"))
        fed_causes_add(k->c, FED_CAUSE_NOT_SUPPORTED, FED_STR("spec.conversion.strategy"), quoted(k->c, strategy),
                       "supported values: \"None\", \"Webhook\"");
    else if (fed_json_find(webhook, "clientConfig"))
        fed_causes_add(k->c, FED_CAUSE_FORBIDDEN, FED_STR("spec.conversion.webhookClientConfig"), none,
                       "should not be set when strategy is not set to Webhook");
}

/* --- changes and status --- */

static void check_same(struct check *k, const char *field, struct fed_str old, struct fed_str now)
{
    if (!fed_str_eq(old, now))
        invalid(k, field, now, "field is immutable");
}

static void check_change(struct check *k)
{
    const struct fed_json *old = fed_json_find(k->w->old, "spec");

    if (fed_crd_established(k->w->old)) {
        check_same(k, "spec.scope", fed_json_find_text(old, "scope"), fed_json_find_text(k->spec, "scope"));
        check_same(k, "spec.names.kind", fed_json_find_text(fed_json_find(old, "names"), "kind"),
                   fed_json_find_text(fed_json_find(k->spec, "names"), "kind"));
    }
    check_same(k, "spec.group", fed_json_find_text(old, "group"), fed_json_find_text(k->spec, "group"));
    check_same(k, "spec.names.plural", fed_json_find_text(fed_json_find(old, "names"), "plural"),
               fed_json_find_text(fed_json_find(k->spec, "names"), "plural"));
}

static void check_stored(struct check *k, const struct fed_json *obj)
{
    const struct fed_json *list = fed_json_at(obj, "status", "storedVersions", NULL);
    struct fed_str storage = storage_version(k->spec);
    bool has_storage = false;
    uint32_t i = 0;

    FED_JSON_EACH(it, list) {
        bool found = false;

        FED_JSON_EACH(v, fed_json_find(k->spec, "versions"))
            found |= fed_str_eq(fed_json_find_text(v, "name"), fed_json_str(it));
        has_storage |= fed_str_eq(fed_json_str(it), storage);
        if (!found)
            invalid(k, fed_arena_printf(k->c->arena, "status.storedVersions[%u]", i).p, fed_json_str(it),
                    "must appear in spec.versions");
        i++;
    }
    if (storage.n && !has_storage)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("status.storedVersions"), FED_STR("[]"),
                       "must have the storage version %.*s", FED_STR_ARG(storage));
}

static void validate_crd(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    struct check k = {.c = causes, .w = w, .spec = fed_json_find(obj, "spec")};

    (void)ud;
    if (!k.spec || k.spec->type != FED_JSON_OBJECT || causes->n)
        return; /* the schema said what is missing */
    check_stored(&k, obj);
    if (w->subresource.n)
        return;
    /* What did not change was valid; a definition that is being deleted must stay writable. */
    if (w->old && fed_json_equal(fed_json_find(w->old, "spec"), k.spec))
        return;
    check_identity(&k, obj);
    check_versions(&k);
    check_conversion(&k);
    if (w->old)
        check_change(&k);
}

const struct fed_core_hooks fed_hooks_crd[] = {
    {FED_CRD_GROUP, FED_CRD_PLURAL, {.defaults = default_crd, .prepare = prepare_crd, .validate = validate_crd}},
    {NULL, NULL, {0}}};
