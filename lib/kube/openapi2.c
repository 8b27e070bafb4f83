/* SPDX-License-Identifier: Apache-2.0 */
/* openapi2.c: OpenAPI v2 as JSON and as the protobuf that kubectl up to 1.28 needs: gnostic's openapi.v2.Document.
 * Field numbers: google/gnostic openapiv2/OpenAPIv2.proto. */
#include "codec/pb.h"
#include "kube/openapi_model.h"

/* Numbers of the messages that we write. */
enum {
    DOC_SWAGGER = 1,
    DOC_INFO = 2,
    DOC_PATHS = 8,
    DOC_DEFINITIONS = 9,
    SCHEMA_REF = 1,
    SCHEMA_FORMAT = 2,
    SCHEMA_DESCRIPTION = 4,
    SCHEMA_REQUIRED = 19,
    SCHEMA_ADDITIONAL = 21,
    SCHEMA_TYPE = 22,
    SCHEMA_ITEMS = 23,
    SCHEMA_PROPERTIES = 25,
    SCHEMA_EXTENSION = 31,
    OP_ID = 5,
    OP_PARAMETERS = 8,
    OP_RESPONSES = 9,
    OP_EXTENSION = 13,
    ITEM_PARAMETERS = 9
};

static void add_body(void *ud, const struct fed_shape *shape)
{
    fed_models_add_type(ud, shape);
}

static struct fed_json *document(struct fed_arena *a, const struct fed_kinds *k)
{
    struct fed_json *doc = fed_json_object(a), *info = fed_json_object(a), *paths = fed_json_object(a);
    struct fed_models m = {.arena = a, .ref_prefix = "#/definitions/", .out = fed_json_object(a)};

    for (size_t i = 0; i < fed_kinds_count(k); i++) {
        const struct fed_kind *kind = fed_kinds_at(k, i);

        for (size_t n = 0; n < kind->n_versions; n++) {
            if (!kind->versions[n].served)
                continue;
            fed_models_add_version(&m, &kind->versions[n]);
            fed_openapi_paths(a, &kind->versions[n], false, paths);
        }
    }
    fed_kinds_each_body(k, add_body, &m);
    fed_json_set(info, "title", fed_json_new_strz(a, "Hansa"));
    fed_json_set(info, "version", fed_json_new_strz(a, "v1"));
    fed_json_set(doc, "swagger", fed_json_new_strz(a, "2.0"));
    fed_json_set(doc, "info", info);
    fed_json_set(doc, "paths", paths);
    fed_json_set(doc, "definitions", m.out);
    return doc;
}

void fed_openapi_v2_json(const struct fed_kinds *k, struct fed_buf *out)
{
    struct fed_arena a = {0};

    fed_json_write(out, document(&a, k));
    fed_arena_release(&a);
}

/* --- protobuf --- */

static void put_text(struct fed_buf *b, uint32_t field, struct fed_str s)
{
    if (s.n)
        fed_pb_put_bytes(b, field, s);
}

/* NamedAny{name, Any{yaml}}; JSON is YAML. */
static void put_extension(struct fed_buf *b, uint32_t field, const struct fed_json *v)
{
    struct fed_buf text = {0};
    size_t outer = fed_pb_open(b, field), any;

    fed_pb_put_bytes(b, 1, v->key);
    any = fed_pb_open(b, 2);
    fed_json_write(&text, v);
    fed_pb_put_bytes(b, 2, fed_buf_str(&text));
    fed_pb_close(b, any);
    fed_pb_close(b, outer);
    fed_buf_release(&text);
}

static void put_schema(struct fed_buf *b, const struct fed_json *s);

/* NamedSchema list. */
static void put_named(struct fed_buf *b, const struct fed_json *map)
{
    FED_JSON_EACH(it, map) {
        size_t named = fed_pb_open(b, 1), value;

        fed_pb_put_bytes(b, 1, it->key);
        value = fed_pb_open(b, 2);
        put_schema(b, it);
        fed_pb_close(b, value);
        fed_pb_close(b, named);
    }
}

/* A message that holds one schema in its field 1. */
static void put_wrapped(struct fed_buf *b, uint32_t field, const struct fed_json *s)
{
    size_t outer, inner;

    if (!s)
        return;
    outer = fed_pb_open(b, field);
    inner = fed_pb_open(b, 1);
    put_schema(b, s);
    fed_pb_close(b, inner);
    fed_pb_close(b, outer);
}

