/* SPDX-License-Identifier: Apache-2.0 */
/* member.c: probing, connecting and losing one cluster.
 *
 * Failure cases: refused or reset connections count as failures at once; silence counts when the probe times out; an
 * answer other than "ok" makes the cluster NotReady but not Offline. Three failures in a row take it Offline. Caches of
 * an Offline cluster stay: absence of data never causes a delete. On its return everything is listed anew before the
 * cluster is called Ready again.
 */
#include "fedapi/controllers/member.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "crypto/pki.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/member_priv.h"
#include "fedapi/controllers/place.h"
#include "fedapi/controllers/replicator.h"

#define FAILURES_TO_OFFLINE 3
#define SUCCESSES_TO_RETURN 2

static const struct fed_resource nodes_resource = {"", "v1", "nodes", "Node", false};
static const struct fed_resource slices_resource = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};

static void probe(struct fed_timer *timer);

/* --- informers --- */

static void check_reconciled(struct fapi_member *m);

static void on_rest_synced(void *ud)
{
    check_reconciled(ud);
}

/* Agents write their node's status every few seconds; only place, addresses and readiness matter here. */
static void on_node(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_member *m = ud;
    if (old && now && fapi_place_same_node(old, now))
        return;
    fapi_due_report(m);
    fapi_due_services(m->fed);
    fapi_due_edge(m); /* region and zone stand in its ConfigMap */
}

static void on_slice(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fapi_member *m = ud;
    const struct fed_kobj *o = now ? now : old;
    struct fed_str service = fed_kobj_label(o, "kubernetes.io/service-name");
    if (service.n)
        fapi_due_service(m->fed, o->ns, service);
}

/* Nodes and slices first: while they are there, the member counts as connected. */
static void start_informers(struct fapi_member *m)
{
    struct fed_informer_conf nodes_conf = {.resource = &nodes_resource, .optional = true};
    struct fed_informer_conf slices_conf = {
        .resource = &slices_resource, .optional = true, .index_label = "kubernetes.io/service-name"};
    struct fed_informer_handlers nodes = {.changed = on_node, .synced = on_rest_synced, .ud = m};
    struct fed_informer_handlers slices = {.changed = on_slice, .synced = on_rest_synced, .ud = m};
    m->nodes = fapi_member_informer(m, &nodes_conf, &nodes);
    m->slices = fapi_member_informer(m, &slices_conf, &slices);
    FAPI_KIND_EACH(k, m->fed)
        fapi_member_kind_start(m, k);
}

static void stop_informers(struct fapi_member *m)
{
    FAPI_KIND_EACH(k, m->fed)
        fapi_member_kind_stop(m, k);
    free(m->there);
    m->there = NULL;
    m->n_there = 0;
    if (m->nodes)
        fed_informer_free(m->nodes);
    if (m->slices)
        fed_informer_free(m->slices);
    m->nodes = m->slices = NULL;
}

/* --- health --- */

static bool all_synced(const struct fapi_member *m)
{
    if (!fapi_member_sees_all(m))
        return false;
    return m->nodes && fed_informer_synced(m->nodes) && fed_informer_synced(m->slices);
}

static void set_health(struct fapi_member *m, enum fapi_health health, const char *reason, const char *message)
{
    bool changed = m->health != health;
    free(m->reason);
    m->reason = fed_strdup(reason);
    if (!m->message || strcmp(m->message, message) != 0) {
        free(m->message);
        m->message = fed_strdup(message);
    }
    if (!changed)
        return;
    m->health = health;
    m->health_since_ns = fed_mono_ns(m->fed->env);
    fed_log_info("cluster", "cluster=%s health=%s reason=%s %s", m->name,
                 health == FAPI_READY     ? "ready"
                 : health == FAPI_OFFLINE ? "offline"
                                          : "not-ready",
                 reason, message);
    fapi_due_report(m);
    fapi_due_decide_all(m->fed);
    fapi_due_services(m->fed);
}

static void grace_over(struct fed_timer *timer)
{
    struct fapi_member *m = fed_container_of(timer, struct fapi_member, grace_timer);
    m->lost = true;
    struct fed_kobj *object = fapi_clusters_object(m->fed->clusters, fed_str(m->name));
    uint32_t seconds = m->fed->timing.failure_grace / 1000;
    fed_log_warn("cluster", "cluster=%s is still offline: its replicas are made up elsewhere", m->name);
    if (object)
        fed_event_warning(m->fed->recorder, object, "ClusterLost",
                          "still not reachable after %u s: its replicas are made up in other clusters", seconds);
    fapi_due_decide_all(m->fed);
}

static void go_offline(struct fapi_member *m, const char *message)
{
    if (!fed_timer_active(&m->grace_timer) && !m->lost)
        fed_timer_start(m->fed->env, &m->grace_timer, m->fed->timing.failure_grace, grace_over);
    m->reconciling = false;
    set_health(m, FAPI_OFFLINE, "ClusterNotReachable", message);
}

static void become_ready(struct fapi_member *m)
{
    m->reconciling = false;
    set_health(m, FAPI_READY, "ClusterReady", "/healthz responded with ok");
    fapi_due_edge(m);
}

/* What it has is known again: it counts in every decision, with the replicas that it still runs. */
static void everything_listed(struct fapi_member *m)
{
    m->listed = true;
    m->lost = false;
    fed_timer_stop(m->fed->env, &m->grace_timer);
    fapi_assignments_stale(m->fed, m);
    fapi_due_decide_all(m->fed);
    fapi_due_replicate_all(m);
}

