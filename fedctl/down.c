/* SPDX-License-Identifier: Apache-2.0 */
/* down.c: `kubefed down`: stops the clusters that `kubefed up` started in a folder, and nothing else. */
#include <unistd.h>

#include "base/mem.h"
#include "fedctl/folder.h"
#include "net/spawn.h"

#define STOP_LIMIT_MS 120000

struct down_conf {
    struct fctl_common common;
    const char *dir, *federation, *cluster;
    bool purge, yes;
};
struct stop { /* one `hansa-member stop` under way */
    struct fctl *c;
    const char *name;
    struct fed_child *child;
    bool done;
    int status;
};

#define ROW(member) FCTL_ROW(down_conf, member)
static const struct fed_setting rows[] = {
    {.name = "dir", .type = FED_SET_STR, .offset = ROW(dir), .arg = "DIR", .help = "As of `kubefed up`"},
    {.name = "federation",
     .type = FED_SET_STR,
     .offset = ROW(federation),
     .dflt = "fed",
     .arg = "NAME",
     .help = "Name of the federation, for the default of --dir"},
    {.name = "cluster", .type = FED_SET_STR, .offset = ROW(cluster), .arg = "NAME", .help = "Stop only this cluster"},
    {.name = "purge", .type = FED_SET_BOOL, .offset = ROW(purge), .help = "Delete the folder too, with all data"},
    {.name = "yes", .type = FED_SET_BOOL, .offset = ROW(yes), .help = "Do not ask before deleting"},
    FCTL_DRY_RUN_ROW(down_conf),
};
static const struct fed_settings settings = {.program = "kubefed down",
                                             .summary = "Stops what `kubefed up` started",
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check(struct fctl *c FED_UNUSED, void *conf, struct fed_err *err)
{
    struct down_conf *f = conf;
    if (f->purge && f->cluster)
        return fed_err_set(err, FED_E_INVALID, "--purge deletes the whole federation; leave --cluster out");
    if (f->purge && !f->yes && !f->common.dry_run && !isatty(STDIN_FILENO))
        return fed_err_set(err, FED_E_INVALID, "--purge deletes all data: without a terminal to ask on, say --yes");
    return 0;
}

static bool sure(const struct fctl_folder *d)
{
    char answer[16] = "";
    printf("Delete %s with all data of federation \"%s\"? [y/N] ", d->path, d->federation);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void stopped(void *ud, int status, int signo, struct fed_str out FED_UNUSED, struct fed_str errout)
{
    struct stop *s = ud;
    s->done = true;
    s->status = signo ? 1 : status;
    if (s->status)
        fprintf(stderr, "%s: %.*s\n", s->name, FED_STR_ARG(fed_str_trim(errout)));
    fed_loop_stop(s->c->loop);
}

static int start_stop(struct fctl *c, const struct fctl_folder *d, const char *name, struct stop *s,
                      struct fed_err *err)
{
    const char *dir = fed_arena_printf(&c->arena, "%s/%s", d->path, name).p, *program = NULL;
    const char *const words[] = {"hansa-member", "stop", "--dir", dir, "--stop-pods", NULL};
    *s = (struct stop){.c = c, .name = name, .done = true};
    if (access(dir, F_OK) != 0)
        return 0; /* never started */
    fctl_echo(c, words);
    int code = fctl_program(c, words[0], &program, err);
    if (code || c->dry_run)
        return code;
    const struct fed_spawn spec = {.file = program,
                                   .argv = words,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1,
                                   .timeout_ms = STOP_LIMIT_MS,
                                   .exited = stopped,
                                   .ud = s};
    code = fed_spawn(c->loop, &spec, &s->child, err);
    s->done = code != 0;
    return code;
}

static int stop_clusters(struct fctl *c, const struct fctl_folder *d, const char *only, struct fed_err *err)
{
    struct stop *stops = FED_ARENA_ARRAY(&c->arena, struct stop, d->n);
    size_t n = 0, failed = 0;
    int code = 0;
    for (size_t i = 0; i < d->n && !code; i++)
        if (!only || strcmp(only, d->clusters[i].name) == 0)
            code = start_stop(c, d, d->clusters[i].name, &stops[n++], err);
    if (only && n == 0)
        return fed_err_set(err, FED_E_NOT_FOUND, "the federation in %s has no cluster \"%s\"", d->path, only);
    for (size_t i = 0; i < n; i++) {
        while (!stops[i].done)
            fed_loop_run(c->loop);
        failed += stops[i].status != 0;
    }
    if (!code && failed)
        code = fed_err_set(err, FED_E_UNAVAILABLE, "%zu of %zu clusters could not be stopped (see above)", failed, n);
    return code;
}

static void say_stopped(struct fctl *c, const struct down_conf *f, const char *path)
{
    if (f->purge)
        fctl_say(c, "Stopped, and %s deleted", path);
    else if (f->cluster)
        fctl_say(c, "Stopped cluster \"%s\" of %s; `kubefed up` starts it again", f->cluster, path);
    else
        fctl_say(c, "Stopped the federation in %s; `kubefed up` goes on with all data", path);
}

static void echo_remove(struct fctl *c, const char *path)
{
    const char *const words[] = {"rm", "-r", path, NULL};
    fctl_echo(c, words);
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct down_conf *f = conf;
    struct fctl_folder d;
    const char *path = NULL;
    int code = fctl_folder_path(c, f->dir, f->federation, &path, err);
    if (code)
        return code;
    code = fctl_folder_open(c, path, &d, err);
    if (!code && !d.marked) {
        if (access(path, F_OK) != 0) {
            fctl_say(c, "Nothing to stop: there is no %s", path);
            return 0;
        }
        return fed_err_set(err, FED_E_INVALID, "%s has no federation that `kubefed up` made; nothing is touched", path);
    }
    if (!code && f->purge && !f->yes && !c->dry_run && !sure(&d)) {
        fctl_folder_close(&d);
        return fed_err_set(err, FED_E_CANCELED, "nothing is stopped or deleted");
    }
    if (!code)
        code = stop_clusters(c, &d, f->cluster, err);
    if (!code && f->purge && c->dry_run)
        echo_remove(c, path);
    else if (!code && f->purge)
        code = fctl_folder_remove(&d, err);
    if (!code && !c->dry_run)
        say_stopped(c, f, path);
    fctl_folder_close(&d);
    return code;
}

const struct fctl_verb fctl_verb_down = {
    .name = "down",
    .settings = &settings,
    .conf_size = sizeof(struct down_conf),
    .about = "Data stays: `kubefed up` goes on from there. Only processes of the folder are stopped.",
    .examples = "  kubefed down\n  kubefed down --cluster europe-west1\n  kubefed down --dir /srv/two --purge",
    .check = check,
    .run = run};
