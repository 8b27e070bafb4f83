/* SPDX-License-Identifier: Apache-2.0 */
#include "control/crd.h"

#include "base/mem.h"
#include "control/pass.h"
#include "kube/crd.h"
#include "kube/informer.h"

enum { NEXT_PAGE_MS = 200 };

static const struct fed_resource definitions = {FED_CRD_GROUP, "v1", FED_CRD_PLURAL, "CustomResourceDefinition", false};

struct served { /* a kind that the collector and the end of namespaces know of */
    struct fed_resource r;
    char *text[4]; /* its words */
};
struct job { /* one pass over one definition */
    struct fed_pass pass;
    struct fed_crdctl *ctl;
    struct fed_kobj *crd;
    struct served *of; /* while its objects are ended */
    size_t found;
};
struct fed_crdctl {
    struct fed_crdctl_conf conf;
    struct fed_informer *informer;
    struct fed_passes passes;
    struct fed_map served;  /* name of the definition -> struct served */
    struct fed_map written; /* name -> struct fed_kobj: our writes that the informer may not have shown yet */
};

static void served_free(struct served *s)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(s->text); i++)
        free(s->text[i]);
    free(s);
}

/* The kind's storage version: it is there whatever else is served. */
static struct served *served_of(const struct fed_json *crd)
{
    struct fed_arena a = {0};
    struct fed_json *doc = fed_crd_document(&a, crd);
    struct served *s = FED_NEW(struct served);
    static const char *const words[] = {"group", "storageVersion", "plural", "kind"};

    for (size_t i = 0; i < FED_ARRAY_LEN(words); i++)
        s->text[i] = fed_strdup_str(fed_json_find_text(doc, words[i]));
    s->r = (struct fed_resource){s->text[0], s->text[1], s->text[2], s->text[3],
                                 fed_json_bool(fed_json_find(doc, "namespaced"), true)};
    fed_arena_release(&a);
    return s;
}

static bool served_equal(const struct served *a, const struct served *b)
{
    for (size_t i = 0; i < FED_ARRAY_LEN(a->text); i++)
        if (strcmp(a->text[i], b->text[i]) != 0)
            return false;
    return a->r.namespaced == b->r.namespaced;
}

static void forget(struct fed_crdctl *c, struct fed_str name)
{
    struct served *s = fed_map_remove(&c->served, name);

    if (!s)
        return;
    if (c->conf.gc)
        fed_gc_remove(c->conf.gc, &s->r);
    if (c->conf.namespaces)
        fed_nsctl_remove(c->conf.namespaces, &s->r);
    served_free(s);
}

static void tell(struct fed_crdctl *c, const struct fed_kobj *crd, const struct fed_json *tree)
{
    struct served *had = fed_map_find(&c->served, crd->name), *s;

    if (!fed_crd_established(tree))
        return;
    s = served_of(tree);
    if (had && served_equal(had, s)) {
        served_free(s);
        return;
    }
    forget(c, crd->name);
    fed_map_set(&c->served, crd->name, s);
    if (c->conf.gc)
        fed_gc_add(c->conf.gc, &s->r);
    if (c->conf.namespaces)
        fed_nsctl_add(c->conf.namespaces, &s->r);
}

/* --- names --- */

struct taken { /* names of a group that others have */
    struct fed_crdctl *ctl;
    struct fed_arena *a;
    struct fed_str group, self;
    struct fed_map resources, kinds; /* plural, singular, short; kind, list kind */
};

static void take_names(struct taken *t, const struct fed_json *names)
{
    static const char *const resources[] = {"plural", "singular"}, *const kinds[] = {"kind", "listKind"};

    for (size_t i = 0; i < 2; i++) {
        if (fed_json_find_text(names, resources[i]).n)
            fed_map_set(&t->resources, fed_json_find_text(names, resources[i]), NULL);
        if (fed_json_find_text(names, kinds[i]).n)
            fed_map_set(&t->kinds, fed_json_find_text(names, kinds[i]), NULL);
    }
    FED_JSON_EACH(it, fed_json_find(names, "shortNames"))
        fed_map_set(&t->resources, fed_json_str(it), NULL);
}

