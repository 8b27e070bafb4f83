/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery: which groups, versions and resources there are, as one list for each path and as aggregated documents. */
#include "apiserver/cert_requests.h"
#include "base/mem.h"
#include "kube/names.h"

#define MAX_GROUPS   2100 /* FED_CUSTOM_MAX and those of the program */
#define MAX_VERSIONS 128

struct groups {
    struct fed_str names[MAX_GROUPS];
    size_t n;
};

static void add_group(struct groups *g, struct fed_str name)
{
    for (size_t i = 0; i < g->n; i++)
        if (fed_str_eq(g->names[i], name))
            return;
    if (g->n < MAX_GROUPS)
        g->names[g->n++] = name;
}

static void add_virtual_group(void *ud, const struct fed_virtual *v)
{
    add_group(ud, fed_str(v->group));
}

/* Groups in order: those that kinds belong to, then those where they are served too (extensions), then virtual ones. */
static void all_groups(struct fed_api *api, struct groups *g)
{
    const struct fed_kinds *ks = api->conf.kinds;
    for (size_t i = 0; i < fed_kinds_count(ks); i++)
        add_group(g, fed_kinds_at(ks, i)->group);
    for (size_t i = 0; i < fed_kinds_count(ks); i++) {
        const struct fed_kind *k = fed_kinds_at(ks, i);
        for (size_t j = 0; j < k->n_versions; j++)
            if (k->versions[j].served)
                add_group(g, k->versions[j].group);
    }
    fed_api_virtual_each(api, add_virtual_group, g);
}

