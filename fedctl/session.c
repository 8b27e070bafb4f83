/* SPDX-License-Identifier: Apache-2.0 */
/* session.c: what one run of kubefed has, and how it speaks and waits. */
#include <stdarg.h>

#include "base/mem.h"
#include "fedctl/fedctl.h"

static const char *env_of_process(const char *name)
{
    return getenv(name);
}

void fctl_init(struct fctl *c, struct fed_loop *loop)
{
    *c = (struct fctl){.loop = loop, .env = fed_loop_env(loop), .out = stdout, .getenv = env_of_process};
}

void fctl_release(struct fctl *c)
{
    for (struct fctl_api *api = c->apis; api; api = api->next) {
        fed_transport_free(api->transport);
        fed_rest_conf_release(&api->rest);
    }
    fed_arena_release(&c->arena);
}

void fctl_say(struct fctl *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(c->out, fmt, args);
    va_end(args);
    fputc('\n', c->out);
    fflush(c->out);
}

bool fctl_said(const struct fctl_common *common, const char *flag)
{
    for (size_t i = 0; i < common->settings->n_rows; i++)
        if (strcmp(common->settings->rows[i].name, flag) == 0)
            return common->given[i];
    FED_REQUIRE(!"no such flag");
    return false;
}

/* --- waiting --- */

struct nap {
    struct fed_timer timer;
    struct fctl *c;
    bool done;
};

static void nap_over(struct fed_timer *t)
{
    struct nap *n = fed_container_of(t, struct nap, timer);
    n->done = true;
    fed_loop_stop(n->c->loop);
}

void fctl_sleep(struct fctl *c, uint64_t ms)
{
    struct nap n = {.c = c};
    fed_timer_start(c->env, &n.timer, ms, nap_over);
    while (!n.done)
        fed_loop_run(c->loop);
}

#define PATIENCE_MS 3000 /* before it is told what is awaited */
#define MAX_WHYS    8

/* What is awaited, in its own words, when it lasts and whenever these change: a pod that crashes is seen at once. */
static void tell_why(struct fctl *c, const struct fed_err *why, struct fed_err *last, int *n)
{
    if (!why->text[0] || strcmp(why->text, last->text) == 0 || *n >= MAX_WHYS)
        return;
    *last = *why;
    ++*n;
    fprintf(c->out, "\n  %s\n", why->text);
}

int fctl_wait(struct fctl *c, const char *what, int64_t timeout_ms, fctl_condition condition, void *ud,
              struct fed_err *err)
{
    int whys = 0;
    struct fed_err last = {0};
    uint64_t start = fed_mono_ms(c->env), told = 0, pause = 50;
    struct fed_err why = {0};
    for (;;) {
        int code = condition(ud, &why);
        uint64_t spent = fed_mono_ms(c->env) - start;
        if (code == 0 && told)
            fprintf(c->out, " done (%llu.%llu s)\n", (unsigned long long)spent / 1000,
                    (unsigned long long)spent / 100 % 10);
        else if (code && told && (code != FED_E_BUSY || spent >= (uint64_t)timeout_ms))
            fputc('\n', c->out);
        fflush(c->out);
        if (code != FED_E_BUSY) {
            if (code && err)
                *err = why;
            return code;
        }
        if (spent >= (uint64_t)timeout_ms)
            return fed_err_set(err, FED_E_TIMEOUT, "%s: not within %lld s: %s", what, (long long)timeout_ms / 1000,
                               why.text);
        if (!told && spent > 100) {
            fprintf(c->out, "Waiting for %s ...", what);
            told = spent;
        } else if (told && spent - told >= 1000) {
            if (spent >= PATIENCE_MS)
                tell_why(c, &why, &last, &whys);
            fputc('.', c->out);
            told = spent;
        }
        fflush(c->out);
        fctl_sleep(c, pause);
        pause = FED_MIN(pause * 3 / 2, 500);
    }
}
