/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/gowords.h"

static int by_key(const void *a, const void *b)
{
    const struct fed_json *x = *(const struct fed_json *const *)a, *y = *(const struct fed_json *const *)b;
    return fed_str_cmp(x->key, y->key);
}

static void print_map(struct fed_buf *out, const struct fed_json *v)
{
    struct fed_arena a = {0};
    const struct fed_json **sorted = FED_ARENA_ARRAY(&a, const struct fed_json *, v->n + 1);
    size_t n = 0;
    FED_JSON_EACH(m, v)
        sorted[n++] = m;
    qsort(sorted, n, sizeof(*sorted), by_key);
    fed_buf_addz(out, "map[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            fed_buf_addc(out, ' ');
        fed_buf_add(out, sorted[i]->key);
        fed_buf_addc(out, ':');
        fed_go_print(out, sorted[i]);
    }
    fed_buf_addc(out, ']');
    fed_arena_release(&a);
}

void fed_go_print(struct fed_buf *out, const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_OBJECT:
        print_map(out, v);
        break;
    case FED_JSON_ARRAY:
        fed_buf_addc(out, '[');
        FED_JSON_EACH(it, v) {
            if (it != v->first)
                fed_buf_addc(out, ' ');
            fed_go_print(out, it);
        }
        fed_buf_addc(out, ']');
        break;
    case FED_JSON_NULL:
        fed_buf_addz(out, "<nil>");
        break;
    case FED_JSON_BOOL:
        fed_buf_addz(out, v->boolean ? "true" : "false");
        break;
    default:
        fed_buf_add(out, v->s);
        break;
    }
}

const char *fed_go_type_name(const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_OBJECT:
        return "map[string]interface {}";
    case FED_JSON_ARRAY:
        return "[]interface {}";
    case FED_JSON_NULL:
        return "<nil>";
    case FED_JSON_BOOL:
        return "bool";
    case FED_JSON_NUMBER:
        return fed_json_is_int(v, NULL) ? "int64" : "float64";
    default:
        return "string";
    }
}

/* The decoder's name of a JSON type as reflect's kind. */
static const char *kind_of(struct fed_str json_type)
{
    return fed_str_is(json_type, "object")   ? "map"
           : fed_str_is(json_type, "array")  ? "slice"
           : fed_str_is(json_type, "number") ? "int64"
           : fed_str_is(json_type, "bool")   ? "bool"
                                             : "string";
}

const char *fed_go_word(const struct fed_json *v)
{
    static const char *const names[] = {
        [FED_JSON_NULL] = "null",     [FED_JSON_BOOL] = "bool",   [FED_JSON_NUMBER] = "number",
        [FED_JSON_STRING] = "string", [FED_JSON_ARRAY] = "array", [FED_JSON_OBJECT] = "object"};
    return names[v->type];
}

struct fed_str fed_go_converter_words(struct fed_arena *a, struct fed_str words)
{
    struct fed_str head = FED_STR("json: cannot unmarshal "), of = FED_STR(" of type ");
    ptrdiff_t type = fed_str_find(words, of, 0);
    if (!fed_str_starts(words, head) || type < 0)
        return words;
    struct fed_str have = fed_str_from(words, head.n), want = fed_str_from(words, (size_t)type + of.n), first;
    (void)fed_str_cut(&have, ' ', &first);
    const char *kind = kind_of(first);
    if (fed_str_starts(want, FED_STR("[]")))
        return fed_arena_printf(a, "cannot restore slice from %s", kind);
    if (fed_str_starts(want, FED_STR("map[")))
        return fed_arena_printf(a, "cannot restore map from %s", kind);
    if (fed_str_find(want, FED_STR("."), 0) >= 0)
        return fed_arena_printf(a, "cannot restore struct from: %s", kind);
    if (fed_str_is(first, "number")) /* numbers convert to anything but what they must not */
        return fed_arena_printf(a, "cannot convert int64 to %.*s", FED_STR_ARG(want));
    return fed_arena_printf(a, "unrecognized type: %.*s", FED_STR_ARG(want));
}
