/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_service.c: Service, Endpoints, EndpointSlice. Allocation of cluster IPs and node ports is the program's own hook,
 * which runs after this one. */
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static const struct fed_str none = {NULL, 0};

static bool is_type(const struct fed_json *spec, const char *type)
{
    return fed_str_is(fed_json_find_text(spec, "type"), type);
}

/* --- preparation --- */

static void keep_text(struct fed_arena *a, const struct fed_json *old, struct fed_json *spec, const char *key)
{
    const struct fed_json *was = fed_json_find(old, key);

    if (was && !fed_json_find(spec, key))
        fed_json_set(spec, key, fed_json_copy(a, was));
}

/* A replace without the values that the server gave keeps them: kubectl apply and old clients never send them. */
static void keep_allocated(struct fed_arena *a, const struct fed_json *old, struct fed_json *spec)
{
    bool node_ports = is_type(spec, "NodePort") || is_type(spec, "LoadBalancer");

    if (is_type(spec, "ExternalName"))
        return;
    if (!fed_json_find_text(spec, "clusterIP").n && fed_json_find_text(old, "clusterIP").n) {
        fed_json_remove_key(spec, "clusterIP");
        keep_text(a, old, spec, "clusterIP");
        keep_text(a, old, spec, "clusterIPs");
    }
    keep_text(a, old, spec, "ipFamilies");
    keep_text(a, old, spec, "ipFamilyPolicy");
    if (node_ports)
        keep_text(a, old, spec, "healthCheckNodePort");
    FED_JSON_EACH(port, node_ports ? fed_json_find(spec, "ports") : NULL) {
        if (fed_json_int(fed_json_find(port, "nodePort"), 0))
            continue;
        FED_JSON_EACH(was, fed_json_find(old, "ports")) {
            const struct fed_json *np = fed_json_find(was, "nodePort");

            if (np && fed_json_int(fed_json_find(was, "port"), -1) == fed_json_int(fed_json_find(port, "port"), -2) &&
                fed_str_eq(fed_json_find_text(was, "protocol"), fed_json_find_text(port, "protocol")))
                fed_json_set(port, "nodePort", fed_json_copy(a, np));
        }
    }
}

/* A type that does not use a value drops the one that the old type had. */
static void drop_unused(const struct fed_json *old, struct fed_json *spec)
{
    static const char *const cluster[] = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy",
                                          "internalTrafficPolicy"};
    bool had_ports = is_type(old, "NodePort") || is_type(old, "LoadBalancer");

    if (is_type(spec, "ExternalName"))
        for (size_t i = 0; i < FED_ARRAY_LEN(cluster); i++)
            fed_json_remove_key(spec, cluster[i]);
    if (is_type(old, "LoadBalancer") && !is_type(spec, "LoadBalancer")) {
        fed_json_remove_key(spec, "allocateLoadBalancerNodePorts");
        fed_json_remove_key(spec, "loadBalancerClass");
    }
    if (!had_ports || is_type(spec, "NodePort") || is_type(spec, "LoadBalancer"))
        return;
    FED_JSON_EACH(port, fed_json_find(spec, "ports"))
        fed_json_remove_key(port, "nodePort");
    fed_json_remove_key(spec, "externalTrafficPolicy");
    fed_json_remove_key(spec, "healthCheckNodePort");
    fed_json_remove_key(spec, "allocateLoadBalancerNodePorts");
}

/* A target of nothing is the port itself. */
static void default_targets(struct fed_arena *a, struct fed_json *spec)
{
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        const struct fed_json *target = fed_json_find(p, "targetPort"), *port = fed_json_find(p, "port");
        bool none_set = target && (target->type == FED_JSON_STRING ? !target->s.n : fed_json_int(target, 1) == 0);

        if (none_set && port)
            fed_json_set(p, "targetPort", fed_json_copy(a, port));
    }
}

static void default_affinity(struct fed_arena *a, struct fed_json *spec)
{
    struct fed_json *config = fed_json_ensure_object(a, spec, "sessionAffinityConfig");
    struct fed_json *client = config ? fed_json_ensure_object(a, config, "clientIP") : NULL;

    if (client && !fed_json_find(client, "timeoutSeconds"))
        fed_json_set(client, "timeoutSeconds", fed_json_new_int(a, 10800));
}

