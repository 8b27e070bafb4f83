/* SPDX-License-Identifier: Apache-2.0 */
/* Query -> answer, over the world of tests/data/dns/world.yaml: three clusters, health set by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "dns/answer/answer.h"
#include "support/test_env.h"
#include "traffic/builder.h"

struct world {
    struct test_env env;
    struct fed_routing routing;
    struct fed_targets *targets;
    struct fed_builder *builder;
    struct fed_geo *geo;
    struct gdns_conf conf;
};

static void *derive(void *ud, const struct fed_snapshot *s, const struct fed_snapshot *prev)
{
    struct world *w = ud;
    return gdns_hosts_new(&w->conf.zones, s, prev ? prev->derived : NULL);
}
static void derive_free(void *ud, void *derived)
{
    (void)ud;
    gdns_hosts_unref(derived);
}

static int setup(void **state)
{
    struct world *w = FED_NEW(struct world);
    struct fed_buf text = {0};
    struct fed_err err = {0};
    static const char *const networks[] = {"192.0.2.0/24=us-east1", "198.51.100.0/24=europe-west1",
                                           "203.0.113.0/24=asia-east1", "2001:db8:a::/48=asia-east1",
                                           "100.64.0.0/10=nowhere@48.8,2.3"};
    struct fed_geo_conf geo = {.networks = networks, .n_networks = FED_ARRAY_LEN(networks)};
    test_env_init(&w->env, 1);
    fed_routing_init(&w->routing, 1);
    w->targets = fed_targets_new();
    assert_int_equal(gdns_zones_add(&w->conf.zones, FED_STR("example.com."), true, &err), 0);
    assert_int_equal(gdns_zones_add(&w->conf.zones, FED_STR("other.test"), false, &err), 0);
    memcpy(w->conf.zones.federation, "fed", 4);
    memcpy(w->conf.own, "us-east1", 9);
    memcpy(w->conf.nsid, "us-east1", 9);
    w->conf.ttl = 10;
    w->conf.version = "hansa-dns";
    assert_int_equal(fed_geo_new(&geo, &w->geo, &err), 0);
    w->builder = fed_builder_new(&(struct fed_builder_conf){.env = &w->env.env,
                                                            .routing = &w->routing,
                                                            .targets = w->targets,
                                                            .own_cluster = "us-east1",
                                                            .derive = derive,
                                                            .derive_free = derive_free,
                                                            .ud = w});
    assert_int_equal(fed_file_read(HANSA_SOURCE_DIR "/tests/data/dns/world.yaml", 1 << 20, &text, &err), 0);
    if (fed_builder_replace_yaml(w->builder, fed_buf_str(&text), &err))
        fail_msg("%s", err.text);
    fed_buf_release(&text);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    fed_builder_free(w->builder);
    fed_routing_release(&w->routing);
    fed_targets_free(w->targets);
    fed_geo_free(w->geo);
    test_env_release(&w->env);
    free(w);
    return 0;
}

/* --- a query from words: NAME TYPE [ecs=A/N] [udp=N] [tcp] [noedns] [ver=N] [class=N] --- */

static unsigned type_number(const char *t)
{
    static const struct {
        const char *name;
        unsigned n;
    } types[] = {{"A", 1},    {"NS", 2},      {"CNAME", 5},  {"SOA", 6},   {"TXT", 16},     {"AAAA", 28},
                 {"SRV", 33}, {"DNSKEY", 48}, {"AXFR", 252}, {"ANY", 255}, {"TYPE666", 666}};
    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, t) == 0)
            return types[i].n;
    return 0;
}

struct spec {
    bool edns, tcp, ecs;
    unsigned udp, version, class_, ecs_bits;
    struct fed_addr ecs_addr;
};

