/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: binds pods without a node by choice.h. It keeps what each node carries from pod events, and assumes
 * its own bindings until the informer shows them, so that a burst of pods spreads. */
#include "base/log.h"
#include "base/mem.h"
#include "kube/quantity.h"
#include "member/controllers/choice.h"
#include "member/controllers/controllers.h"

struct load { /* what one pod takes of its node */
    char *node;
    int64_t cpu, memory;
    uint32_t ports[MBR_POD_PORTS];
    size_t n_ports;
};
struct total {
    int64_t cpu, memory, pods;
    uint32_t *ports;
    size_t n_ports, cap_ports;
};
struct own {
    struct fed_map loads;  /* pod uid -> load */
    struct fed_map totals; /* node -> total */
    struct fed_map stuck;  /* keys of pods that fit nowhere: tried again when anything is freed */
};

static void subtract(struct own *own, const struct load *l)
{
    struct total *t = fed_map_find(&own->totals, fed_str(l->node));
    if (!t)
        return;
    t->cpu -= l->cpu;
    t->memory -= l->memory;
    t->pods--;
    for (size_t i = 0; i < l->n_ports; i++)
        for (size_t k = 0; k < t->n_ports; k++)
            if (t->ports[k] == l->ports[i]) {
                t->ports[k] = t->ports[--t->n_ports];
                break;
            }
}

static void add(struct own *own, const struct load *l)
{
    struct total *t = fed_map_find(&own->totals, fed_str(l->node));
    if (!t)
        fed_map_set(&own->totals, fed_str(l->node), t = FED_NEW(struct total));
    t->cpu += l->cpu;
    t->memory += l->memory;
    t->pods++;
    for (size_t i = 0; i < l->n_ports; i++) {
        if (t->n_ports == t->cap_ports)
            t->ports = fed_realloc(t->ports, (t->cap_ports = t->cap_ports ? t->cap_ports * 2 : 8) * sizeof(*t->ports));
        t->ports[t->n_ports++] = l->ports[i];
    }
}

static void load_free(struct load *l)
{
    if (l)
        free(l->node);
    free(l);
}

static void forget(struct own *own, struct fed_str uid)
{
    struct load *l = fed_map_remove(&own->loads, uid);
    if (l)
        subtract(own, l);
    load_free(l);
}

static size_t host_ports(const struct mbr_pod_info *p, uint32_t out[MBR_POD_PORTS])
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_ports; i++)
        if (p->ports[i].host)
            out[n++] = p->ports[i].host + (fed_str_is(p->ports[i].protocol, "UDP") ? 65536u : 0);
    return n;
}

static void remember(struct own *own, struct fed_str uid, struct fed_str node, const struct mbr_pod_info *p)
{
    struct load *l = fed_map_find(&own->loads, uid);
    if (l && fed_str_is(node, l->node))
        return;
    forget(own, uid);
    l = FED_NEW(struct load);
    l->node = fed_strdup_str(node);
    l->cpu = p->cpu_milli;
    l->memory = p->memory;
    l->n_ports = host_ports(p, l->ports);
    add(own, l);
    fed_map_set(&own->loads, uid, l);
}

static void retry_stuck(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->stuck)
        fed_workqueue_add(c->queue, e->key);
    fed_map_release(&own->stuck);
    own->stuck = (struct fed_map){0};
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct own *own = c->own;
    if (!now) {
        forget(own, old->uid);
        return retry_stuck(c);
    }
    const struct mbr_pod_info *p = mbr_pod_info_get(c->m, now);
    if (p->ended) {
        forget(own, now->uid);
        retry_stuck(c);
    } else if (p->node.n) {
        remember(own, now->uid, p->node, p);
    } else if (!now->deleting && (!p->scheduler.n || fed_str_is(p->scheduler, "default-scheduler"))) {
        mbr_ctl_add(c, now->ns, now->name);
    }
}

static void node_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    (void)old;
    if (now)
        retry_stuck(ctl);
}

struct gather {
    struct own *own;
    struct fed_arena *a;
    struct mbr_node_state *nodes;
    size_t n;
};

static int64_t allocatable(const struct fed_json *node, const char *what, bool milli)
{
    int64_t v = 0;
    struct fed_str s = fed_json_str(fed_json_at(node, "status", "allocatable", what, NULL));
    return s.p && (milli ? fed_quantity_milli(s, &v) : fed_quantity_units(s, &v)) == 0 ? v : 0;
}

static bool add_node(void *ud, struct fed_kobj *obj)
{
    struct gather *g = ud;
    struct fed_json *node = fed_kobj_parse(obj, g->a);
    struct total *t = fed_map_find(&g->own->totals, obj->name);
    g->nodes[g->n++] = (struct mbr_node_state){
        .name = obj->name,
        .ready =
            fed_str_is(fed_json_find_text(fed_obj_condition(fed_json_find(node, "status"), "Ready"), "status"), "True"),
        .cordoned = obj->deleting || fed_json_bool(fed_json_at(node, "spec", "unschedulable", NULL), false),
        .cpu_milli = allocatable(node, "cpu", true),
        .memory = allocatable(node, "memory", false),
        .pods = allocatable(node, "pods", false),
        .used_cpu = t ? t->cpu : 0,
        .used_memory = t ? t->memory : 0,
        .used_pods = t ? t->pods : 0,
        .labels = obj->labels,
        .n_labels = obj->n_labels,
        .taints = fed_json_at(node, "spec", "taints", NULL),
        .host_ports = t ? t->ports : NULL,
        .n_host_ports = t ? t->n_ports : 0,
    };
    return true;
}

