/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.c: from the command line to a verb; help and man page from the same tables. */
#include "base/mem.h"
#include "fedctl/fedctl.h"

static const struct fctl_verb *const verbs[] = {
    &fctl_verb_init,    &fctl_verb_join, &fctl_verb_unjoin, &fctl_verb_status,  &fctl_verb_backup,
    &fctl_verb_restore, &fctl_verb_up,   &fctl_verb_down,   &fctl_verb_version, NULL};

const struct fctl_verb *const *fctl_verbs(void)
{
    return verbs;
}

/* --- help --- */

static void print(FILE *out, struct fed_buf *text)
{
    if (text->n)
        fwrite(text->p, 1, text->n, out);
    fed_buf_release(text);
}

void fctl_print_help(FILE *out)
{
    fputs("kubefed: federates Kubernetes clusters\n\nUsage: kubefed VERB [flags] [NAME]\n\nVerbs:\n", out);
    for (size_t i = 0; verbs[i]; i++)
        fprintf(out, "  %-10s %s\n", verbs[i]->name, verbs[i]->settings->summary);
    fputs("  options    Flags that several verbs have\n"
          "  help       This text; `kubefed help VERB` or `kubefed VERB --help` for one verb\n",
          out);
}

void fctl_print_verb_help(const struct fctl_verb *v, FILE *out)
{
    struct fed_buf text = {0};
    fed_settings_help(v->settings, &text);
    if (v->about)
        fed_buf_addf(&text, "\n%s\n", v->about);
    if (v->examples)
        fed_buf_addf(&text, "\nExamples:\n%s\n", v->examples);
    print(out, &text);
}

static void print_options(FILE *out)
{
    struct common_only {
        struct fctl_common common;
    };
    static const struct fed_setting rows[] = {FCTL_KUBECONFIG_ROW(common_only),    FCTL_HOST_ROW(common_only),
                                              FCTL_FEDERATION_ROW(common_only),    FCTL_NS_ROW(common_only),
                                              FCTL_TIMEOUT_ROW(common_only, NULL), FCTL_DRY_RUN_ROW(common_only)};
    static const struct fed_settings t = {.program = "kubefed VERB",
                                          .summary = "flags that several verbs have (`kubefed VERB --help` says which)",
                                          .args = "[NAME]",
                                          .rows = rows,
                                          .n_rows = FED_ARRAY_LEN(rows)};
    struct fed_buf text = {0};
    fed_settings_help(&t, &text);
    print(out, &text);
}