static size_t build(const char *text, uint8_t *msg, struct spec *s)
{
    char copy[256], *save, *name, *type, *w;
    struct gdns_name parsed;
    *s = (struct spec){.edns = true, .udp = 1232, .class_ = 1};
    snprintf(copy, sizeof(copy), "%s", text);
    name = strtok_r(copy, " ", &save);
    type = strtok_r(NULL, " ", &save);
    while ((w = strtok_r(NULL, " ", &save))) {
        if (!strncmp(w, "ecs=", 4)) {
            char *slash = strchr(w, '/');
            s->ecs = true;
            s->ecs_bits = (unsigned)strtoul(slash + 1, NULL, 10);
            assert_int_equal(fed_addr_parse(fed_str_n(w + 4, (size_t)(slash - w - 4)), 0, &s->ecs_addr), 0);
        }
        s->tcp |= !strcmp(w, "tcp");
        s->edns &= strcmp(w, "noedns") != 0;
        if (!strncmp(w, "udp=", 4))
            s->udp = (unsigned)strtoul(w + 4, NULL, 10);
        if (!strncmp(w, "ver=", 4))
            s->version = (unsigned)strtoul(w + 4, NULL, 10);
        if (!strncmp(w, "class=", 6))
            s->class_ = (unsigned)strtoul(w + 6, NULL, 10);
    }
    struct gdns_writer o = {.p = msg, .max = 512};
    assert_int_equal(gdns_name_parse(fed_str(name), &parsed), 0);
    gdns_put(&o, "\0\0\0\0\0\1\0\0\0\0\0", 11);
    gdns_put8(&o, s->edns);
    gdns_put(&o, parsed.wire, parsed.len);
    gdns_put16(&o, (uint16_t)type_number(type));
    gdns_put16(&o, (uint16_t)s->class_);
    if (s->edns) {
        bool v6 = s->ecs_addr.sa.sa_family == AF_INET6;
        unsigned bytes = (s->ecs_bits + 7) / 8;
        gdns_put8(&o, 0);
        gdns_put16(&o, GDNS_OPT);
        gdns_put16(&o, (uint16_t)s->udp);
        gdns_put16(&o, (uint16_t)s->version);
        gdns_put16(&o, 0);
        gdns_put16(&o, (uint16_t)(s->ecs ? 8 + bytes : 0));
        if (s->ecs) {
            gdns_put16(&o, GDNS_OPT_ECS);
            gdns_put16(&o, (uint16_t)(4 + bytes));
            gdns_put16(&o, v6 ? 2 : 1);
            gdns_put8(&o, (uint8_t)s->ecs_bits);
            gdns_put8(&o, 0);
            gdns_put(&o, v6 ? (void *)&s->ecs_addr.in6.sin6_addr : (void *)&s->ecs_addr.in.sin_addr, bytes);
        }
    }
    return o.n;
}

/* --- an answer in words --- */

static void name_text(const uint8_t *msg, size_t n, struct gdns_reader *r, struct fed_buf *out)
{
    struct gdns_reader here = *r;
    bool jumped = false;
    for (int steps = 0; steps < 128; steps++) {
        uint8_t len = gdns_get8(&here);
        if (len >= 0xc0) {
            size_t to = (size_t)(len & 0x3f) << 8 | gdns_get8(&here);
            if (!jumped)
                r->at = here.at;
            jumped = true;
            assert_true(to < n);
            here = (struct gdns_reader){.p = msg, .n = n, .at = to};
            continue;
        }
        if (!len)
            break;
        const uint8_t *label = gdns_get(&here, len);
        assert_non_null(label);
        fed_buf_append(out, label, len);
        fed_buf_addc(out, '.');
    }
    if (!jumped)
        r->at = here.at;
}

