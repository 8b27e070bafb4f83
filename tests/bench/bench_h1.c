/* SPDX-License-Identifier: Apache-2.0 */
/* bench_h1: nanoseconds for parsing the heads that a browser and kubectl send, and an answer's. */
#include <stdio.h>
#include <time.h>

#include "http/h1.h"

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static const struct {
    const char *name, *text;
} heads[] = {
    {"request, 2 fields", "GET /status HTTP/1.1\r\nHost: api.example.com\r\nAccept: */*\r\n\r\n"},
    {"request, 5 fields",
     "GET /api/v1/namespaces/default/pods?limit=500 HTTP/1.1\r\nHost: 127.0.0.1:6443\r\nUser-Agent: kubectl/v1.33.0 "
     "(linux/amd64) kubernetes/60a317e\r\nAccept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json\r\n"
     "Authorization: Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQ6ZGVmYXVsdCJ9.c2ln\r\n"
     "Accept-Encoding: gzip\r\n\r\n"},
    {"request, 10 fields",
     "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) "
     "Gecko/20100101 Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
     "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
     "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n"
     "If-None-Match: \"abcdef\"\r\nCache-Control: max-age=0\r\n\r\n"},
    {"response, 5 fields",
     "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: echo\r\nContent-Type: text/plain\r\n"
     "Content-Length: 64\r\nX-Request-Id: 0123456789abcdef\r\n\r\n"},
};

int main(void)
{
    static struct fed_h1_head h;
    enum { N = 2000000 };
    for (size_t i = 0; i < FED_ARRAY_LEN(heads); i++) {
        struct fed_str text = fed_str(heads[i].text);
        bool response = heads[i].text[0] == 'H';
        size_t sum = 0;
        double t = seconds();
        for (int k = 0; k < N; k++) {
            fed_h1_init(&h);
            int rc = response ? fed_h1_parse_response(&h, text, FED_H1_GET) : fed_h1_parse_request(&h, text);
            FED_REQUIRE(rc == (int)text.n);
            sum += h.n_headers;
        }
        t = seconds() - t;
        printf("%-20s %4zu bytes %6.0f ns %5.2f GB/s (%zu)\n", heads[i].name, text.n, t / N * 1e9,
               (double)text.n * N / t / 1e9, sum);
    }
    return 0;
}
