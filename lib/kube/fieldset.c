/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/fieldset.h"

static void set_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_json *out);

static struct fed_str json_text(struct fed_arena *a, const char *prefix, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 1 << 20);
    fed_buf_addz(&b, prefix);
    fed_json_write(&b, v);
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static struct fed_str field_name(struct fed_arena *a, struct fed_str key)
{
    return fed_arena_printf(a, "f:%.*s", FED_STR_ARG(key));
}

static int cmp_text(const void *a, const void *b)
{
    return fed_str_cmp(*(const struct fed_str *)a, *(const struct fed_str *)b);
}

static struct fed_str map_element(struct fed_arena *a, const struct fed_schema *list, const struct fed_json *item)
{
    struct fed_str names[32];
    struct fed_json *key = fed_json_object(a);
    size_t n = list->n_map_keys < 32 ? list->n_map_keys : 32;

    for (size_t i = 0; i < n; i++)
        names[i] = list->map_keys[i];
    qsort(names, n, sizeof(names[0]), cmp_text);
    for (size_t i = 0; i < n; i++) {
        const struct fed_json *v = fed_json_find_str(item, names[i]);
        const struct fed_prop *p = fed_shape_find(list->shape->items->shape, names[i]);

        if (!v && p)
            v = p->schema.dflt;
        if (v)
            fed_json_set_str(key, names[i], fed_json_copy(a, v));
    }
    return key->n ? json_text(a, "k:", key) : (struct fed_str){NULL, 0};
}

struct fed_str fed_fieldset_element(struct fed_arena *a, const struct fed_schema *list, const struct fed_json *item)
{
    if (list->list_type == FED_LIST_SET)
        return json_text(a, "v:", item);
    return item->type == FED_JSON_OBJECT ? map_element(a, list, item) : (struct fed_str){NULL, 0};
}

static bool granular_list(const struct fed_schema *s)
{
    return s && s->list_type != FED_LIST_ATOMIC && s->shape->items;
}

static bool granular_map(const struct fed_schema *s)
{
    return !s || (!s->atomic && !(s->shape->preserve && s->shape->pb_raw));
}

/* Members that a built-in kind's object has even where nobody wrote them, because kube-apiserver keeps it in a structure
 * that contains them: they never come or go, so nobody owns them, only what is in them. All others are whole when they
 * come, and their writer owns the node too ("."). */
static bool always_there(bool built_in, const struct fed_schema *s, struct fed_str name)
{
    static const char *const names[] = {
        "metadata",         "spec",           "status",          "template",       "jobTemplate",  "strategy",
        "updateStrategy",   "resources",      "names",           "acceptedNames",  "roleRef",      "involvedObject",
        "source",           "scaleTargetRef", "podSelector",     "nodeInfo",       "loadBalancer", "regarding",
        "deprecatedSource", "containers",     "daemonEndpoints", "kubeletEndpoint"};

    if (!s || (!s->shape->n_props && !s->shape->items))
        return false;
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_is(name, names[i]))
            return built_in || i == 0;
    return false;
}

static struct fed_json *child_of(struct fed_arena *a, struct fed_json *set, struct fed_str key)
{
    struct fed_json *c = fed_json_find_str(set, key);

    return c ? c : fed_json_set_str(set, key, fed_json_object(a));
}

static void mark(struct fed_arena *a, struct fed_json *node)
{
    if (node->n && !fed_json_find(node, "."))
        fed_json_set(node, ".", fed_json_object(a));
}

static void object_set(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_json *out)
{
    bool fresh = !out->n; /* members of one object differ: there is nothing to look for */

    FED_JSON_EACH(it, v) {
        const struct fed_schema *cs = fed_schema_property(s, it->key);
        struct fed_str e;

        if (it->type == FED_JSON_NULL || (it->type == FED_JSON_ARRAY && !it->n && granular_list(cs)))
            continue; /* an empty list has no items to own */
        e = field_name(a, it->key);
        set_of(a, cs, it, fresh ? fed_json_add(out, e, fed_json_object(a)) : child_of(a, out, e));
    }
}

