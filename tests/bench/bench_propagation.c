/* SPDX-License-Identifier: Apache-2.0 */
/* bench_propagation: from a create at the federation endpoint until the object stands in every member.
 *
 * usage: bench_propagation KUBECONFIG FED_CONTEXT MEMBER[,MEMBER…] configmaps|deployments latency|burst N
 * latency: one object at a time, percentiles of submit-to-present-in-all-members.
 * burst:   all N creates at once, time until the last one stands everywhere. Prints one JSON line.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kube/informer.h"
#include "kube/kubeconfig.h"
#include "kube/remote.h"

#define MAX_MEMBERS 16

static const struct fed_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};
static const struct fed_resource deployments = {"apps", "v1", "deployments", "Deployment", true};

struct bench {
    struct fed_loop *loop;
    struct fed_env *env;
    const struct fed_resource *resource;
    struct fed_transport *fed, *members[MAX_MEMBERS];
    struct fed_informer *informers[MAX_MEMBERS];
    size_t n_members, n_synced;
    bool burst;
    size_t n, next, failed, done;
    unsigned *seen; /* members that have object i */
    uint64_t *started_ns, *took_ns;
    uint64_t begin_ns, accepted_ns;
    size_t accepted;
    struct fed_task next_task;
    char prefix[32]; /* of this run's objects */
};

static void die(const char *what, const struct fed_err *err)
{
    fprintf(stderr, "bench_propagation: %s: %s\n", what, err->text);
    exit(1);
}

static struct fed_transport *connect_to(struct bench *b, struct fed_kubeconfig *k, const char *context)
{
    struct fed_err err = {0};
    struct fed_transport *t;
    struct fed_remote_conf conf = {.name = context, .user_agent = "bench"};
    if (fed_kubeconfig_rest(k, context, &conf.rest, &err) != 0 || fed_remote_new(b->loop, &conf, &t, &err) != 0)
        die(context, &err);
    fed_rest_conf_release(&conf.rest);
    return t;
}

static void on_created(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bench *b = ud;
    (void)res;
    if (code) {
        fprintf(stderr, "create: %s\n", err->text);
        if (b->failed++ == 0)
            fed_loop_stop(b->loop);
    }
    if (++b->accepted == b->n)
        b->accepted_ns = fed_mono_ns(b->env);
}

static struct fed_json *make(struct bench *b, struct fed_arena *a, size_t i)
{
    struct fed_str name = fed_arena_printf(a, "%s%zu", b->prefix, i);
    struct fed_json *o;
    if (b->resource == &configmaps) {
        o = fed_obj_new(a, "v1", "ConfigMap", FED_STR("default"), name);
        fed_json_set(fed_json_ensure_object(a, o, "data"), "key", fed_json_new_strz(a, "value"));
        return o;
    }
    static const char spec[] =
        "{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":\"bench\"}},\"template\":{"
        "\"metadata\":{\"labels\":{\"app\":\"bench\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
        "\"image\":\"hansa/echo:v1\"}]}}}";
    struct fed_json *tree;
    o = fed_obj_new(a, "apps/v1", "Deployment", FED_STR("default"), name);
    if (fed_json_parse(a, FED_STR(spec), NULL, &tree, NULL) == 0)
        fed_json_set(o, "spec", tree);
    return o;
}

static void create_next(struct bench *b)
{
    struct fed_arena a = {0};
    size_t i = b->next++;
    b->started_ns[i] = fed_mono_ns(b->env);
    fed_client_create(b->fed, b->resource, FED_STR("default"), make(b, &a, i), on_created, b);
    fed_arena_release(&a);
}

static void on_next(struct fed_task *task)
{
    create_next(fed_container_of(task, struct bench, next_task));
}

static void object_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct bench *b = ud;
    uint64_t i;
    if (old || !now || !fed_str_starts(now->name, fed_str(b->prefix)) ||
        fed_str_u64(fed_str_from(now->name, strlen(b->prefix)), &i) != 0 || i >= b->n || b->took_ns[i])
        return;
    if (++b->seen[i] < b->n_members)
        return;
    b->took_ns[i] = fed_mono_ns(b->env) - b->started_ns[i];
    if (++b->done == b->n)
        fed_loop_stop(b->loop);
    else if (!b->burst)
        fed_task_post(b->env, &b->next_task, on_next);
}

static void synced(void *ud)
{
    struct bench *b = ud;
    if (++b->n_synced < b->n_members)
        return;
    b->begin_ns = fed_mono_ns(b->env);
    if (!b->burst)
        create_next(b);
    else
        while (b->next < b->n)
            create_next(b);
}

static int by_value(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static void report(struct bench *b, const char *kind)
{
    qsort(b->took_ns, b->n, sizeof(*b->took_ns), by_value);
    if (b->burst)
        printf("{\"kind\":\"%s\",\"mode\":\"burst\",\"n\":%zu,\"accepted_s\":%.3f,\"everywhere_s\":%.3f}\n", kind, b->n,
               (double)(b->accepted_ns - b->begin_ns) / 1e9, (double)(fed_mono_ns(b->env) - b->begin_ns) / 1e9);
    else
        printf("{\"kind\":\"%s\",\"mode\":\"latency\",\"n\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
               kind, b->n, (double)b->took_ns[b->n / 2] / 1e6, (double)b->took_ns[b->n * 99 / 100] / 1e6,
               (double)b->took_ns[b->n - 1] / 1e6);
}

static void watch_members(struct bench *b, struct fed_kubeconfig *k, const char *list)
{
    struct fed_str rest = fed_str(list), name;
    while (fed_str_cut(&rest, ',', &name) && b->n_members < MAX_MEMBERS) {
        char *context = fed_strdup_str(name);
        b->members[b->n_members] = connect_to(b, k, context);
        struct fed_informer_conf conf = {
            .transport = b->members[b->n_members], .resource = b->resource, .ns = "default"};
        b->informers[b->n_members] = fed_informer_new(&conf);
        free(context);
        b->n_members++;
    }
    struct fed_informer_handlers h = {.changed = object_changed, .synced = synced, .ud = b};
    for (size_t i = 0; i < b->n_members; i++) {
        fed_informer_add_handlers(b->informers[i], &h);
        fed_informer_start(b->informers[i]);
    }
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct fed_kubeconfig *k;
    struct fed_err err = {0};
    uint64_t n;
    if (argc != 7 || fed_str_u64(fed_str(argv[6]), &n) != 0 || n == 0) {
        fprintf(stderr, "usage: bench_propagation KUBECONFIG FED MEMBER,… configmaps|deployments latency|burst N\n");
        return 2;
    }
    b.loop = fed_loop_new();
    b.env = fed_loop_env(b.loop);
    snprintf(b.prefix, sizeof(b.prefix), "bench-%06x-", (unsigned)fed_random_below(b.env, 1 << 24));
    b.resource = strcmp(argv[4], "deployments") == 0 ? &deployments : &configmaps;
    b.burst = strcmp(argv[5], "burst") == 0;
    b.n = n;
    b.seen = fed_calloc(n, sizeof(*b.seen));
    b.started_ns = fed_calloc(n, sizeof(*b.started_ns));
    b.took_ns = fed_calloc(n, sizeof(*b.took_ns));
    if (fed_kubeconfig_load(argv[1], NULL, NULL, &k, &err) != 0)
        die(argv[1], &err);
    b.fed = connect_to(&b, k, argv[2]);
    watch_members(&b, k, argv[3]);
    fed_loop_run(b.loop);
    if (!b.failed)
        report(&b, argv[4]);
    return b.failed != 0;
}
