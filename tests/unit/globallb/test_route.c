/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of Ingress v1, among them the scenarios of the ingress controller conformance suite. */
#include "unit/unit.h"

#include "globallb/route/route.h"

#define HOST(h, ...)                                                                                                   \
    {                                                                                                                  \
        .host = FED_STR_INIT(h), .paths = (struct fed_ingress_path[]){__VA_ARGS__},                                    \
        .n_paths = sizeof((struct fed_ingress_path[]){__VA_ARGS__}) / sizeof(struct fed_ingress_path)                  \
    }
#define EXACT(p, s)                                                                                                    \
    {                                                                                                                  \
        FED_STR_INIT(p), FED_PATH_EXACT,                                                                               \
        {                                                                                                              \
            .service = FED_STR_INIT(s), .port = 80                                                                     \
        }                                                                                                              \
    }
#define PREFIX(p, s)                                                                                                   \
    {                                                                                                                  \
        FED_STR_INIT(p), FED_PATH_PREFIX,                                                                              \
        {                                                                                                              \
            .service = FED_STR_INIT(s), .port = 80                                                                     \
        }                                                                                                              \
    }
#define ANYHOW(p, s)                                                                                                   \
    {                                                                                                                  \
        FED_STR_INIT(p), FED_PATH_IMPLEMENTATION,                                                                      \
        {                                                                                                              \
            .service = FED_STR_INIT(s), .port = 80                                                                     \
        }                                                                                                              \
    }

static const struct fed_ingress_rule host_rules[] = {
    HOST("foo.bar.com", PREFIX("/", "foo-bar-com")),
    HOST("*.foo.com", PREFIX("/", "wildcard-foo-com")),
};
static const struct fed_ingress_rule path_rules[] = {
    HOST("exact-path-rules", EXACT("/foo", "foo-exact")),
    HOST("prefix-path-rules", PREFIX("/foo", "foo-prefix"), PREFIX("/aaa/bbb", "aaa-slash-bbb-prefix"),
         PREFIX("/aaa", "aaa-prefix")),
    HOST("mixed-path-rules", PREFIX("/foo", "foo-prefix"), EXACT("/foo", "foo-exact")),
    HOST("trailing-slash-path-rules", PREFIX("/aaa/bbb/", "aaa-slash-bbb-slash-prefix"),
         EXACT("/foo/", "foo-slash-exact")),
    HOST("anyhow", ANYHOW("/static/*", "static"), ANYHOW("/", "rest")),
    HOST("only-root", EXACT("/", "root")),
};
static const struct fed_ingress_rule fallback_rules[] = {HOST("with-fallback", PREFIX("/here", "here"))};
static const struct fed_ingress_rule other_class[] = {HOST("other-class", PREFIX("/", "other"))};
static const struct fed_ingress_rule our_class[] = {HOST("our-class", PREFIX("/", "ours"))};
static const struct fed_ingress_rule younger[] = {
    HOST("foo.bar.com", PREFIX("/", "younger"), PREFIX("/more", "more"), EXACT("/", "root-exact"))};

#define INGRESS(n, r)                                                                                                  \
    {                                                                                                                  \
        .ns = FED_STR_INIT("ns"), .name = FED_STR_INIT(n), .rules = r, .n_rules = sizeof(r) / sizeof(*r)               \
    }
static const struct fed_ingress ingresses[] = {
    INGRESS("hosts", host_rules),
    INGRESS("paths", path_rules),
    INGRESS("younger", younger),
    {.ns = FED_STR_INIT("ns"),
     .name = FED_STR_INIT("fallback"),
     .rules = fallback_rules,
     .n_rules = 1,
     .fallback = {.service = FED_STR_INIT("default-svc"), .port = 80}},
    {.ns = FED_STR_INIT("ns"),
     .name = FED_STR_INIT("other"),
     .rules = other_class,
     .n_rules = 1,
     .class_name = FED_STR_INIT("some-invalid-class-name")},
    {.ns = FED_STR_INIT("ns"),
     .name = FED_STR_INIT("ours"),
     .rules = our_class,
     .n_rules = 1,
     .class_name = FED_STR_INIT("hansa")},
};

static struct glb_routes *make(const size_t *which, size_t n)
{
    const struct fed_ingress *list[8];
    for (size_t i = 0; i < n; i++)
        list[i] = &ingresses[which[i]];
    struct fed_snapshot s = {.ingresses = list, .n_ingresses = n};
    const char *classes[] = {"hansa"};
    return glb_routes_new(&s, classes, 1);
}

struct row {
    const char *name, *host, *path, *want; /* want "": 404 */
};

static void check_rows(const struct glb_routes *r, const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct glb_backend *b = glb_routes_find(r, fed_str(rows[i].host), fed_str(rows[i].path));
        CHECK_TEXT(rows[i].name, b ? b->service : FED_STR(""), rows[i].want);
    }
}

