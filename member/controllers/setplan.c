/* SPDX-License-Identifier: Apache-2.0 */
#include "member/controllers/setplan.h"

#include "base/str.h"

/* Makes what is missing. False: wait before anything else. */
static bool fill(struct mbr_setplan *p)
{
    bool changed = false;
    for (size_t i = 0; i < p->n; i++) {
        struct mbr_set_pod *pod = &p->pods[i];
        if (!pod->exists)
            pod->action = MBR_SET_CREATE;
        else if (pod->ended && !pod->deleting)
            pod->action = MBR_SET_DELETE;
        changed = changed || pod->action != MBR_SET_KEEP;
        if (!p->parallel && (pod->action != MBR_SET_KEEP || pod->deleting || !pod->available))
            return false;
    }
    return !changed || p->parallel;
}

/* Gives up the surplus, the last first. False: wait. */
static bool shrink(struct mbr_setplan *p)
{
    for (size_t i = 0; i < p->n_extra; i++) {
        struct mbr_set_pod *pod = &p->extra[i];
        if (!pod->deleting)
            pod->action = MBR_SET_DELETE;
        if (!p->parallel)
            return false;
    }
    return true;
}

static void update(struct mbr_setplan *p)
{
    for (size_t i = p->n; i-- > 0;) {
        struct mbr_set_pod *pod = &p->pods[i];
        if (pod->ordinal < p->partition)
            return;
        if (pod->exists && !pod->updated && !pod->deleting && pod->action == MBR_SET_KEEP) {
            pod->action = MBR_SET_DELETE;
            return;
        }
        if (!pod->exists || pod->deleting || !pod->available)
            return; /* one at a time */
    }
}

/* A pod that is sick because of an update that is taken back, or followed by another, would hold up the one that heals it.
 * One that has what all had last is waited for: it may be sick for its own reasons. */
static bool replace_sick(struct mbr_setplan *p)
{
    for (size_t i = p->n; i-- > 0;) {
        struct mbr_set_pod *pod = &p->pods[i];
        if (pod->exists && !pod->deleting && !pod->ready && !pod->updated && !pod->settled &&
            pod->ordinal >= p->partition) {
            pod->action = MBR_SET_DELETE;
            return true;
        }
    }
    return false;
}

void mbr_setplan_make(struct mbr_setplan *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->pods[i].action = MBR_SET_KEEP;
    for (size_t i = 0; i < p->n_extra; i++)
        p->extra[i].action = MBR_SET_KEEP;
    if (!fill(p)) {
        bool busy = false;
        for (size_t i = 0; i < p->n; i++)
            busy = busy || p->pods[i].action != MBR_SET_KEEP || p->pods[i].deleting;
        if (!busy && !p->on_delete)
            (void)replace_sick(p);
        return;
    }
    if (shrink(p) && !p->on_delete)
        update(p);
}

int64_t mbr_set_ordinal(const char *set, size_t n_set, const char *pod, size_t n_pod)
{
    uint64_t v;
    if (n_pod < n_set + 2 || memcmp(set, pod, n_set) != 0 || pod[n_set] != '-')
        return -1;
    struct fed_str digits = fed_str_n(pod + n_set + 1, n_pod - n_set - 1);
    if (fed_str_u64(digits, &v) < 0 || v > INT32_MAX || (digits.n > 1 && digits.p[0] == '0'))
        return -1;
    return (int64_t)v;
}
