/* SPDX-License-Identifier: Apache-2.0 */
#include "control/satoken.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "control/pass.h"
#include "kube/informer.h"

#define ACCOUNT     "kubernetes.io/service-account.name"
#define ACCOUNT_UID "kubernetes.io/service-account.uid"
#define TYPE        "kubernetes.io/service-account-token"

static const struct fed_resource secrets = {"", "v1", "secrets", "Secret", true};
static const struct fed_resource accounts = {"", "v1", "serviceaccounts", "ServiceAccount", true};

struct job { /* a call about one Secret under way */
    struct fed_pass pass;
    struct fed_satoken *ctl;
    struct fed_kobj *secret;
};
struct fed_satoken {
    struct fed_satoken_conf conf;
    char *ca;
    struct fed_informer *secrets, *accounts;
    struct fed_passes passes;
};

static void job_release(struct fed_pass *p)
{
    fed_kobj_unref(fed_container_of(p, struct job, pass)->secret);
}

static struct job *job_new(struct fed_satoken *c, const char *key, struct fed_kobj *secret)
{
    struct job *j = FED_NEW(struct job);
    j->ctl = c;
    j->secret = fed_kobj_ref(secret);
    fed_pass_begin(&c->passes, &j->pass, key);
    return j;
}

static void written(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    fed_pass_end(&j->pass, code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code);
}

/* --- an account that is gone --- */

static void looked(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    struct fed_arena a = {0};
    struct fed_json *tree = NULL;
    bool gone = code == FED_E_NOT_FOUND;
    if (code == 0 && fed_json_parse(&a, res->body, NULL, &tree, NULL) == 0)
        gone = !fed_str_eq(fed_obj_uid(tree), fed_kobj_annotation(j->secret, ACCOUNT_UID));
    fed_arena_release(&a);
    if (!gone) {
        fed_pass_end(&j->pass, code);
        return;
    }
    struct fed_kobj *s = j->secret;
    j->pass.call =
        fed_client_delete(j->ctl->conf.transport, &secrets, s->ns, s->name, "Background", s->uid, written, j);
}

/* --- a Secret without a token --- */

static struct fed_json *encoded(struct fed_arena *a, struct fed_str bytes)
{
    struct fed_buf b = {0};
    fed_base64_encode(&b, bytes);
    struct fed_json *v = fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b)));
    fed_buf_release(&b);
    return v;
}

static int fill(struct fed_satoken *c, struct job *j, struct fed_arena *a, struct fed_json *tree,
                const struct fed_kobj *account)
{
    struct fed_buf token = {0};
    struct fed_err err = {0};
    struct fed_json *data = fed_json_ensure_object(a, tree, "data");
    int rc = c->conf.make(c->conf.ud, account, j->secret->name, &token, &err);
    if (!rc && data) {
        fed_json_set(data, "token", encoded(a, fed_buf_str(&token)));
        if (c->ca[0])
            fed_json_set(data, "ca.crt", encoded(a, fed_str(c->ca)));
        fed_json_set(data, "namespace", encoded(a, j->secret->ns));
        fed_obj_set_annotation(a, tree, ACCOUNT_UID, account->uid);
        j->pass.call = fed_client_update(c->conf.transport, &secrets, tree, "", written, j);
    }
    fed_buf_release(&token);
    return data ? rc : FED_E_INVALID;
}

