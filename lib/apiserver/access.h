/* SPDX-License-Identifier: Apache-2.0 */
/* access.h: who may come in and what is recorded: the settings that hansa-fedapi and hansa-member share (named as
 * kube-apiserver's flags), and what they become: keys, OIDC, audit.
 *
 * Model:      a program puts FED_ACCESS_ROWS into its table of settings, opens a fed_access from them before the engine
 *             and hands it over in fed_api_conf.access. It is closed after the engine is freed.
 *             Static tokens, keys of service accounts and the audit policy are read again when a file changed (looked at
 *             each 10 s) and on fed_access_reload: all together, or none when one of them is bad.
 * Ownership:  the settings' texts live as long as the fed_access, which owns files' contents, the OIDC client and the
 *             audit log; the engine borrows it.
 * Threads:    the state thread; the audit log has a writer thread behind it.
 * Failure:    a file that cannot be read or does not parse stops the start, with its name.
 */
#ifndef FED_APISERVER_ACCESS_H
#define FED_APISERVER_ACCESS_H

#include "base/metrics.h"
#include "codec/settings.h"
#include "net/loop.h"

struct fed_oidc;
struct fed_audit;

struct fed_access_settings {
    const char *oidc_issuer_url, *oidc_client_id, *oidc_username_claim, *oidc_username_prefix, *oidc_groups_claim,
        *oidc_groups_prefix, *oidc_ca_file;
    struct fed_strings oidc_required_claims, oidc_signing_algs;
    bool anonymous_auth;
    struct fed_strings anonymous_paths;
    const char *token_file;
    struct fed_strings sa_issuers, sa_key_files, audiences;
    const char *sa_signing_key_file;
    const char *sa_own_key_file; /* no setting of users: where fed_api_conf.sa_key_pem is from, read again; NULL */
    int64_t sa_max_expiration;   /* milliseconds; 0: no limit */
    const char *audit_policy_file, *audit_log_path;
    int64_t audit_max_size, audit_max_backup;
};

/* What the engine asks. Pointers are borrowed: tokens and PEM texts until `generation` moves, the rest for its life. */
struct fed_access_conf {
    bool no_anonymous;
    struct fed_strings anonymous_paths; /* not empty: anonymous requests may ask for these alone */
    const struct fed_json *tokens;      /* more static tokens, as fed_api_conf.tokens; NULL */
    struct fed_strings sa_issuers;      /* the first signs, all are taken; empty: fed_api_conf.sa_issuer */
    struct fed_str sa_signing_pem;      /* empty: fed_api_conf.sa_key_pem */
    struct fed_str sa_own_pem;          /* instead of fed_api_conf.sa_key_pem; empty: that */
    struct fed_str sa_verify_pem;       /* more keys that tokens may be signed with */
    struct fed_strings audiences;       /* empty: the issuers */
    int64_t sa_max_s;                   /* longest life of a token in seconds; 0: no limit */
    struct fed_oidc *oidc;              /* NULL: none */
    struct fed_audit *audit;            /* NULL: none */
    uint64_t generation;                /* moves when tokens, PEM texts or the audit's policy were replaced */
};

struct fed_access;
FED_MUST_USE int fed_access_open(struct fed_loop *loop, struct fed_metrics *metrics,
                                 const struct fed_access_settings *s, struct fed_access **out, struct fed_err *err);
const struct fed_access_conf *fed_access_conf(const struct fed_access *x); /* NULL for NULL */
/* Files that were read again or refused, audit events that were lost: what the operator should know. */
void fed_access_on_notice(struct fed_access *x, void (*notice)(void *ud, int code, const char *text), void *ud);
void fed_access_reload(struct fed_access *x); /* SIGHUP; NULL ok */
void fed_access_free(struct fed_access *x);   /* NULL ok; writes out the audit log */

