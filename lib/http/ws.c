/* SPDX-License-Identifier: Apache-2.0 */
#include "http/ws.h"

enum { OP_CONTINUATION = 0, PROTOCOL_ERROR = 1002, NO_STATUS = 1005, BAD_DATA = 1007, TOO_BIG = 1009 };

static bool is_control(unsigned op)
{
    return op & 8;
}

void fed_ws_init(struct fed_ws *ws, bool from_client, size_t max_message)
{
    *ws = (struct fed_ws){.from_client = from_client};
    fed_buf_init(&ws->message, max_message);
}

void fed_ws_release(struct fed_ws *ws)
{
    fed_buf_release(&ws->message);
}

static int fail(struct fed_ws *ws, int code, uint16_t close_code)
{
    ws->close_code = close_code;
    return code;
}

/* RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. */
static bool valid_utf8(struct fed_str s)
{
    const uint8_t *p = (const uint8_t *)s.p, *end = p + s.n;
    while (p < end) {
        uint8_t c = *p++;
        if (c < 0x80)
            continue;
        int more = c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
        if (more == 0 || end - p < more)
            return false;
        if ((c == 0xe0 && p[0] < 0xa0) || (c == 0xed && p[0] > 0x9f) || (c == 0xf0 && p[0] < 0x90) ||
            (c == 0xf4 && p[0] > 0x8f))
            return false;
        for (; more; more--)
            if ((*p++ & 0xc0) != 0x80)
                return false;
    }
    return true;
}

/* XORs n bytes, beginning at byte `at` of the mask. */
static void apply_mask(char *p, size_t n, const uint8_t mask[4], unsigned at)
{
    uint8_t turned[8];
    uint64_t word, m;
    for (unsigned i = 0; i < 8; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&m, turned, 8);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= m;
        memcpy(p + i, &word, 8);
    }
    for (; i < n; i++)
        p[i] ^= (char)turned[i & 7];
}

/* How long the frame's head is, by what is known of it. */
static unsigned head_length(const struct fed_ws *ws)
{
    if (ws->n_head < 2)
        return 2;
    unsigned len = ws->head[1] & 0x7f;
    return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + (ws->head[1] & 0x80 ? 4 : 0);
}

static int check_head(struct fed_ws *ws)
{
    unsigned op = ws->head[0] & 15;
    bool known = op <= FED_WS_BINARY || (op >= FED_WS_CLOSE && op <= FED_WS_PONG);
    if ((ws->head[0] & 0x70) || !known || ((ws->head[1] & 0x80) != 0) != ws->from_client)
        return FED_E_SYNTAX;
    if (is_control(op))
        return (ws->head[0] & 0x80) && (ws->head[1] & 0x7f) <= 125 ? 0 : FED_E_SYNTAX;
    /* A continuation needs a message to continue, a new message none. */
    return (op == OP_CONTINUATION) == (ws->message_op != 0) ? 0 : FED_E_SYNTAX;
}

static int begin_payload(struct fed_ws *ws)
{
    unsigned len = ws->head[1] & 0x7f, n = 2;
    ws->left = len;
    if (len >= 126) {
        unsigned bytes = len == 126 ? 2 : 8;
        ws->left = 0;
        while (bytes--)
            ws->left = ws->left << 8 | ws->head[n++];
        if (ws->left < 126 || (len == 127 && (ws->left <= 0xffff || ws->left >> 63)))
            return fail(ws, FED_E_SYNTAX, PROTOCOL_ERROR); /* not the shortest form */
    }
    memset(ws->mask, 0, 4);
    if (ws->from_client)
        memcpy(ws->mask, ws->head + n, 4);
    ws->fin = ws->head[0] & 0x80;
    ws->op = ws->head[0] & 15;
    ws->mask_at = 0;
    ws->n_control = 0;
    ws->in_payload = true;
    if (!is_control(ws->op)) {
        if (ws->op != OP_CONTINUATION)
            ws->message_op = ws->op;
        if (ws->message.max && ws->left > ws->message.max - ws->message.n)
            return fail(ws, FED_E_LIMIT, TOO_BIG);
    }
    return 0;
}

static void take_payload(struct fed_ws *ws, struct fed_str *in)
{
    size_t n = ws->left < in->n ? (size_t)ws->left : in->n;
    char *to;
    if (is_control(ws->op)) {
        to = ws->control + ws->n_control;
        ws->n_control = (uint8_t)(ws->n_control + n);
    } else {
        to = fed_buf_reserve(&ws->message, n);
        if (!to)
            return; /* begin_payload has checked the sum */
        fed_buf_commit(&ws->message, n);
    }
    if (n)
        memcpy(to, in->p, n);
    apply_mask(to, n, ws->mask, ws->mask_at);
    ws->mask_at = (unsigned)((ws->mask_at + n) & 3);
    ws->left -= n;
    *in = fed_str_from(*in, n);
}

