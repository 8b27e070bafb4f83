/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/selector.h"

#include "base/mem.h"
#include "kube/names.h"

#include <stdlib.h>

/* --- requirements --- */

static int check_requirement(const struct fed_requirement *r, int code, struct fed_err *err)
{
    const char *why = fed_name_check_qualified(r->key);
    int64_t number;
    if (why)
        return fed_err_set(err, code, "key: Invalid value: \"%.*s\": %s", FED_STR_ARG(r->key), why);
    switch (r->op) {
    case FED_SEL_IN:
    case FED_SEL_NOT_IN:
        if (r->n_values == 0)
            return fed_err_set(err, code,
                               "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty");
        break;
    case FED_SEL_EXISTS:
    case FED_SEL_NOT_EXISTS:
        if (r->n_values)
            return fed_err_set(err, code, "values set must be empty for exists and does not exist");
        break;
    case FED_SEL_GT:
    case FED_SEL_LT:
        if (r->n_values != 1)
            return fed_err_set(err, code, "for 'Gt', 'Lt' operators, exactly one value is required");
        if (fed_str_i64(r->values[0], &number) != 0)
            return fed_err_set(err, code, "for 'Gt', 'Lt' operators, the value must be an integer");
        break;
    }
    for (size_t i = 0; i < r->n_values; i++) {
        why = fed_name_check_label_value(r->values[i]);
        if (why)
            return fed_err_set(err, code, "values[%zu][%.*s]: Invalid value: \"%.*s\": %s", i, FED_STR_ARG(r->key),
                               FED_STR_ARG(r->values[i]), why);
    }
    return 0;
}

/* Grows by doubling inside the arena; the old room is left behind. */
static void *grow(struct fed_arena *a, void *v, size_t n, size_t size)
{
    if (n != 0 && (n < 4 || (n & (n - 1)) != 0))
        return v;
    void *w = fed_arena_alloc(a, (n ? n * 2 : 4) * size);
    if (n)
        memcpy(w, v, n * size);
    return w;
}

static void add_requirement(struct fed_arena *a, struct fed_selector *s, const struct fed_requirement *r)
{
    s->reqs = grow(a, s->reqs, s->n, sizeof(*s->reqs));
    s->reqs[s->n++] = *r;
}

static void add_value(struct fed_arena *a, struct fed_requirement *r, struct fed_str value)
{
    r->values = grow(a, r->values, r->n_values, sizeof(*r->values));
    r->values[r->n_values++] = value;
}

/* --- the string form --- */

enum token { T_END, T_WORD, T_NOT, T_EQ, T_EQ2, T_NE, T_GT, T_LT, T_OPEN, T_CLOSE, T_COMMA };
struct lexer {
    struct fed_arena *arena;
    struct fed_str rest;
    enum token token; /* the one looked at */
    struct fed_str text;
};

