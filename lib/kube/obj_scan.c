/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/obj_scan.h"

#include "base/mem.h"

enum { MAX_DEPTH = 100 };

struct cursor {
    const char *begin, *p, *end;
    uint32_t depth;
    const char *why; /* of the first failure */
};

static bool fail(struct cursor *c, const char *why)
{
    if (!c->why)
        c->why = why;
    return false;
}

static inline void skip_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
}

static inline bool take_char(struct cursor *c, char want)
{
    skip_space(c);
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Four hex digits at p, or -1. */
static int32_t hex4(const char *p, const char *end)
{
    int32_t v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* p stands on the backslash. */
static bool skip_escape(struct cursor *c)
{
    if (c->end - c->p < 2)
        return fail(c, "unfinished escape");
    char ch = c->p[1];
    if (ch == 'n' || ch == '"' || ch == '\\' || ch == 't' || ch == '/' || ch == 'r' || ch == 'b' || ch == 'f') {
        c->p += 2;
        return true;
    }
    if (ch != 'u')
        return fail(c, "unknown escape");
    int32_t v = hex4(c->p + 2, c->end);
    if (v < 0)
        return fail(c, "bad \\u escape");
    c->p += 6;
    if (v >= 0xdc00 && v <= 0xdfff)
        return fail(c, "lone surrogate");
    if (v >= 0xd800 && v <= 0xdbff) {
        if (c->end - c->p < 6 || c->p[0] != '\\' || c->p[1] != 'u')
            return fail(c, "lone surrogate");
        v = hex4(c->p + 2, c->end);
        if (v < 0xdc00 || v > 0xdfff)
            return fail(c, "lone surrogate");
        c->p += 6;
    }
    return true;
}

/* One UTF-8 sequence of two to four bytes (RFC 3629: no overlong forms, no surrogates). */
static bool skip_utf8(struct cursor *c)
{
    const unsigned char *p = (const unsigned char *)c->p;
    ptrdiff_t left = c->end - c->p;
    int n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return fail(c, "invalid UTF-8");
    for (int i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return fail(c, "invalid UTF-8");
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return fail(c, "invalid UTF-8");
    c->p += n;
    return true;
}

/* Moves over bytes that need no look: up to a quote, a backslash, a control or a byte that is not ASCII.
 * Breaks the rule of no #if outside base and net: this loop is most of the cost of every watch event (bench_kobj). */
#ifdef __SSE2__
typedef signed char vec16 __attribute__((vector_size(16)));
static inline const char *skip_plain(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        vec16 v;
        memcpy(&v, p, sizeof(v));
        vec16 hit = (v == '"') | (v == '\\') | (v < 0x20); /* signed: bytes past ASCII are negative */
        unsigned stops = (unsigned)__builtin_ia32_pmovmskb128((__attribute__((vector_size(16))) char)hit);
        if (stops)
            return p + __builtin_ctz(stops);
    }
#else
static inline const char *skip_plain(const char *p, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    for (; __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, sizeof(v));
        uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\';
        uint64_t hit = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((v - ones * 0x20) & ~v) | v) & high;
        if (hit)
            return p + (__builtin_ctzll(hit) >> 3);
    }
#endif
    while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* What stops skip_plain and is not the closing quote; p moves past it. */
static bool skip_special(struct cursor *c)
{
    if (c->p == c->end)
        return fail(c, "unfinished string");
    if (*c->p == '\\')
        return skip_escape(c);
    if ((unsigned char)*c->p < 0x20)
        return fail(c, "control character in a string");
    return skip_utf8(c);
}

/* The place past the closing quote of the string whose text starts at p, or NULL. */
static inline const char *skip_string(struct cursor *c, const char *p, uint32_t *flags)
{
    for (;;) {
        p = skip_plain(p, c->end);
        if (p < c->end && *p == '"')
            return p + 1;
        c->p = p;
        *flags |= p < c->end && *p == '\\' ? (uint32_t)FED_RAW_ESCAPED : 0;
        if (!skip_special(c))
            return NULL;
        p = c->p;
    }
}

/* p stands past the opening quote; afterwards past the closing one. */
static bool scan_string(struct cursor *c, struct fed_raw *out)
{
    const char *start = c->p;
    uint32_t flags = 0;
    const char *past = skip_string(c, start, &flags);
    if (!past)
        return false;
    *out = (struct fed_raw){start, (uint32_t)(past - 1 - start), flags};
    c->p = past;
    return true;
}

static bool skip_digits(struct cursor *c)
{
    const char *start = c->p;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
        c->p++;
    return c->p > start || fail(c, "bad number");
}

static bool skip_number(struct cursor *c)
{
    if (*c->p == '-')
        c->p++;
    if (c->p < c->end && *c->p == '0')
        c->p++;
    else if (!skip_digits(c))
        return false;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        if (!skip_digits(c))
            return false;
    }
    if (c->p < c->end && (*c->p | 0x20) == 'e') {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
            c->p++;
        return skip_digits(c);
    }
    return true;
}

static bool skip_word(struct cursor *c, const char *word, size_t n)
{
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return fail(c, "unknown word");
    c->p += n;
    return true;
}

/* The next member: its key, with p before the value; false at the end of the object or on failure (c->why). */
static bool next_member(struct cursor *c, bool *first, struct fed_raw *key)
{
    skip_space(c);
    if (c->p == c->end)
        return fail(c, "unfinished object");
    if (*c->p == '}' && *first) {
        c->p++;
        return false;
    }
    if (!*first) {
        char ch = *c->p++;
        if (ch == '}')
            return false;
        if (ch != ',')
            return fail(c, "',' or '}' expected");
    }
    *first = false;
    if (!take_char(c, '"'))
        return fail(c, "member name expected");
    if (!scan_string(c, key))
        return false;
    if (!take_char(c, ':'))
        return fail(c, "':' expected");
    skip_space(c);
    return true;
}

/* The same for arrays: p stands on the item. */
static bool next_item(struct cursor *c, bool *first)
{
    skip_space(c);
    if (c->p == c->end)
        return fail(c, "unfinished array");
    if (*c->p == ']' && *first) {
        c->p++;
        return false;
    }
    if (!*first) {
        char ch = *c->p++;
        if (ch == ']')
            return false;
        if (ch != ',')
            return fail(c, "',' or ']' expected");
    }
    *first = false;
    skip_space(c);
    return true;
}

static bool enter(struct cursor *c)
{
    c->p++;
    return ++c->depth <= MAX_DEPTH || fail(c, "nested too deep");
}

static inline const char *space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* Numbers and words. */
static bool skip_atom(struct cursor *c)
{
    switch (*c->p) {
    case 't':
        return skip_word(c, "true", 4);
    case 'f':
        return skip_word(c, "false", 5);
    case 'n':
        return skip_word(c, "null", 4);
    case '-':
    case '0' ... '9':
        return skip_number(c);
    default:
        return fail(c, "value expected");
    }
}

static bool fail_at(struct cursor *c, const char *p, const char *why)
{
    c->p = p;
    return fail(c, why);
}

/* p stands on the value's first byte. One loop over all that is inside: most of every object is only passed over, so
 * this is where the time goes. objects: for each depth whether it is an object or an array. */
static bool skip_value(struct cursor *c)
{
    const char *p = c->p, *const end = c->end;
    bool objects[MAX_DEPTH + 1];
    uint32_t depth = c->depth, flags = 0;
    for (;;) {
        /* a value */
        if (p == end)
            return fail_at(c, p, "value expected");
        if (*p == '"') {
            p = skip_string(c, p + 1, &flags);
            if (!p)
                return false;
        } else if (*p == '{' || *p == '[') {
            bool object = *p == '{';
            if (++depth > MAX_DEPTH)
                return fail_at(c, p, "nested too deep");
            objects[depth] = object;
            p = space(p + 1, end);
            if (p == end || *p != (object ? '}' : ']')) {
                if (object)
                    goto key;
                continue;
            }
            p++;
            depth--;
        } else {
            c->p = p;
            if (!skip_atom(c))
                return false;
            p = c->p;
        }
        /* what follows a value */
        for (;;) {
            if (depth == c->depth) {
                c->p = p;
                return true;
            }
            p = space(p, end);
            if (p == end)
                return fail_at(c, p, "unfinished object or array");
            if (*p == ',')
                break;
            if (*p != (objects[depth] ? '}' : ']'))
                return fail_at(c, p, "',' or the end expected");
            p++;
            depth--;
        }
        p = space(p + 1, end);
        if (!objects[depth])
            continue;
    key:
        if (p == end || *p != '"')
            return fail_at(c, p, "member name expected");
        p = skip_string(c, p + 1, &flags);
        if (!p)
            return false;
        p = space(p, end);
        if (p == end || *p != ':')
            return fail_at(c, p, "':' expected");
        p = space(p + 1, end);
    }
}

/* A string value into *out; any other value is passed over and leaves *out absent. */
static bool scan_text(struct cursor *c, struct fed_raw *out)
{
    *out = (struct fed_raw){0};
    if (c->p < c->end && *c->p == '"') {
        c->p++;
        return scan_string(c, out);
    }
    return skip_value(c);
}

static void push(struct fed_raws *r, struct fed_raw raw)
{
    if (r->n == r->cap) {
        size_t cap = r->cap * 2;
        struct fed_raw *v = fed_malloc(cap * sizeof(*v));
        memcpy(v, r->v, r->n * sizeof(*v));
        if (r->v != r->room)
            free(r->v);
        r->v = v;
        r->cap = cap;
    }
    r->v[r->n++] = raw;
}

static bool raw_is(struct fed_raw raw, const char *word, size_t n)
{
    return raw.n == n && memcmp(raw.p, word, n) == 0;
}
#define RAW_IS(raw, lit) raw_is(raw, lit, sizeof(lit) - 1)

static bool scan_map(struct cursor *c, struct fed_raws *out)
{
    struct fed_raw key, value;
    bool first = true;
    out->n = 0; /* a second member of the name wins */
    if (c->p == c->end || *c->p != '{')
        return skip_value(c);
    if (!enter(c))
        return false;
    while (next_member(c, &first, &key)) {
        if (!scan_text(c, &value))
            return false;
        if (value.p) {
            push(out, key);
            push(out, value);
        }
    }
    c->depth--;
    return !c->why;
}

static bool scan_strings(struct cursor *c, struct fed_raws *out)
{
    struct fed_raw value;
    bool first = true;
    out->n = 0;
    if (c->p == c->end || *c->p != '[')
        return skip_value(c);
    if (!enter(c))
        return false;
    while (next_item(c, &first)) {
        if (!scan_text(c, &value))
            return false;
        if (value.p)
            push(out, value);
    }
    c->depth--;
    return !c->why;
}

static bool scan_owner(struct cursor *c, struct fed_raws *out)
{
    struct fed_raw key, part[4] = {{0}};
    uint32_t flags = 0;
    bool first = true;
    if (!enter(c))
        return false;
    while (next_member(c, &first, &key)) {
        bool yes = c->p < c->end && *c->p == 't';
        bool ok;
        if (RAW_IS(key, "apiVersion")) {
            ok = scan_text(c, &part[0]);
        } else if (RAW_IS(key, "kind")) {
            ok = scan_text(c, &part[1]);
        } else if (RAW_IS(key, "name")) {
            ok = scan_text(c, &part[2]);
        } else if (RAW_IS(key, "uid")) {
            ok = scan_text(c, &part[3]);
        } else {
            if (RAW_IS(key, "controller"))
                flags = yes ? flags | FED_RAW_CONTROLLER : flags & ~(uint32_t)FED_RAW_CONTROLLER;
            else if (RAW_IS(key, "blockOwnerDeletion"))
                flags = yes ? flags | FED_RAW_BLOCK : flags & ~(uint32_t)FED_RAW_BLOCK;
            ok = skip_value(c);
        }
        if (!ok)
            return false;
    }
    c->depth--;
    part[0].flags |= flags;
    for (int i = 0; i < 4; i++)
        push(out, part[i]);
    return !c->why;
}

static bool scan_owners(struct cursor *c, struct fed_raws *out)
{
    bool first = true;
    out->n = 0;
    if (c->p == c->end || *c->p != '[')
        return skip_value(c);
    if (!enter(c))
        return false;
    while (next_item(c, &first)) {
        if (!(c->p < c->end && *c->p == '{' ? scan_owner(c, out) : skip_value(c)))
            return false;
    }
    c->depth--;
    return !c->why;
}

static bool scan_generation(struct cursor *c, int64_t *out)
{
    const char *start = c->p;
    *out = 0;
    if (!skip_value(c))
        return false;
    if (fed_str_i64(fed_str_n(start, (size_t)(c->p - start)), out) != 0)
        *out = 0;
    return true;
}

static bool scan_meta_member(struct cursor *c, struct fed_objscan *s, struct fed_raw key)
{
    switch (key.n) {
    case 3:
        if (RAW_IS(key, "uid"))
            return scan_text(c, &s->uid);
        break;
    case 4:
        if (RAW_IS(key, "name"))
            return scan_text(c, &s->name);
        break;
    case 6:
        if (RAW_IS(key, "labels"))
            return scan_map(c, &s->labels);
        break;
    case 9:
        if (RAW_IS(key, "namespace"))
            return scan_text(c, &s->ns);
        break;
    case 10:
        if (RAW_IS(key, "generation"))
            return scan_generation(c, &s->generation);
        if (RAW_IS(key, "finalizers"))
            return scan_strings(c, &s->finalizers);
        break;
    case 11:
        if (RAW_IS(key, "annotations"))
            return scan_map(c, &s->annotations);
        break;
    case 15:
        if (RAW_IS(key, "resourceVersion"))
            return scan_text(c, &s->rev);
        if (RAW_IS(key, "ownerReferences"))
            return scan_owners(c, &s->owners);
        break;
    case 17:
        if (RAW_IS(key, "deletionTimestamp"))
            s->deleting = c->p < c->end && *c->p == '"';
        break;
    }
    return skip_value(c);
}

static bool scan_metadata(struct cursor *c, struct fed_objscan *s)
{
    struct fed_raw key;
    bool first = true;
    s->ns = s->name = s->uid = s->rev = (struct fed_raw){0};
    s->generation = 0;
    s->deleting = s->has_metadata = false;
    s->labels.n = s->annotations.n = s->owners.n = s->finalizers.n = 0;
    if (c->p == c->end || *c->p != '{')
        return skip_value(c);
    if (!enter(c))
        return false;
    s->has_metadata = s->metadata_empty = true;
    s->metadata_open = c->p;
    while (next_member(c, &first, &key)) {
        s->metadata_empty = false;
        if (!scan_meta_member(c, s, key))
            return false;
    }
    c->depth--;
    return !c->why;
}

static bool scan_object(struct cursor *c, struct fed_objscan *s)
{
    struct fed_raw key;
    bool first = true;
    skip_space(c);
    s->text.p = c->p;
    if (c->p == c->end || *c->p != '{')
        return fail(c, "an object expected");
    if (!enter(c))
        return false;
    while (next_member(c, &first, &key)) {
        bool ok;
        if (RAW_IS(key, "metadata"))
            ok = scan_metadata(c, s);
        else if (RAW_IS(key, "kind"))
            ok = scan_text(c, &s->kind);
        else if (RAW_IS(key, "apiVersion"))
            ok = scan_text(c, &s->api_version);
        else
            ok = skip_value(c);
        if (!ok)
            return false;
    }
    if (c->why)
        return false;
    s->text.n = (size_t)(c->p - s->text.p);
    skip_space(c);
    return c->p == c->end || fail(c, "data after the object");
}

static int report(const struct cursor *c, struct fed_err *err)
{
    int line = 1, col = 1;
    for (const char *p = c->begin; p < c->p && p < c->end; p++) {
        col++;
        if (*p == '\n') {
            line++;
            col = 1;
        }
    }
    fed_err_set(err, FED_E_SYNTAX, "JSON: %s at line %d, column %d", c->why ? c->why : "syntax error", line, col);
    if (err) {
        err->line = line;
        err->col = col;
    }
    return FED_E_SYNTAX;
}

static void raws_init(struct fed_raws *r)
{
    r->v = r->room;
    r->n = 0;
    r->cap = FED_ARRAY_LEN(r->room);
}

int fed_objscan(struct fed_objscan *s, struct fed_str text, struct fed_err *err)
{
    struct cursor c = {text.p, text.p, text.p + text.n, 0, NULL};
    s->text = (struct fed_str){0};
    s->api_version = s->kind = s->ns = s->name = s->uid = s->rev = (struct fed_raw){0};
    s->generation = 0;
    s->deleting = s->has_metadata = s->metadata_empty = false;
    s->metadata_open = NULL;
    raws_init(&s->labels);
    raws_init(&s->annotations);
    raws_init(&s->owners);
    raws_init(&s->finalizers);
    if (text.n > UINT32_MAX / 2)
        return fed_err_set(err, FED_E_LIMIT, "object of %zu bytes is too large", text.n);
    return scan_object(&c, s) ? 0 : report(&c, err);
}

static void raws_release(struct fed_raws *r)
{
    if (r->v != r->room)
        free(r->v);
    r->v = r->room;
    r->n = 0;
}

void fed_objscan_release(struct fed_objscan *s)
{
    raws_release(&s->labels);
    raws_release(&s->annotations);
    raws_release(&s->owners);
    raws_release(&s->finalizers);
}

static size_t put_utf8(char *out, uint32_t v)
{
    if (v < 0x80) {
        out[0] = (char)v;
        return 1;
    }
    if (v < 0x800) {
        out[0] = (char)(0xc0 | v >> 6);
        out[1] = (char)(0x80 | (v & 0x3f));
        return 2;
    }
    if (v < 0x10000) {
        out[0] = (char)(0xe0 | v >> 12);
        out[1] = (char)(0x80 | (v >> 6 & 0x3f));
        out[2] = (char)(0x80 | (v & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | v >> 18);
    out[1] = (char)(0x80 | (v >> 12 & 0x3f));
    out[2] = (char)(0x80 | (v >> 6 & 0x3f));
    out[3] = (char)(0x80 | (v & 0x3f));
    return 4;
}

static char unescaped(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    default:
        return c;
    }
}

size_t fed_raw_decode(struct fed_raw raw, char *out)
{
    const char *p = raw.p, *end = raw.p + raw.n;
    char *o = out;
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(o, p, plain);
        o += plain;
        p += plain;
        if (!slash)
            break;
        if (p[1] != 'u') {
            *o++ = unescaped(p[1]);
            p += 2;
            continue;
        }
        uint32_t v = (uint32_t)hex4(p + 2, end);
        p += 6;
        if (v >= 0xd800 && v <= 0xdbff) {
            v = 0x10000 + ((v - 0xd800) << 10) + ((uint32_t)hex4(p + 2, end) - 0xdc00);
            p += 6;
        }
        o += put_utf8(o, v);
    }
    return (size_t)(o - out);
}

int fed_json_walk(struct fed_str text, int (*each)(void *ud, struct fed_str key, struct fed_str value), void *ud,
                  struct fed_err *err)
{
    struct cursor c = {text.p, text.p, text.p + text.n, 0, NULL};
    struct fed_raw key = {0};
    bool first = true;
    skip_space(&c);
    if (c.p == c.end || (*c.p != '{' && *c.p != '[')) {
        fail(&c, "an object or array expected");
        return report(&c, err);
    }
    bool object = *c.p == '{';
    if (!enter(&c))
        return report(&c, err);
    while (object ? next_member(&c, &first, &key) : next_item(&c, &first)) {
        const char *start = c.p;
        if (!skip_value(&c))
            return report(&c, err);
        int code = each(ud, fed_str_n(key.p, key.n), fed_str_n(start, (size_t)(c.p - start)));
        if (code != 0)
            return code;
    }
    skip_space(&c);
    if (!c.why && c.p != c.end)
        fail(&c, "data after the value");
    return c.why ? report(&c, err) : 0;
}
