/* SPDX-License-Identifier: Apache-2.0 */
/* convert.c: from any served version of a kind to any other, through the storage version. */
#include "kube/convert.h"

#include "kube/schema.h"

static int one_step(struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                    const struct fed_kind_version *to, struct fed_err *err)
{
    const struct fed_kind *kind = from->kind;

    if (from == to || !kind->hooks.convert)
        return 0;
    return kind->hooks.convert(kind->hooks.ud, a, obj, from, to, err);
}

int fed_kind_convert(struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                     const struct fed_kind_version *to, struct fed_err *err)
{
    const struct fed_kind_version *storage = fed_kind_storage(from->kind);
    int rc;

    FED_REQUIRE(from->kind == to->kind);
    if (obj->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_BAD_REQUEST, "an object is expected");
    rc = one_step(a, obj, from, from == storage ? to : storage, err);
    if (!rc && from != storage)
        rc = one_step(a, obj, storage, to, err);
    if (rc)
        return rc;
    fed_json_set(obj, "apiVersion", fed_json_new_str(a, to->api_version));
    fed_json_set(obj, "kind", fed_json_new_str(a, to->kind->kind));
    return 0;
}
