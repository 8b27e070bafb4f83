/* SPDX-License-Identifier: Apache-2.0 */
/* x-kubernetes-validations: what is wrong with rules, and objects held to them. */
#include "unit/unit.h"

#include "kube/rules.h"

static struct fed_json *parse(struct fed_arena *a, const char *text)
{
    struct fed_json *v = NULL;

    if (!text)
        return NULL;
    CHECK(text, fed_json_parse(a, fed_str(text), NULL, &v, NULL) == 0);
    return v;
}

/* "field: message" of each cause, a line each. */
static const char *written(const struct fed_causes *c)
{
    struct fed_buf b = {0};
    const char *z;

    for (size_t i = 0; i < c->n; i++)
        fed_buf_addf(&b, "%s%.*s: %.*s", i ? "\n" : "", FED_STR_ARG(c->items[i].field),
                     FED_STR_ARG(c->items[i].message));
    z = fed_arena_dupz(c->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return z;
}

static void on_warning(void *ud, const char *text)
{
    struct fed_causes *c = ud;

    fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("warning"), FED_STR(""), "%s", text);
}

#define RULE(r)        "\"x-kubernetes-validations\":[{\"rule\":\"" r "\"}]"
#define RULE2(r, more) "\"x-kubernetes-validations\":[{\"rule\":\"" r "\"," more "}]"
#define OBJECT(props)  "\"type\":\"object\",\"properties\":{" props "}"

struct held {
    const char *schema, *now, *old, *want;
};

