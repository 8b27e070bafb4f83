/* SPDX-License-Identifier: Apache-2.0 */
/* crd_check.c: what makes a CustomResourceDefinition valid (its schemas: crd_schema.c), told in the order of Kubernetes. There
 * the definition is read into a form in which what all versions have in common stands once, at the top of spec: so are the
 * fields named, and so late are they looked at. */
#include "kube/check.h"
#include "kube/crd.h"
#include "kube/names.h"
#include "kube/schema_priv.h"

static const struct fed_str none = {NULL, 0};

struct check {
    struct fed_causes *c;
    const struct fed_write *w;
    const struct fed_json *spec;
    bool shared_schema, shared_columns, shared_subs, shared_fields; /* the same in all versions */
};

static void invalid(struct check *k, const char *field, struct fed_str value, const char *why)
{
    fed_causes_add(k->c, FED_CAUSE_INVALID, fed_str(field), fed_quoted(k->c->arena, value), "%s", why);
}

static void required(struct check *k, const char *field, const char *why)
{
    fed_causes_add(k->c, FED_CAUSE_REQUIRED, fed_str(field), none, "%s", why);
}

static void not_supported(struct check *k, const char *field, struct fed_str value, const char *words)
{
    fed_causes_add(k->c, FED_CAUSE_NOT_SUPPORTED, fed_str(field), fed_quoted(k->c->arena, value),
                   "supported values: %s", words);
}

/* --- names --- */

static void check_label(struct check *k, const char *field, struct fed_str s)
{
    const char *why = fed_name_check_1035(s);

    if (why)
        invalid(k, field, s, why);
}

static void check_names(struct check *k, const struct fed_json *names, const char *at)
{
    struct fed_arena *a = k->c->arena;
    static const char *const labels[] = {"plural", "singular"}, *const kinds[] = {"kind", "listKind"};
    struct fed_str kind = fed_json_find_text(names, "kind"), list_kind = fed_json_find_text(names, "listKind");
    uint32_t n = 0;

    for (size_t i = 0; i < FED_ARRAY_LEN(labels); i++)
        if (fed_json_find_text(names, labels[i]).n)
            check_label(k, fed_arena_printf(a, "%s.%s", at, labels[i]).p, fed_json_find_text(names, labels[i]));
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++) {
        struct fed_str v = fed_json_find_text(names, kinds[i]);
        const char *why = v.n ? fed_name_check_1035(fed_name_lower(a, v)) : NULL;

        if (why)
            invalid(k, fed_arena_printf(a, "%s.%s", at, kinds[i]).p, v,
                    fed_arena_printf(a, "may have mixed case, but should otherwise match: %s", why).p);
    }
    FED_JSON_EACH(it, fed_json_find(names, "shortNames"))
        check_label(k, fed_arena_printf(a, "%s.shortNames[%u]", at, n++).p, fed_json_str(it));
    if (kind.n && fed_str_eq(kind, list_kind))
        invalid(k, fed_arena_printf(a, "%s.listKind", at).p, list_kind, "kind and listKind may not be the same");
    n = 0;
    FED_JSON_EACH(it, fed_json_find(names, "categories"))
        check_label(k, fed_arena_printf(a, "%s.categories[%u]", at, n++).p, fed_json_str(it));
}

static void check_own_names(struct check *k)
{
    static const char *const all[] = {"plural", "singular", "kind", "listKind"};
    const struct fed_json *names = fed_json_find(k->spec, "names");

    for (size_t i = 0; i < FED_ARRAY_LEN(all); i++)
        if (!fed_json_find_text(names, all[i]).n)
            required(k, fed_arena_printf(k->c->arena, "spec.names.%s", all[i]).p, "");
    check_names(k, names, "spec.names");
}

static void check_identity(struct check *k)
{
    struct fed_str group = fed_json_find_text(k->spec, "group"), scope = fed_json_find_text(k->spec, "scope");
    const char *why = group.n ? fed_name_check_subdomain(group) : NULL;

    if (!group.n)
        required(k, "spec.group", "");
    else if (why)
        invalid(k, "spec.group", group, why);
    else if (fed_str_chr(group, '.', 0) < 0)
        invalid(k, "spec.group", group, "should be a domain with at least one dot");
    if (!scope.n)
        required(k, "spec.scope", "");
    else if (!fed_str_is(scope, "Namespaced") && !fed_str_is(scope, "Cluster"))
        not_supported(k, "spec.scope", scope, "\"Cluster\", \"Namespaced\"");
}

