/* SPDX-License-Identifier: Apache-2.0 */
/* The run of one container: program, arguments, environment, mounts. */
#include <arpa/inet.h>
#include <limits.h>
#include <unistd.h>

#include "base/mem.h"
#include "member/agent/pod.h"

enum { REPLACED_BASE = 20000 };

struct ready_spec {
    struct mbr_run_spec spec;
    struct fed_arena *a;
    struct mbr_vars vars;
};

char *mbr_image_file(const struct mbr *m, struct fed_str image)
{
    static const char *const names[] = {"echo", "fedapi", "dns", "globallb"};
    static const char *const prefixes[] = {"docker.io/hansa/", "hansa/"};
    for (size_t i = 0; i < FED_ARRAY_LEN(prefixes); i++) {
        if (!fed_str_starts(image, fed_str(prefixes[i])))
            continue;
        struct fed_str rest = fed_str_from(image, strlen(prefixes[i])), name;
        ptrdiff_t cut = fed_str_chr(rest, '@', 0);
        name = cut >= 0 ? fed_str_head(rest, (size_t)cut) : rest;
        cut = fed_str_chr(name, ':', 0);
        name = cut >= 0 ? fed_str_head(name, (size_t)cut) : name;
        for (size_t k = 0; k < FED_ARRAY_LEN(names); k++) {
            char *file = fed_str_is(name, names[k]) ? fed_asprintf("%s/hansa-%s", m->bin_dir, names[k]) : NULL;
            if (file && access(file, X_OK) == 0)
                return file;
            free(file);
        }
    }
    return NULL;
}

void mbr_pod_plan_ports(struct mbr_pod *p, const struct fed_json *tree)
{
    struct fed_buf b = {0};
    FED_JSON_EACH(c, fed_json_at(tree, "spec", "containers", NULL))
        FED_JSON_EACH(port, fed_json_find(c, "ports")) {
            int64_t n = fed_json_int(fed_json_find(port, "containerPort"), 0);
            if (n > 0 && n < 1024 && !mbr_may_bind(p->ip, (uint16_t)n))
                fed_buf_addf(&b, "%s\"%lld\":%lld", b.n ? "," : "{", (long long)n, (long long)n + REPLACED_BASE);
        }
    if (b.n)
        fed_buf_addc(&b, '}');
    free(p->ports_json);
    p->ports_json = b.n ? fed_strdup_str(fed_buf_str(&b)) : NULL;
    fed_buf_release(&b);
}

struct service_vars {
    struct fed_arena *a;
    struct mbr_vars *vars;
    bool all;
};

static bool add_service(void *ud, struct fed_kobj *svc)
{
    struct service_vars *x = ud;
    const struct fed_json *spec = fed_json_find(fed_kobj_parse(svc, x->a), "spec");
    struct fed_str ip = fed_json_find_text(spec, "clusterIP");
    if (ip.n && !fed_str_is(ip, "None") && (x->all || fed_str_is(svc->name, "kubernetes")))
        mbr_env_service(x->a, x->vars, svc->name, ip, fed_json_find(spec, "ports"));
    return true;
}

static void set(struct ready_spec *r, const char *name, const char *value)
{
    mbr_vars_set(r->a, &r->vars, fed_str(name), fed_str(value ? value : ""));
}

