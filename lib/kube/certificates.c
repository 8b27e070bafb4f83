/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/certificates.h"

#include "codec/base64.h"
#include "crypto/pki_request.h"
#include "kube/names.h"
#include "kube/podspec.h"

enum { DOMAIN_MAX = 253, PATH_MAX_LEN = 253 + 1 + 63, SECONDS_MIN = 600, SHOWN_MAX = 4096 };

static const struct fed_str none = {NULL, 0};

static const char *const usages[] = {"any",
                                     "cert sign",
                                     "client auth",
                                     "code signing",
                                     "content commitment",
                                     "crl sign",
                                     "data encipherment",
                                     "decipher only",
                                     "digital signature",
                                     "email protection",
                                     "encipher only",
                                     "ipsec end system",
                                     "ipsec tunnel",
                                     "ipsec user",
                                     "key agreement",
                                     "key encipherment",
                                     "microsoft sgc",
                                     "netscape sgc",
                                     "ocsp signing",
                                     "s/mime",
                                     "server auth",
                                     "signing",
                                     "timestamping"};

static struct fed_str quoted(struct fed_arena *a, struct fed_str s)
{
    struct fed_buf b = {0};
    fed_json_write_string(&b, s);
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

const struct fed_json *fed_csr_condition(const struct fed_json *obj, const char *type)
{
    FED_JSON_EACH(c, fed_json_at(obj, "status", "conditions", NULL))
        if (fed_str_is(fed_json_find_text(c, "type"), type))
            return c;
    return NULL;
}

int fed_csr_request(struct fed_arena *a, const struct fed_json *obj, struct fed_str *pem)
{
    return fed_base64_decode(a, fed_json_find_text(fed_json_find(obj, "spec"), "request"), pem);
}

unsigned fed_csr_client_uses(const struct fed_json *list)
{
    unsigned uses = 0;
    FED_JSON_EACH(u, list) {
        if (fed_str_is(u->s, "client auth"))
            uses |= FED_PKI_CLIENT;
        else if (fed_str_is(u->s, "digital signature"))
            uses |= FED_PKI_SIGNATURE;
        else if (fed_str_is(u->s, "key encipherment"))
            uses |= FED_PKI_ENCIPHERMENT;
        else
            return 0;
    }
    return uses & FED_PKI_CLIENT ? uses : 0;
}

/* --- spec --- */

static void check_domain(struct fed_str domain, struct fed_causes *c)
{
    struct fed_str at = FED_STR("spec.signerName"), rest = domain, label;
    size_t n = 0;
    if (domain.n > DOMAIN_MAX)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, at, none, "may not be more than %d bytes", DOMAIN_MAX);
    while (rest.p && fed_str_cut(&rest, '.', &label)) {
        const char *wrong = fed_name_check_label(label);
        n++;
        if (wrong)
            fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, domain), "validating label \"%.*s\": %s",
                           FED_STR_ARG(label), wrong);
    }
    if (n < 2)
        fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, domain),
                       "should be a domain with at least two segments separated by dots");
}

static void check_signer(struct fed_str name, struct fed_causes *c)
{
    struct fed_str at = FED_STR("spec.signerName"), rest = name, domain, label;
    if (!name.n) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, at, none, "%s", "");
        return;
    }
    if (fed_str_is(name, "kubernetes.io/legacy-unknown")) {
        fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, name),
                       "the legacy signerName is not allowed via this API version");
        return;
    }
    (void)fed_str_cut(&rest, '/', &domain);
    if (!rest.p || fed_str_chr(rest, '/', 0) >= 0) {
        fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, name),
                       "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        return;
    }
    check_domain(domain, c);
    struct fed_str path = rest;
    do {
        if (!fed_str_cut(&rest, '.', &label))
            label = none;
        const char *wrong = fed_name_check_subdomain(label);
        if (wrong)
            fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, path), "validating label \"%.*s\": %s",
                           FED_STR_ARG(label), wrong);
    } while (rest.n);
    if (path.n > PATH_MAX_LEN)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, at, none, "may not be more than %d bytes", DOMAIN_MAX + 1 + PATH_MAX_LEN);
}

static bool known_usage(struct fed_str s)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(usages); i++)
        if (fed_str_is(s, usages[i]))
            return true;
    return false;
}

static void check_usages(const struct fed_json *list, struct fed_causes *c)
{
    struct fed_buf all = {0};
    size_t i = 0;
    for (size_t k = 0; k < FED_ARRAY_LEN(usages); k++)
        fed_buf_addf(&all, "%s\"%s\"", k ? ", " : "", usages[k]);
    if (!list || !list->n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.usages"), none, "%s", "");
    FED_JSON_EACH(u, list) {
        struct fed_str at = fed_arena_printf(c->arena, "spec.usages[%zu]", i++);
        if (!known_usage(u->s))
            fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, at, fed_shown(c->arena, u), "supported values: %s",
                           fed_buf_z(&all));
        for (const struct fed_json *before = list->first; before != u; before = before->next)
            if (fed_str_eq(before->s, u->s)) {
                fed_causes_add(c, FED_CAUSE_DUPLICATE, at, fed_shown(c->arena, u), "%s", "");
                break;
            }
    }
    fed_buf_release(&all);
}

