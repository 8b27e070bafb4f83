/* SPDX-License-Identifier: Apache-2.0 */
/* The current object of a write as a tree, in the version that is wanted; and what the scale subresource sets in it. */
#include "apiserver/registry.h"

/* Of a custom kind the encoding was made before (fed_conv_current), or needs no webhook. */
static struct fed_json *tree_in(struct fed_write_op *op, const struct fed_kind_version *v)
{
    struct fed_arena *a = &op->r->arena;
    struct fed_form form = {.kind = FED_FORM_OBJECT, .v = v};
    struct fed_json *tree = NULL;
    if (!v->kind->custom || !fed_form_ready(op->old, &form) ||
        fed_json_parse(a, fed_arena_dup(a, fed_form_bytes(op->old, &form, NULL)), NULL, &tree, NULL))
        return fed_kobj_parse(op->old, a);
    return tree;
}

struct fed_json *fed_registry_stored(struct fed_write_op *op)
{
    return tree_in(op, fed_kind_storage(op->r->v->kind));
}

struct fed_json *fed_registry_current(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    if (r->v->kind->custom)
        return tree_in(op, r->v);
    struct fed_json *tree = fed_kobj_parse(op->old, &r->arena);
    struct fed_err err = {0};
    if (fed_kind_convert(&r->arena, tree, fed_kind_storage(r->v->kind), r->v, &err)) {
        fed_api_fail_err(r, &err);
        return NULL;
    }
    return tree;
}

void fed_registry_put_replicas(struct fed_write_op *op, struct fed_json *obj, int64_t replicas)
{
    struct fed_arena *a = &op->r->arena;
    struct fed_json *at = obj;
    struct fed_str path = fed_kind_storage(op->w.kind)->scale_spec_path, piece;
    if (path.n && path.p[0] == '.')
        path = fed_str_from(path, 1);
    while (fed_str_cut(&path, '.', &piece)) {
        if (!path.p) {
            fed_json_set_str(at, piece, fed_json_new_int(a, replicas));
            break;
        }
        struct fed_json *next = fed_json_find_str(at, piece);
        at = next ? next : fed_json_set_str(at, piece, fed_json_object(a));
    }
}
