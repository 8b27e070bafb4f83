/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/placement.h"

#include <inttypes.h>

#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/planner.h"
#include "fedapi/controllers/rounds.h"
#include "fedapi/controllers/spread.h"
#include "kube/selector.h"

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
        if (!out->spots[i].selected || out->spots[i].replicas >= 0)
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
    out->unplaced = plan.unplaced;
    if (plan.unplaced > 0 && !out->reason) {
        out->reason = "ReplicasUnplaced";
        out->message = fed_arena_printf(a, "%" PRId64 " of %" PRId64 " replicas find no cluster that may take them",
                                        plan.unplaced, replicas);
    }
}

/* What runs already keeps its part: only the rest is divided, among those that have none. Returns the rest. */
static int64_t keep_fixed(struct fapi_placement *out, int64_t number)
{
    for (size_t i = 0; i < out->n; i++) {
        struct fapi_spot *s = &out->spots[i];
        if (!s->selected || s->cluster->current < 0 || s->cluster->conflict)
            continue;
        s->replicas = s->cluster->current;
        s->why = FED_STR("keeps its part: what a Job is to complete cannot change");
        number -= s->replicas;
    }
    return FED_MAX(number, 0);
}

/* One cluster gets all: the one that has it, else the one with the largest part. */
static void gather(struct fapi_placement *out, int64_t number)
{
    struct fapi_spot *best = NULL;
    for (size_t i = 0; i < out->n; i++) {
        struct fapi_spot *s = &out->spots[i];
        bool better = s->selected && s->replicas > 0 &&
                      (!best || (s->cluster->current > 0) > (best->cluster->current > 0) ||
                       ((s->cluster->current > 0) == (best->cluster->current > 0) && s->replicas > best->replicas));
        best = better ? s : best;
    }
    for (size_t i = 0; best && i < out->n; i++) {
        struct fapi_spot *s = &out->spots[i];
        if (s->selected && s != best)
            s->why = FED_STR("it stays in one piece, in another cluster");
        s->replicas = s == best ? number : s->selected ? 0 : s->replicas;
    }
    if (best)
        best->why = FED_STR("it stays in one piece, here");
}

/* A cluster without a part has no use for the object. */
static void skip_empty(struct fapi_placement *out)
{
    for (size_t i = 0; i < out->n; i++)
        if (out->spots[i].selected && out->spots[i].replicas == 0)
            out->spots[i].selected = false;
}

/* A Job that ended is not begun again where it was not: clusters come and go. */
static bool has_ended(const struct fed_json *tree)
{
    const struct fed_json *status = fed_json_find(tree, "status");
    return fed_str_is(fed_json_find_text(fed_obj_condition(status, "Complete"), "status"), "True") ||
           fed_str_is(fed_json_find_text(fed_obj_condition(status, "Failed"), "status"), "True");
}

static bool replicas_are_members(const struct fed_kobj *obj)
{
    return fed_str_is(fed_kobj_annotation(obj, FAPI_RETAIN_REPLICAS), "true") ||
           fed_kobj_annotation(obj, FAPI_HPA_TARGETS).n;
}

static int select_for(struct fed_arena *a, const struct fed_kobj *obj, const struct fapi_cluster *clusters, size_t n,
                      struct fapi_placement *out, struct fed_err *err)
{
    struct fed_selector sel;
    struct fed_str text = fed_kobj_annotation(obj, FAPI_CLUSTER_SELECTOR);
    *out = (struct fapi_placement){.spots = FED_ARENA_ARRAY(a, struct fapi_spot, n + 1), .n = n};
    int code = fed_selector_from_annotation(a, text, &sel, err);
    if (code == 0)
        select_clusters(a, text, &sel, clusters, n, out);
    return code;
}

static void read_preferences(struct fed_arena *a, const struct fed_kobj *obj, const char *key,
                             struct fapi_preferences *prefs, struct fapi_placement *out)
{
    struct fed_err why = {0};
    if (fapi_preferences_parse(a, fed_kobj_annotation(obj, key), prefs, &why) == 0)
        return;
    out->reason = "InvalidPreferences";
    out->message = fed_arena_printf(a, "annotation %s: %s; replicas are divided equally", key, why.text);
    fapi_preferences_default(a, prefs);
}

int fapi_place(struct fed_arena *a, const struct fed_kobj *obj, const struct fed_json *tree,
               const struct fapi_cluster *clusters, size_t n, struct fapi_placement *out, struct fed_err *err)
{
    struct fapi_preferences prefs;
    int code = select_for(a, obj, clusters, n, out, err);
    if (code != 0)
        return code;
    const struct fapi_spread_rule *rule = fapi_spread_find(obj->kind);
    const char *key = rule ? rule->preferences : NULL;
    if (!key || replicas_are_members(obj) || out->n_selected == 0)
        return 0;
    read_preferences(a, obj, key, &prefs, out);
    int64_t number = fapi_spread_number(obj->kind, tree), left = number;
    if (rule->fixed)
        left = keep_fixed(out, number - fapi_rounds_done(a, obj));
    divide(a, obj, rule->fixed && has_ended(tree) ? 0 : left, &prefs, out);
    if (fapi_spread_whole(obj->kind, tree))
        gather(out, number);
    if (rule->skip_empty && number > 0)
        skip_empty(out);
    return 0;
}

int fapi_place_custom(struct fed_arena *a, const struct fed_kobj *obj, const struct fed_json *tree,
                      const struct fapi_custom *custom, const struct fapi_cluster *clusters, size_t n,
                      struct fapi_placement *out, struct fed_err *err)
{
    struct fapi_preferences prefs;
    int64_t number = fapi_custom_number(custom, tree);
    int code = select_for(a, obj, clusters, n, out, err);
    if (code != 0 || number < 0 || !fed_kobj_annotation(obj, FAPI_REPLICA_PREFERENCES).p || replicas_are_members(obj) ||
        out->n_selected == 0)
        return code;
    read_preferences(a, obj, FAPI_REPLICA_PREFERENCES, &prefs, out);
    divide(a, obj, number, &prefs, out);
    return 0;
}

void fapi_place_nowhere(struct fed_arena *a, const char *why, const struct fapi_cluster *clusters, size_t n,
                        struct fapi_placement *out)
{
    *out = (struct fapi_placement){.spots = FED_ARENA_ARRAY(a, struct fapi_spot, n + 1), .n = n};
    for (size_t i = 0; i < n; i++)
        out->spots[i] = (struct fapi_spot){.cluster = &clusters[i], .replicas = -1, .why = fed_str(why)};
}
