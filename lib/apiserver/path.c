/* SPDX-License-Identifier: Apache-2.0 */
/* Which resource a path names (RequestInfo of k8s.io/apiserver): /api/V and /apis/G/V, then
 * [watch/][namespaces/NS/]RESOURCE[/NAME[/SUBRESOURCE[/rest]]]. */
#include "apiserver/apiserver_priv.h"

bool fed_query_true(const struct fed_query *q, const char *name)
{
    struct fed_str v = fed_query_find(q, name);
    return v.p && !fed_str_is(v, "0") && !fed_str_ieq(v, FED_STR("false"));
}

bool fed_api_is_health(struct fed_str p)
{
    static const char *const roots[] = {"/healthz", "/livez", "/readyz"};
    for (size_t i = 0; i < FED_ARRAY_LEN(roots); i++) {
        struct fed_str root = fed_str(roots[i]);
        if (fed_str_starts(p, root) && (p.n == root.n || (p.p[root.n] == '/' && p.n > root.n + 1)))
            return true;
    }
    return false;
}

#define MAX_PARTS 12
/* Slashes at the end do not count, empty pieces elsewhere do. */
static size_t split(struct fed_str path, struct fed_str *parts)
{
    size_t n = 0;
    struct fed_str left = fed_str_from(path, 1);
    while (left.n && left.p[left.n - 1] == '/')
        left.n--;
    while (n < MAX_PARTS && left.p && left.n && fed_str_cut(&left, '/', &parts[n]))
        n++;
    return n;
}

bool fed_api_is_head(const struct fed_api_reply *r)
{
    return r->x && fed_str_is(r->q.http->method, "HEAD");
}

static const char *verb_of(struct fed_api_reply *r, struct fed_str method)
{
    bool named = r->q.name.n > 0;
    if (fed_str_is(method, "GET") || fed_str_is(method, "HEAD"))
        return r->watch ? "watch" : named ? "get" : "list";
    if (fed_str_is(method, "POST"))
        return "create";
    if (fed_str_is(method, "PUT"))
        return "update";
    if (fed_str_is(method, "PATCH"))
        return "patch";
    if (fed_str_is(method, "DELETE"))
        return named ? "delete" : "deletecollection";
    return "";
}

/* parts after the version. /namespaces//pods, which clients make of an empty namespace, are those of all of them. */
static void resource_parts(struct fed_api_reply *r, struct fed_str *p, size_t n)
{
    if (n && fed_str_is(p[0], "watch")) {
        r->legacy_watch = r->watch = true;
        p++;
        n--;
    }
    if (n && fed_str_is(p[0], "namespaces")) {
        bool own = n < 3 || (n == 3 && (fed_str_is(p[2], "status") || fed_str_is(p[2], "finalize")));
        if (n > 1)
            r->q.ns = p[1];
        if (!own) { /* something inside the namespace */
            p += 2;
            n -= 2;
        }
    }
    if (n == 0)
        return;
    r->route = FED_ROUTE_RESOURCE;
    r->q.resource = p[0];
    for (size_t i = 1; i < FED_MIN(n, (size_t)3); i++)
        if (!p[i].n) { /* names no resource: clients that leave out a name shall not get all of them */
            r->q.resource = (struct fed_str){NULL, 0};
            return;
        }
    if (n > 1)
        r->q.name = p[1];
    if (n > 2)
        r->q.subresource = p[2];
    if (n > 3)
        r->rest = fed_str_n(p[3].p, (size_t)(r->q.path.p + r->q.path.n - p[3].p));
}

void fed_api_route(struct fed_api_reply *r)
{
    struct fed_str method = fed_str(r->q.verb), parts[MAX_PARTS];
    size_t n = split(r->q.path, parts), used = 0;
    if (n > 2 && fed_str_is(parts[0], "api")) {
        r->q.version = parts[1];
        used = 2;
    } else if (n > 3 && fed_str_is(parts[0], "apis")) {
        r->q.group = parts[1];
        r->q.version = parts[2];
        used = 3;
    }
    if (used)
        resource_parts(r, parts + used, n - used);
    if (r->route == FED_ROUTE_OTHER) {
        char *low = fed_arena_dupz(&r->arena, method);
        for (char *c = low; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
        r->q.verb = low;
        return;
    }
    bool get = fed_str_is(method, "GET") || fed_str_is(method, "HEAD");
    if (get && fed_query_true(&r->query, "watch") && !r->q.name.n) /* one object is read, not watched, by its name */
        r->watch = true;
    if (!get)
        r->watch = false;
    r->q.verb = verb_of(r, method);
}

/* Kinds of subresources live in groups of their own. */
void fed_api_kind_home(struct fed_str kind, struct fed_str *group, struct fed_str *version)
{
    static const struct {
        const char *kind, *group;
    } homes[] = {{"Scale", "autoscaling"}, {"Eviction", "policy"}, {"TokenRequest", "authentication.k8s.io"}};
    for (size_t i = 0; i < FED_ARRAY_LEN(homes); i++)
        if (fed_str_is(kind, homes[i].kind)) {
            *group = fed_str(homes[i].group);
            *version = FED_STR("v1");
        }
}
