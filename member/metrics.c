/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.k8s.io/v1beta1: what nodes and pods use, for kubectl top and whoever reads the metrics API. The first answer
 * takes a second, because a rate needs two looks. */
#include <stdlib.h>

#include "base/mem.h"
#include "http/url.h"
#include "kube/selector.h"
#include "member/agent/pod.h"
#include "member/agent/usage.h"
#include "member/virtuals.h"

struct question {
    struct mbr_usage_wait wait;
    struct mbr *m;
    const struct fed_api_request *req; /* lives until the reply */
    struct fed_api_reply *reply;
    bool nodes;
    struct fed_selector labels;
    struct fed_field_selector fields;
    struct fed_json *items;
};

static struct fed_json *usage_json(struct fed_arena *a, const struct mbr_usage_value *v)
{
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "cpu", fed_json_new_strf(a, "%lldn", (long long)v->cpu_nano));
    fed_json_set(o, "memory", fed_json_new_strf(a, "%lldKi", (long long)(v->memory / 1024)));
    return o;
}

static struct fed_json *object_json(struct fed_arena *a, const char *kind, struct fed_kobj *obj,
                                    const struct mbr_usage_value *v)
{
    char text[21];
    struct fed_json *o = fed_json_object(a), *meta = fed_json_object(a);
    const struct fed_json *labels = fed_json_at(fed_kobj_parse(obj, a), "metadata", "labels", NULL);
    fed_time_format(v->at_ms, text);
    fed_json_set(o, "kind", fed_json_new_strz(a, kind));
    fed_json_set(o, "apiVersion", fed_json_new_strz(a, "metrics.k8s.io/v1beta1"));
    fed_json_set(meta, "name", fed_json_new_str(a, obj->name));
    if (obj->ns.n)
        fed_json_set(meta, "namespace", fed_json_new_str(a, obj->ns));
    fed_json_set(meta, "creationTimestamp", fed_json_new_strf(a, "%s", text));
    if (labels)
        fed_json_set(meta, "labels", fed_json_copy(a, labels));
    fed_json_set(o, "metadata", meta);
    fed_json_set(o, "timestamp", fed_json_new_strf(a, "%s", text));
    fed_json_set(o, "window", fed_json_new_strf(a, "%u.%03us", v->window_ms / 1000, v->window_ms % 1000));
    return o;
}

/* NULL: not measured. */
static struct fed_json *node_metrics(const struct question *q, struct fed_kobj *node)
{
    struct fed_arena *a = q->req->arena;
    struct mbr_usage_value v;
    if (!mbr_usage_node(q->m->usage, node->name, &v))
        return NULL;
    struct fed_json *o = object_json(a, "NodeMetrics", node, &v);
    fed_json_set(o, "usage", usage_json(a, &v));
    return o;
}

static struct fed_json *pod_metrics(const struct question *q, struct fed_kobj *obj)
{
    struct fed_arena *a = q->req->arena;
    const struct mbr_pod *p = fed_map_find(&q->m->agents->pods, obj->uid);
    struct mbr_usage_value v;
    if (!p || !mbr_usage_pod(q->m->usage, obj->uid, &v))
        return NULL;
    struct fed_json *o = object_json(a, "PodMetrics", obj, &v), *list = fed_json_array(a);
    for (size_t i = 0; i < p->n; i++) {
        if (!mbr_usage_container(q->m->usage, obj->uid, p->containers[i].name, &v))
            continue;
        struct fed_json *c = fed_json_push(list, fed_json_object(a));
        fed_json_set(c, "name", fed_json_new_str(a, fed_arena_dup(a, fed_str(p->containers[i].name))));
        fed_json_set(c, "usage", usage_json(a, &v));
    }
    fed_json_set(o, "containers", list);
    return o;
}

static bool fields_match(const struct fed_field_selector *f, const struct fed_kobj *o)
{
    for (size_t i = 0; i < f->n; i++) {
        bool is_name = fed_str_is(f->reqs[i].path, "metadata.name");
        if (fed_str_eq(f->reqs[i].value, is_name ? o->name : o->ns) == f->reqs[i].not_equal)
            return false;
    }
    return true;
}

