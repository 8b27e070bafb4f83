/* SPDX-License-Identifier: Apache-2.0 */
/* ssa.c: server-side apply, and who owns what after plain writes.
 *
 * Apply: (1) the fields of the applied configuration; (2) those that another manager owns and whose value would change are
 * conflicts, or with force are taken from it; (3) the configuration is merged over the live object; (4) fields that this
 * manager applied before, no longer applies and nobody else owns are removed; (5) its set is written.
 * Plain writes: what changed belongs to the writer from now on, what is gone belongs to nobody. */
#include "base/env.h"
#include "kube/fieldset.h"

enum { MAX_UPDATE_ENTRIES = 10 };

struct manager {
    struct fed_str name, operation, api_version, subresource, time;
    struct fed_json *set;
    bool touched;
};
struct managers {
    struct fed_arena *arena;
    struct manager *items;
    size_t n, cap;
};

static struct manager *put_manager(struct managers *m, struct manager value)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 8;
        struct manager *grown = FED_ARENA_ARRAY(m->arena, struct manager, cap);

        if (m->n)
            memcpy(grown, m->items, sizeof(*grown) * m->n);
        m->items = grown;
        m->cap = cap;
    }
    m->items[m->n] = value;
    return &m->items[m->n++];
}

static void read_managers(struct managers *m, const struct fed_json *obj)
{
    FED_JSON_EACH(it, fed_json_at(obj, "metadata", "managedFields", NULL)) {
        const struct fed_json *set = fed_json_find(it, "fieldsV1");

        if (it->type != FED_JSON_OBJECT || !fed_json_find_text(it, "manager").n)
            continue;
        put_manager(m, (struct manager){.name = fed_json_find_text(it, "manager"),
                                        .operation = fed_json_find_text(it, "operation"),
                                        .api_version = fed_json_find_text(it, "apiVersion"),
                                        .subresource = fed_json_find_text(it, "subresource"),
                                        .time = fed_json_find_text(it, "time"),
                                        .set = set && set->type == FED_JSON_OBJECT ? fed_json_copy(m->arena, set)
                                                                                   : fed_json_object(m->arena)});
    }
}

static struct manager *find_manager(struct managers *m, struct fed_str name, const char *operation,
                                    struct fed_str api_version, struct fed_str subresource)
{
    for (size_t i = 0; i < m->n; i++) {
        struct manager *it = &m->items[i];

        /* An applier has one set for all versions; updates are kept by version, as clients expect to see them. */
        if (fed_str_eq(it->name, name) && fed_str_is(it->operation, operation) &&
            fed_str_eq(it->subresource, subresource) &&
            (strcmp(operation, "Apply") == 0 || fed_str_eq(it->api_version, api_version)))
            return it;
    }
    return NULL;
}

static int cmp_managers(const void *a, const void *b)
{
    const struct manager *x = a, *y = b;
    int c = fed_str_cmp(x->operation, y->operation); /* "Apply" before "Update" */

    if (!c)
        c = fed_str_cmp(x->time, y->time);
    if (!c)
        c = fed_str_cmp(x->name, y->name);
    return c ? c : fed_str_cmp(x->api_version, y->api_version);
}

/* Too many updaters: the oldest become one entry, so that the list stays short. */
static void cap_updates(struct managers *m)
{
    size_t updates = 0, from = m->n;
    struct manager *first = NULL;

    for (size_t i = 0; i < m->n; i++) {
        if (!fed_str_is(m->items[i].operation, "Update") || m->items[i].subresource.n)
            continue;
        if (from == m->n)
            from = i;
        updates++;
    }
    for (size_t i = from; i < m->n && updates > MAX_UPDATE_ENTRIES; i++) {
        struct manager *it = &m->items[i];

        if (!fed_str_is(it->operation, "Update") || it->subresource.n || fed_fieldset_empty(it->set))
            continue;
        if (!first) {
            first = it;
            first->name = FED_STR("ancient-changes");
            continue;
        }
        fed_fieldset_add(m->arena, first->set, it->set);
        first->time = it->time;
        it->set = fed_json_object(m->arena);
        updates--;
    }
}

static void put_text(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str s)
{
    if (s.n)
        fed_json_set(o, key, fed_json_new_str(a, s));
}

