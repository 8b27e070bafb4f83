/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_vfs.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"

/* A file that is open, behind the system's part of it. */
struct vfs_file {
    struct fed_list link; /* of its inode's */
    struct vfs_store *store;
    const sqlite3_io_methods *system;
    sqlite3_io_methods methods; /* the system's, but for locks and the log's index */
    int level;                  /* SQLITE_LOCK_* among our own */
    unsigned shared, exclusive; /* locks of the log's index, a bit each */
    bool mapped;
};
struct vfs_store {
    struct fed_list link;
    struct fed_list files;
    char *path;
    struct vfs_file *holder; /* of the file's real lock */
    void **regions;
    int n_regions, n_mapped;
};

static sqlite3_vfs vfs;
static sqlite3_vfs *below;
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* Guards all of it: what is done under it takes less than the lock would. */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static struct fed_list stores;

static size_t offset(void)
{
    return ((size_t)below->szOsFile + 15) & ~(size_t)15;
}

static struct vfs_file *ours(sqlite3_file *f)
{
    return (struct vfs_file *)((char *)f + offset());
}

/* --- the file's lock --- */

/* The real one is taken once and kept. */
static int take_real(sqlite3_file *f, struct vfs_file *v)
{
    if (v->store->holder)
        return SQLITE_OK;
    int rc = v->system->xLock(f, SQLITE_LOCK_SHARED);
    if (rc == SQLITE_OK)
        rc = v->system->xLock(f, SQLITE_LOCK_EXCLUSIVE);
    if (rc == SQLITE_OK)
        v->store->holder = v;
    else
        (void)v->system->xUnlock(f, SQLITE_LOCK_NONE);
    return rc;
}

static int highest_of_others(const struct vfs_file *v)
{
    int level = SQLITE_LOCK_NONE;
    FED_LIST_EACH(it, &v->store->files) {
        const struct vfs_file *o = FED_LIST_ENTRY(it, struct vfs_file, link);
        if (o != v)
            level = FED_MAX(level, o->level);
    }
    return level;
}

static int on_lock(sqlite3_file *f, int level)
{
    struct vfs_file *v = ours(f);
    pthread_mutex_lock(&guard);
    int rc = take_real(f, v), others = highest_of_others(v);
    if (rc == SQLITE_OK && level > v->level) {
        bool refused = level == SQLITE_LOCK_SHARED     ? others >= SQLITE_LOCK_PENDING
                       : level == SQLITE_LOCK_RESERVED ? others >= SQLITE_LOCK_RESERVED
                                                       : others >= SQLITE_LOCK_SHARED;
        if (refused)
            rc = SQLITE_BUSY;
        else
            v->level = level;
    }
    pthread_mutex_unlock(&guard);
    return rc;
}

static int on_unlock(sqlite3_file *f, int level)
{
    struct vfs_file *v = ours(f);
    pthread_mutex_lock(&guard);
    v->level = FED_MIN(v->level, level);
    pthread_mutex_unlock(&guard);
    return SQLITE_OK;
}

static int on_check_reserved(sqlite3_file *f, int *out)
{
    pthread_mutex_lock(&guard);
    *out = highest_of_others(ours(f)) >= SQLITE_LOCK_RESERVED;
    pthread_mutex_unlock(&guard);
    return SQLITE_OK;
}

/* --- the log's index --- */

static bool grow(struct vfs_store *s, int to, int size)
{
    void **more = realloc(s->regions, sizeof(*more) * (size_t)to);
    if (!more)
        return false;
    s->regions = more;
    while (s->n_regions < to) {
        void *region = calloc(1, (size_t)size);
        if (!region)
            return false;
        s->regions[s->n_regions++] = region;
    }
    return true;
}

static int on_shm_map(sqlite3_file *f, int at, int size, int extend, void volatile **out)
{
    struct vfs_file *v = ours(f);
    int rc = SQLITE_OK;
    pthread_mutex_lock(&guard);
    if (!v->mapped) {
        v->mapped = true;
        v->store->n_mapped++;
    }
    if (at >= v->store->n_regions && extend && !grow(v->store, at + 1, size))
        rc = SQLITE_NOMEM;
    *out = at < v->store->n_regions ? v->store->regions[at] : NULL;
    pthread_mutex_unlock(&guard);
    return rc;
}