static void work(void *ud, const char *key)
{
    struct fed_satoken *c = ud;
    struct fed_arena a = {0};
    struct fed_str name = fed_str(key), ns;
    (void)fed_str_cut(&name, '/', &ns);
    struct fed_kobj *o = fed_informer_find(c->secrets, ns, name);
    struct fed_json *tree = o && !o->deleting ? fed_kobj_parse(o, &a) : NULL;
    struct fed_str account = o ? fed_kobj_annotation(o, ACCOUNT) : (struct fed_str){NULL, 0};
    int code = 0;
    if (!tree || !account.n || !fed_str_is(fed_json_find_text(tree, "type"), TYPE))
        goto done;
    struct fed_kobj *sa = fed_informer_find(c->accounts, ns, account);
    struct fed_str uid = fed_kobj_annotation(o, ACCOUNT_UID);
    if (uid.n && (!sa || !fed_str_eq(sa->uid, uid))) {
        struct job *j = job_new(c, key, o);
        j->pass.call = fed_client_get(c->conf.transport, &accounts, ns, account, looked, j);
        goto out;
    }
    if (sa && !sa->deleting && !fed_json_find_text(fed_json_find(tree, "data"), "token").n) {
        struct job *j = job_new(c, key, o);
        code = fill(c, j, &a, tree, sa);
        if (code == 0)
            goto out;
        fed_pass_drop(&j->pass);
    }
done:
    fed_workqueue_done(c->passes.queue, key, code);
out:
    fed_arena_release(&a);
}

/* --- what changed --- */

static void add(struct fed_satoken *c, const struct fed_kobj *o)
{
    char *key = fed_asprintf("%.*s/%.*s", FED_STR_ARG(o->ns), FED_STR_ARG(o->name));
    fed_workqueue_add(c->passes.queue, fed_str(key));
    free(key);
}

static bool is_synced(const struct fed_satoken *c)
{
    return fed_informer_synced(c->secrets) && fed_informer_synced(c->accounts);
}

static void secret_changed(void *ud, struct fed_kobj *old FED_UNUSED, struct fed_kobj *now)
{
    struct fed_satoken *c = ud;
    if (now && is_synced(c) && fed_kobj_annotation(now, ACCOUNT).n)
        add(c, now);
}

struct seek {
    struct fed_satoken *c;
    struct fed_str account;
};

static bool add_of(void *ud, struct fed_kobj *secret)
{
    struct seek *s = ud;
    struct fed_str account = fed_kobj_annotation(secret, ACCOUNT);
    if (account.n && (!s->account.n || fed_str_eq(account, s->account)))
        add(s->c, secret);
    return true;
}

static void account_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fed_satoken *c = ud;
    const struct fed_kobj *o = now ? now : old;
    struct seek s = {c, o->name};
    if (is_synced(c) && (!old || !now))
        fed_informer_each(c->secrets, o->ns, add_of, &s);
}

static void synced(void *ud)
{
    struct fed_satoken *c = ud;
    struct seek s = {.c = c};
    if (is_synced(c))
        fed_informer_each(c->secrets, FED_STR(""), add_of, &s);
}

struct fed_satoken *fed_satoken_new(const struct fed_satoken_conf *conf)
{
    struct fed_satoken *c = FED_NEW(struct fed_satoken);
    c->conf = *conf;
    c->ca = fed_strdup_str(conf->ca_pem);
    fed_passes_init(
        &c->passes,
        &(struct fed_workqueue_conf){.env = conf->transport->env, .name = "account-tokens", .work = work, .ud = c},
        job_release);
    c->secrets = fed_informer_new(&(struct fed_informer_conf){
        .transport = conf->transport, .resource = &secrets, .field_selector = "type=" TYPE});
    c->accounts = fed_informer_new(&(struct fed_informer_conf){.transport = conf->transport, .resource = &accounts});
    fed_informer_add_handlers(c->secrets,
                              &(struct fed_informer_handlers){.changed = secret_changed, .synced = synced, .ud = c});
    fed_informer_add_handlers(c->accounts,
                              &(struct fed_informer_handlers){.changed = account_changed, .synced = synced, .ud = c});
    fed_informer_start(c->secrets);
    fed_informer_start(c->accounts);
    return c;
}

void fed_satoken_free(struct fed_satoken *c)
{
    if (!c)
        return;
    fed_passes_release(&c->passes);
    fed_informer_free(c->secrets);
    fed_informer_free(c->accounts);
    free(c->ca);
    free(c);
}
