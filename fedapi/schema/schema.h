/* SPDX-License-Identifier: Apache-2.0 */
/* schema.h: the federation's own kinds (group `federation`), added to an API server's set, with their hooks. */
#ifndef FAPI_SCHEMA_SCHEMA_H
#define FAPI_SCHEMA_SCHEMA_H

#include "kube/kind.h"

/* Cluster (federation/v1beta1). */
FED_MUST_USE int fapi_kinds_add(struct fed_kinds *kinds, struct fed_err *err);

#endif
