/* SPDX-License-Identifier: Apache-2.0 */
/* bench_client: what wrk cannot ask of an API server.
 *
 * usage: bench_client KUBECONFIG fill FROM TO BYTES      creates ConfigMaps default/item-FROM … item-(TO-1), 128 at a time
 *        bench_client KUBECONFIG watch WATCHERS WRITES   each watcher on a connection of its own; from a write until each has it
 *        bench_client KUBECONFIG one WRITES              one client: get, update and create in turn, one at a time
 * Prints one JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "kube/kubeconfig.h"
#include "kube/remote.h"

#define AT_ONCE 128

static const struct fed_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};

struct bench;
struct watcher {
    struct bench *b;
    struct fed_transport *t;
    struct fed_call *call;
};
struct bench {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_rest_conf rest;
    struct fed_transport *t;
    void (*step)(struct bench *b);
    struct fed_task task;
    size_t next, to, done, bytes;
    uint64_t begin_ns, at_ns;
    /* watch */
    struct watcher *watchers;
    size_t n_watchers, n_open, got;
    uint64_t *took_ns;
    size_t n_took;
    /* one: three series side by side */
    uint64_t *series[3];
    int turn;
    bool failed;
};

static void die(const char *what, const struct fed_err *err)
{
    fprintf(stderr, "bench_client: %s: %s\n", what, err ? err->text : "");
    exit(1);
}

static struct fed_transport *connect_to(struct bench *b)
{
    struct fed_err err = {0};
    struct fed_transport *t;
    if (fed_remote_new(b->loop, &(struct fed_remote_conf){.name = "bench", .rest = b->rest, .user_agent = "bench"}, &t,
                       &err))
        die("connect", &err);
    return t;
}

static struct fed_json *config_map(struct fed_arena *a, struct fed_str name, size_t bytes, size_t change)
{
    struct fed_json *o = fed_obj_new(a, "v1", "ConfigMap", FED_STR("default"), name);
    struct fed_json *data = fed_json_ensure_object(a, o, "data");
    char *v = fed_arena_alloc(a, bytes + 1);
    memset(v, 'v', bytes);
    fed_json_set(data, "key", fed_json_new_str(a, fed_str_n(v, bytes)));
    fed_json_set(data, "change", fed_json_new_strf(a, "%zu", change));
    return o;
}

static int by_value(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

static double at(uint64_t *v, size_t n, double part)
{
    size_t i = (size_t)((double)n * part);
    return (double)v[i < n ? i : n - 1] / 1e6;
}

/* --- fill --- */

static void filled(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err);

static void fill_more(struct bench *b)
{
    struct fed_arena a = {0};
    if (b->next < b->to)
        fed_client_create(b->t, &configmaps, FED_STR("default"),
                          config_map(&a, fed_arena_printf(&a, "item-%zu", b->next++), b->bytes, 0), filled, b);
    fed_arena_release(&a);
}

static void filled(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bench *b = ud;
    (void)res;
    if (code)
        die("create", err);
    if (++b->done == b->to)
        fed_loop_stop(b->loop);
    else
        fill_more(b);
}

static void fill(struct bench *b)
{
    for (int i = 0; i < AT_ONCE; i++)
        fill_more(b);
    size_t from = b->done;
    fed_loop_run(b->loop);
    double s = (double)(fed_mono_ns(b->env) - b->begin_ns) / 1e9;
    printf("{\"creates\":%zu,\"per_s\":%.0f}\n", b->to - from, (double)(b->to - from) / s);
}

/* --- watch --- */

static void written(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    (void)ud, (void)res;
    if (code)
        die("write", err);
}

static void write_next(struct fed_task *task)
{
    struct bench *b = fed_container_of(task, struct bench, task);
    struct fed_arena a = {0};
    b->got = 0;
    b->at_ns = fed_mono_ns(b->env);
    fed_client_patch(b->t, &configmaps, FED_STR("default"), FED_STR("watched"), "", "merge",
                     config_map(&a, FED_STR("watched"), 1000, ++b->done), "", written, NULL);
    fed_arena_release(&a);
}

static void on_event(void *ud, enum fed_event type, struct fed_kobj *obj)
{
    struct watcher *w = ud;
    struct bench *b = w->b;
    (void)obj;
    if (type != FED_EVENT_MODIFIED)
        return;
    b->took_ns[b->n_took++] = fed_mono_ns(b->env) - b->at_ns;
    if (++b->got < b->n_watchers)
        return;
    if (b->done == b->to)
        fed_loop_stop(b->loop);
    else
        fed_task_post(b->env, &b->task, write_next);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    (void)ud, (void)code;
    die("a watch ended", err);
}

static void open_more(struct bench *b);

static void on_open(void *ud)
{
    struct watcher *w = ud;
    if (++w->b->n_open == w->b->n_watchers)
        fed_task_post(w->b->env, &w->b->task, write_next);
    else
        open_more(w->b);
}

/* One after the other: a thousand handshakes at once are another benchmark. */
static void open_more(struct bench *b)
{
    static const struct fed_watch_handlers handlers = {on_event, on_end, on_open};
    struct fed_arena a = {0};
    struct fed_str path = fed_resource_path(&a, &configmaps, FED_STR("default"), FED_STR(""), "",
                                            "watch=1&fieldSelector=metadata.name%3Dwatched&resourceVersion=0");
    struct watcher *w = &b->watchers[b->n_open];
    *w = (struct watcher){b, connect_to(b), NULL};
    w->call = w->t->ops->watch(w->t, path, &handlers, w);
    fed_arena_release(&a);
}

static void made(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bench *b = ud;
    (void)res;
    if (code && code != FED_E_ALREADY_EXISTS)
        die("create", err);
    open_more(b);
}

static void watch(struct bench *b)
{
    struct fed_arena a = {0};
    struct fed_json *o = config_map(&a, FED_STR("watched"), 1000, 0);
    struct rlimit files = {65536, 65536};
    (void)!setrlimit(RLIMIT_NOFILE, &files);
    b->watchers = fed_calloc(b->n_watchers, sizeof(*b->watchers));
    b->took_ns = fed_calloc(b->n_watchers * (b->to + 1), sizeof(*b->took_ns));
    fed_client_create(b->t, &configmaps, FED_STR("default"), o, made, b);
    fed_loop_run(b->loop);
    qsort(b->took_ns, b->n_took, sizeof(*b->took_ns), by_value);
    printf("{\"watchers\":%zu,\"writes\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n", b->n_watchers, b->to,
           at(b->took_ns, b->n_took, 0.5), at(b->took_ns, b->n_took, 0.99), at(b->took_ns, b->n_took, 1));
    fed_arena_release(&a);
}

/* --- one at a time --- */

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err);

