/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/pki.h"
#include "crypto/pki_request.h"

static const int64_t T0 = 1700000000000, T1 = 1800000000000;

struct set {
    struct fed_buf ca_key, ca, key, cert;
};

static int make_set(void **state)
{
    static struct set s;
    static const char *const dns[] = {"api.example", "*.example", NULL};
    static const char *const ips[] = {"127.0.0.1", "::1", NULL};
    const struct fed_str orgs[] = {FED_STR_INIT("system:masters"), FED_STR_INIT("dev")};
    struct fed_cert_spec spec = {.cn = FED_STR("admin"),
                                 .orgs = orgs,
                                 .n_orgs = 2,
                                 .dns_names = dns,
                                 .ips = ips,
                                 .server = true,
                                 .client = true,
                                 .not_before_ms = T0,
                                 .not_after_ms = T1};
    s = (struct set){0};
    assert_int_equal(fed_pki_new_key(&s.ca_key, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&s.ca_key), FED_STR("test-ca"), T0, T1, &s.ca, NULL), 0);
    assert_int_equal(fed_pki_new_key(&s.key, NULL), 0);
    assert_int_equal(
        fed_pki_sign(fed_buf_str(&s.ca), fed_buf_str(&s.ca_key), fed_buf_str(&s.key), &spec, &s.cert, NULL), 0);
    *state = &s;
    return 0;
}

static int free_set(void **state)
{
    struct set *s = *state;
    fed_buf_release(&s->ca_key);
    fed_buf_release(&s->ca);
    fed_buf_release(&s->key);
    fed_buf_release(&s->cert);
    return 0;
}

static void test_leaf(void **state)
{
    struct set *s = *state;
    int64_t from = 0, to = 0;
    assert_true(fed_str_starts(fed_buf_str(&s->key), FED_STR("-----BEGIN PRIVATE KEY-----")));
    assert_int_equal(fed_pki_validity(fed_buf_str(&s->cert), &from, &to, NULL), 0);
    assert_true(from == T0 && to == T1);
    assert_true(fed_pki_signed_by(fed_buf_str(&s->cert), fed_buf_str(&s->ca)));
    assert_false(fed_pki_signed_by(fed_buf_str(&s->ca), fed_buf_str(&s->cert)));
    assert_true(fed_pki_key_matches(fed_buf_str(&s->cert), fed_buf_str(&s->key)));
    assert_false(fed_pki_key_matches(fed_buf_str(&s->cert), fed_buf_str(&s->ca_key)));
}

static void test_second_ca_of_a_bundle(void **state)
{
    struct set *s = *state;
    struct fed_buf key = {0}, bundle = {0};
    assert_int_equal(fed_pki_new_key(&key, NULL), 0);
    assert_int_equal(fed_pki_new_ca(fed_buf_str(&key), FED_STR("test-ca"), T0, T1, &bundle, NULL), 0);
    /* The same name, another key. */
    assert_false(fed_pki_signed_by(fed_buf_str(&s->cert), fed_buf_str(&bundle)));
    fed_buf_add(&bundle, fed_buf_str(&s->ca));
    assert_true(fed_pki_signed_by(fed_buf_str(&s->cert), fed_buf_str(&bundle)));
    fed_buf_release(&bundle);
    fed_buf_release(&key);
}

