/* SPDX-License-Identifier: Apache-2.0 */
/* Impersonate-User, -Group, -Uid and -Extra-*: each part needs the verb `impersonate` on users, serviceaccounts, groups,
 * uids.authentication.k8s.io or userextras.authentication.k8s.io. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/audit.h"

#define SA_PREFIX "system:serviceaccount:"

struct persona {
    struct fed_api_reply *r;
    struct fed_str *groups;
    struct fed_extra *extra;
    size_t n_groups, n_extra;
};

static bool may(struct fed_api_reply *r, const char *group, const char *resource, struct fed_str sub, struct fed_str ns,
                struct fed_str name)
{
    struct fed_api_request q = {.verb = "impersonate",
                                .group = fed_str(group),
                                .version = FED_STR("v1"),
                                .resource = fed_str(resource),
                                .subresource = sub,
                                .ns = ns,
                                .name = name,
                                .path = r->q.path,
                                .who = r->q.who,
                                .arena = &r->arena};
    struct fed_buf reason = {0};
    bool ok = fed_api_authorized(r->api, &q);
    if (!ok) {
        (void)fed_api_decide(r->api, &q, &reason);
        fed_api_forbid(r, &q, fed_buf_str(&reason));
    }
    fed_buf_release(&reason);
    return ok;
}

/* NAMESPACE:NAME of a service account's user name. */
static bool split_account(struct fed_str user, struct fed_str *ns, struct fed_str *name)
{
    if (!fed_str_starts(user, FED_STR(SA_PREFIX)))
        return false;
    *name = fed_str_from(user, sizeof(SA_PREFIX) - 1);
    return fed_str_cut(name, ':', ns) && ns->n && name->n && fed_str_chr(*name, ':', 0) < 0;
}

static void add_extra(struct persona *p, struct fed_str key, struct fed_str value)
{
    struct fed_arena *a = &p->r->arena;
    size_t i = 0;
    while (i < p->n_extra && !fed_str_eq(p->extra[i].key, key))
        i++;
    struct fed_extra *x = &p->extra[i];
    struct fed_str *values = FED_ARENA_ARRAY(a, struct fed_str, x->n_values + 1);
    for (size_t j = 0; j < x->n_values; j++)
        values[j] = x->values[j];
    values[x->n_values++] = fed_arena_dup(a, value);
    x->values = values;
    x->key = key;
    p->n_extra = FED_MAX(p->n_extra, i + 1);
}

static bool take_header(struct persona *p, const struct fed_http_header *h)
{
    struct fed_api_reply *r = p->r;
    struct fed_str none = {NULL, 0}, prefix = FED_STR("impersonate-extra-"), key;
    if (fed_str_is(h->name, "impersonate-group")) {
        if (!may(r, "", "groups", none, none, h->value))
            return false;
        p->groups[p->n_groups++] = fed_arena_dup(&r->arena, h->value);
    } else if (fed_str_starts(h->name, prefix)) {
        if (fed_url_decode(&r->arena, fed_str_from(h->name, prefix.n), false, &key) || !key.n) {
            fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "header %.*s is malformed", FED_STR_ARG(h->name));
            return false;
        }
        key = fed_arena_dup(&r->arena, key);
        if (!may(r, "authentication.k8s.io", "userextras", key, none, h->value))
            return false;
        add_extra(p, key, h->value);
    }
    return true;
}

/* What every user has; a service account also the groups of all accounts, when none were asked for. */
static void complete_groups(struct persona *p, struct fed_str user, struct fed_str account_ns)
{
    struct fed_arena *a = &p->r->arena;
    bool known = false;
    if (account_ns.n && !p->n_groups) {
        p->groups[p->n_groups++] = FED_STR("system:serviceaccounts");
        p->groups[p->n_groups++] = fed_arena_printf(a, "system:serviceaccounts:%.*s", FED_STR_ARG(account_ns));
    }
    for (size_t i = 0; i < p->n_groups; i++)
        known |= fed_str_is(p->groups[i], "system:authenticated") || fed_str_is(p->groups[i], "system:unauthenticated");
    if (!known)
        p->groups[p->n_groups++] =
            fed_str_is(user, "system:anonymous") ? FED_STR("system:unauthenticated") : FED_STR("system:authenticated");
}

static bool is_malformed(struct fed_api_reply *r, const struct fed_http_request *h)
{
    for (size_t i = 0; i < h->n_headers; i++)
        if (fed_str_starts(h->headers[i].name, FED_STR("impersonate-"))) {
            fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "requested %.*s without impersonating a user",
                         FED_STR_ARG(h->headers[i].name));
            return true;
        }
    return false;
}

bool fed_api_impersonate(struct fed_api_reply *r)
{
    const struct fed_http_request *h = r->q.http;
    struct fed_str user = fed_http_request_header(h, "impersonate-user"), uid, ns = {NULL, 0}, name, none = {NULL, 0};
    if (!user.n) /* groups or extras alone are an error, never ignored */
        return !is_malformed(r, h);
    bool account = split_account(user, &ns, &name);
    if (!(account ? may(r, "", "serviceaccounts", none, ns, name) : may(r, "", "users", none, none, user)))
        return false;
    struct persona p = {.r = r,
                        .groups = FED_ARENA_ARRAY(&r->arena, struct fed_str, h->n_headers + 3),
                        .extra = FED_ARENA_ARRAY(&r->arena, struct fed_extra, h->n_headers + 1)};
    for (size_t i = 0; i < h->n_headers; i++)
        if (!take_header(&p, &h->headers[i]))
            return false;
    uid = fed_http_request_header(h, "impersonate-uid");
    if (uid.n && !may(r, "authentication.k8s.io", "uids", none, none, uid))
        return false;
    complete_groups(&p, user, account ? ns : none);
    r->q.who = (struct fed_identity){.user = fed_arena_dup(&r->arena, user),
                                     .uid = fed_arena_dup(&r->arena, uid),
                                     .groups = p.groups,
                                     .n_groups = p.n_groups,
                                     .extra = p.extra,
                                     .n_extra = p.n_extra};
    fed_audit_impersonated(r);
    return true;
}
