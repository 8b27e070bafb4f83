/* SPDX-License-Identifier: Apache-2.0 */
/* The status writer against an informer that lags behind its writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kube/fake.h"
#include "member/agent/pod.h"

struct world {
    struct fed_fake_env env;
    struct fed_fake *fake;
    struct mbr member;
    struct mbr_agents agents;
    struct mbr_node node;
    struct mbr_container container;
    struct mbr_pod pod;
};

static const struct fed_kobj *stored(struct world *w)
{
    return fed_fake_find(w->fake, mbr_resource(MBR_PODS), "default", "p");
}

/* What an informer would do, now. */
static void catch_up(struct world *w)
{
    struct fed_kobj *old = w->pod.obj;
    w->pod.obj = fed_kobj_ref((struct fed_kobj *)stored(w));
    fed_kobj_unref(old);
}

static void write_status(struct world *w, bool ready)
{
    struct fed_arena a = {0};
    w->container.ready = ready;
    mbr_pod_write_status(&w->pod, fed_kobj_parse(w->pod.obj, &a), &a);
    fed_arena_release(&a);
}

static bool stored_ready(struct world *w)
{
    return fed_str_find(stored(w)->json, FED_STR("\"type\":\"Ready\",\"status\":\"True\""), 0) >= 0;
}

static void init(struct world *w)
{
    *w = (struct world){0};
    fed_fake_env_init(&w->env, 1);
    w->fake = fed_fake_new(&w->env.env);
    w->member.env = &w->env.env;
    w->member.client = fed_fake_transport(w->fake, true);
    w->agents.m = &w->member;
    w->agents.closing = true; /* nobody syncs but this test */
    snprintf(w->node.ip, sizeof(w->node.ip), "127.9.0.1");
    w->container = (struct mbr_container){.pod = &w->pod, .name = "c", .image = "i", .state = MBR_C_RUNNING};
    w->pod = (struct mbr_pod){.agents = &w->agents,
                              .node = &w->node,
                              .uid = "u1",
                              .ip = "127.9.1.1",
                              .restart_always = true,
                              .containers = &w->container,
                              .n = 1};
    fed_fake_put(w->fake, mbr_resource(MBR_PODS),
                 "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'default','uid':'u1'},"
                 "'spec':{'containers':[{'name':'c','image':'i'}]}}");
    catch_up(w);
}

static void done(struct world *w)
{
    fed_kobj_unref(w->pod.obj);
    fed_transport_free(w->member.client);
    fed_fake_free(w->fake);
    fed_fake_env_release(&w->env);
}

/* An agent that comes back finds its pod Ready, writes that it is not (until its probe answered), and before the
 * informer shows that write, the probe has answered: the old object and the new status are equal by chance. */
static void test_the_object_lags_behind_our_write(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    write_status(&w, true);
    fed_fake_run(&w.env, 10);
    assert_true(stored_ready(&w));
    catch_up(&w);
    write_status(&w, false);
    fed_fake_run(&w.env, 10);
    assert_false(stored_ready(&w));
    write_status(&w, true); /* the informer still shows the first */
    fed_fake_run(&w.env, 10);
    catch_up(&w);
    write_status(&w, true);
    fed_fake_run(&w.env, 10);
    assert_true(stored_ready(&w));
    done(&w);
}

static void test_what_is_there_is_not_written_again(void **state)
{
    struct world w;
    (void)state;
    init(&w);
    write_status(&w, true);
    fed_fake_run(&w.env, 10);
    catch_up(&w);
    size_t n = fed_fake_writes(w.fake);
    for (int i = 0; i < 5; i++) {
        write_status(&w, true);
        fed_fake_run(&w.env, 1000);
    }
    assert_int_equal(fed_fake_writes(w.fake), n);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_object_lags_behind_our_write),
        cmocka_unit_test(test_what_is_there_is_not_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