static void write_managers(struct managers *m, struct fed_json *obj, int64_t now_ms)
{
    struct fed_arena *a = m->arena;
    struct fed_json *list = fed_json_array(a), *meta = fed_obj_metadata(a, obj);
    char now[21];

    fed_time_format(now_ms, now);
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].touched)
            m->items[i].time = fed_arena_dup(a, fed_str(now));
    if (m->n > 1)
        qsort(m->items, m->n, sizeof(*m->items), cmp_managers);
    cap_updates(m);
    for (size_t i = 0; i < m->n; i++) {
        const struct manager *it = &m->items[i];
        struct fed_json *o;

        if (fed_fieldset_empty(it->set))
            continue;
        fed_fieldset_tidy(it->set);
        o = fed_json_push(list, fed_json_object(a));
        put_text(a, o, "manager", it->name);
        put_text(a, o, "operation", it->operation);
        put_text(a, o, "apiVersion", it->api_version);
        put_text(a, o, "time", it->time);
        put_text(a, o, "fieldsType", FED_STR("FieldsV1"));
        fed_json_set(o, "fieldsV1", it->set);
        put_text(a, o, "subresource", it->subresource);
    }
    if (list->n)
        fed_json_set(meta, "managedFields", list);
    else
        fed_json_remove_key(meta, "managedFields");
}

/* --- merging the applied configuration --- */

static struct fed_json *merge_value(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                                    const struct fed_json *applied);

static void merge_object(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                         const struct fed_json *applied)
{
    struct fed_json_index ix = {0};

    fed_json_index_build(&ix, live);
    FED_JSON_EACH(it, applied) {
        struct fed_json *have, *made;

        if (it->type == FED_JSON_NULL)
            continue;
        have = fed_json_index_find(&ix, live, it->key);
        if (!have) {
            fed_json_add(live, fed_arena_dup(a, it->key), fed_json_copy(a, it));
            continue;
        }
        made = merge_value(a, fed_schema_property(s, it->key), have, it);
        if (made == have)
            continue;
        fed_json_replace(have, made);
        have->key = it->key; /* the index still points there */
    }
    fed_json_index_release(&ix);
}

static void merge_list(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                       const struct fed_json *applied)
{
    struct fed_map items = {0};

    FED_JSON_EACH(it, live) {
        struct fed_str e = fed_fieldset_element(a, s, it);

        if (e.n)
            fed_map_set(&items, e, it);
    }
    FED_JSON_EACH(it, applied) {
        struct fed_str e = fed_fieldset_element(a, s, it);
        struct fed_json *have = e.n ? fed_map_find(&items, e) : NULL;

        if (!have) {
            have = fed_json_push(live, fed_json_copy(a, it));
            if (e.n)
                fed_map_set(&items, e, have);
        } else if (s->list_type == FED_LIST_MAP) {
            merge_object(a, s->shape->items, have, it);
        }
    }
    fed_map_release(&items);
}

static struct fed_json *merge_value(struct fed_arena *a, const struct fed_schema *s, struct fed_json *live,
                                    const struct fed_json *applied)
{
    if (live->type == FED_JSON_OBJECT && applied->type == FED_JSON_OBJECT && !(s && s->atomic)) {
        merge_object(a, s, live, applied);
        return live;
    }
    if (live->type == FED_JSON_ARRAY && applied->type == FED_JSON_ARRAY && s && s->list_type != FED_LIST_ATOMIC &&
        s->shape->items) {
        merge_list(a, s, live, applied);
        return live;
    }
    return fed_json_equal(live, applied) ? live : fed_json_copy(a, applied);
}

/* --- removing what is no longer applied --- */

static void prune_fields(struct fed_arena *a, const struct fed_schema *s, struct fed_json *v,
                         const struct fed_json *gone, const struct fed_json *kept);

/* A child whose node left the set goes, unless somebody keeps it or something below it. */
static void prune_child(struct fed_arena *a, const struct fed_schema *s, struct fed_json *child,
                        const struct fed_json *gone, const struct fed_json *kept)
{
    if (fed_fieldset_member(gone) && !kept) {
        fed_json_remove(child);
        return;
    }
    prune_fields(a, s, child, gone, kept);
    /* What only held removed fields goes with them; what is kept by somebody stays. */
    if (!kept && (child->type == FED_JSON_OBJECT || child->type == FED_JSON_ARRAY) && !child->n)
        fed_json_remove(child);
}