static int default_service(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)err;
    if (!spec || w->subresource.n)
        return 0;
    default_targets(w->arena, spec);
    if (fed_str_is(fed_json_find_text(spec, "sessionAffinity"), "ClientIP"))
        default_affinity(w->arena, spec);
    if (fed_str_is(fed_json_find_text(spec, "sessionAffinity"), "None")) /* a default of Kubernetes, not a mistake */
        fed_json_remove_key(spec, "sessionAffinityConfig");
    return 0;
}

static int prepare_service(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec"), *list;
    const struct fed_json *old = fed_json_find(w->old, "spec");
    struct fed_str ip;

    (void)ud;
    (void)err;
    if (!spec || w->subresource.n)
        return 0;
    if (old) {
        keep_allocated(w->arena, old, spec);
        drop_unused(old, spec);
    }
    ip = fed_json_find_text(spec, "clusterIP");
    list = fed_json_find(spec, "clusterIPs");
    /* Who knows clusterIP only has changed it, or has set it first. */
    if (ip.n && (!list || !list->n || (old && fed_json_equal(list, fed_json_find(old, "clusterIPs"))))) {
        list = fed_json_array(w->arena);
        fed_json_push(list, fed_json_new_str(w->arena, ip));
        fed_json_set(spec, "clusterIPs", list);
    }
    return 0;
}

/* --- validation --- */

static void check_service_port(const struct fed_json *spec, const struct fed_json *p, const char *at, bool many,
                               struct fed_map *names, struct fed_map *numbers, struct fed_causes *c)
{
    struct fed_str name = fed_json_find_text(p, "name");
    const struct fed_json *node_port = fed_json_find(p, "nodePort");
    char key[64];

    if (many && !name.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.name", at), none, "%s", "");
    fed_check_text(c, name, fed_name_check_label, "%s.name", at);
    if (name.n && fed_map_has(names, name))
        fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_arena_printf(c->arena, "%s.name", at),
                       fed_shown(c->arena, fed_json_find(p, "name")), "%s", "");
    if (name.n)
        fed_map_set(names, name, NULL);
    if (fed_json_find(p, "port"))
        fed_check_port_number(fed_json_find(p, "port"), fed_arena_printf(c->arena, "%s.port", at).p, c);
    if (!fed_json_find(p, "targetPort")) /* the port's own number, where it has one */
        fed_bad(c, FED_CAUSE_INVALID, FED_STR("0"), "must be between 1 and 65535, inclusive", "%s.targetPort", at);
    fed_check_port_ref(fed_json_find(p, "targetPort"), fed_arena_printf(c->arena, "%s.targetPort", at).p, c);
    if (node_port && fed_json_int(node_port, 0) && is_type(spec, "ClusterIP"))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_arena_printf(c->arena, "%s.nodePort", at), none,
                       "may not be used when `type` is 'ClusterIP'");
    snprintf(key, sizeof(key), "%lld/%.*s", (long long)fed_json_int(fed_json_find(p, "port"), 0),
             FED_STR_ARG(fed_str_head(fed_json_find_text(p, "protocol"), 16)));
    if (fed_map_has(numbers, fed_str(key)))
        fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_str(at),
                       fed_arena_printf(c->arena, "{\"port\":%lld,\"protocol\":\"%.*s\"}",
                                        (long long)fed_json_int(fed_json_find(p, "port"), 0),
                                        FED_STR_ARG(fed_json_find_text(p, "protocol"))),
                       "%s", "");
    fed_map_set(numbers, fed_str(key), NULL);
    snprintf(key, sizeof(key), "%lld:%.*s", (long long)fed_json_int(node_port, 0),
             FED_STR_ARG(fed_str_head(fed_json_find_text(p, "protocol"), 16)));
    if (fed_json_int(node_port, 0) && fed_seen_before(numbers, fed_str(key)))
        fed_bad(c, FED_CAUSE_DUPLICATE, fed_shown(c->arena, node_port), "", "%s.nodePort", at);
}

