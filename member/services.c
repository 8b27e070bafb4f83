/* SPDX-License-Identifier: Apache-2.0 */
#include "member/services.h"

#include "base/mem.h"
#include "kube/check.h"

enum which { CLUSTER_IP, NODE_TCP, NODE_UDP, BALANCER, N_WHICH };

struct mbr_services {
    struct mbr *m;
    int x;
    struct mbr_pool pools[N_WHICH];
    struct fed_map owners; /* "which:number" -> owner, strdup */
};

static struct fed_str owner_key(char buf[32], enum which w, uint32_t i)
{
    return fed_str_n(buf, (size_t)snprintf(buf, 32, "%d:%u", (int)w, i));
}

static bool owns(const struct mbr_services *s, enum which w, uint32_t i, struct fed_str owner)
{
    char buf[32];
    const char *have = fed_map_find(&s->owners, owner_key(buf, w, i));
    return have && fed_str_is(owner, have);
}

/* True when it is the owner's, now or already. */
static bool take(struct mbr_services *s, enum which w, uint32_t i, struct fed_str owner)
{
    char buf[32];
    if (owns(s, w, i, owner))
        return true;
    if (!mbr_pool_take(&s->pools[w], i))
        return false;
    free(fed_map_set(&s->owners, owner_key(buf, w, i), fed_strdup_str(owner)));
    return true;
}

static int64_t take_next(struct mbr_services *s, enum which w, struct fed_str owner)
{
    char buf[32];
    int64_t i = mbr_pool_next(&s->pools[w]);
    if (i >= 0)
        free(fed_map_set(&s->owners, owner_key(buf, w, (uint32_t)i), fed_strdup_str(owner)));
    return i;
}

static void give_back(struct mbr_services *s, enum which w, uint32_t i, struct fed_str owner)
{
    char buf[32];
    if (!owns(s, w, i, owner))
        return;
    free(fed_map_remove(&s->owners, owner_key(buf, w, i)));
    mbr_pool_put(&s->pools[w], i);
}

static bool index_of(const struct mbr_services *s, enum mbr_part part, struct fed_str ip, uint32_t *i)
{
    uint32_t v;
    if (mbr_ip_parse(ip, &v) < 0)
        return false;
    *i = v - mbr_part_first(s->x, part);
    return *i < mbr_part_count(part);
}

static enum which node_pool(const struct fed_json *port)
{
    return fed_str_is(fed_json_find_text(port, "protocol"), "UDP") ? NODE_UDP : NODE_TCP;
}

/* Every number that a Service has, given to `each`. */
static void each_number(const struct mbr_services *s, const struct fed_json *svc,
                        void (*each)(void *ud, enum which w, uint32_t i), void *ud)
{
    const struct fed_json *spec = fed_json_find(svc, "spec");
    uint32_t i;
    if (index_of(s, MBR_PART_SERVICES, fed_json_find_text(spec, "clusterIP"), &i))
        each(ud, CLUSTER_IP, i);
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        int64_t n = fed_json_int(fed_json_find(p, "nodePort"), 0);
        if (n >= MBR_NODE_PORT_MIN && n <= MBR_NODE_PORT_MAX)
            each(ud, node_pool(p), (uint32_t)(n - MBR_NODE_PORT_MIN));
    }
    FED_JSON_EACH(in, fed_json_at(svc, "status", "loadBalancer", "ingress", NULL))
        if (index_of(s, MBR_PART_BALANCERS, fed_json_find_text(in, "ip"), &i))
            each(ud, BALANCER, i);
}

struct walk {
    struct mbr_services *s;
    struct fed_str owner;
    const struct fed_json *keep; /* a Service whose numbers stay */
    enum which w;
    uint32_t i;
    bool found;
};

static void walk_take(void *ud, enum which w, uint32_t i)
{
    struct walk *k = ud;
    (void)!take(k->s, w, i, k->owner);
}

static void walk_find(void *ud, enum which w, uint32_t i)
{
    struct walk *k = ud;
    k->found = k->found || (k->w == w && k->i == i);
}

static void walk_give_back(void *ud, enum which w, uint32_t i)
{
    struct walk *k = ud, find = {.w = w, .i = i};
    if (k->keep)
        each_number(k->s, k->keep, walk_find, &find);
    if (!find.found)
        give_back(k->s, w, i, k->owner);
}

static struct fed_str owner_of(struct fed_arena *a, const struct fed_json *svc)
{
    return mbr_key(a, fed_obj_ns(svc), fed_obj_name(svc));
}

