/* SPDX-License-Identifier: Apache-2.0 */
/* schema_priv.h: the compiled form of a structural schema, for the files of this room that walk it.
 *
 * Model:      a struct fed_schema is one use of a shape: what the place says (description, default, list type, patch
 *             strategy, protobuf number). The shape itself (struct fed_shape) is shared by all its uses: a named type is
 *             compiled once for the whole set, plain scalars are interned. Shapes may refer to themselves.
 * Invariants: properties are sorted by name (binary search). Immutable once compiled.
 * Ownership:  everything lives in the arena of the set or of the kind that it was compiled for.
 */
#ifndef FED_KUBE_SCHEMA_PRIV_H
#define FED_KUBE_SCHEMA_PRIV_H

#include "codec/regex.h"
#include "kube/schema.h"

enum fed_shape_type {
    FED_SHAPE_ANY,
    FED_SHAPE_OBJECT,
    FED_SHAPE_ARRAY,
    FED_SHAPE_STRING,
    FED_SHAPE_INTEGER,
    FED_SHAPE_NUMBER,
    FED_SHAPE_BOOLEAN,
    FED_SHAPE_INT_OR_STRING
};
enum fed_shape_format {
    FED_FORMAT_NONE,
    FED_FORMAT_INT32,
    FED_FORMAT_INT64,
    FED_FORMAT_DOUBLE,
    FED_FORMAT_BYTE,
    FED_FORMAT_TIME,
    FED_FORMAT_MICRO_TIME,
    FED_FORMAT_QUANTITY,
    FED_FORMAT_IPV4,
    FED_FORMAT_IPV6,
    FED_FORMAT_DATE,
    FED_FORMAT_OTHER
};
/* Value rules beyond the type; most shapes have none. */
struct fed_rules {
    bool has_min, has_max, exclusive_min, exclusive_max;
    bool unique_items;
    double min, max, multiple_of;                                               /* multiple_of 0: none */
    int64_t min_length, max_length, min_items, max_items, min_props, max_props; /* max -1: none */
    struct fed_regex *regex; /* NULL: no pattern, or one that cannot be evaluated */
    struct fed_str pattern;
    struct fed_json *enums;              /* array, or NULL */
    struct fed_str wrong;                /* x-wrong; p NULL: not given */
    bool told_at_parent, told_of_parent; /* x-told: item, parent */
    struct fed_schema **all_of, **any_of, **one_of, *not_of;
    size_t n_all_of, n_any_of, n_one_of;
    struct fed_str *required; /* members that the shape does not describe */
    size_t n_required;
};
struct fed_prop;
struct fed_shape {
    struct fed_str model; /* "apps.v1.DeploymentSpec" for a named type, else empty */
    struct fed_str description;
    enum fed_shape_type type;
    enum fed_shape_format format;
    struct fed_str format_name; /* as written, for OpenAPI */
    bool preserve, embedded;    /* x-kubernetes-preserve-unknown-fields, -embedded-resource */
    bool atomic;                /* x-kubernetes-map-type: atomic (on the type) */
    bool pb_raw, pb_wrap;       /* protobuf: {1: raw JSON}; {repeated items = 1} */
    bool compiled;
    uint8_t has_quantities; /* as has_defaults */
    uint8_t has_defaults;   /* 0 unknown, 1 no, 2 yes, 3 being computed */
    uint8_t has_zeros;      /* as has_defaults */
    bool has_ifs;           /* some property has default_if or default_from */
    struct fed_prop *props;
    uint32_t n_props;
    struct fed_schema *items, *additional;
    const struct fed_schema *also; /* what a custom kind asks of its metadata beyond the type */
    struct fed_rules *rules;
    struct fed_json *gvks; /* x-kubernetes-group-version-kind of types that are no stored kind */
};
enum fed_list_type { FED_LIST_ATOMIC, FED_LIST_SET, FED_LIST_MAP };
struct fed_schema {
    struct fed_shape *shape;
    struct fed_str description;
    const struct fed_json *dflt;
    const struct fed_json *zero;       /* what Go writes of it when nobody gave it a value; NULL: nothing */
    struct fed_str dflt_if, dflt_from; /* "type=A|B"; name of a sibling whose value is copied */
    struct fed_str *map_keys;
    struct fed_str patch_key;
    uint16_t n_map_keys;
    uint16_t pb, pb_outer;          /* protobuf field; inside message field pb_outer when that is not 0 */
    uint8_t list_type;              /* enum fed_list_type */
    bool patch_merge, patch_retain; /* x-kubernetes-patch-strategy */
    bool atomic, required, nullable;
    bool or_bool;           /* a boolean fits as well (JSONSchemaPropsOrBool) */
    struct fed_str missing; /* x-missing: what is told where it is missing, "Invalid value: 0: ..." */
    bool pb_ptr;            /* zero and empty are values on the wire (a pointer in Go) */
};
struct fed_prop {
    struct fed_str name;
    uint16_t place; /* in the document: faults are told in that order */
    struct fed_schema schema;
};

/* Compiles uses and named types. types: name -> struct fed_shape (in the set's arena). */
struct fed_compiler {
    struct fed_arena *arena;
    struct fed_map *types;
    const struct fed_json *defs; /* `types:` of the document being added, or NULL */
    struct fed_err *err;
    int depth;
    bool core; /* a document of ours: type definitions go to the set's arena. False: of a custom kind */
};
FED_MUST_USE int fed_schema_compile(struct fed_compiler *c, const struct fed_json *doc, struct fed_schema *out);
/* The named type, compiled when needed; NULL and err set when unknown. */
struct fed_shape *fed_schema_type(struct fed_compiler *c, struct fed_str name);
/* Makes apiVersion, kind and metadata (ObjectMeta) members of a top-level schema. */
FED_MUST_USE int fed_schema_finish_root(struct fed_compiler *c, struct fed_schema *root);
bool fed_shape_has_defaults(struct fed_shape *shape);
bool fed_shape_has_quantities(struct fed_shape *shape);
bool fed_shape_has_zeros(struct fed_shape *shape);

const struct fed_prop *fed_shape_find(const struct fed_shape *shape, struct fed_str name);

/* Walks a path of names ("." separated) below `obj`; NULL when absent. */
struct fed_json *fed_path_find(const struct fed_json *obj, const char *path);

/* The sets' lookups that the other files of the room need. */
struct fed_shape *fed_kinds_type(const struct fed_kinds *k, struct fed_str name);

/* Built-in hooks of the core kinds (hooks_*.c): a table ended by plural NULL; the tables' list is ended by NULL. */
struct fed_core_hooks {
    const char *group, *plural;
    struct fed_hooks hooks;
};
/* The table fed_hooks_NAME of each hooks_NAME.c, as CMake finds them; ends with NULL. */
extern const struct fed_core_hooks *const fed_core_hook_tables[];
/* Chains `more` behind the hooks present (see hooks.c). */
void fed_hooks_add(struct fed_arena *a, struct fed_hooks *present, const struct fed_hooks *more);

#endif
