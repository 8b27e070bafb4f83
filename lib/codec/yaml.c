/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c: the reader. libyaml gives events; the open containers are the parent links of the tree. */
#include "codec/yaml.h"

#include <yaml.h>

#include "base/map.h"
#include "codec/json_priv.h"
#include "codec/yaml_priv.h"

/* The key of a merge ("<<", plain): known by this pointer, so that a quoted "<<" stays an ordinary key. */
static const char merge_key[] = "<<";

struct reader {
    struct fed_arena *arena;
    yaml_parser_t yaml;
    yaml_event_t event;
    struct fed_json *docs, *open; /* open: the innermost container */
    struct fed_str key;           /* of the next child, when open is an object */
    yaml_mark_t key_mark;
    bool have_key;
    struct fed_map anchors; /* name: node of this document */
    uint32_t nodes_left, depth, max_depth;
    size_t alias_bytes_left; /* text that aliases may repeat */
    struct fed_json_index index;
    const struct fed_json_limits *limits;
    struct fed_err *err;
    int code;
};

static bool fail_at(struct reader *r, yaml_mark_t mark, int code, const char *what)
{
    int line = (int)mark.line + 1, col = (int)mark.column + 1;
    if (r->code)
        return false;
    r->code = fed_err_set(r->err, code, "line %d, column %d: %s", line, col, what);
    if (r->err) {
        r->err->line = line;
        r->err->col = col;
    }
    return false;
}

static bool fail(struct reader *r, int code, const char *what)
{
    return fail_at(r, r->event.start_mark, code, what);
}

static bool fail_parser(struct reader *r)
{
    yaml_mark_t mark = r->yaml.problem_mark;
    if (r->yaml.error == YAML_READER_ERROR) { /* has an offset instead of a mark: the scanner's place is near */
        mark = r->yaml.mark;
        return fail_at(r, mark, FED_E_SYNTAX, r->yaml.problem ? r->yaml.problem : "unreadable text");
    }
    return fail_at(r, mark, FED_E_SYNTAX, r->yaml.problem ? r->yaml.problem : "malformed YAML");
}

/* --- nodes --- */

static struct fed_json *new_node(struct reader *r, enum fed_json_type type)
{
    if (r->nodes_left == 0) {
        fail(r, FED_E_LIMIT, "too many values");
        return NULL;
    }
    r->nodes_left--;
    struct fed_json *v = FED_ARENA_NEW(r->arena, struct fed_json);
    v->type = type;
    return v;
}

static bool is_container(const struct fed_json *v)
{
    return v->type == FED_JSON_OBJECT || v->type == FED_JSON_ARRAY;
}

/* No trace of where it was read: it may have come from elsewhere, through an alias. */
static void forget_place(struct fed_json *v)
{
    v->off = v->end = 0;
    if (is_container(v))
        v->s.n = 0;
}

/* Gives the node its place below the open container. The key's line and column wait in off and end until the
 * container closes, for the error about a duplicate; the line where a container begins waits in its unused text. */
static void place(struct reader *r, struct fed_json *v)
{
    if (r->open->type == FED_JSON_OBJECT) {
        v->key = r->key;
        v->off = (uint32_t)r->key_mark.line;
        v->end = (uint32_t)r->key_mark.column;
        r->have_key = false;
    }
    if (is_container(v))
        v->s.n = r->event.start_mark.line;
    fed_json_append(r->open, v);
}

static void remember_anchor(struct reader *r, const yaml_char_t *anchor, struct fed_json *v)
{
    if (anchor)
        fed_map_set(&r->anchors, fed_str((const char *)anchor), v);
}

/* --- scalars --- */

enum tag { TAG_NONE, TAG_STR, TAG_INT, TAG_FLOAT, TAG_BOOL, TAG_NULL, TAG_CONTAINER, TAG_UNKNOWN };

static enum tag tag_of(const yaml_char_t *text)
{
    static const struct {
        const char *text;
        enum tag tag;
    } tags[] = {
        {"!", TAG_STR},
        {YAML_STR_TAG, TAG_STR},
        {YAML_TIMESTAMP_TAG, TAG_STR},
        {YAML_INT_TAG, TAG_INT},
        {YAML_FLOAT_TAG, TAG_FLOAT},
        {YAML_BOOL_TAG, TAG_BOOL},
        {YAML_NULL_TAG, TAG_NULL},
        {YAML_SEQ_TAG, TAG_CONTAINER},
        {YAML_MAP_TAG, TAG_CONTAINER},
    };
    if (!text)
        return TAG_NONE;
    for (size_t i = 0; i < FED_ARRAY_LEN(tags); i++)
        if (fed_str_is(fed_str((const char *)text), tags[i].text))
            return tags[i].tag;
    return TAG_UNKNOWN;
}

