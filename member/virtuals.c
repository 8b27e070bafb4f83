/* SPDX-License-Identifier: Apache-2.0 */
#include "member/virtuals.h"

#include "base/mem.h"
#include "member/controllers/controllers.h"
#include "member/streams/streams.h"

#define BINDER      "system:hansa:binder"
#define TOKEN_PATH  "/var/run/secrets/kubernetes.io/serviceaccount"
#define PROXY_VERBS "create,delete,get,patch,update"

void mbr_virtuals_init(struct mbr *m)
{
    const struct fed_virtual list[] = {
        {"", "v1", "bindings", "Binding", true, "create", mbr_serve_binding, m},
        {"", "v1", "pods/binding", "Binding", true, "create", mbr_serve_binding, m},
        {"", "v1", "pods/eviction", "Eviction", true, "create", mbr_serve_eviction, m},
        {"", "v1", "pods/log", "Pod", true, "get", mbr_serve_log, m},
        {"", "v1", "pods/exec", "PodExecOptions", true, "get,create", mbr_serve_exec, m},
        {"", "v1", "pods/attach", "PodAttachOptions", true, "get,create", mbr_serve_attach, m},
        {"", "v1", "pods/portforward", "PodPortForwardOptions", true, "get,create", mbr_serve_forward, m},
        {"", "v1", "pods/proxy", "PodProxyOptions", true, PROXY_VERBS, mbr_serve_pod_proxy, m},
        {"", "v1", "services/proxy", "ServiceProxyOptions", true, PROXY_VERBS, mbr_serve_service_proxy, m},
        {"", "v1", "nodes/proxy", "NodeProxyOptions", false, PROXY_VERBS, mbr_serve_node_proxy, m},
        {"metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", false, "get,list", mbr_serve_node_metrics, m},
        {"metrics.k8s.io", "v1beta1", "pods", "PodMetrics", true, "get,list", mbr_serve_pod_metrics, m},
    };
    memcpy(m->virtuals, list, sizeof(list));
    m->n_virtuals = FED_ARRAY_LEN(list);
}

/* The core rules, which ran before, freeze a pod's spec. The binder's writes are made by binding.c alone and change
 * spec.nodeName of an unassigned pod only, so what those rules found is nodeName. */
static void validate_binding(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    (void)ud;
    (void)obj;
    if (w->old && fed_str_is(w->user, BINDER))
        causes->n = 0;
}

void mbr_virtuals_hooks(struct mbr *m)
{
    static const struct fed_str masters = FED_STR_INIT("system:masters");
    const struct fed_identity who = {.user = FED_STR(BINDER), .groups = &masters, .n_groups = 1};
    m->binder = fed_api_local(m->api, &who);
    fed_kinds_set_hooks(m->kinds, "", "pods", &(struct fed_hooks){.validate = validate_binding});
}

static struct fed_json *toleration(struct fed_arena *a, const char *key)
{
    struct fed_json *t = fed_json_object(a);
    fed_json_set(t, "key", fed_json_new_strz(a, key));
    fed_json_set(t, "operator", fed_json_new_strz(a, "Exists"));
    fed_json_set(t, "effect", fed_json_new_strz(a, "NoExecute"));
    fed_json_set(t, "tolerationSeconds", fed_json_new_int(a, 300));
    return t;
}

static void default_tolerations(struct fed_arena *a, struct fed_json *spec)
{
    static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
    struct fed_json *list = fed_json_ensure_array(a, spec, "tolerations");
    for (size_t i = 0; list && i < FED_ARRAY_LEN(keys); i++) {
        bool has = false;
        FED_JSON_EACH(t, list) {
            struct fed_str key = fed_json_find_text(t, "key");
            has = has || !key.n || fed_str_is(key, keys[i]);
        }
        if (!has)
            fed_json_push(list, toleration(a, keys[i]));
    }
}

static struct fed_json *token_volume(struct fed_arena *a, struct fed_str name)
{
    static const char text[] =
        "{\"projected\":{\"defaultMode\":420,\"sources\":["
        "{\"serviceAccountToken\":{\"expirationSeconds\":3607,\"path\":\"token\"}},"
        "{\"configMap\":{\"name\":\"kube-root-ca.crt\",\"items\":[{\"key\":\"ca.crt\",\"path\":\"ca.crt\"}]}},"
        "{\"downwardAPI\":{\"items\":[{\"path\":\"namespace\",\"fieldRef\":{\"apiVersion\":\"v1\","
        "\"fieldPath\":\"metadata.namespace\"}}]}}]}}";
    struct fed_json *v = NULL, *o = fed_json_object(a);
    if (fed_json_parse(a, FED_STR(text), NULL, &v, NULL) < 0)
        return NULL; /* a constant of ours: cannot be */
    struct fed_json *projected = fed_json_find(v, "projected");
    fed_json_remove(projected);
    fed_json_set(o, "name", fed_json_new_str(a, name));
    fed_json_set(o, "projected", projected);
    return o;
}

