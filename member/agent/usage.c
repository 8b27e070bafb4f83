/* SPDX-License-Identifier: Apache-2.0 */
#include "member/agent/usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "member/agent/pod.h"

enum { PERIOD_MS = 15 * 1000, FIRST_MS = 1000, KEEP_MS = 5 * 60 * 1000, PROCESSES_MAX = 100 * 1000, DEPTH_MAX = 64 };

struct entry { /* one container, or the member itself */
    int pid;
    uint64_t ticks, at_ms; /* monotonic, of the last look */
    struct mbr_usage_value value;
    bool known;
    unsigned round;
};
struct look {            /* a reading of /proc, on the thread pool */
    struct mbr_usage *u; /* NULL: nobody wants it any more */
    struct mbr_process *list;
    size_t n;
};
struct mbr_usage {
    struct mbr *m;
    struct fed_map entries; /* "UID/CONTAINER" */
    struct fed_list waits;
    struct look *look;
    struct fed_timer timer;
    uint64_t asked_ms;
    unsigned round; /* looks since it began to watch */
};

/* --- pure --- */

bool mbr_process_parse(struct fed_str text, struct mbr_process *out)
{
    /* "PID (NAME) S PPID PGRP SESSION …": the name may hold anything, so the last bracket counts. */
    enum { PPID = 1, SESSION = 3, UTIME = 11, CSTIME = 14, RSS = 21, FIELDS };
    uint64_t field[FIELDS] = {0}, pid;
    size_t end = text.n;
    while (end > 0 && text.p[end - 1] != ')')
        end--;
    struct fed_str rest = fed_str_trim(fed_str_from(text, end)), head = text, one;
    if (!end || !fed_str_cut(&head, ' ', &one) || fed_str_u64(one, &pid) < 0)
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (!fed_str_cut(&rest, ' ', &one))
            return false;
        else if ((i == PPID || i == SESSION || (i >= UTIME && i <= CSTIME) || i == RSS) &&
                 fed_str_u64(one, &field[i]) < 0)
            field[i] = 0; /* the signed ones may be negative, and mean nothing then */
    *out = (struct mbr_process){.pid = (int)pid,
                                .parent = (int)field[PPID],
                                .session = (int)field[SESSION],
                                .ticks = field[UTIME] + field[UTIME + 1] + field[UTIME + 2] + field[CSTIME],
                                .pages = field[RSS]};
    return true;
}

static int by_pid(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b; /* both kinds begin with a pid */
    return x < y ? -1 : x > y;
}

static struct mbr_usage_sum *sum_of(struct mbr_usage_sum *sums, size_t n, int pid)
{
    return pid > 0 && n ? bsearch(&pid, sums, n, sizeof(*sums), by_pid) : NULL;
}

void mbr_usage_attribute(struct mbr_process *list, size_t n, struct mbr_usage_sum *sums, size_t n_sums)
{
    _Static_assert(offsetof(struct mbr_process, pid) == 0 && offsetof(struct mbr_usage_sum, pid) == 0, "by_pid");
    if (n)
        qsort(list, n, sizeof(*list), by_pid);
    for (size_t i = 0; i < n; i++) {
        const struct mbr_process *p = &list[i], *up = p;
        struct mbr_usage_sum *s = NULL;
        for (int depth = 0; up && !s && depth < DEPTH_MAX; depth++) {
            s = sum_of(sums, n_sums, up->pid);
            int parent = up->parent;
            up = bsearch(&parent, list, n, sizeof(*list), by_pid);
        }
        if (!s)
            s = sum_of(sums, n_sums, p->session);
        if (s) {
            s->ticks += p->ticks;
            s->pages += p->pages;
        }
    }
}

/* --- looking --- */

