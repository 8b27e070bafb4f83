/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds that users define: where their objects live, in which version they are written, what is divided, what comes back. */
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/custom.h"
#include "fedapi/controllers/desired.h"
#include "fedapi/controllers/diff.h"
#include "fedapi/controllers/marks.h"
#include "fedapi/controllers/placement.h"
#include "tests/unit/trees.h"

static struct fed_kobj *object(struct fed_arena *a, const struct fed_json *tree)
{
    struct fed_kobj *o = NULL;
    (void)a;
    assert_int_equal(fed_kobj_from_tree(tree, 5, &o, NULL), 0);
    return o;
}

/* --- where objects live --- */

#define GROUP(g)     "'spec':{'group':'" g "'}"
#define RESIDENCE(w) "'annotations':{'federation.hansa.io/residence':'" w "'}"

static void test_admission(void **state FED_UNUSED)
{
    static const struct {
        const char *name, *old, *obj, *want; /* want: the annotation afterwards */
        bool goes, wrong;
    } cases[] = {
        {"new: members", NULL, "{'metadata':{}," GROUP("example.com") "}", "members", true, false},
        {"new, of a group of ours", NULL, "{'metadata':{}," GROUP("x.hansa.io") "}", "hub", false, false},
        {"the user's word", NULL, "{'metadata':{" RESIDENCE("hub") "}," GROUP("example.com") "}", "hub", false, false},
        {"stored before", "{'metadata':{}}", "{'metadata':{}," GROUP("example.com") "}", "", false, false},
        {"stored before, to go now", "{'metadata':{}}",
         "{'metadata':{" RESIDENCE("members") "}," GROUP("example.com") "}", "members", true, false},
        {"replaced without a word", "{'metadata':{" RESIDENCE("members") "}}",
         "{'metadata':{}," GROUP("example.com") "}", "members", true, false},
        {"withdrawn", "{'metadata':{" RESIDENCE("members") "}}",
         "{'metadata':{" RESIDENCE("hub") "}," GROUP("example.com") "}", "hub", false, false},
        {"no such place", NULL, "{'metadata':{" RESIDENCE("mars") "}," GROUP("example.com") "}", "mars", false, true},
        {"ours stay", NULL, "{'metadata':{" RESIDENCE("members") "}," GROUP("federation") "}", "members", true, true},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_causes causes = {.arena = &a};
        struct fed_json *obj = tree_of(&a, cases[i].obj);
        bool goes = fapi_custom_admit(&a, cases[i].old ? tree_of(&a, cases[i].old) : NULL, obj);
        CHECK(cases[i].name, goes == cases[i].goes);
        CHECK_TEXT(cases[i].name, fed_obj_annotation(obj, "federation.hansa.io/residence"), cases[i].want);
        fapi_custom_validate(obj, &causes);
        CHECK(cases[i].name, (causes.n > 0) == cases[i].wrong);
        fed_arena_release(&a);
    }
}

#define NAME        "'name':'x.example.com'"
#define HELD        ",'finalizers':['" FAPI_FINALIZER "']"
#define ESTABLISHED "'status':{'conditions':[{'type':'Established','status':'True'}]}"

static void test_whether_a_definition_goes(void **state FED_UNUSED)
{
    static const struct {
        const char *text;
        bool want;
    } cases[] = {
        {"{'metadata':{" NAME "," RESIDENCE("members") "}," GROUP("example.com") "," ESTABLISHED "}", true},
        {"{'metadata':{" NAME "," RESIDENCE("members") "}," GROUP("example.com") "}", false},
        {"{'metadata':{" NAME "," RESIDENCE("members") "}," GROUP("hansa.io") "," ESTABLISHED "}", false},
        {"{'metadata':{" NAME "," RESIDENCE("hub") "}," GROUP("example.com") "," ESTABLISHED "}", false},
        {"{'metadata':{" NAME "}," GROUP("example.com") "," ESTABLISHED "}", false},
        /* what members may have is let go there first */
        {"{'metadata':{" NAME "," RESIDENCE("hub") HELD "}," GROUP("example.com") "," ESTABLISHED "}", true},
        {"{'metadata':{" NAME "," RESIDENCE("members") HELD ",'deletionTimestamp':'2026-01-01T00:00:00Z'}}", true},
        {"{'metadata':{" NAME "," RESIDENCE("members") ",'deletionTimestamp':'2026-01-01T00:00:00Z'}}", false},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_kobj *o = object(&a, tree_of(&a, cases[i].text));
        const char *why;
        CHECK(cases[i].text, fapi_custom_goes(o, &why) == cases[i].want && (why == NULL) == cases[i].want);
        fed_kobj_unref(o);
        fed_arena_release(&a);
    }
}

