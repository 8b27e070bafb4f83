/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/access.h"

#include "apiserver/access_files.h"
#include "apiserver/audit.h"
#include "apiserver/oidc.h"
#include "base/mem.h"
#include "net/httpc.h"

#define FETCH_MS       10000
#define FETCH_MAX      (1u << 20)
#define CHECK_EVERY_MS 10000u

struct fed_access {
    struct fed_access_conf conf;
    struct fed_access_settings settings;
    struct fed_env *env;
    struct fed_arena arena;
    struct fed_access_files *files;
    struct fed_file_stamp stamp;
    struct fed_timer timer;
    struct fed_audit audit;
    struct fed_audit_log *log;
    uint64_t lost; /* events that were said to be */
    struct fed_httpc *http;
    struct fed_httpc_call *call;
    void (*notice)(void *ud, int code, const char *text);
    void *notice_ud;
};

/* --- OIDC over the network --- */

static void fetched(void *ud, int code, const struct fed_httpc_response *res, const struct fed_err *err)
{
    struct fed_access *x = ud;
    (void)err;
    x->call = NULL;
    fed_oidc_fetched(x->conf.oidc, code ? 0 : res->status, code ? (struct fed_str){NULL, 0} : res->body);
}

static void fetch(void *ud, struct fed_oidc *o, const char *url)
{
    struct fed_access *x = ud;
    static const struct fed_http_header accept = {FED_STR_INIT("accept"), FED_STR_INIT("application/json")};
    struct fed_httpc_request req = {.method = "GET",
                                    .url = url,
                                    .headers = &accept,
                                    .n_headers = 1,
                                    .timeout_ms = FETCH_MS,
                                    .max_body = FETCH_MAX,
                                    .done = fetched,
                                    .ud = x};
    x->conf.oidc = o;
    x->call = fed_httpc_start(x->http, &req);
}

static int open_oidc(struct fed_access *x, struct fed_loop *loop, const struct fed_access_settings *s,
                     struct fed_err *err)
{
    struct fed_httpc_conf http = {.user_agent = "hansa", .max_connections = 2};
    http.tls.ca_pem = x->files->oidc_ca_pem;
    x->http = fed_httpc_new(loop, &http);
    struct fed_oidc_conf conf = {.env = fed_loop_env(loop),
                                 .issuer_url = s->oidc_issuer_url,
                                 .client_id = s->oidc_client_id,
                                 .username_claim = s->oidc_username_claim,
                                 .username_prefix = s->oidc_username_prefix,
                                 .groups_claim = s->oidc_groups_claim,
                                 .groups_prefix = s->oidc_groups_prefix,
                                 .required_claims = s->oidc_required_claims,
                                 .algs = s->oidc_signing_algs,
                                 .fetch = fetch,
                                 .ud = x};
    return fed_oidc_new(&conf, &x->conf.oidc, err);
}

/* --- audit --- */

static void put(void *ud, struct fed_str line, int64_t wall_ms)
{
    struct fed_access *x = ud;
    fed_audit_log_put(x->log, line, wall_ms);
}

static int open_audit(struct fed_access *x, struct fed_metrics *metrics, const struct fed_access_settings *s,
                      struct fed_err *err)
{
    struct fed_str plugin = FED_STR("log");
    struct fed_metric_family *errors =
        fed_metrics_family(metrics, FED_METRIC_COUNTER, "apiserver_audit_error_total",
                           "Audit events that were dropped because they could not be written.", "plugin", NULL, 0);
    struct fed_audit_log_conf conf = {
        .path = s->audit_log_path,
        .max_bytes = (uint64_t)s->audit_max_size << 20,
        .max_backup = (uint32_t)s->audit_max_backup,
        .events = fed_metrics_counter(metrics, "apiserver_audit_event_total", "Audit events handed to the log."),
        .errors = fed_metric_get(errors, &plugin, 1)};
    x->audit.put = put;
    x->audit.ud = x;
    x->conf.audit = &x->audit;
    return fed_audit_log_open(&conf, &x->log, err);
}

/* --- files that changed --- */

static void say(struct fed_access *x, int code, const char *text)
{
    if (x->notice)
        x->notice(x->notice_ud, code, text);
}

/* What the engine asks for from now on. Nobody keeps what the last set owned beyond a call, except the keys of service
 * accounts, which are read anew when `generation` moved. */
