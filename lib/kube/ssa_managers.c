/* SPDX-License-Identifier: Apache-2.0 */
/* ssa_managers.c: the entries of metadata.managedFields: reading, order, the cap, writing. */
#include "kube/ssa_priv.h"

enum { MAX_UPDATE_ENTRIES = 10 };

struct fed_manager *fed_managers_put(struct fed_managers *m, struct fed_manager value)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 8;
        struct fed_manager *grown = FED_ARENA_ARRAY(m->arena, struct fed_manager, cap);

        if (m->n)
            memcpy(grown, m->items, sizeof(*grown) * m->n);
        m->items = grown;
        m->cap = cap;
    }
    m->items[m->n] = value;
    return &m->items[m->n++];
}

bool fed_manager_applies(const struct fed_manager *m)
{
    return fed_str_is(m->operation, "Apply");
}

struct fed_manager *fed_managers_find(const struct fed_managers *m, const struct fed_manager *like)
{
    for (size_t i = 0; i < m->n; i++) {
        struct fed_manager *it = &m->items[i];

        /* An applier has one set for all versions; updates are kept by version, as clients expect to see them. */
        if (fed_str_eq(it->name, like->name) && fed_str_eq(it->operation, like->operation) &&
            fed_str_eq(it->subresource, like->subresource) &&
            (fed_manager_applies(it) || fed_str_eq(it->api_version, like->api_version)))
            return it;
    }
    return NULL;
}

bool fed_managers_read(struct fed_managers *m, const struct fed_json *obj)
{
    FED_JSON_EACH(it, fed_json_at(obj, "metadata", "managedFields", NULL)) {
        struct fed_manager entry = {.name = fed_json_find_text(it, "manager"),
                                    .operation = fed_json_find_text(it, "operation"),
                                    .api_version = fed_json_find_text(it, "apiVersion"),
                                    .subresource = fed_json_find_text(it, "subresource"),
                                    .time = fed_json_find_text(it, "time")};
        struct fed_manager *have;

        if ((!fed_manager_applies(&entry) && !fed_str_is(entry.operation, "Update")) || !entry.api_version.n ||
            !fed_str_is(fed_json_find_text(it, "fieldsType"), "FieldsV1")) {
            m->n = 0;
            return false;
        }
        entry.set = fed_fields_parse(m->arena, fed_json_find(it, "fieldsV1"));
        have = fed_managers_find(m, &entry);
        if (have)
            *have = entry;
        else
            fed_managers_put(m, entry);
    }
    return true;
}

bool fed_ssa_readable(struct fed_arena *a, const struct fed_json *obj)
{
    struct fed_managers m = {.arena = a};

    return fed_managers_read(&m, obj);
}

struct fed_str fed_manager_text(struct fed_arena *a, const struct fed_manager *m)
{
    struct fed_str sub = {NULL, 0}, using = {NULL, 0};

    if (m->subresource.n)
        sub = fed_arena_printf(a, " with subresource \"%.*s\"", FED_STR_ARG(m->subresource));
    if (!fed_manager_applies(m)) /* an applier is the same in each version */
        using = fed_arena_printf(a, " using %.*s", FED_STR_ARG(m->api_version));
    return fed_arena_printf(a, "\"%.*s\"%.*s%.*s", FED_STR_ARG(m->name), FED_STR_ARG(sub), FED_STR_ARG(using));
}

/* Texts as they sort with the quote behind them, which is less than most that a name has. */
static int cmp_quoted(struct fed_str x, struct fed_str y)
{
    size_t n = x.n < y.n ? x.n : y.n;
    int c = n ? memcmp(x.p, y.p, n) : 0;

    if (c || x.n == y.n)
        return c;
    return x.n < y.n ? '"' - (unsigned char)y.p[n] : (unsigned char)x.p[n] - '"';
}