static void prune_fields(struct fed_arena *a, const struct fed_schema *s, struct fed_json *v,
                         const struct fed_json *gone, const struct fed_json *kept)
{
    struct fed_json_index went = {0}, stays = {0};

    fed_json_index_build(&went, gone);
    fed_json_index_build(&stays, kept);
    if (v->type == FED_JSON_OBJECT) {
        FED_JSON_EACH_SAFE(child, v) {
            struct fed_str e = fed_arena_printf(a, "f:%.*s", FED_STR_ARG(child->key));
            const struct fed_json *g = fed_json_index_find(&went, gone, e);

            if (g)
                prune_child(a, fed_schema_property(s, child->key), child, g, fed_json_index_find(&stays, kept, e));
        }
    } else if (v->type == FED_JSON_ARRAY && s && s->list_type != FED_LIST_ATOMIC && s->shape->items) {
        FED_JSON_EACH_SAFE(child, v) {
            struct fed_str e = fed_fieldset_element(a, s, child);
            const struct fed_json *g = e.n ? fed_json_index_find(&went, gone, e) : NULL;

            if (g)
                prune_child(a, s->shape->items, child, g, fed_json_index_find(&stays, kept, e));
        }
    }
    fed_json_index_release(&went);
    fed_json_index_release(&stays);
}

/* --- what a write changes, as each version has it --- */

struct changes {
    struct fed_str api_version;
    struct fed_json *changed, *removed;
};
struct comparison {
    struct fed_arena *arena;
    const struct fed_kind_version *v; /* of old and obj */
    const struct fed_json *old, *obj;
    struct changes *items; /* that of v first */
    size_t n, cap;
};

static struct changes *compare_as(struct comparison *k, const struct fed_kind_version *to, const struct fed_json *old,
                                  const struct fed_json *obj)
{
    struct changes *c = &k->items[k->n++];

    *c = (struct changes){to->api_version, fed_json_object(k->arena), fed_json_object(k->arena)};
    fed_fieldset_compare(k->arena, to->schema, !to->kind->custom, old, obj, c->changed, c->removed);
    fed_fieldset_strip(c->changed);
    fed_fieldset_strip(c->removed);
    return c;
}

static void compare(struct comparison *k, struct fed_arena *a, const struct fed_kind_version *v,
                    const struct fed_json *old, const struct fed_json *obj)
{
    *k = (struct comparison){.arena = a, .v = v, .old = old, .obj = obj, .cap = v->kind->n_versions + 1};
    k->items = FED_ARENA_ARRAY(a, struct changes, k->cap);
    (void)compare_as(k, v, old, obj);
}

static const struct fed_kind_version *version_named(const struct fed_kind *kind, struct fed_str api_version)
{
    for (size_t i = 0; i < kind->n_versions; i++)
        if (fed_str_eq(kind->versions[i].api_version, api_version))
            return &kind->versions[i];
    return NULL;
}

/* A version that is not there any more, or that only a webhook could make, is taken for that of the objects. */
static const struct changes *changes_in(struct comparison *k, struct fed_str api_version)
{
    const struct fed_kind_version *to;
    struct fed_json *old, *obj;

    for (size_t i = 0; i < k->n; i++)
        if (fed_str_eq(k->items[i].api_version, api_version))
            return &k->items[i];
    to = k->v->kind->conversion ? NULL : version_named(k->v->kind, api_version);
    if (!to || k->n == k->cap)
        return &k->items[0];
    old = k->old ? fed_json_copy(k->arena, k->old) : NULL;
    obj = fed_json_copy(k->arena, k->obj);
    if ((old && fed_kind_convert(k->arena, old, k->v, to, NULL)) || fed_kind_convert(k->arena, obj, k->v, to, NULL))
        return &k->items[0];
    return compare_as(k, to, old, obj);
}

/* --- apply --- */

