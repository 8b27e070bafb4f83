/* SPDX-License-Identifier: Apache-2.0 */
/* What the texts of flags mean. */
#include "fedctl/plan.h"

#include "tests/unit/unit.h"

static struct fed_strings list(const char **v)
{
    size_t n = 0;
    while (v[n])
        n++;
    return (struct fed_strings){v, n};
}

static void test_provider(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool good;
        const char *says;
    } cases[] = {{NULL, true, NULL},
                 {"hansa", true, NULL},
                 {"google-clouddns", false, "delegate the zone"},
                 {"aws-route53", false, "--dns-provider=hansa"},
                 {"azure-azuredns", false, "--dns-provider=hansa"},
                 {"coredns", false, "--dns-provider=hansa"},
                 {"bind", false, "unknown"}};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_err err = {0};
        CHECK(cases[i].value, (fctl_check_provider(cases[i].value, &err) == 0) == cases[i].good);
        CHECK(cases[i].value, cases[i].good || strstr(err.text, cases[i].says));
    }
}

static void test_zone(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want; /* NULL: refused */
    } cases[] = {{"example.com", "example.com."},
                 {"example.com.", "example.com."},
                 {"a", "a."},
                 {"", NULL},
                 {".", NULL},
                 {"Example.com", NULL},
                 {"a..b", NULL},
                 {"under_score.com", NULL}};
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const char *zone = NULL;
        int code = fctl_parse_zone(&a, cases[i].in, &zone, NULL);
        CHECK(cases[i].in, (code == 0) == (cases[i].want != NULL));
        if (cases[i].want)
            CHECK_TEXT(cases[i].in, fed_str(zone), cases[i].want);
    }
    fed_arena_release(&a);
}

static void test_coordinates(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool good;
    } cases[] = {{"50.45,3.82", true}, {"-33,151.2", true}, {"90,180", true}, {"-90,-180", true}, {"50.45, 3.82", true},
                 {"91,0", false},      {"0,181", false},    {"50.45", false}, {"50.45,", false},  {",3", false},
                 {"a,b", false},       {"1,2,3", false},    {"1e1,2", false}, {"nan,nan", false}, {"0x1,2", false},
                 {"1-,2", false},      {"", false}};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        CHECK(cases[i].in, (fctl_check_coordinates(cases[i].in, NULL) == 0) == cases[i].good);
}

static void test_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in[5], *want[7]; /* want[0] NULL: refused */
    } cases[] = {
        {"one", {"--v=4"}, {"--v", "4"}},
        {"two", {"--v=4", "--store=mem"}, {"--v", "4", "--store", "mem"}},
        {"value with commas",
         {"--networks=192.0.2.0/24=a", "198.51.100.0/24=b", "--v=1"},
         {"--networks", "192.0.2.0/24=a,198.51.100.0/24=b", "--v", "1"}},
        {"empty value", {"--v="}, {"--v", ""}},
        {"no value", {"--v"}, {NULL}},
        {"no dashes", {"v=1"}, {NULL}},
        {"no name", {"--=1"}, {NULL}},
    };
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_strings in = list((const char **)cases[i].in), want = list((const char **)cases[i].want), out;
        int code = fctl_parse_overrides(&a, "x", &in, &out, NULL);
        CHECK(cases[i].name, (code == 0) == (want.n > 0));
        if (code)
            continue;
        CHECK(cases[i].name, out.n == want.n);
        for (size_t k = 0; k < want.n; k++)
            CHECK_TEXT(cases[i].name, fed_str(out.v[k]), want.v[k]);
    }
    fed_arena_release(&a);
}

static void test_labels(void **state)
{
    (void)state;
    static const struct {
        const char *in, *key, *value; /* key NULL: refused */
    } cases[] = {{"tier=web", "tier", "web"},
                 {"a.b/c=", "a.b/c", ""},
                 {"tier", NULL, NULL},
                 {"=web", NULL, NULL},
                 {"tier=a b", NULL, NULL}};
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_strings in = {(const char **)&cases[i].in, 1};
        struct fed_json *out = NULL;
        int code = fctl_parse_labels(&a, "labels", &in, &out, NULL);
        CHECK(cases[i].in, (code == 0) == (cases[i].key != NULL));
        if (code == 0)
            CHECK_TEXT(cases[i].in, fed_json_find_text(out, cases[i].key), cases[i].value);
    }
    fed_arena_release(&a);
}

static void test_clusters(void **state)
{
    (void)state;
    static const struct {
        const char *name, *in[6];
        size_t n; /* 0: refused */
        struct fctl_place last;
    } cases[] = {
        {"name only", {"paris"}, 1, {"paris", NULL, NULL, NULL, NULL}},
        {"two", {"paris", "rome=eu/eu-a"}, 2, {"rome", "eu", "eu-a", NULL, NULL}},
        {"coordinates", {"rome=eu/eu-a@41.9", "12.5"}, 1, {"rome", "eu", "eu-a", "41.9,12.5", NULL}},
        {"coordinates, then another", {"rome=eu/eu-a@41.9", "12.5", "oslo"}, 2, {"oslo", NULL, NULL, NULL, NULL}},
        {"no zone", {"rome=eu"}, 0, {0}},
        {"no region", {"rome=/eu-a"}, 0, {0}},
        {"no place", {"rome="}, 0, {0}},
        {"half a coordinate", {"rome=eu/eu-a@41.9"}, 0, {0}},
        {"bad name", {"Rome"}, 0, {0}},
        {"digit first", {"1rome"}, 0, {0}},
        {"twice", {"rome", "rome"}, 0, {0}},
        {"none", {NULL}, 0, {0}},
    };
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_strings in = list((const char **)cases[i].in);
        struct fctl_place *out = NULL;
        size_t n = 0;
        int code = fctl_parse_clusters(&a, &in, &out, &n, NULL);
        CHECK(cases[i].name, (code == 0) == (cases[i].n > 0));
        if (code)
            continue;
        CHECK(cases[i].name, n == cases[i].n);
        const struct fctl_place *got = &out[n - 1], *want = &cases[i].last;
        CHECK_TEXT(cases[i].name, fed_str(got->name), want->name);
        CHECK_TEXT(cases[i].name, fed_str(got->region ? got->region : "-"), want->region ? want->region : "-");
        CHECK_TEXT(cases[i].name, fed_str(got->zone ? got->zone : "-"), want->zone ? want->zone : "-");
        CHECK_TEXT(cases[i].name, fed_str(got->coordinates ? got->coordinates : "-"),
                   want->coordinates ? want->coordinates : "-");
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_provider),    cmocka_unit_test(test_zone),
                                       cmocka_unit_test(test_coordinates), cmocka_unit_test(test_overrides),
                                       cmocka_unit_test(test_labels),      cmocka_unit_test(test_clusters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
