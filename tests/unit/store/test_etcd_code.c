/* SPDX-License-Identifier: Apache-2.0 */
/* What an end of a call to etcd means for the write that it carried: done again only when etcd cannot have done it. */
#include "store/etcd_priv.h"

#include "tests/unit/unit.h"

static const struct {
    int status;
    const char *text;
    bool write;
    int code;
    bool again;
} cases[] = {
    {FED_GRPC_REFUSED, "", true, FED_E_UNAVAILABLE, true},
    {FED_GRPC_UNAVAILABLE, "etcdserver: no leader", true, FED_E_UNAVAILABLE, true},
    {FED_GRPC_UNAVAILABLE, "etcdserver: no leader", false, FED_E_UNAVAILABLE, true},
    /* The connection was given up because another call on it was told so; this one may have been carried out. */
    {FED_GRPC_BROKEN, "etcdserver: no leader", true, FED_E_TIMEOUT, false},
    {FED_GRPC_BROKEN, "etcdserver: no leader", false, FED_E_UNAVAILABLE, true},
    {FED_GRPC_BROKEN, "the connection was closed", true, FED_E_TIMEOUT, false},
    {FED_GRPC_UNAVAILABLE, "etcdserver: leader changed", true, FED_E_TIMEOUT, false},
    {FED_GRPC_UNAVAILABLE, "etcdserver: request timed out", true, FED_E_TIMEOUT, false},
    {FED_GRPC_UNKNOWN, "raft proposal dropped", true, FED_E_TIMEOUT, false},
    {FED_GRPC_DEADLINE, "context deadline exceeded", true, FED_E_TIMEOUT, false},
    {FED_GRPC_EXHAUSTED, "etcdserver: too many requests", true, FED_E_TOO_MANY, false},
    {FED_GRPC_EXHAUSTED, "etcdserver: mvcc: database space exceeded", true, FED_E_FULL, false},
    {FED_GRPC_INVALID, "etcdserver: request is too large", true, FED_E_TOO_LARGE, false},
    {FED_GRPC_UNAUTHENTICATED, "etcdserver: invalid auth token", true, FED_E_UNAVAILABLE, false},
};

static void ends_of_calls(void **state FED_UNUSED)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(cases); i++) {
        struct fed_err err = {0};
        bool again;
        int code = etcd_code(cases[i].status, fed_str(cases[i].text), cases[i].write, &again, &err);
        if (code != cases[i].code || again != cases[i].again)
            fail_msg("%d %s, %s: code %d, again %d", cases[i].status, cases[i].text, cases[i].write ? "write" : "read",
                     code, again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ends_of_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
