/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/obj.h"

#include "base/env.h"
#include "base/mem.h"
#include "base/slab.h"
#include "kube/obj_scan.h"

/* Text put into the bytes: at `at` (a place of the source), `cut` source bytes are left out. */
struct splice {
    const char *at;
    size_t cut;
    char text[400];
    size_t n;
};
struct splices {
    struct splice s[2]; /* in the order of their places */
    int n;
    const char *base; /* of the source */
    char *to;         /* of the bytes made */
};

/* Where a place of the source is in the bytes made. */
static const char *moved(const struct splices *sp, const char *p)
{
    ptrdiff_t off = p - sp->base;
    for (int i = 0; i < sp->n && sp->s[i].at <= p; i++)
        off += (ptrdiff_t)sp->s[i].n - (ptrdiff_t)sp->s[i].cut;
    return sp->to + off;
}

static void add_type(struct splices *sp, const struct fed_objscan *scan, struct fed_str api_version,
                     struct fed_str kind)
{
    struct splice *s = &sp->s[sp->n];
    bool want_kind = !scan->kind.p && kind.n > 0 && kind.n < 128;
    bool want_api = !scan->api_version.p && api_version.n > 0 && api_version.n < 200;
    if (!want_kind && !want_api)
        return;
    s->at = scan->text.p + 1;
    s->cut = 0;
    s->n = 0;
    if (want_kind)
        s->n += (size_t)snprintf(s->text, sizeof(s->text), "\"kind\":\"%.*s\",", FED_STR_ARG(kind));
    if (want_api)
        s->n += (size_t)snprintf(s->text + s->n, sizeof(s->text) - s->n, "\"apiVersion\":\"%.*s\",",
                                 FED_STR_ARG(api_version));
    sp->n++;
}

static void add_rev(struct splices *sp, const struct fed_objscan *scan, uint64_t rev)
{
    struct splice *s = &sp->s[sp->n++];
    if (scan->rev.p) {
        s->at = scan->rev.p;
        s->cut = scan->rev.n;
        s->n = (size_t)snprintf(s->text, sizeof(s->text), "%llu", (unsigned long long)rev);
        return;
    }
    s->at = scan->metadata_open;
    s->cut = 0;
    s->n = (size_t)snprintf(s->text, sizeof(s->text), "\"resourceVersion\":\"%llu\"%s", (unsigned long long)rev,
                            scan->metadata_empty ? "" : ",");
}

static size_t size_of_bytes(const struct splices *sp, struct fed_str text)
{
    size_t n = text.n;
    for (int i = 0; i < sp->n; i++)
        n += sp->s[i].n - sp->s[i].cut;
    return n;
}

static void put_bytes(struct splices *sp, struct fed_str text, char *to)
{
    const char *from = text.p;
    sp->to = to;
    sp->base = text.p;
    for (int i = 0; i < sp->n; i++) {
        memcpy(to, from, (size_t)(sp->s[i].at - from));
        to += sp->s[i].at - from;
        memcpy(to, sp->s[i].text, sp->s[i].n);
        to += sp->s[i].n;
        from = sp->s[i].at + sp->s[i].cut;
    }
    memcpy(to, from, (size_t)(text.p + text.n - from));
}

static size_t decoded_room(const struct fed_raw *v, size_t n)
{
    size_t room = 0;
    for (size_t i = 0; i < n; i++)
        room += v[i].flags & FED_RAW_ESCAPED ? v[i].n : 0;
    return room;
}

/* A found string as a slice of the object: of its bytes, or decoded behind its arrays. */
static struct fed_str settle(const struct splices *sp, struct fed_raw raw, char **room)
{
    if (!raw.p)
        return (struct fed_str){0};
    if (!(raw.flags & FED_RAW_ESCAPED))
        return fed_str_n(moved(sp, raw.p), raw.n);
    struct fed_str s = {*room, fed_raw_decode(raw, *room)};
    *room += s.n;
    return s;
}

