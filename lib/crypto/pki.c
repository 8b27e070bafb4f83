/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/pki.h"

#include <arpa/inet.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "crypto/pki_priv.h"

static int write_bio(BIO *bio, struct fed_buf *out, struct fed_err *err)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);
    fed_buf_append(out, p, (size_t)n);
    return fed_buf_status(out) ? fed_err_set(err, FED_E_LIMIT, "PEM text: too long") : 0;
}

int fed_pki_new_key(struct fed_buf *key_pem, struct fed_err *err)
{
    BIO *bio = BIO_new(BIO_s_secmem());
    EVP_PKEY *key = EVP_EC_gen("P-256");
    int rc = 0;
    if (!bio || !key || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        rc = fed_ossl_err(err, FED_E_INTERNAL, "new key");
    else
        rc = write_bio(bio, key_pem, err);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rc;
}

static bool add_name(X509_NAME *name, int nid, struct fed_str text)
{
    /* As UTF8String without OpenSSL's length table: names of Kubernetes users may pass 64 bytes. */
    return X509_NAME_add_entry_by_NID(name, nid, V_ASN1_UTF8STRING, (unsigned char *)(text.p ? text.p : ""),
                                      (int)text.n, -1, 0) == 1;
}

bool fed_pki_set_serial(X509 *cert)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive and never shorter */
    BIGNUM *bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
    BN_free(bn);
    return ok;
}

bool fed_pki_set_validity(X509 *cert, int64_t from_ms, int64_t to_ms)
{
    return ASN1_TIME_adj(X509_getm_notBefore(cert), (time_t)(from_ms / 1000), 0, 0) &&
           ASN1_TIME_adj(X509_getm_notAfter(cert), (time_t)(to_ms / 1000), 0, 0);
}

bool fed_pki_add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(cert, ext, -1) == 1;
    X509_EXTENSION_free(ext);
    return ok;
}

