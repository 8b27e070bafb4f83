/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts: verdicts, probe rules, geography, epochs, targets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>

#include "base/mem.h"
#include "traffic/geo.h"
#include "traffic/probe_rule.h"

#define U  FED_HEALTH_UNKNOWN
#define UP FED_HEALTH_UP
#define DN FED_HEALTH_DOWN

static void verdicts(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct fed_verdict_in in; /* joined, offline, cordoned, ready, stale, cluster, target */
        enum fed_use want;
    } rows[] = {
        {"all is well", {true, false, false, true, false, UP, UP}, FED_USE_YES},
        {"nothing was probed", {true, false, false, true, false, U, U}, FED_USE_YES},
        {"left the federation", {false, false, false, true, false, UP, UP}, FED_USE_NEVER},
        {"cluster lost, told or not", {true, false, false, true, false, DN, UP}, FED_USE_NO},
        {"cluster lost and offline", {true, true, false, true, false, DN, U}, FED_USE_NO},
        {"target down", {true, false, false, true, false, UP, DN}, FED_USE_NO},
        {"target down, cordoned", {true, false, true, true, false, UP, DN}, FED_USE_NO},
        {"no ready pod", {true, false, false, false, false, UP, UP}, FED_USE_NO},
        {"no ready pod, old word, but it answers", {true, false, false, false, true, UP, UP}, FED_USE_DOUBT},
        {"no ready pod, old word, not probed", {true, false, false, false, true, UP, U}, FED_USE_NO},
        {"offline, though it answers us", {true, true, false, true, false, UP, UP}, FED_USE_DOUBT},
        {"offline by an old word, it answers", {true, true, false, true, true, UP, UP}, FED_USE_YES},
        {"offline by an old word, its edge answers", {true, true, false, true, true, UP, U}, FED_USE_YES},
        {"offline by an old word, nothing heard", {true, true, false, true, true, U, U}, FED_USE_DOUBT},
        {"cordoned", {true, false, true, true, false, UP, UP}, FED_USE_DRAIN},
        {"cordoned and offline", {true, true, true, true, false, UP, UP}, FED_USE_DOUBT},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        if (fed_verdict(&rows[i].in) != rows[i].want)
            fail_msg("%s: %s, not %s", rows[i].what, fed_use_name(fed_verdict(&rows[i].in)),
                     fed_use_name(rows[i].want));
}

/* A target's history: s = question sent, a = answer, r = refusal, p = passive down, each at its time. */
static void histories(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct {
            char event;
            unsigned at;
        } events[10];
        enum fed_health was;
        unsigned now;
        enum fed_probe_verdict want;
    } rows[] = {
        {"first answer", {{'s', 1}, {'a', 2}}, U, 2, FED_PROBE_UP},
        {"one answer is not enough after a loss", {{'s', 1}, {'a', 2}}, DN, 2, FED_PROBE_KEEP},
        {"two are", {{'s', 1}, {'a', 2}, {'s', 251}, {'a', 252}}, DN, 252, FED_PROBE_UP},
        {"one refusal", {{'s', 1}, {'r', 2}}, UP, 3, FED_PROBE_KEEP},
        {"two refusals", {{'s', 1}, {'r', 2}, {'s', 52}, {'r', 53}}, UP, 53, FED_PROBE_DOWN},
        {"refused, answered, refused",
         {{'s', 1}, {'r', 2}, {'s', 52}, {'a', 53}, {'s', 300}, {'r', 301}},
         UP,
         301,
         FED_PROBE_KEEP},
        {"one silent question", {{'s', 100}}, UP, 700, FED_PROBE_KEEP},
        {"two, not long enough", {{'s', 100}, {'s', 350}}, UP, 499, FED_PROBE_KEEP},
        {"two, long enough", {{'s', 100}, {'s', 350}}, UP, 500, FED_PROBE_SILENT},
        {"the second was answered", {{'s', 100}, {'s', 350}, {'a', 360}}, UP, 900, FED_PROBE_KEEP},
        {"silent from the start", {{'s', 100}, {'s', 350}}, U, 500, FED_PROBE_SILENT},
        {"silent and down already", {{'s', 100}, {'s', 350}}, DN, 900, FED_PROBE_KEEP},
        {"workers found it down: held",
         {{'p', 100}, {'s', 110}, {'a', 111}, {'s', 360}, {'a', 361}},
         DN,
         361,
         FED_PROBE_KEEP},
        {"and let go", {{'p', 100}, {'s', 110}, {'a', 111}, {'s', 360}, {'a', 361}}, DN, 1100, FED_PROBE_UP},
        {"found down again soon: held for longer",
         {{'p', 100}, {'p', 2000}, {'s', 2010}, {'a', 2011}, {'s', 2260}, {'a', 2261}},
         DN,
         3500,
         FED_PROBE_KEEP},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_probe_seen p = {0};
        for (size_t e = 0; e < FED_ARRAY_LEN(rows[i].events) && rows[i].events[e].event; e++) {
            unsigned at = rows[i].events[e].at;
            switch (rows[i].events[e].event) {
            case 's':
                fed_probe_sent(&p, at);
                break;
            case 'a':
                fed_probe_answered(&p, at);
                break;
            case 'r':
                fed_probe_refused(&p, at);
                break;
            default:
                fed_probe_passive_down(&p, at);
                break;
            }
        }
        enum fed_probe_verdict got = fed_probe_judge(&p, rows[i].was, rows[i].now, 400);
        if (got != rows[i].want)
            fail_msg("%s: %d, not %d", rows[i].what, got, rows[i].want);
    }
    struct fed_probe_seen p = {0};
    fed_probe_sent(&p, 100);
    fed_probe_sent(&p, 350);
    fed_probe_forgive(&p, 300); /* we stood still ourselves */
    assert_int_equal(fed_probe_judge(&p, UP, 700, 400), FED_PROBE_KEEP);
    assert_int_equal(fed_probe_judge(&p, UP, 800, 400), FED_PROBE_SILENT);
}

