/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: `kubefed status`: the clusters of a federation, their health, and where their DNS servers and balancers
 * listen, in one table. */
#include "base/mem.h"
#include "fedctl/edges.h"
#include "fedctl/fedctl.h"

struct status_conf {
    struct fctl_common common;
};

static const struct fed_setting rows[] = {
    FCTL_FEDERATION_ROW(status_conf), FCTL_CONTEXT_ROW(status_conf),    FCTL_HARMLESS_ROW(status_conf),
    FCTL_HOST_ROW(status_conf),       FCTL_KUBECONFIG_ROW(status_conf),
};
static const struct fed_settings settings = {.program = "kubefed status",
                                             .summary = "Shows a federation's clusters, their health and addresses",
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static const char *or_dash(const char *text)
{
    return text && text[0] ? text : "-";
}

static void show(struct fctl *c, const struct fed_json *cluster, const struct fed_json *slices)
{
    struct fed_arena *a = &c->arena;
    const char *name = fed_arena_dupz(a, fed_obj_name(cluster)), *why = NULL;
    const struct fed_json *status = fed_json_find(cluster, "status");
    struct fed_str region = fed_obj_annotation(cluster, FCTL_ANN_REGION),
                   zone = fed_obj_annotation(cluster, FCTL_ANN_ZONE);
    struct fctl_edge dns = fctl_find_edge(a, slices, "dns", name, "dns");
    struct fctl_edge lb = fctl_find_edge(a, slices, "globallb", name, "http");
    if (!region.n)
        region = fed_json_find_text(status, "region");
    if (!zone.n)
        zone = fed_json_str(fed_json_item(fed_json_find(status, "zones"), 0));
    const char *ready = fctl_cluster_ready(a, cluster, &why);
    fctl_say(c, "%-20s %-8s %-16s %-18s %-24s %*s%s%s", name, ready, or_dash(fed_arena_dupz(a, region)),
             or_dash(fed_arena_dupz(a, zone)), or_dash(dns.address), why[0] ? -24 : 0, or_dash(lb.address),
             why[0] ? " " : "", why);
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct status_conf *f = conf;
    struct fed_kubeconfig *k = NULL;
    struct fctl_api *hub = NULL;
    const char *name = NULL;
    struct fed_json *clusters = NULL, *slices = NULL;
    int code = fctl_kubeconfig_load(c, &f->common, &k, err);
    if (!code)
        code = fctl_open_federation(c, k, &f->common, &hub, &name, err);
    if (!code)
        code = fctl_list(hub, &fctl_clusters, "", "", &clusters, err);
    if (!code)
        code = fctl_list(hub, &fctl_slices, FCTL_EDGE_NS, "", &slices, err);
    if (!code) {
        fctl_say(c, "Federation \"%s\" at %s", name, hub->rest.server);
        fctl_say(c, "%-20s %-8s %-16s %-18s %-24s %s", "CLUSTER", "READY", "REGION", "ZONE", "DNS", "BALANCER");
        FED_JSON_EACH(cluster, fed_json_find(clusters, "items"))
            show(c, cluster, slices);
    }
    fed_kubeconfig_free(k);
    return code;
}

const struct fctl_verb fctl_verb_status = {.name = "status",
                                           .settings = &settings,
                                           .conf_size = sizeof(struct status_conf),
                                           .examples = "  kubefed status\n  kubefed status --federation-context=fed",
                                           .run = run};
