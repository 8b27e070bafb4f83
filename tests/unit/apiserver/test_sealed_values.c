/* SPDX-License-Identifier: Apache-2.0 */
/* Values encrypted at rest: what was changed anywhere is found, and its object named. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "apiserver/encryption.h"
#include "support/test_env.h"

#define PATH "/registry/secrets/default/db"
static const char conf_text[] =
    "kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n- resources: [secrets]\n"
    "  providers:\n  - aesgcm: {keys: [{name: %s, secret: %s}]}\n";
#define KEY_A "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
#define KEY_B "YTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="

static struct fed_encryption *keys(const char *name, const char *secret)
{
    struct fed_buf text = {0};
    struct fed_encryption *e = NULL;
    struct fed_err err = {0};
    fed_buf_addf(&text, conf_text, name, secret);
    if (fed_encryption_parse(fed_buf_str(&text), &e, &err))
        fail_msg("%s", err.text);
    fed_buf_release(&text);
    return e;
}

static void seal(struct fed_encryption *e, const char *plain, struct fed_buf *out)
{
    struct test_env t;
    struct fed_kind secrets = {.plural = FED_STR("secrets")};
    test_env_init(&t, 1);
    assert_int_equal(fed_encryption_seal(e, &t.env, &secrets, FED_STR(PATH), fed_str(plain), out, NULL), 0);
    test_env_release(&t);
}

static void each_bit_counts(void **state)
{
    (void)state;
    struct fed_encryption *e = keys("k1", KEY_A);
    struct fed_buf value = {0};
    struct fed_err err = {0};
    seal(e, "json v1 -\n{\"data\":{\"a\":\"c2VjcmV0\"}}", &value);
    assert_null(memmem(value.p, value.n, "c2VjcmV0", 8));
    assert_int_equal(fed_encryption_check(e, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    for (size_t bit = 8 * sizeof("json ") - 8; bit < value.n * 8; bit++) {
        value.p[bit / 8] ^= (char)(1 << bit % 8);
        err = (struct fed_err){0};
        /* A header whose last word became another one names a key that is not there. */
        assert_int_not_equal(fed_encryption_check(e, FED_STR(PATH), fed_buf_str(&value), &err), 0);
        if (!strstr(err.text, PATH))
            fail_msg("bit %zu: %s", bit, err.text);
        value.p[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t n = value.n - 1; n > 12; n--) /* cut short, behind the header */
        assert_int_not_equal(fed_encryption_check(e, FED_STR(PATH), fed_str_n(value.p, n), &err), 0);
    assert_int_equal(fed_encryption_check(e, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    fed_buf_release(&value);
    fed_encryption_free(e);
}

static void bound_to_place_and_key(void **state)
{
    (void)state;
    struct fed_encryption *a = keys("k1", KEY_A), *b = keys("k1", KEY_B), *c = keys("k2", KEY_A);
    struct fed_buf value = {0};
    struct fed_err err = {0};
    seal(a, "json v1 -\n{}", &value);
    assert_int_not_equal(fed_encryption_check(a, FED_STR(PATH "2"), fed_buf_str(&value), &err), 0);
    assert_non_null(strstr(err.text, PATH "2: key \"k1\""));
    assert_int_not_equal(fed_encryption_check(b, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    assert_non_null(strstr(err.text, "does not verify"));
    assert_int_not_equal(fed_encryption_check(c, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    assert_non_null(
        strstr(err.text, "encrypted with the key \"k1\", which the encryption configuration does not have"));
    assert_int_not_equal(fed_encryption_check(NULL, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    assert_non_null(strstr(err.text, "needs an encryption configuration"));
    assert_int_equal(fed_encryption_check(NULL, FED_STR(PATH), FED_STR("json v1 -\n{}"), &err), 0);
    /* What follows the key's name is none: the defaults that the object was written by. */
    assert_int_equal(fed_encryption_check(NULL, FED_STR(PATH), FED_STR("json v1 - f259d305\n{}"), &err), 0);
    value.n = 0;
    seal(a, "json v1 - f259d305\n{}", &value);
    assert_int_equal(fed_encryption_check(a, FED_STR(PATH), fed_buf_str(&value), &err), 0);
    fed_buf_release(&value);
    fed_encryption_free(a);
    fed_encryption_free(b);
    fed_encryption_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_bit_counts), cmocka_unit_test(bound_to_place_and_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
