/* SPDX-License-Identifier: Apache-2.0 */
/* regex_compile.c: the text of a regular expression into nodes, and nodes into the machine's program. */
#include <ctype.h>

#include "base/buf.h"
#include "base/mem.h"
#include "codec/regex_priv.h"

enum { MAX_PATTERN = 4096, MAX_NESTED = 100, MAX_REPEAT = 1000, MAX_PROGRAM = 10000, MAX_RUNE = 0x10ffff };
enum { LOOP_FOREVER = -1 };

enum kind { EMPTY, ONE, CAT, ALT, REPEAT };
struct item {
    enum kind kind;
    struct fed_regex_ins ins; /* ONE */
    struct item *a, *b;       /* CAT, ALT; REPEAT: a */
    int min, max;             /* REPEAT; max LOOP_FOREVER */
    bool lazy;
};
struct flags {
    bool icase, multi, dot_all, swap_greed;
};
struct parser {
    struct fed_arena *a;
    struct fed_str in;
    size_t at;
    struct flags f;
    int depth;
    bool quoted; /* behind \Q */
    struct fed_err *err;
    int rc;
};
struct ranges {
    struct fed_regex_range *p;
    uint32_t n, cap;
};

static struct item *parse_alternatives(struct parser *p);

static void *fail(struct parser *p, int code, const char *why)
{
    if (!p->rc)
        p->rc =
            fed_err_set(p->err, code, "error parsing regexp: %s: `%.*s`", why, FED_STR_ARG(fed_str_head(p->in, 200)));
    return NULL;
}

static bool more(const struct parser *p)
{
    return p->at < p->in.n;
}

static char peek(const struct parser *p, size_t ahead)
{
    return p->at + ahead < p->in.n ? p->in.p[p->at + ahead] : 0;
}

static struct item *make(struct parser *p, enum kind kind, struct item *a, struct item *b)
{
    struct item *it = FED_ARENA_NEW(p->a, struct item);

    it->kind = kind;
    it->a = a;
    it->b = b;
    return it;
}

static struct item *one(struct parser *p, enum fed_regex_op op, uint32_t x)
{
    struct item *it = make(p, ONE, NULL, NULL);

    it->ins = (struct fed_regex_ins){.op = (uint8_t)op, .x = x};
    return it;
}

/* The next character of the expression. */
static uint32_t take_rune(struct parser *p)
{
    unsigned char c = (unsigned char)p->in.p[p->at++];
    int rest = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    uint32_t v = rest ? c & (0x3fu >> rest) : c;

    for (; rest && more(p); rest--)
        v = v << 6 | ((unsigned char)p->in.p[p->at++] & 0x3f);
    return v;
}

/* --- classes --- */

static void add_range(struct parser *p, struct ranges *r, uint32_t lo, uint32_t hi)
{
    FED_ARENA_ROOM(p->a, r->p, r->n, r->cap, 8);
    r->p[r->n++] = (struct fed_regex_range){lo, hi};
}

static void add_folded(struct parser *p, struct ranges *r, uint32_t lo, uint32_t hi)
{
    add_range(p, r, lo, hi);
    if (!p->f.icase)
        return;
    for (uint32_t c = lo; c <= hi && c < 128; c++)
        if (isalpha((int)c))
            add_range(p, r, c ^ 0x20, c ^ 0x20);
}

/* A set of ASCII bytes or all but it. */
static void add_set(struct parser *p, struct ranges *r, bool (*in)(int c), bool negated)
{
    for (int c = 0, from = -1; c <= 128; c++) {
        bool is = c < 128 && in(c) != negated;

        if (is && from < 0)
            from = c;
        if (!is && from >= 0) {
            add_range(p, r, (uint32_t)from, (uint32_t)c - 1);
            from = -1;
        }
    }
    if (negated)
        add_range(p, r, 128, MAX_RUNE);
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}
static bool is_word(int c)
{
    return isalnum(c) || c == '_';
}
static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

static bool add_escape(struct parser *p, struct ranges *r, char c)
{
    switch (c) {
    case 'd':
    case 'D':
        add_set(p, r, is_digit, c == 'D');
        return true;
    case 'w':
    case 'W':
        add_set(p, r, is_word, c == 'W');
        return true;
    case 's':
    case 'S':
        add_set(p, r, is_space, c == 'S');
        return true;
    default:
        return false;
    }
}

#define CLASS_TEST(name)                                                                                               \
    static bool posix_##name(int c)                                                                                    \
    {                                                                                                                  \
        return is##name(c) != 0;                                                                                       \
    }
