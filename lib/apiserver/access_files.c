/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/access_files.h"

#include "apiserver/audit.h"
#include "base/buf.h"
#include "base/mem.h"
#include "crypto/jwt.h"
#include "crypto/pki.h"

#define FILE_MAX     (1u << 20)
#define KEYS_MAX     16
#define MIN_MAX_LIFE 3600000

/* Of an audit log without a policy: who did what and how it ended, never the contents of anything. */
static const char default_policy[] = "apiVersion: audit.k8s.io/v1\n"
                                     "kind: Policy\n"
                                     "omitStages: [RequestReceived]\n"
                                     "rules:\n"
                                     "- {level: Metadata}\n";

static int read_file(struct fed_access_files *x, const char *path, struct fed_str *out, struct fed_err *err)
{
    struct fed_buf b = {0};
    int rc = fed_file_read(path, FILE_MAX, &b, err);
    if (!rc)
        *out = fed_arena_dup(&x->arena, fed_buf_str(&b));
    if (b.p)
        explicit_bzero(b.p, b.n);
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

static int read_tokens(struct fed_access_files *x, const char *path, struct fed_err *err)
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
    x->tokens = list;
    return 0;
}

/* --- keys of service accounts --- */

/* The keys parse, and the one that signs can. */
static int check_keys(const struct fed_access_files *x, struct fed_err *err)
{
    struct fed_str pems[] = {x->sa_signing_pem, x->sa_own_pem, x->sa_verify_pem};
    struct fed_pubkey *keys[KEYS_MAX];
    struct fed_buf token = {0};
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; !rc && i < FED_ARRAY_LEN(pems); i++)
        if (pems[i].n)
            rc = fed_pubkeys_from_pem(pems[i], keys, KEYS_MAX, &n, err);
    for (size_t i = 0; i < n; i++)
        fed_pubkey_free(keys[i]);
    for (size_t i = 0; !rc && i < 2; i++) /* of the first two, either may sign */
        if (pems[i].n)
            rc = fed_jwt_sign(pems[i], FED_STR("{}"), &token, err);
    fed_buf_release(&token);
    return rc ? fed_err_wrap(err, FED_E_INVALID, "keys of service accounts") : 0;
}

static int read_keys(struct fed_access_files *x, const struct fed_access_settings *s, struct fed_err *err)
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
    x->sa_verify_pem = fed_arena_dup(&x->arena, fed_buf_str(&all));
    fed_buf_release(&all);
    if (!rc && s->sa_signing_key_file)
        rc = read_file(x, s->sa_signing_key_file, &x->sa_signing_pem, err);
    if (!rc && s->sa_own_key_file)
        rc = read_file(x, s->sa_own_key_file, &x->sa_own_pem, err);
    if (!rc && s->sa_max_expiration && s->sa_max_expiration < MIN_MAX_LIFE)
        rc = fed_err_set(err, FED_E_INVALID, "service-account-max-token-expiration must be an hour at least");
    return rc ? rc : check_keys(x, err);
}

static int read_oidc_ca(struct fed_access_files *x, const char *path, struct fed_err *err)
{
    int64_t from, to;
    int rc = read_file(x, path, &x->oidc_ca_pem, err);
    if (!rc)
        rc = fed_pki_validity(x->oidc_ca_pem, &from, &to, err);
    return rc ? fed_err_wrap(err, rc, "%s", path) : 0;
}

/* --- all of them --- */

static int read_policy(struct fed_access_files *x, const struct fed_access_settings *s, struct fed_err *err)
{
    struct fed_str text = FED_STR(default_policy);
    int rc = s->audit_policy_file ? read_file(x, s->audit_policy_file, &text, err) : 0;
    if (!rc)
        rc = fed_audit_policy_parse(text, &x->policy, err);
    return rc && s->audit_policy_file ? fed_err_wrap(err, rc, "%s", s->audit_policy_file) : rc;
}

int fed_access_files_read(const struct fed_access_settings *s, struct fed_access_files **out, struct fed_err *err)
{
    struct fed_access_files *x = FED_NEW(struct fed_access_files);
    int rc = read_keys(x, s, err);
    if (!rc && s->oidc_ca_file)
        rc = read_oidc_ca(x, s->oidc_ca_file, err);
    if (!rc && s->token_file)
        rc = read_tokens(x, s->token_file, err);
    if (!rc && s->audit_log_path)
        rc = read_policy(x, s, err);
    if (rc) {
        fed_access_files_free(x);
        x = NULL;
    }
    *out = x;
    return rc;
}

void fed_access_files_stamp(const struct fed_access_settings *s, struct fed_file_stamp *out)
{
    const char *const single[] = {s->sa_signing_key_file, s->sa_own_key_file, s->token_file, s->oidc_ca_file,
                                  s->audit_policy_file};
    size_t n = 0;
    *out = (struct fed_file_stamp){0};
    for (size_t i = 0; i < FED_ARRAY_LEN(single); i++)
        if (single[i])
            fed_file_stamp_add(out, n++, single[i]);
    for (size_t i = 0; i < s->sa_key_files.n; i++)
        fed_file_stamp_add(out, n++, s->sa_key_files.v[i]);
}

void fed_access_files_free(struct fed_access_files *x)
{
    if (!x)
        return;
    fed_audit_policy_free(x->policy);
    fed_arena_release(&x->arena);
    free(x);
}
