/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/names.h"

enum { WORD_MAX = 128, NOTE_MAX = 1024 };

static const struct fed_str none = {NULL, 0};

static void check_word(const struct fed_json *event, const char *key, struct fed_causes *c)
{
    struct fed_str s = fed_json_find_text(event, key);
    if (!s.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s", key);
    if (s.n > WORD_MAX)
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), "can have at most 128 characters", "%s", key);
}

/* Events about objects without a namespace are kept in those that are always there. */
static void check_namespace(const struct fed_json *event, bool agree, struct fed_causes *c)
{
    struct fed_str ns = fed_json_find_text(fed_json_find(event, "involvedObject"), "namespace");
    struct fed_str mine = fed_obj_ns(event);
    if (ns.n ? agree && !fed_str_eq(ns, mine) : !(fed_str_is(mine, "default") || fed_str_is(mine, "kube-system")))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, ns), "does not match event.namespace",
                "involvedObject.namespace");
}

/* Those with eventTime are of the new kind, which says more. */
static void check_new(const struct fed_json *event, bool core, struct fed_causes *c)
{
    const char *field = core ? "reportingComponent" : "reportingController";
    struct fed_str who = fed_json_find_text(event, "reportingComponent");
    check_namespace(event, false, c);
    if (!who.n) {
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s", field);
        fed_check_name(c, who, fed_name_check_qualified, FED_STR("\"\""), fed_str(field));
    }
    fed_check_text(c, who, fed_name_check_qualified, "%s", field);
    check_word(event, "reportingInstance", c);
    check_word(event, "action", c);
    check_word(event, "reason", c);
    if (fed_json_find_text(event, "message").n > NOTE_MAX)
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), "can have at most 1024 characters", "message");
}

static void check_series(const struct fed_json *series, struct fed_causes *c)
{
    if (!series)
        return;
    if (fed_json_int(fed_json_find(series, "count"), 0) < 2)
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), "should be at least 2", "series.count");
    if (!fed_json_find_text(series, "lastObservedTime").n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "series.lastObservedTime");
}

static void check_unset(const struct fed_json *event, struct fed_causes *c)
{
    static const char *const old[] = {"firstTimestamp", "lastTimestamp", "count", "source"};
    for (size_t i = 0; i < FED_ARRAY_LEN(old); i++) {
        const struct fed_json *v = fed_json_find(event, old[i]);
        bool set = v && (v->type == FED_JSON_NUMBER ? fed_json_int(v, 0) != 0 : v->n || v->s.n);
        if (set)
            fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""), "needs to be unset", "%s", old[i]);
    }
}

static void check_created(const struct fed_json *event, struct fed_causes *c)
{
    struct fed_str type = fed_json_find_text(event, "type");
    check_series(fed_json_find(event, "series"), c);
    if (!fed_json_find_text(event, "eventTime").n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "eventTime");
    if (!fed_str_is(type, "Normal") && !fed_str_is(type, "Warning"))
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("\"\""),
                fed_arena_printf(c->arena, "has invalid value: %.*s", FED_STR_ARG(type)).p, "type");
    check_unset(event, c);
}

/* Only the series goes on. */
static void check_updated(const struct fed_json *old, const struct fed_json *event, struct fed_causes *c)
{
    static const char *const fixed[] = {
        "involvedObject", "reason", "message", "source",    "firstTimestamp",     "lastTimestamp",    "count",
        "type",           "action", "related", "eventTime", "reportingComponent", "reportingInstance"};
    const struct fed_json *was = fed_json_find(old, "series"), *is = fed_json_find(event, "series");
    if (is && !(was && fed_json_equal(was, is)))
        check_series(is, c);
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        fed_check_immutable(old, event, "", fixed[i], c);
}

void fed_rules_event(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    bool core = !w->version || !w->version->group.n;
    (void)ud;
    if (fed_json_find_text(obj, "eventTime").n)
        check_new(obj, core, c);
    else
        check_namespace(obj, true, c);
    if (core)
        return;
    if (w->old)
        check_updated(w->old, obj, c);
    else
        check_created(obj, c);
}
