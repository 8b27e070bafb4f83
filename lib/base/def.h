/* SPDX-License-Identifier: Apache-2.0 */
/* def.h: attributes and small macros that every file may use. No dependency. */
#ifndef FED_BASE_DEF_H
#define FED_BASE_DEF_H

#include <stddef.h>

/* Contracts that the compiler checks. */
#define FED_NONNULL(...)      __attribute__((nonnull(__VA_ARGS__)))
#define FED_NONNULL_ALL       __attribute__((nonnull))
#define FED_MUST_USE          __attribute__((warn_unused_result))
#define FED_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define FED_NORETURN          __attribute__((noreturn))
#define FED_UNUSED            __attribute__((unused))
#define FED_PURE              __attribute__((pure))

#define FED_ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define fed_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define FED_MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define FED_MAX(a, b)                       ((a) > (b) ? (a) : (b))

/* Assertions of the programmer's own mistakes; input from outside never reaches one.
 * FED_REQUIRE is always on and aborts with file and line. */
FED_NORETURN void fed_require_failed(const char *expr, const char *file, int line);
#define FED_REQUIRE(expr) ((expr) ? (void)0 : fed_require_failed(#expr, __FILE__, __LINE__))

#endif
