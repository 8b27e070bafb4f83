/* SPDX-License-Identifier: Apache-2.0 */
/* fn_text.c: functions of strings: the language's own, and the extension of strings. Positions count characters. */
#include "cel/cel_priv.h"

enum { SPLIT_ALL = -1 };

FED_CEL_FN(fn_contains)
{
    *out = fed_cel_bool(fed_str_find(a[0].s, a[1].s, 0) >= 0);
    return fed_cel_pay(r, 1 + fed_cel_text_cost(a[0].s.n) * (1 + fed_cel_text_cost(a[1].s.n)));
}

FED_CEL_FN(fn_starts)
{
    *out = fed_cel_bool(fed_str_starts(a[0].s, a[1].s));
    return true;
}

FED_CEL_FN(fn_ends)
{
    *out = fed_cel_bool(fed_str_ends(a[0].s, a[1].s));
    return true;
}

static bool out_of_range(struct fed_cel_run *r, int64_t i)
{
    return fed_cel_fail(r, "index out of range: %lld", (long long)i);
}

FED_CEL_FN(fn_char_at)
{
    size_t from, to;

    if (!fed_cel_utf8_at(a[0].s, a[1].i, &from))
        return out_of_range(r, a[1].i);
    for (to = from + (from < a[0].s.n); to < a[0].s.n && ((unsigned char)a[0].s.p[to] & 0xc0) == 0x80;)
        to++;
    *out = fed_cel_str(fed_str_n(a[0].s.p + from, to - from));
    return true;
}

FED_CEL_FN(fn_index_of)
{
    size_t from = 0;
    ptrdiff_t at;

    if (n_args == 3 && !fed_cel_utf8_at(a[0].s, a[2].i, &from))
        return out_of_range(r, a[2].i);
    if (!fed_cel_pay(r, 1 + fed_cel_text_cost(a[0].s.n) * (1 + fed_cel_text_cost(a[1].s.n))))
        return false;
    at = a[1].s.n ? fed_str_find(a[0].s, a[1].s, from) : (ptrdiff_t)from;
    *out = fed_cel_int(at < 0 ? -1 : (int64_t)fed_cel_utf8_length(fed_str_head(a[0].s, (size_t)at)));
    return true;
}

FED_CEL_FN(fn_last_index_of)
{
    size_t last = a[0].s.n, sub = a[1].s.n;

    if (n_args == 3 && !fed_cel_utf8_at(a[0].s, a[2].i, &last))
        return out_of_range(r, a[2].i);
    if (!fed_cel_pay(r, 1 + fed_cel_text_cost(a[0].s.n) * (1 + fed_cel_text_cost(sub))))
        return false;
    *out = fed_cel_int(-1);
    if (sub > a[0].s.n)
        return true;
    for (size_t at = FED_MIN(last, a[0].s.n - sub) + 1; at-- > 0;)
        if (!sub || memcmp(a[0].s.p + at, a[1].s.p, sub) == 0) {
            *out = fed_cel_int((int64_t)fed_cel_utf8_length(fed_str_head(a[0].s, at)));
            break;
        }
    return true;
}

FED_CEL_FN(fn_substring)
{
    size_t from, to = a[0].s.n;

    if (n_args == 3 && a[1].i > a[2].i)
        return fed_cel_fail(r, "invalid substring range. start: %lld, end: %lld", (long long)a[1].i, (long long)a[2].i);
    if (!fed_cel_utf8_at(a[0].s, a[1].i, &from))
        return out_of_range(r, a[1].i);
    if (n_args == 3 && !fed_cel_utf8_at(a[0].s, a[2].i, &to))
        return out_of_range(r, a[2].i);
    *out = fed_cel_str(fed_str_n(a[0].s.p + from, to - from));
    return true;
}

static struct fed_cel_value mapped_case(struct fed_cel_run *r, struct fed_str s, char from, char to)
{
    char *p = fed_arena_alloc(&r->arena, s.n + 1);

    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= from && s.p[i] <= to ? (char)(s.p[i] ^ 0x20) : s.p[i];
    p[s.n] = 0;
    return fed_cel_str(fed_str_n(p, s.n));
}

FED_CEL_FN(fn_lower)
{
    *out = mapped_case(r, a[0].s, 'A', 'Z');
    return true;
}

FED_CEL_FN(fn_upper)
{
    *out = mapped_case(r, a[0].s, 'a', 'z');
    return true;
}

