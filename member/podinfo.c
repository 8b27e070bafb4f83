/* SPDX-License-Identifier: Apache-2.0 */
#include "member/podinfo.h"

#include "base/mem.h"
#include "kube/quantity.h"
#include "member/controllers/peers.h"

struct mbr_pods {
    struct mbr *m;
    struct fed_map by_uid;
};

static void info_free(struct mbr_pod_info *i)
{
    if (i)
        fed_arena_release(&i->arena);
    free(i);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_pods *p = ud;
    if (!now)
        info_free(fed_map_remove(&p->by_uid, old->uid));
}

struct mbr_pods *mbr_pods_new(struct mbr *m)
{
    struct mbr_pods *p = FED_NEW(struct mbr_pods);
    p->m = m;
    fed_informer_add_handlers(m->informers[MBR_PODS], &(struct fed_informer_handlers){.changed = changed, .ud = p});
    return p;
}

void mbr_pods_free(struct mbr_pods *p)
{
    if (!p)
        return;
    FED_MAP_EACH(e, &p->by_uid)
        info_free(e->value);
    fed_map_release(&p->by_uid);
    free(p);
}

static int64_t quantity(const struct fed_json *v, bool milli)
{
    int64_t n = 0;
    struct fed_str s = v && v->type == FED_JSON_NUMBER ? v->s : fed_json_str(v);
    if (!s.p || (milli ? fed_quantity_milli(s, &n) : fed_quantity_units(s, &n)) < 0)
        return 0;
    return n;
}

static void read_ports(struct mbr_pod_info *i, const struct fed_json *container, const struct fed_json *real)
{
    FED_JSON_EACH(p, fed_json_find(container, "ports")) {
        if (i->n_ports == MBR_POD_PORTS)
            return;
        char key[8];
        struct mbr_pod_port *to = &i->ports[i->n_ports++];
        to->name = fed_json_find_text(p, "name");
        to->protocol = fed_json_find_text(p, "protocol");
        if (!to->protocol.n)
            to->protocol = FED_STR("TCP");
        to->port = (uint16_t)fed_json_int(fed_json_find(p, "containerPort"), 0);
        to->host = (uint16_t)fed_json_int(fed_json_find(p, "hostPort"), 0);
        if (i->host_network && !to->host)
            to->host = to->port;
        snprintf(key, sizeof(key), "%u", to->port);
        to->real = (uint16_t)fed_json_int(fed_json_find(real, key), to->port);
    }
}

/* --- what it takes of its node --- */

enum { ASKS_CPU = 100, ASKS_MEMORY = 200 << 20 }; /* for choosing a node, of a container that asks for nothing */

static void add_extra(struct mbr_pod_need *to, struct fed_str name, int64_t n, bool most)
{
    size_t i = 0;
    while (i < to->n_extras && !fed_str_eq(to->extras[i].name, name))
        i++;
    if (i == MBR_POD_EXTRAS)
        return;
    if (i == to->n_extras)
        to->extras[to->n_extras++] = (struct mbr_extra){name, 0};
    to->extras[i].n = most ? FED_MAX(to->extras[i].n, n) : to->extras[i].n + n;
}

static void add_requests(struct mbr_pod_need *to, const struct fed_json *requests)
{
    const struct fed_json *cpu = fed_json_find(requests, "cpu"), *memory = fed_json_find(requests, "memory");
    to->cpu_milli += quantity(cpu, true);
    to->memory += quantity(memory, false);
    to->asked_cpu += cpu ? quantity(cpu, true) : ASKS_CPU;
    to->asked_memory += memory ? quantity(memory, false) : ASKS_MEMORY;
    FED_JSON_EACH(r, requests)
        if (r != cpu && r != memory)
            add_extra(to, r->key, quantity(r, false), false);
}

static void at_least(struct mbr_pod_need *to, const struct mbr_pod_need *n)
{
    to->cpu_milli = FED_MAX(to->cpu_milli, n->cpu_milli);
    to->memory = FED_MAX(to->memory, n->memory);
    to->asked_cpu = FED_MAX(to->asked_cpu, n->asked_cpu);
    to->asked_memory = FED_MAX(to->asked_memory, n->asked_memory);
    for (size_t i = 0; i < n->n_extras; i++)
        add_extra(to, n->extras[i].name, n->extras[i].n, true);
}

/* The containers together, or the hungriest moment before them; sidecars (init containers that go on) count in both. */
static void read_need(struct mbr_pod_info *i, const struct fed_json *spec)
{
    struct mbr_pod_need sidecars = {0}, start = {0};
    FED_JSON_EACH(c, fed_json_find(spec, "initContainers")) {
        struct mbr_pod_need now = sidecars;
        const struct fed_json *requests = fed_json_at(c, "resources", "requests", NULL);
        add_requests(&now, requests);
        at_least(&start, &now);
        if (fed_str_is(fed_json_find_text(c, "restartPolicy"), "Always"))
            sidecars = now;
    }
    i->need = sidecars;
    FED_JSON_EACH(c, fed_json_find(spec, "containers"))
        add_requests(&i->need, fed_json_at(c, "resources", "requests", NULL));
    at_least(&i->need, &start);
    const struct fed_json *overhead = fed_json_find(spec, "overhead");
    i->need.cpu_milli += quantity(fed_json_find(overhead, "cpu"), true);
    i->need.memory += quantity(fed_json_find(overhead, "memory"), false);
    for (size_t k = 0; k < i->n_ports; k++)
        if (i->ports[k].host)
            i->need.host_ports[i->need.n_host_ports++] =
                i->ports[k].host + (fed_str_is(i->ports[k].protocol, "UDP") ? 65536u : 0);
}

