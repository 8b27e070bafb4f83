/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that want to be near others, away from them, or spread; and which ones make room for a more important one. */
#include "base/buf.h"
#include "member/controllers/preempt.h"
#include "tests/unit/trees.h"

enum { NODES = 4, MAX = 8 };

/* Nodes a1 a2 in zone a, b1 in zone b, x without a zone. */
static const struct fed_kv labels_of[NODES][2] = {
    {{FED_STR_INIT("host"), FED_STR_INIT("a1")}, {FED_STR_INIT("zone"), FED_STR_INIT("a")}},
    {{FED_STR_INIT("host"), FED_STR_INIT("a2")}, {FED_STR_INIT("zone"), FED_STR_INIT("a")}},
    {{FED_STR_INIT("host"), FED_STR_INIT("b1")}, {FED_STR_INIT("zone"), FED_STR_INIT("b")}},
    {{FED_STR_INIT("host"), FED_STR_INIT("x")}, {{NULL, 0}, {NULL, 0}}},
};
static const struct fed_kv web[] = {{FED_STR_INIT("app"), FED_STR_INIT("web")}};
static const struct fed_kv db[] = {{FED_STR_INIT("app"), FED_STR_INIT("db")}};

static void make_nodes(struct mbr_node_state nodes[NODES])
{
    for (size_t i = 0; i < NODES; i++)
        nodes[i] = (struct mbr_node_state){.name = labels_of[i][0].value,
                                           .ready = true,
                                           .cpu_milli = 1000,
                                           .memory = 1000,
                                           .pods = 10,
                                           .labels = labels_of[i],
                                           .n_labels = i == 3 ? 1 : 2};
}

/* "w0 d2 !w1": a web pod on the node 0, a db pod on 2, one of another namespace on 1. */
static size_t make_peers(const char *text, struct mbr_peer list[MAX])
{
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p == ' ')
            continue;
        struct mbr_peer *x = &list[n++];
        *x = (struct mbr_peer){.ns = *p == '!' ? FED_STR("other") : FED_STR("here"), .n_labels = 1};
        p += *p == '!';
        x->labels = *p == 'w' ? web : db;
        x->node = (size_t)(*++p - '0');
    }
    return n;
}

#define TERM(selector, key)   "{'labelSelector':{'matchLabels':{" selector "}},'topologyKey':'" key "'}"
#define REQUIRED(kind, terms) "{'affinity':{'" kind "':{'requiredDuringSchedulingIgnoredDuringExecution':[" terms "]}}}"
#define SPREAD(more)          "{'constraints':[{'labelSelector':{'matchLabels':{'app':'web'}}," more "}]}"
#define TOGETHER              "node(s) didn't match pod affinity rules"
#define APART                 "node(s) didn't match pod anti-affinity rules"
#define SKEW                  "node(s) didn't match pod topology spread constraints"

struct judge_case {
    const char *name, *pod, *peers, *want /* 1 for each node that it may go to */, *why;
};
/* the pod is a web pod in the namespace "here" */
static const struct judge_case judges[] = {
    {"near a db in the zone", REQUIRED("podAffinity", TERM("'app':'db'", "zone")), "d0", "1100", TOGETHER},
    {"near a db on the node", REQUIRED("podAffinity", TERM("'app':'db'", "host")), "d0", "1000", TOGETHER},
    {"no db anywhere", REQUIRED("podAffinity", TERM("'app':'db'", "zone")), "w0", "0000", TOGETHER},
    {"a db of another namespace", REQUIRED("podAffinity", TERM("'app':'db'", "zone")), "!d0", "0000", TOGETHER},
    {"named namespace", REQUIRED("podAffinity", "{'labelSelector':{},'namespaces':['other'],'topologyKey':'zone'}"),
     "!d2", "0010", TOGETHER},
    {"any namespace", REQUIRED("podAffinity", "{'labelSelector':{},'namespaceSelector':{},'topologyKey':'zone'}"),
     "!d2", "0010", TOGETHER},
    {"the first of its kind", REQUIRED("podAffinity", TERM("'app':'web'", "zone")), "d0", "1110", TOGETHER},
    {"the second goes along", REQUIRED("podAffinity", TERM("'app':'web'", "zone")), "w2", "0010", TOGETHER},
    {"away from its kind", REQUIRED("podAntiAffinity", TERM("'app':'web'", "host")), "w0 w2", "0101", APART},
    {"away by zone", REQUIRED("podAntiAffinity", TERM("'app':'web'", "zone")), "w0", "0011", APART},
    {"both terms", REQUIRED("podAntiAffinity", TERM("'app':'web'", "host") "," TERM("'app':'db'", "zone")), "w0 d2",
     "0101", APART},
    {"even by zone", SPREAD("'maxSkew':1,'topologyKey':'zone'"), "w0", "0010", SKEW},
    {"even already", SPREAD("'maxSkew':1,'topologyKey':'zone'"), "w0 w2", "1110", SKEW " (missing required label)"},
    {"a skew of two", SPREAD("'maxSkew':2,'topologyKey':'zone'"), "w0", "1110", SKEW " (missing required label)"},
    {"too few domains", SPREAD("'maxSkew':1,'topologyKey':'zone','minDomains':3"), "w0 w2", "0000", SKEW},
    {"db pods do not count", SPREAD("'maxSkew':1,'topologyKey':'zone'"), "d0 d1", "1110",
     SKEW " (missing required label)"},
    {"only if possible", SPREAD("'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'ScheduleAnyway'"), "w0", "1111",
     NULL},
};

