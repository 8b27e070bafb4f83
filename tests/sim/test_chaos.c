/* SPDX-License-Identifier: Apache-2.0 */
/* Random deeds of a user and random faults, one seed after the other; when the faults end, all must be as it should.
 *
 * HANSA_SIM_SEEDS=N runs N seeds (200; 80 with sanitizers; 1,000 in tests/run --long), HANSA_SIM_SEED=N that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fedapi/controllers/slices.h"
#include "support/sim.h"

#ifdef __SANITIZE_ADDRESS__
enum { SEEDS = 80, LONG_SEEDS = 250 }; /* some ten times slower */
#else
enum { SEEDS = 200, LONG_SEEDS = 1000 };
#endif

enum { CONFIGMAPS, DEPLOYMENTS, SERVICES, N_KINDS };
enum { N_SPACES = 2, N_NAMES = 3, N_STEPS = 40 };
static const char *const spaces[N_SPACES] = {"app", "web"};
static const char *const object_names[N_NAMES] = {"a", "b", "c"};
static const struct {
    const char *prefix, *plural;
} kinds[N_KINDS] = {{"/api/v1", "configmaps"}, {"/apis/apps/v1", "deployments"}, {"/api/v1", "services"}};
static const char *const selectors[] = {NULL, "web", "none"}; /* of tier */

struct slot {            /* what the user was told that there is */
    bool exists, unsure; /* unsure: killed before the answer */
    int value, unsure_value;
    bool unsure_exists;
    int selector;
};
struct story {
    struct sim s;
    bool space_exists[N_SPACES];
    struct slot slots[N_KINDS][N_SPACES][N_NAMES];
};

static const char *path_of(struct sim *s, int kind, int space, int name)
{
    return sim_path(s, "%s/namespaces/%s/%s/%s", kinds[kind].prefix, spaces[space], kinds[kind].plural,
                    object_names[name]);
}

/* --- deeds --- */

static const char *annotations_of(struct sim *s, int selector)
{
    if (!selectors[selector])
        return sim_path(s, "'%s':null", FAPI_CLUSTER_SELECTOR);
    return sim_path(s, "'%s':'[{\\'key\\':\\'tier\\',\\'operator\\':\\'In\\',\\'values\\':[\\'%s\\']}]'",
                    FAPI_CLUSTER_SELECTOR, selectors[selector]);
}

static const char *body_of(struct sim *s, int kind, int space, int name, int value, int selector, bool create)
{
    const char *n = object_names[name];
    const char *meta = sim_path(s, "'metadata':{'name':'%s','namespace':'%s','annotations':{%s}}", n, spaces[space],
                                create && !selectors[selector] ? "" : annotations_of(s, selector));
    if (kind == CONFIGMAPS)
        return sim_path(s, "{'apiVersion':'v1','kind':'ConfigMap',%s,'data':{'v':'%d'}}", meta, value);
    if (kind == SERVICES)
        return sim_path(s,
                        "{'apiVersion':'v1','kind':'Service',%s,'spec':{'type':'LoadBalancer','selector':{'app':'%s'},"
                        "'ports':[{'name':'http','protocol':'TCP','port':%d,'targetPort':80}]}}",
                        meta, n, 1000 + value);
    return sim_path(s,
                    "{'apiVersion':'apps/v1','kind':'Deployment',%s,'spec':{'replicas':%d,'selector':{'matchLabels':{"
                    "'app':'%s'}},'template':{'metadata':{'labels':{'app':'%s'}},'spec':{'containers':[{'name':'c',"
                    "'image':'hansa/echo:v%d'}]}}}}",
                    meta, value % 12, n, n, value);
}

