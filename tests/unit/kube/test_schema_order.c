/* SPDX-License-Identifier: Apache-2.0 */
/* Faults come in the order of the members in the documents, whatever found them first. */
#include "kube/schema_priv.h"
#include "tests/unit/kube/core_kinds.h"

static const struct fed_schema *schema_of(const char *api_version, const char *kind)
{
    return fed_kinds_by_kind(kinds, fed_str(api_version), fed_str(kind))->schema;
}

/* Both are paths with blanks between them. */
static void assert_order(const struct fed_schema *s, const char *found, const char *told)
{
    struct fed_causes c = {.arena = &arena};
    struct fed_str rest = fed_str(found), path;
    struct fed_buf b = {0};
    while (fed_str_cut(&rest, ' ', &path))
        fed_causes_add(&c, FED_CAUSE_REQUIRED, path, FED_STR(""), " ");
    fed_causes_order(s, &c);
    for (size_t i = 0; i < c.n; i++)
        fed_buf_addf(&b, "%s%.*s", i ? " " : "", FED_STR_ARG(c.items[i].field));
    if (!fed_str_is(fed_buf_str(&b), told))
        fail_msg("told: %.*s\nnot:  %s", FED_STR_ARG(fed_buf_str(&b)), told);
    fed_buf_release(&b);
}

static void members_and_items(void **state)
{
    const struct fed_schema *pod = schema_of("v1", "Pod");
    (void)state;
    assert_order(
        pod, "spec.dnsPolicy spec.containers[1].name spec.containers[0].image spec.containers[0].name metadata.name",
        "metadata.name spec.containers[0].name spec.containers[0].image spec.containers[1].name spec.dnsPolicy");
    assert_order(pod, "spec.hostAliases.ip spec.containers[10].image spec.containers[9].image",
                 "spec.containers[9].image spec.containers[10].image spec.hostAliases.ip"); /* numbers, not text */
    assert_order(schema_of("rbac.authorization.k8s.io/v1", "RoleBinding"), "subjects[0].kind roleRef.kind",
                 "roleRef.kind subjects[0].kind");
}

static void what_cannot_be_told_apart_stays(void **state)
{
    const struct fed_schema *pod = schema_of("v1", "Pod");
    (void)state;
    assert_order(pod, "spec.containers[0].name spec.containers[0] spec.containers[0].image",
                 "spec.containers[0].name spec.containers[0] spec.containers[0].image");
    assert_order(pod, "spec.nobody spec.containers metadata[ metadata.labels[b] metadata.labels[a]",
                 "metadata[ metadata.labels[b] metadata.labels[a] spec.nobody spec.containers");
    assert_order(pod, "a", "a");
}

/* A template's labels are told without "metadata", some members of Services in upper case. */
static void names_of_paths(void **state)
{
    (void)state;
    assert_order(schema_of("apps/v1", "Deployment"), "spec.strategy spec.template.spec.containers spec.template.labels",
                 "spec.template.labels spec.template.spec.containers spec.strategy");
    assert_order(schema_of("v1", "Service"), "spec.healthCheckNodePort spec.LoadBalancerSourceRanges spec.ports",
                 "spec.ports spec.LoadBalancerSourceRanges spec.healthCheckNodePort");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_items),
        cmocka_unit_test(what_cannot_be_told_apart_stays),
        cmocka_unit_test(names_of_paths),
    };
    return cmocka_run_group_tests(tests, core_kinds_setup, core_kinds_teardown);
}