static struct fed_kobj *latest(struct fed_crdctl *c, struct fed_kobj *seen)
{
    struct fed_kobj *mine = fed_map_find(&c->written, seen->name);

    return mine && mine->rev > seen->rev ? mine : seen;
}

static bool take_other(void *ud, struct fed_kobj *o)
{
    struct taken *t = ud;
    struct fed_json *tree;

    if (fed_str_eq(o->name, t->self))
        return true;
    tree = fed_kobj_parse(latest(t->ctl, o), t->a);
    if (fed_str_eq(fed_json_find_text(fed_json_find(tree, "spec"), "group"), t->group))
        take_names(t, fed_json_at(tree, "status", "acceptedNames", NULL));
    return true;
}

static void take_own(struct taken *t, const struct fed_kinds *kinds)
{
    for (size_t i = 0; kinds && i < fed_kinds_count(kinds); i++) {
        const struct fed_kind *k = fed_kinds_at(kinds, i);

        if (k->custom || !fed_str_eq(k->group, t->group))
            continue;
        fed_map_set(&t->resources, k->plural, NULL);
        fed_map_set(&t->resources, k->singular, NULL);
        for (size_t n = 0; n < k->n_short_names; n++)
            fed_map_set(&t->resources, k->short_names[n], NULL);
        fed_map_set(&t->kinds, k->kind, NULL);
        fed_map_set(&t->kinds, k->list_kind, NULL);
    }
}

struct verdict {
    const char *reason; /* NULL: no conflict */
    struct fed_str message;
};

static void conflict(struct taken *t, struct verdict *v, const char *reason, struct fed_str name)
{
    v->reason = reason; /* the last one is told */
    v->message = fed_arena_printf(t->a, "\"%.*s\" is already in use", FED_STR_ARG(name));
}

/* One wanted name: accepted, unless it is taken, then the one accepted before stays. */
static void settle_name(struct taken *t, const struct fed_map *taken, const struct fed_json *want,
                        struct fed_json *accepted, const char *key, const char *reason, struct verdict *v)
{
    struct fed_str name = fed_json_find_text(want, key);

    if (name.n && fed_map_has(taken, name))
        conflict(t, v, reason, name);
    else if (name.n)
        fed_json_set(accepted, key, fed_json_new_str(t->a, name));
}

static void settle_short_names(struct taken *t, const struct fed_json *want, struct fed_json *accepted,
                               struct verdict *v)
{
    const struct fed_json *list = fed_json_find(want, "shortNames");
    bool ok = true;

    FED_JSON_EACH(it, list) {
        if (!fed_map_has(&t->resources, fed_json_str(it)))
            continue;
        conflict(t, v, "ShortNamesConflict", fed_json_str(it));
        ok = false;
    }
    if (!ok)
        return;
    if (list && list->n)
        fed_json_set(accepted, "shortNames", fed_json_copy(t->a, list));
    else
        fed_json_remove_key(accepted, "shortNames");
}

