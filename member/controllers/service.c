/* SPDX-License-Identifier: Apache-2.0 */
/* Services of type LoadBalancer get an address of our range; every Service whose ports may not be bound says on which
 * ports it is served instead. And the Service `kubernetes` in default, the API's own, is kept. */
#include "member/controllers/controllers.h"
#include "member/services.h"

#define PORTS "member.hansa.io/load-balancer-ports"

static struct fed_json *ingress_of(struct fed_arena *a, const char *ip, const struct fed_json *spec,
                                   struct fed_buf *moved)
{
    struct fed_json *in = fed_json_object(a), *ports = fed_json_array(a);
    fed_json_set(in, "ip", fed_json_new_strf(a, "%s", ip));
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        uint16_t port = (uint16_t)fed_json_int(fed_json_find(p, "port"), 0);
        uint16_t real = mbr_services_real_port(ip, port, (uint16_t)fed_json_int(fed_json_find(p, "nodePort"), 0));
        struct fed_str proto = fed_json_find_text(p, "protocol");
        struct fed_json *o = fed_json_push(ports, fed_json_object(a));
        fed_json_set(o, "port", fed_json_new_int(a, real));
        fed_json_set(o, "protocol", fed_json_new_str(a, proto.n ? proto : FED_STR("TCP")));
        if (real != port)
            fed_buf_addf(moved, "%s\"%u\":%u", moved->n ? "," : "{", port, real);
    }
    if (moved->n) {
        fed_buf_addc(moved, '}');
        fed_json_set(in, "ports", ports);
    }
    return in;
}

static void set_ports_annotation(struct mbr_ctl *c, struct mbr_job *job, struct fed_kobj *svc, struct fed_str want)
{
    struct fed_arena *a = &job->arena;
    struct fed_str have = fed_kobj_annotation(svc, PORTS);
    if (have.n == want.n && (!want.n || fed_str_eq(have, want)))
        return;
    struct fed_json *patch = fed_json_object(a);
    fed_obj_set_annotation(a, patch, PORTS, want);
    if (!want.n)
        fed_json_set(fed_json_at(patch, "metadata", "annotations", NULL), PORTS, fed_json_null(a));
    mbr_job_merge(job, MBR_SERVICES, svc->ns, svc->name, "", patch);
    if (want.n)
        fed_event_warning(c->events, svc, "PortMoved",
                          "ports below 1024 may not be bound here; served on these node ports instead: %.*s",
                          FED_STR_ARG(want));
}

static void balance(struct mbr_ctl *c, struct mbr_job *job, struct fed_kobj *svc, const struct fed_json *tree)
{
    struct fed_arena *a = &job->arena;
    const struct fed_json *spec = fed_json_find(tree, "spec");
    const struct fed_json *now = fed_json_at(tree, "status", "loadBalancer", "ingress", NULL);
    struct fed_json *status = fed_json_object(a), *lb = fed_json_object(a);
    struct fed_str had = fed_json_find_text(fed_json_item(now, 0), "ip"),
                   want = fed_json_find_text(spec, "loadBalancerIP");
    struct fed_buf moved = {0};
    char ip[16];
    if (fed_str_is(fed_json_find_text(spec, "type"), "LoadBalancer")) {
        if (!mbr_services_balancer(c->m->services, fed_str(job->key), had.n ? had : want, ip)) {
            fed_event_warning(c->events, svc, "SyncLoadBalancerFailed", "no load balancer address is free");
            return;
        }
        struct fed_json *list = fed_json_array(a);
        fed_json_push(list, ingress_of(a, ip, spec, &moved));
        fed_json_set(lb, "ingress", list);
        set_ports_annotation(c, job, svc, fed_arena_dup(a, fed_buf_str(&moved)));
        if (now && fed_json_equal(now, list))
            goto out;
        if (!had.n)
            fed_event_normal(c->events, svc, "EnsuredLoadBalancer", "Ensured load balancer at %s", ip);
    } else {
        if (!had.n)
            goto out;
        mbr_services_drop_balancer(c->m->services, fed_str(job->key), had);
        set_ports_annotation(c, job, svc, FED_STR(""));
        fed_json_set(lb, "ingress", fed_json_null(a));
    }
    fed_json_set(status, "loadBalancer", lb);
    mbr_job_merge_status(job, MBR_SERVICES, svc, status);
out:
    fed_buf_release(&moved);
}

static void make_kubernetes(struct mbr_ctl *c, struct mbr_job *job)
{
    struct fed_arena *a = &job->arena;
    struct fed_json *svc = fed_obj_new(a, "v1", "Service", FED_STR("default"), FED_STR("kubernetes"));
    struct fed_json *spec = fed_json_object(a), *port = fed_json_object(a);
    fed_obj_set_label(a, svc, "component", FED_STR("apiserver"));
    fed_obj_set_label(a, svc, "provider", FED_STR("kubernetes"));
    fed_json_set(port, "name", fed_json_new_strz(a, "https"));
    fed_json_set(port, "port", fed_json_new_int(a, 443));
    fed_json_set(port, "protocol", fed_json_new_strz(a, "TCP"));
    fed_json_set(port, "targetPort", fed_json_new_int(a, c->m->range.api_port));
    fed_json_push(fed_json_ensure_array(a, spec, "ports"), port);
    fed_json_set(svc, "spec", spec);
    mbr_job_create(job, MBR_SERVICES, FED_STR("default"), svc);
}

static void keep_kubernetes_endpoints(struct mbr_ctl *c, struct mbr_job *job)
{
    struct fed_arena *a = &job->arena;
    struct fed_kobj *have = mbr_find(c->m, MBR_ENDPOINTS, FED_STR("default"), FED_STR("kubernetes"));
    struct fed_json *ep =
        have ? fed_kobj_parse(have, a) : fed_obj_new(a, "v1", "Endpoints", FED_STR("default"), FED_STR("kubernetes"));
    struct fed_json *subsets = fed_json_array(a), *s = fed_json_object(a), *address = fed_json_object(a),
                    *port = fed_json_object(a);
    fed_json_set(address, "ip", fed_json_new_strz(a, c->m->range.api_ip));
    fed_json_set(port, "name", fed_json_new_strz(a, "https"));
    fed_json_set(port, "port", fed_json_new_int(a, c->m->range.api_port));
    fed_json_set(port, "protocol", fed_json_new_strz(a, "TCP"));
    fed_json_push(fed_json_ensure_array(a, s, "addresses"), address);
    fed_json_push(fed_json_ensure_array(a, s, "ports"), port);
    fed_json_push(subsets, s);
    const struct fed_json *now = fed_json_find(ep, "subsets");
    if (now && fed_json_equal(now, subsets))
        return;
    fed_json_set(ep, "subsets", subsets);
    if (have)
        mbr_job_update(job, MBR_ENDPOINTS, ep, "");
    else
        mbr_job_create(job, MBR_ENDPOINTS, FED_STR("default"), ep);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct fed_kobj *svc = mbr_find(c->m, MBR_SERVICES, ns, name);
    if (fed_str_is(ns, "default") && fed_str_is(name, "kubernetes")) {
        if (!svc)
            make_kubernetes(c, job);
        keep_kubernetes_endpoints(c, job);
    } else if (svc && !svc->deleting) {
        balance(c, job, svc, fed_kobj_parse(svc, &job->arena));
    }
    mbr_job_end(job, 0);
}

void mbr_service_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "service-controller", reconcile);
    mbr_ctl_watch(c, MBR_SERVICES, mbr_ctl_enqueue_self);
    mbr_ctl_add(c, FED_STR("default"), FED_STR("kubernetes"));
}
