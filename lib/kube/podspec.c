/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/podspec.h"

#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec_priv.h"
#include "kube/selector.h"

static const char *const container_lists[] = {"initContainers", "containers", "ephemeralContainers"};
static const struct fed_str none = {NULL, 0};

/* --- preparation --- */

/* Always for ":latest" or no tag, else IfNotPresent. A colon before the last slash belongs to the registry's port. */
static const char *pull_policy(struct fed_str image)
{
    size_t from = 0;

    if (fed_str_chr(image, '@', 0) >= 0)
        return "IfNotPresent";
    for (size_t i = 0; i < image.n; i++)
        if (image.p[i] == '/')
            from = i + 1;
    image = fed_str_from(image, from);
    if (fed_str_chr(image, ':', 0) < 0 || fed_str_ends(image, FED_STR(":latest")))
        return "Always";
    return "IfNotPresent";
}

static void requests_from_limits(struct fed_arena *a, struct fed_json *container)
{
    struct fed_json *resources = fed_json_find(container, "resources"), *limits = fed_json_find(resources, "limits");
    struct fed_json *requests;

    if (!limits || !limits->n || !(requests = fed_json_ensure_object(a, resources, "requests")))
        return;
    FED_JSON_EACH(l, limits)
        if (!fed_json_find_str(requests, l->key))
            fed_json_set_str(requests, l->key, fed_json_copy(a, l));
}

static void prepare_container(struct fed_arena *a, struct fed_json *c, bool host_network, bool template)
{
    if (c->type != FED_JSON_OBJECT)
        return;
    if (!fed_json_find_text(c, "imagePullPolicy").n)
        fed_json_set(c, "imagePullPolicy", fed_json_new_strz(a, pull_policy(fed_json_find_text(c, "image"))));
    if (!template)
        requests_from_limits(a, c);
    if (host_network)
        FED_JSON_EACH(port, fed_json_find(c, "ports"))
            if (fed_json_find(port, "containerPort") && fed_json_int(fed_json_find(port, "hostPort"), 0) == 0)
                fed_json_set(port, "hostPort", fed_json_copy(a, fed_json_find(port, "containerPort")));
}

void fed_podspec_prepare(struct fed_arena *a, struct fed_json *spec, bool template)
{
    bool host;
    struct fed_str account;

    if (!spec || spec->type != FED_JSON_OBJECT)
        return;
    host = fed_json_bool(fed_json_find(spec, "hostNetwork"), false);
    for (size_t i = 0; i < FED_ARRAY_LEN(container_lists); i++)
        FED_JSON_EACH(c, fed_json_find(spec, container_lists[i]))
            prepare_container(a, c, host, template);
    FED_JSON_EACH(vol, fed_json_find(spec, "volumes"))
        if (vol->type == FED_JSON_OBJECT && vol->n == 1 && fed_json_find(vol, "name"))
            fed_json_set(vol, "emptyDir", fed_json_object(a));
    /* serviceAccount is the old name of serviceAccountName; both are kept equal. */
    account = fed_json_find_text(spec, "serviceAccountName");
    if (!account.n)
        account = fed_json_find_text(spec, "serviceAccount");
    if (account.n) {
        fed_json_set(spec, "serviceAccountName", fed_json_new_str(a, account));
        fed_json_set(spec, "serviceAccount", fed_json_new_str(a, account));
    }
    if (!template && !fed_json_find(spec, "enableServiceLinks"))
        fed_json_set(spec, "enableServiceLinks", fed_json_new_bool(a, true));
}

/* --- validation --- */

