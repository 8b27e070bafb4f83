/* SPDX-License-Identifier: Apache-2.0 */
/* registry.h: a write under way, from the body to the committed object.
 *
 * Model:      each attempt computes the whole new object from the current one in the cache and commits it with the
 *             current revision as the expectation. A conflict means that somebody wrote in between: patches, updates
 *             without resourceVersion and deletes are computed again, five times; the client's own resourceVersion is
 *             checked in each attempt. An object that would not change is not written.
 * Ownership:  the operation lives in its request's arena; `old` is its own reference. Threads: the state thread.
 */
#ifndef FED_APISERVER_REGISTRY_H
#define FED_APISERVER_REGISTRY_H

#include "apiserver/apiserver_priv.h"
#include "apiserver/strict.h"

enum fed_patch_type { FED_PATCH_NONE, FED_PATCH_JSON, FED_PATCH_MERGE, FED_PATCH_STRATEGIC, FED_PATCH_APPLY };
enum fed_strictness { FED_STRICT_WARN, FED_STRICT_IGNORE, FED_STRICT_STRICT };

struct fed_quota_reservation;
struct fed_guard_pass;
struct fed_write_op {
    struct fed_api_reply *r;
    int attempts;
    bool create;     /* the object does not exist: POST, or apply of a new one */
    bool client_rev; /* the client named a revision: no retry on conflict */
    bool generated;  /* its name was made by us */
    bool prepared;   /* hooks.prepare ran: hooks.settled is due */
    bool waited;     /* for webhooks: what was true of the namespace may have changed */
    bool removing;   /* the update takes the last finalizer away: the object goes */
    enum fed_patch_type patch;
    const struct fed_json *patch_tree; /* as it was sent; not for apply */
    enum fed_strictness strict;
    struct fed_strict found; /* in the body */
    struct fed_str manager;
    struct fed_kobj *old;
    struct fed_json *old_tree;           /* storage version; not to be changed */
    struct fed_json *obj;                /* the attempt's result, storage version */
    struct fed_json *owners;             /* its metadata.managedFields before webhooks saw it */
    struct fed_quota_reservation *quota; /* held until the commit is settled */
    struct fed_guard_pass *pass;         /* quota_guard.h; likewise */
    struct fed_causes causes;
    struct fed_err err;
    struct fed_write w;
    /* Called instead of the answer when set: internal writers (bootstrap, deletecollection). */
    void (*done)(struct fed_write_op *op, int code, uint64_t rev, const struct fed_err *err);
    void *ud;
    void (*again)(struct fed_write_op *op); /* the attempt, after a conflict */
    /* custom_convert.h: the body last sent to a conversion webhook and what came of it; the object under way there */
    struct fed_str conv_in, conv_out;
    char conv_uid[37];
    struct fed_kobj *converting;
};

/* --- write_op.c --- */
/* In the request's arena, and its r->op. */
struct fed_write_op *fed_write_op_new(struct fed_api_reply *r, void (*again)(struct fed_write_op *op));
void fed_commit_release(struct fed_write_op *op); /* the current object */
void fed_write_op_reset(struct fed_write_op *op); /* forgets what the last attempt made: it begins anew */

/* --- metadata (meta.c): changes obj, adds causes --- */
void fed_meta_create(struct fed_write_op *op, struct fed_json *obj);
/* 409: the update is meant for another object than there is. */
int fed_meta_other_uid(struct fed_write_op *op, struct fed_str uid);
int fed_meta_update(struct fed_write_op *op, struct fed_json *obj); /* FED_E_CONFLICT and so on in op->err */
void fed_meta_validate(struct fed_write_op *op, const struct fed_json *obj);
/* spec (all but metadata and status) differs */
bool fed_meta_spec_changed(const struct fed_write_op *op);
/* Equal but for resourceVersion, and the times of managedFields. */
bool fed_meta_same(const struct fed_json *old, const struct fed_json *obj);
bool fed_meta_same_managers(const struct fed_json *old, const struct fed_json *obj);

/* --- decode.c: from what a client wrote to the storage version --- */
/* Prunes, reports unknown fields as asked, defaults, checks types, converts. Answers the request on error: false. */
bool fed_decode_refine(struct fed_write_op *op, struct fed_json *obj);
/* Warns of what was found, or refuses it, with no object at hand (scale) or one applied: false. */
bool fed_found_tell(struct fed_api_reply *r, enum fed_strictness strict, struct fed_strict *found, const char *kind,
                    const char *version);
bool fed_found_report(struct fed_write_op *op, const char *kind, const char *version);
/* A value of the wrong type: 422 of a patch, else 400; in the words of the decoder. */
void fed_refuse_mistyped(struct fed_write_op *op, const struct fed_json *obj, struct fed_str kind,
                         struct fed_str version, struct fed_str words);
/* 422 for what a patch made of the object. */
void fed_patch_refused(struct fed_write_op *op, const struct fed_json *obj, struct fed_str words);
bool fed_found_report_applied(struct fed_write_op *op);
/* apiVersion and kind of the body against the path. Answers: false. */
bool fed_decode_type(struct fed_write_op *op, struct fed_json *obj);
bool fed_api_strictness(struct fed_api_reply *r, enum fed_strictness *out); /* ?fieldValidation; answers: false */
bool fed_decode_strictness(struct fed_write_op *op);                        /* ?fieldValidation; answers: false */
bool fed_decode_manager(struct fed_write_op *op);                           /* ?fieldManager; answers: false */

/* --- commit.c --- */
/* After obj is in storage version: admission, hooks, validation, generation, managed fields, commit. */
void fed_commit_object(struct fed_write_op *op);
/* owners.c: before admission: the fields that the write changes are its manager's (an apply has seen to it); after webhooks:
 * entries that are none are as they were before. */
void fed_owners_track(struct fed_write_op *op);
void fed_owners_after(struct fed_write_op *op);
/* Writes (obj) or deletes (obj NULL) the key of old or obj, expecting old's revision. */
void fed_commit_store(struct fed_write_op *op, struct fed_json *obj);
bool fed_commit_may_retry(struct fed_write_op *op);

/* --- commit_end.c: an attempt ends, and wrote nothing --- */
void fed_commit_settle(struct fed_write_op *op, bool committed);                       /* quota, hooks; either way */
void fed_commit_fail(struct fed_write_op *op, int code);                               /* by op->err */
void fed_commit_refuse(struct fed_write_op *op, int code);                             /* the same by a rule */
void fed_commit_fail_causes(struct fed_write_op *op);                                  /* by op->causes */
void fed_commit_refuse_text(struct fed_write_op *op, int status, struct fed_str text); /* with a whole Status */

/* patch.c: the current object in the request's version with the patch applied; NULL: answered. */
struct fed_json *fed_patch_compute(struct fed_write_op *op);
bool fed_patch_type(struct fed_write_op *op); /* by Content-Type; 415 answered: false */
/* delete.c: starts the deletion inside an operation whose `old` is current. */
void fed_delete_object(struct fed_write_op *op);

/* --- current.c: the current object as a tree, in the request's version and in the storage version --- */
struct fed_json *fed_registry_current(struct fed_write_op *op);
struct fed_json *fed_registry_stored(struct fed_write_op *op);
/* Sets what the scale subresource is about. */
void fed_registry_put_replicas(struct fed_write_op *op, struct fed_json *obj, int64_t replicas);

#endif
