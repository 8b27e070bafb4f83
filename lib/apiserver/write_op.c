/* SPDX-License-Identifier: Apache-2.0 */
/* A write under way, as data: made for its request, and what it holds given back. */
#include "apiserver/registry.h"

static void warn(void *ud, const char *text)
{
    fed_api_warn(ud, "%s", text);
}

static struct fed_str manager_of(struct fed_api_reply *r)
{
    struct fed_str m = fed_query_find(&r->query, "fieldManager");
    if (m.n)
        return m;
    ptrdiff_t slash = fed_str_chr(r->user_agent, '/', 0);
    m = slash < 0 ? r->user_agent : fed_str_head(r->user_agent, (size_t)slash);
    return m.n ? fed_str_head(m, 128) : FED_STR("unknown");
}

struct fed_write_op *fed_write_op_new(struct fed_api_reply *r, void (*again)(struct fed_write_op *op))
{
    struct fed_write_op *op = FED_ARENA_NEW(&r->arena, struct fed_write_op);
    op->r = r;
    op->again = again;
    op->manager = manager_of(r);
    op->causes.arena = &r->arena;
    op->w = (struct fed_write){.env = r->api->env,
                               .arena = &r->arena,
                               .kind = r->v->kind,
                               .version = r->v,
                               .subresource = r->q.subresource,
                               .user = r->q.who.user,
                               .dry_run = r->q.dry_run,
                               .warn = warn,
                               .warn_ud = r};
    r->op = op;
    return op;
}

void fed_commit_release(struct fed_write_op *op)
{
    fed_kobj_unref(op->old);
    op->old = NULL;
    op->old_tree = NULL;
}

void fed_write_op_reset(struct fed_write_op *op)
{
    op->prepared = op->removing = op->create = op->generated = false;
    op->obj = NULL;
    op->causes.n = 0;
    op->err = (struct fed_err){0};
    fed_api_warn_kind(op->r);
}
