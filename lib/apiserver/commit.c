/* SPDX-License-Identifier: Apache-2.0 */
/* From the computed object to the store and the answer: admission, hooks, validation, commit, retry. */
#include "apiserver/fence_priv.h"
#include "apiserver/admission.h"
#include "apiserver/cert_requests.h"
#include "apiserver/custom.h"
#include "apiserver/encryption.h"
#include "apiserver/quota.h"
#include "apiserver/quota_guard.h"
#include "apiserver/rbac.h"
#include "apiserver/registry.h"
#include "base/mem.h"
#include "kube/rules.h"

#define OBJECT_MAX (3u * 512 * 1024) /* as it is stored: what etcd takes, which all stores keep to */

#define MAX_ATTEMPTS 5

/* --- the answer --- */

/* The object as it was committed at `rev`, from the log. */
static struct fed_kobj *committed_object(struct fed_api *api, uint64_t rev, struct fed_kcache *kc, struct fed_str ns,
                                         struct fed_str name)
{
    uint64_t seq;
    if (rev && fed_cache_seq_after(&api->cache, rev - 1, &seq) == 0)
        for (; seq < api->cache.next_seq; seq++) {
            const struct fed_change *ch = fed_cache_change(&api->cache, seq);
            if (ch->rev != rev)
                break;
            if (ch->kc == kc && fed_str_eq(ch->now->ns, ns) && fed_str_eq(ch->now->name, name))
                return ch->now;
        }
    return fed_cache_find(kc, ns, name);
}

static void answer_tree(struct fed_write_op *op, uint64_t rev)
{
    struct fed_kobj *o = NULL;
    struct fed_err err = {0};
    fed_commit_release(op);
    if (fed_kobj_from_tree(op->obj, rev, &o, &err))
        fed_api_fail_err(op->r, &err);
    else
        fed_api_answer_object(op->r, op->create ? 201 : 200, o);
    fed_kobj_unref(o);
}

static void take_quota(struct fed_write_op *op);

/* The process does not lead any more: whatever it meant to write is another's to decide. */
static void fail_fenced(struct fed_write_op *op)
{
    fed_metric_add(op->r->api->m_fenced, 1);
    fed_err_set(&op->err, FED_E_CANCELED, "not written: this process does not lead the controllers any more");
    fed_commit_fail(op, FED_E_CANCELED);
}

static void committed(void *ud, int code, uint64_t rev, const struct fed_err *err)
{
    struct fed_write_op *op = ud;
    struct fed_api_reply *r = op->r;
    if (code == FED_E_CONFLICT && fed_guard_missed(op)) {
        fed_quota_settle(op);
        take_quota(op);
        return;
    }
    fed_commit_settle(op, code == 0);
    if (code == FED_E_CONFLICT && r->fence && !fed_fence_holds(r->fence)) {
        fail_fenced(op);
        return;
    }
    if (code == FED_E_CONFLICT) {
        fed_commit_release(op);
        if (fed_commit_may_retry(op)) {
            op->again(op);
        } else if (op->create) {
            op->err = (struct fed_err){0};
            fed_commit_fail(op, FED_E_ALREADY_EXISTS);
        } else {
            op->err = (struct fed_err){0};
            fed_commit_fail(op, FED_E_CONFLICT);
        }
        return;
    }
    if (code) {
        if (err)
            op->err = *err;
        fed_commit_fail(op, code);
        return;
    }
    if (op->done) {
        fed_commit_release(op);
        op->done(op, 0, rev, NULL);
        return;
    }
    if (op->removing) {
        answer_tree(op, rev);
        return;
    }
    struct fed_kobj *o = fed_kobj_ref(
        committed_object(r->api, rev, r->kc, r->v->kind->namespaced ? r->q.ns : (struct fed_str){NULL, 0}, r->q.name));
    if (o) {
        fed_commit_release(op);
        fed_api_answer_object(r, op->create ? 201 : 200, o);
    } else {
        answer_tree(op, rev);
    }
    fed_kobj_unref(o);
}

bool fed_commit_may_retry(struct fed_write_op *op)
{
    if (op->client_rev || (op->create && !op->generated && strcmp(op->r->q.verb, "create") == 0))
        return false;
    fed_write_op_reset(op);
    return ++op->attempts < MAX_ATTEMPTS;
}

/* The value as it is to lie in the store. False: failed, answered. */
static bool seal(struct fed_write_op *op, struct fed_str key, struct fed_buf *value)
{
    struct fed_api *api = op->r->api;
    struct fed_buf sealed = {0};
    int rc =
        fed_encryption_seal(api->cache.encryption, api->env, op->w.kind, key, fed_buf_str(value), &sealed, &op->err);
    fed_buf_release(value);
    *value = sealed;
    if (rc == 0)
        return true;
    fed_buf_release(value);
    fed_commit_fail(op, rc);
    return false;
}

