/* SPDX-License-Identifier: Apache-2.0 */
/* file.h: whole files: read with a bound, written so that a reader or a crash sees the old or the new, never half.
 *
 * Threads: any; these calls block (small local files at start, or on a work thread).
 * Failure: the error text names the path. */
#ifndef FED_BASE_FILE_H
#define FED_BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/* Appends the file's bytes to *out. Longer than max: FED_E_LIMIT; absent: FED_E_NOT_FOUND. */
FED_MUST_USE int fed_file_read(const char *path, size_t max, struct fed_buf *out, struct fed_err *err);
/* Writes to "PATH.tmp.PID" beside it, syncs and renames over path, then syncs the folder. mode e.g. 0600. */
FED_MUST_USE int fed_file_write_atomic(const char *path, struct fed_str bytes, unsigned mode, struct fed_err *err);
/* Makes the folder and its missing parents with this mode; present is success. */
FED_MUST_USE int fed_file_mkdirs(const char *path, unsigned mode, struct fed_err *err);
/* Removes the folder with what is in it, as far as it can be. Links are not followed, and another file system mounted
 * below is not entered. */
void fed_file_remove_tree(const char *path);

struct fed_file_stamp { /* of a file, or a sum of several: differs when one was changed */
    uint64_t mtime_ns, size, inode;
};
bool fed_file_stamp(const char *path, struct fed_file_stamp *out); /* zeroed and false: absent, or path is NULL */
/* Adds the file, the nth of those that are summed; an absent one adds nothing. */
void fed_file_stamp_add(struct fed_file_stamp *sum, size_t nth, const char *path);

#endif