/* --- approval --- */

static bool ends_with(struct fed_str s, const char *end)
{
    size_t n = strlen(end);

    return s.n >= n && fed_str_is(fed_str_from(s, s.n - n), end);
}

/* Groups of Kubernetes itself are for kinds that were reviewed there. */
enum approval { APPROVAL_MISSING, APPROVAL_GIVEN, APPROVAL_BYPASSED, APPROVAL_INVALID };

static enum approval approval_of(const struct fed_json *obj)
{
    struct fed_str v = fed_obj_annotation(obj, "api-approved.kubernetes.io");

    return !v.n                                       ? APPROVAL_MISSING
           : fed_str_starts(v, FED_STR("https://"))   ? APPROVAL_GIVEN
           : fed_str_starts(v, FED_STR("unapproved")) ? APPROVAL_BYPASSED
                                                      : APPROVAL_INVALID;
}

static void check_approval(struct check *k, const struct fed_json *obj, struct fed_str group)
{
    static const char key[] = "api-approved.kubernetes.io";
    struct fed_str v = fed_obj_annotation(obj, key);

    if (!fed_str_is(group, "k8s.io") && !ends_with(group, ".k8s.io") && !fed_str_is(group, "kubernetes.io") &&
        !ends_with(group, ".kubernetes.io"))
        return;
    if (k->w->old && approval_of(k->w->old) == approval_of(obj))
        return; /* what was made before stays writable */
    if (approval_of(obj) == APPROVAL_MISSING)
        fed_causes_add(k->c, FED_CAUSE_REQUIRED, FED_STR("metadata.annotations[api-approved.kubernetes.io]"), none,
                       "protected groups must have approval annotation \"%s\", see "
                       "https://github.com/kubernetes/enhancements/pull/1111",
                       key);
    else if (approval_of(obj) == APPROVAL_INVALID)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("metadata.annotations[api-approved.kubernetes.io]"),
                       fed_quoted(k->c->arena, v),
                       "protected groups must have approval annotation \"%s\" with either a URL or a reason starting "
                       "with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
                       key);
}

/* --- paths into objects --- */

static void check_path(struct check *k, struct fed_str field, struct fed_str path, const char *const *roots,
                       const char *where)
{
    bool fine = false;

    for (; *roots; roots++)
        fine |= fed_str_starts(path, fed_str(*roots));
    if (path.n && path.p[0] != '.')
        invalid(k, field.p, path, "must be a simple json path starting with .");
    else if (path.n && !fine)
        invalid(k, field.p, path, where);
}

/* Where the subresources, columns and fields of a version stand: "spec.versions[1]", or "spec" when all have the same. */
static struct fed_str at(struct check *k, bool shared, uint32_t version, const char *rest)
{
    return shared ? fed_arena_printf(k->c->arena, "spec.%s", rest)
                  : fed_arena_printf(k->c->arena, "spec.versions[%u].%s", version, rest);
}

static void check_scale(struct check *k, const struct fed_json *scale, uint32_t version)
{
    static const struct {
        const char *name, *roots[3], *where;
        bool needed;
    } paths[] = {{"specReplicasPath", {".spec.", NULL}, "should be a json path under .spec", true},
                 {"statusReplicasPath", {".status.", NULL}, "should be a json path under .status", true},
                 {"labelSelectorPath",
                  {".spec.", ".status.", NULL},
                  "should be a json path under either .spec or .status",
                  false}};

    for (size_t i = 0; scale && i < FED_ARRAY_LEN(paths); i++) {
        struct fed_str p = fed_json_find_text(scale, paths[i].name);
        struct fed_str field =
            at(k, k->shared_subs, version, fed_arena_printf(k->c->arena, "subresources.scale.%s", paths[i].name).p);

        if (!p.n && paths[i].needed)
            required(k, field.p, "");
        check_path(k, field, p, paths[i].roots, paths[i].where);
    }
}

static bool one_of(struct fed_str s, const char *const *list)
{
    for (; *list; list++)
        if (fed_str_is(s, *list))
            return true;
    return false;
}

