/* SPDX-License-Identifier: Apache-2.0 */
/* PolicyRules: read, written, matched (the matching of k8s.io/kubernetes rbac/v1 evaluation helpers). */
#include "apiserver/rbac.h"

static void read_list(struct fed_arena *a, const struct fed_json *list, struct fed_strs *out)
{
    *out = (struct fed_strs){0};
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return;
    out->v = FED_ARENA_ARRAY(a, struct fed_str, list->n);
    FED_JSON_EACH(i, list)
        if (i->type == FED_JSON_STRING)
            out->v[out->n++] = i->s;
}

void fed_rule_read(struct fed_arena *a, const struct fed_json *json, struct fed_rule *out)
{
    read_list(a, fed_json_find(json, "verbs"), &out->verbs);
    read_list(a, fed_json_find(json, "apiGroups"), &out->groups);
    read_list(a, fed_json_find(json, "resources"), &out->resources);
    read_list(a, fed_json_find(json, "resourceNames"), &out->names);
    read_list(a, fed_json_find(json, "nonResourceURLs"), &out->urls);
}

struct fed_rule *fed_rules_read(struct fed_arena *a, const struct fed_json *list, size_t *n)
{
    *n = 0;
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return NULL;
    struct fed_rule *rules = FED_ARENA_ARRAY(a, struct fed_rule, list->n);
    FED_JSON_EACH(r, list)
        fed_rule_read(a, r, &rules[(*n)++]);
    return rules;
}

static void put_list(struct fed_arena *a, struct fed_json *o, const char *key, const struct fed_strs *s)
{
    if (!s->n)
        return;
    struct fed_json *list = fed_json_set(o, key, fed_json_array(a));
    for (size_t i = 0; i < s->n; i++)
        fed_json_push(list, fed_json_new_str(a, fed_arena_dup(a, s->v[i])));
}

struct fed_json *fed_rule_json(struct fed_arena *a, const struct fed_rule *r)
{
    struct fed_json *o = fed_json_object(a);
    put_list(a, o, "verbs", &r->verbs);
    put_list(a, o, "apiGroups", &r->groups);
    put_list(a, o, "resources", &r->resources);
    put_list(a, o, "resourceNames", &r->names);
    put_list(a, o, "nonResourceURLs", &r->urls);
    return o;
}

bool fed_strs_has(const struct fed_strs *s, const char *z)
{
    return fed_strs_has_str(s, fed_str(z));
}

bool fed_strs_has_str(const struct fed_strs *s, struct fed_str v)
{
    for (size_t i = 0; i < s->n; i++)
        if (fed_str_eq(s->v[i], v))
            return true;
    return false;
}

static bool has_or_all(const struct fed_strs *s, struct fed_str v)
{
    for (size_t i = 0; i < s->n; i++)
        if (fed_str_eq(s->v[i], v) || fed_str_is(s->v[i], "*"))
            return true;
    return false;
}

bool fed_rule_path_matches(struct fed_str pattern, struct fed_str path)
{
    if (fed_str_is(pattern, "*") || fed_str_eq(pattern, path))
        return true;
    if (!fed_str_ends(pattern, FED_STR("*")))
        return false;
    while (pattern.n && pattern.p[pattern.n - 1] == '*')
        pattern.n--;
    return fed_str_starts(path, pattern);
}

/* "pods", "pods/log", any resource's subresource as a pattern of star, slash and its name, or "*" for everything. */
static bool resource_matches(const struct fed_strs *list, struct fed_str resource, struct fed_str sub)
{
    for (size_t i = 0; i < list->n; i++) {
        struct fed_str s = list->v[i];
        if (fed_str_is(s, "*"))
            return true;
        if (!sub.n) {
            if (fed_str_eq(s, resource))
                return true;
            continue;
        }
        if (s.n <= sub.n + 1 || !fed_str_ends(s, sub) || s.p[s.n - sub.n - 1] != '/')
            continue;
        struct fed_str head = fed_str_head(s, s.n - sub.n - 1);
        if (fed_str_is(head, "*") || fed_str_eq(head, resource))
            return true;
    }
    return false;
}

bool fed_rule_allows(const struct fed_rule *r, const struct fed_api_request *q)
{
    if (!has_or_all(&r->verbs, fed_str(q->verb)))
        return false;
    if (!q->resource.n) {
        for (size_t i = 0; i < r->urls.n; i++)
            if (fed_rule_path_matches(r->urls.v[i], q->path))
                return true;
        return false;
    }
    return has_or_all(&r->groups, q->group) && resource_matches(&r->resources, q->resource, q->subresource) &&
           (!r->names.n || fed_strs_has_str(&r->names, q->name));
}
