/* SPDX-License-Identifier: Apache-2.0 */
/* Backends of a Service's port out of its slices, and whose turn it is. */
#include "unit/unit.h"

#include "member/network/backends.h"

#define SLICE(port, endpoints)                                                                                         \
    "{\"ports\":[{\"name\":\"" port "\",\"port\":80,\"protocol\":\"TCP\"}],\"endpoints\":[" endpoints "]}"
#define READY(ip)   "{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":true}}"
#define UNKNOWN(ip) "{\"addresses\":[\"" ip "\"]}"
#define UNREADY(ip) "{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":false,\"serving\":false}}"
#define LEAVING(ip)                                                                                                    \
    "{\"addresses\":[\"" ip "\"],\"conditions\":{\"ready\":false,\"serving\":true,\"terminating\":true}}"

static void reads(void **state)
{
    static const struct {
        const char *slices, *port, *want;
        bool udp;
    } rows[] = {
        {"[]", "", "", false},
        {"[" SLICE("", READY("10.0.0.1") "," UNKNOWN("10.0.0.2")) "]", "", "10.0.0.1:80 10.0.0.2:80 ", false},
        {"[" SLICE("", READY("10.0.0.1")) "]", "", "", true},
        {"[" SLICE("web", READY("10.0.0.1")) "," SLICE("", READY("10.0.0.2")) "]", "web", "10.0.0.1:80 ", false},
        {"[" SLICE("", READY("10.0.0.1")) "," SLICE("", READY("10.0.0.1") "," READY("10.0.0.2")) "]", "",
         "10.0.0.1:80 10.0.0.2:80 ", false},
        {"[" SLICE("", UNREADY("10.0.0.1") "," LEAVING("10.0.0.2")) "]", "", "10.0.0.2:80 ", false},
        {"[" SLICE("", READY("10.0.0.1") "," LEAVING("10.0.0.2")) "]", "", "10.0.0.1:80 ", false},
        {"[" SLICE("", READY("::1") "," READY("no address")) "]", "", "[::1]:80 ", false},
        {"[{\"ports\":[{\"name\":\"\",\"port\":70000}],\"endpoints\":[" READY("10.0.0.1") "]},{\"endpoints\":7}]", "",
         "", false},
    };
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(rows); i++) {
        struct fed_arena a = {0};
        struct mbr_backends b = {0};
        struct fed_json *slices = NULL;
        struct fed_buf got = {0};
        assert_int_equal(fed_json_parse(&a, fed_str(rows[i].slices), NULL, &slices, NULL), 0);
        mbr_backends_read(&b, slices, rows[i].port, rows[i].udp);
        for (size_t k = 0; k < b.n; k++) {
            char text[64];
            fed_addr_format(&b.v[k], text);
            fed_buf_addf(&got, "%s ", text);
        }
        CHECK_TEXT(rows[i].slices, fed_buf_str(&got), rows[i].want);
        fed_buf_release(&got);
        mbr_backends_release(&b);
        fed_arena_release(&a);
    }
}

static struct mbr_backends eight(struct fed_arena *a, const char *last)
{
    struct mbr_backends b = {0};
    struct fed_json *slices = NULL;
    struct fed_buf text = {0};
    fed_buf_addf(&text, "[{\"ports\":[{\"name\":\"\",\"port\":80}],\"endpoints\":[");
    for (int i = 1; i < 8; i++)
        fed_buf_addf(&text, READY("10.0.0.%d") ",", i);
    fed_buf_addf(&text, "{\"addresses\":[\"%s\"]}]}]", last);
    assert_int_equal(fed_json_parse(a, fed_buf_str(&text), NULL, &slices, NULL), 0);
    mbr_backends_read(&b, slices, "", false);
    fed_buf_release(&text);
    return b;
}

static void takes_turns(void **state)
{
    struct fed_arena a = {0};
    struct mbr_backends b = eight(&a, "10.0.0.8"), none = {0};
    struct fed_addr out[3], before;
    (void)state;
    assert_int_equal(mbr_backends_pick(&none, NULL, out, 3), 0);
    assert_int_equal(mbr_backends_pick(&b, NULL, out, 3), 3);
    before = out[1];
    assert_int_equal(mbr_backends_pick(&b, NULL, out, 1), 1);
    assert_true(fed_addr_equal(&out[0], &before));
    mbr_backends_release(&b);
    fed_arena_release(&a);
}

/* A client stays where it is while that is there, whoever else comes and goes; clients are spread. */
static void sticks(void **state)
{
    struct fed_arena a = {0};
    struct mbr_backends b = eight(&a, "10.0.0.8"), other = eight(&a, "10.0.0.9");
    struct fed_addr gone, came;
    unsigned used = 0;
    (void)state;
    assert_int_equal(fed_addr_parse(FED_STR("10.0.0.8"), 80, &gone), 0);
    assert_int_equal(fed_addr_parse(FED_STR("10.0.0.9"), 80, &came), 0);
    for (int i = 0; i < 200; i++) {
        struct fed_addr client, first[2], again[2], then[1];
        char ip[16];
        snprintf(ip, sizeof(ip), "192.0.2.%d", i);
        assert_int_equal(fed_addr_parse(fed_str(ip), (uint16_t)(1000 + i), &client), 0);
        assert_int_equal(mbr_backends_pick(&b, &client, first, 2), 2);
        fed_addr_set_port(&client, 9);
        assert_int_equal(mbr_backends_pick(&b, &client, again, 2), 2);
        assert_true(fed_addr_equal(&first[0], &again[0]) && !fed_addr_equal(&first[0], &first[1]));
        assert_int_equal(mbr_backends_pick(&other, &client, then, 1), 1);
        assert_true(fed_addr_equal(&first[0], &then[0]) || fed_addr_equal(&first[0], &gone) ||
                    fed_addr_equal(&then[0], &came));
        used |= 1u << (first[0].in.sin_addr.s_addr >> 24);
    }
    assert_int_equal(used, 0x1fe);
    mbr_backends_release(&b);
    mbr_backends_release(&other);
    fed_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(takes_turns),
                                       cmocka_unit_test(sticks)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
