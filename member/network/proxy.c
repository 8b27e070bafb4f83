/* SPDX-License-Identifier: Apache-2.0 */
#include "member/network/proxy.h"

#include "base/log.h"
#include "base/mem.h"
#include "member/network/backends.h"
#include "member/network/relay.h"
#include "member/services.h"

enum { RETRY_MS = 2000 };

struct service;
struct port { /* one port of a Service */
    char *name;
    struct mbr_backends to;
};
struct front {
    struct fed_list link;
    struct service *svc;
    size_t port; /* index into svc->ports */
    struct fed_addr addr;
    bool udp, wanted;
    struct fed_listener *listener;
    struct mbr_udp_front *udp_front;
};
struct service {
    struct mbr_proxy *px;
    char *key;
    struct port *ports;
    size_t n_ports;
    bool sticky; /* sessionAffinity: ClientIP */
    struct fed_list fronts;
};
struct mbr_proxy {
    struct mbr *m;
    struct fed_workqueue *queue;
    struct fed_recorder *events;
    struct fed_map services; /* key -> service */
};

/* The backends for a client of this port, the best first. */
static size_t pick(struct front *f, const struct fed_addr *client, struct fed_addr *out, size_t max)
{
    const struct service *s = f->svc;
    return f->port < s->n_ports ? mbr_backends_pick(&s->ports[f->port].to, s->sticky ? client : NULL, out, max) : 0;
}

static void accepted(void *ud, struct fed_stream *s)
{
    struct front *f = ud;
    struct fed_addr some[MBR_RELAY_TRIES];
    size_t n = pick(f, fed_stream_peer(s), some, MBR_RELAY_TRIES);
    mbr_relay_tcp(f->svc->px->m->loop, s, some, n);
}

static bool pick_one(void *ud, const struct fed_addr *client, struct fed_addr *out)
{
    return pick(ud, client, out, 1) == 1;
}

static void front_free(struct front *f)
{
    if (f->listener)
        fed_listener_close(f->listener);
    mbr_udp_front_close(f->udp_front);
    fed_list_remove(&f->link);
    free(f);
}

static void ports_free(struct service *s)
{
    for (size_t i = 0; i < s->n_ports; i++) {
        free(s->ports[i].name);
        mbr_backends_release(&s->ports[i].to);
    }
    free(s->ports);
    s->ports = NULL;
    s->n_ports = 0;
}

static void service_free(struct service *s)
{
    FED_LIST_EACH_SAFE(it, &s->fronts)
        front_free(fed_container_of(it, struct front, link));
    ports_free(s);
    fed_map_remove(&s->px->services, fed_str(s->key));
    free(s->key);
    free(s);
}

static void read_ports(struct service *s, const struct fed_json *spec, const struct fed_json *slices)
{
    const struct fed_json *list = fed_json_find(spec, "ports");
    struct port *old = s->ports;
    size_t n_old = s->n_ports;
    s->sticky = fed_str_is(fed_json_find_text(spec, "sessionAffinity"), "ClientIP");
    s->ports = fed_calloc((list ? list->n : 0) + 1, sizeof(*s->ports));
    s->n_ports = 0;
    FED_JSON_EACH(it, list) {
        struct port *p = &s->ports[s->n_ports];
        p->name = fed_strdup_str(fed_json_find_text(it, "name"));
        p->to.turn = s->n_ports < n_old ? old[s->n_ports].to.turn : 0;
        mbr_backends_read(&p->to, slices, p->name, fed_str_is(fed_json_find_text(it, "protocol"), "UDP"));
        s->n_ports++;
    }
    struct service gone = {.ports = old, .n_ports = n_old};
    ports_free(&gone);
}

/* Opens what is not open. A failure is worth an event only when it is not a matter of privilege. */
static bool open_front(struct front *f, struct fed_kobj *svc)
{
    struct mbr_proxy *px = f->svc->px;
    struct fed_err err = {0};
    int rc;
    if (f->listener || f->udp_front)
        return true;
    if (f->udp)
        rc = mbr_udp_front_open(px->m->loop, &f->addr, pick_one, f, &f->udp_front, &err);
    else
        rc = fed_listener_open(px->m->loop, &(struct fed_listener_conf){.addr = f->addr, .accept = accepted, .ud = f},
                               &f->listener, &err);
    if (rc < 0)
        fed_event_warning(px->events, svc, "FailedToListen", "%s", err.text);
    return rc == 0;
}

static void want(struct service *s, size_t port, const char *ip, int64_t number, bool udp)
{
    struct fed_addr addr;
    if (number <= 0 || fed_addr_parse(fed_str(ip), (uint16_t)number, &addr) < 0)
        return;
    FED_LIST_EACH(it, &s->fronts) {
        struct front *f = fed_container_of(it, struct front, link);
        if (f->udp == udp && fed_addr_equal(&f->addr, &addr)) {
            f->wanted = true;
            f->port = port;
            return;
        }
    }
    struct front *f = FED_NEW(struct front);
    f->svc = s;
    f->port = port;
    f->addr = addr;
    f->udp = udp;
    f->wanted = true;
    fed_list_push_back(&s->fronts, &f->link);
}

