/* SPDX-License-Identifier: Apache-2.0 */
/* Object metadata: what the server sets, what clients may not change, and what is valid. */
#include "apiserver/registry.h"
#include "base/map.h"
#include "kube/check.h"
#include "kube/names.h"

#define ANNOTATIONS_MAX (256u * 1024)

static void set_text(struct fed_write_op *op, struct fed_json *meta, const char *key, struct fed_str text)
{
    fed_json_set(meta, key, fed_json_new_str(op->w.arena, fed_arena_dup(op->w.arena, text)));
}

static void reset_managers(struct fed_json *meta, const struct fed_json *old_meta, struct fed_arena *a)
{
    /* [{}] and [] clear (fed_ssa_track sees to it); absence keeps what was. */
    struct fed_json *mf = fed_json_find(meta, "managedFields");
    if (mf && mf->type != FED_JSON_ARRAY)
        fed_json_remove(mf);
    else if (!mf && old_meta && fed_json_find(old_meta, "managedFields"))
        fed_json_set(meta, "managedFields", fed_json_copy(a, fed_json_find(old_meta, "managedFields")));
}

/* An empty one is as good as none, so that taking the last label away leaves nothing. */
static void drop_empty(struct fed_json *meta)
{
    static const char *const names[] = {"labels", "annotations", "finalizers", "ownerReferences"};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++) {
        struct fed_json *f = fed_json_find(meta, names[i]);
        if (f && (f->type == FED_JSON_OBJECT || f->type == FED_JSON_ARRAY) && !f->n)
            fed_json_remove(f);
    }
}

/* The same owner twice is one, and its writer is told. */
static void drop_double_owners(struct fed_write_op *op, struct fed_json *meta)
{
    struct fed_json *owners = fed_json_find(meta, "ownerReferences");
    struct fed_buf twice = {.max = 4096};
    struct fed_map by_uid = {0};
    FED_JSON_EACH_SAFE(o, owners) {
        struct fed_str uid = fed_json_find_text(o, "uid");
        const struct fed_json *before = uid.n ? fed_map_find(&by_uid, uid) : NULL;
        if (uid.n && !before)
            fed_map_set(&by_uid, uid, o);
        if (!before || !fed_json_equal(before, o))
            continue;
        if (twice.n < 400)
            fed_buf_addf(&twice, "%s%.*s", twice.n ? ", " : "", FED_STR_ARG(fed_str_head(uid, 64)));
        fed_json_remove(o);
    }
    fed_map_release(&by_uid);
    if (twice.n)
        fed_api_warn(
            op->r,
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, "
            "and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
            "%s",
            fed_buf_z(&twice));
    fed_buf_release(&twice);
}

void fed_meta_create(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_arena *a = op->w.arena;
    struct fed_json *meta = fed_obj_metadata(a, obj);
    static const char *const drop[] = {"resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
                                       "generation"};
    for (size_t i = 0; i < FED_ARRAY_LEN(drop); i++)
        fed_json_remove_key(meta, drop[i]);
    char text[40];
    struct fed_str prefix = fed_json_find_text(meta, "generateName");
    if (!fed_obj_name(obj).n && prefix.n) {
        op->generated = true;
        fed_json_set(meta, "name", fed_json_new_str(a, fed_name_generate(op->w.env, a, prefix)));
    }
    fed_uuid(op->w.env, text);
    set_text(op, meta, "uid", fed_str(text));
    fed_time_format(fed_wall_ms(op->w.env), text);
    set_text(op, meta, "creationTimestamp", fed_str(text));
    if (op->w.kind->has_generation)
        fed_json_set(meta, "generation", fed_json_new_int(a, 1));
    reset_managers(meta, NULL, a);
    drop_double_owners(op, meta);
    drop_empty(meta);
}

