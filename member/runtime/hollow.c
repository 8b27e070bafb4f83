/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that only claim to run: for measuring a control plane without the cost of processes. */
#include "base/mem.h"
#include "member/runtime/runtime.h"

enum { CONTAINERS = 16 };

struct hollow_pod {
    struct mbr_run_pod base;
    struct mbr_run_events events;
    void *ud;
    struct fed_task task;
    bool ready_due, stopped;
    struct {
        char *name;
        unsigned attempt;
        bool run_due, running;
        int kill_due;
        int64_t started_ms;
    } c[CONTAINERS];
    size_t n;
};

static void pod_free(struct hollow_pod *p)
{
    fed_task_cancel(&p->task);
    for (size_t i = 0; i < p->n; i++)
        free(p->c[i].name);
    free(p);
}

static void work(struct fed_task *t)
{
    struct hollow_pod *p = fed_container_of(t, struct hollow_pod, task);
    struct mbr_run_events e = p->events;
    void *ud = p->ud;
    int64_t now = fed_wall_ms(p->base.rt->m->env);
    if (p->stopped) {
        pod_free(p);
        e.gone(ud);
        return;
    }
    if (p->ready_due) {
        p->ready_due = false;
        e.ready(ud);
    }
    for (size_t i = 0; i < p->n && !p->stopped; i++) {
        if (p->c[i].run_due) {
            p->c[i].run_due = false;
            p->c[i].running = true;
            p->c[i].started_ms = now;
            e.running(ud, p->c[i].name, p->c[i].attempt, 0, now);
        }
        if (!p->stopped && p->c[i].kill_due && p->c[i].running) {
            p->c[i].running = false;
            e.exited(ud, p->c[i].name, p->c[i].attempt, 0, p->c[i].kill_due, p->c[i].started_ms, now);
        }
    }
}

static struct mbr_run_pod *open_pod(struct mbr_runtime *rt, const char *uid, const char *dir, bool adopt,
                                    const struct mbr_run_events *events, void *ud, struct fed_err *err)
{
    (void)uid;
    (void)dir;
    (void)err;
    if (adopt)
        return NULL;
    struct hollow_pod *p = FED_NEW(struct hollow_pod);
    p->base.rt = rt;
    p->events = *events;
    p->ud = ud;
    p->ready_due = true;
    fed_task_post(rt->m->env, &p->task, work);
    return &p->base;
}

static int start(struct mbr_run_pod *b, const char *name, unsigned attempt, const struct mbr_run_spec *spec,
                 struct fed_err *err)
{
    struct hollow_pod *p = fed_container_of(b, struct hollow_pod, base);
    size_t i = 0;
    (void)spec;
    while (i < p->n && strcmp(p->c[i].name, name) != 0)
        i++;
    if (i == CONTAINERS)
        return fed_err_set(err, FED_E_LIMIT, "more than %d containers", CONTAINERS);
    if (i == p->n) {
        p->c[i].name = fed_strdup(name);
        p->n++;
    }
    p->c[i].attempt = attempt;
    p->c[i].run_due = true;
    p->c[i].kill_due = 0;
    fed_task_post(b->rt->m->env, &p->task, work);
    return 0;
}

static void kill_container(struct mbr_run_pod *b, const char *name, int signo)
{
    struct hollow_pod *p = fed_container_of(b, struct hollow_pod, base);
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->c[i].name, name) == 0)
            p->c[i].kill_due = signo;
    fed_task_post(b->rt->m->env, &p->task, work);
}

static void exec(struct mbr_run_pod *b, const char *name, const char *const *argv, size_t argc, uint32_t timeout_ms,
                 void (*done)(void *ud, int code), void *ud)
{
    (void)b, (void)name, (void)argv, (void)argc, (void)timeout_ms, (void)done,
        (void)ud; /* hollow pods are not probed */
}

static void stop(struct mbr_run_pod *b, unsigned grace_s)
{
    struct hollow_pod *p = fed_container_of(b, struct hollow_pod, base);
    (void)grace_s;
    p->stopped = true;
    fed_task_post(b->rt->m->env, &p->task, work);
}

static void close_pod(struct mbr_run_pod *b)
{
    pod_free(fed_container_of(b, struct hollow_pod, base));
}

static void rt_free(struct mbr_runtime *rt)
{
    free(rt);
}

struct mbr_runtime *mbr_runtime_hollow(struct mbr *m)
{
    static const struct mbr_runtime_ops ops = {.open = open_pod,
                                               .start = start,
                                               .kill = kill_container,
                                               .exec = exec,
                                               .stop = stop,
                                               .close = close_pod,
                                               .free = rt_free};
    struct mbr_runtime *rt = FED_NEW(struct mbr_runtime);
    rt->ops = &ops;
    rt->m = m;
    return rt;
}
