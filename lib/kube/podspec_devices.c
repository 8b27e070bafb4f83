/* SPDX-License-Identifier: Apache-2.0 */
/* podspec_devices.c: volumes that a container has as block devices. */
#include "kube/check.h"
#include "kube/podspec_priv.h"

static const struct fed_str none = {NULL, 0};

static void index_by(struct fed_map *m, const struct fed_json *list, const char *key)
{
    FED_JSON_EACH(it, list)
        fed_map_set(m, fed_json_find_text(it, key), it);
}

struct places {
    struct fed_map volumes, mounts, paths;   /* of the pod; of the container: by volume, by path */
    struct fed_map seen_names, seen_devices; /* devices before */
};

static void check_device(struct places *p, const struct fed_json *d, const char *at, struct fed_causes *c)
{
    struct fed_str name = fed_json_find_text(d, "name"), path = fed_json_find_text(d, "devicePath");
    struct fed_str shown = fed_quoted(c->arena, name), place = fed_quoted(c->arena, path);
    const struct fed_json *volume = name.n ? fed_map_find(&p->volumes, name) : NULL;
    if (name.n && fed_seen_before(&p->seen_names, name))
        fed_bad(c, FED_CAUSE_INVALID, shown, "must be unique", "%s.name", at);
    if (volume && !fed_json_find(volume, "persistentVolumeClaim") && !fed_json_find(volume, "ephemeral"))
        fed_bad(c, FED_CAUSE_INVALID, shown,
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode", "%s.name", at);
    if (name.n && !volume)
        fed_bad(c, FED_CAUSE_NOT_FOUND, shown, "", "%s.name", at);
    if (path.n && fed_seen_before(&p->seen_devices, path))
        fed_bad(c, FED_CAUSE_INVALID, place, "must be unique", "%s.devicePath", at);
    if (name.n && fed_map_has(&p->mounts, name))
        fed_bad(c, FED_CAUSE_INVALID, shown, "must not already exist in volumeMounts", "%s.name", at);
    if (path.n && fed_map_has(&p->paths, path))
        fed_bad(c, FED_CAUSE_INVALID, place, "must not already exist as a path in volumeMounts", "%s.devicePath", at);
}

void fed_podspec_check_devices(const struct fed_json *spec, const struct fed_json *container, const char *at,
                               struct fed_causes *c)
{
    const struct fed_json *devices = fed_json_find(container, "volumeDevices");
    struct places p = {0};
    size_t i = 0;
    if (!devices || !devices->n)
        return;
    index_by(&p.volumes, fed_json_find(spec, "volumes"), "name");
    index_by(&p.mounts, fed_json_find(container, "volumeMounts"), "name");
    index_by(&p.paths, fed_json_find(container, "volumeMounts"), "mountPath");
    FED_JSON_EACH(d, devices)
        check_device(&p, d, fed_arena_printf(c->arena, "%s.volumeDevices[%zu]", at, i++).p, c);
    fed_map_release(&p.volumes);
    fed_map_release(&p.mounts);
    fed_map_release(&p.paths);
    fed_map_release(&p.seen_names);
    fed_map_release(&p.seen_devices);
}

void fed_podspec_check_seccomp(const struct fed_json *profile, const char *at, struct fed_causes *c)
{
    bool local = fed_str_is(fed_json_find_text(profile, "type"), "Localhost");
    const struct fed_json *path = fed_json_find(profile, "localhostProfile");
    if (local && !path)
        fed_bad(c, FED_CAUSE_REQUIRED, none, "must be set when seccomp type is Localhost", "%s.localhostProfile", at);
    else if (local)
        fed_check_descending(c, fed_json_str(path), "%s.localhostProfile", at);
    else if (path)
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, profile), "can only be set when seccomp type is Localhost",
                "%s.localhostProfile", at);
}

void fed_podspec_check_rights(const struct fed_json *security, const char *at, struct fed_causes *c)
{
    fed_podspec_check_seccomp(fed_json_find(security, "seccompProfile"),
                              fed_arena_printf(c->arena, "%s.seccompProfile", at).p, c);
    if (fed_json_bool(fed_json_find(security, "allowPrivilegeEscalation"), true))
        return;
    if (fed_json_bool(fed_json_find(security, "privileged"), false))
        fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, security),
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true", "%s", at);
    FED_JSON_EACH(cap, fed_json_at(security, "capabilities", "add", NULL))
        if (fed_str_is(fed_json_str(cap), "CAP_SYS_ADMIN"))
            fed_bad(c, FED_CAUSE_INVALID, fed_shown(c->arena, security),
                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN", "%s", at);
}
