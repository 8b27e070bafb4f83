/* SPDX-License-Identifier: Apache-2.0 */
/* api.c: calls to a Kubernetes API that are waited for, and objects made to be there. */
#include "base/mem.h"
#include "fedctl/fedctl.h"
#include "fedctl/keep.h"
#include "kube/remote.h"

const struct fed_resource fctl_namespaces = {"", "v1", "namespaces", "Namespace", false};
const struct fed_resource fctl_secrets = {"", "v1", "secrets", "Secret", true};
const struct fed_resource fctl_services = {"", "v1", "services", "Service", true};
const struct fed_resource fctl_configmaps = {"", "v1", "configmaps", "ConfigMap", true};
const struct fed_resource fctl_accounts = {"", "v1", "serviceaccounts", "ServiceAccount", true};
const struct fed_resource fctl_nodes = {"", "v1", "nodes", "Node", false};
const struct fed_resource fctl_pods = {"", "v1", "pods", "Pod", true};
const struct fed_resource fctl_deployments = {"apps", "v1", "deployments", "Deployment", true};
const struct fed_resource fctl_daemonsets = {"apps", "v1", "daemonsets", "DaemonSet", true};
const struct fed_resource fctl_roles = {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false};
const struct fed_resource fctl_bindings = {"rbac.authorization.k8s.io", "v1", "clusterrolebindings",
                                           "ClusterRoleBinding", false};
const struct fed_resource fctl_clusters = {"federation", "v1beta1", "clusters", "Cluster", false};
const struct fed_resource fctl_slices = {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true};

struct answer {
    struct fctl *c;
    bool done;
    int code, status;
    struct fed_str body;
    struct fed_buf *into; /* instead of body */
    struct fed_err err;
};

int fctl_api_open(struct fctl *c, const char *what, const char *name, const struct fed_rest_conf *rest,
                  struct fctl_api **out, struct fed_err *err)
{
    struct fctl_api *api = FED_ARENA_NEW(&c->arena, struct fctl_api);
    struct fed_remote_conf conf = {.name = name, .user_agent = "kubefed/" FCTL_VERSION};
    fed_rest_conf_copy(&api->rest, rest);
    conf.rest = api->rest;
    int code = fed_remote_new(c->loop, &conf, &api->transport, err);
    if (code) {
        fed_rest_conf_release(&api->rest);
        return fed_err_wrap(err, code, "%s (context \"%s\")", what, name);
    }
    api->c = c;
    api->name = fed_arena_dupz(&c->arena, fed_str(name));
    api->what = what;
    api->next = c->apis;
    c->apis = api;
    *out = api;
    return 0;
}

/* --- calls --- */

static void answered(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    struct answer *a = ud;
    a->done = true;
    a->code = code;
    a->status = res ? res->http_status : 0;
    if (res && a->into)
        fed_buf_add(a->into, res->body);
    else if (res)
        a->body = fed_arena_dup(&a->c->arena, res->body);
    if (err)
        a->err = *err;
    fed_loop_stop(a->c->loop);
}

static int explain(struct fctl_api *api, const struct answer *a, struct fed_err *err)
{
    const char *server = api->rest.server ? api->rest.server : "?";
    if (err)
        *err = a->err;
    if (!a->err.text[0])
        fed_err_set(err, a->code, "%s", fed_code_text(a->code));
    if (a->status == 0)
        return fed_err_wrap(err, a->code, "%s (context \"%s\", %s) cannot be reached", api->what, api->name, server);
    if (a->code == FED_E_UNAUTHORIZED)
        return fed_err_wrap(err, a->code, "%s (context \"%s\") does not accept the credentials of this context",
                            api->what, api->name);
    return fed_err_wrap(err, a->code, "%s (context \"%s\")", api->what, api->name);
}

static int call_raw(struct fctl_api *api, const struct fed_call_request *req, struct answer *a, struct fed_err *err)
{
    *a = (struct answer){.c = api->c, .into = a->into};
    api->transport->ops->call(api->transport, req, answered, a);
    while (!a->done)
        fed_loop_run(api->c->loop);
    return a->code ? explain(api, a, err) : 0;
}

