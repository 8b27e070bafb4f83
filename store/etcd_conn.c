/* SPDX-License-Identifier: Apache-2.0 */
/* The connection: endpoints in turn, requests with a time limit, signs of life. */
#include <stdlib.h>

#include "base/mem.h"
#include "net/tls.h"
#include "store/etcd_priv.h"

#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000
#define MAX_MESSAGE    (64u * 1024 * 1024)

/* --- configuration --- */

static int parse_one(struct etcd *e, struct fed_str text, struct fed_err *err)
{
    struct fed_str whole = text, port;
    struct etcd_endpoint *ep = &e->endpoints[e->n_endpoints];
    uint64_t n = 2379;
    bool tls = fed_str_starts(text, FED_STR("https://"));
    if (!tls && !fed_str_starts(text, FED_STR("http://")))
        return fed_err_set(err, FED_E_INVALID, "etcd endpoint \"%.*s\": neither http:// nor https://",
                           FED_STR_ARG(whole));
    text = fed_str_from(text, tls ? 8 : 7);
    if (fed_str_ends(text, FED_STR("/")))
        text.n--;
    bool v6 = text.n && text.p[0] == '[';
    ptrdiff_t end = v6 ? fed_str_chr(text, ']', 0) : fed_str_chr(text, ':', 0);
    struct fed_str host = end < 0 ? text : fed_str_head(text, (size_t)end);
    port = end < 0 ? (struct fed_str){0} : fed_str_from(text, (size_t)end + (v6 ? 1 : 0));
    if (v6)
        host = fed_str_from(host, 1);
    if (!host.n || host.n > 253 || (v6 && end < 0) ||
        (port.n && (port.p[0] != ':' || fed_str_u64(fed_str_from(port, 1), &n) || !n || n > 65535)))
        return fed_err_set(err, FED_E_INVALID, "etcd endpoint \"%.*s\": not http[s]://HOST:PORT", FED_STR_ARG(whole));
    *ep = (struct etcd_endpoint){fed_strdup_str(host), (uint16_t)n, tls};
    e->n_endpoints++;
    return 0;
}

int etcd_endpoints_parse(struct etcd *e, const char *text, struct fed_err *err)
{
    struct fed_str rest = fed_str(text), piece;
    while (fed_str_cut(&rest, ',', &piece)) {
        piece = fed_str_trim(piece);
        if (e->n_endpoints == ETCD_MAX_ENDPOINTS)
            return fed_err_set(err, FED_E_INVALID, "more than %d etcd endpoints", ETCD_MAX_ENDPOINTS);
        int code = parse_one(e, piece, err);
        if (code)
            return code;
    }
    return e->n_endpoints ? 0 : fed_err_set(err, FED_E_INVALID, "no etcd endpoint");
}

/* --- failures --- */

int etcd_away(struct etcd *e, struct fed_err *err)
{
    return fed_err_set(err, FED_E_UNAVAILABLE, "etcd is away: %s", e->why.text[0] ? e->why.text : "no connection yet");
}

static bool says(struct fed_str text, const char *what)
{
    return fed_str_find(text, fed_str(what), 0) >= 0;
}

static int code_of(int status, struct fed_str text, bool write, bool *again)
{
    *again = true;
    /* A member without leader refuses before it looks. A stream that we ended for that reason has the same words, and may
     * have been carried out. */
    if (status == FED_GRPC_REFUSED || (status == FED_GRPC_UNAVAILABLE && says(text, "etcdserver: no leader")))
        return FED_E_UNAVAILABLE;
    *again = false;
    switch (status) {
    case FED_GRPC_EXHAUSTED:
        return says(text, "database space exceeded") ? FED_E_FULL
               : says(text, "larger than max")       ? FED_E_TOO_LARGE
                                                     : FED_E_TOO_MANY;
    case FED_GRPC_INVALID:
        return says(text, "too large") ? FED_E_TOO_LARGE : FED_E_INTERNAL;
    case FED_GRPC_TOO_LARGE:
        return FED_E_LIMIT;
    case FED_GRPC_OUT_OF_RANGE:
        return FED_E_EXPIRED;
    case FED_GRPC_DENIED:
    case FED_GRPC_UNAUTHENTICATED:
        return FED_E_UNAVAILABLE;
    case FED_GRPC_BROKEN:
    case FED_GRPC_UNKNOWN:
    case FED_GRPC_CANCELED:
    case FED_GRPC_DEADLINE:
    case FED_GRPC_UNAVAILABLE: /* a leader that went, a time-out inside etcd: it may have been done */
        *again = !write;
        return write ? FED_E_TIMEOUT : FED_E_UNAVAILABLE;
    default:
        return FED_E_IO;
    }
}

