/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1.h"

#include "http/chars.h"

enum { STAGE_START, STAGE_FIELDS, STAGE_DONE };
enum {
    SEEN_EMPTY_LINE = 1 << 0,
    SEEN_HOST = 1 << 1,
    SEEN_TE = 1 << 2,
    SEEN_LENGTH = 1 << 3,
    CONN_CLOSE = 1 << 4,
    CONN_KEEP = 1 << 5,
    CONN_UPGRADE = 1 << 6,
    SEEN_UPGRADE = 1 << 7,
    SEEN_EXPECT = 1 << 8,
};

struct known {
    struct fed_str name;
    uint8_t id;
};
/* Ordered by length; known_first[n] is the first of length n. */
static const struct known known[] = {
    {FED_STR_INIT("te"), FED_H1_TE},
    {FED_STR_INIT("via"), FED_H1_VIA},
    {FED_STR_INIT("host"), FED_H1_HOST},
    {FED_STR_INIT("date"), FED_H1_DATE},
    {FED_STR_INIT("accept"), FED_H1_ACCEPT},
    {FED_STR_INIT("cookie"), FED_H1_COOKIE},
    {FED_STR_INIT("expect"), FED_H1_EXPECT},
    {FED_STR_INIT("server"), FED_H1_SERVER},
    {FED_STR_INIT("trailer"), FED_H1_TRAILER},
    {FED_STR_INIT("upgrade"), FED_H1_UPGRADE},
    {FED_STR_INIT("location"), FED_H1_LOCATION},
    {FED_STR_INIT("forwarded"), FED_H1_FORWARDED},
    {FED_STR_INIT("x-real-ip"), FED_H1_X_REAL_IP},
    {FED_STR_INIT("connection"), FED_H1_CONNECTION},
    {FED_STR_INIT("keep-alive"), FED_H1_KEEP_ALIVE},
    {FED_STR_INIT("user-agent"), FED_H1_USER_AGENT},
    {FED_STR_INIT("set-cookie"), FED_H1_SET_COOKIE},
    {FED_STR_INIT("retry-after"), FED_H1_RETRY_AFTER},
    {FED_STR_INIT("traceparent"), FED_H1_TRACEPARENT},
    {FED_STR_INIT("content-type"), FED_H1_CONTENT_TYPE},
    {FED_STR_INIT("x-request-id"), FED_H1_X_REQUEST_ID},
    {FED_STR_INIT("authorization"), FED_H1_AUTHORIZATION},
    {FED_STR_INIT("content-length"), FED_H1_CONTENT_LENGTH},
    {FED_STR_INIT("accept-encoding"), FED_H1_ACCEPT_ENCODING},
    {FED_STR_INIT("x-forwarded-for"), FED_H1_X_FORWARDED_FOR},
    {FED_STR_INIT("content-encoding"), FED_H1_CONTENT_ENCODING},
    {FED_STR_INIT("proxy-connection"), FED_H1_PROXY_CONNECTION},
    {FED_STR_INIT("x-forwarded-host"), FED_H1_X_FORWARDED_HOST},
    {FED_STR_INIT("x-forwarded-port"), FED_H1_X_FORWARDED_PORT},
    {FED_STR_INIT("transfer-encoding"), FED_H1_TRANSFER_ENCODING},
    {FED_STR_INIT("x-forwarded-proto"), FED_H1_X_FORWARDED_PROTO},
    {FED_STR_INIT("proxy-authenticate"), FED_H1_PROXY_AUTHENTICATE},
    {FED_STR_INIT("proxy-authorization"), FED_H1_PROXY_AUTHORIZATION},
};
enum { KNOWN_LONGEST = 19 };
static const uint8_t known_first[KNOWN_LONGEST + 2] = {
    [0] = 0,   [1] = 0,   [2] = 0,   [3] = 1,   [4] = 2,   [5] = 4,   [6] = 4,
    [7] = 8,   [8] = 10,  [9] = 11,  [10] = 13, [11] = 17, [12] = 19, [13] = 21,
    [14] = 22, [15] = 23, [16] = 25, [17] = 29, [18] = 31, [19] = 32, [20] = 33,
};

static bool same_lower(const char *any, const char *lower, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fed_char_lower(any[i]) != lower[i])
            return false;
    return true;
}

