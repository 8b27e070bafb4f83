/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/vault_work.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "crypto/digest.h"

struct fapi_work {
    struct fed_env *env;
    struct fed_wakeup wakeup;
    pthread_t thread;
    char *path;
    struct fapi_verdict verdict;
    void (*done)(void *ud, const struct fapi_verdict *verdict);
    void *ud;
};

static void *work(void *arg)
{
    struct fapi_work *w = arg;
    struct fapi_verdict *v = &w->verdict;
    v->code = fed_digest_file(w->path, v->sha256, &v->err);
    if (!v->code)
        v->code = store_sqlite_inspect(w->path, &v->info, &v->err);
    fed_wakeup_signal(&w->wakeup);
    return NULL;
}

static void release(struct fapi_work *w)
{
    pthread_join(w->thread, NULL);
    fed_wakeup_close(&w->wakeup);
    free(w->path);
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

struct fapi_work *fapi_work_start(struct fed_env *env, const char *path,
                                  void (*done)(void *ud, const struct fapi_verdict *verdict), void *ud)
{
    struct fapi_work *w = FED_NEW(struct fapi_work);
    w->env = env;
    w->path = fed_strdup(path);
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
