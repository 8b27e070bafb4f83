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

#undef alloca

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atoll gmtime localtime ctime asctime alloca
#pragma GCC poison rand srand srandom drand48 tmpnam mktemp
/* `random` is also the name of a member in env.h and of calls in other libraries: only the C function is refused. */
long int random(void) __attribute__((error("use fed_random() of base/env.h")));
#ifndef FED_ENV_IMPLEMENTATION
#pragma GCC poison gettimeofday clock_gettime
#endif

#endif
