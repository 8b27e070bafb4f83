/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig_priv.h: what the files of kubeconfig share. */
#ifndef FED_KUBE_KUBECONFIG_PRIV_H
#define FED_KUBE_KUBECONFIG_PRIV_H

#include "kube/kubeconfig.h"

enum { FED_KUBECONFIG_FILES = 32, FED_KUBECONFIG_MAX = 4 << 20 };

struct fed_kubeconfig {
    struct fed_arena arena;
    struct {
        struct fed_json *root;
        const char *path; /* NULL: parsed from text */
    } files[FED_KUBECONFIG_FILES];
    size_t n_files;
    const char *paths[FED_KUBECONFIG_FILES]; /* where a write may go, missing files too */
    size_t n_paths;
    const char *current;
    const char **contexts;
    size_t n_contexts;
};

/* The whole file; *out is released on failure. */
FED_MUST_USE int fed_kubeconfig_read_file(const char *path, struct fed_buf *out, struct fed_err *err);
/* Runs the user's credential plugin and puts what it answers into *out. file: the kubeconfig's path or NULL. */
FED_MUST_USE int fed_kubeconfig_exec(const struct fed_json *exec, const struct fed_json *cluster, const char *file,
                                     struct fed_rest_conf *out, struct fed_err *err);

#endif
