/* SPDX-License-Identifier: Apache-2.0 */
/* time.c: RFC 3339 text of env.h, without the C library's calendar (its state, locale and time zone). */
#include "base/env.h"
#include "base/err.h"

#define MS_PER_DAY   86400000
#define MS_YEAR_0    (-62167219200000) /* 0000-01-01T00:00:00Z */
#define MS_YEAR_9999 253402300799999   /* 9999-12-31T23:59:59.999Z */

/* Days since 1970-01-01 of a day in the proleptic Gregorian calendar. The year is counted from March, so that the
 * leap day is the last of it and month lengths follow (153 * m + 2) / 5. */
int64_t fed_days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

void fed_civil_from_days(int64_t days, int *y, int *m, int *d)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t day_of_year = day - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *d = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = (int)(year + era * 400 + (*m <= 2));
}

static char *put_digits(char *out, int v, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        out[i] = (char)('0' + v % 10);
        v /= 10;
    }
    return out + width;
}

/* "2026-11-21T08:00:00", 19 bytes; returns the milliseconds left over. Years outside 0…9999 are clamped. */
static int put_seconds(int64_t wall_ms, char *out)
{
    wall_ms = wall_ms < MS_YEAR_0 ? MS_YEAR_0 : wall_ms > MS_YEAR_9999 ? MS_YEAR_9999 : wall_ms;
    int64_t days = wall_ms / MS_PER_DAY;
    int ms = (int)(wall_ms % MS_PER_DAY);
    if (ms < 0) {
        ms += MS_PER_DAY;
        days--;
    }
    int y, m, d;
    fed_civil_from_days(days, &y, &m, &d);
    out = put_digits(out, y, 4);
    *out++ = '-';
    out = put_digits(out, m, 2);
    *out++ = '-';
    out = put_digits(out, d, 2);
    *out++ = 'T';
    out = put_digits(out, ms / 3600000, 2);
    *out++ = ':';
    out = put_digits(out, ms / 60000 % 60, 2);
    *out++ = ':';
    put_digits(out, ms / 1000 % 60, 2);
    return ms % 1000;
}

void fed_time_format(int64_t wall_ms, char out[21])
{
    put_seconds(wall_ms, out);
    out[19] = 'Z';
    out[20] = '\0';
}

void fed_time_format_micro(int64_t wall_ms, char out[28])
{
    int ms = put_seconds(wall_ms, out);
    out[19] = '.';
    put_digits(out + 20, ms * 1000, 6);
    out[26] = 'Z';
    out[27] = '\0';
}

struct cursor {
    const char *p, *end;
    bool bad;
};

static int take_digits(struct cursor *c, int width, int min, int max)
{
    int v = 0;
    for (int i = 0; i < width; i++) {
        if (c->p == c->end || *c->p < '0' || *c->p > '9') {
            c->bad = true;
            return 0;
        }
        v = v * 10 + (*c->p++ - '0');
    }
    if (v < min || v > max)
        c->bad = true;
    return v;
}

static void take_char(struct cursor *c, char want, char other)
{
    if (c->p == c->end || (*c->p != want && *c->p != other)) {
        c->bad = true;
        return;
    }
    c->p++;
}

static int take_fraction_ms(struct cursor *c)
{
    int ms = 0, scale = 100;
    if (c->p == c->end || *c->p != '.')
        return 0;
    c->p++;
    if (c->p == c->end || *c->p < '0' || *c->p > '9')
        c->bad = true;
    for (; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
        ms += (*c->p - '0') * scale;
        scale /= 10;
    }
    return ms;
}

static int take_offset_minutes(struct cursor *c)
{
    if (c->p < c->end && (*c->p == 'Z' || *c->p == 'z')) {
        c->p++;
        return 0;
    }
    bool minus = c->p < c->end && *c->p == '-';
    take_char(c, '+', '-');
    int hours = take_digits(c, 2, 0, 23);
    take_char(c, ':', ':');
    int minutes = take_digits(c, 2, 0, 59);
    return (hours * 60 + minutes) * (minus ? -1 : 1);
}

static int month_days(int y, int m)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[m - 1] + (m == 2 && leap);
}

int fed_time_parse(struct fed_str s, int64_t *wall_ms)
{
    if (!s.p)
        return FED_E_SYNTAX;
    struct cursor c = {s.p, s.p + s.n, false};
    int y = take_digits(&c, 4, 0, 9999);
    take_char(&c, '-', '-');
    int m = take_digits(&c, 2, 1, 12);
    take_char(&c, '-', '-');
    int d = take_digits(&c, 2, 1, 31);
    take_char(&c, 'T', 't');
    int hour = take_digits(&c, 2, 0, 23);
    take_char(&c, ':', ':');
    int minute = take_digits(&c, 2, 0, 59);
    take_char(&c, ':', ':');
    int second = take_digits(&c, 2, 0, 59); /* no leap seconds, as in Go */
    int ms = take_fraction_ms(&c);
    int offset = take_offset_minutes(&c);
    if (c.bad || c.p != c.end || d > month_days(y, m))
        return FED_E_SYNTAX;
    int64_t seconds = fed_days_from_civil(y, m, d) * 86400 + hour * 3600 + minute * 60 + second - offset * 60;
    *wall_ms = seconds * 1000 + ms;
    return 0;
}
