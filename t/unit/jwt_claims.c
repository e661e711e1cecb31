
/*
 * Copyright (C) Delta contributors
 *
 * What a well signed token claims.
 */

#include "jwt_tokens.h"


static void jwt_test_claims(void);
static void jwt_test_times(void);
static void jwt_test_names(void);
static void jwt_test_texts(void);


int
main(void)
{
    plan(0);

    jwt_test_claims();
    jwt_test_times();
    jwt_test_names();
    jwt_test_texts();

    return done_testing();
}


static void
jwt_test_claims(void)
{
    char                     *token;
    size_t                    i;
    static const jwt_case_t   cases[] = {
        { "{}", 1 },
        { "{\"sub\":7,\"x\":[{}]}", 1 },
        { "{\"exp\":1300819001}", 1 },
        { "{\"exp\":1300819000}", DELTA_JWT_EEXPIRED },
        { "{\"exp\":1300819000.9}", DELTA_JWT_EEXPIRED },
        { "{\"exp\":1300819001.0}", 1 },
        { "{\"exp\":1e300}", 1 },
        { "{\"exp\":9223372036854775807}", 1 },
        { "{\"exp\":0}", DELTA_JWT_EEXPIRED },
        { "{\"exp\":-1e300}", DELTA_JWT_EEXPIRED },
        { "{\"exp\":-9223372036854775808}", DELTA_JWT_EEXPIRED },
        { "{\"exp\":1e999}", DELTA_JWT_EFORMAT },
        { "{\"exp\":9223372036854775808}", DELTA_JWT_EFORMAT },
        { "{\"exp\":\"1300819001\"}", DELTA_JWT_ECLAIMS },
        { "{\"exp\":null}", DELTA_JWT_ECLAIMS },
        { "{\"exp\":true}", DELTA_JWT_ECLAIMS },
        { "{\"exp\":[1300819001]}", DELTA_JWT_ECLAIMS },
        { "{\"nbf\":1300819000}", 1 },
        { "{\"nbf\":1300818999.5}", 1 },
        { "{\"nbf\":1300819000.5}", DELTA_JWT_EEARLY },
        { "{\"nbf\":1300819001}", DELTA_JWT_EEARLY },
        { "{\"nbf\":1e300}", DELTA_JWT_EEARLY },
        { "{\"nbf\":-1e300}", 1 },
        { "{\"nbf\":\"0\"}", DELTA_JWT_ECLAIMS },
        { "{\"nbf\":{}}", DELTA_JWT_ECLAIMS },
        { "{\"iat\":\"0\"}", DELTA_JWT_ECLAIMS },
        { "{\"iat\":null}", DELTA_JWT_ECLAIMS },
        { "{\"iss\":7}", DELTA_JWT_ECLAIMS },
        { "{\"aud\":7}", DELTA_JWT_ECLAIMS },
        { "{\"aud\":{\"app\":1}}", DELTA_JWT_ECLAIMS },
        { "{\"aud\":[\"app\",7]}", DELTA_JWT_ECLAIMS },
        { "{\"exp\":1300819001,\"exp\":1300819001}", DELTA_JWT_EFORMAT },
        { "{\"sub\":\"ada\",\"s\\u0075b\":\"ben\"}", DELTA_JWT_EFORMAT },
        { "{\"x\":{\"y\":1,\"y\":1}}", DELTA_JWT_EFORMAT },
        { "{\"sub\":\"a\\u0000b\"}", DELTA_JWT_EFORMAT },
        { "{\"sub\":\"\xc0\x80\"}", DELTA_JWT_EFORMAT },
        { "[]", DELTA_JWT_EFORMAT },
        { "null", DELTA_JWT_EFORMAT },
        { "{", DELTA_JWT_EFORMAT },
        { "{}}", DELTA_JWT_EFORMAT },
        { "", DELTA_JWT_EFORMAT },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        token = jwt_sign(HS256, cases[i].text);
        is_int(jwt_try(OCT, token, &jwt_policy), cases[i].want, "claims %s",
               cases[i].text);
        free(token);
    }
}


static void
jwt_test_times(void)
{
    char                *token;
    delta_jwt_t          jwt;
    delta_jwt_keys_t    *keys;
    delta_jwt_policy_t   policy;

    keys = jwt_keys(OCT);
    policy = jwt_policy;
    policy.leeway = 5;

    token = jwt_sign(HS256, "{\"exp\":100,\"nbf\":50,\"iat\":49.9}");

    policy.now = 104;
    is_int(delta_jwt_verify(&jwt, keys, token, strlen(token), &policy), 1,
           "exp with its leeway");
    is_int(jwt.exp, 100, "exp is told without the leeway");
    is_int(jwt.iat, 49, "iat is rounded down");
    delta_jwt_free(&jwt);

    policy.now = 105;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy),
           DELTA_JWT_EEXPIRED, "exp behind its leeway");

    policy.now = 45;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy), 1,
           "nbf with its leeway");

    policy.now = 44;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy),
           DELTA_JWT_EEARLY, "nbf before its leeway");

    policy.leeway = INT64_MAX;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy), 1,
           "an endless leeway");

    policy.now = INT64_MAX;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy), 1,
           "an endless leeway at the end of time");

    policy.leeway = 0;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy),
           DELTA_JWT_EEXPIRED, "the end of time");

    policy.now = INT64_MIN;
    policy.leeway = 5;
    is_int(jwt_try_keys(keys, token, strlen(token), &policy),
           DELTA_JWT_EEARLY, "the beginning of time");

    free(token);

    policy = jwt_policy;
    token = jwt_sign(HS256, "{\"exp\":1e30,\"iat\":-5}");

    delta_jwt_verify(&jwt, keys, token, strlen(token), &policy);
    ok(jwt.exp == INT64_MAX, "a huge exp is the end of time");
    is_int(jwt.iat, 1, "an iat before 1970 is not taken for none");

    delta_jwt_free(&jwt);
    free(token);
    delta_jwt_keys_free(keys);
}


