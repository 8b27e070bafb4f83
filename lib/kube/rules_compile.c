/* SPDX-License-Identifier: Apache-2.0 */
/* rules_compile.c: the rules of schemas: compiled for kinds that are served, checked for definitions that are written. */
#include "kube/rules_priv.h"

enum { MAX_MESSAGE = 2048, MAX_SIZE = 32 << 20 };

struct builder {
    struct fed_arena *a;
    struct fed_causes *causes;     /* NULL: nobody is told */
    size_t max_used;               /* of the arena */
    uint64_t spent;                /* by the defaults, all together */
    struct fed_str uncorrelatable; /* the part of the schema around, where old values cannot be told apart */
};
/* Where in the definition: a list from the inside out, written only when something is wrong. */
struct place {
    const struct place *up;
    struct fed_str name, key; /* ".name" or ".name[key]" */
};

static const struct fed_str none = {NULL, 0};

static const struct fed_rule_node *build(struct builder *b, const struct place *at, const struct fed_json *structure,
                                         const struct fed_json *rules, const struct fed_cel_type *type);

/* --- saying what is wrong --- */

static void write_place(const struct place *at, struct fed_buf *out)
{
    if (at->up) {
        write_place(at->up, out);
        fed_buf_addc(out, '.');
    }
    fed_buf_add(out, at->name);
    if (at->key.p)
        fed_buf_addf(out, "[%.*s]", FED_STR_ARG(at->key));
}

static struct fed_str place_text(struct builder *b, const struct place *at)
{
    struct fed_buf out = {0};
    struct fed_str s;

    write_place(at, &out);
    s = fed_arena_dup(b->causes->arena, fed_buf_str(&out));
    fed_buf_release(&out);
    return s;
}

static struct fed_str quoted(struct builder *b, struct fed_str s)
{
    struct fed_buf out = {0};
    struct fed_str text;

    fed_json_write_string(&out, fed_str_head(s, 1000));
    text = fed_arena_dup(b->causes->arena, fed_buf_str(&out));
    fed_buf_release(&out);
    return text;
}

/* Detail of any length, unlike fed_causes_add. */
static void say(struct builder *b, enum fed_cause_type type, const struct place *at, uint32_t i, const char *member,
                const char *words, struct fed_str value, struct fed_str detail)
{
    struct fed_arena *a;
    struct fed_cause cause = {.type = type};

    if (!b->causes)
        return;
    a = b->causes->arena;
    cause.field = fed_arena_printf(a, "%s.x-kubernetes-validations[%u].%s", place_text(b, at).p, i, member);
    cause.message =
        fed_arena_printf(a, "%s%s%.*s: %.*s", words, value.n ? ": " : "", FED_STR_ARG(value), FED_STR_ARG(detail));
    fed_causes_keep(b->causes, &cause);
}

static void invalid(struct builder *b, const struct place *at, uint32_t i, const char *member, struct fed_str value,
                    struct fed_str detail)
{
    say(b, FED_CAUSE_INVALID, at, i, member, "Invalid value", value, detail);
}

static void required(struct builder *b, const struct place *at, uint32_t i, const char *member, const char *detail)
{
    say(b, FED_CAUSE_REQUIRED, at, i, member, "Required value", none, fed_str(detail));
}

/* The rule as Kubernetes shows it. */
static struct fed_str shown(struct builder *b, const struct fed_json *rule)
{
    static const char *const members[][2] = {
        {"Rule", "rule"}, {"Message", "message"}, {"MessageExpression", "messageExpression"}};
    struct fed_buf out = {0};
    struct fed_str s;

    if (!b->causes)
        return none;
    fed_buf_addz(&out, "apiextensions.ValidationRule{");
    for (size_t i = 0; i < FED_ARRAY_LEN(members); i++) {
        fed_buf_addf(&out, "%s:", members[i][0]);
        fed_json_write_string(&out, fed_str_head(fed_json_find_text(rule, members[i][1]), 1000));
        fed_buf_addz(&out, ", ");
    }
    fed_buf_addf(&out, "Reason:(*apiextensions.FieldValueErrorReason)(%s), FieldPath:",
                 fed_json_find(rule, "reason") ? "0x0" : "nil");
    fed_json_write_string(&out, fed_json_find_text(rule, "fieldPath"));
    fed_buf_addf(&out, ", OptionalOldSelf:(*bool)(%s)}", fed_json_find(rule, "optionalOldSelf") ? "0x0" : "nil");
    s = fed_arena_dup(b->causes->arena, fed_buf_str(&out));
    fed_buf_release(&out);
    return s;
}