/* The same for a token and a known name: its letters and hyphens differ from none but their capitals in that bit. */
static bool same_name(const char *token, const char *lower, size_t n)
{
    const uint64_t capitals = FED_CHARS_ONES * 0x20;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        if ((fed_chars_load(token + i) | capitals) != fed_chars_load(lower + i))
            return false;
    for (; i < n; i++)
        if ((token[i] | 0x20) != lower[i])
            return false;
    return true;
}

enum fed_h1_name fed_h1_name_of(struct fed_str name)
{
    if (name.n > KNOWN_LONGEST)
        return FED_H1_NAME_OTHER;
    for (size_t i = known_first[name.n]; i < known_first[name.n + 1]; i++) {
        /* The last letter tells most names of a length apart. */
        const struct known *k = &known[i];
        if ((name.p[name.n - 1] | 0x20) == k->name.p[name.n - 1] && same_name(name.p, k->name.p, name.n))
            return k->id;
    }
    return FED_H1_NAME_OTHER;
}

void fed_h1_lower(char *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w = fed_chars_load(p + i), low = w & ~FED_CHARS_HIGHS;
        /* The high bit of each byte that is 'A' or more but not more than 'Z', and no byte beyond ASCII. */
        uint64_t is = (low + FED_CHARS_ONES * (0x80 - 'A')) & ~(low + FED_CHARS_ONES * (0x7f - 'Z')) & ~w;
        w |= (is & FED_CHARS_HIGHS) >> 2;
        memcpy(p + i, &w, 8);
    }
    for (; i < n; i++)
        p[i] = fed_char_lower(p[i]);
}

enum fed_h1_method fed_h1_method_of(struct fed_str m)
{
    switch (m.n) {
    case 3:
        return memcmp(m.p, "GET", 3) == 0 ? FED_H1_GET : memcmp(m.p, "PUT", 3) == 0 ? FED_H1_PUT : FED_H1_OTHER;
    case 4:
        return memcmp(m.p, "POST", 4) == 0 ? FED_H1_POST : memcmp(m.p, "HEAD", 4) == 0 ? FED_H1_HEAD : FED_H1_OTHER;
    case 5:
        return memcmp(m.p, "PATCH", 5) == 0 ? FED_H1_PATCH : memcmp(m.p, "TRACE", 5) == 0 ? FED_H1_TRACE : FED_H1_OTHER;
    case 6:
        return memcmp(m.p, "DELETE", 6) == 0 ? FED_H1_DELETE : FED_H1_OTHER;
    case 7:
        return memcmp(m.p, "OPTIONS", 7) == 0   ? FED_H1_OPTIONS
               : memcmp(m.p, "CONNECT", 7) == 0 ? FED_H1_CONNECT
                                                : FED_H1_OTHER;
    default:
        return FED_H1_OTHER;
    }
}

bool fed_h1_has_token(struct fed_str list, struct fed_str token)
{
    struct fed_str rest = list, piece;
    while (fed_str_cut(&rest, ',', &piece))
        if (fed_str_ieq(fed_str_trim(piece), token))
            return true;
    return false;
}

struct fed_str fed_h1_find(const struct fed_h1_head *h, enum fed_h1_name name)
{
    for (size_t i = 0; i < h->n_headers; i++)
        if (h->names[i] == name)
            return h->headers[i].value;
    return (struct fed_str){NULL, 0};
}

bool fed_h1_is_hop(const struct fed_h1_head *h, size_t i)
{
    if (h->names[i] >= FED_H1_CONNECTION && h->names[i] <= FED_H1_UPGRADE)
        return true;
    /* Known end-to-end fields stay even when Connection names them: stripping Host or X-Forwarded-For at a sender's
     * wish is a known attack on what stands behind a proxy. */
    if (!h->connection_names || h->names[i] != FED_H1_NAME_OTHER)
        return false;
    for (size_t j = 0; j < h->n_headers; j++)
        if (h->names[j] == FED_H1_CONNECTION && fed_h1_has_token(h->headers[j].value, h->headers[i].name))
            return true;
    return false;
}

void fed_h1_init(struct fed_h1_head *h)
{
    memset(h, 0, offsetof(struct fed_h1_head, names));
    h->base = NULL;
    h->line = h->scanned = 0;
    h->seen = 0;
    h->stage = STAGE_START;
}

