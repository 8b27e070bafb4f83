/* SPDX-License-Identifier: Apache-2.0 */
/* ssa.c: server-side apply, and who owns what after plain writes.
 *
 * Apply: (1) the configuration is laid over the live object; (2) what this manager applied before, no longer applies and
 * nobody else owns is taken out; (3) what differs from the live object now and another manager owns are conflicts, or with
 * force are taken from him; (4) the manager owns what the configuration has.
 * Plain writes: what came or changed belongs to the writer too and to nobody else, what is gone belongs to nobody.
 * All that is compared is compared as the version of each manager has it. */
#include "base/env.h"
#include "kube/ssa_priv.h"

/* --- what a write changes, as each version has it --- */

struct changes {
    const struct fed_kind_version *v;
    const struct fed_fields *changed, *removed;
};
struct writing {
    struct fed_arena *a;
    const struct fed_kind_version *v; /* of old and obj */
    const struct fed_json *old, *obj;
    struct fed_str subresource;
    struct changes *known;
    size_t n;
    bool applying;
    struct fed_managers all;
};

static struct fed_str time_text(struct fed_arena *a, int64_t now_ms)
{
    char now[21];

    fed_time_format(now_ms, now);
    return fed_arena_dup(a, fed_str(now));
}

/* The version that entries of this name are in; NULL: there is none any more. Where only a webhook converts, the
 * objects' own version stands for all. */
static const struct fed_kind_version *version_of(const struct writing *w, struct fed_str api_version)
{
    const struct fed_kind *kind = w->v->kind;

    if (kind->conversion || fed_str_eq(w->v->api_version, api_version))
        return w->v;
    for (size_t i = 0; i < kind->n_versions; i++)
        if (fed_str_eq(kind->versions[i].api_version, api_version))
            return &kind->versions[i];
    return NULL;
}

/* obj as another version has it; itself where that is the same, or cannot be. */
static const struct fed_json *as_version(const struct writing *w, const struct fed_json *obj,
                                         const struct fed_kind_version *from, const struct fed_kind_version *to)
{
    struct fed_json *copy;

    if (from == to || !obj)
        return obj;
    copy = fed_json_copy(w->a, obj);
    return fed_kind_convert(w->a, copy, from, to, NULL) ? obj : copy;
}

/* What a write through this (sub)resource can never change: whoever tries does not own it. */
static const struct fed_fields *reset_fields(const struct writing *w, const struct fed_kind_version *v)
{
    static const struct fed_fields status = {.text = FED_STR_INIT("status"), .kind = 'f', .member = true};
    static const struct fed_fields spec = {.text = FED_STR_INIT("spec"), .kind = 'f', .member = true};
    static const struct fed_fields no_status = {.first = &status}, no_spec = {.first = &spec};

    if (!v->has_status)
        return NULL;
    if (!w->subresource.n)
        return &no_status;
    return fed_str_is(w->subresource, "status") ? &no_spec : NULL;
}

/* What was before: where there was nothing, what every object of the kind has, which belongs to nobody. */
static const struct fed_json *before(const struct writing *w, const struct fed_kind_version *v)
{
    struct fed_json *none;

    if (w->old)
        return as_version(w, w->old, w->v, v);
    none = fed_json_object(w->a);
    fed_schema_zeros(w->a, v->schema, none);
    return none;
}

static const struct changes *changes_in(struct writing *w, const struct fed_kind_version *v)
{
    struct changes *c = w->known;
    enum fed_fields_of_kind of = v->kind->custom ? FED_FIELDS_CUSTOM
                                 : w->applying   ? FED_FIELDS_APPLIED
                                                 : FED_FIELDS_BUILT_IN;

    for (size_t i = 0; i < w->n; i++)
        if (w->known[i].v == v)
            return &w->known[i];
    if (!c)
        c = w->known = FED_ARENA_ARRAY(w->a, struct changes, w->v->kind->n_versions + 1);
    c += w->n++;
    c->v = v;
    fed_fields_compare(w->a, v->schema, of, before(w, v), as_version(w, w->obj, w->v, v), &c->changed, &c->removed);
    c->changed = fed_fields_minus_deep(w->a, c->changed, reset_fields(w, v));
    c->removed = fed_fields_minus_deep(w->a, c->removed, reset_fields(w, v));
    return c;
}

