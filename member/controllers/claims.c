/* SPDX-License-Identifier: Apache-2.0 */
/* PersistentVolumeClaims: bound to a volume that fits, or, where their StorageClass is of our provisioner, to a new one:
 * a folder DIR/volumes/NAME that all nodes of the cluster see. What a volume's claim leaves behind follows the
 * reclaim policy. Finalizers hold a claim that a pod uses and a volume that a claim has. Sizes are not enforced. Keys: "NS/CLAIM", or "VOLUME". */
#include "base/file.h"
#include "kube/quantity.h"
#include "member/controllers/controllers.h"

#define PROVISIONER    "member.hansa.io/local"
#define DEFAULT_CLASS  "storageclass.kubernetes.io/is-default-class"
#define PROVISIONED_BY "pv.kubernetes.io/provisioned-by"
#define BOUND_BY       "pv.kubernetes.io/bound-by-controller"
#define HOLDS_CLAIM    "kubernetes.io/pvc-protection" /* finalizers, while a pod or a claim uses it */
#define HOLDS_VOLUME   "kubernetes.io/pv-protection"

static void put(struct fed_arena *a, struct fed_json *o, const char *key, const char *value)
{
    fed_json_set(o, key, fed_json_new_strz(a, value));
}

static void set_phase(struct mbr_job *job, enum mbr_kind kind, const struct fed_kobj *obj, const char *phase)
{
    struct fed_arena *a = &job->arena;
    const struct fed_json *tree = fed_kobj_parse(obj, a);
    struct fed_json *status = fed_json_object(a);
    if (fed_str_is(fed_json_str(fed_json_at(tree, "status", "phase", NULL)), phase))
        return;
    put(a, status, "phase", phase);
    mbr_job_merge_status(job, kind, obj, status);
}

static void release(struct mbr_job *job, enum mbr_kind kind, const struct fed_kobj *obj, const char *finalizer)
{
    if (fed_kobj_has_finalizer(obj, finalizer))
        mbr_job_merge(job, kind, obj->ns, obj->name, "", fed_kobj_patch_without_finalizer(&job->arena, obj, finalizer));
}

/* --- volumes --- */

static struct fed_str folder(struct mbr *m, struct fed_arena *a, struct fed_str volume)
{
    return fed_arena_printf(a, "%s/volumes/%.*s", m->dir, FED_STR_ARG(volume));
}

/* Whether the claim that a volume names is there. */
static bool has_claim(struct mbr *m, const struct fed_json *ref)
{
    struct fed_kobj *claim =
        ref ? mbr_find(m, MBR_CLAIMS, fed_json_find_text(ref, "namespace"), fed_json_find_text(ref, "name")) : NULL;
    return claim && fed_str_eq(claim->uid, fed_json_find_text(ref, "uid"));
}

static void reconcile_volume(struct mbr_ctl *c, struct mbr_job *job, struct fed_str name)
{
    struct fed_arena *a = &job->arena;
    struct fed_kobj *volume = mbr_find(c->m, MBR_VOLUMES, FED_STR(""), name);
    if (!volume)
        return;
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(volume, a), "spec"),
                          *ref = fed_json_find(spec, "claimRef");
    if (volume->deleting && !has_claim(c->m, ref))
        return release(job, MBR_VOLUMES, volume, HOLDS_VOLUME);
    if (volume->deleting)
        return;
    if (!ref)
        return set_phase(job, MBR_VOLUMES, volume, "Available");
    if (!fed_json_find_text(ref, "uid").n) /* kept for a claim that may come */
        return set_phase(job, MBR_VOLUMES, volume, "Available");
    if (has_claim(c->m, ref))
        return set_phase(job, MBR_VOLUMES, volume, "Bound");
    bool ours = fed_str_is(fed_kobj_annotation(volume, PROVISIONED_BY), PROVISIONER);
    if (!ours || !fed_str_is(fed_json_find_text(spec, "persistentVolumeReclaimPolicy"), "Delete"))
        return set_phase(job, MBR_VOLUMES, volume, "Released");
    fed_file_remove_tree(folder(c->m, a, volume->name).p);
    mbr_job_delete(job, MBR_VOLUMES, volume);
}

/* --- claims --- */

static int64_t bytes(const struct fed_json *v)
{
    int64_t n = 0;
    return fed_quantity_units(v ? v->s : FED_STR("0"), &n) == 0 ? n : 0;
}

struct match {
    struct fed_arena *a;
    const struct fed_kobj *claim;
    const struct fed_json *spec;
    struct fed_kobj *best;
    int64_t size; /* of the best */
};

