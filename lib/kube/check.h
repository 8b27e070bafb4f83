/* SPDX-License-Identifier: Apache-2.0 */
/* check.h: the words of validation: each function looks at one thing and adds a cause when it is wrong. `at` is the path of
 * what is looked at, a format. Pure. */
#ifndef FED_KUBE_CHECK_H
#define FED_KUBE_CHECK_H

#include "codec/json.h"
#include "kube/status.h"

struct fed_str fed_quoted(struct fed_arena *a, struct fed_str s); /* as a JSON string */
/* One cause; value is shown as it is (fed_quoted, fed_shown). */
void fed_bad(struct fed_causes *c, enum fed_cause_type type, struct fed_str value, const char *detail, const char *at,
             ...) FED_PRINTF(5, 6);
void fed_check_required(struct fed_causes *c, struct fed_str text, const char *at, ...) FED_PRINTF(3, 4);
/* Text that is there must satisfy one of the checks of names.h. */
void fed_check_text(struct fed_causes *c, struct fed_str text, const char *(*check)(struct fed_str), const char *at,
                    ...) FED_PRINTF(4, 5);
/* The same where none is a fault as well: one cause for each fault, showing value at path. */
void fed_check_name(struct fed_causes *c, struct fed_str text, const char *(*check)(struct fed_str),
                    struct fed_str value, struct fed_str path);
/* ... must be one of the words (in the order in which they are told, ended by NULL). */
void fed_check_one_of(struct fed_causes *c, struct fed_str text, const char *const *words, const char *at, ...)
    FED_PRINTF(4, 5);
/* "example.com/what", as controllers are named. */
void fed_check_domain_path(struct fed_causes *c, struct fed_str text, const char *at, ...) FED_PRINTF(3, 4);
/* An integer that is there must lie between the two; detail says so in Kubernetes' words. */
void fed_check_range(struct fed_causes *c, const struct fed_json *v, int64_t low, int64_t high, const char *detail,
                     const char *at, ...) FED_PRINTF(6, 7);
bool fed_is_ip(struct fed_str text);
bool fed_is_cidr(struct fed_str text);
void fed_check_ip(struct fed_causes *c, struct fed_str text, const char *at, ...) FED_PRINTF(3, 4);
/* A path inside something: relative and without "..". */
void fed_check_descending(struct fed_causes *c, struct fed_str path, const char *at, ...) FED_PRINTF(3, 4);
void fed_check_no_backsteps(struct fed_causes *c, struct fed_str path, const char *at, ...) FED_PRINTF(3, 4);
/* "must be greater than or equal to 0" when the integer at `key` is negative. */
void fed_check_nonnegative(const struct fed_json *obj, const char *at, const char *key, struct fed_causes *causes);
/* 1-65535. */
void fed_check_port_number(const struct fed_json *v, const char *at, struct fed_causes *causes);
/* A port number or a port name. */
void fed_check_port_ref(const struct fed_json *v, const char *at, struct fed_causes *causes);
/* Whether the text was asked for before, with the same map. */
struct fed_map;
bool fed_seen_before(struct fed_map *seen, struct fed_str text);
/* Equal, or neither is there. */
bool fed_same_value(const struct fed_json *a, const struct fed_json *b);
/* FieldValueInvalid "field is immutable" when the member differs between old and new (both may lack it). */
void fed_check_immutable(const struct fed_json *old, const struct fed_json *obj, const char *at, const char *key,
                         struct fed_causes *causes);
/* The compact JSON text of a value, for messages. */
struct fed_str fed_shown(struct fed_arena *a, const struct fed_json *v);
/* {matchLabels, matchExpressions}. */
void fed_selector_validate(const struct fed_json *selector, const char *at, struct fed_causes *causes);
/* Keys and values of a map of labels. */
void fed_check_labels(struct fed_causes *c, const struct fed_json *labels, const char *at);

#endif
