/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/place.h"

#include <stdlib.h>

#define MAX_ZONES 64

struct found { /* of the nodes */
    struct fed_str region, zones[MAX_ZONES];
    size_t n_zones;
};

static struct fed_str topology_label(const struct fed_kobj *node, const char *modern, const char *beta)
{
    struct fed_str v = fed_kobj_label(node, modern);
    return v.n ? v : fed_kobj_label(node, beta);
}

static void add_zone(struct found *f, struct fed_str zone)
{
    if (zone.n && f->n_zones < MAX_ZONES)
        f->n_zones = fed_str_insert(f->zones, f->n_zones, zone);
}

static bool look_at_node(void *ud, struct fed_kobj *node)
{
    struct found *f = ud;
    if (!f->region.n)
        f->region = topology_label(node, "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region");
    add_zone(f, topology_label(node, "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"));
    return true;
}

/* Puts region and zones into the status when they are known; unknown ones stay as they are. */
static void set_place(struct fed_arena *a, const struct fapi_member *m, const struct fed_kobj *object,
                      struct fed_json *status)
{
    struct found found = {0};
    struct fed_str region = fed_kobj_annotation(object, FAPI_ANN_REGION);
    struct fed_str zone = fed_kobj_annotation(object, FAPI_ANN_ZONE);
    if (m->nodes && fed_informer_synced(m->nodes))
        fed_informer_each(m->nodes, (struct fed_str){0}, look_at_node, &found);
    if (region.n)
        found.region = region;
    if (zone.n) {
        found.n_zones = 0;
        add_zone(&found, zone);
    }
    if (found.region.n)
        fed_json_set(status, "region", fed_json_new_str(a, found.region));
    if (found.n_zones) {
        struct fed_json *zones = fed_json_array(a);
        for (size_t i = 0; i < found.n_zones; i++)
            fed_json_push(zones, fed_json_new_str(a, found.zones[i]));
        fed_json_set(status, "zones", zones);
    }
}

struct fed_json *fapi_place_status(struct fed_arena *a, const struct fapi_member *m, const struct fed_kobj *object)
{
    struct fed_json *was = fed_json_find(fed_kobj_parse(object, a), "status");
    struct fed_json *status = was && was->type == FED_JSON_OBJECT ? fed_json_copy(a, was) : fed_json_object(a);
    struct fed_json *patch = fed_json_object(a);
    int64_t now = fed_wall_ms(m->fed->env);
    const char *ready = m->health == FAPI_READY ? "True" : m->health == FAPI_UNKNOWN ? "Unknown" : "False";
    const char *offline = m->health == FAPI_OFFLINE ? "True" : m->health == FAPI_UNKNOWN ? "Unknown" : "False";
    const char *reason = m->reason ? m->reason : "NotProbedYet";
    struct fed_str message = fed_str(m->message ? m->message : "the cluster has not answered yet");
    /* After a restart the last verdict stands until there is a new one. */
    bool keep = m->health == FAPI_UNKNOWN && fed_obj_condition(status, "Ready");
    bool changed = !keep && fed_obj_set_condition(a, status, "Ready", ready, reason, message, now);
    changed |= !keep &&
               fed_obj_set_condition(
                   a, status, "Offline", offline,
                   m->health == FAPI_OFFLINE || m->health == FAPI_UNKNOWN ? reason : "ClusterReachable", message, now);
    set_place(a, m, object, status);
    if (!changed && was && fed_json_equal(fed_json_find(was, "zones"), fed_json_find(status, "zones")) &&
        fed_json_equal(fed_json_find(was, "region"), fed_json_find(status, "region")))
        return NULL;
    fed_json_set(patch, "status", status);
    return patch;
}

static bool same_labels(const struct fed_kobj *a, const struct fed_kobj *b)
{
    if (a->n_labels != b->n_labels)
        return false;
    for (size_t i = 0; i < a->n_labels; i++)
        if (!fed_str_eq(a->labels[i].key, b->labels[i].key) || !fed_str_eq(a->labels[i].value, b->labels[i].value))
            return false;
    return true;
}

bool fapi_place_same_labels(const struct fed_kobj *a, const struct fed_kobj *b)
{
    return a->generation == b->generation && same_labels(a, b);
}

bool fapi_place_same_node(const struct fed_kobj *a, const struct fed_kobj *b)
{
    struct fed_arena arena = {0};
    const struct fed_json *x = fed_kobj_parse(a, &arena), *y = fed_kobj_parse(b, &arena);
    const struct fed_json *sx = fed_json_find(x, "status"), *sy = fed_json_find(y, "status");
    bool same = same_labels(a, b) && fed_json_equal(fed_json_find(x, "spec"), fed_json_find(y, "spec")) &&
                fed_json_equal(fed_json_find(sx, "addresses"), fed_json_find(sy, "addresses")) &&
                fed_str_eq(fed_json_find_text(fed_obj_condition(sx, "Ready"), "status"),
                           fed_json_find_text(fed_obj_condition(sy, "Ready"), "status"));
    fed_arena_release(&arena);
    return same;
}

bool fapi_place_has_objects(const struct fapi_member *m)
{
    FAPI_KIND_EACH(k, m->fed)
        if (fapi_member_has_any(m, k))
            return true;
    return false;
}
