/* SPDX-License-Identifier: Apache-2.0 */
/* How much one client, and all together, may take: connections, and bodies of those who have not said who they are. */
#include "net/httpd_priv.h"

#include <sys/resource.h>

#include "base/mem.h"

enum { BODY_FREE = 64 * 1024 }; /* of a body, read before may_send is asked */

/* ---- connections ---- */

/* One client: an IPv4 address, or the /64 of an IPv6 address, which is what one site gets. Several sockets of a Unix
 * listener are one client. */
static struct fed_str peer_key(const struct fed_addr *peer, char room[16])
{
    struct fed_addr a = *peer;
    fed_addr_unmap(&a);
    size_t n = 0;
    if (a.sa.sa_family == AF_INET) {
        n = sizeof(a.in.sin_addr);
        memcpy(room, &a.in.sin_addr, n);
    } else if (a.sa.sa_family == AF_INET6) {
        n = 8;
        memcpy(room, &a.in6.sin6_addr, n);
    }
    return fed_str_n(room, n);
}

static uintptr_t peer_add(struct fed_httpd *h, const struct fed_addr *peer, bool more)
{
    char room[16];
    struct fed_str key = peer_key(peer, room);
    uintptr_t n = (uintptr_t)fed_map_find(&h->peers, key);
    n = more ? n + 1 : n - 1;
    if (n)
        fed_map_set(&h->peers, key, (void *)n);
    else
        fed_map_remove(&h->peers, key);
    return n;
}

static void count_refusal(struct fed_httpd *h, const char *limit)
{
    struct fed_str label = fed_str(limit);
    if (h->m_refused)
        fed_metric_add(fed_metric_get(h->m_refused, &label, 1), 1);
}

void httpd_limits_open(struct fed_httpd *h)
{
    if (h->conf.max_connections == 0)
        h->conf.max_connections = 16384;
    /* Descriptors are left for the store, and to say no with. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        h->conf.max_connections =
            (uint32_t)FED_MIN((rlim_t)h->conf.max_connections, files.rlim_cur - files.rlim_cur / 8);
    if (h->conf.max_peer_connections == 0)
        h->conf.max_peer_connections = 4096;
    if (!h->conf.metrics)
        return;
    h->m_conns = fed_metrics_gauge(h->conf.metrics, "hansa_http_connections", "Connections of clients now.");
    h->m_refused = fed_metrics_family(h->conf.metrics, FED_METRIC_COUNTER, "hansa_http_connections_refused_total",
                                      "Connections answered with 429 because a limit was reached.", "limit", NULL, 0);
    static const struct fed_str limits[] = {FED_STR_INIT("total"), FED_STR_INIT("client")};
    for (size_t i = 0; i < FED_ARRAY_LEN(limits); i++) /* shown from the start */
        (void)fed_metric_get(h->m_refused, &limits[i], 1);
}

void httpd_limits_enter(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    uintptr_t of_peer = peer_add(h, fed_stream_peer(c->stream), true);
    bool total = h->n_conns > h->conf.max_connections;
    c->refused = total || of_peer > h->conf.max_peer_connections;
    if (c->refused)
        count_refusal(h, total ? "total" : "client");
    if (h->m_conns)
        fed_metric_set(h->m_conns, (int64_t)h->n_conns);
}

void httpd_limits_leave(struct httpd_conn *c)
{
    struct fed_httpd *h = c->server;
    (void)peer_add(h, fed_stream_peer(c->stream), false);
    if (h->m_conns)
        fed_metric_set(h->m_conns, (int64_t)h->n_conns);
}

/* ---- bodies ---- */

int httpd_limits_body(struct fed_http_exchange *x, uint64_t length)
{
    struct fed_httpd *h = x->server;
    if (length <= BODY_FREE || x->may_send || !h->conf.may_send)
        return 0;
    x->may_send = true;
    return h->conf.may_send(h->conf.ud, &x->req);
}
