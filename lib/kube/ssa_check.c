/* SPDX-License-Identifier: Apache-2.0 */
/* ssa_check.c: an applied configuration against its schema, in the words of structured-merge-diff: what no schema
 * declares cannot be owned, so server-side apply refuses it whatever `fieldValidation` says. */
#include "kube/fieldset.h"
#include "kube/gowords.h"

enum { MAX_ERRORS = 20 };

struct walk {
    struct fed_arena *a;
    struct fed_buf errors; /* one line each */
    size_t n;
};

static void check(struct walk *w, const struct fed_schema *s, const struct fed_json *v, struct fed_str path);

static void add(struct walk *w, struct fed_str path, const char *text)
{
    if (w->n++ >= MAX_ERRORS)
        return;
    if (w->errors.n)
        fed_buf_addz(&w->errors, "\n");
    fed_buf_add(&w->errors, path);
    fed_buf_addz(&w->errors, ": ");
    fed_buf_addz(&w->errors, text);
}

static void add_expected(struct walk *w, struct fed_str path, const struct fed_json *v, const char *what, bool quoted)
{
    struct fed_buf b = {0};
    fed_buf_addf(&b, "expected %s, got ", what);
    if (!quoted)
        fed_buf_addz(&b, "&{");
    else
        fed_buf_addz(&b, "&value.valueUnstructured{Value:");
    if (quoted && v->type == FED_JSON_STRING)
        fed_json_write_string(&b, v->s);
    else
        fed_go_print(&b, v);
    fed_buf_addc(&b, '}');
    add(w, path, fed_buf_z(&b));
    fed_buf_release(&b);
}

/* The element {"name":"web"} as [name="web"], "x" as [="x"]; of atomic lists the index. */
static struct fed_str item_step(struct walk *w, const struct fed_schema *list, struct fed_str element, size_t index)
{
    struct fed_json *key = NULL;
    if (!element.n)
        return fed_arena_printf(w->a, "[%zu]", index);
    if (list->list_type == FED_LIST_SET || fed_json_parse(w->a, element, NULL, &key, NULL))
        return fed_arena_printf(w->a, "[=%.*s]", FED_STR_ARG(element));
    struct fed_buf b = {0};
    FED_JSON_EACH(k, key) {
        fed_buf_addc(&b, k == key->first ? '[' : ',');
        fed_buf_add(&b, k->key);
        fed_buf_addc(&b, '=');
        fed_json_write(&b, k);
    }
    fed_buf_addc(&b, ']');
    struct fed_str out = fed_arena_dup(w->a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

/* Why an item of a list map or set can be none; empty when it can. */
static struct fed_str no_element(struct walk *w, const struct fed_schema *list, const struct fed_json *item)
{
    bool map = item->type == FED_JSON_OBJECT;
    if (list->list_type == FED_LIST_SET && map)
        return FED_STR("associative list without keys has an element that's a map type");
    if (list->list_type == FED_LIST_SET && item->type == FED_JSON_ARRAY)
        return FED_STR("not supported: associative list with lists as elements");
    if (list->list_type == FED_LIST_SET)
        return item->type == FED_JSON_NULL
                   ? FED_STR("associative list without keys has an element that's an explicit null")
                   : (struct fed_str){NULL, 0};
    if (item->type == FED_JSON_NULL)
        return FED_STR("associative list with keys may not have a null element");
    if (!map)
        return FED_STR("associative list with keys may not have non-map elements");
    for (size_t i = 0; i < list->n_map_keys; i++) {
        if (!fed_json_find_str(item, list->map_keys[i]) && !fed_fields_key_default(list, list->map_keys[i]))
            return fed_arena_printf(w->a,
                                    "associative list with keys has an element that omits key field \"%.*s\" (and "
                                    "doesn't have default value)",
                                    FED_STR_ARG(list->map_keys[i]));
    }
    return (struct fed_str){NULL, 0};
}

static void check_object(struct walk *w, const struct fed_schema *s, const struct fed_json *v, struct fed_str path)
{
    FED_JSON_EACH(child, v) {
        const struct fed_schema *cs = fed_schema_property(s, child->key);
        struct fed_str at = fed_arena_printf(w->a, "%.*s.%.*s", FED_STR_ARG(path), FED_STR_ARG(child->key));
        if (cs)
            check(w, cs, child, at);
        else if (!s->shape->preserve)
            add(w, at, "field not declared in schema");
    }
}

static void check_list(struct walk *w, const struct fed_schema *s, const struct fed_json *v, struct fed_str path)
{
    struct fed_map seen = {0};
    size_t i = 0;
    FED_JSON_EACH(item, v) {
        struct fed_str element = {NULL, 0}, step;
        if (s->list_type != FED_LIST_ATOMIC) {
            struct fed_str why = no_element(w, s, item);
            if (why.n) {
                add(w, path, fed_arena_printf(w->a, "element %zu: %.*s", i, FED_STR_ARG(why)).p);
                break;
            }
            element = fed_fields_element(w->a, s, item);
        }
        step = item_step(w, s, element, i++);
        if (element.n && fed_map_has(&seen, element))
            add(w, path, fed_arena_printf(w->a, "duplicate entries for key %.*s", FED_STR_ARG(step)).p);
        else if (element.n)
            fed_map_set(&seen, element, NULL);
        check(w, s->shape->items, item, fed_arena_printf(w->a, "%.*s%.*s", FED_STR_ARG(path), FED_STR_ARG(step)));
    }
    fed_map_release(&seen);
}

static void check(struct walk *w, const struct fed_schema *s, const struct fed_json *v, struct fed_str path)
{
    if (v->type == FED_JSON_NULL)
        return;
    switch (s->shape->type) {
    case FED_SHAPE_OBJECT:
        if (v->type == FED_JSON_OBJECT)
            check_object(w, s, v, path);
        else
            add_expected(w, path, v, "map", false);
        break;
    case FED_SHAPE_ARRAY:
        if (v->type != FED_JSON_ARRAY)
            add_expected(w, path, v, "list", false);
        else if (s->shape->items)
            check_list(w, s, v, path);
        break;
    case FED_SHAPE_STRING:
        if (v->type != FED_JSON_STRING && s->shape->format != FED_FORMAT_QUANTITY)
            add_expected(w, path, v, "string", true);
        break;
    case FED_SHAPE_BOOLEAN:
        if (v->type != FED_JSON_BOOL)
            add_expected(w, path, v, "boolean", true);
        break;
    case FED_SHAPE_INTEGER:
    case FED_SHAPE_NUMBER:
        if (v->type != FED_JSON_NUMBER)
            add(w, path, fed_arena_printf(w->a, "expected numeric (int or float), got %s", fed_go_type_name(v)).p);
        break;
    default:
        break;
    }
}

struct fed_str fed_ssa_check(struct fed_arena *a, const struct fed_schema *s, const struct fed_json *applied)
{
    struct walk w = {.a = a};
    struct fed_str out = {NULL, 0};
    check_object(&w, s, applied, out);
    if (w.n > 1) {
        struct fed_str rest = fed_buf_str(&w.errors), line;
        struct fed_buf b = {0};
        fed_buf_addz(&b, "errors:");
        while (fed_str_cut(&rest, '\n', &line))
            fed_buf_addf(&b, "\n  %.*s", FED_STR_ARG(line));
        out = fed_arena_dup(a, fed_buf_str(&b));
        fed_buf_release(&b);
    } else if (w.n) {
        out = fed_arena_dup(a, fed_buf_str(&w.errors));
    }
    fed_buf_release(&w.errors);
    return out;
}
