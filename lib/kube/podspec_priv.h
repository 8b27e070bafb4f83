/* SPDX-License-Identifier: Apache-2.0 */
/* podspec_priv.h: the parts of the rules of pod specs, each in a file of its own. `at` is the path of what is checked. */
#ifndef FED_KUBE_PODSPEC_PRIV_H
#define FED_KUBE_PODSPEC_PRIV_H

#include "base/map.h"
#include "kube/podspec.h"

/* podspec_containers.c: environment, probes, hooks of the life cycle, resources, mounts of one container. init: one of
 * initContainers; volumes: names of the pod's. */
void fed_podspec_check_container(const struct fed_json *spec, const struct fed_json *container, const char *at,
                                 bool init, struct fed_causes *c);
/* podspec_devices.c: its block devices, and what it may do */
void fed_podspec_check_devices(const struct fed_json *spec, const struct fed_json *container, const char *at,
                               struct fed_causes *c);
void fed_podspec_check_rights(const struct fed_json *security, const char *at, struct fed_causes *c);
void fed_podspec_check_seccomp(const struct fed_json *profile, const char *at, struct fed_causes *c);
/* podspec_volumes.c: where volumes come from. */
void fed_podspec_check_volume(const struct fed_json *volume, const char *at, struct fed_causes *c);
/* podspec_places.c: what decides on which node a pod runs, and its security and names. */
void fed_podspec_check_places(const struct fed_json *spec, const char *at, struct fed_causes *c);
/* `at`.tolerations */
void fed_podspec_check_tolerations(const struct fed_json *list, const char *at, struct fed_causes *c);
/* A reference to a field of the pod, and to an amount of a container, as environments and volumes have them. */
void fed_podspec_check_field(const struct fed_json *ref, const char *at, bool volume, struct fed_causes *c);
void fed_podspec_check_amount(const struct fed_json *ref, const char *at, bool volume, struct fed_causes *c);

#endif
