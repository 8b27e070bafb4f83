/* SPDX-License-Identifier: Apache-2.0 */
/* assignments.c: what was decided about each object. */
#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/member.h"

struct fapi_assignment *fapi_assignment_find(struct fapi_federation *f, const char *key)
{
    return fed_map_find(&f->assignments, fed_str(key));
}

/* Shares are in the order of members. */
static void add_missing_shares(struct fapi_federation *f, struct fapi_assignment *p)
{
    size_t i = 0;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(f->clusters, m)); i++) {
        if (i < p->n && p->shares[i].member == m)
            continue;
        p->shares = fed_realloc(p->shares, (p->n + 1) * sizeof(*p->shares));
        memmove(&p->shares[i + 1], &p->shares[i], (p->n - i) * sizeof(*p->shares));
        p->shares[i] = (struct fapi_share){.member = m};
        p->n++;
    }
}

struct fapi_assignment *fapi_assignment_get(struct fapi_federation *f, const char *key)
{
    struct fapi_assignment *p = fapi_assignment_find(f, key);
    if (!p) {
        p = FED_NEW(struct fapi_assignment);
        p->key = fed_strdup(key);
        fed_map_set(&f->assignments, fed_str(key), p);
    }
    add_missing_shares(f, p);
    return p;
}

static void release_share(struct fapi_share *share)
{
    free(share->why);
    free(share->message);
    free(share->closed);
}

static void free_assignment(struct fapi_assignment *p)
{
    for (size_t i = 0; i < p->n; i++)
        release_share(&p->shares[i]);
    free(p->shares);
    free(p->problem);
    free(p->key);
    free(p);
}

void fapi_assignment_drop(struct fapi_federation *f, const char *key)
{
    struct fapi_assignment *p = fed_map_remove(&f->assignments, fed_str(key));
    if (p)
        free_assignment(p);
}

struct fapi_share *fapi_assignment_share(struct fapi_assignment *p, const struct fapi_member *m)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->shares[i].member == m)
            return &p->shares[i];
    return NULL;
}

void fapi_assignments_leave(struct fapi_federation *f, const struct fapi_member *m)
{
    FED_MAP_EACH(e, &f->assignments) {
        struct fapi_assignment *p = e->value;
        struct fapi_share *share = fapi_assignment_share(p, m);
        if (!share)
            continue;
        release_share(share);
        memmove(share, share + 1, (size_t)(p->shares + p->n - share - 1) * sizeof(*share));
        p->n--;
    }
}

void fapi_assignments_stale(struct fapi_federation *f, const struct fapi_member *m)
{
    FED_MAP_EACH(e, &f->assignments) {
        struct fapi_share *share = fapi_assignment_share(e->value, m);
        if (share)
            share->stale = true;
    }
}

void fapi_assignments_release(struct fapi_federation *f)
{
    FED_MAP_EACH(e, &f->assignments)
        free_assignment(e->value);
    fed_map_release(&f->assignments);
}
