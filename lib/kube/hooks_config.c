/* SPDX-License-Identifier: Apache-2.0 */
/* hooks_config.c: Namespace, ConfigMap, Secret, ServiceAccount. */
#include "codec/base64.h"
#include "kube/kind_rules.h"
#include "kube/names.h"
#include "kube/podspec.h"
#include "kube/schema_priv.h"
#include "kube/table.h"

enum { MAX_DATA = 1 << 20 }; /* bytes in one ConfigMap or Secret */

static const struct fed_str none = {NULL, 0};

/* --- Namespace --- */

static int prepare_namespace(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *spec, *list, *status;

    (void)ud;
    (void)err;
    if (fed_str_is(w->subresource, "status")) { /* an update that does not say it means the default */
        status = fed_json_ensure_object(w->arena, obj, "status");
        if (status && !fed_json_find_text(status, "phase").n)
            fed_json_set(status, "phase", fed_json_new_strz(w->arena, "Active"));
    }
    if (w->old || w->subresource.n)
        return 0;
    spec = fed_json_ensure_object(w->arena, obj, "spec");
    list = spec ? fed_json_ensure_array(w->arena, spec, "finalizers") : NULL;
    if (list && !list->n)
        fed_json_push(list, fed_json_new_strz(w->arena, "kubernetes"));
    status = fed_json_ensure_object(w->arena, obj, "status");
    if (status)
        fed_json_set(status, "phase", fed_json_new_strz(w->arena, "Active"));
    if (fed_obj_name(obj).n)
        fed_obj_set_label(w->arena, obj, "kubernetes.io/metadata.name", fed_obj_name(obj));
    return 0;
}

/* Who is to finish it says whose he is; only Kubernetes' own have short names. */
static void validate_namespace(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    bool finalize = fed_str_is(w->subresource, "finalize");
    size_t i = 0;

    (void)ud;
    if (fed_str_is(w->subresource, "status"))
        fed_rules_namespace_status(obj, c);
    FED_JSON_EACH(f, w->old && !finalize ? NULL : fed_json_at(obj, "spec", "finalizers", NULL)) {
        struct fed_str name = fed_json_str(f);
        const char *at = finalize ? fed_arena_printf(c->arena, "spec.finalizers[%zu]", i).p : "spec.finalizers";

        fed_check_name(c, name, fed_name_check_qualified, fed_quoted(c->arena, name), fed_str(at));
        if (fed_str_chr(name, '/', 0) < 0 && !fed_str_is(name, "kubernetes") && !fed_str_is(name, "orphan") &&
            !fed_str_is(name, "foregroundDeletion"))
            fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, name),
                    "name is neither a standard finalizer name nor is it fully qualified", "%s", at);
        i++;
    }
}

static void namespace_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                            int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(fed_json_find(obj, "status"), "phase"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

/* --- keys of ConfigMap and Secret --- */

static size_t check_keys(const struct fed_json *obj, const char *member, const char *other, struct fed_causes *c)
{
    const struct fed_json *map = fed_json_find(obj, member), *beside = fed_json_find(obj, other);
    size_t bytes = 0;

    FED_JSON_EACH(it, map) {
        struct fed_str at = fed_arena_printf(c->arena, "%s[%.*s]", member, FED_STR_ARG(it->key));
        struct fed_str shown = fed_arena_printf(c->arena, "\"%.*s\"", FED_STR_ARG(it->key));

        if (fed_name_check_config_key(it->key))
            fed_check_name(c, it->key, fed_name_check_config_key, shown, at);
        if (beside && fed_json_find_str(beside, it->key))
            fed_causes_add(c, FED_CAUSE_INVALID, at, shown, "duplicate of key present in %s", other);
        bytes += it->type == FED_JSON_STRING ? it->s.n : 0;
    }
    return bytes;
}

static void check_frozen(const struct fed_write *w, const struct fed_json *obj, const char *const *members,
                         struct fed_causes *c)
{
    if (!w->old || !fed_json_bool(fed_json_find(w->old, "immutable"), false))
        return;
    if (!fed_json_bool(fed_json_find(obj, "immutable"), false))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("immutable"), none,
                       "field is immutable when `immutable` is set");
    for (; *members; members++) {
        const struct fed_json *a = fed_json_find(w->old, *members), *b = fed_json_find(obj, *members);

        if ((a && a->n) != (b && b->n) || (a && b && !fed_json_equal(a, b)))
            fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_str(*members), none,
                           "field is immutable when `immutable` is set");
    }
}

static void check_size(size_t bytes, const char *at, struct fed_causes *c)
{
    if (bytes > MAX_DATA)
        fed_causes_add(c, FED_CAUSE_TOO_LONG, fed_str(at), none, "must have at most %d bytes", MAX_DATA);
}

static int64_t count_of(const struct fed_json *obj, const char *key)
{
    const struct fed_json *v = fed_json_find(obj, key);

    return v ? v->n : 0;
}

