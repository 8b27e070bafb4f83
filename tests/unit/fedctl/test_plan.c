/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that init and join write, and how what is there is compared with them. */
#include "fedctl/plan.h"

#include "crypto/pki.h"
#include "fedctl/edges.h"
#include "kube/obj.h"
#include "tests/unit/trees.h"

#define NOW_MS 1800000000000LL

static const struct fctl_plane plane = {.federation = "fed",
                                        .zone = "example.com.",
                                        .ns = "federation-system",
                                        .image = "hansa/fedapi:v1",
                                        .pull_policy = "IfNotPresent",
                                        .service_type = "LoadBalancer",
                                        .url = "https://127.70.192.1"};

/* Value behind a flag in the arguments of the first container; empty when absent. */
static struct fed_str argument(const struct fed_json *workload, const char *flag)
{
    struct fed_json *containers = fed_json_at(workload, "spec", "template", "spec", "containers", NULL);
    FED_JSON_EACH(arg, fed_json_find(fed_json_item(containers, 0), "args"))
        if (fed_str_is(fed_json_str(arg), flag))
            return fed_json_str(arg->next);
    return (struct fed_str){0};
}

static void test_deployment(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fctl_plane p = plane;
    const char *sans[] = {"127.70.192.1", "fed.example.com"},
               *args[] = {"--cluster-failure-grace", "5s", "--zone", "x."};
    p.sans = (struct fed_strings){sans, 2};
    p.args = (struct fed_strings){args, 4};
    p.node_selector = json_of(&a, "{\"disk\":\"ssd\"}");
    struct fed_json *d = fctl_plan_deployment(&a, &p);
    CHECK_TEXT("annotation", fed_obj_annotation(d, "federations"), "fed=example.com");
    CHECK_TEXT("strategy", fed_json_find_text(fed_json_at(d, "spec", "strategy", NULL), "type"), "Recreate");
    CHECK_TEXT("name", argument(d, "--name"), "fed");
    CHECK_TEXT("dir", argument(d, "--dir"), "/var/lib/hansa/fed");
    CHECK_TEXT("listen is left to the pod's environment", argument(d, "--listen"), "$(POD_IP):8443");
    CHECK_TEXT("url", argument(d, "--public-url"), "https://127.70.192.1");
    CHECK_TEXT("first name of the certificate", argument(d, "--san"), "127.70.192.1");
    CHECK_TEXT("override of ours replaces it", argument(d, "--zone"), "x.");
    CHECK_TEXT("other override", argument(d, "--cluster-failure-grace"), "5s");
    struct fed_json *pod = fed_json_at(d, "spec", "template", "spec", NULL);
    CHECK_TEXT("node selector", fed_json_find_text(fed_json_find(pod, "nodeSelector"), "disk"), "ssd");
    fed_arena_release(&a);
}

static void test_values_never_become_structure(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fctl_plane p = plane;
    p.image = "x\", \"command\": [\"sh\"], \"y\": \"${zone}";
    struct fed_json *d = fctl_plan_deployment(&a, &p);
    struct fed_json *c = fed_json_item(fed_json_at(d, "spec", "template", "spec", "containers", NULL), 0);
    CHECK_TEXT("as it is", fed_json_find_text(c, "image"), p.image);
    CHECK("no command", fed_json_find(c, "command") == NULL);
    fed_arena_release(&a);
}

static void test_credentials(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *secret = NULL;
    struct fed_err err = {0};
    CHECK("made", fctl_plan_credentials(&a, &plane, NOW_MS, &secret, &err) == 0);
    const char *ca = fctl_secret_text(&a, secret, "ca.crt"), *key = fctl_secret_text(&a, secret, "ca.key");
    CHECK("a key and its certificate", ca && key && fed_pki_key_matches(fed_str(ca), fed_str(key)));
    CHECK("for tokens", fctl_secret_text(&a, secret, "sa.key") != NULL);
    CHECK("absent", fctl_secret_text(&a, secret, "other") == NULL);
    fed_arena_release(&a);
}

