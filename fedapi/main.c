/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "fedapi/server.h"

static const char *get_env(const char *name)
{
    return getenv(name);
}

static void on_signal(void *ud, int signo)
{
    (void)signo;
    fapi_server_stop(ud, 0);
}

static void on_hangup(void *ud, int signo)
{
    (void)signo;
    fapi_server_reload(ud);
}

int main(int argc, char **argv)
{
    struct fed_arena arena = {0};
    struct fed_settings_input in = {.argc = argc, .argv = argv, .getenv = get_env};
    struct fed_settings_result result;
    struct fed_err err = {0};
    struct fapi_conf conf;
    struct fapi_server *server = NULL;
    int status = fed_settings_main(&fapi_settings, &in, &conf, sizeof(conf), &arena, &result);
    if (status >= 0)
        return status;
    if (conf.verbose)
        fed_log_set_level(FED_LOG_DEBUG);
    struct fed_loop *loop = fed_loop_new();
    if (fapi_server_start(loop, &conf, &server, &err) != 0) {
        fprintf(stderr, "hansa-fedapi: %s\n", err.text);
        return 1;
    }
    fed_loop_on_signal(loop, SIGTERM, on_signal, server);
    fed_loop_on_signal(loop, SIGINT, on_signal, server);
    fed_loop_on_signal(loop, SIGHUP, on_hangup, server);
    fed_loop_run(loop);
    status = fapi_server_exit_status(server);
    fapi_server_free(server);
    fed_loop_free(loop);
    fed_arena_release(&arena);
    if (status == FAPI_START_AGAIN) { /* the same process goes on, whoever started it */
        execv("/proc/self/exe", argv);
        return 1;
    }
    return status;
}
