/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define MARKER           ".hansa-federation"
#define MAX_MARKER       (1 << 20)
#define MAX_OPEN_FOLDERS 32

int fctl_folder_path(struct fctl *c, const char *flag, const char *federation, const char **path, struct fed_err *err)
{
    struct fed_arena *a = &c->arena;
    const char *state = c->getenv("XDG_STATE_HOME"), *home = c->getenv("HOME");
    char cwd[PATH_MAX];
    if (flag && flag[0] == '/')
        *path = flag;
    else if (flag && flag[0]) {
        if (!getcwd(cwd, sizeof(cwd)))
            return fed_err_set(err, fed_code_from_errno(errno), "current folder: %s", strerror(errno));
        *path = fed_arena_printf(a, "%s/%s", cwd, flag).p;
    } else if (state && state[0] == '/')
        *path = fed_arena_printf(a, "%s/hansa/%s", state, federation).p;
    else if (home && home[0] == '/')
        *path = fed_arena_printf(a, "%s/.local/state/hansa/%s", home, federation).p;
    else
        return fed_err_set(err, FED_E_INVALID, "neither --dir nor $XDG_STATE_HOME nor $HOME says where to keep things");
    return 0;
}

/* --- the marker --- */

static const char *text_of(struct fctl *c, const struct fed_json *v, const char *key)
{
    struct fed_str s = fed_json_find_text(v, key);
    return s.n ? fed_arena_dupz(&c->arena, s) : NULL;
}

static int read_marker(struct fctl *c, struct fctl_folder *f, struct fed_err *err)
{
    const char *path = fed_arena_printf(&c->arena, "%s/" MARKER, f->path).p;
    struct fed_buf text = {0};
    struct fed_json *v = NULL;
    int code = fed_file_read(path, MAX_MARKER, &text, err);
    if (!code)
        code = fed_json_parse(&c->arena, fed_arena_dup(&c->arena, fed_buf_str(&text)), NULL, &v, err);
    fed_buf_release(&text);
    if (code == FED_E_NOT_FOUND) {
        if (err)
            *err = (struct fed_err){0};
        return 0;
    }
    if (code)
        return fed_err_wrap(err, code, "%s", path);
    struct fed_json *clusters = fed_json_find(v, "clusters");
    f->marked = true;
    f->federation = text_of(c, v, "federation");
    f->zone = text_of(c, v, "zone");
    f->clusters = FED_ARENA_ARRAY(&c->arena, struct fctl_place, clusters ? clusters->n + 1 : 1);
    FED_JSON_EACH(item, clusters) {
        struct fctl_place p = {text_of(c, item, "name"), text_of(c, item, "region"), text_of(c, item, "zone"),
                               text_of(c, item, "coordinates"), text_of(c, item, "labels")};
        if (p.name)
            f->clusters[f->n++] = p;
    }
    struct fed_json *overrides = fed_json_find(v, "apiserverArgOverrides");
    f->overrides.v = FED_ARENA_ARRAY(&c->arena, const char *, overrides ? overrides->n + 1 : 1);
    FED_JSON_EACH(item, overrides)
        f->overrides.v[f->overrides.n++] = fed_arena_dupz(&c->arena, fed_json_str(item));
    if (!f->federation || !f->zone)
        return fed_err_set(err, FED_E_CORRUPT, "%s: names no federation or zone", path);
    return 0;
}

static void put(struct fed_arena *a, struct fed_json *obj, const char *key, const char *value)
{
    if (value)
        fed_json_set(obj, key, fed_json_new_strz(a, value));
}

static int write_marker(struct fctl *c, const struct fctl_folder *f, struct fed_err *err)
{
    struct fed_arena *a = &c->arena;
    struct fed_json *v = fed_json_object(a);
    struct fed_buf text = {0}, old = {0};
    const char *path = fed_arena_printf(a, "%s/" MARKER, f->path).p;
    put(a, v, "federation", f->federation);
    put(a, v, "zone", f->zone);
    struct fed_json *list = fed_json_set(v, "clusters", fed_json_array(a));
    for (size_t i = 0; i < f->n; i++) {
        struct fed_json *item = fed_json_push(list, fed_json_object(a));
        put(a, item, "name", f->clusters[i].name);
        put(a, item, "region", f->clusters[i].region);
        put(a, item, "zone", f->clusters[i].zone);
        put(a, item, "coordinates", f->clusters[i].coordinates);
        put(a, item, "labels", f->clusters[i].labels);
    }
    list = fed_json_set(v, "apiserverArgOverrides", fed_json_array(a));
    for (size_t i = 0; i < f->overrides.n; i++)
        fed_json_push(list, fed_json_new_strz(a, f->overrides.v[i]));
    fed_json_write_indent(&text, v, 2);
    fed_buf_addc(&text, '\n');
    int code = fed_file_read(path, MAX_MARKER, &old, NULL);
    if (code || !fed_str_eq(fed_buf_str(&old), fed_buf_str(&text)))
        code = fed_file_write_atomic(path, fed_buf_str(&text), 0600, err);
    fed_buf_release(&old);
    fed_buf_release(&text);
    return code;
}

