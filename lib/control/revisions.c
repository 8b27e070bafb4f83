/* SPDX-License-Identifier: Apache-2.0 */
#include "control/revisions.h"

#include "kube/names.h"

enum { HISTORY_MAX = 2000 }; /* characters of FED_REVISION_HISTORY, as in Kubernetes */

/* --- which one it is --- */

/* What a client in Go adds to a template that it read and writes back, or leaves out of it. */
static void trim(struct fed_json *v)
{
    FED_JSON_EACH_SAFE(c, v) {
        trim(c);
        if (c->key.p && (c->type == FED_JSON_NULL || (c->type == FED_JSON_ARRAY && !c->n) ||
                         (c->type == FED_JSON_OBJECT && !c->n && fed_str_is(c->key, "resources"))))
            fed_json_remove(c);
    }
}

static struct fed_json *bare_template(struct fed_arena *a, const struct fed_json *template)
{
    struct fed_json *copy = fed_json_copy(a, template);
    fed_json_remove_key(fed_json_at(copy, "metadata", "labels", NULL), FED_TEMPLATE_HASH);
    trim(copy);
    return copy;
}

bool fed_template_same(const struct fed_json *x, const struct fed_json *y)
{
    struct fed_arena a = {0};
    bool same = x && y && fed_json_equal(bare_template(&a, x), bare_template(&a, y));
    fed_arena_release(&a);
    return same;
}

int fed_revision_find(const struct fed_past *list, size_t n, const struct fed_json *want, int64_t *number)
{
    int found = -1;
    int64_t newest_other = 0;
    for (size_t i = 0; i < n; i++)
        if (found < 0 && fed_template_same(list[i].what, want))
            found = (int)i;
        else
            newest_other = FED_MAX(newest_other, list[i].number);
    *number = found >= 0 && list[found].number > newest_other ? list[found].number : newest_other + 1;
    return found;
}

static uint64_t tree_hash(const struct fed_json *v)
{
    uint64_t h = (uint64_t)v->type * UINT64_C(0x9e3779b97f4a7c15);
    if (v->type == FED_JSON_BOOL)
        return h + v->boolean;
    if (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER)
        return fed_str_hash(v->s, h);
    FED_JSON_EACH(c, v) {
        uint64_t k = tree_hash(c);
        h = v->type == FED_JSON_OBJECT ? h + fed_str_hash(c->key, k) : fed_str_hash((struct fed_str){(char *)&k, 8}, h);
    }
    return h;
}

void fed_template_hash(const struct fed_json *template, const char *salt, char out[11])
{
    struct fed_arena a = {0};
    fed_name_hash(fed_arena_printf(&a, "%llx%s", (unsigned long long)tree_hash(template), salt), out);
    fed_arena_release(&a);
}

int64_t fed_revision_limit(const struct fed_json *spec)
{
    return fed_json_int(fed_json_find(spec, "revisionHistoryLimit"), 10);
}

/* --- ReplicaSets --- */

int64_t fed_replicaset_revision(const struct fed_kobj *set)
{
    int64_t n;
    return fed_str_i64(fed_kobj_annotation(set, FED_REVISION), &n) == 0 && n > 0 ? n : 0;
}

bool fed_replicaset_skips(struct fed_str key)
{
    static const char *const names[] = {"kubectl.kubernetes.io/last-applied-configuration",
                                        FED_REVISION,
                                        FED_REVISION_HISTORY,
                                        FED_DESIRED_REPLICAS,
                                        FED_MAX_REPLICAS,
                                        "deprecated.deployment.rollback.to"};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (fed_str_is(key, names[i]))
            return true;
    return false;
}

/* "1,4" and another; the oldest are forgotten where it grows too long. */
static struct fed_str longer_history(struct fed_arena *a, struct fed_str history, struct fed_str number)
{
    struct fed_str all = history.n ? fed_arena_printf(a, "%.*s,%.*s", FED_STR_ARG(history), FED_STR_ARG(number))
                                   : fed_arena_dup(a, number);
    while (all.n > HISTORY_MAX) {
        struct fed_str first;
        if (!fed_str_cut(&all, ',', &first) || !all.p)
            break;
    }
    return all;
}

