/* SPDX-License-Identifier: Apache-2.0 */
/* init again: what is not said stays as it is deployed, and what changes is told. */
#include "fedctl/keep.h"

#include "fedctl/etcd.h"
#include "fedctl/plan.h"
#include "kube/obj.h"
#include "tests/unit/trees.h"

static struct fed_json *workload(struct fed_arena *a, const char *args, const char *note)
{
    struct fed_json *w =
        json_of(a, fed_arena_printf(
                       a, "{\"metadata\":{},\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"args\":%s}]}}}}", args)
                       .p);
    if (note)
        fed_obj_set_annotation(a, w, FCTL_ANN_OVERRIDES, fed_str(note));
    return w;
}

/* "--a 1 --b 2" to words. */
static struct fed_strings words(struct fed_arena *a, const char *text)
{
    struct fed_strings out = {0};
    struct fed_str rest = fed_str(text), word;
    while (rest.n && fed_str_cut(&rest, ' ', &word)) {
        const char *z = fed_arena_dupz(a, fed_str_is(word, "''") ? FED_STR("") : word);
        const struct fed_strings one = {&z, 1};
        fctl_concat(a, &out, &one);
    }
    return out;
}

static void test_overrides(void **state)
{
    (void)state;
    static const struct {
        const char *name, *deployed, *note, *said, *want; /* deployed NULL: nothing */
    } cases[] = {
        {"the first time", NULL, NULL, "--grace 2m", "--grace 2m"},
        {"nothing said, nothing deployed", NULL, NULL, "", ""},
        {"nothing said", "[\"--zone\",\"x.\",\"--grace\",\"2m\"]", "[\"--grace\",\"2m\"]", "", "--grace 2m"},
        {"another said", "[]", "[\"--grace\",\"2m\"]", "--audit a.log", "--grace 2m --audit a.log"},
        {"the same said", "[]", "[\"--grace\",\"2m\",\"--audit\",\"x\"]", "--grace 2m", "--grace 2m --audit x"},
        {"said otherwise", "[]", "[\"--grace\",\"2m\",\"--audit\",\"x\"]", "--grace 9m", "--audit x --grace 9m"},
        {"taken away", "[]", "[\"--grace\",\"2m\",\"--audit\",\"x\"]", "--grace ''", "--audit x"},
        {"taken away where it is not", "[]", "[]", "--grace ''", ""},
        {"what an older release gave is no override", "[\"--zone\",\"x.\",\"--old\",\"1\"]", "[]", "", ""},
        {"without a note: what is not init's own", "[\"--zone\",\"y.\",\"--grace\",\"2m\"]", NULL, "", "--grace 2m"},
        {"a note that is none", "[\"--zone\",\"y.\",\"--grace\",\"2m\"]", "{", "", "--grace 2m"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_json *have = cases[i].deployed ? workload(&a, cases[i].deployed, cases[i].note) : NULL;
        struct fed_json *plan = workload(&a, "[\"--zone\",\"x.\"]", NULL);
        struct fed_strings said = words(&a, cases[i].said), want = words(&a, cases[i].want), got;
        fctl_keep_overrides(&a, have, plan, &said, &got);
        CHECK(cases[i].name, got.n == want.n);
        for (size_t k = 0; k < got.n; k++)
            CHECK_TEXT(cases[i].name, fed_str(got.v[k]), want.v[k]);
        fed_arena_release(&a);
    }
}

static void test_overrides_come_back(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *plan = workload(&a, "[\"--zone\",\"x.\"]", NULL),
                    *next = workload(&a, "[\"--zone\",\"x.\"]", NULL);
    struct fed_strings said = words(&a, "--zone y. --grace 2m"), none = {0}, got;
    fctl_put_overrides(&a, plan, &said);
    CHECK_TEXT("over its own argument", fed_json_text(&a, fed_json_find(fctl_container(plan), "args")),
               "[\"--zone\",\"y.\",\"--grace\",\"2m\"]");
    fctl_keep_overrides(&a, plan, next, &none, &got);
    fctl_put_overrides(&a, next, &got);
    CHECK("nothing changes", fctl_covers(plan, next) && fctl_covers(next, plan));
    fed_arena_release(&a);
}

static void test_members(void **state)
{
    (void)state;
    struct fed_arena a = {0};
    struct fed_json *plan = json_of(&a, "{\"args\":[\"x\"]}");
    fctl_fill(&a, plan, json_of(&a, "{\"args\":[\"y\"],\"image\":\"i:2\",\"resources\":{}}"));
    CHECK_TEXT("filled", fed_json_text(&a, plan), "{\"args\":[\"x\"],\"image\":\"i:2\",\"resources\":{}}");
    fctl_fill(&a, plan, NULL);
    struct fed_json *selector = json_of(&a, "{\"disk\":\"ssd\"}");
    fctl_replace_members(&a, selector, json_of(&a, "{\"disk\":\"hdd\",\"kubernetes.io/hostname\":\"n1\"}"));
    CHECK_TEXT("replaced", fed_json_text(&a, selector), "{\"disk\":\"ssd\",\"kubernetes.io/hostname\":null}");
    fed_arena_release(&a);
}

static void test_changes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *have, *want;
        bool hide;
        const char *told;
    } cases[] = {
        {"none", "{\"a\":1,\"b\":2}", "{\"a\":1}", false, ""},
        {"a value", "{\"spec\":{\"n\":1,\"m\":2}}", "{\"spec\":{\"n\":2,\"m\":2}}", false, "  spec.n: 1 -> 2\n"},
        {"a new one", "{}", "{\"spec\":{\"type\":\"x\"}}", false, "  spec.type: (none) -> x\n"},
        {"one away", "{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":null}}", false, "  a.b: c -> (none)\n"},
        {"a key with dots", "{\"a\":{\"x.io/y\":\"1\"}}", "{\"a\":{\"x.io/y\":\"2\"}}", false, "  a[x.io/y]: 1 -> 2\n"},
        {"an item", "{\"c\":[{\"name\":\"s\",\"image\":\"i:1\"}]}", "{\"c\":[{\"name\":\"s\",\"image\":\"i:2\"}]}",
         false, "  c[s].image: i:1 -> i:2\n"},
        {"an item without a name", "{\"c\":[{\"p\":1},{\"p\":2}]}", "{\"c\":[{\"p\":1},{\"p\":3}]}", false,
         "  c[1].p: 2 -> 3\n"},
        {"arguments", "{\"args\":[\"--a\",\"1\",\"--b\",\"--c\",\"3\"]}", "{\"args\":[\"--a\",\"2\",\"--b\",\"--d\"]}",
         false, "  args: - --a 1\n  args: - --c 3\n  args: + --a 2\n  args: + --d\n"},
        {"an order", "{\"args\":[\"--a\",\"--b\"]}", "{\"args\":[\"--b\",\"--a\"]}", false, "  args: another order\n"},
        {"lists of other lengths", "{\"l\":[{\"p\":1}]}", "{\"l\":[{\"p\":1},{\"p\":2}]}", false,
         "  l: [{\"p\":1}] -> [{\"p\":1},{\"p\":2}]\n"},
        {"a secret", "{\"data\":{\"key\":\"old\"}}", "{\"data\":{\"key\":\"new\"}}", true, "  data.key: changed\n"},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_buf out = {0};
        fctl_changes(json_of(&a, cases[i].have), json_of(&a, cases[i].want), cases[i].hide, &out);
        CHECK_TEXT(cases[i].name, fed_buf_str(&out), cases[i].told);
        fed_buf_release(&out);
        fed_arena_release(&a);
    }
}

