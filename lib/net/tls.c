/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include "base/mem.h"
#include "crypto/ossl.h"
#include "net/tls_conn.h"

enum { FILE_MAX = 1 << 20, CHECK_EACH_MS = 60000, SESSION_SECONDS = 3600 };

struct stamp { /* identity of a file's content, good enough for certificates that are replaced */
    int64_t mtime_s, mtime_ns, size;
    uint64_t inode;
};
struct fed_tls {
    int refs;                 /* atomic */
    struct fed_tls_conf conf; /* slices and strings are copies of ours */
    uint8_t alpn_wire[64];    /* length-prefixed names in our order of preference */
    size_t n_alpn_wire;
    pthread_mutex_t lock; /* the fields below */
    SSL_CTX *ctx;
    struct stamp stamps[3];
    uint64_t next_check_ms;
};

int fed_tls_err(struct fed_err *err, const char *what)
{
    return fed_ossl_err(err, FED_E_TLS, what);
}

static int read_file(const char *path, struct fed_buf *out, struct fed_err *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    fed_buf_init(out, FILE_MAX);
    char *room;
    size_t n;
    do {
        room = fed_buf_reserve(out, 4096);
        n = room ? fread(room, 1, 4096, f) : 0;
        fed_buf_commit(out, n);
    } while (n > 0);
    bool failed = ferror(f);
    fclose(f);
    if (!failed && fed_buf_status(out) == 0)
        return 0;
    fed_buf_release(out);
    return fed_err_set(err, FED_E_IO, "%s: cannot read", path);
}

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (!path || stat(path, &st) != 0)
        return (struct stamp){0};
    return (struct stamp){st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, st.st_ino};
}

static void stamps_now(const struct fed_tls *tls, struct stamp out[3])
{
    out[0] = stamp_of(tls->conf.cert_file);
    out[1] = stamp_of(tls->conf.key_file);
    out[2] = stamp_of(tls->conf.ca_file);
}

/* The PEM text of a setting: bytes, else the file; empty when neither is set. */
static int pem_of(struct fed_str bytes, const char *file, struct fed_buf *out, struct fed_err *err)
{
    *out = (struct fed_buf){0};
    if (bytes.n > 0 || !file) {
        fed_buf_add(out, bytes);
        return 0;
    }
    return read_file(file, out, err);
}

static int use_chain(SSL_CTX *ctx, struct fed_str pem, struct fed_err *err)
{
    BIO *bio = NULL;
    X509 *cert = fed_ossl_next_cert(&bio, pem), *issuer;
    int rc = cert && SSL_CTX_use_certificate(ctx, cert) == 1 ? 0 : fed_tls_err(err, "certificate");
    X509_free(cert);
    while (bio && (issuer = fed_ossl_next_cert(&bio, pem)))
        if (rc != 0 || SSL_CTX_add0_chain_cert(ctx, issuer) != 1) {
            X509_free(issuer);
            rc = rc ? rc : fed_tls_err(err, "certificate chain");
        }
    return rc;
}

static int use_key(SSL_CTX *ctx, struct fed_str pem, struct fed_err *err)
{
    EVP_PKEY *key = fed_ossl_read_key(pem, err);
    if (!key)
        return FED_E_TLS;
    int rc = 0;
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        rc = fed_tls_err(err, "private key");
    EVP_PKEY_free(key);
    return rc;
}

static int use_anchors(SSL_CTX *ctx, struct fed_str pem, bool server, struct fed_err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *bio = NULL;
    X509 *cert;
    size_t n = 0;
    while ((cert = fed_ossl_next_cert(&bio, pem))) {
        X509_STORE_add_cert(store, cert);
        if (server) /* clients choose among their certificates by these names */
            SSL_CTX_add_client_CA(ctx, cert);
        X509_free(cert);
        n++;
    }
    if (n == 0)
        return fed_err_set(err, FED_E_TLS, "trust anchors: no certificate");
    /* As in Kubernetes' own clients, each certificate given is an anchor, also one that is not self-signed. */
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    return 0;
}