/* --- ConfigMap --- */

static void validate_configmap(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const members[] = {"data", "binaryData", NULL};
    size_t bytes = check_keys(obj, "data", "binaryData", c) + check_keys(obj, "binaryData", "", c) * 3 / 4;

    (void)ud;
    check_size(bytes, "[]", c);
    check_frozen(w, obj, members, c);
}

static void configmap_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                            int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_int(a, cells, count_of(obj, "data") + count_of(obj, "binaryData"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

/* --- Secret --- */

/* stringData is a way to write; only data is kept. */
static int default_secret(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    struct fed_json *plain = fed_json_find(obj, "stringData"), *data;

    (void)ud;
    (void)err;
    if (!plain)
        return 0;
    fed_json_remove(plain);
    data = plain->n ? fed_json_ensure_object(w->arena, obj, "data") : NULL;
    FED_JSON_EACH(it, data ? plain : NULL) {
        struct fed_buf b;

        fed_buf_init(&b, 4 << 20);
        fed_base64_encode(&b, fed_json_str(it));
        fed_json_set_str(data, it->key, fed_json_new_str(w->arena, fed_arena_dup(w->arena, fed_buf_str(&b))));
        fed_buf_release(&b);
    }
    return 0;
}

static void require_key(const struct fed_json *obj, const char *key, struct fed_causes *c)
{
    if (!fed_json_find(fed_json_find(obj, "data"), key))
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "data[%s]", key), none, "%s", "");
}

/* The contents of a Secret are never shown. */
static void check_registry(const struct fed_json *obj, const char *key, struct fed_causes *c)
{
    struct fed_str bytes;
    struct fed_json *v = NULL;
    struct fed_err err = {0};

    require_key(obj, key, c);
    if (!fed_json_find(fed_json_find(obj, "data"), key) ||
        fed_base64_decode(c->arena, fed_json_find_text(fed_json_find(obj, "data"), key), &bytes))
        return;
    if (fed_json_parse(c->arena, bytes, NULL, &v, &err) < 0 || v->type != FED_JSON_OBJECT)
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "data[%s]", key),
                       FED_STR("\"<secret contents redacted>\""), "%s",
                       bytes.n ? "is no JSON object" : "unexpected end of JSON input");
}

static void check_secret_type(const struct fed_json *obj, struct fed_causes *c)
{
    struct fed_str type = fed_json_find_text(obj, "type");

    if (fed_str_is(type, "kubernetes.io/tls")) {
        require_key(obj, "tls.crt", c);
        require_key(obj, "tls.key", c);
    } else if (fed_str_is(type, "kubernetes.io/dockerconfigjson")) {
        check_registry(obj, ".dockerconfigjson", c);
    } else if (fed_str_is(type, "kubernetes.io/dockercfg")) {
        check_registry(obj, ".dockercfg", c);
    } else if (fed_str_is(type, "kubernetes.io/ssh-auth")) {
        require_key(obj, "ssh-privatekey", c);
    } else if (fed_str_is(type, "kubernetes.io/basic-auth")) {
        const struct fed_json *data = fed_json_find(obj, "data");

        if (!fed_json_find(data, "username") && !fed_json_find(data, "password")) {
            require_key(obj, "username", c);
            require_key(obj, "password", c);
        }
    } else if (fed_str_is(type, "kubernetes.io/service-account-token")) {
        if (!fed_obj_annotation(obj, "kubernetes.io/service-account.name").n)
            fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("metadata.annotations[kubernetes.io/service-account.name]"),
                           none, "%s", "");
    }
}

static void validate_secret(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *c)
{
    static const char *const members[] = {"data", NULL};

    (void)ud;
    check_size(check_keys(obj, "data", "", c) * 3 / 4, "data", c);
    check_secret_type(obj, c);
    if (w->old)
        fed_check_immutable(w->old, obj, "", "type", c);
    check_frozen(w, obj, members, c);
}

static void secret_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                         int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_str(a, cells, fed_json_find_text(obj, "type"));
    fed_cell_int(a, cells, count_of(obj, "data"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

static void account_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                          int64_t now_ms, struct fed_json *cells)
{
    (void)ud;
    (void)v;
    fed_cell_int(a, cells, count_of(obj, "secrets"));
    fed_cell_str(a, cells, fed_cell_age(a, obj, now_ms));
}

const struct fed_core_hooks fed_hooks_config[] = {
    {"", "namespaces", {.prepare = prepare_namespace, .validate = validate_namespace, .cells = namespace_cells}},
    {"", "configmaps", {.validate = validate_configmap, .cells = configmap_cells}},
    {"", "secrets", {.defaults = default_secret, .validate = validate_secret, .cells = secret_cells}},
    {"", "serviceaccounts", {.cells = account_cells}},
    {NULL, NULL, {0}}};