static void move(struct fed_str *s, uintptr_t from, const char *to)
{
    if (s->p)
        s->p = to + ((uintptr_t)s->p - from);
}

void fed_h1_rebase(struct fed_h1_head *h, const char *base)
{
    uintptr_t from = (uintptr_t)h->base;
    if (h->base && h->base != base) {
        move(&h->method, from, base);
        move(&h->target, from, base);
        move(&h->path, from, base);
        move(&h->query, from, base);
        move(&h->host, from, base);
        move(&h->reason, from, base);
        move(&h->upgrade, from, base);
        for (size_t i = 0; i < h->n_headers; i++) {
            move(&h->headers[i].name, from, base);
            move(&h->headers[i].value, from, base);
        }
    }
    h->base = base;
}

static int fail(struct fed_h1_head *h, int code, int status)
{
    h->status = status;
    return code;
}

static int bad(struct fed_h1_head *h)
{
    return fail(h, FED_E_SYNTAX, 400);
}

/* "HTTP/1.x" at v. */
static int parse_version(struct fed_h1_head *h, const char *v)
{
    if (memcmp(v, "HTTP/", 5) != 0 || !fed_char_digit(v[5]) || v[6] != '.' || !fed_char_digit(v[7]))
        return bad(h);
    if (v[5] != '1')
        return fail(h, FED_E_VERSION, 505);
    h->minor = v[7] != '0';
    return 0;
}

/* host [":" port] as in an authority or Host; userinfo is refused. An empty one is allowed. */
static bool valid_host(struct fed_str s)
{
    size_t i = 0;
    if (s.n && s.p[0] == '[') {
        for (i = 1; i < s.n && s.p[i] != ']'; i++)
            if (!fed_char_is(s.p[i], FED_CHAR_HOST) && s.p[i] != ':')
                return false;
        if (i == s.n || i == 1)
            return false;
        i++;
    } else {
        while (i < s.n && fed_char_is(s.p[i], FED_CHAR_HOST))
            i++;
    }
    if (i == s.n)
        return true;
    if (s.p[i++] != ':' || s.n - i > 5)
        return false;
    for (; i < s.n; i++)
        if (!fed_char_digit(s.p[i]))
            return false;
    return true;
}

static void split_query(struct fed_h1_head *h, struct fed_str path)
{
    const char *q = path.n ? memchr(path.p, '?', path.n) : NULL;
    h->path = path;
    if (q) {
        h->path.n = (size_t)(q - path.p);
        h->query = (struct fed_str){q + 1, path.n - h->path.n - 1};
    }
}

static int parse_target(struct fed_h1_head *h)
{
    struct fed_str t = h->target;
    if (h->method_id == FED_H1_CONNECT) {
        h->host = t;
        h->path = (struct fed_str){t.p, 0};
        return valid_host(t) && memchr(t.p, ':', t.n) ? 0 : bad(h);
    }
    if (t.p[0] == '/') {
        split_query(h, t);
        return 0;
    }
    if (t.n == 1 && t.p[0] == '*' && h->method_id == FED_H1_OPTIONS) {
        h->path = t;
        return 0;
    }
    size_t skip = t.n > 7 && same_lower(t.p, "http://", 7) ? 7 : t.n > 8 && same_lower(t.p, "https://", 8) ? 8 : 0;
    if (skip == 0)
        return bad(h);
    size_t end = skip;
    while (end < t.n && t.p[end] != '/' && t.p[end] != '?')
        end++;
    h->host = (struct fed_str){t.p + skip, end - skip};
    split_query(h, fed_str_from(t, end));
    return h->host.n && valid_host(h->host) ? 0 : bad(h);
}

static int parse_request_line(struct fed_h1_head *h, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && fed_char_is(p[i], FED_CHAR_TOKEN))
        i++;
    /* The shortest: method, space, one byte of target, space, version. */
    if (i == 0 || n < i + 11 || p[i] != ' ' || p[n - 9] != ' ')
        return bad(h);
    h->method = (struct fed_str){p, i};
    h->method_id = fed_h1_method_of(h->method);
    h->target = (struct fed_str){p + i + 1, n - 9 - (i + 1)};
    if (!fed_chars_target(h->target.p, h->target.n))
        return bad(h);
    int rc = parse_version(h, p + n - 8);
    return rc ? rc : parse_target(h);
}

