/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.h: core/v1 Events about objects, aggregated: the same (object, reason, message) within ten minutes updates
 * count and lastTimestamp of one Event; from the tenth message of one (object, reason) on there is one Event for the rest,
 * which shows the last of them; at most 25 in a burst and one each 5 s after that per object. Fire and forget.
 */
#ifndef FED_KUBE_RECORDER_H
#define FED_KUBE_RECORDER_H

#include "kube/client.h"

struct fed_recorder;
struct fed_recorder *fed_recorder_new(struct fed_transport *t, const char *component, const char *host);
void fed_recorder_free(struct fed_recorder *r);
void fed_event_normal(struct fed_recorder *r, const struct fed_kobj *about, const char *reason, const char *fmt, ...)
    FED_PRINTF(4, 5);
void fed_event_warning(struct fed_recorder *r, const struct fed_kobj *about, const char *reason, const char *fmt, ...)
    FED_PRINTF(4, 5);

#endif
