/* SPDX-License-Identifier: Apache-2.0 */
/* contexts.c: which API a flag means: contexts of the kubeconfig, and how the federation is found. */
#include "base/mem.h"
#include "fedctl/fedctl.h"

int fctl_kubeconfig_load(struct fctl *c, const struct fctl_common *common, struct fed_kubeconfig **out,
                         struct fed_err *err)
{
    return fed_kubeconfig_load(common->kubeconfig, c->getenv("KUBECONFIG"), c->getenv("HOME"), out, err);
}

int fctl_open_context(struct fctl *c, struct fed_kubeconfig *k, const char *context, const char *what,
                      struct fctl_api **out, struct fed_err *err)
{
    struct fed_rest_conf rest = {0};
    const char *name = context ? context : fed_kubeconfig_current(k), **all = NULL;
    if (!name[0] && fed_kubeconfig_contexts(k, &all) == 0)
        return fed_err_set(err, FED_E_NOT_FOUND,
                           "there is no context: the kubeconfig %s is empty or not there; name another file with "
                           "--kubeconfig or $KUBECONFIG",
                           fed_kubeconfig_write_path(k, ""));
    if (!name[0])
        return fed_err_set(err, FED_E_NOT_FOUND,
                           "%s: no context is given and the kubeconfig has no current one; name one (see --help), or "
                           "choose it with `kubectl config use-context`",
                           what);
    int code = fed_kubeconfig_rest(k, name, &rest, err);
    if (!code)
        code = fctl_api_open(c, what, name, &rest, out, err);
    else
        fed_err_wrap(err, code, "%s", what);
    fed_rest_conf_release(&rest);
    return code;
}

int fctl_serves_federation(struct fctl_api *api, struct fed_err *err)
{
    struct fed_json *group = NULL;
    struct fed_call_request req = {.method = "GET", .path = FED_STR("/apis/federation"), .timeout_ms = 10000};
    int code = fctl_call(api, &req, &group, err);
    if (code == FED_E_NOT_FOUND || (!code && !fed_str_is(fed_json_find_text(group, "name"), "federation")))
        return fed_err_set(err, FED_E_NOT_FOUND,
                           "context \"%s\" is not a federation's: its API has no group \"federation\"", api->name);
    return code;
}

/* --- by the host cluster --- */

struct candidates {
    const char *names[16];
    size_t n;
    struct fed_buf text;
};

static void collect(struct fctl *c, const struct fed_json *list, struct candidates *out)
{
    FED_JSON_EACH(d, fed_json_find(list, "items")) {
        struct fed_str v = fed_obj_annotation(d, FCTL_ANN_FEDERATIONS), name;
        if (!v.n || !fed_str_cut(&v, '=', &name) || !name.n || out->n == FED_ARRAY_LEN(out->names))
            continue;
        out->names[out->n] = fed_arena_dupz(&c->arena, name);
        fed_buf_addf(&out->text, "%s\"%s\"", out->n ? ", " : "", out->names[out->n]);
        out->n++;
    }
}

static bool has_context(struct fed_kubeconfig *k, const char *name)
{
    const char **all = NULL;
    size_t n = fed_kubeconfig_contexts(k, &all);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i], name) == 0)
            return true;
    return false;
}

static int open_by_host(struct fctl *c, struct fed_kubeconfig *k, const char *host_context, struct fctl_api **out,
                        struct fed_err *err)
{
    struct fctl_api *host = NULL;
    struct fed_json *list = NULL;
    struct candidates found = {0};
    int code = fctl_open_context(c, k, host_context, "the host cluster", &host, err);
    if (!code)
        code = fctl_list(host, &fctl_deployments, "", "labelSelector=app%3Dfederated-cluster", &list, err);
    if (code)
        return code;
    collect(c, list, &found);
    if (found.n == 0)
        code =
            fed_err_set(err, FED_E_NOT_FOUND,
                        "no federation is found: neither is context \"%s\" a federation's nor does that cluster host "
                        "one. Name it with --federation-context, or make one with `kubefed init`",
                        host->name);
    else if (found.n > 1)
        code = fed_err_set(err, FED_E_CONFLICT,
                           "the host cluster \"%s\" has %zu federations: %s. Name one with --federation-context",
                           host->name, found.n, fed_buf_z(&found.text));
    else if (!has_context(k, found.names[0]))
        code =
            fed_err_set(err, FED_E_NOT_FOUND,
                        "the host cluster \"%s\" has the federation \"%s\", but the kubeconfig has no context of that "
                        "name. Name its context with --federation-context, or write it with `kubefed init %s ...`",
                        host->name, found.names[0], found.names[0]);
    else
        code = fctl_open_context(c, k, found.names[0], "the federation", out, err);
    if (!code)
        code = fctl_serves_federation(*out, err);
    fed_buf_release(&found.text);
    return code;
}

static int find_federation(struct fctl *c, struct fed_kubeconfig *k, const struct fctl_common *common,
                           struct fctl_api **out, struct fed_err *err)
{
    int code;
    if (common->federation_context) {
        code = fctl_open_context(c, k, common->federation_context, "the federation", out, err);
        return code ? code : fctl_serves_federation(*out, err);
    }
    const char *current = fed_kubeconfig_current(k);
    if (current[0]) {
        code = fctl_open_context(c, k, current, "the federation", out, err);
        if (!code)
            code = fctl_serves_federation(*out, err);
        if (!code)
            return 0;
        /* An API that is away may be the federation: only what answered otherwise rules it out. */
        if (code != FED_E_NOT_FOUND && !common->host_context)
            return code;
    }
    if (err)
        *err = (struct fed_err){0};
    return open_by_host(c, k, common->host_context, out, err);
}

int fctl_open_federation(struct fctl *c, struct fed_kubeconfig *k, const struct fctl_common *common,
                         struct fctl_api **out, const char **name, struct fed_err *err)
{
    struct fed_json *info = NULL;
    int code = find_federation(c, k, common, out, err);
    if (code)
        return code;
    (*out)->what = "the federation";
    *name = (*out)->name;
    /* Federations not made by our init lack this object; their context's name has to do. */
    if (fctl_get(*out, &fctl_configmaps, FCTL_SYSTEM_NS, "federation", &info, NULL) == 0) {
        struct fed_str text = fed_json_find_text(fed_json_find(info, "data"), "name");
        if (text.n)
            *name = fed_arena_dupz(&c->arena, text);
    }
    return 0;
}
