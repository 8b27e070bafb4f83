/* SPDX-License-Identifier: Apache-2.0 */
#include "net/addr.h"

#include <arpa/inet.h>

int fed_addr_parse(struct fed_str ip, uint16_t port, struct fed_addr *out)
{
    char z[INET6_ADDRSTRLEN];
    *out = (struct fed_addr){0};
    if (ip.n == 0 || ip.n >= sizeof(z) || memchr(ip.p, 0, ip.n))
        return FED_E_SYNTAX;
    memcpy(z, ip.p, ip.n);
    z[ip.n] = 0;
    if (inet_pton(AF_INET, z, &out->in.sin_addr) == 1) {
        out->in.sin_family = AF_INET;
        out->in.sin_port = htons(port);
        return 0;
    }
    *out = (struct fed_addr){0};
    if (inet_pton(AF_INET6, z, &out->in6.sin6_addr) == 1) {
        out->in6.sin6_family = AF_INET6;
        out->in6.sin6_port = htons(port);
        return 0;
    }
    return FED_E_SYNTAX;
}

int fed_addr_parse_hostport(struct fed_str text, struct fed_addr *out)
{
    struct fed_str host, port;
    bool bracket = text.n > 0 && text.p[0] == '[';
    ptrdiff_t sep = bracket ? fed_str_find(text, FED_STR("]:"), 0) : fed_str_chr(text, ':', 0);
    if (sep < 0)
        return FED_E_SYNTAX;
    if (bracket) {
        host = fed_str_n(text.p + 1, (size_t)sep - 1);
        port = fed_str_from(text, (size_t)sep + 2);
    } else {
        host = fed_str_n(text.p, (size_t)sep);
        port = fed_str_from(text, (size_t)sep + 1);
    }
    uint64_t n;
    if (fed_str_u64(port, &n) != 0 || n > UINT16_MAX || fed_addr_parse(host, (uint16_t)n, out) != 0)
        return FED_E_SYNTAX;
    return bracket == (out->sa.sa_family == AF_INET6) ? 0 : FED_E_SYNTAX;
}

void fed_addr_format_ip(const struct fed_addr *a, char out[48])
{
    const char *done = NULL;
    if (a->sa.sa_family == AF_INET)
        done = inet_ntop(AF_INET, &a->in.sin_addr, out, 48);
    else if (a->sa.sa_family == AF_INET6)
        done = inet_ntop(AF_INET6, &a->in6.sin6_addr, out, 48);
    if (!done)
        snprintf(out, 48, "%s", a->sa.sa_family == AF_UNIX ? "unix" : "-");
}

void fed_addr_format(const struct fed_addr *a, char out[64])
{
    char ip[48];
    fed_addr_format_ip(a, ip);
    if (a->sa.sa_family == AF_INET6)
        snprintf(out, 64, "[%s]:%u", ip, fed_addr_port(a));
    else if (a->sa.sa_family == AF_INET)
        snprintf(out, 64, "%s:%u", ip, fed_addr_port(a));
    else
        snprintf(out, 64, "%s", ip);
}

uint16_t fed_addr_port(const struct fed_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohs(a->in.sin_port);
    return a->sa.sa_family == AF_INET6 ? ntohs(a->in6.sin6_port) : 0;
}

void fed_addr_set_port(struct fed_addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET6)
        a->in6.sin6_port = htons(port);
    else
        a->in.sin_port = htons(port);
}

bool fed_addr_equal(const struct fed_addr *a, const struct fed_addr *b)
{
    if (a->sa.sa_family != b->sa.sa_family || fed_addr_port(a) != fed_addr_port(b))
        return false;
    if (a->sa.sa_family == AF_INET)
        return a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
    if (a->sa.sa_family == AF_INET6) /* the scope tells link-local addresses of two links apart */
        return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0 && a->in6.sin6_scope_id == b->in6.sin6_scope_id;
    return true;
}

socklen_t fed_addr_len(const struct fed_addr *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof(a->in6) : sizeof(a->in);
}

void fed_addr_unmap(struct fed_addr *a)
{
    if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        return;
    struct fed_addr v4 = {0};
    v4.in.sin_family = AF_INET;
    v4.in.sin_port = a->in6.sin6_port;
    memcpy(&v4.in.sin_addr, a->in6.sin6_addr.s6_addr + 12, 4);
    *a = v4;
}

bool fed_addr_is_any(const struct fed_addr *a)
{
    if (a->sa.sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
    return a->sa.sa_family == AF_INET && a->in.sin_addr.s_addr == 0;
}

int fed_prefix_parse(struct fed_str text, struct fed_prefix *out)
{
    *out = (struct fed_prefix){0};
    struct fed_addr a;
    uint64_t bits;
    ptrdiff_t sep = fed_str_chr(text, '/', 0);
    if (sep < 0 || fed_addr_parse(fed_str_head(text, (size_t)sep), 0, &a) != 0 ||
        fed_str_u64(fed_str_from(text, (size_t)sep + 1), &bits) != 0)
        return FED_E_SYNTAX;
    size_t n_bytes = a.sa.sa_family == AF_INET ? 4 : 16;
    if (bits > n_bytes * 8)
        return FED_E_SYNTAX;
    memcpy(out->bytes, n_bytes == 4 ? (void *)&a.in.sin_addr : (void *)&a.in6.sin6_addr, n_bytes);
    out->family = a.sa.sa_family;
    out->bits = (uint8_t)bits;
    for (size_t i = bits; i < n_bytes * 8; i++)
        if (out->bytes[i / 8] & (0x80 >> i % 8))
            return FED_E_SYNTAX;
    return 0;
}

bool fed_prefix_contains(const struct fed_prefix *p, const struct fed_addr *a)
{
    if (p->family != a->sa.sa_family)
        return false;
    const uint8_t *bytes = p->family == AF_INET ? (const uint8_t *)&a->in.sin_addr : a->in6.sin6_addr.s6_addr;
    size_t whole = p->bits / 8, rest = p->bits % 8;
    if (memcmp(bytes, p->bytes, whole) != 0)
        return false;
    return rest == 0 || ((bytes[whole] ^ p->bytes[whole]) & (uint8_t)(0xff00 >> rest)) == 0;
}

bool fed_addr_is_loopback(const struct fed_addr *a)
{
    if (a->sa.sa_family == AF_INET)
        return (ntohl(a->in.sin_addr.s_addr) >> 24) == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}
