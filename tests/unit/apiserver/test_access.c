/* SPDX-License-Identifier: Apache-2.0 */
/* Who may what, and what everybody sees: authorization, reviews of oneself, discovery, paths. */
#include "harness.h"

#define CM   "/api/v1/namespaces/default/configmaps"
#define RBAC "/apis/rbac.authorization.k8s.io/v1/"
#define JSON "application/json"

struct row {
    const char *name, *method, *path, *type, *body;
    int status;
    const char *has;
    bool admin;
};

static const struct row rows[] = {
    {"bob may not list", "GET", CM, "", "", 403,
     "configmaps is forbidden: User \\\"bob\\\" cannot list resource \\\"configmaps\\\" in API group \\\"\\\" in the "
     "namespace \\\"default\\\"",
     false},
    {"nor get", "GET", CM "/a", "", "", 403,
     "configmaps \\\"a\\\" is forbidden: User \\\"bob\\\" cannot get resource \\\"configmaps\\\" in API group \\\"\\\" "
     "in "
     "the namespace \\\"default\\\"",
     false},
    {"of a group at cluster scope", "GET", "/apis/test.hansa.io/v1/widgets", "", "", 403,
     "widgets.test.hansa.io is forbidden: User \\\"bob\\\" cannot list resource \\\"widgets\\\" in API group "
     "\\\"test.hansa.io\\\" at the cluster scope",
     false},
    {"nor metrics", "GET", "/metrics", "", "", 403, "forbidden: User \\\"bob\\\" cannot get path \\\"/metrics\\\"",
     false},
    {"version", "GET", "/version", "", "", 200, "\"gitVersion\": \"v1.29.0+test\"", false},
    {"can bob?", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", JSON,
     "{\"spec\":{\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"configmaps\",\"namespace\":\"default\"}}}",
     201, "\"status\":{\"allowed\":false}", false},
    {"can admin?", "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", JSON,
     "{\"spec\":{\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"configmaps\",\"namespace\":\"default\"}}}",
     201, "\"status\":{\"allowed\":true}", true},
    {"who is bob", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", JSON, "{}", 201,
     "\"username\":\"bob\",\"groups\":[\"system:authenticated\"]", false},
    {"a role", "POST", RBAC "clusterroles", JSON,
     "{\"metadata\":{\"name\":\"reader\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],\"verbs\":["
     "\"get\","
     "\"list\"]},{\"nonResourceURLs\":[\"/met*\"],\"verbs\":[\"get\"]}]}",
     201, "reader", true},
    {"bound in one namespace", "POST", RBAC "namespaces/default/rolebindings", JSON,
     "{\"metadata\":{\"name\":\"bob\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
     "\"ClusterRole\","
     "\"name\":\"reader\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":"
     "\"bob\"}]}",
     201, "bob", true},
    {"may list there", "GET", CM, "", "", 200, "ConfigMapList", false},
    {"not elsewhere", "GET", "/api/v1/namespaces/other/configmaps", "", "", 403, "forbidden", false},
    {"not more", "DELETE", CM "/a", "", "", 403, "forbidden", false},
    {"bound everywhere", "POST", RBAC "clusterrolebindings", JSON,
     "{\"metadata\":{\"name\":\"all\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
     "\"ClusterRole\","
     "\"name\":\"reader\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Group\",\"name\":"
     "\"system:authenticated\"}]}",
     201, "all", true},
    {"may list elsewhere", "GET", "/api/v1/configmaps", "", "", 200, "ConfigMapList", false},
    {"may see metrics", "GET", "/metrics", "", "", 200, "apiserver_request_total", false},
    {"rules of bob", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", JSON,
     "{\"spec\":{\"namespace\":\"default\"}}", 201, "\"resources\":[\"configmaps\"]", false},

    {"core", "GET", "/api", "", "", 200, "\"versions\":[\"v1\"]", false},
    {"groups", "GET", "/apis", "", "", 200, "\"preferredVersion\":{\"groupVersion\":\"test.hansa.io/v1\"", false},
    {"group", "GET", "/apis/test.hansa.io", "", "", 200, "\"kind\":\"APIGroup\"", false},
    {"resources", "GET", "/api/v1", "", "", 200,
     "{\"name\":\"configmaps\",\"singularName\":\"configmap\",\"namespaced\":true,\"kind\":\"ConfigMap\",\"verbs\":[",
     false},
    {"scale", "GET", "/apis/test.hansa.io/v1", "", "", 200,
     "\"name\":\"widgets/"
     "scale\",\"singularName\":\"\",\"namespaced\":true,\"group\":\"autoscaling\",\"version\":\"v1\"",
     false},
    {"aggregated", "GET", "/apis", " > application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "", 200,
     "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\"", false},
    {"aggregated beta", "GET", "/api",
     " > application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json", "", 200,
     "\"apiVersion\":\"apidiscovery.k8s.io/v2beta1\"", false},
    {"no group", "GET", "/apis/nope", "", "", 404, "could not find the requested resource", false},
    {"no version", "GET", "/apis/test.hansa.io/v9", "", "", 404, "could not find the requested resource", false},
    {"no path", "GET", "/nope", "", "", 404, "\"/apis/test.hansa.io/v1\"", true},
    {"paths are only read", "POST", "/version", JSON, "{}", 405, "MethodNotAllowed", true},
    {"nothing below a subresource", "GET", "/apis/test.hansa.io/v1/namespaces/default/widgets/a/scale/b", "", "", 404,
     "could not find the requested resource", true},
    {"watch paths are only read", "POST", "/api/v1/watch/namespaces", JSON, "{}", 405, "MethodNotAllowed", true},
    {"index", "GET", "/", "", "", 200, "\"/apis/test.hansa.io/v1\"", true},
    {"health", "GET", "/readyz", "", "", 200, "ok", true},
    {"health in full", "GET", "/livez?verbose", "", "", 200, "[+]ping ok", true},
    {"one check", "GET", "/readyz/ping", "", "", 200, "ok", true},
    {"no such check", "GET", "/readyz/nope", "", "", 404, "\"/readyz\"", true},
};

static void access_table(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        int status = ask(&w, r->admin ? w.admin : w.bob, r->method, r->path, r->type, r->body);
        if (status != r->status || !strstr(text(&w), r->has))
            fail_msg("%s: %s %s: %d, wanted %d with '%s': %s", r->name, r->method, r->path, status, r->status, r->has,
                     text(&w));
    }
    world_release(&w);
}

static bool unwell(void *ud)
{
    (void)ud;
    return false;
}

static void checks(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    fed_api_add_check(w.api, "disk", unwell, NULL);
    assert_int_equal(ask(&w, w.admin, "GET", "/readyz", "", ""), 500);
    assert_non_null(strstr(text(&w), "[-]disk failed"));
    assert_int_equal(ask(&w, w.admin, "GET", "/livez", "", ""), 200);
    fed_api_stop(w.api);
    assert_int_equal(ask(&w, w.admin, "GET", CM, "", ""), 503);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(access_table), cmocka_unit_test(checks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
