/* SPDX-License-Identifier: Apache-2.0 */
/* up.c: `kubefed up`: a federation of included clusters on this machine, by the steps that an operator would type:
 * hansa-member for each cluster, kubefed init, kubefed join for each. Each step leaves alone what is as it should be, so
 * that `up` again is quick, changes nothing and starts again what has stopped. */
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "fedctl/edges.h"
#include "fedctl/folder.h"
#include "kube/names.h"
#include "net/spawn.h"

#define MAX_WORDS 32
#define MAX_LOG   (8 << 20)
#define LOG_TAIL  800

struct up_conf {
    struct fctl_common common;
    const char *dir, *federation, *federation_flag, *zone_flag;
    struct fed_strings clusters_flag, api_overrides;
    /* of the flags, by check */
    const char *zone;
    struct fctl_place *clusters;
    size_t n;
};

static const char *const default_clusters[] = {
    "us-east1=us-east1/us-east1-b@33.19",       "-80.01", "europe-west1=europe-west1/europe-west1-b@50.45", "3.82",
    "asia-east1=asia-east1/asia-east1-a@24.05", "120.52"};
/* Documentation networks (RFC 5737) that stand for clients of these regions. */
static const struct {
    const char *network, *region;
} places[] = {{"192.0.2.0/24", "us-east1"}, {"198.51.100.0/24", "europe-west1"}, {"203.0.113.0/24", "asia-east1"}};

struct run { /* one cluster on its way up */
    struct up *up;
    const struct fctl_place *place;
    const char *dir, *kubeconfig, *log;
    struct fed_child *child;
    bool died, busy; /* busy: another process has its folder */
    struct fctl_api *api;
    struct fctl_edge dns, lb;
};
struct up {
    struct fctl *c;
    struct up_conf *conf;
    struct fctl_folder folder;
    struct run *runs;
    const char *kubeconfig, *bin_dir;
    struct fctl_api *hub;
    bool fresh; /* the folder is made by this run */
};

#define ROW(member) FCTL_ROW(up_conf, member)
static const struct fed_setting rows[] = {
    {.name = "dir",
     .type = FED_SET_STR,
     .offset = ROW(dir),
     .arg = "DIR",
     .help = "Where everything is kept (default: $XDG_STATE_HOME/hansa/NAME or ~/.local/state/hansa/NAME)"},
    {.name = "federation",
     .type = FED_SET_STR,
     .offset = ROW(federation_flag),
     .arg = "NAME",
     .help = "Name of the federation (default: what --dir has, else fed)"},
    {.name = "dns-zone-name",
     .type = FED_SET_STR,
     .offset = ROW(zone_flag),
     .arg = "ZONE",
     .help = "DNS zone that the federation answers for (default: example.com.)"},
    {.name = "clusters",
     .type = FED_SET_LIST,
     .offset = ROW(clusters_flag),
     .arg = "NAME[=REGION/ZONE[@LAT,LON]],...",
     .help = "The clusters; the first one is the host; new names are added later (default: us-east1, europe-west1 and "
             "asia-east1)"},
    {.name = "apiserver-arg-overrides",
     .type = FED_SET_LIST,
     .offset = ROW(api_overrides),
     .arg = "--ARG=VALUE,...",
     .help = "As of `kubefed init`; remembered"},
    FCTL_TIMEOUT_ROW(up_conf, "2m"),
    FCTL_DRY_RUN_ROW(up_conf),
};
static const struct fed_settings settings = {.program = "kubefed up",
                                             .summary = "Runs a federation of included clusters on this machine",
                                             .version = FCTL_VERSION,
                                             .rows = rows,
                                             .n_rows = FED_ARRAY_LEN(rows)};

