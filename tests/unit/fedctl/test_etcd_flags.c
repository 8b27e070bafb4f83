/* SPDX-License-Identifier: Apache-2.0 */
/* init with an etcd: flags against each other, the Deployment for several servers, and a store that is not moved. */
#include "fedctl/etcd.h"

#include "fedctl/plan.h"
#include "tests/unit/unit.h"

static const struct fctl_plane plane = {.federation = "fed",
                                        .zone = "example.com.",
                                        .ns = "federation-system",
                                        .image = "hansa/fedapi:v1",
                                        .pull_policy = "IfNotPresent",
                                        .service_type = "LoadBalancer",
                                        .url = "https://127.70.192.1"};
#define HERE HANSA_SOURCE_DIR "/tests/unit/fedctl/test_etcd_flags.c" /* a file to read */

static void test_flags(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct fctl_etcd flags;
        const char *error; /* NULL: fine */
        size_t n_files;
        int64_t replicas;
    } cases[] = {
        {"none", {0}, NULL, 0, 0},
        {"plain", {.servers = "http://a:2379"}, NULL, 0, 2},
        {"one server", {.servers = "http://a:2379", .replicas = 1}, NULL, 0, 1},
        {"all", {.servers = "https://a:1,https://b:1", .ca = HERE, .cert = HERE, .key = HERE}, NULL, 3, 2},
        {"no client certificate", {.servers = "https://a:2379", .ca = HERE}, NULL, 1, 2},
        {"empty is none", {.servers = "", .ca = "", .cert = ""}, NULL, 0, 0},
        {"replicas of a file", {.replicas = 2}, "--etcd-servers", 0, 0},
        {"files without servers", {.key = HERE}, "--etcd-key should be passed only with --etcd-servers", 0, 0},
        {"half a pair", {.servers = "https://a:1", .key = HERE}, "go together", 0, 0},
        {"no URL", {.servers = "https://a:1,b:1"}, "\"b:1\" is no URL", 0, 0},
        {"TLS files without TLS", {.servers = "http://a:1", .ca = HERE}, "that are https://", 0, 0},
        {"no such file", {.servers = "https://a:1", .ca = "/nowhere/ca"}, "--etcd-ca: ", 0, 0},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_err err = {0};
        struct fctl_etcd e = cases[i].flags;
        int code = fctl_etcd_check(&a, &e, &err);
        CHECK(cases[i].name, (code == 0) == !cases[i].error);
        if (cases[i].error)
            CHECK(cases[i].name, strstr(err.text, cases[i].error) != NULL);
        else
            CHECK(cases[i].name, (e.files ? e.files->n : 0) == cases[i].n_files && e.replicas == cases[i].replicas);
        fed_arena_release(&a);
    }
}

static void test_deployment_for_several(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_err err = {0};
    struct fctl_etcd e = {.servers = "https://a:1", .ca = HERE, .replicas = 3}, none = {0};
    CHECK("flags", fctl_etcd_check(&a, &e, &err) == 0);
    struct fed_json *file = fctl_plan_deployment(&a, &plane), *d = fctl_plan_deployment(&a, &plane);
    fctl_etcd_apply(&a, &none, file);
    CHECK("left as it is", fctl_covers(file, fctl_plan_deployment(&a, &plane)));
    fctl_etcd_apply(&a, &e, d);
    struct fed_buf text = {0};
    fed_json_write(&text, d);
    CHECK("replicas", strstr(fed_buf_z(&text), "\"replicas\":3"));
    CHECK("one after the other", strstr(fed_buf_z(&text), "\"strategy\":{\"type\":\"RollingUpdate\"}"));
    CHECK("store", strstr(fed_buf_z(&text), "\"--store\",\"etcd:https://a:1\""));
    CHECK("its CA", strstr(fed_buf_z(&text), "\"--etcd-ca\",\"/etc/hansa/etcd/ca.crt\""));
    CHECK("no client certificate", !strstr(fed_buf_z(&text), "--etcd-cert"));
    CHECK("nothing on the node", !strstr(fed_buf_z(&text), "hostPath") && strstr(fed_buf_z(&text), "\"emptyDir\":{}"));
    CHECK("the files", strstr(fed_buf_z(&text), "\"secretName\":\"apiserver-etcd\""));
    CHECK("apart", strstr(fed_buf_z(&text), "podAntiAffinity"));
    fed_buf_release(&text);

    CHECK("new", fctl_etcd_check_store(&e, NULL, &err) == 0 && fctl_etcd_check_store(&none, NULL, &err) == 0);
    CHECK("again", fctl_etcd_check_store(&e, d, &err) == 0 && fctl_etcd_check_store(&none, file, &err) == 0);
    CHECK("not from a file", fctl_etcd_check_store(&e, file, &err) && strstr(err.text, "not moved to etcd"));
    CHECK("not forgotten",
          fctl_etcd_check_store(&none, d, &err) && strstr(err.text, "--etcd-servers=https://a:1 again"));
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flags), cmocka_unit_test(test_deployment_for_several)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
