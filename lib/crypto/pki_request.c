/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pki_request.h"

#include <string.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/def.h"
#include "crypto/pki.h"
#include "crypto/pki_priv.h"

#define BEGIN "-----BEGIN CERTIFICATE REQUEST-----"

/* NULL with err set when it is no request, or not signed by its own key. */
static X509_REQ *read_request(struct fed_str pem, struct fed_err *err)
{
    ptrdiff_t begin = fed_str_find(pem, FED_STR("-----BEGIN "), 0);
    if (begin < 0 || !fed_str_starts(fed_str_from(pem, (size_t)begin), FED_STR(BEGIN))) {
        fed_err_set(err, FED_E_INVALID, "PEM block type must be CERTIFICATE REQUEST");
        return NULL;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_REQ *csr = bio ? PEM_read_bio_X509_REQ(bio, NULL, fed_ossl_no_password, NULL) : NULL;
    EVP_PKEY *key = csr ? X509_REQ_get0_pubkey(csr) : NULL;
    BIO_free(bio);
    if (key && X509_REQ_verify(csr, key) == 1) /* the requester holds the private key */
        return csr;
    (void)fed_ossl_err(err, FED_E_INVALID, "certificate signing request");
    X509_REQ_free(csr);
    return NULL;
}

static struct fed_str entry_text(struct fed_arena *a, X509_NAME *name, int at)
{
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    struct fed_str out = {NULL, 0};
    if (n >= 0)
        out = fed_arena_dup(a, fed_str_n((const char *)text, (size_t)n));
    OPENSSL_free(text);
    return out;
}

int fed_pki_request_read(struct fed_arena *a, struct fed_str csr_pem, struct fed_pki_request *out, struct fed_err *err)
{
    X509_REQ *csr = read_request(csr_pem, err);
    *out = (struct fed_pki_request){.n_orgs = 0};
    if (!csr)
        return FED_E_INVALID;
    X509_NAME *name = X509_REQ_get_subject_name(csr);
    out->orgs = FED_ARENA_ARRAY(a, struct fed_str, (size_t)X509_NAME_entry_count(name) + 1);
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0;)
        out->orgs[out->n_orgs++] = entry_text(a, name, at);
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at >= 0)
        out->cn = entry_text(a, name, at);
    X509_REQ_free(csr);
    return 0;
}

/* Only the alternative names are taken over: a request may ask for what its signer would not grant (CA:TRUE). */
static bool copy_alt_names(X509 *cert, X509_REQ *csr)
{
    STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(csr);
    int at = X509v3_get_ext_by_NID(exts, NID_subject_alt_name, -1);
    bool ok = at < 0 || X509_add_ext(cert, X509v3_get_ext(exts, at), -1) == 1;
    sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
    return ok;
}

static bool fill(X509 *cert, X509 *ca, X509_REQ *csr, unsigned uses)
{
    bool sig = uses & FED_PKI_SIGNATURE, enc = uses & FED_PKI_ENCIPHERMENT;
    const char *usage = sig && enc ? "critical,digitalSignature,keyEncipherment"
                        : sig      ? "critical,digitalSignature"
                                   : "critical,keyEncipherment";
    bool server = uses & FED_PKI_SERVER, client = uses & FED_PKI_CLIENT;
    const char *ext = server && client ? "serverAuth,clientAuth" : server ? "serverAuth" : "clientAuth";
    return X509_set_version(cert, X509_VERSION_3) && fed_pki_set_serial(cert) &&
           X509_set_subject_name(cert, X509_REQ_get_subject_name(csr)) &&
           X509_set_issuer_name(cert, X509_get_subject_name(ca)) && X509_set_pubkey(cert, X509_REQ_get0_pubkey(csr)) &&
           fed_pki_add_ext(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           ((!sig && !enc) || fed_pki_add_ext(cert, ca, NID_key_usage, usage)) &&
           ((!server && !client) || fed_pki_add_ext(cert, ca, NID_ext_key_usage, ext)) &&
           fed_pki_add_ext(cert, ca, NID_authority_key_identifier, "keyid") && copy_alt_names(cert, csr);
}

int fed_pki_request_sign(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str csr_pem, unsigned uses,
                         int64_t not_before_ms, int64_t not_after_ms, struct fed_buf *cert_pem, struct fed_err *err)
{
    int64_t ca_from, ca_until;
    int rc = fed_pki_validity(ca_cert_pem, &ca_from, &ca_until, err);
    if (rc)
        return rc;
    X509_REQ *csr = read_request(csr_pem, err);
    X509 *ca = csr ? fed_ossl_read_cert(ca_cert_pem, err) : NULL, *cert = NULL;
    EVP_PKEY *ca_key = ca ? fed_ossl_read_key(ca_key_pem, err) : NULL;
    rc = FED_E_INVALID;
    if (!ca_key)
        goto out;
    cert = X509_new();
    if (!cert || !fill(cert, ca, csr, uses) ||
        !fed_pki_set_validity(cert, not_before_ms, FED_MIN(not_after_ms, ca_until)))
        rc = fed_ossl_err(err, FED_E_INTERNAL, "certificate");
    else
        rc = fed_pki_finish(cert, ca_key, cert_pem, err);
out:
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    X509_free(ca);
    X509_REQ_free(csr);
    return rc;
}

bool fed_pki_is_chain(struct fed_str pem)
{
    static const struct fed_str mark = FED_STR_INIT("-----BEGIN ");
    size_t blocks = 0, certs = 0;
    for (ptrdiff_t at = fed_str_find(pem, mark, 0); at >= 0; at = fed_str_find(pem, mark, (size_t)at + mark.n)) {
        if (!fed_str_starts(fed_str_from(pem, (size_t)at), FED_STR("-----BEGIN CERTIFICATE-----")))
            return false;
        blocks++;
    }
    BIO *bio = NULL;
    X509 *cert;
    while ((cert = fed_ossl_next_cert(&bio, pem))) {
        certs++;
        X509_free(cert);
    }
    return certs > 0 && certs == blocks;
}
