/* SPDX-License-Identifier: Apache-2.0 */
/* bench_kobj.c: nanoseconds to make one object (bytes and index) from the text of a watch event, beside a parse into a
 * tree; for a small ConfigMap, a pod, and a large object with escaped text. One line of JSON for each. */
#include <stdio.h>
#include <time.h>

#include "kube/obj.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const char *what, struct fed_str text)
{
    enum { ROUNDS = 20000 };
    struct fed_arena a = {0};
    double start = now();
    for (int i = 0; i < ROUNDS; i++) {
        struct fed_kobj *o;
        FED_REQUIRE(fed_kobj_new(text, FED_STR(""), FED_STR(""), &o, NULL) == 0);
        fed_kobj_unref(o);
    }
    double made = now();
    for (int i = 0; i < ROUNDS; i++) {
        struct fed_json *tree;
        FED_REQUIRE(fed_json_parse(&a, text, NULL, &tree, NULL) == 0);
        fed_arena_reset(&a);
    }
    double parsed = now();
    double ns = (made - start) / ROUNDS * 1e9;
    printf("{\"bench\":\"kobj\",\"object\":\"%s\",\"bytes\":%zu,\"ns\":%.0f,\"ns_per_kB\":%.0f,\"tree_ns\":%.0f}\n",
           what, text.n, ns, ns / (double)text.n * 1000, (parsed - made) / ROUNDS * 1e9);
    fed_arena_release(&a);
}

static const char pod_head[] =
    "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web-6d4cf56db6-x2x7k\",\"generateName\":"
    "\"web-6d4cf56db6-\",\"namespace\":\"default\",\"uid\":\"0d7e8a90-5b1c-4c7e-8f2a-000000000001\","
    "\"resourceVersion\":"
    "\"123456\",\"creationTimestamp\":\"2026-11-21T08:00:00Z\",\"labels\":{\"app\":\"web\",\"pod-template-hash\":"
    "\"6d4cf56db6\"},\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":"
    "\"web-6d4cf56db6\",\"uid\":\"9a1f\",\"controller\":true,\"blockOwnerDeletion\":true}]},\"spec\":{\"containers\":[";
static const char container[] =
    "{\"name\":\"main\",\"image\":\"registry.example.com/team/web:1.27.3\",\"ports\":[{\"name\":\"http\","
    "\"containerPort\":8080,\"protocol\":\"TCP\"}],\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"128Mi\"},"
    "\"requests\":{\"cpu\":\"250m\",\"memory\":\"64Mi\"}},\"volumeMounts\":[{\"name\":\"token\",\"readOnly\":true,"
    "\"mountPath\":\"/var/run/secrets/kubernetes.io/serviceaccount\"}],\"terminationMessagePath\":"
    "\"/dev/termination-log\",\"imagePullPolicy\":\"IfNotPresent\"}";

int main(void)
{
    struct fed_buf b = {0};
    measure("configmap", FED_STR("{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"settings\","
                                 "\"namespace\":\"default\",\"uid\":\"0d7e8a90-5b1c-4c7e-8f2a-000000000001\","
                                 "\"resourceVersion\":\"1234\"},\"data\":{\"mode\":\"fast\",\"level\":\"3\"}}"));
    fed_buf_addz(&b, pod_head);
    for (int i = 0; i < 4; i++)
        fed_buf_addf(&b, "%s%s", i ? "," : "", container);
    fed_buf_addz(&b, "]},\"status\":{\"phase\":\"Running\"}}");
    measure("pod", fed_buf_str(&b));
    fed_buf_reset(&b);
    fed_buf_addz(&b, "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"last\":\"");
    for (int i = 0; i < 200; i++)
        fed_buf_addz(&b, "{\\\"name\\\":\\\"value of some length\\\"},");
    fed_buf_addz(&b, "\"}},\"data\":{\"text\":\"");
    for (int i = 0; i < 500; i++)
        fed_buf_addz(&b, "a line of a file in a ConfigMap\\n");
    fed_buf_addz(&b, "\"}}");
    measure("escaped text", fed_buf_str(&b));
    fed_buf_release(&b);
    return 0;
}
