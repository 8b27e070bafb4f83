/* SPDX-License-Identifier: Apache-2.0 */
#include "member/range.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "codec/json.h"

unsigned mbr_socket_name(struct sockaddr_un *sa, int x, const char *pod_uid)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = pod_uid ? snprintf(sa->sun_path + 1, sizeof(sa->sun_path) - 1, "hansa/127.%d/pod/%s", x, pod_uid)
                    : snprintf(sa->sun_path + 1, sizeof(sa->sun_path) - 1, "hansa/127.%d", x);
    return (unsigned)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int hold(int x)
{
    struct sockaddr_un sa;
    unsigned len = mbr_socket_name(&sa, x, NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) < 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Ranges named by any abstract socket of ours, shims of dead members included. */
static void mark_live(bool taken[256])
{
    char line[512];
    FILE *f = fopen("/proc/net/unix", "re");
    while (f && fgets(line, sizeof(line), f)) {
        const char *at = strstr(line, "@hansa/127.");
        long x = at ? strtol(at + 11, NULL, 10) : 0;
        if (x > 0 && x < 256)
            taken[x] = true;
    }
    if (f)
        fclose(f);
}

/* Ranges of this user's members that still exist, running or not. */
static void mark_kept(bool taken[256], const char *state_home, const char *dir)
{
    char path[PATH_MAX], target[PATH_MAX], ports[PATH_MAX + 16];
    for (int x = MBR_RANGE_MIN; state_home && x <= MBR_RANGE_MAX; x++) {
        snprintf(path, sizeof(path), "%s/hansa/ranges/%d", state_home, x);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n <= 0)
            continue;
        target[n] = 0;
        snprintf(ports, sizeof(ports), "%s/ports.json", target);
        if (strcmp(target, dir) != 0 && access(ports, F_OK) == 0)
            taken[x] = true;
    }
}

static void remember(int x, const char *state_home, const char *dir)
{
    char path[PATH_MAX];
    if (!state_home)
        return;
    snprintf(path, sizeof(path), "%s/hansa/ranges", state_home);
    if (fed_file_mkdirs(path, 0700, NULL) < 0)
        return; /* only a courtesy to members yet to come */
    snprintf(path, sizeof(path), "%s/hansa/ranges/%d", state_home, x);
    unlink(path);
    (void)!symlink(dir, path);
}

int mbr_range_load(struct mbr_range *r, const char *dir, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_buf text;
    struct fed_json *v = NULL;
    char path[PATH_MAX];
    *r = (struct mbr_range){.fd = -1};
    fed_buf_init(&text, 64 * 1024);
    snprintf(path, sizeof(path), "%s/ports.json", dir);
    int rc = fed_file_read(path, 64 * 1024, &text, err);
    if (rc == 0)
        rc = fed_json_parse(&a, fed_buf_str(&text), NULL, &v, err);
    if (rc == 0) {
        r->x = (int)fed_json_int(fed_json_find(v, "range"), 0);
        r->api_port = (uint16_t)fed_json_int(fed_json_find(v, "apiPort"), 0);
        snprintf(r->api_ip, sizeof(r->api_ip), "127.%d.0.1", r->x);
        if (r->x < MBR_RANGE_MIN || r->x > MBR_RANGE_MAX)
            rc =
                fed_err_set(err, FED_E_CORRUPT, "%s: range: not between %d and %d", path, MBR_RANGE_MIN, MBR_RANGE_MAX);
    }
    fed_buf_release(&text);
    fed_arena_release(&a);
    return rc;
}

int mbr_range_save(const struct mbr_range *r, const char *dir, struct fed_err *err)
{
    char path[PATH_MAX], text[160];
    snprintf(path, sizeof(path), "%s/ports.json", dir);
    int n = snprintf(text, sizeof(text), "{\"range\":%d,\"apiAddress\":\"%s\",\"apiPort\":%u}\n", r->x, r->api_ip,
                     r->api_port);
    return fed_file_write_atomic(path, fed_str_n(text, (size_t)n), 0644, err);
}