static bool is_special(char c)
{
    return c && strchr("=!(),<>", c);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void advance(struct lexer *l)
{
    static const struct {
        const char *text;
        enum token token;
    } table[] = {{"==", T_EQ2}, {"!=", T_NE},  {"=", T_EQ},    {"!", T_NOT},  {">", T_GT},
                 {"<", T_LT},   {"(", T_OPEN}, {")", T_CLOSE}, {",", T_COMMA}};
    while (l->rest.n && is_space(l->rest.p[0]))
        l->rest = fed_str_from(l->rest, 1);
    if (l->rest.n == 0) {
        l->token = T_END;
        l->text = FED_STR("");
        return;
    }
    for (size_t i = 0; i < FED_ARRAY_LEN(table); i++) {
        if (fed_str_starts(l->rest, fed_str(table[i].text))) {
            l->token = table[i].token;
            l->text = fed_str(table[i].text);
            l->rest = fed_str_from(l->rest, l->text.n);
            return;
        }
    }
    size_t n = 0;
    while (n < l->rest.n && !is_special(l->rest.p[n]) && !is_space(l->rest.p[n]))
        n++;
    l->token = T_WORD;
    l->text = fed_str_head(l->rest, n);
    l->rest = fed_str_from(l->rest, n);
}

static int unexpected(const struct lexer *l, const char *wanted, struct fed_err *err)
{
    return fed_err_set(err, FED_E_BAD_REQUEST, "found '%.*s', expected: %s", FED_STR_ARG(l->text), wanted);
}

/* "(a,b)"; an absent item is the empty value. */
static int parse_values(struct lexer *l, struct fed_requirement *r, struct fed_err *err)
{
    if (l->token != T_OPEN)
        return fed_err_set(err, FED_E_BAD_REQUEST, "found '%.*s' expected: '('", FED_STR_ARG(l->text));
    advance(l);
    if (l->token == T_CLOSE) { /* "a in ()" asks for the empty value */
        add_value(l->arena, r, FED_STR(""));
        advance(l);
        return 0;
    }
    for (;;) {
        if (l->token == T_WORD) {
            add_value(l->arena, r, fed_arena_dup(l->arena, l->text));
            advance(l);
        } else if (l->token == T_COMMA || l->token == T_CLOSE) {
            add_value(l->arena, r, FED_STR(""));
        } else {
            return unexpected(l, "',', ')' or identifier", err);
        }
        if (l->token == T_CLOSE)
            break;
        if (l->token != T_COMMA)
            return unexpected(l, "',' or ')'", err);
        advance(l);
    }
    advance(l);
    return 0;
}

static int parse_operator(struct lexer *l, struct fed_requirement *r, struct fed_err *err)
{
    switch (l->token) {
    case T_EQ:
    case T_EQ2:
        r->op = FED_SEL_IN;
        break;
    case T_NE:
        r->op = FED_SEL_NOT_IN;
        break;
    case T_GT:
        r->op = FED_SEL_GT;
        break;
    case T_LT:
        r->op = FED_SEL_LT;
        break;
    case T_WORD:
        if (fed_str_is(l->text, "in") || fed_str_is(l->text, "notin")) {
            r->op = l->text.n == 2 ? FED_SEL_IN : FED_SEL_NOT_IN;
            r->set = true;
            advance(l);
            return parse_values(l, r, err);
        }
        /* fall through */
    default:
        return unexpected(l, "in, notin, =, ==, !=, gt, lt", err);
    }
    advance(l);
    if (l->token == T_END || l->token == T_COMMA) {
        add_value(l->arena, r, FED_STR(""));
        return 0;
    }
    if (l->token != T_WORD)
        return unexpected(l, "identifier", err);
    add_value(l->arena, r, fed_arena_dup(l->arena, l->text));
    advance(l);
    return 0;
}

static int parse_requirement(struct lexer *l, struct fed_requirement *r, struct fed_err *err)
{
    *r = (struct fed_requirement){.op = FED_SEL_EXISTS};
    if (l->token == T_NOT) {
        r->op = FED_SEL_NOT_EXISTS;
        advance(l);
    }
    if (l->token != T_WORD)
        return unexpected(l, "identifier", err);
    r->key = fed_arena_dup(l->arena, l->text);
    advance(l);
    if (r->op == FED_SEL_EXISTS && l->token != T_END && l->token != T_COMMA) {
        int code = parse_operator(l, r, err);
        if (code != 0)
            return code;
    }
    return check_requirement(r, FED_E_BAD_REQUEST, err);
}

int fed_selector_parse(struct fed_arena *a, struct fed_str text, struct fed_selector *out, struct fed_err *err)
{
    struct lexer l = {.arena = a, .rest = text};
    struct fed_requirement r;
    *out = (struct fed_selector){0};
    advance(&l);
    while (l.token != T_END) {
        if (l.token != T_WORD && l.token != T_NOT)
            return unexpected(&l, "!, identifier, or 'end of string'", err);
        int code = parse_requirement(&l, &r, err);
        if (code != 0)
            return fed_err_wrap(err, code, "unable to parse requirement");
        add_requirement(a, out, &r);
        if (l.token == T_END)
            break;
        if (l.token != T_COMMA)
            return unexpected(&l, "',' or 'end of string'", err);
        advance(&l);
        if (l.token != T_WORD && l.token != T_NOT)
            return unexpected(&l, "identifier after ','", err);
    }
    return 0;
}

/* --- the object forms --- */

static int requirement_from_json(struct fed_arena *a, const struct fed_json *e,
                                 int (*read_op)(struct fed_str text, enum fed_sel_op *op), struct fed_requirement *r,
                                 struct fed_err *err)
{
    struct fed_str op = fed_json_find_text(e, "operator");
    *r = (struct fed_requirement){.key = fed_arena_dup(a, fed_json_find_text(e, "key"))};
    if (read_op(op, &r->op) != 0)
        return fed_err_set(err, FED_E_INVALID, "\"%.*s\" is not a valid label selector operator", FED_STR_ARG(op));
    FED_JSON_EACH(v, fed_json_find(e, "values")) {
        if (v->type != FED_JSON_STRING)
            return fed_err_set(err, FED_E_INVALID, "values of \"%.*s\" must be strings", FED_STR_ARG(r->key));
        add_value(a, r, fed_arena_dup(a, v->s));
    }
    r->set = fed_str_ieq(op, FED_STR("In")) || fed_str_ieq(op, FED_STR("NotIn"));
    return check_requirement(r, FED_E_INVALID, err);
}

static int read_standard_op(struct fed_str text, enum fed_sel_op *op)
{
    static const char *const names[] = {"In", "NotIn", "Exists", "DoesNotExist"};
    for (size_t i = 0; i < FED_ARRAY_LEN(names); i++) {
        if (fed_str_is(text, names[i])) {
            *op = (enum fed_sel_op)i;
            return 0;
        }
    }
    return -1;
}

int fed_selector_from_json(struct fed_arena *a, const struct fed_json *sel, struct fed_selector *out,
                           struct fed_err *err)
{
    struct fed_requirement r;
    *out = (struct fed_selector){0};
    if (!sel || sel->type == FED_JSON_NULL) {
        out->nothing = true;
        return 0;
    }
    if (sel->type != FED_JSON_OBJECT)
        return fed_err_set(err, FED_E_INVALID, "a label selector must be an object");
    FED_JSON_EACH(label, fed_json_find(sel, "matchLabels")) {
        r = (struct fed_requirement){.key = fed_arena_dup(a, label->key), .op = FED_SEL_IN};
        add_value(a, &r, fed_arena_dup(a, fed_json_str(label)));
        int code = check_requirement(&r, FED_E_INVALID, err);
        if (code != 0)
            return code;
        add_requirement(a, out, &r);
    }
    FED_JSON_EACH(e, fed_json_find(sel, "matchExpressions")) {
        int code = requirement_from_json(a, e, read_standard_op, &r, err);
        if (code != 0)
            return code;
        add_requirement(a, out, &r);
    }
    return 0;
}

void fed_selector_from_map(struct fed_arena *a, const struct fed_json *map, struct fed_selector *out)
{
    *out = (struct fed_selector){0};
    if (!map || map->type != FED_JSON_OBJECT)
        return;
    FED_JSON_EACH(label, map) {
        struct fed_requirement r = {.key = fed_arena_dup(a, label->key), .op = FED_SEL_IN};
        add_value(a, &r, fed_arena_dup(a, fed_json_str(label)));
        add_requirement(a, out, &r);
    }
}

static int read_v1_op(struct fed_str text, enum fed_sel_op *op)
{
    static const struct {
        const char *text;
        enum fed_sel_op op;
    } table[] = {{"in", FED_SEL_IN},        {"=", FED_SEL_IN},
                 {"==", FED_SEL_IN},        {"notin", FED_SEL_NOT_IN},
                 {"!=", FED_SEL_NOT_IN},    {"exists", FED_SEL_EXISTS},
                 {"!", FED_SEL_NOT_EXISTS}, {"doesnotexist", FED_SEL_NOT_EXISTS},
                 {"gt", FED_SEL_GT},        {">", FED_SEL_GT},
                 {"lt", FED_SEL_LT},        {"<", FED_SEL_LT}};
    for (size_t i = 0; i < FED_ARRAY_LEN(table); i++) {
        if (fed_str_ieq(text, fed_str(table[i].text))) {
            *op = table[i].op;
            return 0;
        }
    }
    return -1;
}

int fed_selector_from_annotation(struct fed_arena *a, struct fed_str text, struct fed_selector *out,
                                 struct fed_err *err)
{
    struct fed_json *list;
    *out = (struct fed_selector){0};
    text = fed_str_trim(text);
    if (text.n == 0)
        return 0;
    struct fed_err why = {0};
    if (fed_json_parse(a, fed_arena_dup(a, text), NULL, &list, &why) != 0)
        return fed_err_set(err, FED_E_INVALID,
                           "cluster selector: %s; it is a JSON list like "
                           "[{\"key\":\"tier\",\"operator\":\"in\",\"values\":[\"web\"]}]",
                           why.text);
    if (list->type == FED_JSON_NULL)
        return 0;
    if (list->type != FED_JSON_ARRAY)
        return fed_err_set(err, FED_E_INVALID, "cluster selector: must be an array of {key, operator, values}");
    FED_JSON_EACH(e, list) {
        struct fed_requirement r;
        if (e->type != FED_JSON_OBJECT)
            return fed_err_set(err, FED_E_INVALID, "cluster selector: must be an array of {key, operator, values}");
        int code = requirement_from_json(a, e, read_v1_op, &r, err);
        if (code != 0)
            return fed_err_wrap(err, code, "cluster selector");
        if (r.n_values > 1 && fed_str_ends(fed_json_find_text(e, "operator"), FED_STR("=")))
            return fed_err_set(err, FED_E_INVALID, "cluster selector: \"%.*s\": exactly one value is required",
                               FED_STR_ARG(r.key));
        add_requirement(a, out, &r);
    }
    return 0;
}

/* --- matching --- */

static bool has_value(const struct fed_requirement *r, struct fed_str value)
{
    for (size_t i = 0; i < r->n_values; i++) {
        if (fed_str_eq(r->values[i], value))
            return true;
    }
    return false;
}

static bool requirement_holds(const struct fed_requirement *r, bool present, struct fed_str value)
{
    int64_t have, bound;
    switch (r->op) {
    case FED_SEL_IN:
        return present && has_value(r, value);
    case FED_SEL_NOT_IN:
        return !present || !has_value(r, value);
    case FED_SEL_EXISTS:
        return present;
    case FED_SEL_NOT_EXISTS:
        return !present;
    case FED_SEL_GT:
    case FED_SEL_LT:
        if (!present || fed_str_i64(value, &have) != 0 || fed_str_i64(r->values[0], &bound) != 0)
            return false;
        return r->op == FED_SEL_GT ? have > bound : have < bound;
    }
    return false;
}

bool fed_selector_matches(const struct fed_selector *s, const struct fed_kv *labels, size_t n)
{
    if (s->nothing)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        size_t k = n;
        while (k > 0 && !fed_str_eq(labels[k - 1].key, s->reqs[i].key))
            k--;
        if (!requirement_holds(&s->reqs[i], k > 0, k > 0 ? labels[k - 1].value : (struct fed_str){0}))
            return false;
    }
    return true;
}