static int build_env(struct mbr_pod *p, const struct mbr_container *c, const struct fed_json *tree,
                     const struct fed_json *spec, struct ready_spec *r, struct fed_err *err)
{
    struct mbr *m = p->agents->m;
    struct mbr_env_sources src;
    struct service_vars sv = {r->a, &r->vars,
                              fed_json_bool(fed_json_at(tree, "spec", "enableServiceLinks", NULL), true)};
    struct fed_json *ports = NULL;
    (void)c;
    mbr_pod_sources(p, r->a, tree, &src);
    set(r, "PATH",
        fed_arena_printf(r->a, "%s:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", m->bin_dir).p);
    set(r, "HOSTNAME", p->host_network ? p->node->name : fed_arena_dupz(r->a, p->obj->name));
    set(r, "HOME", p->dir);
    struct fed_kobj *api = mbr_find(m, MBR_SERVICES, FED_STR("default"), FED_STR("kubernetes"));
    if (api)
        (void)add_service(&(struct service_vars){r->a, &r->vars, false}, api);
    fed_informer_each(m->informers[MBR_SERVICES], p->obj->ns, add_service, &sv);
    int rc = mbr_env_build(&src, spec, &r->vars, err);
    /* What the runtime decides wins over the spec: a program must bind where endpoints say it is. */
    set(r, "POD_IP", p->ip);
    set(r, "HANSA_CLUSTER", m->conf->name);
    set(r, "HANSA_REGION", m->conf->region);
    set(r, "HANSA_ZONE", m->conf->zone);
    set(r, "HANSA_NODE", p->node->name);
    set(r, "HANSA_NODE_IP", p->node->ip);
    set(r, "HANSA_POD_NAME", fed_arena_dupz(r->a, p->obj->name));
    set(r, "HANSA_POD_NAMESPACE", fed_arena_dupz(r->a, p->obj->ns));
    if (p->ports_json && fed_json_parse(r->a, fed_str(p->ports_json), NULL, &ports, NULL) == 0)
        FED_JSON_EACH(e, ports)
            mbr_vars_set(r->a, &r->vars, fed_arena_printf(r->a, "HANSA_PORT_%.*s", FED_STR_ARG(e->key)),
                         fed_arena_dup(r->a, e->s));
    return rc;
}

static int by_target(const void *pa, const void *pb)
{
    const struct mbr_run_mount *a = pa, *b = pb;
    size_t na = strlen(a->target), nb = strlen(b->target);
    return na < nb ? -1 : na > nb; /* parents first */
}

static int build_mounts(struct mbr_pod *p, const struct fed_json *tree, const struct fed_json *spec,
                        struct ready_spec *r, struct fed_err *err)
{
    const struct fed_json *list = fed_json_find(spec, "volumeMounts");
    struct mbr_run_mount *mounts = FED_ARENA_ARRAY(r->a, struct mbr_run_mount, (list ? list->n : 0) + 1);
    size_t n = 0;
    FED_JSON_EACH(vm, list) {
        struct fed_str name = fed_json_find_text(vm, "name"), sub = fed_json_find_text(vm, "subPath");
        struct fed_str path = mbr_volume_path(p, tree, r->a, name), target = fed_json_find_text(vm, "mountPath");
        bool read_only = fed_json_bool(fed_json_find(vm, "readOnly"), false);
        if (!path.p)
            return fed_err_set(err, FED_E_NOT_FOUND, "volume \"%.*s\" is not in the pod", FED_STR_ARG(name));
        if (sub.n && (fed_str_find(sub, FED_STR(".."), 0) >= 0 || sub.p[0] == '/'))
            return fed_err_set(err, FED_E_INVALID, "subPath \"%.*s\" leaves the volume", FED_STR_ARG(sub));
        if (sub.n)
            path = fed_arena_printf(r->a, "%.*s/%.*s", FED_STR_ARG(path), FED_STR_ARG(sub));
        while (target.n > 1 && target.p[target.n - 1] == '/')
            target.n--;
        FED_JSON_EACH(v, fed_json_at(tree, "spec", "volumes", NULL))
            if (fed_str_eq(fed_json_find_text(v, "name"), name) &&
                (fed_json_find(v, "configMap") || fed_json_find(v, "secret") || fed_json_find(v, "projected") ||
                 fed_json_find(v, "downwardAPI")))
                read_only = true;
        mounts[n++] = (struct mbr_run_mount){fed_arena_dupz(r->a, path), fed_arena_dupz(r->a, target), read_only};
    }
    qsort(mounts, n, sizeof(*mounts), by_target);
    r->spec.mounts = mounts;
    r->spec.n_mounts = n;
    return 0;
}