/* --- one rule --- */

static bool has_break(struct fed_str s)
{
    return fed_str_chr(s, '\n', 0) >= 0 || fed_str_chr(s, '\r', 0) >= 0;
}

static bool check_words(struct builder *b, const struct place *at, uint32_t i, const struct fed_json *rule)
{
    struct fed_str text = fed_str_trim(fed_json_find_text(rule, "rule")), given = fed_json_find_text(rule, "message");
    struct fed_str message = fed_str_trim(given), expr = fed_json_find_text(rule, "messageExpression");

    if (!text.n) {
        required(b, at, i, "rule", "rule is not specified");
        return false;
    }
    if (!b->causes)
        return true;
    if (given.n && !message.n)
        invalid(b, at, i, "message", quoted(b, given), FED_STR("message must be non-empty if specified"));
    else if (given.n > MAX_MESSAGE)
        invalid(b, at, i, "message", quoted(b, fed_str_head(given, 10)),
                FED_STR("message must have a maximum length of 2048 characters"));
    else if (has_break(message))
        invalid(b, at, i, "message", quoted(b, given), FED_STR("message must not contain line breaks"));
    else if (has_break(text) && !message.n && !expr.n)
        required(b, at, i, "message", "message must be specified if rule contains line breaks");
    if (expr.n && !fed_str_trim(expr).n)
        required(b, at, i, "messageExpression", "messageExpression must be non-empty if specified");
    return true;
}

static void read_reason(struct builder *b, const struct place *at, uint32_t i, const struct fed_json *rule,
                        struct fed_rule *out)
{
    static const struct {
        const char *name;
        enum fed_cause_type type;
    } reasons[] = {{"FieldValueDuplicate", FED_CAUSE_DUPLICATE},
                   {"FieldValueForbidden", FED_CAUSE_FORBIDDEN},
                   {"FieldValueInvalid", FED_CAUSE_INVALID},
                   {"FieldValueRequired", FED_CAUSE_REQUIRED}};
    struct fed_str s = fed_json_find_text(rule, "reason");

    out->reason = FED_CAUSE_INVALID;
    if (!fed_json_find(rule, "reason"))
        return;
    for (size_t k = 0; k < FED_ARRAY_LEN(reasons); k++)
        if (fed_str_is(s, reasons[k].name)) {
            out->reason = reasons[k].type;
            return;
        }
    if (b->causes)
        say(b, FED_CAUSE_NOT_SUPPORTED, at, i, "reason", "Unsupported value", quoted(b, s),
            FED_STR("supported values: \"FieldValueDuplicate\", \"FieldValueForbidden\", \"FieldValueInvalid\", "
                    "\"FieldValueRequired\""));
}

/* --- fieldPath: ".a['b.c']", along the schema --- */

/* The next step of the path; false: it is none. */
static bool path_step(struct fed_str *rest, struct fed_str *name)
{
    size_t n = 0;
    ptrdiff_t end;

    if (fed_str_starts(*rest, FED_STR("['"))) {
        end = fed_str_find(*rest, FED_STR("']"), 2);
        if (end < 0)
            return false;
        *name = fed_str_n(rest->p + 2, (size_t)end - 2);
        *rest = fed_str_from(*rest, (size_t)end + 2);
        return true;
    }
    if (!rest->n || rest->p[0] != '.')
        return false;
    *rest = fed_str_from(*rest, 1);
    while (n < rest->n && rest->p[n] != '.' && rest->p[n] != '[')
        n++;
    *name = fed_str_head(*rest, n);
    *rest = fed_str_from(*rest, n);
    return n != 0;
}