/* Meaning of the scalar event; false after an error. */
static bool read_scalar(struct reader *r, struct fed_str text, struct fed_yaml_scalar *out)
{
    bool plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    enum tag tag = tag_of(r->event.data.scalar.tag);
    *out = (struct fed_yaml_scalar){.type = FED_JSON_STRING};
    if (tag == TAG_UNKNOWN || tag == TAG_CONTAINER)
        return fail(r, FED_E_SYNTAX, "unsupported tag");
    if (tag == TAG_STR || (tag == TAG_NONE && !plain))
        return true;
    *out = fed_yaml_resolve(r->arena, text);
    if (out->no_json)
        return fail(r, FED_E_SYNTAX, "infinity and NaN have no JSON form");
    if (tag == TAG_NONE)
        return true;
    enum fed_json_type want = tag == TAG_BOOL ? FED_JSON_BOOL : tag == TAG_NULL ? FED_JSON_NULL : FED_JSON_NUMBER;
    return out->type == want || fail(r, FED_E_SYNTAX, "the value does not fit its tag");
}

static struct fed_str scalar_text(struct reader *r)
{
    return fed_arena_dup(r->arena, fed_str_n((const char *)r->event.data.scalar.value, r->event.data.scalar.length));
}

static bool set_key(struct reader *r, enum fed_json_type type, bool boolean, struct fed_str text)
{
    r->key_mark = r->event.start_mark;
    r->have_key = true;
    r->key = text;
    if (type == FED_JSON_BOOL)
        r->key = boolean ? FED_STR("true") : FED_STR("false");
    else if (type != FED_JSON_STRING && type != FED_JSON_NUMBER)
        return fail(r, FED_E_SYNTAX, "a key must be a string");
    return true;
}

