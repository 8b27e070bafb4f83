/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/recorder.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/map.h"
#include "base/mem.h"
#include "kube/names.h"

enum { SAME_MS = 600000, SIMILAR_MAX = 10, BURST = 25, REFILL_MS = 5000, SWEEP_AT = 4096, MAX_MESSAGE = 1024 };

static const struct fed_resource events = {"", "v1", "events", "Event", true};

struct seen { /* one Event made earlier */
    uint64_t last_ms;
    uint32_t count;
    char *ns, *name;
};
struct kin { /* Events about one object for one reason: what they said */
    uint64_t last_ms;
    struct fed_map messages;
};
struct bucket { /* of one object */
    uint64_t refilled_ms;
    uint32_t tokens;
};
struct fed_recorder {
    struct fed_transport *t;
    char *component, *host;
    struct fed_map seen, kins, buckets;
};

struct fed_recorder *fed_recorder_new(struct fed_transport *t, const char *component, const char *host)
{
    struct fed_recorder *r = FED_NEW(struct fed_recorder);
    r->t = t;
    r->component = fed_strdup(component);
    r->host = host ? fed_strdup(host) : NULL;
    return r;
}

static void seen_free(struct seen *s)
{
    free(s->ns);
    free(s->name);
    free(s);
}

static void kin_free(struct kin *k)
{
    fed_map_release(&k->messages);
    free(k);
}

void fed_recorder_free(struct fed_recorder *r)
{
    if (!r)
        return;
    FED_MAP_EACH(e, &r->seen)
        seen_free(e->value);
    fed_map_release(&r->seen);
    FED_MAP_EACH(e, &r->kins)
        kin_free(e->value);
    fed_map_release(&r->kins);
    FED_MAP_EACH(e, &r->buckets)
        free(e->value);
    fed_map_release(&r->buckets);
    free(r->component);
    free(r->host);
    free(r);
}

/* What is too old to matter goes, so that the maps stay bounded by what happened in ten minutes. */
static void sweep(struct fed_recorder *r, uint64_t now)
{
    if (fed_map_count(&r->seen) + fed_map_count(&r->buckets) < SWEEP_AT)
        return;
    bool all = fed_map_count(&r->seen) >= 4 * SWEEP_AT; /* a storm: counts start again */
    FED_MAP_EACH(e, &r->seen) {
        struct seen *s = e->value;
        if (all || now - s->last_ms > SAME_MS) {
            fed_map_remove(&r->seen, e->key);
            seen_free(s);
        }
    }
    FED_MAP_EACH(e, &r->kins) {
        struct kin *k = e->value;
        if (all || now - k->last_ms > SAME_MS) {
            fed_map_remove(&r->kins, e->key);
            kin_free(k);
        }
    }
    FED_MAP_EACH(e, &r->buckets) {
        struct bucket *b = e->value;
        if (now - b->refilled_ms > (uint64_t)BURST * REFILL_MS) {
            fed_map_remove(&r->buckets, e->key);
            free(b);
        }
    }
}

static bool take_token(struct fed_recorder *r, const struct fed_kobj *about, uint64_t now)
{
    struct bucket *b = fed_map_find(&r->buckets, about->uid);
    if (!b) {
        b = FED_NEW(struct bucket);
        b->tokens = BURST;
        b->refilled_ms = now;
        fed_map_set(&r->buckets, about->uid, b);
    }
    uint64_t more = (now - b->refilled_ms) / REFILL_MS;
    b->tokens = (uint32_t)FED_MIN((uint64_t)BURST, b->tokens + more);
    b->refilled_ms += more * REFILL_MS;
    if (b->tokens == 0)
        return false;
    b->tokens--;
    return true;
}

/* Whether so many Events of this kind said other things that this one joins the one that stands for the rest. */
static bool joins(struct fed_recorder *r, struct fed_str kind, const char *message, uint64_t now)
{
    struct kin *k = fed_map_find(&r->kins, kind);
    if (k && now - k->last_ms > SAME_MS) {
        fed_map_release(&k->messages);
        k->messages = (struct fed_map){0};
    }
    if (!k)
        fed_map_set(&r->kins, kind, k = FED_NEW(struct kin));
    k->last_ms = now;
    if (fed_map_has(&k->messages, fed_str(message)))
        return false;
    if (fed_map_count(&k->messages) + 1 >= SIMILAR_MAX)
        return true;
    fed_map_set(&k->messages, fed_str(message), NULL);
    return false;
}

