/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pass.h"

#include <stdlib.h>

#include "base/mem.h"

void fed_passes_init(struct fed_passes *s, const struct fed_workqueue_conf *queue, void (*release)(struct fed_pass *p))
{
    fed_list_init(&s->running);
    s->queue = fed_workqueue_new(queue);
    s->release = release;
}

void fed_passes_release(struct fed_passes *s)
{
    while (!fed_list_empty(&s->running)) {
        struct fed_pass *p = FED_LIST_ENTRY(s->running.next, struct fed_pass, link);
        fed_call_cancel(p->call);
        fed_pass_drop(p);
    }
    fed_workqueue_free(s->queue);
}

void fed_pass_begin(struct fed_passes *s, struct fed_pass *p, const char *key)
{
    p->set = s;
    p->key = fed_strdup(key);
    p->call = NULL;
    fed_list_push_back(&s->running, &p->link);
}

struct fed_pass *fed_pass_new(struct fed_passes *s, const char *key)
{
    struct fed_pass *p = FED_NEW(struct fed_pass);
    fed_pass_begin(s, p, key);
    return p;
}

void fed_pass_drop(struct fed_pass *p)
{
    fed_list_remove(&p->link);
    if (p->set->release)
        p->set->release(p);
    free(p->key);
    free(p);
}

void fed_pass_end(struct fed_pass *p, int code)
{
    struct fed_passes *s = p->set;
    char *key = p->key;
    p->key = NULL;
    fed_pass_drop(p);
    fed_workqueue_done(s->queue, key, code);
    free(key);
}
