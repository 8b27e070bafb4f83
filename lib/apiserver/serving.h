/* SPDX-License-Identifier: Apache-2.0 */
/* serving.h: how an API server's port is served: its limits and times as settings, and who may send large bodies.
 *
 * Model:   a program puts FED_SERVING_ROWS among its settings and makes its HTTP server's configuration with
 *          fed_serving_conf. Of a body beyond 64 KiB nothing more is read before its sender is authenticated.
 * Threads: the env's.
 */
#ifndef FED_APISERVER_SERVING_H
#define FED_APISERVER_SERVING_H

#include "apiserver/apiserver.h"
#include "codec/settings.h"

struct fed_serving_settings { /* times in milliseconds; 0 everywhere: the defaults of net/httpd.h */
    int64_t max_connections, max_peer_connections, header_timeout, body_timeout, idle_timeout;
};
/* All but where it listens. settings may be NULL. */
struct fed_httpd_conf fed_serving_conf(struct fed_api *api, struct fed_metrics *metrics,
                                       const struct fed_serving_settings *settings);

#define FED_SERVING_AT(base, member) ((base) + offsetof(struct fed_serving_settings, member))
#define FED_SERVING_ROWS(base)                                                                                         \
    {.name = "http-max-connections",                                                                                   \
     .type = FED_SET_INT,                                                                                              \
     .offset = FED_SERVING_AT(base, max_connections),                                                                  \
     .dflt = "16384",                                                                                                  \
     .arg = "N",                                                                                                       \
     .min = 1,                                                                                                         \
     .max = 1000000,                                                                                                   \
     .help = "Connections of clients at once; those beyond are answered with 429 and closed"},                         \
        {.name = "http-max-connections-per-client",                                                                    \
         .type = FED_SET_INT,                                                                                          \
         .offset = FED_SERVING_AT(base, max_peer_connections),                                                         \
         .dflt = "4096",                                                                                               \
         .arg = "N",                                                                                                   \
         .min = 1,                                                                                                     \
         .max = 1000000,                                                                                               \
         .help = "The same for one client: an IPv4 address, or the /64 of an IPv6 address"},                           \
        {.name = "http-header-timeout",                                                                                \
         .type = FED_SET_DURATION,                                                                                     \
         .offset = FED_SERVING_AT(base, header_timeout),                                                               \
         .dflt = "10s",                                                                                                \
         .arg = "TIME",                                                                                                \
         .min = 100,                                                                                                   \
         .max = 3600000,                                                                                               \
         .help = "Time for the head of a request"},                                                                    \
        {.name = "http-body-timeout",                                                                                  \
         .type = FED_SET_DURATION,                                                                                     \
         .offset = FED_SERVING_AT(base, body_timeout),                                                                 \
         .dflt = "1m",                                                                                                 \
         .arg = "TIME",                                                                                                \
         .min = 100,                                                                                                   \
         .max = 3600000,                                                                                               \
         .help = "Time for the rest of a request"},                                                                    \
    {                                                                                                                  \
        .name = "http-idle-timeout", .type = FED_SET_DURATION, .offset = FED_SERVING_AT(base, idle_timeout),           \
        .dflt = "90s", .arg = "TIME", .min = 100, .max = 86400000,                                                     \
        .help = "Time after which a connection without requests, or whose answers are not taken, is closed"            \
    }

#endif
