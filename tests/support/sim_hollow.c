/* SPDX-License-Identifier: Apache-2.0 */
/* sim_hollow.c: what the controllers of a cluster would report, without doing it. */
#include <stdlib.h>

#include "base/mem.h"
#include "kube/informer.h"
#include "kube/workqueue.h"
#include "support/sim_cluster.h"

enum { DEPLOYMENTS, REPLICASETS, DAEMONSETS, SERVICES, JOBS, N_KINDS };
enum { POD_MS = 10000 /* a Job's pods run so long, one after the other */ };
static const struct fed_resource resources[N_KINDS] = {
    [DEPLOYMENTS] = {"apps", "v1", "deployments", "Deployment", true},
    [REPLICASETS] = {"apps", "v1", "replicasets", "ReplicaSet", true},
    [DAEMONSETS] = {"apps", "v1", "daemonsets", "DaemonSet", true},
    [SERVICES] = {"", "v1", "services", "Service", true},
    [JOBS] = {"batch", "v1", "jobs", "Job", true}};
static const struct fed_resource slices = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};

struct watched {
    struct sim_hollow *h;
    int kind;
    struct fed_informer *inf;
};
struct sim_hollow {
    struct fed_transport *t;
    struct sim_random *chance;
    unsigned number, next_address;
    struct watched kinds[N_KINDS];
    struct fed_informer *slices;
    struct fed_workqueue *queue; /* "K/ns/name" */
    struct fed_list jobs;
};
struct job {
    struct fed_list link;
    struct sim_hollow *h;
    struct fed_call *call;
    char *key;
};

static void free_job(struct job *j)
{
    fed_list_remove(&j->link);
    free(j->key);
    free(j);
}

static void answered(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                     const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    if (code == FED_E_NOT_FOUND || code == FED_E_ALREADY_EXISTS)
        code = 0;
    fed_workqueue_done(j->h->queue, j->key, code);
    free_job(j);
}

static struct job *new_job(struct sim_hollow *h, const char *key)
{
    struct job *j = FED_NEW(struct job);
    j->h = h;
    j->key = fed_strdup(key);
    fed_list_push_back(&h->jobs, &j->link);
    return j;
}

static void set_int(struct fed_arena *a, struct fed_json *status, const char *key, int64_t v)
{
    if (v)
        fed_json_set(status, key, fed_json_new_int(a, v));
}

static struct fed_json *workload_status(struct sim_hollow *h, struct fed_arena *a, int kind, const struct fed_kobj *o,
                                        const struct fed_json *tree)
{
    const struct fed_json *was = fed_json_find(tree, "status");
    int64_t n = fed_json_int(fed_json_at(tree, "spec", "replicas", NULL), 1);
    struct fed_json *s = fed_json_object(a);
    set_int(a, s, "observedGeneration", o->generation);
    if (kind == DAEMONSETS) {
        static const char *const ones[] = {"currentNumberScheduled", "desiredNumberScheduled", "numberReady",
                                           "numberAvailable", "updatedNumberScheduled"};
        for (size_t i = 0; i < FED_ARRAY_LEN(ones); i++)
            set_int(a, s, ones[i], 1);
        fed_json_set(s, "numberMisscheduled", fed_json_new_int(a, 0));
        return s;
    }
    fed_json_set(s, "replicas", fed_json_new_int(a, n));
    set_int(a, s, "readyReplicas", n);
    set_int(a, s, "availableReplicas", n);
    if (kind == REPLICASETS) {
        set_int(a, s, "fullyLabeledReplicas", n);
        return s;
    }
    set_int(a, s, "updatedReplicas", n);
    const struct fed_json *conditions = fed_json_find(was, "conditions");
    if (conditions)
        fed_json_set(s, "conditions", fed_json_copy(a, conditions));
    fed_obj_set_condition(a, s, "Available", "True", "MinimumReplicasAvailable", FED_STR("hollow"),
                          fed_wall_ms(h->t->env));
    fed_obj_set_condition(a, s, "Progressing", "True", "NewReplicaSetAvailable", FED_STR("hollow"),
                          fed_wall_ms(h->t->env));
    return s;
}

