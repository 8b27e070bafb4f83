/* SPDX-License-Identifier: Apache-2.0 */
/* etcd.h: the store on an etcd cluster (3.4 or later, v3 API over gRPC), for several processes on several machines.
 *
 * Model:      one connection to one of the endpoints carries everything: transactions, consistent reads and one watch of
 *             all our keys, which share a prefix. State goes on changes of the watch only; a transaction is answered
 *             when the watch has shown it. A connection that breaks or falls silent is given up for the next endpoint;
 *             the watch goes on after the last revision that was applied. When etcd has compacted that, all keys are
 *             read again and the difference is delivered.
 * Revisions:  etcd's own. Other keys of the same etcd advance them too: on_progress tells.
 * Order:      transactions on the same key commit in the order submitted; others may overtake each other.
 * Failure:    away: what was not sent fails with FED_E_UNAVAILABLE after a few seconds, what was sent with
 *             FED_E_TIMEOUT (outcome unknown). on_failed: another etcd answers, or it has gone back in time.
 * Threads:    the loop's.
 */
#ifndef STORE_ETCD_H
#define STORE_ETCD_H

#include "store/store.h"

struct fed_loop;

struct store_etcd_conf {
    const char *endpoints;                      /* "https://a:2379,https://b:2379"; http:// or https://, 16 at most */
    const char *ca_file, *cert_file, *key_file; /* NULL: the system's trust anchors; no client certificate */
    const char *prefix;                         /* of our keys; NULL: "/hansa/" */
    uint64_t keep_changes;                      /* revisions that compaction leaves; 0: 100,000 */
    uint64_t compact_every_ms;                  /* history older than this may go too; 0: 5 minutes */
    uint32_t queue_max;                         /* transactions waiting or under way; 0: 8,192 */
    uint32_t request_timeout_ms;                /* 0: 5,000 */
    uint32_t silence_ms;                        /* a connection without a byte for so long is dead; 0: 3,000 */
    uint32_t load_timeout_ms;                   /* etcd away at the start; 0: 60,000 */
    /* The connection: up with the endpoint's name once etcd has answered there, or down with the reason. May be NULL. */
    void (*on_state)(void *ud, bool up, const char *text);
    void *ud;
};
/* Checks the configuration; connects in load. FED_E_INVALID, or what the TLS files give. */
FED_MUST_USE int store_etcd_open(struct fed_loop *loop, const struct store_etcd_conf *conf, struct store **out,
                                 struct fed_err *err);

#endif
