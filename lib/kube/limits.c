/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/limits.h"

#include "kube/amounts.h"
#include "kube/podspec.h"
#include "kube/quantity.h"

static bool is_quantity(const struct fed_json *v)
{
    return v && (v->type == FED_JSON_STRING || v->type == FED_JSON_NUMBER);
}

static int64_t milli_of(const struct fed_json *v)
{
    int64_t n = 0;
    return is_quantity(v) && fed_quantity_milli(v->s, &n) == 0 ? n : 0;
}

/* --- defaults --- */

/* Copies what `from` has and `to` lacks; the names taken, sorted, end up in `names`. */
static void fill(struct fed_arena *a, struct fed_json *to, const struct fed_json *from, struct fed_json *names)
{
    if (!to || !from || from->type != FED_JSON_OBJECT)
        return;
    FED_JSON_EACH(m, from) {
        if (fed_json_find_str(to, m->key))
            continue;
        fed_json_set_str(to, m->key, fed_json_copy(a, m));
        struct fed_json *before = names ? names->first : NULL;
        while (before && fed_str_cmp(before->s, m->key) < 0)
            before = before->next;
        if (names)
            fed_json_insert(names, before, fed_json_new_str(a, m->key));
    }
}

static void note(struct fed_arena *a, struct fed_json *notes, const struct fed_json *names, const char *what,
                 const char *prefix, struct fed_str container)
{
    struct fed_buf b = {0};
    if (!names->n)
        return;
    FED_JSON_EACH(n, names)
        fed_buf_addf(&b, "%s%.*s", n == names->first ? "" : ", ", FED_STR_ARG(n->s));
    fed_buf_addf(&b, " %s for %s %.*s", what, prefix, FED_STR_ARG(container));
    fed_json_push(notes, fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&b))));
    fed_buf_release(&b);
}

static void default_container(struct fed_arena *a, const struct fed_json *item, struct fed_json *c, const char *prefix,
                              struct fed_json *notes)
{
    struct fed_json *res = fed_json_ensure_object(a, c, "resources");
    struct fed_json *limits = fed_json_ensure_object(a, res, "limits");
    struct fed_json *requests = fed_json_ensure_object(a, res, "requests");
    struct fed_json *r = fed_json_array(a), *l = fed_json_array(a);
    if (!limits || !requests)
        return;
    fill(a, requests, limits, NULL); /* a limit of the container's own is its request too, before any default */
    fill(a, requests, fed_json_find(item, "defaultRequest"), r);
    fill(a, limits, fed_json_find(item, "default"), l);
    note(a, notes, r, "request", prefix, fed_json_find_text(c, "name"));
    note(a, notes, l, "limit", prefix, fed_json_find_text(c, "name"));
    if (!limits->n)
        fed_json_remove(limits);
    if (!requests->n)
        fed_json_remove(requests);
}

void fed_limits_default(struct fed_arena *a, const struct fed_json *range, struct fed_json *pod)
{
    struct fed_json *spec = fed_json_find(pod, "spec"), *notes = fed_json_array(a);
    FED_JSON_EACH(item, fed_json_at(range, "spec", "limits", NULL)) {
        if (!fed_str_is(fed_json_find_text(item, "type"), "Container") ||
            (!fed_json_find(item, "default") && !fed_json_find(item, "defaultRequest")))
            continue;
        FED_JSON_EACH(c, fed_json_find(spec, "containers"))
            default_container(a, item, c, "container", notes);
        FED_JSON_EACH(c, fed_json_find(spec, "initContainers"))
            default_container(a, item, c, "init container", notes);
    }
    if (!notes->n)
        return;
    struct fed_buf b = {0};
    fed_buf_addz(&b, "LimitRanger plugin set: ");
    FED_JSON_EACH(n, notes)
        fed_buf_addf(&b, "%s%.*s", n == notes->first ? "" : "; ", FED_STR_ARG(n->s));
    fed_obj_set_annotation(a, pod, "kubernetes.io/limit-ranger", fed_arena_dup(a, fed_buf_str(&b)));
    fed_buf_release(&b);
}

/* --- refusals --- */

struct check { /* one item of a range against what one container, pod or claim has */
    struct fed_arena *a;
    const struct fed_json *item;
    struct fed_str type;
    const struct fed_amounts *requests, *limits;
    struct fed_json *wrong;
};

