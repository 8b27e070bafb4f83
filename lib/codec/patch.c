/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c: a patch comes from outside and may be small while its work is not (copies that double the document, steps
 * through long arrays): every step is paid from one budget. */
#include "codec/patch.h"

#include "codec/json_priv.h"

#define MAX_WORK  20000000 /* nodes looked at; an honest patch takes thousands */
#define MAX_NODES 500000   /* nodes that a patch may add */
#define MAX_DEPTH 128

struct patcher {
    struct fed_arena *arena;
    struct fed_json *doc;
    int64_t work_left, nodes_left;
    uint32_t op; /* number of the operation, for errors */
    struct fed_err *err;
};

static int refuse(struct patcher *p, int code, struct fed_str path, const char *what)
{
    return fed_err_set(p->err, code, "operation %u, path \"%.*s\": %s", p->op, (int)FED_MIN(path.n, (size_t)200),
                       path.p ? path.p : "", what);
}

static int too_much(struct patcher *p)
{
    return refuse(p, FED_E_LIMIT, FED_STR(""), "the patch takes too much work");
}

/* --- pointers (RFC 6901) --- */

/* Decodes ~1 and ~0. False: another ~. */
static bool unescape(struct fed_arena *a, struct fed_str *token)
{
    if (fed_str_chr(*token, '~', 0) < 0)
        return true;
    char *out = fed_arena_alloc(a, token->n + 1), *o = out;
    for (size_t i = 0; i < token->n; i++) {
        char c = token->p[i];
        if (c == '~') {
            char next = i + 1 < token->n ? token->p[i + 1] : 0;
            if (next != '0' && next != '1')
                return false;
            c = next == '0' ? '~' : '/';
            i++;
        }
        *o++ = c;
    }
    *o = '\0';
    *token = fed_str_n(out, (size_t)(o - out));
    return true;
}

/* "0", "12", no leading zeros. Beyond the range: -1, as for no number. */
static int64_t index_of(struct fed_str token)
{
    uint64_t v;
    if (token.n == 0 || token.n > 9 || (token.n > 1 && token.p[0] == '0') || fed_str_u64(token, &v) != 0)
        return -1;
    return (int64_t)v;
}

static struct fed_json *step(struct patcher *p, struct fed_json *at, struct fed_str token)
{
    p->work_left -= at->n;
    if (at->type == FED_JSON_OBJECT)
        return fed_json_find_str(at, token);
    int64_t i = at->type == FED_JSON_ARRAY ? index_of(token) : -1;
    return i < 0 || i >= at->n ? NULL : fed_json_item(at, (uint32_t)i);
}

/* Where a path leads: the parent and the last token. The root has no parent. */
struct place {
    struct fed_json *parent;
    struct fed_str token;
    struct fed_json *node; /* what is there now, or NULL */
    uint32_t depth;        /* of the node; the root's is 0 */
};

static int walk(struct patcher *p, struct fed_str path, struct place *out)
{
    *out = (struct place){.node = p->doc};
    if (path.n == 0)
        return 0;
    if (path.p[0] != '/')
        return refuse(p, FED_E_BAD_REQUEST, path, "a path must begin with '/'");
    struct fed_str rest = fed_str_from(path, 1), token;
    while (fed_str_cut(&rest, '/', &token)) {
        if (!unescape(p->arena, &token))
            return refuse(p, FED_E_BAD_REQUEST, path, "'~' must be followed by 0 or 1");
        if (!out->node)
            return refuse(p, FED_E_INVALID, path, "does not exist");
        out->parent = out->node;
        out->token = token;
        out->depth++;
        out->node = step(p, out->parent, token);
        if (p->work_left < 0)
            return too_much(p);
    }
    if (out->parent->type != FED_JSON_OBJECT && out->parent->type != FED_JSON_ARRAY)
        return refuse(p, FED_E_INVALID, path, "does not exist");
    return 0;
}

static int walk_existing(struct patcher *p, struct fed_str path, struct place *out)
{
    int rc = walk(p, path, out);
    return rc ? rc : out->node ? 0 : refuse(p, FED_E_INVALID, path, "does not exist");
}

/* --- values --- */

/* Counts the nodes of a tree and its height (1 for a scalar), paying for them. */
static int measure(struct patcher *p, const struct fed_json *root, int64_t *nodes, uint32_t *height)
{
    uint32_t level = 1;
    const struct fed_json *v = root;
    *nodes = 0;
    *height = 1;
    for (;;) {
        ++*nodes;
        if (--p->work_left < 0)
            return too_much(p);
        if (v->first) {
            v = v->first;
            *height = FED_MAX(*height, ++level);
            continue;
        }
        while (v != root && !v->next) {
            v = v->parent;
            level--;
        }
        if (v == root)
            return 0;
        v = v->next;
    }
}

static int copy_value(struct patcher *p, const struct fed_json *from, struct fed_json **out)
{
    int64_t nodes;
    uint32_t height;
    int rc = measure(p, from, &nodes, &height);
    if (rc)
        return rc;
    p->nodes_left -= nodes;
    if (p->nodes_left < 0)
        return too_much(p);
    *out = fed_json_copy(p->arena, from);
    return 0;
}

