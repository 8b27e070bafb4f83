/* SPDX-License-Identifier: Apache-2.0 */
/* edge_priv.h: the edge's state, for edge.c and edge_page.c. */
#ifndef FED_TRAFFIC_EDGE_PRIV_H
#define FED_TRAFFIC_EDGE_PRIV_H

#include "base/file.h"
#include "traffic/edge.h"

struct fed_edge {
    char *component, *user_agent, *own_cluster, *kubeconfig, *objects, *state_file;
    struct fed_loop *loop;
    struct fed_routing *routing;
    struct fed_targets *targets;
    struct fed_builder *builder;
    struct fed_prober *prober; /* NULL: nobody probes */
    struct fed_transport *transport;
    struct fed_file_stamp kubeconfig_seen, objects_seen;
    unsigned polls;
};

#endif