static void ask(struct fed_task *task)
{
    struct bench *b = fed_container_of(task, struct bench, task);
    struct fed_arena a = {0};
    size_t i = b->done / 3;
    struct fed_str name = FED_STR("item-1");
    b->turn = (int)(b->done % 3);
    b->at_ns = fed_mono_ns(b->env);
    if (b->turn == 0)
        fed_client_get(b->t, &configmaps, FED_STR("default"), name, answered, b);
    else if (b->turn == 1)
        fed_client_patch(b->t, &configmaps, FED_STR("default"), name, "", "merge", config_map(&a, name, 1000, i + 1),
                         "", answered, b);
    else {
        struct fed_str fresh = fed_arena_printf(&a, "one-%llx-%zu", (unsigned long long)b->begin_ns, i);
        struct fed_json *o = config_map(&a, fresh, 1000, 0);
        fed_client_create(b->t, &configmaps, FED_STR("default"), o, answered, b);
    }
    fed_arena_release(&a);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bench *b = ud;
    (void)res;
    if (code)
        die("request", err);
    b->series[b->turn][b->done / 3] = fed_mono_ns(b->env) - b->at_ns;
    if (++b->done == b->to * 3)
        fed_loop_stop(b->loop);
    else
        fed_task_post(b->env, &b->task, ask);
}

static void one(struct bench *b)
{
    static const char *const names[] = {"get", "update", "create"};
    for (int i = 0; i < 3; i++)
        b->series[i] = fed_calloc(b->to, sizeof(uint64_t));
    fed_task_post(b->env, &b->task, ask);
    fed_loop_run(b->loop);
    printf("{");
    for (int i = 0; i < 3; i++) {
        qsort(b->series[i], b->to, sizeof(uint64_t), by_value);
        printf("%s\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f", i ? "," : "", names[i], at(b->series[i], b->to, 0.5),
               names[i], at(b->series[i], b->to, 0.99));
    }
    printf("}\n");
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    if (fed_str_u64(fed_str(text), &n)) {
        fprintf(stderr, "bench_client: %s is not a number\n", text);
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct fed_kubeconfig *k;
    struct fed_err err = {0};
    const char *mode = argc > 2 ? argv[2] : "";
    if (!((argc == 6 && strcmp(mode, "fill") == 0) || (argc == 5 && strcmp(mode, "watch") == 0) ||
          (argc == 4 && strcmp(mode, "one") == 0))) {
        fprintf(stderr, "usage: bench_client KUBECONFIG fill FROM TO BYTES | watch WATCHERS WRITES | one WRITES\n");
        return 2;
    }
    b.loop = fed_loop_new();
    b.env = fed_loop_env(b.loop);
    b.begin_ns = fed_mono_ns(b.env);
    if (fed_kubeconfig_load(argv[1], NULL, NULL, &k, &err) || fed_kubeconfig_rest(k, NULL, &b.rest, &err))
        die(argv[1], &err);
    b.t = connect_to(&b);
    if (strcmp(mode, "fill") == 0) {
        b.next = b.done = number(argv[3]);
        b.to = number(argv[4]);
        b.bytes = number(argv[5]);
        fill(&b);
    } else if (strcmp(mode, "watch") == 0) {
        b.n_watchers = number(argv[3]);
        b.to = number(argv[4]);
        watch(&b);
    } else {
        b.to = number(argv[3]);
        one(&b);
    }
    return 0;
}
