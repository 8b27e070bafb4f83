/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c: equality and order. Numbers compare by value whatever their kind; lists compare as their schemas say. What is
 * compared inside containers is paid for, one an item. */
#include <math.h>

#include "cel/cel_priv.h"

enum { A_TURN = 8 }; /* entries of a map looked at for one unit */

static bool is_number(const struct fed_cel_value *v)
{
    return v->kind == FED_CEL_INT || v->kind == FED_CEL_UINT || v->kind == FED_CEL_DOUBLE;
}

static int order(bool less, bool greater)
{
    return less ? -1 : greater;
}

/* i against d, exactly. */
static int compare_double_int(double d, int64_t i)
{
    if (d >= 9223372036854775808.0)
        return 1;
    if (d < -9223372036854775808.0)
        return -1;
    if ((int64_t)d != i)
        return order((int64_t)d < i, true);
    return order(d<trunc(d), d> trunc(d));
}

static int compare_double_uint(double d, uint64_t u)
{
    if (d >= 18446744073709551616.0)
        return 1;
    if (d < 0)
        return -1;
    if ((uint64_t)d != u)
        return order((uint64_t)d < u, true);
    return order(d<trunc(d), d> trunc(d));
}

/* NaN was excluded. */
static int compare_numbers(const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    if (a->kind == b->kind && a->kind == FED_CEL_INT)
        return order(a->i<b->i, a->i> b->i);
    if (a->kind == b->kind && a->kind == FED_CEL_UINT)
        return order(a->u<b->u, a->u> b->u);
    if (a->kind == b->kind)
        return order(a->d<b->d, a->d> b->d);
    if (b->kind == FED_CEL_DOUBLE)
        return -compare_numbers(b, a);
    if (a->kind == FED_CEL_DOUBLE)
        return b->kind == FED_CEL_INT ? compare_double_int(a->d, b->i) : compare_double_uint(a->d, b->u);
    if (a->kind == FED_CEL_UINT)
        return -compare_numbers(b, a);
    if (a->i < 0)
        return -1;
    return order((uint64_t)a->i<b->u, (uint64_t)a->i> b->u);
}

static bool is_nan(const struct fed_cel_value *v)
{
    return v->kind == FED_CEL_DOUBLE && isnan(v->d);
}

/* --- containers --- */

static bool equal_in_order(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    struct fed_cel_walk wa = fed_cel_walk(a), wb = fed_cel_walk(b);
    struct fed_cel_value k, x, y;

    while (fed_cel_next(r, &wa, &k, &x) && fed_cel_next(r, &wb, &k, &y))
        if (!fed_cel_pay(r, 1) || !fed_cel_equal(r, &x, &y))
            return false;
    return true;
}

/* Whether the items have the same keys, as the schema's list says. */
static bool same_keys(struct fed_cel_run *r, const struct fed_cel_type *t, const struct fed_cel_value *x,
                      const struct fed_cel_value *y)
{
    for (uint32_t i = 0; i < t->n_list_keys; i++) {
        const struct fed_json *kx = fed_json_find_str(x->of.json, t->list_keys[i]);
        const struct fed_json *ky = fed_json_find_str(y->of.json, t->list_keys[i]);

        if (!fed_cel_pay(r, 1) || !kx != !ky || (kx && !fed_json_equal(kx, ky)))
            return false;
    }
    return true;
}

static const struct fed_cel_type *list_type(const struct fed_cel_value *v)
{
    return v->tree ? v->of.type : fed_cel_plain(FED_CEL_LIST);
}

static bool keyed_alike(struct fed_cel_run *r, const struct fed_cel_type *t, const struct fed_cel_value *x,
                        const struct fed_cel_value *y)
{
    if (t->list == FED_CEL_LIST_KEYED && x->kind == FED_CEL_OBJECT && y->kind == FED_CEL_OBJECT)
        return same_keys(r, t, x, y);
    return fed_cel_equal(r, x, y);
}

/* The item of b that stands for x: most often where x stands. */
static bool find_alike(struct fed_cel_run *r, const struct fed_cel_type *t, const struct fed_cel_value *b,
                       uint32_t hint, const struct fed_cel_value *x, struct fed_cel_value *out)
{
    uint32_t n = fed_cel_size(b);

    for (uint32_t i = 0; i < n && fed_cel_pay(r, 1); i++) {
        fed_cel_at(r, b, (i + hint) % n, out);
        if (keyed_alike(r, t, x, out))
            return !r->stopped;
    }
    return false;
}

static bool equal_without_order(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    const struct fed_cel_type *t = list_type(a)->list ? list_type(a) : list_type(b);
    struct fed_cel_walk w = fed_cel_walk(a);
    struct fed_cel_value k, x, y;

    while (fed_cel_next(r, &w, &k, &x))
        if (!find_alike(r, t, b, w.i - 1, &x, &y) || (t->list == FED_CEL_LIST_KEYED && !fed_cel_equal(r, &x, &y)))
            return false;
    return !r->stopped;
}

static bool equal_maps(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    struct fed_cel_walk w = fed_cel_walk(a);
    struct fed_cel_value k, x, y;

    while (fed_cel_next(r, &w, &k, &x))
        if (!fed_cel_pay(r, 1) || !fed_cel_map_find(r, b, &k, &y) || !fed_cel_equal(r, &x, &y))
            return false;
    return !r->stopped;
}

