/* SPDX-License-Identifier: Apache-2.0 */
/* client_h1.c: HTTP/1.x connections of clients: requests one after the other, pipelined ones wait.
 *
 * Input walks: head -> body -> (answer ends) -> next head. What has not been consumed is kept in `in`; reading stops
 * while a request runs and more than GLB_AHEAD bytes wait, or while the backend does not take the body.
 */
#include "base/mem.h"
#include "globallb/io/worker_priv.h"

#define MAX_IN    (FED_H1_MAX_HEAD + 128 * 1024)
#define LINGER_MS 2000

struct glb_client {
    struct fed_list link;
    struct glb_worker *w;
    struct fed_stream *s;
    struct glb_exchange x;
    struct fed_h1_head *head; /* while a head is incomplete */
    struct fed_buf in;
    struct fed_h1_body body;
    struct fed_timer timer;
    uint64_t due_ms, timer_ms; /* the timer is lazy: see arm */
    uint64_t body_n;
    bool tls, active, keep_alive, close_sent, busy, lingering, dead, eof;
    bool stopped, behind; /* reading is off: by the exchange; because enough waits */
    bool chunked_out;     /* we frame the answer ourselves */
    uint8_t minor;
    char ip[48];
};

static const struct glb_client_ops ops;
static void run(struct glb_client *c);

/* ---- time ---- */

static void on_timer(struct fed_timer *t);

static void arm(struct glb_client *c, uint32_t ms) /* 0: no deadline */
{
    uint64_t now = fed_mono_ms(c->w->env);
    c->due_ms = ms ? now + ms : UINT64_MAX;
    if (!ms || (fed_timer_active(&c->timer) && c->timer_ms <= c->due_ms))
        return;
    c->timer_ms = c->due_ms;
    fed_timer_start(c->w->env, &c->timer, ms, on_timer);
}

static void kill_client(struct glb_client *c)
{
    if (c->dead)
        return;
    c->dead = true;
    glb_x_abandon(&c->x);
    c->active = false;
    fed_stream_close(c->s);
}

static void linger(struct glb_client *c)
{
    /* Our end follows the answer; the client's last bytes are read away so that no reset overtakes the answer. */
    if (c->lingering || c->dead)
        return;
    c->lingering = true;
    fed_buf_release(&c->in);
    if (c->stopped || c->behind) {
        c->stopped = c->behind = false;
        fed_stream_pause(c->s, false);
    }
    fed_stream_shutdown(c->s);
    arm(c, LINGER_MS);
}

static void set_reading(struct glb_client *c, bool *flag, bool off)
{
    bool was = c->stopped || c->behind;
    *flag = off;
    if ((c->stopped || c->behind) != was && !c->dead)
        fed_stream_pause(c->s, !was);
}

/* ---- answers ---- */

static void simple_answer(struct glb_client *c, int status, const char *text, bool unprocessed)
{
    struct fed_buf *out = &c->w->out;
    fed_buf_reset(out);
    fed_h1_put_status_line(out, status);
    fed_h1_put_header(out, FED_STR("Content-Type"), FED_STR("text/plain; charset=utf-8"));
    fed_h1_put_header_u64(out, FED_STR("Content-Length"), strlen(text));
    if (status == 503)
        fed_h1_put_header(out, FED_STR("Retry-After"), FED_STR("1"));
    if (unprocessed)
        fed_h1_put_header(out, FED_STR(GLB_UNPROCESSED), FED_STR("1"));
    if (!c->keep_alive)
        fed_h1_put_header(out, FED_STR("Connection"), FED_STR("close"));
    else if (c->minor == 0)
        fed_h1_put_header(out, FED_STR("Connection"), FED_STR("keep-alive"));
    fed_h1_put_end(out);
    if (c->x.method != FED_H1_HEAD)
        fed_buf_addz(out, text);
    fed_stream_write(c->s, fed_buf_str(out));
}

