/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a call: started (waits in `starting` when curl is on the stack) -> added to a pool -> finished or canceled.
 * curl allows no adding or removing inside its callbacks, and our users may start, cancel and free in theirs, which run
 * there. So while `depth` > 0 such wishes are only noted, and `settle` grants them once curl has returned. */
#include "net/httpc_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

static void settle(struct fed_httpc *c);

/* ---- pools: curl on the loop ---- */

/* Runs curl for a socket or the timer. The pool may be gone afterwards. */
static void act(struct httpc_pool *p, curl_socket_t fd, int events)
{
    struct fed_httpc *c = p->client;
    int running;
    c->depth++;
    curl_multi_socket_action(p->multi, fd, events, &running);
    c->depth--;
    settle(c);
}

static void on_poll(void *ud, int events)
{
    struct httpc_socket *s = ud;
    act(s->pool, s->fd, (events & FED_POLL_IN ? CURL_CSELECT_IN : 0) | (events & FED_POLL_OUT ? CURL_CSELECT_OUT : 0));
}

static void on_pool_timer(struct fed_timer *t)
{
    act(fed_container_of(t, struct httpc_pool, timer), CURL_SOCKET_TIMEOUT, 0);
}

static void socket_free(struct httpc_socket *s)
{
    fed_poll_free(s->poll);
    fed_list_remove(&s->link);
    free(s);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ud, void *sp)
{
    (void)easy;
    struct httpc_pool *p = ud;
    struct httpc_socket *s = sp;
    if (what == CURL_POLL_REMOVE) {
        if (s) {
            curl_multi_assign(p->multi, fd, NULL);
            socket_free(s);
        }
        return 0;
    }
    if (!s) {
        s = FED_NEW(struct httpc_socket);
        s->pool = p;
        s->fd = fd;
        s->poll = fed_poll_new(p->client->loop, fd, on_poll, s);
        fed_list_push_back(&p->sockets, &s->link);
        curl_multi_assign(p->multi, fd, s);
    }
    fed_poll_set(s->poll, (what & CURL_POLL_IN ? FED_POLL_IN : 0) | (what & CURL_POLL_OUT ? FED_POLL_OUT : 0));
    return 0;
}

static int on_curl_timer(CURLM *multi, long ms, void *ud)
{
    (void)multi;
    struct httpc_pool *p = ud;
    if (ms < 0)
        fed_timer_stop(p->client->env, &p->timer);
    else
        fed_timer_start(p->client->env, &p->timer, (uint64_t)ms, on_pool_timer);
    return 0;
}

static struct httpc_pool *pool_new(struct fed_httpc *c)
{
    struct httpc_pool *p = FED_NEW(struct httpc_pool);
    p->client = c;
    fed_list_init(&p->sockets);
    p->multi = curl_multi_init();
    FED_REQUIRE(p->multi);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    fed_list_push_back(&c->pools, &p->link);
    return p;
}

static void pool_free(struct httpc_pool *p)
{
    p->client->depth++; /* closing connections calls on_socket */
    curl_multi_cleanup(p->multi);
    p->client->depth--;
    FED_LIST_EACH_SAFE(it, &p->sockets)
        socket_free(FED_LIST_ENTRY(it, struct httpc_socket, link));
    fed_timer_stop(p->client->env, &p->timer);
    fed_list_remove(&p->link);
    free(p);
}

/* Streams hold an HTTP/1.1 connection for as long as they live: they come on top of what others may open. */
static void allow_connections(struct httpc_pool *p)
{
    curl_multi_setopt(p->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)(p->client->max_connections + p->n_streams));
}

/* New calls get new connections; running ones keep theirs, and the old pool goes with the last. */
static void retire(struct fed_httpc *c)
{
    struct httpc_pool *old = c->pool;
    c->pool = pool_new(c);
    allow_connections(c->pool);
    old->retired = true;
    if (old->n_calls == 0 && c->depth == 0)
        pool_free(old);
}

/* ---- calls ---- */

