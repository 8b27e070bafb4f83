/* SPDX-License-Identifier: Apache-2.0 */
/* Content negotiation: which form and which syntax an answer has, and what a body is. */
#include "apiserver/apiserver_priv.h"
#include "kube/gowords.h"
#include "codec/yaml.h"

struct media {
    struct fed_str type;
    struct fed_str g, v, as;
    unsigned q; /* in thousandths; 0: never */
};

/* "0.25" as 250. */
static unsigned quality(struct fed_str v)
{
    unsigned q = v.n && v.p[0] == '0' ? 0 : 1000, weight = 100;
    for (size_t i = 2; i < v.n && q < 1000 && v.p[1] == '.' && v.p[i] >= '0' && v.p[i] <= '9'; i++, weight /= 10)
        q += weight * (unsigned)(v.p[i] - '0');
    return q;
}

static bool next_media(struct fed_str *rest, struct media *m)
{
    struct fed_str one, part;
    if (!rest->p || !fed_str_cut(rest, ',', &one))
        return false;
    *m = (struct media){.q = 1000};
    (void)fed_str_cut(&one, ';', &part);
    m->type = fed_str_trim(part);
    while (one.p && fed_str_cut(&one, ';', &part)) {
        struct fed_str name, value = fed_str_trim(part);
        if (!fed_str_cut(&value, '=', &name) || !value.p)
            continue;
        if (fed_str_is(name, "g"))
            m->g = value;
        else if (fed_str_is(name, "v"))
            m->v = value;
        else if (fed_str_is(name, "as"))
            m->as = value;
        else if (fed_str_is(name, "q"))
            m->q = quality(value);
    }
    return true;
}

bool fed_accept_has(struct fed_str accept, const char *type, const char *g, const char *v, const char *as)
{
    struct media m;
    while (next_media(&accept, &m))
        if (m.q && fed_str_is(m.type, type) && fed_str_is(m.g, g) && fed_str_is(m.v, v) && fed_str_is(m.as, as))
            return true;
    return false;
}

bool fed_accept_ok(struct fed_str accept, const char *type)
{
    struct media m;
    if (!fed_str_trim(accept).n)
        return true;
    while (next_media(&accept, &m))
        if (m.q && (fed_str_ieq(m.type, fed_str(type)) || fed_str_is(m.type, "*/*") ||
                    (fed_str_is(m.type, "application/*") && fed_str_starts(fed_str(type), FED_STR("application/"))) ||
                    (fed_str_is(m.type, "text/*") && fed_str_starts(fed_str(type), FED_STR("text/")))))
            return true;
    return false;
}

bool fed_api_include_ok(const struct fed_api_reply *r)
{
    static const char *const known[] = {"", "Metadata", "Object", "None"};
    struct fed_str v = fed_query_find(&r->query, "includeObject");
    bool ok = r->form.kind != FED_FORM_TABLE;
    for (size_t i = 0; i < FED_ARRAY_LEN(known); i++)
        ok |= fed_str_is(v, known[i]);
    return ok;
}

static enum fed_include include_of(const struct fed_query *q)
{
    struct fed_str v = fed_query_find(q, "includeObject");
    return fed_str_is(v, "Object") ? FED_INCLUDE_OBJECT
           : fed_str_is(v, "None") ? FED_INCLUDE_NONE
                                   : FED_INCLUDE_METADATA;
}

/* Is this media type one that the request can be answered in? Sets the form when so. */
static bool take_media(struct fed_api_reply *r, const struct media *m)
{
    bool any = fed_str_is(m->type, "*/*") || fed_str_is(m->type, "application/*");
    bool json = any || fed_str_ieq(m->type, FED_STR("application/json"));
    bool yaml = fed_str_ieq(m->type, FED_STR("application/yaml"));
    if ((!json && !yaml) || (yaml && r->watch))
        return false;
    struct fed_form f = {.kind = FED_FORM_OBJECT, .v = r->v};
    if (m->as.n) {
        bool known =
            fed_str_is(m->g, "meta.k8s.io") && (fed_str_is(m->v, "v1") || fed_str_is(m->v, "v1beta1")) && r->kc;
        bool list = fed_str_is(m->as, "PartialObjectMetadataList");
        if (fed_str_is(m->as, "Table"))
            f.kind = FED_FORM_TABLE;
        else if (list || fed_str_is(m->as, "PartialObjectMetadata")) /* a list is no object, and an object no list */
            f.kind = r->watch || list == (strcmp(r->q.verb, "list") == 0) ? FED_FORM_PARTIAL : FED_FORM_OBJECT;
        known &= f.kind != FED_FORM_OBJECT;
        if (!known)
            return false;
        f.meta_version = fed_str_is(m->v, "v1") ? "v1" : "v1beta1";
        f.include = include_of(&r->query);
    }
    r->form = f;
    r->yaml = yaml;
    return true;
}

