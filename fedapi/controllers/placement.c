/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/placement.h"

#include <inttypes.h>

#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/planner.h"
#include "kube/selector.h"

/* The annotation with the preferences of a kind whose replicas are divided; NULL: it is not. */
static const char *preferences_key(const struct fed_kobj *obj)
{
    if (fed_str_is(obj->kind, "Deployment"))
        return "federation.kubernetes.io/deployment-preferences";
    if (fed_str_is(obj->kind, "ReplicaSet"))
        return "federation.kubernetes.io/replica-set-preferences";
    return NULL;
}

static void select_clusters(struct fed_arena *a, const struct fed_str text, const struct fed_selector *sel,
                            const struct fapi_cluster *clusters, size_t n, struct fapi_placement *out)
{
    struct fed_buf words = {0};
    fed_selector_format(sel, &words);
    struct fed_str no = fed_arena_printf(a, "cluster selector %.*s does not match", FED_STR_ARG(fed_buf_str(&words)));
    struct fed_str yes = sel->n ? fed_arena_printf(a, "cluster selector %.*s matches", FED_STR_ARG(fed_buf_str(&words)))
                                : FED_STR("all clusters");
    for (size_t i = 0; i < n; i++) {
        struct fapi_spot *s = &out->spots[i];
        s->cluster = &clusters[i];
        s->selected = fed_selector_matches(sel, clusters[i].labels, clusters[i].n_labels);
        s->replicas = -1;
        s->why = s->selected ? yes : no;
        out->n_selected += s->selected;
    }
    if (out->n_selected == 0 && n > 0) {
        out->reason = "NoClusterMatches";
        out->message =
            fed_arena_printf(a, "none of %zu clusters matches the cluster selector %.*s", n, FED_STR_ARG(text));
    }
    fed_buf_release(&words);
}

static void divide(struct fed_arena *a, const struct fed_kobj *obj, int64_t replicas,
                   const struct fapi_preferences *prefs, struct fapi_placement *out)
{
    struct fapi_plan_cluster *cs = FED_ARENA_ARRAY(a, struct fapi_plan_cluster, out->n_selected + 1);
    struct fapi_spot **spots = FED_ARENA_ARRAY(a, struct fapi_spot *, out->n_selected + 1);
    struct fapi_plan plan;
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        const struct fapi_cluster *c = out->spots[i].cluster;
        if (!out->spots[i].selected)
            continue;
        spots[n] = &out->spots[i];
        cs[n++] =
            (struct fapi_plan_cluster){.name = c->name,
                                       .unusable = c->cordoned   ? "cordoned: no replicas"
                                                   : c->offline  ? "offline: its replicas are made up elsewhere"
                                                   : c->conflict ? "conflict: the cluster has an object of its own"
                                                                 : NULL,
                                       .current = c->current,
                                       .capacity = c->capacity};
    }
    fapi_plan(a, fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(obj->ns), FED_STR_ARG(obj->name)), replicas, cs, n, prefs,
              &plan);
    for (size_t i = 0; i < n; i++) {
        spots[i]->replicas = plan.parts[i].replicas;
        spots[i]->why = plan.parts[i].why;
    }
    if (plan.unplaced > 0 && !out->reason) {
        out->reason = "ReplicasUnplaced";
        out->message = fed_arena_printf(a, "%" PRId64 " of %" PRId64 " replicas find no cluster that may take them",
                                        plan.unplaced, replicas);
    }
}

static bool replicas_are_members(const struct fed_kobj *obj)
{
    return fed_str_is(fed_kobj_annotation(obj, FAPI_RETAIN_REPLICAS), "true") ||
           fed_kobj_annotation(obj, FAPI_HPA_TARGETS).n;
}

int fapi_place(struct fed_arena *a, const struct fed_kobj *obj, const struct fed_json *tree,
               const struct fapi_cluster *clusters, size_t n, struct fapi_placement *out, struct fed_err *err)
{
    struct fed_selector sel;
    struct fapi_preferences prefs;
    struct fed_err why = {0};
    struct fed_str text = fed_kobj_annotation(obj, FAPI_CLUSTER_SELECTOR);
    *out = (struct fapi_placement){.spots = FED_ARENA_ARRAY(a, struct fapi_spot, n + 1), .n = n};
    int code = fed_selector_from_annotation(a, text, &sel, err);
    if (code != 0)
        return code;
    select_clusters(a, text, &sel, clusters, n, out);
    const char *key = preferences_key(obj);
    if (!key || replicas_are_members(obj) || out->n_selected == 0)
        return 0;
    if (fapi_preferences_parse(a, fed_kobj_annotation(obj, key), &prefs, &why) != 0) {
        out->reason = "InvalidPreferences";
        out->message = fed_arena_printf(a, "annotation %s: %s; replicas are divided equally", key, why.text);
        fapi_preferences_default(a, &prefs);
    }
    divide(a, obj, fed_json_int(fed_json_at(tree, "spec", "replicas", NULL), 1), &prefs, out);
    return 0;
}
