/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/cron.h"

#include "base/env.h"

enum { DAY_S = 86400, HOUR_S = 3600, MANY = 101 };

/* --- grammar --- */

struct field {
    int min, max;
    const char *const *words; /* of min…, or NULL */
};

static const char *const month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
static const struct field fields[5] = {
    {0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_words}, {0, 6, weekday_words}};

static bool all_digits(struct fed_str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return s.n && i == s.n;
}

/* In the words of the Go package that Kubernetes reads schedules with. */
static int read_number(struct fed_str s, int *out, struct fed_err *err)
{
    bool minus = s.n && s.p[0] == '-';
    struct fed_str digits = minus || (s.n && s.p[0] == '+') ? fed_str_from(s, 1) : s;
    uint64_t v = 0;
    if (fed_str_u64(digits, &v) < 0 || v > INT32_MAX)
        return fed_err_set(err, FED_E_INVALID, "failed to parse int from %.*s: strconv.Atoi: parsing \"%.*s\": %s",
                           FED_STR_ARG(s), FED_STR_ARG(s),
                           all_digits(digits) ? "value out of range" : "invalid syntax");
    if (minus && v)
        return fed_err_set(err, FED_E_INVALID, "negative number (-%llu) not allowed: %.*s", (unsigned long long)v,
                           FED_STR_ARG(s));
    *out = (int)v;
    return 0;
}

static int read_value(const struct field *f, struct fed_str s, int *out, struct fed_err *err)
{
    for (int i = 0; f->words && i <= f->max - f->min; i++)
        if (fed_str_ieq(s, fed_str(f->words[i]))) {
            *out = f->min + i;
            return 0;
        }
    return read_number(s, out, err);
}

struct range {
    int from, to, step;
};

static int check_range(const struct field *f, const struct range *r, struct fed_str piece, struct fed_err *err)
{
    if (r->from < f->min)
        return fed_err_set(err, FED_E_INVALID, "beginning of range (%d) below minimum (%d): %.*s", r->from, f->min,
                           FED_STR_ARG(piece));
    if (r->to > f->max)
        return fed_err_set(err, FED_E_INVALID, "end of range (%d) above maximum (%d): %.*s", r->to, f->max,
                           FED_STR_ARG(piece));
    if (r->from > r->to)
        return fed_err_set(err, FED_E_INVALID, "beginning of range (%d) beyond end of range (%d): %.*s", r->from, r->to,
                           FED_STR_ARG(piece));
    if (r->step == 0)
        return fed_err_set(err, FED_E_INVALID, "step of range should be a positive number: %.*s", FED_STR_ARG(piece));
    return 0;
}

/* "*", "5", "1-5"; false in *single when it says where it ends. */
static int read_ends(const struct field *f, struct fed_str range, struct fed_str piece, struct range *r, bool *single,
                     bool *any, struct fed_err *err)
{
    struct fed_str rest = range, low;
    int rc;
    (void)fed_str_cut(&rest, '-', &low);
    *single = !rest.p;
    if (fed_str_is(low, "*") || fed_str_is(low, "?")) {
        *r = (struct range){f->min, f->max, 1};
        *any = true;
        return 0;
    }
    rc = read_value(f, low, &r->from, err);
    if (rc)
        return rc;
    r->to = r->from;
    if (!rest.p)
        return 0;
    if (fed_str_chr(rest, '-', 0) >= 0)
        return fed_err_set(err, FED_E_INVALID, "too many hyphens: %.*s", FED_STR_ARG(piece));
    return read_value(f, rest, &r->to, err);
}

/* "*", "5", "1-5", each with "/STEP"; a single value with a step runs to the end. */
static int read_piece(const struct field *f, struct fed_str piece, uint64_t *bits, bool *any, struct fed_err *err)
{
    struct fed_str rest = piece, ends;
    struct range r = {0, 0, 1};
    bool single;
    int rc;
    (void)fed_str_cut(&rest, '/', &ends);
    rc = read_ends(f, ends, piece, &r, &single, any, err);
    if (rc)
        return rc;
    if (rest.p && fed_str_chr(rest, '/', 0) >= 0)
        return fed_err_set(err, FED_E_INVALID, "too many slashes: %.*s", FED_STR_ARG(piece));
    if (rest.p) {
        rc = read_number(rest, &r.step, err);
        if (rc)
            return rc;
        if (single)
            r.to = f->max;
        if (r.step > 1)
            *any = false;
    }
    rc = check_range(f, &r, piece, err);
    for (int64_t i = r.from; !rc && i <= r.to; i += r.step)
        *bits |= UINT64_C(1) << i;
    return rc;
}

