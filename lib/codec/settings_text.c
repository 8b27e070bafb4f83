/* SPDX-License-Identifier: Apache-2.0 */
/* The texts that follow from a table of settings: --help, the man page, the effective configuration. */
#include "base/mem.h"
#include "codec/json.h"
#include "codec/settings.h"
#include "codec/yaml.h"

static const struct fed_setting own[] = {
    {.name = "config", .arg = "FILE", .help = "read settings from this YAML file (keys as the flags)"},
    {.name = "check", .type = FED_SET_BOOL, .help = "check the settings, print them and exit"},
    {.name = "help", .type = FED_SET_BOOL, .help = "print this text and exit (--help=man: the man page)"},
    {.name = "version", .type = FED_SET_BOOL, .help = "print the version and exit"},
};

static void add_facts(const struct fed_setting *r, struct fed_buf *out, const char *bold, const char *roman)
{
    if (r->choices)
        fed_buf_addf(out, "; one of %s", r->choices);
    if (r->dflt)
        fed_buf_addf(out, " (default %s%s%s)", bold, r->dflt, roman);
    if (r->type == FED_SET_LIST)
        fed_buf_addz(out, "; may be repeated");
    if (r->env)
        fed_buf_addf(out, "; environment: %s%s%s", bold, r->env, roman);
    if (r->required)
        fed_buf_addz(out, "; required");
}

static void help_row(const struct fed_setting *r, struct fed_buf *out)
{
    size_t start = out->n;
    fed_buf_addf(out, "  --%s", r->name);
    if (r->letter)
        fed_buf_addf(out, ", -%c", r->letter);
    fed_buf_addf(out, "%s%s", r->arg ? " " : "", r->arg ? r->arg : "");
    if (out->n - start > 30) {
        fed_buf_addc(out, '\n');
        start = out->n;
    }
    while (out->n - start < 32 && !out->failed)
        fed_buf_addc(out, ' ');
    fed_buf_addz(out, r->help);
    add_facts(r, out, "", "");
    fed_buf_addc(out, '\n');
}

void fed_settings_help(const struct fed_settings *t, struct fed_buf *out)
{
    fed_buf_addf(out, "%s: %s\n\nUsage: %s [flags]%s%s\n\nFlags:\n", t->program, t->summary, t->program,
                 t->args ? " " : "", t->args ? t->args : "");
    for (size_t i = 0; i < t->n_rows; i++)
        if (!t->rows[i].hidden)
            help_row(&t->rows[i], out);
    for (size_t i = 0; i < FED_ARRAY_LEN(own); i++)
        help_row(&own[i], out);
    fed_buf_addz(out,
                 "\nSettings may also stand in the YAML file of --config under the same names; a flag is stronger.\n");
}

/* roff: backslashes doubled, and a dot or quote may not begin a line (no text of ours does). */
static void roff(struct fed_buf *out, const char *z)
{
    for (; *z; z++) {
        if (*z == '\\')
            fed_buf_addz(out, "\\e");
        else if (*z == '-')
            fed_buf_addz(out, "\\-");
        else
            fed_buf_addc(out, *z);
    }
}

static void man_row(const struct fed_setting *r, struct fed_buf *out)
{
    fed_buf_addz(out, ".TP\n.B \\-\\-");
    roff(out, r->name);
    if (r->arg) {
        fed_buf_addz(out, " \\fI");
        roff(out, r->arg);
        fed_buf_addz(out, "\\fR");
    }
    fed_buf_addc(out, '\n');
    roff(out, r->help);
    add_facts(r, out, "\\fB", "\\fR");
    fed_buf_addz(out, ".\n");
}

void fed_settings_man(const struct fed_settings *t, struct fed_buf *out)
{
    fed_buf_addz(out,
                 ".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made by --help=man from the table of settings.\n");
    fed_buf_addf(out, ".TH %s 8 \"\" \"hansa\" \"Hansa\"\n.SH NAME\n", t->program);
    roff(out, t->program);
    fed_buf_addz(out, " \\- ");
    roff(out, t->summary);
    fed_buf_addz(out, "\n.SH SYNOPSIS\n.B ");
    roff(out, t->program);
    fed_buf_addf(out, "\n[flags]%s%s\n.SH OPTIONS\n", t->args ? " " : "", t->args ? t->args : "");
    for (size_t i = 0; i < t->n_rows; i++)
        if (!t->rows[i].hidden)
            man_row(&t->rows[i], out);
    for (size_t i = 0; i < FED_ARRAY_LEN(own); i++)
        man_row(&own[i], out);
    fed_buf_addz(
        out, ".SH FILES\nThe YAML file of\n.B \\-\\-config\nholds the same settings under the same names; a flag is "
             "stronger.\n");
}

static struct fed_json *value_node(const struct fed_setting *r, const void *conf, struct fed_arena *a)
{
    const char *m = (const char *)conf + r->offset;
    switch (r->type) {
    case FED_SET_STR:
        return *(const char *const *)m ? fed_json_new_strz(a, *(const char *const *)m) : NULL;
    case FED_SET_INT:
        return fed_json_new_int(a, *(const int64_t *)m);
    case FED_SET_BOOL:
        return fed_json_new_bool(a, *(const bool *)m);
    case FED_SET_DURATION:
        return fed_json_new_strf(a, "%lldms", (long long)*(const int64_t *)m);
    case FED_SET_CHOICE: {
        struct fed_str rest = fed_str(r->choices), piece = {NULL, 0};
        for (int i = 0; i <= *(const int *)m && fed_str_cut(&rest, '|', &piece); i++)
            ;
        return fed_json_new_str(a, piece);
    }
    case FED_SET_LIST: {
        const struct fed_strings *list = (const void *)m;
        struct fed_json *arr = fed_json_array(a);
        for (size_t i = 0; i < list->n; i++)
            fed_json_push(arr, fed_json_new_strz(a, list->v[i]));
        return arr;
    }
    }
    return NULL;
}

void fed_settings_show(const struct fed_settings *t, const void *conf, struct fed_buf *out)
{
    struct fed_arena a = {0};
    struct fed_json *doc = fed_json_object(&a);
    for (size_t i = 0; i < t->n_rows; i++) {
        struct fed_json *v = value_node(&t->rows[i], conf, &a);
        if (v)
            fed_json_set(doc, t->rows[i].name, v);
    }
    fed_yaml_write(out, doc);
    fed_arena_release(&a);
}
