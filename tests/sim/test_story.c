/* SPDX-License-Identifier: Apache-2.0 */
/* Stories told in order, each over a few seeds: restart, loss of a cluster, deletion, adoption, selectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/sim.h"

#define WEB         "/api/v1/namespaces/web"
#define DEPLOYMENTS "/apis/apps/v1/namespaces/web/deployments"

static uint64_t seed_of(int i)
{
    const char *only = getenv("HANSA_SIM_SEED");
    return only ? strtoull(only, NULL, 10) : (uint64_t)i + 1;
}

static int rounds(int n)
{
    return getenv("HANSA_SIM_SEED") ? 1 : n;
}

static const char *all_ready(struct sim *s, void *ud FED_UNUSED)
{
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        const char *name = s->clusters[i].name;
        const struct fed_json *c = sim_get(s, s->user, sim_path(s, "/apis/federation/v1beta1/clusters/%s", name));
        const struct fed_json *ready = fed_obj_condition(fed_json_find(c, "status"), "Ready");
        if (!fed_str_is(fed_json_find_text(ready, "status"), "True"))
            return sim_path(s, "cluster %s is not Ready", name);
    }
    return NULL;
}

static void begin(struct sim *s, uint64_t seed)
{
    sim_init(s, seed);
    sim_join(s, 0, "'tier':'web'");
    sim_join(s, 1, "'tier':'web'");
    sim_join(s, 2, "");
    sim_until(s, 30000, "clusters become Ready", all_ready, NULL);
}

static void make_namespace(struct sim *s, const char *name)
{
    sim_must(s, s->user, "POST", "/api/v1/namespaces",
             "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'%s'}}", name);
}

static void make_deployment(struct sim *s, const char *name, int replicas, const char *annotations)
{
    sim_must(s, s->user, "POST", DEPLOYMENTS,
             "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'%s','annotations':{%s}},'spec':{"
             "'replicas':%d,'selector':{'matchLabels':{'app':'%s'}},'template':{'metadata':{'labels':{'app':'%s'}},"
             "'spec':{'containers':[{'name':'c','image':'hansa/echo:v1'}]}}}}",
             name, annotations, replicas, name, name);
}

static void make_map(struct sim *s, const char *name, const char *annotations, int value)
{
    sim_must(s, s->user, "POST", WEB "/configmaps",
             "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'%s','annotations':{%s}},'data':{'v':'%d'}}",
             name, annotations, value);
}

static void make_service(struct sim *s, const char *name)
{
    sim_must(s, s->user, "POST", WEB "/services",
             "{'apiVersion':'v1','kind':'Service','metadata':{'name':'%s'},'spec':{'type':'LoadBalancer','selector':{"
             "'app':'%s'},'ports':[{'name':'http','port':80}]}}",
             name, name);
}

static int64_t replicas_in(struct sim *s, unsigned cluster, const char *name)
{
    const struct fed_json *d = sim_get(s, s->clusters[cluster].admin, sim_path(s, DEPLOYMENTS "/%s", name));
    return d ? fed_json_int(fed_json_at(d, "spec", "replicas", NULL), -1) : -1;
}

/* --- the deployment "app": so many replicas, all reported --- */

struct spread {
    const char *name;
    int64_t want;
    int lost; /* cluster that does not count; -1: none */
};

static const char *spread_is(struct sim *s, void *ud)
{
    const struct spread *w = ud;
    int64_t sum = 0;
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        sum += (int)i == w->lost ? 0 : FED_MAX(0, replicas_in(s, i, w->name));
    const struct fed_json *hub = sim_get(s, s->user, sim_path(s, DEPLOYMENTS "/%s", w->name));
    int64_t ready = fed_json_int(fed_json_at(hub, "status", "readyReplicas", NULL), 0);
    if (sum != w->want || ready != w->want)
        return sim_path(s, "%s: %d replicas in members, status shows %d ready, want %d", w->name, (int)sum, (int)ready,
                        (int)w->want);
    return NULL;
}

