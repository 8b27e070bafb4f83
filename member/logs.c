/* SPDX-License-Identifier: Apache-2.0 */
/* pods/log: what hansa-shim wrote, without its own columns. Followers look at the file each 150 ms while they are there;
 * that costs less than it sounds and works on every file system. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/url.h"
#include "member/virtuals.h"

enum { CHUNK = 64 * 1024, FOLLOW_MS = 150, BACKLOG_MAX = 1024 * 1024 };

struct reader {
    struct mbr *m;
    struct fed_api_reply *reply;
    struct fed_timer timer;
    char path[PATH_MAX];
    int fd;
    struct fed_buf pending; /* bytes after the last whole line */
    bool follow, timestamps, gone;
    int64_t since_ms;
    uint64_t left; /* limitBytes */
    char *uid, *container;
    unsigned attempt;
    bool at_start; /* of a line of the container (the line before was whole) */
};

static void reader_free(struct reader *r)
{
    fed_timer_stop(r->m->env, &r->timer);
    if (r->fd >= 0)
        close(r->fd);
    fed_buf_release(&r->pending);
    free(r->uid);
    free(r->container);
    free(r);
}

static void gone(void *ud)
{
    reader_free(ud);
}

/* "TIME stdout F text" without the newline. */
static void emit_line(struct reader *r, struct fed_str line, struct fed_buf *out)
{
    struct fed_str rest = line, time, stream, flag;
    int64_t at;
    if (!fed_str_cut(&rest, ' ', &time) || !fed_str_cut(&rest, ' ', &stream) || !fed_str_cut(&rest, ' ', &flag) ||
        !rest.p)
        return;
    if (r->since_ms && (fed_time_parse(time, &at) < 0 || at < r->since_ms))
        return;
    if (r->timestamps && r->at_start)
        fed_buf_addf(out, "%.*s ", FED_STR_ARG(time));
    fed_buf_add(out, rest);
    r->at_start = fed_str_is(flag, "F");
    if (r->at_start)
        fed_buf_addc(out, '\n');
}

enum pumped { AT_END, BLOCKED, LIMIT_REACHED };

/* Sends the whole lines that the file has now, unless the client reads too slowly. */
static enum pumped pump(struct reader *r)
{
    struct fed_buf out = {0};
    enum pumped rc = AT_END;
    for (size_t backlog = 0;;) {
        char *room = fed_buf_reserve(&r->pending, CHUNK);
        if (backlog >= BACKLOG_MAX) {
            rc = BLOCKED;
            break;
        }
        ssize_t n = room ? read(r->fd, room, CHUNK) : 0;
        if (n <= 0)
            break;
        fed_buf_commit(&r->pending, (size_t)n);
        size_t from = 0;
        for (ptrdiff_t nl; (nl = fed_str_chr(fed_buf_str(&r->pending), '\n', from)) >= 0; from = (size_t)nl + 1)
            emit_line(r, fed_str_n(r->pending.p + from, (size_t)nl - from), &out);
        fed_buf_consume(&r->pending, from);
        struct fed_str bytes = fed_str_head(fed_buf_str(&out), r->left);
        r->left -= bytes.n;
        if (bytes.n)
            backlog = fed_api_reply_write(r->reply, bytes);
        fed_buf_reset(&out);
        if (!r->left) {
            rc = LIMIT_REACHED;
            break;
        }
    }
    fed_buf_release(&out);
    return rc;
}

/* The shim renamed the file when it was full. */
static bool rotated(const struct reader *r)
{
    struct stat ours, now;
    return fstat(r->fd, &ours) == 0 && stat(r->path, &now) == 0 && ours.st_ino != now.st_ino;
}

/* Goes on with the new file. */
static void go_on(struct reader *r)
{
    int fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    close(r->fd);
    r->fd = fd;
}

