/* SPDX-License-Identifier: Apache-2.0 */
/* HorizontalPodAutoscalers, by hpaplan.h, each 15 s. Metrics of type Resource and ContainerResource are known (what the
 * agents measure); others are told in the conditions as failing, as where nobody serves their API. A target of a custom
 * kind is known by its scale, which is asked for each time. */
#include "base/mem.h"
#include "kube/quantity.h"
#include "kube/selector.h"
#include "member/agent/usage.h"
#include "member/controllers/controllers.h"
#include "member/controllers/hpaplan.h"
#include "member/controllers/owner.h"

enum { PERIOD_MS = 15000, EARLY_MS = 2000 /* the first figures take a second */, EARLY_MOST = 5 };

struct memo {
    struct mbr_hpa_memory memory;
    unsigned early; /* times it was looked at before its time */
};
struct own {
    struct fed_map memories; /* key -> struct memo * */
};
struct scale { /* of a custom target, as it was answered */
    int code;
    struct fed_err err;
    const struct fed_json *tree;
};
struct asked {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_str ns, name;
};
struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj, *target;
    enum mbr_kind kind;                /* of the target */
    const struct fed_resource *custom; /* instead */
    struct fed_str target_name;
    struct fed_json *tree, *spec, *status, *current_metrics;
    struct fed_selector sel;
    struct mbr_kobjs pods;
    int64_t now_ms, current;
    bool selects, stuck; /* the selector is known; it is wrong, and nothing is decided */
    const char *what;    /* the metric that decides */
    const char *error;   /* the first, with what it is about */
    int64_t failed;      /* metrics */
    bool known;          /* some pod was measured */
};

static void condition(struct work *w, const char *type, bool ok, const char *reason, const char *message)
{
    fed_obj_set_condition(w->a, w->status, type, ok ? "True" : "False", reason, fed_arena_dup(w->a, fed_str(message)),
                          w->now_ms);
}

static bool able(struct work *w)
{
    condition(w, "AbleToScale", true, "SucceededGetScale",
              "the HPA controller was able to get the target's current scale");
    return true;
}

static bool unable(struct work *w, struct fed_str text)
{
    condition(w, "AbleToScale", false, "FailedGetScale",
              fed_arena_printf(w->a, "the HPA controller was unable to get the target's current scale: %.*s",
                               FED_STR_ARG(text))
                  .p);
    fed_event_warning(w->c->events, w->obj, "FailedGetScale", "%.*s", FED_STR_ARG(text));
    return false;
}

static bool find_target(struct work *w)
{
    static const enum mbr_kind kinds[] = {MBR_DEPLOYMENTS, MBR_REPLICASETS, MBR_STATEFULSETS, MBR_CONTROLLERS};
    const struct fed_json *ref = fed_json_find(w->spec, "scaleTargetRef");
    struct fed_str kind = fed_json_find_text(ref, "kind"), name = fed_json_find_text(ref, "name");
    const struct fed_resource *r = NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(kinds); i++)
        if (fed_str_is(kind, mbr_resource(kinds[i])->kind)) {
            w->kind = kinds[i];
            r = mbr_resource(kinds[i]);
            w->target = mbr_find(w->c->m, kinds[i], w->obj->ns, name);
        }
    if (w->target) {
        const struct fed_json *target = fed_kobj_parse(w->target, w->a);
        w->target_name = w->target->name;
        w->current = fed_json_int(fed_json_at(target, "spec", "replicas", NULL), 1);
        w->selects = mbr_owner_selector(w->kind, w->a, target, &w->sel) == 0;
        return able(w);
    }
    struct fed_str text =
        r ? fed_arena_printf(w->a, "%s/scale%s%s \"%.*s\" not found", r->plural, *r->group ? "." : "", r->group,
                             FED_STR_ARG(name))
          : fed_arena_printf(w->a, "no matches for kind \"%.*s\" with a scale in this cluster", FED_STR_ARG(kind));
    return unable(w, text);
}

