/* SPDX-License-Identifier: Apache-2.0 */
/* rules_run.c: an object held to its rules: a walk along the rules, with what the object replaces beside it. */
#include "kube/rules_priv.h"

enum { MAX_MESSAGE = 5 << 10 };

struct check {
    struct fed_cel_run run;
    struct fed_causes *causes;
    void (*warn)(void *ud, const char *text);
    void *ud;
    bool over;                                /* the budget of the object is used up */
    const struct fed_json *asked, *asked_old; /* see is_unchanged */
    bool unchanged;
};
/* Where in the object, from the inside out. */
struct place {
    const struct place *up;
    struct fed_str name; /* of a member; p == NULL: an item, or the root */
    uint32_t index;
    bool in_map; /* the name is a key of a map: in brackets */
};
/* A value, what it replaces (NULL: nothing, or nobody knows), and the nearest pair around that is known. */
struct pair {
    const struct fed_json *now, *old;
    const struct fed_json *near_now, *near_old;
};

static const struct fed_str none = {NULL, 0};

/* --- what is said --- */

static void write_place(const struct place *at, struct fed_buf *out)
{
    if (!at->up)
        return;
    write_place(at->up, out);
    if (!at->name.p)
        fed_buf_addf(out, "[%u]", at->index);
    else if (at->in_map)
        fed_buf_addf(out, "[%.*s]", FED_STR_ARG(at->name));
    else
        fed_buf_addf(out, "%s%.*s", out->n ? "." : "", FED_STR_ARG(at->name));
}

static struct fed_str place_text(struct check *c, const struct place *at, struct fed_str more)
{
    struct fed_buf out = {0};
    struct fed_str s;

    write_place(at, &out);
    if (more.n && more.p[0] != '[' && out.n)
        fed_buf_addc(&out, '.');
    fed_buf_add(&out, more);
    s = out.n ? fed_arena_dup(c->causes->arena, fed_buf_str(&out)) : FED_STR("<nil>");
    fed_buf_release(&out);
    return s;
}

static struct fed_cause made(struct check *c, const struct fed_rule_node *node, enum fed_cause_type type,
                             const struct place *at, struct fed_str field, struct fed_str detail)
{
    struct fed_arena *a = c->causes->arena;
    struct fed_cause cause = {.type = type, .field = place_text(c, at, field)};

    if (type == FED_CAUSE_DUPLICATE)
        cause.message = fed_arena_printf(a, "Duplicate value: \"%.*s\"", FED_STR_ARG(node->type_name));
    else if (type == FED_CAUSE_FORBIDDEN)
        cause.message = fed_arena_printf(a, "Forbidden: %.*s", FED_STR_ARG(detail));
    else if (type == FED_CAUSE_REQUIRED)
        cause.message = fed_arena_printf(a, "Required value: %.*s", FED_STR_ARG(detail));
    else
        cause.message =
            fed_arena_printf(a, "Invalid value: \"%.*s\": %.*s", FED_STR_ARG(node->type_name), FED_STR_ARG(detail));
    return cause;
}

static void invalid(struct check *c, const struct fed_rule_node *node, const struct place *at, struct fed_str detail)
{
    struct fed_cause cause = made(c, node, FED_CAUSE_INVALID, at, none, detail);

    fed_causes_keep(c->causes, &cause);
}

static void out_of_budget(struct check *c, const struct fed_rule_node *node, const struct place *at)
{
    c->over = true;
    invalid(c, node, at,
            FED_STR("validation failed due to running out of cost budget, no further validation rules will be run"));
}

/* A rule by its message, else by its text. */
static struct fed_str rule_name(const struct fed_rule *r)
{
    return r->given.n ? r->given : r->text;
}

/* --- one rule --- */

static struct fed_str broken_text(struct check *c, const struct fed_rule *r)
{
    return r->given.n ? r->given : fed_arena_printf(c->causes->arena, "failed rule: %.*s", FED_STR_ARG(r->text));
}

/* What messageExpression says; where it says nothing that can be shown, the words of the rule. */
static struct fed_str message_of(struct check *c, const struct fed_rule *r, const struct fed_cel_value *vars)
{
    struct fed_cel_value v;
    struct fed_str s;
    int rc = r->message ? fed_cel_eval(&c->run, r->message, vars, &v) : FED_E_INVALID;

