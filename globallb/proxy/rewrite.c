/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/proxy/rewrite.h"

static char *put(char *p, struct fed_str s)
{
    if (s.n)
        memcpy(p, s.p, s.n);
    return p + s.n;
}

static void add_field(struct fed_buf *out, struct fed_str name, struct fed_str value)
{
    char *start = fed_buf_reserve(out, name.n + value.n + 4), *p = start;
    if (!p)
        return;
    p = put(p, name);
    *p++ = ':';
    *p++ = ' ';
    p = put(p, value);
    *p++ = '\r';
    *p++ = '\n';
    fed_buf_commit(out, (size_t)(p - start));
}

bool glb_is_idempotent(enum fed_h1_method m)
{
    switch (m) {
    case FED_H1_GET:
    case FED_H1_HEAD:
    case FED_H1_OPTIONS:
    case FED_H1_PUT:
    case FED_H1_DELETE:
    case FED_H1_TRACE:
        return true;
    default:
        return false;
    }
}

struct fed_str glb_find_field(const struct fed_h1_head *h, struct fed_str name)
{
    for (size_t i = 0; i < h->n_headers; i++)
        if (h->names[i] == FED_H1_NAME_OTHER && h->headers[i].name.n == name.n && fed_str_ieq(h->headers[i].name, name))
            return h->headers[i].value;
    return (struct fed_str){0};
}

static bool is_hop_field(struct fed_str name)
{
    return name.n == sizeof(GLB_HOP) - 1 && fed_str_ieq(name, FED_STR(GLB_HOP));
}

static void request_line(struct fed_buf *out, const struct fed_h1_head *h)
{
    /* Origin form, whatever the client used. */
    struct fed_str path = h->path.n ? h->path : FED_STR("/");
    char *start = fed_buf_reserve(out, h->method.n + path.n + h->query.n + h->host.n + 32), *p = start;
    if (!p)
        return;
    p = put(p, h->method);
    *p++ = ' ';
    p = put(p, path);
    if (h->query.p) {
        *p++ = '?';
        p = put(p, h->query);
    }
    p = put(p, FED_STR(" HTTP/1.1\r\nHost: "));
    p = put(p, h->host);
    p = put(p, FED_STR("\r\n"));
    fed_buf_commit(out, (size_t)(p - start));
}

static void forwarded_for(struct fed_buf *out, struct fed_str before, struct fed_str ip)
{
    fed_buf_add(out, FED_STR("X-Forwarded-For: "));
    if (before.n) {
        fed_buf_add(out, before);
        fed_buf_add(out, FED_STR(", "));
    }
    fed_buf_add(out, ip);
    fed_buf_add(out, FED_STR("\r\n"));
}

void glb_rewrite_request(struct fed_buf *out, const struct fed_h1_head *h, const struct glb_from *from)
{
    struct fed_str before = {0};
    bool has_id = false, has_proto = false, has_host = false;
    request_line(out, h);
    for (size_t i = 0; i < h->n_headers; i++) {
        struct fed_str name = h->headers[i].name, value = h->headers[i].value;
        switch (h->names[i]) {
        case FED_H1_HOST:
        case FED_H1_EXPECT: /* answered by us */
            continue;
        case FED_H1_X_FORWARDED_FOR:
            if (!before.p) {
                before = value;
                continue;
            }
            break; /* a second one stays a field of its own */
        case FED_H1_X_FORWARDED_PROTO:
            if (!from->trusted)
                continue;
            has_proto = true;
            break;
        case FED_H1_X_FORWARDED_HOST:
            if (!from->trusted)
                continue;
            has_host = true;
            break;
        case FED_H1_X_REQUEST_ID:
            has_id = true;
            break;
        case FED_H1_NAME_OTHER:
            if (is_hop_field(name))
                continue;
            break;
        default:
            break;
        }
        if ((h->names[i] >= FED_H1_CONNECTION && h->names[i] <= FED_H1_UPGRADE) ||
            (h->connection_names && fed_h1_is_hop(h, i)))
            continue;
        add_field(out, name, value);
    }
    forwarded_for(out, before, from->ip);
    if (!has_proto)
        fed_buf_add(out, from->tls ? FED_STR("X-Forwarded-Proto: https\r\n") : FED_STR("X-Forwarded-Proto: http\r\n"));
    if (!has_host)
        add_field(out, FED_STR("X-Forwarded-Host"), h->host);
    if (!has_id)
        add_field(out, FED_STR("X-Request-Id"), fed_str(from->request_id));
    if (h->framing == FED_H1_BODY_CHUNKED)
        fed_buf_add(out, FED_STR("Transfer-Encoding: chunked\r\n"));
    if (from->upgrade && h->upgrade.p) {
        fed_buf_add(out, FED_STR("Connection: Upgrade\r\n"));
        add_field(out, FED_STR("Upgrade"), h->upgrade);
    }
}

bool glb_keeps_response_field(const struct fed_h1_head *h, size_t i)
{
    enum fed_h1_name id = h->names[i];
    if (id >= FED_H1_CONNECTION && id <= FED_H1_UPGRADE)
        return false;
    return !h->connection_names || !fed_h1_is_hop(h, i);
}

static void status_line(struct fed_buf *out, const struct fed_h1_head *h)
{
    char *start = fed_buf_reserve(out, h->reason.n + 16), *p = start;
    int s = h->response_status;
    if (!p)
        return;
    p = put(p, FED_STR("HTTP/1.1 "));
    *p++ = (char)('0' + s / 100 % 10);
    *p++ = (char)('0' + s / 10 % 10);
    *p++ = (char)('0' + s % 10);
    *p++ = ' ';
    p = put(p, h->reason);
    p = put(p, FED_STR("\r\n"));
    fed_buf_commit(out, (size_t)(p - start));
}

void glb_rewrite_response(struct fed_buf *out, const struct fed_h1_head *h, enum fed_h1_framing framing,
                          const struct glb_to *to)
{
    status_line(out, h);
    for (size_t i = 0; i < h->n_headers; i++)
        if (glb_keeps_response_field(h, i))
            add_field(out, h->headers[i].name, h->headers[i].value);
    if (framing == FED_H1_BODY_CHUNKED)
        fed_buf_add(out, FED_STR("Transfer-Encoding: chunked\r\n"));
    if (to->upgrade) {
        struct fed_str what = fed_h1_find(h, FED_H1_UPGRADE);
        fed_buf_add(out, FED_STR("Connection: Upgrade\r\n"));
        if (what.p)
            add_field(out, FED_STR("Upgrade"), what);
    } else if (to->close) {
        fed_buf_add(out, FED_STR("Connection: close\r\n"));
    } else if (to->keep_alive_10) {
        fed_buf_add(out, FED_STR("Connection: keep-alive\r\n"));
    }
    fed_buf_add(out, FED_STR("\r\n"));
}
