/* SPDX-License-Identifier: Apache-2.0 */
#include "member/agent/pod.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 60000,
    IMAGE_FIRST_MS = 10000,
    IMAGE_MAX_MS = 300000,
    TOKEN_LOOK_MS = 300000,
    DRAIN_MS = 200
};

static struct fed_env *env_of(const struct mbr_pod *p)
{
    return p->agents->m->env;
}

static struct mbr_container *find_container(struct mbr_pod *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->containers[i].name, name) == 0)
            return &p->containers[i];
    return NULL;
}

/* The API shows a line, not a page. */
static void cut(char *to, size_t room, const char *from)
{
    size_t n = strlen(from);
    n = n < room ? n : room - 1;
    memcpy(to, from, n);
    to[n] = 0;
}

static void wait_because(struct mbr_container *c, const char *reason, const char *message)
{
    c->state = MBR_C_WAITING;
    cut(c->reason, sizeof(c->reason), reason);
    cut(c->message, sizeof(c->message), message);
}

/* --- what the runtime tells --- */

static void on_ready(void *ud)
{
    struct mbr_pod *p = ud;
    p->open = true;
    p->open_backoff_ms = 0;
    mbr_pod_post(p);
}

static void on_running(void *ud, const char *name, unsigned attempt, int pid, int64_t started_ms)
{
    struct mbr_pod *p = ud;
    struct mbr_container *c = find_container(p, name);
    struct fed_arena a = {0};
    if (!c || (c->state == MBR_C_RUNNING && c->attempt == attempt))
        return;
    if (c->last.any && c->last.attempt == attempt) { /* adopted: what restore() took for its end was none */
        c->last = c->before;
        c->before = (struct mbr_ended){0};
    }
    c->state = MBR_C_RUNNING;
    c->attempt = attempt;
    c->ever = true;
    c->pulled = true;
    c->pid = pid;
    c->started_ms = started_ms;
    c->reason[0] = c->message[0] = 0;
    mbr_probers_start(c, mbr_container_spec(fed_kobj_parse(p->obj, &a), c));
    fed_arena_release(&a);
    if (p->open) /* not when adopted */
        fed_event_normal(p->agents->events, p->obj, "Started", "Started container %s", name);
    mbr_pod_post(p);
}

static void set_ended(struct mbr_container *c, unsigned attempt, int code, int signo, int64_t from, int64_t to,
                      const char *reason, const char *message)
{
    if (c->last.any && c->last.attempt != attempt)
        c->before = c->last;
    c->last = (struct mbr_ended){
        .any = true, .code = code, .signo = signo, .attempt = attempt, .started_ms = from, .ended_ms = to};
    cut(c->last.reason, sizeof(c->last.reason), reason);
    cut(c->last.message, sizeof(c->last.message), message);
    c->state = MBR_C_ENDED;
    c->attempt = attempt;
    c->ever = true;
    c->pid = 0;
    c->backing_off = false;
    mbr_probers_stop(c);
}

static void plan_restart(struct mbr_container *c)
{
    struct mbr_pod *p = c->pod;
    uint32_t wait = mbr_backoff_next(&c->backoff_ms, c->last.ended_ms - c->last.started_ms);
    c->retry_at_ms = wait ? fed_mono_ms(env_of(p)) + wait : 0;
}

static void on_exited(void *ud, const char *name, unsigned attempt, int code, int signo, int64_t from, int64_t to)
{
    struct mbr_pod *p = ud;
    struct mbr_container *c = find_container(p, name);
    if (!c || (c->state == MBR_C_ENDED && c->last.attempt == attempt))
        return;
    set_ended(c, attempt, code, signo, from, to, code == 0 && signo == 0 ? "Completed" : "Error", "");
    plan_restart(c);
    mbr_pod_post(p);
}

