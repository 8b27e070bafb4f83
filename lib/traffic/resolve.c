/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c: addresses of the host names that some clouds give to load balancers. getaddrinfo tells no TTL, so names are
 * asked for each 30 s; a failure keeps the last addresses. */
#include <netdb.h>

#include "base/mem.h"
#include "traffic/builder_priv.h"

#define RESOLVE_MS 30000
#define RETRY_MS   5000
#define FORGET_MS  120000
#define MAX_ADDRS  16

struct fed_host {
    struct fed_builder *b; /* NULL: the builder is gone, the work ends alone */
    char *name;
    struct fed_addr addrs[MAX_ADDRS];
    size_t n;
    uint64_t next_ms, used_ms;
    bool busy;
    struct fed_addr found[MAX_ADDRS]; /* the work thread's */
    size_t n_found;
};

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fed_addr));
}

static void work(void *ud)
{
    struct fed_host *h = ud;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;
    h->n_found = 0;
    if (getaddrinfo(h->name, NULL, &hints, &list))
        return;
    for (const struct addrinfo *a = list; a && h->n_found < MAX_ADDRS; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(struct fed_addr))
            continue;
        memset(&h->found[h->n_found], 0, sizeof(struct fed_addr));
        memcpy(&h->found[h->n_found++], a->ai_addr, a->ai_addrlen);
    }
    freeaddrinfo(list);
    /* Resolvers rotate their answers: sorted, an unchanged set is seen to be unchanged. */
    qsort(h->found, h->n_found, sizeof(struct fed_addr), by_bytes);
}

static void done(void *ud)
{
    struct fed_host *h = ud;
    struct fed_builder *b = h->b;
    h->busy = false;
    if (!b) {
        free(h->name);
        free(h);
        return;
    }
    h->next_ms = fed_mono_ms(b->conf.env) + (h->n_found ? RESOLVE_MS : RETRY_MS);
    if (!h->n_found || (h->n == h->n_found && memcmp(h->addrs, h->found, h->n * sizeof(struct fed_addr)) == 0))
        return;
    memcpy(h->addrs, h->found, sizeof(h->found));
    h->n = h->n_found;
    fed_builder_services_of_host(b, fed_str(h->name));
}

bool fed_builder_resolved(void *ud, struct fed_str host, const struct fed_addr **addrs, size_t *n)
{
    struct fed_builder *b = ud;
    struct fed_host *h = fed_map_find(&b->hosts, host);
    if (!h) {
        h = FED_NEW(struct fed_host);
        h->b = b;
        h->name = fed_strdup_str(host);
        fed_map_set(&b->hosts, host, h);
        h->used_ms = fed_mono_ms(b->conf.env);
        fed_builder_resolve_due(b);
    }
    h->used_ms = fed_mono_ms(b->conf.env);
    *addrs = h->addrs;
    *n = h->n;
    return h->n > 0;
}

static bool in_use(struct fed_builder *b, const struct fed_host *h)
{
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        const struct fed_slice_part *sl = o->kind == FED_RK_SLICE ? o->part : NULL;
        for (size_t i = 0; sl && i < sl->n_endpoints; i++)
            if (fed_str_is(sl->endpoints[i].hostname, h->name))
                return true;
    }
    return false;
}

void fed_builder_resolve_due(struct fed_builder *b)
{
    uint64_t now = fed_mono_ms(b->conf.env);
    FED_MAP_EACH(e, &b->hosts) {
        struct fed_host *h = e->value;
        if (h->busy || now < h->next_ms)
            continue;
        if (now - h->used_ms > FORGET_MS && !in_use(b, h)) {
            fed_map_remove(&b->hosts, e->key);
            free(h->name);
            free(h);
        } else if (b->conf.loop) {
            h->busy = true;
            fed_loop_work(b->conf.loop, work, done, h);
        }
    }
}

void fed_builder_resolve_release(struct fed_builder *b)
{
    FED_MAP_EACH(e, &b->hosts) {
        struct fed_host *h = e->value;
        h->b = NULL;
        if (!h->busy) {
            free(h->name);
            free(h);
        }
    }
    fed_map_release(&b->hosts);
}
