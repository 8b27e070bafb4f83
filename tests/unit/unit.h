/* SPDX-License-Identifier: Apache-2.0 */
/* unit.h: cmocka with what it wants included before it, and checks on slices. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

static inline void check_text(const char *name, struct fed_str got, const char *want, const char *file, int line)
{
    if (fed_str_is(got, want))
        return;
    print_error("%s: got \"%.*s\", want \"%s\"\n", name, FED_STR_ARG(got), want);
    _fail(file, line);
}
#define CHECK_TEXT(name, got, want) check_text(name, got, want, __FILE__, __LINE__)

static inline void check_that(const char *name, bool ok, const char *expr, const char *file, int line)
{
    if (ok)
        return;
    print_error("%s: %s\n", name, expr);
    _fail(file, line);
}
#define CHECK(name, expr) check_that(name, expr, #expr, __FILE__, __LINE__)

#endif
