/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_conn.h"

#include <pthread.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"

/* Ciphertext waiting to be sent is bounded by the stream (it stops encrypting); this only catches a mistake. */
enum { OUT_MAX = 4 << 20 };

static int bio_read(BIO *bio, char *out, int room)
{
    struct fed_tls_conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (c->in.n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t n = FED_MIN((size_t)room, c->in.n);
    memcpy(out, c->in.p, n);
    c->in = fed_str_from(c->in, n);
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int n)
{
    struct fed_tls_conn *c = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    fed_buf_append(&c->out, bytes, (size_t)n);
    return c->out.failed ? -1 : n;
}

static long bio_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
    (void)bio, (void)arg, (void)ptr;
    return cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *bio_method;
static pthread_once_t bio_once = PTHREAD_ONCE_INIT;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hansa stream");
    FED_REQUIRE(bio_method);
    BIO_meth_set_read(bio_method, bio_read);
    BIO_meth_set_write(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_ctrl);
    BIO_meth_set_create(bio_method, bio_create);
}

static int set_expected_name(struct fed_tls_conn *c, const char *name, const struct fed_addr *peer, struct fed_err *err)
{
    char ip[48];
    struct fed_addr a;
    if (!name && peer && (peer->sa.sa_family == AF_INET || peer->sa.sa_family == AF_INET6)) {
        fed_addr_format_ip(peer, ip);
        name = ip;
    }
    bool literal = name && fed_addr_parse(fed_str(name), 0, &a) == 0;
    if (name && !literal && SSL_set_tlsext_host_name(c->ssl, name) != 1)
        return fed_tls_err(err, "server name");
    if (fed_tls_is_insecure(c->tls))
        return 0;
    if (!name)
        return fed_err_set(err, FED_E_TLS, "no server name to verify");
    X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    int ok = literal ? X509_VERIFY_PARAM_set1_ip_asc(param, name) : X509_VERIFY_PARAM_set1_host(param, name, 0);
    return ok == 1 ? 0 : fed_tls_err(err, "server name");
}

int fed_tls_conn_init(struct fed_tls_conn *c, struct fed_tls *tls, uint64_t now_ms, const char *server_name,
                      const struct fed_addr *peer, struct fed_err *err)
{
    pthread_once(&bio_once, make_bio_method);
    *c = (struct fed_tls_conn){.tls = fed_tls_ref(tls), .now_ms = now_ms};
    fed_buf_init(&c->out, OUT_MAX);
    SSL_CTX *ctx = fed_tls_context(tls, now_ms);
    c->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    BIO *bio = BIO_new(bio_method);
    FED_REQUIRE(c->ssl && bio);
    BIO_set_data(bio, c);
    SSL_set_bio(c->ssl, bio, bio);
    SSL_set_app_data(c->ssl, c);
    if (fed_tls_is_server(tls)) {
        SSL_set_accept_state(c->ssl);
        return 0;
    }
    SSL_set_connect_state(c->ssl);
    return set_expected_name(c, server_name, peer, err);
}

void fed_tls_conn_release(struct fed_tls_conn *c)
{
    SSL_free(c->ssl);
    fed_tls_unref(c->tls);
    fed_buf_release(&c->out);
    free(c->kept);
    *c = (struct fed_tls_conn){0};
}

/* A failed call that only needs input is WAIT; anything else a failure with the most telling reason. */
static int step_of(struct fed_tls_conn *c, int rc, const char *what, struct fed_err *err)
{
    int e = SSL_get_error(c->ssl, rc);
    if (e == SSL_ERROR_WANT_READ)
        return FED_TLS_WAIT;
    if (e == SSL_ERROR_ZERO_RETURN)
        return FED_TLS_CLOSED;
    long verdict = SSL_get_verify_result(c->ssl);
    if (verdict != X509_V_OK && !SSL_is_init_finished(c->ssl)) {
        ERR_clear_error();
        return fed_err_set(err, FED_E_TLS, "%s: %s", what, X509_verify_cert_error_string(verdict));
    }
    return fed_tls_err(err, what);
}

/* No record begins so. Whoever meets a port without TLS is told what is wrong in words that browsers and curl show. */
static bool is_http(struct fed_str in)
{
    static const char *const begins[] = {"GET /", "POST ", "PUT /", "HEAD ", "DELET", "PATCH", "OPTIO"};
    for (size_t i = 0; i < FED_ARRAY_LEN(begins); i++)
        if (fed_str_starts(in, fed_str(begins[i])))
            return true;
    return false;
}

