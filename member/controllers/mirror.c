/* SPDX-License-Identifier: Apache-2.0 */
/* EndpointSlices of the Endpoints that users write for Services without a selector: the proxy reads slices only. What the
 * endpoints controller makes has slices of its own. Labels and exceptions are those of Kubernetes' mirroring. */
#include "kube/names.h"
#include "member/controllers/controllers.h"
#include "member/controllers/slices.h"

#define MANAGER     "endpointslicemirroring-controller.k8s.io"
#define SKIP        "endpointslice.kubernetes.io/skip-mirror"
#define LEADER      "control-plane.alpha.kubernetes.io/leader" /* Endpoints that are a lock */
#define MAX_SUBSETS 32

struct work {
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    const struct fed_json *labels;
    struct fed_json *keep; /* names of the slices that shall be there */
};

static bool mirrored(const struct mbr *m, struct fed_kobj *endpoints, const struct fed_json *tree, struct fed_arena *a)
{
    struct fed_kobj *service = mbr_find(m, MBR_SERVICES, endpoints->ns, endpoints->name);
    const struct fed_json *spec = service ? fed_json_find(fed_kobj_parse(service, a), "spec") : NULL;
    const struct fed_json *selector = fed_json_find(spec, "selector");
    return spec && (!selector || !selector->n) && !fed_str_is(fed_kobj_label(endpoints, SKIP), "true") &&
           !fed_json_at(tree, "metadata", "annotations", LEADER, NULL);
}

static struct fed_json *labels_of(struct work *w)
{
    struct fed_json *l = w->labels ? fed_json_copy(w->a, w->labels) : fed_json_object(w->a);
    fed_json_remove_key(l, MBR_ENDPOINTS_BY); /* of a Service that had a selector once */
    return l;
}

static void add_endpoints(struct work *w, struct fed_json *list, const struct fed_json *addresses, bool v6, bool ready)
{
    static const char *const same[] = {"hostname", "nodeName", "targetRef"};
    FED_JSON_EACH(from, addresses) {
        struct fed_str ip = fed_json_find_text(from, "ip");
        if ((fed_str_find(ip, FED_STR(":"), 0) >= 0) != v6)
            continue;
        struct fed_json *e = fed_json_push(list, fed_json_object(w->a)), *ips = fed_json_array(w->a),
                        *c = fed_json_object(w->a);
        fed_json_push(ips, fed_json_new_str(w->a, ip));
        fed_json_set(e, "addresses", ips);
        fed_json_set(c, "ready", fed_json_new_bool(w->a, ready));
        fed_json_set(e, "conditions", c);
        for (size_t i = 0; i < FED_ARRAY_LEN(same); i++)
            if (fed_json_find(from, same[i]))
                fed_json_set(e, same[i], fed_json_copy(w->a, fed_json_find(from, same[i])));
    }
}

/* A slice names each port, if with nothing. */
static struct fed_json *ports_of(struct work *w, const struct fed_json *subset)
{
    struct fed_json *ports = fed_json_array(w->a);
    FED_JSON_EACH(from, fed_json_find(subset, "ports")) {
        struct fed_json *p = fed_json_push(ports, fed_json_copy(w->a, from));
        if (!fed_json_find(p, "name"))
            fed_json_set(p, "name", fed_json_new_strz(w->a, ""));
    }
    return ports;
}

static void put_slice(struct work *w, const struct fed_json *subset, size_t i, bool v6)
{
    struct fed_json *list = fed_json_array(w->a);
    struct fed_str name;
    char hash[11];
    add_endpoints(w, list, fed_json_find(subset, "addresses"), v6, true);
    add_endpoints(w, list, fed_json_find(subset, "notReadyAddresses"), v6, false);
    if (!list->n)
        return;
    fed_name_hash(fed_arena_printf(w->a, "%.*s/%zu/%d", FED_STR_ARG(w->obj->uid), i, v6), hash);
    name = fed_arena_printf(w->a, "%.*s-%.5s", FED_STR_ARG(fed_str_head(w->obj->name, 57)), hash);
    fed_json_set_str(w->keep, name, fed_json_new_bool(w->a, true));
    mbr_slice_put(w->job, w->obj,
                  &(struct mbr_slice){name, MANAGER, v6 ? "IPv6" : "IPv4", labels_of(w), list, ports_of(w, subset), 0});
}

static bool drop_other(void *ud, struct fed_kobj *slice)
{
    struct work *w = ud;
    if (mbr_slice_is_of(slice, MANAGER) && !fed_json_find_str(w->keep, slice->name))
        mbr_job_delete(w->job, MBR_SLICES, slice);
    return true;
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.job = job, .a = &job->arena, .keep = fed_json_object(&job->arena)};
    w.obj = mbr_find(c->m, MBR_ENDPOINTS, ns, name);
    struct fed_json *tree = w.obj ? fed_kobj_parse(w.obj, w.a) : NULL;
    if (w.obj && mirrored(c->m, w.obj, tree, w.a)) {
        size_t i = 0;
        w.labels = fed_json_at(tree, "metadata", "labels", NULL);
        FED_JSON_EACH(subset, fed_json_find(tree, "subsets")) {
            if (i == MAX_SUBSETS)
                break;
            put_slice(&w, subset, i, false);
            put_slice(&w, subset, i++, true);
        }
    }
    fed_informer_each_labeled(c->m->informers[MBR_SLICES], ns, name, drop_other, &w);
    mbr_job_end(job, 0);
}

static void slice_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    mbr_slice_enqueue(ctl, now ? now : old, MANAGER);
}

void mbr_mirror_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "endpointslicemirroring-controller", reconcile);
    mbr_ctl_watch(c, MBR_ENDPOINTS, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_SERVICES, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_SLICES, slice_changed);
}