static void test_service_address(void **state)
{
    (void)state;
    static const char nodes[] =
        "{\"items\":[{\"status\":{\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"},"
        "{\"type\":\"ExternalIP\",\"address\":\"192.0.2.9\"}]}}]}";
    static const struct {
        const char *name, *service, *advertise, *url; /* url NULL: not yet */
        size_t sans;
    } cases[] = {
        {"balancer",
         "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":443}]},"
         "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"192.0.2.1\"},{\"hostname\":\"b.example.com\"}]}}}",
         NULL, "https://192.0.2.1", 2},
        {"hostname",
         "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":443}]},"
         "\"status\":{\"loadBalancer\":{\"ingress\":[{\"hostname\":\"b.example.com\"}]}}}",
         NULL, "https://b.example.com", 1},
        {"another port serves",
         "{\"metadata\":{\"annotations\":{\"member.hansa.io/load-balancer-ports\":"
         "\"{\\\"443\\\":31234}\"}},\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":443}]},"
         "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"127.70.192.1\"}]}}}",
         NULL, "https://127.70.192.1:31234", 1},
        {"IPv6",
         "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":443}]},"
         "\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"2001:db8::1\"}]}}}",
         NULL, "https://[2001:db8::1]", 1},
        {"no address yet", "{\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":443}]},\"status\":{}}", NULL,
         NULL, 0},
        {"node port", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":443,\"nodePort\":30443}]}}", NULL,
         "https://192.0.2.9:30443", 2},
        {"advertised", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":443,\"nodePort\":30443}]}}",
         "198.51.100.7", "https://198.51.100.7:30443", 3},
        {"no node port yet", "{\"spec\":{\"type\":\"NodePort\",\"ports\":[{\"port\":443}]}}", NULL, NULL, 0},
    };
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        const char *url = NULL;
        struct fed_strings sans;
        int code = fctl_service_address(&a, json_of(&a, cases[i].service), json_of(&a, nodes), cases[i].advertise, &url,
                                        &sans, NULL);
        CHECK(cases[i].name, code == (cases[i].url ? 0 : FED_E_BUSY));
        if (code)
            continue;
        CHECK_TEXT(cases[i].name, fed_str(url), cases[i].url);
        CHECK(cases[i].name, sans.n == cases[i].sans);
    }
    fed_arena_release(&a);
}

static void test_edge(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    const char *args[] = {"--networks", "192.0.2.0/24=a"};
    const struct fed_strings more = {args, 2};
    static const char *const programs[] = {"dns", "globallb"};
    for (size_t i = 0; i < FED_ARRAY_LEN(programs); i++) {
        struct fed_json *d = fctl_plan_edge(&a, programs[i], "img", "Always", &more);
        struct fed_json *pod = fed_json_at(d, "spec", "template", "spec", NULL);
        CHECK(programs[i], fed_json_bool(fed_json_find(pod, "hostNetwork"), false));
        CHECK_TEXT(programs[i], fed_json_find_text(fed_json_item(fed_json_find(pod, "containers"), 0), "image"), "img");
        CHECK_TEXT(programs[i], argument(d, "--networks"), "192.0.2.0/24=a");
    }
    fed_arena_release(&a);
}

static void test_account_name(void **state)
{
    (void)state;
    static const struct {
        const char *cluster, *host, *want;
    } cases[] = {{"gondor", "rivendell", "gondor-rivendell"},
                 {"c", "gke_My-Project_eu_x", "c-gke-my-project-eu-x"},
                 {"c", "admin@k8s.", "c-admin-k8s"}};
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        CHECK_TEXT(cases[i].host, fed_str(fctl_account_name(&a, cases[i].cluster, cases[i].host)), cases[i].want);
    CHECK("cut", strlen(fctl_account_name(&a, "c",
                                          "a-very-long-context-name-that-goes-on-and-on-and-on-and-on-and-on")) <= 63);
    fed_arena_release(&a);
}

