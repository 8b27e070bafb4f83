/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler sees for one pod. */
#include "base/mem.h"
#include "kube/quantity.h"
#include "member/controllers/sched.h"

static int64_t allocatable(const struct fed_json *list, const char *what, bool milli)
{
    int64_t v = 0;
    struct fed_str s = fed_json_find_text(list, what);
    return s.p && (milli ? fed_quantity_milli(s, &v) : fed_quantity_units(s, &v)) == 0 ? v : 0;
}

static bool add_node(void *ud, struct fed_kobj *obj)
{
    struct mbr_sched_pod *w = ud;
    struct fed_json *node = fed_kobj_parse(obj, w->a), *status = fed_json_find(node, "status");
    const struct fed_json *list = fed_json_find(status, "allocatable");
    struct mbr_node_state *n = &w->nodes[w->n_nodes++];
    *n = (struct mbr_node_state){
        .name = obj->name,
        .ready = fed_str_is(fed_json_find_text(fed_obj_condition(status, "Ready"), "status"), "True"),
        .cordoned = obj->deleting || fed_json_bool(fed_json_at(node, "spec", "unschedulable", NULL), false),
        .cpu_milli = allocatable(list, "cpu", true),
        .memory = allocatable(list, "memory", false),
        .pods = allocatable(list, "pods", false),
        .allocatable = list,
        .labels = obj->labels,
        .n_labels = obj->n_labels,
        .taints = fed_json_at(node, "spec", "taints", NULL),
    };
    mbr_loads_fill(&w->own->loads, w->a, n, w->pod->uid, &w->need, w->info->priority);
    fed_map_set(&w->places, n->name, (void *)(uintptr_t)w->n_nodes);
    return true;
}

static bool add_peer(void *ud, struct fed_kobj *pod)
{
    struct mbr_sched_pod *w = ud;
    const struct mbr_load *load = mbr_loads_find(&w->own->loads, pod->uid);
    size_t at = load ? (uintptr_t)fed_map_find(&w->places, fed_str(load->node)) : 0;
    if (!at)
        return true;
    const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, pod);
    w->pods[w->n_list] = pod;
    w->lessers[w->n_list] =
        (struct mbr_lesser){.load = &load->need, .priority = load->priority, .since_ms = p->created_ms};
    struct mbr_peer *x = &w->list[w->n_list++];
    *x = (struct mbr_peer){
        .ns = pod->ns, .labels = pod->labels, .n_labels = pod->n_labels, .node = at - 1, .deleting = pod->deleting};
    if (p->speaks)
        x->affinity = fed_json_at(fed_kobj_parse(pod, w->a), "spec", "affinity", NULL);
    return true;
}

static bool add_namespace(void *ud, struct fed_kobj *ns)
{
    struct mbr_sched_pod *w = ud;
    ((struct fed_kobj **)w->peers.namespaces)[w->peers.n_namespaces++] = ns;
    return true;
}

void mbr_sched_list(struct mbr_sched_pod *w)
{
    struct fed_informer *pods = w->c->m->informers[MBR_PODS], *spaces = w->c->m->informers[MBR_NAMESPACES];
    if (w->listed)
        return;
    w->listed = true;
    size_t room = fed_informer_count(pods) + 1;
    w->list = FED_ARENA_ARRAY(w->a, struct mbr_peer, room);
    w->lessers = FED_ARENA_ARRAY(w->a, struct mbr_lesser, room);
    w->pods = FED_ARENA_ARRAY(w->a, struct fed_kobj *, room);
    fed_informer_each(pods, FED_STR(""), add_peer, w);
    w->peers.list = w->list;
    w->peers.n = w->n_list;
    w->peers.namespaces = FED_ARENA_ARRAY(w->a, struct fed_kobj *, fed_informer_count(spaces) + 1);
    fed_informer_each(spaces, FED_STR(""), add_namespace, w);
}

/* How many pods of the same owner each node has. */
static int64_t *count_siblings(struct mbr_sched_pod *w)
{
    const struct fed_owner *o = fed_kobj_controller(w->pod);
    int64_t *counts = FED_ARENA_ARRAY(w->a, int64_t, w->n_nodes + 1);
    size_t n = 0;
    if (!o)
        return counts;
    struct fed_kobj owner = {.uid = o->uid};
    struct fed_kobj **list = mbr_owned(w->c->m, w->a, MBR_PODS, &owner, &n);
    for (size_t i = 0; i < n; i++) {
        const struct mbr_load *load = mbr_loads_find(&w->own->loads, list[i]->uid);
        size_t at = load && !list[i]->deleting ? (uintptr_t)fed_map_find(&w->places, fed_str(load->node)) : 0;
        if (at)
            counts[at - 1]++;
    }
    return counts;
}

void mbr_sched_look(struct mbr_sched_pod *w)
{
    struct fed_informer *nodes = w->c->m->informers[MBR_NODES];
    size_t room = fed_informer_count(nodes) + 1;
    w->need = w->info->need;
    w->need.node_selector = fed_json_find(w->spec, "nodeSelector");
    w->need.tolerations = fed_json_find(w->spec, "tolerations");
    w->need.affinity = fed_json_find(w->spec, "affinity");
    w->nodes = FED_ARENA_ARRAY(w->a, struct mbr_node_state, room);
    w->refusals = FED_ARENA_ARRAY(w->a, struct mbr_refusal, room);
    fed_informer_each(nodes, FED_STR(""), add_node, w);
    w->peers = (struct mbr_peers){.nodes = w->nodes,
                                  .n_nodes = w->n_nodes,
                                  .ns = w->pod->ns,
                                  .labels = w->pod->labels,
                                  .n_labels = w->pod->n_labels,
                                  .constraints = fed_json_find(w->spec, "topologySpreadConstraints"),
                                  .need = &w->need};
    if (w->info->speaks || w->peers.constraints || fed_map_count(&w->own->speaking))
        mbr_sched_list(w);
    if (!w->peers.constraints)
        w->peers.siblings = count_siblings(w);
}

/* The text about a claim that is not there, or NULL. */
static const char *lacks_claim(struct mbr_sched_pod *w)
{
    FED_JSON_EACH(v, fed_json_find(w->spec, "volumes")) {
        struct fed_str name = fed_json_str(fed_json_at(v, "persistentVolumeClaim", "claimName", NULL));
        struct fed_kobj *claim = name.n ? mbr_find(w->c->m, MBR_CLAIMS, w->pod->ns, name) : NULL;
        if (name.n && (!claim || claim->deleting))
            return fed_arena_printf(w->a, "persistentvolumeclaim \"%.*s\" %s", FED_STR_ARG(name),
                                    claim ? "is being deleted" : "not found")
                .p;
    }
    return NULL;
}

int mbr_sched_choose(struct mbr_sched_pod *w)
{
    int64_t *scores = FED_ARENA_ARRAY(w->a, int64_t, w->n_nodes + 1);
    const char *claim = lacks_claim(w);
    for (size_t i = 0; i < w->n_nodes; i++) {
        mbr_node_judge(w->a, &w->nodes[i], &w->need, &w->refusals[i]);
        if (claim) {
            w->refusals[i] = (struct mbr_refusal){0};
            mbr_refuse(&w->refusals[i], fed_str(claim), true);
        }
    }
    mbr_peers_judge(w->a, &w->peers, w->refusals);
    mbr_peers_score(w->a, &w->peers, scores);
    return mbr_node_best(w->a, w->nodes, w->n_nodes, &w->need, w->refusals, scores);
}

void mbr_sched_look_end(struct mbr_sched_pod *w)
{
    fed_map_release(&w->places);
}
