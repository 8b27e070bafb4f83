/* SPDX-License-Identifier: Apache-2.0 */
/* fake.h: an API server of a few hundred lines in memory, on virtual time, for unit tests of clients and controllers.
 *
 * Model:      any resource is served as it is asked for; nothing is validated or defaulted but metadata. Revisions,
 *             optimistic locking, finalizers, namespace finalization, list pages, selectors, watches from a revision
 * and sendInitialEvents behave as the real thing. Answers come in posted tasks, or after `latency_ms`. Faults: answers
 * that fail, watches that drop, history that is compacted. Ownership:  the test owns the env, then the fake, then the
 * transports (freed by fed_transport_free before the fake). Threads:    one.
 */
#ifndef FED_KUBE_FAKE_H
#define FED_KUBE_FAKE_H

#include "kube/client.h"

/* --- virtual time --- */
struct fed_fake_env {
    struct fed_env env; /* first */
    uint64_t now_ns;
    uint64_t seed;
};
void fed_fake_env_init(struct fed_fake_env *e, uint64_t seed);
void fed_fake_env_release(struct fed_fake_env *e);
/* Runs everything that falls due in the next `ms` milliseconds of virtual time. */
void fed_fake_run(struct fed_fake_env *e, uint64_t ms);

/* --- the server --- */
struct fed_fake;
struct fed_fake *fed_fake_new(struct fed_env *env);
void fed_fake_free(struct fed_fake *f);
/* A client's transport; watch_list is as asked. Any number. */
struct fed_transport *fed_fake_transport(struct fed_fake *f, bool watch_list);
/* Creates or replaces an object given as JSON or YAML-free text with single quotes for double ones; aborts when it is
 * malformed. Status and spec are taken as they are. */
void fed_fake_put(struct fed_fake *f, const struct fed_resource *r, const char *json);
/* Removes at once, whatever its finalizers. */
void fed_fake_remove(struct fed_fake *f, const struct fed_resource *r, const char *ns, const char *name);
const struct fed_kobj *fed_fake_find(const struct fed_fake *f, const struct fed_resource *r, const char *ns,
                                     const char *name); /* borrowed or NULL */
size_t fed_fake_count(const struct fed_fake *f, const struct fed_resource *r);
uint64_t fed_fake_rev(const struct fed_fake *f);

/* --- faults and observation --- */
/* The next `times` requests whose method (NULL: any) and path (part of it; NULL: any) match fail with `code` before
 * they have any effect. FED_E_UNREACHABLE and its like: no answer. */
void fed_fake_fail(struct fed_fake *f, const char *method, const char *path_part, int code, uint32_t times);
/* Ends all watches with `code` (0: as by a time-out of the server). */
void fed_fake_drop_watches(struct fed_fake *f, int code);
/* Forgets history: watches from an earlier revision get 410. */
void fed_fake_compact(struct fed_fake *f);
void fed_fake_set_latency(struct fed_fake *f, uint64_t ms);
/* Requests that arrived: all writes (POST, PUT, PATCH, DELETE), and the text "METHOD PATH\n…" of all since the last
 * call. */
size_t fed_fake_writes(const struct fed_fake *f);
const char *fed_fake_log(struct fed_fake *f); /* valid until the next call of it or request */

#endif
