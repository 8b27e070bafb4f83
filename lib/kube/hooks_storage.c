/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_storage.c: PersistentVolume, PersistentVolumeClaim, StorageClass. */
#include "kube/names.h"
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/podspec.h"
#include "kube/quantity.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

static struct fed_str access_modes(struct fed_arena *a, const struct fed_json *list)
{
    static const struct {
        const char *mode, *shown;
    } modes[] = {
        {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
    struct fed_buf b = {0};
    struct fed_str out;

    FED_JSON_EACH(it, list)
        for (size_t i = 0; i < FED_ARRAY_LEN(modes); i++)
            if (fed_str_is(fed_json_str(it), modes[i].mode))
                fed_buf_addf(&b, "%s%s", b.n ? "," : "", modes[i].shown);
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static struct fed_str quantity(const struct fed_json *v)
{
    return v ? v->s : (struct fed_str){"", 0};
}

static int prepare_volume(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *status;

    (void)ud;
    (void)err;
    if (w->old || w->subresource.n)
        return 0;
    status = fed_json_ensure_object(w->arena, obj, "status");
    if (status)
        fed_json_set(status, "phase", fed_json_new_strz(w->arena, "Pending"));
    return 0;
}

static void check_shrink(const struct fed_json *was, const struct fed_json *is, struct fed_causes *c)
{
    int64_t before, now;

    if (was && is && fed_quantity_units(was->s, &before) == 0 && fed_quantity_units(is->s, &now) == 0 && now < before)
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.resources.requests.storage"), (struct fed_str){NULL, 0},
                       "field can not be less than previous value");
}

static void validate_claim(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *old = fed_json_find(w->old, "spec");
    const struct fed_json *modes = fed_json_find(spec, "accessModes");
    struct fed_json *x, *y;

    (void)ud;
    if (w->subresource.n) {
        fed_rules_amounts(fed_json_at(obj, "status", "capacity", NULL), "status.capacity", c);
        fed_rules_amounts(fed_json_at(obj, "status", "allocatedResources", NULL), "status.allocatedResources", c);
        return;
    }
    if (!modes || !modes->n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.accessModes"), (struct fed_str){NULL, 0},
                       "at least 1 access mode is required");
    if (!fed_json_at(spec, "resources", "requests", "storage", NULL))
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.resources[storage]"), (struct fed_str){NULL, 0}, "%s", "");
    fed_rules_claim(spec, c);
    if (!old || !spec)
        return;
    x = fed_json_copy(c->arena, old);
    y = fed_json_copy(c->arena, spec);
    if (fed_str_is(fed_json_find_text(fed_json_find(obj, "status"), "phase"), "Bound")) { /* it may grow */
        struct fed_json *of = fed_json_at(y, "resources", "requests", NULL);
        const struct fed_json *was = fed_json_at(x, "resources", "requests", "storage", NULL);

        if (of && was)
            fed_json_set(of, "storage", fed_json_copy(c->arena, was));
        check_shrink(was, fed_json_at(spec, "resources", "requests", "storage", NULL), c);
    }
    if (!fed_json_find_text(old, "volumeName").n) { /* binding sets these */
        fed_json_remove_key(y, "volumeName");
        fed_json_remove_key(x, "volumeName");
    }
    if (!fed_json_equal(x, y))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec"), (struct fed_str){NULL, 0},
                       "spec is immutable after creation except resources.requests and volumeAttributesClassName for "
                       "bound claims");
}

/* An old annotation goes before the field. */
static struct fed_str class_of(const struct fed_json *obj, const struct fed_json *spec)
{
    const struct fed_json *old =
        fed_json_at(obj, "metadata", "annotations", "volume.beta.kubernetes.io/storage-class", NULL);

