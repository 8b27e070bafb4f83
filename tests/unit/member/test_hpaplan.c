/* SPDX-License-Identifier: Apache-2.0 */
/* Autoscaling: what the figures of pods ask for, and what windows, policies and bounds leave of it. */
#include "member/controllers/budget.h"
#include "member/controllers/choice.h"
#include "member/controllers/hpaplan.h"
#include "tests/unit/unit.h"

struct metric_case {
    const char *name, *pods; /* usage of each in tenths of its request; '-' missing, 'u' not ready */
    int64_t percent, current, want;
};
static const struct metric_case metrics[] = {
    {"at the target", "555", 50, 3, 3},
    {"within the tolerance", "545", 50, 3, 3},
    {"twice the target", "aaa", 50, 3, 6},
    {"half the target", "4444", 80, 4, 2},
    {"rounded up", "66", 50, 2, 3},
    {"nothing measured", "---", 50, 3, -1},
    {"nobody there", "", 50, 3, -1},
    {"missing ones count for nothing upwards", "aa--", 50, 4, 4},
    {"missing ones count in full downwards", "11-", 50, 3, 3},
    {"a few missing, still down", "1111111111-", 50, 11, 4},
    {"unready ones count for nothing upwards", "au", 50, 2, 2},
    {"unready ones and a real need", "aaau", 20, 4, 15},
    {"unready ones are left out downwards", "11u", 50, 3, 1},
};

static void test_metrics(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(metrics); i++) {
        const struct metric_case *c = &metrics[i];
        struct mbr_hpa_pod pods[16];
        struct mbr_hpa_metric m = {.pods = pods, .n = strlen(c->pods), .current = c->current, .percent = c->percent};
        for (size_t k = 0; k < m.n; k++) {
            char ch = c->pods[k];
            pods[k] = (struct mbr_hpa_pod){.state = ch == '-'   ? MBR_HPA_MISSING
                                                    : ch == 'u' ? MBR_HPA_UNREADY
                                                                : MBR_HPA_MEASURED,
                                           .usage = ch == 'a' ? 100 : (ch - '0') * 10,
                                           .request = 100};
        }
        bool ok = mbr_hpa_propose(&m);
        CHECK(c->name, ok == (c->want >= 0));
        CHECK(c->name, !ok || m.replicas == c->want);
    }
    struct mbr_hpa_pod one = {.usage = 300};
    struct mbr_hpa_metric by_value = {.pods = &one, .n = 1, .current = 1, .value = 100};
    assert_true(mbr_hpa_propose(&by_value));
    assert_int_equal(by_value.replicas, 3);
    struct mbr_hpa_metric no_request = {.pods = &one, .n = 1, .current = 1, .percent = 50};
    assert_false(mbr_hpa_propose(&no_request));
}

static void rules(struct mbr_hpa_rules *r, const char *text, bool up)
{
    struct fed_arena a = {0};
    struct fed_json *v = NULL;
    assert_int_equal(fed_json_parse(&a, fed_str(text), NULL, &v, NULL), 0);
    mbr_hpa_rules_read(r, v, up);
    fed_arena_release(&a);
}

struct limit_case {
    const char *name, *up, *down;
    int64_t current, proposed, earlier /* a proposal 100 s ago; 0: none */, added /* 10 s ago */, want;
    const char *limit;
};
static const struct limit_case limits[] = {
    {"as proposed", "{}", "{}", 4, 6, 0, 0, 6, "DesiredWithinRange"},
    {"doubled at most, or four more", "{}", "{}", 4, 40, 0, 0, 8, "ScaleUpLimit"},
    {"small ones by four", "{}", "{}", 1, 40, 0, 0, 5, "ScaleUpLimit"},
    {"what was added lately counts", "{}", "{}", 8, 40, 0, 4, 8, "ScaleUpLimit"},
    {"no more than max", "{}", "{}", 40, 80, 0, 0, 50, "TooManyReplicas"},
    {"no less than min", "{}", "{\"stabilizationWindowSeconds\":0}", 5, 1, 0, 0, 2, "TooFewReplicas"},
    {"not down while it was higher lately", "{}", "{}", 10, 4, 9, 0, 9, "DesiredWithinRange"},
    {"down when the window is short", "{}", "{\"stabilizationWindowSeconds\":60}", 10, 4, 9, 0, 4,
     "DesiredWithinRange"},
    {"up waits for its window", "{\"stabilizationWindowSeconds\":120}", "{}", 4, 8, 5, 0, 5, "DesiredWithinRange"},
    {"one pod a minute", "{\"policies\":[{\"type\":\"Pods\",\"value\":1,\"periodSeconds\":60}]}", "{}", 4, 8, 0, 0, 5,
     "ScaleUpLimit"},
    {"the smaller of two",
     "{\"selectPolicy\":\"Min\",\"policies\":[{\"type\":\"Pods\",\"value\":1,\"periodSeconds\":60},"
     "{\"type\":\"Percent\",\"value\":100,\"periodSeconds\":60}]}",
     "{}", 4, 8, 0, 0, 5, "ScaleUpLimit"},
    {"never up", "{\"selectPolicy\":\"Disabled\"}", "{}", 4, 8, 0, 0, 4, "ScaleUpLimit"},
    {"down by a tenth", "{}",
     "{\"stabilizationWindowSeconds\":0,\"policies\":[{\"type\":\"Percent\",\"value\":10,\"periodSeconds\":60}]}", 20,
     4, 0, 0, 18, "ScaleDownLimit"},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(limits); i++) {
        const struct limit_case *c = &limits[i];
        struct mbr_hpa_memory memory = {0};
        struct mbr_hpa_limits l = {
            .current = c->current, .proposed = c->proposed, .min = 2, .max = 50, .now_ms = 1000000};
        rules(&l.up, c->up, true);
        rules(&l.down, c->down, false);
        if (i == 2)
            l.min = 1;
        if (c->earlier)
            mbr_hpa_note(&memory.proposals, 900000, c->earlier);
        if (c->added)
            mbr_hpa_note(&memory.ups, 990000, c->added);
        mbr_hpa_limit(&l, &memory);
        CHECK(c->name, l.replicas == c->want);
        CHECK_TEXT(c->name, fed_str(l.limit), c->limit);
    }
}

