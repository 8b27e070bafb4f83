/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns the fields that a write changes: what the client wrote and its defaults are his, before anything of the server
 * or of webhooks is in the object. So webhooks see the entries of the write under way, and what they add is nobody's. */
#include "apiserver/registry.h"

void fed_owners_track(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    const struct fed_kind_version *stored = fed_kind_storage(op->w.kind);
    struct fed_ssa_write how = {
        .manager = op->manager, .subresource = r->q.subresource, .now_ms = fed_wall_ms(r->api->env)};
    fed_schema_zeros(op->w.arena, stored->schema, op->obj); /* what is always there is no news */
    bool same = op->old_tree && fed_meta_same(op->old_tree, op->obj) && fed_meta_same_managers(op->old_tree, op->obj);
    if (op->patch != FED_PATCH_APPLY && !same)
        fed_ssa_track(op->w.arena, stored, r->v, op->old_tree, op->obj, &how);
    op->owners = fed_json_at(op->obj, "metadata", "managedFields", NULL);
}

void fed_owners_after(struct fed_write_op *op)
{
    struct fed_json *meta = fed_json_find(op->obj, "metadata");
    struct fed_json *now = fed_json_find(meta, "managedFields");
    if (!op->waited || !now || now == op->owners || fed_ssa_readable(op->w.arena, op->obj))
        return;
    if (op->owners)
        fed_json_set(meta, "managedFields", fed_json_copy(op->w.arena, op->owners));
    else
        fed_json_remove(now);
    fed_api_warn(op->r, ".metadata.managedFields was in an invalid state after admission; this could be caused by an "
                        "outdated mutating admission controller; please fix your requests");
}