static struct fed_kv *settle_map(const struct splices *sp, const struct fed_raws *raws, void **at, char **room)
{
    struct fed_kv *kv = *at;
    for (size_t i = 0; i < raws->n / 2; i++) {
        kv[i].key = settle(sp, raws->v[2 * i], room);
        kv[i].value = settle(sp, raws->v[2 * i + 1], room);
    }
    *at = kv + raws->n / 2;
    return kv;
}

static void settle_owners(struct fed_kobj *o, const struct splices *sp, const struct fed_raws *raws, void **at,
                          char **room)
{
    o->owners = *at;
    o->n_owners = (uint32_t)(raws->n / 4);
    for (size_t i = 0; i < o->n_owners; i++) {
        const struct fed_raw *r = raws->v + 4 * i;
        o->owners[i] = (struct fed_owner){settle(sp, r[0], room),
                                          settle(sp, r[1], room),
                                          settle(sp, r[2], room),
                                          settle(sp, r[3], room),
                                          (r[0].flags & FED_RAW_CONTROLLER) != 0,
                                          (r[0].flags & FED_RAW_BLOCK) != 0};
    }
    *at = o->owners + o->n_owners;
}

static void release_object(struct fed_blob *bytes)
{
    struct fed_kobj *o = fed_container_of(bytes, struct fed_kobj, bytes);
    if (o->ext)
        o->ext->free(o->ext);
    if (o->in_slab)
        fed_slab_free(o);
    else
        free(o);
}

static struct fed_kobj *make_object(const struct fed_objscan *scan, struct splices *sp)
{
    const struct fed_raw alone[] = {scan->api_version, scan->kind, scan->ns, scan->name, scan->uid};
    size_t arrays = (scan->labels.n + scan->annotations.n) / 2 * sizeof(struct fed_kv) +
                    scan->owners.n / 4 * sizeof(struct fed_owner) + scan->finalizers.n * sizeof(struct fed_str);
    size_t text = decoded_room(alone, FED_ARRAY_LEN(alone)) + decoded_room(scan->labels.v, scan->labels.n) +
                  decoded_room(scan->annotations.v, scan->annotations.n) +
                  decoded_room(scan->owners.v, scan->owners.n) + decoded_room(scan->finalizers.v, scan->finalizers.n);
    size_t n = size_of_bytes(sp, scan->text);
    struct fed_kobj *o = fed_slab_alloc(sizeof(*o) + arrays + text + n);
    bool in_slab = o != NULL;
    if (!o)
        o = fed_malloc(sizeof(*o) + arrays + text + n);
    memset(o, 0, sizeof(*o));
    o->in_slab = in_slab;
    void *at = o + 1;
    char *room = (char *)(o + 1) + arrays, *bytes = room + text;

    put_bytes(sp, scan->text, bytes);
    fed_blob_part(&o->bytes, bytes, n, release_object);
    o->json = fed_str_n(bytes, n);
    o->api_version = settle(sp, scan->api_version, &room);
    o->kind = settle(sp, scan->kind, &room);
    o->ns = settle(sp, scan->ns, &room);
    o->name = settle(sp, scan->name, &room);
    o->uid = settle(sp, scan->uid, &room);
    o->generation = scan->generation;
    o->deleting = scan->deleting;
    o->n_labels = (uint32_t)(scan->labels.n / 2);
    o->labels = settle_map(sp, &scan->labels, &at, &room);
    o->n_annotations = (uint32_t)(scan->annotations.n / 2);
    o->annotations = settle_map(sp, &scan->annotations, &at, &room);
    settle_owners(o, sp, &scan->owners, &at, &room);
    o->finalizers = at;
    o->n_finalizers = scan->finalizers.n & 0x3fffffff;
    for (size_t i = 0; i < o->n_finalizers; i++)
        o->finalizers[i] = settle(sp, scan->finalizers.v[i], &room);
    return o;
}

/* The type that was spliced in, as a slice of the object's own bytes. */
static void find_spliced_type(struct fed_kobj *o, struct fed_str api_version, struct fed_str kind)
{
    const char *p = o->json.p + 1;
    if (!o->kind.p && kind.n > 0 && kind.n < 128) {
        p += sizeof("\"kind\":\"") - 1;
        o->kind = fed_str_n(p, kind.n);
        p += kind.n + 2;
    }
    if (!o->api_version.p && api_version.n > 0 && api_version.n < 200)
        o->api_version = fed_str_n(p + sizeof("\"apiVersion\":\"") - 1, api_version.n);
}