static bool has_all(const struct fed_json *have, const struct fed_json *want)
{
    FED_JSON_EACH(w, want) {
        bool found = false;
        FED_JSON_EACH(h, have)
            found = found || fed_str_eq(fed_json_str(h), fed_json_str(w));
        if (!found)
            return false;
    }
    return true;
}

/* The smallest volume that suits; one that names the claim before all others. */
static bool look_at(void *ud, struct fed_kobj *volume)
{
    struct match *x = ud;
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(volume, x->a), "spec"),
                          *ref = fed_json_find(spec, "claimRef");
    struct fed_str wanted = fed_json_find_text(x->spec, "volumeName"), uid = fed_json_find_text(ref, "uid");
    int64_t size = bytes(fed_json_at(spec, "capacity", "storage", NULL));
    bool named = ref && fed_str_eq(fed_json_find_text(ref, "namespace"), x->claim->ns) &&
                 fed_str_eq(fed_json_find_text(ref, "name"), x->claim->name);
    if (volume->deleting || (ref && !named) || (uid.n && !fed_str_eq(uid, x->claim->uid)))
        return true;
    if (wanted.n && !fed_str_eq(wanted, volume->name))
        return true;
    if (!fed_str_eq(fed_json_find_text(spec, "storageClassName"), fed_json_find_text(x->spec, "storageClassName")) ||
        size < bytes(fed_json_at(x->spec, "resources", "requests", "storage", NULL)) ||
        !has_all(fed_json_find(spec, "accessModes"), fed_json_find(x->spec, "accessModes")))
        return true;
    if (!x->best || named || size < x->size) {
        x->best = volume;
        x->size = size;
    }
    return !named;
}

static struct fed_json *reference(struct fed_arena *a, const struct fed_kobj *claim)
{
    struct fed_json *ref = fed_json_object(a);
    put(a, ref, "apiVersion", "v1");
    put(a, ref, "kind", "PersistentVolumeClaim");
    fed_json_set(ref, "namespace", fed_json_new_str(a, claim->ns));
    fed_json_set(ref, "name", fed_json_new_str(a, claim->name));
    fed_json_set(ref, "uid", fed_json_new_str(a, claim->uid));
    return ref;
}

static void bind_claim(struct mbr_job *job, const struct fed_kobj *claim, struct fed_str volume,
                       const struct fed_json *spec, const struct fed_json *capacity)
{
    struct fed_arena *a = &job->arena;
    struct fed_json *patch = fed_json_object(a), *to = fed_json_object(a), *status = fed_json_object(a);
    if (!fed_str_eq(fed_json_find_text(spec, "volumeName"), volume)) {
        fed_json_set(to, "volumeName", fed_json_new_str(a, volume));
        fed_json_set(patch, "spec", to);
        fed_obj_set_annotation(a, patch, "pv.kubernetes.io/bind-completed", FED_STR("yes"));
        if (!fed_json_find_text(spec, "volumeName").n)
            fed_obj_set_annotation(a, patch, BOUND_BY, FED_STR("yes"));
        mbr_job_merge(job, MBR_CLAIMS, claim->ns, claim->name, "", patch);
    }
    put(a, status, "phase", "Bound");
    fed_json_set(status, "accessModes", fed_json_copy(a, fed_json_find(spec, "accessModes")));
    if (capacity)
        fed_json_set(status, "capacity", fed_json_copy(a, capacity));
    mbr_job_merge_status(job, MBR_CLAIMS, claim, status);
}

static void provision(struct mbr_ctl *c, struct mbr_job *job, const struct fed_kobj *claim, const struct fed_json *spec,
                      const struct fed_json *class)
{
    struct fed_arena *a = &job->arena;
    struct fed_str name = fed_arena_printf(a, "pvc-%.*s", FED_STR_ARG(claim->uid)), path = folder(c->m, a, name);
    struct fed_json *volume = fed_obj_new(a, "v1", "PersistentVolume", FED_STR(""), name), *to = fed_json_object(a);
    struct fed_json *host = fed_json_object(a), *capacity = fed_json_object(a);
    struct fed_str policy = fed_json_find_text(class, "reclaimPolicy");
    const struct fed_json *size = fed_json_at(spec, "resources", "requests", "storage", NULL);
    struct fed_err err = {0};
    if (fed_file_mkdirs(path.p, 0777, &err) < 0)
        return fed_event_warning(c->events, claim, "ProvisioningFailed", "%s", err.text);
    fed_obj_set_annotation(a, volume, PROVISIONED_BY, FED_STR(PROVISIONER));
    fed_json_set(host, "path", fed_json_new_str(a, path));
    put(a, host, "type", "DirectoryOrCreate");
    fed_json_set(to, "hostPath", host);
    if (size)
        fed_json_set(capacity, "storage", fed_json_copy(a, size));
    fed_json_set(to, "capacity", capacity);
    fed_json_set(to, "accessModes", fed_json_copy(a, fed_json_find(spec, "accessModes")));
    fed_json_set(to, "claimRef", reference(a, claim));
    fed_json_set(to, "persistentVolumeReclaimPolicy", fed_json_new_str(a, policy.n ? policy : FED_STR("Delete")));
    fed_json_set(to, "storageClassName", fed_json_new_str(a, fed_obj_name(class)));
    put(a, to, "volumeMode", "Filesystem");
    fed_json_set(volume, "spec", to);
    mbr_job_create(job, MBR_VOLUMES, FED_STR(""), volume);
    bind_claim(job, claim, name, spec, capacity);
    fed_event_normal(c->events, claim, "ProvisioningSucceeded", "Successfully provisioned volume %.*s",
                     FED_STR_ARG(name));
}

