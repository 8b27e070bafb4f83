/* SPDX-License-Identifier: Apache-2.0 */
/* EncryptionConfigurations, and bytes taken for an encrypted value: which never open. */
#include <stdint.h>

#include "apiserver/encryption.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char conf[] = "{kind: EncryptionConfiguration, apiVersion: apiserver.config.k8s.io/v1, resources: "
                               "[{resources: [secrets], providers: [{aesgcm: {keys: [{name: k, secret: "
                               "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}]}}]}]}";
    struct fed_str text = {(const char *)data, size};
    struct fed_kind secrets = {.plural = FED_STR("secrets")};
    struct fed_encryption *e = NULL;
    struct fed_buf out = {0};
    if (fed_encryption_parse(text, &e, NULL) == 0)
        (void)fed_encryption_writer(e, &secrets);
    fed_encryption_free(e);
    FED_REQUIRE(fed_encryption_parse(FED_STR(conf), &e, NULL) == 0);
    FED_REQUIRE(fed_encryption_open(e, FED_STR("k"), FED_STR("/registry/secrets/a"), FED_STR("json v1 k"), text, &out,
                                    NULL) != 0);
    FED_REQUIRE(out.n == 0);
    fed_encryption_free(e);
    fed_buf_release(&out);
    return 0;
}
