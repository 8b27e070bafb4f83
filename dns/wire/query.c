/* SPDX-License-Identifier: Apache-2.0 */
#include "dns/wire/query.h"

#include <stddef.h>

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

int gdns_name_parse(struct fed_str text, struct gdns_name *out)
{
    struct fed_str label;
    size_t at = 0;
    out->n = 0;
    if (text.n && text.p[text.n - 1] == '.')
        text.n--;
    while (text.n && fed_str_cut(&text, '.', &label)) {
        if (!label.n || label.n > 63 || at + label.n + 2 > GDNS_NAME_MAX)
            return -1;
        out->off[out->n++] = (uint8_t)at;
        out->wire[at++] = (uint8_t)label.n;
        for (size_t i = 0; i < label.n; i++)
            out->wire[at++] = lower((uint8_t)label.p[i]);
        if (!text.p)
            break;
    }
    out->off[out->n] = (uint8_t)at;
    out->wire[at++] = 0;
    out->len = (uint8_t)at;
    return 0;
}

/* The question's name: no compression is possible there, and a pointer is an error. */
static void read_question_name(struct gdns_reader *r, struct gdns_query *q)
{
    struct gdns_name *name = &q->name;
    size_t at = 0;
    q->raw = r->p + r->at;
    name->n = 0;
    for (;;) {
        uint8_t len = gdns_get8(r);
        if (r->bad || len > 63 || at + len + 1 > GDNS_NAME_MAX) {
            r->bad = true;
            return;
        }
        name->off[name->n] = (uint8_t)at;
        name->wire[at++] = len;
        if (!len)
            break;
        const uint8_t *label = gdns_get(r, len);
        if (!label)
            return;
        for (unsigned i = 0; i < len; i++)
            name->wire[at++] = lower(label[i]);
        name->n++;
    }
    name->len = (uint8_t)at;
}

/* Owner names of records: skipped; a pointer ends them, and is not followed. Returns true for the root. */
static bool skip_name(struct gdns_reader *r)
{
    bool root = true;
    for (size_t total = 0; total <= GDNS_NAME_MAX;) {
        uint8_t len = gdns_get8(r);
        if (r->bad || !len)
            return root && !r->bad;
        root = false;
        if (len >= 0xc0) {
            gdns_get8(r);
            return false;
        }
        if (len > 63)
            break;
        gdns_get(r, len);
        total += len + 1u;
    }
    r->bad = true;
    return false;
}

static bool read_ecs(struct gdns_query *q, const uint8_t *p, size_t n)
{
    if (n < 4)
        return false;
    unsigned family = (unsigned)p[0] << 8 | p[1], bits = p[2], scope = p[3], bytes = (bits + 7) / 8;
    unsigned max = family == 1 ? 32 : family == 2 ? 128 : 0;
    if (family > 2 || scope != 0 || bits > max || n - 4 != bytes)
        return false;
    if (bits % 8 && (p[4 + bytes - 1] & (0xff >> (bits % 8))))
        return false;
    if (q->ecs) /* a second one does not count */
        return true;
    q->ecs = true;
    q->ecs_family = (uint16_t)family;
    q->ecs_bits = (uint8_t)bits;
    memset(q->ecs_addr, 0, sizeof(q->ecs_addr));
    memcpy(q->ecs_addr, p + 4, bytes);
    return true;
}

static bool read_options(struct gdns_query *q, const uint8_t *p, size_t n)
{
    struct gdns_reader r = {.p = p, .n = n};
    while (r.at < r.n) {
        uint16_t code = gdns_get16(&r), len = gdns_get16(&r);
        const uint8_t *data = gdns_get(&r, len);
        if (r.bad)
            return false;
        if (code == GDNS_OPT_ECS && !read_ecs(q, data, len))
            return false;
        if (code == GDNS_OPT_NSID)
            q->nsid = true;
        if (code == GDNS_OPT_COOKIE) {
            /* RFC 7873 section 5.2.2: 8 bytes, or 8 and a server part of 8 to 32. */
            if (len != 8 && (len < 16 || len > 40))
                return false;
            q->cookie = true;
            memcpy(q->cookie_client, data, 8);
        }
    }
    return true;
}

static bool read_opt(struct gdns_reader *r, struct gdns_query *q, bool root, bool *options_ok)
{
    uint16_t size = gdns_get16(r);
    gdns_get8(r); /* extended rcode */
    uint8_t version = gdns_get8(r);
    uint16_t flags = gdns_get16(r), len = gdns_get16(r);
    const uint8_t *data = gdns_get(r, len);
    if (r->bad || !root || q->edns)
        return false;
    q->edns = true;
    q->version = version;
    q->udp_size = size < 512 ? 512 : size;
    q->dnssec_ok = flags >> 15;
    /* Options of another version may have other forms. */
    *options_ok = version != 0 || read_options(q, data, len);
    return true;
}

static bool read_records(struct gdns_reader *r, struct gdns_query *q, unsigned skip, unsigned additional)
{
    bool options_ok = true;
    for (unsigned i = 0; i < skip + additional; i++) {
        bool root = skip_name(r);
        uint16_t type = gdns_get16(r);
        if (i >= skip && type == GDNS_OPT && !r->bad) {
            if (!read_opt(r, q, root, &options_ok))
                return false;
            continue;
        }
        gdns_get16(r);
        gdns_get32(r);
        gdns_get(r, gdns_get16(r));
        if (i >= skip && type == GDNS_TSIG)
            q->tsig = true;
        if (r->bad)
            return false;
    }
    return options_ok;
}

static enum gdns_parse answer_with(struct gdns_query *q, uint16_t rcode)
{
    q->rcode = rcode;
    return GDNS_PARSE_ANSWER;
}

enum gdns_parse gdns_query_parse(const uint8_t *msg, size_t n, struct gdns_query *q)
{
    struct gdns_reader r = {.p = msg, .n = n};
    /* Everything but the big name buffer, which is written before it is read. */
    memset(q, 0, offsetof(struct gdns_query, name));
    q->raw = NULL;
    memset(&q->raw, 0, sizeof(*q) - offsetof(struct gdns_query, raw));
    q->udp_size = 512;
    if (n < GDNS_HEADER)
        return GDNS_PARSE_DROP;
    q->id = gdns_get16(&r);
    q->flags = gdns_get16(&r);
    if (q->flags & GDNS_QR) /* an answer: answering it could loop for ever */
        return GDNS_PARSE_DROP;
    q->opcode = (q->flags >> 11) & 15;
    if (q->opcode != 0)
        return answer_with(q, GDNS_NOTIMP);
    uint16_t qd = gdns_get16(&r), an = gdns_get16(&r), ns = gdns_get16(&r), ar = gdns_get16(&r);
    if (qd != 1 || an != 0)
        return answer_with(q, GDNS_FORMERR);
    read_question_name(&r, q);
    q->type = gdns_get16(&r);
    q->class_ = gdns_get16(&r);
    if (r.bad)
        return answer_with(q, GDNS_FORMERR);
    q->has_question = true;
    if (!read_records(&r, q, ns, ar))
        return answer_with(q, GDNS_FORMERR);
    if (q->version != 0)
        return answer_with(q, GDNS_BADVERS);
    if (q->tsig) /* we hold no keys */
        return answer_with(q, GDNS_NOTAUTH);
    return GDNS_PARSE_OK;
}
