/* SPDX-License-Identifier: Apache-2.0 */
#include "globallb/route/route.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"

#define NONE      UINT32_MAX
#define FNV_START 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

struct path {            /* of one host; a path may be both a prefix and an exact path */
    struct fed_str text; /* without a trailing slash as prefix: "" is everything */
    uint64_t hash;
    uint32_t prefix, exact; /* backends or NONE; both NONE: a free slot */
};
struct host {
    struct fed_str name; /* "": rules without host */
    struct path *paths;  /* open addressing */
    size_t size, n;
    uint32_t fallback;
};
struct glb_routes {
    unsigned refs;
    struct fed_arena arena;
    struct fed_map exact, wild; /* name (wildcards without "*.") -> host */
    struct host *any;
    struct fed_map backend_index; /* key text -> index + 1; only while building */
    const struct glb_backend **backends;
    size_t n_backends, cap_backends;
    uint32_t fallback;
};

/* ---- making ---- */

static uint32_t intern_backend(struct glb_routes *r, struct fed_str ns, const struct fed_ingress_backend *b)
{
    struct fed_str key = fed_arena_printf(&r->arena, "%.*s/%.*s/%.*s/%u", FED_STR_ARG(ns), FED_STR_ARG(b->service),
                                          FED_STR_ARG(b->port_name), b->port);
    uintptr_t known = (uintptr_t)fed_map_find(&r->backend_index, key);
    if (known)
        return (uint32_t)known - 1;
    if (r->n_backends == r->cap_backends) {
        r->cap_backends = r->cap_backends ? r->cap_backends * 2 : 16;
        r->backends = fed_realloc(r->backends, r->cap_backends * sizeof(*r->backends));
    }
    struct glb_backend *made = FED_ARENA_NEW(&r->arena, struct glb_backend);
    *made = (struct glb_backend){
        .index = (uint32_t)r->n_backends,
        .ns = fed_arena_dup(&r->arena, ns),
        .service = fed_arena_dup(&r->arena, b->service),
        .port_name = fed_arena_dup(&r->arena, b->port_name),
        .port = b->port,
    };
    r->backends[r->n_backends++] = made;
    fed_map_set(&r->backend_index, key, (void *)(uintptr_t)r->n_backends);
    return made->index;
}

static bool has_backend(const struct fed_ingress_backend *b)
{
    return b->service.n > 0;
}

static struct host *host_for(struct glb_routes *r, struct fed_str name)
{
    bool wild = fed_str_starts(name, FED_STR("*."));
    struct fed_map *map = wild ? &r->wild : &r->exact;
    struct fed_str key = wild ? fed_str_from(name, 2) : name;
    struct host *h = name.n == 0 ? r->any : fed_map_find(map, key);
    if (h)
        return h;
    h = FED_ARENA_NEW(&r->arena, struct host);
    h->name = fed_arena_dup(&r->arena, name);
    h->fallback = NONE;
    if (name.n == 0)
        r->any = h;
    else
        fed_map_set(map, key, h);
    return h;
}

static uint64_t fnv(uint64_t h, char c)
{
    return (h ^ (unsigned char)c) * FNV_PRIME;
}

static uint64_t path_hash(struct fed_str text)
{
    uint64_t h = FNV_START;
    for (size_t i = 0; i < text.n; i++)
        h = fnv(h, text.p[i]);
    return h;
}

static bool is_free(const struct path *p)
{
    return p->prefix == NONE && p->exact == NONE;
}

static struct path *path_slot(const struct host *h, struct fed_str text, uint64_t hash)
{
    size_t i = hash & (h->size - 1);
    while (!is_free(&h->paths[i]) && (h->paths[i].hash != hash || !fed_str_eq(h->paths[i].text, text)))
        i = (i + 1) & (h->size - 1);
    return &h->paths[i];
}

static void grow_paths(struct glb_routes *r, struct host *h)
{
    struct path *old = h->paths;
    size_t n = h->size;
    h->size = n ? n * 2 : 8;
    h->paths = FED_ARENA_ARRAY(&r->arena, struct path, h->size);
    for (size_t i = 0; i < h->size; i++)
        h->paths[i].prefix = h->paths[i].exact = NONE;
    for (size_t i = 0; i < n; i++)
        if (!is_free(&old[i]))
            *path_slot(h, old[i].text, old[i].hash) = old[i];
}

static void add_path(struct glb_routes *r, struct host *h, const struct fed_ingress_path *p, uint32_t backend)
{
    struct fed_str text = p->path;
    bool exact = p->type == FED_PATH_EXACT;
    if (!exact) {
        if (p->type == FED_PATH_IMPLEMENTATION && fed_str_ends(text, FED_STR("*")))
            text.n--;
        while (text.n > 0 && text.p[text.n - 1] == '/')
            text.n--;
    }
    if ((h->n + 1) * 2 > h->size)
        grow_paths(r, h);
    uint64_t hash = path_hash(text);
    struct path *slot = path_slot(h, text, hash);
    if (is_free(slot)) {
        h->n++;
        slot->text = fed_arena_dup(&r->arena, text);
        slot->hash = hash;
    }
    uint32_t *to = exact ? &slot->exact : &slot->prefix;
    if (*to == NONE) /* the older rule stays */
        *to = backend;
}

