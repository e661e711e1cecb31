
/*
 * Copyright (C) Delta contributors
 */

#include <stdio.h>
#include <openssl/err.h>
#include "delta_jwk.h"


#define DELTA_JWT_MAX_BYTES  (DELTA_JWT_MAX_TOKEN / 4 * 3)


typedef struct {
    delta_str_t  header;
    delta_str_t  payload;
    delta_str_t  signature;
    delta_str_t  input;         /* of the signature */
} delta_jwt_parts_t;


static int delta_jwt_checked(delta_jwt_t *jwt, const delta_jwt_keys_t *keys,
    const char *token, size_t n, const delta_jwt_policy_t *policy);
static int delta_jwt_split(delta_jwt_parts_t *parts, uint8_t *buf,
    const char *token, size_t n);
static int delta_jwt_part(delta_str_t *part, uint8_t *buf, size_t *used,
    const char *p, const char *end);
static int delta_jwt_object(json_t **object, delta_str_t text);
static int delta_jwt_header(const delta_jws_algorithm_t **algorithm,
    json_t *header);
static int delta_jwt_any_key(const delta_jwt_keys_t *keys, json_t *kid,
    const delta_jws_algorithm_t *algorithm, const delta_jwt_parts_t *parts);
static int delta_jwt_claims(delta_jwt_t *jwt,
    const delta_jwt_policy_t *policy);
static int delta_jwt_time(json_t *claims, const char *name, int64_t *whole,
    int *fraction);
static int delta_jwt_names(json_t *claims, const delta_jwt_policy_t *policy);
static int delta_jwt_is(json_t *value, delta_str_t wanted);


static const char *delta_jwt_errors[] = {
#define X(name, text)  text,
    DELTA_JWT_ERRORS(X)
#undef X
};


int
delta_jwt_verify(delta_jwt_t *jwt, const delta_jwt_keys_t *keys,
    const char *token, size_t n, const delta_jwt_policy_t *policy)
{
    int  rc;

    memset(jwt, 0, sizeof(delta_jwt_t));

    rc = delta_jwt_checked(jwt, keys, token, n, policy);

    if (rc != 1) {
        delta_jwt_free(jwt);
    }

    ERR_clear_error();

    return rc;
}


static int
delta_jwt_checked(delta_jwt_t *jwt, const delta_jwt_keys_t *keys,
    const char *token, size_t n, const delta_jwt_policy_t *policy)
{
    int                           rc;
    json_t                       *header;
    uint8_t                       buf[DELTA_JWT_MAX_BYTES];
    delta_jwt_parts_t             parts;
    const delta_jws_algorithm_t  *algorithm;

    if (delta_jwt_split(&parts, buf, token, n) != 0) {
        return DELTA_JWT_EFORMAT;
    }

    rc = delta_jwt_object(&header, parts.header);

    if (rc != 1) {
        return rc;
    }

    rc = delta_jwt_header(&algorithm, header);

    if (rc == 1 && parts.signature.len == 0) {
        rc = DELTA_JWT_EFORMAT;
    }

    if (rc == 1) {
        rc = delta_jwt_any_key(keys, json_object_get(header, "kid"),
                               algorithm, &parts);
    }

    json_decref(header);

    if (rc == 1) {
        rc = delta_jwt_object(&jwt->claims, parts.payload);
    }

    return rc == 1 ? delta_jwt_claims(jwt, policy) : rc;
}


/* Header, payload and signature are decoded into buf. */

static int
delta_jwt_split(delta_jwt_parts_t *parts, uint8_t *buf, const char *token,
    size_t n)
{
    size_t       used;
    const char  *payload, *signature, *end;

    if (n == 0 || n > DELTA_JWT_MAX_TOKEN) {
        return -1;
    }

    end = token + n;
    payload = memchr(token, '.', n);

    if (payload == NULL) {
        return -1;
    }

    signature = memchr(payload + 1, '.', end - payload - 1);

    if (signature == NULL) {
        return -1;
    }

    parts->input.data = token;
    parts->input.len = signature - token;

    used = 0;

    if (delta_jwt_part(&parts->header, buf, &used, token, payload) != 0
        || delta_jwt_part(&parts->payload, buf, &used, payload + 1, signature)
           != 0
        || delta_jwt_part(&parts->signature, buf, &used, signature + 1, end)
           != 0)
    {
        return -1;
    }

    return 0;
}


static int
delta_jwt_part(delta_str_t *part, uint8_t *buf, size_t *used, const char *p,
    const char *end)
{
    part->data = (const char *) buf + *used;

    if (delta_jws_base64url(buf + *used, DELTA_JWT_MAX_BYTES - *used,
                            &part->len, p, end - p)
        != 0)
    {
        return -1;
    }

    *used += part->len;

    return 0;
}


static int
delta_jwt_object(json_t **object, delta_str_t text)
{
    json_error_t  error;

    *object = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(*object)) {
        return 1;
    }

    if (*object == NULL && json_error_code(&error) == json_error_out_of_memory)
    {
        return DELTA_JWT_EMEMORY;
    }

    json_decref(*object);
    *object = NULL;

    return DELTA_JWT_EFORMAT;
}


static int
delta_jwt_header(const delta_jws_algorithm_t **algorithm, json_t *header)
{
    json_t  *alg, *kid;

    alg = json_object_get(header, "alg");
    kid = json_object_get(header, "kid");

    if (!json_is_string(alg) || (kid && !json_is_string(kid))) {
        return DELTA_JWT_EFORMAT;
    }

    if (json_object_get(header, "crit")) {
        return DELTA_JWT_ECRITICAL;
    }

    *algorithm = delta_jws_algorithm(json_string_value(alg));

    return *algorithm ? 1 : DELTA_JWT_EALGORITHM;
}