static int close_event(struct fed_ws *ws, struct fed_ws_event *ev)
{
    struct fed_str p = {ws->control, ws->n_control};
    ev->code = NO_STATUS;
    ev->payload = (struct fed_str){ws->control, 0};
    if (p.n == 0)
        return 1;
    if (p.n == 1)
        return fail(ws, FED_E_SYNTAX, PROTOCOL_ERROR);
    ev->code = (uint16_t)((uint8_t)p.p[0] << 8 | (uint8_t)p.p[1]);
    ev->payload = fed_str_from(p, 2);
    bool ok = (ev->code >= 1000 && ev->code <= 1014 && ev->code != 1004 && ev->code != 1005 && ev->code != 1006) ||
              (ev->code >= 3000 && ev->code <= 4999);
    if (!ok)
        return fail(ws, FED_E_SYNTAX, PROTOCOL_ERROR);
    return valid_utf8(ev->payload) ? 1 : fail(ws, FED_E_SYNTAX, BAD_DATA);
}

/* The frame is complete. 1: an event; 0: a fragment that waits for the rest. */
static int end_frame(struct fed_ws *ws, struct fed_ws_event *ev)
{
    ws->in_payload = false;
    ws->n_head = 0;
    if (is_control(ws->op)) {
        *ev = (struct fed_ws_event){.op = ws->op, .payload = {ws->control, ws->n_control}};
        return ws->op == FED_WS_CLOSE ? close_event(ws, ev) : 1;
    }
    if (!ws->fin)
        return 0;
    *ev = (struct fed_ws_event){.op = ws->message_op, .payload = fed_buf_str(&ws->message)};
    ws->message_op = 0;
    ws->delivered = true;
    return ev->op == FED_WS_TEXT && !valid_utf8(ev->payload) ? fail(ws, FED_E_SYNTAX, BAD_DATA) : 1;
}

int fed_ws_next(struct fed_ws *ws, struct fed_str *in, struct fed_ws_event *ev)
{
    if (ws->delivered) {
        fed_buf_reset(&ws->message);
        ws->delivered = false;
    }
    for (;;) {
        if (!ws->in_payload) {
            while (ws->n_head < head_length(ws) && in->n) {
                ws->head[ws->n_head++] = (uint8_t)in->p[0];
                *in = fed_str_from(*in, 1);
                if (ws->n_head == 2 && check_head(ws) != 0)
                    return fail(ws, FED_E_SYNTAX, PROTOCOL_ERROR);
            }
            if (ws->n_head < head_length(ws))
                return 0;
            int rc = begin_payload(ws);
            if (rc)
                return rc;
        }
        take_payload(ws, in);
        if (ws->left > 0)
            return 0;
        int rc = end_frame(ws, ev);
        if (rc)
            return rc;
    }
}

struct fed_str fed_ws_head(char to[FED_WS_HEAD_MAX], enum fed_ws_op op, uint64_t n)
{
    int bytes = n < 126 ? 0 : n <= 0xffff ? 2 : 8;
    unsigned used = 2;
    to[0] = (char)(0x80 | op);
    to[1] = (char)(bytes == 0 ? n : bytes == 2 ? 126 : 127);
    while (bytes--)
        to[used++] = (char)(n >> (8 * bytes));
    return fed_str_n(to, used);
}

void fed_ws_put(struct fed_buf *out, enum fed_ws_op op, struct fed_str payload, const uint8_t mask[4])
{
    if (is_control(op))
        payload = fed_str_head(payload, 125);
    char head[FED_WS_HEAD_MAX + 4];
    size_t n = fed_ws_head(head, op, payload.n).n;
    if (mask) {
        head[1] = (char)(head[1] | 0x80);
        memcpy(head + n, mask, 4);
        n += 4;
    }
    char *p = fed_buf_reserve(out, n + payload.n);
    if (!p)
        return;
    memcpy(p, head, n);
    if (payload.n)
        memcpy(p + n, payload.p, payload.n);
    if (mask)
        apply_mask(p + n, payload.n, mask, 0);
    fed_buf_commit(out, n + payload.n);
}

void fed_ws_put_close(struct fed_buf *out, uint16_t code, struct fed_str reason, const uint8_t mask[4])
{
    char p[125] = {(char)(code >> 8), (char)code};
    reason = fed_str_head(reason, sizeof(p) - 2);
    if (reason.n)
        memcpy(p + 2, reason.p, reason.n);
    fed_ws_put(out, FED_WS_CLOSE, fed_str_n(p, reason.n + 2), mask);
}
