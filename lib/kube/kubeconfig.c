/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/yaml.h"
#include "kube/kubeconfig_priv.h"

/* --- struct fed_rest_conf --- */

void fed_rest_conf_release(struct fed_rest_conf *c)
{
    char **all[] = {&c->server,   &c->ca_pem,   &c->cert_pem,        &c->key_pem,   &c->token, &c->token_file,
                    &c->username, &c->password, &c->tls_server_name, &c->proxy_url, &c->ns};
    for (size_t i = 0; i < FED_ARRAY_LEN(all); i++)
        free(*all[i]);
    *c = (struct fed_rest_conf){0};
}

static char *dup_or_null(const char *z)
{
    return z ? fed_strdup(z) : NULL;
}

void fed_rest_conf_copy(struct fed_rest_conf *to, const struct fed_rest_conf *from)
{
    *to = (struct fed_rest_conf){
        .server = dup_or_null(from->server),
        .ca_pem = dup_or_null(from->ca_pem),
        .cert_pem = dup_or_null(from->cert_pem),
        .key_pem = dup_or_null(from->key_pem),
        .token = dup_or_null(from->token),
        .token_file = dup_or_null(from->token_file),
        .username = dup_or_null(from->username),
        .password = dup_or_null(from->password),
        .tls_server_name = dup_or_null(from->tls_server_name),
        .proxy_url = dup_or_null(from->proxy_url),
        .insecure = from->insecure,
        .ns = dup_or_null(from->ns),
    };
}

/* --- loading --- */

