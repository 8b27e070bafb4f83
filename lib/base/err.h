/* SPDX-License-Identifier: Apache-2.0 */
/* err.h: the one list of error codes.
 *
 * Functions that can fail return int: 0 or a negative enum fed_code, are FED_MUST_USE, and take an optional last
 * parameter `struct fed_err *err` (may be NULL) for the detail. Each code carries the HTTP status and the Kubernetes
 * Status reason (k8s.io/apimachinery meta/v1 StatusReason) that it becomes at the API.
 * Libraries neither log nor exit; the place that decides does, once.
 */
#ifndef FED_BASE_ERR_H
#define FED_BASE_ERR_H

#include <stdbool.h>

#include "base/str.h"

/* XX(CODE, http_status, kubernetes_reason, text) */
#define FED_ERR_MAP(XX)                                                                                                \
    XX(INTERNAL, 500, "InternalError", "internal error")                                                               \
    XX(BAD_REQUEST, 400, "BadRequest", "bad request")                                                                  \
    XX(UNAUTHORIZED, 401, "Unauthorized", "unauthorized")                                                              \
    XX(FORBIDDEN, 403, "Forbidden", "forbidden")                                                                       \
    XX(NOT_FOUND, 404, "NotFound", "not found")                                                                        \
    XX(METHOD_NOT_ALLOWED, 405, "MethodNotAllowed", "method not allowed")                                              \
    XX(NOT_ACCEPTABLE, 406, "NotAcceptable", "not acceptable")                                                         \
    XX(ALREADY_EXISTS, 409, "AlreadyExists", "already exists")                                                         \
    XX(CONFLICT, 409, "Conflict", "conflict")                                                                          \
    XX(GONE, 410, "Gone", "gone")                                                                                      \
    XX(EXPIRED, 410, "Expired", "resource version too old")                                                            \
    XX(TOO_LARGE, 413, "RequestEntityTooLarge", "too large")                                                           \
    XX(UNSUPPORTED_MEDIA, 415, "UnsupportedMediaType", "unsupported media type")                                       \
    XX(INVALID, 422, "Invalid", "invalid")                                                                             \
    XX(TOO_MANY, 429, "TooManyRequests", "too many requests")                                                          \
    XX(UNAVAILABLE, 503, "ServiceUnavailable", "service unavailable")                                                  \
    XX(TIMEOUT, 504, "Timeout", "timed out")                                                                           \
    /* local causes; at an API they show as 500, 503 or 504 */                                                         \
    XX(IO, 500, "InternalError", "input/output error")                                                                 \
    XX(END, 500, "InternalError", "unexpected end of data")                                                            \
    XX(SYNTAX, 400, "BadRequest", "syntax error")                                                                      \
    XX(LIMIT, 413, "RequestEntityTooLarge", "limit exceeded")                                                          \
    XX(CANCELED, 503, "ServiceUnavailable", "canceled")                                                                \
    XX(CLOSED, 503, "ServiceUnavailable", "closed")                                                                    \
    XX(REFUSED, 503, "ServiceUnavailable", "connection refused")                                                       \
    XX(UNREACHABLE, 503, "ServiceUnavailable", "unreachable")                                                          \
    XX(TLS, 503, "ServiceUnavailable", "TLS failure")                                                                  \
    XX(RESOLVE, 503, "ServiceUnavailable", "name not resolved")                                                        \
    XX(BUSY, 503, "ServiceUnavailable", "in use by another process")                                                   \
    XX(CORRUPT, 500, "InternalError", "data damaged")                                                                  \
    XX(VERSION, 500, "InternalError", "unsupported format version")                                                    \
    XX(FULL, 500, "InternalError", "no space left")                                                                    \
    XX(UNSUPPORTED, 501, "NotImplemented", "not supported")

enum fed_code {
    FED_OK = 0,
#define XX(code, status, reason, text) FED_POS_E_##code,
    FED_ERR_MAP(XX)
#undef XX
        FED_POS_E_END_OF_LIST
};
/* FED_E_NOT_FOUND and so on are the negative values that functions return. */
enum fed_ecode {
#define XX(code, status, reason, text) FED_E_##code = -FED_POS_E_##code,
    FED_ERR_MAP(XX)
#undef XX
};

const char *fed_code_name(int code);   /* "NOT_FOUND"; "?" for an unknown code */
const char *fed_code_text(int code);   /* "not found" */
int fed_code_status(int code);         /* HTTP status, 500 for an unknown code, 200 for 0 */
const char *fed_code_reason(int code); /* Kubernetes reason */
/* The code that an HTTP status with a Kubernetes reason (may be NULL) stands for; 0 for 2xx. */
int fed_code_from_status(int http_status, const char *reason);
int fed_code_from_errno(int err); /* errno to code: ENOENT -> NOT_FOUND, ENOSPC -> FULL, else IO… */

/* Detail of one failure, owned by the caller. Text is cut at its size, never overflows. */
struct fed_err {
    int code;       /* negative fed_ecode, 0 when unset */
    int line, col;  /* 1-based place in the source text, 0 when unknown */
    char text[512]; /* "open store: /x: permission denied" */
};

/* Sets *err (may be NULL) and returns code, so that `return fed_err_set(err, FED_E_IO, "…")` reads well. */
int fed_err_set(struct fed_err *err, int code, const char *fmt, ...) FED_PRINTF(3, 4);
/* Prefixes the text: "outer: inner". Keeps the code; returns it (err may be NULL: returns code). */
int fed_err_wrap(struct fed_err *err, int code, const char *fmt, ...) FED_PRINTF(3, 4);

#endif
