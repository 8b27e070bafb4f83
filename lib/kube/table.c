/* SPDX-License-Identifier: Apache-2.0 */
/* table.c: rows and column definitions of a kind, and ages as people read them. */
#include "base/env.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

/* "5s", "3m20s", "12m", "3h5m", "27h", "4d3h", "30d", "2y14d": two digits of meaning, as kubectl shows ages. */
struct fed_str fed_duration_human(struct fed_arena *a, int64_t ms)
{
    int64_t s = ms / 1000, m = s / 60, h = m / 60, d = h / 24, y = d / 365;

    if (s < -1)
        return FED_STR("<invalid>");
    if (s < 0)
        s = 0;
    if (s < 120)
        return fed_arena_printf(a, "%llds", (long long)s);
    if (m < 10)
        return s % 60 ? fed_arena_printf(a, "%lldm%llds", (long long)m, (long long)(s % 60))
                      : fed_arena_printf(a, "%lldm", (long long)m);
    if (m < 180)
        return fed_arena_printf(a, "%lldm", (long long)m);
    if (h < 8)
        return m % 60 ? fed_arena_printf(a, "%lldh%lldm", (long long)h, (long long)(m % 60))
                      : fed_arena_printf(a, "%lldh", (long long)h);
    if (h < 48)
        return fed_arena_printf(a, "%lldh", (long long)h);
    if (d < 8)
        return h % 24 ? fed_arena_printf(a, "%lldd%lldh", (long long)d, (long long)(h % 24))
                      : fed_arena_printf(a, "%lldd", (long long)d);
    if (d < 365 * 2)
        return fed_arena_printf(a, "%lldd", (long long)d);
    if (y < 8)
        return d % 365 ? fed_arena_printf(a, "%lldy%lldd", (long long)y, (long long)(d % 365))
                       : fed_arena_printf(a, "%lldy", (long long)y);
    return fed_arena_printf(a, "%lldy", (long long)y);
}

struct fed_str fed_cell_since(struct fed_arena *a, struct fed_str time, int64_t now_ms)
{
    int64_t t;

    if (!time.n || fed_time_parse(time, &t))
        return FED_STR("<unknown>");
    return fed_duration_human(a, now_ms - t);
}

struct fed_str fed_cell_age(struct fed_arena *a, const struct fed_json *obj, int64_t now_ms)
{
    return fed_cell_since(a, fed_json_find_text(fed_json_find(obj, "metadata"), "creationTimestamp"), now_ms);
}

static bool named(const struct fed_kind_version *v, const char *name)
{
    for (size_t i = 0; i < v->n_columns; i++)
        if (fed_str_is(v->columns[i].name, name))
            return true;
    return false;
}

/* The columns of a custom kind are all there are beside the name. */
static bool prints_age(const struct fed_kind_version *v)
{
    return v->kind->custom || named(v, "Age") || named(v, "Created At") || named(v, "Last Seen") ||
           named(v, "Pod Labels");
}

/* A cell of a custom kind: its path's first result, null unless it has the type that the column says. */
static struct fed_json *custom_cell(struct fed_arena *a, const struct fed_column *col, const struct fed_json *obj,
                                    int64_t now_ms)
{
    const struct fed_json *v = col->json_path.n ? fed_json_path_first(a, obj, col->json_path) : NULL;
    struct fed_buf b = {0};
    struct fed_json *text;
    int64_t n;

    if (!v || v->type == FED_JSON_NULL)
        return fed_json_null(a);
    if (fed_str_is(col->type, "date") && v->type == FED_JSON_STRING)
        return fed_json_new_str(a, fed_time_parse(v->s, &n) ? FED_STR("<invalid>") : fed_cell_since(a, v->s, now_ms));
    if (fed_str_is(col->type, "integer") && v->type == FED_JSON_NUMBER)
        return fed_json_new_int(a, fed_str_i64(v->s, &n) == 0 ? n : (int64_t)strtod(fed_arena_dupz(a, v->s), NULL));
    if ((fed_str_is(col->type, "number") && v->type == FED_JSON_NUMBER) ||
        (fed_str_is(col->type, "boolean") && v->type == FED_JSON_BOOL))
        return fed_json_copy(a, v);
    if (!fed_str_is(col->type, "string"))
        return fed_json_null(a);
    if (v->type == FED_JSON_STRING)
        return fed_json_copy(a, v);
    fed_json_write(&b, v);
    text = fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b)));
    fed_buf_release(&b);
    return text;
}