static void list_set(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_json *out)
{
    struct fed_map seen = {0}; /* elements may be there twice */

    FED_JSON_EACH(it, out)
        fed_map_set(&seen, it->key, it);
    FED_JSON_EACH(it, v) {
        struct fed_str e = fed_fieldset_element(a, s, it);
        struct fed_json *c;

        if (!e.n)
            continue;
        c = fed_map_find(&seen, e);
        if (!c)
            fed_map_set(&seen, e, c = fed_json_add(out, e, fed_json_object(a)));
        if (s->list_type == FED_LIST_MAP) {
            object_set(a, s->shape->items, it, c);
            mark(a, c);
        }
    }
    fed_map_release(&seen);
}

/* `out` is the node of v: it stays empty (a member) for a leaf. */
static void set_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_json *out)
{
    if (v->type == FED_JSON_OBJECT && v->n && granular_map(s))
        object_set(a, s, v, out);
    else if (v->type == FED_JSON_ARRAY && v->n && granular_list(s))
        list_set(a, s, v, out);
}

struct fed_json *fed_fieldset_of(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *value)
{
    struct fed_json *out = fed_json_object(a);

    set_of(a, s, value, out);
    return out;
}

/* --- comparing --- */

struct comparison {
    struct fed_arena *a;
    bool built_in;
};

static bool compare(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                    const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed);

/* All of a value that came or went: each node in it, too. */
static void whole(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *v, struct fed_json *node)
{
    if (v->type == FED_JSON_OBJECT && granular_map(s)) {
        FED_JSON_EACH(it, v)
            if (it->type != FED_JSON_NULL)
                whole(a, fed_schema_property(s, it->key), it,
                      fed_json_add(node, field_name(a, it->key), fed_json_object(a)));
    } else if (v->type == FED_JSON_ARRAY && granular_list(s)) {
        struct fed_map seen = {0}; /* elements may be there twice */

        FED_JSON_EACH(it, v) {
            struct fed_str e = fed_fieldset_element(a, s, it);

            if (!e.n || fed_map_has(&seen, e))
                continue;
            fed_map_set(&seen, e, it);
            whole(a, s->shape->items, it, fed_json_add(node, e, fed_json_object(a)));
        }
        fed_map_release(&seen);
    }
    mark(a, node);
}

/* Compares what `element` names on both sides. Each element is asked for once: it is in neither set yet. */
static void compare_child(const struct comparison *k, const struct fed_schema *s, struct fed_str element,
                          const struct fed_json *old, const struct fed_json *obj, struct fed_json *changed,
                          struct fed_json *removed, bool stays)
{
    struct fed_json *c, *r, *empty;

    if (stays && (!old || !obj)) {
        empty = (old ? old : obj)->type == FED_JSON_ARRAY ? fed_json_array(k->a) : fed_json_object(k->a);
        if (!(old ? old : obj)->n)
            return;
        old = old ? old : empty;
        obj = obj ? obj : empty;
    }
    if (!old) {
        whole(k->a, s, obj, fed_json_add(changed, element, fed_json_object(k->a)));
        return;
    }
    if (!obj) {
        whole(k->a, s, old, fed_json_add(removed, element, fed_json_object(k->a)));
        return;
    }
    if (fed_json_equal(old, obj))
        return;
    c = fed_json_object(k->a);
    r = fed_json_object(k->a);
    if (compare(k, s, old, obj, c, r))
        fed_json_add(changed, element, c); /* a leaf with another value */
    else if (c->n)
        fed_json_add(changed, element, c);
    if (r->n)
        fed_json_add(removed, element, r);
}

static const struct fed_json *null_gone(const struct fed_json *v)
{
    return v && v->type != FED_JSON_NULL ? v : NULL;
}

static void compare_objects(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                            const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, old);
    FED_JSON_EACH(it, obj)
        if (null_gone(it)) {
            const struct fed_schema *cs = fed_schema_property(s, it->key);

            compare_child(k, cs, field_name(k->a, it->key), null_gone(fed_json_index_find(&ix, old, it->key)), it,
                          changed, removed, always_there(k->built_in, cs, it->key));
        }
    fed_json_index_build(&ix, obj);
    FED_JSON_EACH(it, old)
        if (null_gone(it) && !null_gone(fed_json_index_find(&ix, obj, it->key)))
            compare_child(k, fed_schema_property(s, it->key), field_name(k->a, it->key), it, NULL, changed, removed,
                          always_there(k->built_in, fed_schema_property(s, it->key), it->key));
    fed_json_index_release(&ix);
}

