/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_event.c: Event: conversion, cells. */
#include "kube/convert.h"
#include "kube/kind_rules.h"
#include "kube/schema.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static int default_event(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    (void)ud;
    (void)err;
    (void)fed_json_ensure_object(w->arena, obj, "involvedObject"); /* there is always one, if an empty one */
    return 0;
}

/* "5s (x3 over 2m)" */
static struct fed_str last_seen(struct fed_arena *a, const struct fed_json *obj, int64_t now_ms)
{
    struct fed_str first = fed_json_find_text(obj, "firstTimestamp"), last = fed_json_find_text(obj, "lastTimestamp");
    const struct fed_json *series = fed_json_find(obj, "series");
    int64_t count = fed_json_int(fed_json_find(obj, "count"), 0);
    struct fed_str event = fed_json_find_text(obj, "eventTime");

    if (!first.n)
        first = event;
    if (series) {
        last = fed_json_find_text(series, "lastObservedTime");
        count = fed_json_int(fed_json_find(series, "count"), 0);
    }
    if (!last.n)
        last = first;
    if (count > 1 && first.n)
        return fed_arena_printf(a, "%.*s (x%lld over %.*s)", FED_STR_ARG(fed_cell_since(a, last, now_ms)),
                                (long long)count, FED_STR_ARG(fed_cell_since(a, first, now_ms)));
    return fed_cell_since(a, last, now_ms);
}

static struct fed_str source_text(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *source = fed_json_find(obj, "source");
    struct fed_str component = fed_json_find_text(source, "component"), host = fed_json_find_text(source, "host");

    if (!component.n)
        component = fed_json_find_text(obj, "reportingComponent");
    if (host.n)
        return fed_arena_printf(a, "%.*s, %.*s", FED_STR_ARG(component), FED_STR_ARG(host));
    return component;
}

static struct fed_str lower(struct fed_arena *a, struct fed_str s)
{
    struct fed_str out = fed_arena_dup(a, s);

    for (size_t i = 0; i < out.n; i++)
        if (out.p[i] >= 'A' && out.p[i] <= 'Z')
            ((char *)out.p)[i] += 'a' - 'A';
    return out;
}

static void event_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *about = fed_json_find(obj, v->group.n ? "regarding" : "involvedObject");
    struct fed_str first = fed_json_find_text(obj, "firstTimestamp");
    const struct fed_json *shown = obj;

    (void)ud;
    if (v->group.n) { /* the cells are written for the core form */
        struct fed_json *copy = fed_json_copy(a, obj);

        if (fed_kind_convert(a, copy, v, fed_kind_storage(v->kind), NULL) == 0)
            shown = copy;
        first = fed_json_find_text(shown, "firstTimestamp");
    }
    if (!first.n)
        first = fed_json_find_text(shown, "eventTime");
    fed_cell_str(a, cells, last_seen(a, shown, now_ms));
    fed_cell_str(a, cells, fed_json_find_text(shown, "type"));
    fed_cell_str(a, cells, fed_json_find_text(shown, "reason"));
    fed_cell_str(a, cells,
                 fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(lower(a, fed_json_find_text(about, "kind"))),
                                  FED_STR_ARG(fed_json_find_text(about, "name"))));
    fed_cell_str(a, cells, fed_json_find_text(about, "fieldPath"));
    fed_cell_str(a, cells, source_text(a, shown));
    fed_cell_str(a, cells, fed_str_trim(fed_json_find_text(shown, "message")));
    fed_cell_str(a, cells, fed_cell_since(a, first, now_ms));
    fed_cell_str(a, cells, fed_arena_printf(a, "%lld", (long long)fed_json_int(fed_json_find(shown, "count"), 1)));
    fed_cell_str(a, cells, fed_obj_name(shown));
}

const struct fed_core_hooks fed_hooks_event[] = {
    {"",
     "events",
     {.defaults = default_event, .validate = fed_rules_event, .convert = fed_convert_event, .cells = event_cells}},
    {NULL, NULL, {0}}};
