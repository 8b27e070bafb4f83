/* SPDX-License-Identifier: Apache-2.0 */
/* Input: two JSON texts with a byte 0xFF between. The second patches the first in both ways; and the merge patch
 * made between the two leads from the first to the second. */
#include <stdint.h>

#include "codec/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A merge patch cannot say null. */
static bool has_null(const struct fed_json *v)
{
    FED_JSON_EACH(it, v)
        if ((v->type == FED_JSON_OBJECT && it->type == FED_JSON_NULL) || has_null(it))
            return true;
    return false;
}

static void check_tree(const struct fed_json *v)
{
    uint32_t n = 0;
    const struct fed_json *prev = NULL;
    FED_JSON_EACH(it, v) {
        FED_REQUIRE(it->parent == v && it->prev == prev);
        FED_REQUIRE((v->type == FED_JSON_OBJECT) == (it->key.p != NULL));
        check_tree(it);
        prev = it;
        n++;
    }
    FED_REQUIRE(n == v->n && v->last == prev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fed_json *from, *to;
    struct fed_str text = fed_str_n((const char *)data, size);
    ptrdiff_t cut = fed_str_chr(text, (char)0xFF, 0);
    if (cut < 0)
        return 0;
    if (fed_json_parse(&a, fed_str_head(text, (size_t)cut), NULL, &from, NULL) == 0 &&
        fed_json_parse(&a, fed_str_from(text, (size_t)cut + 1), NULL, &to, NULL) == 0) {
        struct fed_json *doc = fed_json_copy(&a, from);
        if (fed_json_patch(&a, &doc, to, NULL) == 0)
            check_tree(doc);
        doc = fed_json_merge_patch(&a, fed_json_copy(&a, from), to);
        check_tree(doc);
        struct fed_json *diff = fed_json_merge_diff(&a, from, to);
        check_tree(diff);
        doc = fed_json_merge_patch(&a, fed_json_copy(&a, from), diff);
        check_tree(doc);
        if (!has_null(to) && !has_null(from))
            FED_REQUIRE(fed_json_equal(doc, to));
    }
    fed_arena_release(&a);
    return 0;
}
