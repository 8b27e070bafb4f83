/* SPDX-License-Identifier: Apache-2.0 */
#include "traffic/edge.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "kube/remote.h"
#include "traffic/edge_priv.h"

#define MAX_OBJECTS   (256u << 20)
#define FORGIVE_POLLS 10

/* --- what others tell --- */

static const char *health_name(enum fed_health h)
{
    return h == FED_HEALTH_UP ? "up" : h == FED_HEALTH_DOWN ? "down" : "unknown";
}

static void on_target(void *ud, const struct fed_target *t, enum fed_health was)
{
    struct fed_edge *e = ud;
    char text[64];
    enum fed_health now = fed_target_health(t);
    if (was == FED_HEALTH_UNKNOWN && now == FED_HEALTH_UP)
        return;
    fed_addr_format(&t->addr, text);
    fed_log_info(e->component, "target %s target=%s cluster=%.*s was=%s", health_name(now), text,
                 FED_STR_ARG(fed_targets_slot_name(e->targets, t->cluster)), health_name(was));
}

static void on_cluster(void *ud, uint16_t slot, enum fed_health was, enum fed_health now)
{
    struct fed_edge *e = ud;
    struct fed_str name = fed_targets_slot_name(e->targets, slot);
    if (now == FED_HEALTH_DOWN)
        fed_log_warn(e->component, "cluster is lost: all its edge servers are silent cluster=%.*s", FED_STR_ARG(name));
    else if (was == FED_HEALTH_DOWN)
        fed_log_info(e->component, "cluster is back cluster=%.*s", FED_STR_ARG(name));
}

/* --- files that may change --- */

static bool changed(const char *path, struct fed_file_stamp *seen)
{
    struct fed_file_stamp now;
    if (!fed_file_stamp(path, &now) || memcmp(&now, seen, sizeof(now)) == 0)
        return false;
    *seen = now;
    return true;
}

static void read_objects(struct fed_edge *e)
{
    struct fed_buf text = {0};
    struct fed_err err = {0};
    if (!e->objects || !changed(e->objects, &e->objects_seen))
        return;
    int rc = fed_file_read(e->objects, MAX_OBJECTS, &text, &err);
    if (!rc)
        rc = fed_builder_replace_yaml(e->builder, fed_buf_str(&text), &err);
    if (rc)
        fed_log_error(e->component, "objects not read file=%s error=\"%s\"", e->objects, err.text);
    else
        fed_log_info(e->component, "serving objects file=%s", e->objects);
    fed_buf_release(&text);
}

static void watch_federation(struct fed_edge *e)
{
    struct fed_kubeconfig *k = NULL;
    struct fed_rest_conf rest = {0};
    struct fed_transport *t = NULL;
    struct fed_err err = {0};
    if (e->objects || !e->kubeconfig || !changed(e->kubeconfig, &e->kubeconfig_seen))
        return;
    int rc = fed_kubeconfig_load(e->kubeconfig, NULL, "/", &k, &err);
    if (!rc)
        rc = fed_kubeconfig_rest(k, NULL, &rest, &err);
    if (!rc)
        rc = fed_remote_new(e->loop,
                            &(struct fed_remote_conf){.name = "federation", .rest = rest, .user_agent = e->user_agent},
                            &t, &err);
    if (rc) {
        fed_log_error(e->component, "credentials not usable file=%s error=\"%s\"", e->kubeconfig, err.text);
    } else {
        fed_log_info(e->component, "watching the federation server=%s", rest.server);
        fed_builder_watch(e->builder, t);
        fed_transport_free(e->transport);
        e->transport = t;
    }
    fed_rest_conf_release(&rest);
    fed_kubeconfig_free(k);
}

static void forgive(void *ud, struct fed_target *t)
{
    (void)ud;
    if (fed_target_health(t) == FED_HEALTH_DOWN) {
        atomic_store_explicit(&t->passive_fails, 0, memory_order_relaxed);
        atomic_store_explicit(&t->word, FED_HEALTH_UNKNOWN, memory_order_relaxed);
    }
}

