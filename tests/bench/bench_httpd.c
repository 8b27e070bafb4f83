/* SPDX-License-Identifier: Apache-2.0 */
/* bench_httpd [PORT [CERT KEY]]: the HTTP server on 127.0.0.1 with small answers, for wrk and h2load.
 * /  64 bytes;  /blob  100 kB by reference;  /stream  100 chunks. Runs until SIGINT. See docs/internals/http.md. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/httpd.h"

struct bench {
    struct fed_loop *loop;
    struct fed_blob *blob;
};

static void handle(void *ud, struct fed_http_exchange *x)
{
    struct bench *b = ud;
    const struct fed_http_request *r = fed_http_request(x);
    if (fed_str_is(r->path, "/blob")) {
        fed_http_respond_blob(x, 200, "application/octet-stream", b->blob);
    } else if (fed_str_is(r->path, "/stream")) {
        fed_http_stream_begin(x, 200, "text/plain", NULL, NULL);
        for (int i = 0; i < 100; i++)
            fed_http_stream_write(x, FED_STR("a chunk of a stream that is a watch event in earnest\n"));
        fed_http_stream_end(x);
    } else {
        fed_http_respond(x, 200, "text/plain",
                         FED_STR("sixty-four bytes, as an answer that says that all is well here.\n"));
    }
}

static void on_int(void *ud, int signo)
{
    (void)signo;
    fed_loop_stop(((struct bench *)ud)->loop);
}

int main(int argc, char **argv)
{
    struct bench b = {.loop = fed_loop_new()};
    char *room;
    b.blob = fed_blob_new_room(100 * 1000, &room);
    memset(room, 'x', 100 * 1000);
    struct fed_err err = {.code = 0};
    struct fed_httpd_conf conf = {.handle = handle, .ud = &b};
    uint64_t port = 0;
    if ((argc > 1 && fed_str_u64(fed_str(argv[1]), &port) != 0) ||
        fed_addr_parse(FED_STR("127.0.0.1"), (uint16_t)port, &conf.listen.addr) != 0)
        return 2;
    if (argc > 3) {
        struct fed_tls_conf tls = {.server = true, .cert_file = argv[2], .key_file = argv[3], .alpn = "h2,http/1.1"};
        if (fed_tls_new(fed_loop_env(b.loop), &tls, &conf.listen.tls, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    struct fed_httpd *h;
    if (fed_httpd_open(b.loop, &conf, &h, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    char text[64];
    fed_addr_format(fed_httpd_addr(h), text);
    printf("%s\n", text);
    fflush(stdout);
    fed_loop_on_signal(b.loop, SIGINT, on_int, &b);
    fed_loop_on_signal(b.loop, SIGTERM, on_int, &b);
    fed_loop_run(b.loop);
    fed_blob_unref(b.blob);
    return 0;
}