#define TOKEN_VOLUME "kube-api-access-"

/* The name of the volume: of the one that is there (the pod was admitted before, or says it itself), or a new one. */
static struct fed_str token_volume_name(struct mbr *m, struct fed_arena *a, const struct fed_json *spec, bool *is_new)
{
    char id[37];
    FED_JSON_EACH(v, fed_json_find(spec, "volumes"))
        if (fed_str_starts(fed_json_find_text(v, "name"), FED_STR(TOKEN_VOLUME))) {
            *is_new = false;
            return fed_json_find_text(v, "name");
        }
    *is_new = true;
    fed_uuid(m->env, id);
    return fed_arena_printf(a, TOKEN_VOLUME "%.5s", id);
}

static void mount_token(struct mbr *m, struct fed_arena *a, struct fed_json *spec)
{
    static const char *const lists[] = {"initContainers", "containers"};
    bool used = false, is_new;
    struct fed_str name = token_volume_name(m, a, spec, &is_new);
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_find(spec, lists[i])) {
            bool has = false;
            FED_JSON_EACH(vm, fed_json_find(c, "volumeMounts"))
                has = has || fed_str_is(fed_json_find_text(vm, "mountPath"), TOKEN_PATH);
            struct fed_json *mounts = has ? NULL : fed_json_ensure_array(a, c, "volumeMounts");
            if (!mounts)
                continue;
            struct fed_json *vm = fed_json_push(mounts, fed_json_object(a));
            fed_json_set(vm, "name", fed_json_new_str(a, name));
            fed_json_set(vm, "mountPath", fed_json_new_strz(a, TOKEN_PATH));
            fed_json_set(vm, "readOnly", fed_json_new_bool(a, true));
            used = true;
        }
    struct fed_json *volumes = used && is_new ? fed_json_ensure_array(a, spec, "volumes") : NULL;
    if (volumes)
        fed_json_push(volumes, token_volume(a, name));
}

int mbr_admit(void *ud, const struct fed_api_request *req, const struct fed_kind *kind, const struct fed_json *old,
              struct fed_json *obj, struct fed_err *err)
{
    struct mbr *m = ud;
    struct fed_arena *a = req->arena;
    struct fed_json *spec = fed_json_find(obj, "spec");
    if (!old && spec && !req->subresource.n)
        mbr_claims_admit(m, a, kind, obj);
    if (old || !spec || req->subresource.n || kind->group.n || !fed_str_is(kind->plural, "pods"))
        return 0;
    if (!fed_json_find_text(spec, "serviceAccountName").n)
        fed_json_set(spec, "serviceAccountName", fed_json_new_strz(a, "default"));
    struct fed_str sa = fed_json_find_text(spec, "serviceAccountName");
    fed_json_set(spec, "serviceAccount", fed_json_new_str(a, sa));
    default_tolerations(a, spec);
    struct fed_str ns = fed_obj_ns(obj).n ? fed_obj_ns(obj) : req->ns;
    const struct fed_kobj *account = fed_api_find(m->api, "", "serviceaccounts", ns, sa);
    bool wanted = true;
    if (!account && !fed_str_is(sa, "default")) /* that one comes with its namespace, a moment later */
        return fed_err_set(err, FED_E_FORBIDDEN,
                           "error looking up service account %.*s/%.*s: serviceaccount \"%.*s\" not found",
                           FED_STR_ARG(ns), FED_STR_ARG(sa), FED_STR_ARG(sa));
    int rc = mbr_admit_runtime(m, a, spec, err);
    if (rc < 0)
        return rc;
    if (account) {
        const struct fed_json *tree = fed_kobj_parse(account, a), *secrets = fed_json_find(tree, "imagePullSecrets");
        const struct fed_json *own = fed_json_find(spec, "imagePullSecrets");
        wanted = fed_json_bool(fed_json_find(tree, "automountServiceAccountToken"), true);
        if (secrets && secrets->n && (!own || !own->n))
            fed_json_set(spec, "imagePullSecrets", fed_json_copy(a, secrets));
    }
    wanted = fed_json_bool(fed_json_find(spec, "automountServiceAccountToken"), wanted);
    if (wanted && m->conf->runtime == MBR_RUNTIME_PROCESS)
        mount_token(m, a, spec);
    return 0;
}