/* The hub dies while the request is on its way or carried out. */
static void fire_and_kill(struct story *st, struct slot *slot, const char *method, const char *path, const char *body,
                          bool then_exists, int then_value)
{
    struct sim *s = &st->s;
    struct fed_call_request req = {.method = method, .path = fed_str(path), .body = fed_str(body)};
    if (strcmp(method, "PATCH") == 0)
        req.content_type = FED_STR("application/merge-patch+json");
    char *text = body ? strdup(body) : NULL;
    for (char *p = text; p && *p; p++)
        if (*p == '\'')
            *p = '"';
    req.body = fed_str(text);
    sim_trace(s, "user: %s %s, and the hub is killed", method, path);
    s->user->ops->call(s->user, &req, NULL, NULL);
    sim_run(s, sim_random_below(&s->chance, 4));
    slot->unsure = true;
    slot->unsure_exists = then_exists;
    slot->unsure_value = then_value;
    free(text);
    sim_hub_stop(s, true);
    sim_hub_start(s);
}

static int value_of(int kind, const struct fed_json *o)
{
    if (kind == CONFIGMAPS) {
        struct fed_str v = fed_json_find_text(fed_json_find(o, "data"), "v");
        uint64_t n = 0;
        return fed_str_u64(v, &n) == 0 ? (int)n : -1;
    }
    if (kind == SERVICES)
        return (int)fed_json_int(fed_json_find(fed_json_item(fed_json_at(o, "spec", "ports", NULL), 0), "port"), 0) -
               1000;
    struct fed_str image =
        fed_json_find_text(fed_json_item(fed_json_at(o, "spec", "template", "spec", "containers", NULL), 0), "image");
    uint64_t n = 0;
    return image.n > 12 && fed_str_u64(fed_str_from(image, 12), &n) == 0 ? (int)n : -1;
}

static bool is_deleting(const struct fed_json *o)
{
    return fed_json_at(o, "metadata", "deletionTimestamp", NULL) != NULL;
}

/* What became of a deed whose answer never came: all or nothing. */
static void resolve(struct story *st, int kind, int space, int name)
{
    struct slot *slot = &st->slots[kind][space][name];
    const struct fed_json *o = sim_get(&st->s, st->s.user, path_of(&st->s, kind, space, name));
    bool exists = o && !is_deleting(o);
    int value = exists ? value_of(kind, o) : 0;
    if (exists != slot->exists && exists != slot->unsure_exists)
        sim_fail(&st->s, "%s: neither before nor after", path_of(&st->s, kind, space, name));
    if (exists && !(slot->exists && value == slot->value) && !(slot->unsure_exists && value == slot->unsure_value))
        sim_fail(&st->s, "%s: value %d, neither before nor after", path_of(&st->s, kind, space, name), value);
    slot->exists = exists;
    slot->value = value;
    slot->unsure = false;
}

static void create_space(struct story *st, int space)
{
    struct sim *s = &st->s;
    struct sim_answer a = sim_do(s, s->user, "POST", "/api/v1/namespaces",
                                 "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'%s'}}", spaces[space]);
    sim_trace(s, "user: namespace %s: %d", spaces[space], a.status);
    if (!a.code)
        st->space_exists[space] = true;
}

static void delete_space(struct story *st, int space)
{
    struct sim *s = &st->s;
    sim_trace(s, "user: delete namespace %s", spaces[space]);
    sim_must(s, s->user, "DELETE", sim_path(s, "/api/v1/namespaces/%s", spaces[space]), NULL);
    st->space_exists[space] = false;
    for (int k = 0; k < N_KINDS; k++)
        for (int n = 0; n < N_NAMES; n++)
            st->slots[k][space][n] = (struct slot){0};
}

static void create_object(struct story *st, struct slot *slot, int kind, int space, int name)
{
    struct sim *s = &st->s;
    const char *collection = sim_path(s, "%s/namespaces/%s/%s", kinds[kind].prefix, spaces[space], kinds[kind].plural);
    int value = 1 + (int)sim_random_below(&s->chance, 1000), selector = (int)sim_random_below(&s->chance, 5);
    selector = selector > 2 ? 0 : selector;
    const char *body = body_of(s, kind, space, name, value, selector, true);
    slot->selector = selector;
    if (sim_random_chance(&s->chance, 30)) {
        fire_and_kill(st, slot, "POST", collection, body, true, value);
        return;
    }
    struct sim_answer a = sim_do(s, s->user, "POST", collection, "%s", body);
    sim_trace(s, "user: create %s/%s value %d selector %d: %d", collection, object_names[name], value, selector,
              a.status);
    if (a.code && a.code != FED_E_ALREADY_EXISTS && a.code != FED_E_CONFLICT) /* the last of the name is still going */
        sim_fail(s, "create: %.*s", FED_STR_ARG(a.text));
    slot->exists = !a.code;
    slot->value = value;
}

