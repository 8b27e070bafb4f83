/* SPDX-License-Identifier: Apache-2.0 */
#include "member/shim/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_whole(const char *path, size_t *n)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size <= MBR_SHIM_SPEC && (text = malloc((size_t)st.st_size + 1))) {
        ssize_t r = read(fd, text, (size_t)st.st_size);
        *n = r < 0 ? 0 : (size_t)r;
        text[*n] = 0;
    } else {
        errno = EFBIG;
    }
    close(fd);
    return text;
}

static size_t count(const char *text, size_t n, char what)
{
    size_t c = 0;
    for (const char *p = text; p < text + n; p += strlen(p) + 1)
        c += *p == what;
    return c;
}

static void add_mount(struct mbr_shim_spec *s, char *p)
{
    char *target = strchr(p, '\x1f'), *mode = target ? strchr(target + 1, '\x1f') : NULL;
    if (!mode)
        return;
    *target = *mode = 0;
    s->mounts[s->n_mounts++] = (struct mbr_shim_mount){p, target + 1, strcmp(mode + 1, "ro") == 0};
}

struct mbr_shim_spec *mbr_shim_spec_read(const char *path)
{
    size_t n = 0;
    char *text = read_whole(path, &n);
    if (!text)
        return NULL;
    struct mbr_shim_spec *s = calloc(1, sizeof(*s));
    if (!s)
        abort();
    s->text = text;
    s->argv = calloc(count(text, n, 'A') + 1, sizeof(char *));
    s->envp = calloc(count(text, n, 'E') + 1, sizeof(char *));
    s->mounts = calloc(count(text, n, 'M') + 1, sizeof(*s->mounts));
    if (!s->argv || !s->envp || !s->mounts)
        abort();
    /* add_mount cuts its record into pieces, so the next record is found first. */
    for (char *p = text, *next; p < text + n; p = next) {
        next = p + strlen(p) + 1;
        switch (*p) {
        case 'X':
            s->file = p + 1;
            break;
        case 'C':
            s->cwd = p + 1;
            break;
        case 'A':
            s->argv[s->n_argv++] = p + 1;
            break;
        case 'E':
            s->envp[s->n_envp++] = p + 1;
            break;
        case 'M':
            add_mount(s, p + 1);
            break;
        case 'I':
            s->has_stdin = true;
            break;
        case 'T':
            s->tty = true;
            break;
        default:
            break;
        }
    }
    if (s->file && s->n_argv)
        return s;
    mbr_shim_spec_free(s);
    errno = EINVAL;
    return NULL;
}

void mbr_shim_spec_free(struct mbr_shim_spec *s)
{
    if (!s)
        return;
    free(s->text);
    free(s->argv);
    free(s->envp);
    free(s->mounts);
    free(s);
}
