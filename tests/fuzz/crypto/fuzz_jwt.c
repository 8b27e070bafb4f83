/* SPDX-License-Identifier: Apache-2.0 */
/* No token but one signed with the key is taken, whatever its text; and a signed one with these claims is. */
#include <stdint.h>

#include "crypto/pki.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fed_buf key; /* made once: a new key is dear */
    struct fed_buf token = {0}, claims = {0};
    struct fed_str text = fed_str_n((const char *)data, size);
    if (key.n == 0)
        FED_REQUIRE(fed_pki_new_key(&key, NULL) == 0);
    FED_REQUIRE(fed_jwt_verify(fed_buf_str(&key), text, &claims, NULL) == FED_E_UNAUTHORIZED);
    FED_REQUIRE(claims.n == 0);
    if (size < 8192) {
        FED_REQUIRE(fed_jwt_sign(fed_buf_str(&key), text, &token, NULL) == 0);
        FED_REQUIRE(fed_jwt_verify(fed_buf_str(&key), fed_buf_str(&token), &claims, NULL) == 0);
        FED_REQUIRE(fed_str_eq(fed_buf_str(&claims), text));
    }
    fed_buf_release(&token);
    fed_buf_release(&claims);
    return 0;
}