/* For FED_TLS_PEER_OPTIONAL: the handshake goes on, the verdict stays in the session and denies the identity. */
static int accept_any(int ok, X509_STORE_CTX *store)
{
    (void)ok, (void)store;
    return 1;
}

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out, const unsigned char *in,
                       unsigned int n_in, void *arg)
{
    (void)arg; /* the listener's settings rule, whichever certificate was chosen by name */
    struct fed_tls_conn *c = SSL_get_app_data(ssl);
    const struct fed_tls *tls = c->tls;
    if (tls->n_alpn_wire == 0)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, n_out, tls->alpn_wire, (unsigned)tls->n_alpn_wire, in, n_in) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int choose_by_name(SSL *ssl, int *alert, void *arg)
{
    (void)alert, (void)arg;
    struct fed_tls_conn *c = SSL_get_app_data(ssl);
    const struct fed_tls_conf *conf = &c->tls->conf;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char lower[256];
    size_t n = name ? strlen(name) : 0;
    if (!conf->by_name || n == 0 || n >= sizeof(lower))
        return SSL_TLSEXT_ERR_OK;
    for (size_t i = 0; i <= n; i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    struct fed_tls *other = conf->by_name(conf->ud, lower);
    if (other) {
        SSL_CTX *ctx = fed_tls_context(other, c->now_ms);
        SSL_set_SSL_CTX(ssl, ctx);
        SSL_CTX_free(ctx);
    }
    return SSL_TLSEXT_ERR_OK;
}

static void set_server_options(SSL_CTX *ctx, const struct fed_tls_conf *conf)
{
    static const unsigned char session_context[] = "hansa";
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Tickets carry the session, so nothing is kept here. Their keys are the context's: a reload ends them. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_timeout(ctx, SESSION_SECONDS);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(ctx, choose_by_name);
    if (conf->peer == FED_TLS_PEER_REQUIRED)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    else if (conf->peer == FED_TLS_PEER_OPTIONAL)
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, accept_any);
}

static int use_material(SSL_CTX *ctx, const struct fed_tls_conf *conf, struct fed_err *err)
{
    struct fed_buf cert = {0}, key = {0}, ca = {0};
    int rc = pem_of(conf->cert_pem, conf->cert_file, &cert, err);
    if (rc == 0)
        rc = pem_of(conf->key_pem, conf->key_file, &key, err);
    if (rc == 0)
        rc = pem_of(conf->ca_pem, conf->ca_file, &ca, err);
    if (rc == 0 && cert.n > 0)
        rc = use_chain(ctx, fed_buf_str(&cert), err);
    if (rc == 0 && cert.n > 0)
        rc = use_key(ctx, fed_buf_str(&key), err);
    if (rc == 0 && cert.n == 0 && conf->server && !conf->by_name)
        rc = fed_err_set(err, FED_E_TLS, "a server needs a certificate");
    if (rc == 0 && ca.n > 0)
        rc = use_anchors(ctx, fed_buf_str(&ca), conf->server, err);
    else if (rc == 0 && conf->server && conf->peer != FED_TLS_PEER_NONE)
        rc = fed_err_set(err, FED_E_TLS, "client certificates need trust anchors");
    else if (rc == 0 && !conf->server && !conf->insecure && SSL_CTX_set_default_verify_paths(ctx) != 1)
        rc = fed_tls_err(err, "system trust anchors");
    fed_buf_release(&cert);
    if (key.p)
        OPENSSL_cleanse(key.p, key.n);
    fed_buf_release(&key);
    fed_buf_release(&ca);
    return rc;
}

