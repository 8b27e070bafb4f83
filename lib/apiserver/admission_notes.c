/* SPDX-License-Identifier: Apache-2.0 */
/* What the audit log says of mutating webhooks and of those that failed open, under Kubernetes' keys: the round, and the
 * place among all webhooks. */
#include "apiserver/admission.h"
#include "apiserver/audit.h"

static struct fed_str key_of(const struct fed_admission *ad, const char *prefix, size_t index)
{
    return fed_arena_printf(&ad->r->arena, "%s.webhook.admission.k8s.io/round_%d_index_%zu", prefix, ad->second, index);
}

static struct fed_json *who(const struct fed_admission *ad, const struct fed_hook *h)
{
    struct fed_arena *a = &ad->r->arena;
    struct fed_json *o = fed_json_object(a);
    fed_json_set(o, "configuration", fed_json_new_str(a, h->configuration));
    fed_json_set(o, "webhook", fed_json_new_str(a, h->name));
    return o;
}

static void note(const struct fed_admission *ad, struct fed_str key, const struct fed_json *value,
                 enum fed_audit_level least)
{
    struct fed_buf b = {0};
    fed_json_write(&b, value);
    fed_audit_note_from(ad->r, least, key, fed_buf_str(&b));
    fed_buf_release(&b);
}

void fed_admission_note_open(const struct fed_admission *ad, const struct fed_hook *h, size_t index)
{
    if (ad->r->audit)
        fed_audit_note(ad->r, key_of(ad, ad->mutating ? "failed-open.mutation" : "failed-open.validating", index),
                       h->name);
}

void fed_admission_note_mutation(const struct fed_admission *ad, const struct fed_hook *h, size_t index, bool mutated)
{
    if (!ad->r->audit)
        return;
    struct fed_json *o = who(ad, h);
    fed_json_set(o, "mutated", fed_json_new_bool(&ad->r->arena, mutated));
    note(ad, key_of(ad, "mutation", index), o, FED_AUDIT_METADATA);
}

/* It shows what is in the object, as the object itself does. */
void fed_admission_note_patch(const struct fed_admission *ad, const struct fed_hook *h, size_t index,
                              const struct fed_json *patch)
{
    static const char *const members[] = {"from", "op", "path", "value"};
    struct fed_arena *a = &ad->r->arena;
    if (!ad->r->audit || !patch->n)
        return;
    struct fed_json *o = who(ad, h), *list = fed_json_set(o, "patch", fed_json_array(a));
    FED_JSON_EACH(step, patch) {
        struct fed_json *to = fed_json_push(list, fed_json_object(a));
        for (size_t i = 0; i < FED_ARRAY_LEN(members); i++) {
            const struct fed_json *f = fed_json_find(step, members[i]);
            if (f)
                fed_json_set(to, members[i], fed_json_copy(a, f));
        }
    }
    fed_json_set(o, "patchType", fed_json_new_strz(a, "JSONPatch"));
    note(ad, key_of(ad, "patch", index), o, FED_AUDIT_REQUEST);
}
