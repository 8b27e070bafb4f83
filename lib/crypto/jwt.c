/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens: their parts, signing and verifying. An EC signature is r and s side by side (RFC 7518 section 3.4),
 * not DER. */
#include "crypto/jwt.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/jwt_priv.h"

#define MAX_RAW 132 /* r and s of P-521 */

enum family { FAMILY_NONE, FAMILY_RS, FAMILY_PS, FAMILY_ES };
struct alg {
    const char *name;
    enum family family;
    const EVP_MD *(*md)(void);
};
static const struct alg algs[] = {
    {"RS256", FAMILY_RS, EVP_sha256}, {"RS384", FAMILY_RS, EVP_sha384}, {"RS512", FAMILY_RS, EVP_sha512},
    {"PS256", FAMILY_PS, EVP_sha256}, {"PS384", FAMILY_PS, EVP_sha384}, {"PS512", FAMILY_PS, EVP_sha512},
    {"ES256", FAMILY_ES, EVP_sha256}, {"ES384", FAMILY_ES, EVP_sha384}, {"ES512", FAMILY_ES, EVP_sha512}};

static const struct alg *alg_find(struct fed_str name)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(algs); i++)
        if (fed_str_is(name, algs[i].name))
            return &algs[i];
    return NULL;
}

bool fed_jwt_alg_known(struct fed_str alg)
{
    return alg_find(alg) != NULL;
}

/* --- signing --- */

static bool der_to_raw(const unsigned char *der, size_t n, size_t half, uint8_t *raw)
{
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half) == (int)half &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half) == (int)half;
    ECDSA_SIG_free(sig);
    return ok;
}

/* The algorithm that a key signs with: that of its curve, RS256 for RSA. */
static const struct alg *alg_of(EVP_PKEY *key)
{
    const struct fed_curve *c = fed_key_curve(key);
    if (c)
        return alg_find(fed_str(c->alg));
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? alg_find(FED_STR("RS256")) : NULL;
}

static int sign(EVP_PKEY *key, const struct alg *alg, struct fed_str text, struct fed_buf *out, struct fed_err *err)
{
    const struct fed_curve *c = fed_key_curve(key);
    unsigned char sig[1024];
    uint8_t raw[MAX_RAW];
    size_t n = sizeof(sig);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int rc = 0;
    if (!ctx || EVP_DigestSignInit(ctx, NULL, alg->md(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, sig, &n, (const unsigned char *)text.p, text.n) != 1 ||
        (c && !der_to_raw(sig, n, c->half, raw)))
        rc = fed_ossl_err(err, FED_E_INTERNAL, "sign token");
    else
        fed_base64url_encode(out, c ? fed_str_n((char *)raw, 2 * c->half) : fed_str_n((char *)sig, n));
    EVP_MD_CTX_free(ctx);
    return rc;
}

int fed_jwt_sign(struct fed_str key_pem, struct fed_str claims_json, struct fed_buf *token, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(key_pem, err);
    if (!key)
        return FED_E_INVALID;
    struct fed_buf text = {0}, part = {0}, sig = {0};
    const struct alg *alg = alg_of(key);
    int rc = 0;
    if (!alg) {
        rc = fed_err_set(err, FED_E_INVALID, "token: the key is neither RSA nor on a NIST curve");
        goto out;
    }
    fed_buf_addf(&text, "{\"alg\":\"%s\",\"kid\":\"", alg->name);
    fed_key_id(key, &text);
    fed_buf_addz(&text, "\",\"typ\":\"JWT\"}");
    fed_base64url_encode(&part, fed_buf_str(&text));
    fed_buf_addc(&part, '.');
    fed_base64url_encode(&part, claims_json);
    rc = sign(key, alg, fed_buf_str(&part), &sig, err);
    if (rc)
        goto out;
    fed_buf_add(token, fed_buf_str(&part));
    fed_buf_addc(token, '.');
    fed_buf_add(token, fed_buf_str(&sig));
    rc = fed_buf_status(token);
out:
    fed_buf_release(&sig);
    fed_buf_release(&part);
    fed_buf_release(&text);
    EVP_PKEY_free(key);
    return rc;
}

/* --- reading --- */

int fed_jwt_parse(struct fed_arena *a, struct fed_str token, struct fed_jwt *out, struct fed_err *err)
{
    struct fed_str header;
    struct fed_json *h = NULL;
    *out = (struct fed_jwt){0};
    ptrdiff_t dot1 = fed_str_chr(token, '.', 0);
    ptrdiff_t dot2 = dot1 < 0 ? -1 : fed_str_chr(token, '.', (size_t)dot1 + 1);
    if (token.n > FED_JWT_MAX || dot2 < 0 || fed_base64url_decode(a, fed_str_head(token, (size_t)dot1), &header) != 0 ||
        fed_base64url_decode(a, fed_str_n(token.p + dot1 + 1, (size_t)(dot2 - dot1 - 1)), &out->claims) != 0 ||
        fed_base64url_decode(a, fed_str_from(token, (size_t)dot2 + 1), &out->sig) != 0)
        return fed_err_set(err, FED_E_UNAUTHORIZED, "token: malformed");
    if (fed_json_parse(a, header, NULL, &h, NULL) != 0 || h->type != FED_JSON_OBJECT || fed_json_find(h, "crit"))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "token: malformed header");
    out->alg = fed_json_find_text(h, "alg");
    out->kid = fed_json_find_text(h, "kid");
    out->signed_part = fed_str_head(token, (size_t)dot2);
    if (!alg_find(out->alg))
        return fed_err_set(err, FED_E_UNAUTHORIZED, "token: unsupported algorithm");
    return 0;
}

