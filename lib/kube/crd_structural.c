/* SPDX-License-Identifier: Apache-2.0 */
/* crd_structural.c: whether the schema of a CustomResourceDefinition is structural, in the words and the order of Kubernetes. */
#include "kube/crd_priv.h"
#include "kube/format.h"
#include "kube/schema_priv.h"

enum level { ROOT, FIELD, ITEM };

struct fed_str fed_crd_child(struct fed_crd_walk *w, struct fed_str path, const char *name)
{
    return fed_arena_printf(w->a, "%.*s.%s", FED_STR_ARG(path), name);
}

struct fed_str fed_crd_keyed(struct fed_crd_walk *w, struct fed_str path, const char *name, struct fed_str key)
{
    return fed_arena_printf(w->a, "%.*s.%s[%.*s]", FED_STR_ARG(path), name, FED_STR_ARG(key));
}

struct fed_str fed_crd_item(struct fed_crd_walk *w, struct fed_str path, const char *name, uint32_t i)
{
    return fed_arena_printf(w->a, "%.*s.%s[%u]", FED_STR_ARG(path), name, i);
}

/* Go shows an absent text as "". */
static struct fed_str text_of(struct fed_crd_walk *w, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    if (!v)
        return FED_STR("\"\"");
    fed_buf_init(&b, 1 << 22);
    fed_json_write(&b, v);
    out = fed_arena_dup(w->a, fed_str_head(fed_buf_str(&b), 256));
    fed_buf_release(&b);
    return out;
}

void fed_crd_invalid(struct fed_crd_walk *w, struct fed_str path, const char *name, const struct fed_json *v,
                     const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_INVALID, fed_crd_child(w, path, name), text_of(w, v), "%s", why);
}

void fed_crd_required(struct fed_crd_walk *w, struct fed_str path, const char *name, const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_REQUIRED, fed_crd_child(w, path, name), (struct fed_str){NULL, 0}, "%s", why);
}

void fed_crd_forbidden(struct fed_crd_walk *w, struct fed_str path, const char *name, const char *why)
{
    fed_causes_add(w->causes, FED_CAUSE_FORBIDDEN, fed_crd_child(w, path, name), (struct fed_str){NULL, 0}, "%s", why);
}

bool fed_crd_flag(const struct fed_json *s, const char *name)
{
    return fed_json_bool(fed_json_find(s, name), false);
}

bool fed_crd_type_is(const struct fed_json *s, const char *type)
{
    return fed_str_is(fed_json_find_text(s, "type"), type);
}

/* --- values: allOf, anyOf, oneOf, not --- */

/* [{type: integer}, {type: string}], the one anyOf that may speak of types. */
static bool either_type(const struct fed_json *list)
{
    static const char *const types[] = {"integer", "string"};
    size_t i = 0;

    if (!list || list->n != 2)
        return false;
    FED_JSON_EACH(it, list)
        if (it->n != 1 || !fed_crd_type_is(it, types[i++]))
            return false;
    return true;
}

static void check_pattern(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path)
{
    struct fed_str pattern = fed_json_find_text(s, "pattern");
    struct fed_err err = {0};
    struct fed_regex *re;
    int rc;

    if (!pattern.n)
        return;
    rc = fed_regex_compile(w->a, pattern, &re, &err);
    if (rc == FED_E_UNSUPPORTED && w->warn)
        w->warn(w->ud, fed_arena_printf(w->a, "%.*s.pattern: is not evaluated: %s", FED_STR_ARG(path), err.text).p);
    else if (rc && rc != FED_E_UNSUPPORTED)
        fed_crd_invalid(w, path, "pattern", fed_json_find(s, "pattern"),
                        fed_arena_printf(w->a, "must be a valid regular expression, but isn't: %s", err.text).p);
}

/* What a branch may not say, since only the structure around it may. */
static void check_branch_words(struct fed_crd_walk *w, const struct fed_json *b, struct fed_str path)
{
    static const struct {
        const char *name, *why;
    } words[] = {{"additionalProperties", "must be undefined to be structural"},
                 {"default", "must be undefined to be structural"},
                 {"type", "must be empty to be structural"},
                 {"title", "must be empty to be structural"},
                 {"description", "must be empty to be structural"},
                 {"nullable", "must be false to be structural"},
                 {"x-kubernetes-preserve-unknown-fields", "must be false to be structural"},
                 {"x-kubernetes-embedded-resource", "must be false to be structural"},
                 {"x-kubernetes-int-or-string", "must be false to be structural"},
                 {"x-kubernetes-list-map-keys", "must be empty to be structural"},
                 {"x-kubernetes-list-type", "must be undefined to be structural"},
                 {"x-kubernetes-map-type", "must be undefined to be structural"},
                 {"x-kubernetes-validations", "must be empty to be structural"}};

    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++) {
        const struct fed_json *v = fed_json_find(b, words[i].name);

        /* What Go has no pointer for is not said when it is empty; a default and additionalProperties may be anything. */
        bool empty = v && ((v->type == FED_JSON_STRING && i >= 2 && !fed_json_str(v).n) ||
                           (v->type == FED_JSON_BOOL && i >= 2 && !fed_json_bool(v, false)) ||
                           (v->type == FED_JSON_ARRAY && i >= 2 && !v->n));

        if (v && v->type != FED_JSON_NULL && !empty)
            fed_crd_forbidden(w, path, words[i].name, words[i].why);
    }
    if (fed_json_at(b, "properties", "metadata", NULL))
        fed_causes_add(w->causes, FED_CAUSE_FORBIDDEN, fed_crd_keyed(w, path, "properties", FED_STR("metadata")),
                       (struct fed_str){NULL, 0}, "must not be specified in a nested context");
}

