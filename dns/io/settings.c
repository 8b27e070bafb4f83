/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/io/settings.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/mem.h"

#define ROW(n, t, m) .name = n, .type = t, .offset = offsetof(struct gdns_settings, m)

static const struct fed_setting rows[] = {
    {ROW("zone", FED_SET_STR, zone), .dflt = "example.com.", .arg = "ZONE", .dir_key = "zoneName",
     .help = "DNS zone of the federation"},
    {ROW("federation", FED_SET_STR, federation), .dflt = "fed", .arg = "NAME", .dir_key = "federation",
     .help = "name of the federation, a label of service names"},
    {ROW("host-zones", FED_SET_LIST, host_zones), .arg = "ZONE,...", .dir_key = "hostZones",
     .help = "further zones, served for Ingress hosts only"},
    {ROW("listen", FED_SET_LIST, listen), .arg = "ADDR:PORT", .dir_key = "dnsListen",
     .help = "address to serve on, UDP and TCP; default $POD_IP (else 127.0.0.1), port $HANSA_PORT_53 (else 53)"},
    {ROW("cluster", FED_SET_STR, cluster), .arg = "NAME", .dir_key = "cluster",
     .help = "the cluster that this server runs in"},
    {ROW("region", FED_SET_STR, region), .arg = "NAME", .dir_key = "region", .help = "its region (for the logs)"},
    {ROW("kubeconfig", FED_SET_STR, kubeconfig), .dflt = "/etc/hansa/credentials/kubeconfig", .arg = "FILE",
     .help = "how to reach the federation; it may appear later, and is read again when it changes"},
    {ROW("config-dir", FED_SET_STR, config_dir), .dflt = "/etc/hansa/edge", .arg = "DIR",
     .help = "folder of single-value files (a mounted ConfigMap), read again when one changes"},
    {ROW("state", FED_SET_STR, state), .arg = "DIR", .help = "folder for the saved snapshot; none: not saved"},
    {ROW("objects", FED_SET_STR, objects), .arg = "FILE",
     .help = "serve these API objects (YAML) instead of watching the federation"},
    {ROW("geoip", FED_SET_STR, geoip), .arg = "FILE", .dir_key = "geoip",
     .help = "MaxMind database that tells where clients are"},
    {ROW("networks", FED_SET_LIST, networks), .arg = "CIDR=REGION[@LAT,LON],...", .dir_key = "networks",
     .help = "client networks and their regions; before the database"},
    {ROW("networks-file", FED_SET_STR, networks_file), .arg = "FILE", .dir_key = "networksFile",
     .help = "the same, one a line"},
    {ROW("ttl", FED_SET_DURATION, ttl_ms), .dflt = "10s", .arg = "DURATION", .dir_key = "ttl", .min = 0,
     .max = 86400000, .help = "time to live of answers"},
    {ROW("nsid", FED_SET_STR, nsid), .arg = "TEXT",
     .help = "server identifier (RFC 5001); default: the cluster's name"},
    {ROW("workers", FED_SET_INT, workers), .dflt = "0", .arg = "N", .min = 0, .max = 256,
     .help = "threads that answer; 0: one for each processor"},
    {ROW("metrics", FED_SET_STR, metrics), .arg = "ADDR:PORT", .dir_key = "dnsMetrics",
     .help = "serve /metrics, /healthz and /readyz over HTTP"},
    {ROW("probes", FED_SET_BOOL, probes), .dflt = "true", .help = "probe endpoints and clusters ourselves"},
    {ROW("probe-interval", FED_SET_DURATION, probe_interval_ms), .dflt = "250ms", .arg = "DURATION", .min = 10,
     .max = 60000, .help = "time between two probes of a target"},
    {ROW("probe-timeout", FED_SET_DURATION, probe_timeout_ms), .dflt = "400ms", .arg = "DURATION", .min = 10,
     .max = 60000, .help = "silence that counts as a failure"},
    {ROW("log-level", FED_SET_CHOICE, log_level), .dflt = "info", .arg = "LEVEL", .choices = "error|warn|info|debug",
     .help = "what to log"},
};
const struct fed_settings gdns_settings_table = {
    .program = "hansa-dns",
    .summary = "authoritative DNS server that answers with the nearest healthy cluster",
    .version = "0.1.0",
    .rows = rows,
    .n_rows = FED_ARRAY_LEN(rows),
};

static const char *env_or(const char *name, const char *dflt)
{
    const char *v = getenv(name);
    return v && *v ? v : dflt;
}

