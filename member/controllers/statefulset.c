/* SPDX-License-Identifier: Apache-2.0 */
/* StatefulSets, by setplan.h: pods NAME-0, NAME-1… with claims of their own (kept when the set shrinks, unless
 * persistentVolumeClaimRetentionPolicy says otherwise), templates by revision.h. */
#include "base/mem.h"
#include "control/revisions.h"
#include "member/controllers/controllers.h"
#include "member/controllers/owner.h"
#include "member/controllers/revision.h"
#include "member/controllers/setplan.h"

enum { RETRY_MS = 10000, MAX_REPLICAS = 10000 };

struct work {
    struct mbr_ctl *c;
    struct mbr_job *job;
    struct fed_arena *a;
    struct fed_kobj *obj;
    struct fed_json *tree, *spec;
    struct fed_kobj **pods;
    size_t n_pods;
    struct mbr_revisions revisions;
    struct fed_str current; /* revision that all pods had last */
    int64_t first, replicas, wait_ms;
    struct mbr_setplan plan;
    int64_t have, ready, available, n_current, n_updated;
};

static int64_t ordinal(const struct fed_kobj *set, const struct fed_kobj *pod)
{
    return mbr_set_ordinal(set->name.p, set->name.n, pod->name.p, pod->name.n);
}

static bool fits(const struct fed_kobj *set, const struct fed_kobj *pod)
{
    return ordinal(set, pod) >= 0;
}

/* --- what is there --- */

static void read_pod(struct work *w, struct fed_kobj *pod, struct mbr_set_pod *to)
{
    const struct mbr_pod_info *p = mbr_pod_info_get(w->c->m, pod);
    struct fed_str revision = fed_kobj_label(pod, FED_REVISION_HASH);
    int64_t left =
        p->ready_ms + fed_json_int(fed_json_find(w->spec, "minReadySeconds"), 0) * 1000 - fed_wall_ms(w->c->m->env);
    to->exists = true;
    to->deleting = pod->deleting;
    to->ended = p->ended;
    to->ready = p->ready && !p->ended;
    to->available = to->ready && (!fed_json_find(w->spec, "minReadySeconds") || left <= 0);
    to->updated = fed_str_eq(revision, w->revisions.name);
    to->settled = fed_str_eq(revision, w->current);
    if (to->ready && !to->available && (w->wait_ms < 0 || left < w->wait_ms))
        w->wait_ms = left;
    w->have++;
    w->ready += to->ready;
    w->available += to->available;
    w->n_current += !to->deleting && fed_str_eq(revision, w->current);
    w->n_updated += !to->deleting && to->updated;
}

static int last_first(const void *pa, const void *pb)
{
    const struct mbr_set_pod *a = pa, *b = pb;
    return a->ordinal > b->ordinal ? -1 : a->ordinal < b->ordinal;
}

static void read_pods(struct work *w)
{
    struct mbr_setplan *p = &w->plan;
    p->n = (size_t)w->replicas;
    p->pods = FED_ARENA_ARRAY(w->a, struct mbr_set_pod, p->n + 1);
    p->extra = FED_ARENA_ARRAY(w->a, struct mbr_set_pod, w->n_pods + 1);
    for (size_t i = 0; i < p->n; i++)
        p->pods[i].ordinal = w->first + (int64_t)i;
    for (size_t i = 0; i < w->n_pods; i++) {
        int64_t at = ordinal(w->obj, w->pods[i]);
        if (at < 0)
            continue;
        bool wanted = at >= w->first && at < w->first + w->replicas;
        struct mbr_set_pod *to = wanted ? &p->pods[at - w->first] : &p->extra[p->n_extra++];
        to->ordinal = at;
        read_pod(w, w->pods[i], to);
    }
    qsort(p->extra, p->n_extra, sizeof(*p->extra), last_first);
}

static void read_spec(struct work *w)
{
    const struct fed_json *strategy = fed_json_find(w->spec, "updateStrategy");
    w->first = fed_json_int(fed_json_at(w->spec, "ordinals", "start", NULL), 0);
    w->replicas = FED_MIN(fed_json_int(fed_json_find(w->spec, "replicas"), 1), MAX_REPLICAS);
    w->plan.parallel = fed_str_is(fed_json_find_text(w->spec, "podManagementPolicy"), "Parallel");
    w->plan.on_delete = fed_str_is(fed_json_find_text(strategy, "type"), "OnDelete");
    w->plan.partition = w->first + fed_json_int(fed_json_at(strategy, "rollingUpdate", "partition", NULL), 0);
    w->current = fed_json_str(fed_json_at(w->tree, "status", "currentRevision", NULL));
    bool known = fed_str_eq(w->current, w->revisions.name);
    for (size_t i = 0; i < w->revisions.n && !known; i++)
        known = fed_str_eq(w->revisions.list[i].obj->name, w->current);
    if (!known)
        w->current = w->revisions.name;
}

