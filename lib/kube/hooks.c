/* SPDX-License-Identifier: Apache-2.0 */
/* hooks.c: hooks of one kind from several hands (the core's own, the program's), called in the order they were added. */
#include "kube/schema_priv.h"

struct link {
    struct fed_hooks hooks;
    struct link *next;
};
struct chain {
    struct link *first, **tail;
    struct fed_hooks convert, cells; /* the last that has one */
};

static int run_defaults(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    int rc = 0;

    for (struct link *l = ((struct chain *)ud)->first; l && !rc; l = l->next)
        if (l->hooks.defaults)
            rc = l->hooks.defaults(l->hooks.ud, w, obj, err);
    return rc;
}

static int run_prepare(void *ud, const struct fed_write *w, struct fed_json *obj, struct fed_err *err)
{
    int rc = 0;

    for (struct link *l = ((struct chain *)ud)->first; l && !rc; l = l->next)
        if (l->hooks.prepare)
            rc = l->hooks.prepare(l->hooks.ud, w, obj, err);
    return rc;
}

static void run_validate(void *ud, const struct fed_write *w, const struct fed_json *obj, struct fed_causes *causes)
{
    for (struct link *l = ((struct chain *)ud)->first; l; l = l->next)
        if (l->hooks.validate)
            l->hooks.validate(l->hooks.ud, w, obj, causes);
}

static int run_convert(void *ud, struct fed_arena *a, struct fed_json *obj, const struct fed_kind_version *from,
                       const struct fed_kind_version *to, struct fed_err *err)
{
    struct chain *c = ud;

    return c->convert.convert(c->convert.ud, a, obj, from, to, err);
}

static void run_cells(void *ud, struct fed_arena *a, const struct fed_kind_version *v, const struct fed_json *obj,
                      int64_t now_ms, struct fed_json *cells)
{
    struct chain *c = ud;

    c->cells.cells(c->cells.ud, a, v, obj, now_ms, cells);
}

static void run_settled(void *ud, const struct fed_write *w, const struct fed_json *obj, bool committed)
{
    for (struct link *l = ((struct chain *)ud)->first; l; l = l->next)
        if (l->hooks.settled)
            l->hooks.settled(l->hooks.ud, w, obj, committed);
}

void fed_hooks_add(struct fed_arena *a, struct fed_hooks *present, const struct fed_hooks *more)
{
    struct chain *c = present->ud;
    struct link *l = FED_ARENA_NEW(a, struct link);

    if (!c) {
        c = present->ud = FED_ARENA_NEW(a, struct chain);
        c->tail = &c->first;
    }
    l->hooks = *more;
    *c->tail = l;
    c->tail = &l->next;
    if (more->defaults)
        present->defaults = run_defaults;
    if (more->prepare)
        present->prepare = run_prepare;
    if (more->validate)
        present->validate = run_validate;
    if (more->settled)
        present->settled = run_settled;
    if (more->convert) {
        present->convert = run_convert;
        c->convert = *more;
    }
    if (more->cells) {
        present->cells = run_cells;
        c->cells = *more;
    }
}