/* The custom kind that the target is of, in the version that is named; NULL: it is none. */
static const struct fed_kind_version *custom_target(const struct work *w)
{
    const struct fed_json *ref = fed_json_find(w->spec, "scaleTargetRef");
    const struct fed_kind_version *v =
        fed_kinds_by_kind(w->c->m->kinds, fed_json_find_text(ref, "apiVersion"), fed_json_find_text(ref, "kind"));
    return v && v->kind->custom && v->served && v->kind->namespaced ? v : NULL;
}

static const struct fed_resource *resource_of(struct fed_arena *a, const struct fed_kind_version *v)
{
    struct fed_resource *r = FED_ARENA_NEW(a, struct fed_resource);
    *r = (struct fed_resource){fed_arena_dupz(a, v->group), fed_arena_dupz(a, v->version),
                               fed_arena_dupz(a, v->kind->plural), fed_arena_dupz(a, v->kind->kind), true};
    return r;
}

/* The selector of a scale is text. Without one nobody knows whose load it is. */
static bool take_selector(struct work *w, struct fed_str text)
{
    struct fed_err err = {0};
    const char *wrong = !text.n                                              ? "selector is required"
                        : fed_selector_parse(w->a, text, &w->sel, &err) != 0 ? err.text
                                                                             : NULL;
    if (!wrong)
        return true;
    condition(w, "ScalingActive", false, "InvalidSelector",
              text.n ? fed_arena_printf(
                           w->a, "couldn't convert selector into a corresponding internal selector object: %s", wrong)
                           .p
                     : "the HPA target's scale is missing a selector");
    fed_event_warning(w->c->events, w->obj, text.n ? "InvalidSelector" : "SelectorRequired", "%s", wrong);
    return false;
}

static bool take_scale(struct work *w, const struct scale *s)
{
    w->target_name = fed_json_find_text(fed_json_find(w->spec, "scaleTargetRef"), "name");
    if (s->code)
        return unable(w, fed_str(s->err.text[0] ? s->err.text : fed_code_text(s->code)));
    w->current = fed_json_int(fed_json_at(s->tree, "spec", "replicas", NULL), 0);
    (void)able(w);
    if (w->current > 0 && !take_selector(w, fed_json_find_text(fed_json_find(s->tree, "status"), "selector"))) {
        w->stuck = true;
        return true;
    }
    w->selects = w->current > 0;
    return true;
}

static bool gather(void *ud, struct fed_kobj *pod)
{
    struct work *w = ud;
    const struct mbr_pod_info *p;
    if (!fed_selector_matches(&w->sel, pod->labels, pod->n_labels))
        return true;
    p = mbr_pod_info_get(w->c->m, pod);
    if (p->deleting || p->ended)
        return true;
    mbr_kobjs_add(&w->pods, pod);
    return true;
}

/* 0 and the container's name when one does not ask: there is no utilization then. */
static int64_t request_of(struct work *w, const struct fed_kobj *pod, struct fed_str resource, struct fed_str container,
                          struct fed_str *lacks)
{
    int64_t sum = 0, v;
    FED_JSON_EACH(ct, fed_json_at(fed_kobj_parse(pod, w->a), "spec", "containers", NULL)) {
        const struct fed_json *q = fed_json_find_str(fed_json_at(ct, "resources", "requests", NULL), resource);
        if (container.n && !fed_str_eq(container, fed_json_find_text(ct, "name")))
            continue;
        if (!q || (fed_str_is(resource, "cpu") ? fed_quantity_milli(q->s, &v) : fed_quantity_units(q->s, &v)) < 0) {
            *lacks = fed_json_find_text(ct, "name");
            return 0;
        }
        sum += v;
    }
    return sum;
}

