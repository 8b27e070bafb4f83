/* SPDX-License-Identifier: Apache-2.0 */
/* functions.c: finding functions by name. */
#include "cel/cel_priv.h"

const struct fed_cel_function *fed_cel_function_find(struct fed_str name, bool member, uint32_t *n)
{
    static const struct fed_cel_function *const tables[] = {
        fed_cel_core_functions,     fed_cel_text_functions, fed_cel_regex_functions,
        fed_cel_list_functions,     fed_cel_time_functions, fed_cel_quantity_functions,
        fed_cel_optional_functions, fed_cel_net_functions,  fed_cel_format_functions};

    for (size_t t = 0; t < FED_ARRAY_LEN(tables); t++) {
        for (const struct fed_cel_function *f = tables[t]; f->name; f++) {
            if (f->member != member || !fed_str_is(name, f->name))
                continue;
            *n = 1;
            while (f[*n].name && f[*n].member == member && fed_str_is(name, f[*n].name))
                ++*n;
            return f;
        }
    }
    return NULL;
}
