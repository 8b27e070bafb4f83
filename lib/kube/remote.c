/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/remote.h"

#include "base/list.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "kube/kubeconfig_priv.h"
#include "kube/obj_scan.h"
#include "kube/status.h"
#include "net/httpc.h"

enum { IDLE_MS = 90000, CALL_MS = 30000, MAX_LINE = 16 << 20, MAX_ERROR = 64 << 10, TOKEN_AGE_MS = 60000 };

struct remote {
    struct fed_transport t; /* first */
    struct fed_httpc *http;
    struct fed_rest_conf rest;
    char *name, *user_agent, *authorization;
    uint32_t idle_timeout_ms;
    uint64_t token_read_ns;
    struct fed_list calls;
};
struct remote_call {
    struct fed_call base; /* first */
    struct fed_list link;
    struct fed_httpc_call *http;
    fed_call_cb cb;                     /* of a call */
    struct fed_watch_handlers handlers; /* of a watch */
    void *ud;
    struct fed_buf line; /* the unfinished line, or the text of an error answer */
    struct fed_task reap;
    int status;
    bool watch, dead; /* dead: canceled, or the watch was ended by us: nobody is to be called any more */
    int end_code;     /* of an ERROR event */
    struct fed_err end_err;
};

static struct remote *remote_of(struct fed_transport *t)
{
    return fed_container_of(t, struct remote, t);
}

static void call_free(struct remote_call *c)
{
    fed_task_cancel(&c->reap);
    fed_list_remove(&c->link);
    fed_buf_release(&c->line);
    free(c);
}

/* --- authorization --- */

static void make_basic(struct remote *r)
{
    struct fed_buf text = {0};
    char *pair = fed_asprintf("%s:%s", r->rest.username, r->rest.password ? r->rest.password : "");
    fed_buf_addz(&text, "Basic ");
    fed_base64_encode(&text, fed_str(pair));
    r->authorization = fed_strdup(fed_buf_z(&text));
    fed_buf_release(&text);
    free(pair);
}

static void read_token_file(struct remote *r)
{
    struct fed_buf text;
    r->token_read_ns = fed_mono_ns(r->t.env);
    if (fed_kubeconfig_read_file(r->rest.token_file, &text, NULL) == 0) { /* else the last one is used on */
        free(r->authorization);
        r->authorization = fed_asprintf("Bearer %.*s", FED_STR_ARG(fed_str_trim(fed_buf_str(&text))));
    }
    fed_buf_release(&text);
}

static void set_authorization(struct remote *r)
{
    free(r->authorization);
    r->authorization = NULL;
    if (r->rest.token_file)
        read_token_file(r);
    else if (r->rest.token)
        r->authorization = fed_asprintf("Bearer %s", r->rest.token);
    else if (r->rest.username)
        make_basic(r);
}

/* --- starting --- */

static char *make_url(const struct remote *r, struct fed_str path)
{
    struct fed_str server = fed_str(r->rest.server);
    while (fed_str_ends(server, FED_STR("/")))
        server.n--;
    return fed_asprintf("%.*s%.*s", FED_STR_ARG(server), FED_STR_ARG(path));
}

static size_t make_headers(struct remote *r, struct fed_http_header *h, struct fed_str accept, struct fed_str type)
{
    size_t n = 0;
    if (r->rest.token_file && fed_mono_ns(r->t.env) - r->token_read_ns > (uint64_t)TOKEN_AGE_MS * 1000000)
        read_token_file(r);
    h[n++] = (struct fed_http_header){FED_STR("accept"), accept.n ? accept : FED_STR("application/json")};
    if (type.n)
        h[n++] = (struct fed_http_header){FED_STR("content-type"), type};
    if (r->authorization)
        h[n++] = (struct fed_http_header){FED_STR("authorization"), fed_str(r->authorization)};
    return n;
}

static struct remote_call *new_call(struct remote *r, void *ud)
{
    struct remote_call *c = FED_NEW(struct remote_call);
    c->base.transport = &r->t;
    c->ud = ud;
    fed_list_push_back(&r->calls, &c->link);
    return c;
}

static void call_done(void *ud, int code, const struct fed_httpc_response *res, const struct fed_err *err)
{
    struct remote_call *c = ud;
    struct fed_err own = {0};
    c->http = NULL;
    if (!c->dead && c->cb) {
        struct fed_call_response answer = {res ? res->status : 0, res ? res->body : (struct fed_str){0}};
        if (code == 0 && (answer.http_status < 200 || answer.http_status > 299)) {
            code = fed_status_read(answer.http_status, answer.body, &own);
            err = &own;
        }
        c->cb(c->ud, code, &answer, err ? err : &own);
    }
    call_free(c);
}

