/* SPDX-License-Identifier: Apache-2.0 */
/* Environments as the kubelet makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "member/agent/env.h"

static struct fed_arena arena;

static struct fed_json *parse(const char *text)
{
    struct fed_json *v;
    struct fed_err err = {0};
    if (fed_json_parse(&arena, fed_str(text), NULL, &v, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static int release(void **state)
{
    (void)state;
    fed_arena_release(&arena);
    return 0;
}

static void test_expand(void **state)
{
    static const struct {
        const char *in, *want;
    } t[] = {{"plain", "plain"}, {"$(A)", "1"},    {"x$(A)y$(B)z", "x1y2z"}, {"$(NONE)", "$(NONE)"},
             {"$$(A)", "$(A)"},  {"$$$(A)", "$1"}, {"$(A", "$(A"},           {"$A", "$A"},
             {"$", "$"},         {"a$$", "a$"},    {"$()", "$()"},           {"$(A)$(A)", "11"}};
    struct mbr_vars vars = {0};
    (void)state;
    mbr_vars_set(&arena, &vars, FED_STR("A"), FED_STR("1"));
    mbr_vars_set(&arena, &vars, FED_STR("B"), FED_STR("2"));
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_str got = mbr_env_expand(&arena, fed_str(t[i].in), &vars);
        if (!fed_str_is(got, t[i].want))
            fail_msg("%s: %.*s, not %s", t[i].in, FED_STR_ARG(got), t[i].want);
    }
}

static const struct fed_json *config_map(void *ud, struct fed_str name)
{
    (void)ud;
    return fed_str_is(name, "cm") ? parse("{\"data\":{\"k\":\"v\",\"l\":\"w\"}}") : NULL;
}
static const struct fed_json *secret(void *ud, struct fed_str name)
{
    (void)ud;
    return fed_str_is(name, "s") ? parse("{\"data\":{\"p\":\"cGFzcw==\"}}") : NULL;
}

static struct mbr_env_sources sources(void)
{
    return (struct mbr_env_sources){
        .a = &arena,
        .pod = parse("{\"metadata\":{\"name\":\"p-1\",\"namespace\":\"ns\",\"uid\":\"u\",\"labels\":{\"app\":\"a.b\"},"
                     "\"annotations\":{\"x/y\":\"z\"}},\"spec\":{\"nodeName\":\"n\",\"serviceAccountName\":\"sa\"}}"),
        .pod_ip = FED_STR("127.64.64.1"),
        .host_ip = FED_STR("127.64.0.1"),
        .node_cpu_milli = 2000,
        .node_memory = 4096,
        .config_map = config_map,
        .secret = secret};
}

static void test_build(void **state)
{
    struct mbr_env_sources src = sources();
    struct mbr_vars vars = {0};
    struct fed_err err = {0};
    static const struct {
        const char *name, *want;
    } t[] = {{"A", "1"},      {"B", "1-x"},          {"K", "v"},    {"P", "pass"}, {"NAME", "p-1"}, {"APP", "a.b"},
             {"ANN", "z"},    {"IP", "127.64.64.1"}, {"CM_k", "v"}, {"CM_l", "w"}, {"p", "pass"},   {"CPU", "2"},
             {"CPUM", "500"}, {"MEM", "4096"},       {"EMPTY", ""}};
    (void)state;
    const struct fed_json *c = parse(
        "{\"resources\":{\"limits\":{\"cpu\":\"1500m\"},\"requests\":{\"cpu\":\"500m\"}},"
        "\"envFrom\":[{\"prefix\":\"CM_\",\"configMapRef\":{\"name\":\"cm\"}},{\"secretRef\":{\"name\":\"s\"}},"
        "{\"secretRef\":{\"name\":\"none\",\"optional\":true}}],"
        "\"env\":[{\"name\":\"A\",\"value\":\"1\"},{\"name\":\"B\",\"value\":\"$(A)-x\"},{\"name\":\"EMPTY\"},"
        "{\"name\":\"K\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"k\"}}},"
        "{\"name\":\"P\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"p\"}}},"
        "{\"name\":\"OPT\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"none\",\"optional\":true}}},"
        "{\"name\":\"NAME\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}},"
        "{\"name\":\"APP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.labels['app']\"}}},"
        "{\"name\":\"ANN\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.annotations['x/y']\"}}},"
        "{\"name\":\"IP\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"status.podIP\"}}},"
        "{\"name\":\"CPU\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"limits.cpu\"}}},"
        "{\"name\":\"CPUM\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"requests.cpu\",\"divisor\":\"1m\"}}},"
        "{\"name\":\"MEM\",\"valueFrom\":{\"resourceFieldRef\":{\"resource\":\"limits.memory\"}}}]}");
    int rc = mbr_env_build(&src, c, &vars, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_str got = mbr_vars_find(&vars, fed_str(t[i].name));
        if (!got.p || !fed_str_is(got, t[i].want))
            fail_msg("%s: '%.*s', not '%s'", t[i].name, FED_STR_ARG(got), t[i].want);
    }
    assert_null(mbr_vars_find(&vars, FED_STR("OPT")).p);
}

static void test_missing(void **state)
{
    static const char *const t[] = {
        "{\"env\":[{\"name\":\"A\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"none\",\"key\":\"k\"}}}]}",
        "{\"env\":[{\"name\":\"A\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"cm\",\"key\":\"none\"}}}]}",
        "{\"env\":[{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"none\",\"key\":\"k\"}}}]}",
        "{\"envFrom\":[{\"configMapRef\":{\"name\":\"none\"}}]}"};
    struct mbr_env_sources src = sources();
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct mbr_vars vars = {0};
        assert_int_equal(mbr_env_build(&src, parse(t[i]), &vars, NULL), FED_E_NOT_FOUND);
    }
}

static void test_services(void **state)
{
    static const struct {
        const char *name, *want;
    } t[] = {{"MY_DB_SERVICE_HOST", "127.64.128.9"},
             {"MY_DB_SERVICE_PORT", "5432"},
             {"MY_DB_SERVICE_PORT_SQL", "5432"},
             {"MY_DB_PORT", "tcp://127.64.128.9:5432"},
             {"MY_DB_PORT_5432_TCP", "tcp://127.64.128.9:5432"},
             {"MY_DB_PORT_5432_TCP_PROTO", "tcp"},
             {"MY_DB_PORT_53_UDP_ADDR", "127.64.128.9"},
             {"MY_DB_PORT_53_UDP_PORT", "53"}};
    struct mbr_vars vars = {0};
    (void)state;
    mbr_env_service(&arena, &vars, FED_STR("my-db"), FED_STR("127.64.128.9"),
                    parse("[{\"name\":\"sql\",\"port\":5432},{\"name\":\"dns\",\"port\":53,\"protocol\":\"UDP\"}]"));
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++)
        assert_true(fed_str_is(mbr_vars_find(&vars, fed_str(t[i].name)), t[i].want));
}

static void test_rewrite(void **state)
{
    static const struct {
        const char *in, *want;
    } t[] = {{"/etc/hansa", "/v"},
             {"/etc/hansa/a", "/v/a"},
             {"/etc/hansat", "/etc/hansat"},
             {"etc/hansa", "etc/hansa"},
             {"", ""}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++)
        assert_true(
            fed_str_is(mbr_rewrite_path(&arena, fed_str(t[i].in), FED_STR("/etc/hansa"), FED_STR("/v")), t[i].want));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_build),
                                       cmocka_unit_test(test_missing), cmocka_unit_test(test_services),
                                       cmocka_unit_test(test_rewrite)};
    return cmocka_run_group_tests(tests, NULL, release);
}
