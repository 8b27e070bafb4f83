/* SPDX-License-Identifier: Apache-2.0 */
#include "fedctl/keep.h"

#include "fedctl/plan.h"
#include "kube/obj.h"

#define MAX_SHOWN 160 /* bytes of a value */

struct fed_json *fctl_container(const struct fed_json *workload)
{
    return fed_json_item(fed_json_at(workload, "spec", "template", "spec", "containers", NULL), 0);
}

/* --- overrides --- */

static bool is_flag(struct fed_str word)
{
    return fed_str_starts(word, FED_STR("--"));
}

static bool has_word(const struct fed_json *args, struct fed_str word)
{
    FED_JSON_EACH(arg, args)
        if (fed_str_eq(fed_json_str(arg), word))
            return true;
    return false;
}

static void add_pair(struct fed_arena *a, struct fed_strings *list, struct fed_str flag, struct fed_str value)
{
    const char *pair[] = {fed_arena_dupz(a, flag), fed_arena_dupz(a, value)};
    const struct fed_strings two = {pair, 2};
    fctl_concat(a, list, &two);
}

static void deployed_overrides(struct fed_arena *a, const struct fed_json *have, const struct fed_json *plan,
                               struct fed_strings *out)
{
    struct fed_str note = fed_obj_annotation(have, FCTL_ANN_OVERRIDES);
    struct fed_json *list = NULL, *given = fed_json_find(fctl_container(plan), "args");
    if (note.n && fed_json_parse(a, note, NULL, &list, NULL) == 0 && list->type == FED_JSON_ARRAY) {
        for (struct fed_json *it = list->first; it && it->next; it = it->next->next)
            add_pair(a, out, fed_json_str(it), fed_json_str(it->next));
        return;
    }
    FED_JSON_EACH(arg, fed_json_find(fctl_container(have), "args")) {
        struct fed_str flag = fed_json_str(arg);
        if (is_flag(flag) && arg->next && !is_flag(fed_json_str(arg->next)) && !has_word(given, flag))
            add_pair(a, out, flag, fed_json_str(arg->next));
    }
}

static void put_over(struct fed_arena *a, struct fed_strings *list, const char *flag, const char *value)
{
    struct fed_strings next = {0};
    for (size_t i = 0; i + 1 < list->n; i += 2)
        if (strcmp(list->v[i], flag) != 0)
            add_pair(a, &next, fed_str(list->v[i]), fed_str(list->v[i + 1]));
    if (value[0])
        add_pair(a, &next, fed_str(flag), fed_str(value));
    *list = next;
}

void fctl_keep_overrides(struct fed_arena *a, const struct fed_json *have, const struct fed_json *plan,
                         const struct fed_strings *said, struct fed_strings *out)
{
    *out = (struct fed_strings){0};
    deployed_overrides(a, have, plan, out);
    for (size_t i = 0; i + 1 < said->n; i += 2) {
        bool same = false; /* said as it is: its place stays */
        for (size_t k = 0; k + 1 < out->n; k += 2)
            same |= strcmp(out->v[k], said->v[i]) == 0 && strcmp(out->v[k + 1], said->v[i + 1]) == 0;
        if (!same)
            put_over(a, out, said->v[i], said->v[i + 1]);
    }
}

void fctl_put_overrides(struct fed_arena *a, struct fed_json *plan, const struct fed_strings *overrides)
{
    struct fed_json *note = fed_json_array(a);
    for (size_t i = 0; i < overrides->n; i++)
        fed_json_push(note, fed_json_new_strz(a, overrides->v[i]));
    fctl_merge_args(a, fed_json_find(fctl_container(plan), "args"), overrides);
    fed_obj_set_annotation(a, plan, FCTL_ANN_OVERRIDES, fed_json_text(a, note));
}

/* --- members --- */

void fctl_fill(struct fed_arena *a, struct fed_json *plan, const struct fed_json *have)
{
    FED_JSON_EACH(m, have)
        if (!fed_json_find_str(plan, m->key))
            fed_json_set_str(plan, fed_arena_dup(a, m->key), fed_json_copy(a, m));
}

void fctl_replace_members(struct fed_arena *a, struct fed_json *want, const struct fed_json *have)
{
    FED_JSON_EACH(m, have)
        if (!fed_json_find_str(want, m->key))
            fed_json_set_str(want, fed_arena_dup(a, m->key), fed_json_null(a));
}

/* --- telling --- */

struct teller {
    struct fed_buf *out;
    bool hide;
};