struct binding {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_str uid;
};

static void bound(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct binding *b = ud;
    (void)res;
    if (code < 0) {
        forget(b->c->own, b->uid);
        fed_log_debug("scheduler", "%s: %s", b->job->key, err ? err->text : "");
    }
    mbr_job_end(b->job, code == FED_E_NOT_FOUND ? 0 : code);
}

static void bind_pod(struct mbr_ctl *c, struct mbr_job *job, struct fed_kobj *pod, struct fed_str node)
{
    struct fed_arena *a = &job->arena;
    struct fed_json *o = fed_obj_new(a, "v1", "Binding", pod->ns, pod->name), *target = fed_json_object(a);
    struct fed_buf body = {0};
    struct binding *b = FED_ARENA_NEW(a, struct binding);
    *b = (struct binding){c, job, fed_arena_dup(a, pod->uid)};
    fed_json_set(fed_obj_metadata(a, o), "uid", fed_json_new_str(a, pod->uid));
    fed_json_set(target, "kind", fed_json_new_strz(a, "Node"));
    fed_json_set(target, "name", fed_json_new_str(a, node));
    fed_json_set(o, "target", target);
    fed_json_write(&body, o);
    struct fed_call_request req = {.method = "POST",
                                   .path =
                                       fed_resource_path(a, mbr_resource(MBR_PODS), pod->ns, pod->name, "binding", ""),
                                   .body = fed_buf_str(&body)};
    job->holds++;
    c->m->client->ops->call(c->m->client, &req, bound, b);
    fed_buf_release(&body);
    fed_event_normal(c->events, pod, "Scheduled", "Successfully assigned %.*s/%.*s to %.*s", FED_STR_ARG(pod->ns),
                     FED_STR_ARG(pod->name), FED_STR_ARG(node));
}

static void refuse(struct mbr_ctl *c, struct mbr_job *job, struct fed_kobj *pod, const struct fed_json *tree,
                   struct fed_str why)
{
    struct fed_arena *a = &job->arena;
    struct own *own = c->own;
    const struct fed_json *have = fed_json_at(tree, "status", "conditions", NULL);
    struct fed_json *patch = fed_json_object(a), *status = fed_json_object(a);
    fed_map_set(&own->stuck, fed_str(job->key), NULL);
    if (have)
        fed_json_set(status, "conditions", fed_json_copy(a, have));
    if (!fed_obj_set_condition(a, status, "PodScheduled", "False", "Unschedulable", why, fed_wall_ms(c->m->env)))
        return;
    fed_json_set(patch, "status", status);
    mbr_job_merge(job, MBR_PODS, pod->ns, pod->name, "status", patch);
    fed_event_warning(c->events, pod, "FailedScheduling", "%.*s", FED_STR_ARG(why));
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct fed_arena *a = &job->arena;
    struct own *own = c->own;
    struct fed_kobj *pod = mbr_find(c->m, MBR_PODS, ns, name);
    /* A pod with a load was bound already, the informer only has not shown it yet. */
    if (!pod || pod->deleting || mbr_pod_info_get(c->m, pod)->node.n || fed_map_has(&own->loads, pod->uid))
        return mbr_job_end(job, 0);
    const struct mbr_pod_info *p = mbr_pod_info_get(c->m, pod);
    const struct fed_json *tree = fed_kobj_parse(pod, a), *spec = fed_json_find(tree, "spec");
    struct mbr_pod_need need = {.cpu_milli = p->cpu_milli,
                                .memory = p->memory,
                                .node_selector = fed_json_find(spec, "nodeSelector"),
                                .tolerations = fed_json_find(spec, "tolerations"),
                                .affinity = fed_json_find(spec, "affinity")};
    need.n_host_ports = host_ports(p, need.host_ports);
    struct gather g = {.own = own, .a = a};
    g.nodes = FED_ARENA_ARRAY(a, struct mbr_node_state, fed_informer_count(c->m->informers[MBR_NODES]) + 1);
    fed_informer_each(c->m->informers[MBR_NODES], FED_STR(""), add_node, &g);
    struct fed_buf why = {0};
    int at = mbr_node_choose(g.nodes, g.n, &need, &why);
    if (at >= 0) {
        remember(own, pod->uid, g.nodes[at].name, p);
        bind_pod(c, job, pod, g.nodes[at].name);
    } else {
        refuse(c, job, pod, tree, fed_buf_str(&why));
    }
    fed_buf_release(&why);
    mbr_job_end(job, 0);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->loads)
        load_free(e->value);
    FED_MAP_EACH(e, &own->totals) {
        free(((struct total *)e->value)->ports);
        free(e->value);
    }
    fed_map_release(&own->loads);
    fed_map_release(&own->totals);
    fed_map_release(&own->stuck);
}

void mbr_scheduler_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "default-scheduler", reconcile);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    mbr_ctl_watch(c, MBR_NODES, node_changed);
}