static void rdata_text(const uint8_t *msg, size_t n, unsigned type, struct gdns_reader *r, size_t len,
                       struct fed_buf *out)
{
    char text[64];
    switch (type) {
    case GDNS_A:
    case GDNS_AAAA:
        inet_ntop(type == GDNS_A ? AF_INET : AF_INET6, r->p + r->at, text, sizeof(text));
        fed_buf_addf(out, "%s", text);
        break;
    case GDNS_CNAME:
    case GDNS_NS: {
        struct gdns_reader in = *r;
        name_text(msg, n, &in, out);
        break;
    }
    case GDNS_SRV: {
        struct gdns_reader in = *r;
        gdns_get32(&in);
        fed_buf_addf(out, "%u ", gdns_get16(&in));
        name_text(msg, n, &in, out);
        break;
    }
    case GDNS_TXT:
        fed_buf_append(out, r->p + r->at + 1, len - 1);
        break;
    default:
        break;
    }
}

static const char *type_text(unsigned type)
{
    switch (type) {
    case GDNS_A:
        return "A";
    case GDNS_AAAA:
        return "AAAA";
    case GDNS_NS:
        return "NS";
    case GDNS_CNAME:
        return "CNAME";
    case GDNS_SOA:
        return "SOA";
    case GDNS_SRV:
        return "SRV";
    case GDNS_TXT:
        return "TXT";
    case GDNS_HINFO:
        return "HINFO";
    default:
        return "?";
    }
}

static void describe(const uint8_t *msg, size_t n, struct fed_buf *out)
{
    static const char *const rcodes[] = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"};
    struct gdns_reader r = {.p = msg, .n = n};
    struct fed_buf skip = {0}, body = {0};
    if (!n) {
        fed_buf_addz(out, "dropped");
        return;
    }
    gdns_get16(&r);
    uint16_t flags = gdns_get16(&r), count[4];
    unsigned rcode = flags & 15, more = 0;
    int scope = -1;
    for (int i = 0; i < 4; i++)
        count[i] = gdns_get16(&r);
    assert_true(flags & GDNS_QR);
    for (unsigned i = 0; i < count[0]; i++) {
        name_text(msg, n, &r, &skip);
        gdns_get32(&r);
    }
    for (int sec = 1; sec < 4; sec++) {
        for (unsigned i = 0; i < count[sec]; i++) {
            name_text(msg, n, &r, &skip);
            uint16_t type = gdns_get16(&r);
            gdns_get16(&r);
            uint32_t ttl = gdns_get32(&r);
            uint16_t len = gdns_get16(&r);
            assert_true(!r.bad && r.at + len <= n);
            if (type == GDNS_OPT) {
                rcode |= (ttl >> 24) << 4;
                assert_int_equal((ttl >> 16) & 255, 0);
                if (len >= 8 && r.p[r.at + 1] == 8)
                    scope = r.p[r.at + 7];
            } else if (sec == 3) {
                more++;
            } else {
                fed_buf_addf(&body, "%s%s ", sec == 2 ? " | " : i ? ", " : " ", type_text(type));
                rdata_text(msg, n, type, &r, len, &body);
            }
            r.at += len;
        }
    }
    assert_int_equal(r.at, n);
    fed_buf_addf(out, "%s%s%s",
                 rcode == 16  ? "BADVERS"
                 : rcode == 9 ? "NOTAUTH"
                              : rcodes[rcode],
                 flags & GDNS_AA ? " aa" : "", flags & GDNS_TC ? " tc" : "");
    if (body.n)
        fed_buf_addf(out, ":%.*s", (int)body.n, body.p);
    if (more)
        fed_buf_addf(out, " +%u", more);
    if (scope >= 0)
        fed_buf_addf(out, " scope=%d", scope);
    fed_buf_release(&skip);
    fed_buf_release(&body);
}

static void ask(struct world *w, const char *query, const char *want)
{
    uint8_t msg[512], reply[65535];
    struct spec s;
    struct fed_addr peer;
    struct fed_buf got = {0};
    size_t n = build(query, msg, &s);
    assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 4242, &peer), 0);
    struct gdns_request rq = {msg, n, &peer, s.tcp, 0};
    n = gdns_answer(&w->conf, fed_routing_current(&w->routing), w->geo, &rq, reply, s.tcp ? sizeof(reply) : 1232, NULL);
    describe(reply, n, &got);
    fed_str_trim(fed_buf_str(&got));
    if (strcmp(fed_buf_z(&got), want) != 0)
        fail_msg("%s\n   got: %s\n  want: %s", query, fed_buf_z(&got), want);
    fed_buf_release(&got);
}

