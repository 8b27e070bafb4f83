/* SPDX-License-Identifier: Apache-2.0 */
/* API objects to parts (docs/internals/traffic-objects.md). Objects come from a server that validated them, but nothing
 * here relies on it: what has the wrong form is left out. */
#include "base/env.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "traffic/geo.h"
#include "traffic/parts.h"

#define MAX_ENDPOINTS 1000
#define MAX_PORTS     100
#define MAX_ZONES     64
#define MAX_RULES     1000
#define MAX_PATHS     1000
#define MAX_HOSTS     1000

void *fed_part_new(size_t size, void (*drop)(struct fed_part *part))
{
    struct fed_arena a = {0};
    struct fed_part *p = fed_arena_zalloc(&a, size);
    p->refs = 1;
    p->arena = a;
    p->drop = drop;
    return p;
}

void *fed_part_ref(void *part)
{
    ((struct fed_part *)part)->refs++;
    return part;
}

void fed_part_unref(void *part)
{
    struct fed_part *p = part;
    if (!p || --p->refs > 0)
        return;
    if (p->drop)
        p->drop(p);
    struct fed_arena a = p->arena; /* the part itself lies in it */
    fed_arena_release(&a);
}

static uint32_t bounded(const struct fed_json *arr, uint32_t max)
{
    return !arr || arr->type != FED_JSON_ARRAY ? 0 : FED_MIN(arr->n, max);
}

static struct fed_str dup_text(struct fed_arena *a, const struct fed_json *obj, const char *key)
{
    struct fed_str s = fed_json_find_text(obj, key);
    return s.p ? fed_arena_dup(a, s) : (struct fed_str){"", 0};
}

static struct fed_str dup_lower(struct fed_arena *a, struct fed_str s)
{
    while (s.n && s.p[s.n - 1] == '.')
        s.n--;
    char *z = fed_arena_dupz(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (z[i] >= 'A' && z[i] <= 'Z')
            z[i] = (char)(z[i] + 'a' - 'A');
    return fed_str_n(z, s.n);
}

/* What the operator said at join comes before what the nodes' labels tell, which is gone with an Offline cluster. */
static void parse_place(const struct fed_kobj *o, const struct fed_json *status, struct fed_cluster *c,
                        struct fed_arena *a)
{
    struct fed_str region = fed_kobj_annotation(o, "federation.hansa.io/region");
    struct fed_str zone = fed_kobj_annotation(o, "federation.hansa.io/zone");
    c->region = region.n ? fed_arena_dup(a, region) : dup_text(a, status, "region");
    const struct fed_json *zones = fed_json_find(status, "zones");
    uint32_t n = bounded(zones, MAX_ZONES);
    struct fed_str *list = FED_ARENA_ARRAY(a, struct fed_str, n + 2);
    if (zone.n)
        list[c->n_zones++] = fed_arena_dup(a, zone);
    for (uint32_t i = 0; i < n; i++) {
        struct fed_str z = fed_json_str(fed_json_item(zones, i));
        if (z.n && !fed_str_eq(z, zone))
            list[c->n_zones++] = fed_arena_dup(a, z);
    }
    c->zones = list;
    if (!fed_geo_parse_coordinates(fed_kobj_annotation(o, "federation.hansa.io/coordinates"), &c->latitude,
                                   &c->longitude)) {
        c->has_place = true;
        fed_geo_xyz(c->latitude, c->longitude, c->xyz);
    }
}

struct fed_cluster_part *fed_parse_cluster(struct fed_targets *t, const struct fed_kobj *o)
{
    uint16_t slot = fed_targets_slot(t, o->name);
    if (slot == FED_NO_CLUSTER || o->deleting)
        return NULL;
    struct fed_cluster_part *p = fed_part_new(sizeof(*p), NULL);
    struct fed_arena *a = &p->part.arena, tmp = {0};
    struct fed_cluster *c = &p->c;
    const struct fed_json *status = fed_json_find(fed_kobj_parse(o, &tmp), "status");
    c->name = fed_arena_dup(a, o->name);
    c->slot = slot;
    c->health = fed_targets_cluster_word(t, slot);
    parse_place(o, status, c, a);
    const struct fed_json *ready = fed_obj_condition(status, "Ready"), *off = fed_obj_condition(status, "Offline");
    c->ready = fed_str_is(fed_json_find_text(ready, "status"), "True");
    c->offline = fed_str_is(fed_json_find_text(off, "status"), "True") ||
                 fed_str_is(fed_json_find_text(ready, "status"), "False");
    c->cordoned = fed_str_is(fed_kobj_annotation(o, "federation.hansa.io/cordoned"), "true");
    fed_arena_release(&tmp);
    return p;
}

static enum fed_transport_proto parse_proto(struct fed_str s)
{
    return fed_str_is(s, "UDP") ? FED_PROTO_UDP : fed_str_is(s, "SCTP") ? FED_PROTO_SCTP : FED_PROTO_TCP;
}

static struct fed_service_port *parse_ports(struct fed_arena *a, const struct fed_json *ports, bool real, size_t *n)
{
    uint32_t count = bounded(ports, MAX_PORTS);
    struct fed_service_port *list = FED_ARENA_ARRAY(a, struct fed_service_port, count + 1);
    *n = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct fed_json *p = fed_json_item(ports, i);
        int64_t port = fed_json_int(fed_json_find(p, "port"), 0);
        if (port < 1 || port > 65535)
            continue;
        struct fed_service_port *to = &list[(*n)++];
        to->name = dup_text(a, p, "name");
        to->proto = parse_proto(fed_json_find_text(p, "protocol"));
        to->app_protocol = dup_text(a, p, "appProtocol");
        to->port = (uint16_t)port;
        to->real = real ? (uint16_t)port : 0;
    }
    return list;
}

