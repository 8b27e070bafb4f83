/* SPDX-License-Identifier: Apache-2.0 */
/* The status of a pod as the kubelet words it, written when it differs from what was written last; one write at a time. */
#include "base/log.h"
#include "base/mem.h"
#include "member/agent/pod.h"
#include "member/job.h"

static void set_time(struct fed_arena *a, struct fed_json *o, const char *key, int64_t ms)
{
    char text[21];
    if (!ms)
        return;
    fed_time_format(ms, text);
    fed_json_set(o, key, fed_json_new_strf(a, "%s", text));
}

static struct fed_str container_id(struct fed_arena *a, const struct mbr_container *c, unsigned attempt)
{
    return fed_arena_printf(a, "hansa://%s/%s/%u", c->pod->uid, c->name, attempt);
}

static struct fed_json *ended_json(struct fed_arena *a, const struct mbr_container *c, const struct mbr_ended *e)
{
    struct fed_json *t = fed_json_object(a), *o = fed_json_object(a);
    /* The kubelet says 128 + signal as exit code, as a shell does. */
    fed_json_set(t, "exitCode", fed_json_new_int(a, e->signo ? 128 + e->signo : e->code));
    if (e->signo)
        fed_json_set(t, "signal", fed_json_new_int(a, e->signo));
    fed_json_set(t, "reason", fed_json_new_strf(a, "%s", e->reason));
    if (e->message[0])
        fed_json_set(t, "message", fed_json_new_strf(a, "%s", e->message));
    set_time(a, t, "startedAt", e->started_ms);
    set_time(a, t, "finishedAt", e->ended_ms);
    fed_json_set(t, "containerID", fed_json_new_str(a, container_id(a, c, e->attempt)));
    fed_json_set(o, "terminated", t);
    return o;
}

static struct fed_json *state_json(struct fed_arena *a, const struct mbr_container *c)
{
    struct fed_json *o = fed_json_object(a), *s = fed_json_object(a);
    if (c->state == MBR_C_ENDED)
        return ended_json(a, c, &c->last);
    if (c->state == MBR_C_RUNNING) {
        set_time(a, s, "startedAt", c->started_ms);
        fed_json_set(o, "running", s);
        return o;
    }
    fed_json_set(s, "reason", fed_json_new_strf(a, "%s", c->reason[0] ? c->reason : "ContainerCreating"));
    if (c->message[0])
        fed_json_set(s, "message", fed_json_new_strf(a, "%s", c->message));
    fed_json_set(o, "waiting", s);
    return o;
}

static struct fed_json *container_json(struct fed_arena *a, const struct mbr_container *c)
{
    struct fed_json *o = fed_json_object(a);
    const struct mbr_ended *last = c->state == MBR_C_ENDED ? &c->before : &c->last;
    unsigned restarts = c->state == MBR_C_WAITING && c->ever ? c->attempt - 1 : c->attempt;
    fed_json_set(o, "name", fed_json_new_strz(a, c->name));
    fed_json_set(o, "state", state_json(a, c));
    fed_json_set(o, "lastState", last->any ? ended_json(a, c, last) : fed_json_object(a));
    fed_json_set(o, "ready",
                 fed_json_new_bool(a, c->init ? c->state == MBR_C_ENDED && c->last.code == 0 && !c->last.signo
                                              : c->state == MBR_C_RUNNING && c->ready && !c->ephemeral));
    fed_json_set(o, "restartCount", fed_json_new_int(a, restarts));
    fed_json_set(o, "image", fed_json_new_strz(a, c->image));
    fed_json_set(o, "imageID", c->pulled ? fed_json_new_strf(a, "hansa://%s", c->image) : fed_json_new_strz(a, ""));
    if (c->state == MBR_C_RUNNING || c->state == MBR_C_ENDED)
        fed_json_set(o, "containerID", fed_json_new_str(a, container_id(a, c, c->attempt)));
    fed_json_set(o, "started", fed_json_new_bool(a, c->state == MBR_C_RUNNING && c->started));
    return o;
}

struct summary {
    bool initialized, ready, any_running, all_ended, any_failed, will_restart;
    struct fed_buf unready, uninitialized;
};

static void summarise(const struct mbr_pod *p, struct summary *s)
{
    s->initialized = s->ready = s->all_ended = true;
    for (size_t i = 0; i < p->n; i++) {
        const struct mbr_container *c = &p->containers[i];
        bool failed = c->state == MBR_C_ENDED && (c->last.code || c->last.signo);
        if (c->ephemeral) /* a guest: the pod is what it is without */
            continue;
        if (c->init) {
            bool ok = c->state == MBR_C_ENDED && !failed;
            if (!ok)
                fed_buf_addf(&s->uninitialized, "%s%s", s->uninitialized.n ? " " : "", c->name);
            s->initialized = s->initialized && ok;
            s->any_failed = s->any_failed || (failed && !p->restart_always && !p->restart_on_failure);
            continue;
        }
        if (c->state != MBR_C_RUNNING || !c->ready) {
            fed_buf_addf(&s->unready, "%s%s", s->unready.n ? " " : "", c->name);
            s->ready = false;
        }
        s->any_running = s->any_running || c->state == MBR_C_RUNNING || c->ever;
        bool ends = c->state == MBR_C_ENDED && !p->restart_always && !(failed && p->restart_on_failure);
        s->all_ended = s->all_ended && ends;
        s->any_failed = s->any_failed || (ends && failed);
    }
    s->ready = s->ready && s->initialized;
}