static void objects(void **state)
{
    static const struct held rows[] = {
        {"{" OBJECT("\"n\":{\"type\":\"integer\"}") "," RULE("self.n < 5") "}", "{\"n\":4}", NULL, ""},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"}") "," RULE("self.n < 5") "}", "{\"n\":5}", NULL,
         "<nil>: Invalid value: \"object\": failed rule: self.n < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self < 5") "}") "}", "{\"n\":5}", NULL,
         "n: Invalid value: \"integer\": failed rule: self < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"message\":\" too large \"") "}") "}",
         "{\"n\":5}", NULL, "n: Invalid value: \"integer\": too large"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"messageExpression\":\"string(self) + ' is "
                                                                     "large'\"") "}") "}",
         "{\"n\":5}", NULL, "n: Invalid value: \"integer\": 5 is large"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"message\":\"plain\",\"messageExpression\":"
                                                                     "\"string(1 / (self - 5))\"") "}") "}",
         "{\"n\":5}", NULL, "n: Invalid value: \"integer\": plain"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"reason\":\"FieldValueForbidden\"") "}") "}",
         "{\"n\":5}", NULL, "n: Forbidden: failed rule: self < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"reason\":\"FieldValueRequired\"") "}") "}",
         "{\"n\":5}", NULL, "n: Required value: failed rule: self < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("self < 5", "\"reason\":\"FieldValueDuplicate\"") "}") "}",
         "{\"n\":5}", NULL, "n: Duplicate value: \"integer\""},
        {"{" OBJECT("\"spec\":{" OBJECT("\"a\":{\"type\":\"string\"}") "," RULE2("has(self.a)",
                                                                                 "\"fieldPath\":\".a\"") "}") "}",
         "{\"spec\":{}}", NULL, "spec.a: Invalid value: \"object\": failed rule: has(self.a)"},
        {"{" OBJECT(
             "\"m\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"," RULE("self > 0") "}}") "}",
         "{\"m\":{\"a.b\":0,\"c\":1}}", NULL, "m[a.b]: Invalid value: \"integer\": failed rule: self > 0"},
        {"{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"," RULE("self.size() > 1") "}}") "}",
         "{\"l\":[\"ab\",\"c\"]}", NULL, "l[1]: Invalid value: \"string\": failed rule: self.size() > 1"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"}") "," RULE("self.n < 5") "}", "{}", NULL,
         "<nil>: Invalid value: \"object\": no such key: n evaluating rule: self.n < 5"},
        {"{" OBJECT("\"n\":{\"x-kubernetes-int-or-string\":true}") "," RULE("self.n < 5") "}", "{\"n\":\"x\"}", NULL,
         "<nil>: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
         "function or macro signature for rule: self.n < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\",\"nullable\":true," RULE("self < 5") "}") "}", "{\"n\":null}", NULL,
         ""},
        /* transitions */
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self == oldSelf") "}") "}", "{\"n\":5}", NULL, ""},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self == oldSelf") "}") "}", "{\"n\":5}", "{}", ""},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self == oldSelf") "}") "}", "{\"n\":5}", "{\"n\":5}", ""},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self == oldSelf") "}") "}", "{\"n\":5}", "{\"n\":6}",
         "n: Invalid value: \"integer\": failed rule: self == oldSelf"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("oldSelf.hasValue() || self == 1",
                                                         "\"optionalOldSelf\":true") "}") "}",
         "{\"n\":5}", NULL, "n: Invalid value: \"integer\": failed rule: oldSelf.hasValue() || self == 1"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE2("oldSelf.hasValue() || self == 1",
                                                         "\"optionalOldSelf\":true") "}") "}",
         "{\"n\":5}", "{\"n\":1}", ""},
        {"{" OBJECT("\"l\":{\"type\":\"array\",\"x-kubernetes-list-type\":\"map\",\"x-kubernetes-list-map-keys\":"
                    "[\"k\"],\"items\":{" OBJECT("\"k\":{\"type\":\"string\"},\"v\":{\"type\":\"integer\"," RULE(
                        "self >= oldSelf") "}") "}}") "}",
         "{\"l\":[{\"k\":\"b\",\"v\":1},{\"k\":\"a\",\"v\":5},{\"k\":\"c\",\"v\":0}]}",
         "{\"l\":[{\"k\":\"a\",\"v\":4},{\"k\":\"b\",\"v\":2}]}",
         "l[0].v: Invalid value: \"integer\": failed rule: self >= oldSelf"},
        /* what did not change is let pass */
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self < 5") "},\"o\":{\"type\":\"integer\"}") "}",
         "{\"n\":9,\"o\":2}", "{\"n\":9,\"o\":1}",
         "warning: Invalid value: n: Invalid value: \"integer\": failed rule: self < 5"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"," RULE("self < 5") "}") "}", "{\"n\":8}", "{\"n\":9}",
         "n: Invalid value: \"integer\": failed rule: self < 5"},
        {"{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"," RULE("self < 5") "}},\"o\":{\"type\":"
                                                                                                  "\"integer\"}") "}",
         "{\"l\":[9],\"o\":1}", "{\"l\":[9]}",
         "warning: Invalid value: l[0]: Invalid value: \"integer\": failed rule: self < 5"},
        {"{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"," RULE("self < 5") "}}") "}",
         "{\"l\":[9,1]}", "{\"l\":[9]}", "l[0]: Invalid value: \"integer\": failed rule: self < 5"},
        /* the root */
        {"{" OBJECT("\"spec\":{\"type\":\"object\"}") "," RULE(
             "self.metadata.name.startsWith('a') && self.kind == 'K'") "}",
         "{\"apiVersion\":\"g/v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"b\",\"labels\":{}}}", NULL,
         "<nil>: Invalid value: \"object\": failed rule: self.metadata.name.startsWith('a') && self.kind == 'K'"},
        /* escapes, formats */
        {"{" OBJECT("\"a-b.c\":{\"type\":\"integer\"},\"in\":{\"type\":\"integer\"}") "," RULE(
             "self.a__dash__b__dot__c + self.__in__ == 3") "}",
         "{\"a-b.c\":1,\"in\":2}", NULL, ""},
        {"{" OBJECT("\"t\":{\"type\":\"string\",\"format\":\"date-time\"},\"d\":{\"type\":\"string\",\"format\":"
                    "\"duration\"},\"b\":{\"type\":\"string\",\"format\":\"byte\"}") "," RULE("self.t < "
                                                                                              "timestamp('2030-01-"
                                                                                              "01T00:00:00Z') && "
                                                                                              "self.d > duration('1h') "
                                                                                              "&& self.b == b'hi'") "}",
         "{\"t\":\"2024-01-01T00:00:00Z\",\"d\":\"2h\",\"b\":\"aGk=\"}", NULL, ""},
        {"{" OBJECT("\"s\":{\"type\":\"string\",\"allOf\":[{" RULE("self != 'x'") "}]}") "}", "{\"s\":\"x\"}", NULL,
         "s: Invalid value: \"string\": failed rule: self != 'x'"},
        {"{" OBJECT("\"r\":{\"type\":\"object\",\"x-kubernetes-embedded-resource\":true,"
                    "\"x-kubernetes-preserve-unknown-fields\":true," RULE("self.metadata.name != ''") "}") "}",
         "{\"r\":{\"apiVersion\":\"v1\",\"kind\":\"P\",\"metadata\":{\"name\":\"\"}}}", NULL,
         "r: Invalid value: \"object\": failed rule: self.metadata.name != ''"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_causes causes = {.arena = &a};
        const struct fed_rule_node *rules = fed_rules_compile(&a, parse(&a, rows[i].schema));

        CHECK(rows[i].schema, rules != NULL);
        fed_rules_check(rules, parse(&a, rows[i].now), parse(&a, rows[i].old), &causes, on_warning, &causes);
        CHECK_TEXT(rows[i].schema, fed_str(written(&causes)), rows[i].want);
        fed_arena_release(&a);
    }
}

