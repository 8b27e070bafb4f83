/* SPDX-License-Identifier: Apache-2.0 */
/* json_read.c: checked reading with errors that name the path. */
#include "codec/json_priv.h"

#include "base/mem.h"

static bool plain_key(struct fed_str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] == '.' || key.p[i] == '[' || key.p[i] == ']')
            return false;
    return key.n > 0;
}

static uint32_t place_in_array(const struct fed_json *v)
{
    uint32_t i = 0;
    if (!v->next) /* also while the array is being read */
        return v->parent->n - 1;
    for (const struct fed_json *it = v->prev; it; it = it->prev)
        i++;
    return i;
}

static void add_step(const struct fed_json *v, struct fed_buf *out, bool first)
{
    if (v->parent->type == FED_JSON_ARRAY) {
        fed_buf_addf(out, "[%u]", place_in_array(v));
    } else if (plain_key(v->key)) {
        if (!first)
            fed_buf_addc(out, '.');
        fed_buf_add(out, v->key);
    } else {
        fed_buf_addc(out, '[');
        fed_buf_add(out, v->key);
        fed_buf_addc(out, ']');
    }
}

void fed_json_path(const struct fed_json *v, struct fed_buf *out)
{
    /* The way is known upwards and written downwards; deep trees are no reason to recurse. */
    const struct fed_json *few[32], **steps = few;
    size_t n = 0;
    for (const struct fed_json *at = v; at && at->parent; at = at->parent)
        n++;
    if (n > FED_ARRAY_LEN(few))
        steps = fed_calloc(n, sizeof(*steps));
    size_t i = n;
    for (const struct fed_json *at = v; at && at->parent; at = at->parent)
        steps[--i] = at;
    for (i = 0; i < n; i++)
        add_step(steps[i], out, i == 0);
    if (steps != few)
        free(steps);
}

/* "spec.server: " + what; key is the member of obj that is meant. */
static int refuse(const struct fed_json *obj, const char *key, struct fed_err *err, const char *what)
{
    struct fed_buf path = {.max = 256};
    if (obj)
        fed_json_path(obj, &path);
    if (path.n)
        fed_buf_addc(&path, '.');
    fed_buf_addz(&path, key);
    fed_err_set(err, FED_E_INVALID, "%.*s: %s", FED_STR_ARG(fed_buf_str(&path)), what);
    fed_buf_release(&path);
    return FED_E_INVALID;
}

static const struct fed_json *find_set(const struct fed_json *obj, const char *key)
{
    const struct fed_json *v = fed_json_find(obj, key);
    return v && v->type != FED_JSON_NULL ? v : NULL; /* null means absent, as in the Kubernetes API */
}

int fed_json_read_str(const struct fed_json *obj, const char *key, const char *dflt, struct fed_str *out,
                      struct fed_err *err)
{
    const struct fed_json *v = find_set(obj, key);
    *out = fed_str(dflt);
    if (!v)
        return dflt ? 0 : refuse(obj, key, err, "required");
    if (v->type != FED_JSON_STRING)
        return refuse(obj, key, err, "must be a string");
    *out = v->s;
    return 0;
}

int fed_json_read_int(const struct fed_json *obj, const char *key, int64_t dflt, int64_t min, int64_t max, int64_t *out,
                      struct fed_err *err)
{
    const struct fed_json *v = find_set(obj, key);
    int64_t n;
    char what[96];
    *out = dflt;
    if (!v)
        return 0;
    if (!fed_json_is_int(v, &n) || n < min || n > max) {
        snprintf(what, sizeof(what), "must be an integer from %lld to %lld", (long long)min, (long long)max);
        return refuse(obj, key, err, what);
    }
    *out = n;
    return 0;
}

int fed_json_read_bool(const struct fed_json *obj, const char *key, bool dflt, bool *out, struct fed_err *err)
{
    const struct fed_json *v = find_set(obj, key);
    *out = dflt;
    if (!v)
        return 0;
    if (v->type != FED_JSON_BOOL)
        return refuse(obj, key, err, "must be true or false");
    *out = v->boolean;
    return 0;
}
