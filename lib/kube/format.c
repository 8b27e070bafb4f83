/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/format.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/def.h"
#include "base/env.h"
#include "codec/base64.h"
#include "kube/names.h"

static bool all_of(struct fed_str s, size_t from, size_t n, int (*is)(int))
{
    if (from + n > s.n)
        return false;
    for (size_t i = from; i < from + n; i++)
        if (!is((unsigned char)s.p[i]))
            return false;
    return true;
}

static int number(struct fed_str s, size_t from, size_t n)
{
    int v = 0;

    for (size_t i = from; i < from + n; i++)
        v = v * 10 + (s.p[i] - '0');
    return v;
}

static bool is_address(struct fed_str s, int family)
{
    char z[64];
    unsigned char bytes[16];

    if (s.n >= sizeof(z))
        return false;
    memcpy(z, s.p, s.n);
    z[s.n] = 0;
    return inet_pton(family, z, bytes) == 1;
}

static bool is_ipv4(struct fed_str s)
{
    return is_address(s, AF_INET);
}

static bool is_ipv6(struct fed_str s)
{
    return is_address(s, AF_INET6);
}

static bool is_cidr(struct fed_str s)
{
    ptrdiff_t slash = fed_str_chr(s, '/', 0);
    struct fed_str host;
    uint64_t bits;
    bool v6;

    if (slash < 0)
        return false;
    host = fed_str_head(s, (size_t)slash);
    v6 = is_ipv6(host);
    return (v6 || is_ipv4(host)) && fed_str_u64(fed_str_from(s, (size_t)slash + 1), &bits) == 0 &&
           bits <= (v6 ? 128u : 32u);
}

static bool is_mac(struct fed_str s)
{
    if (s.n != 17 && s.n != 23)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (i % 3 == 2 ? s.p[i] != s.p[2] || !strchr(":-", s.p[i]) : !isxdigit((unsigned char)s.p[i]))
            return false;
    return true;
}

/* Also without hyphens, as Kubernetes takes them. */
static bool is_uuid(struct fed_str s)
{
    static const unsigned char groups[] = {8, 4, 4, 4, 12};
    size_t at = 0;
    bool hyphens = s.n == 36;

    for (size_t i = 0; i < sizeof(groups); i++) {
        if (!all_of(s, at, groups[i], isxdigit))
            return false;
        at += groups[i];
        if (hyphens && i < 4 && s.p[at++] != '-')
            return false;
    }
    return at == s.n;
}

static bool uuid_version(struct fed_str s, char version)
{
    return is_uuid(s) && s.p[s.n == 36 ? 14 : 12] == version;
}

static bool is_uuid3(struct fed_str s)
{
    return uuid_version(s, '3');
}

static bool is_uuid4(struct fed_str s)
{
    return uuid_version(s, '4');
}

static bool is_uuid5(struct fed_str s)
{
    return uuid_version(s, '5');
}

/* A request URI: an absolute URL or a path from the root. */
static bool is_uri(struct fed_str s)
{
    ptrdiff_t colon = fed_str_chr(s, ':', 0);

    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
            return false;
    if (s.n && s.p[0] == '/')
        return true;
    if (colon <= 0 || !isalpha((unsigned char)s.p[0]))
        return false;
    for (ptrdiff_t i = 1; i < colon; i++)
        if (!isalnum((unsigned char)s.p[i]) && !strchr("+-.", s.p[i]))
            return false;
    return (size_t)colon + 1 < s.n;
}

static bool is_email(struct fed_str s)
{
    ptrdiff_t at = fed_str_chr(s, '@', 0);

    if (at <= 0 || (size_t)at + 1 >= s.n || fed_str_chr(s, '@', (size_t)at + 1) >= 0)
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= ' ' || strchr("<>()[],;\\\"", s.p[i]))
            return false;
    return s.p[at - 1] != '.' && s.p[at + 1] != '.' && s.p[s.n - 1] != '.';
}

static bool is_hostname(struct fed_str s)
{
    struct fed_str label;

    if (!s.n || s.n > 253)
        return false;
    while (fed_str_cut(&s, '.', &label)) {
        if (!label.n || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
            return false;
        for (size_t i = 0; i < label.n; i++)
            if (!isalnum((unsigned char)label.p[i]) && label.p[i] != '-')
                return false;
    }
    return true;
}

static bool is_date(struct fed_str s)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int y, m, d;

    if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !all_of(s, 0, 4, isdigit) || !all_of(s, 5, 2, isdigit) ||
        !all_of(s, 8, 2, isdigit))
        return false;
    y = number(s, 0, 4);
    m = number(s, 5, 2);
    d = number(s, 8, 2);
    return m >= 1 && m <= 12 && d >= 1 && d <= days[m - 1] + (m == 2 && ((y % 4 == 0 && y % 100 != 0) || y % 400 == 0));
}

