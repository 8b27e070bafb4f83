/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "kube/status.h"
#include "member/podinfo.h"
#include "member/streams/streams.h"

enum { HTTP_PORT = 80, HTTPS_PORT = 443 };

void mbr_unavailable(struct fed_api_reply *reply, const char *fmt, ...)
{
    char text[1024];
    struct fed_buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    fed_status_write(&b, FED_E_UNAVAILABLE, text, NULL);
    fed_api_reply_text(reply, 503, "application/json", fed_buf_str(&b));
    fed_buf_release(&b);
}

/* NAME, NAME:PORT or SCHEME:NAME:PORT (the port may be empty). */
bool mbr_name_split(struct fed_str text, struct mbr_name *out)
{
    struct fed_str rest = text, part[3];
    size_t n = 0;
    while (n < 3 && fed_str_cut(&rest, ':', &part[n]))
        n++;
    if (rest.p || !n)
        return false;
    *out = (struct mbr_name){.scheme = n == 3 ? part[0] : FED_STR(""), .name = n == 3 ? part[1] : part[0]};
    if (n > 1)
        out->port = part[n - 1];
    return out->name.n && (!out->scheme.n || fed_str_is(out->scheme, "http") || fed_str_is(out->scheme, "https"));
}

static bool split_or_refuse(const struct fed_api_request *req, struct fed_api_reply *reply, const char *what,
                            struct mbr_name *n, struct mbr_backend *out)
{
    bool ok = mbr_name_split(req->name, n);
    if (!ok)
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "invalid %s request \"%.*s\"", what, FED_STR_ARG(req->name));
    else
        out->tls = fed_str_is(n->scheme, "https");
    return ok;
}

static bool port_or_refuse(struct fed_api_reply *reply, struct fed_str text, uint16_t *port)
{
    uint64_t n;
    if (fed_str_u64(text, &n) < 0 || n < 1 || n > UINT16_MAX) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "invalid port \"%.*s\"", FED_STR_ARG(text));
        return false;
    }
    *port = (uint16_t)n;
    return true;
}

/* As Kubernetes, which lets nobody reach its own host through the proxy: here, what is not of this cluster on it. */
static bool is_allowed(const struct mbr *m, const struct fed_addr *a)
{
    const uint8_t *ip = (const uint8_t *)&a->in.sin_addr;
    if (a->sa.sa_family != AF_INET)
        return !fed_addr_is_loopback(a);
    return !(ip[0] == 169 && ip[1] == 254) && ip[0] < 224 && ip[0] != 0 && (ip[0] != 127 || ip[1] == m->range.x);
}

static bool parse_or_refuse(const struct mbr *m, struct fed_api_reply *reply, struct fed_str ip, uint16_t port,
                            struct fed_addr *out)
{
    if (fed_addr_parse(ip, port, out) == 0 && is_allowed(m, out))
        return true;
    fed_api_reply_error(reply, FED_E_BAD_REQUEST, "address not allowed");
    return false;
}

/* The first port that a container declares. */
static uint16_t first_port(const struct fed_json *tree, uint16_t otherwise)
{
    FED_JSON_EACH(c, fed_json_at(tree, "spec", "containers", NULL)) {
        const struct fed_json *ports = fed_json_find(c, "ports");
        if (ports && ports->first)
            return (uint16_t)fed_json_int(fed_json_find(ports->first, "containerPort"), otherwise);
    }
    return otherwise;
}

bool mbr_backend_of_pod(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                        struct mbr_backend *out)
{
    struct mbr_name n;
    uint16_t port;
    if (!split_or_refuse(req, reply, "pod", &n, out))
        return false;
    struct fed_kobj *pod = mbr_find(m, MBR_PODS, req->ns, n.name);
    if (!pod) {
        fed_api_reply_error(reply, FED_E_NOT_FOUND, "pods \"%.*s\" not found", FED_STR_ARG(n.name));
        return false;
    }
    const struct fed_json *tree = fed_kobj_parse(pod, req->arena);
    const struct mbr_pod *worker = m->agents ? fed_map_find(&m->agents->pods, pod->uid) : NULL;
    port = first_port(tree, out->tls ? HTTPS_PORT : HTTP_PORT);
    if (n.port.n && !port_or_refuse(reply, n.port, &port))
        return false;
    if (worker)
        port = mbr_pod_real_port(worker, port);
    return parse_or_refuse(m, reply, fed_json_str(fed_json_at(tree, "status", "podIP", NULL)), port, &out->addr);
}

