/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and node ports: given, kept, refused, given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "member/services.h"

struct fixture {
    struct mbr m;
    struct mbr_services *s;
    struct fed_arena a;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->m.range.x = 77;
    f->s = mbr_services_new(&f->m);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mbr_services_free(f->s);
    fed_arena_release(&f->a);
    free(f);
    return 0;
}

static struct fed_json *svc(struct fixture *f, const char *name, const char *spec)
{
    struct fed_json *o = fed_obj_new(&f->a, "v1", "Service", FED_STR("ns"), fed_arena_dup(&f->a, fed_str(name))), *s;
    assert_int_equal(fed_json_parse(&f->a, fed_arena_dup(&f->a, fed_str(spec)), NULL, &s, NULL), 0);
    fed_json_set(o, "spec", s);
    return o;
}

/* Number of causes; the write is settled as told. */
static size_t put(struct fixture *f, struct fed_json *obj, const struct fed_json *old, bool commit)
{
    struct fed_write w = {.arena = &f->a, .old = old};
    struct fed_causes causes = {.arena = &f->a};
    assert_int_equal(mbr_services_prepare(f->s, &w, obj, NULL), 0);
    mbr_services_validate(f->s, &w, obj, &causes);
    mbr_services_settled(f->s, &w, obj, commit && !causes.n);
    return causes.n;
}

static struct fed_str ip_of(const struct fed_json *o)
{
    return fed_json_str(fed_json_at(o, "spec", "clusterIP", NULL));
}
static int64_t node_port(const struct fed_json *o)
{
    return fed_json_int(fed_json_find(fed_json_item(fed_json_at(o, "spec", "ports", NULL), 0), "nodePort"), 0);
}

static void test_addresses(void **state)
{
    struct fixture *f = *state;
    struct fed_json *a = svc(f, "a", "{\"type\":\"ClusterIP\",\"ports\":[{\"port\":80}]}");
    struct fed_json *b = svc(f, "b", "{\"type\":\"ClusterIP\",\"ports\":[{\"port\":80}]}");
    assert_int_equal(put(f, a, NULL, true), 0);
    assert_true(fed_str_is(ip_of(a), "127.77.128.1"));
    assert_int_equal(put(f, b, NULL, true), 0);
    assert_true(fed_str_is(ip_of(b), "127.77.128.2"));
    struct fed_json *update = svc(f, "a", "{\"type\":\"ClusterIP\",\"ports\":[{\"port\":81}]}");
    assert_int_equal(put(f, update, a, true), 0);
    assert_true(fed_str_eq(ip_of(update), ip_of(a)));
    assert_int_equal(put(f, svc(f, "c", "{\"clusterIP\":\"127.77.128.2\"}"), NULL, true), 1);
    assert_int_equal(put(f, svc(f, "c", "{\"clusterIP\":\"10.0.0.1\"}"), NULL, true), 1);
    assert_int_equal(put(f, svc(f, "c", "{\"clusterIP\":\"None\"}"), NULL, true), 0);
    struct fed_json *name = svc(f, "d", "{\"type\":\"ExternalName\",\"externalName\":\"x\"}");
    assert_int_equal(put(f, name, NULL, true), 0);
    assert_null(ip_of(name).p);
    assert_int_equal(put(f, svc(f, "e", "{\"clusterIP\":\"127.77.128.9\"}"), NULL, true), 0);
}

static void test_refused_writes_give_back(void **state)
{
    struct fixture *f = *state;
    const char *spec =
        "{\"type\":\"NodePort\",\"clusterIP\":\"127.77.128.7\",\"ports\":[{\"port\":80,\"nodePort\":30080}]}";
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(f, svc(f, "a", spec), NULL, false), 0);
    assert_int_equal(put(f, svc(f, "b", spec), NULL, true), 0);
    assert_int_equal(put(f, svc(f, "a", spec), NULL, true), 2); /* both are b's, and stay so */
    assert_int_equal(put(f, svc(f, "a", spec), NULL, true), 2);
}

static void test_node_ports(void **state)
{
    struct fixture *f = *state;
    struct fed_json *a = svc(f, "a", "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}");
    assert_int_equal(put(f, a, NULL, true), 0);
    assert_int_equal(node_port(a), 30000);
    struct fed_json *udp =
        svc(f, "u", "{\"type\":\"NodePort\",\"ports\":[{\"port\":53,\"protocol\":\"UDP\",\"nodePort\":30000}]}");
    assert_int_equal(put(f, udp, NULL, true), 0); /* another protocol */
    assert_int_equal(
        put(f, svc(f, "b", "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":30000}]}"), NULL, true), 1);
    assert_int_equal(
        put(f, svc(f, "b", "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"nodePort\":80}]}"), NULL, true), 1);
    struct fed_json *kept = svc(f, "a", "{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":80,\"protocol\":\"TCP\"}]}");
    assert_int_equal(put(f, kept, a, true), 0);
    assert_int_equal(node_port(kept), 30000);
}

static void test_balancers(void **state)
{
    struct fixture *f = *state;
    char ip[16];
    assert_true(mbr_services_balancer(f->s, FED_STR("ns/a"), FED_STR(""), ip));
    assert_string_equal(ip, "127.77.192.1");
    assert_true(mbr_services_balancer(f->s, FED_STR("ns/a"), FED_STR("127.77.192.1"), ip));
    assert_string_equal(ip, "127.77.192.1");
    assert_true(mbr_services_balancer(f->s, FED_STR("ns/b"), FED_STR("127.77.192.1"), ip)); /* taken: another */
    assert_string_equal(ip, "127.77.192.2");
    mbr_services_drop_balancer(f->s, FED_STR("ns/b"), FED_STR("127.77.192.1")); /* not its own */
    assert_true(mbr_services_balancer(f->s, FED_STR("ns/c"), FED_STR("127.77.192.1"), ip));
    assert_string_equal(ip, "127.77.192.3");
}

static void test_pool(void **state)
{
    struct mbr_pool p;
    (void)state;
    mbr_pool_init(&p, 3);
    assert_int_equal(mbr_pool_next(&p), 0);
    assert_true(mbr_pool_take(&p, 1));
    assert_false(mbr_pool_take(&p, 1));
    assert_false(mbr_pool_take(&p, 3));
    assert_int_equal(mbr_pool_next(&p), 2);
    assert_int_equal(mbr_pool_next(&p), -1);
    mbr_pool_put(&p, 0);
    mbr_pool_put(&p, 0);
    assert_int_equal(mbr_pool_next(&p), 0);
    mbr_pool_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_writes_give_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_node_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_balancers, setup, teardown),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