static void witnesses(void **state)
{
    (void)state;
    /* cluster 0 is our own, 1 is silent since 1,000 */
    static const struct {
        const char *what;
        struct fed_probe_place places[4];
        size_t n;
        uint16_t own, cluster;
        bool want;
    } rows[] = {
        {"another was heard", {{true, 1500}, {true, 900}, {true, 1200}}, 3, 0, 1, true},
        {"another target of the same cluster was", {{true, 1500}, {true, 1300}, {true, 900}}, 3, 0, 1, true},
        {"nobody foreign was", {{true, 1500}, {true, 900}, {true, 900}}, 3, 0, 1, false},
        {"our own is no witness", {{true, 5000}, {true, 900}, {true, 950}}, 3, 0, 1, false},
        {"the others were down before", {{true, 1500}, {true, 900}, {false, 100}}, 3, 0, 1, true},
        {"there is no other", {{true, 1500}, {true, 900}}, 2, 0, 1, true},
        {"our own cluster needs none", {{true, 900}, {true, 900}, {true, 900}}, 3, 1, 1, true},
        {"we are in none of them", {{true, 900}, {true, 900}, {true, 900}}, 3, FED_NO_CLUSTER, 1, false},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        if (fed_probe_witness(rows[i].places, rows[i].n, rows[i].own, rows[i].cluster, 1000) != rows[i].want)
            fail_msg("%s", rows[i].what);
}

static void locating(void **state)
{
    (void)state;
    static const char *const networks[] = {"10.0.0.0/8=a", "10.1.0.0/16=b",   "192.0.2.0/24=c@50.45",
                                           "3.82",         "2001:db8::/32=d", "0.0.0.0/1=e"};
    struct fed_geo_conf conf = {.networks = networks, .n_networks = FED_ARRAY_LEN(networks)};
    struct fed_geo *g;
    struct fed_err err;
    static const struct {
        const char *ip, *region;
        unsigned bits;
    } rows[] = {
        {"10.2.3.4", "a", 15}, /* 10.0/15 would hold 10.1/16 too: one bit tells them apart from 10.2/15 */
        {"10.1.3.4", "b", 16},  {"10.0.3.4", "a", 16}, {"192.0.2.9", "c", 24},   {"192.0.3.9", NULL, 24},
        {"128.0.0.1", NULL, 2}, {"64.0.0.1", "e", 2},  {"2001:db8::1", "d", 32}, {"3001::1", NULL, 4},
    };
    assert_int_equal(fed_geo_new(&conf, &g, &err), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_addr a;
        struct fed_place p;
        assert_int_equal(fed_addr_parse(fed_str(rows[i].ip), 0, &a), 0);
        fed_geo_locate(g, &a, &p);
        if (p.known != (rows[i].region != NULL) || (p.known && !fed_str_is(p.region, rows[i].region)) ||
            p.bits != rows[i].bits)
            fail_msg("%s: %.*s/%u", rows[i].ip, FED_STR_ARG(p.region), p.bits);
        assert_int_equal(p.has_xyz, rows[i].region && rows[i].region[0] == 'c');
    }
    fed_geo_free(g);
    static const char *const wrong[] = {"10.0.0.0/8",  "10.0.0.1/8=a",      "x=a",
                                        "10.0.0.0/8=", "10.0.0.0/8=a@95,0", "10.0.0.0/8=a@north"};
    for (size_t i = 0; i < FED_ARRAY_LEN(wrong); i++) {
        struct fed_geo_conf bad = {.networks = &wrong[i], .n_networks = 1};
        if (fed_geo_new(&bad, &g, &err) == 0)
            fail_msg("%s was taken", wrong[i]);
    }
}

static void databases(void **state)
{
    (void)state;
    static const char *const networks[] = {"2.125.160.0/24=ours"};
    struct fed_geo_conf conf = {.networks = networks,
                                .n_networks = 1,
                                .mmdb_file = HANSA_SOURCE_DIR "/tests/data/geoip/GeoLite2-City-Test.mmdb"};
    struct fed_geo *g;
    struct fed_err err;
    double london[3];
    static const struct {
        const char *ip;
        bool known;
        unsigned bits;
    } rows[] = {
        {"81.2.69.142", true, 31}, {"2.125.160.217", true, 24}, {"127.0.0.1", false, 8}, {"2001:218::1", true, 32}};
    assert_int_equal(fed_geo_new(&conf, &g, &err), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_addr a;
        struct fed_place p;
        assert_int_equal(fed_addr_parse(fed_str(rows[i].ip), 0, &a), 0);
        fed_geo_locate(g, &a, &p);
        if (p.known != rows[i].known || p.bits != rows[i].bits)
            fail_msg("%s: known %d, bits %u", rows[i].ip, p.known, p.bits);
        if (i == 0) { /* London */
            fed_geo_xyz(51.5142, -0.0931, london);
            assert_true(fabs(p.xyz[0] - london[0]) < 0.01 && fabs(p.xyz[1] - london[1]) < 0.01);
        }
        if (i == 1) /* our table comes first */
            assert_true(fed_str_is(p.region, "ours"));
    }
    fed_geo_free(g);
    conf.mmdb_file = HANSA_SOURCE_DIR "/tests/data/geoip/GeoIP2-City-Test-Broken-Double-Format.mmdb";
    assert_int_equal(fed_geo_new(&conf, &g, &err), 0); /* opens; what is damaged in it is unknown */
    for (unsigned i = 0; i < 4096; i++) {
        char ip[32];
        struct fed_addr a;
        struct fed_place p;
        snprintf(ip, sizeof(ip), "%u.%u.%u.1", i & 255, i >> 4 & 255, i * 7 & 255);
        assert_int_equal(fed_addr_parse(fed_str(ip), 0, &a), 0);
        fed_geo_locate(g, &a, &p);
    }
    fed_geo_free(g);
    conf.mmdb_file = HANSA_SOURCE_DIR "/tests/data/geoip/GeoIP2-City-Test-Invalid-Node-Count.mmdb";
    if (!fed_geo_new(&conf, &g, &err))
        fed_geo_free(g); /* some versions of the library open it */
    conf.mmdb_file = HANSA_SOURCE_DIR "/tests/data/geoip/README.md";
    assert_int_equal(fed_geo_new(&conf, &g, &err), FED_E_CORRUPT);
}

static void distances(void **state)
{
    (void)state;
    double lat, lon;
    assert_true(fabs(fed_geo_km(50.45, 3.82, 50.45, 3.82)) < 0.001);
    assert_true(fabs(fed_geo_km(0, 0, 0, 180) - 20015) < 1);
    assert_true(fabs(fed_geo_km(52.52, 13.405, 48.8566, 2.3522) - 878) < 2); /* Berlin, Paris */
    assert_int_equal(fed_geo_parse_coordinates(FED_STR("50.45,3.82"), &lat, &lon), 0);
    assert_true(fabs(lat - 50.45) < 1e-9 && fabs(lon - 3.82) < 1e-9);
    assert_int_equal(fed_geo_parse_coordinates(FED_STR(" -33.9 , 151.2 "), &lat, &lon), 0);
    static const char *const bad[] = {"", "1", "1,", "91,0", "0,181", "a,b", "1,2,3", "nan,0", "inf,0"};
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++)
        assert_int_not_equal(fed_geo_parse_coordinates(fed_str(bad[i]), &lat, &lon), 0);
}

