/* SPDX-License-Identifier: Apache-2.0 */
/* The set of kinds: lookup, discovery order, what loading costs. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/schema.h"

static void test_lookup(void **state)
{
    struct fed_kinds *k = fed_kinds_new();
    struct fed_err err = {0};
    const struct fed_kind_version *v;

    (void)state;
    if (fed_kinds_add_core(k, NULL, &err))
        fail_msg("%s", err.text);
    v = fed_kinds_by_resource(k, FED_STR("extensions"), FED_STR("v1beta1"), FED_STR("deployments"));
    assert_non_null(v);
    assert_true(fed_str_is(v->api_version, "extensions/v1beta1"));
    assert_true(fed_str_is(v->kind->group, "apps"));
    assert_true(v->warning.n > 0);
    v = fed_kinds_by_resource(k, FED_STR("apps"), FED_STR(""), FED_STR("deployments"));
    assert_true(fed_str_is(v->version, "v1"));
    assert_true(v == fed_kind_storage(v->kind));
    assert_true(v->kind->has_scale && v->kind->has_status && v->kind->has_generation);
    assert_true(fed_str_is(v->kind->store_prefix, "/registry/apps/deployments/"));
    v = fed_kinds_by_kind(k, FED_STR("v1"), FED_STR("Pod"));
    assert_true(fed_str_is(v->kind->plural, "pods"));
    assert_true(v->kind->residence == FED_RESIDE_MEMBERS);
    v = fed_kinds_by_kind(k, FED_STR("events.k8s.io/v1"), FED_STR("Event"));
    assert_true(fed_str_is(v->kind->plural, "events") && v->kind->group.n == 0);
    assert_null(fed_kinds_by_kind(k, FED_STR("v1"), FED_STR("Nothing")));
    fed_kinds_free(k);
}

static void test_order(void **state)
{
    struct fed_kinds *k = fed_kinds_new();
    int rank = -1;

    (void)state;
    assert_int_equal(fed_kinds_add_core(k, NULL, NULL), 0);
    assert_true(fed_kinds_count(k) > 30);
    for (size_t i = 0; i < fed_kinds_count(k); i++) {
        int r = fed_kind_group_rank(fed_kinds_at(k, i)->group);

        assert_true(r >= rank);
        rank = r;
    }
    assert_true(fed_kind_group_rank(FED_STR("networking.k8s.io")) < fed_kind_group_rank(FED_STR("extensions")));
    assert_true(fed_kind_group_rank(FED_STR("example.com")) < fed_kind_group_rank(FED_STR("extensions")));
    fed_kinds_free(k);
}

static void test_names(void **state)
{
    static const char *const names[] = {"/configmaps", "apps/deployments", NULL};
    struct fed_kinds *k = fed_kinds_new();

    (void)state;
    assert_int_equal(fed_kinds_add_core(k, names, NULL), 0);
    assert_int_equal(fed_kinds_count(k), 2);
    fed_kinds_free(k);
}

static void test_memory(void **state)
{
    struct fed_kinds *k = fed_kinds_new();
    size_t before = mallinfo2().uordblks, after;

    (void)state;
    assert_int_equal(fed_kinds_add_core(k, NULL, NULL), 0);
    after = mallinfo2().uordblks;
    print_message("core kinds: %zu kinds, %zu KiB\n", fed_kinds_count(k), (after - before) / 1024);
    assert_true(after - before < 6u << 20);
    fed_kinds_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lookup), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_names), cmocka_unit_test(test_memory)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
