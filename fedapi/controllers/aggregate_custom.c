/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate_custom.c: the status of an object of a kind that users defined. Nothing is known of its fields but their
 * conventions, and the definition's schema drops what it does not name. So:
 *
 *   one cluster        its status as it is
 *   several clusters   conditions: what all say, else Unknown, with who says what
 *                      numbers of replicas (`…replicas`, and what the scale subresource names): sums
 *                      anything else: shown where all say the same; each cluster's own stands in the annotation
 *
 * observedGeneration speaks of the hub's generation: it is reached when every cluster has reached its own. */
#include "fedapi/controllers/aggregate_priv.h"

static const struct fed_json *status_of(const struct fapi_report *r)
{
    const struct fed_json *status = fed_json_find(r->object, "status");
    return status && status->type == FED_JSON_OBJECT ? status : NULL;
}

static bool is_conditions(const struct fed_json *v)
{
    if (!fed_str_is(v->key, "conditions") || v->type != FED_JSON_ARRAY)
        return false;
    FED_JSON_EACH(c, v)
        if (!fed_json_find_text(c, "type").n || !fed_json_find_text(c, "status").n)
            return false;
    return true;
}

static bool is_sum(const struct fed_json *v)
{
    return (fed_str_is(v->key, "replicas") || fed_str_ends(v->key, FED_STR("Replicas"))) && fed_json_is_int(v, NULL);
}

/* True when every cluster says this. */
static bool all_say(const struct fapi_aggregate_in *in, const struct fed_json *v)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *other = fed_json_find_str(status_of(&in->reports[i]), v->key);
        if (!other || !fed_json_equal(other, v))
            return false;
    }
    return true;
}

static bool is_anywhere(const struct fapi_aggregate_in *in, struct fed_str path)
{
    for (size_t i = 0; i < in->n; i++)
        if (fapi_custom_at(in->reports[i].object, path))
            return true;
    return false;
}

static int64_t sum_of(const struct fapi_aggregate_in *in, struct fed_str path, struct fed_str key)
{
    int64_t sum = 0;
    for (size_t i = 0; i < in->n; i++)
        sum += fed_json_int(path.n ? fapi_custom_at(in->reports[i].object, path)
                                   : fed_json_find_str(status_of(&in->reports[i]), key),
                            0);
    return sum;
}

/* --- conditions --- */

static struct fed_str condition_word(const struct fapi_report *r, const char *type, const char *word)
{
    return fed_json_find_text(fed_obj_condition(status_of(r), type), word);
}

/* The word of all; p == NULL: they differ. */
static struct fed_str common_word(const struct fapi_aggregate_in *in, const char *type, const char *word)
{
    struct fed_str first = condition_word(&in->reports[0], type, word);
    for (size_t i = 1; i < in->n; i++)
        if (!fed_str_eq(condition_word(&in->reports[i], type, word), first))
            return (struct fed_str){0};
    return first.p ? first : FED_STR("");
}

static void join_condition(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *status,
                           struct fed_str type_text)
{
    const char *type = fed_arena_dupz(a, type_text);
    struct fed_str value = common_word(in, type, "status"), reason = common_word(in, type, "reason");
    struct fed_str message = common_word(in, type, "message");
    struct fed_buf who;
    fed_buf_init(&who, 4096);
    for (size_t i = 0; i < in->n; i++) {
        struct fed_str one = condition_word(&in->reports[i], type, "status");
        struct fed_str because = condition_word(&in->reports[i], type, "reason");
        fed_buf_addf(&who, "%s%.*s: %.*s%s%.*s", i ? ", " : "", FED_STR_ARG(in->reports[i].cluster),
                     FED_STR_ARG(one.n ? one : FED_STR("unknown")), because.n ? " " : "", FED_STR_ARG(because));
    }
    bool differ = !value.n;
    fed_obj_set_condition(a, status, type, differ ? "Unknown" : fed_arena_dupz(a, value),
                          differ || !reason.p ? "ClustersDiffer" : fed_arena_dupz(a, reason),
                          differ || !message.p ? fed_arena_dup(a, fed_buf_str(&who)) : message, in->now_ms);
    fed_buf_release(&who);
}

/* Types that no cluster has any more go. */
static void join_conditions(struct fed_arena *a, const struct fapi_aggregate_in *in, const struct fed_json *was,
                            struct fed_json *out)
{
    struct fed_json *list = fed_json_set(out, "conditions", fed_json_array(a));
    for (size_t i = 0; i < in->n; i++) {
        FED_JSON_EACH(c, fed_json_find(status_of(&in->reports[i]), "conditions")) {
            struct fed_str type = fed_json_find_text(c, "type");
            const char *z = fed_arena_dupz(a, type);
            const struct fed_json *before = fed_obj_condition(was, z);
            if (!type.n || fed_obj_condition(out, z))
                continue;
            if (before)
                fed_json_push(list, fed_json_copy(a, before));
            join_condition(a, in, out, type);
        }
    }
}

