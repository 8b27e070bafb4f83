/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: the table of hansa-globallb's settings and what the parts of the program make of them.
 * A loaded set is immutable and owns its strings (arena). */
#ifndef GLB_IO_SETTINGS_H
#define GLB_IO_SETTINGS_H

#include "codec/settings.h"
#include "globallb/io/worker.h"

struct glb_settings { /* filled by the table */
    struct fed_strings listen, listen_tls, classes;
    const char *cluster, *region, *zone, *federation, *kubeconfig, *config_dir, *state, *objects, *metrics;
    const char *tls_cert, *tls_key;
    bool probes, access_log;
    int64_t probe_interval_ms, probe_timeout_ms;
    int64_t workers, max_clients, max_body, tries, max_in_flight, max_in_flight_per_pod;
    int64_t connect_ms, hedge_min_ms, hedge_max_ms, response_ms, stall_ms, idle_ms, head_ms, upstream_idle_ms, grace_ms;
    int64_t retry_percent, retry_per_second;
    int log_level;
};
extern const struct fed_settings glb_settings_table;

struct glb_setup {
    struct fed_arena arena;
    struct glb_settings set;
    struct fed_settings_result res;
    struct fed_addr plain[GLB_MAX_LISTEN], tls[GLB_MAX_LISTEN];
    size_t n_plain, n_tls;
    struct glb_limits limits;
};
/* New, or NULL with err set. */
struct glb_setup *glb_setup_load(int argc, char **argv, struct fed_err *err);
void glb_setup_free(struct glb_setup *s);
/* The same at the start of the program: --help, --check and errors are printed; NULL with *exit_status then. */
struct glb_setup *glb_setup_start(int argc, char **argv, int *exit_status);

#endif
