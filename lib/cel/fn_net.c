/* SPDX-License-Identifier: Apache-2.0 */
/* fn_net.c: URLs, IP addresses and networks. */
#include <arpa/inet.h>

#include "cel/cel_priv.h"

/* --- URLs --- */

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool escapes_ok(struct fed_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
        if (s.p[i] == '%' && (i + 2 >= s.n || !is_hex(s.p[i + 1]) || !is_hex(s.p[i + 2])))
            return false;
    }
    return true;
}

static bool read_scheme(struct fed_str *s, struct fed_str *scheme)
{
    size_t n = 0;

    while (n < s->n && (((s->p[n] | 0x20) >= 'a' && (s->p[n] | 0x20) <= 'z') ||
                        (n && ((s->p[n] >= '0' && s->p[n] <= '9') || strchr("+-.", s->p[n])))))
        n++;
    if (!n || n == s->n || s->p[n] != ':')
        return false;
    *scheme = fed_str_head(*s, n);
    *s = fed_str_from(*s, n + 1);
    return true;
}

/* "user@host:port" behind "//". */
static bool read_authority(struct fed_str a, struct fed_cel_link *out)
{
    ptrdiff_t at = fed_str_chr(a, '@', 0), colon, close;

    if (at >= 0)
        a = fed_str_from(a, (size_t)at + 1);
    out->host = out->hostname = a;
    colon = fed_str_chr(a, ':', 0);
    if (a.n && a.p[0] == '[') {
        close = fed_str_chr(a, ']', 0);
        if (close < 0)
            return false;
        out->hostname = fed_str_n(a.p + 1, (size_t)close - 1);
        colon = (size_t)close + 1 < a.n ? close + 1 : -1;
        if (colon > 0 && a.p[colon] != ':')
            return false;
    } else if (colon >= 0) {
        out->hostname = fed_str_head(a, (size_t)colon);
    }
    if (colon < 0)
        return true;
    out->port = fed_str_from(a, (size_t)colon + 1);
    for (size_t i = 0; i < out->port.n; i++)
        if (out->port.p[i] < '0' || out->port.p[i] > '9')
            return false;
    return true;
}

/* An absolute URI or an absolute path. */
bool fed_cel_url_read(struct fed_str s, struct fed_cel_link *out)
{
    ptrdiff_t q, end;

    *out = (struct fed_cel_link){.scheme = {"", 0}};
    if (!s.n || !escapes_ok(s))
        return false;
    if (s.p[0] != '/' && !read_scheme(&s, &out->scheme))
        return false;
    q = fed_str_chr(s, '?', 0);
    if (q >= 0) {
        out->query = fed_str_from(s, (size_t)q + 1);
        s = fed_str_head(s, (size_t)q);
    }
    if (out->scheme.n && fed_str_starts(s, FED_STR("//"))) {
        s = fed_str_from(s, 2);
        end = fed_str_chr(s, '/', 0);
        if (!read_authority(end < 0 ? s : fed_str_head(s, (size_t)end), out))
            return false;
        s = end < 0 ? (struct fed_str){"", 0} : fed_str_from(s, (size_t)end);
    }
    if (s.n && s.p[0] != '/') /* opaque: "mailto:x" has no path */
        s = (struct fed_str){"", 0};
    out->path = s;
    return true;
}

FED_CEL_FN(fn_url)
{
    struct fed_cel_link *u = FED_ARENA_NEW(&r->arena, struct fed_cel_link);

    if (!fed_cel_url_read(a[0].s, u))
        return fed_cel_fail(r, "URL parse error during conversion from string: parse \"%.*s\": invalid URI for request",
                            FED_STR_ARG(fed_str_head(a[0].s, 200)));
    *out = (struct fed_cel_value){.kind = FED_CEL_URL, .url = u};
    return true;
}

FED_CEL_FN(fn_is_url)
{
    struct fed_cel_link u;

    *out = fed_cel_bool(fed_cel_url_read(a[0].s, &u));
    return true;
}

FED_CEL_FN(fn_url_part)
{
    const struct fed_cel_link *u = a[0].url;

    *out = fed_cel_str(fed_str_is(n->name, "getScheme")     ? u->scheme
                       : fed_str_is(n->name, "getHost")     ? u->host
                       : fed_str_is(n->name, "getHostname") ? u->hostname
                       : fed_str_is(n->name, "getPort")     ? u->port
                                                            : u->path);
    return true;
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static struct fed_cel_value unescaped(struct fed_cel_run *r, struct fed_str s)
{
    char *p = fed_arena_alloc(&r->arena, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        bool escaped = s.p[i] == '%' && i + 2 < s.n;

        p[n++] = escaped ? (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2])) : s.p[i] == '+' ? ' ' : s.p[i];
        i += escaped ? 2 : 0;
    }
    p[n] = 0;
    return fed_cel_str(fed_str_n(p, n));
}

