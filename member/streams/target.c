/* SPDX-License-Identifier: Apache-2.0 */
#include "member/streams/streams.h"

void mbr_stream_add(struct mbr *m, struct mbr_stream *s, void (*stop)(struct mbr_stream *s))
{
    s->m = m;
    s->stop = stop;
    fed_list_push_back(&m->streams, &s->link);
}

void mbr_stream_remove(struct mbr_stream *s)
{
    fed_list_remove(&s->link);
}

void mbr_streams_stop(struct mbr *m)
{
    while (!fed_list_empty(&m->streams)) {
        struct mbr_stream *s = FED_LIST_ENTRY(m->streams.next, struct mbr_stream, link);
        s->stop(s);
    }
}

bool mbr_query_true(const struct fed_query *q, const char *name)
{
    struct fed_str v = fed_query_find(q, name);
    return v.p && !fed_str_is(v, "0") && !fed_str_ieq(v, FED_STR("false"));
}

static struct fed_str default_container(const struct fed_json *tree)
{
    const struct fed_json *list = fed_json_at(tree, "spec", "containers", NULL);
    struct fed_str name = fed_json_find_text(fed_json_at(tree, "metadata", "annotations", NULL),
                                             "kubectl.kubernetes.io/default-container");
    return name.n ? name : list && list->first ? fed_json_find_text(list->first, "name") : FED_STR("");
}

static bool declared(const struct fed_json *tree, struct fed_str name)
{
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_at(tree, "spec", lists[i], NULL))
            if (fed_str_eq(fed_json_find_text(c, "name"), name))
                return true;
    return false;
}

static bool find_container(const struct fed_api_request *req, struct fed_api_reply *reply, struct mbr_target *t)
{
    struct fed_str name = fed_query_find(&t->query, "container");
    if (!name.n)
        name = default_container(t->tree);
    if (!declared(t->tree, name)) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "container %.*s is not valid for pod %.*s", FED_STR_ARG(name),
                            FED_STR_ARG(req->name));
        return false;
    }
    for (size_t i = 0; i < t->pod->n; i++)
        if (fed_str_is(name, t->pod->containers[i].name) && t->pod->containers[i].state == MBR_C_RUNNING)
            t->container = &t->pod->containers[i];
    if (!t->container)
        fed_api_reply_error(reply, FED_E_INTERNAL, "container not found (\"%.*s\")", FED_STR_ARG(name));
    return t->container != NULL;
}

bool mbr_target_find(struct mbr *m, const struct fed_api_request *req, struct fed_api_reply *reply, bool with_container,
                     struct mbr_target *t)
{
    struct fed_err err = {0};
    *t = (struct mbr_target){.obj = mbr_find(m, MBR_PODS, req->ns, req->name)};
    if (!t->obj) {
        fed_api_reply_error(reply, FED_E_NOT_FOUND, "pods \"%.*s\" not found", FED_STR_ARG(req->name));
        return false;
    }
    if (fed_query_parse(req->arena, req->query, &t->query, &err) < 0) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "%s", err.text);
        return false;
    }
    t->tree = fed_kobj_parse(t->obj, req->arena);
    if (!fed_json_str(fed_json_at(t->tree, "spec", "nodeName", NULL)).n) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "pod %.*s does not have a host assigned", FED_STR_ARG(req->name));
        return false;
    }
    t->pod = m->agents ? fed_map_find(&m->agents->pods, t->obj->uid) : NULL;
    if (m->agents && !m->agents->rt->ops->session) {
        fed_api_reply_error(reply, FED_E_UNSUPPORTED, "pods of the hollow runtime run nothing that could be reached");
        return false;
    }
    if (!t->pod || !t->pod->run) {
        struct fed_str phase = fed_json_str(fed_json_at(t->tree, "status", "phase", NULL));
        fed_api_reply_error(reply, FED_E_INTERNAL, "pod %.*s is not running, its phase is %.*s", FED_STR_ARG(req->name),
                            FED_STR_ARG(phase));
        return false;
    }
    return !with_container || find_container(req, reply, t);
}