/* --- claims --- */

static struct fed_str claim_name(struct work *w, const struct fed_json *template, int64_t at)
{
    return fed_arena_printf(w->a, "%.*s-%.*s-%lld", FED_STR_ARG(fed_obj_name(template)), FED_STR_ARG(w->obj->name),
                            (long long)at);
}

static bool retention(const struct work *w, const char *when)
{
    const struct fed_json *policy = fed_json_find(w->spec, "persistentVolumeClaimRetentionPolicy");
    return fed_str_is(fed_json_find_text(policy, when), "Delete");
}

static void make_claims(struct work *w, int64_t at)
{
    FED_JSON_EACH(t, fed_json_find(w->spec, "volumeClaimTemplates")) {
        struct fed_str name = claim_name(w, t, at);
        if (mbr_find(w->c->m, MBR_CLAIMS, w->obj->ns, name))
            continue;
        struct fed_json *claim = fed_json_copy(w->a, t), *meta = fed_obj_metadata(w->a, claim);
        fed_json_set(claim, "apiVersion", fed_json_new_strz(w->a, "v1"));
        fed_json_set(claim, "kind", fed_json_new_strz(w->a, "PersistentVolumeClaim"));
        fed_json_remove_key(claim, "status");
        fed_json_remove_key(meta, "creationTimestamp");
        fed_json_set(meta, "name", fed_json_new_str(w->a, name));
        fed_json_set(meta, "namespace", fed_json_new_str(w->a, w->obj->ns));
        FED_JSON_EACH(l, fed_json_at(w->spec, "selector", "matchLabels", NULL))
            fed_json_set_str(fed_json_ensure_object(w->a, meta, "labels"), l->key, fed_json_copy(w->a, l));
        if (retention(w, "whenDeleted"))
            fed_obj_set_controller(w->a, claim, w->obj);
        mbr_job_create(w->job, MBR_CLAIMS, w->obj->ns, claim);
        mbr_job_normal(w->job, w->c->events, w->obj, "SuccessfulCreate",
                       "create Claim %.*s Pod %.*s-%lld in StatefulSet %.*s success", FED_STR_ARG(name),
                       FED_STR_ARG(w->obj->name), (long long)at, FED_STR_ARG(w->obj->name));
    }
}

static void use_claims(struct work *w, struct fed_json *pod, int64_t at)
{
    struct fed_json *volumes = fed_json_ensure_array(w->a, fed_json_find(pod, "spec"), "volumes");
    FED_JSON_EACH(t, fed_json_find(w->spec, "volumeClaimTemplates")) {
        struct fed_json *v = fed_json_object(w->a), *claim = fed_json_object(w->a);
        fed_json_set(v, "name", fed_json_new_str(w->a, fed_obj_name(t)));
        fed_json_set(claim, "claimName", fed_json_new_str(w->a, claim_name(w, t, at)));
        fed_json_set(v, "persistentVolumeClaim", claim);
        FED_JSON_EACH_SAFE(old, volumes)
            if (fed_str_eq(fed_json_find_text(old, "name"), fed_obj_name(t)))
                fed_json_remove(old);
        fed_json_push(volumes, v);
    }
}

/* The claims of a pod that is given up go with it. */
static void release_claims(struct work *w, const struct fed_kobj *pod)
{
    FED_JSON_EACH(t, fed_json_find(w->spec, "volumeClaimTemplates")) {
        struct fed_str name = claim_name(w, t, ordinal(w->obj, pod));
        struct fed_json *patch = fed_json_object(w->a);
        fed_obj_set_controller(w->a, patch, pod);
        if (retention(w, "whenScaled") && mbr_find(w->c->m, MBR_CLAIMS, w->obj->ns, name))
            mbr_job_merge(w->job, MBR_CLAIMS, w->obj->ns, name, "", patch);
    }
}

/* --- doing --- */

static void create_pod(struct work *w, int64_t at)
{
    bool old = !w->plan.on_delete && at < w->plan.partition;
    struct fed_str revision = old ? w->current : w->revisions.name;
    struct fed_json *template = mbr_revision_template(w->a, &w->revisions, revision);
    if (!template) { /* the revision is being made */
        template = fed_json_find(w->spec, "template");
        revision = w->revisions.name;
    }
    struct fed_json *pod = mbr_pod_from_template(w->c, w->a, w->obj, template);
    struct fed_json *meta = fed_obj_metadata(w->a, pod), *spec = fed_json_find(pod, "spec");
    struct fed_str name = fed_arena_printf(w->a, "%.*s-%lld", FED_STR_ARG(w->obj->name), (long long)at);
    struct fed_str service = fed_json_find_text(w->spec, "serviceName");
    fed_json_set(meta, "name", fed_json_new_str(w->a, name));
    fed_obj_set_label(w->a, pod, FED_REVISION_HASH, revision);
    fed_obj_set_label(w->a, pod, "statefulset.kubernetes.io/pod-name", name);
    fed_obj_set_label(w->a, pod, "apps.kubernetes.io/pod-index", fed_arena_printf(w->a, "%lld", (long long)at));
    fed_json_set(spec, "hostname", fed_json_new_str(w->a, name));
    if (service.n)
        fed_json_set(spec, "subdomain", fed_json_new_str(w->a, service));
    make_claims(w, at);
    use_claims(w, pod, at);
    mbr_owner_create(w->c, w->job, w->obj, pod);
    fed_workqueue_add_after(w->c->queue, fed_str(w->job->key), RETRY_MS); /* the name may be taken */
}

