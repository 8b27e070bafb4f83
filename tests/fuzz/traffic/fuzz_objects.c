/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of the federation as DNS server and balancer watch them, in whatever shape: a snapshot of routing state comes of them, or
 * nothing does. And the tables of networks and places.
 *
 * Input: YAML documents. */
#include <stdint.h>

#include "support/test_env.h"
#include "traffic/builder.h"
#include "traffic/geo.h"
#include "traffic/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void geo(struct fed_str text)
{
    struct fed_arena a = {0};
    struct fed_geo *g = NULL;
    struct fed_addr client;
    struct fed_place place;
    double lat, lon;
    const char *line = fed_arena_dupz(&a, text);
    struct fed_geo_conf conf = {.networks = &line, .n_networks = 1};
    if (fed_geo_parse_coordinates(text, &lat, &lon) == 0)
        FED_REQUIRE(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180);
    FED_REQUIRE(fed_addr_parse(FED_STR("192.0.2.9"), 0, &client) == 0);
    if (fed_geo_new(&conf, &g, NULL) == 0)
        fed_geo_locate(g, &client, &place);
    fed_geo_free(g);
    fed_arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct test_env t;
    struct fed_routing routing;
    struct fed_targets *targets = fed_targets_new();
    if (size < 200)
        geo(text);
    test_env_init(&t, 1);
    fed_routing_init(&routing, 1);
    struct fed_builder *b = fed_builder_new(&(struct fed_builder_conf){.env = &t.env,
                                                                       .routing = &routing,
                                                                       .targets = targets,
                                                                       .own_cluster = "a",
                                                                       .local_endpoints = true,
                                                                       .secrets = true});
    (void)!fed_builder_put_yaml(b, text, NULL);
    fed_builder_flush(b);
    const struct fed_snapshot *s = fed_routing_current(&routing);
    for (size_t i = 0; s && i < s->n_services; i++)
        FED_REQUIRE(fed_snapshot_service(s, s->services[i]->ns, s->services[i]->name) == s->services[i]);
    (void)!fed_builder_replace_yaml(b, text, NULL);
    fed_builder_flush(b);
    fed_builder_free(b);
    fed_routing_release(&routing);
    fed_targets_free(targets);
    test_env_release(&t);
    return 0;
}