static enum fed_service_type parse_type(struct fed_str s)
{
    static const char *const names[] = {"ClusterIP", "NodePort", "LoadBalancer", "Headless", "ExternalName"};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_is(s, names[i]))
            return (enum fed_service_type)i;
    return FED_SERVICE_CLUSTER_IP;
}

static uint16_t *parse_import_clusters(struct fed_targets *t, struct fed_arena *a, const struct fed_json *list,
                                       size_t *n)
{
    uint16_t *slots = FED_ARENA_ARRAY(a, uint16_t, FED_MIN(list ? list->n : 0, (uint32_t)FED_MAX_CLUSTERS) + 1);
    *n = 0;
    FED_JSON_EACH(c, list) {
        uint16_t slot = fed_targets_slot(t, fed_json_find_text(c, "cluster"));
        if (slot != FED_NO_CLUSTER && *n < FED_MAX_CLUSTERS)
            slots[(*n)++] = slot;
    }
    return slots;
}

struct fed_import_part *fed_parse_import(struct fed_targets *t, const struct fed_kobj *o)
{
    if (o->deleting)
        return NULL;
    struct fed_import_part *p = fed_part_new(sizeof(*p), NULL);
    struct fed_arena tmp = {0};
    const struct fed_json *root = fed_kobj_parse(o, &tmp), *spec = fed_json_find(root, "spec");
    p->clusters = parse_import_clusters(t, &p->part.arena, fed_json_find(fed_json_find(root, "status"), "clusters"),
                                        &p->n_clusters);
    p->type = parse_type(fed_kobj_annotation(o, "federation.hansa.io/service-type"));
    p->ports = parse_ports(&p->part.arena, fed_json_find(spec, "ports"), false, &p->n_ports);
    fed_arena_release(&tmp);
    return p;
}

/* Annotation service-ports: {"http":80}: the Service's port of each port name. */
static void apply_service_ports(const struct fed_kobj *o, struct fed_arena *tmp, struct fed_slice_part *p)
{
    struct fed_json *map = NULL;
    struct fed_str text = fed_kobj_annotation(o, "federation.hansa.io/service-ports");
    if (!text.n || fed_json_parse(tmp, text, NULL, &map, NULL))
        return;
    for (size_t i = 0; i < p->n_ports; i++) {
        int64_t port = fed_json_int(fed_json_find_str(map, p->ports[i].name), 0);
        if (port > 0 && port <= 65535)
            p->ports[i].port = (uint16_t)port;
    }
}

