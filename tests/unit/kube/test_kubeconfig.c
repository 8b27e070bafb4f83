/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "kube/kubeconfig.h"

static char dir[64];

static char *path_in(const char *name)
{
    return fed_asprintf("%s/%s", dir, name);
}

static void write_text(const char *name, const char *text, int mode)
{
    char *path = path_in(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, (mode_t)mode);
    free(path);
}

static const char one[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: c1\n"
    "clusters:\n- name: k1\n  cluster: {server: 'https://one:6443', certificate-authority: ca.pem,\n"
    "    tls-server-name: sni, proxy-url: 'http://proxy:1', extra: kept}\n"
    "users:\n- name: u1\n  user: {token: t1, client-certificate-data: Y2VydA==, client-key-data: a2V5}\n"
    "- name: plugin\n  user:\n    exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin,\n"
    "      args: [arg1], env: [{name: PLUGIN_X, value: 'y'}], provideClusterInfo: true}\n"
    "contexts:\n- name: c1\n  context: {cluster: k1, user: u1, namespace: ns1}\n"
    "- name: exec\n  context: {cluster: k1, user: plugin}\n"
    "- name: broken\n  context: {cluster: gone, user: u1}\n";
static const char two[] =
    "apiVersion: v1\nkind: Config\ncurrent-context: c2\n"
    "clusters:\n- name: k1\n  cluster: {server: 'https://hidden'}\n- name: k2\n  cluster: {server: 'http://two'}\n"
    "contexts:\n- name: c1\n  context: {cluster: k2}\n- name: c2\n  context: {cluster: k2}\n";

static void merged_list(void **state)
{
    (void)state;
    struct fed_kubeconfig *k;
    struct fed_rest_conf r;
    struct fed_err err = {0};
    const char **names;
    char *env = fed_asprintf("%s/one:%s/missing::%s/two", dir, dir, dir);
    assert_int_equal(fed_kubeconfig_load(NULL, env, NULL, &k, &err), 0);
    assert_string_equal(fed_kubeconfig_current(k), "c1");
    assert_int_equal(fed_kubeconfig_contexts(k, &names), 4);
    assert_int_equal(fed_kubeconfig_rest(k, NULL, &r, &err), 0);
    assert_string_equal(r.server, "https://one:6443");
    assert_string_equal(r.ca_pem, "the ca\n"); /* relative to its file */
    assert_string_equal(r.cert_pem, "cert");
    assert_string_equal(r.key_pem, "key");
    assert_string_equal(r.token, "t1");
    assert_string_equal(r.tls_server_name, "sni");
    assert_string_equal(r.proxy_url, "http://proxy:1");
    assert_string_equal(r.ns, "ns1");
    struct fed_rest_conf copy;
    fed_rest_conf_copy(&copy, &r);
    fed_rest_conf_release(&r);
    assert_string_equal(copy.token, "t1");
    fed_rest_conf_release(&copy);
    assert_int_equal(fed_kubeconfig_rest(k, "c2", &r, &err), 0);
    assert_string_equal(r.server, "http://two");
    assert_string_equal(r.ns, "default");
    fed_rest_conf_release(&r);
    assert_int_equal(fed_kubeconfig_rest(k, "nope", &r, &err), FED_E_NOT_FOUND);
    assert_string_equal(err.text, "context \"nope\" does not exist (there are: c1, exec, broken, c2)");
    assert_int_equal(fed_kubeconfig_rest(k, "broken", &r, &err), FED_E_NOT_FOUND);
    char *p1 = path_in("one"), *p2 = path_in("two");
    assert_string_equal(fed_kubeconfig_write_path(k, "c1"), p1);
    assert_string_equal(fed_kubeconfig_write_path(k, "c2"), p2);
    assert_string_equal(fed_kubeconfig_write_path(k, "new"), p1); /* the first that exists */
    fed_kubeconfig_free(k);
    char *missing = path_in("missing");
    assert_int_equal(fed_kubeconfig_load(missing, NULL, NULL, &k, &err), FED_E_NOT_FOUND);
    free(missing);
    free(p1);
    free(p2);
    free(env);
}

static void exec_plugin(void **state)
{
    (void)state;
    struct fed_kubeconfig *k;
    struct fed_rest_conf r;
    struct fed_err err = {0};
    char *path = path_in("one");
    assert_int_equal(fed_kubeconfig_load(path, NULL, NULL, &k, &err), 0);
    write_text("plugin",
               "#!/bin/sh\ncase \"$KUBERNETES_EXEC_INFO\" in *'\"server\":\"https://one:6443\"'*) ;; *) exit 3;; esac\n"
               "echo '{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"kind\":\"ExecCredential\",\"status\":"
               "{\"token\":\"'$PLUGIN_X$1'\"}}'\n",
               0755);
    int code = fed_kubeconfig_rest(k, "exec", &r, &err);
    if (code)
        fail_msg("%s", err.text);
    assert_string_equal(r.token, "yarg1");
    fed_rest_conf_release(&r);
    write_text("plugin", "#!/bin/sh\nexit 4\n", 0755);
    assert_int_equal(fed_kubeconfig_rest(k, "exec", &r, &err), FED_E_UNAUTHORIZED);
    assert_non_null(strstr(err.text, "exit code 4"));
    write_text("plugin", "#!/bin/sh\necho '{}'\n", 0755);
    assert_int_equal(fed_kubeconfig_rest(k, "exec", &r, &err), FED_E_INVALID);
    fed_kubeconfig_free(k);
    free(path);
}

static void written_and_removed(void **state)
{
    (void)state;
    struct fed_kubeconfig *k;
    struct fed_rest_conf r = {
        .server = "https://new", .ca_pem = "CA", .cert_pem = "C", .key_pem = "K", .ns = "default"};
    struct fed_err err = {0};
    struct stat st, st2;
    char *path = path_in("deep/er/config"), *lock = path_in("deep/er/config.lock");
    const struct fed_kubeconfig_entry e = {"fed", &r, true};
    assert_int_equal(fed_kubeconfig_write(path, &e, 1, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fed_kubeconfig_write(path, &e, 1, &err), 0);
    assert_int_equal(stat(path, &st2), 0);
    assert_true(st.st_ino == st2.st_ino); /* nothing to change: not written */
    assert_int_equal(access(lock, F_OK), -1);
    struct fed_rest_conf got;
    assert_int_equal(fed_kubeconfig_load(path, NULL, NULL, &k, &err), 0);
    assert_int_equal(fed_kubeconfig_rest(k, NULL, &got, &err), 0);
    assert_string_equal(got.ca_pem, "CA");
    assert_string_equal(got.key_pem, "K");
    fed_rest_conf_release(&got);
    fed_kubeconfig_free(k);

    /* A lock that nobody takes away is told before anything else is done. */
    assert_int_equal(fed_kubeconfig_may_write(path, &err), 0);
    write_text("deep/er/config.lock", "", 0600);
    assert_int_equal(fed_kubeconfig_may_write(path, &err), FED_E_BUSY);
    assert_non_null(strstr(err.text, "config.lock: another program is writing this file"));
    free(path);
    free(lock);

    /* What the user put into the context stays when it is written again, and a read-only file is left as it is. */
    write_text("mine",
               "contexts:\n- name: fed\n  context: {cluster: x, user: fed, namespace: shop}\n- name: o\n"
               "  context: {cluster: fed, user: o}\n",
               0600);
    path = path_in("mine");
    assert_int_equal(fed_kubeconfig_write(path, &e, 1, &err), 0);
    assert_int_equal(fed_kubeconfig_load(path, NULL, NULL, &k, &err), 0);
    assert_int_equal(fed_kubeconfig_rest(k, "fed", &got, &err), 0);
    assert_string_equal(got.ns, "shop");
    assert_string_equal(got.server, "https://new");
    fed_rest_conf_release(&got);
    assert_string_equal(fed_kubeconfig_sharer(k, "fed"), "o");
    assert_null(fed_kubeconfig_sharer(k, "o"));
    fed_kubeconfig_free(k);
    chmod(path, 0400);
    r.server = "https://newer";
    assert_int_equal(fed_kubeconfig_write(path, &e, 1, &err), FED_E_FORBIDDEN);
    r.server = "https://new";
    free(path);

    /* foreign entries stay */
    path = path_in("one");
    const struct fed_kubeconfig_entry other = {"fed", &r, false};
    assert_int_equal(fed_kubeconfig_write(path, &other, 1, &err), 0);
    assert_int_equal(fed_kubeconfig_load(path, NULL, NULL, &k, &err), 0);
    assert_string_equal(fed_kubeconfig_current(k), "c1");
    const char **names;
    assert_int_equal(fed_kubeconfig_contexts(k, &names), 4);
    fed_kubeconfig_free(k);
    struct fed_buf text = {0};
    FILE *f = fopen(path, "r");
    text.n = fread(fed_buf_reserve(&text, 8192), 1, 8192, f);
    fclose(f);
    assert_non_null(strstr(fed_buf_z(&text), "extra: kept"));
    fed_buf_release(&text);
    assert_int_equal(fed_kubeconfig_remove(path, "fed", &err), 0);
    assert_int_equal(fed_kubeconfig_remove(path, "fed", &err), 0);
    assert_int_equal(fed_kubeconfig_load(path, NULL, NULL, &k, &err), 0);
    assert_int_equal(fed_kubeconfig_contexts(k, &names), 3);
    fed_kubeconfig_free(k);
    free(path);
}

static void as_text(void **state)
{
    (void)state;
    struct fed_kubeconfig *k;
    struct fed_buf text = {0};
    struct fed_rest_conf r = {.server = "https://x:1", .token = "tok"}, got;
    fed_kubeconfig_format("m", &r, &text);
    assert_int_equal(fed_kubeconfig_parse(fed_buf_str(&text), &k, NULL), 0);
    assert_int_equal(fed_kubeconfig_rest(k, NULL, &got, NULL), 0);
    assert_string_equal(got.server, "https://x:1");
    assert_string_equal(got.token, "tok");
    fed_rest_conf_release(&got);
    fed_kubeconfig_free(k);
    fed_buf_release(&text);
    assert_int_equal(fed_kubeconfig_parse(FED_STR("- a\n"), &k, NULL), FED_E_SYNTAX);
}

static void in_cluster(void **state)
{
    (void)state;
    struct fed_rest_conf r;
    write_text("ca.crt", "CA", 0644);
    write_text("namespace", "mine\n", 0644);
    assert_int_equal(fed_kubeconfig_in_cluster(dir, "fd00::1", "443", &r, NULL), 0);
    assert_string_equal(r.server, "https://[fd00::1]:443");
    assert_string_equal(r.ns, "mine");
    fed_rest_conf_release(&r);
    assert_int_equal(fed_kubeconfig_in_cluster(dir, NULL, NULL, &r, NULL), FED_E_NOT_FOUND);
}

int main(void)
{
    snprintf(dir, sizeof(dir), "/tmp/hansa-kubeconfig-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    write_text("one", one, 0600);
    write_text("two", two, 0600);
    write_text("ca.pem", "the ca\n", 0600);
    const struct CMUnitTest tests[] = {cmocka_unit_test(merged_list), cmocka_unit_test(exec_plugin),
                                       cmocka_unit_test(written_and_removed), cmocka_unit_test(as_text),
                                       cmocka_unit_test(in_cluster)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    static const char *const left[] = {
        "one", "two", "mine", "ca.pem", "plugin", "ca.crt", "namespace", "deep/er/config", "deep/er", "deep", ""};
    for (size_t i = 0; i < FED_ARRAY_LEN(left); i++) {
        char *path = path_in(left[i]);
        remove(path);
        free(path);
    }
    return failed;
}
