/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/hpaplan.h"

/* --- proposals: ratios are in millionths --- */

enum { ONE = 1000000, TOLERANCE = 100000 };

static bool near(int64_t ratio)
{
    return ratio >= ONE - TOLERANCE && ratio <= ONE + TOLERANCE;
}

static int64_t times(int64_t ratio, int64_t n) /* rounded up */
{
    return (int64_t)(((__int128)ratio * n + ONE - 1) / ONE);
}

struct sums {
    int64_t usage, request, n;
};

static int64_t ratio_of(const struct mbr_hpa_metric *m, const struct sums *s)
{
    __int128 want = m->percent ? (__int128)s->request * m->percent / 100 : (__int128)m->value * s->n;
    return want > 0 ? (int64_t)((__int128)s->usage * ONE / want) : 0;
}

static void add_others(const struct mbr_hpa_metric *m, struct sums *s, bool grows)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct mbr_hpa_pod *p = &m->pods[i];
        if (p->state == MBR_HPA_MEASURED || (p->state == MBR_HPA_UNREADY && !grows))
            continue;
        s->n++;
        s->request += p->request;
        if (!grows) /* what is not known might be busy */
            s->usage += m->percent ? p->request * (m->percent > 100 ? m->percent : 100) / 100 : m->value;
    }
}

bool mbr_hpa_propose(struct mbr_hpa_metric *m)
{
    struct sums s = {0};
    bool missing = false, unready = false;
    for (size_t i = 0; i < m->n; i++) {
        const struct mbr_hpa_pod *p = &m->pods[i];
        if (m->percent && p->request <= 0)
            return false;
        missing = missing || p->state == MBR_HPA_MISSING;
        unready = unready || p->state == MBR_HPA_UNREADY;
        if (p->state != MBR_HPA_MEASURED)
            continue;
        s.n++;
        s.usage += p->usage;
        s.request += p->request;
    }
    if (!s.n)
        return false;
    m->now_percent = s.request ? s.usage * 100 / s.request : 0;
    m->now_value = s.usage / s.n;
    m->replicas = m->current;
    int64_t ratio = ratio_of(m, &s);
    bool grows = ratio > ONE;
    if (!missing && !(unready && grows)) {
        if (!near(ratio))
            m->replicas = times(ratio, s.n);
        return true;
    }
    add_others(m, &s, grows);
    int64_t again = ratio_of(m, &s);
    if (near(again) || (again > ONE) != grows)
        return true;
    int64_t n = times(again, s.n);
    if (grows ? n > m->current : n < m->current)
        m->replicas = n;
    return true;
}

/* --- limits --- */

void mbr_hpa_note(struct mbr_hpa_notes *r, int64_t at_ms, int64_t n)
{
    r->v[r->next].at_ms = at_ms;
    r->v[r->next].n = n;
    r->next = (r->next + 1) % MBR_HPA_NOTES;
    r->n = FED_MIN(r->n + 1, (size_t)MBR_HPA_NOTES);
}

static int64_t sum_since(const struct mbr_hpa_notes *r, int64_t since_ms)
{
    int64_t sum = 0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->v[i].at_ms > since_ms ? r->v[i].n : 0;
    return sum;
}

static void add_policy(struct mbr_hpa_rules *r, bool percent, int64_t value, int64_t seconds)
{
    if (r->n == MBR_HPA_POLICIES)
        return;
    r->policies[r->n].percent = percent;
    r->policies[r->n].value = value;
    r->policies[r->n++].period_ms = seconds * 1000;
}

void mbr_hpa_rules_read(struct mbr_hpa_rules *r, const struct fed_json *behavior, bool up)
{
    struct fed_str select = fed_json_find_text(behavior, "selectPolicy");
    *r = (struct mbr_hpa_rules){0};
    r->window_ms = fed_json_int(fed_json_find(behavior, "stabilizationWindowSeconds"), up ? 0 : 300) * 1000;
    r->disabled = fed_str_is(select, "Disabled");
    r->smallest = fed_str_is(select, "Min");
    FED_JSON_EACH(p, fed_json_find(behavior, "policies"))
        add_policy(r, fed_str_is(fed_json_find_text(p, "type"), "Percent"), fed_json_int(fed_json_find(p, "value"), 0),
                   fed_json_int(fed_json_find(p, "periodSeconds"), 15));
    if (r->n)
        return;
    add_policy(r, true, 100, 15);
    if (up)
        add_policy(r, false, 4, 15);
}

