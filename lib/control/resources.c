/* SPDX-License-Identifier: Apache-2.0 */
#include "control/resources.h"

#include <stdlib.h>

#include "base/mem.h"

static bool is_event(const struct fed_kind *k)
{
    return fed_str_is(k->plural, "events");
}

struct fed_resource *fed_resources_of(const struct fed_kinds *kinds, size_t *n)
{
    struct fed_resource *all = fed_calloc(fed_kinds_count(kinds) + 1, sizeof(*all));
    *n = 0;
    for (int events = 0; events < 2; events++)
        for (size_t i = 0; i < fed_kinds_count(kinds); i++) {
            const struct fed_kind *k = fed_kinds_at(kinds, i);
            const struct fed_kind_version *v = fed_kind_storage(k);
            if (k->custom || is_event(k) != events)
                continue;
            all[(*n)++] = (struct fed_resource){fed_strdup_str(v->group), fed_strdup_str(v->version),
                                                fed_strdup_str(k->plural), fed_strdup_str(k->kind), k->namespaced};
        }
    return all;
}

void fed_resources_free(struct fed_resource *resources, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)resources[i].group);
        free((char *)resources[i].version);
        free((char *)resources[i].plural);
        free((char *)resources[i].kind);
    }
    free(resources);
}
