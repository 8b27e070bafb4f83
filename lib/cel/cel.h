/* SPDX-License-Identifier: Apache-2.0 */
/* cel.h: the Common Expression Language over JSON trees: expressions are compiled against the types of their variables,
 * then evaluated with a bound on what that may cost.
 *
 * Model:      text -> nodes (parse.c) -> checked nodes (check.c: names, overloads, types) = a program. A value is a
 *             scalar, a list or map that the expression made, or a piece of a JSON tree with the type that a schema
 *             gives it: trees are never copied. The functions are those of CEL, its extensions for strings and sets,
 *             and those that Kubernetes adds (lists, regex, url, quantity, ip, cidr, optionals).
 * Bounds:     text FED_CEL_MAX_TEXT characters, nesting FED_CEL_MAX_DEPTH. Evaluation is paid for in Kubernetes' units
 *             (about one a step, a tenth a byte of text walked over, and what a regular expression really did): an
 *             expression ends when FED_CEL_CALL_LIMIT is spent, whatever it was about to do. Memory is a small
 *             multiple of what was paid.
 * Invariants: a program is immutable; what does not compile is described in the words of Kubernetes. Errors are values:
 *             `false && error` is false. The same inputs give the same result: there is no clock.
 * Ownership:  programs and types live in the arena they were compiled in. Results of a run live until it is reset or
 *             released, and borrow the trees.
 * Threads:    programs and types: any. A run: one at a time.
 */
#ifndef FED_CEL_CEL_H
#define FED_CEL_CEL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "codec/json.h"

enum { FED_CEL_MAX_TEXT = 100000, FED_CEL_MAX_DEPTH = 250 };
#define FED_CEL_CALL_LIMIT    1000000  /* cost of one evaluation */
#define FED_CEL_REQUEST_LIMIT 10000000 /* of all evaluations for one object */

enum fed_cel_kind {
    FED_CEL_DYN, /* types only: known at run time */
    FED_CEL_NULL,
    FED_CEL_BOOL,
    FED_CEL_INT,
    FED_CEL_UINT,
    FED_CEL_DOUBLE,
    FED_CEL_STRING,
    FED_CEL_BYTES,
    FED_CEL_TIMESTAMP,
    FED_CEL_DURATION,
    FED_CEL_LIST,
    FED_CEL_MAP,
    FED_CEL_OBJECT, /* fields by name, as a schema says */
    FED_CEL_TYPE,
    FED_CEL_OPTIONAL,
    FED_CEL_URL,
    FED_CEL_QUANTITY,
    FED_CEL_IP,
    FED_CEL_CIDR,
    FED_CEL_FORMAT,
    FED_CEL_ERROR /* types only: of what did not check; fits anything */
};

enum fed_cel_list_type { FED_CEL_LIST_ATOMIC, FED_CEL_LIST_SET, FED_CEL_LIST_KEYED };

struct fed_cel_field {
    struct fed_str name; /* as expressions write it (fed_cel_escape) */
    struct fed_str key;  /* of the JSON member */
    const struct fed_cel_type *type;
};
struct fed_cel_type {
    enum fed_cel_kind kind;
    const struct fed_cel_type *elem;    /* of LIST, MAP (value), OPTIONAL, TYPE; NULL: DYN */
    const struct fed_cel_type *key;     /* of MAP; NULL: DYN */
    const struct fed_cel_field *fields; /* of OBJECT, sorted by name */
    uint32_t n_fields;
    bool date;                   /* of TIMESTAMP: the tree has a day only */
    enum fed_cel_list_type list; /* of LIST: how a schema compares and adds */
    const struct fed_str *list_keys;
    uint32_t n_list_keys;
};
/* The one type of each plain kind. */
const struct fed_cel_type *fed_cel_plain(enum fed_cel_kind kind);
/* The name under which expressions reach a property: "a-b" is a__dash__b. False: they cannot. */
bool fed_cel_escape(struct fed_arena *a, struct fed_str property, struct fed_str *out);

struct fed_cel_var {
    struct fed_str name;
    const struct fed_cel_type *type;
};
struct fed_cel_program;
/* vars: at most 8. 0; or FED_E_INVALID and *why "compilation failed: ERROR: <input>:1:5: …" in the arena. */
FED_MUST_USE int fed_cel_compile(struct fed_arena *a, const struct fed_cel_var *vars, size_t n_vars,
                                 struct fed_str text, struct fed_cel_program **out, struct fed_str *why);
const struct fed_cel_type *fed_cel_result_type(const struct fed_cel_program *p);
bool fed_cel_uses(const struct fed_cel_program *p, size_t var); /* the expression names the variable */

struct fed_cel_list;
struct fed_cel_map;
struct fed_cel_net;
struct fed_cel_amount;
struct fed_cel_link;
struct fed_cel_value {
    uint8_t kind; /* enum fed_cel_kind */
    bool tree;    /* LIST, MAP: a piece of JSON; OBJECT always is */
    int32_t nano; /* of TIMESTAMP */
    union {
        bool b;
        int64_t i; /* INT; DURATION in nanoseconds; TIMESTAMP in seconds */
        uint64_t u;
        double d;
        struct fed_str s; /* STRING, BYTES, TYPE (its name) */
        const struct fed_cel_list *list;
        const struct fed_cel_map *map;
        struct {
            const struct fed_json *json;
            const struct fed_cel_type *type;
        } of;
        const struct fed_cel_value *inner; /* OPTIONAL; NULL: none */
        const struct fed_cel_link *url;
        const struct fed_cel_amount *amount;
        const struct fed_cel_net *net;
    };
};
/* For evaluations that belong together, such as the rules of one object. */
struct fed_cel_run {
    struct fed_arena arena;   /* of results; emptied by fed_cel_run_reset */
    struct fed_arena indexes; /* of large containers of the trees; kept until release */
    struct fed_map found;     /* container -> its index */
    uint64_t cost, limit;     /* of the present evaluation */
    uint64_t spent;           /* of all before */
    struct fed_cel_value *slots;
    struct fed_str error;
    bool stopped; /* past the limit */
};
void fed_cel_run_init(struct fed_cel_run *r);
void fed_cel_run_reset(struct fed_cel_run *r); /* values of evaluations before are gone */
void fed_cel_run_release(struct fed_cel_run *r);
/* A piece of a tree as a type sees it. */
void fed_cel_from_json(struct fed_cel_run *r, const struct fed_json *json, const struct fed_cel_type *type,
                       struct fed_cel_value *out);
/* An optional of v; v NULL: of none. */
struct fed_cel_value fed_cel_optional(struct fed_cel_run *r, const struct fed_cel_value *v);
/* vars: as many as were compiled with. 0; FED_E_INVALID: the expression is an error, r->error says which;
 * FED_E_LIMIT: it was ended at its limit. r->cost is what it cost. */
FED_MUST_USE int fed_cel_eval(struct fed_cel_run *r, const struct fed_cel_program *p, const struct fed_cel_value *vars,
                              struct fed_cel_value *out);
/* The value as a person reads it (tests, messages): strings in quotes. */
void fed_cel_write(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_buf *out);

#endif
