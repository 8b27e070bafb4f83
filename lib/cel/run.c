/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: what is paid, errors, and texts that results are made of. */
#include <math.h>
#include <stdarg.h>

#include "cel/cel_priv.h"

bool fed_cel_fail(struct fed_cel_run *r, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (r->stopped)
        return false;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    r->error = fed_arena_dup(&r->arena, fed_str(text));
    return false;
}

bool fed_cel_no_overload(struct fed_cel_run *r)
{
    r->error = FED_STR("no such overload");
    return false;
}

bool fed_cel_pay(struct fed_cel_run *r, uint64_t cost)
{
    r->cost += FED_MIN(cost, (uint64_t)1 << 40);
    if (r->cost <= r->limit)
        return true;
    r->stopped = true;
    r->error = FED_STR("operation cancelled: actual cost limit exceeded");
    return false;
}

bool fed_cel_pay_text(struct fed_cel_run *r, size_t bytes)
{
    return fed_cel_pay(r, 1 + fed_cel_text_cost(bytes));
}

/* --- text --- */

size_t fed_cel_utf8_length(struct fed_str s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

bool fed_cel_utf8_at(struct fed_str s, int64_t i, size_t *off)
{
    int64_t n = 0;

    if (i < 0)
        return false;
    for (*off = 0; *off < s.n; ++*off) {
        if (((unsigned char)s.p[*off] & 0xc0) == 0x80)
            continue;
        if (n++ == i)
            return true;
    }
    return n == i;
}

struct fed_str fed_cel_take(struct fed_cel_run *r, struct fed_buf *b)
{
    struct fed_str s = fed_arena_dup(&r->arena, fed_buf_str(b));

    fed_buf_release(b);
    return s;
}

/* The shortest digits that read back as d, with an exponent from 1e21 (as Go's %v writes numbers). */
void fed_cel_double_write(double d, struct fed_buf *out)
{
    char text[40];
    int exp, digits = 0; /* behind the point, in scientific form */

    if (isnan(d) || isinf(d)) {
        fed_buf_addz(out, isnan(d) ? "NaN" : d > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (; digits < 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    exp = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    if (exp >= -4 && exp < 21)
        snprintf(text, sizeof(text), "%.*f", FED_MAX(0, digits - exp), d);
    fed_buf_addz(out, text);
}
