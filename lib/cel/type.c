/* SPDX-License-Identifier: Apache-2.0 */
/* type.c: types: their names, which fits where, and the signatures of functions.
 *
 * A signature is the parameters, ':' and the result, each a letter: b i u d s y(bytes) t(timestamp) D(duration) n(null)
 * T(a type) U(url) Q(quantity) I(ip) C(cidr) F(format) x(anything) A B(parameters, each the same type wherever it stands); before
 * another: '[' a list of it, '?' an optional of it; '{' and two: a map. */
#include "cel/cel_priv.h"

static const struct fed_cel_type plain[] = {
    [FED_CEL_DYN] = {.kind = FED_CEL_DYN},
    [FED_CEL_NULL] = {.kind = FED_CEL_NULL},
    [FED_CEL_BOOL] = {.kind = FED_CEL_BOOL},
    [FED_CEL_INT] = {.kind = FED_CEL_INT},
    [FED_CEL_UINT] = {.kind = FED_CEL_UINT},
    [FED_CEL_DOUBLE] = {.kind = FED_CEL_DOUBLE},
    [FED_CEL_STRING] = {.kind = FED_CEL_STRING},
    [FED_CEL_BYTES] = {.kind = FED_CEL_BYTES},
    [FED_CEL_TIMESTAMP] = {.kind = FED_CEL_TIMESTAMP},
    [FED_CEL_DURATION] = {.kind = FED_CEL_DURATION},
    [FED_CEL_LIST] = {.kind = FED_CEL_LIST},
    [FED_CEL_MAP] = {.kind = FED_CEL_MAP},
    [FED_CEL_OBJECT] = {.kind = FED_CEL_OBJECT},
    [FED_CEL_TYPE] = {.kind = FED_CEL_TYPE},
    [FED_CEL_OPTIONAL] = {.kind = FED_CEL_OPTIONAL},
    [FED_CEL_URL] = {.kind = FED_CEL_URL},
    [FED_CEL_QUANTITY] = {.kind = FED_CEL_QUANTITY},
    [FED_CEL_IP] = {.kind = FED_CEL_IP},
    [FED_CEL_CIDR] = {.kind = FED_CEL_CIDR},
    [FED_CEL_FORMAT] = {.kind = FED_CEL_FORMAT},
    [FED_CEL_ERROR] = {.kind = FED_CEL_ERROR},
};
static const struct {
    const char *name, *shown; /* as type() is compared with; as messages of the checker say */
} names[] = {
    [FED_CEL_DYN] = {"dyn", "dyn"},
    [FED_CEL_NULL] = {"null_type", "null"},
    [FED_CEL_BOOL] = {"bool", "bool"},
    [FED_CEL_INT] = {"int", "int"},
    [FED_CEL_UINT] = {"uint", "uint"},
    [FED_CEL_DOUBLE] = {"double", "double"},
    [FED_CEL_STRING] = {"string", "string"},
    [FED_CEL_BYTES] = {"bytes", "bytes"},
    [FED_CEL_TIMESTAMP] = {"google.protobuf.Timestamp", "timestamp"},
    [FED_CEL_DURATION] = {"google.protobuf.Duration", "duration"},
    [FED_CEL_LIST] = {"list", "list"},
    [FED_CEL_MAP] = {"map", "map"},
    [FED_CEL_OBJECT] = {"object", "object"},
    [FED_CEL_TYPE] = {"type", "type"},
    [FED_CEL_OPTIONAL] = {"optional_type", "optional_type"},
    [FED_CEL_URL] = {"kubernetes.URL", "kubernetes.URL"},
    [FED_CEL_QUANTITY] = {"kubernetes.Quantity", "kubernetes.Quantity"},
    [FED_CEL_IP] = {"net.IP", "net.IP"},
    [FED_CEL_CIDR] = {"net.CIDR", "net.CIDR"},
    [FED_CEL_FORMAT] = {"kubernetes.NamedFormat", "kubernetes.NamedFormat"},
    [FED_CEL_ERROR] = {"error", "error"},
};

const struct fed_cel_type *fed_cel_plain(enum fed_cel_kind kind)
{
    return &plain[kind];
}

const char *fed_cel_kind_name(enum fed_cel_kind kind)
{
    return names[kind].name;
}

bool fed_cel_type_named(struct fed_str name, enum fed_cel_kind *out)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++)
        if (i != FED_CEL_OBJECT && i != FED_CEL_ERROR && fed_str_is(name, names[i].name)) {
            *out = (enum fed_cel_kind)i;
            return true;
        }
    return false;
}