static const struct fed_cel_field *field_of_key(const struct fed_cel_type *t, struct fed_str key)
{
    const struct fed_cel_field *f = fed_cel_field_find(t, key); /* nearly all are named as their keys are */

    if (f && fed_str_eq(f->key, key))
        return f;
    for (uint32_t i = 0; i < t->n_fields; i++)
        if (fed_str_eq(t->fields[i].key, key))
            return &t->fields[i];
    return NULL;
}

/* Fields that expressions do not see count too. */
static bool equal_objects(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    const struct fed_cel_type *t = a->of.type;
    struct fed_json_index ix = {0};
    bool same = true;

    fed_json_index_build(&ix, b->of.json);
    for (const struct fed_json *m = a->of.json->first; m && same; m = m->next) {
        const struct fed_json *o = fed_json_index_find(&ix, b->of.json, m->key);
        const struct fed_cel_field *f;
        struct fed_cel_value x, y;

        same = o && fed_cel_pay(r, 1);
        if (!same)
            break;
        f = field_of_key(t, m->key);
        if (!f) {
            same = fed_cel_pay(r, (m->end - m->off) / 16) && fed_json_equal(m, o);
            continue;
        }
        fed_cel_from_json(r, m, f->type, &x);
        fed_cel_from_json(r, o, f->type, &y);
        same = fed_cel_equal(r, &x, &y);
    }
    fed_json_index_release(&ix);
    return same;
}

static bool equal_containers(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    if (fed_cel_size(a) != fed_cel_size(b))
        return false;
    if (a->kind == FED_CEL_OBJECT)
        return equal_objects(r, a, b);
    if (a->kind == FED_CEL_MAP)
        return equal_maps(r, a, b);
    if (list_type(a)->list || list_type(b)->list)
        return equal_without_order(r, a, b);
    return equal_in_order(r, a, b);
}

bool fed_cel_equal(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b)
{
    if (is_number(a) && is_number(b))
        return !is_nan(a) && !is_nan(b) && compare_numbers(a, b) == 0;
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case FED_CEL_NULL:
        return true;
    case FED_CEL_BOOL:
        return a->b == b->b;
    case FED_CEL_STRING:
    case FED_CEL_BYTES:
    case FED_CEL_TYPE:
        return a->s.n == b->s.n && fed_cel_pay(r, fed_cel_text_cost(a->s.n)) && fed_str_eq(a->s, b->s);
    case FED_CEL_TIMESTAMP:
        return a->i == b->i && a->nano == b->nano;
    case FED_CEL_DURATION:
    case FED_CEL_FORMAT:
        return a->i == b->i;
    case FED_CEL_LIST:
    case FED_CEL_MAP:
    case FED_CEL_OBJECT:
        return equal_containers(r, a, b);
    case FED_CEL_OPTIONAL:
        return !a->inner == !b->inner && (!a->inner || fed_cel_equal(r, a->inner, b->inner));
    case FED_CEL_QUANTITY:
        return fed_cel_amount_compare(a->amount, b->amount) == 0;
    case FED_CEL_IP:
    case FED_CEL_CIDR:
        return a->net->n == b->net->n && a->net->prefix == b->net->prefix &&
               memcmp(a->net->bytes, b->net->bytes, a->net->n) == 0;
    case FED_CEL_URL:
        return fed_str_eq(a->url->scheme, b->url->scheme) && fed_str_eq(a->url->host, b->url->host) &&
               fed_str_eq(a->url->path, b->url->path) && fed_str_eq(a->url->query, b->url->query);
    default:
        return false;
    }
}

bool fed_cel_compare(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b, int *c)
{
    if (is_nan(a) || is_nan(b))
        return fed_cel_fail(r, "NaN values cannot be ordered");
    if (is_number(a) && is_number(b)) {
        *c = compare_numbers(a, b);
        return true;
    }
    if (a->kind != b->kind)
        return fed_cel_no_overload(r);
    switch (a->kind) {
    case FED_CEL_BOOL:
        *c = order(a->b<b->b, a->b> b->b);
        return true;
    case FED_CEL_STRING:
    case FED_CEL_BYTES:
        *c = fed_str_cmp(a->s, b->s);
        return fed_cel_pay(r, fed_cel_text_cost(FED_MIN(a->s.n, b->s.n)));
    case FED_CEL_TIMESTAMP:
        *c = order(a->i < b->i || (a->i == b->i && a->nano < b->nano),
                   a->i > b->i || (a->i == b->i && a->nano > b->nano));
        return true;
    case FED_CEL_DURATION:
        *c = order(a->i<b->i, a->i> b->i);
        return true;
    default:
        return fed_cel_no_overload(r);
    }
}

bool fed_cel_contains(struct fed_cel_run *r, const struct fed_cel_value *in, const struct fed_cel_value *v)
{
    struct fed_cel_walk w = fed_cel_walk(in);
    struct fed_cel_value k, x;

    while (fed_cel_next(r, &w, &k, &x)) {
        if (!fed_cel_pay(r, 1))
            return false;
        if (fed_cel_equal(r, &x, v))
            return !r->stopped;
    }
    return false;
}

bool fed_cel_map_find(struct fed_cel_run *r, const struct fed_cel_value *map, const struct fed_cel_value *key,
                      struct fed_cel_value *out)
{
    if (map->kind == FED_CEL_OBJECT || map->tree)
        return key->kind == FED_CEL_STRING && fed_cel_member(r, map, key->s, out);
    if (!fed_cel_pay(r, map->map->n / A_TURN))
        return false;
    for (uint32_t i = 0; i < map->map->n; i++)
        if (fed_cel_equal(r, &map->map->keys[i], key)) {
            *out = map->map->values[i];
            return true;
        }
    return false;
}
