/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/admission_match.h"

#include "base/mem.h"

static const struct {
    const char *name;
    enum fed_admit_operation op;
} operations[] = {{"CREATE", FED_ADMIT_CREATE},
                  {"UPDATE", FED_ADMIT_UPDATE},
                  {"DELETE", FED_ADMIT_DELETE},
                  {"CONNECT", FED_ADMIT_CONNECT}};

const char *fed_admit_operation_name(enum fed_admit_operation op)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(operations); i++)
        if (operations[i].op == op)
            return operations[i].name;
    return "";
}

static unsigned operation_bits(const struct fed_json *list)
{
    unsigned bits = 0;
    FED_JSON_EACH(it, list) {
        if (fed_str_is(it->s, "*"))
            bits = FED_ADMIT_CREATE | FED_ADMIT_UPDATE | FED_ADMIT_DELETE | FED_ADMIT_CONNECT;
        for (size_t i = 0; i < FED_ARRAY_LEN(operations); i++)
            if (fed_str_is(it->s, operations[i].name))
                bits |= operations[i].op;
    }
    return bits;
}

static void compile_rules(struct fed_hook_list *l, struct fed_hook *h, const struct fed_json *rules)
{
    h->rules = FED_ARENA_ARRAY(&l->arena, struct fed_hook_rule, (rules ? rules->n : 0) + 1);
    FED_JSON_EACH(r, rules) {
        struct fed_str scope = fed_json_find_text(r, "scope");
        h->rules[h->n_rules++] = (struct fed_hook_rule){
            .operations = operation_bits(fed_json_find(r, "operations")),
            .groups = fed_json_find(r, "apiGroups"),
            .versions = fed_json_find(r, "apiVersions"),
            .resources = fed_json_find(r, "resources"),
            .scope = fed_str_is(scope, "Cluster")      ? FED_SCOPE_CLUSTER
                     : fed_str_is(scope, "Namespaced") ? FED_SCOPE_NAMESPACED
                                                       : FED_SCOPE_ALL,
        };
    }
}

/* An absent selector selects everything, as its default {} does. */
static int compile_selector(struct fed_hook_list *l, const struct fed_json *sel, struct fed_selector *out,
                            struct fed_err *err)
{
    if (!sel || sel->type == FED_JSON_NULL)
        return 0;
    return fed_selector_from_json(&l->arena, sel, out, err);
}

static void compile(struct fed_hook_list *l, struct fed_hook *h, const struct fed_json *w)
{
    struct fed_err err = {0};
    struct fed_str effects = fed_json_find_text(w, "sideEffects");
    int64_t seconds = fed_json_int(fed_json_find(w, "timeoutSeconds"), 10);
    h->name = fed_json_find_text(w, "name");
    h->timeout_ms = (uint32_t)FED_MAX(1, FED_MIN(seconds, 30)) * 1000;
    h->exact = fed_str_is(fed_json_find_text(w, "matchPolicy"), "Exact");
    h->ignore = fed_str_is(fed_json_find_text(w, "failurePolicy"), "Ignore");
    h->dry_run_ok = fed_str_is(effects, "None") || fed_str_is(effects, "NoneOnDryRun");
    h->again = fed_str_is(fed_json_find_text(w, "reinvocationPolicy"), "IfNeeded");
    compile_rules(l, h, fed_json_find(w, "rules"));
    fed_match_conditions_compile(&l->arena, fed_json_find(w, "matchConditions"), &h->conditions);
    FED_JSON_EACH(v, fed_json_find(w, "admissionReviewVersions")) {
        if (!h->review && fed_str_is(v->s, "v1"))
            h->review = "admission.k8s.io/v1";
        else if (!h->review && fed_str_is(v->s, "v1beta1"))
            h->review = "admission.k8s.io/v1beta1";
    }
    if (!h->review)
        fed_err_set(&err, FED_E_INVALID, "webhook does not accept known AdmissionReview versions (v1, v1beta1)");
    else if (compile_selector(l, fed_json_find(w, "namespaceSelector"), &h->namespaces, &err) == 0 &&
             compile_selector(l, fed_json_find(w, "objectSelector"), &h->objects, &err) == 0 &&
             fed_webhook_target_read(&l->arena, fed_json_find(w, "clientConfig"), &h->target, &err) == 0)
        return;
    h->broken = fed_arena_dupz(&l->arena, fed_str(err.text));
}

void fed_hook_list_add(struct fed_hook_list *l, const struct fed_json *configuration)
{
    const struct fed_json *copy = fed_json_copy(&l->arena, configuration);
    FED_JSON_EACH(w, fed_json_find(copy, "webhooks")) {
        if (l->n == l->cap) {
            l->cap = l->cap ? l->cap * 2 : 8;
            l->hooks = fed_realloc(l->hooks, l->cap * sizeof *l->hooks);
        }
        struct fed_hook *h = &l->hooks[l->n++];
        *h = (struct fed_hook){.configuration = fed_obj_name(copy)};
        compile(l, h, w);
    }
}

void fed_hook_list_release(struct fed_hook_list *l)
{
    free(l->hooks);
    fed_arena_release(&l->arena);
    *l = (struct fed_hook_list){0};
}

/* --- matching --- */

static bool in_list(const struct fed_json *list, struct fed_str s)
{
    FED_JSON_EACH(it, list)
        if (fed_str_is(it->s, "*") || fed_str_eq(it->s, s))
            return true;
    return false;
}

/* "*", "pods", "pods/status", "pods/…", "…/scale" with wildcards on either side; "*" alone means no subresource. */
static bool resource_matches(const struct fed_json *list, struct fed_str resource, struct fed_str sub)
{
    FED_JSON_EACH(it, list) {
        struct fed_str rest = it->s, plural = {NULL, 0};
        (void)fed_str_cut(&rest, '/', &plural);
        if ((fed_str_is(plural, "*") || fed_str_eq(plural, resource)) &&
            (fed_str_is(rest, "*") || fed_str_eq(rest, sub)))
            return true;
    }
    return false;
}

static bool rule_matches(const struct fed_hook_rule *rule, const struct fed_hook_question *q,
                         const struct fed_hook_resource *r)
{
    bool cluster = q->is_namespace || !q->ns.n;
    if (!(rule->operations & q->operation) || (rule->scope == FED_SCOPE_CLUSTER && !cluster) ||
        (rule->scope == FED_SCOPE_NAMESPACED && cluster))
        return false;
    return in_list(rule->groups, r->group) && in_list(rule->versions, r->version) &&
           resource_matches(rule->resources, r->resource, q->subresource);
}

static bool objects_match(const struct fed_hook *h, const struct fed_hook_question *q)
{
    if (!h->objects.n)
        return true;
    return (q->has_object && fed_selector_matches_json(&h->objects, q->labels)) ||
           (q->has_old && fed_selector_matches_json(&h->objects, q->old_labels));
}

int fed_hook_match(const struct fed_hook *h, const struct fed_hook_question *q)
{
    size_t n = h->exact ? FED_MIN(q->n_resources, 1) : q->n_resources;
    bool in_namespace = q->is_namespace || q->ns.n;
    int found = -1;
    for (size_t i = 0; found < 0 && i < n; i++)
        for (size_t k = 0; found < 0 && k < h->n_rules; k++)
            if (rule_matches(&h->rules[k], q, &q->resources[i]))
                found = (int)i;
    if (found < 0 || (in_namespace && !fed_selector_matches_json(&h->namespaces, q->ns_labels)) || !objects_match(h, q))
        return -1;
    return found;
}
