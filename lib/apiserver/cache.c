/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/cache.h"

#include "apiserver/cache_index.h"
#include "apiserver/encryption.h"
#include "apiserver/tree.h"
#include "base/mem.h"
#include "kube/schema.h"

/* --- keys and values --- */

void fed_cache_key(const struct fed_kind *kind, struct fed_str ns, struct fed_str name, struct fed_buf *out)
{
    fed_buf_add(out, kind->store_prefix);
    if (kind->namespaced) {
        fed_buf_add(out, ns);
        fed_buf_addc(out, '/');
    }
    fed_buf_add(out, name);
}

/* Finds the kind by its prefix; the rest is "ns/name" or "name". */
struct fed_kcache *fed_cache_of_key(const struct fed_cache *c, struct fed_str key, struct fed_str *ns,
                                    struct fed_str *name)
{
    size_t cut = key.n;
    while (cut > 0 && key.p[cut - 1] != '/')
        cut--;
    *ns = (struct fed_str){NULL, 0};
    *name = fed_str_from(key, cut);
    struct fed_kcache *kc = fed_map_find(&c->kinds, fed_str_head(key, cut));
    if (kc || cut == 0)
        return kc;
    size_t end = cut - 1;
    for (cut = end; cut > 0 && key.p[cut - 1] != '/';)
        cut--;
    *ns = fed_str_n(key.p + cut, end - cut);
    return fed_map_find(&c->kinds, fed_str_head(key, cut));
}

static void put_member(struct fed_buf *out, const struct fed_json *m, bool comma)
{
    if (comma)
        fed_buf_addc(out, ',');
    fed_json_write_string(out, m->key);
    fed_buf_addc(out, ':');
    fed_json_write(out, m);
}

/* As Go writes JSON: these three stand in texts only. */
static void escape_from(struct fed_buf *out, size_t from)
{
    struct fed_arena a = {0};
    struct fed_str text = fed_arena_dup(&a, fed_str_from(fed_buf_str(out), from));
    out->n = from;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '<' || text.p[i] == '>' || text.p[i] == '&')
            fed_buf_addf(out, "\\u00%02x", text.p[i]);
        else
            fed_buf_addc(out, text.p[i]);
    fed_arena_release(&a);
}

/* apiVersion, kind and metadata first, resourceVersion left out: the revision is the store's. */
static void put_tree(struct fed_buf *out, const struct fed_kind *kind, const struct fed_json *obj)
{
    size_t from = out->n;
    fed_buf_addz(out, "{\"apiVersion\":\"");
    fed_buf_add(out, fed_kind_storage(kind)->api_version);
    fed_buf_addz(out, "\",\"kind\":\"");
    fed_buf_add(out, kind->kind);
    fed_buf_addz(out, "\",\"metadata\":{");
    bool comma = false;
    FED_JSON_EACH(m, fed_json_find(obj, "metadata")) {
        if (fed_str_is(m->key, "resourceVersion"))
            continue;
        put_member(out, m, comma);
        comma = true;
    }
    fed_buf_addc(out, '}');
    FED_JSON_EACH(m, obj) {
        if (!fed_str_is(m->key, "apiVersion") && !fed_str_is(m->key, "kind") && !fed_str_is(m->key, "metadata"))
            put_member(out, m, true);
    }
    fed_buf_addc(out, '}');
    if (kind->go_json)
        escape_from(out, from);
}

static void put_header_end(struct fed_buf *out, const struct fed_kind *kind)
{
    struct fed_str id = kind->custom ? FED_STR("") : fed_kind_defaults_id(kind); /* those are always defaulted */
    fed_buf_addz(out, " -");
    if (id.n)
        fed_buf_addc(out, ' ');
    fed_buf_add(out, id);
    fed_buf_addc(out, '\n');
}

/* Value in the store: "json GROUP/VERSION KEYID DEFAULTS\n" and the JSON; KEYID "-" means not encrypted. DEFAULTS names the
 * defaults of the schema that it was written by, and is left out where there are none. */
void fed_cache_encode(const struct fed_kind *kind, const struct fed_json *obj, struct fed_buf *out)
{
    fed_buf_addz(out, "json ");
    fed_buf_add(out, fed_kind_storage(kind)->api_version);
    put_header_end(out, kind);
    put_tree(out, kind, obj);
}

