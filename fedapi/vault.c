/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "fedapi/vault_work.h"
#include "http/url.h"

#define PIECE      (1024u * 1024)
#define FORGET_MS  600000
#define SPARE      (16ull << 20) /* room that a copy leaves to the store */
#define API        "federation/v1beta1"
#define RESTORE_MB 65536

enum state { NONE, WORKING, READY };

struct copy { /* a file on its way out or in */
    char name[48], *path;
    enum state state;
    int fd;
    uint64_t bytes, received;
    struct fapi_verdict verdict;
    struct fapi_work *work;
    struct fed_api_reply *waiting; /* who asked */
    struct fed_timer forget;
    char want[65]; /* checksum announced */
};
struct fapi_vault {
    struct fapi_vault_conf conf;
    struct copy out, in;
    struct fed_virtual virtuals[FAPI_VAULT_RESOURCES];
    bool committed;
};

/* --- one copy --- */

static void drop(struct fapi_vault *v, struct copy *c)
{
    fed_timer_stop(v->conf.env, &c->forget);
    fapi_work_cancel(c->work);
    c->work = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (c->path)
        unlink(c->path);
    c->state = NONE;
    c->bytes = c->received = 0;
    c->name[0] = '\0';
}

static void forget_out(struct fed_timer *t)
{
    struct fapi_vault *v = fed_container_of(fed_container_of(t, struct copy, forget), struct fapi_vault, out);
    if (v->out.state == READY)
        drop(v, &v->out);
}

static void forget_in(struct fed_timer *t)
{
    struct fapi_vault *v = fed_container_of(fed_container_of(t, struct copy, forget), struct fapi_vault, in);
    if (!v->in.work)
        drop(v, &v->in);
}

static void touch(struct fapi_vault *v, struct copy *c)
{
    fed_timer_start(v->conf.env, &c->forget, FORGET_MS, c == &v->out ? forget_out : forget_in);
}

static void name_it(struct fapi_vault *v, struct copy *c, const char *prefix)
{
    char uuid[37];
    fed_uuid(v->conf.env, uuid);
    snprintf(c->name, sizeof(c->name), "%s-%.8s", prefix, uuid);
}

static bool is_there(struct fed_api_reply *r, const struct fed_api_request *q, const struct copy *c)
{
    if (c->state != NONE && fed_str_is(q->name, c->name))
        return true;
    fed_api_reply_error(r, FED_E_NOT_FOUND, "there is no such copy any more; begin again");
    return false;
}

static bool has_file(struct fapi_vault *v, struct fed_api_reply *r)
{
    if (!v->conf.path)
        fed_api_reply_error(
            r, FED_E_UNSUPPORTED,
            "this federation's store is not a file of its server: make its backups with the store's own "
            "means (etcd: etcdctl snapshot)");
    return v->conf.path != NULL;
}

