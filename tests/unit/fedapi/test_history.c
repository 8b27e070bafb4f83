/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's record of templates, played: what is due is carried out on a few objects until nothing is due any more. */
#include "codec/patch.h"
#include "control/revisions.h"
#include "fedapi/controllers/history.h"
#include "fedapi/controllers/marks.h"
#include "tests/unit/trees.h"

enum { MAX = 20, STEPS = 60 };

struct world {
    struct fed_arena a;
    struct fed_json *owner, *records[MAX];
    size_t n;
    int made, writes; /* writes: since the last settle */
    bool revisions;   /* a DaemonSet */
};

static void setup(struct world *w, const char *kind)
{
    *w = (struct world){.revisions = strcmp(kind, "Deployment") != 0};
    w->owner =
        tree_of(&w->a, "{'apiVersion':'apps/v1','metadata':{'name':'app','namespace':'n','uid':'u','generation':1,"
                       "'annotations':{'kubernetes.io/change-cause':'v1'}},'spec':{'replicas':3,'selector':{"
                       "'matchLabels':{'app':'app'}},'template':{'metadata':{'labels':{'app':'app'}},'spec':{"
                       "'image':'v1'}}}}");
    fed_json_set(w->owner, "kind", fed_json_new_strz(&w->a, kind));
}

static struct fed_kobj *object(struct world *w, const struct fed_json *tree)
{
    struct fed_kobj *o = NULL;
    (void)w;
    assert_int_equal(fed_kobj_from_tree(tree, 1, &o, NULL), 0);
    return o;
}

static bool taken(void *ud, struct fed_str name)
{
    const struct world *w = ud;
    for (size_t i = 0; i < w->n; i++)
        if (fed_str_eq(fed_obj_name(w->records[i]), name))
            return true;
    return false;
}

static struct fed_json **record(struct world *w, struct fed_str name)
{
    for (size_t i = 0; i < w->n; i++)
        if (fed_str_eq(fed_obj_name(w->records[i]), name))
            return &w->records[i];
    fail_msg("no record %.*s", FED_STR_ARG(name));
    return NULL;
}

static void bump(struct world *w, struct fed_json *o)
{
    struct fed_json *meta = fed_json_find(o, "metadata");
    fed_json_set(meta, "generation", fed_json_new_int(&w->a, fed_json_int(fed_json_find(meta, "generation"), 0) + 1));
}

static void carry_out(struct world *w, const struct fapi_due_write *due)
{
    w->writes++;
    if (due->what == FAPI_WRITE_CREATE) {
        assert_true(w->n < MAX);
        struct fed_json *o = w->records[w->n++] = fed_json_copy(&w->a, due->body), *meta = fed_json_find(o, "metadata");
        fed_json_set(meta, "uid", fed_json_new_strf(&w->a, "r%d", ++w->made));
        fed_json_set(meta, "creationTimestamp", fed_json_new_strf(&w->a, "2026-01-01T00:00:%02dZ", w->made));
        fed_json_set(meta, "generation", fed_json_new_int(&w->a, 1));
    } else if (due->what == FAPI_WRITE_OWNER) {
        w->owner = fed_json_merge_patch(&w->a, w->owner, due->body);
    } else if (due->what == FAPI_WRITE_DELETE) {
        struct fed_json **at = record(w, due->of->name);
        *at = w->records[--w->n];
    } else {
        struct fed_json **at = record(w, due->of->name), *body = fed_json_copy(&w->a, due->body);
        fed_json_remove_key(fed_json_find(body, "metadata"), "resourceVersion");
        *at = fed_json_merge_patch(&w->a, *at, body);
        if (due->what == FAPI_WRITE_PATCH && fed_json_find(body, "spec"))
            bump(w, *at);
    }
}

static struct fapi_due_write look(struct world *w, struct fed_kobj **kept, size_t *n_kept)
{
    struct fed_kobj *past[MAX], *lost[MAX], *owner = object(w, w->owner);
    struct fapi_history h = {.owner = owner, .tree = w->owner, .past = past, .lost = lost, .taken = taken, .ud = w};
    h.confirmed = fed_json_int(fed_json_at(w->owner, "status", "observedGeneration", NULL), 0) >= owner->generation;
    for (size_t i = 0; i < w->n; i++) {
        struct fed_kobj *o = kept[(*n_kept)++] = object(w, w->records[i]);
        if (fed_kobj_controller(o))
            past[h.n_past++] = o;
        else
            lost[h.n_lost++] = o;
    }
    kept[(*n_kept)++] = owner;
    return w->revisions ? fapi_history_revisions(&w->a, &h) : fapi_history_sets(&w->a, &h);
}