static int parse_status_line(struct fed_h1_head *h, const char *p, size_t n)
{
    if (n < 12 || p[8] != ' ')
        return bad(h);
    int rc = parse_version(h, p);
    if (rc)
        return rc;
    if (!fed_char_digit(p[9]) || !fed_char_digit(p[10]) || !fed_char_digit(p[11]) || p[9] == '0')
        return bad(h);
    h->response_status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    if (n == 12) { /* the space before an empty reason is often left out */
        h->reason = (struct fed_str){p + n, 0};
        return 0;
    }
    h->reason = (struct fed_str){p + 13, n - 13};
    return p[12] == ' ' && fed_chars_text(h->reason.p, h->reason.n) ? 0 : bad(h);
}

static void note_connection(struct fed_h1_head *h, struct fed_str v)
{
    struct fed_str rest = v, piece;
    while (fed_str_cut(&rest, ',', &piece)) {
        piece = fed_str_trim(piece);
        if (fed_str_ieq(piece, FED_STR("keep-alive")))
            h->seen |= CONN_KEEP;
        else if (fed_str_ieq(piece, FED_STR("close")))
            h->seen |= CONN_CLOSE;
        else if (fed_str_ieq(piece, FED_STR("upgrade")))
            h->seen |= CONN_UPGRADE;
        else if (piece.n)
            h->connection_names = true;
    }
}

static int note_length(struct fed_h1_head *h, struct fed_str v)
{
    /* A repeated length is refused even when equal: a proxy behind us may pick the other one. */
    if ((h->seen & SEEN_LENGTH) || v.n == 0 || v.n > 18)
        return bad(h);
    uint64_t n = 0;
    for (size_t i = 0; i < v.n; i++) {
        if (!fed_char_digit(v.p[i]))
            return bad(h);
        n = n * 10 + (uint64_t)(v.p[i] - '0');
    }
    h->seen |= SEEN_LENGTH;
    h->has_content_length = true;
    h->content_length = n;
    return 0;
}

/* Fields that decide about the message itself. */
static int note_field(struct fed_h1_head *h, enum fed_h1_name id, struct fed_str v, bool request)
{
    switch (id) {
    case FED_H1_HOST:
        if (!request)
            return 0;
        if ((h->seen & SEEN_HOST) || !valid_host(v))
            return bad(h);
        h->seen |= SEEN_HOST;
        if (!h->host.p)
            h->host = v;
        return 0;
    case FED_H1_CONTENT_LENGTH:
        return note_length(h, v);
    case FED_H1_TRANSFER_ENCODING:
        if (h->seen & SEEN_TE)
            return bad(h);
        h->seen |= SEEN_TE;
        return fed_str_ieq(v, FED_STR("chunked")) ? 0 : fail(h, FED_E_UNSUPPORTED, 501);
    case FED_H1_CONNECTION:
        note_connection(h, v);
        return 0;
    case FED_H1_UPGRADE:
        h->seen |= SEEN_UPGRADE;
        if (!h->upgrade.p)
            h->upgrade = v;
        return 0;
    case FED_H1_EXPECT:
        if (!request || h->minor == 0)
            return 0;
        h->expect_continue = fed_str_ieq(v, FED_STR("100-continue"));
        return h->expect_continue ? 0 : fail(h, FED_E_UNSUPPORTED, 417);
    default:
        return 0;
    }
}

static int parse_field(struct fed_h1_head *h, const char *p, size_t n, bool request)
{
    size_t i = 0;
    while (i < n && fed_char_is(p[i], FED_CHAR_TOKEN))
        i++;
    /* i == 0 is also a folded line; anything but the colon here is also a space before it. */
    if (i == 0 || i == n || p[i] != ':')
        return bad(h);
    if (h->n_headers == FED_H1_MAX_HEADERS)
        return fail(h, FED_E_LIMIT, 431);
    const char *v = p + i + 1, *end = p + n;
    while (v < end && (*v == ' ' || *v == '\t'))
        v++;
    while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (!fed_chars_text(v, (size_t)(end - v)))
        return bad(h);
    struct fed_http_header *f = &h->headers[h->n_headers];
    f->name = (struct fed_str){p, i};
    f->value = (struct fed_str){v, (size_t)(end - v)};
    enum fed_h1_name id = fed_h1_name_of(f->name);
    h->names[h->n_headers++] = (uint8_t)id;
    return id == FED_H1_NAME_OTHER ? 0 : note_field(h, id, f->value, request);
}

