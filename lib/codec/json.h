/* SPDX-License-Identifier: Apache-2.0 */
/* json.h: JSON (RFC 8259) reader and writer on an arena tree. The one JSON tree of the house: API objects,
 * configuration (YAML parses into it, see yaml.h), kubeconfig and test data all use it.
 *
 * Model:      a node is a value; the members of an object and the items of an array are a doubly linked list in source
 *             order. Numbers keep their text ("1e3" stays "1e3"); strings are decoded UTF-8. A tree may be changed in
 *             place: nodes are made in an arena and linked; nothing is freed before the arena.
 * Invariants: the reader refuses invalid UTF-8, lone surrogates, control bytes in strings, trailing data, and anything
 *             past its limits, with line and column. A duplicate member is kept last-wins and, on demand, reported
 *             (100 reports for a document at most).
 * Ownership:  every node and string belongs to the arena (or borrows the source text, which must live as long).
 *             Accessors return borrowed pointers or NULL.
 * Threads:    one at a time per tree.
 */
#ifndef FED_CODEC_JSON_H
#define FED_CODEC_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum fed_json_type { FED_JSON_NULL, FED_JSON_BOOL, FED_JSON_NUMBER, FED_JSON_STRING, FED_JSON_ARRAY, FED_JSON_OBJECT };

struct fed_json {
    enum fed_json_type type;
    bool boolean;                  /* BOOL */
    uint32_t off;                  /* offset of the value in the source, 0 for made nodes */
    uint32_t end;                  /* offset past the value in the source: [off, end) is its text; 0 for made nodes */
    uint32_t n;                    /* number of children */
    struct fed_str key;            /* member name; key.p == NULL in arrays and at the root */
    struct fed_str s;              /* NUMBER: its text; STRING: decoded */
    struct fed_json *first, *last; /* children */
    struct fed_json *prev, *next;  /* siblings */
    struct fed_json *parent;
};

/* A member that its object has had before. The path is "spec.replicas", "spec.containers[0].name". */
struct fed_json_duplicate {
    const char *path;
    const struct fed_json *earlier, *later; /* still in the tree; the later one stays */
    uint32_t line; /* of the later one's value, in YAML, from 1; in JSON 0: there is later->off */
};

struct fed_json_limits {
    size_t max_bytes;   /* 0: 3 MiB */
    uint32_t max_depth; /* 0: 100 */
    uint32_t max_nodes; /* 0: 500,000 */
    /* Called for each duplicate member; NULL: not reported. */
    void (*on_duplicate)(void *ud, const struct fed_json_duplicate *d);
    void *ud;
};

/* Parses exactly one value. Strings without escapes borrow `text`. Returns 0, FED_E_SYNTAX or FED_E_LIMIT. */
FED_MUST_USE int fed_json_parse(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                                struct fed_json **out, struct fed_err *err);

/* Appends compact text (no spaces, members in order; Go-compatible: <, > and & are not escaped). */
void fed_json_write(struct fed_buf *out, const struct fed_json *v);
void fed_json_write_indent(struct fed_buf *out, const struct fed_json *v, int spaces); /* multi-line */
struct fed_str fed_json_text(struct fed_arena *a, const struct fed_json *v); /* compact, new, with a zero behind it */
/* Appends s as a JSON string with quotes. */
void fed_json_write_string(struct fed_buf *out, struct fed_str s);

/* --- looking (obj may be NULL or of another type: then NULL / default) --- */
struct fed_json *fed_json_find(const struct fed_json *obj, const char *key);
struct fed_json *fed_json_find_str(const struct fed_json *obj, struct fed_str key);
/* Nested members: fed_json_at(v, "spec", "template", "metadata", NULL). */
struct fed_json *fed_json_at(const struct fed_json *v, ...) __attribute__((sentinel));
struct fed_json *fed_json_item(const struct fed_json *arr, uint32_t i);
/* Text of a STRING node, else the empty slice (p == NULL). */
struct fed_str fed_json_str(const struct fed_json *v);
struct fed_str fed_json_find_text(const struct fed_json *obj, const char *key); /* = str(find(obj, key)) */
bool fed_json_bool(const struct fed_json *v, bool dflt);
/* Integral NUMBER in range, also "3.0" and "3e0"; else dflt. */
int64_t fed_json_int(const struct fed_json *v, int64_t dflt);
double fed_json_double(const struct fed_json *v, double dflt);
bool fed_json_is_int(const struct fed_json *v, int64_t *out); /* true and *out set (out may be NULL) */
/* Deep equality: numbers by value where both are integral, objects without regard to order. */
bool fed_json_equal(const struct fed_json *a, const struct fed_json *b);
/* A value that says nothing: null, "", 0, false, and containers of nothing but such. */
bool fed_json_blank(const struct fed_json *v);
/* As fed_json_equal, but objects in `have` may have members beyond those of `want` that are blank: what a server writes
 * of fields that nobody gave it. A null, [] or {} in `want` stands for no member as well. */
