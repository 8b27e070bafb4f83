/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct code_info {
    const char *name;
    int status;
    const char *reason;
    const char *text;
};

static const struct code_info codes[] = {{"OK", 200, "", "ok"},
#define XX(code, status, reason, text) {#code, status, reason, text},
                                         FED_ERR_MAP(XX)
#undef XX
};

static const struct code_info *find_code(int code)
{
    /* Compared before it is negated: INT_MIN has no positive. */
    if (code > 0 || code <= -FED_POS_E_END_OF_LIST)
        return NULL;
    return &codes[-code];
}

const char *fed_code_name(int code)
{
    const struct code_info *info = find_code(code);
    return info ? info->name : "?";
}

const char *fed_code_text(int code)
{
    const struct code_info *info = find_code(code);
    return info ? info->text : "unknown error";
}

int fed_code_status(int code)
{
    const struct code_info *info = find_code(code);
    return info ? info->status : 500;
}

const char *fed_code_reason(int code)
{
    const struct code_info *info = find_code(code);
    return info ? info->reason : "InternalError";
}

static int code_of_status(int status)
{
    switch (status) {
    /* These statuses stand for several codes; a bare status means the plainer one. */
    case 409:
        return FED_E_CONFLICT;
    case 500:
        return FED_E_INTERNAL;
    case 502:
        return FED_E_UNAVAILABLE;
    default:
        break;
    }
    for (int i = 1; i < FED_POS_E_END_OF_LIST; i++)
        if (codes[i].status == status)
            return -i;
    return status >= 400 && status < 500 ? FED_E_BAD_REQUEST : FED_E_INTERNAL;
}

int fed_code_from_status(int http_status, const char *reason)
{
    if (http_status >= 200 && http_status < 300)
        return 0;
    if (reason && *reason)
        for (int i = 1; i < FED_POS_E_END_OF_LIST; i++)
            if (codes[i].status == http_status && strcmp(codes[i].reason, reason) == 0)
                return -i;
    return code_of_status(http_status);
}

int fed_code_from_errno(int err)
{
    switch (err) {
    case 0:
        return 0;
    case ENOENT:
        return FED_E_NOT_FOUND;
    case EEXIST:
        return FED_E_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
        return FED_E_FORBIDDEN;
    case ENOSPC:
    case EDQUOT:
        return FED_E_FULL;
    case EBUSY:
    case EAGAIN:
    case EADDRINUSE:
        return FED_E_BUSY;
    case ECONNREFUSED:
        return FED_E_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
        return FED_E_UNREACHABLE;
    case ETIMEDOUT:
        return FED_E_TIMEOUT;
    case ECANCELED:
        return FED_E_CANCELED;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
        return FED_E_CLOSED;
    case EFBIG:
        return FED_E_LIMIT;
    case EINVAL:
        return FED_E_BAD_REQUEST;
    case EOPNOTSUPP:
    case ENOSYS:
        return FED_E_UNSUPPORTED;
    default:
        return FED_E_IO;
    }
}

/* Formats into out; when the text is cut, it is cut before a character, not within one: the text travels in JSON. */
static void format_cut(char *out, size_t size, const char *fmt, va_list ap)
{
    int want = vsnprintf(out, size, fmt, ap);
    if (want < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)want < size)
        return;
    size_t n = size - 1;
    size_t lead = n;
    while (lead > 0 && n - lead < 4 && ((unsigned char)out[lead - 1] & 0xC0) == 0x80)
        lead--;
    if (lead > 0 && (unsigned char)out[lead - 1] >= 0xC0) {
        unsigned char c = (unsigned char)out[lead - 1];
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
        if (n - (lead - 1) < need)
            n = lead - 1;
    }
    out[n] = '\0';
}

static void join(char *out, size_t size, const char *fmt, ...) FED_PRINTF(3, 4);
static void join(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    format_cut(out, size, fmt, ap);
    va_end(ap);
}

int fed_err_set(struct fed_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    char text[sizeof(err->text)]; /* the arguments may point into err->text */
    va_list ap;
    va_start(ap, fmt);
    format_cut(text, sizeof(text), fmt, ap);
    va_end(ap);
    err->code = code;
    err->line = err->col = 0;
    memcpy(err->text, text, strlen(text) + 1);
    return code;
}

int fed_err_wrap(struct fed_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    char outer[sizeof(err->text)], inner[sizeof(err->text)];
    va_list ap;
    va_start(ap, fmt);
    format_cut(outer, sizeof(outer), fmt, ap);
    va_end(ap);
    if (err->code == 0)
        err->code = code;
    memcpy(inner, err->text, sizeof(inner));
    inner[sizeof(inner) - 1] = '\0';
    if (inner[0])
        join(err->text, sizeof(err->text), "%s: %s", outer, inner);
    else
        join(err->text, sizeof(err->text), "%s", outer);
    return err->code;
}
