/* SPDX-License-Identifier: Apache-2.0 */
/* members.c: looking: the set of member clusters, and what is seen in each. What is seen comes about in clusters.c,
 * member.c and member_kinds.c. */
#include "fedapi/controllers/member_priv.h"

struct fapi_member *fapi_clusters_find(struct fapi_clusters *c, struct fed_str name)
{
    return fed_map_find(&c->members, name);
}

struct fed_kobj *fapi_clusters_object(struct fapi_clusters *c, struct fed_str name)
{
    return fed_informer_find(c->objects, (struct fed_str){0}, name);
}

bool fapi_clusters_synced(const struct fapi_clusters *c)
{
    return fed_informer_synced(c->objects) && fed_informer_synced(c->secrets);
}

struct fapi_member *fapi_clusters_next(struct fapi_clusters *c, const struct fapi_member *after)
{
    return after ? after->next : c->first;
}

size_t fapi_clusters_count(struct fapi_clusters *c)
{
    size_t n = 0;
    for (struct fapi_member *m = NULL; (m = fapi_clusters_next(c, m));)
        n++;
    return n;
}

struct fapi_there *fapi_member_there(const struct fapi_member *m, const struct fapi_kind *k)
{
    return k->index < m->n_there ? m->there[k->index] : NULL;
}

struct fed_kobj *fapi_member_find(const struct fapi_member *m, const struct fapi_kind *k, struct fed_str ns,
                                  struct fed_str name)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    struct fed_kobj *o = t && t->objects ? fed_informer_find(t->objects, ns, name) : NULL;
    return fapi_is_marked(o) ? o : NULL;
}

bool fapi_member_sees(const struct fapi_member *m, const struct fapi_kind *k)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    if (!t || (t->definition && t->served == FAPI_SERVED_UNKNOWN))
        return false;
    return !t->objects || fed_informer_synced(t->objects);
}

bool fapi_member_sees_all(const struct fapi_member *m)
{
    /* One custom kind that cannot be listed (its conversion webhook is away) must not keep the cluster from its work:
     * its own objects wait, and nothing else. */
    FAPI_KIND_EACH(k, m->fed)
        if (!k->custom && !fapi_member_sees(m, k))
            return false;
    return true;
}

struct marked {
    bool (*each)(void *ud, struct fed_kobj *o);
    void *ud;
};

static bool if_marked(void *ud, struct fed_kobj *o)
{
    struct marked *w = ud;
    return !fapi_is_marked(o) || w->each(w->ud, o);
}

void fapi_member_each(const struct fapi_member *m, const struct fapi_kind *k,
                      bool (*each)(void *ud, struct fed_kobj *o), void *ud)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    if (t && t->objects)
        fed_informer_each(t->objects, (struct fed_str){0}, if_marked, &(struct marked){each, ud});
}

static bool found(void *ud, struct fed_kobj *o)
{
    (void)o;
    *(bool *)ud = true;
    return false;
}

bool fapi_member_has_any(const struct fapi_member *m, const struct fapi_kind *k)
{
    bool any = false;
    fapi_member_each(m, k, found, &any);
    return any;
}

const struct fed_resource *fapi_member_resource(const struct fapi_member *m, const struct fapi_kind *k)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    return k->custom && t && t->resource.version ? &t->resource : &k->resource;
}

enum fapi_served fapi_member_serves(const struct fapi_member *m, const struct fapi_kind *k, const char **why)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    *why = t && t->why ? t->why : "";
    if (!k->custom)
        return FAPI_SERVED;
    return t ? t->served : FAPI_SERVED_UNKNOWN;
}

struct fed_kobj *fapi_member_definition(const struct fapi_member *m, const struct fapi_kind *k)
{
    const struct fapi_there *t = fapi_member_there(m, k);
    return t && t->definition && k->definition
               ? fed_informer_find(t->definition, (struct fed_str){0}, fed_str(k->definition))
               : NULL;
}