/* The run that this log belongs to is over: another attempt runs, or none, or the pod is gone. */
static bool ended(struct reader *r)
{
    struct fed_arena a = {0};
    struct fed_str ns, name, key = fed_str(r->uid);
    mbr_key_split(key, &ns, &name);
    struct fed_kobj *pod = mbr_find(r->m, MBR_PODS, ns, name);
    bool over = pod == NULL;
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
    struct fed_json *tree = pod ? fed_kobj_parse(pod, &a) : NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_at(tree, "status", lists[i], NULL))
            if (fed_str_is(fed_json_find_text(c, "name"), r->container))
                over = over || fed_json_at(c, "state", "running", NULL) == NULL ||
                       (unsigned)fed_json_int(fed_json_find(c, "restartCount"), 0) != r->attempt;
    fed_arena_release(&a);
    return over;
}

static void look(struct fed_timer *t)
{
    struct reader *r = fed_container_of(t, struct reader, timer);
    struct fed_api_reply *reply = r->reply;
    bool over = !r->follow || ended(r);
    enum pumped rc = pump(r);
    bool soon = false;
    if (rc == AT_END && rotated(r)) {
        rc = pump(r); /* what was written between our last look and the renaming */
        if (rc == AT_END)
            go_on(r);
        soon = rc == AT_END;
    }
    if (rc == LIMIT_REACHED || (rc == AT_END && over && !soon)) {
        reader_free(r);
        fed_api_reply_end(reply);
        return;
    }
    fed_timer_start(r->m->env, &r->timer, soon || rc == BLOCKED ? 5 : FOLLOW_MS, look);
}

/* Moves to the beginning of the last n lines. */
static void seek_tail(int fd, uint64_t n)
{
    char buf[4096];
    off_t end = lseek(fd, 0, SEEK_END), at = end;
    uint64_t seen = 0;
    if (n == 0)
        return;
    while (at > 0) {
        size_t want = at < (off_t)sizeof(buf) ? (size_t)at : sizeof(buf);
        at -= (off_t)want;
        if (pread(fd, buf, want, at) != (ssize_t)want)
            break;
        for (size_t i = want; i-- > 0;)
            if (buf[i] == '\n' && at + (off_t)i + 1 < end && ++seen >= n) {
                lseek(fd, at + (off_t)i + 1, SEEK_SET);
                return;
            }
    }
    lseek(fd, 0, SEEK_SET);
}

/* The container asked for, or the only one; answered and empty when that is not clear. */
static struct fed_str choose_container(const struct fed_json *tree, struct fed_str name, struct fed_str asked,
                                       struct fed_api_reply *reply)
{
    static const char *const lists[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct fed_json *list = fed_json_at(tree, "spec", "containers", NULL);
    struct fed_buf names = {0};
    for (size_t i = 0; asked.n && i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_at(tree, "spec", lists[i], NULL))
            if (fed_str_eq(fed_json_find_text(c, "name"), asked))
                return asked;
    if (!asked.n && list && list->n == 1)
        return fed_json_find_text(list->first, "name");
    for (size_t i = 0; i < FED_ARRAY_LEN(lists); i++)
        FED_JSON_EACH(c, fed_json_at(tree, "spec", lists[i], NULL))
            fed_buf_addf(&names, "%s%.*s", names.n ? " " : "", FED_STR_ARG(fed_json_find_text(c, "name")));
    if (asked.n)
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "container %.*s is not valid for pod %.*s", FED_STR_ARG(asked),
                            FED_STR_ARG(name));
    else
        fed_api_reply_error(reply, FED_E_BAD_REQUEST,
                            "a container name must be specified for pod %.*s, choose one of: [%s]", FED_STR_ARG(name),
                            fed_buf_z(&names));
    fed_buf_release(&names);
    return FED_STR("");
}

/* The run that a containerID ("hansa://UID/NAME/ATTEMPT") names; -1: none. */
static int64_t attempt_of(const struct fed_json *state)
{
    struct fed_str id = fed_json_find_text(state, "containerID");
    uint64_t n;
    ptrdiff_t slash = -1, next = 0;
    while ((next = fed_str_chr(id, '/', (size_t)(slash + 1))) >= 0)
        slash = next;
    return slash >= 0 && fed_str_u64(fed_str_from(id, (size_t)slash + 1), &n) == 0 ? (int64_t)n : -1;
}

