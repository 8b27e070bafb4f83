/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/loads.h"

#include <stdlib.h>

#include "base/mem.h"

struct total {
    int64_t cpu, memory, asked_cpu, asked_memory, pods;
    uint32_t *ports;
    size_t n_ports, cap_ports;
};

static void take(struct mbr_loads *own, const struct mbr_load *l)
{
    struct total *t = fed_map_find(&own->totals, fed_str(l->node));
    if (!t)
        return;
    t->cpu -= l->need.cpu_milli;
    t->memory -= l->need.memory;
    t->asked_cpu -= l->need.asked_cpu;
    t->asked_memory -= l->need.asked_memory;
    t->pods--;
    for (size_t i = 0; i < l->need.n_host_ports; i++)
        for (size_t k = 0; k < t->n_ports; k++)
            if (t->ports[k] == l->need.host_ports[i]) {
                t->ports[k] = t->ports[--t->n_ports];
                break;
            }
}

static void give(struct mbr_loads *own, const struct mbr_load *l)
{
    struct total *t = fed_map_find(&own->totals, fed_str(l->node));
    if (!t)
        fed_map_set(&own->totals, fed_str(l->node), t = FED_NEW(struct total));
    t->cpu += l->need.cpu_milli;
    t->memory += l->need.memory;
    t->asked_cpu += l->need.asked_cpu;
    t->asked_memory += l->need.asked_memory;
    t->pods++;
    for (size_t i = 0; i < l->need.n_host_ports; i++) {
        if (t->n_ports == t->cap_ports)
            t->ports = fed_realloc(t->ports, (t->cap_ports = t->cap_ports ? t->cap_ports * 2 : 8) * sizeof(*t->ports));
        t->ports[t->n_ports++] = l->need.host_ports[i];
    }
}

static void load_free(struct mbr_load *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->need.n_extras; i++)
        free((char *)l->need.extras[i].name.p);
    free(l->node);
    free(l);
}

static struct mbr_load *load_new(struct fed_str node, const struct mbr_pod_info *p)
{
    struct mbr_load *l = FED_NEW(struct mbr_load);
    l->node = fed_strdup_str(node);
    l->priority = p->priority;
    l->need = p->need;
    for (size_t i = 0; i < l->need.n_extras; i++)
        l->need.extras[i].name = fed_str(fed_strdup_str(p->need.extras[i].name));
    return l;
}

void mbr_loads_drop(struct mbr_loads *own, struct fed_str uid)
{
    struct mbr_load *l = fed_map_remove(&own->pods, uid);
    if (l)
        take(own, l);
    load_free(l);
}

void mbr_loads_set(struct mbr_loads *own, struct fed_str uid, struct fed_str node, const struct mbr_pod_info *p)
{
    struct mbr_load *l = fed_map_find(&own->pods, uid);
    mbr_loads_unname(own, uid);
    if (l && fed_str_is(node, l->node))
        return;
    mbr_loads_drop(own, uid);
    give(own, l = load_new(node, p));
    fed_map_set(&own->pods, uid, l);
}

const struct mbr_load *mbr_loads_find(const struct mbr_loads *own, struct fed_str uid)
{
    return fed_map_find(&own->pods, uid);
}

void mbr_loads_nominate(struct mbr_loads *own, struct fed_str uid, struct fed_str node, const struct mbr_pod_info *p)
{
    load_free(fed_map_set(&own->nominated, uid, load_new(node, p)));
}

void mbr_loads_unname(struct mbr_loads *own, struct fed_str uid)
{
    load_free(fed_map_remove(&own->nominated, uid));
}

static void carry_extras(struct mbr_node_state *n, const struct mbr_pod_need *load, const struct mbr_pod_need *asking,
                         int sign)
{
    for (size_t i = 0; i < asking->n_extras; i++)
        for (size_t k = 0; k < load->n_extras; k++)
            if (fed_str_eq(asking->extras[i].name, load->extras[k].name))
                n->used_extras[i] += sign * load->extras[k].n;
}

void mbr_node_carry(struct fed_arena *a, struct mbr_node_state *n, const struct mbr_pod_need *load,
                    const struct mbr_pod_need *asking, int sign)
{
    n->used_cpu += sign * load->cpu_milli;
    n->used_memory += sign * load->memory;
    n->asked_cpu += sign * load->asked_cpu;
    n->asked_memory += sign * load->asked_memory;
    n->used_pods += sign;
    carry_extras(n, load, asking, sign);
    if (!load->n_host_ports)
        return;
    uint32_t *ports = FED_ARENA_ARRAY(a, uint32_t, n->n_host_ports + load->n_host_ports);
    size_t kept = 0;
    for (size_t i = 0; i < n->n_host_ports; i++) {
        bool drop = false;
        for (size_t k = 0; k < load->n_host_ports && sign < 0; k++)
            drop = drop || n->host_ports[i] == load->host_ports[k];
        if (!drop)
            ports[kept++] = n->host_ports[i];
    }
    for (size_t k = 0; k < load->n_host_ports && sign > 0; k++)
        ports[kept++] = load->host_ports[k];
    n->host_ports = ports;
    n->n_host_ports = kept;
}

void mbr_loads_fill(const struct mbr_loads *own, struct fed_arena *a, struct mbr_node_state *n, struct fed_str uid,
                    const struct mbr_pod_need *need, int64_t priority)
{
    const struct total *t = fed_map_find(&own->totals, n->name);
    if (t) {
        n->used_cpu = t->cpu;
        n->used_memory = t->memory;
        n->asked_cpu = t->asked_cpu;
        n->asked_memory = t->asked_memory;
        n->used_pods = t->pods;
        n->host_ports = t->ports;
        n->n_host_ports = t->n_ports;
    }
    if (need->n_extras)
        FED_MAP_EACH(e, &own->pods) {
            const struct mbr_load *l = e->value;
            if (fed_str_is(n->name, l->node))
                carry_extras(n, &l->need, need, 1);
        }
    FED_MAP_EACH(e, &own->nominated) {
        const struct mbr_load *l = e->value;
        if (l->priority >= priority && fed_str_is(n->name, l->node) && !fed_str_eq(e->key, uid))
            mbr_node_carry(a, n, &l->need, need, 1);
    }
}

void mbr_loads_release(struct mbr_loads *own)
{
    FED_MAP_EACH(e, &own->pods)
        load_free(e->value);
    FED_MAP_EACH(e, &own->nominated)
        load_free(e->value);
    FED_MAP_EACH(e, &own->totals) {
        free(((struct total *)e->value)->ports);
        free(e->value);
    }
    fed_map_release(&own->pods);
    fed_map_release(&own->nominated);
    fed_map_release(&own->totals);
}