void fed_edge_poll(struct fed_edge *e)
{
    read_objects(e);
    watch_federation(e);
    if (!e->prober && ++e->polls % FORGIVE_POLLS == 0)
        fed_targets_each(e->targets, forgive, NULL);
}

void fed_edge_flush(struct fed_edge *e)
{
    if (atomic_load(&e->routing->current))
        fed_builder_flush(e->builder);
}

/* --- life --- */

static char *copy(const char *z)
{
    return z && *z ? fed_strdup(z) : NULL;
}

static void restore(struct fed_edge *e)
{
    struct fed_err err = {0};
    int rc = fed_builder_restore(e->builder, &err);
    if (!rc)
        fed_log_info(e->component, "serving the saved snapshot file=%s", e->state_file);
    else if (rc != FED_E_NOT_FOUND)
        fed_log_warn(e->component, "saved snapshot ignored error=\"%s\"", err.text);
}

static char *state_file(const struct fed_edge_conf *conf)
{
    struct fed_err err;
    if (!conf->state_dir || !*conf->state_dir || conf->objects)
        return NULL;
    if (fed_file_mkdirs(conf->state_dir, 0700, &err))
        fed_log_warn(conf->component, "snapshots are not saved error=\"%s\"", err.text);
    return fed_asprintf("%s/snapshot", conf->state_dir);
}

struct fed_edge *fed_edge_new(const struct fed_edge_conf *conf)
{
    struct fed_edge *e = FED_NEW(struct fed_edge);
    e->component = fed_strdup(conf->component);
    e->user_agent = fed_strdup(conf->user_agent);
    e->own_cluster = copy(conf->own_cluster);
    e->kubeconfig = copy(conf->kubeconfig);
    e->objects = copy(conf->objects);
    e->state_file = state_file(conf);
    e->loop = conf->loop;
    e->routing = conf->routing;
    e->targets = conf->targets;
    e->builder = fed_builder_new(&(struct fed_builder_conf){
        .env = fed_loop_env(conf->loop),
        .loop = conf->loop,
        .routing = conf->routing,
        .targets = conf->targets,
        .own_cluster = e->own_cluster,
        .state_file = e->state_file,
        .local_endpoints = conf->local_endpoints,
        .secrets = conf->secrets,
        .derive = conf->derive,
        .derive_free = conf->derive_free,
        .ud = conf->ud,
    });
    if (e->state_file)
        restore(e);
    read_objects(e);
    if (conf->probes)
        e->prober = fed_prober_new(&(struct fed_prober_conf){
            .loop = conf->loop,
            .targets = conf->targets,
            .own_cluster = e->own_cluster,
            .interval_ms = conf->probe_interval_ms,
            .timeout_ms = conf->probe_timeout_ms,
            .changed = on_target,
            .cluster_changed = on_cluster,
            .ud = e,
        });
    watch_federation(e);
    return e;
}

void fed_edge_free(struct fed_edge *e)
{
    if (!e)
        return;
    if (e->prober)
        fed_prober_free(e->prober);
    fed_builder_save(e->builder);
    fed_builder_free(e->builder);
    fed_transport_free(e->transport);
    free(e->component);
    free(e->user_agent);
    free(e->own_cluster);
    free(e->kubeconfig);
    free(e->objects);
    free(e->state_file);
    free(e);
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

bool fed_edge_same(const struct fed_edge_conf *a, const struct fed_edge_conf *b)
{
    return same(a->own_cluster, b->own_cluster) && same(a->kubeconfig, b->kubeconfig) && same(a->objects, b->objects) &&
           a->probes == b->probes && a->probe_interval_ms == b->probe_interval_ms &&
           a->probe_timeout_ms == b->probe_timeout_ms;
}