static void test_conformance(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"host rule", "foo.bar.com", "/", "foo-bar-com"},
        {"host rule, port", "foo.bar.com:8080", "/", "foo-bar-com"},
        {"host rule, case and dot", "FOO.bar.COM.", "/", "foo-bar-com"},
        {"unknown host", "subdomain.bar.com", "/", ""},
        {"wildcard", "bar.foo.com", "/", "wildcard-foo-com"},
        {"wildcard is one label", "baz.bar.foo.com", "/", ""},
        {"wildcard needs a label", "foo.com", "/", ""},
        {"exact", "exact-path-rules", "/foo", "foo-exact"},
        {"exact with slash", "exact-path-rules", "/foo/", ""},
        {"exact case", "exact-path-rules", "/FOO", ""},
        {"exact other", "exact-path-rules", "/bar", ""},
        {"prefix", "prefix-path-rules", "/foo", "foo-prefix"},
        {"prefix with slash", "prefix-path-rules", "/foo/", "foo-prefix"},
        {"prefix case", "prefix-path-rules", "/FOO", ""},
        {"longest prefix wins", "prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"},
        {"longest prefix, deeper", "prefix-path-rules", "/aaa/bbb/ccc", "aaa-slash-bbb-prefix"},
        {"shorter prefix", "prefix-path-rules", "/aaa/ccc", "aaa-prefix"},
        {"by element", "prefix-path-rules", "/aaaccc", ""},
        {"by element, deeper", "prefix-path-rules", "/aaa/bbbb", "aaa-prefix"},
        {"exact before prefix", "mixed-path-rules", "/foo", "foo-exact"},
        {"prefix beside exact", "mixed-path-rules", "/foo/x", "foo-prefix"},
        {"prefix slash ignored", "trailing-slash-path-rules", "/aaa/bbb", "aaa-slash-bbb-slash-prefix"},
        {"prefix slash, with it", "trailing-slash-path-rules", "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"},
        {"exact slash counts", "trailing-slash-path-rules", "/foo", ""},
        {"exact slash, with it", "trailing-slash-path-rules", "/foo/", "foo-slash-exact"},
        {"implementation specific", "anyhow", "/static/a.css", "static"},
        {"implementation specific root", "anyhow", "/other", "rest"},
        {"exact root", "only-root", "/", "root"},
        {"exact root only", "only-root", "/x", ""},
        {"class unknown", "other-class", "/", ""},
        {"class ours", "our-class", "/", "ours"},
        {"empty host", "", "/", ""},
        {"star", "foo.bar.com", "*", ""},
    };
    size_t all[] = {0, 1, 4, 5};
    struct glb_routes *r = make(all, 4);
    check_rows(r, rows, FED_ARRAY_LEN(rows));
    glb_routes_unref(r);
    size_t with_younger[] = {0, 2};
    static const struct row young[] = {
        {"younger adds a path", "foo.bar.com", "/more/x", "more"},
        {"the older prefix stays", "foo.bar.com", "/x", "foo-bar-com"},
        {"exact of the younger", "foo.bar.com", "/", "root-exact"},
    };
    r = make(with_younger, 2);
    check_rows(r, young, FED_ARRAY_LEN(young));
    glb_routes_unref(r);
}

static void test_default_backend(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"rule", "with-fallback", "/here/x", "here"},
        {"its own fallback", "with-fallback", "/there", "default-svc"},
        {"any host", "nobody", "/", "default-svc"},
        {"another ingress' host", "exact-path-rules", "/bar", "default-svc"},
        {"rule elsewhere", "exact-path-rules", "/foo", "foo-exact"},
    };
    size_t which[] = {1, 3};
    struct glb_routes *r = make(which, 2);
    check_rows(r, rows, FED_ARRAY_LEN(rows));
    glb_routes_unref(r);
    r = make(NULL, 0);
    assert_null(glb_routes_find(r, FED_STR("a"), FED_STR("/")));
    assert_int_equal(glb_routes_count(r), 0);
    glb_routes_unref(r);
}

static void test_many_paths(void **state)
{
    (void)state;
    enum { N = 3000 };
    static struct fed_ingress_path paths[N];
    static char texts[N][32];
    for (int i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "/a%d/b/c%d", i % 7, i);
        paths[i] = (struct fed_ingress_path){
            fed_str(texts[i]), i % 2 ? FED_PATH_EXACT : FED_PATH_PREFIX, {.service = fed_str(texts[i] + 1), .port = 1}};
    }
    struct fed_ingress_rule rule = {.host = FED_STR("h"), .paths = paths, .n_paths = N};
    struct fed_ingress in = {.ns = FED_STR("n"), .name = FED_STR("i"), .rules = &rule, .n_rules = 1};
    const struct fed_ingress *list[] = {&in};
    struct fed_snapshot s = {.ingresses = list, .n_ingresses = 1};
    struct glb_routes *r = glb_routes_new(&s, NULL, 0);
    assert_int_equal(glb_routes_count(r), N);
    for (int i = 0; i < N; i++) {
        char deeper[48];
        snprintf(deeper, sizeof(deeper), "%.31s/x", texts[i]);
        CHECK_TEXT(texts[i], glb_routes_find(r, FED_STR("h"), fed_str(texts[i]))->service, texts[i] + 1);
        const struct glb_backend *b = glb_routes_find(r, FED_STR("h"), fed_str(deeper));
        CHECK(deeper, (b != NULL) == (i % 2 == 0));
    }
    glb_routes_unref(r);
}

static void test_host_matches(void **state)
{
    (void)state;
    assert_true(glb_route_host_matches(FED_STR("a.b"), FED_STR("a.b")));
    assert_true(glb_route_host_matches(FED_STR("*.b"), FED_STR("a.b")));
    assert_false(glb_route_host_matches(FED_STR("*.b"), FED_STR("b")));
    assert_false(glb_route_host_matches(FED_STR("*.b"), FED_STR("x.a.b")));
    assert_false(glb_route_host_matches(FED_STR("*.b"), FED_STR(".b")));
    char room[256];
    CHECK_TEXT("ipv6", glb_route_host(FED_STR("[::1]:80"), room), "[::1]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_default_backend),
        cmocka_unit_test(test_many_paths),
        cmocka_unit_test(test_host_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