static struct fed_str shown(struct check *k, const struct fed_amount *v)
{
    struct fed_buf b = {0};
    fed_amount_format(&b, v->name, v->milli);
    struct fed_str s = fed_arena_dup(k->a, fed_buf_str(&b));
    fed_buf_release(&b);
    return s;
}

static void wrong(struct check *k, const char *side, const struct fed_json *bound, const char *what,
                  const struct fed_amount *v)
{
    struct fed_str text =
        v ? fed_arena_printf(k->a, "%s %.*s usage per %.*s is %.*s, but %s is %.*s", side, FED_STR_ARG(bound->key),
                             FED_STR_ARG(k->type), FED_STR_ARG(bound->s), what, FED_STR_ARG(shown(k, v)))
          : fed_arena_printf(k->a, "%s %.*s usage per %.*s is %.*s.  No %s is specified", side, FED_STR_ARG(bound->key),
                             FED_STR_ARG(k->type), FED_STR_ARG(bound->s), what);
    fed_json_push(k->wrong, fed_json_new_str(k->a, text));
}

static void check_min(struct check *k, const struct fed_json *bound)
{
    const struct fed_amount *r = fed_amounts_find(k->requests, bound->key),
                            *l = fed_amounts_find(k->limits, bound->key);
    int64_t min = milli_of(bound);
    if (!r)
        wrong(k, "minimum", bound, "request", NULL);
    else if (r->milli < min)
        wrong(k, "minimum", bound, "request", r);
    else if (l && l->milli < min)
        wrong(k, "minimum", bound, "limit", l);
}

static void check_max(struct check *k, const struct fed_json *bound)
{
    const struct fed_amount *r = fed_amounts_find(k->requests, bound->key),
                            *l = fed_amounts_find(k->limits, bound->key);
    int64_t max = milli_of(bound);
    if (fed_str_is(k->type, "PersistentVolumeClaim")) { /* claims have requests only */
        if (!r || r->milli > max)
            wrong(k, "maximum", bound, "request", r);
    } else if (!l) {
        wrong(k, "maximum", bound, "limit", NULL);
    } else if (l->milli > max) {
        wrong(k, "maximum", bound, "limit", l);
    } else if (r && r->milli > max) {
        wrong(k, "maximum", bound, "request", r);
    }
}

static void check_ratio(struct check *k, const struct fed_json *bound)
{
    const struct fed_amount *r = fed_amounts_find(k->requests, bound->key),
                            *l = fed_amounts_find(k->limits, bound->key);
    struct fed_str head = fed_arena_printf(k->a, "%.*s max limit to request ratio per %.*s is %.*s",
                                           FED_STR_ARG(bound->key), FED_STR_ARG(k->type), FED_STR_ARG(bound->s)),
                   text = {NULL, 0};
    if (!r || !r->milli)
        text = fed_arena_printf(k->a, "%.*s, but no request is specified or request is 0", FED_STR_ARG(head));
    else if (!l || !l->milli)
        text = fed_arena_printf(k->a, "%.*s, but no limit is specified or limit is 0", FED_STR_ARG(head));
    else if ((double)l->milli / (double)r->milli * 1000 > (double)milli_of(bound))
        text = fed_arena_printf(k->a, "%.*s, but provided ratio is %f", FED_STR_ARG(head),
                                (double)l->milli / (double)r->milli);
    if (text.n)
        fed_json_push(k->wrong, fed_json_new_str(k->a, text));
}

static void check_item(struct check *k)
{
    FED_JSON_EACH(m, fed_json_find(k->item, "min"))
        if (is_quantity(m))
            check_min(k, m);
    FED_JSON_EACH(m, fed_json_find(k->item, "max"))
        if (is_quantity(m))
            check_max(k, m);
    FED_JSON_EACH(m, fed_json_find(k->item, "maxLimitRequestRatio"))
        if (is_quantity(m))
            check_ratio(k, m);
}

static void check_resources(struct check *k, const struct fed_json *res)
{
    struct fed_amounts r = {.arena = k->a}, l = {.arena = k->a};
    fed_amounts_add_map(&l, fed_json_find(res, "limits"));
    fed_amounts_add_map(&r, fed_json_find(res, "requests"));
    for (size_t i = 0; i < l.n; i++) /* what a limit alone means for the request */
        if (!fed_amounts_find(&r, l.items[i].name))
            fed_amounts_add(&r, l.items[i].name, l.items[i].milli);
    k->requests = &r;
    k->limits = &l;
    check_item(k);
}