static const char *read_path(struct builder *b, const struct fed_json *schema, struct fed_str path, struct fed_str *out)
{
    struct fed_buf text = {0};
    struct fed_str rest = path, name;
    const char *why = NULL;

    while (rest.n && !why) {
        const struct fed_json *props = fed_json_find(schema, "properties"), *next;
        const struct fed_json *extra = fed_json_find(schema, "additionalProperties");

        if (!path_step(&rest, &name)) {
            why = "fieldPath must be a valid path: expected [ or .";
            break;
        }
        next = props ? fed_json_find_str(props, name) : extra && extra->type == FED_JSON_OBJECT ? extra : NULL;
        if (!next)
            why = "fieldPath must be a valid path: does not refer to a valid field";
        if (props)
            fed_buf_addf(&text, "%s%.*s", text.n ? "." : "", FED_STR_ARG(name));
        else
            fed_buf_addf(&text, "[%.*s]", FED_STR_ARG(name));
        schema = next;
    }
    *out = fed_arena_dup(b->a, fed_buf_str(&text));
    fed_buf_release(&text);
    return why;
}

static void read_field_path(struct builder *b, const struct place *at, uint32_t i, const struct fed_json *rule,
                            const struct fed_json *structure, struct fed_rule *out)
{
    struct fed_str path = fed_json_find_text(rule, "fieldPath");
    const char *why = NULL;

    if (!path.n)
        return;
    if (!fed_str_trim(path).n)
        why = "fieldPath must be non-empty if specified";
    else if (has_break(path))
        why = "fieldPath must not contain line breaks";
    else
        why = read_path(b, structure, fed_str_trim(path), &out->field);
    if (why && b->causes)
        invalid(b, at, i, "fieldPath", quoted(b, path), fed_str(why));
}

/* --- compiling --- */

static struct fed_cel_program *compile(struct builder *b, const struct fed_cel_var *vars, struct fed_str text,
                                       enum fed_cel_kind want, const char *otherwise, struct fed_str *why)
{
    struct fed_cel_program *p = NULL;
    enum fed_cel_kind got;

    if (b->a->used > b->max_used) {
        *why = FED_STR("the rules of this version are too large");
        return NULL;
    }
    if (fed_cel_compile(b->a, vars, FED_RULE_VARS, text, &p, why))
        return NULL;
    got = fed_cel_result_type(p)->kind;
    if (got == want || (want == FED_CEL_BOOL && got == FED_CEL_DYN))
        return p;
    *why = fed_str(otherwise);
    return NULL;
}

static void compile_rule(struct builder *b, const struct place *at, uint32_t i, const struct fed_json *rule,
                         const struct fed_json *structure, const struct fed_cel_type *type, struct fed_rule *out)
{
    struct fed_cel_var vars[FED_RULE_VARS] = {{FED_STR("self"), type}, {FED_STR("oldSelf"), type}};
    struct fed_str text = fed_json_find_text(rule, "rule"), expr = fed_json_find_text(rule, "messageExpression");
    struct fed_str why = none;
    struct fed_cel_type *optional;

    out->text = fed_arena_dup(b->a, fed_str_trim(text));
    out->given = fed_arena_dup(b->a, fed_str_trim(fed_json_find_text(rule, "message")));
    out->optional_old = fed_json_bool(fed_json_find(rule, "optionalOldSelf"), false);
    if (!check_words(b, at, i, rule))
        return;
    read_reason(b, at, i, rule, out);
    read_field_path(b, at, i, rule, structure, out);
    if (out->optional_old) {
        optional = FED_ARENA_NEW(b->a, struct fed_cel_type);
        *optional = (struct fed_cel_type){.kind = FED_CEL_OPTIONAL, .elem = type};
        vars[FED_RULE_OLD].type = optional;
    }
    out->program = compile(b, vars, text, FED_CEL_BOOL, "cel expression must evaluate to a bool", &out->error);
    if (!out->program) {
        invalid(b, at, i, "rule", shown(b, rule), out->error);
        return;
    }
    out->uses_old = fed_cel_uses(out->program, FED_RULE_OLD);
    if (out->uses_old && b->uncorrelatable.n && b->causes)
        invalid(b, at, i, "rule", quoted(b, text),
                fed_arena_printf(b->causes->arena,
                                 "oldSelf cannot be used on the uncorrelatable portion of the schema within %.*s",
                                 FED_STR_ARG(b->uncorrelatable)));
    if (!out->uses_old && fed_json_find(rule, "optionalOldSelf") && b->causes)
        invalid(b, at, i, "optionalOldSelf", out->optional_old ? FED_STR("true") : FED_STR("false"),
                FED_STR("may not be set if oldSelf is not used in rule"));
    if (!fed_str_trim(expr).n)
        return;
    out->message = compile(b, vars, expr, FED_CEL_STRING, "messageExpression must evaluate to a string", &why);
    if (!out->message)
        invalid(b, at, i, "messageExpression", shown(b, rule), why);
}

