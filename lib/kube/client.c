/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/client.h"

#include "http/url.h"
#include "kube/obj_scan.h"

struct fed_str fed_resource_api_version(struct fed_arena *a, const struct fed_resource *r)
{
    return *r->group ? fed_arena_printf(a, "%s/%s", r->group, r->version) : fed_str(r->version);
}

struct fed_str fed_resource_path(struct fed_arena *a, const struct fed_resource *r, struct fed_str ns,
                                 struct fed_str name, const char *sub, const char *query)
{
    struct fed_buf b = {0};
    if (*r->group)
        fed_buf_addf(&b, "/apis/%s/%s", r->group, r->version);
    else
        fed_buf_addf(&b, "/api/%s", r->version);
    if (r->namespaced && ns.n) {
        fed_buf_addz(&b, "/namespaces/");
        fed_url_encode(&b, ns);
    }
    fed_buf_addf(&b, "/%s", r->plural);
    if (name.n) {
        fed_buf_addc(&b, '/');
        fed_url_encode(&b, name);
    }
    if (sub && *sub)
        fed_buf_addf(&b, "/%s", sub);
    if (query && *query)
        fed_buf_addf(&b, "?%s", query);
    struct fed_str path = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return path;
}

void fed_resource_query_add(struct fed_buf *query, const char *name, struct fed_str value)
{
    if (!value.n)
        return;
    if (query->n)
        fed_buf_addc(query, '&');
    fed_buf_addf(query, "%s=", name);
    fed_url_encode(query, value);
}

static struct fed_call *start(struct fed_transport *t, const char *method, struct fed_str path, const char *type,
                              struct fed_str body, fed_call_cb cb, void *ud)
{
    struct fed_call_request req = {.method = method, .path = path, .content_type = fed_str(type), .body = body};
    return t->ops->call(t, &req, cb, ud);
}

struct fed_call *fed_client_get(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                struct fed_str name, fed_call_cb cb, void *ud)
{
    struct fed_arena a = {0};
    struct fed_call *call = start(t, "GET", fed_resource_path(&a, r, ns, name, "", ""), NULL, FED_STR(""), cb, ud);
    fed_arena_release(&a);
    return call;
}

struct fed_call *fed_client_list(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                 const char *query, fed_call_cb cb, void *ud)
{
    struct fed_arena a = {0};
    struct fed_call *call =
        start(t, "GET", fed_resource_path(&a, r, ns, FED_STR(""), "", query), NULL, FED_STR(""), cb, ud);
    fed_arena_release(&a);
    return call;
}

/* A call whose body is a tree. */
static struct fed_call *start_tree(struct fed_transport *t, const char *method, struct fed_str path, const char *type,
                                   const struct fed_json *tree, fed_call_cb cb, void *ud)
{
    struct fed_buf body = {0};
    fed_json_write(&body, tree);
    struct fed_call *call = start(t, method, path, type, fed_buf_str(&body), cb, ud);
    fed_buf_release(&body);
    return call;
}

struct fed_call *fed_client_create(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                   const struct fed_json *obj, fed_call_cb cb, void *ud)
{
    struct fed_arena a = {0};
    struct fed_call *call =
        start_tree(t, "POST", fed_resource_path(&a, r, ns, FED_STR(""), "", ""), "application/json", obj, cb, ud);
    fed_arena_release(&a);
    return call;
}

struct fed_call *fed_client_update(struct fed_transport *t, const struct fed_resource *r, const struct fed_json *obj,
                                   const char *sub, fed_call_cb cb, void *ud)
{
    struct fed_arena a = {0};
    struct fed_str path = fed_resource_path(&a, r, fed_obj_ns(obj), fed_obj_name(obj), sub, "");
    struct fed_call *call = start_tree(t, "PUT", path, "application/json", obj, cb, ud);
    fed_arena_release(&a);
    return call;
}

struct fed_call *fed_client_patch(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                  struct fed_str name, const char *sub, const char *type, const struct fed_json *patch,
                                  const char *query, fed_call_cb cb, void *ud)
{
    const char *media = strcmp(type, "merge") == 0       ? "application/merge-patch+json"
                        : strcmp(type, "json") == 0      ? "application/json-patch+json"
                        : strcmp(type, "strategic") == 0 ? "application/strategic-merge-patch+json"
                                                         : "application/apply-patch+yaml";
    struct fed_arena a = {0};
    struct fed_call *call =
        start_tree(t, "PATCH", fed_resource_path(&a, r, ns, name, sub, query), media, patch, cb, ud);
    fed_arena_release(&a);
    return call;
}

struct fed_call *fed_client_delete(struct fed_transport *t, const struct fed_resource *r, struct fed_str ns,
                                   struct fed_str name, const char *propagation, struct fed_str uid, fed_call_cb cb,
                                   void *ud)
{
    struct fed_arena a = {0};
    struct fed_json *options = fed_json_object(&a);
    fed_json_set(options, "kind", fed_json_new_strz(&a, "DeleteOptions"));
    fed_json_set(options, "apiVersion", fed_json_new_strz(&a, "v1"));
    if (propagation)
        fed_json_set(options, "propagationPolicy", fed_json_new_strz(&a, propagation));
    if (uid.n)
        fed_json_set(fed_json_ensure_object(&a, options, "preconditions"), "uid", fed_json_new_str(&a, uid));
    struct fed_call *call =
        start_tree(t, "DELETE", fed_resource_path(&a, r, ns, name, "", ""), "application/json", options, cb, ud);
    fed_arena_release(&a);
    return call;
}

/* --- lists --- */

struct list_parts {
    struct fed_str metadata, items;
};

static int take_part(void *ud, struct fed_str key, struct fed_str value)
{
    struct list_parts *parts = ud;
    if (fed_str_is(key, "metadata"))
        parts->metadata = value;
    else if (fed_str_is(key, "items"))
        parts->items = value;
    return 0;
}

struct list_items {
    struct fed_str api_version, kind;
    void (*item)(void *ud, struct fed_kobj *obj);
    void *ud;
    struct fed_err *err;
};

static int take_item(void *ud, struct fed_str key FED_UNUSED, struct fed_str value)
{
    struct list_items *items = ud;
    struct fed_kobj *obj;
    int code = fed_kobj_new(value, items->api_version, items->kind, &obj, items->err);
    if (code != 0)
        return code;
    items->item(items->ud, obj);
    fed_kobj_unref(obj);
    return 0;
}

int fed_list_read(struct fed_arena *a, const struct fed_resource *r, struct fed_str body,
                  void (*item)(void *ud, struct fed_kobj *obj), void *ud, uint64_t *rev, struct fed_str *cont,
                  struct fed_err *err)
{
    struct list_parts parts = {{0}, {0}};
    struct list_items items = {fed_resource_api_version(a, r), fed_str(r->kind), item, ud, err};
    struct fed_json *meta = NULL;
    *rev = 0;
    *cont = (struct fed_str){0};
    int code = fed_json_walk(body, take_part, &parts, err);
    if (code == 0 && parts.metadata.n)
        code = fed_json_parse(a, fed_arena_dup(a, parts.metadata), NULL, &meta, err);
    if (code != 0)
        return fed_err_wrap(err, code, "list of %s", r->plural);
    *cont = fed_json_find_text(meta, "continue");
    if (fed_str_u64(fed_json_find_text(meta, "resourceVersion"), rev) != 0)
        *rev = 0;
    if (parts.items.n && parts.items.p[0] == '[')
        code = fed_json_walk(parts.items, take_item, &items, err);
    return code == 0 ? 0 : fed_err_wrap(err, code, "list of %s", r->plural);
}
