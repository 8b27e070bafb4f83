/* SPDX-License-Identifier: Apache-2.0 */
/* names.h: Kubernetes names, label syntax and generated names. Pure but for entropy.
 * Source: apimachinery validation (DNS-1123 label and subdomain, DNS-1035, qualified names, label values). */
#ifndef FED_KUBE_NAMES_H
#define FED_KUBE_NAMES_H

#include "base/arena.h"
#include "base/env.h"
#include "base/str.h"

/* Each returns NULL when valid, else the first of the words that Kubernetes uses (static text). */
const char *fed_name_check_subdomain(struct fed_str s);    /* DNS-1123, <= 253 */
const char *fed_name_check_label(struct fed_str s);        /* DNS-1123, <= 63 */
const char *fed_name_check_1035(struct fed_str s);         /* DNS-1035, <= 63 */
const char *fed_name_check_path_segment(struct fed_str s); /* not ".", "..", no '/' or '%' */
const char *fed_name_check_qualified(struct fed_str s);    /* label and annotation keys */
const char *fed_name_check_label_value(struct fed_str s);
const char *fed_name_check_config_key(struct fed_str s); /* of ConfigMaps and Secrets */
const char *fed_name_check_port(struct fed_str s);       /* IANA service name, <= 15 */
/* All that is wrong with it in their order; check is one of the above, or another that knows of one fault. */
#define FED_NAME_FAULTS 5
size_t fed_name_faults(const char *(*check)(struct fed_str s), struct fed_str s, const char *out[FED_NAME_FAULTS]);
struct fed_str fed_name_lower(struct fed_arena *a, struct fed_str s); /* a copy without capitals (ASCII) */
/* base + 5 characters of "bcdfghjklmnpqrstvwxz2456789", base cut so that the whole fits 63. */
struct fed_str fed_name_generate(struct fed_env *env, struct fed_arena *a, struct fed_str base);
/* Short stable hash (of any text) in the same alphabet, for pod-template-hash and the like; out: 11 bytes with NUL. */
void fed_name_hash(struct fed_str text, char out[11]);

#endif