static const char *all_there(struct sim *s, void *ud FED_UNUSED)
{
    struct spread w = {"app", 9, -1};
    const char *word = spread_is(s, &w);
    for (unsigned i = 0; i < SIM_CLUSTERS && !word; i++) {
        struct fed_transport *t = s->clusters[i].admin;
        if (!sim_get(s, t, WEB "/configmaps/settings") || !sim_get(s, t, WEB "/services/app"))
            word = sim_path(s, "not all in %s", s->clusters[i].name);
    }
    const struct fed_json *import =
        sim_get(s, s->user, "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/web/serviceimports/app");
    const struct fed_json *clusters = fed_json_at(import, "status", "clusters", NULL);
    if (!word && (!clusters || clusters->n != SIM_CLUSTERS))
        word = "the ServiceImport does not name all clusters";
    return word;
}

static void fill(struct sim *s)
{
    make_namespace(s, "web");
    make_deployment(s, "app", 9, "");
    make_map(s, "settings", "", 1);
    make_service(s, "app");
    sim_until(s, 60000, "everything is everywhere", all_there, NULL);
}

/* --- stories --- */

static void test_propagates(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(3); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        fill(&s);
        for (unsigned c = 0; c < SIM_CLUSTERS; c++)
            assert_int_equal(replicas_in(&s, c, "app"), 3);
        sim_release(&s);
    }
}

static void nothing_is_written(struct sim *s, uint64_t ms, const char *when)
{
    size_t members = sim_member_writes(s), hub = sim_hub_writes(s);
    sim_run(s, ms);
    if (sim_member_writes(s) != members || sim_hub_writes(s) != hub)
        sim_fail(s, "%s: %zu writes to members and %zu to the hub with nothing changed", when,
                 sim_member_writes(s) - members, sim_hub_writes(s) - hub);
}

static void test_restart_writes_nothing(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(10); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        fill(&s);
        sim_run(&s, 5000);
        nothing_is_written(&s, 60000, "at rest");
        for (int kill = 0; kill < 2; kill++) {
            sim_hub_stop(&s, kill);
            sim_run(&s, 1000 + sim_random_below(&s.chance, 5000));
            sim_hub_start(&s);
            nothing_is_written(&s, 60000, "after a restart");
        }
        sim_release(&s);
    }
}

/* --- loss of a cluster --- */

static const char *condition_text(struct sim *s, const char *path, const char *type, const char *member)
{
    const struct fed_json *o = sim_get(s, s->user, path);
    struct fed_str text = fed_json_find_text(fed_obj_condition(fed_json_find(o, "status"), type), member);
    return sim_path(s, "%.*s", FED_STR_ARG(text));
}

static const char *is_offline(struct sim *s, void *ud)
{
    const char *path = sim_path(s, "/apis/federation/v1beta1/clusters/%s", s->clusters[*(unsigned *)ud].name);
    return strcmp(condition_text(s, path, "Offline", "status"), "True") == 0 ? NULL : "the cluster is not Offline";
}

/* While cluster 1 is away: an object of each kind is made, one changed, one deleted. */
static void change_meanwhile(struct sim *s)
{
    make_map(s, "new", "", 5);
    sim_must(s, s->user, "PATCH", WEB "/configmaps/settings", "{'data':{'v':'2'}}");
    sim_must(s, s->user, "DELETE", WEB "/services/app", NULL);
}

static const char *caught_up(struct sim *s, void *ud FED_UNUSED)
{
    struct spread w = {"app", 9, -1};
    const char *word = spread_is(s, &w);
    for (unsigned i = 0; i < SIM_CLUSTERS && !word; i++) {
        struct fed_transport *t = s->clusters[i].admin;
        const struct fed_json *settings = sim_get(s, t, WEB "/configmaps/settings");
        if (!sim_get(s, t, WEB "/configmaps/new") || sim_get(s, t, WEB "/services/app") ||
            !fed_str_is(fed_json_find_text(fed_json_find(settings, "data"), "v"), "2"))
            word = sim_path(s, "not reconciled in %s", s->clusters[i].name);
        else if (replicas_in(s, i, "app") != 3)
            word = sim_path(s, "%d replicas in %s", (int)replicas_in(s, i, "app"), s->clusters[i].name);
    }
    return word ? word : all_ready(s, NULL);
}