static void begin(struct fed_arena *a, const char *pod, struct mbr_pod_need *need, struct mbr_node_state *nodes,
                  struct mbr_peer *list, const char *peers, struct mbr_peers *in)
{
    const struct fed_json *tree = tree_of(a, pod);
    make_nodes(nodes);
    *need = (struct mbr_pod_need){.affinity = fed_json_find(tree, "affinity")};
    *in = (struct mbr_peers){.nodes = nodes,
                             .n_nodes = NODES,
                             .list = list,
                             .n = make_peers(peers, list),
                             .ns = FED_STR("here"),
                             .labels = web,
                             .n_labels = 1,
                             .constraints = fed_json_find(tree, "constraints"),
                             .need = need};
}

static void test_judges(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(judges); i++) {
        const struct judge_case *c = &judges[i];
        struct fed_arena a = {0};
        struct mbr_node_state nodes[NODES];
        struct mbr_peer list[MAX];
        struct mbr_pod_need need;
        struct mbr_peers in;
        struct mbr_refusal r[NODES] = {0};
        char got[NODES + 1] = "";
        begin(&a, c->pod, &need, nodes, list, c->peers, &in);
        mbr_peers_judge(&a, &in, r);
        for (size_t k = 0; k < NODES; k++) {
            got[k] = r[k].n ? '0' : '1';
            if (r[k].n && k != 3)
                CHECK_TEXT(c->name, r[k].why[0], c->why);
        }
        CHECK_TEXT(c->name, fed_str(got), c->want);
        fed_arena_release(&a);
    }
}

static void test_those_who_were_there_first(void **state)
{
    struct fed_arena a = {0};
    struct mbr_node_state nodes[NODES];
    struct mbr_peer list[MAX];
    struct mbr_pod_need need;
    struct mbr_peers in;
    struct mbr_refusal r[NODES] = {0};
    (void)state;
    begin(&a, "{}", &need, nodes, list, "d0", &in);
    list[0].affinity = fed_json_find(tree_of(&a, REQUIRED("podAntiAffinity", TERM("'app':'web'", "zone"))), "affinity");
    assert_true(mbr_speaks_of_pods(list[0].affinity));
    mbr_peers_judge(&a, &in, r);
    CHECK_TEXT("kept away", r[1].why[0], "node(s) didn't satisfy existing pods anti-affinity rules");
    assert_int_equal(r[0].n, 1);
    assert_int_equal(r[2].n + r[3].n, 0);
    fed_arena_release(&a);
}

struct score_case {
    const char *name, *pod, *peers;
    size_t best;
};
#define PREFERRED(kind, selector, key)                                                                                 \
    "{'affinity':{'" kind                                                                                              \
    "':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':50,'podAffinityTerm':" TERM(selector,             \
                                                                                                 key) "}]}}}"
