/* SPDX-License-Identifier: Apache-2.0 */
#include "control/revisions.h"
#include "tests/unit/trees.h"

static void test_same(void **state)
{
    static const struct {
        const char *x, *y;
        bool want;
    } t[] = {
        {"{'spec':{'a':1}}", "{'spec':{'a':1}}", true},
        {"{'spec':{'a':1}}", "{'spec':{'a':2}}", false},
        {"{'metadata':{'labels':{'app':'x','pod-template-hash':'h'}}}", "{'metadata':{'labels':{'app':'x'}}}", true},
        {"{'metadata':{'labels':{'app':'x'}}}", "{'metadata':{'labels':{'app':'y'}}}", false},
        {"{'metadata':{'creationTimestamp':null},'spec':{'c':[{'n':'a','resources':{}}]}}",
         "{'metadata':{},'spec':{'c':[{'n':'a','env':[]}]}}", true},
        {"{'spec':{'c':[{'n':'a'}]}}", "{'spec':{'c':[]}}", false},
        {"{'spec':{'emptyDir':{}}}", "{'spec':{}}", false}, /* says something */
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_arena a = {0};
        CHECK(t[i].x, fed_template_same(tree_of(&a, t[i].x), tree_of(&a, t[i].y)) == t[i].want);
        CHECK(t[i].x, fed_template_same(tree_of(&a, t[i].y), tree_of(&a, t[i].x)) == t[i].want);
        fed_arena_release(&a);
    }
}

static void test_find(void **state)
{
    struct fed_arena a = {0};
    struct fed_json *one = tree_of(&a, "{'v':1}"), *two = tree_of(&a, "{'v':2}"), *three = tree_of(&a, "{'v':3}");
    int64_t number;
    (void)state;
    struct fed_past list[] = {{one, 1}, {two, 4}};
    assert_int_equal(fed_revision_find(list, 0, one, &number), -1);
    assert_int_equal(number, 1);
    assert_int_equal(fed_revision_find(list, 2, two, &number), 1);
    assert_int_equal(number, 4); /* the newest stays */
    assert_int_equal(fed_revision_find(list, 2, one, &number), 0);
    assert_int_equal(number, 5); /* an old one comes back */
    assert_int_equal(fed_revision_find(list, 2, three, &number), -1);
    assert_int_equal(number, 5);
    struct fed_past unnumbered[] = {{one, 0}};
    assert_int_equal(fed_revision_find(unnumbered, 1, one, &number), 0);
    assert_int_equal(number, 1);
    fed_arena_release(&a);
}

static void test_hash(void **state)
{
    struct fed_arena a = {0};
    char one[11], other[11];
    (void)state;
    fed_template_hash(tree_of(&a, "{'a':1,'b':'x'}"), "", one);
    fed_template_hash(tree_of(&a, "{'b':'x','a':1}"), "", other); /* the order of members says nothing */
    assert_string_equal(one, other);
    fed_template_hash(tree_of(&a, "{'a':1,'b':'x'}"), "/1", other);
    assert_string_not_equal(one, other);
    fed_arena_release(&a);
}

#define DEPLOYMENT                                                                                                     \
    "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'app','namespace':'n','uid':'u','annotations':{"   \
    "'kubernetes.io/change-cause':'why','kubectl.kubernetes.io/last-applied-configuration':'{}',"                      \
    "'deployment.kubernetes.io/revision':'7','own':'x'}},'spec':{'replicas':4,'minReadySeconds':3,"                    \
    "'selector':{'matchLabels':{'app':'a'}},'template':{'metadata':{'labels':{'app':'a','tier':'t'}},"                 \
    "'spec':{'containers':[{'name':'c'}]}}}}"

static bool skip_own(struct fed_str key)
{
    return fed_str_is(key, "own");
}

static void test_annotations(void **state)
{
    static const struct {
        const char *name, *have, *want;
        int64_t revision;
    } t[] = {
        {"a new one", NULL, "'deployment.kubernetes.io/revision':'2'", 2},
        {"its number stays", "{'deployment.kubernetes.io/revision':'2'}", "'deployment.kubernetes.io/revision':'2'", 2},
        {"it comes back", "{'deployment.kubernetes.io/revision':'1'}",
         "'deployment.kubernetes.io/revision':'3','deployment.kubernetes.io/revision-history':'1'", 3},
        {"and once more", "{'deployment.kubernetes.io/revision':'3','deployment.kubernetes.io/revision-history':'1'}",
         "'deployment.kubernetes.io/revision':'5','deployment.kubernetes.io/revision-history':'1,3'", 5},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_arena a = {0};
        struct fed_json *tree = tree_of(&a, DEPLOYMENT);
        struct fed_replicaset_conf conf = {
            .tree = tree, .revision = t[i].revision, .max_replicas = 5, .skips = skip_own};
        struct fed_json *got = fed_replicaset_annotations(&a, &conf, t[i].have ? tree_of(&a, t[i].have) : NULL);
        struct fed_str want =
            fed_arena_printf(&a,
                             "{'kubernetes.io/change-cause':'why',%s,'deployment.kubernetes.io/desired-replicas':'4',"
                             "'deployment.kubernetes.io/max-replicas':'5'}",
                             t[i].want);
        if (!fed_json_equal(got, tree_of(&a, want.p)))
            fail_msg("%s: %s", t[i].name, text_of(&a, got).p);
        fed_arena_release(&a);
    }
}

