/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/settings.h"

#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/yaml.h"

#define MAX_CONFIG   (1024 * 1024)
#define MAX_DIR_FILE (64 * 1024)
#define MAX_LIST     1024

/* Sources by strength; a setting already filled by a stronger one is not touched. */
enum source { FROM_NOTHING, FROM_DEFAULT, FROM_DIR, FROM_FILE, FROM_ENV, FROM_FLAG };

struct loader {
    const struct fed_settings *t;
    void *conf;
    struct fed_arena *a;
    unsigned char *set; /* enum source of each row */
    struct fed_err *err;
};

static void *member(const struct loader *l, const struct fed_setting *r)
{
    return (char *)l->conf + r->offset;
}

int fed_duration_parse(struct fed_str s, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    if (fed_str_is(s, "0")) {
        *ms = 0;
        return 0;
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(units); i++) {
        struct fed_str u = fed_str(units[i].unit);
        uint64_t v;
        if (fed_str_ends(s, u) && !fed_str_u64(fed_str_head(s, s.n - u.n), &v)) {
            if (v > (uint64_t)(INT64_MAX / units[i].ms))
                return FED_E_SYNTAX;
            *ms = (int64_t)v * units[i].ms;
            return 0;
        }
    }
    return FED_E_SYNTAX;
}

static int choice_index(const char *choices, struct fed_str v)
{
    struct fed_str rest = fed_str(choices), piece;
    for (int i = 0; fed_str_cut(&rest, '|', &piece); i++)
        if (fed_str_eq(piece, v))
            return i;
    return -1;
}

static void list_add(struct loader *l, struct fed_strings *list, struct fed_str v)
{
    const char **grown = FED_ARENA_ARRAY(l->a, const char *, list->n + 1);
    for (size_t i = 0; i < list->n; i++)
        grown[i] = list->v[i];
    grown[list->n] = fed_arena_dupz(l->a, v);
    list->v = grown;
    list->n++;
}

/* Lists in one text are separated by commas or line ends; empty pieces are dropped. */
static int list_add_text(struct loader *l, const struct fed_setting *r, struct fed_str text)
{
    struct fed_strings *list = member(l, r);
    struct fed_str line, piece;
    while (fed_str_cut(&text, '\n', &line)) {
        while (fed_str_cut(&line, ',', &piece)) {
            piece = fed_str_trim(piece);
            if (!piece.n)
                continue;
            if (list->n >= MAX_LIST)
                return fed_err_set(l->err, FED_E_LIMIT, "%s: more than %d values", r->name, MAX_LIST);
            list_add(l, list, piece);
        }
    }
    return 0;
}

static int check_range(struct loader *l, const struct fed_setting *r, int64_t v)
{
    if (r->max > r->min && (v < r->min || v > r->max))
        return fed_err_set(l->err, FED_E_INVALID, "%s: %lld is not between %lld and %lld%s", r->name, (long long)v,
                           (long long)r->min, (long long)r->max, r->type == FED_SET_DURATION ? " (milliseconds)" : "");
    return 0;
}

static int put_text(struct loader *l, const struct fed_setting *r, struct fed_str v)
{
    void *m = member(l, r);
    int64_t n;
    switch (r->type) {
    case FED_SET_STR:
        *(const char **)m = fed_arena_dupz(l->a, v);
        return 0;
    case FED_SET_INT:
        if (fed_str_i64(v, &n))
            return fed_err_set(l->err, FED_E_INVALID, "%s: \"%.*s\" is not a number", r->name, FED_STR_ARG(v));
        *(int64_t *)m = n;
        return check_range(l, r, n);
    case FED_SET_DURATION:
        if (fed_duration_parse(v, &n))
            return fed_err_set(l->err, FED_E_INVALID, "%s: \"%.*s\" is not a duration like 250ms, 10s or 5m", r->name,
                               FED_STR_ARG(v));
        *(int64_t *)m = n;
        return check_range(l, r, n);
    case FED_SET_BOOL:
        if (!fed_str_is(v, "true") && !fed_str_is(v, "false"))
            return fed_err_set(l->err, FED_E_INVALID, "%s: \"%.*s\" is neither true nor false", r->name,
                               FED_STR_ARG(v));
        *(bool *)m = fed_str_is(v, "true");
        return 0;
    case FED_SET_CHOICE:
        *(int *)m = choice_index(r->choices, v);
        if (*(int *)m < 0)
            return fed_err_set(l->err, FED_E_INVALID, "%s: \"%.*s\" is none of %s", r->name, FED_STR_ARG(v),
                               r->choices);
        return 0;
    case FED_SET_LIST:
        return list_add_text(l, r, v);
    }
    return fed_err_set(l->err, FED_E_INTERNAL, "%s: unknown type of setting", r->name);
}

