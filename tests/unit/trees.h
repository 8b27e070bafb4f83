/* SPDX-License-Identifier: Apache-2.0 */
/* trees.h: JSON trees from what a test writes down, and back. */
#ifndef TESTS_UNIT_TREES_H
#define TESTS_UNIT_TREES_H

#include "codec/json.h"
#include "codec/yaml.h"
#include "tests/unit/unit.h"

static inline struct fed_json *json_of(struct fed_arena *a, const char *text)
{
    struct fed_json *v = NULL;
    struct fed_err err = {0};
    if (fed_json_parse(a, fed_str(text), NULL, &v, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return v;
}

/* Single quotes stand for double ones. */
static inline struct fed_json *tree_of(struct fed_arena *a, const char *text)
{
    char *z = fed_arena_dupz(a, fed_str(text));
    for (char *p = z; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    return json_of(a, z);
}

static inline struct fed_json *yaml_of(struct fed_arena *a, const char *text)
{
    struct fed_json *v = NULL;
    struct fed_err err = {0};
    if (fed_yaml_parse(a, fed_str(text), NULL, &v, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return v;
}

static inline struct fed_str text_of(struct fed_arena *a, const struct fed_json *v)
{
    return v ? fed_json_text(a, v) : FED_STR("");
}

#endif