static void read_proc(void *ud)
{
    struct look *k = ud;
    size_t cap = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && k->n < PROCESSES_MAX && (e = readdir(d));) {
        char path[300], text[1024];
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
        if (fd >= 0)
            close(fd);
        if (k->n == cap) {
            cap = cap ? cap * 2 : 256;
            k->list = fed_realloc(k->list, cap * sizeof(*k->list));
        }
        if (n > 0 && mbr_process_parse(fed_str_n(text, (size_t)n), &k->list[k->n]))
            k->n++;
    }
    if (d)
        closedir(d);
}

static void update(struct mbr_usage *u, struct fed_str key, const struct mbr_usage_sum *s)
{
    struct entry *e = fed_map_find(&u->entries, key);
    uint64_t now = fed_mono_ms(u->m->env);
    if (!e) {
        e = FED_NEW(struct entry);
        fed_map_set(&u->entries, key, e);
    }
    if (e->pid == s->pid && now > e->at_ms) {
        uint64_t ticks = s->ticks > e->ticks ? s->ticks - e->ticks : 0, ms = now - e->at_ms;
        e->value.cpu_nano = (int64_t)(ticks * 1000 * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK) * 1000 / ms);
        e->value.window_ms = (uint32_t)FED_MIN(ms, (uint64_t)UINT32_MAX);
        e->known = true;
    } else {
        e->known = false;
    }
    e->pid = s->pid;
    e->ticks = s->ticks;
    e->at_ms = now;
    e->round = u->round;
    e->value.memory = (int64_t)s->pages * sysconf(_SC_PAGESIZE);
    e->value.at_ms = fed_wall_ms(u->m->env);
}

static struct fed_str key_of(char *room, size_t n, struct fed_str uid, const char *container)
{
    int len = snprintf(room, n, "%.*s/%s", FED_STR_ARG(uid), container);
    return fed_str_n(room, len < (int)n ? (size_t)len : n - 1);
}

/* All that is measured: the first process of each running container, and our own. */
static size_t list_roots(struct mbr_usage *u, struct mbr_usage_sum **out)
{
    size_t n = 0, cap = 1;
    FED_MAP_EACH(e, &u->m->agents->pods)
        cap += ((struct mbr_pod *)e->value)->n;
    *out = fed_calloc(cap, sizeof(**out));
    FED_MAP_EACH(e, &u->m->agents->pods) {
        const struct mbr_pod *p = e->value;
        for (size_t i = 0; i < p->n; i++)
            if (p->containers[i].state == MBR_C_RUNNING && p->containers[i].pid > 0)
                (*out)[n++].pid = p->containers[i].pid;
    }
    (*out)[n++].pid = getpid();
    qsort(*out, n, sizeof(**out), by_pid);
    return n;
}

static void forget_old(struct mbr_usage *u)
{
    FED_MAP_EACH(e, &u->entries)
        if (((struct entry *)e->value)->round != u->round)
            free(fed_map_remove(&u->entries, e->key));
}

static void tell_waiting(struct mbr_usage *u, bool measured)
{
    while (!fed_list_empty(&u->waits)) {
        struct mbr_usage_wait *w = FED_LIST_ENTRY(u->waits.next, struct mbr_usage_wait, link);
        fed_list_remove(&w->link);
        w->ready(w, measured);
    }
}

static void next_look(struct fed_timer *t);

static void looked(void *ud)
{
    struct look *k = ud;
    struct mbr_usage *u = k->u;
    struct mbr_usage_sum *sums = NULL, *s;
    char room[256];
    if (u && u->m->agents) {
        u->look = NULL;
        u->round++;
        size_t n = list_roots(u, &sums);
        mbr_usage_attribute(k->list, k->n, sums, n);
        FED_MAP_EACH(e, &u->m->agents->pods) {
            const struct mbr_pod *p = e->value;
            for (size_t i = 0; i < p->n; i++)
                if (p->containers[i].state == MBR_C_RUNNING && (s = sum_of(sums, n, p->containers[i].pid)))
                    update(u, key_of(room, sizeof(room), fed_str(p->uid), p->containers[i].name), s);
        }
        update(u, FED_STR("member"), sum_of(sums, n, getpid()));
        forget_old(u);
        fed_timer_start(u->m->env, &u->timer, u->round < 2 ? FIRST_MS : PERIOD_MS, next_look);
        if (u->round >= 2)
            tell_waiting(u, true);
    }
    free(sums);
    free(k->list);
    free(k);
}

