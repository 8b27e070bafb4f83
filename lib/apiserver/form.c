/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/form.h"

#include "base/mem.h"
#include "kube/selector.h"
#include "kube/table.h"

struct encoding { /* kept with the object */
    struct fed_kobj_ext ext;
    struct encoding *next;
    struct fed_form form;
    struct fed_blob *blob;
};

static struct encoding *encodings(const struct fed_kobj *o)
{
    return o->ext ? fed_container_of(o->ext, struct encoding, ext) : NULL;
}

static void encodings_free(struct fed_kobj_ext *ext)
{
    for (struct encoding *e = fed_container_of(ext, struct encoding, ext), *next; e; e = next) {
        next = e->next;
        fed_kind_unref(e->form.v->kind);
        fed_blob_unref(e->blob);
        free(e);
    }
}

const struct fed_kind_version *fed_form_stored(const struct fed_kind *k, const struct fed_kobj *o)
{
    for (size_t i = 0; k->custom && i < k->n_versions; i++)
        if (fed_str_eq(k->versions[i].api_version, o->api_version))
            return &k->versions[i];
    return fed_kind_storage(k);
}

static struct encoding *find_encoding(const struct fed_kobj *o, const struct fed_form *f)
{
    for (struct encoding *e = encodings(o); e; e = e->next)
        if (fed_form_equal(&e->form, f))
            return e;
    return NULL;
}

static struct encoding *add_encoding(struct fed_kobj *o, const struct fed_form *f, struct fed_blob *blob)
{
    struct encoding *e = FED_NEW(struct encoding);
    e->form = *f;
    (void)fed_kind_ref(f->v->kind);
    e->blob = blob;
    e->next = encodings(o);
    e->ext.free = encodings_free;
    o->ext = &e->ext;
    return e;
}

bool fed_form_ready(const struct fed_kobj *o, const struct fed_form *f)
{
    const struct fed_kind *k = f->v->kind;
    struct fed_form whole = {.kind = FED_FORM_OBJECT, .v = f->v};
    return !k->conversion || f->kind == FED_FORM_PARTIAL || f->scale || fed_form_stored(k, o) == f->v ||
           find_encoding(o, &whole);
}

void fed_form_put(struct fed_kobj *o, const struct fed_kind_version *v, struct fed_blob *json)
{
    struct fed_form whole = {.kind = FED_FORM_OBJECT, .v = v};
    if (!find_encoding(o, &whole))
        (void)add_encoding(o, &whole, fed_blob_ref(json));
}

bool fed_form_equal(const struct fed_form *a, const struct fed_form *b)
{
    return a->kind == b->kind && a->v == b->v && a->include == b->include && a->scale == b->scale &&
           (a->meta_version == b->meta_version || a->kind == FED_FORM_OBJECT);
}

struct fed_json *fed_form_path(const struct fed_json *obj, struct fed_str path)
{
    struct fed_str piece;
    struct fed_json *at = NULL;
    if (path.n && path.p[0] == '.')
        path = fed_str_from(path, 1);
    while (fed_str_cut(&path, '.', &piece)) {
        at = fed_json_find_str(obj, piece);
        if (!at)
            return NULL;
        obj = at;
    }
    return at;
}

struct fed_json *fed_form_scale(struct fed_arena *a, struct fed_kobj *o, const struct fed_kind *kind)
{
    const struct fed_kind_version *v = fed_form_stored(kind, o);
    struct fed_json *obj = fed_kobj_parse(o, a), *meta = fed_json_find(obj, "metadata");
    struct fed_json *s = fed_obj_new(a, "autoscaling/v1", "Scale", o->ns, o->name);
    struct fed_json *m = fed_obj_metadata(a, s);
    static const char *const keep[] = {"uid", "resourceVersion", "creationTimestamp"};
    for (size_t i = 0; i < FED_ARRAY_LEN(keep); i++) {
        struct fed_json *f = fed_json_find(meta, keep[i]);
        if (f)
            fed_json_set(m, keep[i], fed_json_copy(a, f));
    }
    struct fed_json *spec = fed_json_set(s, "spec", fed_json_object(a));
    struct fed_json *f = fed_form_path(obj, v->scale_spec_path);
    fed_json_set(spec, "replicas", fed_json_new_int(a, fed_json_int(f, 0)));
    struct fed_json *status = fed_json_set(s, "status", fed_json_object(a));
    f = fed_form_path(obj, v->scale_status_path);
    fed_json_set(status, "replicas", fed_json_new_int(a, fed_json_int(f, 0)));
    /* A selector is text in CRDs and an object in the apps kinds. */
    f = v->scale_selector_path.n ? fed_form_path(obj, v->scale_selector_path) : NULL;
    if (!f && !kind->custom)
        f = fed_json_at(obj, "spec", "selector", NULL);
    if (f && f->type == FED_JSON_STRING) {
        fed_json_set(status, "selector", fed_json_copy(a, f));
    } else if (f && f->type == FED_JSON_OBJECT) {
        struct fed_selector sel;
        struct fed_buf text = {0};
        if (fed_selector_from_json(a, f, &sel, NULL) == 0)
            fed_selector_format(&sel, &text);
        fed_json_set(status, "selector", fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&text))));
        fed_buf_release(&text);
    }
    return s;
}

