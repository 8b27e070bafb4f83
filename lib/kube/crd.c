/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/crd.h"

bool fed_crd_is(const struct fed_kind *kind)
{
    return !kind->custom && fed_str_is(kind->group, FED_CRD_GROUP) && fed_str_is(kind->plural, FED_CRD_PLURAL);
}

bool fed_crd_established(const struct fed_json *crd)
{
    const struct fed_json *c = fed_obj_condition(fed_json_find(crd, "status"), "Established");

    return c && fed_str_is(fed_json_find_text(c, "status"), "True");
}

/* --- the document --- */

static void take(struct fed_arena *a, struct fed_json *to, const char *key, const struct fed_json *from,
                 const char *from_key)
{
    const struct fed_json *v = fed_json_find(from, from_key);

    if (v && v->type != FED_JSON_NULL)
        fed_json_set(to, key, fed_json_copy(a, v));
}

static struct fed_str warning_of(struct fed_arena *a, const struct fed_json *crd, const struct fed_json *version)
{
    const struct fed_json *spec = fed_json_find(crd, "spec");
    struct fed_str own = fed_json_find_text(version, "deprecationWarning"), group = fed_json_find_text(spec, "group");

    if (!fed_json_bool(fed_json_find(version, "deprecated"), false))
        return (struct fed_str){NULL, 0};
    if (own.n)
        return own;
    return fed_arena_printf(a, "%.*s/%.*s %.*s is deprecated", FED_STR_ARG(group),
                            FED_STR_ARG(fed_json_find_text(version, "name")),
                            FED_STR_ARG(fed_json_find_text(fed_json_find(spec, "names"), "kind")));
}

static struct fed_json *columns_of(struct fed_arena *a, const struct fed_json *version)
{
    const struct fed_json *given = fed_json_find(version, "additionalPrinterColumns");
    struct fed_json *list, *age;

    if (given && given->type == FED_JSON_ARRAY && given->n)
        return fed_json_copy(a, given);
    list = fed_json_array(a);
    age = fed_json_push(list, fed_json_object(a));
    fed_json_set(age, "name", fed_json_new_strz(a, "Age"));
    fed_json_set(age, "type", fed_json_new_strz(a, "date"));
    fed_json_set(age, "jsonPath", fed_json_new_strz(a, ".metadata.creationTimestamp"));
    return list;
}

static struct fed_json *version_of(struct fed_arena *a, const struct fed_json *crd, const struct fed_json *version)
{
    struct fed_json *v = fed_json_object(a), *fields = fed_json_array(a);
    const struct fed_json *schema = fed_json_at(version, "schema", "openAPIV3Schema", NULL);
    struct fed_str warning = warning_of(a, crd, version);

    take(a, v, "name", version, "name");
    take(a, v, "served", version, "served");
    if (warning.n)
        fed_json_set(v, "deprecated", fed_json_new_str(a, warning));
    fed_json_set(v, "columns", columns_of(a, version));
    fed_json_set(v, "subresources", fed_json_object(a));
    if (fed_json_find(version, "subresources"))
        take(a, v, "subresources", version, "subresources");
    FED_JSON_EACH(f, fed_json_find(version, "selectableFields")) {
        struct fed_str path = fed_json_find_text(f, "jsonPath");

        if (path.n > 1)
            fed_json_push(fields, fed_json_new_str(a, fed_str_from(path, 1)));
    }
    fed_json_set(v, "selectableFields", fields);
    if (schema)
        fed_json_set(v, "schema", fed_json_copy(a, schema));
    return v;
}

struct fed_json *fed_crd_document(struct fed_arena *a, const struct fed_json *crd)
{
    const struct fed_json *spec = fed_json_find(crd, "spec"), *conversion = fed_json_find(spec, "conversion");
    const struct fed_json *names = fed_json_at(crd, "status", "acceptedNames", NULL);
    struct fed_json *doc = fed_json_object(a), *versions;
    static const char *const same[] = {"plural", "singular", "shortNames", "kind", "listKind", "categories"};

    if (!fed_json_find_text(names, "plural").n)
        names = fed_json_find(spec, "names");
    take(a, doc, "group", spec, "group");
    for (size_t i = 0; i < FED_ARRAY_LEN(same); i++)
        take(a, doc, same[i], names, same[i]);
    fed_json_set(doc, "namespaced", fed_json_new_bool(a, !fed_str_is(fed_json_find_text(spec, "scope"), "Cluster")));
    fed_json_set(
        doc, "residence",
        fed_json_new_strz(a, fed_str_is(fed_obj_annotation(crd, FED_CRD_RESIDENCE), "members") ? "both" : "hub"));
    fed_json_set(doc, "generation", fed_json_new_bool(a, true));
    versions = fed_json_set(doc, "versions", fed_json_array(a));
    FED_JSON_EACH(v, fed_json_find(spec, "versions")) {
        if (fed_json_bool(fed_json_find(v, "storage"), false))
            take(a, doc, "storageVersion", v, "name");
        fed_json_push(versions, version_of(a, crd, v));
    }
    if (fed_str_is(fed_json_find_text(conversion, "strategy"), "Webhook"))
        take(a, doc, "conversion", conversion, "webhook");
    return doc;
}

void fed_crd_begin_deletion(struct fed_arena *a, struct fed_json *crd, int64_t now_ms)
{
    struct fed_json *status = fed_json_ensure_object(a, crd, "status");

    if (!fed_obj_add_finalizer(a, crd, FED_CRD_FINALIZER))
        return;
    fed_obj_set_condition(a, status, "Terminating", "True", "InstanceDeletionPending",
                          FED_STR("CustomResourceDefinition marked for deletion; CustomResource deletion will begin "
                                  "soon"),
                          now_ms);
}
