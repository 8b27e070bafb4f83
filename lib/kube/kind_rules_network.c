/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/kind_rules.h"

static const struct fed_str none = {NULL, 0};

/* --- NetworkPolicy --- */

struct cidr {
    uint8_t bytes[16];
    int family;
    uint64_t bits;
};

static bool read_cidr(struct fed_str text, struct cidr *out)
{
    struct fed_str ip;
    char z[64];
    *out = (struct cidr){.family = fed_str_chr(text, ':', 0) >= 0 ? AF_INET6 : AF_INET};
    if (!fed_str_cut(&text, '/', &ip) || !text.p || fed_str_u64(text, &out->bits) || ip.n >= sizeof(z))
        return false;
    memcpy(z, ip.p, ip.n);
    z[ip.n] = 0;
    return inet_pton(out->family, z, out->bytes) == 1 && out->bits <= (out->family == AF_INET ? 32 : 128);
}

static bool holds(const struct cidr *a, const struct cidr *b)
{
    if (a->family != b->family || a->bits >= b->bits)
        return false;
    for (uint64_t i = 0; i < a->bits; i++)
        if ((a->bytes[i / 8] ^ b->bytes[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

static void check_block(const struct fed_json *block, const char *at, struct fed_causes *c)
{
    static const char words[] = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    struct fed_str text = fed_json_find_text(block, "cidr");
    struct cidr whole, part;
    size_t i = 0;
    if (!text.n)
        return;
    if (!read_cidr(text, &whole)) {
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, text), words, "%s.cidr", at);
        return;
    }
    FED_JSON_EACH(e, fed_json_find(block, "except")) {
        struct fed_str s = fed_json_str(e);
        if (!read_cidr(s, &part))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, s), words, "%s.except[%zu]", at, i);
        else if (!holds(&whole, &part))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, s),
                    fed_arena_printf(c->arena, "must be a strict subset of `cidr`: \"%.*s\"", FED_STR_ARG(text)).p,
                    "%s.except[%zu]", at, i);
        i++;
    }
}

static void check_peer(const struct fed_json *peer, const char *at, struct fed_causes *c)
{
    static const char *const selectors[] = {"podSelector", "namespaceSelector"};
    int n = 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(selectors); i++) {
        const struct fed_json *sel = fed_json_find(peer, selectors[i]);
        n += sel != NULL;
        fed_selector_validate(sel, fed_arena_printf(c->arena, "%s.%s", at, selectors[i]).p, c);
    }
    const struct fed_json *block = fed_json_find(peer, "ipBlock");
    if (block)
        check_block(block, fed_arena_printf(c->arena, "%s.ipBlock", at).p, c);
    if (block && n)
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "may not specify both ipBlock and another peer", "%s", at);
    else if (!block && !n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must specify a peer", "%s", at);
}

static void check_policy_port(const struct fed_json *p, const char *at, struct fed_causes *c)
{
    const struct fed_json *port = fed_json_find(p, "port"), *end = fed_json_find(p, "endPort");
    fed_check_port_ref(port, fed_arena_printf(c->arena, "%s.port", at).p, c);
    if (!end)
        return;
    if (!port)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "may not be specified when `port` is not specified", "%s.endPort", at);
    else if (port->type == FED_JSON_STRING)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "may not be specified when `port` is non-numeric", "%s.endPort", at);
    else if (fed_json_int(port, 0) > fed_json_int(end, 0))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, end), "must be greater than or equal to `port`", "%s.endPort",
                at);
    fed_check_range(c, end, 1, 65535, "must be between 1 and 65535, inclusive", "%s.endPort", at);
}

static void check_rules(const struct fed_json *spec, const char *way, const char *peers, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(r, fed_json_find(spec, way)) {
        size_t k = 0;
        FED_JSON_EACH(p, fed_json_find(r, "ports"))
            check_policy_port(p, fed_arena_printf(c->arena, "spec.%s[%zu].ports[%zu]", way, i, k++).p, c);
        k = 0;
        FED_JSON_EACH(p, fed_json_find(r, peers))
            check_peer(p, fed_arena_printf(c->arena, "spec.%s[%zu].%s[%zu]", way, i, peers, k++).p, c);
        i++;
    }
}

