/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig_write.c: changing a kubeconfig file: lock, read, change, rename. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "codec/base64.h"
#include "codec/yaml.h"
#include "kube/kubeconfig_priv.h"

enum { LOCK_TRIES = 50, LOCK_STEP_MS = 100 };

/* --- entries --- */

static void set_text(struct fed_arena *a, struct fed_json *obj, const char *key, const char *value)
{
    if (value && *value)
        fed_json_set(obj, key, fed_json_new_str(a, fed_arena_dup(a, fed_str(value))));
}

static void set_data(struct fed_arena *a, struct fed_json *obj, const char *key, const char *pem)
{
    struct fed_buf text = {0};
    if (!pem || !*pem)
        return;
    fed_base64_encode(&text, fed_str(pem));
    fed_json_set(obj, key, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&text))));
    fed_buf_release(&text);
}

/* {name, member: body} in the list, in place of one of the same name. */
static void put_entry(struct fed_arena *a, struct fed_json *root, const char *list_name, const char *member,
                      const char *name, struct fed_json *body)
{
    struct fed_json *list = fed_json_ensure_array(a, root, list_name);
    if (!list)
        list = fed_json_set(root, list_name, fed_json_array(a));
    FED_JSON_EACH(e, list) {
        if (!fed_str_is(fed_json_find_text(e, "name"), name))
            continue;
        struct fed_json *have = fed_json_find(e, member);
        bool context = strcmp(member, "context") == 0 && have && have->type == FED_JSON_OBJECT;
        if (!context) {
            fed_json_set(e, member, body);
            return;
        }
        FED_JSON_EACH(m, body) /* its namespace and extensions are the user's */
            fed_json_set_str(have, m->key, fed_json_copy(a, m));
        return;
    }
    struct fed_json *e = fed_json_push(list, fed_json_object(a));
    set_text(a, e, "name", name);
    fed_json_set(e, member, body);
}

static void put_all(struct fed_arena *a, struct fed_json *root, const char *name, const struct fed_rest_conf *rest)
{
    struct fed_json *cluster = fed_json_object(a), *user = fed_json_object(a), *context = fed_json_object(a);
    set_text(a, cluster, "server", rest->server);
    set_data(a, cluster, "certificate-authority-data", rest->ca_pem);
    set_text(a, cluster, "tls-server-name", rest->tls_server_name);
    set_text(a, cluster, "proxy-url", rest->proxy_url);
    if (rest->insecure)
        fed_json_set(cluster, "insecure-skip-tls-verify", fed_json_new_bool(a, true));
    set_data(a, user, "client-certificate-data", rest->cert_pem);
    set_data(a, user, "client-key-data", rest->key_pem);
    set_text(a, user, "token", rest->token);
    set_text(a, user, "tokenFile", rest->token_file);
    set_text(a, user, "username", rest->username);
    set_text(a, user, "password", rest->password);
    set_text(a, context, "cluster", name);
    set_text(a, context, "user", name);
    if (rest->ns && strcmp(rest->ns, "default") != 0)
        set_text(a, context, "namespace", rest->ns);
    put_entry(a, root, "clusters", "cluster", name, cluster);
    put_entry(a, root, "users", "user", name, user);
    put_entry(a, root, "contexts", "context", name, context);
}

static void put_header(struct fed_arena *a, struct fed_json *root)
{
    if (!fed_json_find(root, "apiVersion"))
        fed_json_set(root, "apiVersion", fed_json_new_strz(a, "v1"));
    if (!fed_json_find(root, "kind"))
        fed_json_set(root, "kind", fed_json_new_strz(a, "Config"));
    if (!fed_json_find(root, "preferences"))
        fed_json_set(root, "preferences", fed_json_object(a));
}

void fed_kubeconfig_format(const char *name, const struct fed_rest_conf *rest, struct fed_buf *out)
{
    struct fed_arena a = {0};
    struct fed_json *root = fed_json_object(&a);
    put_header(&a, root);
    put_all(&a, root, name, rest);
    set_text(&a, root, "current-context", name);
    fed_yaml_write(out, root);
    fed_arena_release(&a);
}

/* --- the file --- */

static int make_parents(const char *path, struct fed_err *err)
{
    char *dir = fed_strdup(path);
    int code = 0;
    for (char *p = dir + 1; *p && code == 0; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (mkdir(dir, 0700) < 0 && errno != EEXIST)
            code = fed_err_set(err, fed_code_from_errno(errno), "%s: %s", dir, strerror(errno));
        *p = '/';
    }
    free(dir);
    return code;
}

/* The same lock file as client-go's. One that stays is reported with its name: its owner may have died. */
static int locked(const char *lock, struct fed_err *err)
{
    return fed_err_set(err, FED_E_BUSY, "%s: another program is writing this file; if none is, remove the lock", lock);
}

static int take_lock(const char *lock, struct fed_err *err)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(lock, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        if (fd >= 0) {
            close(fd);
            return 0;
        }
        if (errno != EEXIST)
            return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", lock, strerror(errno));
        poll(NULL, 0, LOCK_STEP_MS);
    }
    return locked(lock, err);
}

/* A symbolic link stays one: what it points to is replaced. Owned; *there (NULL ok): whether the file exists. */
static char *target_of(const char *path, bool *there)
{
    char *real = realpath(path, NULL);
    if (there)
        *there = real != NULL;
    return real ? real : fed_strdup(path);
}

