/* SPDX-License-Identifier: Apache-2.0 */
/* encryption.h: values encrypted between cache and store, by an EncryptionConfiguration
 * (apiserver.config.k8s.io/v1).
 *
 * Model:      a value in the store is "json GROUP/VERSION KEYID [DEFAULTS]\n" and then the object's JSON, or with a KEYID
 *             other than "-": a random nonce of 12 bytes, AES-GCM ciphertext, tag of 16 bytes. The key path and the header
 *             line are authenticated with it, so a value moved to another key does not open. The first provider of the
 *             first entry that names a resource writes; every key of the file reads. Plain values are always read.
 * Ownership:  a struct fed_encryption is immutable and belongs to the server once given to it.
 * Failure:    FED_E_INVALID for a configuration (names the place), FED_E_CORRUPT for a value: an unknown key is named.
 * Threads:    the state thread.
 */
#ifndef FED_APISERVER_ENCRYPTION_H
#define FED_APISERVER_ENCRYPTION_H

#include "kube/kind.h"

struct fed_encryption;
struct fed_api;

/* YAML or JSON. */
FED_MUST_USE int fed_encryption_parse(struct fed_str text, struct fed_encryption **out, struct fed_err *err);
void fed_encryption_free(struct fed_encryption *e); /* NULL ok */
/* The key id that values of the kind are written with: "-" for plain ones. e may be NULL. */
struct fed_str fed_encryption_writer(const struct fed_encryption *e, const struct fed_kind *kind);
bool fed_encryption_has(const struct fed_encryption *e, struct fed_str key_id);
/* The value of a plain one as it is to be stored (a copy when the kind is not encrypted). */
FED_MUST_USE int fed_encryption_seal(const struct fed_encryption *e, struct fed_env *env, const struct fed_kind *kind,
                                     struct fed_str path, struct fed_str plain_value, struct fed_buf *out,
                                     struct fed_err *err);
/* body: what follows the header line; head: the line without its end. Appends the JSON. */
FED_MUST_USE int fed_encryption_open(const struct fed_encryption *e, struct fed_str key_id, struct fed_str path,
                                     struct fed_str head, struct fed_str body, struct fed_buf *out,
                                     struct fed_err *err);

/* Can this value, as it lies in the store, be read with these keys? The error names the object. e may be NULL. */
FED_MUST_USE int fed_encryption_check(const struct fed_encryption *e, struct fed_str path, struct fed_str value,
                                      struct fed_err *err);

/* --- in the server (encryption_server.c) --- */
/* Reads conf.encryption_config, if any; again later when the file changed. */
FED_MUST_USE int fed_api_encryption_start(struct fed_api *api, struct fed_err *err);
void fed_api_encryption_release(struct fed_api *api);
/* Takes e. Refused (FED_E_INVALID) when a key that stored values need is missing in it. Values that should be written
 * otherwise are rewritten in the background. */
FED_MUST_USE int fed_api_set_encryption(struct fed_api *api, struct fed_encryption *e, struct fed_err *err);
void fed_api_encryption_sweep(struct fed_api *api); /* rewrite what is not as it should be */

#endif