#define AT(i) "s.x-kubernetes-validations[0]." i ": "

static void definitions(void **state)
{
    static const struct {
        const char *schema, *want;
    } rows[] = {
        {"{" OBJECT("\"n\":{\"type\":\"integer\"}") "," RULE("self.n < 5") "}", ""},
        {"{" OBJECT("\"n\":{\"type\":\"integer\"}") "," RULE("self.m < 5") "}",
         AT("rule") "Invalid value: apiextensions.ValidationRule{Rule:\"self.m < 5\", Message:\"\", "
                    "MessageExpression:\"\", Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", "
                    "OptionalOldSelf:(*bool)(nil)}: compilation failed: ERROR: <input>:1:5: undefined field 'm'\n | "
                    "self.m < 5\n | ....^"},
        {"{\"type\":\"object\"," RULE("1") "}",
         AT("rule") "Invalid value: apiextensions.ValidationRule{Rule:\"1\", Message:\"\", MessageExpression:\"\", "
                    "Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", OptionalOldSelf:(*bool)(nil)}"
                    ": cel expression must evaluate to a bool"},
        {"{\"type\":\"object\"," RULE(" ") "}", AT("rule") "Required value: rule is not specified"},
        {"{\"type\":\"object\"," RULE2("true", "\"message\":\" \"") "}",
         AT("message") "Invalid value: \" \": message must be non-empty if specified"},
        {"{\"type\":\"object\"," RULE2("true", "\"message\":\"a\\nb\"") "}",
         AT("message") "Invalid value: \"a\\nb\": message must not contain line breaks"},
        {"{\"type\":\"object\"," RULE("true ||\\n false") "}",
         AT("message") "Required value: message must be specified if rule contains line breaks"},
        {"{\"type\":\"object\"," RULE2("true", "\"reason\":\"Nope\"") "}",
         AT("reason") "Unsupported value: \"Nope\": supported values: \"FieldValueDuplicate\", "
                      "\"FieldValueForbidden\", \"FieldValueInvalid\", \"FieldValueRequired\""},
        {"{\"type\":\"object\"," RULE2("true", "\"fieldPath\":\".nope\"") "}",
         AT("fieldPath") "Invalid value: \".nope\": fieldPath must be a valid path: does not refer to a valid field"},
        {"{\"type\":\"object\"," RULE2("true", "\"optionalOldSelf\":true") "}",
         AT("optionalOldSelf") "Invalid value: true: may not be set if oldSelf is not used in rule"},
        {"{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\"," RULE("self == oldSelf") "}}") "}",
         "s.properties[l].items.x-kubernetes-validations[0].rule: Invalid value: \"self == oldSelf\": oldSelf cannot "
         "be "
         "used on the uncorrelatable portion of the schema within s.properties[l]"},
        {"{" OBJECT("\"x\":{\"x-kubernetes-preserve-unknown-fields\":true}") "," RULE("has(self.x)") "}",
         AT("rule") "Invalid value: apiextensions.ValidationRule{Rule:\"has(self.x)\", Message:\"\", "
                    "MessageExpression:\"\", Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", "
                    "OptionalOldSelf:(*bool)(nil)}: compilation failed: ERROR: <input>:1:4: undefined field 'x'\n | "
                    "has(self.x)\n | ...^"},
        {"{" OBJECT("\"x\":{\"x-kubernetes-preserve-unknown-fields\":true," RULE("true") "}") "}",
         "s.properties[x].x-kubernetes-validations: Invalid value: failed to retrieve type information for "
         "x-kubernetes-validations"},
        {"{\"type\":\"object\"," RULE("self.metadata.labels == {}") "}",
         AT("rule") "Invalid value: apiextensions.ValidationRule{Rule:\"self.metadata.labels == {}\", Message:\"\", "
                    "MessageExpression:\"\", Reason:(*apiextensions.FieldValueErrorReason)(nil), FieldPath:\"\", "
                    "OptionalOldSelf:(*bool)(nil)}: compilation failed: ERROR: <input>:1:14: undefined field 'labels'"
                    "\n | self.metadata.labels == {}\n | .............^"},
        {"{" OBJECT("\"n\":{\"type\":\"integer\",\"default\":9," RULE("self < 5") "}") "}",
         "s.properties[n].default: Invalid value: \"integer\": failed rule: self < 5"},
    };

    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_causes causes = {.arena = &a};

        fed_rules_check_schema(parse(&a, rows[i].schema), FED_STR("s"), &causes);
        CHECK_TEXT(rows[i].schema, fed_str(written(&causes)), rows[i].want);
        fed_arena_release(&a);
    }
}

