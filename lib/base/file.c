/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int fail(struct fed_err *err, const char *what, const char *path)
{
    int e = errno;
    return fed_err_set(err, fed_code_from_errno(e), "%s %s: %s", what, path, strerror(e));
}

int fed_file_read(const char *path, size_t max, struct fed_buf *out, struct fed_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "open", path);
    char piece[16384]; /* the buffer may have room for what the file has and not one byte more */
    size_t total = 0;
    int rc = 0;
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fail(err, "read", path);
        if (n <= 0)
            break;
        total += (size_t)n;
        if (total > max) {
            rc = fed_err_set(err, FED_E_LIMIT, "read %s: longer than %zu bytes", path, max);
            break;
        }
        fed_buf_add(out, (struct fed_str){piece, (size_t)n});
        if (out->failed) {
            rc = fed_err_set(err, FED_E_LIMIT, "read %s: too large", path);
            break;
        }
    }
    close(fd);
    return rc;
}

static int write_all(int fd, struct fed_str bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = fed_str_from(bytes, (size_t)n);
    }
    return 0;
}

/* A rename is durable only after its folder was synced. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? fed_strdup_str(fed_str_n(path, slash == path ? 1 : (size_t)(slash - path))) : fed_strdup(".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    free(dir);
}

int fed_file_write_atomic(const char *path, struct fed_str bytes, unsigned mode, struct fed_err *err)
{
    char *tmp = fed_asprintf("%s.tmp.%ld", path, (long)getpid());
    int rc = 0;
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    if (fd < 0) {
        rc = fail(err, "create", tmp);
        free(tmp);
        return rc;
    }
    if (fchmod(fd, (mode_t)mode) || write_all(fd, bytes) || fsync(fd))
        rc = fail(err, "write", tmp);
    if (close(fd) && !rc)
        rc = fail(err, "close", tmp);
    if (!rc && rename(tmp, path))
        rc = fail(err, "rename to", path);
    if (rc)
        unlink(tmp);
    else
        sync_folder(path);
    free(tmp);
    return rc;
}

int fed_file_mkdirs(const char *path, unsigned mode, struct fed_err *err)
{
    char *p = fed_strdup(path);
    int rc = 0;
    for (char *s = p + 1; !rc; s++) {
        if (*s != '/' && *s != '\0')
            continue;
        char was = *s;
        *s = '\0';
        if (mkdir(p, (mode_t)mode) && errno != EEXIST)
            rc = fail(err, "make folder", p);
        *s = was;
        if (was == '\0' || s[1] == '\0')
            break;
    }
    free(p);
    return rc;
}

bool fed_file_stamp(const char *path, struct fed_file_stamp *out)
{
    struct stat st;
    memset(out, 0, sizeof(*out));
    if (!path || stat(path, &st))
        return false;
    out->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    out->size = (uint64_t)st.st_size;
    out->inode = st.st_ino;
    return true;
}

void fed_file_stamp_add(struct fed_file_stamp *sum, size_t nth, const char *path)
{
    struct fed_file_stamp one;
    if (!fed_file_stamp(path, &one))
        return;
    /* Any difference is a change; sums may wrap. */
    sum->mtime_ns += one.mtime_ns * (nth + 1);
    sum->size += one.size * (nth + 1);
    sum->inode += one.inode * (nth + 1);
}

static int remove_one(const char *path, const struct stat *st FED_UNUSED, int type FED_UNUSED,
                      struct FTW *at FED_UNUSED)
{
    (void)!remove(path);
    return 0;
}

void fed_file_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
