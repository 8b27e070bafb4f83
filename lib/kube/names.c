/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/names.h"

#define LABEL_RE "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

static const char too_long_63[] = "must be no more than 63 characters";
static const char too_long_253[] = "must be no more than 253 characters";
static const char bad_label[] =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '" LABEL_RE "')";
static const char bad_subdomain[] =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is '" LABEL_RE "(\\." LABEL_RE
    ")*')";
static const char bad_1035[] =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
static const char bad_qualified[] =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
static const char bad_value[] =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return is_lower(c) || is_digit(c);
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])? */
static bool is_dns_label(struct fed_str s)
{
    if (s.n == 0 || !is_lower_alnum(s.p[0]) || !is_lower_alnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!is_lower_alnum(s.p[i]) && s.p[i] != '-')
            return false;
    }
    return true;
}

typedef size_t faults_fn(struct fed_str s, const char **out);

static const char *first(faults_fn *faults, struct fed_str s)
{
    const char *out[FED_NAME_FAULTS];
    return faults(s, out) ? out[0] : NULL;
}

static bool is_subdomain(struct fed_str s)
{
    struct fed_str rest = s, piece;
    if (s.n == 0)
        return false;
    while (fed_str_cut(&rest, '.', &piece))
        if (!is_dns_label(piece))
            return false;
    return true;
}

static size_t faults_label(struct fed_str s, const char **out)
{
    size_t n = 0;
    if (s.n > 63)
        out[n++] = too_long_63;
    if (!is_dns_label(s))
        out[n++] = is_subdomain(s) ? "must not contain dots" : bad_label;
    return n;
}

const char *fed_name_check_label(struct fed_str s)
{
    return first(faults_label, s);
}

static size_t faults_subdomain(struct fed_str s, const char **out)
{
    size_t n = 0;
    if (s.n > 253)
        out[n++] = too_long_253;
    if (!is_subdomain(s))
        out[n++] = bad_subdomain;
    return n;
}

const char *fed_name_check_subdomain(struct fed_str s)
{
    return first(faults_subdomain, s);
}

static size_t faults_1035(struct fed_str s, const char **out)
{
    size_t n = 0;
    if (s.n > 63)
        out[n++] = too_long_63;
    if (!is_dns_label(s) || !is_lower(s.p[0]))
        out[n++] = bad_1035;
    return n;
}

const char *fed_name_check_1035(struct fed_str s)
{
    return first(faults_1035, s);
}

static size_t faults_path_segment(struct fed_str s, const char **out)
{
    size_t n = 0;
    if (s.n == 0)
        out[n++] = "must not be empty";
    else if (fed_str_is(s, "."))
        out[n++] = "may not be '.'";
    else if (fed_str_is(s, ".."))
        out[n++] = "may not be '..'";
    if (n)
        return n;
    if (memchr(s.p, '/', s.n))
        out[n++] = "may not contain '/'";
    if (memchr(s.p, '%', s.n))
        out[n++] = "may not contain '%'";
    return n;
}

const char *fed_name_check_path_segment(struct fed_str s)
{
    return first(faults_path_segment, s);
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool is_qualified_part(struct fed_str s)
{
    if (s.n == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.n - 1]))
        return false;
    for (size_t i = 1; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
            return false;
    }
    return true;
}

static bool is_config_key(struct fed_str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (!is_alnum(key.p[i]) && key.p[i] != '-' && key.p[i] != '_' && key.p[i] != '.')
            return false;
    return key.n > 0;
}

static size_t faults_config_key(struct fed_str key, const char **out)
{
    size_t n = 0;
    if (key.n > 253)
        out[n++] = too_long_253;
    if (!is_config_key(key))
        out[n++] = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                   "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    if (fed_str_is(key, "."))
        out[n++] = "must not be '.'";
    else if (fed_str_is(key, ".."))
        out[n++] = "must not be '..'";
    else if (fed_str_starts(key, FED_STR("..")))
        out[n++] = "must not start with '..'";
    return n;
}

const char *fed_name_check_config_key(struct fed_str key)
{
    return first(faults_config_key, key);
}

