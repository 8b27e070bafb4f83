/* SPDX-License-Identifier: Apache-2.0 */
/* PEM texts from kubeconfigs, Secrets and requests: each reader ends with a verdict. */
#include <stdint.h>

#include "crypto/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fed_buf key, ca;
    struct fed_str text = fed_str_n((const char *)data, size);
    struct fed_cert_spec spec = {.cn = FED_STR("x"), .not_after_ms = 1000};
    struct fed_buf out = {0};
    int64_t from, to;
    if (key.n == 0) {
        FED_REQUIRE(fed_pki_new_key(&key, NULL) == 0);
        FED_REQUIRE(fed_pki_new_ca(fed_buf_str(&key), FED_STR("ca"), 0, 1000, &ca, NULL) == 0);
    }
    (void)!fed_pki_validity(text, &from, &to, NULL);
    FED_REQUIRE(!fed_pki_signed_by(text, fed_buf_str(&ca)));
    (void)!fed_pki_signed_by(fed_buf_str(&ca), text);
    FED_REQUIRE(!fed_pki_key_matches(text, fed_buf_str(&key)));
    (void)!fed_pki_sign_csr(fed_buf_str(&ca), fed_buf_str(&key), text, &spec, &out, NULL);
    (void)!fed_pki_sign(text, text, text, &spec, &out, NULL);
    fed_buf_release(&out);
    return 0;
}