    if (r->message && (rc == FED_E_LIMIT || c->run.spent > FED_CEL_REQUEST_LIMIT)) {
        c->over = true;
        return FED_STR("messageExpression evaluation failed due to running out of cost budget, no further validation "
                       "rules will be run");
    }
    if (rc || v.kind != FED_CEL_STRING)
        return broken_text(c, r);
    s = fed_str_trim(v.s);
    if (!s.n || s.n > MAX_MESSAGE || fed_str_chr(s, '\n', 0) >= 0)
        return broken_text(c, r);
    return fed_arena_dup(c->causes->arena, s);
}

/* What did not change was let in before. Items of a list are asked about one after another: the answer is kept. */
static bool is_unchanged(struct check *c, const struct pair *p)
{
    if (c->asked != p->near_now || c->asked_old != p->near_old) {
        c->asked = p->near_now;
        c->asked_old = p->near_old;
        c->unchanged = p->near_old && fed_json_equal(p->near_now, p->near_old);
    }
    return c->unchanged;
}

static void broken(struct check *c, const struct fed_rule_node *node, const struct fed_rule *r, const struct place *at,
                   const struct pair *p, const struct fed_cel_value *vars)
{
    struct fed_cause cause = made(c, node, r->reason, at, r->field, message_of(c, r, vars));

    if (r->uses_old || !is_unchanged(c, p))
        fed_causes_keep(c->causes, &cause);
    else if (c->warn)
        c->warn(
            c->ud,
            fed_arena_printf(c->causes->arena, "%.*s: %.*s", FED_STR_ARG(cause.field), FED_STR_ARG(cause.message)).p);
}

static void failed(struct check *c, const struct fed_rule_node *node, const struct fed_rule *r, const struct place *at)
{
    struct fed_arena *a = c->causes->arena;
    struct fed_str why = c->run.error, name = rule_name(r);

    if (fed_str_starts(why, FED_STR("no such overload")))
        invalid(c, node, at,
                fed_arena_printf(a,
                                 "'%.*s': call arguments did not match a supported operator, function or macro "
                                 "signature for rule: %.*s",
                                 FED_STR_ARG(why), FED_STR_ARG(name)));
    else
        invalid(c, node, at, fed_arena_printf(a, "%.*s evaluating rule: %.*s", FED_STR_ARG(why), FED_STR_ARG(name)));
}

static void check_rule(struct check *c, const struct fed_rule_node *node, const struct fed_rule *r,
                       const struct place *at, const struct pair *p)
{
    struct fed_cel_value vars[FED_RULE_VARS], v;
    int rc;

    if (!r->program) {
        if (r->error.n)
            invalid(c, node, at, fed_arena_printf(c->causes->arena, "rule compile error: %.*s", FED_STR_ARG(r->error)));
        return;
    }
    if (r->uses_old && !p->old && !r->optional_old)
        return;
    fed_cel_run_reset(&c->run);
    fed_cel_from_json(&c->run, p->now, node->type, &vars[FED_RULE_SELF]);
    vars[FED_RULE_OLD] = vars[FED_RULE_SELF];
    if (p->old)
        fed_cel_from_json(&c->run, p->old, node->type, &vars[FED_RULE_OLD]);
    if (r->optional_old)
        vars[FED_RULE_OLD] = fed_cel_optional(&c->run, p->old ? &vars[FED_RULE_OLD] : NULL);
    rc = fed_cel_eval(&c->run, r->program, vars, &v);
    if (c->run.spent > FED_CEL_REQUEST_LIMIT) {
        out_of_budget(c, node, at);
    } else if (rc == FED_E_LIMIT) {
        c->over = true;
        invalid(c, node, at,
                fed_arena_printf(c->causes->arena,
                                 "'%.*s': no further validation rules will be run due to call cost exceeds limit for "
                                 "rule: %.*s",
                                 FED_STR_ARG(c->run.error), FED_STR_ARG(rule_name(r))));
    } else if (rc) {
        failed(c, node, r, at);
    } else if (v.kind != FED_CEL_BOOL || !v.b) {
        broken(c, node, r, at, p, vars);
    }
}

/* --- the walk --- */

static void check_node(struct check *c, const struct fed_rule_node *node, const struct place *at, const struct pair *p);

