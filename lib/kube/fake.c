/* SPDX-License-Identifier: Apache-2.0 */
/* fake.c: virtual time and the objects of the fake API server. */
#include "kube/fake.h"

#include <inttypes.h>

#include "base/map.h"
#include "base/mem.h"
#include "kube/fake_priv.h"

/* --- virtual time --- */

static uint64_t env_mono(struct fed_env *env)
{
    return fed_container_of(env, struct fed_fake_env, env)->now_ns;
}

static int64_t env_wall(struct fed_env *env)
{
    return 1767225600000 + (int64_t)(env_mono(env) / 1000000); /* 2026-01-01 */
}

static void env_random(struct fed_env *env, void *out, size_t n)
{
    struct fed_fake_env *e = fed_container_of(env, struct fed_fake_env, env);
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++) { /* splitmix64: seeded, good enough to tell uids apart */
        uint64_t z = e->seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        p[i] = (unsigned char)(z >> 32);
    }
}

static const struct fed_env_ops env_ops = {.mono_ns = env_mono, .wall_ms = env_wall, .random = env_random};

void fed_fake_env_init(struct fed_fake_env *e, uint64_t seed)
{
    e->now_ns = 1000000000;
    e->seed = seed;
    fed_env_init(&e->env, &env_ops);
}

void fed_fake_env_release(struct fed_fake_env *e)
{
    fed_env_release(&e->env);
}

void fed_fake_run(struct fed_fake_env *e, uint64_t ms)
{
    uint64_t end = e->now_ns + ms * 1000000;
    for (;;) {
        fed_env_run_due(&e->env);
        uint64_t next = fed_env_next_ms(&e->env);
        if (next == 0)
            continue;
        uint64_t left = (end - e->now_ns) / 1000000;
        if (next > left)
            break;
        e->now_ns += next * 1000000;
    }
    e->now_ns = end;
    fed_env_run_due(&e->env);
}

/* --- the store --- */

static struct fed_str store_key(struct fed_arena *a, struct fed_str resource, struct fed_str ns, struct fed_str name)
{
    return fed_arena_printf(a, "%.*s|%.*s/%.*s", FED_STR_ARG(resource), FED_STR_ARG(ns), FED_STR_ARG(name));
}

static struct fed_str resource_key(struct fed_arena *a, const struct fed_resource *r)
{
    return fed_arena_printf(a, "%s/%s", r->group, r->plural);
}

static void add_change(struct fed_fake *f, enum fed_event type, struct fed_str resource, struct fed_kobj *old,
                       struct fed_kobj *obj)
{
    if (f->n_changes == f->cap_changes) {
        f->cap_changes = f->cap_changes ? f->cap_changes * 2 : 256;
        f->changes = fed_realloc(f->changes, f->cap_changes * sizeof(*f->changes));
    }
    f->changes[f->n_changes++] =
        (struct fake_change){f->rev, type, fed_strdup_str(resource), fed_kobj_ref(old), fed_kobj_ref(obj)};
    if (f->changed)
        f->changed(f);
}

void fed_fake_store(struct fed_fake *f, struct fed_str resource, struct fed_json *obj)
{
    struct fed_arena a = {0};
    struct fed_kobj *now;
    struct fed_str key = store_key(&a, resource, fed_obj_ns(obj), fed_obj_name(obj));
    FED_REQUIRE(fed_kobj_from_tree(obj, ++f->rev, &now, NULL) == 0);
    struct fed_kobj *old = fed_map_set(&f->objects, key, now);
    add_change(f, old ? FED_EVENT_MODIFIED : FED_EVENT_ADDED, resource, old, now);
    fed_kobj_unref(old);
    fed_arena_release(&a);
}

void fed_fake_erase(struct fed_fake *f, struct fed_str resource, struct fed_kobj *old)
{
    struct fed_arena a = {0};
    struct fed_kobj *last;
    fed_map_remove(&f->objects, store_key(&a, resource, old->ns, old->name));
    FED_REQUIRE(fed_kobj_new_at(old->json, ++f->rev, &last, NULL) ==
                0); /* a DELETED event has the deletion's revision */
    add_change(f, FED_EVENT_DELETED, resource, old, last);
    fed_kobj_unref(last);
    fed_kobj_unref(old);
    fed_arena_release(&a);
}

struct fed_kobj *fed_fake_lookup(const struct fed_fake *f, struct fed_str resource, struct fed_str ns,
                                 struct fed_str name)
{
    struct fed_arena a = {0};
    struct fed_kobj *o = fed_map_find(&f->objects, store_key(&a, resource, ns, name));
    fed_arena_release(&a);
    return o;
}

