/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules of CronJobs, files of the time zone database, times: a schedule that is read fires after the time it was asked for.
 *
 * Input: the first line is a schedule, and the rest a TZif file. */
#include <stdint.h>

#include "base/env.h"
#include "kube/cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str rest = {(const char *)data, size}, line;
    struct fed_arena a = {0};
    struct fed_cron c;
    struct fed_zone z = {0};
    struct fed_err err = {0};
    int64_t ms, now = 1700000000;
    int missed;
    if (!fed_str_cut(&rest, '\n', &line))
        return 0;
    (void)!fed_time_parse(line, &ms);
    (void)fed_cron_zone_ok(line);
    if (rest.p && fed_zone_parse(&a, rest, &z, &err))
        z = (struct fed_zone){0};
    for (int64_t t = -5000000000; t <= 5000000000; t += 1234567890) {
        int32_t offset = fed_zone_offset(&z, t);
        FED_REQUIRE(offset > -360000 && offset < 360000);
    }
    if (fed_cron_parse(line, &c, &err) == 0) {
        int64_t next = fed_cron_next(&c, &z, now);
        FED_REQUIRE(next == -1 || next > now);
        int64_t last = fed_cron_last(&c, &z, now - 86400, now, &missed);
        FED_REQUIRE((last == -1 || (last > now - 86400 && last <= now)) && missed >= 0 && missed <= 101);
    }
    fed_arena_release(&a);
    return 0;
}
