/* SPDX-License-Identifier: Apache-2.0 */
/* pod.h: one pod on one of our nodes: the agent's worker for it.
 *
 * Model:      opening (the runtime tells what runs) -> running: each turn of pod_sync compares the object with the
 *             containers and starts what is due -> ending (deleted: SIGTERM, grace, SIGKILL) -> gone: folder removed,
 *             address given back, object deleted. Everything that happens posts one sync; a sync is idempotent.
 * Ownership:  a worker owns its probes, timers and a reference to the object at its latest revision; struct mbr_agents
 *             owns the workers. Threads: the loop's.
 */
#ifndef MEMBER_AGENT_POD_H
#define MEMBER_AGENT_POD_H

#include "member/agent/env.h"
#include "member/agent/machine.h"
#include "member/agent/probe.h"
#include "member/podinfo.h"
#include "member/runtime/runtime.h"

enum mbr_cstate { MBR_C_WAITING, MBR_C_STARTING, MBR_C_RUNNING, MBR_C_ENDED };

struct mbr_ended { /* one ended run */
    bool any;
    int code, signo;
    unsigned attempt;
    int64_t started_ms, ended_ms;
    char reason[40], message[256];
};
struct mbr_prober;
struct mbr_pod;
struct mbr_container {
    struct mbr_pod *pod;
    char *name, *image;
    bool init, ephemeral; /* neither: an ordinary one */
    enum mbr_cstate state;
    char reason[40], message[256]; /* while waiting */
    unsigned attempt;              /* of the present or next run */
    bool ever;                     /* a run was made: the next one is attempt + 1 */
    int pid;
    int64_t started_ms;
    struct mbr_ended last, before; /* last: ended now or before the present run; before: what `last` was then */
    uint32_t backoff_ms, image_backoff_ms;
    uint64_t retry_at_ms;                /* monotonic; 0: at once */
    bool backing_off, pulled, unhealthy; /* unhealthy: being killed by a probe */
    bool started, ready;
    struct mbr_prober *probers[MBR_N_PROBES];
};
struct mbr_node;
struct mbr_pod {
    struct mbr_agents *agents;
    struct mbr_node *node;
    struct fed_kobj *obj;
    char *uid, *dir;
    char ip[16];
    int64_t ip_index; /* in the pool; -1: the node's address */
    bool restart_always, restart_on_failure, host_network;
    struct mbr_run_pod *run;
    bool open; /* the runtime told all */
    bool ending, terminated, killed, gone, vanished,
        done; /* vanished: the object is gone; done: phase Succeeded or Failed */
    uint64_t term_at_ms, kill_at_ms;
    uint32_t open_backoff_ms, volume_backoff_ms;
    bool volumes_made;
    uint64_t volumes_at_ms; /* earliest next attempt */
    char *ports_json;       /* replaced ports, or NULL */
    int64_t started_ms;
    struct mbr_container *containers; /* init ones first, ephemeral ones last; with room for more of these */
    size_t n, room;
    struct fed_task task; /* the next sync */
    struct fed_timer timer, token_timer;
    struct fed_call *status_call, *delete_call;
    bool status_again;
};
struct mbr_node {
    char name[80], ip[16];
    char *host_dir; /* what /var/lib/hansa of this node maps to the folder of */
    struct fed_timer lease_timer;
    struct fed_call *call;
    bool made, leased, stopped; /* stopped: by its annotation, as if the agent had died */
    struct mbr_agents *agents;
};
struct mbr_agents {
    struct mbr *m;
    struct mbr_runtime *rt;
    struct fed_recorder *events;
    struct mbr_node *nodes;
    size_t n_nodes;
    struct fed_map pods; /* uid -> worker */
    struct mbr_pool ips;
    struct mbr_machine machine;
    int64_t cpu_milli, memory;
    bool closing;
};

struct mbr_agents *mbr_agents_new(struct mbr *m);
void mbr_agents_start(struct mbr_agents *g); /* informers are synced: adopts, then follows */
void mbr_agents_free(struct mbr_agents *g);  /* lets the processes be */

struct mbr_pod *mbr_pod_new(struct mbr_agents *g, struct mbr_node *node, struct fed_kobj *obj);
void mbr_pod_update(struct mbr_pod *p, struct fed_kobj *obj); /* NULL: the object vanished */
void mbr_pod_free(struct mbr_pod *p);
void mbr_pod_data_changed(struct mbr_pod *p); /* a ConfigMap or Secret of its namespace */
bool mbr_pod_uses(struct mbr_pod *p, struct fed_str name);

/* pod_base.c, on which the files below stand */
void mbr_pod_post(struct mbr_pod *p); /* a sync soon */
const struct fed_json *mbr_container_spec(const struct fed_json *tree, const struct mbr_container *c);
/* The port that is really listened on for a containerPort. */
uint16_t mbr_pod_real_port(const struct mbr_pod *p, uint16_t port);
/* Where environment and volumes find what they name. */
void mbr_pod_sources(struct mbr_pod *p, struct fed_arena *a, const struct fed_json *tree, struct mbr_env_sources *out);

/* pod_start.c: the run of one container. FED_E_NOT_FOUND: configuration is missing. */
int mbr_pod_start_container(struct mbr_pod *p, struct mbr_container *c, const struct fed_json *tree,
                            struct fed_arena *a, struct fed_err *err);
/* Path of an included image's program, or NULL. */
char *mbr_image_file(const struct mbr *m, struct fed_str image);
/* Decides which declared ports must be replaced; ports_json. */
void mbr_pod_plan_ports(struct mbr_pod *p, const struct fed_json *tree);

/* volumes.c */
int mbr_volumes_make(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a, struct fed_err *err);
/* Folder (or file) of a volume; p == NULL: unknown. */
struct fed_str mbr_volume_path(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a,
                               struct fed_str name);

/* pod_probe.c: probes run while their container does. */
void mbr_probers_start(struct mbr_container *c, const struct fed_json *spec);
void mbr_probers_stop(struct mbr_container *c);

/* Most ephemeral containers of one pod: the shim has a bound, and nobody debugs that often. */
enum { MBR_EPHEMERAL_MAX = 16 };

/* pod_status.c */
void mbr_pod_write_status(struct mbr_pod *p, const struct fed_json *tree, struct fed_arena *a);

/* node.c */
void mbr_node_start(struct mbr_agents *g, struct mbr_node *n);
void mbr_node_stop(struct mbr_agents *g, struct mbr_node *n);
/* Annotation of a Node; "stopped": its agent is as good as dead (what runs runs on, nothing is told, nothing done). */
#define MBR_AGENT_ANNOTATION "member.hansa.io/agent"
void mbr_node_follow(struct mbr_agents *g, struct mbr_node *n,
                     const struct fed_kobj *obj); /* NULL: the object is gone */

#endif