static void compile_rules(struct builder *b, const struct place *at, const struct fed_json *list,
                          const struct fed_json *structure, struct fed_rule_node *node)
{
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return;
    if (!node->type) {
        if (b->causes)
            fed_causes_add(b->causes, FED_CAUSE_INVALID,
                           fed_arena_printf(b->causes->arena, "%s.x-kubernetes-validations", place_text(b, at).p), none,
                           "failed to retrieve type information for x-kubernetes-validations");
        return;
    }
    node->rules = FED_ARENA_ARRAY(b->a, struct fed_rule, list->n);
    FED_JSON_EACH(rule, list) {
        compile_rule(b, at, (uint32_t)node->n_rules, rule, structure, node->type, &node->rules[node->n_rules]);
        node->n_rules++;
    }
}

/* --- the tree --- */

static bool has_rules(const struct fed_json *s)
{
    if (!s || (s->type != FED_JSON_OBJECT && s->type != FED_JSON_ARRAY))
        return false;
    if (s->type == FED_JSON_OBJECT && fed_json_find(s, "x-kubernetes-validations"))
        return true;
    FED_JSON_EACH(it, s)
        if (has_rules(it))
            return true;
    return false;
}

static int by_key(const void *a, const void *b)
{
    return fed_str_cmp(((const struct fed_rule_prop *)a)->key, ((const struct fed_rule_prop *)b)->key);
}

/* The type of a member: that of the field, or its own where its name is none for expressions. */
static const struct fed_cel_type *member_type(struct builder *b, const struct fed_cel_type *of,
                                              const struct fed_json *schema)
{
    for (uint32_t i = 0; of && i < of->n_fields; i++)
        if (fed_str_eq(of->fields[i].key, schema->key))
            return of->fields[i].type;
    return fed_rules_type(b->a, schema, false);
}

static void build_props(struct builder *b, const struct place *at, const struct fed_json *structure,
                        const struct fed_json *rules, struct fed_rule_node *node)
{
    const struct fed_json *props = fed_json_find(rules, "properties"), *all = fed_json_find(structure, "properties");
    struct fed_str outer = b->uncorrelatable;

    if (!props || props->type != FED_JSON_OBJECT)
        return;
    if (node->atomic && b->causes && !outer.n)
        b->uncorrelatable = place_text(b, at);
    node->props = FED_ARENA_ARRAY(b->a, struct fed_rule_prop, props->n);
    FED_JSON_EACH(p, props) {
        const struct fed_json *s = fed_json_find_str(all, p->key);
        struct place here = {at, FED_STR("properties"), p->key};
        const struct fed_rule_node *sub = NULL;

        if (s && has_rules(p))
            sub = build(b, &here, s, p, member_type(b, node->type, s));
        if (sub)
            node->props[node->n_props++] = (struct fed_rule_prop){fed_arena_dup(b->a, p->key), sub};
    }
    if (node->n_props)
        qsort(node->props, node->n_props, sizeof(*node->props), by_key);
    b->uncorrelatable = outer;
}

