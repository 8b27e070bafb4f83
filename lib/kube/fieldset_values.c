/* SPDX-License-Identifier: Apache-2.0 */
/* fieldset_values.c: the fields of values and what differs between two, by their schema, as structured-merge-diff has it. */
#include "kube/fieldset_priv.h"

/* --- elements of lists --- */

static int cmp_text(const void *a, const void *b)
{
    return fed_str_cmp(*(const struct fed_str *)a, *(const struct fed_str *)b);
}

const struct fed_json *fed_fields_key_default(const struct fed_schema *list, struct fed_str name)
{
    static const struct fed_json no_text = {.type = FED_JSON_STRING, .s = FED_STR_INIT("")};
    static const struct fed_json no_number = {.type = FED_JSON_NUMBER, .s = FED_STR_INIT("0")};
    const struct fed_prop *p = fed_shape_find(list->shape->items->shape, name);

    if (!p || p->schema.dflt)
        return p ? p->schema.dflt : NULL;
    /* In a structure of Go a key that nobody wrote is the zero value. */
    if (!p->schema.pb || p->schema.pb_ptr)
        return NULL;
    return p->schema.shape->type == FED_SHAPE_STRING    ? &no_text
           : p->schema.shape->type == FED_SHAPE_INTEGER ? &no_number
                                                        : NULL;
}

static const struct fed_json *key_of(const struct fed_schema *list, const struct fed_json *item, struct fed_str name)
{
    const struct fed_json *v = fed_json_find_str(item, name);

    return v ? v : fed_fields_key_default(list, name);
}

static void add_keys(struct fed_buf *b, const struct fed_schema *list, const struct fed_json *item)
{
    struct fed_str names[32];
    size_t n = list->n_map_keys < 32 ? list->n_map_keys : 32;

    for (size_t i = 0; i < n; i++)
        names[i] = list->map_keys[i];
    if (n > 1)
        qsort(names, n, sizeof(names[0]), cmp_text);
    for (size_t i = 0; i < n; i++) {
        const struct fed_json *v = key_of(list, item, names[i]);

        if (!v)
            continue;
        fed_buf_addc(b, b->n ? ',' : '{');
        fed_json_write_string(b, names[i]);
        fed_buf_addc(b, ':');
        fed_json_write(b, v);
    }
    if (b->n)
        fed_buf_addc(b, '}');
}

struct fed_str fed_fields_element(struct fed_arena *a, const struct fed_schema *list, const struct fed_json *item)
{
    struct fed_buf b;
    struct fed_str out = {NULL, 0};
    bool nested = item->type == FED_JSON_OBJECT || item->type == FED_JSON_ARRAY;

    if (list->list_type == FED_LIST_SET ? nested || item->type == FED_JSON_NULL : item->type != FED_JSON_OBJECT)
        return out;
    fed_buf_init(&b, 1 << 20);
    if (list->list_type == FED_LIST_SET)
        fed_json_write(&b, item);
    else
        add_keys(&b, list, item);
    if (b.n)
        out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

char fed_fields_element_kind(const struct fed_schema *list)
{
    return list->list_type == FED_LIST_SET ? 'v' : 'k';
}

bool fed_fields_granular_list(const struct fed_schema *s)
{
    return s && s->list_type != FED_LIST_ATOMIC && s->shape->items;
}

bool fed_fields_granular_map(const struct fed_schema *s)
{
    return !s || (!s->atomic && !(s->shape->preserve && s->shape->pb_raw));
}

static bool declared(const struct fed_schema *s, struct fed_str name)
{
    return s && fed_shape_find(s->shape, name);
}

/* --- the fields of one value --- */

static void fields_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v,
                      struct fed_fields *out);

static void fields_of_object(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v,
                             struct fed_fields *out)
{
    struct fed_gather g = {0};

    FED_JSON_EACH(it, v) {
        struct fed_fields n = {.kind = 'f', .text = it->key};

        fields_of(a, fed_schema_property(s, it->key), it, &n);
        if (it->type == FED_JSON_NULL || (it->type == FED_JSON_OBJECT && !it->n) || !declared(s, it->key))
            n.member = true;
        fed_gather_add(a, &g, &n);
    }
    out->first = fed_gather_list(&g);
}

/* Items that are there twice are owned without what is in them: whose would it be? */
static void fields_of_list(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v,
                           struct fed_fields *out)
{
    struct fed_str *elements = FED_ARENA_ARRAY(a, struct fed_str, v->n);
    struct fed_map seen = {0};
    struct fed_gather g = {0};
    size_t i = 0, n = 0;

