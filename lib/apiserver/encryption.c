/* SPDX-License-Identifier: Apache-2.0 */
#include "apiserver/encryption.h"

#include <string.h>

#include "base/env.h"
#include "base/mem.h"
#include "codec/base64.h"
#include "codec/yaml.h"
#include "crypto/aead.h"

#define MAX_KEYS 64

struct key {
    struct fed_str name;
    uint8_t bytes[32];
    size_t n;
};
struct entry { /* one item of `resources` */
    const struct fed_json *resources;
    struct fed_str writer; /* key id, or "-" */
};
struct fed_encryption {
    struct fed_arena arena;
    struct entry *entries;
    size_t n_entries;
    struct key keys[MAX_KEYS];
    size_t n_keys;
};

static const struct key *find_key(const struct fed_encryption *e, struct fed_str name)
{
    for (size_t i = 0; e && i < e->n_keys; i++)
        if (fed_str_eq(e->keys[i].name, name))
            return &e->keys[i];
    return NULL;
}

/* --- reading the configuration --- */

static int bad(struct fed_err *err, const struct fed_json *at, const char *what)
{
    struct fed_buf path = {0};
    fed_json_path(at, &path);
    fed_err_set(err, FED_E_INVALID, "%s: %s", path.n ? fed_buf_z(&path) : "EncryptionConfiguration", what);
    fed_buf_release(&path);
    return FED_E_INVALID;
}

/* Names are words of the header line. */
static bool is_key_name(struct fed_str s)
{
    if (!s.n || s.n > 63 || fed_str_is(s, "-"))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
              c == '.'))
            return false;
    }
    return true;
}

static int only_members(const struct fed_json *obj, const char *const *names, struct fed_err *err)
{
    FED_JSON_EACH(m, obj) {
        bool known = false;
        for (const char *const *n = names; *n; n++)
            known |= fed_str_is(m->key, *n);
        if (!known)
            return bad(err, m, "unknown field");
    }
    return 0;
}

static int read_key(struct fed_encryption *e, const struct fed_json *k, struct fed_err *err)
{
    static const char *const members[] = {"name", "secret", NULL};
    struct fed_str name = fed_json_find_text(k, "name"), raw;
    struct fed_arena scratch = {0};
    if (only_members(k, members, err))
        return FED_E_INVALID;
    if (!is_key_name(name))
        return bad(err, k, "name: 1 to 63 letters, digits, '-', '_' and '.'");
    if (fed_base64_decode(&scratch, fed_json_find_text(k, "secret"), &raw) ||
        (raw.n != 16 && raw.n != 24 && raw.n != 32)) {
        fed_arena_release(&scratch);
        return bad(err, k, "secret: not the base64 form of 16, 24 or 32 bytes");
    }
    const struct key *same = find_key(e, name);
    int rc = 0;
    if (same && (same->n != raw.n || memcmp(same->bytes, raw.p, raw.n) != 0)) {
        rc = bad(err, k, "another key has this name");
    } else if (!same && e->n_keys == MAX_KEYS) {
        rc = bad(err, k, "more than 64 keys");
    } else if (!same) {
        struct key *to = &e->keys[e->n_keys++];
        to->name = name;
        to->n = raw.n;
        memcpy(to->bytes, raw.p, raw.n);
    }
    explicit_bzero((char *)raw.p, raw.n);
    fed_arena_release(&scratch);
    return rc;
}

/* *writer is set by the first provider of the list. */
static int read_provider(struct fed_encryption *e, const struct fed_json *p, struct fed_str *writer,
                         struct fed_err *err)
{
    static const char *const members[] = {"keys", NULL};
    if (p->type != FED_JSON_OBJECT || p->n != 1)
        return bad(err, p, "exactly one provider is to be named");
    const struct fed_json *one = p->first, *keys = fed_json_find(one, "keys");
    if (fed_str_is(one->key, "identity")) {
        if (!writer->n)
            *writer = FED_STR("-");
        return 0;
    }
    if (!fed_str_is(one->key, "aesgcm"))
        return bad(err, one, "this provider is not supported: identity and aesgcm are");
    if (only_members(one, members, err))
        return FED_E_INVALID;
    if (!keys || keys->type != FED_JSON_ARRAY || !keys->n)
        return bad(err, one, "keys: at least one is required");
    FED_JSON_EACH(k, keys) {
        if (read_key(e, k, err))
            return FED_E_INVALID;
        if (!writer->n)
            *writer = fed_json_find_text(k, "name");
    }
    return 0;
}

