/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig_exec.c: exec credential plugins (client.authentication.k8s.io v1 and v1beta1). Not interactive: the
 * plugin's standard input is empty. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "kube/kubeconfig_priv.h"

extern char **environ;

enum { MAX_OUTPUT = 1 << 20, STEP_MS = 50, MAX_STEPS = 60000 / STEP_MS };

/* KUBERNETES_EXEC_INFO, the plugin's input. */
static char *exec_info(const struct fed_json *exec, const struct fed_json *cluster)
{
    struct fed_arena a = {0};
    struct fed_buf text = {0};
    struct fed_json *info = fed_json_object(&a);
    fed_json_set(info, "kind", fed_json_new_strz(&a, "ExecCredential"));
    fed_json_set(info, "apiVersion", fed_json_new_str(&a, fed_json_find_text(exec, "apiVersion")));
    struct fed_json *spec = fed_json_ensure_object(&a, info, "spec");
    fed_json_set(spec, "interactive", fed_json_new_bool(&a, false));
    if (fed_json_bool(fed_json_find(exec, "provideClusterInfo"), false)) {
        static const char *const keys[] = {"server", "tls-server-name", "insecure-skip-tls-verify",
                                           "certificate-authority-data", "proxy-url"};
        struct fed_json *c = fed_json_ensure_object(&a, spec, "cluster");
        for (size_t i = 0; i < FED_ARRAY_LEN(keys); i++) {
            const struct fed_json *v = fed_json_find(cluster, keys[i]);
            if (v)
                fed_json_set(c, keys[i], fed_json_copy(&a, v));
        }
        FED_JSON_EACH(e, fed_json_find(cluster, "extensions")) {
            const struct fed_json *v = fed_json_find(e, "extension");
            if (v && fed_str_is(fed_json_find_text(e, "name"), "client.authentication.k8s.io/exec"))
                fed_json_set(c, "config", fed_json_copy(&a, v));
        }
    }
    fed_json_write(&text, info);
    char *z = fed_asprintf("KUBERNETES_EXEC_INFO=%s", fed_buf_z(&text));
    fed_buf_release(&text);
    fed_arena_release(&a);
    return z;
}

static bool names_same(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n + 1) == 0;
}

/* Our environment, with the plugin's own variables in place of any of the same name. */
static char **build_env(struct fed_arena *a, const struct fed_json *exec, const char *info)
{
    const struct fed_json *extra = fed_json_find(exec, "env");
    size_t n_ours = 0, n = 0, n_extra = 0;
    while (environ && environ[n_ours])
        n_ours++;
    char **own = FED_ARENA_ARRAY(a, char *, (extra ? extra->n : 0) + 1);
    FED_JSON_EACH(e, extra) {
        struct fed_str name = fed_json_find_text(e, "name"), value = fed_json_find_text(e, "value");
        own[n_extra++] = (char *)fed_arena_printf(a, "%.*s=%.*s", FED_STR_ARG(name), FED_STR_ARG(value)).p;
    }
    own[n_extra++] = fed_arena_dupz(a, fed_str(info));
    char **env = FED_ARENA_ARRAY(a, char *, n_ours + n_extra + 1);
    for (size_t i = 0; i < n_ours; i++) {
        bool replaced = false;
        for (size_t k = 0; k < n_extra && !replaced; k++)
            replaced = names_same(own[k], environ[i]);
        if (!replaced)
            env[n++] = environ[i];
    }
    for (size_t k = 0; k < n_extra; k++)
        env[n++] = own[k];
    return env;
}

static char **build_argv(struct fed_arena *a, const struct fed_json *exec, char *command)
{
    const struct fed_json *args = fed_json_find(exec, "args");
    char **argv = FED_ARENA_ARRAY(a, char *, (args ? args->n : 0) + 2);
    size_t n = 0;
    argv[n++] = command;
    FED_JSON_EACH(e, args)
        argv[n++] = fed_arena_dupz(a, fed_json_str(e));
    return argv;
}

static char *command_path(struct fed_arena *a, struct fed_str command, const char *file)
{
    const char *slash = file ? strrchr(file, '/') : NULL;
    if (command.p[0] == '/' || fed_str_chr(command, '/', 0) < 0 || !slash)
        return fed_arena_dupz(a, command);
    return (char *)fed_arena_printf(a, "%.*s/%.*s", (int)(slash - file), file, FED_STR_ARG(command)).p;
}

