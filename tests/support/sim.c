/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "fedapi/admission.h"
#include "support/sim_store.h"

static const char *const names[SIM_CLUSTERS] = {"us-east1", "europe-west1", "asia-east1"};
static const char *const hub_namespaces[] = {"default", FAPI_SYSTEM_NS, "kube-system", "kube-public", NULL};

/* --- words --- */

static double seconds(const struct sim *s)
{
    return (double)s->t.mono_ns / 1e9;
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
    char text[2000];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fail_msg("seed %llu, after %.3f s: %s  (again: HANSA_SIM_SEED=%llu HANSA_SIM_TRACE=1)", (unsigned long long)s->seed,
             seconds(s), text, (unsigned long long)s->seed);
    abort();
}

void sim_trace(struct sim *s, const char *fmt, ...)
{
    va_list ap;
    if (!s->trace)
        return;
    fprintf(stderr, "%10.3f ", seconds(s));
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

const char *sim_path(struct sim *s, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return fed_arena_dupz(&s->arena, fed_str(text));
}

void sim_forget(struct sim *s)
{
    fed_arena_reset(&s->arena);
}

/* --- calls --- */

struct waiter {
    struct sim *s;
    struct sim_answer answer;
    bool done;
};

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct waiter *w = ud;
    struct fed_json *body = NULL;
    w->done = true;
    w->answer.code = code;
    w->answer.status = res->http_status;
    w->answer.text = fed_arena_dup(&w->s->arena, code && err ? fed_str(err->text) : res->body);
    if (!code && res->body.n && fed_json_parse(&w->s->arena, w->answer.text, NULL, &body, NULL) == 0)
        w->answer.body = body;
}

static bool is_done(void *ud)
{
    return ((struct waiter *)ud)->done;
}

static struct sim_answer do_call(struct sim *s, struct fed_transport *t, const char *method, const char *path,
                                 char *body)
{
    struct waiter w = {.s = s};
    for (char *p = body; p && *p; p++)
        if (*p == '\'')
            *p = '"';
    struct fed_call_request req = {.method = method, .path = fed_str(path), .body = fed_str(body)};
    if (strcmp(method, "PATCH") == 0)
        req.content_type = FED_STR("application/merge-patch+json");
    t->ops->call(t, &req, answered, &w);
    if (!test_env_run(&s->t, is_done, &w))
        sim_fail(s, "%s %s is never answered", method, path);
    return w.answer;
}

struct sim_answer sim_do(struct sim *s, struct fed_transport *t, const char *method, const char *path, const char *body,
                         ...)
{
    char text[4000] = "";
    va_list ap;
    va_start(ap, body);
    if (body)
        vsnprintf(text, sizeof(text), body, ap);
    va_end(ap);
    return do_call(s, t, method, path, text);
}

struct sim_answer sim_must(struct sim *s, struct fed_transport *t, const char *method, const char *path,
                           const char *body, ...)
{
    char text[4000] = "";
    va_list ap;
    va_start(ap, body);
    if (body)
        vsnprintf(text, sizeof(text), body, ap);
    va_end(ap);
    struct sim_answer answer = do_call(s, t, method, path, text);
    if (answer.code)
        sim_fail(s, "%s %s: %.*s", method, path, FED_STR_ARG(answer.text));
    return answer;
}

const struct fed_json *sim_get(struct sim *s, struct fed_transport *t, const char *path)
{
    struct sim_answer answer = sim_do(s, t, "GET", path, NULL);
    if (answer.code && answer.code != FED_E_NOT_FOUND)
        sim_fail(s, "GET %s: %.*s", path, FED_STR_ARG(answer.text));
    return answer.code ? NULL : answer.body;
}

/* --- members' own objects --- */

/* What nobody but the member may change. */
static struct fed_str fingerprint(struct fed_arena *a, const struct fed_json *object)
{
    static const char *const meta_parts[] = {"uid", "labels", "annotations", "deletionTimestamp"};
    static const char *const parts[] = {"spec", "data"};
    struct fed_buf b = {0};
    const struct fed_json *meta = fed_json_find(object, "metadata");
    for (size_t i = 0; i < FED_ARRAY_LEN(meta_parts); i++) {
        const struct fed_json *v = fed_json_find(meta, meta_parts[i]);
        if (v)
            fed_json_write(&b, v);
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(parts); i++) {
        const struct fed_json *v = fed_json_find(object, parts[i]);
        if (v)
            fed_json_write(&b, v);
    }
    struct fed_str text = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return text;
}

void sim_own(struct sim *s, unsigned cluster, const char *collection, const char *name, const char *body, ...)
{
    char text[4000];
    va_list ap;
    va_start(ap, body);
    vsnprintf(text, sizeof(text), body, ap);
    va_end(ap);
    struct sim_answer answer = do_call(s, s->clusters[cluster].admin, "POST", collection, text);
    if (answer.code || s->n_own == SIM_MAX_OWN)
        sim_fail(s, "own object %s in %s: %.*s", name, collection, FED_STR_ARG(answer.text));
    struct sim_own *own = &s->own[s->n_own++];
    *own = (struct sim_own){.cluster = cluster, .before = fingerprint(&s->forever, answer.body)};
    own->path = fed_arena_printf(&s->forever, "%s/%s", collection, name).p;
}

