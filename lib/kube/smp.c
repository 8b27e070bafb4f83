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

static const char order_prefix[] = "$setElementOrder", delete_prefix[] = "$deleteFromPrimitiveList";

static int merge_map(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch);

static int bad(struct smp *m, const char *what)
{
    return fed_err_set(m->err, FED_E_BAD_REQUEST, "invalid strategic merge patch: %s", what);
}

/* As Go prints a value, cut. */
static struct fed_str shown(struct smp *m, const struct fed_json *v)
{
    struct fed_buf b = {0};
    struct fed_str out;

    fed_go_print(&b, v);
    out = fed_arena_dup(m->arena, fed_str_head(fed_buf_str(&b), 200));
    fed_buf_release(&b);
    return out;
}

static int missing_key(struct smp *m, const struct fed_json *item, struct fed_str key)
{
    return fed_err_set(m->err, FED_E_INTERNAL, "map: %.*s does not contain declared merge key: %.*s",
                       FED_STR_ARG(shown(m, item)), FED_STR_ARG(key));
}

static int wrong_type(struct smp *m, const char *want, const struct fed_json *v)
{
    return fed_err_set(m->err, FED_E_INTERNAL, "expected a %s, but received a %s", want,
                       v->type == FED_JSON_NULL ? "%!s(<nil>)" : fed_go_type_name(v));
}

static int unknown_word(struct smp *m, const struct fed_json *word, const struct fed_json *map)
{
    struct fed_str text = shown(m, word);

    if (word->type == FED_JSON_NULL)
        text = FED_STR("%!s(<nil>)");
    else if (word->type != FED_JSON_STRING)
        text = fed_arena_printf(m->arena, "%%!s(%s=%.*s)", fed_go_type_name(word), FED_STR_ARG(text));
    return fed_err_set(m->err, FED_E_INTERNAL, "unknown patch type: %.*s in map: %.*s", FED_STR_ARG(text),
                       FED_STR_ARG(shown(m, map)));
}

/* The identity of a list element: its merge key's value, or the element itself. Empty: it has none. */
static struct fed_str element_id(struct smp *m, const struct fed_json *item, struct fed_str key)
{
    const struct fed_json *v = key.n ? fed_json_find_str(item, key) : item;

    return v ? fed_json_text(m->arena, v) : (struct fed_str){NULL, 0};
}

/* What a patch has of its own where the object has nothing to merge with: without maps that carry directives; NULL: v is
 * one. Nulls of members go on demand. */
static struct fed_json *plain(struct smp *m, const struct fed_json *v, bool drop_nulls)
{
    struct fed_json *out;

