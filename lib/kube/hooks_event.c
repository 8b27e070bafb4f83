/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_event.c: Event: conversion, cells. */
#include "kube/convert.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
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

static struct fed_str last_seen(struct fed_arena *a, const struct fed_json *obj, int64_t now_ms)
{
    struct fed_str first = fed_json_find_text(obj, "firstTimestamp"), last = fed_json_find_text(obj, "lastTimestamp");
    const struct fed_json *series = fed_json_find(obj, "series");

    if (!first.n)
        first = fed_json_find_text(obj, "eventTime");
    if (series)
        last = fed_json_find_text(series, "lastObservedTime");
    return fed_cell_since(a, last.n ? last : first, now_ms);
}

/* The event that a series goes on from is not counted in it. */
static int64_t times_seen(const struct fed_json *obj)
{
    const struct fed_json *series = fed_json_find(obj, "series");
    int64_t count = fed_json_int(fed_json_find(obj, "count"), 0);

    if (series)
        return fed_json_int(fed_json_find(series, "count"), 0) + 1;
    return count ? count : 1;
}

static struct fed_str source_text(struct fed_arena *a, const struct fed_json *obj)
{
    const struct fed_json *source = fed_json_find(obj, "source");
    struct fed_str component = fed_json_find_text(source, "component"), host = fed_json_find_text(source, "host");

    if (!component.n)
        component = fed_json_find_text(obj, "reportingComponent");
    if (!host.n)
        host = fed_json_find_text(obj, "reportingInstance");
    if (host.n)
        return fed_arena_printf(a, "%.*s, %.*s", FED_STR_ARG(component), FED_STR_ARG(host));
    return component;
}

static void event_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *about = fed_json_find(obj, v->group.n ? "regarding" : "involvedObject");
    struct fed_str first = fed_json_find_text(obj, "firstTimestamp"), name = fed_json_find_text(about, "name");
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
                 fed_arena_printf(a, "%.*s%s%.*s", FED_STR_ARG(fed_name_lower(a, fed_json_find_text(about, "kind"))),
                                  name.n ? "/" : "", FED_STR_ARG(name)));
    fed_cell_str(a, cells, fed_json_find_text(about, "fieldPath"));
    fed_cell_str(a, cells, source_text(a, shown));
    fed_cell_str(a, cells, fed_str_trim(fed_json_find_text(shown, "message")));
    fed_cell_str(a, cells, fed_cell_since(a, first, now_ms));
    fed_cell_int(a, cells, times_seen(shown));
    fed_cell_str(a, cells, fed_obj_name(shown));
}

const struct fed_core_hooks fed_hooks_event[] = {
    {"",
     "events",
     {.defaults = default_event, .validate = fed_rules_event, .convert = fed_convert_event, .cells = event_cells}},
    {NULL, NULL, {0}}};