/* --- the folder --- */

static int take_lock(struct fctl *c, struct fctl_folder *f, struct fed_err *err)
{
    const char *path = fed_arena_printf(&c->arena, "%s/.lock", f->path).p;
    f->lock_fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (f->lock_fd < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return fed_err_set(err, FED_E_BUSY, "%s: another `kubefed up` or `down` is at work here", f->path);
    return 0;
}

int fctl_folder_open(struct fctl *c, const char *path, struct fctl_folder *out, struct fed_err *err)
{
    *out = (struct fctl_folder){.path = path, .lock_fd = -1};
    int code = read_marker(c, out, err);
    return code || !out->marked ? code : take_lock(c, out, err);
}

/* What an `up` leaves that is interrupted before the marker is there does not count. */
static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    bool empty = true;
    if (!d)
        return true;
    for (struct dirent *e; (e = readdir(d)) && empty;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, ".lock") == 0 ||
                strncmp(e->d_name, MARKER ".tmp.", strlen(MARKER ".tmp.")) == 0;
    closedir(d);
    return empty;
}

int fctl_folder_save(struct fctl *c, struct fctl_folder *f, struct fed_err *err)
{
    if (!f->marked && !is_empty(f->path))
        return fed_err_set(
            err, FED_E_ALREADY_EXISTS,
            "%s is not empty and not a federation's (no " MARKER "); name an empty or new folder with --dir", f->path);
    int code = fed_file_mkdirs(f->path, 0700, err);
    if (!code && chmod(f->path, 0700) != 0)
        code = fed_err_set(err, fed_code_from_errno(errno), "%s: %s", f->path, strerror(errno));
    if (!code && f->lock_fd < 0)
        code = take_lock(c, f, err);
    if (!code)
        code = write_marker(c, f, err);
    f->marked = f->marked || code == 0;
    return code;
}

void fctl_folder_close(struct fctl_folder *f)
{
    if (f->lock_fd >= 0)
        close(f->lock_fd);
    f->lock_fd = -1;
}

/* The marker goes last: an interrupted purge can be repeated. */
static int remove_entry(const char *path, const struct stat *st FED_UNUSED, int type FED_UNUSED, struct FTW *ftw)
{
    return ftw->level == 0 || (ftw->level == 1 && strcmp(path + ftw->base, MARKER) == 0) ? 0 : remove(path);
}

int fctl_folder_remove(const struct fctl_folder *f, struct fed_err *err)
{
    FED_REQUIRE(f->marked);
    char *marker = fed_asprintf("%s/" MARKER, f->path);
    /* Links are not followed, and another file system mounted below is not entered. */
    bool gone = nftw(f->path, remove_entry, MAX_OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 &&
                (remove(marker) == 0 || errno == ENOENT) && remove(f->path) == 0;
    free(marker);
    return gone ? 0
                : fed_err_set(err, fed_code_from_errno(errno), "%s: not wholly removed: %s", f->path, strerror(errno));
}

/* --- programs --- */

int fctl_program(struct fctl *c, const char *name, const char **path, struct fed_err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return fed_err_set(err, fed_code_from_errno(errno), "/proc/self/exe: %s", strerror(errno));
    while (n > 0 && self[n - 1] != '/')
        n--;
    *path = fed_arena_printf(&c->arena, "%.*s%s", (int)n, self, name).p;
    if (access(*path, X_OK) != 0)
        return fed_err_set(err, FED_E_NOT_FOUND, "%s: %s; it belongs beside kubefed", *path, strerror(errno));
    return 0;
}

static void add_quoted(struct fctl *c, const char *w)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@+";
    if (w[0] && strspn(w, plain) == strlen(w)) {
        fputs(w, c->out);
        return;
    }
    fputc('\'', c->out);
    for (; *w; w++)
        if (*w == '\'')
            fputs("'\\''", c->out);
        else
            fputc(*w, c->out);
    fputc('\'', c->out);
}

static void add_words(struct fctl *c, const char *const *words)
{
    fputc('+', c->out);
    for (; *words; words++) {
        fputc(' ', c->out);
        add_quoted(c, *words);
    }
}

void fctl_echo(struct fctl *c, const char *const *words)
{
    add_words(c, words);
    fputc('\n', c->out);
    fflush(c->out);
}

void fctl_echo_into(struct fctl *c, const char *const *words, const char *file, bool background)
{
    add_words(c, words);
    fputs(background ? " >>" : " >", c->out);
    add_quoted(c, file);
    fputs(background ? " 2>&1 &\n" : "\n", c->out);
    fflush(c->out);
}
