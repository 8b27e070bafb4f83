/* SPDX-License-Identifier: Apache-2.0 */
/* What the quick pass over an object accepts, the parser accepts too, and both see the same metadata. */
#include <stdint.h>

#include "kube/obj.h"
#include "kube/obj_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_map(const struct fed_kv *kv, size_t n, const struct fed_json *map)
{
    for (size_t i = 0; i < n; i++) {
        const struct fed_json *v = fed_json_find_str(map, kv[i].key);
        FED_REQUIRE(v);
        bool last = true; /* of those with this name */
        for (size_t k = i + 1; k < n; k++)
            last = last && !fed_str_eq(kv[k].key, kv[i].key);
        FED_REQUIRE(!last || v->type != FED_JSON_STRING || fed_str_eq(v->s, kv[i].value));
    }
}

static void check(const struct fed_kobj *o)
{
    struct fed_arena a = {0};
    struct fed_json *tree = NULL;
    const struct fed_json_limits limits = {.max_bytes = SIZE_MAX / 2, .max_depth = 200, .max_nodes = UINT32_MAX};
    FED_REQUIRE(fed_json_parse(&a, o->json, &limits, &tree, NULL) == 0);
    const struct fed_json *meta = fed_json_find(tree, "metadata");
    FED_REQUIRE(fed_str_eq(o->name, fed_obj_name(tree)));
    FED_REQUIRE(fed_str_eq(o->ns, fed_obj_ns(tree)));
    FED_REQUIRE(fed_str_eq(o->uid, fed_obj_uid(tree)));
    FED_REQUIRE(o->deleting == (fed_json_find_text(meta, "deletionTimestamp").p != NULL));
    check_map(o->labels, o->n_labels, fed_json_find(meta, "labels"));
    check_map(o->annotations, o->n_annotations, fed_json_find(meta, "annotations"));
    fed_arena_release(&a);
}

static int walk(void *ud, struct fed_str key, struct fed_str value)
{
    *(size_t *)ud += key.n + value.n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    struct fed_kobj *o, *at;
    size_t seen = 0;
    struct fed_err err;
    if (fed_kobj_new(text, FED_STR("v1"), FED_STR("Kind"), &o, &err) == 0) {
        check(o);
        FED_REQUIRE(fed_kobj_new_at(o->json, 77, &at, NULL) == 0 && at->rev == 77);
        check(at);
        fed_kobj_unref(at);
        fed_kobj_unref(o);
    }
    if (fed_json_walk(text, walk, &seen, NULL) == 0)
        FED_REQUIRE(seen <= size);
    return 0;
}