/* As Go writes durations ("1h30m", "-1.5s"), or a number and a word ("3 days"). */
static bool is_duration(struct fed_str s)
{
    static const char *const units[] = {
        "ns",         "us",         "\xc2\xb5s",   "ms",           "s",           "m",
        "h",          "d",          "w",           "second",       "seconds",     "sec",
        "secs",       "minute",     "minutes",     "min",          "mins",        "hour",
        "hours",      "hr",         "hrs",         "day",          "days",        "week",
        "weeks",      "wk",         "millisecond", "milliseconds", "microsecond", "microseconds",
        "nanosecond", "nanoseconds"};
    size_t i = s.n && strchr("+-", s.p[0]) ? 1 : 0;

    if (i == s.n)
        return false;
    if (fed_str_is(fed_str_from(s, i), "0"))
        return true;
    while (i < s.n) {
        size_t digits = i, unit;
        bool known = false;

        while (i < s.n && (isdigit((unsigned char)s.p[i]) || s.p[i] == '.'))
            i++;
        if (i == digits)
            return false;
        while (i < s.n && s.p[i] == ' ')
            i++;
        for (unit = i; i < s.n && (isalpha((unsigned char)s.p[i]) || (s.p[i] & 0x80)); i++)
            ;
        for (size_t k = 0; k < FED_ARRAY_LEN(units); k++)
            known |= fed_str_is(fed_str_n(s.p + unit, i - unit), units[k]);
        if (!known)
            return false;
        while (i < s.n && s.p[i] == ' ')
            i++;
    }
    return true;
}

static bool is_hexcolor(struct fed_str s)
{
    size_t from = s.n && s.p[0] == '#' ? 1 : 0;

    return (s.n - from == 3 || s.n - from == 6) && all_of(s, from, s.n - from, isxdigit);
}

static bool is_bson_id(struct fed_str s)
{
    return s.n == 24 && all_of(s, 0, 24, isxdigit);
}

/* --- the list --- */

static bool is_time(struct fed_str s)
{
    int64_t ms;

    return fed_time_parse(s, &ms) == 0;
}

static bool is_base64(struct fed_str s)
{
    struct fed_arena scratch = {0};
    struct fed_str bytes;
    bool ok = fed_base64_decode(&scratch, s, &bytes) == 0;

    fed_arena_release(&scratch);
    return ok;
}

static const struct {
    const char *name;
    bool (*ok)(struct fed_str);
} formats[] = {{"ipv4", is_ipv4},
               {"ipv6", is_ipv6},
               {"cidr", is_cidr},
               {"mac", is_mac},
               {"uuid", is_uuid},
               {"uuid3", is_uuid3},
               {"uuid4", is_uuid4},
               {"uuid5", is_uuid5},
               {"uri", is_uri},
               {"email", is_email},
               {"hostname", is_hostname},
               {"date", is_date},
               {"duration", is_duration},
               {"hexcolor", is_hexcolor},
               {"bsonobjectid", is_bson_id},
               {"date-time", is_time},
               {"datetime", is_time},
               {"byte", is_base64},
               /* checked with the type (schema_validate.c), or hints */
               {"password", NULL},
               {"int32", NULL},
               {"int64", NULL},
               {"float", NULL},
               {"double", NULL},
               {"int-or-string", NULL},
               {"quantity", NULL},
               {"isbn", NULL},
               {"isbn10", NULL},
               {"isbn13", NULL},
               {"creditcard", NULL},
               {"ssn", NULL},
               {"rgbcolor", NULL}};

bool fed_format_ok(struct fed_str format, struct fed_str text)
{
    for (size_t i = 0; format.n && i < FED_ARRAY_LEN(formats); i++)
        if (fed_str_is(format, formats[i].name))
            return !formats[i].ok || formats[i].ok(text);
    return true;
}

bool fed_format_known(struct fed_str format)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(formats); i++)
        if (fed_str_is(format, formats[i].name))
            return true;
    return false;
}
