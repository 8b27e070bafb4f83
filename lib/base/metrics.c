/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#define MAX_LABELS 16
#define MAX_SERIES 1000

struct fed_metric {
    struct fed_metric_family *family;
    char *labels;           /* rendered `a="x",b="y"`, "" for none */
    _Atomic int64_t value;  /* counter, gauge; histogram: number of observations */
    _Atomic uint64_t sum;   /* histogram: bits of a double */
    _Atomic uint64_t *hits; /* histogram: own count of each bucket, +Inf last */
};

struct fed_metric_family {
    enum fed_metric_type type;
    char *name, *help;
    struct fed_str label[MAX_LABELS]; /* into label_text */
    char *label_text;
    size_t n_labels;
    double *buckets;
    size_t n_buckets;
    int64_t divide;        /* values are shown divided by it; 0: as they are */
    struct fed_map series; /* key: values, each behind its length */
    struct fed_metric *overflow;
};

struct fed_metrics {
    struct fed_map families;    /* by name */
    struct fed_list collectors; /* of struct fed_metrics_collector */
};

struct fed_metrics *fed_metrics_new(void)
{
    struct fed_metrics *m = FED_NEW(struct fed_metrics);
    fed_list_init(&m->collectors);
    return m;
}

void fed_metrics_collect(struct fed_metrics *m, struct fed_metrics_collector *c)
{
    fed_list_push_back(&m->collectors, &c->link);
}

static void free_series(struct fed_metric *s)
{
    if (!s)
        return;
    free(s->labels);
    free(s->hits);
    free(s);
}

static void free_family(struct fed_metric_family *f)
{
    FED_MAP_EACH(e, &f->series)
        free_series(e->value);
    fed_map_release(&f->series);
    free_series(f->overflow);
    free(f->name);
    free(f->help);
    free(f->label_text);
    free(f->buckets);
    free(f);
}

void fed_metrics_free(struct fed_metrics *m)
{
    if (!m)
        return;
    while (!fed_list_empty(&m->collectors))
        fed_list_remove(m->collectors.next);
    FED_MAP_EACH(e, &m->families)
        free_family(e->value);
    fed_map_release(&m->families);
    free(m);
}

struct fed_metric_family *fed_metrics_family(struct fed_metrics *m, enum fed_metric_type type, const char *name,
                                             const char *help, const char *labels, const double *buckets,
                                             size_t n_buckets)
{
    struct fed_metric_family *f = fed_map_find(&m->families, fed_str(name));
    if (f) { /* two components may share a family, of the same shape */
        FED_REQUIRE(f->type == type && strcmp(f->label_text, labels ? labels : "") == 0);
        return f;
    }
    FED_REQUIRE(type == FED_METRIC_HISTOGRAM || n_buckets == 0);
    f = FED_NEW(struct fed_metric_family);
    f->type = type;
    f->name = fed_strdup(name);
    f->help = fed_strdup(help);
    f->label_text = fed_strdup(labels ? labels : "");
    struct fed_str rest = fed_str(f->label_text), piece;
    while (rest.n && fed_str_cut(&rest, ',', &piece)) {
        FED_REQUIRE(f->n_labels < MAX_LABELS);
        f->label[f->n_labels++] = fed_str_trim(piece);
    }
    if (n_buckets) {
        f->buckets = fed_calloc(n_buckets, sizeof(double));
        memcpy(f->buckets, buckets, n_buckets * sizeof(double));
        f->n_buckets = n_buckets;
    }
    fed_map_set(&m->families, fed_str(name), f);
    return f;
}

void fed_metric_family_divide(struct fed_metric_family *f, int64_t by)
{
    f->divide = by;
}

static void add_escaped(struct fed_buf *out, struct fed_str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            fed_buf_addz(out, "\\n");
        else if (s.p[i] == '\\')
            fed_buf_addz(out, "\\\\");
        else if (s.p[i] == '"' && quotes)
            fed_buf_addz(out, "\\\"");
        else
            fed_buf_addc(out, s.p[i]);
    }
}

static struct fed_metric *new_series(struct fed_metric_family *f, const struct fed_str *values)
{
    struct fed_metric *s = FED_NEW(struct fed_metric);
    struct fed_buf text = {0};
    s->family = f;
    for (size_t i = 0; i < f->n_labels; i++) {
        if (i)
            fed_buf_addc(&text, ',');
        fed_buf_add(&text, f->label[i]);
        fed_buf_addz(&text, "=\"");
        add_escaped(&text, values ? values[i] : FED_STR("overflow"), true);
        fed_buf_addc(&text, '"');
    }
    s->labels = fed_strdup(fed_buf_z(&text));
    fed_buf_release(&text);
    if (f->type == FED_METRIC_HISTOGRAM)
        s->hits = fed_calloc(f->n_buckets + 1, sizeof(*s->hits));
    return s;
}

