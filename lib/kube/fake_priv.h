/* SPDX-License-Identifier: Apache-2.0 */
/* fake_priv.h: what the files of the fake API server share: fake_call.c (requests, watches) stands on fake.c (objects). */
#ifndef FED_KUBE_FAKE_PRIV_H
#define FED_KUBE_FAKE_PRIV_H

#include "base/list.h"
#include "base/map.h"
#include "kube/fake.h"

struct fake_change {
    uint64_t rev;
    enum fed_event type;
    char *resource; /* "group/plural" */
    struct fed_kobj *old, *obj;
};
struct fake_fault {
    struct fed_list link;
    const char *method, *path_part;
    int code;
    uint32_t times;
};
struct fed_fake {
    struct fed_env *env;
    struct fed_map objects; /* "group/plural|ns/name" -> kobj */
    struct fake_change *changes;
    size_t n_changes, cap_changes;
    uint64_t rev, compacted, latency_ms;
    void (*changed)(struct fed_fake *f); /* set by the first transport: there may be watches */
    struct fed_list calls, faults;
    size_t writes;
    struct fed_buf log, shown;
};

void fed_fake_store(struct fed_fake *f, struct fed_str resource, struct fed_json *obj);
void fed_fake_erase(struct fed_fake *f, struct fed_str resource,
                    struct fed_kobj *old); /* uses up the map's reference */
struct fed_kobj *fed_fake_lookup(const struct fed_fake *f, struct fed_str resource, struct fed_str ns,
                                 struct fed_str name);
int fed_fake_fault(struct fed_fake *f, const char *method, struct fed_str path);
void fed_fake_forget_changes(struct fed_fake *f);

#endif
