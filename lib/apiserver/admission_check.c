/* SPDX-License-Identifier: Apache-2.0 */
/* What Kubernetes refuses in a configuration of webhooks. */
#include "apiserver/admission_match.h"
#include "kube/check.h"
#include "kube/names.h"

static const struct fed_str none = {NULL, 0};

/* --- rules --- */

static bool has(const struct fed_json *list, const char *word)
{
    FED_JSON_EACH(it, list)
        if (fed_str_is(it->s, word))
            return true;
    return false;
}

static void check_operations(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    if (list && list->n > 1 && has(list, "*"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, list), "if '*' is present, must not specify other operations",
                "%s.operations", at);
    uint32_t i = 0;
    FED_JSON_EACH(it, list) { /* other words are refused by the schema */
        if (!it->s.n)
            fed_bad(c, FED_CAUSE_NOT_SUPPORTED, FED_STR("\"\""),
                    "supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\"", "%s.operations[%u]", at,
                    i);
        i++;
    }
}

static void check_words(const struct fed_json *list, const char *at, const char *key, const char *others,
                        bool may_be_empty, struct fed_causes *c)
{
    uint32_t i = 0;
    if (list && list->n > 1 && has(list, "*"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, list),
                fed_arena_printf(c->arena, "if '*' is present, must not specify other %s", others).p, "%s.%s", at, key);
    FED_JSON_EACH(it, list) {
        if (!it->s.n && !may_be_empty)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.%s[%u]", at, key, i);
        i++;
    }
}

/* An earlier item that is A/B with either a wildcard where this one has a word. */
static bool said_before(const struct fed_json *it, struct fed_str resource, struct fed_str sub)
{
    for (const struct fed_json *p = it->prev; p; p = p->prev) {
        struct fed_str rest = p->s, plural = none;
        (void)fed_str_cut(&rest, '/', &plural);
        if (rest.p && fed_str_eq(plural, resource) && fed_str_eq(rest, sub))
            return true;
    }
    return false;
}

static void check_resource(const struct fed_json *it, struct fed_str at, struct fed_causes *c)
{
    struct fed_str sub = it->s, resource = none, star = FED_STR("*");
    if (!it->s.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, at, none, "%s", "");
    (void)fed_str_cut(&sub, '/', &resource);
    if (!it->s.n || !sub.p)
        return;
    if (said_before(it, resource, star))
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_quoted(c->arena, it->s),
                       "if '%.*s/*' is present, must not specify %.*s", FED_STR_ARG(resource), FED_STR_ARG(it->s));
    if (said_before(it, star, sub))
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_quoted(c->arena, it->s),
                       "if '*/%.*s' is present, must not specify %.*s", FED_STR_ARG(sub), FED_STR_ARG(it->s));
}

static void check_resources(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    bool plain = false;
    uint32_t i = 0;
    FED_JSON_EACH(it, list) {
        plain |= it->s.n && fed_str_chr(it->s, '/', 0) < 0 && !fed_str_is(it->s, "*");
        check_resource(it, fed_arena_printf(c->arena, "%s.resources[%u]", at, i++), c);
    }
    if (list && list->n > 1 && has(list, "*/*"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, list),
                "if '*/*' is present, must not specify other resources", "%s.resources", at);
    if (plain && has(list, "*"))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, list),
                "if '*' is present, must not specify other resources without subresources", "%s.resources", at);
}

static void check_rules(const struct fed_json *rules, const char *at, struct fed_causes *c)
{
    static const char *const need[] = {"operations", "apiGroups", "apiVersions", "resources"};
    uint32_t i = 0;
    FED_JSON_EACH(r, rules) {
        const char *here = fed_arena_printf(c->arena, "%s.rules[%u]", at, i++).p;
        for (size_t k = 0; k < FED_ARRAY_LEN(need); k++) {
            const struct fed_json *list = fed_json_find(r, need[k]);
            if (!list || !list->n)
                fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.%s", here, need[k]);
        }
        check_operations(fed_json_find(r, "operations"), here, c);
        check_words(fed_json_find(r, "apiGroups"), here, "apiGroups", "API groups", true, c);
        check_words(fed_json_find(r, "apiVersions"), here, "apiVersions", "API versions", false, c);
        check_resources(fed_json_find(r, "resources"), here, c);
    }
}