/* What cannot be read as a request is answered and the connection ends. */
static void refuse(struct glb_client *c, int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = {{408, "the request did not arrive in time\n"},
                 {413, "the request's body is too large\n"},
                 {414, "the request's target is too long\n"},
                 {431, "the request's head is too large\n"},
                 {501, "not supported\n"},
                 {505, "HTTP/1.0 and 1.1 are spoken here\n"}};
    const char *text = "malformed request\n";
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++)
        if (texts[i].status == status)
            text = texts[i].text;
    if (c->active)
        glb_x_abandon(&c->x);
    c->active = false;
    c->keep_alive = false;
    c->x.method = FED_H1_OTHER;
    glb_count_answer(c->w, FED_MAX_CLUSTERS, status);
    simple_answer(c, status, text, false);
    linger(c);
}

static bool on_head(struct glb_exchange *x, const struct fed_h1_head *h, enum fed_h1_framing framing)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    struct fed_buf *out = &c->w->out;
    bool dechunk = framing == FED_H1_BODY_CHUNKED && c->minor == 0;
    if (framing == FED_H1_BODY_CLOSE || dechunk || !x->body_done || c->w->draining || c->eof)
        c->keep_alive = false;
    struct glb_to to = {.close = !c->keep_alive, .keep_alive_10 = c->minor == 0 && c->keep_alive};
    fed_buf_reset(out);
    glb_rewrite_response(out, h, dechunk ? FED_H1_BODY_CLOSE : framing, &to);
    fed_stream_write(c->s, fed_buf_str(out));
    return !dechunk;
}

static size_t on_data_out(struct glb_exchange *x, struct fed_str bytes)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    return fed_stream_write(c->s, bytes);
}

/* The exchange is over: go on with the next request, unless the input loop does so anyway. */
static void next(struct glb_client *c)
{
    c->active = false;
    if (c->stopped)
        set_reading(c, &c->stopped, false);
    if (!c->keep_alive || c->w->draining || (c->eof && c->in.n == 0)) {
        linger(c);
        return;
    }
    arm(c, c->w->shared->limits.idle_ms);
    if (!c->busy && c->in.n > 0)
        run(c);
    if (!c->busy && !c->dead && c->behind && c->in.n <= GLB_AHEAD)
        set_reading(c, &c->behind, false);
}

static void on_end_out(struct glb_exchange *x, bool complete)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    if (!complete) {
        /* What was sent is not the whole answer: only a broken connection says so. */
        kill_client(c);
        return;
    }
    if (x->code == 101) {
        linger(c);
        return;
    }
    next(c);
}

static void on_fail(struct glb_exchange *x, int status, const char *text)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    if (!x->body_done || c->w->draining)
        c->keep_alive = false;
    simple_answer(c, status, text, status == 503 && x->hop_in && x->tries.n == 0);
    next(c);
}

static void on_resume(struct glb_exchange *x, bool on)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    set_reading(c, &c->stopped, !on);
}

