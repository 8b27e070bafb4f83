/* SPDX-License-Identifier: Apache-2.0 */
/* gojson.c: where a text stops being JSON, in the words of Go's scanner. It runs only over texts that our own reader has
 * refused, so it is short rather than quick; what Go would take (bad UTF-8) it takes. */
#include "kube/gowords.h"

struct scan {
    struct fed_arena *a;
    const char *p, *end;
    struct fed_str words; /* of the first mistake */
    char *open;           /* a brace or a bracket for each container around */
    size_t depth, cap;
};

/* As strconv.Quote has one byte, in single quotes. */
static struct fed_str shown(struct fed_arena *a, unsigned char c)
{
    static const char names[] = "\aa\bb\ff\nn\rr\tt\vv\\\\''";
    for (const char *n = names; c && *n; n += 2)
        if ((unsigned char)*n == c)
            return fed_arena_printf(a, "'\\%c'", n[1]);
    if (c < 0x20 || c == 0x7f)
        return fed_arena_printf(a, "'\\x%02x'", c);
    if (c < 0x80)
        return fed_arena_printf(a, "'%c'", c);
    if (c < 0xa0 || c == 0xad)
        return fed_arena_printf(a, "'\\u00%02x'", c);
    return fed_arena_printf(a, "'%c%c'", 0xc0 | (c >> 6), 0x80 | (c & 0x3f));
}

static bool bad(struct scan *s, const char *where)
{
    if (s->p < s->end)
        s->words =
            fed_arena_printf(s->a, "invalid character %.*s %s", FED_STR_ARG(shown(s->a, (unsigned char)*s->p)), where);
    else
        s->words = FED_STR("unexpected end of JSON input");
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool take_text(struct scan *s)
{
    for (s->p++; s->p < s->end && *s->p != '"'; s->p++) {
        if ((unsigned char)*s->p < 0x20)
            return bad(s, "in string literal");
        if (*s->p != '\\')
            continue;
        s->p++;
        if (s->p == s->end || !*s->p || !strchr("bfnrt\\/\"u", *s->p))
            return bad(s, "in string escape code");
        for (int i = 0; *s->p == 'u' && i < 4; i++)
            if (s->p + 1 + i >= s->end || !is_hex(s->p[1 + i])) {
                s->p += 1 + i;
                return bad(s, "in \\u hexadecimal character escape");
            }
    }
    if (s->p == s->end)
        return bad(s, "");
    s->p++;
    return true;
}

static bool is_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static void skip_digits(struct scan *s)
{
    while (is_digit(s))
        s->p++;
}

static bool take_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (!is_digit(s))
        return bad(s, "in numeric literal");
    if (*s->p == '0')
        s->p++;
    else
        skip_digits(s);
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!is_digit(s))
            return bad(s, "after decimal point in numeric literal");
        skip_digits(s);
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!is_digit(s))
            return bad(s, "in exponent of numeric literal");
        skip_digits(s);
    }
    return true;
}

static bool take_word(struct scan *s)
{
    const char *word = *s->p == 't' ? "true" : *s->p == 'f' ? "false" : "null";
    for (const char *w = word; *w; w++, s->p++)
        if (s->p == s->end || *s->p != *w)
            return bad(s, fed_arena_printf(s->a, "in literal %s (expecting '%c')", word, *w).p);
    return true;
}

static void enter(struct scan *s)
{
    if (s->depth == s->cap) {
        char *grown = fed_arena_alloc(s->a, s->cap = s->cap ? s->cap * 2 : 64);
        if (s->depth)
            memcpy(grown, s->open, s->depth);
        s->open = grown;
    }
    s->open[s->depth++] = *s->p++;
}

static bool take_key(struct scan *s)
{
    skip_space(s);
    if (s->p == s->end || *s->p != '"')
        return bad(s, "looking for beginning of object key string");
    if (!take_text(s))
        return false;
    skip_space(s);
    if (s->p == s->end || *s->p != ':')
        return bad(s, "after object key");
    s->p++;
    return true;
}

/* A value that is none of the containers, or the beginning of one: then *inside is set. */
static bool take_value(struct scan *s, bool *inside)
{
    skip_space(s);
    *inside = false;
    if (s->p == s->end)
        return bad(s, "");
    if (*s->p == '{' || *s->p == '[') {
        enter(s);
        *inside = true;
        return true;
    }
    if (*s->p == '"')
        return take_text(s);
    if (*s->p == '-' || is_digit(s))
        return take_number(s);
    if (*s->p == 't' || *s->p == 'f' || *s->p == 'n')
        return take_word(s);
    return bad(s, "looking for beginning of value");
}

/* Behind a value: containers end, or the next member or item begins. False: a mistake, or the end of all. */
static bool go_on(struct scan *s)
{
    for (;;) {
        skip_space(s);
        if (!s->depth)
            return s->p == s->end ? false : bad(s, "after top-level value");
        bool object = s->open[s->depth - 1] == '{';
        if (s->p < s->end && *s->p == (object ? '}' : ']')) {
            s->p++;
            s->depth--;
            continue;
        }
        if (s->p == s->end || *s->p != ',')
            return bad(s, object ? "after object key:value pair" : "after array element");
        s->p++;
        return !object || take_key(s);
    }
}

struct fed_str fed_go_json_mistake(struct fed_arena *a, struct fed_str text)
{
    struct scan s = {.a = a, .p = text.p, .end = text.p + text.n};
    bool inside, more = true;
    while (more) {
        if (!take_value(&s, &inside))
            break;
        if (inside) {
            bool object = s.open[s.depth - 1] == '{';
            skip_space(&s);
            if (s.p == s.end || *s.p != (object ? '}' : ']')) {
                more = !object || take_key(&s);
                continue;
            }
        }
        more = go_on(&s);
    }
    return s.words;
}