static int check(struct fctl *c, void *conf, struct fed_err *err)
{
    struct up_conf *f = conf;
    const struct fed_strings defaults = {(const char **)default_clusters, FED_ARRAY_LEN(default_clusters)};
    f->federation = f->federation_flag ? f->federation_flag : "fed";
    const char *wrong = fed_name_check_label(fed_str(f->federation));
    if (wrong)
        return fed_err_set(err, FED_E_INVALID, "--federation: \"%s\": %s", f->federation, wrong);
    int code = fctl_parse_zone(&c->arena, f->zone_flag ? f->zone_flag : "example.com.", &f->zone, err);
    if (!code)
        code = fctl_parse_clusters(&c->arena, f->clusters_flag.n ? &f->clusters_flag : &defaults, &f->clusters, &f->n,
                                   err);
    for (size_t i = 0; !code && !f->clusters_flag.n && i < 2; i++)
        f->clusters[i].labels = "tier=web"; /* the first two of ours, so that selectors have something to select */
    return code;
}

/* --- the folder --- */

/* What runs here already stays as it was made; clusters may be added. */
static int merge_marker(struct up *u, struct fed_err *err)
{
    struct up_conf *f = u->conf;
    struct fctl_folder *d = &u->folder;
    if (d->marked && !f->federation_flag)
        f->federation = d->federation;
    if (d->marked && strcmp(d->federation, f->federation) != 0)
        return fed_err_set(err, FED_E_ALREADY_EXISTS, "%s has the federation \"%s\". Name another folder with --dir",
                           d->path, d->federation);
    if (d->marked && f->zone_flag && strcmp(d->zone, f->zone) != 0)
        return fed_err_set(err, FED_E_ALREADY_EXISTS, "the federation in %s serves the zone %s", d->path, d->zone);
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->clusters[i].name, f->federation) == 0)
            return fed_err_set(err, FED_E_INVALID, "--clusters: \"%s\" is the federation's own name", f->federation);
    d->federation = f->federation;
    d->zone = d->marked ? d->zone : f->zone;
    struct fctl_place *all = FED_ARENA_ARRAY(&u->c->arena, struct fctl_place, d->n + f->n);
    size_t n = 0;
    for (; n < d->n; n++)
        all[n] = d->clusters[n];
    for (size_t i = 0; i < f->n && (!d->marked || f->clusters_flag.n); i++) {
        size_t k = 0;
        while (k < n && strcmp(all[k].name, f->clusters[i].name) != 0)
            k++;
        if (k == n)
            all[n++] = f->clusters[i];
    }
    d->clusters = all;
    d->n = n;
    if (f->api_overrides.n)
        d->overrides = f->api_overrides;
    return u->c->dry_run ? 0 : fctl_folder_save(u->c, d, err);
}

/* --- members --- */

/* An `up` that was interrupted a moment ago left one that is just coming up, or a `down` one that is going. */
static void member_exited(void *ud, int status, int signo, struct fed_str out FED_UNUSED,
                          struct fed_str errout FED_UNUSED)
{
    struct run *r = ud;
    r->busy = !signo && status == EX_TEMPFAIL;
    r->died = !r->busy;
    r->child = NULL;
}

static void member_words(const struct run *r, const char **words)
{
    const struct fctl_place *p = r->place;
    const char *const base[] = {"hansa-member", "--name", p->name, "--dir", r->dir};
    const struct fctl_var more[] = {{"--region", p->region}, {"--zone", p->zone}, {"--coordinates", p->coordinates}};
    size_t n = 0;
    for (; n < FED_ARRAY_LEN(base); n++)
        words[n] = base[n];
    for (size_t i = 0; i < FED_ARRAY_LEN(more); i++) {
        if (more[i].value) {
            words[n++] = more[i].name;
            words[n++] = more[i].value;
        }
    }
    words[n] = NULL;
}

