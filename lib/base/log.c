/* SPDX-License-Identifier: Apache-2.0 */
/* log.c: one write(2) a line, so that lines of several threads or processes do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/env.h"

#define LINE_MAX_BYTES 4096

static _Atomic int threshold = FED_LOG_INFO;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void fed_log_set_level(enum fed_log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

bool fed_log_on(enum fed_log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* Text from the network must not start a line of its own or drive a terminal. */
static void tame(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
            p[i] = ' ';
}

static size_t put_head(char *line, size_t size, enum fed_log_level level, const char *component)
{
    struct timespec now;
    char when[28];
    clock_gettime(CLOCK_REALTIME, &now);
    fed_time_format_micro((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, when);
    when[23] = 'Z'; /* milliseconds are enough here */
    when[24] = '\0';
    int n = snprintf(line, size, "%s %s %s: ", when, level_names[level], component);
    return n < 0 ? 0 : FED_MIN((size_t)n, size - 1);
}

void fed_log_write(enum fed_log_level level, const char *component, const char *fmt, ...)
{
    if (!fed_log_on(level))
        return;
    char line[LINE_MAX_BYTES];
    int saved = errno; /* callers log between a failure and its errno */
    size_t n = put_head(line, sizeof(line) - 1, level, component);
    va_list ap;
    va_start(ap, fmt);
    errno = saved; /* %m */
    int want = vsnprintf(line + n, sizeof(line) - 1 - n, fmt, ap);
    va_end(ap);
    if (want > 0)
        n = FED_MIN(n + (size_t)want, sizeof(line) - 2);
    tame(line, n);
    line[n++] = '\n';
    ssize_t done = write(STDERR_FILENO, line, n);
    (void)done; /* nowhere to complain */
    errno = saved;
}
