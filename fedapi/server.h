/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: hansa-fedapi as a whole: settings, keys, store, API engine, listener, controllers; up in that order, down in
 * reverse. Threads: the loop's. */
#ifndef FAPI_SERVER_H
#define FAPI_SERVER_H

#include "apiserver/access.h"
#include "apiserver/serving.h"
#include "codec/settings.h"
#include "net/loop.h"

struct fapi_conf {
    const char *name, *zone, *listen, *dir, *pki, *store, *public_url, *encryption;
    struct fed_strings sans;
    const char *etcd_ca, *etcd_cert, *etcd_key, *etcd_prefix;
    int64_t monitor_period, monitor_timeout, failure_grace, leader_lease, max_reads, max_writes;
    bool controllers, verbose, store_check;
    struct fed_access_settings access;
    struct fed_serving_settings serving;
};
extern const struct fed_settings fapi_settings;

struct fapi_server;
FED_MUST_USE int fapi_server_start(struct fed_loop *loop, const struct fapi_conf *conf, struct fapi_server **out,
                                   struct fed_err *err);
/* Reads again what may change while it runs (SIGHUP). */
void fapi_server_reload(struct fapi_server *s);
/* Orderly end: watches end, what is queued is written, then the loop stops. */
void fapi_server_stop(struct fapi_server *s, int exit_status);
int fapi_server_exit_status(const struct fapi_server *s); /* FAPI_START_AGAIN: with the store that was restored */
#define FAPI_START_AGAIN 100
void fapi_server_free(struct fapi_server *s); /* after the loop has stopped */

#endif