static void compare_lists(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                          const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed)
{
    struct fed_map before = {0}, after = {0};

    FED_JSON_EACH(it, old) {
        struct fed_str e = fed_fieldset_element(k->a, s, it);

        if (e.n)
            fed_map_set(&before, e, it);
    }
    FED_JSON_EACH(it, obj) {
        struct fed_str e = fed_fieldset_element(k->a, s, it);

        if (!e.n || fed_map_has(&after, e))
            continue;
        fed_map_set(&after, e, it);
        compare_child(k, s->shape->items, e, fed_map_find(&before, e), it, changed, removed, false);
    }
    FED_MAP_EACH(e, &before)
        if (!fed_map_has(&after, e->key))
            compare_child(k, s->shape->items, fed_arena_dup(k->a, e->key), e->value, NULL, changed, removed, false);
    fed_map_release(&before);
    fed_map_release(&after);
}

/* True when the values are leaves (or of different types) and differ. */
static bool compare(const struct comparison *k, const struct fed_schema *s, const struct fed_json *old,
                    const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed)
{
    if (old->type == FED_JSON_OBJECT && obj->type == FED_JSON_OBJECT && granular_map(s)) {
        compare_objects(k, s, old, obj, changed, removed);
        return false;
    }
    if (old->type == FED_JSON_ARRAY && obj->type == FED_JSON_ARRAY && granular_list(s)) {
        compare_lists(k, s, old, obj, changed, removed);
        return false;
    }
    return !fed_json_equal(old, obj);
}

void fed_fieldset_compare(struct fed_arena *a, const struct fed_schema *s, bool built_in, const struct fed_json *old,
                          const struct fed_json *obj, struct fed_json *changed, struct fed_json *removed)
{
    struct fed_json *empty = fed_json_object(a);
    struct comparison k = {a, built_in};

    compare(&k, s, old ? old : empty, obj, changed, removed);
}

/* --- set algebra --- */

bool fed_fieldset_empty(const struct fed_json *set)
{
    return !set || !set->n;
}

bool fed_fieldset_member(const struct fed_json *node)
{
    return node && (!node->n || fed_json_find(node, "."));
}

void fed_fieldset_tidy(struct fed_json *set)
{
    FED_JSON_EACH(it, set) {
        fed_fieldset_tidy(it);
        if (it->n == 1 && fed_str_is(it->first->key, "."))
            fed_json_remove(it->first);
    }
}

bool fed_fieldset_equal(const struct fed_json *a, const struct fed_json *b)
{
    return fed_json_equal(a, b);
}

void fed_fieldset_add(struct fed_arena *a, struct fed_json *set, const struct fed_json *more)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, set);
    FED_JSON_EACH(it, more) {
        struct fed_json *have = fed_json_index_find(&ix, set, it->key);
        bool member;

        if (!have) {
            fed_json_add(set, it->key, fed_json_copy(a, it));
            continue;
        }
        if (fed_str_is(it->key, "."))
            continue;
        member = fed_fieldset_member(have) || fed_fieldset_member(it);
        fed_fieldset_add(a, have, it);
        if (member)
            mark(a, have);
    }
    fed_json_index_release(&ix);
}

void fed_fieldset_subtract(struct fed_arena *a, struct fed_json *set, const struct fed_json *less)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, less);
    FED_JSON_EACH_SAFE(it, set) {
        const struct fed_json *l = fed_json_index_find(&ix, less, it->key);
        bool member;

        if (!l || fed_str_is(it->key, "."))
            continue;
        member = fed_fieldset_member(it) && !fed_fieldset_member(l);
        fed_fieldset_subtract(a, it, l);
        fed_json_remove_key(it, ".");
        if (!it->n && !member)
            fed_json_remove(it);
        else if (member)
            mark(a, it);
    }
    fed_json_index_release(&ix);
}

