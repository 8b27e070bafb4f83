/* SPDX-License-Identifier: Apache-2.0 */
/* Server-side apply and field tracking against what Kubernetes answers: tests/data/kube/ssa.jsonl has a kind (first line:
 * all sorts of lists and maps, in two versions that differ) and scripts of writes by several managers, with the object and
 * the managed fields after each step as structured-merge-diff v4.4.1 and the field manager of Kubernetes 1.29 had them. A
 * step: {op: apply | patch (a merge patch) | put, by, at: seconds, obj, v, sub, force}, and what comes of it: {want: spec,
 * status, labels…, managed: [[manager, operation, version, subresource, time, fields], …]} or {error}. */
#include "base/env.h"
#include "base/file.h"
#include "codec/patch.h"
#include "kube/crd.h"
#include "tests/unit/kube/core_kinds.h"

static struct fed_arena kept;
static struct fed_kind *kind;
static struct fed_buf file;

static struct fed_json *parse(struct fed_arena *a, struct fed_str text)
{
    struct fed_json *v = NULL;
    struct fed_err err = {0};

    if (fed_json_parse(a, text, NULL, &v, &err))
        fail_msg("%s", err.text);
    return v;
}

static struct fed_json *definition(const struct fed_json *doc)
{
    struct fed_json *crd = parse(
        &kept, FED_STR("{\"metadata\":{\"name\":\"things.t.io\"},\"spec\":{\"group\":\"t.io\",\"scope\":\"Cluster\","
                       "\"names\":{\"plural\":\"things\",\"kind\":\"Thing\"},\"versions\":[]}}"));
    struct fed_json *list = fed_json_at(crd, "spec", "versions", NULL);

    FED_JSON_EACH(v, fed_json_find(doc, "versions")) {
        struct fed_json *o = fed_json_push(
            list, parse(&kept, FED_STR("{\"served\":true,\"subresources\":{\"status\":{}},\"schema\":{}}")));

        fed_json_set(o, "name", fed_json_new_str(&kept, v->key));
        fed_json_set(o, "storage", fed_json_new_bool(&kept, fed_str_is(v->key, "v1")));
        fed_json_set(fed_json_find(o, "schema"), "openAPIV3Schema", fed_json_copy(&kept, v));
    }
    return crd;
}

static int setup(void **state)
{
    struct fed_err err = {0};
    struct fed_str first, rest;

    if (core_kinds_setup(state) || fed_file_read(HANSA_SOURCE_DIR "/tests/data/kube/ssa.jsonl", 1 << 20, &file, &err))
        return -1;
    rest = fed_buf_str(&file);
    (void)fed_str_cut(&rest, '\n', &first);
    if (fed_kind_compile(kinds, fed_crd_document(&kept, definition(parse(&kept, first))), &kind, &err))
        return -1;
    fed_kinds_put(kinds, kind);
    return 0;
}

static int teardown(void **state)
{
    fed_kind_unref(kind);
    fed_arena_release(&kept);
    fed_buf_release(&file);
    return core_kinds_teardown(state);
}

/* --- one step, as the server does it --- */

static const struct fed_kind_version *version_at(const struct fed_json *step)
{
    struct fed_str name = fed_json_find_text(step, "v");

    for (size_t i = 0; i < kind->n_versions; i++)
        if (fed_str_eq(kind->versions[i].version, name.n ? name : FED_STR("v1")))
            return &kind->versions[i];
    return NULL;
}

static void refine(const struct fed_kind_version *v, struct fed_json *obj)
{
    fed_schema_prune(v->schema, obj, NULL, NULL);
    fed_schema_drop_nulls(v->schema, obj);
    fed_schema_default(&arena, v->schema, obj);
}

static void take(struct fed_json *to, const struct fed_json *from, const char *name)
{
    const struct fed_json *v = fed_json_find(from, name);

    fed_json_remove_key(to, name);
    if (v)
        fed_json_set(to, name, fed_json_copy(&arena, v));
}

/* What this (sub)resource does not write is as it was. */
static struct fed_json *written(const struct fed_json *old, struct fed_json *obj, struct fed_str subresource)
{
    struct fed_json *out = subresource.n && old ? fed_json_copy(&arena, old) : obj;

    if (out == obj) {
        take(obj, old, "status");
    } else {
        take(out, obj, "status");
        take(fed_json_find(out, "metadata"), fed_json_find(obj, "metadata"), "managedFields");
    }
    return out;
}

static struct fed_json *convert(const struct fed_json *obj, const struct fed_kind_version *from,
                                const struct fed_kind_version *to)
{
    struct fed_json *out = obj ? fed_json_copy(&arena, obj) : NULL;

    assert_true(!out || fed_kind_convert(&arena, out, from, to, NULL) == 0);
    return out;
}