static const char *waiting_text(struct fed_str reason)
{
    if (fed_str_is(reason, "ErrImagePull"))
        return "image can't be pulled";
    return fed_str_is(reason, "ImagePullBackOff") ? "trying and failing to pull image" : NULL;
}

/* Which run's log is meant, as the kubelet chooses it; -1 and *why when there is none. */
static int64_t choose_attempt(struct fed_arena *a, const struct fed_json *tree, struct fed_str container,
                              struct fed_str pod, bool previous, struct fed_str *why)
{
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"};
    const struct fed_json *status = NULL;
    for (size_t i = 0; i < FED_ARRAY_LEN(lists) && !status; i++)
        FED_JSON_EACH(c, fed_json_at(tree, "status", lists[i], NULL))
            if (fed_str_eq(fed_json_find_text(c, "name"), container))
                status = c;
    int64_t now = attempt_of(fed_json_at(status, "state", "terminated", NULL));
    int64_t before = attempt_of(fed_json_at(status, "lastState", "terminated", NULL));
    const struct fed_json *waiting = fed_json_at(status, "state", "waiting", NULL);
    struct fed_str reason = fed_json_find_text(waiting, "reason");
    if (previous) {
        *why = fed_arena_printf(a, "previous terminated container \"%.*s\" in pod \"%.*s\" not found",
                                FED_STR_ARG(container), FED_STR_ARG(pod));
        return before;
    }
    if (fed_json_at(status, "state", "running", NULL))
        return attempt_of(status);
    if (now >= 0 || before >= 0)
        return now >= 0 ? now : before;
    const char *words = waiting_text(reason);
    if (!status)
        *why = fed_arena_printf(a, "container \"%.*s\" in pod \"%.*s\" is not available", FED_STR_ARG(container),
                                FED_STR_ARG(pod));
    else if (!waiting)
        *why = fed_arena_printf(a, "container \"%.*s\" in pod \"%.*s\" is waiting to start - no logs yet",
                                FED_STR_ARG(container), FED_STR_ARG(pod));
    else
        *why =
            fed_arena_printf(a, "container \"%.*s\" in pod \"%.*s\" is waiting to start: %.*s", FED_STR_ARG(container),
                             FED_STR_ARG(pod), words ? (int)strlen(words) : (int)reason.n, words ? words : reason.p);
    return -1;
}

static void refuse_options(struct fed_api_reply *reply, struct fed_str pod, const struct fed_causes *causes)
{
    struct fed_status_details d = {.name = pod, .kind = FED_STR("PodLogOptions"), .causes = causes};
    struct fed_buf b = {0};
    fed_status_write(&b, FED_E_INVALID, NULL, &d);
    fed_api_reply_text(reply, fed_code_status(FED_E_INVALID), "application/json", fed_buf_str(&b));
    fed_buf_release(&b);
}

