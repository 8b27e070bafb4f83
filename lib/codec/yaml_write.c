/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_write.c: block style as Kubernetes' tools print it: lists at the column of their key, "- " before the first
 * member of a mapping, literal blocks for text of several lines. What YAML would read as something else is quoted. */
#include "codec/yaml.h"

#include "codec/json_priv.h"
#include "codec/yaml_priv.h"

#define MAX_BLOCK_DEPTH 200  /* of recursion; below, the rest is written as JSON, which is YAML */
#define MAX_SIMPLE_KEY  1000 /* bytes: a longer key needs the "? " form (YAML 1.1 section 7.3.3) */

static void indent(struct fed_buf *out, size_t n)
{
    char *room = fed_buf_reserve(out, n);
    if (!room)
        return;
    memset(room, ' ', n);
    fed_buf_commit(out, n);
}

/* --- scalars --- */

/* The code point at p, whose length becomes *n; broken UTF-8 reads as U+FFFD of one byte. */
static unsigned take_char(const char *p, const char *end, size_t *n)
{
    const unsigned char *u = (const unsigned char *)p;
    *n = 1;
    if (u[0] < 0x80)
        return u[0];
    size_t len = fed_utf8_len(p, end);
    if (len == 0)
        return 0xFFFD;
    *n = len;
    unsigned cp = len == 2 ? u[0] & 0x1Fu : len == 3 ? u[0] & 0x0Fu : u[0] & 0x07u;
    for (size_t i = 1; i < len; i++)
        cp = cp << 6 | (u[i] & 0x3F);
    return cp;
}

/* May stand unescaped in YAML text; breaks (also NEL, LS, PS) and the byte order mark do not count. */
static bool printable(unsigned cp)
{
    return (cp >= 0x20 && cp < 0x7F) || (cp >= 0xA0 && cp < 0xD800 && cp != 0x2028 && cp != 0x2029) ||
           (cp >= 0xE000 && cp <= 0xFFFD && cp != 0xFEFF) || (cp >= 0x10000 && cp <= 0x10FFFF);
}

static void write_quoted(struct fed_buf *out, struct fed_str s)
{
    const char *p = s.n ? s.p : "", *end = p + s.n;
    fed_buf_addc(out, '"');
    while (p < end) {
        size_t n;
        unsigned cp = take_char(p, end, &n);
        if (cp == '"' || cp == '\\')
            fed_buf_addf(out, "\\%c", (char)cp);
        else if (cp == '\n')
            fed_buf_addz(out, "\\n");
        else if (cp == '\t')
            fed_buf_addz(out, "\\t");
        else if (cp == '\r')
            fed_buf_addz(out, "\\r");
        else if (cp == 0xFFFD && n == 1)
            fed_buf_addz(out, "\\uFFFD");
        else if (printable(cp))
            fed_buf_append(out, p, n);
        else if (cp < 0x100)
            fed_buf_addf(out, "\\x%02X", cp);
        else
            fed_buf_addf(out, cp < 0x10000 ? "\\u%04X" : "\\U%08X", cp);
        p += n;
    }
    fed_buf_addc(out, '"');
}

static size_t digits_at(struct fed_str s, size_t at)
{
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9')
        n++;
    return n;
}

/* Dates ("2026-11-21…") and base 60 ("12:30:45"): strings here, but not for every reader of YAML 1.1. */
static bool date_or_base60(struct fed_str s)
{
    size_t sign = s.n && (s.p[0] == '-' || s.p[0] == '+'), n = digits_at(s, sign);
    if (n == 0 || sign + n >= s.n)
        return false;
    if (n == 4 && !sign && s.p[4] == '-' && digits_at(s, 5) > 0)
        return true;
    for (size_t i = sign; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == ':' || s.p[i] == '.' || s.p[i] == '_'))
            return false;
    return fed_str_chr(s, ':', 0) >= 0;
}

static bool plain(struct fed_str s)
{
    static const char indicators[] = "-?:,[]{}#&*!|>'\"%@`=<~";
    if (s.n == 0 || s.p[0] == ' ' || s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':')
        return false;
    bool dashed = (s.p[0] == '-' || s.p[0] == '?') && s.n > 1 && s.p[1] != ' ' && s.p[1] != '-'; /* "-x" is plain */
    if (s.p[0] == '\0' || (strchr(indicators, s.p[0]) && !dashed))
        return false;
    if (fed_str_starts(s, FED_STR("...")) || date_or_base60(s))
        return false;
    size_t n;
    for (size_t i = 0; i < s.n; i += n) {
        unsigned cp = take_char(s.p + i, s.p + s.n, &n);
        if (!printable(cp) || (cp == 0xFFFD && n == 1))
            return false;
        if ((cp == ':' && s.p[i + 1] == ' ') || (cp == '#' && i && s.p[i - 1] == ' '))
            return false; /* i + 1 exists: the last byte is no ':' */
    }
    return fed_yaml_resolve(NULL, s).type == FED_JSON_STRING;
}

