/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that verify tokens, from PEM and JWK, and as JWK. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/jwt_priv.h"

#define RSA_MIN_BITS 2048

static const struct fed_curve curves[] = {
    {"prime256v1", "P-256", "ES256", 32}, {"secp384r1", "P-384", "ES384", 48}, {"secp521r1", "P-521", "ES512", 66}};

const struct fed_curve *fed_key_curve(EVP_PKEY *key)
{
    char group[32] = "";
    size_t n = 0;
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_group_name(key, group, sizeof(group), &n) != 1)
        return NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(curves); i++)
        if (strcmp(curves[i].group, group) == 0)
            return &curves[i];
    return NULL;
}

/* The digest of its SubjectPublicKeyInfo, as Kubernetes names keys. */
void fed_key_id(EVP_PKEY *key, struct fed_buf *out)
{
    unsigned char *der = NULL;
    uint8_t digest[32];
    int n = i2d_PUBKEY(key, &der);
    fed_sha256(fed_str_n((char *)der, n > 0 ? (size_t)n : 0), digest);
    OPENSSL_free(der);
    fed_base64url_encode(out, fed_str_n((char *)digest, sizeof(digest)));
}

static bool is_usable(EVP_PKEY *key)
{
    return fed_key_curve(key) || (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= RSA_MIN_BITS);
}

static struct fed_pubkey *key_new(EVP_PKEY *evp, struct fed_str id)
{
    struct fed_pubkey *k = FED_NEW(struct fed_pubkey);
    struct fed_buf made = {0};
    k->key = evp;
    if (!id.p) {
        fed_key_id(evp, &made);
        id = fed_buf_str(&made);
    }
    k->id = fed_strdup_str(id);
    fed_buf_release(&made);
    return k;
}

void fed_pubkey_free(struct fed_pubkey *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->key);
    free(key->id);
    free(key);
}

struct fed_str fed_pubkey_id(const struct fed_pubkey *key)
{
    return fed_str(key->id);
}

/* --- PEM --- */

static EVP_PKEY *read_block(struct fed_str block, struct fed_err *err)
{
    if (fed_str_find(block, FED_STR("CERTIFICATE-----"), 0) >= 0) {
        X509 *cert = fed_ossl_read_cert(block, err);
        EVP_PKEY *key = cert ? X509_get_pubkey(cert) : NULL;
        X509_free(cert);
        return key;
    }
    return fed_ossl_read_any_key(block, err);
}

int fed_pubkeys_from_pem(struct fed_str pem, struct fed_pubkey **keys, size_t max, size_t *n, struct fed_err *err)
{
    const struct fed_str begin = FED_STR("-----BEGIN ");
    size_t start = *n;
    ptrdiff_t at = fed_str_find(pem, begin, 0);
    while (at >= 0) {
        ptrdiff_t next = fed_str_find(pem, begin, (size_t)at + begin.n);
        struct fed_str block = fed_str_from(pem, (size_t)at);
        if (next >= 0)
            block = fed_str_head(block, (size_t)(next - at));
        at = next;
        if (fed_str_starts(block, FED_STR("-----BEGIN EC PARAMETERS"))) /* openssl ecparam writes it before the key */
            continue;
        EVP_PKEY *evp = read_block(block, err);
        if (!evp)
            return FED_E_INVALID;
        if (!is_usable(evp) || *n == max) {
            EVP_PKEY_free(evp);
            return fed_err_set(err, FED_E_INVALID, "%s",
                               *n == max ? "too many keys"
                                         : "a key is neither RSA of 2048 bits or more nor on a NIST curve");
        }
        keys[(*n)++] = key_new(evp, (struct fed_str){NULL, 0});
    }
    return *n > start ? 0 : fed_err_set(err, FED_E_INVALID, "no key in the PEM text");
}

/* --- JWK --- */