int fed_managers_cmp(const struct fed_manager *x, const struct fed_manager *y)
{
    int c = cmp_quoted(x->name, y->name);

    if (!c)
        c = fed_str_cmp(x->operation, y->operation);
    if (!c && !fed_manager_applies(x))
        c = cmp_quoted(x->api_version, y->api_version);
    if (!c && !x->subresource.n != !y->subresource.n)
        return x->subresource.n ? -1 : 1; /* a comma is less than a brace */
    return c ? c : cmp_quoted(x->subresource, y->subresource);
}

/* Times are texts of one length, or none at all, which is earliest. */
static int cmp_entries(const void *a, const void *b)
{
    const struct fed_manager *x = a, *y = b;
    int c = fed_str_cmp(x->operation, y->operation); /* "Apply" before "Update" */

    if (!c)
        c = fed_str_cmp(x->time, y->time);
    if (!c)
        c = fed_str_cmp(x->name, y->name);
    if (!c)
        c = fed_str_cmp(x->api_version, y->api_version);
    return c ? c : fed_str_cmp(x->subresource, y->subresource);
}

static int cmp_age(const void *a, const void *b)
{
    const struct fed_manager *x = *(struct fed_manager *const *)a, *y = *(struct fed_manager *const *)b;
    int c = fed_str_cmp(x->time, y->time);

    return c ? c : fed_managers_cmp(x, y);
}

/* The oldest updaters, into one of each version: the first of a version takes the name, the others go. */
static void fold(struct fed_managers *m, struct fed_manager **oldest, size_t n)
{
    size_t left = n;

    for (size_t i = 0; i < n && left > MAX_UPDATE_ENTRIES; i++) {
        struct fed_manager *it = oldest[i], *into = NULL;

        for (size_t j = 0; j < i && !into; j++)
            if (!fed_fields_empty(oldest[j]->set) && fed_str_eq(oldest[j]->api_version, it->api_version))
                into = oldest[j];
        if (!into)
            continue;
        into->name = FED_STR("ancient-changes");
        into->subresource = (struct fed_str){NULL, 0};
        into->set = fed_fields_union(m->arena, it->set, into->set);
        into->time = it->time;
        it->set = NULL;
        left--;
    }
}

void fed_managers_cap(struct fed_managers *m)
{
    struct fed_manager **updaters;
    size_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        n += !fed_manager_applies(&m->items[i]) && !fed_fields_empty(m->items[i].set);
    if (n <= MAX_UPDATE_ENTRIES)
        return;
    updaters = FED_ARENA_ARRAY(m->arena, struct fed_manager *, n);
    n = 0;
    for (size_t i = 0; i < m->n; i++)
        if (!fed_manager_applies(&m->items[i]) && !fed_fields_empty(m->items[i].set))
            updaters[n++] = &m->items[i];
    qsort(updaters, n, sizeof *updaters, cmp_age);
    fold(m, updaters, n);
}

static void put_text(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str s)
{
    if (s.n)
        fed_json_add(o, fed_str(key), fed_json_new_str(a, s));
}

void fed_managers_write(struct fed_managers *m, struct fed_json *obj)
{
    struct fed_arena *a = m->arena;
    struct fed_json *list = fed_json_array(a), *meta = fed_obj_metadata(a, obj);

    if (m->n > 1)
        qsort(m->items, m->n, sizeof(*m->items), cmp_entries);
    for (size_t i = 0; i < m->n; i++) {
        const struct fed_manager *it = &m->items[i];
        struct fed_json *o;

        if (fed_fields_empty(it->set))
            continue;
        o = fed_json_push(list, fed_json_object(a));
        put_text(a, o, "manager", it->name);
        put_text(a, o, "operation", it->operation);
        put_text(a, o, "apiVersion", it->api_version);
        put_text(a, o, "time", it->time);
        put_text(a, o, "fieldsType", FED_STR("FieldsV1"));
        fed_json_add(o, FED_STR("fieldsV1"), fed_fields_json(a, it->set));
        put_text(a, o, "subresource", it->subresource);
    }
    if (list->n)
        fed_json_set(meta, "managedFields", list);
    else
        fed_json_remove_key(meta, "managedFields");
}