static int spawn_member(struct run *r, struct fed_err *err)
{
    struct fctl *c = r->up->c;
    const char *words[MAX_WORDS], *program = NULL;
    member_words(r, words);
    r->busy = false;
    int code = fctl_program(c, words[0], &program, err);
    if (code || c->dry_run)
        return code;
    int log = open(r->log, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return fed_err_set(err, fed_code_from_errno(errno), "%s: %s", r->log, strerror(errno));
    const struct fed_spawn spec = {.file = program,
                                   .argv = words,
                                   .cwd = "/",
                                   .detached = true,
                                   .stdout_fd = log,
                                   .stderr_fd = log,
                                   .exited = member_exited,
                                   .ud = r};
    code = fed_spawn(c->loop, &spec, &r->child, err);
    close(log);
    return code;
}

static void open_member(struct run *r)
{
    struct fed_kubeconfig *k = NULL;
    r->api = NULL;
    if (fed_kubeconfig_load(r->kubeconfig, NULL, NULL, &k, NULL) == 0 &&
        fctl_open_context(r->up->c, k, NULL, "the included cluster", &r->api, NULL) != 0)
        r->api = NULL;
    fed_kubeconfig_free(k);
}

static void end_of_log(const struct run *r, struct fed_err *err)
{
    struct fed_buf text = {0};
    if (fed_file_read(r->log, MAX_LOG, &text, NULL) == 0) {
        struct fed_str s = fed_str_trim(fed_buf_str(&text));
        for (ptrdiff_t at = fed_str_chr(s, '\n', 0); at >= 0 && s.n > LOG_TAIL; at = fed_str_chr(s, '\n', 0))
            s = fed_str_from(s, (size_t)at + 1);
        fprintf(stderr, "%.*s\n", FED_STR_ARG(s));
    }
    fed_buf_release(&text);
    fed_err_set(err, FED_E_UNAVAILABLE, "hansa-member of cluster \"%s\" ended; its log is %s", r->place->name, r->log);
}

static int member_ready(void *ud, struct fed_err *why)
{
    struct run *r = ud;
    struct fed_str text;
    if (r->died) {
        end_of_log(r, why);
        return FED_E_UNAVAILABLE;
    }
    open_member(r);
    if (r->api && fctl_get_text(r->api, "/readyz", &text, why) == 0)
        return 0;
    if (r->busy && spawn_member(r, why) != 0)
        return FED_E_UNAVAILABLE;
    return r->api ? FED_E_BUSY : fed_err_set(why, FED_E_BUSY, "%s is not there yet", r->kubeconfig);
}

static int start_member(struct run *r, struct fed_err *err)
{
    const char *words[MAX_WORDS];
    member_words(r, words);
    fctl_echo_into(r->up->c, words, r->log, true);
    return spawn_member(r, err);
}

static int start_members(struct up *u, struct fed_err *err)
{
    int code = 0;
    for (size_t i = 0; i < u->folder.n && !code; i++) {
        struct run *r = &u->runs[i];
        *r = (struct run){.up = u, .place = &u->folder.clusters[i]};
        r->dir = fed_arena_printf(&u->c->arena, "%s/%s", u->folder.path, r->place->name).p;
        r->kubeconfig = fed_arena_printf(&u->c->arena, "%s/kubeconfig", r->dir).p;
        r->log = fed_arena_printf(&u->c->arena, "%s.log", r->dir).p;
        if (u->c->dry_run || member_ready(r, NULL) != 0)
            code = start_member(r, err);
    }
    for (size_t i = 0; i < u->folder.n && !code && !u->c->dry_run; i++) {
        struct run *r = &u->runs[i];
        const char *what = fed_arena_printf(&u->c->arena, "cluster %s", r->place->name).p;
        code = fctl_wait(u->c, what, u->conf->common.timeout, member_ready, r, err);
    }
    for (size_t i = 0; i < u->folder.n; i++) /* they live on, whatever becomes of us */
        if (u->runs[i].child)
            fed_child_forget(u->runs[i].child);
    return code;
}

/* What an operator would type for it; our own writer does it, and leaves alone what is in the file already. */
static void echo_merge(struct up *u)
{
    struct fed_buf list = {0};
    for (size_t i = 0; i < u->folder.n; i++)
        fed_buf_addf(&list, "%s%s", i ? ":" : "KUBECONFIG=", u->runs[i].kubeconfig);
    const char *const all[] = {"env", fed_buf_z(&list), "kubectl", "config", "view", "--flatten", NULL};
    if (access(u->kubeconfig, F_OK) != 0)
        fctl_echo_into(u->c, all, u->kubeconfig, false);
    fed_buf_release(&list);
}

static int merge_kubeconfigs(struct up *u, struct fed_err *err)
{
    struct fed_kubeconfig_entry *entries = FED_ARENA_ARRAY(&u->c->arena, struct fed_kubeconfig_entry, u->folder.n);
    for (size_t i = 0; i < u->folder.n; i++)
        entries[i] = (struct fed_kubeconfig_entry){u->runs[i].place->name, &u->runs[i].api->rest, false};
    return fed_kubeconfig_write(u->kubeconfig, entries, u->folder.n, err);
}

/* --- init and join, as typed --- */

static int run_kubefed(struct up *u, const char **words, struct fed_err *err)
{
    size_t n = 0;
    while (words[n])
        n++;
    fctl_echo(u->c, words);
    if (u->c->dry_run)
        return 0;
    if (u->c->run(u->c, (int)n, (char **)words) != 0)
        return fed_err_set(err, FED_E_UNAVAILABLE, "kubefed %s did not succeed (see above)", words[1]);
    return 0;
}

/* Networks of the clients that stand for the regions there are, for DNS without a geographic database. */
static const char *static_networks(struct up *u)
{
    struct fed_buf text = {0};
    const char *out = NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(places); i++)
        for (size_t k = 0; k < u->folder.n; k++)
            if (u->folder.clusters[k].region && strcmp(u->folder.clusters[k].region, places[i].region) == 0) {
                fed_buf_addf(&text, "%s%s=%s", text.n ? "," : "--dns-arg-overrides=--networks=", places[i].network,
                             places[i].region);
                break;
            }
    if (text.n)
        out = fed_arena_dupz(&u->c->arena, fed_buf_str(&text));
    fed_buf_release(&text);
    return out;
}