static void check_service_ports(const struct fed_json *spec, struct fed_causes *c)
{
    const struct fed_json *ports = fed_json_find(spec, "ports");
    struct fed_map names = {0}, numbers = {0};
    size_t i = 0;

    if (!ports || !ports->n) {
        if (!is_type(spec, "ExternalName") && !fed_str_is(fed_json_find_text(spec, "clusterIP"), "None"))
            fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.ports"), none, "%s", "");
        return;
    }
    FED_JSON_EACH(p, ports)
        check_service_port(spec, p, fed_arena_printf(c->arena, "spec.ports[%zu]", i++).p, ports->n > 1, &names,
                           &numbers, c);
    fed_map_release(&names);
    fed_map_release(&numbers);
}

static void check_service_type(const struct fed_json *spec, struct fed_causes *c)
{
    struct fed_str ip = fed_json_find_text(spec, "clusterIP"), name = fed_json_find_text(spec, "externalName");

    if (is_type(spec, "ExternalName")) {
        struct fed_str bare = name.n && name.p[name.n - 1] == '.' ? fed_str_head(name, name.n - 1) : name;

        if (!name.n)
            fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.externalName"), none, "%s", "");
        else
            fed_check_name(c, bare, fed_name_check_subdomain, fed_quoted(c->arena, name), FED_STR("spec.externalName"));
        fed_rules_service_external(spec, c);
    }
    if (fed_str_is(ip, "None") && (is_type(spec, "NodePort") || is_type(spec, "LoadBalancer")))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.clusterIPs[0]"), FED_STR("\"None\""),
                       "may not be set to 'None' for %.*s services", FED_STR_ARG(fed_json_find_text(spec, "type")));
    FED_JSON_EACH(l, fed_json_find(spec, "selector")) {
        if (l->type == FED_JSON_STRING)
            fed_check_text(c, l->s, fed_name_check_label_value, "spec.selector");
    }
}

static void validate_service(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *old = fed_json_find(w->old, "spec");

    (void)ud;
    if (w->subresource.n) {
        fed_rules_balancer(obj, c);
        return;
    }
    if (!fed_rules_service_addresses(spec, c))
        return;
    check_service_ports(spec, c);
    check_service_type(spec, c);
    fed_rules_service(spec, c);
    if (old)
        fed_rules_service_same_addresses(old, spec, c);
}

static void validate_slice(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    size_t i = 0;

    (void)ud;
    if (w->old)
        fed_check_immutable(w->old, obj, "", "addressType", c);
    FED_JSON_EACH(e, fed_json_find(obj, "endpoints")) {
        const struct fed_json *list = fed_json_find(e, "addresses");

        if (list && list->n > 100)
            fed_causes_add(c, FED_CAUSE_TOO_LONG, fed_arena_printf(c->arena, "endpoints[%zu].addresses", i), none,
                           "must have at most 100 items");
        i++;
    }
    fed_rules_slice(obj, c);
    if (i > 1000)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, FED_STR("endpoints"), none, "must have at most 1000 items");
}

/* --- cells --- */

static struct fed_str external_ip(struct fed_arena *a, const struct fed_json *obj, const struct fed_json *spec)
{
    struct fed_str outside = fed_cell_join(a, fed_json_find(spec, "externalIPs"), NULL);
    struct fed_buf b = {0};
    struct fed_str out;

    if (is_type(spec, "ExternalName"))
        return fed_json_find_text(spec, "externalName");
    if (!is_type(spec, "LoadBalancer"))
        return outside.n ? outside : FED_STR("<none>");
    fed_buf_add(&b, fed_cell_balancers(a, obj));
    if (b.n && outside.n)
        fed_buf_addc(&b, ',');
    fed_buf_add(&b, outside);
    out = b.n ? fed_arena_dup(a, fed_buf_str(&b)) : FED_STR("<pending>");
    fed_buf_release(&b);
    return out;
}

static struct fed_str service_ports(struct fed_arena *a, const struct fed_json *spec)
{
    struct fed_buf b;
    struct fed_str out;

    fed_buf_init(&b, 65536);
    FED_JSON_EACH(p, fed_json_find(spec, "ports")) {
        int64_t node_port = fed_json_int(fed_json_find(p, "nodePort"), 0);
        struct fed_str protocol = fed_json_find_text(p, "protocol");

        if (b.n)
            fed_buf_addc(&b, ',');
        fed_buf_addf(&b, "%lld", (long long)fed_json_int(fed_json_find(p, "port"), 0));
        if (node_port > 0)
            fed_buf_addf(&b, ":%lld", (long long)node_port);
        fed_buf_addc(&b, '/');
        fed_buf_add(&b, protocol.n ? protocol : FED_STR("TCP"));
    }
    out = b.n ? fed_arena_dup(a, fed_buf_str(&b)) : FED_STR("<none>");
    fed_buf_release(&b);
    return out;
}