static void check_column(struct check *k, const struct fed_json *col, struct fed_str base)
{
    static const char *const types[] = {"integer", "number", "string", "boolean", "date", NULL};
    static const char *const formats[] = {"int32", "int64",     "float",    "double",   "byte", "date",
                                          "time",  "date-time", "datetime", "password", NULL};
    static const char *const anywhere[] = {".", NULL};
    static const char of_types[] = "must be one of boolean,date,integer,number,string";
    struct fed_str type = fed_json_find_text(col, "type"), format = fed_json_find_text(col, "format");
    struct fed_str path = fed_json_find_text(col, "jsonPath"), field;

    if (!fed_json_find_text(col, "name").n)
        required(k, fed_arena_printf(k->c->arena, "%s.name", base.p).p, "");
    field = fed_arena_printf(k->c->arena, "%s.type", base.p);
    if (!type.n)
        required(k, field.p, of_types);
    else if (!one_of(type, types))
        invalid(k, field.p, type, of_types);
    if (format.n && !one_of(format, formats))
        invalid(k, fed_arena_printf(k->c->arena, "%s.format", base.p).p, format,
                "must be one of byte,date,date-time,datetime,double,float,int32,int64,password,time");
    field = fed_arena_printf(k->c->arena, "%s.JSONPath", base.p);
    if (!path.n)
        required(k, field.p, "");
    check_path(k, field, path, anywhere, "");
}

static void check_columns(struct check *k, const struct fed_json *v, uint32_t version)
{
    uint32_t i = 0;

    FED_JSON_EACH(col, fed_json_find(v, "additionalPrinterColumns"))
        check_column(
            k, col,
            at(k, k->shared_columns, version, fed_arena_printf(k->c->arena, "additionalPrinterColumns[%u]", i++).p));
}

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

static void check_selectable(struct check *k, const struct fed_json *version, uint32_t n)
{
    const struct fed_json *list = fed_json_find(version, "selectableFields");
    uint32_t i = 0;

    if (list && list->n > 8)
        fed_causes_add(k->c, FED_CAUSE_TOO_MANY, at(k, k->shared_fields, n, "selectableFields"),
                       fed_arena_printf(k->c->arena, "%u", list->n), "must have at most 8 items");
    FED_JSON_EACH(it, list) {
        struct fed_str path = fed_json_find_text(it, "jsonPath"), rest = path, name;
        struct fed_str field =
            at(k, k->shared_fields, n, fed_arena_printf(k->c->arena, "selectableFields[%u].jsonPath", i++).p);
        const struct fed_json *s = fed_json_at(version, "schema", "openAPIV3Schema", NULL);

        if (!path.n) {
            required(k, field.p, "");
            continue;
        }
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
                fed_causes_add(k->c, FED_CAUSE_DUPLICATE, field, fed_quoted(k->c->arena, path), "%s", "");
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

static bool has_status(const struct fed_json *version)
{
    return fed_json_at(version, "subresources", "status", NULL) != NULL;
}

static void check_schema(struct check *k, const struct fed_json *v, uint32_t n)
{
    const struct fed_json *schema = fed_json_at(v, "schema", "openAPIV3Schema", NULL);

    if (schema)
        fed_crd_schema_check(schema,
                             k->shared_schema ? FED_STR("spec.validation.openAPIV3Schema")
                                              : at(k, false, n, "schema.openAPIV3Schema"),
                             has_status(v), k->c, k->w->warn, k->w->warn_ud);
}

static void check_warning(struct check *k, const struct fed_json *v, uint32_t n)
{
    const struct fed_json *warning = fed_json_find(v, "deprecationWarning");
    const char *field = at(k, false, n, "deprecationWarning").p;

    if (!warning || warning->type == FED_JSON_NULL)
        return;
    if (!fed_json_bool(fed_json_find(v, "deprecated"), false))
        invalid(k, field, fed_json_str(warning), "can only be set for deprecated versions");
    else if (!fed_json_str(warning).n)
        invalid(k, field, fed_json_str(warning), "must not be an empty string");
    else if (fed_json_str(warning).n > 256)
        invalid(k, field, fed_json_str(warning), "must be <= 256 characters long");
}

static void check_version(struct check *k, const struct fed_json *v, uint32_t n)
{
    check_label(k, at(k, false, n, "name").p, fed_json_find_text(v, "name"));
    check_warning(k, v, n);
    if (!k->shared_schema)
        check_schema(k, v, n);
    if (!k->shared_subs)
        check_scale(k, fed_json_at(v, "subresources", "scale", NULL), n);
    if (!k->shared_columns)
        check_columns(k, v, n);
    if (!k->shared_fields)
        check_selectable(k, v, n);
}

static void check_versions(struct check *k, const struct fed_json *list)
{
    uint32_t n = 0, stored = 0;
    bool twice = false;

    FED_JSON_EACH(v, list) {
        const struct fed_json *schema = fed_json_at(v, "schema", "openAPIV3Schema", NULL);

        if (!schema)
            required(k, at(k, false, n, "schema.openAPIV3Schema").p, "schemas are required");
        n++;
    }
    n = 0;
    FED_JSON_EACH(v, list) {
        for (const struct fed_json *o = list->first; o != v; o = o->next)
            twice |= fed_str_eq(fed_json_find_text(o, "name"), fed_json_find_text(v, "name"));
        stored += fed_json_bool(fed_json_find(v, "storage"), false);
        check_version(k, v, n++);
    }
    if (twice)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.versions"), fed_shown(k->c->arena, list),
                       "must contain unique version names");
    if (stored != 1)
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("spec.versions"), fed_shown(k->c->arena, list),
                       "must have exactly one version marked as storage version");
    if (list && list->first && fed_json_find_text(list->first, "name").n) /* Kubernetes has that name twice */
        check_label(k, "spec.version", fed_json_find_text(list->first, "name"));
}

