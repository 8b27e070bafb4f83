/* SPDX-License-Identifier: Apache-2.0 */
#include "base/def.h"

#include <stdio.h>
#include <stdlib.h>

void fed_require_failed(const char *expr, const char *file, int line)
{
    fprintf(stderr, "%s:%d: requirement failed: %s\n", file, line, expr);
    abort();
}
