/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: one table of settings for a program; flags, --help, its YAML file, environment, a folder of single-value
 * files (a mounted ConfigMap) and the man page's option list all follow from it.
 *
 * Model:      a row names a setting and the member of the program's `struct x_conf` that it fills. Sources, strongest
 *             first: flag, environment variable, YAML file (--config), folder (the row's dir_key), default. A list given
 *             by a stronger source replaces the weaker one; a flag repeated adds to the list.
 *             Every table also has --config FILE, --check, --help, --version.
 * Invariants: strict: unknown flags and unknown YAML keys are errors that name themselves; numbers are range-checked.
 *             The folder is shared by several programs, so its unknown files are ignored.
 * Ownership:  conf's strings live in the arena given. A reload loads into a new conf and arena, then swaps: a failed
 *             load leaves the old one alone.
 * Threads:    any (no state). Blocks on files.
 *
 * Types of members: STR const char * (NULL when unset), INT int64_t, BOOL bool, LIST struct fed_strings,
 * CHOICE int (index into `choices`), DURATION int64_t milliseconds ("250ms", "10s", "5m", "1h", "0").
 */
#ifndef FED_CODEC_SETTINGS_H
#define FED_CODEC_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

struct fed_strings {
    const char **v;
    size_t n;
};

enum fed_setting_type { FED_SET_STR, FED_SET_INT, FED_SET_BOOL, FED_SET_LIST, FED_SET_CHOICE, FED_SET_DURATION };

struct fed_setting {
    const char *name; /* "metrics": flag --metrics, YAML key metrics */
    enum fed_setting_type type;
    size_t offset;       /* offsetof(struct x_conf, member) */
    const char *dflt;    /* as text; lists comma-separated; NULL: unset / 0 / false / empty */
    const char *arg;     /* "ADDR:PORT" in --help; NULL for BOOL */
    const char *help;    /* one sentence without the final stop */
    const char *dir_key; /* name of its file in the folder; NULL: not read from there */
    const char *env;     /* environment variable; NULL: none */
    const char *choices; /* CHOICE: "a|b|c" */
    int64_t min, max;    /* INT, DURATION (ms): checked when max > min */
    bool required;
    bool hidden; /* not in --help */
    char letter; /* 'o': also "-o VALUE" and "-oVALUE"; 0: none */
};

struct fed_settings {
    const char *program; /* "hansa-dns" */
    const char *summary; /* one line: what the program is */
    const char *args;    /* positional arguments in the usage line, or NULL */
    size_t max_args;     /* how many are allowed */
    const char *version;
    const struct fed_setting *rows;
    size_t n_rows;
};

enum fed_settings_action {
    FED_SETTINGS_RUN,
    FED_SETTINGS_CHECK,
    FED_SETTINGS_HELP,
    FED_SETTINGS_MAN,
    FED_SETTINGS_VERSION
};
struct fed_settings_result {
    enum fed_settings_action action;
    const char *config_path; /* --config, or NULL */
    struct fed_strings args; /* positional */
    const bool *given;       /* row by row: some source gave it, it is no default; in the arena */
};
struct fed_settings_input {
    int argc;
    char *const *argv;                       /* argv[0] is skipped */
    const char *(*getenv)(const char *name); /* NULL: no environment */
    const char *config;                      /* YAML file when no --config was given; must exist when set; NULL: none */
    const char *dir;                         /* folder; absent on disk: ignored; NULL: none. */
    const char *dir_setting;                 /* name of the row (STR) that tells the folder, instead of `dir`; NULL */
};

/* Fills *conf (zeroed first, conf_size bytes). FED_E_INVALID or FED_E_SYNTAX with the words for the user. With action
 * HELP, MAN or VERSION nothing else is filled; required settings are not asked for then. */
FED_MUST_USE int fed_settings_load(const struct fed_settings *t, const struct fed_settings_input *in, void *conf,
                                   size_t conf_size, struct fed_arena *a, struct fed_settings_result *res,
                                   struct fed_err *err);
void fed_settings_help(const struct fed_settings *t, struct fed_buf *out); /* --help */
void fed_settings_man(const struct fed_settings *t, struct fed_buf *out);  /* --help=man: a man page, section 8 */
/* The effective values as YAML (what --check prints). */
void fed_settings_show(const struct fed_settings *t, const void *conf, struct fed_buf *out);

/* "250ms", "10s", "5m", "1h", "0" to milliseconds; 0 or FED_E_SYNTAX. */
FED_MUST_USE int fed_duration_parse(struct fed_str s, int64_t *ms);

/* What nearly every main does first: loads; prints help, man page, version or the checked configuration to stdout, or
 * the error to stderr. Returns -1 to go on, else the exit status. (The one function here that prints.) */
FED_MUST_USE int fed_settings_main(const struct fed_settings *t, const struct fed_settings_input *in, void *conf,
                                   size_t conf_size, struct fed_arena *a, struct fed_settings_result *res);

/* The start of a program that makes something of its settings and can make it again: as fed_settings_main, and *out =
 * load(argc, argv, err), so that --check refuses what load refuses. Returns -1 to go on, else the exit status. */
struct fed_settings_maker {
    const struct fed_settings *table;
    size_t conf_size;
    void *(*load)(int argc, char **argv, struct fed_err *err); /* NULL with err set */
    void (*free)(void *made);
};
FED_MUST_USE int fed_settings_start(const struct fed_settings_maker *m, const struct fed_settings_input *in, int argc,
                                    char **argv, void **out);
/* The sources that settings were loaded from, as one stamp: the YAML file, the folder's single-value files, and `more`
 * files (NULLs are skipped). */
void fed_settings_stamp(const struct fed_settings *t, const struct fed_settings_result *res, const char *dir,
                        const char *const *more, size_t n_more, struct fed_file_stamp *out);

#endif
