/* SPDX-License-Identifier: Apache-2.0 */
/* Marks. Transactions that were answered and consistent reads wait until the watch has come to a revision. Where that one
 * is of another's key, no event of ours has it; then a mark is written, whose event tells that all before it was
 * delivered. (etcd 3.4.23 answers a progress request before what is still queued for the watch: it proves that the
 * connection lives, and nothing else.) */
#include "store/etcd_priv.h"

#define NUDGE_MS 100

/* Since when something waits for an event; UINT64_MAX: nothing does. */
static uint64_t waits_since(const struct etcd *e)
{
    uint64_t since = UINT64_MAX;
    FED_LIST_EACH(it, &e->answered)
        since = FED_MIN(since, FED_LIST_ENTRY(it, struct etcd_txn, link)->since_ms);
    if (!fed_list_empty(&e->syncs_waiting))
        since = FED_MIN(since, FED_LIST_ENTRY(e->syncs_waiting.next, struct etcd_reader, link)->since_ms);
    return since;
}

static void mark_answered(void *ud, int status FED_UNUSED, struct fed_str body FED_UNUSED)
{
    struct etcd *e = ud;
    e->marking = false;
    if (!e->closing && waits_since(e) < UINT64_MAX)
        etcd_nudge_later(e);
}

static void nudge(struct fed_timer *t)
{
    struct etcd *e = fed_container_of(t, struct etcd, nudge);
    struct fed_buf b = {0};
    if (!e->up || e->phase != ETCD_LIVE || e->marking)
        return;
    uint64_t since = waits_since(e);
    if (since == UINT64_MAX)
        return;
    if (since + NUDGE_MS > fed_mono_ms(e->env)) {
        etcd_nudge_later(e);
        return;
    }
    e->marking = true;
    etcd_put_swap(&b, fed_str(e->mark_key), FED_STR("read"), STORE_ANY);
    etcd_request(e, "/etcdserverpb.KV/Txn", fed_buf_str(&b), mark_answered, e);
    fed_buf_release(&b);
}

void etcd_nudge_later(struct etcd *e)
{
    if (!fed_timer_active(&e->nudge))
        fed_timer_start(e->env, &e->nudge, NUDGE_MS, nudge);
}