/* Sets acceptedNames and the conditions of the definition. */
static void settle(struct fed_crdctl *c, struct fed_arena *a, struct fed_json *crd)
{
    const struct fed_json *spec = fed_json_find(crd, "spec"), *want = fed_json_find(spec, "names");
    struct fed_json *status = fed_json_ensure_object(a, crd, "status");
    struct fed_json *accepted = fed_json_ensure_object(a, status, "acceptedNames");
    const struct fed_json *categories = fed_json_find(want, "categories");
    struct taken t = {.ctl = c, .a = a, .group = fed_json_find_text(spec, "group"), .self = fed_obj_name(crd)};
    struct verdict v = {0};
    int64_t now = fed_wall_ms(c->conf.transport->env);

    fed_informer_each(c->informer, (struct fed_str){NULL, 0}, take_other, &t);
    take_own(&t, c->conf.kinds);
    settle_name(&t, &t.resources, want, accepted, "plural", "PluralConflict", &v);
    settle_name(&t, &t.resources, want, accepted, "singular", "SingularConflict", &v);
    settle_short_names(&t, want, accepted, &v);
    settle_name(&t, &t.kinds, want, accepted, "kind", "KindConflict", &v);
    settle_name(&t, &t.kinds, want, accepted, "listKind", "ListKindConflict", &v);
    if (categories && categories->n)
        fed_json_set(accepted, "categories", fed_json_copy(a, categories));
    else
        fed_json_remove_key(accepted, "categories");
    fed_map_release(&t.resources);
    fed_map_release(&t.kinds);
    fed_obj_set_condition(a, status, "NamesAccepted", v.reason ? "False" : "True", v.reason ? v.reason : "NoConflicts",
                          v.reason ? v.message : FED_STR("no conflicts found"), now);
    if (!v.reason && !fed_crd_established(crd))
        fed_obj_set_condition(a, status, "Established", "True", "InitialNamesAccepted",
                              FED_STR("the initial names have been accepted"), now);
    else if (v.reason && !fed_crd_established(crd))
        fed_obj_set_condition(a, status, "Established", "False", "NotAccepted", FED_STR("not all names are accepted"),
                              now);
}

/* --- jobs --- */

static void job_release(struct fed_pass *p)
{
    struct job *j = fed_container_of(p, struct job, pass);
    fed_kobj_unref(j->crd);
    if (j->of)
        served_free(j->of);
}

static void written(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    struct fed_kobj *o = NULL;

    j->pass.call = NULL;
    if (code == 0 && fed_kobj_new(res->body, (struct fed_str){0}, (struct fed_str){0}, &o, NULL) == 0)
        fed_kobj_unref(fed_map_set(&j->ctl->written, o->name, o));
    fed_pass_end(&j->pass, code == FED_E_NOT_FOUND ? 0 : code);
}

static void accept_names(struct job *j)
{
    struct fed_arena a = {0};
    struct fed_json *before = fed_kobj_parse(j->crd, &a), *crd = fed_kobj_parse(j->crd, &a);

    settle(j->ctl, &a, crd);
    if (fed_json_equal(fed_json_find(before, "status"), fed_json_find(crd, "status")))
        fed_pass_end(&j->pass, 0);
    else
        j->pass.call = fed_client_update(j->ctl->conf.transport, &definitions, crd, "status", written, j);
    fed_arena_release(&a);
}

static void finalized(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                      const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;

    j->pass.call = NULL;
    fed_pass_end(&j->pass, code == FED_E_NOT_FOUND ? 0 : code);
}

static void drop_finalizer(struct job *j)
{
    struct fed_arena a = {0};
    j->pass.call =
        fed_client_patch(j->ctl->conf.transport, &definitions, (struct fed_str){NULL, 0}, j->crd->name, "", "merge",
                         fed_kobj_patch_without_finalizer(&a, j->crd, FED_CRD_FINALIZER), "", finalized, j);
    fed_arena_release(&a);
}

/* Fire and forget: what stays is found by the next pass. */
static void delete_item(void *ud, struct fed_kobj *obj)
{
    struct job *j = ud;

    j->found++;
    bool orphan = j->ctl->conf.pass_orphan && fed_kobj_has_finalizer(j->crd, "orphan");

    if (!obj->deleting)
        fed_client_delete(j->ctl->conf.transport, &j->of->r, obj->ns, obj->name, orphan ? "Orphan" : "Background",
                          obj->uid, NULL, NULL);
}

static void listed(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    struct fed_arena a = {0};
    struct fed_str cont = {NULL, 0};
    uint64_t rev;
    bool more;

    j->pass.call = NULL;
    if (code == 0)
        code = fed_list_read(&a, &j->of->r, res->body, delete_item, j, &rev, &cont, NULL);
    else if (code == FED_E_NOT_FOUND)
        code = 0; /* never served: there is nothing */
    more = cont.n > 0;
    fed_arena_release(&a);
    if (code) {
        fed_pass_end(&j->pass, code);
    } else if (more) {
        fed_workqueue_add_after(j->ctl->passes.queue, fed_str(j->pass.key), NEXT_PAGE_MS);
        fed_pass_end(&j->pass, 0);
    } else if (j->found) {
        fed_pass_end(&j->pass, FED_E_BUSY); /* looked at again after the back-off */
    } else {
        drop_finalizer(j);
    }
}

