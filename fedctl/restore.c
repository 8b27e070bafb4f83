/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c: `kubefed restore`: a backup takes the place of a federation's state. The file is looked at here, sent in
 * pieces, checked by the control plane as a whole, and only then put in place; the store before it is kept beside it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/digest.h"
#include "fedctl/fedctl.h"

#define PIECE          (1024 * 1024)
#define HEADER         100        /* of an SQLite file */
#define APPLICATION_ID 0x484e5341 /* "HNSA" */
#define STEP           1000000000 /* by which a restore moves revisions up at least */

struct restore_conf {
    struct fctl_common common;
    bool yes;
};
struct restore {
    struct fctl *c;
    const struct restore_conf *conf;
    struct fctl_api *hub;
    const char *federation, *file, *name;
    uint64_t bytes, revision, current; /* current: of the federation now; 0: it cannot say */
    int64_t objects;
    char sha256[65];
    int fd;
};

#define ROW(member) FCTL_ROW(restore_conf, member)
static const struct fed_setting rows[] = {
    {.name = "yes",
     .type = FED_SET_BOOL,
     .offset = ROW(yes),
     .help = "Replace the federation's state; without it nothing is done"},
    FCTL_FEDERATION_ROW(restore_conf),
    FCTL_HOST_ROW(restore_conf),
    FCTL_NS_ROW(restore_conf),
    FCTL_KUBECONFIG_ROW(restore_conf),
    FCTL_TIMEOUT_ROW(restore_conf, "5m"),
    FCTL_DRY_RUN_ROW(restore_conf),
};
static const struct fed_settings settings = {.program = "kubefed restore",
                                             .summary = "Replaces the state of a federation by a backup",
                                             .args = "FILE",
                                             .max_args = 16,
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check(struct fctl *c FED_UNUSED, void *conf, struct fed_err *err)
{
    const struct restore_conf *f = conf;
    if (!f->yes && !f->common.dry_run)
        return fed_err_set(
            err, FED_E_INVALID,
            "this replaces all objects of the federation by those of %s, and the clusters follow: what was "
            "created since is deleted there as well. Say --yes, or --dry-run to have the file checked only",
            f->common.name);
    return 0;
}

/* --- the file --- */

static uint32_t u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* What can be told without a database: that it is a store of ours and not cut off. */
static int look_at_file(struct restore *r, struct fed_err *err)
{
    unsigned char h[HEADER];
    struct stat st;
    r->fd = open(r->file, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0 || fstat(r->fd, &st) != 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", r->file, strerror(errno));
    if (pread(r->fd, h, HEADER, 0) != HEADER || memcmp(h, "SQLite format 3", 16) != 0 || u32(h + 68) != APPLICATION_ID)
        return fed_err_set(err, FED_E_INVALID, "%s: is no backup of a federation", r->file);
    uint64_t page = (uint64_t)h[16] << 8 | h[17], pages = u32(h + 28);
    page = page == 1 ? 65536 : page;
    r->bytes = (uint64_t)st.st_size;
    if (r->bytes != page * pages)
        return fed_err_set(err, FED_E_CORRUPT,
                           "%s: has %" PRIu64 " bytes, but was made with %" PRIu64 ": it is cut off", r->file, r->bytes,
                           page * pages);
    return fed_digest_file(r->file, r->sha256, err);
}

/* --- to the control plane --- */

static int call(struct restore *r, const char *method, const char *path, const char *type, struct fed_str body,
                uint32_t timeout_ms, struct fed_json **out, struct fed_err *err)
{
    struct fed_call_request req = {
        .method = method, .path = fed_str(path), .content_type = fed_str(type), .body = body, .timeout_ms = timeout_ms};
    struct fed_buf text = {0};
    int code = fctl_call_bytes(r->hub, &req, &text, err);
    if (!code && out)
        code = fed_json_parse(&r->c->arena, fed_arena_dup(&r->c->arena, fed_buf_str(&text)), NULL, out, err);
    fed_buf_release(&text);
    return code;
}

static int send_file(struct restore *r, struct fed_err *err)
{
    struct fed_json *made = NULL;
    char path[192];
    struct fed_str spec =
        fed_arena_printf(&r->c->arena,
                         "{\"kind\":\"Restore\",\"apiVersion\":\"federation/v1beta1\",\"spec\":{\"bytes\":%" PRIu64
                         ",\"sha256\":\"%s\"}}",
                         r->bytes, r->sha256);
    int code = call(r, "POST", "/apis/federation/v1beta1/restores", "application/json", spec, 0, &made, err);
    if (code)
        return code;
    r->name = fed_arena_dupz(&r->c->arena, fed_obj_name(made));
    char *piece = fed_malloc(PIECE);
    for (uint64_t at = 0; at < r->bytes && !code;) {
        ssize_t n = pread(r->fd, piece, PIECE, (off_t)at);
        if (n <= 0) {
            code = fed_err_set(err, FED_E_IO, "%s: %s", r->file, n < 0 ? strerror(errno) : "it got shorter");
            break;
        }
        snprintf(path, sizeof(path), "/apis/federation/v1beta1/restores/%s/content?offset=%" PRIu64, r->name, at);
        code = call(r, "PUT", path, "application/octet-stream", fed_str_n(piece, (size_t)n), 0, NULL, err);
        at += (uint64_t)n;
    }
    free(piece);
    return code;
}

static int have_it_checked(struct restore *r, struct fed_err *err)
{
    struct fed_json *found = NULL;
    char path[160];
    snprintf(path, sizeof(path), "/apis/federation/v1beta1/restores/%s/check", r->name);
    int code = call(r, "POST", path, "application/json", FED_STR("{}"), (uint32_t)r->conf->common.timeout, &found, err);
    if (code)
        return fed_err_wrap(err, code, "%s", r->file);
    const struct fed_json *status = fed_json_find(found, "status");
    r->objects = fed_json_int(fed_json_find(status, "objects"), 0);
    return fed_str_u64(fed_json_find_text(status, "revision"), &r->revision)
               ? fed_err_set(err, FED_E_INTERNAL, "the control plane did not say the backup's revision")
               : 0;
}

static int revision_now(struct restore *r, uint64_t *rev, struct fed_err *err)
{
    struct fed_json *list = NULL;
    int code = fctl_list(r->hub, &fctl_clusters, "", "limit=1", &list, err);
    *rev = 0;
    if (!code && fed_str_u64(fed_json_find_text(fed_json_find(list, "metadata"), "resourceVersion"), rev))
        code = fed_err_set(err, FED_E_INTERNAL, "a list without a revision");
    return code;
}

/* The restored store begins far above the one before and the backup: so it is told from the one before. */
static int is_back(void *ud, struct fed_err *why)
{
    struct restore *r = ud;
    uint64_t rev = 0;
    if (revision_now(r, &rev, why) != 0)
        return FED_E_BUSY;
    if (rev < FED_MAX(r->current, r->revision) + STEP)
        return fed_err_set(why, FED_E_BUSY, "it still has the state from before");
    r->current = rev;
    return 0;
}

static int put_in_place(struct restore *r, struct fed_err *err)
{
    char path[160];
    snprintf(path, sizeof(path), "/apis/federation/v1beta1/restores/%s/commit", r->name);
    int code = call(r, "POST", path, "application/json", FED_STR("{}"), 0, NULL, err);
    /* It stops as it answers: the answer may be lost, the restore is not. */
    if (code && code != FED_E_END && code != FED_E_CLOSED)
        return code;
    return fctl_wait(r->c, "the control plane to come back", r->conf->common.timeout, is_back, r, err);
}

static void give_up(struct restore *r)
{
    char path[160];
    if (!r->name)
        return;
    snprintf(path, sizeof(path), "/apis/federation/v1beta1/restores/%s", r->name);
    struct fed_call_request req = {.method = "DELETE", .path = fed_str(path)};
    (void)!fctl_call(r->hub, &req, NULL, NULL);
}

static int restore(struct restore *r, struct fed_err *err)
{
    int code = send_file(r, err);
    if (!code)
        code = have_it_checked(r, err);
    if (code || r->c->dry_run) {
        give_up(r);
        if (!code)
            fctl_say(r->c, "%s is whole: revision %" PRIu64 ", %" PRId64 " objects; nothing was replaced (dry run)",
                     r->file, r->revision, r->objects);
        return code;
    }
    if (revision_now(r, &r->current, NULL) != 0)
        r->current = 0; /* its store is damaged: all the more reason */
    fctl_say(r->c, "Federation \"%s\" at %s goes back to revision %" PRIu64 " with %" PRId64 " objects", r->federation,
             r->hub->rest.server, r->revision, r->objects);
    code = put_in_place(r, err);
    if (!code)
        fctl_say(r->c,
                 "Restored; revisions go on from %" PRIu64 ". The store before is kept beside the new one as\n"
                 "store.db.replaced-N; delete it when all is well. Clusters follow within seconds: kubefed status",
                 r->current);
    return code;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct restore_conf *f = conf;
    struct fed_kubeconfig *k = NULL;
    struct restore r = {.c = c, .conf = f, .file = f->common.name, .fd = -1};
    int code = look_at_file(&r, err);
    if (!code)
        code = fctl_kubeconfig_load(c, &f->common, &k, err);
    if (!code)
        code = fctl_open_federation(c, k, &f->common, &r.hub, &r.federation, err);
    if (!code)
        code = restore(&r, err);
    if (r.fd >= 0)
        close(r.fd);
    fed_kubeconfig_free(k);
    return code;
}

const struct fctl_verb fctl_verb_restore = {
    .name = "restore",
    .settings = &settings,
    .conf_size = sizeof(struct restore_conf),
    .about =
        "The control plane checks the whole file before anything is replaced, starts again with it, and keeps the "
        "store\n"
        "before. Revisions go on above every one that was ever given out, so clients list again and miss nothing.\n"
        "It works when the control plane says that its store is damaged, too.",
    .examples = "  kubefed restore fed-2026-11-21.db --dry-run\n"
                "  kubefed restore fed-2026-11-21.db --yes --federation-context=fed",
    .check = check,
    .run = run,
    .needs_name = true};
