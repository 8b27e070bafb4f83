/* SPDX-License-Identifier: Apache-2.0 */
/* What a conversion webhook may answer, taken for an object that was sent: refused, or an object of the version asked for with the
 * metadata it had.
 *
 * Input: the webhook's answer. */
#include <stdint.h>

#include "apiserver/custom_convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fed_kind_version *version_once(void)
{
    static const char *const core[] = {"/configmaps", NULL};
    static struct fed_kinds *kinds;
    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, core, NULL) == 0);
    }
    return fed_kinds_by_kind(kinds, FED_STR("v1"), FED_STR("ConfigMap"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sent[] =
        "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"n\",\"uid\":\"i\"}}";
    struct fed_arena a = {0};
    struct fed_json *was = NULL;
    struct fed_err err = {0};
    FED_REQUIRE(fed_json_parse(&a, FED_STR(sent), NULL, &was, NULL) == 0);
    struct fed_json *list = fed_conv_review_read(&a, fed_str_n((const char *)data, size), "u", 1, &err);
    FED_REQUIRE(list ? list->n == 1 : err.code != 0);
    if (list && fed_conv_take(&a, version_once(), was, list->first, &err) == 0) {
        const struct fed_json *meta = fed_json_find(list->first, "metadata");
        FED_REQUIRE(fed_str_is(fed_json_find_text(meta, "name"), "n") &&
                    fed_str_is(fed_json_find_text(meta, "uid"), "i"));
    }
    fed_arena_release(&a);
    return 0;
}
