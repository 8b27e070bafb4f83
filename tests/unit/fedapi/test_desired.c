/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/patch.h"
#include "fedapi/controllers/desired.h"
#include "fedapi/controllers/diff.h"
#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/placement.h"
#include "tests/unit/trees.h"

/* --- diff --- */

#define REC(fields) "'annotations':{'federation.hansa.io/applied-fields':'" fields "'}"

static const struct {
    const char *name, *desired, *member, *want; /* want NULL: nothing to write */
} diffs[] = {
    {"equal data", "{'kind':'ConfigMap','data':{'a':'1'}}", "{'kind':'ConfigMap','data':{'a':'1'}}", NULL},
    {"data is exact", "{'kind':'ConfigMap','data':{'a':'2'}}", "{'kind':'ConfigMap','data':{'a':'1','b':'x'}}",
     "{'data':{'a':'2','b':null}}"},
    {"no data any more", "{'kind':'Secret'}", "{'kind':'Secret','data':{'a':'1'}}", "{'data':{'a':null}}"},
    {"status is not looked at", "{'kind':'ConfigMap','status':{'a':1}}", "{'kind':'ConfigMap','status':{'a':2}}", NULL},
    {"member's own labels stay", "{'kind':'ConfigMap','metadata':{'labels':{'federation.hansa.io/managed':'true'}}}",
     "{'kind':'ConfigMap','metadata':{'labels':{'federation.hansa.io/managed':'true','own':'x'},'uid':'u'}}", NULL},
};

static void diff_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(diffs); i++) {
        struct fed_arena a = {0};
        struct fed_json *member = tree_of(&a, diffs[i].member), *desired = tree_of(&a, diffs[i].desired);
        struct fed_json *patch = fapi_diff(&a, desired, member);
        struct fed_json *want = diffs[i].want ? tree_of(&a, diffs[i].want) : NULL;
        if (!patch != !want || (want && !fed_json_equal(patch, want)))
            fail_msg("%s: got %s", diffs[i].name, patch ? text_of(&a, patch).p : "nothing");
        fed_arena_release(&a);
    }
}

/* What we write first; then the member adds `extra`; then `next` is wanted; the patch must be `want`. */
static const struct {
    const char *name, *first, *extra, *next, *want; /* the record is left out of want */
} histories[] = {
    {"defaults of the member stay", "{'kind':'X','spec':{'a':1}}", "{'spec':{'b':2,'c':{'d':3}},'status':{'x':1}}",
     "{'kind':'X','spec':{'a':1}}", NULL},
    {"a field that we gave up goes", "{'kind':'X','spec':{'a':1,'z':{'y':1}}}", "{'spec':{'b':2,'z':{'dflt':1}}}",
     "{'kind':'X','spec':{'a':1}}", "{'spec':{'z':null}}"},
    {"a label that we gave up goes", "{'kind':'X','metadata':{'labels':{'l':'1','m':'2'}}}",
     "{'metadata':{'labels':{'own':'x'}}}", "{'kind':'X','metadata':{'labels':{'m':'2'}}}",
     "{'metadata':{'labels':{'l':null}}}"},
    {"all labels go, the member's stay", "{'kind':'X','metadata':{'labels':{'l':'1'}}}",
     "{'metadata':{'labels':{'own':'x'}}}", "{'kind':'X'}", "{'metadata':{'labels':{'l':null}}}"},
    {"drift is mended", "{'kind':'X','spec':{'a':1,'b':[1,2]}}", "{'spec':{'a':5,'b':[2,1]}}",
     "{'kind':'X','spec':{'a':1,'b':[1,2]}}", "{'spec':{'a':1,'b':[1,2]}}"},
    {"defaults inside items", "{'kind':'X','spec':{'c':[{'name':'n','image':'i'}]}}",
     "{'spec':{'c':[{'name':'n','image':'i','pull':'Always'}]}}",
     "{'kind':'X','spec':{'c':[{'name':'n','image':'i'}]}}", NULL},
    {"a field inside an item goes", "{'kind':'X','spec':{'c':[{'name':'n','image':'i','tty':true}]}}",
     "{'spec':{'c':[{'name':'n','image':'i','tty':true,'pull':'Always'}]}}",
     "{'kind':'X','spec':{'c':[{'name':'n','image':'i'}]}}", "{'spec':{'c':[{'name':'n','image':'i'}]}}"},
    {"quantities of one amount", "{'kind':'X','spec':{'resources':{'limits':{'cpu':'1000m','memory':'1024Mi'}}}}",
     "{'spec':{'resources':{'limits':{'cpu':'1','memory':'1Gi'}}}}",
     "{'kind':'X','spec':{'resources':{'limits':{'cpu':'1000m','memory':'1024Mi'}}}}", NULL},
    {"only in resources", "{'kind':'X','spec':{'v':'1000m'}}", "{'spec':{'v':'1'}}",
     "{'kind':'X','spec':{'v':'1000m'}}", "{'spec':{'v':'1000m'}}"},
    {"empty values are none", "{'kind':'X','spec':{'a':'','b':{},'c':[],'d':false,'e':0,'f':null}}",
     "{'spec':{'a':null,'b':null,'c':null,'d':null,'e':null}}",
     "{'kind':'X','spec':{'a':'','b':{},'c':[],'d':false,'e':0,'f':null}}", NULL},
    {"strategy changes as a whole",
     "{'kind':'X','spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
     "{'spec':{'strategy':{'rollingUpdate':{'maxUnavailable':1}}}}",
     "{'kind':'X','spec':{'strategy':{'type':'Recreate'}}}",
     "{'spec':{'strategy':{'type':'Recreate','rollingUpdate':null}}}"},
    {"numbers by value", "{'kind':'X','spec':{'a':1.0}}", "{'spec':{'a':1}}", "{'kind':'X','spec':{'a':1.0}}", NULL},
};