static const struct score_case scores[] = {
    {"near", PREFERRED("podAffinity", "'app':'db'", "zone"), "w0 d2", 2},
    {"away", PREFERRED("podAntiAffinity", "'app':'web'", "host"), "w0 w1 w2 d3", 3},
    {"spread", SPREAD("'maxSkew':1,'topologyKey':'zone','whenUnsatisfiable':'ScheduleAnyway'"), "w0 w2 w1", 2},
};

static void test_scores(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(scores); i++) {
        const struct score_case *c = &scores[i];
        struct fed_arena a = {0};
        struct mbr_node_state nodes[NODES];
        struct mbr_peer list[MAX];
        struct mbr_pod_need need;
        struct mbr_peers in;
        int64_t sum[NODES] = {0};
        begin(&a, c->pod, &need, nodes, list, c->peers, &in);
        mbr_peers_score(&a, &in, sum);
        for (size_t k = 0; k < NODES; k++)
            CHECK(c->name, k == c->best || sum[k] < sum[c->best]);
        fed_arena_release(&a);
    }
}

struct preempt_case {
    const char *name;
    int64_t cpu; /* that the pod needs of 1000 */
    struct {
        size_t node;
        int64_t cpu, priority;
        bool guarded;
    } pods[4];
    size_t n;
    int node; /* the answer */
    const char *victims;
};
static const struct preempt_case preempts[] = {
    {"the only lesser one",
     600,
     {{0, 900, 5, false}, {1, 900, 50, false}, {2, 900, 50, false}, {3, 900, 50, false}},
     4,
     0,
     "0"},
    {"nobody is less",
     600,
     {{0, 900, 10, false}, {1, 900, 50, false}, {2, 900, 50, false}, {3, 900, 10, false}},
     4,
     -1,
     ""},
    {"as few as needed", 600, {{0, 500, 1, false}, {0, 300, 2, false}, {0, 100, 3, false}}, 3, 0, "0"},
    {"the least important",
     600,
     {{0, 900, 5, false}, {1, 900, 4, false}, {2, 900, 6, false}, {3, 900, 7, false}},
     4,
     1,
     "1"},
    {"a guarded one is spared",
     600,
     {{0, 900, 1, true}, {1, 900, 5, false}, {2, 900, 50, false}, {3, 900, 50, false}},
     4,
     1,
     "1"},
    {"one rather than two", 900, {{0, 500, 5, false}, {0, 400, 5, false}, {1, 900, 5, false}}, 3, 1, "2"},
    {"more than a node has", 1500, {{0, 900, 1, false}}, 1, -1, ""},
};

static void test_preemption(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(preempts); i++) {
        const struct preempt_case *c = &preempts[i];
        struct fed_arena a = {0};
        struct mbr_node_state nodes[NODES];
        struct mbr_peer list[4] = {0};
        struct mbr_lesser lessers[4];
        struct mbr_pod_need need = {.cpu_milli = c->cpu}, loads[4] = {{0}};
        struct mbr_refusal r[NODES];
        bool used[NODES] = {false};
        make_nodes(nodes);
        for (size_t k = 0; k < c->n; k++) {
            list[k].node = c->pods[k].node;
            loads[k].cpu_milli = c->pods[k].cpu;
            lessers[k] =
                (struct mbr_lesser){.load = &loads[k], .priority = c->pods[k].priority, .guarded = c->pods[k].guarded};
            nodes[c->pods[k].node].used_cpu += c->pods[k].cpu;
            nodes[c->pods[k].node].used_pods++;
            used[c->pods[k].node] = true;
        }
        for (size_t k = 0; k < NODES; k++) {
            nodes[k].cordoned = !used[k];
            mbr_node_judge(&a, &nodes[k], &need, &r[k]);
        }
        struct mbr_preempt p = {
            .peers = {.nodes = nodes, .n_nodes = NODES, .list = list, .n = c->n, .need = &need, .ns = FED_STR("here")},
            .list = list,
            .lessers = lessers,
            .refusals = r,
            .priority = 10};
        mbr_preempt_make(&a, &p);
        CHECK(c->name, p.node == c->node);
        CHECK(c->name, p.n_victims == strlen(c->victims));
        for (size_t k = 0; k < p.n_victims; k++)
            CHECK(c->name, p.victims[k] == (size_t)(c->victims[k] - '0'));
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_judges), cmocka_unit_test(test_those_who_were_there_first),
                                       cmocka_unit_test(test_scores), cmocka_unit_test(test_preemption)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
