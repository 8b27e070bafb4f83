/* SPDX-License-Identifier: Apache-2.0 */
/* json_parse.c: one pass, no recursion: the open containers are the parent links of the tree itself. */
#include "codec/json_priv.h"

#define BLOCK_NODES     64   /* nodes are taken from the arena by blocks */
#define MAX_DUP_REPORTS 100u /* per document; the reader has seen enough by then */

struct parser {
    struct fed_arena *arena;
    const char *begin, *p, *end;
    struct fed_json *pool, *pool_end;
    uint32_t nodes_left, depth_left, dup_reports;
    struct fed_json_index index; /* scratch of duplicate detection */
    struct fed_buf path;
    const struct fed_json_limits *limits;
    struct fed_err *err;
    int code; /* of the first failure */
};

/* --- failure --- */

static void fail_at(struct parser *ps, const char *at, int code, const char *what)
{
    if (ps->code)
        return;
    ps->code = code;
    if (!ps->err)
        return;
    int line = 1, col = 1;
    for (const char *p = ps->begin; p < at; p++) {
        if (*p == '\n') {
            line++;
            col = 1;
        } else if (((unsigned char)*p & 0xC0) != 0x80) { /* columns are characters */
            col++;
        }
    }
    fed_err_set(ps->err, code, "line %d, column %d: %s", line, col, what);
    ps->err->line = line;
    ps->err->col = col;
}

static bool fail(struct parser *ps, const char *what)
{
    fail_at(ps, ps->p, FED_E_SYNTAX, ps->p < ps->end ? what : "unexpected end of JSON");
    return false;
}

/* --- tokens --- */

