/* SPDX-License-Identifier: Apache-2.0 */
/* core_kinds.h: the kinds of Kubernetes and of the federation for a group of tests, and an arena that lives as long. */
#ifndef TESTS_UNIT_KUBE_CORE_KINDS_H
#define TESTS_UNIT_KUBE_CORE_KINDS_H

#include "kube/schema.h"
#include "tests/unit/trees.h"

static struct fed_kinds *kinds;
static struct fed_arena arena;

static inline int core_kinds_setup(void **state)
{
    struct fed_err err = {0};
    (void)state;
    kinds = fed_kinds_new();
    if (fed_kinds_add_core(kinds, NULL, &err) == 0)
        return 0;
    print_error("%s\n", err.text);
    return -1;
}

static inline int core_kinds_teardown(void **state)
{
    (void)state;
    fed_kinds_free(kinds);
    fed_arena_release(&arena);
    return 0;
}

/* The version that the object names; fails the test when there is none. */
static inline const struct fed_kind_version *version_of(const struct fed_json *obj)
{
    struct fed_str api = fed_json_find_text(obj, "apiVersion"), kind = fed_json_find_text(obj, "kind");
    const struct fed_kind_version *v = fed_kinds_by_kind(kinds, api, kind);
    if (!v)
        fail_msg("%.*s %.*s: no such kind", FED_STR_ARG(api), FED_STR_ARG(kind));
    return v;
}

#endif