#define TEXT "\"data\":{\"ca.crt\":\"Y2E=\",\"tls.crt\":\"Yw==\",\"tls.key\":\"aw==\"}"

static void test_etcd(void **state)
{
    (void)state;
    static const char args[] = "[\"--store\",\"etcd:https://a:1,https://b:1\"]";
    static const struct {
        const char *name, *deployed, *secret;
        struct fctl_etcd flags;
        const char *servers; /* NULL: no etcd */
        size_t n_files;
        int64_t replicas;
    } cases[] = {
        {"as it was", args, "{" TEXT "}", {0}, "https://a:1,https://b:1", 3, 5},
        {"more replicas", args, "{" TEXT "}", {.replicas = 7}, "https://a:1,https://b:1", 3, 7},
        {"other servers", args, "{" TEXT "}", {.servers = "https://c:1"}, "https://c:1", 3, 5},
        {"without TLS now", args, "{" TEXT "}", {.servers = "http://c:1"}, "http://c:1", 0, 5},
        {"without files", args, NULL, {0}, "https://a:1,https://b:1", 0, 5},
        {"a file", "[\"--zone\",\"x.\"]", NULL, {0}, NULL, 0, 0},
        {"in memory", "[\"--store\",\"mem\"]", NULL, {0}, NULL, 0, 0},
    };
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_arena a = {0};
        struct fed_err err = {0};
        struct fctl_etcd e = cases[i].flags;
        struct fed_json *have = workload(&a, cases[i].deployed, NULL);
        fed_json_set(fed_json_find(have, "spec"), "replicas", fed_json_new_int(&a, 5));
        fctl_etcd_keep(&a, &e, have, cases[i].secret ? json_of(&a, cases[i].secret) : NULL);
        CHECK(cases[i].name, fctl_etcd_check(&a, &e, &err) == 0 && fctl_etcd_check_store(&e, have, &err) == 0);
        CHECK(cases[i].name, fctl_etcd_used(&e) == (cases[i].servers != NULL));
        if (cases[i].servers) {
            CHECK_TEXT(cases[i].name, fed_str(e.servers), cases[i].servers);
            CHECK(cases[i].name, e.files->n == cases[i].n_files && e.replicas == cases[i].replicas);
        }
        fed_arena_release(&a);
    }
    struct fctl_etcd e = {0};
    fctl_etcd_keep(NULL, &e, NULL, NULL);
    CHECK("nothing deployed", !fctl_etcd_used(&e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overrides), cmocka_unit_test(test_overrides_come_back),
                                       cmocka_unit_test(test_members), cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_etcd)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
