/* SPDX-License-Identifier: Apache-2.0 */
/* pbtranscode.c: application/vnd.kubernetes.protobuf bodies into trees, by the field numbers of the schemas.
 *
 * Envelope: "k8s\0", then runtime.Unknown {1: TypeMeta {1: apiVersion, 2: kind}, 2: raw}. Go writes every field that is
 * no pointer, also when empty; as JSON would leave those out, an empty string or zero is dropped unless the schema marks
 * the field as a pointer (x-pb-ptr). Unknown fields are skipped: a newer client may know more than we do. */
#include "base/env.h"
#include "codec/base64.h"
#include "codec/pb.h"
#include "kube/schema_priv.h"

enum { MAX_DEPTH = 64, MAX_NODES = 500000 };

struct decoder {
    struct fed_arena *arena;
    struct fed_err *err;
    int depth;
    uint32_t nodes;
};

static struct fed_json *decode_value(struct decoder *d, const struct fed_schema *s, const struct fed_pb_field *f);

static bool fail(struct decoder *d, const char *what)
{
    if (!d->err->code)
        fed_err_set(d->err, FED_E_BAD_REQUEST, "protobuf body: %s", what);
    return false;
}

static bool utf8_valid(struct fed_str s)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = s.n ? p + s.n : p;

    while (p < end) {
        unsigned c = *p++, need = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        uint32_t v;

        if (c < 0x80)
            continue;
        if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < need)
            return false;
        v = c & (0x3fu >> need);
        for (unsigned i = 0; i < need; i++, p++) {
            if ((*p & 0xc0) != 0x80)
                return false;
            v = v << 6 | (*p & 0x3fu);
        }
        if ((need == 2 && (v < 0x800 || (v >= 0xd800 && v < 0xe000))) || (need == 3 && (v < 0x10000 || v > 0x10ffff)))
            return false;
    }
    return true;
}

static struct fed_json *text_node(struct decoder *d, struct fed_str s)
{
    if (!utf8_valid(s)) {
        fail(d, "a string is not UTF-8");
        return NULL;
    }
    return fed_json_new_str(d->arena, fed_arena_dup(d->arena, s));
}

/* Field `number` of a small message; wire type as given. */
static bool sub_field(struct fed_str message, uint32_t number, struct fed_pb_field *out)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;
    bool found = false;

    fed_pb_reader_init(&r, message);
    while (fed_pb_next(&r, &f)) {
        if (f.number == number) {
            *out = f;
            found = true;
        }
    }
    return found && !r.failed;
}

/* {1: seconds, 2: nanos}; an empty message is Go's zero time: absent. */
static struct fed_json *time_node(struct decoder *d, const struct fed_schema *s, struct fed_str message)
{
    struct fed_pb_field f;
    int64_t seconds = 0, ms;
    char text[28];

    if (!message.n)
        return NULL;
    if (sub_field(message, 1, &f))
        seconds = (int64_t)f.value;
    if (seconds < -62135596800 || seconds > 253402300799) {
        fail(d, "a time is out of range");
        return NULL;
    }
    ms = seconds * 1000;
    if (s->shape->format == FED_FORMAT_MICRO_TIME) {
        uint64_t nanos = sub_field(message, 2, &f) ? f.value : 0;

        fed_time_format_micro(ms, text);
        if (nanos < 1000000000)
            snprintf(text + 20, 8, "%06uZ", (unsigned)(nanos / 1000) % 1000000u);
    } else {
        fed_time_format(ms, text);
    }
    return fed_json_new_str(d->arena, fed_arena_dup(d->arena, fed_str(text)));
}

static struct fed_json *int_or_string(struct decoder *d, struct fed_str message)
{
    struct fed_pb_field f;
    bool text = sub_field(message, 1, &f) && f.value == 1;

    if (text)
        return text_node(d, sub_field(message, 3, &f) && f.wire == 2 ? f.data : (struct fed_str){"", 0});
    return fed_json_new_int(d->arena, sub_field(message, 2, &f) ? (int32_t)f.value : 0);
}

static struct fed_json *string_node(struct decoder *d, const struct fed_schema *s, const struct fed_pb_field *f)
{
    struct fed_pb_field inner;
    struct fed_buf b;
    struct fed_json *v;

    switch (s->shape->format) {
    case FED_FORMAT_TIME:
    case FED_FORMAT_MICRO_TIME:
        return time_node(d, s, f->data);
    case FED_FORMAT_QUANTITY:
        if (!sub_field(f->data, 1, &inner) || inner.wire != 2 || !inner.data.n)
            return fed_json_new_strz(d->arena, "0");
        return text_node(d, inner.data);
    case FED_FORMAT_BYTE:
        fed_buf_init(&b, 8 << 20);
        fed_base64_encode(&b, f->data);
        v = fed_json_new_str(d->arena, fed_arena_dup(d->arena, fed_buf_str(&b)));
        fed_buf_release(&b);
        return v;
    default:
        return text_node(d, f->data);
    }
}