static void change_object(struct story *st, struct slot *slot, int kind, int space, int name)
{
    struct sim *s = &st->s;
    const char *path = path_of(s, kind, space, name);
    int value = 1 + (int)sim_random_below(&s->chance, 1000);
    if (sim_random_chance(&s->chance, 300))
        slot->selector = (int)sim_random_below(&s->chance, 3);
    const char *body = body_of(s, kind, space, name, value, slot->selector, false);
    if (sim_random_chance(&s->chance, 30) && kind != SERVICES) {
        fire_and_kill(st, slot, "PATCH", path, body, true, value);
        slot->unsure = false; /* the selector may have changed or not: told again below */
        sim_must(s, s->user, "PATCH", path, "%s", body);
    } else {
        sim_trace(s, "user: change %s value %d selector %d", path, value, slot->selector);
        sim_must(s, s->user, "PATCH", path, "%s", body);
    }
    slot->value = value;
}

static void delete_object(struct story *st, struct slot *slot, int kind, int space, int name)
{
    static const char *const policies[] = {"Background", "Foreground", "Orphan"};
    struct sim *s = &st->s;
    const char *path = sim_path(s, "%s?propagationPolicy=%s", path_of(s, kind, space, name),
                                policies[sim_random_below(&s->chance, sim_random_chance(&s->chance, 250) ? 3 : 2)]);
    if (sim_random_chance(&s->chance, 30)) {
        fire_and_kill(st, slot, "DELETE", path, NULL, false, 0);
        return;
    }
    sim_trace(s, "user: delete %s", path);
    sim_must(s, s->user, "DELETE", path, NULL);
    slot->exists = false;
}

static void do_deed(struct story *st)
{
    struct sim *s = &st->s;
    int kind = (int)sim_random_below(&s->chance, N_KINDS), space = (int)sim_random_below(&s->chance, N_SPACES);
    int name = (int)sim_random_below(&s->chance, N_NAMES);
    struct slot *slot = &st->slots[kind][space][name];
    if (!st->space_exists[space]) {
        create_space(st, space);
        return;
    }
    if (sim_random_chance(&s->chance, 15)) {
        delete_space(st, space);
        return;
    }
    if (slot->unsure)
        resolve(st, kind, space, name);
    if (!slot->exists)
        create_object(st, slot, kind, space, name);
    else if (sim_random_chance(&s->chance, 650))
        change_object(st, slot, kind, space, name);
    else
        delete_object(st, slot, kind, space, name);
}

/* --- faults --- */

static void do_fault(struct story *st)
{
    struct sim *s = &st->s;
    struct sim_cluster *c = &s->clusters[sim_random_below(&s->chance, SIM_CLUSTERS)];
    switch (sim_random_below(&s->chance, 8)) {
    case 0:
        c->line.silent = !c->line.silent;
        sim_trace(s, "fault: %s %s", c->name, c->line.silent ? "is silent" : "speaks again");
        break;
    case 1:
        c->line.refused = !c->line.refused;
        sim_trace(s, "fault: %s %s", c->name, c->line.refused ? "refuses" : "accepts again");
        break;
    case 2:
        c->line.lose_permille = c->line.lose_permille ? 0 : 200;
        sim_trace(s, "fault: %s loses %u permille", c->name, c->line.lose_permille);
        break;
    case 3:
        c->line.latency_max = c->line.latency_max > 20 ? 20 : 1500;
        sim_trace(s, "fault: %s takes up to %u ms", c->name, c->line.latency_max);
        break;
    case 4:
    case 5:
        sim_trace(s, "fault: watches of %s are cut", c->name);
        sim_line_cut_watches(&c->line, 400);
        break;
    case 6:
        sim_hub_stop(s, true);
        sim_run(s, sim_random_below(&s->chance, 3000));
        sim_hub_start(s);
        break;
    default:
        sim_run(s, sim_random_below(&s->chance, 40000)); /* long enough for the grace to end */
        break;
    }
}

