/* SPDX-License-Identifier: Apache-2.0 */
/* spdy.h: the server's side of a SPDY/3.1 connection without input or output, as kubectl's exec and port-forward speak
 * it: streams opened by the client, none by us.
 *
 * Model:      bytes from the peer go in with fed_spdy_recv and come out as events on streams; actions append frames to
 *             the session's output, which the user sends and empties.
 *
 *                 opened -> data* -> eof -> gone          (we: write*, finish, or reset, at any time)
 *
 * Invariants: a stream is gone once both sides finished it, or either reset it. `gone` says so when the peer's doing
 *             ended it, or fed_spdy_free; never from inside another call of ours.
 * Windows:    what we receive is given back as soon as it was delivered (the user stops reading the connection when it
 *             cannot take more). We keep to the peer's windows from the first SETTINGS with an initial window or
 *             WINDOW_UPDATE on; before that they are counted, not kept: Kubernetes' clients never open theirs, and
 *             would wait forever for the 65,537th byte.
 * Bounds:     control frames 16 kB, a header block 64 kB and 64 fields, streams at once. Output that the peer does not
 *             take is the user's to watch: no reading while it is large.
 * Failure:    FED_E_SYNTAX, FED_E_LIMIT from recv: send the output (it holds a GOAWAY) and close.
 * Reentrancy: actions are allowed in every event; recv and free are not.
 * Threads:    one at a time.
 */
#ifndef FED_HTTP_SPDY_H
#define FED_HTTP_SPDY_H

#include "base/buf.h"
#include "http/header.h"

struct fed_spdy;

enum fed_spdy_status { /* of RST_STREAM */
                       FED_SPDY_PROTOCOL_ERROR = 1,
                       FED_SPDY_INVALID_STREAM = 2,
                       FED_SPDY_REFUSED_STREAM = 3,
                       FED_SPDY_CANCEL = 5,
                       FED_SPDY_INTERNAL_ERROR = 6,
                       FED_SPDY_FLOW_CONTROL_ERROR = 7,
                       FED_SPDY_STREAM_IN_USE = 8,
                       FED_SPDY_STREAM_ALREADY_CLOSED = 9,
};
struct fed_spdy_handlers {
    /* Names are lower case; borrowed for the call. False refuses the stream: no more events of it. */
    bool (*opened)(void *ud, uint32_t id, const struct fed_http_header *headers, size_t n);
    void (*data)(void *ud, uint32_t id, struct fed_str bytes);
    void (*eof)(void *ud, uint32_t id);
    void (*gone)(void *ud, uint32_t id, bool reset); /* reset: by the peer */
};
struct fed_spdy_conf {
    const struct fed_spdy_handlers *handlers;
    void *ud;
    uint32_t max_streams; /* 0: 256 */
};

/* What every header block is compressed with: a constant of the protocol. */
extern const char fed_spdy_dictionary[];
enum { FED_SPDY_DICTIONARY = 1423 };

struct fed_spdy *fed_spdy_new(const struct fed_spdy_conf *conf);
void fed_spdy_free(struct fed_spdy *s); /* calls gone for what is left; NULL ok */
FED_MUST_USE int fed_spdy_recv(struct fed_spdy *s, struct fed_str bytes);
struct fed_buf *fed_spdy_output(struct fed_spdy *s); /* the user consumes from it */

/* Of streams that are gone or finished by us already these do nothing. */
void fed_spdy_write(struct fed_spdy *s, uint32_t id, struct fed_str bytes);
/* True: the stream is gone with it, and no event will say so. */
bool fed_spdy_finish(struct fed_spdy *s, uint32_t id);
void fed_spdy_reset(struct fed_spdy *s, uint32_t id, enum fed_spdy_status status); /* the user forgets it: no event */
/* Bytes written that the peer's windows do not let go yet. */
size_t fed_spdy_backlog(const struct fed_spdy *s, uint32_t id);
size_t fed_spdy_streams(const struct fed_spdy *s);
void fed_spdy_goaway(struct fed_spdy *s);

#endif
