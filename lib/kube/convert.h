/* SPDX-License-Identifier: Apache-2.0 */
/* convert.h: conversions between versions of core kinds (hooks). In place, to or from the storage version; apiVersion
 * itself is set by fed_kind_convert. What the other version cannot say is kept in annotations, so that nothing is lost. */
#ifndef FED_KUBE_CONVERT_H
#define FED_KUBE_CONVERT_H

#include "kube/kind.h"

int fed_convert_workload(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                         const struct fed_kind_version *to, struct fed_err *err);
int fed_convert_ingress(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                        const struct fed_kind_version *to, struct fed_err *err);
int fed_convert_event(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                      const struct fed_kind_version *to, struct fed_err *err);
int fed_convert_hpa(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                    const struct fed_kind_version *to, struct fed_err *err);

#endif
