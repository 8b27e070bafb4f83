/* SPDX-License-Identifier: Apache-2.0 */
/* obj_scan.h: one strict pass over the JSON text of an object that finds its metadata without building a tree.
 *
 * Model:      the pass accepts exactly what codec/json.h accepts (depth 100), so an object indexed once always parses.
 *             Found strings are raw: a slice of the text between the quotes, with a mark when it holds escapes.
 * Ownership:  slices point into the text. fed_objscan_release frees what grew beyond the room inside the struct.
 * Threads:    a value on the caller's stack.
 * Failure:    FED_E_SYNTAX with line and column in err.
 */
#ifndef FED_KUBE_OBJ_SCAN_H
#define FED_KUBE_OBJ_SCAN_H

#include "base/err.h"
#include "base/str.h"

struct fed_raw { /* a string of the text; p NULL: absent */
    const char *p;
    uint32_t n;
    uint32_t flags; /* RAW_ESCAPED; of owners: RAW_CONTROLLER, RAW_BLOCK */
};
enum { FED_RAW_ESCAPED = 1, FED_RAW_CONTROLLER = 2, FED_RAW_BLOCK = 4 };
struct fed_raws {
    struct fed_raw *v;
    size_t n, cap;
    struct fed_raw room[24];
};
struct fed_objscan {
    struct fed_str text; /* the object, without white space around it */
    struct fed_raw api_version, kind, ns, name, uid, rev;
    int64_t generation;
    bool deleting, has_metadata;
    const char *metadata_open; /* past the '{' of metadata */
    bool metadata_empty;
    struct fed_raws labels, annotations; /* key, value, key, value… */
    struct fed_raws owners;              /* apiVersion, kind, name, uid; flags stand on the first */
    struct fed_raws finalizers;
};

FED_MUST_USE int fed_objscan(struct fed_objscan *s, struct fed_str text, struct fed_err *err);
void fed_objscan_release(struct fed_objscan *s);
/* Decodes a raw string into out (room for raw.n bytes); returns its length. */
size_t fed_raw_decode(struct fed_raw raw, char *out);

/* Walks the members of the object at the start of `text` or the items of an array, for list bodies: calls
 * each(ud, key, value_text); key is empty for items. Stops when each returns nonzero and returns that. */
FED_MUST_USE int fed_json_walk(struct fed_str text, int (*each)(void *ud, struct fed_str key, struct fed_str value),
                               void *ud, struct fed_err *err);

#endif