static void check_branches(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, bool skip_any);

static void check_branch(struct fed_crd_walk *w, const struct fed_json *b, struct fed_str path, bool skip_any)
{
    if (!b || b->type != FED_JSON_OBJECT || w->depth >= FED_CRD_MAX_DEPTH)
        return;
    w->depth++;
    check_branches(w, b, path, skip_any);
    check_branch(w, fed_json_find(b, "items"), fed_crd_child(w, path, "items"), false);
    FED_JSON_EACH(p, fed_json_find(b, "properties"))
        check_branch(w, p, fed_crd_keyed(w, path, "properties", p->key), false);
    check_branch_words(w, b, path);
    w->depth--;
}

static void check_branches(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, bool skip_any)
{
    static const char *const lists[] = {"anyOf", "allOf", "oneOf"};
    const struct fed_json *all = fed_json_find(s, "allOf");
    bool all_either = either_type(fed_json_find(all ? all->first : NULL, "anyOf"));

    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++) {
        uint32_t n = 0;

        if (i == 0 && skip_any)
            continue;
        FED_JSON_EACH(it, fed_json_find(s, lists[i])) {
            check_branch(w, it, fed_crd_item(w, path, lists[i], n), i == 1 && n == 0 && all_either);
            n++;
        }
    }
    check_branch(w, fed_json_find(s, "not"), fed_crd_child(w, path, "not"), false);
    check_pattern(w, s, path);
}

/* --- what the values at the root name must be described --- */

static void check_described(struct fed_crd_walk *w, const struct fed_json *b, const struct fed_json *s,
                            struct fed_str path, struct fed_str spath);

static void check_described_branches(struct fed_crd_walk *w, const struct fed_json *b, const struct fed_json *s,
                                     struct fed_str path, struct fed_str spath)
{
    static const char *const lists[] = {"allOf", "anyOf", "oneOf"};

    check_described(w, fed_json_find(b, "not"), s, fed_crd_child(w, path, "not"), spath);
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++) {
        uint32_t n = 0;

        FED_JSON_EACH(it, fed_json_find(b, lists[i]))
            check_described(w, it, s, fed_crd_item(w, path, lists[i], n++), spath);
    }
}

static void check_described(struct fed_crd_walk *w, const struct fed_json *b, const struct fed_json *s,
                            struct fed_str path, struct fed_str spath)
{
    if (!b || b->type != FED_JSON_OBJECT || w->depth >= FED_CRD_MAX_DEPTH)
        return;
    if (!s || s->type != FED_JSON_OBJECT) {
        fed_causes_add(w->causes, FED_CAUSE_REQUIRED, spath, (struct fed_str){NULL, 0}, "because it is defined in %.*s",
                       FED_STR_ARG(path));
        return;
    }
    w->depth++;
    check_described_branches(w, b, s, path, spath);
    check_described(w, fed_json_find(b, "items"), fed_json_find(s, "items"), fed_crd_child(w, path, "items"),
                    fed_crd_child(w, spath, "items"));
    FED_JSON_EACH(p, fed_json_find(b, "properties"))
        check_described(w, p, fed_json_find_str(fed_json_find(s, "properties"), p->key),
                        fed_crd_keyed(w, path, "properties", p->key), fed_crd_keyed(w, spath, "properties", p->key));
    w->depth--;
}

/* --- structure --- */

static void check_type(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    static const char *const missing[] = {"must not be empty at the root",
                                          "must not be empty for specified object fields",
                                          "must not be empty for specified array items"};
    const struct fed_json *type = fed_json_find(s, "type");
    bool embedded = fed_crd_flag(s, "x-kubernetes-embedded-resource"), has = fed_json_str(type).n != 0;
    bool either = fed_crd_flag(s, "x-kubernetes-int-or-string");
    bool keep = fed_crd_flag(s, "x-kubernetes-preserve-unknown-fields");

    if (either && keep)
        fed_crd_invalid(w, path, "x-kubernetes-preserve-unknown-fields",
                        fed_json_find(s, "x-kubernetes-preserve-unknown-fields"),
                        "must be false if x-kubernetes-int-or-string is true");
    if (either && embedded)
        fed_crd_invalid(w, path, "x-kubernetes-embedded-resource", fed_json_find(s, "x-kubernetes-embedded-resource"),
                        "must be false if x-kubernetes-int-or-string is true");
    if (embedded && !has)
        fed_crd_required(w, path, "type", "must be object if x-kubernetes-embedded-resource is true");
    else if (embedded && !fed_crd_type_is(s, "object"))
        fed_crd_invalid(w, path, "type", type, "must be object if x-kubernetes-embedded-resource is true");
    else if (!embedded && !has && !either && !keep)
        fed_crd_required(w, path, "type", missing[level]);
    if (fed_crd_type_is(s, "array") && !fed_json_find(s, "items"))
        fed_crd_required(w, path, "items", "must be specified");
    if (level == ROOT && has && !fed_crd_type_is(s, "object"))
        fed_crd_invalid(w, path, "type", type, "must be object at the root");
}

