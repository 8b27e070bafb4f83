/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/pki_dir.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypto/pki.h"
#include "crypto/pki_request.h"
#include "kube/kubeconfig.h"

#define DAY_MS      INT64_C(86400000)
#define BACKDATE_MS INT64_C(300000)
enum { CA_DAYS = 3650, LEAF_DAYS = 365, MAX_PEM = 256 * 1024 };

struct pair {
    char *cert_path, *key_path;
    struct fed_buf cert, key;
};
struct fed_pki_dir {
    struct fed_env *env;
    struct fed_pki_dir_conf conf;
    char *kubeconfig;
    struct pair ca, server, admin, sa; /* sa has no certificate */
};

static void pair_init(struct pair *p, const char *dir, const char *name)
{
    p->cert_path = fed_asprintf("%s/%s.crt", dir, name);
    p->key_path = fed_asprintf("%s/%s.key", dir, name);
    fed_buf_init(&p->cert, MAX_PEM);
    fed_buf_init(&p->key, MAX_PEM);
}

static void pair_release(struct pair *p)
{
    free(p->cert_path);
    free(p->key_path);
    fed_buf_release(&p->cert);
    fed_buf_release(&p->key);
}

/* 1: there, 0: absent. */
static int read_part(const char *path, struct fed_buf *out, struct fed_err *err)
{
    fed_buf_reset(out);
    int rc = fed_file_read(path, MAX_PEM, out, err);
    return rc == 0 ? 1 : rc == FED_E_NOT_FOUND ? 0 : rc;
}

static int ensure_key(struct pair *p, bool given, bool *made, struct fed_err *err)
{
    int rc = read_part(p->key_path, &p->key, err);
    *made = rc == 0;
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (given)
        return fed_err_set(err, FED_E_NOT_FOUND, "%s: does not exist", p->key_path);
    fed_buf_reset(&p->key);
    rc = fed_pki_new_key(&p->key, err);
    return rc < 0 ? rc : fed_file_write_atomic(p->key_path, fed_buf_str(&p->key), 0600, err);
}

static int ensure_ca(struct fed_pki_dir *p, struct fed_err *err)
{
    bool made;
    int rc = ensure_key(&p->ca, p->conf.ca_dir != NULL, &made, err);
    if (rc < 0)
        return rc;
    rc = made ? 0 : read_part(p->ca.cert_path, &p->ca.cert, err);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    if (p->conf.ca_dir)
        return fed_err_set(err, FED_E_NOT_FOUND, "%s: does not exist", p->ca.cert_path);
    char cn[128];
    int64_t now = fed_wall_ms(p->env);
    snprintf(cn, sizeof(cn), "%.100s-ca", p->conf.name);
    fed_buf_reset(&p->ca.cert);
    rc = fed_pki_new_ca(fed_buf_str(&p->ca.key), fed_str(cn), now - DAY_MS, now + CA_DAYS * DAY_MS, &p->ca.cert, err);
    return rc < 0 ? rc : fed_file_write_atomic(p->ca.cert_path, fed_buf_str(&p->ca.cert), 0644, err);
}

static bool leaf_good(const struct fed_pki_dir *p, const struct pair *leaf)
{
    int64_t from, to, now = fed_wall_ms(p->env);
    return leaf->cert.n && fed_pki_validity(fed_buf_str(&leaf->cert), &from, &to, NULL) == 0 &&
           fed_pki_signed_by(fed_buf_str(&leaf->cert), fed_buf_str(&p->ca.cert)) &&
           fed_pki_key_matches(fed_buf_str(&leaf->cert), fed_buf_str(&leaf->key)) && now >= from &&
           now < from + (to - from) / 3 * 2;
}

static int ensure_leaf(struct fed_pki_dir *p, struct pair *leaf, const struct fed_cert_spec *what, bool *changed,
                       struct fed_err *err)
{
    bool made;
    int rc = ensure_key(leaf, false, &made, err);
    if (rc < 0 || (!made && (rc = read_part(leaf->cert_path, &leaf->cert, err)) < 0))
        return rc;
    if (!made && leaf_good(p, leaf) && fed_pki_is_for(fed_buf_str(&leaf->cert), what->dns_names, what->ips))
        return 0;
    struct fed_cert_spec spec = *what;
    spec.not_before_ms = fed_wall_ms(p->env) - DAY_MS; /* clocks of clients may be behind */
    spec.not_after_ms = spec.not_before_ms + LEAF_DAYS * DAY_MS;
    fed_buf_reset(&leaf->cert);
    rc = fed_pki_sign(fed_buf_str(&p->ca.cert), fed_buf_str(&p->ca.key), fed_buf_str(&leaf->key), &spec, &leaf->cert,
                      err);
    *changed = true;
    return rc < 0 ? rc : fed_file_write_atomic(leaf->cert_path, fed_buf_str(&leaf->cert), 0644, err);
}

int fed_pki_dir_renew(struct fed_pki_dir *p, bool *changed, struct fed_err *err)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    const struct fed_cert_spec server = {
        .cn = fed_str(p->conf.server_cn), .dns_names = p->conf.names, .ips = p->conf.ips, .server = true};
    const struct fed_cert_spec admin = {.cn = FED_STR("admin"), .orgs = &masters, .n_orgs = 1, .client = true};
    *changed = false;
    int rc = ensure_leaf(p, &p->server, &server, changed, err);
    return rc < 0 ? rc : ensure_leaf(p, &p->admin, &admin, changed, err);
}