static void check_ports(const struct fed_json *list, const char *at, struct fed_map *host_ports, struct fed_causes *c)
{
    struct fed_map names = {0};
    char key[64];
    size_t i = 0;

    FED_JSON_EACH(p, list) {
        struct fed_str name = fed_json_find_text(p, "name");
        const struct fed_json *host = fed_json_find(p, "hostPort");

        fed_check_text(c, name, fed_name_check_port, "%s.ports[%zu].name", at, i);
        if (name.n && fed_map_has(&names, name))
            fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_arena_printf(c->arena, "%s.ports[%zu].name", at, i),
                           fed_quoted(c->arena, name), "%s", "");
        if (name.n)
            fed_map_set(&names, name, NULL);
        if (fed_json_find(p, "containerPort"))
            fed_check_port_number(fed_json_find(p, "containerPort"),
                                  fed_arena_printf(c->arena, "%s.ports[%zu].containerPort", at, i).p, c);
        if (host && fed_json_int(host, 0) != 0) {
            fed_check_port_number(host, fed_arena_printf(c->arena, "%s.ports[%zu].hostPort", at, i).p, c);
            snprintf(key, sizeof(key), "%.*s/%.*s/%lld", FED_STR_ARG(fed_json_find_text(p, "protocol")),
                     FED_STR_ARG(fed_str_head(fed_json_find_text(p, "hostIP"), 24)), (long long)fed_json_int(host, 0));
            if (fed_map_has(host_ports, fed_str(key)))
                fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_arena_printf(c->arena, "%s.ports[%zu].hostPort", at, i),
                               fed_quoted(c->arena, fed_str(key)), "%s", "");
            fed_map_set(host_ports, fed_str(key), NULL);
        }
        i++;
    }
    fed_map_release(&names);
}

static void check_mounts(const struct fed_json *list, const struct fed_map *volumes, const char *at,
                         struct fed_causes *c)
{
    struct fed_map paths = {0};
    size_t i = 0;

    FED_JSON_EACH(m, list) {
        struct fed_str name = fed_json_find_text(m, "name"), path = fed_json_find_text(m, "mountPath");

        if (name.n && !fed_map_has(volumes, name))
            fed_causes_add(c, FED_CAUSE_NOT_FOUND, fed_arena_printf(c->arena, "%s.volumeMounts[%zu].name", at, i),
                           fed_quoted(c->arena, name), "%s", "");
        if (path.n && fed_map_has(&paths, path))
            fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.volumeMounts[%zu].mountPath", at, i),
                           fed_quoted(c->arena, path), "must be unique");
        if (path.n)
            fed_map_set(&paths, path, NULL);
        i++;
    }
    fed_map_release(&paths);
}

static void check_container(const struct fed_json *ctr, const char *at, const struct fed_map *volumes,
                            struct fed_map *host_ports, struct fed_causes *c)
{
    struct fed_str name = fed_json_find_text(ctr, "name"), image = fed_json_find_text(ctr, "image");

    fed_check_text(c, name, fed_name_check_label, "%s.name", at);
    if (!image.n)
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.image", at), none, "%s", "");
    else if (fed_str_trim(image).n != image.n)
        fed_causes_add(c, FED_CAUSE_INVALID, fed_arena_printf(c->arena, "%s.image", at), fed_quoted(c->arena, image),
                       "must not have leading or trailing whitespace");
    check_ports(fed_json_find(ctr, "ports"), at, host_ports, c);
    check_mounts(fed_json_find(ctr, "volumeMounts"), volumes, at, c);
}

static void check_volumes(const struct fed_json *list, const char *at, struct fed_map *names, struct fed_causes *c)
{
    size_t i = 0;

    FED_JSON_EACH(v, list) {
        struct fed_str name = fed_json_find_text(v, "name");

        fed_check_text(c, name, fed_name_check_label, "%s.volumes[%zu].name", at, i);
        if (name.n && fed_map_has(names, name))
            fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_arena_printf(c->arena, "%s.volumes[%zu].name", at, i),
                           fed_quoted(c->arena, name), "%s", "");
        if (name.n)
            fed_map_set(names, name, NULL);
        fed_podspec_check_volume(v, fed_arena_printf(c->arena, "%s.volumes[%zu]", at, i).p, c);
        if (v->n > 2)
            fed_causes_add(c, FED_CAUSE_FORBIDDEN, fed_arena_printf(c->arena, "%s.volumes[%zu]", at, i), none,
                           "may not specify more than 1 volume type");
        i++;
    }
}

