/* SPDX-License-Identifier: Apache-2.0 */
/* The time zone database of this machine. */
#include "base/buf.h"
#include "base/file.h"
#include "kube/cron.h"

#define ZONES     "/usr/share/zoneinfo"
#define FILE_SIZE (256u * 1024)

static bool is_utc(struct fed_str name)
{
    return fed_str_is(name, "UTC") || fed_str_is(name, "Etc/UTC");
}

int fed_zone_read(struct fed_arena *a, struct fed_str name, struct fed_zone *out, struct fed_err *err)
{
    struct fed_buf file;
    *out = (struct fed_zone){0};
    if (is_utc(name))
        return 0;
    if (!fed_cron_zone_ok(name))
        return fed_err_set(err, FED_E_NOT_FOUND, "unknown time zone %.*s", FED_STR_ARG(name));
    fed_buf_init(&file, FILE_SIZE);
    int rc = fed_file_read(fed_arena_printf(a, ZONES "/%.*s", FED_STR_ARG(name)).p, FILE_SIZE, &file, err);
    if (rc == 0)
        rc = fed_zone_parse(a, fed_buf_str(&file), out, err);
    fed_buf_release(&file);
    return rc;
}

bool fed_zone_known(struct fed_arena *a, struct fed_str name)
{
    struct fed_file_stamp stamp;
    struct fed_zone zone;
    if (!is_utc(name) && !fed_file_stamp(ZONES, &stamp))
        return fed_cron_zone_ok(name); /* no database: whoever runs the job may have one */
    return fed_zone_read(a, name, &zone, NULL) == 0;
}