/* What all versions have in common. */
static void check_shared(struct check *k, const struct fed_json *list)
{
    const struct fed_json *first = list ? list->first : NULL;

    if (k->shared_schema)
        check_schema(k, first, 0);
    if (k->shared_subs)
        check_scale(k, fed_json_at(first, "subresources", "scale", NULL), 0);
    if (k->shared_columns)
        check_columns(k, first, 0);
    if (k->shared_fields)
        check_selectable(k, first, 0);
}

/* --- conversion --- */

static void check_client(struct check *k, const struct fed_json *config)
{
    const struct fed_json *service = fed_json_find(config, "service"), *url = fed_json_find(config, "url");
    static const char at_url[] = "spec.conversion.webhookClientConfig.url";
    static const char *const members[] = {"name", "namespace"};

    if (!config)
        required(k, "spec.conversion.webhookClientConfig", "required when strategy is set to Webhook");
    else if ((url != NULL) == (service != NULL))
        required(k, "spec.conversion.webhookClientConfig", "exactly one of url or service is required");
    else if (url && !fed_str_starts(fed_json_str(url), FED_STR("https://")))
        invalid(k, at_url, fed_json_str(url),
                "'https' is the only allowed URL scheme; desired format: https://host[/path]");
    else if (service)
        for (size_t i = 0; i < FED_ARRAY_LEN(members); i++)
            if (!fed_json_find_text(service, members[i]).n)
                required(k,
                         fed_arena_printf(k->c->arena, "spec.conversion.webhookClientConfig.service.%s", members[i]).p,
                         fed_arena_printf(k->c->arena, "service %s is required", members[i]).p);
}

static void check_reviews(struct check *k, const struct fed_json *versions)
{
    static const char path[] = "spec.conversion.conversionReviewVersions";
    bool known = false;
    uint32_t n = 0;

    if (!versions || !versions->n) {
        required(k, path, "");
        return;
    }
    FED_JSON_EACH(it, versions) {
        const char *field = fed_arena_printf(k->c->arena, "%s[%u]", path, n++).p;
        bool twice = false;

        for (const struct fed_json *o = versions->first; o != it; o = o->next)
            twice |= fed_json_equal(o, it);
        if (twice)
            invalid(k, field, fed_json_str(it), "duplicate version");
        else
            check_label(k, field, fed_json_str(it));
        known |= fed_str_is(fed_json_str(it), "v1") || fed_str_is(fed_json_str(it), "v1beta1");
    }
    if (!known)
        fed_causes_add(k->c, FED_CAUSE_INVALID, fed_str(path), fed_shown(k->c->arena, versions),
                       "must include at least one of v1, v1beta1");
}