static void end_objects(struct job *j)
{
    struct fed_arena a = {0};

    struct fed_call_request req = {
        .method = "GET", .accept = FED_STR("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")};

    j->of = served_of(fed_kobj_parse(j->crd, &a));
    /* Metadata alone: it is there even when the conversion webhook of the kind went first. */
    req.path = fed_resource_path(&a, &j->of->r, (struct fed_str){NULL, 0}, (struct fed_str){NULL, 0}, "", "limit=500");
    j->pass.call = j->ctl->conf.transport->ops->call(j->ctl->conf.transport, &req, listed, j);
    fed_arena_release(&a);
}

static void work(void *ud, const char *name)
{
    struct fed_crdctl *c = ud;
    struct fed_kobj *crd = fed_informer_find(c->informer, (struct fed_str){NULL, 0}, fed_str(name));
    struct job *j;

    if (!crd || (crd->deleting && !fed_kobj_has_finalizer(crd, FED_CRD_FINALIZER))) {
        fed_workqueue_done(c->passes.queue, name, 0);
        return;
    }
    j = FED_NEW(struct job);
    j->ctl = c;
    j->crd = fed_kobj_ref(latest(c, crd));
    fed_pass_begin(&c->passes, &j->pass, name);
    if (crd->deleting)
        end_objects(j);
    else
        accept_names(j);
}

/* --- life --- */

static bool requeue(void *ud, struct fed_kobj *o)
{
    struct fed_crdctl *c = ud;

    fed_workqueue_add(c->passes.queue, o->name);
    return true;
}

static void changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct fed_crdctl *c = ud;
    struct fed_kobj *o = now ? now : old, *mine = fed_map_find(&c->written, o->name);
    struct fed_arena a = {0};

    if (mine && (!now || mine->rev <= now->rev))
        fed_kobj_unref(fed_map_remove(&c->written, o->name));
    if (now) {
        tell(c, now, fed_kobj_parse(now, &a));
        fed_workqueue_add(c->passes.queue, now->name);
    } else {
        forget(c, old->name);
        fed_informer_each(c->informer, (struct fed_str){NULL, 0}, requeue, c); /* its names are free */
    }
    fed_arena_release(&a);
}

struct fed_crdctl *fed_crdctl_new(const struct fed_crdctl_conf *conf)
{
    struct fed_crdctl *c = FED_NEW(struct fed_crdctl);

    c->conf = *conf;
    fed_passes_init(&c->passes,
                    &(struct fed_workqueue_conf){.env = conf->transport->env,
                                                 .name = "crd",
                                                 .concurrency = 1, /* who comes first has the name */
                                                 .base_ms = 20,
                                                 .max_ms = 2000,
                                                 .work = work,
                                                 .ud = c},
                    job_release);
    c->informer = fed_informer_new(&(struct fed_informer_conf){.transport = conf->transport, .resource = &definitions});
    fed_informer_add_handlers(c->informer, &(struct fed_informer_handlers){.changed = changed, .ud = c});
    return c;
}

void fed_crdctl_start(struct fed_crdctl *c)
{
    fed_informer_start(c->informer);
}

void fed_crdctl_free(struct fed_crdctl *c)
{
    if (!c)
        return;
    fed_informer_free(c->informer);
    fed_passes_release(&c->passes);
    while (fed_map_count(&c->served))
        FED_MAP_EACH(e, &c->served)
            forget(c, e->key);
    FED_MAP_EACH(e, &c->written)
        fed_kobj_unref(e->value);
    fed_map_release(&c->served);
    fed_map_release(&c->written);
    free(c);
}

bool fed_crdctl_idle(const struct fed_crdctl *c)
{
    return fed_workqueue_idle(c->passes.queue);
}
