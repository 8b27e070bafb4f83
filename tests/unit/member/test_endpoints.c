/* SPDX-License-Identifier: Apache-2.0 */
/* A Service with more pods than an Endpoints may name: a thousand are told, the ready ones first, and that there are more. */
#include "tests/unit/member/bench.h"

#define PODS "/api/v1/namespaces/default/pods"
#define OVER "endpoints.kubernetes.io/over-capacity"
enum { READY = 900, ALL = 1100 };

static void make_pod(struct bench *b, int i)
{
    bench_ask(b, "POST", PODS,
              fed_arena_printf(&b->a,
                               "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p%d','labels':{'app':'a'}},'spec':{"
                               "'nodeName':'n','containers':[{'name':'c','image':'i'}]}}",
                               i)
                  .p);
    test_env_advance(&b->t, 1);
    bench_ask(b, "PATCH", fed_arena_printf(&b->a, PODS "/p%d/status", i).p,
              fed_arena_printf(&b->a,
                               "{'status':{'phase':'Running','podIP':'10.1.%d.%d','conditions':[{'type':'Ready',"
                               "'status':'%s'}]}}",
                               i / 250, i % 250 + 1, i < READY ? "True" : "False")
                  .p);
}

static size_t count(struct bench *b, const char *list, bool *over)
{
    struct fed_kobj *o = mbr_find(&b->m, MBR_ENDPOINTS, FED_STR("default"), FED_STR("s"));
    size_t n = 0;
    assert_non_null(o);
    *over = fed_kobj_annotation(o, OVER).n != 0;
    FED_JSON_EACH(s, fed_json_find(fed_kobj_parse(o, &b->a), "subsets")) {
        const struct fed_json *l = fed_json_find(s, list);
        n += l ? l->n : 0;
    }
    return n;
}

static void test_over_capacity(void **state)
{
    static void (*const which[])(struct mbr_ctl *) = {mbr_endpoints_init};
    struct bench b;
    bool over;
    (void)state;
    bench_begin(&b, which, FED_ARRAY_LEN(which));
    for (int i = 0; i < ALL; i++)
        make_pod(&b, i);
    bench_call(&b, "POST", "/api/v1/namespaces/default/services",
               "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s'},'spec':{'selector':{'app':'a'},'ports':[{"
               "'port':80}]}}");
    test_env_advance(&b.t, 5000);
    assert_int_equal(count(&b, "addresses", &over), READY);
    assert_int_equal(count(&b, "notReadyAddresses", &over), 1000 - READY);
    assert_true(over);
    for (int i = 500; i < ALL; i++)
        bench_ask(&b, "DELETE", fed_arena_printf(&b.a, PODS "/p%d?gracePeriodSeconds=0", i).p, NULL);
    test_env_advance(&b.t, 5000);
    assert_int_equal(count(&b, "addresses", &over), 500);
    assert_false(over);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_over_capacity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
