/* SPDX-License-Identifier: Apache-2.0 */
/* The index of roles and bindings that authorization asks. */
#include "apiserver/rbac.h"
#include "base/mem.h"

#define GROUP "rbac.authorization.k8s.io"

struct role { /* named by bindings or present; freed when neither */
    size_t refs;
    char *key; /* NAMESPACE/NAME, /NAME for a ClusterRole */
    bool present;
    struct fed_rule *rules; /* one block, with all that they refer to */
    size_t n;
};
struct subject {
    char kind;               /* U, G; S: a service account, found as the user of its name */
    struct fed_str name, ns; /* ours */
};
struct binding { /* no arena each: there may be tens of thousands */
    struct fed_kobj *o;
    struct fed_str ns, name; /* of o */
    char *role_name;
    bool cluster, to_cluster_role;
    struct role *role;
    struct subject *subjects;
    size_t n;
};
struct entry { /* one subject of one binding */
    struct binding *b;
    const struct subject *s;
};
struct slot { /* the bindings of one subject in one namespace, or of the cluster */
    struct entry *v;
    size_t n, cap;
};
struct fed_rbac {
    struct fed_map roles;    /* key -> struct role */
    struct fed_map bindings; /* NAMESPACE/NAME -> struct binding */
    struct fed_map slots;    /* see slot_key -> struct slot */
};

struct fed_rbac *fed_rbac_new(void)
{
    return FED_NEW(struct fed_rbac);
}

/* --- roles --- */

static struct role *role_get(struct fed_rbac *x, struct fed_str ns, struct fed_str name)
{
    char *key = fed_asprintf("%.*s/%.*s", FED_STR_ARG(ns), FED_STR_ARG(name));
    struct role *r = fed_map_find(&x->roles, fed_str(key));
    if (r) {
        free(key);
        return r;
    }
    r = FED_NEW(struct role);
    r->key = key;
    fed_map_set(&x->roles, fed_str(key), r);
    return r;
}

static void role_free(struct role *r)
{
    free(r->rules);
    free(r->key);
    free(r);
}

static void role_drop(struct fed_rbac *x, struct role *r)
{
    if (r->refs || r->present)
        return;
    fed_map_remove(&x->roles, fed_str(r->key));
    role_free(r);
}

enum { N_LISTS = 5 };
static void lists_of(struct fed_rule *r, struct fed_strs *lists[N_LISTS])
{
    lists[0] = &r->verbs;
    lists[1] = &r->groups;
    lists[2] = &r->resources;
    lists[3] = &r->names;
    lists[4] = &r->urls;
}

/* The rules, then the lists of all of them, then their texts. */
static struct fed_rule *rules_copy(const struct fed_rule *from, size_t n)
{
    struct fed_strs *lists[N_LISTS];
    size_t n_texts = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        struct fed_rule rule = from[i];
        lists_of(&rule, lists);
        for (size_t j = 0; j < N_LISTS; j++) {
            n_texts += lists[j]->n;
            for (size_t k = 0; k < lists[j]->n; k++)
                bytes += lists[j]->v[k].n;
        }
    }
    struct fed_rule *rules = fed_malloc(n * sizeof *rules + n_texts * sizeof(struct fed_str) + bytes);
    struct fed_str *list = (struct fed_str *)(rules + n);
    char *text = (char *)(list + n_texts);
    for (size_t i = 0; i < n; i++) {
        rules[i] = from[i];
        lists_of(&rules[i], lists);
        for (size_t j = 0; j < N_LISTS; list += lists[j]->n, j++) {
            const struct fed_str *was = lists[j]->v;
            lists[j]->v = list;
            for (size_t k = 0; k < lists[j]->n; text += was[k].n, k++) {
                memcpy(text, was[k].n ? was[k].p : "", was[k].n);
                list[k] = fed_str_n(text, was[k].n);
            }
        }
    }
    return rules;
}

/* Only the rules are kept, not the tree that they were read from. */
static void role_set(struct fed_rbac *x, const struct fed_kobj *o, bool cluster)
{
    struct role *r = role_get(x, cluster ? (struct fed_str){NULL, 0} : o->ns, o->name);
    struct fed_arena scratch = {0};
    free(r->rules);
    r->present = true;
    struct fed_rule *read = fed_rules_read(&scratch, fed_json_find(fed_kobj_parse(o, &scratch), "rules"), &r->n);
    r->rules = r->n ? rules_copy(read, r->n) : NULL;
    fed_arena_release(&scratch);
}

