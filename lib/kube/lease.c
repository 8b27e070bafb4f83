/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/lease.h"

#include <inttypes.h>

#include "base/mem.h"

static const struct fed_resource leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};

struct fed_lease {
    struct fed_lease_conf conf;
    char *ns, *name, *identity;
    struct fed_env *env;
    struct fed_call *call;
    struct fed_timer retry;    /* the next look */
    struct fed_timer deadline; /* when leading ends without a renewal */
    char *seen_holder;
    uint64_t seen_rev, seen_ns; /* the last change observed, by our own clock */
    uint64_t asked_ns;          /* when the write under way was sent: leading counts from there */
    uint64_t until_ns;          /* leading ends */
    bool leads;
};

static void look(struct fed_lease *l);

struct fed_lease *fed_lease_new(const struct fed_lease_conf *conf)
{
    struct fed_lease *l = FED_NEW(struct fed_lease);
    l->conf = *conf;
    l->conf.duration_ms = conf->duration_ms ? conf->duration_ms : 15000;
    l->conf.renew_ms = conf->renew_ms ? conf->renew_ms : 10000;
    l->conf.retry_ms = conf->retry_ms ? conf->retry_ms : 2000;
    l->ns = fed_strdup(conf->ns);
    l->name = fed_strdup(conf->name);
    l->identity = fed_strdup(conf->identity);
    l->seen_holder = fed_strdup("");
    l->env = conf->transport->env;
    look(l);
    return l;
}

bool fed_lease_leads(const struct fed_lease *l)
{
    return l->leads;
}

bool fed_lease_valid(const struct fed_lease *l)
{
    return l->leads && fed_mono_ns(l->env) < l->until_ns;
}

static void again_due(struct fed_timer *timer)
{
    struct fed_lease *l = fed_container_of(timer, struct fed_lease, retry);
    if (!l->call)
        look(l);
}

static void again(struct fed_lease *l)
{
    uint64_t ms = l->leads && l->conf.every_ms ? l->conf.every_ms : l->conf.retry_ms;
    fed_timer_start(l->env, &l->retry, ms - ms / 10 + fed_random_below(l->env, ms / 5 + 1), again_due);
}

static void stop_leading(struct fed_lease *l)
{
    fed_timer_stop(l->env, &l->deadline);
    if (!l->leads)
        return;
    l->leads = false;
    l->conf.stopped(l->conf.ud);
}

static void deadline_due(struct fed_timer *timer)
{
    stop_leading(fed_container_of(timer, struct fed_lease, deadline));
}

/* Ours until renew_ms after the request was sent: others wait for duration_ms after they saw the change. */
static void lead(struct fed_lease *l)
{
    uint64_t gone = (fed_mono_ns(l->env) - l->asked_ns) / 1000000;
    if (gone >= l->conf.renew_ms) {
        stop_leading(l);
        return;
    }
    l->until_ns = l->asked_ns + (uint64_t)l->conf.renew_ms * 1000000;
    fed_timer_start(l->env, &l->deadline, l->conf.renew_ms - gone, deadline_due);
    if (!l->leads) {
        l->leads = true;
        l->conf.started(l->conf.ud);
    }
}

static void observe(struct fed_lease *l, uint64_t rev, struct fed_str holder)
{
    if (rev == l->seen_rev && fed_str_is(holder, l->seen_holder))
        return;
    free(l->seen_holder);
    l->seen_holder = fed_strdup_str(holder);
    l->seen_rev = rev;
    l->seen_ns = fed_mono_ns(l->env);
}