bool fed_selector_matches_json(const struct fed_selector *s, const struct fed_json *labels)
{
    if (s->nothing)
        return false;
    for (size_t i = 0; i < s->n; i++) {
        const struct fed_json *v = fed_json_find_str(labels, s->reqs[i].key);
        if (!requirement_holds(&s->reqs[i], v != NULL, fed_json_str(v)))
            return false;
    }
    return true;
}

static int by_text(const void *x, const void *y)
{
    return fed_str_cmp(**(const struct fed_str *const *)x, **(const struct fed_str *const *)y);
}

static void format_requirement(const struct fed_requirement *r, struct fed_buf *out)
{
    static const char *const set_words[] = {" in (", " notin ("};
    if (r->op == FED_SEL_NOT_EXISTS)
        fed_buf_addc(out, '!');
    fed_buf_add(out, r->key);
    if (r->op == FED_SEL_EXISTS || r->op == FED_SEL_NOT_EXISTS)
        return;
    if (r->op == FED_SEL_GT || r->op == FED_SEL_LT || (r->n_values == 1 && !r->set)) {
        fed_buf_addz(out, r->op == FED_SEL_GT ? ">" : r->op == FED_SEL_LT ? "<" : r->op == FED_SEL_IN ? "=" : "!=");
        fed_buf_add(out, r->values[0]);
        return;
    }
    fed_buf_addz(out, set_words[r->op]);
    const struct fed_str **values = fed_calloc(r->n_values + 1, sizeof(const struct fed_str *));
    for (size_t i = 0; i < r->n_values; i++)
        values[i] = &r->values[i];
    qsort(values, r->n_values, sizeof(const struct fed_str *), by_text);
    for (size_t i = 0; i < r->n_values; i++) {
        if (i)
            fed_buf_addc(out, ',');
        fed_buf_add(out, *values[i]);
    }
    free(values);
    fed_buf_addc(out, ')');
}

