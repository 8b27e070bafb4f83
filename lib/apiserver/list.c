/* SPDX-License-Identifier: Apache-2.0 */
/* GET of one object and LIST: consistent pages, selectors, forms. */
#include "apiserver/apiserver_priv.h"
#include "apiserver/list_options.h"
#include "apiserver/list_page.h"
#include "apiserver/custom_convert.h"
#include "apiserver/watch.h"
#include "base/mem.h"

void fed_api_get(struct fed_api_reply *r)
{
    uint64_t rev;
    bool given;
    if (fed_api_read_rev(r, &rev, &given) || fed_api_refuse_future(r, rev))
        return;
    struct fed_kobj *o = fed_cache_find(r->kc, r->q.ns, r->q.name);
    if (!o)
        fed_api_fail_object(r, FED_E_NOT_FOUND, NULL);
    else
        fed_api_answer_object(r, 200, o);
}

/* --- LIST --- */

struct fed_list_page {
    struct fed_api_reply *r;
    struct fed_watch_filter filter;
    struct fed_arena arena, scratch;
    uint64_t limit, rev;                 /* rev: of the state shown */
    struct fed_str after_ns, after_name; /* after_name.p == NULL: from the start */
    struct fed_str type;                 /* how the bytes of each item begin that are left out; empty: nothing is */
    struct fed_kobj **objs;              /* borrowed from the root */
    size_t n, cap;
    struct fed_node *root;
    bool more, selective;
    size_t sent;
    void (*ready)(void *ud, struct fed_list_page *page); /* NULL: it is answered then */
    void *ud;
};
#define STREAM_FROM (1024u * 1024) /* a list of more bytes is streamed, */
#define PIECE       (256u * 1024)  /* in pieces of this size, */
#define AHEAD       (1024u * 1024) /* with so much waiting at most */

static bool read_token(struct fed_list_page *p, struct fed_str text)
{
    struct fed_list_token token;
    if (!fed_list_token_read(p->r, &p->arena, text, &token))
        return false;
    p->after_ns = token.ns;
    p->after_name = token.name;
    p->rev = token.rev > 0 ? (uint64_t)token.rev : p->r->api->cache.rev; /* -1: an inconsistent continuation */
    return !fed_api_refuse_future(p->r, p->rev);
}

static bool collect(void *ud, struct fed_kobj *o)
{
    struct fed_list_page *p = ud;
    if (p->selective && !fed_filter_match(&p->filter, o, &p->scratch)) {
        fed_arena_reset(&p->scratch);
        return true;
    }
    if (p->limit && p->n == p->limit) {
        p->more = true;
        return false;
    }
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->objs = fed_realloc(p->objs, p->cap * sizeof *p->objs);
    }
    p->objs[p->n++] = o;
    return true;
}

static bool read_options(struct fed_list_page *p)
{
    struct fed_api_reply *r = p->r;
    struct fed_list_options o;
    if (!fed_list_options_read(r, false, &o))
        return false;
    p->limit = o.limit;
    p->rev = r->api->cache.rev;
    if (o.token.n && o.rev) {
        fed_api_fail(r, FED_E_BAD_REQUEST, NULL, "specifying resource version is not allowed when using continue");
        return false;
    }
    if (o.token.n)
        return read_token(p, o.token);
    if (fed_api_refuse_future(r, o.rev))
        return false;
    /* A revision with a limit and no match rule means that revision exactly (Kubernetes' legacy rule). */
    if (fed_str_is(o.match, "Exact") || (o.rev && p->limit && !o.match.n))
        p->rev = o.rev;
    return true;
}

/* 410 whose message carries a token to go on with at the latest revision, inconsistently. */
static void answer_expired(struct fed_list_page *p)
{
    struct fed_api_reply *r = p->r;
    if (!p->after_name.p) {
        fed_api_fail(r, FED_E_EXPIRED, NULL, "The resourceVersion for the provided list is too old.");
        return;
    }
    struct fed_str token = fed_list_token_make(&p->arena, -1, p->after_ns, p->after_name);
    struct fed_buf b = {0};
    fed_buf_addf(&b,
                 "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{\"continue\":\"%.*s\"},\"status\":"
                 "\"Failure\",\"message\":\"The provided continue parameter is too old to display a consistent list "
                 "result. You can start a new list without the continue parameter, or use the continue token in "
                 "this response to retrieve the remainder of the results. Continuing with the provided token "
                 "results in an inconsistent list.\",\"reason\":\"Expired\",\"code\":410}",
                 FED_STR_ARG(token));
    fed_api_answer(r, 410, "application/json", fed_buf_str(&b));
    fed_buf_release(&b);
}

