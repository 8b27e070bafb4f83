/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_network.c: Ingress, IngressClass, NetworkPolicy. */
#include "kube/kind_rules.h"
#include "kube/convert.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static const struct fed_str none = {NULL, 0};

/* --- Ingress --- */

static void check_backend(const struct fed_json *b, const char *at, struct fed_causes *c)
{
    const struct fed_json *svc = fed_json_find(b, "service"), *res = fed_json_find(b, "resource");
    const struct fed_json *port = fed_json_find(svc, "port"), *number = fed_json_find(port, "number");
    struct fed_str name = fed_json_find_text(svc, "name"), port_name = fed_json_find_text(port, "name");
    const char *why = name.n ? fed_name_check_1035(name) : NULL;

    if (svc && res) {
        fed_causes_add(c, FED_CAUSE_INVALID, fed_str(at), FED_STR("\"\""),
                       "cannot set both resource and service backends");
        return;
    }
    if (!svc && !res) {
        fed_causes_add(c, FED_CAUSE_INVALID, fed_str(at), FED_STR("\"\""), "resource or service backend is required");
        return;
    }
    if (!svc) {
        if (!fed_json_find_text(res, "kind").n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "kind is required", "%s.resource.kind", at);
        if (!fed_json_find_text(res, "name").n)
            fed_bad(c, FED_CAUSE_REQUIRED, none, "name is required", "%s.resource.name", at);
        return;
    }
    if (why)
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.service.name", at),
                       fed_shown(c->arena, fed_json_find(svc, "name")), "%s", why);
    if (fed_json_int(number, 0) && port_name.n)
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.service.port", at),
                       fed_shown(c->arena, port), "cannot set both port name & port number");
    else if (fed_json_int(number, 0))
        fed_check_port_number(number, fed_arena_printf(c->arena, "%s.service.port.number", at).p, c);
    else if (!port_name.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_str(at), none, "port name or number is required");
}

/* What a path that is compared may not have in it, and at its end. */
static void check_steps(struct fed_str path, const char *at, struct fed_causes *c)
{
    static const char *const within[] = {"//", "/./", "/../", "%2f", "%2F"}, *const last[] = {"/..", "/."};

    for (size_t i = 0; i < FED_ARRAY_LEN(within); i++)
        if (fed_str_find(path, fed_str(within[i]), 0) >= 0)
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, path),
                    fed_arena_printf(c->arena, "must not contain '%s'", within[i]).p, "%s.path", at);
    for (size_t i = 0; i < FED_ARRAY_LEN(last); i++)
        if (fed_str_ends(path, fed_str(last[i])))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, path),
                    fed_arena_printf(c->arena, "cannot end with '%s'", last[i]).p, "%s.path", at);
}

static void check_path(const struct fed_json *p, const char *at, struct fed_causes *c)
{
    struct fed_str path = fed_json_find_text(p, "path"), type = fed_json_find_text(p, "pathType");
    bool loose = fed_str_is(type, "ImplementationSpecific");

    if (!type.n) { /* the schema has said that it is required; nothing more is said of the path */
        struct fed_str field = fed_arena_printf(c->arena, "%s.pathType", at);
        for (size_t i = 0; i < c->n; i++)
            if (fed_str_eq(c->items[i].field, field))
                c->items[i].message = FED_STR("Required value: pathType must be specified");
        return;
    }
    if (!loose && !fed_str_is(type, "Exact") && !fed_str_is(type, "Prefix"))
        fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, fed_arena_printf(c->arena, "%s.pathType", at),
                       fed_shown(c->arena, fed_json_find(p, "pathType")),
                       "supported values: \"Exact\", \"ImplementationSpecific\", \"Prefix\"");
    else if ((path.n || !loose) && (!path.n || path.p[0] != '/'))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, path), "must be an absolute path", "%s.path", at);
    if (fed_str_is(type, "Exact") || fed_str_is(type, "Prefix"))
        check_steps(path, at, c);
    check_backend(fed_json_find(p, "backend"), fed_arena_printf(c->arena, "%s.backend", at).p, c);
}

