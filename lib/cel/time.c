/* SPDX-License-Identifier: Apache-2.0 */
/* time.c: timestamps and durations, read and written. */
#include "base/env.h"
#include "cel/cel_priv.h"

#define NANO       1000000000LL
#define DAY        86400LL
#define FIRST_TIME (-62135596800LL) /* 0001-01-01 */
#define LAST_TIME  253402300799LL   /* 9999-12-31, the last second */

bool fed_cel_timestamp_ok(int64_t seconds)
{
    return seconds >= FIRST_TIME && seconds <= LAST_TIME;
}

/* --- reading --- */

/* `n` digits at the front. */
static bool take_digits(struct fed_str *s, int n, int *out)
{
    *out = 0;
    if (s->n < (size_t)n)
        return false;
    for (int i = 0; i < n; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        *out = *out * 10 + (s->p[i] - '0');
    }
    *s = fed_str_from(*s, (size_t)n);
    return true;
}

static bool take_char(struct fed_str *s, char c)
{
    if (!s->n || (s->p[0] != c && s->p[0] != (c | 0x20)))
        return false;
    *s = fed_str_from(*s, 1);
    return true;
}

static bool take_date(struct fed_str *s, int64_t *days)
{
    int y, m, d, y2, m2, d2;

    if (!take_digits(s, 4, &y) || !take_char(s, '-') || !take_digits(s, 2, &m) || !take_char(s, '-') ||
        !take_digits(s, 2, &d) || !y || m < 1 || m > 12 || d < 1 || d > 31)
        return false;
    *days = fed_days_from_civil(y, m, d);
    fed_civil_from_days(*days, &y2, &m2, &d2);
    return m2 == m && d2 == d;
}

/* ".123": nanoseconds; absent: none. */
static bool take_fraction(struct fed_str *s, int32_t *nano)
{
    int32_t unit = 100000000;

    *nano = 0;
    if (!take_char(s, '.'))
        return true;
    if (!s->n || s->p[0] < '0' || s->p[0] > '9')
        return false;
    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; unit /= 10) {
        *nano += (s->p[0] - '0') * unit;
        *s = fed_str_from(*s, 1);
    }
    return true;
}

/* "Z", "+02:00": minutes. */
bool fed_cel_zone_read(struct fed_str *s, int *minutes)
{
    int h, m, sign = s->n && s->p[0] == '-' ? -1 : 1;

    *minutes = 0;
    if (take_char(s, 'Z'))
        return true;
    if ((!take_char(s, '-') && !take_char(s, '+')) || !take_digits(s, 2, &h) || !take_char(s, ':') ||
        !take_digits(s, 2, &m) || h > 23 || m > 59)
        return false;
    *minutes = sign * (h * 60 + m);
    return true;
}

bool fed_cel_timestamp_read(struct fed_str s, struct fed_cel_value *out)
{
    int64_t days, at;
    int h, m, sec, zone;
    int32_t nano;

    if (!take_date(&s, &days) || !take_char(&s, 'T') || !take_digits(&s, 2, &h) || !take_char(&s, ':') ||
        !take_digits(&s, 2, &m) || !take_char(&s, ':') || !take_digits(&s, 2, &sec) || !take_fraction(&s, &nano) ||
        !fed_cel_zone_read(&s, &zone) || s.n || h > 23 || m > 59 || sec > 59)
        return false;
    at = days * DAY + h * 3600 + m * 60 + sec - zone * 60;
    *out = (struct fed_cel_value){.kind = FED_CEL_TIMESTAMP, .i = at, .nano = nano};
    return fed_cel_timestamp_ok(at);
}

bool fed_cel_date_read(struct fed_str s, struct fed_cel_value *out)
{
    int64_t days;

    if (!take_date(&s, &days) || s.n)
        return false;
    *out = (struct fed_cel_value){.kind = FED_CEL_TIMESTAMP, .i = days * DAY};
    return true;
}