/* v2 > v1 > v2beta1 > v1beta2 > v1alpha1 */
static void version_rank(struct fed_str v, uint64_t rank[3])
{
    size_t i = 1;
    rank[0] = rank[1] = rank[2] = 0;
    for (; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
        rank[1] = rank[1] * 10 + (uint64_t)(v.p[i] - '0');
    struct fed_str rest = fed_str_from(v, i);
    size_t word = fed_str_starts(rest, FED_STR("alpha")) ? 5 : fed_str_starts(rest, FED_STR("beta")) ? 4 : 0;
    rank[0] = word == 5 ? 1 : word == 4 ? 2 : 3;
    for (i = word; word && i < rest.n; i++)
        rank[2] = rank[2] * 10 + (uint64_t)(rest.p[i] - '0');
}

static bool version_before(struct fed_str a, struct fed_str b)
{
    uint64_t x[3], y[3];
    version_rank(a, x);
    version_rank(b, y);
    return memcmp(x, y, sizeof x) == 0 ? false : x[0] != y[0] ? x[0] > y[0] : x[1] != y[1] ? x[1] > y[1] : x[2] > y[2];
}

struct versions {
    struct fed_str group, names[MAX_VERSIONS];
    size_t n;
};

static void add_version(struct versions *vs, struct fed_str name)
{
    size_t at = 0;
    for (size_t i = 0; i < vs->n; i++)
        if (fed_str_eq(vs->names[i], name))
            return;
    if (vs->n == MAX_VERSIONS)
        return;
    while (at < vs->n && !version_before(name, vs->names[at]))
        at++;
    memmove(vs->names + at + 1, vs->names + at, (vs->n - at) * sizeof vs->names[0]);
    vs->names[at] = name;
    vs->n++;
}

static void add_virtual_version(void *ud, const struct fed_virtual *v)
{
    struct versions *vs = ud;
    if (fed_str_is(vs->group, v->group))
        add_version(vs, fed_str(v->version));
}

static void versions_of(struct fed_api *api, struct fed_str group, struct versions *vs)
{
    const struct fed_kinds *ks = api->conf.kinds;
    *vs = (struct versions){.group = group};
    for (size_t i = 0; i < fed_kinds_count(ks); i++) {
        const struct fed_kind *k = fed_kinds_at(ks, i);
        for (size_t j = 0; j < k->n_versions; j++)
            if (k->versions[j].served && fed_str_eq(k->versions[j].group, group))
                add_version(vs, k->versions[j].version);
    }
    fed_api_virtual_each(api, add_virtual_version, vs);
}

/* --- resources of one group and version, in one of two shapes --- */

struct shape {
    struct fed_api *api;
    struct fed_arena a;
    struct fed_str group, version;
    struct fed_json *list; /* APIResourceList.resources, or APIVersionDiscovery.resources */
    bool aggregated;
    const struct fed_kind *kind; /* while its subresources are added */
    struct fed_json *subs;
};

static struct fed_json *text(struct shape *s, struct fed_str t)
{
    return fed_json_new_str(&s->a, t);
}

static struct fed_json *texts(struct shape *s, const struct fed_str *list, size_t n)
{
    struct fed_json *arr = fed_json_array(&s->a);
    for (size_t i = 0; i < n; i++)
        fed_json_push(arr, text(s, list[i]));
    return arr;
}

static struct fed_json *verbs(struct shape *s, const char *list)
{
    struct fed_json *arr = fed_json_array(&s->a);
    struct fed_str rest = fed_str(list), verb;
    while (fed_str_cut(&rest, ',', &verb))
        fed_json_push(arr, text(s, verb));
    return arr;
}

static struct fed_json *response_kind(struct shape *s, struct fed_str group, struct fed_str version,
                                      struct fed_str kind)
{
    struct fed_json *o = fed_json_object(&s->a);
    fed_json_set(o, "group", text(s, group));
    fed_json_set(o, "version", text(s, version));
    fed_json_set(o, "kind", text(s, kind));
    return o;
}

static void add_sub(struct shape *s, struct fed_str plural, struct fed_str sub, struct fed_str kind, bool namespaced,
                    const char *verb_list)
{
    struct fed_str g = s->group, v = s->version;
    struct fed_json *o = fed_json_object(&s->a);
    fed_api_kind_home(kind, &g, &v);
    if (s->aggregated) {
        fed_json_set(o, "subresource", text(s, sub));
        fed_json_set(o, "responseKind", response_kind(s, g, v, kind));
        fed_json_set(o, "verbs", verbs(s, verb_list));
        fed_json_push(s->subs, o);
        return;
    }
    fed_json_set(o, "name", fed_json_new_strf(&s->a, "%.*s/%.*s", FED_STR_ARG(plural), FED_STR_ARG(sub)));
    fed_json_set(o, "singularName", text(s, FED_STR("")));
    fed_json_set(o, "namespaced", fed_json_new_bool(&s->a, namespaced));
    if (!fed_str_eq(g, s->group)) {
        fed_json_set(o, "group", text(s, g));
        fed_json_set(o, "version", text(s, v));
    }
    fed_json_set(o, "kind", text(s, kind));
    fed_json_set(o, "verbs", verbs(s, verb_list));
    fed_json_push(s->list, o);
}

static void add_virtual_sub(void *ud, const struct fed_virtual *v)
{
    struct shape *s = ud;
    struct fed_str sub = fed_str(v->resource), plural;
    if (!fed_str_is(s->group, v->group) || !fed_str_is(s->version, v->version) || !fed_str_cut(&sub, '/', &plural) ||
        !sub.p || !fed_str_eq(plural, s->kind->plural))
        return;
    add_sub(s, plural, sub, fed_str(v->kind), v->namespaced, v->verbs);
}

static struct fed_json *add_resource(struct shape *s, struct fed_str plural, struct fed_str singular,
                                     struct fed_str kind, bool namespaced, const char *verb_list)
{
    struct fed_json *o = fed_json_push(s->list, fed_json_object(&s->a));
    if (s->aggregated) {
        fed_json_set(o, "resource", text(s, plural));
        fed_json_set(o, "responseKind", response_kind(s, s->group, s->version, kind));
        fed_json_set(o, "scope", text(s, namespaced ? FED_STR("Namespaced") : FED_STR("Cluster")));
        fed_json_set(o, "singularResource", text(s, singular));
    } else {
        fed_json_set(o, "name", text(s, plural));
        fed_json_set(o, "singularName", text(s, singular));
        fed_json_set(o, "namespaced", fed_json_new_bool(&s->a, namespaced));
        fed_json_set(o, "kind", text(s, kind));
    }
    fed_json_set(o, "verbs", verbs(s, verb_list));
    return o;
}

static void add_kind(struct shape *s, const struct fed_kind_version *v)
{
    const struct fed_kind *k = v->kind;
    bool is_namespace = fed_str_is(k->plural, "namespaces") && !k->group.n;
    struct fed_json *o = add_resource(s, k->plural, k->singular, k->kind, k->namespaced,
                                      is_namespace ? "create,delete,get,list,patch,update,watch"
                                                   : "create,delete,deletecollection,get,list,patch,update,watch");
    /* Short names and categories belong to the kind's own group: in both, "deploy" and "all" would be ambiguous. */
    bool own = fed_str_eq(s->group, k->group);
    if (own && k->n_short_names)
        fed_json_set(o, "shortNames", texts(s, k->short_names, k->n_short_names));
    if (own && k->n_categories)
        fed_json_set(o, "categories", texts(s, k->categories, k->n_categories));
    s->kind = k;
    s->subs = s->aggregated ? fed_json_array(&s->a) : NULL;
    if (v->has_status)
        add_sub(s, k->plural, FED_STR("status"), k->kind, k->namespaced, "get,patch,update");
    if (v->has_scale)
        add_sub(s, k->plural, FED_STR("scale"), FED_STR("Scale"), k->namespaced, "get,patch,update");
    if (fed_cert_request_kind(k))
        add_sub(s, k->plural, FED_STR("approval"), k->kind, false, "get,patch,update");
    if (is_namespace)
        add_sub(s, k->plural, FED_STR("finalize"), k->kind, false, "update");
    if (fed_str_is(k->plural, "pods") && !k->group.n)
        add_sub(s, k->plural, FED_STR("ephemeralcontainers"), k->kind, true, "get,patch,update");
    fed_api_virtual_each(s->api, add_virtual_sub, s);
    if (s->subs && s->subs->n)
        fed_json_set(o, "subresources", s->subs);
    s->kind = NULL;
}

static void add_virtual(void *ud, const struct fed_virtual *v)
{
    struct shape *s = ud;
    if (!fed_str_is(s->group, v->group) || !fed_str_is(s->version, v->version) || strchr(v->resource, '/'))
        return;
    struct fed_str singular = fed_name_lower(&s->a, fed_str(v->kind)), alias = fed_str(fed_api_virtual_short_name(v));
    struct fed_json *o = add_resource(s, fed_str(v->resource), singular, fed_str(v->kind), v->namespaced, v->verbs);
    if (alias.n)
        fed_json_set(o, "shortNames", texts(s, &alias, 1));
}

static void fill(struct shape *s)
{
    const struct fed_kinds *ks = s->api->conf.kinds;
    for (size_t i = 0; i < fed_kinds_count(ks); i++) {
        const struct fed_kind *k = fed_kinds_at(ks, i);
        const struct fed_kind_version *v = fed_kinds_by_resource(ks, s->group, s->version, k->plural);
        if (v && v->kind == k && v->served)
            add_kind(s, v);
    }
    fed_api_virtual_each(s->api, add_virtual, s);
}

static struct fed_str group_version(struct shape *s, struct fed_str group, struct fed_str version)
{
    return group.n ? fed_arena_printf(&s->a, "%.*s/%.*s", FED_STR_ARG(group), FED_STR_ARG(version)) : version;
}

/* --- the documents --- */

static void make_resources(struct fed_api *api, const char *name, struct fed_buf *out)
{
    struct shape s = {.api = api};
    struct fed_str rest = fed_str_from(fed_str(name), 1), root;
    (void)fed_str_cut(&rest, '/', &root);
    if (fed_str_is(root, "apis"))
        (void)fed_str_cut(&rest, '/', &s.group);
    s.version = rest;
    struct fed_json *doc = fed_json_object(&s.a);
    fed_json_set(doc, "kind", fed_json_new_strz(&s.a, "APIResourceList"));
    fed_json_set(doc, "apiVersion", fed_json_new_strz(&s.a, "v1"));
    fed_json_set(doc, "groupVersion", text(&s, group_version(&s, s.group, s.version)));
    s.list = fed_json_set(doc, "resources", fed_json_array(&s.a));
    fill(&s);
    fed_json_write(out, doc);
    fed_arena_release(&s.a);
}

static struct fed_json *group_entry(struct shape *s, struct fed_str group)
{
    struct versions vs;
    versions_of(s->api, group, &vs);
    struct fed_json *g = fed_json_object(&s->a), *list = fed_json_array(&s->a), *first = NULL;
    fed_json_set(g, "name", text(s, group));
    fed_json_set(g, "versions", list);
    for (size_t i = 0; i < vs.n; i++) {
        struct fed_json *v = fed_json_push(list, fed_json_object(&s->a));
        fed_json_set(v, "groupVersion", text(s, group_version(s, group, vs.names[i])));
        fed_json_set(v, "version", text(s, vs.names[i]));
        if (!first)
            first = v;
    }
    if (first)
        fed_json_set(g, "preferredVersion", fed_json_copy(&s->a, first));
    return g;
}

static void make_group(struct fed_api *api, const char *name, struct fed_buf *out)
{
    struct shape s = {.api = api};
    struct fed_json *g = group_entry(&s, fed_str(name + sizeof("/apis/") - 1));
    struct fed_json *doc = fed_json_object(&s.a);
    fed_json_set(doc, "kind", fed_json_new_strz(&s.a, "APIGroup"));
    fed_json_set(doc, "apiVersion", fed_json_new_strz(&s.a, "v1"));
    FED_JSON_EACH_SAFE(m, g) {
        struct fed_str key = m->key;
        fed_json_remove(m);
        fed_json_set_str(doc, key, m);
    }
    fed_json_write(out, doc);
    fed_arena_release(&s.a);
}

static void make_groups(struct fed_api *api, const char *name, struct fed_buf *out)
{
    struct shape s = {.api = api};
    struct groups g = {.n = 0};
    (void)name;
    all_groups(api, &g);
    struct fed_json *doc = fed_json_object(&s.a);
    fed_json_set(doc, "kind", fed_json_new_strz(&s.a, "APIGroupList"));
    fed_json_set(doc, "apiVersion", fed_json_new_strz(&s.a, "v1"));
    struct fed_json *list = fed_json_set(doc, "groups", fed_json_array(&s.a));
    for (size_t i = 0; i < g.n; i++)
        if (g.names[i].n)
            fed_json_push(list, group_entry(&s, g.names[i]));
    fed_json_write(out, doc);
    fed_arena_release(&s.a);
}

static void make_core(struct fed_api *api, const char *name, struct fed_buf *out)
{
    (void)api;
    (void)name;
    fed_buf_addz(out, "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"],\"serverAddressByClientCIDRs\":[]}");
}