/* What only the server writes is taken from the old object. */
static void keep_system(struct fed_write_op *op, struct fed_json *meta, const struct fed_json *old_meta)
{
    static const char *const keep[] = {
        "name",      "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        "generation"};
    for (size_t i = 0; i < FED_ARRAY_LEN(keep); i++) {
        const struct fed_json *f = fed_json_find(old_meta, keep[i]);
        if (f)
            fed_json_set(meta, keep[i], fed_json_copy(op->w.arena, f));
        else
            fed_json_remove_key(meta, keep[i]);
    }
    fed_json_remove_key(meta, "selfLink");
}

/* Objects are deleted by DELETE: what says that they are may not be written, and may be left out. */
static void check_deletion(struct fed_write_op *op, const struct fed_json *meta, const struct fed_json *old_meta)
{
    static const char *const members[] = {"deletionTimestamp", "deletionGracePeriodSeconds"};
    struct fed_causes *c = &op->causes;
    for (size_t i = 0; i < FED_ARRAY_LEN(members); i++) {
        const struct fed_json *f = fed_json_find(meta, members[i]), *old = fed_json_find(old_meta, members[i]);
        if (!f || f->type == FED_JSON_NULL || (old && (i == 0 || fed_json_equal(f, old))))
            continue;
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "metadata.%s", members[i]),
                       fed_shown(c->arena, f), "field is immutable");
    }
}

static void check_new_finalizers(struct fed_write_op *op, const struct fed_json *meta)
{
    if (!op->old || !op->old->deleting)
        return;
    FED_JSON_EACH(f, fed_json_find(meta, "finalizers")) {
        bool had = false;
        for (size_t i = 0; i < op->old->n_finalizers; i++)
            had |= fed_str_eq(op->old->finalizers[i], f->s);
        if (!had)
            fed_causes_add(&op->causes, FED_CAUSE_FORBIDDEN, FED_STR("metadata.finalizers"), (struct fed_str){NULL, 0},
                           "no new finalizers can be added if the object is being deleted, found new finalizers "
                           "[]string{\"%.*s\"}",
                           FED_STR_ARG(f->s));
    }
}

int fed_meta_other_uid(struct fed_write_op *op, struct fed_str uid)
{
    struct fed_str have = op->old ? op->old->uid : (struct fed_str){NULL, 0};
    struct fed_buf key = {0};
    fed_cache_key(op->w.kind, op->r->q.ns, op->r->q.name, &key);
    fed_err_set(&op->err, FED_E_CONFLICT,
                "StorageError: invalid object, Code: 4, Key: %s, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                "failed: UID in precondition: %.*s, UID in object meta: %.*s",
                fed_buf_z(&key), FED_STR_ARG(uid), FED_STR_ARG(have));
    fed_buf_release(&key);
    return FED_E_CONFLICT;
}

/* A PUT names the object that it is meant for; a patch may not change that. */
static int check_uid(struct fed_write_op *op, struct fed_str uid)
{
    if (!uid.n || fed_str_eq(uid, op->old->uid))
        return 0;
    if (op->patch) {
        fed_causes_add(&op->causes, FED_CAUSE_INVALID, FED_STR("metadata.uid"),
                       fed_arena_printf(op->causes.arena, "\"%.*s\"", FED_STR_ARG(uid)), "field is immutable");
        return 0;
    }
    return fed_meta_other_uid(op, uid);
}

int fed_meta_update(struct fed_write_op *op, struct fed_json *obj)
{
    struct fed_json *meta = fed_obj_metadata(op->w.arena, obj);
    const struct fed_json *old_meta = fed_json_find(op->old_tree, "metadata");
    struct fed_str uid = fed_json_find_text(meta, "uid"), rev = fed_json_find_text(meta, "resourceVersion");
    uint64_t n = 0;
    if (check_uid(op, uid))
        return FED_E_CONFLICT;
    if (rev.n && !fed_str_is(rev, "0")) {
        if (fed_str_u64(rev, &n))
            return fed_err_set(&op->err, FED_E_BAD_REQUEST, "metadata.resourceVersion: Invalid value: \"%.*s\"",
                               FED_STR_ARG(rev));
        if (n != op->old->rev) {
            op->client_rev = true;
            return FED_E_CONFLICT;
        }
        op->client_rev |= !op->patch;
    }
    check_deletion(op, meta, old_meta);
    keep_system(op, meta, old_meta);
    if (op->patch != FED_PATCH_APPLY) /* which has them computed already, maybe to none */
        reset_managers(meta, old_meta, op->w.arena);
    drop_double_owners(op, meta);
    drop_empty(meta);
    check_new_finalizers(op, meta);
    return 0;
}

/* --- validation --- */

static struct fed_str quoted(struct fed_arena *a, struct fed_str s)
{
    return fed_arena_printf(a, "\"%.*s\"", FED_STR_ARG(s));
}

