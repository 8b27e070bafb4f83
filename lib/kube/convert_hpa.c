/* SPDX-License-Identifier: Apache-2.0 */
/* convert_hpa.c: autoscaling/v2 (stored), v2beta2 (the same) and v1, which knows one metric: the pods' CPU. The rest of a
 * v2 object travels through v1 in annotations, so that a v1 client that writes what it read loses nothing. */
#include "kube/convert.h"

static const struct {
    const char *annotation, *section, *field;
} kept[] = {
    {"autoscaling.alpha.kubernetes.io/metrics", "spec", "metrics"},
    {"autoscaling.alpha.kubernetes.io/behavior", "spec", "behavior"},
    {"autoscaling.alpha.kubernetes.io/conditions", "status", "conditions"},
    {"autoscaling.alpha.kubernetes.io/current-metrics", "status", "currentMetrics"},
};

static bool is_cpu(const struct fed_json *metric)
{
    return fed_str_is(fed_json_find_text(metric, "type"), "Resource") &&
           fed_str_is(fed_json_find_text(fed_json_find(metric, "resource"), "name"), "cpu");
}

static struct fed_json *cpu_metric(struct fed_arena *a, const char *side, const char *type, int64_t percent)
{
    struct fed_json *m = fed_json_object(a), *r = fed_json_object(a), *t = fed_json_object(a);

    if (type)
        fed_json_set(t, "type", fed_json_new_strz(a, type));
    fed_json_set(t, "averageUtilization", fed_json_new_int(a, percent));
    fed_json_set(r, "name", fed_json_new_strz(a, "cpu"));
    fed_json_set(r, side, t);
    fed_json_set(m, "type", fed_json_new_strz(a, "Resource"));
    fed_json_set(m, "resource", r);
    return m;
}

/* Moves the CPU's percentage out of the list into `field`; what is left of the list stays. */
static void cpu_to_field(struct fed_arena *a, struct fed_json *section, const char *list, const char *side,
                         const char *field)
{
    struct fed_json *all = fed_json_find(section, list);

    FED_JSON_EACH_SAFE(m, all) {
        const struct fed_json *n = fed_json_at(m, "resource", side, "averageUtilization", NULL);

        if (!is_cpu(m) || !n)
            continue;
        fed_json_set(section, field, fed_json_new_int(a, fed_json_int(n, 0)));
        fed_json_remove(m);
        break;
    }
    if (all && !all->n)
        fed_json_remove(all);
}

static void to_v1(struct fed_arena *a, struct fed_json *obj)
{
    cpu_to_field(a, fed_json_find(obj, "spec"), "metrics", "target", "targetCPUUtilizationPercentage");
    cpu_to_field(a, fed_json_find(obj, "status"), "currentMetrics", "current", "currentCPUUtilizationPercentage");
    for (size_t i = 0; i < FED_ARRAY_LEN(kept); i++) {
        struct fed_json *v = fed_json_find(fed_json_find(obj, kept[i].section), kept[i].field);

        if (!v)
            continue;
        fed_obj_set_annotation(a, obj, kept[i].annotation, fed_json_text(a, v));
        fed_json_remove(v);
    }
}

static void field_to_cpu(struct fed_arena *a, struct fed_json *section, const char *field, const char *list,
                         const char *side, const char *type)
{
    struct fed_json *v = fed_json_find(section, field), *all;

    if (!v)
        return;
    fed_json_remove(v);
    all = fed_json_ensure_array(a, section, list);
    if (all)
        fed_json_insert(all, all->first, cpu_metric(a, side, type, fed_json_int(v, 0)));
}

static void to_v2(struct fed_arena *a, struct fed_json *obj)
{
    struct fed_json *notes = fed_json_at(obj, "metadata", "annotations", NULL);

    for (size_t i = 0; i < FED_ARRAY_LEN(kept); i++) {
        struct fed_str text = fed_json_find_text(notes, kept[i].annotation);
        struct fed_json *section, *v = NULL;

        if (!text.n)
            continue;
        section = fed_json_ensure_object(a, obj, kept[i].section);
        if (section && fed_json_parse(a, fed_arena_dup(a, text), NULL, &v, NULL) == 0)
            fed_json_set(section, kept[i].field, v);
        fed_json_remove_key(notes, kept[i].annotation);
    }
    if (notes && !notes->n)
        fed_json_remove(notes);
    field_to_cpu(a, fed_json_find(obj, "spec"), "targetCPUUtilizationPercentage", "metrics", "target", "Utilization");
    field_to_cpu(a, fed_json_find(obj, "status"), "currentCPUUtilizationPercentage", "currentMetrics", "current", NULL);
}

int fed_convert_hpa(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                    const struct fed_kind_version *to, struct fed_err *err)
{
    (void)ud;
    (void)err;
    if (fed_str_is(from->version, "v1"))
        to_v2(a, obj);
    if (fed_str_is(to->version, "v1"))
        to_v1(a, obj);
    return 0;
}
