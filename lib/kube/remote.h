/* SPDX-License-Identifier: Apache-2.0 */
/* remote.h: the transport over HTTP to a real API server, made from a kubeconfig context or its parts.
 *
 * Reconnects by itself on the next call; never retries a write. Reads and watches share HTTP/2 connections. A watch
 * without any byte for idle_timeout_ms ends with FED_E_TIMEOUT (silence must not look like peace).
 */
#ifndef FED_KUBE_REMOTE_H
#define FED_KUBE_REMOTE_H

#include "kube/client.h"
#include "kube/kubeconfig.h"
#include "net/loop.h"

struct fed_remote_conf {
    const char *name;          /* copied, for logs */
    struct fed_rest_conf rest; /* copied */
    uint32_t idle_timeout_ms;  /* 0: 90,000 */
    const char *user_agent;
};
FED_MUST_USE int fed_remote_new(struct fed_loop *loop, const struct fed_remote_conf *conf, struct fed_transport **out,
                                struct fed_err *err);
/* New credentials (rotated Secret, renewed certificate) for connections to come. */
void fed_remote_set_rest(struct fed_transport *t, const struct fed_rest_conf *rest);

#endif
