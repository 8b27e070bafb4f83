/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes whose agents fall silent, on virtual time: conditions, taints, who is sent off, pods of nodes that are gone. */
#include "member/controllers/nodetaints.h"
#include "tests/unit/member/bench.h"

#define NODES  "/api/v1/nodes"
#define PODS   "/api/v1/namespaces/default/pods"
#define LEASES "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
enum { SECOND = 1000 };

static void begin(struct bench *b)
{
    static void (*const which[])(struct mbr_ctl *) = {mbr_nodelife_init, mbr_taints_init, mbr_podgc_init};
    bench_begin(b, which, FED_ARRAY_LEN(which));
}

static void make_node(struct bench *b, const char *name)
{
    bench_call(b, "POST", NODES,
               fed_arena_printf(&b->a, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'}}", name).p);
    bench_call(b, "PATCH", fed_arena_printf(&b->a, NODES "/%s/status", name).p,
               "{'status':{'conditions':[{'type':'Ready','status':'True','reason':'KubeletReady','message':'',"
               "'lastHeartbeatTime':'2026-01-01T00:00:00Z','lastTransitionTime':'2026-01-01T00:00:00Z'}]}}");
    bench_call(
        b, "POST", LEASES,
        fed_arena_printf(&b->a, "{'apiVersion':'coordination.k8s.io/v1','kind':'Lease','metadata':{'name':'%s'}}", name)
            .p);
}

static void make_pod(struct bench *b, const char *name, const char *node, const char *more)
{
    bench_call(b, "POST", PODS,
               fed_arena_printf(&b->a,
                                "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{'nodeName':'%s',%s"
                                "'containers':[{'name':'c','image':'i'}]}}",
                                name, node, more)
                   .p);
    bench_call(b, "PATCH", fed_arena_printf(&b->a, PODS "/%s/status", name).p,
               "{'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True',"
               "'lastTransitionTime':'2026-01-01T00:00:00Z'}]}}");
}

/* Time goes on in steps of ten seconds; the agents of the nodes that are named renew their leases. */
static void live(struct bench *b, int64_t ms, const char *const *nodes)
{
    for (; ms > 0; ms -= 10 * SECOND) {
        char now[28];
        fed_time_format_micro(fed_wall_ms(b->m.env), now);
        for (size_t i = 0; nodes[i]; i++)
            bench_call(b, "PATCH", fed_arena_printf(&b->a, LEASES "/%s", nodes[i]).p,
                       fed_arena_printf(&b->a, "{'spec':{'renewTime':'%s'}}", now).p);
        test_env_advance(&b->t, 10 * SECOND);
    }
}

static struct fed_json *tree(struct bench *b, enum mbr_kind kind, const char *name)
{
    struct fed_str ns = kind == MBR_PODS ? FED_STR("default") : FED_STR("");
    struct fed_kobj *o = mbr_find(&b->m, kind, ns, fed_str(name));
    return o ? fed_kobj_parse(o, &b->a) : NULL;
}

static bool says(struct bench *b, enum mbr_kind kind, const char *name, const char *type, const char *status)
{
    return fed_str_is(
        fed_json_find_text(fed_obj_condition(fed_json_find(tree(b, kind, name), "status"), type), "status"), status);
}

/* "key:Effect key:Effect" */
static const char *taints(struct bench *b, const char *name)
{
    struct fed_buf out = {0};
    FED_JSON_EACH(t, fed_json_at(tree(b, MBR_NODES, name), "spec", "taints", NULL)) {
        struct fed_str key = fed_json_find_text(t, "key");
        fed_buf_addf(&out, "%s%.*s:%.*s", out.n ? " " : "", FED_STR_ARG(fed_str_from(key, 19)),
                     FED_STR_ARG(fed_json_find_text(t, "effect")));
    }
    const char *z = fed_arena_dupz(&b->a, fed_buf_str(&out));
    fed_buf_release(&out);
    return z;
}

static bool there(struct bench *b, const char *pod)
{
    struct fed_kobj *o = mbr_find(&b->m, MBR_PODS, FED_STR("default"), fed_str(pod));
    return o && !o->deleting;
}

static void test_silence(void **state)
{
    static const char *const both[] = {"a", "b", NULL}, *const rest[] = {"a", NULL};
    struct bench b;
    (void)state;
    begin(&b);
    make_node(&b, "a");
    make_node(&b, "b");
    make_pod(&b, "stays", "b", "'tolerations':[{'operator':'Exists'}],");
    make_pod(&b, "short", "b",
             "'tolerations':[{'operator':'Exists','effect':'NoSchedule'},{'key':'node.kubernetes.io/unreachable',"
             "'operator':'Exists','effect':'NoExecute','tolerationSeconds':30}],");
    make_pod(&b, "other", "a", "");
    live(&b, 120 * SECOND, both);
    assert_string_equal(taints(&b, "b"), "");
    live(&b, 30 * SECOND, rest);
    assert_true(says(&b, MBR_NODES, "b", "Ready", "True")); /* within the grace period */
    live(&b, 20 * SECOND, rest);
    assert_true(says(&b, MBR_NODES, "b", "Ready", "Unknown"));
    assert_true(says(&b, MBR_NODES, "b", "MemoryPressure", "Unknown"));
    assert_true(says(&b, MBR_NODES, "a", "Ready", "True"));
    assert_string_equal(taints(&b, "b"), "unreachable:NoSchedule unreachable:NoExecute");
    assert_true(says(&b, MBR_PODS, "stays", "Ready", "False"));
    assert_true(says(&b, MBR_PODS, "other", "Ready", "True"));
    assert_true(there(&b, "short"));
    live(&b, 40 * SECOND, rest);
    assert_false(there(&b, "short"));
    assert_true(says(&b, MBR_PODS, "short", "DisruptionTarget", "True"));
    assert_true(there(&b, "stays") && there(&b, "other"));
    /* The agent is back. */
    bench_call(&b, "PATCH", NODES "/b/status",
               "{'status':{'conditions':[{'type':'Ready','status':'True','reason':'KubeletReady','message':'',"
               "'lastHeartbeatTime':'2026-01-01T01:00:00Z','lastTransitionTime':'2026-01-01T01:00:00Z'}]}}");
    live(&b, 10 * SECOND, both);
    assert_string_equal(taints(&b, "b"), "");
    bench_end(&b);
}

/* Where no node is ready, it is the control plane that is cut off: nobody is sent off. */
static void test_all_silent(void **state)
{
    static const char *const none[] = {NULL};
    struct bench b;
    (void)state;
    begin(&b);
    make_node(&b, "a");
    make_node(&b, "b");
    make_pod(&b, "p", "a", "");
    live(&b, 120 * SECOND, none);
    assert_string_equal(taints(&b, "a"), "unreachable:NoSchedule");
    assert_string_equal(taints(&b, "b"), "unreachable:NoSchedule");
    assert_true(there(&b, "p"));
    bench_end(&b);
}

/* Who was stopped heard nobody: that says nothing about the nodes. */
static void test_stopped(void **state)
{
    static const char *const all[] = {"a", "b", NULL}, *const none[] = {NULL};
    struct bench b;
    (void)state;
    begin(&b);
    make_node(&b, "a");
    make_node(&b, "b");
    make_pod(&b, "p", "a", "");
    live(&b, 30 * SECOND, all);
    b.t.mono_ns += 600000000000;
    test_env_advance(&b.t, SECOND);
    assert_true(says(&b, MBR_NODES, "a", "Ready", "True") && says(&b, MBR_PODS, "p", "Ready", "True"));
    live(&b, 60 * SECOND, all);
    assert_true(says(&b, MBR_NODES, "a", "Ready", "True") && says(&b, MBR_NODES, "b", "Ready", "True"));
    live(&b, 70 * SECOND, none); /* and after it silence counts again */
    assert_true(says(&b, MBR_NODES, "a", "Ready", "Unknown"));
    bench_end(&b);
}

static void test_gone(void **state)
{
    static const char *const rest[] = {"a", NULL};
    struct bench b;
    (void)state;
    begin(&b);
    make_node(&b, "a");
    make_node(&b, "b");
    make_pod(&b, "p", "b", "");
    make_pod(&b, "q", "a", "");
    bench_call(&b, "DELETE", NODES "/b", NULL);
    live(&b, 30 * SECOND, rest);
    assert_true(there(&b, "p")); /* the node may come again */
    live(&b, 20 * SECOND, rest);
    assert_null(tree(&b, MBR_PODS, "p"));
    assert_true(there(&b, "q"));
    bench_end(&b);
}

static void test_cordon(void **state)
{
    struct bench b;
    (void)state;
    begin(&b);
    make_node(&b, "a");
    bench_call(&b, "PATCH", NODES "/a",
               "{'spec':{'unschedulable':true,'taints':[{'key':'node.kubernetes.io/mine','effect':'NoSchedule'}]}}");
    test_env_advance(&b.t, SECOND);
    assert_string_equal(taints(&b, "a"), "mine:NoSchedule unschedulable:NoSchedule");
    bench_call(&b, "PATCH", NODES "/a", "{'spec':{'unschedulable':null}}");
    test_env_advance(&b.t, SECOND);
    assert_string_equal(taints(&b, "a"), "mine:NoSchedule");
    bench_end(&b);
}

static void test_who_may_be_sent_off(void **state)
{
    static const struct {
        size_t ready, n, silent;
        bool allowed;
    } cases[] = {{0, 1, 1, false}, {1, 2, 1, true}, {1, 3, 2, true},
                 {1, 4, 3, false}, {5, 8, 3, true}, {9, 20, 11, false}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        assert_int_equal(mbr_node_eviction_allowed(cases[i].ready, cases[i].n, cases[i].silent), cases[i].allowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_silence), cmocka_unit_test(test_all_silent),
                                       cmocka_unit_test(test_stopped), cmocka_unit_test(test_gone),
                                       cmocka_unit_test(test_cordon),  cmocka_unit_test(test_who_may_be_sent_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
