/* SPDX-License-Identifier: Apache-2.0 */
#include "net/grpc_channel.h"

#include <stdlib.h>

#include "base/mem.h"
#include "net/resolve.h"

#define BACKLOG_MAX (1024u * 1024)
#define PIECE       (256u * 1024)

struct fed_grpc_channel {
    struct fed_loop *loop;
    struct fed_env *env;
    struct fed_grpc_channel_conf conf;
    char *host;
    struct fed_tls *tls;
    struct fed_resolve *resolve;
    struct fed_addr addrs[FED_RESOLVE_MAX];
    size_t n_addrs, next_addr;
    struct fed_stream *stream;
    struct fed_grpc *grpc;
    struct fed_task flush;
    uint64_t heard_ms;
    bool up, freed, down_told;
    unsigned depth; /* handlers on the stack */
};

static void try_next(struct fed_grpc_channel *ch);

/* Memory goes when the stream has said its last word and nothing of ours is on the stack. */
static void reap(struct fed_grpc_channel *ch)
{
    if (!ch->freed || ch->depth || ch->stream)
        return;
    fed_task_cancel(&ch->flush);
    fed_grpc_free(ch->grpc);
    fed_tls_unref(ch->tls);
    free(ch->host);
    free(ch);
}

static void tell_down(struct fed_grpc_channel *ch, int code, const struct fed_err *err)
{
    ch->up = false;
    if (ch->freed || ch->down_told)
        return;
    ch->down_told = true;
    ch->depth++;
    ch->conf.down(ch->conf.ud, code, err);
    ch->depth--;
}

static void flush(struct fed_grpc_channel *ch)
{
    if (!ch->stream || !ch->grpc || ch->freed)
        return;
    size_t backlog = fed_stream_backlog(ch->stream);
    while (backlog < BACKLOG_MAX && fed_grpc_wants_send(ch->grpc)) {
        struct fed_buf out = {0};
        if (fed_grpc_send(ch->grpc, &out, PIECE)) {
            fed_buf_release(&out);
            fed_stream_close(ch->stream);
            return;
        }
        if (!out.n) /* the peer's windows are closed */
            break;
        struct fed_blob *blob = fed_blob_new_take(&out);
        backlog = fed_stream_write_blob(ch->stream, blob);
        fed_blob_unref(blob);
    }
    if (fed_grpc_done(ch->grpc))
        fed_stream_close(ch->stream);
}

static void flush_task(struct fed_task *t)
{
    flush(fed_container_of(t, struct fed_grpc_channel, flush));
}

static void flush_soon(struct fed_grpc_channel *ch)
{
    fed_task_post(ch->env, &ch->flush, flush_task);
}

static void on_open(void *ud, struct fed_stream *s)
{
    struct fed_grpc_channel *ch = ud;
    char authority[300];
    if (ch->freed)
        return;
    if (ch->tls && !fed_str_is(fed_stream_alpn(s), "h2")) {
        fed_stream_close(s);
        return;
    }
    bool v6 = strchr(ch->host, ':') != NULL;
    snprintf(authority, sizeof authority, v6 ? "[%s]:%u" : "%s:%u", ch->host, ch->conf.port);
    struct fed_grpc_conf conf = {.authority = authority,
                                 .tls = ch->tls != NULL,
                                 .metadata = ch->conf.metadata,
                                 .n_metadata = ch->conf.n_metadata,
                                 .max_message = ch->conf.max_message};
    ch->grpc = fed_grpc_new(&conf);
    ch->up = true;
    ch->heard_ms = fed_mono_ms(ch->env);
    flush_soon(ch);
    ch->depth++;
    ch->conf.up(ch->conf.ud);
    ch->depth--;
}

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct fed_grpc_channel *ch = ud;
    if (ch->freed || !ch->grpc)
        return;
    ch->heard_ms = fed_mono_ms(ch->env);
    ch->depth++;
    int rc = fed_grpc_recv(ch->grpc, bytes);
    ch->depth--;
    if (ch->freed)
        return; /* the stream is closing: reap follows its end */
    flush(ch);
    if (rc)
        fed_stream_close(s);
}