static int offer(struct loader *l, size_t row, enum source src, struct fed_str v)
{
    const struct fed_setting *r = &l->t->rows[row];
    if (l->set[row] > src)
        return 0;
    if (l->set[row] == src && r->type != FED_SET_LIST)
        return fed_err_set(l->err, FED_E_INVALID, "%s is given twice", r->name);
    l->set[row] = (unsigned char)src;
    return put_text(l, r, v);
}

static const struct fed_setting *find_row(const struct fed_settings *t, struct fed_str name, size_t *row)
{
    for (size_t i = 0; i < t->n_rows; i++) {
        if (fed_str_is(name, t->rows[i].name)) {
            *row = i;
            return &t->rows[i];
        }
    }
    return NULL;
}

/* One argument that begins with "--"; *i moves past a value taken from the next argument. */
static int take_flag(struct loader *l, const struct fed_settings_input *in, int *i, struct fed_settings_result *res)
{
    struct fed_str arg = fed_str(in->argv[*i] + 2), name = arg, value = {NULL, 0};
    ptrdiff_t eq = fed_str_chr(arg, '=', 0);
    if (eq >= 0) {
        name = fed_str_head(arg, (size_t)eq);
        value = fed_str_from(arg, (size_t)eq + 1);
    }
    if (fed_str_is(name, "help")) {
        res->action = value.p && fed_str_is(value, "man") ? FED_SETTINGS_MAN : FED_SETTINGS_HELP;
        return 0;
    }
    if (fed_str_is(name, "version") || fed_str_is(name, "check")) {
        res->action = fed_str_is(name, "check") ? FED_SETTINGS_CHECK : FED_SETTINGS_VERSION;
        return 0;
    }
    size_t row = 0;
    bool config = fed_str_is(name, "config");
    const struct fed_setting *r = config ? NULL : find_row(l->t, name, &row);
    if (!r && !config)
        return fed_err_set(l->err, FED_E_INVALID, "unknown flag --%.*s; see --help", FED_STR_ARG(name));
    if (!value.p && r && r->type == FED_SET_BOOL)
        return offer(l, row, FROM_FLAG, FED_STR("true"));
    if (!value.p) {
        if (*i + 1 >= in->argc)
            return fed_err_set(l->err, FED_E_INVALID, "--%.*s needs a value", FED_STR_ARG(name));
        value = fed_str(in->argv[++*i]);
    }
    if (config) {
        res->config_path = fed_arena_dupz(l->a, value);
        return 0;
    }
    return offer(l, row, FROM_FLAG, value);
}

/* "-o VALUE", "-o=VALUE", "-oVALUE" */
static int take_letter(struct loader *l, const struct fed_settings_input *in, int *i)
{
    const char *arg = in->argv[*i], *value = arg + 2 + (arg[2] == '=');
    size_t row = 0;
    while (row < l->t->n_rows && l->t->rows[row].letter != arg[1])
        row++;
    if (row == l->t->n_rows)
        return fed_err_set(l->err, FED_E_INVALID, "unknown flag %s; see --help", arg);
    if (!*value && *i + 1 >= in->argc)
        return fed_err_set(l->err, FED_E_INVALID, "-%c needs a value", arg[1]);
    return offer(l, row, FROM_FLAG, fed_str(*value ? value : in->argv[++*i]));
}

static int load_flags(struct loader *l, const struct fed_settings_input *in, struct fed_settings_result *res)
{
    bool only_args = false;
    for (int i = 1; i < in->argc; i++) {
        const char *arg = in->argv[i];
        int rc = 0;
        if (!only_args && strcmp(arg, "--") == 0)
            only_args = true;
        else if (!only_args && strcmp(arg, "-h") == 0)
            res->action = FED_SETTINGS_HELP;
        else if (!only_args && strncmp(arg, "--", 2) == 0)
            rc = take_flag(l, in, &i, res);
        else if (!only_args && arg[0] == '-' && arg[1])
            rc = take_letter(l, in, &i);
        else if (res->args.n >= l->t->max_args)
            rc = fed_err_set(l->err, FED_E_INVALID, "unexpected argument \"%s\"; see --help", arg);
        else
            list_add(l, &res->args, fed_str(arg));
        if (rc)
            return rc;
    }
    return 0;
}