int mbr_range_lease(struct mbr_range *r, const char *dir, const char *state_home, struct fed_err *err)
{
    bool taken[256] = {false};
    int n = MBR_RANGE_MAX - MBR_RANGE_MIN + 1;
    int rc = mbr_range_load(r, dir, err);
    if (rc == 0) {
        r->fd = hold(r->x);
        if (r->fd < 0)
            return fed_err_set(err, FED_E_BUSY,
                               "the address range 127.%d.0.0/16 of %s is in use by another member; stop that one, or "
                               "remove ports.json to take another range",
                               r->x, dir);
        remember(r->x, state_home, dir);
        return 0;
    }
    if (rc != FED_E_NOT_FOUND)
        return rc;
    mark_live(taken);
    mark_kept(taken, state_home, dir);
    /* Begin at a place that depends on the folder: users who do not see each other's lists rarely meet. */
    uint64_t start = fed_str_hash(fed_str(dir), 0) % (uint64_t)n;
    for (int i = 0; i < n; i++) {
        int x = MBR_RANGE_MIN + (int)((start + (uint64_t)i) % (uint64_t)n);
        if (taken[x] || (r->fd = hold(x)) < 0)
            continue;
        r->x = x;
        r->api_port = 0;
        snprintf(r->api_ip, sizeof(r->api_ip), "127.%d.0.1", x);
        remember(x, state_home, dir);
        return 0;
    }
    return fed_err_set(err, FED_E_FULL, "no free loopback range 127.%d–127.%d: stop members that are not needed",
                       MBR_RANGE_MIN, MBR_RANGE_MAX);
}

void mbr_range_release(struct mbr_range *r)
{
    if (r->fd > 0)
        close(r->fd);
    r->fd = -1;
}

uint32_t mbr_part_first(int x, enum mbr_part part)
{
    static const uint32_t third[] = {0, 64, 128, 192};
    return 127u << 24 | (uint32_t)x << 16 | third[part] << 8 | 1;
}

uint32_t mbr_part_count(enum mbr_part part)
{
    return part == MBR_PART_NODES ? 254 : 64 * 256 - 2; /* without the first and the last address of the part */
}

void mbr_ip_format(uint32_t ip, char out[16])
{
    snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

int mbr_ip_parse(struct fed_str text, uint32_t *ip)
{
    char z[16];
    struct in_addr in;
    if (text.n == 0 || text.n >= sizeof(z))
        return FED_E_SYNTAX;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (inet_pton(AF_INET, z, &in) != 1)
        return FED_E_SYNTAX;
    *ip = ntohl(in.s_addr);
    return 0;
}

void mbr_pool_init(struct mbr_pool *p, uint32_t count)
{
    *p = (struct mbr_pool){.bits = fed_calloc(count / 64 + 1, sizeof(uint64_t)), .count = count};
}

void mbr_pool_release(struct mbr_pool *p)
{
    free(p->bits);
    *p = (struct mbr_pool){0};
}

bool mbr_pool_has(const struct mbr_pool *p, uint32_t i)
{
    return i < p->count && (p->bits[i / 64] >> (i % 64) & 1);
}

bool mbr_pool_take(struct mbr_pool *p, uint32_t i)
{
    if (i >= p->count || mbr_pool_has(p, i))
        return false;
    p->bits[i / 64] |= UINT64_C(1) << (i % 64);
    p->used++;
    return true;
}

int64_t mbr_pool_next(struct mbr_pool *p)
{
    for (uint32_t k = 0; k < p->count && p->used < p->count; k++) {
        uint32_t i = (p->next + k) % p->count;
        if (mbr_pool_take(p, i)) {
            p->next = i + 1;
            return i;
        }
    }
    return -1;
}

void mbr_pool_put(struct mbr_pool *p, uint32_t i)
{
    if (!mbr_pool_has(p, i))
        return;
    p->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    p->used--;
}

bool mbr_may_bind(const char *ip, uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || inet_pton(AF_INET, ip, &sa.sin_addr) != 1) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool denied = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 && (errno == EACCES || errno == EPERM);
    close(fd);
    return !denied;
}
