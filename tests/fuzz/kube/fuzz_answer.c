/* SPDX-License-Identifier: Apache-2.0 */
/* What a server may answer a client: a Status or any text, and lists, cut into objects. */
#include <stdint.h>

#include "kube/client.h"
#include "kube/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void item(void *ud, struct fed_kobj *obj)
{
    FED_REQUIRE(obj->json.n > 0);
    ++*(size_t *)ud;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fed_resource pods = {"", "v1", "pods", "Pod", true};
    static const int statuses[] = {200, 400, 404, 409, 410, 422, 429, 500, 504, 0, 999};
    struct fed_str text = {(const char *)data, size}, cont;
    struct fed_arena a = {0};
    struct fed_err err = {0};
    uint64_t rev;
    size_t n = 0;
    for (size_t i = 0; i < FED_ARRAY_LEN(statuses); i++)
        FED_REQUIRE(fed_status_read(statuses[i], text, &err) <= 0);
    if (fed_list_read(&a, &pods, text, item, &n, &rev, &cont, &err) != 0)
        FED_REQUIRE(err.code != 0);
    fed_arena_release(&a);
    return 0;
}