static int64_t unit_of(struct fed_str *s, bool days)
{
    static const struct {
        const char *name;
        int64_t nano;
        bool days;
    } units[] = {{"ns", 1, false},           {"us", 1000, false},       {"\xc2\xb5s", 1000, false},
                 {"\xce\xbcs", 1000, false}, {"ms", 1000000, false},    {"s", NANO, false},
                 {"m", 60 * NANO, false},    {"h", 3600 * NANO, false}, {"d", DAY * NANO, true},
                 {"w", 7 * DAY * NANO, true}};

    for (size_t i = 0; i < FED_ARRAY_LEN(units); i++)
        if (fed_str_starts(*s, fed_str(units[i].name)) && (days || !units[i].days)) {
            *s = fed_str_from(*s, strlen(units[i].name));
            return units[i].nano;
        }
    return 0;
}

/* One number with its unit. */
static bool take_part(struct fed_str *s, bool days, int64_t *nano)
{
    int64_t whole = 0, part = 0, scale = 1, unit;
    bool digits = false, bad = false;

    for (; s->n && s->p[0] >= '0' && s->p[0] <= '9' && !bad; *s = fed_str_from(*s, 1)) {
        digits = true;
        bad = __builtin_mul_overflow(whole, (int64_t)10, &whole) ||
              __builtin_add_overflow(whole, (int64_t)(s->p[0] - '0'), &whole);
    }
    if (!bad && take_char(s, '.'))
        for (; s->n && s->p[0] >= '0' && s->p[0] <= '9'; *s = fed_str_from(*s, 1)) {
            digits = true;
            if (scale < 1000000000000LL) {
                part = part * 10 + (s->p[0] - '0');
                scale *= 10;
            }
        }
    unit = bad || !digits ? 0 : unit_of(s, days);
    if (!unit || __builtin_mul_overflow(whole, unit, nano))
        return false;
    return !__builtin_add_overflow(*nano, (int64_t)((__int128)part * unit / scale), nano);
}

bool fed_cel_duration_read(struct fed_str s, bool days, struct fed_cel_value *out)
{
    bool negative = s.n && s.p[0] == '-';
    int64_t sum = 0, part;

    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = fed_str_from(s, 1);
    if (!s.n)
        return false;
    if (!fed_str_is(s, "0"))
        while (s.n)
            if (!take_part(&s, days, &part) || __builtin_add_overflow(sum, part, &sum))
                return false;
    *out = (struct fed_cel_value){.kind = FED_CEL_DURATION, .i = negative ? -sum : sum};
    return true;
}

/* --- writing --- */

static void write_nano(int32_t nano, struct fed_buf *out)
{
    char digits[12];
    int n;

    if (!nano)
        return;
    n = snprintf(digits, sizeof(digits), "%09d", (int)nano);
    while (digits[n - 1] == '0')
        n--;
    fed_buf_addc(out, '.');
    fed_buf_append(out, digits, (size_t)n);
}

void fed_cel_timestamp_write(const struct fed_cel_value *v, struct fed_buf *out)
{
    int64_t days = v->i / DAY - (v->i % DAY < 0), s = v->i - days * DAY;
    int y, m, d;

    fed_civil_from_days(days, &y, &m, &d);
    fed_buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d", y, m, d, (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    write_nano(v->nano, out);
    fed_buf_addc(out, 'Z');
}

void fed_cel_duration_write(int64_t nanoseconds, struct fed_buf *out)
{
    uint64_t n = nanoseconds < 0 ? 0 - (uint64_t)nanoseconds : (uint64_t)nanoseconds;

    if (nanoseconds < 0)
        fed_buf_addc(out, '-');
    fed_buf_add_u64(out, n / (uint64_t)NANO);
    write_nano((int32_t)(n % (uint64_t)NANO), out);
    fed_buf_addc(out, 's');
}