static bool add_item(void *ud, struct fed_kobj *obj)
{
    struct question *q = ud;
    if (!fed_selector_matches(&q->labels, obj->labels, obj->n_labels) || !fields_match(&q->fields, obj))
        return true;
    struct fed_json *o = q->nodes ? node_metrics(q, obj) : pod_metrics(q, obj);
    if (o)
        fed_json_push(q->items, o);
    return true;
}

static void answer_one(struct question *q)
{
    const struct fed_api_request *req = q->req;
    struct fed_kobj *obj = mbr_find(q->m, q->nodes ? MBR_NODES : MBR_PODS, req->ns, req->name);
    struct fed_json *o = obj ? (q->nodes ? node_metrics(q, obj) : pod_metrics(q, obj)) : NULL;
    if (o)
        fed_api_reply_json(q->reply, 200, o);
    else if (q->nodes)
        fed_api_reply_error(q->reply, FED_E_NOT_FOUND, "nodemetrics.metrics.k8s.io \"%.*s\" not found",
                            FED_STR_ARG(req->name));
    else
        fed_api_reply_error(q->reply, FED_E_NOT_FOUND, "podmetrics.metrics.k8s.io \"%.*s/%.*s\" not found",
                            FED_STR_ARG(req->ns), FED_STR_ARG(req->name));
}

static void answer_list(struct question *q)
{
    struct fed_arena *a = q->req->arena;
    struct fed_json *o = fed_json_object(a);
    q->items = fed_json_array(a);
    fed_informer_each(q->m->informers[q->nodes ? MBR_NODES : MBR_PODS], q->req->ns, add_item, q);
    fed_json_set(o, "kind", fed_json_new_strz(a, q->nodes ? "NodeMetricsList" : "PodMetricsList"));
    fed_json_set(o, "apiVersion", fed_json_new_strz(a, "metrics.k8s.io/v1beta1"));
    fed_json_set(o, "metadata", fed_json_object(a));
    fed_json_set(o, "items", q->items);
    fed_api_reply_json(q->reply, 200, o);
}

static void ready(struct mbr_usage_wait *w, bool measured)
{
    struct question *q = fed_container_of(w, struct question, wait);
    if (!measured)
        fed_api_reply_error(q->reply, FED_E_UNAVAILABLE, "the server is shutting down");
    else if (q->req->name.n)
        answer_one(q);
    else
        answer_list(q);
    free(q);
}

static int read_selectors(struct question *q, struct fed_err *err)
{
    struct fed_query query = {0};
    struct fed_arena *a = q->req->arena;
    int rc = fed_query_parse(a, q->req->query, &query, err);
    struct fed_str labels = fed_query_find(&query, "labelSelector"), fields = fed_query_find(&query, "fieldSelector");
    if (rc == 0 && labels.n)
        rc = fed_selector_parse(a, labels, &q->labels, err);
    if (rc == 0 && fields.n)
        rc = fed_field_selector_parse(a, fields, &q->fields, err);
    for (size_t i = 0; rc == 0 && i < q->fields.n; i++)
        if (!fed_str_is(q->fields.reqs[i].path, "metadata.name") &&
            !fed_str_is(q->fields.reqs[i].path, "metadata.namespace"))
            rc = fed_err_set(err, FED_E_BAD_REQUEST, "field label not supported: %.*s",
                             FED_STR_ARG(q->fields.reqs[i].path));
    return rc;
}

static void serve(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply, bool nodes)
{
    struct fed_err err = {0};
    struct question *q = FED_NEW(struct question);
    *q = (struct question){.wait.ready = ready, .m = m, .req = req, .reply = reply, .nodes = nodes};
    if (!m->usage || m->conf->runtime != MBR_RUNTIME_PROCESS) {
        fed_api_reply_error(reply, FED_E_UNAVAILABLE, "metrics not available: pods of this runtime use nothing");
    } else if (read_selectors(q, &err) < 0) {
        fed_api_reply_error(reply, err.code, "%s", err.text);
    } else {
        mbr_usage_wait(m->usage, &q->wait);
        return;
    }
    free(q);
}

void mbr_serve_node_metrics(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    serve(ud, req, reply, true);
}

void mbr_serve_pod_metrics(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    serve(ud, req, reply, false);
}
