/* SPDX-License-Identifier: Apache-2.0 */
/* What the endpoints controller publishes for each type of Service. */
#include "fedapi/controllers/slices.h"
#include "kube/obj.h"
#include "tests/unit/trees.h"

#define NODE                                                                                                           \
    "{metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}, status: {addresses: [{type: InternalIP, "       \
    "address: 127.70.0.1}], conditions: [{type: Ready, status: 'True'}]}}"
#define SLICE                                                                                                          \
    "{metadata: {name: web-x}, addressType: IPv4, endpoints: [{addresses: [127.70.64.1], conditions: {ready: "         \
    "true}}, {addresses: [127.70.64.2], conditions: {ready: false}}], ports: [{name: http, protocol: TCP, port: "      \
    "8080}]}"

struct want {
    const char *name, *service, *slice;
    const char *expect; /* "NAME TYPE addresses ports" of each slice, ';' between */
};
static const struct want cases[] = {
    {"load balancer",
     "{metadata: {name: web}, spec: {type: LoadBalancer, ports: [{name: http, port: 80}]}, status: {loadBalancer: "
     "{ingress: [{ip: 127.70.192.1}]}}}",
     SLICE, "web-c1 IPv4 127.70.192.1 http=80;web-c1-local-0 IPv4 127.70.64.1 http=8080;"},
    {"load balancer on another port than asked for",
     "{metadata: {name: web, annotations: {member.hansa.io/load-balancer-ports: '{\"80\":31234}'}}, spec: {type: "
     "LoadBalancer, ports: [{name: http, port: 80}]}, status: {loadBalancer: {ingress: [{ip: 127.70.192.1}]}}}",
     SLICE, "web-c1 IPv4 127.70.192.1 http=31234;web-c1-local-0 IPv4 127.70.64.1 http=8080;"},
    {"load balancer by name and in IPv6",
     "{metadata: {name: web}, spec: {type: LoadBalancer, ports: [{name: http, port: 80}]}, status: {loadBalancer: "
     "{ingress: [{hostname: lb.example.net}, {ip: '2001:db8::1'}]}}}",
     "{metadata: {name: web-x}, endpoints: [], ports: []}",
     "web-c1-ipv6 IPv6 2001:db8::1 http=80;web-c1-fqdn FQDN lb.example.net http=80;"},
    {"load balancer without an address yet",
     "{metadata: {name: web}, spec: {type: LoadBalancer, ports: [{name: http, port: 80}]}}",
     "{metadata: {name: web-x}, endpoints: [], ports: []}", ""},
    {"node port", "{metadata: {name: web}, spec: {type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]}}",
     SLICE, "web-c1 IPv4 127.70.0.1 http=30080;web-c1-local-0 IPv4 127.70.64.1 http=8080;"},
    {"cluster address only",
     "{metadata: {name: web}, spec: {clusterIP: 127.70.128.1, ports: [{name: http, port: 80}]}}", SLICE,
     "web-c1-local-0 IPv4 127.70.64.1 http=8080;"},
    {"headless with pods on the host network",
     "{metadata: {name: web}, spec: {clusterIP: None, ports: [{name: http, port: 80}]}}",
     "{metadata: {name: web-x}, addressType: IPv4, endpoints: [{addresses: [127.70.0.1], conditions: {ready: true}}], "
     "ports: [{name: http, protocol: TCP, port: 31080}]}",
     "web-c1 IPv4 127.70.0.1 http=31080;web-c1-local-0 IPv4 127.70.0.1 http=31080;"},
    {"headless with pods of the pod network is nobody else's affair",
     "{metadata: {name: web}, spec: {clusterIP: None, ports: [{name: http, port: 80}]}}", SLICE,
     "web-c1-local-0 IPv4 127.70.64.1 http=8080;"},
};

