/* SPDX-License-Identifier: Apache-2.0 */
/* replay_driver.c: main() for fuzz targets in ordinary builds: feeds each file of the arguments (files, or folders of
 * files) to the target. Fails when a folder has no file, so that a lost corpus does not pass for a success. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct fed_buf b = {0};
    size_t n = 0;
    char *room;
    if (!f) {
        perror(path);
        return -1;
    }
    while ((room = fed_buf_reserve(&b, 65536)) && (n = fread(room, 1, 65536, f)) > 0)
        fed_buf_commit(&b, n);
    fclose(f);
    /* An exact copy, so that a sanitizer sees a read past the end. */
    uint8_t *exact = fed_malloc(b.n);
    if (b.n)
        memcpy(exact, b.p, b.n);
    printf("%s (%zu bytes)\n", path, b.n);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, b.n);
    free(exact);
    fed_buf_release(&b);
    return 0;
}

static int run_folder(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int files = 0, rc = 0;
    if (!d) {
        perror(path);
        return -1;
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        char *name = fed_asprintf("%s/%s", path, e->d_name);
        rc |= run_file(name);
        free(name);
        files++;
    }
    closedir(d);
    if (files == 0)
        fprintf(stderr, "%s: no file\n", path);
    return files ? rc : -1;
}

int main(int argc, char **argv)
{
    int rc = argc > 1 ? 0 : -1;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) != 0) {
            perror(argv[i]);
            rc = -1;
        } else {
            rc |= S_ISDIR(st.st_mode) ? run_folder(argv[i]) : run_file(argv[i]);
        }
    }
    return rc ? 1 : 0;
}