struct row {
    const char *query, *want;
};
#define ASK(w, rows)                                                                                                   \
    for (size_t i_ = 0; i_ < FED_ARRAY_LEN(rows); i_++)                                                                \
    ask(w, (rows)[i_].query, (rows)[i_].want)

#define API "api-status.production.fed.svc."
#define APP "appmiral.default.fed.svc."
#define NEG " | SOA "

static void services(void **state)
{
    static const struct row rows[] = {
        {API "example.com A", "NOERROR aa: A 127.1.1.1, A 127.1.1.2"},
        {API "example.com A ecs=192.0.2.0/24", "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=24"},
        {API "example.com A ecs=198.51.100.0/24", "NOERROR aa: A 127.2.1.1, A 127.2.1.2 scope=24"},
        {API "example.com A ecs=198.51.100.7/32", "NOERROR aa: A 127.2.1.1, A 127.2.1.2 scope=24"},
        {API "example.com A ecs=203.0.113.0/24", "NOERROR aa: A 127.3.1.1, A 127.3.1.2 scope=24"},
        {API "example.com A ecs=2001:db8:a::/56", "NOERROR aa: A 127.3.1.1, A 127.3.1.2 scope=48"},
        {API "example.com A ecs=100.64.0.0/24", "NOERROR aa: A 127.2.1.1, A 127.2.1.2 scope=10"},
        /* not to be told apart: as if the client were here */
        {API "example.com A ecs=0.0.0.0/0", "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=0"},
        /* AAAA apart from A */
        {API "example.com AAAA ecs=198.51.100.0/24", "NOERROR aa: AAAA 2001:db8:2::1 scope=24"},
        {API "example.com AAAA ecs=203.0.113.0/24", "NOERROR aa:" NEG " scope=24"},
        {API "us-east1.example.com A ecs=203.0.113.0/24", "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=0"},
        {API "europe-west1-c.europe-west1.example.com A", "NOERROR aa: A 127.2.1.1, A 127.2.1.2"},
        /* a level without the service is a step to the next */
        {APP "us-east1.example.com A ecs=203.0.113.0/24",
         "NOERROR aa: CNAME " APP "example.com., A 127.3.2.1, A 127.3.2.2 scope=24"},
        {APP "us-east1-b.us-east1.example.com CNAME", "NOERROR aa: CNAME " APP "us-east1.example.com."},
        {"_http._tcp." APP "us-east1.example.com SRV ecs=198.51.100.0/24",
         "NOERROR aa: CNAME _http._tcp." APP "example.com., SRV 30112 127-2-2-1." APP
         "example.com., SRV 30112 127-2-2-2." APP "example.com. +2 scope=24"},
        {"_stats._udp." APP "example.com SRV ecs=203.0.113.0/24",
         "NOERROR aa: SRV 30123 127-3-2-1." APP "example.com., SRV 30123 127-3-2-2." APP "example.com. +2 scope=24"},
        {"127-3-2-1." APP "example.com A", "NOERROR aa: A 127.3.2.1"},
        {"127-3-2-9." APP "example.com A", "NXDOMAIN aa:" NEG},
        {"_none._tcp." APP "example.com SRV", "NXDOMAIN aa:" NEG},
        {"catalog.shop.fed.svc.example.com A", "NOERROR aa:" NEG},
        {"ghost.shop.fed.svc.example.com A", "NOERROR aa:" NEG},
        {API "example.com ANY", "NOERROR aa: HINFO "},
        {API "example.com TYPE666", "NOERROR aa:" NEG},
        {"API-Status.PRODUCTION.fed.SVC.Example.COM A", "NOERROR aa: A 127.1.1.1, A 127.1.1.2"},
    };
    ASK(*state, rows);
}