static struct fed_json *path_cell(struct fed_arena *a, const struct fed_column *col, const struct fed_json *obj,
                                  int64_t now_ms)
{
    struct fed_str text = {NULL, 0};
    int64_t n;

    if (col->json_path.n)
        text = fed_json_path_text(a, obj, col->json_path);
    if (!text.n)
        return fed_json_new_strz(a, fed_str_is(col->type, "date") ? "<unknown>" : "");
    if (fed_str_is(col->type, "date"))
        return fed_json_new_str(a, fed_cell_since(a, text, now_ms));
    if (fed_str_is(col->type, "integer") && fed_str_i64(text, &n) == 0)
        return fed_json_new_int(a, n);
    if (fed_str_is(col->type, "number"))
        return fed_json_new_number(a, text);
    if (fed_str_is(col->type, "boolean"))
        return fed_json_new_bool(a, fed_str_is(text, "true"));
    return fed_json_new_str(a, text);
}

struct fed_json *fed_kind_row(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                              int64_t now_ms)
{
    struct fed_json *row = fed_json_array(a);
    uint32_t want = (uint32_t)v->n_columns;

    if (v->kind->custom || !named(v, "Name")) {
        fed_json_push(row, fed_json_new_str(a, fed_obj_name(obj)));
        want++;
    }
    if (v->kind->hooks.cells) {
        v->kind->hooks.cells(v->kind->hooks.ud, a, v, obj, now_ms, row);
    } else {
        for (size_t i = 0; i < v->n_columns; i++) {
            const struct fed_column *col = &v->columns[i];
            struct fed_json *cell;

            if (col->json_path.n && v->kind->custom)
                cell = custom_cell(a, col, obj, now_ms);
            else if (!col->json_path.n && fed_str_is(col->name, "Age"))
                cell = fed_json_new_str(a, fed_cell_age(a, obj, now_ms));
            else if (!col->json_path.n && fed_str_is(col->name, "Created At"))
                cell = fed_json_new_str(a, fed_json_find_text(fed_json_find(obj, "metadata"), "creationTimestamp"));
            else
                cell = path_cell(a, col, obj, now_ms);
            fed_json_push(row, cell);
        }
    }
    while (row->n < want)
        fed_json_push(row, fed_json_new_strz(a, "<none>"));
    if (!prints_age(v))
        fed_json_push(row, fed_json_new_str(a, fed_cell_age(a, obj, now_ms)));
    return row;
}

/* What a client may leave out of its list: pods that are over. */
void fed_kind_row_conditions(struct fed_buf *out, const struct fed_kind_version *v, const struct fed_json *obj)
{
    struct fed_str phase = fed_json_find_text(fed_json_find(obj, "status"), "phase");

    if (v->group.n || !fed_str_is(v->kind->plural, "pods"))
        return;
    if (fed_str_is(phase, "Succeeded"))
        fed_buf_addz(out, ",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"Succeeded\","
                          "\"message\":\"The pod has completed successfully.\"}]");
    else if (fed_str_is(phase, "Failed"))
        fed_buf_addz(out, ",\"conditions\":[{\"type\":\"Completed\",\"status\":\"True\",\"reason\":\"Failed\","
                          "\"message\":\"The pod failed.\"}]");
}

static void define(struct fed_arena *a, struct fed_json *list, struct fed_str name, struct fed_str type,
                   struct fed_str format, struct fed_str description, int priority)
{
    struct fed_json *def = fed_json_object(a);

    fed_json_set(def, "name", fed_json_new_str(a, name));
    fed_json_set(def, "type", fed_json_new_str(a, type));
    fed_json_set(def, "format", fed_json_new_str(a, format));
    fed_json_set(def, "description", fed_json_new_str(a, description));
    fed_json_set(def, "priority", fed_json_new_int(a, priority));
    fed_json_push(list, def);
}

struct fed_json *fed_kind_column_definitions(struct fed_arena *a, const struct fed_kind_version *v)
{
    struct fed_json *list = fed_json_array(a);

    if (v->kind->custom || !named(v, "Name"))
        define(a, list, FED_STR("Name"), FED_STR("string"), FED_STR("name"),
               FED_STR("Name of the object, unique in its namespace."), 0);
    for (size_t i = 0; i < v->n_columns; i++) {
        /* Ages are printed here: to the client they are text. */
        bool age =
            !v->kind->custom && fed_str_is(v->columns[i].type, "date") && !fed_str_is(v->columns[i].name, "Created At");

        define(a, list, v->columns[i].name, age ? FED_STR("string") : v->columns[i].type, v->columns[i].format,
               v->columns[i].description, v->columns[i].priority);
    }
    if (!prints_age(v))
        define(a, list, FED_STR("Age"), FED_STR("string"), FED_STR(""), FED_STR("Time since the object was made."), 0);
    return list;
}

