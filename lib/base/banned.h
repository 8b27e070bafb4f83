/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h: force-included before every file of ours: calls that have a safe sister become compile errors.
 * Clock and entropy calls are allowed only in the files that implement struct fed_env: their CMakeLists.txt sets
 * COMPILE_DEFINITIONS FED_ENV_IMPLEMENTATION for the file (a #define in it would come after this header). */
#ifndef FED_BASE_BANNED_H
#define FED_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

/* Some C libraries have these as macros too. */
#undef alloca
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atoll gmtime localtime ctime asctime alloca
#pragma GCC poison srand srandom drand48 tmpnam mktemp
/* `rand` and `random` are also names of parameters and members (OpenSSL, env.h): only the calls are refused. */
#ifndef __clang__ /* which takes the attribute only at the first declaration */
int rand(void) __attribute__((error("use fed_random() of base/env.h")));
long int random(void) __attribute__((error("use fed_random() of base/env.h")));
#endif
#ifndef FED_ENV_IMPLEMENTATION
#pragma GCC poison gettimeofday clock_gettime
#endif

#endif