int fed_kubeconfig_read_file(const char *path, struct fed_buf *out, struct fed_err *err)
{
    fed_buf_init(out, FED_KUBECONFIG_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    for (;;) {
        char *room = fed_buf_reserve(out, 16384);
        ssize_t n = room ? read(fd, room, 16384) : -1;
        if (n < 0 && room && errno == EINTR)
            continue;
        if (n < 0) {
            int code = room ? fed_code_from_errno(errno) : FED_E_LIMIT;
            fed_err_set(err, code, "%s: %s", path, room ? strerror(errno) : "file is too large");
            close(fd);
            fed_buf_release(out);
            return code;
        }
        if (n == 0)
            break;
        fed_buf_commit(out, (size_t)n);
    }
    close(fd);
    return 0;
}

static int add_text(struct fed_kubeconfig *k, const char *path, struct fed_str text, struct fed_err *err)
{
    struct fed_json *docs = NULL;
    int code = fed_yaml_parse_all(&k->arena, fed_arena_dup(&k->arena, text), NULL, &docs, err);
    if (code == 0 && docs->n > 1)
        code = fed_err_set(err, FED_E_SYNTAX, "more than one document");
    if (code == 0 && docs->n == 1 && docs->first->type != FED_JSON_OBJECT)
        code = fed_err_set(err, FED_E_SYNTAX, "a kubeconfig is a map");
    if (code != 0)
        return fed_err_wrap(err, code, "%s", path ? path : "kubeconfig");
    if (k->n_files == FED_KUBECONFIG_FILES)
        return fed_err_set(err, FED_E_LIMIT, "more than %d kubeconfig files", FED_KUBECONFIG_FILES);
    k->files[k->n_files].root = docs->n ? docs->first : fed_json_object(&k->arena);
    k->files[k->n_files++].path = path ? fed_arena_dupz(&k->arena, fed_str(path)) : NULL;
    return 0;
}

static int add_file(struct fed_kubeconfig *k, const char *path, bool must_exist, struct fed_err *err)
{
    struct fed_buf text;
    int code = fed_kubeconfig_read_file(path, &text, err);
    if (code == FED_E_NOT_FOUND && !must_exist)
        code = 0;
    else if (code == 0)
        code = add_text(k, path, fed_buf_str(&text), err);
    fed_buf_release(&text);
    return code;
}

static void note_names(struct fed_kubeconfig *k)
{
    for (size_t f = 0; f < k->n_files; f++) {
        struct fed_str current = fed_json_find_text(k->files[f].root, "current-context");
        if (!*k->current && current.n)
            k->current = fed_arena_dupz(&k->arena, current);
    }
    size_t room = 0;
    for (size_t f = 0; f < k->n_files; f++) {
        struct fed_json *list = fed_json_find(k->files[f].root, "contexts");
        room += list ? list->n : 0;
    }
    k->contexts = FED_ARENA_ARRAY(&k->arena, const char *, room + 1);
    for (size_t f = 0; f < k->n_files; f++) {
        FED_JSON_EACH(c, fed_json_find(k->files[f].root, "contexts")) {
            const char *name = fed_arena_dupz(&k->arena, fed_json_find_text(c, "name"));
            bool known = !*name;
            for (size_t i = 0; i < k->n_contexts && !known; i++)
                known = strcmp(k->contexts[i], name) == 0;
            if (!known)
                k->contexts[k->n_contexts++] = name;
        }
    }
}

static void note_write_list(struct fed_kubeconfig *k, const char *path)
{
    if (k->n_paths < FED_KUBECONFIG_FILES)
        k->paths[k->n_paths++] = fed_arena_dupz(&k->arena, fed_str(path));
}

int fed_kubeconfig_load(const char *explicit_path, const char *env, const char *home, struct fed_kubeconfig **out,
                        struct fed_err *err)
{
    struct fed_kubeconfig *k = FED_NEW(struct fed_kubeconfig);
    int code = 0;
    k->current = "";
    *out = NULL;
    if (explicit_path) {
        note_write_list(k, explicit_path);
        code = add_file(k, explicit_path, true, err);
    } else if (env && *env) {
        struct fed_str rest = fed_str(env), piece;
        while (code == 0 && fed_str_cut(&rest, ':', &piece)) {
            char *path = fed_strdup_str(piece);
            if (*path) {
                note_write_list(k, path);
                code = add_file(k, path, false, err);
            }
            free(path);
        }
    } else if (home) {
        char *path = fed_asprintf("%s/.kube/config", home);
        note_write_list(k, path);
        code = add_file(k, path, false, err);
        free(path);
    }
    if (code != 0) {
        fed_kubeconfig_free(k);
        return code;
    }
    note_names(k);
    *out = k;
    return 0;
}

int fed_kubeconfig_parse(struct fed_str text, struct fed_kubeconfig **out, struct fed_err *err)
{
    struct fed_kubeconfig *k = FED_NEW(struct fed_kubeconfig);
    k->current = "";
    *out = NULL;
    int code = add_text(k, NULL, text, err);
    if (code != 0) {
        fed_kubeconfig_free(k);
        return code;
    }
    note_names(k);
    *out = k;
    return 0;
}

void fed_kubeconfig_free(struct fed_kubeconfig *k)
{
    if (!k)
        return;
    fed_arena_release(&k->arena);
    free(k);
}

const char *fed_kubeconfig_current(const struct fed_kubeconfig *k)
{
    return k->current;
}

size_t fed_kubeconfig_contexts(const struct fed_kubeconfig *k, const char ***names)
{
    *names = k->contexts;
    return k->n_contexts;
}

/* --- one context --- */

struct entry { /* a named cluster, user or context, and the file that it stands in (for relative paths) */
    const struct fed_json *body;
    const char *path;
};

/* The first file that has the name wins, as in client-go. */
static struct entry find_entry(const struct fed_kubeconfig *k, const char *list, const char *member,
                               struct fed_str name)
{
    for (size_t f = 0; f < k->n_files; f++) {
        FED_JSON_EACH(e, fed_json_find(k->files[f].root, list)) {
            if (fed_str_eq(fed_json_find_text(e, "name"), name))
                return (struct entry){fed_json_find(e, member), k->files[f].path};
        }
    }
    return (struct entry){NULL, NULL};
}

static char *text_of(const struct fed_json *obj, const char *key)
{
    struct fed_str s = fed_json_find_text(obj, key);
    return s.n ? fed_strdup_str(s) : NULL;
}

/* Relative paths are relative to the kubeconfig file. */
static char *resolve_path(const char *file, struct fed_str path)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (path.p[0] == '/' || !slash)
        return fed_strdup_str(path);
    return fed_asprintf("%.*s/%.*s", (int)(slash - file), file, FED_STR_ARG(path));
}