/* {1: JSON text} */
static struct fed_json *raw_node(struct decoder *d, struct fed_str message)
{
    struct fed_pb_field f;
    struct fed_json *v = NULL;

    if (!sub_field(message, 1, &f) || f.wire != 2 || !f.data.n)
        return NULL;
    if (fed_json_parse(d->arena, fed_arena_dup(d->arena, f.data), NULL, &v, NULL)) {
        fail(d, "embedded text is not JSON");
        return NULL;
    }
    /* The subtree came from text within the limits of the reader; count it by its size. */
    d->nodes += (uint32_t)(f.data.n / 8);
    return v;
}

static bool is_empty(const struct fed_json *v)
{
    switch (v->type) {
    case FED_JSON_STRING:
        return v->s.n == 0;
    case FED_JSON_BOOL:
        return !v->boolean;
    case FED_JSON_NUMBER:
        return fed_str_is(v->s, "0");
    default:
        return false;
    }
}

/* {1: key, 2: value}; an absent value is the type's zero. */
static bool decode_entry(struct decoder *d, const struct fed_schema *s, struct fed_str message, struct fed_json *map)
{
    struct fed_pb_field key = {.wire = 2}, value = {.wire = 2};
    struct fed_json *v;

    if (sub_field(message, 1, &key) && key.wire != 2)
        return fail(d, "a map key is not a string");
    sub_field(message, 2, &value);
    if (!utf8_valid(key.data))
        return fail(d, "a map key is not UTF-8");
    v = decode_value(d, s->shape->additional, &value);
    if (!v)
        return d->err->code == 0;
    fed_json_set_str(map, fed_arena_dup(d->arena, key.data), v);
    return true;
}

static bool decode_message(struct decoder *d, const struct fed_shape *shape, struct fed_str data, uint16_t outer,
                           struct fed_json *obj);

static struct fed_json *wrapped_list(struct decoder *d, const struct fed_schema *s, struct fed_str message)
{
    struct fed_json *list = fed_json_array(d->arena);
    struct fed_pb_reader r;
    struct fed_pb_field f;

    fed_pb_reader_init(&r, message);
    while (fed_pb_next(&r, &f)) {
        struct fed_json *v = f.number == 1 ? decode_value(d, s->shape->items, &f) : NULL;

        if (v)
            fed_json_push(list, v);
    }
    return list;
}

static struct fed_json *decode_value(struct decoder *d, const struct fed_schema *s, const struct fed_pb_field *f)
{
    const struct fed_shape *shape = s->shape;
    bool bytes =
        shape->type != FED_SHAPE_INTEGER && shape->type != FED_SHAPE_BOOLEAN && shape->type != FED_SHAPE_NUMBER;
    struct fed_json *obj = NULL;
    double number;

    if (++d->nodes > MAX_NODES) {
        fail(d, "too many values");
        return NULL;
    }
    if (bytes != (f->wire == 2) && (bytes || f->data.n)) {
        fail(d, "a field has the wrong wire type");
        return NULL;
    }
    switch (shape->type) {
    case FED_SHAPE_BOOLEAN:
        return fed_json_new_bool(d->arena, f->value != 0);
    case FED_SHAPE_INTEGER:
        return fed_json_new_int(d->arena, shape->format == FED_FORMAT_INT64 ? (int64_t)f->value : (int32_t)f->value);
    case FED_SHAPE_NUMBER:
        memcpy(&number, &f->value, sizeof(number));
        return fed_json_new_number(d->arena, fed_arena_printf(d->arena, "%.17g", number == number ? number : 0));
    case FED_SHAPE_STRING:
        return string_node(d, s, f);
    case FED_SHAPE_INT_OR_STRING:
        return int_or_string(d, f->data);
    case FED_SHAPE_ARRAY:
        return shape->pb_wrap ? wrapped_list(d, s, f->data) : NULL;
    default:
        break;
    }
    if (shape->pb_raw)
        return raw_node(d, f->data);
    if (++d->depth > MAX_DEPTH) {
        fail(d, "nested too deeply");
        return NULL;
    }
    obj = fed_json_object(d->arena);
    if (!decode_message(d, shape, f->data, 0, obj))
        obj = NULL;
    d->depth--;
    return obj;
}

static const struct fed_prop *find_number(const struct fed_shape *shape, uint16_t outer, uint32_t number,
                                          bool *is_outer)
{
    *is_outer = false;
    for (uint32_t i = 0; i < shape->n_props; i++) {
        const struct fed_schema *s = &shape->props[i].schema;

        if (s->pb == number && s->pb_outer == outer && number)
            return &shape->props[i];
        if (!outer && s->pb_outer == number && number)
            *is_outer = true;
    }
    return NULL;
}