void fed_rules_network_policy(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    (void)ud;
    (void)w;
    const struct fed_json *types = fed_json_find(spec, "policyTypes");
    fed_selector_validate(fed_json_find(spec, "podSelector"), "spec.podSelector", c);
    check_rules(spec, "ingress", "from", c);
    check_rules(spec, "egress", "to", c);
    if (types && types->n > 2)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, types), "may not specify more than two policyTypes",
                "spec.policyTypes");
}

/* --- Ingress --- */

static void check_parameters(const struct fed_json *p, struct fed_causes *c)
{
    static const char *const scopes[] = {"Cluster", "Namespace", NULL};
    struct fed_str scope = fed_json_find_text(p, "scope"), ns = fed_json_find_text(p, "namespace");
    if (!p)
        return;
    fed_check_text(c, fed_json_find_text(p, "apiGroup"), fed_name_check_subdomain, "spec.parameters.apiGroup");
    fed_check_text(c, fed_json_find_text(p, "kind"), fed_name_check_path_segment, "spec.parameters.kind");
    fed_check_text(c, fed_json_find_text(p, "name"), fed_name_check_path_segment, "spec.parameters.name");
    fed_check_one_of(c, scope, scopes, "spec.parameters.scope");
    if (fed_str_is(scope, "Namespace") && !ns.n)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "`parameters.scope` is set to 'Namespace'", "spec.parameters.namespace");
    if (fed_str_is(scope, "Namespace"))
        fed_check_text(c, ns, fed_name_check_label, "spec.parameters.namespace");
    if (fed_str_is(scope, "Cluster") && fed_json_find(p, "namespace"))
        fed_bad(c, FED_CAUSE_FORBIDDEN, none, "`parameters.scope` is set to 'Cluster'", "spec.parameters.namespace");
}

void fed_rules_ingress_class(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    struct fed_str name = fed_json_find_text(spec, "controller");
    struct fed_str was = fed_json_find_text(fed_json_find(w->old, "spec"), "controller");
    (void)ud;
    if (w->old && !fed_str_eq(was, name))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, name), "field is immutable", "spec.controller");
    if (name.n > 250)
        fed_bad(c, FED_CAUSE_TOO_LONG, none, "may not be more than 250 bytes", "spec.controller");
    fed_check_domain_path(c, name, "spec.controller");
    check_parameters(fed_json_find(spec, "parameters"), c);
}

void fed_rules_ingress_host(struct fed_str host, const char *at, struct fed_causes *c)
{
    if (fed_str_chr(host, '*', 0) < 0)
        fed_check_text(c, host, fed_name_check_subdomain, "%s", at);
    else if (!fed_str_starts(host, FED_STR("*.")) || fed_name_check_subdomain(fed_str_from(host, 2)))
        fed_bad(
            c, FED_CAUSE_INVALID, fed_quoted(c->arena, host),
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. "
            "'*.example.com', regex used for validation is "
            "'\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            "%s", at);
}

void fed_rules_ingress(const struct fed_json *spec, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(t, fed_json_find(spec, "tls")) {
        size_t k = 0;
        FED_JSON_EACH(h, fed_json_find(t, "hosts"))
            fed_rules_ingress_host(fed_json_str(h), fed_arena_printf(c->arena, "spec.tls[%zu].hosts[%zu]", i, k++).p,
                                   c);
        fed_check_text(c, fed_json_find_text(t, "secretName"), fed_name_check_subdomain, "spec.tls[%zu].secretName", i);
        i++;
    }
    i = 0;
    FED_JSON_EACH(r, fed_json_find(spec, "rules")) {
        const struct fed_json *http = fed_json_find(r, "http"), *paths = fed_json_find(http, "paths");
        struct fed_str host = fed_json_find_text(r, "host");
        if (fed_is_ip(host))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, host), "must be a DNS name, not an IP address",
                    "spec.rules[%zu].host", i);
        if (http && paths && !paths->n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "", "spec.rules[%zu].http.paths", i);
        i++;
    }
    struct fed_str class = fed_json_find_text(spec, "ingressClassName");
    if (fed_json_find(spec, "ingressClassName"))
        fed_check_name(c, class, fed_name_check_subdomain, fed_quoted(c->arena, class),
                       FED_STR("spec.ingressClassName"));
}
