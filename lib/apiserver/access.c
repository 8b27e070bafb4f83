/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/access.h"

#include "apiserver/audit.h"
#include "apiserver/oidc.h"
#include "base/file.h"
#include "base/mem.h"
#include "net/httpc.h"

#define FILE_MAX     (1u << 20)
#define FETCH_MS     10000
#define FETCH_MAX    (1u << 20)
#define MIN_MAX_LIFE 3600000

struct fed_access {
    struct fed_access_conf conf;
    struct fed_arena arena;
    struct fed_audit audit;
    struct fed_audit_log *log;
    struct fed_httpc *http;
    struct fed_httpc_call *call;
};

static int read_file(struct fed_access *x, const char *path, struct fed_str *out, struct fed_err *err)
{
    struct fed_buf b = {0};
    int rc = fed_file_read(path, FILE_MAX, &b, err);
    if (!rc)
        *out = fed_arena_dup(&x->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return rc;
}

/* --- static tokens --- */

/* A field of CSV (RFC 4180): quoted with "" for a quote, or plain. False: the line is used up. */
static bool next_field(struct fed_arena *a, struct fed_str *rest, struct fed_str *out)
{
    if (!rest->p)
        return false;
    if (!rest->n || rest->p[0] != '"') {
        bool more = fed_str_cut(rest, ',', out);
        *out = fed_str_trim(*out);
        return more;
    }
    char *p = fed_arena_alloc(a, rest->n);
    size_t n = 0, i = 1;
    for (; i < rest->n; i++) {
        if (rest->p[i] == '"' && (i + 1 >= rest->n || rest->p[i + 1] != '"'))
            break;
        i += rest->p[i] == '"';
        p[n++] = rest->p[i];
    }
    *out = fed_str_n(p, n);
    *rest = fed_str_from(*rest, i + 1);
    struct fed_str between;
    (void)fed_str_cut(rest, ',', &between);
    return true;
}

static int read_tokens(struct fed_access *x, const char *path, struct fed_err *err)
{
    struct fed_arena *a = &x->arena;
    struct fed_str rest, line, f[4], one;
    int rc = read_file(x, path, &rest, err), at = 0;
    if (rc)
        return rc;
    struct fed_json *list = fed_json_array(a);
    while (fed_str_cut(&rest, '\n', &line)) {
        size_t n = 0;
        at++;
        line = fed_str_trim(line);
        if (!line.n || line.p[0] == '#')
            continue;
        memset(f, 0, sizeof f);
        while (n < 4 && next_field(a, &line, &f[n]))
            n++;
        if (n < 3 || !f[0].n || !f[1].n)
            return fed_err_set(err, FED_E_INVALID, "%s: line %d: not TOKEN,USER,UID[,\"GROUP,...\"]", path, at);
        struct fed_json *t = fed_json_push(list, fed_json_object(a));
        fed_json_set(t, "token", fed_json_new_str(a, f[0]));
        fed_json_set(t, "user", fed_json_new_str(a, f[1]));
        fed_json_set(t, "uid", fed_json_new_str(a, f[2]));
        struct fed_json *groups = fed_json_set(t, "groups", fed_json_array(a));
        while (f[3].n && fed_str_cut(&f[3], ',', &one))
            if (fed_str_trim(one).n)
                fed_json_push(groups, fed_json_new_str(a, fed_str_trim(one)));
    }
    x->conf.tokens = list;
    return 0;
}

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
    int rc = s->oidc_ca_file ? read_file(x, s->oidc_ca_file, &http.tls.ca_pem, err) : 0;
    if (rc)
        return rc;
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

/* --- service account keys --- */

static int read_keys(struct fed_access *x, const struct fed_access_settings *s, struct fed_err *err)
{
    struct fed_buf all = {0};
    struct fed_str one;
    int rc = 0;
    for (size_t i = 0; !rc && i < s->sa_key_files.n; i++) {
        rc = read_file(x, s->sa_key_files.v[i], &one, err);
        if (rc)
            break;
        fed_buf_add(&all, one);
        fed_buf_addc(&all, '\n');
    }
    x->conf.sa_verify_pem = fed_arena_dup(&x->arena, fed_buf_str(&all));
    fed_buf_release(&all);
    if (!rc && s->sa_signing_key_file)
        rc = read_file(x, s->sa_signing_key_file, &x->conf.sa_signing_pem, err);
    if (!rc && s->sa_max_expiration && s->sa_max_expiration < MIN_MAX_LIFE)
        rc = fed_err_set(err, FED_E_INVALID, "service-account-max-token-expiration must be an hour at least");
    x->conf.sa_max_s = s->sa_max_expiration / 1000;
    return rc;
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
    struct fed_str text, plugin = FED_STR("log");
    if (!s->audit_policy_file || !s->audit_log_path)
        return fed_err_set(err, FED_E_INVALID, "%s is needed with %s",
                           s->audit_policy_file ? "audit-log-path" : "audit-policy-file",
                           s->audit_policy_file ? "audit-policy-file" : "audit-log-path");
    int rc = read_file(x, s->audit_policy_file, &text, err);
    if (!rc)
        rc = fed_audit_policy_parse(text, &x->audit.policy, err);
    if (rc)
        return fed_err_wrap(err, rc, "%s", s->audit_policy_file);
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

int fed_access_open(struct fed_loop *loop, struct fed_metrics *metrics, const struct fed_access_settings *s,
                    struct fed_access **out, struct fed_err *err)
{
    struct fed_access *x = FED_NEW(struct fed_access);
    x->conf.no_anonymous = !s->anonymous_auth;
    x->conf.anonymous_paths = s->anonymous_paths;
    x->conf.sa_issuers = s->sa_issuers;
    x->conf.audiences = s->audiences;
    int rc = read_keys(x, s, err);
    if (!rc && s->token_file)
        rc = read_tokens(x, s->token_file, err);
    if (!rc && (s->audit_policy_file || s->audit_log_path))
        rc = open_audit(x, metrics, s, err);
    if (!rc && s->oidc_issuer_url)
        rc = open_oidc(x, loop, s, err);
    if (rc) {
        fed_access_free(x);
        x = NULL;
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
    if (x->call)
        fed_httpc_cancel(x->call);
    fed_oidc_free(x->conf.oidc);
    if (x->http)
        fed_httpc_free(x->http);
    fed_audit_log_close(x->log);
    fed_audit_policy_free(x->audit.policy);
    fed_arena_release(&x->arena);
    free(x);
}
