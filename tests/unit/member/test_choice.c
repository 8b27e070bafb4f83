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

/* The first reason, or "". */
static const char *why(struct fed_arena *a, const struct mbr_node_state *n, const struct mbr_pod_need *need)
{
    struct mbr_refusal r;
    mbr_node_judge(a, n, need, &r);
    return r.n ? fed_arena_dupz(a, r.why[0]) : "";
}

static void test_refusals(void **state)
{
    struct fed_arena a = {0};
    struct mbr_node_state n = node("n");
    struct mbr_pod_need need = {.cpu_milli = 600, .memory = 10};
    (void)state;
    assert_string_equal(why(&a, &n, &need), "");
    n.used_cpu = 500;
    assert_string_equal(why(&a, &n, &need), "Insufficient cpu");
    n = node("n");
    n.used_memory = 995;
    assert_string_equal(why(&a, &n, &need), "Insufficient memory");
    n = node("n");
    n.used_pods = 3;
    assert_string_equal(why(&a, &n, &need), "Too many pods");
    n = node("n");
    n.host_ports = port_80;
    n.n_host_ports = 1;
    need.host_ports[0] = 80 + 65536; /* UDP */
    need.n_host_ports = 1;
    assert_string_equal(why(&a, &n, &need), "");
    need.host_ports[0] = 80;
    assert_string_equal(why(&a, &n, &need), "node(s) didn't have free ports for the requested pod ports");
    need.n_host_ports = 0;
    need.node_selector = parse(&a, "{\"zone\":\"b\"}");
    assert_string_equal(why(&a, &n, &need), "node(s) didn't match Pod's node affinity/selector");
    need.node_selector = parse(&a, "{\"zone\":\"a\"}");
    assert_string_equal(why(&a, &n, &need), "");
    n.taints = parse(&a, "[{\"key\":\"k\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]");
    assert_string_equal(why(&a, &n, &need), "node(s) had untolerated taint {k: v}");
    need.tolerations = parse(&a, "[{\"key\":\"k\",\"operator\":\"Equal\",\"value\":\"v\",\"effect\":\"NoSchedule\"}]");
    assert_string_equal(why(&a, &n, &need), "");
    need.tolerations = parse(&a, "[{\"operator\":\"Exists\"}]");
    assert_string_equal(why(&a, &n, &need), "");
    n.cordoned = true;
    assert_string_equal(why(&a, &n, &need), "");
    assert_string_equal(why(&a, &n, &(struct mbr_pod_need){0}), "node(s) were unschedulable");
    n = node("n");
    need.extras[0] = (struct mbr_extra){FED_STR("example.com/gpu"), 2};
    need.n_extras = 1;
    assert_string_equal(why(&a, &n, &need), "Insufficient example.com/gpu");
    n.allocatable = parse(&a, "{\"example.com/gpu\":\"3\"}");
    assert_string_equal(why(&a, &n, &need), "");
    n.used_extras[0] = 2;
    assert_string_equal(why(&a, &n, &need), "Insufficient example.com/gpu");
    fed_arena_release(&a);
}

struct affinity_case {
    const char *terms;
    bool want;
};
static const struct affinity_case affinities[] = {
    {"{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"b\",\"a\"]}]}", true},
    {"{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}", false},
    {"{\"matchExpressions\":[{\"key\":\"disk\",\"operator\":\"NotIn\",\"values\":[\"a\"]}]}", true},
    {"{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"Exists\"},{\"key\":\"disk\",\"operator\":\"Exists\"}]}",
     false},
    {"{\"matchExpressions\":[{\"key\":\"disk\",\"operator\":\"DoesNotExist\"}]}", true},
    {"{\"matchExpressions\":[{\"key\":\"cores\",\"operator\":\"Gt\",\"values\":[\"7\"]}]}", true},
    {"{\"matchExpressions\":[{\"key\":\"cores\",\"operator\":\"Lt\",\"values\":[\"8\"]}]}", false},
    {"{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"Gt\",\"values\":[\"1\"]}]}", false},
    {"{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\",\"values\":[\"n\"]}]}", true},
    {"{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"NotIn\",\"values\":[\"n\"]}]}", false},
    {"{}", false},
    {"{},{\"matchExpressions\":[{\"key\":\"zone\",\"operator\":\"Exists\"}]}", true},
};

static void test_affinity(void **state)
{
    static const struct fed_kv labels[] = {{FED_STR_INIT("zone"), FED_STR_INIT("a")},
                                           {FED_STR_INIT("cores"), FED_STR_INIT("8")}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(affinities); i++) {
        struct fed_arena a = {0};
        struct mbr_node_state n = node("n");
        n.labels = labels;
        n.n_labels = 2;
        struct fed_str text = fed_arena_printf(&a,
                                               "{\"nodeAffinity\":{\"requiredDuringSchedulingIgnoredDuringExecution\":"
                                               "{\"nodeSelectorTerms\":[%s]}}}",
                                               affinities[i].terms);
        if (mbr_node_affine(parse(&a, text.p), &n) != affinities[i].want)
            fail_msg("%s", affinities[i].terms);
        fed_arena_release(&a);
    }
}

static int choose(struct fed_arena *a, const struct mbr_node_state *nodes, size_t n, const struct mbr_pod_need *need,
                  struct fed_buf *text)
{
    struct mbr_refusal r[4];
    for (size_t i = 0; i < n; i++)
        mbr_node_judge(a, &nodes[i], need, &r[i]);
    int at = mbr_node_best(a, nodes, n, need, r, NULL);
    fed_buf_reset(text);
    if (at < 0)
        mbr_explain(r, n, text);
    return at;
}

static void test_choice(void **state)
{
    struct fed_arena a = {0};
    struct mbr_node_state nodes[3] = {node("a"), node("b"), node("c")};
    struct mbr_pod_need need = {0};
    struct fed_buf text = {0};
    (void)state;
    nodes[0].used_pods = 2;
    nodes[1].used_pods = 1;
    nodes[2].used_pods = 1;
    assert_int_equal(choose(&a, nodes, 3, &need, &text), 1);
    nodes[2].asked_cpu = -1; /* more free room */
    assert_int_equal(choose(&a, nodes, 3, &need, &text), 2);
    nodes[2].asked_cpu = 0;
    nodes[1].cordoned = true;
    assert_int_equal(choose(&a, nodes, 3, &need, &text), 2);
    nodes[2].taints = parse(&a, "[{\"key\":\"k\",\"effect\":\"PreferNoSchedule\"}]");
    assert_int_equal(choose(&a, nodes, 3, &need, &text), 0);
    nodes[2].taints = NULL;
    need.affinity = parse(&a, "{\"nodeAffinity\":{\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"weight\":10,"
                              "\"preference\":{\"matchFields\":[{\"key\":\"metadata.name\",\"operator\":\"In\","
                              "\"values\":[\"a\"]}]}}]}}");
    assert_int_equal(choose(&a, nodes, 3, &need, &text), 0);
    need.cpu_milli = 5000;
    need.memory = 5000;
    nodes[2].memory = 6000;
    assert_int_equal(choose(&a, nodes, 3, &need, &text), -1);
    assert_string_equal(fed_buf_z(&text), "0/3 nodes are available: 1 Insufficient memory, "
                                          "1 node(s) were unschedulable, 2 Insufficient cpu.");
    assert_int_equal(choose(&a, NULL, 0, &need, &text), -1);
    fed_buf_release(&text);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_victims), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_affinity), cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
