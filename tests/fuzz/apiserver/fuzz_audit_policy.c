/* SPDX-License-Identifier: Apache-2.0 */
/* An audit policy is read or refused with words; one that was read judges every request. */
#include <stdint.h>

#include "apiserver/audit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_audit_policy *p = NULL;
    struct fed_err err = {0};
    int rc = fed_audit_policy_parse(fed_str_n((const char *)data, size), &p, &err);
    FED_REQUIRE((rc == 0) == (p != NULL));
    FED_REQUIRE(rc == 0 || err.text[0]);
    static const struct fed_str group = FED_STR_INIT("dev");
    struct fed_api_request q = {.verb = "get",
                                .resource = FED_STR("pods"),
                                .subresource = FED_STR("log"),
                                .ns = FED_STR("default"),
                                .name = FED_STR("a"),
                                .who = {.user = FED_STR("ann"), .groups = &group, .n_groups = 1}};
    if (p)
        FED_REQUIRE(fed_audit_judge(p, &q).level <= FED_AUDIT_RESPONSE);
    q.resource = q.subresource = (struct fed_str){NULL, 0};
    q.path = FED_STR("/metrics");
    if (p)
        FED_REQUIRE(fed_audit_judge(p, &q).level <= FED_AUDIT_RESPONSE);
    fed_audit_policy_free(p);
    return 0;
}
