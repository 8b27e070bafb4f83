/* SPDX-License-Identifier: Apache-2.0 */
#include "http/url.h"

#include "http/chars.h"

enum { MAX_PARAMS = 256 };

/* host [":" port], the host perhaps a bracketed IPv6 address. */
static int parse_authority(struct fed_str auth, struct fed_url *out, struct fed_err *err)
{
    if (auth.n && memchr(auth.p, '@', auth.n))
        return fed_err_set(err, FED_E_SYNTAX, "user information in a URL is not supported");
    size_t i = 0;
    if (auth.n && auth.p[0] == '[') {
        const char *close = memchr(auth.p, ']', auth.n);
        if (!close)
            return fed_err_set(err, FED_E_SYNTAX, "missing ] in URL");
        i = (size_t)(close - auth.p) + 1;
        out->host = (struct fed_str){auth.p + 1, i - 2};
        for (size_t k = 0; k < out->host.n; k++)
            if (!fed_char_is(out->host.p[k], FED_CHAR_HOST) && out->host.p[k] != ':')
                return fed_err_set(err, FED_E_SYNTAX, "bad address in URL");
    } else {
        while (i < auth.n && fed_char_is(auth.p[i], FED_CHAR_HOST))
            i++;
        out->host = fed_str_head(auth, i);
    }
    if (out->host.n == 0)
        return fed_err_set(err, FED_E_SYNTAX, "no host in URL");
    struct fed_str port = fed_str_from(auth, i);
    if (port.n == 0)
        return 0;
    uint64_t v = 0;
    if (port.p[0] != ':' || (port.n > 1 && (fed_str_u64(fed_str_from(port, 1), &v) != 0 || v == 0 || v > 65535)))
        return fed_err_set(err, FED_E_SYNTAX, "bad host or port in URL");
    if (port.n > 1) /* "host:" is allowed and means the scheme's port */
        out->port = (uint16_t)v;
    return 0;
}

int fed_url_parse(struct fed_str text, struct fed_url *out, struct fed_err *err)
{
    *out = (struct fed_url){.scheme = {NULL, 0}};
    for (size_t i = 0; i < text.n; i++)
        if ((uint8_t)text.p[i] <= ' ' || text.p[i] == 0x7f)
            return fed_err_set(err, FED_E_SYNTAX, "blank or control byte in URL");
    ptrdiff_t colon = fed_str_find(text, FED_STR("://"), 0);
    if (colon <= 0)
        return fed_err_set(err, FED_E_SYNTAX, "URL without a scheme");
    out->scheme = fed_str_head(text, (size_t)colon);
    for (size_t i = 0; i < out->scheme.n; i++) {
        char c = fed_char_lower(out->scheme.p[i]);
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && (i == 0 || (!fed_char_digit(c) && c != '+' && c != '-' && c != '.')))
            return fed_err_set(err, FED_E_SYNTAX, "bad scheme in URL");
    }
    if (fed_str_ieq(out->scheme, FED_STR("http")) || fed_str_ieq(out->scheme, FED_STR("ws")))
        out->port = 80;
    else if (fed_str_ieq(out->scheme, FED_STR("https")) || fed_str_ieq(out->scheme, FED_STR("wss")))
        out->port = 443;
    struct fed_str rest = fed_str_from(text, (size_t)colon + 3);
    ptrdiff_t hash = fed_str_chr(rest, '#', 0);
    if (hash >= 0)
        rest = fed_str_head(rest, (size_t)hash);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    int rc = parse_authority(fed_str_head(rest, end), out, err);
    if (rc)
        return rc;
    out->path = fed_str_from(rest, end);
    ptrdiff_t mark = fed_str_chr(out->path, '?', 0);
    if (mark >= 0) {
        out->query = fed_str_from(out->path, (size_t)mark + 1);
        out->path = fed_str_head(out->path, (size_t)mark);
    }
    return 0;
}

/* Most paths and queries have nothing to decode. */
static bool is_plain(struct fed_str text, bool plus)
{
    return !text.n ||
           (!memchr(text.p, '%', text.n) && !memchr(text.p, 0, text.n) && !(plus && memchr(text.p, '+', text.n)));
}

int fed_url_decode(struct fed_arena *a, struct fed_str text, bool plus, struct fed_str *out)
{
    if (is_plain(text, plus)) {
        *out = fed_arena_dup(a, text);
        return 0;
    }
    char *p = fed_arena_alloc(a, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            if (i + 2 >= text.n)
                return FED_E_SYNTAX;
            int hi = fed_chars_hex[(uint8_t)text.p[i + 1]], lo = fed_chars_hex[(uint8_t)text.p[i + 2]];
            if (hi < 0 || lo < 0)
                return FED_E_SYNTAX;
            c = (char)(hi << 4 | lo);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return FED_E_SYNTAX;
        p[n++] = c;
    }
    p[n] = '\0';
    *out = (struct fed_str){p, n};
    return 0;
}

void fed_url_encode(struct fed_buf *out, struct fed_str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        if (fed_char_is(text.p[i], FED_CHAR_UNRESERVED)) {
            fed_buf_addc(out, (char)c);
        } else {
            char esc[3] = {'%', hex[c >> 4], hex[c & 15]};
            fed_buf_append(out, esc, 3);
        }
    }
}

int fed_query_parse(struct fed_arena *a, struct fed_str query, struct fed_query *out, struct fed_err *err)
{
    *out = (struct fed_query){NULL, 0};
    size_t pieces = 1;
    for (size_t i = 0; i < query.n; i++)
        pieces += query.p[i] == '&';
    if (query.n == 0)
        return 0;
    if (pieces > MAX_PARAMS)
        return fed_err_set(err, FED_E_LIMIT, "more than %d query parameters", MAX_PARAMS);
    out->params = FED_ARENA_ARRAY(a, struct fed_query_param, pieces);
    struct fed_str rest = query, piece;
    while (fed_str_cut(&rest, '&', &piece)) {
        if (piece.n == 0)
            continue;
        ptrdiff_t eq = fed_str_chr(piece, '=', 0);
        struct fed_str name = eq < 0 ? piece : fed_str_head(piece, (size_t)eq);
        struct fed_str value = eq < 0 ? FED_STR("") : fed_str_from(piece, (size_t)eq + 1);
        struct fed_query_param *q = &out->params[out->n];
        if (fed_url_decode(a, name, true, &q->name) || fed_url_decode(a, value, true, &q->value))
            return fed_err_set(err, FED_E_SYNTAX, "bad escape in query parameter %.*s",
                               (int)FED_MIN(name.n, (size_t)64), name.p);
        out->n++;
    }
    return 0;
}

struct fed_str fed_query_find(const struct fed_query *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++)
        if (fed_str_is(q->params[i].name, name))
            return q->params[i].value;
    return (struct fed_str){NULL, 0};
}