static void role_unset(struct fed_rbac *x, const struct fed_kobj *o, bool cluster)
{
    struct role *r = role_get(x, cluster ? (struct fed_str){NULL, 0} : o->ns, o->name);
    free(r->rules);
    r->present = false;
    r->rules = NULL;
    r->n = 0;
    role_drop(x, r);
}

/* --- bindings --- */

/* KIND NAMESPACE 0 NAME; a service account is a user with its full name. `more`: the second half of that name. */
static struct fed_str slot_key(struct fed_buf *b, char kind, struct fed_str ns, struct fed_str name,
                               struct fed_str account_ns)
{
    fed_buf_reset(b);
    fed_buf_addc(b, kind == 'G' ? 'G' : 'U');
    fed_buf_add(b, ns);
    fed_buf_addc(b, 0);
    if (kind == 'S')
        fed_buf_addf(b, "system:serviceaccount:%.*s:", FED_STR_ARG(account_ns));
    fed_buf_add(b, name);
    return fed_buf_str(b);
}

static void slot_add(struct fed_rbac *x, struct fed_str key, struct binding *b, const struct subject *s)
{
    struct slot *at = fed_map_find(&x->slots, key);
    if (!at) {
        at = FED_NEW(struct slot);
        fed_map_set(&x->slots, key, at);
    }
    if (at->n == at->cap) {
        at->cap = at->cap ? at->cap * 2 : 2;
        at->v = fed_realloc(at->v, at->cap * sizeof(*at->v));
    }
    at->v[at->n++] = (struct entry){b, s};
}

static void slot_remove(struct fed_rbac *x, struct fed_str key, const struct binding *b)
{
    struct slot *at = fed_map_find(&x->slots, key);
    if (!at)
        return;
    size_t n = 0;
    for (size_t i = 0; i < at->n; i++)
        if (at->v[i].b != b)
            at->v[n++] = at->v[i];
    at->n = n;
    if (n)
        return;
    fed_map_remove(&x->slots, key);
    free(at->v);
    free(at);
}

static void read_subjects(struct binding *b, const struct fed_json *list)
{
    b->subjects = list && list->n ? fed_calloc(list->n, sizeof(*b->subjects)) : NULL;
    FED_JSON_EACH(s, list) {
        struct fed_str kind = fed_json_find_text(s, "kind"), ns = fed_json_find_text(s, "namespace");
        struct subject *to = &b->subjects[b->n];
        bool account = fed_str_is(kind, "ServiceAccount");
        if (account && !ns.n)
            ns = b->ns;
        if ((!account && !fed_str_is(kind, "User") && !fed_str_is(kind, "Group")) || (account && !ns.n))
            continue;
        to->kind = kind.p[0];
        to->name = fed_str(fed_strdup_str(fed_json_find_text(s, "name")));
        to->ns = fed_str(account ? fed_strdup_str(ns) : NULL);
        b->n++;
    }
}

static void binding_release(struct binding *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free((char *)b->subjects[i].name.p);
        free((char *)b->subjects[i].ns.p);
    }
    free(b->subjects);
    free(b->role_name);
    fed_kobj_unref(b->o);
    free(b);
}

static void binding_free(struct fed_rbac *x, struct binding *b)
{
    b->role->refs--;
    role_drop(x, b->role);
    binding_release(b);
}

static void binding_unset(struct fed_rbac *x, const struct fed_kobj *o)
{
    struct fed_buf key = {0};
    fed_buf_addf(&key, "%.*s/%.*s", FED_STR_ARG(o->ns), FED_STR_ARG(o->name));
    struct binding *b = fed_map_remove(&x->bindings, fed_buf_str(&key));
    for (size_t i = 0; b && i < b->n; i++)
        slot_remove(x, slot_key(&key, b->subjects[i].kind, b->ns, b->subjects[i].name, b->subjects[i].ns), b);
    if (b)
        binding_free(x, b);
    fed_buf_release(&key);
}

static void binding_set(struct fed_rbac *x, struct fed_kobj *o, bool cluster)
{
    struct fed_buf key = {0};
    struct fed_arena scratch = {0};
    struct binding *b = FED_NEW(struct binding);
    binding_unset(x, o);
    const struct fed_json *tree = fed_kobj_parse(o, &scratch), *ref = fed_json_find(tree, "roleRef");
    b->o = fed_kobj_ref(o);
    b->ns = o->ns;
    b->name = o->name;
    b->cluster = cluster;
    b->to_cluster_role = fed_str_is(fed_json_find_text(ref, "kind"), "ClusterRole");
    b->role_name = fed_strdup_str(fed_json_find_text(ref, "name"));
    b->role = role_get(x, b->to_cluster_role ? (struct fed_str){NULL, 0} : o->ns, fed_str(b->role_name));
    b->role->refs++;
    read_subjects(b, fed_json_find(tree, "subjects"));
    fed_arena_release(&scratch);
    for (size_t i = 0; i < b->n; i++)
        slot_add(x, slot_key(&key, b->subjects[i].kind, b->ns, b->subjects[i].name, b->subjects[i].ns), b,
                 &b->subjects[i]);
    fed_buf_reset(&key);
    fed_buf_addf(&key, "%.*s/%.*s", FED_STR_ARG(o->ns), FED_STR_ARG(o->name));
    fed_map_set(&x->bindings, fed_buf_str(&key), b);
    fed_buf_release(&key);
}

