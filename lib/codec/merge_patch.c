/* SPDX-License-Identifier: Apache-2.0 */
/* merge_patch.c: RFC 7386. Recursion is as deep as the patch, which its parser has bounded. */
#include "codec/patch.h"

#include "codec/json_priv.h"

#define FEW 4 /* members looked up singly: an index over the other object does not pay for less */

struct fed_json *fed_json_merge_patch(struct fed_arena *a, struct fed_json *doc, const struct fed_json *patch)
{
    struct fed_json_index ix = {0};
    if (patch->type != FED_JSON_OBJECT)
        return fed_json_copy(a, patch);
    if (!doc || doc->type != FED_JSON_OBJECT)
        doc = fed_json_object(a);
    if (patch->n > FEW)
        fed_json_index_build(&ix, doc);
    FED_JSON_EACH(it, patch) {
        struct fed_json *old = fed_json_index_find(&ix, doc, it->key);
        if (it->type == FED_JSON_NULL) {
            if (old) /* its key stays readable: the index may still point there */
                fed_json_unlink(old);
            continue;
        }
        struct fed_json *merged = fed_json_merge_patch(a, old, it);
        if (merged == old)
            continue;
        if (old) {
            fed_json_replace(old, merged);
            old->key = it->key; /* as above */
        } else {
            merged->key = fed_arena_dup(a, it->key);
            fed_json_append(doc, merged);
        }
    }
    fed_json_index_release(&ix);
    return doc;
}

/* What of `to` differs from `from`, into diff. */
static void diff_members(struct fed_arena *a, struct fed_json *diff, const struct fed_json *from,
                         const struct fed_json *to)
{
    struct fed_json_index ix = {0};
    fed_json_index_build(&ix, from);
    FED_JSON_EACH(it, to) {
        const struct fed_json *old = fed_json_index_find(&ix, from, it->key);
        struct fed_json *change = NULL;
        if (old && old->type == FED_JSON_OBJECT && it->type == FED_JSON_OBJECT) {
            change = fed_json_merge_diff(a, old, it);
            if (change->n == 0)
                continue;
        } else if (old && fed_json_equal(old, it)) {
            continue;
        } else {
            change = fed_json_copy(a, it);
        }
        change->key = fed_arena_dup(a, it->key);
        fed_json_append(diff, change);
    }
    fed_json_index_release(&ix);
}

struct fed_json *fed_json_merge_diff(struct fed_arena *a, const struct fed_json *from, const struct fed_json *to)
{
    struct fed_json *diff = fed_json_object(a);
    if (from->type != FED_JSON_OBJECT || to->type != FED_JSON_OBJECT)
        return fed_json_copy(a, to); /* {} would turn any other value into an object */
    diff_members(a, diff, from, to);
    struct fed_json_index ix = {0};
    fed_json_index_build(&ix, to);
    FED_JSON_EACH(it, from)
        if (!fed_json_index_find(&ix, to, it->key)) {
            struct fed_json *gone = fed_json_null(a);
            gone->key = fed_arena_dup(a, it->key);
            fed_json_append(diff, gone);
        }
    fed_json_index_release(&ix);
    return diff;
}