static void names(void **state)
{
    static const struct row rows[] = {
        {"svc.example.com A", "NOERROR aa:" NEG},
        {"fed.svc.example.com A", "NOERROR aa:" NEG},
        {"production.fed.svc.example.com A", "NOERROR aa:" NEG},
        {"empty.fed.svc.example.com A", "NXDOMAIN aa:" NEG},
        {"none.production.fed.svc.example.com A", "NXDOMAIN aa:" NEG},
        {"x." API "example.com A", "NXDOMAIN aa:" NEG},
        {"_tcp." APP "example.com A", "NOERROR aa:" NEG},
        {"_sctp." APP "example.com A", "NXDOMAIN aa:" NEG},
        {"other.svc.example.com A", "NXDOMAIN aa:" NEG},
        {"us-east1.example.com A", "NOERROR aa:" NEG},
        {"us-east1-b.us-east1.example.com A", "NOERROR aa:" NEG},
        {"us-east1-z.us-east1.example.com A", "NXDOMAIN aa:" NEG},
        {"svc.us-east1.example.com A", "NOERROR aa:" NEG},
        {"mars.example.com A", "NXDOMAIN aa:" NEG},
        {API "mars.example.com A", "NXDOMAIN aa:" NEG},
        {"example.com SOA", "NOERROR aa: SOA "},
        {"example.com SOA noedns", "NOERROR aa: SOA "},
        {"example.com NS", "NOERROR aa: NS ns-asia-east1.example.com., NS ns-europe-west1.example.com., NS "
                           "ns-us-east1.example.com. +3"},
        {"example.com A", "NOERROR aa:" NEG},
        {"example.com DNSKEY", "NOERROR aa:" NEG},
        {"ns-asia-east1.example.com A", "NOERROR aa: A 127.3.0.53"},
        {"ns-mars.example.com A", "NXDOMAIN aa:" NEG},
        {"api.example.com A ecs=203.0.113.0/24", "NOERROR aa: A 127.3.0.80 scope=24"},
        {"api.example.com TXT", "NOERROR aa:" NEG},
        {"x.api.example.com A", "NXDOMAIN aa:" NEG},
        {"one.apps.example.com A", "NOERROR aa: A 127.1.0.80"},
        {"apps.example.com A", "NOERROR aa:" NEG},
        {"two.one.apps.example.com A", "NXDOMAIN aa:" NEG},
        {"deep.in.the.example.com A", "NOERROR aa: A 127.1.0.80"},
        {"in.the.example.com A", "NOERROR aa:" NEG},
        {"the.example.com A", "NOERROR aa:" NEG},
        {"www.other.test A", "NOERROR aa: A 127.1.0.80"},
        {"other.test SOA", "NOERROR aa: SOA "},
        {"svc.other.test A", "NXDOMAIN aa:" NEG},
        {"www.third.test A", "REFUSED"},
        {"example.org SOA", "REFUSED"},
        {"com SOA", "REFUSED"},
        {". NS", "REFUSED"},
        {"notexample.com SOA", "REFUSED"},
        {"example.com AXFR tcp", "REFUSED"},
        {"example.com SOA class=255", "REFUSED"},
        {"version.bind TXT class=3", "NOERROR: TXT hansa-dns"},
        {"id.server TXT class=3", "NOERROR: TXT us-east1"},
        {"example.com TXT class=3", "REFUSED"},
        {"example.com SOA ver=1", "BADVERS"},
        {"example.com SOA ver=100", "BADVERS"},
    };
    ASK(*state, rows);
}