/* Links value (which is nowhere) where `add` wants it. */
static int add_at(struct patcher *p, struct fed_str path, struct fed_json *value)
{
    struct place at;
    int64_t nodes;
    uint32_t height;
    int rc = walk(p, path, &at);
    if (!rc)
        rc = measure(p, value, &nodes, &height);
    if (rc)
        return rc;
    if (at.depth + height > MAX_DEPTH)
        return refuse(p, FED_E_LIMIT, path, "nested too deeply");
    if (!at.parent) {
        p->doc = value;
    } else if (at.parent->type == FED_JSON_OBJECT) {
        if (at.node) {
            fed_json_replace(at.node, value);
        } else {
            value->key = fed_arena_dup(p->arena, at.token);
            fed_json_append(at.parent, value);
        }
    } else if (fed_str_is(at.token, "-") || index_of(at.token) == (int64_t)at.parent->n) {
        fed_json_push(at.parent, value);
    } else if (at.node) {
        fed_json_insert(at.parent, at.node, value);
    } else {
        return refuse(p, FED_E_INVALID, path, "no such index");
    }
    return 0;
}

/* --- operations --- */

static int do_add(struct patcher *p, struct fed_str path, const struct fed_json *value)
{
    struct fed_json *copy;
    int rc = copy_value(p, value, &copy);
    return rc ? rc : add_at(p, path, copy);
}

static int do_remove(struct patcher *p, struct fed_str path)
{
    struct place at;
    int rc = walk_existing(p, path, &at);
    if (rc)
        return rc;
    if (!at.parent)
        return refuse(p, FED_E_INVALID, path, "the whole document cannot be removed");
    fed_json_remove(at.node);
    return 0;
}

static int do_replace(struct patcher *p, struct fed_str path, const struct fed_json *value)
{
    struct place at;
    struct fed_json *copy;
    int64_t nodes;
    uint32_t height;
    int rc = walk_existing(p, path, &at);
    if (!rc)
        rc = copy_value(p, value, &copy);
    if (!rc)
        rc = measure(p, copy, &nodes, &height);
    if (rc)
        return rc;
    if (at.depth + height > MAX_DEPTH)
        return refuse(p, FED_E_LIMIT, path, "nested too deeply");
    if (at.parent)
        fed_json_replace(at.node, copy);
    else
        p->doc = copy;
    return 0;
}

static int do_move(struct patcher *p, struct fed_str from, struct fed_str path)
{
    struct place at;
    int rc = walk_existing(p, from, &at);
    if (rc || fed_str_eq(from, path))
        return rc;
    if (!at.parent || (fed_str_starts(path, from) && path.p[from.n] == '/'))
        return refuse(p, FED_E_INVALID, path, "a value cannot move into itself");
    fed_json_remove(at.node);
    return add_at(p, path, at.node);
}

static int do_copy(struct patcher *p, struct fed_str from, struct fed_str path)
{
    struct place at;
    int rc = walk_existing(p, from, &at);
    return rc ? rc : do_add(p, path, at.node);
}

static int do_test(struct patcher *p, struct fed_str path, const struct fed_json *value)
{
    struct place at;
    int64_t nodes;
    uint32_t height;
    int rc = walk_existing(p, path, &at);
    if (!rc)
        rc = measure(p, value, &nodes, &height);
    if (rc)
        return rc;
    return fed_json_equal(at.node, value) ? 0 : refuse(p, FED_E_INVALID, path, "test failed: the value differs");
}

static int member_text(struct patcher *p, const struct fed_json *op, const char *key, struct fed_str *out)
{
    const struct fed_json *v = fed_json_find(op, key);
    if (!v || v->type != FED_JSON_STRING)
        return fed_err_set(p->err, FED_E_BAD_REQUEST, "operation %u: \"%s\" must be a string", p->op, key);
    *out = v->s;
    return 0;
}

static int apply(struct patcher *p, const struct fed_json *op)
{
    struct fed_str name = {0}, path = {0}, from = {0};
    if (op->type != FED_JSON_OBJECT)
        return fed_err_set(p->err, FED_E_BAD_REQUEST, "operation %u: must be an object", p->op);
    int rc = member_text(p, op, "op", &name);
    if (!rc)
        rc = member_text(p, op, "path", &path);
    if (rc)
        return rc;
    if (fed_str_is(name, "remove"))
        return do_remove(p, path);
    if (fed_str_is(name, "move") || fed_str_is(name, "copy")) {
        rc = member_text(p, op, "from", &from);
        return rc ? rc : name.p[0] == 'm' ? do_move(p, from, path) : do_copy(p, from, path);
    }
    bool add = fed_str_is(name, "add"), replace = fed_str_is(name, "replace"), test = fed_str_is(name, "test");
    if (!add && !replace && !test)
        return fed_err_set(p->err, FED_E_BAD_REQUEST, "operation %u: unknown op \"%.*s\"", p->op,
                           (int)FED_MIN(name.n, (size_t)40), name.p);
    const struct fed_json *value = fed_json_find(op, "value");
    if (!value)
        return fed_err_set(p->err, FED_E_BAD_REQUEST, "operation %u: \"value\" is required", p->op);
    return add ? do_add(p, path, value) : replace ? do_replace(p, path, value) : do_test(p, path, value);
}

int fed_json_patch(struct fed_arena *a, struct fed_json **doc, const struct fed_json *patch, struct fed_err *err)
{
    if (!patch || patch->type != FED_JSON_ARRAY)
        return fed_err_set(err, FED_E_BAD_REQUEST, "a JSON patch must be an array of operations");
    if (patch->n > FED_JSON_PATCH_MAX)
        return fed_err_set(err, FED_E_LIMIT, "a JSON patch may have %d operations at most", FED_JSON_PATCH_MAX);
    struct patcher p = {.arena = a, .doc = *doc, .work_left = MAX_WORK, .nodes_left = MAX_NODES, .err = err};
    int rc = 0;
    FED_JSON_EACH(op, patch) {
        rc = apply(&p, op);
        p.op++;
        if (rc)
            break;
    }
    *doc = p.doc;
    return rc;
}
