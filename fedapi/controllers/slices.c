/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/slices.h"

#include "kube/obj.h"

#define MAX_ENDPOINTS 1000 /* of one EndpointSlice, as Kubernetes limits it */

struct fed_str fapi_service_type(const struct fed_json *service)
{
    const struct fed_json *spec = fed_json_find(service, "spec");
    struct fed_str type = fed_json_find_text(spec, "type");
    if (type.n && !fed_str_is(type, "ClusterIP"))
        return type;
    if (fed_str_is(fed_json_find_text(spec, "clusterIP"), "None"))
        return FED_STR("Headless");
    return FED_STR("ClusterIP");
}

static const char *address_type(struct fed_str address)
{
    if (fed_str_chr(address, ':', 0) >= 0)
        return "IPv6";
    for (size_t i = 0; i < address.n; i++)
        if ((address.p[i] < '0' || address.p[i] > '9') && address.p[i] != '.')
            return "FQDN";
    return "IPv4";
}

static bool endpoint_ready(const struct fed_json *endpoint)
{
    /* Absent means ready (discovery.k8s.io/v1 EndpointConditions). */
    return fed_json_bool(fed_json_at(endpoint, "conditions", "ready", NULL), true);
}

static int64_t count_ready(const struct fapi_slices_in *in)
{
    int64_t n = 0;
    for (size_t i = 0; i < in->n_slices; i++)
        FED_JSON_EACH(e, fed_json_find(in->slices[i], "endpoints"))
            n += endpoint_ready(e);
    return n;
}

/* A slice without endpoints and ports. */
static struct fed_json *new_slice(struct fed_arena *a, const struct fapi_slices_in *in, const char *suffix,
                                  const char *scope, const char *type)
{
    struct fed_str service = fed_obj_name(in->hub_service);
    struct fed_str name = fed_arena_printf(a, "%.*s-%.*s%s", FED_STR_ARG(service), FED_STR_ARG(in->cluster), suffix);
    struct fed_json *o = fed_obj_new(a, "discovery.k8s.io/v1", "EndpointSlice", fed_obj_ns(in->hub_service), name);
    fed_obj_set_label(a, o, FAPI_LABEL_SERVICE, service);
    fed_obj_set_label(a, o, FAPI_LABEL_CLUSTER, in->cluster);
    fed_obj_set_label(a, o, FAPI_LABEL_MANAGED_BY, FED_STR(FAPI_SLICES_MANAGER));
    fed_obj_set_label(a, o, FAPI_LABEL_SCOPE, fed_str(scope));
    fed_json_set(o, "addressType", fed_json_new_strz(a, type));
    fed_json_ensure_array(a, o, "endpoints");
    fed_json_ensure_array(a, o, "ports");
    return o;
}

static struct fed_json *add_endpoint(struct fed_arena *a, struct fed_json *slice, struct fed_str address, bool ready,
                                     struct fed_str zone)
{
    struct fed_json *e = fed_json_push(fed_json_find(slice, "endpoints"), fed_json_object(a));
    fed_json_push(fed_json_ensure_array(a, e, "addresses"), fed_json_new_str(a, address));
    fed_json_set(fed_json_ensure_object(a, e, "conditions"), "ready", fed_json_new_bool(a, ready));
    if (zone.n)
        fed_json_set(e, "zone", fed_json_new_str(a, zone));
    return e;
}

static void add_port(struct fed_arena *a, struct fed_json *slice, struct fed_str name, struct fed_str protocol,
                     int64_t port, struct fed_str app_protocol)
{
    struct fed_json *p = fed_json_push(fed_json_find(slice, "ports"), fed_json_object(a));
    fed_json_set(p, "name", fed_json_new_str(a, name.p ? name : FED_STR("")));
    fed_json_set(p, "protocol", fed_json_new_str(a, protocol.n ? protocol : FED_STR("TCP")));
    fed_json_set(p, "port", fed_json_new_int(a, port));
    if (app_protocol.n)
        fed_json_set(p, "appProtocol", fed_json_new_str(a, app_protocol));
}

/* The port that a load balancer really listens on for the Service's port: a member whose platform could not bind it
 * says so in an annotation. */