struct fed_json *fed_replicaset_annotations(struct fed_arena *a, const struct fed_replicaset_conf *conf,
                                            const struct fed_json *have)
{
    struct fed_json *to = fed_json_object(a);
    int64_t replicas = fed_json_int(fed_json_at(conf->tree, "spec", "replicas", NULL), 1), was;
    struct fed_str number = fed_json_find_text(have, FED_REVISION);
    FED_JSON_EACH(an, fed_json_at(conf->tree, "metadata", "annotations", NULL))
        if (!fed_replicaset_skips(an->key) && !(conf->skips && conf->skips(an->key)))
            fed_json_set_str(to, an->key, fed_json_copy(a, an));
    if (conf->revision)
        fed_json_set(to, FED_REVISION, fed_json_new_strf(a, "%lld", (long long)conf->revision));
    if (conf->revision && fed_str_i64(number, &was) == 0 && was > 0 && was < conf->revision)
        fed_json_set(to, FED_REVISION_HISTORY,
                     fed_json_new_str(a, longer_history(a, fed_json_find_text(have, FED_REVISION_HISTORY), number)));
    if (conf->max_replicas < 0)
        return to;
    fed_json_set(to, FED_DESIRED_REPLICAS, fed_json_new_strf(a, "%lld", (long long)replicas));
    fed_json_set(to, FED_MAX_REPLICAS, fed_json_new_strf(a, "%lld", (long long)conf->max_replicas));
    return to;
}

static struct fed_json *new_object(struct fed_arena *a, const char *kind, const struct fed_kobj *owner,
                                   const char *hash)
{
    struct fed_json *o =
        fed_obj_new(a, "apps/v1", kind, owner->ns, fed_arena_printf(a, "%.*s-%s", FED_STR_ARG(owner->name), hash));
    fed_obj_set_controller(a, o, owner);
    return o;
}

struct fed_json *fed_replicaset_new(struct fed_arena *a, const struct fed_replicaset_conf *conf, const char *hash,
                                    int64_t replicas)
{
    struct fed_json *rs = new_object(a, "ReplicaSet", conf->owner, hash), *meta = fed_obj_metadata(a, rs);
    const struct fed_json *from = fed_json_find(conf->tree, "spec");
    struct fed_json *spec = fed_json_object(a), *template = fed_json_copy(a, fed_json_find(from, "template"));
    struct fed_json *selector = fed_json_copy(a, fed_json_find(from, "selector"));
    int64_t ready = fed_json_int(fed_json_find(from, "minReadySeconds"), 0);
    struct fed_json *labels = fed_json_ensure_object(a, fed_json_ensure_object(a, template, "metadata"), "labels");
    fed_json_set(labels, FED_TEMPLATE_HASH, fed_json_new_strf(a, "%s", hash));
    fed_json_set(fed_json_ensure_object(a, selector, "matchLabels"), FED_TEMPLATE_HASH,
                 fed_json_new_strf(a, "%s", hash));
    fed_json_set(meta, "labels", fed_json_copy(a, labels));
    fed_json_set(meta, "annotations", fed_replicaset_annotations(a, conf, NULL));
    fed_json_set(spec, "replicas", fed_json_new_int(a, replicas));
    if (ready > 0)
        fed_json_set(spec, "minReadySeconds", fed_json_new_int(a, ready));
    fed_json_set(spec, "selector", selector);
    fed_json_set(spec, "template", template);
    fed_json_set(rs, "spec", spec);
    return rs;
}

/* --- ControllerRevisions --- */

struct member { /* an object's */
    struct fed_str key;
    struct fed_json *value;
};

static int by_key(const void *pa, const void *pb)
{
    return fed_str_cmp(((const struct member *)pa)->key, ((const struct member *)pb)->key);
}

