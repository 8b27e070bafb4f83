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

const char *fed_name_check_label(struct fed_str s)
{
    if (s.n > 63)
        return too_long_63;
    return is_dns_label(s) ? NULL : bad_label;
}

const char *fed_name_check_subdomain(struct fed_str s)
{
    struct fed_str rest = s, piece;
    if (s.n > 253)
        return too_long_253;
    if (s.n == 0)
        return bad_subdomain;
    while (fed_str_cut(&rest, '.', &piece)) {
        if (!is_dns_label(piece))
            return bad_subdomain;
    }
    return NULL;
}

const char *fed_name_check_1035(struct fed_str s)
{
    if (s.n > 63)
        return too_long_63;
    return is_dns_label(s) && is_lower(s.p[0]) ? NULL : bad_1035;
}

const char *fed_name_check_path_segment(struct fed_str s)
{
    if (s.n == 0)
        return "must not be empty";
    if (fed_str_is(s, "."))
        return "may not be '.'";
    if (fed_str_is(s, ".."))
        return "may not be '..'";
    if (memchr(s.p, '/', s.n))
        return "may not contain '/'";
    if (memchr(s.p, '%', s.n))
        return "may not contain '%'";
    return NULL;
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

const char *fed_name_check_config_key(struct fed_str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char ch = key.p[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' ||
              ch == '_' || ch == '.'))
            return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
                   "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    }
    if (!key.n)
        return "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
               "'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    if (key.n > 253)
        return "must be no more than 253 characters";
    if (fed_str_is(key, "."))
        return "must not be '.'";
    if (fed_str_is(key, ".."))
        return "must not be '..'";
    if (fed_str_starts(key, FED_STR("..")))
        return "must not start with '..'";
    return NULL;
}

const char *fed_name_check_qualified(struct fed_str s)
{
    struct fed_str name = s;
    ptrdiff_t slash = fed_str_chr(s, '/', 0);
    if (slash >= 0) {
        struct fed_str prefix = fed_str_head(s, (size_t)slash);
        name = fed_str_from(s, (size_t)slash + 1);
        if (fed_str_chr(name, '/', 0) >= 0)
            return "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
                   "with "
                   "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation "
                   "is "
                   "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. "
                   "'example.com/MyName')";
        if (prefix.n == 0)
            return "prefix part must be non-empty";
        if (prefix.n > 253)
            return "prefix part must be no more than 253 characters";
        if (fed_name_check_subdomain(prefix))
            return "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
                   "'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
                   "for validation is '" LABEL_RE "(\\." LABEL_RE ")*')";
    }
    if (name.n == 0)
        return "name part must be non-empty";
    if (name.n > 63)
        return "name part must be no more than 63 characters";
    return is_qualified_part(name) ? NULL : bad_qualified;
}

const char *fed_name_check_label_value(struct fed_str s)
{
    if (s.n > 63)
        return too_long_63;
    return s.n == 0 || is_qualified_part(s) ? NULL : bad_value;
}

const char *fed_name_check_port(struct fed_str s)
{
    bool letter = false;
    if (s.n > 15)
        return "must be no more than 15 characters";
    if (s.n == 0)
        return "must contain at least one letter (a-z)";
    for (size_t i = 0; i < s.n; i++) {
        if (!is_lower_alnum(s.p[i]) && s.p[i] != '-')
            return "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";
        if (s.p[i] == '-' && i > 0 && s.p[i - 1] == '-')
            return "must not contain consecutive hyphens";
        letter = letter || is_lower(s.p[i]);
    }
    if (!letter)
        return "must contain at least one letter (a-z)";
    if (s.p[0] == '-' || s.p[s.n - 1] == '-')
        return "must not begin or end with a hyphen";
    return NULL;
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
