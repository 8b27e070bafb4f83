/* SPDX-License-Identifier: Apache-2.0 */
/* Values of kubefed's flags. */
#include <stdint.h>

#include "fedctl/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_arena a = {0};
    struct fed_err err = {0};
    const char *text = fed_arena_dupz(&a, fed_str_n((const char *)data, size)), *zone = NULL, *pieces[64];
    struct fed_strings list = {pieces, 0}, out;
    struct fed_str rest = fed_str(text), piece;
    struct fed_json *labels = NULL;
    struct fctl_place *places = NULL;
    size_t n = 0;
    while (list.n < 64 && fed_str_cut(&rest, ',', &piece))
        pieces[list.n++] = fed_arena_dupz(&a, piece);
    (void)!fctl_parse_zone(&a, text, &zone, &err);
    (void)!fctl_check_coordinates(text, &err);
    (void)!fctl_parse_overrides(&a, "flag", &list, &out, &err);
    (void)!fctl_parse_labels(&a, "flag", &list, &labels, &err);
    if (fctl_parse_clusters(&a, &list, &places, &n, &err) == 0)
        for (size_t i = 0; i < n; i++)
            FED_REQUIRE(places[i].name);
    fed_arena_release(&a);
    return 0;
}