static void validate_ingress(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *rules = fed_json_find(spec, "rules");
    const struct fed_json *dflt = fed_json_find(spec, "defaultBackend");
    size_t i = 0;

    (void)ud;
    if (w->subresource.n) {
        fed_rules_balancer(obj, c);
        return;
    }
    if ((!rules || !rules->n) && !dflt)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec"), FED_STR("{}"),
                       "either `defaultBackend` or `rules` must be specified");
    if (dflt)
        check_backend(dflt, "spec.defaultBackend", c);
    FED_JSON_EACH(r, rules) {
        const char *at = fed_arena_printf(c->arena, "spec.rules[%zu]", i++).p;
        size_t k = 0;

        fed_rules_ingress_host(fed_json_find_text(r, "host"), fed_arena_printf(c->arena, "%s.host", at).p, c);
        FED_JSON_EACH(p, fed_json_at(r, "http", "paths", NULL))
            check_path(p, fed_arena_printf(c->arena, "%s.http.paths[%zu]", at, k++).p, c);
    }
    fed_rules_ingress(spec, c);
    if (!w->old && fed_json_find_text(spec, "ingressClassName").n &&
        fed_obj_annotation(obj, "kubernetes.io/ingress.class").n)
        fed_causes_add(
            c, FED_CAUSE_INVALID, FED_STR("annotations.kubernetes.io/ingress.class"),
            fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(fed_obj_annotation(obj, "kubernetes.io/ingress.class"))),
            "can not be set when the class field is also set");
}

static void ingress_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *tls = fed_json_find(spec, "tls");
    struct fed_str class = fed_json_find_text(spec, "ingressClassName");
    struct fed_buf hosts = {0};

    (void)ud;
    (void)v;
    if (!class.n)
        class = fed_obj_annotation(obj, "kubernetes.io/ingress.class");
    FED_JSON_EACH(r, fed_json_find(spec, "rules")) {
        struct fed_str host = fed_json_find_text(r, "host");

        if (hosts.n && host.n)
            fed_buf_addc(&hosts, ',');
        fed_buf_add(&hosts, host);
    }
    fed_cell_or(a, cells, class, "<none>");
    fed_cell_or(a, cells, fed_arena_dup(a, fed_buf_str(&hosts)), "*");
    fed_cell_str(a, cells, fed_cell_balancers(a, obj));
    fed_cell_strz(a, cells, tls && tls->n ? "80, 443" : "80");
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_buf_release(&hosts);
}

/* --- IngressClass, NetworkPolicy --- */

static void class_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *p = fed_json_at(obj, "spec", "parameters", NULL);
    struct fed_str group = fed_json_find_text(p, "apiGroup");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(fed_json_find(obj, "spec"), "controller"));
    fed_cell_str(a, cells,
                 p ? fed_arena_printf(a, "%.*s%s%.*s/%.*s", FED_STR_ARG(fed_json_find_text(p, "kind")),
                                      group.n ? "." : "", FED_STR_ARG(group),
                                      FED_STR_ARG(fed_json_find_text(p, "name")))
                   : FED_STR("<none>"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

static int default_policy(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec"), *types;

    (void)ud;
    (void)err;
    if (!spec || fed_json_find(spec, "policyTypes"))
        return 0;
    types = fed_json_array(w->arena);
    fed_json_push(types, fed_json_new_strz(w->arena, "Ingress"));
    if (fed_json_find(spec, "egress") && fed_json_find(spec, "egress")->n)
        fed_json_push(types, fed_json_new_strz(w->arena, "Egress"));
    fed_json_set(spec, "policyTypes", types);
    return 0;
}

static void policy_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                         int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_cell_selector(a, fed_json_at(obj, "spec", "podSelector", NULL)));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_network[] = {
    {"networking.k8s.io",
     "ingresses",
     {.validate = validate_ingress, .convert = fed_convert_ingress, .cells = ingress_cells}},
    {"networking.k8s.io", "ingressclasses", {.validate = fed_rules_ingress_class, .cells = class_cells}},
    {"networking.k8s.io",
     "networkpolicies",
     {.defaults = default_policy, .validate = fed_rules_network_policy, .cells = policy_cells}},
    {NULL, NULL, {0}}};
