/* SPDX-License-Identifier: Apache-2.0 */
#include "member/network/backends.h"

#include "base/map.h"
#include "base/mem.h"

static bool usable(const struct fed_json *endpoint, bool terminating)
{
    const struct fed_json *c = fed_json_find(endpoint, "conditions");
    bool ready = fed_json_bool(fed_json_find(c, "ready"), true);
    if (!terminating)
        return ready;
    return !ready && fed_json_bool(fed_json_find(c, "serving"), false) &&
           fed_json_bool(fed_json_find(c, "terminating"), false);
}

static bool has(const struct mbr_backends *b, size_t n, const struct fed_addr *addr)
{
    for (size_t i = 0; i < n; i++)
        if (fed_addr_equal(&b->v[i], addr))
            return true;
    return false;
}

/* A slice does not repeat itself, but another may have the same address. */
static void add(struct mbr_backends *b, const struct fed_json *slice, uint16_t port, bool terminating)
{
    size_t before = b->n;
    FED_JSON_EACH(e, fed_json_find(slice, "endpoints")) {
        struct fed_addr addr;
        if (!usable(e, terminating) ||
            fed_addr_parse(fed_json_str(fed_json_item(fed_json_find(e, "addresses"), 0)), port, &addr) < 0 ||
            has(b, before, &addr))
            continue;
        if (b->n == b->cap)
            b->v = fed_realloc(b->v, (b->cap = b->cap ? b->cap * 2 : 4) * sizeof(*b->v));
        b->v[b->n++] = addr;
    }
}

void mbr_backends_read(struct mbr_backends *b, const struct fed_json *slices, const char *port, bool udp)
{
    b->n = 0;
    for (int terminating = 0; terminating < 2 && !b->n; terminating++)
        FED_JSON_EACH(slice, slices)
            FED_JSON_EACH(p, fed_json_find(slice, "ports")) {
                int64_t number = fed_json_int(fed_json_find(p, "port"), 0);
                if (fed_str_is(fed_json_find_text(p, "name"), port) && number > 0 && number <= UINT16_MAX &&
                    fed_str_is(fed_json_find_text(p, "protocol"), "UDP") == udp)
                    add(b, slice, (uint16_t)number, terminating);
            }
    b->turn = b->n ? b->turn % b->n : 0;
}

void mbr_backends_release(struct mbr_backends *b)
{
    free(b->v);
    *b = (struct mbr_backends){0};
}

/* Each pair of client and backend has a number, the highest wins: who goes or comes moves only its own clients. */
static size_t favourite(const struct mbr_backends *b, const struct fed_addr *client)
{
    char ip[48], text[128];
    uint64_t best = 0;
    size_t at = 0;
    fed_addr_format_ip(client, ip);
    for (size_t i = 0; i < b->n; i++) {
        char to[64];
        uint64_t h;
        fed_addr_format(&b->v[i], to);
        snprintf(text, sizeof(text), "%s>%s", ip, to);
        h = fed_map_hash(fed_str(text));
        if (h > best) {
            best = h;
            at = i;
        }
    }
    return at;
}

size_t mbr_backends_pick(struct mbr_backends *b, const struct fed_addr *client, struct fed_addr *out, size_t max)
{
    size_t n = FED_MIN(b->n, max), first = client ? favourite(b, client) : b->turn;
    for (size_t i = 0; i < n; i++)
        out[i] = b->v[(first + i) % b->n];
    if (n && !client)
        b->turn = (b->turn + 1) % b->n;
    return n;
}
