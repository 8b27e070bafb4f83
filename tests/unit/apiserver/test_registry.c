/* SPDX-License-Identifier: Apache-2.0 */
/* Each verb and its errors, as a table of requests in order on one server. */
#include "harness.h"

#define CM     "/api/v1/namespaces/default/configmaps"
#define WI     "/apis/test.hansa.io/v1/namespaces/default/widgets"
#define JSON   "application/json"
#define MERGE  "application/merge-patch+json"
#define JPATCH "application/json-patch+json"

struct row {
    const char *name, *method, *path, *type, *body;
    int status;
    const char *has;   /* text in the answer */
    const char *lacks; /* text not in the answer, or NULL */
};

static const struct row rows[] = {
    {"create", "POST", CM, JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}", 201,
     "\"resourceVersion\":\"", "\"generation\""},
    {"get", "GET", CM "/a", "", "", 200, "\"data\":{\"k\":\"v\"}", NULL},
    {"get has apiVersion and kind", "GET", CM "/a", "", "", 200, "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"", NULL},
    {"create again", "POST", CM, JSON, "{\"metadata\":{\"name\":\"a\"}}", 409, "configmaps \\\"a\\\" already exists",
     NULL},
    {"get absent", "GET", CM "/zz", "", "", 404, "configmaps \\\"zz\\\" not found", NULL},
    {"absent of a group", "GET", WI "/zz", "", "", 404, "widgets.test.hansa.io \\\"zz\\\" not found", NULL},
    {"unknown path", "GET", "/api/v1/nonsense", "", "", 404, "the server could not find the requested resource", NULL},
    {"unknown subresource", "GET", CM "/a/status", "", "", 404, "could not find the requested resource", NULL},
    {"wrong kind", "POST", CM, JSON, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"b\"}}", 400,
     "cannot be handled as a ConfigMap", NULL},
    {"wrong version", "POST", CM, JSON, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v2\",\"metadata\":{\"name\":\"b\"}}",
     400, "does not match the expected API version (v1)", NULL},
    {"wrong namespace", "POST", CM, JSON, "{\"metadata\":{\"name\":\"b\",\"namespace\":\"other\"}}", 400,
     "the namespace of the provided object does not match the namespace sent on the request", NULL},
    {"missing namespace", "POST", "/api/v1/namespaces/nons/configmaps", JSON, "{\"metadata\":{\"name\":\"b\"}}", 404,
     "namespaces \\\"nons\\\" not found", NULL},
    {"no name", "POST", CM, JSON, "{\"metadata\":{}}", 422, "name or generateName is required", NULL},
    {"bad name", "POST", CM, JSON, "{\"metadata\":{\"name\":\"A_b\"}}", 422, "metadata.name", NULL},
    {"bad label", "POST", CM, JSON, "{\"metadata\":{\"name\":\"b\",\"labels\":{\"a b\":\"c\"}}}", 422,
     "metadata.labels", NULL},
    {"generateName", "POST", CM, JSON, "{\"metadata\":{\"generateName\":\"gen-\"}}", 201, "\"name\":\"gen-", NULL},
    {"not JSON", "POST", CM, JSON, "{", 400, "BadRequest", NULL},
    {"not an object", "POST", CM, JSON, "[]", 400, "BadRequest", NULL},
    {"empty body", "POST", CM, JSON, "", 400, "BadRequest", NULL},
    {"YAML", "POST", CM, "application/yaml", "metadata:\n  name: yy\ndata:\n  k: v\n", 201, "\"k\":\"v\"", NULL},
    {"unknown media type", "POST", CM, "text/css", "x", 415, "unknown format", NULL},
    {"not acceptable", "GET", CM "/a", " > text/css", "", 406, "NotAcceptable", NULL},
    {"YAML answer", "GET", CM "/a", " > application/yaml", "", 200, "kind: ConfigMap", NULL},
    {"strict", "POST", CM "?fieldValidation=Strict", JSON, "{\"metadata\":{\"name\":\"s\"},\"dat\":{}}", 400,
     "strict decoding error: unknown field \\\"dat\\\"", NULL},
    {"strict duplicate", "POST", CM "?fieldValidation=Strict", JSON,
     "{\"metadata\":{\"name\":\"s\"},\"data\":{},\"data\":{}}", 400, "duplicate field \\\"data\\\"", NULL},
    {"strict in order", "POST", CM "?fieldValidation=Strict", JSON,
     "{\"metadata\":{\"name\":\"s\"},\"data\":{\"a\":\"\",\"a\":\"\"},\"dat\":{\"x\":1,\"x\":2},\"immutable\":true,"
     "\"immutable\":"
     "true,\"dat\":1}",
     400,
     "strict decoding error: duplicate field \\\"data.a\\\", unknown field \\\"dat\\\", duplicate field "
     "\\\"immutable\\\"\"",
     NULL},
    {"strict YAML", "POST", CM "?fieldValidation=Strict", "application/yaml",
     "metadata: {name: s}\nzz: 1\ndat: 1\ndata:\n  a: b\n  a: c\ndata:\n  d: e\n", 400,
     "strict decoding error: yaml: unmarshal errors:\\n  line 6: key \\\"a\\\" already set in map\\n  line 8: key "
     "\\\"data\\\" already set in map, unknown field \\\"dat\\\", unknown field \\\"zz\\\"\"",
     NULL},
    {"strict merge patch", "PATCH", CM "/a?fieldValidation=Strict", MERGE,
     "{\"data\":{\"n\":\"1\",\"n\":\"2\"},\"dat\":{}}", 422,
     "strict decoding error: duplicate field \\\"data.n\\\", unknown field \\\"dat\\\"\"", NULL},
    {"strict operations", "PATCH", CM "/a?fieldValidation=Strict", "application/json-patch+json",
     "[{\"op\":\"add\",\"path\":\"/zz\",\"value\":1,\"foo\":1},{\"op\":\"add\",\"path\":\"/x\",\"path\":\"/"
     "dat\",\"value\":1}]",
     422,
     "strict decoding error: json patch unknown field \\\"[0].foo\\\", json patch duplicate field \\\"[1].path\\\", "
     "unknown field \\\"dat\\\", unknown field \\\"zz\\\"\"",
     NULL},
    {"strict apply", "PATCH", CM "/b?fieldValidation=Strict&fieldManager=m", "application/apply-patch+yaml",
     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {a: b}\ndata: {c: d}\n", 400,
     "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\\n  line 5: key \\\"data\\\" "
     "already set in map\"",
     NULL},
    {"apply of who is not there", "PATCH", CM "/b?fieldManager=m", "application/apply-patch+yaml",
     "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"b\",\"uid\":\"u\"}}", 409,
     "uid mismatch: the provided object specified uid u, and no existing object was found", NULL},
    {"apply without a version", "PATCH", CM "/b?fieldManager=m", "application/apply-patch+yaml", "kind: ConfigMap", 400,
     "Incorrect version specified in apply patch. Specified patch version: , expected: v1", NULL},
    {"apply without a kind", "PATCH", CM "/b?fieldManager=m", "application/apply-patch+yaml", "apiVersion: v1", 500,
     "no corresponding type for /v1, Kind=\"", NULL},
    {"apply of a list", "PATCH", CM "/b?fieldManager=m", "application/apply-patch+yaml", "[]", 400,
     "cannot unmarshal array", NULL},
    {"apply without a name", "PATCH", CM "/b?fieldManager=m", "application/apply-patch+yaml",
     "apiVersion: v1\nkind: ConfigMap\n", 400, "(b based on URL) was undeterminable: name must be provided", NULL},
    {"ignore", "POST", CM "?fieldValidation=Ignore&dryRun=All", JSON, "{\"metadata\":{\"name\":\"s\"},\"dat\":{}}", 201,
     "\"name\":\"s\"", "dat\":{}"},
    {"dry run wrote nothing", "GET", CM "/s", "", "", 404, "not found", NULL},
    {"bad dry run", "POST", CM "?dryRun=Some", JSON, "{\"metadata\":{\"name\":\"s\"}}", 422, "Unsupported value", NULL},
    {"with a revision", "POST", CM, JSON, "{\"metadata\":{\"name\":\"s\",\"resourceVersion\":\"3\"}}", 400,
     "resourceVersion should not be set on objects to be created", NULL},
    {"merge patch", "PATCH", CM "/a", MERGE, "{\"data\":{\"k\":null,\"n\":\"1\"}}", 200, "\"data\":{\"n\":\"1\"}",
     NULL},
    {"JSON patch", "PATCH", CM "/a", JPATCH, "[{\"op\":\"replace\",\"path\":\"/data/n\",\"value\":\"2\"}]", 200,
     "\"n\":\"2\"", NULL},
    {"JSON patch test fails", "PATCH", CM "/a", JPATCH, "[{\"op\":\"test\",\"path\":\"/data/n\",\"value\":\"9\"}]", 422,
     "Invalid", NULL},
    {"strategic", "PATCH", CM "/a", "application/strategic-merge-patch+json", "{\"data\":{\"m\":\"3\"}}", 200,
     "\"m\":\"3\"", NULL},
    {"wrong patch type", "PATCH", CM "/a", JSON, "{}", 415, "UnsupportedMediaType", NULL},
    {"patch absent", "PATCH", CM "/zz", MERGE, "{}", 404, "configmaps \\\"zz\\\" not found", NULL},
    {"patch with a stale revision", "PATCH", CM "/a", MERGE, "{\"metadata\":{\"resourceVersion\":\"1\"}}", 409,
     "Operation cannot be fulfilled on configmaps \\\"a\\\": the object has been modified; please apply your changes "
     "to the "
     "latest version and try again",
     NULL},
    {"patch of the name", "PATCH", CM "/a", MERGE, "{\"metadata\":{\"name\":\"b\"}}", 400,
     "does not match the name on the URL", NULL},
    {"update", "PUT", CM "/a", JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"z\":\"1\"}}", 200,
     "\"data\":{\"z\":\"1\"}", NULL},
    {"update stale", "PUT", CM "/a", JSON, "{\"metadata\":{\"name\":\"a\",\"resourceVersion\":\"2\"}}", 409,
     "the object has been modified", NULL},
    {"update absent", "PUT", CM "/zz", JSON, "{\"metadata\":{\"name\":\"zz\"}}", 404, "configmaps \\\"zz\\\" not found",
     NULL},
    {"update of another", "PUT", CM "/a", JSON, "{\"metadata\":{\"name\":\"q\"}}", 400,
     "the name of the object (q) does not match the name on the URL (a)", NULL},
    {"POST to a name", "POST", CM "/a", JSON, "{}", 405, "MethodNotAllowed", NULL},
    {"delete with a wrong uid", "DELETE", CM "/a", JSON, "{\"preconditions\":{\"uid\":\"x\"}}", 409,
     "the UID in the precondition (x) does not match the UID in record (", NULL},
    {"delete with bad options", "DELETE", CM "/a?propagationPolicy=Sometimes", "", "", 422, "Unsupported value", NULL},
    {"delete dry", "DELETE", CM "/a?dryRun=All", "", "", 200, "Success", NULL},
    {"delete", "DELETE", CM "/a", "", "", 200, "\"status\":\"Success\"", NULL},
    {"delete again", "DELETE", CM "/a", "", "", 404, "configmaps \\\"a\\\" not found", NULL},

    {"widget", "POST", WI, JSON,
     "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"color\":\"red\"},\"status\":{\"replicas\":9}}", 201,
     "\"generation\":1", "\"status\""},
    {"default", "GET", WI "/w", "", "", 200, "\"replicas\":1", NULL},
    {"wrong type", "PATCH", WI "/w", MERGE, "{\"spec\":{\"replicas\":\"x\"}}", 422, "must be of type integer", NULL},
    {"wrong type in a core kind", "POST", CM, JSON, "{\"metadata\":{\"name\":\"b\"},\"data\":{\"k\":1}}", 400,
     "cannot unmarshal number", NULL},
    {"out of range", "PATCH", WI "/w", MERGE, "{\"spec\":{\"replicas\":-1}}", 422, "spec.replicas", NULL},
    {"generation", "PATCH", WI "/w", MERGE, "{\"spec\":{\"replicas\":2}}", 200, "\"generation\":2", NULL},
    {"metadata does not count", "PATCH", WI "/w", MERGE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 200,
     "\"generation\":2", NULL},
    {"status is not written by the object", "PATCH", WI "/w", MERGE, "{\"status\":{\"replicas\":5}}", 200,
     "\"generation\":2", "\"status\""},
    {"status", "PATCH", WI "/w/status", MERGE, "{\"status\":{\"replicas\":5},\"spec\":{\"replicas\":7}}", 200,
     "\"status\":{\"replicas\":5}", "\"replicas\":7"},
    {"scale", "GET", WI "/w/scale", "", "", 200, "\"kind\":\"Scale\"", NULL},
    {"scale patch", "PATCH", WI "/w/scale", MERGE, "{\"spec\":{\"replicas\":4}}", 200, "\"spec\":{\"replicas\":4}",
     NULL},
    {"scaled", "GET", WI "/w", "", "", 200, "\"generation\":3", NULL},
    {"scale below zero", "PATCH", WI "/w/scale", MERGE, "{\"spec\":{\"replicas\":-4}}", 422, "spec.replicas", NULL},
    {"other version", "GET", "/apis/test.hansa.io/v1beta1/namespaces/default/widgets/w", "", "", 200,
     "\"apiVersion\":\"test.hansa.io/v1beta1\"", NULL},
    {"update in the other version", "PATCH", "/apis/test.hansa.io/v1beta1/namespaces/default/widgets/w", MERGE,
     "{\"spec\":{\"color\":\"blue\"}}", 200, "\"color\":\"blue\"", NULL},
    {"seen in the first", "GET", WI "/w", "", "", 200, "\"color\":\"blue\"", NULL},
    {"finalizer", "PATCH", WI "/w", MERGE, "{\"metadata\":{\"finalizers\":[\"x.io/y\"]}}", 200, "x.io/y", NULL},
    {"delete waits", "DELETE", WI "/w", "", "", 200, "\"deletionTimestamp\"", NULL},
    {"delete waits still", "DELETE", WI "/w", "", "", 200, "\"deletionTimestamp\"", NULL},
    {"no new finalizer", "PATCH", WI "/w", MERGE, "{\"metadata\":{\"finalizers\":[\"x.io/y\",\"x.io/z\"]}}", 422,
     "no new finalizers can be added", NULL},
    {"last finalizer", "PATCH", WI "/w", MERGE, "{\"metadata\":{\"finalizers\":null}}", 200, "\"name\":\"w\"", NULL},
    {"gone", "GET", WI "/w", "", "", 404, "not found", NULL},
    {"foreground", "POST", WI, JSON, "{\"metadata\":{\"name\":\"f\"}}", 201, "", NULL},
    {"foreground waits", "DELETE", WI "/f?propagationPolicy=Foreground", "", "", 200, "foregroundDeletion", NULL},
    {"orphan made", "POST", WI, JSON, "{\"metadata\":{\"name\":\"o\"}}", 201, "", NULL},
    {"orphan waits", "DELETE", WI "/o", JSON, "{\"orphanDependents\":true}", 200, "\"finalizers\":[\"orphan\"]", NULL},
    {"one owner only controls", "POST", WI, JSON,
     "{\"metadata\":{\"name\":\"p\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"A\",\"name\":\"a\",\"uid\":"
     "\"1\","
     "\"controller\":true},{\"apiVersion\":\"v1\",\"kind\":\"B\",\"name\":\"b\",\"uid\":\"2\",\"controller\":true}]}}",
     422, "Only one reference can have Controller set to true", NULL},

    {"default stays", "DELETE", "/api/v1/namespaces/default", "", "", 403, "this namespace may not be deleted", NULL},
    {"namespace", "POST", "/api/v1/namespaces", JSON, "{\"metadata\":{\"name\":\"t\"}}", 201,
     "\"kubernetes.io/metadata.name\":\"t\"", NULL},
    {"namespace ends", "DELETE", "/api/v1/namespaces/t", "", "", 200, "\"phase\":\"Terminating\"", NULL},
    {"nothing new in it", "POST", "/api/v1/namespaces/t/configmaps", JSON, "{\"metadata\":{\"name\":\"a\"}}", 403,
     "NamespaceTerminating", NULL},
    {"finalize", "PUT", "/api/v1/namespaces/t/finalize", JSON,
     "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"t\"},\"spec\":{\"finalizers\":[]}}", 200,
     "\"t\"", NULL},
    {"namespace gone", "GET", "/api/v1/namespaces/t", "", "", 404, "namespaces \\\"t\\\" not found", NULL},

    {"collection", "DELETE", CM, "", "", 200, "\"kind\":\"ConfigMapList\"", NULL},
    {"collection gone", "GET", CM, "", "", 200, "\"items\":[]", NULL},
    {"create in no namespace", "POST", "/api/v1/configmaps", JSON, "{\"metadata\":{\"name\":\"a\"}}", 405,
     "MethodNotAllowed", NULL},
};

