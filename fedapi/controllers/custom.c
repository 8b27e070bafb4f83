/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/custom.h"

#include "fedapi/controllers/marks.h"
#include "kube/crd.h"

/* --- where objects live --- */

const char *fapi_custom_group_stays(struct fed_str group)
{
    if (fed_str_is(group, "federation") || fed_str_is(group, "hansa.io") || fed_str_ends(group, FED_STR(".hansa.io")))
        return "the group is the federation's own";
    if (fed_str_is(group, "multicluster.x-k8s.io"))
        return "the federation publishes this group itself";
    return NULL;
}

bool fapi_custom_in_members(const struct fed_kobj *definition)
{
    return fed_str_is(fed_kobj_annotation(definition, FED_CRD_RESIDENCE), "members");
}

bool fapi_custom_goes(const struct fed_kobj *definition, const char **why)
{
    struct fed_arena a = {0};
    bool members = fapi_custom_in_members(definition);
    /* What may be in members must be let go there, whatever the definition says now. */
    bool bound = fed_kobj_has_finalizer(definition, FAPI_FINALIZER) && (definition->deleting || !members);
    struct fed_json *tree = fed_kobj_parse(definition, &a);
    *why = NULL;
    if (bound)
        ;
    else if (!members)
        *why = "its objects live at the federation";
    else if (!fed_crd_established(tree))
        *why = "its names are not accepted";
    else
        *why = fapi_custom_group_stays(fed_json_find_text(fed_json_find(tree, "spec"), "group"));
    fed_arena_release(&a);
    return *why == NULL;
}

static const char *stays_of(const struct fed_json *obj)
{
    return fapi_custom_group_stays(fed_json_find_text(fed_json_find(obj, "spec"), "group"));
}

bool fapi_custom_admit(struct fed_arena *a, const struct fed_json *old, struct fed_json *obj)
{
    struct fed_str residence = fed_obj_annotation(obj, FED_CRD_RESIDENCE);
    struct fed_str was = fed_obj_annotation(old, FED_CRD_RESIDENCE);
    if (!residence.p) {
        if (!old)
            residence = stays_of(obj) ? FED_STR("hub") : FED_STR("members");
        else if (was.p) /* `kubectl replace` of a file without it is no wish to move everything */
            residence = was;
        else
            return false; /* stored before there was such an annotation */
        fed_obj_set_annotation(a, obj, FED_CRD_RESIDENCE, fed_arena_dup(a, residence));
    }
    return fed_str_is(residence, "members");
}