static int build(struct fed_tls *tls, SSL_CTX **out, struct fed_err *err)
{
    const struct fed_tls_conf *conf = &tls->conf;
    SSL_CTX *ctx = SSL_CTX_new(conf->server ? TLS_server_method() : TLS_client_method());
    if (!ctx)
        return fed_tls_err(err, "TLS context");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* For TLS 1.2: forward secrecy and authenticated encryption only. */
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    /* AES-128 first, as Go has it: a fifth more bytes for the same time, and nobody breaks either. */
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    /* Idle connections (watches) are many: they keep no record buffers. */
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (conf->server) {
        set_server_options(ctx, conf);
    } else {
        SSL_CTX_set_verify(ctx, conf->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        if (tls->n_alpn_wire > 0)
            SSL_CTX_set_alpn_protos(ctx, tls->alpn_wire, (unsigned)tls->n_alpn_wire);
    }
    int rc = use_material(ctx, conf, err);
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    *out = ctx;
    return 0;
}

/* "h2,http/1.1" to length-prefixed names. */
static int parse_alpn(struct fed_tls *tls, const char *list, struct fed_err *err)
{
    struct fed_str rest = fed_str(list), name;
    while (rest.p && fed_str_cut(&rest, ',', &name)) {
        if (name.n == 0 || tls->n_alpn_wire + 1 + name.n > sizeof(tls->alpn_wire))
            return fed_err_set(err, FED_E_INVALID, "ALPN list: %s", list);
        tls->alpn_wire[tls->n_alpn_wire++] = (uint8_t)name.n;
        memcpy(tls->alpn_wire + tls->n_alpn_wire, name.p, name.n);
        tls->n_alpn_wire += name.n;
    }
    return 0;
}

static struct fed_str copy_str(struct fed_str s)
{
    return s.n > 0 ? fed_str_n(fed_strdup_str(s), s.n) : (struct fed_str){0};
}

static char *copy_z(const char *z)
{
    return z ? fed_strdup(z) : NULL;
}

static void release_conf(struct fed_tls_conf *conf)
{
    if (conf->key_pem.p)
        OPENSSL_cleanse((char *)conf->key_pem.p, conf->key_pem.n);
    free((char *)conf->cert_pem.p);
    free((char *)conf->key_pem.p);
    free((char *)conf->ca_pem.p);
    free((char *)conf->cert_file);
    free((char *)conf->key_file);
    free((char *)conf->ca_file);
}

int fed_tls_new(struct fed_env *env, const struct fed_tls_conf *conf, struct fed_tls **out, struct fed_err *err)
{
    struct fed_tls *tls = FED_NEW(struct fed_tls);
    tls->refs = 1;
    pthread_mutex_init(&tls->lock, NULL);
    tls->conf = *conf;
    tls->conf.cert_pem = copy_str(conf->cert_pem);
    tls->conf.key_pem = copy_str(conf->key_pem);
    tls->conf.ca_pem = copy_str(conf->ca_pem);
    tls->conf.cert_file = copy_z(conf->cert_file);
    tls->conf.key_file = copy_z(conf->key_file);
    tls->conf.ca_file = copy_z(conf->ca_file);
    tls->conf.alpn = NULL; /* parsed */
    tls->next_check_ms = fed_mono_ms(env) + CHECK_EACH_MS;
    int rc = parse_alpn(tls, conf->alpn, err);
    if (rc == 0) {
        stamps_now(tls, tls->stamps); /* before reading: a change in between is seen again */
        rc = build(tls, &tls->ctx, err);
    }
    if (rc != 0) {
        fed_tls_unref(tls);
        return rc;
    }
    *out = tls;
    return 0;
}

struct fed_tls *fed_tls_ref(struct fed_tls *tls)
{
    __atomic_add_fetch(&tls->refs, 1, __ATOMIC_RELAXED);
    return tls;
}

void fed_tls_unref(struct fed_tls *tls)
{
    if (!tls || __atomic_sub_fetch(&tls->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    SSL_CTX_free(tls->ctx);
    release_conf(&tls->conf);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

static int reload_locked(struct fed_tls *tls, const struct stamp now[3], struct fed_err *err)
{
    SSL_CTX *ctx;
    int rc = build(tls, &ctx, err);
    if (rc != 0)
        return rc;
    SSL_CTX_free(tls->ctx); /* running sessions hold their own references */
    tls->ctx = ctx;
    memcpy(tls->stamps, now, sizeof(tls->stamps));
    return 0;
}

int fed_tls_reload(struct fed_tls *tls, struct fed_err *err)
{
    struct stamp now[3];
    pthread_mutex_lock(&tls->lock);
    stamps_now(tls, now);
    int rc = reload_locked(tls, now, err);
    pthread_mutex_unlock(&tls->lock);
    return rc;
}

SSL_CTX *fed_tls_context(struct fed_tls *tls, uint64_t now_ms)
{
    struct stamp now[3];
    pthread_mutex_lock(&tls->lock);
    if (now_ms >= tls->next_check_ms) {
        tls->next_check_ms = now_ms + CHECK_EACH_MS;
        stamps_now(tls, now);
        /* On failure (a pair half replaced) the old context serves on, and the next check tries again. */
        if (memcmp(now, tls->stamps, sizeof(now)) != 0 && reload_locked(tls, now, NULL) != 0)
            ERR_clear_error();
    }
    SSL_CTX *ctx = tls->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&tls->lock);
    return ctx;
}

bool fed_tls_is_server(const struct fed_tls *tls)
{
    return tls->conf.server;
}

bool fed_tls_is_insecure(const struct fed_tls *tls)
{
    return tls->conf.insecure;
}
