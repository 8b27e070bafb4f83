/* SPDX-License-Identifier: Apache-2.0 */
/* What every namespace has: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`; and the tokens of Secrets of type
 * kubernetes.io/service-account-token. Keys: "NAMESPACE", or "NAMESPACE/SECRET". */
#include "base/file.h"
#include "codec/base64.h"
#include "member/controllers/controllers.h"

#define ACCOUNT     "kubernetes.io/service-account.name"
#define ACCOUNT_UID "kubernetes.io/service-account.uid"

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
    struct fed_json *data = fed_json_ensure_object(a, cm, "data");
    if (fed_str_eq(fed_json_find_text(data, "ca.crt"), fed_pki_dir_ca(c->m->pki)))
        return;
    fed_json_set(data, "ca.crt", fed_json_new_str(a, fed_pki_dir_ca(c->m->pki)));
    if (have)
        mbr_job_update(job, MBR_CONFIGMAPS, cm, "");
    else
        mbr_job_create(job, MBR_CONFIGMAPS, ns, cm);
}

static struct fed_json *encoded(struct fed_arena *a, struct fed_str bytes)
{
    struct fed_buf b = {0};
    fed_base64_encode(&b, bytes);
    struct fed_json *v = fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b)));
    fed_buf_release(&b);
    return v;
}

static void fill_token(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    struct fed_arena *a = &job->arena;
    struct fed_kobj *obj = mbr_find(c->m, MBR_SECRETS, ns, name);
    if (!obj || obj->deleting)
        return;
    struct fed_str account = fed_kobj_annotation(obj, ACCOUNT);
    struct fed_kobj *sa = mbr_find(c->m, MBR_SERVICEACCOUNTS, ns, account);
    struct fed_json *secret = fed_kobj_parse(obj, a);
    if (!sa || !fed_str_is(fed_json_find_text(secret, "type"), "kubernetes.io/service-account-token"))
        return;
    struct fed_json *data = fed_json_ensure_object(a, secret, "data");
    if (fed_json_find_text(data, "token").n && fed_str_eq(fed_kobj_annotation(obj, ACCOUNT_UID), sa->uid))
        return;
    struct fed_buf token = {0};
    struct fed_err err = {0};
    if (fed_api_legacy_token(c->m->api, ns, account, sa->uid, name, &token, &err) < 0) {
        fed_event_warning(c->events, obj, "TokenFailed", "%s", err.text);
    } else {
        fed_json_set(data, "token", encoded(a, fed_buf_str(&token)));
        fed_json_set(data, "ca.crt", encoded(a, fed_pki_dir_ca(c->m->pki)));
        fed_json_set(data, "namespace", encoded(a, ns));
        fed_obj_set_annotation(a, secret, ACCOUNT_UID, sa->uid);
        mbr_job_update(job, MBR_SECRETS, secret, "");
    }
    fed_buf_release(&token);
}

static void reconcile(struct mbr_ctl *c, struct mbr_job *job, struct fed_str ns, struct fed_str name)
{
    if (ns.n)
        fill_token(c, job, ns, name);
    else
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

static void secret_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    (void)old;
    if (now && fed_kobj_annotation(now, ACCOUNT).n)
        mbr_ctl_add(ctl, now->ns, now->name);
}

struct account {
    struct mbr_ctl *c;
    struct fed_str name;
};

static bool queue_tokens(void *ud, struct fed_kobj *secret)
{
    struct account *x = ud;
    if (fed_str_eq(fed_kobj_annotation(secret, ACCOUNT), x->name))
        mbr_ctl_add(x->c, secret->ns, secret->name);
    return true;
}

static void account_changed(void *ctl, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_ctl *c = ctl;
    const struct fed_kobj *o = now ? now : old;
    queue_namespace(c, o, "default");
    if (now && !old)
        fed_informer_each(c->m->informers[MBR_SECRETS], o->ns, queue_tokens, &(struct account){c, o->name});
}

void mbr_namespace_init(struct mbr_ctl *c)
{
    mbr_ctl_queue(c, "namespace-defaults", reconcile);
    mbr_ctl_watch(c, MBR_NAMESPACES, mbr_ctl_enqueue_self);
    mbr_ctl_watch(c, MBR_CONFIGMAPS, config_changed);
    mbr_ctl_watch(c, MBR_SERVICEACCOUNTS, account_changed);
    mbr_ctl_watch(c, MBR_SECRETS, secret_changed);
}
