/* SPDX-License-Identifier: Apache-2.0 */
/* Which webhooks a request concerns, what their answers say, and values encrypted at rest: tables of cases. */
#include "apiserver/admission_review.h"
#include "apiserver/encryption.h"
#include "support/test_env.h"
#include "tests/unit/trees.h"

#define RULE(ops, group, version, res, more)                                                                           \
    "rules: [{operations: [" ops "], apiGroups: [" group "], apiVersions: [" version "], resources: [" res "]" more "}]"

static void test_matching(void **state)
{
    static const struct {
        const char *hook;
        enum fed_admit_operation op;
        const char *resource, *sub, *ns;
        int want; /* of apps/v1, extensions/v1beta1 */
    } cases[] = {
        {RULE("CREATE", "apps", "v1", "deployments", ""), FED_ADMIT_CREATE, "deployments", "", "x", 0},
        {RULE("CREATE", "apps", "v1", "deployments", ""), FED_ADMIT_UPDATE, "deployments", "", "x", -1},
        {RULE("'*'", "'*'", "'*'", "'*'", ""), FED_ADMIT_DELETE, "deployments", "", "x", 0},
        {RULE("'*'", "'*'", "'*'", "'*'", ""), FED_ADMIT_UPDATE, "deployments", "scale", "x", -1},
        {RULE("'*'", "'*'", "'*'", "'*/*'", ""), FED_ADMIT_UPDATE, "deployments", "scale", "x", 0},
        {RULE("'*'", "'*'", "'*'", "deployments/*", ""), FED_ADMIT_UPDATE, "deployments", "status", "x", 0},
        {RULE("'*'", "'*'", "'*'", "'*/scale'", ""), FED_ADMIT_UPDATE, "deployments", "status", "x", -1},
        {RULE("'*'", "extensions", "v1beta1", "deployments", ""), FED_ADMIT_CREATE, "deployments", "", "x", 1},
        {RULE("'*'", "extensions", "v1beta1", "deployments", "") ", matchPolicy: Exact", FED_ADMIT_CREATE,
         "deployments", "", "x", -1},
        {RULE("'*'", "'*'", "'*'", "'*'", ", scope: Cluster"), FED_ADMIT_CREATE, "deployments", "", "x", -1},
        {RULE("'*'", "'*'", "'*'", "'*'", ", scope: Cluster"), FED_ADMIT_CREATE, "deployments", "", "", 0},
        {RULE("'*'", "'*'", "'*'", "'*'", ", scope: Namespaced"), FED_ADMIT_CREATE, "deployments", "", "", -1},
        {RULE("'*'", "'*'", "'*'", "'*'", "") ", namespaceSelector: {matchLabels: {team: a}}", FED_ADMIT_CREATE,
         "deployments", "", "x", 0},
        {RULE("'*'", "'*'", "'*'", "'*'", "") ", namespaceSelector: {matchLabels: {team: b}}", FED_ADMIT_CREATE,
         "deployments", "", "x", -1},
        {RULE("'*'", "'*'", "'*'", "'*'", "") ", objectSelector: {matchLabels: {app: old}}", FED_ADMIT_UPDATE,
         "deployments", "", "x", 0},
        {RULE("'*'", "'*'", "'*'", "'*'", "") ", objectSelector: {matchLabels: {app: none}}", FED_ADMIT_UPDATE,
         "deployments", "", "x", -1},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_hook_list l = {0};
        struct fed_str text =
            fed_arena_printf(&a,
                             "{metadata: {name: c}, webhooks: [{name: a.b.c, clientConfig: {url: 'https://h'}, "
                             "admissionReviewVersions: [v9, v1], %s}]}",
                             cases[i].hook);
        fed_hook_list_add(&l, yaml_of(&a, text.p));
        assert_int_equal(l.n, 1);
        assert_null(l.hooks[0].broken);
        struct fed_hook_resource resources[] = {
            {FED_STR("apps"), FED_STR("v1"), fed_str(cases[i].resource)},
            {FED_STR("extensions"), FED_STR("v1beta1"), fed_str(cases[i].resource)}};
        struct fed_hook_question q = {.operation = cases[i].op,
                                      .resources = resources,
                                      .n_resources = 2,
                                      .subresource = fed_str(cases[i].sub),
                                      .ns = fed_str(cases[i].ns),
                                      .ns_labels = yaml_of(&a, "{team: a}"),
                                      .labels = yaml_of(&a, "{app: new}"),
                                      .old_labels = yaml_of(&a, "{app: old}"),
                                      .has_object = true,
                                      .has_old = true};
        int got = fed_hook_match(&l.hooks[0], &q);
        if (got != cases[i].want)
            fail_msg("case %zu: %d", i, got);
        fed_hook_list_release(&l);
        fed_arena_release(&a);
    }
}