/* The list of numbers that a set had does not grow for ever. */
static void test_long_history(void **state)
{
    struct fed_arena a = {0};
    struct fed_json *have = NULL;
    struct fed_replicaset_conf conf = {.tree = tree_of(&a, DEPLOYMENT)};
    (void)state;
    for (conf.revision = 1; conf.revision < 3000; conf.revision += 2) {
        struct fed_json *now = fed_replicaset_annotations(&a, &conf, have);
        assert_true(fed_json_find_text(now, FED_REVISION_HISTORY).n <= 2000);
        have = now;
    }
    struct fed_str all = fed_json_find_text(have, FED_REVISION_HISTORY);
    assert_true(all.n > 1900 && fed_str_ends(all, FED_STR(",2997")));
    fed_arena_release(&a);
}

static void test_objects(void **state)
{
    struct fed_arena a = {0};
    struct fed_kobj *owner;
    struct fed_json *tree = tree_of(&a, DEPLOYMENT);
    (void)state;
    assert_int_equal(fed_kobj_from_tree(tree, 1, &owner, NULL), 0);
    struct fed_replicaset_conf conf = {.owner = owner, .tree = tree, .revision = 1, .max_replicas = 5};
    struct fed_json *rs = fed_replicaset_new(&a, &conf, "hash", 2);
    CHECK_TEXT("name", fed_obj_name(rs), "app-hash");
    CHECK_TEXT("namespace", fed_obj_ns(rs), "n");
    CHECK_TEXT("label", fed_obj_label(rs, FED_TEMPLATE_HASH), "hash");
    CHECK_TEXT("the template's labels", fed_obj_label(rs, "tier"), "t");
    CHECK_TEXT("change-cause", fed_obj_annotation(rs, "kubernetes.io/change-cause"), "why");
    struct fed_json *want =
        tree_of(&a, "{'replicas':2,'minReadySeconds':3,'selector':{'matchLabels':{'app':'a',"
                    "'pod-template-hash':'hash'}},'template':{'metadata':{'labels':{'app':'a',"
                    "'tier':'t','pod-template-hash':'hash'}},'spec':{'containers':[{'name':'c'}]}}}");
    assert_true(fed_json_equal(fed_json_find(rs, "spec"), want));
    assert_true(
        fed_template_same(fed_json_at(rs, "spec", "template", NULL), fed_json_at(tree, "spec", "template", NULL)));
    struct fed_json *rev = fed_revision_new(&a, owner, tree, "hash", 3, NULL);
    CHECK_TEXT("revision's name", fed_obj_name(rev), "app-hash");
    CHECK_TEXT("revision's label", fed_obj_label(rev, FED_REVISION_HASH), "hash");
    struct fed_kobj *set;
    assert_int_equal(
        fed_kobj_from_tree(tree_of(&a, "{'apiVersion':'apps/v1','kind':'StatefulSet','metadata':{'name':'s',"
                                       "'namespace':'n','uid':'u'}}"),
                           1, &set, NULL),
        0);
    CHECK_TEXT("a StatefulSet's", fed_obj_label(fed_revision_new(&a, set, tree, "hash", 1, NULL), FED_HISTORY_HASH),
               "hash");
    fed_kobj_unref(set);
    CHECK_TEXT("selected with the pods", fed_obj_label(rev, "app"), "a");
    CHECK_TEXT("its cause", fed_obj_annotation(rev, "kubernetes.io/change-cause"), "why");
    assert_int_equal(fed_json_int(fed_json_find(rev, "revision"), 0), 3);
    CHECK_TEXT("a patch", fed_json_find_text(fed_json_at(rev, "data", "spec", "template", NULL), "$patch"), "replace");
    CHECK_TEXT("as kubectl would write it", fed_json_text(&a, fed_json_find(rev, "data")),
               "{\"spec\":{\"template\":{\"$patch\":\"replace\",\"metadata\":{\"creationTimestamp\":null,\"labels\":"
               "{\"app\":\"a\",\"tier\":\"t\"}},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{}}]}}}}");
    assert_int_equal(fed_json_at(rev, "metadata", "ownerReferences", NULL)->n, 1);
    fed_kobj_unref(owner);
    fed_arena_release(&a);
}

static void test_int_or_percent(void **state)
{
    static const struct {
        const char *json;
        int64_t total;
        bool up;
        int64_t want;
    } t[] = {{"\"25%\"", 10, true, 3}, {"\"25%\"", 10, false, 2}, {"\"25%\"", 1, false, 0},
             {"3", 10, true, 3},       {"-1", 10, true, 0},       {"\"100%\"", 7, false, 7},
             {"\"x%\"", 8, true, 2},   {"null", 8, true, 2},      {"\"0%\"", 8, true, 0}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_arena a = {0};
        struct fed_json *v;
        assert_int_equal(fed_json_parse(&a, fed_str(t[i].json), NULL, &v, NULL), 0);
        assert_int_equal(fed_int_or_percent(v, 25, t[i].total, t[i].up), t[i].want);
        fed_arena_release(&a);
    }
}

static void test_surge(void **state)
{
    static const struct {
        const char *strategy;
        int64_t want;
    } t[] = {{"{}", 1},
             {"{'type':'Recreate'}", 0},
             {"{'rollingUpdate':{'maxSurge':'100%'}}", 4},
             {"{'rollingUpdate':{'maxSurge':2}}", 2}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(t); i++) {
        struct fed_arena a = {0};
        CHECK(t[i].strategy, fed_rollout_surge(tree_of(&a, t[i].strategy), 4) == t[i].want);
        fed_arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same),           cmocka_unit_test(test_find),
                                       cmocka_unit_test(test_hash),           cmocka_unit_test(test_annotations),
                                       cmocka_unit_test(test_long_history),   cmocka_unit_test(test_objects),
                                       cmocka_unit_test(test_int_or_percent), cmocka_unit_test(test_surge)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