int fed_tls_conn_handshake(struct fed_tls_conn *c, struct fed_err *err)
{
    ERR_clear_error();
    if (fed_tls_is_server(c->tls) && !c->heard && is_http(c->in)) {
        fed_buf_add(&c->out,
                    FED_STR("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"));
        return fed_err_set(err, FED_E_TLS, "TLS handshake: the client speaks HTTP without TLS");
    }
    c->heard = c->heard || c->in.n > 0;
    int rc = SSL_do_handshake(c->ssl);
    if (rc != 1) {
        int step = step_of(c, rc, "TLS handshake", err);
        return step == FED_TLS_CLOSED ? fed_err_set(err, FED_E_TLS, "TLS handshake: closed by the peer") : step;
    }
    /* A ticket outlives the certificate it was made for by up to an hour: look again. */
    X509 *peer = SSL_session_reused(c->ssl) ? SSL_get0_peer_certificate(c->ssl) : NULL;
    if (peer && fed_tls_is_server(c->tls) && X509_cmp_current_time(X509_get0_notAfter(peer)) < 0)
        return fed_err_set(err, FED_E_TLS, "TLS handshake: the client's certificate has expired");
    return FED_TLS_DONE;
}

/* SSL_get_error needs the queue empty; to look costs less than to clear. */
static void clear_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

int fed_tls_conn_read(struct fed_tls_conn *c, char *buf, size_t room, size_t *n, struct fed_err *err)
{
    *n = 0;
    clear_errors();
    while (*n < room) {
        if (c->in.n == 0 && !c->ended && !SSL_has_pending(c->ssl)) /* what OpenSSL would find out at greater cost */
            return *n > 0 ? FED_TLS_DONE : FED_TLS_WAIT;
        size_t got = 0;
        int rc = SSL_read_ex(c->ssl, buf + *n, room - *n, &got);
        if (rc == 1) {
            *n += got;
            continue;
        }
        if (*n > 0) { /* deliver first; the next call meets the same end again */
            c->ended = SSL_get_error(c->ssl, rc) != SSL_ERROR_WANT_READ;
            return FED_TLS_DONE;
        }
        return step_of(c, rc, "TLS", err);
    }
    return FED_TLS_DONE;
}

int fed_tls_conn_write(struct fed_tls_conn *c, struct fed_str bytes, struct fed_err *err)
{
    size_t done = 0;
    clear_errors();
    if (bytes.n > 0 && SSL_write_ex(c->ssl, bytes.p, bytes.n, &done) != 1)
        return fed_tls_err(err, "TLS write");
    return 0;
}

void fed_tls_conn_shutdown(struct fed_tls_conn *c)
{
    ERR_clear_error();
    if (SSL_is_init_finished(c->ssl) && !(SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(c->ssl);
    ERR_clear_error();
}

void fed_tls_conn_keep_input(struct fed_tls_conn *c)
{
    if (c->in.n == 0) {
        free(c->kept);
        c->kept = NULL;
        c->in = (struct fed_str){0};
        return;
    }
    char *copy = fed_malloc(c->in.n);
    memcpy(copy, c->in.p, c->in.n);
    free(c->kept);
    c->kept = copy;
    c->in.p = copy;
}

struct fed_str fed_tls_conn_alpn(const struct fed_tls_conn *c)
{
    const unsigned char *p = NULL;
    unsigned n = 0;
    if (c->ssl)
        SSL_get0_alpn_selected(c->ssl, &p, &n);
    return fed_str_n((const char *)p, n);
}

static struct fed_str entry_text(struct fed_arena *arena, X509_NAME *name, int at)
{
    unsigned char *utf8 = NULL;
    int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    struct fed_str s = n >= 0 ? fed_arena_dup(arena, fed_str_n((char *)utf8, (size_t)n)) : (struct fed_str){0};
    OPENSSL_free(utf8);
    return s;
}

bool fed_tls_conn_identity(const struct fed_tls_conn *c, struct fed_arena *arena, struct fed_str *cn,
                           const struct fed_str **orgs, size_t *n)
{
    X509 *cert = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    if (!cert || SSL_get_verify_result(c->ssl) != X509_V_OK)
        return false;
    X509_NAME *name = X509_get_subject_name(cert);
    size_t n_orgs = 0, total = (size_t)X509_NAME_entry_count(name);
    struct fed_str *list = FED_ARENA_ARRAY(arena, struct fed_str, total);
    *cn = (struct fed_str){0};
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;)
        *cn = entry_text(arena, name, at); /* the last one counts, as in Kubernetes */
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_organizationName, at)) >= 0;)
        list[n_orgs++] = entry_text(arena, name, at);
    *orgs = list;
    *n = n_orgs;
    return true;
}

int64_t fed_tls_conn_peer_until(const struct fed_tls_conn *c, bool *refused)
{
    X509 *cert = c->ssl ? SSL_get0_peer_certificate(c->ssl) : NULL;
    struct tm tm;
    *refused = cert && SSL_get_verify_result(c->ssl) != X509_V_OK;
    if (!cert || *refused || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return 0;
    return (int64_t)timegm(&tm);
}