static int run_init(struct up *u, struct fed_err *err)
{
    struct fed_arena *a = &u->c->arena;
    const char *words[MAX_WORDS + 64] = {"kubefed", "init", u->folder.federation};
    const char *networks = static_networks(u);
    size_t n = 3;
    words[n++] = fed_arena_printf(a, "--host-cluster-context=%s", u->folder.clusters[0].name).p;
    words[n++] = fed_arena_printf(a, "--dns-zone-name=%s", u->folder.zone).p;
    if (networks)
        words[n++] = networks;
    for (size_t i = 0; i < u->folder.overrides.n && i < 64; i++)
        words[n++] = fed_arena_printf(a, "--apiserver-arg-overrides=%s", u->folder.overrides.v[i]).p;
    return run_kubefed(u, words, err);
}

static int run_join(struct up *u, const struct fctl_place *p, struct fed_err *err)
{
    struct fed_arena *a = &u->c->arena;
    const char *words[MAX_WORDS] = {"kubefed", "join", p->name};
    size_t n = 3;
    words[n++] = fed_arena_printf(a, "--host-cluster-context=%s", u->folder.clusters[0].name).p;
    words[n++] = fed_arena_printf(a, "--federation-context=%s", u->folder.federation).p;
    if (p->region)
        words[n++] = fed_arena_printf(a, "--region=%s", p->region).p;
    if (p->zone)
        words[n++] = fed_arena_printf(a, "--zone=%s", p->zone).p;
    if (p->coordinates)
        words[n++] = fed_arena_printf(a, "--coordinates=%s", p->coordinates).p;
    if (p->labels)
        words[n++] = fed_arena_printf(a, "--labels=%s", p->labels).p;
    return run_kubefed(u, words, err);
}