static int finish_common(struct fed_h1_head *h)
{
    if (h->seen & SEEN_TE) {
        if ((h->seen & SEEN_LENGTH) || h->minor == 0)
            return bad(h);
        h->framing = FED_H1_BODY_CHUNKED;
    } else if (h->content_length > 0) {
        h->framing = FED_H1_BODY_LENGTH;
    }
    h->keep_alive = !(h->seen & CONN_CLOSE) && (h->minor == 1 || (h->seen & CONN_KEEP));
    if (!(h->seen & CONN_UPGRADE) || h->minor == 0)
        h->upgrade = (struct fed_str){NULL, 0};
    return 0;
}

static int finish_request(struct fed_h1_head *h)
{
    if (h->minor == 1 && !(h->seen & SEEN_HOST))
        return bad(h);
    return finish_common(h);
}

static int finish_response(struct fed_h1_head *h, enum fed_h1_method request)
{
    int rc = finish_common(h);
    if (rc)
        return rc;
    int s = h->response_status;
    if (s == 101 || (request == FED_H1_CONNECT && s >= 200 && s < 300)) {
        h->framing = FED_H1_BODY_TUNNEL;
    } else if (s < 200 || s == 204 || s == 304 || request == FED_H1_HEAD) {
        h->framing = FED_H1_BODY_NONE;
    } else if (h->framing == FED_H1_BODY_NONE && !h->has_content_length) {
        h->framing = FED_H1_BODY_CLOSE;
        h->keep_alive = false;
    }
    return 0;
}

/* One line without its CR LF. Returns 1 at the empty line that ends the head. */
static int parse_line(struct fed_h1_head *h, const char *p, size_t n, bool request)
{
    if (h->stage == STAGE_FIELDS)
        return n == 0 ? 1 : parse_field(h, p, n, request);
    if (n == 0) {
        /* RFC 9112 2.2: one empty line before a request is forgiven. */
        if (!request || (h->seen & SEEN_EMPTY_LINE))
            return bad(h);
        h->seen |= SEEN_EMPTY_LINE;
        return 0;
    }
    h->stage = STAGE_FIELDS;
    return request ? parse_request_line(h, p, n) : parse_status_line(h, p, n);
}

static int parse_lines(struct fed_h1_head *h, struct fed_str bytes, bool request)
{
    if (h->base != bytes.p)
        fed_h1_rebase(h, bytes.p);
    size_t limit = FED_MIN(bytes.n, (size_t)FED_H1_MAX_HEAD);
    for (;;) {
        const char *nl = h->scanned < limit ? memchr(bytes.p + h->scanned, '\n', limit - h->scanned) : NULL;
        if (!nl) {
            h->scanned = limit;
            if (limit < FED_H1_MAX_HEAD)
                return 0;
            return fail(h, FED_E_LIMIT, h->stage == STAGE_START ? 414 : 431);
        }
        size_t end = (size_t)(nl - bytes.p);
        if (end == h->line || nl[-1] != '\r')
            return bad(h);
        const char *p = bytes.p + h->line;
        h->line = h->scanned = end + 1;
        int rc = parse_line(h, p, (size_t)(nl - 1 - p), request);
        if (rc < 0)
            return rc;
        if (rc == 1)
            return 1;
    }
}

int fed_h1_parse_request(struct fed_h1_head *h, struct fed_str bytes)
{
    int rc = parse_lines(h, bytes, true);
    if (rc == 1)
        rc = finish_request(h);
    else
        return rc;
    h->stage = STAGE_DONE;
    return rc ? rc : (int)h->line;
}

int fed_h1_parse_response(struct fed_h1_head *h, struct fed_str bytes, enum fed_h1_method request)
{
    int rc = parse_lines(h, bytes, false);
    if (rc == 1)
        rc = finish_response(h, request);
    else
        return rc;
    h->stage = STAGE_DONE;
    return rc ? rc : (int)h->line;
}