static void test_cluster(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fctl_member m = {.cluster = "c1",
                            .federation = "fed",
                            .ns = "federation-system",
                            .account = "c1-host",
                            .role = "federation-controller-manager:fed-c1-host",
                            .secret = "c1-credentials",
                            .server = "https://192.0.2.1:6443",
                            .region = "eu",
                            .coordinates = "1,2",
                            .labels = json_of(&a, "{\"tier\":\"web\"}")};
    struct fed_json *c = fctl_plan_cluster(&a, &m);
    CHECK_TEXT("the original's annotation", fed_obj_annotation(c, FCTL_ANN_ACCOUNT), "c1-host");
    CHECK_TEXT("role", fed_obj_annotation(c, FCTL_ANN_ROLE), m.role);
    CHECK_TEXT("region", fed_obj_annotation(c, FCTL_ANN_REGION), "eu");
    CHECK("zone is not said", fed_obj_annotation(c, FCTL_ANN_ZONE).p == NULL);
    CHECK_TEXT("label", fed_obj_label(c, "tier"), "web");
    CHECK_TEXT("secret", fed_json_find_text(fed_json_at(c, "spec", "secretRef", NULL), "name"), "c1-credentials");
    m.account = m.role = "";
    CHECK("own credentials: nothing to remove later",
          fed_obj_annotation(fctl_plan_cluster(&a, &m), FCTL_ANN_ROLE).p == NULL);

    struct fed_rest_conf rest = {.server = (char *)m.server, .ca_pem = (char *)"CA", .token = (char *)"t0"};
    struct fed_json *secret = fctl_plan_cluster_secret(&a, &m, "t1", &rest);
    CHECK_TEXT("token", fed_str(fctl_secret_text(&a, secret, "token")), "t1");
    CHECK_TEXT("ca", fed_str(fctl_secret_text(&a, secret, "ca.crt")), "CA");
    CHECK("no kubeconfig", fctl_secret_text(&a, secret, "kubeconfig") == NULL);
    rest.proxy_url = (char *)"http://proxy:3128";
    secret = fctl_plan_cluster_secret(&a, &m, "t1", &rest);
    const char *way = fctl_secret_text(&a, secret, "kubeconfig");
    CHECK("the way there",
          way && strstr(way, "proxy:3128") && strstr(way, "t1") && strstr(way, "certificate-authority-data"));
    CHECK_TEXT("token", fed_str(fctl_secret_text(&a, secret, "token")), "t1");
    rest.proxy_url = NULL;
    secret = fctl_plan_cluster_secret(&a, &m, NULL, &rest);
    CHECK("kubeconfig", strstr(fctl_secret_text(&a, secret, "kubeconfig"), "t0") != NULL);
    fed_arena_release(&a);
}

static void test_covers(void **state)
{
    (void)state;
    static const struct {
        const char *have, *want;
        bool covers;
    } cases[] = {{"{\"a\":1,\"b\":2}", "{\"a\":1}", true},
                 {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
                 {"{\"a\":1}", "{\"a\":2}", false},
                 {"{\"a\":[{\"x\":1,\"y\":2}]}", "{\"a\":[{\"x\":1}]}", true},
                 {"{\"a\":[1,2]}", "{\"a\":[1]}", false},
                 {"{}", "{\"a\":{}}", true},
                 {"{}", "{\"a\":[]}", true},
                 {"{}", "{\"a\":\"\"}", false},
                 {"{\"a\":1}", "{\"a\":null}", false},
                 {"{}", "{\"a\":null}", true},
                 {"{\"a\":\"1\"}", "{\"a\":1}", false}};
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++)
        CHECK(cases[i].want, fctl_covers(json_of(&a, cases[i].have), json_of(&a, cases[i].want)) == cases[i].covers);
    fed_arena_release(&a);
}

