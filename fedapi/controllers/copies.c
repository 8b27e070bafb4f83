/* SPDX-License-Identifier: Apache-2.0 */
/* copies.c: what a member's replicator writes to its copies, and what it notes of them at the share. */
#include <stdlib.h>

#include "base/mem.h"
#include "fedapi/controllers/aggregate.h"
#include "fedapi/controllers/due.h"
#include "fedapi/controllers/kinds.h"
#include "fedapi/controllers/member_priv.h"
#include "fedapi/controllers/replicator_priv.h"

#define LOOK_AGAIN_MS 60000 /* at a conflict */

/* --- state of a share --- */

struct fapi_share *fapi_replicator_share(struct fapi_replicator *r, const char *key)
{
    struct fapi_assignment *as = fapi_assignment_find(r->member->fed, key);
    return as ? fapi_assignment_share(as, r->member) : NULL;
}

void fapi_replicator_set(struct fapi_replicator *r, const char *key, enum fapi_sync_state state, const char *message)
{
    struct fapi_share *share = fapi_replicator_share(r, key);
    if (!share)
        return;
    bool same_text = message ? share->message && strcmp(share->message, message) == 0 : share->message == NULL;
    if (share->state == state && same_text)
        return;
    if ((share->state == FAPI_SYNC_CONFLICT) != (state == FAPI_SYNC_CONFLICT)) /* a conflict runs no replicas of ours */
        fapi_due_decide(r->member->fed, fed_str(key));
    share->state = state;
    if (!same_text) {
        free(share->message);
        share->message = message ? fed_strdup(message) : NULL;
    }
    fapi_due_status(r->member->fed, fed_str(key));
}

/* A write begins. What went wrong before stands until it is known how this one ends: a retry is no news. */
void fapi_replicator_pending(struct fapi_replicator *r, const char *key)
{
    const struct fapi_share *share = fapi_replicator_share(r, key);
    if (share && share->state != FAPI_SYNC_FAILED && share->state != FAPI_SYNC_CONFLICT)
        fapi_replicator_set(r, key, FAPI_SYNC_PENDING, NULL);
}

struct fed_kobj *fapi_replicator_hub(struct fapi_replicator *r, const char *key, struct fapi_kind **k)
{
    struct fed_str ns, name;
    if (!fapi_key_parse(r->member->fed, key, k, &ns, &name))
        return NULL;
    return fed_informer_find((*k)->hub, ns, name);
}

void fapi_replicator_conflict(struct fapi_replicator *r, const char *key, const struct fapi_kind *k,
                              struct fed_kobj *hub, const struct fed_kobj *there)
{
    struct fapi_share *share = fapi_replicator_share(r, key);
    struct fed_arena a = {0};
    static const char text[] =
        "an object of this name is there that the federation did not make; annotate with " FAPI_ADOPT
        "=true to take it over";
    if (share && share->state != FAPI_SYNC_CONFLICT && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, "Conflict", "cluster %s: %s", r->member->name, text);
    if (share)
        share->found = fapi_kind_number(k, fed_kobj_parse(there, &a));
    fapi_replicator_set(r, key, FAPI_SYNC_CONFLICT, text);
    fed_workqueue_add_after(r->queue, fed_str(key), LOOK_AGAIN_MS); /* our watch does not show its end */
    fed_arena_release(&a);
}

void fapi_replicator_failed(struct fapi_replicator *r, const char *key, const char *what, const struct fed_err *err)
{
    struct fapi_kind *k;
    struct fed_kobj *hub = fapi_replicator_hub(r, key, &k);
    struct fapi_share *share = fapi_replicator_share(r, key);
    const char *text = err && err->text[0] ? err->text : "no reason given";
    bool news = share && (share->state != FAPI_SYNC_FAILED || !share->message || strcmp(share->message, text) != 0);
    if (hub && news && !fapi_aggregate_told(hub, r->member->name, fed_str(text)))
        fed_event_warning(r->member->fed->recorder, hub, what, "cluster %s: %s", r->member->name, text);
    fapi_replicator_set(r, key, FAPI_SYNC_FAILED, text);
}

/* --- answers of the member --- */

/* Failures of the way there are the cluster's health's business; only words of the member are the object's. NotFound is
 * neither: the namespace is on its way. */
static bool is_refusal(int code)
{
    return code == FED_E_INVALID || code == FED_E_BAD_REQUEST || code == FED_E_FORBIDDEN || code == FED_E_TOO_LARGE ||
           code == FED_E_UNAUTHORIZED || code == FED_E_METHOD_NOT_ALLOWED || code == FED_E_UNSUPPORTED_MEDIA ||
           code == FED_E_INTERNAL;
}

int fapi_replicator_judge(struct fapi_job *job, int code, const struct fed_err *err, const char *what)
{
    struct fapi_replicator *r = job->ud;
    if (code == 0)
        fapi_replicator_set(r, job->key, FAPI_SYNC_SYNCED, NULL);
    else if (is_refusal(code))
        fapi_replicator_failed(r, job->key, what, err);
    fapi_due_settle(r->member);
    return code;
}

static int patched(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err)
{
    return fapi_replicator_judge(job, code, err, "UpdateInClusterFailed");
}

static int deleted(struct fapi_job *job, int code, const struct fed_call_response *res FED_UNUSED,
                   const struct fed_err *err)
{
    struct fapi_replicator *r = job->ud;
    if (code == FED_E_NOT_FOUND)
        code = 0;
    if (code && is_refusal(code))
        fapi_replicator_failed(r, job->key, "DeleteInClusterFailed", err);
    fapi_due_settle(r->member);
    return code;
}

void fapi_replicator_patch(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                           struct fed_str ns, struct fed_str name, const struct fed_json *patch)
{
    job->finish = patched;
    job->call = fed_client_patch(r->member->transport, fapi_member_resource(r->member, k), ns, name, "", "merge", patch,
                                 "", fapi_job_answered, job);
}

void fapi_replicator_delete(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *hub, const struct fed_kobj *have)
{
    bool foreground = hub && fed_kobj_has_finalizer(hub, "foregroundDeletion");
    job->finish = deleted;
    job->call = fed_client_delete(r->member->transport, fapi_member_resource(r->member, k), have->ns, have->name,
                                  foreground ? "Foreground" : "Background", have->uid, fapi_job_answered, job);
}

/* Orphaning: the copy stays and becomes its cluster's own. */
void fapi_replicator_unmark(struct fapi_replicator *r, struct fapi_job *job, const struct fapi_kind *k,
                            const struct fed_kobj *have)
{
    struct fed_arena a = {0};
    struct fed_json *patch = fed_json_object(&a), *meta = fed_json_ensure_object(&a, patch, "metadata");
    struct fed_json *labels = fed_json_ensure_object(&a, meta, "labels");
    struct fed_json *annotations = fed_json_ensure_object(&a, meta, "annotations");
    fed_json_set(labels, FAPI_MANAGED, fed_json_null(&a));
    fed_json_set(annotations, FAPI_FEDERATION_UID, fed_json_null(&a));
    fed_json_set(annotations, FAPI_SOURCE_UID, fed_json_null(&a));
    fed_json_set(annotations, FAPI_APPLIED_FIELDS, fed_json_null(&a));
    fapi_replicator_patch(r, job, k, have->ns, have->name, patch);
    fed_arena_release(&a);
}
