/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/marks.h"

bool fapi_is_marked(const struct fed_kobj *o)
{
    return o && fed_str_is(fed_kobj_label(o, FAPI_MANAGED), "true");
}

bool fapi_is_history(const struct fed_kobj *o)
{
    return fed_str_is(o->kind, "ReplicaSet") && fed_str_is(fed_kobj_label(o, FAPI_HISTORY), "true");
}

enum fapi_whose fapi_whose(const struct fed_kobj *member_obj, struct fed_str federation_uid, struct fed_str source_uid)
{
    struct fed_str federation = fed_kobj_annotation(member_obj, FAPI_FEDERATION_UID);
    struct fed_str source = fed_kobj_annotation(member_obj, FAPI_SOURCE_UID);
    if (!federation.n)
        return FAPI_NOBODYS;
    if (!fed_str_eq(federation, federation_uid))
        return FAPI_OTHERS;
    return source_uid.n && fed_str_eq(source, source_uid) ? FAPI_OURS : FAPI_STALE;
}

bool fapi_ns_is_private(struct fed_str ns)
{
    return fed_str_is(ns, "federation-system") || fed_str_starts(ns, FED_STR("kube-"));
}

const char *fapi_stays(struct fed_str kind, struct fed_str ns, struct fed_str name, struct fed_str type)
{
    if (fapi_ns_is_private(ns))
        return "the namespace is each cluster's own";
    if (fed_str_is(kind, "Namespace") && ns.n == 0 && (fapi_ns_is_private(name) || fed_str_is(name, "default")))
        return "the namespace is each cluster's own";
    if ((fed_str_is(kind, "ServiceAccount") && fed_str_is(name, "default")) ||
        (fed_str_is(kind, "ConfigMap") && fed_str_is(name, "kube-root-ca.crt")))
        return "each cluster makes its own";
    if (fed_str_is(kind, "Secret") && fed_str_is(type, "kubernetes.io/service-account-token"))
        return "service account tokens are valid in one cluster only";
    if (fed_str_is(kind, "Secret") && fed_str_is(type, "helm.sh/release.v1"))
        return "a Helm release is of the whole federation";
    return NULL;
}

bool fapi_propagates(const struct fed_kobj *obj, bool custom, const char **why)
{
    struct fed_arena a = {0};
    struct fed_str type = {0};
    if (!custom && fapi_is_history(obj)) {
        *why = "it records what a Deployment of the federation was";
        return false;
    }
    /* Most Secrets are looked at without reading them. */
    if (!custom && fed_str_is(obj->kind, "Secret") &&
        (fed_str_find(obj->json, FED_STR("kubernetes.io/service-account-token"), 0) >= 0 ||
         fed_str_find(obj->json, FED_STR("helm.sh/release.v1"), 0) >= 0))
        type = fed_json_find_text(fed_kobj_parse(obj, &a), "type");
    *why = fapi_stays(custom ? FED_STR("") : obj->kind, obj->ns, obj->name, type);
    fed_arena_release(&a);
    return *why == NULL;
}