const struct fed_cel_type *fed_cel_type_of(struct fed_arena *a, enum fed_cel_kind kind, const struct fed_cel_type *elem,
                                           const struct fed_cel_type *key)
{
    struct fed_cel_type *t;

    if (!elem && !key)
        return &plain[kind];
    t = FED_ARENA_NEW(a, struct fed_cel_type);
    *t = (struct fed_cel_type){.kind = kind, .elem = elem, .key = key};
    return t;
}

static const struct fed_cel_type *part(const struct fed_cel_type *t)
{
    return t ? t : &plain[FED_CEL_DYN];
}

void fed_cel_type_write(const struct fed_cel_type *t, struct fed_buf *out)
{
    fed_buf_addz(out, names[t->kind].shown);
    if (t->kind == FED_CEL_MAP) {
        fed_buf_addc(out, '(');
        fed_cel_type_write(part(t->key), out);
        fed_buf_addz(out, ", ");
        fed_cel_type_write(part(t->elem), out);
        fed_buf_addc(out, ')');
    } else if (t->kind == FED_CEL_LIST || t->kind == FED_CEL_OPTIONAL || t->kind == FED_CEL_TYPE) {
        fed_buf_addc(out, '(');
        fed_cel_type_write(part(t->elem), out);
        fed_buf_addc(out, ')');
    }
}

static bool is_any(const struct fed_cel_type *t)
{
    return t->kind == FED_CEL_DYN || t->kind == FED_CEL_ERROR;
}

bool fed_cel_fits(const struct fed_cel_type *want, const struct fed_cel_type *t)
{
    if (want == t || is_any(want) || is_any(t))
        return true;
    if (t->kind == FED_CEL_NULL)
        return want->kind == FED_CEL_NULL || want->kind == FED_CEL_OBJECT || want->kind == FED_CEL_TIMESTAMP ||
               want->kind == FED_CEL_DURATION || want->kind >= FED_CEL_OPTIONAL;
    if (want->kind == FED_CEL_NULL)
        return fed_cel_fits(t, want);
    if (want->kind != t->kind)
        return false;
    switch (t->kind) {
    case FED_CEL_LIST:
    case FED_CEL_OPTIONAL:
        return fed_cel_fits(part(want->elem), part(t->elem));
    case FED_CEL_MAP:
        return fed_cel_fits(part(want->key), part(t->key)) && fed_cel_fits(part(want->elem), part(t->elem));
    case FED_CEL_OBJECT:
        return false; /* each is its own */
    default:
        return true;
    }
}

/* Containers of unknown items are more general than others. */
static bool knows_less(const struct fed_cel_type *a)
{
    return a->kind == FED_CEL_NULL ||
           ((a->kind == FED_CEL_LIST || a->kind == FED_CEL_MAP || a->kind == FED_CEL_OPTIONAL) && !a->elem);
}

const struct fed_cel_type *fed_cel_join(const struct fed_cel_type *a, const struct fed_cel_type *b)
{
    if (!fed_cel_fits(a, b))
        return NULL;
    if (is_any(a) || is_any(b))
        return &plain[FED_CEL_DYN];
    return knows_less(a) ? b : a;
}

/* --- signatures --- */

static bool letter_kind(char c, enum fed_cel_kind *out)
{
    static const char letters[] = "biudsytDnTUQICF";
    static const uint8_t kinds[] = {FED_CEL_BOOL,  FED_CEL_INT,       FED_CEL_UINT,     FED_CEL_DOUBLE, FED_CEL_STRING,
                                    FED_CEL_BYTES, FED_CEL_TIMESTAMP, FED_CEL_DURATION, FED_CEL_NULL,   FED_CEL_TYPE,
                                    FED_CEL_URL,   FED_CEL_QUANTITY,  FED_CEL_IP,       FED_CEL_CIDR,   FED_CEL_FORMAT};
    const char *hit = strchr(letters, c);

    if (!c || !hit)
        return false;
    *out = (enum fed_cel_kind)kinds[hit - letters];
    return true;
}

static bool bind_to(const struct fed_cel_type **slot, const struct fed_cel_type *t)
{
    const struct fed_cel_type *joined = *slot ? fed_cel_join(*slot, t) : t;

    if (joined)
        *slot = joined;
    return joined != NULL;
}