/* On its return the cluster is called Ready only when it has what was decided meanwhile. */
static void watch_return(struct sim *s, unsigned lost)
{
    const char *path = sim_path(s, "/apis/federation/v1beta1/clusters/%s", s->clusters[lost].name);
    char copy[200];
    snprintf(copy, sizeof(copy), "%s", path);
    for (int i = 0; i < 3000; i++) {
        if (strcmp(condition_text(s, copy, "Ready", "status"), "True") == 0) {
            struct fed_transport *t = s->clusters[lost].admin;
            const struct fed_json *settings = sim_get(s, t, WEB "/configmaps/settings");
            if (!sim_get(s, t, WEB "/configmaps/new") || sim_get(s, t, WEB "/services/app") ||
                !fed_str_is(fed_json_find_text(fed_json_find(settings, "data"), "v"), "2"))
                sim_fail(s, "Ready before it was reconciled");
            return;
        }
        sim_forget(s);
        sim_run(s, 20);
    }
    sim_fail(s, "not Ready within a minute of its return");
}

/* DNS goes on without the hub, and never sends anybody to the lost cluster. */
static void check_dns(struct sim *s, int lost)
{
    for (unsigned client = 0; client < SIM_CLUSTERS; client++) {
        int at = sim_dns_cluster(s, "stays", "web", client);
        if (at < 0 || at == lost || ((int)client != lost && at != (int)client))
            sim_fail(s, "DNS sends clients of %s to %d", s->clusters[client].name, at);
    }
}

static const char *all_serve(struct sim *s, void *ud FED_UNUSED)
{
    for (unsigned client = 0; client < SIM_CLUSTERS; client++)
        if (sim_dns_cluster(s, "stays", "web", client) != (int)client)
            return "DNS does not send everybody to his own cluster";
    return NULL;
}

static void lose_and_return(struct sim *s, bool silent, bool restart)
{
    unsigned lost = sim_random_below(&s->chance, SIM_CLUSTERS);
    struct spread w = {"app", 9, (int)lost};
    fill(s);
    make_service(s, "stays");
    sim_until(s, 30000, "DNS knows the service", all_serve, NULL);
    *(silent ? &s->clusters[lost].line.silent : &s->clusters[lost].line.refused) = true;
    sim_until(s, 15000, "loss is noticed", is_offline, &lost);
    sim_run(s, 100);
    check_dns(s, (int)lost);
    change_meanwhile(s);
    sim_run(s, 15000); /* within the grace nothing moves */
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        if (replicas_in(s, i, "app") != 3)
            sim_fail(s, "replicas moved before the grace was over");
    if (restart) {
        sim_hub_stop(s, true);
        sim_run(s, 5000);
        check_dns(s, (int)lost);
        sim_hub_start(s);
        sim_run(s, 1000);
        check_dns(s, (int)lost);
        sim_run(s, 19000); /* the grace begins anew with the restart: it cannot know how long it was away */
        for (unsigned i = 0; i < SIM_CLUSTERS; i++)
            if (replicas_in(s, i, "app") != 3)
                sim_fail(s, "replicas moved after a restart before the grace was over");
    }
    sim_until(s, 60000, "replicas are made up elsewhere", spread_is, &w);
    if (restart) {
        sim_hub_stop(s, true);
        sim_hub_start(s);
        sim_run(s, 60000);
        sim_until(s, 1000, "replicas stay made up", spread_is, &w);
    }
    sim_calm(s);
    watch_return(s, lost);
    sim_until(s, 120000, "the cluster has its share back", caught_up, NULL);
    sim_until(s, 5000, "DNS uses the cluster again", all_serve, NULL);
    sim_run(s, 10000);
    nothing_is_written(s, 30000, "after the return");
}

static void test_loss(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(8); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        lose_and_return(&s, seed_of(i) & 1, seed_of(i) & 2);
        sim_release(&s);
    }
}

/* --- a Job whose cluster is lost --- */

#define JOBS "/apis/batch/v1/namespaces/web/jobs"

static int64_t job_number(struct sim *s, struct fed_transport *t, const char *section, const char *key)
{
    return fed_json_int(fed_json_at(sim_get(s, t, JOBS "/sum"), section, key, NULL), 0);
}

static const char *job_complete(struct sim *s, void *ud FED_UNUSED)
{
    return strcmp(condition_text(s, JOBS "/sum", "Complete", "status"), "True") == 0 ? NULL : "the Job is not complete";
}

