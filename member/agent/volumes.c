/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes of a pod below DIR/pods/UID/volumes. Data volumes (configMap, secret, downwardAPI, projected) are written as
 * the kubelet does: a folder named by the content's hash, a link ..data to it that is renamed into place, and a link for
 * each file, so that a reader sees all of the old or all of the new. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "kube/names.h"
#include "member/agent/pod.h"

enum { MAX_FILES = 1024, TOKEN_S = 3600 };

struct payload {
    struct {
        struct fed_str path, bytes;
        unsigned mode;
    } f[MAX_FILES];
    size_t n;
};
struct maker {
    struct mbr_pod *p;
    struct fed_arena *a;
    const struct fed_json *tree;
    struct mbr_env_sources src;
    struct payload *files;
    struct fed_err *err;
};

static bool safe_path(struct fed_str path)
{
    struct fed_str rest = path, piece;
    if (!path.n || path.p[0] == '/' || path.n > 200)
        return false;
    while (fed_str_cut(&rest, '/', &piece))
        if (!piece.n || fed_str_is(piece, "..") || fed_str_starts(piece, FED_STR("..")))
            return false;
    return true;
}

static int add_file(struct maker *m, struct fed_str path, struct fed_str bytes, const struct fed_json *mode,
                    int64_t dflt)
{
    if (m->files->n == MAX_FILES || !safe_path(path))
        return fed_err_set(m->err, FED_E_INVALID, "path \"%.*s\" is not usable in a volume", FED_STR_ARG(path));
    size_t i = m->files->n++;
    m->files->f[i].path = path;
    m->files->f[i].bytes = bytes;
    m->files->f[i].mode = (unsigned)fed_json_int(mode, dflt) & 0777;
    return 0;
}

static int bytes_of(struct maker *m, bool secret, const struct fed_json *v, bool binary, struct fed_str *out)
{
    *out = fed_json_str(v);
    return secret || binary ? fed_base64_decode(m->a, *out, out) : 0;
}

/* A ConfigMap or Secret, whole or by items. */
static int add_object(struct maker *m, const struct fed_json *from, bool secret, int64_t mode)
{
    struct fed_str name = fed_json_find_text(from, secret && fed_json_find(from, "secretName") ? "secretName" : "name");
    const struct fed_json *items = fed_json_find(from, "items");
    bool optional = fed_json_bool(fed_json_find(from, "optional"), false);
    const struct fed_json *obj = secret ? m->src.secret(m->src.ud, name) : m->src.config_map(m->src.ud, name);
    struct fed_str bytes;
    if (!obj)
        return optional ? 0
                        : fed_err_set(m->err, FED_E_NOT_FOUND, "%s \"%.*s\" not found", secret ? "secret" : "configmap",
                                      FED_STR_ARG(name));
    static const char *const maps[] = {"data", "binaryData"};
    int rc = 0;
    for (int k = 0; k < 2 && !items; k++)
        FED_JSON_EACH(d, fed_json_find(obj, maps[k]))
            if ((rc = bytes_of(m, secret, d, k == 1, &bytes)) < 0 || (rc = add_file(m, d->key, bytes, NULL, mode)) < 0)
                return rc;
    FED_JSON_EACH(it, items) {
        struct fed_str key = fed_json_find_text(it, "key");
        const struct fed_json *d = fed_json_find_str(fed_json_find(obj, "data"), key);
        bool binary = !d;
        if (!d)
            d = fed_json_find_str(fed_json_find(obj, "binaryData"), key);
        if (!d && optional)
            continue;
        if (!d)
            return fed_err_set(m->err, FED_E_NOT_FOUND, "%.*s has no key \"%.*s\"", FED_STR_ARG(name),
                               FED_STR_ARG(key));
        if ((rc = bytes_of(m, secret, d, binary, &bytes)) < 0 ||
            (rc = add_file(m, fed_json_find_text(it, "path"), bytes, fed_json_find(it, "mode"), mode)) < 0)
            return rc;
    }
    return rc;
}

static int add_downward(struct maker *m, const struct fed_json *from, int64_t mode)
{
    FED_JSON_EACH(it, fed_json_find(from, "items")) {
        struct fed_str text = FED_STR("");
        const struct fed_json *field = fed_json_find(it, "fieldRef"), *res = fed_json_find(it, "resourceFieldRef");
        const struct fed_json *container = NULL;
        FED_JSON_EACH(c, fed_json_at(m->tree, "spec", "containers", NULL))
            if (res && fed_str_eq(fed_json_find_text(c, "name"), fed_json_find_text(res, "containerName")))
                container = c;
        int rc = field ? mbr_field_text(&m->src, fed_json_find_text(field, "fieldPath"), &text, m->err)
                       : mbr_resource_text(&m->src, container, res, &text, m->err);
        if (rc < 0 || (rc = add_file(m, fed_json_find_text(it, "path"), text, fed_json_find(it, "mode"), mode)) < 0)
            return rc;
    }
    return 0;
}

