/* SPDX-License-Identifier: Apache-2.0 */
/* The cache against a plain array: random puts and deletes, snapshots that must not change, states rebuilt from the
 * log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "apiserver/cache.h"
#include "kube/schema.h"
#include "support/test_env.h"

#define NAMES  60
#define STEPS  4000
#define KEEP   500
#define STATES 64

struct model {
    uint64_t revs[2][NAMES]; /* 0: absent; of each namespace */
};
struct past {
    struct model m;
    struct fed_node *root;
    uint64_t rev;
};
struct walker {
    const struct model *m;
    size_t n;
    char last[64];
    int ns; /* -1: both */
};

static const char *const spaces[] = {"a", "a-b"};

static bool each(void *ud, struct fed_kobj *o)
{
    struct walker *w = ud;
    char key[64];
    int ns = fed_str_is(o->ns, spaces[0]) ? 0 : 1;
    uint64_t i = 0;
    snprintf(key, sizeof key, "%d/%.*s", ns, FED_STR_ARG(o->name));
    assert_true(strcmp(w->last, key) < 0);
    memcpy(w->last, key, sizeof key);
    assert_int_equal(fed_str_u64(fed_str_from(o->name, 1), &i), 0);
    assert_int_equal(w->m->revs[ns][i - 100], o->rev);
    w->n++;
    return true;
}

static size_t count(const struct model *m, int ns)
{
    size_t n = 0;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < NAMES; i++)
            n += (ns < 0 || s == ns) && m->revs[s][i];
    return n;
}

static void check(const struct model *m, struct fed_node *root)
{
    struct fed_str none = {NULL, 0};
    for (int ns = -1; ns < 2; ns++) {
        struct walker w = {.m = m, .ns = ns};
        fed_tree_walk(root, ns < 0 ? none : fed_str(spaces[ns]), none, none, each, &w);
        assert_int_equal(w.n, count(m, ns));
    }
    assert_int_equal(fed_tree_count(root), count(m, -1));
    size_t after = 0;
    for (int i = 31; i < NAMES; i++)
        after += m->revs[0][i] > 0;
    assert_int_equal(fed_tree_after(root, fed_str(spaces[0]), fed_str(spaces[0]), FED_STR("c130")), after);
    assert_int_equal(fed_tree_after(root, none, fed_str(spaces[0]), FED_STR("c130")), after + count(m, 1));
}

static void apply(struct fed_cache *c, const struct fed_kind *k, int ns, int i, uint64_t rev, bool put)
{
    struct fed_buf key = {0}, value = {0};
    struct fed_arena a = {0};
    char name[16];
    bool logged;
    struct fed_err err = {0};
    snprintf(name, sizeof name, "c%d", 100 + i);
    fed_cache_key(k, fed_str(spaces[ns]), fed_str(name), &key);
    struct store_change ch = {.key = fed_buf_str(&key), .rev = rev};
    if (put) {
        fed_cache_encode(k, fed_obj_new(&a, "v1", "ConfigMap", fed_str(spaces[ns]), fed_str(name)), &value);
        ch.value = fed_blob_new_take(&value);
    }
    assert_int_equal(fed_cache_apply(c, &ch, &logged, &err), 0);
    assert_true(logged);
    fed_blob_unref(ch.value);
    fed_buf_release(&key);
    fed_arena_release(&a);
}

static void random_history(void **state)
{
    (void)state;
    static const char *const names[] = {"/configmaps", NULL};
    static struct past past[STATES];
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_cache c;
    struct model m = {0};
    struct test_env t;
    size_t n_past = 0;
    uint64_t rev = 10;
    test_env_init(&t, 42);
    assert_int_equal(fed_kinds_add_core(kinds, names, NULL), 0);
    const struct fed_kind *k = fed_kinds_at(kinds, 0);
    fed_cache_init(&c, kinds, KEEP, 99);
    fed_cache_loaded(&c, rev);
    struct fed_kcache *kc = fed_cache_kind(&c, k);
    for (int step = 0; step < STEPS; step++) {
        int ns = (int)fed_random_below(&t.env, 2), i = (int)fed_random_below(&t.env, NAMES);
        bool put = !m.revs[ns][i] || fed_random_below(&t.env, 3) > 0;
        apply(&c, k, ns, i, ++rev, put);
        m.revs[ns][i] = put ? rev : 0;
        char name[16];
        snprintf(name, sizeof name, "c%d", 100 + i);
        struct fed_kobj *o = fed_cache_find(kc, fed_str(spaces[ns]), fed_str(name));
        assert_true(put ? o && o->rev == rev : !o);
        if (step % (STEPS / STATES) == 0 && n_past < STATES)
            past[n_past++] = (struct past){m, fed_cache_snapshot(kc), rev};
    }
    check(&m, kc->root);
    for (size_t i = 0; i < n_past; i++) {
        struct fed_node *root = NULL;
        check(&past[i].m, past[i].root); /* snapshots have not changed */
        int rc = fed_cache_snapshot_at(kc, past[i].rev, &root);
        assert_int_equal(rc, past[i].rev < c.floor ? FED_E_EXPIRED : 0);
        if (rc == 0)
            check(&past[i].m, root);
        fed_tree_unref(root);
        fed_tree_unref(past[i].root);
    }
    uint64_t seq;
    assert_int_equal(c.next_seq - c.first_seq, KEEP);
    assert_int_equal(fed_cache_seq_after(&c, rev, &seq), 0);
    assert_int_equal(seq, c.next_seq);
    assert_int_equal(fed_cache_seq_after(&c, rev - 1, &seq), 0);
    assert_int_equal(fed_cache_change(&c, seq)->rev, rev);
    assert_int_equal(fed_cache_seq_after(&c, rev - KEEP - 1, &seq), FED_E_EXPIRED);
    fed_cache_release(&c);
    fed_kinds_free(kinds);
    test_env_release(&t);
}