/* --- following the cache --- */

static void set(struct fed_rbac *x, const struct fed_kind *k, struct fed_kobj *o, bool gone)
{
    bool cluster = !k->namespaced;
    bool role = fed_str_is(k->plural, "roles") || fed_str_is(k->plural, "clusterroles");
    bool bind = fed_str_is(k->plural, "rolebindings") || fed_str_is(k->plural, "clusterrolebindings");
    if (role && gone)
        role_unset(x, o, cluster);
    else if (role)
        role_set(x, o, cluster);
    else if (bind && gone)
        binding_unset(x, o);
    else if (bind)
        binding_set(x, o, cluster);
}

void fed_rbac_changed(struct fed_rbac *x, const struct fed_change *ch)
{
    if (fed_str_is(ch->kc->kind->group, GROUP))
        set(x, ch->kc->kind, ch->now, ch->deleted);
}

struct loading {
    struct fed_rbac *x;
    const struct fed_kind *kind;
};

static bool load_one(void *ud, struct fed_kobj *o)
{
    struct loading *l = ud;
    set(l->x, l->kind, o, false);
    return true;
}

void fed_rbac_load(struct fed_rbac *x, struct fed_api *api)
{
    static const char *const plurals[] = {"roles", "clusterroles", "rolebindings", "clusterrolebindings"};
    struct fed_str none = {NULL, 0};
    for (size_t i = 0; i < FED_ARRAY_LEN(plurals); i++) {
        const struct fed_kind_version *v =
            fed_kinds_by_resource(api->conf.kinds, FED_STR(GROUP), FED_STR("v1"), fed_str(plurals[i]));
        struct fed_kcache *kc = v ? fed_cache_kind(&api->cache, v->kind) : NULL;
        struct loading l = {x, v ? v->kind : NULL};
        if (kc)
            fed_tree_walk(kc->root, none, none, none, load_one, &l);
    }
}

bool fed_rbac_served(const struct fed_api *api)
{
    return fed_kinds_by_resource(api->conf.kinds, FED_STR(GROUP), FED_STR("v1"), FED_STR("clusterrolebindings")) !=
           NULL;
}

void fed_rbac_free(struct fed_rbac *x)
{
    if (!x)
        return;
    FED_MAP_EACH(e, &x->slots) {
        struct slot *s = e->value;
        free(s->v);
        free(s);
    }
    FED_MAP_EACH(e, &x->bindings)
        binding_release(e->value);
    FED_MAP_EACH(e, &x->roles)
        role_free(e->value);
    fed_map_release(&x->slots);
    fed_map_release(&x->bindings);
    fed_map_release(&x->roles);
    free(x);
}

/* --- asking --- */

struct visit {
    struct fed_rbac *x;
    const struct fed_identity *who;
    bool (*each)(void *ud, const struct entry *e);
    void *ud;
};

static bool visit_slot(const struct visit *v, struct fed_str key)
{
    const struct slot *s = fed_map_find(&v->x->slots, key);
    for (size_t i = 0; s && i < s->n; i++)
        if (!v->each(v->ud, &s->v[i]))
            return false;
    return true;
}

static bool visit_space(const struct visit *v, struct fed_str ns)
{
    char room[512];
    struct fed_buf big = {0};
    struct fed_str none = {NULL, 0};
    bool more = true;
    for (size_t i = 0; more && i <= v->who->n_groups; i++) {
        struct fed_str name = i ? v->who->groups[i - 1] : v->who->user, key;
        if (2 + ns.n + name.n <= sizeof room) { /* nearly always: no allocation in the way of a request */
            room[0] = i ? 'G' : 'U';
            if (ns.n)
                memcpy(room + 1, ns.p, ns.n);
            room[1 + ns.n] = 0;
            if (name.n)
                memcpy(room + 2 + ns.n, name.p, name.n);
            key = fed_str_n(room, 2 + ns.n + name.n);
        } else {
            key = slot_key(&big, i ? 'G' : 'U', ns, name, none);
        }
        more = visit_slot(v, key);
    }
    fed_buf_release(&big);
    return more;
}

