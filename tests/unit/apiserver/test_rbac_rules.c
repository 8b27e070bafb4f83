/* SPDX-License-Identifier: Apache-2.0 */
/* Which rule allows which request, which rules are missing for a grant, and what an audit policy says. */
#include "../unit.h"

#include "apiserver/audit.h"
#include "apiserver/rbac.h"

/* "a,b" as texts; "" none; a lone "-" stands for the core group. */
static struct fed_strs words(struct fed_arena *a, const char *text)
{
    struct fed_strs s = {.v = FED_ARENA_ARRAY(a, struct fed_str, 16)};
    struct fed_str rest = fed_str(text), one;
    while (rest.n && fed_str_cut(&rest, ',', &one))
        s.v[s.n++] = fed_str_is(one, "-") ? FED_STR("") : one;
    return s;
}

/* "VERBS|GROUPS|RESOURCES|NAMES|URLS" */
static struct fed_rule rule(struct fed_arena *a, const char *text)
{
    struct fed_rule r = {0};
    struct fed_strs *to[] = {&r.verbs, &r.groups, &r.resources, &r.names, &r.urls};
    struct fed_str rest = fed_str(text), one;
    for (size_t i = 0; i < 5 && fed_str_cut(&rest, '|', &one); i++)
        *to[i] = words(a, fed_arena_dupz(a, one));
    return r;
}

/* "VERB GROUP RESOURCE[/SUB] NAME" or "VERB /path"; - for none. */
static struct fed_api_request request(struct fed_arena *a, const char *text)
{
    struct fed_api_request q = {.arena = a};
    struct fed_str rest = fed_str(text), f[4] = {0};
    for (size_t i = 0; i < 4 && fed_str_cut(&rest, ' ', &f[i]); i++)
        if (fed_str_is(f[i], "-"))
            f[i] = FED_STR("");
    q.verb = fed_arena_dupz(a, f[0]);
    if (f[1].n && f[1].p[0] == '/') {
        q.path = f[1];
        return q;
    }
    q.group = f[1];
    q.name = f[3];
    q.subresource = f[2];
    (void)fed_str_cut(&q.subresource, '/', &q.resource);
    return q;
}

static void matching(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *request;
        bool yes;
    } rows[] = {
        {"get|-|pods", "get - pods a", true},
        {"get|-|pods", "list - pods -", false},
        {"*|-|pods", "list - pods -", true},
        {"get|apps|pods", "get - pods a", false},
        {"get|*|pods", "get apps pods a", true},
        {"get|-|pods", "get - pods/log a", false},
        {"get|-|pods/log", "get - pods/log a", true},
        {"get|-|pods/log", "get - pods a", false},
        {"get|-|*", "get - pods/log a", true},
        {"update|*|*/scale", "update apps deployments/scale a", true},
        {"update|*|*/scale", "update apps deployments a", false},
        {"update|*|deployments/*", "update apps deployments/scale a", false}, /* as in Kubernetes */
        {"get|-|pods|a,b", "get - pods b", true},
        {"get|-|pods|a,b", "get - pods c", false},
        {"list|-|pods|a", "list - pods -", false},
        {"get|-|pods|*", "get - pods c", false}, /* a name, not a pattern */
        {"get||||/healthz", "get /healthz", true},
        {"get||||/healthz", "get /healthz/x", false},
        {"get||||/healthz/*", "get /healthz/x", true},
        {"get||||*", "get /anything", true},
        {"post||||*", "get /anything", false},
        {"*|*|*", "get /anything", false},
        {"*||||*", "get - pods a", false},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_rule r = rule(&a, rows[i].rule);
        struct fed_api_request q = request(&a, rows[i].request);
        if (fed_rule_allows(&r, &q) != rows[i].yes)
            fail_msg("%s on %s: wanted %d", rows[i].rule, rows[i].request, rows[i].yes);
        fed_arena_release(&a);
    }
}

static void covering(void **state)
{
    (void)state;
    static const struct {
        const char *have[2], *want;
        const char *missing; /* verbs of the first missing rule; NULL: nothing */
        size_t n;
    } rows[] = {
        {{"get|-|pods"}, "get|-|pods", NULL, 0},
        {{"get|-|pods"}, "get,list|-|pods", "list", 1},
        {{"get|-|pods", "list|-|pods"}, "get,list|-|pods", NULL, 0},
        {{"*|*|*"}, "get,list|-,apps|pods,deployments", NULL, 0},
        {{"get|-|pods"}, "*|-|pods", "*", 1},
        {{"get|-|pods|a"}, "get|-|pods", "get", 1},
        {{"get|-|pods"}, "get|-|pods|a", NULL, 0},
        {{"get|-|pods|a,b"}, "get|-|pods|b", NULL, 0},
        {{"get|-|pods|a"}, "get,list|-|pods|a,b", "list", 2},
        {{"update|*|*/scale"}, "update|apps|deployments/scale", NULL, 0},
        {{"get|-|pods"}, "get|-|pods/log", "get", 1},
        {{"get||||/logs/*"}, "get||||/logs/a", NULL, 0},
        {{"get||||/logs/a"}, "get||||/logs/*", "get", 1},
        {{NULL}, "get,list|-|pods", "get,list", 1},
        {{"*|*|*"}, "get||||/x", "get", 1},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_rule have[2], want = rule(&a, rows[i].want);
        size_t n_have = 0, n = 0;
        for (size_t j = 0; j < 2 && rows[i].have[j]; j++)
            have[n_have++] = rule(&a, rows[i].have[j]);
        const struct fed_rule *missing = fed_rules_missing(&a, have, n_have, &want, 1, &n);
        if (n != rows[i].n)
            fail_msg("%s for %s: %zu missing", rows[i].have[0], rows[i].want, n);
        struct fed_strs verbs = words(&a, rows[i].missing ? rows[i].missing : "");
        for (size_t j = 0; n && j < verbs.n; j++)
            if (!fed_strs_has_str(&missing[0].verbs, verbs.v[j]))
                fail_msg("%s: verb missing", rows[i].want);
        fed_arena_release(&a);
    }
}

