/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's file and the thread that writes it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apiserver/audit.h"
#include "base/mem.h"

#define BUFFER_MAX (32u << 20)

struct fed_audit_log {
    struct fed_audit_log_conf conf;
    char *path;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    /* under the lock */
    struct fed_buf waiting;
    int64_t wall_ms; /* of the last event: the thread has no clock of its own */
    bool ending;
    uint64_t lost; /* events */
    int lost_why;  /* errno; 0: the buffer was full */
    /* the thread's */
    int fd;
    uint64_t size;
    int open_error; /* why there is no file */
    bool torn;      /* the last write ended inside a line */
};

/* --- the file --- */

static bool is_stdout(const struct fed_audit_log *l)
{
    return strcmp(l->path, "-") == 0;
}

static int open_file(struct fed_audit_log *l)
{
    struct stat st;
    if (is_stdout(l)) {
        l->fd = STDOUT_FILENO;
        return 0;
    }
    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (l->fd < 0)
        return l->open_error = errno;
    l->size = fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    return 0;
}

static void close_file(struct fed_audit_log *l)
{
    if (l->fd >= 0 && !is_stdout(l))
        close(l->fd);
    l->fd = -1;
}

/* PATH without its extension, and the extension with its dot ("" when there is none). */
static void split_path(const char *path, struct fed_str *stem, const char **ext)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    if (!dot || (slash && dot < slash) || dot == path || (slash && dot == slash + 1))
        dot = path + strlen(path);
    *stem = fed_str_n(path, (size_t)(dot - path));
    *ext = dot;
}

/* "audit.log" -> "audit-2026-11-21T08-00-00.000.log" */
static char *backup_name(const struct fed_audit_log *l, int64_t wall_ms)
{
    struct fed_str stem;
    const char *ext;
    char when[21];
    split_path(l->path, &stem, &ext);
    fed_time_format(wall_ms, when);
    for (char *c = when; *c; c++)
        *c = *c == ':' ? '-' : *c;
    when[19] = 0; /* without the Z */
    return fed_asprintf("%.*s-%s.%03d%s", FED_STR_ARG(stem), when, (int)(wall_ms % 1000), ext);
}

static int by_text(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* The oldest renamed files go; their names sort by time. */
static void drop_old(struct fed_audit_log *l)
{
    struct fed_str stem;
    const char *ext;
    split_path(l->path, &stem, &ext);
    char *whole = fed_strdup_str(stem), *slash = strrchr(whole, '/');
    char *prefix = fed_asprintf("%s-", slash ? slash + 1 : whole);
    if (slash)
        *slash = 0;
    const char *folder = slash ? (*whole ? whole : "/") : ".";
    char **names = NULL;
    size_t n = 0;
    DIR *d = opendir(folder);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        struct fed_str name = fed_str(e->d_name);
        /* exactly PREFIX + "2026-11-21T08-00-00.000" + EXT: nothing else is ours */
        if (name.n != strlen(prefix) + 23 + strlen(ext) || !fed_str_starts(name, fed_str(prefix)) ||
            !fed_str_ends(name, fed_str(ext)))
            continue;
        names = fed_realloc(names, (n + 1) * sizeof(*names));
        names[n++] = fed_asprintf("%s/%s", folder, e->d_name);
    }
    if (d)
        closedir(d);
    if (n)
        qsort(names, n, sizeof(*names), by_text);
    for (size_t i = 0; i < n; i++) {
        if (i + l->conf.max_backup < n)
            unlink(names[i]);
        free(names[i]);
    }
    free(names);
    free(prefix);
    free(whole);
}

static void rotate(struct fed_audit_log *l, int64_t wall_ms)
{
    char *to = backup_name(l, wall_ms);
    while (access(to, F_OK) == 0) { /* two within a millisecond: the later name, or the first file would be lost */
        free(to);
        to = backup_name(l, ++wall_ms);
    }
    close_file(l);
    if (rename(l->path, to) == 0 && l->conf.max_backup)
        drop_old(l);
    free(to);
    (void)open_file(l);
}

/* Somebody renamed or removed the file (logrotate): go on in a new one. */
static void follow_name(struct fed_audit_log *l)
{
    struct stat ours, there;
    if (is_stdout(l) || (l->fd >= 0 && fstat(l->fd, &ours) == 0 && stat(l->path, &there) == 0 &&
                         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev))
        return;
    close_file(l);
    (void)open_file(l);
}

