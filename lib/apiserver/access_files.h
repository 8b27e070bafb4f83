/* SPDX-License-Identifier: Apache-2.0 */
/* access_files.h: the files that access settings name, read as one: static tokens, keys of service accounts, the CA of
 * the OIDC issuer, the policy of the audit log.
 *
 * Model:      all are read and checked together; whoever holds a set puts a new one in its place only when the whole of
 *             it is good, so that a file that is half written or wrong changes nothing.
 * Ownership:  a set owns its texts. Threads: any.
 * Failure:    the file's name is in the words.
 */
#ifndef FED_APISERVER_ACCESS_FILES_H
#define FED_APISERVER_ACCESS_FILES_H

#include "apiserver/access.h"
#include "base/arena.h"
#include "base/file.h"

struct fed_audit_policy;
struct fed_access_files {
    struct fed_arena arena;
    const struct fed_json *tokens; /* NULL: no file */
    struct fed_str sa_signing_pem, sa_own_pem, sa_verify_pem, oidc_ca_pem;
    struct fed_audit_policy *policy; /* NULL: nothing is recorded */
};
FED_MUST_USE int fed_access_files_read(const struct fed_access_settings *s, struct fed_access_files **out,
                                       struct fed_err *err);
void fed_access_files_stamp(const struct fed_access_settings *s, struct fed_file_stamp *out);
void fed_access_files_free(struct fed_access_files *x); /* NULL ok */

#endif