struct conflict_text {
    struct fed_arena *arena;
    struct fed_causes *causes;
    struct fed_str holder;
    struct fed_buf paths; /* "\n- .spec.a" for each */
    struct fed_str first;
    size_t n;
};

static void add_conflict(void *ud, struct fed_str path)
{
    struct conflict_text *t = ud;

    if (!t->n++)
        t->first = path;
    fed_buf_addf(&t->paths, "\n- %.*s", FED_STR_ARG(path));
    fed_causes_add(t->causes, FED_CAUSE_MANAGER_CONFLICT, path, (struct fed_str){NULL, 0}, "conflict with %.*s",
                   FED_STR_ARG(t->holder));
}

static struct fed_str holder_text(struct fed_arena *a, const struct manager *m)
{
    struct fed_str sub = {NULL, 0}, using = {NULL, 0};

    if (m->subresource.n)
        sub = fed_arena_printf(a, " with subresource \"%.*s\"", FED_STR_ARG(m->subresource));
    if (fed_str_is(m->operation, "Update")) /* an applier is the same in each version */
        using = fed_arena_printf(a, " using %.*s", FED_STR_ARG(m->api_version));
    return fed_arena_printf(a, "\"%.*s\"%.*s%.*s", FED_STR_ARG(m->name), FED_STR_ARG(sub), FED_STR_ARG(using));
}

/* Conflicts of the applied fields with other managers; with force they are taken from them. */
static int settle_conflicts(struct managers *all, const struct manager *mine, const struct fed_json *applied,
                            struct comparison *k, bool force, struct fed_causes *causes, struct fed_err *err)
{
    struct fed_arena *a = all->arena;
    struct fed_json *own = fed_fieldset_intersect(a, k->items[0].changed, applied);
    struct fed_buf text = {0};
    size_t n = 0;

    for (size_t i = 0; i < all->n; i++) {
        struct manager *it = &all->items[i];
        const struct changes *theirs = changes_in(k, it->api_version);
        struct fed_json *wanted = theirs == &k->items[0] ? own : theirs->changed;
        struct fed_json *both = it == mine ? NULL : fed_fieldset_intersect(a, it->set, wanted);
        struct conflict_text t = {.arena = a, .causes = causes};

        if (fed_fieldset_empty(both))
            continue;
        if (force) {
            fed_fieldset_subtract(a, it->set, both);
            continue;
        }
        t.holder = holder_text(a, it);
        fed_fieldset_each(a, both, add_conflict, &t);
        if (text.n)
            fed_buf_addc(&text, '\n');
        if (t.n == 1)
            fed_buf_addf(&text, "conflict with %.*s: %.*s", FED_STR_ARG(t.holder), FED_STR_ARG(t.first));
        else if (t.n)
            fed_buf_addf(&text, "conflicts with %.*s:%s", FED_STR_ARG(t.holder), fed_buf_z(&t.paths));
        fed_buf_release(&t.paths);
        n += t.n;
    }
    if (n)
        fed_err_set(err, FED_E_CONFLICT, "Apply failed with %zu conflict%s: %s", n, n == 1 ? "" : "s",
                    fed_buf_z(&text));
    fed_buf_release(&text);
    return n ? FED_E_CONFLICT : 0;
}

static struct fed_json *kept_by_others(struct managers *all, const struct manager *mine, const struct fed_json *set)
{
    struct fed_json *kept = fed_json_copy(all->arena, set);

    for (size_t i = 0; i < all->n; i++)
        if (&all->items[i] != mine)
            fed_fieldset_add(all->arena, kept, all->items[i].set);
    return kept;
}

/* Who wrote the object before managed fields were kept for it: everything belongs to "before-first-apply". */
static void own_untracked(struct managers *all, const struct fed_kind_version *v, const struct fed_json *live,
                          int64_t now_ms)
{
    struct fed_json *set;
    char now[21];

    if (all->n || !live)
        return;
    set = fed_json_object(all->arena);
    fed_fieldset_compare(all->arena, v->schema, !v->kind->custom, NULL, live, set, fed_json_object(all->arena));
    fed_fieldset_strip(set);
    fed_time_format(now_ms, now);
    put_manager(all, (struct manager){.name = FED_STR("before-first-apply"),
                                      .operation = FED_STR("Update"),
                                      .api_version = v->api_version,
                                      .time = fed_arena_dup(all->arena, fed_str(now)),
                                      .set = set});
}