static int64_t real_port(struct fed_arena *a, const struct fed_json *service, int64_t port)
{
    struct fed_str text = fed_obj_annotation(service, "member.hansa.io/load-balancer-ports");
    struct fed_json *map;
    char key[16];
    if (!text.n || fed_json_parse(a, text, NULL, &map, NULL) != 0)
        return port;
    snprintf(key, sizeof(key), "%lld", (long long)port);
    return fed_json_int(fed_json_find(map, key), port);
}

/* Names of ports -> the Service's own numbers. */
static void note_numbers(struct fed_arena *a, struct fed_json *slice, const struct fed_json *numbers)
{
    fed_obj_set_annotation(a, slice, "federation.hansa.io/service-ports", fed_json_text(a, numbers));
}

/* Ports of the global slice, and the annotation that maps their names back to the Service's numbers. */
static bool set_service_ports(struct fed_arena *a, const struct fapi_slices_in *in, struct fed_json *slice,
                              struct fed_str type)
{
    struct fed_json *numbers = fed_json_object(a);
    FED_JSON_EACH(p, fed_json_at(in->service, "spec", "ports", NULL)) {
        int64_t number = fed_json_int(fed_json_find(p, "port"), 0), port = number;
        struct fed_str name = fed_json_find_text(p, "name");
        if (fed_str_is(type, "NodePort"))
            port = fed_json_int(fed_json_find(p, "nodePort"), 0);
        else if (fed_str_is(type, "LoadBalancer"))
            port = real_port(a, in->service, number);
        if (port <= 0)
            continue;
        add_port(a, slice, name, fed_json_find_text(p, "protocol"), port, fed_json_find_text(p, "appProtocol"));
        fed_json_set_str(numbers, name.p ? name : FED_STR(""), fed_json_new_int(a, number));
    }
    note_numbers(a, slice, numbers);
    return fed_json_find(slice, "ports")->n > 0;
}

/* The global slices are collected by address type, one object each. */
struct global {
    struct fed_arena *a;
    const struct fapi_slices_in *in;
    struct fed_str type;
    bool ready;
    struct fed_json *v4, *v6, *fqdn;
};

static void add_global(struct global *g, struct fed_str address, struct fed_str zone)
{
    const char *type = address_type(address);
    struct fed_json **slot = type[0] == 'F' ? &g->fqdn : type[3] == '6' ? &g->v6 : &g->v4;
    const char *suffix = type[0] == 'F' ? "-fqdn" : type[3] == '6' ? "-ipv6" : "";
    if (!*slot)
        *slot = new_slice(g->a, g->in, suffix, "global", type);
    if (fed_json_find(*slot, "endpoints")->n < MAX_ENDPOINTS)
        add_endpoint(g->a, *slot, address, g->ready, zone);
}

static struct fed_str node_zone(const struct fed_json *node)
{
    struct fed_str zone = fed_obj_label(node, "topology.kubernetes.io/zone");
    return zone.n ? zone : fed_obj_label(node, "failure-domain.beta.kubernetes.io/zone");
}

static struct fed_str node_address(const struct fed_json *node, const char *type)
{
    FED_JSON_EACH(addr, fed_json_at(node, "status", "addresses", NULL))
        if (fed_str_is(fed_json_find_text(addr, "type"), type))
            return fed_json_find_text(addr, "address");
    return (struct fed_str){0};
}

static bool node_is_ready(const struct fed_json *node)
{
    const struct fed_json *c = fed_obj_condition(fed_json_find(node, "status"), "Ready");
    return fed_str_is(fed_json_find_text(c, "status"), "True");
}

static void from_load_balancer(struct global *g)
{
    FED_JSON_EACH(in, fed_json_at(g->in->service, "status", "loadBalancer", "ingress", NULL)) {
        struct fed_str ip = fed_json_find_text(in, "ip"), host = fed_json_find_text(in, "hostname");
        if (ip.n || host.n)
            add_global(g, ip.n ? ip : host, (struct fed_str){0});
    }
}

static void from_nodes(struct global *g)
{
    for (size_t i = 0; i < g->in->n_nodes; i++) {
        const struct fed_json *node = g->in->nodes[i];
        struct fed_str address = node_address(node, "ExternalIP");
        if (!address.n)
            address = node_address(node, "InternalIP");
        if (address.n && node_is_ready(node))
            add_global(g, address, node_zone(node));
    }
}

