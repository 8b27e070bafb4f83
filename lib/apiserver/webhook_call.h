/* SPDX-License-Identifier: Apache-2.0 */
/* webhook_call.h: one HTTPS POST to a webhook, of admission or of conversion.
 *
 * Model:      a target is a URL or a Service of this server. A Service's call goes to one of its ready endpoints (of
 *             EndpointSlices, else its cluster IP) and verifies the certificate as NAME.NAMESPACE.svc. Connections are
 *             kept and shared by all calls with the same trust and name.
 * Ownership:  target and body are copied. `done` is called exactly once and never before fed_webhook_post returned,
 *             except that a call is forgotten (done is not called) when the server is freed.
 * Failure:    code 0 means a 2xx answer with its body. Else err->text is in the words of Kubernetes' clients
 *             ('Post "https://…?timeout=10s": dial tcp …: connect: connection refused').
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_WEBHOOK_CALL_H
#define FED_APISERVER_WEBHOOK_CALL_H

#include "codec/json.h"
#include "kube/status.h"

struct fed_api;

struct fed_webhook_target {
    struct fed_str url;               /* "https://host:port/path"; empty: the Service */
    struct fed_str ns, service, path; /* path may be empty */
    uint16_t port;                    /* of the Service; 0: 443 */
    struct fed_str ca_bundle;         /* PEM; empty: the system's trust */
};
typedef void (*fed_webhook_done)(void *ud, int code, struct fed_str body, const struct fed_err *err);

/* Of a WebhookClientConfig {url | service{namespace, name, path, port}, caBundle}; slices are in the arena or borrow
 * the tree. FED_E_INVALID. */
FED_MUST_USE int fed_webhook_target_read(struct fed_arena *a, const struct fed_json *client_config,
                                         struct fed_webhook_target *out, struct fed_err *err);
/* What Kubernetes refuses in a clientConfig at `field`, for the validation of configurations and definitions. */
void fed_webhook_target_check(const struct fed_json *client_config, const char *field, struct fed_causes *causes);
void fed_webhook_post(struct fed_api *api, const struct fed_webhook_target *t, struct fed_str body, uint32_t timeout_ms,
                      fed_webhook_done done, void *ud);
void fed_webhooks_release(struct fed_api *api); /* forgets what runs */

#endif