static int parse_listen(struct gdns_world *w, struct fed_err *err)
{
    for (size_t i = 0; i < w->set.listen.n && w->n_listen < FED_ARRAY_LEN(w->listen); i++) {
        if (fed_addr_parse_hostport(fed_str(w->set.listen.v[i]), &w->listen[w->n_listen++]))
            return fed_err_set(err, FED_E_INVALID, "listen: \"%s\" is not like 192.0.2.1:53", w->set.listen.v[i]);
    }
    if (w->n_listen)
        return 0;
    uint64_t port;
    const char *ip = env_or("POD_IP", "127.0.0.1"), *text = env_or("HANSA_PORT_53", "53");
    if (fed_str_u64(fed_str(text), &port) || port > 65535 || fed_addr_parse(fed_str(ip), (uint16_t)port, &w->listen[0]))
        return fed_err_set(err, FED_E_INVALID, "POD_IP=%s, HANSA_PORT_53=%s: not an address and a port", ip, text);
    w->n_listen = 1;
    return 0;
}

static int make_conf(struct gdns_world *w, struct fed_err *err)
{
    struct gdns_conf *c = &w->conf;
    int rc = gdns_zones_add(&c->zones, fed_str(w->set.zone), true, err);
    for (size_t i = 0; !rc && i < w->set.host_zones.n; i++)
        rc = gdns_zones_add(&c->zones, fed_str(w->set.host_zones.v[i]), false, err);
    if (rc)
        return rc;
    struct gdns_name label;
    if (gdns_name_parse(fed_str(w->set.federation), &label) || label.n != 1)
        return fed_err_set(err, FED_E_INVALID, "federation: \"%s\" is not one DNS label", w->set.federation);
    struct fed_str fed = gdns_label(&label, 0);
    memcpy(c->zones.federation, fed.p, fed.n);
    c->ttl = (uint32_t)(w->set.ttl_ms / 1000);
    c->version = "hansa-dns";
    const char *cluster = w->set.cluster ? w->set.cluster : "", *nsid = w->set.nsid ? w->set.nsid : cluster;
    if (strlen(cluster) > 60 || strlen(nsid) > 63)
        return fed_err_set(err, FED_E_INVALID, "cluster and nsid must be shorter than 61 and 64 bytes");
    memcpy(c->own, cluster, strlen(cluster) + 1);
    memcpy(c->nsid, nsid, strlen(nsid) + 1);
    rc = parse_listen(w, err);
    for (size_t i = 0; !rc && i < w->n_listen && c->n_own_addrs < FED_ARRAY_LEN(c->own_addrs); i++)
        c->own_addrs[c->n_own_addrs++] = w->listen[i];
    return rc;
}

static int make_geo(struct gdns_world *w, struct fed_err *err)
{
    struct fed_geo_conf g = {w->set.networks.v, w->set.networks.n, w->set.networks_file, w->set.geoip};
    if (!g.n_networks && !g.networks_file && !g.mmdb_file)
        return 0;
    return fed_geo_new(&g, &w->geo, err);
}

static struct fed_settings_input input(int argc, char **argv)
{
    return (struct fed_settings_input){.argc = argc, .argv = argv, .dir_setting = "config-dir"};
}

void gdns_world_free(void *world)
{
    struct gdns_world *w = world;
    if (!w)
        return;
    fed_geo_free(w->geo);
    fed_arena_release(&w->arena);
    free(w);
}

struct gdns_world *gdns_world_load(int argc, char **argv, struct fed_err *err)
{
    struct gdns_world *w = FED_NEW(struct gdns_world);
    struct fed_settings_input in = input(argc, argv);
    int rc = fed_settings_load(&gdns_settings_table, &in, &w->set, sizeof(w->set), &w->arena, &w->res, err);
    if (!rc)
        rc = make_conf(w, err);
    if (!rc)
        rc = make_geo(w, err);
    if (rc) {
        gdns_world_free(w);
        return NULL;
    }
    return w;
}

static void *load_any(int argc, char **argv, struct fed_err *err)
{
    return gdns_world_load(argc, argv, err);
}

struct gdns_world *gdns_world_start(int argc, char **argv, int *exit_status)
{
    static const struct fed_settings_maker maker = {&gdns_settings_table, sizeof(struct gdns_settings), load_any,
                                                    gdns_world_free};
    struct fed_settings_input in = input(argc, argv);
    void *world;
    *exit_status = fed_settings_start(&maker, &in, argc, argv, &world);
    return world;
}
