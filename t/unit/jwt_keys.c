
/*
 * Copyright (C) Delta contributors
 *
 * Key sets, and which key of a set is taken.
 */

#include "jwt_tokens.h"


#define EC(x, y)                                                              \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" x "\",\"y\":\"" y "\"}"

#define RSA(n, e)  "{\"kty\":\"RSA\",\"n\":\"" n "\",\"e\":\"" e "\"}"

#define SET(keys)  "{\"keys\":[" keys "]}"

#define KEY_A    "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" OCT_K "\"}"
#define KEY_B    "{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"" OCT_K "\"}"
#define OTHER_A  "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"" OTHER_K "\"}"
#define RSA_A                                                                 \
    "{\"kty\":\"RSA\",\"kid\":\"a\",\"n\":\"" A2_N "\",\"e\":\"AQAB\"}"


static void jwt_test_sets(void);
static void jwt_test_limits(void);
static void jwt_test_kids(void);


int
main(void)
{
    plan(0);

    jwt_test_sets();
    jwt_test_limits();
    jwt_test_kids();

    return done_testing();
}


static const struct {
    const char  *set;
    const char  *error;
} cases[] = {
    { OCT, "" },
    { SET(OCT), "" },
    { SET(OCT ",{\"kty\":\"AKP\",\"d\":1}"), "" },
    { SET("{\"kty\":\"EC\",\"crv\":\"secp256k1\"}," OCT), "" },
    { SET("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":7}," OCT), "" },
    { SET("{\"kty\":\"RSA\",\"alg\":\"RSA-OAEP\"}," OCT), "" },
    { SET("{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"\"}," OCT), "" },
    { SET("{\"kty\":\"oct\",\"key_ops\":[\"sign\"]}," OCT), "" },
    { "{\"kty\":\"oct\",\"k\":\"" OCT_K "\",\"use\":\"sig\","
      "\"key_ops\":[\"sign\",\"verify\"],\"x5c\":7}", "" },
    { "", "The key set is not JSON: line 1, column 0." },
    { "{\"keys\":\n[geheim]}", "The key set is not JSON: line 2, column "
      "7." },
    { "{\"keys\":[],\"keys\":[]}", "The key set is not JSON: line 1, "
      "column 17." },
    { "[]", "The key set is neither an object with an array \"keys\" nor"
      " a key." },
    { "{\"keys\":{}}", "The key set is neither an object with an array "
      "\"keys\" nor a key." },
    { SET(""), "The key set has no usable key." },
    { SET("{\"kty\":\"x\"}"), "The key set has no usable key." },
    { SET(OCT ",7"), "Key 2 of the set is not an object." },
    { SET(OCT ",{}"), "Key 2 of the set has no kty." },
    { SET("{\"kty\":7}"), "Key 1 of the set has no kty." },
    { SET("{\"kty\":\"EC\"}"), "Key 1 of the set has no crv." },
    { "{\"kty\":\"oct\",\"kid\":7,\"k\":\"" OCT_K "\"}",
      "Key 1 of the set has a kid that is not a string." },
    { "{\"kty\":\"oct\",\"use\":7,\"k\":\"" OCT_K "\"}",
      "Key 1 of the set has a use that is not a string." },
    { "{\"kty\":\"oct\",\"alg\":null,\"k\":\"" OCT_K "\"}",
      "Key 1 of the set has an alg that is not a string." },
    { "{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"" OCT_K "\"}",
      "Key 1 of the set has an alg that does not go with its kty or crv."
    },
    { "{\"kty\":\"RSA\",\"alg\":\"HS256\",\"n\":\"" A2_N "\"}",
      "Key 1 of the set has an alg that does not go with its kty or crv."
    },
    { "{\"kty\":\"EC\",\"alg\":\"ES384\",\"crv\":\"P-256\"}",
      "Key 1 of the set has an alg that does not go with its kty or crv."
    },
    { "{\"kty\":\"oct\"}",
      "Key 1 of the set has no k in base64url of at most 2048 bytes." },
    { "{\"kty\":\"oct\",\"k\":\"" OCT_K "=\"}",
      "Key 1 of the set has no k in base64url of at most 2048 bytes." },
    { "{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNk"
      "ZQ\"}",
      "Key 1 of the set has a k shorter than the hash of its algorithm." },
    { "{\"kty\":\"oct\",\"alg\":\"HS384\",\"k\":\"" OCT_K "\"}",
      "Key 1 of the set has a k shorter than the hash of its algorithm." },
    { SET(KEY_A ",{\"kty\":\"oct\",\"kid\":\"b\",\"k\":\"\"}"),
      "Key 2 of the set has a k shorter than the hash of its algorithm." },
    { RSA(A1_K, "AQAB"), "Key 1 of the set has less than 2048 bits." },
    { RSA(A2_N, "AQ"),
      "Key 1 of the set has an n or e that is no RSA key's." },
    { RSA(A2_N, "Ag"),
      "Key 1 of the set has an n or e that is no RSA key's." },
    { RSA(A2_N, ""),
      "Key 1 of the set has an n or e that is no RSA key's." },
    { RSA(A2_N, "AQABAQABAQAB"),
      "Key 1 of the set has no n of at most 16384 bits and e of at most "
      "64 bits in base64url." },
    { "{\"kty\":\"RSA\",\"n\":\"" A2_N "\",\"e\":\"AQAB\",\"d\":\"AQ\"}",
      "Key 1 of the set has private parts." },
    { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED_X "\","
      "\"d\":\"geheim\"}", "Key 1 of the set has private parts." },
    { EC(A3_X, A3_X), "Key 1 of the set is not a point on its curve." },
    { EC(A3_X, "AQAB"), "Key 1 of the set has no x and y in base64url of "
      "the length of its curve." },
    { EC(A3_X "AA", A3_Y), "Key 1 of the set has no x and y in base64url "
      "of the length of its curve." },
    { "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}",
      "Key 1 of the set has no x in base64url of the length of its "
      "curve." },
};


static void
jwt_test_sets(void)
{
    char               error[256];
    size_t             i, n;
    delta_jwt_keys_t  *keys;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        error[0] = '\0';
        n = strlen(cases[i].set);
        keys = delta_jwt_keys_parse(guard(cases[i].set, n), n, error,
                                    sizeof(error));

        is_str(error, cases[i].error, "set %zu: %s", i, cases[i].set);
        ok((keys != NULL) == (cases[i].error[0] == '\0'), "set %zu", i);
        delta_jwt_keys_free(keys);
    }

    is_int(ERR_peek_error(), 0, "nothing is left of OpenSSL's errors");
}


