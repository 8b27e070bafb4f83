/* SPDX-License-Identifier: Apache-2.0 */
/* The resource engine without HTTP: creates, gets, lists and watches through the local transport on one thread.
 *
 *   bench_apiserver [OBJECTS [WATCHERS [sqlite-file]]]      default 39000 1000, store in memory
 *
 * Prints one line of JSON. Over HTTP: start build/tests/hansa-apid DIR --plain and use wrk (docs/benchmarks.md). */
#include <unistd.h>

#include "apiserver/apiserver.h"
#include "base/mem.h"
#include "net/loop.h"

#define IN_FLIGHT 64
#define CM        "/api/v1/namespaces/default/configmaps"

struct bench {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_api *api;
    struct fed_transport *t;
    uint64_t objects, watchers;
    uint64_t started, finished, want, events;
    struct fed_call_request (*next)(struct bench *b, uint64_t i);
    struct fed_arena arena;
    struct fed_str filler;
    uint64_t bytes, first_ns, *latency;
};

static void end_step(struct bench *b)
{
    fed_loop_stop(b->loop);
}

static void start_one(struct bench *b);

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct bench *b = ud;
    if (code) {
        fprintf(stderr, "bench: %s\n", err->text);
        exit(1);
    }
    b->bytes += res->body.n;
    if (++b->finished == b->want)
        end_step(b);
    else if (b->started < b->want)
        start_one(b);
}

static void start_one(struct bench *b)
{
    struct fed_call_request req = b->next(b, b->started++);
    b->t->ops->call(b->t, &req, answered, b);
    fed_arena_reset(&b->arena);
}

static double run(struct bench *b, uint64_t n, struct fed_call_request (*next)(struct bench *b, uint64_t i))
{
    b->started = b->finished = b->bytes = 0;
    b->want = n;
    b->next = next;
    uint64_t t0 = fed_mono_ns(b->env);
    for (uint64_t i = 0; i < IN_FLIGHT && i < n; i++)
        start_one(b);
    fed_loop_run(b->loop);
    return (double)(fed_mono_ns(b->env) - t0) / 1e9;
}

static struct fed_call_request create(struct bench *b, uint64_t i)
{
    struct fed_call_request req = {.method = "POST", .path = FED_STR(CM)};
    req.body = fed_arena_printf(&b->arena, "{\"metadata\":{\"name\":\"c-%llu\"},\"data\":{\"x\":\"%.*s\"}}",
                                (unsigned long long)i, FED_STR_ARG(b->filler));
    return req;
}

static struct fed_call_request get(struct bench *b, uint64_t i)
{
    return (struct fed_call_request){
        .method = "GET",
        .path = fed_arena_printf(&b->arena, CM "/c-%llu", (unsigned long long)(i * 7919 % b->objects))};
}

static struct fed_call_request list(struct bench *b, uint64_t i)
{
    (void)b;
    (void)i;
    return (struct fed_call_request){.method = "GET", .path = FED_STR(CM)};
}

static struct fed_call_request change(struct bench *b, uint64_t i)
{
    struct fed_call_request req = {
        .method = "PATCH", .path = FED_STR(CM "/c-0"), .content_type = FED_STR("application/merge-patch+json")};
    req.body = fed_arena_printf(&b->arena, "{\"data\":{\"n\":\"%llu\"}}", (unsigned long long)i);
    b->first_ns = fed_mono_ns(b->env);
    return req;
}

static void event(void *ud, enum fed_event type, struct fed_kobj *o)
{
    struct bench *b = ud;
    (void)o;
    if (type != FED_EVENT_MODIFIED)
        return;
    b->latency[b->events++] = fed_mono_ns(b->env) - b->first_ns;
    if (b->events % b->watchers == 0)
        end_step(b);
}

static void watch_end(void *ud, int code, const struct fed_err *err)
{
    (void)ud;
    (void)code;
    (void)err;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void watches(struct bench *b, uint64_t rounds)
{
    static const struct fed_watch_handlers h = {.event = event, .end = watch_end};
    b->latency = fed_calloc(b->watchers * rounds, sizeof *b->latency);
    for (uint64_t i = 0; i < b->watchers; i++)
        b->t->ops->watch(b->t, FED_STR(CM "?watch=1&fieldSelector=metadata.name%3Dc-0"), &h, b);
    for (uint64_t i = 0; i < rounds; i++) {
        b->started = b->finished = 0;
        b->want = UINT64_MAX; /* the last event ends the round, not the answer */
        struct fed_call_request req = change(b, i);
        b->t->ops->call(b->t, &req, NULL, NULL);
        fed_loop_run(b->loop);
    }
    qsort(b->latency, b->events, sizeof *b->latency, by_size);
}

static double rss_mb(void)
{
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    if (f)
        fclose(f);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static void ready(void *ud, int code, const struct fed_err *err)
{
    struct bench *b = ud;
    if (code) {
        fprintf(stderr, "bench: %s\n", err->text);
        exit(1);
    }
    end_step(b);
}

static void open_engine(struct bench *b, const char *file)
{
    static const char *const names[] = {"/namespaces", "/configmaps", NULL}, *const spaces[] = {"default", NULL};
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_err err = {0};
    struct store *store = NULL;
    struct store_sqlite_conf sq = {.path = file};
    struct fed_kinds *kinds = fed_kinds_new();
    b->loop = fed_loop_new();
    b->env = fed_loop_env(b->loop);
    if (!file)
        store = store_mem_new(b->env, 0);
    else if (store_sqlite_open(b->env, &sq, &store, &err))
        exit((fprintf(stderr, "bench: %s\n", err.text), 1));
    if (fed_kinds_add_core(kinds, names, &err))
        exit((fprintf(stderr, "bench: %s\n", err.text), 1));
    struct fed_api_conf conf = {
        .env = b->env, .store = store, .kinds = kinds, .server_name = "bench", .static_namespaces = spaces};
    b->api = fed_api_new(&conf);
    fed_api_start(b->api, ready, b);
    fed_loop_run(b->loop);
    struct fed_identity who = {.user = FED_STR("bench"), .groups = &masters, .n_groups = 1};
    b->t = fed_api_local(b->api, &who);
}

int main(int argc, char **argv)
{
    static char filler[800];
    struct bench b = {.objects = 39000, .watchers = 1000};
    memset(filler, 'y', sizeof filler);
    b.filler = fed_str_n(filler, sizeof filler);
    if ((argc > 1 && fed_str_u64(fed_str(argv[1]), &b.objects)) ||
        (argc > 2 && fed_str_u64(fed_str(argv[2]), &b.watchers)))
        return 2;
    open_engine(&b, argc > 3 ? argv[3] : NULL);
    double creates = run(&b, b.objects, create), rss = rss_mb();
    double get_s = run(&b, 500000, get);
    double lists = run(&b, 64, list);
    double list_mb = (double)b.bytes / 1e6;
    watches(&b, 200);
    printf("{\"objects\":%llu,\"creates_per_s\":%.0f,\"rss_mb\":%.1f,\"gets_per_s\":%.0f,\"list_mb_per_s\":%.0f,"
           "\"watchers\":%llu,\"event_p50_us\":%.0f,\"event_p99_us\":%.0f}\n",
           (unsigned long long)b.objects, (double)b.objects / creates, rss, 500000 / get_s, list_mb / lists,
           (unsigned long long)b.watchers, (double)b.latency[b.events / 2] / 1e3,
           (double)b.latency[b.events * 99 / 100] / 1e3);
    return 0; /* a benchmark leaves the rest to the end of the process */
}
