/* SPDX-License-Identifier: Apache-2.0 */
/* virtuals.h: what the included cluster answers beside its stored kinds: bindings, pods/binding, pods/eviction, pods/log,
 * what uses channels (streams/streams.h), and metrics.k8s.io. */
#ifndef MEMBER_VIRTUALS_H
#define MEMBER_VIRTUALS_H

#include "member/member.h"

void mbr_virtuals_init(struct mbr *m);  /* fills m->virtuals; before fed_api_new */
void mbr_virtuals_hooks(struct mbr *m); /* lets the binder, and nobody else, set spec.nodeName of a pod */
/* Admission of pods: service account, default tolerations, the token's volume. */
int mbr_admit(void *ud, const struct fed_api_request *req, const struct fed_kind *kind, const struct fed_json *old,
              struct fed_json *obj, struct fed_err *err);
/* runtimeclass.c: its class is there, and what that says becomes the pod's. */
int mbr_admit_runtime(struct mbr *m, struct fed_arena *a, struct fed_json *spec, struct fed_err *err);
/* evict.c */
void mbr_serve_binding(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply); /* binding.c */
void mbr_serve_eviction(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
/* metrics.c */
void mbr_serve_node_metrics(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_pod_metrics(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
/* logs.c */
void mbr_serve_log(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);

#endif