static void on_failed(void *ud, const char *name, unsigned attempt, const char *text)
{
    struct mbr_pod *p = ud;
    struct mbr_container *c = find_container(p, name);
    int64_t now = fed_wall_ms(env_of(p));
    if (!c)
        return;
    set_ended(c, attempt, 128, 0, now, now, "StartError", text);
    plan_restart(c);
    fed_event_warning(p->agents->events, p->obj, "Failed", "Error: failed to start container \"%s\": %s", name, text);
    mbr_pod_post(p);
}

static void on_gone(void *ud)
{
    struct mbr_pod *p = ud;
    int64_t now = fed_wall_ms(env_of(p));
    p->run = NULL;
    p->open = false;
    p->gone = true;
    for (size_t i = 0; i < p->n; i++) {
        struct mbr_container *c = &p->containers[i];
        if (c->state != MBR_C_RUNNING && c->state != MBR_C_STARTING)
            continue;
        set_ended(c, c->attempt, 137, 0, c->started_ms, now, "ContainerStatusUnknown",
                  "The container ended with the process that owned it");
        plan_restart(c);
    }
    mbr_pod_post(p);
}

static const struct mbr_run_events events = {on_ready, on_running, on_exited, on_failed, on_gone};

/* --- making the pod --- */

static int take_address(struct mbr_pod *p)
{
    struct mbr_agents *g = p->agents;
    char path[PATH_MAX];
    uint32_t first = mbr_part_first(g->m->range.x, MBR_PART_PODS), ip;
    struct fed_buf kept;
    if (p->ip[0])
        return 0;
    if (p->host_network) {
        snprintf(p->ip, sizeof(p->ip), "%s", p->node->ip);
        return 0;
    }
    /* The one it has already: of a pod that runs, or ran before we were restarted. */
    fed_buf_init(&kept, 64);
    snprintf(path, sizeof(path), "%s/ip", p->dir);
    if (fed_file_read(path, 64, &kept, NULL) == 0 && mbr_ip_parse(fed_str_trim(fed_buf_str(&kept)), &ip) == 0 &&
        mbr_pool_take(&g->ips, ip - first))
        p->ip_index = ip - first;
    else
        p->ip_index = mbr_pool_next(&g->ips);
    fed_buf_release(&kept);
    if (p->ip_index < 0)
        return FED_E_FULL;
    mbr_ip_format(first + (uint32_t)p->ip_index, p->ip);
    if (g->rt->real && fed_file_mkdirs(p->dir, 0700, NULL) == 0) {
        FILE *f = fopen(path, "we"); /* losing it costs a new address, so it is not synced */
        if (f) {
            fputs(p->ip, f);
            fclose(f);
        }
    }
    return 0;
}

static void open_later(struct mbr_pod *p, const char *why)
{
    p->open_backoff_ms = p->open_backoff_ms ? FED_MIN(p->open_backoff_ms * 2, RETRY_MAX_MS) : RETRY_FIRST_MS;
    fed_event_warning(p->agents->events, p->obj, "FailedCreatePodSandBox", "%s", why);
    fed_timer_start(env_of(p), &p->timer, p->open_backoff_ms, p->timer.cb);
}

static void open_pod(struct mbr_pod *p, const struct fed_json *tree)
{
    struct mbr_runtime *rt = p->agents->rt;
    struct fed_err err = {0};
    if (take_address(p) < 0)
        return open_later(p, "no pod address is free");
    if (rt->real && fed_file_mkdirs(p->dir, 0700, &err) < 0)
        return open_later(p, err.text);
    if (!p->started_ms)
        p->started_ms = fed_wall_ms(env_of(p));
    mbr_pod_plan_ports(p, tree);
    p->gone = false;
    p->run = rt->ops->open(rt, p->uid, p->dir, false, &events, p, &err);
    if (!p->run)
        open_later(p, err.text);
}

/* --- containers --- */