/* Reads until the end of the output or until the steps are used up (then FED_E_TIMEOUT). */
static int collect(int fd, struct fed_buf *out)
{
    for (int step = 0; step < MAX_STEPS;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, STEP_MS);
        if (ready == 0)
            step++;
        if (ready <= 0)
            continue;
        char *room = fed_buf_reserve(out, 4096);
        if (!room)
            return FED_E_LIMIT;
        ssize_t n = read(fd, room, 4096);
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return FED_E_IO;
        if (n > 0)
            fed_buf_commit(out, (size_t)n);
    }
    return FED_E_TIMEOUT;
}

/* The exit status, waiting at most a second more; a plugin that stays is killed. */
static int reap(pid_t pid, bool kill_it)
{
    int status = -1;
    for (int i = 0; i < 1000 / STEP_MS && !kill_it; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        poll(NULL, 0, STEP_MS);
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int run(const struct fed_json *exec, const struct fed_json *cluster, const char *file, struct fed_buf *out,
               struct fed_err *err)
{
    struct fed_arena a = {0};
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t pid;
    char *info = exec_info(exec, cluster);
    char *command = command_path(&a, fed_json_find_text(exec, "command"), file);
    if (pipe2(fds, O_CLOEXEC) < 0) {
        free(info);
        fed_arena_release(&a);
        return fed_err_set(err, FED_E_IO, "pipe: %s", strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    int failed = posix_spawnp(&pid, command, &actions, NULL, build_argv(&a, exec, command), build_env(&a, exec, info));
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    int code = 0;
    if (failed) {
        struct fed_str hint = fed_json_find_text(exec, "installHint");
        code = fed_err_set(err, fed_code_from_errno(failed), "credential plugin %s: %s%s%.*s", command,
                           strerror(failed), hint.n ? ": " : "", FED_STR_ARG(hint));
    } else {
        code = collect(fds[0], out);
        int status = reap(pid, code != 0);
        if (code != 0)
            fed_err_set(err, code, "credential plugin %s: %s", command, fed_code_text(code));
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            code = fed_err_set(err, FED_E_UNAUTHORIZED, "credential plugin %s failed with %s %d", command,
                               WIFEXITED(status) ? "exit code" : "signal",
                               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    }
    close(fds[0]);
    free(info);
    fed_arena_release(&a);
    return code;
}

int fed_kubeconfig_exec(const struct fed_json *exec, const struct fed_json *cluster, const char *file,
                        struct fed_rest_conf *out, struct fed_err *err)
{
    struct fed_arena a = {0};
    struct fed_buf text;
    struct fed_json *answer = NULL;
    struct fed_str version = fed_json_find_text(exec, "apiVersion");
    if (!fed_json_find_text(exec, "command").n)
        return fed_err_set(err, FED_E_INVALID, "exec: no command");
    if (!fed_str_is(version, "client.authentication.k8s.io/v1") &&
        !fed_str_is(version, "client.authentication.k8s.io/v1beta1"))
        return fed_err_set(err, FED_E_UNSUPPORTED, "exec: apiVersion \"%.*s\" is not supported", FED_STR_ARG(version));
    if (fed_str_is(fed_json_find_text(exec, "interactiveMode"), "Always"))
        return fed_err_set(err, FED_E_UNSUPPORTED, "exec: the plugin must be interactive, which is not supported");
    fed_buf_init(&text, MAX_OUTPUT);
    int code = run(exec, cluster, file, &text, err);
    if (code == 0)
        code = fed_json_parse(&a, fed_buf_str(&text), NULL, &answer, err);
    const struct fed_json *status = fed_json_find(answer, "status");
    struct fed_str token = fed_json_find_text(status, "token");
    struct fed_str cert = fed_json_find_text(status, "clientCertificateData");
    struct fed_str key = fed_json_find_text(status, "clientKeyData");
    if (code == 0 && !fed_str_eq(fed_json_find_text(answer, "apiVersion"), version))
        code = fed_err_set(err, FED_E_INVALID, "exec: the plugin answers in another apiVersion");
    if (code == 0 && !token.n && (!cert.n || !key.n))
        code = fed_err_set(err, FED_E_INVALID, "exec: the plugin gave neither a token nor a certificate with its key");
    if (code == 0 && token.n) {
        free(out->token);
        out->token = fed_strdup_str(token);
    }
    if (code == 0 && cert.n && key.n) {
        free(out->cert_pem);
        free(out->key_pem);
        out->cert_pem = fed_strdup_str(cert);
        out->key_pem = fed_strdup_str(key);
    }
    fed_buf_release(&text);
    fed_arena_release(&a);
    return code;
}
