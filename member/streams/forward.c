/* SPDX-License-Identifier: Apache-2.0 */
/* port-forward: each connection of the client's is a pair of channels, data and error, and a TCP stream of ours to the
 * pod. Over SPDY a pair has a number (requestid); over WebSocket it is channels 2i and 2i+1 of the i-th ?ports=.
 *
 *      data channel ──> target (held while the target does not read)
 *      data channel <── target (held while the client does not read)
 *      error channel <── why the target could not be reached
 */
#include <stdlib.h>

#include "base/mem.h"
#include "member/streams/streams.h"

enum { BACKLOG_MAX = 256 * 1024, PAIRS_MAX = 256, WS_PORTS = 32, ID_MAX = 32 };

struct forward;
struct pair {
    struct fed_list link;
    struct forward *f;
    char id[ID_MAX];
    uint16_t port;
    struct fed_channel *data, *error;
    struct fed_stream *target;
    bool open, dialled;
};
struct forward {
    struct mbr_stream base;
    struct fed_channels *channels;
    struct fed_list pairs;
    size_t n_pairs;
    char *uid, *name;
    uint16_t ports[WS_PORTS];
    size_t n_ports;
};

static void pair_free(struct pair *p)
{
    static const struct fed_stream_handlers none = {0};
    if (p->target) {
        fed_stream_set_handlers(p->target, &none, NULL);
        fed_stream_close(p->target);
    }
    fed_list_remove(&p->link);
    p->f->n_pairs--;
    free(p);
}

static void maybe_free(struct pair *p)
{
    if (!p->data && !p->error && !p->target)
        pair_free(p);
}

static void forward_free(struct forward *f)
{
    while (!fed_list_empty(&f->pairs))
        pair_free(FED_LIST_ENTRY(f->pairs.next, struct pair, link));
    mbr_stream_remove(&f->base);
    free(f->uid);
    free(f->name);
    free(f);
}

static void stop(struct mbr_stream *base)
{
    struct forward *f = fed_container_of(base, struct forward, base);
    fed_channels_abort(f->channels);
    forward_free(f);
}

/* --- the pod's side --- */

static void target_open(void *ud, struct fed_stream *s)
{
    struct pair *p = ud;
    (void)s;
    p->open = true;
}

static void target_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct pair *p = ud;
    if (p->data && fed_channel_write(p->data, bytes) > BACKLOG_MAX)
        fed_stream_pause(s, true);
}

static void target_eof(void *ud, struct fed_stream *s)
{
    struct pair *p = ud;
    if (p->data)
        fed_channel_finish(p->data);
    if (!p->data || fed_channel_index(p->data) >= 0) /* the client cannot half-close: it has said all */
        fed_stream_shutdown(s);
}

static void target_drained(void *ud, struct fed_stream *s)
{
    struct pair *p = ud;
    (void)s;
    if (p->data)
        fed_channel_pause(p->data, false);
}

static void say(struct pair *p, const char *why)
{
    struct fed_buf b = {0};
    fed_buf_addf(&b, "error forwarding port %u to pod %s, uid %s: %s", p->port, p->f->name, p->f->uid, why);
    if (p->error)
        fed_channel_write(p->error, fed_buf_str(&b));
    fed_buf_release(&b);
}

/* Nothing more comes from the pod on this pair. */
static void end_channels(struct pair *p)
{
    if (p->data) {
        fed_channel_pause(p->data, false);
        fed_channel_finish(p->data);
    }
    if (p->error)
        fed_channel_finish(p->error);
}

/* Over WebSocket channels have no ends of their own: the last connection's is the session's. */
static bool finish_when_done(struct forward *f)
{
    FED_LIST_EACH(it, &f->pairs) {
        const struct pair *p = FED_LIST_ENTRY(it, struct pair, link);
        if (p->target || !p->data || fed_channel_index(p->data) < 0)
            return false;
    }
    fed_channels_finish(f->channels);
    forward_free(f);
    return true;
}

static void target_end(void *ud, int code, const struct fed_err *err)
{
    struct pair *p = ud;
    p->target = NULL;
    if (!p->open)
        say(p, err && err->text[0] ? err->text : fed_code_text(code));
    end_channels(p);
    if (!finish_when_done(p->f))
        maybe_free(p);
}

static void dial(struct pair *p)
{
    static const struct fed_stream_handlers handlers = {target_open, target_data, target_eof, target_drained,
                                                        target_end};
    struct mbr *m = p->f->base.m;
    const struct mbr_pod *pod = m->agents ? fed_map_find(&m->agents->pods, fed_str(p->f->uid)) : NULL;
    struct fed_addr addr;
    p->dialled = true;
    if (!pod || !pod->ip[0] || fed_addr_parse(fed_str(pod->ip), mbr_pod_real_port(pod, p->port), &addr) < 0) {
        say(p, "the pod is not running");
        return end_channels(p);
    }
    p->target = fed_stream_connect(m->loop, &addr, &(struct fed_stream_conf){.handlers = &handlers, .ud = p});
}

/* --- the client's side --- */

static struct pair *pair_get(struct forward *f, struct fed_str id, uint16_t port)
{
    FED_LIST_EACH(it, &f->pairs) {
        struct pair *p = FED_LIST_ENTRY(it, struct pair, link);
        if (fed_str_is(id, p->id) && !p->dialled)
            return p;
    }
    if (f->n_pairs == PAIRS_MAX || id.n >= ID_MAX)
        return NULL;
    struct pair *p = FED_NEW(struct pair);
    p->f = f;
    p->port = port;
    if (id.n)
        memcpy(p->id, id.p, id.n);
    fed_list_push_back(&f->pairs, &p->link);
    f->n_pairs++;
    return p;
}

