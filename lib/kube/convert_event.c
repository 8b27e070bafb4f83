/* SPDX-License-Identifier: Apache-2.0 */
/* convert_event.c: core/v1 Event (stored) and events.k8s.io/v1 Event: the same facts under other names. */
#include "kube/convert.h"

static const struct {
    const char *core, *events;
} names[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

int fed_convert_event(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                      const struct fed_kind_version *to, struct fed_err *err)
{
    bool to_core = to == fed_kind_storage(to->kind);

    (void)ud;
    (void)a;
    (void)from;
    (void)err;
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++) {
        struct fed_json *v = fed_json_find(obj, to_core ? names[i].events : names[i].core);

        if (!v)
            continue;
        fed_json_remove(v);
        if (!to_core && v->type == FED_JSON_STRING && !v->s.n)
            continue; /* what one always writes, the other leaves out */
        fed_json_set(obj, to_core ? names[i].core : names[i].events, v);
    }
    return 0;
}
