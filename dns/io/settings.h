/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: the settings of hansa-dns and what the workers are given of them.
 *
 * A world is immutable: settings of names and answers, and the geography. A reload makes a new one and swaps; a bad
 * configuration is refused and the old world stays. Threads: made on the control thread, read by all. */
#ifndef GDNS_IO_SETTINGS_H
#define GDNS_IO_SETTINGS_H

#include "codec/settings.h"
#include "dns/answer/answer.h"

struct gdns_settings {
    const char *zone, *federation, *cluster, *region, *kubeconfig, *config_dir, *state, *objects;
    const char *geoip, *networks_file, *metrics, *nsid;
    struct fed_strings listen, host_zones, networks;
    int64_t ttl_ms, workers, probe_interval_ms, probe_timeout_ms;
    bool probes;
    int log_level;
};
extern const struct fed_settings gdns_settings_table;

struct gdns_world {
    struct fed_arena arena;
    struct gdns_settings set;
    struct fed_settings_result res;
    struct gdns_conf conf;
    struct fed_geo *geo; /* NULL: none configured */
    struct fed_addr listen[16];
    size_t n_listen;
};
/* Loads settings and makes a world. *exit_status: -1 to go on, else what main returns (help, check, error: printed). */
struct gdns_world *gdns_world_start(int argc, char **argv, int *exit_status);
/* The same without printing; NULL and err on failure. */
struct gdns_world *gdns_world_load(int argc, char **argv, struct fed_err *err);
void gdns_world_free(void *world);

#endif
