/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/etcd.h"

#include "base/file.h"
#include "codec/base64.h"

#define MOUNT    "/etc/hansa/etcd"
#define MAX_FILE (256 * 1024)

static const struct {
    const char *name, *flag;
    size_t at;
} files[] = {
    {"ca.crt", "--etcd-ca", offsetof(struct fctl_etcd, ca)},
    {"tls.crt", "--etcd-cert", offsetof(struct fctl_etcd, cert)},
    {"tls.key", "--etcd-key", offsetof(struct fctl_etcd, key)},
};

static const char *path_of(const struct fctl_etcd *e, size_t i)
{
    const char *path = *(const char *const *)((const char *)e + files[i].at);
    return path && path[0] ? path : NULL;
}

/* --- flags --- */

static int check_urls(const struct fctl_etcd *e, struct fed_err *err)
{
    struct fed_str rest = fed_str(e->servers), url;
    bool tls = false;
    while (fed_str_cut(&rest, ',', &url)) {
        bool https = fed_str_starts(url, FED_STR("https://"));
        if (!https && !fed_str_starts(url, FED_STR("http://")))
            return fed_err_set(err, FED_E_INVALID, "--etcd-servers: \"%.*s\" is no URL like https://10.0.0.1:2379",
                               FED_STR_ARG(url));
        tls |= https;
    }
    for (size_t i = 0; !tls && i < FED_ARRAY_LEN(files); i++)
        if (path_of(e, i))
            return fed_err_set(err, FED_E_INVALID, "%s goes with servers of --etcd-servers that are https://",
                               files[i].flag);
    return 0;
}

static int read_file(struct fed_arena *a, struct fctl_etcd *e, size_t i, struct fed_err *err)
{
    struct fed_buf text = {0}, coded = {0};
    int code = fed_file_read(path_of(e, i), MAX_FILE, &text, err);
    if (!code) {
        fed_base64_encode(&coded, fed_buf_str(&text));
        fed_json_set(e->files, files[i].name, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&coded))));
    } else {
        code = fed_err_wrap(err, FED_E_INVALID, files[i].flag);
    }
    fed_buf_release(&text);
    fed_buf_release(&coded);
    return code;
}

int fctl_etcd_check(struct fed_arena *a, struct fctl_etcd *e, struct fed_err *err)
{
    bool used = fctl_etcd_used(e);
    if (!used && e->replicas > 1)
        return fed_err_set(err, FED_E_INVALID,
                           "--api-server-replicas: several servers need a store that they share: --etcd-servers");
    for (size_t i = 0; !used && i < FED_ARRAY_LEN(files); i++)
        if (path_of(e, i))
            return fed_err_set(err, FED_E_INVALID, "%s should be passed only with --etcd-servers", files[i].flag);
    if (!used)
        return 0;
    if (!path_of(e, 1) != !path_of(e, 2))
        return fed_err_set(err, FED_E_INVALID, "--etcd-cert and --etcd-key go together");
    int code = check_urls(e, err);
    e->files = fed_json_object(a);
    for (size_t i = 0; !code && i < FED_ARRAY_LEN(files); i++) {
        const struct fed_json *kept = fed_json_find(e->kept, files[i].name);
        if (path_of(e, i))
            code = read_file(a, e, i, err);
        else if (kept && strstr(e->servers, "https://"))
            fed_json_set(e->files, files[i].name, fed_json_copy(a, kept));
    }
    if (!e->replicas)
        e->replicas = 2;
    return code;
}

/* --- what is there --- */

static struct fed_json *pod_of(struct fed_json *deployment)
{
    return fed_json_at(deployment, "spec", "template", "spec", NULL);
}

static struct fed_json *container_of(struct fed_json *deployment)
{
    return fed_json_item(fed_json_find(pod_of(deployment), "containers"), 0);
}

/* The value behind --store, or empty. */
static struct fed_str store_of(struct fed_json *deployment)
{
    FED_JSON_EACH(arg, fed_json_find(container_of(deployment), "args"))
        if (fed_str_is(fed_json_str(arg), "--store") && arg->next)
            return fed_json_str(arg->next);
    return (struct fed_str){NULL, 0};
}

void fctl_etcd_keep(struct fed_arena *a, struct fctl_etcd *e, const struct fed_json *deployment,
                    const struct fed_json *secret)
{
    struct fed_str store = store_of((struct fed_json *)deployment);
    if (!fed_str_starts(store, FED_STR("etcd:")))
        return;
    if (!e->servers)
        e->servers = fed_arena_dupz(a, fed_str_from(store, 5));
    if (!e->replicas && fctl_etcd_used(e))
        e->replicas = fed_json_int(fed_json_at(deployment, "spec", "replicas", NULL), 0);
    e->kept = fed_json_find(secret, "data");
}

