/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/vault_work.h"

#include <pthread.h>
#include <stdlib.h>

#include "apiserver/encryption.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/digest.h"

#define MAX_KEYS_FILE (1024u * 1024)

struct fapi_work {
    struct fed_env *env;
    struct fed_wakeup wakeup;
    pthread_t thread;
    char *path, *keys;
    struct fed_encryption *encryption;
    struct fapi_verdict verdict;
    void (*done)(void *ud, const struct fapi_verdict *verdict);
    void *ud;
};

/* Of the first value that cannot be read. */
static void try_open(void *ud, const struct store_change *c)
{
    struct fapi_work *w = ud;
    struct fapi_verdict *v = &w->verdict;
    if (!v->sealed)
        v->sealed = fed_encryption_check(w->encryption, c->key, fed_blob_str(c->value), &v->err) != 0;
}

static int inspect_sealed(struct fapi_work *w)
{
    struct fapi_verdict *v = &w->verdict;
    struct fed_buf text = {0};
    struct fed_err err = {0};
    int code = *w->keys ? fed_file_read(w->keys, MAX_KEYS_FILE, &text, &v->err) : 0;
    if (!code && *w->keys)
        code = fed_encryption_parse(fed_buf_str(&text), &w->encryption, &v->err);
    if (text.p)
        explicit_bzero(text.p, text.n);
    fed_buf_release(&text);
    if (!code) {
        code = store_sqlite_inspect_each(w->path, &v->info, try_open, w, &err);
        if (code) { /* damaged: that comes first */
            v->sealed = false;
            v->err = err;
        }
    }
    fed_encryption_free(w->encryption);
    return code ? code : v->sealed ? FED_E_CORRUPT : 0;
}

static void *work(void *arg)
{
    struct fapi_work *w = arg;
    struct fapi_verdict *v = &w->verdict;
    v->code = fed_digest_file(w->path, v->sha256, &v->err);
    if (!v->code)
        v->code = w->keys ? inspect_sealed(w) : store_sqlite_inspect(w->path, &v->info, &v->err);
    fed_wakeup_signal(&w->wakeup);
    return NULL;
}

static void release(struct fapi_work *w)
{
    pthread_join(w->thread, NULL);
    fed_wakeup_close(&w->wakeup);
    free(w->path);
    free(w->keys);
    free(w);
}

static void finished(struct fed_wakeup *wakeup)
{
    struct fapi_work *w = fed_container_of(wakeup, struct fapi_work, wakeup);
    struct fapi_verdict verdict = w->verdict;
    void (*done)(void *, const struct fapi_verdict *) = w->done;
    void *ud = w->ud;
    release(w);
    done(ud, &verdict);
}

struct fapi_work *fapi_work_start(struct fed_env *env, const char *path, const char *keys,
                                  void (*done)(void *ud, const struct fapi_verdict *verdict), void *ud)
{
    struct fapi_work *w = FED_NEW(struct fapi_work);
    w->env = env;
    w->path = fed_strdup(path);
    w->keys = keys ? fed_strdup(keys) : NULL;
    w->done = done;
    w->ud = ud;
    fed_wakeup_open(env, &w->wakeup, finished);
    FED_REQUIRE(pthread_create(&w->thread, NULL, work, w) == 0);
    return w;
}

void fapi_work_cancel(struct fapi_work *w)
{
    if (w)
        release(w);
}
