/* SPDX-License-Identifier: Apache-2.0 */
/* admission.h: what stands between a decoded write and its commit: mutating webhooks, validating webhooks, and the
 * built-in rules (limit ranges, priorities, quota).
 *
 * Model:      a write calls `mutate` with its object, goes on with its own validation, calls `validate`, and commits.
 *             Each calls back exactly once, at once when nothing has to be asked (no webhook matches: the usual case
 *             costs a few comparisons), else after the answers. A conflict at the commit computes the object anew and
 *             asks anew. Mutating webhooks are asked one after the other in the order of their configurations' names,
 *             those with reinvocationPolicy IfNeeded a second time when a later one changed the object; validating ones
 *             all at once.
 * Ownership:  a struct fed_admission lives in its request's arena. Threads: the state thread.
 * Failure:    `refused` carries a whole Status.
 */
#ifndef FED_APISERVER_ADMISSION_H
#define FED_APISERVER_ADMISSION_H

#include "apiserver/admission_review.h"
#include "apiserver/registry.h"

struct fed_admission {
    struct fed_api_reply *r;
    enum fed_admit_operation operation;
    const struct fed_kind_version *v; /* of the request; NULL: obj and old are not of a stored kind (Scale, options) */
    struct fed_str api_version, kind; /* of obj when v is NULL */
    struct fed_json *obj;             /* in storage version when v is set; NULL on DELETE; changed by mutate */
    const struct fed_json *old;
    struct fed_str ns, name;
    bool unnamed; /* the name was generated: who may still change the object does not see it yet */
    const struct fed_json *options;
    bool changed; /* by a webhook */
    /* The answer: status 0 means admitted, else HTTP status and the text of a Status. */
    void (*done)(struct fed_admission *ad, int status, struct fed_str text);
    void *ud;
    /* private */
    struct fed_hook_use *use;
    size_t next, running;
    bool mutating, second;
    unsigned char *seen; /* per webhook: asked, to be asked again */
    struct fed_hook_call *calls;
    struct fed_hook_resource *resources;
    const struct fed_kind_version **versions;
    size_t n_resources;
    const struct fed_json *ns_labels;
    void (*builtin)(struct fed_admission *ad); /* run again after webhooks changed the object; NULL: none */
};

bool fed_admission_asks(struct fed_api *api, bool mutating); /* are there such webhooks at all? */
void fed_admission_mutate(struct fed_admission *ad);
void fed_admission_validate(struct fed_admission *ad);

/* --- writes of stored kinds (commit.c, delete.c) --- */
/* go_on(op) when it may go on; a refusal ends the operation. */
void fed_admission_mutate_write(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op));
void fed_admission_validate_write(struct fed_write_op *op, void (*go_on)(struct fed_write_op *op));
void fed_admission_delete(struct fed_write_op *op, const struct fed_json *options,
                          void (*go_on)(struct fed_write_op *op));
/* The built-in rules: defaults before the webhooks (again after they changed the object), limits after validation.
 * FED_E_FORBIDDEN with op->err. */
FED_MUST_USE int fed_admission_defaults(struct fed_write_op *op);
FED_MUST_USE int fed_admission_limits(struct fed_write_op *op);
/* --- virtual resources --- */
void fed_admission_virtual(struct fed_api_reply *r, const struct fed_virtual *v);

/* --- admission_notes.c: for the audit log; index: the webhook's place in the list --- */
void fed_admission_note_open(const struct fed_admission *ad, const struct fed_hook *h, size_t index);
void fed_admission_note_mutation(const struct fed_admission *ad, const struct fed_hook *h, size_t index, bool mutated);
void fed_admission_note_patch(const struct fed_admission *ad, const struct fed_hook *h, size_t index,
                              const struct fed_json *patch);

void fed_admission_release(struct fed_api *api);

#endif