static void parse_endpoints(struct fed_slice_part *p, const struct fed_json *eps, bool fqdn)
{
    struct fed_arena *a = &p->part.arena;
    uint32_t n = bounded(eps, MAX_ENDPOINTS);
    p->endpoints = FED_ARENA_ARRAY(a, struct fed_endpoint, MAX_ENDPOINTS < n ? MAX_ENDPOINTS : n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct fed_json *e = fed_json_item(eps, i);
        /* Addresses of one endpoint are interchangeable; the first is the one to use. */
        struct fed_str address = fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0));
        struct fed_endpoint *to = &p->endpoints[p->n_endpoints];
        if (fqdn && address.n && address.n <= 253)
            to->hostname = dup_lower(a, address);
        else if (fqdn || fed_addr_parse(address, 0, &to->addr))
            continue;
        if (fqdn)
            to->addr.sa.sa_family = AF_UNSPEC;
        to->zone = dup_text(a, e, "zone");
        /* Absent means ready (EndpointConditions in discovery/v1). */
        to->ready = fed_json_bool(fed_json_at(e, "conditions", "ready", NULL), true);
        p->n_endpoints++;
    }
}

struct fed_slice_part *fed_parse_slice(struct fed_targets *t, const struct fed_kobj *o)
{
    struct fed_str service = fed_kobj_label(o, "multicluster.kubernetes.io/service-name");
    struct fed_str cluster = fed_kobj_label(o, "multicluster.kubernetes.io/source-cluster");
    uint16_t slot = cluster.n ? fed_targets_slot(t, cluster) : FED_NO_CLUSTER;
    if (!service.n || slot == FED_NO_CLUSTER || o->deleting)
        return NULL;
    struct fed_slice_part *p = fed_part_new(sizeof(*p), NULL);
    struct fed_arena *a = &p->part.arena, tmp = {0};
    const struct fed_json *obj = fed_kobj_parse(o, &tmp);
    uint64_t pods;
    p->ns = fed_arena_dup(a, o->ns);
    p->service = fed_arena_dup(a, service);
    p->name = fed_arena_dup(a, o->name);
    p->cluster = slot;
    p->local = fed_str_is(fed_kobj_label(o, "federation.hansa.io/scope"), "local");
    p->ready_pods = fed_str_u64(fed_kobj_annotation(o, "federation.hansa.io/ready"), &pods) || pods > INT32_MAX
                        ? -1
                        : (int32_t)pods;
    p->ports = parse_ports(a, fed_json_find(obj, "ports"), true, &p->n_ports);
    apply_service_ports(o, &tmp, p);
    parse_endpoints(p, fed_json_find(obj, "endpoints"), fed_str_is(fed_json_find_text(obj, "addressType"), "FQDN"));
    fed_arena_release(&tmp);
    return p;
}

static struct fed_ingress_backend parse_backend(struct fed_arena *a, const struct fed_json *b)
{
    const struct fed_json *svc = fed_json_find(b, "service"), *port = fed_json_find(svc, "port");
    int64_t number = fed_json_int(fed_json_find(port, "number"), 0);
    return (struct fed_ingress_backend){
        .service = dup_text(a, svc, "name"),
        .port_name = dup_text(a, port, "name"),
        .port = number > 0 && number <= 65535 ? (uint16_t)number : 0,
    };
}

static void parse_rule(struct fed_arena *a, const struct fed_json *r, struct fed_ingress_rule *to)
{
    const struct fed_json *paths = fed_json_at(r, "http", "paths", NULL);
    uint32_t n = bounded(paths, MAX_PATHS);
    struct fed_ingress_path *list = FED_ARENA_ARRAY(a, struct fed_ingress_path, n + 1);
    to->host = dup_lower(a, fed_json_find_text(r, "host"));
    for (uint32_t i = 0; i < n; i++) {
        const struct fed_json *p = fed_json_item(paths, i);
        struct fed_str type = fed_json_find_text(p, "pathType");
        list[i].path = dup_text(a, p, "path");
        list[i].type = fed_str_is(type, "Exact")    ? FED_PATH_EXACT
                       : fed_str_is(type, "Prefix") ? FED_PATH_PREFIX
                                                    : FED_PATH_IMPLEMENTATION;
        list[i].backend = parse_backend(a, fed_json_find(p, "backend"));
    }
    to->paths = list;
    to->n_paths = n;
}