/* --- a webhook --- */

static void check_review_versions(const struct fed_json *list, const char *at, struct fed_causes *c)
{
    bool known = has(list, "v1") || has(list, "v1beta1");
    uint32_t i = 0;
    if (!list || !list->n) {
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify one of v1, v1beta1", "%s.admissionReviewVersions", at);
        return;
    }
    FED_JSON_EACH(v, list) {
        struct fed_str here = fed_arena_printf(c->arena, "%s.admissionReviewVersions[%u]", at, i++);
        const struct fed_json *before = v->prev;
        const char *why = fed_name_check_1035(v->s);
        while (before && !fed_str_eq(before->s, v->s))
            before = before->prev;
        if (before || why)
            fed_causes_add(c, FED_CAUSE_INVALID, here, fed_quoted(c->arena, v->s), "%s",
                           before ? "duplicate version" : why);
    }
    if (!known)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, list), "must include at least one of v1, v1beta1",
                "%s.admissionReviewVersions", at);
}

/* A DNS name of three labels: "policy.example.com". */
static void check_name(struct fed_str name, const char *at, struct fed_causes *c)
{
    bool bad = fed_name_check_subdomain(name) != NULL;
    size_t dots = 0;
    for (size_t i = 0; i < name.n; i++)
        dots += name.p[i] == '.';
    if (!name.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "", "%s.name", at);
    fed_check_text(c, name, fed_name_check_subdomain, "%s.name", at);
    if (!bad && name.n && dots < 2)
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, name),
                "should be a domain with at least three segments separated by dots", "%s.name", at);
}

static void check_webhook(const struct fed_json *w, const char *at, struct fed_causes *c)
{
    static const char *const effects[] = {"None", "NoneOnDryRun", NULL};
    struct fed_str given = fed_json_find_text(w, "sideEffects");
    const struct fed_json *timeout = fed_json_find(w, "timeoutSeconds");
    check_name(fed_json_find_text(w, "name"), at, c);
    check_rules(fed_json_find(w, "rules"), at, c);
    if (!given.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify one of None, NoneOnDryRun", "%s.sideEffects", at);
    fed_check_one_of(c, given, effects, "%s.sideEffects", at);
    if (timeout && (fed_json_int(timeout, 0) < 1 || fed_json_int(timeout, 0) > 30))
        fed_bad(c, FED_CAUSE_INVALID, timeout->s, "the timeout value must be between 1 and 30 seconds",
                "%s.timeoutSeconds", at);
    fed_selector_validate(fed_json_find(w, "namespaceSelector"),
                          fed_arena_printf(c->arena, "%s.namespaceSelector", at).p, c);
    fed_selector_validate(fed_json_find(w, "objectSelector"), fed_arena_printf(c->arena, "%s.objectSelector", at).p, c);
    fed_webhook_target_check(fed_json_find(w, "clientConfig"), fed_arena_printf(c->arena, "%s.clientConfig", at).p, c);
    fed_match_conditions_check(fed_json_find(w, "matchConditions"),
                               fed_arena_printf(c->arena, "%s.matchConditions", at), c);
    check_review_versions(fed_json_find(w, "admissionReviewVersions"), at, c);
}

void fed_hook_check(const struct fed_json *configuration, struct fed_causes *c)
{
    uint32_t i = 0;
    FED_JSON_EACH(w, fed_json_find(configuration, "webhooks")) {
        const char *at = fed_arena_printf(c->arena, "webhooks[%u]", i++).p;
        struct fed_str name = fed_json_find_text(w, "name");
        const struct fed_json *before = w->prev;
        check_webhook(w, at, c);
        while (before && !fed_str_eq(fed_json_find_text(before, "name"), name))
            before = before->prev;
        if (name.n && before)
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, name), "", "%s.name", at);
    }
}
