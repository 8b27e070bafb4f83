/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/marks.h"

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

bool fapi_propagates(const struct fed_kobj *obj, const char **why)
{
    *why = NULL;
    if (fapi_ns_is_private(obj->ns))
        *why = "the namespace is each cluster's own";
    if (fed_str_is(obj->kind, "Namespace") && obj->ns.n == 0 &&
        (fapi_ns_is_private(obj->name) || fed_str_is(obj->name, "default")))
        *why = "the namespace is each cluster's own";
    if (fed_str_is(obj->kind, "Secret") &&
        fed_str_find(obj->json, FED_STR("kubernetes.io/service-account-token"), 0) >= 0) {
        struct fed_arena a = {0};
        if (fed_str_is(fed_json_find_text(fed_kobj_parse(obj, &a), "type"), "kubernetes.io/service-account-token"))
            *why = "service account tokens are valid in one cluster only";
        fed_arena_release(&a);
    }
    return *why == NULL;
}