static void parse_ingress_tls(struct fed_arena *a, const struct fed_json *tls, struct fed_ingress *out)
{
    uint32_t n = bounded(tls, MAX_RULES);
    struct fed_ingress_tls *list = FED_ARENA_ARRAY(a, struct fed_ingress_tls, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct fed_json *t = fed_json_item(tls, i), *hosts = fed_json_find(t, "hosts");
        uint32_t n_hosts = bounded(hosts, MAX_HOSTS);
        struct fed_str *names = FED_ARENA_ARRAY(a, struct fed_str, n_hosts + 1);
        for (uint32_t h = 0; h < n_hosts; h++)
            names[h] = dup_lower(a, fed_json_str(fed_json_item(hosts, h)));
        list[i] = (struct fed_ingress_tls){names, n_hosts, dup_text(a, t, "secretName")};
    }
    out->tls = list;
    out->n_tls = n;
}

struct fed_ingress_part *fed_parse_ingress(const struct fed_kobj *o)
{
    if (o->deleting)
        return NULL;
    struct fed_ingress_part *p = fed_part_new(sizeof(*p), NULL);
    struct fed_arena *a = &p->part.arena, tmp = {0};
    struct fed_ingress *out = &p->i;
    const struct fed_json *obj = fed_kobj_parse(o, &tmp), *spec = fed_json_find(obj, "spec");
    out->ns = fed_arena_dup(a, o->ns);
    out->name = fed_arena_dup(a, o->name);
    out->class_name = dup_text(a, spec, "ingressClassName");
    if (!out->class_name.n)
        out->class_name = fed_arena_dup(a, fed_kobj_annotation(o, "kubernetes.io/ingress.class"));
    if (fed_time_parse(fed_json_find_text(fed_json_find(obj, "metadata"), "creationTimestamp"), &out->created_ms))
        out->created_ms = 0;
    out->fallback = parse_backend(a, fed_json_find(spec, "defaultBackend"));
    const struct fed_json *rules = fed_json_find(spec, "rules");
    uint32_t n = bounded(rules, MAX_RULES);
    struct fed_ingress_rule *list = FED_ARENA_ARRAY(a, struct fed_ingress_rule, n + 1);
    for (uint32_t i = 0; i < n; i++)
        parse_rule(a, fed_json_item(rules, i), &list[i]);
    out->rules = list;
    out->n_rules = n;
    parse_ingress_tls(a, fed_json_find(spec, "tls"), out);
    struct fed_kv *kv = FED_ARENA_ARRAY(a, struct fed_kv, o->n_annotations + 1);
    for (size_t i = 0; i < o->n_annotations; i++)
        kv[i] = (struct fed_kv){fed_arena_dup(a, o->annotations[i].key), fed_arena_dup(a, o->annotations[i].value)};
    out->annotations = kv;
    out->n_annotations = o->n_annotations;
    fed_arena_release(&tmp);
    return p;
}

struct fed_secret_part *fed_parse_secret(const struct fed_kobj *o)
{
    struct fed_arena tmp = {0};
    const struct fed_json *obj = fed_kobj_parse(o, &tmp), *data = fed_json_find(obj, "data");
    struct fed_secret_part *p = NULL;
    struct fed_str crt = fed_json_find_text(data, "tls.crt"), key = fed_json_find_text(data, "tls.key");
    if (fed_str_is(fed_json_find_text(obj, "type"), "kubernetes.io/tls") && crt.n && key.n && !o->deleting) {
        p = fed_part_new(sizeof(*p), NULL);
        p->s.ns = fed_arena_dup(&p->part.arena, o->ns);
        p->s.name = fed_arena_dup(&p->part.arena, o->name);
        p->s.rev = o->rev;
        if (fed_base64_decode(&p->part.arena, crt, &p->s.cert_pem) ||
            fed_base64_decode(&p->part.arena, key, &p->s.key_pem)) {
            fed_part_unref(p);
            p = NULL;
        }
    }
    fed_arena_release(&tmp);
    return p;
}