static void on_go_ahead(struct glb_exchange *x)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    fed_stream_write(c->s, FED_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void on_tunnel(struct glb_exchange *x, const struct fed_h1_head *h)
{
    struct glb_client *c = fed_container_of(x, struct glb_client, x);
    struct glb_to to = {.upgrade = true};
    fed_buf_reset(&c->w->out);
    glb_rewrite_response(&c->w->out, h, FED_H1_BODY_NONE, &to);
    fed_stream_write(c->s, fed_buf_str(&c->w->out));
    arm(c, 0);
    if (c->in.n > 0 && !c->busy)
        run(c);
}

static const struct glb_client_ops ops = {.head = on_head,
                                          .data = on_data_out,
                                          .end = on_end_out,
                                          .fail = on_fail,
                                          .resume = on_resume,
                                          .go_ahead = on_go_ahead,
                                          .tunnel = on_tunnel};

/* ---- requests ---- */

static bool is_health(const struct fed_h1_head *h)
{
    return h->path.n == sizeof("/hansa/healthz") - 1 && memcmp(h->path.p, "/hansa/healthz", h->path.n) == 0;
}

static void begin(struct glb_client *c, const struct fed_h1_head *h)
{
    c->active = true;
    c->minor = (uint8_t)h->minor;
    c->keep_alive = h->keep_alive;
    c->body_n = 0;
    fed_h1_body_init(&c->body, h->framing, h->content_length);
    arm(c, h->framing == FED_H1_BODY_NONE ? 0 : c->w->shared->limits.stall_ms);
    struct glb_x_client who = {fed_str(c->ip), fed_stream_peer(c->s), c->tls, false};
    glb_x_begin(&c->x, h, &who);
}

static void answer_health(struct glb_client *c, const struct fed_h1_head *h)
{
    c->minor = (uint8_t)h->minor;
    c->keep_alive = h->keep_alive && h->framing == FED_H1_BODY_NONE && !c->w->draining;
    c->x.method = h->method_id;
    simple_answer(c, 200, "ok\n", false);
    if (!c->keep_alive)
        linger(c);
    else
        arm(c, c->w->shared->limits.idle_ms);
}

/* Reads one head off *in. False: more bytes are needed, or the connection ends. */
static bool read_head(struct glb_client *c, struct fed_str *in)
{
    if (in->n == 0)
        return false;
    bool kept = c->head != NULL;
    struct fed_h1_head *h = kept ? c->head : glb_take_head(c->w);
    int n = fed_h1_parse_request(h, *in);
    if (n == 0) {
        if (!kept)
            arm(c, c->w->shared->limits.head_ms);
        c->head = h;
        return false;
    }
    int status = n < 0 ? h->status : 0;
    uint64_t max = c->w->shared->limits.max_body;
    if (n > 0 && h->method_id == FED_H1_CONNECT)
        status = 501;
    if (n > 0 && max && h->framing == FED_H1_BODY_LENGTH && h->content_length > max)
        status = 413;
    c->head = NULL;
    if (status == 0 && is_health(h))
        answer_health(c, h);
    else if (status == 0)
        begin(c, h);
    glb_give_head(c->w, h);
    if (status) {
        refuse(c, status);
        return false;
    }
    *in = fed_str_from(*in, (size_t)n);
    return true;
}

/* Feeds the body. False: more is needed or it is broken. */
static bool read_body(struct glb_client *c, struct fed_str *in)
{
    struct fed_str all = *in, data;
    uint64_t max = c->w->shared->limits.max_body;
    int rc;
    while ((rc = fed_h1_body_next(&c->body, in, &data)) == FED_H1_DATA)
        c->body_n += data.n;
    if (rc < 0 || (max && c->body_n > max)) {
        refuse(c, rc < 0 ? 400 : 413);
        return false;
    }
    struct fed_str used = fed_str_head(all, all.n - in->n);
    if (rc == FED_H1_END) {
        arm(c, 0);
        glb_x_body_end(&c->x);
    } else if (used.n) {
        arm(c, c->w->shared->limits.stall_ms);
    }
    if (used.n)
        glb_x_body(&c->x, used);
    return rc == FED_H1_END;
}

static void tunnel_in(struct glb_client *c, struct fed_str *in)
{
    struct glb_conn *up = glb_x_winner(&c->x);
    if (up && in->n) {
        glb_conn_body(up, *in);
        if (fed_stream_backlog(up->s) > GLB_BACKLOG) {
            c->x.client_paused = true;
            set_reading(c, &c->stopped, true);
        }
    }
    *in = fed_str_from(*in, in->n);
}

static void process(struct glb_client *c, struct fed_str *in)
{
    while (!c->lingering && !c->dead) {
        if (!c->active) {
            if (!read_head(c, in))
                break;
            continue;
        }
        if (c->x.state == GLB_X_TUNNEL) {
            tunnel_in(c, in);
            break;
        }
        if (c->x.body_done || !read_body(c, in) || c->active)
            break;
    }
}

static void keep_rest(struct glb_client *c, struct fed_str rest, bool buffered)
{
    if (buffered)
        fed_buf_consume(&c->in, c->in.n - rest.n);
    else
        fed_buf_add(&c->in, rest);
    if (fed_buf_status(&c->in) != 0) {
        kill_client(c);
        return;
    }
    bool behind = c->active && c->in.n > GLB_AHEAD;
    if (behind != c->behind)
        set_reading(c, &c->behind, behind);
    if (c->in.n == 0 && c->in.cap > 4096)
        fed_buf_release(&c->in), fed_buf_init(&c->in, MAX_IN);
}

static void work(struct glb_client *c, struct fed_str in, bool buffered)
{
    c->busy = true;
    process(c, &in);
    c->busy = false;
    if (c->lingering || c->dead)
        fed_buf_release(&c->in);
    else if (in.n > 0 || buffered)
        keep_rest(c, in, buffered);
}

static void run(struct glb_client *c)
{
    work(c, fed_buf_str(&c->in), true);
}

/* ---- stream handlers ---- */

static void on_data(void *ud, struct fed_stream *s, struct fed_str bytes)
{
    struct glb_client *c = ud;
    (void)s;
    if (c->lingering || c->dead)
        return;
    bool buffered = c->in.n > 0;
    if (buffered) {
        fed_buf_add(&c->in, bytes);
        if (fed_buf_status(&c->in) != 0) {
            kill_client(c);
            return;
        }
        bytes = fed_buf_str(&c->in);
    }
    work(c, bytes, buffered);
}

static void on_eof(void *ud, struct fed_stream *s)
{
    struct glb_client *c = ud;
    c->eof = true;
    if (c->active && c->x.state == GLB_X_TUNNEL) {
        if (glb_x_winner(&c->x))
            fed_stream_shutdown(glb_x_winner(&c->x)->s);
        return;
    }
    /* A client that shuts its side down after a whole request still wants the answer. */
    if (c->lingering || (c->active && !c->x.body_done))
        kill_client(c);
    else if (!c->active)
        linger(c);
    (void)s;
}

static void on_drained(void *ud, struct fed_stream *s)
{
    struct glb_client *c = ud;
    (void)s;
    if (c->active)
        glb_x_drained(&c->x);
}

static void on_end(void *ud, int code, const struct fed_err *err)
{
    struct glb_client *c = ud;
    (void)code, (void)err;
    c->dead = true;
    glb_x_release(&c->x);
    fed_timer_stop(c->w->env, &c->timer);
    if (c->head)
        glb_give_head(c->w, c->head);
    fed_buf_release(&c->in);
    fed_list_remove(&c->link);
    glb_shift(&c->w->count->clients, -1);
    free(c);
}

static const struct fed_stream_handlers handlers = {
    .data = on_data, .eof = on_eof, .drained = on_drained, .end = on_end};

static void on_timer(struct fed_timer *t)
{
    struct glb_client *c = fed_container_of(t, struct glb_client, timer);
    uint64_t now = fed_mono_ms(c->w->env);
    if (c->dead || c->due_ms == UINT64_MAX)
        return;
    if (now < c->due_ms) {
        c->timer_ms = c->due_ms;
        fed_timer_start(c->w->env, &c->timer, c->due_ms - now, on_timer);
        return;
    }
    if (c->active && !c->x.body_done && !c->stopped && c->x.state == GLB_X_TRYING)
        refuse(c, 408);
    else if (c->head && !c->lingering)
        refuse(c, 408);
    else if (c->active && c->stopped)
        arm(c, c->w->shared->limits.stall_ms); /* the backend is slow, not the client */
    else
        kill_client(c);
}

void glb_client_accept(struct glb_worker *w, struct fed_stream *s, bool tls)
{
    struct glb_client *c = FED_NEW(struct glb_client);
    c->w = w;
    c->s = s;
    c->tls = tls;
    fed_addr_format_ip(fed_stream_peer(s), c->ip);
    fed_buf_init(&c->in, MAX_IN);
    glb_x_init(&c->x, w, &ops);
    fed_list_push_back(&w->clients, &c->link);
    glb_bump(&w->count->clients_total);
    glb_shift(&w->count->clients, 1);
    fed_stream_set_handlers(s, &handlers, c);
    arm(c, w->shared->limits.head_ms);
}

void glb_clients_drain(struct glb_worker *w, bool now)
{
    FED_LIST_EACH_SAFE(it, &w->clients) {
        struct glb_client *c = FED_LIST_ENTRY(it, struct glb_client, link);
        if (now)
            kill_client(c);
        else if (!c->active && !c->lingering)
            linger(c);
    }
}
