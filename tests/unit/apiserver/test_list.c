/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: pages of one state, selectors, revisions, forms. */
#include "harness.h"

#define CM   "/api/v1/namespaces/default/configmaps"
#define JSON "application/json"

static void fill(struct world *w, const char *ns, int n)
{
    char path[96], body[160];
    snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps", ns);
    for (int i = 0; i < n; i++) {
        snprintf(body, sizeof body, "{\"metadata\":{\"name\":\"c%02d\",\"labels\":{\"odd\":\"%d\"}}}", i, i & 1);
        assert_int_equal(ask(w, w->admin, "POST", path, JSON, body), 201);
    }
}

static size_t items(struct world *w, struct fed_str *token, int64_t *remaining, struct fed_str *rev)
{
    struct fed_json *doc = NULL;
    if (fed_json_parse(&w->arena, fed_arena_dup(&w->arena, fed_buf_str(&w->body)), NULL, &doc, NULL))
        fail_msg("not JSON: %s", text(w));
    const struct fed_json *meta = fed_json_find(doc, "metadata"), *list = fed_json_find(doc, "items");
    if (token)
        *token = fed_json_find_text(meta, "continue");
    if (remaining)
        *remaining = fed_json_int(fed_json_find(meta, "remainingItemCount"), -1);
    if (rev)
        *rev = fed_json_find_text(meta, "resourceVersion");
    return list ? list->n : 0;
}

static size_t get(struct world *w, const char *query)
{
    char path[512];
    snprintf(path, sizeof path, CM "%s", query);
    assert_int_equal(ask(w, w->admin, "GET", path, "", ""), 200);
    return items(w, NULL, NULL, NULL);
}

static void pages(void **state)
{
    (void)state;
    struct world w;
    struct fed_str token, rev, again;
    int64_t remaining;
    char path[512];
    world_init(&w, 0);
    fill(&w, "default", 10);
    fill(&w, "other", 10);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?limit=4", "", ""), 200);
    assert_int_equal(items(&w, &token, &remaining, &rev), 4);
    assert_int_equal(remaining, 6);
    /* What happens between pages is not seen. */
    assert_int_equal(ask(&w, w.admin, "DELETE", CM "/c07", "", ""), 200);
    assert_int_equal(ask(&w, w.admin, "POST", CM, JSON, "{\"metadata\":{\"name\":\"c071\"}}"), 201);
    snprintf(path, sizeof path, CM "?limit=4&continue=%.*s", FED_STR_ARG(token));
    assert_int_equal(ask(&w, w.admin, "GET", path, "", ""), 200);
    assert_int_equal(items(&w, &token, &remaining, &again), 4);
    assert_true(fed_str_eq(rev, again));
    assert_non_null(strstr(text(&w), "c07\""));
    assert_null(strstr(text(&w), "c071"));
    snprintf(path, sizeof path, CM "?limit=4&continue=%.*s", FED_STR_ARG(token));
    assert_int_equal(ask(&w, w.admin, "GET", path, "", ""), 200);
    assert_int_equal(items(&w, &token, &remaining, NULL), 2);
    assert_int_equal(token.n, 0);
    assert_int_equal(ask(&w, w.admin, "GET", "/api/v1/configmaps?limit=15", "", ""), 200);
    assert_int_equal(items(&w, &token, &remaining, NULL), 15);
    assert_int_equal(remaining, 5);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?limit=4&continue=bad!", "", ""), 400);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?limit=x", "", ""), 400);
    world_release(&w);
}

static void revisions(void **state)
{
    (void)state;
    struct world w;
    struct fed_str rev, now;
    char path[256];
    world_init(&w, 20);
    fill(&w, "default", 5);
    assert_int_equal(get(&w, ""), 5);
    items(&w, NULL, NULL, &rev);
    assert_int_equal(ask(&w, w.admin, "DELETE", CM "/c01", "", ""), 200);
    assert_int_equal(ask(&w, w.admin, "PATCH", CM "/c02", "application/merge-patch+json", "{\"data\":{\"x\":\"new\"}}"),
                     200);
    assert_int_equal(get(&w, ""), 4);
    items(&w, NULL, NULL, &now);
    snprintf(path, sizeof path, CM "?resourceVersion=%.*s&resourceVersionMatch=Exact", FED_STR_ARG(rev));
    assert_int_equal(ask(&w, w.admin, "GET", path, "", ""), 200);
    assert_int_equal(items(&w, NULL, NULL, NULL), 5);
    assert_null(strstr(text(&w), "new"));
    snprintf(path, sizeof path, "?resourceVersion=%.*s", FED_STR_ARG(rev));
    assert_int_equal(get(&w, path), 4); /* not older than */
    assert_int_equal(get(&w, "?resourceVersion=0"), 4);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?resourceVersion=999999", "", ""), 504);
    assert_non_null(strstr(text(&w), "ResourceVersionTooLarge"));
    assert_int_equal(ask(&w, w.admin, "GET", CM "?resourceVersion=x", "", ""), 400);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?resourceVersionMatch=Exact", "", ""), 422);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?sendInitialEvents=true", "", ""), 422);
    fill(&w, "other", 30); /* out of the window */
    snprintf(path, sizeof path, CM "?resourceVersion=%.*s&resourceVersionMatch=Exact", FED_STR_ARG(rev));
    assert_int_equal(ask(&w, w.admin, "GET", path, "", ""), 410);
    world_release(&w);
}

