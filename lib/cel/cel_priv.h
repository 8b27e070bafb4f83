/* SPDX-License-Identifier: Apache-2.0 */
/* cel_priv.h: nodes, functions and helpers that the files of this room share.
 *
 * Model: functions that evaluate return false when the result is an error; then r->error has its text. A function of
 *        the language (struct fed_cel_function) is found by name when an expression is checked, and chosen by the kinds of its
 *        arguments when it runs, since types may be dynamic. Signatures: see sig_type in type.c. */
#ifndef FED_CEL_CEL_PRIV_H
#define FED_CEL_CEL_PRIV_H

#include "base/buf.h"
#include "cel/cel.h"
#include "codec/regex.h"

/* --- values that expressions make --- */
struct fed_cel_list {
    const struct fed_cel_value *items;
    uint32_t n;
};
struct fed_cel_map {
    const struct fed_cel_value *keys, *values;
    uint32_t n;
};
struct fed_cel_link {
    struct fed_str scheme, host, hostname, port, path, query;
};
struct fed_cel_amount { /* digits * 10^exp */
    __int128 digits;
    int exp;
};
struct fed_cel_net {
    uint8_t bytes[16];
    uint8_t n; /* 4 or 16 */
    uint8_t prefix;
};

/* --- nodes --- */
enum fed_cel_node_kind {
    FED_CEL_N_CONST,
    FED_CEL_N_IDENT,
    FED_CEL_N_SELECT, /* args[0].name */
    FED_CEL_N_HAS,    /* has(args[0].name) */
    FED_CEL_N_INDEX,
    FED_CEL_N_CALL, /* name(args…), or args[0].name(…) when member */
    FED_CEL_N_OP,   /* op on one or two args */
    FED_CEL_N_AND,  /* args… */
    FED_CEL_N_OR,
    FED_CEL_N_COND,
    FED_CEL_N_LIST,
    FED_CEL_N_MAP,     /* key, value, key, value… */
    FED_CEL_N_MESSAGE, /* name{…} */
    FED_CEL_N_FOLD     /* a macro over args[0] */
};
enum fed_cel_op {
    FED_CEL_OP_ADD,
    FED_CEL_OP_SUB,
    FED_CEL_OP_MUL,
    FED_CEL_OP_DIV,
    FED_CEL_OP_MOD,
    FED_CEL_OP_NEG,
    FED_CEL_OP_NOT,
    FED_CEL_OP_EQ,
    FED_CEL_OP_NE,
    FED_CEL_OP_LT,
    FED_CEL_OP_LE,
    FED_CEL_OP_GT,
    FED_CEL_OP_GE,
    FED_CEL_OP_IN
};
enum fed_cel_fold {
    FED_CEL_ALL,
    FED_CEL_EXISTS,
    FED_CEL_EXISTS_ONE,
    FED_CEL_FILTER,
    FED_CEL_TO_LIST, /* map; transformList */
    FED_CEL_TO_MAP,  /* transformMap */
    FED_CEL_OPT_MAP,
    FED_CEL_OPT_FLAT_MAP
};
struct fed_cel_node {
    uint8_t kind;
    uint8_t op;    /* of OP, FOLD */
    bool member;   /* CALL */
    bool optional; /* SELECT ?., INDEX [?] */
    uint16_t height;
    uint32_t off; /* where errors point, in the text */
    uint32_t n;
    int slot; /* of IDENT; FOLD: of its first variable, the second is slot + 1 */
    struct fed_str name;
    struct fed_str vars[2]; /* FOLD; the second is empty with one variable */
    struct fed_cel_node **args;
    bool *optional_entry;        /* LIST: n, MAP: n / 2; NULL: none are */
    struct fed_cel_node *filter; /* FOLD: map(x, filter, value) */
    struct fed_cel_value value;  /* CONST */
    const struct fed_cel_type *type;
    const struct fed_cel_field *field; /* SELECT, HAS: of an object's type */
    const struct fed_cel_type *field_of;
    const struct fed_cel_function *fn; /* CALL: the first of n_fn overloads */
    uint32_t n_fn;
    const struct fed_regex *regex; /* CALL: of a literal pattern */
};
struct fed_cel_program {
    const struct fed_cel_node *root;
    int n_slots;
    uint32_t n_vars;
    uint32_t used; /* bits: variables named */
};

/* --- issues.c --- */
struct fed_cel_issues {
    struct fed_arena *arena;
    struct fed_str text; /* of the expression */
    struct fed_buf out;
    int n;
};
void fed_cel_issue(struct fed_cel_issues *is, uint32_t off, const char *fmt, ...) FED_PRINTF(3, 4);

