/* SPDX-License-Identifier: Apache-2.0 */
/* Two lines of JSON, a Deployment and a patch: merged, applied and tracked without harm; applying twice is stable. */
#include <stdint.h>

#include "kube/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fed_kind_version *deployment(void)
{
    static struct fed_kinds *kinds;

    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, NULL, NULL) == 0);
    }
    return fed_kinds_by_kind(kinds, FED_STR("apps/v1"), FED_STR("Deployment"));
}

static void apply(struct fed_arena *a, const struct fed_json *doc, const struct fed_json *patch)
{
    struct fed_causes causes = {.arena = a};
    struct fed_json *once = NULL, *twice = NULL;
    struct fed_err err = {0};

    if (fed_ssa_apply(a, deployment(), doc, patch, &(struct fed_ssa_write){.manager = FED_STR("m"), .force = true},
                      &once, &causes, &err))
        return;
    FED_REQUIRE(fed_ssa_apply(a, deployment(), once, patch,
                              &(struct fed_ssa_write){.manager = FED_STR("m"), .now_ms = 9000}, &twice, &causes,
                              &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str rest = fed_str_n((const char *)data, size), first;
    struct fed_arena a = {0};
    struct fed_json *doc = NULL, *patch = NULL, *out = NULL, *old;
    struct fed_err err = {0};

    if (size && fed_str_cut(&rest, '\n', &first) && rest.p && fed_json_parse(&a, first, NULL, &doc, NULL) == 0 &&
        fed_json_parse(&a, rest, NULL, &patch, NULL) == 0 && doc->type == FED_JSON_OBJECT &&
        patch->type == FED_JSON_OBJECT) {
        apply(&a, doc, patch);
        old = fed_json_copy(&a, doc);
        if (fed_smp_apply(&a, deployment()->schema, doc, patch, &out, &err) == 0)
            fed_ssa_track(&a, deployment(), deployment(), old, out, &(struct fed_ssa_write){.manager = FED_STR("m")});
        else
            FED_REQUIRE(err.code != 0);
    }
    fed_arena_release(&a);
    return 0;
}
