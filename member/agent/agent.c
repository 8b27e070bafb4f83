/* SPDX-License-Identifier: Apache-2.0 */
/* The agents of all nodes of the cluster: gives each pod with one of our nodes a worker, and tells workers what changed. */
#include <dirent.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "member/agent/pod.h"

static struct mbr_node *node_named(struct mbr_agents *g, struct fed_str name)
{
    for (size_t i = 0; i < g->n_nodes; i++)
        if (fed_str_is(name, g->nodes[i].name))
            return &g->nodes[i];
    return NULL;
}

static void pod_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_agents *g = ud;
    struct mbr_pod *p = fed_map_find(&g->pods, (now ? now : old)->uid);
    if (p)
        return mbr_pod_update(p, now);
    struct mbr_node *n = now ? node_named(g, mbr_pod_info_get(g->m, now)->node) : NULL;
    if (n)
        (void)mbr_pod_new(g, n, now);
}

static void node_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_agents *g = ud;
    struct mbr_node *n = node_named(g, (now ? now : old)->name);
    if (n)
        mbr_node_follow(g, n, now);
}

static void data_changed(void *ud, struct fed_kobj *old, struct fed_kobj *now)
{
    struct mbr_agents *g = ud;
    const struct fed_kobj *o = now ? now : old;
    if (!g->rt->real)
        return;
    FED_MAP_EACH(e, &g->pods) {
        struct mbr_pod *p = e->value;
        if (fed_str_eq(p->obj->ns, o->ns) && mbr_pod_uses(p, o->name))
            mbr_pod_data_changed(p);
    }
}

static void make_nodes(struct mbr_agents *g)
{
    const struct mbr_conf *conf = g->m->conf;
    g->n_nodes = (size_t)conf->nodes;
    g->nodes = fed_calloc(g->n_nodes, sizeof(*g->nodes));
    for (size_t i = 0; i < g->n_nodes; i++) {
        struct mbr_node *n = &g->nodes[i];
        n->agents = g;
        snprintf(n->name, sizeof(n->name), "%s-%zu", conf->name, i + 1);
        mbr_ip_format(mbr_part_first(g->m->range.x, MBR_PART_NODES) + (uint32_t)i, n->ip);
        n->host_dir = fed_asprintf("%s/nodes/%s/host", g->m->dir, n->name);
    }
}

struct mbr_agents *mbr_agents_new(struct mbr *m)
{
    struct mbr_agents *g = FED_NEW(struct mbr_agents);
    struct sysinfo si = {0};
    sysinfo(&si);
    g->m = m;
    mbr_machine_read(&g->machine);
    g->cpu_milli = (int64_t)sysconf(_SC_NPROCESSORS_ONLN) * 1000;
    g->memory = (int64_t)si.totalram * si.mem_unit;
    if (m->conf->runtime == MBR_RUNTIME_HOLLOW) { /* nothing is used, so nothing is scarce */
        g->cpu_milli *= 1000;
        g->memory *= 1000;
    }
    g->rt = m->conf->runtime == MBR_RUNTIME_HOLLOW ? mbr_runtime_hollow(m) : mbr_runtime_process(m);
    g->events = fed_recorder_new(m->client, "kubelet", m->conf->name);
    mbr_pool_init(&g->ips, mbr_part_count(MBR_PART_PODS));
    make_nodes(g);
    return g;
}

/* Folders of pods that the API knows no more: deleted by force while we were away. */
static void remove_strangers(struct mbr_agents *g)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/pods", g->m->dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || fed_map_has(&g->pods, fed_str(e->d_name)))
            continue;
        struct sockaddr_un sa;
        unsigned len = mbr_socket_name(&sa, g->m->range.x, e->d_name);
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, len) == 0) {
            fed_log_info("agent", "stopping pod %s, which the API does not know", e->d_name);
            (void)!send(fd, "stop 5", 6, MSG_NOSIGNAL);
        }
        if (fd >= 0)
            close(fd);
        snprintf(path, sizeof(path), "%s/pods/%s", g->m->dir, e->d_name);
        fed_file_remove_tree(path);
    }
    if (d)
        closedir(d);
}

static bool adopt(void *ud, struct fed_kobj *pod)
{
    struct mbr_agents *g = ud;
    struct mbr_node *n = node_named(g, mbr_pod_info_get(g->m, pod)->node);
    if (n && !fed_map_has(&g->pods, pod->uid))
        (void)mbr_pod_new(g, n, pod);
    return true;
}

void mbr_agents_start(struct mbr_agents *g)
{
    struct fed_informer **inf = g->m->informers;
    for (size_t i = 0; i < g->n_nodes; i++)
        mbr_node_follow(g, &g->nodes[i], mbr_find(g->m, MBR_NODES, FED_STR(""), fed_str(g->nodes[i].name)));
    fed_informer_each(inf[MBR_PODS], FED_STR(""), adopt, g);
    if (g->rt->real)
        remove_strangers(g);
    fed_informer_add_handlers(inf[MBR_PODS], &(struct fed_informer_handlers){.changed = pod_changed, .ud = g});
    fed_informer_add_handlers(inf[MBR_NODES], &(struct fed_informer_handlers){.changed = node_changed, .ud = g});
    fed_informer_add_handlers(inf[MBR_CONFIGMAPS], &(struct fed_informer_handlers){.changed = data_changed, .ud = g});
    fed_informer_add_handlers(inf[MBR_SECRETS], &(struct fed_informer_handlers){.changed = data_changed, .ud = g});
    fed_informer_add_handlers(inf[MBR_SERVICEACCOUNTS],
                              &(struct fed_informer_handlers){.changed = data_changed, .ud = g});
    for (size_t i = 0; i < g->n_nodes; i++)
        mbr_node_start(g, &g->nodes[i]);
}

void mbr_agents_free(struct mbr_agents *g)
{
    if (!g)
        return;
    g->closing = true;
    for (size_t i = 0; i < g->n_nodes; i++) {
        mbr_node_stop(g, &g->nodes[i]);
        free(g->nodes[i].host_dir);
    }
    FED_MAP_EACH(e, &g->pods)
        mbr_pod_free(e->value);
    fed_map_release(&g->pods);
    mbr_pool_release(&g->ips);
    fed_recorder_free(g->events);
    g->rt->ops->free(g->rt);
    free(g->nodes);
    free(g);
}