static void
jwt_test_names(void)
{
    char                     *token;
    size_t                    i;
    delta_jwt_policy_t        policy;
    static const jwt_case_t   cases[] = {
        { "{\"aud\":\"app\",\"iss\":\"https://id\"}", 1 },
        { "{\"aud\":[\"x\",\"app\"],\"iss\":\"https://id\"}", 1 },
        { "{\"aud\":[\"app\",\"x\"],\"iss\":\"https://id\"}", 1 },
        { "{\"aud\":[\"app\"],\"iss\":\"https:\\/\\/id\"}", 1 },
        { "{\"aud\":\"ap\",\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":\"apps\",\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":\"App\",\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":\"\",\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":[],\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":[\"x\"],\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":[[\"app\"]],\"iss\":\"https://id\"}", DELTA_JWT_ECLAIMS },
        { "{\"aud\":[\"app\",1],\"iss\":\"https://id\"}", DELTA_JWT_ECLAIMS },
        { "{\"iss\":\"https://id\"}", DELTA_JWT_EAUDIENCE },
        { "{\"aud\":\"app\"}", DELTA_JWT_EISSUER },
        { "{\"aud\":\"app\",\"iss\":\"https://i\"}", DELTA_JWT_EISSUER },
        { "{\"aud\":\"app\",\"iss\":\"https://id/\"}", DELTA_JWT_EISSUER },
        { "{\"aud\":\"app\",\"iss\":[\"https://id\"]}", DELTA_JWT_ECLAIMS },
    };

    policy = jwt_policy;
    policy.audience.data = "application";
    policy.audience.len = 3;
    policy.issuer.data = "https://id";
    policy.issuer.len = 10;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        token = jwt_sign(HS256, cases[i].text);
        is_int(jwt_try(OCT, token, &policy), cases[i].want, "for app: %s",
               cases[i].text);
        free(token);
    }

    policy.audience.data = NULL;
    policy.audience.len = 0;
    policy.issuer = policy.audience;

    token = jwt_sign(HS256, "{\"aud\":\"\",\"iss\":\"\"}");
    is_int(jwt_try(OCT, token, &policy), 1, "nothing is demanded");
    free(token);
}


static void
jwt_test_texts(void)
{
    char                *token, buf[32];
    size_t               i;
    delta_jwt_t          jwt;
    delta_str_t          text;
    delta_jwt_keys_t    *keys;

    static const struct {
        const char  *name;
        const char  *want;
    } cases[] = {
        { "sub", "ada" }, { "utf", "\xc3\xa4" }, { "empty", "" },
        { "max", "9223372036854775807" }, { "min", "-9223372036854775808" },
        { "yes", "true" }, { "no", "false" }, { "real", "" }, { "null", "" },
        { "array", "" }, { "object", "" }, { "absent", "" }, { "", "nameless" }
    };

    keys = jwt_keys(OCT);
    token = jwt_sign(HS256,
                     "{\"sub\":\"ada\",\"utf\":\"\\u00e4\",\"empty\":\"\","
                     "\"max\":9223372036854775807,"
                     "\"min\":-9223372036854775808,\"yes\":true,\"no\":false,"
                     "\"real\":1.5,\"null\":null,\"array\":[\"a\"],"
                     "\"object\":{},\"\":\"nameless\"}");

    is_int(delta_jwt_verify(&jwt, keys, token, strlen(token), &jwt_policy), 1,
           "a token of many types");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text = delta_jwt_claim(&jwt, guard(cases[i].name,
                                           strlen(cases[i].name)),
                               strlen(cases[i].name), buf);
        is_mem(text.data, text.len, cases[i].want, strlen(cases[i].want),
               "claim %s as text", cases[i].name);
    }

    delta_jwt_free(&jwt);

    text = delta_jwt_claim(&jwt, "sub", 3, buf);
    is_int(text.len, 0, "no token, no claim");

    free(token);
    delta_jwt_keys_free(keys);

    is_str(delta_jwt_strerror(DELTA_JWT_EFORMAT), "The token is malformed.",
           "the first error");
    is_str(delta_jwt_strerror(DELTA_JWT_EMEMORY), "Out of memory.",
           "the last error");
    is_str(delta_jwt_strerror(DELTA_JWT_EMEMORY - 1), "Unknown error.",
           "no error");
    is_str(delta_jwt_strerror(1), "Unknown error.", "success");
}
