/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/server.h"

#define ROW(member) offsetof(struct fapi_conf, member)

static const struct fed_setting rows[] = {
    {.name = "name", .type = FED_SET_STR, .offset = ROW(name), .dflt = "fed", .arg = "NAME",
     .help = "Name of the federation, as in app.default.NAME.svc.ZONE"},
    {.name = "zone", .type = FED_SET_STR, .offset = ROW(zone), .dflt = "example.com.", .arg = "ZONE",
     .help = "DNS zone that the federation serves"},
    {.name = "listen", .type = FED_SET_STR, .offset = ROW(listen), .arg = "ADDR:PORT",
     .help = "Where the API is served, over TLS (default: $POD_IP or 127.0.0.1, port 8443)"},
    {.name = "public-url", .type = FED_SET_STR, .offset = ROW(public_url), .arg = "URL",
     .help = "The API's address as other clusters reach it (default: the listening address)"},
    {.name = "san", .type = FED_SET_LIST, .offset = ROW(sans), .arg = "NAME|ADDR,...",
     .help = "More names and addresses for the server's certificate"},
    {.name = "dir", .type = FED_SET_STR, .offset = ROW(dir), .arg = "DIR", .required = true,
     .help = "State: the store, the server's certificate, an administrator's kubeconfig"},
    {.name = "pki", .type = FED_SET_STR, .offset = ROW(pki), .arg = "DIR",
     .help = "Folder with ca.crt, ca.key and sa.key, as a mounted Secret (default: made in DIR/pki)"},
    {.name = "store", .type = FED_SET_STR, .offset = ROW(store), .dflt = "sqlite", .arg = "sqlite[:PATH]|mem",
     .help = "Where objects are kept: an SQLite file (default DIR/store.db), or memory, which forgets"},
    {.name = "controllers", .type = FED_SET_BOOL, .offset = ROW(controllers), .dflt = "true",
     .help = "Run the federation's controllers beside the API"},
    {.name = "cluster-monitor-period", .type = FED_SET_DURATION, .offset = ROW(monitor_period), .dflt = "1s",
     .arg = "TIME", .min = 50, .max = 600000, .help = "How often each cluster's health is asked for"},
    {.name = "cluster-monitor-timeout", .type = FED_SET_DURATION, .offset = ROW(monitor_timeout), .dflt = "1s",
     .arg = "TIME", .min = 50, .max = 60000, .help = "How long a cluster may take to answer"},
    {.name = "cluster-failure-grace", .type = FED_SET_DURATION, .offset = ROW(failure_grace), .dflt = "30s",
     .arg = "TIME", .min = 100, .max = 86400000,
     .help = "How long a cluster is Offline before its replicas are made up elsewhere"},
    {.name = "verbose", .type = FED_SET_BOOL, .offset = ROW(verbose), .help = "Log more"},
};

const struct fed_settings fapi_settings = {
    .program = "hansa-fedapi",
    .summary = "the federation's API server and controllers",
    .version = "0.1.0",
    .rows = rows,
    .n_rows = FED_ARRAY_LEN(rows),
};