int fed_api_negotiate(struct fed_api_reply *r)
{
    struct fed_str accept = fed_str_trim(r->accept);
    struct fed_str pretty = fed_query_find(&r->query, "pretty");
    r->pretty = pretty.p ? fed_query_true(&r->query, "pretty")
                         : fed_str_starts(r->user_agent, FED_STR("curl/")) ||
                               fed_str_starts(r->user_agent, FED_STR("Wget/")) ||
                               fed_str_starts(r->user_agent, FED_STR("Mozilla/"));
    r->form = (struct fed_form){.kind = FED_FORM_OBJECT, .v = r->v};
    if (!accept.n)
        return 0;
    struct media m;
    unsigned best = 0; /* the first of those that are wanted most */
    while (next_media(&accept, &m))
        if (m.q > best && take_media(r, &m))
            best = m.q;
    return best ? 0 : FED_E_NOT_ACCEPTABLE;
}

/* How the body begins, in Kubernetes' way: text when it looks like JSON, else bytes. */
struct fed_str fed_api_body_begins(struct fed_arena *a, struct fed_str body)
{
    enum { SHOWN = 30 };
    const char *more = body.n > SHOWN ? " ..." : "";
    struct fed_str head = fed_str_head(body, SHOWN);
    if (!head.n)
        return FED_STR("<empty>");
    if (head.p[0] == '{')
        return fed_arena_printf(a, "%.*s%s", FED_STR_ARG(head), more);
    struct fed_buf b = {0};
    for (size_t i = 0; i < head.n; i++)
        fed_buf_addf(&b, "%02x", (unsigned char)head.p[i]);
    fed_buf_addz(&b, more);
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

/* What is no object at all: Content-Encoding is not looked at, as in Kubernetes, so packed bodies end here. */
static int unrecognized(struct fed_api_reply *r, bool json, struct fed_err *err)
{
    struct fed_str kind = r->body_kind.n ? r->body_kind
                          : r->v         ? r->v->kind->kind
                                         : FED_STR("Object"),
                   head = fed_api_body_begins(&r->arena, r->q.body);
    struct fed_err why = {0};
    if (!err) /* whoever only looks, as the audit log does */
        return FED_E_BAD_REQUEST;
    why = *err;
    struct fed_str words = json ? fed_go_json_mistake(&r->arena, r->q.body) : (struct fed_str){NULL, 0};
    if (words.n)
        (void)fed_err_set(&why, FED_E_SYNTAX, "couldn't get version/kind; json parse error: %.*s", FED_STR_ARG(words));
    return fed_err_set(err, FED_E_BAD_REQUEST, "the object provided is unrecognized (must be of type %.*s): %s (%.*s)",
                       FED_STR_ARG(kind), why.text, FED_STR_ARG(head));
}

/* Without a word YAML's reader would refuse them. */
static void ignore_duplicate(void *ud, const struct fed_json_duplicate *d)
{
    (void)ud;
    (void)d;
}

int fed_api_body(struct fed_api_reply *r, struct fed_json **out, struct fed_strict *found, struct fed_err *err)
{
    struct fed_str type = r->q.content_type, main;
    (void)fed_str_cut(&type, ';', &main);
    main = fed_str_trim(main);
    struct fed_json_limits limits = {.on_duplicate = found ? fed_strict_duplicate : ignore_duplicate, .ud = found};
    bool yaml = fed_str_ieq(main, FED_STR("application/yaml")) || fed_str_is(main, "application/apply-patch+yaml");
    if (found)
        *found = (struct fed_strict){.arena = &r->arena,
                                     .body = r->q.body,
                                     .yaml = yaml,
                                     .operations = fed_str_is(main, "application/json-patch+json")};
    bool json = !main.n || fed_str_ieq(main, FED_STR("application/json"));
    if (!r->q.body.n && !json)
        return fed_err_set(err, FED_E_BAD_REQUEST, "the request body is empty");
    int rc;
    if (json || (fed_str_ends(main, FED_STR("patch+json")) && strcmp(r->q.verb, "patch") == 0))
        rc = fed_json_parse(&r->arena, r->q.body, &limits, out, err);
    else if (yaml)
        rc = fed_yaml_parse(&r->arena, r->q.body, &limits, out, err);
    else if (fed_str_is(main, "application/vnd.kubernetes.protobuf"))
        rc = fed_pb_to_json(&r->arena, r->api->conf.kinds, r->q.body, out, err);
    else
        return fed_err_set(err, FED_E_UNSUPPORTED_MEDIA,
                           "the body of the request was in an unknown format - accepted media types include: "
                           "application/json, application/yaml, application/vnd.kubernetes.protobuf");
    if (rc == FED_E_SYNTAX &&
        !fed_str_ends(main, FED_STR("patch+json"))) /* of a patch the words of its reader are told */
        rc = unrecognized(r, !fed_str_ends(main, FED_STR("yaml")), err);
    if (rc == FED_E_LIMIT)
        rc = FED_E_TOO_LARGE;
    return rc;
}