static void roff(FILE *out, const char *text)
{
    for (bool fresh = true; *text; fresh = *text == '\n', text++) {
        if (fresh && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void man_row(const struct fed_setting *r, FILE *out)
{
    fputs(".TP\n.B \\-\\-", out);
    roff(out, r->name);
    if (r->letter)
        fprintf(out, ", \\-%c", r->letter);
    if (r->arg) {
        fputs(" \\fI", out);
        roff(out, r->arg);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    roff(out, r->help);
    if (r->choices) {
        fputs("; one of ", out);
        roff(out, r->choices);
    }
    if (r->dflt) {
        fputs(" (default ", out);
        roff(out, r->dflt);
        fputc(')', out);
    }
    fputs(r->required ? "; required.\n" : ".\n", out);
}

void fctl_print_man(FILE *out)
{
    fputs(".\\\" SPDX-License-Identifier: Apache-2.0\n.\\\" Made by `kubefed help --man` from the tables of flags.\n"
          ".TH KUBEFED 1 \"\" \"hansa\" \"Hansa\"\n.SH NAME\nkubefed \\- federates Kubernetes clusters\n"
          ".SH SYNOPSIS\n.B kubefed\n.I VERB\n[flags] [\\fINAME\\fR]\n.SH VERBS\n",
          out);
    for (size_t i = 0; verbs[i]; i++) {
        const struct fctl_verb *v = verbs[i];
        fprintf(out, ".SS \"kubefed %s%s%s\"\n", v->name, v->settings->args ? " " : "",
                v->settings->args ? v->settings->args : "");
        roff(out, v->settings->summary);
        fputs(".\n", out);
        if (v->about) {
            fputs(".PP\n", out);
            roff(out, v->about);
            fputc('\n', out);
        }
        for (size_t r = 0; r < v->settings->n_rows; r++)
            if (!v->settings->rows[r].hidden)
                man_row(&v->settings->rows[r], out);
        if (v->examples) {
            fputs(".PP\nExamples:\n.PP\n.nf\n", out);
            roff(out, v->examples);
            fputs("\n.fi\n", out);
        }
    }
    fputs(".SH FILES\nEvery verb also takes\n.B \\-\\-config\n\\fIFILE\\fR (YAML, keys as the flags),\n.B \\-\\-check\n"
          "(prints the settings and stops),\n.B \\-\\-help\nand\n.BR \\-\\-version .\n"
          ".SH EXIT STATUS\n0: done. 1: failed; what was made is undone or the message says what to do. 2: wrong use.\n"
          ".SH ENVIRONMENT\n.B KUBECONFIG\n(files, separated by colons),\n.BR HOME ,\n.BR XDG_STATE_HOME .\n",
          out);
}

/* --- running --- */

static const struct fctl_verb *find_verb(const char *name)
{
    for (size_t i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int wrong_use(const struct fctl_verb *v, const char *text)
{
    fprintf(stderr, "kubefed%s%s: %s\n", v ? " " : "", v ? v->name : "", text);
    return 2;
}

static int print_action(const struct fctl_verb *v, const void *conf, enum fed_settings_action action)
{
    struct fed_buf text = {0};
    if (action == FED_SETTINGS_HELP)
        fctl_print_verb_help(v, stdout);
    else if (action == FED_SETTINGS_MAN)
        fctl_print_man(stdout);
    else if (action == FED_SETTINGS_VERSION)
        printf("kubefed %s\n", FCTL_VERSION);
    else
        fed_settings_show(v->settings, conf, &text);
    print(stdout, &text);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int run_verb(struct fctl *c, const struct fctl_verb *v, void *conf)
{
    struct fed_err err = {0};
    struct fctl_made *outer = c->made;
    struct fctl_common *common = conf;
    bool outer_dry = c->dry_run;
    c->made = NULL;
    c->misused = false;
    c->dry_run = common->dry_run;
    int code = v->run(c, conf, &err);
    if (code) {
        fflush(c->out);
        fprintf(stderr, "kubefed %s: %s\n", v->name, err.text[0] ? err.text : fed_code_text(code));
        if (code == FED_E_FORBIDDEN)
            fputs("Use a context whose user may do that; `kubectl --context CONTEXT auth can-i --list` shows what one "
                  "may\n",
                  stderr);
        fctl_undo(c, NULL);
    }
    c->made = outer;
    c->dry_run = outer_dry;
    return !code ? 0 : c->misused ? 2 : 1;
}

static int load_and_run(struct fctl *c, const struct fctl_verb *v, int argc, char **argv)
{
    void *conf = fed_arena_zalloc(&c->arena, v->conf_size);
    struct fed_settings_input in = {.argc = argc, .argv = argv, .getenv = c->getenv};
    struct fed_settings_result res;
    struct fed_err err = {0};
    char text[96];
    if (fed_settings_load(v->settings, &in, conf, v->conf_size, &c->arena, &res, &err) != 0)
        return wrong_use(v, err.text);
    if (res.action != FED_SETTINGS_RUN)
        return print_action(v, conf, res.action);
    if (v->needs_name && res.args.n != 1) {
        snprintf(text, sizeof(text), "exactly one NAME is required, got %zu (see kubefed %s --help)", res.args.n,
                 v->name);
        return wrong_use(v, text);
    }
    struct fctl_common *common = conf;
    common->name = res.args.n ? res.args.v[0] : NULL;
    common->settings = v->settings;
    common->given = res.given;
    if (v->check && v->check(c, conf, &err) != 0)
        return wrong_use(v, err.text);
    return run_verb(c, v, conf);
}

static int unknown_verb(const char *word)
{
    fprintf(stderr, "kubefed: unknown verb \"%s\"; `kubefed help` lists the verbs\n", word);
    return 2;
}

static int help(int argc, char **argv)
{
    const struct fctl_verb *v = argc > 2 ? find_verb(argv[2]) : NULL;
    if (argc > 2 && strcmp(argv[2], "--man") == 0)
        fctl_print_man(stdout);
    else if (argc > 2 && !v && strcmp(argv[2], "help") != 0 && strcmp(argv[2], "options") != 0)
        return unknown_verb(argv[2]);
    else if (v)
        fctl_print_verb_help(v, stdout);
    else
        fctl_print_help(stdout);
    return 0;
}

int fctl_main(struct fctl *c, int argc, char **argv)
{
    if (argc < 2) {
        fctl_print_help(stderr);
        return 2;
    }
    c->run = fctl_main;
    const char *word = argv[1];
    if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return help(argc, argv);
    if (strcmp(word, "options") == 0) {
        print_options(stdout);
        return 0;
    }
    const struct fctl_verb *v = strcmp(word, "--version") == 0 ? &fctl_verb_version : find_verb(word);
    return v ? load_and_run(c, v, argc - 1, argv + 1) : unknown_verb(word);
}
