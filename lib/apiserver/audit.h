/* SPDX-License-Identifier: Apache-2.0 */
/* audit.h: who did what: a policy (audit.k8s.io/v1) says which requests are recorded and how much of them; the log
 * takes the events, a line of JSON each.
 *
 * Model:      a record begins when the asker is known, collects the decision and the answer, and gives an event at each
 *             stage that the policy does not omit. Events go into a buffer that a thread of the log's own writes to the
 *             file, so the state thread never waits for the disk.
 * Invariants: the buffer is bounded (32 MiB). When the disk cannot follow, events that do not fit are dropped whole and
 *             counted (apiserver_audit_error_total); requests are served all the same. The file is renamed when it has
 *             reached its size; the newest `max_backup` renamed ones stay.
 * Ownership:  a fed_audit outlives the engine that it was given to. A record lives in its request.
 * Threads:    the state thread; the log's thread sees bytes only.
 * Failure:    FED_E_INVALID with the place for a policy; a file that cannot be opened refuses the start.
 */
#ifndef FED_APISERVER_AUDIT_H
#define FED_APISERVER_AUDIT_H

#include "apiserver/apiserver.h"

enum fed_audit_level { FED_AUDIT_NONE, FED_AUDIT_METADATA, FED_AUDIT_REQUEST, FED_AUDIT_RESPONSE };
enum { FED_AUDIT_RECEIVED = 1, FED_AUDIT_STARTED = 2, FED_AUDIT_COMPLETE = 4 }; /* stages, as bits */

/* --- audit_policy.c --- */
struct fed_audit_policy;
FED_MUST_USE int fed_audit_policy_parse(struct fed_str yaml, struct fed_audit_policy **out, struct fed_err *err);
void fed_audit_policy_free(struct fed_audit_policy *p); /* NULL ok */
struct fed_audit_verdict {
    enum fed_audit_level level;
    unsigned omit; /* stages */
    bool omit_managed_fields;
};
/* Of a namespace's own requests it is that namespace, as in Kubernetes. */
struct fed_str fed_audit_namespace(const struct fed_api_request *q);
/* By the first rule that the request matches; none: FED_AUDIT_NONE. */
struct fed_audit_verdict fed_audit_judge(const struct fed_audit_policy *p, const struct fed_api_request *q);

/* --- audit_log.c --- */
struct fed_audit_log_conf {
    const char *path; /* "-": standard output */
    uint64_t max_bytes;
    uint32_t max_backup; /* 0: all are kept */
    struct fed_metric *events, *errors;
};
struct fed_audit_log;
FED_MUST_USE int fed_audit_log_open(const struct fed_audit_log_conf *conf, struct fed_audit_log **out,
                                    struct fed_err *err);
/* The line without its end; wall clock for the names of renamed files. */
void fed_audit_log_put(struct fed_audit_log *log, struct fed_str line, int64_t wall_ms);
/* How many events were dropped so far, and why the last of them (static text). */
uint64_t fed_audit_log_lost(struct fed_audit_log *log, const char **why);
void fed_audit_log_close(struct fed_audit_log *log); /* writes what is left; NULL ok */

struct fed_audit { /* what the engine is given */
    struct fed_audit_policy *policy;
    /* Takes one event. */
    void (*put)(void *ud, struct fed_str line, int64_t wall_ms);
    void *ud;
};

/* --- audit_event.c: the engine's side --- */
/* Audit-Id of the answer: the request's own, or a new one. */
void fed_audit_arrived(struct fed_api_reply *r);
void fed_audit_begin(struct fed_api_reply *r);        /* the asker is known */
void fed_audit_stranger(struct fed_api_reply *r);     /* or is refused: one event, of the answer */
void fed_audit_impersonated(struct fed_api_reply *r); /* and acts as r->q.who now */
void fed_audit_decided(struct fed_api_reply *r, bool allowed, struct fed_str reason);
/* An annotation of the event, the first of each key; both are copied. */
void fed_audit_note(struct fed_api_reply *r, struct fed_str key, struct fed_str value);
/* The same, only in events of this level or more; one from Request on may be long. */
void fed_audit_note_from(struct fed_api_reply *r, enum fed_audit_level least, struct fed_str key, struct fed_str value);
void fed_audit_answered(struct fed_api_reply *r, int status, const char *content_type, struct fed_str body);
void fed_audit_started(struct fed_api_reply *r, int status); /* of a stream */
void fed_audit_end(struct fed_api_reply *r);                 /* the request is done */

#endif