static int is_meant_to_be_written(const char *path, struct fed_err *err)
{
    struct stat was;
    /* Root is denied nothing, but what its owner may not write is not meant to be written. */
    if (stat(path, &was) == 0 && (access(path, W_OK) != 0 || !(was.st_mode & 0200)))
        return fed_err_set(err, FED_E_FORBIDDEN,
                           "%s is read-only; name another kubeconfig first in $KUBECONFIG, or with --kubeconfig", path);
    return 0;
}

int fed_kubeconfig_may_write(const char *path, struct fed_err *err)
{
    char *target = target_of(path, NULL);
    char *lock = fed_asprintf("%s.lock", target);
    int code = is_meant_to_be_written(path, err);
    for (int i = 0; code == 0 && access(lock, F_OK) == 0; i++) {
        if (i == LOCK_TRIES)
            code = locked(lock, err);
        else
            poll(NULL, 0, LOCK_STEP_MS);
    }
    free(lock);
    free(target);
    return code;
}

static int write_file(const char *path, struct fed_str text, struct fed_err *err)
{
    struct stat was;
    bool there = stat(path, &was) == 0;
    char *tmp = fed_asprintf("%s.%ld.tmp", path, (long)getpid());
    int fd = open(tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && fchmod(fd, 0600) == 0;
    if (ok && there && was.st_uid != geteuid()) /* under sudo it stays its owner's */
        ok = fchown(fd, was.st_uid, was.st_gid) == 0;
    for (size_t off = 0; ok && off < text.n;) {
        ssize_t n = write(fd, text.p + off, text.n - off);
        if (n > 0)
            off += (size_t)n;
        else
            ok = n < 0 && errno == EINTR;
    }
    ok = ok && fsync(fd) == 0 && rename(tmp, path) == 0;
    int code = ok ? 0 : fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!ok)
        unlink(tmp);
    free(tmp);
    return code;
}

struct change { /* one of the two */
    const struct fed_kubeconfig_entry *entries;
    size_t n;
    const char *remove;
};

static bool remove_entry(struct fed_json *root, const char *list, const char *name)
{
    FED_JSON_EACH_SAFE(e, fed_json_find(root, list)) {
        if (fed_str_is(fed_json_find_text(e, "name"), name)) {
            fed_json_remove(e);
            return true;
        }
    }
    return false;
}

/* True when the file must be written. */
static bool apply(struct fed_arena *a, struct fed_json *root, const struct change *c)
{
    if (c->remove) {
        bool any = remove_entry(root, "clusters", c->remove);
        any = remove_entry(root, "users", c->remove) || any;
        any = remove_entry(root, "contexts", c->remove) || any;
        if (fed_str_is(fed_json_find_text(root, "current-context"), c->remove)) {
            fed_json_set(root, "current-context", fed_json_new_strz(a, ""));
            any = true;
        }
        return any;
    }
    struct fed_json *before = fed_json_copy(a, root);
    put_header(a, root);
    for (size_t i = 0; i < c->n; i++) {
        put_all(a, root, c->entries[i].name, c->entries[i].rest);
        if (c->entries[i].make_current)
            set_text(a, root, "current-context", c->entries[i].name);
    }
    return !fed_json_equal(before, root);
}

static int change_locked(const char *path, const struct change *c, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_buf old, text = {0};
    struct fed_json *docs = NULL, *root = NULL;
    int code = fed_kubeconfig_read_file(path, &old, err);
    bool absent = code == FED_E_NOT_FOUND;
    if (absent)
        code = 0;
    if (code == 0 && !absent)
        code = fed_yaml_parse_all(&a, fed_buf_str(&old), NULL, &docs, err);
    if (code == 0 && docs && (docs->n > 1 || (docs->n == 1 && docs->first->type != FED_JSON_OBJECT)))
        code = fed_err_set(err, FED_E_SYNTAX, "not a kubeconfig: left as it is");
    if (code == 0) {
        root = docs && docs->n ? docs->first : fed_json_object(&a);
        if (root->parent)
            fed_json_remove(root);
        if (!(absent && c->remove) && apply(&a, root, c)) {
            fed_yaml_write(&text, root);
            code = write_file(path, fed_buf_str(&text), err);
        }
    } else {
        fed_err_wrap(err, code, "%s", path);
    }
    fed_buf_release(&old);
    fed_buf_release(&text);
    fed_arena_release(&a);
    return code;
}

static int change(const char *path, const struct change *c, struct fed_err *err)
{
    bool there;
    char *target = target_of(path, &there);
    char *lock = fed_asprintf("%s.lock", target);
    int code = c->remove && !there ? 0 : is_meant_to_be_written(target, err);
    if (code == 0 && !there && !c->remove)
        code = make_parents(target, err);
    if (code == 0 && (there || !c->remove)) {
        code = take_lock(lock, err);
        if (code == 0) {
            code = change_locked(target, c, err);
            unlink(lock);
        }
    }
    free(lock);
    free(target);
    return code;
}

int fed_kubeconfig_write(const char *path, const struct fed_kubeconfig_entry *entries, size_t n, struct fed_err *err)
{
    const struct change c = {.entries = entries, .n = n};
    return change(path, &c, err);
}

int fed_kubeconfig_remove(const char *path, const char *name, struct fed_err *err)
{
    const struct change c = {.remove = name};
    return change(path, &c, err);
}
