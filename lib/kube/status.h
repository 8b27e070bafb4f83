/* SPDX-License-Identifier: Apache-2.0 */
/* status.h: metav1.Status as the API server makes it and clients read it, and the list of causes of a 422. */
#ifndef FED_KUBE_STATUS_H
#define FED_KUBE_STATUS_H

#include "codec/json.h"

/* field.Error types with the words that clients show. */
enum fed_cause_type {
    FED_CAUSE_REQUIRED,        /* FieldValueRequired,     "Required value" */
    FED_CAUSE_INVALID,         /* FieldValueInvalid,      "Invalid value" */
    FED_CAUSE_NOT_SUPPORTED,   /* FieldValueNotSupported, "Unsupported value" */
    FED_CAUSE_DUPLICATE,       /* FieldValueDuplicate,    "Duplicate value" */
    FED_CAUSE_FORBIDDEN,       /* FieldValueForbidden,    "Forbidden" */
    FED_CAUSE_NOT_FOUND,       /* FieldValueNotFound,     "Not found" */
    FED_CAUSE_TOO_LONG,        /* FieldValueTooLong,      "Too long" */
    FED_CAUSE_TOO_MANY,        /* FieldValueTooMany,      "Too many" */
    FED_CAUSE_TYPE_INVALID,    /* FieldValueTypeInvalid,  "Invalid value" */
    FED_CAUSE_MANAGER_CONFLICT /* FieldManagerConflict of server-side apply; the detail is the whole message */
};
struct fed_cause {
    enum fed_cause_type type;
    struct fed_str field;   /* "spec.replicas" */
    struct fed_str message; /* 'Invalid value: -1: must be greater than or equal to 0' (without the field) */
};
struct fed_causes { /* arena-owned, at most 100 are kept */
    struct fed_arena *arena;
    struct fed_cause *items;
    size_t n, cap;
    bool ordered; /* as Kubernetes tells them already: schema_order.c leaves them so */
};
/* value: the JSON text or quoted string shown after the type's words; empty for REQUIRED and FORBIDDEN. */
void fed_causes_add(struct fed_causes *c, enum fed_cause_type type, struct fed_str field, struct fed_str value,
                    const char *detail_fmt, ...) FED_PRINTF(5, 6);

/* Whether text is a message of that type of cause; then its beginning is cut off. */
bool fed_cause_begins(enum fed_cause_type type, struct fed_str *text);
/* A schema said that the field is required; who knows better words for none takes that back. */
void fed_causes_drop_required(struct fed_causes *c, struct fed_str field);
/* One that was added elsewhere (in the same arena). */
void fed_causes_keep(struct fed_causes *c, const struct fed_cause *cause);

struct fed_status_details {
    struct fed_str name, group, kind, uid;
    const struct fed_causes *causes;
    int retry_after_s;
};
/* A Failure Status as JSON text. message NULL: the standard words for the code, built from details
 * ('deployments.apps "web" not found', 'Deployment.apps "web" is invalid: …'). */
void fed_status_write(struct fed_buf *out, int code, const char *message, const struct fed_status_details *details);
/* A Success Status (delete). */
void fed_status_write_success(struct fed_buf *out, const struct fed_status_details *details);
/* Reads an error answer: Status JSON or any text, with its HTTP status, into a code and text. */
int fed_status_read(int http_status, struct fed_str body, struct fed_err *err);

#endif
