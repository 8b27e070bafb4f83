/* SPDX-License-Identifier: Apache-2.0 */
/* convert_apps.c: apps/v1 Deployment, DaemonSet, ReplicaSet, StatefulSet and their older versions. The fields are the
 * same but for two that live in annotations of the stored object: rollbackTo and templateGeneration. */
#include "kube/convert.h"

static const char rollback_annotation[] = "deprecated.deployment.rollback.to";
static const char template_annotation[] = "deprecated.daemonset.template.generation";

static void remove_annotation(struct fed_json *obj, const char *key)
{
    struct fed_json *meta = fed_json_find(obj, "metadata"), *list = fed_json_find(meta, "annotations");

    if (list && fed_json_remove_key(list, key) && !list->n)
        fed_json_remove(list);
}

static void field_to_annotation(struct fed_arena *a, struct fed_json *obj, struct fed_json *from, const char *field,
                                const char *annotation)
{
    struct fed_json *v = fed_json_find(from, field);
    int64_t n = fed_json_int(v, 0);

    if (!v)
        return;
    fed_obj_set_annotation(a, obj, annotation, fed_arena_printf(a, "%lld", (long long)n));
}

static void old_to_new(struct fed_arena *a, struct fed_json *obj, struct fed_json *spec)
{
    struct fed_json *rollback = fed_json_find(spec, "rollbackTo");
    struct fed_json *generation = fed_json_find(spec, "templateGeneration");

    if (rollback) {
        field_to_annotation(a, obj, rollback, "revision", rollback_annotation);
        fed_json_remove(rollback);
    }
    if (generation) {
        field_to_annotation(a, obj, spec, "templateGeneration", template_annotation);
        fed_json_remove(generation);
    }
}

static void new_to_old(struct fed_arena *a, struct fed_json *obj, struct fed_json *spec,
                       const struct fed_kind_version *to)
{
    int64_t n;

    if (fed_str_is(to->version, "v1beta2"))
        return;
    if (fed_str_i64(fed_obj_annotation(obj, rollback_annotation), &n) == 0 &&
        fed_str_is(to->kind->kind, "Deployment")) {
        struct fed_json *rollback = fed_json_object(a);

        fed_json_set(rollback, "revision", fed_json_new_int(a, n));
        fed_json_set(spec, "rollbackTo", rollback);
        remove_annotation(obj, rollback_annotation);
    }
    if (fed_str_i64(fed_obj_annotation(obj, template_annotation), &n) == 0 && fed_str_is(to->kind->kind, "DaemonSet")) {
        fed_json_set(spec, "templateGeneration", fed_json_new_int(a, n));
        remove_annotation(obj, template_annotation);
    }
}

int fed_convert_workload(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                         const struct fed_kind_version *to, struct fed_err *err)
{
    struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)err;
    if (!spec || spec->type != FED_JSON_OBJECT)
        return 0;
    if (to == fed_kind_storage(to->kind))
        old_to_new(a, obj, spec);
    else if (from == fed_kind_storage(from->kind))
        new_to_old(a, obj, spec, to);
    return 0;
}