struct budget_case {
    const char *spec;
    int64_t pods, scale, healthy, desired, allowed;
};
static const struct budget_case budgets[] = {
    {"{\"minAvailable\":2}", 3, 3, 3, 2, 1},
    {"{\"minAvailable\":2}", 3, 3, 2, 2, 0},
    {"{\"minAvailable\":\"50%\"}", 4, 5, 4, 3, 1},
    {"{\"maxUnavailable\":1}", 3, 3, 3, 2, 1},
    {"{\"maxUnavailable\":1}", 2, 3, 2, 2, 0},
    {"{\"maxUnavailable\":\"30%\"}", 10, 10, 10, 7, 3},
    {"{\"maxUnavailable\":\"25%\"}", 7, 7, 7, 5, 2},
    {"{\"maxUnavailable\":5}", 3, 3, 3, 0, 3},
    {"{\"maxUnavailable\":0}", 3, 3, 3, 3, 0},
    {"{\"minAvailable\":0}", 0, 0, 0, 0, 0},
    {"{}", 3, 3, 3, 1, 2},
};

static void test_budgets(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(budgets); i++) {
        const struct budget_case *c = &budgets[i];
        struct fed_arena a = {0};
        struct fed_json *spec = NULL;
        struct mbr_budget b = {.pods = c->pods, .scale = c->scale, .healthy = c->healthy};
        assert_int_equal(fed_json_parse(&a, fed_str(c->spec), NULL, &spec, NULL), 0);
        mbr_budget_count(&b, spec);
        CHECK(c->spec, b.desired == c->desired);
        CHECK(c->spec, b.allowed == c->allowed);
        fed_arena_release(&a);
    }
}

static void test_evictions(void **state)
{
    static const struct {
        const char *status, *spec;
        bool ready;
        enum mbr_eviction want;
    } cases[] = {
        {"{\"observedGeneration\":1,\"disruptionsAllowed\":1,\"currentHealthy\":3,\"desiredHealthy\":2}", "{}", true,
         MBR_EVICT},
        {"{\"observedGeneration\":1,\"disruptionsAllowed\":0,\"currentHealthy\":2,\"desiredHealthy\":2}", "{}", true,
         MBR_EVICT_REFUSED},
        {"{\"observedGeneration\":0,\"disruptionsAllowed\":1,\"currentHealthy\":3,\"desiredHealthy\":2}", "{}", true,
         MBR_EVICT_UNSETTLED},
        {"{\"observedGeneration\":1,\"disruptionsAllowed\":0,\"currentHealthy\":2,\"desiredHealthy\":2}", "{}", false,
         MBR_EVICT_FREE},
        {"{\"observedGeneration\":1,\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":2}", "{}", false,
         MBR_EVICT_REFUSED},
        {"{\"observedGeneration\":1,\"disruptionsAllowed\":0,\"currentHealthy\":1,\"desiredHealthy\":2}",
         "{\"unhealthyPodEvictionPolicy\":\"AlwaysAllow\"}", false, MBR_EVICT_FREE},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *o = NULL;
        struct fed_str text = fed_arena_printf(&a, "{\"metadata\":{\"generation\":1},\"spec\":%s,\"status\":%s}",
                                               cases[i].spec, cases[i].status);
        assert_int_equal(fed_json_parse(&a, text, NULL, &o, NULL), 0);
        CHECK(cases[i].status, mbr_eviction_decide(o, cases[i].ready) == cases[i].want);
        fed_arena_release(&a);
    }
}

static void test_tolerations(void **state)
{
    static const struct {
        const char *tolerations, *taints;
        int64_t want;
    } cases[] = {
        {"[]", "[{\"key\":\"a\",\"effect\":\"NoSchedule\"}]", -1},
        {"[]", "[{\"key\":\"a\",\"effect\":\"NoExecute\"}]", 0},
        {"[{\"key\":\"a\",\"operator\":\"Exists\"}]", "[{\"key\":\"a\",\"effect\":\"NoExecute\"}]", -1},
        {"[{\"key\":\"a\",\"operator\":\"Exists\",\"tolerationSeconds\":30}]",
         "[{\"key\":\"a\",\"effect\":\"NoExecute\"}]", 30},
        {"[{\"key\":\"a\",\"value\":\"x\"}]", "[{\"key\":\"a\",\"value\":\"y\",\"effect\":\"NoExecute\"}]", 0},
        {"[{\"operator\":\"Exists\"}]",
         "[{\"key\":\"a\",\"effect\":\"NoExecute\"},{\"key\":\"b\",\"effect\":\"NoExecute\"}]", -1},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *t = NULL, *n = NULL;
        assert_int_equal(fed_json_parse(&a, fed_str(cases[i].tolerations), NULL, &t, NULL), 0);
        assert_int_equal(fed_json_parse(&a, fed_str(cases[i].taints), NULL, &n, NULL), 0);
        CHECK(cases[i].taints, mbr_tolerated_for(t, n) == cases[i].want);
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_metrics), cmocka_unit_test(test_limits),
                                       cmocka_unit_test(test_budgets), cmocka_unit_test(test_evictions),
                                       cmocka_unit_test(test_tolerations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