static int prepare_cluster_ip(struct mbr_services *s, struct fed_arena *a, struct fed_json *spec,
                              const struct fed_json *old, struct fed_str owner, struct fed_err *err)
{
    struct fed_str ip = fed_json_find_text(spec, "clusterIP"), had = fed_json_find_text(old, "clusterIP");
    uint32_t i;
    if (!ip.n)
        ip = fed_str_is(had, "None") ? FED_STR("") : had;
    const struct fed_json *given = fed_json_find(spec, "clusterIPs");
    if (fed_str_is(ip, "None") || (given && given->n && !fed_str_eq(fed_json_str(given->first), ip)))
        return 0; /* what does not fit together is refused */
    if (ip.n) {
        if (index_of(s, MBR_PART_SERVICES, ip, &i))
            (void)!take(s, CLUSTER_IP, i, owner); /* if it is another's, the validation says so */
    } else {
        char text[16];
        int64_t n = take_next(s, CLUSTER_IP, owner);
        if (n < 0)
            return fed_err_set(err, FED_E_INTERNAL, "the range of cluster addresses is full");
        mbr_ip_format(mbr_part_first(s->x, MBR_PART_SERVICES) + (uint32_t)n, text);
        ip = fed_arena_dup(a, fed_str(text));
    }
    fed_json_set(spec, "clusterIP", fed_json_new_str(a, ip));
    if (given && given->n)
        return 0;
    struct fed_json *ips = fed_json_array(a);
    fed_json_push(ips, fed_json_new_str(a, ip));
    fed_json_set(spec, "clusterIPs", ips);
    return 0;
}

/* The node port that the same port had before. */
static int64_t port_before(const struct fed_json *old, const struct fed_json *port)
{
    FED_JSON_EACH(p, fed_json_find(old, "ports")) {
        if (fed_json_int(fed_json_find(p, "port"), 0) == fed_json_int(fed_json_find(port, "port"), -1) &&
            node_pool(p) == node_pool(port))
            return fed_json_int(fed_json_find(p, "nodePort"), 0);
    }
    return 0;
}

static int prepare_node_ports(struct mbr_services *s, struct fed_arena *a, struct fed_json *spec,
                              const struct fed_json *old, struct fed_str owner, struct fed_err *err)
{
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        enum which w = node_pool(p);
        int64_t n = fed_json_int(fed_json_find(p, "nodePort"), 0);
        if (!n)
            n = port_before(old, p);
        if (n >= MBR_NODE_PORT_MIN && n <= MBR_NODE_PORT_MAX)
            (void)!take(s, w, (uint32_t)(n - MBR_NODE_PORT_MIN), owner);
        if (!n) {
            int64_t i = take_next(s, w, owner);
            if (i < 0)
                return fed_err_set(err, FED_E_INTERNAL, "the range of node ports is full");
            n = i + MBR_NODE_PORT_MIN;
        }
        fed_json_set(p, "nodePort", fed_json_new_int(a, n));
    }
    return 0;
}

static int prepare_spec(struct mbr_services *s, const struct fed_write *w, struct fed_json *obj, struct fed_str owner,
                        struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    struct fed_json *spec = fed_json_find(obj, "spec");
    const struct fed_json *old = fed_json_find(w->old, "spec");
    struct fed_str type = fed_json_find_text(spec, "type");
    if (fed_str_is(type, "ExternalName"))
        return 0;
    int rc = prepare_cluster_ip(s, a, spec, old, owner, err);
    if (rc < 0)
        return rc;
    if (!fed_json_find(spec, "ipFamilies"))
        fed_json_push(fed_json_ensure_array(a, spec, "ipFamilies"), fed_json_new_strz(a, "IPv4"));
    if (!fed_json_find(spec, "ipFamilyPolicy"))
        fed_json_set(spec, "ipFamilyPolicy", fed_json_new_strz(a, "SingleStack"));
    if (fed_str_is(type, "NodePort") || fed_str_is(type, "LoadBalancer"))
        return prepare_node_ports(s, a, spec, old, owner, err);
    FED_JSON_EACH(p, fed_json_find(spec, "ports"))
        fed_json_remove_key(p, "nodePort");
    return 0;
}

int mbr_services_prepare(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct mbr_services *s = ud;
    if (w->subresource.n || !fed_json_find(obj, "spec"))
        return 0;
    struct fed_str owner = owner_of(w->arena, obj);
    int rc = prepare_spec(s, w, obj, owner, err);
    if (rc < 0) /* a dry run is settled as refused */
        each_number(s, obj, walk_give_back, &(struct walk){.s = s, .owner = owner, .keep = w->old});
    return rc;
}

static void check_port(const struct mbr_services *s, const struct fed_json *p, size_t i, struct fed_str owner,
                       struct fed_causes *causes)
{
    int64_t n = fed_json_int(fed_json_find(p, "nodePort"), 0);
    struct fed_str field = fed_arena_printf(causes->arena, "spec.ports[%zu].nodePort", i);
    struct fed_str value = fed_arena_printf(causes->arena, "%lld", (long long)n);
    if (n && (n < MBR_NODE_PORT_MIN || n > MBR_NODE_PORT_MAX))
        fed_causes_add(causes, FED_CAUSE_INVALID, field, value,
                       "provided port is not in the valid range. The range of valid ports is %d-%d", MBR_NODE_PORT_MIN,
                       MBR_NODE_PORT_MAX);
    else if (n && !owns(s, node_pool(p), (uint32_t)(n - MBR_NODE_PORT_MIN), owner))
        fed_causes_add(causes, FED_CAUSE_INVALID, field, value, "provided port is already allocated");
}