static struct fed_call *remote_call(struct fed_transport *t, const struct fed_call_request *req, fed_call_cb cb,
                                    void *ud)
{
    struct remote *r = remote_of(t);
    struct remote_call *c = new_call(r, ud);
    struct fed_http_header headers[4];
    struct fed_str type = req->body.n && !req->content_type.n ? FED_STR("application/json") : req->content_type;
    char *url = make_url(r, req->path);
    c->cb = cb;
    const struct fed_httpc_request http = {
        .method = req->method,
        .url = url,
        .headers = headers,
        .n_headers = make_headers(r, headers, req->accept, req->body.n ? type : (struct fed_str){0}),
        .body = req->body,
        .timeout_ms = req->timeout_ms ? req->timeout_ms : CALL_MS,
        .done = call_done,
        .ud = c,
    };
    c->http = fed_httpc_start(r->http, &http);
    free(url);
    return &c->base;
}

/* --- watches --- */

/* The HTTP call cannot be canceled inside its own callback: a task does it. */
static void reap(struct fed_task *task)
{
    struct remote_call *c = fed_container_of(task, struct remote_call, reap);
    bool tell = c->end_code != 0 && !c->dead;
    if (c->http)
        fed_httpc_cancel(c->http);
    c->http = NULL;
    if (tell)
        c->handlers.end(c->ud, c->end_code, &c->end_err);
    call_free(c);
}

static void end_watch(struct remote_call *c, int code)
{
    c->end_code = code;
    fed_task_post(c->base.transport->env, &c->reap, reap);
}

static int event_type(struct fed_str word, enum fed_event *type)
{
    static const char *const words[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};
    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++) {
        if (fed_str_is(word, words[i])) {
            *type = (enum fed_event)i;
            return 0;
        }
    }
    return FED_E_SYNTAX;
}

struct event_parts {
    struct fed_str type, object;
};

static int take_part(void *ud, struct fed_str key, struct fed_str value)
{
    struct event_parts *parts = ud;
    if (fed_str_is(key, "type") && value.n >= 2)
        parts->type = fed_str_n(value.p + 1, value.n - 2);
    else if (fed_str_is(key, "object"))
        parts->object = value;
    return 0;
}

/* Servers write {"type":"…","object":…}: then the object is what lies between, and it is looked at only once. */
static int cut_event(struct fed_str line, struct event_parts *parts, struct fed_err *err)
{
    static const char head[] = "{\"type\":\"", middle[] = "\",\"object\":";
    if (fed_str_starts(line, FED_STR(head)) && line.p[line.n - 1] == '}') {
        ptrdiff_t end = fed_str_chr(line, '"', sizeof(head) - 1);
        if (end > 0 && fed_str_starts(fed_str_from(line, (size_t)end), FED_STR(middle))) {
            size_t object = (size_t)end + sizeof(middle) - 1;
            parts->type = fed_str_n(line.p + sizeof(head) - 1, (size_t)end - (sizeof(head) - 1));
            parts->object = fed_str_n(line.p + object, line.n - 1 - object);
            return 0;
        }
    }
    return fed_json_walk(line, take_part, parts, err);
}

static void take_line(struct remote_call *c, struct fed_str line)
{
    struct event_parts parts = {{0}, {0}};
    struct fed_kobj *obj = NULL;
    enum fed_event type;
    line = fed_str_trim(line);
    if (line.n == 0)
        return;
    int code = cut_event(line, &parts, &c->end_err);
    if (code == 0 && fed_str_is(parts.type, "ERROR")) {
        code = fed_status_read(0, parts.object, &c->end_err);
        end_watch(c, code ? code : FED_E_INTERNAL);
        return;
    }
    if (code == 0 && event_type(parts.type, &type) != 0)
        return; /* of a later version of the protocol */
    if (code == 0)
        code = type == FED_EVENT_BOOKMARK
                   ? fed_kobj_new_bookmark(parts.object, &obj, &c->end_err)
                   : fed_kobj_new(parts.object, (struct fed_str){0}, (struct fed_str){0}, &obj, &c->end_err);
    if (code != 0) {
        fed_err_wrap(&c->end_err, code, "watch event");
        end_watch(c, code);
        return;
    }
    c->handlers.event(c->ud, type, obj);
    fed_kobj_unref(obj);
}

static void watch_head(void *ud, int status)
{
    struct remote_call *c = ud;
    c->status = status;
    if (!c->dead && status >= 200 && status <= 299 && c->handlers.opened)
        c->handlers.opened(c->ud);
}

static void watch_data(void *ud, struct fed_str bytes)
{
    struct remote_call *c = ud;
    if (c->status < 200 || c->status > 299) {
        fed_buf_add(&c->line, fed_str_head(bytes, MAX_ERROR - FED_MIN(c->line.n, (size_t)MAX_ERROR)));
        return;
    }
    while (!c->dead && c->end_code == 0 && bytes.n) {
        const char *nl = memchr(bytes.p, '\n', bytes.n);
        if (!nl) {
            fed_buf_add(&c->line, bytes);
            break;
        }
        struct fed_str line = fed_str_head(bytes, (size_t)(nl - bytes.p));
        bytes = fed_str_from(bytes, line.n + 1);
        if (c->line.n == 0) {
            take_line(c, line); /* whole in what arrived: not copied */
        } else {
            fed_buf_add(&c->line, line);
            if (!c->line.failed)
                take_line(c, fed_buf_str(&c->line));
            c->line.n = 0;
        }
    }
    if (c->line.failed && !c->dead && c->end_code == 0) {
        fed_err_set(&c->end_err, FED_E_LIMIT, "watch event of more than %d bytes", MAX_LINE);
        end_watch(c, FED_E_LIMIT);
    }
}

