/* SPDX-License-Identifier: Apache-2.0 */
/* A line with an expression, then JSON that is self: whatever compiles ends within its cost, the same way twice, and with
 * memory in proportion. The line is also a regular expression that is searched for in itself. */
#include <stdint.h>

#include "cel/cel.h"
#include "codec/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELD(field, json, t)                                                                                          \
    {                                                                                                                  \
        FED_STR_INIT(field), FED_STR_INIT(json), t                                                                     \
    }
static const struct fed_cel_type dyn = {.kind = FED_CEL_DYN}, text = {.kind = FED_CEL_STRING};
static const struct fed_cel_type number = {.kind = FED_CEL_INT}, when = {.kind = FED_CEL_TIMESTAMP};
static const struct fed_cel_type set = {.kind = FED_CEL_LIST, .elem = &dyn, .list = FED_CEL_LIST_SET};
static const struct fed_cel_field fields[] = {FIELD("a__dash__b", "a-b", &text), FIELD("d", "d", &dyn),
                                              FIELD("n", "n", &number), FIELD("s", "s", &set), FIELD("t", "t", &when)};
static const struct fed_cel_type object = {.kind = FED_CEL_OBJECT, .fields = fields, .n_fields = 5};

static void evaluate(struct fed_arena *a, struct fed_str expression, const struct fed_json *json,
                     const struct fed_cel_type *type)
{
    struct fed_cel_var vars[2] = {{FED_STR("self"), type}, {FED_STR("oldSelf"), type}};
    struct fed_cel_program *p = NULL;
    struct fed_cel_value values[2], v;
    struct fed_cel_run r;
    struct fed_str why = {NULL, 0};
    uint64_t cost;
    int rc, again;

    rc = fed_cel_compile(a, vars, 2, expression, &p, &why);
    FED_REQUIRE(rc == 0 || why.n);
    if (rc)
        return;
    fed_cel_run_init(&r);
    r.limit = 20000;
    fed_cel_from_json(&r, json, type, &values[0]);
    values[1] = fed_cel_optional(&r, &values[0]);
    rc = fed_cel_eval(&r, p, values, &v);
    cost = r.cost;
    FED_REQUIRE(rc == 0 || r.error.n);
    if (rc == 0) {
        struct fed_buf b = {0};
        fed_cel_write(&r, &v, &b);
        fed_buf_release(&b);
    }
    again = fed_cel_eval(&r, p, values, &v);
    FED_REQUIRE(again == rc && r.cost == cost);
    FED_REQUIRE(r.arena.used < 64u << 20);
    fed_cel_run_release(&r);
}

static void search(struct fed_arena *a, struct fed_str line)
{
    struct fed_regex *re = NULL;
    size_t start = 0, end = 0;
    uint64_t steps = 0;

    if (fed_regex_compile(a, line, &re, NULL) == 0 && fed_regex_find(re, line, 0, &start, &end, &steps, 100000) > 0)
        FED_REQUIRE(start <= end && end <= line.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str rest = {(const char *)data, size}, line = {NULL, 0};
    struct fed_arena a = {0};
    struct fed_json *json = NULL;

    if (size && fed_str_cut(&rest, '\n', &line)) {
        search(&a, line);
        if (!rest.p || fed_json_parse(&a, rest, NULL, &json, NULL))
            FED_REQUIRE(fed_json_parse(&a, FED_STR("{\"n\":5,\"s\":[1,\"x\"],\"a-b\":\"v\"}"), NULL, &json, NULL) == 0);
        evaluate(&a, line, json, &object);
        evaluate(&a, line, json, &dyn);
    }
    fed_arena_release(&a);
    return 0;
}