struct wanted {
    const char *ip;
    enum fed_health health;
};
static void set_target(void *ud, struct fed_target *t)
{
    const struct wanted *w = ud;
    char ip[48];
    fed_addr_format_ip(&t->addr, ip);
    if (!strcmp(ip, w->ip))
        atomic_store(&t->word, w->health);
}
static void health(struct world *w, const char *ip, enum fed_health h)
{
    fed_targets_each(w->targets, set_target, &(struct wanted){ip, h});
}
static void cluster_health(struct world *w, const char *name, enum fed_health h)
{
    atomic_store(fed_targets_cluster_word(w->targets, fed_targets_slot(w->targets, fed_str(name))), h);
}
#define FROM_EUROPE API "example.com A ecs=198.51.100.0/24"

static void losing(void **state)
{
    struct world *w = *state;
    health(w, "127.2.1.1", FED_HEALTH_DOWN);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.2.1.2 scope=24");
    ask(w, "_http._tcp." FROM_EUROPE, "NOERROR aa:" NEG " scope=24");
    cluster_health(w, "europe-west1", FED_HEALTH_DOWN);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=24");
    ask(w, API "europe-west1.example.com A ecs=203.0.113.0/24",
        "NOERROR aa: CNAME " API "example.com., A 127.3.1.1, A 127.3.1.2 scope=24");
    ask(w, "api.example.com A ecs=198.51.100.0/24", "NOERROR aa: A 127.1.0.80 scope=24");
    cluster_health(w, "us-east1", FED_HEALTH_DOWN);
    /* one is left: the answer is the same for all */
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.3.1.1, A 127.3.1.2 scope=0");
    cluster_health(w, "asia-east1", FED_HEALTH_DOWN);
    ask(w, FROM_EUROPE,
        "NOERROR aa: A 127.1.1.1, A 127.1.1.2, A 127.2.1.1, A 127.2.1.2, A 127.3.1.1, A 127.3.1.2 scope=0");
    cluster_health(w, "europe-west1", FED_HEALTH_UP);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.2.1.2 scope=24");
    /* ready nowhere: all are answered */
    ask(w, "website.shop.fed.svc.example.com A", "NOERROR aa: A 127.1.3.1, A 127.2.3.1");
}

static void control_plane_says(void **state)
{
    struct world *w = *state;
    struct fed_err err;
    static const char offline[] =
        "{apiVersion: federation/v1beta1, kind: Cluster, metadata: {name: europe-west1, annotations: "
        "{federation.hansa.io/coordinates: \"50.45,3.82\"}}, status: {region: europe-west1,"
        " zones: [europe-west1-b], conditions: [{type: Ready, status: Unknown}, {type: Offline, status: \"True\"}]}}";
    static const char cordoned[] =
        "{apiVersion: federation/v1beta1, kind: Cluster, metadata: {name: europe-west1, annotations: "
        "{federation.hansa.io/cordoned: \"true\", federation.hansa.io/coordinates: \"50.45,3.82\"}}, "
        "status: {region: europe-west1}}";
    static const char not_ready[] =
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: api-status-us-east1, namespace: "
        "production,"
        " labels: {multicluster.kubernetes.io/service-name: api-status, multicluster.kubernetes.io/source-cluster: "
        "us-east1,"
        " federation.hansa.io/scope: global}}, addressType: IPv4, ports: [{name: http, port: 80}],"
        " endpoints: [{addresses: [127.1.1.1], conditions: {ready: false}}]}";
    assert_int_equal(fed_builder_put_yaml(w->builder, fed_str(offline), &err), 0);
    fed_builder_flush(w->builder);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=24");
    assert_int_equal(fed_builder_put_yaml(w->builder, fed_str(cordoned), &err), 0);
    fed_builder_flush(w->builder);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.1.1.1, A 127.1.1.2 scope=24");
    assert_int_equal(fed_builder_put_yaml(w->builder, fed_str(not_ready), &err), 0);
    fed_builder_flush(w->builder);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.3.1.1, A 127.3.1.2 scope=0");
    /* a deleted service and a cluster that left vanish */
    fed_builder_drop(w->builder, FED_STR("Cluster"), (struct fed_str){"", 0}, FED_STR("asia-east1"));
    fed_builder_flush(w->builder);
    ask(w, FROM_EUROPE, "NOERROR aa: A 127.2.1.1, A 127.2.1.2 scope=0"); /* cordoned, but nothing better is left */
    ask(w, "ns-asia-east1.example.com A", "NXDOMAIN aa:" NEG);
    fed_builder_drop(w->builder, FED_STR("ServiceImport"), FED_STR("production"), FED_STR("api-status"));
    fed_builder_drop(w->builder, FED_STR("Ingress"), FED_STR("production"), FED_STR("api-status"));
    fed_builder_flush(w->builder);
    ask(w, FROM_EUROPE, "NXDOMAIN aa:" NEG " scope=0");
    ask(w, "api.example.com A", "NXDOMAIN aa:" NEG);
}