int fctl_etcd_check_store(const struct fctl_etcd *e, const struct fed_json *deployment, struct fed_err *err)
{
    struct fed_str store = deployment ? store_of((struct fed_json *)deployment) : (struct fed_str){NULL, 0};
    bool there = fed_str_starts(store, FED_STR("etcd:"));
    if (!deployment || there == fctl_etcd_used(e))
        return 0;
    if (there)
        return fed_err_set(err, FED_E_INVALID,
                           "the control plane keeps its objects in etcd: give --etcd-servers=%.*s again, and the files "
                           "that go with it",
                           FED_STR_ARG(fed_str_from(store, 5)));
    return fed_err_set(
        err, FED_E_INVALID,
        "the control plane keeps its objects in a file on its node, and they are not moved to etcd. Leave "
        "--etcd-servers out, or start another federation");
}

/* --- the Deployment --- */

static void push_arg(struct fed_arena *a, struct fed_json *args, const char *flag, const char *value)
{
    fed_json_push(args, fed_json_new_strz(a, flag));
    fed_json_push(args, fed_json_new_strf(a, "%s", value));
}

static struct fed_json *put(struct fed_arena *a, struct fed_json *in, const char *key)
{
    return fed_json_set(in, key, fed_json_object(a));
}

/* The state that is left to a server, certificates, is made anew with each pod. */
static void change_volumes(struct fed_arena *a, const struct fctl_etcd *e, struct fed_json *pod,
                           struct fed_json *container)
{
    struct fed_json *volumes = fed_json_find(pod, "volumes"), *v, *m;
    FED_JSON_EACH(it, volumes)
        if (fed_str_is(fed_json_find_text(it, "name"), "state")) {
            fed_json_remove_key(it, "hostPath");
            put(a, it, "emptyDir");
        }
    if (!e->files->n)
        return;
    v = fed_json_push(volumes, fed_json_object(a));
    fed_json_set(v, "name", fed_json_new_strz(a, "etcd"));
    fed_json_set(put(a, v, "secret"), "secretName", fed_json_new_strz(a, FCTL_ETCD_SECRET));
    m = fed_json_push(fed_json_find(container, "volumeMounts"), fed_json_object(a));
    fed_json_set(m, "name", fed_json_new_strz(a, "etcd"));
    fed_json_set(m, "mountPath", fed_json_new_strz(a, MOUNT));
    fed_json_set(m, "readOnly", fed_json_new_bool(a, true));
}

/* Each on a node of its own, as far as there are so many. */
static void spread(struct fed_arena *a, struct fed_json *deployment)
{
    struct fed_json *anti = put(a, put(a, pod_of(deployment), "affinity"), "podAntiAffinity");
    struct fed_json *list = fed_json_set(anti, "preferredDuringSchedulingIgnoredDuringExecution", fed_json_array(a));
    struct fed_json *one = fed_json_push(list, fed_json_object(a));
    fed_json_set(one, "weight", fed_json_new_int(a, 100));
    struct fed_json *term = put(a, one, "podAffinityTerm");
    fed_json_set(term, "topologyKey", fed_json_new_strz(a, "kubernetes.io/hostname"));
    fed_json_set(term, "labelSelector", fed_json_copy(a, fed_json_at(deployment, "spec", "selector", NULL)));
}

void fctl_etcd_apply(struct fed_arena *a, const struct fctl_etcd *e, struct fed_json *deployment)
{
    struct fed_json *spec = fed_json_find(deployment, "spec"), *container = container_of(deployment);
    struct fed_json *args = fed_json_find(container, "args");
    char store[2048];
    if (!fctl_etcd_used(e))
        return;
    snprintf(store, sizeof store, "etcd:%s", e->servers);
    fed_json_set(spec, "replicas", fed_json_new_int(a, e->replicas));
    fed_json_set(put(a, spec, "strategy"), "type", fed_json_new_strz(a, "RollingUpdate"));
    push_arg(a, args, "--store", store);
    for (size_t i = 0; i < FED_ARRAY_LEN(files); i++)
        if (fed_json_find(e->files, files[i].name))
            push_arg(a, args, files[i].flag, fed_arena_printf(a, MOUNT "/%s", files[i].name).p);
    change_volumes(a, e, pod_of(deployment), container);
    spread(a, deployment);
}
