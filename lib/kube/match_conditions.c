/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/match_conditions.h"

#include "kube/check.h"
#include "kube/names.h"

enum { OBJECT, OLD, REQUEST, N_VARS };

/* --- the types that expressions see --- */

static const struct fed_cel_type text = {.kind = FED_CEL_STRING}, yes_no = {.kind = FED_CEL_BOOL},
                                 any = {.kind = FED_CEL_DYN}, texts = {.kind = FED_CEL_LIST, .elem = &text},
                                 extra = {.kind = FED_CEL_MAP, .key = &text, .elem = &texts};
#define FIELD(name, type)                                                                                              \
    {                                                                                                                  \
        {name, sizeof(name) - 1}, {name, sizeof(name) - 1}, type                                                       \
    }
static const struct fed_cel_field kind_fields[] = {FIELD("group", &text), FIELD("kind", &text),
                                                   FIELD("version", &text)};
static const struct fed_cel_type kind_type = {.kind = FED_CEL_OBJECT, .fields = kind_fields, .n_fields = 3};
static const struct fed_cel_field resource_fields[] = {FIELD("group", &text), FIELD("resource", &text),
                                                       FIELD("version", &text)};
static const struct fed_cel_type resource_type = {.kind = FED_CEL_OBJECT, .fields = resource_fields, .n_fields = 3};
static const struct fed_cel_field user_fields[] = {FIELD("extra", &extra), FIELD("groups", &texts), FIELD("uid", &text),
                                                   FIELD("username", &text)};
static const struct fed_cel_type user_type = {.kind = FED_CEL_OBJECT, .fields = user_fields, .n_fields = 4};
static const struct fed_cel_field request_fields[] = {FIELD("dryRun", &yes_no),
                                                      FIELD("kind", &kind_type),
                                                      FIELD("name", &text),
                                                      FIELD("namespace", &text),
                                                      FIELD("operation", &text),
                                                      FIELD("options", &any),
                                                      FIELD("requestKind", &kind_type),
                                                      FIELD("requestResource", &resource_type),
                                                      FIELD("requestSubResource", &text),
                                                      FIELD("resource", &resource_type),
                                                      FIELD("subResource", &text),
                                                      FIELD("userInfo", &user_type)};
static const struct fed_cel_type request_type = {
    .kind = FED_CEL_OBJECT, .fields = request_fields, .n_fields = FED_ARRAY_LEN(request_fields)};
static const struct fed_cel_var vars[N_VARS] = {
    [OBJECT] = {{"object", 6}, &any}, [OLD] = {{"oldObject", 9}, &any}, [REQUEST] = {{"request", 7}, &request_type}};

static int compile_one(struct fed_arena *a, struct fed_str expression, struct fed_cel_program **out,
                       struct fed_str *why)
{
    int rc = fed_cel_compile(a, vars, N_VARS, expression, out, why);
    if (rc == 0 && fed_cel_result_type(*out)->kind != FED_CEL_BOOL) {
        *why = FED_STR("must evaluate to bool");
        rc = FED_E_INVALID;
    }
    return rc;
}

void fed_match_conditions_compile(struct fed_arena *a, const struct fed_json *list, struct fed_match_conditions *out)
{
    *out = (struct fed_match_conditions){0};
    if (!list || !list->n)
        return;
    out->items = FED_ARENA_ARRAY(a, struct fed_match_condition, list->n);
    FED_JSON_EACH(it, list) {
        struct fed_match_condition *c = &out->items[out->n++];
        *c = (struct fed_match_condition){.text = fed_json_find_text(it, "expression")};
        if (compile_one(a, fed_str_trim(c->text), &c->program, &c->why))
            c->program = NULL;
    }
}

/* --- a request --- */

static void bind(struct fed_cel_run *run, const struct fed_json *v, const struct fed_cel_type *type,
                 struct fed_cel_value *out)
{
    static const struct fed_json null = {.type = FED_JSON_NULL};
    fed_cel_from_json(run, v ? v : &null, type, out);
}