CLASS_TEST(alnum)
CLASS_TEST(alpha)
CLASS_TEST(cntrl)
CLASS_TEST(graph)
CLASS_TEST(lower)
CLASS_TEST(print)
CLASS_TEST(punct)
CLASS_TEST(space)
CLASS_TEST(upper)
CLASS_TEST(xdigit)
static bool posix_ascii(int c)
{
    return c < 128;
}
static bool posix_blank(int c)
{
    return c == ' ' || c == '\t';
}

/* "[:alpha:]" at p->at. */
static bool add_posix(struct parser *p, struct ranges *r)
{
    static const struct {
        const char *name;
        bool (*in)(int c);
    } sets[] = {{"alnum", posix_alnum}, {"alpha", posix_alpha},  {"ascii", posix_ascii}, {"blank", posix_blank},
                {"cntrl", posix_cntrl}, {"digit", is_digit},     {"graph", posix_graph}, {"lower", posix_lower},
                {"print", posix_print}, {"punct", posix_punct},  {"space", posix_space}, {"upper", posix_upper},
                {"word", is_word},      {"xdigit", posix_xdigit}};
    ptrdiff_t end = fed_str_find(p->in, FED_STR(":]"), p->at + 2);
    struct fed_str name;
    bool negated;

    if (end < 0)
        return false;
    name = fed_str_n(p->in.p + p->at + 2, (size_t)end - p->at - 2);
    negated = name.n && name.p[0] == '^';
    name = fed_str_from(name, negated);
    for (size_t i = 0; i < FED_ARRAY_LEN(sets); i++)
        if (fed_str_is(name, sets[i].name)) {
            add_set(p, r, sets[i].in, negated);
            p->at = (size_t)end + 2;
            return true;
        }
    return false;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Behind "\x": two digits, or any number in braces. */
static int64_t hex_escape(struct parser *p)
{
    int64_t v = 0;
    int digits = 0;

    if (peek(p, 0) != '{') {
        if (hex(peek(p, 0)) < 0 || hex(peek(p, 1)) < 0)
            return -1;
        v = hex(peek(p, 0)) * 16 + hex(peek(p, 1));
        p->at += 2;
        return v;
    }
    for (p->at++; more(p) && hex(peek(p, 0)) >= 0 && v <= MAX_RUNE; p->at++, digits++)
        v = v * 16 + hex(peek(p, 0));
    if (peek(p, 0) != '}' || !digits || v > MAX_RUNE)
        return -1;
    p->at++;
    return v;
}

/* The character that the escape stands for (p->at is behind its letter), or -1. */
static int64_t escaped_rune(struct parser *p, char c)
{
    static const char letters[] = "aftnrv", means[] = "\a\f\t\n\r\v";
    const char *hit = strchr(letters, c);

    if (c == 'x')
        return hex_escape(p);
    if (c && hit)
        return (unsigned char)means[hit - letters];
    if (c >= '0' && c <= '7' && c != '0')
        return -1; /* a backreference */
    if (c == '0') {
        int v = 0;
        for (int i = 0; i < 2 && peek(p, 0) >= '0' && peek(p, 0) <= '7'; i++)
            v = v * 8 + (p->in.p[p->at++] - '0');
        return v;
    }
    return c && !isalnum((unsigned char)c) && (unsigned char)c < 128 ? c : -1;
}

/* One character of a set: the rune, or -1 (wrong, said). */
static int64_t set_rune(struct parser *p)
{
    int64_t v;

    if (!more(p)) {
        fail(p, FED_E_INVALID, "missing closing ]");
        return -1;
    }
    if (peek(p, 0) != '\\')
        return take_rune(p);
    p->at += 2;
    v = p->at <= p->in.n ? escaped_rune(p, p->in.p[p->at - 1]) : -1;
    if (v < 0)
        fail(p, FED_E_INVALID, "invalid escape sequence");
    return v;
}

static bool set_member(struct parser *p, struct ranges *r)
{
    int64_t lo, hi;

    if (peek(p, 0) == '[' && peek(p, 1) == ':' && add_posix(p, r))
        return true;
    if (peek(p, 0) == '[' && peek(p, 1) == ':')
        return fail(p, FED_E_INVALID, "invalid character class range"), false;
    if (peek(p, 0) == '\\' && (peek(p, 1) == 'p' || peek(p, 1) == 'P'))
        return fail(p, FED_E_UNSUPPORTED, "classes of Unicode cannot be evaluated"), false;
    if (peek(p, 0) == '\\' && add_escape(p, r, peek(p, 1))) {
        p->at += 2;
        return true;
    }
    lo = hi = set_rune(p);
    if (lo >= 0 && peek(p, 0) == '-' && peek(p, 1) != ']' && p->at + 1 < p->in.n) {
        p->at++;
        hi = set_rune(p);
    }
    if (p->rc)
        return false;
    if (hi < lo)
        return fail(p, FED_E_INVALID, "invalid character class range"), false;
    add_folded(p, r, (uint32_t)lo, (uint32_t)hi);
    return true;
}

static struct item *class_item(struct parser *p, const struct ranges *r, bool negated)
{
    struct item *it = one(p, FED_REGEX_CLASS, 0);

    it->ins.ranges = r->p;
    it->ins.n_ranges = r->n;
    it->ins.negated = negated;
    return it;
}

static struct item *parse_set(struct parser *p)
{
    struct ranges r = {0};
    bool negated = peek(p, 0) == '^';

    p->at += negated;
    for (bool first = true; first || peek(p, 0) != ']'; first = false) {
        if (!more(p))
            return fail(p, FED_E_INVALID, "missing closing ]");
        if (!set_member(p, &r))
            return NULL;
    }
    p->at++;
    return class_item(p, &r, negated);
}

/* --- atoms --- */

static struct item *rune_item(struct parser *p, uint32_t c)
{
    struct ranges r = {0};

    if (!p->f.icase || c > 127 || !isalpha((int)c))
        return one(p, FED_REGEX_CHAR, c);
    add_folded(p, &r, c, c);
    return class_item(p, &r, false);
}

static bool end_quoted(struct parser *p)
{
    if (peek(p, 0) != '\\' || peek(p, 1) != 'E')
        return false;
    p->at += 2;
    p->quoted = false;
    return true;
}

/* Between "\Q" and "\E" each character is itself; what repeats the last one stands behind. */
static struct item *parse_quoted(struct parser *p)
{
    struct item *it = end_quoted(p) ? make(p, EMPTY, NULL, NULL) : rune_item(p, take_rune(p));

    if (p->quoted)
        (void)end_quoted(p);
    return it;
}

static struct item *parse_escape(struct parser *p)
{
    struct ranges r = {0};
    char c = peek(p, 0);
    int64_t v;

    if (!more(p))
        return fail(p, FED_E_INVALID, "trailing backslash at end of expression");
    p->at++;
    if (add_escape(p, &r, c))
        return class_item(p, &r, false);
    switch (c) {
    case 'A':
        return one(p, FED_REGEX_TEXT_START, 0);
    case 'z':
        return one(p, FED_REGEX_TEXT_END, 0);
    case 'b':
        return one(p, FED_REGEX_WORD, 0);
    case 'B':
        return one(p, FED_REGEX_NO_WORD, 0);
    case 'Q':
        p->quoted = true;
        return more(p) ? parse_quoted(p) : make(p, EMPTY, NULL, NULL);
    case 'p':
    case 'P':
        return fail(p, FED_E_UNSUPPORTED, "classes of Unicode cannot be evaluated");
    default:
        break;
    }
    v = escaped_rune(p, c);
    return v < 0 ? fail(p, FED_E_INVALID, "invalid escape sequence") : rune_item(p, (uint32_t)v);
}

/* Behind "(?": flags to ")" or ":". True: a group follows. */
static bool parse_flags(struct parser *p, struct flags *f)
{
    bool on = true;

    for (; more(p); p->at++) {
        char c = peek(p, 0);

        if (c == ')' || c == ':') {
            p->at++;
            return c == ':';
        }
        if (c == '-')
            on = false;
        else if (c == 'i')
            f->icase = on;
        else if (c == 'm')
            f->multi = on;
        else if (c == 's')
            f->dot_all = on;
        else if (c == 'U')
            f->swap_greed = on;
        else
            break;
    }
    fail(p, FED_E_INVALID, "invalid or unsupported Perl syntax");
    return false;
}

static struct item *parse_group(struct parser *p)
{
    struct flags outer = p->f;
    struct item *it;
    ptrdiff_t end;

    if (peek(p, 0) == '?') {
        size_t name = peek(p, 1) == 'P' && peek(p, 2) == '<' ? 3 : peek(p, 1) == '<' ? 2 : 0;

        p->at++;
        if (name) {
            end = fed_str_chr(p->in, '>', p->at);
            if (end < (ptrdiff_t)(p->at + name) || !is_word(p->in.p[p->at + name - 1]))
                return fail(p, FED_E_INVALID, "invalid named capture");
            p->at = (size_t)end + 1;
        } else if (!parse_flags(p, &p->f)) {
            return p->rc ? NULL : make(p, EMPTY, NULL, NULL); /* the flags hold to the end of the group around */
        }
    }
    if (++p->depth > MAX_NESTED)
        return fail(p, FED_E_LIMIT, "expression nests too deeply");
    it = parse_alternatives(p);
    p->depth--;
    if (!it)
        return NULL;
    if (peek(p, 0) != ')')
        return fail(p, FED_E_INVALID, "missing closing )");
    p->at++;
    p->f = outer;
    return it;
}

static struct item *parse_atom(struct parser *p)
{
    char c = peek(p, 0);

    if (p->quoted)
        return parse_quoted(p);
    switch (c) {
    case '(':
        p->at++;
        return parse_group(p);
    case '[':
        p->at++;
        return parse_set(p);
    case '.':
        p->at++;
        return one(p, p->f.dot_all ? FED_REGEX_ANY : FED_REGEX_LINE, 0);
    case '^':
        p->at++;
        return one(p, p->f.multi ? FED_REGEX_LINE_START : FED_REGEX_TEXT_START, 0);
    case '$':
        p->at++;
        return one(p, p->f.multi ? FED_REGEX_LINE_END : FED_REGEX_TEXT_END, 0);
    case '\\':
        p->at++;
        return parse_escape(p);
    case '*':
    case '+':
    case '?':
        return fail(p, FED_E_INVALID, "missing argument to repetition operator");
    default:
        return rune_item(p, take_rune(p));
    }
}

/* --- repetition --- */

/* "{2}", "{2,}", "{2,5}" at p->at; else it is a brace like any character. */
static bool read_counts(struct parser *p, int *min, int *max)
{
    size_t i = p->at + 1, digits = 0;
    int n[2] = {0, LOOP_FOREVER}, part = 0;

    for (; i < p->in.n && p->in.p[i] != '}'; i++) {
        if (p->in.p[i] == ',' && !part && digits) {
            part = 1;
            digits = 0;
        } else if (is_digit(p->in.p[i]) && digits < 5) {
            n[part] = (digits ? n[part] * 10 : 0) + (p->in.p[i] - '0');
            digits++;
        } else {
            return false;
        }
    }
    if (i >= p->in.n || (!part && !digits))
        return false;
    *min = n[0];
    *max = part ? n[1] : n[0];
    p->at = i + 1;
    return true;
}

static struct item *parse_repeat(struct parser *p)
{
    struct item *it = parse_atom(p);

    for (int level = 0; it && more(p) && !p->quoted; level++) {
        int min = 0, max = LOOP_FOREVER;
        char c = peek(p, 0);

        if (c == '*' || c == '+' || c == '?') {
            min = c == '+';
            max = c == '?' ? 1 : LOOP_FOREVER;
            p->at++;
        } else if (c != '{' || !read_counts(p, &min, &max)) {
            break;
        }
        if (min > MAX_REPEAT || max > MAX_REPEAT || (max != LOOP_FOREVER && max < min))
            return fail(p, FED_E_INVALID, "invalid repeat count");
        if (level > 0)
            return fail(p, FED_E_INVALID, "invalid nested repetition operator");
        it = make(p, REPEAT, it, NULL);
        it->min = min;
        it->max = max;
        it->lazy = p->f.swap_greed;
        if (peek(p, 0) == '?') {
            it->lazy = !it->lazy;
            p->at++;
        }
    }
    return it;
}

static struct item *parse_sequence(struct parser *p)
{
    struct item *all = make(p, EMPTY, NULL, NULL), *next;

    while (more(p) && (p->quoted || (peek(p, 0) != '|' && peek(p, 0) != ')'))) {
        next = parse_repeat(p);
        if (!next)
            return NULL;
        all = make(p, CAT, all, next);
    }
    return all;
}

static struct item *parse_alternatives(struct parser *p)
{
    struct item *all = parse_sequence(p), *next;

    while (all && peek(p, 0) == '|') {
        p->at++;
        next = parse_sequence(p);
        if (!next)
            return NULL;
        all = make(p, ALT, all, next);
    }
    return all;
}

/* --- into the program --- */

struct emitter {
    struct fed_regex_ins *ins; /* on the heap */
    uint32_t n, cap;
    bool full;
};

static uint32_t emit(struct emitter *e, struct fed_regex_ins ins)
{
    if (e->n == MAX_PROGRAM) {
        e->full = true;
        return 0;
    }
    if (e->n == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 32;
        e->ins = fed_realloc(e->ins, e->cap * sizeof(*e->ins));
    }
    e->ins[e->n] = ins;
    return e->n++;
}

static uint32_t emit_op(struct emitter *e, enum fed_regex_op op)
{
    return emit(e, (struct fed_regex_ins){.op = (uint8_t)op});
}

static void emit_item(struct emitter *e, const struct item *it);

/* split: where to go on, and where else; lazy turns them round. */
static void aim(struct emitter *e, uint32_t split, uint32_t body, uint32_t after, bool lazy)
{
    e->ins[split].x = lazy ? after : body;
    e->ins[split].y = lazy ? body : after;
}

/* The splits of optional copies are a list through their y until it is known where they end. */
static void emit_copies(struct emitter *e, const struct item *it)
{
    uint32_t last = 0, split;

    for (int i = it->min; i < it->max && !e->full; i++) {
        split = emit_op(e, FED_REGEX_SPLIT);
        e->ins[split].y = last;
        last = split + 1;
        emit_item(e, it->a);
    }
    while (last && !e->full) {
        split = last - 1;
        last = e->ins[split].y;
        aim(e, split, split + 1, e->n, it->lazy);
    }
}

static void emit_repeat(struct emitter *e, const struct item *it)
{
    uint32_t split, jump;

    for (int i = 0; i < it->min && !e->full; i++)
        emit_item(e, it->a);
    if (it->max != LOOP_FOREVER) {
        emit_copies(e, it);
        return;
    }
    split = emit_op(e, FED_REGEX_SPLIT);
    emit_item(e, it->a);
    jump = emit_op(e, FED_REGEX_JUMP);
    if (e->full)
        return;
    e->ins[jump].x = split;
    aim(e, split, split + 1, e->n, it->lazy);
}

static void emit_item(struct emitter *e, const struct item *it)
{
    uint32_t split, jump;

    if (e->full)
        return;
    switch (it->kind) {
    case EMPTY:
        return;
    case ONE:
        emit(e, it->ins);
        return;
    case CAT:
        emit_item(e, it->a);
        emit_item(e, it->b);
        return;
    case ALT:
        split = emit_op(e, FED_REGEX_SPLIT);
        emit_item(e, it->a);
        jump = emit_op(e, FED_REGEX_JUMP);
        if (!e->full)
            aim(e, split, split + 1, e->n, false);
        emit_item(e, it->b);
        if (!e->full)
            e->ins[jump].x = e->n;
        return;
    case REPEAT:
        emit_repeat(e, it);
        return;
    }
}

/* The program, with the ranges of its classes, out of the scratch memory. */
static struct fed_regex *keep(struct fed_arena *a, const struct emitter *e)
{
    struct fed_regex *re = FED_ARENA_NEW(a, struct fed_regex);

    re->n = e->n;
    re->ins = fed_arena_alloc(a, e->n * sizeof(*re->ins));
    memcpy(re->ins, e->ins, e->n * sizeof(*re->ins));
    for (uint32_t i = 0; i < e->n; i++) {
        struct fed_regex_ins *in = &re->ins[i];

        if (in->n_ranges) {
            size_t n = in->n_ranges * sizeof(*in->ranges);

            in->ranges = memcpy(fed_arena_alloc(a, n), in->ranges, n);
        }
    }
    re->anchored = re->ins[0].op == FED_REGEX_TEXT_START;
    return re;
}

int fed_regex_compile(struct fed_arena *a, struct fed_str pattern, struct fed_regex **out, struct fed_err *err)
{
    struct fed_arena scratch = {0};
    struct parser p = {.a = &scratch, .in = pattern, .err = err};
    struct emitter e = {0};
    struct item *root;

    if (pattern.n > MAX_PATTERN)
        return fed_err_set(err, FED_E_LIMIT, "a regular expression is longer than %d bytes", MAX_PATTERN);
    root = parse_alternatives(&p);
    if (root && more(&p))
        fail(&p, FED_E_INVALID, "unexpected )");
    if (!p.rc) {
        emit_item(&e, root);
        emit_op(&e, FED_REGEX_MATCH);
    }
    if (e.full)
        p.rc = fed_err_set(err, FED_E_LIMIT, "a regular expression is too large");
    if (!p.rc)
        *out = keep(a, &e);
    free(e.ins);
    fed_arena_release(&scratch);
    return p.rc;
}