/* What a pod uses now, or one container of it. */
static bool known(struct work *w, const struct fed_kobj *pod, struct fed_str container, struct mbr_usage_value *v)
{
    struct mbr_usage *u = w->c->m->usage;
    if (!u || !mbr_usage_ask(u))
        return false;
    return container.n ? mbr_usage_container(u, pod->uid, fed_arena_dupz(w->a, container), v)
                       : mbr_usage_pod(u, pod->uid, v);
}

/* *lacks: what is missing for a utilization, or empty. */
static struct mbr_hpa_pod *measure(struct work *w, struct fed_str resource, struct fed_str container,
                                   struct fed_str *lacks)
{
    struct mbr_hpa_pod *list = FED_ARENA_ARRAY(w->a, struct mbr_hpa_pod, w->pods.n + 1);
    bool cpu = fed_str_is(resource, "cpu");
    *lacks = (struct fed_str){0};
    for (size_t i = 0; i < w->pods.n; i++) {
        const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, w->pods.list[i]);
        struct mbr_usage_value v = {0};
        struct fed_str who = {0};
        bool has = known(w, w->pods.list[i], container, &v);
        list[i].request = request_of(w, w->pods.list[i], resource, container, &who);
        if (who.n && !lacks->n)
            *lacks = fed_arena_printf(w->a, "missing request for %.*s in container %.*s of Pod %.*s",
                                      FED_STR_ARG(resource), FED_STR_ARG(who), FED_STR_ARG(w->pods.list[i]->name));
        w->known = w->known || has;
        if (fed_str_is(p->phase, "Pending") || (cpu && !p->ready))
            list[i].state = MBR_HPA_UNREADY;
        else if (!has)
            list[i].state = MBR_HPA_MISSING;
        else
            list[i].usage = cpu ? v.cpu_nano / 1000000 : v.memory;
    }
    return list;
}

static void show_metric(struct work *w, const struct fed_json *spec, const char *member, const struct mbr_hpa_metric *m,
                        bool cpu)
{
    struct fed_json *o = fed_json_object(w->a), *in = fed_json_object(w->a), *now = fed_json_object(w->a);
    const struct fed_json *source = fed_json_find(spec, member), *container = fed_json_find(source, "container");
    struct fed_buf text = {0};
    fed_json_set(o, "type", fed_json_copy(w->a, fed_json_find(spec, "type")));
    fed_json_set(in, "name", fed_json_copy(w->a, fed_json_find(source, "name")));
    if (container)
        fed_json_set(in, "container", fed_json_copy(w->a, container));
    if (m->percent)
        fed_json_set(now, "averageUtilization", fed_json_new_int(w->a, m->now_percent));
    if (cpu)
        fed_quantity_format_milli(&text, m->now_value);
    else
        (void)!fed_quantity_canonical(fed_arena_printf(w->a, "%lld", (long long)m->now_value), &text);
    fed_json_set(now, "averageValue", fed_json_new_str(w->a, fed_arena_dup(w->a, fed_buf_str(&text))));
    fed_buf_release(&text);
    fed_json_set(in, "current", now);
    fed_json_set(o, member, in);
    fed_json_push(w->current_metrics, o);
}

/* A metric that gives no size. The first one is the condition. */
static int64_t no_size(struct work *w, const char *reason, struct fed_str error, const char *about)
{
    if (!w->failed++) {
        w->error = fed_arena_printf(w->a, "failed to get %s metric value: %.*s", about, FED_STR_ARG(error)).p;
        condition(
            w, "ScalingActive", false, reason,
            fed_arena_printf(w->a, "the HPA was unable to compute the replica count: %.*s", FED_STR_ARG(error)).p);
    }
    fed_event_warning(w->c->events, w->obj, reason, "%.*s", FED_STR_ARG(error));
    return -1;
}