static struct fed_str list_metadata(struct fed_list_page *p)
{
    struct fed_buf b = {0};
    fed_buf_addf(&b, "{\"resourceVersion\":\"%llu\"", (unsigned long long)p->rev);
    if (p->more && p->n) {
        const struct fed_kobj *last = p->objs[p->n - 1];
        struct fed_str token = fed_list_token_make(&p->arena, (int64_t)p->rev, last->ns, last->name);
        fed_buf_addf(&b, ",\"continue\":\"%.*s\"", FED_STR_ARG(token));
        if (!p->selective) {
            fed_buf_addf(&b, ",\"remainingItemCount\":%zu", fed_tree_after(p->root, p->r->q.ns, last->ns, last->name));
        }
    }
    fed_buf_addc(&b, '}');
    struct fed_str out = fed_arena_dup(&p->arena, fed_buf_str(&b));
    fed_buf_release(&b);
    return out;
}

static void put_table(struct fed_list_page *p, struct fed_buf *b, struct fed_str meta)
{
    const struct fed_form *f = &p->r->form;
    int64_t now = fed_wall_ms(p->r->api->env);
    fed_form_table_begin(b, f, meta, true);
    for (size_t i = 0; i < p->n; i++) {
        if (i)
            fed_buf_addc(b, ',');
        fed_form_row(b, p->objs[i], f, now);
    }
    fed_buf_addz(b, "]}");
}

/* Items of custom kinds and of metadata say what they are; those of the kinds that a server is built with do not. Inside
 * the process they do: nothing has to be put in again then. */
static void leave_types_out(struct fed_list_page *p)
{
    const struct fed_kind_version *v = p->r->form.v;
    if (p->r->x && p->r->form.kind == FED_FORM_OBJECT && !v->kind->custom)
        p->type = fed_arena_printf(&p->arena, "{\"apiVersion\":\"%.*s\",\"kind\":\"%.*s\",",
                                   FED_STR_ARG(v->api_version), FED_STR_ARG(v->kind->kind));
}

static void put_list_head(struct fed_list_page *p, struct fed_buf *b, struct fed_str meta)
{
    const struct fed_form *f = &p->r->form;
    bool partial = f->kind == FED_FORM_PARTIAL;
    fed_buf_addz(b, "{\"kind\":\"");
    fed_buf_add(b, partial ? FED_STR("PartialObjectMetadataList") : f->v->kind->list_kind);
    fed_buf_addz(b, "\",\"apiVersion\":\"");
    fed_buf_add(b, partial ? FED_STR("meta.k8s.io/") : f->v->api_version);
    if (partial)
        fed_buf_addz(b, f->meta_version);
    fed_buf_addz(b, "\",\"metadata\":");
    fed_buf_add(b, meta);
    fed_buf_addz(b, ",\"items\":[");
}

static void fetch(struct fed_str bytes)
{
    for (size_t at = 0; at < FED_MIN(bytes.n, (size_t)4096); at += 64)
        __builtin_prefetch(bytes.p + at);
}

/* Items from p->sent on, until all are there or the buffer has `most` bytes. */
static void put_items(struct fed_list_page *p, struct fed_buf *b, size_t most)
{
    for (; p->sent < p->n && b->n < most; p->sent++) {
        /* The order of keys is not the order in memory: fetch what comes next meanwhile. */
        if (p->sent + 8 < p->n)
            __builtin_prefetch(p->objs[p->sent + 8]);
        if (p->sent + 4 < p->n)
            fetch(p->objs[p->sent + 4]->json);
        if (p->sent)
            fed_buf_addc(b, ',');
        struct fed_str item = fed_form_bytes(p->objs[p->sent], &p->r->form, NULL);
        if (p->type.n && fed_str_starts(item, p->type)) {
            fed_buf_addc(b, '{');
            item = fed_str_from(item, p->type.n);
        }
        fed_buf_add(b, item);
    }
    if (p->sent == p->n)
        fed_buf_addz(b, "]}");
}

/* Counted up to `most`: a long list is not looked at twice. */
static size_t stored_size(const struct fed_list_page *p, size_t most)
{
    size_t total = 256;
    for (size_t i = 0; i < p->n && total <= most; i++)
        total += p->objs[i]->json.n + 1;
    return total;
}

/* --- a long list is sent in pieces, made as the client takes them: its snapshot does not change meanwhile --- */

static void page_release(struct fed_list_page *p)
{
    fed_tree_unref(p->root);
    free(p->objs);
    fed_arena_release(&p->scratch);
    fed_arena_release(&p->arena);
}

void fed_list_page_free(struct fed_list_page *p)
{
    page_release(p);
    free(p);
}

/* To the heap. */
static struct fed_list_page *page_keep(struct fed_list_page *p)
{
    struct fed_list_page *own = FED_NEW(struct fed_list_page);
    *own = *p;
    *p = (struct fed_list_page){.r = own->r};
    return own;
}

static void stream_gone(void *ud)
{
    fed_list_page_free(ud);
}