void fed_commit_store(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_api_reply *r = op->r;
    struct fed_api *api = r->api;
    int rc = fed_custom_check_commit(op);
    if (rc) {
        fed_commit_fail(op, rc);
        return;
    }
    if (r->q.dry_run) {
        if (op->create && fed_cache_find(r->kc, r->q.ns, r->q.name)) {
            fed_commit_fail(op, FED_E_ALREADY_EXISTS);
            return;
        }
        fed_commit_settle(op, false);
        if (op->done) {
            fed_commit_release(op);
            op->done(op, 0, 0, NULL);
            return;
        }
        answer_tree(op, op->old ? op->old->rev : 0);
        return;
    }
    if (r->fence && !fed_fence_holds(r->fence)) {
        fail_fenced(op);
        return;
    }
    struct fed_buf key = {0}, value = {0};
    fed_cache_key(op->w.kind, r->q.ns, r->q.name, &key);
    struct fed_blob *blob = NULL;
    if (obj) {
        fed_cache_encode(op->w.kind, obj, &value);
        if (value.n > OBJECT_MAX) {
            fed_err_set(&op->err, FED_E_TOO_LARGE, "Request entity too large: the object has %zu bytes, limit is %u",
                        value.n, OBJECT_MAX);
            fed_buf_release(&value);
            fed_buf_release(&key);
            fed_commit_fail(op, FED_E_TOO_LARGE);
            return;
        }
        if (api->cache.encryption && !seal(op, fed_buf_str(&key), &value)) {
            fed_buf_release(&key);
            return;
        }
        blob = fed_blob_new_take(&value);
    }
    struct store_op so[3] = {
        {.key = fed_buf_str(&key), .value = blob, .expect = op->old ? op->old->rev : STORE_ABSENT}};
    size_t n = 1 + fed_fence_check(r->fence, &so[1]);
    size_t guarded = fed_guard_op(op, &so[n]); /* last: whoever sees it has seen the object */
    fed_api_request_defer(r);
    api->conf.store->ops->commit(api->conf.store, so, n + guarded, committed, op);
    if (guarded)
        fed_blob_unref(so[n].value);
    fed_blob_unref(blob);
    fed_buf_release(&key);
}

/* --- before the commit --- */

/* Defaults that a kind computes. Webhooks' changes get them, too. */
static bool run_defaults(struct fed_write_op *op)
{
    const struct fed_hooks *h = &op->w.kind->hooks;
    int rc = h->defaults ? h->defaults(h->ud, &op->w, op->obj, &op->err) : 0;
    if (rc)
        fed_commit_refuse(op, rc);
    return rc == 0;
}

/* What the server itself fills in. */
static bool fill_in(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    const struct fed_api_conf *conf = &r->api->conf;
    int rc = 0;
    if (fed_str_is(op->w.kind->plural, "namespaces") && !op->w.kind->group.n)
        rc = fed_ns_prepare(&op->w, op->obj);
    fed_cert_request_prepare(op);
    if (conf->admit)
        rc = conf->admit(conf->ud, &r->q, op->w.kind, op->old_tree, op->obj, &op->err);
    if (rc) {
        fed_commit_refuse(op, rc);
        return false;
    }
    rc = fed_admission_defaults(op);
    if (rc)
        fed_commit_refuse(op, rc);
    return rc == 0;
}

/* A custom kind's rules are those of the request's version. Where versions differ in more than their name, the rules of
 * the stored one: only in it are both objects at hand. */
static void check_rules(struct fed_write_op *op)
{
    const struct fed_kind_version *v = op->w.kind->conversion ? fed_kind_storage(op->w.kind) : op->r->v;
    if (v->rules)
        fed_rules_check(v->rules, op->obj, op->old_tree, &op->causes, op->w.warn, op->w.warn_ud);
}