static int make_current(struct up *u, struct fed_err *err)
{
    struct fed_kubeconfig *k = NULL;
    struct fed_rest_conf rest = {0};
    const char *name = u->folder.federation;
    int code = fed_kubeconfig_load(u->kubeconfig, NULL, NULL, &k, err);
    if (!code)
        code = fed_kubeconfig_rest(k, name, &rest, err);
    if (!code && strcmp(fed_kubeconfig_current(k), name) != 0) {
        const struct fed_kubeconfig_entry entry = {name, &rest, true};
        const char *const words[] = {"kubectl", "config", "use-context", name, NULL};
        fctl_echo(u->c, words);
        code = fed_kubeconfig_write(u->kubeconfig, &entry, 1, err);
    }
    if (!code)
        code = fctl_api_open(u->c, "the federation", name, &rest, &u->hub, err);
    fed_rest_conf_release(&rest);
    fed_kubeconfig_free(k);
    return code;
}

/* --- where it listens --- */

static int edges_known(void *ud, struct fed_err *why)
{
    struct up *u = ud;
    struct fed_json *slices = NULL;
    int code = fctl_list(u->hub, &fctl_slices, FCTL_EDGE_NS, "", &slices, why);
    if (code)
        return code;
    for (size_t i = 0; i < u->folder.n; i++) {
        struct run *r = &u->runs[i];
        r->dns = fctl_find_edge(&u->c->arena, slices, "dns", r->place->name, "dns");
        r->lb = fctl_find_edge(&u->c->arena, slices, "globallb", r->place->name, "http");
        if (!r->dns.ready || !r->lb.ready)
            return fed_err_set(
                why, FED_E_BUSY,
                "%s of cluster \"%s\" is not ready; see `kubectl --context %s -n federation-edge get pods`",
                r->dns.ready ? "the balancer" : "the DNS server", r->place->name, r->place->name);
    }
    return 0;
}

static const char *region_of(const struct fctl_place *p)
{
    return p->region ? p->region : p->name;
}

/* 'text' for sh */
static void add_quoted(struct fed_buf *out, const char *text)
{
    fed_buf_addc(out, '\'');
    for (; *text; text++)
        if (*text == '\'')
            fed_buf_addz(out, "'\\''");
        else
            fed_buf_addc(out, *text);
    fed_buf_addc(out, '\'');
}

static int write_env(struct up *u, struct fed_err *err)
{
    struct fed_buf text = {0}, old = {0};
    const char *path = fed_arena_printf(&u->c->arena, "%s/env", u->folder.path).p;
    fed_buf_addz(&text, "# Made by `kubefed up`; read it with: . ");
    fed_buf_addz(&text, path);
    fed_buf_addz(&text, "\ncase $PATH: in ");
    add_quoted(&text, u->bin_dir);
    fed_buf_addz(&text, ":*) ;; *) PATH=");
    add_quoted(&text, u->bin_dir);
    fed_buf_addz(&text, ":$PATH ;; esac\nexport PATH\nexport KUBECONFIG=");
    add_quoted(&text, u->kubeconfig);
    fed_buf_addf(&text, "\nexport HANSA_DNS=%s\nexport HANSA_DNS_ALL='", u->runs[0].dns.address);
    for (size_t i = 0; i < u->folder.n; i++)
        fed_buf_addf(&text, "%s%s=%s", i ? " " : "", region_of(u->runs[i].place), u->runs[i].dns.address);
    fed_buf_addz(&text, "'\nexport HANSA_LB='");
    for (size_t i = 0; i < u->folder.n; i++)
        fed_buf_addf(&text, "%s%s=%s", i ? " " : "", region_of(u->runs[i].place), u->runs[i].lb.address);
    fed_buf_addz(&text, "'\n");
    int code = fed_file_read(path, 1 << 20, &old, NULL);
    if (code || !fed_str_eq(fed_buf_str(&old), fed_buf_str(&text)))
        code = fed_file_write_atomic(path, fed_buf_str(&text), 0600, err);
    fed_buf_release(&old);
    fed_buf_release(&text);
    return code;
}

