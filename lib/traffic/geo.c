/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/geo.h"

#include <math.h>
#include <maxminddb.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/mem.h"

#define EARTH_KM          6371.0088
#define MAX_NETWORKS_FILE (64u << 20)

/* A binary trie over address bits; node 0 is the root for IPv4, node 1 for IPv6. */
struct node {
    uint32_t child[2]; /* 0: none */
    uint32_t value;    /* network number + 1; 0: none */
};
struct network {
    struct fed_str region;
    bool has_xyz;
    double xyz[3];
};
struct jump { /* where a walk of the IPv4 trie stands after the first byte */
    uint32_t node, value;
    uint8_t bits; /* < 8: the walk ended there; 8: it goes on at node */
};
struct fed_geo {
    struct fed_arena arena;
    struct jump jumps[256];
    struct node *nodes;
    size_t n_nodes, cap_nodes;
    struct network *networks;
    size_t n_networks, cap_networks;
    bool has_mmdb;
    MMDB_s mmdb;
};

void fed_geo_xyz(double latitude, double longitude, double xyz[3])
{
    double lat = latitude * M_PI / 180, lon = longitude * M_PI / 180;
    xyz[0] = cos(lat) * cos(lon);
    xyz[1] = cos(lat) * sin(lon);
    xyz[2] = sin(lat);
}

double fed_geo_km(double lat1, double lon1, double lat2, double lon2)
{
    double p1 = lat1 * M_PI / 180, p2 = lat2 * M_PI / 180;
    double a = sin((p2 - p1) / 2), b = sin((lon2 - lon1) * M_PI / 360);
    double h = a * a + cos(p1) * cos(p2) * b * b;
    return 2 * EARTH_KM * asin(sqrt(h < 1 ? h : 1));
}

static int parse_double(struct fed_str s, double *out)
{
    char text[32], *end;
    s = fed_str_trim(s);
    if (!s.n || s.n >= sizeof(text) || !strchr("+-.0123456789", s.p[0]))
        return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    *out = strtod(text, &end);
    return *end || !isfinite(*out) ? -1 : 0;
}

int fed_geo_parse_coordinates(struct fed_str text, double *latitude, double *longitude)
{
    struct fed_str lat;
    if (!text.p || !fed_str_cut(&text, ',', &lat) || !text.p)
        return FED_E_SYNTAX;
    if (parse_double(lat, latitude) || parse_double(text, longitude))
        return FED_E_SYNTAX;
    return fabs(*latitude) > 90 || fabs(*longitude) > 180 ? FED_E_SYNTAX : 0;
}

static uint32_t new_node(struct fed_geo *g)
{
    if (g->n_nodes == g->cap_nodes) {
        g->cap_nodes = g->cap_nodes ? g->cap_nodes * 2 : 256;
        g->nodes = fed_realloc(g->nodes, g->cap_nodes * sizeof(*g->nodes));
    }
    g->nodes[g->n_nodes] = (struct node){{0, 0}, 0};
    return (uint32_t)g->n_nodes++;
}

static unsigned bit_at(const uint8_t *bytes, unsigned i)
{
    return (bytes[i / 8] >> (7 - i % 8)) & 1;
}

static void trie_put(struct fed_geo *g, const struct fed_prefix *p, uint32_t value)
{
    uint32_t at = p->family == AF_INET6 ? 1 : 0;
    for (unsigned i = 0; i < p->bits; i++) {
        unsigned b = bit_at(p->bytes, i);
        if (!g->nodes[at].child[b]) {
            uint32_t made = new_node(g); /* may move the nodes */
            g->nodes[at].child[b] = made;
        }
        at = g->nodes[at].child[b];
    }
    g->nodes[at].value = value;
}

/* "CIDR=region[@lat,lon]" */
static int add_network(struct fed_geo *g, struct fed_str text, struct fed_err *err)
{
    struct fed_str cidr, spec = text, region;
    struct fed_prefix p;
    if (!fed_str_cut(&spec, '=', &cidr) || !spec.p || fed_prefix_parse(fed_str_trim(cidr), &p))
        return fed_err_set(err, FED_E_INVALID, "network \"%.*s\" is not like 192.0.2.0/24=region", FED_STR_ARG(text));
    struct network n = {0};
    fed_str_cut(&spec, '@', &region);
    n.region = fed_arena_dup(&g->arena, fed_str_trim(region));
    if (spec.p) {
        double lat, lon;
        if (fed_geo_parse_coordinates(spec, &lat, &lon))
            return fed_err_set(err, FED_E_INVALID, "network \"%.*s\": coordinates are not like 50.45,3.82",
                               FED_STR_ARG(text));
        fed_geo_xyz(lat, lon, n.xyz);
        n.has_xyz = true;
    }
    if (!n.region.n && !n.has_xyz)
        return fed_err_set(err, FED_E_INVALID, "network \"%.*s\" names no region", FED_STR_ARG(text));
    if (g->n_networks == g->cap_networks) {
        g->cap_networks = g->cap_networks ? g->cap_networks * 2 : 64;
        g->networks = fed_realloc(g->networks, g->cap_networks * sizeof(*g->networks));
    }
    g->networks[g->n_networks++] = n;
    trie_put(g, &p, (uint32_t)g->n_networks);
    return 0;
}

