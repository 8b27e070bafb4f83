/* SPDX-License-Identifier: Apache-2.0 */
/* The Node object and its Lease. The lease is the heartbeat (each ten seconds); the object is written at start and when
 * it differs. */
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "kube/quantity.h"
#include "member/agent/pod.h"
#include "member/job.h"

enum { LEASE_MS = 10000, LEASE_S = 40, RETRY_MS = 500, HEARTBEAT_MS = 300000 };
static const struct fed_resource leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};

static void set(struct fed_arena *a, struct fed_json *o, const char *key, const char *value)
{
    if (value && *value)
        fed_json_set(o, key, fed_json_new_strz(a, value));
}

static struct fed_json *labels_of(struct fed_arena *a, const struct mbr_conf *conf, const struct mbr_node *n,
                                  const char *arch)
{
    struct fed_json *l = fed_json_object(a);
    set(a, l, "kubernetes.io/hostname", n->name);
    set(a, l, "kubernetes.io/os", "linux");
    set(a, l, "kubernetes.io/arch", arch);
    set(a, l, "beta.kubernetes.io/os", "linux");
    set(a, l, "beta.kubernetes.io/arch", arch);
    set(a, l, "topology.kubernetes.io/region", conf->region);
    set(a, l, "topology.kubernetes.io/zone", conf->zone);
    set(a, l, "failure-domain.beta.kubernetes.io/region", conf->region);
    set(a, l, "failure-domain.beta.kubernetes.io/zone", conf->zone);
    for (size_t i = 0; i < conf->labels.n; i++) {
        struct fed_str rest = fed_str(conf->labels.v[i]), key;
        if (fed_str_cut(&rest, '=', &key) && rest.p)
            fed_json_set_str(l, key, fed_json_new_str(a, rest));
    }
    return l;
}