/* What managers never own: names, versions, times. */
static const struct fed_fields *strip(struct fed_arena *a, const struct fed_fields *set)
{
    static const char *const names[] = {"clusterName", "creationTimestamp", "generation",      "managedFields",
                                        "name",        "namespace",         "resourceVersion", "selfLink",
                                        "uid"};
    struct fed_fields top[3] = {{.kind = 'f', .text = FED_STR("apiVersion"), .member = true},
                                {.kind = 'f', .text = FED_STR("kind"), .member = true},
                                {.kind = 'f', .text = FED_STR("metadata"), .member = true}};
    struct fed_fields meta[FED_ARRAY_LEN(names)], root = {.first = top};

    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        meta[i] = (struct fed_fields){.kind = 'f',
                                      .text = fed_str(names[i]),
                                      .member = true,
                                      .next = i + 1 < FED_ARRAY_LEN(names) ? &meta[i + 1] : NULL};
    top[0].next = &top[1];
    top[1].next = &top[2];
    top[2].first = meta;
    return fed_fields_minus(a, set, &root);
}

/* Entries in versions that are no more go; fields of what has become atomic become one. */
static void fit_managers(struct writing *w)
{
    for (size_t i = 0; i < w->all.n; i++) {
        struct fed_manager *it = &w->all.items[i];
        const struct fed_kind_version *v = version_of(w, it->api_version);

        it->set = v ? fed_fields_fit(w->a, v->schema, it->set) : NULL;
    }
}

static bool any_manager(const struct fed_managers *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (!fed_fields_empty(all->items[i].set))
            return true;
    return false;
}

/* --- plain writes --- */

static void track(struct writing *w, const struct fed_kind_version *as, struct fed_str manager, int64_t now_ms)
{
    struct fed_manager like = {manager,        FED_STR("Update"),       as->api_version,
                               w->subresource, time_text(w->a, now_ms), NULL};
    struct fed_manager *mine;
    const struct fed_fields *own;

    fit_managers(w);
    for (size_t i = 0; i < w->all.n; i++) {
        struct fed_manager *it = &w->all.items[i];
        const struct changes *c;

        if (fed_fields_empty(it->set))
            continue;
        c = changes_in(w, version_of(w, it->api_version));
        it->set = fed_fields_minus(w->a, fed_fields_minus(w->a, it->set, c->changed), c->removed);
    }
    own = strip(w->a, changes_in(w, version_of(w, as->api_version))->changed);
    if (fed_fields_empty(own))
        return;
    mine = fed_managers_find(&w->all, &like);
    if (!mine)
        mine = fed_managers_put(&w->all, like);
    mine->time = like.time;
    mine->set = fed_fields_union(w->a, own, mine->set);
}

/* [] and [{}] mean "forget all"; absent means "as they were". */
static bool wants_reset(const struct fed_json *obj)
{
    const struct fed_json *list = fed_json_at(obj, "metadata", "managedFields", NULL);

    return list && list->type == FED_JSON_ARRAY &&
           (!list->n || (list->n == 1 && list->first->type == FED_JSON_OBJECT && !list->first->n));
}

void fed_ssa_track(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_kind_version *as,
                   const struct fed_json *old, struct fed_json *obj, const struct fed_ssa_write *how)
{
    struct writing w = {a, v, old, obj, how->subresource, NULL, 0, false, {.arena = a}};
    bool reset = !how->subresource.n && wants_reset(obj);

    if (v->kind->conversion)
        as = v;
    if (!reset && !how->subresource.n)
        (void)fed_managers_read(&w.all, obj);
    if (!reset && !w.all.n)
        (void)fed_managers_read(&w.all, old);
    fed_json_remove_key(fed_json_find(obj, "metadata"), "managedFields");
    if (old && !w.all.n) /* once forgotten, until somebody applies */
        return;
    track(&w, as, how->manager, how->now_ms);
    fed_managers_cap(&w.all);
    fed_managers_write(&w.all, obj);
}

/* --- conflicts --- */

struct conflicts {
    struct fed_arena *a;
    struct fed_causes *causes;
    struct fed_str holder;
    struct fed_buf text; /* '\n- .spec.a' for each */
    struct fed_str first;
    size_t n, of_holder;
};

static void add_conflict(void *ud, struct fed_str path)
{
    struct conflicts *t = ud;

    if (!t->n++)
        t->first = path;
    if (!t->of_holder++)
        fed_buf_addf(&t->text, "%sconflicts with %.*s:", t->text.n ? "\n" : "", FED_STR_ARG(t->holder));
    fed_buf_addf(&t->text, "\n- %.*s", FED_STR_ARG(path));
    fed_causes_add(t->causes, FED_CAUSE_MANAGER_CONFLICT, path, (struct fed_str){NULL, 0}, "conflict with %.*s",
                   FED_STR_ARG(t->holder));
}

