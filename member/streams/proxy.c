/* SPDX-License-Identifier: Apache-2.0 */
/* pods/proxy, services/proxy, nodes/proxy: an HTTP request goes on to a pod, service or node; its answer comes back.
 *
 *      connecting -> head -> body (whole or streamed) -> the answer's end
 *                        \-> 101: joined with the client (network/relay.h), and no longer ours
 *
 * One connection serves one request. A short body whose length is known is answered whole, so that the client learns the
 * length; others are streamed, held while the client does not read. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/h1.h"
#include "member/network/relay.h"
#include "member/streams/streams.h"

enum { WHOLE_MAX = 64 * 1024, BACKLOG_MAX = 256 * 1024, CONNECT_MS = 30 * 1000 };
enum { POD_PARTS = 7, NODE_PARTS = 5 }; /* /api/v1/namespaces/NS/pods/NAME/proxy, /api/v1/nodes/NAME/proxy */

struct proxy {
    struct mbr_stream base;
    struct fed_api_reply *reply; /* NULL: answered, or the client has gone */
    struct fed_stream *target;
    struct fed_tls *tls;
    struct fed_buf request, in; /* in: the head, then what is kept of a whole body */
    struct fed_h1_head head;
    struct fed_h1_body body;
    bool has_head, whole, upgrade, tunnel;
    enum fed_h1_method method;
    char backend[64], content_type[256];
    char *prefix, *client_host;
};

static void proxy_free(struct proxy *p)
{
    static const struct fed_stream_handlers none = {0};
    if (p->target && !p->tunnel) {
        fed_stream_set_handlers(p->target, &none, NULL);
        fed_stream_close(p->target);
    }
    mbr_stream_remove(&p->base);
    fed_tls_unref(p->tls);
    fed_buf_release(&p->request);
    fed_buf_release(&p->in);
    free(p->prefix);
    free(p->client_host);
    free(p);
}

/* Nothing (more) comes from there. Frees p. */
static void fail(struct proxy *p, const char *why)
{
    struct fed_api_reply *reply = p->reply;
    bool begun = p->has_head && !p->whole;
    p->reply = NULL;
    if (reply && begun)
        fed_api_reply_abort(reply);
    else if (reply)
        mbr_unavailable(reply, "error trying to reach service: %s", why);
    proxy_free(p);
}

static void stop(struct mbr_stream *base)
{
    fail(fed_container_of(base, struct proxy, base), "the server is shutting down");
}

static void gone(void *ud)
{
    struct proxy *p = ud;
    p->reply = NULL;
    proxy_free(p);
}

static void drained(void *ud)
{
    struct proxy *p = ud;
    if (p->target)
        fed_stream_pause(p->target, false);
}

/* --- the answer --- */

static void pass_headers(struct proxy *p)
{
    struct fed_http_exchange *x = fed_api_reply_exchange(p->reply);
    for (size_t i = 0; i < p->head.n_headers; i++) {
        struct fed_str name = p->head.headers[i].name, value = p->head.headers[i].value;
        enum fed_h1_name id = p->head.names[i];
        struct fed_buf b = {0};
        if (fed_h1_is_hop(&p->head, i) || id == FED_H1_CONTENT_LENGTH || id == FED_H1_DATE || id == FED_H1_CONTENT_TYPE)
            continue;
        if (id == FED_H1_LOCATION)
            mbr_proxy_location(&b, value, fed_str(p->prefix), p->backend, fed_str(p->client_host));
        fed_http_add_header(x, name, id == FED_H1_LOCATION ? fed_buf_str(&b) : value);
        fed_buf_release(&b);
    }
}

static const char *type_of(struct proxy *p)
{
    struct fed_str type = fed_h1_find(&p->head, FED_H1_CONTENT_TYPE);
    snprintf(p->content_type, sizeof(p->content_type), "%.*s", FED_STR_ARG(type));
    return type.n ? p->content_type : NULL;
}

/* All of the body is there. Frees p. */
static void complete(struct proxy *p)
{
    struct fed_api_reply *reply = p->reply;
    p->reply = NULL;
    if (p->whole)
        fed_api_reply_text(reply, p->head.response_status, *p->content_type ? p->content_type : NULL,
                           fed_buf_str(&p->in));
    else
        fed_api_reply_end(reply);
    proxy_free(p);
}

/* False: p was freed. */
static bool take_body(struct proxy *p, struct fed_str bytes)
{
    struct fed_str data;
    int rc;
    while ((rc = fed_h1_body_next(&p->body, &bytes, &data)) == FED_H1_DATA) {
        if (p->whole)
            fed_buf_add(&p->in, data);
        else if (fed_api_reply_write(p->reply, data) > BACKLOG_MAX)
            fed_stream_pause(p->target, true);
    }
    if (rc == FED_H1_MORE)
        return true;
    if (rc == FED_H1_END)
        complete(p);
    else
        fail(p, "malformed HTTP response");
    return false;
}

