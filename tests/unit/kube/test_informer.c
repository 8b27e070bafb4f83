/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "kube/fake.h"
#include "kube/informer.h"

static const struct fed_resource configmaps = {"", "v1", "configmaps", "ConfigMap", true};

struct world {
    struct fed_fake_env env;
    struct fed_fake *fake;
    struct fed_transport *t;
    struct fed_informer *inf;
    struct fed_buf log;
    int synced, lives, deads;
    bool free_in_handler;
};

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct world *w = ud;
    fed_buf_addf(&w->log, "%c%.*s ", old && now ? '~' : now ? '+' : '-', FED_STR_ARG((now ? now : old)->name));
    if (w->free_in_handler) {
        w->free_in_handler = false;
        fed_informer_free(w->inf);
        w->inf = NULL;
    }
}
static void synced(void *ud)
{
    ((struct world *)ud)->synced++;
}
static void connected(void *ud, bool live)
{
    struct world *w = ud;
    *(live ? &w->lives : &w->deads) += 1;
}

static void setup(struct world *w, bool watch_list, const char *labels)
{
    *w = (struct world){0};
    fed_fake_env_init(&w->env, 1);
    w->fake = fed_fake_new(&w->env.env);
    w->t = fed_fake_transport(w->fake, watch_list);
    w->inf = fed_informer_new(
        &(struct fed_informer_conf){.transport = w->t, .resource = &configmaps, .label_selector = labels});
    fed_informer_add_handlers(w->inf, &(struct fed_informer_handlers){changed, synced, connected, w});
}

static void teardown(struct world *w)
{
    fed_informer_free(w->inf);
    fed_transport_free(w->t);
    fed_fake_free(w->fake);
    fed_fake_env_release(&w->env);
    fed_buf_release(&w->log);
}

static void put(struct world *w, const char *name, const char *more)
{
    struct fed_buf b = {0};
    fed_buf_addf(&b, "{'metadata':{'name':'%s','namespace':'n'%s},'data':{'t':'%d'}}", name, more,
                 (int)fed_fake_rev(w->fake));
    fed_fake_put(w->fake, &configmaps, fed_buf_z(&b));
    fed_buf_release(&b);
}

static void expect(struct world *w, const char *want)
{
    fed_fake_run(&w->env, 1000);
    if (strcmp(fed_buf_z(&w->log), want) != 0)
        fail_msg("got '%s', want '%s'", fed_buf_z(&w->log), want);
    fed_buf_reset(&w->log);
}

static void follow(bool watch_list)
{
    struct world w;
    setup(&w, watch_list, NULL);
    put(&w, "a", "");
    put(&w, "b", "");
    fed_informer_start(w.inf);
    expect(&w, "+a +b ");
    assert_int_equal(w.synced, 1);
    assert_true(fed_informer_connected(w.inf));
    put(&w, "a", "");
    put(&w, "c", "");
    fed_fake_remove(w.fake, &configmaps, "n", "b");
    expect(&w, "~a +c -b ");
    assert_int_equal(fed_informer_count(w.inf), 2);
    assert_non_null(fed_informer_find(w.inf, FED_STR("n"), FED_STR("c")));
    assert_null(fed_informer_find(w.inf, FED_STR("n"), FED_STR("b")));

    /* resumed: nothing is told twice, nothing is missed */
    fed_fake_fail(w.fake, "WATCH", NULL, FED_E_UNREACHABLE, 2);
    fed_fake_drop_watches(w.fake, FED_E_END);
    fed_fake_run(&w.env, 0);
    put(&w, "d", "");
    expect(&w, "+d ");
    assert_int_equal(w.deads, 1);
    assert_int_equal(w.lives, 2);

    /* history lost: listed again, only differences are told */
    fed_fake_drop_watches(w.fake, FED_E_END);
    fed_fake_run(&w.env, 0);
    put(&w, "e", "");
    fed_fake_remove(w.fake, &configmaps, "n", "a");
    fed_fake_remove(w.fake, &configmaps, "n", "c");
    put(&w, "c", ""); /* another uid */
    fed_fake_compact(w.fake);
    fed_fake_run(&w.env, 5000);
    expect(&w, watch_list ? "+e -c +c -a " : "+e -c +c -a ");
    assert_int_equal(w.synced, 1);
    assert_true(fed_informer_synced(w.inf));
    teardown(&w);
}

