/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/obj.h"

static const char full[] =
    " {\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u1\","
    "\"resourceVersion\":\"42\",\"generation\":7,\"deletionTimestamp\":\"2026-01-01T00:00:00Z\","
    "\"labels\":{\"app\":\"web\",\"x\":\"y\"},\"annotations\":{\"j\":\"{\\\"a\\\":\\u003c\\ud83d\\ude00}\",\"k\":\"\"},"
    "\"finalizers\":[\"f1\",\"f2\"],\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\","
    "\"name\":\"rs\",\"uid\":\"u2\",\"controller\":true},{\"kind\":\"X\",\"blockOwnerDeletion\":true}]},"
    "\"spec\":{\"list\":[1,2.5e3,-0,true,null,\"\\n\",{}]}} ";

static void index_of_a_full_object(void **state)
{
    (void)state;
    struct fed_kobj *o;
    struct fed_err err;
    assert_int_equal(fed_kobj_new(fed_str(full), FED_STR(""), FED_STR(""), &o, &err), 0);
    assert_int_equal(o->rev, 42);
    assert_int_equal(o->generation, 7);
    assert_true(o->deleting);
    assert_true(fed_str_is(o->kind, "Pod") && fed_str_is(o->name, "a") && fed_str_is(o->ns, "n"));
    assert_true(fed_str_is(fed_kobj_label(o, "x"), "y"));
    assert_true(fed_str_is(fed_kobj_annotation(o, "j"), "{\"a\":<\xf0\x9f\x98\x80}"));
    assert_non_null(fed_kobj_annotation(o, "k").p);
    assert_null(fed_kobj_annotation(o, "none").p);
    assert_true(fed_kobj_has_finalizer(o, "f2"));
    assert_false(fed_kobj_has_finalizer(o, "f"));
    assert_int_equal(o->n_owners, 2);
    assert_true(fed_str_is(fed_kobj_controller(o)->uid, "u2"));
    assert_true(o->owners[1].block_deletion && !o->owners[1].controller);
    assert_true(o->json.p[0] == '{' && o->json.p[o->json.n - 1] == '}');
    /* the index points into the object, not into the caller's text */
    assert_true(o->name.p > o->json.p && o->name.p < o->json.p + o->json.n);
    struct fed_arena a = {0};
    struct fed_json *tree = fed_kobj_parse(o, &a);
    fed_kobj_unref(o);
    assert_true(fed_str_is(fed_obj_name(tree), "a"));
    assert_true(fed_str_is(fed_obj_annotation(tree, "j"), "{\"a\":<\xf0\x9f\x98\x80}"));
    fed_arena_release(&a);
}

static void types_and_revisions_are_spliced(void **state)
{
    (void)state;
    struct fed_kobj *o;
    assert_int_equal(fed_kobj_new(FED_STR("{\"metadata\":{\"name\":\"a\",\"labels\":{\"k\":\"v\"}},\"data\":{}}"),
                                  FED_STR("apps/v1"), FED_STR("Deployment"), &o, NULL),
                     0);
    assert_true(fed_str_is(o->json, "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"a\","
                                    "\"labels\":{\"k\":\"v\"}},\"data\":{}}"));
    assert_true(fed_str_is(o->kind, "Deployment") && fed_str_is(o->api_version, "apps/v1"));
    assert_true(fed_str_is(o->name, "a") && fed_str_is(fed_kobj_label(o, "k"), "v"));
    fed_kobj_unref(o);
    assert_int_equal(
        fed_kobj_new(FED_STR("{\"kind\":\"K\",\"metadata\":{\"name\":\"a\"}}"), FED_STR("v1"), FED_STR("Z"), &o, NULL),
        0);
    assert_true(fed_str_is(o->json, "{\"apiVersion\":\"v1\",\"kind\":\"K\",\"metadata\":{\"name\":\"a\"}}"));
    assert_true(fed_str_is(o->kind, "K") && fed_str_is(o->api_version, "v1"));
    fed_kobj_unref(o);
    assert_int_equal(
        fed_kobj_new_at(FED_STR("{\"metadata\":{\"resourceVersion\":\"5\",\"name\":\"a\"}}"), 123, &o, NULL), 0);
    assert_true(fed_str_is(o->json, "{\"metadata\":{\"resourceVersion\":\"123\",\"name\":\"a\"}}"));
    assert_int_equal(o->rev, 123);
    assert_true(fed_str_is(o->name, "a"));
    fed_kobj_unref(o);
    assert_int_equal(fed_kobj_new_at(FED_STR("{\"kind\":\"a\",\"metadata\":{\"name\":\"b\"}}"), 9, &o, NULL), 0);
    assert_true(fed_str_is(o->json, "{\"kind\":\"a\",\"metadata\":{\"resourceVersion\":\"9\",\"name\":\"b\"}}"));
    assert_true(fed_str_is(o->name, "b") && fed_str_is(o->kind, "a"));
    fed_kobj_unref(o);
}