/* --- what must be in the end --- */

static bool is_marked(const struct fed_json *o)
{
    return fed_obj_label(o, FAPI_MANAGED).n > 0;
}

static bool selected(int selector, unsigned cluster)
{
    return !selectors[selector] || (strcmp(selectors[selector], "web") == 0 && cluster < 2);
}

static bool shows_conflict(struct sim *s, const struct fed_json *hub, const char *cluster)
{
    struct fed_json *all;
    struct fed_str text = fed_obj_annotation(hub, FAPI_ANN_CLUSTERS);
    if (!text.n || fed_json_parse(&s->arena, text, NULL, &all, NULL) != 0)
        return false;
    return fed_str_is(fed_json_find_text(fed_json_find(all, cluster), "state"), "Conflict");
}

struct sums {
    int64_t spec, replicas, ready;
    size_t placed, addresses;
    unsigned clusters; /* a bit for each */
};

/* One object in one cluster; what counts for the hub's status is added to sums. */
static const char *check_copy(struct story *st, int kind, const char *path, const struct slot *slot,
                              const struct fed_json *hub, unsigned cluster, struct sums *sums)
{
    struct sim *s = &st->s;
    const char *name = s->clusters[cluster].name;
    const struct fed_json *o = sim_get(s, s->clusters[cluster].admin, path);
    bool want = slot->exists && selected(slot->selector, cluster);
    if (!want)
        return o && is_marked(o) ? sim_path(s, "%s should not be in %s", path, name) : NULL;
    if (!o)
        return sim_path(s, "%s is not in %s", path, name);
    if (!is_marked(o))
        return shows_conflict(s, hub, name) ? NULL : sim_path(s, "%s in %s: no conflict is shown", path, name);
    if (shows_conflict(s, hub, name))
        return sim_path(s, "%s in %s: a conflict is shown", path, name);
    if (value_of(kind, o) != slot->value)
        return sim_path(s, "%s in %s: value %d, want %d", path, name, value_of(kind, o), slot->value);
    sums->placed++;
    sums->clusters |= 1u << cluster;
    sums->spec += fed_json_int(fed_json_at(o, "spec", "replicas", NULL), 0);
    sums->replicas += fed_json_int(fed_json_at(o, "status", "replicas", NULL), 0);
    sums->ready += fed_json_int(fed_json_at(o, "status", "readyReplicas", NULL), 0);
    const struct fed_json *ingress = fed_json_at(o, "status", "loadBalancer", "ingress", NULL);
    sums->addresses += ingress ? ingress->n : 0;
    return NULL;
}

static const char *check_deployment(struct sim *s, const char *path, const struct fed_json *hub,
                                    const struct sums *sums)
{
    const struct fed_json *status = fed_json_find(hub, "status");
    int64_t want = fed_json_int(fed_json_at(hub, "spec", "replicas", NULL), -1);
    if (sums->placed && sums->spec != want)
        return sim_path(s, "%s: %d replicas in members, want %d", path, (int)sums->spec, (int)want);
    if (fed_json_int(fed_json_find(status, "replicas"), 0) != sums->replicas ||
        fed_json_int(fed_json_find(status, "readyReplicas"), 0) != sums->ready)
        return sim_path(s, "%s: the status says %d replicas and %d ready, members %d and %d", path,
                        (int)fed_json_int(fed_json_find(status, "replicas"), 0),
                        (int)fed_json_int(fed_json_find(status, "readyReplicas"), 0), (int)sums->replicas,
                        (int)sums->ready);
    return NULL;
}

