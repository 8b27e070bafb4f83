/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader takes, the writer gives back: compact, indented, and by copy. */
#include <stdint.h>

#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seen(void *ud, const struct fed_json_duplicate *d)
{
    *(size_t *)ud += strlen(d->path);
}

static void check_same(struct fed_arena *a, const struct fed_buf *text, const struct fed_json *want)
{
    struct fed_json *back;
    struct fed_err err = {0};
    FED_REQUIRE(fed_json_parse(a, fed_buf_str(text), NULL, &back, &err) == 0);
    FED_REQUIRE(fed_json_equal(back, want) && fed_json_equal(want, back));
}

static void check_paths(const struct fed_json *v, struct fed_str source, int depth)
{
    struct fed_buf path = {0};
    FED_REQUIRE(v->off <= v->end && v->end <= source.n);
    if (depth < 5) {
        fed_json_path(v, &path);
        FED_JSON_EACH(it, v)
            check_paths(it, source, depth + 1);
    }
    int64_t n;
    if (fed_json_is_int(v, &n))
        FED_REQUIRE(fed_json_int(v, n + 1) == n);
    (void)fed_json_double(v, 0);
    fed_buf_release(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fed_json *v;
    struct fed_err err = {0};
    size_t paths = 0;
    struct fed_str source = fed_str_n((const char *)data, size);
    struct fed_json_limits limits = {.on_duplicate = seen, .ud = &paths};
    int rc = fed_json_parse(&a, source, &limits, &v, &err);
    FED_REQUIRE(rc == 0 || (v == NULL && err.code == rc && err.text[0]));
    if (rc == 0) {
        struct fed_buf compact = {0}, pretty = {0}, cut = {.max = size / 2 + 1};
        check_paths(v, source, 0);
        fed_json_write(&compact, v);
        check_same(&a, &compact, v);
        fed_json_write_indent(&pretty, v, 2);
        check_same(&a, &pretty, v);
        FED_REQUIRE(fed_json_equal(fed_json_copy(&a, v), v));
        fed_json_write(&cut, v);
        FED_REQUIRE(cut.n <= cut.max && cut.failed == (compact.n > cut.max));
        fed_buf_release(&compact);
        fed_buf_release(&pretty);
        fed_buf_release(&cut);
    }
    fed_arena_release(&a);
    return 0;
}