static void check_text_map(struct fed_write_op *op, const struct fed_json *map, const char *field, bool values)
{
    struct fed_causes *c = &op->causes;
    size_t total = 0;
    if (!map)
        return;
    FED_JSON_EACH(m, map) {
        struct fed_str key = m->key;
        total += key.n + m->s.n;
        if (!values) { /* annotation keys are compared without regard to case */
            char *low = fed_arena_dupz(c->arena, key);
            for (char *p = low; *p; p++)
                *p = (char)(*p >= 'A' && *p <= 'Z' ? *p + 32 : *p);
            key = fed_str(low);
        }
        if (fed_name_check_qualified(key))
            fed_check_name(c, key, fed_name_check_qualified, quoted(c->arena, m->key), fed_str(field));
        if (values && fed_name_check_label_value(m->s))
            fed_check_name(c, m->s, fed_name_check_label_value, quoted(c->arena, m->s), fed_str(field));
    }
    if (!values && total > ANNOTATIONS_MAX)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, fed_str(field), (struct fed_str){NULL, 0}, "must have at most %u bytes",
                       ANNOTATIONS_MAX);
}

static void check_owner(struct fed_causes *c, const struct fed_json *o)
{
    static const char *const need[] = {"kind", "name", "uid"};
    struct fed_str api = fed_json_find_text(o, "apiVersion"), rest = api, group;
    bool grouped = fed_str_cut(&rest, '/', &group) && rest.p;
    if (!api.n || (grouped && (!rest.n || fed_str_chr(rest, '/', 0) >= 0)))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("metadata.ownerReferences.apiVersion"), quoted(c->arena, api),
                       "version must not be empty");
    for (size_t k = 0; k < FED_ARRAY_LEN(need); k++)
        if (!fed_json_find_text(o, need[k]).n)
            fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "metadata.ownerReferences.%s", need[k]),
                           FED_STR("\"\""), "must not be empty");
    if (fed_str_is(api, "v1") && fed_str_is(fed_json_find_text(o, "kind"), "Event"))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("metadata.ownerReferences"), fed_shown(c->arena, o),
                       "/v1, Kind=Event is disallowed from being an owner");
}

static void check_owners(struct fed_write_op *op, const struct fed_json *owners)
{
    struct fed_causes *c = &op->causes;
    struct fed_str controller = {NULL, 0};
    FED_JSON_EACH(o, owners) {
        check_owner(c, o);
        if (!fed_json_bool(fed_json_find(o, "controller"), false))
            continue;
        struct fed_str who = fed_arena_printf(c->arena, "%.*s/%.*s", FED_STR_ARG(fed_json_find_text(o, "kind")),
                                              FED_STR_ARG(fed_json_find_text(o, "name")));
        if (controller.p)
            fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("metadata.ownerReferences"), fed_shown(c->arena, owners),
                           "Only one reference can have Controller set to true. Found \"true\" in references for "
                           "%.*s and %.*s",
                           FED_STR_ARG(controller), FED_STR_ARG(who));
        else
            controller = who;
    }
}

/* On kinds of Kubernetes' own, who is to finish an object says whose it is. What an object has already may stay. */
static bool unknown_finalizer(const struct fed_write_op *op, struct fed_str name)
{
    if (op->w.kind->custom || fed_str_is(op->w.kind->group, "apiextensions.k8s.io") || fed_str_chr(name, '/', 0) >= 0 ||
        fed_str_is(name, "kubernetes") || fed_str_is(name, "orphan") || fed_str_is(name, "foregroundDeletion"))
        return false;
    for (size_t i = 0; op->old && i < op->old->n_finalizers; i++)
        if (fed_str_eq(op->old->finalizers[i], name))
            return false;
    return true;
}

/* A prefix may end as no name does: something follows. */
static struct fed_str masked(struct fed_arena *a, struct fed_str prefix)
{
    if (prefix.n < 2 || prefix.p[prefix.n - 1] != '-')
        return prefix;
    return fed_arena_printf(a, "%.*sa", FED_STR_ARG(fed_str_head(prefix, prefix.n - 2)));
}

static void check_opposites(struct fed_causes *c, const struct fed_json *finalizers)
{
    int found = 0;
    FED_JSON_EACH(f, finalizers)
        found |= fed_str_is(fed_json_str(f), "orphan") ? 1 : fed_str_is(fed_json_str(f), "foregroundDeletion") ? 2 : 0;
    if (found == 3)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("metadata.finalizers"), fed_shown(c->arena, finalizers),
                       "finalizer orphan and foregroundDeletion cannot be both set");
}