/* An object written by another version of this program: in another version of the kind, or before some default. */
static int object_of_old(const struct fed_kind *kind, struct fed_str api_version, struct fed_str json, uint64_t rev,
                         struct fed_kobj **out, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *tree = NULL;
    int rc = fed_json_parse(&a, json, NULL, &tree, err);
    const struct fed_kind_version *from = NULL, *to = fed_kind_storage(kind);
    for (size_t i = 0; rc == 0 && i < kind->n_versions; i++)
        if (fed_str_eq(kind->versions[i].api_version, api_version))
            from = &kind->versions[i];
    if (rc == 0 && !from)
        rc = fed_err_set(err, FED_E_VERSION, "stored as %.*s, which this program does not know",
                         FED_STR_ARG(api_version));
    if (rc == 0) {
        fed_kind_prune(from, tree, NULL, NULL);
        fed_schema_default(&a, from->schema, tree);
        fed_schema_quantities(&a, from->schema, tree);
    }
    if (rc == 0 && from != to)
        rc = fed_kind_convert(&a, tree, from, to, err);
    if (rc == 0) {
        struct fed_buf b = {0};
        if (from != to)
            fed_schema_default(&a, to->schema, tree);
        fed_schema_zeros(&a, to->schema, tree);
        put_tree(&b, kind, tree);
        rc = fed_kobj_new_at(fed_buf_str(&b), rev, out, err);
        fed_buf_release(&b);
    }
    fed_arena_release(&a);
    return rc;
}

/* Of a custom kind: in the version it was written in (only a webhook might convert it), by the schema of today.
 * *altered: it shows other than is stored. */
static int custom_object(const struct fed_kind *kind, struct fed_str api_version, struct fed_str json, uint64_t rev,
                         bool *altered, struct fed_kobj **out, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_json *tree = NULL;
    const struct fed_kind_version *v = fed_kind_storage(kind);
    int rc = fed_json_parse(&a, json, NULL, &tree, err);
    for (size_t i = 0; i < kind->n_versions; i++)
        if (fed_str_eq(kind->versions[i].api_version, api_version))
            v = &kind->versions[i];
    if (rc == 0) {
        fed_schema_prune(v->schema, tree, NULL, NULL);
        fed_schema_default(&a, v->schema, tree);
        struct fed_buf b = {0};
        fed_json_write(&b, tree);
        *altered = !fed_str_eq(fed_buf_str(&b), json);
        rc = fed_kobj_new_at(fed_buf_str(&b), rev, out, err);
        fed_buf_release(&b);
    }
    fed_arena_release(&a);
    return rc;
}

/* What is stored, where the object does not show it: the next schema may show more, or other defaults. Borrows b. */
static void note_stored(struct fed_cache *c, struct fed_str key, struct fed_blob *b)
{
    if (b)
        fed_blob_unref(fed_map_set(&c->stored, key, fed_blob_ref(b)));
    else if (fed_map_count(&c->stored))
        fed_blob_unref(fed_map_remove(&c->stored, key));
}

static struct fed_blob *plain_value(struct fed_str api_version, struct fed_str json)
{
    struct fed_buf value = {0};
    fed_buf_addz(&value, "json ");
    fed_buf_add(&value, api_version);
    fed_buf_addz(&value, " -\n");
    fed_buf_add(&value, json);
    return fed_blob_new_take(&value);
}

struct fed_str fed_cache_key_id(const struct fed_cache *c, struct fed_str key)
{
    const char *id = fed_map_count(&c->sealed) ? fed_map_find(&c->sealed, key) : NULL;
    return id ? fed_str(id) : FED_STR("-");
}

/* Remembers which key the value is encrypted with; plain values are not remembered. */
static void note_key(struct fed_cache *c, struct fed_str key, struct fed_str id)
{
    if (fed_str_is(id, "-")) {
        if (fed_map_count(&c->sealed))
            fed_map_remove(&c->sealed, key);
        return;
    }
    char *name = fed_map_find(&c->key_ids, id);
    if (!name) {
        name = fed_strdup_str(id);
        fed_map_set(&c->key_ids, id, name);
    }
    fed_map_set(&c->sealed, key, name);
}

