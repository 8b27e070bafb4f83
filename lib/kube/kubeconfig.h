/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig.h: reading and writing kubeconfig files as client-go does: merged $KUBECONFIG lists, embedded or file
 * credentials, tokens, exec plugins, proxy-url, tls-server-name; written under a lock by rename, mode 0600, foreign
 * entries untouched. Source: client-go clientcmd loading rules; client.authentication.k8s.io/v1 for exec.
 */
#ifndef FED_KUBE_KUBECONFIG_H
#define FED_KUBE_KUBECONFIG_H

#include "codec/json.h"

/* What it takes to reach one API server. Strings are NUL-terminated or NULL; owned by the struct when made by
 * fed_kubeconfig_rest (release with fed_rest_conf_release). */
struct fed_rest_conf {
    char *server; /* "https://127.77.0.1:6443" */
    char *ca_pem, *cert_pem, *key_pem;
    char *token;      /* Bearer */
    char *token_file; /* re-read each minute (in-cluster) */
    char *username, *password;
    char *tls_server_name, *proxy_url;
    bool insecure;
    char *ns; /* context's namespace, "default" when unset */
};
void fed_rest_conf_release(struct fed_rest_conf *c);
void fed_rest_conf_copy(struct fed_rest_conf *to, const struct fed_rest_conf *from);

struct fed_kubeconfig; /* merged view of one or more files */
/* explicit_path (--kubeconfig) or NULL: $KUBECONFIG list (given as `env`, may be NULL), else home/.kube/config.
 * Missing files of a list are skipped; a missing explicit file is FED_E_NOT_FOUND. */
FED_MUST_USE int fed_kubeconfig_load(const char *explicit_path, const char *env, const char *home,
                                     struct fed_kubeconfig **out, struct fed_err *err);
void fed_kubeconfig_free(struct fed_kubeconfig *k);
const char *fed_kubeconfig_current(const struct fed_kubeconfig *k);                  /* "" when unset */
size_t fed_kubeconfig_contexts(const struct fed_kubeconfig *k, const char ***names); /* borrowed */
/* context NULL: current. Reads credential files; runs an exec plugin (blocking, 60 s at most).
 * FED_E_NOT_FOUND: 'context "x" does not exist', with those that do. */
FED_MUST_USE int fed_kubeconfig_rest(struct fed_kubeconfig *k, const char *context, struct fed_rest_conf *out,
                                     struct fed_err *err);
/* The in-cluster configuration (service account files at `dir`, KUBERNETES_SERVICE_HOST/PORT given). */
FED_MUST_USE int fed_kubeconfig_in_cluster(const char *dir, const char *host, const char *port,
                                           struct fed_rest_conf *out, struct fed_err *err);

struct fed_kubeconfig_entry { /* one cluster + user + context of the same name, credentials embedded */
    const char *name;
    const struct fed_rest_conf *rest;
    bool make_current;
};
/* Adds or replaces the entries in a file, under `file.lock`, by rename; what else a context of the name has (namespace,
 * extensions) stays. A file that may not be written is left as it is. */
FED_MUST_USE int fed_kubeconfig_write(const char *path, const struct fed_kubeconfig_entry *entries, size_t n,
                                      struct fed_err *err);
/* 0, or why a write would be refused, also for a lock that stays: to be asked before anything else is changed. */
FED_MUST_USE int fed_kubeconfig_may_write(const char *path, struct fed_err *err);
/* Removes cluster, user and context `name`; clears current-context if it was the one. Absent: 0. */
FED_MUST_USE int fed_kubeconfig_remove(const char *path, const char *name, struct fed_err *err);
/* The file that a write of context `name` goes to, as in client-go: the first of the list that has the context, else the
 * first that exists, else the last. */
const char *fed_kubeconfig_write_path(const struct fed_kubeconfig *k, const char *name);
/* Another context that uses the cluster or user `name`, which a write would replace; NULL: none. */
const char *fed_kubeconfig_sharer(struct fed_kubeconfig *k, const char *name);
/* A minimal kubeconfig for one endpoint, as YAML text (for Secrets). */
void fed_kubeconfig_format(const char *name, const struct fed_rest_conf *rest, struct fed_buf *out);
FED_MUST_USE int fed_kubeconfig_parse(struct fed_str text, struct fed_kubeconfig **out, struct fed_err *err);

#endif
