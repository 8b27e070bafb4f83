/* SPDX-License-Identifier: Apache-2.0 */
/* Virtual resources: those of the program, and the built-in ones: reviews and service account tokens (reviews.h). */
#include "apiserver/admission.h"
#include "apiserver/apiserver_priv.h"
#include "apiserver/reviews.h"
#include "apiserver/sa_token.h"

/* --- built-in --- */

/* What is in the clusters behind this server. kubectl looks for pods when it describes a workload, and for all of these
 * when it prunes or dumps, and deletes what may not be there. There are none here, which it is told; who asks for all of
 * them, or for one, is told where they are. */
struct elsewhere {
    const char *list, *short_name;
};
static struct elsewhere pods = {"PodList", "po"}, nodes = {"NodeList", "no"}, endpoints = {"EndpointsList", "ep"},
                        volumes = {"PersistentVolumeList", "pv"};

static const char *where_they_are(struct fed_api_reply *r)
{
    return fed_arena_printf(&r->arena,
                            "%.*s are in the clusters, not here: ask one of those (kubectl --context CLUSTER)",
                            FED_STR_ARG(r->q.resource))
        .p;
}

static void serve_elsewhere(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    const struct elsewhere *what = ud;
    if (q->name.n) {
        struct fed_status_details d = {.name = q->name, .kind = q->resource};
        fed_api_fail(r, FED_E_NOT_FOUND, &d, "%.*s \"%.*s\" not found: %s", FED_STR_ARG(q->resource),
                     FED_STR_ARG(q->name), where_they_are(r));
        return;
    }
    struct fed_json *list = fed_json_object(&r->arena);
    fed_json_set(list, "kind", fed_json_new_strz(&r->arena, what->list));
    fed_json_set(list, "apiVersion", fed_json_new_str(&r->arena, q->version));
    fed_json_set(list, "metadata", fed_json_object(&r->arena));
    fed_json_set(list, "items", fed_json_array(&r->arena));
    if (!fed_query_find(&r->query, "labelSelector").n && !fed_query_find(&r->query, "fieldSelector").n)
        fed_api_warn(r, "%s", where_they_are(r));
    fed_api_answer_tree(r, 200, list);
}

const char *fed_api_virtual_short_name(const struct fed_virtual *v)
{
    return v->handle == serve_elsewhere ? ((const struct elsewhere *)v->ud)->short_name : NULL;
}

#define AWAY_VERBS "delete,deletecollection,get,list"
static const struct fed_virtual built_in[] = {
    {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false, "create",
     fed_review_self_access, NULL},
    {"authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false, "create",
     fed_review_self_rules, NULL},
    {"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false, "create", fed_review_access,
     NULL},
    {"authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", true, "create",
     fed_review_local_access, NULL},
    {"authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false, "create", fed_review_self, NULL},
    {"authentication.k8s.io", "v1beta1", "selfsubjectreviews", "SelfSubjectReview", false, "create", fed_review_self,
     NULL},
    {"authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false, "create", fed_review_token, NULL},
    {"", "v1", "serviceaccounts/token", "TokenRequest", true, "create", fed_sa_request, NULL},
    {"", "v1", "pods", "Pod", true, AWAY_VERBS, serve_elsewhere, &pods},
    {"", "v1", "nodes", "Node", false, AWAY_VERBS, serve_elsewhere, &nodes},
    {"", "v1", "endpoints", "Endpoints", true, AWAY_VERBS, serve_elsewhere, &endpoints},
    {"", "v1", "persistentvolumes", "PersistentVolume", false, AWAY_VERBS, serve_elsewhere, &volumes},
};

int fed_api_request_body(struct fed_api_reply *r, struct fed_json **out, struct fed_err *err)
{
    return fed_api_body(r, out, NULL, err);
}

/* --- finding and serving --- */

static bool resource_is(const struct fed_virtual *v, struct fed_str resource, struct fed_str sub)
{
    const char *rest = v->resource + resource.n;
    if (!resource.n || strncmp(v->resource, resource.p, resource.n) != 0 || (*rest && *rest != '/'))
        return false;
    return fed_str_is(sub, *rest ? rest + 1 : rest);
}

/* A subresource is served where its resource is, what is elsewhere where it is not. */
static bool is_offered(struct fed_api *api, const struct fed_virtual *v)
{
    struct fed_str s = fed_str(v->resource), plural;
    bool away = v->handle == serve_elsewhere;
    if (!away && (v < built_in || v >= built_in + FED_ARRAY_LEN(built_in) || !strchr(v->resource, '/')))
        return true;
    (void)fed_str_cut(&s, '/', &plural);
    bool served = fed_kinds_by_resource(api->conf.kinds, fed_str(v->group), fed_str(v->version), plural) != NULL;
    return away ? !served && api->conf.fronts_clusters : served;
}

const struct fed_virtual *fed_api_virtual_find(struct fed_api *api, struct fed_str group, struct fed_str version,
                                               struct fed_str resource, struct fed_str sub)
{
    for (int turn = 0; turn < 2; turn++) { /* the program's own come first */
        const struct fed_virtual *list = turn ? built_in : api->conf.virtuals;
        size_t n = turn ? FED_ARRAY_LEN(built_in) : api->conf.n_virtuals;
        for (size_t i = 0; i < n; i++)
            if (resource_is(&list[i], resource, sub) && fed_str_is(group, list[i].group) &&
                fed_str_is(version, list[i].version) && is_offered(api, &list[i]))
                return &list[i];
    }
    return NULL;
}

void fed_api_virtual_each(struct fed_api *api, void (*each)(void *ud, const struct fed_virtual *v), void *ud)
{
    for (size_t i = 0; i < api->conf.n_virtuals; i++)
        each(ud, &api->conf.virtuals[i]);
    for (size_t i = 0; i < FED_ARRAY_LEN(built_in); i++)
        if (is_offered(api, &built_in[i]))
            each(ud, &built_in[i]);
}

static bool verb_offered(const struct fed_virtual *v, const char *verb)
{
    struct fed_str rest = fed_str(v->verbs), one;
    if (!*verb && fed_str_ends(fed_str(v->resource), FED_STR("/proxy"))) /* OPTIONS has no verb, and passes too */
        return true;
    while (fed_str_cut(&rest, ',', &one))
        if (fed_str_is(one, verb) || fed_str_is(one, "*"))
            return true;
    return false;
}

void fed_api_serve_virtual(struct fed_api_reply *r, const struct fed_virtual *v)
{
    bool proxy = fed_str_ends(fed_str(v->resource), FED_STR("/proxy"));
    if (!verb_offered(v, r->q.verb) || (fed_api_is_head(r) && !proxy)) {
        if (v->handle == serve_elsewhere)
            fed_api_fail(r, FED_E_METHOD_NOT_ALLOWED, NULL, "%s", where_they_are(r));
        else
            fed_api_not_allowed(r);
        return;
    }
    struct fed_str dry = fed_query_find(&r->query, "dryRun");
    r->q.dry_run = dry.n > 0;
    if (fed_api_virtual_body_ok(r, v))
        fed_admission_virtual(r, v);
}
