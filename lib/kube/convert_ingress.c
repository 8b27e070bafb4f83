/* SPDX-License-Identifier: Apache-2.0 */
/* convert_ingress.c: networking.k8s.io/v1 Ingress and its beta versions: backends are written differently, and
 * spec.backend became spec.defaultBackend. */
#include "kube/convert.h"

/* {serviceName, servicePort, resource} -> {service: {name, port: {number | name}}, resource} */
static void backend_to_v1(struct fed_arena *a, struct fed_json *b)
{
    struct fed_json *name = fed_json_find(b, "serviceName"), *port = fed_json_find(b, "servicePort"), *svc, *ref;

    if (!name && !port)
        return;
    if (name)
        fed_json_remove(name);
    if (port)
        fed_json_remove(port);
    if (!fed_json_str(name).n && (!port || fed_json_int(port, 1) == 0))
        return; /* a resource backend with empty service fields */
    svc = fed_json_object(a);
    ref = fed_json_object(a);
    if (name)
        fed_json_set(svc, "name", name);
    if (port)
        fed_json_set(ref, port->type == FED_JSON_STRING ? "name" : "number", port);
    fed_json_set(svc, "port", ref);
    fed_json_set(b, "service", svc);
}

static void backend_to_beta(struct fed_arena *a, struct fed_json *b)
{
    struct fed_json *svc = fed_json_find(b, "service"), *name, *number, *port;

    if (!svc)
        return;
    name = fed_json_find(svc, "name");
    port = fed_json_find(svc, "port");
    number = fed_json_find(port, "number");
    if (!number || fed_json_int(number, 0) == 0)
        number = fed_json_find(port, "name");
    fed_json_remove(svc);
    if (name) {
        fed_json_remove(name);
        fed_json_set(b, "serviceName", name);
    }
    if (number) {
        fed_json_remove(number);
        fed_json_set(b, "servicePort", number);
    } else {
        fed_json_set(b, "servicePort", fed_json_new_int(a, 0));
    }
}

static void move_member(struct fed_json *obj, const char *from, const char *to)
{
    struct fed_json *v = fed_json_find(obj, from);

    if (!v)
        return;
    fed_json_remove(v);
    fed_json_set(obj, to, v);
}

int fed_convert_ingress(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                        const struct fed_kind_version *to, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec");
    bool to_v1 = to == fed_kind_storage(to->kind);
    void (*backend)(struct fed_arena *, struct fed_json *) = to_v1 ? backend_to_v1 : backend_to_beta;

    (void)ud;
    (void)from;
    (void)err;
    if (!spec || spec->type != FED_JSON_OBJECT)
        return 0;
    move_member(spec, to_v1 ? "backend" : "defaultBackend", to_v1 ? "defaultBackend" : "backend");
    backend(a, fed_json_find(spec, to_v1 ? "defaultBackend" : "backend"));
    FED_JSON_EACH(rule, fed_json_find(spec, "rules"))
        FED_JSON_EACH(path, fed_json_at(rule, "http", "paths", NULL))
            backend(a, fed_json_find(path, "backend"));
    return 0;
}
