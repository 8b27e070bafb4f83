/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors in their string and annotation forms, field selectors, quantities: what parses, formats and parses to
 * the same. */
#include <stdint.h>

#include "kube/quantity.h"
#include "kube/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fed_kv labels[] = {{FED_STR_INIT("a"), FED_STR_INIT("b")},
                                           {FED_STR_INIT("n"), FED_STR_INIT("5")}};
    struct fed_str text = {(const char *)data, size};
    struct fed_arena a = {0};
    struct fed_selector s, back;
    struct fed_field_selector f;
    struct fed_buf b = {0}, c = {0};
    struct fed_err err;
    int64_t v;
    if (fed_selector_parse(&a, text, &s, &err) == 0) {
        fed_selector_format(&s, &b);
        FED_REQUIRE(fed_selector_parse(&a, fed_buf_str(&b), &back, &err) == 0);
        fed_selector_format(&back, &c);
        FED_REQUIRE(fed_str_eq(fed_buf_str(&b), fed_buf_str(&c)));
        FED_REQUIRE(fed_selector_matches(&s, labels, 2) == fed_selector_matches(&back, labels, 2));
    }
    if (fed_selector_from_annotation(&a, text, &s, NULL) == 0)
        (void)fed_selector_matches(&s, labels, 2);
    (void)!fed_field_selector_parse(&a, text, &f, NULL);
    (void)!fed_quantity_milli(text, &v);
    (void)!fed_quantity_units(text, &v);
    fed_buf_release(&b);
    fed_buf_release(&c);
    fed_arena_release(&a);
    return 0;
}