/* Those of one key stay as they came. */
static int by_key(const void *x, const void *y)
{
    const struct fed_requirement *a = *(const struct fed_requirement *const *)x;
    const struct fed_requirement *b = *(const struct fed_requirement *const *)y;
    int order = fed_str_cmp(a->key, b->key);
    return order ? order : (a > b) - (a < b);
}

void fed_selector_format(const struct fed_selector *s, struct fed_buf *out)
{
    const struct fed_requirement **reqs = fed_calloc(s->n + 1, sizeof(const struct fed_requirement *));
    for (size_t i = 0; i < s->n; i++)
        reqs[i] = &s->reqs[i];
    qsort(reqs, s->n, sizeof(const struct fed_requirement *), by_key);
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            fed_buf_addc(out, ',');
        format_requirement(reqs[i], out);
    }
    free(reqs);
}

/* --- field selectors --- */

static int unescape(struct fed_arena *a, struct fed_str s, struct fed_str *out, struct fed_err *err)
{
    char *to = fed_arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
            if (i == s.n || !strchr("\\,=", s.p[i]) || !s.p[i])
                return fed_err_set(err, FED_E_BAD_REQUEST, "invalid field selector: invalid escape sequence: \\%.*s",
                                   i < s.n, s.p + FED_MIN(i, s.n - 1));
        } else if (s.p[i] == '=' || s.p[i] == ',') {
            return fed_err_set(err, FED_E_BAD_REQUEST, "invalid field selector: unescaped character in value: %d",
                               s.p[i]);
        }
        to[n++] = s.p[i];
    }
    to[n] = '\0';
    *out = fed_str_n(to, n);
    return 0;
}