static void verbs(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        int status = ask(&w, w.admin, r->method, r->path, r->type, r->body);
        const char *body = text(&w);
        if (status != r->status || !strstr(body, r->has) || (r->lacks && strstr(body, r->lacks)))
            fail_msg("%s: %s %s: %d, wanted %d with '%s' without '%s': %s", r->name, r->method, r->path, status,
                     r->status, r->has, r->lacks ? r->lacks : "", body);
    }
    world_release(&w);
}

static void unchanged_writes_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    assert_int_equal(ask(&w, w.admin, "POST", CM, JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}"), 201);
    char *before = fed_strdup(text(&w));
    assert_int_equal(ask(&w, w.admin, "PATCH", CM "/a", MERGE, "{\"data\":{\"k\":\"v\"}}"), 200);
    assert_string_equal(before, text(&w));
    assert_int_equal(ask(&w, w.admin, "PUT", CM "/a", JSON, "{\"metadata\":{\"name\":\"a\"},\"data\":{\"k\":\"v\"}}"),
                     200);
    assert_string_equal(before, text(&w));
    free(before);
    world_release(&w);
}

/* --- many at once: each patch without a revision wins in the end --- */

static int left;

static void one_patched(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err)
{
    (void)ud;
    (void)res;
    if (code)
        fail_msg("%s", err->text);
    left--;
}