static void test_refusals(void **state)
{
    struct set *s = *state;
    static const char *const bad_ip[] = {"300.1.1.1", NULL};
    static const char *const bad_dns[] = {"a b", NULL};
    struct fed_buf out = {0};
    struct fed_err err;
    struct fed_cert_spec spec = {.cn = FED_STR("x"), .ips = bad_ip, .not_before_ms = T0, .not_after_ms = T1};
    struct fed_str ca = fed_buf_str(&s->ca), ca_key = fed_buf_str(&s->ca_key), key = fed_buf_str(&s->key);
    assert_int_equal(fed_pki_sign(ca, ca_key, key, &spec, &out, &err), FED_E_INVALID);
    spec.ips = NULL;
    spec.dns_names = bad_dns;
    assert_int_equal(fed_pki_sign(ca, ca_key, key, &spec, &out, &err), FED_E_INVALID);
    spec.dns_names = NULL;
    assert_int_equal(fed_pki_sign(ca, key, key, &spec, &out, &err), FED_E_INVALID); /* not the CA's key */
    assert_int_equal(fed_pki_sign(ca, ca_key, FED_STR("junk"), &spec, &out, &err), FED_E_INVALID);
    assert_int_equal(fed_pki_sign_csr(ca, ca_key, FED_STR("junk"), &spec, &out, &err), FED_E_INVALID);
    int64_t a, b;
    assert_int_equal(fed_pki_validity(FED_STR(""), &a, &b, &err), FED_E_INVALID);
    assert_int_equal(out.n, 0);
    fed_buf_release(&out);
}

/* openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=ignored/CN=ignored */
static const char csr[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                          "MIHfMIGGAgEAMCQxEDAOBgNVBAoMB2lnbm9yZWQxEDAOBgNVBAMMB2lnbm9yZWQw\n"
                          "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASfWQV5IPRJ0pm6sGYWPrqz95uafo8F\n"
                          "fO9lIQGzZdLAmFqmDJsLWlbLsOzz/pKNo8/GDPxb+IUXTClFq3OiOvEzoAAwCgYI\n"
                          "KoZIzj0EAwIDSAAwRQIgaQIK6pc1kbcOP8p6FdhLJZWPPQUSONT4EQ3mUslmb54C\n"
                          "IQCebnwJ8TYd8aA0aQy7vgnqOHV18dZ9cJukJzALpXYTIQ==\n"
                          "-----END CERTIFICATE REQUEST-----\n";

/* Subject and key are the request's; the certificate ends with its CA at the latest. */
static void test_request(void **state)
{
    struct set *s = *state;
    struct fed_arena a = {0};
    struct fed_pki_request r;
    struct fed_buf out = {0};
    struct fed_err err;
    int64_t from, to;
    assert_int_equal(fed_pki_request_read(&a, fed_str(csr), &r, &err), 0);
    assert_true(r.n_orgs == 1 && fed_str_is(r.orgs[0], "ignored") && fed_str_is(r.cn, "ignored"));
    assert_int_equal(fed_pki_request_read(&a, fed_buf_str(&s->cert), &r, &err), FED_E_INVALID);
    assert_string_equal(err.text, "PEM block type must be CERTIFICATE REQUEST");
    assert_int_equal(fed_pki_request_sign(fed_buf_str(&s->ca), fed_buf_str(&s->ca_key), fed_str(csr),
                                          FED_PKI_CLIENT | FED_PKI_SIGNATURE, T0 + 1000, T1 + 1000, &out, &err),
                     0);
    assert_true(fed_pki_signed_by(fed_buf_str(&out), fed_buf_str(&s->ca)));
    assert_int_equal(fed_pki_validity(fed_buf_str(&out), &from, &to, NULL), 0);
    assert_true(from == T0 + 1000 && to == T1);
    assert_true(fed_pki_is_chain(fed_buf_str(&out)));
    fed_buf_add(&out, fed_buf_str(&s->ca));
    assert_true(fed_pki_is_chain(fed_buf_str(&out)));
    fed_buf_addz(&out, csr);
    assert_false(fed_pki_is_chain(fed_buf_str(&out)));
    assert_false(fed_pki_is_chain(FED_STR("junk")));
    fed_buf_release(&out);
    fed_arena_release(&a);
}

static void test_csr(void **state)
{
    struct set *s = *state;
    struct fed_buf out = {0}, broken = {0};
    struct fed_err err;
    struct fed_cert_spec spec = {
        .cn = FED_STR("system:node:n1"), .client = true, .not_before_ms = T0, .not_after_ms = T1};
    assert_int_equal(fed_pki_sign_csr(fed_buf_str(&s->ca), fed_buf_str(&s->ca_key), fed_str(csr), &spec, &out, &err),
                     0);
    assert_true(fed_pki_signed_by(fed_buf_str(&out), fed_buf_str(&s->ca)));
    /* One character of its signature changed: the requester does not prove that it holds the key. */
    fed_buf_add(&broken, fed_str(csr));
    char *at = broken.p + broken.n - sizeof("-----END CERTIFICATE REQUEST-----\n") - 12;
    *at = *at == 'A' ? 'B' : 'A';
    fed_buf_reset(&out);
    assert_int_equal(
        fed_pki_sign_csr(fed_buf_str(&s->ca), fed_buf_str(&s->ca_key), fed_buf_str(&broken), &spec, &out, &err),
        FED_E_INVALID);
    fed_buf_release(&broken);
    fed_buf_release(&out);
}

static void test_jwt(void **state)
{
    struct set *s = *state;
    struct fed_buf token = {0}, claims = {0};
    struct fed_str key = fed_buf_str(&s->key);
    assert_int_equal(fed_jwt_sign(key, FED_STR("{\"sub\":\"x\"}"), &token, NULL), 0);
    assert_int_equal(fed_jwt_verify(key, fed_buf_str(&token), &claims, NULL), 0);
    assert_true(fed_str_is(fed_buf_str(&claims), "{\"sub\":\"x\"}"));
    assert_int_equal(fed_jwt_verify(fed_buf_str(&s->ca_key), fed_buf_str(&token), &claims, NULL), FED_E_UNAUTHORIZED);
    for (size_t i = 0; i < token.n; i++) { /* no byte of it may change */
        char was = token.p[i];
        token.p[i] = was == 'A' ? 'B' : 'A';
        fed_buf_reset(&claims);
        if (fed_jwt_verify(key, fed_buf_str(&token), &claims, NULL) != FED_E_UNAUTHORIZED)
            fail_msg("byte %zu", i);
        token.p[i] = was;
    }
    fed_buf_release(&token);
    fed_buf_release(&claims);
}

static void test_jwt_refuses_other_algorithms(void **state)
{
    struct set *s = *state;
    static const char *const tokens[] = {
        "eyJhbGciOiJub25lIn0.e30.",      /* {"alg":"none"} */
        "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", /* HS256 */
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYiJdfQ.e30."
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "",
        ".",
        "..",
        "a.b",
        "e30.e30.",
        "eyJhbGciOiJFUzI1NiJ9.e30.",
        "eyJhbGciOiJFUzI1NiJ9.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAA", /* r = s = 0 */
    };
    struct fed_buf claims = {0};
    for (size_t i = 0; i < FED_ARRAY_LEN(tokens); i++)
        if (fed_jwt_verify(fed_buf_str(&s->key), fed_str(tokens[i]), &claims, NULL) != FED_E_UNAUTHORIZED)
            fail_msg("%s", tokens[i]);
    fed_buf_release(&claims);
}

static void test_digest(void **state)
{
    (void)state;
    char hex[65];
    fed_sha256_hex(FED_STR("abc"), hex); /* FIPS 180-2, appendix B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    fed_sha256_hex((struct fed_str){0}, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_true(fed_secret_equal(FED_STR("abc"), FED_STR("abc")));
    assert_false(fed_secret_equal(FED_STR("abc"), FED_STR("abd")));
    assert_false(fed_secret_equal(FED_STR("abc"), FED_STR("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_second_ca_of_a_bundle),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_csr),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_jwt),
        cmocka_unit_test(test_jwt_refuses_other_algorithms),
        cmocka_unit_test(test_digest),
    };
    return cmocka_run_group_tests(tests, make_set, free_set);
}