/* Where the kernel lets us mount nothing: values that are paths below a mountPath name the volume's folder instead. */
static void rewrite(struct ready_spec *r, struct fed_str *text)
{
    for (size_t i = r->spec.n_mounts; i-- > 0;) { /* longest target first */
        struct fed_str now =
            mbr_rewrite_path(r->a, *text, fed_str(r->spec.mounts[i].target), fed_str(r->spec.mounts[i].source));
        if (now.p != text->p) {
            *text = now;
            return;
        }
        ptrdiff_t eq = fed_str_chr(*text, '=', 0); /* --flag=/path */
        struct fed_str value = eq > 0 ? fed_str_from(*text, (size_t)eq + 1) : FED_STR("");
        struct fed_str moved =
            mbr_rewrite_path(r->a, value, fed_str(r->spec.mounts[i].target), fed_str(r->spec.mounts[i].source));
        if (value.n && moved.p != value.p) {
            *text = fed_arena_printf(r->a, "%.*s%.*s", (int)eq + 1, text->p, FED_STR_ARG(moved));
            return;
        }
    }
}

static void build_argv(struct mbr_pod *p, const struct mbr_container *c, const struct fed_json *spec,
                       struct ready_spec *r, const char *image_file)
{
    const struct fed_json *command = fed_json_find(spec, "command"), *args = fed_json_find(spec, "args");
    const char **argv = FED_ARENA_ARRAY(r->a, const char *, (command ? command->n : 0) + (args ? args->n : 0) + 2);
    bool moved = !p->agents->rt->name_spaces;
    size_t n = 0;
    if (!command || !command->n)
        argv[n++] = fed_arena_dupz(r->a, fed_str(image_file));
    for (int k = 0; k < 2; k++)
        FED_JSON_EACH(it, k ? args : command) {
            struct fed_str text = mbr_env_expand(r->a, fed_json_str(it), &r->vars);
            if (moved)
                rewrite(r, &text);
            argv[n++] = fed_arena_dupz(r->a, text);
        }
    (void)c;
    /* The path that the program has in its OCI image is not the one it has here. */
    const char *base = strrchr(argv[0], '/'), *ours = strrchr(image_file, '/');
    bool stranger = base && access(argv[0], X_OK) != 0 && ours && strcmp(base, ours) == 0;
    r->spec.file = stranger ? fed_arena_dupz(r->a, fed_str(image_file)) : argv[0];
    r->spec.argv = argv;
    r->spec.n_argv = n;
    const char *cwd = fed_arena_dupz(r->a, fed_json_find_text(spec, "workingDir"));
    r->spec.cwd = *cwd ? cwd : "/";
    r->spec.has_stdin = fed_json_bool(fed_json_find(spec, "stdin"), false);
    r->spec.tty = fed_json_bool(fed_json_find(spec, "tty"), false);
}

static void finish_env(struct mbr_pod *p, struct ready_spec *r)
{
    const char **envp = FED_ARENA_ARRAY(r->a, const char *, r->vars.n + 2);
    bool moved = !p->agents->rt->name_spaces;
    for (size_t i = 0; i < r->vars.n; i++) {
        struct fed_str v = r->vars.v[i].value;
        if (moved)
            rewrite(r, &v);
        envp[i] = fed_arena_printf(r->a, "%.*s=%.*s", FED_STR_ARG(r->vars.v[i].key), FED_STR_ARG(v)).p;
    }
    r->spec.n_envp = r->vars.n;
    if (moved)
        envp[r->spec.n_envp++] = fed_arena_printf(r->a, "HANSA_ROOT=%s", p->dir).p;
    r->spec.envp = envp;
    if (moved)
        r->spec.n_mounts = 0;
}

int mbr_pod_start_container(struct mbr_pod *p, struct mbr_container *c, const struct fed_json *tree,
                            struct fed_arena *a, struct fed_err *err)
{
    struct ready_spec r = {.a = a};
    const struct fed_json *spec = mbr_container_spec(tree, c);
    if (!p->agents->rt->real)
        return p->agents->rt->ops->start(p->run, c->name, c->attempt, &r.spec, err);
    char *file = mbr_image_file(p->agents->m, fed_str(c->image));
    if (!file)
        return fed_err_set(err, FED_E_UNSUPPORTED, "image \"%s\" is not one of the included images", c->image);
    int rc = build_env(p, c, tree, spec, &r, err);
    if (rc == 0)
        rc = build_mounts(p, tree, spec, &r, err);
    if (rc == 0) {
        build_argv(p, c, spec, &r, file);
        finish_env(p, &r);
        rc = p->agents->rt->ops->start(p->run, c->name, c->attempt, &r.spec, err);
    }
    free(file);
    return rc;
}
