/* SPDX-License-Identifier: Apache-2.0 */
/* The value of a key in the store, written by another version, another program or a broken disk: an object, or refused with words.
 * Old versions of a kind are converted. */
#include <stdint.h>

#include "apiserver/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fed_kinds *kinds_once(void)
{
    static const char *const core[] = {"/configmaps", "networking.k8s.io/ingresses", NULL};
    static struct fed_kinds *kinds;
    if (!kinds) {
        kinds = fed_kinds_new();
        FED_REQUIRE(fed_kinds_add_core(kinds, core, NULL) == 0);
    }
    return kinds;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        struct fed_str key, api, kind;
    } keys[] = {{FED_STR_INIT("/registry/configmaps/default/a"), FED_STR_INIT("v1"), FED_STR_INIT("ConfigMap")},
                {FED_STR_INIT("/registry/networking.k8s.io/ingresses/default/a"), FED_STR_INIT("networking.k8s.io/v1"),
                 FED_STR_INIT("Ingress")}};
    struct fed_cache cache = {0};
    fed_cache_init(&cache, kinds_once(), 10, 7);
    for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++) {
        const struct fed_kind_version *v = fed_kinds_by_kind(kinds_once(), keys[i].api, keys[i].kind);
        struct fed_blob *value = fed_blob_new(fed_str_n((const char *)data, size));
        struct store_change change = {.key = keys[i].key, .value = value, .rev = 5, .create_rev = 5};
        struct fed_kobj *o = NULL;
        struct fed_err err = {0};
        if (fed_cache_decode(fed_cache_kind(&cache, v->kind), &change, &o, &err) == 0)
            FED_REQUIRE(o && o->json.n > 0);
        else
            FED_REQUIRE(err.text[0]);
        fed_kobj_unref(o);
        fed_blob_unref(value);
    }
    fed_cache_release(&cache);
    return 0;
}