    FED_JSON_EACH(it, v) {
        struct fed_str e = elements[n++] = fed_fields_element(a, s, it);

        if (e.n)
            fed_map_set(&seen, e, fed_map_has(&seen, e) ? NULL : (void *)it);
    }
    FED_JSON_EACH(it, v) {
        struct fed_fields node = {.kind = fed_fields_element_kind(s), .text = elements[i++], .member = true};

        if (!node.text.n || !fed_map_has(&seen, node.text))
            continue;
        if (fed_map_remove(&seen, node.text))
            fields_of(a, s->shape->items, it, &node);
        fed_gather_add(a, &g, &node);
    }
    fed_map_release(&seen);
    out->first = fed_gather_list(&g);
}

static void fields_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_fields *out)
{
    if (v->type == FED_JSON_OBJECT && fed_fields_granular_map(s))
        fields_of_object(a, s, v, out);
    else if (v->type == FED_JSON_ARRAY && fed_fields_granular_list(s))
        fields_of_list(a, s, v, out);
    else if (v->type != FED_JSON_NULL || !s || s->shape->type != FED_SHAPE_ARRAY)
        out->member = true;
}

const struct fed_fields *fed_fields_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *value)
{
    struct fed_fields root = {0};

    fields_of(a, s, value, &root);
    return fed_fields_root(a, root.first);
}

/* --- comparing --- */

struct comparison {
    struct fed_arena *a;
    bool built_in, applied; /* as fed_fields_compare says */
};
/* What of one place came or changed, and what went. */
struct diff {
    struct fed_fields changed, removed;
};
struct diffs {
    struct fed_gather changed, removed;
    bool both;
};

static void compare(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                    const struct fed_json *obj, struct diff *d);

static struct diff diff_at(char kind, struct fed_str text)
{
    return (struct diff){{.kind = kind, .text = text}, {.kind = kind, .text = text}};
}

static void add_diff(const struct comparison *k, struct diffs *all, const struct diff *d)
{
    fed_gather_add(k->a, &all->changed, &d->changed);
    fed_gather_add(k->a, &all->removed, &d->removed);
}

static void put_diffs(const struct comparison *k, struct diffs *all, struct diff *d)
{
    d->changed.first = fed_fields_unite(k->a, d->changed.first, fed_gather_list(&all->changed));
    d->removed.first = fed_fields_unite(k->a, d->removed.first, fed_gather_list(&all->removed));
}

/* Members that a built-in kind's object has even where nobody wrote them, because kube-apiserver keeps it in a structure
 * that contains them: they never come or go, so nobody owns them, only what is in them. All others are whole when they
 * come, and their writer owns the node too ("."). */
static bool always_there(bool built_in, const struct fed_schema *s, struct fed_str name)
{
    static const char *const names[] = {"metadata", "spec", "status", "containers"};

    if (!s || (!s->shape->n_props && !s->shape->items))
        return false;
    if (built_in && s->zero && s->zero->type == FED_JSON_OBJECT)
        return true;
    for (size_t i = 0; i < (built_in ? FED_ARRAY_LEN(names) : 1); i++)
        if (fed_str_is(name, names[i]))
            return true;
    return false;
}

/* In built-in kinds' structures lists and maps without anything in them are not there (omitempty). */
static const struct fed_json *there(const struct comparison *k, const struct fed_schema *s, const struct fed_json *v)
{
    if (!k->built_in || !v || v->n)
        return v;
    if (v->type == FED_JSON_OBJECT)
        return s && (s->shape->n_props || !s->shape->additional) ? v : NULL;
    if (v->type == FED_JSON_NULL) /* but what Go writes of a time that is not set is one */
        return s && s->zero && s->zero->type == FED_JSON_NULL ? v : NULL;
    return v->type == FED_JSON_ARRAY ? NULL : v;
}

static void compare_member(const struct comparison *k, const struct fed_schema *s, struct fed_str name,
                           const struct fed_json *old, const struct fed_json *obj, struct diffs *all)
{
    const struct fed_schema *cs = fed_schema_property(s, name);
    struct diff d = diff_at('f', name);

    if (!k->applied || (old && !old->n && old->type == (obj ? obj->type : old->type)))
        obj = there(k, cs, obj); /* where nothing was, nothing that stays is no news */
    old = there(k, cs, old);
    if (!old && !obj)
        return;
    if ((!old || !obj) && all->both && always_there(k->built_in, cs, name)) {
        struct fed_json *empty =
            (old ? old : obj)->type == FED_JSON_ARRAY ? fed_json_array(k->a) : fed_json_object(k->a);

        old = old ? old : empty;
        obj = obj ? obj : empty;
    }
    compare(k, cs, old, obj, &d);
    add_diff(k, all, &d);
}

