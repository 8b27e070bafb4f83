/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/cert_requests.h"

#include "crypto/pki_request.h"
#include "kube/certificates.h"

#define GROUP "certificates.k8s.io"

bool fed_cert_request_kind(const struct fed_kind *k)
{
    return fed_str_is(k->group, GROUP) && fed_str_is(k->plural, "certificatesigningrequests");
}

/* --- what the server fills in --- */

static void set_texts(struct fed_arena *a, struct fed_json *o, const char *key, const struct fed_str *list, size_t n)
{
    struct fed_json *to = fed_json_set(o, key, fed_json_array(a));
    for (size_t i = 0; i < n; i++)
        fed_json_push(to, fed_json_new_str(a, list[i]));
}

static void set_requester(struct fed_write_op *op)
{
    static const char *const fields[] = {"username", "uid", "groups", "extra"};
    const struct fed_identity *who = &op->r->q.who;
    struct fed_arena *a = op->w.arena;
    struct fed_json *spec = fed_json_ensure_object(a, op->obj, "spec");
    for (size_t i = 0; i < FED_ARRAY_LEN(fields); i++)
        fed_json_remove_key(spec, fields[i]);
    fed_json_set(spec, "username", fed_json_new_str(a, who->user));
    if (who->uid.n)
        fed_json_set(spec, "uid", fed_json_new_str(a, who->uid));
    if (who->n_groups)
        set_texts(a, spec, "groups", who->groups, who->n_groups);
    struct fed_json *extra = who->n_extra ? fed_json_set(spec, "extra", fed_json_object(a)) : NULL;
    for (size_t i = 0; i < who->n_extra; i++) {
        struct fed_str key = fed_arena_dup(a, who->extra[i].key);
        set_texts(a, extra, fed_arena_dupz(a, key), who->extra[i].values, who->extra[i].n_values);
    }
}

static void keep_spec(struct fed_write_op *op)
{
    const struct fed_json *spec = fed_json_find(op->old_tree, "spec");
    if (spec)
        fed_json_set(op->obj, "spec", fed_json_copy(op->w.arena, spec));
}

static struct fed_json *find_like(const struct fed_json *conditions, const struct fed_json *c, bool same_status)
{
    FED_JSON_EACH(x, conditions)
        if (fed_str_eq(fed_json_find_text(x, "type"), fed_json_find_text(c, "type")) &&
            (!same_status || fed_str_eq(fed_json_find_text(x, "status"), fed_json_find_text(c, "status"))))
            return x;
    return NULL;
}

/* Whoever signs writes back what he read, perhaps with times that he does not know. */
static void keep_decisions(struct fed_arena *a, struct fed_json *conditions, const struct fed_json *old)
{
    static const char *const kept[] = {"Approved", "Denied"};
    FED_JSON_EACH_SAFE(c, conditions) {
        const struct fed_json *before = find_like(old, c, false);
        for (size_t i = 0; before && i < FED_ARRAY_LEN(kept); i++)
            if (fed_str_is(fed_json_find_text(c, "type"), kept[i])) {
                FED_JSON_EACH_SAFE(f, c)
                    fed_json_remove(f);
                FED_JSON_EACH(f, before)
                    fed_json_set_str(c, f->key, fed_json_copy(a, f));
            }
    }
}

static void set_times(struct fed_write_op *op, struct fed_json *conditions, const struct fed_json *old)
{
    struct fed_arena *a = op->w.arena;
    char now[21];
    fed_time_format(fed_wall_ms(op->w.env), now);
    FED_JSON_EACH(c, conditions) {
        if (c->type != FED_JSON_OBJECT)
            continue;
        if (!fed_json_find_text(c, "lastUpdateTime").n)
            fed_json_set(c, "lastUpdateTime", fed_json_new_str(a, fed_arena_dup(a, fed_str(now))));
        if (fed_json_find_text(c, "lastTransitionTime").n)
            continue;
        struct fed_str since = fed_json_find_text(find_like(old, c, true), "lastTransitionTime");
        fed_json_set(c, "lastTransitionTime", fed_json_new_str(a, fed_arena_dup(a, since.n ? since : fed_str(now))));
    }
}