static void amount(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str text)
{
    struct fed_buf b = {0};
    if (fed_quantity_canonical(text, &b) == 0)
        fed_json_set(o, key, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
    fed_buf_release(&b);
}

static struct fed_json *resources(struct fed_arena *a, const struct mbr_agents *g)
{
    struct fed_json *o = fed_json_object(a);
    /* As the server gives them back: what is compared with the object must be equal when nothing changed. */
    amount(a, o, "cpu", fed_arena_printf(a, "%lldm", (long long)g->cpu_milli));
    amount(a, o, "memory", fed_arena_printf(a, "%lldKi", (long long)(g->memory / 1024)));
    amount(a, o, "pods", fed_arena_printf(a, "%lld", (long long)g->m->conf->max_pods));
    return o;
}

static struct fed_json *address(struct fed_arena *a, const char *type, const char *value)
{
    struct fed_json *o = fed_json_object(a);
    set(a, o, "type", type);
    set(a, o, "address", value);
    return o;
}

/* The heartbeat of the status itself, as rarely as a kubelet's, or where the node was taken for lost; else its lease shows that
 * it lives. */
static void stamp_conditions(struct fed_arena *a, const struct fed_json *status, bool lost, int64_t now)
{
    char text[21];
    fed_time_format(now, text);
    FED_JSON_EACH(c, fed_json_find(status, "conditions")) {
        int64_t was;
        if (lost || fed_time_parse(fed_json_find_text(c, "lastHeartbeatTime"), &was) < 0 || now - was >= HEARTBEAT_MS ||
            was > now)
            set(a, c, "lastHeartbeatTime", fed_arena_dupz(a, fed_str(text)));
    }
}

static struct fed_json *status_of(struct fed_arena *a, const struct mbr_agents *g, const struct mbr_node *n,
                                  const struct fed_json *now)
{
    struct fed_json *s = fed_json_object(a), *list = fed_json_array(a), *info = fed_json_object(a);
    const struct fed_json *conditions = fed_json_find(now, "conditions");
    const struct mbr_machine *is = &g->machine;
    const char *const about[][2] = {{"kernelVersion", is->kernel},   {"osImage", is->os_image},
                                    {"architecture", is->arch},      {"machineID", is->machine_id},
                                    {"systemUUID", is->system_uuid}, {"bootID", is->boot_id}};
    int64_t ms = fed_wall_ms(g->m->env);
    fed_json_push(list, address(a, "InternalIP", n->ip));
    fed_json_push(list, address(a, "Hostname", n->name));
    fed_json_set(s, "addresses", list);
    fed_json_set(s, "capacity", resources(a, g));
    fed_json_set(s, "allocatable", resources(a, g));
    for (size_t i = 0; i < FED_ARRAY_LEN(about); i++)
        fed_json_set(info, about[i][0], fed_json_new_strz(a, about[i][1])); /* all required, if empty */
    set(a, info, "operatingSystem", "linux");
    set(a, info, "kubeletVersion", "v1.29.0+hansa.0.1.0");
    set(a, info, "kubeProxyVersion", "v1.29.0+hansa.0.1.0");
    set(a, info, "containerRuntimeVersion", g->rt->real ? "hansa-process://0.1.0" : "hansa-hollow://0.1.0");
    fed_json_set(s, "nodeInfo", info);
    if (conditions)
        fed_json_set(s, "conditions", fed_json_copy(a, conditions));
    fed_obj_set_condition(a, s, "MemoryPressure", "False", "KubeletHasSufficientMemory",
                          FED_STR("the node has sufficient memory"), ms);
    fed_obj_set_condition(a, s, "DiskPressure", "False", "KubeletHasNoDiskPressure",
                          FED_STR("the node has no disk pressure"), ms);
    fed_obj_set_condition(a, s, "PIDPressure", "False", "KubeletHasSufficientPID",
                          FED_STR("the node has sufficient PIDs"), ms);
    fed_obj_set_condition(a, s, "Ready", "True", "KubeletReady", FED_STR("the agent is posting ready status"), ms);
    stamp_conditions(a, s, fed_str_is(fed_json_find_text(fed_obj_condition(now, "Ready"), "status"), "Unknown"), ms);
    return s;
}

static void tick(struct fed_timer *t);

static void stepped(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct mbr_node *n = ud;
    struct mbr_agents *g = n->agents;
    (void)res;
    n->call = NULL;
    if (code == FED_E_NOT_FOUND)
        n->leased = false;
    if (code < 0 && code != FED_E_ALREADY_EXISTS && code != FED_E_NOT_FOUND && code != FED_E_CONFLICT)
        fed_log_warn("agent", "node %s: %s", n->name, err ? err->text : "");
    fed_timer_start(g->m->env, &n->lease_timer, n->made ? LEASE_MS : code < 0 ? RETRY_MS : 0, tick);
}

static void renew_lease(struct mbr_agents *g, struct mbr_node *n, struct fed_arena *a)
{
    char stamp[28];
    struct fed_str ns = FED_STR("kube-node-lease");
    struct fed_json *lease = fed_obj_new(a, "coordination.k8s.io/v1", "Lease", ns, fed_str(n->name)),
                    *spec = fed_json_object(a);
    fed_time_format_micro(fed_wall_ms(g->m->env), stamp);
    set(a, spec, "holderIdentity", n->name);
    fed_json_set(spec, "leaseDurationSeconds", fed_json_new_int(a, LEASE_S));
    set(a, spec, "renewTime", fed_arena_dupz(a, fed_str(stamp)));
    fed_json_set(lease, "spec", spec);
    if (n->leased)
        n->call = fed_client_patch(g->m->client, &leases, ns, fed_str(n->name), "", "merge", lease, "", stepped, n);
    else
        n->call = fed_client_create(g->m->client, &leases, ns, lease, stepped, n);
    n->leased = true; /* if it could not be made, the patch fails and it is made anew */
}

/* One write a turn: make the node, then its labels, then its status, then the lease again and again. */
static void tick(struct fed_timer *t)
{
    struct mbr_node *n = fed_container_of(t, struct mbr_node, lease_timer);
    struct mbr_agents *g = n->agents;
    if (n->stopped)
        return fed_timer_start(g->m->env, &n->lease_timer, LEASE_MS, tick);
    struct fed_arena a = {0};
    struct fed_kobj *have = mbr_find(g->m, MBR_NODES, FED_STR(""), fed_str(n->name));
    struct fed_json *labels = labels_of(&a, g->m->conf, n, g->machine.arch), *patch = fed_json_object(&a);
    if (!have) {
        struct fed_json *obj = fed_obj_new(&a, "v1", "Node", FED_STR(""), fed_str(n->name));
        fed_json_set(fed_obj_metadata(&a, obj), "labels", labels);
        if (g->m->conf->coordinates)
            fed_obj_set_annotation(&a, obj, "federation.hansa.io/coordinates", fed_str(g->m->conf->coordinates));
        fed_json_set(obj, "spec", fed_json_object(&a));
        n->call = fed_client_create(g->m->client, mbr_resource(MBR_NODES), FED_STR(""), obj, stepped, n);
    } else {
        struct fed_json *tree = fed_kobj_parse(have, &a), *now = fed_json_find(tree, "status");
        struct fed_json *status = status_of(&a, g, n, now);
        if (mbr_patch_differs(fed_json_at(tree, "metadata", "labels", NULL), labels)) {
            fed_json_set(fed_obj_metadata(&a, patch), "labels", labels);
            n->call = fed_client_patch(g->m->client, mbr_resource(MBR_NODES), FED_STR(""), fed_str(n->name), "",
                                       "merge", patch, "", stepped, n);
        } else if (mbr_patch_differs(now, status)) {
            fed_json_set(patch, "status", status);
            n->call = fed_client_patch(g->m->client, mbr_resource(MBR_NODES), FED_STR(""), fed_str(n->name), "status",
                                       "merge", patch, "", stepped, n);
        } else {
            n->made = true;
            renew_lease(g, n, &a);
        }
    }
    fed_arena_release(&a);
}

void mbr_node_follow(struct mbr_agents *g, struct mbr_node *n, const struct fed_kobj *obj)
{
    bool stopped = obj && fed_str_is(fed_kobj_annotation(obj, MBR_AGENT_ANNOTATION), "stopped");
    if (stopped == n->stopped)
        return;
    n->stopped = stopped;
    fed_log_info("agent", "node %s: its agent %s", n->name, stopped ? "is stopped by its annotation" : "goes on");
    if (stopped)
        return;
    FED_MAP_EACH(e, &g->pods)
        if (((struct mbr_pod *)e->value)->node == n)
            mbr_pod_post(e->value);
    if (!n->call)
        fed_timer_start(g->m->env, &n->lease_timer, 0, tick);
}

void mbr_node_start(struct mbr_agents *g, struct mbr_node *n)
{
    fed_timer_start(g->m->env, &n->lease_timer, 0, tick);
}

void mbr_node_stop(struct mbr_agents *g, struct mbr_node *n)
{
    fed_timer_stop(g->m->env, &n->lease_timer);
    fed_call_cancel(n->call);
    n->call = NULL;
}