static const char *job_begun(struct sim *s, void *ud FED_UNUSED)
{
    for (unsigned i = 0; i < SIM_CLUSTERS; i++)
        if (job_number(s, s->clusters[i].admin, "status", "succeeded") < 1)
            return sim_path(s, "%s has completed nothing", s->clusters[i].name);
    return job_number(s, s->user, "status", "succeeded") == 3 ? NULL : "the hub does not count three";
}

static const char *job_swept(struct sim *s, void *ud)
{
    struct fed_transport *t = s->clusters[*(unsigned *)ud].admin;
    return sim_get(s, t, JOBS "/sum") ? "the returned cluster still has its part" : all_ready(s, NULL);
}

/* Nine completions, three in each cluster; one is lost when each has done one. Its two are done by the others. */
static void test_job_of_a_lost_cluster(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(8); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        unsigned lost = sim_random_below(&s.chance, SIM_CLUSTERS);
        bool early = seed_of(i) & 1;
        make_namespace(&s, "web");
        sim_must(
            &s, s.user, "POST", JOBS,
            "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'sum'},'spec':{'completions':9,'parallelism':3,"
            "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'hansa/echo:v1'}]}}}}");
        sim_until(&s, 20000, "each cluster has done one", job_begun, NULL);
        s.clusters[lost].line.refused = true;
        sim_until(&s, 15000, "loss is noticed", is_offline, &lost);
        if (seed_of(i) & 2) { /* before the grace is over or after it: what was seen is known after a restart */
            sim_run(&s, seed_of(i) & 4 ? 32000 : 5000);
            sim_hub_stop(&s, true);
            sim_hub_start(&s);
        }
        if (early) { /* it returns while the others make up for it */
            sim_run(&s, 45000);
            sim_calm(&s);
        }
        sim_until(&s, 180000, "the Job is done by the others", job_complete, NULL);
        const struct fed_json *hub = sim_get(&s, s.user, JOBS "/sum");
        if (fed_str_find(fed_obj_annotation(hub, FAPI_JOB_ROUNDS), fed_str(s.clusters[lost].name), 0) < 0)
            sim_fail(&s, "the lost part was not noted");
        if (job_number(&s, s.user, "status", "succeeded") != 9)
            sim_fail(&s, "%d succeeded", (int)job_number(&s, s.user, "status", "succeeded"));
        sim_calm(&s);
        sim_until(&s, 120000, "the lost part is swept", job_swept, &lost);
        sim_run(&s, 5000);
        if (job_complete(&s, NULL))
            sim_fail(&s, "the Job is not complete any more");
        nothing_is_written(&s, 60000, "after the Job");
        sim_release(&s);
    }
}

/* A Job that is made while a cluster is away, and not yet given up: its part there was never begun. */
static void test_job_made_during_a_loss(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(4); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        unsigned lost = sim_random_below(&s.chance, SIM_CLUSTERS);
        make_namespace(&s, "web");
        s.clusters[lost].line.refused = true;
        sim_until(&s, 15000, "loss is noticed", is_offline, &lost);
        sim_must(
            &s, s.user, "POST", JOBS,
            "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'sum'},'spec':{'completions':6,'parallelism':3,"
            "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'c','image':'hansa/echo:v1'}]}}}}");
        if (seed_of(i) & 1) {
            sim_run(&s, 3000);
            sim_hub_stop(&s, true);
            sim_hub_start(&s);
        }
        sim_until(&s, 180000, "the Job is done by the others", job_complete, NULL);
        sim_calm(&s);
        sim_until(&s, 120000, "the returned cluster has no part", job_swept, &lost);
        sim_release(&s);
    }
}

/* --- deletion --- */

struct absence {
    const char *path; /* in the members and the hub */
    bool stays;       /* in members (orphan) */
};

static const char *is_gone(struct sim *s, void *ud)
{
    const struct absence *w = ud;
    if (sim_get(s, s->user, w->path))
        return sim_path(s, "%s is still in the hub", w->path);
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        const struct fed_json *o = sim_get(s, s->clusters[i].admin, w->path);
        if (!o == w->stays)
            return sim_path(s, "%s %s in %s", w->path, o ? "is still" : "is not", s->clusters[i].name);
        if (o && fed_obj_label(o, FAPI_MANAGED).n)
            return sim_path(s, "%s still bears our mark in %s", w->path, s->clusters[i].name);
    }
    return NULL;
}

