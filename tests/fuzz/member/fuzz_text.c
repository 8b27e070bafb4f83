/* SPDX-License-Identifier: Apache-2.0 */
/* What a member reads from outside the API: the sizes of terminals (clients), completed indexes (statuses), /proc. */
#include <stdint.h>

#include "member/agent/usage.h"
#include "member/controllers/jobplan.h"
#include "member/range.h"
#include "member/streams/streams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fed_str text = {(const char *)data, size};
    bool flags[16] = {false};
    struct mbr_process p;
    uint32_t ip;
    unsigned short columns, rows;
    mbr_indexes_parse(text, flags, FED_ARRAY_LEN(flags));
    (void)mbr_process_parse(text, &p);
    (void)!mbr_ip_parse(text, &ip);
    (void)mbr_size_parse(text, &columns, &rows);
    return 0;
}
