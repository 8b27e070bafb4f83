/* SPDX-License-Identifier: Apache-2.0 */
/* Label and field selectors of lists and watches. */
#include "apiserver/watch.h"

/* Selectable fields that are called otherwise than where they are, and numbers that are 0 where they are absent. */
static const struct alias {
    const char *field, *path, *second, *absent;
} aliases[] = {
    {"status.successful", "status.succeeded", NULL, "0"},
    {"status.replicas", "status.replicas", NULL, "0"},
    {"source", "source.component", "reportingComponent", ""},
};

static struct fed_str text_at(const struct fed_json *obj, struct fed_str path)
{
    const struct fed_json *f = fed_form_path(obj, path);
    if (f && f->type == FED_JSON_BOOL)
        return f->boolean ? FED_STR("true") : FED_STR("false");
    return f && (f->type == FED_JSON_STRING || f->type == FED_JSON_NUMBER) ? f->s : (struct fed_str){NULL, 0};
}

/* Value of a selectable field in the object; absent is the empty text. */
static struct fed_str field_value(struct fed_kobj *o, struct fed_str path, struct fed_json **tree,
                                  struct fed_arena *scratch)
{
    if (fed_str_is(path, "metadata.name"))
        return o->name;
    if (fed_str_is(path, "metadata.namespace"))
        return o->ns;
    if (!*tree)
        *tree = fed_kobj_parse(o, scratch);
    for (size_t i = 0; i < FED_ARRAY_LEN(aliases); i++) {
        const struct alias *a = &aliases[i];
        if (!fed_str_is(path, a->field))
            continue;
        struct fed_str v = text_at(*tree, fed_str(a->path));
        if (!v.n && a->second)
            v = text_at(*tree, fed_str(a->second));
        return v.n ? v : fed_str(a->absent);
    }
    return text_at(*tree, path);
}

bool fed_filter_match(const struct fed_watch_filter *f, struct fed_kobj *o, struct fed_arena *scratch)
{
    if (f->ns.n && !fed_str_eq(f->ns, o->ns))
        return false;
    if ((f->labels.n || f->labels.nothing) && !fed_selector_matches(&f->labels, o->labels, o->n_labels))
        return false;
    struct fed_json *tree = NULL;
    for (size_t i = 0; i < f->fields.n; i++) {
        const struct fed_field_req *q = &f->fields.reqs[i];
        struct fed_str v = field_value(o, q->path, &tree, scratch);
        /* An absent boolean is selected as "false" (Node spec.unschedulable). */
        bool same = fed_str_eq(v, q->value) || (!v.n && fed_str_is(q->value, "false"));
        if (same == q->not_equal)
            return false;
    }
    return true;
}

static bool selectable(const struct fed_kind_version *v, struct fed_str path)
{
    if (fed_str_is(path, "metadata.name") ||
        (fed_str_is(path, "metadata.namespace") && (v->kind->namespaced || (!v->kind->custom && !v->n_selectable))))
        return true;
    for (size_t i = 0; i < v->n_selectable; i++)
        if (fed_str_eq(v->selectable[i], path))
            return true;
    return false;
}

/* Kubernetes has words of its own for kinds with more fields than every kind has, and for custom kinds. */
static void refuse_field(struct fed_api_reply *r, struct fed_str path)
{
    const struct fed_kind *k = r->v->kind;
    if (!k->custom && fed_str_is(k->plural, "jobs"))
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "field label \"%.*s\" not supported for batchv1.Job",
                     FED_STR_ARG(path));
    else if (k->custom || r->v->n_selectable)
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "field label not supported: %.*s", FED_STR_ARG(path));
    else
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL,
                     "\"%.*s\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                     FED_STR_ARG(path));
}

bool fed_filter_read(struct fed_api_reply *r, struct fed_watch_filter *f, struct fed_arena *arena)
{
    struct fed_err err = {0};
    struct fed_str labels = fed_query_find(&r->query, "labelSelector");
    struct fed_str fields = fed_query_find(&r->query, "fieldSelector");
    f->ns = fed_arena_dup(arena, r->q.ns);
    if (labels.n && fed_selector_parse(arena, fed_arena_dup(arena, labels), &f->labels, &err)) {
        fed_api_fail_err(r, &err);
        return false;
    }
    if (fields.n && fed_field_selector_parse(arena, fed_arena_dup(arena, fields), &f->fields, &err)) {
        fed_api_fail_err(r, &err);
        return false;
    }
    for (size_t i = 0; i < f->fields.n; i++)
        if (!selectable(r->v, f->fields.reqs[i].path)) {
            refuse_field(r, f->fields.reqs[i].path);
            return false;
        }
    if (r->q.name.n) { /* a watch of one object by its path */
        struct fed_field_req *reqs = FED_ARENA_ARRAY(arena, struct fed_field_req, f->fields.n + 1);
        if (f->fields.n)
            memcpy(reqs, f->fields.reqs, f->fields.n * sizeof *reqs);
        reqs[f->fields.n] = (struct fed_field_req){FED_STR("metadata.name"), fed_arena_dup(arena, r->q.name), false};
        f->fields.reqs = reqs;
        f->fields.n++;
    }
    return true;
}
