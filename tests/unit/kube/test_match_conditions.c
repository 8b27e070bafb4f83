/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions of webhooks: what they see, when they hold, and lists that are refused: tables of cases. */
#include "kube/match_conditions.h"
#include "tests/unit/trees.h"

#define TEN "[1,2,3,4,5,6,7,8,9,10]"
/* Ten to the fifth turns, or ten times as many. */
#define LONG(more)                                                                                                     \
    "\"" TEN ".all(x, " TEN ".all(y, " TEN ".all(z, " TEN ".all(u, " TEN ".all(v, '" more "' == '1' || " TEN           \
    ".all(w, w > 0))))))\""
#define SLOW(name) "{name: " name ", expression: " LONG("1") "}, "

static void test_hold(void **state)
{
    static const struct {
        const char *conditions;
        int want;
        const char *why; /* part of it */
    } cases[] = {
        {"[]", 1, NULL},
        {"[{name: a, expression: 'true'}]", 1, NULL},
        {"[{name: a, expression: 'true'}, {name: b, expression: 'false'}]", 0, NULL},
        {"[{name: a, expression: \"object.metadata.name == 'x' && oldObject == null\"}]", 1, NULL},
        {"[{name: a, expression: \"object.metadata.labels.tier == 'web'\"}]", 1, NULL},
        {"[{name: a, expression: \"request.kind.kind == 'Pod' && request.resource.resource == 'pods'\"}]", 1, NULL},
        {"[{name: a, expression: \"request.userInfo.groups.exists(g, g == 'dev')\"}]", 1, NULL},
        {"[{name: a, expression: \"request.userInfo.extra['k'] == ['v']\"}]", 1, NULL},
        {"[{name: a, expression: \"request.namespace == 'ns' && request.operation == 'CREATE'\"}]", 1, NULL},
        {"[{name: a, expression: \"has(request.subResource) || request.dryRun\"}]", 0, NULL},
        {"[{name: a, expression: \"object.spec.none == 1\"}]", FED_E_INVALID,
         "expression 'object.spec.none == 1' resulted in error: no such key: spec"},
        {"[{name: a, expression: \"object.spec.none == 1\"}, {name: b, expression: 'false'}]", 0, NULL},
        {"[{name: a, expression: \"object.a == 1\"}, {name: b, expression: \"object.b == 1\"}]", FED_E_INVALID,
         "[expression 'object.a == 1' resulted in error: no such key: a, expression 'object.b == 1' resulted in error: "
         "no such key: b]"},
        {"[{name: a, expression: 'object +'}]", FED_E_INVALID, "compilation failed: ERROR: <input>"},
        {"[{name: a, expression: " LONG("x") "}]", FED_E_INVALID, "cost limit exceeded"},
        {"[" SLOW("a") SLOW("b") SLOW("c") SLOW("d") SLOW("e") SLOW("f") SLOW("g") SLOW("h") "]", FED_E_INVALID,
         "running out of cost budget"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_match_conditions c;
        struct fed_str why = {NULL, 0};
        fed_match_conditions_compile(&a, yaml_of(&a, cases[i].conditions), &c);
        int got = fed_match_conditions_hold(
            &c, &a, yaml_of(&a, "{metadata: {name: x, labels: {tier: web}}}"), NULL,
            yaml_of(&a,
                    "{kind: {group: '', version: v1, kind: Pod}, resource: {group: '', version: v1, resource: pods}, "
                    "name: x, namespace: ns, operation: CREATE, dryRun: false, options: {kind: CreateOptions}, "
                    "userInfo: {username: u, groups: [dev], extra: {k: [v]}}}"),
            &why);
        if (got != cases[i].want || (cases[i].why && fed_str_find(why, fed_str(cases[i].why), 0) < 0))
            fail_msg("%s: %d %.*s", cases[i].conditions, got, FED_STR_ARG(why));
        fed_arena_release(&a);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *conditions, *want; /* of the first cause; NULL: none */
    } cases[] = {
        {"[{name: a.example.com/b, expression: 'true'}]", NULL},
        {"[{name: '', expression: 'true'}]", "at[0].name: Required value"},
        {"[{name: a, expression: ''}]", "at[0].expression: Required value"},
        {"[{name: 'a b', expression: 'true'}]", "at[0].name: Invalid value: \"a b\": name part must consist of"},
        {"[{name: a, expression: 'true'}, {name: a, expression: 'true'}]", "at[1].name: Duplicate value: \"a\""},
        {"[{name: a, expression: '1'}]", "at[0].expression: Invalid value: \"1\": must evaluate to bool"},
        {"[{name: a, expression: 'object.x'}]", "at[0].expression: Invalid value: \"object.x\": must evaluate to bool"},
        {"[{name: a, expression: 'request.object == 1'}]",
         "at[0].expression: Invalid value: \"request.object == 1\": compilation failed: ERROR: <input>:1:8: undefined "
         "field 'object'"},
        {"[{name: a, expression: 'authorizer == 1'}]", "undeclared reference to 'authorizer'"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_causes c = {.arena = &a};
        struct fed_str got = {NULL, 0};
        fed_match_conditions_check(yaml_of(&a, cases[i].conditions), FED_STR("at"), &c);
        if (c.n)
            got = fed_arena_printf(&a, "%.*s: %.*s", FED_STR_ARG(c.items[0].field), FED_STR_ARG(c.items[0].message));
        if (!cases[i].want ? c.n > 0 : fed_str_find(got, fed_str(cases[i].want), 0) < 0)
            fail_msg("%s: %.*s", cases[i].conditions, FED_STR_ARG(got));
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hold), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
