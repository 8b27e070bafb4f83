/* SPDX-License-Identifier: Apache-2.0 */
/* selector.h: label selectors (string and object form, cluster-selector annotation form) and field selectors. Pure.
 * Source: apimachinery labels.Parse grammar; metav1.LabelSelector; federation cluster-selector annotation. */
#ifndef FED_KUBE_SELECTOR_H
#define FED_KUBE_SELECTOR_H

#include "kube/obj.h"

enum fed_sel_op { FED_SEL_IN, FED_SEL_NOT_IN, FED_SEL_EXISTS, FED_SEL_NOT_EXISTS, FED_SEL_GT, FED_SEL_LT };
struct fed_requirement {
    struct fed_str key;
    enum fed_sel_op op;
    struct fed_str *values;
    size_t n_values;
    bool set; /* written as a set, "a in (b)", even of one value */
};
struct fed_selector { /* arena-owned; no requirement = everything */
    struct fed_requirement *reqs;
    size_t n;
    bool nothing; /* matches nothing (a nil LabelSelector) */
};
/* "a=b,c in (d,e),!f". FED_E_BAD_REQUEST with the text that Kubernetes gives ("unable to parse requirement: …"). */
FED_MUST_USE int fed_selector_parse(struct fed_arena *a, struct fed_str text, struct fed_selector *out,
                                    struct fed_err *err);
/* {matchLabels, matchExpressions}; NULL or JSON null = nothing, {} = everything. FED_E_INVALID. */
FED_MUST_USE int fed_selector_from_json(struct fed_arena *a, const struct fed_json *sel, struct fed_selector *out,
                                        struct fed_err *err);
/* A plain map of labels (Service spec.selector). */
void fed_selector_from_map(struct fed_arena *a, const struct fed_json *map, struct fed_selector *out);
/* The JSON array of federation.alpha.kubernetes.io/cluster-selector: [{key, operator, values}]; operators as
 * federation-v1: in = == notin != exists ! doesnotexist gt lt, any case. "" or "[]" = everything. */
FED_MUST_USE int fed_selector_from_annotation(struct fed_arena *a, struct fed_str text, struct fed_selector *out,
                                              struct fed_err *err);
bool fed_selector_matches(const struct fed_selector *s, const struct fed_kv *labels, size_t n);
bool fed_selector_matches_json(const struct fed_selector *s, const struct fed_json *labels); /* map or NULL */
void fed_selector_format(const struct fed_selector *s,
                         struct fed_buf *out); /* as Kubernetes writes it: by key, values in order */

struct fed_field_req {
    struct fed_str path, value; /* "status.phase", "Running" */
    bool not_equal;
};
struct fed_field_selector {
    struct fed_field_req *reqs;
    size_t n;
};
/* "metadata.name=a,status.phase!=Running" with \\ escapes. FED_E_BAD_REQUEST. */
FED_MUST_USE int fed_field_selector_parse(struct fed_arena *a, struct fed_str text, struct fed_field_selector *out,
                                          struct fed_err *err);

#endif
