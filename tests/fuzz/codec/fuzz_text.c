/* SPDX-License-Identifier: Apache-2.0 */
/* Small texts: base64 of both alphabets (what decodes, encodes to the same bytes), durations. */
#include <stdint.h>

#include "codec/base64.h"
#include "codec/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size}, bytes, back;
    struct fed_arena a = {0};
    struct fed_buf b = {0};
    int64_t ms;
    if (fed_base64_decode(&a, text, &bytes) == 0) {
        fed_base64_encode(&b, bytes);
        FED_REQUIRE(fed_base64_decode(&a, fed_buf_str(&b), &back) == 0 && fed_str_eq(back, bytes));
    }
    fed_buf_reset(&b);
    if (fed_base64url_decode(&a, text, &bytes) == 0) {
        fed_base64url_encode(&b, bytes);
        FED_REQUIRE(fed_base64url_decode(&a, fed_buf_str(&b), &back) == 0 && fed_str_eq(back, bytes));
    }
    if (fed_duration_parse(text, &ms) == 0)
        FED_REQUIRE(ms >= 0);
    fed_buf_release(&b);
    fed_arena_release(&a);
    return 0;
}
