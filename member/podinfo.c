/* SPDX-License-Identifier: Apache-2.0 */
#include "member/podinfo.h"

#include "base/mem.h"
#include "kube/quantity.h"

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

static void read_spec(struct mbr_pod_info *i, const struct fed_json *pod)
{
    const struct fed_json *spec = fed_json_find(pod, "spec");
    struct fed_json *real = NULL;
    struct fed_str text = fed_obj_annotation(pod, "member.hansa.io/ports");
    if (text.p && fed_json_parse(&i->arena, fed_arena_dup(&i->arena, text), NULL, &real, NULL) < 0)
        real = NULL;
    i->node = fed_json_find_text(spec, "nodeName");
    i->scheduler = fed_json_find_text(spec, "schedulerName");
    i->host_network = fed_json_bool(fed_json_find(spec, "hostNetwork"), false);
    FED_JSON_EACH(c, fed_json_find(spec, "containers")) {
        const struct fed_json *req = fed_json_at(c, "resources", "requests", NULL);
        i->cpu_milli += quantity(fed_json_find(req, "cpu"), true);
        i->memory += quantity(fed_json_find(req, "memory"), false);
        read_ports(i, c, real);
    }
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
    struct fed_str *slices[] = {&fresh.node, &fresh.ip, &fresh.phase, &fresh.scheduler};
    struct fed_arena keep = {0};
    for (size_t k = 0; k < FED_ARRAY_LEN(slices); k++)
        *slices[k] = fed_arena_dup(&keep, *slices[k]);
    for (size_t k = 0; k < fresh.n_ports; k++) {
        fresh.ports[k].name = fed_arena_dup(&keep, fresh.ports[k].name);
        fresh.ports[k].protocol = fed_arena_dup(&keep, fresh.ports[k].protocol);
    }
    fed_arena_release(&fresh.arena);
    fed_arena_release(&a);
    fresh.arena = keep;
    *i = fresh;
    return i;
}

uint64_t mbr_tree_hash(const struct fed_json *v)
{
    uint64_t h = (uint64_t)v->type * UINT64_C(0x9e3779b97f4a7c15);
    if (v->type == FED_JSON_BOOL)
        return h + v->boolean;
    if (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER)
        return fed_str_hash(v->s, h);
    FED_JSON_EACH(c, v) {
        uint64_t k = mbr_tree_hash(c);
        h = v->type == FED_JSON_OBJECT ? h + fed_str_hash(c->key, k) : fed_str_hash((struct fed_str){(char *)&k, 8}, h);
    }
    return h;
}
