/* SPDX-License-Identifier: Apache-2.0 */
/* smp.c: strategic merge patch: a merge patch whose lists are merged by key where the schema says so, with directives
 * ($patch, $retainKeys, $deleteFromPrimitiveList/x, $setElementOrder/x). */
#include "kube/gowords.h"
#include "kube/schema_priv.h"

enum { MAX_DEPTH = 100 };

struct smp {
    struct fed_arena *arena;
    struct fed_err *err;
    int depth;
};

static const char order_prefix[] = "$setElementOrder/", delete_prefix[] = "$deleteFromPrimitiveList/";

static int merge_map(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch);

static int bad(struct smp *m, const char *what)
{
    return fed_err_set(m->err, FED_E_BAD_REQUEST, "invalid strategic merge patch: %s", what);
}

/* The identity of a list element: its merge key's value, or the element itself. Empty: it has none. */
static struct fed_str element_id(struct smp *m, const struct fed_json *item, struct fed_str key)
{
    const struct fed_json *v = key.n ? fed_json_find_str(item, key) : item;

    return v && v->type != FED_JSON_NULL ? fed_json_text(m->arena, v) : (struct fed_str){NULL, 0};
}

static bool is_directive_key(struct fed_str key)
{
    return fed_str_is(key, "$patch") || fed_str_is(key, "$retainKeys") || fed_str_starts(key, fed_str(order_prefix)) ||
           fed_str_starts(key, fed_str(delete_prefix));
}

/* --- order of a merged list --- */

static size_t place_in(const struct fed_map *places, struct fed_str id)
{
    return (size_t)(uintptr_t)fed_map_find(places, id); /* 1-based; 0: absent */
}

static void index_list(struct smp *m, const struct fed_json *list, struct fed_str key, struct fed_map *places)
{
    size_t i = 0;

    FED_JSON_EACH(it, list) {
        struct fed_str id = element_id(m, it, it->type == FED_JSON_OBJECT ? key : (struct fed_str){NULL, 0});

        i++;
        if (id.n && !fed_map_has(places, id))
            fed_map_set(places, id, (void *)(uintptr_t)i);
    }
}

struct sort_entry {
    size_t rank, seq;
    struct fed_json *item;
    struct fed_str id;
};

