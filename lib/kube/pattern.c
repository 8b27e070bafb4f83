/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/pattern.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/buf.h"

enum { MAX_PATTERN = 4096, MAX_NESTED = 64, MAX_REPEAT = 1000, MAX_WEIGHT = 20000 };

struct parser {
    struct fed_str in;
    size_t at;
    struct fed_buf out;
    struct fed_err *err;
    bool icase, atom; /* atom: something stands before that a quantifier may repeat */
    int depth;
    /* What the expression grows to when repetitions are written out: for each open group its sum so far, and the
     * last atom's part of it. */
    uint64_t sum[MAX_NESTED + 1], last[MAX_NESTED + 1];
};

static int bad(struct parser *p, int code, const char *what)
{
    return fed_err_set(p->err, code, "%s", what);
}

static void put_atom(struct parser *p, uint64_t weight)
{
    p->sum[p->depth] += weight;
    p->last[p->depth] = weight;
    p->atom = true;
}

/* --- sets --- */

struct set {
    unsigned char has[256];
};

static void add_class(struct set *s, char c)
{
    bool not = c >= 'A' && c <= 'Z';

    for (int b = 1; b < 256; b++) {
        bool in = c == 'd' || c == 'D'   ? b >= '0' && b <= '9'
                  : c == 'w' || c == 'W' ? b < 128 && (isalnum(b) || b == '_')
                                         : b == ' ' || (b >= '\t' && b <= '\r' && b != '\v');
        if (in != not )
            s->has[b] = 1;
    }
}

static bool add_named(struct set *s, struct fed_str name)
{
    static const struct {
        const char *name;
        int (*is)(int);
    } classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"digit", isdigit},  {"lower", islower},
                   {"upper", isupper}, {"space", isspace}, {"punct", ispunct},  {"print", isprint},
                   {"graph", isgraph}, {"cntrl", iscntrl}, {"xdigit", isxdigit}};

    if (fed_str_is(name, "word")) {
        add_class(s, 'w');
        return true;
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(classes); i++) {
        if (!fed_str_is(name, classes[i].name))
            continue;
        for (int b = 1; b < 128; b++)
            if (classes[i].is(b))
                s->has[b] = 1;
        return true;
    }
    return false;
}