bool fed_json_equal_filled(const struct fed_json *want, const struct fed_json *have);
#define FED_JSON_EACH(it, v) for (struct fed_json *it = (v) ? (v)->first : NULL; it; it = it->next)
#define FED_JSON_EACH_SAFE(it, v)                                                                                      \
    for (struct fed_json *it = (v) ? (v)->first : NULL, *it##_next = it ? it->next : NULL; it;                         \
         it = it##_next, it##_next = it ? it->next : NULL)

/* --- members of one object by key, in constant time when the object is large, by a walk when it is small: no operation
 * on trees from outside may be quadratic --- */
struct fed_json_index { /* zero-initialised = empty; the slots may serve several objects one after another */
    struct fed_json **slots;
    size_t mask;
    size_t cap;
    uint32_t n;         /* members of a small object: so many are walked */
    bool built, hashed; /* not built: all are walked; not hashed: the object was small */
};
/* For finding in obj (may be NULL or no object). Of members that are added or replaced meanwhile the index knows
 * nothing: then each key must be asked for once, before its member is changed. */
void fed_json_index_build(struct fed_json_index *ix, const struct fed_json *obj);
struct fed_json *fed_json_index_find(const struct fed_json_index *ix, const struct fed_json *obj, struct fed_str key);
void fed_json_index_release(struct fed_json_index *ix);

/* --- checked reading, for configuration and hooks: the error names the path --- */
/* *out = text of member `key`; absent: dflt ({NULL,0} = required). 0 or FED_E_INVALID "server: must be a string". */
FED_MUST_USE int fed_json_read_str(const struct fed_json *obj, const char *key, const char *dflt, struct fed_str *out,
                                   struct fed_err *err);
FED_MUST_USE int fed_json_read_int(const struct fed_json *obj, const char *key, int64_t dflt, int64_t min, int64_t max,
                                   int64_t *out, struct fed_err *err);
FED_MUST_USE int fed_json_read_bool(const struct fed_json *obj, const char *key, bool dflt, bool *out,
                                    struct fed_err *err);
/* Path of a node from its root ("spec.containers[0].image"; keys with dots as [key]); "" for the root. */
void fed_json_path(const struct fed_json *v, struct fed_buf *out);

/* --- making: new nodes in the arena, linked nowhere. Text arguments are borrowed, not copied. --- */
struct fed_json *fed_json_null(struct fed_arena *a);
struct fed_json *fed_json_new_bool(struct fed_arena *a, bool b);
struct fed_json *fed_json_new_int(struct fed_arena *a, int64_t v);
struct fed_json *fed_json_new_number(struct fed_arena *a, struct fed_str text);
struct fed_json *fed_json_new_str(struct fed_arena *a, struct fed_str s);
struct fed_json *fed_json_new_strz(struct fed_arena *a, const char *z);
struct fed_json *fed_json_new_strf(struct fed_arena *a, const char *fmt, ...) FED_PRINTF(2, 3); /* copied */
struct fed_json *fed_json_array(struct fed_arena *a);
struct fed_json *fed_json_object(struct fed_arena *a);
struct fed_json *fed_json_copy(struct fed_arena *a, const struct fed_json *v); /* deep; also copies text */

/* --- changing. A child must be unlinked (new or removed) before it is linked. Where the container is of another type
 * (a tree from outside may hold anything), nothing is linked: check first, or use ensure_*. --- */
/* Sets or replaces member `key` (borrowed; a literal or arena text); a replaced node keeps its place. Returns child. */
struct fed_json *fed_json_set(struct fed_json *obj, const char *key, struct fed_json *child);
struct fed_json *fed_json_set_str(struct fed_json *obj, struct fed_str key, struct fed_json *child);
/* The same where it is known that there is no such member yet. */
struct fed_json *fed_json_add(struct fed_json *obj, struct fed_str key, struct fed_json *child);
/* Finds member `key` as an object (or array), making it when absent or null; NULL if it is something else. */
struct fed_json *fed_json_ensure_object(struct fed_arena *a, struct fed_json *obj, const char *key);
struct fed_json *fed_json_ensure_array(struct fed_arena *a, struct fed_json *obj, const char *key);
struct fed_json *fed_json_push(struct fed_json *arr, struct fed_json *child); /* at the end */
struct fed_json *fed_json_insert(struct fed_json *arr, struct fed_json *before, struct fed_json *child); /* NULL: end */
void fed_json_remove(struct fed_json *child); /* from its parent; its key is forgotten */
bool fed_json_remove_key(struct fed_json *obj, const char *key);
/* `with` takes the place (and key) of `child` in its parent. */
void fed_json_replace(struct fed_json *child, struct fed_json *with);

#endif