/* As Go writes bytes. */
static struct fed_str shown_bytes(struct fed_arena *a, struct fed_str s)
{
    struct fed_buf b = {0};
    fed_buf_addz(&b, "[]byte{");
    for (size_t i = 0; i < s.n && i < SHOWN_MAX; i++)
        fed_buf_addf(&b, "%s0x%x", i ? ", " : "", (unsigned char)s.p[i]);
    fed_buf_addz(&b, s.n > SHOWN_MAX ? ", ...}" : "}");
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void check_spec(const struct fed_json *obj, struct fed_causes *c)
{
    const struct fed_json *spec = fed_json_find(obj, "spec"), *seconds = fed_json_find(spec, "expirationSeconds");
    struct fed_pki_request request;
    struct fed_str pem = none;
    struct fed_err err = {0};
    if (fed_csr_request(c->arena, obj, &pem) == 0 && fed_pki_request_read(c->arena, pem, &request, &err))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.request"), shown_bytes(c->arena, pem), "%s", err.text);
    check_usages(fed_json_find(spec, "usages"), c);
    check_signer(fed_json_find_text(spec, "signerName"), c);
    if (seconds && seconds->type == FED_JSON_NUMBER && fed_json_int(seconds, 0) < SECONDS_MIN)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.expirationSeconds"), fed_shown(c->arena, seconds),
                       "may not specify a duration less than 600 seconds (10 minutes)");
}

/* --- status --- */

static bool decides(struct fed_str type)
{
    return fed_str_is(type, "Approved") || fed_str_is(type, "Denied") || fed_str_is(type, "Failed");
}

static void check_condition(const struct fed_json *x, size_t i, struct fed_causes *c)
{
    struct fed_str type = fed_json_find_text(x, "type"), status = fed_json_find_text(x, "status");
    struct fed_str at = fed_arena_printf(c->arena, "status.conditions[%zu].status", i);
    bool known = fed_str_is(status, "True") || fed_str_is(status, "False") || fed_str_is(status, "Unknown");
    if (!type.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "status.conditions[%zu].type", i), none, "%s",
                       "");
    if (!status.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, at, none, "%s", "");
    else if (!known)
        fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, at, quoted(c->arena, status),
                       "supported values: \"False\", \"True\", \"Unknown\"");
    else if (decides(type) && !fed_str_is(status, "True"))
        fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, at, quoted(c->arena, status), "supported values: \"True\"");
}

static void check_conditions(const struct fed_json *list, struct fed_causes *c)
{
    bool approved = false, denied = false;
    size_t i = 0;
    FED_JSON_EACH(x, list) {
        struct fed_str type = fed_json_find_text(x, "type");
        struct fed_str at = fed_arena_printf(c->arena, "status.conditions[%zu].type", i);
        check_condition(x, i++, c);
        approved |= fed_str_is(type, "Approved");
        denied |= fed_str_is(type, "Denied");
        if (approved && denied && (fed_str_is(type, "Approved") || fed_str_is(type, "Denied")))
            fed_causes_add(c, FED_CAUSE_INVALID, at, quoted(c->arena, type),
                           "Approved and Denied conditions are mutually exclusive");
        for (const struct fed_json *before = list->first; before != x; before = before->next)
            if (type.n && fed_str_eq(fed_json_find_text(before, "type"), type)) {
                fed_causes_add(c, FED_CAUSE_DUPLICATE, at, quoted(c->arena, type), "%s", "");
                break;
            }
    }
}

static void check_certificate(const struct fed_json *obj, struct fed_causes *c)
{
    struct fed_str text = fed_json_find_text(fed_json_find(obj, "status"), "certificate"), pem;
    if (text.n && (fed_base64_decode(c->arena, text, &pem) || !fed_pki_is_chain(pem)))
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("status.certificate"), FED_STR("\"<certificate data>\""),
                       "expected one or more PEM blocks with type \"CERTIFICATE\"");
}

static void forbid(struct fed_causes *c, const char *field, const char *what, const char *type)
{
    fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_str(field), none,
                   type ? "updates may not %s a condition of type \"%s\"" : "%s%s", what, type ? type : "");
}

/* Who approves does not sign, and who signs does not approve; what was decided stays. */
static void check_change(const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const types[] = {"Approved", "Denied", "Failed"};
    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++) {
        const struct fed_json *old = fed_csr_condition(w->old, types[i]), *now = fed_csr_condition(obj, types[i]);
        if (old && !now)
            forbid(c, "status.conditions", "remove", types[i]);
        else if (fed_str_is(w->subresource, "approval") || i == 2)
            continue;
        else if (now && !old)
            forbid(c, "status.conditions", "add", types[i]);
        else if (now && !fed_json_equal(now, old))
            forbid(c, "status.conditions", "modify", types[i]);
    }
    struct fed_str before = fed_json_find_text(fed_json_find(w->old, "status"), "certificate");
    struct fed_str after = fed_json_find_text(fed_json_find(obj, "status"), "certificate");
    if (fed_str_eq(before, after))
        return;
    if (!fed_str_is(w->subresource, "status"))
        forbid(c, "status.certificate", "updates may not set certificate content", NULL);
    else if (before.n)
        forbid(c, "status.certificate", "updates may not modify existing certificate content", NULL);
}

void fed_csr_validate(void *ud FED_UNUSED, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    if (!w->old)
        check_spec(obj, c); /* it does not change afterwards */
    check_conditions(fed_json_at(obj, "status", "conditions", NULL), c);
    check_certificate(obj, c);
    if (w->old)
        check_change(w, obj, c);
}