static void aggregate_group(struct shape *s, struct fed_json *items, struct fed_str group)
{
    struct versions vs;
    versions_of(s->api, group, &vs);
    struct fed_json *item = fed_json_push(items, fed_json_object(&s->a));
    struct fed_json *meta = fed_json_set(item, "metadata", fed_json_object(&s->a));
    if (group.n)
        fed_json_set(meta, "name", text(s, group));
    struct fed_json *list = fed_json_set(item, "versions", fed_json_array(&s->a));
    for (size_t i = 0; i < vs.n; i++) {
        struct fed_json *v = fed_json_push(list, fed_json_object(&s->a));
        fed_json_set(v, "version", text(s, vs.names[i]));
        s->group = group;
        s->version = vs.names[i];
        s->list = fed_json_set(v, "resources", fed_json_array(&s->a));
        fill(s);
        fed_json_set(v, "freshness", fed_json_new_strz(&s->a, "Current"));
    }
}

/* name: "v2 /api", "v2beta1 /apis" */
static void make_aggregated(struct fed_api *api, const char *name, struct fed_buf *out)
{
    struct shape s = {.api = api, .aggregated = true};
    struct fed_str path = fed_str(name), version;
    (void)fed_str_cut(&path, ' ', &version);
    struct groups g = {.n = 0};
    all_groups(api, &g);
    struct fed_json *doc = fed_json_object(&s.a);
    fed_json_set(doc, "kind", fed_json_new_strz(&s.a, "APIGroupDiscoveryList"));
    fed_json_set(doc, "apiVersion", fed_json_new_strf(&s.a, "apidiscovery.k8s.io/%.*s", FED_STR_ARG(version)));
    fed_json_set(doc, "metadata", fed_json_object(&s.a));
    struct fed_json *items = fed_json_set(doc, "items", fed_json_array(&s.a));
    bool core = fed_str_is(path, "/api");
    for (size_t i = 0; i < g.n; i++)
        if (core == (g.names[i].n == 0))
            aggregate_group(&s, items, g.names[i]);
    fed_json_write(out, doc);
    fed_arena_release(&s.a);
}