void fed_fake_put(struct fed_fake *f, const struct fed_resource *r, const char *json)
{
    struct fed_arena a = {0};
    struct fed_json *obj = NULL;
    char *text = fed_arena_dupz(&a, fed_str(json)), uid[37];
    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    FED_REQUIRE(fed_json_parse(&a, fed_str(text), NULL, &obj, NULL) == 0);
    if (!fed_json_find(obj, "kind"))
        fed_json_set(obj, "kind", fed_json_new_strz(&a, r->kind));
    if (!fed_json_find(obj, "apiVersion"))
        fed_json_set(obj, "apiVersion", fed_json_new_str(&a, fed_resource_api_version(&a, r)));
    struct fed_kobj *old = fed_fake_lookup(f, resource_key(&a, r), fed_obj_ns(obj), fed_obj_name(obj));
    if (!fed_obj_uid(obj).n) {
        fed_uuid(f->env, uid);
        fed_json_set(fed_obj_metadata(&a, obj), "uid", fed_json_new_str(&a, old ? old->uid : fed_str(uid)));
    }
    fed_fake_store(f, resource_key(&a, r), obj);
    fed_arena_release(&a);
}

void fed_fake_remove(struct fed_fake *f, const struct fed_resource *r, const char *ns, const char *name)
{
    struct fed_arena a = {0};
    struct fed_str resource = resource_key(&a, r);
    struct fed_kobj *old = fed_fake_lookup(f, resource, fed_str(ns), fed_str(name));
    if (old)
        fed_fake_erase(f, resource, old);
    fed_arena_release(&a);
}

const struct fed_kobj *fed_fake_find(const struct fed_fake *f, const struct fed_resource *r, const char *ns,
                                     const char *name)
{
    struct fed_arena a = {0};
    const struct fed_kobj *o = fed_fake_lookup(f, resource_key(&a, r), fed_str(ns), fed_str(name));
    fed_arena_release(&a);
    return o;
}

size_t fed_fake_count(const struct fed_fake *f, const struct fed_resource *r)
{
    struct fed_arena a = {0};
    struct fed_str prefix = fed_arena_printf(&a, "%s/%s|", r->group, r->plural);
    size_t n = 0;
    FED_MAP_EACH(e, &f->objects)
        n += fed_str_starts(e->key, prefix);
    fed_arena_release(&a);
    return n;
}

uint64_t fed_fake_rev(const struct fed_fake *f)
{
    return f->rev;
}

struct fed_fake *fed_fake_new(struct fed_env *env)
{
    struct fed_fake *f = FED_NEW(struct fed_fake);
    f->env = env;
    fed_list_init(&f->calls);
    fed_list_init(&f->faults);
    return f;
}

void fed_fake_forget_changes(struct fed_fake *f)
{
    for (size_t i = 0; i < f->n_changes; i++) {
        free(f->changes[i].resource);
        fed_kobj_unref(f->changes[i].old);
        fed_kobj_unref(f->changes[i].obj);
    }
    f->n_changes = 0;
}

void fed_fake_free(struct fed_fake *f)
{
    if (!f)
        return;
    FED_REQUIRE(fed_list_empty(&f->calls)); /* the transports were freed before */
    fed_fake_forget_changes(f);
    free(f->changes);
    FED_MAP_EACH(e, &f->objects)
        fed_kobj_unref(e->value);
    fed_map_release(&f->objects);
    FED_LIST_EACH_SAFE(l, &f->faults)
        free(fed_container_of(l, struct fake_fault, link));
    fed_buf_release(&f->log);
    fed_buf_release(&f->shown);
    free(f);
}

void fed_fake_set_latency(struct fed_fake *f, uint64_t ms)
{
    f->latency_ms = ms;
}

void fed_fake_fail(struct fed_fake *f, const char *method, const char *path_part, int code, uint32_t times)
{
    struct fake_fault *fault = FED_NEW(struct fake_fault);
    *fault = (struct fake_fault){.method = method, .path_part = path_part, .code = code, .times = times};
    fed_list_push_back(&f->faults, &fault->link);
}

int fed_fake_fault(struct fed_fake *f, const char *method, struct fed_str path)
{
    FED_LIST_EACH_SAFE(l, &f->faults) {
        struct fake_fault *fault = fed_container_of(l, struct fake_fault, link);
        if (fault->method && strcmp(fault->method, method) != 0)
            continue;
        if (fault->path_part && fed_str_find(path, fed_str(fault->path_part), 0) < 0)
            continue;
        int code = fault->code;
        if (--fault->times == 0) {
            fed_list_remove(&fault->link);
            free(fault);
        }
        return code;
    }
    return 0;
}

size_t fed_fake_writes(const struct fed_fake *f)
{
    return f->writes;
}

const char *fed_fake_log(struct fed_fake *f)
{
    fed_buf_reset(&f->shown);
    fed_buf_add(&f->shown, fed_buf_str(&f->log));
    fed_buf_reset(&f->log);
    return fed_buf_z(&f->shown);
}
