/* SPDX-License-Identifier: Apache-2.0 */
/* vault_work.h: a file checked on a thread of its own: its checksum, and that it is a whole store.
 * For a restore also that this server has the keys which its values are encrypted with.
 * Ownership: freed by itself after `done`, which comes on the env's thread; canceled, it ends without it. */
#ifndef FAPI_VAULT_WORK_H
#define FAPI_VAULT_WORK_H

#include "base/env.h"
#include "store/store.h"

struct fapi_verdict {
    int code;
    struct fed_err err;
    char sha256[65];
    struct store_file_info info;
    bool sealed; /* it is whole, and encrypted with a key that is not there */
};
struct fapi_work;
/* keys: the encryption configuration that must open it, "" for none; NULL: not asked. */
struct fapi_work *fapi_work_start(struct fed_env *env, const char *path, const char *keys,
                                  void (*done)(void *ud, const struct fapi_verdict *verdict), void *ud);
void fapi_work_cancel(struct fapi_work *w); /* waits for the thread; NULL ok */

#endif