static int decode(struct fed_kcache *kc, const struct store_change *ch, struct fed_str ns, struct fed_str name,
                  bool live, struct fed_kobj **out, struct fed_err *err)
{
    const struct fed_kind *kind = kc->kind;
    struct fed_str value = fed_blob_str(ch->value), word[4] = {{0}};
    ptrdiff_t nl = fed_str_chr(value, '\n', 0);
    struct fed_str line = fed_str_head(value, nl < 0 ? 0 : (size_t)nl), head = line;
    for (size_t i = 0; i < FED_ARRAY_LEN(word); i++)
        (void)fed_str_cut(&head, ' ', &word[i]);
    if (!fed_str_is(word[0], "json") || !word[2].n)
        return fed_err_set(err, FED_E_CORRUPT, "%.*s: unknown form of value", FED_STR_ARG(ch->key));
    struct fed_str json = fed_str_from(value, (size_t)nl + 1);
    struct fed_buf plain = {0};
    bool altered = false;
    int rc = 0;
    if (!fed_str_is(word[2], "-")) {
        rc = fed_encryption_open(kc->cache->encryption, word[2], ch->key, line, json, &plain, err);
        json = fed_buf_str(&plain);
    }
    if (rc == 0)
        rc = kind->custom ? custom_object(kind, word[1], json, ch->rev, &altered, out, err)
             : fed_str_eq(word[1], fed_kind_storage(kind)->api_version) &&
                     fed_str_eq(word[3], fed_kind_defaults_id(kind))
                 ? fed_kobj_new_at(json, ch->rev, out, err)
                 : object_of_old(kind, word[1], json, ch->rev, out, err);
    if (rc == 0 && live) {
        struct fed_blob *b = altered ? plain_value(word[1], json) : NULL;
        note_key(kc->cache, ch->key, word[2]);
        note_stored(kc->cache, ch->key, b);
        fed_blob_unref(b);
    }
    fed_buf_release(&plain);
    if (rc == 0 && fed_tree_cmp(ns, name, *out) != 0) {
        fed_kobj_unref(*out);
        *out = NULL;
        rc = fed_err_set(err, FED_E_CORRUPT, "holds another object");
    }
    if (rc == 0)
        return 0;
    (void)fed_err_wrap(err, rc, "%.*s", FED_STR_ARG(ch->key));
    if (err)
        err->code = FED_E_CORRUPT;
    return FED_E_CORRUPT;
}

int fed_cache_decode(const struct fed_kcache *kc, const struct store_change *ch, struct fed_kobj **out,
                     struct fed_err *err)
{
    struct fed_str ns, name;
    (void)fed_cache_of_key(kc->cache, ch->key, &ns, &name);
    return decode((struct fed_kcache *)(uintptr_t)kc, ch, ns, name, false, out, err);
}

struct fed_kobj *fed_cache_restamp(const struct fed_kobj *o, uint64_t rev)
{
    struct fed_kobj *out = NULL;
    int rc = fed_kobj_new_at(o->json, rev, &out, NULL);
    FED_REQUIRE(rc == 0); /* it parsed before */
    return out;
}

/* --- life --- */

struct fed_kcache *fed_kcache_ref(struct fed_kcache *kc)
{
    if (kc)
        kc->refs++;
    return kc;
}

void fed_kcache_unref(struct fed_kcache *kc)
{
    if (!kc || --kc->refs)
        return;
    fed_index_build(kc); /* of a load that failed */
    fed_tree_unref(kc->root);
    free(kc->slots);
    fed_kind_unref(kc->kind);
    free(kc);
}

static struct fed_kcache *kcache_new(struct fed_cache *c, const struct fed_kind *kind)
{
    struct fed_kcache *kc = FED_NEW(struct fed_kcache);
    kc->cache = c;
    kc->kind = fed_kind_ref(kind);
    kc->refs = 1;
    fed_list_init(&kc->watchers);
    fed_map_set(&c->kinds, kind->store_prefix, kc);
    return kc;
}

void fed_cache_init(struct fed_cache *c, const struct fed_kinds *kinds, size_t keep, uint64_t seed)
{
    *c = (struct fed_cache){.keep = keep, .seed = seed, .first_seq = 1, .next_seq = 1, .oldest_pin = UINT64_MAX};
    c->cap = 1024;
    while (c->cap < keep)
        c->cap *= 2;
    c->log = fed_calloc(c->cap, sizeof *c->log);
    for (size_t i = 0; i < fed_kinds_count(kinds); i++)
        (void)kcache_new(c, fed_kinds_at(kinds, i));
}

struct fed_orphan {
    struct fed_blob *value;
    uint64_t rev;
};

static void orphan_free(struct fed_orphan *o)
{
    if (o)
        fed_blob_unref(o->value);
    free(o);
}

