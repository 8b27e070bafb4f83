/* SPDX-License-Identifier: Apache-2.0 */
/* May they: system:masters everything; then RBAC objects where the server holds them (without them: discovery, version
 * and reviews of oneself for every authenticated user); then the program's own rule. Otherwise no. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/rbac.h"

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

/* What the bootstrap roles give, for a server that holds no roles. */
static bool allowed_without_rbac(const struct fed_api_request *q)
{
    if (!fed_identity_in_group(&q->who, "system:authenticated"))
        return false;
    if (!q->resource.n)
        return strcmp(q->verb, "get") == 0 && is_public_path(q->path);
    return is_self_review(q);
}

enum fed_authz fed_api_decide(struct fed_api *api, const struct fed_api_request *q, struct fed_buf *reason)
{
    if (fed_identity_in_group(&q->who, "system:masters"))
        return FED_AUTHZ_ALLOW;
    if (fed_rbac_served(api) ? fed_rbac_allows(api, q, reason) : allowed_without_rbac(q))
        return FED_AUTHZ_ALLOW;
    enum fed_authz own = api->conf.authorize ? api->conf.authorize(api->conf.ud, q) : FED_AUTHZ_NO_OPINION;
    if (own == FED_AUTHZ_ALLOW && reason)
        fed_buf_reset(reason); /* of roles that are missing */
    return own;
}

bool fed_api_authorized(struct fed_api *api, const struct fed_api_request *q)
{
    return fed_api_decide(api, q, NULL) == FED_AUTHZ_ALLOW;
}

void fed_api_forbid(struct fed_api_reply *r, const struct fed_api_request *q, struct fed_str reason)
{
    struct fed_status_details d = {.name = q->name, .group = q->group, .kind = q->resource};
    struct fed_buf m = {0};
    if (!q->resource.n) {
        fed_buf_addf(&m, "forbidden: User \"%.*s\" cannot %s path \"%.*s\"", FED_STR_ARG(q->who.user), q->verb,
                     FED_STR_ARG(q->path));
    } else {
        fed_buf_add(&m, q->resource);
        if (q->group.n)
            fed_buf_addf(&m, ".%.*s", FED_STR_ARG(q->group));
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
    }
    if (reason.n)
        fed_buf_addf(&m, ": %.*s", FED_STR_ARG(reason));
    if (r->x) /* names in it are the asker's own; kube-apiserver says so too */
        fed_http_add_header(r->x, FED_STR("X-Content-Type-Options"), FED_STR("nosniff"));
    fed_api_fail(r, FED_E_FORBIDDEN, q->resource.n ? &d : &(struct fed_status_details){0}, "%s", fed_buf_z(&m));
    fed_buf_release(&m);
}
