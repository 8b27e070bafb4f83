/* SPDX-License-Identifier: Apache-2.0 */
/* Pods that name a RuntimeClass: it must be there; what it says of overhead and nodes becomes theirs. */
#include "member/virtuals.h"

static int set_overhead(struct fed_arena *a, struct fed_json *spec, const struct fed_json *class, struct fed_err *err)
{
    const struct fed_json *have = fed_json_find(spec, "overhead"), *wide = fed_json_find(class, "overhead");
    const struct fed_json *fixed = fed_json_find(wide, "podFixed");
    if (!wide && have && have->n)
        return fed_err_set(err, FED_E_FORBIDDEN,
                           "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    if (have && have->n && !(fixed && fed_json_equal(have, fixed)))
        return fed_err_set(err, FED_E_FORBIDDEN,
                           "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    if (fixed)
        fed_json_set(spec, "overhead", fed_json_copy(a, fixed));
    return 0;
}

/* ss tolerates all that t does. */
static bool covers(const struct fed_json *ss, const struct fed_json *t)
{
    static const char *const same[] = {"key", "effect"};
    struct fed_str op = fed_json_find_text(ss, "operator");
    const struct fed_json *long_ss = fed_json_find(ss, "tolerationSeconds"),
                          *long_t = fed_json_find(t, "tolerationSeconds");
    for (size_t i = 0; i < FED_ARRAY_LEN(same); i++) {
        struct fed_str v = fed_json_find_text(ss, same[i]);
        if (v.n && !fed_str_eq(v, fed_json_find_text(t, same[i])))
            return false;
    }
    if (!fed_json_find_text(ss, "key").n && !fed_str_is(op, "Exists"))
        return false;
    if (long_ss && (!long_t || fed_json_int(long_t, 0) > fed_json_int(long_ss, 0)))
        return false;
    if (fed_str_is(op, "Exists"))
        return true;
    return !fed_str_is(fed_json_find_text(t, "operator"), "Exists") &&
           fed_str_eq(fed_json_find_text(ss, "value"), fed_json_find_text(t, "value"));
}

static void tolerate(struct fed_arena *a, struct fed_json *spec, const struct fed_json *more)
{
    struct fed_json *list = more && more->n ? fed_json_ensure_array(a, spec, "tolerations") : NULL;
    for (const struct fed_json *t = list ? more->first : NULL; t; t = t->next) {
        bool has = false;
        FED_JSON_EACH(mine, list)
            has |= covers(mine, t);
        if (!has)
            fed_json_push(list, fed_json_copy(a, t));
    }
}

int mbr_admit_runtime(struct mbr *m, struct fed_arena *a, struct fed_json *spec, struct fed_err *err)
{
    struct fed_str name = fed_json_find_text(spec, "runtimeClassName");
    const struct fed_kobj *found =
        name.n ? fed_api_find(m->api, "node.k8s.io", "runtimeclasses", FED_STR(""), name) : NULL;
    if (name.n && !found)
        return fed_err_set(err, FED_E_FORBIDDEN, "pod rejected: RuntimeClass \"%.*s\" not found", FED_STR_ARG(name));
    const struct fed_json *class = found ? fed_kobj_parse(found, a) : NULL, *nodes = fed_json_find(class, "scheduling");
    int rc = set_overhead(a, spec, class, err);
    FED_JSON_EACH(want, fed_json_find(nodes, "nodeSelector")) {
        struct fed_json *to = fed_json_ensure_object(a, spec, "nodeSelector");
        const struct fed_json *have = fed_json_find_str(to, want->key);
        if (rc == 0 && have && !fed_json_equal(have, want))
            rc = fed_err_set(
                err, FED_E_FORBIDDEN,
                "conflict: runtimeClass.scheduling.nodeSelector[%.*s] = %.*s; pod.spec.nodeSelector[%.*s] = "
                "%.*s",
                FED_STR_ARG(want->key), FED_STR_ARG(fed_json_str(want)), FED_STR_ARG(want->key),
                FED_STR_ARG(fed_json_str(have)));
        else if (to && !have)
            fed_json_set_str(to, want->key, fed_json_copy(a, want));
    }
    if (rc == 0)
        tolerate(a, spec, fed_json_find(nodes, "tolerations"));
    return rc;
}
