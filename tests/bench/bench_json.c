/* SPDX-License-Identifier: Apache-2.0 */
/* bench_json.c: MB/s of the JSON reader and writer on an API list of small objects, pretty and compact.
 * Usage: bench_json [FILE] (default: a generated list of pods). One line of JSON for each measurement. */
#include <stdio.h>
#include <time.h>

#include "codec/json.h"
#include "base/mem.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char pod[] =
    "{\"metadata\":{\"name\":\"web-%d\",\"namespace\":\"default\",\"uid\":\"0d7e8a90-5b1c-4c7e-8f2a-%012d\","
    "\"resourceVersion\":\"%d\",\"creationTimestamp\":\"2026-11-21T08:00:00Z\",\"labels\":{\"app\":\"web\","
    "\"pod-template-hash\":\"6d4cf56db6\"},\"annotations\":{\"example.com/note\":\"line one\\nline \\\"two\\\"\"}},"
    "\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"registry.example.com/team/web:1.27.3\",\"ports\":"
    "[{\"name\":\"http\",\"containerPort\":8080,\"protocol\":\"TCP\"}],\"resources\":{\"limits\":{\"cpu\":\"500m\","
    "\"memory\":\"128Mi\"},\"requests\":{\"cpu\":\"250m\",\"memory\":\"64Mi\"}},\"terminationMessagePath\":"
    "\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}],\"restartPolicy\":\"Always\","
    "\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"nodeName\":\"node-%d\"},\"status\":{"
    "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastProbeTime\":null,"
    "\"lastTransitionTime\":\"2026-11-21T08:00:05Z\"},{\"type\":\"Initialized\",\"status\":\"True\","
    "\"lastProbeTime\":null,\"lastTransitionTime\":\"2026-11-21T08:00:01Z\"}],\"hostIP\":\"10.0.0.%d\","
    "\"podIP\":\"10.244.1.%d\",\"qosClass\":\"Burstable\"}}";

static void generate(struct fed_buf *out)
{
    fed_buf_addz(out,
                 "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[");
    for (int i = 0; i < 2000; i++) {
        if (i)
            fed_buf_addc(out, ',');
        fed_buf_addf(out, pod, i, i, i * 7, i % 50, i % 250, i % 250);
    }
    fed_buf_addz(out, "]}");
}

static void load(struct fed_buf *out, const char *path)
{
    FILE *f = fopen(path, "rb");
    FED_REQUIRE(f);
    size_t n;
    char *room;
    while ((room = fed_buf_reserve(out, 65536)) && (n = fread(room, 1, 65536, f)) > 0)
        fed_buf_commit(out, n);
    fclose(f);
}

static void report(const char *what, size_t bytes, int rounds, double seconds)
{
    printf("{\"bench\":\"%s\",\"bytes\":%zu,\"MB_per_s\":%.0f}\n", what, bytes, (double)bytes * rounds / seconds / 1e6);
}

static void measure_parse(const char *what, struct fed_str text)
{
    static const struct fed_json_limits limits = {.max_bytes = (size_t)1 << 30, .max_nodes = 100000000};
    struct fed_arena a = {0};
    struct fed_json *v;
    int rounds = 0;
    double begin = now(), spent;
    do {
        FED_REQUIRE(fed_json_parse(&a, text, &limits, &v, NULL) == 0);
        fed_arena_reset(&a);
        rounds++;
    } while ((spent = now() - begin) < 1.0);
    report(what, text.n, rounds, spent);
    fed_arena_release(&a);
}

/* One object at a time in a fresh arena: what a request costs. */
static void measure_objects(const struct fed_json *items, struct fed_str text)
{
    size_t bytes = 0;
    double begin = now(), spent;
    do {
        FED_JSON_EACH(it, items) {
            struct fed_arena a = {0};
            struct fed_json *v;
            struct fed_str one = fed_str_n(text.p + it->off, it->end - it->off);
            FED_REQUIRE(fed_json_parse(&a, one, NULL, &v, NULL) == 0);
            fed_arena_release(&a);
            bytes += one.n;
        }
    } while ((spent = now() - begin) < 1.0);
    report("parse_single_objects", bytes, 1, spent);
}

static void measure_write(const char *what, const struct fed_json *v, int indent, struct fed_buf *out)
{
    int rounds = 0;
    double begin = now(), spent;
    do {
        fed_buf_reset(out);
        fed_json_write_indent(out, v, indent);
        rounds++;
    } while ((spent = now() - begin) < 1.0);
    report(what, out->n, rounds, spent);
}

int main(int argc, char **argv)
{
    static const struct fed_json_limits limits = {.max_bytes = (size_t)1 << 30, .max_nodes = 100000000};
    struct fed_buf text = {0}, compact = {0}, pretty = {0};
    struct fed_arena a = {0};
    struct fed_json *v;
    if (argc > 1)
        load(&text, argv[1]);
    else
        generate(&text);
    FED_REQUIRE(fed_json_parse(&a, fed_buf_str(&text), &limits, &v, NULL) == 0);
    measure_write("write_compact", v, -1, &compact);
    measure_write("write_pretty", v, 2, &pretty);
    measure_parse("parse_compact", fed_buf_str(&compact));
    measure_parse("parse_pretty", fed_buf_str(&pretty));
    const struct fed_json *items = fed_json_find(v, "items");
    if (items)
        measure_objects(items, fed_buf_str(&text));
    fed_arena_release(&a);
    fed_buf_release(&text);
    fed_buf_release(&compact);
    fed_buf_release(&pretty);
    return 0;
}
