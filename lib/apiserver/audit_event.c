/* SPDX-License-Identifier: Apache-2.0 */
/* Records of requests, and the events that they give. */
#include "apiserver/access.h"
#include "apiserver/audit.h"
#include "apiserver/authn.h"
#include "codec/yaml.h"

enum { MAX_NOTES = 64, MAX_NOTE_KEY = 512, MAX_NOTE = 16384, MAX_LONG_NOTE = 1 << 20 };

struct fed_audit_record {
    struct fed_audit_verdict v;
    int64_t received_ms;
    struct fed_str uri, id;
    const char *verb;
    struct fed_identity user, as; /* as: when impersonated */
    struct fed_json *ips;
    const char *decision;
    struct fed_str reason;
    int status;
    bool impersonated, stranger, started, complete;
    struct fed_json *said; /* the Status that was answered */
    struct fed_json *request, *response;
    struct fed_json *notes; /* annotations of webhooks; NULL: none */
};

static const struct fed_audit *audit_of(const struct fed_api_reply *r)
{
    return r->api->conf.access ? r->api->conf.access->audit : NULL;
}

/* --- Audit-Id --- */

/* Unique, not secret: a random start and a count, mixed; a system call for each request would be dear. */
static void new_id(struct fed_api *api, char out[37])
{
    static const char hex[] = "0123456789abcdef";
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    uint64_t w[2] = {api->audit_ids[0], ++api->audit_ids[1]};
    for (int i = 0; i < 2; i++) { /* splitmix64 */
        uint64_t z = w[1] + api->audit_ids[0] + (uint64_t)i * 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        w[i] = z ^ (z >> 31);
    }
    w[0] = (w[0] & ~(uint64_t)0xf000) | 0x4000;                 /* version 4 */
    w[1] = (w[1] & ~((uint64_t)3 << 62)) | ((uint64_t)2 << 62); /* RFC 9562 variant */
    memcpy(out, "00000000-0000-0000-0000-000000000000", 37);
    for (size_t i = 0; i < 16; i++) {
        unsigned byte = (unsigned)(w[i / 8] >> (56 - 8 * (i % 8))) & 255;
        out[places[i]] = hex[byte >> 4];
        out[places[i] + 1] = hex[byte & 15];
    }
}

static bool id_is_sane(struct fed_str id)
{
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~')
            return false;
    return id.n > 0 && id.n <= 64;
}

void fed_audit_arrived(struct fed_api_reply *r)
{
    char text[37];
    struct fed_str id = fed_http_request_header(r->q.http, "audit-id");
    if (!id_is_sane(id)) {
        if (!r->api->audit_ids[0])
            fed_random(r->api->env, r->api->audit_ids, sizeof(r->api->audit_ids));
        new_id(r->api, text);
        id = fed_str(text);
    }
    fed_http_add_header(r->x, FED_STR("Audit-Id"), id);
    if (audit_of(r))
        r->audit_id = fed_arena_dup(&r->arena, id);
}

/* --- events --- */

static const char *const level_names[] = {"None", "Metadata", "Request", "RequestResponse"};

static void put_text(struct fed_arena *a, struct fed_json *o, const char *key, struct fed_str s)
{
    if (s.n)
        fed_json_set(o, key, fed_json_new_str(a, s));
}

static void put_time(struct fed_arena *a, struct fed_json *o, const char *key, int64_t ms)
{
    char text[28];
    fed_time_format_micro(ms, text);
    fed_json_set(o, key, fed_json_new_strf(a, "%s", text));
}

static void put_object_ref(struct fed_arena *a, struct fed_json *e, const struct fed_api_reply *r)
{
    const struct fed_api_request *q = &r->q;
    if (r->route != FED_ROUTE_RESOURCE)
        return;
    struct fed_json *o = fed_json_set(e, "objectRef", fed_json_object(a));
    put_text(a, o, "resource", q->resource);
    put_text(a, o, "namespace", fed_audit_namespace(q));
    put_text(a, o, "name", q->name);
    put_text(a, o, "apiGroup", q->group);
    put_text(a, o, "apiVersion", q->version);
    if (r->audit->request) { /* what the writer expected to find */
        const struct fed_json *meta = fed_json_find(r->audit->request, "metadata");
        put_text(a, o, "uid", fed_json_find_text(meta, "uid"));
        put_text(a, o, "resourceVersion", fed_json_find_text(meta, "resourceVersion"));
    }
    put_text(a, o, "subresource", q->subresource);
}