static void image_missing(struct mbr_container *c, struct fed_err *err)
{
    struct mbr_pod *p = c->pod;
    bool again = c->image_backoff_ms != 0;
    c->image_backoff_ms = again ? FED_MIN(c->image_backoff_ms * 2, IMAGE_MAX_MS) : IMAGE_FIRST_MS;
    c->retry_at_ms = fed_mono_ms(env_of(p)) + c->image_backoff_ms;
    char message[300];
    if (!again) {
        fed_event_warning(p->agents->events, p->obj, "Failed", "Failed to pull image \"%s\": %s", c->image, err->text);
        wait_because(c, "ErrImagePull", err->text);
    } else {
        snprintf(message, sizeof(message), "Back-off pulling image \"%s\"", c->image);
        fed_event_normal(p->agents->events, p->obj, "BackOff", "%s", message);
        wait_because(c, "ImagePullBackOff", message);
    }
}

static void start_container(struct mbr_pod *p, struct mbr_container *c, const struct fed_json *tree,
                            struct fed_arena *a)
{
    struct fed_err err = {0};
    if (c->ever && c->state == MBR_C_ENDED)
        c->attempt++;
    c->unhealthy = false;
    int rc = mbr_pod_start_container(p, c, tree, a, &err);
    if (rc == 0) {
        c->state = MBR_C_STARTING;
        c->started_ms = fed_wall_ms(env_of(p));
        c->image_backoff_ms = 0;
        c->reason[0] = c->message[0] = 0;
        if (!c->pulled)
            fed_event_normal(p->agents->events, p->obj, "Pulled", "Container image \"%s\" already present on machine",
                             c->image);
        c->pulled = true;
        fed_event_normal(p->agents->events, p->obj, "Created", "Created container %s", c->name);
    } else if (rc == FED_E_UNSUPPORTED && p->agents->rt->real && !c->pulled) {
        image_missing(c, &err);
    } else {
        wait_because(c, "CreateContainerConfigError", err.text);
        fed_event_warning(p->agents->events, p->obj, "Failed", "Error: %s", err.text);
        c->retry_at_ms = fed_mono_ms(env_of(p)) + 5000; /* a ConfigMap or Secret that appears calls us sooner */
    }
}

static int64_t grace_of(const struct fed_json *tree)
{
    const struct fed_json *g = fed_json_at(tree, "metadata", "deletionGracePeriodSeconds", NULL);
    if (!g)
        g = fed_json_at(tree, "spec", "terminationGracePeriodSeconds", NULL);
    int64_t seconds = fed_json_int(g, 30);
    return seconds < 0 ? 1 : seconds > INT32_MAX ? INT32_MAX : seconds;
}

/* Starts it when it is due. True when the next container may be looked at. */
static bool drive(struct mbr_pod *p, struct mbr_container *c, const struct fed_json *tree, struct fed_arena *a)
{
    uint64_t now = fed_mono_ms(env_of(p));
    bool failed = c->last.code || c->last.signo;
    if (c->state == MBR_C_RUNNING || c->state == MBR_C_STARTING) {
        if (c->unhealthy && c->state == MBR_C_RUNNING && !c->backing_off) {
            c->backing_off = true; /* asked once */
            c->retry_at_ms = now + (uint64_t)grace_of(tree) * 1000;
            fed_event_normal(p->agents->events, p->obj, "Killing",
                             "Container %s failed liveness probe, will be restarted", c->name);
            p->agents->rt->ops->kill(p->run, c->name, SIGTERM);
        } else if (c->unhealthy && c->backing_off && now >= c->retry_at_ms) {
            p->agents->rt->ops->kill(p->run, c->name, SIGKILL);
        }
        return !c->init;
    }
    if (c->state == MBR_C_ENDED) {
        if (c->ephemeral || (c->init && !failed))
            return true;
        bool again = c->init ? p->restart_always || p->restart_on_failure
                             : p->restart_always || (failed && p->restart_on_failure);
        if (!again)
            return !c->init;
        if (now < c->retry_at_ms) {
            if (!c->backing_off) {
                char message[200];
                c->backing_off = true;
                c->attempt++;
                snprintf(message, sizeof(message), "back-off %us restarting failed container=%s pod=%.*s",
                         (unsigned)((c->retry_at_ms - now + 999) / 1000), c->name, FED_STR_ARG(p->obj->name));
                wait_because(c, "CrashLoopBackOff", message);
                fed_event_warning(p->agents->events, p->obj, "BackOff",
                                  "Back-off restarting failed container %s in pod %.*s", c->name,
                                  FED_STR_ARG(p->obj->name));
            }
            return !c->init;
        }
    } else if (now < c->retry_at_ms) {
        return !c->init;
    }
    start_container(p, c, tree, a);
    return !c->init;
}

