/* SPDX-License-Identifier: Apache-2.0 */
/* schema_order.c: faults in the order in which Kubernetes tells them: that of the members in the schema document.
 *
 * The schema finds some of them, hooks the others; here they come together. Faults of one value, and of a value and what is
 * inside it, stay in the order in which they were found. So do those at a path that the schema does not know. */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "kube/schema_priv.h"

enum { MAX_DEPTH = 24 };
struct where {
    struct fed_cause cause;
    uint32_t at[MAX_DEPTH]; /* place of the member or number of the item, from the outside in */
    size_t n;
};

static const struct fed_schema *items_of(const struct fed_schema *s)
{
    while (s && s->shape->type == FED_SHAPE_ARRAY)
        s = s->shape->items;
    return s;
}

/* "[3]" or "[key]" at the start of path. */
static const struct fed_schema *enter_bracket(const struct fed_schema *s, struct fed_str *path, struct where *w)
{
    ptrdiff_t end = fed_str_chr(*path, ']', 0);
    uint64_t n = 0;
    if (end < 0)
        return NULL;
    struct fed_str inside = fed_str_n(path->p + 1, (size_t)end - 1);
    *path = fed_str_from(*path, (size_t)end + 1);
    if (s->shape->type != FED_SHAPE_ARRAY)
        return s->shape->additional;
    if (fed_str_u64(inside, &n))
        return NULL;
    w->at[w->n++] = (uint32_t)n;
    return s->shape->items;
}

/* Kubernetes' paths name some members otherwise than documents do: a template's labels without the metadata that they are
 * in, some members of Services in upper case. */
static const struct fed_prop *find_member(const struct fed_shape *shape, struct fed_str name)
{
    const struct fed_prop *p = fed_shape_find(shape, name);
    char lower[64];
    if (p || !name.n || name.n > sizeof lower)
        return p;
    if (fed_str_is(name, "labels") || fed_str_is(name, "annotations"))
        return fed_shape_find(shape, FED_STR("metadata"));
    memcpy(lower, name.p, name.n);
    lower[0] = (char)tolower((unsigned char)lower[0]);
    return fed_shape_find(shape, fed_str_n(lower, name.n));
}

static const struct fed_schema *enter_member(const struct fed_schema *s, struct fed_str *path, struct where *w)
{
    size_t end = 0;
    while (end < path->n && path->p[end] != '.' && path->p[end] != '[')
        end++;
    s = items_of(s); /* some paths leave the number out */
    const struct fed_prop *p = s ? find_member(s->shape, fed_str_head(*path, end)) : NULL;
    *path = fed_str_from(*path, end);
    if (!p)
        return NULL;
    w->at[w->n++] = p->place;
    return &p->schema;
}

static void locate(const struct fed_schema *s, struct fed_str path, struct where *w)
{
    while (s && path.n && w->n < MAX_DEPTH) {
        if (path.p[0] == '.')
            path = fed_str_from(path, 1);
        s = path.n && path.p[0] == '[' ? enter_bracket(s, &path, w) : enter_member(s, &path, w);
    }
}

static bool comes_before(const struct where *a, const struct where *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (a->at[i] != b->at[i])
            return a->at[i] < b->at[i];
    return false;
}

void fed_causes_order(const struct fed_schema *s, struct fed_causes *c)
{
    if (c->n < 2 || !s || c->ordered)
        return;
    struct where *all = fed_calloc(c->n, sizeof *all);
    for (size_t i = 0; i < c->n; i++) {
        struct where w = {.cause = c->items[i]};
        size_t k = 0;
        locate(s, w.cause.field, &w);
        while (k < i && !comes_before(&w, &all[k]))
            k++;
        memmove(&all[k + 1], &all[k], (i - k) * sizeof *all);
        all[k] = w;
    }
    for (size_t i = 0; i < c->n; i++)
        c->items[i] = all[i].cause;
    free(all);
}
