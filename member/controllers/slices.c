/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/slices.h"

#include "kube/obj.h"

#define MANAGED_BY "endpointslice.kubernetes.io/managed-by"

struct fed_str mbr_triggered(struct fed_arena *a, int64_t ms)
{
    char text[21];
    fed_time_format(ms, text);
    return fed_arena_dup(a, fed_str(text));
}

void mbr_slice_put(struct mbr_job *job, const struct fed_kobj *owner, const struct mbr_slice *s)
{
    static const char *const keys[] = {"endpoints", "ports", NULL};
    struct fed_arena *a = &job->arena;
    struct fed_json *o = fed_obj_new(a, "discovery.k8s.io/v1", "EndpointSlice", owner->ns, s->name);
    fed_json_set(s->labels, MBR_SERVICE_NAME, fed_json_new_str(a, owner->name));
    fed_json_set(s->labels, MANAGED_BY, fed_json_new_strz(a, s->manager));
    fed_json_set(fed_obj_metadata(a, o), "labels", s->labels);
    fed_json_set(fed_obj_metadata(a, o), "generateName", fed_json_new_strf(a, "%.*s-", FED_STR_ARG(owner->name)));
    if (s->triggered_ms)
        fed_obj_set_annotation(a, o, MBR_TRIGGERED, mbr_triggered(a, s->triggered_ms));
    fed_obj_set_controller(a, o, owner);
    fed_json_set(o, "addressType", fed_json_new_strz(a, s->address_type));
    fed_json_set(o, "endpoints", s->endpoints);
    fed_json_set(o, "ports", s->ports);
    mbr_job_put(job, MBR_SLICES, o, keys);
}

bool mbr_slice_is_of(const struct fed_kobj *slice, const char *manager)
{
    return fed_str_is(fed_kobj_label(slice, MANAGED_BY), manager);
}

void mbr_slice_enqueue(struct mbr_ctl *c, const struct fed_kobj *slice, const char *manager)
{
    struct fed_str service = fed_kobj_label(slice, MBR_SERVICE_NAME);
    if (service.n && mbr_slice_is_of(slice, manager))
        mbr_ctl_add(c, slice->ns, service);
}
