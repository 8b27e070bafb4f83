/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a virtual resource against its type, before anybody acts on it: types, and what ?fieldValidation asks. */
#include "apiserver/registry.h"
#include "apiserver/reviews.h"

static const struct fed_schema *schema_of(struct fed_api_reply *r, const struct fed_virtual *v,
                                          const struct fed_json *body, struct fed_str *version)
{
    struct fed_str group = fed_str(v->group), api = fed_json_find_text(body, "apiVersion");
    *version = fed_str(v->version);
    fed_api_kind_home(fed_str(v->kind), &group, version);
    if (!api.n)
        api = fed_arena_printf(&r->arena, "%.*s%s%.*s", FED_STR_ARG(group), group.n ? "/" : "", FED_STR_ARG(*version));
    else
        *version = fed_str_from(api, (size_t)(fed_str_chr(api, '/', 0) + 1));
    return fed_kinds_body(r->api->conf.kinds, api, fed_str(v->kind));
}

bool fed_api_virtual_body_ok(struct fed_api_reply *r, const struct fed_virtual *v)
{
    struct fed_json *body = NULL;
    struct fed_str version, mistyped = {NULL, 0};
    struct fed_strict found;
    enum fed_strictness strict;
    struct fed_err err = {0};
    /* What is handed on (to a pod, to a proxy) has a kind, but no type. */
    if (!v->kind || strcmp(r->q.verb, "create") != 0 || !schema_of(r, v, NULL, &version))
        return true;
    r->body_kind = fed_str(v->kind);
    if (!r->q.body.n)
        return true;
    if (fed_api_body(r, &body, &found, &err)) {
        fed_api_fail_err(r, &err);
        return false;
    }
    if (body->type != FED_JSON_OBJECT)
        return true; /* the handler's to refuse */
    struct fed_str kind = fed_json_find_text(body, "kind");
    const struct fed_schema *s = schema_of(r, v, body, &version);
    if (kind.n && !fed_str_is(kind, v->kind)) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%.*s in version \"%.*s\" cannot be handled as a %s: kind mismatch",
                     FED_STR_ARG(kind), FED_STR_ARG(version), v->kind);
        return false;
    }
    if (!s)
        return true;
    if (!fed_api_strictness(r, &strict))
        return false;
    const char *in = fed_arena_dup(&r->arena, version).p;
    struct fed_causes scratch = {.arena = &r->arena};
    fed_schema_prune(s, body, fed_strict_unknown, &found);
    fed_schema_validate(s, body, &scratch, &mistyped);
    if (mistyped.n) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "%s in version \"%s\" cannot be handled as a %s: %.*s", v->kind, in,
                     v->kind, FED_STR_ARG(mistyped));
        return false;
    }
    r->body_typed = body;
    return fed_found_tell(r, strict, &found, v->kind, in);
}

int fed_api_typed_body(struct fed_api_reply *r, struct fed_json **body, struct fed_err *err)
{
    *body = r->body_typed;
    return *body ? 0 : fed_api_body(r, body, NULL, err);
}