static int on_shm_lock(sqlite3_file *f, int first, int n, int flags)
{
    struct vfs_file *v = ours(f);
    unsigned mask = (1u << (first + n)) - (1u << first), shared = 0, exclusive = 0;
    int rc = SQLITE_OK;
    pthread_mutex_lock(&guard);
    FED_LIST_EACH(it, &v->store->files) {
        const struct vfs_file *o = FED_LIST_ENTRY(it, struct vfs_file, link);
        if (o != v) {
            shared |= o->shared;
            exclusive |= o->exclusive;
        }
    }
    if (flags & SQLITE_SHM_UNLOCK) {
        v->shared &= ~mask;
        v->exclusive &= ~mask;
    } else if (exclusive & mask || (flags & SQLITE_SHM_EXCLUSIVE && shared & mask)) {
        rc = SQLITE_BUSY;
    } else if (flags & SQLITE_SHM_SHARED) {
        v->shared |= mask;
    } else {
        v->exclusive |= mask;
    }
    pthread_mutex_unlock(&guard);
    return rc;
}

static void on_shm_barrier(sqlite3_file *f)
{
    (void)f;
    atomic_thread_fence(memory_order_seq_cst);
    pthread_mutex_lock(&guard); /* as SQLite's own: a fence that thread checkers know */
    pthread_mutex_unlock(&guard);
}

static void unmap(struct vfs_file *v)
{
    struct vfs_store *s = v->store;
    v->shared = v->exclusive = 0;
    if (!v->mapped)
        return;
    v->mapped = false;
    if (--s->n_mapped > 0)
        return;
    /* The next who maps it finds nothing, and reads the log anew. */
    while (s->n_regions > 0)
        free(s->regions[--s->n_regions]);
    free(s->regions);
    s->regions = NULL;
}

static int on_shm_unmap(sqlite3_file *f, int remove)
{
    (void)remove;
    pthread_mutex_lock(&guard);
    unmap(ours(f));
    pthread_mutex_unlock(&guard);
    return SQLITE_OK;
}

/* --- life --- */

static struct vfs_store *store_of(const char *path)
{
    FED_LIST_EACH(it, &stores) {
        struct vfs_store *s = FED_LIST_ENTRY(it, struct vfs_store, link);
        if (strcmp(s->path, path) == 0)
            return s;
    }
    struct vfs_store *s = FED_NEW(struct vfs_store);
    s->path = fed_strdup(path);
    fed_list_init(&s->files);
    fed_list_push_back(&stores, &s->link);
    return s;
}

static int on_close(sqlite3_file *f)
{
    struct vfs_file *v = ours(f);
    struct vfs_store *s = v->store;
    const sqlite3_io_methods *system = v->system;
    pthread_mutex_lock(&guard);
    unmap(v);
    fed_list_remove(&v->link);
    if (s->holder == v)
        s->holder = NULL;
    if (fed_list_empty(&s->files)) {
        fed_list_remove(&s->link);
        free(s->path);
        free(s);
    }
    pthread_mutex_unlock(&guard);
    return system->xClose(f);
}

static int on_open(sqlite3_vfs *me, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
    (void)me;
    int rc = below->xOpen(below, path, f, flags, out_flags);
    if (rc != SQLITE_OK || !(flags & SQLITE_OPEN_MAIN_DB))
        return rc;
    struct vfs_file *v = ours(f);
    *v = (struct vfs_file){.system = f->pMethods, .methods = *f->pMethods};
    v->methods.xClose = on_close;
    v->methods.xLock = on_lock;
    v->methods.xUnlock = on_unlock;
    v->methods.xCheckReservedLock = on_check_reserved;
    v->methods.iVersion = FED_MAX(v->methods.iVersion, 2);
    v->methods.xShmMap = on_shm_map;
    v->methods.xShmLock = on_shm_lock;
    v->methods.xShmBarrier = on_shm_barrier;
    v->methods.xShmUnmap = on_shm_unmap;
    f->pMethods = &v->methods;
    pthread_mutex_lock(&guard);
    v->store = store_of(path);
    fed_list_push_back(&v->store->files, &v->link);
    pthread_mutex_unlock(&guard);
    return SQLITE_OK;
}

static void make(void)
{
    below = sqlite3_vfs_find(NULL);
    if (!below)
        return;
    fed_list_init(&stores);
    vfs = *below;
    vfs.zName = "hansa-store";
    vfs.szOsFile = (int)(offset() + sizeof(struct vfs_file));
    vfs.xOpen = on_open;
    vfs.pNext = NULL;
    if (sqlite3_vfs_register(&vfs, 0) != SQLITE_OK)
        below = NULL;
}

const char *store_sqlite_vfs(void)
{
    pthread_once(&once, make);
    return below ? vfs.zName : NULL;
}
