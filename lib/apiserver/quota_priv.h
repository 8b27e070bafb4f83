/* SPDX-License-Identifier: Apache-2.0 */
/* quota_priv.h: what quota.c (counting, deciding) and quota_status.c (following, telling), which stands on it, share. */
#ifndef FED_APISERVER_QUOTA_PRIV_H
#define FED_APISERVER_QUOTA_PRIV_H

#include "apiserver/quota.h"
#include "kube/quota.h"

struct fed_quota { /* one ResourceQuota */
    struct fed_str name;
    const struct fed_json *spec, *hard;
    int64_t *limit, *used; /* by the place in hard */
};
struct fed_quota_space {    /* a namespace with quotas */
    struct fed_arena arena; /* of the quotas; made anew when one of them changes */
    struct fed_str ns;
    struct fed_quota *quotas;
    size_t n;
    bool counted, dirty;
    size_t writing; /* status updates under way */
    struct fed_list reservations;
};
struct fed_quota_reservation {
    struct fed_list link;
    struct fed_kcache *kc;
    struct fed_str name;
    const struct fed_json *obj;
    struct fed_amounts delta;
    struct fed_quota_kind kind;
};
struct fed_quota_state {
    struct fed_api *api;
    struct fed_kcache *kc;  /* of resourcequotas */
    struct fed_map spaces;  /* ns -> struct fed_quota_space */
    struct fed_timer timer; /* statuses to write */
};

/* --- quota.c --- */
struct fed_quota_space *fed_quota_space_get(struct fed_quota_state *st,
                                            struct fed_str ns); /* made when there is none */
void fed_quota_space_free(struct fed_quota_space *s);
void fed_quota_count(struct fed_quota_state *st, struct fed_quota_space *s); /* from the cache, unless it was counted */
/* Adds (sign 1) or takes away (-1) what an object of the namespace costs. True when a quota noticed. */
bool fed_quota_charge(struct fed_quota_space *s, const struct fed_kind *kind, struct fed_kobj *o, int sign);

#endif
