/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a pod's worker share: its turn, and what its object and its neighbours say. */
#include <stdio.h>
#include <stdlib.h>

#include "member/agent/pod.h"

void mbr_pod_post(struct mbr_pod *p)
{
    if (!p->agents->closing)
        fed_task_post(p->agents->m->env, &p->task, p->task.cb);
}

const struct fed_json *mbr_container_spec(const struct fed_json *tree, const struct mbr_container *c)
{
    const char *list = c->init ? "initContainers" : c->ephemeral ? "ephemeralContainers" : "containers";
    FED_JSON_EACH(s, fed_json_at(tree, "spec", list, NULL))
        if (fed_str_is(fed_json_find_text(s, "name"), c->name))
            return s;
    return NULL;
}

uint16_t mbr_pod_real_port(const struct mbr_pod *p, uint16_t port)
{
    char key[16];
    if (!p->ports_json)
        return port;
    snprintf(key, sizeof(key), "\"%u\":", port);
    const char *at = strstr(p->ports_json, key);
    return at ? (uint16_t)strtoul(at + strlen(key), NULL, 10) : port;
}

static const struct fed_json *find_data(void *ud, enum mbr_kind kind, struct fed_str name)
{
    const struct mbr_pod *p = ((void **)ud)[0];
    struct fed_arena *a = ((void **)ud)[1];
    struct fed_kobj *o = mbr_find(p->agents->m, kind, p->obj->ns, name);
    return o ? fed_kobj_parse(o, a) : NULL;
}
static const struct fed_json *find_config_map(void *ud, struct fed_str name)
{
    return find_data(ud, MBR_CONFIGMAPS, name);
}
static const struct fed_json *find_secret(void *ud, struct fed_str name)
{
    return find_data(ud, MBR_SECRETS, name);
}

void mbr_pod_sources(struct mbr_pod *p, struct fed_arena *a, const struct fed_json *tree, struct mbr_env_sources *out)
{
    void **ud = fed_arena_alloc(a, 2 * sizeof(void *));
    ud[0] = p;
    ud[1] = a;
    *out = (struct mbr_env_sources){.a = a,
                                    .pod = tree,
                                    .pod_ip = fed_str(p->ip),
                                    .host_ip = fed_str(p->node->ip),
                                    .node_cpu_milli = p->agents->cpu_milli,
                                    .node_memory = p->agents->memory,
                                    .config_map = find_config_map,
                                    .secret = find_secret,
                                    .ud = ud};
}