static void test_edges(void **state)
{
    (void)state;
    struct fed_arena a = {0};
#define SLICE(svc, cluster, scope, port, ready)                                                                        \
    "{\"metadata\":{\"name\":\"x\",\"labels\":{\"multicluster.kubernetes.io/service-name\":\"" svc "\","               \
    "\"multicluster.kubernetes.io/source-cluster\":\"" cluster "\",\"federation.hansa.io/scope\":\"" scope "\"}},"     \
    "\"ports\":[{\"name\":\"dns-tcp\",\"port\":1},{\"name\":\"dns\",\"port\":" port "}],"                              \
    "\"endpoints\":[{\"addresses\":[\"127.70.0.1\"],\"conditions\":{\"ready\":" ready "}}]}"
    struct fed_json *slices =
        json_of(&a, "{\"items\":[" SLICE("dns", "c1", "local", "9", "true") "," SLICE(
                        "dns", "c1", "global", "20053", "true") "," SLICE("dns", "c2", "global", "53", "false") "]}");
    struct fctl_edge e = fctl_find_edge(&a, slices, "dns", "c1", "dns");
    CHECK_TEXT("c1", fed_str(e.address), "127.70.0.1:20053");
    CHECK("ready", e.ready);
    e = fctl_find_edge(&a, slices, "dns", "c2", "dns");
    CHECK("c2", e.address && !e.ready);
    CHECK("another service", !fctl_find_edge(&a, slices, "globallb", "c1", "http").address);
    fed_arena_release(&a);
}

static void test_node(void **state)
{
    (void)state;
#define NODE(name, ready, more)                                                                                        \
    "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"kubernetes.io/hostname\":\"" name "\"}},\"spec\":{" more       \
    "},\"status\":{\"conditions\":[{\"type\":\"Ready\",\"status\":\"" ready "\"}]}}"
    static const struct {
        const char *name, *nodes, *deployment, *want; /* want NULL: any node */
    } cases[] = {
        {"one node", "{\"items\":[" NODE("a", "True", "") "]}", NULL, NULL},
        {"first by name", "{\"items\":[" NODE("b", "True", "") "," NODE("a", "True", "") "]}", NULL, "a"},
        {"ready", "{\"items\":[" NODE("a", "False", "") "," NODE("b", "True", "") "]}", NULL, "b"},
        {"not cordoned", "{\"items\":[" NODE("a", "True", "\"unschedulable\":true") "," NODE("b", "True", "") "]}",
         NULL, "b"},
        {"not tainted",
         "{\"items\":[" NODE("a", "True",
                             "\"taints\":[{\"key\":\"k\",\"effect\":\"NoSchedule\"}]") "," NODE("b", "True", "") "]}",
         NULL, "b"},
        {"where it is", "{\"items\":[" NODE("a", "True", "") "," NODE("b", "True", "") "]}",
         "{\"spec\":{\"template\":{\"spec\":{\"nodeSelector\":{\"kubernetes.io/hostname\":\"b\"}}}}}", "b"},
        {"as it was made", "{\"items\":[" NODE("a", "True", "") "," NODE("b", "True", "") "]}", "{\"spec\":{}}", NULL},
    };
    struct fed_arena a = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_json *d = cases[i].deployment ? json_of(&a, cases[i].deployment) : NULL;
        struct fed_json *got = fctl_choose_node(&a, json_of(&a, cases[i].nodes), d);
        CHECK(cases[i].name, (got != NULL) == (cases[i].want != NULL));
        if (got)
            CHECK_TEXT(cases[i].name, fed_json_find_text(got, "kubernetes.io/hostname"), cases[i].want);
    }
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deployment),   cmocka_unit_test(test_values_never_become_structure),
        cmocka_unit_test(test_credentials),  cmocka_unit_test(test_service_address),
        cmocka_unit_test(test_node),         cmocka_unit_test(test_edge),
        cmocka_unit_test(test_account_name), cmocka_unit_test(test_cluster),
        cmocka_unit_test(test_covers),       cmocka_unit_test(test_edges)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