static void take(struct fed_access *x, struct fed_access_files *files)
{
    x->conf.tokens = files->tokens;
    x->conf.sa_signing_pem = files->sa_signing_pem;
    x->conf.sa_own_pem = files->sa_own_pem;
    x->conf.sa_verify_pem = files->sa_verify_pem;
    x->conf.generation++;
    x->audit.policy = files->policy;
    if (x->http && !fed_str_eq(files->oidc_ca_pem, x->files->oidc_ca_pem)) {
        fed_httpc_set_tls(x->http, &(struct fed_httpc_tls){.ca_pem = files->oidc_ca_pem});
        fed_oidc_again(x->conf.oidc);
    }
    fed_access_files_free(x->files);
    x->files = files;
}

void fed_access_reload(struct fed_access *x)
{
    struct fed_access_files *files;
    struct fed_err err = {0};
    if (!x)
        return;
    fed_access_files_stamp(&x->settings, &x->stamp);
    if (fed_access_files_read(&x->settings, &files, &err)) {
        (void)fed_err_wrap(&err, err.code, "tokens, keys, OIDC CA and audit policy stay as they were");
        say(x, err.code, err.text);
        return;
    }
    take(x, files);
    say(x, 0, "tokens, keys of service accounts, OIDC CA and audit policy were read again");
}

static void say_losses(struct fed_access *x)
{
    char text[160];
    const char *why = NULL;
    uint64_t now = x->log ? fed_audit_log_lost(x->log, &why) : 0;
    if (now == x->lost)
        return;
    snprintf(text, sizeof text, "audit log: %llu events were dropped: %s", (unsigned long long)(now - x->lost), why);
    x->lost = now;
    say(x, FED_E_IO, text);
}

static void on_timer(struct fed_timer *t)
{
    struct fed_access *x = fed_container_of(t, struct fed_access, timer);
    struct fed_file_stamp now;
    fed_access_files_stamp(&x->settings, &now);
    if (memcmp(&now, &x->stamp, sizeof now) != 0)
        fed_access_reload(x);
    say_losses(x);
    fed_timer_start(x->env, &x->timer, CHECK_EVERY_MS, on_timer);
}

void fed_access_on_notice(struct fed_access *x, void (*notice)(void *ud, int code, const char *text), void *ud)
{
    if (!x)
        return;
    x->notice = notice;
    x->notice_ud = ud;
}

/* --- life --- */

int fed_access_open(struct fed_loop *loop, struct fed_metrics *metrics, const struct fed_access_settings *s,
                    struct fed_access **out, struct fed_err *err)
{
    struct fed_access *x = FED_NEW(struct fed_access);
    struct fed_access_files *files;
    x->settings = *s;
    x->env = fed_loop_env(loop);
    x->conf.no_anonymous = !s->anonymous_auth;
    x->conf.anonymous_paths = s->anonymous_paths;
    x->conf.sa_issuers = s->sa_issuers;
    x->conf.audiences = s->audiences;
    x->conf.sa_max_s = s->sa_max_expiration / 1000;
    fed_access_files_stamp(s, &x->stamp);
    int rc = fed_access_files_read(s, &files, err);
    if (!rc)
        take(x, files);
    if (!rc && s->audit_policy_file && !s->audit_log_path)
        rc = fed_err_set(err, FED_E_INVALID, "audit-log-path is needed with audit-policy-file");
    if (!rc && s->audit_log_path)
        rc = open_audit(x, metrics, s, err);
    if (!rc && s->oidc_issuer_url)
        rc = open_oidc(x, loop, s, err);
    if (rc) {
        fed_access_free(x);
        x = NULL;
    } else {
        fed_timer_start(x->env, &x->timer, CHECK_EVERY_MS, on_timer);
    }
    *out = x;
    return rc;
}

const struct fed_access_conf *fed_access_conf(const struct fed_access *x)
{
    return x ? &x->conf : NULL;
}

void fed_access_free(struct fed_access *x)
{
    if (!x)
        return;
    fed_timer_stop(x->env, &x->timer);
    if (x->call)
        fed_httpc_cancel(x->call);
    fed_oidc_free(x->conf.oidc);
    if (x->http)
        fed_httpc_free(x->http);
    fed_audit_log_close(x->log);
    fed_access_files_free(x->files);
    fed_arena_release(&x->arena);
    free(x);
}