static void join(struct proxy *p, struct fed_str first)
{
    char protocol[64];
    struct fed_api_reply *reply = p->reply;
    snprintf(protocol, sizeof(protocol), "%.*s", FED_STR_ARG(p->head.upgrade));
    pass_headers(p);
    p->tunnel = mbr_relay_upgrade(fed_api_reply_exchange(reply), protocol, p->target, first);
    if (!p->tunnel)
        return fail(p, "the client cannot be upgraded");
    p->reply = NULL;
    fed_api_reply_upgraded(reply);
    proxy_free(p);
}

static void begin_answer(struct proxy *p, size_t head)
{
    struct fed_buf all = p->in;
    struct fed_str rest = fed_str_from(fed_buf_str(&all), head);
    const char *type = type_of(p);
    p->in = (struct fed_buf){0};
    p->has_head = true;
    p->whole = p->head.framing == FED_H1_BODY_LENGTH ? p->head.content_length <= WHOLE_MAX
                                                     : p->head.framing == FED_H1_BODY_NONE && p->method != FED_H1_HEAD;
    pass_headers(p);
    fed_h1_body_init(&p->body, p->head.framing, p->head.content_length);
    if (!p->whole)
        fed_api_reply_stream(p->reply, p->head.response_status, type, drained, gone, p);
    take_body(p, rest); /* may free p; `all` is ours by now */
    fed_buf_release(&all);
}

static void take_head(struct proxy *p)
{
    int n;
    for (;;) {
        n = fed_h1_parse_response(&p->head, fed_buf_str(&p->in), p->method);
        if (n <= 0 || p->head.response_status >= 200 || p->head.response_status == 101)
            break;
        fed_buf_consume(&p->in, (size_t)n); /* 100 and its like are between the backend and us */
        fed_h1_init(&p->head);
    }
    if (n < 0)
        return fail(p, "malformed HTTP response");
    if (n == 0)
        return;
    if (p->head.response_status == 101 && p->upgrade)
        return join(p, fed_str_from(fed_buf_str(&p->in), (size_t)n));
    if (p->head.response_status == 101)
        return fail(p, "malformed HTTP response");
    begin_answer(p, (size_t)n);
}

/* --- the backend's stream --- */

static void target_open(void *ud, struct fed_stream *s)
{
    struct proxy *p = ud;
    fed_stream_write(s, fed_buf_str(&p->request));
    fed_buf_release(&p->request);
}

static void target_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct proxy *p = ud;
    (void)s;
    if (p->has_head) {
        take_body(p, bytes);
    } else {
        fed_buf_add(&p->in, bytes);
        take_head(p);
    }
}

static void target_eof(void *ud, struct fed_stream *s)
{
    struct proxy *p = ud;
    (void)s;
    if (p->has_head && fed_h1_body_eof(&p->body) == 0)
        complete(p);
    else
        fail(p, "EOF");
}

static void target_end(void *ud, int code, const struct fed_err *err)
{
    struct proxy *p = ud;
    char text[640];
    p->target = NULL;
    if (code == FED_E_REFUSED)
        snprintf(text, sizeof(text), "dial tcp %s: connect: connection refused", p->backend);
    else if (code == FED_E_TIMEOUT && p->request.n)
        snprintf(text, sizeof(text), "dial tcp %s: i/o timeout", p->backend);
    else
        snprintf(text, sizeof(text), "%s", err && err->text[0] ? err->text : fed_code_text(code));
    fail(p, text);
}

/* --- the request --- */

static void connect_to(struct proxy *p, const struct mbr_backend *to)
{
    static const struct fed_stream_handlers handlers = {target_open, target_data, target_eof, NULL, target_end};
    const struct fed_tls_conf tls = {.insecure = true, .alpn = "http/1.1"}; /* as Kubernetes: pods have no known CA */
    struct fed_err err = {0};
    if (to->tls && fed_tls_new(p->base.m->env, &tls, &p->tls, &err) < 0)
        return fail(p, err.text);
    p->target = fed_stream_connect(
        p->base.m->loop, &to->addr,
        &(struct fed_stream_conf){.handlers = &handlers, .ud = p, .tls = p->tls, .connect_timeout_ms = CONNECT_MS});
}