/* Types that need an API which nobody serves here. */
static int64_t not_served(struct work *w, const struct fed_json *spec, struct fed_str type)
{
    bool external = fed_str_is(type, "External"), object = fed_str_is(type, "Object");
    const char *member = external ? "external" : object ? "object" : "pods", *api = external ? "external" : "custom";
    struct fed_str name = fed_json_str(fed_json_at(spec, member, "metric", "name", NULL));
    return no_size(w,
                   external ? "FailedGetExternalMetric"
                   : object ? "FailedGetObjectMetric"
                            : "FailedGetPodsMetric",
                   fed_arena_printf(w->a,
                                    "unable to get %smetric %.*s: unable to fetch metrics from %s metrics API: no %s "
                                    "metrics API (%s.metrics.k8s.io) registered",
                                    external ? "external " : "", FED_STR_ARG(name), api, api, api),
                   member);
}

static struct fed_str why_unknown(struct work *w, struct fed_str resource, struct fed_str lacks)
{
    if (lacks.n && w->known)
        return lacks;
    if (!w->pods.n)
        return FED_STR("no pods returned by selector while calculating replica count");
    if (w->known)
        return FED_STR("did not receive metrics for targeted pods (pods might be unready)");
    return fed_arena_printf(w->a,
                            "unable to get metrics for resource %.*s: no metrics returned from resource metrics API",
                            FED_STR_ARG(resource));
}

/* The size by one metric, or -1. */
static int64_t propose(struct work *w, const struct fed_json *spec)
{
    struct fed_str type = fed_json_find_text(spec, "type"), lacks;
    bool by_container = fed_str_is(type, "ContainerResource");
    const char *member = by_container ? "containerResource" : "resource";
    const struct fed_json *source = fed_json_find(spec, member), *target = fed_json_find(source, "target");
    struct fed_str resource = fed_json_find_text(source, "name");
    bool cpu = fed_str_is(resource, "cpu");
    const struct fed_json *value = fed_json_find(target, "averageValue");
    struct mbr_hpa_metric m = {
        .n = w->pods.n, .current = w->current, .percent = fed_json_int(fed_json_find(target, "averageUtilization"), 0)};
    if (!by_container && !fed_str_is(type, "Resource"))
        return not_served(w, spec, type);
    if (value && !m.percent &&
        (cpu ? fed_quantity_milli(value->s, &m.value) : fed_quantity_units(value->s, &m.value)) < 0)
        m.value = 0;
    m.pods = measure(w, resource, fed_json_find_text(source, "container"), &lacks);
    bool ours = cpu || fed_str_is(resource, "memory");
    w->known = w->known && ours;
    if (!ours || (!m.percent && m.value <= 0) || !mbr_hpa_propose(&m))
        return no_size(
            w, by_container ? "FailedGetContainerResourceMetric" : "FailedGetResourceMetric",
            fed_arena_printf(w->a, "failed to get %.*s %s: %.*s", FED_STR_ARG(resource),
                             m.percent ? "utilization" : "usage",
                             FED_STR_ARG(why_unknown(w, resource, m.percent ? lacks : (struct fed_str){0}))),
            fed_arena_printf(w->a, "%.*s %s", FED_STR_ARG(resource), by_container ? "container" : "resource").p);
    show_metric(w, spec, member, &m, cpu);
    w->what = fed_arena_printf(w->a, "%.*s %sresource%s", FED_STR_ARG(resource), by_container ? "container " : "",
                               m.percent ? " utilization (percentage of request)" : "")
                  .p;
    return m.replicas;
}

/* The largest proposal; with a metric that failed, only growth is believed. */
static int64_t proposal(struct work *w)
{
    int64_t best = -1, all = 0;
    const char *decides = "";
    FED_JSON_EACH(spec, fed_json_find(w->spec, "metrics")) {
        int64_t n = propose(w, spec);
        all++;
        if (n > best) {
            best = n;
            decides = w->what;
        }
    }
    w->what = decides;
    if (best < 0 || (w->failed && best < w->current)) {
        if (w->failed)
            fed_event_warning(w->c->events, w->obj, "FailedComputeMetricsReplicas",
                              "invalid metrics (%lld invalid out of %lld), first error is: %s", (long long)w->failed,
                              (long long)all, w->error);
        return -1;
    }
    condition(w, "ScalingActive", true, "ValidMetricFound",
              fed_arena_printf(w->a, "the HPA was able to successfully calculate a replica count from %s", decides).p);
    return best;
}