static void next_look(struct fed_timer *t)
{
    struct mbr_usage *u = fed_container_of(t, struct mbr_usage, timer);
    if (fed_mono_ms(u->m->env) - u->asked_ms > KEEP_MS) {
        u->round = 0; /* nobody has asked for long */
        return;
    }
    u->look = FED_NEW(struct look);
    u->look->u = u;
    fed_loop_work(u->m->loop, read_proc, looked, u->look);
}

/* --- asking --- */

struct mbr_usage *mbr_usage_new(struct mbr *m)
{
    struct mbr_usage *u = FED_NEW(struct mbr_usage);
    u->m = m;
    fed_list_init(&u->waits);
    return u;
}

void mbr_usage_free(struct mbr_usage *u)
{
    if (!u)
        return;
    fed_timer_stop(u->m->env, &u->timer);
    if (u->look)
        u->look->u = NULL;
    tell_waiting(u, false);
    FED_MAP_EACH(e, &u->entries)
        free(e->value);
    fed_map_release(&u->entries);
    free(u);
}

bool mbr_usage_ask(struct mbr_usage *u)
{
    u->asked_ms = fed_mono_ms(u->m->env);
    if (u->round == 0 && !u->look)
        next_look(&u->timer);
    return u->round >= 2;
}

void mbr_usage_wait(struct mbr_usage *u, struct mbr_usage_wait *w)
{
    if (mbr_usage_ask(u))
        w->ready(w, true);
    else
        fed_list_push_back(&u->waits, &w->link);
}

bool mbr_usage_container(const struct mbr_usage *u, struct fed_str pod_uid, const char *container,
                         struct mbr_usage_value *out)
{
    char room[256];
    const struct entry *e = u ? fed_map_find(&u->entries, key_of(room, sizeof(room), pod_uid, container)) : NULL;
    if (!e || !e->known)
        return false;
    *out = e->value;
    return true;
}

static void add(struct mbr_usage_value *sum, const struct mbr_usage_value *v)
{
    sum->cpu_nano += v->cpu_nano;
    sum->memory += v->memory;
    sum->at_ms = FED_MAX(sum->at_ms, v->at_ms);
    sum->window_ms = FED_MAX(sum->window_ms, v->window_ms);
}

bool mbr_usage_pod(const struct mbr_usage *u, struct fed_str pod_uid, struct mbr_usage_value *out)
{
    const struct mbr_pod *p = u && u->m->agents ? fed_map_find(&u->m->agents->pods, pod_uid) : NULL;
    struct mbr_usage_value v;
    bool any = false;
    *out = (struct mbr_usage_value){0};
    for (size_t i = 0; p && i < p->n; i++) {
        if (p->containers[i].state != MBR_C_RUNNING)
            continue;
        if (!mbr_usage_container(u, pod_uid, p->containers[i].name, &v))
            return false;
        add(out, &v);
        any = true;
    }
    return any;
}

bool mbr_usage_node(const struct mbr_usage *u, struct fed_str node, struct mbr_usage_value *out)
{
    const struct mbr_agents *g = u ? u->m->agents : NULL;
    const struct entry *own = u ? fed_map_find(&u->entries, FED_STR("member")) : NULL;
    struct mbr_usage_value v;
    *out = (struct mbr_usage_value){0};
    if (!g || !own || !own->known)
        return false;
    *out = own->value;
    if (!g->n_nodes || !fed_str_is(node, g->nodes[0].name))
        out->cpu_nano = out->memory = 0;
    FED_MAP_EACH(e, &g->pods) {
        const struct mbr_pod *p = e->value;
        if (fed_str_is(node, p->node->name) && mbr_usage_pod(u, fed_str(p->uid), &v))
            add(out, &v);
    }
    return true;
}