/* --- the scale of whatever has one --- */

struct fed_json *fed_scale_columns(struct fed_arena *a)
{
    struct fed_str none = {NULL, 0};
    struct fed_json *list = fed_json_array(a);

    define(a, list, FED_STR("Name"), FED_STR("string"), FED_STR("name"), FED_STR("Name of the object that is scaled."),
           0);
    define(a, list, FED_STR("Desired"), FED_STR("integer"), none, FED_STR("How many replicas are wanted."), 0);
    define(a, list, FED_STR("Available"), FED_STR("integer"), none, FED_STR("How many replicas there are."), 0);
    define(a, list, FED_STR("Age"), FED_STR("string"), none, FED_STR("Time since the object was made."), 0);
    return list;
}

struct fed_json *fed_scale_row(struct fed_arena *a, const struct fed_json *scale, int64_t now_ms)
{
    struct fed_json *row = fed_json_array(a);

    fed_json_push(row, fed_json_new_str(a, fed_obj_name(scale)));
    fed_cell_int(a, row, fed_json_int(fed_json_at(scale, "spec", "replicas", NULL), 0));
    fed_cell_int(a, row, fed_json_int(fed_json_at(scale, "status", "replicas", NULL), 0));
    fed_json_push(row, fed_json_new_str(a, fed_cell_age(a, scale, now_ms)));
    return row;
}

/* --- what hooks of several kinds print --- */

void fed_cell_str(struct fed_arena *a, struct fed_json *cells, struct fed_str s)
{
    fed_json_push(cells, fed_json_new_str(a, s));
}

void fed_cell_strz(struct fed_arena *a, struct fed_json *cells, const char *z)
{
    fed_json_push(cells, fed_json_new_strz(a, z));
}

void fed_cell_int(struct fed_arena *a, struct fed_json *cells, int64_t n)
{
    fed_json_push(cells, fed_json_new_int(a, n));
}

void fed_cell_or(struct fed_arena *a, struct fed_json *cells, struct fed_str s, const char *dflt)
{
    fed_json_push(cells, s.n ? fed_json_new_str(a, s) : fed_json_new_strz(a, dflt));
}

struct fed_str fed_cell_join(struct fed_arena *a, const struct fed_json *list, const char *member)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 1 << 16);
    FED_JSON_EACH(it, list) {
        struct fed_str s = member ? fed_json_find_text(it, member) : fed_json_str(it);

        if (!s.n)
            continue;
        if (b.n)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, s);
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static int by_text(const void *x, const void *y)
{
    return fed_str_cmp(*(const struct fed_str *)x, *(const struct fed_str *)y);
}

struct fed_str fed_cell_balancers(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *list = fed_json_at(obj, "status", "loadBalancer", "ingress", NULL);
    struct fed_str *all, out;
    struct fed_buf b = {0};
    size_t n = 0;

    if (!list || !list->n)
        return FED_STR("");
    all = fed_arena_alloc(a, list->n * sizeof(*all));
    FED_JSON_EACH(it, list) {
        struct fed_str s = fed_json_find_text(it, "ip");

        if (!s.n)
            s = fed_json_find_text(it, "hostname");
        if (s.n)
            all[n++] = s;
    }
    qsort(all, n, sizeof(*all), by_text);
    for (size_t i = 0; i < n; i++) {
        if (i && fed_str_eq(all[i], all[i - 1]))
            continue;
        if (i)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, all[i]);
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

struct fed_str fed_cell_map(struct fed_arena *a, const struct fed_json *map)
{
    struct fed_buf b;
    struct fed_str out;

    if (!map || !map->n)
        return FED_STR("<none>");
    fed_buf_init(&b, 1 << 16);
    FED_JSON_EACH(it, map) {
        if (b.n)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, it->key);
        fed_buf_addc(&b, '=');
        fed_buf_add(&b, fed_json_str(it));
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

/* matchLabels and matchExpressions in the string form: "a=b,c in (d,e),!f". */
struct fed_str fed_cell_selector(struct fed_arena *a, const struct fed_json *sel)
{
    struct fed_selector s = {0};
    struct fed_buf b;
    struct fed_str out;

    if (!sel || fed_selector_from_json(a, sel, &s, NULL))
        return FED_STR("<none>");
    if (!s.n)
        return FED_STR("<none>");
    fed_buf_init(&b, 1 << 16);
    fed_selector_format(&s, &b);
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}