int etcd_code(int status, struct fed_str text, bool write, bool *again, struct fed_err *err)
{
    bool ignored;
    int code = code_of(status, text, write, again ? again : &ignored);
    return fed_err_set(err, code, "etcd: %.*s", FED_STR_ARG(text));
}

void etcd_fail(struct etcd *e, const struct fed_err *err)
{
    if (e->failed)
        return;
    struct fed_err copy = *err;
    e->failed = true;
    etcd_disconnect(e);
    e->on_failed(e, &copy);
}

bool etcd_header_ok(struct etcd *e, const struct etcd_header *h, uint64_t at_least)
{
    struct fed_err err = {0};
    if (e->cluster && h->cluster != e->cluster)
        fed_err_set(&err, FED_E_CORRUPT, "another etcd cluster answers (%llx, before %llx)",
                    (unsigned long long)h->cluster, (unsigned long long)e->cluster);
    else if (h->revision < at_least)
        fed_err_set(&err, FED_E_CORRUPT, "etcd has gone back from revision %llu to %llu: start again to read its state",
                    (unsigned long long)at_least, (unsigned long long)h->revision);
    if (err.code) {
        etcd_fail(e, &err);
        return false;
    }
    e->cluster = h->cluster;
    return true;
}

/* --- what is told of the connection --- */

static void tell(struct etcd *e, bool up, const char *text)
{
    if (e->told && e->told_up == up)
        return;
    e->told = true;
    e->told_up = up;
    if (e->conf.on_state)
        e->conf.on_state(e->conf.ud, up, text);
}

/* --- requests --- */

static void request_end(struct etcd_request *rq, int status, struct fed_str body)
{
    fed_list_remove(&rq->link);
    rq->cb(rq->ud, status, body);
    fed_buf_release(&rq->answer);
    free(rq);
}

/* A connection that opens says little: the kernel of a frozen etcd takes it too. */
void etcd_answers(struct etcd *e)
{
    char text[300];
    if (e->told && e->told_up)
        return;
    snprintf(text, sizeof text, "%s:%u", e->endpoints[e->endpoint].host, e->endpoints[e->endpoint].port);
    tell(e, true, text);
}

static void on_message(void *ud, struct fed_str bytes)
{
    struct etcd_request *rq = ud;
    fed_buf_add(&rq->answer, bytes);
}

static void on_done(void *ud, int status, struct fed_str text)
{
    struct etcd_request *rq = ud;
    struct etcd *e = rq->e;
    rq->call = NULL;
    if (status == FED_GRPC_OK) {
        e->backoff_ms = 0;
        etcd_answers(e);
    }
    /* A member without a leader serves nobody: the next one may be on the right side. */
    bool leaderless = status == FED_GRPC_UNAVAILABLE && says(text, "no leader");
    struct fed_err why = {0};
    if (leaderless)
        fed_err_set(&why, FED_E_UNAVAILABLE, "%.*s", FED_STR_ARG(text));
    request_end(rq, status, status == FED_GRPC_OK ? fed_buf_str(&rq->answer) : text);
    if (leaderless)
        etcd_drop(e, &why);
}

void etcd_request(struct etcd *e, const char *path, struct fed_str message, etcd_answer_cb cb, void *ud)
{
    static const struct fed_grpc_handlers handlers = {on_message, on_done};
    FED_REQUIRE(e->up);
    struct etcd_request *rq = FED_NEW(struct etcd_request);
    rq->e = e;
    rq->cb = cb;
    rq->ud = ud;
    rq->deadline_ms = fed_mono_ms(e->env) + e->conf.request_timeout_ms;
    fed_list_push_back(&e->requests, &rq->link);
    rq->call = fed_grpc_channel_start(e->channel, path, message, true, e->conf.request_timeout_ms, &handlers, rq);
}

/* --- the connection --- */

static void reconnect_due(struct fed_timer *t)
{
    etcd_connect(fed_container_of(t, struct etcd, reconnect));
}

