/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h: YAML (as sigs.k8s.io/yaml reads it: YAML 1.1 scalars, anchors and aliases within limits) into the JSON tree,
 * and JSON trees as YAML text.
 *
 * Model: a stream of documents; empty documents are skipped. Duplicate keys, merge of unbounded aliases, depth, nodes
 * and size beyond the limits are errors with line and column. "yes"/"on" stay strings only when quoted, numbers keep
 * their text, "0x1f" and octal become decimal, timestamps stay strings. When limits has on_duplicate, duplicate keys
 * are reported and the last one wins, as with JSON. Merge keys (<<) are applied. Nodes have no source offsets (0),
 * except when the whole text is JSON.
 */
#ifndef FED_CODEC_YAML_H
#define FED_CODEC_YAML_H

#include "codec/json.h"

/* All documents of `text` as an ARRAY node of roots. 0, FED_E_SYNTAX, FED_E_LIMIT. JSON text is YAML. */
FED_MUST_USE int fed_yaml_parse_all(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                                    struct fed_json **out, struct fed_err *err);
/* Exactly one document. No document: FED_E_SYNTAX. */
FED_MUST_USE int fed_yaml_parse(struct fed_arena *a, struct fed_str text, const struct fed_json_limits *limits,
                                struct fed_json **out, struct fed_err *err);
/* Block style, two spaces, strings quoted only where needed; ends with a newline. */
void fed_yaml_write(struct fed_buf *out, const struct fed_json *v);

#endif