static int load_env(struct loader *l, const struct fed_settings_input *in)
{
    for (size_t i = 0; in->getenv && i < l->t->n_rows; i++) {
        const char *v = l->t->rows[i].env ? in->getenv(l->t->rows[i].env) : NULL;
        if (!v || !*v)
            continue;
        int rc = offer(l, i, FROM_ENV, fed_str(v));
        if (rc)
            return fed_err_wrap(l->err, rc, "environment variable %s", l->t->rows[i].env);
    }
    return 0;
}

static int put_json(struct loader *l, size_t row, const struct fed_json *v)
{
    const struct fed_setting *r = &l->t->rows[row];
    if (v->type == FED_JSON_NULL)
        return 0;
    if (v->type == FED_JSON_ARRAY && r->type == FED_SET_LIST) {
        int rc = 0;
        FED_JSON_EACH(item, v) {
            if (item->type != FED_JSON_STRING && item->type != FED_JSON_NUMBER)
                return fed_err_set(l->err, FED_E_INVALID, "%s: must be a list of strings", r->name);
            if ((rc = offer(l, row, FROM_FILE, item->s)))
                return rc;
        }
        return 0;
    }
    if (v->type == FED_JSON_BOOL)
        return offer(l, row, FROM_FILE, v->boolean ? FED_STR("true") : FED_STR("false"));
    if (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER)
        return offer(l, row, FROM_FILE, v->s);
    return fed_err_set(l->err, FED_E_INVALID, "%s: must be a single value", r->name);
}

static int load_file(struct loader *l, const char *path)
{
    struct fed_buf text;
    fed_buf_init(&text, MAX_CONFIG + 65536);
    int rc = fed_file_read(path, MAX_CONFIG, &text, l->err);
    struct fed_json *docs = NULL;
    if (!rc) {
        rc = fed_yaml_parse_all(l->a, fed_arena_dup(l->a, fed_buf_str(&text)), NULL, &docs, l->err);
        if (rc && l->err && l->err->line > 0)
            fed_err_wrap(l->err, rc, "%s:%d", path, l->err->line);
        else if (rc)
            fed_err_wrap(l->err, rc, "%s", path);
    }
    fed_buf_release(&text);
    const struct fed_json *doc = rc || !docs ? NULL : docs->first;
    if (!doc) /* an empty file sets nothing */
        return rc;
    if (doc->type != FED_JSON_OBJECT || docs->n != 1)
        return fed_err_set(l->err, FED_E_INVALID, "%s: must be one mapping of setting: value", path);
    FED_JSON_EACH(m, doc) {
        size_t row;
        if (!find_row(l->t, m->key, &row))
            return fed_err_set(l->err, FED_E_INVALID, "%s: unknown setting \"%.*s\"", path, FED_STR_ARG(m->key));
        if ((rc = put_json(l, row, m)))
            return fed_err_wrap(l->err, rc, "%s", path);
    }
    return 0;
}

static int load_dir(struct loader *l, const char *dir)
{
    for (size_t i = 0; i < l->t->n_rows; i++) {
        const struct fed_setting *r = &l->t->rows[i];
        if (!r->dir_key || l->set[i] > FROM_DIR)
            continue;
        struct fed_buf text;
        fed_buf_init(&text, MAX_DIR_FILE + 65536);
        struct fed_str path = fed_arena_printf(l->a, "%s/%s", dir, r->dir_key);
        int rc = fed_file_read(path.p, MAX_DIR_FILE, &text, l->err);
        if (!rc) {
            struct fed_str v = fed_str_trim(fed_buf_str(&text));
            if (v.n > 0 && (rc = offer(l, i, FROM_DIR, v)))
                fed_err_wrap(l->err, rc, "%s", path.p);
        } else if (rc == FED_E_NOT_FOUND) {
            rc = 0;
        }
        fed_buf_release(&text);
        if (rc)
            return rc;
    }
    return 0;
}

