/* SPDX-License-Identifier: Apache-2.0 */
/* admission.h: what the federation adds to the engine's checks: who may do what, and the finalizer that makes deleting
 * an object wait for the clusters. Pure. */
#ifndef FAPI_ADMISSION_H
#define FAPI_ADMISSION_H

#include "apiserver/apiserver.h"

/* Edge programs (group hansa:edge) may read what routes traffic, and nothing else. */
enum fed_authz fapi_authorize(void *ud, const struct fed_api_request *req);
int fapi_admit(void *ud, const struct fed_api_request *req, const struct fed_kind *kind, const struct fed_json *old,
               struct fed_json *obj, struct fed_err *err);

#endif