static bool on_key(struct reader *r)
{
    struct fed_yaml_scalar s;
    struct fed_str text = scalar_text(r);
    if (!read_scalar(r, text, &s))
        return false;
    if (s.type == FED_JSON_STRING && fed_str_is(text, merge_key) && !r->event.data.scalar.tag &&
        r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        text.p = merge_key;
    return set_key(r, s.type, s.boolean, s.type == FED_JSON_NUMBER ? s.number : text);
}

static bool on_scalar(struct reader *r)
{
    struct fed_yaml_scalar s;
    if (r->open->type == FED_JSON_OBJECT && !r->have_key)
        return on_key(r);
    struct fed_str text = scalar_text(r);
    if (!read_scalar(r, text, &s))
        return false;
    /* A document of nothing (or of comments) is skipped. */
    if (r->open == r->docs && text.n == 0 && s.type == FED_JSON_NULL && !r->event.data.scalar.tag)
        return true;
    struct fed_json *v = new_node(r, s.type);
    if (!v)
        return false;
    v->boolean = s.boolean;
    if (s.type == FED_JSON_STRING)
        v->s = text;
    else if (s.type == FED_JSON_NUMBER)
        v->s = s.number;
    place(r, v);
    remember_anchor(r, r->event.data.scalar.anchor, v);
    return true;
}

/* --- aliases: copies, each node of which counts --- */

static struct fed_json *copy_one(struct reader *r, const struct fed_json *from)
{
    struct fed_json *v = new_node(r, from->type);
    if (!v)
        return NULL;
    if (from->s.n > r->alias_bytes_left || from->key.n > r->alias_bytes_left - from->s.n) {
        fail(r, FED_E_LIMIT, "aliases repeat too much text");
        return NULL;
    }
    r->alias_bytes_left -= from->s.n + from->key.n;
    v->boolean = from->boolean;
    v->s = from->s;
    return v;
}

/* Copies what is below `from` into `into`, which stands at `depth` (the root's is 1). */
static bool copy_children(struct reader *r, struct fed_json *into, const struct fed_json *from, uint32_t depth)
{
    const struct fed_json *root = from, *v = from->first;
    while (v) {
        struct fed_json *c = copy_one(r, v);
        if (!c)
            return false;
        c->key = v->key;
        fed_json_append(into, c);
        if (v->first) {
            if (++depth > r->max_depth)
                return fail(r, FED_E_LIMIT, "nested too deeply");
            into = c;
            v = v->first;
            continue;
        }
        while (!v->next && v->parent != root) {
            v = v->parent;
            into = into->parent;
            depth--;
        }
        v = v->next;
    }
    return true;
}

static bool on_alias(struct reader *r)
{
    const struct fed_json *to = fed_map_find(&r->anchors, fed_str((const char *)r->event.data.alias.anchor));
    if (!to)
        return fail(r, FED_E_SYNTAX, "alias of an unknown anchor");
    for (const struct fed_json *at = r->open; at; at = at->parent)
        if (at == to)
            return fail(r, FED_E_SYNTAX, "an anchor contains itself");
    if (r->open->type == FED_JSON_OBJECT && !r->have_key)
        return set_key(r, to->type, to->boolean, to->s);
    struct fed_json *v = copy_one(r, to);
    if (!v)
        return false;
    place(r, v);
    if (to->first && r->depth + 1 > r->max_depth)
        return fail(r, FED_E_LIMIT, "nested too deeply");
    return copy_children(r, v, to, r->depth + 1);
}

/* --- containers --- */

static bool on_open(struct reader *r, enum fed_json_type type, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    enum tag t = tag_of(tag);
    if (t != TAG_NONE && t != TAG_CONTAINER)
        return fail(r, FED_E_SYNTAX, "unsupported tag");
    if (r->open->type == FED_JSON_OBJECT && !r->have_key)
        return fail(r, FED_E_SYNTAX, "a key must be a string");
    if (r->depth == r->max_depth)
        return fail(r, FED_E_LIMIT, "nested too deeply");
    struct fed_json *v = new_node(r, type);
    if (!v)
        return false;
    r->depth++;
    place(r, v);
    remember_anchor(r, anchor, v);
    r->open = v;
    return true;
}

/* The path within its document: without the place in the list of documents. */
static const char *path_in_doc(const struct fed_json *v, struct fed_buf *path)
{
    fed_json_path(v, path);
    const char *z = strchr(fed_buf_z(path), ']'); /* of "[0]" */
    return z ? z + 1 + (z[1] == '.') : "";
}

static void on_duplicate(void *ud, struct fed_json *earlier, struct fed_json *later)
{
    struct reader *r = ud;
    struct fed_buf path = {0};
    if (r->code)
        return;
    const char *text = path_in_doc(later, &path);
    if (r->limits->on_duplicate) {
        uint32_t line = is_container(later) ? (uint32_t)later->s.n : later->off;
        struct fed_json_duplicate d = {text, earlier, later, line + 1};
        r->limits->on_duplicate(r->limits->ud, &d);
    } else {
        struct fed_buf what = {.max = 300};
        yaml_mark_t mark = {.line = later->off, .column = later->end};
        fed_buf_addf(&what, "duplicate key \"%.200s\"", text);
        fail_at(r, mark, FED_E_SYNTAX, fed_buf_z(&what));
        fed_buf_release(&what);
    }
    fed_buf_release(&path);
}

/* Appends the members of a merged object, or of each object in a list of them. */
static bool append_merged(struct reader *r, struct fed_json *obj, struct fed_json *source)
{
    if (source->type == FED_JSON_ARRAY) {
        FED_JSON_EACH(it, source)
            if (it->type != FED_JSON_OBJECT || !append_merged(r, obj, it))
                return fail(r, FED_E_SYNTAX, "a merge (<<) needs mappings");
        return true;
    }
    if (source->type != FED_JSON_OBJECT)
        return fail(r, FED_E_SYNTAX, "a merge (<<) needs mappings");
    /* Copied, not moved: an anchor may point to the source, and an alias read it again. */
    FED_JSON_EACH(it, source) {
        struct fed_json *c = copy_one(r, it);
        if (!c)
            return false;
        c->key = it->key;
        fed_json_append(obj, c);
        if (!copy_children(r, c, it, r->depth + 1))
            return false;
    }
    return true;
}

static bool close_object(struct reader *r, struct fed_json *obj)
{
    struct fed_json *merges = NULL, **tail = &merges;
    FED_JSON_EACH_SAFE(it, obj)
        if (it->key.p == merge_key) {
            fed_json_unlink(it);
            it->next = NULL;
            *tail = it;
            tail = &it->next;
        }
    fed_json_drop_duplicates(&r->index, obj, false, on_duplicate, r);
    if (r->code)
        return false;
    for (struct fed_json *m = merges, *next; m; m = next) {
        next = m->next;
        if (!append_merged(r, obj, m))
            return false;
    }
    if (merges) /* what is written out wins over what is merged, earlier merges over later ones */
        fed_json_drop_duplicates(&r->index, obj, true, NULL, NULL);
    return true;
}

static bool on_close(struct reader *r)
{
    struct fed_json *v = r->open;
    if (v->type == FED_JSON_OBJECT && !close_object(r, v))
        return false;
    FED_JSON_EACH(it, v)
        forget_place(it);
    r->open = v->parent;
    r->depth--;
    return true;
}

static bool on_event(struct reader *r)
{
    switch (r->event.type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(r);
    case YAML_ALIAS_EVENT:
        return on_alias(r);
    case YAML_MAPPING_START_EVENT:
        return on_open(r, FED_JSON_OBJECT, r->event.data.mapping_start.anchor, r->event.data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(r, FED_JSON_ARRAY, r->event.data.sequence_start.anchor, r->event.data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_close(r);
    case YAML_DOCUMENT_END_EVENT:
        fed_map_release(&r->anchors);
        return true;
    default:
        return true;
    }
}

static void read_stream(struct reader *r, struct fed_str text)
{
    bool more = true;
    if (!yaml_parser_initialize(&r->yaml)) {
        r->code = fed_err_set(r->err, FED_E_INTERNAL, "out of memory in the YAML parser");
        return;
    }
    yaml_parser_set_input_string(&r->yaml, (const unsigned char *)text.p, text.n);
    while (more) {
        if (!yaml_parser_parse(&r->yaml, &r->event)) {
            fail_parser(r);
            break;
        }
        more = on_event(r) && r->event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&r->event);
    }
    yaml_parser_delete(&r->yaml);
}

/* --- JSON is YAML, but quicker read as JSON; also libyaml refuses its surrogate escapes --- */

static void count_duplicate(void *ud, const struct fed_json_duplicate *d)
{
    struct fed_buf *first = ud;
    if (first->n == 0)
        fed_buf_addf(first, "duplicate key \"%.200s\"", d->path);
}

/* 1: *out is the document. 0: not JSON. Else a code. */
static int try_json(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                    struct fed_json **out, struct fed_err *err)
{
    struct fed_str body = fed_str_trim(text);
    if (body.n == 0 || (body.p[0] != '{' && body.p[0] != '['))
        return 0;
    struct fed_buf duplicate = {.max = 1024};
    struct fed_json_limits quiet = *limits;
    quiet.on_duplicate = count_duplicate;
    quiet.ud = &duplicate;
    int rc = fed_json_parse(a, text, &quiet, out, err);
    if (rc == FED_E_SYNTAX)
        rc = 0;
    else if (rc == 0)
        rc = 1;
    if (rc == 1 && duplicate.n && limits->on_duplicate)
        rc = fed_json_parse(a, text, limits, out, err) == 0 ? 1 : FED_E_INTERNAL; /* again, with reports */
    else if (rc == 1 && duplicate.n)
        rc = fed_err_set(err, FED_E_SYNTAX, "%s", fed_buf_z(&duplicate));
    fed_buf_release(&duplicate);
    return rc;
}

int fed_yaml_parse_all(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                       struct fed_json **out, struct fed_err *err)
{
    static const struct fed_json_limits defaults;
    struct fed_json *one;
    if (!limits)
        limits = &defaults;
    size_t max_bytes = limits->max_bytes ? limits->max_bytes : FED_JSON_DEFAULT_BYTES;
    *out = NULL;
    if (text.n > max_bytes)
        return fed_err_set(err, FED_E_LIMIT, "YAML of %zu bytes is larger than the limit of %zu", text.n, max_bytes);
    struct fed_json *docs = fed_json_array(a);
    int rc = try_json(a, text, limits, &one, err);
    if (rc < 0)
        return rc;
    if (rc == 1) {
        fed_json_push(docs, one);
        *out = docs;
        return 0;
    }
    struct reader r = {.arena = a, .docs = docs, .open = docs, .limits = limits, .err = err};
    r.nodes_left = limits->max_nodes ? limits->max_nodes : FED_JSON_DEFAULT_NODES;
    r.max_depth = limits->max_depth ? limits->max_depth : FED_JSON_DEFAULT_DEPTH;
    r.alias_bytes_left = max_bytes;
    read_stream(&r, text);
    fed_map_release(&r.anchors);
    fed_json_index_release(&r.index);
    if (r.code)
        return r.code;
    FED_JSON_EACH(it, docs)
        forget_place(it);
    *out = docs;
    return 0;
}

int fed_yaml_parse(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                   struct fed_json **out, struct fed_err *err)
{
    struct fed_json *docs;
    *out = NULL;
    int rc = fed_yaml_parse_all(a, text, limits, &docs, err);
    if (rc)
        return rc;
    if (docs->n == 0)
        return fed_err_set(err, FED_E_SYNTAX, "no YAML document");
    if (docs->n > 1)
        return fed_err_set(err, FED_E_SYNTAX, "more than one YAML document");
    *out = docs->first;
    fed_json_remove(*out);
    return 0;
}
