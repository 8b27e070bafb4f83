/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/aead.h"

#include <limits.h>

#include "crypto/ossl.h"

static const EVP_CIPHER *cipher_of(struct fed_str key)
{
    switch (key.n) {
    case 16:
        return EVP_aes_128_gcm();
    case 24:
        return EVP_aes_192_gcm();
    case 32:
        return EVP_aes_256_gcm();
    default:
        return NULL;
    }
}

static const unsigned char *bytes(struct fed_str s)
{
    return (const unsigned char *)(s.p ? s.p : "");
}

int fed_aead_seal(struct fed_str key, const uint8_t nonce[FED_AEAD_NONCE], struct fed_str ad, struct fed_str plain,
                  struct fed_buf *out, struct fed_err *err)
{
    const EVP_CIPHER *cipher = cipher_of(key);
    if (!cipher || plain.n > INT_MAX - 64 || ad.n > INT_MAX)
        return fed_err_set(err, FED_E_INVALID, "an AES key has 16, 24 or 32 bytes");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char *to = (unsigned char *)fed_buf_reserve(out, plain.n + FED_AEAD_TAG);
    int n = 0, last = 0;
    bool ok = ctx && to && EVP_EncryptInit_ex(ctx, cipher, NULL, bytes(key), nonce) == 1 &&
              EVP_EncryptUpdate(ctx, NULL, &n, bytes(ad), (int)ad.n) == 1 &&
              EVP_EncryptUpdate(ctx, to, &n, bytes(plain), (int)plain.n) == 1 &&
              EVP_EncryptFinal_ex(ctx, to + n, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, FED_AEAD_TAG, to + plain.n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok)
        return fed_ossl_err(err, FED_E_INTERNAL, "encrypt");
    fed_buf_commit(out, plain.n + FED_AEAD_TAG);
    return 0;
}

int fed_aead_open(struct fed_str key, const uint8_t nonce[FED_AEAD_NONCE], struct fed_str ad, struct fed_str sealed,
                  struct fed_buf *out, struct fed_err *err)
{
    const EVP_CIPHER *cipher = cipher_of(key);
    if (!cipher)
        return fed_err_set(err, FED_E_INVALID, "an AES key has 16, 24 or 32 bytes");
    if (sealed.n < FED_AEAD_TAG || sealed.n > INT_MAX || ad.n > INT_MAX)
        return fed_err_set(err, FED_E_CORRUPT, "the encrypted value is cut short");
    size_t len = sealed.n - FED_AEAD_TAG;
    unsigned char tag[FED_AEAD_TAG];
    memcpy(tag, sealed.p + len, sizeof tag);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    unsigned char *to = (unsigned char *)fed_buf_reserve(out, len + 1);
    int n = 0, last = 0;
    bool ok = ctx && to && EVP_DecryptInit_ex(ctx, cipher, NULL, bytes(key), nonce) == 1 &&
              EVP_DecryptUpdate(ctx, NULL, &n, bytes(ad), (int)ad.n) == 1 &&
              EVP_DecryptUpdate(ctx, to, &n, bytes(sealed), (int)len) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, FED_AEAD_TAG, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, to + n, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        (void)fed_ossl_err(NULL, FED_E_CORRUPT, "decrypt"); /* the queue says nothing of a wrong tag */
        return fed_err_set(err, FED_E_CORRUPT, "the encrypted value does not verify: it was changed, or its key was");
    }
    fed_buf_commit(out, len);
    return 0;
}
