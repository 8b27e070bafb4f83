/* SPDX-License-Identifier: Apache-2.0 */
/* Who does not lead any more writes nothing, however late what it has in hand arrives at the store. */
#include "harness.h"

#include "apiserver/fence.h"
#include "kube/guard.h"

static const char map_a[] =
    "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\"}}";
#define MAPS "/api/v1/namespaces/default/configmaps"

struct leader {
    struct world *w;
    struct fed_fence *fence;
    struct fed_transport *t;
    bool valid, raised;
};

static bool valid(void *ud)
{
    return ((struct leader *)ud)->valid;
}
static void raised(void *ud, int code, const struct fed_err *err)
{
    struct leader *l = ud;
    (void)err;
    assert_int_equal(code, 0);
    l->raised = true;
}
static bool is_raised(void *ud)
{
    return ((struct leader *)ud)->raised;
}
static void leader_init(struct leader *l, struct world *w)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_identity who = {.user = FED_STR("controllers"), .groups = &masters, .n_groups = 1};
    *l = (struct leader){.w = w, .valid = true};
    l->fence = fed_fence_new(w->api, "test", valid, l);
    l->t = fed_api_local_fenced(w->api, &who, l->fence);
}
static void leader_release(struct leader *l)
{
    fed_transport_free(l->t);
    fed_fence_free(l->fence);
}
static void raise_fence(struct leader *l, const char *who)
{
    l->raised = false;
    fed_fence_raise(l->fence, who, raised, l);
    assert_true(test_env_run(&l->w->t, is_raised, l));
}
static int create(struct leader *l, const char *name)
{
    char body[200];
    snprintf(body, sizeof body, map_a, name);
    return ask(l->w, l->t, "POST", MAPS, "application/json", body);
}
static bool exists(struct world *w, const char *name)
{
    char path[100];
    snprintf(path, sizeof path, MAPS "/%s", name);
    return ask(w, w->admin, "GET", path, "", "") == 200;
}

static void test_only_the_last_to_raise_writes(void **state)
{
    static struct world w;
    struct leader a, b;
    (void)state;
    world_init(&w, 0);
    leader_init(&a, &w);
    leader_init(&b, &w);
    assert_int_not_equal(create(&a, "early"), 201); /* not raised yet */
    raise_fence(&a, "a");
    assert_int_equal(create(&a, "by-a"), 201);
    raise_fence(&b, "b");
    assert_int_not_equal(create(&a, "late"), 201);
    assert_non_null(strstr(w.err, "does not lead"));
    assert_int_equal(create(&b, "by-b"), 201);
    b.valid = false; /* the lease's deadline has passed, though nobody else leads yet */
    assert_int_not_equal(create(&b, "overdue"), 201);
    assert_int_equal(ask(&w, b.t, "DELETE", MAPS, "application/json", ""), 503);
    b.valid = true;
    fed_fence_drop(b.fence);
    assert_int_not_equal(create(&b, "dropped"), 201);
    assert_true(exists(&w, "by-a") && exists(&w, "by-b"));
    assert_false(exists(&w, "early") || exists(&w, "late") || exists(&w, "overdue") || exists(&w, "dropped"));
    assert_int_equal(create(&b, "x"), 503);
    leader_release(&a);
    leader_release(&b);
    world_release(&w);
}

static void both(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    assert_true(code && res->http_status == 503);
    assert_non_null(strstr(err->text, "does not lead"));
    ((struct world *)ud)->done = true;
}

/* The old leader believes in its lease when it submits; the raising is before it in the store's queue. */
static void test_the_store_itself_refuses(void **state)
{
    static struct world w;
    struct leader a, b;
    char body[200];
    (void)state;
    world_init(&w, 0);
    leader_init(&a, &w);
    leader_init(&b, &w);
    raise_fence(&a, "a");
    b.raised = false;
    fed_fence_raise(b.fence, "b", raised, &b);
    assert_true(fed_fence_holds(a.fence));
    snprintf(body, sizeof body, map_a, "late");
    struct fed_call_request req = {.method = "POST", .path = FED_STR(MAPS), .body = fed_str(body)};
    w.done = false;
    a.t->ops->call(a.t, &req, both, &w);
    assert_true(test_env_run(&w.t, is_done, &w));
    assert_true(test_env_run(&w.t, is_raised, &b));
    assert_false(exists(&w, "late"));
    leader_release(&a);
    leader_release(&b);
    world_release(&w);
}

static bool allow(void *ud)
{
    return *(bool *)ud;
}

static void test_guard_lets_writes_pass_while_allowed(void **state)
{
    static struct world w;
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_identity who = {.user = FED_STR("controllers"), .groups = &masters, .n_groups = 1};
    bool may = true;
    char body[200];
    (void)state;
    world_init(&w, 0);
    struct fed_transport *t = fed_guard_new(fed_api_local(w.api, &who), allow, &may);
    snprintf(body, sizeof body, map_a, "one");
    assert_int_equal(ask(&w, t, "POST", MAPS, "application/json", body), 201);
    may = false;
    snprintf(body, sizeof body, map_a, "two");
    assert_int_equal(ask(&w, t, "POST", MAPS, "application/json", body), 0);
    assert_int_equal(w.code, FED_E_CANCELED);
    assert_int_equal(ask(&w, t, "GET", MAPS "/one", "", ""), 200); /* reading is free */
    assert_false(exists(&w, "two"));
    struct fed_call_request req = {.method = "DELETE", .path = FED_STR(MAPS "/one")};
    fed_call_cancel(t->ops->call(t, &req, both, &w)); /* no callback */
    t->ops->call(t, &req, both, &w);
    fed_transport_free(t); /* nor here */
    test_env_drain(&w.t);
    assert_true(exists(&w, "one"));
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_last_to_raise_writes),
        cmocka_unit_test(test_the_store_itself_refuses),
        cmocka_unit_test(test_guard_lets_writes_pass_while_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