static void call_free(struct fed_httpc_call *call)
{
    struct fed_httpc *c = call->client;
    fed_timer_stop(c->env, &call->timer);
    fed_list_remove(&call->link);
    if (call->easy && c->n_spare < HTTPC_SPARE) {
        curl_easy_reset(call->easy);
        c->spare[c->n_spare++] = call->easy;
    } else if (call->easy) {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    curl_slist_free_all(call->connect_to);
    fed_arena_release(&call->arena);
    fed_buf_release(&call->body);
    free(call);
}

/* A call that ends early on HTTP/2 is reset, but curl 7.88 leaves the frame in a buffer until something else moves on
 * the connection. Where other calls are on it something does; where none is, this makes curl close it. */
static void let_server_know(struct fed_httpc_call *call)
{
    curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
}

/* Takes the call out of curl. Not inside curl. */
static void detach(struct fed_httpc_call *call)
{
    struct httpc_pool *p = call->pool;
    if (!p)
        return;
    call->pool = NULL;
    call->client->depth++;
    let_server_know(call);
    curl_multi_remove_handle(p->multi, call->easy);
    call->client->depth--;
    p->n_calls--;
    if (call->streams) {
        p->n_streams--;
        allow_connections(p);
    }
    if (p->retired && p->n_calls == 0)
        pool_free(p);
}

static void finish(struct fed_httpc_call *call, int code, const struct fed_err *err)
{
    detach(call);
    fed_timer_stop(call->client->env, &call->timer);
    fed_list_remove(&call->link); /* no longer to be canceled */
    struct fed_httpc_response r = {
        .status = call->status,
        .content_type = call->content_type,
        .body = fed_buf_str(&call->body),
        .headers = call->response_headers,
        .n_headers = call->n_response_headers,
    };
    call->finished = true;
    call->done(call->ud, code, &r, code ? err : NULL);
    call_free(call);
}

static int code_of(CURLcode rc, long os_errno)
{
    switch (rc) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return FED_E_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return os_errno == ECONNREFUSED ? FED_E_REFUSED : FED_E_UNREACHABLE;
    case CURLE_OPERATION_TIMEDOUT:
        return FED_E_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
        return FED_E_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return FED_E_SYNTAX;
    default:
        return FED_E_END;
    }
}

static void complete(struct fed_httpc_call *call, CURLcode rc)
{
    struct fed_err err = {.code = 0};
    if (call->canceled) {
        detach(call);
        call_free(call);
        return;
    }
    long os_errno = 0, status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    call->status = (int)status;
    int code = call->fail_code ? call->fail_code : code_of(rc, os_errno);
    if (call->fail_code)
        fed_err_set(&err, code, "%s", call->fail_code == FED_E_LIMIT ? "answer too large" : fed_code_text(code));
    else if (code)
        fed_err_set(&err, code, "%s", call->error[0] ? call->error : curl_easy_strerror(rc));
    finish(call, code, &err);
}

static void on_timer(struct fed_timer *t);

/* One timer for both limits; each byte moves the idle limit in last_ms only, and the timer looks when it fires. */
static void set_timer(struct fed_httpc_call *call, uint64_t now)
{
    uint64_t idle = call->idle_ms ? call->last_ms + call->idle_ms : UINT64_MAX;
    uint64_t at = FED_MIN(idle, call->deadline_ms);
    if (at != UINT64_MAX)
        fed_timer_start(call->client->env, &call->timer, at > now ? at - now : 0, on_timer);
}

static void on_timer(struct fed_timer *t)
{
    struct fed_httpc_call *call = fed_container_of(t, struct fed_httpc_call, timer);
    struct fed_httpc *c = call->client;
    uint64_t now = fed_mono_ms(c->env);
    if (now < call->deadline_ms && (!call->idle_ms || now < call->last_ms + call->idle_ms)) {
        set_timer(call, now);
        return;
    }
    /* Silence: the connection may lead nowhere any more, and on HTTP/2 watches keep it in use. */
    if (!call->head_done && call->pool == c->pool)
        retire(c);
    call->fail_code = FED_E_TIMEOUT;
    c->settling = true; /* done may free the client: settle does it */
    complete(call, CURLE_OPERATION_TIMEDOUT);
    c->settling = false;
    settle(c);
}

static void add(struct fed_httpc_call *call)
{
    struct fed_httpc *c = call->client;
    struct httpc_pool *p = c->pool;
    call->pool = p;
    p->n_calls++;
    if (call->streams) {
        p->n_streams++;
        allow_connections(p);
    }
    fed_list_remove(&call->link);
    fed_list_push_back(&c->calls, &call->link);
    c->depth++;
    CURLMcode rc = curl_multi_add_handle(p->multi, call->easy);
    c->depth--;
    FED_REQUIRE(rc == CURLM_OK);
}