static void print_result(struct up *u)
{
    fctl_say(u->c, "\nFederation \"%s\" runs in %s", u->folder.federation, u->folder.path);
    for (size_t i = 0; i < u->folder.n; i++)
        fctl_say(u->c, "  %-16s DNS %-22s balancer http://%s", u->runs[i].place->name, u->runs[i].dns.address,
                 u->runs[i].lb.address);
    fctl_say(u->c,
             "Try next:\n  . %s/env\n  kubectl get clusters\n  kubefed status\n"
             "  kubefed down --dir %s      # stops it; `kubefed up` goes on with all data",
             u->folder.path, u->folder.path);
}

/* --- the whole --- */

static int use_kubeconfig(struct up *u, struct fed_err *err)
{
    struct fed_arena *a = &u->c->arena;
    const char *member = NULL;
    const char *const words[] = {"export", fed_arena_printf(a, "KUBECONFIG=%s/kubeconfig", u->folder.path).p, NULL};
    const char *const make[] = {"mkdir", "-p", "-m", "700", u->folder.path, NULL};
    u->kubeconfig = fed_arena_printf(a, "%s/kubeconfig", u->folder.path).p;
    int code = fctl_program(u->c, "hansa-member", &member, err);
    if (code)
        return code;
    u->bin_dir = fed_arena_dupz(a, fed_str_head(fed_str(member), strlen(member) - strlen("/hansa-member")));
    if (u->fresh)
        fctl_echo(u->c, make);
    fctl_echo(u->c, words);
    return setenv("KUBECONFIG", u->kubeconfig, 1) == 0 ? 0 : fed_err_set(err, FED_E_IO, "setenv: %s", strerror(errno));
}

static int run_steps(struct up *u, struct fed_err *err)
{
    int code = use_kubeconfig(u, err);
    if (!code)
        code = start_members(u, err);
    if (!code)
        echo_merge(u);
    if (!code && !u->c->dry_run)
        code = merge_kubeconfigs(u, err);
    if (!code)
        code = run_init(u, err);
    if (!code && !u->c->dry_run)
        code = make_current(u, err);
    for (size_t i = 0; i < u->folder.n && !code; i++)
        code = run_join(u, &u->folder.clusters[i], err);
    if (code || u->c->dry_run)
        return code;
    code = fctl_wait(u->c, "DNS servers and balancers", u->conf->common.timeout, edges_known, u, err);
    if (!code)
        code = write_env(u, err);
    if (!code)
        print_result(u);
    return code;
}

static int run(struct fctl *c, void *conf, struct fed_err *err)
{
    struct up u = {.c = c, .conf = conf};
    const char *path = NULL;
    bool quiet = c->quiet;
    int code = fctl_folder_path(c, u.conf->dir, u.conf->federation, &path, err);
    if (code)
        return code;
    u.fresh = access(path, F_OK) != 0;
    code = fctl_folder_open(c, path, &u.folder, err);
    if (!code)
        code = merge_marker(&u, err);
    if (!code) {
        c->quiet = true;
        u.runs = FED_ARENA_ARRAY(&c->arena, struct run, u.folder.n);
        code = run_steps(&u, err);
        c->quiet = quiet;
    }
    fctl_folder_close(&u.folder);
    return code;
}

const struct fctl_verb fctl_verb_up = {
    .name = "up",
    .settings = &settings,
    .conf_size = sizeof(struct up_conf),
    .about =
        "Starts the clusters (hansa-member), the control plane in the first of them (kubefed init), and joins all\n"
        "(kubefed join), showing each step. DIR/kubeconfig has a context for the federation, which is the current\n"
        "one, and one for each cluster; DIR/env exports what commands need. Run again, it starts what has stopped.",
    .examples = "  kubefed up\n"
                "  kubefed up --dir /srv/two --federation two \\\n"
                "      --clusters=paris=europe-west9/europe-west9-a@48.86,2.35,tokyo=asia-northeast1/asia-northeast1-b",
    .check = check,
    .run = run};