/* "…/proxy" alone: relative links of what is there would miss a step. */
static void add_slash(const struct fed_http_request *r, struct fed_api_reply *reply)
{
    struct fed_buf b = {0};
    fed_buf_addf(&b, "%.*s/%s%.*s", FED_STR_ARG(r->path), r->query.n ? "?" : "", FED_STR_ARG(r->query));
    fed_http_add_header(fed_api_reply_exchange(reply), FED_STR("Location"), fed_buf_str(&b));
    fed_api_reply_text(reply, 301, NULL, FED_STR(""));
    fed_buf_release(&b);
}

static void pass_on(struct mbr *m, const struct fed_http_request *r, struct fed_api_reply *reply,
                    const struct mbr_backend *to, struct fed_str prefix, struct fed_str rest)
{
    struct proxy *p = FED_NEW(struct proxy);
    p->reply = reply;
    p->method = fed_h1_method_of(r->method);
    p->upgrade = r->version == 1 && fed_http_request_header(r, "upgrade").n &&
                 fed_h1_has_token(fed_http_request_header(r, "connection"), FED_STR("upgrade"));
    p->prefix = fed_strdup_str(prefix);
    p->client_host = fed_strdup_str(r->host);
    fed_addr_format(&to->addr, p->backend);
    fed_h1_init(&p->head);
    mbr_proxy_request(&p->request, r, rest, p->upgrade);
    mbr_stream_add(m, &p->base, stop);
    fed_api_reply_on_gone(reply, gone, p);
    connect_to(p, to);
}

/* False: answered. */
static bool split(const struct fed_api_request *req, struct fed_api_reply *reply, size_t parts, struct fed_str *prefix,
                  struct fed_str *rest)
{
    const struct fed_http_request *r = req->http;
    bool reads = r && (fed_str_is(r->method, "GET") || fed_str_is(r->method, "HEAD"));
    if (!r || !fed_api_reply_exchange(reply) || !mbr_proxy_split(r->path, parts, prefix, rest))
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "the proxy answers HTTP requests");
    else if (!rest->n && reads && !fed_http_request_header(r, "upgrade").n)
        add_slash(r, reply);
    else
        return true;
    return false;
}

void mbr_serve_pod_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct fed_str prefix, rest;
    struct mbr_backend to = {0};
    if (mbr_backend_of_pod(ud, req, reply, &to) && split(req, reply, POD_PARTS, &prefix, &rest))
        pass_on(ud, req->http, reply, &to, prefix, rest);
}

void mbr_serve_service_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct fed_str prefix, rest;
    struct mbr_backend to = {0};
    if (mbr_backend_of_service(ud, req, reply, &to) && split(req, reply, POD_PARTS, &prefix, &rest))
        pass_on(ud, req->http, reply, &to, prefix, rest);
}

struct listing {
    struct fed_str node;
    struct fed_buf out;
    struct fed_arena arena;
    bool any;
};

static bool add_pod(void *ud, struct fed_kobj *pod)
{
    struct listing *l = ud;
    const struct fed_json *tree = fed_kobj_parse(pod, &l->arena);
    if (!fed_str_eq(fed_json_str(fed_json_at(tree, "spec", "nodeName", NULL)), l->node))
        return true;
    fed_buf_addz(&l->out, l->any ? "," : "");
    fed_buf_add(&l->out, pod->json);
    l->any = true;
    return true;
}

/* What a kubelet says of itself, as far as the agent has it. */
static void serve_agent(const struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                        struct fed_str path)
{
    struct mbr_name name;
    if (fed_str_is(path, "/healthz")) {
        fed_api_reply_text(reply, 200, "text/plain; charset=utf-8", FED_STR("ok"));
    } else if ((fed_str_is(path, "/pods") || fed_str_is(path, "/pods/")) && mbr_name_split(req->name, &name)) {
        struct listing l = {.node = name.name};
        fed_buf_addz(&l.out, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[");
        fed_informer_each(m->informers[MBR_PODS], FED_STR(""), add_pod, &l);
        fed_buf_addz(&l.out, "]}");
        fed_api_reply_text(reply, 200, "application/json", fed_buf_str(&l.out));
        fed_buf_release(&l.out);
        fed_arena_release(&l.arena);
    } else {
        fed_api_reply_text(reply, 404, "text/plain; charset=utf-8", FED_STR("404 page not found\n"));
    }
}

void mbr_serve_node_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct fed_str prefix, rest;
    struct mbr_backend to = {0};
    bool agent = false;
    if (!mbr_backend_of_node(ud, req, reply, &to, &agent) || !split(req, reply, NODE_PARTS, &prefix, &rest))
        return;
    if (agent)
        serve_agent(ud, req, reply, rest);
    else
        pass_on(ud, req->http, reply, &to, prefix, rest);
}
