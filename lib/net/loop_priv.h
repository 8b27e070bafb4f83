/* SPDX-License-Identifier: Apache-2.0 */
/* loop_priv.h: the inside of fed_loop, for lib/net only.
 *
 * Model:  every asynchronous object of the room (stream, listener, poll, udp, child) links itself into `objects`
 *         with the function that closes it, so that fed_loop_free can end what its owner left open.
 * Buffers: `input` receives from sockets and `plain` holds decrypted bytes; both are borrowed by one callback at a
 *         time, because a loop never re-enters itself. `gather` joins small pieces into one TLS record.
 */
#ifndef FED_NET_LOOP_PRIV_H
#define FED_NET_LOOP_PRIV_H

#include <uv.h>

#include "base/buf.h"
#include "net/loop.h"

enum { FED_LOOP_INPUT_SIZE = 65536, FED_LOOP_PLAIN_SIZE = 65536, FED_LOOP_RECORD_SIZE = 16384 };

struct fed_loop_object { /* embedded in the owner */
    struct fed_list link;
    void (*close)(struct fed_loop_object *object); /* begins the close; idempotent; may free the object at once */
};
struct fed_loop {
    struct fed_env env;
    uv_loop_t uv;
    uv_prepare_t prepare; /* runs due tasks and timers once a turn, before the poll */
    uv_timer_t timer;     /* only wakes the poll at the earliest deadline */
    struct fed_list objects;
    size_t n_work;       /* jobs on the thread pool */
    struct fed_buf wire; /* ciphertext on its way to a socket, lent to one stream at a time */
    char input[FED_LOOP_INPUT_SIZE];
    char plain[FED_LOOP_PLAIN_SIZE];
    char gather[FED_LOOP_RECORD_SIZE];
};

void fed_loop_adopt(struct fed_loop *loop, struct fed_loop_object *object,
                    void (*close)(struct fed_loop_object *object));
/* The code for a (negative) libuv status. */
int fed_uv_code(int status);

#endif