/* --- versions --- */

#define V(name, served, storage) "{'name':'" name "','served':" served ",'storage':" storage "}"
#define CRD(scope, kind, versions, more)                                                                               \
    "{'metadata':{'name':'x'" more "},'spec':{'scope':'" scope "','names':{'kind':'" kind "'},'versions':[" versions   \
    "]}," ESTABLISHED "}"

static void test_what_a_cluster_serves(void **state FED_UNUSED)
{
    static const char two[] = CRD("Namespaced", "X", V("v1beta1", "true", "false") "," V("v1", "true", "true"), "");
    static const char webhook[] =
        "{'spec':{'scope':'Namespaced','names':{'kind':'X'},'conversion':{'strategy':'Webhook'},"
        "'versions':[" V("v1beta1", "true", "false") "," V("v1", "true", "true") "]}}";
    static const struct {
        const char *name, *hub, *there, *version;
        enum fapi_served want;
    } cases[] = {
        {"nothing there", two, NULL, "", FAPI_SERVED_NOT},
        {"the stored one", two, CRD("Namespaced", "X", V("v1", "true", "true"), ""), "v1", FAPI_SERVED},
        {"another one", two, CRD("Namespaced", "X", V("v1", "false", "true") "," V("v1beta1", "true", "false"), ""),
         "v1beta1", FAPI_SERVED},
        {"which only a webhook makes", webhook, CRD("Namespaced", "X", V("v1beta1", "true", "true"), ""), "v1beta1",
         FAPI_SERVED_OTHER},
        {"none in common", two, CRD("Namespaced", "X", V("v2", "true", "true"), ""), "v2", FAPI_SERVED_OTHER},
        {"another scope", two, CRD("Cluster", "X", V("v1", "true", "true"), ""), "", FAPI_SERVED_OTHER},
        {"another kind", two, CRD("Namespaced", "Y", V("v1", "true", "true"), ""), "", FAPI_SERVED_OTHER},
        {"on its way out", two,
         CRD("Namespaced", "X", V("v1", "true", "true"), ",'deletionTimestamp':'2026-01-01T00:00:00Z'"), "v1",
         FAPI_SERVED_NOT},
        {"not served yet", two, "{'spec':{'scope':'Namespaced','names':{'kind':'X'},'versions':[]}}", "",
         FAPI_SERVED_NOT},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_str version, why;
        enum fapi_served got = fapi_custom_serves(&a, tree_of(&a, cases[i].hub),
                                                  cases[i].there ? tree_of(&a, cases[i].there) : NULL, &version, &why);
        CHECK(cases[i].name, got == cases[i].want);
        CHECK(cases[i].name, (why.n > 0) == (got == FAPI_SERVED_OTHER));
        CHECK_TEXT(cases[i].name, version, cases[i].version);
        fed_arena_release(&a);
    }
}

/* --- numbers --- */

static const struct fapi_custom deep = {.replicas = FED_STR(".spec.crowd.size"),
                                        .status_replicas = FED_STR(".status.size")};
static const struct fapi_custom plain = {.replicas = FED_STR("")};