static void order(void **state)
{
    (void)state;
    struct fed_cluster c[5] = {
        {.name = FED_STR_INIT("us"), .region = FED_STR_INIT("us"), .has_place = true, .slot = 0},
        {.name = FED_STR_INIT("eu"), .region = FED_STR_INIT("eu"), .has_place = true, .slot = 1},
        {.name = FED_STR_INIT("as"), .region = FED_STR_INIT("as"), .has_place = true, .slot = 2},
        {.name = FED_STR_INIT("nowhere"), .region = FED_STR_INIT("far"), .slot = 3},
        {.name = FED_STR_INIT("eu2"), .region = FED_STR_INIT("eu"), .has_place = true, .slot = 4}};
    fed_geo_xyz(33.2, -80.0, c[0].xyz);
    fed_geo_xyz(50.45, 3.82, c[1].xyz);
    fed_geo_xyz(24.05, 120.52, c[2].xyz);
    fed_geo_xyz(60.0, 25.0, c[4].xyz);
    const struct fed_cluster *list[] = {&c[0], &c[1], &c[2], &c[3], &c[4]};
    struct fed_snapshot s = {.clusters = list, .n_clusters = 5, .own = 0};
    struct fed_place paris = {.known = true, .has_xyz = true}, region = {.known = true, .region = FED_STR("far")};
    struct fed_place asia = {.known = true, .region = FED_STR("as")}, unknown = {0};
    fed_geo_xyz(48.85, 2.35, paris.xyz);
    static const uint16_t by_paris[] = {1, 4, 0, 2, 3}, by_region[] = {3, 2, 1, 4, 0}, by_asia[] = {2, 4, 1, 0, 3},
                          by_own[] = {0, 1, 4, 2, 3};
    const struct {
        const struct fed_place *p;
        const uint16_t *want;
    } rows[] = {{&paris, by_paris}, {&region, by_region}, {&asia, by_asia}, {&unknown, by_own}};
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        uint16_t slots[] = {4, 3, 2, 1, 0};
        fed_geo_order(&s, rows[i].p, slots, 5);
        for (size_t k = 0; k < 5; k++)
            if (slots[k] != rows[i].want[k])
                fail_msg("row %zu: place %zu has %u, not %u", i, k, slots[k], rows[i].want[k]);
    }
}