static void put_status(struct fed_arena *a, struct fed_json *e, const struct fed_audit_record *k)
{
    struct fed_json *o = fed_json_set(e, "responseStatus", fed_json_object(a));
    fed_json_set(o, "metadata", fed_json_object(a));
    if (k->said) {
        static const char *const keys[] = {"status", "message", "reason"};
        for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++)
            put_text(a, o, keys[i], fed_json_find_text(k->said, keys[i]));
        if (fed_json_find(k->said, "details"))
            fed_json_set(o, "details", fed_json_copy(a, fed_json_find(k->said, "details")));
    }
    fed_json_set(o, "code", fed_json_new_int(a, k->status));
}

static void put_deprecated(struct fed_arena *a, struct fed_json *notes, struct fed_str warning)
{
    struct fed_str release = fed_api_removed_release(warning);
    fed_json_set(notes, "k8s.io/deprecated", fed_json_new_strz(a, "true"));
    put_text(a, notes, "k8s.io/removed-release", release);
}

static void emit(struct fed_api_reply *r, unsigned stage, const char *name)
{
    struct fed_audit_record *k = r->audit;
    const struct fed_audit *audit = audit_of(r);
    if (k->v.omit & stage)
        return;
    struct fed_arena a = {0};
    struct fed_buf line = {0};
    int64_t now = fed_wall_ms(r->api->env);
    struct fed_json *e = fed_json_object(&a);
    fed_json_set(e, "kind", fed_json_new_strz(&a, "Event"));
    fed_json_set(e, "apiVersion", fed_json_new_strz(&a, "audit.k8s.io/v1"));
    fed_json_set(e, "level", fed_json_new_strz(&a, level_names[k->v.level]));
    put_text(&a, e, "auditID", k->id);
    fed_json_set(e, "stage", fed_json_new_strz(&a, name));
    put_text(&a, e, "requestURI", k->uri);
    fed_json_set(e, "verb", fed_json_new_strz(&a, k->verb));
    fed_json_set(e, "user", k->user.user.n ? fed_identity_json(&a, &k->user) : fed_json_object(&a));
    if (k->impersonated)
        fed_json_set(e, "impersonatedUser", fed_identity_json(&a, &k->as));
    if (k->ips)
        fed_json_set(e, "sourceIPs", fed_json_copy(&a, k->ips));
    put_text(&a, e, "userAgent", r->user_agent);
    put_object_ref(&a, e, r);
    if (k->status)
        put_status(&a, e, k);
    if (k->request)
        fed_json_set(e, "requestObject", fed_json_copy(&a, k->request));
    if (k->response && (stage == FED_AUDIT_COMPLETE || k->stranger))
        fed_json_set(e, "responseObject", fed_json_copy(&a, k->response));
    put_time(&a, e, "requestReceivedTimestamp", k->received_ms);
    put_time(&a, e, "stageTimestamp", now);
    if (k->decision) {
        struct fed_json *notes = k->notes ? fed_json_copy(&a, k->notes) : fed_json_object(&a);
        fed_json_set(e, "annotations", notes);
        if (r->v && r->v->warning.n)
            put_deprecated(&a, notes, r->v->warning);
        fed_json_set(notes, "authorization.k8s.io/decision", fed_json_new_strz(&a, k->decision));
        fed_json_set(notes, "authorization.k8s.io/reason", fed_json_new_str(&a, k->reason));
    }
    fed_json_write(&line, e);
    audit->put(audit->ud, fed_buf_str(&line), now);
    fed_buf_release(&line);
    fed_arena_release(&a);
}

