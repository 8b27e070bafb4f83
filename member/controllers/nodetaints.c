/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/nodetaints.h"

#include "base/env.h"

#define KEY "node.kubernetes.io/"

static const struct rule {
    const char *type, *status, *key, *effect;
} rules[] = {
    {"Ready", "False", KEY "not-ready", "NoSchedule"},
    {"Ready", "Unknown", KEY "unreachable", "NoSchedule"},
    {"MemoryPressure", "True", KEY "memory-pressure", "NoSchedule"},
    {"DiskPressure", "True", KEY "disk-pressure", "NoSchedule"},
    {"NetworkUnavailable", "True", KEY "network-unavailable", "NoSchedule"},
    {"PIDPressure", "True", KEY "pid-pressure", "NoSchedule"},
    {NULL, NULL, KEY "unschedulable", "NoSchedule"},
    {"Ready", "False", KEY "not-ready", "NoExecute"},
    {"Ready", "Unknown", KEY "unreachable", "NoExecute"},
};

static bool is_of(const struct fed_json *taint, const struct rule *r)
{
    return fed_str_is(fed_json_find_text(taint, "key"), r->key) &&
           fed_str_is(fed_json_find_text(taint, "effect"), r->effect);
}

static bool applies(const struct fed_json *node, const struct rule *r, bool may_evict)
{
    if (!r->type)
        return fed_json_bool(fed_json_at(node, "spec", "unschedulable", NULL), false);
    if (strcmp(r->effect, "NoExecute") == 0 && !may_evict)
        return false;
    return fed_str_is(fed_json_find_text(fed_obj_condition(fed_json_find(node, "status"), r->type), "status"),
                      r->status);
}

/* A node that never told whether it is ready keeps the taints it was made with. */
static bool untold(const struct fed_json *node, const struct rule *r)
{
    return r->type && strcmp(r->type, "Ready") == 0 && !fed_obj_condition(fed_json_find(node, "status"), "Ready");
}

struct fed_json *mbr_node_taints(struct fed_arena *a, const struct fed_json *node, bool may_evict, int64_t now_ms)
{
    struct fed_json *out = fed_json_array(a);
    bool there[FED_ARRAY_LEN(rules)] = {false};
    char now[21];
    fed_time_format(now_ms, now);
    FED_JSON_EACH(t, fed_json_at(node, "spec", "taints", NULL)) {
        bool keep = true;
        for (size_t i = 0; i < FED_ARRAY_LEN(rules); i++)
            if (is_of(t, &rules[i])) {
                keep = untold(node, &rules[i]) || applies(node, &rules[i], may_evict);
                there[i] = keep;
            }
        if (keep)
            fed_json_push(out, fed_json_copy(a, t));
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(rules); i++) {
        if (there[i] || !applies(node, &rules[i], may_evict))
            continue;
        struct fed_json *t = fed_json_push(out, fed_json_object(a));
        fed_json_set(t, "effect", fed_json_new_strz(a, rules[i].effect));
        fed_json_set(t, "key", fed_json_new_strz(a, rules[i].key));
        fed_json_set(t, "timeAdded", fed_json_new_strf(a, "%s", now));
    }
    return out;
}

bool mbr_node_sends_off(const struct fed_json *taints)
{
    FED_JSON_EACH(t, taints)
        for (size_t i = 0; i < FED_ARRAY_LEN(rules); i++)
            if (rules[i].type && strcmp(rules[i].effect, "NoExecute") == 0 && is_of(t, &rules[i]))
                return true;
    return false;
}

bool mbr_node_eviction_allowed(size_t ready, size_t n, size_t silent)
{
    return ready && !(silent > 2 && silent * 100 >= n * 55);
}