static void put_partial(struct fed_buf *b, struct fed_kobj *o, const struct fed_form *f)
{
    struct fed_arena a = {0};
    struct fed_json *obj = fed_kobj_parse(o, &a);
    fed_buf_addf(b, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":",
                 f->meta_version ? f->meta_version : "v1");
    struct fed_json *meta = fed_json_find(obj, "metadata");
    if (meta)
        fed_json_write(b, meta);
    else
        fed_buf_addz(b, "{}");
    fed_buf_addc(b, '}');
    fed_arena_release(&a);
}

static void put_version(struct fed_buf *b, struct fed_kobj *o, const struct fed_form *f)
{
    struct fed_arena a = {0};
    struct fed_json *obj;
    if (f->scale) {
        obj = fed_form_scale(&a, o, f->v->kind);
    } else {
        obj = fed_kobj_parse(o, &a);
        /* A hook that cannot convert what is stored leaves the object as far as it came: better than no answer. */
        int rc = fed_kind_convert(&a, obj, fed_form_stored(f->v->kind, o), f->v, NULL);
        (void)rc;
        if (f->v->kind->custom)
            fed_schema_prune(f->v->schema, obj, NULL, NULL);
        fed_schema_zeros(&a, f->v->schema, obj);
    }
    fed_json_write(b, obj);
    fed_arena_release(&a);
}

struct fed_str fed_form_bytes(struct fed_kobj *o, const struct fed_form *f, struct fed_blob **blob)
{
    if (f->kind == FED_FORM_OBJECT && !f->scale && f->v == fed_form_stored(f->v->kind, o)) {
        if (blob)
            *blob = &o->bytes;
        return o->json;
    }
    struct encoding *e = find_encoding(o, f);
    if (!e) {
        struct fed_buf b = {0};
        if (f->kind == FED_FORM_PARTIAL)
            put_partial(&b, o, f);
        else
            put_version(&b, o, f);
        e = add_encoding(o, f, fed_blob_new_take(&b));
    }
    if (blob)
        *blob = e->blob;
    return fed_blob_str(e->blob);
}

void fed_form_row(struct fed_buf *out, struct fed_kobj *o, const struct fed_form *f, int64_t now_ms)
{
    struct fed_arena a = {0};
    struct fed_json *obj = NULL;
    struct fed_form of_version = {.kind = FED_FORM_OBJECT, .v = f->v};
    if (f->scale)
        obj = fed_form_scale(&a, o, f->v->kind);
    else if (f->v == fed_form_stored(f->v->kind, o) ||
             fed_json_parse(&a, fed_form_bytes(o, &of_version, NULL), NULL, &obj, NULL))
        obj = fed_kobj_parse(o, &a);
    fed_buf_addz(out, "{\"cells\":");
    fed_json_write(out, f->scale ? fed_scale_row(&a, obj, now_ms) : fed_kind_row(&a, f->v, obj, now_ms));
    if (!f->scale)
        fed_kind_row_conditions(out, f->v, obj);
    if (f->include == FED_INCLUDE_OBJECT) {
        fed_buf_addz(out, ",\"object\":");
        struct fed_form whole = {.kind = FED_FORM_OBJECT, .v = f->v, .scale = f->scale};
        fed_buf_add(out, fed_form_bytes(o, &whole, NULL));
    } else if (f->include == FED_INCLUDE_METADATA) {
        fed_buf_addf(out,
                     ",\"object\":{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":",
                     f->meta_version ? f->meta_version : "v1");
        fed_json_write(out, fed_json_find(obj, "metadata"));
        fed_buf_addc(out, '}');
    } else {
        fed_buf_addz(out, ",\"object\":null");
    }
    fed_buf_addc(out, '}');
    fed_arena_release(&a);
}

void fed_form_table_begin(struct fed_buf *out, const struct fed_form *f, struct fed_str metadata, bool columns)
{
    fed_buf_addf(out, "{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":",
                 f->meta_version ? f->meta_version : "v1");
    fed_buf_add(out, metadata);
    fed_buf_addz(out, ",\"columnDefinitions\":");
    if (columns) {
        struct fed_arena a = {0};
        fed_json_write(out, f->scale ? fed_scale_columns(&a) : fed_kind_column_definitions(&a, f->v));
        fed_arena_release(&a);
    } else {
        fed_buf_addz(out, "null");
    }
    fed_buf_addz(out, ",\"rows\":[");
}

void fed_form_write(struct fed_buf *out, struct fed_kobj *o, const struct fed_form *f, int64_t now_ms, bool columns)
{
    if (f->kind != FED_FORM_TABLE) {
        fed_buf_add(out, fed_form_bytes(o, f, NULL));
        return;
    }
    char meta[64];
    int n = snprintf(meta, sizeof meta, "{\"resourceVersion\":\"%llu\"}", (unsigned long long)o->rev);
    fed_form_table_begin(out, f, fed_str_n(meta, (size_t)n), columns);
    fed_form_row(out, o, f, now_ms);
    fed_buf_addz(out, "]}");
}
