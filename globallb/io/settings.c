/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/io/settings.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#define ROW(n, t, m) .name = n, .type = t, .offset = offsetof(struct glb_settings, m)
#define HOUR         3600000

static const struct fed_setting rows[] = {
    {ROW("listen", FED_SET_LIST, listen), .arg = "ADDR:PORT", .dir_key = "lbListen",
     .help = "address to serve HTTP on; default $POD_IP (else 127.0.0.1), port $HANSA_PORT_80 (else 80)"},
    {ROW("listen-tls", FED_SET_LIST, listen_tls), .arg = "ADDR:PORT", .dir_key = "lbListenTls",
     .help = "address to serve HTTPS on, \"off\" for none; default $POD_IP, port $HANSA_PORT_443 (else 443)"},
    {ROW("tls-cert", FED_SET_STR, tls_cert), .arg = "FILE",
     .help = "certificate for names that no ingress has one for; default: one made at start, which nobody trusts"},
    {ROW("tls-key", FED_SET_STR, tls_key), .arg = "FILE", .help = "its private key"},
    {ROW("cluster", FED_SET_STR, cluster), .arg = "NAME", .dir_key = "cluster",
     .help = "the cluster that this balancer runs in"},
    {ROW("region", FED_SET_STR, region), .arg = "NAME", .dir_key = "region", .help = "its region (for the logs)"},
    {ROW("zone", FED_SET_STR, zone), .arg = "NAME", .dir_key = "zone", .help = "its zone (for the logs)"},
    {ROW("federation", FED_SET_STR, federation), .arg = "NAME", .dir_key = "federation",
     .help = "name of the federation (for the logs)"},
    {ROW("ingress-classes", FED_SET_LIST, classes), .dflt = "hansa", .arg = "NAME,...", .dir_key = "ingressClasses",
     .help = "ingress classes served beside ingresses without a class"},
    {ROW("kubeconfig", FED_SET_STR, kubeconfig), .dflt = "/etc/hansa/credentials/kubeconfig", .arg = "FILE",
     .help = "how to reach the federation; it may appear later, and is read again when it changes"},
    {ROW("config-dir", FED_SET_STR, config_dir), .dflt = "/etc/hansa/edge", .arg = "DIR",
     .help = "folder of single-value files (a mounted ConfigMap), read again when one changes"},
    {ROW("state", FED_SET_STR, state), .dflt = "/var/lib/hansa/edge/globallb", .arg = "DIR",
     .help = "folder for the saved snapshot; empty: not saved"},
    {ROW("objects", FED_SET_STR, objects), .arg = "FILE",
     .help = "serve by these API objects (YAML) instead of watching the federation"},
    {ROW("workers", FED_SET_INT, workers), .dflt = "0", .arg = "N", .min = 0, .max = GLB_MAX_WORKERS,
     .help = "threads that proxy; 0: one for each processor"},
    {ROW("metrics", FED_SET_STR, metrics), .arg = "ADDR:PORT", .dir_key = "lbMetrics",
     .help = "serve /metrics, /healthz and /readyz over HTTP"},
    {ROW("access-log", FED_SET_BOOL, access_log), .dflt = "false", .help = "log each request"},
    {ROW("probes", FED_SET_BOOL, probes), .dflt = "true", .help = "probe endpoints and clusters ourselves"},
    {ROW("probe-interval", FED_SET_DURATION, probe_interval_ms), .dflt = "250ms", .arg = "DURATION", .min = 10,
     .max = 60000, .help = "time between two probes of a target"},
    {ROW("probe-timeout", FED_SET_DURATION, probe_timeout_ms), .dflt = "400ms", .arg = "DURATION", .min = 10,
     .max = 60000, .help = "silence that counts as a failure"},
    {ROW("connect-timeout", FED_SET_DURATION, connect_ms), .dflt = "250ms", .arg = "DURATION", .min = 10, .max = 60000,
     .help = "time for a connection to a backend before the next one is tried"},
    {ROW("hedge-min", FED_SET_DURATION, hedge_min_ms), .dflt = "100ms", .arg = "DURATION", .min = 5, .max = 60000,
     .help = "an idempotent request without any answer is sent a second time not before this"},
    {ROW("hedge-max", FED_SET_DURATION, hedge_max_ms), .dflt = "500ms", .arg = "DURATION", .min = 5, .max = 60000,
     .help = "and at the latest after this, within the budget"},
    {ROW("response-timeout", FED_SET_DURATION, response_ms), .dflt = "60s", .arg = "DURATION", .min = 10,
     .max = 24 * HOUR, .help = "time for the first byte of an answer (504)"},
    {ROW("tries", FED_SET_INT, tries), .dflt = "4", .arg = "N", .min = 1, .max = GLB_MAX_TRIES,
     .help = "how often a request may be sent in all"},
    {ROW("retry-percent", FED_SET_INT, retry_percent), .dflt = "20", .arg = "PERCENT", .min = 0, .max = 100,
     .help = "budget of second tries beside a slow one, as a share of requests"},
    {ROW("retry-per-second", FED_SET_INT, retry_per_second), .dflt = "10", .arg = "N", .min = 0, .max = 100000,
     .help = "and so many more each second, of each worker"},
    {ROW("stall-timeout", FED_SET_DURATION, stall_ms), .dflt = "60s", .arg = "DURATION", .min = 100, .max = 24 * HOUR,
     .help = "time that a body may stand still"},
    {ROW("idle-timeout", FED_SET_DURATION, idle_ms), .dflt = "75s", .arg = "DURATION", .min = 100, .max = 24 * HOUR,
     .help = "how long a client's idle connection is kept"},
    {ROW("head-timeout", FED_SET_DURATION, head_ms), .dflt = "10s", .arg = "DURATION", .min = 100, .max = HOUR,
     .help = "time for a request's head (408)"},
    {ROW("backend-idle-timeout", FED_SET_DURATION, upstream_idle_ms), .dflt = "30s", .arg = "DURATION", .min = 100,
     .max = HOUR, .help = "how long an idle connection to a backend is kept"},
    {ROW("stop-timeout", FED_SET_DURATION, grace_ms), .dflt = "4s", .arg = "DURATION", .min = 0, .max = HOUR,
     .help = "time that running requests have after SIGTERM"},
    {ROW("max-body", FED_SET_INT, max_body), .dflt = "0", .arg = "BYTES", .min = 0, .max = INT64_MAX,
     .help = "largest body of a request (413); 0: any"},
    {ROW("max-connections", FED_SET_INT, max_clients), .dflt = "16384", .arg = "N", .min = 1, .max = 1000000,
     .help = "connections of clients, for each worker and address"},
    {ROW("max-in-flight", FED_SET_INT, max_in_flight), .dflt = "0", .arg = "N", .min = 0, .max = 100000000,
     .help = "requests at once that fill a cluster; more go to the next one; 0: any number"},
    {ROW("max-in-flight-per-pod", FED_SET_INT, max_in_flight_per_pod), .dflt = "0", .arg = "N", .min = 0,
     .max = 1000000, .help = "the same for each ready pod of the service; 0: any number"},
    {ROW("log-level", FED_SET_CHOICE, log_level), .dflt = "info", .arg = "LEVEL", .choices = "error|warn|info|debug",
     .help = "what to log"},
};
const struct fed_settings glb_settings_table = {
    .program = "hansa-globallb",
    .summary = "HTTP balancer that sends each request to the nearest healthy cluster",
    .version = "0.1.0",
    .rows = rows,
    .n_rows = FED_ARRAY_LEN(rows),
};