static void drop_record(struct fed_json *patch)
{
    struct fed_json *meta = fed_json_find(patch, "metadata"), *ann = fed_json_find(meta, "annotations");
    fed_json_remove_key(ann, FAPI_APPLIED_FIELDS);
    if (ann && !ann->n)
        fed_json_remove_key(meta, "annotations");
    if (meta && !meta->n)
        fed_json_remove_key(patch, "metadata");
}

static void diff_histories(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(histories); i++) {
        struct fed_arena a = {0};
        struct fed_json *member = tree_of(&a, histories[i].first), *next = tree_of(&a, histories[i].next);
        fapi_diff_record(&a, member);
        member = fed_json_merge_patch(&a, member, tree_of(&a, histories[i].extra));
        struct fed_json *patch = fapi_diff(&a, next, member);
        if (patch)
            member = fed_json_merge_patch(&a, member, fed_json_copy(&a, patch));
        struct fed_json *again = fapi_diff(&a, next, member);
        if (again)
            fail_msg("%s: a second diff is %s", histories[i].name, text_of(&a, again).p);
        if (patch)
            drop_record(patch);
        struct fed_json *want = histories[i].want ? tree_of(&a, histories[i].want) : fed_json_object(&a);
        if (!fed_json_equal(patch ? patch : fed_json_object(&a), want))
            fail_msg("%s: got %s", histories[i].name, text_of(&a, patch).p);
        fed_arena_release(&a);
    }
}

static uint64_t seed = 7;
static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

static struct fed_json *random_tree(struct fed_arena *a, int depth)
{
    static const char *const keys[] = {"a", "b", "c", "limits"};
    switch (below(depth > 0 ? 7 : 4)) {
    case 0:
        return fed_json_new_int(a, below(3));
    case 1:
        return fed_json_new_strz(a, below(2) ? "" : below(2) ? "1000m" : "1");
    case 2:
        return fed_json_new_bool(a, below(2));
    case 3:
        return fed_json_null(a);
    case 4: {
        struct fed_json *arr = fed_json_array(a);
        for (uint32_t n = below(3); n; n--)
            fed_json_push(arr, random_tree(a, depth - 1));
        return arr;
    }
    default: {
        struct fed_json *obj = fed_json_object(a);
        for (uint32_t n = below(4); n; n--)
            fed_json_set(obj, keys[below(4)], random_tree(a, depth - 1));
        return obj;
    }
    }
}

static struct fed_json *random_object(struct fed_arena *a)
{
    struct fed_json *obj = tree_of(a, "{'kind':'X','metadata':{'labels':{}}}");
    fed_json_set(fed_json_at(obj, "metadata", "labels", NULL), below(2) ? "l" : "m", fed_json_new_strz(a, "v"));
    fed_json_set(obj, "spec", random_tree(a, 4));
    return obj;
}

