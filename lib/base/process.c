/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void fed_process_metrics_make(struct fed_process_metrics *p, struct fed_metrics *m)
{
    struct fed_metric_family *cpu = fed_metrics_family(m, FED_METRIC_COUNTER, "process_cpu_seconds_total",
                                                       "Time of processors that the process has used.", "", NULL, 0);
    fed_metric_family_divide(cpu, sysconf(_SC_CLK_TCK));
    p->cpu = fed_metric_get(cpu, NULL, 0);
    p->resident = fed_metrics_gauge(m, "process_resident_memory_bytes", "Memory of the process that is in RAM.");
    p->size = fed_metrics_gauge(m, "process_virtual_memory_bytes", "Address space of the process.");
    p->start = fed_metrics_gauge(m, "process_start_time_seconds", "When the process began, in seconds since 1970.");
    p->files = fed_metrics_gauge(m, "process_open_fds", "Open file descriptors.");
    p->max_files = fed_metrics_gauge(m, "process_max_fds", "How many file descriptors may be open.");
}

/* When the machine started, in seconds since 1970; 0: nobody knows. */
static int64_t boot_time(void)
{
    char line[256];
    long long at = 0;
    FILE *f = fopen("/proc/stat", "re");
    while (f && !at && fgets(line, sizeof line, f))
        if (sscanf(line, "btime %lld", &at) != 1)
            at = 0;
    if (f)
        fclose(f);
    return at;
}

static void read_stat(const struct fed_process_metrics *p)
{
    char text[1024];
    unsigned long long user, system, start, size;
    long long pages;
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = '\0';
    const char *rest = strrchr(text, ')'); /* the name before may hold anything */
    if (!rest || sscanf(rest + 1,
                        " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d %llu %llu %lld",
                        &user, &system, &start, &size, &pages) != 5)
        return;
    fed_metric_raise(p->cpu, user + system);
    fed_metric_set(p->size, (int64_t)size);
    fed_metric_set(p->resident, pages * sysconf(_SC_PAGESIZE));
    fed_metric_set(p->start, boot_time() + (int64_t)start / sysconf(_SC_CLK_TCK));
}

static int64_t open_files(void)
{
    int64_t n = -3; /* ".", ".." and that of the folder itself */
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n < 0 ? 0 : n;
}

void fed_process_metrics_scrape(const struct fed_process_metrics *p)
{
    struct rlimit files;
    read_stat(p);
    fed_metric_set(p->files, open_files());
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        fed_metric_set(p->max_files, (int64_t)files.rlim_cur);
}