/* Until nothing is due. */
static void settle(struct world *w)
{
    w->writes = 0;
    for (int step = 0;; step++) {
        struct fed_kobj *kept[MAX + 1];
        size_t n = 0;
        struct fapi_due_write due = look(w, kept, &n);
        if (due.what)
            carry_out(w, &due);
        while (n)
            fed_kobj_unref(kept[--n]);
        if (!due.what)
            return;
        assert_true(step < STEPS);
    }
}

static void patch_owner(struct world *w, const char *patch)
{
    w->owner = fed_json_merge_patch(&w->a, w->owner, tree_of(&w->a, patch));
    bump(w, w->owner);
    settle(w);
}

static void set_status(struct world *w, int all, int updated, int ready, bool observed)
{
    int64_t generation = fed_json_int(fed_json_at(w->owner, "metadata", "generation", NULL), 0);
    fed_json_set(w->owner, "status",
                 tree_of(&w->a, fed_arena_printf(&w->a,
                                                 "{'replicas':%d,'updatedReplicas':%d,'readyReplicas':%d,"
                                                 "'availableReplicas':%d,'observedGeneration':%d}",
                                                 all, updated, ready, ready, (int)generation - !observed)
                                    .p));
    settle(w);
}

static int by_number(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "1:v1 3/3/3" of each: revision, image, spec.replicas, status.replicas, readyReplicas; by revision. */
static void shows(struct world *w, const char *want)
{
    char *lines[MAX];
    struct fed_buf all;
    fed_buf_init(&all, 0);
    for (size_t i = 0; i < w->n; i++) {
        const struct fed_json *o = w->records[i], *spec = fed_json_find(o, "spec"),
                              *status = fed_json_find(o, "status");
        struct fed_str image = fed_json_find_text(
            fed_json_at(w->revisions ? fed_json_find(o, "data") : o, "spec", "template", "spec", NULL), "image");
        if (w->revisions)
            lines[i] = (char *)fed_arena_printf(&w->a, "%d:%.*s", (int)fed_json_int(fed_json_find(o, "revision"), 0),
                                                FED_STR_ARG(image))
                           .p;
        else
            lines[i] =
                (char *)fed_arena_printf(&w->a, "%.*s:%.*s %d/%d/%d", FED_STR_ARG(fed_obj_annotation(o, FED_REVISION)),
                                         FED_STR_ARG(image), (int)fed_json_int(fed_json_find(spec, "replicas"), -1),
                                         (int)fed_json_int(fed_json_find(status, "replicas"), 0),
                                         (int)fed_json_int(fed_json_find(status, "readyReplicas"), 0))
                    .p;
    }
    qsort(lines, w->n, sizeof(*lines), by_number);
    for (size_t i = 0; i < w->n; i++)
        fed_buf_addf(&all, "%s%s", i ? ", " : "", lines[i]);
    if (strcmp(fed_buf_z(&all), want) != 0)
        fail_msg("got \"%s\", want \"%s\"", fed_buf_z(&all), want);
    fed_buf_release(&all);
}

static const char *template(struct world *w, const char *image)
{
    return fed_arena_printf(
               &w->a,
               "{'metadata':{'annotations':{'kubernetes.io/change-cause':'%s'}},'spec':{'template':{'spec':{"
               "'image':'%s'}}}}",
               image, image)
        .p;
}

static const struct fed_json *annotations(struct world *w, const char *revision)
{
    for (size_t i = 0; i < w->n; i++)
        if (fed_str_is(fed_obj_annotation(w->records[i], FED_REVISION), revision))
            return fed_json_at(w->records[i], "metadata", "annotations", NULL);
    fail_msg("no revision %s", revision);
    return NULL;
}

static void rollouts(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "Deployment");
    settle(&w);
    shows(&w, "1:v1 3/0/0");
    assert_int_equal(w.writes, 2); /* the set, and the Deployment's annotation */
    CHECK_TEXT("stays here", fed_obj_label(w.records[0], FAPI_HISTORY), "true");
    CHECK_TEXT("of the Deployment", fed_obj_annotation(w.owner, FED_REVISION), "1");
    set_status(&w, 3, 3, 3, true);
    shows(&w, "1:v1 3/3/3");
    assert_int_equal(w.writes, 1);
    settle(&w);
    assert_int_equal(w.writes, 0);
    patch_owner(&w, template(&w, "v2"));
    shows(&w, "1:v1 3/3/3, 2:v2 3/0/0"); /* nobody has looked at it: the numbers are of the first */
    set_status(&w, 3, 3, 3, false);
    shows(&w, "1:v1 3/3/3, 2:v2 3/0/0");
    set_status(&w, 4, 1, 3, true);
    shows(&w, "1:v1 3/3/3, 2:v2 3/1/0"); /* what is ready is the old one's first */
    set_status(&w, 4, 2, 4, true);
    shows(&w, "1:v1 2/2/2, 2:v2 3/2/2");
    set_status(&w, 3, 3, 3, true);
    shows(&w, "1:v1 0/0/0, 2:v2 3/3/3");
    CHECK_TEXT("first cause", fed_json_find_text(annotations(&w, "1"), "kubernetes.io/change-cause"), "v1");
    CHECK_TEXT("second cause", fed_json_find_text(annotations(&w, "2"), "kubernetes.io/change-cause"), "v2");
    patch_owner(&w, template(&w, "v1")); /* back */
    set_status(&w, 3, 3, 3, true);
    shows(&w, "2:v2 0/0/0, 3:v1 3/3/3");
    CHECK_TEXT("its numbers", fed_json_find_text(annotations(&w, "3"), FED_REVISION_HISTORY), "1");
    CHECK_TEXT("of the Deployment", fed_obj_annotation(w.owner, FED_REVISION), "3");
    fed_arena_release(&w.a);
}