static bool decode(struct fed_arena *a, const struct fed_json *jwk, const char *name, struct fed_str *out)
{
    struct fed_str text = fed_json_find_text(jwk, name);
    return text.n && text.n < 2048 && fed_base64url_decode(a, text, out) == 0 && out->n;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(struct fed_arena *a, const struct fed_json *jwk)
{
    struct fed_str n, e;
    EVP_PKEY *key = NULL;
    if (!decode(a, jwk, "n", &n) || !decode(a, jwk, "e", &e) || e.n > 8)
        return NULL;
    BIGNUM *bn = BN_bin2bn((const uint8_t *)n.p, (int)n.n, NULL), *be = BN_bin2bn((const uint8_t *)e.p, (int)e.n, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bn && be && bld && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) == 1)
        key = from_params("RSA", bld);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    return key;
}

static bool is_on_curve(EVP_PKEY *key)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool ok = ctx && EVP_PKEY_public_check(ctx) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static EVP_PKEY *ec_key(struct fed_arena *a, const struct fed_json *jwk)
{
    const struct fed_curve *c = NULL;
    struct fed_str x, y;
    uint8_t point[1 + 2 * 66];
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(curves); i++)
        if (fed_str_is(fed_json_find_text(jwk, "crv"), curves[i].jwk))
            c = &curves[i];
    if (!c || !decode(a, jwk, "x", &x) || !decode(a, jwk, "y", &y) || x.n != c->half || y.n != c->half)
        return NULL;
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.p, x.n);
    memcpy(point + 1 + x.n, y.p, y.n);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, c->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->half) == 1)
        key = from_params("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    if (key && !is_on_curve(key)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

int fed_pubkey_from_jwk(const struct fed_json *jwk, struct fed_pubkey **out, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_str kty = fed_json_find_text(jwk, "kty"), use = fed_json_find_text(jwk, "use");
    EVP_PKEY *key = NULL;
    if (!use.n || fed_str_is(use, "sig"))
        key = fed_str_is(kty, "RSA") ? rsa_key(&a, jwk) : fed_str_is(kty, "EC") ? ec_key(&a, jwk) : NULL;
    if (key && !is_usable(key)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    fed_arena_release(&a);
    *out = NULL;
    if (!key)
        return fed_err_set(err, FED_E_INVALID, "JSON Web Key: not a usable key for signatures");
    struct fed_str kid = fed_json_find_text(jwk, "kid");
    *out = key_new(key, kid.n ? kid : FED_STR(""));
    return 0;
}

static void add_number(struct fed_arena *a, struct fed_json *o, EVP_PKEY *key, const char *param, const char *name,
                       size_t width)
{
    BIGNUM *bn = NULL;
    uint8_t raw[1024];
    struct fed_buf b = {0};
    if (EVP_PKEY_get_bn_param(key, param, &bn) == 1 && (size_t)BN_num_bytes(bn) <= sizeof(raw)) {
        int n = BN_bn2binpad(bn, raw, (int)(width ? width : (size_t)BN_num_bytes(bn)));
        fed_base64url_encode(&b, fed_str_n((char *)raw, n > 0 ? (size_t)n : 0));
        fed_json_set(o, name, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
    }
    BN_free(bn);
    fed_buf_release(&b);
}

struct fed_json *fed_pubkey_jwk(const struct fed_pubkey *key, struct fed_arena *a)
{
    const struct fed_curve *c = fed_key_curve(key->key);
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "use", fed_json_new_strz(a, "sig"));
    fed_json_set(o, "kty", fed_json_new_strz(a, c ? "EC" : "RSA"));
    fed_json_set(o, "kid", fed_json_new_strz(a, key->id));
    if (c) {
        fed_json_set(o, "crv", fed_json_new_strz(a, c->jwk));
        fed_json_set(o, "alg", fed_json_new_strz(a, c->alg));
        add_number(a, o, key->key, OSSL_PKEY_PARAM_EC_PUB_X, "x", c->half);
        add_number(a, o, key->key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", c->half);
    } else {
        fed_json_set(o, "alg", fed_json_new_strz(a, "RS256"));
        add_number(a, o, key->key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
        add_number(a, o, key->key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
    }
    return o;
}