/* The root's metadata may say no more than how name and generateName look. */
static bool metadata_says_more(const struct fed_json *meta)
{
    FED_JSON_EACH(m, meta)
        if (!fed_str_is(m->key, "type") && !fed_str_is(m->key, "default") && !fed_str_is(m->key, "properties"))
            return true;
    FED_JSON_EACH(p, fed_json_find(meta, "properties"))
        if (!fed_str_is(p->key, "name") && !fed_str_is(p->key, "generateName"))
            return true;
    return false;
}

/* apiVersion, kind and metadata are there anyway: a schema may only narrow their names. */
static void check_implicit(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    const struct fed_json *props = fed_json_find(s, "properties"), *meta = fed_json_find(props, "metadata");
    static const char *const texts[] = {"kind", "apiVersion"};
    bool embedded = fed_crd_flag(s, "x-kubernetes-embedded-resource");

    if (level != ROOT && !embedded)
        return;
    if (embedded && fed_json_find(s, "additionalProperties"))
        fed_crd_forbidden(w, path, "additionalProperties", "must not be used if x-kubernetes-embedded-resource is set");
    if (level == ROOT && fed_json_find(s, "additionalProperties"))
        fed_crd_forbidden(w, path, "additionalProperties", "must not be used at the root");
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        const struct fed_json *p = fed_json_find(props, texts[i]);

        if (p && !fed_crd_type_is(p, "string"))
            fed_crd_invalid(w, fed_crd_keyed(w, path, "properties", fed_str(texts[i])), "type",
                            fed_json_find(p, "type"), "must be string");
    }
    if (meta && !fed_crd_type_is(meta, "object"))
        fed_crd_invalid(w, fed_crd_keyed(w, path, "properties", FED_STR("metadata")), "type",
                        fed_json_find(meta, "type"), "must be object");
    if (meta && level == ROOT && metadata_says_more(meta))
        fed_causes_add(w->causes, FED_CAUSE_FORBIDDEN, fed_crd_keyed(w, path, "properties", FED_STR("metadata")),
                       (struct fed_str){NULL, 0},
                       "must not specify anything other than name and generateName, but metadata is implicitly "
                       "specified");
    if (embedded && !fed_crd_flag(s, "x-kubernetes-preserve-unknown-fields") && (!props || !props->n))
        fed_crd_required(w, path, "properties",
                         "must not be empty if x-kubernetes-embedded-resource is true without "
                         "x-kubernetes-preserve-unknown-fields");
}

static void check_node(struct fed_crd_walk *w, const struct fed_json *s, struct fed_str path, enum level level)
{
    const struct fed_json *extra = fed_json_find(s, "additionalProperties");

    if (!s || s->type != FED_JSON_OBJECT)
        return;
    if (w->depth >= FED_CRD_MAX_DEPTH) {
        fed_causes_add(w->causes, FED_CAUSE_INVALID, path, (struct fed_str){NULL, 0}, "is nested too deeply");
        return;
    }
    w->depth++;
    check_type(w, s, path, level);
    check_implicit(w, s, path, level);
    check_branches(w, s, path, either_type(fed_json_find(s, "anyOf")));
    check_node(w, fed_json_find(s, "items"), fed_crd_child(w, path, "items"), ITEM);
    FED_JSON_EACH(p, fed_json_find(s, "properties"))
        check_node(w, p, fed_crd_keyed(w, path, "properties", p->key), FIELD);
    if (extra && extra->type == FED_JSON_OBJECT)
        check_node(w, extra, fed_crd_child(w, path, "additionalProperties"), FIELD);
    w->depth--;
}

static int by_text(const void *pa, const void *pb)
{
    const struct fed_cause *a = pa, *b = pb;
    struct fed_arena t = {0};
    int c = fed_str_cmp(fed_arena_printf(&t, "%.*s: %.*s", FED_STR_ARG(a->field), FED_STR_ARG(a->message)),
                        fed_arena_printf(&t, "%.*s: %.*s", FED_STR_ARG(b->field), FED_STR_ARG(b->message)));
    fed_arena_release(&t);
    return c;
}

bool fed_crd_structural(struct fed_crd_walk *w, const struct fed_json *schema, struct fed_str path)
{
    size_t before = w->causes->n;

    check_node(w, schema, path, ROOT);
    check_described_branches(w, schema, schema, path, path);
    qsort(w->causes->items + before, w->causes->n - before, sizeof(*w->causes->items), by_text);
    return w->causes->n == before;
}
