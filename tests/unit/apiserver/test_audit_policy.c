/* SPDX-License-Identifier: Apache-2.0 */
/* The audit policy: which rule decides, and what is refused with its place. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "apiserver/audit.h"

#define HEAD "apiVersion: audit.k8s.io/v1\nkind: Policy\n"

static const char policy_text[] =
    HEAD "omitStages: [RequestReceived]\nomitManagedFields: true\nrules:\n"
         "- {level: None, users: [\"system:a\", \"system:b\"]}\n"
         "- {level: None, userGroups: [robots], verbs: [get, list, watch]}\n"
         "- {level: None, nonResourceURLs: [\"/healthz*\", /version]}\n"
         "- {level: Metadata, omitManagedFields: false, resources: [{group: \"\", resources: [secrets, pods/exec]}]}\n"
         "- {level: Request, namespaces: [kube-system], resources: [{group: apps, resources: [\"*\"]}]}\n"
         "- {level: Request, omitStages: [ResponseStarted], resources: [{group: \"\", resources: [configmaps], "
         "resourceNames: [cfg]}]}\n"
         "- {level: RequestResponse, resources: [{group: \"\", resources: [\"*/scale\", \"pods/*\"]}]}\n"
         "- {level: Metadata, namespaces: [\"\"], resources: [{group: batch}]}\n";

static const struct {
    const char *name, *verb, *group, *resource, *sub, *ns, *object, *user, *in, *path;
    enum fed_audit_level level;
    unsigned omit;
    bool omit_fields;
} rows[] = {
    {"by user", "create", "", "pods", "", "d", "", "system:b", "x", "", FED_AUDIT_NONE, 1, true},
    {"by group and verb", "list", "", "secrets", "", "d", "", "r", "robots", "", FED_AUDIT_NONE, 1, true},
    {"of the group, another verb", "create", "", "secrets", "", "d", "", "r", "robots", "", FED_AUDIT_METADATA, 1,
     false},
    {"a path by its beginning", "get", "", "", "", "", "", "u", "x", "/healthz/ping", FED_AUDIT_NONE, 1, true},
    {"a path that no rule has", "get", "", "", "", "", "", "u", "x", "/versions", FED_AUDIT_NONE, 0, false},
    {"a subresource", "create", "", "pods", "exec", "d", "p", "u", "x", "", FED_AUDIT_METADATA, 1, false},
    {"and, as in Kubernetes, pods", "create", "", "pods", "", "d", "p", "u", "x", "", FED_AUDIT_RESPONSE, 1, true},
    {"not the resource of it", "create", "", "things", "", "d", "p", "u", "x", "", FED_AUDIT_NONE, 0, false},
    {"any subresource of pods", "create", "", "pods", "attach", "d", "p", "u", "x", "", FED_AUDIT_RESPONSE, 1, true},
    {"scale of any", "update", "", "things", "scale", "d", "p", "u", "x", "", FED_AUDIT_RESPONSE, 1, true},
    {"a star has subresources too", "patch", "apps", "deployments", "status", "kube-system", "d", "u", "x", "",
     FED_AUDIT_REQUEST, 1, true},
    {"another namespace", "patch", "apps", "deployments", "", "d", "d", "u", "x", "", FED_AUDIT_NONE, 0, false},
    {"by name, stages added", "get", "", "configmaps", "", "d", "cfg", "u", "x", "", FED_AUDIT_REQUEST, 3, true},
    {"another name", "get", "", "configmaps", "", "d", "cfg2", "u", "x", "", FED_AUDIT_NONE, 0, false},
    {"a group, in no namespace", "list", "batch", "jobs", "", "", "", "u", "x", "", FED_AUDIT_METADATA, 1, true},
    {"a group, in one", "list", "batch", "jobs", "", "d", "", "u", "x", "", FED_AUDIT_NONE, 0, false},
};

static void the_first_that_matches(void **state)
{
    (void)state;
    struct fed_audit_policy *p = NULL;
    struct fed_err err = {0};
    if (fed_audit_policy_parse(FED_STR(policy_text), &p, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_str in = fed_str(rows[i].in);
        struct fed_api_request q = {.verb = rows[i].verb,
                                    .group = fed_str(rows[i].group),
                                    .resource = fed_str(rows[i].resource),
                                    .subresource = fed_str(rows[i].sub),
                                    .ns = fed_str(rows[i].ns),
                                    .name = fed_str(rows[i].object),
                                    .path = fed_str(rows[i].path),
                                    .who = {.user = fed_str(rows[i].user), .groups = &in, .n_groups = 1}};
        struct fed_audit_verdict v = fed_audit_judge(p, &q);
        if (v.level != rows[i].level || v.omit != rows[i].omit || v.omit_managed_fields != rows[i].omit_fields)
            fail_msg("%s: level %d omit %u fields %d", rows[i].name, v.level, v.omit, v.omit_managed_fields);
    }
    fed_audit_policy_free(p);
}

static const struct {
    const char *text, *words;
} bad[] = {
    {"kind: Policy\nrules: [{level: None}]\n", "not a Policy of audit.k8s.io/v1"},
    {HEAD "rules: []\n", "it has no rules"},
    {HEAD "rules: [{level: Low}]\n", "rules[0]: level must be None, Metadata, Request or RequestResponse"},
    {HEAD "rules: [{level: None}, {level: None, user: [a]}]\n", "rules[1].user: unknown field"},
    {HEAD "rules: [{level: None, users: a}]\n", "rules[0].users: must be a list of texts"},
    {HEAD "rules: [{level: None, omitStages: [Late]}]\n", "rules[0].omitStages[0]: must be RequestReceived"},
    {HEAD "rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]\n", "cannot be about resources and about"},
    {HEAD "rules: [{level: None, resources: [{group: \"\", resourceNames: [a]}]}]\n", "resourceNames need resources"},
    {HEAD "rules: [{level: None, resources: [{group: apps/v1}]}]\n", "rules[0].resources[0].group: must be the name"},
    {HEAD "rules: [{level: None, nonResourceURLs: [\"*\", healthz]}]\n",
     "rules[0].nonResourceURLs[1]: must begin with"},
    {HEAD "rules: [{level: None, nonResourceURLs: [/a*/b]}]\n", "nonResourceURLs[0]: a * must be its end"},
    {"rules: [", "audit policy"},
};

static void bad_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++) {
        struct fed_audit_policy *p = NULL;
        struct fed_err err = {0};
        assert_int_not_equal(fed_audit_policy_parse(fed_str(bad[i].text), &p, &err), 0);
        assert_null(p);
        if (!strstr(err.text, bad[i].words))
            fail_msg("%s\n%s", bad[i].text, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_first_that_matches), cmocka_unit_test(bad_policies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