static void add_ingress(struct glb_routes *r, const struct fed_ingress *in)
{
    uint32_t fallback = has_backend(&in->fallback) ? intern_backend(r, in->ns, &in->fallback) : NONE;
    if (r->fallback == NONE)
        r->fallback = fallback;
    for (size_t i = 0; i < in->n_rules; i++) {
        const struct fed_ingress_rule *rule = &in->rules[i];
        struct host *h = host_for(r, rule->host);
        if (h->fallback == NONE)
            h->fallback = fallback;
        for (size_t k = 0; k < rule->n_paths; k++)
            add_path(r, h, &rule->paths[k], intern_backend(r, in->ns, &rule->paths[k].backend));
    }
}

static bool is_ours(const struct fed_ingress *in, const char *const *classes, size_t n)
{
    bool ours = in->class_name.n == 0;
    for (size_t i = 0; i < n && !ours; i++)
        ours = fed_str_is(in->class_name, classes[i]);
    return ours;
}

struct glb_routes *glb_routes_new(const struct fed_snapshot *s, const char *const *classes, size_t n_classes)
{
    struct glb_routes *r = FED_NEW(struct glb_routes);
    r->refs = 1;
    r->fallback = NONE;
    for (size_t i = 0; i < s->n_ingresses; i++)
        if (is_ours(s->ingresses[i], classes, n_classes))
            add_ingress(r, s->ingresses[i]);
    fed_map_release(&r->backend_index);
    return r;
}

struct glb_routes *glb_routes_ref(struct glb_routes *r)
{
    r->refs++;
    return r;
}

void glb_routes_unref(struct glb_routes *r)
{
    if (!r || --r->refs > 0)
        return;
    fed_map_release(&r->exact);
    fed_map_release(&r->wild);
    fed_arena_release(&r->arena);
    free(r->backends);
    free(r);
}

size_t glb_routes_count(const struct glb_routes *r)
{
    return r->n_backends;
}

const struct glb_backend *glb_routes_backend(const struct glb_routes *r, size_t index)
{
    return index < r->n_backends ? r->backends[index] : NULL;
}

/* ---- looking up ---- */

struct fed_str glb_route_host(struct fed_str host, char room[256])
{
    if (host.n > 0 && host.p[0] == '[') { /* an IPv6 literal keeps its brackets */
        ptrdiff_t end = fed_str_chr(host, ']', 0);
        host.n = end < 0 ? 0 : (size_t)end + 1;
    } else {
        ptrdiff_t colon = fed_str_chr(host, ':', 0);
        if (colon >= 0)
            host.n = (size_t)colon;
    }
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n > 255)
        host.n = 0;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        room[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return fed_str_n(room, host.n);
}

bool glb_route_host_matches(struct fed_str pattern, struct fed_str host)
{
    if (!fed_str_starts(pattern, FED_STR("*.")))
        return fed_str_eq(pattern, host);
    ptrdiff_t dot = fed_str_chr(host, '.', 0);
    return dot > 0 && fed_str_eq(fed_str_from(pattern, 1), fed_str_from(host, (size_t)dot));
}

/* One walk: at each end of an element the prefix so far is looked up, so the last hit is the longest. */
static uint32_t find_path(const struct host *h, struct fed_str path)
{
    uint32_t best = NONE;
    uint64_t hash = FNV_START;
    if (h->n == 0)
        return NONE;
    for (size_t i = 0; i <= path.n; i++) {
        if (i == path.n || path.p[i] == '/') {
            const struct path *p = path_slot(h, fed_str_head(path, i), hash);
            if (i == path.n && p->exact != NONE)
                return p->exact;
            if (p->prefix != NONE)
                best = p->prefix;
        }
        if (i < path.n)
            hash = fnv(hash, path.p[i]);
    }
    return best;
}

static const struct host *find_host(const struct glb_routes *r, struct fed_str host)
{
    char room[256];
    struct fed_str name = glb_route_host(host, room);
    const struct host *h = name.n ? fed_map_find(&r->exact, name) : NULL;
    ptrdiff_t dot = h || fed_map_count(&r->wild) == 0 ? -1 : fed_str_chr(name, '.', 0);
    if (dot > 0)
        h = fed_map_find(&r->wild, fed_str_from(name, (size_t)dot + 1));
    return h ? h : r->any;
}

const struct glb_backend *glb_routes_find(const struct glb_routes *r, struct fed_str host, struct fed_str path)
{
    const struct host *h = find_host(r, host);
    uint32_t found = h ? find_path(h, path) : NONE;
    if (found == NONE && h)
        found = h->fallback;
    if (found == NONE)
        found = r->fallback;
    return found == NONE ? NULL : r->backends[found];
}