/* Which pair, port and half a channel is. */
static bool place(struct forward *f, struct fed_channel *c, struct pair **pair, bool *is_error)
{
    char id[16];
    uint64_t port = 0;
    int index = fed_channel_index(c);
    struct fed_str type = fed_channel_field(c, "streamtype"), request = fed_channel_field(c, "requestid");
    if (index >= 0) {
        if ((size_t)index / 2 >= f->n_ports)
            return false;
        port = f->ports[index / 2];
        *is_error = index & 1;
        request = fed_str_n(id, (size_t)snprintf(id, sizeof(id), "%d", index / 2));
    } else {
        *is_error = fed_str_is(type, "error");
        if ((!*is_error && !fed_str_is(type, "data")) || fed_str_u64(fed_channel_field(c, "port"), &port) < 0 ||
            port == 0 || port > UINT16_MAX)
            return false;
        if (!request.n) /* the oldest clients: an error stream, then its data stream */
            request = fed_str_n(id, (size_t)snprintf(id, sizeof(id), "s%u", fed_channel_id(c) - (*is_error ? 0u : 2u)));
    }
    *pair = pair_get(f, request, (uint16_t)port);
    return *pair != NULL;
}

static bool on_opened(void *ud, struct fed_channel *c)
{
    struct forward *f = ud;
    struct pair *p = NULL;
    bool is_error = false;
    if (!place(f, c, &p, &is_error) || (is_error ? p->error : p->data))
        return false;
    *(is_error ? &p->error : &p->data) = c;
    fed_channel_set_ud(c, p);
    if (fed_channel_index(c) >= 0) { /* WebSocket: each channel begins with its port */
        const char port[2] = {(char)(p->port & 0xff), (char)(p->port >> 8)};
        fed_channel_write(c, fed_str_n(port, 2));
    }
    if (p->data && p->error)
        dial(p);
    return true;
}

static void on_data(void *ud, struct fed_channel *c, struct fed_str bytes)
{
    struct pair *p = fed_channel_ud(c);
    (void)ud;
    if (p && c == p->data && p->target && fed_stream_write(p->target, bytes) > BACKLOG_MAX)
        fed_channel_pause(c, true);
}

static void on_eof(void *ud, struct fed_channel *c)
{
    struct pair *p = fed_channel_ud(c);
    (void)ud;
    if (p && c == p->data && p->target)
        fed_stream_shutdown(p->target);
}

static void on_gone(void *ud, struct fed_channel *c)
{
    struct pair *p = fed_channel_ud(c);
    (void)ud;
    if (!p)
        return;
    if (c == p->error)
        p->error = NULL;
    if (c == p->data) {
        p->data = NULL;
        if (p->target)
            fed_stream_close(p->target);
    }
    maybe_free(p);
}

static void on_drained(void *ud)
{
    struct forward *f = ud;
    FED_LIST_EACH(it, &f->pairs) {
        struct pair *p = FED_LIST_ENTRY(it, struct pair, link);
        if (p->target)
            fed_stream_pause(p->target, false);
    }
}

static void on_left(void *ud)
{
    forward_free(ud);
}

static const struct fed_channels_protocol protocols[] = {
    {"SPDY/3.1+portforward.k8s.io", FED_CARRIER_WS_SPDY},
    {"portforward.k8s.io", FED_CARRIER_SPDY},
    {"v4.channel.k8s.io", FED_CARRIER_WS},
    {"v4.base64.channel.k8s.io", FED_CARRIER_WS_BASE64},
    {"", FED_CARRIER_SPDY},
};
static const struct fed_channels_handlers handlers = {on_opened, on_data, on_eof, on_gone, on_drained, on_left};

/* ?ports=8080&ports=9090 and ?ports=8080,9090 */
static bool read_ports(struct forward *f, const struct fed_query *q)
{
    for (size_t i = 0; i < q->n; i++) {
        struct fed_str rest = q->params[i].value, one;
        uint64_t port;
        if (!fed_str_is(q->params[i].name, "ports"))
            continue;
        while (fed_str_cut(&rest, ',', &one)) {
            if (fed_str_u64(fed_str_trim(one), &port) < 0 || !port || port > UINT16_MAX || f->n_ports == WS_PORTS)
                return false;
            f->ports[f->n_ports++] = (uint16_t)port;
        }
    }
    return true;
}

void mbr_serve_forward(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct mbr *m = ud;
    struct mbr_target t;
    struct fed_err err = {0};
    if (!mbr_target_find(m, req, reply, false, &t))
        return;
    if (!fed_api_reply_exchange(reply))
        return fed_api_reply_error(reply, FED_E_BAD_REQUEST, "Upgrade request required");
    struct forward *f = FED_NEW(struct forward);
    fed_list_init(&f->pairs);
    mbr_stream_add(m, &f->base, stop);
    f->uid = fed_strdup(t.pod->uid);
    f->name = fed_strdup_str(t.obj->name);
    int rc = 0;
    if (!read_ports(f, &t.query))
        rc = fed_err_set(&err, FED_E_BAD_REQUEST, "port is not a number from 1 to 65535, or there are more than %d",
                         WS_PORTS);
    const struct fed_channels_conf conf = {protocols, FED_ARRAY_LEN(protocols), (unsigned)f->n_ports * 2, &handlers, f};
    if (rc == 0)
        rc = fed_channels_accept(m->loop, fed_api_reply_exchange(reply), &conf, &f->channels, &err);
    if (rc < 0) {
        forward_free(f);
        return fed_api_reply_error(reply, err.code, "%s", err.text);
    }
    fed_api_reply_upgraded(reply);
}
