/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1.h"
#include "member/streams/streams.h"

/* `parts`: how many non-empty parts of the path lead to the end of "proxy". */
bool mbr_proxy_split(struct fed_str path, size_t parts, struct fed_str *prefix, struct fed_str *rest)
{
    size_t at = 0;
    while (parts && at < path.n) {
        size_t from = at;
        while (at < path.n && path.p[at] != '/')
            at++;
        if (at > from && --parts == 0)
            break;
        at++;
    }
    if (parts)
        return false;
    *prefix = fed_str_head(path, at);
    *rest = fed_str_from(path, at);
    return true;
}

/* What belongs to the client's connection, or tells who the client is. */
static bool is_private(const struct fed_http_request *r, struct fed_str name)
{
    static const char *const own[] = {"host", "content-length", "authorization", "expect"};
    enum fed_h1_name id = fed_h1_name_of(name);
    for (size_t i = 0; i < FED_ARRAY_LEN(own); i++)
        if (fed_str_is(name, own[i]))
            return true;
    return (id >= FED_H1_CONNECTION && id <= FED_H1_UPGRADE) || fed_str_starts(name, FED_STR("impersonate-")) ||
           fed_str_is(name, "x-forwarded-for") || fed_str_is(name, "x-forwarded-uri") ||
           fed_h1_has_token(fed_http_request_header(r, "connection"), name);
}

static void put_forwarded(struct fed_buf *out, const struct fed_http_request *r)
{
    char ip[48];
    struct fed_str before = fed_http_request_header(r, "x-forwarded-for");
    struct fed_buf all = {0};
    fed_addr_format_ip(&r->peer, ip);
    fed_buf_addf(&all, "%.*s%s%s", FED_STR_ARG(before), before.n ? ", " : "", ip);
    fed_h1_put_header(out, FED_STR("X-Forwarded-For"), fed_buf_str(&all));
    fed_h1_put_header(out, FED_STR("X-Forwarded-Uri"), r->path);
    fed_buf_release(&all);
}

void mbr_proxy_request(struct fed_buf *out, const struct fed_http_request *r, struct fed_str rest, bool upgrade)
{
    struct fed_buf target = {0};
    fed_buf_add(&target, rest.n ? rest : FED_STR("/"));
    if (r->query.p) {
        fed_buf_addc(&target, '?');
        fed_buf_add(&target, r->query);
    }
    fed_h1_put_request_line(out, r->method, fed_buf_str(&target));
    fed_h1_put_header(out, FED_STR("Host"), r->host);
    for (size_t i = 0; i < r->n_headers; i++)
        if (!is_private(r, r->headers[i].name))
            fed_h1_put_header(out, r->headers[i].name, r->headers[i].value);
    put_forwarded(out, r);
    if (upgrade)
        fed_h1_put_header(out, FED_STR("Upgrade"), fed_http_request_header(r, "upgrade"));
    fed_h1_put_header(out, FED_STR("Connection"), upgrade ? FED_STR("Upgrade") : FED_STR("close"));
    if (r->body.n || fed_str_is(r->method, "POST") || fed_str_is(r->method, "PUT") || fed_str_is(r->method, "PATCH"))
        fed_h1_put_header_u64(out, FED_STR("Content-Length"), r->body.n);
    fed_h1_put_end(out);
    fed_buf_add(out, r->body);
    fed_buf_release(&target);
}

/* Kubernetes leaves what leads elsewhere, and relative paths, as they are; the rest goes through the proxy again. */
void mbr_proxy_location(struct fed_buf *out, struct fed_str location, struct fed_str prefix, const char *backend,
                        struct fed_str client_host)
{
    struct fed_str path = location;
    ptrdiff_t mark = fed_str_find(location, FED_STR("://"), 0);
    bool with_host = (mark > 0 && fed_str_chr(fed_str_head(location, (size_t)mark), '/', 0) < 0) ||
                     fed_str_starts(location, FED_STR("//"));
    if (with_host) {
        struct fed_str host = fed_str_from(location, mark > 0 ? (size_t)mark + 3 : 2);
        ptrdiff_t slash = fed_str_chr(host, '/', 0);
        path = slash < 0 ? FED_STR("/") : fed_str_from(host, (size_t)slash);
        if (slash >= 0)
            host = fed_str_head(host, (size_t)slash);
        if (!fed_str_is(host, backend) && !fed_str_eq(host, client_host))
            path = (struct fed_str){NULL, 0};
    }
    if (!path.n || path.p[0] != '/') {
        fed_buf_add(out, location);
        return;
    }
    if (!fed_str_starts(path, prefix))
        fed_buf_add(out, prefix);
    fed_buf_add(out, path);
}
