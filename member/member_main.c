/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "member/member.h"

#define AT(f) offsetof(struct mbr_conf, f)
static const struct fed_setting rows[] = {
    {.name = "name",
     .type = FED_SET_STR,
     .offset = AT(name),
     .dflt = "member",
     .arg = "NAME",
     .help = "name of the cluster"},
    {.name = "dir",
     .type = FED_SET_STR,
     .offset = AT(dir),
     .arg = "DIR",
     .help = "state of the cluster; made when absent",
     .required = true},
    {.name = "region", .type = FED_SET_STR, .offset = AT(region), .arg = "REGION", .help = "region label of its nodes"},
    {.name = "zone", .type = FED_SET_STR, .offset = AT(zone), .arg = "ZONE", .help = "zone label of its nodes"},
    {.name = "coordinates",
     .type = FED_SET_STR,
     .offset = AT(coordinates),
     .arg = "LAT,LON",
     .help = "place of the cluster, an annotation of its nodes"},
    {.name = "labels", .type = FED_SET_LIST, .offset = AT(labels), .arg = "K=V,…", .help = "more labels of its nodes"},
    {.name = "nodes",
     .type = FED_SET_INT,
     .offset = AT(nodes),
     .dflt = "1",
     .arg = "N",
     .help = "number of nodes",
     .min = 1,
     .max = 254},
    {.name = "node-monitor-grace-period",
     .type = FED_SET_DURATION,
     .offset = AT(node_grace_ms),
     .dflt = "50s",
     .arg = "DURATION",
     .help = "how long an agent may be silent before its node is taken for lost",
     .min = 1000,
     .max = 86400000},
    {.name = "max-pods",
     .type = FED_SET_INT,
     .offset = AT(max_pods),
     .dflt = "250",
     .arg = "N",
     .help = "pods that a node takes",
     .min = 1,
     .max = 100000},
    {.name = "runtime",
     .type = FED_SET_CHOICE,
     .offset = AT(runtime),
     .dflt = "process",
     .choices = "process|hollow",
     .arg = "KIND",
     .help = "process: pods are processes; hollow: pods only claim to run"},
    {.name = "port",
     .type = FED_SET_INT,
     .offset = AT(port),
     .dflt = "0",
     .arg = "PORT",
     .help = "port of the API; 0: 6443, or the one kept",
     .min = 0,
     .max = 65535},
    {.name = "san",
     .type = FED_SET_LIST,
     .offset = AT(sans),
     .arg = "IP,…",
     .help = "more addresses for the server's certificate"},
    {.name = "encryption-provider-config",
     .type = FED_SET_STR,
     .offset = AT(encryption),
     .arg = "FILE",
     .help = "EncryptionConfiguration (apiserver.config.k8s.io/v1) for what lies in the store; read again when it "
             "changes and on SIGHUP"},
    {.name = "max-requests-inflight",
     .type = FED_SET_INT,
     .offset = AT(max_reads),
     .dflt = "400",
     .arg = "N",
     .min = 1,
     .max = 100000,
     .help = "reading requests of ordinary users under way at once, watches apart"},
    {.name = "max-mutating-requests-inflight",
     .type = FED_SET_INT,
     .offset = AT(max_writes),
     .dflt = "200",
     .arg = "N",
     .min = 1,
     .max = 100000,
     .help = "writing requests of ordinary users under way at once"},
    {.name = "stop-pods", .type = FED_SET_BOOL, .offset = AT(stop_pods), .help = "when stopped, stop the pods too"},
    {.name = "rewrite-paths",
     .type = FED_SET_BOOL,
     .offset = AT(rewrite_paths),
     .help = "make no mount name spaces even where they are allowed",
     .hidden = true},
    FED_ACCESS_ROWS(AT(access)),
    FED_SERVING_ROWS(AT(serving)),
    {.name = "verbose", .type = FED_SET_BOOL, .offset = AT(verbose), .help = "log more"},
};
static const struct fed_settings settings = {
    .program = "hansa-member",
    .summary = "a minimal Kubernetes cluster in one process: API server, controllers, node agent, service proxy",
    .args = "[stop]",
    .max_args = 1,
    .version = "0.1.0",
    .rows = rows,
    .n_rows = FED_ARRAY_LEN(rows),
};

static void on_signal(void *ud, int signo)
{
    (void)signo;
    mbr_stop(ud, 0);
}

static void on_hangup(void *ud, int signo)
{
    struct mbr *m = ud;
    (void)signo;
    struct fed_err err = {0};
    fed_api_reload(m->api);
    fed_access_reload(m->access);
    if (fed_tls_reload(m->tls, &err))
        fed_log_error("member", "TLS: %s", err.text);
}

static int stop_only(const struct mbr_conf *conf)
{
    struct fed_err err = {0};
    int rc = mbr_stop_running(conf->dir, conf->stop_pods, &err);
    if (rc < 0)
        fprintf(stderr, "hansa-member: %s\n", err.text);
    return rc < 0;
}

static int run(const struct mbr_conf *conf)
{
    static struct mbr member;
    struct fed_err err = {0};
    struct fed_loop *loop = fed_loop_new();
    int status = 0;
    if (conf->verbose)
        fed_log_set_level(FED_LOG_DEBUG);
    int code = mbr_start(&member, conf, loop, &err);
    if (code < 0) {
        fed_log_error("member", "%s", err.text);
        return code == FED_E_BUSY ? EX_TEMPFAIL : 1; /* another one has the folder: `kubefed up` waits for it */
    }
    fed_loop_on_signal(loop, SIGTERM, on_signal, &member);
    fed_loop_on_signal(loop, SIGINT, on_signal, &member);
    fed_loop_on_signal(loop, SIGHUP, on_hangup, &member);
    fed_loop_run(loop);
    status = member.exit_status;
    mbr_release(&member);
    fed_loop_free(loop);
    return status;
}

int main(int argc, char **argv)
{
    struct fed_arena arena = {0};
    struct mbr_conf conf;
    struct fed_settings_result res;
    int status = fed_settings_main(&settings, &(struct fed_settings_input){.argc = argc, .argv = argv}, &conf,
                                   sizeof(conf), &arena, &res);
    if (status < 0) {
        if (res.args.n && strcmp(res.args.v[0], "stop") != 0) {
            fprintf(stderr, "hansa-member: unknown command \"%s\"\n", res.args.v[0]);
            status = 2;
        } else {
            status = res.args.n ? stop_only(&conf) : run(&conf);
        }
    }
    if (status == 0 && conf.stop_pods && !res.args.n && conf.dir)
        status = stop_only(&conf);
    fed_arena_release(&arena);
    return status;
}
