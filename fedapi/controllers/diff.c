/* SPDX-License-Identifier: Apache-2.0 */
#include "fedapi/controllers/diff.h"

#include "codec/patch.h"
#include "fedapi/controllers/marks.h"
#include "kube/quantity.h"

static bool absent(const struct fed_json *v)
{
    return !v || v->type == FED_JSON_NULL;
}

/* Whether the value may be missing and mean the same. */
static bool may_lack(const struct fed_json *v, struct fed_str key, enum fapi_diff_rule rule)
{
    if (v->type == FED_JSON_NULL || rule == FAPI_DIFF_OWN)
        return fed_json_blank(v);
    if (rule == FAPI_DIFF_CUSTOM)
        return false;
    switch (v->type) { /* what API servers drop of a schema, and nothing else */
    case FED_JSON_BOOL:
        return !v->boolean && !fed_str_is(key, "additionalProperties") && !fed_str_is(key, "default");
    case FED_JSON_NUMBER:
        return fed_str_is(key, "priority") && fed_json_blank(v);
    case FED_JSON_STRING:
        return v->s.n == 0 && !fed_str_is(key, "default");
    case FED_JSON_ARRAY:
        return v->n == 0;
    default:
        return v->n == 0 && fed_str_is(key, "properties");
    }
}

/* --- the record: names without values --- */

static bool is_retained_key(struct fed_str key)
{
    static const char *const keys[] = {"clusterIP",           "clusterIPs", "ipFamilies", "ipFamilyPolicy",
                                       "healthCheckNodePort", "nodePort",   "volumeName"};
    for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++) {
        if (fed_str_is(key, keys[i]))
            return true;
    }
    return false;
}

/* Objects become objects of their names, arrays of objects become arrays of such, anything else 0. */
static struct fed_json *fields_of(struct fed_arena *a, const struct fed_json *v, enum fapi_diff_rule rule)
{
    if (v->type == FED_JSON_OBJECT) {
        struct fed_json *out = fed_json_object(a);
        FED_JSON_EACH(m, v) {
            /* What is taken from the member appears only after creation: it is never ours to remove. */
            if (m->type != FED_JSON_NULL && (rule == FAPI_DIFF_CUSTOM || !is_retained_key(m->key)))
                fed_json_set_str(out, m->key, fields_of(a, m, rule));
        }
        return out;
    }
    if (v->type == FED_JSON_ARRAY && v->n && v->first->type == FED_JSON_OBJECT) {
        struct fed_json *out = fed_json_array(a);
        FED_JSON_EACH(m, v)
            fed_json_push(out, fields_of(a, m, rule));
        return out;
    }
    return fed_json_new_int(a, 0);
}

static bool is_exact(const struct fed_json *obj, struct fed_str key, enum fapi_diff_rule rule)
{
    struct fed_str kind = fed_json_find_text(obj, "kind");
    return rule == FAPI_DIFF_OWN && (fed_str_is(kind, "ConfigMap") || fed_str_is(kind, "Secret")) &&
           (fed_str_is(key, "data") || fed_str_is(key, "binaryData"));
}

static bool is_identity(struct fed_str key)
{
    return fed_str_is(key, "apiVersion") || fed_str_is(key, "kind") || fed_str_is(key, "metadata") ||
           fed_str_is(key, "status");
}

static struct fed_json *record_of(struct fed_arena *a, const struct fed_json *desired, enum fapi_diff_rule rule)
{
    struct fed_json *out = fed_json_object(a);
    static const char *const maps[] = {"labels", "annotations"};
    for (size_t i = 0; i < FED_ARRAY_LEN(maps); i++) {
        FED_JSON_EACH(m, fed_json_find(fed_json_find(desired, "metadata"), maps[i])) {
            if (!fed_str_starts(m->key, FED_STR("federation.hansa.io/")))
                fed_json_set_str(fed_json_ensure_object(a, fed_json_ensure_object(a, out, "metadata"), maps[i]), m->key,
                                 fed_json_new_int(a, 0));
        }
    }
    FED_JSON_EACH(m, desired) {
        if (m->type != FED_JSON_NULL && !is_identity(m->key) && !is_exact(desired, m->key, rule))
            fed_json_set_str(out, m->key, fields_of(a, m, rule));
    }
    return out;
}

