/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/edges.h"

#include "fedctl/plan.h"
#include "kube/obj.h"

static int64_t port_number(const struct fed_json *slice, const char *name)
{
    FED_JSON_EACH(port, fed_json_find(slice, "ports"))
        if (fed_str_is(fed_json_find_text(port, "name"), name))
            return fed_json_int(fed_json_find(port, "port"), 0);
    return 0;
}

struct fctl_edge fctl_find_edge(struct fed_arena *a, const struct fed_json *slices, const char *service,
                                const char *cluster, const char *port)
{
    struct fctl_edge edge = {0};
    FED_JSON_EACH(slice, fed_json_find(slices, "items")) {
        int64_t number = port_number(slice, port);
        if (!fed_str_is(fed_obj_label(slice, "multicluster.kubernetes.io/service-name"), service) ||
            !fed_str_is(fed_obj_label(slice, "multicluster.kubernetes.io/source-cluster"), cluster) ||
            !fed_str_is(fed_obj_label(slice, "federation.hansa.io/scope"), "global") || !number)
            continue;
        FED_JSON_EACH(endpoint, fed_json_find(slice, "endpoints")) {
            struct fed_str ip = fed_json_str(fed_json_item(fed_json_find(endpoint, "addresses"), 0));
            bool ready = fed_json_bool(fed_json_at(endpoint, "conditions", "ready", NULL), true);
            if (!ip.n || (edge.address && (edge.ready || !ready)))
                continue;
            bool six = fed_str_chr(ip, ':', 0) >= 0;
            edge.address =
                fed_arena_printf(a, "%s%.*s%s:%lld", six ? "[" : "", FED_STR_ARG(ip), six ? "]" : "", (long long)number)
                    .p;
            edge.ready = ready;
        }
    }
    return edge;
}

const char *fctl_cluster_ready(struct fed_arena *a, const struct fed_json *cluster, const char **why)
{
    const struct fed_json *status = fed_json_find(cluster, "status");
    const struct fed_json *ready = fed_obj_condition(status, "Ready"), *offline = fed_obj_condition(status, "Offline");
    *why = "";
    if (fed_str_is(fed_json_find_text(ready, "status"), "True")) {
        *why = fed_str_is(fed_obj_annotation(cluster, FCTL_ANN_CORDONED), "true") ? "cordoned" : "";
        return "True";
    }
    const struct fed_json *told = fed_str_is(fed_json_find_text(offline, "status"), "True") || !ready ? offline : ready;
    struct fed_str reason = fed_json_find_text(told, "reason"), text = fed_json_find_text(told, "message");
    if (!told)
        return "Unknown";
    *why = fed_arena_printf(a, "%.*s: %.*s", FED_STR_ARG(reason), FED_STR_ARG(text)).p;
    return "False";
}