static const char *env_or(const char *name, const char *dflt)
{
    const char *v = getenv(name);
    return v && *v ? v : dflt;
}

static int parse_listen(const struct fed_strings *list, const char *what, const char *port_env, const char *port_dflt,
                        struct fed_addr *out, size_t *n, struct fed_err *err)
{
    if (list->n == 1 && strcmp(list->v[0], "off") == 0)
        return 0;
    if (list->n > GLB_MAX_LISTEN)
        return fed_err_set(err, FED_E_INVALID, "%s: more than %d addresses", what, GLB_MAX_LISTEN);
    for (size_t i = 0; i < list->n; i++)
        if (fed_addr_parse_hostport(fed_str(list->v[i]), &out[(*n)++]))
            return fed_err_set(err, FED_E_INVALID, "%s: \"%s\" is not like 192.0.2.1:80", what, list->v[i]);
    if (*n)
        return 0;
    uint64_t port;
    const char *ip = env_or("POD_IP", "127.0.0.1"), *text = env_or(port_env, port_dflt);
    if (fed_str_u64(fed_str(text), &port) || port > 65535 || fed_addr_parse(fed_str(ip), (uint16_t)port, &out[0]))
        return fed_err_set(err, FED_E_INVALID, "POD_IP=%s, %s=%s: not an address and a port", ip, port_env, text);
    *n = 1;
    return 0;
}