static void test_numbers(void **state FED_UNUSED)
{
    struct fed_arena a = {0};
    struct fed_json *tree = tree_of(&a, "{'spec':{'crowd':{'size':7}}}");
    assert_int_equal(fapi_custom_number(&deep, tree), 7);
    assert_int_equal(fapi_custom_number(&plain, tree), -1);
    assert_int_equal(fapi_custom_number(&deep, tree_of(&a, "{'spec':{'crowd':'x'}}")), -1);
    fapi_custom_apply(&a, &deep, tree, 3);
    assert_int_equal(fapi_custom_number(&deep, tree), 3);
    fapi_custom_apply(&a, &deep, tree, -1);
    fapi_custom_apply(&a, &plain, tree, 9);
    CHECK_TEXT("unchanged", text_of(&a, tree), "{\"spec\":{\"crowd\":{\"size\":3}}}");
    fed_arena_release(&a);
}

static void place(const struct fapi_custom *custom, const char *text, int64_t want[2])
{
    struct fed_arena a = {0};
    struct fapi_cluster clusters[2] = {{.name = FED_STR("a"), .current = -1, .capacity = -1},
                                       {.name = FED_STR("b"), .current = -1, .capacity = -1}};
    struct fapi_placement p;
    struct fed_err err = {0};
    struct fed_json *tree = tree_of(&a, text);
    struct fed_kobj *o = object(&a, tree);
    assert_int_equal(fapi_place_custom(&a, o, tree, custom, clusters, 2, &p, &err), 0);
    for (size_t i = 0; i < 2; i++)
        CHECK(text, p.spots[i].selected && p.spots[i].replicas == want[i]);
    fed_kobj_unref(o);
    fed_arena_release(&a);
}

/* Only who asks for it has the number divided. */
static void test_places(void **state FED_UNUSED)
{
    static const char asks[] = "{'kind':'Job','metadata':{'name':'x','annotations':{'federation.kubernetes.io/"
                               "replica-preferences':'{}'}},'spec':{'crowd':{'size':4}}}";
    place(&deep, asks, (int64_t[]){2, 2});
    place(&plain, asks, (int64_t[]){-1, -1});
    place(&deep, "{'kind':'Job','metadata':{'name':'x'},'spec':{'crowd':{'size':4},'completions':4}}",
          (int64_t[]){-1, -1});
}

/* --- what a member should have --- */

static void test_names_say_nothing(void **state FED_UNUSED)
{
    struct fed_arena a = {0};
    struct fapi_desired_conf conf = {
        .source = tree_of(&a, "{'apiVersion':'serving.example.com/v1','kind':'Service','metadata':{'name':'x'},"
                              "'spec':{'clusterIP':'mine','crowd':{'size':4}},'status':{'a':1}}"),
        .member = tree_of(&a, "{'spec':{'clusterIP':'theirs','crowd':{'size':9}}}"),
        .federation_uid = FED_STR("f"),
        .replicas = 2,
        .custom = &deep,
        .api_version = FED_STR("serving.example.com/v1beta1")};
    const struct fed_json *d = fapi_desired(&a, &conf);
    CHECK_TEXT("version", fed_json_find_text(d, "apiVersion"), "serving.example.com/v1beta1");
    CHECK_TEXT("spec", text_of(&a, fed_json_find(d, "spec")), "{\"clusterIP\":\"mine\",\"crowd\":{\"size\":2}}");
    assert_null(fed_json_find(d, "status"));
    conf.scaled = true;
    d = fapi_desired(&a, &conf);
    assert_int_equal(fapi_custom_number(&deep, d), 9);
    fed_arena_release(&a);
}

