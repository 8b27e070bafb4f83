/* SPDX-License-Identifier: Apache-2.0 */
/* obj.h: one Kubernetes object at one revision: immutable bytes, a small index, a reference count.
 *
 * Model:      the JSON bytes (with apiVersion, kind and metadata.resourceVersion in place) are made once and shared by
 *             every list, watch and informer. The index holds what is asked often; anything else is parsed from the
 *             bytes into a tree that lives for one request or one reconcile (fed_kobj_parse).
 * Memory:     one piece: the index, what it points to and the bytes. A cache holds a hundred thousand of them.
 * Ownership:  reference counted; slices of the index point into the object and live as long as a reference.
 * Threads:    immutable; any thread.
 */
#ifndef FED_KUBE_OBJ_H
#define FED_KUBE_OBJ_H

#include "base/blob.h"
#include "codec/json.h"

struct fed_kv {
    struct fed_str key, value;
};
struct fed_owner { /* metadata.ownerReferences[] */
    struct fed_str api_version, kind, name, uid;
    bool controller, block_deletion;
};
struct fed_kobj_ext { /* begins what another room keeps with an object */
    void (*free)(struct fed_kobj_ext *ext);
};
struct fed_kobj {
    struct fed_blob
        bytes;    /* of json; its reference count is the object's, so an answer that refers to them keeps all */
    uint64_t rev; /* metadata.resourceVersion as a number; 0 when absent */
    int64_t generation;
    struct fed_str api_version, kind, ns, name, uid;
    struct fed_str json; /* the whole object */
    struct fed_kv *labels, *annotations;
    struct fed_owner *owners;
    struct fed_str *finalizers;
    struct fed_kobj_ext *ext; /* the apiserver cache's own (encodings in other versions); else NULL */
    uint32_t n_labels, n_annotations, n_owners;
    uint32_t n_finalizers : 30;
    bool deleting : 1; /* metadata.deletionTimestamp is set */
    bool in_slab : 1;  /* obj.c's own */
};

/* Parses the bytes (one object) and indexes them. A list item may lack apiVersion and kind: those given (may be empty)
 * are then spliced in. Takes its own reference or copy. FED_E_SYNTAX, FED_E_INVALID (no metadata.name). */
FED_MUST_USE int fed_kobj_new(struct fed_str json, struct fed_str api_version, struct fed_str kind,
                              struct fed_kobj **out, struct fed_err *err);
/* The same with metadata.resourceVersion set to rev (put in or replaced in the bytes). */
FED_MUST_USE int fed_kobj_new_at(struct fed_str json, uint64_t rev, struct fed_kobj **out, struct fed_err *err);
/* The object of a BOOKMARK event: its name may be missing. */
FED_MUST_USE int fed_kobj_new_bookmark(struct fed_str json, struct fed_kobj **out, struct fed_err *err);
/* The same from a tree; rev 0 leaves resourceVersion as it is, else it is set. */
FED_MUST_USE int fed_kobj_from_tree(const struct fed_json *tree, uint64_t rev, struct fed_kobj **out,
                                    struct fed_err *err);
struct fed_kobj *fed_kobj_ref(struct fed_kobj *o); /* returns o; NULL ok */
void fed_kobj_unref(struct fed_kobj *o);           /* NULL ok */
/* The object as a tree in the arena: a new one for each call, free to be changed; it borrows nothing of the object.
 * Cannot fail (the bytes were checked when the object was made). */
struct fed_json *fed_kobj_parse(const struct fed_kobj *o, struct fed_arena *a);
struct fed_str fed_kobj_label(const struct fed_kobj *o, const char *key); /* p == NULL: absent */
struct fed_str fed_kobj_annotation(const struct fed_kobj *o, const char *key);
bool fed_kobj_has_finalizer(const struct fed_kobj *o, const char *finalizer);
const struct fed_owner *fed_kobj_controller(const struct fed_kobj *o); /* owner with controller=true, or NULL */

/* Names and values common to trees (obj = a whole object). */
struct fed_str fed_obj_name(const struct fed_json *obj);
struct fed_str fed_obj_ns(const struct fed_json *obj);
struct fed_str fed_obj_uid(const struct fed_json *obj);
struct fed_json *fed_obj_metadata(struct fed_arena *a, struct fed_json *obj); /* made when absent */
struct fed_str fed_obj_label(const struct fed_json *obj, const char *key);
struct fed_str fed_obj_annotation(const struct fed_json *obj, const char *key);
void fed_obj_set_label(struct fed_arena *a, struct fed_json *obj, const char *key, struct fed_str value);
void fed_obj_set_annotation(struct fed_arena *a, struct fed_json *obj, const char *key, struct fed_str value);
/* Adds to metadata.finalizers; false when it was there. */
bool fed_obj_add_finalizer(struct fed_arena *a, struct fed_json *obj, const char *finalizer);
/* Merge patches of metadata that fail (Conflict) when the object has changed since, or another has its name: with nothing
 * yet, with one finalizer more, with one less. */
struct fed_json *fed_kobj_guarded_patch(struct fed_arena *a, const struct fed_kobj *o);
struct fed_json *fed_kobj_patch_with_finalizer(struct fed_arena *a, const struct fed_kobj *o, const char *finalizer);
struct fed_json *fed_kobj_patch_without_finalizer(struct fed_arena *a, const struct fed_kobj *o, const char *finalizer);
/* A new object {apiVersion, kind, metadata{name, namespace}}; ns empty for cluster scope. */
struct fed_json *fed_obj_new(struct fed_arena *a, const char *api_version, const char *kind, struct fed_str ns,
                             struct fed_str name);
/* Adds (or replaces by uid) a controller owner reference to `owner`. */
void fed_obj_set_controller(struct fed_arena *a, struct fed_json *obj, const struct fed_kobj *owner);
/* Sets status.conditions[type]: status "True"/"False"/"Unknown"; lastTransitionTime moves only when status changes.
 * Returns true when anything but times changed. */
bool fed_obj_set_condition(struct fed_arena *a, struct fed_json *status, const char *type, const char *status_text,
                           const char *reason, struct fed_str message, int64_t now_ms);
struct fed_json *fed_obj_condition(const struct fed_json *status, const char *type); /* or NULL */

#endif