/* All rules of an object share a budget; one rule alone cannot spend it. */
static void budgets(void **state)
{
    struct fed_arena a = {0};
    struct fed_causes causes = {.arena = &a};
    struct fed_json *schema =
        parse(&a, "{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}") "," RULE(
                      "self.l.all(x, self.l.all(y, x + y >= 0))") "}");
    struct fed_json *many =
        parse(&a, "{" OBJECT("\"l\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"m\":{"
                             "\"type\":\"array\",\"items\":{\"type\":\"integer\"," RULE(
                                 "[1,2,3,4,5,6,7,8,9,10].all(x, [1,2,3,4,5,6,7,8,9,10].all(y, "
                                 "[1,2,3,4,5,6,7,8,9,10].all(z, x + y + z + self >= 0)))") "}}") "}");
    struct fed_json *obj = fed_json_object(&a), *l = fed_json_set(obj, "l", fed_json_array(&a)), *m;
    struct fed_json *wide = fed_json_object(&a);

    (void)state;
    for (int i = 0; i < 2000; i++)
        fed_json_push(l, fed_json_new_int(&a, i));
    fed_rules_check(fed_rules_compile(&a, schema), obj, NULL, &causes, NULL, NULL);
    CHECK_TEXT("one", fed_str(written(&causes)),
               "<nil>: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further "
               "validation rules will be run due to call cost exceeds limit for rule: self.l.all(x, self.l.all(y, x + "
               "y >= 0))");
    m = fed_json_set(wide, "m", fed_json_array(&a));
    for (int i = 0; i < 2000; i++)
        fed_json_push(m, fed_json_new_int(&a, i));
    causes.n = 0;
    fed_rules_check(fed_rules_compile(&a, many), wide, NULL, &causes, NULL, NULL);
    assert_int_equal(causes.n, 1);
    assert_true(fed_str_find(causes.items[0].message,
                             FED_STR("validation failed due to running out of cost budget, no further validation rules "
                                     "will be run"),
                             0) > 0);
    fed_arena_release(&a);
}

static void malformed_objects_are_not_asked(void **state)
{
    struct fed_arena a = {0};
    struct fed_causes causes = {.arena = &a};
    const struct fed_rule_node *rules = fed_rules_compile(&a, parse(&a, "{\"type\":\"object\"," RULE("false") "}"));

    (void)state;
    fed_causes_add(&causes, FED_CAUSE_REQUIRED, FED_STR("spec"), (struct fed_str){NULL, 0}, "%s", "");
    fed_rules_check(rules, parse(&a, "{}"), NULL, &causes, NULL, NULL);
    CHECK_TEXT("malformed", fed_str(written(&causes)),
               "spec: Required value\n<nil>: Invalid value: \"null\": some validation rules were not checked because "
               "the object was invalid; correct the existing errors to complete validation");
    assert_null(fed_rules_compile(&a, parse(&a, "{\"type\":\"object\"}")));
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(objects), cmocka_unit_test(definitions),
                                       cmocka_unit_test(budgets), cmocka_unit_test(malformed_objects_are_not_asked)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
