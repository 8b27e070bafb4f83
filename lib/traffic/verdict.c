/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/verdict.h"

enum fed_use fed_verdict(const struct fed_verdict_in *in)
{
    bool heard = in->target == FED_HEALTH_UP || (in->target == FED_HEALTH_UNKNOWN && in->cluster == FED_HEALTH_UP);
    if (!in->joined)
        return FED_USE_NEVER;
    if (in->cluster == FED_HEALTH_DOWN || in->target == FED_HEALTH_DOWN)
        return FED_USE_NO;
    if (!in->endpoint_ready)
        return in->control_stale && in->target == FED_HEALTH_UP ? FED_USE_DOUBT : FED_USE_NO;
    if (in->offline && !(in->control_stale && heard))
        return FED_USE_DOUBT;
    return in->cordoned ? FED_USE_DRAIN : FED_USE_YES;
}

const char *fed_use_name(enum fed_use use)
{
    static const char *const names[] = {"yes", "drain", "doubt", "no", "never"};
    return (unsigned)use < FED_ARRAY_LEN(names) ? names[use] : "?";
}