static void test_delete(void **state FED_UNUSED)
{
    static const char *const policies[] = {"Background", "Foreground", "Orphan"};
    for (int i = 0; i < rounds(12); i++) {
        struct sim s;
        unsigned policy = seed_of(i) % 3;
        struct absence gone = {DEPLOYMENTS "/app", policy == 2};
        begin(&s, seed_of(i));
        fill(&s);
        sim_must(&s, s.user, "DELETE", sim_path(&s, DEPLOYMENTS "/app?propagationPolicy=%s", policies[policy]), NULL);
        if (seed_of(i) & 4) {
            sim_hub_stop(&s, true);
            sim_hub_start(&s);
        }
        sim_until(&s, 60000, policies[policy], is_gone, &gone);
        struct absence map = {WEB "/configmaps/settings", false};
        if (!sim_get(&s, s.user, map.path))
            sim_fail(&s, "more was deleted than was asked for");
        struct absence ns = {"/api/v1/namespaces/web", false};
        sim_must(&s, s.user, "DELETE", ns.path, NULL);
        if (!gone.stays) /* what was orphaned lives in a namespace that we made, and ends with it */
            sim_until(&s, 120000, "the namespace goes with its contents", is_gone, &ns);
        else
            sim_until(&s, 120000, "the namespace goes with what was orphaned in it", is_gone, &ns);
        sim_check_own(&s);
        sim_run(&s, 5000);
        nothing_is_written(&s, 30000, "after deletion");
        sim_release(&s);
    }
}

static const char *shared_gone(struct sim *s, void *ud FED_UNUSED)
{
    if (sim_get(s, s->user, "/api/v1/namespaces/web"))
        return "still in the hub";
    if (sim_get(s, s->clusters[0].admin, "/api/v1/namespaces/web"))
        return "still in a cluster where we made it";
    if (sim_get(s, s->clusters[1].admin, WEB "/configmaps/settings"))
        return "our object is still in the shared namespace";
    return NULL;
}

static void test_shared_namespace(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(4); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        sim_own(&s, 1, "/api/v1/namespaces", "web", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'web'}}");
        sim_own(&s, 1, WEB "/configmaps", "theirs",
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'theirs'},'data':{'v':'own'}}");
        fill(&s);
        sim_must(&s, s.user, "DELETE", "/api/v1/namespaces/web", NULL);
        sim_until(&s, 120000, "the shared namespace is emptied of ours", shared_gone, NULL);
        sim_run(&s, 20000);
        sim_check_own(&s);
        sim_release(&s);
    }
}

/* --- conflict, adoption --- */

static const char *has_conflict(struct sim *s, void *ud FED_UNUSED)
{
    const struct fed_json *o = sim_get(s, s->user, WEB "/configmaps/theirs");
    struct fed_str text = fed_obj_annotation(o, FAPI_ANN_CLUSTERS);
    return fed_str_find(text, FED_STR("Conflict"), 0) >= 0 ? NULL : "no conflict is shown";
}

static const char *is_adopted(struct sim *s, void *ud FED_UNUSED)
{
    const struct fed_json *o = sim_get(s, s->clusters[2].admin, WEB "/configmaps/theirs");
    if (!fed_str_is(fed_json_find_text(fed_json_find(o, "data"), "v"), "7"))
        return "not adopted";
    o = sim_get(s, s->user, WEB "/configmaps/theirs");
    return fed_obj_annotation(o, FAPI_ANN_CLUSTERS).n ? "the conflict is still shown" : NULL;
}