/* --- a record --- */

static void add_ip(struct fed_arena *a, struct fed_json *list, struct fed_str text)
{
    struct fed_addr addr;
    text = fed_str_trim(text);
    if (list->n < 16 && fed_addr_parse(text, 0, &addr) == 0)
        fed_json_push(list, fed_json_new_str(a, fed_arena_dup(a, text)));
}

static struct fed_json *source_ips(struct fed_api_reply *r)
{
    struct fed_arena *a = &r->arena;
    struct fed_json *list = fed_json_array(a);
    struct fed_str rest = fed_http_request_header(r->q.http, "x-forwarded-for"), one;
    while (rest.p && fed_str_cut(&rest, ',', &one))
        add_ip(a, list, one);
    add_ip(a, list, fed_http_request_header(r->q.http, "x-real-ip"));
    char ip[48];
    fed_addr_format_ip(&r->q.http->peer, ip);
    add_ip(a, list, fed_str(ip));
    return list;
}

static bool begin(struct fed_api_reply *r)
{
    const struct fed_audit *audit = audit_of(r);
    if (!audit || r->audit)
        return false;
    struct fed_audit_verdict v = fed_audit_judge(audit->policy, &r->q);
    if (v.level == FED_AUDIT_NONE)
        return false;
    struct fed_audit_record *k = FED_ARENA_NEW(&r->arena, struct fed_audit_record);
    char id[37];
    if (!r->audit_id.n) {
        fed_uuid(r->api->env, id);
        r->audit_id = fed_arena_dup(&r->arena, fed_str(id));
    }
    k->v = v;
    k->id = r->audit_id;
    k->received_ms = fed_wall_ms(r->api->env);
    k->verb = r->q.verb;
    k->user = r->q.who;
    if (r->x) {
        k->uri = fed_arena_dup(&r->arena, r->q.http->target);
        k->ips = source_ips(r);
    } else {
        k->uri = fed_arena_printf(&r->arena, "%.*s%s%.*s", FED_STR_ARG(r->q.path), r->q.query.n ? "?" : "",
                                  FED_STR_ARG(r->q.query));
    }
    r->audit = k;
    return true;
}

void fed_audit_begin(struct fed_api_reply *r)
{
    if (begin(r))
        emit(r, FED_AUDIT_RECEIVED, "RequestReceived");
}

void fed_audit_stranger(struct fed_api_reply *r)
{
    if (begin(r))
        r->audit->stranger = true;
}

void fed_audit_impersonated(struct fed_api_reply *r)
{
    if (!r->audit)
        return;
    r->audit->impersonated = true;
    r->audit->as = r->q.who;
}

void fed_audit_decided(struct fed_api_reply *r, bool allowed, struct fed_str reason)
{
    if (!r->audit)
        return;
    r->audit->decision = allowed ? "allow" : "forbid";
    r->audit->reason = fed_arena_dup(&r->arena, reason);
}

void fed_audit_note(struct fed_api_reply *r, struct fed_str key, struct fed_str value)
{
    fed_audit_note_from(r, FED_AUDIT_METADATA, key, value);
}

void fed_audit_note_from(struct fed_api_reply *r, enum fed_audit_level least, struct fed_str key, struct fed_str value)
{
    struct fed_audit_record *k = r->audit;
    if (!k || k->v.level < least || k->complete || !key.n || key.n > MAX_NOTE_KEY ||
        value.n > (least < FED_AUDIT_REQUEST ? MAX_NOTE : MAX_LONG_NOTE))
        return;
    if (!k->notes)
        k->notes = fed_json_object(&r->arena);
    if (k->notes->n < MAX_NOTES && !fed_json_find_str(k->notes, key))
        fed_json_set_str(k->notes, fed_arena_dup(&r->arena, key),
                         fed_json_new_str(&r->arena, fed_arena_dup(&r->arena, value)));
}

