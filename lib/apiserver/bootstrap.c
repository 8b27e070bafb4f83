/* SPDX-License-Identifier: Apache-2.0 */
/* What the server makes for itself before it is ready: the static namespaces, the roles that every server has. */
#include "apiserver/rbac.h"
#include "apiserver/registry.h"
#include "base/mem.h"

static void made(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err);

/* First the namespaces, then what lies in them; many at once, so that the store makes one transaction of them. */
static void bootstrap_step(struct fed_api *api)
{
    if (--api->bootstrap_left)
        return;
    if (!api->bootstrap_roles) {
        api->bootstrap_left = 1;
        api->bootstrap_roles = !fed_rbac_bootstrap(api, made);
        bootstrap_step(api);
        return;
    }
    fed_mem_trim(); /* after a first start */
    api->ready = true;
    api->on_ready(api->on_ready_ud, 0, NULL);
}

static void made(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err)
{
    struct fed_api *api = op->r->api;
    (void)rev;
    /* Somebody else, on the same store, was first. */
    if (code && code != FED_E_ALREADY_EXISTS && code != FED_E_CONFLICT && !api->failed) {
        api->failed = true;
        api->on_ready(api->on_ready_ud, code, err);
        return;
    }
    op->r->answered = true;
    fed_api_request_done(op->r);
    bootstrap_step(api);
}

static void make_namespace(struct fed_api *api, struct fed_kcache *kc, const char *name)
{
    struct fed_api_reply *r = fed_api_request_new(api);
    struct fed_arena *a = &r->arena;
    r->q.verb = "create";
    r->q.version = FED_STR("v1");
    r->q.resource = FED_STR("namespaces");
    r->q.name = fed_str(name);
    r->v = fed_kind_storage(kc->kind);
    r->kc = kc;
    struct fed_write_op *op = fed_write_op_new(r, NULL);
    op->done = made;
    op->create = true;
    op->manager = fed_str(api->conf.server_name ? api->conf.server_name : "hansa");
    op->obj = fed_obj_new(a, "v1", "Namespace", (struct fed_str){NULL, 0}, fed_str(name));
    fed_schema_default(a, r->v->schema, op->obj);
    fed_meta_create(op, op->obj);
    fed_commit_object(op);
}

static void start_up(struct fed_task *t)
{
    struct fed_api *api = fed_container_of(t, struct fed_api, bootstrap);
    struct fed_kcache *kc = fed_ns_cache(api);
    const char *const *names = api->conf.static_namespaces;
    api->bootstrap_left = 1;
    for (; kc && names && *names; names++)
        if (!fed_cache_find(kc, (struct fed_str){NULL, 0}, fed_str(*names))) {
            api->bootstrap_left++;
            make_namespace(api, kc, *names);
        }
    bootstrap_step(api);
}

void fed_api_bootstrap(struct fed_api *api)
{
    fed_task_post(api->env, &api->bootstrap, start_up);
}
