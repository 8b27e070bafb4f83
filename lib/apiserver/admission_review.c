/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/admission_review.h"

#include "codec/base64.h"

/* --- asking --- */

static void put_text(struct fed_buf *b, const char *key, struct fed_str s)
{
    fed_buf_addf(b, ",\"%s\":", key);
    fed_json_write_string(b, s);
}

static void put_tree(struct fed_buf *b, const char *key, const struct fed_json *v)
{
    fed_buf_addf(b, ",\"%s\":", key);
    if (v)
        fed_json_write(b, v);
    else
        fed_buf_addz(b, "null");
}

static void put_kind(struct fed_buf *b, const char *key, const struct fed_review_kind *k, bool resource)
{
    fed_buf_addf(b, ",\"%s\":{\"group\":", key);
    fed_json_write_string(b, resource ? k->resource_group : k->group);
    put_text(b, "version", resource ? k->resource_version : k->version);
    put_text(b, resource ? "resource" : "kind", resource ? k->resource : k->kind);
    fed_buf_addc(b, '}');
}

static void put_user(struct fed_buf *b, const struct fed_review *r)
{
    fed_buf_addz(b, ",\"userInfo\":{\"username\":");
    fed_json_write_string(b, r->user);
    if (r->user_uid.n)
        put_text(b, "uid", r->user_uid);
    fed_buf_addz(b, ",\"groups\":[");
    for (size_t i = 0; i < r->n_groups; i++) {
        if (i)
            fed_buf_addc(b, ',');
        fed_json_write_string(b, r->groups[i]);
    }
    fed_buf_addc(b, ']');
    if (r->extra)
        put_tree(b, "extra", r->extra);
    fed_buf_addc(b, '}');
}

void fed_review_write(struct fed_buf *b, const struct fed_review *r)
{
    fed_buf_addf(b, "{\"kind\":\"AdmissionReview\",\"apiVersion\":\"%s\",\"request\":{\"uid\":", r->api_version);
    fed_json_write_string(b, r->uid);
    put_kind(b, "kind", &r->as, false);
    put_kind(b, "resource", &r->as, true);
    if (r->subresource.n)
        put_text(b, "subResource", r->subresource);
    put_kind(b, "requestKind", &r->requested, false);
    put_kind(b, "requestResource", &r->requested, true);
    if (r->subresource.n)
        put_text(b, "requestSubResource", r->subresource);
    if (r->name.n)
        put_text(b, "name", r->name);
    if (r->ns.n)
        put_text(b, "namespace", r->ns);
    put_text(b, "operation", fed_str(fed_admit_operation_name(r->operation)));
    put_user(b, r);
    put_tree(b, "object", r->object);
    put_tree(b, "oldObject", r->old);
    fed_buf_addf(b, ",\"dryRun\":%s", r->dry_run ? "true" : "false");
    put_tree(b, "options", r->options);
    fed_buf_addz(b, "}}");
}

/* --- reading the answer --- */

static int read_patch(struct fed_arena *a, const struct fed_json *response, bool mutating,
                      struct fed_review_answer *out, struct fed_err *err)
{
    struct fed_str patch = fed_json_find_text(response, "patch"), type = fed_json_find_text(response, "patchType"), raw;
    struct fed_json *tree = NULL;
    struct fed_err why = {0};
    if (!mutating && patch.n)
        return fed_err_set(err, FED_E_INVALID, "validating webhook may not return response.patch");
    if (!mutating && type.n)
        return fed_err_set(err, FED_E_INVALID, "validating webhook may not return response.patchType");
    if (patch.n && !type.n)
        return fed_err_set(err, FED_E_INVALID, "webhook returned response.patch but not response.patchType");
    if (!patch.n && type.n)
        return fed_err_set(err, FED_E_INVALID, "webhook returned response.patchType but not response.patch");
    if (!patch.n)
        return 0;
    if (!fed_str_is(type, "JSONPatch"))
        return fed_err_set(err, FED_E_INVALID, "webhook returned invalid response.patchType of \"%.*s\"",
                           FED_STR_ARG(type));
    if (fed_base64_decode(a, patch, &raw))
        return fed_err_set(err, FED_E_INVALID, "webhook returned response.patch that is not base64");
    if (fed_json_parse(a, raw, NULL, &tree, &why) || tree->type != FED_JSON_ARRAY)
        return fed_err_set(err, FED_E_INVALID, "webhook returned response.patch that is not a JSON patch: %s",
                           why.text[0] ? why.text : "not an array");
    out->patch = tree->n ? tree : NULL;
    return 0;
}

