/* SPDX-License-Identifier: Apache-2.0 */
/* Bind mounts in a private mount name space, without touching the host's tree: a target that does not exist is made in
 * a mirror of its nearest existing parent, that is a tmpfs mounted over it with each of its entries bound again. */
#include "member/shim/shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t w = write(fd, text, strlen(text));
    close(fd);
    return w < 0 ? -1 : 0;
}

static int enter_namespaces(void)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    char map[64];
    if (unshare(uid == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -1;
    if (uid != 0) { /* the same numbers inside: files keep their owner, and exec drops the capabilities again */
        snprintf(map, sizeof(map), "%u %u 1", uid, uid);
        if (write_text("/proc/self/setgroups", "deny") < 0 || write_text("/proc/self/uid_map", map) < 0)
            return -1;
        snprintf(map, sizeof(map), "%u %u 1", gid, gid);
        if (write_text("/proc/self/gid_map", map) < 0)
            return -1;
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* One entry of the mirrored folder: links are copied, all else is bound. An entry that cannot be bound (it vanished,
 * or is hidden from us) is left out. */
static void mirror_entry(const char *from, const char *to)
{
    struct stat st;
    char link[PATH_MAX];
    if (lstat(from, &st) < 0)
        return;
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(from, link, sizeof(link) - 1);
        if (n > 0) {
            link[n] = 0;
            (void)!symlink(link, to);
        }
        return;
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdir(to, 0755) < 0)
            return;
    } else {
        int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return;
        close(fd);
    }
    (void)!mount(from, to, NULL, MS_BIND | MS_REC, NULL);
}

/* Mounts a tmpfs at `at` that shows what the folder `dir` (an open descriptor) holds. */
static int mirror(int dir, const char *at)
{
    struct stat st;
    char opt[32], from[PATH_MAX], to[PATH_MAX];
    if (fstat(dir, &st) < 0)
        return -1;
    snprintf(opt, sizeof(opt), "mode=%o,size=1m", st.st_mode & 07777);
    if (mount("hansa", at, "tmpfs", MS_NOSUID | MS_NODEV, opt) < 0)
        return -1;
    DIR *d = fdopendir(dup(dir));
    if (!d)
        return -1;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(from, sizeof(from), "/proc/self/fd/%d/%s", dir, e->d_name);
        if ((size_t)snprintf(to, sizeof(to), "%s/%s", strcmp(at, "/") ? at : "", e->d_name) < sizeof(to))
            mirror_entry(from, to);
    }
    closedir(d);
    return 0;
}

/* The root itself cannot be covered in place: a mirror is built at `staging` and becomes the root. */
static int mirror_root(const char *staging)
{
    int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    int rc = mirror(dir, staging);
    close(dir);
    return rc < 0 ? -1 : (chdir(staging) < 0 || chroot(".") < 0) ? -1 : chdir("/");
}

static int mirror_parent(const char *parent, const char *staging)
{
    if (strcmp(parent, "/") == 0)
        return mirror_root(staging);
    int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    int rc = mirror(dir, parent);
    close(dir);
    return rc;
}

static int make_leaf(const char *path, bool folder)
{
    if (folder)
        return mkdir(path, 0755);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

/* Makes the folders (last: the leaf) of `rest` below out, which grows to the whole path. */
static int make_rest(const char *rest, bool folder, char out[PATH_MAX])
{
    size_t n = strlen(out);
    while (*rest) {
        size_t seg = strcspn(rest, "/");
        if (n + seg + 2 > PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        if (seg) {
            out[n++] = '/';
            memcpy(out + n, rest, seg);
            n += seg;
            out[n] = 0;
            if (make_leaf(out, rest[seg] == '/' ? true : folder) < 0 && errno != EEXIST)
                return -1;
        }
        rest += seg + (rest[seg] == '/');
    }
    return 0;
}

/* Makes `target` (absolute, below an existing folder) and writes its real path to out. */
static int make_target(const char *target, bool folder, const char *staging, char out[PATH_MAX])
{
    char path[PATH_MAX], real[PATH_MAX];
    if (realpath(target, out))
        return 0;
    if (strlen(target) >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(path, sizeof(path), "%s", target);
    char *cut = path + strlen(path); /* path[0..cut) is the longest part that exists */
    do {
        while (cut > path && *--cut != '/')
            ;
        *cut = 0;
    } while (cut > path && !realpath(path, real));
    if (cut == path)
        snprintf(real, sizeof(real), "/");
    static char mirrored[MBR_SHIM_CONTAINERS][PATH_MAX]; /* parents that are already ours */
    static size_t n_mirrored;
    bool ours = false;
    for (size_t i = 0; i < n_mirrored; i++)
        ours = ours || strcmp(real, mirrored[i]) == 0;
    if (!ours) {
        if (mirror_parent(real, staging) < 0)
            return -1;
        if (n_mirrored < MBR_SHIM_CONTAINERS)
            snprintf(mirrored[n_mirrored++], PATH_MAX, "%s", real);
    }
    snprintf(out, PATH_MAX, "%s", strcmp(real, "/") ? real : "");
    return make_rest(target + (cut - path) + 1, folder, out);
}
static int bind_one(const struct mbr_shim_mount *m, const char *staging)
{
    struct stat st;
    char target[PATH_MAX];
    struct statvfs vfs;
    if (stat(m->source, &st) < 0 || make_target(m->target, S_ISDIR(st.st_mode), staging, target) < 0)
        return -1;
    if (mount(m->source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -1;
    if (!m->read_only || statvfs(target, &vfs) < 0)
        return 0;
    unsigned long keep = 0; /* flags that a user name space may not take away */
    keep |= vfs.f_flag & ST_NOSUID ? MS_NOSUID : 0;
    keep |= vfs.f_flag & ST_NODEV ? MS_NODEV : 0;
    keep |= vfs.f_flag & ST_NOEXEC ? MS_NOEXEC : 0;
    (void)!mount(NULL, target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | keep, NULL);
    return 0;
}

int mbr_shim_enter_mounts(const struct mbr_shim_mount *mounts, size_t n, const char *staging, const char **what)
{
    *what = "name spaces";
    if (enter_namespaces() < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        *what = mounts[i].target;
        if (bind_one(&mounts[i], staging) < 0)
            return -1;
    }
    return 0;
}

int mbr_shim_probe_mounts(const char *staging)
{
    const struct mbr_shim_mount m = {"/proc", "/hansa-probe/x", true};
    const char *what;
    return mbr_shim_enter_mounts(&m, 1, staging, &what) == 0 ? 0 : 1;
}
