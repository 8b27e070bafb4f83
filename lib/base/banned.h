/* SPDX-License-Identifier: Apache-2.0 */
/* banned.h: force-included before every file of ours: calls that have a safe sister become compile errors.
 * Clock and entropy calls are allowed only in the files that implement struct fed_env. */
#ifndef FED_BASE_BANNED_H
#define FED_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok gets atoi atol atoll gmtime localtime ctime asctime alloca
#pragma GCC poison rand srand random srandom drand48 tmpnam mktemp
#ifndef FED_ENV_IMPLEMENTATION
#pragma GCC poison gettimeofday clock_gettime
#endif

#endif