static int cmp_holders(const void *x, const void *y)
{
    return fed_managers_cmp(x, y);
}

/* held: who holds what; their sets are the conflicts only. */
static int fail_conflicts(struct fed_managers *held, struct fed_causes *causes, struct fed_err *err)
{
    struct conflicts t = {.a = held->arena, .causes = causes};

    if (held->n > 1)
        qsort(held->items, held->n, sizeof *held->items, cmp_holders);
    for (size_t i = 0; i < held->n; i++) {
        t.holder = fed_manager_text(t.a, &held->items[i]);
        t.of_holder = 0;
        fed_fields_each(t.a, held->items[i].set, add_conflict, &t);
    }
    if (t.n == 1)
        fed_err_set(err, FED_E_CONFLICT, "Apply failed with 1 conflict: conflict with %.*s: %.*s",
                    FED_STR_ARG(t.holder), FED_STR_ARG(t.first));
    else
        fed_err_set(err, FED_E_CONFLICT, "Apply failed with %zu conflicts: %s", t.n, fed_buf_z(&t.text));
    fed_buf_release(&t.text);
    return FED_E_CONFLICT;
}

/* --- what kubectl applied on the client's side before --- */

#define LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* Fields that the annotation says and that are still so: kubectl may take them from whoever holds them. */
static const struct fed_fields *last_applied(struct writing *w)
{
    struct fed_str text = fed_obj_annotation(w->old, LAST_APPLIED);
    const struct fed_fields *changed, *removed;
    struct fed_json *last = NULL;

    if (!text.n || fed_json_parse(w->a, text, NULL, &last, NULL) || last->type != FED_JSON_OBJECT ||
        !fed_str_eq(fed_json_find_text(last, "apiVersion"), w->v->api_version) ||
        fed_ssa_check(w->a, w->v->schema, last).n)
        return NULL;
    fed_fields_compare(w->a, w->v->schema, FED_FIELDS_CUSTOM, last, w->old, &changed, &removed);
    return fed_fields_minus(w->a, fed_fields_minus(w->a, fed_fields_of(w->a, w->v->schema, last), changed), removed);
}

static int cmp_members(const void *x, const void *y)
{
    return fed_str_cmp((*(struct fed_json *const *)x)->key, (*(struct fed_json *const *)y)->key);
}

static void write_sorted(struct fed_arena *a, struct fed_buf *b, const struct fed_json *v)
{
    const struct fed_json **members;
    size_t n = 0;

    if (v->type != FED_JSON_OBJECT && v->type != FED_JSON_ARRAY) {
        fed_json_write(b, v);
        return;
    }
    members = FED_ARENA_ARRAY(a, const struct fed_json *, v->n);
    FED_JSON_EACH(it, v)
        members[n++] = it;
    if (v->type == FED_JSON_OBJECT && n > 1)
        qsort(members, n, sizeof *members, cmp_members);
    fed_buf_addc(b, v->type == FED_JSON_OBJECT ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            fed_buf_addc(b, ',');
        if (v->type == FED_JSON_OBJECT) {
            fed_json_write_string(b, members[i]->key);
            fed_buf_addc(b, ':');
        }
        write_sorted(a, b, members[i]);
    }
    fed_buf_addc(b, v->type == FED_JSON_OBJECT ? '}' : ']');
}

