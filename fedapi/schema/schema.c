/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/schema/schema.h"

#include "fedapi/controllers/custom.h"
#include "fedapi/controllers/marks.h"
#include "kube/crd.h"
#include "kube/schema.h"
#include "kube/table.h"

extern const char fapi_bundle[];
extern const size_t fapi_bundle_n;

static bool condition_is_true(const struct fed_json *obj, const char *type)
{
    return fed_str_is(fed_json_find_text(fed_obj_condition(fed_json_find(obj, "status"), type), "status"), "True");
}

/* Federation v1's words for a cluster's state. */
static const char *state_of(const struct fed_json *obj)
{
    if (condition_is_true(obj, "Ready"))
        return "Ready";
    if (condition_is_true(obj, "Offline"))
        return "Offline";
    const struct fed_json *ready = fed_obj_condition(fed_json_find(obj, "status"), "Ready");
    return fed_str_is(fed_json_find_text(ready, "status"), "False") ? "NotReady" : "Unknown";
}

static bool is_cordoned(const struct fed_json *obj)
{
    return fed_str_is(fed_obj_annotation(obj, FAPI_CORDONED), "true");
}

static void cluster_cells(void *ud FED_UNUSED, struct fed_arena *a, const struct fed_kind_version *v,
                          const struct fed_json *obj, int64_t now_ms, struct fed_json *cells)
{
    for (size_t i = 0; i < v->n_columns; i++) {
        const struct fed_column *c = &v->columns[i];
        if (fed_str_is(c->name, "Age"))
            fed_json_push(cells, fed_json_new_str(a, fed_cell_age(a, obj, now_ms)));
        else if (fed_str_is(c->name, "Status"))
            fed_json_push(cells, fed_json_new_strf(a, "%s%s", state_of(obj), is_cordoned(obj) ? ",Cordoned" : ""));
        else
            fed_json_push(cells, fed_json_new_str(a, fed_json_path_text(a, obj, c->json_path)));
    }
}

static void validate_definition(void *ud FED_UNUSED, const struct fed_write *w, const struct fed_json *obj,
                                struct fed_causes *causes)
{
    if (!w->subresource.n)
        fapi_custom_validate(obj, causes);
}

int fapi_kinds_add(struct fed_kinds *kinds, struct fed_err *err)
{
    static const struct fed_hooks hooks = {.cells = cluster_cells}, definitions = {.validate = validate_definition};
    int code = fed_kinds_add_bundle(kinds, fed_str_n(fapi_bundle, fapi_bundle_n), err);
    if (!code)
        fed_kinds_set_hooks(kinds, "federation", "clusters", &hooks);
    if (!code)
        fed_kinds_set_hooks(kinds, FED_CRD_GROUP, FED_CRD_PLURAL, &definitions);
    return code;
}