    return old ? fed_json_str(old) : fed_json_find_text(spec, "storageClassName");
}

static void volume_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                         int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    const struct fed_json *claim = fed_json_find(spec, "claimRef");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, quantity(fed_json_at(spec, "capacity", "storage", NULL)));
    fed_cell_str(a, cells, access_modes(a, fed_json_find(spec, "accessModes")));
    fed_cell_str(a, cells, fed_json_find_text(spec, "persistentVolumeReclaimPolicy"));
    fed_cell_str(a, cells,
                 fed_json_at(obj, "metadata", "deletionTimestamp", NULL) ? FED_STR("Terminating")
                                                                         : fed_json_find_text(status, "phase"));
    fed_cell_str(a, cells,
                 claim ? fed_arena_printf(a, "%.*s/%.*s", FED_STR_ARG(fed_json_find_text(claim, "namespace")),
                                          FED_STR_ARG(fed_json_find_text(claim, "name")))
                       : FED_STR(""));
    fed_cell_str(a, cells, class_of(obj, spec));
    fed_cell_or(a, cells, fed_json_find_text(spec, "volumeAttributesClassName"), "<unset>");
    fed_cell_str(a, cells, fed_json_find_text(status, "reason"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_or(a, cells, fed_json_find_text(spec, "volumeMode"), "<unset>");
}

static void claim_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *status = fed_json_find(obj, "status");
    bool bound = fed_json_find_text(spec, "volumeName").n != 0;

    (void)ud;
    (void)v;
    fed_cell_str(a, cells,
                 fed_json_at(obj, "metadata", "deletionTimestamp", NULL) ? FED_STR("Terminating")
                                                                         : fed_json_find_text(status, "phase"));
    fed_cell_str(a, cells, fed_json_find_text(spec, "volumeName"));
    fed_cell_str(a, cells, bound ? quantity(fed_json_at(status, "capacity", "storage", NULL)) : FED_STR(""));
    fed_cell_str(a, cells, bound ? access_modes(a, fed_json_find(status, "accessModes")) : FED_STR(""));
    fed_cell_str(a, cells, class_of(obj, spec));
    fed_cell_or(a, cells, fed_json_find_text(spec, "volumeAttributesClassName"), "<unset>");
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
    fed_cell_or(a, cells, fed_json_find_text(spec, "volumeMode"), "<unset>");
}

static void validate_class(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const fixed[] = {"parameters", "provisioner", "reclaimPolicy"};

    (void)ud;
    fed_check_text(c, fed_name_lower(c->arena, fed_json_find_text(obj, "provisioner")), fed_name_check_qualified,
                   "provisioner");
    fed_rules_class(obj, c);
    if (!w->old)
        return;
    for (size_t i = 0; i < FED_ARRAY_LEN(fixed); i++)
        if (!fed_same_value(fed_json_find(w->old, fixed[i]), fed_json_find(obj, fixed[i])))
            fed_bad(c, FED_CAUSE_FORBIDDEN, (struct fed_str){NULL, 0},
                    fed_arena_printf(c->arena, "updates to %s are forbidden.", fixed[i]).p, "%s", fixed[i]);
    fed_check_immutable(w->old, obj, "", "volumeBindingMode", c);
}

static void class_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                        int64_t now_ms, struct fed_json *cells)
{
    static const char *const marks[] = {"storageclass.kubernetes.io/is-default-class",
                                        "storageclass.beta.kubernetes.io/is-default-class"};
    struct fed_json *name = fed_json_item(cells, 0);

    (void)ud;
    (void)v;
    if (fed_str_is(fed_obj_annotation(obj, marks[0]), "true") || fed_str_is(fed_obj_annotation(obj, marks[1]), "true"))
        name->s = fed_arena_printf(a, "%.*s (default)", FED_STR_ARG(name->s));
    fed_cell_str(a, cells, fed_json_find_text(obj, "provisioner"));
    fed_cell_str(a, cells, fed_json_find_text(obj, "reclaimPolicy"));
    fed_cell_str(a, cells, fed_json_find_text(obj, "volumeBindingMode"));
    fed_json_push(cells, fed_json_new_bool(a, fed_json_bool(fed_json_find(obj, "allowVolumeExpansion"), false)));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_storage[] = {
    {"", "persistentvolumes", {.prepare = prepare_volume, .validate = fed_rules_volume, .cells = volume_cells}},
    {"", "persistentvolumeclaims", {.prepare = prepare_volume, .validate = validate_claim, .cells = claim_cells}},
    {"storage.k8s.io", "storageclasses", {.validate = validate_class, .cells = class_cells}},
    {NULL, NULL, {0}}};
