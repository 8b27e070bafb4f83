/* SPDX-License-Identifier: Apache-2.0 */
/* A kubeconfig: refused, or its contexts have names. No file is read and no plugin run for it. */
#include <stdint.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_kubeconfig *k = NULL;
    struct fed_err err = {0};
    const char **names = NULL;
    if (fed_kubeconfig_parse(fed_str_n((const char *)data, size), &k, &err) == 0) {
        size_t n = fed_kubeconfig_contexts(k, &names);
        for (size_t i = 0; i < n; i++)
            FED_REQUIRE(names[i]);
        FED_REQUIRE(fed_kubeconfig_current(k));
    } else {
        FED_REQUIRE(err.text[0]);
    }
    fed_kubeconfig_free(k);
    return 0;
}
