/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs and CronJobs: what they do now, by cases. */
#include "member/controllers/cronplan.h"
#include "member/controllers/jobplan.h"
#include "tests/unit/unit.h"

struct job_case {
    const char *name;
    struct mbr_jobplan in;
    const char *ended; /* reason; NULL: goes on */
    int64_t create, remove, wait_ms;
};
static const struct job_case jobs[] = {
    {"begins", {.parallelism = 1, .completions = 1, .backoff_limit = 6, .deadline_s = -1}, NULL, 1, 0, -1},
    {"no more than are missing",
     {.parallelism = 5, .completions = 6, .succeeded = 4, .active = 1, .backoff_limit = 6, .deadline_s = -1},
     NULL,
     1,
     0,
     -1},
    {"no more than parallelism",
     {.parallelism = 2, .completions = 9, .active = 1, .backoff_limit = 6, .deadline_s = -1},
     NULL,
     1,
     0,
     -1},
    {"parallelism was lowered",
     {.parallelism = 1, .completions = 9, .active = 3, .backoff_limit = 6, .deadline_s = -1},
     NULL,
     0,
     2,
     -1},
    {"complete",
     {.parallelism = 1, .completions = 2, .succeeded = 2, .backoff_limit = 6, .deadline_s = -1},
     "CompletionsReached",
     0,
     0,
     -1},
    {"nothing asked for",
     {.parallelism = 1, .completions = 0, .backoff_limit = 6, .deadline_s = -1},
     "CompletionsReached",
     0,
     0,
     -1},
    {"without a count: all at once",
     {.parallelism = 3, .completions = -1, .backoff_limit = 6, .deadline_s = -1},
     NULL,
     3,
     0,
     -1},
    {"without a count: one succeeded, others end by themselves",
     {.parallelism = 3, .completions = -1, .succeeded = 1, .active = 2, .backoff_limit = 6, .deadline_s = -1},
     NULL,
     0,
     0,
     -1},
    {"without a count: complete",
     {.parallelism = 3, .completions = -1, .succeeded = 1, .backoff_limit = 6, .deadline_s = -1},
     "CompletionsReached",
     0,
     0,
     -1},
    {"a pause after a failure",
     {.parallelism = 1,
      .completions = 1,
      .failed = 1,
      .backoff_limit = 6,
      .deadline_s = -1,
      .failures_in_a_row = 1,
      .last_failure_ms = 100000,
      .now_ms = 103000},
     NULL,
     0,
     0,
     7000},
    {"doubled with the next",
     {.parallelism = 1,
      .completions = 1,
      .failed = 2,
      .backoff_limit = 6,
      .deadline_s = -1,
      .failures_in_a_row = 2,
      .last_failure_ms = 100000,
      .now_ms = 103000},
     NULL,
     0,
     0,
     17000},
    {"never longer than six minutes",
     {.parallelism = 1,
      .completions = 1,
      .failed = 40,
      .backoff_limit = 60,
      .deadline_s = -1,
      .failures_in_a_row = 40,
      .last_failure_ms = 100000,
      .now_ms = 100000},
     NULL,
     0,
     0,
     360000},
    {"the pause is over",
     {.parallelism = 1,
      .completions = 1,
      .failed = 1,
      .backoff_limit = 6,
      .deadline_s = -1,
      .failures_in_a_row = 1,
      .last_failure_ms = 100000,
      .now_ms = 110000},
     NULL,
     1,
     0,
     -1},
    {"too many failures",
     {.parallelism = 2, .completions = 5, .failed = 3, .active = 1, .backoff_limit = 2, .deadline_s = -1},
     "BackoffLimitExceeded",
     0,
     1,
     -1},
    {"restarted in place too often",
     {.parallelism = 1,
      .completions = 1,
      .active = 1,
      .backoff_limit = 2,
      .deadline_s = -1,
      .on_failure = true,
      .restarts = 2},
     "BackoffLimitExceeded",
     0,
     1,
     -1},
    {"no deadline yet",
     {.parallelism = 1,
      .completions = 1,
      .active = 1,
      .backoff_limit = 6,
      .deadline_s = 10,
      .start_ms = 1000,
      .now_ms = 4000},
     NULL,
     0,
     0,
     7000},
    {"past the deadline",
     {.parallelism = 1,
      .completions = 1,
      .active = 1,
      .backoff_limit = 6,
      .deadline_s = 3,
      .start_ms = 1000,
      .now_ms = 4000},
     "DeadlineExceeded",
     0,
     1,
     -1},
    {"suspended",
     {.parallelism = 3, .completions = 3, .active = 3, .backoff_limit = 6, .deadline_s = -1, .suspended = true},
     NULL,
     0,
     3,
     -1},
};