/* Its resources come and go with it, also where nobody wrote them. */
static bool is_container(const struct fed_schema *s)
{
    return declared(s, FED_STR("resources")) && declared(s, FED_STR("image"));
}

/* both: the objects are there, though one may be empty, and with them what is always in them. */
static void compare_objects(const struct comparison *k, const struct fed_schema *s, bool both,
                            const struct fed_json *old, const struct fed_json *obj, struct diff *d)
{
    struct fed_json_index ix = {0};
    struct diffs all = {.both = both};

    fed_json_index_build(&ix, old);
    FED_JSON_EACH(it, obj)
        compare_member(k, s, it->key, fed_json_index_find(&ix, old, it->key), it, &all);
    fed_json_index_build(&ix, obj);
    FED_JSON_EACH(it, old)
        if (!fed_json_index_find(&ix, obj, it->key))
            compare_member(k, s, it->key, it, NULL, &all);
    fed_json_index_release(&ix);
    if (k->built_in && !both && is_container(s) && !fed_json_find(old ? old : obj, "resources"))
        compare_member(k, s, FED_STR("resources"), old ? fed_json_object(k->a) : NULL,
                       old ? NULL : fed_json_object(k->a), &all);
    put_diffs(k, &all, d);
}

/* The items of a list with the same element, linked by `again`. */
struct same {
    const struct fed_json *item;
    struct same *again, *last;
    size_t n;
};

static void group(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *list, struct fed_map *out)
{
    struct same *made = list ? FED_ARENA_ARRAY(a, struct same, list->n) : NULL;

    FED_JSON_EACH(it, list) {
        struct fed_str e = fed_fields_element(a, s, it);
        struct same *first = e.n ? fed_map_find(out, e) : NULL;

        made->item = it;
        made->last = made;
        made->n = 1;
        if (first) {
            first->last->again = made;
            first->last = made;
            first->n++;
        } else if (e.n) {
            fed_map_set(out, e, made);
        }
        made++;
    }
}

static bool all_equal(const struct same *x, const struct same *y)
{
    for (; x && y; x = x->again, y = y->again)
        if (!fed_json_equal(x->item, y->item))
            return false;
    return x == y;
}

/* Items that are there twice are compared as one value; where there was or is one only, that one comes or goes. */
static void compare_items(const struct comparison *k, const struct fed_schema *s, struct fed_str element,
                          const struct same *old, const struct same *obj, struct diffs *all)
{
    struct diff d = diff_at(fed_fields_element_kind(s), fed_arena_dup(k->a, element));
    size_t was = old ? old->n : 0, is = obj ? obj->n : 0;

    if (was < 2 && is < 2) {
        compare(k, s->shape->items, was ? old->item : NULL, is ? obj->item : NULL, &d);
    } else if (was > 1 && is > 1) {
        d.changed.member = !all_equal(old, obj);
    } else if (was > 1) {
        if (is)
            compare(k, s->shape->items, NULL, obj->item, &d);
        d.removed.member = true;
    } else {
        if (was)
            compare(k, s->shape->items, old->item, NULL, &d);
        d.changed.member = true;
    }
    add_diff(k, all, &d);
}

static void compare_lists(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                          const struct fed_json *obj, struct diff *d)
{
    struct fed_map before = {0}, after = {0};
    struct diffs all = {0};

    group(k->a, s, old, &before);
    group(k->a, s, obj, &after);
    FED_MAP_EACH(e, &after)
        compare_items(k, s, e->key, fed_map_find(&before, e->key), e->value, &all);
    FED_MAP_EACH(e, &before)
        if (!fed_map_has(&after, e->key))
            compare_items(k, s, e->key, e->value, NULL, &all);
    fed_map_release(&before);
    fed_map_release(&after);
    put_diffs(k, &all, d);
}

/* What a value is compared as; null is whatever the schema lets it be. */
static enum fed_json_type nature(const struct fed_schema *s, const struct fed_json *v)
{
    if (v->type == FED_JSON_OBJECT || v->type == FED_JSON_ARRAY)
        return v->type;
    if (v->type != FED_JSON_NULL)
        return FED_JSON_STRING;
    if (!s || s->shape->type == FED_SHAPE_OBJECT || s->shape->type == FED_SHAPE_ANY)
        return FED_JSON_OBJECT;
    return s->shape->type == FED_SHAPE_ARRAY ? FED_JSON_ARRAY : FED_JSON_STRING;
}