static bool has_room(struct fapi_vault *v, struct fed_api_reply *r, uint64_t bytes)
{
    struct statvfs fs;
    char *dir = fed_strdup(v->conf.path), *slash = strrchr(dir, '/');
    if (slash)
        *slash = '\0';
    uint64_t room = statvfs(slash ? dir : ".", &fs) == 0 ? (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize : UINT64_MAX;
    free(dir);
    if (room >= bytes + SPARE)
        return true;
    fed_api_reply_error(r, FED_E_FULL,
                        "the disk that holds %s has room for %" PRIu64 " MiB; a copy of %" PRIu64
                        " MiB beside the store needs %" PRIu64 " MiB",
                        v->conf.path, room >> 20, bytes >> 20, (uint64_t)(bytes + SPARE) >> 20);
    return false;
}

static uint64_t offset_of(const struct fed_api_request *q)
{
    struct fed_query query;
    uint64_t n = 0;
    if (fed_query_parse(q->arena, q->query, &query, NULL) || fed_str_u64(fed_query_find(&query, "offset"), &n))
        return UINT64_MAX;
    return n;
}

static struct fed_json *describe(struct fapi_vault *v, struct fed_arena *a, const char *kind, const struct copy *c)
{
    char now[21];
    struct fed_json *o = fed_json_object(a), *meta, *status;
    fed_time_format(fed_wall_ms(v->conf.env), now);
    fed_json_set(o, "kind", fed_json_new_strz(a, kind));
    fed_json_set(o, "apiVersion", fed_json_new_strz(a, API));
    meta = fed_json_set(o, "metadata", fed_json_object(a));
    fed_json_set(meta, "name", fed_json_new_strf(a, "%s", c->name));
    fed_json_set(meta, "creationTimestamp", fed_json_new_strf(a, "%s", now));
    status = fed_json_set(o, "status", fed_json_object(a));
    fed_json_set(status, "pieceBytes", fed_json_new_int(a, PIECE));
    fed_json_set(status, "bytes", fed_json_new_int(a, (int64_t)c->bytes));
    if (c->verdict.sha256[0]) {
        fed_json_set(status, "sha256", fed_json_new_strf(a, "%s", c->verdict.sha256));
        fed_json_set(status, "revision", fed_json_new_strf(a, "%" PRIu64, c->verdict.info.rev));
        fed_json_set(status, "objects", fed_json_new_int(a, (int64_t)c->verdict.info.keys));
    }
    return o;
}

static void answer(struct fapi_vault *v, struct copy *c, int status, const char *kind)
{
    struct fed_arena a = {0};
    struct fed_api_reply *r = c->waiting;
    c->waiting = NULL;
    if (r)
        fed_api_reply_json(r, status, describe(v, &a, kind, c));
    fed_arena_release(&a);
}

static void refuse(struct fapi_vault *v, struct copy *c, int code, const char *text)
{
    struct fed_api_reply *r = c->waiting;
    c->waiting = NULL;
    if (r)
        fed_api_reply_error(r, code, "%s", text);
    drop(v, c);
}

/* --- backups --- */

static void backup_checked(void *ud, const struct fapi_verdict *verdict)
{
    struct fapi_vault *v = ud;
    struct copy *c = &v->out;
    c->work = NULL;
    c->verdict = *verdict;
    c->bytes = verdict->info.bytes;
    if (!verdict->code) {
        c->fd = open(c->path, O_RDONLY | O_CLOEXEC);
        c->state = READY;
        touch(v, c);
        answer(v, c, 201, "Backup");
        return;
    }
    struct fed_err err = verdict->err;
    (void)fed_err_wrap(&err, verdict->code, "the copy of the store is damaged, and so may be the store");
    refuse(v, c, verdict->code, err.text);
}

static void backup_copied(void *ud, int code, const struct fed_err *err)
{
    struct fapi_vault *v = ud;
    if (code) {
        refuse(v, &v->out, code, err->text);
        return;
    }
    (void)chmod(v->out.path, 0600);
    v->out.work = fapi_work_start(v->conf.env, v->out.path, NULL, backup_checked, v);
}

static void backup_create(struct fapi_vault *v, struct fed_api_reply *r)
{
    struct stat st;
    if (!has_file(v, r))
        return;
    if (!v->conf.store || v->out.state == WORKING || v->committed) {
        fed_api_reply_error(r, FED_E_CONFLICT,
                            v->out.state == WORKING ? "a backup is being made already" : "the store is not open");
        return;
    }
    drop(v, &v->out);
    if (!has_room(v, r, stat(v->conf.path, &st) == 0 ? (uint64_t)st.st_size : 0))
        return;
    name_it(v, &v->out, "backup");
    v->out.state = WORKING;
    v->out.waiting = r;
    v->conf.store->ops->backup(v->conf.store, v->out.path, backup_copied, v);
}

static void backup_piece(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct copy *c = &v->out;
    if (!is_there(r, q, c))
        return;
    uint64_t at = offset_of(q);
    if (c->state != READY || at > c->bytes) {
        fed_api_reply_error(r, FED_E_BAD_REQUEST, "offset: not in the copy");
        return;
    }
    char *buf = fed_malloc(PIECE);
    ssize_t n = pread(c->fd, buf, PIECE, (off_t)at);
    touch(v, c);
    if (n < 0)
        fed_api_reply_error(r, FED_E_IO, "%s: %s", c->path, strerror(errno));
    else
        fed_api_reply_text(r, 200, "application/octet-stream", fed_str_n(buf, (size_t)n));
    free(buf);
}

static void delete_copy(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r, struct copy *c)
{
    struct fed_json *o = fed_json_object(q->arena);
    if (!is_there(r, q, c))
        return;
    if (c->state == WORKING && c->waiting) {
        fed_api_reply_error(r, FED_E_CONFLICT, "it is being worked on");
        return;
    }
    drop(v, c);
    fed_json_set(o, "kind", fed_json_new_strz(q->arena, "Status"));
    fed_json_set(o, "apiVersion", fed_json_new_strz(q->arena, "v1"));
    fed_json_set(o, "status", fed_json_new_strz(q->arena, "Success"));
    fed_api_reply_json(r, 200, o);
}

static void on_backups(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct fapi_vault *v = ud;
    if (strcmp(q->verb, "create") == 0)
        backup_create(v, r);
    else
        delete_copy(v, q, r, &v->out);
}

static void on_backup_content(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    backup_piece(ud, q, r);
}

/* --- restores --- */

static void restore_create(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct copy *c = &v->in;
    struct fed_json *body = NULL;
    struct fed_err err = {0};
    if (!has_file(v, r))
        return;
    if (fed_api_request_body(r, &body, &err)) {
        fed_api_reply_error(r, err.code, "%s", err.text);
        return;
    }
    const struct fed_json *spec = fed_json_find(body, "spec");
    int64_t bytes = fed_json_int(fed_json_find(spec, "bytes"), 0);
    struct fed_str sum = fed_json_find_text(spec, "sha256");
    if (bytes <= 0 || bytes >> 20 > RESTORE_MB || sum.n != 64) {
        fed_api_reply_error(r, FED_E_BAD_REQUEST, "spec.bytes and spec.sha256 (hexadecimal) say what will come");
        return;
    }
    if (c->work || v->committed) {
        fed_api_reply_error(r, FED_E_CONFLICT, "a restore is under way already");
        return;
    }
    drop(v, c);
    if (!has_room(v, r, (uint64_t)bytes))
        return;
    c->fd = open(c->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (c->fd < 0) {
        fed_api_reply_error(r, fed_code_from_errno(errno), "%s: %s", c->path, strerror(errno));
        return;
    }
    name_it(v, c, "restore");
    c->state = WORKING;
    c->bytes = (uint64_t)bytes;
    c->verdict = (struct fapi_verdict){0};
    snprintf(c->want, sizeof(c->want), "%.*s", FED_STR_ARG(sum));
    touch(v, c);
    fed_api_reply_json(r, 201, describe(v, q->arena, "Restore", c));
}

static void restore_piece(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct copy *c = &v->in;
    if (!is_there(r, q, c))
        return;
    uint64_t at = offset_of(q);
    if (c->work || at > c->received || q->body.n > c->bytes - at) { /* at <= received <= bytes */
        fed_api_reply_error(r, FED_E_CONFLICT, "offset: %" PRIu64 " of %" PRIu64 " bytes are here", c->received,
                            c->bytes);
        return;
    }
    touch(v, c);
    c->state = WORKING;
    ssize_t n = pwrite(c->fd, q->body.p, q->body.n, (off_t)at);
    if (n != (ssize_t)q->body.n) {
        fed_api_reply_error(r, n < 0 ? fed_code_from_errno(errno) : FED_E_FULL, "%s: %s", c->path,
                            n < 0 ? strerror(errno) : "no room");
        return;
    }
    c->received = FED_MAX(c->received, at + q->body.n);
    fed_api_reply_json(r, 200, describe(v, q->arena, "Restore", c));
}

static void restore_checked(void *ud, const struct fapi_verdict *verdict)
{
    struct fapi_vault *v = ud;
    struct copy *c = &v->in;
    struct fed_err err = verdict->err;
    c->work = NULL;
    c->verdict = *verdict;
    if (!verdict->code && strcmp(verdict->sha256, c->want) != 0) {
        refuse(v, c, FED_E_BAD_REQUEST, "what arrived is not what was announced (SHA-256 differs)");
    } else if (verdict->code) {
        (void)fed_err_wrap(&err, verdict->code, "%s",
                           verdict->sealed ? "this server cannot read what is in the backup"
                                           : "the file is no whole backup");
        refuse(v, c, FED_E_BAD_REQUEST, err.text);
    } else {
        c->state = READY;
        touch(v, c);
        answer(v, c, 200, "Restore");
    }
}

static void restore_check(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct copy *c = &v->in;
    if (!is_there(r, q, c))
        return;
    if (c->work || c->received != c->bytes || fsync(c->fd) != 0) {
        fed_api_reply_error(r, FED_E_CONFLICT, "%" PRIu64 " of %" PRIu64 " bytes are here", c->received, c->bytes);
        return;
    }
    c->state = WORKING;
    c->waiting = r;
    c->work = fapi_work_start(v->conf.env, c->path, v->conf.keys ? v->conf.keys : "", restore_checked, v);
}

static void restore_commit(struct fapi_vault *v, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct copy *c = &v->in;
    struct fed_err err = {0};
    if (!is_there(r, q, c))
        return;
    if (c->state != READY || v->committed) {
        fed_api_reply_error(r, FED_E_CONFLICT, "it has not been checked");
        return;
    }
    int code = store_sqlite_stage(v->conf.path, c->path, &err);
    if (code) {
        fed_api_reply_error(r, code, "%s", err.text);
        return;
    }
    v->committed = true;
    fed_api_reply_json(r, 202, describe(v, q->arena, "Restore", c));
    v->conf.restart(v->conf.ud);
}

static void on_restores(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    struct fapi_vault *v = ud;
    if (strcmp(q->verb, "create") == 0)
        restore_create(v, q, r);
    else
        delete_copy(v, q, r, &v->in);
}

static void on_restore_content(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    restore_piece(ud, q, r);
}

static void on_restore_step(void *ud, const struct fed_api_request *q, struct fed_api_reply *r)
{
    if (fed_str_is(q->subresource, "check"))
        restore_check(ud, q, r);
    else
        restore_commit(ud, q, r);
}

/* --- life --- */

struct fapi_vault *fapi_vault_new(const struct fapi_vault_conf *conf)
{
    struct fapi_vault *v = FED_NEW(struct fapi_vault);
    static const struct {
        const char *resource, *kind, *verbs;
        void (*handle)(void *ud, const struct fed_api_request *q, struct fed_api_reply *r);
    } rows[] = {
        {"backups", "Backup", "create,delete", on_backups},    {"backups/content", NULL, "get", on_backup_content},
        {"restores", "Restore", "create,delete", on_restores}, {"restores/content", NULL, "update", on_restore_content},
        {"restores/check", NULL, "create", on_restore_step},   {"restores/commit", NULL, "create", on_restore_step},
    };
    _Static_assert(FED_ARRAY_LEN(rows) == FAPI_VAULT_RESOURCES, "rows");
    v->conf = *conf;
    v->out.fd = v->in.fd = -1;
    if (conf->path) {
        v->out.path = fed_asprintf("%s.backup", conf->path);
        v->in.path = fed_asprintf("%s.upload", conf->path);
    }
    drop(v, &v->out); /* what a server before left */
    drop(v, &v->in);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++)
        v->virtuals[i] = (struct fed_virtual){.group = "federation",
                                              .version = "v1beta1",
                                              .resource = rows[i].resource,
                                              .kind = rows[i].kind,
                                              .verbs = rows[i].verbs,
                                              .handle = rows[i].handle,
                                              .ud = v};
    return v;
}

const struct fed_virtual *fapi_vault_virtuals(const struct fapi_vault *v)
{
    return v->virtuals;
}

void fapi_vault_free(struct fapi_vault *v)
{
    if (!v)
        return;
    drop(v, &v->out);
    drop(v, &v->in);
    free(v->out.path);
    free(v->in.path);
    free(v);
}
