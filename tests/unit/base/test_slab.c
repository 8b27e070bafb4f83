/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "base/mem.h"
#include "base/slab.h"

enum { PIECES = 4000, STEPS = 60000 };

struct piece {
    unsigned char *p;
    size_t n;
    unsigned char mark;
};

/* A small generator of our own: the same run each time. */
static uint64_t next(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return *s >> 33;
}

static void check(const struct piece *k)
{
    for (size_t i = 0; i < k->n; i++)
        assert_int_equal(k->p[i], k->mark);
}

/* False: pieces of this size are not given. */
static bool fill(struct piece *k, size_t n, unsigned char mark)
{
    *k = (struct piece){fed_slab_alloc(n), n, mark};
    if (!k->p)
        return false;
    assert_int_equal((uintptr_t)k->p % 16, 0);
    memset(k->p, mark, n);
    return true;
}

/* Pieces of all sizes come and go: none overlaps another, and a trim takes nothing away. */
static void test_pieces_are_apart(void **state)
{
    struct piece *pieces = fed_calloc(PIECES, sizeof(*pieces));
    uint64_t seed = 7;
    (void)state;
    for (int i = 0; i < STEPS; i++) {
        struct piece *k = &pieces[next(&seed) % PIECES];
        if (k->p) {
            check(k);
            fed_slab_free(k->p);
            k->p = NULL;
        } else if (!fill(k, next(&seed) % 8000, (unsigned char)i)) {
            break; /* sanitizers have the heap instead */
        }
        if (i % 10000 == 0)
            fed_slab_trim();
    }
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].p) {
            check(&pieces[i]);
            fed_slab_free(pieces[i].p);
        }
    free(pieces);
}

static void test_limits(void **state)
{
    (void)state;
    assert_null(fed_slab_alloc(8001));
    void *p = fed_slab_alloc(1000), *again;
    if (!p)
        return;
    fed_slab_free(p);
    again = fed_slab_alloc(1000);
    assert_ptr_equal(again, p); /* what was given back goes first */
    fed_slab_free(again);
    p = fed_slab_alloc(0);
    assert_non_null(p);
    fed_slab_free(p);
}

/* What one size leaves is there for another. */
static void test_empty_slabs_change_their_size(void **state)
{
    static struct piece pieces[1000];
    uintptr_t lo = UINTPTR_MAX, hi = 0;
    (void)state;
    for (size_t turn = 0; turn < 40; turn++) {
        for (size_t i = 0; i < FED_ARRAY_LEN(pieces); i++) {
            if (!fill(&pieces[i], 300 + turn * 97, (unsigned char)turn))
                return;
            lo = FED_MIN(lo, (uintptr_t)pieces[i].p);
            hi = FED_MAX(hi, (uintptr_t)pieces[i].p);
        }
        for (size_t i = 0; i < FED_ARRAY_LEN(pieces); i++) {
            check(&pieces[i]);
            fed_slab_free(pieces[i].p);
        }
    }
    /* The largest turn takes 4 MiB; all together would take 90. */
    assert_true(hi - lo < 16u << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_apart),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_empty_slabs_change_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