void sim_check_own(struct sim *s)
{
    for (size_t i = 0; i < s->n_own; i++) {
        struct sim_own *own = &s->own[i];
        const struct fed_json *now = own->adopted ? NULL : sim_get(s, s->clusters[own->cluster].admin, own->path);
        if (own->adopted)
            continue;
        if (!now)
            sim_fail(s, "%s deleted of %s, which was its own", own->path, s->clusters[own->cluster].name);
        struct fed_str text = fingerprint(&s->arena, now);
        if (!fed_str_eq(text, own->before))
            sim_fail(s, "%s changed in %s, which was its own:\n%.*s\n%.*s", own->path, s->clusters[own->cluster].name,
                     FED_STR_ARG(own->before), FED_STR_ARG(text));
    }
}

static void on_write(void *ud, const char *line, const struct fed_call_request *req)
{
    struct sim *s = ud;
    struct fed_str path = req->path, bare;
    (void)fed_str_cut(&path, '?', &bare);
    sim_trace(s, "%-12s %s %.*s %.*s", line, req->method, FED_STR_ARG(req->path),
              (int)FED_MIN(req->body.n, (size_t)300), req->body.p ? req->body.p : "");
    for (size_t i = 0; i < s->n_own; i++)
        if (!s->own[i].adopted && fed_str_is(bare, s->own[i].path) &&
            strcmp(line, s->clusters[s->own[i].cluster].name) == 0)
            sim_fail(s, "%s %.*s in %s, which was its own", req->method, FED_STR_ARG(bare), line);
}

size_t sim_member_writes(const struct sim *s)
{
    size_t n = 0;
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        n += s->clusters[i].line.writes;
    return n;
}

size_t sim_hub_writes(const struct sim *s)
{
    return s->hub_line.writes;
}

/* --- the hub --- */

static struct fed_transport *connect_member(void *ud, const char *cluster, const struct fed_rest_conf *rest FED_UNUSED,
                                            struct fed_err *err)
{
    struct sim *s = ud;
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        if (strcmp(s->clusters[i].name, cluster) == 0)
            return sim_line_open(&s->clusters[i].line);
    fed_err_set(err, FED_E_NOT_FOUND, "no cluster %s", cluster);
    return NULL;
}

static void on_ready(void *ud, int code, const struct fed_err *err)
{
    struct sim *s = ud;
    if (code)
        sim_fail(s, "the hub does not start: %s", err->text);
    s->ready = true;
}

static bool is_ready(void *ud)
{
    return ((struct sim *)ud)->ready;
}

void sim_hub_start(struct sim *s)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    struct fed_identity who = {.user = FED_STR("system:federation-controllers"), .groups = &masters, .n_groups = 1};
    sim_trace(s, "the hub starts");
    s->ready = false;
    s->store = sim_store_new(&s->t.env, s->disk, &s->chance, s->store_latency_max);
    struct fed_api_conf conf = {.env = &s->t.env,
                                .store = s->store,
                                .kinds = sim_hub_kinds(),
                                .server_name = "hub",
                                .git_version = "v1.29.0+sim",
                                .static_namespaces = hub_namespaces,
                                .authorize = fapi_authorize,
                                .admit = fapi_admit,
                                .ud = s,
                                .allow_loopback_endpoints = true};
    s->api = fed_api_new(&conf);
    fed_api_start(s->api, on_ready, s);
    if (!test_env_run(&s->t, is_ready, s))
        sim_fail(s, "the hub does not start");
    s->controllers = fed_api_local(s->api, &who);
    who.user = FED_STR("admin");
    s->user = fed_api_local(s->api, &who);
    size_t calls = s->hub_line.calls, writes = s->hub_line.writes;
    sim_line_init(&s->hub_line, &s->t.env, &s->chance, s->controllers, "hub");
    s->hub_line.on_write = on_write;
    s->hub_line.ud = s;
    s->hub_line.calls = calls;
    s->hub_line.writes = writes;
    s->hub_link = sim_line_open(&s->hub_line);
    s->metrics = fed_metrics_new();
    s->housekeeping = fapi_hub_start(s->hub_link, sim_hub_kinds());
    struct fapi_federation_conf fed = {.env = &s->t.env,
                                       .hub = s->hub_link,
                                       .kinds = sim_hub_kinds(),
                                       .metrics = s->metrics,
                                       .connector = {connect_member, s},
                                       .timing = s->timing,
                                       .name = "fed",
                                       .zone_name = "example.com."};
    sim_dns_watch(&s->dns, s->user);
    s->fed = fapi_federation_new(&fed);
    fapi_federation_start(s->fed);
}

