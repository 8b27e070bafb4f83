/* SPDX-License-Identifier: Apache-2.0 */
/* May they: system:masters everything; discovery, version and reviews of oneself every authenticated user; then RBAC
 * objects where the server holds them; then the program's own rule. Otherwise no. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/rbac.h"

bool fed_identity_in_group(const struct fed_identity *who, const char *group)
{
    for (size_t i = 0; i < who->n_groups; i++)
        if (fed_str_is(who->groups[i], group))
            return true;
    return false;
}

static bool is_public_path(struct fed_str p)
{
    static const char *const exact[] = {"/api", "/apis", "/version", "/openapi/v2", "/openapi/v3"};
    static const char *const below[] = {"/api/", "/apis/", "/openapi/", "/healthz", "/livez", "/readyz", "/version/"};
    for (size_t i = 0; i < FED_ARRAY_LEN(exact); i++)
        if (fed_str_is(p, exact[i]))
            return true;
    for (size_t i = 0; i < FED_ARRAY_LEN(below); i++)
        if (fed_str_starts(p, fed_str(below[i])))
            return true;
    return false;
}

static bool is_self_review(const struct fed_api_request *q)
{
    if (strcmp(q->verb, "create") != 0)
        return false;
    if (fed_str_is(q->group, "authorization.k8s.io"))
        return fed_str_is(q->resource, "selfsubjectaccessreviews") ||
               fed_str_is(q->resource, "selfsubjectrulesreviews");
    return fed_str_is(q->group, "authentication.k8s.io") && fed_str_is(q->resource, "selfsubjectreviews");
}

bool fed_api_authorized(struct fed_api *api, const struct fed_api_request *q)
{
    if (fed_identity_in_group(&q->who, "system:masters"))
        return true;
    bool known = fed_identity_in_group(&q->who, "system:authenticated");
    if (known && !q->resource.n && strcmp(q->verb, "get") == 0 && is_public_path(q->path))
        return true;
    if (known && is_self_review(q))
        return true;
    if (fed_rbac_allows(api, q))
        return true;
    return api->conf.authorize && api->conf.authorize(api->conf.ud, q) == FED_AUTHZ_ALLOW;
}

void fed_api_fail_forbidden(struct fed_api_reply *r)
{
    const struct fed_api_request *q = &r->q;
    struct fed_status_details d = {.name = q->name, .group = q->group, .kind = q->resource};
    if (r->route != FED_ROUTE_RESOURCE) {
        fed_api_fail(r, FED_E_FORBIDDEN, &(struct fed_status_details){0},
                     "forbidden: User \"%.*s\" cannot %s path \"%.*s\"", FED_STR_ARG(q->who.user), q->verb,
                     FED_STR_ARG(q->path));
        return;
    }
    struct fed_buf m = {0};
    fed_buf_add(&m, fed_api_qualified(r));
    if (q->name.n)
        fed_buf_addf(&m, " \"%.*s\"", FED_STR_ARG(q->name));
    fed_buf_addf(&m, " is forbidden: User \"%.*s\" cannot %s resource \"%.*s", FED_STR_ARG(q->who.user), q->verb,
                 FED_STR_ARG(q->resource));
    if (q->subresource.n)
        fed_buf_addf(&m, "/%.*s", FED_STR_ARG(q->subresource));
    fed_buf_addf(&m, "\" in API group \"%.*s\"", FED_STR_ARG(q->group));
    if (q->ns.n)
        fed_buf_addf(&m, " in the namespace \"%.*s\"", FED_STR_ARG(q->ns));
    else
        fed_buf_addz(&m, " at the cluster scope");
    fed_api_fail(r, FED_E_FORBIDDEN, &d, "%s", fed_buf_z(&m));
    fed_buf_release(&m);
}