static size_t faults_qualified(struct fed_str s, const char **out)
{
    struct fed_str name = s;
    ptrdiff_t slash = fed_str_chr(s, '/', 0);
    size_t n = 0;
    if (slash >= 0) {
        struct fed_str prefix = fed_str_head(s, (size_t)slash);
        name = fed_str_from(s, (size_t)slash + 1);
        if (fed_str_chr(name, '/', 0) >= 0) {
            out[n++] = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and "
                       "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
                       "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain "
                       "prefix and '/' (e.g. 'example.com/MyName')";
            return n;
        }
        if (prefix.n == 0)
            out[n++] = "prefix part must be non-empty";
        if (prefix.n > 253)
            out[n++] = "prefix part must be no more than 253 characters";
        if (prefix.n && !is_subdomain(prefix))
            out[n++] = "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                       "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
                       "used for validation is '" LABEL_RE "(\\." LABEL_RE ")*')";
    }
    if (name.n == 0)
        out[n++] = "name part must be non-empty";
    else if (name.n > 63)
        out[n++] = "name part must be no more than 63 characters";
    if (!is_qualified_part(name))
        out[n++] = bad_qualified;
    return n;
}

const char *fed_name_check_qualified(struct fed_str s)
{
    return first(faults_qualified, s);
}

static size_t faults_label_value(struct fed_str s, const char **out)
{
    size_t n = 0;
    if (s.n > 63)
        out[n++] = too_long_63;
    if (s.n && !is_qualified_part(s))
        out[n++] = bad_value;
    return n;
}

const char *fed_name_check_label_value(struct fed_str s)
{
    return first(faults_label_value, s);
}

static size_t faults_port(struct fed_str s, const char **out)
{
    bool letter = false, charset = s.n > 0, twice = false;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        charset = charset && (is_lower_alnum(s.p[i]) || s.p[i] == '-');
        twice = twice || (s.p[i] == '-' && i > 0 && s.p[i - 1] == '-');
        letter = letter || is_lower(s.p[i]);
    }
    if (s.n > 15)
        out[n++] = "must be no more than 15 characters";
    if (!charset)
        out[n++] = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
    if (!letter)
        out[n++] = "must contain at least one letter (a-z)";
    if (twice)
        out[n++] = "must not contain consecutive hyphens";
    if (s.n && (s.p[0] == '-' || s.p[s.n - 1] == '-'))
        out[n++] = "must not begin or end with a hyphen";
    return n;
}

const char *fed_name_check_port(struct fed_str s)
{
    return first(faults_port, s);
}

size_t fed_name_faults(const char *(*check)(struct fed_str s), struct fed_str s, const char *out[FED_NAME_FAULTS])
{
    static const struct {
        const char *(*check)(struct fed_str s);
        faults_fn *faults;
    } known[] = {{fed_name_check_subdomain, faults_subdomain},
                 {fed_name_check_label, faults_label},
                 {fed_name_check_1035, faults_1035},
                 {fed_name_check_path_segment, faults_path_segment},
                 {fed_name_check_qualified, faults_qualified},
                 {fed_name_check_label_value, faults_label_value},
                 {fed_name_check_config_key, faults_config_key},
                 {fed_name_check_port, faults_port}};
    for (size_t i = 0; i < FED_ARRAY_LEN(known); i++)
        if (known[i].check == check)
            return known[i].faults(s, out);
    out[0] = check(s);
    return out[0] != NULL;
}

/* No vowels and nothing that looks like another character: no words come out by chance. */
static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";
enum { ALPHABET = sizeof(alphabet) - 1 };

struct fed_str fed_name_generate(struct fed_env *env, struct fed_arena *a, struct fed_str base)
{
    char tail[6] = {0};
    for (int i = 0; i < 5; i++)
        tail[i] = alphabet[fed_random_below(env, ALPHABET)];
    return fed_arena_printf(a, "%.*s%s", FED_STR_ARG(fed_str_head(base, 63 - 5)), tail);
}

void fed_name_hash(struct fed_str text, char out[11])
{
    uint64_t h = 14695981039346656037u; /* FNV-1a 64: must never change, names depend on it */
    for (size_t i = 0; i < text.n; i++)
        h = (h ^ (unsigned char)text.p[i]) * 1099511628211u;
    for (int i = 0; i < 10; i++) {
        out[i] = alphabet[h % ALPHABET];
        h /= ALPHABET;
    }
    out[10] = '\0';
}

struct fed_str fed_name_lower(struct fed_arena *a, struct fed_str s)
{
    struct fed_str out = fed_arena_dup(a, s);

    for (size_t i = 0; i < out.n; i++)
        if (out.p[i] >= 'A' && out.p[i] <= 'Z')
            ((char *)out.p)[i] += 'a' - 'A';
    return out;
}
