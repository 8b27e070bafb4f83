/* SPDX-License-Identifier: Apache-2.0 */
#include "control/namespace.h"

#include "base/mem.h"
#include "control/pass.h"
#include "kube/informer.h"

static const struct fed_resource namespaces = {"", "v1", "namespaces", "Namespace", false};

struct job { /* one pass over one namespace */
    struct fed_pass pass;
    struct fed_nsctl *ctl;
    size_t next;  /* resource */
    size_t found; /* objects that are still there */
};
struct fed_nsctl {
    struct fed_nsctl_conf conf;
    const struct fed_resource **resources;
    size_t n;
    struct fed_informer *informer;
    struct fed_passes passes;
};

static void list_next(struct job *j);

/* Fire and forget: what stays is found by the next pass. */
static void delete_item(void *ud, struct fed_kobj *obj)
{
    struct job *j = ud;
    j->found++;
    if (!obj->deleting)
        fed_client_delete(j->ctl->conf.transport, j->ctl->resources[j->next], obj->ns, obj->name, "Background",
                          obj->uid, NULL, NULL);
}

static void listed(void *ud, int code, const struct fed_call_response *res, const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    struct fed_arena a = {0};
    struct fed_str cont;
    uint64_t rev;
    j->pass.call = NULL;
    if (code == 0)
        code = fed_list_read(&a, j->ctl->resources[j->next], res->body, delete_item, j, &rev, &cont, NULL);
    else if (code == FED_E_NOT_FOUND)
        code = 0; /* a resource that is not served holds nothing */
    fed_arena_release(&a);
    if (code != 0) {
        fed_pass_end(&j->pass, code);
        return;
    }
    j->next++; /* further pages come up in the next pass: there is one, as this page was not empty */
    list_next(j);
}

static void finalized(void *ud, int code, const struct fed_call_response *res FED_UNUSED,
                      const struct fed_err *err FED_UNUSED)
{
    struct job *j = ud;
    j->pass.call = NULL;
    fed_pass_end(&j->pass, code == FED_E_NOT_FOUND ? 0 : code);
}

static void finalize(struct job *j)
{
    struct fed_kobj *obj = fed_informer_find(j->ctl->informer, FED_STR(""), fed_str(j->pass.key));
    struct fed_arena a = {0};
    if (!obj || !obj->deleting) {
        fed_pass_end(&j->pass, 0);
        return;
    }
    struct fed_json *tree = fed_kobj_parse(obj, &a);
    FED_JSON_EACH_SAFE(f, fed_json_at(tree, "spec", "finalizers", NULL)) {
        if (fed_str_is(fed_json_str(f), "kubernetes"))
            fed_json_remove(f);
    }
    j->pass.call = fed_client_update(j->ctl->conf.transport, &namespaces, tree, "finalize", finalized, j);
    fed_arena_release(&a);
}

static void list_next(struct job *j)
{
    while (j->next < j->ctl->n && !j->ctl->resources[j->next]->namespaced)
        j->next++;
    if (j->next < j->ctl->n)
        j->pass.call = fed_client_list(j->ctl->conf.transport, j->ctl->resources[j->next], fed_str(j->pass.key),
                                       "limit=500", listed, j);
    else if (j->found)
        fed_pass_end(&j->pass, FED_E_BUSY); /* looked at again after the back-off */
    else
        finalize(j);
}

static bool is_ending(const struct fed_kobj *obj)
{
    struct fed_arena a = {0};
    bool held = false;
    if (!obj->deleting)
        return false;
    FED_JSON_EACH(f, fed_json_at(fed_kobj_parse(obj, &a), "spec", "finalizers", NULL))
        held = held || fed_str_is(fed_json_str(f), "kubernetes");
    fed_arena_release(&a);
    return held;
}

static void work(void *ud, const char *key)
{
    struct fed_nsctl *c = ud;
    struct fed_kobj *obj = fed_informer_find(c->informer, FED_STR(""), fed_str(key));
    if (!obj || !is_ending(obj)) {
        fed_workqueue_done(c->passes.queue, key, 0);
        return;
    }
    struct job *j = FED_NEW(struct job);
    j->ctl = c;
    fed_pass_begin(&c->passes, &j->pass, key);
    list_next(j);
}

static void changed(void *ud, struct fed_kobj *old FED_UNUSED, struct fed_kobj *now)
{
    struct fed_nsctl *c = ud;
    if (now && now->deleting)
        fed_workqueue_add(c->passes.queue, now->name);
}

static void add(struct fed_nsctl *c, const struct fed_resource *r)
{
    c->resources = fed_realloc(c->resources, (c->n + 1) * sizeof(struct fed_resource *));
    c->resources[c->n++] = r;
}

/* Nothing may be overlooked by a pass that counted through another list. */
static void begin_anew(struct fed_nsctl *c)
{
    FED_LIST_EACH_SAFE(l, &c->passes.running) {
        struct job *j = fed_container_of(l, struct job, pass.link);
        fed_call_cancel(j->pass.call);
        j->pass.call = NULL;
        j->next = 0;
        list_next(j);
    }
}

void fed_nsctl_add(struct fed_nsctl *c, const struct fed_resource *r)
{
    add(c, r);
    begin_anew(c);
}

void fed_nsctl_remove(struct fed_nsctl *c, const struct fed_resource *r)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->resources[i] != r)
            continue;
        memmove(&c->resources[i], &c->resources[i + 1], (c->n - i - 1) * sizeof(struct fed_resource *));
        c->n--;
        break;
    }
    begin_anew(c);
}

struct fed_nsctl *fed_nsctl_new(const struct fed_nsctl_conf *conf)
{
    struct fed_nsctl *c = FED_NEW(struct fed_nsctl);
    c->conf = *conf;
    for (size_t i = 0; i < conf->n_resources; i++)
        add(c, &conf->resources[i]);
    fed_passes_init(&c->passes,
                    &(struct fed_workqueue_conf){.env = conf->transport->env,
                                                 .name = "namespace",
                                                 .concurrency = 4,
                                                 .base_ms = 50,
                                                 .max_ms = 5000,
                                                 .work = work,
                                                 .ud = c},
                    NULL);
    c->informer = fed_informer_new(&(struct fed_informer_conf){.transport = conf->transport, .resource = &namespaces});
    fed_informer_add_handlers(c->informer, &(struct fed_informer_handlers){.changed = changed, .ud = c});
    return c;
}

void fed_nsctl_start(struct fed_nsctl *c)
{
    fed_informer_start(c->informer);
}

void fed_nsctl_free(struct fed_nsctl *c)
{
    if (!c)
        return;
    fed_informer_free(c->informer);
    fed_passes_release(&c->passes);
    free(c->resources);
    free(c);
}

bool fed_nsctl_idle(const struct fed_nsctl *c)
{
    return fed_workqueue_idle(c->passes.queue);
}
