/* SPDX-License-Identifier: Apache-2.0 */
/* lex.c: text into tokens; escapes of strings and bytes are decoded. */
#include "cel/cel_priv.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static char peek(const struct fed_cel_lexer *l, size_t ahead)
{
    return l->at + ahead < l->in.n ? l->in.p[l->at + ahead] : 0;
}

static void bad(struct fed_cel_lexer *l, size_t upto)
{
    struct fed_str s = fed_str_n(l->in.p + l->off, FED_MIN(upto, l->in.n) - l->off);

    l->token = FED_CEL_T_BAD;
    l->at = l->in.n;
    fed_cel_issue(l->issues, l->off, "Syntax error: token recognition error at: '%.*s'",
                  FED_STR_ARG(fed_str_head(s, 64)));
}

static void skip_space(struct fed_cel_lexer *l)
{
    for (;;) {
        char c = peek(l, 0);

        if (l->at < l->in.n && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f')) {
            l->at++;
        } else if (c == '/' && peek(l, 1) == '/') {
            while (l->at < l->in.n && l->in.p[l->at] != '\n')
                l->at++;
        } else {
            return;
        }
    }
}

/* --- strings --- */

static void put_rune(struct fed_buf *b, uint32_t c)
{
    if (c < 0x80) {
        fed_buf_addc(b, (char)c);
    } else if (c < 0x800) {
        fed_buf_addc(b, (char)(0xc0 | c >> 6));
        fed_buf_addc(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        fed_buf_addc(b, (char)(0xe0 | c >> 12));
        fed_buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        fed_buf_addc(b, (char)(0x80 | (c & 0x3f)));
    } else {
        fed_buf_addc(b, (char)(0xf0 | c >> 18));
        fed_buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
        fed_buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        fed_buf_addc(b, (char)(0x80 | (c & 0x3f)));
    }
}

/* `digits` digits of base 8 or 16 at l->at. */
static bool read_code(struct fed_cel_lexer *l, int digits, int base, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        int d = hex(peek(l, 0));

        if (d < 0 || d >= base)
            return false;
        *out = *out * (uint32_t)base + (uint32_t)d;
        l->at++;
    }
    return true;
}