/* Ready only when everything was seen, decided anew, and every waiting change was carried out. */
static void check_reconciled(struct fapi_member *m)
{
    if (!m->reconciling || !all_synced(m))
        return;
    if (!m->listed)
        everything_listed(m);
    if (fapi_due_is_decided(m->fed) && fapi_replicator_idle(m->replicator))
        become_ready(m);
}

static void on_settle(struct fed_task *task)
{
    check_reconciled(fed_container_of(task, struct fapi_member, settle));
}

static void answered_ok(struct fapi_member *m)
{
    m->failures = 0;
    m->successes++;
    if (m->health == FAPI_READY || m->reconciling) {
        check_reconciled(m);
        return;
    }
    if (m->health == FAPI_OFFLINE && m->successes < SUCCESSES_TO_RETURN)
        return;
    /* What was cached may be from before the loss: look at everything anew. */
    m->reconciling = true;
    m->listed = false;
    fapi_replicator_stop(m->replicator); /* nor wait for calls that were lost with it */
    fapi_replicator_start(m->replicator);
    stop_informers(m);
    start_informers(m);
    fapi_due_replicate_all(m);
}

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct fapi_member *m = ud;
    char message[640];
    m->probe = NULL;
    m->latency_ms = (fed_mono_ns(m->fed->env) - m->probe_started_ns) / 1000000;
    if (code == 0 && fed_str_ieq(fed_str_trim(res->body), FED_STR("ok"))) {
        answered_ok(m);
        return;
    }
    m->successes = 0;
    if (res && res->http_status) {
        m->failures = 0;
        m->reconciling = false;
        snprintf(message, sizeof(message), "/healthz responded with status %d", res->http_status);
        set_health(m, FAPI_NOT_READY, "ClusterNotReady", message);
        return;
    }
    if (++m->failures >= FAILURES_TO_OFFLINE) {
        snprintf(message, sizeof(message), "cluster is not reachable: %s", err ? err->text : "no answer");
        go_offline(m, message);
    }
}

static void probe(struct fed_timer *timer)
{
    struct fapi_member *m = fed_container_of(timer, struct fapi_member, probe_timer);
    if (m->transport && !m->probe) {
        struct fed_call_request req = {
            .method = "GET", .path = FED_STR("/healthz"), .timeout_ms = m->fed->timing.probe_timeout};
        m->probe_started_ns = fed_mono_ns(m->fed->env);
        m->probe = m->transport->ops->call(m->transport, &req, answered, m);
    }
    fed_timer_start(m->fed->env, &m->probe_timer, m->fed->timing.probe_period, probe);
}

/* --- connecting --- */

static void disconnect(struct fapi_member *m)
{
    fed_timer_stop(m->fed->env, &m->probe_timer);
    fed_call_cancel(m->probe);
    m->probe = NULL;
    fapi_replicator_stop(m->replicator);
    stop_informers(m);
    fed_transport_free(m->transport);
    m->transport = NULL;
}

static char *fingerprint(const struct fed_rest_conf *r)
{
    char hex[65];
    const char *parts[] = {r->server,   r->ca_pem,   r->cert_pem,        r->key_pem,   r->token,
                           r->username, r->password, r->tls_server_name, r->proxy_url, r->insecure ? "insecure" : ""};
    struct fed_buf b;
    fed_buf_init(&b, 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(parts); i++) {
        fed_buf_addz(&b, parts[i] ? parts[i] : "");
        fed_buf_addc(&b, '\0');
    }
    fed_sha256_hex(fed_buf_str(&b), hex);
    fed_buf_release(&b);
    return fed_strdup(hex);
}

void fapi_member_set_rest(struct fapi_member *m, const struct fed_rest_conf *rest)
{
    struct fed_err err = {0};
    char *print = fingerprint(rest);
    if (m->transport && m->rest_fingerprint && strcmp(print, m->rest_fingerprint) == 0) {
        free(print);
        return;
    }
    disconnect(m);
    free(m->rest_fingerprint);
    m->rest_fingerprint = print;
    m->transport = m->fed->connector.connect(m->fed->connector.ud, m->name, rest, &err);
    if (!m->transport) {
        fapi_member_set_problem(m, "CredentialsUnusable", err.text);
        return;
    }
    fapi_replicator_start(m->replicator);
    if (m->health == FAPI_READY) { /* rotated credentials: no reason to call it lost meanwhile */
        start_informers(m);
        fapi_due_replicate_all(m);
    }
    fed_timer_start(m->fed->env, &m->probe_timer, 0, probe);
}

void fapi_member_set_problem(struct fapi_member *m, const char *reason, const char *message)
{
    disconnect(m);
    set_health(m, FAPI_NOT_READY, reason, message);
    fapi_due_report(m);
}

struct fapi_member *fapi_member_new(struct fapi_federation *f, struct fed_str name)
{
    struct fapi_member *m = FED_NEW(struct fapi_member);
    m->fed = f;
    m->name = fed_strdup_str(name);
    m->settle.cb = on_settle;
    m->replicator = fapi_replicator_new(m);
    return m;
}

void fapi_member_free(struct fapi_member *m)
{
    fed_timer_stop(m->fed->env, &m->grace_timer);
    disconnect(m);
    fed_task_cancel(&m->settle);
    fapi_replicator_free(m->replicator);
    free(m->rest_fingerprint);
    free(m->reason);
    free(m->message);
    free(m->name);
    free(m);
}
