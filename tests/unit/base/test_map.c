/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "base/heap.h"
#include "base/map.h"

static struct fed_str key_of(int i, char room[16])
{
    return fed_str_n(room, (size_t)snprintf(room, 16, "key%d", i));
}

static void test_basics(void **state)
{
    struct fed_map m = {0};
    int a, b;
    (void)state;
    assert_null(fed_map_find(&m, FED_STR("x")));
    assert_null(fed_map_remove(&m, FED_STR("x")));
    assert_null(fed_map_set(&m, FED_STR("x"), &a));
    assert_ptr_equal(fed_map_set(&m, FED_STR("x"), &b), &a);
    assert_ptr_equal(fed_map_find(&m, FED_STR("x")), &b);
    assert_null(fed_map_set(&m, FED_STR(""), NULL));
    assert_true(fed_map_has(&m, fed_str(NULL)));
    assert_null(fed_map_set(&m, fed_str_n("x\0y", 3), &a)); /* bytes, not C strings */
    assert_int_equal(fed_map_count(&m), 3);
    assert_ptr_equal(fed_map_remove(&m, FED_STR("x")), &b);
    assert_false(fed_map_has(&m, FED_STR("x")));
    fed_map_release(&m);
    assert_int_equal(fed_map_count(&m), 0);
}

/* Against a plain array, over growth, removal and re-insertion. */
static void test_many(void **state)
{
    enum { N = 5000 };
    static bool present[N];
    struct fed_map m = {0};
    char room[16];
    uint64_t x = 12345;
    (void)state;
    for (int round = 0; round < 60000; round++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        int i = (int)(x >> 33) % N;
        if (x >> 63) {
            fed_map_set(&m, key_of(i, room), &present[i]);
            present[i] = true;
        } else {
            void *was = fed_map_remove(&m, key_of(i, room));
            assert_ptr_equal(was, present[i] ? &present[i] : NULL);
            present[i] = false;
        }
    }
    size_t n = 0;
    for (int i = 0; i < N; i++) {
        assert_true(fed_map_has(&m, key_of(i, room)) == present[i]);
        n += present[i];
    }
    assert_int_equal(fed_map_count(&m), n);
    FED_MAP_EACH(e, &m) {
        n--;
        fed_map_remove(&m, e->key); /* the current entry may go */
    }
    assert_int_equal(n, 0);
    assert_int_equal(fed_map_count(&m), 0);
    fed_map_release(&m);
}

static void test_order(void **state)
{
    struct fed_map m = {0};
    char room[16];
    int next = 1;
    (void)state;
    for (int i = 0; i < 100; i++)
        fed_map_set(&m, key_of(i, room), NULL);
    for (int i = 0; i < 100; i += 2)
        fed_map_remove(&m, key_of(i, room));
    FED_MAP_EACH(e, &m) {
        CHECK_TEXT("order", e->key, key_of(next, room).p);
        next += 2;
    }
    assert_int_equal(next, 101);
    fed_map_release(&m);
}

static void test_heap(void **state)
{
    enum { N = 500 };
    static struct fed_heap_node nodes[N];
    struct fed_heap h = {0};
    uint64_t x = 7, last = 0;
    (void)state;
    for (int i = 0; i < N; i++) {
        x = x * 6364136223846793005u + 1;
        fed_heap_put(&h, &nodes[i], x >> 58);
    }
    for (int i = 0; i < N; i += 3)
        fed_heap_remove(&h, &nodes[i]);
    fed_heap_remove(&h, &nodes[0]); /* not inside any more */
    for (int i = 1; i < N; i += 3)
        fed_heap_put(&h, &nodes[i], (uint64_t)(i % 20)); /* moves */
    const struct fed_heap_node *prev = NULL;
    size_t n = 0;
    for (struct fed_heap_node *top; (top = fed_heap_top(&h)); n++) {
        assert_true(top->key >= last);
        assert_true(!prev || prev->key != top->key || prev->seq < top->seq); /* equal keys: first come */
        last = top->key;
        prev = top;
        fed_heap_remove(&h, top);
        assert_int_equal(top->place, 0);
    }
    assert_int_equal(n, N - (N + 2) / 3);
    fed_heap_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