/* --- lex.c --- */
enum fed_cel_token {
    FED_CEL_T_END,
    FED_CEL_T_BAD,
    FED_CEL_T_IDENT,
    FED_CEL_T_QUOTED, /* `a-b` */
    FED_CEL_T_INT,
    FED_CEL_T_UINT,
    FED_CEL_T_DOUBLE,
    FED_CEL_T_STRING,
    FED_CEL_T_BYTES,
    FED_CEL_T_PUNCT,  /* op: one or two characters */
    FED_CEL_T_KEYWORD /* in, true, false, null */
};
struct fed_cel_lexer {
    struct fed_cel_issues *issues;
    struct fed_str in;
    size_t at;
    enum fed_cel_token token;
    uint32_t off;         /* of the token */
    struct fed_str text;  /* of the token, as written */
    struct fed_str value; /* STRING, BYTES, QUOTED: decoded */
};
void fed_cel_lex(struct fed_cel_lexer *l); /* the next token */

/* --- parse.c: NULL, and an issue, when the text is none --- */
struct fed_cel_node *fed_cel_parse_text(struct fed_cel_issues *is, struct fed_str text);

/* --- check.c --- */
void fed_cel_check(struct fed_cel_issues *is, struct fed_cel_node *root, const struct fed_cel_var *vars, size_t n_vars,
                   struct fed_cel_program *p);

/* --- type.c --- */
struct fed_cel_bind { /* what the parameters A and B of a signature stand for */
    const struct fed_cel_type *a, *b;
};
const struct fed_cel_type *fed_cel_type_of(struct fed_arena *a, enum fed_cel_kind kind, const struct fed_cel_type *elem,
                                           const struct fed_cel_type *key);
void fed_cel_type_write(const struct fed_cel_type *t, struct fed_buf *out);
bool fed_cel_fits(const struct fed_cel_type *want, const struct fed_cel_type *t);
/* A type that values of both have; NULL: there is none. */
const struct fed_cel_type *fed_cel_join(const struct fed_cel_type *a, const struct fed_cel_type *b);
/* The next parameter of *sig against t; moves past it. */
bool fed_cel_sig_fits(const char **sig, const struct fed_cel_type *t, struct fed_cel_bind *bind);
const struct fed_cel_type *fed_cel_sig_result(struct fed_arena *a, const char **sig, const struct fed_cel_bind *bind);
bool fed_cel_sig_takes(const char **sig, const struct fed_cel_value *v); /* at run time: by kind */
const struct fed_cel_field *fed_cel_field_find(const struct fed_cel_type *t, struct fed_str name);
const char *fed_cel_kind_name(enum fed_cel_kind kind); /* as type() shows it */
bool fed_cel_type_named(struct fed_str name, enum fed_cel_kind *out);

/* --- functions --- */
enum fed_cel_cost {
    FED_CEL_COST_ONE,
    FED_CEL_COST_TEXT,  /* a tenth of the first argument's length */
    FED_CEL_COST_TEXT2, /* twice that */
    FED_CEL_COST_LIST,  /* its items */
    FED_CEL_COST_OWN    /* the function says */
};
struct fed_cel_function {
    const char *name;
    bool member;
    const char *sig; /* "ss:b" */
    bool (*fn)(struct fed_cel_run *r, const struct fed_cel_node *n, const struct fed_cel_value *a, uint32_t n_args,
               struct fed_cel_value *out);
    enum fed_cel_cost cost;
};
/* The overloads of a name stand together in one table; *n of them. NULL: unknown. */
const struct fed_cel_function *fed_cel_function_find(struct fed_str name, bool member, uint32_t *n);
extern const struct fed_cel_function fed_cel_core_functions[], fed_cel_text_functions[], fed_cel_time_functions[],
    fed_cel_list_functions[], fed_cel_net_functions[], fed_cel_quantity_functions[], fed_cel_optional_functions[],
    fed_cel_regex_functions[], fed_cel_format_functions[];
#define FED_CEL_FN(fn_name)                                                                                            \
    static bool fn_name(struct fed_cel_run *r FED_UNUSED, const struct fed_cel_node *n FED_UNUSED,                     \
                        const struct fed_cel_value *a FED_UNUSED, uint32_t n_args FED_UNUSED,                          \
                        struct fed_cel_value *out)

/* Overloads of names that strings and lists share stand in one table. */
bool fed_cel_list_index_of(struct fed_cel_run *r, const struct fed_cel_node *n, const struct fed_cel_value *a,
                           uint32_t n_args, struct fed_cel_value *out);
bool fed_cel_list_last_index_of(struct fed_cel_run *r, const struct fed_cel_node *n, const struct fed_cel_value *a,
                                uint32_t n_args, struct fed_cel_value *out);

