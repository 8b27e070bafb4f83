/* SPDX-License-Identifier: Apache-2.0 */
/* patch.h: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), pure functions on trees.
 * Strategic merge needs schemas and lives in lib/kube (smp.h). */
#ifndef FED_CODEC_PATCH_H
#define FED_CODEC_PATCH_H

#include "codec/json.h"

#define FED_JSON_PATCH_MAX 10000 /* operations */
/* Applies `patch` (array of operations) to *doc in place; *doc may be replaced. At most 10,000 operations.
 * FED_E_BAD_REQUEST: malformed patch; FED_E_INVALID: a path is missing or a test fails (doc is then undefined). */
FED_MUST_USE int fed_json_patch(struct fed_arena *a, struct fed_json **doc, const struct fed_json *patch,
                                struct fed_err *err);
/* Returns the merged document (doc changed in place, or a new root; nothing of patch is reused). */
struct fed_json *fed_json_merge_patch(struct fed_arena *a, struct fed_json *doc, const struct fed_json *patch);
/* The smallest merge patch that turns `from` into `to`; of equal objects, an empty object. A null in `to` cannot be
 * said by a merge patch. When one of the two is no object: a copy of `to`. */
struct fed_json *fed_json_merge_diff(struct fed_arena *a, const struct fed_json *from, const struct fed_json *to);

#endif