static void rescale(struct work *w, int64_t to, const char *reason)
{
    struct fed_json *patch = fed_json_object(w->a), *spec = fed_json_object(w->a);
    fed_json_set(spec, "replicas", fed_json_new_int(w->a, to));
    fed_json_set(patch, "spec", spec);
    mbr_job_merge_of(w->job, w->custom ? w->custom : mbr_resource(w->kind), w->obj->ns, w->target_name, "scale", patch);
    fed_event_normal(w->c->events, w->obj, "SuccessfulRescale", "New size: %lld; reason: %s", (long long)to, reason);
    condition(
        w, "AbleToScale", true, "SucceededRescale",
        fed_arena_printf(w->a, "the HPA controller was able to update the target scale to %lld", (long long)to).p);
    mbr_set_time(w->a, w->status, "lastScaleTime", w->now_ms);
}

static struct memo *memo_of(struct work *w)
{
    struct own *own = w->c->own;
    struct memo *m = fed_map_find(&own->memories, fed_str(w->job->key));
    if (!m) {
        fed_map_set(&own->memories, fed_str(w->job->key), m = FED_NEW(struct memo));
        mbr_hpa_note(&m->memory.proposals, w->now_ms, w->current); /* as if it had been right until now */
    }
    return m;
}

static int64_t decide(struct work *w)
{
    const struct fed_json *behavior = fed_json_find(w->spec, "behavior");
    struct mbr_hpa_limits l = {.current = w->current,
                               .now_ms = w->now_ms,
                               .min = fed_json_int(fed_json_find(w->spec, "minReplicas"), 1),
                               .max = fed_json_int(fed_json_find(w->spec, "maxReplicas"), 1)};
    const char *reason = "";
    if (w->current == 0) {
        condition(w, "ScalingActive", false, "ScalingDisabled",
                  "scaling is disabled since the replica count of the target is zero");
        return 0;
    }
    mbr_hpa_rules_read(&l.up, fed_json_find(behavior, "scaleUp"), true);
    mbr_hpa_rules_read(&l.down, fed_json_find(behavior, "scaleDown"), false);
    if (w->current > l.max) {
        l.replicas = l.max;
        reason = "Current number of replicas above Spec.MaxReplicas";
    } else if (w->current < l.min) {
        l.replicas = l.min;
        reason = "Current number of replicas below Spec.MinReplicas";
    } else if ((l.proposed = proposal(w)) >= 0) {
        mbr_hpa_limit(&l, &memo_of(w)->memory);
        condition(w, "ScalingLimited", l.limited, l.limit, l.limit_message);
        reason =
            l.replicas > w->current ? fed_arena_printf(w->a, "%s above target", w->what).p : "All metrics below target";
    } else {
        return fed_json_int(fed_json_find(w->status, "desiredReplicas"), 0);
    }
    if (l.replicas != w->current) {
        struct mbr_hpa_memory *m = &memo_of(w)->memory;
        bool up = l.replicas > w->current;
        mbr_hpa_note(up ? &m->ups : &m->downs, w->now_ms, up ? l.replicas - w->current : w->current - l.replicas);
        rescale(w, l.replicas, reason);
    } else if (l.stabilized) {
        condition(
            w, "AbleToScale", true, l.stabilized,
            l.proposed < l.replicas
                ? "recent recommendations were higher than current one, applying the highest recent recommendation"
                : "recent recommendations were lower than current one, applying the lowest recent recommendation");
    } else {
        condition(w, "AbleToScale", true, "ReadyForNewScale", "recommended size matches current size");
    }
    return l.replicas;
}