void fed_meta_validate(struct fed_write_op *op, const struct fed_json *obj)
{
    struct fed_causes *c = &op->causes;
    const struct fed_json *meta = fed_json_find(obj, "metadata");
    struct fed_str name = fed_obj_name(obj), prefix = fed_json_find_text(meta, "generateName");
    const char *(*check)(struct fed_str) = op->w.kind->check_name ? op->w.kind->check_name : fed_name_check_subdomain;
    if (prefix.n && op->create)
        fed_check_name(c, masked(c->arena, prefix), check, quoted(c->arena, prefix), FED_STR("metadata.generateName"));
    if (!name.n) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("metadata.name"), (struct fed_str){NULL, 0},
                       "name or generateName is required");
    } else if (op->create && check(name)) {
        fed_check_name(c, name, check, quoted(c->arena, name), FED_STR("metadata.name"));
    }
    check_text_map(op, fed_json_find(meta, "labels"), "metadata.labels", true);
    check_text_map(op, fed_json_find(meta, "annotations"), "metadata.annotations", false);
    check_owners(op, fed_json_find(meta, "ownerReferences"));
    check_opposites(c, fed_json_find(meta, "finalizers"));
    size_t i = 0;
    FED_JSON_EACH(f, fed_json_find(meta, "finalizers")) {
        fed_check_name(c, f->s, fed_name_check_qualified, quoted(c->arena, f->s), FED_STR("metadata.finalizers"));
        if (unknown_finalizer(op, f->s))
            fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "metadata.finalizers[%zu]", i),
                           quoted(c->arena, f->s),
                           "name is neither a standard finalizer name nor is it fully qualified");
        i++;
    }
}

/* --- comparing --- */

static bool member_in(struct fed_str key, const char *const *names)
{
    for (; *names; names++)
        if (fed_str_is(key, *names))
            return true;
    return false;
}

/* Objects equal but for the members named. An absent member equals null, {} and []. */
static bool same_but(const struct fed_json *a, const struct fed_json *b, const char *const *but)
{
    for (int turn = 0; turn < 2; turn++) {
        const struct fed_json *x = turn ? b : a, *y = turn ? a : b;
        FED_JSON_EACH(m, x) {
            if (member_in(m->key, but))
                continue;
            const struct fed_json *o = fed_json_find_str(y, m->key);
            bool empty =
                m->type == FED_JSON_NULL || ((m->type == FED_JSON_OBJECT || m->type == FED_JSON_ARRAY) && !m->n);
            if (o ? !turn && !fed_json_equal(m, o) : !empty)
                return false;
        }
    }
    return true;
}

bool fed_meta_spec_changed(const struct fed_write_op *op)
{
    static const char *const but[] = {"metadata", "status", "apiVersion", "kind", NULL};
    static const char *const but_meta[] = {"metadata", "apiVersion", "kind", NULL};
    /* Without the subresource a custom kind's status is a field like any other. */
    bool whole = op->w.kind->custom && !op->r->v->has_status;
    if (op->w.kind->generation_notes && !op->w.subresource.n &&
        !same_but(fed_json_at(op->old_tree, "metadata", "annotations", NULL),
                  fed_json_at(op->obj, "metadata", "annotations", NULL), (const char *const[]){NULL}))
        return true;
    return !same_but(op->old_tree, op->obj, whole ? but_meta : but);
}

bool fed_meta_same(const struct fed_json *old, const struct fed_json *obj)
{
    static const char *const but[] = {"metadata", "apiVersion", "kind", NULL};
    static const char *const meta_but[] = {"resourceVersion", "managedFields", "selfLink", NULL};
    return same_but(old, obj, but) &&
           same_but(fed_json_find(old, "metadata"), fed_json_find(obj, "metadata"), meta_but);
}

bool fed_meta_same_managers(const struct fed_json *old, const struct fed_json *obj)
{
    static const char *const but[] = {"time", NULL};
    const struct fed_json *a = fed_json_at(old, "metadata", "managedFields", NULL);
    const struct fed_json *b = fed_json_at(obj, "metadata", "managedFields", NULL);
    if ((a ? a->n : 0) != (b ? b->n : 0))
        return false;
    const struct fed_json *y = b ? b->first : NULL;
    for (const struct fed_json *x = a ? a->first : NULL; x && y; x = x->next, y = y->next)
        if (!same_but(x, y, but))
            return false;
    return true;
}