/* A pod each POD_MS from its creation on, until all are done. */
static struct fed_json *job_status(struct sim_hollow *h, struct fed_arena *a, const char *key,
                                   const struct fed_json *tree)
{
    int64_t want = fed_json_int(fed_json_at(tree, "spec", "completions", NULL), 1), now = fed_wall_ms(h->t->env), at;
    const struct fed_json *was = fed_json_find(tree, "status");
    struct fed_str born = fed_json_str(fed_json_at(tree, "metadata", "creationTimestamp", NULL));
    struct fed_json *s = was ? fed_json_copy(a, was) : fed_json_object(a);
    if (fed_time_parse(born, &at) < 0)
        at = now;
    int64_t n = FED_MIN(FED_MAX(now - at, 0) / POD_MS, want);
    if (!fed_json_find(s, "startTime"))
        fed_json_set(s, "startTime", fed_json_new_str(a, born));
    set_int(a, s, "succeeded", n);
    if (n < want) {
        fed_workqueue_add_after(h->queue, fed_str(key), (uint64_t)(at + (n + 1) * POD_MS - now) + 1);
        return s;
    }
    if (fed_obj_set_condition(a, s, "Complete", "True", "CompletionsReached", FED_STR("hollow"), now))
        fed_json_set(s, "completionTime",
                     fed_json_copy(a, fed_json_find(fed_obj_condition(s, "Complete"), "lastTransitionTime")));
    return s;
}

static struct fed_json *service_status(struct sim_hollow *h, struct fed_arena *a, const struct fed_json *tree)
{
    const struct fed_json *was = fed_json_find(tree, "status");
    struct fed_json *s = fed_json_object(a), *lb = fed_json_ensure_object(a, s, "loadBalancer");
    if (!fed_str_is(fed_json_find_text(fed_json_find(tree, "spec"), "type"), "LoadBalancer"))
        return s;
    if (fed_json_at(was, "loadBalancer", "ingress", NULL))
        return fed_json_copy(a, was);
    struct fed_json *one = fed_json_push(fed_json_ensure_array(a, lb, "ingress"), fed_json_object(a));
    h->next_address = h->next_address % 250 + 1;
    fed_json_set(one, "ip", fed_json_new_strf(a, "203.0.%u.%u", h->number + 1, h->next_address));
    return s;
}

/* An EndpointSlice with one ready pod for each Service that selects anything. True when a write was started. */
static bool ensure_slice(struct sim_hollow *h, struct fed_arena *a, const char *key, const struct fed_kobj *o,
                         const struct fed_json *tree)
{
    struct fed_str name = fed_arena_printf(a, "%.*s-hollow", FED_STR_ARG(o->name));
    if (fed_informer_find(h->slices, o->ns, name) || !fed_json_at(tree, "spec", "selector", NULL))
        return false;
    struct fed_json *s = fed_obj_new(a, "discovery.k8s.io/v1", "EndpointSlice", o->ns, name);
    fed_obj_set_label(a, s, "kubernetes.io/service-name", o->name);
    fed_obj_set_controller(a, s, o);
    fed_json_set(s, "addressType", fed_json_new_strz(a, "IPv4"));
    struct fed_json *ports = fed_json_ensure_array(a, s, "ports");
    FED_JSON_EACH(p, fed_json_at(tree, "spec", "ports", NULL)) {
        struct fed_json *port = fed_json_push(ports, fed_json_object(a));
        fed_json_set(port, "name", fed_json_new_str(a, fed_json_find_text(p, "name")));
        fed_json_set(port, "protocol", fed_json_new_strz(a, "TCP"));
        fed_json_set(port, "port", fed_json_new_int(a, fed_json_int(fed_json_find(p, "port"), 80)));
    }
    struct fed_json *ep = fed_json_push(fed_json_ensure_array(a, s, "endpoints"), fed_json_object(a));
    fed_json_push(fed_json_ensure_array(a, ep, "addresses"), fed_json_new_strf(a, "10.%u.0.1", h->number));
    fed_json_set(fed_json_ensure_object(a, ep, "conditions"), "ready", fed_json_new_bool(a, true));
    struct job *j = new_job(h, key);
    j->call = fed_client_create(h->t, &slices, o->ns, s, answered, j);
    return true;
}