void fapi_diff_record_by(struct fed_arena *a, enum fapi_diff_rule rule, struct fed_json *desired)
{
    struct fed_json *record = record_of(a, desired, rule);
    struct fed_json *annotations = fed_json_ensure_object(a, fed_obj_metadata(a, desired), "annotations");
    if (record->n && annotations)
        fed_json_set(annotations, FAPI_APPLIED_FIELDS, fed_json_new_str(a, fed_json_text(a, record)));
}

void fapi_diff_record(struct fed_arena *a, struct fed_json *desired)
{
    fapi_diff_record_by(a, FAPI_DIFF_OWN, desired);
}

/* --- comparing --- */

struct how { /* two values are compared */
    enum fapi_diff_rule rule;
    bool quantities; /* live here */
};

static struct how below(struct how how, struct fed_str key)
{
    static const char *const keys[] = {"resources", "limits", "requests", "hard", "capacity", "overhead", "sizeLimit"};
    for (size_t i = 0; i < FED_ARRAY_LEN(keys) && how.rule == FAPI_DIFF_OWN; i++)
        how.quantities |= fed_str_is(key, keys[i]);
    return how;
}

static bool is_scalar_text(const struct fed_json *v)
{
    return v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER;
}

static bool same_quantity(const struct fed_json *x, const struct fed_json *y)
{
    int64_t a, b;
    return is_scalar_text(x) && is_scalar_text(y) && fed_quantity_milli(x->s, &a) == 0 &&
           fed_quantity_milli(y->s, &b) == 0 && a == b && a != INT64_MAX;
}

/* True when the member's value m already is what d says; r: names recorded here (or NULL). */
static bool covers(const struct fed_json *d, const struct fed_json *m, const struct fed_json *r, struct fed_str key,
                   struct how how)
{
    if (absent(m) || absent(d))
        return may_lack(d, key, how.rule);
    if (d->type == FED_JSON_OBJECT && m->type == FED_JSON_OBJECT) {
        FED_JSON_EACH(dk, d) {
            if (dk->type != FED_JSON_NULL &&
                !covers(dk, fed_json_find_str(m, dk->key), fed_json_find_str(r, dk->key), dk->key, below(how, dk->key)))
                return false;
        }
        FED_JSON_EACH(rk, r && r->type == FED_JSON_OBJECT ? r : NULL) {
            if (absent(fed_json_find_str(d, rk->key)) && !absent(fed_json_find_str(m, rk->key)))
                return false;
        }
        return true;
    }
    if (d->type == FED_JSON_ARRAY && m->type == FED_JSON_ARRAY) {
        if (d->n != m->n)
            return false;
        const struct fed_json *mi = m->first, *ri = r && r->type == FED_JSON_ARRAY && r->n == d->n ? r->first : NULL;
        FED_JSON_EACH(di, d) {
            if (!covers(di, mi, ri, key, how))
                return false;
            mi = mi->next;
            ri = ri ? ri->next : NULL;
        }
        return true;
    }
    return fed_json_equal(d, m) || (how.quantities && same_quantity(d, m));
}

/* The members of patch that bring m to d; keep: of what was recorded and is not wanted, names inside objects are
 * removed one by one (maps that others write too) rather than the whole object. */
static void diff_object(struct fed_arena *a, const struct fed_json *d, const struct fed_json *m,
                        const struct fed_json *r, bool keep, struct how how, struct fed_json *patch)
{
    FED_JSON_EACH(dk, d) {
        const struct fed_json *mk = fed_json_find_str(m, dk->key), *rk = fed_json_find_str(r, dk->key);
        struct how hk = below(how, dk->key);
        if (dk->type == FED_JSON_NULL || covers(dk, mk, rk, dk->key, hk))
            continue;
        if (dk->type == FED_JSON_OBJECT && mk && mk->type == FED_JSON_OBJECT) {
            struct fed_json *sub = fed_json_object(a);
            diff_object(a, dk, mk, rk, keep, hk, sub);
            fed_json_set_str(patch, dk->key, sub);
        } else {
            fed_json_set_str(patch, dk->key, fed_json_copy(a, dk));
        }
    }
    FED_JSON_EACH(rk, r && r->type == FED_JSON_OBJECT ? r : NULL) {
        const struct fed_json *mk = fed_json_find_str(m, rk->key);
        if (!absent(fed_json_find_str(d, rk->key)) || absent(mk))
            continue;
        if (keep && rk->type == FED_JSON_OBJECT && mk->type == FED_JSON_OBJECT) {
            struct fed_json *sub = fed_json_object(a);
            diff_object(a, NULL, mk, rk, keep, how, sub);
            if (sub->n)
                fed_json_set_str(patch, rk->key, sub);
        } else {
            fed_json_set_str(patch, rk->key, fed_json_null(a));
        }
    }
}

