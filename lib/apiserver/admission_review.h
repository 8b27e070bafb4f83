/* SPDX-License-Identifier: Apache-2.0 */
/* admission_review.h: AdmissionReview as it is sent to a webhook and read from it. Pure.
 *
 * Failure: an answer that cannot be used is FED_E_INVALID with Kubernetes' words; a denial is not a failure. */
#ifndef FED_APISERVER_ADMISSION_REVIEW_H
#define FED_APISERVER_ADMISSION_REVIEW_H

#include "apiserver/admission_match.h"

struct fed_review_kind { /* of an object in one version, and its resource */
    struct fed_str group, version, kind;
    struct fed_str resource_group, resource_version, resource; /* of a subresource, the kind's are others */
};
struct fed_review {
    const char *api_version; /* "admission.k8s.io/v1" */
    struct fed_str uid;
    struct fed_review_kind as, requested; /* what is shown; what was asked for */
    struct fed_str subresource, name, ns, user, user_uid;
    const struct fed_str *groups;
    size_t n_groups;
    const struct fed_json *extra; /* of the user; NULL: none */
    enum fed_admit_operation operation;
    const struct fed_json *object, *old, *options; /* NULL: null; as `as` */
    bool dry_run;
};
void fed_review_write(struct fed_buf *out, const struct fed_review *r);

struct fed_review_answer { /* slices are in the arena */
    bool allowed;
    const struct fed_json *status;      /* of a denial; may be NULL */
    const struct fed_json *patch;       /* JSON Patch; NULL: none */
    const struct fed_json *warnings;    /* texts; NULL: none */
    const struct fed_json *annotations; /* auditAnnotations; NULL: none */
};
FED_MUST_USE int fed_review_read(struct fed_arena *a, struct fed_str body, const char *api_version, struct fed_str uid,
                                 bool mutating, struct fed_review_answer *out, struct fed_err *err);

/* The Status of a denial as Kubernetes words it; returns its HTTP status. */
int fed_review_denial(struct fed_buf *out, struct fed_str webhook, const struct fed_json *status);
/* 500 `Internal error occurred: TEXT`. */
void fed_review_internal(struct fed_buf *out, const char *text);

#endif
