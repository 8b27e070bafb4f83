/* SPDX-License-Identifier: Apache-2.0 */
/* form.h: the forms in which one object is shown: a version of its kind, a Table row, or its metadata alone.
 *
 * Model:      the JSON of the storage version is in the object itself. Other versions and PartialObjectMetadata are
 *             encoded on first demand, kept with the object and shared by all who ask (struct fed_kobj.ext). Table rows
 *             show ages, so they are made anew for each answer (a watch shares them for one event).
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_FORM_H
#define FED_APISERVER_FORM_H

#include "kube/kind.h"
#include "kube/schema.h"

enum fed_form_kind { FED_FORM_OBJECT, FED_FORM_TABLE, FED_FORM_PARTIAL };
enum fed_include { FED_INCLUDE_METADATA, FED_INCLUDE_OBJECT, FED_INCLUDE_NONE };
struct fed_form {
    enum fed_form_kind kind;
    const struct fed_kind_version *v;
    enum fed_include include; /* of Table rows */
    const char *meta_version; /* "v1" or "v1beta1" of meta.k8s.io */
    bool scale;               /* the scale subresource of the object */
};
/* The version that the object's bytes are in: the storage version, but for objects of custom kinds that were written
 * before another version became it. */
const struct fed_kind_version *fed_form_stored(const struct fed_kind *k, const struct fed_kobj *o);
/* The form can be had at once. False: a webhook has to convert the object first (custom_convert.h). */
bool fed_form_ready(const struct fed_kobj *o, const struct fed_form *f);
/* What the webhook made of the object in version v: kept with it. */
void fed_form_put(struct fed_kobj *o, const struct fed_kind_version *v, struct fed_blob *json);

bool fed_form_equal(const struct fed_form *a, const struct fed_form *b);

/* Bytes of the object in the form; not for tables. Borrowed from the object. *blob (may be NULL) is set when the bytes
 * are a whole blob. */
struct fed_str fed_form_bytes(struct fed_kobj *o, const struct fed_form *f, struct fed_blob **blob);
/* One row {"cells":[…],"object":…}. */
void fed_form_row(struct fed_buf *out, struct fed_kobj *o, const struct fed_form *f, int64_t now_ms);
/* Begin of a Table up to and with "rows":[ ; metadata is JSON text of its object. */
void fed_form_table_begin(struct fed_buf *out, const struct fed_form *f, struct fed_str metadata, bool columns);
/* The object in the form, tables included (one row). */
void fed_form_write(struct fed_buf *out, struct fed_kobj *o, const struct fed_form *f, int64_t now_ms, bool columns);
/* An autoscaling/v1 Scale of the object, in the arena. */
struct fed_json *fed_form_scale(struct fed_arena *a, struct fed_kobj *o, const struct fed_kind *kind);
/* A tree at ".spec.replicas", or NULL. */
struct fed_json *fed_form_path(const struct fed_json *obj, struct fed_str path);

#endif