static void orphan_put(struct fed_cache *c, struct fed_str key, struct fed_blob *value, uint64_t rev)
{
    struct fed_orphan *o = NULL;
    if (value) {
        o = FED_NEW(struct fed_orphan);
        o->value = fed_blob_ref(value);
        o->rev = rev;
        orphan_free(fed_map_set(&c->orphans, key, o));
    } else {
        orphan_free(fed_map_remove(&c->orphans, key));
    }
}

/* A pinned root below the log's reach would keep objects alive that nothing else does: its token expires. */
static void pins_expire(struct fed_cache *c)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < FED_CACHE_PINS; i++) {
        if (c->pins[i].kc && c->pins[i].rev < c->floor) {
            fed_tree_unref(c->pins[i].root);
            fed_kcache_unref(c->pins[i].kc);
            c->pins[i].kc = NULL;
            c->pins[i].root = NULL;
        } else if (c->pins[i].kc) {
            oldest = FED_MIN(oldest, c->pins[i].rev);
        }
    }
    c->oldest_pin = oldest;
}

void fed_cache_log_drop(struct fed_cache *c)
{
    struct fed_change *ch = &c->log[c->first_seq++ & (c->cap - 1)];
    c->floor = FED_MAX(c->floor, ch->rev);
    fed_kobj_unref(ch->old);
    fed_kobj_unref(ch->now);
    fed_kcache_unref(ch->kc);
    *ch = (struct fed_change){0};
    if (c->oldest_pin < c->floor)
        pins_expire(c);
}

void fed_cache_log_gap(struct fed_cache *c, uint64_t rev)
{
    while (c->first_seq < c->next_seq)
        fed_cache_log_drop(c);
    c->floor = FED_MAX(c->floor, rev);
    pins_expire(c);
}

void fed_cache_log_add(struct fed_cache *c, const struct fed_change *ch)
{
    if (c->next_seq - c->first_seq >= c->keep)
        fed_cache_log_drop(c);
    (void)fed_kcache_ref(ch->kc);
    c->log[c->next_seq++ & (c->cap - 1)] = *ch;
}

void fed_cache_release(struct fed_cache *c)
{
    while (c->first_seq < c->next_seq)
        fed_cache_log_drop(c);
    free(c->log);
    for (size_t i = 0; i < FED_CACHE_PINS; i++) {
        fed_tree_unref(c->pins[i].root);
        fed_kcache_unref(c->pins[i].kc);
    }
    FED_MAP_EACH(e, &c->kinds)
        fed_kcache_unref(e->value);
    fed_map_release(&c->kinds);
    FED_MAP_EACH(e, &c->orphans)
        orphan_free(e->value);
    fed_map_release(&c->orphans);
    FED_MAP_EACH(e, &c->stored)
        fed_blob_unref(e->value);
    fed_map_release(&c->stored);
    fed_map_release(&c->sealed);
    FED_MAP_EACH(e, &c->key_ids)
        free(e->value);
    fed_map_release(&c->key_ids);
    *c = (struct fed_cache){0};
}

struct fed_kcache *fed_cache_kind(const struct fed_cache *c, const struct fed_kind *kind)
{
    return fed_map_find(&c->kinds, kind->store_prefix);
}

static void state_put(struct fed_kcache *kc, struct fed_kobj *o)
{
    fed_index_put(kc, o); /* first: the tree alone keeps the object that it replaces */
    kc->root = fed_tree_put(kc->root, o);
    kc->last_rev = o->rev;
}

static int load_object(struct fed_kcache *kc, const struct store_change *change, struct fed_str ns, struct fed_str name,
                       struct fed_err *err)
{
    struct fed_kobj *o = NULL;
    int rc = decode(kc, change, ns, name, true, &o, err);
    if (rc == 0) {
        uint64_t last = kc->last_rev;
        if (kc->cache->live_done)
            state_put(kc, o);
        else
            fed_index_gather(kc, o);
        kc->last_rev = FED_MAX(last, o->rev);
    }
    fed_kobj_unref(o);
    return rc;
}

int fed_cache_load(struct fed_cache *c, const struct store_change *change, struct fed_err *err)
{
    struct fed_str ns, name;
    struct fed_kcache *kc = fed_cache_of_key(c, change->key, &ns, &name);
    if (!kc) {
        orphan_put(c, change->key, change->value, change->rev);
        return 0;
    }
    return load_object(kc, change, ns, name, err);
}