void mbr_services_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    const struct mbr_services *s = ud;
    const struct fed_json *spec = fed_json_find(obj, "spec");
    struct fed_str ip = fed_json_find_text(spec, "clusterIP"), owner = owner_of(w->arena, obj);
    uint32_t at;
    size_t i = 0;
    if (w->subresource.n)
        return;
    if (fed_is_ip(ip)) {
        bool known = index_of(s, MBR_PART_SERVICES, ip, &at);
        struct fed_str value = fed_arena_printf(causes->arena, "[\"%.*s\"]", FED_STR_ARG(ip));
        if (!known || !owns(s, CLUSTER_IP, at, owner))
            fed_causes_add(causes, FED_CAUSE_INVALID, FED_STR("spec.clusterIPs"), value,
                           "failed to allocate IP %.*s: %s", FED_STR_ARG(ip),
                           known ? "provided IP is already allocated" : "the provided IP is not in the valid range");
    }
    FED_JSON_EACH(p, fed_json_find(spec, "ports"))
        check_port(s, p, i++, owner, causes);
}

void mbr_services_settled(void *ud, const struct fed_write *w, const struct fed_json *obj, bool committed)
{
    struct mbr_services *s = ud;
    if (!committed && obj && !w->subresource.n)
        each_number(s, obj, walk_give_back, &(struct walk){.s = s, .owner = owner_of(w->arena, obj), .keep = w->old});
}

struct mbr_services *mbr_services_new(struct mbr *m)
{
    struct mbr_services *s = FED_NEW(struct mbr_services);
    s->m = m;
    s->x = m->range.x;
    mbr_pool_init(&s->pools[CLUSTER_IP], mbr_part_count(MBR_PART_SERVICES));
    mbr_pool_init(&s->pools[BALANCER], mbr_part_count(MBR_PART_BALANCERS));
    mbr_pool_init(&s->pools[NODE_TCP], MBR_NODE_PORT_MAX - MBR_NODE_PORT_MIN + 1);
    mbr_pool_init(&s->pools[NODE_UDP], MBR_NODE_PORT_MAX - MBR_NODE_PORT_MIN + 1);
    if (m->kinds)
        fed_kinds_set_hooks(m->kinds, "", "services",
                            &(struct fed_hooks){.ud = s,
                                                .prepare = mbr_services_prepare,
                                                .validate = mbr_services_validate,
                                                .settled = mbr_services_settled});
    return s;
}

void mbr_services_free(struct mbr_services *s)
{
    if (!s)
        return;
    for (int w = 0; w < N_WHICH; w++)
        mbr_pool_release(&s->pools[w]);
    FED_MAP_EACH(e, &s->owners)
        free(e->value);
    fed_map_release(&s->owners);
    free(s);
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_services *s = ud;
    struct fed_arena a = {0};
    struct fed_json *have = now ? fed_kobj_parse(now, &a) : NULL;
    const struct fed_kobj *o = now ? now : old;
    struct walk k = {.s = s, .owner = mbr_key(&a, o->ns, o->name), .keep = have};
    if (have)
        each_number(s, have, walk_take, &k);
    if (old)
        each_number(s, fed_kobj_parse(old, &a), walk_give_back, &k);
    fed_arena_release(&a);
}

void mbr_services_follow(struct mbr_services *s)
{
    fed_informer_add_handlers(s->m->informers[MBR_SERVICES],
                              &(struct fed_informer_handlers){.changed = changed, .ud = s});
}

bool mbr_services_balancer(struct mbr_services *s, struct fed_str owner, struct fed_str wanted, char out[16])
{
    uint32_t i;
    if (!index_of(s, MBR_PART_BALANCERS, wanted, &i) || !take(s, BALANCER, i, owner)) {
        int64_t n = take_next(s, BALANCER, owner);
        if (n < 0)
            return false;
        i = (uint32_t)n;
    }
    mbr_ip_format(mbr_part_first(s->x, MBR_PART_BALANCERS) + i, out);
    return true;
}

void mbr_services_drop_balancer(struct mbr_services *s, struct fed_str owner, struct fed_str ip)
{
    uint32_t i;
    if (index_of(s, MBR_PART_BALANCERS, ip, &i))
        give_back(s, BALANCER, i, owner);
}

uint16_t mbr_services_real_port(const char *ip, uint16_t port, uint16_t node_port)
{
    return port >= 1024 || !node_port || mbr_may_bind(ip, port) ? port : node_port;
}
