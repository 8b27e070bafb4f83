/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/serving.h"

#include "apiserver/authn.h"
#include "apiserver/sa_token.h"

/* Nothing of the request is kept, and nothing is waited for: while an issuer's keys are not known, those who ask for
 * them with a small request come first. */
static int may_send(void *ud, const struct fed_http_request *q)
{
    struct fed_api *api = ud;
    struct fed_token_answer answer;
    struct fed_arena arena = {0};
    struct fed_str token;
    if (q->cert_cn.n)
        return 0;
    if (!fed_authn_bearer(q, &token))
        return 401;
    int rc = fed_api_check_token(api, token, NULL, &arena, &answer, NULL);
    fed_arena_release(&arena);
    return rc == FED_E_UNAVAILABLE ? 503 : rc ? 401 : 0;
}

struct fed_httpd_conf fed_serving_conf(struct fed_api *api, struct fed_metrics *metrics,
                                       const struct fed_serving_settings *settings)
{
    static const struct fed_serving_settings none;
    const struct fed_serving_settings *s = settings ? settings : &none;
    return (struct fed_httpd_conf){
        .handle = fed_api_handle,
        .refusal = fed_api_refusal,
        .may_send = may_send,
        .declines = true,
        .refused = fed_api_refused,
        .ud = api,
        .metrics = metrics,
        .max_connections = (uint32_t)s->max_connections,
        .max_peer_connections = (uint32_t)s->max_peer_connections,
        .header_timeout_ms = (uint32_t)s->header_timeout,
        .body_timeout_ms = (uint32_t)s->body_timeout,
        .idle_timeout_ms = (uint32_t)s->idle_timeout,
    };
}