static int add_networks_file(struct fed_geo *g, const char *path, struct fed_err *err)
{
    struct fed_buf text = {0};
    int rc = fed_file_read(path, MAX_NETWORKS_FILE, &text, err);
    struct fed_str rest = fed_buf_str(&text), line;
    for (int no = 1; !rc && fed_str_cut(&rest, '\n', &line); no++) {
        ptrdiff_t hash = fed_str_chr(line, '#', 0);
        line = fed_str_trim(hash >= 0 ? fed_str_head(line, (size_t)hash) : line);
        if (line.n && (rc = add_network(g, line, err)))
            fed_err_wrap(err, rc, "%s:%d", path, no);
    }
    fed_buf_release(&text);
    return rc;
}

void fed_geo_free(struct fed_geo *g)
{
    if (!g)
        return;
    if (g->has_mmdb)
        MMDB_close(&g->mmdb);
    fed_arena_release(&g->arena);
    free(g->nodes);
    free(g->networks);
    free(g);
}

/* From a node at depth `from` as far as the trie goes, at most to `max`. Returns how many bits were looked at. */
static unsigned walk(const struct fed_geo *g, const uint8_t *bytes, unsigned from, unsigned max, uint32_t *at,
                     uint32_t *value)
{
    unsigned i = from;
    while (i < max) {
        const struct node *n = &g->nodes[*at];
        if (!n->child[0] && !n->child[1])
            break;
        *at = n->child[bit_at(bytes, i++)];
        if (!*at)
            break;
        if (g->nodes[*at].value)
            *value = g->nodes[*at].value;
    }
    return i;
}

static void make_jumps(struct fed_geo *g)
{
    for (unsigned b = 0; b < 256; b++) {
        struct jump *j = &g->jumps[b];
        uint8_t byte = (uint8_t)b;
        j->node = 0;
        j->value = g->nodes[0].value;
        j->bits = (uint8_t)walk(g, &byte, 0, 8, &j->node, &j->value);
    }
}

/* How deep the walk went is how much of the address decided. */
static const struct network *trie_find(const struct fed_geo *g, int family, const uint8_t *bytes, uint8_t *bits)
{
    uint32_t at = 1, value = g->nodes[1].value;
    if (family == AF_INET6) {
        *bits = (uint8_t)walk(g, bytes, 0, 128, &at, &value);
    } else {
        const struct jump *j = &g->jumps[bytes[0]];
        at = j->node;
        value = j->value;
        *bits = j->bits;
        if (j->bits == 8 && at)
            *bits = (uint8_t)walk(g, bytes, 8, 32, &at, &value);
    }
    return value ? &g->networks[value - 1] : NULL;
}

int fed_geo_new(const struct fed_geo_conf *conf, struct fed_geo **out, struct fed_err *err)
{
    struct fed_geo *g = FED_NEW(struct fed_geo);
    int rc = 0;
    new_node(g);
    new_node(g);
    /* Pieces without '=' belong to the one before: "CIDR=r@50,3" was split at its comma by a list of settings. */
    for (size_t i = 0; !rc && i < conf->n_networks; i++) {
        struct fed_str one = fed_str(conf->networks[i]);
        if (i + 1 < conf->n_networks && !strchr(conf->networks[i + 1], '=') && strchr(conf->networks[i], '@')) {
            one = fed_arena_printf(&g->arena, "%s,%s", conf->networks[i], conf->networks[i + 1]);
            i++;
        }
        rc = add_network(g, one, err);
    }
    if (!rc && conf->networks_file)
        rc = add_networks_file(g, conf->networks_file, err);
    if (!rc && conf->mmdb_file) {
        int status = MMDB_open(conf->mmdb_file, MMDB_MODE_MMAP, &g->mmdb);
        g->has_mmdb = status == MMDB_SUCCESS;
        if (!g->has_mmdb)
            rc = fed_err_set(err, FED_E_CORRUPT, "open %s: %s", conf->mmdb_file, MMDB_strerror(status));
    }
    if (rc) {
        fed_geo_free(g);
        return rc;
    }
    make_jumps(g);
    *out = g;
    return 0;
}

