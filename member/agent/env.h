/* SPDX-License-Identifier: Apache-2.0 */
/* env.h: the environment and command line of a container, as the kubelet makes them. Pure. */
#ifndef MEMBER_AGENT_ENV_H
#define MEMBER_AGENT_ENV_H

#include "kube/obj.h"

struct mbr_vars { /* arena-owned; names are unique, in order of first appearance */
    struct fed_kv *v;
    size_t n, cap;
};
struct mbr_env_sources {
    struct fed_arena *a;
    const struct fed_json *pod; /* whole object */
    struct fed_str pod_ip, host_ip;
    int64_t node_cpu_milli, node_memory; /* stand in for absent limits */
    /* Trees of the pod's namespace, NULL: absent. */
    const struct fed_json *(*config_map)(void *ud, struct fed_str name);
    const struct fed_json *(*secret)(void *ud, struct fed_str name); /* data base64 */
    void *ud;
};
void mbr_vars_set(struct fed_arena *a, struct mbr_vars *vars, struct fed_str name, struct fed_str value);
struct fed_str mbr_vars_find(const struct mbr_vars *vars, struct fed_str name); /* p == NULL: absent */
/* $(NAME) becomes its value where NAME is set, "$$" before a parenthesis becomes "$". */
struct fed_str mbr_env_expand(struct fed_arena *a, struct fed_str text, const struct mbr_vars *vars);
/* Adds what container.envFrom and container.env say. FED_E_NOT_FOUND: a ConfigMap, Secret or key is missing. */
FED_MUST_USE int mbr_env_build(const struct mbr_env_sources *src, const struct fed_json *container,
                               struct mbr_vars *vars, struct fed_err *err);
/* The variables of one Service: REDIS_SERVICE_HOST, REDIS_PORT_6379_TCP… */
void mbr_env_service(struct fed_arena *a, struct mbr_vars *vars, struct fed_str name, struct fed_str ip,
                     const struct fed_json *ports);
/* A field of the downward API ("metadata.labels['app']", "status.podIP"); FED_E_UNSUPPORTED. */
FED_MUST_USE int mbr_field_text(const struct mbr_env_sources *src, struct fed_str path, struct fed_str *out,
                                struct fed_err *err);
FED_MUST_USE int mbr_resource_text(const struct mbr_env_sources *src, const struct fed_json *container,
                                   const struct fed_json *ref, struct fed_str *out, struct fed_err *err);
/* Rewrites text that equals `target` or begins with "target/" so that it begins with `source`. */
struct fed_str mbr_rewrite_path(struct fed_arena *a, struct fed_str text, struct fed_str target, struct fed_str source);

#endif