static bool look_at(struct sim_hollow *h, const char *key)
{
    struct fed_arena a = {0};
    struct fed_str rest = fed_str(key), ns;
    int kind = key[0] - '0';
    bool started = false;
    rest = fed_str_from(rest, 2);
    (void)fed_str_cut(&rest, '/', &ns);
    struct fed_kobj *o = fed_informer_find(h->kinds[kind].inf, ns, rest);
    if (o && !o->deleting) {
        struct fed_json *tree = fed_kobj_parse(o, &a), *was = fed_json_find(tree, "status");
        struct fed_json *status = kind == SERVICES ? service_status(h, &a, tree)
                                  : kind == JOBS   ? job_status(h, &a, key, tree)
                                                   : workload_status(h, &a, kind, o, tree);
        if (!was || !fed_json_equal(was, status)) {
            struct job *j = new_job(h, key);
            fed_json_set(tree, "status", status);
            j->call = fed_client_update(h->t, &resources[kind], tree, "status", answered, j);
            started = true;
        } else if (kind == SERVICES) {
            started = ensure_slice(h, &a, key, o, tree);
        }
    }
    fed_arena_release(&a);
    return started;
}

static void work(void *ud, const char *key)
{
    struct sim_hollow *h = ud;
    if (!look_at(h, key))
        fed_workqueue_done(h->queue, key, 0);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct watched *w = ud;
    const struct fed_kobj *o = now ? now : old;
    struct fed_arena a = {0};
    struct fed_str key = fed_arena_printf(&a, "%d/%.*s/%.*s", w->kind, FED_STR_ARG(o->ns), FED_STR_ARG(o->name));
    fed_workqueue_add_after(w->h->queue, key, 20 + sim_random_below(w->h->chance, 400));
    fed_arena_release(&a);
}

struct sim_hollow *sim_hollow_new(struct fed_transport *t, struct sim_random *chance, unsigned number)
{
    struct sim_hollow *h = FED_NEW(struct sim_hollow);
    struct fed_workqueue_conf queue = {.env = t->env, .name = "hollow", .work = work, .ud = h};
    struct fed_informer_conf conf = {.transport = t, .resource = &slices};
    h->t = t;
    h->chance = chance;
    h->number = number;
    fed_list_init(&h->jobs);
    h->queue = fed_workqueue_new(&queue);
    h->slices = fed_informer_new(&conf);
    fed_informer_start(h->slices);
    for (int k = 0; k < N_KINDS; k++) {
        struct fed_informer_handlers handlers = {.changed = changed, .ud = &h->kinds[k]};
        conf.resource = &resources[k];
        h->kinds[k] = (struct watched){h, k, fed_informer_new(&conf)};
        fed_informer_add_handlers(h->kinds[k].inf, &handlers);
        fed_informer_start(h->kinds[k].inf);
    }
    return h;
}

void sim_hollow_free(struct sim_hollow *h)
{
    while (!fed_list_empty(&h->jobs)) {
        struct job *j = FED_LIST_ENTRY(h->jobs.next, struct job, link);
        fed_call_cancel(j->call);
        free_job(j);
    }
    for (int k = 0; k < N_KINDS; k++)
        fed_informer_free(h->kinds[k].inf);
    fed_informer_free(h->slices);
    fed_workqueue_free(h->queue);
    free(h);
}

bool sim_hollow_idle(const struct sim_hollow *h)
{
    return fed_workqueue_idle(h->queue);
}