static void test_diffs(void **state FED_UNUSED)
{
    static const struct {
        const char *name;
        enum fapi_diff_rule rule;
        const char *desired, *member, *want;
    } cases[] = {
        {"a custom value is only itself", FAPI_DIFF_CUSTOM, "{'kind':'X','spec':{'on':false,'e':{},'n':0,'q':'1'}}",
         "{'kind':'X','spec':{'q':'1000m'}}", "{\"spec\":{\"on\":false,\"e\":{},\"n\":0,\"q\":\"1\"}}"},
        {"a custom ConfigMap has no data of ours to be exact about", FAPI_DIFF_CUSTOM,
         "{'kind':'ConfigMap','data':{'a':'1'}}", "{'kind':'ConfigMap','data':{'a':'1','b':'2'}}", ""},
        {"what servers drop of a definition", FAPI_DIFF_DEFINITION,
         "{'spec':{'preserveUnknownFields':false,'versions':[{'name':'v1','additionalPrinterColumns':[],'deprecated':"
         "false,"
         "'schema':{'openAPIV3Schema':{'properties':{},'description':''}}}]}}",
         "{'spec':{'versions':[{'name':'v1','schema':{'openAPIV3Schema':{}}}]}}", ""},
        {"what they do not", FAPI_DIFF_DEFINITION, "{'spec':{'versions':[{'name':'v1','subresources':{'status':{}}}]}}",
         "{'spec':{'versions':[{'name':'v1'}]}}",
         "{\"spec\":{\"versions\":[{\"name\":\"v1\",\"subresources\":{\"status\":{}}}]}}"},
        {"a default that is empty", FAPI_DIFF_DEFINITION, "{'spec':{'a':{'default':''},'b':{'minimum':0}}}",
         "{'spec':{'a':{},'b':{}}}", "{\"spec\":{\"a\":{\"default\":\"\"},\"b\":{\"minimum\":0}}}"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *patch =
            fapi_diff_by(&a, cases[i].rule, tree_of(&a, cases[i].desired), tree_of(&a, cases[i].member));
        if (patch)
            fed_json_remove_key(patch, "metadata"); /* the record */
        CHECK_TEXT(cases[i].name, patch && patch->n ? text_of(&a, patch) : FED_STR(""), cases[i].want);
        fed_arena_release(&a);
    }
}

/* A field that was given up goes, whatever it is called. */
static void test_no_name_is_retained(void **state FED_UNUSED)
{
    struct fed_arena a = {0};
    struct fed_json *first = tree_of(&a, "{'kind':'X','metadata':{},'spec':{'volumeName':'v','a':1}}");
    fapi_diff_record_by(&a, FAPI_DIFF_CUSTOM, first);
    struct fed_json *patch = fapi_diff_by(&a, FAPI_DIFF_CUSTOM, tree_of(&a, "{'kind':'X','spec':{'a':1}}"), first);
    fed_json_remove_key(patch, "metadata");
    CHECK_TEXT("patch", text_of(&a, patch), "{\"spec\":{\"volumeName\":null}}");
    fed_arena_release(&a);
}

/* --- what comes back --- */

struct aggregate_case {
    const char *name, *was, *reports[3];
    const char *want;
};

#define CONDITION(status, reason)                                                                                      \
    "{'type':'Up','status':'" status "','reason':'" reason "','message':'m','lastTransitionTime':'T'}"
static const struct aggregate_case aggregates[] = {
    {"of one cluster as it is",
     "{}",
     {"{'metadata':{'generation':2},'status':{'observedGeneration':2,'where':'here','list':[1]}}"},
     "{\"observedGeneration\":7,\"where\":\"here\",\"list\":[1]}"},
    {"not looked at yet",
     "{'observedGeneration':6}",
     {"{'metadata':{'generation':2},'status':{'observedGeneration':1,'where':'here'}}"},
     "{\"observedGeneration\":6,\"where\":\"here\"}"},
    {"cannot be seen", "{'where':'here'}", {NULL}, ""},
    {"sums, and what all say",
     "{}",
     {"{'status':{'replicas':1,'readyReplicas':1,'size':2,'same':'x','where':'a'}}",
      "{'status':{'replicas':2,'readyReplicas':0,'size':3,'same':'x','where':'b'}}"},
     "{\"replicas\":3,\"readyReplicas\":1,\"same\":\"x\",\"size\":5}"},
    {"who is silent says nothing", "{}", {"{'status':{'same':'x','replicas':2}}", "{}"}, "{\"replicas\":2}"},
    {"conditions that all have",
     "{'conditions':[{'type':'Up','status':'True','reason':'R','message':'m','lastTransitionTime':'W'}]}",
     {"{'status':{'conditions':[" CONDITION("True", "R") "]}}",
      "{'status':{'conditions':[" CONDITION("True", "R") "]}}"},
     "{\"conditions\":[{\"type\":\"Up\",\"status\":\"True\",\"reason\":\"R\",\"message\":\"m\",\"lastTransitionTime\":"
     "\"W\"}]}"},
    {"lists that are no conditions",
     "{}",
     {"{'status':{'conditions':[1]}}", "{'status':{'conditions':[1]}}"},
     "{\"conditions\":[1]}"},
};

static void test_aggregates(void **state FED_UNUSED)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(aggregates); i++) {
        const struct aggregate_case *c = &aggregates[i];
        struct fed_arena a = {0};
        struct fed_json *hub = tree_of(
            &a,
            fed_arena_printf(&a, "{'kind':'Deployment','metadata':{'name':'x','generation':7},'status':%s}", c->was).p);
        struct fed_kobj *o = object(&a, hub);
        struct fapi_report reports[3];
        struct fapi_aggregate_in in = {
            .hub = o, .tree = hub, .reports = reports, .now_ms = 0, .custom = &deep, .custom_status = true};
        for (; in.n < 3 && (c->reports[in.n] || !in.n); in.n++)
            reports[in.n] = (struct fapi_report){.cluster = FED_STR("c"),
                                                 .state = "Synced",
                                                 .replicas = -1,
                                                 .object = c->reports[in.n] ? tree_of(&a, c->reports[in.n]) : NULL};
        CHECK_TEXT(c->name, text_of(&a, fapi_aggregate_status(&a, &in)), c->want);
        fed_kobj_unref(o);
        fed_arena_release(&a);
    }
}

