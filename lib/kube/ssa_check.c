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

/* `k:{"name":"web"}` as [name="web"], `v:"x"` as [="x"]. */
static struct fed_str item_path(struct walk *w, struct fed_str path, const struct fed_schema *list,
                                const struct fed_json *item, size_t index)
{
    struct fed_str e = {NULL, 0};
    struct fed_json *key = NULL;
    if (list->list_type != FED_LIST_ATOMIC)
        e = fed_fields_element(w->a, list, item);
    if (!e.n)
        return fed_arena_printf(w->a, "%.*s[%zu]", FED_STR_ARG(path), index);
    if (list->list_type == FED_LIST_SET || fed_json_parse(w->a, fed_str_from(e, 2), NULL, &key, NULL))
        return fed_arena_printf(w->a, "%.*s[=%.*s]", FED_STR_ARG(path), FED_STR_ARG(fed_str_from(e, 2)));
    struct fed_buf b = {0};
    fed_buf_add(&b, path);
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
    size_t i = 0;
    FED_JSON_EACH(item, v) {
        check(w, s->shape->items, item, item_path(w, path, s, item, i));
        i++;
    }
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