struct users {
    struct mbr *m;
    struct fed_str claim;
    bool any;
};

/* A pod without a node is not started any more once its claim goes. */
static bool find_user(void *ud, struct fed_kobj *pod)
{
    struct users *x = ud;
    struct fed_arena a = {0};
    if (!mbr_pod_info_get(x->m, pod)->node.n)
        return true;
    FED_JSON_EACH(v, fed_json_at(fed_kobj_parse(pod, &a), "spec", "volumes", NULL)) {
        struct fed_str made =
            fed_arena_printf(&a, "%.*s-%.*s", FED_STR_ARG(pod->name), FED_STR_ARG(fed_json_find_text(v, "name")));
        const struct fed_json *by = fed_json_find(v, "persistentVolumeClaim");
        x->any = x->any || (by && fed_str_eq(fed_json_find_text(by, "claimName"), x->claim)) ||
                 (fed_json_find(v, "ephemeral") && fed_str_eq(made, x->claim));
    }
    fed_arena_release(&a);
    return !x->any;
}

static bool is_used(struct mbr *m, const struct fed_kobj *claim)
{
    struct users x = {.m = m, .claim = claim->name};
    fed_informer_each(m->informers[MBR_PODS], claim->ns, find_user, &x);
    return x.any;
}

static void reconcile_claim(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct fed_arena *a = &job->arena;
    struct fed_kobj *claim = mbr_find(c->m, MBR_CLAIMS, ns, name);
    if (!claim)
        return;
    if (claim->deleting && !is_used(c->m, claim))
        return release(job, MBR_CLAIMS, claim, HOLDS_CLAIM);
    if (claim->deleting)
        return;
    const struct fed_json *tree = fed_kobj_parse(claim, a), *spec = fed_json_find(tree, "spec");
    struct fed_str phase = fed_json_str(fed_json_at(tree, "status", "phase", NULL));
    struct fed_str wanted = fed_json_find_text(spec, "volumeName"),
                   class_name = fed_json_find_text(spec, "storageClassName");
    if (fed_str_is(phase, "Bound")) {
        if (!mbr_find(c->m, MBR_VOLUMES, FED_STR(""), wanted))
            set_phase(job, MBR_CLAIMS, claim, "Lost");
        return;
    }
    struct match x = {.a = a, .claim = claim, .spec = spec};
    fed_informer_each(c->m->informers[MBR_VOLUMES], FED_STR(""), look_at, &x);
    if (x.best) {
        struct fed_json *patch = fed_json_object(a), *to = fed_json_object(a);
        fed_json_set(to, "claimRef", reference(a, claim));
        fed_json_set(patch, "spec", to);
        if (!fed_json_at(fed_kobj_parse(x.best, a), "spec", "claimRef", NULL))
            fed_obj_set_annotation(a, patch, BOUND_BY, FED_STR("yes"));
        mbr_job_merge(job, MBR_VOLUMES, FED_STR(""), x.best->name, "", patch);
        return bind_claim(job, claim, x.best->name, spec,
                          fed_json_at(fed_kobj_parse(x.best, a), "spec", "capacity", NULL));
    }
    struct fed_kobj *class = mbr_find(c->m, MBR_CLASSES, FED_STR(""), class_name);
    const struct fed_json *class_tree = class ? fed_kobj_parse(class, a) : NULL;
    if (class && fed_str_is(fed_json_find_text(class_tree, "provisioner"), PROVISIONER) && !wanted.n)
        provision(c, job, claim, spec, class_tree);
    else if (class_name.n && !class)
        fed_event_warning(c->events, claim, "ProvisioningFailed", "storageclass.storage.k8s.io \"%.*s\" not found",
                          FED_STR_ARG(class_name));
    else
        fed_event_normal(c->events, claim, "FailedBinding",
                         "no persistent volumes available for this claim and no storage class is set");
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    if (ns.n)
        reconcile_claim(c, job, ns, name);
    else
        reconcile_volume(c, job, name);
    mbr_job_end(job, 0);
}