int fed_review_read(struct fed_arena *a, struct fed_str body, const char *api_version, struct fed_str uid,
                    bool mutating, struct fed_review_answer *out, struct fed_err *err)
{
    struct fed_json *v = NULL;
    struct fed_json_limits limits = {.max_bytes = 8u * 1024 * 1024};
    struct fed_err why = {0};
    *out = (struct fed_review_answer){0};
    if (fed_json_parse(a, body, &limits, &v, &why))
        return fed_err_set(err, FED_E_INVALID, "couldn't get version/kind; json parse error: %s", why.text);
    struct fed_str version = fed_json_find_text(v, "apiVersion"), kind = fed_json_find_text(v, "kind");
    if (!fed_str_is(version, api_version) || !fed_str_is(kind, "AdmissionReview"))
        return fed_err_set(err, FED_E_INVALID,
                           "expected webhook response of %s, Kind=AdmissionReview, got %.*s, Kind=%.*s", api_version,
                           FED_STR_ARG(fed_str_head(version, 100)), FED_STR_ARG(fed_str_head(kind, 100)));
    const struct fed_json *r = fed_json_find(v, "response");
    if (!r || r->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_INVALID, "webhook response was absent");
    struct fed_str got = fed_json_find_text(r, "uid");
    bool beta = fed_str_is(fed_str(api_version), "admission.k8s.io/v1beta1"); /* which did not ask for the uid */
    if (!fed_str_eq(got, uid) && (!beta || got.n))
        return fed_err_set(err, FED_E_INVALID, "expected response.uid=\"%.*s\", got \"%.*s\"", FED_STR_ARG(uid),
                           FED_STR_ARG(fed_str_head(got, 100)));
    out->allowed = fed_json_bool(fed_json_find(r, "allowed"), false);
    const struct fed_json *status = fed_json_find(r, "status"), *warnings = fed_json_find(r, "warnings");
    const struct fed_json *notes = fed_json_find(r, "auditAnnotations");
    out->status = status && status->type == FED_JSON_OBJECT ? status : NULL;
    out->warnings = warnings && warnings->type == FED_JSON_ARRAY ? warnings : NULL;
    out->annotations = notes && notes->type == FED_JSON_OBJECT ? notes : NULL;
    return read_patch(a, r, mutating, out, err);
}

/* --- refusals --- */

int fed_review_denial(struct fed_buf *out, struct fed_str webhook, const struct fed_json *status)
{
    struct fed_str message = fed_json_find_text(status, "message"), reason = fed_json_find_text(status, "reason");
    const struct fed_json *details = fed_json_find(status, "details");
    int64_t code = fed_json_int(fed_json_find(status, "code"), 0);
    struct fed_buf text = {0};
    if (code < 400 || code > 599)
        code = 400;
    fed_buf_addf(&text, "admission webhook \"%.*s\" denied the request", FED_STR_ARG(webhook));
    if (message.n || reason.n) {
        fed_buf_addz(&text, ": ");
        fed_buf_add(&text, message.n ? message : reason);
    } else {
        fed_buf_addz(&text, " without explanation");
    }
    fed_buf_addz(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"");
    put_text(out, "message", fed_buf_str(&text));
    if (reason.n)
        put_text(out, "reason", reason);
    if (details && details->type == FED_JSON_OBJECT)
        put_tree(out, "details", details);
    fed_buf_addf(out, ",\"code\":%lld}", (long long)code);
    fed_buf_release(&text);
    return (int)code;
}

void fed_review_internal(struct fed_buf *out, const char *text)
{
    struct fed_buf m = {0};
    fed_buf_addf(&m, "Internal error occurred: %s", text);
    fed_buf_addz(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\"");
    put_text(out, "message", fed_buf_str(&m));
    fed_buf_addz(out, ",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":");
    fed_json_write_string(out, fed_str(text));
    fed_buf_addz(out, "}]},\"code\":500}");
    fed_buf_release(&m);
}
