/* SPDX-License-Identifier: Apache-2.0 */
/* Objects -> snapshots: what changes, what is shared, what a file brings back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "support/test_env.h"
#include "traffic/builder.h"

struct world {
    struct test_env env;
    struct fed_routing routing;
    struct fed_targets *targets;
    struct fed_builder *b;
    char dir[64], file[80];
};

static void open_builder(struct world *w)
{
    fed_routing_init(&w->routing, 1);
    w->targets = fed_targets_new();
    w->b = fed_builder_new(&(struct fed_builder_conf){.env = &w->env.env,
                                                      .routing = &w->routing,
                                                      .targets = w->targets,
                                                      .own_cluster = "us-east1",
                                                      .state_file = w->file,
                                                      .local_endpoints = true,
                                                      .secrets = true});
}
static void close_builder(struct world *w)
{
    fed_builder_free(w->b);
    fed_routing_release(&w->routing);
    assert_int_equal(fed_targets_count(w->targets), 0); /* every reference came back */
    fed_targets_free(w->targets);
}
static int setup(void **state)
{
    struct world *w = FED_NEW(struct world);
    test_env_init(&w->env, 1);
    snprintf(w->dir, sizeof(w->dir), "/tmp/hansa-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->file, sizeof(w->file), "%s/snapshot", w->dir);
    open_builder(w);
    *state = w;
    return 0;
}
static int teardown(void **state)
{
    struct world *w = *state;
    close_builder(w);
    unlink(w->file);
    rmdir(w->dir);
    test_env_release(&w->env);
    free(w);
    return 0;
}
static void put_file(struct world *w)
{
    struct fed_buf text = {0};
    struct fed_err err;
    assert_int_equal(fed_file_read(HANSA_SOURCE_DIR "/tests/data/dns/world.yaml", 1 << 20, &text, &err), 0);
    if (fed_builder_put_yaml(w->b, fed_buf_str(&text), &err))
        fail_msg("%s", err.text);
    fed_buf_release(&text);
}
static void put(struct world *w, const char *yaml)
{
    struct fed_err err;
    if (fed_builder_put_yaml(w->b, fed_str(yaml), &err))
        fail_msg("%s", err.text);
}
static const struct fed_snapshot *now(struct world *w)
{
    return fed_routing_current(&w->routing);
}

static void the_world(void **state)
{
    struct world *w = *state;
    assert_null(now(w));
    put_file(w);
    assert_null(now(w)); /* nothing half made is seen */
    fed_builder_flush(w->b);
    const struct fed_snapshot *s = now(w);
    assert_int_equal(s->n_services, 7);
    assert_int_equal(s->n_ingresses, 2);
    assert_non_null(s->balancers);
    assert_non_null(s->dns);
    const struct fed_cluster *eu = fed_snapshot_cluster(s, FED_STR("europe-west1"));
    assert_true(eu && eu->ready && eu->has_place && eu->n_zones == 2);
    const struct fed_service *svc = fed_snapshot_service(s, FED_STR("default"), FED_STR("appmiral"));
    assert_int_equal(svc->type, FED_SERVICE_NODE_PORT);
    assert_int_equal(svc->n_shards, 2);
    const struct fed_shard *sh = fed_service_shard(svc, eu->slot);
    assert_int_equal(sh->ready_pods, 2);
    assert_int_equal(sh->n_groups, 1);
    assert_int_equal(sh->groups[0].ports[0].port, 9012);
    assert_int_equal(sh->groups[0].ports[0].real, 30112);
    assert_int_equal(fed_addr_port(&sh->groups[0].endpoints[0].targets[0]->addr), 30112);
    assert_int_equal(sh->groups[0].endpoints[0].targets[0]->kind, FED_PROBE_HTTP);
    assert_int_equal(sh->groups[0].endpoints[0].targets[1]->kind, FED_PROBE_NONE);
    sh = fed_service_shard(s->balancers, eu->slot);
    assert_int_equal(sh->groups[0].endpoints[0].targets[0]->kind, FED_PROBE_EDGE);
    assert_int_equal(sh->groups[0].endpoints[0].targets[1]->kind, FED_PROBE_TCP);
    assert_int_equal(fed_service_shard(s->dns, eu->slot)->groups[0].endpoints[0].targets[0]->kind, FED_PROBE_DNS);
    /* of a cluster that is not joined: kept, and never used */
    svc = fed_snapshot_service(s, FED_STR("shop"), FED_STR("ghost"));
    assert_int_equal(fed_shard_use(s, &svc->shards[0]), FED_USE_NEVER);
}

static void a_change_remakes_only_its_part(void **state)
{
    struct world *w = *state;
    put_file(w);
    fed_builder_flush(w->b);
    const struct fed_snapshot *before = now(w);
    const struct fed_service *app = fed_snapshot_service(before, FED_STR("default"), FED_STR("appmiral"));
    const struct fed_service *api = fed_snapshot_service(before, FED_STR("production"), FED_STR("api-status"));
    struct fed_target *t = fed_service_shard(api, 0)->groups[0].endpoints[0].targets[0];
    atomic_store(&t->word, FED_HEALTH_DOWN);
    uint64_t gen = before->gen, ingress_gen = before->ingress_gen, cluster_gen = before->cluster_gen;
    put(w,
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: api-status-us-east1, namespace: "
        "production, labels: {multicluster.kubernetes.io/service-name: api-status, "
        "multicluster.kubernetes.io/source-cluster: us-east1, federation.hansa.io/scope: global}}, addressType: IPv4, "
        "ports: [{name: http, port: 80}], endpoints: [{addresses: [127.1.1.1]}, {addresses: [127.1.1.9]}]}");
    test_env_advance(&w->env, 19);
    assert_ptr_equal(now(w), before);
    test_env_advance(&w->env, 5);
    const struct fed_snapshot *after = now(w);
    assert_int_equal(after->gen, gen + 1);
    assert_int_equal(after->ingress_gen, ingress_gen);
    assert_int_equal(after->cluster_gen, cluster_gen);
    assert_int_equal(after->service_gen, gen + 1);
    assert_ptr_equal(fed_snapshot_service(after, FED_STR("default"), FED_STR("appmiral")), app);
    const struct fed_service *now_api = fed_snapshot_service(after, FED_STR("production"), FED_STR("api-status"));
    assert_ptr_not_equal(now_api, api);
    /* the health of a target outlives the snapshot that named it */
    assert_ptr_equal(fed_service_shard(now_api, 0)->groups[0].endpoints[0].targets[0], t);
    assert_int_equal(fed_target_health(t), FED_HEALTH_DOWN);
    /* the same again changes nothing */
    put(w, "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: y}}");
    test_env_advance(&w->env, 100);
    assert_ptr_equal(now(w), after);
}

static void local_endpoints_and_secrets(void **state)
{
    struct world *w = *state;
    put_file(w);
    for (int i = 0; i < 2; i++) {
        char y[800];
        snprintf(
            y, sizeof(y),
            "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: api-status-%s-local, namespace: "
            "production, labels: {multicluster.kubernetes.io/service-name: api-status, "
            "multicluster.kubernetes.io/source-cluster: %s, federation.hansa.io/scope: local}}, addressType: IPv4, "
            "ports: [{name: http, port: 8080}], endpoints: [{addresses: [10.0.0.1]}]}",
            i ? "us-east1" : "asia-east1", i ? "us-east1" : "asia-east1");
        put(w, y);
    }
    put(w, "{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: cert, namespace: shop}, data: "
           "{tls.crt: "
           "YQ==, tls.key: Yg==}}");
    put(w, "{apiVersion: v1, kind: Secret, type: kubernetes.io/tls, metadata: {name: unnamed, namespace: shop}, data: "
           "{tls.crt: YQ==, tls.key: Yg==}}");
    put(w, "{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: tls, namespace: shop}, spec: {tls: "
           "[{hosts: "
           "[Shop.Example.com], secretName: cert}], defaultBackend: {service: {name: website, port: {name: http}}}}}");
    fed_builder_flush(w->b);
    const struct fed_snapshot *s = now(w);
    const struct fed_service *api = fed_snapshot_service(s, FED_STR("production"), FED_STR("api-status"));
    assert_int_equal(fed_service_shard(api, fed_snapshot_cluster(s, FED_STR("us-east1"))->slot)->n_local, 1);
    assert_int_equal(fed_service_shard(api, fed_snapshot_cluster(s, FED_STR("asia-east1"))->slot)->n_local, 0);
    assert_int_equal(s->n_secrets, 1);
    assert_true(fed_str_is(s->secrets[0]->key_pem, "b"));
    const struct fed_ingress *ing = NULL;
    for (size_t i = 0; i < s->n_ingresses; i++)
        if (fed_str_is(s->ingresses[i]->name, "tls"))
            ing = s->ingresses[i];
    assert_true(ing && fed_str_is(ing->tls[0].hosts[0], "shop.example.com") &&
                fed_str_is(ing->fallback.port_name, "http"));
}

static void saved_and_restored(void **state)
{
    struct world *w = *state;
    struct fed_err err;
    struct fed_buf text = {0};
    assert_int_equal(fed_builder_restore(w->b, &err), FED_E_NOT_FOUND);
    put_file(w);
    fed_builder_flush(w->b);
    fed_builder_save(w->b);
    close_builder(w);
    open_builder(w);
    assert_int_equal(fed_builder_restore(w->b, &err), 0);
    assert_int_equal(now(w)->n_services, 7);
    assert_non_null(fed_snapshot_service(now(w), FED_STR("production"), FED_STR("api-status")));
    /* damage of any kind is noticed, and nothing is taken from the file */
    assert_int_equal(fed_file_read(w->file, 1 << 20, &text, &err), 0);
    for (int i = 0; i < 4; i++) {
        close_builder(w);
        open_builder(w);
        char *copy = fed_strdup_str(fed_buf_str(&text));
        struct fed_str s = fed_str_n(copy, text.n);
        if (i == 0)
            s.n -= 20;
        else if (i == 1)
            copy[text.n / 2] ^= 1;
        else if (i == 2)
            copy[15] = '9';
        else
            s.n = 0;
        assert_int_equal(fed_file_write_atomic(w->file, s, 0600, &err), 0);
        int rc = fed_builder_restore(w->b, &err);
        assert_int_equal(rc, i == 2 ? FED_E_VERSION : FED_E_CORRUPT);
        assert_null(now(w));
        free(copy);
    }
    fed_buf_release(&text);
}

static void replaced_by_a_file(void **state)
{
    struct world *w = *state;
    struct fed_err err;
    put_file(w);
    fed_builder_flush(w->b);
    assert_int_equal(
        fed_builder_replace_yaml(w->b,
                                 FED_STR("{apiVersion: federation/v1beta1, kind: Cluster, metadata: {name: "
                                         "a}}"),
                                 &err),
        0);
    assert_int_equal(now(w)->n_services, 0);
    assert_non_null(fed_snapshot_cluster(now(w), FED_STR("a")));
    assert_null(fed_snapshot_cluster(now(w), FED_STR("us-east1")));
    assert_int_not_equal(fed_builder_replace_yaml(w->b, FED_STR("{kind: ["), &err), 0);
    assert_non_null(fed_snapshot_cluster(now(w), FED_STR("a")));
}

static void a_long_silence_makes_the_control_plane_stale(void **state)
{
    struct world *w = *state;
    put_file(w);
    fed_builder_flush(w->b);
    assert_false(atomic_load(now(w)->control_stale));
    test_env_advance(&w->env, FED_CONTROL_STALE_MS + 2000);
    assert_true(atomic_load(now(w)->control_stale));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(the_world),
        T(a_change_remakes_only_its_part),
        T(local_endpoints_and_secrets),
        T(saved_and_restored),
        T(replaced_by_a_file),
        T(a_long_silence_makes_the_control_plane_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