static void list_then_watch(void **state)
{
    (void)state;
    follow(false);
}
static void one_watch(void **state)
{
    (void)state;
    follow(true);
}

static void pages(void **state)
{
    (void)state;
    struct world w;
    setup(&w, false, "app=x");
    for (int i = 0; i < 1203; i++) {
        char name[16];
        snprintf(name, sizeof(name), "o%d", i);
        put(&w, name, i % 1203 == 7 ? "" : ",'labels':{'app':'x'}");
    }
    fed_informer_start(w.inf);
    fed_fake_run(&w.env, 1000);
    assert_int_equal(fed_informer_count(w.inf), 1202);
    const char *log = fed_fake_log(w.fake);
    int lists = 0;
    for (const char *p = log; (p = strstr(p, "GET ")); p++)
        lists++;
    assert_int_equal(lists, 3);
    /* leaving the selector looks like a deletion */
    fed_buf_reset(&w.log);
    put(&w, "o1", "");
    expect(&w, "-o1 ");
    teardown(&w);
}

static void failures_back_off(void **state)
{
    (void)state;
    struct world w;
    setup(&w, false, NULL);
    fed_fake_fail(w.fake, "GET", NULL, FED_E_FORBIDDEN, 1000);
    fed_informer_start(w.inf);
    fed_fake_run(&w.env, 60000);
    int tries = 0;
    for (const char *p = fed_fake_log(w.fake); (p = strstr(p, "GET ")); p++)
        tries++;
    assert_in_range(tries, 20, 50); /* 100 ms doubling to 2 s, then one each 2 s with jitter */
    assert_false(fed_informer_synced(w.inf));
    teardown(&w);
}

static const struct fed_resource secrets = {"", "v1", "secrets", "Secret", true};

/* Both informers of a server that fails their next `failures` watches and is back then. Returns for how long, in ms of
 * virtual time, one was connected and the other was not. */
static uint64_t apart_after(uint32_t failures)
{
    struct world w;
    setup(&w, true, NULL);
    struct fed_informer *other = fed_informer_new(&(struct fed_informer_conf){.transport = w.t, .resource = &secrets});
    fed_informer_start(w.inf);
    fed_informer_start(other);
    fed_fake_run(&w.env, 1000);
    assert_true(fed_informer_connected(other));
    fed_fake_fail(w.fake, "WATCH", NULL, FED_E_UNREACHABLE, failures);
    fed_fake_drop_watches(w.fake, FED_E_UNREACHABLE);
    fed_fake_run(&w.env, 10);
    uint64_t apart_ms = 0, waited_ms = 0;
    for (; !fed_informer_connected(w.inf) || !fed_informer_connected(other); waited_ms += 10) {
        apart_ms += fed_informer_connected(w.inf) != fed_informer_connected(other) ? 10 : 0;
        assert_in_range(waited_ms, 0, 60000);
        fed_fake_run(&w.env, 10);
    }
    assert_in_range(waited_ms, 3000, 60000);
    fed_informer_free(other);
    teardown(&w);
    return apart_ms;
}

static void one_that_is_back_brings_the_others(void **state)
{
    (void)state;
    for (uint32_t failures = 12; failures < 32; failures++)
        assert_in_range(apart_after(failures), 0, 510); /* alone: up to 3000 */
}

static void drop_at_once(void *ud, bool live)
{
    if (live)
        fed_fake_drop_watches(ud, FED_E_UNREACHABLE);
}

/* A server that takes each watch and drops it at once is not asked without a pause, each for the other's sake. */
static void flapping_makes_no_storm(void **state)
{
    (void)state;
    struct world w;
    setup(&w, true, NULL);
    struct fed_informer *other = fed_informer_new(&(struct fed_informer_conf){.transport = w.t, .resource = &secrets});
    struct fed_informer_handlers dropping = {.connected = drop_at_once, .ud = w.fake};
    fed_informer_add_handlers(w.inf, &dropping);
    fed_informer_add_handlers(other, &dropping);
    fed_informer_start(w.inf);
    fed_informer_start(other);
    fed_fake_run(&w.env, 30000);
    int tries = 0;
    for (const char *p = fed_fake_log(w.fake); (p = strstr(p, "WATCH ")); p++)
        tries++;
    assert_in_range(tries, 20, 1300); /* twice what one alone does */
    fed_informer_free(other);
    teardown(&w);
}