static const struct fed_json *filled(const struct fed_json *v, enum fed_json_type type)
{
    return v && v->type == type && v->n ? v : NULL;
}

static void compare_as(const struct comparison *k, const struct fed_schema *s, enum fed_json_type type,
                       const struct fed_json *old, const struct fed_json *obj, struct diff *d)
{
    bool granular = type == FED_JSON_OBJECT  ? fed_fields_granular_map(s)
                    : type == FED_JSON_ARRAY ? fed_fields_granular_list(s)
                                             : false;

    if (granular && (filled(old, type) || filled(obj, type))) {
        if (type == FED_JSON_OBJECT)
            compare_objects(k, s, old && obj, filled(old, type), filled(obj, type), d);
        else
            compare_lists(k, s, filled(old, type), filled(obj, type), d);
    } else if (old && obj) { /* they differ */
        d->changed.member = true;
    }
}

/* Either may be NULL: not there. */
static void compare(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                    const struct fed_json *obj, struct diff *d)
{
    enum fed_json_type type = nature(s, obj ? obj : old);

    if (old && obj && fed_json_equal(old, obj)) /* most of most objects */
        return;
    if (old && nature(s, old) != type)
        compare_as(k, s, nature(s, old), old, obj, d);
    compare_as(k, s, type, old, obj, d);
    if (!old)
        d->changed.member = true;
    else if (!obj)
        d->removed.member = true;
}

void fed_fields_compare(struct fed_arena *a, const struct fed_schema *s, enum fed_fields_of_kind of,
                        const struct fed_json *old, const struct fed_json *obj, const struct fed_fields **changed,
                        const struct fed_fields **removed)
{
    struct comparison k = {a, of != FED_FIELDS_CUSTOM, of == FED_FIELDS_APPLIED};
    struct diff d = {0};

    compare(&k, s, old ? old : fed_json_object(a), obj, &d);
    *changed = fed_fields_root(a, d.changed.first);
    *removed = fed_fields_root(a, d.removed.first);
}

/* --- sets by a schema --- */

static const struct fed_schema *below(const struct fed_schema *s, const struct fed_fields *n)
{
    if (!s)
        return NULL;
    return n->kind == 'f' ? fed_schema_property(s, n->text) : s->shape->items;
}

static const struct fed_fields *named(struct fed_arena *a, const struct fed_schema *s, const struct fed_fields *list)
{
    struct fed_gather g = {0};

    if (!s)
        return list;
    for (; list; list = list->next) {
        struct fed_fields n = *list;

        n.first = named(a, below(s, &n), n.first);
        n.member = n.member || (n.kind == 'f' && declared(s, n.text));
        fed_gather_add(a, &g, &n);
    }
    return g.first;
}

const struct fed_fields *fed_fields_named(struct fed_arena *a, const struct fed_schema *s, const struct fed_fields *set)
{
    return fed_fields_empty(set) ? set : fed_fields_root(a, named(a, s, set->first));
}

static bool whole_now(const struct fed_schema *s)
{
    return s && (s->shape->type == FED_SHAPE_ARRAY ? !fed_fields_granular_list(s)
                                                   : s->shape->type == FED_SHAPE_OBJECT && !fed_fields_granular_map(s));
}

static bool fits(const struct fed_schema *s, const struct fed_fields *list)
{
    for (; s && list; list = list->next) {
        const struct fed_schema *cs = list->first ? below(s, list) : NULL;

        if (cs && (whole_now(cs) || !fits(cs, list->first)))
            return false;
    }
    return true;
}

static const struct fed_fields *fit(struct fed_arena *a, const struct fed_schema *s, const struct fed_fields *list)
{
    struct fed_gather g = {0};

    if (!s)
        return list;
    for (; list; list = list->next) {
        const struct fed_schema *cs = below(s, list);
        struct fed_fields n = *list;

        if (n.first && whole_now(cs)) {
            n.first = NULL;
            n.member = true;
        } else {
            n.first = fit(a, cs, n.first);
        }
        fed_gather_add(a, &g, &n);
    }
    return g.first;
}

const struct fed_fields *fed_fields_fit(struct fed_arena *a, const struct fed_schema *s, const struct fed_fields *set)
{
    if (fed_fields_empty(set) || fits(s, set->first))
        return set;
    return fed_fields_root(a, fit(a, s, set->first));
}
