/* SPDX-License-Identifier: Apache-2.0 */
/* issues.c: what is wrong with an expression, with the place in its text. */
#include <stdarg.h>

#include "cel/cel_priv.h"

enum { MAX_ISSUES = 20, MAX_LINE = 1024 };

void fed_cel_issue(struct fed_cel_issues *is, uint32_t off, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    size_t line = 1, start = 0, end, col = 0;

    if (++is->n > MAX_ISSUES)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    for (size_t i = 0; i < off && i < is->text.n; i++)
        if (is->text.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    for (end = start; end < is->text.n && is->text.p[end] != '\n';)
        end++;
    for (size_t i = start; i < off && i < is->text.n; i++)
        col += ((unsigned char)is->text.p[i] & 0xc0) != 0x80;
    fed_buf_addf(&is->out, "%sERROR: <input>:%zu:%zu: %s", is->out.n ? "\n" : "", line, col + 1, text);
    if (end - start > MAX_LINE)
        return;
    fed_buf_addz(&is->out, "\n | ");
    for (size_t i = start; i < end; i++)
        fed_buf_addc(&is->out, is->text.p[i] == '\t' ? ' ' : is->text.p[i]);
    fed_buf_addz(&is->out, "\n | ");
    for (size_t i = 0; i < col; i++)
        fed_buf_addc(&is->out, '.');
    fed_buf_addc(&is->out, '^');
}
