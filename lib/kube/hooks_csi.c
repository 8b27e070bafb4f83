/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_csi.c: CSIDriver, CSINode, CSIStorageCapacity, VolumeAttachment: what schedulers and volume controllers of others
 * read and write. */
#include "base/map.h"
#include "kube/check.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/quantity.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

enum { DRIVER_NAME_MAX = 63, NODE_ID_MAX = 256, TOKEN_LEAST_S = 600 };

static void check_driver_name(struct fed_causes *c, struct fed_str name, const char *at)
{
    if (name.n > DRIVER_NAME_MAX)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, fed_str(at), (struct fed_str){NULL, 0}, "may not be more than %d bytes",
                       DRIVER_NAME_MAX);
    fed_check_name(c, fed_name_lower(c->arena, name), fed_name_check_subdomain, fed_quoted(c->arena, name),
                   fed_arena_printf(c->arena, "%s", at));
}

/* --- CSIDriver --- */

static void check_tokens(const struct fed_json *requests, struct fed_causes *c)
{
    struct fed_map seen = {0};
    size_t i = 0;

    FED_JSON_EACH(r, requests) {
        const struct fed_json *seconds = fed_json_find(r, "expirationSeconds");
        struct fed_str audience = fed_json_find_text(r, "audience");
        const char *wrong =
            !seconds                                      ? NULL
            : fed_json_int(seconds, 0) < TOKEN_LEAST_S    ? "may not specify a duration less than 10 minutes"
            : fed_json_int(seconds, 0) > INT64_C(1) << 32 ? "may not specify a duration larger than 2^32 seconds"
                                                          : NULL;

        if (fed_seen_before(&seen, audience))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, audience), "", "spec.tokenRequests[%zu].audience", i);
        else if (wrong)
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, seconds), wrong,
                    "spec.tokenRequests[%zu].expirationSeconds", i);
        i++;
    }
    fed_map_release(&seen);
}

static void validate_driver(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const modes[] = {"Persistent", "Ephemeral", NULL};
    const struct fed_json *spec = fed_json_find(obj, "spec"), *was = fed_json_find(w->old, "spec");

    (void)ud;
    if (!w->old && fed_obj_name(obj).n > DRIVER_NAME_MAX)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, FED_STR("metadata.name"), (struct fed_str){NULL, 0},
                       "may not be more than %d bytes", DRIVER_NAME_MAX);
    check_tokens(fed_json_find(spec, "tokenRequests"), c);
    FED_JSON_EACH(m, fed_json_find(spec, "volumeLifecycleModes"))
        fed_check_one_of(c, fed_json_str(m), modes, "spec.volumeLifecycleModes");
    if (!w->old)
        return;
    fed_check_immutable(was, spec, "spec", "attachRequired", c);
    fed_check_immutable(was, spec, "spec", "volumeLifecycleModes", c);
}

/* The texts of a list, or of one member of its objects, with commas between them. */
static struct fed_str joined(struct fed_arena *a, const struct fed_json *list, const char *member, const char *none)
{
    struct fed_buf b = {0};
    struct fed_str out;

    if (!list || !list->n)
        return fed_str(none);
    FED_JSON_EACH(it, list) {
        if (it->prev)
            fed_buf_addc(&b, ',');
        fed_buf_add(&b, member ? fed_json_find_text(it, member) : fed_json_str(it));
    }
    out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void push_bool(struct fed_arena *a, struct fed_json *cells, const struct fed_json *of, const char *key,
                      bool dflt)
{
    fed_json_push(cells, fed_json_new_bool(a, fed_json_bool(fed_json_find(of, key), dflt)));
}

static void driver_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                         int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)v;
    push_bool(a, cells, spec, "attachRequired", true);
    push_bool(a, cells, spec, "podInfoOnMount", false);
    push_bool(a, cells, spec, "storageCapacity", false);
    fed_cell_str(a, cells, joined(a, fed_json_find(spec, "tokenRequests"), "audience", "<unset>"));
    push_bool(a, cells, spec, "requiresRepublish", false);
    fed_cell_str(a, cells, joined(a, fed_json_find(spec, "volumeLifecycleModes"), NULL, "<none>"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

/* --- CSINode --- */

static void check_topology(const struct fed_json *driver, size_t i, struct fed_causes *c)
{
    const struct fed_json *keys = fed_json_find(driver, "topologyKeys");
    struct fed_str at = fed_arena_printf(c->arena, "spec.drivers[%zu]", i);
    struct fed_map seen = {0};

    FED_JSON_EACH(k, keys) {
        struct fed_str key = fed_json_str(k);

        if (!key.n)
            fed_bad(c, FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0}, "", "%s", at.p);
        if (fed_seen_before(&seen, key))
            fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, key), "", "%s", at.p);
        fed_check_name(c, key, fed_name_check_qualified, fed_shown(c->arena, keys), at);
    }
    fed_map_release(&seen);
}

