/* SPDX-License-Identifier: Apache-2.0 */
/* openapi3.c: OpenAPI v3: an index and one JSON document for each group/version. kubectl 1.27 and later validate and
 * explain from these: x-kubernetes-group-version-kind on operations and models, and a fieldValidation parameter on PATCH
 * (then the server does the strict decoding). */
#include "kube/openapi_model.h"

struct v3 {
    const struct fed_kinds *kinds;
    struct fed_models models;
    struct fed_json *paths;
    struct fed_str group, version;
};

static struct fed_str gv_path(struct fed_arena *a, struct fed_str group, struct fed_str version)
{
    return group.n ? fed_arena_printf(a, "apis/%.*s/%.*s", FED_STR_ARG(group), FED_STR_ARG(version))
                   : fed_arena_printf(a, "api/%.*s", FED_STR_ARG(version));
}

static void add_body(void *ud, const struct fed_shape *shape)
{
    struct v3 *d = ud;

    FED_JSON_EACH(gvk, shape->gvks)
        if (fed_str_eq(fed_json_find_text(gvk, "group"), d->group) &&
            fed_str_eq(fed_json_find_text(gvk, "version"), d->version))
            fed_models_add_type(&d->models, shape);
}

/* False when nothing is served there. */
static bool add_kinds(struct v3 *d)
{
    bool any = false;

    for (size_t i = 0; i < fed_kinds_count(d->kinds); i++) {
        const struct fed_kind *kind = fed_kinds_at(d->kinds, i);

        for (size_t n = 0; n < kind->n_versions; n++) {
            const struct fed_kind_version *v = &kind->versions[n];

            if (!v->served || !fed_str_eq(v->group, d->group) || !fed_str_eq(v->version, d->version))
                continue;
            fed_models_add_version(&d->models, v);
            fed_openapi_paths(d->models.arena, v, true, d->paths);
            any = true;
        }
    }
    return any;
}

static int write_document(const struct fed_kinds *k, struct fed_str group, struct fed_str version, struct fed_buf *out)
{
    struct fed_arena a = {0};
    struct v3 d = {.kinds = k,
                   .models = {.arena = &a, .ref_prefix = "#/components/schemas/", .v3 = true},
                   .group = group,
                   .version = version};
    struct fed_json *doc = fed_json_object(&a), *info = fed_json_object(&a), *components = fed_json_object(&a);
    int rc = FED_E_NOT_FOUND;

    d.models.out = fed_json_object(&a);
    d.paths = fed_json_object(&a);
    if (add_kinds(&d)) {
        fed_kinds_each_body(k, add_body, &d);
        fed_json_set(info, "title", fed_json_new_strz(&a, "Hansa"));
        fed_json_set(info, "version", fed_json_new_strz(&a, "v1"));
        fed_json_set(doc, "openapi", fed_json_new_strz(&a, "3.0.0"));
        fed_json_set(doc, "info", info);
        fed_json_set(doc, "paths", d.paths);
        fed_json_set(components, "schemas", d.models.out);
        fed_json_set(doc, "components", components);
        fed_json_write(out, doc);
        rc = fed_buf_status(out);
    }
    fed_arena_release(&a);
    return rc;
}

int fed_openapi_v3(const struct fed_kinds *k, struct fed_str path, struct fed_buf *out)
{
    struct fed_str group = {"", 0}, version;
    ptrdiff_t slash;

    if (fed_str_starts(path, FED_STR("api/"))) {
        version = fed_str_from(path, 4);
    } else if (fed_str_starts(path, FED_STR("apis/"))) {
        group = fed_str_from(path, 5);
        slash = fed_str_chr(group, '/', 0);
        if (slash < 0)
            return FED_E_NOT_FOUND;
        version = fed_str_from(group, (size_t)slash + 1);
        group = fed_str_head(group, (size_t)slash);
    } else {
        return FED_E_NOT_FOUND;
    }
    return write_document(k, group, version, out);
}

struct index {
    const struct fed_kinds *kinds;
    struct fed_buf *out;
    bool more;
};

/* The hash lets clients keep a document for ever; it changes when the document does. */
static void add_index_entry(void *ud, struct fed_str group, struct fed_str version)
{
    struct index *x = ud;
    struct fed_arena a = {0};
    struct fed_buf doc = {0};
    struct fed_str path = gv_path(&a, group, version);

    if (write_document(x->kinds, group, version, &doc) == 0) {
        if (x->more)
            fed_buf_addc(x->out, ',');
        x->more = true;
        fed_json_write_string(x->out, path);
        fed_buf_addf(x->out, ":{\"serverRelativeURL\":\"/openapi/v3/%.*s?hash=%016llX\"}", FED_STR_ARG(path),
                     (unsigned long long)fed_str_hash(fed_buf_str(&doc), 0));
    }
    fed_buf_release(&doc);
    fed_arena_release(&a);
}

void fed_openapi_v3_index(const struct fed_kinds *k, struct fed_buf *out)
{
    struct index x = {.kinds = k, .out = out};

    fed_buf_addz(out, "{\"paths\":{");
    fed_kinds_each_gv(k, add_index_entry, &x);
    fed_buf_addz(out, "}}");
}