static void act(struct work *w, const struct mbr_set_pod *list, size_t n, bool extra)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].action == MBR_SET_CREATE)
            create_pod(w, list[i].ordinal);
        for (size_t k = 0; k < w->n_pods && list[i].action == MBR_SET_DELETE; k++) {
            if (ordinal(w->obj, w->pods[k]) != list[i].ordinal)
                continue;
            if (extra)
                release_claims(w, w->pods[k]);
            mbr_owner_delete(w->c, w->job, w->obj, w->pods[k]);
        }
    }
}

static void write_status(struct work *w)
{
    struct fed_json *status = fed_json_object(w->a);
    if (!w->plan.on_delete && w->n_updated == w->replicas && w->ready == w->replicas && w->have == w->replicas) {
        w->current = w->revisions.name; /* the update is through */
        w->n_current = w->n_updated;
    }
    fed_json_set(status, "observedGeneration", fed_json_new_int(w->a, w->obj->generation));
    fed_json_set(status, "replicas", fed_json_new_int(w->a, w->have));
    fed_json_set(status, "availableReplicas", fed_json_new_int(w->a, w->available));
    mbr_patch_count(w->a, status, "readyReplicas", w->ready);
    mbr_patch_count(w->a, status, "currentReplicas", w->n_current);
    mbr_patch_count(w->a, status, "updatedReplicas", w->n_updated);
    fed_json_set(status, "currentRevision", fed_json_new_str(w->a, w->current));
    fed_json_set(status, "updateRevision", fed_json_new_str(w->a, w->revisions.name));
    fed_json_set(status, "collisionCount", fed_json_new_int(w->a, 0));
    if (mbr_patch_differs(fed_json_find(w->tree, "status"), status))
        mbr_job_merge_status(w->job, MBR_STATEFULSETS, w->obj, status);
}

static void forget_history(struct work *w)
{
    struct fed_str *live = FED_ARENA_ARRAY(w->a, struct fed_str, w->n_pods + 1);
    for (size_t i = 0; i < w->n_pods; i++)
        live[i] = fed_kobj_label(w->pods[i], FED_REVISION_HASH);
    live[w->n_pods] = w->current;
    mbr_revisions_forget(w->job, &w->revisions, w->spec, live, w->n_pods + 1);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct work w = {.c = c, .job = job, .a = &job->arena, .wait_ms = -1};
    w.obj = mbr_find(c->m, MBR_STATEFULSETS, ns, name);
    if (!w.obj) {
        mbr_owner_forget(c, fed_str(job->key));
        return mbr_job_end(job, 0);
    }
    w.tree = fed_kobj_parse(w.obj, w.a);
    w.spec = fed_json_find(w.tree, "spec");
    if (w.obj->deleting || !fed_json_find(w.spec, "template"))
        return mbr_job_end(job, 0);
    bool moving = mbr_owner_adopt(c, job, w.obj, w.tree, fits);
    mbr_revisions_sync(c, job, w.obj, w.tree, &w.revisions);
    if (w.revisions.adopting)
        return mbr_job_end(job, 0);
    read_spec(&w);
    w.pods = mbr_owned(c->m, w.a, MBR_PODS, w.obj, &w.n_pods);
    read_pods(&w);
    if (mbr_owner_ready(c, fed_str(job->key)) && !moving) {
        mbr_setplan_make(&w.plan);
        act(&w, w.plan.pods, w.plan.n, false);
        act(&w, w.plan.extra, w.plan.n_extra, true);
    }
    if (w.wait_ms >= 0)
        fed_workqueue_add_after(c->queue, fed_str(job->key), (uint64_t)w.wait_ms + 10);
    forget_history(&w);
    write_status(&w);
    mbr_job_end(job, 0);
}

void mbr_statefulset_init(struct mbr_ctl *c)
{
    mbr_owner_init(c, "statefulset-controller", MBR_STATEFULSETS, MBR_PODS, true, reconcile);
    mbr_ctl_watch(c, MBR_REVISIONS, mbr_ctl_enqueue_controller);
}