/* The annotation goes with what is applied now, for clients that apply on their side again. */
static void keep_last_applied(struct fed_arena *a, struct fed_json *obj, const struct fed_json *applied)
{
    enum { MAX_ANNOTATIONS = 256 * 1024 };
    struct fed_json *annotations = fed_json_at(obj, "metadata", "annotations", NULL), *copy, *at;
    struct fed_buf b = {0};
    size_t total = 0;

    at = fed_json_find(annotations, LAST_APPLIED);
    if (!fed_json_str(at).n)
        return;
    copy = fed_json_copy(a, applied);
    fed_json_remove_key(fed_json_at(copy, "metadata", "annotations", NULL), LAST_APPLIED);
    write_sorted(a, &b, copy);
    fed_buf_addc(&b, '\n');
    fed_json_set(annotations, LAST_APPLIED, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
    fed_buf_release(&b);
    FED_JSON_EACH(it, annotations)
        total += it->key.n + fed_json_str(it).n;
    if (total > MAX_ANNOTATIONS)
        fed_json_remove_key(annotations, LAST_APPLIED);
}

/* --- apply --- */

/* Of what `last` has and `kept` has not: those that nobody else brought back by owning something in them. All sets are
 * of `merged`, which is in version v. */
static const struct fed_fields *gone_in(struct writing *w, const struct fed_kind_version *v,
                                        const struct fed_json *merged, const struct fed_json **pruned)
{
    const struct fed_fields *has = fed_fields_named(w->a, v->schema, fed_fields_of(w->a, v->schema, merged)), *kept;

    kept = fed_fields_named(w->a, v->schema, fed_fields_of(w->a, v->schema, *pruned));
    for (size_t i = 0; i < w->all.n; i++)
        if (version_of(w, w->all.items[i].api_version) == v)
            kept = fed_fields_union(w->a, kept, fed_fields_named(w->a, v->schema, w->all.items[i].set));
    return fed_fields_minus(w->a, has, kept);
}

/* Puts back what the managers of version v own, with what it lies in. */
static void give_back(struct writing *w, const struct fed_kind_version *from, const struct fed_kind_version *v,
                      const struct fed_json *merged, const struct fed_json **pruned)
{
    const struct fed_json *whole = as_version(w, merged, from, v), *left = as_version(w, *pruned, from, v);
    struct fed_json *out = fed_json_copy(w->a, whole);

    fed_ssa_remove(w->a, v->schema, out, gone_in(w, v, whole, &left));
    *pruned = as_version(w, out, v, from);
}

/* Some empty map that was applied has something in it now: whether it stays depends on that. */
static bool has_filled(const struct fed_schema *s, const struct fed_json *obj, const struct fed_fields *set)
{
    for (const struct fed_fields *n = obj && obj->type == FED_JSON_OBJECT ? set->first : NULL; n; n = n->next) {
        const struct fed_json *v = n->kind == 'f' ? fed_json_find_str(obj, n->text) : NULL;
        const struct fed_schema *cs = fed_schema_property(s, n->text);

        if (!v || v->type != FED_JSON_OBJECT || !v->n)
            continue;
        if (n->first ? has_filled(cs, v, n) : fed_fields_granular_map(cs))
            return true;
    }
    return false;
}

static bool others_own_all(struct writing *w, const struct fed_kind_version *v, const struct fed_fields *last)
{
    for (size_t i = 0; i < w->all.n && !fed_fields_empty(last); i++)
        if (version_of(w, w->all.items[i].api_version) == v)
            last = fed_fields_minus(w->a, last, fed_fields_named(w->a, v->schema, w->all.items[i].set));
    return fed_fields_empty(last);
}

/* Takes out what this manager applied last (in version v) and nobody owns any more. The managers have their new sets. */
static const struct fed_json *prune(struct writing *w, const struct fed_json *merged, const struct fed_manager *was)
{
    const struct fed_kind_version *v = was ? version_of(w, was->api_version) : NULL;
    const struct fed_fields *last, *has;
    const struct fed_json *whole, *pruned;
    struct fed_json *out;

    if (!v || fed_fields_empty(was->set))
        return merged;
    last = fed_fields_named(w->a, v->schema, was->set);
    whole = as_version(w, merged, w->v, v);
    if (others_own_all(w, v, last) && !has_filled(v->schema, whole, was->set))
        return merged;
    out = fed_json_copy(w->a, whole);
    fed_ssa_remove(w->a, v->schema, out, last);
    pruned = out;
    give_back(w, v, v, whole, &pruned);
    for (size_t i = 0; i < w->v->kind->n_versions; i++) {
        const struct fed_kind_version *other = &w->v->kind->versions[i];

        for (size_t j = 0; j < w->all.n; j++)
            if (other != v && version_of(w, w->all.items[j].api_version) == other) {
                give_back(w, v, other, whole, &pruned);
                break;
            }
    }
    has = fed_fields_named(w->a, v->schema, fed_fields_of(w->a, v->schema, whole));
    has = fed_fields_minus(w->a, has, fed_fields_named(w->a, v->schema, fed_fields_of(w->a, v->schema, pruned)));
    out = fed_json_copy(w->a, whole);
    fed_ssa_remove(w->a, v->schema, out, fed_fields_intersect(w->a, has, last));
    return as_version(w, out, v, w->v);
}

/* Takes from the others what this write changes and what is gone; without force, or where `allowed` (may be NULL) has not
 * all of it, conflicts. */
static int settle(struct writing *w, const struct fed_manager *mine, const struct fed_ssa_write *how,
                  struct fed_causes *causes, struct fed_err *err)
{
    struct fed_managers held = {.arena = w->a}, refused = {.arena = w->a};
    const struct fed_fields *allowed = NULL;

    for (size_t i = 0; i < w->all.n; i++) {
        struct fed_manager it = w->all.items[i];

        if (&w->all.items[i] == mine || fed_fields_empty(it.set))
            continue;
        it.set = fed_fields_intersect(w->a, it.set, changes_in(w, version_of(w, it.api_version))->changed);
        if (!fed_fields_empty(it.set))
            fed_managers_put(&held, it);
    }
    if (held.n && !how->force && fed_str_is(how->manager, "kubectl"))
        allowed = last_applied(w);
    for (size_t i = 0; i < held.n && !how->force; i++) {
        held.items[i].set = fed_fields_minus(w->a, held.items[i].set, allowed);
        if (!fed_fields_empty(held.items[i].set))
            fed_managers_put(&refused, held.items[i]);
    }
    if (refused.n)
        return fail_conflicts(&refused, causes, err);
    for (size_t i = 0; i < w->all.n; i++) {
        struct fed_manager *it = &w->all.items[i];
        const struct changes *c;

        if (it == mine || fed_fields_empty(it->set))
            continue;
        c = changes_in(w, version_of(w, it->api_version));
        it->set = fed_fields_minus(w->a, fed_fields_minus(w->a, it->set, c->changed), c->removed);
    }
    return 0;
}

/* Who wrote the object before managed fields were kept for it: everything belongs to "before-first-apply". */
static void own_untracked(struct writing *w, const struct fed_ssa_write *how)
{
    struct writing first = *w;

    if (any_manager(&w->all) || !w->old)
        return;
    first.old = NULL;
    first.obj = w->old;
    first.known = NULL;
    first.applying = false;
    first.n = 0;
    track(&first, w->v, FED_STR("before-first-apply"), how->now_ms);
    w->all = first.all;
}

static void drop_nulls(struct fed_json *v)
{
    FED_JSON_EACH_SAFE(it, v) {
        if (it->type == FED_JSON_NULL && it->key.p)
            fed_json_remove(it);
        else
            drop_nulls(it);
    }
}

static int apply(struct writing *w, const struct fed_json *applied, const struct fed_ssa_write *how,
                 struct fed_causes *causes, struct fed_err *err)
{
    const struct fed_json *live = w->old ? w->old : fed_json_object(w->a);
    struct fed_manager like = {how->manager, FED_STR("Apply"), w->v->api_version, how->subresource, {NULL, 0}, NULL},
                       was, *mine;
    int rc;

    own_untracked(w, how);
    fit_managers(w);
    mine = fed_managers_find(&w->all, &like);
    was = mine ? *mine : like;
    if (!mine)
        mine = fed_managers_put(&w->all, like);
    mine->api_version = like.api_version;
    mine->set = fed_fields_minus_deep(w->a, fed_fields_of(w->a, w->v->schema, applied), reset_fields(w, w->v));
    w->obj = prune(w, fed_ssa_merge(w->a, w->v->schema, fed_json_copy(w->a, live), applied), &was);
    rc = settle(w, mine, how, causes, err);
    if (rc)
        return rc;
    if (!fed_json_equal(live, w->obj))
        mine->time = time_text(w->a, how->now_ms);
    mine->set = strip(w->a, mine->set);
    return 0;
}

int fed_ssa_apply(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *live,
                  const struct fed_json *applied, const struct fed_ssa_write *how, struct fed_json **out,
                  struct fed_causes *causes, struct fed_err *err)
{
    struct writing w = {a, v, NULL, NULL, how->subresource, NULL, 0, true, {.arena = a}};
    struct fed_json *old = live ? fed_json_copy(a, live) : NULL, *made;
    int rc;

    if (applied->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_BAD_REQUEST, "an object is expected");
    if (fed_json_at(applied, "metadata", "managedFields", NULL) &&
        fed_json_at(applied, "metadata", "managedFields", NULL)->type != FED_JSON_NULL)
        return fed_err_set(err, FED_E_BAD_REQUEST, "metadata.managedFields must be nil");
    (void)fed_managers_read(&w.all, old);
    if (old)
        fed_json_remove_key(fed_json_find(old, "metadata"), "managedFields");
    w.old = old;
    rc = apply(&w, applied, how, causes, err);
    if (rc)
        return rc;
    made = fed_json_copy(a, w.obj);
    if (fed_str_is(how->manager, "kubectl"))
        keep_last_applied(a, made, applied);
    if (!v->kind->custom) /* where kube-apiserver has structures, null is nothing */
        drop_nulls(made);
    fed_managers_write(&w.all, made);
    *out = made;
    return 0;
}