/* Ends the channel and what was on it. */
static void cut(struct etcd *e, struct fed_str text)
{
    struct fed_list gone;
    fed_list_init(&gone);
    while (!fed_list_empty(&e->requests)) {
        struct fed_list *first = e->requests.next;
        struct etcd_request *rq = FED_LIST_ENTRY(first, struct etcd_request, link);
        fed_list_remove(first);
        fed_list_push_back(&gone, first);
        /* Remember in the deadline whether etcd may have got it: the call goes with the channel. */
        rq->deadline_ms = rq->call && !fed_grpc_sent(rq->call);
        rq->call = NULL;
    }
    e->up = false;
    e->on_cut(e);
    fed_grpc_channel_free(e->channel);
    e->channel = NULL;
    while (!fed_list_empty(&gone)) {
        struct etcd_request *rq = FED_LIST_ENTRY(gone.next, struct etcd_request, link);
        request_end(rq, rq->deadline_ms ? FED_GRPC_REFUSED : FED_GRPC_BROKEN, text);
    }
}

void etcd_drop(struct etcd *e, const struct fed_err *why)
{
    if (!e->channel || e->failed)
        return;
    e->why = *why;
    e->endpoint = (e->endpoint + 1) % e->n_endpoints;
    cut(e, fed_str(e->why.text));
    if (e->closing || e->failed)
        return;
    tell(e, false, e->why.text);
    uint32_t ms = e->backoff_ms;
    /* The first try after a good connection comes at once; a whole round of endpoints without luck slows down. */
    if (e->endpoint == 0 || !ms)
        e->backoff_ms = ms ? FED_MIN(ms * 2, (uint32_t)BACKOFF_MAX_MS) : BACKOFF_MIN_MS;
    fed_timer_start(e->env, &e->reconnect, ms ? ms / 2 + fed_random_below(e->env, ms) : 1, reconnect_due);
}

void etcd_disconnect(struct etcd *e)
{
    fed_timer_stop(e->env, &e->reconnect);
    if (e->channel)
        cut(e, FED_STR("the store is closing"));
}

static void channel_up(void *ud)
{
    struct etcd *e = ud;
    e->up = true;
    e->on_up(e);
}

static void channel_down(void *ud, int code FED_UNUSED, const struct fed_err *err)
{
    etcd_drop(ud, err);
}

void etcd_connect(struct etcd *e)
{
    static const struct fed_http_header metadata[] = {
        {FED_STR_INIT("hasleader"), FED_STR_INIT("true")}, /* a member that loses its leader ends our calls */
    };
    const struct etcd_endpoint *ep = &e->endpoints[e->endpoint];
    if (e->channel || e->failed || e->closing)
        return;
    struct fed_grpc_channel_conf conf = {.host = ep->host,
                                         .port = ep->port,
                                         .tls = ep->tls ? e->tls : NULL,
                                         .connect_timeout_ms = e->conf.silence_ms,
                                         .metadata = metadata,
                                         .n_metadata = FED_ARRAY_LEN(metadata),
                                         .max_message = MAX_MESSAGE,
                                         .up = channel_up,
                                         .down = channel_down,
                                         .ud = e};
    e->channel = fed_grpc_channel_new(e->loop, &conf);
}

bool etcd_conn_tick(struct etcd *e, uint64_t now)
{
    struct fed_err why = {0};
    if (!e->up)
        return false;
    uint64_t heard = fed_grpc_channel_heard_ms(e->channel), asked = UINT64_MAX;
    if (e->asked_progress)
        asked = e->probe_ms;
    if (!fed_list_empty(&e->requests))
        asked = FED_MIN(asked, FED_LIST_ENTRY(e->requests.next, struct etcd_request, link)->deadline_ms -
                                   e->conf.request_timeout_ms);
    /* Silence counts from a question on, so that our own sleep is not taken for etcd's. */
    uint64_t since = FED_MAX(heard, asked), silent = asked < UINT64_MAX && now > since ? now - since : 0;
    if (silent >= e->conf.silence_ms) {
        const struct etcd_endpoint *ep = &e->endpoints[e->endpoint];
        fed_err_set(&why, FED_E_TIMEOUT, "%s:%u: no word for %llu ms", ep->host, ep->port, (unsigned long long)silent);
        etcd_drop(e, &why);
        return false;
    }
    while (e->up && !fed_list_empty(&e->requests)) {
        struct etcd_request *rq = FED_LIST_ENTRY(e->requests.next, struct etcd_request, link);
        if (now < rq->deadline_ms)
            break;
        fed_grpc_channel_cancel(e->channel, rq->call);
        request_end(rq, FED_GRPC_DEADLINE, FED_STR("no answer in time"));
    }
    return e->up && now >= heard + e->conf.silence_ms / 3;
}