int fed_pki_dir_open(struct fed_env *env, const struct fed_pki_dir_conf *conf, struct fed_pki_dir **out,
                     struct fed_err *err)
{
    struct fed_pki_dir *p = FED_NEW(struct fed_pki_dir);
    char folder[PATH_MAX];
    bool made;
    p->env = env;
    p->conf = *conf;
    p->kubeconfig = fed_asprintf("%s/kubeconfig", conf->dir);
    snprintf(folder, sizeof(folder), "%s/pki", conf->dir);
    pair_init(&p->ca, conf->ca_dir ? conf->ca_dir : folder, "ca");
    pair_init(&p->server, folder, "server");
    pair_init(&p->admin, folder, "admin");
    pair_init(&p->sa, conf->ca_dir ? conf->ca_dir : folder, "sa");
    int rc = fed_file_mkdirs(folder, 0700, err);
    if (rc == 0)
        rc = ensure_ca(p, err);
    if (rc == 0)
        rc = ensure_key(&p->sa, conf->ca_dir != NULL, &made, err);
    if (rc == 0)
        rc = fed_pki_dir_renew(p, &made, err);
    if (rc < 0) {
        fed_pki_dir_free(p);
        return fed_err_wrap(err, rc, "keys of %s", conf->name);
    }
    *out = p;
    return 0;
}

void fed_pki_dir_free(struct fed_pki_dir *p)
{
    if (!p)
        return;
    pair_release(&p->ca);
    pair_release(&p->server);
    pair_release(&p->admin);
    pair_release(&p->sa);
    free(p->kubeconfig);
    free(p);
}

struct fed_str fed_pki_dir_ca(const struct fed_pki_dir *p)
{
    return fed_buf_str(&p->ca.cert);
}
struct fed_str fed_pki_dir_sa_key(const struct fed_pki_dir *p)
{
    return fed_buf_str(&p->sa.key);
}
const char *fed_pki_dir_sa_key_file(const struct fed_pki_dir *p)
{
    return p->sa.key_path;
}
struct fed_str fed_pki_dir_admin_cert(const struct fed_pki_dir *p)
{
    return fed_buf_str(&p->admin.cert);
}
struct fed_str fed_pki_dir_admin_key(const struct fed_pki_dir *p)
{
    return fed_buf_str(&p->admin.key);
}
const char *fed_pki_dir_server_cert_file(const struct fed_pki_dir *p)
{
    return p->server.cert_path;
}
const char *fed_pki_dir_server_key_file(const struct fed_pki_dir *p)
{
    return p->server.key_path;
}
const char *fed_pki_dir_ca_file(const struct fed_pki_dir *p)
{
    return p->ca.cert_path;
}

int fed_pki_dir_issue(const struct fed_pki_dir *p, struct fed_str cn, struct fed_str org, struct fed_buf *cert_pem,
                      struct fed_buf *key_pem, struct fed_err *err)
{
    struct fed_cert_spec spec = {.cn = cn, .orgs = &org, .n_orgs = 1, .client = true};
    spec.not_before_ms = fed_wall_ms(p->env) - DAY_MS;
    spec.not_after_ms = spec.not_before_ms + LEAF_DAYS * DAY_MS;
    int rc = fed_pki_new_key(key_pem, err);
    if (rc == 0)
        rc =
            fed_pki_sign(fed_buf_str(&p->ca.cert), fed_buf_str(&p->ca.key), fed_buf_str(key_pem), &spec, cert_pem, err);
    return rc;
}

int fed_pki_dir_sign_request(const struct fed_pki_dir *p, struct fed_str csr_pem, unsigned uses, int64_t seconds,
                             struct fed_buf *cert_pem, struct fed_err *err)
{
    int64_t now = fed_wall_ms(p->env);
    return fed_pki_request_sign(fed_buf_str(&p->ca.cert), fed_buf_str(&p->ca.key), csr_pem, uses, now - BACKDATE_MS,
                                now - BACKDATE_MS + seconds * 1000, cert_pem, err);
}

int fed_pki_dir_write_kubeconfig(const struct fed_pki_dir *p, const char *server, struct fed_err *err)
{
    struct fed_buf text, old;
    struct fed_rest_conf rest = {0};
    struct pair copy = p->admin;
    struct fed_buf ca = p->ca.cert;
    rest.server = fed_strdup(server);
    rest.ca_pem = fed_strdup_str(fed_buf_str(&ca));
    rest.cert_pem = fed_strdup_str(fed_buf_str(&copy.cert));
    rest.key_pem = fed_strdup_str(fed_buf_str(&copy.key));
    fed_buf_init(&text, 1024 * 1024);
    fed_buf_init(&old, 1024 * 1024);
    fed_kubeconfig_format(p->conf.name, &rest, &text);
    int rc = 0;
    if (fed_file_read(p->kubeconfig, 1024 * 1024, &old, NULL) < 0 || !fed_str_eq(fed_buf_str(&old), fed_buf_str(&text)))
        rc = fed_file_write_atomic(p->kubeconfig, fed_buf_str(&text), 0600, err);
    fed_buf_release(&text);
    fed_buf_release(&old);
    fed_rest_conf_release(&rest);
    return rc;
}