    if (v->type != FED_JSON_OBJECT && v->type != FED_JSON_ARRAY)
        return fed_json_copy(m->arena, v);
    if (fed_json_find(v, "$patch"))
        return NULL;
    out = v->type == FED_JSON_OBJECT ? fed_json_object(m->arena) : fed_json_array(m->arena);
    FED_JSON_EACH(it, v) {
        struct fed_json *made = drop_nulls && it->key.p && it->type == FED_JSON_NULL ? NULL : plain(m, it, drop_nulls);

        if (!made)
            continue;
        if (it->key.p)
            fed_json_add(out, it->key, made);
        else
            fed_json_push(out, made);
    }
    return out;
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

static int same_types(struct smp *m, const struct fed_json *doc, const struct fed_json *patch, enum fed_json_type *type)
{
    const struct fed_json *const lists[] = {doc, patch};
    const struct fed_json *first = NULL;

    for (size_t i = 0; i < 2; i++) {
        FED_JSON_EACH(it, lists[i]) {
            first = first ? first : it;
            if (it->type == FED_JSON_NULL)
                return bad(m, "a list element is null");
            if (it == first && it->type == FED_JSON_ARRAY)
                return fed_err_set(m->err, FED_E_INVALID, "lists of lists are not supported");
            if (it->type != first->type)
                return fed_err_set(m->err, FED_E_INTERNAL, "list element types are not identical: [%.*s %.*s]",
                                   FED_STR_ARG(doc ? shown(m, doc) : FED_STR("[]")),
                                   FED_STR_ARG(patch ? shown(m, patch) : FED_STR("[]")));
        }
    }
    if (!first)
        return fed_err_set(m->err, FED_E_INTERNAL, "no elements in any of the given slices");
    *type = first->type;
    return 0;
}

static void delete_element(struct smp *m, struct fed_json *doc, struct fed_str id, struct fed_str key)
{
    FED_JSON_EACH_SAFE(d, doc)
        if (fed_str_eq(element_id(m, d, key), id))
            fed_json_remove(d);
}

/* Does what elements with a directive say. *replace: the others are the whole list. */
static int special_elements(struct smp *m, struct fed_json *doc, const struct fed_json *patch, struct fed_str key,
                            bool *replace)
{
    FED_JSON_EACH(it, patch) {
        const struct fed_json *word = fed_json_find(it, "$patch");
        struct fed_str text = fed_json_str(word), id;

        if (!word)
            continue;
        if (fed_str_is(text, "delete")) {
            id = element_id(m, it, key);
            if (!id.n)
                return missing_key(m, it, key);
            delete_element(m, doc, id, key);
        } else if (fed_str_is(text, "replace")) {
            *replace = true;
        } else if (fed_str_is(text, "merge")) {
            return fed_err_set(m->err, FED_E_INTERNAL, "merging lists cannot yet be specified in the patch");
        } else {
            return unknown_word(m, word, it);
        }
    }
    return 0;
}

static int merge_maps(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                      struct fed_str key)
{
    struct fed_map index = {0};
    bool replace = false;
    int rc = special_elements(m, doc, patch, key, &replace);

    if (replace)
        while (doc->first)
            fed_json_remove(doc->first);
    FED_JSON_EACH(it, doc) {
        struct fed_str id = element_id(m, it, key);

        if (id.n && !fed_map_has(&index, id))
            fed_map_set(&index, id, it);
    }
    FED_JSON_EACH(it, patch) {
        struct fed_str id = element_id(m, it, key);
        struct fed_json *have = id.n && !replace ? fed_map_find(&index, id) : NULL;

        if (rc)
            break;
        if (fed_json_find(it, "$patch"))
            continue;
        if (!id.n)
            rc = missing_key(m, it, key);
        else if (have)
            rc = merge_map(m, s->shape->items, have, it);
        else if (!(have = fed_map_find(&index, id)) || replace)
            fed_map_set(&index, id, fed_json_push(doc, fed_json_copy(m->arena, it)));
    }
    fed_map_release(&index);
    FED_JSON_EACH(it, doc)
        if (!rc && !fed_json_find_str(it, key))
            rc = missing_key(m, it, key);
    return rc;
}

static void delete_primitives(struct smp *m, struct fed_json *list, const struct fed_json *values)
{
    struct fed_map gone = {0};

    FED_JSON_EACH(v, values)
        fed_map_set(&gone, fed_json_text(m->arena, v), NULL);
    FED_JSON_EACH_SAFE(it, list)
        if (fed_map_has(&gone, fed_json_text(m->arena, it)))
            fed_json_remove(it);
    fed_map_release(&gone);
}

/* Those of both, each once. */
static void add_primitives(struct smp *m, struct fed_json *list, const struct fed_json *values)
{
    struct fed_map seen = {0};

    FED_JSON_EACH(v, values)
        fed_json_push(list, fed_json_copy(m->arena, v));
    FED_JSON_EACH_SAFE(it, list) {
        struct fed_str text = fed_json_text(m->arena, it);

        if (fed_map_has(&seen, text))
            fed_json_remove(it);
        else
            fed_map_set(&seen, text, NULL);
    }
    fed_map_release(&seen);
}

/* Merges the lists; `order` (the patch itself where it has no other) says how the result is sorted. */
static int merge_list(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                      const struct fed_json *order)
{
    struct fed_str key = s->patch_key, model = s->shape->items ? s->shape->items->shape->model : key;
    struct fed_map before = {0}, wanted = {0};
    enum fed_json_type type;
    int rc;

    if (!doc->n && (!patch || !patch->n))
        return 0;
    rc = same_types(m, doc, patch, &type);
    if (rc)
        return rc;
    if (type == FED_JSON_OBJECT && !key.n)
        return fed_err_set(m->err, FED_E_INTERNAL, "cannot merge lists without merge key for %.*s", FED_STR_ARG(model));
    if (type != FED_JSON_OBJECT)
        key = (struct fed_str){NULL, 0};
    index_list(m, doc, key, &before);
    if (type != FED_JSON_OBJECT)
        add_primitives(m, doc, patch);
    else
        rc = merge_maps(m, s, doc, patch, key);
    index_list(m, order, key, &wanted);
    if (!rc)
        apply_order(m, doc, &wanted, &before, key);
    fed_map_release(&before);
    fed_map_release(&wanted);
    return rc;
}

/* --- the order of lists --- */

static int key_of(struct smp *m, const struct fed_json *item, struct fed_str key, struct fed_str *id)
{
    if (key.n && item->type != FED_JSON_OBJECT)
        return wrong_type(m, "map[string]interface {}", item);
    *id = element_id(m, item, key);
    return id->n ? 0 : missing_key(m, item, key);
}

/* What the patch has of a list stands in the order that it asks for. */
static int check_order(struct smp *m, const struct fed_json *patch, const struct fed_json *order, struct fed_str key)
{
    const struct fed_json *want = order->first, *it = patch ? patch->first : NULL;
    struct fed_str x, y;
    int rc;

    if (!it || !want)
        return 0;
    while (it) {
        if (fed_json_find(it, "$patch")) {
            it = it->next;
            continue;
        }
        if (!want)
            return fed_err_set(m->err, FED_E_INTERNAL,
                               "The order in patch list:\n%.*s\n doesn't match $setElementOrder list:\n%.*s\n",
                               FED_STR_ARG(shown(m, patch)), FED_STR_ARG(shown(m, order)));
        rc = key_of(m, it, key, &x);
        if (!rc)
            rc = key_of(m, want, key, &y);
        if (rc)
            return rc;
        if (fed_str_eq(x, y))
            it = it->next;
        want = want->next;
    }
    return 0;
}

static int no_field(struct smp *m, const struct fed_schema *s, struct fed_str name)
{
    struct fed_str model = s ? s->shape->model : (struct fed_str){NULL, 0};

    for (ptrdiff_t dot; (dot = fed_str_chr(model, '.', 0)) >= 0;)
        model = fed_str_from(model, (size_t)dot + 1);
    return fed_err_set(m->err, FED_E_INTERNAL, "unable to find api field in struct %.*s for the json field \"%.*s\"",
                       FED_STR_ARG(model), FED_STR_ARG(name));
}

/* $setElementOrder/x, with x of the patch. */
static int order_list(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch,
                      const struct fed_json *order)
{
    struct fed_str name = fed_str_from(order->key, sizeof(order_prefix) - 1);
    const struct fed_json *add;
    const struct fed_schema *ls;
    struct fed_json *have;
    int rc;

    if (order->type != FED_JSON_ARRAY)
        return wrong_type(m, "[]interface {}", order);
    if (!name.n || name.p[0] != '/')
        return fed_err_set(m->err, FED_E_BAD_REQUEST, "invalid patch format of setElementOrder list");
    name = fed_arena_dup(m->arena, fed_str_from(name, 1));
    add = fed_json_find_str(patch, name);
    have = fed_json_find_str(doc, name);
    ls = fed_schema_property(s, name);
    if (have && have->type != FED_JSON_ARRAY)
        return wrong_type(m, "[]interface {}", have);
    if (add && add->type != FED_JSON_ARRAY)
        return wrong_type(m, "[]interface {}", add);
    if (!ls)
        return no_field(m, s, name);
    rc = check_order(m, add, order, ls->patch_key);
    if (rc || (!have && !add))
        return rc;
    if (have && add && !ls->patch_merge) {
        fed_json_set_str(doc, name, fed_json_copy(m->arena, add));
        return 0;
    }
    if (have)
        return merge_list(m, ls, have, add, order);
    have = fed_json_set_str(doc, name, plain(m, add, false));
    return have->n ? merge_list(m, ls, have, NULL, order) : 0;
}

/* --- maps --- */

static bool is_directive_key(struct fed_str key)
{
    return fed_str_is(key, "$retainKeys") || fed_str_starts(key, fed_str(order_prefix));
}

static int retain_keys(struct smp *m, struct fed_json *doc, const struct fed_json *patch)
{
    const struct fed_json *keep = fed_json_find(patch, "$retainKeys");
    static const char wrong[] = "invalid patch format of retainKeys";
    struct fed_map names = {0};
    int rc = 0;

    if (!keep)
        return 0;
    if (keep->type != FED_JSON_ARRAY)
        return fed_err_set(m->err, FED_E_BAD_REQUEST, "%s", wrong);
    FED_JSON_EACH(k, keep)
        if (k->type == FED_JSON_STRING)
            fed_map_set(&names, k->s, NULL);
    FED_JSON_EACH(it, patch)
        if (it->type != FED_JSON_NULL && !is_directive_key(it->key) &&
            !fed_str_starts(it->key, fed_str(delete_prefix)) && !fed_map_has(&names, it->key))
            rc = fed_err_set(m->err, FED_E_BAD_REQUEST, "%s", wrong);
    FED_JSON_EACH_SAFE(child, doc)
        if (!rc && !fed_map_has(&names, child->key))
            fed_json_remove(child);
    fed_map_release(&names);
    return rc;
}

static int merge_member(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *it)
{
    bool deleting = fed_str_starts(it->key, fed_str(delete_prefix));
    struct fed_str key = it->key;
    struct fed_json *have, *made;
    const struct fed_schema *cs;

    if (deleting) {
        key = fed_str_from(key, sizeof(delete_prefix) - 1);
        if (!key.n || key.p[0] != '/')
            return fed_err_set(m->err, FED_E_BAD_REQUEST, "invalid patch format of primitive list");
        key = fed_str_from(key, 1);
    }
    key = fed_arena_dup(m->arena, key);
    have = fed_json_find_str(doc, key);
    cs = fed_schema_property(s, key);
    if (it->type == FED_JSON_NULL || (have && have->type == FED_JSON_NULL)) {
        if (have)
            fed_json_remove(have);
        if (it->type == FED_JSON_NULL)
            return 0;
        have = NULL;
    }
    if (have && have->type == it->type && it->type == FED_JSON_OBJECT)
        return merge_map(m, cs, have, it);
    if (have && have->type == it->type && it->type == FED_JSON_ARRAY && deleting &&
        (!have->first || have->first->type != FED_JSON_OBJECT)) {
        enum fed_json_type type;
        int rc = have->n || it->n ? same_types(m, have, it, &type) : 0;

        if (!rc)
            delete_primitives(m, have, it);
        return rc;
    }
    if (have && have->type == it->type && it->type == FED_JSON_ARRAY && cs && cs->shape->items &&
        (cs->patch_merge || deleting))
        return merge_list(m, cs, have, it, it);
    if (deleting)
        return 0;
    if (have && have->type == it->type)
        made = fed_json_copy(m->arena, it);
    else
        made = plain(m, it, true);
    if (made)
        fed_json_set_str(doc, key, made);
    else if (have)
        fed_json_remove(have);
    return 0;
}

/* $patch of a map: the rest of the patch instead of it, or nothing. */
static int whole_map(struct smp *m, struct fed_json *doc, const struct fed_json *patch, const struct fed_json *word)
{
    bool replace = fed_str_is(fed_json_str(word), "replace");

    if (!replace && !fed_str_is(fed_json_str(word), "delete"))
        return unknown_word(m, word, patch);
    while (doc->first)
        fed_json_remove(doc->first);
    FED_JSON_EACH(it, replace ? patch : NULL)
        if (it != word)
            fed_json_add(doc, fed_arena_dup(m->arena, it->key), fed_json_copy(m->arena, it));
    return 0;
}

static int merge_map(struct smp *m, const struct fed_schema *s, struct fed_json *doc, const struct fed_json *patch)
{
    const struct fed_json *word = fed_json_find(patch, "$patch");
    struct fed_map ordered = {0};
    int rc;

    if (word)
        return whole_map(m, doc, patch, word);
    if (++m->depth > MAX_DEPTH)
        return bad(m, "nested too deeply");
    rc = retain_keys(m, doc, patch);
    FED_JSON_EACH(it, patch) {
        if (rc || !fed_str_starts(it->key, fed_str(order_prefix)))
            continue;
        rc = order_list(m, s, doc, patch, it);
        if (it->key.n > sizeof(order_prefix))
            fed_map_set(&ordered, fed_str_from(it->key, sizeof(order_prefix)), NULL);
    }
    FED_JSON_EACH(it, patch)
        if (!rc && !is_directive_key(it->key) && !fed_map_has(&ordered, it->key))
            rc = merge_member(m, s, doc, it);
    fed_map_release(&ordered);
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
