/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"

#include <netdb.h>
#include <stdlib.h>

#include "base/mem.h"

struct fed_resolve {
    char *host;
    uint16_t port;
    struct fed_addr addrs[FED_RESOLVE_MAX];
    size_t n;
    int rc;
    bool canceled;
    fed_resolve_cb cb;
    void *ud;
};

static void work(void *ud)
{
    struct fed_resolve *r = ud;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    if (fed_addr_parse(fed_str(r->host), r->port, &r->addrs[0]) == 0) {
        r->n = 1;
        return;
    }
    r->rc = getaddrinfo(r->host, NULL, &hints, &list);
    for (struct addrinfo *a = r->rc ? NULL : list; a && r->n < FED_RESOLVE_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(struct fed_addr))
            continue;
        memcpy(&r->addrs[r->n], a->ai_addr, a->ai_addrlen);
        fed_addr_set_port(&r->addrs[r->n++], r->port);
    }
    if (!r->rc)
        freeaddrinfo(list);
}

static void done(void *ud)
{
    struct fed_resolve *r = ud;
    struct fed_err err = {0};
    int code = 0;
    if (!r->n)
        code = fed_err_set(&err, FED_E_RESOLVE, "%s: %s", r->host, r->rc ? gai_strerror(r->rc) : "no address");
    if (!r->canceled)
        r->cb(r->ud, code, r->addrs, r->n, code ? &err : NULL);
    free(r->host);
    free(r);
}

struct fed_resolve *fed_resolve_start(struct fed_loop *loop, const char *host, uint16_t port, fed_resolve_cb cb,
                                      void *ud)
{
    struct fed_resolve *r = FED_NEW(struct fed_resolve);
    r->host = fed_strdup(host);
    r->port = port;
    r->cb = cb;
    r->ud = ud;
    fed_loop_work(loop, work, done, r);
    return r;
}

void fed_resolve_cancel(struct fed_resolve *r)
{
    if (r)
        r->canceled = true;
}
