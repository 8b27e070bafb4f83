/* SPDX-License-Identifier: Apache-2.0 */
/* state_file.c: the objects on disk, so that a restart without the federation API answers as before it. */
#include <inttypes.h>

#include "base/file.h"
#include "base/mem.h"
#include "traffic/builder_priv.h"

#define VERSION 1

struct fed_saving {        /* a write on the work threads; one at a time */
    struct fed_builder *b; /* NULL: the builder is gone */
    char *path;
    struct fed_buf text;
    struct fed_err err;
    int rc;
};

static void do_write(void *ud)
{
    struct fed_saving *w = ud;
    w->rc = fed_file_write_atomic(w->path, fed_buf_str(&w->text), 0600, &w->err);
}

static void written(void *ud)
{
    struct fed_saving *w = ud;
    if (w->b) {
        w->b->saving = NULL;
        if (w->rc) { /* the next change tries again */
            w->b->stats.save_failures++;
            w->b->changed_since_save = true;
        }
    }
    fed_buf_release(&w->text);
    free(w->path);
    free(w);
}

static void on_retry(struct fed_timer *t)
{
    fed_builder_save(fed_container_of(t, struct fed_builder, save_timer));
}

void fed_builder_saving_forget(struct fed_builder *b)
{
    if (b->saving)
        b->saving->b = NULL;
}

static void format(const struct fed_builder *b, struct fed_buf *out)
{
    struct fed_buf body = {0};
    FED_MAP_EACH(e, &b->objects) {
        const struct fed_routing_object *o = e->value;
        fed_buf_add(&body, o->kobj->json);
        fed_buf_addc(&body, '\n');
    }
    fed_buf_addf(out, "hansa-snapshot %d %zu %016" PRIx64 "\n", VERSION, body.n, fed_str_hash(fed_buf_str(&body), 0));
    fed_buf_add(out, fed_buf_str(&body));
    fed_buf_release(&body);
}

void fed_builder_save(struct fed_builder *b)
{
    fed_timer_stop(b->conf.env, &b->save_timer);
    if (!b->state_file || !b->changed_since_save || !b->complete)
        return;
    if (b->saving) { /* two writers of one file would damage it */
        fed_timer_start(b->conf.env, &b->save_timer, 100, on_retry);
        return;
    }
    struct fed_saving *w = b->saving = FED_NEW(struct fed_saving);
    w->b = b;
    w->path = fed_strdup(b->state_file);
    format(b, &w->text);
    b->changed_since_save = false;
    b->stats.saves++;
    /* A sync to disk may take long: never on the thread that probes, unless there is no other (tests, shutdown). */
    if (b->conf.loop) {
        fed_loop_work(b->conf.loop, do_write, written, w);
        return;
    }
    do_write(w);
    written(w);
}

static int check_header(struct fed_str text, struct fed_str *body, const char *path, struct fed_err *err)
{
    struct fed_str head, word[4] = {{NULL, 0}};
    uint64_t version, len;
    *body = text;
    if (!fed_str_cut(body, '\n', &head) || !body->p)
        return fed_err_set(err, FED_E_CORRUPT, "%s: no first line", path);
    for (int i = 0; i < 4; i++)
        if (!fed_str_cut(&head, ' ', &word[i]))
            return fed_err_set(err, FED_E_CORRUPT, "%s: damaged first line", path);
    if (!fed_str_is(word[0], "hansa-snapshot") || fed_str_u64(word[1], &version) || fed_str_u64(word[2], &len))
        return fed_err_set(err, FED_E_CORRUPT, "%s: not a snapshot", path);
    if (version != VERSION)
        return fed_err_set(err, FED_E_VERSION, "%s: version %" PRIu64 ", not %d", path, version, VERSION);
    char hash[17];
    snprintf(hash, sizeof(hash), "%016" PRIx64, fed_str_hash(*body, 0));
    if (body->n != len || !fed_str_is(word[3], hash))
        return fed_err_set(err, FED_E_CORRUPT, "%s: checksum or length does not fit", path);
    return 0;
}

/* All lines are parsed before the first is put: half a file is no world. */
static int put_lines(struct fed_builder *b, struct fed_str body, const char *path, struct fed_err *err)
{
    struct fed_str line;
    struct fed_kobj **objs = NULL;
    size_t n = 0, cap = 0;
    int rc = 0;
    while (!rc && fed_str_cut(&body, '\n', &line)) {
        if (!line.n)
            continue;
        if (n == cap) {
            cap = cap ? cap * 2 : 64;
            objs = fed_realloc(objs, cap * sizeof(struct fed_kobj *));
        }
        rc = fed_kobj_new(line, (struct fed_str){NULL, 0}, (struct fed_str){NULL, 0}, &objs[n], err);
        if (rc)
            rc = fed_err_wrap(err, FED_E_CORRUPT, "%s", path);
        else
            n++;
    }
    for (size_t i = 0; i < n; i++) {
        if (!rc)
            fed_builder_put(b, objs[i]);
        fed_kobj_unref(objs[i]);
    }
    free(objs);
    return rc;
}

int fed_builder_restore(struct fed_builder *b, struct fed_err *err)
{
    struct fed_buf text = {0};
    struct fed_str body;
    if (!b->state_file)
        return fed_err_set(err, FED_E_NOT_FOUND, "no state file is configured");
    int rc = fed_file_read(b->state_file, FED_BUILDER_MAX_FILE, &text, err);
    if (!rc)
        rc = check_header(fed_buf_str(&text), &body, b->state_file, err);
    if (!rc)
        rc = put_lines(b, body, b->state_file, err);
    fed_buf_release(&text);
    if (rc)
        return rc;
    b->changed_since_save = false;
    fed_builder_flush(b);
    return 0;
}