static void check_node_driver(const struct fed_json *d, size_t i, struct fed_map *seen, struct fed_causes *c)
{
    struct fed_str name = fed_json_find_text(d, "name"), id = fed_json_find_text(d, "nodeID");
    const char *at = fed_arena_printf(c->arena, "spec.drivers[%zu]", i).p;

    fed_check_required(c, name, "%s.name", at);
    check_driver_name(c, name, fed_arena_printf(c->arena, "%s.name", at).p);
    fed_check_required(c, id, "%s.nodeID", at);
    if (id.n > NODE_ID_MAX)
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, id),
                fed_arena_printf(c->arena, "must be %d characters or less", NODE_ID_MAX).p, "%s.nodeID", at);
    fed_check_nonnegative(fed_json_find(d, "allocatable"), fed_arena_printf(c->arena, "%s.allocatable", at).p, "count",
                          c);
    if (fed_seen_before(seen, name))
        fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, name), "", "%s.name", at);
    check_topology(d, i, c);
}

static void validate_node(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *drivers = fed_json_at(obj, "spec", "drivers", NULL);
    struct fed_map seen = {0};
    size_t i = 0;

    (void)ud;
    FED_JSON_EACH(d, drivers)
        check_node_driver(d, i++, &seen, c);
    fed_map_release(&seen);
    FED_JSON_EACH(was, fed_json_at(w->old, "spec", "drivers", NULL))
        FED_JSON_EACH(d, drivers)
            if (fed_str_eq(fed_json_find_text(was, "name"), fed_json_find_text(d, "name")) && !fed_json_equal(was, d))
                fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, d), "field is immutable", "CSINodeDriver");
}

static void node_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                       int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *drivers = fed_json_at(obj, "spec", "drivers", NULL);

    (void)ud;
    (void)v;
    fed_cell_int(a, cells, drivers ? (int64_t)drivers->n : 0);
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

/* --- CSIStorageCapacity --- */

static void check_amount(const struct fed_json *amount, const char *at, struct fed_causes *c)
{
    int64_t milli;

    if (amount && fed_quantity_milli(amount->s, &milli) == 0 && milli < 0)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, amount), "must be greater than or equal to 0", "%s", at);
}

static void validate_capacity(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    struct fed_str class = fed_json_find_text(obj, "storageClassName");

    (void)ud;
    fed_selector_validate(fed_json_find(obj, "nodeTopology"), "nodeTopology", c);
    fed_check_name(c, class, fed_name_check_subdomain, fed_quoted(c->arena, class), FED_STR("storageClassName"));
    check_amount(fed_json_find(obj, "capacity"), "capacity", c);
    check_amount(fed_json_find(obj, "maximumVolumeSize"), "maximumVolumeSize", c);
    if (!w->old)
        return;
    fed_check_immutable(w->old, obj, "", "nodeTopology", c);
    fed_check_immutable(w->old, obj, "", "storageClassName", c);
}

static void capacity_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                           int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    (void)now_ms;
    fed_cell_str(a, cells, fed_json_find_text(obj, "storageClassName"));
    fed_cell_or(a, cells, fed_json_find_text(obj, "capacity"), "<unset>");
}

/* --- VolumeAttachment --- */

static void check_source(const struct fed_json *source, struct fed_causes *c)
{
    const struct fed_json *name = fed_json_find(source, "persistentVolumeName");
    const struct fed_json *inline_spec = fed_json_find(source, "inlineVolumeSpec");
    static const char one[] = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

    if (!name == !inline_spec)
        fed_bad(c, name ? FED_CAUSE_FORBIDDEN : FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0}, one, "spec.source");
    else if (name && !fed_json_str(name).n)
        fed_bad(c, FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0}, "must specify non empty persistentVolumeName",
                "spec.source.persistentVolumeName");
    else if (name)
        fed_check_name(c, fed_json_str(name), fed_name_check_subdomain, fed_quoted(c->arena, fed_json_str(name)),
                       FED_STR("spec.source.persistentVolumeName"));
}

static void validate_attachment(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    struct fed_str driver = fed_json_find_text(spec, "attacher"), node = fed_json_find_text(spec, "nodeName");

    (void)ud;
    fed_check_required(c, driver, "spec.attacher");
    check_source(fed_json_find(spec, "source"), c);
    fed_check_name(c, node, fed_name_check_subdomain, fed_quoted(c->arena, node), FED_STR("spec.nodeName"));
    check_driver_name(c, driver, "spec.attacher");
    if (w->old)
        fed_check_immutable(w->old, obj, "", "spec", c);
}

static void attachment_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v,
                             const struct fed_json *obj, int64_t now_ms, struct fed_json *cells)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");

    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(spec, "attacher"));
    fed_cell_str(a, cells, fed_json_find_text(fed_json_find(spec, "source"), "persistentVolumeName"));
    fed_cell_str(a, cells, fed_json_find_text(spec, "nodeName"));
    push_bool(a, cells, fed_json_find(obj, "status"), "attached", false);
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_csi[] = {
    {"storage.k8s.io", "csidrivers", {.validate = validate_driver, .cells = driver_cells}},
    {"storage.k8s.io", "csinodes", {.validate = validate_node, .cells = node_cells}},
    {"storage.k8s.io", "csistoragecapacities", {.validate = validate_capacity, .cells = capacity_cells}},
    {"storage.k8s.io", "volumeattachments", {.validate = validate_attachment, .cells = attachment_cells}},
    {NULL, NULL, {0}}};
