/* SPDX-License-Identifier: Apache-2.0 */
/* What every namespace has: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`. Keys: "NAMESPACE". */
#include "member/controllers/controllers.h"

static void keep_defaults(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns)
{
    struct fed_arena *a = &job->arena;
    struct fed_kobj *space = mbr_find(c->m, MBR_NAMESPACES, FED_STR(""), ns);
    if (!space || space->deleting)
        return;
    if (!mbr_find(c->m, MBR_SERVICEACCOUNTS, ns, FED_STR("default")))
        mbr_job_create(job, MBR_SERVICEACCOUNTS, ns, fed_obj_new(a, "v1", "ServiceAccount", ns, FED_STR("default")));
    struct fed_kobj *have = mbr_find(c->m, MBR_CONFIGMAPS, ns, FED_STR("kube-root-ca.crt"));
    struct fed_json *cm =
        have ? fed_kobj_parse(have, a) : fed_obj_new(a, "v1", "ConfigMap", ns, FED_STR("kube-root-ca.crt"));
    struct fed_json *data = fed_json_find(cm, "data");
    if (data && data->n == 1 && fed_str_eq(fed_json_find_text(data, "ca.crt"), fed_pki_dir_ca(c->m->pki)))
        return;
    data = fed_json_set(cm, "data", fed_json_object(a)); /* nothing but that */
    fed_json_set(data, "ca.crt", fed_json_new_str(a, fed_pki_dir_ca(c->m->pki)));
    if (have)
        mbr_job_update(job, MBR_CONFIGMAPS, cm, "");
    else
        mbr_job_create(job, MBR_CONFIGMAPS, ns, cm);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    if (!ns.n)
        keep_defaults(c, job, name);
    mbr_job_end(job, 0);
}

static void queue_namespace(struct mbr_ctl *c, const struct fed_kobj *o, const char *name)
{
    if (fed_str_is(o->name, name))
        mbr_ctl_add(c, FED_STR(""), o->ns);
}

static void config_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    queue_namespace(ctl, now ? now : old, "kube-root-ca.crt");
}

static void account_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    queue_namespace(ctl, now ? now : old, "default");
}

void mbr_namespace_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "namespace-defaults", reconcile);
    mbr_ctl_watch(c, MBR_NAMESPACES, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_CONFIGMAPS, config_changed);
    mbr_ctl_watch(c, MBR_SERVICEACCOUNTS, account_changed);
}