/* allow_unnamed: bookmarks and lists of metadata have no name. */
static int make(struct fed_str json, struct fed_str api_version, struct fed_str kind, uint64_t rev, bool allow_unnamed,
                struct fed_kobj **out, struct fed_err *err)
{
    struct fed_objscan scan;
    struct splices sp = {.n = 0};
    *out = NULL;
    int code = fed_objscan(&scan, json, err);
    if (code == 0 && !scan.has_metadata && !allow_unnamed)
        code = fed_err_set(err, FED_E_INVALID, "object without metadata");
    if (code == 0 && (!scan.name.p || scan.name.n == 0) && !allow_unnamed)
        code = fed_err_set(err, FED_E_INVALID, "metadata.name: Required value");
    if (code == 0) {
        add_type(&sp, &scan, api_version, kind);
        if (rev && scan.has_metadata)
            add_rev(&sp, &scan, rev);
        struct fed_kobj *o = make_object(&scan, &sp);
        find_spliced_type(o, api_version, kind);
        o->rev = rev;
        if (!rev && (!scan.rev.p || fed_str_u64(fed_str_n(scan.rev.p, scan.rev.n), &o->rev) != 0))
            o->rev = 0;
        *out = o;
    }
    fed_objscan_release(&scan);
    return code;
}

int fed_kobj_new(struct fed_str json, struct fed_str api_version, struct fed_str kind, struct fed_kobj **out,
                 struct fed_err *err)
{
    return make(json, api_version, kind, 0, false, out, err);
}

int fed_kobj_new_at(struct fed_str json, uint64_t rev, struct fed_kobj **out, struct fed_err *err)
{
    return make(json, (struct fed_str){0}, (struct fed_str){0}, rev, false, out, err);
}

int fed_kobj_new_bookmark(struct fed_str json, struct fed_kobj **out, struct fed_err *err)
{
    return make(json, (struct fed_str){0}, (struct fed_str){0}, 0, true, out, err);
}

int fed_kobj_from_tree(const struct fed_json *tree, uint64_t rev, struct fed_kobj **out, struct fed_err *err)
{
    struct fed_buf buf = {0};
    fed_json_write(&buf, tree);
    int code = make(fed_buf_str(&buf), (struct fed_str){0}, (struct fed_str){0}, rev, false, out, err);
    fed_buf_release(&buf);
    return code;
}

struct fed_kobj *fed_kobj_ref(struct fed_kobj *o)
{
    if (o)
        fed_blob_ref(&o->bytes);
    return o;
}

void fed_kobj_unref(struct fed_kobj *o)
{
    if (o)
        fed_blob_unref(&o->bytes);
}

struct fed_json *fed_kobj_parse(const struct fed_kobj *o, struct fed_arena *a)
{
    /* The pass that made the object was as strict as the parser; its own limits are lifted. */
    const struct fed_json_limits limits = {.max_bytes = SIZE_MAX / 2, .max_depth = 200, .max_nodes = UINT32_MAX};
    struct fed_json *tree = NULL;
    if (fed_json_parse(a, fed_arena_dup(a, o->json), &limits, &tree, NULL) != 0) {
        tree = fed_obj_new(a, "", "", fed_arena_dup(a, o->ns), fed_arena_dup(a, o->name));
        fed_json_set(tree, "apiVersion", fed_json_new_str(a, fed_arena_dup(a, o->api_version)));
        fed_json_set(tree, "kind", fed_json_new_str(a, fed_arena_dup(a, o->kind)));
    }
    return tree;
}

/* Of members with one name the last wins, as in a tree. */
static struct fed_str find_kv(const struct fed_kv *kv, size_t n, const char *key)
{
    struct fed_str k = fed_str(key);
    while (n-- > 0) {
        if (fed_str_eq(kv[n].key, k))
            return kv[n].value;
    }
    return (struct fed_str){0};
}