bool fed_cel_sig_fits(const char **sig, const struct fed_cel_type *t, struct fed_cel_bind *bind)
{
    char c = *(*sig)++;
    enum fed_cel_kind kind;
    bool any = is_any(t), ok;

    switch (c) {
    case 'x':
        return true;
    case 'A':
        return bind_to(&bind->a, t);
    case 'B':
        return bind_to(&bind->b, t);
    case '[':
    case '?':
        ok = any || t->kind == (c == '[' ? FED_CEL_LIST : FED_CEL_OPTIONAL);
        return fed_cel_sig_fits(sig, any || !ok ? &plain[FED_CEL_DYN] : part(t->elem), bind) && ok;
    case '{':
        ok = any || t->kind == FED_CEL_MAP;
        any = any || !ok;
        ok &= fed_cel_sig_fits(sig, any ? &plain[FED_CEL_DYN] : part(t->key), bind);
        return fed_cel_sig_fits(sig, any ? &plain[FED_CEL_DYN] : part(t->elem), bind) && ok;
    default:
        return letter_kind(c, &kind) && (any || fed_cel_fits(&plain[kind], t));
    }
}

const struct fed_cel_type *fed_cel_sig_result(struct fed_arena *a, const char **sig, const struct fed_cel_bind *bind)
{
    char c = *(*sig)++;
    enum fed_cel_kind kind = FED_CEL_DYN;
    const struct fed_cel_type *key, *elem;

    switch (c) {
    case 'A':
        return part(bind->a);
    case 'B':
        return part(bind->b);
    case '[':
    case '?':
        return fed_cel_type_of(a, c == '[' ? FED_CEL_LIST : FED_CEL_OPTIONAL, fed_cel_sig_result(a, sig, bind), NULL);
    case '{':
        key = fed_cel_sig_result(a, sig, bind);
        elem = fed_cel_sig_result(a, sig, bind);
        return fed_cel_type_of(a, FED_CEL_MAP, elem, key);
    default:
        (void)letter_kind(c, &kind);
        return &plain[kind];
    }
}

static void skip_one(const char **sig)
{
    char c = *(*sig)++;

    if (c == '[' || c == '?') {
        skip_one(sig);
    } else if (c == '{') {
        skip_one(sig);
        skip_one(sig);
    }
}

bool fed_cel_sig_takes(const char **sig, const struct fed_cel_value *v)
{
    char c = **sig;
    enum fed_cel_kind kind;

    skip_one(sig);
    switch (c) {
    case 'x':
    case 'A':
    case 'B':
        return true;
    case '[':
        return v->kind == FED_CEL_LIST;
    case '?':
        return v->kind == FED_CEL_OPTIONAL;
    case '{':
        return v->kind == FED_CEL_MAP || v->kind == FED_CEL_OBJECT;
    default:
        return letter_kind(c, &kind) && v->kind == kind;
    }
}

/* --- fields --- */

const struct fed_cel_field *fed_cel_field_find(const struct fed_cel_type *t, struct fed_str name)
{
    uint32_t lo = 0, hi = t->n_fields;

    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        int c = fed_str_cmp(t->fields[mid].name, name);

        if (!c)
            return &t->fields[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static bool is_keyword(struct fed_str s)
{
    static const char *const words[] = {"true", "false",    "null",   "in",  "as",     "break", "const",
                                        "for",  "continue", "else",   "if",  "import", "let",   "function",
                                        "loop", "package",  "return", "var", "void",   "while", "namespace"};

    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        if (fed_str_is(s, words[i]))
            return true;
    return false;
}

bool fed_cel_escape(struct fed_arena *a, struct fed_str property, struct fed_str *out)
{
    static const struct {
        const char *text, *as;
    } parts[] = {{"__", "__underscores__"}, {".", "__dot__"}, {"-", "__dash__"}, {"/", "__slash__"}};
    struct fed_buf b = {0};

    if (is_keyword(property)) {
        *out = fed_arena_printf(a, "__%.*s__", FED_STR_ARG(property));
        return true;
    }
    if (!property.n || (property.p[0] >= '0' && property.p[0] <= '9'))
        return false;
    for (size_t i = 0; i < property.n;) {
        struct fed_str rest = fed_str_from(property, i);
        char c = rest.p[0];
        size_t k = 0;

        while (k < FED_ARRAY_LEN(parts) && !fed_str_starts(rest, fed_str(parts[k].text)))
            k++;
        if (k < FED_ARRAY_LEN(parts)) {
            fed_buf_addz(&b, parts[k].as);
            i += strlen(parts[k].text);
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_') {
            fed_buf_addc(&b, c);
            i++;
        } else {
            fed_buf_release(&b);
            return false;
        }
    }
    *out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return true;
}
