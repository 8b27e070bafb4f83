/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/custom.h"

#include "apiserver/watch.h"
#include "base/mem.h"
#include "kube/crd.h"

struct custom { /* one definition that is served */
    struct fed_kind *kind;
    struct fed_kcache *kc;
    uint64_t shape; /* hash of all that the kind depends on */
};

static struct fed_kcache *definitions(struct fed_api *api)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, FED_STR(FED_CRD_GROUP), FED_STR("v1"), FED_STR(FED_CRD_PLURAL));
    return v && fed_crd_is(v->kind) ? fed_cache_kind(&api->cache, v->kind) : NULL;
}

static uint64_t shape_of(const struct fed_json *document)
{
    struct fed_buf b = {0};
    fed_json_write(&b, document);
    uint64_t h = fed_str_hash(fed_buf_str(&b), 0);
    fed_buf_release(&b);
    return h;
}

/* A kind of the program's own under this name stays: the definition does not take its place. */
static bool is_taken(struct fed_api *api, const struct fed_kind *kind)
{
    const struct fed_kind_version *v =
        fed_kinds_by_resource(api->conf.kinds, kind->group, (struct fed_str){NULL, 0}, kind->plural);
    return v && !v->kind->custom;
}

static int add_custom(struct fed_api *api, const struct fed_kobj *crd, struct fed_kind *kind, uint64_t shape,
                      struct fed_err *err)
{
    if (is_taken(api, kind)) {
        fed_kind_unref(kind);
        return 0;
    }
    struct custom *cu = FED_NEW(struct custom);
    cu->kind = kind;
    cu->shape = shape;
    int rc = fed_cache_add_kind(&api->cache, kind, crd->rev, &cu->kc, err);
    fed_kinds_put(api->conf.kinds, kind);
    fed_map_set(&api->customs, crd->name, cu);
    fed_api_docs_release(api);
    return rc;
}

static void swap_custom(struct fed_api *api, struct custom *cu, struct fed_kind *kind, uint64_t shape)
{
    fed_hub_end_kind(api->hub, cu->kc);
    fed_cache_swap_kind(cu->kc, kind);
    fed_kinds_put(api->conf.kinds, kind);
    fed_kind_unref(cu->kind);
    cu->kind = kind;
    cu->shape = shape;
    fed_api_docs_release(api);
}

static void remove_custom(struct fed_api *api, struct fed_str name)
{
    struct custom *cu = fed_map_remove(&api->customs, name);
    if (!cu)
        return;
    fed_hub_end_kind(api->hub, cu->kc);
    fed_kinds_remove(api->conf.kinds, cu->kind->group, cu->kind->plural);
    fed_cache_drop_kind(&api->cache, cu->kc);
    fed_kind_unref(cu->kind);
    free(cu);
    fed_api_docs_release(api);
}

/* What the definition says now. */
static int follow(struct fed_api *api, const struct fed_kobj *crd, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *tree = fed_kobj_parse(crd, &a);
    struct custom *cu = fed_map_find(&api->customs, crd->name);
    struct fed_kind *kind = NULL;
    int rc = 0;
    if (cu || fed_crd_established(tree)) {
        struct fed_json *doc = fed_crd_document(&a, tree);
        uint64_t shape = shape_of(doc);
        /* One that does not compile was written by another version of this program: it is not served, or served as
         * it was. */
        bool other = !cu || cu->shape != shape;
        if (other && fed_kind_compile(api->conf.kinds, doc, &kind, NULL) == 0) {
            if (cu)
                swap_custom(api, cu, kind, shape);
            else
                rc = add_custom(api, crd, kind, shape, err);
        }
        cu = fed_map_find(&api->customs, crd->name);
        if (cu)
            cu->kind->terminating = crd->deleting;
    }
    fed_arena_release(&a);
    return rc;
}

struct all {
    struct fed_api *api;
    struct fed_err *err;
    int rc;
};

static bool follow_one(void *ud, struct fed_kobj *o)
{
    struct all *all = ud;
    all->rc = follow(all->api, o, all->err);
    return all->rc == 0;
}

int fed_custom_loaded(struct fed_api *api, struct fed_err *err)
{
    struct fed_kcache *kc = definitions(api);
    struct all all = {.api = api, .err = err};
    struct fed_str none = {NULL, 0};
    if (!kc)
        return 0;
    struct fed_node *root = fed_cache_snapshot(kc);
    fed_tree_walk(root, none, none, none, follow_one, &all);
    fed_tree_unref(root);
    return all.rc;
}

void fed_custom_changed(struct fed_api *api, const struct fed_change *change)
{
    if (!fed_crd_is(change->kc->kind))
        return;
    if (change->deleted)
        remove_custom(api, change->now->name);
    else
        (void)follow(api, change->now, NULL); /* damaged orphans stay orphans */
}

static const char terminating[] = "create not allowed while custom resource definition is terminating";

bool fed_custom_refuses_create(struct fed_api_reply *r)
{
    if (r->v->kind->terminating)
        fed_api_fail(r, FED_E_METHOD_NOT_ALLOWED, NULL, terminating);
    else if (fed_crd_is(r->v->kind) && r->kc->n >= FED_CUSTOM_MAX)
        fed_api_fail_object(r, FED_E_FORBIDDEN,
                            "there are %d custom resource definitions already, the most that this "
                            "server has",
                            FED_CUSTOM_MAX);
    else
        return false;
    return true;
}

/* A write may have waited for webhooks. What would be written under a kind that went would be there again, unseen, when
 * the kind comes back. */
int fed_custom_check_commit(struct fed_write_op *op)
{
    const struct fed_kind *k = op->w.kind;
    if (!k->custom)
        return 0;
    struct fed_kcache *kc = fed_cache_kind(&op->r->api->cache, k);
    if (!kc || kc != op->r->kc)
        return fed_err_set(&op->err, FED_E_NOT_FOUND, "the server could not find the requested resource");
    if (op->create && kc->kind->terminating)
        return fed_err_set(&op->err, FED_E_METHOD_NOT_ALLOWED, "%s", terminating);
    return 0;
}

void fed_custom_release(struct fed_api *api)
{
    FED_MAP_EACH(e, &api->customs) {
        struct custom *cu = e->value;
        fed_kinds_remove(api->conf.kinds, cu->kind->group, cu->kind->plural);
        fed_kind_unref(cu->kind);
        free(cu);
    }
    fed_map_release(&api->customs);
}