static void fill_limits(const struct glb_settings *s, struct glb_limits *l)
{
    *l = (struct glb_limits){
        .tries = {(uint32_t)s->tries, (uint32_t)s->response_ms, 50},
        .connect_ms = (uint32_t)s->connect_ms,
        .hedge_min_ms = (uint32_t)s->hedge_min_ms,
        .hedge_max_ms = (uint32_t)s->hedge_max_ms,
        .idle_ms = (uint32_t)s->idle_ms,
        .head_ms = (uint32_t)s->head_ms,
        .stall_ms = (uint32_t)s->stall_ms,
        .upstream_idle_ms = (uint32_t)s->upstream_idle_ms,
        .retry_percent = (uint32_t)s->retry_percent,
        .retry_per_second = (uint32_t)s->retry_per_second,
        .max_body = (uint64_t)s->max_body,
        .max_clients = (uint32_t)s->max_clients,
        .max_in_flight = (uint32_t)s->max_in_flight,
        .max_in_flight_per_pod = (uint32_t)s->max_in_flight_per_pod,
        .grace_ms = (uint32_t)s->grace_ms,
        .access_log = s->access_log,
    };
}

static int interpret(struct glb_setup *s, struct fed_err *err)
{
    int rc = parse_listen(&s->set.listen, "listen", "HANSA_PORT_80", "80", s->plain, &s->n_plain, err);
    if (!rc)
        rc = parse_listen(&s->set.listen_tls, "listen-tls", "HANSA_PORT_443", "443", s->tls, &s->n_tls, err);
    if (!rc && !s->set.tls_cert != !s->set.tls_key)
        rc = fed_err_set(err, FED_E_INVALID, "tls-cert and tls-key go together");
    if (!rc && s->set.hedge_min_ms > s->set.hedge_max_ms)
        rc = fed_err_set(err, FED_E_INVALID, "hedge-min is longer than hedge-max");
    fill_limits(&s->set, &s->limits);
    return rc;
}

static struct fed_settings_input input(int argc, char **argv)
{
    return (struct fed_settings_input){.argc = argc, .argv = argv, .dir_setting = "config-dir"};
}

void glb_setup_free(struct glb_setup *s)
{
    if (!s)
        return;
    fed_arena_release(&s->arena);
    free(s);
}

struct glb_setup *glb_setup_load(int argc, char **argv, struct fed_err *err)
{
    struct glb_setup *s = FED_NEW(struct glb_setup);
    struct fed_settings_input in = input(argc, argv);
    int rc = fed_settings_load(&glb_settings_table, &in, &s->set, sizeof(s->set), &s->arena, &s->res, err);
    if (!rc)
        rc = interpret(s, err);
    if (rc) {
        glb_setup_free(s);
        return NULL;
    }
    return s;
}

static void *load_any(int argc, char **argv, struct fed_err *err)
{
    return glb_setup_load(argc, argv, err);
}

static void free_any(void *setup)
{
    glb_setup_free(setup);
}

struct glb_setup *glb_setup_start(int argc, char **argv, int *exit_status)
{
    static const struct fed_settings_maker maker = {&glb_settings_table, sizeof(struct glb_settings), load_any,
                                                    free_any};
    struct fed_settings_input in = input(argc, argv);
    void *setup;
    *exit_status = fed_settings_start(&maker, &in, argc, argv, &setup);
    return setup;
}
