/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens of other algorithms than ES256, keys as JWK, and keys that must not serve. */
#include "../unit.h"

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/jwt.h"
#include "crypto/pki.h"

/* RFC 7515 appendix A.2 (RS256) and A.4 (ES512): keys, and tokens over known bytes. */
static const char rsa_jwk[] = "{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_"
                              "wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz"
                              "P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
                              "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB"
                              "dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
                              "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91"
                              "kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
static const char rs256[] =
    "eyJhbGciOiJSUzI1NiJ9."
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQ"
    "jbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
    "eOkHWEsqt"
    "FZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char ec_jwk[] = "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":"
                             "\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4"
                             "qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-"
                             "x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}";
static const char es512[] = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_"
                            "UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7Xdt"
                            "AG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

static struct fed_pubkey *read_jwk(const char *text)
{
    struct fed_arena a = {0};
    struct fed_json *doc = NULL;
    struct fed_pubkey *key = NULL;
    assert_int_equal(fed_json_parse(&a, fed_str(text), NULL, &doc, NULL), 0);
    if (fed_pubkey_from_jwk(doc, &key, NULL))
        key = NULL;
    fed_arena_release(&a);
    return key;
}

static bool holds(const char *token, const struct fed_pubkey *key)
{
    struct fed_arena a = {0};
    struct fed_jwt jwt;
    bool ok = fed_jwt_parse(&a, fed_str(token), &jwt, NULL) == 0 && fed_jwt_holds(&jwt, key);
    fed_arena_release(&a);
    return ok;
}

static void examples_of_the_rfc(void **state)
{
    (void)state;
    struct fed_pubkey *rsa = read_jwk(rsa_jwk), *ec = read_jwk(ec_jwk);
    assert_non_null(rsa);
    assert_non_null(ec);
    assert_true(holds(rs256, rsa));
    assert_true(holds(es512, ec));
    assert_false(holds(rs256, ec));
    assert_false(holds(es512, rsa));
    CHECK_TEXT("kid", fed_pubkey_id(rsa), "r");
    char torn[sizeof rs256];
    for (size_t i = 0; i < sizeof rs256 - 1; i += 7) { /* no byte may change, and none may be missing */
        memcpy(torn, rs256, sizeof rs256);
        torn[i] = torn[i] == 'A' ? 'B' : 'A';
        assert_false(holds(torn, rsa));
        memcpy(torn, rs256, sizeof rs256);
        torn[i] = 0;
        assert_false(holds(torn, rsa));
    }
    fed_pubkey_free(rsa);
    fed_pubkey_free(ec);
}

static void a_key_as_jwk_and_back(void **state)
{
    (void)state;
    struct fed_buf pem = {0}, token = {0};
    struct fed_pubkey *keys[2], *again = NULL;
    size_t n = 0;
    struct fed_arena a = {0};
    assert_int_equal(fed_pki_new_key(&pem, NULL), 0);
    assert_int_equal(fed_jwt_sign(fed_buf_str(&pem), FED_STR("{}"), &token, NULL), 0);
    assert_int_equal(fed_pubkeys_from_pem(fed_buf_str(&pem), keys, 2, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(fed_pubkey_from_jwk(fed_pubkey_jwk(keys[0], &a), &again, NULL), 0);
    assert_true(fed_str_eq(fed_pubkey_id(keys[0]), fed_pubkey_id(again)));
    assert_true(holds(fed_buf_z(&token), again));
    fed_pubkey_free(keys[0]);
    fed_pubkey_free(again);
    fed_arena_release(&a);
    fed_buf_release(&token);
    fed_buf_release(&pem);
}

static void unusable_keys(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", /* too short */
        "{\"kty\":\"RSA\",\"n\":5,\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\",\"y\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}", /* not on the curve */
        "{\"kty\":\"EC\",\"crv\":\"P-192\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "[]",
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++)
        if (read_jwk(bad[i]))
            fail_msg("%s", bad[i]);
    struct fed_pubkey *keys[1];
    size_t n = 0;
    assert_int_equal(fed_pubkeys_from_pem(FED_STR("nothing"), keys, 1, &n, NULL), FED_E_INVALID);
    assert_int_equal(fed_pubkeys_from_pem(FED_STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), keys,
                                          1, &n, NULL),
                     FED_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples_of_the_rfc), cmocka_unit_test(a_key_as_jwk_and_back),
                                       cmocka_unit_test(unusable_keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