static void describe(const struct fed_json *slices, struct fed_buf *out)
{
    FED_JSON_EACH(s, slices) {
        struct fed_str name = fed_obj_name(s), type = fed_json_find_text(s, "addressType");
        fed_buf_addf(out, "%.*s %.*s ", FED_STR_ARG(name), FED_STR_ARG(type));
        FED_JSON_EACH(e, fed_json_find(s, "endpoints")) {
            struct fed_str addr = fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0));
            fed_buf_addf(out, "%s%.*s", e->prev ? "," : "", FED_STR_ARG(addr));
        }
        FED_JSON_EACH(p, fed_json_find(s, "ports")) {
            struct fed_str port = fed_json_find_text(p, "name");
            fed_buf_addf(out, " %.*s=%d", FED_STR_ARG(port), (int)fed_json_int(fed_json_find(p, "port"), 0));
        }
        fed_buf_addc(out, ';');
    }
}

static void test_each_type_of_service(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_buf got;
        struct fed_json *service = yaml_of(&a, cases[i].service), *slice = yaml_of(&a, cases[i].slice),
                        *node = yaml_of(&a, NODE);
        const struct fed_json *slices[] = {slice}, *nodes[] = {node};
        struct fapi_slices_in in = {service, FED_STR("c1"), service, slices, 1, nodes, 1};
        struct fed_json *out = fed_json_array(&a);
        fapi_slices_build(&a, &in, out);
        fed_buf_init(&got, 0);
        describe(out, &got);
        if (strcmp(fed_buf_z(&got), cases[i].expect) != 0)
            fail_msg("%s: got \"%s\", want \"%s\"", cases[i].name, fed_buf_z(&got), cases[i].expect);
        fed_buf_release(&got);
        fed_arena_release(&a);
    }
}

static void test_ready_tells_whether_a_pod_stands_behind(void **state)
{
    struct fed_arena a = {0};
    struct fed_json *service = yaml_of(
        &a, "{metadata: {name: web}, spec: {type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]}}");
    struct fed_json *slice =
        yaml_of(&a, "{metadata: {name: x}, endpoints: [{addresses: [127.70.64.1], conditions: {ready: "
                    "false}}], ports: []}");
    const struct fed_json *slices[] = {slice}, *nodes[] = {yaml_of(&a, NODE)};
    struct fapi_slices_in in = {service, FED_STR("c1"), service, slices, 1, nodes, 1};
    struct fed_json *out = fed_json_array(&a);
    (void)state;
    fapi_slices_build(&a, &in, out);
    assert_int_equal(out->n, 1);
    const struct fed_json *endpoint = fed_json_item(fed_json_find(out->first, "endpoints"), 0);
    assert_false(fed_json_bool(fed_json_at(endpoint, "conditions", "ready", NULL), true));
    struct fed_str ready = fed_obj_annotation(out->first, "federation.hansa.io/ready");
    assert_true(fed_str_is(ready, "0"));
    fed_arena_release(&a);
}

static void test_v1_service_ingresses(void **state)
{
    (void)state;
    struct fed_arena a = {0};
#define GLOBAL(cluster, type, address, ready)                                                                          \
    "{metadata: {labels: {multicluster.kubernetes.io/source-cluster: " cluster                                         \
    ", federation.hansa.io/scope: global}}, "                                                                          \
    "addressType: " type ", endpoints: [{addresses: ['" address "'], conditions: {ready: " ready "}}]}"
    const struct fed_json *slices[] = {yaml_of(&a, GLOBAL("c1", "IPv4", "192.0.2.1", "true")),
                                       yaml_of(&a, GLOBAL("c2", "IPv4", "192.0.2.2", "false")),
                                       yaml_of(&a, GLOBAL("c1", "FQDN", "lb.test", "true"))};
    struct fed_json *service = yaml_of(&a, "{spec: {type: LoadBalancer}}");
    struct fed_str text = fapi_service_ingresses(&a, service, slices, 3);
    assert_string_equal(fed_arena_dupz(&a, text), "{\"items\":[{\"cluster\":\"c1\",\"items\":[{\"ip\":\"192.0.2.1\"},"
                                                  "{\"hostname\":\"lb.test\"}]},{\"cluster\":\"c2\",\"items\":null}]}");
    assert_null(fapi_service_ingresses(&a, service, slices, 0).p);
    assert_null(fapi_service_ingresses(&a, yaml_of(&a, "{spec: {type: NodePort}}"), slices, 3).p);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_of_service),
        cmocka_unit_test(test_ready_tells_whether_a_pod_stands_behind),
        cmocka_unit_test(test_v1_service_ingresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