static int read_entry(struct fed_encryption *e, const struct fed_json *r, struct fed_err *err)
{
    static const char *const members[] = {"resources", "providers", NULL};
    const struct fed_json *names = fed_json_find(r, "resources"), *providers = fed_json_find(r, "providers");
    struct entry *to = &e->entries[e->n_entries];
    if (only_members(r, members, err))
        return FED_E_INVALID;
    if (!names || names->type != FED_JSON_ARRAY || !names->n)
        return bad(err, r, "resources: at least one is required");
    if (!providers || providers->type != FED_JSON_ARRAY || !providers->n)
        return bad(err, r, "providers: at least one is required");
    FED_JSON_EACH(n, names)
        if (n->type != FED_JSON_STRING || !n->s.n)
            return bad(err, n, "must be a resource such as \"secrets\", \"deployments.apps\" or \"*.*\"");
    *to = (struct entry){.resources = names};
    FED_JSON_EACH(p, providers)
        if (read_provider(e, p, &to->writer, err))
            return FED_E_INVALID;
    e->n_entries++;
    return 0;
}

static int read_all(struct fed_encryption *e, struct fed_str text, struct fed_err *err)
{
    static const char *const members[] = {"kind", "apiVersion", "resources", "metadata", NULL};
    struct fed_json_limits limits = {.max_bytes = 1024 * 1024};
    struct fed_json *v = NULL;
    if (fed_yaml_parse(&e->arena, fed_arena_dup(&e->arena, text), &limits, &v, err))
        return err ? err->code : FED_E_INVALID;
    if (!fed_str_is(fed_json_find_text(v, "kind"), "EncryptionConfiguration") ||
        !fed_str_is(fed_json_find_text(v, "apiVersion"), "apiserver.config.k8s.io/v1"))
        return bad(err, v, "kind EncryptionConfiguration of apiserver.config.k8s.io/v1 is expected");
    const struct fed_json *list = fed_json_find(v, "resources");
    if (only_members(v, members, err))
        return FED_E_INVALID;
    if (!list || list->type != FED_JSON_ARRAY || !list->n)
        return bad(err, v, "resources: at least one is required");
    e->entries = FED_ARENA_ARRAY(&e->arena, struct entry, list->n);
    FED_JSON_EACH(r, list)
        if (read_entry(e, r, err))
            return FED_E_INVALID;
    return 0;
}

int fed_encryption_parse(struct fed_str text, struct fed_encryption **out, struct fed_err *err)
{
    struct fed_encryption *e = FED_NEW(struct fed_encryption);
    struct fed_err why = {0};
    int rc = read_all(e, text, &why);
    *out = NULL;
    if (rc) {
        fed_encryption_free(e);
        if (err)
            *err = why;
        return rc;
    }
    *out = e;
    return 0;
}

void fed_encryption_free(struct fed_encryption *e)
{
    if (!e)
        return;
    explicit_bzero(e->keys, sizeof e->keys);
    fed_arena_release(&e->arena);
    free(e);
}

/* --- which key --- */

/* "secrets", "deployments.apps", "*.apps", "*." (core), "*.*". */
static bool names_kind(struct fed_str pattern, const struct fed_kind *k)
{
    struct fed_str group = pattern, plural = {NULL, 0};
    (void)fed_str_cut(&group, '.', &plural);
    if (fed_str_is(plural, "*"))
        return fed_str_is(group, "*") || (group.p && fed_str_eq(group, k->group));
    return fed_str_eq(plural, k->plural) && fed_str_eq(group, k->group);
}

struct fed_str fed_encryption_writer(const struct fed_encryption *e, const struct fed_kind *kind)
{
    for (size_t i = 0; e && i < e->n_entries; i++)
        FED_JSON_EACH(n, e->entries[i].resources)
            if (names_kind(n->s, kind))
                return e->entries[i].writer;
    return FED_STR("-");
}