/* Host-network pods of a headless Service stand on node addresses; pod addresses never leave their cluster. */
static void from_host_pods(struct global *g)
{
    for (size_t i = 0; i < g->in->n_slices; i++) {
        FED_JSON_EACH(e, fed_json_find(g->in->slices[i], "endpoints")) {
            struct fed_str address = fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0));
            for (size_t n = 0; endpoint_ready(e) && n < g->in->n_nodes; n++)
                if (fed_str_eq(node_address(g->in->nodes[n], "InternalIP"), address)) {
                    add_global(g, address, node_zone(g->in->nodes[n]));
                    break;
                }
        }
    }
}

/* A headless Service's real ports are those of its pods. */
static bool set_pod_ports(struct fed_arena *a, const struct fapi_slices_in *in, struct fed_json *slice)
{
    struct fed_json *to = fed_json_find(slice, "ports");
    for (size_t i = 0; i < in->n_slices && to->n == 0; i++)
        FED_JSON_EACH(p, fed_json_find(in->slices[i], "ports"))
            add_port(a, slice, fed_json_find_text(p, "name"), fed_json_find_text(p, "protocol"),
                     fed_json_int(fed_json_find(p, "port"), 0), fed_json_find_text(p, "appProtocol"));
    return to->n > 0;
}

static void finish_global(struct global *g, struct fed_json *slice, int64_t ready, struct fed_json *out)
{
    if (!slice)
        return;
    fed_obj_set_annotation(g->a, slice, "federation.hansa.io/ready", fed_arena_printf(g->a, "%lld", (long long)ready));
    bool usable = set_service_ports(g->a, g->in, slice, g->type);
    if (fed_str_is(g->type, "Headless")) {
        fed_json_replace(fed_json_find(slice, "ports"), fed_json_array(g->a));
        usable = set_pod_ports(g->a, g->in, slice);
    }
    if (usable)
        fed_json_push(out, slice);
}

static void build_local(struct fed_arena *a, const struct fapi_slices_in *in, struct fed_json *out)
{
    for (size_t i = 0; i < in->n_slices; i++) {
        const char *suffix = fed_arena_printf(a, "-local-%zu", i).p;
        struct fed_str type = fed_json_find_text(in->slices[i], "addressType");
        struct fed_json *slice = new_slice(a, in, suffix, "local", type.n ? fed_arena_dupz(a, type) : "IPv4");
        FED_JSON_EACH(e, fed_json_find(in->slices[i], "endpoints")) {
            struct fed_str address = fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0));
            if (address.n && endpoint_ready(e) && fed_json_find(slice, "endpoints")->n < MAX_ENDPOINTS)
                add_endpoint(a, slice, address, true, fed_json_find_text(e, "zone"));
        }
        FED_JSON_EACH(p, fed_json_find(in->slices[i], "ports"))
            add_port(a, slice, fed_json_find_text(p, "name"), fed_json_find_text(p, "protocol"),
                     fed_json_int(fed_json_find(p, "port"), 0), fed_json_find_text(p, "appProtocol"));
        struct fed_json *numbers = fed_json_object(a);
        FED_JSON_EACH(p, fed_json_at(in->service, "spec", "ports", NULL)) {
            struct fed_str name = fed_json_find_text(p, "name");
            fed_json_set_str(numbers, name.p ? name : FED_STR(""),
                             fed_json_new_int(a, fed_json_int(fed_json_find(p, "port"), 0)));
        }
        note_numbers(a, slice, numbers);
        if (fed_json_find(slice, "endpoints")->n)
            fed_json_push(out, slice);
    }
}

void fapi_slices_build(struct fed_arena *a, const struct fapi_slices_in *in, struct fed_json *out)
{
    int64_t ready = count_ready(in);
    struct global g = {.a = a, .in = in, .type = fapi_service_type(in->service), .ready = ready > 0};
    if (fed_str_is(g.type, "LoadBalancer"))
        from_load_balancer(&g);
    else if (fed_str_is(g.type, "NodePort"))
        from_nodes(&g);
    else if (fed_str_is(g.type, "Headless"))
        from_host_pods(&g);
    finish_global(&g, g.v4, ready, out);
    finish_global(&g, g.v6, ready, out);
    finish_global(&g, g.fqdn, ready, out);
    build_local(a, in, out);
}