/* A token lives in DIR/pods/UID/tokens and is made anew after four fifths of its life. */
static int add_token(struct maker *m, const struct fed_json *from, int64_t mode)
{
    struct mbr *mb = m->p->agents->m;
    struct fed_str sa = fed_json_at(m->tree, "spec", "serviceAccountName", NULL)
                            ? fed_json_str(fed_json_at(m->tree, "spec", "serviceAccountName", NULL))
                            : FED_STR("default");
    struct fed_kobj *account = mbr_find(mb, MBR_SERVICEACCOUNTS, m->p->obj->ns, sa);
    int64_t life = fed_json_int(fed_json_find(from, "expirationSeconds"), TOKEN_S);
    const char *folder = fed_arena_printf(m->a, "%s/tokens", m->p->dir).p;
    char kind[11]; /* tokens of one pod differ in life and audience */
    fed_name_hash(fed_json_find_text(from, "audience"), kind);
    const char *path = fed_arena_printf(m->a, "%s/%lld-%s", folder, (long long)life, kind).p;
    struct stat st;
    struct fed_buf token;
    if (!account)
        return fed_err_set(m->err, FED_E_NOT_FOUND, "serviceaccount \"%.*s\" not found", FED_STR_ARG(sa));
    fed_buf_init(&token, 64 * 1024);
    int rc = 0;
    bool fresh = stat(path, &st) == 0 && fed_wall_ms(mb->env) / 1000 < st.st_mtime + life / 5 * 4;
    if (!fresh || fed_file_read(path, 64 * 1024, &token, NULL) < 0) {
        fed_buf_reset(&token);
        struct fed_str audience = fed_json_find_text(from, "audience");
        const struct fed_sa_spec spec = {.ns = m->p->obj->ns,
                                         .name = sa,
                                         .uid = account->uid,
                                         .seconds = life,
                                         .audiences = &audience,
                                         .n_audiences = audience.n ? 1 : 0,
                                         .bound_kind = FED_STR("Pod"),
                                         .bound_name = m->p->obj->name,
                                         .bound_uid = m->p->obj->uid};
        rc = fed_api_sa_token(mb->api, &spec, &token, m->err);
        if (rc == 0 && (rc = fed_file_mkdirs(folder, 0700, m->err)) == 0)
            rc = fed_file_write_atomic(path, fed_buf_str(&token), 0600, m->err);
    }
    if (rc == 0)
        rc = add_file(m, fed_json_find_text(from, "path"), fed_arena_dup(m->a, fed_buf_str(&token)), NULL, mode);
    fed_buf_release(&token);
    return rc;
}

