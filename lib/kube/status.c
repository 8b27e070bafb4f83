/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/status.h"

#include <stdarg.h>

static const struct {
    const char *reason, *words;
} cause_words[] = {
    [FED_CAUSE_REQUIRED] = {"FieldValueRequired", "Required value"},
    [FED_CAUSE_INVALID] = {"FieldValueInvalid", "Invalid value"},
    [FED_CAUSE_NOT_SUPPORTED] = {"FieldValueNotSupported", "Unsupported value"},
    [FED_CAUSE_DUPLICATE] = {"FieldValueDuplicate", "Duplicate value"},
    [FED_CAUSE_FORBIDDEN] = {"FieldValueForbidden", "Forbidden"},
    [FED_CAUSE_NOT_FOUND] = {"FieldValueNotFound", "Not found"},
    [FED_CAUSE_TOO_LONG] = {"FieldValueTooLong", "Too long"},
    [FED_CAUSE_TOO_MANY] = {"FieldValueTooMany", "Too many"},
    [FED_CAUSE_TYPE_INVALID] = {"FieldValueTypeInvalid", "Invalid value"},
    [FED_CAUSE_MANAGER_CONFLICT] = {"FieldManagerConflict", ""},
};
enum { MAX_CAUSES = 100, MAX_SHOWN_VALUE = 1000 };

static bool has_room(struct fed_causes *c)
{
    if (c->n == MAX_CAUSES)
        return false;
    FED_ARENA_ROOM(c->arena, c->items, c->n, c->cap, 8);
    return true;
}

void fed_causes_keep(struct fed_causes *c, const struct fed_cause *cause)
{
    if (has_room(c))
        c->items[c->n++] = *cause;
}

/* A schema says only that a field is required; who says more about the same field speaks for both. */
static struct fed_cause *said_required(struct fed_causes *c, struct fed_str field)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->items[i].type == FED_CAUSE_REQUIRED && fed_str_eq(c->items[i].field, field))
            return &c->items[i];
    return NULL;
}

bool fed_cause_begins(enum fed_cause_type type, struct fed_str *text)
{
    struct fed_str words = fed_str(cause_words[type].words);
    if (!fed_str_starts(*text, words))
        return false;
    *text = fed_str_from(*text, words.n);
    if (fed_str_starts(*text, FED_STR(": ")))
        *text = fed_str_from(*text, 2);
    return true;
}

void fed_causes_drop_required(struct fed_causes *c, struct fed_str field)
{
    struct fed_cause *said = said_required(c, field);
    if (!said)
        return;
    c->n--;
    memmove(said, said + 1, (size_t)(&c->items[c->n] - said) * sizeof *said);
}

void fed_causes_add(struct fed_causes *c, enum fed_cause_type type, struct fed_str field, struct fed_str value,
                    const char *detail_fmt, ...)
{
    struct fed_cause *said = type == FED_CAUSE_REQUIRED && !c->ordered ? said_required(c, field) : NULL;
    struct fed_buf text = {0};
    if (!said && !has_room(c))
        return;
    fed_buf_addz(&text, cause_words[type].words);
    if (value.n) {
        fed_buf_addz(&text, ": ");
        fed_buf_add(&text, fed_str_head(value, MAX_SHOWN_VALUE));
    }
    if (detail_fmt && *detail_fmt) {
        char detail[1024];
        va_list ap;
        va_start(ap, detail_fmt);
        vsnprintf(detail, sizeof(detail), detail_fmt, ap);
        va_end(ap);
        if (*detail && text.n)
            fed_buf_addz(&text, ": ");
        fed_buf_addz(&text, detail);
    }
    if (!said)
        c->items[c->n++] =
            (struct fed_cause){type, fed_arena_dup(c->arena, field), fed_arena_dup(c->arena, fed_buf_str(&text))};
    else if (fed_str_is(said->message, cause_words[type].words))
        said->message = fed_arena_dup(c->arena, fed_buf_str(&text));
    fed_buf_release(&text);
}

/* "deployments.apps" or "pods" */
static void add_kind(struct fed_buf *out, const struct fed_status_details *d)
{
    fed_buf_add(out, d->kind);
    if (d->group.n) {
        fed_buf_addc(out, '.');
        fed_buf_add(out, d->group);
    }
}

static void add_causes_text(struct fed_buf *out, const struct fed_causes *c)
{
    if (!c || c->n == 0)
        return;
    if (c->n > 1)
        fed_buf_addc(out, '[');
    for (size_t i = 0; i < c->n; i++) {
        if (i)
            fed_buf_addz(out, ", ");
        if (c->items[i].field.n) {
            fed_buf_add(out, c->items[i].field);
            fed_buf_addz(out, ": ");
        }
        fed_buf_add(out, c->items[i].message);
    }
    if (c->n > 1)
        fed_buf_addc(out, ']');
}