struct fed_str fed_kobj_label(const struct fed_kobj *o, const char *key)
{
    return find_kv(o->labels, o->n_labels, key);
}

struct fed_str fed_kobj_annotation(const struct fed_kobj *o, const char *key)
{
    return find_kv(o->annotations, o->n_annotations, key);
}

bool fed_kobj_has_finalizer(const struct fed_kobj *o, const char *finalizer)
{
    for (size_t i = 0; i < o->n_finalizers; i++) {
        if (fed_str_is(o->finalizers[i], finalizer))
            return true;
    }
    return false;
}

const struct fed_owner *fed_kobj_controller(const struct fed_kobj *o)
{
    for (size_t i = 0; i < o->n_owners; i++) {
        if (o->owners[i].controller)
            return &o->owners[i];
    }
    return NULL;
}

struct fed_str fed_obj_name(const struct fed_json *obj)
{
    return fed_json_find_text(fed_json_find(obj, "metadata"), "name");
}

struct fed_str fed_obj_ns(const struct fed_json *obj)
{
    return fed_json_find_text(fed_json_find(obj, "metadata"), "namespace");
}

struct fed_str fed_obj_uid(const struct fed_json *obj)
{
    return fed_json_find_text(fed_json_find(obj, "metadata"), "uid");
}

struct fed_json *fed_obj_metadata(struct fed_arena *a, struct fed_json *obj)
{
    struct fed_json *m = fed_json_ensure_object(a, obj, "metadata");
    return m ? m : fed_json_set(obj, "metadata", fed_json_object(a));
}

struct fed_str fed_obj_label(const struct fed_json *obj, const char *key)
{
    return fed_json_find_text(fed_json_at(obj, "metadata", "labels", NULL), key);
}

struct fed_str fed_obj_annotation(const struct fed_json *obj, const char *key)
{
    return fed_json_find_text(fed_json_at(obj, "metadata", "annotations", NULL), key);
}

static void set_in_map(struct fed_arena *a, struct fed_json *obj, const char *map, const char *key,
                       struct fed_str value)
{
    struct fed_json *meta = fed_obj_metadata(a, obj);
    struct fed_json *m = fed_json_ensure_object(a, meta, map);
    if (!m)
        m = fed_json_set(meta, map, fed_json_object(a));
    fed_json_set_str(m, fed_arena_dup(a, fed_str(key)), fed_json_new_str(a, fed_arena_dup(a, value)));
}

void fed_obj_set_label(struct fed_arena *a, struct fed_json *obj, const char *key, struct fed_str value)
{
    set_in_map(a, obj, "labels", key, value);
}

void fed_obj_set_annotation(struct fed_arena *a, struct fed_json *obj, const char *key, struct fed_str value)
{
    set_in_map(a, obj, "annotations", key, value);
}

bool fed_obj_add_finalizer(struct fed_arena *a, struct fed_json *obj, const char *finalizer)
{
    struct fed_json *list = fed_json_ensure_array(a, fed_obj_metadata(a, obj), "finalizers");
    FED_JSON_EACH(f, list)
        if (fed_str_is(fed_json_str(f), finalizer))
            return false;
    if (list)
        fed_json_push(list, fed_json_new_strz(a, finalizer));
    return list != NULL;
}

struct fed_json *fed_kobj_guarded_patch(struct fed_arena *a, const struct fed_kobj *o)
{
    struct fed_json *patch = fed_json_object(a), *meta = fed_json_ensure_object(a, patch, "metadata");
    fed_json_set(meta, "uid", fed_json_new_str(a, o->uid));
    fed_json_set(meta, "resourceVersion", fed_json_new_strf(a, "%llu", (unsigned long long)o->rev));
    return patch;
}

struct fed_json *fed_kobj_patch_without_finalizer(struct fed_arena *a, const struct fed_kobj *o, const char *finalizer)
{
    struct fed_json *patch = fed_kobj_guarded_patch(a, o);
    struct fed_json *list = fed_json_ensure_array(a, fed_obj_metadata(a, patch), "finalizers");
    for (size_t i = 0; i < o->n_finalizers; i++)
        if (!fed_str_is(o->finalizers[i], finalizer))
            fed_json_push(list, fed_json_new_str(a, o->finalizers[i]));
    return patch;
}