/* Member "x-data" (base64) or else the file named by member "x". */
static int read_pem(const struct entry *e, const char *key, char **out, struct fed_err *err)
{
    char data_key[64];
    struct fed_arena a = {0};
    struct fed_str pem;
    snprintf(data_key, sizeof(data_key), "%s-data", key);
    struct fed_str data = fed_json_find_text(e->body, data_key), file = fed_json_find_text(e->body, key);
    int code = 0;
    if (data.n) {
        code = fed_base64_decode(&a, data, &pem);
        if (code == 0)
            *out = fed_strdup_str(pem);
        else
            fed_err_set(err, code, "%s is not base64", data_key);
    } else if (file.n) {
        struct fed_buf text;
        char *path = resolve_path(e->path, file);
        code = fed_kubeconfig_read_file(path, &text, err);
        if (code == 0)
            *out = fed_strdup_str(fed_buf_str(&text));
        fed_buf_release(&text);
        free(path);
    }
    fed_arena_release(&a);
    return code;
}

static int read_cluster(const struct entry *e, struct fed_rest_conf *out, struct fed_err *err)
{
    out->server = text_of(e->body, "server");
    if (!out->server)
        return fed_err_set(err, FED_E_INVALID, "no server");
    out->tls_server_name = text_of(e->body, "tls-server-name");
    out->proxy_url = text_of(e->body, "proxy-url");
    out->insecure = fed_json_bool(fed_json_find(e->body, "insecure-skip-tls-verify"), false);
    return read_pem(e, "certificate-authority", &out->ca_pem, err);
}

static int read_user(const struct entry *e, const struct entry *cluster, struct fed_rest_conf *out, struct fed_err *err)
{
    const struct fed_json *exec = fed_json_find(e->body, "exec");
    if (fed_json_find(e->body, "as"))
        return fed_err_set(err, FED_E_UNSUPPORTED, "impersonation (\"as\") is not supported");
    out->token = text_of(e->body, "token");
    struct fed_str file = fed_json_find_text(e->body, "tokenFile");
    if (file.n) { /* it takes precedence, and is read again and again */
        free(out->token);
        out->token = NULL;
        out->token_file = resolve_path(e->path, file);
    }
    out->username = text_of(e->body, "username");
    out->password = text_of(e->body, "password");
    int code = read_pem(e, "client-certificate", &out->cert_pem, err);
    if (code == 0)
        code = read_pem(e, "client-key", &out->key_pem, err);
    if (code == 0 && exec && exec->type == FED_JSON_OBJECT)
        code = fed_kubeconfig_exec(exec, cluster->body, e->path, out, err);
    bool any = out->token || out->token_file || out->username || out->cert_pem;
    if (code == 0 && !any && fed_json_find(e->body, "auth-provider"))
        code = fed_err_set(err, FED_E_UNSUPPORTED, "auth-provider is not supported: use an exec plugin or a token");
    return code;
}

static int unknown_context(const struct fed_kubeconfig *k, const char *name, struct fed_err *err)
{
    struct fed_buf known = {0};
    for (size_t i = 0; i < k->n_contexts; i++)
        fed_buf_addf(&known, "%s%s", i ? ", " : "", k->contexts[i]);
    if (*name)
        fed_err_set(err, FED_E_NOT_FOUND, "context \"%s\" does not exist (there are: %s)", name,
                    known.n ? fed_buf_z(&known) : "none");
    else
        fed_err_set(err, FED_E_NOT_FOUND, "no context is given and none is current (there are: %s)",
                    known.n ? fed_buf_z(&known) : "none");
    fed_buf_release(&known);
    return FED_E_NOT_FOUND;
}