/* Whatever was, one patch is enough. */
static void one_patch_is_enough(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct fed_arena a = {0};
        struct fed_json *member = random_object(&a), *desired = random_object(&a);
        if (below(2))
            fapi_diff_record(&a, member);
        struct fed_json *patch = fapi_diff(&a, desired, member);
        if (patch) {
            const char *was = text_of(&a, member).p;
            member = fed_json_merge_patch(&a, member, fed_json_copy(&a, patch));
            struct fed_json *again = fapi_diff(&a, desired, member);
            if (again)
                fail_msg("%s -> %s: %s, then %s", was, text_of(&a, desired).p, text_of(&a, patch).p,
                         text_of(&a, again).p);
        }
        fed_arena_release(&a);
    }
}

/* --- desired --- */

static void desired_service(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *source =
        tree_of(&a, "{'apiVersion':'v1','kind':'Service','metadata':{'name':'s','namespace':'n','uid':'su',"
                    "'finalizers':['x'],'ownerReferences':[{}],'resourceVersion':'5','labels':{'l':'v'},"
                    "'annotations':{'mine':'1','kubectl.kubernetes.io/last-applied-configuration':'…',"
                    "'federation.hansa.io/adopt':'true'}},'spec':{'type':'NodePort','clusterIP':'10.0.0.1',"
                    "'ports':[{'name':'a','port':80},{'name':'b','port':81,'nodePort':30001}]},"
                    "'status':{'loadBalancer':{}}}");
    struct fed_json *member =
        tree_of(&a, "{'kind':'Service','metadata':{'name':'s'},'spec':{'clusterIP':'127.1.2.3','clusterIPs':"
                    "['127.1.2.3'],'ports':[{'name':'b','port':81,'nodePort':31111},{'name':'a','port':80,"
                    "'protocol':'TCP','nodePort':32222}]}}");
    const struct fapi_desired_conf conf = {
        .source = source, .member = member, .federation_uid = FED_STR("fu"), .replicas = -1};
    struct fed_json *d = fapi_desired(&a, &conf);
    assert_null(fed_json_find(d, "status"));
    assert_null(fed_json_at(d, "metadata", "finalizers", NULL));
    assert_null(fed_json_at(d, "metadata", "ownerReferences", NULL));
    assert_null(fed_json_at(d, "metadata", "resourceVersion", NULL));
    assert_true(fed_str_is(fed_obj_label(d, FAPI_MANAGED), "true"));
    assert_true(fed_str_is(fed_obj_annotation(d, FAPI_FEDERATION_UID), "fu"));
    assert_true(fed_str_is(fed_obj_annotation(d, FAPI_SOURCE_UID), "su"));
    assert_true(fed_str_is(fed_obj_annotation(d, "mine"), "1"));
    assert_null(fed_obj_annotation(d, FAPI_ADOPT).p);
    assert_null(fed_obj_annotation(d, "kubectl.kubernetes.io/last-applied-configuration").p);
    const struct fed_json *spec = fed_json_find(d, "spec");
    assert_true(fed_str_is(fed_json_find_text(spec, "clusterIP"), "127.1.2.3"));
    assert_int_equal(fed_json_int(fed_json_find(fed_json_item(fed_json_find(spec, "ports"), 0), "nodePort"), 0), 32222);
    assert_int_equal(fed_json_int(fed_json_find(fed_json_item(fed_json_find(spec, "ports"), 1), "nodePort"), 0), 30001);
    const struct fapi_desired_conf fresh = {
        .source = source, .member = NULL, .federation_uid = FED_STR("fu"), .replicas = -1};
    d = fapi_desired(&a, &fresh);
    assert_null(fed_json_at(d, "spec", "clusterIP", NULL));
    /* created so, and given addresses by the member: nothing to write */
    fapi_diff_record(&a, d);
    fed_json_set(fed_json_find(d, "spec"), "clusterIP", fed_json_new_strz(&a, "127.9.9.9"));
    fed_json_set(fed_json_at(d, "spec", "ports", NULL)->first, "nodePort", fed_json_new_int(&a, 30555));
    const struct fapi_desired_conf later = {
        .source = source, .member = d, .federation_uid = FED_STR("fu"), .replicas = -1};
    struct fed_json *patch = fapi_diff(&a, fapi_desired(&a, &later), d);
    if (patch)
        fail_msg("%s", text_of(&a, patch).p);
    fed_arena_release(&a);
}