/* Clients are sent to their own cluster if it has the service, else to one that has it. */
static const char *check_dns(struct sim *s, const char *path, int space, int name, const struct sums *sums)
{
    for (unsigned client = 0; client < SIM_CLUSTERS; client++) {
        int at = sim_dns_cluster(s, object_names[name], spaces[space], client);
        bool own = sums->clusters >> client & 1;
        if (sums->placed ? at < 0 || !(sums->clusters >> at & 1) || (own && at != (int)client) : at != -1)
            return sim_path(s, "%s: DNS sends clients of cluster %u to %d", path, client, at);
    }
    return NULL;
}

static const char *check_service(struct story *st, const char *path, int space, int name, const struct fed_json *hub,
                                 const struct sums *sums)
{
    struct sim *s = &st->s;
    const struct fed_json *ingress = fed_json_at(hub, "status", "loadBalancer", "ingress", NULL);
    const struct fed_json *import =
        sim_get(s, s->user,
                sim_path(s, "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/%s/serviceimports/%s", spaces[space],
                         object_names[name]));
    const struct fed_json *slices =
        sim_get(s, s->user,
                sim_path(s,
                         "/apis/discovery.k8s.io/v1/namespaces/%s/endpointslices?labelSelector=" FAPI_LABEL_SERVICE
                         "%%3D%s,federation.hansa.io/scope%%3Dglobal",
                         spaces[space], object_names[name]));
    const struct fed_json *clusters = fed_json_at(import, "status", "clusters", NULL);
    size_t n_slices = fed_json_find(slices, "items")->n;
    if (!hub)
        return import || n_slices ? sim_path(s, "%s: import or slices are left", path)
                                  : check_dns(s, path, space, name, sums);
    if ((ingress ? ingress->n : 0) != sums->addresses)
        return sim_path(s, "%s: %zu addresses, members have %zu", path, (size_t)(ingress ? ingress->n : 0),
                        sums->addresses);
    if ((clusters ? clusters->n : 0) != sums->placed)
        return sim_path(s, "%s: the import names %zu clusters, not %zu", path, (size_t)(clusters ? clusters->n : 0),
                        sums->placed);
    if (n_slices != sums->placed)
        return sim_path(s, "%s: %zu slices for %zu clusters", path, n_slices, sums->placed);
    return check_dns(s, path, space, name, sums);
}

static const char *check_slot(struct story *st, int kind, int space, int name)
{
    struct sim *s = &st->s;
    const struct slot *slot = &st->slots[kind][space][name];
    const char *path = path_of(s, kind, space, name), *word = NULL;
    const struct fed_json *hub = sim_get(s, s->user, path);
    struct sums sums = {0};
    if (slot->exists && (!hub || value_of(kind, hub) != slot->value))
        sim_fail(s, "%s: acknowledged and lost", path);
    if (!slot->exists && hub)
        return sim_path(s, "%s is still in the hub", path);
    for (unsigned c = 0; c < SIM_CLUSTERS && !word; c++)
        word = check_copy(st, kind, path, slot, hub, c, &sums);
    if (!word && kind == DEPLOYMENTS && hub)
        word = check_deployment(s, path, hub, &sums);
    if (!word && kind == SERVICES)
        word = check_service(st, path, space, name, hub, &sums);
    return word;
}

static const char *check_space(struct story *st, int space)
{
    struct sim *s = &st->s;
    const char *path = sim_path(s, "/api/v1/namespaces/%s", spaces[space]);
    const struct fed_json *hub = sim_get(s, s->user, path);
    if (!hub == st->space_exists[space])
        return sim_path(s, "namespace %s %s in the hub", spaces[space], hub ? "is still" : "is not");
    for (unsigned c = 0; c < SIM_CLUSTERS; c++) {
        const struct fed_json *o = sim_get(s, s->clusters[c].admin, path);
        if (hub && (!o || is_deleting(o)))
            return sim_path(s, "namespace %s is not in %s", spaces[space], s->clusters[c].name);
        if (!hub && o && is_marked(o))
            return sim_path(s, "namespace %s is still in %s", spaces[space], s->clusters[c].name);
    }
    return NULL;
}

