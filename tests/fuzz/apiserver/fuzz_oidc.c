/* SPDX-License-Identifier: Apache-2.0 */
/* What an OpenID Connect issuer may send: its discovery document, its keys, and a token. Nobody comes in: what signs here is not
 * in the corpus.
 *
 * Input: three texts, with "\n--\n" between. */
#include <stdint.h>

#include "apiserver/oidc.h"
#include "support/test_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fetch(void *ud, struct fed_oidc *o, const char *url)
{
    (void)o;
    (void)url;
    *(bool *)ud = true;
}

static struct fed_str cut(struct fed_str *rest)
{
    static const struct fed_str mark = FED_STR_INIT("\n--\n");
    ptrdiff_t at = fed_str_find(*rest, mark, 0);
    struct fed_str head = at < 0 ? *rest : fed_str_head(*rest, (size_t)at);
    *rest = at < 0 ? (struct fed_str){"", 0} : fed_str_from(*rest, (size_t)at + mark.n);
    return head;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *algs[] = {"RS256", "ES256", "PS384"};
    struct fed_str rest = {(const char *)data, size};
    struct fed_str documents[2], token;
    struct test_env t;
    struct fed_oidc *o = NULL;
    struct fed_arena a = {0};
    struct fed_identity who;
    bool asked = false;
    documents[0] = cut(&rest);
    documents[1] = cut(&rest);
    token = rest;
    test_env_init(&t, 1);
    struct fed_oidc_conf conf = {.env = &t.env,
                                 .issuer_url = "https://issuer.example",
                                 .client_id = "hansa",
                                 .username_claim = "sub",
                                 .groups_claim = "groups",
                                 .algs = {algs, 3},
                                 .fetch = fetch,
                                 .ud = &asked};
    FED_REQUIRE(fed_oidc_new(&conf, &o, NULL) == 0);
    for (int i = 0; i < 2; i++) {
        test_env_drain(&t);
        if (asked) {
            asked = false;
            fed_oidc_fetched(o, 200, documents[i]);
        }
    }
    (void)fed_oidc_is_issuer(o, token);
    struct fed_err err = {0};
    int rc = fed_oidc_authenticate(o, token, &a, &who, &err);
    FED_REQUIRE(rc == FED_E_UNAUTHORIZED || rc == FED_E_UNAVAILABLE);
    fed_oidc_free(o);
    fed_arena_release(&a);
    test_env_release(&t);
    return 0;
}