#define FED_ACCESS_AT(base, member) ((base) + offsetof(struct fed_access_settings, member))
/* Rows of a settings table; base: offset of the struct fed_access_settings in the program's configuration. */
#define FED_ACCESS_ROWS(base)                                                                                          \
    {.name = "anonymous-auth",                                                                                         \
     .type = FED_SET_BOOL,                                                                                             \
     .offset = FED_ACCESS_AT(base, anonymous_auth),                                                                    \
     .dflt = "true",                                                                                                   \
     .help = "Requests without credentials are those of system:anonymous, which may ask for health and version"},      \
        {.name = "anonymous-paths",                                                                                    \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, anonymous_paths),                                                               \
         .arg = "PATH,...",                                                                                            \
         .help = "Paths that requests without credentials may name at all (default: any)"},                            \
        {.name = "token-auth-file",                                                                                    \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, token_file),                                                                    \
         .arg = "FILE",                                                                                                \
         .help = "Static bearer tokens, a line each: TOKEN,USER,UID,\"GROUP,...\""},                                   \
        {.name = "oidc-issuer-url",                                                                                    \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_issuer_url),                                                               \
         .arg = "URL",                                                                                                 \
         .help = "OpenID Connect issuer whose ID tokens are taken; https only"},                                       \
        {.name = "oidc-client-id",                                                                                     \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_client_id),                                                                \
         .arg = "ID",                                                                                                  \
         .help = "Audience that ID tokens must be made for"},                                                          \
        {.name = "oidc-ca-file",                                                                                       \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_ca_file),                                                                  \
         .arg = "FILE",                                                                                                \
         .help = "CA of the issuer's certificate, PEM (default: the system's)"},                                       \
        {.name = "oidc-username-claim",                                                                                \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_username_claim),                                                           \
         .dflt = "sub",                                                                                                \
         .arg = "CLAIM",                                                                                               \
         .help = "Claim with the user's name"},                                                                        \
        {.name = "oidc-username-prefix",                                                                               \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_username_prefix),                                                          \
         .arg = "PREFIX",                                                                                              \
         .help = "Put before names; - for none (default: ISSUER#, none for the claim email)"},                         \
        {.name = "oidc-groups-claim",                                                                                  \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_groups_claim),                                                             \
         .arg = "CLAIM",                                                                                               \
         .help = "Claim with the user's groups, a text or a list of texts"},                                           \
        {.name = "oidc-groups-prefix",                                                                                 \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, oidc_groups_prefix),                                                            \
         .arg = "PREFIX",                                                                                              \
         .help = "Put before groups"},                                                                                 \
        {.name = "oidc-required-claim",                                                                                \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, oidc_required_claims),                                                          \
         .arg = "CLAIM=VALUE,...",                                                                                     \
         .help = "Claims that ID tokens must have with this value"},                                                   \
        {.name = "oidc-signing-algs",                                                                                  \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, oidc_signing_algs),                                                             \
         .dflt = "RS256",                                                                                              \
         .arg = "ALG,...",                                                                                             \
         .help = "Algorithms that ID tokens may be signed with: RS, PS or ES with 256, 384 or 512"},                   \
        {.name = "service-account-issuer",                                                                             \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, sa_issuers),                                                                    \
         .dflt = "kubernetes/serviceaccount",                                                                          \
         .arg = "URL,...",                                                                                             \
         .help = "Issuer of service account tokens: the first makes them, tokens of all are taken"},                   \
        {.name = "service-account-key-file",                                                                           \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, sa_key_files),                                                                  \
         .arg = "FILE,...",                                                                                            \
         .help = "More keys, PEM, that service account tokens may be signed with: for the rotation of keys"},          \
        {.name = "service-account-signing-key-file",                                                                   \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, sa_signing_key_file),                                                           \
         .arg = "FILE",                                                                                                \
         .help = "Private key, PEM, that signs service account tokens (default: sa.key in the folder of keys)"},       \
        {.name = "service-account-max-token-expiration",                                                               \
         .type = FED_SET_DURATION,                                                                                     \
         .offset = FED_ACCESS_AT(base, sa_max_expiration),                                                             \
         .dflt = "0",                                                                                                  \
         .arg = "TIME",                                                                                                \
         .help = "Longest life of a requested token, at least 1h; 0: what was asked for"},                             \
        {.name = "api-audiences",                                                                                      \
         .type = FED_SET_LIST,                                                                                         \
         .offset = FED_ACCESS_AT(base, audiences),                                                                     \
         .arg = "NAME,...",                                                                                            \
         .help = "Audiences of this API: service account tokens must be made for one (default: the issuers)"},         \
        {.name = "audit-policy-file",                                                                                  \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, audit_policy_file),                                                             \
         .arg = "FILE",                                                                                                \
         .help = "Policy of the audit log, audit.k8s.io/v1 (default: level Metadata for everything)"},                 \
        {.name = "audit-log-path",                                                                                     \
         .type = FED_SET_STR,                                                                                          \
         .offset = FED_ACCESS_AT(base, audit_log_path),                                                                \
         .arg = "FILE",                                                                                                \
         .help = "Audit log, an event in JSON each line; - for standard output"},                                      \
        {.name = "audit-log-maxsize",                                                                                  \
         .type = FED_SET_INT,                                                                                          \
         .offset = FED_ACCESS_AT(base, audit_max_size),                                                                \
         .dflt = "100",                                                                                                \
         .arg = "MB",                                                                                                  \
         .min = 1,                                                                                                     \
         .max = 100000,                                                                                                \
         .help = "Size at which the audit log is renamed and begun anew"},                                             \
    {                                                                                                                  \
        .name = "audit-log-maxbackup", .type = FED_SET_INT, .offset = FED_ACCESS_AT(base, audit_max_backup),           \
        .dflt = "10", .arg = "N", .min = 0, .max = 10000, .help = "Renamed audit logs that are kept; 0: all"           \
    }

#endif