static void sort_keys(struct fed_arena *a, struct fed_json *v)
{
    size_t n = 0;
    struct member *list = FED_ARENA_ARRAY(a, struct member, v->n + 1);
    if (v->type != FED_JSON_OBJECT && v->type != FED_JSON_ARRAY)
        return;
    FED_JSON_EACH(c, v) {
        sort_keys(a, c);
        list[n++] = (struct member){c->key, c};
    }
    if (v->type == FED_JSON_ARRAY)
        return;
    qsort(list, n, sizeof(*list), by_key);
    for (size_t i = 0; i < n; i++)
        fed_json_remove(list[i].value);
    for (size_t i = 0; i < n; i++)
        fed_json_add(v, list[i].key, list[i].value);
}

/* What a client in Go writes of a template although it is not set. */
static void fill(struct fed_arena *a, struct fed_json *template)
{
    static const char *const lists[] = {"initContainers", "containers"};
    struct fed_json *meta = fed_json_find(template, "metadata");
    if (meta && !fed_json_find(meta, "creationTimestamp"))
        fed_json_set(meta, "creationTimestamp", fed_json_null(a));
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_at(template, "spec", lists[i], NULL))
            if (!fed_json_find(c, "resources"))
                fed_json_set(c, "resources", fed_json_object(a));
}

struct fed_json *fed_revision_data(struct fed_arena *a, const struct fed_json *tree)
{
    struct fed_json *data = fed_json_object(a), *spec = fed_json_object(a);
    struct fed_json *template = fed_json_copy(a, fed_json_at(tree, "spec", "template", NULL));
    fill(a, template);
    fed_json_set(template, "$patch", fed_json_new_strz(a, "replace"));
    sort_keys(a, template);
    fed_json_set(spec, "template", template);
    fed_json_set(data, "spec", spec);
    return data;
}

struct fed_str fed_revision_hash(const struct fed_kobj *revision)
{
    struct fed_str hash = fed_kobj_label(revision, FED_HISTORY_HASH);
    return hash.n ? hash : fed_kobj_label(revision, FED_REVISION_HASH);
}

struct fed_json *fed_revision_new(struct fed_arena *a, const struct fed_kobj *owner, const struct fed_json *tree,
                                  const char *hash, int64_t number, bool (*skips)(struct fed_str key))
{
    struct fed_json *o = new_object(a, "ControllerRevision", owner, hash), *meta = fed_obj_metadata(a, o);
    FED_JSON_EACH(l, fed_json_at(tree, "spec", "template", "metadata", "labels", NULL))
        fed_json_set_str(fed_json_ensure_object(a, meta, "labels"), l->key, fed_json_copy(a, l));
    FED_JSON_EACH(an, fed_json_at(tree, "metadata", "annotations", NULL))
        if (!skips || !skips(an->key))
            fed_json_set_str(fed_json_ensure_object(a, meta, "annotations"), an->key, fed_json_copy(a, an));
    fed_obj_set_label(a, o, fed_str_is(owner->kind, "StatefulSet") ? FED_HISTORY_HASH : FED_REVISION_HASH,
                      fed_arena_dup(a, fed_str(hash)));
    fed_json_set(o, "data", fed_revision_data(a, tree));
    fed_json_set(o, "revision", fed_json_new_int(a, number));
    return o;
}

/* --- rolling updates --- */

int64_t fed_int_or_percent(const struct fed_json *v, int64_t dflt_percent, int64_t total, bool round_up)
{
    int64_t n;
    uint64_t percent = (uint64_t)dflt_percent;
    if (v && fed_json_is_int(v, &n))
        return n < 0 ? 0 : n;
    struct fed_str s = fed_json_str(v);
    if (s.n > 1 && s.p[s.n - 1] == '%' && fed_str_u64(fed_str_head(s, s.n - 1), &percent) < 0)
        percent = (uint64_t)dflt_percent;
    percent = percent > 100000 ? 100000 : percent;
    return (total * (int64_t)percent + (round_up ? 99 : 0)) / 100;
}

int64_t fed_rollout_surge(const struct fed_json *strategy, int64_t replicas)
{
    if (fed_str_is(fed_json_find_text(strategy, "type"), "Recreate"))
        return 0;
    return fed_int_or_percent(fed_json_at(strategy, "rollingUpdate", "maxSurge", NULL), 25, replicas, true);
}