static void desired_replicas_and_others(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *source =
        tree_of(&a, "{'kind':'Deployment','metadata':{'name':'d','uid':'u'},'spec':{'replicas':9}}");
    struct fed_json *member = tree_of(&a, "{'kind':'Deployment','metadata':{'name':'d'},'spec':{'replicas':4}}");
    struct fapi_desired_conf conf = {.source = source, .member = member, .federation_uid = FED_STR("f"), .replicas = 3};
    assert_int_equal(fed_json_int(fed_json_at(fapi_desired(&a, &conf), "spec", "replicas", NULL), 0), 3);
    conf.replicas = -1;
    assert_int_equal(fed_json_int(fed_json_at(fapi_desired(&a, &conf), "spec", "replicas", NULL), 0), 9);
    fed_obj_set_annotation(&a, source, FAPI_RETAIN_REPLICAS, FED_STR("true"));
    assert_int_equal(fed_json_int(fed_json_at(fapi_desired(&a, &conf), "spec", "replicas", NULL), 0), 4);
    conf.source =
        tree_of(&a, "{'kind':'Namespace','metadata':{'name':'d','uid':'u'},'spec':{'finalizers':['kubernetes']}}");
    assert_null(fed_json_find(fapi_desired(&a, &conf), "spec"));
    conf.source = tree_of(&a, "{'kind':'ServiceAccount','metadata':{'name':'d','uid':'u'},'secrets':[{'name':'hub'}]}");
    conf.member = tree_of(&a, "{'kind':'ServiceAccount','metadata':{'name':'d'},'secrets':[{'name':'own'}]}");
    const struct fed_json *secrets = fed_json_find(fapi_desired(&a, &conf), "secrets");
    assert_true(fed_str_is(fed_json_find_text(secrets->first, "name"), "own"));
    fed_arena_release(&a);
}

/* --- marks and placement --- */

static struct fed_kobj *object(const char *text)
{
    struct fed_arena a = {0};
    struct fed_kobj *o;
    assert_int_equal(fed_kobj_from_tree(tree_of(&a, text), 0, &o, NULL), 0);
    fed_arena_release(&a);
    return o;
}

static void marks(void **state)
{
    (void)state;
    static const struct {
        const char *annotations;
        enum fapi_whose want;
    } cases[] = {
        {"{}", FAPI_NOBODYS},
        {"{'federation.hansa.io/federation-uid':'f','federation.hansa.io/source-uid':'s'}", FAPI_OURS},
        {"{'federation.hansa.io/federation-uid':'f','federation.hansa.io/source-uid':'old'}", FAPI_STALE},
        {"{'federation.hansa.io/federation-uid':'g','federation.hansa.io/source-uid':'s'}", FAPI_OTHERS},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{'metadata':{'name':'x','annotations':%s}}", cases[i].annotations);
        struct fed_kobj *o = object(text);
        assert_int_equal(fapi_whose(o, FED_STR("f"), FED_STR("s")), cases[i].want);
        fed_kobj_unref(o);
    }
    static const struct {
        const char *text;
        bool want;
    } goes[] = {
        {"{'kind':'ConfigMap','metadata':{'name':'x','namespace':'default'}}", true},
        {"{'kind':'ConfigMap','metadata':{'name':'x','namespace':'federation-edge'}}", true},
        {"{'kind':'ConfigMap','metadata':{'name':'x','namespace':'federation-system'}}", false},
        {"{'kind':'ConfigMap','metadata':{'name':'x','namespace':'kube-system'}}", false},
        {"{'kind':'Namespace','metadata':{'name':'default'}}", false},
        {"{'kind':'Namespace','metadata':{'name':'kube-public'}}", false},
        {"{'kind':'Namespace','metadata':{'name':'shop'}}", true},
        {"{'kind':'Secret','metadata':{'name':'x','namespace':'n'},'type':'kubernetes.io/service-account-token'}",
         false},
        {"{'kind':'Secret','metadata':{'name':'x','namespace':'n'},'type':'Opaque'}", true},
        {"{'kind':'ReplicaSet','metadata':{'name':'x','namespace':'n'}}", true},
        {"{'kind':'ReplicaSet','metadata':{'name':'x','namespace':'n','labels':{'federation.hansa.io/"
         "history':'true'}}}",
         false},
        {"{'kind':'ConfigMap','metadata':{'name':'x','namespace':'n','labels':{'federation.hansa.io/history':'true'}}}",
         true},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(goes); i++) {
        struct fed_kobj *o = object(goes[i].text);
        const char *why;
        if (fapi_propagates(o, false, &why) != goes[i].want || !why != goes[i].want)
            fail_msg("%s", goes[i].text);
        fed_kobj_unref(o);
    }
}

