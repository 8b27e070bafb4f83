/* SPDX-License-Identifier: Apache-2.0 */
/* certs.c: TLS contexts by host name, from the secrets that ingresses name. */
#include "globallb/route/certs.h"

#include "base/map.h"
#include "base/mem.h"

struct glb_certs {
    unsigned refs;
    struct fed_map exact, wild; /* host -> fed_tls, borrowed from all */
    struct fed_map all;         /* "ns/secret" -> fed_tls, NULL for an unusable one */
    size_t failed;
};

static const struct fed_tls_secret *find_secret(const struct fed_snapshot *s, struct fed_str ns, struct fed_str name)
{
    for (size_t i = 0; i < s->n_secrets; i++)
        if (fed_str_eq(s->secrets[i]->name, name) && fed_str_eq(s->secrets[i]->ns, ns))
            return s->secrets[i];
    return NULL;
}

static struct fed_tls *context_of(struct glb_certs *c, struct fed_env *env, const struct fed_tls_secret *sec)
{
    char *key = fed_asprintf("%.*s/%.*s", FED_STR_ARG(sec->ns), FED_STR_ARG(sec->name));
    struct fed_tls *tls = fed_map_find(&c->all, fed_str(key));
    if (!tls && !fed_map_has(&c->all, fed_str(key))) {
        struct fed_tls_conf conf = {
            .server = true, .cert_pem = sec->cert_pem, .key_pem = sec->key_pem, .alpn = "h2,http/1.1"};
        if (fed_tls_new(env, &conf, &tls, NULL) != 0) {
            tls = NULL;
            c->failed++;
        }
        fed_map_set(&c->all, fed_str(key), tls);
    }
    free(key);
    return tls;
}

static void add_host(struct glb_certs *c, struct fed_str host, struct fed_tls *tls)
{
    bool wild = fed_str_starts(host, FED_STR("*."));
    struct fed_map *map = wild ? &c->wild : &c->exact;
    struct fed_str key = wild ? fed_str_from(host, 2) : host;
    if (key.n && !fed_map_find(map, key)) /* the older ingress' stays */
        fed_map_set(map, key, tls);
}

static void add_ingress(struct glb_certs *c, struct fed_env *env, const struct fed_snapshot *s,
                        const struct fed_ingress *in)
{
    for (size_t i = 0; i < in->n_tls; i++) {
        const struct fed_ingress_tls *t = &in->tls[i];
        const struct fed_tls_secret *sec = t->secret.n ? find_secret(s, in->ns, t->secret) : NULL;
        struct fed_tls *tls = sec ? context_of(c, env, sec) : NULL;
        if (!tls)
            continue;
        for (size_t k = 0; k < t->n_hosts; k++)
            add_host(c, t->hosts[k], tls);
        /* Without hosts the certificate serves those of the rules. */
        for (size_t k = 0; t->n_hosts == 0 && k < in->n_rules; k++)
            add_host(c, in->rules[k].host, tls);
    }
}

struct glb_certs *glb_certs_new(struct fed_env *env, const struct fed_snapshot *s)
{
    struct glb_certs *c = FED_NEW(struct glb_certs);
    c->refs = 1;
    for (size_t i = 0; i < s->n_ingresses; i++)
        add_ingress(c, env, s, s->ingresses[i]);
    return c;
}

struct glb_certs *glb_certs_ref(struct glb_certs *c)
{
    c->refs++;
    return c;
}

void glb_certs_unref(struct glb_certs *c)
{
    if (!c || --c->refs > 0)
        return;
    FED_MAP_EACH(e, &c->all)
        fed_tls_unref(e->value);
    fed_map_release(&c->all);
    fed_map_release(&c->exact);
    fed_map_release(&c->wild);
    free(c);
}

struct fed_tls *glb_certs_find(const struct glb_certs *c, const char *server_name)
{
    struct fed_str name = fed_str(server_name);
    struct fed_tls *tls = fed_map_find(&c->exact, name);
    ptrdiff_t dot = tls ? -1 : fed_str_chr(name, '.', 0);
    return dot > 0 ? fed_map_find(&c->wild, fed_str_from(name, (size_t)dot + 1)) : tls;
}

size_t glb_certs_failed(const struct glb_certs *c)
{
    return c->failed;
}