static int load_defaults(struct loader *l)
{
    for (size_t i = 0; i < l->t->n_rows; i++) {
        const struct fed_setting *r = &l->t->rows[i];
        if (l->set[i] != FROM_NOTHING)
            continue;
        if (r->required)
            return fed_err_set(l->err, FED_E_INVALID, "--%s %s is required: %s", r->name, r->arg ? r->arg : "",
                               r->help);
        int rc = r->dflt ? offer(l, i, FROM_DEFAULT, fed_str(r->dflt)) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static const char *dir_of(struct loader *l, const struct fed_settings_input *in)
{
    size_t row;
    if (!in->dir_setting || !find_row(l->t, fed_str(in->dir_setting), &row))
        return in->dir;
    const char *v = *(const char **)member(l, &l->t->rows[row]);
    return v ? v : l->t->rows[row].dflt;
}

int fed_settings_load(const struct fed_settings *t, const struct fed_settings_input *in, void *conf, size_t conf_size,
                      struct fed_arena *a, struct fed_settings_result *res, struct fed_err *err)
{
    struct fed_err local = {0};
    struct loader l = {.t = t, .conf = conf, .a = a, .err = err ? err : &local};
    memset(conf, 0, conf_size);
    *res = (struct fed_settings_result){0};
    l.set = FED_ARENA_ARRAY(a, unsigned char, t->n_rows + 1);
    int rc = load_flags(&l, in, res);
    if (rc || res->action == FED_SETTINGS_HELP || res->action == FED_SETTINGS_MAN ||
        res->action == FED_SETTINGS_VERSION)
        return rc;
    if (!res->config_path)
        res->config_path = in->config;
    if (!rc)
        rc = load_env(&l, in);
    if (!rc && res->config_path)
        rc = load_file(&l, res->config_path);
    const char *dir = dir_of(&l, in);
    if (!rc && dir)
        rc = load_dir(&l, dir);
    bool *given = FED_ARENA_ARRAY(a, bool, t->n_rows + 1);
    for (size_t i = 0; i < t->n_rows; i++)
        given[i] = l.set[i] > FROM_DEFAULT;
    res->given = given;
    return rc ? rc : load_defaults(&l);
}

int fed_settings_main(const struct fed_settings *t, const struct fed_settings_input *in, void *conf, size_t conf_size,
                      struct fed_arena *a, struct fed_settings_result *res)
{
    struct fed_err err = {0};
    if (fed_settings_load(t, in, conf, conf_size, a, res, &err)) {
        fprintf(stderr, "%s: %s\n", t->program, err.text);
        return 2;
    }
    if (res->action == FED_SETTINGS_RUN)
        return -1;
    struct fed_buf out = {0};
    if (res->action == FED_SETTINGS_HELP)
        fed_settings_help(t, &out);
    else if (res->action == FED_SETTINGS_MAN)
        fed_settings_man(t, &out);
    else if (res->action == FED_SETTINGS_VERSION)
        fed_buf_addf(&out, "%s %s\n", t->program, t->version ? t->version : "unknown");
    else
        fed_settings_show(t, conf, &out);
    size_t done = fwrite(out.p, 1, out.n, stdout);
    int status = done == out.n && fflush(stdout) == 0 ? 0 : 1;
    fed_buf_release(&out);
    return status;
}

int fed_settings_start(const struct fed_settings_maker *m, const struct fed_settings_input *in, int argc, char **argv,
                       void **out)
{
    struct fed_settings_result res;
    struct fed_arena a = {0};
    struct fed_err err = {0}, ignored;
    void *conf = fed_arena_alloc(&a, m->conf_size), *made = NULL;
    int status;
    /* Help and version need nothing made; --check prints only settings of which it can be. */
    int rc = fed_settings_load(m->table, in, conf, m->conf_size, &a, &res, &ignored);
    bool plain =
        rc || res.action == FED_SETTINGS_HELP || res.action == FED_SETTINGS_MAN || res.action == FED_SETTINGS_VERSION;
    if (!plain && !(made = m->load(argc, argv, &err))) {
        fprintf(stderr, "%s: %s\n", m->table->program, err.text);
        status = 2;
    } else {
        status = fed_settings_main(m->table, in, conf, m->conf_size, &a, &res);
    }
    fed_arena_release(&a);
    if (status >= 0 && made) {
        m->free(made);
        made = NULL;
    }
    *out = made;
    return status;
}

void fed_settings_stamp(const struct fed_settings *t, const struct fed_settings_result *res, const char *dir,
                        const char *const *more, size_t n_more, struct fed_file_stamp *out)
{
    struct fed_arena a = {0};
    size_t nth = 0;
    *out = (struct fed_file_stamp){0};
    fed_file_stamp_add(out, nth++, res->config_path);
    for (size_t i = 0; i < n_more; i++)
        fed_file_stamp_add(out, nth++, more[i]);
    for (size_t i = 0; dir && i < t->n_rows; i++)
        if (t->rows[i].dir_key)
            fed_file_stamp_add(out, nth++, fed_arena_printf(&a, "%s/%s", dir, t->rows[i].dir_key).p);
    fed_arena_release(&a);
}