/* A role may not make the server work for minutes. */
static void huge_roles(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_strs many = {.v = FED_ARENA_ARRAY(&a, struct fed_str, 1000), .n = 1000};
    for (size_t i = 0; i < many.n; i++)
        many.v[i] = fed_arena_printf(&a, "x%zu", i);
    struct fed_rule have = rule(&a, "x1|*|*");
    struct fed_rule want = {.verbs = many, .groups = many, .resources = many, .names = many};
    size_t n = 0;
    (void)fed_rules_missing(&a, &have, 1, &want, 1, &n);
    assert_true(n > 0 && n <= 10001);
    fed_arena_release(&a);
}

static const char policy[] = "apiVersion: audit.k8s.io/v1\n"
                             "kind: Policy\n"
                             "omitStages: [RequestReceived]\n"
                             "rules:\n"
                             "- {level: None, users: [quiet]}\n"
                             "- {level: Metadata, resources: [{group: \"\", resources: [secrets, pods/exec]}]}\n"
                             "- {level: Request, namespaces: [prod], verbs: [create], omitStages: [ResponseStarted]}\n"
                             "- {level: RequestResponse, userGroups: [ops], resources: [{group: apps}]}\n"
                             "- level: Request\n"
                             "  resources: [{group: \"\", resources: [\"pods/*\", \"*/status\"], resourceNames: [a]}]\n"
                             "- {level: Metadata, nonResourceURLs: [\"/metrics*\", /version]}\n";

static void audit_levels(void **state)
{
    (void)state;
    static const struct {
        const char *request, *user, *group, *ns;
        enum fed_audit_level level;
    } rows[] = {
        {"get - secrets x", "quiet", "", "default", FED_AUDIT_NONE},
        {"get - secrets x", "ann", "", "default", FED_AUDIT_METADATA},
        {"get apps secrets x", "ann", "", "default", FED_AUDIT_NONE},
        {"create - pods/exec x", "ann", "", "default", FED_AUDIT_METADATA},
        {"create - pods -", "ann", "", "prod", FED_AUDIT_REQUEST},
        {"update - pods x", "ann", "", "prod", FED_AUDIT_NONE},
        {"get apps deployments x", "ann", "ops", "default", FED_AUDIT_RESPONSE},
        {"get apps deployments x", "ann", "dev", "default", FED_AUDIT_NONE},
        {"get - pods/log a", "ann", "", "default", FED_AUDIT_REQUEST},
        {"get - pods/log b", "ann", "", "default", FED_AUDIT_NONE},
        {"get - nodes/status a", "ann", "", "", FED_AUDIT_REQUEST},
        {"get /metrics/slis", "ann", "", "", FED_AUDIT_METADATA},
        {"get /version", "ann", "", "", FED_AUDIT_METADATA},
        {"get /api", "ann", "", "", FED_AUDIT_NONE},
    };
    struct fed_audit_policy *p = NULL;
    struct fed_err err = {0};
    if (fed_audit_policy_parse(FED_STR(policy), &p, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct fed_api_request q = request(&a, rows[i].request);
        struct fed_str group = fed_str(rows[i].group);
        q.ns = fed_str(rows[i].ns);
        q.who = (struct fed_identity){.user = fed_str(rows[i].user), .groups = &group, .n_groups = 1};
        struct fed_audit_verdict v = fed_audit_judge(p, &q);
        if (v.level != rows[i].level)
            fail_msg("%s by %s: level %d", rows[i].request, rows[i].user, v.level);
        if (v.level && !(v.omit & FED_AUDIT_RECEIVED))
            fail_msg("%s: stage", rows[i].request);
        fed_arena_release(&a);
    }
    fed_audit_policy_free(p);
}

static void bad_policies(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", ""},
        {"a: [", "audit policy"},
        {"kind: Policy\nrules: []\n", "not a Policy of audit.k8s.io/v1"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\n", "no rules"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n", "level must be"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, user: [a]}]\n",
         "rules[0].user: unknown field"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, users: a}]\n", "must be a list of texts"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, omitStages: [Later]}]\n",
         "ResponseComplete"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, namespaces: [a], nonResourceURLs: [/a]}]\n",
         "cannot be about resources"},
        {"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None, resources: [{resourceNames: [a]}]}]\n",
         "resourceNames need resources"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++) {
        struct fed_audit_policy *p = NULL;
        struct fed_err err = {0};
        if (fed_audit_policy_parse(fed_str(bad[i][0]), &p, &err) == 0 || p || !strstr(err.text, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(matching), cmocka_unit_test(covering),
                                       cmocka_unit_test(huge_roles), cmocka_unit_test(audit_levels),
                                       cmocka_unit_test(bad_policies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