/* Text of several lines that a literal block gives back unchanged. */
static bool fits_block(struct fed_str s)
{
    if (s.n < 2 || fed_str_chr(s, '\n', 0) < 0 || s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n')
        return false;
    size_t n;
    for (size_t i = 0; i < s.n; i += n) {
        unsigned cp = take_char(s.p + i, s.p + s.n, &n);
        if ((!printable(cp) && cp != '\n' && cp != '\t') || (cp == 0xFFFD && n == 1))
            return false;
    }
    return true;
}

static void write_block(struct fed_buf *out, struct fed_str s, size_t column)
{
    size_t body = s.n;
    while (body && s.p[body - 1] == '\n')
        body--;
    size_t breaks = s.n - body;
    fed_buf_addz(out, breaks == 0 ? "|-\n" : breaks == 1 ? "|\n" : "|+\n");
    struct fed_str rest = fed_str_head(s, body), line;
    while (fed_str_cut(&rest, '\n', &line)) {
        if (line.n)
            indent(out, column);
        fed_buf_add(out, line);
        fed_buf_addc(out, '\n');
    }
    for (; breaks > 1; breaks--)
        fed_buf_addc(out, '\n');
}

static void write_string(struct fed_buf *out, struct fed_str s)
{
    if (plain(s))
        fed_buf_add(out, s);
    else
        write_quoted(out, s);
}

/* With the line's end. column: where the content of a block stands. */
static void write_scalar(struct fed_buf *out, const struct fed_json *v, size_t column)
{
    if (v->type == FED_JSON_STRING) {
        if (fits_block(v->s)) {
            write_block(out, v->s, column);
            return;
        }
        write_string(out, v->s);
    } else {
        fed_json_write(out, v); /* also empty and too deep containers */
    }
    fed_buf_addc(out, '\n');
}

/* --- containers --- */

static bool is_block(const struct fed_json *v, int depth)
{
    return v->first && depth < MAX_BLOCK_DEPTH;
}

static void write_members(struct fed_buf *out, const struct fed_json *obj, size_t column, int depth);

/* The first line continues the one that is begun ("- "). */
static void write_items(struct fed_buf *out, const struct fed_json *arr, size_t column, int depth)
{
    FED_JSON_EACH(it, arr) {
        if (it != arr->first)
            indent(out, column);
        fed_buf_addz(out, "- ");
        if (!is_block(it, depth))
            write_scalar(out, it, column + 2);
        else if (it->type == FED_JSON_OBJECT)
            write_members(out, it, column + 2, depth + 1);
        else
            write_items(out, it, column + 2, depth + 1);
    }
}

static void write_key(struct fed_buf *out, struct fed_str key, size_t column)
{
    size_t before = out->n;
    write_string(out, key);
    if (out->n - before > MAX_SIMPLE_KEY && !out->failed) {
        out->n = before;
        fed_buf_addz(out, "? ");
        write_quoted(out, key);
        fed_buf_addc(out, '\n');
        indent(out, column);
    }
    fed_buf_addc(out, ':');
}

static void write_members(struct fed_buf *out, const struct fed_json *obj, size_t column, int depth)
{
    FED_JSON_EACH(it, obj) {
        if (it != obj->first)
            indent(out, column);
        write_key(out, it->key, column);
        if (!is_block(it, depth)) {
            fed_buf_addc(out, ' ');
            write_scalar(out, it, column + 2);
            continue;
        }
        fed_buf_addc(out, '\n');
        if (it->type == FED_JSON_OBJECT) {
            indent(out, column + 2);
            write_members(out, it, column + 2, depth + 1);
        } else {
            indent(out, column);
            write_items(out, it, column, depth + 1);
        }
    }
}

void fed_yaml_write(struct fed_buf *out, const struct fed_json *v)
{
    if (!is_block(v, 0))
        write_scalar(out, v, 2);
    else if (v->type == FED_JSON_OBJECT)
        write_members(out, v, 0, 0);
    else
        write_items(out, v, 0, 0);
}