/* Answers and returns false when an option makes no sense. */
static bool check_options(const struct fed_api_request *req, const struct fed_query *q, struct fed_api_reply *reply)
{
    struct fed_causes c = {.arena = req->arena};
    static const struct {
        const char *name;
        int64_t least;
        const char *words;
    } numbers[] = {{"tailLines", 0, "must be greater than or equal to 0"},
                   {"limitBytes", 1, "must be greater than 0"},
                   {"sinceSeconds", 1, "must be greater than 0"}};
    int64_t when;
    struct fed_str at = fed_query_find(q, "sinceTime");
    for (size_t i = 0; i < FED_ARRAY_LEN(numbers); i++) {
        struct fed_str v = fed_query_find(q, numbers[i].name);
        int64_t n;
        if (v.n && fed_str_i64(v, &n)) {
            fed_api_reply_error(reply, FED_E_BAD_REQUEST, "strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                                FED_STR_ARG(v));
            return false;
        }
        if (v.n && n < numbers[i].least)
            fed_causes_add(&c, FED_CAUSE_INVALID, fed_str(numbers[i].name), v, "%s", numbers[i].words);
    }
    if (at.n && fed_time_parse(at, &when) < 0) {
        fed_api_reply_error(reply, FED_E_BAD_REQUEST, "sinceTime \"%.*s\" is not a time", FED_STR_ARG(at));
        return false;
    }
    if (at.n && fed_query_find(q, "sinceSeconds").n)
        fed_causes_add(&c, FED_CAUSE_FORBIDDEN, FED_STR("sinceSeconds"), (struct fed_str){NULL, 0},
                       "at most one of `sinceTime` or `sinceSeconds` may be specified");
    if (c.n)
        refuse_options(reply, req->name, &c);
    return c.n == 0;
}

static bool truth(const struct fed_query *q, const char *name)
{
    struct fed_str v = fed_query_find(q, name);
    return v.p && !fed_str_is(v, "0") && !fed_str_ieq(v, FED_STR("false"));
}

static struct reader *reader_new(struct mbr *m, const struct fed_api_request *req, const struct fed_query *q,
                                 struct fed_kobj *pod, struct fed_str container, int64_t attempt)
{
    struct reader *r = FED_NEW(struct reader);
    uint64_t n;
    struct fed_str since = fed_query_find(q, "sinceSeconds"), at = fed_query_find(q, "sinceTime");
    r->m = m;
    r->follow = truth(q, "follow");
    r->timestamps = truth(q, "timestamps");
    r->at_start = true;
    r->attempt = (unsigned)attempt;
    r->container = fed_strdup_str(container);
    r->uid = fed_strdup_str(mbr_key(req->arena, pod->ns, pod->name));
    r->left = fed_str_u64(fed_query_find(q, "limitBytes"), &n) == 0 ? n : UINT64_MAX;
    if (fed_str_u64(since, &n) == 0)
        r->since_ms = fed_wall_ms(m->env) - (int64_t)n * 1000;
    else if (at.n && fed_time_parse(at, &r->since_ms) < 0)
        r->since_ms = 0;
    snprintf(r->path, sizeof(r->path), "%s/pods/%.*s/logs/%.*s.%lld.log", m->dir, FED_STR_ARG(pod->uid),
             FED_STR_ARG(container), (long long)attempt);
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    fed_buf_init(&r->pending, 1024 * 1024);
    return r;
}

void mbr_serve_log(void *ud, const struct fed_api_request *req, struct fed_api_reply *reply)
{
    struct mbr *m = ud;
    struct fed_query q = {0};
    struct fed_err err = {0};
    struct fed_kobj *pod = mbr_find(m, MBR_PODS, req->ns, req->name);
    uint64_t tail;
    if (!pod)
        return fed_api_reply_error(reply, FED_E_NOT_FOUND, "pods \"%.*s\" not found", FED_STR_ARG(req->name));
    if (fed_query_parse(req->arena, req->query, &q, &err) < 0)
        return fed_api_reply_error(reply, FED_E_BAD_REQUEST, "%s", err.text);
    if (!check_options(req, &q, reply))
        return;
    struct fed_json *tree = fed_kobj_parse(pod, req->arena);
    struct fed_str container = choose_container(tree, pod->name, fed_query_find(&q, "container"), reply), why = {0};
    if (!container.n)
        return;
    if (!fed_json_str(fed_json_at(tree, "spec", "nodeName", NULL)).n) /* nobody has it yet, and that is no mistake */
        return fed_api_reply_text(reply, 200, "text/plain", FED_STR(""));
    int64_t attempt = choose_attempt(req->arena, tree, container, pod->name, truth(&q, "previous"), &why);
    if (attempt < 0)
        return fed_api_reply_error(reply, FED_E_BAD_REQUEST, "%.*s", FED_STR_ARG(why));
    struct reader *r = reader_new(m, req, &q, pod, container, attempt);
    r->reply = reply;
    if (r->fd < 0) {
        reader_free(r);
        return fed_api_reply_error(reply, FED_E_NOT_FOUND, "the log of \"%.*s\" is not there", FED_STR_ARG(container));
    }
    if (fed_str_u64(fed_query_find(&q, "tailLines"), &tail) == 0)
        seek_tail(r->fd, tail);
    fed_api_reply_stream(reply, 200, "text/plain", NULL, gone, r);
    fed_timer_start(m->env, &r->timer, 0, look);
}