void fed_fieldset_subtract_deep(struct fed_json *set, const struct fed_json *gone)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, gone);
    FED_JSON_EACH_SAFE(it, set) {
        const struct fed_json *g = fed_json_index_find(&ix, gone, it->key);
        bool leaf = !it->n;

        if (!g || fed_str_is(it->key, "."))
            continue;
        if (fed_fieldset_member(g)) {
            fed_json_remove(it);
            continue;
        }
        fed_fieldset_subtract_deep(it, g);
        if (!it->n && !leaf)
            fed_json_remove(it);
    }
    fed_json_index_release(&ix);
}

struct fed_json *fed_fieldset_intersect(struct fed_arena *a, const struct fed_json *x, const struct fed_json *y)
{
    struct fed_json *out = fed_json_object(a);
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, y);
    FED_JSON_EACH(it, x) {
        const struct fed_json *o = fed_json_index_find(&ix, y, it->key);
        struct fed_json *both;
        bool member;

        if (!o || fed_str_is(it->key, "."))
            continue;
        member = fed_fieldset_member(it) && fed_fieldset_member(o);
        both = fed_fieldset_intersect(a, it, o);
        if (!member && !both->n)
            continue;
        if (member)
            mark(a, both);
        fed_json_add(out, it->key, both);
    }
    fed_json_index_release(&ix);
    return out;
}

/* --- paths --- */

/* `k:{"name":"c"}` -> `[name="c"]` */
static void add_key_path(struct fed_arena *a, struct fed_buf *b, struct fed_str text)
{
    struct fed_json *key = NULL;
    bool first = true;

    if (fed_json_parse(a, text, NULL, &key, NULL)) {
        fed_buf_add(b, text);
        return;
    }
    fed_buf_addc(b, '[');
    FED_JSON_EACH(it, key) {
        if (!first)
            fed_buf_addc(b, ',');
        first = false;
        fed_buf_add(b, it->key);
        fed_buf_addc(b, '=');
        fed_json_write(b, it);
    }
    fed_buf_addc(b, ']');
}

static void each(struct fed_arena *a, const struct fed_json *set, struct fed_buf *b,
                 void (*cb)(void *ud, struct fed_str path), void *ud)
{
    FED_JSON_EACH(it, set) {
        size_t was = b->n;

        if (fed_str_is(it->key, "."))
            continue;
        if (fed_str_starts(it->key, FED_STR("f:"))) {
            fed_buf_addc(b, '.');
            fed_buf_add(b, fed_str_from(it->key, 2));
        } else if (fed_str_starts(it->key, FED_STR("k:"))) {
            add_key_path(a, b, fed_str_from(it->key, 2));
        } else {
            fed_buf_addz(b, "[=");
            fed_buf_add(b, fed_str_from(it->key, 2));
            fed_buf_addc(b, ']');
        }
        if (fed_fieldset_member(it))
            cb(ud, fed_arena_dup(a, fed_buf_str(b)));
        each(a, it, b, cb, ud);
        b->n = was;
    }
}

void fed_fieldset_each(struct fed_arena *a, const struct fed_json *set, void (*cb)(void *ud, struct fed_str path),
                       void *ud)
{
    struct fed_buf b;

    fed_buf_init(&b, 1 << 16);
    each(a, set, &b, cb, ud);
    fed_buf_release(&b);
}

void fed_fieldset_strip(struct fed_json *set)
{
    static const char *const names[] = {"f:name",          "f:namespace",         "f:uid",
                                        "f:generation",    "f:resourceVersion",   "f:creationTimestamp",
                                        "f:selfLink",      "f:deletionTimestamp", "f:deletionGracePeriodSeconds",
                                        "f:managedFields", "f:clusterName"};
    struct fed_json *meta = fed_json_find(set, "f:metadata");

    fed_json_remove_key(set, "f:apiVersion");
    fed_json_remove_key(set, "f:kind");
    for (size_t i = 0; meta && i < FED_ARRAY_LEN(names); i++)
        fed_json_remove_key(meta, names[i]);
    if (meta) {
        fed_json_remove_key(meta, ".");
        if (!meta->n)
            fed_json_remove(meta);
    }
}