static void test_jobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(jobs); i++) {
        struct mbr_jobplan p = jobs[i].in;
        mbr_jobplan_make(&p);
        CHECK_TEXT(jobs[i].name, fed_str(p.ended ? p.reason : ""), jobs[i].ended ? jobs[i].ended : "");
        CHECK(jobs[i].name, p.create == jobs[i].create);
        CHECK(jobs[i].name, p.remove == jobs[i].remove);
        CHECK(jobs[i].name, p.wait_ms == jobs[i].wait_ms);
    }
}

static void test_indexes(void **state)
{
    static const struct {
        const char *in, *out;
    } texts[] = {{"", ""},       {"0", "0"},         {"0-2,5", "0-2,5"},     {"1,2", "1,2"},
                 {"7,9", "7"},   {"3-99", "3-7"},    {"x,2", "2"},           {"4-1", ""},
                 {"0-7", "0-7"}, {"0,2,4", "0,2,4"}, {"5-6,1-2", "1,2,5,6"}, {"0-1,2-3", "0-3"}};
    (void)state;
    for (size_t i = 0; i < FED_ARRAY_LEN(texts); i++) {
        bool flags[8] = {0};
        struct fed_buf b = {0};
        mbr_indexes_parse(fed_str(texts[i].in), flags, 8);
        mbr_indexes_format(flags, 8, &b);
        CHECK_TEXT(texts[i].in, fed_buf_str(&b), texts[i].out);
        fed_buf_release(&b);
    }
    bool completed[4] = {true, false, true, false}, running[4] = {false, true, false, false};
    struct mbr_jobplan p = {.completions = 4, .completed = completed, .running = running};
    assert_int_equal(mbr_jobplan_next_index(&p, 0), 3);
    assert_int_equal(mbr_jobplan_next_index(&p, 4), -1);
}

struct cron_case {
    const char *name;
    struct mbr_cronplan in; /* each five minutes; the times are minutes */
    int64_t start, next;
    bool replace, held, too_late, many;
};
static const struct cron_case crons[] = {
    {"not yet", {.now = 3, .since = 0, .deadline = -1}, -1, 5, .replace = false},
    {"due", {.now = 5, .since = 0, .deadline = -1}, 5, 10, .replace = false},
    {"late", {.now = 7, .since = 0, .deadline = -1}, 5, 10, .replace = false},
    {"only the last of several", {.now = 21, .since = 0, .deadline = -1}, 20, 25, .replace = false},
    {"done already", {.now = 7, .since = 5, .deadline = -1}, -1, 10, .replace = false},
    {"suspended", {.now = 7, .since = 0, .deadline = -1, .suspended = true}, -1, -1, .replace = false},
    {"past the deadline", {.now = 7, .since = 0, .deadline = 60}, -1, 10, .too_late = true},
    {"before the deadline", {.now = 7, .since = 0, .deadline = 120}, 5, 10, .replace = false},
    {"one runs: allowed", {.now = 7, .since = 0, .deadline = -1, .active = 1}, 5, 10, .replace = false},
    {"one runs: forbidden",
     {.now = 7, .since = 0, .deadline = -1, .active = 1, .policy = MBR_CRON_FORBID},
     -1,
     10,
     .held = true},
    {"one runs: replaced",
     {.now = 7, .since = 0, .deadline = -1, .active = 1, .policy = MBR_CRON_REPLACE},
     5,
     10,
     .replace = true},
    {"a year without us", {.now = 525607, .since = 0, .deadline = -1}, 525605, 525610, .many = true},
};

static void test_crons(void **state)
{
    struct fed_cron cron;
    struct fed_zone utc = {0};
    (void)state;
    assert_int_equal(fed_cron_parse(FED_STR("*/5 * * * *"), &cron, NULL), 0);
    for (size_t i = 0; i < FED_ARRAY_LEN(crons); i++) {
        const struct cron_case *c = &crons[i];
        struct mbr_cronplan p = c->in;
        p.cron = &cron;
        p.zone = &utc;
        p.now *= 60;
        p.since *= 60;
        mbr_cronplan_make(&p);
        CHECK(c->name, p.start == (c->start < 0 ? -1 : c->start * 60));
        CHECK(c->name, p.next == (c->next < 0 ? -1 : c->next * 60));
        CHECK(c->name, p.replace == c->replace && p.held == c->held && p.too_late == c->too_late);
        CHECK(c->name, p.many_missed == c->many);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jobs), cmocka_unit_test(test_indexes),
                                       cmocka_unit_test(test_crons)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