/* Length of the white space (as Unicode says) at the front of s; 0: none. */
static size_t space_at(struct fed_str s)
{
    static const char *const wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};

    if (s.n && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r')))
        return 1;
    for (size_t i = 0; i < FED_ARRAY_LEN(wide); i++)
        if (fed_str_starts(s, fed_str(wide[i])))
            return strlen(wide[i]);
    if (s.n >= 3 && memcmp(s.p, "\xe2\x80", 2) == 0 && (unsigned char)s.p[2] >= 0x80 && (unsigned char)s.p[2] <= 0x8a)
        return 3;
    return 0;
}

FED_CEL_FN(fn_trim)
{
    struct fed_str s = a[0].s;
    size_t space;

    while ((space = space_at(s)))
        s = fed_str_from(s, space);
    for (size_t back = 1; back <= 3 && back <= s.n;) {
        if (space_at(fed_str_from(s, s.n - back)) == back) {
            s.n -= back;
            back = 1;
        } else {
            back++;
        }
    }
    *out = fed_cel_str(s);
    return true;
}

/* The length of the character at the front. */
static size_t rune_length(struct fed_str s)
{
    size_t n = s.n > 0;

    while (n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

FED_CEL_FN(fn_replace)
{
    struct fed_str rest = a[0].s, was = a[1].s, now = a[2].s;
    int64_t left = n_args == 4 ? a[3].i : SPLIT_ALL;
    struct fed_buf b = {0};

    while (left != 0 && (rest.n || !was.n)) {
        ptrdiff_t at = was.n ? fed_str_find(rest, was, 0) : 0;
        size_t step;

        if (at < 0 || !fed_cel_pay(r, fed_cel_text_cost(now.n + (size_t)at)))
            break;
        fed_buf_add(&b, fed_str_head(rest, (size_t)at));
        fed_buf_add(&b, now);
        rest = fed_str_from(rest, (size_t)at + was.n);
        left -= left > 0;
        if (was.n)
            continue;
        step = rune_length(rest); /* between all characters, and at both ends */
        fed_buf_add(&b, fed_str_head(rest, step));
        rest = fed_str_from(rest, step);
        if (!step)
            break;
    }
    fed_buf_add(&b, rest);
    *out = fed_cel_str(fed_cel_take(r, &b));
    return true;
}

struct pieces {
    struct fed_cel_value *items;
    uint32_t n, cap;
};

static bool add_piece(struct fed_cel_run *r, struct pieces *p, struct fed_str s)
{
    if (!fed_cel_pay(r, 1))
        return false;
    FED_ARENA_ROOM(&r->arena, p->items, p->n, p->cap, 8);
    p->items[p->n++] = fed_cel_str(s);
    return true;
}

FED_CEL_FN(fn_split)
{
    struct fed_str rest = a[0].s, by = a[1].s;
    int64_t left = n_args == 3 ? a[2].i : SPLIT_ALL;
    struct pieces p = {0};
    ptrdiff_t at;

    while (left != 0) {
        at = by.n ? fed_str_find(rest, by, 0) : (ptrdiff_t)rune_length(rest);
        if (left == 1 || at < 0 || (!by.n && (size_t)at >= rest.n)) {
            if (by.n || rest.n)
                add_piece(r, &p, rest);
            break;
        }
        if (!add_piece(r, &p, fed_str_head(rest, (size_t)at)))
            return false;
        rest = fed_str_from(rest, (size_t)at + by.n);
        left -= left > 0;
    }
    *out = fed_cel_list(r, p.items, p.n);
    return true;
}

FED_CEL_FN(fn_join)
{
    struct fed_cel_walk w = fed_cel_walk(&a[0]);
    struct fed_cel_value k, v;
    struct fed_buf b = {0};

    while (fed_cel_next(r, &w, &k, &v)) {
        size_t more = v.kind == FED_CEL_STRING ? v.s.n + (n_args == 2 ? a[1].s.n : 0) : 0;

        if (v.kind != FED_CEL_STRING || !fed_cel_pay(r, 1 + 2 * fed_cel_text_cost(more))) {
            fed_buf_release(&b);
            return v.kind == FED_CEL_STRING ? false : fed_cel_no_overload(r);
        }
        if (w.i > 1 && n_args == 2)
            fed_buf_add(&b, a[1].s);
        fed_buf_add(&b, v.s);
    }
    *out = fed_cel_str(fed_cel_take(r, &b));
    return true;
}

FED_CEL_FN(fn_quote)
{
    static const char plain[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
    struct fed_buf b = {0};

    fed_buf_addc(&b, '"');
    for (size_t i = 0; i < a[0].s.n; i++) {
        char c = a[0].s.p[i];
        const char *hit = c ? strchr(plain, c) : NULL;

        if (hit)
            fed_buf_addc(&b, '\\');
        fed_buf_addc(&b, hit ? letters[hit - plain] : c);
    }
    fed_buf_addc(&b, '"');
    *out = fed_cel_str(fed_cel_take(r, &b));
    return true;
}

/* --- format --- */

static bool format_plain(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *b);

/* Of %s: lists and maps too, strings inside as they are. */
static bool format_container(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *b)
{
    bool map = v->kind == FED_CEL_MAP;
    struct fed_cel_walk w = fed_cel_walk(v);
    struct fed_cel_value key, value;

    fed_buf_addc(b, map ? '{' : '[');
    while (fed_cel_next(r, &w, &key, &value)) {
        if (w.i > 1)
            fed_buf_addz(b, ", ");
        if (map && !format_plain(r, &key, b))
            return false;
        if (map)
            fed_buf_addz(b, ": ");
        if (!format_plain(r, &value, b))
            return false;
    }
    fed_buf_addc(b, map ? '}' : ']');
    return true;
}

static bool format_plain(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *b)
{
    struct fed_cel_value text;

    if (!fed_cel_pay(r, 1 + fed_cel_text_cost(v->kind == FED_CEL_STRING ? v->s.n : 0)))
        return false;
    if (v->kind == FED_CEL_LIST || v->kind == FED_CEL_MAP)
        return format_container(r, v, b);
    if (v->kind == FED_CEL_NULL) {
        fed_buf_addz(b, "null");
        return true;
    }
    if (!fed_cel_to_text(r, v, &text))
        return fed_cel_fail(r,
                            "error during formatting: string clause can only be used on strings, bools, bytes, ints, "
                            "doubles, maps, lists, types, durations, and timestamps, was given %s",
                            fed_cel_kind_name((enum fed_cel_kind)v->kind));
    fed_buf_add(b, text.s);
    return true;
}

static bool format_digits(struct fed_cel_run *r, const struct fed_cel_value *v, char verb, struct fed_buf *b)
{
    uint64_t u = v->kind == FED_CEL_UINT ? v->u : v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i;
    char digits[65];
    int n = 64;

    if (verb == 'b' && v->kind == FED_CEL_BOOL) {
        fed_buf_addc(b, v->b ? '1' : '0');
        return true;
    }
    if ((verb | 0x20) == 'x' && (v->kind == FED_CEL_STRING || v->kind == FED_CEL_BYTES)) {
        for (size_t i = 0; i < v->s.n; i++)
            fed_buf_addf(b, verb == 'x' ? "%02x" : "%02X", (unsigned char)v->s.p[i]);
        return fed_cel_pay(r, fed_cel_text_cost(v->s.n));
    }
    if (v->kind != FED_CEL_INT && v->kind != FED_CEL_UINT)
        return fed_cel_fail(r, "error during formatting: %%%c cannot be used on %s", verb,
                            fed_cel_kind_name((enum fed_cel_kind)v->kind));
    if (v->kind == FED_CEL_INT && v->i < 0)
        fed_buf_addc(b, '-');
    digits[n] = 0;
    do {
        unsigned base = verb == 'b' ? 2 : verb == 'o' ? 8 : 16;

        digits[--n] = (verb == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
        u /= base;
    } while (u);
    fed_buf_addz(b, digits + n);
    return true;
}

static bool format_number(struct fed_cel_run *r, const struct fed_cel_value *v, char verb, int precision,
                          struct fed_buf *b)
{
    double d = v->kind == FED_CEL_DOUBLE ? v->d : v->kind == FED_CEL_INT ? (double)v->i : (double)v->u;
    bool whole = v->kind == FED_CEL_INT || v->kind == FED_CEL_UINT;

    if (!whole && v->kind != FED_CEL_DOUBLE)
        return fed_cel_fail(r, "error during formatting: %%%c cannot be used on %s", verb,
                            fed_cel_kind_name((enum fed_cel_kind)v->kind));
    if (verb == 'd')
        return format_plain(r, v, b);
    if (verb == 'f')
        fed_buf_addf(b, "%.*f", precision, d);
    else
        fed_buf_addf(b, "%.*e", precision, d);
    return true;
}

/* One clause behind '%'. */
static bool format_clause(struct fed_cel_run *r, struct fed_str *rest, const struct fed_cel_value *v, struct fed_buf *b)
{
    int precision = 6;
    char verb;

    if (rest->n && rest->p[0] == '.') {
        *rest = fed_str_from(*rest, 1);
        for (precision = 0; rest->n && rest->p[0] >= '0' && rest->p[0] <= '9' && precision < 100;) {
            precision = precision * 10 + (rest->p[0] - '0');
            *rest = fed_str_from(*rest, 1);
        }
    }
    if (!rest->n || precision > 100)
        return fed_cel_fail(r, "could not parse formatting clause");
    verb = rest->p[0];
    *rest = fed_str_from(*rest, 1);
    switch (verb) {
    case 's':
        return format_plain(r, v, b);
    case 'd':
    case 'f':
    case 'e':
        return format_number(r, v, verb, precision, b);
    case 'b':
    case 'o':
    case 'x':
    case 'X':
        return format_digits(r, v, verb, b);
    default:
        return fed_cel_fail(r, "could not parse formatting clause: unrecognized formatting clause \"%c\"", verb);
    }
}

static bool format_all(struct fed_cel_run *r, struct fed_str rest, const struct fed_cel_value *args, struct fed_buf *b)
{
    uint32_t used = 0, n = fed_cel_size(args);
    struct fed_cel_value v;

    while (rest.n) {
        ptrdiff_t at = fed_str_chr(rest, '%', 0);

        fed_buf_add(b, at < 0 ? rest : fed_str_head(rest, (size_t)at));
        if (at < 0)
            return true;
        rest = fed_str_from(rest, (size_t)at + 1);
        if (rest.n && rest.p[0] == '%') {
            fed_buf_addc(b, '%');
            rest = fed_str_from(rest, 1);
            continue;
        }
        if (used == n)
            return fed_cel_fail(r, "index %u out of range", used);
        fed_cel_at(r, args, used++, &v);
        if (!format_clause(r, &rest, &v, b))
            return false;
    }
    return true;
}

FED_CEL_FN(fn_format)
{
    struct fed_buf b = {0};

    if (!format_all(r, a[0].s, &a[1], &b)) {
        fed_buf_release(&b);
        return false;
    }
    *out = fed_cel_str(fed_cel_take(r, &b));
    return true;
}

const struct fed_cel_function fed_cel_text_functions[] = {
    {"contains", true, "ss:b", fn_contains, FED_CEL_COST_OWN},
    {"startsWith", true, "ss:b", fn_starts, FED_CEL_COST_TEXT},
    {"endsWith", true, "ss:b", fn_ends, FED_CEL_COST_TEXT},
    {"charAt", true, "si:s", fn_char_at, FED_CEL_COST_TEXT},
    {"substring", true, "si:s", fn_substring, FED_CEL_COST_TEXT},
    {"substring", true, "sii:s", fn_substring, FED_CEL_COST_TEXT},
    {"lowerAscii", true, "s:s", fn_lower, FED_CEL_COST_TEXT},
    {"upperAscii", true, "s:s", fn_upper, FED_CEL_COST_TEXT},
    {"trim", true, "s:s", fn_trim, FED_CEL_COST_TEXT},
    {"replace", true, "sss:s", fn_replace, FED_CEL_COST_TEXT2},
    {"replace", true, "sssi:s", fn_replace, FED_CEL_COST_TEXT2},
    {"split", true, "ss:[s", fn_split, FED_CEL_COST_TEXT2},
    {"split", true, "ssi:[s", fn_split, FED_CEL_COST_TEXT2},
    {"join", true, "[s:s", fn_join, FED_CEL_COST_OWN},
    {"join", true, "[ss:s", fn_join, FED_CEL_COST_OWN},
    {"format", true, "s[x:s", fn_format, FED_CEL_COST_TEXT},
    {"strings.quote", false, "s:s", fn_quote, FED_CEL_COST_TEXT},
    /* Those of strings and of lists have to stand together (see functions.c). */
    {"indexOf", true, "ss:i", fn_index_of, FED_CEL_COST_OWN},
    {"indexOf", true, "ssi:i", fn_index_of, FED_CEL_COST_OWN},
    {"indexOf", true, "[AA:i", fed_cel_list_index_of, FED_CEL_COST_ONE},
    {"lastIndexOf", true, "ss:i", fn_last_index_of, FED_CEL_COST_OWN},
    {"lastIndexOf", true, "ssi:i", fn_last_index_of, FED_CEL_COST_OWN},
    {"lastIndexOf", true, "[AA:i", fed_cel_list_last_index_of, FED_CEL_COST_ONE},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