static void add_shown(struct fed_buf *out, const struct fed_json *v)
{
    struct fed_buf text = {0};
    if (v && v->type == FED_JSON_STRING)
        fed_buf_add(&text, v->s);
    else if (v && v->type != FED_JSON_NULL)
        fed_json_write(&text, v);
    else
        fed_buf_addz(&text, "(none)");
    if (text.n > MAX_SHOWN) {
        fed_buf_add(out, fed_str_head(fed_buf_str(&text), MAX_SHOWN));
        fed_buf_addz(out, "...");
    } else {
        fed_buf_add(out, fed_buf_str(&text));
    }
    fed_buf_release(&text);
}

static bool all_texts(const struct fed_json *list)
{
    FED_JSON_EACH(it, list)
        if (it->type != FED_JSON_STRING)
            return false;
    return true;
}

/* "--flag value" is one thing; so is a word that is no flag's value. */
static struct fed_str value_behind(const struct fed_json *it)
{
    bool takes = it->next && is_flag(fed_json_str(it)) && !is_flag(fed_json_str(it->next));
    return takes ? fed_json_str(it->next) : (struct fed_str){NULL, 0};
}

static bool has_thing(const struct fed_json *list, const struct fed_json *thing)
{
    struct fed_str value = value_behind(thing), other;
    for (const struct fed_json *it = list->first; it; it = other.p ? it->next->next : it->next) {
        other = value_behind(it);
        if (fed_str_eq(it->s, thing->s) && !value.p == !other.p && (!value.p || fed_str_eq(value, other)))
            return true;
    }
    return false;
}

static void add_things(struct teller *t, const char *path, char sign, const struct fed_json *list,
                       const struct fed_json *others)
{
    struct fed_str value;
    for (const struct fed_json *it = list->first; it; it = value.p ? it->next->next : it->next) {
        value = value_behind(it);
        if (has_thing(others, it))
            continue;
        fed_buf_addf(t->out, "  %s: %c %.*s%s%.*s\n", path, sign, FED_STR_ARG(it->s), value.p ? " " : "",
                     FED_STR_ARG(value.p ? value : FED_STR("")));
    }
}

static void tell_difference(struct teller *t, struct fed_buf *path, const struct fed_json *have,
                            const struct fed_json *want);

static void tell_member(struct teller *t, struct fed_buf *path, struct fed_str key, bool item,
                        const struct fed_json *have, const struct fed_json *want)
{
    size_t before = path->n;
    bool odd = item || fed_str_chr(key, '.', 0) >= 0;
    fed_buf_addf(path, "%s%.*s%s", odd ? "[" : before ? "." : "", FED_STR_ARG(key), odd ? "]" : "");
    tell_difference(t, path, have, want);
    path->n = before;
}

static void tell_items(struct teller *t, struct fed_buf *path, const struct fed_json *have, const struct fed_json *want)
{
    const struct fed_json *h = have->first;
    char number[16];
    int n = 0;
    for (const struct fed_json *w = want->first; w; w = w->next, h = h->next) {
        struct fed_str name = fed_json_find_text(w, "name");
        snprintf(number, sizeof(number), "%d", n++);
        tell_member(t, path, name.n ? name : fed_str(number), true, h, w);
    }
}

static void tell_difference(struct teller *t, struct fed_buf *path, const struct fed_json *have,
                            const struct fed_json *want)
{
    if (fctl_covers(have, want))
        return;
    bool lists = have && have->type == FED_JSON_ARRAY && want->type == FED_JSON_ARRAY;
    if (want->type == FED_JSON_OBJECT && (!have || have->type == FED_JSON_OBJECT)) {
        FED_JSON_EACH(m, want)
            tell_member(t, path, m->key, false, fed_json_find_str(have, m->key), m);
    } else if (t->hide) {
        fed_buf_addf(t->out, "  %s: changed\n", fed_buf_z(path));
    } else if (lists && all_texts(have) && all_texts(want)) {
        size_t before = t->out->n;
        add_things(t, fed_buf_z(path), '-', have, want);
        add_things(t, fed_buf_z(path), '+', want, have);
        if (t->out->n == before)
            fed_buf_addf(t->out, "  %s: another order\n", fed_buf_z(path));
    } else if (lists && have->n == want->n) {
        tell_items(t, path, have, want);
    } else {
        fed_buf_addf(t->out, "  %s: ", fed_buf_z(path));
        add_shown(t->out, have);
        fed_buf_addz(t->out, " -> ");
        add_shown(t->out, want);
        fed_buf_addc(t->out, '\n');
    }
}

void fctl_changes(const struct fed_json *have, const struct fed_json *want, bool hide, struct fed_buf *out)
{
    struct fed_buf path = {0};
    struct teller t = {out, hide};
    tell_difference(&t, &path, have, want);
    fed_buf_release(&path);
}