/* Each name once, with its values in a list. */
FED_CEL_FN(fn_query)
{
    struct fed_str rest = a[0].url->query, part;
    struct fed_cel_map *m = FED_ARENA_NEW(&r->arena, struct fed_cel_map);
    uint32_t max = 1;
    struct fed_cel_value *keys, *values, *all;

    for (size_t i = 0; i < rest.n; i++)
        max += rest.p[i] == '&';
    if (!fed_cel_pay(r, max + fed_cel_text_cost(rest.n)))
        return false;
    keys = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, max);
    values = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, max);
    while (rest.p && rest.n && fed_str_cut(&rest, '&', &part)) {
        ptrdiff_t eq = fed_str_chr(part, '=', 0);
        struct fed_cel_value key = unescaped(r, eq < 0 ? part : fed_str_head(part, (size_t)eq));
        struct fed_cel_value value = unescaped(r, eq < 0 ? FED_STR("") : fed_str_from(part, (size_t)eq + 1));
        uint32_t i = 0, have;

        if (!part.n)
            continue;
        while (i < m->n && !fed_str_eq(keys[i].s, key.s))
            i++;
        have = i < m->n ? values[i].list->n : 0;
        if (!fed_cel_pay(r, 1 + i / 8 + have))
            return false;
        all = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, have + 1);
        if (have)
            memcpy(all, values[i].list->items, have * sizeof(*all));
        all[have] = value;
        keys[i] = key;
        values[i] = fed_cel_list(r, all, have + 1);
        m->n = FED_MAX(m->n, i + 1);
    }
    m->keys = keys;
    m->values = values;
    *out = (struct fed_cel_value){.kind = FED_CEL_MAP, .map = m};
    return true;
}

/* --- addresses --- */

static bool read_ip(struct fed_str s, struct fed_cel_net *net)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[64];
    bool six = fed_str_chr(s, ':', 0) >= 0;

    if (!s.n || s.n >= sizeof(text) || fed_str_chr(s, 0, 0) >= 0)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *net = (struct fed_cel_net){.n = six ? 16 : 4, .prefix = six ? 128 : 32};
    return inet_pton(six ? AF_INET6 : AF_INET, text, net->bytes) == 1 &&
           !(six && memcmp(net->bytes, mapped, sizeof(mapped)) == 0);
}

static bool read_cidr(struct fed_str s, struct fed_cel_net *net)
{
    ptrdiff_t slash = fed_str_chr(s, '/', 0);
    uint64_t bits;
    struct fed_str tail;

    if (slash < 0 || !read_ip(fed_str_head(s, (size_t)slash), net))
        return false;
    tail = fed_str_from(s, (size_t)slash + 1);
    if (fed_str_u64(tail, &bits) || bits > net->prefix || (tail.n > 1 && tail.p[0] == '0'))
        return false;
    net->prefix = (uint8_t)bits;
    return true;
}

static struct fed_cel_value made(struct fed_cel_run *r, enum fed_cel_kind kind, const struct fed_cel_net *net)
{
    struct fed_cel_net *kept = FED_ARENA_NEW(&r->arena, struct fed_cel_net);

    *kept = *net;
    if (kind == FED_CEL_IP)
        kept->prefix = (uint8_t)(net->n * 8);
    return (struct fed_cel_value){.kind = (uint8_t)kind, .net = kept};
}

FED_CEL_FN(fn_ip)
{
    struct fed_cel_net net;

    if (!read_ip(a[0].s, &net))
        return fed_cel_fail(r, "IP Address '%.*s' parse error during conversion from string",
                            FED_STR_ARG(fed_str_head(a[0].s, 64)));
    *out = made(r, FED_CEL_IP, &net);
    return true;
}

FED_CEL_FN(fn_is_ip)
{
    struct fed_cel_net net;

    *out = fed_cel_bool(read_ip(a[0].s, &net));
    return true;
}

FED_CEL_FN(fn_canonical)
{
    struct fed_cel_value ip, text;

    if (!fn_ip(r, n, a, n_args, &ip) || !fed_cel_to_text(r, &ip, &text))
        return false;
    *out = fed_cel_bool(fed_str_eq(text.s, a[0].s));
    return true;
}

FED_CEL_FN(fn_family)
{
    *out = fed_cel_int(a[0].net->n == 4 ? 4 : 6);
    return true;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    while (n && !p[n - 1])
        n--;
    return !n;
}

FED_CEL_FN(fn_ip_is)
{
    const uint8_t *p = a[0].net->bytes;
    bool four = a[0].net->n == 4, unspecified = all_zero(p, a[0].net->n);
    bool loopback = four ? p[0] == 127 : all_zero(p, 15) && p[15] == 1;
    bool multicast = four ? p[0] >= 224 && p[0] < 240 : p[0] == 0xff;
    bool link_multicast = four ? p[0] == 224 && !p[1] && !p[2] : multicast && (p[1] & 0x0f) == 2;
    bool link_unicast = four ? p[0] == 169 && p[1] == 254 : p[0] == 0xfe && (p[1] & 0xc0) == 0x80;
    bool broadcast = four && p[0] == 255 && p[1] == 255 && p[2] == 255 && p[3] == 255;

    *out = fed_cel_bool(fed_str_is(n->name, "isUnspecified")          ? unspecified
                        : fed_str_is(n->name, "isLoopback")           ? loopback
                        : fed_str_is(n->name, "isLinkLocalMulticast") ? link_multicast
                        : fed_str_is(n->name, "isLinkLocalUnicast")
                            ? link_unicast
                            : !unspecified && !loopback && !multicast && !link_unicast && !broadcast);
    return true;
}