int fctl_call(struct fctl_api *api, const struct fed_call_request *req, struct fed_json **out, struct fed_err *err)
{
    struct answer a = {0};
    int code = call_raw(api, req, &a, err);
    if (out)
        *out = NULL;
    if (code || !out || !a.body.n)
        return code;
    code = fed_json_parse(&api->c->arena, a.body, NULL, out, err);
    return code ? fed_err_wrap(err, code, "%s (context \"%s\") answered what is no JSON", api->what, api->name) : 0;
}

int fctl_call_bytes(struct fctl_api *api, const struct fed_call_request *req, struct fed_buf *out, struct fed_err *err)
{
    struct answer a = {.into = out};
    return call_raw(api, req, &a, err);
}

int fctl_get_text(struct fctl_api *api, const char *path, struct fed_str *out, struct fed_err *err)
{
    struct answer a = {0};
    struct fed_call_request req = {
        .method = "GET", .path = fed_str(path), .accept = FED_STR("*/*"), .timeout_ms = 5000};
    int code = call_raw(api, &req, &a, err);
    *out = a.body;
    return code;
}

int fctl_get(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
             struct fed_json **out, struct fed_err *err)
{
    struct fed_call_request req = {.method = "GET",
                                   .path = fed_resource_path(&api->c->arena, r, fed_str(ns), fed_str(name), "", "")};
    return fctl_call(api, &req, out, err);
}

int fctl_list(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *query,
              struct fed_json **out, struct fed_err *err)
{
    struct fed_call_request req = {.method = "GET",
                                   .path = fed_resource_path(&api->c->arena, r, fed_str(ns), fed_str(""), "", query)};
    return fctl_call(api, &req, out, err);
}

static int send(struct fctl_api *api, const char *method, struct fed_str path, const char *type,
                const struct fed_json *body, struct fed_json **out, struct fed_err *err)
{
    struct fed_buf text = {0};
    fed_json_write(&text, body);
    struct fed_call_request req = {
        .method = method, .path = path, .content_type = fed_str(type), .body = fed_buf_str(&text)};
    int code = fctl_call(api, &req, out, err);
    fed_buf_release(&text);
    return code;
}

int fctl_post(struct fctl_api *api, const char *path, const struct fed_json *body, struct fed_json **out,
              struct fed_err *err)
{
    return send(api, "POST", fed_str(path), NULL, body, out, err);
}

int fctl_patch(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
               const struct fed_json *patch, struct fed_err *err)
{
    struct fed_str path = fed_resource_path(&api->c->arena, r, fed_str(ns), fed_str(name), "", "");
    return send(api, "PATCH", path, "application/merge-patch+json", patch, NULL, err);
}

int fctl_delete(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
                struct fed_err *err)
{
    struct fed_call_request req = {
        .method = "DELETE",
        .path = fed_resource_path(&api->c->arena, r, fed_str(ns), fed_str(name), "", ""),
        .content_type = FED_STR("application/json"),
        .body = FED_STR("{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\"}")};
    int code = fctl_call(api, &req, NULL, err);
    return code == FED_E_NOT_FOUND ? 0 : code;
}

/* --- objects --- */

static void lower(const char *kind, char out[64])
{
    size_t n = 0;
    for (; kind[n] && n < 63; n++)
        out[n] = kind[n] >= 'A' && kind[n] <= 'Z' ? (char)(kind[n] - 'A' + 'a') : kind[n];
    out[n] = '\0';
}

static void tell(struct fctl_api *api, const struct fed_resource *r, const char *name, const char *what)
{
    char kind[64];
    lower(r->kind, kind);
    fctl_say(api->c, "%s/%s %s%s (%s)", kind, name, what, api->c->dry_run ? " (dry run)" : "", api->name);
}

static void note(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name)
{
    struct fctl_made *m = FED_ARENA_NEW(&api->c->arena, struct fctl_made);
    *m = (struct fctl_made){api->c->made, api, r, ns, name};
    api->c->made = m;
}