static void test_adopt(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(4); i++) {
        struct sim s;
        begin(&s, seed_of(i));
        make_namespace(&s, "web");
        sim_run(&s, 2000);
        sim_own(&s, 2, WEB "/configmaps", "theirs",
                "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'theirs'},'data':{'v':'own'}}");
        make_map(&s, "theirs", "", 7);
        sim_until(&s, 30000, "a conflict is shown", has_conflict, NULL);
        sim_run(&s, 2000);
        nothing_is_written(&s, 60000, "in conflict");
        sim_hub_stop(&s, true);
        sim_hub_start(&s);
        sim_run(&s, 30000);
        sim_check_own(&s);
        sim_until(&s, 1000, "the conflict is still shown", has_conflict, NULL);
        s.own[0].adopted = true;
        sim_must(&s, s.user, "PATCH", WEB "/configmaps/theirs",
                 "{'metadata':{'annotations':{'" FAPI_ADOPT "':'true'}}}");
        sim_until(&s, 60000, "the object is adopted", is_adopted, NULL);
        sim_release(&s);
    }
}

/* --- selectors --- */

static const char *only_web(struct sim *s, void *ud)
{
    unsigned mask = *(unsigned *)ud;
    for (unsigned i = 0; i < SIM_CLUSTERS; i++) {
        bool want = mask >> i & 1;
        /* without `rebalance` running replicas stay where they may: a cluster that comes in gets the object only */
        if (!sim_get(s, s->clusters[i].admin, WEB "/configmaps/settings") == want ||
            (replicas_in(s, i, "app") >= 0) != want)
            return sim_path(s, "wrong in %s", s->clusters[i].name);
    }
    struct spread w = {"app", mask ? 9 : 0, -1};
    return spread_is(s, &w);
}

static const char *says_no_match(struct sim *s, void *ud FED_UNUSED)
{
    if (strcmp(condition_text(s, DEPLOYMENTS "/app", "Propagated", "status"), "False") != 0 ||
        strcmp(condition_text(s, DEPLOYMENTS "/app", "Propagated", "reason"), "NoClusterMatches") != 0)
        return "no condition Propagated=False NoClusterMatches";
    const struct fed_json *events = sim_get(s, s->user, WEB "/events");
    FED_JSON_EACH(e, fed_json_find(events, "items"))
        if (fed_str_is(fed_json_find_text(e, "reason"), "NoClusterMatches") &&
            fed_str_is(fed_json_find_text(e, "type"), "Warning"))
            return NULL;
    return "no event";
}

static void set_selector(struct sim *s, const char *value)
{
    static const char *const paths[] = {WEB "/configmaps/settings", DEPLOYMENTS "/app"};
    for (size_t i = 0; i < FED_ARRAY_LEN(paths); i++)
        sim_must(s, s->user, "PATCH", paths[i],
                 "{'metadata':{'annotations':{'" FAPI_CLUSTER_SELECTOR
                 "':'[{\\'key\\':\\'tier\\',\\'operator\\':\\'In\\',\\'values\\':[\\'%s\\']}]'}}}",
                 value);
}

static void test_selector(void **state FED_UNUSED)
{
    for (int i = 0; i < rounds(4); i++) {
        struct sim s;
        unsigned mask = 3;
        begin(&s, seed_of(i));
        fill(&s);
        set_selector(&s, "web");
        sim_until(&s, 60000, "objects move to the selected clusters", only_web, &mask);
        sim_must(&s, s.user, "PATCH", "/apis/federation/v1beta1/clusters/asia-east1",
                 "{'metadata':{'labels':{'tier':'web'}}}");
        mask = 7;
        sim_until(&s, 60000, "a label brings a cluster in", only_web, &mask);
        set_selector(&s, "none");
        mask = 0;
        sim_until(&s, 60000, "a selector that matches nothing empties all", only_web, &mask);
        sim_until(&s, 10000, "it is said", says_no_match, NULL);
        sim_run(&s, 5000);
        sim_hub_stop(&s, true);
        sim_hub_start(&s);
        nothing_is_written(&s, 60000, "after a restart with a selector that matches nothing");
        sim_release(&s);
    }
}

static int release_kinds(void **state FED_UNUSED)
{
    sim_kinds_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_propagates),
        cmocka_unit_test(test_restart_writes_nothing),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_job_of_a_lost_cluster),
        cmocka_unit_test(test_job_made_during_a_loss),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_shared_namespace),
        cmocka_unit_test(test_adopt),
        cmocka_unit_test(test_selector),
    };
    return cmocka_run_group_tests(tests, NULL, release_kinds);
}