static void before_anything_is_known(void **state)
{
    struct world *w = *state;
    const struct fed_snapshot *s = fed_routing_current(&w->routing);
    atomic_store(&w->routing.current, NULL);
    assert_int_equal(fed_addr_parse(FED_STR("127.1.0.53"), 53, &w->conf.own_addrs[0]), 0);
    w->conf.n_own_addrs = 1;
    static const struct row rows[] = {
        {"example.com SOA", "NOERROR aa: SOA "},
        {"example.com NS", "NOERROR aa: NS ns-us-east1.example.com. +1"},
        {"ns-us-east1.example.com A", "NOERROR aa: A 127.1.0.53"},
        {API "example.com A", "SERVFAIL"},
        {"example.org A", "REFUSED"},
    };
    ASK(w, rows);
    atomic_store(&w->routing.current, s);
}

static void truncation(void **state)
{
    struct world *w = *state;
    struct fed_buf y = {0};
    struct fed_err err;
    fed_buf_addz(
        &y, "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: api-status-us-east1, namespace: "
            "production, labels: {multicluster.kubernetes.io/service-name: api-status, "
            "multicluster.kubernetes.io/source-cluster: us-east1, federation.hansa.io/scope: global}}, addressType: "
            "IPv4, ports: [{name: http, port: 80}], endpoints: [");
    for (int i = 1; i <= 60; i++)
        fed_buf_addf(&y, "%s{addresses: [127.1.1.%d]}", i > 1 ? ", " : "", i);
    fed_buf_addz(&y, "]}");
    assert_int_equal(fed_builder_put_yaml(w->builder, fed_buf_str(&y), &err), 0);
    fed_buf_release(&y);
    fed_builder_flush(w->builder);
    ask(w, API "example.com A udp=512", "NOERROR aa tc");
    ask(w, API "example.com A noedns", "NOERROR aa tc");
    struct fed_buf want = {0};
    fed_buf_addz(&want, "NOERROR aa:");
    for (int i = 1; i <= 60; i++)
        fed_buf_addf(&want, "%s A 127.1.1.%d", i > 1 ? "," : "", i);
    ask(w, API "example.com A tcp", fed_buf_z(&want));
    ask(w, API "example.com A udp=4096", fed_buf_z(&want)); /* 1,001 bytes fit 1,232 */
    fed_buf_release(&want);
}

