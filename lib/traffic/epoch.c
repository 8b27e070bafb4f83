/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/epoch.h"

#include "base/list.h"
#include "base/mem.h"

struct retired {
    struct fed_list link;
    void *p;
    void (*release)(void *p);
    uint_fast64_t epoch; /* readers that entered in it or before may hold p */
};

struct fed_epochs {
    atomic_uint_fast64_t now; /* from 1: 0 means outside in a reader's slot */
    struct fed_epoch_reader *readers;
    size_t n, max;
    struct fed_list retired; /* oldest first */
    size_t n_retired;
};

struct fed_epochs *fed_epochs_new(size_t max_readers)
{
    struct fed_epochs *e = FED_NEW(struct fed_epochs);
    atomic_init(&e->now, 1);
    e->max = max_readers ? max_readers : 1;
    e->readers = aligned_alloc(64, e->max * sizeof(*e->readers));
    FED_REQUIRE(e->readers);
    for (size_t i = 0; i < e->max; i++) {
        atomic_init(&e->readers[i].seen, 0);
        e->readers[i].now = &e->now;
    }
    fed_list_init(&e->retired);
    return e;
}

static void release_first(struct fed_epochs *e)
{
    struct retired *r = FED_LIST_ENTRY(e->retired.next, struct retired, link);
    fed_list_remove(&r->link);
    e->n_retired--;
    r->release(r->p);
    free(r);
}

void fed_epochs_free(struct fed_epochs *e)
{
    if (!e)
        return;
    while (!fed_list_empty(&e->retired))
        release_first(e);
    free(e->readers);
    free(e);
}

struct fed_epoch_reader *fed_epochs_reader(struct fed_epochs *e)
{
    return e->n < e->max ? &e->readers[e->n++] : NULL;
}

void fed_epochs_retire(struct fed_epochs *e, void *p, void (*release)(void *p))
{
    struct retired *r = FED_NEW(struct retired);
    r->p = p;
    r->release = release;
    r->epoch = atomic_fetch_add(&e->now, 1);
    fed_list_push_back(&e->retired, &r->link);
    e->n_retired++;
}

size_t fed_epochs_poll(struct fed_epochs *e)
{
    uint_fast64_t oldest = UINT_FAST64_MAX;
    for (size_t i = 0; i < e->n; i++) {
        uint_fast64_t seen = atomic_load(&e->readers[i].seen);
        if (seen && seen < oldest)
            oldest = seen;
    }
    while (!fed_list_empty(&e->retired) && FED_LIST_ENTRY(e->retired.next, struct retired, link)->epoch < oldest)
        release_first(e);
    return e->n_retired;
}
