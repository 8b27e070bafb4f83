/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c: what keeps the snapshot: builder, prober, connection to the federation. */
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/io/server_priv.h"
#include "dns/zone/zone.h"

#define MAX_OBJECTS (256u << 20)

bool gdns_stamp_file(const char *path, struct gdns_stamp *out)
{
    struct stat st;
    memset(out, 0, sizeof(*out));
    if (!path || stat(path, &st))
        return false;
    out->mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    out->size = (uint64_t)st.st_size;
    out->inode = st.st_ino;
    return true;
}

/* --- hooks --- */

static void *derive(void *ud, const struct fed_snapshot *s, const struct fed_snapshot *prev)
{
    struct gdns_server *d = ud;
    struct gdns_hosts *before = prev && !d->hosts_stale ? prev->derived : NULL;
    d->hosts_stale = false;
    return gdns_hosts_new(&d->world->conf.zones, s, before);
}

static void derive_free(void *ud, void *derived)
{
    (void)ud;
    gdns_hosts_unref(derived);
}

static const char *health_name(enum fed_health h)
{
    return h == FED_HEALTH_UP ? "up" : h == FED_HEALTH_DOWN ? "down" : "unknown";
}

static void on_target(void *ud, const struct fed_target *t, enum fed_health was)
{
    struct gdns_server *s = ud;
    char text[64];
    enum fed_health now = fed_target_health(t);
    if (was == FED_HEALTH_UNKNOWN && now == FED_HEALTH_UP)
        return;
    fed_addr_format(&t->addr, text);
    fed_log_info(GDNS_LOG, "target %s target=%s cluster=%.*s was=%s", health_name(now), text,
                 FED_STR_ARG(fed_targets_slot_name(s->targets, t->cluster)), health_name(was));
}

static void on_cluster(void *ud, uint16_t slot, enum fed_health was, enum fed_health now)
{
    struct gdns_server *s = ud;
    struct fed_str name = fed_targets_slot_name(s->targets, slot);
    if (now == FED_HEALTH_DOWN)
        fed_log_warn(GDNS_LOG, "cluster is lost: all its edge servers are silent cluster=%.*s", FED_STR_ARG(name));
    else if (was == FED_HEALTH_DOWN)
        fed_log_info(GDNS_LOG, "cluster is back cluster=%.*s", FED_STR_ARG(name));
}

/* --- engine --- */

static void restore(struct gdns_server *s)
{
    struct fed_err err = {0};
    int rc = fed_builder_restore(s->builder, &err);
    if (!rc)
        fed_log_info(GDNS_LOG, "serving the saved snapshot file=%s", s->state_file);
    else if (rc != FED_E_NOT_FOUND)
        fed_log_warn(GDNS_LOG, "saved snapshot ignored error=\"%s\"", err.text);
}

static char *state_file(const struct gdns_settings *set)
{
    struct fed_err err;
    if (!set->state || set->objects)
        return NULL;
    if (fed_file_mkdirs(set->state, 0700, &err))
        fed_log_warn(GDNS_LOG, "snapshots are not saved error=\"%s\"", err.text);
    return fed_asprintf("%s/snapshot", set->state);
}

void gdns_engine_start(struct gdns_server *s)
{
    const struct gdns_settings *set = &s->world->set;
    s->engine_cluster = set->cluster ? fed_strdup(set->cluster) : NULL;
    s->state_file = state_file(set);
    s->targets = fed_targets_new();
    s->builder = fed_builder_new(&(struct fed_builder_conf){
        .env = s->env,
        .loop = s->loop,
        .routing = &s->shared.routing,
        .targets = s->targets,
        .own_cluster = s->engine_cluster,
        .state_file = s->state_file,
        .derive = derive,
        .derive_free = derive_free,
        .ud = s,
    });
    if (s->state_file)
        restore(s);
    gdns_engine_objects(s);
    if (set->probes)
        s->prober = fed_prober_new(&(struct fed_prober_conf){
            .loop = s->loop,
            .targets = s->targets,
            .own_cluster = s->engine_cluster,
            .interval_ms = (uint32_t)set->probe_interval_ms,
            .timeout_ms = (uint32_t)set->probe_timeout_ms,
            .changed = on_target,
            .cluster_changed = on_cluster,
            .ud = s,
        });
    gdns_engine_connect(s);
}

static void free_targets(void *targets)
{
    fed_targets_free(targets);
}

void gdns_engine_stop(struct gdns_server *s)
{
    fed_prober_free(s->prober);
    fed_builder_save(s->builder);
    fed_builder_free(s->builder);
    fed_transport_free(s->transport);
    /* Workers may still read the last snapshot and its targets: in this order they are freed after it. */
    fed_epochs_retire(s->shared.routing.epochs, s->targets, free_targets);
    free(s->engine_cluster);
    free(s->state_file);
    s->prober = NULL;
    s->builder = NULL;
    s->transport = NULL;
    s->targets = NULL;
    s->engine_cluster = s->state_file = NULL;
    memset(&s->kubeconfig_seen, 0, sizeof(s->kubeconfig_seen));
    memset(&s->objects_seen, 0, sizeof(s->objects_seen));
}

/* --- files that may change --- */

static bool changed(const char *path, struct gdns_stamp *seen)
{
    struct gdns_stamp now;
    if (!gdns_stamp_file(path, &now) || memcmp(&now, seen, sizeof(now)) == 0)
        return false;
    *seen = now;
    return true;
}

void gdns_engine_objects(struct gdns_server *s)
{
    const char *path = s->world->set.objects;
    if (!path || !changed(path, &s->objects_seen))
        return;
    struct fed_buf text = {0};
    struct fed_err err = {0};
    int rc = fed_file_read(path, MAX_OBJECTS, &text, &err);
    if (!rc)
        rc = fed_builder_replace_yaml(s->builder, fed_buf_str(&text), &err);
    if (rc)
        fed_log_error(GDNS_LOG, "objects not read file=%s error=\"%s\"", path, err.text);
    else
        fed_log_info(GDNS_LOG, "serving objects file=%s", path);
    fed_buf_release(&text);
}

void gdns_engine_connect(struct gdns_server *s)
{
    const char *path = s->world->set.kubeconfig;
    if (s->world->set.objects || !changed(path, &s->kubeconfig_seen))
        return;
    struct fed_kubeconfig *k = NULL;
    struct fed_rest_conf rest = {0};
    struct fed_transport *t = NULL;
    struct fed_err err = {0};
    int rc = fed_kubeconfig_load(path, NULL, "/", &k, &err);
    if (!rc)
        rc = fed_kubeconfig_rest(k, NULL, &rest, &err);
    if (!rc)
        rc = fed_remote_new(s->loop,
                            &(struct fed_remote_conf){.name = "federation", .rest = rest, .user_agent = "hansa-dns"},
                            &t, &err);
    if (rc) {
        fed_log_error(GDNS_LOG, "credentials not usable file=%s error=\"%s\"", path, err.text);
    } else {
        fed_log_info(GDNS_LOG, "watching the federation server=%s", rest.server);
        fed_builder_watch(s->builder, t);
        fed_transport_free(s->transport);
        s->transport = t;
    }
    fed_rest_conf_release(&rest);
    fed_kubeconfig_free(k);
}