static void claim_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    struct fed_arena a = {0};
    const struct fed_kobj *o = now ? now : old;
    struct fed_str volume = fed_json_str(fed_json_at(fed_kobj_parse(o, &a), "spec", "volumeName", NULL));
    mbr_ctl_enqueue_self(c, old, now);
    if (volume.n)
        mbr_ctl_add(c, FED_STR(""), volume);
    fed_arena_release(&a);
}

static bool enqueue_claim(void *ud, struct fed_kobj *claim)
{
    mbr_ctl_add(ud, claim->ns, claim->name);
    return true;
}

static void volume_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    mbr_ctl_enqueue_self(c, old, now);
    if (!old || !now) /* a new one may suit who waits; claims of a lost one are told */
        fed_informer_each(c->m->informers[MBR_CLAIMS], FED_STR(""), enqueue_claim, c);
}

static void class_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    if (!old && now)
        fed_informer_each(c->m->informers[MBR_CLAIMS], FED_STR(""), enqueue_claim, c);
}

static bool enqueue_leaving(void *ud, struct fed_kobj *claim)
{
    if (claim->deleting)
        mbr_ctl_add(ud, claim->ns, claim->name);
    return true;
}

static void pod_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    if (!now)
        fed_informer_each(c->m->informers[MBR_CLAIMS], old->ns, enqueue_leaving, c);
}

static bool any(void *ud, struct fed_kobj *class)
{
    (void)class;
    *(bool *)ud = true;
    return false;
}

/* A cluster without classes gets ours as the default. */
static void make_class(struct mbr_ctl *c)
{
    struct fed_arena a = {0};
    bool have = false;
    fed_informer_each(c->m->informers[MBR_CLASSES], FED_STR(""), any, &have);
    if (!have) {
        struct fed_json *class = fed_obj_new(&a, "storage.k8s.io/v1", "StorageClass", FED_STR(""), FED_STR("local"));
        fed_obj_set_annotation(&a, class, DEFAULT_CLASS, FED_STR("true"));
        put(&a, class, "provisioner", PROVISIONER);
        put(&a, class, "reclaimPolicy", "Delete");
        put(&a, class, "volumeBindingMode", "Immediate");
        fed_client_create(c->m->client, mbr_resource(MBR_CLASSES), FED_STR(""), class, NULL, NULL);
    }
    fed_arena_release(&a);
}

struct by_default {
    struct fed_str name;
};

static bool is_default(void *ud, struct fed_kobj *class)
{
    if (fed_str_is(fed_kobj_annotation(class, DEFAULT_CLASS), "true"))
        ((struct by_default *)ud)->name = class->name;
    return true;
}

static void set_default_class(struct mbr *m, struct fed_arena *a, struct fed_json *spec)
{
    struct by_default d = {{0}};
    if (fed_json_find(spec, "storageClassName") || !m->informers[MBR_CLASSES])
        return;
    fed_informer_each(m->informers[MBR_CLASSES], FED_STR(""), is_default, &d);
    if (d.name.n)
        fed_json_set(spec, "storageClassName", fed_json_new_str(a, fed_arena_dup(a, d.name)));
}

void mbr_claims_admit(struct mbr *m, struct fed_arena *a, const struct fed_kind *kind, struct fed_json *obj)
{
    if (kind->group.n)
        return;
    if (fed_str_is(kind->plural, "persistentvolumes"))
        fed_obj_add_finalizer(a, obj, HOLDS_VOLUME);
    if (!fed_str_is(kind->plural, "persistentvolumeclaims"))
        return;
    set_default_class(m, a, fed_json_find(obj, "spec"));
    fed_obj_add_finalizer(a, obj, HOLDS_CLAIM);
}

void mbr_claims_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "persistentvolume-controller", reconcile);
    mbr_ctl_watch(c, MBR_CLAIMS, claim_changed);
    mbr_ctl_watch(c, MBR_VOLUMES, volume_changed);
    mbr_ctl_watch(c, MBR_CLASSES, class_changed);
    mbr_ctl_watch(c, MBR_PODS, pod_changed);
    make_class(c);
}