static bool run_hooks(struct fed_write_op *op)
{
    const struct fed_hooks *h = &op->w.kind->hooks;
    const struct fed_api_reply *r = op->r;
    int rc;
    fed_owners_after(op);
    if (!fed_rbac_may_grant(op)) /* after webhooks that change objects; answered, so op may be gone */
        return false;
    if (h->prepare) {
        op->prepared = true;
        rc = h->prepare(h->ud, &op->w, op->obj, &op->err);
        if (rc) {
            fed_commit_refuse(op, rc);
            return false;
        }
    }
    fed_schema_zeros(op->w.arena, fed_kind_storage(op->w.kind)->schema, op->obj);
    fed_meta_validate(op, op->obj);
    /* Another version of a custom kind was validated by its own schema (decode.c). */
    if (!op->w.kind->custom || r->v == fed_kind_storage(op->w.kind) || r->form.scale)
        fed_schema_validate(fed_kind_storage(op->w.kind)->schema, op->obj, &op->causes, NULL);
    check_rules(op);
    if (h->validate)
        h->validate(h->ud, &op->w, op->obj, &op->causes);
    if (fed_str_is(op->w.kind->group, "admissionregistration.k8s.io"))
        fed_hook_check(op->obj, &op->causes);
    if (op->causes.n) {
        if (!op->w.kind->custom)
            fed_causes_order(fed_kind_storage(op->w.kind)->schema, &op->causes);
        fed_commit_fail_causes(op);
        return false;
    }
    rc = fed_cert_request_admit(op);
    if (rc == 0)
        rc = fed_admission_limits(op);
    if (rc)
        fed_commit_refuse(op, rc);
    return rc == 0;
}

static bool is_last_finalizer(struct fed_write_op *op)
{
    const struct fed_str sub = op->w.subresource;
    if (!op->old || !op->old->deleting || (sub.n && !fed_str_is(sub, "finalize") && !fed_str_is(sub, "status")))
        return false;
    const struct fed_json *meta = fed_json_find(op->obj, "metadata"), *f = fed_json_find(meta, "finalizers");
    if ((f && f->n) || fed_json_int(fed_json_find(meta, "deletionGracePeriodSeconds"), 0) > 0)
        return false;
    bool is_namespace = fed_str_is(op->w.kind->plural, "namespaces") && !op->w.kind->group.n;
    const struct fed_json *spec = is_namespace ? fed_json_at(op->obj, "spec", "finalizers", NULL) : NULL;
    return !spec || !spec->n;
}

static void unchanged(struct fed_write_op *op)
{
    struct fed_kobj *o = fed_kobj_ref(op->old);
    fed_commit_settle(op, false);
    fed_commit_release(op);
    if (op->done)
        op->done(op, 0, o->rev, NULL);
    else
        fed_api_answer_object(op->r, 200, o);
    fed_kobj_unref(o);
}

/* A value that is not encrypted as it should be is written anew even when nothing changes: `kubectl replace` of what was
 * read rotates keys. */
static bool is_stale(struct fed_write_op *op)
{
    struct fed_cache *c = &op->r->api->cache;
    if (!c->encryption && !fed_map_count(&c->sealed))
        return false;
    struct fed_buf key = {0};
    fed_cache_key(op->w.kind, op->r->q.ns, op->r->q.name, &key);
    bool stale = !fed_str_eq(fed_cache_key_id(c, fed_buf_str(&key)), fed_encryption_writer(c->encryption, op->w.kind));
    fed_buf_release(&key);
    return stale;
}

/* The object is computed: quota, then the store. Again when it is its turn, or after another process took from the quota. */
static void take_quota(struct fed_write_op *op)
{
    int rc = fed_quota_admit(op, take_quota);
    if (rc == FED_GUARD_WAITS)
        return;
    if (rc)
        fed_commit_refuse(op, rc);
    else
        fed_commit_store(op, op->removing ? NULL : op->obj);
}

/* Admitted: only quota, and the store, may still say no. */
static void admitted(struct fed_write_op *op)
{
    struct fed_api_reply *r = op->r;
    struct fed_arena *a = op->w.arena;
    if (op->waited && op->create && op->w.kind->namespaced && !op->done && !fed_api_ns_is_open(r->api, r->q.ns)) {
        fed_commit_settle(op, false);
        fed_commit_release(op);
        (void)fed_api_ns_open(r, r->q.ns); /* answers */
        return;
    }
    struct fed_json *meta = fed_json_find(op->obj, "metadata");
    if (op->old) {
        fed_json_remove_key(meta, "resourceVersion");
        op->removing = is_last_finalizer(op);
        if (!op->removing && !is_stale(op) && fed_meta_same(op->old_tree, op->obj) &&
            fed_meta_same_managers(op->old_tree, op->obj)) {
            unchanged(op);
            return;
        }
        if (op->w.kind->has_generation && fed_meta_spec_changed(op))
            fed_json_set(
                meta, "generation",
                fed_json_new_int(a, fed_json_int(fed_json_at(op->old_tree, "metadata", "generation", NULL), 0) + 1));
    }
    take_quota(op);
}

static void mutated(struct fed_write_op *op)
{
    if ((!op->waited || run_defaults(op)) && run_hooks(op))
        fed_admission_validate_write(op, admitted);
}

void fed_commit_object(struct fed_write_op *op)
{
    op->w.old = op->old_tree;
    if (!run_defaults(op))
        return;
    fed_owners_track(op);
    if (fill_in(op))
        fed_admission_mutate_write(op, mutated);
}