int fed_kubeconfig_rest(struct fed_kubeconfig *k, const char *context, struct fed_rest_conf *out, struct fed_err *err)
{
    *out = (struct fed_rest_conf){0};
    if (!context || !*context)
        context = k->current;
    struct entry ctx = find_entry(k, "contexts", "context", fed_str(context));
    if (!*context || !ctx.body)
        return unknown_context(k, context, err);
    struct fed_str cluster_name = fed_json_find_text(ctx.body, "cluster");
    struct fed_str user_name = fed_json_find_text(ctx.body, "user");
    struct entry cluster = find_entry(k, "clusters", "cluster", cluster_name);
    struct entry user = find_entry(k, "users", "user", user_name);
    if (!cluster.body)
        return fed_err_set(err, FED_E_NOT_FOUND, "context \"%s\": cluster \"%.*s\" does not exist", context,
                           FED_STR_ARG(cluster_name));
    if (!user.body && user_name.n)
        return fed_err_set(err, FED_E_NOT_FOUND, "context \"%s\": user \"%.*s\" does not exist", context,
                           FED_STR_ARG(user_name));
    int code = read_cluster(&cluster, out, err);
    if (code != 0)
        fed_err_wrap(err, code, "cluster \"%.*s\"", FED_STR_ARG(cluster_name));
    if (code == 0 && user.body) {
        code = read_user(&user, &cluster, out, err);
        if (code != 0)
            fed_err_wrap(err, code, "user \"%.*s\"", FED_STR_ARG(user_name));
    }
    struct fed_str ns = fed_json_find_text(ctx.body, "namespace");
    out->ns = ns.n ? fed_strdup_str(ns) : fed_strdup("default");
    if (code != 0)
        fed_rest_conf_release(out);
    return code;
}

int fed_kubeconfig_in_cluster(const char *dir, const char *host, const char *port, struct fed_rest_conf *out,
                              struct fed_err *err)
{
    struct fed_buf ca = {0}, ns = {0};
    *out = (struct fed_rest_conf){0};
    if (!host || !*host || !port || !*port)
        return fed_err_set(err, FED_E_NOT_FOUND, "not in a cluster: KUBERNETES_SERVICE_HOST and _PORT are not set");
    char *ca_path = fed_asprintf("%s/ca.crt", dir), *ns_path = fed_asprintf("%s/namespace", dir);
    int code = fed_kubeconfig_read_file(ca_path, &ca, err);
    if (code == 0) {
        out->server = fed_asprintf(strchr(host, ':') ? "https://[%s]:%s" : "https://%s:%s", host, port);
        out->ca_pem = fed_strdup_str(fed_buf_str(&ca));
        out->token_file = fed_asprintf("%s/token", dir);
        bool has_ns = fed_kubeconfig_read_file(ns_path, &ns, NULL) == 0 && ns.n;
        out->ns = has_ns ? fed_strdup_str(fed_str_trim(fed_buf_str(&ns))) : fed_strdup("default");
    }
    fed_buf_release(&ca);
    fed_buf_release(&ns);
    free(ca_path);
    free(ns_path);
    return code;
}

const char *fed_kubeconfig_write_path(const struct fed_kubeconfig *k, const char *name)
{
    for (size_t f = 0; f < k->n_files; f++) {
        FED_JSON_EACH(e, fed_json_find(k->files[f].root, "contexts")) {
            if (fed_str_is(fed_json_find_text(e, "name"), name) && k->files[f].path)
                return k->files[f].path;
        }
    }
    if (k->n_files && k->files[0].path)
        return k->files[0].path;
    return k->n_paths ? k->paths[k->n_paths - 1] : NULL;
}

const char *fed_kubeconfig_sharer(struct fed_kubeconfig *k, const char *name)
{
    for (size_t f = 0; f < k->n_files; f++) {
        FED_JSON_EACH(e, fed_json_find(k->files[f].root, "contexts")) {
            const struct fed_json *c = fed_json_find(e, "context");
            bool shares =
                fed_str_is(fed_json_find_text(c, "cluster"), name) || fed_str_is(fed_json_find_text(c, "user"), name);
            if (shares && !fed_str_is(fed_json_find_text(e, "name"), name))
                return fed_arena_dupz(&k->arena, fed_json_find_text(e, "name"));
        }
    }
    return NULL;
}
