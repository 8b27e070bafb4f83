/* SPDX-License-Identifier: Apache-2.0 */
/* What the API server counts, under the names and labels that Kubernetes gives the same things. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/watch.h"

/* What /version says, as dashboards look for it. */
static void show_build(struct fed_api *api)
{
    static const struct fed_str none = {"", 0};
    struct fed_str version = fed_str(api->conf.git_version), rest = version, piece = none, number[2] = {none, none};
    if (fed_str_starts(rest, FED_STR("v")))
        rest = fed_str_from(rest, 1);
    for (size_t i = 0; i < 2 && fed_str_cut(&rest, '.', &piece); i++)
        number[i] = piece;
    struct fed_str labels[] = {FED_STR("gcc"), version, number[0], number[1], FED_STR("linux/amd64")};
    struct fed_metric_family *f =
        fed_metrics_family(api->conf.metrics, FED_METRIC_GAUGE, "kubernetes_build_info", "Always 1: what is served.",
                           "compiler,git_version,major,minor,platform", NULL, 0);
    fed_metric_set(fed_metric_get(f, labels, FED_ARRAY_LEN(labels)), 1);
}

void fed_api_metrics_make(struct fed_api *api)
{
    static const double seconds[] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};
    struct fed_metrics *m = api->conf.metrics;
    api->m_requests =
        fed_metrics_family(m, FED_METRIC_COUNTER, "apiserver_request_total", "Requests answered.",
                           "code,component,dry_run,group,resource,scope,subresource,verb,version", NULL, 0);
    api->m_terminations = fed_metrics_family(m, FED_METRIC_COUNTER, "apiserver_request_terminations_total",
                                             "Requests that the server ended in its own defense.",
                                             "code,component,group,resource,scope,subresource,verb,version", NULL, 0);
    api->m_latency = fed_metrics_family(
        m, FED_METRIC_HISTOGRAM, "apiserver_request_duration_seconds",
        "Time from a request's arrival to its answer; watches and other streams are left out.",
        "component,dry_run,group,resource,scope,subresource,verb,version", seconds, FED_ARRAY_LEN(seconds));
    api->m_watchers = fed_metrics_family(m, FED_METRIC_GAUGE, "apiserver_longrunning_requests", "Watches open now.",
                                         "component,group,resource,scope,subresource,verb,version", NULL, 0);
    api->m_events = fed_metrics_family(m, FED_METRIC_COUNTER, "apiserver_watch_events_total",
                                       "Watch events sent to all watchers.", "group,kind,version", NULL, 0);
    api->m_deprecated = fed_metrics_family(
        m, FED_METRIC_GAUGE, "apiserver_requested_deprecated_apis",
        "1 for each deprecated version that was asked for, with the release of Kubernetes that has it no more.",
        "group,removed_release,resource,subresource,version", NULL, 0);
    api->m_inflight =
        fed_metrics_family(m, FED_METRIC_GAUGE, "apiserver_current_inflight_requests",
                           "Requests under way at the scrape, watches left out.", "request_kind", NULL, 0);
    api->m_stored =
        fed_metrics_family(m, FED_METRIC_GAUGE, "apiserver_storage_objects", "Objects stored.", "resource", NULL, 0);
    api->m_fenced = fed_metrics_counter(m, "hansa_fenced_writes_total",
                                        "Writes of controllers refused because another process leads them.");
    api->m_objects = fed_metrics_gauge(m, "hansa_store_revision", "Revision of the state served.");
    fed_process_metrics_make(&api->process, m);
    show_build(api);
}

/* Kubernetes' word for the verb of a request. */
static const char *verb_of(const struct fed_api_reply *r)
{
    static const char *const words[][2] = {{"get", "GET"},       {"list", "LIST"},      {"watch", "WATCH"},
                                           {"create", "POST"},   {"update", "PUT"},     {"patch", "PATCH"},
                                           {"delete", "DELETE"}, {"post", "POST"},      {"put", "PUT"},
                                           {"head", "HEAD"},     {"options", "OPTIONS"}};
    const char *verb = r->q.verb ? r->q.verb : "";
    if (strcmp(verb, "deletecollection") == 0)
        return "DELETECOLLECTION";
    if (strcmp(verb, "patch") == 0 && fed_str_starts(r->q.content_type, FED_STR("application/apply-patch")))
        return "APPLY";
    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_str_ieq(fed_str(verb), fed_str(words[i][0])))
            return words[i][1];
    return "other";
}

