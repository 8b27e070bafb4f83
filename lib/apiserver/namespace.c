/* SPDX-License-Identifier: Apache-2.0 */
/* Namespace lifecycle: nothing is created in a namespace that is missing or ending. The content of one that ends is
 * deleted by control/namespace.h, which then calls /finalize. */
#include "apiserver/registry.h"
#include "base/mem.h"

struct fed_kcache *fed_ns_cache(struct fed_api *api)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, (struct fed_str){NULL, 0}, FED_STR("v1"), FED_STR("namespaces"));
    return v ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

bool fed_api_ns_is_open(struct fed_api *api, struct fed_str ns)
{
    struct fed_kcache *kc = fed_ns_cache(api);
    struct fed_kobj *o = kc ? fed_cache_find(kc, (struct fed_str){NULL, 0}, ns) : NULL;
    return !kc || (o && !o->deleting);
}

bool fed_api_ns_open(struct fed_api_reply *r, struct fed_str ns)
{
    struct fed_kcache *kc = fed_ns_cache(r->api);
    if (!kc) /* a server without namespaces has nothing to check */
        return true;
    struct fed_kobj *o = fed_cache_find(kc, (struct fed_str){NULL, 0}, ns);
    if (!o) {
        struct fed_status_details d = {.name = ns, .kind = FED_STR("namespaces")};
        fed_api_fail(r, FED_E_NOT_FOUND, &d, "namespaces \"%.*s\" not found", FED_STR_ARG(ns));
        return false;
    }
    if (!o->deleting)
        return true;
    struct fed_buf b = {0}, m = {0};
    fed_buf_addf(&m,
                 "%.*s \"%.*s\" is forbidden: unable to create new content in namespace %.*s because it is being "
                 "terminated",
                 FED_STR_ARG(fed_api_qualified(r)), FED_STR_ARG(r->q.name), FED_STR_ARG(ns));
    fed_buf_addz(&b, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    fed_json_write_string(&b, fed_buf_str(&m));
    fed_buf_addz(&b, ",\"reason\":\"Forbidden\",\"details\":{\"name\":");
    fed_json_write_string(&b, r->q.name);
    if (r->q.group.n) {
        fed_buf_addz(&b, ",\"group\":");
        fed_json_write_string(&b, r->q.group);
    }
    fed_buf_addz(&b, ",\"kind\":");
    fed_json_write_string(&b, r->q.resource);
    fed_buf_addf(&b,
                 ",\"causes\":[{\"reason\":\"NamespaceTerminating\",\"message\":\"namespace %.*s is being "
                 "terminated\",\"field\":\"metadata.namespace\"}]},\"code\":403}",
                 FED_STR_ARG(ns));
    fed_api_answer_text(r, 403, fed_buf_str(&b));
    fed_buf_release(&b);
    fed_buf_release(&m);
    return false;
}

/* What every namespace has, whoever makes it: the finalizer and phase of its lifecycle, its name as a label. */
int fed_ns_prepare(const struct fed_write *w, struct fed_json *obj)
{
    struct fed_arena *a = w->arena;
    fed_obj_set_label(a, obj, "kubernetes.io/metadata.name", fed_obj_name(obj));
    const struct fed_json *was = fed_json_find(w->old, "spec");
    if (w->old && !w->subresource.n) { /* only the end of its life changes that */
        fed_json_remove_key(obj, "spec");
        if (was)
            fed_json_set(obj, "spec", fed_json_copy(a, was));
    }
    if (w->old)
        return 0;
    struct fed_json *list = fed_json_ensure_array(a, fed_json_ensure_object(a, obj, "spec"), "finalizers");
    bool has = false;
    FED_JSON_EACH(f, list)
        has |= fed_str_is(f->s, "kubernetes");
    if (!has)
        fed_json_push(list, fed_json_new_strz(a, "kubernetes"));
    fed_json_set(fed_json_ensure_object(a, obj, "status"), "phase", fed_json_new_strz(a, "Active"));
    return 0;
}