/* The largest size that the policies allow now. */
static int64_t highest(const struct mbr_hpa_limits *l, const struct mbr_hpa_memory *m)
{
    const struct mbr_hpa_rules *r = &l->up;
    int64_t best = -1;
    if (r->disabled)
        return l->current;
    for (size_t i = 0; i < r->n; i++) {
        int64_t since = l->now_ms - r->policies[i].period_ms, v = r->policies[i].value;
        int64_t start = l->current - sum_since(&m->ups, since) + sum_since(&m->downs, since);
        int64_t to = r->policies[i].percent ? (start * (100 + v) + 99) / 100 : start + v;
        if (best < 0 || (r->smallest ? to < best : to > best))
            best = to;
    }
    return FED_MAX(best, l->current);
}

static int64_t lowest(const struct mbr_hpa_limits *l, const struct mbr_hpa_memory *m)
{
    const struct mbr_hpa_rules *r = &l->down;
    int64_t best = -1;
    if (r->disabled)
        return l->current;
    for (size_t i = 0; i < r->n; i++) {
        int64_t since = l->now_ms - r->policies[i].period_ms, v = r->policies[i].value;
        int64_t start = l->current + sum_since(&m->downs, since) - sum_since(&m->ups, since);
        int64_t to = FED_MAX(r->policies[i].percent ? start * (100 - FED_MIN(v, 100)) / 100 : start - v, 0);
        if (best < 0 || (r->smallest ? to > best : to < best))
            best = to;
    }
    return FED_MIN(FED_MAX(best, 0), l->current);
}

/* Grows to no more than the least, shrinks to no less than the most, of what was proposed in the windows. */
static int64_t stabilize(struct mbr_hpa_limits *l, struct mbr_hpa_memory *m)
{
    int64_t up = l->proposed, down = l->proposed, n = l->current;
    for (size_t i = 0; i < m->proposals.n; i++) {
        int64_t at = m->proposals.v[i].at_ms, was = m->proposals.v[i].n;
        if (at > l->now_ms - l->up.window_ms)
            up = FED_MIN(up, was);
        if (at > l->now_ms - l->down.window_ms)
            down = FED_MAX(down, was);
    }
    mbr_hpa_note(&m->proposals, l->now_ms, l->proposed);
    n = FED_MAX(n, up);
    n = FED_MIN(n, down);
    if (n != l->proposed)
        l->stabilized = n > l->proposed ? "ScaleDownStabilized" : "ScaleUpStabilized";
    return n;
}

static void limited(struct mbr_hpa_limits *l, int64_t to, const char *reason, const char *message)
{
    l->replicas = to;
    l->limited = true;
    l->limit = reason;
    l->limit_message = message;
}

void mbr_hpa_limit(struct mbr_hpa_limits *l, struct mbr_hpa_memory *m)
{
    l->limited = false;
    l->stabilized = NULL;
    l->limit = "DesiredWithinRange";
    l->limit_message = "the desired count is within the acceptable range";
    l->replicas = stabilize(l, m);
    int64_t high = highest(l, m), low = lowest(l, m);
    if (l->replicas > l->current && l->replicas > FED_MIN(high, l->max)) {
        if (high < l->max)
            limited(l, high, "ScaleUpLimit",
                    "the desired replica count is increasing faster than the maximum scale rate");
        else
            limited(l, l->max, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
    } else if (l->replicas < l->current && l->replicas < FED_MAX(low, l->min)) {
        if (low > l->min)
            limited(l, low, "ScaleDownLimit",
                    "the desired replica count is decreasing faster than the maximum scale rate");
        else
            limited(l, l->min, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
    }
    if (l->replicas > l->max)
        limited(l, l->max, "TooManyReplicas", "the desired replica count is more than the maximum replica count");
    if (l->replicas < l->min)
        limited(l, l->min, "TooFewReplicas", "the desired replica count is less than the minimum replica count");
}