static void scaling_and_limits(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "Deployment");
    settle(&w);
    set_status(&w, 3, 3, 3, true);
    patch_owner(&w, "{'spec':{'replicas':5}}");
    shows(&w, "1:v1 5/3/3");
    CHECK_TEXT("most", fed_json_find_text(annotations(&w, "1"), FED_MAX_REPLICAS), "7");
    patch_owner(&w, "{'spec':{'paused':true,'replicas':6,'template':{'spec':{'image':'v2'}}}}");
    shows(&w, "1:v1 6/3/3");
    set_status(&w, 6, 0, 6, true); /* nothing is of the paused template */
    shows(&w, "1:v1 6/6/6");
    CHECK_TEXT("not told", fed_obj_annotation(w.owner, FED_REVISION), "1");
    patch_owner(&w, "{'spec':{'paused':false}}");
    set_status(&w, 6, 6, 6, true);
    shows(&w, "1:v1 0/0/0, 2:v2 6/6/6");
    for (int i = 3; i < 16; i++) {
        patch_owner(&w, template(&w, fed_arena_printf(&w.a, "v%d", i).p));
        set_status(&w, 6, 6, 6, true);
    }
    assert_int_equal(w.n, 11); /* ten, and the present one */
    patch_owner(&w, "{'spec':{'revisionHistoryLimit':1}}");
    shows(&w, "14:v14 0/0/0, 15:v15 6/6/6");
    patch_owner(&w, template(&w, "v16")); /* one that still has pods stays */
    set_status(&w, 6, 2, 6, true);
    shows(&w, "14:v14 0/0/0, 15:v15 4/4/4, 16:v16 6/2/2");
    set_status(&w, 6, 6, 6, true);
    shows(&w, "15:v15 0/0/0, 16:v16 6/6/6");
    fed_arena_release(&w.a);
}

/* Placement is no part of a revision: undo, which takes all annotations of the set, must not move anything. */
static void placement(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "Deployment");
    patch_owner(&w, "{'metadata':{'annotations':{'federation.kubernetes.io/deployment-preferences':'a','own':'1',"
                    "'federation.hansa.io/clusters':'{}'}}}");
    patch_owner(&w, template(&w, "v2"));
    patch_owner(&w, "{'metadata':{'annotations':{'federation.kubernetes.io/deployment-preferences':'b','own':'2'}}}");
    static const char *const numbers[] = {"1", "2"};
    for (size_t i = 0; i < FED_ARRAY_LEN(numbers); i++) {
        const struct fed_json *an = annotations(&w, numbers[i]);
        CHECK_TEXT(numbers[i], fed_json_find_text(an, "federation.kubernetes.io/deployment-preferences"), "b");
        CHECK_TEXT(numbers[i], fed_json_find_text(an, "own"), i ? "2" : "1");
        assert_null(fed_json_find(an, "federation.hansa.io/clusters"));
    }
    patch_owner(&w, "{'metadata':{'annotations':{'federation.kubernetes.io/deployment-preferences':null}}}");
    for (size_t i = 0; i < FED_ARRAY_LEN(numbers); i++)
        assert_null(fed_json_find(annotations(&w, numbers[i]), "federation.kubernetes.io/deployment-preferences"));
    settle(&w);
    assert_int_equal(w.writes, 0);
    /* What the hub notes of the Deployment is nothing to the sets. */
    patch_owner(&w, "{'metadata':{'annotations':{'federation.hansa.io/clusters':'{}, but another'}}}");
    assert_int_equal(w.writes, 0);
    fed_arena_release(&w.a);
}