static bool push_name(GENERAL_NAMES *names, int type, const void *p, size_t n)
{
    ASN1_STRING *value = ASN1_STRING_type_new(type == GEN_DNS ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
    GENERAL_NAME *gn = GENERAL_NAME_new();
    if (!value || !gn || ASN1_STRING_set(value, p, (int)n) != 1) {
        ASN1_STRING_free(value);
        GENERAL_NAME_free(gn);
        return false;
    }
    GENERAL_NAME_set0_value(gn, type, value);
    if (sk_GENERAL_NAME_push(names, gn) > 0)
        return true;
    GENERAL_NAME_free(gn);
    return false;
}

static int push_ip(GENERAL_NAMES *names, const char *ip, struct fed_err *err)
{
    uint8_t bytes[16];
    size_t n = inet_pton(AF_INET, ip, bytes) == 1 ? 4 : inet_pton(AF_INET6, ip, bytes) == 1 ? 16 : 0;
    if (n == 0)
        return fed_err_set(err, FED_E_INVALID, "certificate: not an IP address: %s", ip);
    return push_name(names, GEN_IPADD, bytes, n) ? 0 : fed_ossl_err(err, FED_E_INTERNAL, "certificate");
}

static int add_alt_names(X509 *cert, const struct fed_cert_spec *spec, struct fed_err *err)
{
    int rc = 0;
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    for (const char *const *z = spec->dns_names; rc == 0 && z && *z; z++) {
        for (const char *c = *z; *c; c++)
            if (*c <= ' ' || *c >= 127)
                rc = fed_err_set(err, FED_E_INVALID, "certificate: not a DNS name: %s", *z);
        if (rc == 0 && !push_name(names, GEN_DNS, *z, strlen(*z)))
            rc = fed_ossl_err(err, FED_E_INTERNAL, "certificate");
    }
    for (const char *const *z = spec->ips; rc == 0 && z && *z; z++)
        rc = push_ip(names, *z, err);
    if (rc == 0 && sk_GENERAL_NAME_num(names) > 0 &&
        X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
        rc = fed_ossl_err(err, FED_E_INTERNAL, "certificate");
    GENERAL_NAMES_free(names);
    return rc;
}

int fed_pki_finish(X509 *cert, EVP_PKEY *signer, struct fed_buf *out, struct fed_err *err)
{
    if (X509_sign(cert, signer, EVP_sha256()) == 0)
        return fed_ossl_err(err, FED_E_INTERNAL, "sign certificate");
    BIO *bio = BIO_new(BIO_s_mem());
    int rc = bio && PEM_write_bio_X509(bio, cert) == 1 ? write_bio(bio, out, err)
                                                       : fed_ossl_err(err, FED_E_INTERNAL, "certificate");
    BIO_free(bio);
    return rc;
}

int fed_pki_new_ca(struct fed_str key_pem, struct fed_str cn, int64_t not_before_ms, int64_t not_after_ms,
                   struct fed_buf *cert_pem, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(key_pem, err);
    if (!key)
        return FED_E_INVALID;
    X509 *cert = X509_new();
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;
    bool ok = cert && X509_set_version(cert, X509_VERSION_3) && fed_pki_set_serial(cert) &&
              fed_pki_set_validity(cert, not_before_ms, not_after_ms) && add_name(name, NID_commonName, cn) &&
              X509_set_issuer_name(cert, name) && X509_set_pubkey(cert, key) &&
              fed_pki_add_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE") &&
              fed_pki_add_ext(cert, cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign") &&
              fed_pki_add_ext(cert, cert, NID_subject_key_identifier, "hash");
    int rc = ok ? fed_pki_finish(cert, key, cert_pem, err) : fed_ossl_err(err, FED_E_INTERNAL, "CA certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
    return rc;
}

static bool fill_leaf(X509 *cert, X509 *ca, EVP_PKEY *subject, const struct fed_cert_spec *spec)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const char *usage = spec->server && spec->client ? "serverAuth,clientAuth"
                        : spec->server               ? "serverAuth"
                        : spec->client               ? "clientAuth"
                                                     : NULL;
    for (size_t i = 0; i < spec->n_orgs; i++)
        if (!add_name(name, NID_organizationName, spec->orgs[i]))
            return false;
    return X509_set_version(cert, X509_VERSION_3) && fed_pki_set_serial(cert) &&
           fed_pki_set_validity(cert, spec->not_before_ms, spec->not_after_ms) &&
           (spec->cn.n == 0 || add_name(name, NID_commonName, spec->cn)) &&
           X509_set_issuer_name(cert, X509_get_subject_name(ca)) && X509_set_pubkey(cert, subject) &&
           fed_pki_add_ext(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           fed_pki_add_ext(cert, ca, NID_key_usage, "critical,digitalSignature") &&
           (!usage || fed_pki_add_ext(cert, ca, NID_ext_key_usage, usage)) &&
           fed_pki_add_ext(cert, ca, NID_subject_key_identifier, "hash") &&
           fed_pki_add_ext(cert, ca, NID_authority_key_identifier, "keyid");
}

static int sign_leaf(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, EVP_PKEY *subject,
                     const struct fed_cert_spec *spec, struct fed_buf *cert_pem, struct fed_err *err)
{
    int rc = FED_E_INVALID;
    X509 *cert = NULL;
    EVP_PKEY *ca_key = NULL;
    X509 *ca = fed_ossl_read_cert(ca_cert_pem, err);
    if (!ca)
        goto out;
    ca_key = fed_ossl_read_key(ca_key_pem, err);
    if (!ca_key)
        goto out;
    if (X509_check_private_key(ca, ca_key) != 1) {
        fed_ossl_err(err, FED_E_INVALID, "CA certificate and key");
        goto out;
    }
    cert = X509_new();
    if (!cert || !fill_leaf(cert, ca, subject, spec)) {
        rc = fed_ossl_err(err, FED_E_INTERNAL, "certificate");
        goto out;
    }
    rc = add_alt_names(cert, spec, err);
    if (rc == 0)
        rc = fed_pki_finish(cert, ca_key, cert_pem, err);
out:
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    X509_free(ca);
    return rc;
}

int fed_pki_sign(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str key_pem,
                 const struct fed_cert_spec *spec, struct fed_buf *cert_pem, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(key_pem, err);
    if (!key)
        return FED_E_INVALID;
    int rc = sign_leaf(ca_cert_pem, ca_key_pem, key, spec, cert_pem, err);
    EVP_PKEY_free(key);
    return rc;
}

int fed_pki_sign_csr(struct fed_str ca_cert_pem, struct fed_str ca_key_pem, struct fed_str csr_pem,
                     const struct fed_cert_spec *spec, struct fed_buf *cert_pem, struct fed_err *err)
{
    BIO *bio = BIO_new_mem_buf(csr_pem.p ? csr_pem.p : "", (int)csr_pem.n);
    X509_REQ *csr = bio ? PEM_read_bio_X509_REQ(bio, NULL, fed_ossl_no_password, NULL) : NULL;
    EVP_PKEY *key = csr ? X509_REQ_get0_pubkey(csr) : NULL;
    int rc;
    if (!key || X509_REQ_verify(csr, key) != 1) /* the requester holds the private key */
        rc = fed_ossl_err(err, FED_E_INVALID, "certificate signing request");
    else
        rc = sign_leaf(ca_cert_pem, ca_key_pem, key, spec, cert_pem, err);
    X509_REQ_free(csr);
    BIO_free(bio);
    return rc;
}

static int time_ms(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(t, &tm) != 1)
        return FED_E_INVALID;
    *out = (int64_t)timegm(&tm) * 1000;
    return 0;
}

int fed_pki_validity(struct fed_str cert_pem, int64_t *not_before_ms, int64_t *not_after_ms, struct fed_err *err)
{
    X509 *cert = fed_ossl_read_cert(cert_pem, err);
    if (!cert)
        return FED_E_INVALID;
    int rc = time_ms(X509_get0_notBefore(cert), not_before_ms);
    if (rc == 0)
        rc = time_ms(X509_get0_notAfter(cert), not_after_ms);
    if (rc != 0)
        fed_ossl_err(err, rc, "certificate: validity");
    X509_free(cert);
    return rc;
}

bool fed_pki_signed_by(struct fed_str cert_pem, struct fed_str ca_pem)
{
    bool found = false;
    BIO *bio = NULL;
    X509 *ca, *cert = fed_ossl_read_cert(cert_pem, NULL);
    while (cert && (ca = fed_ossl_next_cert(&bio, ca_pem))) {
        found = found || (X509_check_issued(ca, cert) == X509_V_OK && X509_verify(cert, X509_get0_pubkey(ca)) == 1);
        X509_free(ca);
    }
    X509_free(cert);
    return found;
}

bool fed_pki_key_matches(struct fed_str cert_pem, struct fed_str key_pem)
{
    X509 *cert = fed_ossl_read_cert(cert_pem, NULL);
    EVP_PKEY *key = fed_ossl_read_key(key_pem, NULL);
    bool same = cert && key && EVP_PKEY_eq(X509_get0_pubkey(cert), key) == 1;
    EVP_PKEY_free(key);
    X509_free(cert);
    return same;
}

bool fed_pki_is_for(struct fed_str cert_pem, const char *const *dns_names, const char *const *ips)
{
    X509 *cert = fed_ossl_read_cert(cert_pem, NULL);
    bool all = cert != NULL;
    for (; all && dns_names && *dns_names; dns_names++) /* a pattern is no name that could be asked for */
        all =
            **dns_names == '*' || X509_check_host(cert, *dns_names, 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
    for (; all && ips && *ips; ips++)
        all = X509_check_ip_asc(cert, *ips, 0) == 1;
    X509_free(cert);
    return all;
}
