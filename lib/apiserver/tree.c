/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/tree.h"

#include "base/mem.h"

/* A treap: heap-ordered by a priority drawn from the key's hash, so the shape depends on the set of keys only. */
struct fed_node {
    uint32_t refs, prio, count;
    struct fed_node *left, *right;
    struct fed_kobj *obj;
};

int fed_tree_cmp(struct fed_str ns, struct fed_str name, const struct fed_kobj *o)
{
    int c = fed_str_cmp(ns, o->ns);
    return c ? c : fed_str_cmp(name, o->name);
}

struct fed_node *fed_tree_ref(struct fed_node *n)
{
    if (n)
        n->refs++;
    return n;
}

void fed_tree_unref(struct fed_node *n)
{
    if (!n || --n->refs)
        return;
    fed_tree_unref(n->left);
    fed_tree_unref(n->right);
    fed_kobj_unref(n->obj);
    free(n);
}

size_t fed_tree_count(const struct fed_node *n)
{
    return n ? n->count : 0;
}

static void recount(struct fed_node *n)
{
    n->count = (uint32_t)(1 + fed_tree_count(n->left) + fed_tree_count(n->right));
}

/* A node that may be changed: itself when nobody else holds it, else a copy. Takes n. */
static struct fed_node *own(struct fed_node *n)
{
    if (n->refs == 1)
        return n;
    struct fed_node *c = FED_NEW(struct fed_node);
    *c = *n;
    c->refs = 1;
    fed_tree_ref(c->left);
    fed_tree_ref(c->right);
    fed_kobj_ref(c->obj);
    n->refs--;
    return c;
}

static struct fed_node *rotate_right(struct fed_node *n)
{
    struct fed_node *l = n->left;
    n->left = l->right;
    recount(n);
    l->right = n;
    recount(l);
    return l;
}

static struct fed_node *rotate_left(struct fed_node *n)
{
    struct fed_node *r = n->right;
    n->right = r->left;
    recount(n);
    r->left = n;
    recount(r);
    return r;
}

struct fed_node *fed_tree_put(struct fed_node *n, struct fed_kobj *obj, uint32_t prio)
{
    if (!n) {
        n = FED_NEW(struct fed_node);
        n->refs = 1;
        n->prio = prio;
        n->count = 1;
        n->obj = fed_kobj_ref(obj);
        return n;
    }
    int c = fed_tree_cmp(obj->ns, obj->name, n->obj);
    n = own(n);
    if (c == 0) {
        struct fed_kobj *gone = n->obj;
        n->obj = fed_kobj_ref(obj);
        fed_kobj_unref(gone);
        return n;
    }
    if (c < 0) {
        n->left = fed_tree_put(n->left, obj, prio);
        if (n->left->prio > n->prio)
            return rotate_right(n);
    } else {
        n->right = fed_tree_put(n->right, obj, prio);
        if (n->right->prio > n->prio)
            return rotate_left(n);
    }
    recount(n);
    return n;
}

static struct fed_node *join(struct fed_node *l, struct fed_node *r)
{
    if (!l)
        return r;
    if (!r)
        return l;
    if (l->prio > r->prio) {
        l = own(l);
        l->right = join(l->right, r);
        recount(l);
        return l;
    }
    r = own(r);
    r->left = join(l, r->left);
    recount(r);
    return r;
}

struct fed_node *fed_tree_remove(struct fed_node *n, struct fed_str ns, struct fed_str name)
{
    if (!n)
        return NULL;
    int c = fed_tree_cmp(ns, name, n->obj);
    if (c == 0) {
        struct fed_node *l = fed_tree_ref(n->left), *r = fed_tree_ref(n->right);
        fed_tree_unref(n); /* when it was ours alone, the children are now ours alone */
        return join(l, r);
    }
    n = own(n);
    if (c < 0)
        n->left = fed_tree_remove(n->left, ns, name);
    else
        n->right = fed_tree_remove(n->right, ns, name);
    recount(n);
    return n;
}

struct walk {
    struct fed_str ns, after_ns, after_name;
    bool (*each)(void *ud, struct fed_kobj *obj);
    void *ud;
};

/* False: stop. */
static bool walk(const struct fed_node *n, const struct walk *w)
{
    if (!n)
        return true;
    bool past = !w->after_name.p || fed_tree_cmp(w->after_ns, w->after_name, n->obj) < 0;
    int side = w->ns.n ? fed_str_cmp(n->obj->ns, w->ns) : 0;
    if (past && side >= 0 && !walk(n->left, w))
        return false;
    if (past && side == 0 && !w->each(w->ud, n->obj))
        return false;
    return side > 0 ? true : walk(n->right, w);
}

void fed_tree_walk(const struct fed_node *n, struct fed_str ns, struct fed_str after_ns, struct fed_str after_name,
                   bool (*each)(void *ud, struct fed_kobj *obj), void *ud)
{
    struct walk w = {ns, after_ns, after_name, each, ud};
    (void)walk(n, &w);
}

size_t fed_tree_after(const struct fed_node *n, struct fed_str only, struct fed_str ns, struct fed_str name)
{
    size_t after = 0, beyond = 0; /* keys past the given one; keys past the namespace */
    for (const struct fed_node *at = n; at;) {
        if (fed_tree_cmp(ns, name, at->obj) >= 0) {
            at = at->right;
        } else {
            after += 1 + fed_tree_count(at->right);
            at = at->left;
        }
    }
    for (const struct fed_node *at = only.n ? n : NULL; at;) {
        if (fed_str_cmp(at->obj->ns, only) <= 0) {
            at = at->right;
        } else {
            beyond += 1 + fed_tree_count(at->right);
            at = at->left;
        }
    }
    return after - beyond;
}
