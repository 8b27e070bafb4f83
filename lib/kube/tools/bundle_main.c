/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_main.c: a program of the build: schema documents (YAML files) into one C file that holds them as a JSON array.
 * Usage: bundle SYMBOL OUT.c FILE.yaml... (order kept; defines `const char SYMBOL[]` and `const size_t SYMBOL_n`). */
#include "codec/yaml.h"

static int read_file(const char *path, struct fed_buf *b)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        perror(path);
        return -1;
    }
    do {
        char *room = fed_buf_reserve(b, 65536);

        n = room ? fread(room, 1, 65536, f) : 0;
        fed_buf_commit(b, n);
    } while (n > 0);
    n = (size_t)ferror(f);
    fclose(f);
    return n ? -1 : 0;
}

static int add_file(const char *path, struct fed_buf *json)
{
    static const struct fed_json_limits limits = {.max_bytes = 16 << 20, .max_nodes = 1000000};
    struct fed_arena arena = {0};
    struct fed_buf text = {0};
    struct fed_json *doc = NULL;
    struct fed_err err = {0};
    int rc = read_file(path, &text);

    if (!rc) {
        rc = fed_yaml_parse(&arena, fed_buf_str(&text), &limits, &doc, &err);
        if (rc)
            fprintf(stderr, "%s:%d:%d: %s\n", path, err.line, err.col, err.text);
    }
    if (!rc) {
        if (json->n > 1)
            fed_buf_addc(json, ',');
        fed_json_write(json, doc);
    }
    fed_buf_release(&text);
    fed_arena_release(&arena);
    return rc;
}

/* Lines of a string literal; the text is ASCII-safe because every other byte is written as an octal escape. */
static void write_c(FILE *f, const char *symbol, struct fed_str s)
{
    fprintf(f, "#include <stddef.h>\nextern const char %s[];\nextern const size_t %s_n;\n", symbol, symbol);
    fprintf(f, "const size_t %s_n = %zu;\nconst char %s[] =", symbol, s.n, symbol);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];

        if (i % 100 == 0)
            fputs(i ? "\"\n\"" : "\n\"", f);
        if (ch < 0x20 || ch >= 0x7f || ch == '?')
            fprintf(f, "\\%03o", ch);
        else if (ch == '"' || ch == '\\')
            fprintf(f, "\\%c", ch);
        else
            fputc(ch, f);
    }
    fputs("\";\n", f);
}

int main(int argc, char **argv)
{
    struct fed_buf json = {0};
    int rc = 0;
    FILE *f;

    if (argc < 4) {
        fprintf(stderr, "usage: %s SYMBOL OUT.c FILE.yaml...\n", argv[0]);
        return 2;
    }
    fed_buf_addc(&json, '[');
    for (int i = 3; i < argc && !rc; i++)
        rc = add_file(argv[i], &json);
    fed_buf_addc(&json, ']');
    if (!rc) {
        f = fopen(argv[2], "w");
        if (f) {
            write_c(f, argv[1], fed_buf_str(&json));
            rc = fclose(f);
        } else {
            perror(argv[2]);
            rc = -1;
        }
    }
    fed_buf_release(&json);
    return rc ? 1 : 0;
}