int fed_ssa_apply(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *live,
                  struct fed_json *applied, struct fed_str manager, bool force, int64_t now_ms, struct fed_json **out,
                  struct fed_causes *causes, struct fed_err *err)
{
    struct managers all = {.arena = a};
    struct fed_json *merged = live ? fed_json_copy(a, live) : fed_json_object(a), *set, *gone;
    struct comparison k;
    struct manager *mine;
    int rc;

    if (applied->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_BAD_REQUEST, "an object is expected");
    if (fed_json_at(applied, "metadata", "managedFields", NULL))
        return fed_err_set(err, FED_E_BAD_REQUEST, "metadata.managedFields must be nil");
    read_managers(&all, live);
    own_untracked(&all, v, live, now_ms);
    set = fed_fieldset_of(a, v->schema, applied);
    fed_fieldset_strip(set);
    merge_object(a, v->schema, merged, applied);
    compare(&k, a, v, live, merged);
    mine = find_manager(&all, manager, "Apply", v->api_version, (struct fed_str){NULL, 0});
    if (!mine)
        mine = put_manager(&all, (struct manager){.name = manager,
                                                  .operation = FED_STR("Apply"),
                                                  .api_version = v->api_version,
                                                  .set = fed_json_object(a)});
    rc = settle_conflicts(&all, mine, set, &k, force, causes, err);
    if (rc)
        return rc;
    gone = fed_json_copy(a, mine->set);
    fed_fieldset_subtract(a, gone, set);
    prune_fields(a, v->schema, merged, gone, kept_by_others(&all, mine, set));
    if (!fed_fieldset_equal(mine->set, set) || !fed_str_eq(mine->api_version, v->api_version)) {
        mine->set = set;
        mine->api_version = v->api_version;
        mine->touched = true;
    }
    write_managers(&all, merged, now_ms);
    *out = merged;
    return 0;
}

/* --- plain writes --- */

/* managedFields as the client sent them: [{}] means "forget all"; absent or empty means "as they were". */
static bool wants_reset(const struct fed_json *obj)
{
    const struct fed_json *list = fed_json_at(obj, "metadata", "managedFields", NULL);

    return list && list->type == FED_JSON_ARRAY && list->n == 1 && list->first->type == FED_JSON_OBJECT &&
           list->first->n == 0;
}

void fed_ssa_track(struct fed_arena *a, const struct fed_kind_version *v, const struct fed_kind_version *as,
                   const struct fed_json *old, struct fed_json *obj, struct fed_str manager, struct fed_str subresource,
                   int64_t now_ms)
{
    struct managers all = {.arena = a};
    struct comparison k;
    struct fed_json *before, *changed;
    struct manager *mine;

    if (wants_reset(obj)) {
        fed_json_remove_key(fed_json_find(obj, "metadata"), "managedFields");
        return;
    }
    read_managers(&all, obj);
    if (!all.n)
        read_managers(&all, old);
    compare(&k, a, v, old, obj);
    if (v->kind->conversion)
        as = v;
    changed = changes_in(&k, as->api_version)->changed;
    mine = find_manager(&all, manager, "Update", as->api_version, subresource);
    for (size_t i = 0; i < all.n; i++) {
        const struct changes *c = changes_in(&k, all.items[i].api_version);

        fed_fieldset_subtract_deep(all.items[i].set, c->removed);
        if (&all.items[i] != mine)
            fed_fieldset_subtract(a, all.items[i].set, c->changed);
    }
    if (!fed_fieldset_empty(changed)) {
        if (!mine)
            mine = put_manager(&all, (struct manager){.name = manager,
                                                      .operation = FED_STR("Update"),
                                                      .api_version = as->api_version,
                                                      .subresource = subresource,
                                                      .set = fed_json_object(a)});
        before = fed_json_copy(a, mine->set);
        fed_fieldset_add(a, mine->set, changed);
        /* A field that changes value again stays with its owner; only a new field moves the time. */
        mine->touched = !fed_fieldset_equal(before, mine->set) || !mine->time.n;
    }
    write_managers(&all, obj, now_ms);
}