static int cmp_entries(const void *a, const void *b)
{
    const struct sort_entry *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Elements that the patch (or its order list) names stand in its order; those that only the server has keep their place
 * relative to named ones that the server had too. An element new to the server goes before those it is compared with. */
static void apply_order(struct smp *m, struct fed_json *list, const struct fed_map *order, const struct fed_map *before,
                        struct fed_str key)
{
    struct sort_entry *named = FED_ARENA_ARRAY(m->arena, struct sort_entry, list->n + 1);
    struct sort_entry *rest = FED_ARENA_ARRAY(m->arena, struct sort_entry, list->n + 1);
    size_t n_named = 0, n_rest = 0, i = 0, k = 0;

    FED_JSON_EACH_SAFE(it, list) {
        struct sort_entry e = {.item = it, .seq = n_named + n_rest, .id = element_id(m, it, key)};
        size_t place = place_in(order, e.id);

        fed_json_remove(it);
        if (place) {
            e.rank = place;
            named[n_named++] = e;
        } else {
            e.rank = place_in(before, e.id);
            rest[n_rest++] = e;
        }
    }
    qsort(named, n_named, sizeof(*named), cmp_entries);
    qsort(rest, n_rest, sizeof(*rest), cmp_entries);
    while (i < n_rest || k < n_named) {
        bool take_rest = k >= n_named;

        if (i < n_rest && k < n_named) {
            size_t l = place_in(before, rest[i].id), r = place_in(before, named[k].id);

            take_rest = l && r && l < r;
        }
        fed_json_push(list, take_rest ? rest[i++].item : named[k++].item);
    }
}

/* --- lists --- */

static bool has_patch_word(const struct fed_json *item, const char *word)
{
    return item->type == FED_JSON_OBJECT && fed_str_is(fed_json_find_text(item, "$patch"), word);
}

static struct fed_json *find_element(struct smp *m, const struct fed_map *index, const struct fed_json *item,
                                     struct fed_str key)
{
    return fed_map_find(index, element_id(m, item, key));
}

static int missing_key(struct smp *m, const struct fed_json *item, struct fed_str key)
{
    struct fed_buf b = {0};
    struct fed_str shown;

    fed_go_print(&b, item);
    shown = fed_arena_dup(m->arena, fed_str_head(fed_buf_str(&b), 200));
    fed_buf_release(&b);
    return fed_err_set(m->err, FED_E_INTERNAL, "map: %.*s does not contain declared merge key: %.*s",
                       FED_STR_ARG(shown), FED_STR_ARG(key));
}

/* `$patch: replace` in a list: the other elements of the patch are the whole new list. */
static int replace_list(struct smp *m, const struct fed_schema *items, struct fed_json *doc,
                        const struct fed_json *patch)
{
    while (doc->first)
        fed_json_remove(doc->first);
    FED_JSON_EACH(it, patch) {
        struct fed_json *made;
        int rc;

        if (has_patch_word(it, "replace") || has_patch_word(it, "delete"))
            continue;
        if (it->type != FED_JSON_OBJECT) {
            fed_json_push(doc, fed_json_copy(m->arena, it));
            continue;
        }
        made = fed_json_push(doc, fed_json_object(m->arena));
        rc = merge_map(m, items, made, it);
        if (rc)
            return rc;
    }
    return 0;
}

static void delete_element(struct smp *m, struct fed_json *doc, const struct fed_json *it, struct fed_str key)
{
    struct fed_str id = element_id(m, it, key);

    FED_JSON_EACH_SAFE(d, doc)
        if (fed_str_eq(element_id(m, d, key), id))
            fed_json_remove(d);
}

static int merge_element(struct smp *m, const struct fed_schema *s, struct fed_json *doc, struct fed_map *index,
                         const struct fed_json *it)
{
    struct fed_str key = s->patch_key;
    struct fed_json *have;
    int rc = 0;

    if (it->type == FED_JSON_NULL)
        return bad(m, "a list element is null");
    if (key.n && it->type != FED_JSON_OBJECT)
        return bad(m, "a list element must be an object");
    if (!element_id(m, it, key).n)
        return missing_key(m, it, key);
    if (has_patch_word(it, "delete")) {
        delete_element(m, doc, it, key);
        fed_map_remove(index, element_id(m, it, key));
        return 0;
    }
    have = find_element(m, index, it, key);
    if (!key.n) {
        if (!have)
            have = fed_json_push(doc, fed_json_copy(m->arena, it));
    } else {
        if (!have)
            have = fed_json_push(doc, fed_json_object(m->arena));
        rc = merge_map(m, s->shape->items, have, it);
    }
    fed_map_set(index, element_id(m, have, key), have);
    return rc;
}

static int merge_list(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                      const struct fed_json *order)
{
    struct fed_map index = {0}, before = {0}, wanted = {0};
    struct fed_str key = s->patch_key;
    int rc = 0;

    index_list(m, doc, key, &before);
    FED_JSON_EACH(it, doc) {
        struct fed_str id = element_id(m, it, key);

        if (id.n && !fed_map_has(&index, id))
            fed_map_set(&index, id, it);
    }
    FED_JSON_EACH(it, patch) {
        if (has_patch_word(it, "replace")) {
            rc = replace_list(m, s->shape->items, doc, patch);
            goto out;
        }
    }
    FED_JSON_EACH(it, patch)
        if (!rc)
            rc = merge_element(m, s, doc, &index, it);
    index_list(m, order ? order : patch, key, &wanted);
    if (!rc)
        apply_order(m, doc, &wanted, &before, key);
out:
    fed_map_release(&index);
    fed_map_release(&before);
    fed_map_release(&wanted);
    return rc;
}

static void delete_primitives(struct fed_json *list, const struct fed_json *values)
{
    FED_JSON_EACH(v, values)
        FED_JSON_EACH_SAFE(it, list)
            if (fed_json_equal(it, v))
                fed_json_remove(it);
}

/* --- maps --- */

static int apply_directives(struct smp *m, struct fed_json *doc, const struct fed_json *patch)
{
    const struct fed_json *keep = fed_json_find(patch, "$retainKeys");

    if (keep && keep->type != FED_JSON_ARRAY)
        return bad(m, "$retainKeys must be a list");
    if (keep) {
        FED_JSON_EACH_SAFE(child, doc) {
            bool kept = false;

            FED_JSON_EACH(k, keep)
                kept |= fed_str_eq(fed_json_str(k), child->key);
            if (!kept)
                fed_json_remove(child);
        }
    }
    FED_JSON_EACH(it, patch) {
        struct fed_str name;

        if (!fed_str_starts(it->key, fed_str(delete_prefix)))
            continue;
        name = fed_str_from(it->key, sizeof(delete_prefix) - 1);
        if (it->type != FED_JSON_ARRAY)
            return bad(m, "$deleteFromPrimitiveList must be a list");
        delete_primitives(fed_json_find_str(doc, name), it);
    }
    return 0;
}

static const struct fed_json *order_of(struct smp *m, const struct fed_json *patch, struct fed_str name)
{
    return fed_json_find_str(patch, fed_arena_printf(m->arena, "%s%.*s", order_prefix, FED_STR_ARG(name)));
}

static int merge_member(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                        const struct fed_json *it)
{
    struct fed_json *have = fed_json_find_str(doc, it->key);
    struct fed_str key = fed_arena_dup(m->arena, it->key);
    bool merged_list = s && s->patch_merge && s->shape->items;

    if (it->type == FED_JSON_NULL) {
        if (have)
            fed_json_remove(have);
        return 0;
    }
    if (it->type == FED_JSON_OBJECT) {
        if (has_patch_word(it, "delete")) {
            if (have)
                fed_json_remove(have);
            return 0;
        }
        if (!have || have->type != FED_JSON_OBJECT)
            have = fed_json_set_str(doc, key, fed_json_object(m->arena));
        return merge_map(m, s, have, it);
    }
    if (it->type == FED_JSON_ARRAY && merged_list) {
        if (!have || have->type != FED_JSON_ARRAY)
            have = fed_json_set_str(doc, key, fed_json_array(m->arena));
        return merge_list(m, s, have, it, order_of(m, patch, it->key));
    }
    fed_json_set_str(doc, key, fed_json_copy(m->arena, it));
    return 0;
}

/* An order list whose list is not in the patch still reorders what the server has. */
static int order_only(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                      const struct fed_json *order)
{
    struct fed_str name = fed_str_from(order->key, sizeof(order_prefix) - 1);
    struct fed_json *list = fed_json_find_str(doc, name);
    const struct fed_schema *ls = fed_schema_property(s, name);

    if (order->type != FED_JSON_ARRAY)
        return bad(m, "$setElementOrder must be a list");
    if (!list || list->type != FED_JSON_ARRAY || !ls || !ls->patch_merge || !ls->shape->items ||
        fed_json_find_str(patch, name))
        return 0;
    return merge_list(m, ls, list, NULL, order);
}

static int merge_map(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch)
{
    struct fed_str word = fed_json_find_text(patch, "$patch");
    int rc;

    if (++m->depth > MAX_DEPTH)
        return bad(m, "nested too deeply");
    if (word.n && !fed_str_is(word, "merge")) {
        if (!fed_str_is(word, "replace") && !fed_str_is(word, "delete"))
            return bad(m, "unknown $patch directive");
        while (doc->first)
            fed_json_remove(doc->first);
        if (fed_str_is(word, "delete")) {
            m->depth--;
            return 0;
        }
    }
    rc = apply_directives(m, doc, patch);
    FED_JSON_EACH(it, patch) {
        if (rc)
            break;
        if (fed_str_starts(it->key, fed_str(order_prefix)))
            rc = order_only(m, s, doc, patch, it);
        else if (!is_directive_key(it->key))
            rc = merge_member(m, fed_schema_property(s, it->key), doc, patch, it);
    }
    m->depth--;
    return rc;
}

int fed_smp_apply(struct fed_arena *a, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                  struct fed_json **out, struct fed_err *err)
{
    struct smp m = {.arena = a, .err = err};

    if (!s->shape->model.n)
        return fed_err_set(err, FED_E_UNSUPPORTED_MEDIA,
                           "the body of the request was in an unknown format - accepted media types include: "
                           "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml");
    if (patch->type != FED_JSON_OBJECT || doc->type != FED_JSON_OBJECT)
        return bad(&m, "an object is expected");
    *out = doc;
    return merge_map(&m, s, doc, patch);
}