static struct fed_json *run(const struct fed_json *step, const struct fed_json *live, struct fed_err *err)
{
    const struct fed_kind_version *v = version_at(step), *stored = fed_kind_storage(kind);
    struct fed_json *old = convert(live, stored, v), *obj = fed_json_copy(&arena, fed_json_find(step, "obj")),
                    *out = NULL;
    struct fed_ssa_write how = {.manager = fed_json_find_text(step, "by"),
                                .subresource = fed_json_find_text(step, "sub"),
                                .force = fed_json_bool(fed_json_find(step, "force"), false),
                                .now_ms = fed_json_int(fed_json_find(step, "at"), 0) * 1000};
    struct fed_causes causes = {.arena = &arena};
    struct fed_str wrong;

    if (!fed_str_is(fed_json_find_text(step, "op"), "apply")) {
        out = fed_str_is(fed_json_find_text(step, "op"), "put")
                  ? obj
                  : fed_json_merge_patch(&arena, fed_json_copy(&arena, old), obj);
        fed_json_set(out, "apiVersion", fed_json_new_str(&arena, v->api_version));
        fed_json_set(out, "kind", fed_json_new_strz(&arena, "Thing"));
        refine(v, out);
        out = written(old, out, how.subresource);
        out = convert(out, v, stored);
        fed_ssa_track(&arena, stored, v, live, out, &how);
        refine(stored, out);
        return out;
    }
    fed_json_set(obj, "apiVersion", fed_json_new_str(&arena, v->api_version));
    fed_json_set(obj, "kind", fed_json_new_strz(&arena, "Thing"));
    wrong = fed_ssa_check(&arena, v->schema, obj);
    if (wrong.n) {
        fed_err_set(err, FED_E_INVALID, "failed to create typed patch object (/t; %.*s, Kind=Thing): %.*s",
                    FED_STR_ARG(v->api_version), FED_STR_ARG(wrong));
        return NULL;
    }
    if (fed_ssa_apply(&arena, v, old, obj, &how, &out, &causes, err))
        return NULL;
    fed_schema_default(&arena, v->schema, out);
    out = written(old, out, how.subresource);
    refine(v, out);
    out = convert(out, v, stored);
    refine(stored, out);
    return out;
}

/* --- what comes of it --- */

static int64_t seconds(struct fed_str time)
{
    int64_t ms = 0;

    if (!time.n)
        return 0;
    assert_int_equal(fed_time_parse(time, &ms), 0);
    return ms / 1000;
}

static struct fed_json *managed(const struct fed_json *obj)
{
    struct fed_json *out = fed_json_array(&arena);

    FED_JSON_EACH(it, fed_json_at(obj, "metadata", "managedFields", NULL)) {
        static const char *const names[] = {"manager", "operation", "apiVersion", "subresource"};
        struct fed_json *e = fed_json_push(out, fed_json_array(&arena));

        for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
            fed_json_push(e, fed_json_new_str(&arena, fed_str_from(fed_json_find_text(it, names[i]), i == 2 ? 5 : 0)));
        fed_json_push(e, fed_json_new_int(&arena, seconds(fed_json_find_text(it, "time"))));
        fed_json_push(e, fed_json_copy(&arena, fed_json_find(it, "fieldsV1")));
    }
    return out;
}

static struct fed_json *seen(const struct fed_json *obj)
{
    struct fed_json *out = fed_json_object(&arena);
    static const char *const names[] = {"labels", "annotations", "finalizers"};

    take(out, obj, "spec");
    take(out, obj, "status");
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        take(out, fed_json_find(obj, "metadata"), names[i]);
    return out;
}

static void replay(size_t line, const struct fed_json *steps)
{
    struct fed_json *live = NULL;
    size_t n = 0;

    FED_JSON_EACH(step, steps) {
        struct fed_err err = {0};
        struct fed_json *out = run(step, live, &err);
        const struct fed_json *want = fed_json_find(step, "want");

        n++;
        if (!want) {
            if (out || !fed_str_is(fed_json_find_text(step, "error"), err.text))
                fail_msg("line %zu, step %zu: %s", line, n, err.text);
            continue;
        }
        if (!out)
            fail_msg("line %zu, step %zu: %s", line, n, err.text);
        live = out;
        if (!fed_json_equal(seen(live), want))
            fail_msg("line %zu, step %zu: %s\nshould be %s", line, n, text_of(&arena, seen(live)).p,
                     text_of(&arena, want).p);
        if (!fed_json_equal(managed(live), fed_json_find(step, "managed")))
            fail_msg("line %zu, step %zu: %s\nshould be %s", line, n, text_of(&arena, managed(live)).p,
                     text_of(&arena, fed_json_find(step, "managed")).p);
        fed_json_set(fed_json_find(live, "metadata"), "uid", fed_json_new_strz(&arena, "u"));
    }
}

static void test_scripts(void **state)
{
    struct fed_str rest = fed_buf_str(&file), line;
    size_t n = 0;

    (void)state;
    while (fed_str_cut(&rest, '\n', &line)) {
        if (++n > 1 && line.n)
            replay(n, parse(&arena, line));
        fed_arena_reset(&arena);
        if (!rest.p)
            break;
    }
    assert_true(n > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