/* --- networks --- */

FED_CEL_FN(fn_cidr)
{
    struct fed_cel_net net;

    if (!read_cidr(a[0].s, &net))
        return fed_cel_fail(r, "network address parse error during conversion from string: %.*s",
                            FED_STR_ARG(fed_str_head(a[0].s, 64)));
    *out = made(r, FED_CEL_CIDR, &net);
    return true;
}

FED_CEL_FN(fn_is_cidr)
{
    struct fed_cel_net net;

    *out = fed_cel_bool(read_cidr(a[0].s, &net));
    return true;
}

static bool same_prefix(const struct fed_cel_net *x, const struct fed_cel_net *y, unsigned bits)
{
    unsigned rest = bits % 8;

    if (x->n != y->n || memcmp(x->bytes, y->bytes, bits / 8))
        return false;
    return !rest || (x->bytes[bits / 8] ^ y->bytes[bits / 8]) >> (8 - rest) == 0;
}

FED_CEL_FN(fn_contains_net)
{
    bool cidr = fed_str_is(n->name, "containsCIDR");
    struct fed_cel_value other = a[1];

    if (other.kind == FED_CEL_STRING && !(cidr ? fn_cidr : fn_ip)(r, n, &a[1], 1, &other))
        return false;
    *out = fed_cel_bool(other.net->prefix >= a[0].net->prefix && same_prefix(a[0].net, other.net, a[0].net->prefix));
    return true;
}

FED_CEL_FN(fn_cidr_ip)
{
    *out = made(r, FED_CEL_IP, a[0].net);
    return true;
}

FED_CEL_FN(fn_masked)
{
    struct fed_cel_net net = *a[0].net;

    for (unsigned i = net.prefix; i < net.n * 8u; i++)
        net.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
    *out = made(r, FED_CEL_CIDR, &net);
    return true;
}

FED_CEL_FN(fn_prefix_length)
{
    *out = fed_cel_int(a[0].net->prefix);
    return true;
}

const struct fed_cel_function fed_cel_net_functions[] = {
    {"url", false, "s:U", fn_url, FED_CEL_COST_TEXT},
    {"isURL", false, "s:b", fn_is_url, FED_CEL_COST_TEXT},
    {"getScheme", true, "U:s", fn_url_part, FED_CEL_COST_ONE},
    {"getHost", true, "U:s", fn_url_part, FED_CEL_COST_ONE},
    {"getHostname", true, "U:s", fn_url_part, FED_CEL_COST_ONE},
    {"getPort", true, "U:s", fn_url_part, FED_CEL_COST_ONE},
    {"getEscapedPath", true, "U:s", fn_url_part, FED_CEL_COST_ONE},
    {"getQuery", true, "U:{s[s", fn_query, FED_CEL_COST_ONE},
    {"ip", false, "s:I", fn_ip, FED_CEL_COST_TEXT},
    {"isIP", false, "s:b", fn_is_ip, FED_CEL_COST_TEXT},
    {"ip.isCanonical", false, "s:b", fn_canonical, FED_CEL_COST_TEXT2},
    {"family", true, "I:i", fn_family, FED_CEL_COST_ONE},
    {"isUnspecified", true, "I:b", fn_ip_is, FED_CEL_COST_ONE},
    {"isLoopback", true, "I:b", fn_ip_is, FED_CEL_COST_ONE},
    {"isLinkLocalMulticast", true, "I:b", fn_ip_is, FED_CEL_COST_ONE},
    {"isLinkLocalUnicast", true, "I:b", fn_ip_is, FED_CEL_COST_ONE},
    {"isGlobalUnicast", true, "I:b", fn_ip_is, FED_CEL_COST_ONE},
    {"cidr", false, "s:C", fn_cidr, FED_CEL_COST_TEXT},
    {"isCIDR", false, "s:b", fn_is_cidr, FED_CEL_COST_TEXT},
    {"containsIP", true, "CI:b", fn_contains_net, FED_CEL_COST_ONE},
    {"containsIP", true, "Cs:b", fn_contains_net, FED_CEL_COST_ONE},
    {"containsCIDR", true, "CC:b", fn_contains_net, FED_CEL_COST_ONE},
    {"containsCIDR", true, "Cs:b", fn_contains_net, FED_CEL_COST_ONE},
    {"ip", true, "C:I", fn_cidr_ip, FED_CEL_COST_ONE},
    {"masked", true, "C:C", fn_masked, FED_CEL_COST_ONE},
    {"prefixLength", true, "C:i", fn_prefix_length, FED_CEL_COST_ONE},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
