/* SPDX-License-Identifier: Apache-2.0 */
/* backup.c: `kubefed backup`: the store of a running federation as one file. The control plane makes a copy of it at one
 * moment and checks it; it comes here in pieces, and counts when its checksum is the control plane's. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypto/digest.h"
#include "fedctl/fedctl.h"

struct backup_conf {
    struct fctl_common common;
};
struct backup {
    struct fctl *c;
    struct fctl_api *hub;
    const char *federation, *file, *partial, *name;
    struct fed_str sha256, revision;
    int64_t bytes, objects;
    int fd;
    bool to_stdout;
};

static const struct fed_setting rows[] = {
    FCTL_FEDERATION_ROW(backup_conf), FCTL_HOST_ROW(backup_conf),          FCTL_NS_ROW(backup_conf),
    FCTL_KUBECONFIG_ROW(backup_conf), FCTL_TIMEOUT_ROW(backup_conf, "5m"), FCTL_CONTEXT_ROW(backup_conf),
    FCTL_DRY_RUN_ROW(backup_conf),
};
static const struct fed_settings settings = {.program = "kubefed backup",
                                             .summary = "Saves the state of a running federation to a file",
                                             .args = "FILE",
                                             .max_args = 16,
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check(struct fctl *c FED_UNUSED, void *conf, struct fed_err *err)
{
    const struct backup_conf *f = conf;
    if (strcmp(f->common.name, "-") != 0 && access(f->common.name, F_OK) == 0)
        return fed_err_set(err, FED_E_ALREADY_EXISTS, "%s exists; a backup never overwrites a file", f->common.name);
    return 0;
}

static int make_copy(struct backup *b, const struct backup_conf *f, struct fed_err *err)
{
    struct fed_json *made = NULL;
    struct fed_call_request req = {.method = "POST",
                                   .path = FED_STR("/apis/federation/v1beta1/backups"),
                                   .timeout_ms = (uint32_t)f->common.timeout,
                                   .body = FED_STR("{\"kind\":\"Backup\",\"apiVersion\":\"federation/v1beta1\"}")};
    int code = fctl_call(b->hub, &req, &made, err);
    if (code)
        return code;
    const struct fed_json *status = fed_json_find(made, "status");
    b->name = fed_arena_dupz(&b->c->arena, fed_obj_name(made));
    b->sha256 = fed_json_find_text(status, "sha256");
    b->revision = fed_json_find_text(status, "revision");
    b->bytes = fed_json_int(fed_json_find(status, "bytes"), 0);
    b->objects = fed_json_int(fed_json_find(status, "objects"), 0);
    return 0;
}

static int put(struct backup *b, struct fed_str bytes, struct fed_err *err)
{
    while (bytes.n) {
        ssize_t n = write(b->fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", b->to_stdout ? "standard output" : b->partial,
                               strerror(errno));
        bytes = fed_str_from(bytes, (size_t)n);
    }
    return 0;
}

static int fetch(struct backup *b, struct fed_err *err)
{
    struct fed_digest *sum = fed_digest_new();
    struct fed_buf piece = {0};
    char path[160], hex[65];
    int code = 0;
    for (int64_t at = 0; at < b->bytes && !code; at += (int64_t)piece.n) {
        fed_buf_reset(&piece);
        snprintf(path, sizeof(path), "/apis/federation/v1beta1/backups/%s/content?offset=%" PRId64, b->name, at);
        struct fed_call_request req = {.method = "GET", .path = fed_str(path), .accept = FED_STR("*/*")};
        code = fctl_call_bytes(b->hub, &req, &piece, err);
        if (!code && piece.n == 0)
            code = fed_err_set(err, FED_E_END, "the copy ends after %" PRId64 " of %" PRId64 " bytes", at, b->bytes);
        if (!code)
            code = put(b, fed_buf_str(&piece), err);
        fed_digest_add(sum, fed_buf_str(&piece));
    }
    fed_digest_end(sum, hex);
    fed_buf_release(&piece);
    if (!code && !fed_str_is(b->sha256, hex))
        code = fed_err_set(err, FED_E_CORRUPT, "what arrived is not what was sent (SHA-256 differs); try again");
    return code;
}

static int open_file(struct backup *b, struct fed_err *err)
{
    b->fd = b->to_stdout ? STDOUT_FILENO : open(b->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (b->fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", b->partial, strerror(errno));
    return 0;
}

/* On the disk under its name, or not at all. */
static int keep_file(struct backup *b, struct fed_err *err)
{
    char *dir = fed_strdup(b->file), *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir ? 1 : 0] = '\0';
    int code = fsync(b->fd) == 0 && link(b->partial, b->file) == 0 && unlink(b->partial) == 0
                   ? 0
                   : fed_err_set(err, fed_code_from_errno(errno), "%s: %s", b->file, strerror(errno));
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!code && (fd < 0 || fsync(fd) != 0))
        code = fed_err_set(err, FED_E_IO, "%s: %s", dir, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(dir);
    return code;
}

static int copy_all(struct backup *b, const struct backup_conf *f, struct fed_err *err)
{
    char path[160];
    int code = make_copy(b, f, err);
    if (code)
        return code;
    code = open_file(b, err);
    if (!code)
        code = fetch(b, err);
    if (!code && !b->to_stdout)
        code = keep_file(b, err);
    if (b->fd >= 0 && !b->to_stdout) {
        close(b->fd);
        if (code)
            unlink(b->partial);
    }
    snprintf(path, sizeof(path), "/apis/federation/v1beta1/backups/%s", b->name);
    struct fed_call_request req = {.method = "DELETE", .path = fed_str(path)};
    (void)!fctl_call(b->hub, &req, NULL, NULL); /* else the control plane forgets it by itself */
    return code;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct backup_conf *f = conf;
    struct fed_kubeconfig *k = NULL;
    struct backup b = {.c = c, .file = f->common.name, .fd = -1};
    b.to_stdout = strcmp(b.file, "-") == 0;
    b.partial = fed_arena_printf(&c->arena, "%s.part", b.file).p;
    int code = fctl_kubeconfig_load(c, &f->common, &k, err);
    if (!code)
        code = fctl_open_federation(c, k, &f->common, &b.hub, &b.federation, err);
    if (!code && c->dry_run)
        fctl_say(c, "Federation \"%s\" at %s would be saved to %s (dry run)", b.federation, b.hub->rest.server,
                 b.to_stdout ? "standard output" : b.file);
    else if (!code)
        code = copy_all(&b, f, err);
    if (!code && !c->dry_run)
        fprintf(b.to_stdout ? stderr : c->out,
                "Saved federation \"%s\" to %s: revision %.*s, %" PRId64 " objects, %" PRId64 " bytes\nSHA-256 %.*s\n",
                b.federation, b.to_stdout ? "standard output" : b.file, FED_STR_ARG(b.revision), b.objects, b.bytes,
                FED_STR_ARG(b.sha256));
    fed_kubeconfig_free(k);
    return code;
}

const struct fctl_verb fctl_verb_backup = {
    .name = "backup",
    .settings = &settings,
    .conf_size = sizeof(struct backup_conf),
    .about =
        "The file holds everything that the federation's API holds, Secrets and the clusters' credentials among it:\n"
        "it is readable for its owner only, and should stay so. FILE \"-\" is standard output. The control plane goes\n"
        "on meanwhile. The keys of its certificates are not in it; they are a Secret of the host cluster.",
    .examples = "  kubefed backup fed-$(date +%F).db\n"
                "  kubefed backup - --federation-context=fed | age -r age1... > fed.db.age",
    .check = check,
    .run = run,
    .needs_name = true};