static void watch_done(void *ud, int code, const struct fed_httpc_response *res, const struct fed_err *err)
{
    struct remote_call *c = ud;
    struct fed_err own = {0};
    int status = res ? res->status : c->status;
    c->http = NULL;
    if (!c->dead) {
        if (c->end_code != 0) { /* an ERROR event came just before */
            code = c->end_code;
            err = &c->end_err;
        } else if (code == 0 && (status < 200 || status > 299)) {
            code = fed_status_read(status, c->line.n ? fed_buf_str(&c->line) : res->body, &own);
            err = &own;
        }
        c->handlers.end(c->ud, code, err ? err : &own);
    }
    call_free(c);
}

static struct fed_call *remote_watch(struct fed_transport *t, struct fed_str path, const struct fed_watch_handlers *h,
                                     void *ud)
{
    struct remote *r = remote_of(t);
    struct remote_call *c = new_call(r, ud);
    struct fed_http_header headers[4];
    char *url = make_url(r, path);
    c->watch = true;
    c->handlers = *h;
    fed_buf_init(&c->line, MAX_LINE);
    const struct fed_httpc_request http = {
        .method = "GET",
        .url = url,
        .headers = headers,
        .n_headers = make_headers(r, headers, (struct fed_str){0}, (struct fed_str){0}),
        .idle_timeout_ms = r->idle_timeout_ms,
        .on_head = watch_head,
        .on_data = watch_data,
        .done = watch_done,
        .ud = c,
    };
    c->http = fed_httpc_start(r->http, &http);
    free(url);
    return &c->base;
}

static void remote_cancel(struct fed_call *call)
{
    struct remote_call *c = fed_container_of(call, struct remote_call, base);
    c->dead = true;
    fed_task_post(c->base.transport->env, &c->reap, reap);
}

static void remote_free(struct fed_transport *t)
{
    struct remote *r = remote_of(t);
    FED_LIST_EACH_SAFE(l, &r->calls) {
        struct remote_call *c = fed_container_of(l, struct remote_call, link);
        if (c->http)
            fed_httpc_cancel(c->http);
        call_free(c);
    }
    fed_httpc_free(r->http);
    fed_rest_conf_release(&r->rest);
    free(r->authorization);
    free(r->user_agent);
    free(r->name);
    free(r);
}

static const struct fed_transport_ops remote_ops = {remote_call, remote_watch, remote_cancel, remote_free};

/* Borrows the strings of rest. */
static struct fed_httpc_tls tls_of(const struct fed_rest_conf *rest)
{
    return (struct fed_httpc_tls){.ca_pem = fed_str(rest->ca_pem),
                                  .cert_pem = fed_str(rest->cert_pem),
                                  .key_pem = fed_str(rest->key_pem),
                                  .insecure = rest->insecure,
                                  .server_name = rest->tls_server_name};
}

int fed_remote_new(struct fed_loop *loop, const struct fed_remote_conf *conf, struct fed_transport **out,
                   struct fed_err *err)
{
    *out = NULL;
    if (!conf->rest.server || (!fed_str_starts(fed_str(conf->rest.server), FED_STR("https://")) &&
                               !fed_str_starts(fed_str(conf->rest.server), FED_STR("http://"))))
        return fed_err_set(err, FED_E_INVALID, "server \"%s\": must start with https:// or http://",
                           conf->rest.server ? conf->rest.server : "");
    struct remote *r = FED_NEW(struct remote);
    r->name = fed_strdup(conf->name ? conf->name : conf->rest.server);
    r->user_agent = fed_strdup(conf->user_agent ? conf->user_agent : "hansa");
    r->idle_timeout_ms = conf->idle_timeout_ms ? conf->idle_timeout_ms : IDLE_MS;
    r->t = (struct fed_transport){.ops = &remote_ops, .env = fed_loop_env(loop), .name = r->name};
    fed_list_init(&r->calls);
    fed_rest_conf_copy(&r->rest, &conf->rest);
    set_authorization(r);
    const struct fed_httpc_conf http = {
        .tls = tls_of(&r->rest), .proxy_url = r->rest.proxy_url, .user_agent = r->user_agent};
    r->http = fed_httpc_new(loop, &http);
    *out = &r->t;
    return 0;
}

void fed_remote_set_rest(struct fed_transport *t, const struct fed_rest_conf *rest)
{
    struct remote *r = remote_of(t);
    struct fed_rest_conf old = r->rest;
    fed_rest_conf_copy(&r->rest, rest);
    if (old.proxy_url) { /* the HTTP client keeps what it was made with */
        free(r->rest.proxy_url);
        r->rest.proxy_url = old.proxy_url;
        old.proxy_url = NULL;
    }
    set_authorization(r);
    const struct fed_httpc_tls tls = tls_of(&r->rest);
    fed_httpc_set_tls(r->http, &tls);
    fed_rest_conf_release(&old);
}