static void placement(void **state)
{
    (void)state;
    const struct fed_kv web[] = {{FED_STR("tier"), FED_STR("web")}};
    struct fapi_cluster cs[] = {
        {.name = FED_STR("a"), .labels = web, .n_labels = 1, .current = -1, .capacity = -1},
        {.name = FED_STR("b"), .labels = web, .n_labels = 1, .current = -1, .capacity = -1},
        {.name = FED_STR("c"), .current = -1, .capacity = -1},
    };
    static const struct {
        const char *annotations, *reason;
        int offline, cordoned; /* cluster number or -1 */
        int64_t want[3];       /* -2: not selected */
    } cases[] = {
        {"{}", NULL, -1, -1, {2, 2, 2}},
        {"{'federation.alpha.kubernetes.io/"
         "cluster-selector':'[{\\'key\\':\\'tier\\',\\'operator\\':\\'in\\',\\'values\\':[\\'web\\']}]'}",
         NULL,
         -1,
         -1,
         {3, 3, -2}},
        {"{'federation.alpha.kubernetes.io/"
         "cluster-selector':'[{\\'key\\':\\'tier\\',\\'operator\\':\\'=\\',\\'values\\':[\\'db\\']}]'}",
         "NoClusterMatches",
         -1,
         -1,
         {-2, -2, -2}},
        {"{'federation.kubernetes.io/deployment-preferences':'{\\'clusters\\':{\\'a\\':{\\'weight\\':1}}}'}",
         NULL,
         -1,
         -1,
         {6, 0, 0}},
        {"{'federation.kubernetes.io/deployment-preferences':'{'}", "InvalidPreferences", -1, -1, {2, 2, 2}},
        {"{'federation.kubernetes.io/"
         "deployment-preferences':'{\\'clusters\\':{\\'a\\':{\\'weight\\':1,\\'maxReplicas\\':2}}}'}",
         "ReplicasUnplaced",
         -1,
         -1,
         {2, 0, 0}},
        {"{}", NULL, 0, -1, {0, 3, 3}},
        {"{}", NULL, -1, 1, {3, 0, 3}},
        {"{'federation.hansa.io/retain-replicas':'true'}", NULL, -1, -1, {-1, -1, -1}},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fapi_placement p;
        struct fed_err err = {0};
        char text[512];
        snprintf(text, sizeof(text),
                 "{'kind':'Deployment','metadata':{'name':'d','namespace':'n','annotations':%s},"
                 "'spec':{'replicas':6}}",
                 cases[i].annotations);
        struct fed_kobj *o = object(text);
        for (int k = 0; k < 3; k++) {
            cs[k].offline = cases[i].offline == k;
            cs[k].cordoned = cases[i].cordoned == k;
        }
        assert_int_equal(fapi_place(&a, o, fed_kobj_parse(o, &a), cs, 3, &p, &err), 0);
        for (int k = 0; k < 3; k++) {
            int64_t got = p.spots[k].selected ? p.spots[k].replicas : -2;
            if (got != cases[i].want[k])
                fail_msg("case %zu, cluster %d: %d (%.*s)", i, k, (int)got, FED_STR_ARG(p.spots[k].why));
            assert_true(p.spots[k].why.n > 0);
        }
        if (!p.reason != !cases[i].reason || (p.reason && strcmp(p.reason, cases[i].reason) != 0))
            fail_msg("case %zu: reason %s", i, p.reason ? p.reason : "none");
        fed_kobj_unref(o);
        fed_arena_release(&a);
    }
    struct fed_arena a = {0};
    struct fapi_placement p;
    struct fed_kobj *o = object("{'kind':'ConfigMap','metadata':{'name':'d','annotations':"
                                "{'federation.alpha.kubernetes.io/cluster-selector':'federation-only'}}}");
    assert_int_equal(fapi_place(&a, o, fed_kobj_parse(o, &a), cs, 3, &p, NULL), FED_E_INVALID);
    fed_kobj_unref(o);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diff_table),
        cmocka_unit_test(diff_histories),
        cmocka_unit_test(one_patch_is_enough),
        cmocka_unit_test(desired_service),
        cmocka_unit_test(desired_replicas_and_others),
        cmocka_unit_test(marks),
        cmocka_unit_test(placement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