static void let_go(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        fed_json_remove_key(fed_json_find(w->records[i], "metadata"), "ownerReferences");
        for (int step = 0; !w->revisions; step++) {
            struct fed_kobj *o = object(w, w->records[i]);
            struct fapi_due_write due = fapi_history_lost(&w->a, o);
            if (due.what)
                carry_out(w, &due);
            fed_kobj_unref(o);
            if (!due.what)
                break;
            assert_true(step < 3);
        }
    }
}

static void orphans(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "Deployment");
    settle(&w);
    patch_owner(&w, template(&w, "v2"));
    set_status(&w, 3, 3, 3, true);
    let_go(&w);
    shows(&w, "1:v1 0/0/0, 2:v2 0/0/0"); /* nothing runs by them */
    fed_json_remove_key(w.owner, "status");
    fed_json_set(fed_json_find(w.owner, "metadata"), "uid", fed_json_new_strz(&w.a, "again"));
    settle(&w); /* another Deployment takes them */
    shows(&w, "1:v1 0/0/0, 2:v2 3/0/0");
    for (size_t i = 0; i < w.n; i++)
        CHECK_TEXT("owner",
                   fed_json_find_text(fed_json_at(w.records[i], "metadata", "ownerReferences", NULL)->first, "uid"),
                   "again");
    patch_owner(
        &w, "{'spec':{'selector':{'matchLabels':{'app':'other'}},'template':{'metadata':{'labels':{'app':'other'}}}}}");
    let_go(&w);
    settle(&w); /* the first two do not match any more */
    assert_int_equal(w.n, 3);
    for (size_t i = 0; i < w.n; i++)
        assert_true(!fed_json_at(w.records[i], "metadata", "ownerReferences", NULL) == (i < 2));
    fed_arena_release(&w.a);
}

/* A stranger has the name: another is taken. */
static void collision(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "Deployment");
    settle(&w);
    struct fed_str name = fed_arena_dup(&w.a, fed_obj_name(w.records[0]));
    fed_json_remove_key(fed_json_find(w.records[0], "metadata"), "ownerReferences");
    fed_json_remove_key(fed_json_find(w.records[0], "metadata"), "labels");
    settle(&w);
    assert_int_equal(w.n, 2);
    assert_false(fed_str_eq(fed_obj_name(w.records[1]), name));
    fed_arena_release(&w.a);
}

static void revisions(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "DaemonSet");
    settle(&w);
    shows(&w, "1:v1");
    assert_int_equal(w.writes, 1);
    patch_owner(&w, template(&w, "v2"));
    shows(&w, "1:v1, 2:v2");
    patch_owner(&w, template(&w, "v1"));
    shows(&w, "2:v2, 3:v1");
    set_status(&w, 3, 3, 3, true);
    assert_int_equal(w.writes, 0);
    patch_owner(&w, template(&w, "v4"));
    patch_owner(&w, "{'spec':{'revisionHistoryLimit':1}}");
    shows(&w, "3:v1, 4:v4");
    let_go(&w);
    settle(&w);
    shows(&w, "3:v1, 4:v4");
    assert_int_equal(w.writes, 2); /* taken again */
    patch_owner(&w, "{'spec':{'revisionHistoryLimit':0}}");
    shows(&w, "4:v4");
    fed_arena_release(&w.a);
}

static void check_named(struct world *w, const char *label, const char *current, const char *update)
{
    const char *const keys[] = {"currentRevision", "updateRevision"}, *const wants[] = {current, update};
    for (size_t i = 0; i < 2; i++) {
        struct fed_str name = fed_json_str(fed_json_at(w->owner, "status", keys[i], NULL));
        const struct fed_json *t = fed_json_at(*record(w, name), "data", "spec", "template", "spec", "image", NULL);
        CHECK_TEXT(label, fed_json_str(t), wants[i]);
    }
}

/* A StatefulSet's status says which record its pods had last and which is the present one. */
static void named(void **state)
{
    (void)state;
    struct world w;
    setup(&w, "StatefulSet");
    settle(&w);
    check_named(&w, "new", "v1", "v1");
    patch_owner(&w, template(&w, "v2"));
    patch_owner(&w, "{'spec':{'revisionHistoryLimit':0}}");
    check_named(&w, "an update begins", "v1", "v2");
    patch_owner(&w, "{'status':{'replicas':3,'updatedReplicas':2,'readyReplicas':3,'observedGeneration':9}}");
    check_named(&w, "it goes on", "v1", "v2");
    patch_owner(&w, "{'status':{'updatedReplicas':3}}");
    check_named(&w, "it is through", "v2", "v2");
    shows(&w, "2:v2");
    fed_arena_release(&w.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rollouts),  cmocka_unit_test(scaling_and_limits),
                                       cmocka_unit_test(placement), cmocka_unit_test(orphans),
                                       cmocka_unit_test(collision), cmocka_unit_test(revisions),
                                       cmocka_unit_test(named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
