/* SPDX-License-Identifier: Apache-2.0 */
/* Time zones from TZif files: the table of changes, and the rule (a POSIX TZ string) for the time after it. */
#include "base/env.h"
#include "kube/cron.h"

enum { HEADER = 44, MAX_CHANGES = 10000, DAY_S = 86400 };

static uint64_t big_endian(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

static bool header(struct fed_str s, struct counts *c)
{
    if (s.n < HEADER || memcmp(s.p, "TZif", 4) != 0)
        return false;
    size_t *const to[] = {&c->isut, &c->isstd, &c->leap, &c->time, &c->type, &c->chars};
    for (size_t i = 0; i < 6; i++)
        if ((*to[i] = big_endian(s.p + 20 + 4 * i, 4)) > MAX_CHANGES)
            return false;
    return c->type > 0;
}

static size_t block_size(const struct counts *c, size_t word)
{
    return c->time * (word + 1) + c->type * 6 + c->chars + c->leap * (word + 4) + c->isstd + c->isut;
}

/* --- the rule: "CET-1CEST,M3.5.0,M10.5.0/3" --- */

static bool read_name(struct fed_str *s)
{
    size_t i = 0;
    if (s->n && s->p[0] == '<') {
        ptrdiff_t end = fed_str_chr(*s, '>', 0);
        if (end < 0)
            return false;
        i = (size_t)end + 1;
    } else {
        while (i < s->n && ((s->p[i] | 32) >= 'a' && (s->p[i] | 32) <= 'z'))
            i++;
    }
    *s = fed_str_from(*s, i);
    return i > 0;
}

static bool read_number(struct fed_str *s, int64_t *v)
{
    size_t i = 0;
    *v = 0;
    for (; i < s->n && i < 4 && s->p[i] >= '0' && s->p[i] <= '9'; i++)
        *v = *v * 10 + (s->p[i] - '0');
    *s = fed_str_from(*s, i);
    return i > 0;
}

static bool read_char(struct fed_str *s, char c)
{
    if (!s->n || s->p[0] != c)
        return false;
    *s = fed_str_from(*s, 1);
    return true;
}

/* [+-]hh[:mm[:ss]] in seconds */
static bool read_time(struct fed_str *s, int64_t *out)
{
    int64_t sign = 1, h, m = 0, sec = 0;
    if (read_char(s, '-'))
        sign = -1;
    else
        (void)read_char(s, '+');
    if (!read_number(s, &h))
        return false;
    if (read_char(s, ':') && !read_number(s, &m))
        return false;
    if (read_char(s, ':') && !read_number(s, &sec))
        return false;
    *out = sign * (h * 3600 + m * 60 + sec);
    return true;
}

static bool read_rule(struct fed_str *s, struct fed_zone_rule *r)
{
    int64_t a, b, c;
    *r = (struct fed_zone_rule){.form = 'N', .second = 7200};
    if (read_char(s, 'M')) {
        r->form = 'M';
        if (!read_number(s, &a) || !read_char(s, '.') || !read_number(s, &b) || !read_char(s, '.') ||
            !read_number(s, &c) || a < 1 || a > 12 || b < 1 || b > 5 || c > 6)
            return false;
        r->month = (int)a;
        r->week = (int)b;
        r->day = (int)c;
    } else {
        if (read_char(s, 'J'))
            r->form = 'J';
        if (!read_number(s, &a) || a > 366)
            return false;
        r->day = (int)a;
    }
    return !read_char(s, '/') || read_time(s, &r->second);
}

static bool read_footer(struct fed_str s, struct fed_zone *z)
{
    int64_t v;
    if (!s.n)
        return true;
    if (!read_name(&s) || !read_time(&s, &v))
        return false;
    z->standard = (int32_t)-v; /* POSIX counts westwards */
    z->has_rule = true;
    if (!s.n)
        return true;
    z->summer = z->standard + 3600;
    if (!read_name(&s))
        return false;
    if (s.n && s.p[0] != ',') {
        if (!read_time(&s, &v))
            return false;
        z->summer = (int32_t)-v;
    }
    z->has_dst = true;
    return read_char(&s, ',') && read_rule(&s, &z->begin) && read_char(&s, ',') && read_rule(&s, &z->end) && !s.n;
}

int fed_zone_parse(struct fed_arena *a, struct fed_str file, struct fed_zone *z, struct fed_err *err)
{
    struct counts c;
    struct fed_str s = file;
    *z = (struct fed_zone){0};
    if (!header(s, &c) || s.p[4] < '2' || s.n < HEADER + block_size(&c, 4))
        goto bad;
    s = fed_str_from(s, HEADER + block_size(&c, 4));
    if (!header(s, &c) || s.n < HEADER + block_size(&c, 8))
        goto bad;
    const char *times = s.p + HEADER, *kinds = times + 8 * c.time, *types = kinds + c.time;
    z->changes = fed_arena_alloc(a, sizeof(*z->changes) * (c.time + 1));
    z->n = c.time;
    z->first = (int32_t)(uint32_t)big_endian(types, 4);
    for (size_t i = 0; i < c.time; i++) {
        size_t kind = (unsigned char)kinds[i];
        if (kind >= c.type)
            goto bad;
        z->changes[i].at = (int64_t)big_endian(times + 8 * i, 8);
        z->changes[i].offset = (int32_t)(uint32_t)big_endian(types + 6 * kind, 4);
        if (z->changes[i].offset < -DAY_S || z->changes[i].offset > DAY_S)
            goto bad;
    }
    s = fed_str_from(s, HEADER + block_size(&c, 8));
    if (s.n >= 2 && s.p[0] == '\n' && !read_footer(fed_str_trim(s), z))
        goto bad;
    return 0;
bad:
    *z = (struct fed_zone){0};
    return fed_err_set(err, FED_E_SYNTAX, "not a time zone file");
}

bool fed_cron_zone_ok(struct fed_str name)
{
    struct fed_str rest = name, piece;
    if (!name.n || name.n > 64)
        return false;
    while (fed_str_cut(&rest, '/', &piece)) {
        if (!piece.n || piece.p[0] == '.')
            return false;
        for (size_t i = 0; i < piece.n; i++) {
            char ch = piece.p[i];
            bool letter = (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z');
            if (!letter && !memchr("+-_", ch, 3))
                return false;
        }
    }
    return true;
}

/* The local second (as if UTC) of a rule in a year. */
static int64_t rule_second(const struct fed_zone_rule *r, int year)
{
    int64_t first = fed_days_from_civil(year, 1, 1), day;
    bool leap = fed_days_from_civil(year + 1, 1, 1) - first == 366;
    if (r->form == 'J') {
        day = first + r->day - 1 + (leap && r->day >= 60);
    } else if (r->form == 'N') {
        day = first + r->day;
    } else {
        int64_t begin = fed_days_from_civil(year, r->month, 1);
        int64_t next =
            r->month == 12 ? fed_days_from_civil(year + 1, 1, 1) : fed_days_from_civil(year, r->month + 1, 1);
        int64_t weekday = (begin + 4) % 7; /* years before 1970 do not come here */
        day = begin + (r->day - weekday + 7) % 7 + (int64_t)7 * (r->week - 1);
        while (day >= next)
            day -= 7;
    }
    return day * DAY_S + r->second;
}

static int32_t by_rule(const struct fed_zone *z, int64_t t)
{
    int year, month, day;
    if (!z->has_dst)
        return z->standard;
    fed_civil_from_days((t + z->standard) / DAY_S, &year, &month, &day);
    int64_t begin = rule_second(&z->begin, year) - z->standard, end = rule_second(&z->end, year) - z->summer;
    bool summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
    return summer ? z->summer : z->standard;
}

int32_t fed_zone_offset(const struct fed_zone *z, int64_t t)
{
    if (z->has_rule && t >= 0 && (!z->n || t >= z->changes[z->n - 1].at))
        return by_rule(z, t);
    size_t low = 0, high = z->n; /* the last change at or before t */
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (z->changes[mid].at <= t)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? z->changes[low - 1].offset : z->first;
}