/* Behind the backslash. In bytes \x and octals are bytes, in strings characters. */
static bool read_escape(struct fed_cel_lexer *l, bool bytes, struct fed_buf *b)
{
    static const char from[] = "abfnrtv\"'\\?`", to[] = "\a\b\f\n\r\t\v\"'\\?`";
    char c = peek(l, 0);
    const char *hit = c ? strchr(from, c) : NULL;
    uint32_t v;

    if (hit) {
        fed_buf_addc(b, to[hit - from]);
        l->at++;
        return true;
    }
    if (c >= '0' && c <= '3') {
        if (!read_code(l, 3, 8, &v))
            return false;
    } else {
        l->at++;
        if (c == 'x' || c == 'X') {
            if (!read_code(l, 2, 16, &v))
                return false;
        } else if (c == 'u' || c == 'U') {
            if (bytes || !read_code(l, c == 'u' ? 4 : 8, 16, &v) || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
                return false;
        } else {
            return false;
        }
    }
    if (bytes)
        fed_buf_addc(b, (char)v);
    else
        put_rune(b, v);
    return true;
}

static bool at_end(const struct fed_cel_lexer *l, char quote, bool triple)
{
    return peek(l, 0) == quote && (!triple || (peek(l, 1) == quote && peek(l, 2) == quote));
}

/* l->at is at the quote. */
static void read_string(struct fed_cel_lexer *l, bool raw, bool bytes)
{
    char quote = peek(l, 0);
    bool triple = peek(l, 1) == quote && peek(l, 2) == quote;
    struct fed_buf b = {0};

    l->at += triple ? 3 : 1;
    while (!at_end(l, quote, triple)) {
        char c = peek(l, 0);

        if (l->at >= l->in.n || (!triple && (c == '\n' || c == '\r'))) {
            fed_buf_release(&b);
            bad(l, l->at);
            return;
        }
        l->at++;
        if (c != '\\' || raw) {
            fed_buf_addc(&b, c);
        } else if (!read_escape(l, bytes, &b)) {
            fed_buf_release(&b);
            bad(l, l->at + 1);
            return;
        }
    }
    l->at += triple ? 3 : 1;
    l->token = bytes ? FED_CEL_T_BYTES : FED_CEL_T_STRING;
    l->value = fed_arena_dup(l->issues->arena, fed_buf_str(&b));
    fed_buf_release(&b);
}

/* 'x', r'x', b'x', br'x', rb'x'. */
static bool try_string(struct fed_cel_lexer *l)
{
    bool raw = false, bytes = false;
    size_t i = 0;

    for (; i < 2; i++) {
        char c = peek(l, i) | 0x20;

        if (c == 'r' && !raw)
            raw = true;
        else if (c == 'b' && !bytes && !raw)
            bytes = true;
        else
            break;
    }
    if (peek(l, i) != '"' && peek(l, i) != '\'')
        return false;
    l->at += i;
    read_string(l, raw, bytes);
    return true;
}

/* --- numbers and names --- */

static void read_number(struct fed_cel_lexer *l)
{
    bool real = false;

    if (peek(l, 0) == '0' && peek(l, 1) == 'x' && hex(peek(l, 2)) >= 0) {
        for (l->at += 2; hex(peek(l, 0)) >= 0;)
            l->at++;
    } else {
        while (is_digit(peek(l, 0)))
            l->at++;
        if (peek(l, 0) == '.' && is_digit(peek(l, 1))) {
            real = true;
            for (l->at++; is_digit(peek(l, 0));)
                l->at++;
        }
        if ((peek(l, 0) | 0x20) == 'e') {
            size_t sign = peek(l, 1) == '+' || peek(l, 1) == '-';

            if (is_digit(peek(l, 1 + sign))) {
                real = true;
                for (l->at += 1 + sign; is_digit(peek(l, 0));)
                    l->at++;
            }
        }
    }
    l->token = real ? FED_CEL_T_DOUBLE : FED_CEL_T_INT;
    if (!real && (peek(l, 0) | 0x20) == 'u') {
        l->token = FED_CEL_T_UINT;
        l->at++;
    }
}

static void read_name(struct fed_cel_lexer *l)
{
    static const char *const keywords[] = {"in", "true", "false", "null"};
    size_t from = l->at;
    struct fed_str s;

    while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)))
        l->at++;
    s = fed_str_n(l->in.p + from, l->at - from);
    l->token = FED_CEL_T_IDENT;
    for (size_t i = 0; i < FED_ARRAY_LEN(keywords); i++)
        if (fed_str_is(s, keywords[i]))
            l->token = FED_CEL_T_KEYWORD;
}

static void read_quoted_name(struct fed_cel_lexer *l)
{
    size_t from = ++l->at;

    while (is_letter(peek(l, 0)) || is_digit(peek(l, 0)) || (peek(l, 0) && strchr(".-/ ", peek(l, 0))))
        l->at++;
    if (peek(l, 0) != '`' || l->at == from) {
        bad(l, l->at + 1);
        return;
    }
    l->value = fed_str_n(l->in.p + from, l->at - from);
    l->at++;
    l->token = FED_CEL_T_QUOTED;
}

static bool read_punct(struct fed_cel_lexer *l)
{
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "&&", "||"};

    for (size_t i = 0; i < FED_ARRAY_LEN(pairs); i++)
        if (peek(l, 0) == pairs[i][0] && peek(l, 1) == pairs[i][1]) {
            l->at += 2;
            return true;
        }
    if (!peek(l, 0) || !strchr("[]{}().,-!?:+*/%<>", peek(l, 0)))
        return false;
    l->at++;
    return true;
}

void fed_cel_lex(struct fed_cel_lexer *l)
{
    char c;

    skip_space(l);
    l->off = (uint32_t)l->at;
    l->value = (struct fed_str){NULL, 0};
    c = peek(l, 0);
    if (l->at >= l->in.n) {
        l->token = FED_CEL_T_END;
    } else if (c == '"' || c == '\'' || ((c | 0x20) == 'r' || (c | 0x20) == 'b')) {
        if (!try_string(l))
            read_name(l);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(l, 1)))) {
        read_number(l);
    } else if (is_letter(c)) {
        read_name(l);
    } else if (c == '`') {
        read_quoted_name(l);
    } else if (read_punct(l)) {
        l->token = FED_CEL_T_PUNCT;
    } else {
        bad(l, l->at + 1);
    }
    l->text = fed_str_n(l->in.p + l->off, l->at - l->off);
}