/* The words that kube-apiserver uses where nothing better is known. */
static void add_standard_message(struct fed_buf *out, int code, const struct fed_status_details *d)
{
    bool named = d && d->kind.n;
    if (code == FED_E_UNAUTHORIZED) {
        fed_buf_addz(out, "Unauthorized");
    } else if (code == FED_E_NOT_FOUND && !named) {
        fed_buf_addz(out, "the server could not find the requested resource");
    } else if (named && (code == FED_E_NOT_FOUND || code == FED_E_ALREADY_EXISTS)) {
        add_kind(out, d);
        fed_buf_addf(out, " \"%.*s\" %s", FED_STR_ARG(d->name),
                     code == FED_E_NOT_FOUND ? "not found" : "already exists");
    } else if (d && (d->kind.n || d->group.n) && code == FED_E_INVALID) { /* of reviews kube-apiserver has no kind */
        add_kind(out, d);
        fed_buf_addf(out, " \"%.*s\" is invalid: ", FED_STR_ARG(d->name));
        add_causes_text(out, d->causes);
    } else if (named && code == FED_E_CONFLICT) {
        fed_buf_addz(out, "Operation cannot be fulfilled on ");
        add_kind(out, d);
        fed_buf_addf(out,
                     " \"%.*s\": the object has been modified; please apply your changes to the latest version and "
                     "try again",
                     FED_STR_ARG(d->name));
    } else if (named && code == FED_E_FORBIDDEN) {
        add_kind(out, d);
        fed_buf_addf(out, " \"%.*s\" is forbidden", FED_STR_ARG(d->name));
    } else if (code == FED_E_METHOD_NOT_ALLOWED) {
        fed_buf_addz(out, "the server does not allow this method on the requested resource");
    } else {
        fed_buf_addz(out, fed_code_text(code));
    }
}

/* A comma, unless the object or array was just opened. */
static void add_comma(struct fed_buf *out)
{
    if (out->n && out->p[out->n - 1] != '{')
        fed_buf_addc(out, ',');
}

static void add_member(struct fed_buf *out, const char *key, struct fed_str value)
{
    if (value.n == 0)
        return;
    add_comma(out);
    fed_buf_addf(out, "\"%s\":", key);
    fed_json_write_string(out, value);
}

static void add_details(struct fed_buf *out, const struct fed_status_details *d)
{
    fed_buf_addz(out, "\"details\":{");
    add_member(out, "name", d->name);
    add_member(out, "group", d->group);
    add_member(out, "kind", d->kind);
    add_member(out, "uid", d->uid);
    if (d->causes && d->causes->n) {
        add_comma(out);
        fed_buf_addz(out, "\"causes\":[");
        for (size_t i = 0; i < d->causes->n; i++) {
            const struct fed_cause *c = &d->causes->items[i];
            fed_buf_addz(out, i ? ",{" : "{");
            add_member(out, "reason", fed_str(cause_words[c->type].reason));
            add_member(out, "message", c->message);
            add_member(out, "field", c->field);
            fed_buf_addc(out, '}');
        }
        fed_buf_addc(out, ']');
    }
    if (d->retry_after_s > 0) {
        add_comma(out);
        fed_buf_addf(out, "\"retryAfterSeconds\":%d", d->retry_after_s);
    }
    fed_buf_addz(out, "},");
}

void fed_status_write(struct fed_buf *out, int code, const char *message, const struct fed_status_details *details)
{
    struct fed_buf text = {0};
    if (message)
        fed_buf_addz(&text, message);
    else
        add_standard_message(&text, code, details);
    fed_buf_addz(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":");
    fed_json_write_string(out, fed_buf_str(&text));
    fed_buf_addf(out, ",\"reason\":\"%s\",", fed_code_reason(code));
    if (details)
        add_details(out, details);
    fed_buf_addf(out, "\"code\":%d}", fed_code_status(code));
    fed_buf_release(&text);
}

void fed_status_write_success(struct fed_buf *out, const struct fed_status_details *details)
{
    fed_buf_addz(out, "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\",");
    if (details)
        add_details(out, details);
    out->n--; /* the last comma */
    fed_buf_addc(out, '}');
}

int fed_status_read(int http_status, struct fed_str body, struct fed_err *err)
{
    struct fed_arena arena = {0};
    struct fed_json *tree = NULL;
    struct fed_str reason = {0}, message = {0};
    const struct fed_json_limits limits = {.max_bytes = 1 << 20};
    if (fed_json_parse(&arena, body, &limits, &tree, NULL) == 0 &&
        fed_str_is(fed_json_find_text(tree, "kind"), "Status")) {
        reason = fed_json_find_text(tree, "reason");
        message = fed_json_find_text(tree, "message");
        if (http_status == 0 || http_status == 200) /* ERROR events of a watch */
            http_status = (int)fed_json_int(fed_json_find(tree, "code"), 500);
    } else {
        message = fed_str_head(fed_str_trim(body), 300);
    }
    int code = fed_code_from_status(http_status, reason.n ? fed_arena_dupz(&arena, reason) : NULL);
    if (message.n)
        fed_err_set(err, code, "%.*s", FED_STR_ARG(message));
    else
        fed_err_set(err, code, "HTTP status %d: %s", http_status, fed_code_text(code));
    fed_arena_release(&arena);
    return code;
}