/* ']' first, '-' last, '^' not first, '[' where no class can begin: so every set can be written. */
static void write_set(struct parser *p, const struct set *s, bool negated)
{
    int n = 0, only = 0;

    for (int b = 1; b < 256; b++)
        if (s->has[b]) {
            n++;
            only = b;
        }
    if (!negated && n == 1 && only == '^') {
        fed_buf_addz(&p->out, "\\^");
        return;
    }
    fed_buf_addz(&p->out, negated ? "[^" : "[");
    if (s->has[']'])
        fed_buf_addc(&p->out, ']');
    for (int b = 1; b < 256; b++) {
        int end = b;

        if (!s->has[b] || strchr("]-^[", b))
            continue;
        while (end < 255 && s->has[end + 1] && !strchr("]-^[", end + 1))
            end++;
        fed_buf_addc(&p->out, (char)b);
        if (end > b + 1) {
            fed_buf_addc(&p->out, '-');
            fed_buf_addc(&p->out, (char)end);
            b = end;
        }
    }
    if (s->has['['])
        fed_buf_addc(&p->out, '[');
    if (s->has['^'])
        fed_buf_addc(&p->out, '^');
    if (s->has['-'])
        fed_buf_addc(&p->out, '-');
    fed_buf_addc(&p->out, ']');
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A character after a backslash (p->at is behind the letter); -1: none that we know. */
static int escaped_char(struct parser *p, char c)
{
    static const char from[] = "ntrfva", to[] = "\n\t\r\f\v\a";
    const char *hit = c ? strchr(from, c) : NULL;

    if (hit)
        return (unsigned char)to[hit - from];
    if (c == 'x' && p->at + 2 <= p->in.n && hex_value(p->in.p[p->at]) >= 0 && hex_value(p->in.p[p->at + 1]) >= 0) {
        int v = hex_value(p->in.p[p->at]) * 16 + hex_value(p->in.p[p->at + 1]);

        p->at += 2;
        return v;
    }
    return c && !isalnum((unsigned char)c) ? (unsigned char)c : -1;
}

/* One item of a set: a character, or -1 when it was a class (already added), -2 when it is wrong. */
static int set_item(struct parser *p, struct set *s)
{
    char c = p->in.p[p->at++];
    ptrdiff_t end;
    int v;

    if (c == '[' && p->at < p->in.n && p->in.p[p->at] == ':') {
        end = fed_str_find(p->in, FED_STR(":]"), p->at + 1);
        if (end < 0 || !add_named(s, fed_str_n(p->in.p + p->at + 1, (size_t)end - p->at - 1)))
            return -2;
        p->at = (size_t)end + 2;
        return -1;
    }
    if (c != '\\')
        return (unsigned char)c;
    if (p->at >= p->in.n)
        return -2;
    c = p->in.p[p->at++];
    if (strchr("dDwWsS", c)) {
        add_class(s, c);
        return -1;
    }
    v = escaped_char(p, c);
    return v > 0 ? v : -2;
}

static int parse_set(struct parser *p)
{
    struct set s = {{0}};
    bool negated = p->at < p->in.n && p->in.p[p->at] == '^', first = true;

    if (negated)
        p->at++;
    for (;; first = false) {
        int from, to;

        if (p->at >= p->in.n)
            return bad(p, FED_E_INVALID, "missing closing ]");
        if (p->in.p[p->at] == ']' && !first)
            break;
        if (p->in.p[p->at] == '\\' && p->at + 1 < p->in.n && strchr("pP", p->in.p[p->at + 1]))
            return bad(p, FED_E_UNSUPPORTED, "Unicode classes (\\p) cannot be evaluated");
        from = set_item(p, &s);
        if (from == -2)
            return bad(p, FED_E_INVALID, "invalid character class");
        if (from < 0)
            continue;
        to = from;
        if (p->at + 1 < p->in.n && p->in.p[p->at] == '-' && p->in.p[p->at + 1] != ']') {
            p->at++;
            to = set_item(p, &s);
            if (to < from)
                return bad(p, FED_E_INVALID, "invalid character class range");
        }
        for (int b = from; b <= to; b++)
            s.has[b] = 1;
    }
    p->at++;
    write_set(p, &s, negated);
    put_atom(p, 1);
    return 0;
}

/* --- the rest --- */

static void put_char(struct parser *p, char c)
{
    if (strchr(".[]{}()*+?^$|\\", c))
        fed_buf_addc(&p->out, '\\');
    fed_buf_addc(&p->out, c);
    put_atom(p, 1);
}

static int parse_escape(struct parser *p)
{
    struct set s = {{0}};
    char c;
    int v;

    if (p->at >= p->in.n)
        return bad(p, FED_E_INVALID, "trailing backslash at end of expression");
    c = p->in.p[p->at++];
    if (strchr("dDwWsS", c)) {
        add_class(&s, c);
        write_set(p, &s, false);
        put_atom(p, 1);
        return 0;
    }
    if (strchr("bB", c)) {
        fed_buf_append(&p->out, c == 'b' ? "\\b" : "\\B", 2);
        p->atom = false;
        return 0;
    }
    if (strchr("Az", c)) {
        fed_buf_addc(&p->out, c == 'A' ? '^' : '$');
        p->atom = false;
        return 0;
    }
    if (strchr("pPCQE", c))
        return bad(p, FED_E_UNSUPPORTED, "this escape sequence cannot be evaluated");
    v = escaped_char(p, c);
    if (v <= 0)
        return bad(p, FED_E_INVALID, "invalid escape sequence");
    put_char(p, (char)v);
    return 0;
}

static int open_group(struct parser *p)
{
    struct fed_str rest = fed_str_from(p->in, p->at);
    ptrdiff_t end = fed_str_chr(rest, '>', 0);

    if (fed_str_starts(rest, FED_STR("?:"))) {
        p->at += 2;
    } else if (fed_str_starts(rest, FED_STR("?i)")) && p->at == 1) {
        p->icase = true;
        p->at += 3;
        return 0;
    } else if ((fed_str_starts(rest, FED_STR("?P<")) || fed_str_starts(rest, FED_STR("?<"))) && end > 0) {
        p->at += (size_t)end + 1;
    } else if (rest.n && rest.p[0] == '?') {
        return bad(p, FED_E_UNSUPPORTED, "this group syntax cannot be evaluated");
    }
    if (p->depth == MAX_NESTED)
        return bad(p, FED_E_LIMIT, "groups are nested too deeply");
    p->depth++;
    p->sum[p->depth] = p->last[p->depth] = 0;
    fed_buf_addc(&p->out, '(');
    p->atom = false;
    return 0;
}

static int close_group(struct parser *p)
{
    uint64_t weight = p->sum[p->depth] + 1;

    if (!p->depth)
        return bad(p, FED_E_INVALID, "unexpected )");
    p->depth--;
    fed_buf_addc(&p->out, ')');
    put_atom(p, weight);
    return 0;
}

/* "{n}", "{n,}", "{n,m}" at p->at (behind the brace); false: a brace like any other character. */
static bool read_counts(struct parser *p, uint32_t *min, uint32_t *max)
{
    size_t i = p->at, digits = 0;
    uint32_t n[2] = {0, 0};
    int part = 0;

    for (; i < p->in.n && p->in.p[i] != '}'; i++) {
        if (p->in.p[i] == ',' && part == 0 && digits) {
            part = 1;
            digits = 0;
        } else if (p->in.p[i] >= '0' && p->in.p[i] <= '9' && digits < 6) {
            n[part] = n[part] * 10 + (uint32_t)(p->in.p[i] - '0');
            digits++;
        } else {
            return false;
        }
    }
    if (i == p->in.n || (part == 0 && !digits))
        return false;
    *min = n[0];
    *max = part == 0 ? n[0] : digits ? n[1] : UINT32_MAX;
    p->at = i + 1;
    return true;
}

static int repeat(struct parser *p, char c)
{
    uint32_t min = 0, max = 0;
    uint64_t times = 2;

    if (c == '{' && !read_counts(p, &min, &max)) {
        put_char(p, c);
        return 0;
    }
    if (!p->atom)
        return bad(p, FED_E_INVALID, "missing argument to repetition operator");
    if (c != '{') {
        fed_buf_addc(&p->out, c);
    } else {
        if (min > MAX_REPEAT || (max != UINT32_MAX && (max > MAX_REPEAT || max < min)))
            return bad(p, FED_E_INVALID, "invalid repeat count");
        if (max == UINT32_MAX)
            fed_buf_addf(&p->out, "{%u,}", min);
        else
            fed_buf_addf(&p->out, "{%u,%u}", min, max);
        times = max == UINT32_MAX ? min + 1u : max;
    }
    p->sum[p->depth] += p->last[p->depth] * (times ? times - 1 : 0);
    if (p->sum[p->depth] > MAX_WEIGHT)
        return bad(p, FED_E_LIMIT, "its repetitions multiply to too much");
    if (p->at < p->in.n && p->in.p[p->at] == '?')
        p->at++; /* lazy or greedy: whether it matches is the same */
    p->atom = false;
    return 0;
}

static int parse_one(struct parser *p, char c)
{
    switch (c) {
    case '\\':
        return parse_escape(p);
    case '[':
        return parse_set(p);
    case '(':
        return open_group(p);
    case ')':
        return close_group(p);
    case '*':
    case '+':
    case '?':
    case '{':
        return repeat(p, c);
    case '^':
    case '$':
    case '|':
        fed_buf_addc(&p->out, c);
        p->atom = false;
        return 0;
    case '.':
        fed_buf_addc(&p->out, c);
        put_atom(p, 1);
        return 0;
    default:
        put_char(p, c);
        return 0;
    }
}

int fed_pattern_compile(struct fed_str pattern, regex_t *out, struct fed_err *err)
{
    struct parser p = {.in = pattern, .err = err};
    int rc = 0;

    if (pattern.n > MAX_PATTERN)
        return fed_err_set(err, FED_E_LIMIT, "longer than %d bytes", MAX_PATTERN);
    if (fed_str_chr(pattern, 0, 0) >= 0)
        return fed_err_set(err, FED_E_UNSUPPORTED, "a zero byte cannot be evaluated");
    fed_buf_init(&p.out, 1 << 20);
    while (!rc && p.at < p.in.n)
        rc = parse_one(&p, p.in.p[p.at++]);
    if (!rc && p.depth)
        rc = bad(&p, FED_E_INVALID, "missing closing )");
    if (!rc && p.sum[0] > MAX_WEIGHT)
        rc = bad(&p, FED_E_LIMIT, "its repetitions multiply to too much");
    if (!rc && regcomp(out, fed_buf_z(&p.out), REG_EXTENDED | REG_NOSUB | (p.icase ? REG_ICASE : 0)))
        rc = fed_err_set(err, FED_E_UNSUPPORTED, "it cannot be evaluated");
    fed_buf_release(&p.out);
    return rc;
}