static int create(struct fctl_api *api, const struct fed_resource *r, const char *ns, const char *name,
                  const struct fed_json *want, struct fed_err *err)
{
    struct fed_str path = fed_resource_path(&api->c->arena, r, fed_str(ns), fed_str(""), "", "");
    int code = api->c->dry_run ? 0 : send(api, "POST", path, NULL, want, NULL, err);
    if (code)
        return fed_err_wrap(err, code, "create %s \"%s\"", r->kind, name);
    tell(api, r, name, "created");
    if (!api->c->dry_run)
        note(api, r, ns, name);
    return 0;
}

int fctl_ensure(struct fctl_api *api, const struct fed_resource *r, const struct fed_json *want, enum fctl_done *done,
                struct fed_err *err)
{
    struct fed_arena *a = &api->c->arena;
    const char *ns = r->namespaced ? fed_arena_dupz(a, fed_obj_ns(want)) : "";
    const char *name = fed_arena_dupz(a, fed_obj_name(want));
    struct fed_json *have = NULL;
    enum fctl_done local;
    done = done ? done : &local;
    int code = fctl_get(api, r, ns, name, &have, err);
    *done = FCTL_CREATED;
    if (code == FED_E_NOT_FOUND)
        return create(api, r, ns, name, want, err);
    if (code)
        return code;
    *done = FCTL_UNCHANGED;
    struct fed_json *patch = fed_json_copy(a, want);
    fed_json_remove_key(patch, "apiVersion"); /* another version of the same object compares as well */
    fed_json_remove_key(patch, "kind");
    if (fctl_covers(have, patch)) {
        if (!api->c->quiet)
            tell(api, r, name, "unchanged");
        return 0;
    }
    *done = FCTL_CHANGED;
    code = api->c->dry_run ? 0 : fctl_patch(api, r, ns, name, patch, err);
    if (code)
        return fed_err_wrap(err, code, "change %s \"%s\"", r->kind, name);
    tell(api, r, name, "configured");
    struct fed_buf changes = {0};
    fctl_changes(have, patch, r == &fctl_secrets, &changes);
    fwrite(fed_buf_z(&changes), 1, changes.n, api->c->out);
    fed_buf_release(&changes);
    fflush(api->c->out);
    return 0;
}

void fctl_undo(struct fctl *c, struct fctl_made *until)
{
    struct fctl_made *m = c->made;
    c->made = until;
    for (; m != until; m = m->before) {
        struct fed_err err = {0};
        if (fctl_delete(m->api, m->resource, m->ns, m->name, &err) == 0)
            tell(m->api, m->resource, m->name, "deleted again");
        else
            fprintf(stderr, "kubefed: could not delete %s \"%s\" again: %s\n", m->resource->kind, m->name, err.text);
    }
}

/* --- namespaces on their way out --- */

struct leaving {
    struct fctl_api *api;
    const char *ns;
    struct fed_json *have;
};

static int has_left(void *ud, struct fed_err *why)
{
    struct leaving *l = ud;
    l->have = NULL;
    int code = fctl_get(l->api, &fctl_namespaces, "", l->ns, &l->have, why);
    if (code == FED_E_NOT_FOUND)
        return 0;
    if (!code && fed_json_at(l->have, "metadata", "deletionTimestamp", NULL))
        return fed_err_set(why, FED_E_BUSY, "namespace \"%s\" of context \"%s\" is just being deleted", l->ns,
                           l->api->name);
    return code;
}

int fctl_settle_namespace(struct fctl_api *api, const char *ns, int64_t timeout_ms, struct fed_json **have,
                          struct fed_err *err)
{
    struct leaving l = {.api = api, .ns = ns};
    const char *what = fed_arena_printf(&api->c->arena, "namespace %s to be gone", ns).p;
    int code = fctl_wait(api->c, what, api->c->dry_run ? 0 : timeout_ms, has_left, &l, err);
    bool dry = code == FED_E_TIMEOUT && api->c->dry_run;
    *have = code ? NULL : l.have;
    return dry ? 0 : code;
}
