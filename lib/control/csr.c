/* SPDX-License-Identifier: Apache-2.0 */
#include "control/csr.h"

#include "base/mem.h"
#include "codec/base64.h"
#include "control/pass.h"
#include "kube/certificates.h"
#include "kube/informer.h"

enum { SECONDS_MIN = 600, SECONDS_MAX = 365 * 86400, SWEEP_MS = 600000 };
#define DECIDED_MS   INT64_C(3600000)
#define UNDECIDED_MS INT64_C(86400000)

static const struct fed_resource requests = {"certificates.k8s.io", "v1", "certificatesigningrequests",
                                             "CertificateSigningRequest", false};

struct fed_csrctl {
    struct fed_csrctl_conf conf;
    struct fed_informer *informer;
    struct fed_passes passes;
    struct fed_timer sweep;
};

static void written(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                    const struct fed_err *err FED_UNUSED)
{
    fed_pass_end(ud, code == FED_E_NOT_FOUND || code == FED_E_CONFLICT ? 0 : code);
}

/* --- when it is to go --- */

static int64_t time_of(const struct fed_json *o, const char *key)
{
    int64_t ms = 0;
    return fed_time_parse(fed_json_find_text(o, key), &ms) ? INT64_MAX : ms;
}

static bool is_over(const struct fed_json *obj, int64_t now)
{
    static const char *const types[] = {"Approved", "Denied", "Failed"};
    bool decided = false;
    for (size_t i = 0; i < FED_ARRAY_LEN(types); i++) {
        const struct fed_json *c = fed_csr_condition(obj, types[i]);
        decided |= c != NULL;
        int64_t at = c ? time_of(c, "lastUpdateTime") : INT64_MAX;
        if (at < now - DECIDED_MS)
            return true;
    }
    return !decided && time_of(fed_json_find(obj, "metadata"), "creationTimestamp") < now - UNDECIDED_MS;
}

/* --- signing --- */

static void add_failure(struct fed_csrctl *c, struct fed_arena *a, struct fed_json *status, const char *message)
{
    char now[21];
    fed_time_format(fed_wall_ms(c->conf.transport->env), now);
    struct fed_json *f = fed_json_push(fed_json_ensure_array(a, status, "conditions"), fed_json_object(a));
    fed_json_set(f, "type", fed_json_new_strz(a, "Failed"));
    fed_json_set(f, "status", fed_json_new_strz(a, "True"));
    fed_json_set(f, "reason", fed_json_new_strz(a, "SignerValidationFailure"));
    fed_json_set(f, "message", fed_json_new_strf(a, "%s", message));
    fed_json_set(f, "lastUpdateTime", fed_json_new_strf(a, "%s", now));
}

/* Puts the certificate, or why there is none, into obj. */
static int decide(struct fed_csrctl *c, struct fed_arena *a, struct fed_json *obj)
{
    const struct fed_json *spec = fed_json_find(obj, "spec");
    struct fed_json *status = fed_json_ensure_object(a, obj, "status");
    unsigned uses = fed_csr_client_uses(fed_json_find(spec, "usages"));
    int64_t seconds = fed_json_int(fed_json_find(spec, "expirationSeconds"), SECONDS_MAX);
    struct fed_str pem;
    struct fed_err err = {0};
    struct fed_buf cert = {0}, text = {0};
    if (!uses) {
        add_failure(c, a, status,
                    "a client's certificate is for \"client auth\", and besides for \"digital signature\" "
                    "and \"key encipherment\" only");
        return 0;
    }
    seconds = FED_MIN(FED_MAX(seconds, (int64_t)SECONDS_MIN), (int64_t)SECONDS_MAX);
    int rc = fed_csr_request(a, obj, &pem);
    if (rc == 0)
        rc = c->conf.sign(c->conf.ud, pem, uses, seconds, &cert, &err);
    if (rc == 0) {
        fed_base64_encode(&text, fed_buf_str(&cert));
        fed_json_set(status, "certificate", fed_json_new_str(a, fed_arena_dup(a, fed_buf_str(&text))));
    } else if (rc == FED_E_INVALID) {
        add_failure(c, a, status, err.text);
        rc = 0;
    }
    fed_buf_release(&cert);
    fed_buf_release(&text);
    return rc;
}

static bool is_due(const struct fed_json *obj)
{
    return fed_str_is(fed_json_find_text(fed_json_find(obj, "spec"), "signerName"), FED_CSR_CLIENT_SIGNER) &&
           fed_csr_condition(obj, "Approved") && !fed_csr_condition(obj, "Denied") &&
           !fed_csr_condition(obj, "Failed") && !fed_json_find_text(fed_json_find(obj, "status"), "certificate").n;
}

static void work(void *ud, const char *key)
{
    struct fed_csrctl *c = ud;
    struct fed_arena a = {0};
    struct fed_kobj *o = fed_informer_find(c->informer, FED_STR(""), fed_str(key));
    struct fed_json *obj = o && !o->deleting ? fed_kobj_parse(o, &a) : NULL;
    struct fed_pass *p = NULL;
    int code = 0;
    if (obj && is_over(obj, fed_wall_ms(c->conf.transport->env))) {
        p = fed_pass_new(&c->passes, key);
        p->call = fed_client_delete(c->conf.transport, &requests, FED_STR(""), o->name, NULL, o->uid, written, p);
    } else if (obj && is_due(obj) && (code = decide(c, &a, obj)) == 0) {
        p = fed_pass_new(&c->passes, key);
        p->call = fed_client_update(c->conf.transport, &requests, obj, "status", written, p);
    }
    if (!p)
        fed_workqueue_done(c->passes.queue, key, code);
    fed_arena_release(&a);
}

/* --- what changed --- */

static void changed(void *ud, struct fed_kobj *old FED_UNUSED, struct fed_kobj *now)
{
    struct fed_csrctl *c = ud;
    if (now)
        fed_workqueue_add(c->passes.queue, now->name);
}

static bool add(void *ud, struct fed_kobj *o)
{
    changed(ud, NULL, o);
    return true;
}

static void on_sweep(struct fed_timer *t)
{
    struct fed_csrctl *c = fed_container_of(t, struct fed_csrctl, sweep);
    fed_informer_each(c->informer, FED_STR(""), add, c);
    fed_timer_start(c->conf.transport->env, t, SWEEP_MS, on_sweep);
}

struct fed_csrctl *fed_csrctl_new(const struct fed_csrctl_conf *conf)
{
    struct fed_csrctl *c = FED_NEW(struct fed_csrctl);
    c->conf = *conf;
    fed_passes_init(&c->passes,
                    &(struct fed_workqueue_conf){
                        .env = conf->transport->env, .name = "certificate-requests", .work = work, .ud = c},
                    NULL);
    c->informer = fed_informer_new(&(struct fed_informer_conf){.transport = conf->transport, .resource = &requests});
    fed_informer_add_handlers(c->informer, &(struct fed_informer_handlers){.changed = changed, .ud = c});
    fed_informer_start(c->informer);
    fed_timer_start(conf->transport->env, &c->sweep, SWEEP_MS, on_sweep);
    return c;
}

void fed_csrctl_free(struct fed_csrctl *c)
{
    if (!c)
        return;
    fed_passes_release(&c->passes);
    fed_timer_stop(c->conf.transport->env, &c->sweep);
    fed_informer_free(c->informer);
    free(c);
}
