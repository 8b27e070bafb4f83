/* SPDX-License-Identifier: Apache-2.0 */
/* cron.h: when a schedule fires, in a time zone, and zones. Pure but for cron_files.c.
 *
 * Grammar: "minute hour day month weekday" with `*`, `?`, lists, ranges, steps ("0-30/5", "10/20" = from 10 on) and
 *          names (jan…dec, sun…sat; weekday 0–6, 0 = Sunday); where neither day nor weekday begins with `*`, one that matches
 *          suffices. @yearly @annually @monthly @weekly @daily @midnight @hourly, and "@every 1h30m".
 * Zones:   TZif files (RFC 9636). An hour that a zone skips does not fire; one that it repeats fires twice.
 */
#ifndef FED_KUBE_CRON_H
#define FED_KUBE_CRON_H

#include "base/arena.h"
#include "base/err.h"

struct fed_cron {
    uint64_t minutes, hours, days, months, weekdays; /* bit per value */
    bool any_day, any_weekday;                       /* given as `*` or `?` */
    int64_t every_s;                                 /* "@every": all else is unused */
};
FED_MUST_USE int fed_cron_parse(struct fed_str text, struct fed_cron *out, struct fed_err *err);

struct
    fed_zone_rule { /* a change of each year: weekday `day` of week `week` (5: the last) of `month`, or a day number */
    char form;      /* 'M', 'J' (1–365, no leap day) or 'N' (0–365) */
    int month, week, day;
    int64_t second; /* local, since midnight */
};
struct fed_zone { /* zero: UTC */
    struct {
        int64_t at; /* from this second on */
        int32_t offset;
    } * changes;
    size_t n;
    int32_t first;            /* before all changes */
    bool has_rule, has_dst;   /* after them */
    int32_t standard, summer; /* offsets, east positive */
    struct fed_zone_rule begin, end;
};
/* Reads a TZif file's bytes. FED_E_SYNTAX. */
FED_MUST_USE int fed_zone_parse(struct fed_arena *a, struct fed_str file, struct fed_zone *out, struct fed_err *err);
/* A name of the time zone database that is safe as a path. */
bool fed_cron_zone_ok(struct fed_str name);
/* Of this machine's database (cron_files.c; reads a small file). */
FED_MUST_USE int fed_zone_read(struct fed_arena *a, struct fed_str name, struct fed_zone *out, struct fed_err *err);
bool fed_zone_known(struct fed_arena *a,
                    struct fed_str name); /* true also of any good name where there is no database */
/* Seconds east of UTC at a second since 1970. */
int32_t fed_zone_offset(const struct fed_zone *z, int64_t t);

/* The first second after `after` at which it fires, or -1 (never within five years). */
int64_t fed_cron_next(const struct fed_cron *c, const struct fed_zone *z, int64_t after);
/* The last second in (after, now] at which it fired, or -1; *missed counts those of the span, up to 101. */
int64_t fed_cron_last(const struct fed_cron *c, const struct fed_zone *z, int64_t after, int64_t now, int *missed);

#endif