void fed_podspec_validate(const struct fed_json *spec, const char *at, struct fed_causes *c)
{
    struct fed_map names = {0}, volumes = {0}, host_ports = {0};
    const struct fed_json *containers = fed_json_find(spec, "containers");

    if (!spec || spec->type != FED_JSON_OBJECT)
        return;
    if (containers && containers->n == 0)
        fed_causes_add(c, FED_CAUSE_REQUIRED, fed_arena_printf(c->arena, "%s.containers", at), none, "%s", "");
    check_volumes(fed_json_find(spec, "volumes"), at, &volumes, c);
    for (size_t i = 0; i < FED_ARRAY_LEN(container_lists); i++) {
        size_t k = 0;

        FED_JSON_EACH(ctr, fed_json_find(spec, container_lists[i])) {
            const char *here = fed_arena_printf(c->arena, "%s.%s[%zu]", at, container_lists[i], k).p;
            struct fed_str name = fed_json_find_text(ctr, "name");

            if (name.n && fed_map_has(&names, name))
                fed_causes_add(c, FED_CAUSE_DUPLICATE, fed_arena_printf(c->arena, "%s.name", here),
                               fed_quoted(c->arena, name), "%s", "");
            if (name.n)
                fed_map_set(&names, name, NULL);
            /* Init containers run one after another: their host ports never meet those of others. */
            check_container(ctr, here, &volumes, &host_ports, c);
            fed_podspec_check_container(spec, ctr, here, i == 0, c);
            k++;
        }
        if (i == 0) {
            fed_map_release(&host_ports);
            host_ports = (struct fed_map){0};
        }
    }
    fed_podspec_check_places(spec, at, c);
    fed_map_release(&names);
    fed_map_release(&volumes);
    fed_map_release(&host_ports);
}

void fed_template_runs_on(const struct fed_json *pod, const char *kind, struct fed_causes *c)
{
    struct fed_str restart = fed_json_find_text(pod, "restartPolicy");

    if (restart.n && !fed_str_is(restart, "Always"))
        fed_causes_add(c, FED_CAUSE_NOT_SUPPORTED, FED_STR("spec.template.spec.restartPolicy"),
                       fed_quoted(c->arena, restart), "supported values: \"Always\"");
    if (fed_json_find(pod, "activeDeadlineSeconds"))
        fed_causes_add(c, FED_CAUSE_FORBIDDEN, FED_STR("spec.template.spec.activeDeadlineSeconds"), none,
                       "activeDeadlineSeconds in %s is not Supported", kind);
}

/* A selector with faults, once more as a whole: so do those kinds that then need it. */
static void tell_bad_selector(const struct fed_json *selector, const char *kind, struct fed_causes *c)
{
    if (strcmp(kind, "DaemonSet") != 0)
        fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.selector"), fed_shown(c->arena, selector), "%s",
                       strcmp(kind, "StatefulSet") != 0 ? "invalid label selector" : "");
}

void fed_template_check_metadata(const struct fed_json *template, const char *at, struct fed_causes *c)
{
    fed_check_labels(c, fed_json_at(template, "metadata", "labels", NULL),
                     fed_arena_printf(c->arena, "%s.labels", at).p);
    FED_JSON_EACH(a, fed_json_at(template, "metadata", "annotations", NULL))
        fed_check_name(c, fed_name_lower(c->arena, a->key), fed_name_check_qualified, fed_quoted(c->arena, a->key),
                       fed_arena_printf(c->arena, "%s.annotations", at));
}

void fed_template_validate(const struct fed_json *spec, const char *kind, struct fed_causes *c)
{
    const struct fed_json *template = fed_json_find(spec, "template"), *selector = fed_json_find(spec, "selector");
    const struct fed_json *labels = fed_json_at(template, "metadata", "labels", NULL);
    const struct fed_json *pod = fed_json_find(template, "spec");
    struct fed_selector sel = {0};

    if (selector) {
        size_t before = c->n;

        fed_selector_validate(selector, "spec.selector", c);
        if (kind && fed_selector_from_json(c->arena, selector, &sel, NULL))
            tell_bad_selector(selector, kind, c);
        if (c->n == before && template && fed_selector_from_json(c->arena, selector, &sel, NULL) == 0 && sel.n &&
            !fed_selector_matches_json(&sel, labels))
            fed_causes_add(c, FED_CAUSE_INVALID, FED_STR("spec.template.metadata.labels"),
                           labels ? fed_shown(c->arena, labels) : FED_STR("null"),
                           "`selector` does not match template `labels`");
    }
    if (!template)
        return;
    fed_template_check_metadata(template, "spec.template", c);
    if (!pod)
        fed_causes_add(c, FED_CAUSE_REQUIRED, FED_STR("spec.template.spec.containers"), none, "%s", "");
    else
        fed_podspec_validate(pod, "spec.template.spec", c);
    if (kind)
        fed_template_runs_on(pod, kind, c);
}