static void check_whole_pod(struct check *k, const struct fed_json *spec)
{
    struct fed_amounts r = {.arena = k->a}, l = {.arena = k->a};
    fed_amounts_add_pod(&r, spec, "requests");
    fed_amounts_add_pod(&l, spec, "limits");
    k->requests = &r;
    k->limits = &l;
    check_item(k);
}

void fed_limits_check(struct fed_arena *a, const struct fed_json *range, const struct fed_json *obj, bool is_pod,
                      struct fed_json *out)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    FED_JSON_EACH(item, fed_json_at(range, "spec", "limits", NULL)) {
        struct check k = {.a = a, .item = item, .type = fed_json_find_text(item, "type"), .wrong = out};
        if (is_pod && fed_str_is(k.type, "Container")) {
            FED_JSON_EACH(c, fed_json_find(spec, "containers"))
                check_resources(&k, fed_json_find(c, "resources"));
            FED_JSON_EACH(c, fed_json_find(spec, "initContainers"))
                check_resources(&k, fed_json_find(c, "resources"));
        } else if (is_pod && fed_str_is(k.type, "Pod")) {
            check_whole_pod(&k, spec);
        } else if (!is_pod && fed_str_is(k.type, "PersistentVolumeClaim")) {
            check_resources(&k, fed_json_find(spec, "resources"));
        }
    }
}

struct fed_str fed_limits_join(struct fed_arena *a, const struct fed_json *list)
{
    struct fed_buf b = {0};
    if (list->n > 1)
        fed_buf_addc(&b, '[');
    FED_JSON_EACH(w, list)
        fed_buf_addf(&b, "%s%.*s", w == list->first ? "" : ", ", FED_STR_ARG(w->s));
    if (list->n > 1)
        fed_buf_addc(&b, ']');
    struct fed_str s = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return s;
}

/* --- the kind itself --- */

int fed_limits_fill(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_arena *a = w->arena;
    (void)ud;
    (void)err;
    FED_JSON_EACH(item, fed_json_at(obj, "spec", "limits", NULL)) {
        if (!fed_str_is(fed_json_find_text(item, "type"), "Container"))
            continue;
        struct fed_json *limit = fed_json_ensure_object(a, item, "default");
        struct fed_json *request = fed_json_ensure_object(a, item, "defaultRequest");
        fill(a, limit, fed_json_find(item, "max"), NULL);
        fill(a, request, limit, NULL);
        fill(a, request, fed_json_find(item, "min"), NULL);
        if (limit && !limit->n)
            fed_json_remove(limit);
        if (request && !request->n)
            fed_json_remove(request);
    }
    return 0;
}

struct order { /* of two amounts, and where it is told, with whose value */
    const char *low, *high, *at, *shown, *low_text, *high_text;
};

static void check_order(const struct fed_json *item, uint32_t i, const struct order *o, struct fed_causes *c)
{
    const struct fed_json *top = fed_json_find(item, o->high);
    FED_JSON_EACH(m, fed_json_find(item, o->low)) {
        const struct fed_json *t = fed_json_find_str(top, m->key), *shown;
        if (!t || milli_of(m) <= milli_of(t))
            continue;
        shown = strcmp(o->shown, o->low) == 0 ? m : t;
        fed_causes_add(c, FED_CAUSE_INVALID,
                       fed_arena_printf(c->arena, "spec.limits[%u].%s[%.*s]", i, o->at, FED_STR_ARG(m->key)),
                       fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(shown->s)),
                       "%s value %.*s is greater than %s value %.*s", o->low_text, FED_STR_ARG(m->s), o->high_text,
                       FED_STR_ARG(t->s));
    }
}

static void check_orders(const struct fed_json *item, uint32_t i, struct fed_causes *c)
{
    static const struct order orders[] = {
        {"min", "max", "min", "min", "min", "max"},
        {"min", "defaultRequest", "defaultRequest", "defaultRequest", "min", "default request"},
        {"defaultRequest", "max", "defaultRequest", "defaultRequest", "default request", "max"},
        {"defaultRequest", "default", "defaultRequest", "defaultRequest", "default request", "default limit"},
        {"min", "default", "default", "min", "min", "default"},
        {"default", "max", "default", "max", "default", "max"},
    };
    for (size_t k = 0; k < FED_ARRAY_LEN(orders); k++)
        check_order(item, i, &orders[k], c);
}

