/* SPDX-License-Identifier: Apache-2.0 */
/* fn_time.c: functions of timestamps and durations. Zones are offsets from UTC: there is no database of names here. */
#include "base/env.h"
#include "cel/cel_priv.h"

#define NANO 1000000000LL
#define DAY  86400LL

FED_CEL_FN(fn_timestamp)
{
    if (a[0].kind == FED_CEL_TIMESTAMP) {
        *out = a[0];
        return true;
    }
    if (a[0].kind == FED_CEL_INT) {
        *out = (struct fed_cel_value){.kind = FED_CEL_TIMESTAMP, .i = a[0].i};
        return fed_cel_timestamp_ok(a[0].i) || fed_cel_fail(r, "timestamp overflow");
    }
    return fed_cel_timestamp_read(a[0].s, out) ||
           fed_cel_fail(r, "type conversion error from 'string' to 'google.protobuf.Timestamp'");
}

FED_CEL_FN(fn_duration)
{
    if (a[0].kind == FED_CEL_DURATION) {
        *out = a[0];
        return true;
    }
    return fed_cel_duration_read(a[0].s, false, out) ||
           fed_cel_fail(r, "type conversion error from 'string' to 'google.protobuf.Duration'");
}

/* "UTC", "+02:00", "02:00". */
static bool zone_of(struct fed_cel_run *r, struct fed_str s, int *minutes)
{
    struct fed_str given = s;
    char sign[16];

    if (fed_str_is(s, "UTC") || !s.n) {
        *minutes = 0;
        return true;
    }
    if (s.p[0] >= '0' && s.p[0] <= '9' && s.n < sizeof(sign) - 1) {
        snprintf(sign, sizeof(sign), "+%.*s", FED_STR_ARG(s));
        s = fed_str(sign);
    }
    if (fed_cel_zone_read(&s, minutes) && !s.n)
        return true;
    return fed_cel_fail(r, "unknown time zone %.*s", FED_STR_ARG(fed_str_head(given, 64)));
}

static int64_t part_of(const char *name, int64_t at, int32_t nano)
{
    int64_t days = at / DAY - (at % DAY < 0), s = at - days * DAY;
    int y, m, d;

    fed_civil_from_days(days, &y, &m, &d);
    switch (name[3]) {
    case 'F':
        return y;
    case 'H':
        return s / 3600;
    case 'S':
        return s % 60;
    case 'M':
        if (strcmp(name, "getMonth") == 0)
            return m - 1;
        return strcmp(name, "getMinutes") == 0 ? s / 60 % 60 : nano / 1000000;
    default:
        break;
    }
    if (strcmp(name, "getDate") == 0)
        return d;
    if (strcmp(name, "getDayOfMonth") == 0)
        return d - 1;
    if (strcmp(name, "getDayOfYear") == 0)
        return days - fed_days_from_civil(y, 1, 1);
    return ((days + 4) % 7 + 7) % 7; /* 1970 began on a Thursday; Sunday is 0 */
}

FED_CEL_FN(fn_part)
{
    char name[32];
    int minutes = 0;

    if (n_args == 2 && !zone_of(r, a[1].s, &minutes))
        return false;
    snprintf(name, sizeof(name), "%.*s", FED_STR_ARG(n->name));
    *out = fed_cel_int(part_of(name, a[0].i + minutes * 60, a[0].nano));
    return true;
}

FED_CEL_FN(fn_duration_part)
{
    int64_t unit = fed_str_is(n->name, "getHours")     ? 3600 * NANO
                   : fed_str_is(n->name, "getMinutes") ? 60 * NANO
                   : fed_str_is(n->name, "getSeconds") ? NANO
                                                       : 1000000;

    *out = fed_cel_int(a[0].i / unit);
    return true;
}

#define TIME_PART(name)                                                                                                \
    {name, true, "t:i", fn_part, FED_CEL_COST_ONE},                                                                    \
    {                                                                                                                  \
        name, true, "ts:i", fn_part, FED_CEL_COST_ONE                                                                  \
    }
#define EITHER_PART(name)                                                                                              \
    TIME_PART(name),                                                                                                   \
    {                                                                                                                  \
        name, true, "D:i", fn_duration_part, FED_CEL_COST_ONE                                                          \
    }

const struct fed_cel_function fed_cel_time_functions[] = {
    {"timestamp", false, "s:t", fn_timestamp, FED_CEL_COST_ONE},
    {"timestamp", false, "i:t", fn_timestamp, FED_CEL_COST_ONE},
    {"timestamp", false, "t:t", fn_timestamp, FED_CEL_COST_ONE},
    {"duration", false, "s:D", fn_duration, FED_CEL_COST_TEXT},
    {"duration", false, "D:D", fn_duration, FED_CEL_COST_ONE},
    TIME_PART("getFullYear"),
    TIME_PART("getMonth"),
    TIME_PART("getDate"),
    TIME_PART("getDayOfMonth"),
    TIME_PART("getDayOfWeek"),
    TIME_PART("getDayOfYear"),
    EITHER_PART("getHours"),
    EITHER_PART("getMinutes"),
    EITHER_PART("getSeconds"),
    EITHER_PART("getMilliseconds"),
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