static bool add_item(struct decoder *d, const struct fed_prop *p, const struct fed_pb_field *f, struct fed_json *obj)
{
    struct fed_json *list = fed_json_ensure_array(d->arena, obj, p->name.p);
    struct fed_json *v = list ? decode_value(d, p->schema.shape->items, f) : NULL;

    if (v)
        fed_json_push(list, v);
    return d->err->code == 0;
}

static bool decode_field(struct decoder *d, const struct fed_prop *p, const struct fed_pb_field *f,
                         struct fed_json *obj)
{
    const struct fed_shape *shape = p->schema.shape;
    struct fed_json *v;

    if (shape->type == FED_SHAPE_ARRAY && !shape->pb_wrap)
        return add_item(d, p, f, obj);
    if (shape->type == FED_SHAPE_OBJECT && shape->additional && !shape->n_props) {
        v = fed_json_ensure_object(d->arena, obj, p->name.p);
        if (++d->nodes > MAX_NODES)
            return fail(d, "too many values");
        return f->wire == 2 && v ? decode_entry(d, &p->schema, f->data, v) : fail(d, "a map has the wrong wire type");
    }
    v = decode_value(d, &p->schema, f);
    if (v && (p->schema.pb_ptr || !is_empty(v)))
        fed_json_set_str(obj, p->name, v);
    return d->err->code == 0;
}

/* outer: the fields of an embedded Go struct, which is a message of its own on the wire and flat in JSON. */
static bool decode_message(struct decoder *d, const struct fed_shape *shape, struct fed_str data, uint16_t outer,
                           struct fed_json *obj)
{
    struct fed_pb_reader r;
    struct fed_pb_field f;

    fed_pb_reader_init(&r, data);
    while (fed_pb_next(&r, &f)) {
        bool is_outer;
        const struct fed_prop *p = find_number(shape, outer, f.number, &is_outer);

        if (p && !decode_field(d, p, &f, obj))
            return false;
        if (!p && is_outer && f.wire == 2 && !decode_message(d, shape, f.data, (uint16_t)f.number, obj))
            return false;
    }
    return r.failed ? fail(d, "damaged message") : true;
}

static const struct fed_schema *body_schema(const struct fed_kinds *kinds, struct fed_str api_version,
                                            struct fed_str kind)
{
    const struct fed_schema *s = fed_kinds_body(kinds, api_version, kind);

    /* Clients send DeleteOptions in the group of the resource that they delete. */
    if (!s && fed_str_is(kind, "DeleteOptions"))
        s = fed_kinds_body(kinds, FED_STR("v1"), kind);
    return s;
}

int fed_pb_to_json(struct fed_arena *a, const struct fed_kinds *kinds, struct fed_str body, struct fed_json **out,
                   struct fed_err *err)
{
    struct fed_err local = {0};
    struct decoder d = {.arena = a, .err = err ? err : &local};
    struct fed_pb_field meta, raw = {.wire = 2}, f;
    struct fed_str api_version = {NULL, 0}, kind = {NULL, 0};
    const struct fed_schema *s;
    struct fed_json *obj;

    *d.err = local;
    if (!fed_str_starts(body, FED_STR("k8s\0")))
        return fed_err_set(err, FED_E_BAD_REQUEST, "protobuf body: the prefix is missing");
    body = fed_str_from(body, 4);
    if (!sub_field(body, 1, &meta) || meta.wire != 2)
        return fed_err_set(err, FED_E_BAD_REQUEST, "protobuf body: type is missing");
    if (sub_field(meta.data, 1, &f) && f.wire == 2)
        api_version = f.data;
    if (sub_field(meta.data, 2, &f) && f.wire == 2)
        kind = f.data;
    if (sub_field(body, 2, &raw) && raw.wire != 2)
        return fed_err_set(err, FED_E_BAD_REQUEST, "protobuf body: damaged envelope");
    s = body_schema(kinds, api_version, kind);
    if (!s)
        return fed_err_set(err, FED_E_UNSUPPORTED_MEDIA, "no kind \"%.*s\" is known for version \"%.*s\" in protobuf",
                           FED_STR_ARG(fed_str_head(kind, 100)), FED_STR_ARG(fed_str_head(api_version, 100)));
    obj = fed_json_object(a);
    fed_json_set(obj, "apiVersion", fed_json_new_str(a, fed_arena_dup(a, api_version)));
    fed_json_set(obj, "kind", fed_json_new_str(a, fed_arena_dup(a, kind)));
    if (!decode_message(&d, s->shape, raw.data, 0, obj))
        return d.err->code;
    *out = obj;
    return 0;
}