static bool all_patched(void *ud)
{
    (void)ud;
    return left == 0;
}

static void concurrent_patches(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    assert_int_equal(ask(&w, w.admin, "POST", CM, JSON, "{\"metadata\":{\"name\":\"a\"}}"), 201);
    left = 4;
    for (int i = 0; i < 4; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"data\":{\"k%d\":\"v\"}}", i);
        struct fed_call_request req = {
            .method = "PATCH", .path = FED_STR(CM "/a"), .content_type = FED_STR(MERGE), .body = fed_str(body)};
        w.admin->ops->call(w.admin, &req, one_patched, NULL);
    }
    assert_true(test_env_run(&w.t, all_patched, NULL));
    assert_int_equal(ask(&w, w.admin, "GET", CM "/a", "", ""), 200);
    assert_non_null(strstr(text(&w), "\"data\":{\"k0\":\"v\",\"k1\":\"v\",\"k2\":\"v\",\"k3\":\"v\"}"));
    world_release(&w);
}

/* A call canceled, or a transport freed, in the middle of a write leaves nothing behind. */
static void canceled(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 0);
    struct fed_call_request req = {
        .method = "POST", .path = FED_STR(CM), .body = FED_STR("{\"metadata\":{\"name\":\"a\"}}")};
    struct fed_call *c = w.admin->ops->call(w.admin, &req, answered, &w);
    fed_call_cancel(c);
    w.bob->ops->call(w.bob, &req, answered, &w);
    fed_transport_free(w.bob);
    w.bob = NULL;
    test_env_drain(&w.t);
    assert_int_equal(ask(&w, w.admin, "GET", CM "/a", "", ""), 404);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verbs), cmocka_unit_test(unchanged_writes_nothing),
                                       cmocka_unit_test(concurrent_patches), cmocka_unit_test(canceled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
