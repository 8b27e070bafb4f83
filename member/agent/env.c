/* SPDX-License-Identifier: Apache-2.0 */
#include "member/agent/env.h"

#include "codec/base64.h"
#include "kube/names.h"
#include "kube/quantity.h"

void mbr_vars_set(struct fed_arena *a, struct mbr_vars *vars, struct fed_str name, struct fed_str value)
{
    for (size_t i = 0; i < vars->n; i++)
        if (fed_str_eq(vars->v[i].key, name)) {
            vars->v[i].value = value;
            return;
        }
    FED_ARENA_ROOM(a, vars->v, vars->n, vars->cap, 64);
    vars->v[vars->n++] = (struct fed_kv){name, value};
}

struct fed_str mbr_vars_find(const struct mbr_vars *vars, struct fed_str name)
{
    for (size_t i = 0; i < vars->n; i++)
        if (fed_str_eq(vars->v[i].key, name))
            return vars->v[i].value;
    return (struct fed_str){0};
}

struct fed_str mbr_env_expand(struct fed_arena *a, struct fed_str text, const struct mbr_vars *vars)
{
    struct fed_buf b;
    if (fed_str_chr(text, '$', 0) < 0)
        return text;
    fed_buf_init(&b, 1024 * 1024);
    for (size_t i = 0; i < text.n; i++) {
        char next = i + 1 < text.n ? text.p[i + 1] : 0;
        if (text.p[i] != '$' || (next != '$' && next != '(')) {
            fed_buf_addc(&b, text.p[i]);
            continue;
        }
        if (next == '$') { /* an escaped dollar */
            fed_buf_addc(&b, '$');
            i++;
            continue;
        }
        ptrdiff_t end = fed_str_chr(text, ')', i + 2);
        if (end < 0) {
            fed_buf_addc(&b, '$');
            continue;
        }
        struct fed_str name = fed_str_n(text.p + i + 2, (size_t)end - i - 2), v = mbr_vars_find(vars, name);
        fed_buf_add(&b, v.p ? v : fed_str_n(text.p + i, (size_t)end + 1 - i));
        i = (size_t)end;
    }
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static int secret_value(struct fed_arena *a, const struct fed_json *v, struct fed_str *out)
{
    return fed_base64_decode(a, fed_json_str(v), out);
}

static int missing(struct fed_err *err, const char *what, struct fed_str name)
{
    return fed_err_set(err, FED_E_NOT_FOUND, "%s \"%.*s\" not found", what, FED_STR_ARG(name));
}

static int key_ref(const struct mbr_env_sources *s, const struct fed_json *ref, bool secret, struct fed_str *out,
                   struct fed_err *err)
{
    struct fed_str name = fed_json_find_text(ref, "name"), key = fed_json_find_text(ref, "key");
    bool optional = fed_json_bool(fed_json_find(ref, "optional"), false);
    const struct fed_json *obj = secret ? s->secret(s->ud, name) : s->config_map(s->ud, name);
    const struct fed_json *v = fed_json_find_str(fed_json_find(obj, "data"), key);
    *out = (struct fed_str){0};
    if (!obj)
        return optional ? 0 : missing(err, secret ? "secret" : "configmap", name);
    if (!v)
        return optional ? 0
                        : fed_err_set(err, FED_E_NOT_FOUND, "couldn't find key %.*s in %s %.*s", FED_STR_ARG(key),
                                      secret ? "Secret" : "ConfigMap", FED_STR_ARG(name));
    if (secret)
        return secret_value(s->a, v, out);
    *out = fed_json_str(v);
    return 0;
}

static bool subscript(struct fed_str path, const char *prefix, struct fed_str *key)
{
    size_t n = strlen(prefix);
    if (!fed_str_starts(path, fed_str(prefix)) || path.n < n + 4 || path.p[n] != '[' || path.p[path.n - 1] != ']')
        return false;
    *key = fed_str_n(path.p + n + 2, path.n - n - 4);
    return true;
}

static struct fed_str map_lines(struct fed_arena *a, const struct fed_json *map)
{
    struct fed_buf b = {0};
    FED_JSON_EACH(m, map) {
        if (b.n)
            fed_buf_addc(&b, '\n');
        fed_buf_addf(&b, "%.*s=", FED_STR_ARG(m->key));
        fed_json_write_string(&b, fed_json_str(m));
    }
    struct fed_str out = fed_arena_dup(a, fed_buf_str(&b));
    fed_buf_release(&b);
    return out.p ? out : FED_STR("");
}

int mbr_field_text(const struct mbr_env_sources *s, struct fed_str path, struct fed_str *out, struct fed_err *err)
{
    const struct fed_json *meta = fed_json_find(s->pod, "metadata"), *spec = fed_json_find(s->pod, "spec");
    struct fed_str key;
    if (fed_str_is(path, "metadata.name"))
        *out = fed_json_find_text(meta, "name");
    else if (fed_str_is(path, "metadata.namespace"))
        *out = fed_json_find_text(meta, "namespace");
    else if (fed_str_is(path, "metadata.uid"))
        *out = fed_json_find_text(meta, "uid");
    else if (fed_str_is(path, "metadata.labels"))
        *out = map_lines(s->a, fed_json_find(meta, "labels"));
    else if (fed_str_is(path, "metadata.annotations"))
        *out = map_lines(s->a, fed_json_find(meta, "annotations"));
    else if (subscript(path, "metadata.labels", &key))
        *out = fed_json_str(fed_json_find_str(fed_json_find(meta, "labels"), key));
    else if (subscript(path, "metadata.annotations", &key))
        *out = fed_json_str(fed_json_find_str(fed_json_find(meta, "annotations"), key));
    else if (fed_str_is(path, "spec.nodeName"))
        *out = fed_json_find_text(spec, "nodeName");
    else if (fed_str_is(path, "spec.serviceAccountName"))
        *out = fed_json_find_text(spec, "serviceAccountName");
    else if (fed_str_is(path, "status.hostIP") || fed_str_is(path, "status.hostIPs"))
        *out = s->host_ip;
    else if (fed_str_is(path, "status.podIP") || fed_str_is(path, "status.podIPs"))
        *out = s->pod_ip;
    else
        return fed_err_set(err, FED_E_UNSUPPORTED, "field path \"%.*s\" is not supported", FED_STR_ARG(path));
    if (!out->p)
        *out = FED_STR("");
    return 0;
}

int mbr_resource_text(const struct mbr_env_sources *s, const struct fed_json *container, const struct fed_json *ref,
                      struct fed_str *out, struct fed_err *err)
{
    struct fed_str what = fed_json_find_text(ref, "resource"), kind, divisor = fed_json_find_text(ref, "divisor");
    int64_t v, d = 1000;
    if (!fed_str_cut(&what, '.', &kind))
        return fed_err_set(err, FED_E_UNSUPPORTED, "resource: empty");
    bool cpu = fed_str_is(what, "cpu");
    const struct fed_json *have =
        fed_json_find_str(fed_json_find_str(fed_json_find(container, "resources"), kind), what);
    struct fed_str text = have && have->type == FED_JSON_NUMBER ? have->s : fed_json_str(have);
    if (!text.n || fed_quantity_milli(text, &v) < 0)
        v = fed_str_is(kind, "limits") ? (cpu ? s->node_cpu_milli : s->node_memory * 1000) : 0;
    if (divisor.n && (fed_quantity_milli(divisor, &d) < 0 || d <= 0))
        d = 1000; /* "0" is how the default is written */
    *out = fed_arena_printf(s->a, "%lld", (long long)((v + d - 1) / d));
    return 0;
}

static int value_from(const struct mbr_env_sources *s, const struct fed_json *container, const struct fed_json *from,
                      struct fed_str *out, struct fed_err *err)
{
    const struct fed_json *ref;
    if ((ref = fed_json_find(from, "configMapKeyRef")))
        return key_ref(s, ref, false, out, err);
    if ((ref = fed_json_find(from, "secretKeyRef")))
        return key_ref(s, ref, true, out, err);
    if ((ref = fed_json_find(from, "fieldRef")))
        return mbr_field_text(s, fed_json_find_text(ref, "fieldPath"), out, err);
    if ((ref = fed_json_find(from, "resourceFieldRef")))
        return mbr_resource_text(s, container, ref, out, err);
    return fed_err_set(err, FED_E_UNSUPPORTED, "env.valueFrom: this source is not supported");
}

static int env_from(const struct mbr_env_sources *s, const struct fed_json *from, struct mbr_vars *vars,
                    struct fed_err *err)
{
    struct fed_str prefix = fed_json_find_text(from, "prefix"), value;
    const struct fed_json *ref = fed_json_find(from, "configMapRef");
    bool secret = !ref;
    if (secret)
        ref = fed_json_find(from, "secretRef");
    struct fed_str name = fed_json_find_text(ref, "name");
    const struct fed_json *obj = secret ? s->secret(s->ud, name) : s->config_map(s->ud, name);
    if (!obj)
        return fed_json_bool(fed_json_find(ref, "optional"), false)
                   ? 0
                   : missing(err, secret ? "secret" : "configmap", name);
    FED_JSON_EACH(d, fed_json_find(obj, "data")) {
        value = fed_json_str(d);
        if (secret && secret_value(s->a, d, &value) < 0)
            continue;
        mbr_vars_set(s->a, vars, fed_arena_printf(s->a, "%.*s%.*s", FED_STR_ARG(prefix), FED_STR_ARG(d->key)), value);
    }
    return 0;
}

int mbr_env_build(const struct mbr_env_sources *s, const struct fed_json *container, struct mbr_vars *vars,
                  struct fed_err *err)
{
    int rc = 0;
    FED_JSON_EACH(from, fed_json_find(container, "envFrom")) {
        if ((rc = env_from(s, from, vars, err)) < 0)
            return rc;
    }
    FED_JSON_EACH(e, fed_json_find(container, "env")) {
        const struct fed_json *from = fed_json_find(e, "valueFrom");
        struct fed_str value = mbr_env_expand(s->a, fed_json_find_text(e, "value"), vars);
        if (from && (rc = value_from(s, container, from, &value, err)) < 0)
            return rc;
        if (from && !value.p)
            continue; /* optional and absent: not set at all */
        mbr_vars_set(s->a, vars, fed_json_find_text(e, "name"), value.p ? value : FED_STR(""));
    }
    return 0;
}

static struct fed_str shout(struct fed_arena *a, struct fed_str s)
{
    char *p = fed_arena_dupz(a, s);
    for (size_t i = 0; i < s.n; i++)
        p[i] = p[i] == '-' ? '_' : p[i] >= 'a' && p[i] <= 'z' ? (char)(p[i] - 32) : p[i];
    return fed_str_n(p, s.n);
}

void mbr_env_service(struct fed_arena *a, struct mbr_vars *vars, struct fed_str name, struct fed_str ip,
                     const struct fed_json *ports)
{
    struct fed_str n = shout(a, name);
    const struct fed_json *first = fed_json_item(ports, 0);
    if (!first || !ip.n)
        return;
    long long port = (long long)fed_json_int(fed_json_find(first, "port"), 0);
    mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_SERVICE_HOST", FED_STR_ARG(n)), ip);
    mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_SERVICE_PORT", FED_STR_ARG(n)), fed_arena_printf(a, "%lld", port));
    FED_JSON_EACH(p, ports) {
        struct fed_str pn = fed_json_find_text(p, "name"), proto = fed_json_find_text(p, "protocol");
        if (!proto.n)
            proto = FED_STR("TCP");
        long long v = (long long)fed_json_int(fed_json_find(p, "port"), 0);
        struct fed_str text = fed_arena_printf(a, "%lld", v), base, url;
        char *lower = fed_arena_dupz(a, proto);
        for (size_t i = 0; i < proto.n; i++)
            lower[i] = (char)(lower[i] | 32);
        if (pn.n)
            mbr_vars_set(a, vars,
                         fed_arena_printf(a, "%.*s_SERVICE_PORT_%.*s", FED_STR_ARG(n), FED_STR_ARG(shout(a, pn))),
                         text);
        base = fed_arena_printf(a, "%.*s_PORT_%lld_%.*s", FED_STR_ARG(n), v, FED_STR_ARG(proto));
        url = fed_arena_printf(a, "%s://%.*s:%lld", lower, FED_STR_ARG(ip), v);
        if (p == first)
            mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_PORT", FED_STR_ARG(n)), url);
        mbr_vars_set(a, vars, base, url);
        mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_PROTO", FED_STR_ARG(base)), fed_str(lower));
        mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_PORT", FED_STR_ARG(base)), text);
        mbr_vars_set(a, vars, fed_arena_printf(a, "%.*s_ADDR", FED_STR_ARG(base)), ip);
    }
}

struct fed_str mbr_rewrite_path(struct fed_arena *a, struct fed_str text, struct fed_str target, struct fed_str source)
{
    if (!fed_str_starts(text, target) || (text.n > target.n && text.p[target.n] != '/'))
        return text;
    struct fed_str rest = fed_str_from(text, target.n);
    return fed_arena_printf(a, "%.*s%.*s", FED_STR_ARG(source), FED_STR_ARG(rest));
}
