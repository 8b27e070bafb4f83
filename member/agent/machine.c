/* SPDX-License-Identifier: Apache-2.0 */
#include "member/agent/machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"

enum { MAX_FILE = 16 << 10 };

static void keep(char *out, size_t size, struct fed_str text)
{
    snprintf(out, size, "%.*s", FED_STR_ARG(text));
}

/* The first line of a small file; empty when it cannot be read. */
static void read_line(const char *path, char *out, size_t size)
{
    struct fed_buf b = {0};
    struct fed_str rest, line = {NULL, 0};
    out[0] = 0;
    if (fed_file_read(path, MAX_FILE, &b, NULL) == 0) {
        rest = fed_buf_str(&b);
        fed_str_cut(&rest, '\n', &line);
        keep(out, size, line);
    }
    fed_buf_release(&b);
}

/* PRETTY_NAME of os-release(5). */
static void read_os_image(char *out, size_t size)
{
    struct fed_buf b = {0};
    struct fed_str rest, line;
    keep(out, size, FED_STR("Linux"));
    if (fed_file_read("/etc/os-release", MAX_FILE, &b, NULL) == 0) {
        for (rest = fed_buf_str(&b); fed_str_cut(&rest, '\n', &line);) {
            struct fed_str key;
            if (!fed_str_cut(&line, '=', &key) || !fed_str_is(key, "PRETTY_NAME"))
                continue;
            if (line.n >= 2 && (line.p[0] == '"' || line.p[0] == '\''))
                line = fed_str_n(line.p + 1, line.n - 2);
            if (line.n)
                keep(out, size, line);
        }
    }
    fed_buf_release(&b);
}

static const char *go_arch(const char *machine)
{
    static const char *const names[][2] = {
        {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv7l", "arm"},
        {"armv6l", "arm"},   {"i686", "386"},      {"i386", "386"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (strcmp(machine, names[i][0]) == 0)
            return names[i][1];
    return machine; /* ppc64le, s390x, riscv64: the same words */
}

void mbr_machine_read(struct mbr_machine *out)
{
    struct utsname un = {0};
    memset(out, 0, sizeof(*out));
    uname(&un);
    keep(out->kernel, sizeof(out->kernel), fed_str(un.release));
    keep(out->arch, sizeof(out->arch), fed_str(go_arch(un.machine)));
    read_os_image(out->os_image, sizeof(out->os_image));
    read_line("/etc/machine-id", out->machine_id, sizeof(out->machine_id));
    read_line("/sys/class/dmi/id/product_uuid", out->system_uuid, sizeof(out->system_uuid));
    if (!out->system_uuid[0]) /* for root alone, and not on every machine */
        memcpy(out->system_uuid, out->machine_id, sizeof(out->system_uuid));
    read_line("/proc/sys/kernel/random/boot_id", out->boot_id, sizeof(out->boot_id));
}