void sim_hub_stop(struct sim *s, bool kill)
{
    sim_trace(s, "the hub %s", kill ? "is killed" : "stops");
    sim_dns_watch(&s->dns, NULL);
    fapi_federation_free(s->fed);
    fapi_hub_free(s->housekeeping);
    fed_transport_free(s->hub_link);
    fed_transport_free(s->user);
    fed_transport_free(s->controllers);
    if (kill)
        sim_store_kill(s->store);
    else
        sim_store_end(s->store);
    fed_api_free(s->api);
    fed_metrics_free(s->metrics);
    s->fed = NULL;
    s->api = NULL;
    test_env_drain(&s->t); /* what reached the disk is there before anybody loads it */
}

void sim_join(struct sim *s, unsigned cluster, const char *labels)
{
    const char *name = s->clusters[cluster].name;
    sim_must(s, s->user, "POST", "/api/v1/namespaces/" FAPI_SYSTEM_NS "/secrets",
             "{'apiVersion':'v1','kind':'Secret','metadata':{'name':'%s'},'data':{'token':'c2VjcmV0'}}", name);
    sim_must(s, s->user, "POST", "/apis/federation/v1beta1/clusters",
             "{'apiVersion':'federation/v1beta1','kind':'Cluster','metadata':{'name':'%s','labels':{%s}},'spec':{"
             "'serverAddressByClientCIDRs':[{'clientCIDR':'0.0.0.0/0','serverAddress':'https://%s.test'}],"
             "'secretRef':{'name':'%s'}}}",
             name, labels, name, name);
}

/* --- DNS --- */

int sim_dns_cluster(struct sim *s, const char *service, const char *ns, unsigned client)
{
    static const char *const clients[SIM_CLUSTERS] = {"192.0.2.9", "198.51.100.9", "203.0.113.9"};
    char name[200];
    int found = -1;
    snprintf(name, sizeof(name), "%s.%s.fed.svc.example.com", service, ns);
    struct sim_dns_answer a = sim_dns_ask(&s->dns, name, clients[client]);
    for (size_t i = 0; i < a.n; i++) { /* hollow load balancers have addresses 203.0.NUMBER.x */
        uint8_t bytes[4];
        memcpy(bytes, &a.addrs[i].in.sin_addr, 4);
        int cluster = bytes[0] == 203 && bytes[1] == 0 && bytes[2] <= SIM_CLUSTERS ? bytes[2] - 1 : -2;
        found = found == -1 || found == cluster ? cluster : -2;
    }
    return found;
}

/* --- time --- */

void sim_run(struct sim *s, uint64_t ms)
{
    test_env_advance(&s->t, ms);
}

void sim_until(struct sim *s, uint64_t ms, const char *what, const char *(*check)(struct sim *s, void *ud), void *ud)
{
    uint64_t end = s->t.mono_ns + ms * 1000000;
    const char *word;
    while ((word = check(s, ud))) {
        if (s->t.mono_ns >= end)
            sim_fail(s, "%s: not within %.0f s: %s", what, (double)ms / 1000, word);
        sim_forget(s);
        sim_run(s, 500);
    }
    sim_forget(s);
}

void sim_calm(struct sim *s)
{
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        struct sim_line *l = &s->clusters[i].line;
        l->latency_min = 1;
        l->latency_max = 20;
        l->refused = l->silent = false;
        l->lose_permille = 0;
    }
}

/* --- life --- */

void sim_init(struct sim *s, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->chance.state = seed * 7919 + 1;
    s->trace = getenv("HANSA_SIM_TRACE") != NULL;
    fed_log_set_level(s->trace ? FED_LOG_INFO : FED_LOG_ERROR);
    s->store_latency_max = 3;
    test_env_init(&s->t, seed + 1);
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        sim_cluster_init(&s->clusters[i], &s->t, &s->chance, names[i], names[i], i);
        s->clusters[i].line.on_write = on_write;
        s->clusters[i].line.ud = s;
        s->clusters[i].line.watch_list = sim_random_chance(&s->chance, 700);
    }
    sim_calm(s);
    s->disk = store_mem_new(&s->t.env, 0);
    sim_dns_init(&s->dns, &s->t, names[0]);
    sim_hub_start(s);
}

static void closed(void *ud)
{
    ((struct sim *)ud)->disk = NULL;
}

static bool is_closed(void *ud)
{
    return ((struct sim *)ud)->disk == NULL;
}

void sim_release(struct sim *s)
{
    if (s->api)
        sim_hub_stop(s, false);
    sim_dns_release(&s->dns);
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        sim_cluster_release(&s->clusters[i]);
    s->disk->ops->close(s->disk, closed, s);
    if (!test_env_run(&s->t, is_closed, s))
        sim_fail(s, "the disk does not close");
    fed_arena_release(&s->arena);
    fed_arena_release(&s->forever);
    test_env_release(&s->t);
}