static void visit_all(const struct visit *v, struct fed_str ns)
{
    if (visit_space(v, (struct fed_str){NULL, 0}) && ns.n)
        visit_space(v, ns);
}

struct asked {
    const struct fed_api_request *q;
    const struct entry *yes;
    struct fed_json *missing; /* texts about roles that are not there; NULL: not wanted */
    struct fed_arena *arena;
};

static bool ask_entry(void *ud, const struct entry *e)
{
    struct asked *k = ud;
    const struct role *r = e->b->role;
    if (!r->present && k->missing && k->missing->n < 10)
        fed_json_push(k->missing, fed_json_new_strf(k->arena, "%s." GROUP " \"%s\" not found",
                                                    e->b->to_cluster_role ? "clusterrole" : "role", e->b->role_name));
    for (size_t i = 0; i < r->n; i++)
        if (fed_rule_allows(&r->rules[i], k->q)) {
            k->yes = e;
            return false;
        }
    return true;
}

static void put_quoted(struct fed_buf *out, struct fed_str a, const char *sep, struct fed_str b)
{
    fed_buf_addf(out, "\"%.*s%s%.*s\"", FED_STR_ARG(a), sep, FED_STR_ARG(b));
}

static void put_reason(struct fed_buf *out, const struct entry *e)
{
    const struct binding *b = e->b;
    struct fed_str none = {NULL, 0};
    fed_buf_addz(out, "RBAC: allowed by ");
    fed_buf_addz(out, b->cluster ? "ClusterRoleBinding " : "RoleBinding ");
    put_quoted(out, b->name, b->cluster ? "" : "/", b->cluster ? none : b->ns);
    fed_buf_addz(out, b->to_cluster_role ? " of ClusterRole " : " of Role ");
    put_quoted(out, fed_str(b->role_name), "", none);
    fed_buf_addz(out, e->s->kind == 'U' ? " to User " : e->s->kind == 'G' ? " to Group " : " to ServiceAccount ");
    put_quoted(out, e->s->name, e->s->kind == 'S' ? "/" : "", e->s->kind == 'S' ? e->s->ns : none);
}

static void put_missing(struct fed_buf *out, const struct fed_json *missing)
{
    if (!missing->n)
        return;
    fed_buf_addz(out, "RBAC: ");
    if (missing->n > 1)
        fed_buf_addc(out, '[');
    FED_JSON_EACH(m, missing) {
        fed_buf_add(out, m->s);
        if (m->next)
            fed_buf_addz(out, ", ");
    }
    if (missing->n > 1)
        fed_buf_addc(out, ']');
}

bool fed_rbac_allows(struct fed_api *api, const struct fed_api_request *q, struct fed_buf *reason)
{
    struct fed_arena a = {0};
    struct asked k = {.q = q, .arena = &a, .missing = reason ? fed_json_array(&a) : NULL};
    struct visit v = {api->rbac, &q->who, ask_entry, &k};
    visit_all(&v, q->resource.n ? q->ns : (struct fed_str){NULL, 0});
    if (reason && k.yes)
        put_reason(reason, k.yes);
    else if (reason)
        put_missing(reason, k.missing);
    fed_arena_release(&a);
    return k.yes != NULL;
}

struct listing {
    bool (*each)(void *ud, const struct fed_rule *rule);
    void *ud;
};

static bool list_entry(void *ud, const struct entry *e)
{
    struct listing *l = ud;
    for (size_t i = 0; i < e->b->role->n; i++)
        if (!l->each(l->ud, &e->b->role->rules[i]))
            return false;
    return true;
}

void fed_rbac_rules(struct fed_api *api, const struct fed_identity *who, struct fed_str ns,
                    bool (*each)(void *ud, const struct fed_rule *rule), void *ud)
{
    struct listing l = {each, ud};
    struct visit v = {api->rbac, who, list_entry, &l};
    visit_all(&v, ns);
}

bool fed_rbac_role(struct fed_api *api, bool cluster, struct fed_str ns, struct fed_str name,
                   const struct fed_rule **rules, size_t *n)
{
    char *key = fed_asprintf("%.*s/%.*s", cluster ? 0 : (int)ns.n, ns.p ? ns.p : "", FED_STR_ARG(name));
    const struct role *r = fed_map_find(&api->rbac->roles, fed_str(key));
    free(key);
    *rules = r ? r->rules : NULL;
    *n = r ? r->n : 0;
    return r && r->present;
}