static void server_without_watch_list(void **state)
{
    (void)state;
    struct world w;
    setup(&w, true, NULL);
    put(&w, "a", "");
    fed_fake_fail(w.fake, "WATCH", NULL, FED_E_INVALID, 1);
    fed_informer_start(w.inf);
    expect(&w, "+a ");
    assert_true(fed_informer_synced(w.inf));
    teardown(&w);
}

static bool note_name(void *ud, struct fed_kobj *o)
{
    fed_buf_addf(ud, "%.*s ", FED_STR_ARG(o->name));
    return true;
}

static void late_handlers_and_owners(void **state)
{
    (void)state;
    struct world w;
    setup(&w, true, NULL);
    put(&w, "a", ",'ownerReferences':[{'uid':'u1','controller':true}]");
    put(&w, "b", ",'ownerReferences':[{'uid':'u1','controller':true}]");
    put(&w, "c", ",'ownerReferences':[{'uid':'u1'}]");
    fed_informer_start(w.inf);
    expect(&w, "+a +b +c ");
    struct world w2 = {0};
    fed_informer_add_handlers(w.inf, &(struct fed_informer_handlers){changed, synced, connected, &w2});
    fed_fake_run(&w.env, 10);
    assert_string_equal(fed_buf_z(&w2.log), "+a +b +c ");
    assert_int_equal(w2.synced, 1);
    fed_buf_release(&w2.log);

    struct fed_buf names = {0};
    fed_informer_each_owned(w.inf, FED_STR("u1"), note_name, &names);
    assert_string_equal(fed_buf_z(&names), "a b ");
    put(&w, "a", "");
    fed_fake_run(&w.env, 10);
    fed_buf_reset(&names);
    fed_informer_each_owned(w.inf, FED_STR("u1"), note_name, &names);
    assert_string_equal(fed_buf_z(&names), "b ");
    fed_buf_release(&names);
    fed_buf_release(&w2.log);
    teardown(&w);
}

static void an_indexed_label(void **state)
{
    (void)state;
    struct world w;
    struct fed_buf names = {0};
    setup(&w, true, NULL);
    fed_informer_free(w.inf);
    w.inf =
        fed_informer_new(&(struct fed_informer_conf){.transport = w.t, .resource = &configmaps, .index_label = "svc"});
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'a','namespace':'d','labels':{'svc':'x'}}}");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'b','namespace':'d','labels':{'svc':'x'}}}");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'c','namespace':'e','labels':{'svc':'x'}}}");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'z','namespace':'d'}}");
    fed_informer_start(w.inf);
    fed_fake_run(&w.env, 1000);
    fed_informer_each_labeled(w.inf, FED_STR("d"), FED_STR("x"), note_name, &names);
    assert_string_equal(fed_buf_z(&names), "a b ");
    fed_fake_put(w.fake, &configmaps, "{'metadata':{'name':'a','namespace':'d','labels':{'svc':'y'}}}");
    fed_fake_remove(w.fake, &configmaps, "d", "b");
    fed_fake_run(&w.env, 1000);
    fed_buf_reset(&names);
    fed_informer_each_labeled(w.inf, FED_STR("d"), FED_STR("x"), note_name, &names);
    fed_informer_each_labeled(w.inf, FED_STR("d"), FED_STR("y"), note_name, &names);
    assert_string_equal(fed_buf_z(&names), "a ");
    fed_buf_release(&names);
    teardown(&w);
}

static void freed_inside_a_handler(void **state)
{
    (void)state;
    for (int watch_list = 0; watch_list < 2; watch_list++) {
        struct world w;
        setup(&w, watch_list, NULL);
        put(&w, "a", "");
        put(&w, "b", "");
        w.free_in_handler = true;
        fed_informer_start(w.inf);
        expect(&w, "+a ");
        teardown(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_then_watch),
        cmocka_unit_test(one_watch),
        cmocka_unit_test(pages),
        cmocka_unit_test(failures_back_off),
        cmocka_unit_test(one_that_is_back_brings_the_others),
        cmocka_unit_test(flapping_makes_no_storm),
        cmocka_unit_test(server_without_watch_list),
        cmocka_unit_test(late_handlers_and_owners),
        cmocka_unit_test(an_indexed_label),
        cmocka_unit_test(freed_inside_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