static void write_status(struct work *w, int64_t desired)
{
    fed_json_set(w->status, "currentReplicas", fed_json_new_int(w->a, w->current));
    fed_json_set(w->status, "desiredReplicas", fed_json_new_int(w->a, desired));
    fed_json_remove_key(w->status, "currentMetrics");
    if (w->current_metrics->n)
        fed_json_set(w->status, "currentMetrics", w->current_metrics);
    mbr_job_update_status(w->job, MBR_AUTOSCALERS, w->tree, w->status);
}

static void work_on(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name,
                    const struct scale *scale);

static void scale_came(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct asked *k = ud;
    struct scale s = {.code = code};
    struct fed_json *tree = NULL;
    if (code && err)
        s.err = *err;
    if (!code)
        s.code = fed_json_parse(&k->job->arena, fed_arena_dup(&k->job->arena, res->body), NULL, &tree, &s.err);
    s.tree = tree;
    work_on(k->c, k->job, k->ns, k->name, &s);
}

static void ask_scale(struct work *w, const struct fed_kind_version *v)
{
    struct asked *k = FED_ARENA_NEW(w->a, struct asked);
    struct fed_str name = fed_json_find_text(fed_json_find(w->spec, "scaleTargetRef"), "name");
    struct fed_transport *t = w->c->m->client;
    *k = (struct asked){w->c, w->job, fed_arena_dup(w->a, w->obj->ns), fed_arena_dup(w->a, w->obj->name)};
    struct fed_call_request q = {.method = "GET",
                                 .path = fed_resource_path(w->a, resource_of(w->a, v), w->obj->ns, name, "scale", "")};
    t->ops->call(t, &q, scale_came, k);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    work_on(c, job, ns, name, NULL);
}

static void work_on(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name,
                    const struct scale *scale)
{
    struct work w = {
        .c = c, .job = job, .a = &job->arena, .pods = {.a = &job->arena}, .now_ms = fed_wall_ms(c->m->env), .what = ""};
    struct own *own = c->own;
    w.obj = mbr_find(c->m, MBR_AUTOSCALERS, ns, name);
    if (!w.obj || w.obj->deleting) {
        free(fed_map_remove(&own->memories, fed_str(job->key)));
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    w.status = mbr_status_copy(w.a, w.tree);
    w.current_metrics = fed_json_array(w.a);
    const struct fed_kind_version *v = custom_target(&w);
    if (v && !scale) {
        ask_scale(&w, v);
        return;
    }
    w.custom = v ? resource_of(w.a, v) : NULL;
    int64_t desired = 0;
    if ((v ? take_scale(&w, scale) : find_target(&w)) && !w.stuck) {
        if (w.selects)
            fed_informer_each(c->m->informers[MBR_PODS], w.obj->ns, gather, &w);
        desired = decide(&w);
    }
    write_status(&w, desired);
    bool early = w.failed && w.pods.n && !w.known && memo_of(&w)->early++ < EARLY_MOST;
    fed_workqueue_add_after(c->queue, fed_str(job->key), early ? EARLY_MS : PERIOD_MS);
    mbr_job_end(job, 0);
}

/* Its own status writes must not make it look again at once. */
static void changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fed_arena a = {0};
    bool same =
        old && now &&
        fed_json_equal(fed_json_find(fed_kobj_parse(old, &a), "spec"), fed_json_find(fed_kobj_parse(now, &a), "spec"));
    fed_arena_release(&a);
    if (!same)
        mbr_ctl_enqueue_self(ctl, old, now);
}

static void release(struct mbr_ctl *c)
{
    struct own *own = c->own;
    FED_MAP_EACH(e, &own->memories)
        free(e->value);
    fed_map_release(&own->memories);
}

void mbr_autoscaler_init(struct mbr_ctl *c)
{
    c->own = FED_NEW(struct own);
    c->release = release;
    mbr_ctl_queue(c, "horizontal-pod-autoscaler", reconcile);
    mbr_ctl_watch(c, MBR_AUTOSCALERS, changed);
}
