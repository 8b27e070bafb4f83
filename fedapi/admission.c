/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/admission.h"

#include "fedapi/controllers/custom.h"
#include "fedapi/controllers/marks.h"
#include "kube/crd.h"

static const struct {
    const char *group, *resource;
} edge_reads[] = {{"federation", "clusters"},
                  {"multicluster.x-k8s.io", "serviceimports"},
                  {"discovery.k8s.io", "endpointslices"},
                  {"networking.k8s.io", "ingresses"},
                  {"", "secrets"}};

static bool in_group(const struct fed_identity *who, const char *group)
{
    for (size_t i = 0; i < who->n_groups; i++)
        if (fed_str_is(who->groups[i], group))
            return true;
    return false;
}

enum fed_authz fapi_authorize(void *ud FED_UNUSED, const struct fed_api_request *req)
{
    struct fed_str verb = fed_str(req->verb);
    if (!in_group(&req->who, "hansa:edge"))
        return FED_AUTHZ_NO_OPINION;
    if (!fed_str_is(verb, "get") && !fed_str_is(verb, "list") && !fed_str_is(verb, "watch"))
        return FED_AUTHZ_NO_OPINION;
    /* Secrets are read for TLS only; those of the control plane never. */
    if (fed_str_is(req->resource, "secrets") && fapi_ns_is_private(req->ns))
        return FED_AUTHZ_DENY;
    for (size_t i = 0; i < FED_ARRAY_LEN(edge_reads); i++)
        if (fed_str_is(req->group, edge_reads[i].group) && fed_str_is(req->resource, edge_reads[i].resource))
            return FED_AUTHZ_ALLOW;
    return FED_AUTHZ_NO_OPINION;
}

static bool is_replicaset(const struct fed_kind *kind)
{
    return !kind->custom && fed_str_is(kind->kind, "ReplicaSet");
}

static bool is_history(const struct fed_kind *kind, const struct fed_json *obj)
{
    return is_replicaset(kind) && fed_str_is(fed_obj_label(obj, FAPI_HISTORY), "true");
}

/* A ReplicaSet that is a Deployment's when it is made, or was. Members make their own of the Deployment. */
static void keep_history(struct fed_arena *a, const struct fed_kind *kind, const struct fed_json *old,
                         struct fed_json *obj)
{
    bool owned = old && is_history(kind, old);
    FED_JSON_EACH(o, old || !is_replicaset(kind) ? NULL : fed_json_at(obj, "metadata", "ownerReferences", NULL))
        owned |= fed_json_bool(fed_json_find(o, "controller"), false) &&
                 fed_str_is(fed_json_find_text(o, "kind"), "Deployment");
    if (owned && !is_history(kind, obj))
        fed_obj_set_label(a, obj, FAPI_HISTORY, FED_STR("true"));
}

static bool goes_to_members(const struct fed_kind *kind, const struct fed_json *obj)
{
    return kind->residence == FED_RESIDE_BOTH && !is_history(kind, obj) &&
           !fapi_stays(kind->custom ? FED_STR("") : kind->kind, kind->namespaced ? fed_obj_ns(obj) : FED_STR(""),
                       fed_obj_name(obj), fed_json_find_text(obj, "type"));
}

static bool waits_for_members(const struct fed_kind *kind, const struct fed_json *obj)
{
    return goes_to_members(kind, obj) || fed_str_is(kind->group, "federation");
}

int fapi_admit(void *ud FED_UNUSED, const struct fed_api_request *req, const struct fed_kind *kind,
               const struct fed_json *old, struct fed_json *obj, struct fed_err *err FED_UNUSED)
{
    if (fed_crd_is(kind)) { /* on updates too: it may be told to go later */
        bool ends = fed_json_at(obj, "metadata", "deletionTimestamp", NULL) != NULL;
        if (!req->subresource.n && !ends && fapi_custom_admit(req->arena, old, obj))
            fed_obj_add_finalizer(req->arena, obj, FAPI_FINALIZER);
        return 0;
    }
    keep_history(req->arena, kind, old, obj);
    if (!old && waits_for_members(kind, obj))
        fed_obj_add_finalizer(req->arena, obj, FAPI_FINALIZER);
    return 0;
}
