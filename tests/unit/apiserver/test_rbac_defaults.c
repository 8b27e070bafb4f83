/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of roles and bindings hold to their own rules. */
#include "apiserver/rbac_defaults.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void sorted(const char *role, const char *words)
{
    struct fed_str rest = fed_str(words), one, last = {NULL, 0};
    while (words && rest.n && fed_str_cut(&rest, ',', &one)) {
        if (last.p && fed_str_cmp(last, one) >= 0)
            fail_msg("%s: %s is not in order", role, words);
        last = one;
    }
}

static const struct fed_boot_rule *role_of(const char *name)
{
    for (const struct fed_boot_rule *b = fed_boot_rules; b->verbs || b->groups; b++)
        if (!b->verbs && strcmp(b->groups, name) == 0)
            return b;
    return NULL;
}

static void roles(void **state)
{
    (void)state;
    const char *role = NULL;
    size_t n = 0;
    for (const struct fed_boot_rule *b = fed_boot_rules; b->verbs || b->groups; b++) {
        if (!b->verbs) {
            role = b->groups;
            n++;
            assert_ptr_equal(role_of(role), b); /* once */
            assert_non_null(b[1].verbs);        /* with rules */
            assert_false(b->resources || b->names_or_urls);
            continue;
        }
        assert_non_null(role);
        assert_true(b->resources ? b->groups != NULL : b->names_or_urls && !b->groups);
        sorted(role, b->verbs);
        sorted(role, b->groups);
        sorted(role, b->resources);
        sorted(role, b->names_or_urls);
    }
    assert_true(n > 60);
}

static void bindings(void **state)
{
    (void)state;
    char name[200];
    for (const struct fed_boot_binding *b = fed_boot_bindings; b->name; b++) {
        const char *slash = strchr(b->name, '/');
        int ns = slash ? (int)(slash - b->name) + 1 : 0;
        snprintf(name, sizeof name, "%.*s%s", ns, b->name, b->role);
        if (!role_of(name))
            fail_msg("%s: there is no role %s", b->name, name);
        assert_true(!*b->subjects || strchr(b->subjects, '='));
    }
    for (const struct fed_boot_sum *b = fed_boot_sums; b->name; b++) {
        snprintf(name, sizeof name, "system:aggregate-to-%s", b->name);
        assert_non_null(role_of(name));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(roles), cmocka_unit_test(bindings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