/* An object that was stored before a default, or in another version, has today's defaults when it is read. */
static void defaults_on_read(void **state)
{
    (void)state;
    static const char *const names[] = {"/secrets", "apps/deployments", NULL};
    static const struct {
        const char *key, *value, *has, *lacks;
    } rows[] = {
        {"/registry/secrets/a/s", "json v1 -\n{\"metadata\":{\"namespace\":\"a\",\"name\":\"s\"}}",
         "\"type\":\"Opaque\"", "nothing"},
        {"/registry/apps/deployments/a/d",
         "json apps/v1 - 00000000\n{\"metadata\":{\"namespace\":\"a\",\"name\":\"d\"},\"spec\":{\"replicas\":5}}",
         "\"revisionHistoryLimit\":10", "\"replicas\":1"},
        {"/registry/apps/deployments/a/e",
         "json apps/v1beta1 -\n{\"metadata\":{\"namespace\":\"a\",\"name\":\"e\"},\"spec\":{}}",
         "\"revisionHistoryLimit\":2", "nothing"},
    };
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_cache c;
    assert_int_equal(fed_kinds_add_core(kinds, names, NULL), 0);
    fed_cache_init(&c, kinds, KEEP, 1);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct store_change ch = {
            .key = fed_str(rows[i].key), .value = fed_blob_new(fed_str(rows[i].value)), .rev = i + 1};
        assert_int_equal(fed_cache_load(&c, &ch, NULL), 0);
        struct fed_str ns, name, json;
        struct fed_kcache *kc = fed_cache_of_key(&c, ch.key, &ns, &name);
        json = fed_cache_find(kc, ns, name)->json;
        assert_true(fed_str_find(json, fed_str(rows[i].has), 0) >= 0);
        assert_true(fed_str_find(json, fed_str(rows[i].lacks), 0) < 0);
        /* What is stored under today's name of the defaults is taken as it is. */
        struct fed_buf value = {0};
        fed_buf_addf(&value, "json %s - %.*s\n%s", i ? "apps/v1" : "v1", FED_STR_ARG(fed_kind_defaults_id(kc->kind)),
                     strchr(rows[i].value, '\n') + 1);
        struct store_change again = {.key = ch.key, .value = fed_blob_new_take(&value), .rev = i + 9};
        assert_int_equal(fed_cache_load(&c, &again, NULL), 0);
        json = fed_cache_find(kc, ns, name)->json;
        assert_true(fed_str_find(json, fed_str(rows[i].has), 0) < 0);
        fed_blob_unref(ch.value);
        fed_blob_unref(again.value);
    }
    assert_int_equal(fed_kind_defaults_id(fed_kinds_at(kinds, 0)).n, FED_DEFAULTS_ID - 1);
    fed_cache_release(&c);
    fed_kinds_free(kinds);
}

static void damaged(void **state)
{
    (void)state;
    static const char *const names[] = {"/configmaps", NULL};
    static const char *const bad[] = {"",
                                      "json v1 -\n",
                                      "json v1 -\n{}",
                                      "json v1 -\n[1]",
                                      "zip v1 -\n{}",
                                      "json v1 k\n{}",
                                      "json v9 -\n{\"metadata\":{\"name\":\"a\"}}",
                                      "json v1 -\n{\"metadata\":{\"name\":1}}"};
    struct fed_kinds *kinds = fed_kinds_new();
    struct fed_cache c;
    assert_int_equal(fed_kinds_add_core(kinds, names, NULL), 0);
    fed_cache_init(&c, kinds, KEEP, 1);
    for (size_t i = 0; i < FED_ARRAY_LEN(bad); i++) {
        struct fed_err err = {0};
        struct store_change ch = {
            .key = FED_STR("/registry/core/configmaps/a/b"), .value = fed_blob_new(fed_str(bad[i])), .rev = 5};
        struct fed_buf key = {0};
        fed_cache_key(fed_kinds_at(kinds, 0), FED_STR("a"), FED_STR("b"), &key);
        ch.key = fed_buf_str(&key);
        if (fed_cache_load(&c, &ch, &err) != FED_E_CORRUPT)
            fail_msg("'%s' was taken", bad[i]);
        fed_buf_release(&key);
        fed_blob_unref(ch.value);
    }
    struct store_change other = {
        .key = FED_STR("/registry/nothing/a"), .value = fed_blob_new(FED_STR("json v1 -\n{}")), .rev = 6};
    assert_int_equal(fed_cache_load(&c, &other, NULL), 0);
    fed_blob_unref(other.value);
    assert_int_equal(fed_map_count(&c.orphans), 1);
    fed_cache_release(&c);
    fed_kinds_free(kinds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_history), cmocka_unit_test(defaults_on_read),
                                       cmocka_unit_test(damaged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
