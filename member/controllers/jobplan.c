/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/jobplan.h"

enum { PAUSE_MS = 10000, PAUSE_MAX_MS = 360000 };

void mbr_jobplan_end(struct mbr_jobplan *p, const char *type, const char *reason, const char *message)
{
    p->ended = type;
    p->reason = reason;
    p->message = message;
    p->create = 0;
    p->remove = p->active;
    p->wait_ms = -1;
}

static bool too_many_failures(const struct mbr_jobplan *p)
{
    if (p->failed > p->backoff_limit)
        return true;
    /* Containers that are restarted in place fail too. */
    return p->on_failure && p->active && (p->backoff_limit == 0 ? p->restarts > 0 : p->restarts >= p->backoff_limit);
}

static bool complete(const struct mbr_jobplan *p)
{
    if (p->completions < 0)
        return p->succeeded > 0 && p->active == 0;
    return p->succeeded >= p->completions;
}

static void wait_at_most(struct mbr_jobplan *p, int64_t ms)
{
    if (p->wait_ms < 0 || ms < p->wait_ms)
        p->wait_ms = ms;
}

static int64_t pause_left(const struct mbr_jobplan *p)
{
    int64_t pause = PAUSE_MS;
    if (p->failures_in_a_row < 1)
        return 0;
    for (int64_t i = 1; i < p->failures_in_a_row && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    return p->last_failure_ms + FED_MIN(pause, (int64_t)PAUSE_MAX_MS) - p->now_ms;
}

void mbr_jobplan_make(struct mbr_jobplan *p)
{
    p->ended = NULL;
    p->create = p->remove = 0;
    p->wait_ms = -1;
    if (too_many_failures(p))
        return mbr_jobplan_end(p, "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit");
    if (p->deadline_s >= 0 && p->start_ms && !p->suspended) {
        int64_t left = p->start_ms + p->deadline_s * 1000 - p->now_ms;
        if (left <= 0)
            return mbr_jobplan_end(p, "Failed", "DeadlineExceeded", "Job was active longer than specified deadline");
        wait_at_most(p, left);
    }
    if (complete(p))
        return mbr_jobplan_end(p, "Complete", "CompletionsReached", "Reached expected number of succeeded pods");
    if (p->suspended) {
        p->remove = p->active;
        return;
    }
    int64_t want = p->parallelism;
    if (p->completions < 0)
        want = p->succeeded > 0 ? FED_MIN(p->active, want) : want;
    else
        want = FED_MIN(want, p->completions - p->succeeded);
    if (p->active > want) {
        p->remove = p->active - want;
    } else if (p->active < want) {
        int64_t left = pause_left(p);
        if (left > 0)
            wait_at_most(p, left);
        else
            p->create = want - p->active;
    }
}

int64_t mbr_jobplan_next_index(const struct mbr_jobplan *p, int64_t from)
{
    for (int64_t i = from; i < p->completions; i++)
        if (!p->completed[i] && !p->running[i])
            return i;
    return -1;
}

void mbr_indexes_parse(struct fed_str text, bool *flags, int64_t n)
{
    struct fed_str rest = text, piece, low;
    while (rest.n && fed_str_cut(&rest, ',', &piece)) {
        uint64_t from, to;
        (void)fed_str_cut(&piece, '-', &low);
        if (fed_str_u64(low, &from) < 0)
            continue;
        to = from;
        if (piece.p && fed_str_u64(piece, &to) < 0)
            continue;
        for (uint64_t i = from; i <= to && i < (uint64_t)n; i++)
            flags[i] = true;
    }
}

void mbr_indexes_format(const bool *flags, int64_t n, struct fed_buf *out)
{
    for (int64_t i = 0; i < n; i++) {
        if (!flags[i])
            continue;
        int64_t last = i;
        while (last + 1 < n && flags[last + 1])
            last++;
        fed_buf_addf(out, "%s%lld", out->n ? "," : "", (long long)i);
        if (last > i)
            fed_buf_addf(out, "%c%lld", last > i + 1 ? '-' : ',', (long long)last);
        i = last;
    }
}