void fed_cert_request_approval(struct fed_arena *a, struct fed_json *base, struct fed_json *obj)
{
    struct fed_json *conditions = fed_json_at(obj, "status", "conditions", NULL);
    struct fed_json *status = fed_json_ensure_object(a, base, "status");
    if (!conditions) {
        fed_json_remove_key(status, "conditions");
        return;
    }
    fed_json_remove(conditions);
    fed_json_set(status, "conditions", conditions);
}

void fed_cert_request_prepare(struct fed_write_op *op)
{
    if (!fed_cert_request_kind(op->w.kind))
        return;
    if (!op->old) {
        set_requester(op);
        return;
    }
    keep_spec(op);
    struct fed_json *conditions = fed_json_at(op->obj, "status", "conditions", NULL);
    const struct fed_json *old = fed_json_at(op->old_tree, "status", "conditions", NULL);
    if (!op->w.subresource.n || !conditions || conditions->type != FED_JSON_ARRAY)
        return;
    if (fed_str_is(op->w.subresource, "status"))
        keep_decisions(op->w.arena, conditions, old);
    set_times(op, conditions, old);
}

/* --- who may --- */

static bool may(struct fed_api_reply *r, const char *verb, struct fed_str signer)
{
    struct fed_str path = signer, domain;
    struct fed_api_request q = {.verb = verb,
                                .group = FED_STR(GROUP),
                                .version = FED_STR("*"),
                                .resource = FED_STR("signers"),
                                .name = signer,
                                .path = r->q.path,
                                .who = r->q.who,
                                .arena = &r->arena};
    if (fed_api_authorized(r->api, &q))
        return true;
    (void)fed_str_cut(&path, '/', &domain);
    q.name = fed_arena_printf(&r->arena, "%.*s/*", FED_STR_ARG(domain));
    return fed_api_authorized(r->api, &q);
}

static bool same(const struct fed_json *a, const struct fed_json *b)
{
    return (!a || !a->n) == (!b || !b->n) && ((!a || !a->n) || fed_json_equal(a, b));
}

static bool signs(const struct fed_write_op *op)
{
    const struct fed_json *old = fed_json_find(op->old_tree, "status"), *now = fed_json_find(op->obj, "status");
    return !fed_str_eq(fed_json_find_text(old, "certificate"), fed_json_find_text(now, "certificate")) ||
           !same(fed_json_find(old, "conditions"), fed_json_find(now, "conditions"));
}

/* Nobody becomes an administrator by a signature. */
static int check_subject(struct fed_write_op *op)
{
    struct fed_pki_request request;
    struct fed_str pem;
    struct fed_err err = {0};
    if (fed_csr_request(op->w.arena, op->obj, &pem) || fed_pki_request_read(op->w.arena, pem, &request, &err))
        return fed_err_set(&op->err, FED_E_FORBIDDEN, "failed to parse CSR: %s", err.text);
    for (size_t i = 0; i < request.n_orgs; i++)
        if (fed_str_is(request.orgs[i], "system:masters"))
            return fed_err_set(&op->err, FED_E_FORBIDDEN, "use of %s signer with %s group is not allowed",
                               FED_CSR_CLIENT_SIGNER, "system:masters");
    return 0;
}

int fed_cert_request_admit(struct fed_write_op *op)
{
    if (!fed_cert_request_kind(op->w.kind))
        return 0;
    struct fed_str signer = fed_json_find_text(fed_json_find(op->obj, "spec"), "signerName");
    bool approves = fed_str_is(op->w.subresource, "approval");
    if (!op->old)
        return fed_str_is(signer, FED_CSR_CLIENT_SIGNER) ? check_subject(op) : 0;
    if (approves && !may(op->r, "approve", signer))
        return fed_err_set(&op->err, FED_E_FORBIDDEN, "user not permitted to approve requests with signerName \"%.*s\"",
                           FED_STR_ARG(signer));
    if (fed_str_is(op->w.subresource, "status") && signs(op) && !may(op->r, "sign", signer))
        return fed_err_set(&op->err, FED_E_FORBIDDEN, "user not permitted to sign requests with signerName \"%.*s\"",
                           FED_STR_ARG(signer));
    return 0;
}