static void damaged_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", FED_E_SYNTAX},
        {"[]", FED_E_SYNTAX},
        {"{", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"}}x", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\",}}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":01}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":\"\\ud800\"}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":\"\xc0\x80\"}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":\"\n\"}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":[1 2]}", FED_E_SYNTAX},
        {"{\"metadata\":{\"name\":\"a\"},\"x\":tru}", FED_E_SYNTAX},
        {"{}", FED_E_INVALID},
        {"{\"metadata\":{}}", FED_E_INVALID},
        {"{\"metadata\":{\"name\":3}}", FED_E_INVALID},
        {"{\"metadata\":{\"name\":\"\"}}", FED_E_INVALID},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_kobj *o;
        struct fed_err err = {0};
        int code = fed_kobj_new(fed_str(cases[i].text), FED_STR(""), FED_STR(""), &o, &err);
        if (code != cases[i].code || o)
            fail_msg("%s: got %s", cases[i].text, fed_code_name(code));
        assert_true(err.text[0]);
    }
    struct fed_buf deep = {0};
    fed_buf_addz(&deep, "{\"metadata\":{\"name\":\"a\"},\"x\":");
    for (int i = 0; i < 200; i++)
        fed_buf_addc(&deep, '[');
    struct fed_kobj *o;
    assert_int_equal(fed_kobj_new(fed_buf_str(&deep), FED_STR(""), FED_STR(""), &o, NULL), FED_E_SYNTAX);
    fed_buf_release(&deep);
}

static void many_labels_and_last_wins(void **state)
{
    (void)state;
    struct fed_buf b = {0};
    struct fed_kobj *o;
    fed_buf_addz(&b, "{\"metadata\":{\"labels\":{\"gone\":\"1\"},\"labels\":{");
    for (int i = 0; i < 100; i++)
        fed_buf_addf(&b, "\"k%d\":\"v\\u0041%d\",", i, i);
    fed_buf_addz(&b, "\"k1\":\"last\",\"num\":5},\"name\":\"a\"}}");
    assert_int_equal(fed_kobj_new(fed_buf_str(&b), FED_STR(""), FED_STR(""), &o, NULL), 0);
    assert_true(fed_str_is(fed_kobj_label(o, "k99"), "vA99"));
    assert_true(fed_str_is(fed_kobj_label(o, "k1"), "last"));
    assert_null(fed_kobj_label(o, "gone").p);
    assert_null(fed_kobj_label(o, "num").p);
    fed_kobj_unref(o);
    fed_buf_release(&b);
}

static void assert_patch(const struct fed_json *patch, const char *text)
{
    struct fed_buf b = {0};
    fed_json_write(&b, patch);
    assert_true(fed_str_is(fed_buf_str(&b), text));
    fed_buf_release(&b);
}

static void trees(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *obj = fed_obj_new(&a, "v1", "Pod", FED_STR("n"), FED_STR("p"));
    struct fed_kobj *o;
    fed_obj_set_label(&a, obj, "a/b", FED_STR("c"));
    fed_obj_set_annotation(&a, obj, "x", FED_STR("quote \" and \\"));
    assert_int_equal(fed_kobj_from_tree(obj, 77, &o, NULL), 0);
    assert_int_equal(o->rev, 77);
    assert_true(fed_str_is(fed_kobj_label(o, "a/b"), "c"));
    assert_true(fed_str_is(fed_kobj_annotation(o, "x"), "quote \" and \\"));
    fed_obj_set_controller(&a, obj, o);
    fed_obj_set_controller(&a, obj, o);
    assert_int_equal(fed_json_at(obj, "metadata", "ownerReferences", NULL)->n, 1);
    fed_kobj_unref(o);

    struct fed_json *status = fed_json_object(&a);
    assert_true(fed_obj_set_condition(&a, status, "Ready", "True", "Ok", FED_STR("m"), 1000));
    assert_false(fed_obj_set_condition(&a, status, "Ready", "True", "Ok", FED_STR("m"), 5000));
    assert_true(fed_obj_set_condition(&a, status, "Ready", "True", "Ok", FED_STR("n"), 9000));
    struct fed_json *c = fed_obj_condition(status, "Ready");
    assert_true(fed_str_is(fed_json_find_text(c, "lastTransitionTime"), "1970-01-01T00:00:01Z"));
    assert_true(fed_obj_set_condition(&a, status, "Ready", "False", "Ok", FED_STR("n"), 9000));
    assert_true(fed_str_is(fed_json_find_text(c, "lastTransitionTime"), "1970-01-01T00:00:09Z"));
    assert_null(fed_obj_condition(status, "Other"));
    fed_arena_release(&a);
}

static void finalizers(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *obj = fed_obj_new(&a, "v1", "Pod", FED_STR("n"), FED_STR("p"));
    struct fed_kobj *o;
    fed_json_set(fed_obj_metadata(&a, obj), "uid", fed_json_new_strz(&a, "u"));
    assert_true(fed_obj_add_finalizer(&a, obj, "a/b"));
    assert_false(fed_obj_add_finalizer(&a, obj, "a/b"));
    assert_true(fed_obj_add_finalizer(&a, obj, "c/d"));
    assert_int_equal(fed_kobj_from_tree(obj, 7, &o, NULL), 0);
    assert_int_equal(o->n_finalizers, 2);
    assert_patch(fed_kobj_guarded_patch(&a, o), "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"7\"}}");
    assert_patch(fed_kobj_patch_without_finalizer(&a, o, "a/b"),
                 "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"7\",\"finalizers\":[\"c/d\"]}}");
    assert_patch(fed_kobj_patch_with_finalizer(&a, o, "e/f"),
                 "{\"metadata\":{\"uid\":\"u\",\"resourceVersion\":\"7\",\"finalizers\":[\"a/b\",\"c/d\",\"e/f\"]}}");
    fed_kobj_unref(o);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_of_a_full_object),
        cmocka_unit_test(types_and_revisions_are_spliced),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(many_labels_and_last_wins),
        cmocka_unit_test(trees),
        cmocka_unit_test(finalizers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
