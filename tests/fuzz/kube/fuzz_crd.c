/* SPDX-License-Identifier: Apache-2.0 */
/* Two lines of JSON, the schema of a custom kind and an object: whatever passes the checks compiles, and prunes,
 * defaults and validates objects without harm; doing so twice changes nothing. */
#include <stdint.h>

#include "kube/crd.h"
#include "kube/rules.h"
#include "kube/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fed_kinds *kinds;

static struct fed_json *definition(struct fed_arena *a, struct fed_json *schema)
{
    static const char text[] =
        "{\"spec\":{\"group\":\"b.c\",\"names\":{\"plural\":\"as\",\"kind\":\"A\"},\"versions\":[{"
        "\"name\":\"v1\",\"served\":true,\"storage\":true,\"schema\":{}}]}}";
    struct fed_json *crd = NULL;
    struct fed_json *version;

    FED_REQUIRE(fed_json_parse(a, FED_STR(text), NULL, &crd, NULL) == 0);
    version = fed_json_at(crd, "spec", "versions", NULL)->first;
    fed_json_set(fed_json_find(version, "schema"), "openAPIV3Schema", fed_json_copy(a, schema));
    return crd;
}

static void use(struct fed_arena *a, const struct fed_kind *kind, struct fed_json *obj)
{
    const struct fed_schema *s = fed_kind_storage(kind)->schema;
    struct fed_causes causes = {.arena = a};
    struct fed_json *again;

    fed_schema_prune(s, obj, NULL, NULL);
    fed_schema_default(a, s, obj);
    again = fed_json_copy(a, obj);
    fed_schema_prune(s, again, NULL, NULL);
    fed_schema_default(a, s, again);
    FED_REQUIRE(fed_json_equal(obj, again));
    fed_schema_validate(s, obj, &causes, NULL);
    causes.n = 0;
    if (fed_kind_storage(kind)->rules)
        fed_rules_check(fed_kind_storage(kind)->rules, obj, again, &causes, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str rest = fed_str_n((const char *)data, size), first;
    struct fed_arena a = {0};
    struct fed_json *schema = NULL, *obj = NULL;
    struct fed_causes causes = {.arena = &a};
    struct fed_kind *kind = NULL;

    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, NULL, NULL) == 0);
    }
    if (size && fed_str_cut(&rest, '\n', &first) && rest.p && fed_json_parse(&a, first, NULL, &schema, NULL) == 0 &&
        fed_json_parse(&a, rest, NULL, &obj, NULL) == 0 && schema->type == FED_JSON_OBJECT &&
        obj->type == FED_JSON_OBJECT) {
        /* As a client's body would be: only what schemas may have, in the right types. */
        const struct fed_kind_version *v =
            fed_kinds_by_kind(kinds, FED_STR("apiextensions.k8s.io/v1"), FED_STR("CustomResourceDefinition"));
        struct fed_json *crd = definition(&a, schema);
        struct fed_str mistyped = {NULL, 0};

        fed_schema_prune(v->schema, crd, NULL, NULL);
        fed_schema_validate(v->schema, crd, &causes, &mistyped);
        schema = fed_json_at(fed_json_at(crd, "spec", "versions", NULL)->first, "schema", "openAPIV3Schema", NULL);
        if (!mistyped.n && schema)
            fed_crd_schema_check(schema, FED_STR("s"), false, &causes, NULL, NULL);
        if (!mistyped.n && schema && !causes.n) {
            FED_REQUIRE(fed_kind_compile(kinds, fed_crd_document(&a, crd), &kind, NULL) == 0);
            use(&a, kind, obj);
            fed_kind_unref(kind);
        }
    }
    fed_arena_release(&a);
    return 0;
}