static bool any_runs(const struct mbr_pod *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->containers[i].state == MBR_C_RUNNING || p->containers[i].state == MBR_C_STARTING)
            return true;
    return false;
}

static bool make_volumes(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a)
{
    struct fed_err err = {0};
    uint64_t now = fed_mono_ms(env_of(p));
    if (p->volumes_made || !p->agents->rt->real)
        return true;
    if (now < p->volumes_at_ms)
        return false;
    if (mbr_volumes_make(p, tree, a, &err) == 0) {
        p->volumes_made = true;
        p->volume_backoff_ms = 0;
        return true;
    }
    p->volume_backoff_ms = p->volume_backoff_ms ? FED_MIN(p->volume_backoff_ms * 2, RETRY_MAX_MS) : RETRY_FIRST_MS;
    p->volumes_at_ms = now + p->volume_backoff_ms;
    fed_event_warning(p->agents->events, p->obj, "FailedMount", "%s", err.text);
    return any_runs(p); /* a refresh that fails stops nobody */
}

static void run_containers(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a)
{
    if (!make_volumes(p, tree, a))
        return;
    for (size_t i = 0; i < p->n; i++)
        if (!drive(p, &p->containers[i], tree, a))
            break;
}

/* --- the end --- */

static void begin_end(struct mbr_pod *p, const struct fed_json *tree)
{
    uint64_t at = fed_mono_ms(env_of(p)) + (uint64_t)FED_MAX(grace_of(tree), 0) * 1000;
    if (p->ending) {
        p->kill_at_ms = FED_MIN(p->kill_at_ms, at); /* a second, shorter delete */
        return;
    }
    p->ending = true;
    p->kill_at_ms = at;
    /* Endpoints learn of the deletion as we do: a moment's patience, and no proxy sends anybody to a closing door. */
    bool serves =
        !p->vanished && p->agents->rt->real && grace_of(tree) >= 2 && mbr_pod_info_get(p->agents->m, p->obj)->ready;
    p->term_at_ms = fed_mono_ms(env_of(p)) + (serves ? DRAIN_MS : 0);
}

static void terminate(struct mbr_pod *p)
{
    p->terminated = true;
    for (size_t i = 0; i < p->n; i++) {
        struct mbr_container *c = &p->containers[i];
        if (c->state != MBR_C_RUNNING || !p->run)
            continue;
        fed_event_normal(p->agents->events, p->obj, "Killing", "Stopping container %s", c->name);
        p->agents->rt->ops->kill(p->run, c->name, SIGTERM);
    }
}

static void deleted(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct mbr_pod *p = ud;
    (void)res;
    p->delete_call = NULL;
    if (code < 0 && code != FED_E_NOT_FOUND && code != FED_E_CONFLICT) {
        fed_log_warn("agent", "delete of %.*s/%.*s: %s", FED_STR_ARG(p->obj->ns), FED_STR_ARG(p->obj->name),
                     err ? err->text : "");
        fed_timer_start(env_of(p), &p->timer, 1000, p->timer.cb);
        return;
    }
    /* With finalizers the object stays, without us. */
}