/* --- observed generations --- */

bool fapi_aggregate_observed(const struct fapi_aggregate_in *in)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct fapi_report *r = &in->reports[i];
        int64_t generation = fed_json_int(fed_json_at(r->object, "metadata", "generation", NULL), 0);
        int64_t observed = fed_json_int(fed_json_at(r->object, "status", "observedGeneration", NULL), 0);
        if (!fed_str_is(fed_str(r->state), "Synced") || observed < generation)
            return false;
    }
    return in->n > 0;
}

static void set_observed(struct fed_arena *a, const struct fapi_aggregate_in *in, const struct fed_json *was,
                         struct fed_json *out)
{
    int64_t now =
        fapi_aggregate_observed(in) ? in->hub->generation : fed_json_int(fed_json_find(was, "observedGeneration"), 0);
    if (now)
        fed_json_set(out, "observedGeneration", fed_json_new_int(a, now));
    else
        fed_json_remove_key(out, "observedGeneration");
}

static void observe_conditions(struct fed_arena *a, const struct fapi_aggregate_in *in, struct fed_json *out)
{
    int64_t reached = fed_json_int(fed_json_at(in->reports[0].object, "metadata", "generation", NULL), 0);
    bool synced = fed_str_is(fed_str(in->reports[0].state), "Synced");
    FED_JSON_EACH(c, fed_json_find(out, "conditions")) {
        int64_t seen = fed_json_int(fed_json_find(c, "observedGeneration"), 0);
        if (seen && synced && seen >= reached)
            fed_json_set(c, "observedGeneration", fed_json_new_int(a, in->hub->generation));
        else
            fed_json_remove_key(c, "observedGeneration");
    }
}

/* --- the whole --- */

static struct fed_json *of_one(struct fed_arena *a, const struct fapi_aggregate_in *in, const struct fed_json *was)
{
    const struct fed_json *theirs = status_of(&in->reports[0]);
    if (!theirs)
        return NULL; /* nothing to tell, or not to be seen: what was said stands */
    struct fed_json *out = fed_json_copy(a, theirs);
    if (fed_json_find(out, "observedGeneration"))
        set_observed(a, in, was, out);
    observe_conditions(a, in, out);
    return out;
}

static void add_fields(struct fed_arena *a, const struct fapi_aggregate_in *in, const struct fed_json *was,
                       const struct fed_json *theirs, struct fed_json *out)
{
    FED_JSON_EACH(v, theirs) {
        if (fed_json_find_str(out, v->key))
            continue;
        if (is_conditions(v))
            join_conditions(a, in, was, out);
        else if (fed_str_is(v->key, "observedGeneration"))
            set_observed(a, in, was, out);
        else if (is_sum(v))
            fed_json_set_str(out, v->key, fed_json_new_int(a, sum_of(in, FED_STR(""), v->key)));
        else if (all_say(in, v))
            fed_json_set_str(out, v->key, fed_json_copy(a, v));
    }
}

struct fed_json *fapi_aggregate_custom(struct fed_arena *a, const struct fapi_aggregate_in *in)
{
    const struct fed_json *was = fed_json_find(in->tree, "status");
    bool any = false;
    if (in->n == 1)
        return of_one(a, in, was);
    if (in->n == 0)
        return in->problem.n ? fed_json_object(a) : NULL; /* it is nowhere */
    struct fed_json *whole = fed_json_object(a), *out = fed_json_set(whole, "status", fed_json_object(a));
    for (size_t i = 0; i < in->n; i++) {
        const struct fed_json *theirs = status_of(&in->reports[i]);
        any |= theirs != NULL;
        add_fields(a, in, was, theirs, out);
    }
    if (!any)
        return NULL;
    if (is_anywhere(in, in->custom->status_replicas))
        fapi_custom_set(whole, in->custom->status_replicas,
                        fed_json_new_int(a, sum_of(in, in->custom->status_replicas, FED_STR(""))));
    fed_json_remove(out);
    return out;
}

struct fed_json *fapi_aggregate_shown(struct fed_arena *a, const struct fapi_aggregate_in *in,
                                      const struct fapi_report *r, size_t *room)
{
    const struct fed_json *theirs = in->custom_status && in->n > 1 ? status_of(r) : NULL;
    struct fed_buf b;
    if (!theirs)
        return NULL;
    fed_buf_init(&b, 0);
    fed_json_write(&b, theirs);
    size_t n = fed_buf_str(&b).n;
    fed_buf_release(&b);
    if (n > *room)
        return NULL;
    *room -= n;
    return fed_json_copy(a, theirs);
}