static const struct fed_rule_node *prop_find(const struct fed_rule_node *node, struct fed_str key)
{
    size_t lo = 0, hi = node->n_props;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int cmp = fed_str_cmp(node->props[mid].key, key);

        if (!cmp)
            return node->props[mid].node;
        if (cmp < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

/* The pair of a part: where nothing is known of what it replaces, what is around still is. */
static struct pair part_of(const struct pair *p, const struct fed_json *now, const struct fed_json *old, bool told)
{
    struct pair part = {now, old, p->near_now, p->near_old};

    if (old) {
        part.near_now = now;
        part.near_old = old;
    } else if (told) { /* there was none: it is new */
        part.near_old = NULL;
    }
    return part;
}

static void check_members(struct check *c, const struct fed_rule_node *node, const struct place *at,
                          const struct pair *p)
{
    bool told = p->old && p->old->type == FED_JSON_OBJECT && !node->atomic;
    struct fed_json_index ix = {0};

    if (told)
        fed_json_index_build(&ix, p->old);
    for (const struct fed_json *m = p->now->first; m && !c->over; m = m->next) {
        const struct fed_rule_node *sub = node->additional ? node->additional : prop_find(node, m->key);
        struct place here = {at, m->key, 0, node->additional != NULL};
        struct pair part;

        if (!sub)
            continue;
        part = part_of(p, m, told ? fed_json_index_find(&ix, p->old, m->key) : NULL, told);
        check_node(c, sub, &here, &part);
    }
    fed_json_index_release(&ix);
}

/* The keys of an item of a keyed list, as text. */
static void item_key(const struct fed_cel_type *t, const struct fed_json *item, struct fed_buf *out)
{
    fed_buf_reset(out);
    for (uint32_t i = 0; i < t->n_list_keys; i++) {
        const struct fed_json *k = fed_json_find_str(item, t->list_keys[i]);

        if (k)
            fed_json_write(out, k);
        fed_buf_addc(out, ',');
    }
}

static void check_items(struct check *c, const struct fed_rule_node *node, const struct place *at, const struct pair *p)
{
    const struct fed_cel_type *t = node->type;
    bool told = p->old && p->old->type == FED_JSON_ARRAY && t && t->list == FED_CEL_LIST_KEYED;
    struct fed_map olds = {0};
    struct fed_buf key = {0};
    uint32_t i = 0;

    if (told)
        FED_JSON_EACH(it, p->old) {
            item_key(t, it, &key);
            fed_map_set(&olds, fed_buf_str(&key), it);
        }
    for (const struct fed_json *it = p->now->first; it && !c->over; it = it->next) {
        struct place here = {at, none, i++, false};
        const struct fed_json *old = NULL;
        struct pair part;

        if (told) {
            item_key(t, it, &key);
            old = fed_map_find(&olds, fed_buf_str(&key));
        }
        part = part_of(p, it, old, told);
        check_node(c, node->items, &here, &part);
    }
    fed_buf_release(&key);
    fed_map_release(&olds);
}

static void check_node(struct check *c, const struct fed_rule_node *node, const struct place *at, const struct pair *p)
{
    if (p->now->type == FED_JSON_NULL)
        return;
    for (size_t i = 0; i < node->n_rules && !c->over; i++)
        check_rule(c, node, &node->rules[i], at, p);
    for (size_t i = 0; i < node->n_all_of && !c->over; i++)
        check_node(c, node->all_of[i], at, p);
    if (p->now->type == FED_JSON_ARRAY && node->items && !c->over)
        check_items(c, node, at, p);
    else if (p->now->type == FED_JSON_OBJECT && (node->n_props || node->additional) && !c->over)
        check_members(c, node, at, p);
}

/* Rules are not asked of what has not even its form. */
static bool is_malformed(const struct fed_causes *causes)
{
    for (size_t i = 0; i < causes->n; i++)
        if (causes->items[i].type != FED_CAUSE_INVALID && causes->items[i].type != FED_CAUSE_FORBIDDEN &&
            causes->items[i].type != FED_CAUSE_NOT_FOUND)
            return true;
    return false;
}

void fed_rules_walk(const struct fed_rule_node *rules, const struct fed_json *obj, const struct fed_json *old,
                    struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud, uint64_t *spent)
{
    struct check c = {.causes = causes, .warn = warn, .ud = ud};
    struct place root = {NULL, none, 0, false};
    struct pair p = {obj, old && old->type == obj->type ? old : NULL, obj, old};

    fed_cel_run_init(&c.run);
    c.run.spent = *spent;
    check_node(&c, rules, &root, &p);
    *spent = c.run.spent;
    fed_cel_run_release(&c.run);
}

void fed_rules_check(const struct fed_rule_node *rules, const struct fed_json *obj, const struct fed_json *old,
                     struct fed_causes *causes, void (*warn)(void *ud, const char *text), void *ud)
{
    uint64_t spent = 0;

    if (is_malformed(causes))
        fed_causes_add(causes, FED_CAUSE_INVALID, FED_STR("<nil>"), FED_STR("\"null\""),
                       "some validation rules were not checked because the object was invalid; correct the existing "
                       "errors to complete validation");
    else
        fed_rules_walk(rules, obj, old, causes, warn, ud, &spent);
}