bool fed_encryption_has(const struct fed_encryption *e, struct fed_str key_id)
{
    return fed_str_is(key_id, "-") || find_key(e, key_id);
}

/* --- values --- */

static void put_associated(struct fed_buf *b, struct fed_str path, struct fed_str head)
{
    fed_buf_add(b, path);
    fed_buf_addc(b, '\n');
    fed_buf_add(b, head);
}

int fed_encryption_seal(const struct fed_encryption *e, struct fed_env *env, const struct fed_kind *kind,
                        struct fed_str path, struct fed_str plain, struct fed_buf *out, struct fed_err *err)
{
    struct fed_str id = fed_encryption_writer(e, kind);
    const struct key *k = find_key(e, id);
    ptrdiff_t nl = fed_str_chr(plain, '\n', 0), dash = fed_str_find(plain, FED_STR(" -"), 0);
    if (!k || dash < 0 || dash + 2 > nl) {
        fed_buf_add(out, plain);
        return 0;
    }
    /* The third word of a plain value's header is "-": the key's id takes its place. */
    uint8_t nonce[FED_AEAD_NONCE];
    struct fed_buf ad = {0};
    size_t start = out->n;
    fed_buf_add(out, fed_str_head(plain, (size_t)dash + 1));
    fed_buf_add(out, id);
    fed_buf_append(out, plain.p + dash + 2, (size_t)(nl - dash) - 2);
    put_associated(&ad, path, fed_str_from(fed_buf_str(out), start));
    fed_buf_addc(out, '\n');
    fed_random(env, nonce, sizeof nonce);
    fed_buf_append(out, nonce, sizeof nonce);
    int rc = fed_aead_seal(fed_str_n((const char *)k->bytes, k->n), nonce, fed_buf_str(&ad),
                           fed_str_from(plain, (size_t)nl + 1), out, err);
    fed_buf_release(&ad);
    return rc;
}

int fed_encryption_open(const struct fed_encryption *e, struct fed_str id, struct fed_str path, struct fed_str head,
                        struct fed_str body, struct fed_buf *out, struct fed_err *err)
{
    const struct key *k = find_key(e, id);
    struct fed_buf ad = {0};
    uint8_t nonce[FED_AEAD_NONCE];
    if (!k)
        return fed_err_set(err, FED_E_CORRUPT, "encrypted with the key \"%.*s\", which %s", FED_STR_ARG(id),
                           e ? "the encryption configuration does not have"
                             : "needs an encryption configuration (--encryption-provider-config)");
    if (body.n < FED_AEAD_NONCE + FED_AEAD_TAG)
        return fed_err_set(err, FED_E_CORRUPT, "the encrypted value is cut short");
    memcpy(nonce, body.p, sizeof nonce);
    put_associated(&ad, path, head);
    int rc = fed_aead_open(fed_str_n((const char *)k->bytes, k->n), nonce, fed_buf_str(&ad),
                           fed_str_from(body, FED_AEAD_NONCE), out, err);
    fed_buf_release(&ad);
    return rc ? fed_err_wrap(err, rc, "key \"%.*s\"", FED_STR_ARG(id)) : 0;
}

int fed_encryption_check(const struct fed_encryption *e, struct fed_str path, struct fed_str value, struct fed_err *err)
{
    struct fed_str body = value, head, rest, word = {0};
    struct fed_buf plain = {0};
    if (!fed_str_starts(value, FED_STR("json ")) || !fed_str_cut(&body, '\n', &head))
        return 0; /* no form of ours: whoever reads it says so */
    rest = head;
    for (int i = 0; i < 3; i++) /* json, the version, the key's name (cache.c) */
        (void)fed_str_cut(&rest, ' ', &word);
    if (fed_str_is(word, "-"))
        return 0;
    int rc = fed_encryption_open(e, word, path, head, body, &plain, err);
    if (plain.p)
        explicit_bzero(plain.p, plain.n);
    fed_buf_release(&plain);
    return rc ? fed_err_wrap(err, rc, "%.*s", FED_STR_ARG(path)) : 0;
}
