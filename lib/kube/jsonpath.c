/* SPDX-License-Identifier: Apache-2.0 */
/* jsonpath.c: the part of JSON path that printer columns use: .name, ['name'], [n], [*], [?(@.path=="text")]. */
#include "kube/schema_priv.h"

struct nodes {
    const struct fed_json **v;
    size_t n, cap;
    struct fed_arena *arena;
};

enum { MAX_NODES = 4096, MAX_STEPS = 32 };

static void nodes_put(struct nodes *set, const struct fed_json *v)
{
    if (!v || set->n >= MAX_NODES)
        return;
    FED_ARENA_ROOM(set->arena, set->v, set->n, set->cap, 8);
    set->v[set->n++] = v;
}

static struct nodes step_member(struct nodes *in, struct fed_str name)
{
    struct nodes out = {.arena = in->arena};

    for (size_t i = 0; i < in->n; i++) {
        if (!fed_str_is(name, "*")) {
            nodes_put(&out, fed_json_find_str(in->v[i], name));
            continue;
        }
        if (in->v[i]->type == FED_JSON_OBJECT || in->v[i]->type == FED_JSON_ARRAY)
            FED_JSON_EACH(it, in->v[i])
                nodes_put(&out, it);
    }
    return out;
}

static struct fed_str unquote(struct fed_str s)
{
    s = fed_str_trim(s);
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        return fed_str_n(s.p + 1, s.n - 2);
    return s;
}

static const struct fed_json *walk_plain(const struct fed_json *v, struct fed_str path)
{
    struct fed_str name;

    while (v && path.p && fed_str_cut(&path, '.', &name))
        v = fed_json_find_str(v, name);
    return v;
}

/* ?(@.a.b=="x") over the items of arrays. */
static struct nodes step_filter(struct nodes *in, struct fed_str expr)
{
    struct nodes out = {.arena = in->arena};
    ptrdiff_t eq = fed_str_find(expr, FED_STR("=="), 0), ne = fed_str_find(expr, FED_STR("!="), 0);
    ptrdiff_t at = eq >= 0 ? eq : ne;
    struct fed_str path, want;

    if (at < 3 || !fed_str_starts(expr, FED_STR("@.")))
        return out;
    path = fed_str_trim(fed_str_n(expr.p + 2, (size_t)at - 2));
    want = unquote(fed_str_from(expr, (size_t)at + 2));
    for (size_t i = 0; i < in->n; i++) {
        if (in->v[i]->type != FED_JSON_ARRAY)
            continue;
        FED_JSON_EACH(it, in->v[i]) {
            const struct fed_json *v = walk_plain(it, path);
            bool same;

            if (!v)
                continue;
            same = v->type == FED_JSON_BOOL ? fed_str_is(want, v->boolean ? "true" : "false") : fed_str_eq(v->s, want);
            if (same == (eq >= 0))
                nodes_put(&out, it);
        }
    }
    return out;
}

static struct nodes step_bracket(struct nodes *in, struct fed_str inner)
{
    struct nodes out = {.arena = in->arena};
    int64_t index;

    inner = fed_str_trim(inner);
    if (inner.n >= 3 && inner.p[0] == '?' && inner.p[1] == '(' && inner.p[inner.n - 1] == ')')
        return step_filter(in, fed_str_trim(fed_str_n(inner.p + 2, inner.n - 3)));
    if (fed_str_i64(inner, &index))
        return step_member(in, unquote(inner));
    for (size_t i = 0; i < in->n; i++)
        if (in->v[i]->type == FED_JSON_ARRAY)
            nodes_put(&out, fed_json_item(in->v[i], (uint32_t)(index < 0 ? index + in->v[i]->n : index)));
    return out;
}

/* End of a [..] that may hold quotes and brackets. */
static size_t bracket_end(struct fed_str p, size_t from)
{
    char quote = 0;

    for (size_t i = from; i < p.n; i++) {
        if (quote) {
            if (p.p[i] == quote)
                quote = 0;
        } else if (p.p[i] == '"' || p.p[i] == '\'') {
            quote = p.p[i];
        } else if (p.p[i] == ']') {
            return i;
        }
    }
    return p.n;
}

static void add_text(struct fed_buf *b, const struct fed_json *v)
{
    if (v->type == FED_JSON_STRING)
        fed_buf_add(b, v->s);
    else if (v->type != FED_JSON_NULL)
        fed_json_write(b, v);
}

/* A name as CRDs write it may escape dots: "metadata.annotations.a\.b". */
static struct fed_str unescape(struct fed_arena *a, struct fed_str s)
{
    struct fed_str out;
    char *to;

    if (fed_str_chr(s, '\\', 0) < 0)
        return s;
    out = fed_arena_dup(a, s);
    to = (char *)out.p;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\\')
            *to++ = s.p[i];
    return fed_str_n(out.p, (size_t)(to - out.p));
}

static struct nodes find_all(struct fed_arena *a, const struct fed_json *obj, struct fed_str path)
{
    struct nodes set = {.arena = a};
    size_t i = 0, steps = 0;

    path = fed_str_trim(path);
    if (path.n >= 2 && path.p[0] == '{' && path.p[path.n - 1] == '}')
        path = fed_str_n(path.p + 1, path.n - 2);
    nodes_put(&set, obj);
    while (i < path.n && set.n && steps++ < MAX_STEPS) {
        if (path.p[i] == '$' || path.p[i] == '.') {
            i++;
        } else if (path.p[i] == '[') {
            size_t end = bracket_end(path, i + 1);

            set = step_bracket(&set, fed_str_n(path.p + i + 1, end - i - 1));
            i = end + 1;
        } else {
            size_t from = i;

            while (i < path.n && path.p[i] != '[' && (path.p[i] != '.' || path.p[i - 1] == '\\'))
                i++;
            set = step_member(&set, unescape(a, fed_str_n(path.p + from, i - from)));
        }
    }
    if (i < path.n)
        set.n = 0;
    return set;
}

const struct fed_json *fed_json_path_first(struct fed_arena *a, const struct fed_json *obj, struct fed_str path)
{
    struct nodes set = find_all(a, obj, path);

    return set.n ? set.v[0] : NULL;
}

struct fed_str fed_json_path_text(struct fed_arena *a, const struct fed_json *obj, struct fed_str path)
{
    struct nodes set = find_all(a, obj, path);
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 1 << 16);
    for (size_t k = 0; k < set.n; k++) {
        if (k)
            fed_buf_addc(&b, ',');
        add_text(&b, set.v[k]);
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}