struct fed_metric *fed_metric_get(struct fed_metric_family *f, const struct fed_str *values, size_t n)
{
    FED_REQUIRE(n == f->n_labels);
    struct fed_buf key = {0};
    for (size_t i = 0; i < n; i++) {
        fed_buf_add_u64(&key, values[i].n);
        fed_buf_addc(&key, ':');
        fed_buf_add(&key, values[i]);
    }
    struct fed_metric *s = fed_map_find(&f->series, fed_buf_str(&key));
    if (!s && fed_map_count(&f->series) < MAX_SERIES) {
        s = new_series(f, values);
        fed_map_set(&f->series, fed_buf_str(&key), s);
    } else if (!s) {
        if (!f->overflow)
            f->overflow = new_series(f, NULL);
        s = f->overflow;
    }
    fed_buf_release(&key);
    return s;
}

struct fed_metric *fed_metrics_counter(struct fed_metrics *m, const char *name, const char *help)
{
    return fed_metric_get(fed_metrics_family(m, FED_METRIC_COUNTER, name, help, "", NULL, 0), NULL, 0);
}

struct fed_metric *fed_metrics_gauge(struct fed_metrics *m, const char *name, const char *help)
{
    return fed_metric_get(fed_metrics_family(m, FED_METRIC_GAUGE, name, help, "", NULL, 0), NULL, 0);
}

void fed_metric_add(struct fed_metric *s, int64_t v)
{
    atomic_fetch_add_explicit(&s->value, v, memory_order_relaxed);
}

void fed_metric_raise(struct fed_metric *s, uint64_t total)
{
    int64_t more = (int64_t)total - fed_metric_value(s);
    if (more > 0)
        fed_metric_add(s, more);
}

void fed_metric_set(struct fed_metric *s, int64_t v)
{
    atomic_store_explicit(&s->value, v, memory_order_relaxed);
}

int64_t fed_metric_value(const struct fed_metric *s)
{
    return atomic_load_explicit(&s->value, memory_order_relaxed);
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

void fed_metric_observe(struct fed_metric *s, double v)
{
    const struct fed_metric_family *f = s->family;
    FED_REQUIRE(f->type == FED_METRIC_HISTOGRAM);
    size_t i = 0;
    while (i < f->n_buckets && v > f->buckets[i])
        i++;
    uint64_t bits = atomic_load_explicit(&s->sum, memory_order_relaxed), next;
    do {
        double sum = double_of(bits) + v;
        memcpy(&next, &sum, sizeof(next));
    } while (!atomic_compare_exchange_weak_explicit(&s->sum, &bits, next, memory_order_relaxed, memory_order_relaxed));
    atomic_fetch_add_explicit(&s->hits[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->value, 1, memory_order_relaxed);
}

/* The shortest of the usual precisions that reads back as the same number: "0.1", not "0.10000000000000001". */
static void add_double(struct fed_buf *out, double v)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    fed_buf_addz(out, text);
}

static void add_name(struct fed_buf *out, const struct fed_metric *s, const char *suffix)
{
    fed_buf_addz(out, s->family->name);
    fed_buf_addz(out, suffix);
    if (s->labels[0])
        fed_buf_addf(out, "{%s}", s->labels);
    fed_buf_addc(out, ' ');
}

static void render_histogram(const struct fed_metric *s, struct fed_buf *out)
{
    const struct fed_metric_family *f = s->family;
    uint64_t total = 0;
    for (size_t i = 0; i <= f->n_buckets; i++) {
        total += atomic_load_explicit(&s->hits[i], memory_order_relaxed);
        fed_buf_addf(out, "%s_bucket{%s%sle=\"", f->name, s->labels, s->labels[0] ? "," : "");
        if (i < f->n_buckets)
            add_double(out, f->buckets[i]);
        else
            fed_buf_addz(out, "+Inf");
        fed_buf_addz(out, "\"} ");
        fed_buf_add_u64(out, total);
        fed_buf_addc(out, '\n');
    }
    add_name(out, s, "_sum");
    add_double(out, double_of(atomic_load_explicit(&s->sum, memory_order_relaxed)));
    fed_buf_addc(out, '\n');
    /* From the buckets, not from value: a reader must never see +Inf and count differ. */
    add_name(out, s, "_count");
    fed_buf_add_u64(out, total);
    fed_buf_addc(out, '\n');
}

static void render_series(const struct fed_metric *s, struct fed_buf *out)
{
    if (s->family->type == FED_METRIC_HISTOGRAM) {
        render_histogram(s, out);
        return;
    }
    add_name(out, s, "");
    if (s->family->divide) {
        add_double(out, (double)fed_metric_value(s) / (double)s->family->divide);
        fed_buf_addc(out, '\n');
        return;
    }
    fed_buf_addf(out, "%lld\n", (long long)fed_metric_value(s));
}

void fed_metrics_render(struct fed_metrics *m, struct fed_buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (struct fed_list *l = m->collectors.next; l != &m->collectors; l = l->next) {
        struct fed_metrics_collector *c = fed_container_of(l, struct fed_metrics_collector, link);
        c->collect(c);
    }
    FED_MAP_EACH(e, &m->families) {
        struct fed_metric_family *f = e->value;
        fed_buf_addf(out, "# HELP %s ", f->name);
        add_escaped(out, fed_str(f->help), false);
        fed_buf_addf(out, "\n# TYPE %s %s\n", f->name, types[f->type]);
        FED_MAP_EACH(s, &f->series)
            render_series(s->value, out);
        if (f->overflow)
            render_series(f->overflow, out);
    }
}