static int released;
static void count_release(void *p)
{
    (void)p;
    released++;
}

static void epochs(void **state)
{
    (void)state;
    struct fed_epochs *e = fed_epochs_new(2);
    struct fed_epoch_reader *a = fed_epochs_reader(e), *b = fed_epochs_reader(e);
    assert_null(fed_epochs_reader(e));
    released = 0;
    fed_epoch_enter(a);
    fed_epochs_retire(e, e, count_release);
    assert_int_equal(fed_epochs_poll(e), 1);
    fed_epoch_enter(b); /* after the retirement: cannot hold it */
    fed_epoch_leave(a);
    assert_int_equal(fed_epochs_poll(e), 0);
    assert_int_equal(released, 1);
    fed_epochs_retire(e, e, count_release);
    assert_int_equal(fed_epochs_poll(e), 1);
    fed_epoch_leave(b);
    fed_epochs_free(e);
    assert_int_equal(released, 2);
}

static void targets(void **state)
{
    (void)state;
    struct fed_targets *t = fed_targets_new();
    struct fed_addr a;
    assert_int_equal(fed_addr_parse(FED_STR("192.0.2.1"), 80, &a), 0);
    uint16_t one = fed_targets_slot(t, FED_STR("one"));
    assert_int_equal(one, 0);
    assert_int_equal(fed_targets_slot(t, FED_STR("two")), 1);
    assert_int_equal(fed_targets_slot(t, FED_STR("one")), 0);
    struct fed_target *x = fed_targets_ref(t, FED_PROBE_TCP, &a, one), *y = fed_targets_ref(t, FED_PROBE_TCP, &a, one);
    assert_ptr_equal(x, y);
    assert_ptr_not_equal(x, fed_targets_ref(t, FED_PROBE_HTTP, &a, one));
    fed_target_report(x, false);
    fed_target_report(x, false);
    fed_target_report(x, true);
    fed_target_report(x, false);
    fed_target_report(x, false);
    assert_int_equal(fed_target_health(x), FED_HEALTH_UNKNOWN);
    fed_target_report(x, false);
    assert_int_equal(fed_target_health(x), FED_HEALTH_DOWN);
    fed_target_pin(x);
    fed_targets_unref(t, x);
    fed_targets_unref(t, x);
    assert_int_equal(fed_targets_count(t), 1);
    fed_target_report(x, true); /* still there */
    fed_target_unpin(x);
    fed_targets_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts), cmocka_unit_test(histories), cmocka_unit_test(witnesses),
        cmocka_unit_test(locating), cmocka_unit_test(databases), cmocka_unit_test(distances),
        cmocka_unit_test(order),    cmocka_unit_test(epochs),    cmocka_unit_test(targets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