/* Completed calls of one pool; done may do anything, so it starts over after each. */
static bool reap(struct fed_httpc *c)
{
    FED_LIST_EACH(it, &c->pools) {
        struct httpc_pool *p = FED_LIST_ENTRY(it, struct httpc_pool, link);
        int left;
        CURLMsg *m;
        while ((m = curl_multi_info_read(p->multi, &left))) {
            if (m->msg != CURLMSG_DONE)
                continue;
            struct fed_httpc_call *call = NULL;
            CURLcode rc = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &call);
            complete(call, rc);
            return true;
        }
    }
    return false;
}

static void really_free(struct fed_httpc *c);

/* Grants what was wished for while curl was on the stack. The client may be gone afterwards. */
static void settle(struct fed_httpc *c)
{
    if (c->depth > 0 || c->settling)
        return;
    c->settling = true;
    do {
        FED_LIST_EACH_SAFE(it, &c->doomed) {
            struct fed_httpc_call *call = FED_LIST_ENTRY(it, struct fed_httpc_call, link);
            detach(call);
            call_free(call);
        }
        while (!c->freed && !fed_list_empty(&c->starting))
            add(FED_LIST_ENTRY(c->starting.next, struct fed_httpc_call, link));
    } while (!c->freed && reap(c));
    c->settling = false;
    if (c->freed)
        really_free(c);
}

/* ---- what curl tells ---- */

/* 0: fewer bytes than offered, so curl ends the transfer. */
static size_t stop(struct fed_httpc_call *call)
{
    let_server_know(call);
    return 0;
}

static size_t refuse(struct fed_httpc_call *call, int code)
{
    call->fail_code = code;
    return stop(call);
}

static void begin_head(struct fed_httpc_call *call)
{
    call->n_response_headers = 0;
    call->content_type = (struct fed_str){NULL, 0};
    call->head_bytes = 0;
}

static size_t add_header(struct fed_httpc_call *call, struct fed_str line)
{
    ptrdiff_t colon = fed_str_chr(line, ':', 0);
    if (colon <= 0)
        return line.n;
    if (call->n_response_headers == HTTPC_MAX_HEADERS)
        return refuse(call, FED_E_LIMIT);
    if (!call->response_headers)
        call->response_headers = FED_ARENA_ARRAY(&call->arena, struct fed_http_header, HTTPC_MAX_HEADERS);
    struct fed_http_header *f = &call->response_headers[call->n_response_headers++];
    char *name = fed_arena_dupz(&call->arena, fed_str_head(line, (size_t)colon));
    for (char *p = name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p |= 0x20;
    f->name = (struct fed_str){name, (size_t)colon};
    f->value = fed_arena_dup(&call->arena, fed_str_trim(fed_str_from(line, (size_t)colon + 1)));
    if (fed_str_is(f->name, "content-type"))
        call->content_type = f->value;
    return line.n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ud)
{
    struct fed_httpc_call *call = ud;
    struct fed_str line = {p, size * n};
    if (call->canceled)
        return stop(call);
    call->last_ms = fed_mono_ms(call->client->env);
    if (call->head_done)
        return line.n; /* trailers */
    call->head_bytes += line.n;
    if (call->head_bytes > HTTPC_MAX_HEAD)
        return refuse(call, FED_E_LIMIT);
    if (fed_str_starts(line, FED_STR("HTTP/"))) {
        begin_head(call);
        return line.n;
    }
    if (fed_str_trim(line).n > 0)
        return add_header(call, line) == line.n ? line.n : 0;
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 && status != 101)
        return line.n;
    call->head_done = true;
    call->status = (int)status;
    if (call->on_head)
        call->on_head(call->ud, (int)status);
    return call->canceled ? stop(call) : line.n;
}

static size_t on_body(char *p, size_t size, size_t n, void *ud)
{
    struct fed_httpc_call *call = ud;
    struct fed_str bytes = {p, size * n};
    if (call->canceled)
        return stop(call);
    call->last_ms = fed_mono_ms(call->client->env);
    if (bytes.n > call->max_body - call->received && !call->streams)
        return refuse(call, FED_E_LIMIT);
    call->received += bytes.n;
    if (call->on_data)
        call->on_data(call->ud, bytes);
    else
        fed_buf_add(&call->body, bytes);
    return call->canceled ? stop(call) : bytes.n;
}

/* ---- the caller's side ---- */