static void put_schema(struct fed_buf *b, const struct fed_json *s)
{
    const struct fed_json *props = fed_json_find(s, "properties");
    size_t mark;

    put_text(b, SCHEMA_REF, fed_json_find_text(s, "$ref"));
    put_text(b, SCHEMA_FORMAT, fed_json_find_text(s, "format"));
    put_text(b, SCHEMA_DESCRIPTION, fed_json_find_text(s, "description"));
    FED_JSON_EACH(r, fed_json_find(s, "required"))
        put_text(b, SCHEMA_REQUIRED, fed_json_str(r));
    put_wrapped(b, SCHEMA_ADDITIONAL, fed_json_find(s, "additionalProperties"));
    if (fed_json_find_text(s, "type").n) {
        mark = fed_pb_open(b, SCHEMA_TYPE);
        fed_pb_put_bytes(b, 1, fed_json_find_text(s, "type"));
        fed_pb_close(b, mark);
    }
    put_wrapped(b, SCHEMA_ITEMS, fed_json_find(s, "items"));
    if (props) {
        mark = fed_pb_open(b, SCHEMA_PROPERTIES);
        put_named(b, props);
        fed_pb_close(b, mark);
    }
    FED_JSON_EACH(it, s)
        if (fed_str_starts(it->key, FED_STR("x-")))
            put_extension(b, SCHEMA_EXTENSION, it);
}

/* ParametersItem{Parameter{NonBodyParameter{query = 3 | path = 4}}} */
static void put_parameter(struct fed_buf *b, uint32_t field, const struct fed_json *p)
{
    bool path = fed_str_is(fed_json_find_text(p, "in"), "path");
    size_t item = fed_pb_open(b, field), parameter = fed_pb_open(b, 1), non_body = fed_pb_open(b, 2);
    size_t sub = fed_pb_open(b, path ? 4 : 3);

    if (path)
        fed_pb_put_varint(b, 1, 1);
    put_text(b, 2, fed_json_find_text(p, "in"));
    put_text(b, 4, fed_json_find_text(p, "name"));
    put_text(b, path ? 5 : 6, fed_json_find_text(p, "type"));
    fed_pb_close(b, sub);
    fed_pb_close(b, non_body);
    fed_pb_close(b, parameter);
    fed_pb_close(b, item);
}

/* Responses{NamedResponseValue{name, ResponseValue{Response{description}}}} */
static void put_responses(struct fed_buf *b, const struct fed_json *list)
{
    size_t all = fed_pb_open(b, OP_RESPONSES);

    FED_JSON_EACH(it, list) {
        size_t named = fed_pb_open(b, 1), value, response;

        fed_pb_put_bytes(b, 1, it->key);
        value = fed_pb_open(b, 2);
        response = fed_pb_open(b, 1);
        put_text(b, 1, fed_json_find_text(it, "description"));
        fed_pb_close(b, response);
        fed_pb_close(b, value);
        fed_pb_close(b, named);
    }
    fed_pb_close(b, all);
}

static void put_operation(struct fed_buf *b, uint32_t field, const struct fed_json *op)
{
    size_t mark = fed_pb_open(b, field);

    put_text(b, OP_ID, fed_json_find_text(op, "operationId"));
    FED_JSON_EACH(p, fed_json_find(op, "parameters"))
        put_parameter(b, OP_PARAMETERS, p);
    put_responses(b, fed_json_find(op, "responses"));
    FED_JSON_EACH(it, op)
        if (fed_str_starts(it->key, FED_STR("x-")))
            put_extension(b, OP_EXTENSION, it);
    fed_pb_close(b, mark);
}

static void put_paths(struct fed_buf *b, const struct fed_json *paths)
{
    static const struct {
        const char *method;
        uint32_t field;
    } methods[] = {{"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
    size_t all = fed_pb_open(b, DOC_PATHS);

    FED_JSON_EACH(it, paths) {
        size_t named = fed_pb_open(b, 2), value;

        fed_pb_put_bytes(b, 1, it->key);
        value = fed_pb_open(b, 2);
        for (size_t i = 0; i < FED_ARRAY_LEN(methods); i++)
            if (fed_json_find(it, methods[i].method))
                put_operation(b, methods[i].field, fed_json_find(it, methods[i].method));
        FED_JSON_EACH(p, fed_json_find(it, "parameters"))
            put_parameter(b, ITEM_PARAMETERS, p);
        fed_pb_close(b, value);
        fed_pb_close(b, named);
    }
    fed_pb_close(b, all);
}

void fed_openapi_v2_pb(const struct fed_kinds *k, struct fed_buf *out)
{
    struct fed_arena a = {0};
    struct fed_json *doc = document(&a, k);
    const struct fed_json *info = fed_json_find(doc, "info");
    size_t mark;

    put_text(out, DOC_SWAGGER, fed_json_find_text(doc, "swagger"));
    mark = fed_pb_open(out, DOC_INFO);
    put_text(out, 1, fed_json_find_text(info, "title"));
    put_text(out, 2, fed_json_find_text(info, "version"));
    fed_pb_close(out, mark);
    put_paths(out, fed_json_find(doc, "paths"));
    mark = fed_pb_open(out, DOC_DEFINITIONS);
    put_named(out, fed_json_find(doc, "definitions"));
    fed_pb_close(out, mark);
    fed_arena_release(&a);
}
