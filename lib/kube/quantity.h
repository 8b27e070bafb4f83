/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.h: resource quantities ("100m", "1Gi", "1e3"). Pure. Source: apimachinery resource.Quantity grammar. */
#ifndef FED_KUBE_QUANTITY_H
#define FED_KUBE_QUANTITY_H

#include "base/buf.h"
#include "base/err.h"

/* Thousandths, rounded up, saturating at INT64_MAX/MIN. FED_E_SYNTAX. */
FED_MUST_USE int fed_quantity_milli(struct fed_str s, int64_t *milli);
/* Units, rounded up: "1500m" -> 2, "1Ki" -> 1024. */
FED_MUST_USE int fed_quantity_units(struct fed_str s, int64_t *units);
/* As Kubernetes writes it back: the shortest with whole digits in the family of suffixes it came with ("0.5" -> "500m",
 * "1024Mi" -> "1Gi", "1000" -> "1k"), at most nanos. FED_E_SYNTAX; FED_E_LIMIT: too large for this. */
FED_MUST_USE int fed_quantity_canonical(struct fed_str s, struct fed_buf *out);
void fed_quantity_format_milli(struct fed_buf *out, int64_t milli); /* canonical: "100m", "2", "1k" */

#endif