static int add_projected(struct maker *m, const struct fed_json *v)
{
    int64_t mode = fed_json_int(fed_json_find(v, "defaultMode"), 0644);
    int rc = 0;
    FED_JSON_EACH(s, fed_json_find(v, "sources")) {
        const struct fed_json *from;
        if ((from = fed_json_find(s, "configMap")))
            rc = add_object(m, from, false, mode);
        else if ((from = fed_json_find(s, "secret")))
            rc = add_object(m, from, true, mode);
        else if ((from = fed_json_find(s, "downwardAPI")))
            rc = add_downward(m, from, mode);
        else if ((from = fed_json_find(s, "serviceAccountToken")))
            rc = add_token(m, from, mode);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static uint64_t payload_hash(const struct payload *f)
{
    uint64_t h = 1;
    for (size_t i = 0; i < f->n; i++)
        h = fed_str_hash(f->f[i].bytes, fed_str_hash(f->f[i].path, h + f->f[i].mode));
    return h;
}

static int write_file(const char *folder, struct fed_str path, struct fed_str bytes, unsigned mode, struct fed_err *err)
{
    char full[PATH_MAX];
    if ((size_t)snprintf(full, sizeof(full), "%s/%.*s", folder, FED_STR_ARG(path)) >= sizeof(full))
        return fed_err_set(err, FED_E_LIMIT, "%s: path too long", folder);
    char *slash = strrchr(full, '/');
    *slash = 0;
    if (fed_file_mkdirs(full, 0755, err) < 0)
        return FED_E_IO;
    *slash = '/';
    int fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, bytes.p ? bytes.p : "", bytes.n) == (ssize_t)bytes.n && fchmod(fd, mode) == 0;
    int saved = errno;
    if (fd >= 0)
        close(fd);
    return ok ? 0 : fed_err_set(err, fed_code_from_errno(saved), "%s: %s", full, strerror(saved));
}

/* Swaps ..data and drops the old content and the links of files that are no more. */
static int publish(const char *folder, const char *now, const struct payload *f, struct fed_err *err)
{
    char link[PATH_MAX], tmp[PATH_MAX], old[PATH_MAX] = "", target[256];
    snprintf(link, sizeof(link), "%s/..data", folder);
    snprintf(tmp, sizeof(tmp), "%s/..data_tmp", folder);
    ssize_t n = readlink(link, target, sizeof(target) - 1);
    if (n > 0)
        snprintf(old, sizeof(old), "%s/%.*s", folder, (int)n, target);
    unlink(tmp);
    if (symlink(now, tmp) < 0 || rename(tmp, link) < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", link, strerror(errno));
    for (size_t i = 0; i < f->n; i++) {
        struct fed_str rest = f->f[i].path, first;
        (void)fed_str_cut(&rest, '/', &first);
        snprintf(tmp, sizeof(tmp), "%s/%.*s", folder, FED_STR_ARG(first));
        snprintf(target, sizeof(target), "..data/%.*s", FED_STR_ARG(first));
        if (symlink(target, tmp) < 0 && errno != EEXIST)
            return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", tmp, strerror(errno));
    }
    if (*old)
        fed_file_remove_tree(old);
    return 0;
}

static int write_payload(struct maker *m, const char *folder)
{
    char now[32], path[PATH_MAX], link[PATH_MAX], target[64];
    snprintf(now, sizeof(now), "..%016llx", (unsigned long long)payload_hash(m->files));
    snprintf(link, sizeof(link), "%s/..data", folder);
    ssize_t n = readlink(link, target, sizeof(target));
    if (n == (ssize_t)strlen(now) && memcmp(target, now, (size_t)n) == 0)
        return 0;
    snprintf(path, sizeof(path), "%s/%s", folder, now);
    int rc = fed_file_mkdirs(path, 0755, m->err);
    for (size_t i = 0; i < m->files->n && rc == 0; i++)
        rc = write_file(path, m->files->f[i].path, m->files->f[i].bytes, m->files->f[i].mode, m->err);
    return rc < 0 ? rc : publish(folder, now, m->files, m->err);
}

static struct fed_str host_path(struct mbr_pod *p, struct fed_arena *a, struct fed_str path)
{
    /* A node of its own in everything but name: what our programs keep there must not meet that of the next cluster. */
    if (fed_str_starts(path, FED_STR("/var/lib/hansa")))
        return fed_arena_printf(a, "%s%.*s", p->node->host_dir, FED_STR_ARG(path));
    return path;
}

static int make_host_path(struct maker *m, const struct fed_json *v)
{
    struct fed_str asked = fed_json_find_text(v, "path"), path = host_path(m->p, m->a, asked);
    struct fed_str type = fed_json_find_text(v, "type");
    const char *z = fed_arena_dupz(m->a, path);
    struct stat st;
    bool file = fed_str_starts(type, FED_STR("File"));
    if (stat(z, &st) == 0)
        return 0;
    bool ours = path.p != asked.p;
    if (!ours && type.n && !fed_str_ends(type, FED_STR("OrCreate")))
        return fed_err_set(m->err, FED_E_NOT_FOUND, "hostPath type check failed: %s is not a %.*s", z,
                           FED_STR_ARG(type));
    if (!ours && !type.n)
        return fed_file_mkdirs(z, 0755, m->err);
    if (!file)
        return fed_file_mkdirs(z, 0755, m->err);
    int fd = open(z, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return fed_err_set(m->err, fed_code_from_errno(errno), "%s: %s", z, strerror(errno));
    close(fd);
    return 0;
}

/* The folder of a bound claim; empty with a reason when there is none yet. */
static struct fed_str claim_path(struct mbr_pod *p, struct fed_arena *a, const struct fed_json *from,
                                 struct fed_err *err)
{
    struct mbr *m = p->agents->m;
    struct fed_str name = fed_json_find_text(from, "claimName");
    struct fed_kobj *claim = mbr_find(m, MBR_CLAIMS, p->obj->ns, name);
    const struct fed_json *tree = claim ? fed_kobj_parse(claim, a) : NULL;
    struct fed_kobj *volume =
        mbr_find(m, MBR_VOLUMES, FED_STR(""), fed_json_str(fed_json_at(tree, "spec", "volumeName", NULL)));
    if (!claim) {
        (void)fed_err_set(err, FED_E_NOT_FOUND, "persistentvolumeclaim \"%.*s\" not found", FED_STR_ARG(name));
    } else if (!volume || !fed_str_is(fed_json_str(fed_json_at(tree, "status", "phase", NULL)), "Bound")) {
        (void)fed_err_set(err, FED_E_UNAVAILABLE, "persistentvolumeclaim \"%.*s\" is not bound", FED_STR_ARG(name));
    } else {
        const struct fed_json *spec = fed_json_find(fed_kobj_parse(volume, a), "spec");
        struct fed_str host = fed_json_str(fed_json_at(spec, "hostPath", "path", NULL));
        struct fed_str path = host.n ? host : fed_json_str(fed_json_at(spec, "local", "path", NULL));
        if (path.n)
            return host_path(p, a, path);
        (void)fed_err_set(err, FED_E_UNSUPPORTED, "volume \"%.*s\" is neither hostPath nor local",
                          FED_STR_ARG(volume->name));
    }
    return (struct fed_str){0};
}

static int make_claim(struct maker *m, const struct fed_json *from)
{
    struct fed_str path = claim_path(m->p, m->a, from, m->err);
    return path.n ? fed_file_mkdirs(fed_arena_dupz(m->a, path), 0777, m->err) : m->err ? m->err->code : FED_E_NOT_FOUND;
}

static int make_volume(struct maker *m, const struct fed_json *v)
{
    const struct fed_json *from;
    char *folder = fed_arena_dupz(
        m->a, fed_arena_printf(m->a, "%s/volumes/%.*s", m->p->dir, FED_STR_ARG(fed_json_find_text(v, "name"))));
    if ((from = fed_json_find(v, "hostPath")))
        return make_host_path(m, from);
    if ((from = fed_json_find(v, "persistentVolumeClaim")))
        return make_claim(m, from);
    int rc = fed_file_mkdirs(folder, 0755, m->err);
    if (rc < 0)
        return rc;
    int64_t mode = 0644;
    if ((from = fed_json_find(v, "configMap")))
        rc = add_object(m, from, false, fed_json_int(fed_json_find(from, "defaultMode"), mode));
    else if ((from = fed_json_find(v, "secret")))
        rc = add_object(m, from, true, fed_json_int(fed_json_find(from, "defaultMode"), mode));
    else if ((from = fed_json_find(v, "downwardAPI")))
        rc = add_downward(m, from, fed_json_int(fed_json_find(from, "defaultMode"), mode));
    else if ((from = fed_json_find(v, "projected")))
        rc = add_projected(m, from);
    else if (fed_json_find(v, "emptyDir") || v->n == 1)
        return chmod(folder, 0777) < 0 ? FED_E_IO : 0;
    else
        return fed_err_set(m->err, FED_E_UNSUPPORTED, "volume \"%.*s\": this type is not supported",
                           FED_STR_ARG(fed_json_find_text(v, "name")));
    return rc < 0 ? rc : write_payload(m, folder);
}

int mbr_volumes_make(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a, struct fed_err *err)
{
    struct maker m = {.p = p, .a = a, .tree = tree, .err = err, .files = fed_calloc(1, sizeof(struct payload))};
    mbr_pod_sources(p, a, tree, &m.src);
    int rc = 0;
    FED_JSON_EACH(v, fed_json_at(tree, "spec", "volumes", NULL)) {
        m.files->n = 0;
        rc = make_volume(&m, v);
        if (rc < 0) {
            (void)fed_err_wrap(err, rc, "MountVolume.SetUp failed for volume \"%.*s\"",
                               FED_STR_ARG(fed_json_find_text(v, "name")));
            break;
        }
    }
    free(m.files);
    return rc;
}

struct fed_str mbr_volume_path(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a, struct fed_str name)
{
    FED_JSON_EACH(v, fed_json_at(tree, "spec", "volumes", NULL)) {
        const struct fed_json *host = fed_json_find(v, "hostPath");
        if (!fed_str_eq(fed_json_find_text(v, "name"), name))
            continue;
        if (fed_json_find(v, "persistentVolumeClaim"))
            return claim_path(p, a, fed_json_find(v, "persistentVolumeClaim"), NULL);
        return host ? host_path(p, a, fed_json_find_text(host, "path"))
                    : fed_arena_printf(a, "%s/volumes/%.*s", p->dir, FED_STR_ARG(name));
    }
    return (struct fed_str){0};
}
