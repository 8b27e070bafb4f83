/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h: the DNS message format (RFC 1035 section 4): constants, a reading cursor and a writing one, both with a sticky
 * error, so that a caller checks once at its end. No allocation. Pure; any thread. */
#ifndef GDNS_WIRE_WIRE_H
#define GDNS_WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GDNS_HEADER     12
#define GDNS_NAME_MAX   255
#define GDNS_LABELS_MAX 127

enum gdns_type {
    GDNS_A = 1,
    GDNS_NS = 2,
    GDNS_CNAME = 5,
    GDNS_SOA = 6,
    GDNS_HINFO = 13,
    GDNS_TXT = 16,
    GDNS_AAAA = 28,
    GDNS_SRV = 33,
    GDNS_OPT = 41,
    GDNS_TSIG = 250,
    GDNS_IXFR = 251,
    GDNS_AXFR = 252,
    GDNS_ANY = 255
};
enum gdns_class { GDNS_IN = 1, GDNS_CH = 3 };
enum gdns_rcode {
    GDNS_NOERROR = 0,
    GDNS_FORMERR = 1,
    GDNS_SERVFAIL = 2,
    GDNS_NXDOMAIN = 3,
    GDNS_NOTIMP = 4,
    GDNS_REFUSED = 5,
    GDNS_NOTAUTH = 9,
    GDNS_BADVERS = 16
};
enum gdns_flag { GDNS_QR = 0x8000, GDNS_AA = 0x0400, GDNS_TC = 0x0200, GDNS_RD = 0x0100, GDNS_CD = 0x0010 };
enum gdns_option { GDNS_OPT_NSID = 3, GDNS_OPT_ECS = 8, GDNS_OPT_COOKIE = 10 };

struct gdns_reader {
    const uint8_t *p;
    size_t n, at;
    bool bad; /* read past the end, or a malformed name */
};
static inline uint8_t gdns_get8(struct gdns_reader *r)
{
    if (r->at >= r->n) {
        r->bad = true;
        return 0;
    }
    return r->p[r->at++];
}
static inline uint16_t gdns_get16(struct gdns_reader *r)
{
    uint16_t hi = gdns_get8(r);
    return (uint16_t)(hi << 8 | gdns_get8(r));
}
static inline uint32_t gdns_get32(struct gdns_reader *r)
{
    uint32_t hi = gdns_get16(r);
    return hi << 16 | gdns_get16(r);
}
/* n bytes borrowed, or NULL (and bad). */
static inline const uint8_t *gdns_get(struct gdns_reader *r, size_t n)
{
    if (r->bad || r->n - r->at < n) {
        r->bad = true;
        return NULL;
    }
    r->at += n;
    return r->p + r->at - n;
}

struct gdns_writer {
    uint8_t *p;
    size_t n, max;
    bool full; /* something did not fit: nothing after it was written */
};
static inline bool gdns_room(struct gdns_writer *w, size_t n)
{
    if (w->full || w->max - w->n < n) {
        w->full = true;
        return false;
    }
    return true;
}
static inline void gdns_put8(struct gdns_writer *w, uint8_t v)
{
    if (gdns_room(w, 1))
        w->p[w->n++] = v;
}
static inline void gdns_put16(struct gdns_writer *w, uint16_t v)
{
    if (gdns_room(w, 2)) {
        w->p[w->n++] = (uint8_t)(v >> 8);
        w->p[w->n++] = (uint8_t)v;
    }
}
static inline void gdns_put32(struct gdns_writer *w, uint32_t v)
{
    gdns_put16(w, (uint16_t)(v >> 16));
    gdns_put16(w, (uint16_t)v);
}
static inline void gdns_put(struct gdns_writer *w, const void *p, size_t n)
{
    if (n && gdns_room(w, n)) {
        memcpy(w->p + w->n, p, n);
        w->n += n;
    }
}
/* Overwrites 16 bits written before. */
static inline void gdns_patch16(struct gdns_writer *w, size_t at, uint16_t v)
{
    if (at + 2 <= w->n) {
        w->p[at] = (uint8_t)(v >> 8);
        w->p[at + 1] = (uint8_t)v;
    }
}

#endif