void fed_cache_live_done(struct fed_cache *c)
{
    if (c->live_done)
        return;
    c->live_done = true;
    FED_MAP_EACH(e, &c->kinds)
        fed_index_build(e->value);
}

void fed_cache_loaded(struct fed_cache *c, uint64_t rev)
{
    fed_cache_live_done(c);
    c->rev = c->floor = rev;
    FED_MAP_EACH(e, &c->kinds) {
        struct fed_kcache *kc = e->value;
        kc->last_rev = rev;
    }
}

int fed_cache_apply(struct fed_cache *c, const struct store_change *change, bool *logged, struct fed_err *err)
{
    *logged = false;
    struct fed_str ns, name;
    struct fed_kcache *kc = fed_cache_of_key(c, change->key, &ns, &name);
    if (change->rev > c->rev)
        c->rev = change->rev;
    if (!kc) {
        orphan_put(c, change->key, change->value, change->rev);
        return 0;
    }
    struct fed_change ch = {.rev = change->rev, .kc = kc, .deleted = !change->value};
    ch.old = fed_kobj_ref(fed_cache_find(kc, ns, name));
    if (change->value) {
        int rc = decode(kc, change, ns, name, true, &ch.now, err);
        if (rc) {
            fed_kobj_unref(ch.old);
            return rc;
        }
        state_put(kc, ch.now);
    } else if (ch.old) {
        ch.now = fed_cache_restamp(ch.old, change->rev);
        note_key(c, change->key, FED_STR("-"));
        note_stored(c, change->key, NULL);
        fed_index_remove(kc, ns, name);
        kc->root = fed_tree_remove(kc->root, ns, name);
        kc->last_rev = change->rev;
    } else {
        return 0; /* a key that we never saw went away */
    }
    fed_cache_log_add(c, &ch);
    *logged = true;
    return 0;
}

/* --- custom kinds --- */

int fed_cache_add_kind(struct fed_cache *c, const struct fed_kind *kind, uint64_t since, struct fed_kcache **out,
                       struct fed_err *err)
{
    struct fed_kcache *kc = kcache_new(c, kind);
    int rc = 0;
    FED_MAP_EACH(e, &c->orphans) {
        struct fed_orphan *o = e->value;
        struct store_change ch = {.key = e->key, .value = o->value, .rev = o->rev};
        struct fed_str ns, name;
        if (fed_cache_of_key(c, e->key, &ns, &name) != kc)
            continue;
        if (load_object(kc, &ch, ns, name, err)) {
            rc = FED_E_CORRUPT;
            continue; /* stays an orphan */
        }
        orphan_free(o);
        fed_map_remove(&c->orphans, e->key);
    }
    kc->since = since;
    kc->last_rev = FED_MAX(since, c->rev);
    *out = kc;
    return rc;
}

struct objects {
    struct fed_kobj **items;
    size_t n, cap;
};

static bool collect(void *ud, struct fed_kobj *o)
{
    struct objects *list = ud;
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->items = fed_realloc(list->items, list->cap * sizeof *list->items);
    }
    list->items[list->n++] = fed_kobj_ref(o);
    return true;
}

static struct objects all_objects(struct fed_kcache *kc)
{
    struct objects list = {0};
    struct fed_str none = {NULL, 0};
    fed_tree_walk(kc->root, none, none, none, collect, &list);
    return list;
}

static void remake(struct fed_kcache *kc, struct fed_kobj *o)
{
    struct fed_buf key = {0};
    fed_cache_key(kc->kind, o->ns, o->name, &key);
    struct fed_blob *b = fed_blob_ref(fed_map_find(&kc->cache->stored, fed_buf_str(&key)));
    struct fed_str json = b ? fed_blob_str(b) : o->json;
    struct fed_kobj *now = NULL;
    bool altered = false;
    if (b)
        json = fed_str_from(json, (size_t)fed_str_chr(json, '\n', 0) + 1);
    if (custom_object(kc->kind, o->api_version, json, o->rev, &altered, &now, NULL) == 0) {
        state_put(kc, now);
        if (altered && !b)
            b = plain_value(o->api_version, o->json);
        note_stored(kc->cache, fed_buf_str(&key), altered ? b : NULL);
    }
    fed_kobj_unref(now);
    fed_blob_unref(b);
    fed_buf_release(&key);
}