static bool mmdb_coordinate(MMDB_entry_s *entry, const char *key, double *out)
{
    MMDB_entry_data_s data;
    const char *const path[] = {"location", key, NULL};
    if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data || data.type != MMDB_DATA_TYPE_DOUBLE)
        return false;
    *out = data.double_value;
    return isfinite(*out);
}

static void mmdb_locate(const struct fed_geo *g, const struct fed_addr *client, struct fed_place *out)
{
    int status;
    double lat, lon;
    MMDB_lookup_result_s r = MMDB_lookup_sockaddr(&g->mmdb, &client->sa, &status);
    if (status != MMDB_SUCCESS)
        return;
    unsigned bits = r.netmask;
    /* libmaxminddb counts IPv4 networks from the root of an IPv6 tree. */
    if (client->sa.sa_family == AF_INET && g->mmdb.metadata.ip_version == 6)
        bits = bits >= 96 ? bits - 96 : 0;
    if (bits > out->bits)
        out->bits = (uint8_t)bits;
    if (r.found_entry && mmdb_coordinate(&r.entry, "latitude", &lat) && mmdb_coordinate(&r.entry, "longitude", &lon)) {
        out->known = out->has_xyz = true;
        fed_geo_xyz(lat, lon, out->xyz);
    }
}

void fed_geo_locate(const struct fed_geo *g, const struct fed_addr *client, struct fed_place *out)
{
    *out = (struct fed_place){0};
    int family = client->sa.sa_family;
    if (!g || (family != AF_INET && family != AF_INET6))
        return;
    const uint8_t *bytes =
        family == AF_INET6 ? client->in6.sin6_addr.s6_addr : (const uint8_t *)&client->in.sin_addr.s_addr;
    const struct network *n = trie_find(g, family, bytes, &out->bits);
    if (n) {
        out->known = true;
        out->region = n->region;
        out->has_xyz = n->has_xyz;
        memcpy(out->xyz, n->xyz, sizeof(out->xyz));
    } else if (g->has_mmdb) {
        mmdb_locate(g, client, out);
    }
}

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Where to measure from: the place itself, else a cluster of its region, else our own cluster. */
struct origin {
    struct fed_str region;
    const double *xyz; /* NULL: nowhere */
    uint16_t own;      /* counts as nearest; FED_NO_CLUSTER: none does */
};

static struct origin origin_of(const struct fed_snapshot *s, const struct fed_place *place)
{
    struct origin o = {.own = FED_NO_CLUSTER};
    if (place->known) {
        o.region = place->region;
        o.xyz = place->has_xyz ? place->xyz : NULL;
        bool here = false;
        for (size_t i = 0; o.region.n && i < s->n_clusters; i++) {
            const struct fed_cluster *c = s->clusters[i];
            if (!c || !fed_str_eq(c->region, o.region))
                continue;
            here = true;
            if (!o.xyz && c->has_place)
                o.xyz = c->xyz;
        }
        if (o.xyz || here)
            return o;
    }
    const struct fed_cluster *own = fed_snapshot_slot(s, s->own);
    if (own) {
        o.own = s->own;
        o.region = own->region;
        o.xyz = own->has_place ? own->xyz : NULL;
    }
    return o;
}

static double distance_from(const struct origin *o, const struct fed_cluster *c)
{
    if (!c)
        return 5;
    if (c->slot == o->own)
        return 0;
    double apart = o->xyz && c->has_place ? 1 - dot(o->xyz, c->xyz) : 2; /* 0 … 2 */
    if (o->region.n && fed_str_eq(c->region, o->region))
        return apart / 4; /* before all other regions, nearer ones first */
    return o->xyz && c->has_place ? 1 + apart : 4;
}

double fed_geo_distance(const struct fed_snapshot *s, const struct fed_place *place, const struct fed_cluster *c)
{
    struct origin o = origin_of(s, place);
    return distance_from(&o, c);
}

void fed_geo_order(const struct fed_snapshot *s, const struct fed_place *place, uint16_t *slots, size_t n)
{
    double d[FED_MAX_CLUSTERS];
    struct origin o = origin_of(s, place);
    for (size_t i = 0; i < n && i < FED_MAX_CLUSTERS; i++) {
        const struct fed_cluster *c = fed_snapshot_slot(s, slots[i]);
        double here = distance_from(&o, c);
        uint16_t slot = slots[i];
        size_t j = i;
        /* Insertion sort: few clusters, and stable. Ties go by name, the same on every server. */
        for (; j > 0; j--) {
            const struct fed_cluster *before = fed_snapshot_slot(s, slots[j - 1]);
            if (d[j - 1] < here || (d[j - 1] <= here && (!c || !before || fed_str_cmp(before->name, c->name) <= 0)))
                break;
            d[j] = d[j - 1];
            slots[j] = slots[j - 1];
        }
        d[j] = here;
        slots[j] = slot;
    }
}
