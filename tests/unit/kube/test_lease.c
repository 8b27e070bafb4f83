/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/fake.h"
#include "kube/lease.h"
#include "kube/recorder.h"

static const struct fed_resource leases = {"coordination.k8s.io", "v1", "leases", "Lease", true};
static const struct fed_resource events = {"", "v1", "events", "Event", true};

struct candidate {
    struct fed_transport *t;
    struct fed_lease *l;
    int started, stopped;
};
static void started(void *ud)
{
    ((struct candidate *)ud)->started++;
}
static void stopped(void *ud)
{
    ((struct candidate *)ud)->stopped++;
}
static void stand(struct candidate *c, struct fed_fake *f, const char *identity)
{
    *c = (struct candidate){.t = fed_fake_transport(f, false)};
    c->l = fed_lease_new(&(struct fed_lease_conf){.transport = c->t,
                                                  .ns = "kube-system",
                                                  .name = "x",
                                                  .identity = identity,
                                                  .started = started,
                                                  .stopped = stopped,
                                                  .ud = c});
}

static void one_leader(void **state)
{
    (void)state;
    struct fed_fake_env env;
    struct candidate a, b;
    fed_fake_env_init(&env, 5);
    struct fed_fake *f = fed_fake_new(&env.env);
    stand(&a, f, "a");
    fed_fake_run(&env, 100);
    stand(&b, f, "b");
    fed_fake_run(&env, 60000);
    assert_true(fed_lease_leads(a.l) && !fed_lease_leads(b.l));
    assert_int_equal(fed_fake_count(f, &leases), 1);

    /* the leader cannot write for longer than its deadline: it stops before the other starts */
    fed_fake_fail(f, "PUT", NULL, FED_E_UNREACHABLE, 7);
    int both = 0, none = 0;
    for (int i = 0; i < 600; i++) {
        fed_fake_run(&env, 100);
        both += fed_lease_leads(a.l) && fed_lease_leads(b.l);
        none += !fed_lease_leads(a.l) && !fed_lease_leads(b.l);
    }
    assert_int_equal(both, 0);
    assert_true(none > 0);
    assert_true(fed_lease_leads(a.l) || fed_lease_leads(b.l));

    /* given up at once */
    struct candidate *leader = fed_lease_leads(a.l) ? &a : &b, *other = leader == &a ? &b : &a;
    fed_lease_free(leader->l, true);
    leader->l = NULL;
    fed_fake_run(&env, 2500);
    assert_true(fed_lease_leads(other->l));
    fed_lease_free(other->l, false);
    fed_transport_free(a.t);
    fed_transport_free(b.t);
    fed_fake_free(f);
    fed_fake_env_release(&env);
}

static void events_are_counted_and_limited(void **state)
{
    (void)state;
    struct fed_fake_env env;
    struct fed_kobj *about;
    fed_fake_env_init(&env, 5);
    struct fed_fake *f = fed_fake_new(&env.env);
    struct fed_transport *t = fed_fake_transport(f, false);
    struct fed_recorder *r = fed_recorder_new(t, "test", NULL);
    assert_int_equal(fed_kobj_new(FED_STR("{\"metadata\":{\"name\":\"o\",\"namespace\":\"n\",\"uid\":\"u\"}}"),
                                  FED_STR("v1"), FED_STR("Pod"), &about, NULL),
                     0);
    for (int i = 0; i < 10; i++)
        fed_event_warning(r, about, "Failed", "no %s", "luck");
    fed_fake_run(&env, 10);
    assert_int_equal(fed_fake_count(f, &events), 1);
    for (int i = 0; i < 12; i++) /* the last three share one */
        fed_event_normal(r, about, "Made", "number %d", i);
    fed_fake_run(&env, 10);
    assert_int_equal(fed_fake_count(f, &events), 1 + 10);
    for (int i = 0; i < 100; i++) { /* three are left of the burst */
        char reason[8];
        snprintf(reason, sizeof(reason), "R%d", i);
        fed_event_normal(r, about, reason, "done");
    }
    fed_fake_run(&env, 10);
    assert_int_equal(fed_fake_count(f, &events), 11 + 3);
    fed_fake_run(&env, 5000);
    fed_event_normal(r, about, "Later", "done");
    fed_event_normal(r, about, "Latest", "done");
    fed_fake_run(&env, 10);
    assert_int_equal(fed_fake_count(f, &events), 15);
    fed_kobj_unref(about);
    fed_recorder_free(r);
    fed_transport_free(t);
    fed_fake_free(f);
    fed_fake_env_release(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_leader), cmocka_unit_test(events_are_counted_and_limited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
