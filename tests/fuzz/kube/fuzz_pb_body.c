/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a protobuf body: refused, or a tree that prints, prunes, validates and converts. */
#include <stdint.h>

#include "kube/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fed_kinds *kinds_once(void)
{
    static struct fed_kinds *kinds;

    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, NULL, NULL) == 0);
    }
    return kinds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fed_buf text = {0};
    struct fed_json *v = NULL, *back = NULL;
    struct fed_err err = {0};

    if (fed_pb_to_json(&a, kinds_once(), fed_str_n((const char *)data, size), &v, &err) == 0) {
        const struct fed_kind_version *kv =
            fed_kinds_by_kind(kinds_once(), fed_json_find_text(v, "apiVersion"), fed_json_find_text(v, "kind"));
        struct fed_causes causes = {.arena = &a};
        struct fed_str type_error;

        fed_json_write(&text, v);
        FED_REQUIRE(fed_json_parse(&a, fed_buf_str(&text), NULL, &back, NULL) == 0);
        if (kv) {
            struct fed_write w = {.arena = &a, .kind = kv->kind, .version = kv, .subresource = FED_STR("")};

            fed_schema_prune(kv->schema, v, NULL, NULL);
            fed_schema_default(&a, kv->schema, v);
            fed_schema_validate(kv->schema, v, &causes, &type_error);
            FED_REQUIRE(fed_kind_convert(&a, v, kv, fed_kind_storage(kv->kind), &err) == 0);
            /* Hooks see only objects without type errors, as in the engine. */
            if (!type_error.n && kv->kind->hooks.defaults)
                (void)kv->kind->hooks.defaults(kv->kind->hooks.ud, &w, v, &err);
            if (!type_error.n && kv->kind->hooks.prepare)
                (void)kv->kind->hooks.prepare(kv->kind->hooks.ud, &w, v, &err);
            if (!type_error.n && kv->kind->hooks.validate)
                kv->kind->hooks.validate(kv->kind->hooks.ud, &w, v, &causes);
            fed_kind_row(&a, fed_kind_storage(kv->kind), v, 0);
        }
    } else {
        FED_REQUIRE(err.code != 0);
    }
    fed_buf_release(&text);
    fed_arena_release(&a);
    return 0;
}