static int add_term(struct fed_arena *a, struct fed_field_selector *out, struct fed_str term, struct fed_err *err)
{
    for (size_t i = 0; i < term.n; i++) {
        struct fed_str rest = fed_str_from(term, i);
        bool not_equal = fed_str_starts(rest, FED_STR("!="));
        if (!not_equal && rest.p[0] != '=')
            continue;
        size_t skip = not_equal || fed_str_starts(rest, FED_STR("==")) ? 2 : 1;
        struct fed_field_req r = {.path = fed_arena_dup(a, fed_str_head(term, i)), .not_equal = not_equal};
        int code = unescape(a, fed_str_from(rest, skip), &r.value, err);
        if (code != 0)
            return code;
        out->reqs = grow(a, out->reqs, out->n, sizeof(*out->reqs));
        out->reqs[out->n++] = r;
        return 0;
    }
    return fed_err_set(err, FED_E_BAD_REQUEST, "invalid selector: '%.*s'; can't understand '%.*s'", FED_STR_ARG(term),
                       FED_STR_ARG(term));
}

int fed_field_selector_parse(struct fed_arena *a, struct fed_str text, struct fed_field_selector *out,
                             struct fed_err *err)
{
    *out = (struct fed_field_selector){0};
    size_t start = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] == '\\') {
            i++; /* the next byte is data, whatever it is */
            if (i < text.n)
                continue;
        }
        if (i < text.n && text.p[i] != ',')
            continue;
        struct fed_str term = fed_str_n(text.p + start, FED_MIN(i, text.n) - start);
        start = i + 1;
        int code = term.n ? add_term(a, out, term, err) : 0;
        if (code != 0)
            return code;
    }
    return 0;
}