static void read_spec(struct mbr_pod_info *i, const struct fed_json *pod)
{
    const struct fed_json *spec = fed_json_find(pod, "spec");
    struct fed_json *real = NULL;
    struct fed_str text = fed_obj_annotation(pod, "member.hansa.io/ports");
    if (text.p && fed_json_parse(&i->arena, fed_arena_dup(&i->arena, text), NULL, &real, NULL) < 0)
        real = NULL;
    i->node = fed_json_find_text(spec, "nodeName");
    i->scheduler = fed_json_find_text(spec, "schedulerName");
    i->hostname = fed_json_find_text(spec, "hostname");
    i->subdomain = fed_json_find_text(spec, "subdomain");
    i->host_network = fed_json_bool(fed_json_find(spec, "hostNetwork"), false);
    i->priority = fed_json_int(fed_json_find(spec, "priority"), 0);
    const struct fed_json *gates = fed_json_find(spec, "schedulingGates");
    i->gated = gates && gates->n;
    i->speaks = mbr_speaks_of_pods(fed_json_find(spec, "affinity"));
    FED_JSON_EACH(c, fed_json_find(spec, "containers"))
        read_ports(i, c, real);
    read_need(i, spec);
}

void mbr_pod_info_read(struct mbr_pod_info *i, const struct fed_json *pod)
{
    const struct fed_json *status = fed_json_find(pod, "status"), *ready = fed_obj_condition(status, "Ready");
    read_spec(i, pod);
    i->ip = fed_json_find_text(status, "podIP");
    i->phase = fed_json_find_text(status, "phase");
    i->ended = fed_str_is(i->phase, "Succeeded") || fed_str_is(i->phase, "Failed");
    i->deleting = fed_json_at(pod, "metadata", "deletionTimestamp", NULL) != NULL;
    i->ready = fed_str_is(fed_json_find_text(ready, "status"), "True");
    if (fed_time_parse(fed_json_str(fed_json_at(pod, "metadata", "creationTimestamp", NULL)), &i->created_ms) < 0)
        i->created_ms = 0;
    if (!i->ready || fed_time_parse(fed_json_find_text(ready, "lastTransitionTime"), &i->ready_ms) < 0)
        i->ready_ms = 0;
    FED_JSON_EACH(c, fed_json_find(status, "containerStatuses"))
        i->restarts += fed_json_int(fed_json_find(c, "restartCount"), 0);
}

struct mbr_victim mbr_pod_victim(const struct mbr_pod_info *p, struct fed_kobj *pod)
{
    return (struct mbr_victim){.assigned = p->node.n,
                               .running = fed_str_is(p->phase, "Running"),
                               .ready = p->ready,
                               .ready_ms = p->ready_ms,
                               .restarts = p->restarts,
                               .created_ms = p->created_ms,
                               .pod = pod};
}

const struct mbr_pod_info *mbr_pod_info_get(struct mbr *m, const struct fed_kobj *pod)
{
    struct mbr_pod_info *i = fed_map_find(&m->pods->by_uid, pod->uid);
    if (i && i->rev == pod->rev)
        return i;
    if (i)
        fed_arena_release(&i->arena);
    else
        fed_map_set(&m->pods->by_uid, pod->uid, i = FED_NEW(struct mbr_pod_info));
    /* The tree is not kept: what is needed is copied, and the tree is ten times its text. */
    struct fed_arena a = {0};
    struct mbr_pod_info fresh = {.rev = pod->rev};
    mbr_pod_info_read(&fresh, fed_kobj_parse(pod, &a));
    struct fed_str *slices[] = {&fresh.node,      &fresh.ip,       &fresh.phase,
                                &fresh.scheduler, &fresh.hostname, &fresh.subdomain};
    struct fed_arena keep = {0};
    for (size_t k = 0; k < FED_ARRAY_LEN(slices); k++)
        *slices[k] = fed_arena_dup(&keep, *slices[k]);
    for (size_t k = 0; k < fresh.n_ports; k++) {
        fresh.ports[k].name = fed_arena_dup(&keep, fresh.ports[k].name);
        fresh.ports[k].protocol = fed_arena_dup(&keep, fresh.ports[k].protocol);
    }
    for (size_t k = 0; k < fresh.need.n_extras; k++)
        fresh.need.extras[k].name = fed_arena_dup(&keep, fresh.need.extras[k].name);
    fed_arena_release(&fresh.arena);
    fed_arena_release(&a);
    fresh.arena = keep;
    *i = fresh;
    return i;
}
