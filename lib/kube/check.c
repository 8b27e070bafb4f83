/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"

#include "base/map.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "kube/names.h"

static const struct fed_str none = {NULL, 0};

struct fed_str fed_shown(struct fed_arena *a, const struct fed_json *v)
{
    struct fed_buf b;
    struct fed_str out;

    if (!v)
        return FED_STR("null");
    fed_buf_init(&b, 1 << 20);
    fed_json_write(&b, v);
    out = fed_arena_dup(a, fed_str_head(fed_buf_str(&b), 1024));
    fed_buf_release(&b);
    return out;
}

struct fed_str fed_quoted(struct fed_arena *a, struct fed_str s)
{
    struct fed_buf b;
    fed_buf_init(&b, 1 << 20);
    fed_json_write_string(&b, s);
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static struct fed_str path_of(struct fed_causes *c, const char *at, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof(text), at, ap);
    return fed_arena_dup(c->arena, fed_str(text));
}

#define PATH(c, at, path)                                                                                              \
    va_list ap;                                                                                                        \
    va_start(ap, at);                                                                                                  \
    struct fed_str path = path_of(c, at, ap);                                                                          \
    va_end(ap)

void fed_bad(struct fed_causes *c, enum fed_cause_type type, struct fed_str value, const char *detail, const char *at,
             ...)
{
    PATH(c, at, path);
    fed_causes_add(c, type, path, value, "%s", detail);
}

void fed_check_required(struct fed_causes *c, struct fed_str text, const char *at, ...)
{
    if (text.n)
        return;
    PATH(c, at, path);
    fed_causes_add(c, FED_CAUSE_REQUIRED, path, none, "%s", "");
}

void fed_check_text(struct fed_causes *c, struct fed_str text, const char *(*check)(struct fed_str), const char *at,
                    ...)
{
    if (!text.n || !check(text))
        return;
    PATH(c, at, path);
    fed_check_name(c, text, check, fed_quoted(c->arena, text), path);
}

void fed_check_name(struct fed_causes *c, struct fed_str text, const char *(*check)(struct fed_str),
                    struct fed_str value, struct fed_str path)
{
    const char *why[FED_NAME_FAULTS];
    size_t n = fed_name_faults(check, text, why);
    for (size_t i = 0; i < n; i++)
        fed_causes_add(c, FED_CAUSE_INVALID, path, value, "%s", why[i]);
}

void fed_check_one_of(struct fed_causes *c, struct fed_str text, const char *const *words, const char *at, ...)
{
    struct fed_buf b;
    if (!text.n)
        return;
    for (const char *const *w = words; *w; w++)
        if (fed_str_is(text, *w))
            return;
    PATH(c, at, path);
    fed_buf_init(&b, 4096);
    fed_buf_addz(&b, "supported values: ");
    for (const char *const *w = words; *w; w++)
        fed_buf_addf(&b, "%s\"%s\"", w == words ? "" : ", ", *w);
    fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, path, fed_quoted(c->arena, text), "%s", fed_buf_z(&b));
    fed_buf_release(&b);
}

static bool path_byte(char b)
{
    return (b >= '0' && b <= '9') || ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') || (b && strchr("/-._~%!$&'()*+,;=:", b));
}

void fed_check_domain_path(struct fed_causes *c, struct fed_str text, const char *at, ...)
{
    struct fed_str rest = text, domain;
    bool well = true;
    PATH(c, at, path);
    if (!text.n) {
        fed_causes_add(c, FED_CAUSE_REQUIRED, path, (struct fed_str){NULL, 0}, "%s", "");
        return;
    }
    if (!fed_str_cut(&rest, '/', &domain) || !rest.n || !domain.n) {
        fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, text),
                       "must be a domain-prefixed path (such as \"acme.io/foo\")");
        return;
    }
    fed_check_text(c, domain, fed_name_check_subdomain, "%.*s", FED_STR_ARG(path));
    for (size_t i = 0; i < rest.n; i++)
        well = well && path_byte(rest.p[i]);
    if (!well)
        fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, rest),
                       "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%%!$&'()*+,;=:]+')");
}

void fed_check_range(struct fed_causes *c, const struct fed_json *v, int64_t low, int64_t high, const char *detail,
                     const char *at, ...)
{
    if (!v || v->type != FED_JSON_NUMBER || (fed_json_int(v, low) >= low && fed_json_int(v, low) <= high))
        return;
    PATH(c, at, path);
    fed_causes_add(c, FED_CAUSE_INVALID, path, fed_shown(c->arena, v), "%s", detail);
}

bool fed_is_ip(struct fed_str text)
{
    char z[64];
    struct in6_addr addr;
    if (!text.n || text.n >= sizeof(z))
        return false;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    return inet_pton(AF_INET, z, &addr) == 1 || inet_pton(AF_INET6, z, &addr) == 1;
}

bool fed_is_cidr(struct fed_str text)
{
    struct fed_str ip;
    uint64_t bits;
    bool six = fed_str_chr(text, ':', 0) >= 0;
    return fed_str_cut(&text, '/', &ip) && text.p && fed_is_ip(ip) && fed_str_u64(text, &bits) == 0 &&
           bits <= (six ? 128 : 32);
}

void fed_check_ip(struct fed_causes *c, struct fed_str text, const char *at, ...)
{
    if (fed_is_ip(text))
        return;
    PATH(c, at, path);
    fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, text),
                   "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
}