static void fill_spec(struct fed_lease *l, struct fed_arena *a, struct fed_json *obj, bool takes_over)
{
    struct fed_json *spec = fed_json_ensure_object(a, obj, "spec");
    char now[28];
    fed_time_format_micro(fed_wall_ms(l->env), now);
    struct fed_str time = fed_arena_dup(a, fed_str(now));
    fed_json_set(spec, "holderIdentity", fed_json_new_strz(a, l->identity));
    fed_json_set(spec, "leaseDurationSeconds", fed_json_new_int(a, FED_MAX(1u, l->conf.duration_ms / 1000)));
    fed_json_set(spec, "renewTime", fed_json_new_str(a, time));
    if (takes_over) {
        int64_t n = fed_json_int(fed_json_find(spec, "leaseTransitions"), -1);
        fed_json_set(spec, "acquireTime", fed_json_new_str(a, time));
        fed_json_set(spec, "leaseTransitions", fed_json_new_int(a, n + 1));
    }
}

static void written(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct fed_lease *l = ud;
    struct fed_kobj *obj = NULL;
    l->call = NULL;
    if (code == 0 && fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &obj, NULL) == 0) {
        observe(l, obj->rev, fed_str(l->identity));
        fed_kobj_unref(obj);
        lead(l);
        again(l);
        return;
    }
    again(l); /* a conflict: somebody else was faster; a failure: the deadline decides */
}

static void judge(struct fed_lease *l, struct fed_str body)
{
    struct fed_arena a = {0};
    struct fed_kobj *obj = NULL;
    if (fed_kobj_new(body, (struct fed_str){0}, (struct fed_str){0}, &obj, NULL) != 0) {
        again(l);
        return;
    }
    struct fed_json *tree = fed_kobj_parse(obj, &a);
    struct fed_str holder = fed_json_find_text(fed_json_find(tree, "spec"), "holderIdentity");
    observe(l, obj->rev, holder);
    bool ours = fed_str_is(holder, l->identity);
    bool free_now = holder.n == 0 || fed_mono_ns(l->env) - l->seen_ns >= (uint64_t)l->conf.duration_ms * 1000000;
    if (ours || free_now) {
        fill_spec(l, &a, tree, !ours);
        l->asked_ns = fed_mono_ns(l->env);
        l->call = fed_client_update(l->conf.transport, &leases, tree, "", written, l);
    } else {
        again(l);
        stop_leading(l);
    }
    fed_kobj_unref(obj);
    fed_arena_release(&a);
}

static void seen(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct fed_lease *l = ud;
    l->call = NULL;
    if (code == 0) {
        judge(l, res->body);
    } else if (code == FED_E_NOT_FOUND) {
        struct fed_arena a = {0};
        struct fed_json *obj = fed_obj_new(&a, "coordination.k8s.io/v1", "Lease", fed_str(l->ns), fed_str(l->name));
        fill_spec(l, &a, obj, true);
        l->asked_ns = fed_mono_ns(l->env);
        l->call = fed_client_create(l->conf.transport, &leases, fed_str(l->ns), obj, written, l);
        fed_arena_release(&a);
    } else {
        again(l);
    }
}

static void look(struct fed_lease *l)
{
    l->call = fed_client_get(l->conf.transport, &leases, fed_str(l->ns), fed_str(l->name), seen, l);
}

void fed_lease_free(struct fed_lease *l, bool release)
{
    if (!l)
        return;
    fed_timer_stop(l->env, &l->retry);
    fed_timer_stop(l->env, &l->deadline);
    fed_call_cancel(l->call);
    if (release && l->leads && l->seen_rev) {
        struct fed_arena a = {0};
        struct fed_json *patch = fed_json_object(&a);
        struct fed_json *spec = fed_json_ensure_object(&a, patch, "spec");
        fed_json_set(spec, "holderIdentity", fed_json_new_strz(&a, ""));
        /* With the revision: it must not take the lease from somebody who has it by now. */
        fed_json_set(fed_json_ensure_object(&a, patch, "metadata"), "resourceVersion",
                     fed_json_new_strf(&a, "%" PRIu64, l->seen_rev));
        fed_client_patch(l->conf.transport, &leases, fed_str(l->ns), fed_str(l->name), "", "merge", patch, "", NULL,
                         NULL);
        fed_arena_release(&a);
    }
    free(l->ns);
    free(l->name);
    free(l->identity);
    free(l->seen_holder);
    free(l);
}