static void on_drained(void *ud, struct fed_stream *s FED_UNUSED)
{
    flush(ud);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct fed_grpc_channel *ch = ud;
    struct fed_err why = {0};
    ch->stream = NULL;
    if (!ch->freed && !ch->grpc && code && ch->next_addr < ch->n_addrs) {
        try_next(ch);
        return;
    }
    if (code)
        fed_err_set(&why, code, "%s:%u: %s", ch->host, ch->conf.port, err ? err->text : fed_code_text(code));
    else
        fed_err_set(&why, FED_E_END, "%s:%u: %s", ch->host, ch->conf.port,
                    ch->grpc ? "the connection was closed" : "the server does not speak HTTP/2");
    tell_down(ch, why.code, &why);
    reap(ch);
}

static const struct fed_stream_handlers stream_handlers = {
    .open = on_open, .data = on_data, .drained = on_drained, .end = on_end};

static void try_next(struct fed_grpc_channel *ch)
{
    struct fed_stream_conf conf = {.handlers = &stream_handlers,
                                   .ud = ch,
                                   .tls = ch->tls,
                                   .server_name = ch->host,
                                   .connect_timeout_ms = ch->conf.connect_timeout_ms};
    ch->stream = fed_stream_connect(ch->loop, &ch->addrs[ch->next_addr++], &conf);
}

static void resolved(void *ud, int code, const struct fed_addr *addrs, size_t n, const struct fed_err *err)
{
    struct fed_grpc_channel *ch = ud;
    ch->resolve = NULL;
    if (code) {
        tell_down(ch, code, err);
        reap(ch);
        return;
    }
    memcpy(ch->addrs, addrs, n * sizeof *addrs);
    ch->n_addrs = n;
    try_next(ch);
}

struct fed_grpc_channel *fed_grpc_channel_new(struct fed_loop *loop, const struct fed_grpc_channel_conf *conf)
{
    struct fed_grpc_channel *ch = FED_NEW(struct fed_grpc_channel);
    ch->loop = loop;
    ch->env = fed_loop_env(loop);
    ch->conf = *conf;
    ch->host = fed_strdup(conf->host);
    ch->tls = conf->tls ? fed_tls_ref(conf->tls) : NULL;
    if (fed_addr_parse(fed_str(ch->host), conf->port, &ch->addrs[0]) == 0) {
        ch->n_addrs = 1;
        try_next(ch);
    } else {
        ch->resolve = fed_resolve_start(loop, ch->host, conf->port, resolved, ch);
    }
    return ch;
}

void fed_grpc_channel_free(struct fed_grpc_channel *ch)
{
    if (!ch)
        return;
    ch->freed = true;
    ch->up = false;
    if (ch->grpc)
        fed_grpc_mute(ch->grpc);
    fed_resolve_cancel(ch->resolve);
    ch->resolve = NULL;
    if (ch->stream)
        fed_stream_close(ch->stream);
    reap(ch);
}

struct fed_grpc_call *fed_grpc_channel_start(struct fed_grpc_channel *ch, const char *path, struct fed_str message,
                                             bool last, uint32_t timeout_ms, const struct fed_grpc_handlers *h,
                                             void *ud)
{
    FED_REQUIRE(ch->up);
    struct fed_grpc_call *call = fed_grpc_start(ch->grpc, path, message, last, timeout_ms, h, ud);
    flush_soon(ch);
    return call;
}

void fed_grpc_channel_write(struct fed_grpc_channel *ch, struct fed_grpc_call *call, struct fed_str message)
{
    fed_grpc_write(call, message);
    flush_soon(ch);
}

void fed_grpc_channel_cancel(struct fed_grpc_channel *ch, struct fed_grpc_call *call)
{
    fed_grpc_cancel(call);
    flush_soon(ch);
}

uint64_t fed_grpc_channel_heard_ms(const struct fed_grpc_channel *ch)
{
    return ch->heard_ms;
}
