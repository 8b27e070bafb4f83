/* SPDX-License-Identifier: Apache-2.0 */
/* gowords.h: values and type mismatches in the words of Go, which Kubernetes' error messages show and scripts match.
 *
 * Model:  a decoding error is made once, in the words of Go's JSON decoder (schema_validate.c); what other decoders of
 *         Kubernetes say of the same mismatch follows from that text. Pure; results live in the arena. */
#ifndef FED_KUBE_GOWORDS_H
#define FED_KUBE_GOWORDS_H

#include "codec/json.h"

/* As fmt's %v prints decoded JSON: "map[a:b c:[1 2]]", keys sorted. */
void fed_go_print(struct fed_buf *out, const struct fed_json *v);
/* As %T names it: "map[string]interface {}". */
const char *fed_go_type_name(const struct fed_json *v);
/* As the JSON decoder's errors name what they found: "number", "array". */
const char *fed_go_word(const struct fed_json *v);
/* "json: cannot unmarshal string into Go struct field X.y of type int32" as the converter of unstructured objects says
 * it, through which strategic merge patches go: "unrecognized type: int32". Other texts are returned as they are. */
struct fed_str fed_go_converter_words(struct fed_arena *a, struct fed_str decoder_words);

/* Why a text is no JSON, as Go's scanner says it: "invalid character 'x' looking for beginning of value"; p is NULL where
 * that finds no mistake. */
struct fed_str fed_go_json_mistake(struct fed_arena *a, struct fed_str text);

#endif