static int
delta_jwt_any_key(const delta_jwt_keys_t *keys, json_t *kid,
    const delta_jws_algorithm_t *algorithm, const delta_jwt_parts_t *parts)
{
    int                 rc, error;
    size_t              i;
    const delta_jwk_t  *key;

    error = DELTA_JWT_EKEY;

    for (i = 0; i < keys->n; i++) {
        key = &keys->keys[i];

        if (kid && key->kid && !json_equal(kid, key->kid)) {
            continue;
        }

        if (!(key->algorithms & algorithm->bit)) {

            if (error == DELTA_JWT_EKEY) {
                error = DELTA_JWT_EALGORITHM;
            }

            continue;
        }

        rc = delta_jws_verify(key, algorithm, parts->input, parts->signature);

        if (rc == 1 || rc == DELTA_JWT_EMEMORY) {
            return rc;
        }

        error = rc;
    }

    return error;
}


static int
delta_jwt_claims(delta_jwt_t *jwt, const delta_jwt_policy_t *policy)
{
    int      has_exp, has_nbf, has_iat, fraction;
    int64_t  exp, nbf, iat, past, future;

    has_nbf = delta_jwt_time(jwt->claims, "nbf", &nbf, &fraction);
    has_exp = delta_jwt_time(jwt->claims, "exp", &exp, NULL);
    has_iat = delta_jwt_time(jwt->claims, "iat", &iat, NULL);

    if (has_exp < 0 || has_nbf < 0 || has_iat < 0) {
        return DELTA_JWT_ECLAIMS;
    }

    if (__builtin_sub_overflow(policy->now, policy->leeway, &past)) {
        past = INT64_MIN;
    }

    if (__builtin_add_overflow(policy->now, policy->leeway, &future)) {
        future = INT64_MAX;
    }

    if (has_exp && (exp <= 0 || exp <= past)) {
        return DELTA_JWT_EEXPIRED;
    }

    if (has_nbf && (nbf > future || (nbf == future && fraction))) {
        return DELTA_JWT_EEARLY;
    }

    jwt->exp = has_exp ? exp : 0;

    /* 0 would read as if there were none */
    jwt->iat = has_iat ? (iat > 0 ? iat : 1) : 0;

    return delta_jwt_names(jwt->claims, policy);
}


/* Returns 1, 0 without the claim, or -1; rounds down and tells if it did. */

static int
delta_jwt_time(json_t *claims, const char *name, int64_t *whole, int *fraction)
{
    double   real;
    json_t  *value;

    value = json_object_get(claims, name);

    if (fraction) {
        *fraction = 0;
    }

    if (value == NULL) {
        return 0;
    }

    if (json_is_integer(value)) {
        *whole = json_integer_value(value);
        return 1;
    }

    if (!json_is_real(value)) {
        return -1;
    }

    real = json_real_value(value);

    if (real >= 0x1p63) {
        *whole = INT64_MAX;

    } else if (real < -0x1p63) {
        *whole = INT64_MIN;

    } else {
        *whole = (int64_t) real;

        if ((double) *whole > real) {
            (*whole)--;
        }

        if (fraction) {
            *fraction = (double) *whole != real;
        }
    }

    return 1;
}


static int
delta_jwt_names(json_t *claims, const delta_jwt_policy_t *policy)
{
    int      found;
    size_t   i;
    json_t  *iss, *aud, *one;

    iss = json_object_get(claims, "iss");
    aud = json_object_get(claims, "aud");

    if ((iss && !json_is_string(iss))
        || (aud && !json_is_string(aud) && !json_is_array(aud)))
    {
        return DELTA_JWT_ECLAIMS;
    }

    found = delta_jwt_is(aud, policy->audience);

    json_array_foreach(aud, i, one) {

        if (!json_is_string(one)) {
            return DELTA_JWT_ECLAIMS;
        }

        found |= delta_jwt_is(one, policy->audience);
    }

    if (policy->audience.len && !found) {
        return DELTA_JWT_EAUDIENCE;
    }

    if (policy->issuer.len && !delta_jwt_is(iss, policy->issuer)) {
        return DELTA_JWT_EISSUER;
    }

    return 1;
}


static int
delta_jwt_is(json_t *value, delta_str_t wanted)
{
    return wanted.len && json_is_string(value)
           && json_string_length(value) == wanted.len
           && memcmp(json_string_value(value), wanted.data, wanted.len) == 0;
}


void
delta_jwt_free(delta_jwt_t *jwt)
{
    json_decref(jwt->claims);
    memset(jwt, 0, sizeof(delta_jwt_t));
}


delta_str_t
delta_jwt_claim(const delta_jwt_t *jwt, const char *name, size_t n,
    char *number_buf)
{
    json_t       *value;
    delta_str_t   text;

    value = json_object_getn(jwt->claims, name, n);

    text.data = "";
    text.len = 0;

    if (json_is_string(value)) {
        text.data = json_string_value(value);
        text.len = json_string_length(value);

    } else if (json_is_integer(value)) {
        text.data = number_buf;
        text.len = snprintf(number_buf, 32, "%" JSON_INTEGER_FORMAT,
                            json_integer_value(value));

    } else if (json_is_boolean(value)) {
        text.data = json_is_true(value) ? "true" : "false";
        text.len = strlen(text.data);
    }

    return text;
}


const char *
delta_jwt_strerror(int error)
{
    size_t  i;

    i = -1 - error;

    return error < 0
           && i < sizeof(delta_jwt_errors) / sizeof(delta_jwt_errors[0])
           ? delta_jwt_errors[i] : "Unknown error.";
}
