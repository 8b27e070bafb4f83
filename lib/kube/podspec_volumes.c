/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/check.h"
#include "kube/names.h"
#include "kube/podspec_priv.h"
#include "kube/quantity.h"

static const char mode_words[] = "must be a number between 0 and 0777 (octal), both inclusive";

static void check_items(const struct fed_json *from, const char *at, struct fed_causes *c)
{
    bool downward = fed_str_ends(fed_str(at), FED_STR("downwardAPI"));
    size_t i = 0;
    FED_JSON_EACH(item, fed_json_find(from, "items")) {
        const char *here = fed_arena_printf(c->arena, "%s.items[%zu]", at, i++).p;
        fed_check_descending(c, fed_json_find_text(item, "path"), "%s.path", here);
        fed_check_range(c, fed_json_find(item, "mode"), 0, 0777, mode_words, "%s.mode", here);
        if (downward && !fed_json_find(item, "fieldRef") && !fed_json_find(item, "resourceFieldRef"))
            fed_bad(c, FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0},
                    "one of fieldRef and resourceFieldRef is required", "%s", at);
        if (fed_json_find(item, "fieldRef"))
            fed_podspec_check_field(fed_json_find(item, "fieldRef"), fed_arena_printf(c->arena, "%s.fieldRef", at).p,
                                    true, c);
        if (fed_json_find(item, "resourceFieldRef"))
            fed_podspec_check_amount(fed_json_find(item, "resourceFieldRef"),
                                     fed_arena_printf(c->arena, "%s.resourceFieldRef", here).p, true, c);
    }
}

static void check_projected(const struct fed_json *from, const char *at, struct fed_causes *c)
{
    size_t i = 0;
    FED_JSON_EACH(source, fed_json_find(from, "sources")) {
        const char *here = fed_arena_printf(c->arena, "%s.sources[%zu]", at, i++).p;
        size_t n = 0;
        FED_JSON_EACH(s, source) {
            const char *there = fed_arena_printf(c->arena, "%s.%.*s", here, FED_STR_ARG(s->key)).p;
            bool named = fed_str_is(s->key, "secret") || fed_str_is(s->key, "configMap");
            if (n++)
                fed_bad(c, FED_CAUSE_FORBIDDEN, (struct fed_str){NULL, 0}, "may not specify more than 1 volume type",
                        "%s", there);
            if (named)
                fed_check_required(c, fed_json_find_text(s, "name"), "%s.name", there);
            check_items(s, there, c);
            if (fed_str_is(s->key, "serviceAccountToken"))
                fed_check_range(c, fed_json_find(s, "expirationSeconds"), 600, (int64_t)1 << 32,
                                fed_json_int(fed_json_find(s, "expirationSeconds"), 0) < 600
                                    ? "may not specify a duration less than 10 minutes"
                                    : "may not specify a duration larger than 2^32 seconds",
                                "%s.expirationSeconds", there);
        }
    }
}

static void check_host_path(const struct fed_json *from, const char *at, struct fed_causes *c)
{
    static const char *const types[] = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                        "File", "FileOrCreate", "Socket",     NULL};
    fed_check_no_backsteps(c, fed_json_find_text(from, "path"), "%s.path", at);
    fed_check_one_of(c, fed_json_find_text(from, "type"), types, "%s.type", at);
}

void fed_podspec_check_volume(const struct fed_json *volume, const char *at, struct fed_causes *c)
{
    int64_t milli;
    FED_JSON_EACH(from, volume) {
        const char *here = fed_arena_printf(c->arena, "%s.%.*s", at, FED_STR_ARG(from->key)).p;
        const struct fed_json *size = fed_json_find(from, "sizeLimit");
        if (fed_str_is(from->key, "name"))
            continue;
        fed_check_range(c, fed_json_find(from, "defaultMode"), 0, 0777, mode_words, "%s.defaultMode", here);
        if (fed_str_is(from->key, "secret"))
            fed_check_required(c, fed_json_find_text(from, "secretName"), "%s.secretName", here);
        else if (fed_str_is(from->key, "configMap"))
            fed_check_required(c, fed_json_find_text(from, "name"), "%s.name", here);
        else if (fed_str_is(from->key, "hostPath"))
            check_host_path(from, here, c);
        else if (fed_str_is(from->key, "projected"))
            check_projected(from, here, c);
        else if (fed_str_is(from->key, "ephemeral") && !fed_json_find(from, "volumeClaimTemplate"))
            fed_bad(c, FED_CAUSE_REQUIRED, (struct fed_str){NULL, 0}, "", "%s.volumeClaimTemplate", here);
        else if (fed_str_is(from->key, "emptyDir") && size && fed_quantity_milli(size->s, &milli) == 0 && milli < 0)
            fed_bad(c, FED_CAUSE_FORBIDDEN, (struct fed_str){NULL, 0},
                    "SizeLimit field must be a valid resource quantity", "%s.sizeLimit", here);
        if (fed_str_is(from->key, "secret") || fed_str_is(from->key, "configMap") ||
            fed_str_is(from->key, "downwardAPI"))
            check_items(from, here, c);
    }
}
