/* SPDX-License-Identifier: Apache-2.0 */
/* Who somebody is, as data: groups, and the form in which reviews, webhooks and the audit log name a user. */
#include "apiserver/apiserver_priv.h"

bool fed_identity_in_group(const struct fed_identity *who, const char *group)
{
    for (size_t i = 0; i < who->n_groups; i++)
        if (fed_str_is(who->groups[i], group))
            return true;
    return false;
}

struct fed_json *fed_identity_json(struct fed_arena *a, const struct fed_identity *who)
{
    struct fed_json *info = fed_json_object(a);
    fed_json_set(info, "username", fed_json_new_str(a, who->user));
    if (who->uid.n)
        fed_json_set(info, "uid", fed_json_new_str(a, who->uid));
    struct fed_json *groups = fed_json_set(info, "groups", fed_json_array(a));
    for (size_t i = 0; i < who->n_groups; i++)
        fed_json_push(groups, fed_json_new_str(a, who->groups[i]));
    if (!who->n_extra)
        return info;
    struct fed_json *extra = fed_json_set(info, "extra", fed_json_object(a));
    for (size_t i = 0; i < who->n_extra; i++) {
        struct fed_json *values = fed_json_set_str(extra, who->extra[i].key, fed_json_array(a));
        for (size_t j = 0; j < who->extra[i].n_values; j++)
            fed_json_push(values, fed_json_new_str(a, who->extra[i].values[j]));
    }
    return info;
}