static void stream_more(void *ud)
{
    struct fed_list_page *p = ud;
    while (p->sent < p->n) {
        struct fed_buf b = {0};
        (void)fed_buf_reserve(&b, PIECE + PIECE / 4);
        put_items(p, &b, PIECE);
        struct fed_blob *piece = fed_blob_new_take(&b);
        size_t backlog = fed_http_stream_write_blob(p->r->x, piece);
        fed_blob_unref(piece);
        if (backlog > AHEAD)
            return; /* stream_more comes again when it is drained */
    }
    struct fed_api_reply *r = p->r;
    fed_list_page_free(p);
    fed_api_reply_end(r);
}

static void stream_page(struct fed_list_page *p, struct fed_str meta)
{
    struct fed_list_page *own = page_keep(p);
    struct fed_buf head = {0};
    put_list_head(own, &head, meta);
    fed_api_reply_stream(own->r, 200, "application/json", stream_more, stream_gone, own);
    fed_http_stream_bound(own->r->x);
    fed_http_stream_write(own->r->x, fed_buf_str(&head));
    fed_buf_release(&head);
    stream_more(own);
}

static void put_whole(struct fed_list_page *p, struct fed_buf *b, struct fed_str meta)
{
    if (p->r->form.kind == FED_FORM_OBJECT &&
        p->r->form.v == fed_kind_storage(p->r->form.v->kind)) /* mostly what is stored */
        (void)fed_buf_reserve(b, stored_size(p, SIZE_MAX));   /* one allocation of the right size */
    put_list_head(p, b, meta);
    put_items(p, b, SIZE_MAX);
}

static void answer_page(struct fed_list_page *p)
{
    struct fed_api_reply *r = p->r;
    if (p->more)
        fed_cache_pin(r->kc, p->rev, p->root);
    struct fed_str meta = list_metadata(p);
    struct fed_buf b = {0};
    leave_types_out(p);
    bool plain = r->form.kind != FED_FORM_TABLE && !r->pretty && !r->yaml;
    if (plain && r->x && !r->gzip && stored_size(p, STREAM_FROM) > STREAM_FROM) {
        stream_page(p, meta);
        return;
    }
    if (r->form.kind == FED_FORM_TABLE)
        put_table(p, &b, meta);
    else
        put_whole(p, &b, meta);
    if (r->pretty || r->yaml) {
        fed_api_answer_text(r, 200, fed_buf_str(&b));
        fed_buf_release(&b);
    } else {
        struct fed_blob *blob = fed_blob_new_take(&b);
        fed_api_answer_blob(r, 200, "application/json", blob);
        fed_blob_unref(blob);
    }
}

static void page_ready(void *ud, int code, const struct fed_err *err)
{
    struct fed_list_page *p = ud;
    if (code)
        fed_api_fail_err(p->r, err);
    else if (!p->ready)
        answer_page(p);
    if (p->ready)
        p->ready(p->ud, code ? NULL : p);
    if (code || !p->ready)
        fed_list_page_free(p);
}

/* Some of the objects have to be converted by a webhook first: true, and the page is ready then. */
static bool convert_page(struct fed_list_page *p)
{
    struct fed_api_reply *r = p->r;
    bool ready = true;
    for (size_t i = 0; i < p->n && ready; i++)
        ready = fed_form_ready(p->objs[i], &r->form);
    if (ready)
        return false;
    struct fed_list_page *own = page_keep(p);
    fed_api_request_defer(r);
    (void)fed_conv_objects(r->api, r->form.v, own->objs, own->n, page_ready, own);
    return true;
}

/* False: answered with an error. */
static bool fill_page(struct fed_list_page *p)
{
    struct fed_api_reply *r = p->r;
    if (!fed_filter_read(r, &p->filter, &p->arena) || !read_options(p))
        return false;
    p->selective = p->filter.labels.n || p->filter.labels.nothing || p->filter.fields.n;
    if (fed_cache_snapshot_at(r->kc, p->rev, &p->root)) {
        answer_expired(p);
        return false;
    }
    fed_tree_walk(p->root, r->q.ns, p->after_ns, p->after_name, collect, p);
    return true;
}

void fed_api_list(struct fed_api_reply *r)
{
    struct fed_list_page p = {.r = r};
    if (fill_page(&p) && !convert_page(&p))
        answer_page(&p);
    page_release(&p);
}

/* --- a page for another purpose --- */

void fed_list_page_collect(struct fed_api_reply *r, void (*ready)(void *ud, struct fed_list_page *page), void *ud)
{
    struct fed_list_page p = {.r = r, .ready = ready, .ud = ud};
    if (!fill_page(&p))
        ready(ud, NULL);
    else if (!convert_page(&p))
        ready(ud, page_keep(&p));
    page_release(&p);
}

struct fed_kobj *const *fed_list_page_objects(const struct fed_list_page *page, size_t *n)
{
    *n = page->n;
    return page->objs;
}

void fed_list_page_answer(struct fed_list_page *page)
{
    answer_page(page);
    fed_list_page_free(page);
}