static void test_conditions_that_differ(void **state FED_UNUSED)
{
    struct fed_arena a = {0};
    struct fed_json *hub = tree_of(&a, "{'kind':'X','metadata':{'name':'x'}}");
    struct fed_kobj *o = object(&a, hub);
    struct fapi_report reports[2] = {
        {.cluster = FED_STR("a"),
         .state = "Synced",
         .object = tree_of(&a, "{'status':{'conditions':[" CONDITION("True", "R") "]}}")},
        {.cluster = FED_STR("b"),
         .state = "Synced",
         .object = tree_of(&a, "{'status':{'conditions':[" CONDITION("False", "S") "]}}")}};
    struct fapi_aggregate_in in = {
        .hub = o, .tree = hub, .reports = reports, .n = 2, .custom = &plain, .custom_status = true};
    struct fed_json *c = fed_obj_condition(fapi_aggregate_status(&a, &in), "Up");
    CHECK_TEXT("status", fed_json_find_text(c, "status"), "Unknown");
    CHECK_TEXT("reason", fed_json_find_text(c, "reason"), "ClustersDiffer");
    CHECK_TEXT("message", fed_json_find_text(c, "message"), "a: True R, b: False S");
    /* Each cluster's own stands in the annotation. */
    struct fed_json *told = NULL;
    assert_int_equal(fed_json_parse(&a, fapi_aggregate_annotation(&a, &in), NULL, &told, NULL), 0);
    CHECK_TEXT("b's own", fed_json_find_text(fed_obj_condition(fed_json_at(told, "b", "status", NULL), "Up"), "reason"),
               "S");
    fed_kobj_unref(o);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_whether_a_definition_goes),
        cmocka_unit_test(test_what_a_cluster_serves),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_names_say_nothing),
        cmocka_unit_test(test_diffs),
        cmocka_unit_test(test_no_name_is_retained),
        cmocka_unit_test(test_aggregates),
        cmocka_unit_test(test_conditions_that_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
