/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/amounts.h"

#include "kube/quantity.h"

struct fed_amount *fed_amounts_find(const struct fed_amounts *l, struct fed_str name)
{
    for (size_t i = 0; i < l->n; i++)
        if (fed_str_eq(l->items[i].name, name))
            return &l->items[i];
    return NULL;
}

static struct fed_amount *get(struct fed_amounts *l, struct fed_str name)
{
    struct fed_amount *a = fed_amounts_find(l, name);
    if (a)
        return a;
    FED_ARENA_ROOM(l->arena, l->items, l->n, l->cap, 8);
    l->items[l->n] = (struct fed_amount){.name = name};
    return &l->items[l->n++];
}

void fed_amounts_add(struct fed_amounts *l, struct fed_str name, int64_t milli)
{
    struct fed_amount *a = get(l, name);
    if (__builtin_add_overflow(a->milli, milli, &a->milli))
        a->milli = milli > 0 ? INT64_MAX : INT64_MIN;
}

void fed_amounts_at_least(struct fed_amounts *l, struct fed_str name, int64_t milli)
{
    struct fed_amount *a = get(l, name);
    a->milli = FED_MAX(a->milli, milli);
}

static int64_t milli_of(const struct fed_json *v)
{
    int64_t n = 0;
    if (!v || (v->type != FED_JSON_STRING && v->type != FED_JSON_NUMBER) || fed_quantity_milli(v->s, &n))
        return 0;
    return n;
}

void fed_amounts_add_map(struct fed_amounts *l, const struct fed_json *map)
{
    if (!map || map->type != FED_JSON_OBJECT)
        return;
    FED_JSON_EACH(m, map)
        fed_amounts_add(l, m->key, milli_of(m));
}

static void add_all(struct fed_amounts *to, const struct fed_amounts *from)
{
    for (size_t i = 0; i < from->n; i++)
        fed_amounts_add(to, from->items[i].name, from->items[i].milli);
}

void fed_amounts_add_pod(struct fed_amounts *l, const struct fed_json *spec, const char *which)
{
    struct fed_amounts sum = {.arena = l->arena}, beside = {.arena = l->arena};
    FED_JSON_EACH(c, fed_json_find(spec, "containers"))
        fed_amounts_add_map(&sum, fed_json_at(c, "resources", which, NULL));
    struct fed_amounts most = {.arena = l->arena};
    FED_JSON_EACH(c, fed_json_find(spec, "initContainers")) {
        const struct fed_json *map = fed_json_at(c, "resources", which, NULL);
        struct fed_amounts now = {.arena = l->arena};
        if (fed_str_is(fed_json_find_text(c, "restartPolicy"), "Always")) { /* stays beside the containers */
            fed_amounts_add_map(&sum, map);
            fed_amounts_add_map(&beside, map);
            add_all(&now, &beside);
        } else {
            fed_amounts_add_map(&now, map);
            add_all(&now, &beside);
        }
        for (size_t i = 0; i < now.n; i++)
            fed_amounts_at_least(&most, now.items[i].name, now.items[i].milli);
    }
    for (size_t i = 0; i < most.n; i++)
        fed_amounts_at_least(&sum, most.items[i].name, most.items[i].milli);
    FED_JSON_EACH(m, fed_json_find(spec, "overhead"))
        if (fed_amounts_find(&sum, m->key) || which[0] == 'r')
            fed_amounts_add(&sum, m->key, milli_of(m));
    add_all(l, &sum);
}

static bool is_binary(struct fed_str name)
{
    static const char *const ends[] = {"memory", "storage"};
    for (size_t i = 0; i < FED_ARRAY_LEN(ends); i++)
        if (fed_str_ends(name, fed_str(ends[i])))
            return true;
    return fed_str_find(name, FED_STR("hugepages-"), 0) >= 0;
}

void fed_amount_format(struct fed_buf *out, struct fed_str name, int64_t milli)
{
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi"}, *const decimal[] = {"",  "k", "M",
                                                                                                "G", "T", "P"};
    if (milli % 1000) {
        fed_buf_addf(out, "%lldm", (long long)milli);
        return;
    }
    int64_t n = milli / 1000;
    size_t i = 0;
    bool two = is_binary(name) && n % 1024 == 0;
    for (int64_t by = two ? 1024 : 1000; n && n % by == 0 && i + 1 < FED_ARRAY_LEN(binary); i++)
        n /= by;
    fed_buf_addf(out, "%lld%s", (long long)n, two ? binary[i] : decimal[i]);
}