static void check_ratios(const struct fed_json *item, uint32_t i, struct fed_causes *c)
{
    FED_JSON_EACH(m, fed_json_find(item, "maxLimitRequestRatio")) {
        const struct fed_json *min = fed_json_find_str(fed_json_find(item, "min"), m->key);
        const struct fed_json *max = fed_json_find_str(fed_json_find(item, "max"), m->key);
        double most = min && max && milli_of(min) > 0 ? (double)milli_of(max) / (double)milli_of(min) : 0;
        struct fed_str at =
            fed_arena_printf(c->arena, "spec.limits[%u].maxLimitRequestRatio[%.*s]", i, FED_STR_ARG(m->key));
        struct fed_str shown = fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(m->s));
        if (milli_of(m) < 1000)
            fed_causes_add(c, FED_CAUSE_INVALID, at, shown, "ratio %.*s is less than 1", FED_STR_ARG(m->s));
        if (most > 0 && (double)milli_of(m) / 1000 > most)
            fed_causes_add(c, FED_CAUSE_INVALID, at, shown, "ratio %.*s is greater than max/min = %f",
                           FED_STR_ARG(m->s), most);
    }
}

static void check_type(const struct fed_json *item, uint32_t i, struct fed_causes *c)
{
    static const char *const known[] = {"Pod", "Container", "PersistentVolumeClaim"};
    struct fed_str type = fed_json_find_text(item, "type"), at = fed_arena_printf(c->arena, "spec.limits[%u].type", i);
    bool ok = fed_str_chr(type, '/', 0) >= 0;
    for (size_t k = 0; k < FED_ARRAY_LEN(known); k++)
        ok |= fed_str_is(type, known[k]);
    if (!ok)
        fed_causes_add(c, FED_CAUSE_INVALID, at, fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(type)),
                       "must be a standard limit type or fully qualified");
    for (const struct fed_json *other = item->prev; other; other = other->prev)
        if (fed_str_eq(fed_json_find_text(other, "type"), type)) {
            fed_causes_add(c, FED_CAUSE_DUPLICATE, at, fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(type)), "%s",
                           "");
            return;
        }
}

static void check_names(const struct fed_json *item, uint32_t i, struct fed_causes *c)
{
    static const char *const maps[] = {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"};
    struct fed_str type = fed_json_find_text(item, "type");
    if (!fed_str_is(type, "Pod") && !fed_str_is(type, "Container"))
        return;
    for (size_t k = 0; k < FED_ARRAY_LEN(maps); k++)
        FED_JSON_EACH(m, fed_json_find(item, maps[k]))
            fed_podspec_check_amount_name(
                m->key, fed_arena_printf(c->arena, "spec.limits[%u].%s[%.*s]", i, maps[k], FED_STR_ARG(m->key)).p, c);
}

void fed_limits_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const struct fed_str none = {NULL, 0};
    uint32_t i = 0;
    (void)ud;
    (void)w;
    FED_JSON_EACH(item, fed_json_at(obj, "spec", "limits", NULL)) {
        struct fed_str type = fed_json_find_text(item, "type");
        static const char *const containers_only[] = {"default", "defaultRequest"};
        check_names(item, i, c);
        for (size_t k = 0; k < FED_ARRAY_LEN(containers_only); k++) {
            const struct fed_json *m = fed_json_find(item, containers_only[k]);
            if (fed_str_is(type, "Pod") && m && m->n)
                fed_causes_add(c, FED_CAUSE_FORBIDDEN,
                               fed_arena_printf(c->arena, "spec.limits[%u].%s", i, containers_only[k]), none,
                               "may not be specified when `type` is 'Pod'");
        }
        if (fed_str_is(type, "PersistentVolumeClaim") && !fed_json_at(item, "min", "storage", NULL) &&
            !fed_json_at(item, "max", "storage", NULL))
            fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "spec.limits[%u].limits", i), none,
                           "either minimum or maximum storage value is required, but neither was provided");
        check_type(item, i, c);
        check_orders(item, i, c);
        check_ratios(item, i, c);
        i++;
    }
}
