/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens with ES256 (RFC 7518 section 3.4): the signature is r and s, 32 bytes each, not DER. */
#include <openssl/ec.h>
#include <openssl/err.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/ossl.h"
#include "crypto/pki.h"

enum { RAW = 64, HALF = 32, TOKEN_MAX = 16384 };

static bool is_p256(EVP_PKEY *key)
{
    char group[32] = "";
    size_t n = 0;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
           strcmp(group, "prime256v1") == 0;
}

/* The key's name in the header: the digest of its SubjectPublicKeyInfo, as Kubernetes makes it. */
static void add_key_id(EVP_PKEY *key, struct fed_buf *out)
{
    unsigned char *der = NULL;
    uint8_t digest[32];
    int n = i2d_PUBKEY(key, &der);
    fed_sha256(fed_str_n((char *)der, n > 0 ? (size_t)n : 0), digest);
    OPENSSL_free(der);
    fed_base64url_encode(out, fed_str_n((char *)digest, sizeof(digest)));
}

static bool der_to_raw(const unsigned char *der, size_t n, uint8_t raw[RAW])
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, HALF) == HALF &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + HALF, HALF) == HALF;
    ECDSA_SIG_free(sig);
    return ok;
}

static int raw_to_der(const uint8_t *raw, unsigned char **der)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, HALF, NULL), *s = BN_bin2bn(raw + HALF, HALF, NULL);
    int n = -1;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1)
        n = i2d_ECDSA_SIG(sig, der);
    else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return n;
}

int fed_jwt_sign(struct fed_str key_pem, struct fed_str claims_json, struct fed_buf *token, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(key_pem, err);
    if (!key)
        return FED_E_INVALID;
    int rc = 0;
    struct fed_buf text = {0};
    unsigned char der[128];
    size_t n_der = sizeof(der);
    uint8_t raw[RAW];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    fed_buf_addz(&text, "{\"alg\":\"ES256\",\"kid\":\"");
    add_key_id(key, &text);
    fed_buf_addz(&text, "\",\"typ\":\"JWT\"}");
    struct fed_buf signed_part = {0};
    fed_base64url_encode(&signed_part, fed_buf_str(&text));
    fed_buf_addc(&signed_part, '.');
    fed_base64url_encode(&signed_part, claims_json);
    if (!is_p256(key)) {
        rc = fed_err_set(err, FED_E_INVALID, "token: the key is not on curve P-256");
    } else if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
               EVP_DigestSign(ctx, der, &n_der, (unsigned char *)signed_part.p, signed_part.n) != 1 ||
               !der_to_raw(der, n_der, raw)) {
        rc = fed_ossl_err(err, FED_E_INTERNAL, "sign token");
    } else {
        fed_buf_add(token, fed_buf_str(&signed_part));
        fed_buf_addc(token, '.');
        fed_base64url_encode(token, fed_str_n((char *)raw, sizeof(raw)));
        rc = fed_buf_status(token);
    }
    EVP_MD_CTX_free(ctx);
    fed_buf_release(&signed_part);
    fed_buf_release(&text);
    EVP_PKEY_free(key);
    return rc;
}

/* Exactly {"alg":"ES256", …} and no extension that must be understood (RFC 7515 section 4.1.11). */
static bool header_is_ours(struct fed_arena *arena, struct fed_str json)
{
    struct fed_json *header;
    return fed_json_parse(arena, json, NULL, &header, NULL) == 0 &&
           fed_str_is(fed_json_find_text(header, "alg"), "ES256") && !fed_json_find(header, "crit");
}

static bool signature_holds(EVP_PKEY *key, struct fed_str signed_part, struct fed_str raw)
{
    unsigned char *der = NULL;
    int n = raw.n == RAW ? raw_to_der((const uint8_t *)raw.p, &der) : -1;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = n > 0 && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestVerify(ctx, der, (size_t)n, (const unsigned char *)signed_part.p, signed_part.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

int fed_jwt_verify(struct fed_str key_pem, struct fed_str token, struct fed_buf *claims_json, struct fed_err *err)
{
    struct fed_arena arena = {0};
    struct fed_str header, claims, sig, parsed;
    EVP_PKEY *key = NULL;
    const char *defect = "malformed";
    ptrdiff_t dot1 = fed_str_chr(token, '.', 0);
    ptrdiff_t dot2 = dot1 < 0 ? -1 : fed_str_chr(token, '.', (size_t)dot1 + 1);
    if (token.n > TOKEN_MAX || dot2 < 0)
        goto out;
    parsed = fed_str_n(token.p + dot1 + 1, (size_t)(dot2 - dot1 - 1));
    if (fed_base64url_decode(&arena, fed_str_head(token, (size_t)dot1), &header) != 0 ||
        fed_base64url_decode(&arena, parsed, &claims) != 0 ||
        fed_base64url_decode(&arena, fed_str_from(token, (size_t)dot2 + 1), &sig) != 0)
        goto out;
    defect = "not an ES256 token";
    if (!header_is_ours(&arena, header))
        goto out;
    defect = "no usable key";
    key = fed_ossl_read_any_key(key_pem, NULL);
    if (!key || !is_p256(key))
        goto out;
    defect = "wrong signature";
    if (!signature_holds(key, fed_str_head(token, (size_t)dot2), sig))
        goto out;
    fed_buf_add(claims_json, claims);
    defect = fed_buf_status(claims_json) ? "too long" : NULL;
out:
    EVP_PKEY_free(key);
    fed_arena_release(&arena);
    return defect ? fed_err_set(err, FED_E_UNAUTHORIZED, "token: %s", defect) : 0;
}