/* What the errors say, as Kubernetes joins them. */
static struct fed_str join(struct fed_arena *a, const struct fed_buf *b, size_t n)
{
    struct fed_str s = fed_buf_str(b);
    return n > 1 ? fed_arena_printf(a, "[%.*s]", FED_STR_ARG(s)) : fed_arena_dup(a, s);
}

int fed_match_conditions_hold(const struct fed_match_conditions *c, struct fed_arena *a, const struct fed_json *object,
                              const struct fed_json *old, const struct fed_json *request, struct fed_str *why)
{
    struct fed_cel_run run;
    struct fed_cel_value values[N_VARS], got;
    struct fed_buf wrong = {0};
    size_t n_wrong = 0;
    bool holds = true;
    fed_cel_run_init(&run);
    bind(&run, object, &any, &values[OBJECT]);
    bind(&run, old, &any, &values[OLD]);
    bind(&run, request, &request_type, &values[REQUEST]);
    for (size_t i = 0; holds && i < c->n; i++) {
        const struct fed_match_condition *one = &c->items[i];
        int rc = one->program ? fed_cel_eval(&run, one->program, values, &got) : FED_E_INVALID;
        bool over = run.spent > FED_MATCH_CONDITIONS_LIMIT;
        if (rc == 0 && !over) {
            holds = got.b;
            continue;
        }
        fed_buf_addf(&wrong, "%sexpression '%.*s' resulted in error: ", n_wrong++ ? ", " : "", FED_STR_ARG(one->text));
        fed_buf_add(&wrong, over           ? FED_STR("validation failed due to running out of cost budget, no further "
                                                               "validation rules will be run")
                            : one->program ? run.error
                                           : one->why);
        if (over)
            break;
    }
    *why = holds && n_wrong ? join(a, &wrong, n_wrong) : (struct fed_str){NULL, 0};
    fed_cel_run_release(&run);
    fed_buf_release(&wrong);
    return !holds ? 0 : n_wrong ? FED_E_INVALID : 1;
}

/* --- a list that is written --- */

static void check_one(const struct fed_json *condition, struct fed_str at, struct fed_causes *c)
{
    struct fed_str expression = fed_str_trim(fed_json_find_text(condition, "expression"));
    struct fed_str name = fed_json_find_text(condition, "name"), why;
    struct fed_cel_program *program;
    if (!expression.n)
        fed_bad(c, FED_CAUSE_REQUIRED, expression, "", "%.*s.expression", FED_STR_ARG(at));
    else if (compile_one(c->arena, expression, &program, &why))
        fed_bad(c, FED_CAUSE_INVALID, fed_quoted(c->arena, expression),
                fed_arena_printf(c->arena, "%.*s", FED_STR_ARG(why)).p, "%.*s.expression", FED_STR_ARG(at));
    fed_check_required(c, name, "%.*s.name", FED_STR_ARG(at));
    fed_check_text(c, name, fed_name_check_qualified, "%.*s.name", FED_STR_ARG(at));
}

void fed_match_conditions_check(const struct fed_json *list, struct fed_str at, struct fed_causes *c)
{
    uint32_t i = 0;
    if (list && list->n > FED_MATCH_CONDITIONS_MAX) {
        fed_causes_add(c, FED_CAUSE_TOO_MANY, at, fed_arena_printf(c->arena, "%u", list->n),
                       "must have at most %d items", FED_MATCH_CONDITIONS_MAX);
        return; /* no work for what is refused anyway */
    }
    FED_JSON_EACH(it, list) {
        struct fed_str name = fed_json_find_text(it, "name"),
                       here = fed_arena_printf(c->arena, "%.*s[%u]", FED_STR_ARG(at), i);
        check_one(it, here, c);
        for (const struct fed_json *before = list->first; name.n && before != it; before = before->next)
            if (fed_str_eq(fed_json_find_text(before, "name"), name)) {
                fed_bad(c, FED_CAUSE_DUPLICATE, fed_quoted(c->arena, name), "", "%.*s.name", FED_STR_ARG(here));
                break;
            }
        i++;
    }
}
