/* SPDX-License-Identifier: Apache-2.0 */
#include "net/httpc_priv.h"

#include <fcntl.h>

#include "http/url.h"

static bool has_control(struct fed_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' && s.p[i] != '\t')
            return true;
    return false;
}

static void add_line(struct fed_httpc_call *call, const char *line)
{
    struct curl_slist *more = curl_slist_append(call->headers, line);
    FED_REQUIRE(more);
    call->headers = more;
}

static void set_headers(struct fed_httpc_call *call, const struct fed_httpc_request *req)
{
    bool type = false;
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct fed_http_header *f = &req->headers[i];
        if (f->name.n == 0 || has_control(f->name) || has_control(f->value))
            continue; /* could split the request */
        type |= fed_str_ieq(f->name, FED_STR("content-type"));
        /* curl takes "Name:" as an order to leave the header out, "Name;" as an empty value. */
        struct fed_str line =
            f->value.n ? fed_arena_printf(&call->arena, "%.*s: %.*s", FED_STR_ARG(f->name), FED_STR_ARG(f->value))
                       : fed_arena_printf(&call->arena, "%.*s;", FED_STR_ARG(f->name));
        add_line(call, line.p);
    }
    if (!type)
        add_line(call, "Content-Type:"); /* not curl's default of a form */
    add_line(call, "Expect:");           /* no round trip before each body */
}

static void set_body(struct fed_httpc_call *call, const struct fed_httpc_request *req)
{
    CURL *e = call->easy;
    struct fed_str method = fed_str(req->method);
    if (fed_str_is(method, "HEAD")) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    bool wants_body = fed_str_is(method, "POST") || fed_str_is(method, "PUT") || fed_str_is(method, "PATCH");
    if (req->body.n || wants_body) {
        struct fed_str copy = fed_arena_dup(&call->arena, req->body.n ? req->body : FED_STR(""));
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)copy.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, copy.p);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method);
}

static void set_blob(CURL *e, CURLoption option, struct fed_str pem)
{
    struct curl_blob blob = {.data = (void *)pem.p, .len = pem.n, .flags = CURL_BLOB_COPY};
    if (pem.n)
        curl_easy_setopt(e, option, &blob);
}

static void set_tls(struct fed_httpc_call *call)
{
    const struct fed_httpc_tls *tls = &call->client->tls;
    CURL *e = call->easy;
    set_blob(e, CURLOPT_CAINFO_BLOB, tls->ca_pem);
    set_blob(e, CURLOPT_SSLCERT_BLOB, tls->cert_pem);
    set_blob(e, CURLOPT_SSLKEY_BLOB, tls->key_pem);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

/* curl takes the TLS name from the URL: so the URL gets it, the connection goes where the URL pointed, and Host stays
 * what it was. */
static void set_url(struct fed_httpc_call *call, const struct fed_httpc_request *req)
{
    const char *name = call->client->tls.server_name;
    struct fed_url u;
    CURL *e = call->easy;
    curl_easy_setopt(e, CURLOPT_URL, req->url);
    if (!name || fed_url_parse(fed_str(req->url), &u, NULL) != 0 || !fed_str_ieq(u.scheme, FED_STR("https")) ||
        fed_str_ieq(u.host, fed_str(name)))
        return;
    bool v6 = memchr(u.host.p, ':', u.host.n) != NULL;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    struct fed_arena *a = &call->arena;
    struct fed_str to =
        fed_arena_printf(a, "%s:%u:%s%.*s%s:%u", name, u.port, open, FED_STR_ARG(u.host), close, u.port);
    struct fed_str url = fed_arena_printf(a, "https://%s:%u%.*s%s%.*s", name, u.port, FED_STR_ARG(u.path),
                                          u.query.p ? "?" : "", FED_STR_ARG(u.query));
    struct fed_str host = u.port == 443
                              ? fed_arena_printf(a, "Host: %s%.*s%s", open, FED_STR_ARG(u.host), close)
                              : fed_arena_printf(a, "Host: %s%.*s%s:%u", open, FED_STR_ARG(u.host), close, u.port);
    call->connect_to = curl_slist_append(NULL, to.p);
    FED_REQUIRE(call->connect_to);
    curl_easy_setopt(e, CURLOPT_URL, url.p);
    curl_easy_setopt(e, CURLOPT_CONNECT_TO, call->connect_to);
    add_line(call, host.p);
}

/* curl 7.88 leaves its sockets open across exec: a spawned process would hold our connections. */
static int on_socket_made(void *ud, curl_socket_t fd, curlsocktype purpose)
{
    (void)ud;
    (void)purpose;
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? CURL_SOCKOPT_OK : CURL_SOCKOPT_ERROR;
}

void httpc_set_options(struct fed_httpc_call *call, const struct fed_httpc_request *req)
{
    struct fed_httpc *c = call->client;
    CURL *e = call->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, c->proxy_url); /* "": none, also not the environment's */
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)c->connect_timeout_ms);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* Calls that start together wait for the first connection to tell whether it multiplexes. TLS tells at the end of
     * its handshake; without TLS only the first answer would, for which a watch may wait for ever. */
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, fed_str_ieq(fed_str_head(fed_str(req->url), 6), FED_STR("https:")) ? 1L : 0L);
    if (c->user_agent)
        curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent);
    set_url(call, req);
    set_tls(call);
    set_headers(call, req);
    set_body(call, req);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
}