static void update(struct fed_recorder *r, struct seen *s, const char *message, const char *now)
{
    struct fed_arena a = {0};
    struct fed_json *patch = fed_json_object(&a);
    fed_json_set(patch, "message", fed_json_new_strz(&a, message));
    fed_json_set(patch, "count", fed_json_new_int(&a, ++s->count));
    fed_json_set(patch, "lastTimestamp", fed_json_new_strz(&a, now));
    fed_client_patch(r->t, &events, fed_str(s->ns), fed_str(s->name), "", "merge", patch, "", NULL, NULL);
    fed_arena_release(&a);
}

static struct seen *create(struct fed_recorder *r, const struct fed_kobj *about, const char *type, const char *reason,
                           const char *message, const char *now)
{
    struct fed_arena a = {0};
    uint64_t unique;
    fed_random(r->t->env, &unique, sizeof(unique));
    struct fed_str ns = about->ns.n ? about->ns : FED_STR("default"); /* where kubectl looks for cluster-scoped ones */
    struct fed_str name = fed_arena_printf(&a, "%.*s.%016" PRIx64, FED_STR_ARG(fed_str_head(about->name, 230)), unique);
    struct fed_json *e = fed_obj_new(&a, "v1", "Event", ns, name);
    struct fed_json *o = fed_json_ensure_object(&a, e, "involvedObject");
    fed_json_set(o, "apiVersion", fed_json_new_str(&a, about->api_version));
    fed_json_set(o, "kind", fed_json_new_str(&a, about->kind));
    if (about->ns.n)
        fed_json_set(o, "namespace", fed_json_new_str(&a, about->ns));
    fed_json_set(o, "name", fed_json_new_str(&a, about->name));
    fed_json_set(o, "uid", fed_json_new_str(&a, about->uid));
    fed_json_set(o, "resourceVersion", fed_json_new_strf(&a, "%" PRIu64, about->rev));
    fed_json_set(e, "reason", fed_json_new_strz(&a, reason));
    fed_json_set(e, "message", fed_json_new_strz(&a, message));
    fed_json_set(e, "type", fed_json_new_strz(&a, type));
    struct fed_json *source = fed_json_ensure_object(&a, e, "source");
    fed_json_set(source, "component", fed_json_new_strz(&a, r->component));
    if (r->host)
        fed_json_set(source, "host", fed_json_new_strz(&a, r->host));
    fed_json_set(e, "firstTimestamp", fed_json_new_strz(&a, now));
    fed_json_set(e, "lastTimestamp", fed_json_new_strz(&a, now));
    fed_json_set(e, "count", fed_json_new_int(&a, 1));
    fed_json_set(e, "reportingComponent", fed_json_new_strz(&a, r->component));
    fed_json_set(e, "reportingInstance", fed_json_new_strz(&a, r->host ? r->host : ""));
    fed_client_create(r->t, &events, ns, e, NULL, NULL);
    struct seen *s = FED_NEW(struct seen);
    s->count = 1;
    s->ns = fed_strdup_str(ns);
    s->name = fed_strdup_str(name);
    fed_arena_release(&a);
    return s;
}

static void record(struct fed_recorder *r, const struct fed_kobj *about, const char *type, const char *reason,
                   const char *fmt, va_list ap)
{
    char message[MAX_MESSAGE], time[21];
    struct fed_arena a = {0};
    uint64_t now = fed_mono_ms(r->t->env);
    vsnprintf(message, sizeof(message), fmt, ap);
    sweep(r, now);
    if (!take_token(r, about, now))
        return;
    fed_time_format(fed_wall_ms(r->t->env), time);
    struct fed_str key = fed_arena_printf(&a, "%.*s|%s|%s", FED_STR_ARG(about->uid), type, reason);
    const char *text = message;
    if (joins(r, key, message, now))
        text = fed_arena_printf(&a, "(combined from similar events): %s", message).p;
    else
        key = fed_arena_printf(&a, "%.*s|%s", FED_STR_ARG(key), message);
    struct seen *s = fed_map_find(&r->seen, key);
    if (s && now - s->last_ms > SAME_MS) {
        fed_map_remove(&r->seen, key);
        seen_free(s);
        s = NULL;
    }
    if (s) {
        update(r, s, text, time);
    } else {
        s = create(r, about, type, reason, text, time);
        fed_map_set(&r->seen, key, s);
    }
    s->last_ms = now;
    fed_arena_release(&a);
}

void fed_event_normal(struct fed_recorder *r, const struct fed_kobj *about, const char *reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(r, about, "Normal", reason, fmt, ap);
    va_end(ap);
}

void fed_event_warning(struct fed_recorder *r, const struct fed_kobj *about, const char *reason, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(r, about, "Warning", reason, fmt, ap);
    va_end(ap);
}