static const char *scope_of(const struct fed_api_reply *r)
{
    if (r->route != FED_ROUTE_RESOURCE)
        return "";
    if (r->q.name.n || strcmp(r->q.verb, "create") == 0)
        return "resource";
    return r->q.ns.n ? "namespace" : "cluster";
}

/* --- the series of the requests that come most, found without their labels --- */

enum { SERIES = 64 };
struct fed_api_series {
    const struct fed_kind_version *v; /* of a kind that lives as long as the program; NULL: a free place */
    char verb[8];
    int status;
    bool named, in_ns;
    struct fed_metric *requests, *latency;
};

/* Its place, which may hold another; false: requests of this sort are always counted by their labels. */
static bool key_of(const struct fed_api_reply *r, int status, struct fed_api_series *key)
{
    if (!r->kc || !r->v || r->v->kind->custom || r->q.subresource.n || r->q.dry_run || r->watch || r->streaming ||
        r->q.verb[0] == 'p') /* an apply is a patch whose body tells */
        return false;
    *key = (struct fed_api_series){.v = r->v, .status = status, .named = r->q.name.n > 0, .in_ns = r->q.ns.n > 0};
    for (size_t i = 0; i < sizeof key->verb && r->q.verb[i]; i++)
        key->verb[i] = r->q.verb[i];
    return true;
}

static struct fed_api_series *place_of(struct fed_api *api, const struct fed_api_series *key)
{
    size_t h = (uintptr_t)key->v / sizeof(void *) * 31 + (size_t)key->status * 7 + (size_t)key->verb[0] * 5 +
               (size_t)key->verb[6] + key->named * 2u + key->in_ns;
    if (!api->series) {
        api->series = fed_arena_alloc(&api->forever, SERIES * sizeof *api->series);
        memset(api->series, 0, SERIES * sizeof *api->series);
    }
    return &api->series[h % SERIES];
}

static bool same_series(const struct fed_api_series *a, const struct fed_api_series *b)
{
    return a->v == b->v && a->status == b->status && memcmp(a->verb, b->verb, sizeof a->verb) == 0 &&
           a->named == b->named && a->in_ns == b->in_ns;
}

static double seconds_of(const struct fed_api_reply *r)
{
    return (double)(fed_mono_ns(r->api->env) - r->start_ns) / 1e9;
}

void fed_api_count(struct fed_api_reply *r, int status)
{
    struct fed_api_series key, *place = key_of(r, status, &key) ? place_of(r->api, &key) : NULL;
    if (place && same_series(place, &key)) {
        fed_metric_add(place->requests, 1);
        fed_metric_observe(place->latency, seconds_of(r));
        return;
    }
    char code[8];
    int n = snprintf(code, sizeof code, "%d", status);
    bool unknown = r->route == FED_ROUTE_RESOURCE && !r->kc && status == 404; /* whatever was asked for: one series */
    struct fed_str none = {"", 0}, api = FED_STR("apiserver"), verb = fed_str(verb_of(r)), scope = fed_str(scope_of(r));
    struct fed_str resource = unknown ? FED_STR("unknown") : r->q.resource, group = unknown ? none : r->q.group;
    struct fed_str version = unknown ? none : r->q.version, sub = unknown ? none : r->q.subresource;
    struct fed_str labels[] = {fed_str_n(code, (size_t)n),
                               api,
                               r->q.dry_run ? FED_STR("All") : none,
                               group,
                               resource,
                               scope,
                               sub,
                               verb,
                               version};
    key.requests = fed_metric_get(r->api->m_requests, labels, FED_ARRAY_LEN(labels));
    fed_metric_add(key.requests, 1);
    if (r->watch || r->streaming)
        return;
    struct fed_str some[] = {api, labels[2], group, resource, scope, sub, verb, version};
    key.latency = fed_metric_get(r->api->m_latency, some, FED_ARRAY_LEN(some));
    fed_metric_observe(key.latency, seconds_of(r));
    if (place)
        *place = key;
}

void fed_api_count_termination(struct fed_api_reply *r, int status)
{
    char code[8];
    int n = snprintf(code, sizeof code, "%d", status);
    struct fed_str labels[] = {fed_str_n(code, (size_t)n),
                               FED_STR("apiserver"),
                               r->kc ? r->q.group : FED_STR(""),
                               r->kc ? r->q.resource : FED_STR(""),
                               fed_str(scope_of(r)),
                               r->kc ? r->q.subresource : FED_STR(""),
                               fed_str(verb_of(r)),
                               r->kc ? r->q.version : FED_STR("")};
    fed_metric_add(fed_metric_get(r->api->m_terminations, labels, FED_ARRAY_LEN(labels)), 1);
}