/* --- run.c --- */
bool fed_cel_fail(struct fed_cel_run *r, const char *fmt, ...) FED_PRINTF(2, 3); /* false */
bool fed_cel_no_overload(struct fed_cel_run *r);
bool fed_cel_pay(struct fed_cel_run *r, uint64_t cost); /* false: past the limit */
bool fed_cel_pay_text(struct fed_cel_run *r, size_t bytes);
static inline uint64_t fed_cel_text_cost(size_t bytes)
{
    return (bytes + 9) / 10;
}
size_t fed_cel_utf8_length(struct fed_str s);
/* Byte offset of the character at index i, which may be the end; false: beyond it. */
bool fed_cel_utf8_at(struct fed_str s, int64_t i, size_t *off);
void fed_cel_double_write(double d, struct fed_buf *out);
/* The text of a growing result, in the run's arena. */
struct fed_str fed_cel_take(struct fed_cel_run *r, struct fed_buf *b);

/* --- value.c --- */
static inline struct fed_cel_value fed_cel_bool(bool b)
{
    return (struct fed_cel_value){.kind = FED_CEL_BOOL, .b = b};
}
static inline struct fed_cel_value fed_cel_int(int64_t i)
{
    return (struct fed_cel_value){.kind = FED_CEL_INT, .i = i};
}
static inline struct fed_cel_value fed_cel_double(double d)
{
    return (struct fed_cel_value){.kind = FED_CEL_DOUBLE, .d = d};
}
static inline struct fed_cel_value fed_cel_str(struct fed_str s)
{
    return (struct fed_cel_value){.kind = FED_CEL_STRING, .s = s};
}
struct fed_cel_value fed_cel_list(struct fed_cel_run *r, const struct fed_cel_value *items, uint32_t n);
uint32_t fed_cel_size(const struct fed_cel_value *v); /* items of a list, entries of a map or object */
size_t fed_cel_weight(const struct fed_cel_value *v); /* for costs: length or number of items, else 1 */
/* The item at i < size. */
void fed_cel_at(struct fed_cel_run *r, const struct fed_cel_value *list, uint32_t i, struct fed_cel_value *out);
/* Of a map or object of the tree; false: not there. */
bool fed_cel_member(struct fed_cel_run *r, const struct fed_cel_value *map, struct fed_str key,
                    struct fed_cel_value *out);
/* Walks lists (key: the index) and maps. */
struct fed_cel_walk {
    const struct fed_cel_value *of;
    const struct fed_json *next;
    uint32_t i, n;
};
struct fed_cel_walk fed_cel_walk(const struct fed_cel_value *v);
bool fed_cel_next(struct fed_cel_run *r, struct fed_cel_walk *w, struct fed_cel_value *key,
                  struct fed_cel_value *value);

/* --- compare.c. Both may set r->stopped when the comparison costs too much. --- */
bool fed_cel_equal(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b);
/* <0, 0, >0 in *c; false, and an error, when they have no order. */
bool fed_cel_compare(struct fed_cel_run *r, const struct fed_cel_value *a, const struct fed_cel_value *b, int *c);
/* Of a map or object; false: not there (no error). */
bool fed_cel_map_find(struct fed_cel_run *r, const struct fed_cel_value *map, const struct fed_cel_value *key,
                      struct fed_cel_value *out);
bool fed_cel_contains(struct fed_cel_run *r, const struct fed_cel_value *in, const struct fed_cel_value *v);

/* --- ops.c --- */
bool fed_cel_operate(struct fed_cel_run *r, enum fed_cel_op op, const struct fed_cel_value *a,
                     const struct fed_cel_value *b, struct fed_cel_value *out);
const char *fed_cel_op_name(enum fed_cel_op op); /* "_+_" */

/* --- time.c --- */
bool fed_cel_zone_read(struct fed_str *s, int *minutes); /* "Z", "+02:00"; moves past it */
bool fed_cel_timestamp_read(struct fed_str s, struct fed_cel_value *out);
bool fed_cel_date_read(struct fed_str s, struct fed_cel_value *out);
bool fed_cel_duration_read(struct fed_str s, bool days, struct fed_cel_value *out); /* days: units d and w too */
bool fed_cel_timestamp_ok(int64_t seconds);
void fed_cel_timestamp_write(const struct fed_cel_value *v, struct fed_buf *out);
void fed_cel_duration_write(int64_t nanoseconds, struct fed_buf *out);
/* --- amount.c --- */
#define FED_CEL_AMOUNT_HUGE ((__int128)1 << 110)
/* Brings both to the smaller exponent, as far as there is room. */
void fed_cel_amount_align(struct fed_cel_amount *a, struct fed_cel_amount *b);
int fed_cel_amount_compare(const struct fed_cel_amount *a, const struct fed_cel_amount *b);

/* --- fn_net.c --- */
bool fed_cel_url_read(struct fed_str s, struct fed_cel_link *out);

/* --- text.c --- */
bool fed_cel_to_text(struct fed_cel_run *r, const struct fed_cel_value *v, struct fed_cel_value *out);

#endif
