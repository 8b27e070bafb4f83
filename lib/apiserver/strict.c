/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/strict.h"

enum { FINDINGS_MAX = 100 };

static void add(struct fed_strict *s, struct fed_strict_item item)
{
    if (s->n == FINDINGS_MAX)
        return;
    FED_ARENA_ROOM(s->arena, s->items, s->n, s->cap, 8);
    s->items[s->n++] = item;
}

/* "spec.containers[0].image": as it stands, also where a name has dots in it. */
static void put_path(struct fed_buf *b, const struct fed_json *v)
{
    size_t i = 0;
    if (!v->parent)
        return;
    put_path(b, v->parent);
    if (v->key.p) {
        fed_buf_addf(b, "%s%.*s", b->n ? "." : "", FED_STR_ARG(v->key));
        return;
    }
    for (const struct fed_json *p = v->prev; p; p = p->prev)
        i++;
    fed_buf_addf(b, "[%zu]", i);
}

static struct fed_str path_of(struct fed_arena *a, const struct fed_json *v)
{
    struct fed_buf b = {.max = 1 << 16};
    put_path(&b, v);
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static uint32_t line_at(struct fed_str body, uint32_t off)
{
    uint32_t line = 1;
    for (size_t i = 0; i < off && i < body.n; i++)
        line += body.p[i] == '\n';
    return line;
}

void fed_strict_duplicate(void *ud, const struct fed_json_duplicate *d)
{
    struct fed_strict *s = ud;
    struct fed_strict_item it = {.at = d->later->off, .first = d->earlier->off};
    if (s->n == FINDINGS_MAX)
        return;
    if (s->yaml) {
        struct fed_buf key = {0};
        fed_json_write_string(&key, d->later->key);
        it.at = d->line ? d->line : line_at(s->body, d->later->off);
        it.text = fed_arena_printf(s->arena, "line %u: key %s already set in map", it.at, fed_buf_z(&key));
        fed_buf_release(&key);
    } else {
        it.path = path_of(s->arena, d->later);
        it.text = fed_arena_printf(s->arena, "%sduplicate field \"%.*s\"", s->operations ? "json patch " : "",
                                   FED_STR_ARG(it.path));
    }
    add(s, it);
}

static void add_unknown(struct fed_strict *s, const struct fed_json *value, const char *before)
{
    struct fed_strict_item it = {.at = value->off, .first = value->off, .unknown = true};
    if (s->n == FINDINGS_MAX)
        return;
    it.path = path_of(s->arena, value);
    it.text = fed_arena_printf(s->arena, "%sunknown field \"%.*s\"", before, FED_STR_ARG(it.path));
    add(s, it);
}

void fed_strict_unknown(void *ud, const char *path, const struct fed_json *value)
{
    (void)path;
    add_unknown(ud, value, "");
}

static bool one_of(struct fed_str key, const char *const *names)
{
    for (; *names; names++)
        if (fed_str_is(key, *names))
            return true;
    return false;
}

void fed_strict_operations(struct fed_strict *s, const struct fed_json *patch)
{
    static const char *const names[] = {"op", "path", "from", "value", NULL};
    FED_JSON_EACH(op, patch)
        FED_JSON_EACH(it, op)
            if (!one_of(it->key, names)) {
                add_unknown(s, it, "json patch ");
                if (s->n < FINDINGS_MAX)
                    s->items[s->n - 1].unknown = false; /* of the text, not of what it makes */
            }
}

/* --- order --- */

static bool within(struct fed_str path, struct fed_str outer)
{
    return fed_str_starts(path, outer) && (path.n == outer.n || path.p[outer.n] == '.' || path.p[outer.n] == '[');
}

/* A typed decoder skips what it does not know: nothing in it is a duplicate, nor is it one itself. */
static void drop_skipped(struct fed_strict *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        bool skipped = false;
        for (size_t u = 0; u < s->n && !s->items[i].unknown; u++) {
            struct fed_strict_item *it = &s->items[u];
            if (!it->unknown || !within(s->items[i].path, it->path))
                continue;
            skipped = true;
            if (s->items[i].path.n == it->path.n && s->items[i].first < it->at)
                it->at = s->items[i].first; /* where it was met first */
        }
        if (!skipped)
            s->items[kept++] = s->items[i];
    }
    s->n = kept;
}

static int cmp_typed(const void *a, const void *b)
{
    const struct fed_strict_item *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static int cmp_split(const void *a, const void *b)
{
    const struct fed_strict_item *x = a, *y = b;
    if (x->unknown != y->unknown)
        return x->unknown - y->unknown;
    return x->unknown ? fed_str_cmp(x->path, y->path) : cmp_typed(a, b);
}

static void drop_repeated(struct fed_strict *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (!kept || !fed_str_eq(s->items[kept - 1].text, s->items[i].text))
            s->items[kept++] = s->items[i];
    s->n = kept;
}

static void settle(struct fed_strict *s)
{
    bool split = s->yaml || s->patch;
    if (!split)
        drop_skipped(s);
    if (s->n > 1)
        qsort(s->items, s->n, sizeof *s->items, split ? cmp_split : cmp_typed);
    drop_repeated(s);
}

struct fed_json *fed_strict_texts(struct fed_strict *s)
{
    struct fed_json *list = fed_json_array(s->arena);
    settle(s);
    for (size_t i = 0; i < s->n; i++)
        fed_json_push(list, fed_json_new_str(s->arena, s->items[i].text));
    return list;
}

struct fed_str fed_strict_text(struct fed_strict *s)
{
    struct fed_buf b = {0};
    settle(s);
    for (size_t i = 0; i < s->n; i++) {
        const struct fed_strict_item *it = &s->items[i];
        bool of_yaml = s->yaml && !it->unknown;
        if (of_yaml && i == 0)
            fed_buf_addz(&b, "yaml: unmarshal errors:");
        fed_buf_addf(&b, "%s%.*s", of_yaml ? "\n  " : i ? ", " : "", FED_STR_ARG(it->text));
    }
    struct fed_str out = fed_arena_dup(s->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}