static void drop_managed_fields(struct fed_json *o)
{
    fed_json_remove_key(fed_json_find(o, "metadata"), "managedFields");
    FED_JSON_EACH(i, fed_json_find(o, "items"))
        fed_json_remove_key(fed_json_find(i, "metadata"), "managedFields");
}

/* The body as a tree; NULL when it is none (a table of text, a stream). */
static struct fed_json *body_tree(struct fed_api_reply *r, const char *type, struct fed_str body)
{
    struct fed_json *o = NULL;
    struct fed_json_limits limits = {.max_bytes = 16u << 20, .max_nodes = 2000000};
    struct fed_str t = fed_str(type);
    int rc = FED_E_SYNTAX;
    if (fed_str_starts(t, FED_STR("application/json")))
        rc = fed_json_parse(&r->arena, fed_arena_dup(&r->arena, body), &limits, &o, NULL);
    else if (fed_str_starts(t, FED_STR("application/yaml")))
        rc = fed_yaml_parse(&r->arena, fed_arena_dup(&r->arena, body), &limits, &o, NULL);
    return rc ? NULL : o;
}

static bool is_write(const struct fed_api_reply *r)
{
    static const char *const verbs[] = {"create", "update", "patch", "delete", "deletecollection"};
    for (size_t i = 0; i < FED_ARRAY_LEN(verbs); i++)
        if (strcmp(r->q.verb, verbs[i]) == 0)
            return r->q.body.n > 0;
    return false;
}

static void take_request(struct fed_api_reply *r)
{
    struct fed_json *o = NULL;
    bool refused = !r->audit->decision || strcmp(r->audit->decision, "forbid") == 0; /* its body was not looked at */
    if (refused || r->audit->request || r->audit->v.level < FED_AUDIT_REQUEST || !is_write(r) ||
        fed_api_body(r, &o, NULL, NULL))
        return;
    if (r->audit->v.omit_managed_fields)
        drop_managed_fields(o);
    r->audit->request = o;
}

void fed_audit_answered(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body)
{
    struct fed_audit_record *k = r->audit;
    if (!k || k->complete)
        return;
    k->status = status;
    take_request(r);
    struct fed_json *o = NULL;
    bool said =
        body.n < 65536 && (status >= 400 || fed_str_find(fed_str_head(body, 24), FED_STR("\"Status\""), 0) >= 0);
    /* Of what is no resource only API objects are kept: a Status, discovery; not the description of all of them. */
    bool kept = k->v.level == FED_AUDIT_RESPONSE && (r->route == FED_ROUTE_RESOURCE || body.n < 65536);
    if (said || kept)
        o = body_tree(r, content_type ? content_type : "", body);
    struct fed_str kind = fed_json_find_text(o, "kind");
    if (said && fed_str_is(kind, "Status"))
        k->said = o;
    if (!kept || !kind.n)
        return;
    if (k->v.omit_managed_fields)
        drop_managed_fields(o);
    k->response = o;
}

void fed_audit_started(struct fed_api_reply *r, int status)
{
    if (!r->audit || r->audit->complete)
        return;
    r->audit->status = status;
    r->audit->started = true;
    emit(r, FED_AUDIT_STARTED, "ResponseStarted");
}

/* What may take long has an event when it begins, however soon it ends. */
static bool long_running(const struct fed_api_request *q)
{
    static const char *const subs[] = {"attach", "exec", "log", "portforward", "proxy"};
    for (size_t i = 0; i < FED_ARRAY_LEN(subs); i++)
        if (fed_str_is(q->subresource, subs[i]))
            return true;
    return strcmp(q->verb, "watch") == 0;
}

void fed_audit_end(struct fed_api_reply *r)
{
    struct fed_audit_record *k = r->audit;
    if (!k || k->complete)
        return;
    k->complete = true;
    if (!k->status)
        k->status = 200;
    if (k->stranger || (!k->started && long_running(&r->q)))
        emit(r, FED_AUDIT_STARTED, "ResponseStarted");
    if (!k->stranger)
        emit(r, FED_AUDIT_COMPLETE, "ResponseComplete");
}