static void delete_object(struct mbr_pod *p)
{
    struct fed_arena a = {0};
    if (p->delete_call || p->vanished)
        return;
    struct fed_str body = fed_arena_printf(&a,
                                           "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,"
                                           "\"preconditions\":{\"uid\":\"%s\"}}",
                                           p->uid);
    struct fed_transport *t = p->agents->m->client;
    struct fed_call_request req = {.method = "DELETE",
                                   .body = body,
                                   .path =
                                       fed_resource_path(&a, mbr_resource(MBR_PODS), p->obj->ns, p->obj->name, "", "")};
    p->delete_call = t->ops->call(t, &req, deleted, p);
    fed_arena_release(&a);
}

/* True when the worker was freed. */
static bool end_pod(struct mbr_pod *p)
{
    uint64_t now = fed_mono_ms(env_of(p));
    if (p->run && any_runs(p)) {
        if (now < p->term_at_ms && now < p->kill_at_ms) {
            fed_timer_start(env_of(p), &p->timer, p->term_at_ms - now, p->timer.cb);
            return false;
        }
        if (!p->terminated)
            terminate(p);
        if (now >= p->kill_at_ms) {
            for (size_t i = 0; i < p->n; i++)
                p->agents->rt->ops->kill(p->run, p->containers[i].name, SIGKILL);
            fed_timer_start(env_of(p), &p->timer, 1000, p->timer.cb);
        } else {
            fed_timer_start(env_of(p), &p->timer, p->kill_at_ms - now, p->timer.cb);
        }
        return false;
    }
    if (p->run) {
        if (!p->killed)
            p->agents->rt->ops->stop(p->run, 0);
        p->killed = true;
        return false;
    }
    if (p->agents->rt->real)
        fed_file_remove_tree(p->dir);
    if (p->ip_index >= 0)
        mbr_pool_put(&p->agents->ips, (uint32_t)p->ip_index);
    p->ip_index = -1;
    if (p->vanished) {
        mbr_pod_free(p);
        return true;
    }
    delete_object(p);
    return false;
}

/* --- what the object says of containers --- */

static void restore_end(struct mbr_container *c, unsigned attempt, const struct fed_json *t)
{
    int64_t from = 0, to = 0, code = fed_json_int(fed_json_find(t, "exitCode"), 137);
    int64_t signo = fed_json_int(fed_json_find(t, "signal"), 0);
    char reason[40];
    if (fed_time_parse(fed_json_find_text(t, "startedAt"), &from) < 0)
        from = 0;
    if (fed_time_parse(fed_json_find_text(t, "finishedAt"), &to) < 0)
        to = from;
    snprintf(reason, sizeof(reason), "%.*s",
             FED_STR_ARG(t ? fed_json_find_text(t, "reason") : FED_STR("ContainerStatusUnknown")));
    set_ended(c, attempt, signo ? 0 : (int)code, (int)signo, from, to, reason, "");
}

/* What the container did before we were restarted. If it runs still, the runtime will say so. */
static void restore(struct mbr_container *c, const struct fed_json *st)
{
    const struct fed_json *ended = fed_json_at(st, "state", "terminated", NULL);
    const struct fed_json *before = fed_json_at(st, "lastState", "terminated", NULL);
    bool waits = fed_json_at(st, "state", "waiting", NULL) != NULL;
    c->attempt = (unsigned)fed_json_int(fed_json_find(st, "restartCount"), 0);
    if (before)
        restore_end(c, waits || !c->attempt ? c->attempt : c->attempt - 1, before);
    if (ended || fed_json_at(st, "state", "running", NULL))
        restore_end(c, (unsigned)fed_json_int(fed_json_find(st, "restartCount"), 0), ended);
}

enum { LIST_INIT, LIST_MAIN, LIST_EPHEMERAL, N_LISTS };