static bool write_all(struct fed_audit_log *l, struct fed_str bytes)
{
    while (bytes.n) {
        ssize_t n = l->fd < 0 ? -1 : write(l->fd, bytes.p, bytes.n);
        if (n < 0 && l->fd >= 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        l->size += (uint64_t)n;
        bytes = fed_str_from(bytes, (size_t)n);
    }
    return true;
}

static size_t count_lines(struct fed_str s)
{
    size_t n = 0;
    for (ptrdiff_t at = fed_str_chr(s, '\n', 0); at >= 0; at = fed_str_chr(s, '\n', (size_t)at + 1))
        n++;
    return n;
}

/* These lines are not in the file: what a failed write left of them is cut off again. */
static void drop_lines(struct fed_audit_log *l, struct fed_str lines, uint64_t begin, int why)
{
    size_t n = count_lines(lines);
    l->torn = l->fd >= 0 && l->size > begin && (is_stdout(l) || ftruncate(l->fd, (off_t)begin) != 0);
    if (!l->torn)
        l->size = begin;
    pthread_mutex_lock(&l->lock);
    l->lost += n;
    l->lost_why = why;
    pthread_mutex_unlock(&l->lock);
    if (l->conf.errors)
        fed_metric_add(l->conf.errors, (int64_t)n);
}

/* Whole lines, up to the file's size each time. */
static void write_batch(struct fed_audit_log *l, struct fed_str batch, int64_t wall_ms)
{
    follow_name(l);
    while (batch.n) {
        ptrdiff_t eol = fed_str_chr(batch, '\n', 0);
        size_t take = eol < 0 ? batch.n : (size_t)eol + 1;
        if (!is_stdout(l) && l->size && l->size + take > l->conf.max_bytes)
            rotate(l, wall_ms);
        while (take < batch.n && take < 65536) { /* more lines in one write */
            eol = fed_str_chr(batch, '\n', take);
            size_t with = eol < 0 ? batch.n : (size_t)eol + 1;
            if (!is_stdout(l) && l->size + with > l->conf.max_bytes)
                break;
            take = with;
        }
        uint64_t begin = l->size;
        errno = 0;
        if ((!l->torn || write_all(l, FED_STR("\n"))) && write_all(l, fed_str_head(batch, take)))
            l->torn = false;
        else
            drop_lines(l, fed_str_head(batch, take), begin, l->fd < 0 ? l->open_error : errno ? errno : EIO);
        batch = fed_str_from(batch, take);
    }
}

/* --- the thread --- */

static void *run(void *arg)
{
    struct fed_audit_log *l = arg;
    struct fed_buf batch = {0};
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->waiting.n && !l->ending)
            pthread_cond_wait(&l->more, &l->lock);
        if (!l->waiting.n)
            break;
        struct fed_buf full = l->waiting;
        int64_t wall_ms = l->wall_ms;
        fed_buf_reset(&batch);
        l->waiting = batch;
        batch = full;
        pthread_mutex_unlock(&l->lock);
        write_batch(l, fed_buf_str(&batch), wall_ms);
        if (batch.cap > 1u << 20) /* a flood has passed */
            fed_buf_release(&batch);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    fed_buf_release(&batch);
    return NULL;
}

int fed_audit_log_open(const struct fed_audit_log_conf *conf, struct fed_audit_log **out, struct fed_err *err)
{
    struct fed_audit_log *l = FED_NEW(struct fed_audit_log);
    sigset_t all, old;
    l->conf = *conf;
    l->path = fed_strdup(conf->path);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->more, NULL);
    int no = open_file(l);
    if (no == 0) {
        sigfillset(&all); /* signals are the loop's */
        pthread_sigmask(SIG_SETMASK, &all, &old);
        no = pthread_create(&l->thread, NULL, run, l);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
    }
    *out = l;
    if (no == 0)
        return 0;
    int rc = fed_err_set(err, fed_code_from_errno(no), "audit log: %s: %s", l->path, strerror(no));
    close_file(l);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->more);
    free(l->path);
    free(l);
    *out = NULL;
    return rc;
}

void fed_audit_log_put(struct fed_audit_log *l, struct fed_str line, int64_t wall_ms)
{
    pthread_mutex_lock(&l->lock);
    bool fits = l->waiting.n + line.n + 1 <= BUFFER_MAX;
    if (fits) {
        fed_buf_add(&l->waiting, line);
        fed_buf_addc(&l->waiting, '\n');
        l->wall_ms = wall_ms;
        pthread_cond_signal(&l->more);
    }
    if (!fits) {
        l->lost++;
        l->lost_why = 0;
    }
    pthread_mutex_unlock(&l->lock);
    struct fed_metric *m = fits ? l->conf.events : l->conf.errors;
    if (m)
        fed_metric_add(m, 1);
}

uint64_t fed_audit_log_lost(struct fed_audit_log *l, const char **why)
{
    pthread_mutex_lock(&l->lock);
    uint64_t n = l->lost;
    *why = l->lost_why ? strerror(l->lost_why) : "the disk does not follow";
    pthread_mutex_unlock(&l->lock);
    return n;
}

void fed_audit_log_close(struct fed_audit_log *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_signal(&l->more);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
    close_file(l);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->more);
    fed_buf_release(&l->waiting);
    free(l->path);
    free(l);
}
