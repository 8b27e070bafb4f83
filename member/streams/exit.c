/* SPDX-License-Identifier: Apache-2.0 */
#include "member/streams/streams.h"

static void failure_json(struct fed_buf *out, const char *failure)
{
    struct fed_buf text = {0};
    fed_buf_addf(&text, "error executing command in container: %s", failure);
    fed_buf_addz(out, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
    struct fed_buf whole = {0};
    fed_buf_addf(&whole, "Internal error occurred: %s", fed_buf_z(&text));
    fed_json_write_string(out, fed_buf_str(&whole));
    fed_buf_addz(out, ",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":");
    fed_json_write_string(out, fed_buf_str(&text));
    fed_buf_addz(out, "}]},\"code\":500}");
    fed_buf_release(&whole);
    fed_buf_release(&text);
}

void mbr_exit_write(struct fed_buf *out, bool with_json, int code, const char *failure)
{
    if (!with_json && failure)
        fed_buf_addf(out, "error executing command in container: %s", failure);
    else if (!with_json && code)
        fed_buf_addf(out, "command terminated with non-zero exit code: exit status %d", code);
    else if (with_json && failure)
        failure_json(out, failure);
    else if (with_json && code)
        fed_buf_addf(out,
                     "{\"metadata\":{},\"status\":\"Failure\","
                     "\"message\":\"command terminated with non-zero exit code: exit status %d\","
                     "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":["
                     "{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
                     code, code);
    else if (with_json)
        fed_buf_addz(out, "{\"metadata\":{},\"status\":\"Success\"}");
}

bool mbr_size_parse(struct fed_str text, unsigned short *columns, unsigned short *rows)
{
    struct fed_arena a = {0};
    struct fed_json *o = NULL;
    bool ok = fed_json_parse(&a, fed_str_trim(text), NULL, &o, NULL) == 0;
    int64_t w = ok ? fed_json_int(fed_json_find(o, "Width"), -1) : -1;
    int64_t h = ok ? fed_json_int(fed_json_find(o, "Height"), -1) : -1;
    fed_arena_release(&a);
    if (w < 0 || w > UINT16_MAX || h < 0 || h > UINT16_MAX)
        return false;
    *columns = (unsigned short)w;
    *rows = (unsigned short)h;
    return true;
}
