/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/tree.h"

#include "base/mem.h"
#include "base/slab.h"

/* A B+ tree. Leaves hold the objects; an inner node holds its children and the first object of each, so that a search
 * looks into no child but the one that it goes down to. Nodes are never empty, and all leaves are at one depth; a node
 * that has lost most of its entries is joined with a neighbour when both fit into one. */
enum { WIDTH = 32, FEW = 8, BUILD = 30 /* entries of a node that is built: room for a few more */ };

struct fed_node {
    uint32_t refs, count; /* objects below */
    uint16_t n;
    uint8_t height; /* 0: a leaf */
    bool in_slab;
    struct fed_kobj *obj[WIDTH];
    struct fed_node *child[]; /* WIDTH, of inner nodes */
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

static void free_node(struct fed_node *n)
{
    if (n->in_slab)
        fed_slab_free(n);
    else
        free(n);
}

void fed_tree_unref(struct fed_node *n)
{
    if (!n || --n->refs)
        return;
    for (size_t i = 0; i < n->n; i++) {
        if (n->height)
            fed_tree_unref(n->child[i]);
        else
            fed_kobj_unref(n->obj[i]);
    }
    free_node(n);
}

size_t fed_tree_count(const struct fed_node *n)
{
    return n ? n->count : 0;
}

static struct fed_node *new_node(unsigned height)
{
    size_t size = sizeof(struct fed_node) + (height ? WIDTH * sizeof(struct fed_node *) : 0);
    struct fed_node *n = fed_slab_alloc(size);
    bool in_slab = n != NULL;
    if (!n)
        n = fed_malloc(size);
    n->in_slab = in_slab;
    n->refs = 1;
    n->count = 0;
    n->n = 0;
    n->height = (uint8_t)height;
    return n;
}

static void recount(struct fed_node *n)
{
    n->count = n->n;
    for (size_t i = 0; n->height && i < n->n; i++)
        n->count += n->child[i]->count - 1;
}

/* A node that may be changed: itself when nobody else holds it, else a copy. Takes n. */
static struct fed_node *own(struct fed_node *n)
{
    if (n->refs == 1)
        return n;
    struct fed_node *c = new_node(n->height);
    c->n = n->n;
    c->count = n->count;
    memcpy(c->obj, n->obj, n->n * sizeof(n->obj[0]));
    if (n->height)
        memcpy(c->child, n->child, n->n * sizeof(n->child[0]));
    for (size_t i = 0; i < n->n; i++) {
        if (n->height)
            n->child[i]->refs++;
        else
            fed_kobj_ref(n->obj[i]);
    }
    n->refs--;
    return c;
}

/* Entries whose (first) object is <= the key. */
static size_t rank(const struct fed_node *n, struct fed_str ns, struct fed_str name, bool *equal)
{
    size_t lo = 0, hi = n->n;
    *equal = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = fed_tree_cmp(ns, name, n->obj[mid]);
        if (c == 0) {
            *equal = true;
            return mid + 1;
        }
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Room at i; the node has less than WIDTH entries. */
static void open_gap(struct fed_node *n, size_t i)
{
    memmove(n->obj + i + 1, n->obj + i, (n->n - i) * sizeof(n->obj[0]));
    if (n->height)
        memmove(n->child + i + 1, n->child + i, (n->n - i) * sizeof(n->child[0]));
    n->n++;
}

static void close_gap(struct fed_node *n, size_t i)
{
    n->n--;
    memmove(n->obj + i, n->obj + i + 1, (n->n - i) * sizeof(n->obj[0]));
    if (n->height)
        memmove(n->child + i, n->child + i + 1, (n->n - i) * sizeof(n->child[0]));
}

/* Moves the entries from `at` on to a new node. */
static struct fed_node *cut(struct fed_node *n, size_t at)
{
    struct fed_node *r = new_node(n->height);
    r->n = (uint16_t)(n->n - at);
    memcpy(r->obj, n->obj + at, r->n * sizeof(n->obj[0]));
    if (n->height)
        memcpy(r->child, n->child + at, r->n * sizeof(n->child[0]));
    n->n = (uint16_t)at;
    return r;
}

/* Puts an entry before i. *more is the node that n was split into, or NULL. */
static void insert(struct fed_node *n, size_t i, struct fed_kobj *obj, struct fed_node *child, struct fed_node **more)
{
    struct fed_node *to = n;
    if (n->n == WIDTH) {
        /* Keys that grow fill their nodes. */
        *more = cut(n, i == WIDTH ? WIDTH - 1 : WIDTH / 2);
        if (i > n->n) {
            to = *more;
            i -= n->n;
        }
    }
    open_gap(to, i);
    to->obj[i] = obj;
    if (to->height)
        to->child[i] = child;
    if (*more)
        recount(*more);
}

static struct fed_node *put(struct fed_node *n, struct fed_kobj *obj, struct fed_node **more)
{
    bool equal;
    size_t i = rank(n, obj->ns, obj->name, &equal);
    n = own(n);
    if (n->height == 0) {
        if (equal) {
            fed_kobj_unref(n->obj[i - 1]);
            n->obj[i - 1] = fed_kobj_ref(obj);
        } else {
            insert(n, i, fed_kobj_ref(obj), NULL, more);
        }
        n->count = n->n;
        return n;
    }
    struct fed_node *split = NULL;
    i = i ? i - 1 : 0;
    uint32_t before = n->child[i]->count;
    n->child[i] = put(n->child[i], obj, &split);
    n->obj[i] = n->child[i]->obj[0];
    n->count += n->child[i]->count - before;
    if (split) {
        insert(n, i + 1, split->obj[0], split, more);
        recount(n);
    }
    return n;
}

struct fed_node *fed_tree_put(struct fed_node *n, struct fed_kobj *obj)
{
    struct fed_node *more = NULL;
    if (!n)
        n = new_node(0);
    n = put(n, obj, &more);
    if (!more)
        return n;
    struct fed_node *root = new_node(n->height + 1u);
    root->n = 2;
    root->child[0] = n;
    root->child[1] = more;
    root->obj[0] = n->obj[0];
    root->obj[1] = more->obj[0];
    recount(root);
    return root;
}

/* Joins child i with the one after it when both fit into one node. */
static void join(struct fed_node *n, size_t i)
{
    if (i + 1 >= n->n || n->child[i]->n + n->child[i + 1]->n > WIDTH)
        return;
    struct fed_node *l = n->child[i] = own(n->child[i]), *r = own(n->child[i + 1]);
    memcpy(l->obj + l->n, r->obj, r->n * sizeof(r->obj[0]));
    if (l->height)
        memcpy(l->child + l->n, r->child, r->n * sizeof(r->child[0]));
    l->n = (uint16_t)(l->n + r->n);
    l->count += r->count;
    free_node(r); /* its entries have moved */
    close_gap(n, i + 1);
}

/* NULL: nothing is left. */
static struct fed_node *take(struct fed_node *n, struct fed_str ns, struct fed_str name)
{
    bool equal;
    size_t i = rank(n, ns, name, &equal);
    if (i == 0 || (n->height == 0 && !equal))
        return n;
    n = own(n);
    i--;
    if (n->height == 0) {
        fed_kobj_unref(n->obj[i]);
        close_gap(n, i);
    } else if (!(n->child[i] = take(n->child[i], ns, name))) {
        close_gap(n, i);
    } else {
        n->obj[i] = n->child[i]->obj[0];
        if (n->child[i]->n <= FEW)
            join(n, i ? i - 1 : 0);
    }
    if (n->n == 0) {
        free_node(n);
        return NULL;
    }
    recount(n);
    return n;
}

struct fed_node *fed_tree_remove(struct fed_node *n, struct fed_str ns, struct fed_str name)
{
    n = n ? take(n, ns, name) : NULL;
    while (n && n->height && n->n == 1) {
        struct fed_node *only = fed_tree_ref(n->child[0]);
        fed_tree_unref(n);
        n = only;
    }
    return n;
}

/* --- made at once --- */

static struct fed_node *level(struct fed_node *const *below, struct fed_kobj *const *objs, size_t n)
{
    struct fed_node *node = new_node(below ? below[0]->height + 1u : 0);
    node->n = (uint16_t)n;
    for (size_t i = 0; i < n; i++) {
        node->obj[i] = below ? below[i]->obj[0] : fed_kobj_ref(objs[i]);
        if (below)
            node->child[i] = below[i];
    }
    recount(node);
    return node;
}

struct fed_node *fed_tree_build(struct fed_kobj *const *objs, size_t n)
{
    if (n == 0)
        return NULL;
    size_t made = (n + BUILD - 1) / BUILD;
    struct fed_node **nodes = fed_malloc(made * sizeof(*nodes)), *root;
    for (size_t i = 0; i < made; i++)
        nodes[i] = level(NULL, objs + i * BUILD, FED_MIN((size_t)BUILD, n - i * BUILD));
    while (made > 1) {
        size_t up = (made + BUILD - 1) / BUILD;
        for (size_t i = 0; i < up; i++)
            nodes[i] = level(nodes + i * BUILD, NULL, FED_MIN((size_t)BUILD, made - i * BUILD));
        made = up;
    }
    root = nodes[0];
    free(nodes);
    return root;
}

/* --- reading --- */

struct walk {
    struct fed_str ns, after_ns, after_name;
    bool (*each)(void *ud, struct fed_kobj *obj);
    void *ud;
};

/* low, high: entries may lie below the first, above the last that is wanted. False: stop. */
static bool walk(const struct fed_node *n, const struct walk *w, bool low, bool high)
{
    size_t i = 0;
    bool equal = false;
    if (low)
        i = rank(n, w->after_ns, w->after_name, &equal);
    if (n->height == 0) {
        for (; i < n->n; i++) {
            if (high && !fed_str_eq(n->obj[i]->ns, w->ns))
                return false;
            if (!w->each(w->ud, n->obj[i]))
                return false;
        }
        return true;
    }
    for (i = i ? i - 1 : 0; i < n->n; i++) {
        bool last = i + 1 == n->n, above = high;
        if (!last) {
            __builtin_prefetch(n->child[i + 1]->obj);
            above = high && !fed_str_eq(n->obj[i + 1]->ns, w->ns);
        }
        if (!walk(n->child[i], w, low, above) || (!last && above))
            return false;
        low = false;
    }
    return true;
}

void fed_tree_walk(const struct fed_node *n, struct fed_str ns, struct fed_str after_ns, struct fed_str after_name,
                   bool (*each)(void *ud, struct fed_kobj *obj), void *ud)
{
    struct walk w = {ns, after_ns, after_name, each, ud};
    bool low = after_name.p != NULL;
    if (ns.n && (!low || fed_str_cmp(after_ns, ns) < 0)) { /* no name is empty: all of ns are behind (ns, "") */
        w.after_ns = ns;
        w.after_name = FED_STR("");
        low = true;
    }
    if (n)
        (void)walk(n, &w, low, ns.n > 0);
}

/* Objects behind (ns, name), or behind all of ns. */
static size_t behind(const struct fed_node *n, struct fed_str ns, struct fed_str name, bool all)
{
    size_t lo = 0, hi = n->n, after = 0;
    while (lo < hi) { /* entries that begin at the key or before it */
        size_t mid = lo + (hi - lo) / 2;
        int c = all ? fed_str_cmp(ns, n->obj[mid]->ns) : fed_tree_cmp(ns, name, n->obj[mid]);
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    for (size_t i = lo; i < n->n; i++)
        after += n->height ? n->child[i]->count : 1;
    return after + (n->height && lo ? behind(n->child[lo - 1], ns, name, all) : 0);
}

size_t fed_tree_after(const struct fed_node *n, struct fed_str only, struct fed_str ns, struct fed_str name)
{
    if (!n)
        return 0;
    return behind(n, ns, name, false) - (only.n ? behind(n, only, (struct fed_str){NULL, 0}, true) : 0);
}
