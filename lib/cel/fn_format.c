/* SPDX-License-Identifier: Apache-2.0 */
/* fn_format.c: Kubernetes' named formats: format.dns1123Label().validate(x) is none, or a list of what is wrong. */
#include "cel/cel_priv.h"
#include "codec/base64.h"

enum { LABEL_MAX = 63, SUBDOMAIN_MAX = 253 };

static const char label_words[] = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or "
                                  "'-', and must start and end with an "
                                  "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
                                  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
static const char subdomain_words[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
static const char label_1035_words[] =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and "
    "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
static const char name_words[] =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
static const char value_words[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static bool is_alnum(char c, bool upper)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (upper && c >= 'A' && c <= 'Z');
}

/* Letters and digits, and inside these other characters. */
static bool is_word(struct fed_str s, const char *inside, bool upper)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i], upper) && (!i || i + 1 == s.n || !s.p[i] || !strchr(inside, s.p[i])))
            return false;
    return s.n != 0;
}

static bool is_subdomain(struct fed_str s)
{
    struct fed_str part;

    if (!s.n)
        return false;
    while (s.p && fed_str_cut(&s, '.', &part))
        if (!is_word(part, "-", false))
            return false;
    return true;
}

static const char *check_label(struct fed_str s)
{
    return is_word(s, "-", false) ? NULL : label_words;
}

static const char *check_subdomain(struct fed_str s)
{
    return is_subdomain(s) ? NULL : subdomain_words;
}

static const char *check_1035(struct fed_str s)
{
    return is_word(s, "-", false) && s.p[0] >= 'a' ? NULL : label_1035_words;
}

static const char *check_qualified(struct fed_str s)
{
    ptrdiff_t slash = fed_str_chr(s, '/', 0);
    struct fed_str name = slash < 0 ? s : fed_str_from(s, (size_t)slash + 1);

    if (slash == 0)
        return "prefix part must be non-empty";
    if (slash > 0 && (!is_subdomain(fed_str_head(s, (size_t)slash)) || slash > SUBDOMAIN_MAX))
        return subdomain_words;
    if (name.n > LABEL_MAX)
        return "name part must be no more than 63 bytes";
    return is_word(name, "-_.", true) ? NULL : name_words;
}

static const char *check_value(struct fed_str s)
{
    return !s.n || is_word(s, "-_.", true) ? NULL : value_words;
}

static const char *check_uri(struct fed_str s)
{
    struct fed_cel_link u;

    return fed_cel_url_read(s, &u) ? NULL : "invalid URI for request";
}

static const char *check_uuid(struct fed_str s)
{
    bool plain = s.n == 32, ok = plain || s.n == 36;

    for (size_t i = 0; ok && i < s.n; i++) {
        char c = (char)(s.p[i] | 0x20);

        if (!plain && (i == 8 || i == 13 || i == 18 || i == 23))
            ok = s.p[i] == '-';
        else
            ok = (s.p[i] >= '0' && s.p[i] <= '9') || (c >= 'a' && c <= 'f');
    }
    return ok ? NULL : "does not match the UUID format";
}

static const char *check_byte(struct fed_str s)
{
    struct fed_arena scratch = {0};
    struct fed_str out;
    bool ok = fed_base64_decode(&scratch, s, &out) == 0;

    fed_arena_release(&scratch);
    return ok ? NULL : "invalid base64";
}

static const char *check_date(struct fed_str s)
{
    struct fed_cel_value v;

    return fed_cel_date_read(s, &v) ? NULL : "invalid date";
}

static const char *check_datetime(struct fed_str s)
{
    struct fed_cel_value v;

    return fed_cel_timestamp_read(s, &v) ? NULL : "invalid datetime";
}

static const struct format {
    const char *name;
    const char *(*check)(struct fed_str s);
    size_t max;  /* bytes; 0: any */
    bool prefix; /* something is put behind it: it may end with a dash */
} formats[] = {
    {"dns1123Label", check_label, LABEL_MAX, false},
    {"dns1123Subdomain", check_subdomain, SUBDOMAIN_MAX, false},
    {"dns1035Label", check_1035, LABEL_MAX, false},
    {"qualifiedName", check_qualified, 0, false},
    {"dns1123LabelPrefix", check_label, LABEL_MAX, true},
    {"dns1123SubdomainPrefix", check_subdomain, SUBDOMAIN_MAX, true},
    {"dns1035LabelPrefix", check_1035, LABEL_MAX, true},
    {"labelValue", check_value, LABEL_MAX, false},
    {"uri", check_uri, 0, false},
    {"uuid", check_uuid, 0, false},
    {"byte", check_byte, 0, false},
    {"date", check_date, 0, false},
    {"datetime", check_datetime, 0, false},
};

/* --- functions --- */

static bool find(struct fed_str name, struct fed_cel_value *out)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(formats); i++)
        if (fed_str_is(name, formats[i].name)) {
            *out = (struct fed_cel_value){.kind = FED_CEL_FORMAT, .i = (int64_t)i};
            return true;
        }
    return false;
}

FED_CEL_FN(fn_format_of)
{
    return find(fed_str_from(n->name, strlen("format.")), out) || fed_cel_no_overload(r);
}

FED_CEL_FN(fn_named)
{
    struct fed_cel_value v;
    bool found = find(a[0].s, &v);

    *out = fed_cel_optional(r, found ? &v : NULL);
    return true;
}

static void add_text(struct fed_cel_value *items, uint32_t *n, const char *why)
{
    items[(*n)++] = fed_cel_str(fed_str(why));
}

FED_CEL_FN(fn_validate)
{
    const struct format *f = &formats[a[0].i];
    struct fed_str s = a[1].s;
    struct fed_cel_value *items, list;
    const char *why;
    uint32_t count = 0;
    bool long_text = f->max && s.n > f->max;

    if (!fed_cel_pay_text(r, s.n))
        return false;
    if (f->prefix && s.n > 1 && s.p[s.n - 1] == '-')
        s.n--;
    why = f->check(s);
    items = FED_ARENA_ARRAY(&r->arena, struct fed_cel_value, 2);
    if (why)
        add_text(items, &count, why);
    if (long_text)
        add_text(items, &count,
                 f->max == LABEL_MAX ? "must be no more than 63 bytes" : "must be no more than 253 bytes");
    list = fed_cel_list(r, items, count);
    *out = fed_cel_optional(r, count ? &list : NULL);
    return true;
}

#define NAMED(format)                                                                                                  \
    {                                                                                                                  \
        "format." format, false, ":F", fn_format_of, FED_CEL_COST_ONE                                                  \
    }

const struct fed_cel_function fed_cel_format_functions[] = {
    NAMED("dns1123Label"),
    NAMED("dns1123Subdomain"),
    NAMED("dns1035Label"),
    NAMED("qualifiedName"),
    NAMED("dns1123LabelPrefix"),
    NAMED("dns1123SubdomainPrefix"),
    NAMED("dns1035LabelPrefix"),
    NAMED("labelValue"),
    NAMED("uri"),
    NAMED("uuid"),
    NAMED("byte"),
    NAMED("date"),
    NAMED("datetime"),
    {"format.named", false, "s:?F", fn_named, FED_CEL_COST_ONE},
    {"validate", true, "Fs:?[s", fn_validate, FED_CEL_COST_OWN},
    {NULL, false, NULL, NULL, FED_CEL_COST_ONE},
};