/* Messages that are wrong in one way each. */
static void malformed(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *what, *bytes;
        size_t n;
        const char *want;
    } rows[] = {
#define M(what, lit, want) {what, lit, sizeof(lit) - 1, want}
#define Q                  "\7example\3com\0\0\6\0\1"
        M("short", "\0\1\0\0\0\1\0\0\0\0", "dropped"),
        M("an answer", "\0\1\x80\0\0\1\0\0\0\0\0\0" Q, "dropped"),
        M("opcode 15, header only", "\0\1\x78\0\0\0\0\0\0\0\0\0", "NOTIMP"),
        M("notify", "\0\1\x20\0\0\1\0\0\0\0\0\0" Q, "NOTIMP"),
        M("no question", "\0\1\0\0\0\0\0\0\0\0\0\0", "FORMERR"),
        M("two questions", "\0\1\0\0\0\2\0\0\0\0\0\0" Q Q, "FORMERR"),
        M("an answer section", "\0\1\0\0\0\1\0\1\0\0\0\0" Q "\0\0\1\0\1\0\0\0\0\0\0", "FORMERR"),
        M("pointer in the question", "\0\1\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\6\0\1", "FORMERR"),
        M("label type 01",
          "\0\1\0\0\0\1\0\0\0\0\0\0\x41"
          "a\0\0\6\0\1",
          "FORMERR"),
        M("cut name", "\0\1\0\0\0\1\0\0\0\0\0\0\7exam", "FORMERR"),
        M("no type", "\0\1\0\0\0\1\0\0\0\0\0\0\1a\0\0", "FORMERR"),
        M("two OPT", "\0\1\0\0\0\1\0\0\0\0\0\2" Q "\0\0\x29\4\xd0\0\0\0\0\0\0\0\0\x29\4\xd0\0\0\0\0\0\0", "FORMERR"),
        M("OPT owner", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\1a\0\0\x29\4\xd0\0\0\0\0\0\0", "FORMERR"),
        M("OPT longer than the message", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\5\0", "FORMERR"),
        M("option longer than OPT", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\4\0\3\0\1", "FORMERR"),
        M("cookie of 9",
          "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\15\0\12\0\011"
          "123456789",
          "FORMERR"),
        M("cookie of 8",
          "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\14\0\12\0\010"
          "12345678",
          "NOERROR aa: SOA "),
        M("ECS host bits", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\13\0\010\0\7\0\1\x14\0\x0a\1\x1f",
          "FORMERR"),
        M("ECS too long", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\15\0\010\0\011\0\1\x21\0\x0a\1\1\1\1",
          "FORMERR"),
        M("ECS bytes missing", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\12\0\010\0\6\0\1\x18\0\x0a\1",
          "FORMERR"),
        M("ECS scope in a query",
          "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\12\0\010\0\6\0\1\x10\x10\x0a\1", "FORMERR"),
        M("ECS family 0", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\10\0\010\0\4\0\0\0\0",
          "NOERROR aa: SOA  scope=0"),
        M("unknown option", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\x29\4\xd0\0\0\0\0\0\4\0\x64\0\0", "NOERROR aa: SOA "),
        M("all flags", "\0\1\7\xf0\0\1\0\0\0\0\0\0" Q, "NOERROR aa: SOA "),
        M("TSIG", "\0\1\0\0\0\1\0\0\0\0\0\1" Q "\0\0\xfa\0\xff\0\0\0\0\0\0", "NOTAUTH"),
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        uint8_t reply[1232];
        struct fed_addr peer;
        struct fed_buf got = {0};
        assert_int_equal(fed_addr_parse(FED_STR("127.0.0.1"), 4242, &peer), 0);
        struct gdns_request rq = {(const uint8_t *)rows[i].bytes, rows[i].n, &peer, false, 0};
        size_t n = gdns_answer(&w->conf, fed_routing_current(&w->routing), w->geo, &rq, reply, sizeof(reply), NULL);
        describe(reply, n, &got);
        if (strcmp(fed_buf_z(&got), rows[i].want) != 0)
            fail_msg("%s\n   got: %s\n  want: %s", rows[i].what, fed_buf_z(&got), rows[i].want);
        if (n) { /* Z, AD and RA are never set, and nothing but RD and CD is copied */
            assert_int_equal(reply[3] & 0xe0, 0);
            assert_int_equal(reply[0] << 8 | reply[1], rows[i].bytes[0] << 8 | rows[i].bytes[1]);
        }
        fed_buf_release(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(services),   T(names),     T(losing), T(control_plane_says), T(before_anything_is_known),
        T(truncation), T(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