bool fed_api_has_version(struct fed_api *api, struct fed_str group, struct fed_str version)
{
    struct versions vs;
    versions_of(api, group, &vs);
    for (size_t i = 0; i < vs.n; i++)
        if (fed_str_eq(vs.names[i], version))
            return true;
    return !version.n && vs.n > 0;
}

static void answer_root(struct fed_api_reply *r, const char *path)
{
    struct fed_api *api = r->api;
    static const char *const versions[] = {"v2", "v2beta1"};
    for (size_t i = 0; i < FED_ARRAY_LEN(versions); i++)
        if (fed_accept_has(r->accept, "application/json", "apidiscovery.k8s.io", versions[i],
                           "APIGroupDiscoveryList")) {
            char name[32], type[96];
            snprintf(name, sizeof name, "%s %s", versions[i], path);
            snprintf(type, sizeof type, "application/json;g=apidiscovery.k8s.io;v=%s;as=APIGroupDiscoveryList",
                     versions[i]);
            fed_api_answer_doc(r, fed_api_doc(api, name, make_aggregated), type);
            return;
        }
    fed_api_answer_doc(r, fed_api_doc(api, path, strcmp(path, "/api") == 0 ? make_core : make_groups),
                       "application/json");
}

void fed_api_discovery(struct fed_api_reply *r)
{
    struct fed_str path = r->q.path, group = {NULL, 0}, version = {NULL, 0}, root, rest;
    while (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    rest = fed_str_from(path, 1);
    (void)fed_str_cut(&rest, '/', &root);
    bool core = fed_str_is(root, "api"), is_root = !rest.p || !rest.n;
    if (!is_root && !core)
        (void)fed_str_cut(&rest, '/', &group);
    if (rest.p)
        (void)fed_str_cut(&rest, '/', &version);
    if (!is_root && ((rest.p && rest.n) || (!core && !group.n) || !fed_api_has_version(r->api, group, version))) {
        bool known = core || fed_api_has_version(r->api, group, (struct fed_str){NULL, 0});
        (known ? fed_api_not_found_path : fed_api_not_found_group)(r);
        return;
    }
    bool head = fed_api_is_head(r) && !core && !version.n; /* which answers for groups alone */
    if (strcmp(r->q.verb, "get") != 0 && !head) {
        fed_api_not_allowed(r);
        return;
    }
    if (is_root)
        answer_root(r, core ? "/api" : "/apis");
    else
        fed_api_answer_doc(
            r, fed_api_doc(r->api, fed_arena_dupz(&r->arena, path), version.n ? make_resources : make_group),
            "application/json");
}