static void test_answers(void **state)
{
#define HEAD "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":\"u\","
    static const struct {
        const char *body;
        bool mutating;
        const char *err; /* NULL: usable */
    } cases[] = {
        {HEAD "\"allowed\":true}}", true, NULL},
        {HEAD "\"allowed\":true,\"patch\":\"W10=\",\"patchType\":\"JSONPatch\"}}", true, NULL},
        {HEAD "\"allowed\":true,\"patch\":\"W10=\"}}", true, "but not response.patchType"},
        {HEAD "\"allowed\":true,\"patchType\":\"JSONPatch\"}}", true, "but not response.patch"},
        {HEAD "\"allowed\":true,\"patch\":\"W10=\",\"patchType\":\"Merge\"}}", true, "invalid response.patchType"},
        {HEAD "\"allowed\":true,\"patch\":\"e30=\",\"patchType\":\"JSONPatch\"}}", true, "not a JSON patch"},
        {HEAD "\"allowed\":true,\"patch\":\"!\",\"patchType\":\"JSONPatch\"}}", true, "not base64"},
        {HEAD "\"allowed\":true,\"patch\":\"W10=\"}}", false, "may not return response.patch"},
        {"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}", true, "response was absent"},
        {"{}", true, "expected webhook response of"},
        {"[", true, "json parse error"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_review_answer answer;
        struct fed_err err = {0};
        int rc = fed_review_read(&a, fed_str(cases[i].body), "admission.k8s.io/v1", FED_STR("u"), cases[i].mutating,
                                 &answer, &err);
        if (cases[i].err ? rc == 0 || !strstr(err.text, cases[i].err) : rc != 0 || !answer.allowed)
            fail_msg("case %zu: %d %s", i, rc, err.text);
        fed_arena_release(&a);
    }
}

#define KEY32 "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
#define CONF(res, prov)                                                                                                \
    "{kind: EncryptionConfiguration, apiVersion: apiserver.config.k8s.io/v1, resources: [{resources: [" res            \
    "], providers: [" prov "]}]}"
#define GCM(name) "{aesgcm: {keys: [{name: " name ", secret: " KEY32 "}]}}"

static void test_encryption(void **state)
{
    struct test_env t;
    struct fed_encryption *e = NULL;
    struct fed_buf v = {0}, back = {0};
    struct fed_kind secrets = {.plural = FED_STR("secrets")}, maps = {.plural = FED_STR("configmaps")};
    struct fed_str path = FED_STR("/registry/secrets/a/b"), plain = FED_STR("json v1 -\n{\"a\":1}");
    struct fed_err err = {0};
    (void)state;
    test_env_init(&t, 3);
    assert_int_equal(fed_encryption_parse(FED_STR(CONF("secrets", GCM("k1") ", {identity: {}}")), &e, &err), 0);
    assert_int_equal(fed_encryption_seal(e, &t.env, &maps, path, plain, &v, NULL), 0);
    assert_true(fed_str_eq(fed_buf_str(&v), plain));
    fed_buf_reset(&v);
    assert_int_equal(fed_encryption_seal(e, &t.env, &secrets, path, plain, &v, NULL), 0);
    struct fed_str head = FED_STR("json v1 k1");
    assert_true(fed_str_starts(fed_buf_str(&v), head));
    struct fed_str body = fed_str_from(fed_buf_str(&v), head.n + 1);
    assert_int_equal(fed_encryption_open(e, FED_STR("k1"), path, head, body, &back, NULL), 0);
    assert_true(fed_str_is(fed_buf_str(&back), "{\"a\":1}"));
    /* Another place, another header, another key, each byte changed, each length: nothing opens. */
    assert_int_equal(fed_encryption_open(e, FED_STR("k1"), FED_STR("/other"), head, body, &back, NULL), FED_E_CORRUPT);
    assert_int_equal(fed_encryption_open(e, FED_STR("k1"), path, FED_STR("json v2 k1"), body, &back, NULL),
                     FED_E_CORRUPT);
    assert_int_equal(fed_encryption_open(e, FED_STR("k2"), path, head, body, &back, NULL), FED_E_CORRUPT);
    for (size_t i = 0; i < body.n; i++) {
        ((char *)body.p)[i] ^= 1;
        assert_int_equal(fed_encryption_open(e, FED_STR("k1"), path, head, body, &back, NULL), FED_E_CORRUPT);
        ((char *)body.p)[i] ^= 1;
        assert_int_equal(fed_encryption_open(e, FED_STR("k1"), path, head, fed_str_head(body, i), &back, NULL),
                         FED_E_CORRUPT);
    }
    fed_encryption_free(e);
    fed_buf_release(&v);
    fed_buf_release(&back);
    test_env_release(&t);
}

static void test_resources(void **state)
{
    static const struct {
        const char *pattern, *group, *plural;
        bool want;
    } cases[] = {{"secrets", "", "secrets", true},
                 {"secrets", "x", "secrets", false},
                 {"widgets.x.io", "x.io", "widgets", true},
                 {"'*.x.io'", "x.io", "things", true},
                 {"'*.'", "", "pods", true},
                 {"'*.'", "apps", "deployments", false},
                 {"'*.*'", "apps", "deployments", true},
                 {"'*.*'", "", "pods", true}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_encryption *e = NULL;
        struct fed_kind k = {.group = fed_str(cases[i].group), .plural = fed_str(cases[i].plural)};
        struct fed_str text = fed_arena_printf(&a, CONF("%s", GCM("k")), cases[i].pattern);
        assert_int_equal(fed_encryption_parse(text, &e, NULL), 0);
        if (fed_str_is(fed_encryption_writer(e, &k), "k") != cases[i].want)
            fail_msg("case %zu", i);
        fed_encryption_free(e);
        fed_arena_release(&a);
    }
}

static void test_bad_configurations(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {{CONF("secrets", "{kms: {}}"), "not supported"},
                 {CONF("secrets", "{aescbc: {keys: []}}"), "not supported"},
                 {CONF("secrets", "{aesgcm: {}}"), "at least one"},
                 {CONF("secrets", "{aesgcm: {keys: [{name: 'a b', secret: " KEY32 "}]}}"), "name"},
                 {CONF("secrets", "{aesgcm: {keys: [{name: '-', secret: " KEY32 "}]}}"), "name"},
                 {CONF("secrets", "{aesgcm: {keys: [{name: a, secret: x}]}}"), "secret"},
                 {CONF("secrets", "{identity: {}, aesgcm: {}}"), "exactly one provider"},
                 {CONF("secrets", GCM("a") ", {aesgcm: {keys: [{name: a, secret: MDEyMzQ1Njc4OTAxMjM0NQ==}]}}"),
                  "another key has this name"},
                 {"{}", "is expected"},
                 {"[", ""}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_encryption *e = NULL;
        struct fed_err err = {0};
        if (fed_encryption_parse(fed_str(cases[i].text), &e, &err) == 0 || e || !strstr(err.text, cases[i].words))
            fail_msg("case %zu: %s", i, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matching), cmocka_unit_test(test_answers),
                                       cmocka_unit_test(test_encryption), cmocka_unit_test(test_resources),
                                       cmocka_unit_test(test_bad_configurations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
