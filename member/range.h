/* SPDX-License-Identifier: Apache-2.0 */
/* range.h: the 127.X.0.0/16 of one included cluster, X in 64..254, and the parts it is cut into.
 *
 * Model:     a range is held by an abstract Unix socket "hansa/127.X" (and by each shim's "hansa/127.X/pod/UID"), so two
 *            processes that share loopback never hold the same, without root and without anything to clean up. The
 *            choice is kept in DIR/ports.json; USER_STATE/hansa/ranges/X links to DIR so that the ranges of stopped
 *            members of this user are left alone too.
 * Ownership: the struct is a value; `fd` holds the range until closed.
 */
#ifndef MEMBER_RANGE_H
#define MEMBER_RANGE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { MBR_RANGE_MIN = 64, MBR_RANGE_MAX = 254 };

struct mbr_range {
    int x;
    int fd;
    char api_ip[20];   /* 127.X.0.1 */
    uint16_t api_port; /* 0 until chosen */
};
/* Leases the range that dir/ports.json names, else a free one. state_home: the user's state folder or NULL.
 * FED_E_BUSY: the kept range is held by another process; FED_E_FULL: none is free. */
FED_MUST_USE int mbr_range_lease(struct mbr_range *r, const char *dir, const char *state_home, struct fed_err *err);
/* Writes dir/ports.json. */
FED_MUST_USE int mbr_range_save(const struct mbr_range *r, const char *dir, struct fed_err *err);
/* Only reads dir/ports.json. */
FED_MUST_USE int mbr_range_load(struct mbr_range *r, const char *dir, struct fed_err *err);
void mbr_range_release(struct mbr_range *r);

/* Parts of a range, as 32-bit numbers in host order. */
enum mbr_part { MBR_PART_NODES, MBR_PART_PODS, MBR_PART_SERVICES, MBR_PART_BALANCERS };
uint32_t mbr_part_first(int x, enum mbr_part part);
uint32_t mbr_part_count(enum mbr_part part);
void mbr_ip_format(uint32_t ip, char out[16]);
FED_MUST_USE int mbr_ip_parse(struct fed_str text, uint32_t *ip);

/* A set of numbers [0, count): addresses of a part, node ports. Next-fit, so that a freed one rests a while. */
struct mbr_pool {
    uint64_t *bits;
    uint32_t count, used, next;
};
void mbr_pool_init(struct mbr_pool *p, uint32_t count);
void mbr_pool_release(struct mbr_pool *p);
bool mbr_pool_take(struct mbr_pool *p, uint32_t i); /* false: taken or out of range */
int64_t mbr_pool_next(struct mbr_pool *p);          /* -1: full */
void mbr_pool_put(struct mbr_pool *p, uint32_t i);
bool mbr_pool_has(const struct mbr_pool *p, uint32_t i);

/* True when this process may bind `port` at `ip` (the port itself may be in use): tried once, with TCP. */
bool mbr_may_bind(const char *ip, uint16_t port);
/* Abstract socket addresses; returns the length for bind and connect. */
struct sockaddr_un;
unsigned mbr_socket_name(struct sockaddr_un *sa, int x, const char *pod_uid);

#endif
