/* SPDX-License-Identifier: Apache-2.0 */
/* certs.h: making the certificate table of table.h. Counted; control thread only (glb_certs_find: any thread). */
#ifndef GLB_ROUTE_CERTS_H
#define GLB_ROUTE_CERTS_H

#include "globallb/route/table.h"

struct glb_certs *glb_certs_new(struct fed_env *env, const struct fed_snapshot *s);
struct glb_certs *glb_certs_ref(struct glb_certs *c);
void glb_certs_unref(struct glb_certs *c); /* NULL ok */

#endif