static void build_items(struct builder *b, const struct place *at, const struct fed_json *structure,
                        const struct fed_json *rules, struct fed_rule_node *node)
{
    const struct fed_json *items = fed_json_find(rules, "items"), *extra = fed_json_find(rules, "additionalProperties");
    const struct fed_json *s_items = fed_json_find(structure, "items");
    const struct fed_json *s_extra = fed_json_find(structure, "additionalProperties");
    const struct fed_cel_type *elem = node->type ? node->type->elem : NULL;
    struct place in_items = {at, FED_STR("items"), none}, in_extra = {at, FED_STR("additionalProperties"), none};
    struct fed_str outer = b->uncorrelatable;
    bool keyed = fed_str_is(fed_json_find_text(structure, "x-kubernetes-list-type"), "map");

    if (items && s_items && has_rules(items)) {
        if (!keyed && b->causes && !outer.n)
            b->uncorrelatable = place_text(b, at);
        node->items = build(b, &in_items, s_items, items, elem ? elem : fed_rules_type(b->a, s_items, false));
        b->uncorrelatable = outer;
    }
    if (extra && s_extra && extra->type == FED_JSON_OBJECT && has_rules(extra)) {
        if (node->atomic && b->causes && !outer.n)
            b->uncorrelatable = place_text(b, at);
        node->additional = build(b, &in_extra, s_extra, extra, elem ? elem : fed_rules_type(b->a, s_extra, false));
        b->uncorrelatable = outer;
    }
}

static void build_all_of(struct builder *b, const struct place *at, const struct fed_json *structure,
                         const struct fed_json *rules, struct fed_rule_node *node)
{
    const struct fed_json *list = fed_json_find(rules, "allOf");
    uint32_t i = 0;

    if (!list || list->type != FED_JSON_ARRAY || !has_rules(list))
        return;
    node->all_of = FED_ARENA_ARRAY(b->a, const struct fed_rule_node *, list->n);
    FED_JSON_EACH(branch, list) {
        struct place here = {at, FED_STR("allOf"), fed_arena_printf(b->a, "%u", i++)};
        const struct fed_rule_node *sub = has_rules(branch) ? build(b, &here, structure, branch, node->type) : NULL;

        if (sub)
            node->all_of[node->n_all_of++] = sub;
    }
}

/* A default has to keep the rules too. */
static void check_default(struct builder *b, const struct place *at, const struct fed_json *schema,
                          const struct fed_rule_node *node)
{
    const struct fed_json *dflt = fed_json_find(schema, "default");
    struct fed_causes own = {.arena = b->causes->arena};
    struct place here = {at, FED_STR("default"), none};

    if (!dflt)
        return;
    fed_rules_walk(node, dflt, NULL, &own, NULL, NULL, &b->spent);
    for (size_t i = 0; i < own.n; i++) {
        own.items[i].field =
            fed_str_is(own.items[i].field, "<nil>")
                ? place_text(b, &here)
                : fed_arena_printf(own.arena, "%s.%.*s", place_text(b, &here).p, FED_STR_ARG(own.items[i].field));
        fed_causes_keep(b->causes, &own.items[i]);
    }
}

static const struct fed_rule_node *build(struct builder *b, const struct place *at, const struct fed_json *structure,
                                         const struct fed_json *rules, const struct fed_cel_type *type)
{
    struct fed_rule_node *node = FED_ARENA_NEW(b->a, struct fed_rule_node);

    node->type = type;
    node->type_name = fed_arena_dup(b->a, fed_json_find_text(structure, "type"));
    node->atomic = fed_str_is(fed_json_find_text(structure, "x-kubernetes-map-type"), "atomic");
    compile_rules(b, at, fed_json_find(rules, "x-kubernetes-validations"), structure, node);
    build_props(b, at, structure, rules, node);
    build_items(b, at, structure, rules, node);
    build_all_of(b, at, structure, rules, node);
    if (!node->n_rules && !node->n_props && !node->items && !node->additional && !node->n_all_of)
        return NULL;
    if (b->causes && structure == rules && !b->causes->n)
        check_default(b, at, structure, node);
    return node;
}

const struct fed_rule_node *fed_rules_compile(struct fed_arena *a, const struct fed_json *schema)
{
    struct builder b = {.a = a, .max_used = a->used + MAX_SIZE};
    struct place at = {NULL, none, none};

    return has_rules(schema) ? build(&b, &at, schema, schema, fed_rules_type(a, schema, true)) : NULL;
}

void fed_rules_check_schema(const struct fed_json *schema, struct fed_str path, struct fed_causes *causes)
{
    struct fed_arena scratch = {0};
    struct builder b = {.a = &scratch, .max_used = MAX_SIZE, .causes = causes};
    struct place at = {NULL, path, none};

    if (has_rules(schema))
        (void)build(&b, &at, schema, schema, fed_rules_type(&scratch, schema, true));
    fed_arena_release(&scratch);
}