static bool has_backstep(struct fed_str path)
{
    struct fed_str part;
    while (path.p && fed_str_cut(&path, '/', &part))
        if (fed_str_is(part, ".."))
            return true;
    return false;
}

void fed_check_no_backsteps(struct fed_causes *c, struct fed_str text, const char *at, ...)
{
    if (!has_backstep(text))
        return;
    PATH(c, at, path);
    fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, text), "must not contain '..'");
}

void fed_check_descending(struct fed_causes *c, struct fed_str text, const char *at, ...)
{
    bool absolute = text.n && text.p[0] == '/', back = has_backstep(text);
    if (!absolute && !back)
        return;
    PATH(c, at, path);
    if (absolute)
        fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, text), "must be a relative path");
    if (back)
        fed_causes_add(c, FED_CAUSE_INVALID, path, fed_quoted(c->arena, text), "must not contain '..'");
}

void fed_check_labels(struct fed_causes *c, const struct fed_json *labels, const char *at)
{
    FED_JSON_EACH(l, labels) {
        fed_check_text(c, l->key, fed_name_check_qualified, "%s", at);
        if (l->type == FED_JSON_STRING)
            fed_check_text(c, l->s, fed_name_check_label_value, "%s", at);
    }
}

void fed_check_nonnegative(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *causes)
{
    const struct fed_json *v = fed_json_find(obj, key);

    if (v && fed_json_int(v, 0) < 0)
        fed_causes_add(causes, FED_CAUSE_INVALID, fed_arena_printf(causes->arena, "%s%s%s", at, *at ? "." : "", key),
                       fed_shown(causes->arena, v), "must be greater than or equal to 0");
}

void fed_check_port_number(const struct fed_json *v, const char *at, struct fed_causes *causes)
{
    int64_t n = fed_json_int(v, 0);

    if (n < 1 || n > 65535)
        fed_causes_add(causes, FED_CAUSE_INVALID, fed_arena_dup(causes->arena, fed_str(at)),
                       v ? fed_shown(causes->arena, v) : FED_STR("0"), "must be between 1 and 65535, inclusive");
}

void fed_check_port_ref(const struct fed_json *v, const char *at, struct fed_causes *causes)
{
    if (!v)
        return;
    if (v->type != FED_JSON_STRING) {
        fed_check_port_number(v, at, causes);
        return;
    }
    fed_check_name(causes, v->s, fed_name_check_port, fed_quoted(causes->arena, v->s), fed_str(at));
}

bool fed_seen_before(struct fed_map *seen, struct fed_str text)
{
    if (fed_map_has(seen, text))
        return true;
    fed_map_set(seen, text, NULL);
    return false;
}

bool fed_same_value(const struct fed_json *a, const struct fed_json *b)
{
    return a && b ? fed_json_equal(a, b) : !(a && (a->n || a->s.n)) && !(b && (b->n || b->s.n));
}

void fed_check_immutable(const struct fed_json *old, const struct fed_json *obj, const char *at, const char *key,
                         struct fed_causes *causes)
{
    const struct fed_json *a = fed_json_find(old, key), *b = fed_json_find(obj, key);

    if ((!a && !b) || (a && b && fed_json_equal(a, b)))
        return;
    fed_causes_add(causes, FED_CAUSE_INVALID, fed_arena_printf(causes->arena, "%s%s%s", at, *at ? "." : "", key),
                   fed_shown(causes->arena, b), "field is immutable");
}

void fed_selector_validate(const struct fed_json *selector, const char *at, struct fed_causes *c)
{
    size_t i = 0;

    FED_JSON_EACH(l, fed_json_find(selector, "matchLabels")) {
        if (!l->key.n)
            fed_check_name(c, l->key, fed_name_check_qualified, FED_STR("\"\""),
                           fed_arena_printf(c->arena, "%s.matchLabels", at));
        fed_check_text(c, l->key, fed_name_check_qualified, "%s.matchLabels", at);
        if (l->type == FED_JSON_STRING)
            fed_check_text(c, l->s, fed_name_check_label_value, "%s.matchLabels", at);
    }
    FED_JSON_EACH(e, fed_json_find(selector, "matchExpressions")) {
        struct fed_str op = fed_json_find_text(e, "operator");
        const struct fed_json *values = fed_json_find(e, "values");
        const char *here = fed_arena_printf(c->arena, "%s.matchExpressions[%zu]", at, i++).p;

        if (fed_str_is(op, "In") || fed_str_is(op, "NotIn")) {
            if (!values || !values->n)
                fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.values", here), none,
                               "must be specified when `operator` is 'In' or 'NotIn'");
        } else if (fed_str_is(op, "Exists") || fed_str_is(op, "DoesNotExist")) {
            if (values && values->n)
                fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_arena_printf(c->arena, "%s.values", here), none,
                               "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
        }
        struct fed_str key = fed_json_find_text(e, "key");
        size_t k = 0;
        fed_check_name(c, key, fed_name_check_qualified, fed_quoted(c->arena, key),
                       fed_arena_printf(c->arena, "%s.key", here));
        FED_JSON_EACH(v, values)
            fed_check_text(c, fed_json_str(v), fed_name_check_label_value, "%s.values[%zu]", here, k++);
    }
}