void fapi_custom_validate(const struct fed_json *obj, struct fed_causes *causes)
{
    static const char field[] = "metadata.annotations[" FED_CRD_RESIDENCE "]";
    struct fed_str residence = fed_obj_annotation(obj, FED_CRD_RESIDENCE);
    const char *stays = stays_of(obj);
    struct fed_buf b = {0};
    fed_json_write_string(&b, fed_str_head(residence, FED_MIN(residence.n, 64)));
    struct fed_str value = fed_arena_dup(causes->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    if (residence.p && !fed_str_is(residence, "hub") && !fed_str_is(residence, "members"))
        fed_causes_add(causes, FED_CAUSE_NOT_SUPPORTED, fed_str(field), value,
                       "supported values: \"hub\", \"members\"");
    else if (stays && fed_str_is(residence, "members"))
        fed_causes_add(causes, FED_CAUSE_INVALID, fed_str(field), value, "must be \"hub\": %s", stays);
}

/* --- versions --- */

static const struct fed_json *version_named(const struct fed_json *crd, struct fed_str name)
{
    FED_JSON_EACH(v, fed_json_at(crd, "spec", "versions", NULL))
        if (fed_str_eq(fed_json_find_text(v, "name"), name))
            return v;
    return NULL;
}

static bool is_served(const struct fed_json *crd, struct fed_str name)
{
    return fed_json_bool(fed_json_find(version_named(crd, name), "served"), false);
}

/* The stored version if the cluster takes it. Another one only where versions differ in their name alone. */
static struct fed_str common_version(const struct fed_json *hub, const struct fed_json *there)
{
    const struct fed_json *versions = fed_json_at(hub, "spec", "versions", NULL);
    bool webhook = fed_str_is(fed_json_find_text(fed_json_at(hub, "spec", "conversion", NULL), "strategy"), "Webhook");
    FED_JSON_EACH(v, versions) {
        struct fed_str name = fed_json_find_text(v, "name");
        if (fed_json_bool(fed_json_find(v, "storage"), false) && is_served(there, name))
            return name;
    }
    FED_JSON_EACH(v, webhook ? NULL : versions)
        if (is_served(there, fed_json_find_text(v, "name")))
            return fed_json_find_text(v, "name");
    return (struct fed_str){0};
}

static struct fed_str first_served(const struct fed_json *crd)
{
    FED_JSON_EACH(v, fed_json_at(crd, "spec", "versions", NULL))
        if (fed_json_bool(fed_json_find(v, "served"), false))
            return fed_json_find_text(v, "name");
    return (struct fed_str){0};
}

enum fapi_served fapi_custom_serves(struct fed_arena *a, const struct fed_json *hub, const struct fed_json *there,
                                    struct fed_str *version, struct fed_str *why)
{
    const struct fed_json *h = fed_json_find(hub, "spec"), *t = fed_json_find(there, "spec");
    struct fed_str kind = fed_json_find_text(fed_json_find(h, "names"), "kind");
    struct fed_str theirs = fed_json_find_text(fed_json_find(t, "names"), "kind");
    *version = *why = (struct fed_str){0};
    if (!there)
        return FAPI_SERVED_NOT;
    if (!fed_str_eq(kind, theirs) || !fed_str_eq(fed_json_find_text(h, "scope"), fed_json_find_text(t, "scope"))) {
        *why = fed_arena_printf(a, "the cluster's own definition is of another kind (%.*s, %.*s)", FED_STR_ARG(theirs),
                                FED_STR_ARG(fed_json_find_text(t, "scope")));
        return FAPI_SERVED_OTHER;
    }
    if (!fed_crd_established(there))
        return FAPI_SERVED_NOT;
    *version = common_version(hub, there);
    if (!version->n) {
        *version = first_served(there);
        *why = FED_STR("the cluster's own definition serves no version that objects could be written in");
        return FAPI_SERVED_OTHER;
    }
    return fed_json_at(there, "metadata", "deletionTimestamp", NULL) ? FAPI_SERVED_NOT : FAPI_SERVED;
}

/* --- numbers --- */

/* The object that holds the path's last name. */
static struct fed_json *holder(const struct fed_json *tree, struct fed_str path, struct fed_str *last)
{
    struct fed_str rest = path, piece = {0};
    struct fed_json *at = (struct fed_json *)tree;
    if (rest.n && rest.p[0] == '.')
        rest = fed_str_from(rest, 1);
    while (fed_str_cut(&rest, '.', &piece) && rest.p)
        at = fed_json_find_str(at, piece);
    *last = piece;
    return at && at->type == FED_JSON_OBJECT && piece.n ? at : NULL;
}

struct fed_json *fapi_custom_at(const struct fed_json *tree, struct fed_str path)
{
    struct fed_str last;
    return path.n ? fed_json_find_str(holder(tree, path, &last), last) : NULL;
}

void fapi_custom_set(struct fed_json *tree, struct fed_str path, struct fed_json *value)
{
    struct fed_str last;
    struct fed_json *in = path.n ? holder(tree, path, &last) : NULL;
    if (in)
        fed_json_set_str(in, last, value);
}

int64_t fapi_custom_number(const struct fapi_custom *c, const struct fed_json *tree)
{
    int64_t n = fed_json_int(fapi_custom_at(tree, c->replicas), -1);
    return FED_MIN(FED_MAX(n, -1), INT32_MAX);
}

void fapi_custom_apply(struct fed_arena *a, const struct fapi_custom *c, struct fed_json *copy, int64_t part)
{
    if (part >= 0)
        fapi_custom_set(copy, c->replicas, fed_json_new_int(a, part));
}