struct fed_json *fapi_service_import(struct fed_arena *a, const struct fed_json *hub_service,
                                     const struct fed_str *clusters, size_t n)
{
    struct fed_str type = fapi_service_type(hub_service), name = fed_obj_name(hub_service);
    struct fed_json *o =
        fed_obj_new(a, "multicluster.x-k8s.io/v1alpha1", "ServiceImport", fed_obj_ns(hub_service), name);
    fed_obj_set_label(a, o, FAPI_LABEL_SERVICE, name);
    fed_obj_set_annotation(a, o, "federation.hansa.io/service-type", type);
    struct fed_json *spec = fed_json_ensure_object(a, o, "spec");
    fed_json_set(spec, "type", fed_json_new_strz(a, fed_str_is(type, "Headless") ? "Headless" : "ClusterSetIP"));
    struct fed_json *ports = fed_json_ensure_array(a, spec, "ports");
    FED_JSON_EACH(p, fed_json_at(hub_service, "spec", "ports", NULL)) {
        struct fed_json *to = fed_json_push(ports, fed_json_object(a));
        struct fed_str port_name = fed_json_find_text(p, "name"), protocol = fed_json_find_text(p, "protocol");
        if (port_name.n)
            fed_json_set(to, "name", fed_json_new_str(a, port_name));
        fed_json_set(to, "protocol", fed_json_new_str(a, protocol.n ? protocol : FED_STR("TCP")));
        fed_json_set(to, "port", fed_json_new_int(a, fed_json_int(fed_json_find(p, "port"), 0)));
    }
    struct fed_json *status = fed_json_ensure_object(a, o, "status");
    struct fed_json *list = fed_json_ensure_array(a, status, "clusters");
    for (size_t i = 0; i < n; i++)
        fed_json_set(fed_json_push(list, fed_json_object(a)), "cluster", fed_json_new_str(a, clusters[i]));
    return o;
}

static void add_addresses(struct fed_arena *a, const struct fed_json *slice, struct fed_json *item)
{
    const char *key = fed_str_is(fed_json_find_text(slice, "addressType"), "FQDN") ? "hostname" : "ip";
    FED_JSON_EACH(e, fed_json_find(slice, "endpoints")) {
        const struct fed_json *ready = fed_json_at(e, "conditions", "ready", NULL);
        if (ready && !fed_json_bool(ready, true))
            continue;
        FED_JSON_EACH(address, fed_json_find(e, "addresses")) {
            struct fed_json *items = fed_json_find(item, "items");
            if (items->type != FED_JSON_ARRAY)
                items = fed_json_set(item, "items", fed_json_array(a));
            fed_json_set(fed_json_push(items, fed_json_object(a)), key, fed_json_copy(a, address));
        }
    }
}

static struct fed_json *item_of(struct fed_arena *a, struct fed_json *items, struct fed_str cluster)
{
    FED_JSON_EACH(have, items)
        if (fed_str_eq(fed_json_find_text(have, "cluster"), cluster))
            return have;
    struct fed_json *item = fed_json_push(items, fed_json_object(a));
    fed_json_set(item, "cluster", fed_json_new_str(a, cluster));
    fed_json_set(item, "items", fed_json_null(a));
    return item;
}

struct fed_str fapi_service_ingresses(struct fed_arena *a, const struct fed_json *hub_service,
                                      const struct fed_json *const *slices, size_t n)
{
    struct fed_json *root = fed_json_object(a), *items = fed_json_set(root, "items", fed_json_array(a));
    if (!fed_str_is(fapi_service_type(hub_service), "LoadBalancer"))
        return (struct fed_str){0};
    for (size_t i = 0; i < n; i++) {
        struct fed_str cluster = fed_obj_label(slices[i], FAPI_LABEL_CLUSTER);
        if (!fed_str_is(fed_obj_label(slices[i], FAPI_LABEL_SCOPE), "global"))
            continue;
        add_addresses(a, slices[i], item_of(a, items, cluster));
    }
    return items->n ? fed_json_text(a, root) : (struct fed_str){0};
}
