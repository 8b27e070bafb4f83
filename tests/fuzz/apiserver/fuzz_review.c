/* SPDX-License-Identifier: Apache-2.0 */
/* What a webhook may answer: read, its denial worded, its patch applied. The words stay JSON. */
#include <stdint.h>

#include "apiserver/admission_review.h"
#include "codec/patch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct fed_arena a = {0};
    struct fed_buf b = {0};
    struct fed_review_answer answer;
    struct fed_json *doc = NULL, *status = NULL;
    for (int mutating = 0; mutating < 2; mutating++) {
        if (fed_review_read(&a, text, "admission.k8s.io/v1", FED_STR("u"), mutating, &answer, NULL))
            continue;
        fed_buf_reset(&b);
        int code = fed_review_denial(&b, FED_STR("hook"), answer.status);
        FED_REQUIRE(code >= 400 && code < 600);
        FED_REQUIRE(fed_json_parse(&a, fed_buf_str(&b), NULL, &status, NULL) != FED_E_SYNTAX);
        if (answer.patch && fed_json_parse(&a, FED_STR("{\"metadata\":{},\"a\":[1]}"), NULL, &doc, NULL) == 0)
            (void)!fed_json_patch(&a, &doc, answer.patch, NULL);
    }
    fed_buf_release(&b);
    fed_arena_release(&a);
    return 0;
}