/* --- verifying --- */

static int raw_to_der(struct fed_str raw, size_t half, unsigned char **der)
{
    if (raw.n != 2 * half)
        return -1;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const uint8_t *)raw.p, (int)half, NULL);
    BIGNUM *s = BN_bin2bn((const uint8_t *)raw.p + half, (int)half, NULL);
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

static bool set_padding(EVP_PKEY_CTX *pctx, const struct alg *alg)
{
    if (alg->family != FAMILY_PS)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool fed_jwt_holds(const struct fed_jwt *jwt, const struct fed_pubkey *key)
{
    const struct alg *alg = alg_find(jwt->alg);
    const struct fed_curve *c = fed_key_curve(key->key);
    /* A curve has one algorithm; an RSA key never serves ES, an EC key never RS or PS. */
    if (!alg || (c ? strcmp(c->alg, alg->name) != 0
                   : alg->family == FAMILY_ES || EVP_PKEY_get_base_id(key->key) != EVP_PKEY_RSA))
        return false;
    unsigned char *der = NULL;
    struct fed_str sig = jwt->sig;
    if (c) {
        int n = raw_to_der(jwt->sig, c->half, &der);
        sig = fed_str_n((char *)der, n > 0 ? (size_t)n : 0);
    }
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    bool ok = sig.n && ctx && EVP_DigestVerifyInit(ctx, &pctx, alg->md(), NULL, key->key) == 1 &&
              set_padding(pctx, alg) &&
              EVP_DigestVerify(ctx, (const unsigned char *)sig.p, sig.n, (const unsigned char *)jwt->signed_part.p,
                               jwt->signed_part.n) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok;
}

int fed_jwt_verify(struct fed_str key_pem, struct fed_str token, struct fed_buf *claims_json, struct fed_err *err)
{
    struct fed_arena arena = {0};
    struct fed_jwt jwt;
    struct fed_pubkey *key = NULL;
    size_t n = 0;
    int rc = fed_jwt_parse(&arena, token, &jwt, err);
    if (!rc && fed_pubkeys_from_pem(key_pem, &key, 1, &n, NULL))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "token: no usable key");
    if (!rc && !fed_jwt_holds(&jwt, key))
        rc = fed_err_set(err, FED_E_UNAUTHORIZED, "token: wrong signature");
    if (!rc) {
        fed_buf_add(claims_json, jwt.claims);
        if (fed_buf_status(claims_json))
            rc = fed_err_set(err, FED_E_UNAUTHORIZED, "token: too long");
    }
    fed_pubkey_free(key);
    fed_arena_release(&arena);
    return rc;
}