static void want_all(struct service *s, const struct fed_json *svc)
{
    struct mbr *m = s->px->m;
    const struct fed_json *spec = fed_json_find(svc, "spec");
    char cluster_ip[48], node_ip[16], lb_ip[48] = "";
    size_t i = 0;
    snprintf(cluster_ip, sizeof(cluster_ip), "%.*s", FED_STR_ARG(fed_json_find_text(spec, "clusterIP")));
    const struct fed_json *in = fed_json_item(fed_json_at(svc, "status", "loadBalancer", "ingress", NULL), 0);
    if (in)
        snprintf(lb_ip, sizeof(lb_ip), "%.*s", FED_STR_ARG(fed_json_find_text(in, "ip")));
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        bool udp = fed_str_is(fed_json_find_text(p, "protocol"), "UDP");
        int64_t port = fed_json_int(fed_json_find(p, "port"), 0), np = fed_json_int(fed_json_find(p, "nodePort"), 0);
        if (cluster_ip[0] && strcmp(cluster_ip, "None") != 0 &&
            (port >= 1024 || mbr_may_bind(cluster_ip, (uint16_t)port)))
            want(s, i, cluster_ip, port, udp);
        for (int64_t k = 0; np && k < m->conf->nodes; k++) {
            mbr_ip_format(mbr_part_first(m->range.x, MBR_PART_NODES) + (uint32_t)k, node_ip);
            want(s, i, node_ip, np, udp);
        }
        if (lb_ip[0])
            want(s, i, lb_ip, mbr_services_real_port(lb_ip, (uint16_t)port, (uint16_t)np), udp);
        i++;
    }
}

struct collected {
    struct fed_arena *a;
    struct fed_json *list;
};

static bool collect(void *ud, struct fed_kobj *slice)
{
    struct collected *c = ud;
    fed_json_push(c->list, fed_kobj_parse(slice, c->a));
    return true;
}

static struct fed_json *slices_of(struct mbr_proxy *px, struct fed_arena *a, struct fed_str ns, struct fed_str service)
{
    struct collected c = {a, fed_json_array(a)};
    fed_informer_each_labeled(px->m->informers[MBR_SLICES], ns, service, collect, &c);
    return c.list;
}

static void configure(struct mbr_proxy *px, const char *key)
{
    struct fed_arena a = {0};
    struct fed_str ns, name;
    mbr_key_split(fed_str(key), &ns, &name);
    struct fed_kobj *svc = mbr_find(px->m, MBR_SERVICES, ns, name);
    struct service *s = fed_map_find(&px->services, fed_str(key));
    bool all = true;
    if (!svc) {
        if (s)
            service_free(s);
        return;
    }
    if (!s) {
        s = FED_NEW(struct service);
        s->px = px;
        s->key = fed_strdup(key);
        fed_list_init(&s->fronts);
        fed_map_set(&px->services, fed_str(key), s);
    }
    struct fed_json *tree = fed_kobj_parse(svc, &a);
    FED_LIST_EACH(it, &s->fronts)
        fed_container_of(it, struct front, link)->wanted = false;
    read_ports(s, fed_json_find(tree, "spec"), slices_of(px, &a, ns, name));
    want_all(s, tree);
    FED_LIST_EACH_SAFE(it, &s->fronts)
        if (!fed_container_of(it, struct front, link)->wanted)
            front_free(fed_container_of(it, struct front, link));
    FED_LIST_EACH(it, &s->fronts)
        all = open_front(fed_container_of(it, struct front, link), svc) && all;
    if (!all)
        fed_workqueue_add_after(px->queue, fed_str(key), RETRY_MS);
    fed_arena_release(&a);
}

static void work(void *ud, const char *key)
{
    struct mbr_proxy *px = ud;
    configure(px, key);
    fed_workqueue_done(px->queue, key, 0);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_proxy *px = ud;
    const struct fed_kobj *o = now ? now : old;
    struct fed_arena a = {0};
    fed_workqueue_add(px->queue, mbr_key(&a, o->ns, o->name));
    fed_arena_release(&a);
}

static void slice_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_proxy *px = ud;
    struct fed_kobj *both[] = {old, now};
    struct fed_arena a = {0};
    for (size_t i = 0; i < 2; i++) {
        struct fed_str service = both[i] ? fed_kobj_label(both[i], MBR_SERVICE_NAME) : FED_STR("");
        if (service.n)
            fed_workqueue_add(px->queue, mbr_key(&a, both[i]->ns, service));
    }
    fed_arena_release(&a);
}

struct mbr_proxy *mbr_proxy_new(struct mbr *m)
{
    struct mbr_proxy *px = FED_NEW(struct mbr_proxy);
    px->m = m;
    px->events = fed_recorder_new(m->client, "kube-proxy", m->conf->name);
    px->queue = fed_workqueue_new(
        &(struct fed_workqueue_conf){.env = m->env, .name = "proxy", .metrics = m->metrics, .work = work, .ud = px});
    fed_informer_add_handlers(m->informers[MBR_SERVICES],
                              &(struct fed_informer_handlers){.changed = changed, .ud = px});
    fed_informer_add_handlers(m->informers[MBR_SLICES],
                              &(struct fed_informer_handlers){.changed = slice_changed, .ud = px});
    return px;
}

void mbr_proxy_free(struct mbr_proxy *px)
{
    if (!px)
        return;
    fed_workqueue_free(px->queue);
    while (fed_map_count(&px->services)) {
        struct service *s = NULL;
        FED_MAP_EACH(e, &px->services)
            s = e->value;
        service_free(s);
    }
    fed_map_release(&px->services);
    fed_recorder_free(px->events);
    free(px);
}
