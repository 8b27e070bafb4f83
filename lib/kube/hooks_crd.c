/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_crd.c: CustomResourceDefinition: what the server fills in; what makes one valid is in crd_check.c. */
#include "kube/crd.h"
#include "kube/names.h"
#include "kube/schema_priv.h"

static const struct fed_str none = {NULL, 0};

/* --- filled in --- */

static void put_absent(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str value)
{
    if (!fed_json_find_text(o, key).n)
        fed_json_set(o, key, fed_json_new_str(a, value));
}

static struct fed_str storage_version(const struct fed_json *spec)
{
    FED_JSON_EACH(v, fed_json_find(spec, "versions"))
        if (fed_json_bool(fed_json_find(v, "storage"), false))
            return fed_json_find_text(v, "name");
    return none;
}

static void note_stored(struct fed_arena *a, struct fed_json *status, struct fed_str version)
{
    struct fed_json *list = fed_json_ensure_array(a, status, "storedVersions");

    FED_JSON_EACH(it, list)
        if (fed_str_eq(fed_json_str(it), version))
            return;
    if (list && version.p)
        fed_json_push(list, fed_json_new_str(a, version));
}

static int default_crd(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    struct fed_json *spec = fed_json_find(obj, "spec"), *names = fed_json_find(spec, "names");
    struct fed_str kind = fed_json_find_text(names, "kind");

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec || spec->type != FED_JSON_OBJECT)
        return 0;
    if (names && names->type == FED_JSON_OBJECT && kind.n) {
        put_absent(a, names, "singular", fed_name_lower(a, kind));
        put_absent(a, names, "listKind", fed_arena_printf(a, "%.*sList", FED_STR_ARG(kind)));
    }
    if (!fed_json_find(spec, "conversion"))
        fed_json_set(fed_json_set(spec, "conversion", fed_json_object(a)), "strategy", fed_json_new_strz(a, "None"));
    return 0;
}

static int prepare_crd(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    struct fed_json *spec = fed_json_find(obj, "spec"), *status;

    (void)ud;
    (void)err;
    if (w->subresource.n || !spec || spec->type != FED_JSON_OBJECT)
        return 0;
    status = fed_json_ensure_object(a, obj, "status");
    if (!status)
        return 0;
    if (!w->old)
        fed_json_set(status, "conditions", fed_json_array(a));
    note_stored(a, status, storage_version(spec));
    return 0;
}

static void validate_crd(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    (void)ud;
    fed_crd_validate(w, obj, causes);
}

const struct fed_core_hooks fed_hooks_crd[] = {
    {FED_CRD_GROUP, FED_CRD_PLURAL, {.defaults = default_crd, .prepare = prepare_crd, .validate = validate_crd}},
    {NULL, NULL, {0}}};
