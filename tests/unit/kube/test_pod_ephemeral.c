/* SPDX-License-Identifier: Apache-2.0 */
/* Ephemeral containers are added to a pod by their subresource alone, and stay as they were added. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/schema.h"

#define POD(more) "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]" more "}}"
#define GUEST     "{\"name\":\"g\",\"image\":\"i\"}"
#define WITH(c)   POD(",\"ephemeralContainers\":[" c "]")

static void rules(void **state)
{
    static const struct {
        const char *sub, *old, *now, *wrong; /* wrong: field and words of the only cause; NULL: none */
    } cases[] = {
        {"", NULL, POD(""), NULL},
        {"", NULL, WITH(GUEST), "spec.ephemeralContainers Forbidden: cannot be set on create"},
        {"", POD(""), WITH(GUEST), "spec Forbidden: pod updates may not change"},
        {"", WITH(GUEST), POD(""), "spec Forbidden: pod updates may not change"},
        {"", WITH(GUEST), WITH(GUEST), NULL},
        {"ephemeralcontainers", POD(""), WITH(GUEST), NULL},
        {"ephemeralcontainers", WITH(GUEST), WITH(GUEST ",{\"name\":\"h\",\"image\":\"i\"}"), NULL},
        {"ephemeralcontainers", WITH(GUEST), POD(""),
         "spec.ephemeralContainers Forbidden: existing ephemeral containers \"g\" may not be removed"},
        {"ephemeralcontainers", WITH(GUEST), WITH("{\"name\":\"g\",\"image\":\"j\"}"),
         "spec.ephemeralContainers Forbidden: existing ephemeral containers \"g\" may not be changed"},
        {"ephemeralcontainers", POD(""), WITH("{\"name\":\"a\",\"image\":\"i\"}"), "spec.ephemeralContainers[0].name "},
        {"ephemeralcontainers", POD(""), WITH("{\"name\":\"g\",\"image\":\"i\",\"targetContainerName\":\"a\"}"), NULL},
        {"ephemeralcontainers", POD(""), WITH("{\"name\":\"g\",\"image\":\"i\",\"targetContainerName\":\"x\"}"),
         "spec.ephemeralContainers[0].targetContainerName "},
        {"ephemeralcontainers", POD(""), WITH("{\"name\":\"g\",\"image\":\"i\",\"ports\":[{\"containerPort\":1}]}"),
         "spec.ephemeralContainers[0].ports Forbidden: cannot be set for an Ephemeral Container"},
        {"ephemeralcontainers", POD(""),
         WITH("{\"name\":\"g\",\"image\":\"i\",\"resources\":{\"limits\":{\"cpu\":\"1\"}}}"),
         "spec.ephemeralContainers[0].resources Forbidden: cannot be set for an Ephemeral Container"},
    };
    struct fed_kinds *k = fed_kinds_new();
    (void)state;
    assert_int_equal(fed_kinds_add_core(k, NULL, NULL), 0);
    const struct fed_kind_version *v = fed_kinds_by_kind(k, FED_STR("v1"), FED_STR("Pod"));
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_causes causes = {.arena = &a};
        struct fed_json *old = NULL, *now = NULL;
        struct fed_write w = {.arena = &a, .kind = v->kind, .version = v, .subresource = fed_str(cases[i].sub)};
        if (cases[i].old)
            assert_int_equal(fed_json_parse(&a, fed_str(cases[i].old), NULL, &old, NULL), 0);
        assert_int_equal(fed_json_parse(&a, fed_str(cases[i].now), NULL, &now, NULL), 0);
        w.old = old;
        v->kind->hooks.validate(v->kind->hooks.ud, &w, now, &causes);
        struct fed_buf said = {0};
        for (size_t n = 0; n < causes.n; n++)
            fed_buf_addf(&said, "%.*s %.*s\n", FED_STR_ARG(causes.items[n].field),
                         FED_STR_ARG(causes.items[n].message));
        if (causes.n != (cases[i].wrong != NULL) ||
            (cases[i].wrong && !fed_str_starts(fed_buf_str(&said), fed_str(cases[i].wrong))))
            fail_msg("%zu: %s", i, fed_buf_z(&said));
        fed_buf_release(&said);
        fed_arena_release(&a);
    }
    fed_kinds_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