/* Objects are made anew, so that those in snapshots and in the log, and their encodings, stay what they were. */
void fed_cache_swap_kind(struct fed_kcache *kc, const struct fed_kind *kind)
{
    struct objects list = all_objects(kc);
    uint64_t last = kc->last_rev;
    const struct fed_kind *old = kc->kind;
    kc->kind = fed_kind_ref(kind);
    for (size_t i = 0; i < list.n; i++) {
        remake(kc, list.items[i]);
        fed_kobj_unref(list.items[i]);
    }
    kc->last_rev = last;
    free(list.items);
    fed_kind_unref(old);
}

static void make_orphan(struct fed_kcache *kc, struct fed_kobj *o)
{
    struct fed_buf key = {0};
    fed_cache_key(kc->kind, o->ns, o->name, &key);
    struct fed_blob *blob = fed_blob_ref(fed_map_find(&kc->cache->stored, fed_buf_str(&key)));
    if (!blob)
        blob = plain_value(o->api_version, o->json);
    note_stored(kc->cache, fed_buf_str(&key), NULL);
    orphan_put(kc->cache, fed_buf_str(&key), blob, o->rev);
    fed_blob_unref(blob);
    fed_buf_release(&key);
}

void fed_cache_drop_kind(struct fed_cache *c, struct fed_kcache *kc)
{
    struct objects list = all_objects(kc);
    for (size_t i = 0; i < list.n; i++) {
        make_orphan(kc, list.items[i]);
        fed_index_remove(kc, list.items[i]->ns, list.items[i]->name);
        fed_kobj_unref(list.items[i]);
    }
    free(list.items);
    fed_tree_unref(kc->root);
    kc->root = NULL;
    fed_map_remove(&c->kinds, kc->kind->store_prefix);
    fed_kcache_unref(kc);
}

/* --- the log and the past --- */

int fed_cache_seq_after(const struct fed_cache *c, uint64_t rev, uint64_t *seq)
{
    if (rev < c->floor)
        return FED_E_EXPIRED;
    uint64_t lo = c->first_seq, hi = c->next_seq;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (fed_cache_change(c, mid)->rev > rev)
            hi = mid;
        else
            lo = mid + 1;
    }
    *seq = lo;
    return 0;
}

const struct fed_change *fed_cache_change(const struct fed_cache *c, uint64_t seq)
{
    FED_REQUIRE(seq >= c->first_seq && seq < c->next_seq);
    return &c->log[seq & (c->cap - 1)];
}

struct fed_node *fed_cache_snapshot(struct fed_kcache *kc)
{
    return fed_tree_ref(kc->root);
}

int fed_cache_snapshot_at(struct fed_kcache *kc, uint64_t rev, struct fed_node **root)
{
    struct fed_cache *c = kc->cache;
    struct fed_node *from = kc->root;
    uint64_t from_rev = c->rev;
    if (rev < kc->since)
        return FED_E_EXPIRED;
    if (rev >= kc->last_rev) {
        *root = fed_tree_ref(kc->root);
        return 0;
    }
    for (size_t i = 0; i < FED_CACHE_PINS; i++)
        if (c->pins[i].kc == kc && c->pins[i].rev >= rev && c->pins[i].rev < from_rev) {
            from = c->pins[i].root;
            from_rev = c->pins[i].rev;
        }
    if (from_rev != rev && rev < c->floor)
        return FED_E_EXPIRED;
    struct fed_node *n = fed_tree_ref(from);
    for (uint64_t seq = c->next_seq; seq > c->first_seq && from_rev != rev; seq--) {
        const struct fed_change *ch = fed_cache_change(c, seq - 1);
        if (ch->rev <= rev)
            break;
        if (ch->kc != kc || ch->rev > from_rev)
            continue;
        if (ch->old)
            n = fed_tree_put(n, ch->old);
        else
            n = fed_tree_remove(n, ch->now->ns, ch->now->name);
    }
    *root = n;
    return 0;
}

void fed_cache_pin(struct fed_kcache *kc, uint64_t rev, struct fed_node *root)
{
    struct fed_cache *c = kc->cache;
    for (size_t i = 0; i < FED_CACHE_PINS; i++)
        if (c->pins[i].kc == kc && c->pins[i].rev == rev)
            return;
    size_t i = c->next_pin++ % FED_CACHE_PINS;
    fed_tree_unref(c->pins[i].root);
    fed_kcache_unref(c->pins[i].kc);
    c->pins[i].kc = fed_kcache_ref(kc);
    c->pins[i].rev = rev;
    c->pins[i].root = fed_tree_ref(root);
    c->oldest_pin = FED_MIN(c->oldest_pin, rev);
}
