/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_priv.h: what plain scalars mean, shared by the YAML reader and writer. */
#ifndef FED_CODEC_YAML_PRIV_H
#define FED_CODEC_YAML_PRIV_H

#include "codec/json.h"

/* What a plain scalar stands for by the YAML 1.1 rules that Kubernetes' tools follow. */
struct fed_yaml_scalar {
    enum fed_json_type type;
    bool boolean;
    bool no_json;          /* .inf, .nan: numbers without a JSON form */
    struct fed_str number; /* JSON text of a number: the text itself, or made in the arena */
};
/* a NULL: only the type is wanted (number stays empty). */
struct fed_yaml_scalar fed_yaml_resolve(struct fed_arena *a, struct fed_str text);

#endif