static void service_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)v;
    fed_cell_or(a, cells, fed_json_find_text(spec, "type"), "ClusterIP");
    fed_cell_or(a, cells, fed_json_find_text(spec, "clusterIP"), "<none>");
    fed_cell_str(a, cells, external_ip(a, obj, spec));
    fed_cell_str(a, cells, service_ports(a, spec));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_str(a, cells, fed_cell_map(a, fed_json_find(spec, "selector")));
}

struct shown_list {
    struct fed_buf b;
    int shown, total;
};

static void show(struct shown_list *l, struct fed_str s, int64_t port)
{
    if (l->total++ >= 3)
        return;
    if (l->shown++)
        fed_buf_addc(&l->b, ',');
    if (port >= 0)
        fed_buf_addf(&l->b, fed_str_chr(s, ':', 0) >= 0 ? "[%.*s]:%lld" : "%.*s:%lld", FED_STR_ARG(s), (long long)port);
    else
        fed_buf_add(&l->b, s);
}

static struct fed_str shown_text(struct fed_arena *a, struct shown_list *l)
{
    struct fed_str out = FED_STR("");

    if (l->total > l->shown)
        fed_buf_addf(&l->b, " + %d more...", l->total - l->shown);
    if (l->b.n)
        out = fed_arena_dup(a, fed_buf_str(&l->b));
    fed_buf_release(&l->b);
    return out;
}

static void endpoints_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                            int64_t now_ms, struct fed_json *cells)
{
    struct shown_list l = {0};
    const struct fed_json *subsets = fed_json_find(obj, "subsets");

    (void)ud;
    (void)v;
    FED_JSON_EACH(set, subsets) {
        const struct fed_json *ports = fed_json_find(set, "ports");

        FED_JSON_EACH(addr, ports && ports->n ? NULL : fed_json_find(set, "addresses"))
            show(&l, fed_json_find_text(addr, "ip"), -1);
        FED_JSON_EACH(port, ports)
            FED_JSON_EACH(addr, fed_json_find(set, "addresses"))
                show(&l, fed_json_find_text(addr, "ip"), fed_json_int(fed_json_find(port, "port"), 0));
    }
    if (!subsets || !subsets->n)
        fed_buf_addz(&l.b, "<none>");
    fed_cell_str(a, cells, shown_text(a, &l));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

static void slice_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    struct shown_list ports = {0}, addresses = {0};
    const struct fed_json *list = fed_json_find(obj, "ports");

    (void)ud;
    (void)v;
    FED_JSON_EACH(p, list) {
        const struct fed_json *n = fed_json_find(p, "port"), *name = fed_json_find(p, "name");

        show(&ports,
             n      ? fed_arena_printf(a, "%lld", (long long)fed_json_int(n, 0))
             : name ? fed_json_str(name)
                    : FED_STR("*"),
             -1);
    }
    FED_JSON_EACH(e, fed_json_find(obj, "endpoints"))
        FED_JSON_EACH(addr, fed_json_find(e, "addresses"))
            show(&addresses, fed_json_str(addr), -1);
    fed_cell_str(a, cells, fed_json_find_text(obj, "addressType"));
    fed_cell_str(a, cells, list && list->n ? shown_text(a, &ports) : FED_STR("<unset>"));
    if (!list || !list->n)
        fed_buf_release(&ports.b);
    fed_cell_str(a, cells, addresses.total ? shown_text(a, &addresses) : FED_STR("<unset>"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_service[] = {
    {"",
     "services",
     {.defaults = default_service, .prepare = prepare_service, .validate = validate_service, .cells = service_cells}},
    {"", "endpoints", {.validate = fed_rules_endpoints, .cells = endpoints_cells}},
    {"discovery.k8s.io", "endpointslices", {.validate = validate_slice, .cells = slice_cells}},
    {NULL, NULL, {0}}};