struct fed_httpc_call *fed_httpc_start(struct fed_httpc *c, const struct fed_httpc_request *req)
{
    struct fed_httpc_call *call = FED_NEW(struct fed_httpc_call);
    call->client = c;
    call->on_head = req->on_head;
    call->on_data = req->on_data;
    call->done = req->done;
    call->ud = req->ud;
    call->streams = req->on_data && req->timeout_ms == 0;
    call->max_body = req->max_body ? req->max_body : HTTPC_MAX_BODY;
    call->idle_ms = req->idle_timeout_ms;
    call->easy = c->n_spare ? c->spare[--c->n_spare] : curl_easy_init();
    FED_REQUIRE(call->easy);
    httpc_set_options(call, req);
    curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    fed_list_push_back(&c->starting, &call->link);
    if (c->depth == 0)
        add(call);
    uint64_t now = fed_mono_ms(c->env);
    call->last_ms = now;
    call->deadline_ms = req->timeout_ms ? now + req->timeout_ms : UINT64_MAX;
    set_timer(call, now);
    return call;
}

void fed_httpc_cancel(struct fed_httpc_call *call)
{
    struct fed_httpc *c = call->client;
    if (call->canceled || call->finished)
        return;
    call->canceled = true;
    fed_timer_stop(c->env, &call->timer);
    fed_list_remove(&call->link);
    if (c->depth > 0) {
        fed_list_push_back(&c->doomed, &call->link);
        return;
    }
    detach(call);
    call_free(call);
}

static void copy_tls(struct fed_httpc *c, const struct fed_httpc_tls *tls)
{
    fed_arena_release(&c->tls_arena);
    c->tls.ca_pem = fed_arena_dup(&c->tls_arena, tls->ca_pem);
    c->tls.cert_pem = fed_arena_dup(&c->tls_arena, tls->cert_pem);
    c->tls.key_pem = fed_arena_dup(&c->tls_arena, tls->key_pem);
    c->tls.insecure = tls->insecure;
    c->tls.server_name = tls->server_name ? fed_arena_dupz(&c->tls_arena, fed_str(tls->server_name)) : NULL;
}

static void init_curl(void)
{
    FED_REQUIRE(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
}

struct fed_httpc *fed_httpc_new(struct fed_loop *loop, const struct fed_httpc_conf *conf)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct fed_httpc *c = FED_NEW(struct fed_httpc);
    c->loop = loop;
    c->env = fed_loop_env(loop);
    fed_list_init(&c->pools);
    fed_list_init(&c->calls);
    fed_list_init(&c->starting);
    fed_list_init(&c->doomed);
    c->max_connections = conf->max_connections ? conf->max_connections : 8;
    c->connect_timeout_ms = conf->connect_timeout_ms ? conf->connect_timeout_ms : 5000;
    c->proxy_url = fed_strdup(conf->proxy_url ? conf->proxy_url : "");
    c->user_agent = conf->user_agent ? fed_strdup(conf->user_agent) : NULL;
    copy_tls(c, &conf->tls);
    c->pool = pool_new(c);
    allow_connections(c->pool);
    return c;
}

void fed_httpc_set_tls(struct fed_httpc *c, const struct fed_httpc_tls *tls)
{
    copy_tls(c, tls);
    retire(c);
}

static void free_calls(struct fed_list *list)
{
    FED_LIST_EACH_SAFE(it, list) {
        struct fed_httpc_call *call = FED_LIST_ENTRY(it, struct fed_httpc_call, link);
        call->canceled = true;
        detach(call);
        call_free(call);
    }
}

static void really_free(struct fed_httpc *c)
{
    free_calls(&c->calls);
    free_calls(&c->starting);
    free_calls(&c->doomed);
    FED_LIST_EACH_SAFE(it, &c->pools)
        pool_free(FED_LIST_ENTRY(it, struct httpc_pool, link));
    while (c->n_spare)
        curl_easy_cleanup(c->spare[--c->n_spare]);
    fed_arena_release(&c->tls_arena);
    free(c->proxy_url);
    free(c->user_agent);
    free(c);
}

void fed_httpc_free(struct fed_httpc *c)
{
    if (!c || c->freed)
        return;
    c->freed = true;
    FED_LIST_EACH(it, &c->calls)
        FED_LIST_ENTRY(it, struct fed_httpc_call, link)->canceled = true;
    if (c->depth == 0 && !c->settling)
        really_free(c);
}
