/* SPDX-License-Identifier: Apache-2.0 */
/* vault.h: backups of the running store and its restore, as virtual resources (federation/v1beta1).
 *
 *   create backups                    a copy of the store is made and checked: its size, checksum and revision
 *   get    backups/content?offset=N   a piece of it                              delete backups: it is not needed any more
 *   create restores                   {"spec": {"bytes", "sha256"}}: a file will come
 *   update restores/content?offset=N  a piece of it, in order; the last one once more is fine
 *   create restores/check             all is there, is a store and can be read with our keys: what it holds
 *   create restores/commit            it takes the place of the store: the server stops in order and starts again
 *
 * Model:      one backup and one restore at a time, each a file beside the store; a new one replaces one that nobody
 *             went on with for ten minutes. What takes long is done by a thread of its own. The store puts the file in
 *             place when it is opened next, keeps the one before, and moves the revision up (store.h).
 * Without a store (it could not be opened): restores only.
 * Threads:    the loop's, but for the work itself. */
#ifndef FAPI_VAULT_H
#define FAPI_VAULT_H

#include "apiserver/apiserver.h"

struct fapi_vault;
struct fapi_vault_conf {
    struct fed_env *env;
    struct store *store;       /* NULL: it could not be opened */
    const char *path;          /* of the SQLite file; NULL: a store that has none */
    const char *keys;          /* the encryption configuration's file; NULL: none */
    void (*restart)(void *ud); /* a restore waits to be put in place */
    void *ud;
};
struct fapi_vault *fapi_vault_new(const struct fapi_vault_conf *conf);
void fapi_vault_free(struct fapi_vault *v);
#define FAPI_VAULT_RESOURCES 6
/* Their rows for fed_api_conf.virtuals, n = FAPI_VAULT_RESOURCES; they live as long as the vault. */
const struct fed_virtual *fapi_vault_virtuals(const struct fapi_vault *v);

#endif
