/* SPDX-License-Identifier: Apache-2.0 */
/* StatefulSets: which pod next. A pod is a letter: '.' missing, 'o' old, 'n' new, 'O'/'N' the same not available, 'X' so
 * of an update that failed, 'd' deleting, 'e' ended; the answer: '+' make, '-' delete, ' ' leave. */
#include "member/controllers/setplan.h"
#include "tests/unit/unit.h"

struct set_case {
    const char *name, *pods, *extra;
    bool parallel, on_delete;
    int64_t partition;
    const char *want, *want_extra;
};
static const struct set_case cases[] = {
    {"the first first", "...", "", .want = "+  ", .want_extra = ""},
    {"waits for the first", "N..", "", .want = "   ", .want_extra = ""},
    {"then the second", "n..", "", .want = " + ", .want_extra = ""},
    {"all at once", "...", "", .parallel = true, .want = "+++", .want_extra = ""},
    {"a gap is filled first", "n.n", "", .want = " + ", .want_extra = ""},
    {"one that goes is waited for", "d.n", "", .want = "   ", .want_extra = ""},
    {"an ended one is replaced", "en", "", .want = "- ", .want_extra = ""},
    {"surplus: the last", "nn", "nn", .want = "  ", .want_extra = "- "},
    {"surplus: one at a time", "nn", "dn", .want = "  ", .want_extra = "  "},
    {"surplus waits for the wanted", "nN", "n", .want = "  ", .want_extra = " "},
    {"surplus at once", "nn", "nn", .parallel = true, .want = "  ", .want_extra = "--"},
    {"update from the end", "ooo", "", .want = "  -", .want_extra = ""},
    {"update goes on", "oon", "", .want = " - ", .want_extra = ""},
    {"update waits", "ooN", "", .parallel = true, .want = "   ", .want_extra = ""},
    {"update waits for one that goes", "ood", "", .parallel = true, .want = "   ", .want_extra = ""},
    {"update down to the partition", "oon", "", .partition = 2, .want = "   ", .want_extra = ""},
    {"the partition itself", "ooo", "", .partition = 2, .want = "  -", .want_extra = ""},
    {"on delete: nothing", "ooo", "", .on_delete = true, .want = "   ", .want_extra = ""},
    {"parallel: one update at a time", "ooo", "", .parallel = true, .want = "  -", .want_extra = ""},
    {"a sick one of an update that failed is replaced", "nX", "", .want = " -", .want_extra = ""},
    {"a sick one of before is waited for", "nO", "", .want = "  ", .want_extra = ""},
    {"a sick new one is waited for", "oN", "", .want = "  ", .want_extra = ""},
    {"no surplus before the update is seen", "", "n", .want = "", .want_extra = "-"},
};

static size_t read_pods(const char *text, struct mbr_set_pod *out, bool extra)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool ready = c == 'o' || c == 'n';
        out[i] = (struct mbr_set_pod){.ordinal = extra ? (int64_t)(100 - i) : (int64_t)i,
                                      .exists = c != '.',
                                      .deleting = c == 'd',
                                      .ended = c == 'e',
                                      .ready = ready,
                                      .available = ready,
                                      .updated = c == 'n' || c == 'N',
                                      .settled = c == 'o' || c == 'O'};
    }
    return n;
}

static void check(const char *name, const struct mbr_set_pod *pods, size_t n, const char *want)
{
    char got[16] = "";
    for (size_t i = 0; i < n; i++)
        got[i] = pods[i].action == MBR_SET_CREATE ? '+' : pods[i].action == MBR_SET_DELETE ? '-' : ' ';
    CHECK_TEXT(name, fed_str(got), want);
}

static void test_plans(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const struct set_case *c = &cases[i];
        struct mbr_set_pod pods[8], extra[8];
        struct mbr_setplan p = {.parallel = c->parallel,
                                .on_delete = c->on_delete,
                                .partition = c->partition,
                                .pods = pods,
                                .n = read_pods(c->pods, pods, false),
                                .extra = extra,
                                .n_extra = read_pods(c->extra, extra, true)};
        mbr_setplan_make(&p);
        check(c->name, pods, p.n, c->want);
        check(c->name, extra, p.n_extra, c->want_extra);
    }
}

static void test_ordinals(void **state)
{
    static const struct {
        const char *pod;
        int64_t want;
    } names[] = {{"db-0", 0},  {"db-12", 12}, {"db", -1},     {"db-", -1},           {"db-01", -1},
                 {"dc-1", -1}, {"db-x", -1},  {"db-1-2", -1}, {"db-99999999999", -1}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        CHECK(names[i].pod, mbr_set_ordinal("db", 2, names[i].pod, strlen(names[i].pod)) == names[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans), cmocka_unit_test(test_ordinals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
