/* SPDX-License-Identifier: Apache-2.0 */
/* Which pods go first, and which node a pod goes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "member/controllers/choice.h"

static void test_victims(void **state)
{
    /* each one goes before the next */
    static const struct mbr_victim order[] = {
        {.assigned = false, .created_ms = 1},
        {.assigned = true, .running = false, .created_ms = 1},
        {.assigned = true, .running = true, .ready = false, .restarts = 9, .created_ms = 5},
        {.assigned = true, .running = true, .ready = false, .restarts = 1, .created_ms = 5},
        {.assigned = true, .running = true, .ready = false, .restarts = 1, .created_ms = 4},
        {.assigned = true, .running = true, .ready = true, .cost = -5, .siblings = 1},
        {.assigned = true, .running = true, .ready = true, .siblings = 3, .ready_ms = 10},
        {.assigned = true, .running = true, .ready = true, .siblings = 2, .ready_ms = 30},
        {.assigned = true, .running = true, .ready = true, .siblings = 2, .ready_ms = 20},
        {.assigned = true, .running = true, .ready = true, .cost = 7, .siblings = 9},
    };
    (void)state;
    for (size_t i = 0; i + 1 < FED_ARRAY_LEN(order); i++) {
        assert_true(mbr_victim_cmp(&order[i], &order[i + 1]) < 0);
        assert_true(mbr_victim_cmp(&order[i + 1], &order[i]) > 0);
    }
}

static const struct fed_kv zone_a[] = {{FED_STR_INIT("zone"), FED_STR_INIT("a")}};
static const uint32_t port_80[] = {80};

static struct mbr_node_state node(const char *name)
{
    return (struct mbr_node_state){.name = fed_str(name),
                                   .ready = true,
                                   .cpu_milli = 1000,
                                   .memory = 1000,
                                   .pods = 3,
                                   .labels = zone_a,
                                   .n_labels = 1};
}

static const struct fed_json *parse(struct fed_arena *a, const char *text)
{
    struct fed_json *v;
    assert_int_equal(fed_json_parse(a, fed_str(text), NULL, &v, NULL), 0);
    return v;
}

static void test_refusals(void **state)
{
    struct fed_arena a = {0};
    struct mbr_node_state n = node("n");
    struct mbr_pod_need need = {.cpu_milli = 600, .memory = 10};
    (void)state;
    assert_null(mbr_node_refuses(&n, &need));
    n.used_cpu = 500;
    assert_string_equal(mbr_node_refuses(&n, &need), "Insufficient cpu");
    n = node("n");
    n.used_memory = 995;
    assert_string_equal(mbr_node_refuses(&n, &need), "Insufficient memory");
    n = node("n");
    n.used_pods = 3;
    assert_string_equal(mbr_node_refuses(&n, &need), "Too many pods");
    n = node("n");
    n.host_ports = port_80;
    n.n_host_ports = 1;
    need.host_ports[0] = 80 + 65536; /* UDP */
    need.n_host_ports = 1;
    assert_null(mbr_node_refuses(&n, &need));
    need.host_ports[0] = 80;
    assert_non_null(mbr_node_refuses(&n, &need));
    need.n_host_ports = 0;
    need.node_selector = parse(&a, "{\"zone\":\"b\"}");
    assert_non_null(mbr_node_refuses(&n, &need));
    need.node_selector = parse(&a, "{\"zone\":\"a\"}");
    assert_null(mbr_node_refuses(&n, &need));
    n.taints = parse(&a, "[{\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]");
    assert_non_null(mbr_node_refuses(&n, &need));
    need.tolerations = parse(&a, "[{\"key\":\"k\",\"operator\":\"Equal\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]");
    assert_null(mbr_node_refuses(&n, &need));
    need.tolerations = parse(&a, "[{\"operator\":\"Exists\"}]");
    assert_null(mbr_node_refuses(&n, &need));
    need.affinity =
        parse(&a, "{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":{\"nodeSelectorTerms\":"
                  "[{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}]}}}");
    assert_non_null(mbr_node_refuses(&n, &need));
    n = node("n");
    n.cordoned = true;
    assert_non_null(mbr_node_refuses(&n, &(struct mbr_pod_need){0}));
    fed_arena_release(&a);
}

static void test_choice(void **state)
{
    struct mbr_node_state nodes[3] = {node("a"), node("b"), node("c")};
    struct mbr_pod_need need = {0};
    struct fed_buf why = {0};
    (void)state;
    nodes[0].used_pods = 2;
    nodes[1].used_pods = 1;
    nodes[2].used_pods = 1;
    assert_int_equal(mbr_node_choose(nodes, 3, &need, &why), 1);
    nodes[1].cordoned = true;
    assert_int_equal(mbr_node_choose(nodes, 3, &need, &why), 2);
    need.cpu_milli = 5000;
    assert_int_equal(mbr_node_choose(nodes, 3, &need, &why), -1);
    assert_string_equal(fed_buf_z(&why), "0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable.");
    fed_buf_reset(&why);
    assert_int_equal(mbr_node_choose(NULL, 0, &need, &why), -1);
    fed_buf_release(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_victims), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