/* The containers of one list that we do not have yet. */
static void add_containers(struct mbr_pod *p, const struct fed_json *tree, int list)
{
    static const char *const names[] = {"initContainers", "containers", "ephemeralContainers"};
    static const char *const statuses[] = {"initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"};
    const struct fed_json *spec = fed_json_find(tree, "spec"), *init = fed_json_find(spec, names[LIST_INIT]);
    FED_JSON_EACH(s, fed_json_find(spec, names[list])) {
        char *name = fed_strdup_str(fed_json_find_text(s, "name"));
        if (find_container(p, name) || p->n == p->room) {
            free(name);
            continue;
        }
        struct mbr_container *c = &p->containers[p->n++];
        c->pod = p;
        c->init = list == LIST_INIT;
        c->ephemeral = list == LIST_EPHEMERAL;
        c->name = name;
        c->image = fed_strdup_str(fed_json_find_text(s, "image"));
        wait_because(c, list == LIST_MAIN && init ? "PodInitializing" : "ContainerCreating", "");
        FED_JSON_EACH(st, fed_json_at(tree, "status", statuses[list], NULL))
            if (fed_str_is(fed_json_find_text(st, "name"), c->name))
                restore(c, st);
    }
}

/* They are in one piece that never moves: probes and sessions point into it. */
static void make_containers(struct mbr_pod *p, const struct fed_json *tree)
{
    const struct fed_json *spec = fed_json_find(tree, "spec");
    const struct fed_json *init = fed_json_find(spec, "initContainers"), *ordinary = fed_json_find(spec, "containers");
    p->room = (init ? init->n : 0) + (ordinary ? ordinary->n : 0) + MBR_EPHEMERAL_MAX;
    p->containers = fed_calloc(p->room, sizeof(*p->containers));
    for (int list = 0; list < N_LISTS; list++)
        add_containers(p, tree, list);
}

/* --- sync --- */

static void arm(struct mbr_pod *p)
{
    uint64_t now = fed_mono_ms(env_of(p)), next = UINT64_MAX;
    for (size_t i = 0; i < p->n; i++) {
        const struct mbr_container *c = &p->containers[i];
        bool waits = c->state == MBR_C_WAITING || c->state == MBR_C_ENDED || (c->unhealthy && c->backing_off);
        if (waits && c->retry_at_ms > now)
            next = FED_MIN(next, c->retry_at_ms - now);
    }
    if (!p->volumes_made && p->volumes_at_ms > now)
        next = FED_MIN(next, p->volumes_at_ms - now);
    if (next != UINT64_MAX)
        fed_timer_start(env_of(p), &p->timer, next + 1, p->timer.cb);
}

static void sync_pod(struct fed_task *task)
{
    struct mbr_pod *p = fed_container_of(task, struct mbr_pod, task);
    if (p->node->stopped)
        return;
    struct fed_arena a = {0};
    struct fed_json *tree = fed_kobj_parse(p->obj, &a);
    add_containers(p, tree, LIST_EPHEMERAL);
    if (p->obj->deleting || p->vanished) {
        begin_end(p, tree);
        if (end_pod(p)) {
            fed_arena_release(&a);
            return;
        }
        if (any_runs(p))
            mbr_pod_write_status(p, tree, &a);
    } else {
        if (!p->run && !p->done && !fed_timer_active(&p->timer))
            open_pod(p, tree);
        if (p->run && p->open && !p->done)
            run_containers(p, tree, &a);
        if (p->ip[0] && (p->open || !p->run)) /* while opening we do not know what runs */
            mbr_pod_write_status(p, tree, &a);
        if (p->done && p->run && !p->killed) {
            p->killed = true; /* the logs stay until the pod is deleted */
            p->agents->rt->ops->stop(p->run, 0);
        }
        if (p->run || p->done)
            arm(p);
    }
    fed_arena_release(&a);
}

static void due(struct fed_timer *t)
{
    mbr_pod_post(fed_container_of(t, struct mbr_pod, timer));
}