/* Of such a request nothing but its method is known, or believed. */
void fed_api_refused(void *ud, int http_status, struct fed_str method)
{
    static const char *const known[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT"};
    struct fed_api *api = ud;
    struct fed_str none = {"", 0}, name = FED_STR("apiserver"), verb = FED_STR("other");
    char code[8];
    int n = snprintf(code, sizeof code, "%d", http_status);
    struct fed_str status = fed_str_n(code, (size_t)n);
    for (size_t i = 0; i < FED_ARRAY_LEN(known); i++)
        if (fed_str_is(method, known[i]))
            verb = fed_str(known[i]);
    struct fed_str all[] = {status, name, none, none, none, none, none, verb, none};
    fed_metric_add(fed_metric_get(api->m_requests, all, FED_ARRAY_LEN(all)), 1);
    if (http_status != 408 && http_status != 429)
        return;
    struct fed_str some[] = {status, name, none, none, none, none, verb, none};
    fed_metric_add(fed_metric_get(api->m_terminations, some, FED_ARRAY_LEN(some)), 1);
}

void fed_api_watch_metrics(struct fed_api *api, const struct fed_kind_version *v, bool in_ns, struct fed_metric **open,
                           struct fed_metric **events)
{
    struct fed_str labels[] = {
        FED_STR("apiserver"), v->group,  v->kind->plural, in_ns ? FED_STR("namespace") : FED_STR("cluster"), {"", 0},
        FED_STR("WATCH"),     v->version};
    struct fed_str some[] = {v->group, v->kind->kind, v->version};
    *open = fed_metric_get(api->m_watchers, labels, FED_ARRAY_LEN(labels));
    *events = fed_metric_get(api->m_events, some, FED_ARRAY_LEN(some));
}

/* "…, unavailable in v1.25+; …": the release is in the words of the warning. */
struct fed_str fed_api_removed_release(struct fed_str words)
{
    ptrdiff_t at = fed_str_find(words, FED_STR("unavailable in v"), 0);
    struct fed_str release = at < 0 ? FED_STR("") : fed_str_from(words, (size_t)at + strlen("unavailable in v"));
    at = fed_str_chr(release, '+', 0);
    return fed_str_head(release, at < 0 ? 0 : (size_t)at);
}

void fed_api_count_deprecated(struct fed_api_reply *r)
{
    struct fed_str release = fed_api_removed_release(r->v->warning);
    struct fed_str labels[] = {r->v->group, release, r->v->kind->plural, r->q.subresource, r->v->version};
    fed_metric_set(fed_metric_get(r->api->m_deprecated, labels, FED_ARRAY_LEN(labels)), 1);
}

static void set_inflight(struct fed_api *api)
{
    static const char *const reads[] = {"get", "list", "watch", "head"};
    int64_t n[2] = {0, 0};
    FED_LIST_EACH(it, &api->requests) {
        const struct fed_api_reply *r = FED_LIST_ENTRY(it, struct fed_api_reply, link);
        bool reading = false;
        for (size_t i = 0; i < FED_ARRAY_LEN(reads); i++)
            reading |= fed_str_ieq(fed_str(r->q.verb), fed_str(reads[i]));
        if (!r->answered && !r->watch && !r->streaming)
            n[reading]++;
    }
    struct fed_str label = FED_STR("mutating");
    fed_metric_set(fed_metric_get(api->m_inflight, &label, 1), n[0]);
    label = FED_STR("readOnly");
    fed_metric_set(fed_metric_get(api->m_inflight, &label, 1), n[1]);
}

void fed_api_metrics_scrape(struct fed_api *api)
{
    set_inflight(api);
    fed_process_metrics_scrape(&api->process);
    FED_MAP_EACH(e, &api->cache.kinds) {
        const struct fed_kcache *kc = e->value;
        char name[256];
        int n = snprintf(name, sizeof name, "%.*s%s%.*s", FED_STR_ARG(kc->kind->plural), kc->kind->group.n ? "." : "",
                         FED_STR_ARG(kc->kind->group));
        struct fed_str label = fed_str_n(name, FED_MIN((size_t)n, sizeof name - 1));
        fed_metric_set(fed_metric_get(api->m_stored, &label, 1), (int64_t)kc->n);
    }
}