struct fed_json *fed_kobj_patch_with_finalizer(struct fed_arena *a, const struct fed_kobj *o, const char *finalizer)
{
    struct fed_json *patch = fed_kobj_patch_without_finalizer(a, o, finalizer);
    fed_obj_add_finalizer(a, patch, finalizer);
    return patch;
}

struct fed_json *fed_obj_new(struct fed_arena *a, const char *api_version, const char *kind, struct fed_str ns,
                             struct fed_str name)
{
    struct fed_json *obj = fed_json_object(a), *meta = fed_json_object(a);
    fed_json_set(obj, "apiVersion", fed_json_new_strz(a, api_version));
    fed_json_set(obj, "kind", fed_json_new_strz(a, kind));
    fed_json_set(obj, "metadata", meta);
    fed_json_set(meta, "name", fed_json_new_str(a, fed_arena_dup(a, name)));
    if (ns.n)
        fed_json_set(meta, "namespace", fed_json_new_str(a, fed_arena_dup(a, ns)));
    return obj;
}

void fed_obj_set_controller(struct fed_arena *a, struct fed_json *obj, const struct fed_kobj *owner)
{
    struct fed_json *meta = fed_obj_metadata(a, obj);
    struct fed_json *refs = fed_json_ensure_array(a, meta, "ownerReferences");
    if (!refs)
        refs = fed_json_set(meta, "ownerReferences", fed_json_array(a));
    FED_JSON_EACH_SAFE(ref, refs) {
        if (fed_str_eq(fed_json_find_text(ref, "uid"), owner->uid))
            fed_json_remove(ref);
    }
    struct fed_json *ref = fed_json_push(refs, fed_json_object(a));
    fed_json_set(ref, "apiVersion", fed_json_new_str(a, fed_arena_dup(a, owner->api_version)));
    fed_json_set(ref, "kind", fed_json_new_str(a, fed_arena_dup(a, owner->kind)));
    fed_json_set(ref, "name", fed_json_new_str(a, fed_arena_dup(a, owner->name)));
    fed_json_set(ref, "uid", fed_json_new_str(a, fed_arena_dup(a, owner->uid)));
    fed_json_set(ref, "controller", fed_json_new_bool(a, true));
    fed_json_set(ref, "blockOwnerDeletion", fed_json_new_bool(a, true));
}

struct fed_json *fed_obj_condition(const struct fed_json *status, const char *type)
{
    FED_JSON_EACH(c, fed_json_find(status, "conditions")) {
        if (fed_str_is(fed_json_find_text(c, "type"), type))
            return c;
    }
    return NULL;
}

/* Sets a text member; true when it was another. */
static bool set_text(struct fed_arena *a, struct fed_json *obj, const char *key, struct fed_str value)
{
    if (fed_str_eq(fed_json_find_text(obj, key), value))
        return false;
    fed_json_set(obj, key, fed_json_new_str(a, fed_arena_dup(a, value)));
    return true;
}

bool fed_obj_set_condition(struct fed_arena *a, struct fed_json *status, const char *type, const char *status_text,
                           const char *reason, struct fed_str message, int64_t now_ms)
{
    struct fed_json *c = fed_obj_condition(status, type);
    if (!c) {
        struct fed_json *list = fed_json_ensure_array(a, status, "conditions");
        if (!list)
            list = fed_json_set(status, "conditions", fed_json_array(a));
        c = fed_json_push(list, fed_json_object(a));
        set_text(a, c, "type", fed_str(type));
    }
    bool moved_on = set_text(a, c, "status", fed_str(status_text));
    if (moved_on) {
        char now[21];
        fed_time_format(now_ms, now);
        set_text(a, c, "lastTransitionTime", fed_str(now));
    }
    bool other = set_text(a, c, "reason", fed_str(reason));
    return set_text(a, c, "message", message) || other || moved_on;
}