static inline void skip_space(struct parser *ps)
{
    const char *p = ps->p, *end = ps->end;
    if (p < end && (unsigned char)*p > ' ')
        return;
    for (;;) {
        while (end - p >= 8 && fed_load8(p) == FED_ONES * ' ') /* indentation */
            p += 8;
        if (p == end || (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r'))
            break;
        p++;
    }
    ps->p = p;
}

/* The first byte at or after p that is not plain ASCII text of a string. */
static inline const char *skip_plain(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t marks = fed_mark_special(fed_load8(p));
        if (marks)
            return p + fed_first_mark(marks);
        p += 8;
    }
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex4(const char *p, const char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

static char *put_utf8(char *out, unsigned cp)
{
    if (cp < 0x80) {
        *out++ = (char)cp;
    } else if (cp < 0x800) {
        *out++ = (char)(0xC0 | cp >> 6);
        *out++ = (char)(0x80 | (cp & 0x3F));
    } else if (cp < 0x10000) {
        *out++ = (char)(0xE0 | cp >> 12);
        *out++ = (char)(0x80 | (cp >> 6 & 0x3F));
        *out++ = (char)(0x80 | (cp & 0x3F));
    } else {
        *out++ = (char)(0xF0 | cp >> 18);
        *out++ = (char)(0x80 | (cp >> 12 & 0x3F));
        *out++ = (char)(0x80 | (cp >> 6 & 0x3F));
        *out++ = (char)(0x80 | (cp & 0x3F));
    }
    return out;
}

/* The XXXX of \uXXXX at *p, with its second half when it is a surrogate pair; -1 when malformed or lone. */
static int take_unicode(const char **p, const char *end)
{
    int cp = hex4(*p, end);
    if (cp < 0 || (cp >= 0xDC00 && cp <= 0xDFFF))
        return -1;
    *p += 4;
    if (cp < 0xD800 || cp > 0xDBFF)
        return cp;
    if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    int low = hex4(*p + 2, end);
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    *p += 6;
    return 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
}

/* Decodes the text between the quotes, which holds at least one escape. What is decoded is never longer. */
static bool decode_escapes(struct parser *ps, const char *p, const char *end, struct fed_str *out)
{
    char *copy = fed_arena_alloc(ps->arena, (size_t)(end - p) + 1), *o = copy;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((slash ? slash : end) - p);
        memcpy(o, p, run);
        o += run;
        if (!slash)
            break;
        p = slash + 2;
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *simple = slash[1] ? strchr(from, slash[1]) : NULL;
        int cp = simple ? to[simple - from] : slash[1] == 'u' ? take_unicode(&p, end) : -1;
        if (cp < 0) {
            fail_at(ps, slash, FED_E_SYNTAX, slash[1] == 'u' ? "bad \\u escape" : "unknown escape");
            return false;
        }
        o = put_utf8(o, (unsigned)cp);
    }
    *o = '\0';
    *out = fed_str_n(copy, (size_t)(o - copy));
    return true;
}

/* ps->p is behind the opening quote; afterwards behind the closing one. */
static inline bool take_string(struct parser *ps, struct fed_str *out)
{
    const char *start = ps->p, *p = start, *end = ps->end;
    bool escapes = false;
    for (;;) {
        p = skip_plain(p, end);
        if (p == end) {
            ps->p = p;
            return fail(ps, NULL);
        }
        if (*p == '"')
            break;
        size_t n;
        if (*p == '\\') {
            escapes = true;
            n = end - p >= 2 && (unsigned char)p[1] >= 0x20 && (unsigned char)p[1] < 0x80 ? 2 : 0;
        } else {
            n = (unsigned char)*p < 0x20 ? 0 : fed_utf8_len(p, end);
        }
        if (n == 0) {
            ps->p = p;
            return fail(ps, *p == '\\'                 ? "unknown escape"
                            : (unsigned char)*p < 0x20 ? "control byte in a string"
                                                       : "invalid UTF-8");
        }
        p += n;
    }
    ps->p = p + 1;
    if (escapes)
        return decode_escapes(ps, start, p, out);
    *out = fed_str_n(start, (size_t)(p - start));
    return true;
}

static inline bool digit_at(const char *p, const char *end)
{
    return p < end && (unsigned)(*p - '0') < 10;
}

static bool take_number(struct parser *ps, struct fed_str *out)
{
    const char *p = ps->p, *end = ps->end;
    p += *p == '-';
    if (!digit_at(p, end))
        goto bad;
    if (*p == '0')
        p++;
    else
        while (digit_at(p, end))
            p++;
    if (p < end && *p == '.') {
        if (!digit_at(++p, end))
            goto bad;
        while (digit_at(p, end))
            p++;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        if (!digit_at(p, end))
            goto bad;
        while (digit_at(p, end))
            p++;
    }
    *out = fed_str_n(ps->p, (size_t)(p - ps->p));
    ps->p = p;
    return true;
bad:
    ps->p = p;
    return fail(ps, "malformed number");
}

static bool take_word(struct parser *ps, struct fed_str word)
{
    if ((size_t)(ps->end - ps->p) < word.n || memcmp(ps->p, word.p, word.n) != 0)
        return fail(ps, "unexpected character, expected a value");
    ps->p += word.n;
    return true;
}

/* --- tree --- */

static struct fed_json *new_node(struct parser *ps, struct fed_json *parent, struct fed_str key)
{
    if (ps->nodes_left == 0) {
        fail_at(ps, ps->p, FED_E_LIMIT, "too many values");
        return NULL;
    }
    ps->nodes_left--;
    if (ps->pool == ps->pool_end) {
        size_t guess = (size_t)(ps->end - ps->p) / 16 + 1; /* a value rarely takes fewer bytes */
        size_t n = FED_MIN(guess, BLOCK_NODES);
        ps->pool = fed_arena_alloc(ps->arena, n * sizeof(*ps->pool));
        ps->pool_end = ps->pool + n;
    }
    struct fed_json *v = ps->pool++;
    *v = (struct fed_json){.off = (uint32_t)(ps->p - ps->begin), .key = key};
    if (parent)
        fed_json_append(parent, v);
    return v;
}

static bool take_scalar(struct parser *ps, struct fed_json *v)
{
    bool ok;
    switch (*ps->p) {
    case '"':
        v->type = FED_JSON_STRING;
        ps->p++;
        ok = take_string(ps, &v->s);
        break;
    case 't':
        v->type = FED_JSON_BOOL;
        v->boolean = true;
        ok = take_word(ps, FED_STR("true"));
        break;
    case 'f':
        v->type = FED_JSON_BOOL;
        ok = take_word(ps, FED_STR("false"));
        break;
    case 'n':
        ok = take_word(ps, FED_STR("null"));
        break;
    default:
        v->type = FED_JSON_NUMBER;
        ok = *ps->p == '-' || digit_at(ps->p, ps->end) ? take_number(ps, &v->s)
                                                       : fail(ps, "unexpected character, expected a value");
    }
    v->end = (uint32_t)(ps->p - ps->begin);
    return ok;
}

static bool open_container(struct parser *ps, struct fed_json *v)
{
    if (ps->depth_left == 0) {
        fail_at(ps, ps->p, FED_E_LIMIT, "nested too deeply");
        return false;
    }
    ps->depth_left--;
    v->type = *ps->p == '{' ? FED_JSON_OBJECT : FED_JSON_ARRAY;
    ps->p++;
    return true;
}

static void report_duplicate(void *ud, struct fed_json *earlier, struct fed_json *later)
{
    struct parser *ps = ud;
    if (!ps->limits->on_duplicate || ps->dup_reports == MAX_DUP_REPORTS)
        return;
    ps->dup_reports++;
    fed_buf_reset(&ps->path);
    fed_json_path(later, &ps->path);
    struct fed_json_duplicate d = {.path = fed_buf_z(&ps->path), .earlier = earlier, .later = later};
    ps->limits->on_duplicate(ps->limits->ud, &d);
}

static void close_container(struct parser *ps, struct fed_json *v)
{
    ps->p++;
    ps->depth_left++;
    v->end = (uint32_t)(ps->p - ps->begin);
    if (v->type == FED_JSON_OBJECT && v->n > 1)
        fed_json_drop_duplicates(&ps->index, v, false, report_duplicate, ps);
}

static inline bool take_key(struct parser *ps, struct fed_str *key)
{
    skip_space(ps);
    if (ps->p == ps->end || *ps->p != '"')
        return fail(ps, "expected a member name in quotes");
    ps->p++;
    if (!take_string(ps, key))
        return false;
    skip_space(ps);
    if (ps->p == ps->end || *ps->p != ':')
        return fail(ps, "expected ':' after a member name");
    ps->p++;
    return true;
}

/* After a value: closes what ends here. *open is then the container that wants one more child, NULL at the end. */
static bool after_value(struct parser *ps, struct fed_json **open)
{
    for (struct fed_json *c = *open; c; c = c->parent) {
        skip_space(ps);
        char closer = c->type == FED_JSON_OBJECT ? '}' : ']';
        if (ps->p < ps->end && *ps->p == ',') {
            ps->p++;
            *open = c;
            return true;
        }
        if (ps->p == ps->end || *ps->p != closer)
            return fail(ps, closer == '}' ? "expected ',' or '}' in an object" : "expected ',' or ']' in an array");
        close_container(ps, c);
    }
    *open = NULL;
    return true;
}

/* Reads one value with all that is in it; returns its root or NULL. */
static struct fed_json *take_tree(struct parser *ps)
{
    struct fed_json *open = NULL, *root = NULL;
    struct fed_str key;
    do {
        key = fed_str_n(NULL, 0);
        if (open && open->type == FED_JSON_OBJECT && !take_key(ps, &key))
            return NULL;
        skip_space(ps);
        if (ps->p == ps->end) {
            fail(ps, NULL);
            return NULL;
        }
        struct fed_json *v = new_node(ps, open, key);
        if (!v)
            return NULL;
        if (!root)
            root = v;
        if (*ps->p != '{' && *ps->p != '[') {
            if (!take_scalar(ps, v))
                return NULL;
        } else {
            if (!open_container(ps, v))
                return NULL;
            skip_space(ps);
            if (ps->p == ps->end || *ps->p != (v->type == FED_JSON_OBJECT ? '}' : ']')) {
                open = v;
                continue;
            }
            close_container(ps, v);
        }
        if (!after_value(ps, &open))
            return NULL;
    } while (open);
    return root;
}

int fed_json_parse(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                   struct fed_json **out, struct fed_err *err)
{
    static const struct fed_json_limits defaults;
    if (!limits)
        limits = &defaults;
    size_t max_bytes = limits->max_bytes ? limits->max_bytes : FED_JSON_DEFAULT_BYTES;
    *out = NULL;
    if (text.n > FED_MIN(max_bytes, UINT32_MAX)) /* offsets in nodes have 32 bits */
        return fed_err_set(err, FED_E_LIMIT, "JSON of %zu bytes is larger than the limit of %zu", text.n, max_bytes);
    if (!text.p)
        text.p = "";
    struct parser ps = {.arena = a, .begin = text.p, .p = text.p, .end = text.p + text.n, .limits = limits, .err = err};
    ps.nodes_left = limits->max_nodes ? limits->max_nodes : FED_JSON_DEFAULT_NODES;
    ps.depth_left = limits->max_depth ? limits->max_depth : FED_JSON_DEFAULT_DEPTH;
    struct fed_json *root = take_tree(&ps);
    if (root) {
        skip_space(&ps);
        if (ps.p != ps.end)
            fail(&ps, "unexpected data after the value");
    }
    fed_json_index_release(&ps.index);
    fed_buf_release(&ps.path);
    if (!ps.code)
        *out = root;
    return ps.code;
}
