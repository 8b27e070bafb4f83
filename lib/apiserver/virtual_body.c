/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a virtual resource against its type, before anybody acts on it: types, and what ?fieldValidation asks. */
#include "apiserver/registry.h"

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
    if (!v->kind || !r->q.body.n || strcmp(r->q.verb, "create") != 0)
        return true;
    if (fed_api_body(r, &body, &found, NULL) || body->type != FED_JSON_OBJECT)
        return true; /* a bad body is the handler's to refuse */
    struct fed_str kind = fed_json_find_text(body, "kind");
    const struct fed_schema *s = schema_of(r, v, body, &version);
    if (!s || (kind.n && !fed_str_is(kind, v->kind)))
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
    return fed_found_tell(r, strict, &found, v->kind, in);
}