static void
jwt_test_limits(void)
{
    char               error[256], tiny[8], *many;
    size_t             i, n;
    delta_jwt_keys_t  *keys;

    ok(delta_jwt_keys_parse("", 0, tiny, sizeof(tiny)) == NULL,
       "a small buffer for the reason");
    is_str(tiny, "The key", "the reason is cut");

    many = malloc(70 * sizeof(OCT) + 16);

    for (i = DELTA_JWT_MAX_KEYS; i <= DELTA_JWT_MAX_KEYS + 1; i++) {
        n = sprintf(many, "{\"keys\":[");

        while (n < i * sizeof(OCT)) {
            n += sprintf(many + n, "%s,", OCT);
        }

        strcpy(many + n - 1, "]}");

        keys = delta_jwt_keys_parse(many, n + 1, error, sizeof(error));
        ok((keys != NULL) == (i == DELTA_JWT_MAX_KEYS), "%zu keys", i);
        delta_jwt_keys_free(keys);
    }

    is_str(error, "The key set has more than 64 keys.", "too many keys");
    free(many);

    n = 2 << 20;
    many = malloc(n);
    memset(many, ' ', n);
    ok(delta_jwt_keys_parse(many, n, error, sizeof(error)) == NULL,
       "a huge set");
    is_str(error, "The key set is larger than 1048576 bytes.", "too large");
    free(many);
}


static void
jwt_test_kids(void)
{
    char  *none, *a, *c;

    none = jwt_sign(HS256, "{}");
    a = jwt_sign("{\"alg\":\"HS256\",\"kid\":\"a\"}", "{}");
    c = jwt_sign("{\"alg\":\"HS256\",\"kid\":\"c\"}", "{}");

    is_int(jwt_try(SET(KEY_A "," KEY_B), a, &jwt_policy), 1, "kid");
    is_int(jwt_try(SET(OTHER_A "," KEY_B), none, &jwt_policy), 1,
           "without kid all keys are tried");
    is_int(jwt_try(SET(OTHER_A "," KEY_B), a, &jwt_policy),
           DELTA_JWT_ESIGNATURE, "with kid no other key is tried");
    is_int(jwt_try(SET(OTHER_A "," KEY_A), a, &jwt_policy), 1,
           "two keys of one kid");
    is_int(jwt_try(SET(RSA_A "," KEY_A), a, &jwt_policy), 1,
           "two types of one kid");
    is_int(jwt_try(SET(KEY_A "," RSA_A), a, &jwt_policy), 1,
           "two types of one kid, the other way round");
    is_int(jwt_try(SET(RSA_A "," KEY_B), a, &jwt_policy),
           DELTA_JWT_EALGORITHM, "a kid of a key that does not fit");
    is_int(jwt_try(SET(KEY_A "," KEY_B), c, &jwt_policy), DELTA_JWT_EKEY,
           "an unknown kid");
    is_int(jwt_try(SET(KEY_A "," OCT), c, &jwt_policy), 1,
           "an unknown kid and a key without one");
    is_int(jwt_try(SET(RSA_A), none, &jwt_policy), DELTA_JWT_EALGORITHM,
           "no kid and no key that fits");

    free(none);
    free(a);
    free(c);
}