static void selectors(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    fill(&w, "default", 6);
    assert_int_equal(get(&w, "?labelSelector=odd%3D1"), 3);
    assert_int_equal(get(&w, "?labelSelector=odd%20notin%20(1)"), 3);
    assert_int_equal(get(&w, "?labelSelector=!odd"), 0);
    assert_non_null(strstr(text(&w), "\"items\":[]"));
    assert_int_equal(get(&w, "?fieldSelector=metadata.name%3Dc03"), 1);
    assert_int_equal(get(&w, "?fieldSelector=metadata.name!%3Dc03"), 5);
    assert_int_equal(get(&w, "?limit=2&labelSelector=odd%3D1"), 2);
    assert_null(strstr(text(&w), "remainingItemCount"));
    assert_int_equal(ask(&w, w.admin, "GET", CM "?labelSelector=%3D", "", ""), 400);
    assert_int_equal(ask(&w, w.admin, "GET", CM "?fieldSelector=foo%3D1", "", ""), 400);
    assert_non_null(strstr(text(&w), "is not a known field selector: only \\\"metadata.name\\\""));
    assert_int_equal(ask(&w, w.admin, "POST", "/apis/test.hansa.io/v1/namespaces/default/widgets", JSON,
                         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"color\":\"red\"}}"),
                     201);
    assert_int_equal(ask(&w, w.admin, "GET", "/apis/test.hansa.io/v1/widgets?fieldSelector=spec.color%3Dred", "", ""),
                     200);
    assert_int_equal(items(&w, NULL, NULL, NULL), 1);
    assert_int_equal(ask(&w, w.admin, "GET", "/apis/test.hansa.io/v1/widgets?fieldSelector=spec.color%3Dblue", "", ""),
                     200);
    assert_int_equal(items(&w, NULL, NULL, NULL), 0);
    world_release(&w);
}

static void forms(void **state)
{
    (void)state;
    static const char table[] = " > application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    static const char partial[] = " > application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    static const char one[] = " > application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    struct world w;
    world_init(&w, 0);
    assert_int_equal(ask(&w, w.admin, "POST", "/apis/test.hansa.io/v1/namespaces/default/widgets", JSON,
                         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"color\":\"red\"}}"),
                     201);
    const char *path = "/apis/test.hansa.io/v1/namespaces/default/widgets";
    assert_int_equal(ask(&w, w.admin, "GET", path, table, ""), 200);
    assert_non_null(strstr(text(&w), "\"kind\":\"Table\""));
    assert_non_null(strstr(text(&w), "\"cells\":[\"w\",\"red\","));
    assert_non_null(strstr(text(&w), "\"kind\":\"PartialObjectMetadata\""));
    assert_int_equal(
        ask(&w, w.admin, "GET", "/apis/test.hansa.io/v1/namespaces/default/widgets/w?includeObject=Object", table, ""),
        200);
    assert_non_null(strstr(text(&w), "\"object\":{\"apiVersion\":\"test.hansa.io/v1\""));
    assert_int_equal(ask(&w, w.admin, "GET", path, partial, ""), 200);
    assert_non_null(strstr(text(&w), "\"kind\":\"PartialObjectMetadataList\""));
    assert_null(strstr(text(&w), "red"));
    assert_int_equal(ask(&w, w.admin, "GET", "/apis/test.hansa.io/v1/namespaces/default/widgets/w", one, ""), 200);
    assert_non_null(strstr(text(&w), "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\""));
    assert_int_equal(ask(&w, w.admin, "GET", "/apis/test.hansa.io/v1beta1/widgets", "", ""), 200);
    assert_non_null(strstr(text(&w), "{\"kind\":\"WidgetList\",\"apiVersion\":\"test.hansa.io/v1beta1\""));
    assert_non_null(strstr(text(&w), "\"items\":[{\"apiVersion\":\"test.hansa.io/v1beta1\""));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages), cmocka_unit_test(revisions),
                                       cmocka_unit_test(selectors), cmocka_unit_test(forms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