static void check_conversion(struct check *k)
{
    const struct fed_json *conv = fed_json_find(k->spec, "conversion"), *webhook = fed_json_find(conv, "webhook");
    const struct fed_json *reviews = fed_json_find(webhook, "conversionReviewVersions");
    struct fed_str strategy = fed_json_find_text(conv, "strategy");

    if (!conv)
        return;
    if (!strategy.n)
        required(k, "spec.conversion.strategy", "");
    else if (!fed_str_is(strategy, "None") && !fed_str_is(strategy, "Webhook"))
        not_supported(k, "spec.conversion.strategy", strategy, "\"None\", \"Webhook\"");
    if (fed_str_is(strategy, "Webhook")) {
        check_client(k, fed_json_find(webhook, "clientConfig"));
        check_reviews(k, reviews);
        return;
    }
    if (fed_json_find(webhook, "clientConfig"))
        fed_causes_add(k->c, FED_CAUSE_FORBIDDEN, FED_STR("spec.conversion.webhookClientConfig"), none,
                       "should not be set when strategy is not set to Webhook");
    if (reviews && reviews->n)
        fed_causes_add(k->c, FED_CAUSE_FORBIDDEN, FED_STR("spec.conversion.conversionReviewVersions"), none,
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
    uint32_t i = 0;

    if (!list || !list->n) {
        fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("status.storedVersions"), FED_STR("[]"),
                       "must have at least one stored version");
        return;
    }
    FED_JSON_EACH(v, fed_json_find(k->spec, "versions")) {
        bool has = !fed_json_bool(fed_json_find(v, "storage"), false);

        FED_JSON_EACH(it, list)
            has |= fed_str_eq(fed_json_str(it), fed_json_find_text(v, "name"));
        if (!has)
            fed_causes_add(k->c, FED_CAUSE_INVALID, FED_STR("status.storedVersions"), fed_shown(k->c->arena, list),
                           "must have the storage version %.*s", FED_STR_ARG(fed_json_find_text(v, "name")));
    }
    FED_JSON_EACH(it, list) {
        struct fed_str name = fed_json_str(it);
        bool found = false;

        FED_JSON_EACH(v, fed_json_find(k->spec, "versions"))
            found |= fed_str_eq(fed_json_find_text(v, "name"), name);
        if (!found)
            invalid(
                k, fed_arena_printf(k->c->arena, "status.storedVersions[%u]", i).p, name,
                fed_arena_printf(k->c->arena,
                                 "missing from spec.versions; %.*s was previously a storage version, and must remain "
                                 "in spec.versions until a storage migration ensures no data remains persisted in "
                                 "%.*s and removes %.*s from status.storedVersions",
                                 FED_STR_ARG(name), FED_STR_ARG(name), FED_STR_ARG(name))
                    .p);
        i++;
    }
}

static void check_spec(struct check *k, const struct fed_json *obj)
{
    const struct fed_json *list = fed_json_find(k->spec, "versions");
    struct fed_str plural = fed_json_find_text(fed_json_find(k->spec, "names"), "plural"), name = fed_obj_name(obj);
    struct fed_str want = fed_arena_printf(k->c->arena, "%.*s.%.*s", FED_STR_ARG(plural),
                                           FED_STR_ARG(fed_json_find_text(k->spec, "group")));

    k->shared_schema = same_in_all(list, "schema");
    k->shared_columns = same_in_all(list, "additionalPrinterColumns");
    k->shared_subs = same_in_all(list, "subresources");
    k->shared_fields = same_in_all(list, "selectableFields");
    if (!k->w->old && !fed_str_eq(name, want))
        invalid(k, "metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
    check_identity(k);
    check_versions(k, list);
    check_own_names(k);
    check_shared(k, list);
    check_conversion(k);
    if (k->w->old)
        check_change(k);
}

void fed_crd_validate(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    struct check k = {.c = causes, .w = w, .spec = fed_json_find(obj, "spec")};

    if (!k.spec || k.spec->type != FED_JSON_OBJECT)
        return;
    causes->ordered = true;
    /* What did not change was valid; a definition that is being deleted must stay writable. */
    bool same = w->subresource.n || (w->old && fed_json_equal(fed_json_find(w->old, "spec"), k.spec));
    if (!same)
        check_spec(&k, obj);
    check_names(&k, fed_json_at(obj, "status", "acceptedNames", NULL), "status.acceptedNames");
    if (!w->subresource.n)
        check_stored(&k, obj);
    if (same)
        return;
    check_approval(&k, obj, fed_json_find_text(k.spec, "group"));
    if (fed_json_bool(fed_json_find(k.spec, "preserveUnknownFields"), false))
        fed_causes_add(causes, FED_CAUSE_INVALID, FED_STR("spec.preserveUnknownFields"), FED_STR("true"),
                       "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
                       "spec.versions[*].schema instead");
}
