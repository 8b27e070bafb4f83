/* SPDX-License-Identifier: Apache-2.0 */
/* fieldset.c: the algebra of sets of fields, and their FieldsV1 form. */
#include "kube/fieldset.h"
#include "kube/fieldset_priv.h"

/* --- order --- */

static struct fed_str part(struct fed_str s, size_t from, size_t n)
{
    return (struct fed_str){s.p + from, n};
}

static int rank(struct fed_str value)
{
    char c = value.n ? value.p[0] : 0;

    if (c == '-' || (c >= '0' && c <= '9'))
        return 0;
    return c == '"' ? 1 : c == 't' || c == 'f' ? 2 : 3;
}

static bool is_integer(struct fed_str s)
{
    for (size_t i = s.p[0] == '-'; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

static int cmp_numbers(struct fed_str x, struct fed_str y)
{
    char tx[64], ty[64];
    bool negative = x.p[0] == '-';
    double dx, dy;

    if (is_integer(x) && is_integer(y)) {
        int c = x.n != y.n ? (x.n < y.n ? -1 : 1) : fed_str_cmp(x, y);

        if (negative != (y.p[0] == '-'))
            return negative ? -1 : 1;
        return negative ? -c : c;
    }
    snprintf(tx, sizeof tx, "%.*s", FED_STR_ARG(x));
    snprintf(ty, sizeof ty, "%.*s", FED_STR_ARG(y));
    dx = strtod(tx, NULL);
    dy = strtod(ty, NULL);
    return dx < dy ? -1 : dx > dy;
}

/* JSON scalars: numbers by value, then strings, then booleans. */
static int cmp_values(struct fed_str x, struct fed_str y)
{
    int c = rank(x) - rank(y);

    if (!c && rank(x) == 0)
        c = cmp_numbers(x, y);
    if (!c && rank(x) == 1 && x.n > 1 && y.n > 1) /* without the quotes: "a" is less than "a " */
        c = fed_str_cmp(part(x, 1, x.n - 2), part(y, 1, y.n - 2));
    return c ? c : fed_str_cmp(x, y);
}

/* The member of a compact object at *pos: its name and value, both as text. */
static bool next_member(struct fed_str o, size_t *pos, struct fed_str *name, struct fed_str *value)
{
    size_t start = *pos, colon = 0, i = start;
    bool in = false;

    for (; i < o.n; i++) {
        char c = o.p[i];

        if (in) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in = false;
        } else if (c == '"') {
            in = true;
        } else if (c == ':' && !colon) {
            colon = i;
        } else if (c == ',' || c == '}') {
            break;
        }
    }
    if (!colon || i > o.n)
        return false;
    *name = part(o, start, colon - start);
    *value = part(o, colon + 1, i - colon - 1);
    *pos = i + 1;
    return true;
}

static int cmp_keys(struct fed_str x, struct fed_str y)
{
    struct fed_str nx, vx, ny, vy;
    size_t px = 1, py = 1;

    while (true) {
        bool more = next_member(x, &px, &nx, &vx), other = next_member(y, &py, &ny, &vy);
        int c = more != other ? (other ? -1 : 1) : 0;

        if (c || !more)
            return c ? c : fed_str_cmp(x, y);
        c = fed_str_cmp(nx, ny);
        if (!c)
            c = cmp_values(vx, vy);
        if (c)
            return c;
    }
}

static int cmp_steps(char kx, struct fed_str x, char ky, struct fed_str y)
{
    static const char order[] = "fkvi";

    if (kx != ky)
        return strchr(order, kx) < strchr(order, ky) ? -1 : 1;
    if (kx == 'f')
        return fed_str_cmp(x, y);
    if (x.n == y.n && memcmp(x.p, y.p, x.n) == 0)
        return 0;
    return kx == 'k' ? cmp_keys(x, y) : cmp_values(x, y);
}

static int cmp(const struct fed_fields *x, const struct fed_fields *y)
{
    return cmp_steps(x->kind, x->text, y->kind, y->text);
}

/* --- making --- */

static struct fed_fields *copy_node(struct fed_arena *a, const struct fed_fields *n)
{
    struct fed_fields *c = fed_arena_alloc(a, sizeof *c);

    *c = *n;
    c->next = NULL;
    return c;
}

void fed_gather_add(struct fed_arena *a, struct fed_gather *g, const struct fed_fields *node)
{
    struct fed_fields *n;

    if (!node->member && !node->first)
        return;
    n = copy_node(a, node);
    if (!g->last) {
        g->first = g->last = n;
        return;
    }
    if (cmp(g->last, n) > 0)
        g->unsorted = true;
    g->last->next = n;
    g->last = n;
}

/* Nodes that were just made, so they may be changed. */
static struct fed_fields *sorted(struct fed_fields *list)
{
    struct fed_fields *slow = list, *half, head = {0}, *last = &head;

    if (!list || !list->next)
        return list;
    for (const struct fed_fields *fast = list->next; fast && fast->next; fast = fast->next->next)
        slow = (struct fed_fields *)slow->next;
    half = (struct fed_fields *)slow->next;
    slow->next = NULL;
    list = sorted(list);
    half = sorted(half);
    while (list && half) {
        struct fed_fields **from = cmp(list, half) <= 0 ? &list : &half;

        last->next = *from;
        last = *from;
        *from = (struct fed_fields *)last->next;
    }
    last->next = list ? list : half;
    return (struct fed_fields *)head.next;
}

const struct fed_fields *fed_gather_list(struct fed_gather *g)
{
    return g->unsorted ? sorted(g->first) : g->first;
}

const struct fed_fields *fed_fields_root(struct fed_arena *a, const struct fed_fields *first)
{
    struct fed_fields *root = FED_ARENA_NEW(a, struct fed_fields);

    root->first = first;
    return root;
}

/* --- algebra: lists of siblings --- */

const struct fed_fields *fed_fields_unite(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y)
{
    struct fed_fields head = {0}, *last = &head;

    while (x && y) {
        int c = cmp(x, y);
        struct fed_fields *n = copy_node(a, c <= 0 ? x : y);

        if (!c) {
            n->member = x->member || y->member;
            n->first = fed_fields_unite(a, x->first, y->first);
        }
        last->next = n;
        last = n;
        if (c <= 0)
            x = x->next;
        if (c >= 0)
            y = y->next;
    }
    last->next = x ? x : y;
    return head.next;
}

static const struct fed_fields *common(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y)
{
    struct fed_gather g = {0};

    while (x && y) {
        int c = cmp(x, y);

        if (!c) {
            struct fed_fields n = *x;

            n.member = x->member && y->member;
            n.first = common(a, x->first, y->first);
            fed_gather_add(a, &g, &n);
        }
        if (c <= 0)
            x = x->next;
        if (c >= 0)
            y = y->next;
    }
    return g.first;
}

static const struct fed_fields *rest(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y,
                                     bool deep)
{
    struct fed_gather g = {0};

    for (; x && y; x = x->next) {
        struct fed_fields n = *x;
        int c;

        while (y && (c = cmp(x, y)) > 0)
            y = y->next;
        if (!y)
            break;
        if (!c) {
            n.member = x->member && !y->member;
            n.first = deep && y->member ? NULL : rest(a, x->first, y->first, deep);
        }
        fed_gather_add(a, &g, &n);
    }
    if (!g.last)
        return x;
    g.last->next = x;
    return g.first;
}

static const struct fed_fields *first_of(const struct fed_fields *set)
{
    return set ? set->first : NULL;
}

bool fed_fields_empty(const struct fed_fields *set)
{
    return !first_of(set);
}

static bool equal(const struct fed_fields *x, const struct fed_fields *y)
{
    for (; x != y && x && y; x = x->next, y = y->next)
        if (x->member != y->member || cmp(x, y) != 0 || !equal(x->first, y->first))
            return false;
    return x == y;
}

bool fed_fields_equal(const struct fed_fields *x, const struct fed_fields *y)
{
    return equal(first_of(x), first_of(y));
}

const struct fed_fields *fed_fields_union(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y)
{
    if (fed_fields_empty(x))
        return y;
    return fed_fields_empty(y) ? x : fed_fields_root(a, fed_fields_unite(a, x->first, y->first));
}

const struct fed_fields *fed_fields_intersect(struct fed_arena *a, const struct fed_fields *x,
                                              const struct fed_fields *y)
{
    return fed_fields_root(a, common(a, first_of(x), first_of(y)));
}

const struct fed_fields *fed_fields_minus(struct fed_arena *a, const struct fed_fields *x, const struct fed_fields *y)
{
    return fed_fields_empty(y) ? x : fed_fields_root(a, rest(a, first_of(x), first_of(y), false));
}

const struct fed_fields *fed_fields_minus_deep(struct fed_arena *a, const struct fed_fields *x,
                                               const struct fed_fields *y)
{
    return fed_fields_empty(y) ? x : fed_fields_root(a, rest(a, first_of(x), first_of(y), true));
}

const struct fed_fields *fed_fields_find(const struct fed_fields *node, char kind, struct fed_str text)
{
    for (const struct fed_fields *n = first_of(node); n; n = n->next) {
        int c = cmp_steps(n->kind, n->text, kind, text);

        if (c >= 0)
            return c ? NULL : n;
    }
    return NULL;
}

/* --- FieldsV1 --- */

static void parse_children(struct fed_arena *a, const struct fed_json *doc, struct fed_fields *node)
{
    struct fed_gather g = {0};
    bool children = false;

    FED_JSON_EACH(it, doc) {
        struct fed_fields n = {0};

        if (fed_str_is(it->key, ".")) {
            node->member = true;
            continue;
        }
        if (it->key.n < 2 || it->key.p[1] != ':' || !memchr("fkvi", it->key.p[0], 4))
            continue;
        n.kind = it->key.p[0];
        n.text = fed_str_from(it->key, 2);
        parse_children(a, it, &n);
        fed_gather_add(a, &g, &n);
        children = true;
    }
    node->first = fed_gather_list(&g);
    if (!children)
        node->member = true;
}

const struct fed_fields *fed_fields_parse(struct fed_arena *a, const struct fed_json *doc)
{
    struct fed_fields root = {0};

    if (doc && doc->type == FED_JSON_OBJECT)
        parse_children(a, doc, &root);
    return fed_fields_root(a, root.first);
}

static void write_children(struct fed_arena *a, const struct fed_fields *node, struct fed_json *out)
{
    for (const struct fed_fields *n = node->first; n; n = n->next) {
        char *key = fed_arena_alloc(a, n->text.n + 3);
        struct fed_json *child;

        key[0] = n->kind;
        key[1] = ':';
        if (n->text.n)
            memcpy(key + 2, n->text.p, n->text.n);
        key[n->text.n + 2] = '\0';
        child = fed_json_add(out, (struct fed_str){key, n->text.n + 2}, fed_json_object(a));
        if (n->first && n->member)
            fed_json_add(child, FED_STR("."), fed_json_object(a));
        write_children(a, n, child);
    }
}

struct fed_json *fed_fields_json(struct fed_arena *a, const struct fed_fields *set)
{
    struct fed_json *out = fed_json_object(a);

    if (set)
        write_children(a, set, out);
    return out;
}

/* --- paths --- */

/* {"name":"c"} as [name="c"] */
static void add_key_path(struct fed_buf *b, struct fed_str text)
{
    struct fed_str name, value;
    size_t pos = 1;

    fed_buf_addc(b, '[');
    for (bool first = true; next_member(text, &pos, &name, &value); first = false) {
        if (!first)
            fed_buf_addc(b, ',');
        if (name.n > 1)
            fed_buf_add(b, part(name, 1, name.n - 2));
        fed_buf_addc(b, '=');
        fed_buf_add(b, value);
    }
    fed_buf_addc(b, ']');
}

static void add_step(struct fed_buf *b, const struct fed_fields *n)
{
    if (n->kind == 'f')
        fed_buf_addc(b, '.');
    else if (n->kind != 'k')
        fed_buf_addz(b, n->kind == 'v' ? "[=" : "[");
    if (n->kind == 'k')
        add_key_path(b, n->text);
    else
        fed_buf_add(b, n->text);
    if (n->kind == 'v' || n->kind == 'i')
        fed_buf_addc(b, ']');
}

static void each(struct fed_arena *a, const struct fed_fields *node, struct fed_buf *b,
                 void (*cb)(void *ud, struct fed_str path), void *ud)
{
    size_t was = b->n;

    for (int below = 0; below < 2; below++)
        for (const struct fed_fields *n = node->first; n; n = n->next) {
            if (below ? !n->first : !n->member)
                continue;
            add_step(b, n);
            if (below)
                each(a, n, b, cb, ud);
            else
                cb(ud, fed_arena_dup(a, fed_buf_str(b)));
            b->n = was;
        }
}

void fed_fields_each(struct fed_arena *a, const struct fed_fields *set, void (*cb)(void *ud, struct fed_str path),
                     void *ud)
{
    struct fed_buf b;

    fed_buf_init(&b, 1 << 16);
    if (set)
        each(a, set, &b, cb, ud);
    fed_buf_release(&b);
}