/* `data` of a ConfigMap: equal to the last key. */
static void diff_exact(struct fed_arena *a, const struct fed_json *d, const struct fed_json *m, const char *key,
                       struct fed_json *patch)
{
    const struct fed_json *dv = fed_json_find(d, key), *mv = fed_json_find(m, key);
    struct fed_json *sub = fed_json_object(a);
    FED_JSON_EACH(e, dv) {
        const struct fed_json *have = fed_json_find_str(mv, e->key);
        if (!have || !fed_json_equal(e, have))
            fed_json_set_str(sub, e->key, fed_json_copy(a, e));
    }
    FED_JSON_EACH(e, mv) {
        if (e->type != FED_JSON_NULL && !fed_json_find_str(dv, e->key))
            fed_json_set_str(sub, e->key, fed_json_null(a));
    }
    if (sub->n)
        fed_json_set(patch, key, sub);
}

/* What was recorded at the last write; NULL when there is none or it cannot be read (then nothing is removed). */
static const struct fed_json *recorded(struct fed_arena *a, const struct fed_json *member)
{
    struct fed_json *record = NULL;
    struct fed_str text = fed_obj_annotation(member, FAPI_APPLIED_FIELDS);
    if (!text.n || fed_json_parse(a, text, NULL, &record, NULL) != 0 || record->type != FED_JSON_OBJECT)
        return NULL;
    return record;
}

static void diff_metadata(struct fed_arena *a, const struct fed_json *desired, const struct fed_json *member,
                          const struct fed_json *old_record, const struct fed_json *new_record, struct fed_json *patch)
{
    static const char *const maps[] = {"labels", "annotations"};
    const struct fed_json *d = fed_json_find(desired, "metadata"), *m = fed_json_find(member, "metadata");
    const struct fed_json *r = fed_json_find(old_record, "metadata");
    struct fed_json *meta = fed_json_object(a);
    for (size_t i = 0; i < FED_ARRAY_LEN(maps); i++) {
        struct fed_json *sub = fed_json_object(a);
        diff_object(a, fed_json_find(d, maps[i]), fed_json_find(m, maps[i]), fed_json_find(r, maps[i]), true,
                    (struct how){FAPI_DIFF_OWN, false}, sub);
        if (sub->n)
            fed_json_set(meta, maps[i], sub);
    }
    bool had = old_record != NULL, want = new_record->n > 0;
    if (want ? !had || !fed_json_equal(old_record, new_record) : had)
        fed_json_set(fed_json_ensure_object(a, meta, "annotations"), FAPI_APPLIED_FIELDS,
                     want ? fed_json_new_str(a, fed_json_text(a, new_record)) : fed_json_null(a));
    if (meta->n)
        fed_json_set(patch, "metadata", meta);
}

/* The body of an object without what is compared in another way. */
static struct fed_json *body_of(struct fed_arena *a, const struct fed_json *obj, const struct fed_json *kind_of,
                                enum fapi_diff_rule rule)
{
    struct fed_json *out = fed_json_object(a);
    FED_JSON_EACH(m, obj) {
        if (!is_identity(m->key) && !is_exact(kind_of, m->key, rule))
            fed_json_set_str(out, m->key, fed_json_copy(a, m));
    }
    return out;
}

struct fed_json *fapi_diff_by(struct fed_arena *a, enum fapi_diff_rule rule, const struct fed_json *desired,
                              const struct fed_json *member)
{
    struct fed_json *patch = fed_json_object(a);
    const struct fed_json *old_record = recorded(a, member), *new_record = record_of(a, desired, rule);
    diff_metadata(a, desired, member, old_record, new_record, patch);
    if (is_exact(desired, FED_STR("data"), rule)) {
        diff_exact(a, desired, member, "data", patch);
        diff_exact(a, desired, member, "binaryData", patch);
    }
    diff_object(a, body_of(a, desired, desired, rule), member,
                old_record ? body_of(a, old_record, desired, rule) : NULL, false, (struct how){rule, false}, patch);
    return patch->n ? patch : NULL;
}

struct fed_json *fapi_diff(struct fed_arena *a, const struct fed_json *desired, const struct fed_json *member)
{
    return fapi_diff_by(a, FAPI_DIFF_OWN, desired, member);
}
