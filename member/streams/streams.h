/* SPDX-License-Identifier: Apache-2.0 */
/* streams.h: what clients do inside pods over channels (net/channels.h): exec, attach, port-forward.
 *
 * Model:      a request names a pod; it is checked before the upgrade, so that what is wrong is answered as a Status, and
 *             after it problems go to the error channel. A session ends with its command, its container, its client, or
 *             its member; none of these takes another with it.
 * Ownership:  each session is on m->streams until its end and frees itself; mbr_streams_stop ends all.
 */
#ifndef MEMBER_STREAMS_STREAMS_H
#define MEMBER_STREAMS_STREAMS_H

#include "http/url.h"
#include "member/agent/pod.h"
#include "member/member.h"
#include "net/channels.h"

struct mbr_stream { /* first member of each session */
    struct fed_list link;
    struct mbr *m;
    void (*stop)(struct mbr_stream *s); /* the member stops, or the pod's processes are let go */
};
void mbr_stream_add(struct mbr *m, struct mbr_stream *s, void (*stop)(struct mbr_stream *s));
void mbr_stream_remove(struct mbr_stream *s);
void mbr_streams_stop(struct mbr *m);

struct mbr_target { /* a pod that can be talked to; borrowed, valid until the next turn */
    struct fed_kobj *obj;
    struct mbr_pod *pod;
    struct fed_json *tree;
    struct fed_query query;
    struct mbr_container *container;
};
/* Finds the pod and, when asked, its running container (?container=, the default-container annotation, the first).
 * False: answered with what is wrong. */
bool mbr_target_find(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply, bool with_container,
                     struct mbr_target *out);
bool mbr_query_true(const struct fed_query *q, const char *name);

/* Handlers of virtual resources; ud: struct mbr. */
void mbr_serve_exec(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_attach(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_forward(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);

/* exit.c: what the error channel says of a command's end. with_json: v4 of the protocol and later. */
void mbr_exit_write(struct fed_buf *out, bool with_json, int code, const char *failure);
/* A terminal's size: {"Width":80,"Height":24}. False: not one. */
bool mbr_size_parse(struct fed_str text, unsigned short *columns, unsigned short *rows);

#endif
