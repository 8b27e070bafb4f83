/* SPDX-License-Identifier: Apache-2.0 */
/* A document that was read, written as YAML and read again is the same document. */
#include <stdint.h>

#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The writer's own text may be larger than what an alias needed. */
static const struct fed_json_limits wide = {.max_bytes = (size_t)1 << 30, .max_nodes = 10000000, .max_depth = 100000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fed_json *docs;
    struct fed_err err = {0};
    struct fed_json_limits limits = {.max_nodes = 5000, .max_bytes = 65536};
    int rc = fed_yaml_parse_all(&a, fed_str_n((const char *)data, size), &limits, &docs, &err);
    FED_REQUIRE(rc == 0 || (docs == NULL && err.code == rc && err.text[0]));
    if (rc == 0) {
        FED_JSON_EACH(it, docs) {
            struct fed_buf text = {0};
            struct fed_json *back;
            fed_yaml_write(&text, it);
            rc = fed_yaml_parse(&a, fed_buf_str(&text), &wide, &back, &err);
            if (rc || !fed_json_equal(it, back))
                fprintf(stderr, "%s\n---\n%s\n", err.text, fed_buf_z(&text));
            FED_REQUIRE(rc == 0);
            FED_REQUIRE(fed_json_equal(it, back));
            fed_buf_release(&text);
        }
    }
    fed_arena_release(&a);
    return 0;
}
