/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ossl.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/pem.h>

int fed_ossl_err(struct fed_err *err, int code, const char *what)
{
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    fed_err_set(err, code, "%s: %s", what, reason ? reason : fed_code_text(code));
    ERR_clear_error();
    return code;
}

int fed_ossl_no_password(char *buf, int size, int writing, void *ud)
{
    (void)buf, (void)size, (void)writing, (void)ud;
    return 0;
}

static BIO *text_bio(struct fed_str pem)
{
    ERR_clear_error();
    return pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n) : NULL;
}

X509 *fed_ossl_read_cert(struct fed_str pem, struct fed_err *err)
{
    BIO *bio = text_bio(pem);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, fed_ossl_no_password, NULL) : NULL;
    if (!cert)
        fed_ossl_err(err, FED_E_INVALID, "certificate");
    BIO_free(bio);
    return cert;
}

EVP_PKEY *fed_ossl_read_key(struct fed_str pem, struct fed_err *err)
{
    BIO *bio = text_bio(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, fed_ossl_no_password, NULL) : NULL;
    if (!key)
        fed_ossl_err(err, FED_E_INVALID, "private key");
    BIO_free(bio);
    return key;
}

EVP_PKEY *fed_ossl_read_any_key(struct fed_str pem, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(pem, NULL);
    if (key)
        return key;
    BIO *bio = text_bio(pem);
    key = bio ? PEM_read_bio_PUBKEY(bio, NULL, fed_ossl_no_password, NULL) : NULL;
    if (!key)
        fed_ossl_err(err, FED_E_INVALID, "key");
    BIO_free(bio);
    return key;
}

X509 *fed_ossl_next_cert(BIO **bio, struct fed_str pem)
{
    if (!*bio)
        *bio = text_bio(pem);
    X509 *cert = *bio ? PEM_read_bio_X509(*bio, NULL, fed_ossl_no_password, NULL) : NULL;
    if (!cert) {
        BIO_free(*bio);
        *bio = NULL;
        ERR_clear_error(); /* the end of the text is reported as an error */
    }
    return cert;
}
