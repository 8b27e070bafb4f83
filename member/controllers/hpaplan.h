/* SPDX-License-Identifier: Apache-2.0 */
/* hpaplan.h: how many replicas a HorizontalPodAutoscaler wants. Pure.
 *
 * Model:      each metric proposes a size (mbr_hpa_propose), the largest counts; then the size is held within what was
 *             proposed during the stabilization windows, within the scaling policies, and within min and max
 *             (mbr_hpa_limit). The memory of one autoscaler is a struct mbr_hpa_memory; it may be lost (a restart), then it is
 *             cautious again for one window.
 * Rules:      as the HPA controller of Kubernetes: nothing within 10 % of the target; pods without figures count as
 *             using their whole target when the size would fall and nothing when it would grow; pods that are not
 *             ready count as using nothing when it would grow.
 */
#ifndef MEMBER_CONTROLLERS_HPAPLAN_H
#define MEMBER_CONTROLLERS_HPAPLAN_H

#include "codec/json.h"

enum mbr_hpa_state { MBR_HPA_MEASURED, MBR_HPA_UNREADY, MBR_HPA_MISSING };
struct mbr_hpa_pod {
    enum mbr_hpa_state state;
    int64_t usage, request; /* the same unit */
};
struct mbr_hpa_metric {
    const struct mbr_hpa_pod *pods;
    size_t n;
    int64_t current; /* replicas of the target */
    int64_t percent; /* target utilization of the requests; 0: `value` */
    int64_t value;   /* target average */
    /* the answer */
    int64_t replicas, now_percent, now_value;
};
/* False when nothing can be said (no pod was measured, requests are missing). */
bool mbr_hpa_propose(struct mbr_hpa_metric *m);

enum { MBR_HPA_NOTES = 256, MBR_HPA_POLICIES = 8 };
struct mbr_hpa_notes { /* a ring */
    struct {
        int64_t at_ms, n;
    } v[MBR_HPA_NOTES];
    size_t next, n;
};
void mbr_hpa_note(struct mbr_hpa_notes *r, int64_t at_ms, int64_t n);
struct mbr_hpa_memory {
    struct mbr_hpa_notes proposals, ups, downs; /* sizes proposed; pods added, pods taken */
};

struct mbr_hpa_rules { /* one direction */
    int64_t window_ms;
    bool disabled, smallest; /* selectPolicy */
    struct {
        bool percent;
        int64_t value, period_ms;
    } policies[MBR_HPA_POLICIES];
    size_t n;
};
/* From spec.behavior.scaleUp or .scaleDown (may be NULL): what is not said is the default of Kubernetes. */
void mbr_hpa_rules_read(struct mbr_hpa_rules *r, const struct fed_json *behavior, bool up);

struct mbr_hpa_limits {
    int64_t current, proposed, min, max, now_ms;
    struct mbr_hpa_rules up, down;
    /* the answer */
    int64_t replicas;
    const char *stabilized;            /* a reason for AbleToScale, or NULL */
    const char *limit, *limit_message; /* ScalingLimited */
    bool limited;
};
void mbr_hpa_limit(struct mbr_hpa_limits *l, struct mbr_hpa_memory *memory);

#endif
