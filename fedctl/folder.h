/* SPDX-License-Identifier: Apache-2.0 */
/* folder.h: the folder of a federation on one machine, as `up` makes it and `down` knows it.
 *
 *   DIR/.hansa-federation   marker: what runs here (JSON); nothing is removed from a folder that lacks it
 *   DIR/.lock               one `up` or `down` at a time
 *   DIR/kubeconfig, DIR/env
 *   DIR/CLUSTER/            one hansa-member; DIR/CLUSTER.log its output
 */
#ifndef FEDCTL_FOLDER_H
#define FEDCTL_FOLDER_H

#include "fedctl/fedctl.h"

struct fctl_folder {
    const char *path, *federation, *zone;
    struct fctl_place *clusters;
    size_t n;
    struct fed_strings overrides; /* of the control plane's arguments */
    bool marked;                  /* the marker was there */
    int lock_fd;                  /* -1: not locked */
};
/* flag: --dir, or NULL for the default place of `federation`. Absolute. */
FED_MUST_USE int fctl_folder_path(struct fctl *c, const char *flag, const char *federation, const char **path,
                                  struct fed_err *err);
/* Reads the marker; without one, marked is false. Takes the lock when the folder is there. */
FED_MUST_USE int fctl_folder_open(struct fctl *c, const char *path, struct fctl_folder *out, struct fed_err *err);
/* Makes the folder (0700) and the marker; refuses one that has other things in it. */
FED_MUST_USE int fctl_folder_save(struct fctl *c, struct fctl_folder *f, struct fed_err *err);
void fctl_folder_close(struct fctl_folder *f);
/* Deletes the folder and all in it. Only with the marker. */
FED_MUST_USE int fctl_folder_remove(const struct fctl_folder *f, struct fed_err *err);
/* "hansa-member" beside our own executable. */
FED_MUST_USE int fctl_program(struct fctl *c, const char *name, const char **path, struct fed_err *err);
/* "+ word word", quoted as a shell needs it. words end with NULL. */
void fctl_echo(struct fctl *c, const char *const *words);
/* The same, its output to a file: behind what is there (then in the background) or instead of it. */
void fctl_echo_into(struct fctl *c, const char *const *words, const char *file, bool background);

#endif
