/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c: text of a tree. Text is copied eight bytes at a time into room made ahead; the buffer's maximum is
 * checked whenever room is made and at the end, so that memory stays near it. */
#include "codec/json_priv.h"

/* What may follow a string within the room of fed: quotes, colon, comma, a whole word of eight past the end. */
#define SLACK 32

struct writer {
    struct fed_buf *b;
    char *p, *end; /* the room: p is the next byte */
    int indent;    /* spaces a level; < 0: compact */
};

static void make_room(struct writer *w, size_t n)
{
    fed_buf_commit_ahead(w->b, (size_t)(w->p - (w->b->p + w->b->n)));
    size_t want = FED_MAX(n, (size_t)4096);
    w->p = fed_buf_reserve_ahead(w->b, want);
    w->end = w->p + want;
}

static inline void need(struct writer *w, size_t n)
{
    if ((size_t)(w->end - w->p) < n)
        make_room(w, n);
}

static inline void start(struct writer *w, struct fed_buf *b, int indent)
{
    *w = (struct writer){.b = b, .indent = indent};
    w->p = fed_buf_reserve_ahead(b, SLACK);
    w->end = w->p + SLACK;
}

static inline void finish(struct writer *w)
{
    fed_buf_commit_ahead(w->b, (size_t)(w->p - (w->b->p + w->b->n)));
}

/* The one character at *p that cannot be copied plainly (or is beyond ASCII); room for 6 bytes is there. */
static void put_special(struct writer *w, const char **p, const char *end)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char c = (unsigned char)**p;
    if (c >= 0x80) {
        size_t n = fed_utf8_len(*p, end);
        bool separator =
            n == 3 && c == 0xE2 && (unsigned char)(*p)[1] == 0x80 && ((unsigned char)(*p)[2] & 0xFE) == 0xA8;
        if (n == 0) /* text from elsewhere: the output stays valid, as with Go */
            memcpy(w->p, "\\ufffd", 6);
        else if (separator) /* U+2028, U+2029: Go escapes them for JavaScript's sake */
            memcpy(w->p, (*p)[2] & 1 ? "\\u2029" : "\\u2028", 6);
        else
            memcpy(w->p, *p, n);
        w->p += n == 0 || separator ? 6 : n;
        *p += n ? n : 1;
        return;
    }
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        w->p[0] = '\\';
        w->p[1] = to[simple - from];
        w->p += 2;
    } else {
        memcpy(w->p, "\\u00", 4);
        w->p[4] = hex[c >> 4];
        w->p[5] = hex[c & 15];
        w->p += 6;
    }
    ++*p;
}

static inline void put_string(struct writer *w, struct fed_str s)
{
    const char *p = s.n ? s.p : "", *end = p + s.n;
    need(w, s.n + SLACK);
    *w->p++ = '"';
    while (p < end) {
        if (end - p >= 8) {
            uint64_t marks = fed_mark_special(fed_load8(p));
            memcpy(w->p, p, 8);
            unsigned n = marks ? fed_first_mark(marks) : 8;
            w->p += n;
            p += n;
            if (!marks)
                continue;
        } else if ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\') {
            *w->p++ = *p++;
            continue;
        }
        put_special(w, &p, end);
        need(w, (size_t)(end - p) + SLACK);
    }
    *w->p++ = '"';
}

static void put_text(struct writer *w, struct fed_str s)
{
    need(w, s.n + SLACK);
    memcpy(w->p, s.p, s.n);
    w->p += s.n;
}

static void put_line(struct writer *w, uint32_t level)
{
    if (w->indent < 0)
        return;
    size_t n = (size_t)w->indent * level;
    need(w, n + SLACK);
    *w->p++ = '\n';
    memset(w->p, ' ', n);
    w->p += n;
}

/* A scalar, an empty container, or the opening of one; true in the last case. */
static inline bool put_value(struct writer *w, const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_STRING:
        put_string(w, v->s);
        return false;
    case FED_JSON_NUMBER:
        if (v->s.n)
            put_text(w, v->s);
        else
            put_text(w, FED_STR("0"));
        return false;
    case FED_JSON_BOOL:
        put_text(w, v->boolean ? FED_STR("true") : FED_STR("false"));
        return false;
    case FED_JSON_NULL:
        put_text(w, FED_STR("null"));
        return false;
    default:
        break;
    }
    bool object = v->type == FED_JSON_OBJECT;
    if (!v->first) {
        put_text(w, object ? FED_STR("{}") : FED_STR("[]"));
        return false;
    }
    need(w, SLACK);
    *w->p++ = object ? '{' : '[';
    return true;
}

/* Walks by the links of the tree: no recursion, whatever its depth. */
static void put_tree(struct writer *w, const struct fed_json *root)
{
    const struct fed_json *v = root;
    uint32_t level = 0;
    for (;;) {
        if (v != root && v->parent->type == FED_JSON_OBJECT) {
            put_string(w, v->key);
            *w->p++ = ':'; /* within the slack of the string */
            if (w->indent >= 0)
                *w->p++ = ' ';
        }
        if (put_value(w, v)) {
            put_line(w, ++level);
            v = v->first;
            continue;
        }
        while (v != root && !v->next) {
            v = v->parent;
            put_line(w, --level);
            need(w, SLACK);
            *w->p++ = v->type == FED_JSON_OBJECT ? '}' : ']';
        }
        if (v == root)
            return;
        need(w, SLACK);
        *w->p++ = ',';
        put_line(w, level);
        v = v->next;
    }
}

void fed_json_write(struct fed_buf *out, const struct fed_json *v)
{
    fed_json_write_indent(out, v, -1);
}

void fed_json_write_indent(struct fed_buf *out, const struct fed_json *v, int spaces)
{
    struct writer w;
    if (out->failed)
        return;
    start(&w, out, spaces);
    put_tree(&w, v);
    finish(&w);
}

struct fed_str fed_json_text(struct fed_arena *a, const struct fed_json *v)
{
    struct fed_buf b = {0};
    fed_json_write(&b, v);
    struct fed_str text = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return text;
}

void fed_json_write_string(struct fed_buf *out, struct fed_str s)
{
    struct writer w;
    if (out->failed)
        return;
    start(&w, out, -1);
    put_string(&w, s);
    finish(&w);
}