/* Tokens are renewed, and ConfigMaps of other names' volumes repaired, by making the volumes again now and then. */
static void refresh_volumes(struct fed_timer *t)
{
    struct mbr_pod *p = fed_container_of(t, struct mbr_pod, token_timer);
    p->volumes_made = false;
    fed_timer_start(env_of(p), &p->token_timer, TOKEN_LOOK_MS, refresh_volumes);
    mbr_pod_post(p);
}

struct mbr_pod *mbr_pod_new(struct mbr_agents *g, struct mbr_node *node, struct fed_kobj *obj)
{
    struct mbr_pod *p = FED_NEW(struct mbr_pod);
    struct fed_arena a = {0};
    struct fed_json *tree = fed_kobj_parse(obj, &a);
    struct fed_str restart = fed_json_str(fed_json_at(tree, "spec", "restartPolicy", NULL));
    struct fed_str phase = fed_json_str(fed_json_at(tree, "status", "phase", NULL));
    p->agents = g;
    p->node = node;
    p->obj = fed_kobj_ref(obj);
    p->uid = fed_strdup_str(obj->uid);
    p->dir = fed_asprintf("%s/pods/%s", g->m->dir, p->uid);
    p->ip_index = -1;
    p->task.cb = sync_pod;
    p->timer.cb = due;
    p->restart_always = !restart.n || fed_str_is(restart, "Always");
    p->restart_on_failure = fed_str_is(restart, "OnFailure");
    p->host_network = fed_json_bool(fed_json_at(tree, "spec", "hostNetwork", NULL), false);
    p->done = fed_str_is(phase, "Succeeded") || fed_str_is(phase, "Failed");
    if (fed_time_parse(fed_json_str(fed_json_at(tree, "status", "startTime", NULL)), &p->started_ms) < 0)
        p->started_ms = 0;
    make_containers(p, tree);
    fed_arena_release(&a);
    fed_map_set(&g->pods, obj->uid, p);
    if (g->rt->real)
        fed_timer_start(env_of(p), &p->token_timer, TOKEN_LOOK_MS, refresh_volumes);
    mbr_pod_post(p);
    return p;
}

void mbr_pod_update(struct mbr_pod *p, struct fed_kobj *obj)
{
    if (obj) {
        struct fed_kobj *old = p->obj;
        p->obj = fed_kobj_ref(obj);
        fed_kobj_unref(old);
    } else {
        p->vanished = true;
    }
    mbr_pod_post(p);
}

bool mbr_pod_uses(struct mbr_pod *p, struct fed_str name)
{
    /* Quoted, so that it is a whole JSON string; a false hit costs one look. */
    char quoted[300];
    int n = snprintf(quoted, sizeof(quoted), "\"%.*s\"", FED_STR_ARG(name));
    return fed_str_find(p->obj->json, fed_str_n(quoted, (size_t)n), 0) >= 0;
}

void mbr_pod_data_changed(struct mbr_pod *p)
{
    p->volumes_made = false;
    p->volumes_at_ms = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->containers[i].state == MBR_C_WAITING &&
            strcmp(p->containers[i].reason, "CreateContainerConfigError") == 0)
            p->containers[i].retry_at_ms = 0;
    mbr_pod_post(p);
}

void mbr_pod_free(struct mbr_pod *p)
{
    fed_map_remove(&p->agents->pods, fed_str(p->uid));
    fed_task_cancel(&p->task);
    fed_timer_stop(env_of(p), &p->timer);
    fed_timer_stop(env_of(p), &p->token_timer);
    fed_call_cancel(p->status_call);
    fed_call_cancel(p->delete_call);
    for (size_t i = 0; i < p->n; i++) {
        mbr_probers_stop(&p->containers[i]);
        free(p->containers[i].name);
        free(p->containers[i].image);
    }
    if (p->run)
        p->agents->rt->ops->close(p->run);
    free(p->containers);
    free(p->ports_json);
    free(p->uid);
    free(p->dir);
    fed_kobj_unref(p->obj);
    free(p);
}