static int read_field(const struct field *f, struct fed_str text, uint64_t *bits, bool *any, struct fed_err *err)
{
    struct fed_str rest = text, piece;
    *any = false;
    while (fed_str_cut(&rest, ',', &piece)) {
        int rc = read_piece(f, piece, bits, any, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Go's durations, whole seconds at least: "1h30m", "90s". */
static int64_t duration(struct fed_str s)
{
    int64_t total = 0;
    while (s.n) {
        int64_t v = 0;
        size_t i = 0;
        for (; i < s.n && i < 9 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            v = v * 10 + (s.p[i] - '0');
        if (!i || i == s.n)
            return -1;
        char unit = s.p[i];
        if (unit != 'h' && unit != 'm' && unit != 's')
            return -1;
        total += v * (unit == 'h' ? HOUR_S : unit == 'm' ? 60 : 1);
        s = fed_str_from(s, i + 1);
    }
    return total;
}

static int parse_word(struct fed_str text, struct fed_cron *out, struct fed_err *err)
{
    static const struct {
        const char *word, *meaning;
    } words[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
                 {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
                 {"@hourly", "0 * * * *"}};
    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_str_is(text, words[i].word))
            return fed_cron_parse(fed_str(words[i].meaning), out, err);
    if (!fed_str_starts(text, FED_STR("@every ")))
        return fed_err_set(err, FED_E_INVALID, "unrecognized descriptor: %.*s", FED_STR_ARG(text));
    out->every_s = duration(fed_str_trim(fed_str_from(text, 7)));
    if (out->every_s > 0)
        return 0;
    return fed_err_set(err, FED_E_INVALID, "failed to parse duration %.*s: time: invalid duration \"%.*s\"",
                       FED_STR_ARG(text), FED_STR_ARG(fed_str_from(text, 7)));
}

static size_t count_fields(struct fed_str text)
{
    struct fed_str piece;
    size_t n = 0;
    while (fed_str_cut(&text, ' ', &piece))
        n += piece.n > 0;
    return n;
}

int fed_cron_parse(struct fed_str text, struct fed_cron *out, struct fed_err *err)
{
    struct fed_str rest = fed_str_trim(text), piece;
    *out = (struct fed_cron){0};
    if (fed_str_starts(rest, FED_STR("@")))
        return parse_word(rest, out, err);
    uint64_t *bits[5] = {&out->minutes, &out->hours, &out->days, &out->months, &out->weekdays};
    bool any[5];
    size_t n = count_fields(rest);
    if (n != 5)
        return fed_err_set(err, FED_E_INVALID, "expected exactly 5 fields, found %zu: [%.*s]", n, FED_STR_ARG(rest));
    for (n = 0; n < 5 && fed_str_cut(&rest, ' ', &piece);) {
        if (!piece.n)
            continue;
        int rc = read_field(&fields[n], piece, bits[n], &any[n], err);
        if (rc < 0)
            return rc;
        n++;
    }
    out->any_day = any[2];
    out->any_weekday = any[4];
    return 0;
}

/* --- the walk --- */

struct civil {
    int year, month, day, hour, minute, second, weekday;
};

static struct civil local(const struct fed_zone *z, int64_t t)
{
    struct civil c;
    int64_t s = t + fed_zone_offset(z, t), days = s >= 0 ? s / DAY_S : -((DAY_S - 1 - s) / DAY_S);
    int in_day = (int)(s - days * DAY_S);
    fed_civil_from_days(days, &c.year, &c.month, &c.day);
    c.hour = in_day / HOUR_S;
    c.minute = in_day / 60 % 60;
    c.second = in_day % 60;
    c.weekday = (int)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    return c;
}

static bool day_matches(const struct fed_cron *c, const struct civil *at)
{
    bool day = c->days >> at->day & 1, weekday = c->weekdays >> at->weekday & 1;
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* About midnight of the next local day: an hour may be missing or doubled in between. */
static int64_t next_day(const struct fed_zone *z, int64_t t, const struct civil *at)
{
    t += DAY_S - (at->hour * HOUR_S + at->minute * 60 + at->second);
    struct civil c = local(z, t);
    if (c.day == at->day)
        return t + (DAY_S - (c.hour * HOUR_S + c.minute * 60 + c.second));
    int64_t back = c.hour * HOUR_S + c.minute * 60 + c.second;
    struct civil before = local(z, t - back);
    return before.day == c.day ? t - back : t;
}

int64_t fed_cron_next(const struct fed_cron *c, const struct fed_zone *z, int64_t after)
{
    if (c->every_s)
        return after + c->every_s;
    int64_t t = after + 60 - after % 60, end = after + (int64_t)5 * 366 * DAY_S;
    while (t < end) {
        struct civil at = local(z, t);
        if (at.second) { /* zones of old with odd seconds */
            t += 60 - at.second;
        } else if (!(c->months >> at.month & 1) || !day_matches(c, &at)) {
            t = next_day(z, t, &at);
        } else if (!(c->hours >> at.hour & 1)) {
            t += HOUR_S - at.minute * 60;
        } else if (!(c->minutes >> at.minute & 1)) {
            t += 60;
        } else {
            return t;
        }
    }
    return -1;
}

int64_t fed_cron_last(const struct fed_cron *c, const struct fed_zone *z, int64_t after, int64_t now, int *missed)
{
    int64_t last = -1, t = after;
    *missed = 0;
    while (*missed < MANY && (t = fed_cron_next(c, z, t)) >= 0 && t <= now) {
        last = t;
        ++*missed;
    }
    if (*missed < MANY)
        return last;
    if (c->every_s)
        return after + (now - after) / c->every_s * c->every_s;
    /* Many: look back from now, further each time. */
    for (int64_t span = 64; now - span > after; span *= 8) {
        int64_t found = -1;
        for (t = now - span; (t = fed_cron_next(c, z, t)) >= 0 && t <= now;)
            found = t;
        if (found >= 0)
            return found;
    }
    return last;
}