static const char *phase_of(const struct summary *s)
{
    if (!s->initialized)
        return s->any_failed ? "Failed" : "Pending";
    if (s->all_ended)
        return s->any_failed ? "Failed" : "Succeeded";
    return s->any_running ? "Running" : "Pending";
}

static void set_conditions(struct mbr_pod *p, struct fed_arena *a, struct fed_json *status, struct summary *s,
                           bool ended)
{
    int64_t now = fed_wall_ms(p->agents->m->env);
    bool ready = s->ready && !ended;
    const char *reason = ready ? "" : ended ? "PodCompleted" : "ContainersNotReady";
    struct fed_str message = ready || ended
                                 ? FED_STR("")
                                 : fed_arena_printf(a, "containers with unready status: [%s]", fed_buf_z(&s->unready));
    fed_obj_set_condition(a, status, "PodScheduled", "True", "", FED_STR(""), now);
    fed_obj_set_condition(
        a, status, "Initialized", s->initialized ? "True" : "False", s->initialized ? "" : "ContainersNotInitialized",
        s->initialized ? FED_STR("")
                       : fed_arena_printf(a, "containers with incomplete status: [%s]", fed_buf_z(&s->uninitialized)),
        now);
    fed_obj_set_condition(a, status, "ContainersReady", ready ? "True" : "False", reason, message, now);
    fed_obj_set_condition(a, status, "Ready", ready ? "True" : "False", reason, message, now);
    FED_JSON_EACH(c, fed_json_find(status, "conditions")) {
        static const char *const texts[] = {"reason", "message"};
        for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++)
            if (fed_json_find(c, texts[i]) && !fed_json_find_text(c, texts[i]).n)
                fed_json_remove_key(c, texts[i]);
    }
}

static struct fed_json *build(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a)
{
    struct fed_json *status = fed_json_object(a), *list;
    const struct fed_json *now = fed_json_find(tree, "status"), *conditions = fed_json_find(now, "conditions");
    struct summary s = {0};
    summarise(p, &s);
    const char *phase = phase_of(&s);
    p->done = phase[0] == 'S' || phase[0] == 'F';
    fed_json_set(status, "phase", fed_json_new_strz(a, phase));
    if (conditions)
        fed_json_set(status, "conditions", fed_json_copy(a, conditions));
    set_conditions(p, a, status, &s, p->done);
    fed_buf_release(&s.unready);
    fed_buf_release(&s.uninitialized);
    fed_json_set(status, "hostIP", fed_json_new_strz(a, p->node->ip));
    fed_json_set(status, "podIP", fed_json_new_strz(a, p->ip));
    struct fed_json *one = fed_json_push(fed_json_ensure_array(a, status, "podIPs"), fed_json_object(a));
    fed_json_set(one, "ip", fed_json_new_strz(a, p->ip));
    set_time(a, status, "startTime", p->started_ms);
    for (int k = 0; k < 3; k++) {
        static const char *const names[] = {"initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"};
        list = fed_json_array(a);
        for (size_t i = 0; i < p->n; i++)
            if (p->containers[i].init == (k == 0) && p->containers[i].ephemeral == (k == 2))
                fed_json_push(list, container_json(a, &p->containers[i]));
        if (list->n)
            fed_json_set(status, names[k], list);
    }
    return status;
}

static void written(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct mbr_pod *p = ud;
    (void)res;
    p->status_call = NULL;
    if (code < 0 && code != FED_E_NOT_FOUND) {
        fed_log_warn("agent", "status of %.*s/%.*s: %s", FED_STR_ARG(p->obj->ns), FED_STR_ARG(p->obj->name),
                     err ? err->text : "");
        p->status_again = true;
    }
    if (p->status_again)
        mbr_pod_post(p);
    p->status_again = false;
}

/* The annotation is part of the object's metadata: a second write, only where ports were replaced. */
static void write_ports(struct mbr_pod *p, struct fed_arena *a)
{
    struct fed_str have = fed_kobj_annotation(p->obj, "member.hansa.io/ports");
    if (!p->ports_json || fed_str_is(have, p->ports_json))
        return;
    struct fed_json *patch = fed_json_object(a);
    fed_obj_set_annotation(a, patch, "member.hansa.io/ports", fed_str(p->ports_json));
    fed_client_patch(p->agents->m->client, mbr_resource(MBR_PODS), p->obj->ns, p->obj->name, "", "merge", patch, "",
                     NULL, NULL);
}

void mbr_pod_write_status(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a)
{
    struct fed_json *status = build(p, tree, a), *patch;
    if (p->status_call) {
        p->status_again = true;
        return;
    }
    if (p->vanished)
        return;
    write_ports(p, a);
    /* Against the object alone, never against what was written last: the object may be older than our last write, equal
     * to this status by chance, and when it catches up it calls us again. */
    if (!mbr_patch_differs(fed_json_find(tree, "status"), status))
        return;
    patch = fed_json_object(a);
    /* The uid makes it fail on another pod of this name. */
    fed_json_set(fed_obj_metadata(a, patch), "uid", fed_json_new_strz(a, p->uid));
    fed_json_set(patch, "status", status);
    p->status_call = fed_client_patch(p->agents->m->client, mbr_resource(MBR_PODS), p->obj->ns, p->obj->name, "status",
                                      "merge", patch, "", written, p);
}
