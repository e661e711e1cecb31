
/*
 * Copyright (C) Delta contributors
 *
 * Tokens as they come; what begins with a brace is a payload, or with a NUL
 * byte in it a header and a payload, which are signed first, so that what is
 * behind a good signature is read, too.
 */

#include "fuzz.h"
#include "jwt_tokens.h"


static delta_jwt_keys_t  *jwt_all;


int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void) argc;
    (void) argv;

    jwt_all = jwt_keys("{\"keys\":[" OCT "," OTHER "," A2_JWK "," A3_JWK ","
                       ED_JWK "]}");

    return 0;
}


static int
jwt_one(const char *token, size_t n, const delta_jwt_policy_t *policy)
{
    int          rc;
    char         digits[32], *copy;
    delta_jwt_t  jwt;
    delta_str_t  claim;

    copy = fuzz_copy(token, n);
    memset(&jwt, 0x5a, sizeof(jwt));
    rc = delta_jwt_verify(&jwt, jwt_all, copy, n, policy);
    check(ERR_peek_error() == 0);
    fuzz_free(copy, n);

    if (rc == 1) {
        check(json_is_object(jwt.claims));
        check(jwt.exp >= 0 && jwt.iat >= 0);
        check(jwt.exp == 0 || jwt.exp > policy->now - policy->leeway);
        check(n <= DELTA_JWT_MAX_TOKEN);

        claim = delta_jwt_claim(&jwt, "sub", 3, digits);
        check(claim.len <= n);
        delta_jwt_claim(&jwt, "exp", 3, digits);

    } else {
        check(rc < 0 && jwt.claims == NULL && jwt.exp == 0 && jwt.iat == 0);
        check(strcmp(delta_jwt_strerror(rc), "Unknown error.") != 0);
    }

    delta_jwt_free(&jwt);

    return rc;
}


/* What was not signed is never good. */

static void
jwt_changed(char *token)
{
    char    *dot;

    dot = strchr(token, '.');
    dot[-1] = dot[-1] == 'A' ? 'B' : 'A';
    check(jwt_one(token, strlen(token), &jwt_policy) < 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char                *copy, *token, *payload, *header;
    delta_jwt_policy_t   policy;

    if (n == 0 || data[0] != '{') {
        jwt_one((const char *) data, n, &jwt_policy);
        return 0;
    }

    copy = malloc(n + 1);
    memcpy(copy, data, n);
    copy[n] = '\0';

    header = HS256;
    payload = copy;

    if (memchr(copy, '\0', n)) {
        header = copy;
        payload = copy + strlen(copy) + 1;
    }

    token = jwt_sign(header, payload);
    policy = jwt_policy;
    jwt_one(token, strlen(token), &policy);

    policy.now = INT64_MAX - 1;
    policy.leeway = 60;
    jwt_one(token, strlen(token), &policy);

    policy.now = 0;
    policy.audience = (delta_str_t) delta_str("a");
    policy.issuer = (delta_str_t) delta_str("joe");
    jwt_one(token, strlen(token), &policy);

    jwt_changed(token);

    free(token);
    free(copy);

    return 0;
}