/* The name of the port that is meant: given by number it is looked up in the Service. */
static bool port_name(const struct fed_json *tree, struct fed_str *port)
{
    uint64_t number;
    if (!port->n || fed_str_u64(*port, &number) < 0)
        return true;
    FED_JSON_EACH(p, fed_json_at(tree, "spec", "ports", NULL))
        if ((uint64_t)fed_json_int(fed_json_find(p, "port"), 0) == number) {
            *port = fed_json_find_text(p, "name");
            return true;
        }
    return false;
}

/* One of the ready addresses that have a port of that name, chosen by chance. */
static bool choose(struct mbr *m, const struct fed_json *endpoints, struct fed_str port, struct fed_addr *out)
{
    uint64_t seen = 0;
    FED_JSON_EACH(set, fed_json_find(endpoints, "subsets"))
        FED_JSON_EACH(p, fed_json_find(set, "ports")) {
            uint16_t number = (uint16_t)fed_json_int(fed_json_find(p, "port"), 0);
            if (!fed_str_eq(fed_json_find_text(p, "name"), port))
                continue;
            FED_JSON_EACH(a, fed_json_find(set, "addresses")) {
                struct fed_addr addr;
                if (fed_addr_parse(fed_json_find_text(a, "ip"), number, &addr) == 0 && is_allowed(m, &addr) &&
                    fed_random_below(m->env, ++seen) == 0)
                    *out = addr;
            }
        }
    return seen > 0;
}

bool mbr_backend_of_service(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                            struct mbr_backend *out)
{
    struct mbr_name n;
    if (!split_or_refuse(req, reply, "service", &n, out))
        return false;
    struct fed_kobj *svc = mbr_find(m, MBR_SERVICES, req->ns, n.name);
    struct fed_kobj *endpoints = mbr_find(m, MBR_ENDPOINTS, req->ns, n.name);
    struct fed_str port = n.port;
    if (!svc) {
        fed_api_reply_error(reply, FED_E_NOT_FOUND, "services \"%.*s\" not found", FED_STR_ARG(n.name));
        return false;
    }
    if (!port_name(fed_kobj_parse(svc, req->arena), &port)) {
        mbr_unavailable(reply, "no service port %.*s found for service \"%.*s\"", FED_STR_ARG(n.port),
                        FED_STR_ARG(n.name));
        return false;
    }
    if (endpoints && choose(m, fed_kobj_parse(endpoints, req->arena), port, &out->addr))
        return true;
    bool any = endpoints && fed_json_find(fed_kobj_parse(endpoints, req->arena), "subsets");
    mbr_unavailable(reply, "no endpoints available for service \"%.*s\"", FED_STR_ARG(any ? req->name : n.name));
    return false;
}

bool mbr_backend_of_node(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                         struct mbr_backend *out, bool *agent)
{
    struct mbr_name n;
    uint16_t port = 0;
    if (!split_or_refuse(req, reply, "node", &n, out))
        return false;
    struct fed_kobj *node = mbr_find(m, MBR_NODES, FED_STR(""), n.name);
    if (!node) {
        fed_api_reply_error(reply, FED_E_NOT_FOUND, "nodes \"%.*s\" not found", FED_STR_ARG(n.name));
        return false;
    }
    *agent = !n.port.n;
    if (*agent)
        return true;
    if (!port_or_refuse(reply, n.port, &port))
        return false;
    struct fed_str ip = FED_STR("");
    FED_JSON_EACH(a, fed_json_at(fed_kobj_parse(node, req->arena), "status", "addresses", NULL))
        if (!ip.n && fed_str_is(fed_json_find_text(a, "type"), "InternalIP"))
            ip = fed_json_find_text(a, "address");
    return parse_or_refuse(m, reply, ip, port, &out->addr);
}
