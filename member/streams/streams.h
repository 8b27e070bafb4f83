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
void mbr_serve_pod_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_service_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_node_proxy(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);
void mbr_serve_forward(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply);

/* backend.c: what [SCHEME:]NAME[:PORT] before /proxy means. False: answered with what is wrong. */
struct mbr_backend {
    struct fed_addr addr;
    bool tls;
};
bool mbr_backend_of_pod(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                        struct mbr_backend *out);
bool mbr_backend_of_service(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                            struct mbr_backend *out);
/* *agent: no port was given: the node's agent itself is meant. */
bool mbr_backend_of_node(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply,
                         struct mbr_backend *out, bool *agent);
/* 503 with these words, and no word of trying again: clients would, ten times. */
void mbr_unavailable(struct fed_api_reply *reply, const char *fmt, ...) FED_PRINTF(2, 3);
struct mbr_name { /* slices */
    struct fed_str scheme, name, port;
};
bool mbr_name_split(struct fed_str text, struct mbr_name *out);

/* rewrite.c: heads on their way through a proxy. `prefix`: the path up to and with ".../proxy", as the client wrote it;
 * `rest`: what follows it. */
bool mbr_proxy_split(struct fed_str path, size_t parts, struct fed_str *prefix, struct fed_str *rest);
void mbr_proxy_request(struct fed_buf *out, const struct fed_http_request *r, struct fed_str rest, bool upgrade);
/* A Location of the backend's, as the client must see it. backend: "10.0.0.1:80". */
void mbr_proxy_location(struct fed_buf *out, struct fed_str location, struct fed_str prefix, const char *backend,
                        struct fed_str client_host);

/* exit.c: what the error channel says of a command's end. with_json: v4 of the protocol and later. */
void mbr_exit_write(struct fed_buf *out, bool with_json, int code, const char *failure);
/* A terminal's size: {"Width":80,"Height":24}. False: not one. */
bool mbr_size_parse(struct fed_str text, unsigned short *columns, unsigned short *rows);

#endif