static const char *check_all(struct sim *s, void *ud)
{
    struct story *st = ud;
    const char *word = NULL;
    for (unsigned c = 0; c < SIM_CLUSTERS && !word; c++) {
        const struct fed_json *o =
            sim_get(s, s->user, sim_path(s, "/apis/federation/v1beta1/clusters/%s", s->clusters[c].name));
        if (!fed_str_is(fed_json_find_text(fed_obj_condition(fed_json_find(o, "status"), "Ready"), "status"), "True"))
            word = sim_path(s, "%s is not Ready", s->clusters[c].name);
    }
    for (int space = 0; space < N_SPACES && !word; space++) {
        word = check_space(st, space);
        for (int k = 0; k < N_KINDS && !word; k++)
            for (int n = 0; n < N_NAMES && !word; n++)
                word = check_slot(st, k, space, n);
    }
    return word;
}

/* --- a story --- */

static void begin(struct story *st, uint64_t seed)
{
    struct sim *s = &st->s;
    memset(st, 0, sizeof(*st));
    sim_init(s, seed);
    sim_own(s, 1, "/api/v1/namespaces", "web", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'web'}}");
    sim_own(s, 1, "/api/v1/namespaces/web/configmaps", "a",
            "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'a'},'data':{'v':'own'}}");
    sim_own(s, 1, "/apis/apps/v1/namespaces/web/deployments", "b", "%s", body_of(s, DEPLOYMENTS, 1, 1, 5, 0, true));
    sim_own(s, 2, "/api/v1/namespaces", "app", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'app'}}");
    sim_own(s, 2, "/api/v1/namespaces/app/services", "c", "%s", body_of(s, SERVICES, 0, 2, 7, 0, true));
    sim_join(s, 0, "'tier':'web'");
    sim_join(s, 1, "'tier':'web'");
    sim_join(s, 2, "");
    for (int i = 0; i < N_SPACES; i++)
        create_space(st, i);
    sim_forget(s);
}

static void tell(uint64_t seed)
{
    struct story st;
    struct sim *s = &st.s;
    begin(&st, seed);
    for (int step = 0; step < N_STEPS; step++) {
        do_deed(&st);
        if (sim_random_chance(&s->chance, 350))
            do_fault(&st);
        sim_run(s, sim_random_below(&s->chance, sim_random_chance(&s->chance, 300) ? 8000 : 200));
        sim_forget(s);
    }
    sim_trace(s, "calm");
    sim_calm(s);
    for (int k = 0; k < N_KINDS; k++)
        for (int i = 0; i < N_SPACES * N_NAMES; i++)
            if (st.slots[k][i % N_SPACES][i / N_SPACES].unsure)
                resolve(&st, k, i % N_SPACES, i / N_SPACES);
    sim_until(s, 240000, "all is as it should be", check_all, &st);
    sim_check_own(s);
    sim_run(s, 45000); /* calls that were lost run into their time-out, and back-offs end */
    size_t members = sim_member_writes(s), hub = sim_hub_writes(s);
    sim_run(s, 40000);
    if (sim_member_writes(s) != members || sim_hub_writes(s) != hub)
        sim_fail(s, "at rest: %zu writes to members, %zu to the hub", sim_member_writes(s) - members,
                 sim_hub_writes(s) - hub);
    const char *word = check_all(s, &st);
    if (word)
        sim_fail(s, "it does not stay so: %s", word);
    sim_release(s);
}

static void test_chaos(void **state FED_UNUSED)
{
    const char *only = getenv("HANSA_SIM_SEED"), *many = getenv("HANSA_SIM_SEEDS");
    const char *thorough = getenv("HANSA_TEST_LONG"); /* of tests/run --long */
    uint64_t n = thorough && strcmp(thorough, "yes") == 0 ? LONG_SEEDS : SEEDS;
    n = many ? strtoull(many, NULL, 10) : n;
    if (only) {
        tell(strtoull(only, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= n; seed++)
        tell(seed);
}

static int release_kinds(void **state FED_UNUSED)
{
    sim_kinds_release();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chaos)};
    return cmocka_run_group_tests(tests, NULL, release_kinds);
}
